"""Ridge Cox regression along a path of penalties of its own, in glmnet's conventions (alpha = 0).

Minimizes ``-(1/n) l(b) + lambda / 2 * |b|_2^2`` where ``l`` is the Breslow log partial likelihood and ``b`` belongs to
columns standardized with ddof 0. Newton's method, in the coordinates of the columns' singular value decomposition
when columns are more than patients: a ridge solution lies in the span of the patients.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from amlprognosis.models.cox_fit import combine, weighted_gram
from amlprognosis.models.lasso_kernels import breslow, factorize, loglik_rows, measure, predict_rows, solve
from amlprognosis.models.learners.base import run_threads
from amlprognosis.models.penalized_cohort import Cohort, Coordinates, checked_lambdas, closing_deaths
from amlprognosis.models.penalized_cv import LassoCV, LassoPath, cross_validate, path_of

# The Hessian is renewed when a step leaves more than this share of the gradient.
SLOW = 0.3


@njit(cache=True, nogil=True, error_model="numpy")
def _information(x, risk, hazard, closing, size, rows, weight, out):
    """Minus the Hessian of the log likelihood per patient; ``rows`` holds x above the means of the risk sets."""
    n, r = x.shape
    s0 = 0.0
    count = n
    for k in range(r):
        rows[-1, k] = 0.0
    for i in range(n):
        s0 += risk[i]
        weight[i] = risk[i] * hazard[i] / size
        for k in range(r):
            rows[-1, k] += risk[i] * x[i, k]
        if closing[i] > 0.0:
            for k in range(r):
                rows[count, k] = rows[-1, k] / s0
            weight[count] = -closing[i] / size
            count += 1
    weighted_gram(rows, weight, count, out)


@njit(cache=True, nogil=True, error_model="numpy")
def path(x, inside, deaths, closing, all_deaths, all_closing, lambdas, tolerance, theta):
    """Fit along lambdas from warm start ``theta`` (r,), changed in place; x is (n, r).

    Returns coefficients (k, r), log likelihoods of the patients inside and of all (k, 2), and how many are done: fewer
    when a fit is out of the range of floats.
    """
    n, r = x.shape
    size, sets, rest = measure(inside, deaths, closing, tolerance)
    thetas, logliks = np.empty((lambdas.size, r)), np.empty((lambdas.size, 2))
    eta, gradient, risk, hazard = np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    everyone, spare = np.ones(n), np.empty((3, n))
    rows, weight = np.empty((n + sets + 1, r)), np.empty(n + sets)
    information, factor = np.empty((r, r)), np.empty((r, r))
    for i in range(n):
        for k in range(r):
            rows[i, k] = x[i, k]
    slopes, trial, step = np.empty(r), np.empty(r), np.empty(r)
    predict_rows(x, theta, eta)
    loglik = breslow(eta, inside, deaths, closing, risk, hazard, gradient)
    combine(x, gradient, n, slopes)
    stale = True
    for place in range(lambdas.size):
        lam = lambdas[place]
        if not stale:
            factorize(information, lam, factor)
        last = np.inf
        for _iteration in range(200):
            worst = 0.0
            square = 0.0
            for k in range(r):
                step[k] = slopes[k] / size - lam * theta[k]
                worst = max(worst, abs(step[k]))
                square += theta[k] * theta[k]
            if worst <= rest:
                break
            stale = stale or worst > SLOW * last
            last = worst
            fresh = stale
            if stale:
                _information(x, risk, hazard, closing, size, rows, weight, information)
                factorize(information, lam, factor)
                stale = False
            solve(factor, step)
            objective = 0.5 * lam * square - loglik / size
            accepted = False
            for _halving in range(30):
                square = 0.0
                for k in range(r):
                    trial[k] = theta[k] + step[k]
                    square += trial[k] * trial[k]
                predict_rows(x, trial, eta)
                loglik = breslow(eta, inside, deaths, closing, risk, hazard, gradient)
                if 0.5 * lam * square - loglik / size <= objective + 1e-12 * abs(objective):
                    accepted = True
                    break
                stale = True
                for k in range(r):
                    step[k] *= 0.5
            for k in range(r):
                theta[k] = trial[k]
            combine(x, gradient, n, slopes)
            if not accepted and fresh:
                break
        for k in range(r):
            thetas[place, k] = theta[k]
        logliks[place, 0] = loglik
        logliks[place, 1] = breslow(eta, everyone, all_deaths, all_closing, spare[0], spare[1], spare[2])
        if not (math.isfinite(logliks[place, 0]) and math.isfinite(logliks[place, 1])):
            return thetas, logliks, place
    return thetas, logliks, lambdas.size


class _Part:
    """Some patients of a cohort, in coordinates of at most their number, and a path that is fitted piece by piece."""

    def __init__(self, cohort: Cohort, inside: np.ndarray, tolerance: float):
        self.stopped = False
        self.cohort, self.tolerance = cohort, float(tolerance)
        self.inside = inside.astype(np.float64)
        self.deaths = cohort.deaths * self.inside
        self.closing = closing_deaths(cohort.sets, self.deaths)
        self.null = float(loglik_rows(np.zeros((1, inside.size)), self.inside, self.deaths, self.closing)[0])
        self.coordinates = Coordinates(cohort, inside)
        self.x = self.coordinates.x
        self.theta = np.zeros(self.x.shape[1])

    def run(self, lambdas: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Go on along ``lambdas``; gives coefficients in the part's coordinates and log likelihoods."""
        cohort = self.cohort
        thetas, logliks, done = path(
            self.x,
            self.inside,
            self.deaths,
            self.closing,
            cohort.deaths,
            cohort.closing,
            lambdas,
            self.tolerance,
            self.theta,
        )
        self.stopped = done < lambdas.size
        return thetas[:done], logliks[:done]

    def standardized(self, inner: np.ndarray) -> np.ndarray:
        """Coefficients (k, p) of the cohort's columns."""
        return self.coordinates.standardized(inner)


def ridge_path(
    x: np.ndarray, time: np.ndarray, event: np.ndarray, lambdas: np.ndarray, tolerance: float = 1e-16
) -> LassoPath:
    """Fit a ridge Cox model along a sequence of penalties.

    Parameters
    ----------
    x : ndarray (n, p)
        Finite columns; standardized inside (ddof 0).
    time, event : ndarray (n,)
        Days; True = death.
    lambdas : ndarray (k,)
        Penalties, positive, descending, on glmnet's scale.
    tolerance : float
        As in :func:`~amlprognosis.models.cox_lasso.lasso_path`.

    Returns
    -------
    LassoPath

    Raises
    ------
    InputError
        If penalties are not positive and descending, nobody died, or a value is not finite.
    """
    return solve_ridge(Cohort(x, time, event), checked_lambdas(lambdas), tolerance)


def solve_ridge(cohort: Cohort, lambdas: np.ndarray, tolerance: float) -> LassoPath:
    """Run :func:`ridge_path` on a prepared cohort."""
    part = _Part(cohort, np.ones(cohort.deaths.size, dtype=bool), tolerance)
    inner, logliks = part.run(lambdas)
    return path_of(part, cohort, lambdas, inner, logliks[:, 0])


def ridge_cv(
    cohort: Cohort,
    lambdas: np.ndarray,
    folds: np.ndarray,
    tolerance: float = 1e-16,
    fold_tolerance: float = 1e-10,
    patience: int | None = None,
    n_jobs: int = 1,
) -> LassoCV:
    """Choose a ridge penalty by the cross-validated partial likelihood.

    Parameters
    ----------
    cohort : Cohort
    lambdas : ndarray (k,)
        Penalties, descending.
    folds : ndarray of int (n,)
        Fold of each patient, in the order of the cohort's input. A fold without deaths is left out.
    tolerance, fold_tolerance, patience
        As in :func:`~amlprognosis.models.cox_lasso.lasso_cv`.
    n_jobs : int
        Threads; they do not change the result.
    """
    folds = folds[cohort.sets.order]
    masks = [np.ones(folds.size, dtype=bool)]
    masks += [folds != label for label in np.unique(folds) if cohort.sets.event[folds == label].any()]
    tolerances = [tolerance] + [fold_tolerance] * (len(masks) - 1)
    parts = run_threads(lambda item: _Part(cohort, *item), zip(masks, tolerances, strict=True), n_jobs)
    return cross_validate(cohort, parts, lambdas, patience, n_jobs)
