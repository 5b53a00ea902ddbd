"""Linear survival support vector machine: ranking by the squared hinge loss, solved by Newton's method."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Literal

import numpy as np
from numba import njit

from amlprognosis.errors import InputError
from amlprognosis.models.concordance import harrell_concordance
from amlprognosis.models.cox_fit import combine, weighted_gram
from amlprognosis.models.cox_lasso import stratified_folds
from amlprognosis.models.lasso_kernels import FAST, factorize, predict_rows, solve
from amlprognosis.models.learners.base import LinearLearner, run_threads
from amlprognosis.models.penalized_cohort import Cohort, Coordinates

# Weights of the loss that cross-validation tries, by 1 / (comparable pairs * columns).
GRID = 2.0 ** np.array([-1, 2, 5, 8, 11])
# Rest: the largest derivative by the largest at zero.
EXACT, ROUGH = 1e-10, 1e-5


@njit(cache=True, nogil=True, fastmath=FAST)
def _loss(score, first, gradient):
    """Half the sum of squared hinges of comparable pairs, and its gradient; patients first[j] and later outlive j."""
    n = score.size
    total = 0.0
    for i in range(n):
        gradient[i] = 0.0
    for j in range(n):
        start = first[j]
        edge = 1.0 + score[j]
        pull = 0.0
        for k in range(n - start):
            gap = edge - score[start + k]
            gap = gap if gap > 0.0 else 0.0
            total += gap * gap
            pull += gap
            gradient[start + k] -= gap
        gradient[j] += pull
    return 0.5 * total


@njit(cache=True, nogil=True, fastmath=FAST)
def _curve(score, first, direction, out):
    """Multiply the loss's generalized Hessian by a direction of scores."""
    n = score.size
    for i in range(n):
        out[i] = 0.0
    for j in range(n):
        start = first[j]
        edge = 1.0 + score[j]
        pull = 0.0
        for k in range(n - start):
            gap = direction[j] - direction[start + k]
            gap = gap if edge > score[start + k] else 0.0
            pull += gap
            out[start + k] -= gap
        out[j] += pull


@njit(cache=True, nogil=True)
def _covariance(x, out):
    """Covariance (r, r) of the columns of x (n, r), ddof 0."""
    n, r = x.shape
    weight, mean = np.empty(n), np.empty(r)
    for i in range(n):
        weight[i] = 1.0 / n
    combine(x, weight, n, mean)
    weighted_gram(x, weight, n, out)
    for k in range(r):
        for other in range(r):
            out[k, other] -= mean[k] * mean[other]


@njit(cache=True, nogil=True)
def _newton(x, first, alpha, covariance, tolerance, w):
    """Minimize half the squared norm of ``w`` plus ``alpha`` times the loss from warm start ``w`` (r,), in place.

    Truncated Newton steps by conjugate gradients, preconditioned by the Hessian that random pairs would have. Returns
    whether it came to rest.
    """
    n, r = x.shape
    score, pull, curved = np.empty(n), np.empty(n), np.empty(n)
    gradient, step, residual, direction = np.empty(r), np.empty(r), np.empty(r), np.empty(r)
    product, trial, conditioned, factor = np.empty(r), np.empty(r), np.empty(r), np.empty((r, r))
    pairs = 0
    for j in range(n):
        pairs += n - first[j]
        score[j] = 0.0
    # The factor of covariance + identity / spread is that of the wanted matrix up to a number, which does not matter.
    factorize(covariance, 1.0 / max(2.0 * alpha * pairs, 1e-300), factor)
    _loss(score, first, pull)
    combine(x, pull, n, product)
    rest = 0.0
    for k in range(r):
        rest = max(rest, abs(alpha * product[k]))
    rest *= tolerance
    predict_rows(x, w, score)
    loss = _loss(score, first, pull)
    for _iteration in range(200):
        combine(x, pull, n, gradient)
        worst = 0.0
        squared = 0.0
        rho = 0.0
        for k in range(r):
            gradient[k] = w[k] + alpha * gradient[k]
            squared += w[k] * w[k]
            worst = max(worst, abs(gradient[k]))
            step[k] = 0.0
            residual[k] = -gradient[k]
            direction[k] = residual[k]
        if worst <= rest:
            return True
        solve(factor, direction)
        for k in range(r):
            rho += residual[k] * direction[k]
        goal = 1e-4 * rho
        for _inner in range(2 * r + 10):
            predict_rows(x, direction, curved)
            _curve(score, first, curved, pull)
            combine(x, pull, n, product)
            bend = 0.0
            for k in range(r):
                product[k] = direction[k] + alpha * product[k]
                bend += direction[k] * product[k]
            length = rho / bend
            last = rho
            rho = 0.0
            for k in range(r):
                step[k] += length * direction[k]
                residual[k] -= length * product[k]
                conditioned[k] = residual[k]
            solve(factor, conditioned)
            for k in range(r):
                rho += residual[k] * conditioned[k]
            if rho <= goal:
                break
            for k in range(r):
                direction[k] = conditioned[k] + rho / last * direction[k]
        slope = 0.0
        for k in range(r):
            slope += gradient[k] * step[k]
        objective = 0.5 * squared + alpha * loss
        reach = 1.0
        for _halving in range(40):
            squared = 0.0
            for k in range(r):
                trial[k] = w[k] + reach * step[k]
                squared += trial[k] * trial[k]
            predict_rows(x, trial, score)
            loss = _loss(score, first, pull)
            if 0.5 * squared + alpha * loss <= objective + 1e-4 * reach * slope + 1e-14 * objective:
                break
            reach *= 0.5
        for k in range(r):
            w[k] = trial[k]
    return False


class _Part:
    """A training part, and the machine's weights at the last penalty."""

    def __init__(self, cohort: Cohort, time: np.ndarray, inside: np.ndarray):
        event = cohort.sets.event
        rows = np.flatnonzero(inside)
        # By time; a patient censored at the time of a death outlives it, another who died then does not.
        rows = rows[np.lexsort((~event[rows], time[rows]))]
        _, block, deaths = np.unique(time[rows], return_inverse=True, return_counts=True)
        deaths = np.bincount(block, event[rows]).astype(np.int64)
        after = np.searchsorted(block, np.arange(deaths.size)) + deaths
        self.first = np.where(event[rows], after[block], rows.size)
        self.coordinates = Coordinates(cohort, inside)
        self.x = np.ascontiguousarray(self.coordinates.x[rows])
        r = self.x.shape[1]
        self.w, self.covariance = np.zeros(r), np.empty((r, r))
        _covariance(self.x, self.covariance)

    @property
    def n_pairs(self) -> int:
        """Comparable pairs."""
        return int((self.first.size - self.first).sum())

    def run(self, alphas: np.ndarray, tolerance: float) -> tuple[np.ndarray, bool]:
        """Risks (k, n) of all patients at ascending weights of the loss, and whether all came to rest."""
        risks, rested = np.empty((alphas.size, len(self.coordinates.x))), True
        for row, alpha in enumerate(alphas):
            rested &= _newton(self.x, self.first, float(alpha), self.covariance, tolerance, self.w)
            risks[row] = -(self.coordinates.x @ self.w)
        return risks, rested


class SurvivalSVM(LinearLearner):
    """Linear survival support vector machine with the ranking objective of scikit-survival's ``FastSurvivalSVM``.

    Minimizes ``|w|^2 / 2 + alpha / 2 * sum max(0, 1 - w'(z_i - z_j))^2`` over all pairs in which patient i is known to
    outlive patient j (Poelsterl 2015, doi:10.1007/978-3-319-23525-7_15), z standardized with ddof 0; the risk is
    ``-w'z``. A patient censored at the time of a death outlives it, patients who died at the same time make no pair.
    Solved by truncated Newton steps in time proportional to deaths x patients.

    Parameters
    ----------
    alpha : "cv" or float
        Weight of the loss; small = strong regularization. "cv" takes the one of five with the largest cross-validated
        concordance: 2^-1, 2^2, 2^5, 2^8 and 2^11 by the number of comparable pairs times columns.
    n_folds : int
        Folds, stratified by death; fewer when deaths are fewer.
    n_jobs : int
        Threads; they do not change the result.
    random_state : int
        Seed of the folds.

    Attributes
    ----------
    coef_ : ndarray (p,)
        On the scale of X; positive = earlier death.
    alpha_ : float
    concordance_ : dict of float to float
        Cross-validated Harrell's C by weight of the loss.
    """

    def __init__(self, alpha: float | Literal["cv"] = "cv", n_folds: int = 5, n_jobs: int = 1, random_state: int = 0):
        self.alpha = alpha
        self.n_folds = n_folds
        self.n_jobs = n_jobs
        self.random_state = random_state

    def _fit(self, x: np.ndarray, time: np.ndarray, event: np.ndarray) -> None:
        if self.alpha != "cv" and not (isinstance(self.alpha, Real) and 0 < self.alpha < math.inf):
            raise InputError(f'alpha must be "cv" or a positive number, got {self.alpha!r}')
        if not isinstance(self.n_folds, Integral) or self.n_folds < 2:
            raise InputError(f"n_folds must be a whole number of at least 2, got {self.n_folds!r}")
        cohort = Cohort(x, time, event)
        if not cohort.columns.any():
            raise InputError("every column is constant: there is nothing to learn from")
        order = cohort.sets.order
        time, event = time[order], event[order]
        folds = stratified_folds(event, self.n_folds, np.random.default_rng(self.random_state))
        masks = [np.ones(folds.size, dtype=bool), *(folds != label for label in np.unique(folds))]
        parts = run_threads(lambda inside: _Part(cohort, time, inside), masks, self.n_jobs)
        whole, parts = parts[0], parts[1:]
        if whole.n_pairs == 0:
            raise InputError("no comparable pair: nobody is known to have outlived a patient who died")
        alphas = GRID / (whole.n_pairs * x.shape[1]) if self.alpha == "cv" else np.array([float(self.alpha)])
        found = run_threads(lambda part: part.run(alphas, ROUGH), parts, self.n_jobs)
        held_out = np.empty((alphas.size, folds.size))
        good, pairs = np.zeros(alphas.size), 0
        for label, (risks, _) in enumerate(found):
            out = folds == label
            held_out[:, out] = risks[:, out]
            for row, risk in enumerate(risks):
                count = harrell_concordance(time[out], event[out], risk[out])
                good[row] += count.concordant + count.tied_risk / 2
            pairs += count.concordant + count.discordant + count.tied_risk
        concordance = good / pairs if pairs else np.full(alphas.size, np.nan)
        at = int(np.argmax(good))
        self.alpha_ = float(alphas[at])
        self.concordance_ = dict(zip(alphas.tolist(), concordance.tolist(), strict=True))
        _, rested = whole.run(alphas[: at + 1], EXACT)
        if not rested or not all(rested for _, rested in found):
            self.notes_.append("the machine did not converge: columns may be nearly collinear, or alpha too large")
        self._set_linear(-whole.coordinates.standardized(whole.w[None])[0] / cohort.scale, cohort.mean)
        self._calibrate(held_out[at], time, event)
