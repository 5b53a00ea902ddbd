"""What all survival learners share: checked input, canonical order of rows, risk, survival curves, concordance."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data

from amlprognosis.errors import InputError
from amlprognosis.models.base import _step_values, check_outcome
from amlprognosis.models.concordance import harrell_concordance
from amlprognosis.models.cox_kernels import baseline_hazard, fit_cox

NO_SIGNAL = "held-out risks carry no signal: survival curves are the same for everyone"
Item = TypeVar("Item")
Result = TypeVar("Result")


def canonical_order(x: np.ndarray, time: np.ndarray, event: np.ndarray) -> np.ndarray:
    """Order of rows (n,) that does not depend on how they came: by time, then event, then values."""
    order = np.lexsort((event, time))
    key = np.column_stack([time[order], event[order]])
    tied = np.flatnonzero((key[1:] == key[:-1]).all(axis=1))
    if tied.size:
        rank = np.zeros(len(order), dtype=np.int64)
        affected = np.unique(np.concatenate([tied, tied + 1]))
        rows = x[order[affected]]
        rank[affected[np.lexsort(rows.T[::-1])]] = np.arange(affected.size)
        order = order[np.lexsort((rank, key[:, 1], key[:, 0]))]
    return order


def run_threads(function: Callable[[Item], Result], items: Iterable[Item], n_jobs: int) -> list[Result]:
    """Apply a function that releases the GIL to each item; results in the order of the items."""
    items = list(items)
    if n_jobs <= 1 or len(items) <= 1:
        return [function(item) for item in items]
    with ThreadPoolExecutor(min(int(n_jobs), len(items))) as pool:
        return list(pool.map(function, items))


class SurvivalLearner(BaseEstimator):
    """Base of the learners: ``fit(X, y)``, ``predict`` = risk (higher = earlier death).

    A subclass sets its parameters in ``__init__`` (``random_state`` and ``n_jobs`` among them), learns in
    ``_fit(x, time, event)`` from a finite float64 matrix in canonical order, and says the risk in ``_risk(x)``. It
    standardizes inside where its method asks for it.

    Attributes
    ----------
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        If X was a DataFrame.
    notes_ : list of str
        What a reader of the results must know (fallbacks, flags).
    lp_slope_ : float
        Log hazard ratio per unit of risk, for survival curves; 1 where the risk is a linear predictor.
    baseline_times_, baseline_hazard_ : ndarray (m,)
        Breslow cumulative hazard at risk 0, by days.
    """

    def fit(self, X: Any, y: np.ndarray) -> SurvivalLearner:
        """Learn from patients.

        Parameters
        ----------
        X : array-like (n, p)
            Finite features.
        y : structured ndarray (n,)
            Fields ``event`` (bool, True = death) and ``time`` (days).

        Returns
        -------
        self

        Raises
        ------
        InputError
            If a value is missing or infinite, patients are fewer than 2, nobody died, or times are unusable.
        """
        x = self._checked(X, reset=True)
        time, event = check_outcome(y, len(x))
        order = canonical_order(x, time, event)
        x, time, event = np.ascontiguousarray(x[order]), time[order], event[order]
        self.notes_: list[str] = []
        self.lp_slope_ = 1.0
        for name in ("baseline_times_", "baseline_hazard_"):
            if hasattr(self, name):
                delattr(self, name)
        self._fit(x, time, event)
        if not hasattr(self, "baseline_times_"):
            self.baseline_times_, self.baseline_hazard_ = baseline_hazard(self.lp_slope_ * self._risk(x), time, event)
        return self

    def _fit(self, x: np.ndarray, time: np.ndarray, event: np.ndarray) -> None:
        raise TypeError(f"{type(self).__name__} does not say how it learns")

    def _risk(self, x: np.ndarray) -> np.ndarray:
        raise TypeError(f"{type(self).__name__} does not say its risk")

    def _checked(self, X: Any, reset: bool) -> np.ndarray:
        try:
            return validate_data(self, X, reset=reset, dtype=np.float64)
        except InputError:
            raise
        except ValueError as error:
            raise InputError(f"{type(self).__name__}: {error}") from error

    def predict(self, X: Any) -> np.ndarray:
        """Risk of each patient (n,); higher = earlier death."""
        check_is_fitted(self, "n_features_in_")
        return self._risk(self._checked(X, reset=False))

    def survival_at(self, X: Any, times_days: Any) -> np.ndarray:
        """Survival probability (n, k) at ``times_days`` (k,); beyond the follow-up the last value is carried on."""
        hazard = _step_values(self.baseline_times_, self.baseline_hazard_, times_days)
        ratio = np.exp(np.clip(self.lp_slope_ * self.predict(X), -500.0, 500.0))
        return np.exp(-np.outer(ratio, hazard))

    def predict_survival_function(self, X: Any, return_array: bool = False) -> np.ndarray:
        """Survival curves as scikit-survival gives them.

        Parameters
        ----------
        X : array-like (n, p)
            Features.
        return_array : bool
            An array (n, len(baseline_times_)) instead of step functions.

        Returns
        -------
        ndarray (n,) of StepFunction, or ndarray (n, m)
        """
        curves = self.survival_at(X, self.baseline_times_)
        if return_array:
            return curves
        from sksurv.functions import StepFunction

        out = np.empty(len(curves), dtype=object)
        for i, curve in enumerate(curves):
            out[i] = StepFunction(self.baseline_times_, curve, domain=(0, None))
        return out

    def score(self, X: Any, y: np.ndarray) -> float:
        """Harrell's C of the risk as it is (never refitted, so a reversed score shows below 0.5)."""
        risk = self.predict(X)
        time, event = check_outcome(y, len(risk))
        return harrell_concordance(time, event, risk).index

    def _calibrate(self, held_out_risk: np.ndarray, time: np.ndarray, event: np.ndarray) -> None:
        """Set slope and baseline from held-out risks of inner folds: in-sample scores are far too spread.

        A slope below 0 becomes 0, with a note: everybody then has the same curve.
        """
        slope = 0.0
        if np.ptp(held_out_risk) > 1e-9:
            slope = float(fit_cox(held_out_risk[:, None], time, event).beta[0])
        if not slope > 0:
            self.notes_.append(NO_SIGNAL)
        self.lp_slope_ = min(max(slope, 0.0), 1e6)
        self.baseline_times_, self.baseline_hazard_ = baseline_hazard(self.lp_slope_ * held_out_risk, time, event)

    def __sklearn_tags__(self) -> Any:
        """Tags for scikit-learn: the outcome is needed, and is neither a class nor one number."""
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags


class LinearLearner(SurvivalLearner):
    """A learner whose risk is ``X @ coef_ - offset_``; the offset centers it on the training mean.

    Attributes
    ----------
    coef_ : ndarray (p,)
        On the scale of X; 0 for a column that was not used.
    offset_ : float
    """

    def _set_linear(self, coefficients: np.ndarray, mean: np.ndarray) -> None:
        """Set ``coef_`` (input scale) and the offset at the training ``mean`` of the columns."""
        if not np.isfinite(coefficients).all():
            raise InputError(f"{type(self).__name__}: a coefficient is not finite; check the columns for separation")
        self.coef_ = np.asarray(coefficients, dtype=np.float64)
        self.offset_ = float(np.asarray(mean) @ self.coef_)

    def _risk(self, x: np.ndarray) -> np.ndarray:
        return x @ self.coef_ - self.offset_


def standardize(x: np.ndarray, ddof: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Center and scale columns.

    Returns
    -------
    z : ndarray (n, p)
        All 0 in a constant column.
    mean, scale : ndarray (p,)
        Scale is 1 for a constant column.
    """
    mean = x.mean(axis=0)
    scale = x.std(axis=0, ddof=ddof)
    varies = scale > 1e-12 * np.maximum(np.abs(mean), 1e-300)
    safe = np.where(varies, scale, 1.0)
    return np.where(varies, (x - mean) / safe, 0.0), mean, safe
