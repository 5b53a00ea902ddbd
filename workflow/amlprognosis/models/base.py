"""What every prognostic model shares: outcome checks, risk groups, survival from a baseline hazard, freezing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator

from amlprognosis.errors import InputError
from amlprognosis.models.preprocess import Preprocessor, shorten

if TYPE_CHECKING:
    from amlprognosis.models.contributions import Additive

OUTCOME_DTYPE = [("event", bool), ("time", float)]


def as_outcome(time: Any, event: Any) -> np.ndarray:
    """Build the structured outcome array (n,) with the fields ``event`` (bool) and ``time`` (days).

    Raises
    ------
    InputError
        If lengths differ or events are other than 0 and 1.
    """
    time = np.asarray(time, dtype=np.float64)
    event = np.asarray(event)
    if time.ndim != 1 or event.shape != time.shape:
        raise InputError(f"times and events must be 1D of equal length, got {time.shape} and {event.shape}")
    if event.dtype != bool:
        if not np.isin(event, [0, 1]).all():
            raise InputError("events must be 0/1 or false/true (1 = death); map other codes first")
        event = event.astype(bool)
    y = np.empty(time.size, dtype=OUTCOME_DTYPE)
    y["event"], y["time"] = event, time
    return y


def check_outcome(y: Any, n_patients: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Check an outcome that a model is to learn from.

    Parameters
    ----------
    y : structured ndarray (n,)
        Fields ``event`` and ``time`` (days); or any two fields of this kind in this order, as scikit-survival's.
    n_patients : int, optional
        Rows of the feature frame.

    Returns
    -------
    time : ndarray (n,)
    event : ndarray of bool (n,)

    Raises
    ------
    InputError
        If patients are fewer than 2, a time is missing, infinite or not positive, nobody died, or all times are equal.
    """
    y = np.asarray(y)
    names: tuple[str, ...] = y.dtype.names or ()
    if {"event", "time"} <= set(names):
        names = ("event", "time")
    if len(names) != 2 or y.dtype[names[0]].kind != "b" or y.dtype[names[1]].kind not in "fiu":
        raise InputError(
            "the outcome must be a structured array of two fields, event (bool) and time; use as_outcome(time, event)"
        )
    event, time = y[names[0]].astype(bool), y[names[1]].astype(np.float64)
    if n_patients is not None and time.size != n_patients:
        raise InputError(f"{n_patients} patients in the features, {time.size} in the outcome")
    if time.size < 2:
        raise InputError(f"{time.size} patient (n_samples = {time.size}): a model needs at least 2")
    for bad, words in (
        (~np.isfinite(time), "missing or infinite"),
        (np.nan_to_num(time, nan=1.0) <= 0, "zero or negative"),
    ):
        if bad.any():
            rows = shorten([str(i) for i in np.flatnonzero(bad)])
            raise InputError(f"os_time is {words} in rows {rows}; exclude these patients")
    if not event.any():
        raise InputError("nobody died (os_event is false everywhere): there is nothing to learn from")
    if np.ptp(time) == 0:
        raise InputError(f"all os_time are equal ({time[0]:g} days): a constant outcome")
    return time, event


class RiskModel(BaseEstimator):
    """Base of all prognostic models.

    A subclass sets its parameters in ``__init__``, learns in ``_fit(x, time, event)`` (setting ``preprocessor_``),
    says the risk of prepared patients in ``_risk(values)`` and takes it apart in ``_additive(values)``. Rows are sorted
    by patient id before learning, so that the order of patients does not matter even to random learners.

    Attributes
    ----------
    features_in_ : list of str
        Columns that :meth:`predict` needs.
    cutpoint_ : float
        Median risk of the training part; a patient above it is "high".
    notes_ : list of str
        What a reader of the results must know (fallbacks, flags).
    dropped_ : list of dict
        Rows {"step", "item", "reason"} of columns that were not used.
    baseline_times_, baseline_hazard_ : ndarray (m,)
        Breslow cumulative baseline hazard by days, for models with a survival curve.
    """

    has_survival = True
    lp_slope_ = 1.0

    def fit(self, X: pd.DataFrame, y: np.ndarray) -> RiskModel:
        """Learn from a training part.

        Parameters
        ----------
        X : DataFrame (n_patients, n_features)
            The whole feature frame; the model picks its own columns.
        y : structured ndarray (n_patients,)
            Outcome, see :func:`as_outcome`.

        Returns
        -------
        self

        Raises
        ------
        InputError
            If the outcome or the columns cannot be learned from.
        """
        if not isinstance(X, pd.DataFrame):
            raise InputError(f"features must be a pandas DataFrame with named columns, got {type(X).__name__}")
        time, event = check_outcome(y, len(X))
        order = np.argsort(X.index.astype(str).to_numpy(), kind="stable")
        if (order != np.arange(len(order))).any():
            X, time, event = X.iloc[order], time[order], event[order]
        self.notes_: list[str] = []
        self._fit(X, time, event)
        self.features_in_ = list(self.preprocessor_.features_)
        self.dropped_ = list(self.preprocessor_.dropped_)
        self.n_patients_, self.n_events_ = int(time.size), int(event.sum())
        risk = self.predict(X)
        self.cutpoint_ = float(np.median(risk))
        if self.has_survival and not hasattr(self, "baseline_times_"):
            self._set_baseline(risk, time, event)
        return self

    def _fit(self, x: pd.DataFrame, time: np.ndarray, event: np.ndarray) -> None:
        raise TypeError(f"{type(self).__name__} does not say how it learns")

    def _risk(self, values: np.ndarray) -> np.ndarray:
        raise TypeError(f"{type(self).__name__} does not say its risk")

    def _additive(self, values: np.ndarray) -> Additive:
        raise TypeError(f"{type(self).__name__} does not say what its features contribute")

    def _contributions(self, values: np.ndarray) -> Additive:
        return self._additive(values)

    def _set_baseline(self, risk: np.ndarray, time: np.ndarray, event: np.ndarray) -> None:
        from amlprognosis.models.cox_kernels import baseline_hazard

        self.baseline_times_, self.baseline_hazard_ = baseline_hazard(self.lp_slope_ * risk, time, event)

    def _check_fitted(self) -> None:
        if not hasattr(self, "cutpoint_") and not hasattr(self, "preprocessor_"):
            raise InputError(f"{type(self).__name__} is not fitted; call fit(X, y) first")

    def _design(self, x: pd.DataFrame) -> np.ndarray:
        self._check_fitted()
        if not isinstance(x, pd.DataFrame):
            raise InputError(f"features must be a pandas DataFrame with named columns, got {type(x).__name__}")
        known = set(x.columns)
        absent = [name for name in self.preprocessor_.features_ if name not in known]
        if absent:
            raise InputError(
                f"{type(self).__name__} needs {len(self.preprocessor_.features_)} columns, {len(absent)} are absent: "
                f"{shorten(absent)}; use align_features to fill them as trained"
            )
        return self.preprocessor_.transform(x)

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        """Risk of each patient (n,); higher = earlier death.

        Raises
        ------
        InputError
            If columns in ``features_in_`` are absent. Missing values are filled as in training.
        """
        return self._risk(self._design(X))

    def predict_group(self, X: pd.DataFrame) -> np.ndarray:
        """Risk group of each patient (n,), "high" above the training cut-point and "low" else."""
        return np.where(self.predict(X) > self.cutpoint_, "high", "low")

    def predict_survival(self, X: pd.DataFrame, times_days: Any) -> np.ndarray:
        """Survival probability of each patient (n, len(times_days)).

        Parameters
        ----------
        X : DataFrame (n, n_features)
            Feature frame.
        times_days : array-like (k,)
            Days. Beyond the training follow-up the last value is carried forward.
        """
        hazard = _step_values(self.baseline_times_, self.baseline_hazard_, times_days)
        ratio = np.exp(np.minimum(self.lp_slope_ * self.predict(X), 500.0))
        return np.exp(-np.outer(ratio, hazard))

    def predict_survival_function(self, X: pd.DataFrame) -> np.ndarray:
        """Survival curves as scikit-survival gives them: an array (n,) of StepFunction."""
        from sksurv.functions import StepFunction

        curves = self.predict_survival(X, self.baseline_times_)
        out = np.empty(len(curves), dtype=object)
        for i, curve in enumerate(curves):
            out[i] = StepFunction(self.baseline_times_, curve, domain=(0, None))
        return out

    def selected_features(self) -> pd.DataFrame:
        """List the columns that carry the model: feature, weight (coefficient or importance)."""
        self._check_fitted()
        names, weights = self._weights()
        return pd.DataFrame({"feature": list(names), "weight": np.asarray(weights, dtype=np.float64)})

    def _weights(self) -> tuple[list[str], np.ndarray]:
        raise TypeError(f"{type(self).__name__} does not say its weights")

    # What a frozen model holds beyond the base's own attributes: names of plain arrays, numbers, lists.
    _frozen: tuple[str, ...] = ()

    def _write_side(self, directory: Path) -> list[str]:
        """Write files beside model.json; gives their names."""
        return []

    def _read_side(self, directory: Path) -> None:
        """Read what :meth:`_write_side` wrote."""


def _step_values(times: np.ndarray, values: np.ndarray, at: Any) -> np.ndarray:
    """Evaluate a right-continuous step function that is 0 before its first time."""
    position = np.searchsorted(times, np.asarray(at, dtype=np.float64), side="right")
    return np.concatenate([[0.0], values])[position]


def align_features(model: RiskModel, X: pd.DataFrame, max_missing_share: float = 0.5) -> tuple[pd.DataFrame, list[str]]:
    """Give a frame every column a model needs; absent ones become NaN, which the model fills as trained.

    Parameters
    ----------
    model : RiskModel
        Fitted or loaded.
    X : DataFrame (n, p)
        Features of a new cohort or patient.
    max_missing_share : float
        Largest share of the needed columns that may lack a value in every patient.

    Returns
    -------
    aligned : DataFrame (n, len(model.features_in_))
    missing : list of str
        Columns that were absent or without any value, in the model's order.

    Raises
    ------
    InputError
        If all needed columns are without a value, or more than allowed.
    """
    needed = list(model.features_in_)
    aligned = X.reindex(columns=needed)
    empty = aligned.isna().all(axis=0).to_numpy()
    missing = [name for name, flag in zip(needed, empty, strict=True) if flag]
    if missing and (len(missing) == len(needed) or len(missing) > max_missing_share * len(needed)):
        raise InputError(
            f"{type(model).__name__}: {len(missing)} of the {len(needed)} columns it needs are absent or without a "
            f"value (at most {max_missing_share:.0%} may be): {shorten(missing)}"
        )
    return aligned, missing


def fit_columns(preprocessor: Preprocessor, x: pd.DataFrame, what: str) -> np.ndarray:
    """Fit a preprocessor and name the model in its errors."""
    try:
        return preprocessor.fit_transform(x)
    except InputError as error:
        raise InputError(f"{what}: {error}") from error
