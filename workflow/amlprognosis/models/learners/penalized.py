"""Lasso, elastic net and ridge Cox regression with the penalty chosen by the cross-validated partial likelihood."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Literal

import numpy as np

from amlprognosis.errors import InputError
from amlprognosis.models.cox_lasso import elastic_net_cv, solve_path, stratified_folds
from amlprognosis.models.cox_ridge import ridge_cv, solve_ridge
from amlprognosis.models.learners.base import LinearLearner
from amlprognosis.models.penalized_cohort import Cohort
from amlprognosis.models.penalized_cv import LassoCV

# The penalty is left alone once this many steps of 100 (30 for ridge) beyond the best one brought nothing better.
PATIENCE = 10
RIDGE_PATIENCE = 6
# Coefficients of all patients' fit are exact to about the square root.
EXACT = 1e-18
RUNAWAY = 10.0


class _Penalized(LinearLearner):
    """What the three share: checks of parameters, path of penalties, what is told of it."""

    n_folds: int
    n_lambda: int
    min_ratio: float | None
    penalty: float | None
    random_state: int
    n_jobs: int
    penalty_: float

    def _check_parameters(self) -> None:
        for name, least in (("n_folds", 2), ("n_lambda", 2)):
            value = getattr(self, name)
            if not isinstance(value, Integral) or value < least:
                raise InputError(f"{name} must be a whole number of at least {least}, got {value!r}")
        if self.min_ratio is not None and not (isinstance(self.min_ratio, Real) and 0 < self.min_ratio < 1):
            raise InputError(f"min_ratio must lie between 0 and 1, got {self.min_ratio!r}")
        if self.penalty is not None and not (isinstance(self.penalty, Real) and 0 < self.penalty < math.inf):
            raise InputError(f"penalty must be a positive number, got {self.penalty!r}")

    def _lambdas(self, cohort: Cohort, alpha: float, factor: np.ndarray) -> np.ndarray:
        p, n = cohort.columns.shape
        ratio = (1e-4 if n > p else 0.01) if self.min_ratio is None else float(self.min_ratio)
        return cohort.lambda_sequence(alpha, int(self.n_lambda), ratio, factor)

    def _folds(self, event: np.ndarray) -> np.ndarray:
        return stratified_folds(event, self.n_folds, np.random.default_rng(self.random_state))

    def _came_to(self, penalty: float) -> None:
        """Take the end of a path that did not reach the fixed penalty."""
        self.notes_.append(
            f"penalty {self.penalty_:g} is too small for these patients: the path ended at {penalty:.3g}"
        )
        self.penalty_ = float(penalty)

    def _keep(self, found: LassoCV | None, at: int) -> None:
        if found is None:
            self.__dict__.pop("path_", None)
            return
        path = found.path
        self.penalty_ = float(path.lambdas[at])
        self.path_: dict[str, np.ndarray] = {
            "penalty": path.lambdas,
            "deviance": found.mean,
            "se": found.se,
            "n_nonzero": path.n_nonzero,
        }
        if found.at_min == path.lambdas.size - 1:
            self.notes_.append(
                f"the cross-validated deviance still fell at the end of the path (penalty {path.lambdas[-1]:.3g}, "
                f"{path.n_nonzero[-1]} coefficients)"
            )


class _Sparse(_Penalized):
    """Elastic net with any share of the lasso."""

    alpha: float
    rule: str
    mandatory: Sequence[int]

    def _fit(self, x: np.ndarray, time: np.ndarray, event: np.ndarray) -> None:
        self._check_parameters()
        if not (isinstance(self.alpha, Real) and 0 < self.alpha <= 1):
            raise InputError(f"alpha must lie above 0 and at most 1, got {self.alpha!r}; for alpha 0 use Ridge")
        if self.rule not in ("min", "1se"):
            raise InputError(f"rule {self.rule!r} is not known; use min or 1se")
        n, p = x.shape
        alpha = float(self.alpha)
        cohort = Cohort(x, time, event)
        factor = self._factor(cohort)
        lambdas = self._lambdas(cohort, alpha, factor)
        limit = p if p <= n else 2 * n
        if self.penalty is None:
            found = elastic_net_cv(
                cohort, lambdas, self._folds(event), alpha, factor, 1e-12, limit, 1e-10, PATIENCE, None, self.n_jobs
            )
            at = self._choose(found)
            self._keep(found, at)
            start = found.path.coefficients[at]
        else:
            if self.penalty >= lambdas[0] and factor.all():
                raise InputError(
                    f"penalty {self.penalty:g} keeps no column; the first one enters below {lambdas[0]:.4g}: "
                    "take a smaller penalty, or leave it to cross-validation"
                )
            self.penalty_ = float(self.penalty)
            self._keep(None, 0)
            steps = np.append(lambdas[lambdas > self.penalty_], self.penalty_)
            path = solve_path(cohort, steps, alpha, factor, 1e-8, 4 * n)
            if path.lambdas[-1] != self.penalty_:
                self._came_to(path.lambdas[-1])
            start = path.coefficients[-1]
        exact = solve_path(cohort, np.array([self.penalty_]), alpha, factor, EXACT, 4 * n, start)
        self._set_linear(exact.coefficients[0], cohort.mean)
        free = np.flatnonzero(factor == 0)
        runaway = free[np.abs(self.coef_ * cohort.scale)[free] > RUNAWAY]
        if runaway.size:
            self.notes_.append(
                f"mandatory columns {runaway.tolist()} separate deaths from survivors: coefficients ran away"
            )

    def _factor(self, cohort: Cohort) -> np.ndarray:
        """Penalty factors (p,): 0 for mandatory columns."""
        p = len(cohort.columns)
        positions = sorted({int(j) for j in self.mandatory})
        if positions and not 0 <= positions[0] <= positions[-1] < p:
            raise InputError(f"mandatory must hold positions from 0 to {p - 1}, got {list(self.mandatory)}")
        if len(positions) == p:
            raise InputError("every column is mandatory: nothing is left to penalize; fit a Cox model without penalty")
        constant = [j for j in positions if not cohort.columns[j].any()]
        if constant:
            self.notes_.append(f"mandatory columns {constant} are constant and have coefficient 0")
        factor = np.ones(p)
        factor[positions] = 0.0
        return factor

    def _choose(self, found: LassoCV) -> int:
        """Position on the path: by the rule, or the sparsest model with a column where the rule asks for none."""
        at = found.at_min if self.rule == "min" else found.at_1se
        counts = found.path.n_nonzero
        if counts[at] > 0:
            return at
        nonempty = np.flatnonzero(counts > 0)
        if nonempty.size == 0:
            raise InputError("no penalty of the path keeps a column; lower min_ratio or offer other columns")
        later = nonempty[nonempty > at]
        at = int(later[0]) if later.size else int(nonempty[0])
        self.notes_.append(
            f"cross-validation preferred the empty model: took the sparsest other one, with {counts[at]} column(s)"
        )
        return at


class ElasticNet(_Sparse):
    """Elastic-net Cox regression, as glmnet and cv.glmnet fit it.

    Minimizes ``-(1/n) l(b) + penalty * (alpha * |b|_1 + (1 - alpha) / 2 * |b|_2^2)`` with the Breslow log partial
    likelihood ``l`` and columns standardized with ddof 0 (Simon 2011, doi:10.18637/jss.v039.i05). The penalty has the
    least cross-validated deviance (Verweij 1993, doi:10.1002/sim.4780122407); the path is left 10 penalties behind it.

    Parameters
    ----------
    alpha : float
        Share of the lasso, above 0; 1 = lasso.
    rule : {"min", "1se"}
        Penalty of the least deviance, or the largest within one standard error of it.
    n_folds : int
        Folds of the cross-validation, stratified by death; fewer when deaths are fewer.
    n_lambda : int
        Penalties on the path.
    min_ratio : float, optional
        Smallest penalty of the path by the largest. None = 1e-4 when patients outnumber columns, 0.01 else.
    penalty : float, optional
        A fixed penalty, without cross-validation.
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
    path_ : dict of ndarray (k,)
        penalty, deviance (per death), se and n_nonzero along the path; absent with a fixed ``penalty``.

    Notes
    -----
    If cross-validation prefers the empty model, the sparsest other one of the path is taken, and ``notes_`` says so.
    With more columns than patients the path ends at twice as many coefficients as patients.
    """

    def __init__(
        self,
        alpha: float = 0.5,
        rule: Literal["min", "1se"] = "min",
        n_folds: int = 10,
        n_lambda: int = 100,
        min_ratio: float | None = None,
        penalty: float | None = None,
        mandatory: Sequence[int] = (),
        n_jobs: int = 1,
        random_state: int = 0,
    ):
        self.alpha = alpha
        self.rule = rule
        self.n_folds = n_folds
        self.n_lambda = n_lambda
        self.min_ratio = min_ratio
        self.penalty = penalty
        self.mandatory = mandatory
        self.n_jobs = n_jobs
        self.random_state = random_state


class Lasso(_Sparse):
    """Lasso Cox regression: :class:`ElasticNet` with alpha 1; parameters and attributes are described there."""

    alpha = 1.0

    def __init__(
        self,
        rule: Literal["min", "1se"] = "min",
        n_folds: int = 10,
        n_lambda: int = 100,
        min_ratio: float | None = None,
        penalty: float | None = None,
        mandatory: Sequence[int] = (),
        n_jobs: int = 1,
        random_state: int = 0,
    ):
        self.rule = rule
        self.n_folds = n_folds
        self.n_lambda = n_lambda
        self.min_ratio = min_ratio
        self.penalty = penalty
        self.mandatory = mandatory
        self.n_jobs = n_jobs
        self.random_state = random_state


class Ridge(_Penalized):
    """Ridge Cox regression with a penalty of its own, chosen by the cross-validated partial likelihood.

    Minimizes ``-(1/n) l(b) + penalty / 2 * |b|_2^2`` (glmnet's alpha 0; van Houwelingen 2006, doi:10.1002/sim.2353),
    columns standardized with ddof 0. The path starts where that of an elastic net with alpha 0.001 would.

    Parameters
    ----------
    n_folds : int
        Folds of the cross-validation, stratified by death; fewer when deaths are fewer.
    n_lambda : int
        Penalties on the path.
    min_ratio : float, optional
        Smallest penalty of the path by the largest. None = 1e-4 when patients outnumber columns, 0.01 else.
    penalty : float, optional
        A fixed penalty, without cross-validation.
    n_jobs : int
        Threads; they do not change the result.
    random_state : int
        Seed of the folds.

    Attributes
    ----------
    coef_ : ndarray (p,)
        On the scale of X.
    penalty_ : float
    path_ : dict of ndarray (k,)
        penalty, deviance (per death), se and n_nonzero along the path; absent with a fixed ``penalty``.
    """

    def __init__(
        self,
        n_folds: int = 10,
        n_lambda: int = 30,
        min_ratio: float | None = None,
        penalty: float | None = None,
        n_jobs: int = 1,
        random_state: int = 0,
    ):
        self.n_folds = n_folds
        self.n_lambda = n_lambda
        self.min_ratio = min_ratio
        self.penalty = penalty
        self.n_jobs = n_jobs
        self.random_state = random_state

    def _fit(self, x: np.ndarray, time: np.ndarray, event: np.ndarray) -> None:
        self._check_parameters()
        cohort = Cohort(x, time, event)
        lambdas = self._lambdas(cohort, 0.0, np.ones(x.shape[1]))
        if self.penalty is None:
            found = ridge_cv(
                cohort, lambdas, self._folds(event), tolerance=EXACT, patience=RIDGE_PATIENCE, n_jobs=self.n_jobs
            )
            self._keep(found, found.at_min)
            if found.at_min == 0:
                self.notes_.append("cross-validation preferred the largest penalty: all coefficients are close to 0")
            coefficients = found.path.coefficients[found.at_min]
        else:
            self._keep(None, 0)
            self.penalty_ = float(self.penalty)
            path = solve_ridge(cohort, np.append(lambdas[lambdas > self.penalty_], self.penalty_), EXACT)
            coefficients = path.coefficients[-1]
            if path.lambdas[-1] != self.penalty_:
                self._came_to(path.lambdas[-1])
        self._set_linear(coefficients, cohort.mean)
