"""Stepwise Cox regression by AIC or BIC, as R's ``step()`` does it on ``coxph``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from amlprognosis.errors import InputError
from amlprognosis.models.cox_kernels import (
    CoxFit,
    Ties,
    UnivariateScreen,
    fit_cox,
    partial_likelihood,
    univariate_cox,
)
from amlprognosis.models.learners.base import LinearLearner, standardize
from amlprognosis.models.preprocess import shorten
from amlprognosis.models.risk_sets import is_efron, risk_sets
from amlprognosis.models.stepwise_search import StepwisePath, stepwise_search

# The last resort for a model without a maximum: a normal prior with standard deviation 1 on standardized coefficients.
FALLBACK_RIDGE = 1.0


@dataclass(frozen=True)
class _Data:
    """Standardized columns ``z`` (n, p) with their outcome and their univariate fits."""

    z: np.ndarray
    time: np.ndarray
    event: np.ndarray
    ties: Ties
    screen: UnivariateScreen

    def fit(self, columns: np.ndarray, ridge: float = 0.0) -> CoxFit:
        """Fit a Cox model to some columns."""
        return fit_cox(self.z[:, columns], self.time, self.event, self.ties, ridge)


class StepCox(LinearLearner):
    """Cox model of the columns that a stepwise search keeps.

    Each step fits every model that is one drop or one addition away, takes the one with the smallest criterion, and
    stops when none is better than the current one; of equal ones the first in R's order (drops as in the formula,
    then additions in the order of the columns) is taken. Backward and both start from all columns, and both may take
    in again what it dropped; forward starts from the empty model. (The published 101-combination recipe starts
    forward from the full model, which then keeps every column.)

    Parameters
    ----------
    direction : {"both", "backward", "forward"}
        Which changes are considered.
    criterion : {"aic", "bic"}
        ``-2 loglik + price * columns`` with price 2, or the log of the number of deaths: for censored data deaths,
        not patients, are the sample size (Volinsky 2000, doi:10.1111/j.0006-341x.2000.00256.x).
    ties : {"efron", "breslow"}
        Rule for tied deaths.
    max_start_share : float
        A model holds at most this many columns per death. When there are more, backward and both start from the best
        by univariate p, and forward stops there.
    mandatory : sequence of int
        Positions of columns that are never dropped, and in the model from the start.
    n_jobs : int
        Threads of the univariate screen; they do not change the result.
    random_state : int
        Not used; there so that all learners are made alike.

    Attributes
    ----------
    coef_ : ndarray (p,)
        Unpenalized maximum likelihood estimates on the scale of X; 0 for columns that were not kept.
    selected_ : ndarray of int (k,)
        Positions of the columns kept, ascending; at least one.
    trace_ : list of (str, float)
        Each change ("start", "- name" or "+ name") and the criterion after it.
    criterion_ : float
        Criterion of the final model.
    """

    def __init__(
        self,
        direction: str = "both",
        criterion: str = "aic",
        ties: Ties = "efron",
        max_start_share: float = 0.8,
        mandatory: Sequence[int] = (),
        n_jobs: int = 1,
        random_state: int = 0,
    ):
        self.direction = direction
        self.criterion = criterion
        self.ties = ties
        self.max_start_share = max_start_share
        self.mandatory = mandatory
        self.n_jobs = n_jobs
        self.random_state = random_state

    def _fit(self, x: np.ndarray, time: np.ndarray, event: np.ndarray) -> None:
        mandatory = self._check_parameters(x.shape[1])
        deaths = int(event.sum())
        price = 2.0 if self.criterion == "aic" else math.log(deaths)
        limit = max(int(self.max_start_share * deaths), 1)
        z, mean, scale = standardize(x)
        data = _Data(z, time, event, self.ties, univariate_cox(z, time, event, self.ties, self.n_jobs))
        varies = np.asarray(data.screen.status_names != "constant")
        if not varies.any():
            raise InputError("StepCox: no column varies among those at risk when somebody dies; give it other columns")
        self._note(~varies, "left out: constant among those at risk when somebody dies")
        pool = np.zeros_like(varies) if self.direction == "forward" else varies.copy()
        pool[mandatory] = varies[mandatory]
        start, beta = self._start(data, pool, mandatory, limit)
        removable, addable = np.zeros_like(varies), np.zeros_like(varies)
        if self.direction == "forward":
            addable = varies & ~pool
        else:
            removable[start] = True
            removable[mandatory] = False
            addable = removable if self.direction == "both" else addable
        sets = risk_sets(time, event)
        rows = np.ascontiguousarray(z[sets.order].T)
        path = stepwise_search(rows, sets, is_efron(self.ties), start, beta, removable, addable, price, limit)
        self._describe(path, limit, int(addable.sum()))
        selected = np.array(sorted(path.members), dtype=np.int64)
        if selected.size == 0:
            selected = self._best_single(data)
        final = data.fit(selected)
        if final.status != "converged" or final.singular:
            final = data.fit(selected, FALLBACK_RIDGE)
            self.notes_.append("the likelihood of the final model has no maximum: coefficients are shrunk by a ridge")
        coefficients = np.zeros(z.shape[1])
        coefficients[selected] = final.beta / scale[selected]
        self.selected_ = selected
        self.criterion_ = -2.0 * final.loglik + price * selected.size
        self._set_linear(coefficients, mean)

    def _check_parameters(self, n_columns: int) -> list[int]:
        if self.direction not in ("both", "backward", "forward"):
            raise InputError(f"direction: {self.direction!r} is not known; use both, backward or forward")
        if self.criterion not in ("aic", "bic"):
            raise InputError(f"criterion: {self.criterion!r} is not known; use aic or bic")
        if not 0 < self.max_start_share <= 1:
            raise InputError(f"max_start_share must lie above 0 and up to 1, got {self.max_start_share}")
        mandatory = sorted({int(j) for j in self.mandatory})
        if mandatory and not 0 <= mandatory[0] <= mandatory[-1] < n_columns:
            raise InputError(f"mandatory must hold positions from 0 to {n_columns - 1}, got {list(self.mandatory)}")
        return mandatory

    def _start(self, data: _Data, pool: np.ndarray, mandatory: list[int], limit: int) -> tuple[list[int], np.ndarray]:
        """Find the start model within ``pool`` (p,): small enough, independent columns, a finite optimum."""
        p_value = data.screen.p_screen
        fixed = np.array([j for j in mandatory if pool[j]], dtype=np.int64)
        # Mandatory columns first, then by univariate p.
        queue = np.lexsort((p_value, ~np.isin(np.arange(pool.size), fixed)))
        queue = queue[pool[queue]]
        size = max(limit, fixed.size)
        usable, weak = pool.copy(), np.zeros_like(pool)
        while True:
            chosen = queue[usable[queue]][:size]
            # In a dependent set the later column goes, and a mandatory one last.
            chosen = np.concatenate([fixed[usable[fixed]], np.setdiff1d(chosen, fixed)])
            beta = np.zeros(0)
            if chosen.size == 0:
                break
            dependent = chosen[~_independent(data, chosen)]
            if dependent.size:
                usable[dependent] = False
                continue
            fit = data.fit(chosen)
            beta = fit.beta
            if fit.status == "converged" and not fit.singular:
                break
            losable = chosen[~np.isin(chosen, fixed)]
            if losable.size == 0:
                raise InputError("StepCox: the mandatory columns alone have no maximum likelihood fit; name fewer")
            out = losable[np.argsort(p_value[losable], kind="stable")][-math.ceil(0.1 * losable.size) :]
            weak[out], usable[out] = True, False
            size = chosen.size - out.size
        beyond = usable.copy()
        beyond[chosen] = False
        self._note(
            beyond,
            f"left out of the start model, the weakest by univariate p: {int(data.event.sum())} deaths allow {limit} "
            f"columns with max_start_share {self.max_start_share:g}",
        )
        self._note(pool & ~usable & ~weak, "left out: linear combinations of other columns")
        self._note(
            weak, "left out of the start model, the weakest by univariate p: with them the fit does not converge"
        )
        order = np.argsort(chosen)
        return chosen[order].tolist(), beta[order]

    def _describe(self, path: StepwisePath, limit: int, n_addable: int) -> None:
        """Set ``trace_`` and note what the search could not do."""
        changes = ["start"] + [f"{'+' if j > 0 else '-'} {self._name(abs(j) - 1)}" for j in path.changes]
        self.trace_ = list(zip(changes, path.criteria, strict=False))
        if not path.criteria:
            self.notes_.append("nothing was dropped or added: the information of the start model is nearly singular")
        refused = np.zeros(self.n_features_in_, dtype=bool)
        refused[path.unbounded] = True
        self._note(refused, "could not enter: with them the likelihood has no maximum")
        if self.direction == "forward" and len(path.members) >= limit and n_addable > len(path.changes):
            self.notes_.append(
                f"the search ended at {len(path.members)} columns, the most that max_start_share "
                f"{self.max_start_share:g} allows"
            )

    def _best_single(self, data: _Data) -> np.ndarray:
        """The column with the best likelihood on its own (1,), for a model must have one."""
        gain = np.where(data.screen.status_names == "converged", data.screen.lr_test, -np.inf)
        best = int(np.argmax(gain)) if np.isfinite(gain).any() else int(np.argmin(data.screen.p_screen))
        self.notes_.append(
            f"by {self.criterion.upper()} the empty model is best: the best single column was taken, {self._name(best)}"
        )
        return np.array([best])

    def _name(self, column: int) -> str:
        names = getattr(self, "feature_names_in_", None)
        return str(column) if names is None else str(names[column])

    def _note(self, columns: np.ndarray, words: str) -> None:
        """Add a note on the columns (p,) that are marked, if any."""
        marked = np.flatnonzero(columns)
        if marked.size:
            listed = shorten([self._name(int(j)) for j in marked])
            self.notes_.append(f"{marked.size} of {columns.size} columns {words} ({listed})")


def _independent(data: _Data, columns: np.ndarray) -> np.ndarray:
    """Mark the columns (k,) that are no linear combination of earlier ones among those at risk.

    As in coxph, a column goes when its pivot in the Cholesky decomposition of the information at 0 vanishes.
    """
    information = -partial_likelihood(data.z[:, columns], data.time, data.event, np.zeros(columns.size), data.ties)[2]
    least = 1e-9 * np.diag(information).max()
    kept = np.zeros(columns.size, dtype=bool)
    for j in range(columns.size):
        pivot = information[j, j]
        kept[j] = pivot > least
        if kept[j]:
            information -= np.outer(information[j], information[j]) / pivot
    return kept
