"""Elastic-net Cox regression by coordinate descent, in glmnet's conventions.

Minimizes ``-(1/n) l(b) + lambda * (alpha * |b|_1 + (1 - alpha) / 2 * |b|_2^2)`` where ``l`` is the Breslow log partial
likelihood and ``b`` belongs to columns standardized with ddof 0 (Simon 2011, doi:10.18637/jss.v039.i05). Coefficients
are given on the scale of the input columns. scikit-survival's Coxnet uses the same objective; this one is many times
faster on small cohorts and needs no import of it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from amlprognosis.errors import InputError
from amlprognosis.models.lasso_kernels import loglik_rows, path, spreads
from amlprognosis.models.penalized_cohort import Cohort, checked_lambdas, closing_deaths
from amlprognosis.models.penalized_cv import LassoCV, LassoPath, cross_validate, path_of


class _Part:
    """Some patients of a cohort and a path that is fitted piece by piece, each starting where the last one ended."""

    def __init__(
        self,
        cohort: Cohort,
        inside: np.ndarray,
        alpha: float,
        factor: np.ndarray,
        tolerance: float,
        max_active: int,
    ):
        p, n = cohort.columns.shape
        self.cohort = cohort
        self.inside = inside.astype(np.float64)
        self.deaths = cohort.deaths * self.inside
        self.closing = closing_deaths(cohort.sets, self.deaths)
        # The cohort's columns are standardized among all patients, the penalty is by the spread inside.
        spread = spreads(cohort.columns, self.inside)
        used = np.isfinite(factor) & (spread > 0)
        share = np.where(used, factor, 0.0)
        self.lasso = np.where(used, alpha * share * spread, np.inf)
        self.ridge = (1 - alpha) * share * spread**2
        self.tolerance, self.max_active = float(tolerance), int(max_active)
        self.room = min(p, 2 * self.max_active + 64)
        self.null = float(loglik_rows(np.zeros((1, n)), self.inside, self.deaths, self.closing)[0])
        self.beta = np.zeros(p)
        self.previous = np.nan
        self.stopped = False

    def run(self, lambdas: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Go on along ``lambdas``; gives standardized coefficients and log likelihoods of the part and of all."""
        betas, logliks, done = path(
            self.cohort.columns,
            self.inside,
            self.deaths,
            self.closing,
            self.cohort.deaths,
            self.cohort.closing,
            self.lasso,
            self.ridge,
            lambdas,
            lambdas[0] if np.isnan(self.previous) else self.previous,
            self.tolerance,
            self.max_active,
            self.null,
            self.beta,
            self.room,
        )
        self.previous, self.stopped = float(lambdas[max(done - 1, 0)]), done < lambdas.size
        return betas[:done], logliks[:done]

    def standardized(self, inner: np.ndarray) -> np.ndarray:
        """Coefficients (k, p) of the cohort's columns: what :meth:`run` gives."""
        return inner


def solve_path(
    cohort: Cohort,
    lambdas: np.ndarray,
    alpha: float,
    factor: np.ndarray,
    tolerance: float,
    max_active: int,
    start: np.ndarray | None = None,
) -> LassoPath:
    """Run :func:`lasso_path` on a prepared cohort.

    Penalties ``lambdas`` (k,) descend, ``factor`` (p,) are the penalty factors, and ``start`` (p,) coefficients near
    the first penalty's.

    Raises
    ------
    InputError
        If mandatory columns separate deaths from survivors.
    """
    part = _Part(cohort, np.ones(cohort.deaths.size, dtype=bool), alpha, factor, tolerance, max_active)
    if start is not None:
        part.beta[:] = start * cohort.scale
    betas, logliks = part.run(np.ascontiguousarray(lambdas, dtype=np.float64))
    return path_of(part, cohort, lambdas, betas, logliks[:, 0])


def _factor(penalty_factor: np.ndarray | None, p: int) -> np.ndarray:
    return np.ones(p) if penalty_factor is None else np.asarray(penalty_factor, dtype=np.float64)


def _limit(max_active: int | None, x: np.ndarray) -> int:
    """Nonzero coefficients at most; beyond a few times the patients an elastic net is no longer sparse."""
    return min(x.shape[1], 4 * x.shape[0]) if max_active is None else int(max_active)


def lambda_sequence(
    x: np.ndarray,
    time: np.ndarray,
    event: np.ndarray,
    alpha: float = 1.0,
    n_lambda: int = 60,
    min_ratio: float = 0.02,
    penalty_factor: np.ndarray | None = None,
) -> np.ndarray:
    """Make a geometric sequence from the smallest penalty that keeps nothing down to ``min_ratio`` of it.

    Columns with penalty factor 0 are in the model from the start. Parameters as of :func:`lasso_path`.

    Returns
    -------
    ndarray (n_lambda,)
        Descending.

    Raises
    ------
    InputError
        If no column varies among patients at risk, nobody died, or a value is not finite.
    """
    cohort = Cohort(x, time, event)
    return cohort.lambda_sequence(alpha, n_lambda, min_ratio, _factor(penalty_factor, len(cohort.columns)))


def lasso_path(
    x: np.ndarray,
    time: np.ndarray,
    event: np.ndarray,
    lambdas: np.ndarray,
    alpha: float = 1.0,
    penalty_factor: np.ndarray | None = None,
    tolerance: float = 1e-14,
) -> LassoPath:
    """Fit an elastic-net Cox model along a sequence of penalties.

    Parameters
    ----------
    x : ndarray (n, p)
        Finite columns; standardized inside (ddof 0).
    time, event : ndarray (n,)
        Days; True = death.
    lambdas : ndarray (k,)
        Penalties, descending, on glmnet's scale.
    alpha : float
        1 = lasso, 0 = ridge (:func:`~amlprognosis.models.cox_ridge.ridge_path` is faster).
    penalty_factor : ndarray (p,), optional
        Multiplies each column's penalty; 0 = never penalized, infinite = not used. Not rescaled (glmnet makes them sum
        to p).
    tolerance : float
        Rest when no coordinate's squared derivative (of the objective above), divided by the share of patients who
        died, exceeds it; about the squared error of a coefficient per standard deviation.

    Returns
    -------
    LassoPath
        Shorter than ``lambdas`` if it was stopped behind 4 times as many nonzero coefficients as patients.

    Raises
    ------
    InputError
        If penalties are not positive and descending, nobody died, or a value is not finite.
    """
    lambdas = checked_lambdas(lambdas)
    _check_alpha(alpha)
    cohort = Cohort(x, time, event)
    factor = _factor(penalty_factor, len(cohort.columns))
    return solve_path(cohort, lambdas, alpha, factor, tolerance, _limit(None, x))


def _check_alpha(alpha: float) -> None:
    if not 0 <= alpha <= 1:
        raise InputError(f"alpha must lie in [0, 1], got {alpha}")


def stratified_folds(event: np.ndarray, n_folds: int, rng: np.random.Generator) -> np.ndarray:
    """Deal patients into folds, deaths and survivors separately, at random.

    Returns
    -------
    ndarray of int (n,)
        Fold of each patient, 0 .. k - 1; fewer folds than asked for when deaths are fewer.

    Raises
    ------
    InputError
        If fewer than 2 patients died.
    """
    event = np.asarray(event, dtype=bool)
    n_folds = min(int(n_folds), int(event.sum()))
    if n_folds < 2:
        raise InputError(f"inner cross-validation needs at least 2 deaths and 2 folds, got {int(event.sum())} deaths")
    folds = np.empty(event.size, dtype=np.int64)
    start = 0
    for stratum in (True, False):
        members = rng.permutation(np.flatnonzero(event == stratum))
        folds[members] = (np.arange(members.size) + start) % n_folds
        start += members.size
    return folds


def lasso_cv(
    x: np.ndarray,
    time: np.ndarray,
    event: np.ndarray,
    lambdas: np.ndarray,
    folds: np.ndarray,
    alpha: float = 1.0,
    tolerance: float = 1e-14,
    max_active: int | None = None,
    fold_tolerance: float = 1e-10,
    patience: int | None = None,
    columns: np.ndarray | None = None,
    fold_columns: Mapping[int, np.ndarray] | None = None,
) -> LassoCV:
    """Choose the penalty by the cross-validated partial likelihood (Verweij 1993, doi:10.1002/sim.4780122407).

    The deviance of a fold is that of all patients minus that of the fold's training part, both at the coefficients
    of the training part (``grouped=TRUE`` of cv.glmnet).

    Parameters
    ----------
    folds : ndarray of int (n,)
        Fold of each patient. A fold without deaths has weight 0.
    x, time, event, lambdas, alpha, tolerance
        As for :func:`lasso_path`.
    max_active : int, optional
        Stop a path after this many nonzero coefficients. None = 4 times the patients.
    fold_tolerance : float
        Tolerance of the folds' fits, of which only the deviance is used.
    patience : int, optional
        Stop once this many penalties beyond the best one brought nothing better (the dense end of a path takes
        most of the time). None = the whole path.
    columns : ndarray of int, optional
        Columns of x to use, the path's coefficients are theirs. None = all.
    fold_columns : mapping of fold to ndarray of int, optional
        Columns of x to use in the training part of a fold, where they were chosen there. None = ``columns``.

    Returns
    -------
    LassoCV

    Raises
    ------
    InputError
        As :func:`lasso_path`.
    """
    lambdas = checked_lambdas(lambdas)
    _check_alpha(alpha)
    x, folds = np.asarray(x, dtype=np.float64), np.asarray(folds)
    columns = np.arange(x.shape[1]) if columns is None else np.asarray(columns)
    used = columns
    if fold_columns is not None:
        used = np.unique(np.concatenate([columns, *fold_columns.values()]))
    cohort = Cohort(x[:, used], time, event)

    def masked(kept: np.ndarray) -> np.ndarray:
        return np.where(np.isin(used, kept), 1.0, np.inf)

    fold_factors = {} if fold_columns is None else {label: masked(kept) for label, kept in fold_columns.items()}
    found = elastic_net_cv(
        cohort,
        lambdas,
        folds,
        alpha,
        masked(columns),
        tolerance,
        _limit(max_active, x[:, columns]),
        fold_tolerance,
        patience,
        fold_factors,
    )
    place = np.searchsorted(used, columns) if fold_columns is not None else np.arange(columns.size)
    whole = found.path
    chosen = LassoPath(whole.lambdas, whole.coefficients[:, place], whole.loglik, whole.loglik_null, whole.n_nonzero)
    return LassoCV(chosen, found.mean, found.se, found.at_min, found.at_1se)


def elastic_net_cv(
    cohort: Cohort,
    lambdas: np.ndarray,
    folds: np.ndarray,
    alpha: float,
    factor: np.ndarray,
    tolerance: float,
    max_active: int,
    fold_tolerance: float,
    patience: int | None,
    fold_factors: Mapping[int, np.ndarray] | None = None,
    n_jobs: int = 1,
) -> LassoCV:
    """Run :func:`lasso_cv` on a prepared cohort.

    ``folds`` (n,) are in the order of the cohort's input, ``factor`` (p,) the penalty factors, which ``fold_factors``
    replace in the training part of a fold. Threads do not change the result.

    Raises
    ------
    InputError
        If mandatory columns separate deaths from survivors.
    """
    folds = folds[cohort.sets.order]
    parts = [_Part(cohort, np.ones(folds.size, dtype=bool), alpha, factor, tolerance, max_active)]
    for label in np.unique(folds):
        if cohort.sets.event[folds == label].any():
            used = (fold_factors or {}).get(int(label), factor)
            parts.append(_Part(cohort, folds != label, alpha, used, fold_tolerance, max_active))
    return cross_validate(cohort, parts, lambdas, patience, n_jobs)
