"""CoxBoost: likelihood-based component-wise boosting, with penalty and number of steps found by cross-validation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Literal

import numpy as np

from amlprognosis.errors import InputError
from amlprognosis.models.coxboost_kernels import BoostCV, Boosting, Part
from amlprognosis.models.learners.base import LinearLearner
from amlprognosis.models.learners.inner_folds import inner_folds

# A good penalty needs this many steps (optimCoxBoostPenalty: at least minstepno = 50, below 95% of maxstepno = 200):
# fewer are greedy, more cost time.
FEWEST_STEPS, MOST_STEPS = 50, 190
SEARCH_LENGTH = 10


class CoxBoost(LinearLearner):
    """Cox model fitted by component-wise boosting (Binder & Schumacher 2008, doi:10.1186/1471-2105-9-14).

    Each step changes one coefficient, that of the column with the largest penalized score statistic, and mandatory
    columns are refitted in between without a penalty, as CoxBoost 1.5 does in R (criterion "pscore", Efron's rule for
    ties, columns standardized with ddof 1). The number of steps has the largest cross-validated partial likelihood
    (Verweij 1993, doi:10.1002/sim.4780122407). The search leaves the curve when it has fallen for at least 30 steps and
    for half as many as brought it to its maximum.

    Parameters
    ----------
    penalty : "auto" or float
        On the information of a standardized column; about 9 times the number of deaths makes steps of a tenth of the
        full one. "auto" starts there and doubles or halves until cross-validation asks for 50 to 189 steps (as
        optimCoxBoostPenalty of R, with the same folds each time); with ``n_steps`` it stays there.
    max_steps : int
        Steps at most.
    n_steps : int, optional
        A fixed number of steps, without cross-validation.
    n_folds : int
        Folds of the cross-validation; fewer when deaths are fewer.
    mandatory : sequence of int
        Positions of columns that are always in the model, unpenalized.
    n_jobs : int
        Threads; they do not change the result.
    random_state : int
        Seed of the folds.

    Attributes
    ----------
    coef_ : ndarray (p,)
        On the scale of X.
    penalty_ : float
    n_steps_ : int
    cv_loglik_, cv_se_ : ndarray (k,)
        Mean over folds of the cross-validated log partial likelihood after 0, 1, .. steps, and its standard error;
        absent with ``n_steps``.

    Notes
    -----
    If cross-validation asks for no step at all, one is taken, and ``notes_`` says so.
    """

    def __init__(
        self,
        penalty: float | Literal["auto"] = "auto",
        max_steps: int = 500,
        n_steps: int | None = None,
        n_folds: int = 10,
        mandatory: Sequence[int] = (),
        n_jobs: int = 1,
        random_state: int = 0,
    ):
        self.penalty = penalty
        self.max_steps = max_steps
        self.n_steps = n_steps
        self.n_folds = n_folds
        self.mandatory = mandatory
        self.n_jobs = n_jobs
        self.random_state = random_state

    def _fit(self, x: np.ndarray, time: np.ndarray, event: np.ndarray) -> None:
        self._check_parameters()
        data = Boosting(x, time, event, self.mandatory)
        for name in ("cv_loglik_", "cv_se_"):
            if hasattr(self, name):
                delattr(self, name)
        start = 9.0 * data.n_events
        if self.n_steps is not None:
            self.penalty_ = start if self.penalty == "auto" else float(self.penalty)
            self.n_steps_ = int(self.n_steps)
        else:
            parts = data.parts(inner_folds(event, self.n_folds, self.random_state))
            if self.penalty == "auto":
                self.penalty_, curve = self._search(data, parts, start)
            else:
                self.penalty_ = float(self.penalty)
                curve = data.cross_validate(parts, self.penalty_, self.max_steps, self.n_jobs)
            self.cv_loglik_, self.cv_se_ = curve.mean, curve.se
            self.n_steps_ = curve.best
            if curve.best == 0:
                self.notes_.append("cross-validation asks for no boosting step: one was taken")
                self.n_steps_ = 1
            elif not curve.turned:
                self.notes_.append(f"the cross-validated likelihood may still rise after {self.n_steps_} steps")
        coefficients = data.path(self.penalty_, self.n_steps_).coefficients[-1]
        if not coefficients.any():
            self.notes_.append("no column is related to survival: every coefficient is 0")
        fixed = coefficients[data.mandatory]
        if (np.abs(fixed) > 10.0).any():
            columns = data.mandatory[np.abs(fixed) > 10.0].tolist()
            self.notes_.append(f"mandatory columns {columns} separate deaths from survivors: coefficients ran away")
        self._set_linear(coefficients / data.scale, data.mean)

    def _search(self, data: Boosting, parts: list[Part], start: float) -> tuple[float, BoostCV]:
        """Find a penalty whose best number of steps is neither small nor large, and its curve."""
        low, high = min(FEWEST_STEPS, self.max_steps // 4), min(MOST_STEPS, int(0.95 * self.max_steps))
        penalty = start
        curves: dict[float, BoostCV] = {}
        while penalty not in curves and len(curves) < SEARCH_LENGTH:
            curve = data.cross_validate(parts, penalty, self.max_steps, self.n_jobs, too_late=high)
            curves[penalty] = curve
            if low <= curve.best < high:
                return penalty, curve
            # Where the first step does harm, finer steps rarely help.
            if sum(tried.best == 0 for tried in curves.values()) == 3:
                break
            if curve.best >= high:
                penalty /= 2.0
            else:
                # The number of steps grows with the penalty about in proportion.
                doublings = round(math.log2((low + high) / 2.0 / max(curve.best, 1)))
                penalty *= 2.0 ** min(max(doublings, 1), 3)
        early = [key for key in curves if curves[key].best < high]
        if early:
            best = max(early, key=lambda key: (curves[key].best, -key))
        else:
            best = min(curves)
            curves[best] = data.cross_validate(parts, best, self.max_steps, self.n_jobs)
        self.notes_.append(
            f"no penalty asks for {low} to {high - 1} steps: {curves[best].best} with penalty {best:.6g} came nearest"
        )
        return best, curves[best]

    def _check_parameters(self) -> None:
        if self.penalty != "auto" and not (isinstance(self.penalty, Real) and 0 < self.penalty < math.inf):
            raise InputError(f'penalty must be "auto" or a positive number, got {self.penalty!r}')
        if not all(isinstance(column, Integral) for column in self.mandatory):
            raise InputError(f"mandatory must hold positions of columns, got {list(self.mandatory)!r}")
        for name, least in (("max_steps", 4), ("n_steps", 1), ("n_folds", 2)):
            value = getattr(self, name)
            if name == "n_steps" and value is None:
                continue
            if not isinstance(value, Integral) or value < least:
                raise InputError(f"{name} must be a whole number of at least {least}, got {value!r}")
