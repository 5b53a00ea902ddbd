"""Elastic-net Cox regression by coordinate descent, in glmnet's conventions.

Minimizes ``-(1/n) l(b) + lambda * (alpha * |b|_1 + (1 - alpha) / 2 * |b|_2^2)`` where ``l`` is the Breslow log partial
likelihood and ``b`` belongs to columns standardized with ddof 0 (Simon 2011, doi:10.18637/jss.v039.i05). Intercept and
scaling are the caller's: :func:`lasso_path` standardizes and gives coefficients on the original scale.
scikit-survival's Coxnet uses the same objective; this kernel is several times faster on small cohorts and needs no
import of it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numba import njit

from amlprognosis.errors import InputError
from amlprognosis.models.cox_kernels import fit_cox
from amlprognosis.models.risk_sets import risk_sets

FAST = {"reassoc", "contract", "nsz"}


@njit(cache=True, nogil=True, fastmath=FAST)
def _dot(a, b):
    total = 0.0
    for i in range(a.size):
        total += a[i] * b[i]
    return total


@njit(cache=True, nogil=True, fastmath=FAST)
def _dot3(a, b):
    """Sum of a * b^2."""
    total = 0.0
    for i in range(a.size):
        total += a[i] * b[i] * b[i]
    return total


@njit(cache=True, nogil=True, fastmath=FAST)
def _subtract(r, w, x, d):
    for i in range(r.size):
        r[i] -= d * w[i] * x[i]


@njit(cache=True, nogil=True, fastmath=FAST)
def _add(eta, x, d):
    for i in range(eta.size):
        eta[i] += d * x[i]


@njit(cache=True, nogil=True)
def _breslow(eta, event, starts, gradient, weight):
    """Breslow log partial likelihood; fills its gradient in eta and the diagonal of minus its Hessian."""
    m = starts.size - 1
    top = eta.max()
    s0 = 0.0
    loglik = 0.0
    ratio = np.zeros(m)
    square = np.zeros(m)
    for g in range(m):
        deaths = 0
        for i in range(starts[g], starts[g + 1]):
            weight[i] = math.exp(eta[i] - top)
            s0 += weight[i]
            if event[i]:
                deaths += 1
                loglik += eta[i] - top
        if deaths > 0:
            loglik -= deaths * math.log(s0)
            ratio[g] = deaths / s0
            square[g] = deaths / (s0 * s0)
    c = 0.0
    c2 = 0.0
    for g in range(m - 1, -1, -1):
        c += ratio[g]
        c2 += square[g]
        for i in range(starts[g], starts[g + 1]):
            e = weight[i]
            gradient[i] = (1.0 if event[i] else 0.0) - e * c
            weight[i] = e * c - e * e * c2
    return loglik


@njit(cache=True, nogil=True)
def _penalty(beta, factor, lam, alpha):
    total = 0.0
    for j in range(beta.size):
        total += factor[j] * lam * (alpha * abs(beta[j]) + 0.5 * (1.0 - alpha) * beta[j] * beta[j])
    return total


@njit(cache=True, nogil=True)
def _path(x, event, starts, factor, lambdas, alpha, tolerance, max_active, null, beta, previous, betas, logliks):
    """Fit along lambdas from warm start ``beta`` (changed in place); x is (p, n). Returns the number done."""
    p, n = x.shape
    eta = np.zeros(n)
    gradient = np.empty(n)
    weight = np.empty(n)
    residual = np.empty(n)
    curvature = np.empty(p)
    old_beta = np.empty(p)
    active = np.zeros(p, dtype=np.bool_)
    for j in range(p):
        if beta[j] != 0.0:
            active[j] = True
            _add(eta, x[j], beta[j])
    loglik = _breslow(eta, event, starts, gradient, weight)
    slopes = np.empty(p)
    for j in range(p):
        slopes[j] = _dot(x[j], gradient) / n
    for step in range(lambdas.size):
        lam = lambdas[step]
        # Sequential strong rule (Tibshirani 2012, doi:10.1111/j.1467-9868.2011.01004.x), checked by KKT below.
        for j in range(p):
            if not active[j] and abs(slopes[j]) >= alpha * factor[j] * (2.0 * lam - previous):
                active[j] = True
        previous = lam
        for _round in range(50):
            members = np.flatnonzero(active)
            for _outer in range(100):
                objective = -loglik / n + _penalty(beta, factor, lam, alpha)
                old_beta[:] = beta
                residual[:] = gradient
                for j in members:
                    curvature[j] = _dot3(weight, x[j]) / n
                largest_total = 0.0
                first_sweep = True
                for _inner in range(1000):
                    largest = 0.0
                    for j in members:
                        # After one full sweep only nonzero coefficients move until they rest.
                        if not first_sweep and beta[j] == 0.0:
                            continue
                        v = curvature[j]
                        if v <= 0.0:
                            continue
                        pull = _dot(x[j], residual) / n + v * beta[j]
                        cut = factor[j] * lam * alpha
                        value = 0.0
                        if pull > cut:
                            value = (pull - cut) / (v + factor[j] * lam * (1.0 - alpha))
                        elif pull < -cut:
                            value = (pull + cut) / (v + factor[j] * lam * (1.0 - alpha))
                        d = value - beta[j]
                        if d != 0.0:
                            beta[j] = value
                            _subtract(residual, weight, x[j], d)
                            largest = max(largest, v * d * d)
                    largest_total = max(largest_total, largest)
                    if largest < tolerance:
                        if first_sweep:
                            break
                        first_sweep = True
                    else:
                        first_sweep = False
                eta[:] = 0.0
                for j in members:
                    if beta[j] != 0.0:
                        _add(eta, x[j], beta[j])
                loglik = _breslow(eta, event, starts, gradient, weight)
                halved = False
                for _halving in range(20):
                    now = -loglik / n + _penalty(beta, factor, lam, alpha)
                    if now <= objective + 1e-12 * abs(objective):
                        break
                    halved = True
                    eta[:] = 0.0
                    for j in members:
                        beta[j] = 0.5 * (beta[j] + old_beta[j])
                        if beta[j] != 0.0:
                            _add(eta, x[j], beta[j])
                    loglik = _breslow(eta, event, starts, gradient, weight)
                if largest_total < tolerance and not halved:
                    break
            violated = False
            for j in range(p):
                slopes[j] = _dot(x[j], gradient) / n
                if not active[j] and abs(slopes[j]) > alpha * factor[j] * lam * (1.0 + 1e-9):
                    active[j] = True
                    violated = True
            if not violated:
                break
        nonzero = 0
        for j in range(p):
            betas[step, j] = beta[j]
            if beta[j] != 0.0:
                nonzero += 1
            elif abs(slopes[j]) < alpha * factor[j] * lam:
                active[j] = False
        logliks[step] = loglik
        # A saturated fit (all of the null deviance explained) has no finite end.
        if nonzero > max_active or loglik > null * 0.01:
            return step + 1
    return lambdas.size


@njit(cache=True, nogil=True)
def _loglik_rows(eta, event, starts):
    """Breslow log partial likelihood of each row of eta (k, n)."""
    out = np.empty(eta.shape[0])
    gradient = np.empty(eta.shape[1])
    weight = np.empty(eta.shape[1])
    for k in range(eta.shape[0]):
        out[k] = _breslow(eta[k], event, starts, gradient, weight)
    return out


@dataclass(frozen=True)
class LassoPath:
    """A regularization path.

    Attributes
    ----------
    lambdas : ndarray (k,)
        Penalties, descending.
    coefficients : ndarray (k, p)
        On the scale of the input columns.
    loglik : ndarray (k,)
        Breslow log partial likelihood.
    loglik_null : float
        The same at 0.
    n_nonzero : ndarray of int (k,)
        Coefficients other than 0.
    """

    lambdas: np.ndarray
    coefficients: np.ndarray
    loglik: np.ndarray
    loglik_null: float
    n_nonzero: np.ndarray


def _standardize(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Center and scale (ddof 0); a constant column becomes all 0 with scale 1."""
    center = x.mean(axis=0)
    scale = x.std(axis=0)
    scale = np.where(scale > 1e-12 * np.maximum(np.abs(center), 1e-300), scale, 0.0)
    safe = np.where(scale > 0, scale, 1.0)
    return np.where(scale > 0, (x - center) / safe, 0.0), safe


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

    Columns with penalty factor 0 are in the model from the start.
    """
    z, _ = _standardize(np.asarray(x, dtype=np.float64))
    sets = risk_sets(time, event)
    factor = np.ones(z.shape[1]) if penalty_factor is None else np.asarray(penalty_factor, dtype=np.float64)
    gradient, weight = np.empty(len(z)), np.empty(len(z))
    penalized = factor > 0
    eta = np.zeros(len(z))
    if not penalized.all():
        eta = z[:, ~penalized] @ fit_cox(z[:, ~penalized], time, event, "breslow").beta
    _breslow(eta[sets.order], sets.event, sets.starts, gradient, weight)
    slopes = np.abs(z[sets.order].T @ gradient)[penalized] / factor[penalized] / len(z)
    # glmnet starts a ridge path where alpha = 0.001 would start.
    top = float(slopes.max(initial=0.0)) / max(alpha, 1e-3)
    if top <= 0:
        raise InputError("no column varies among patients at risk: a penalty path cannot be started")
    # A hair above the first column's slope: rounding must not let it in with a coefficient of 1e-17.
    return top * (1 + 1e-9) * min_ratio ** (np.arange(n_lambda) / max(n_lambda - 1, 1))


def lasso_path(
    x: np.ndarray,
    time: np.ndarray,
    event: np.ndarray,
    lambdas: np.ndarray,
    alpha: float = 1.0,
    penalty_factor: np.ndarray | None = None,
    tolerance: float = 1e-10,
    max_active: int | None = None,
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
        1 = lasso, 0 = ridge.
    penalty_factor : ndarray (p,), optional
        Multiplies each column's penalty; 0 = never penalized. Not rescaled (glmnet makes them sum to p).
    tolerance : float
        Rest when no coordinate's ``curvature * change^2`` exceeds it.
    max_active : int, optional
        Stop the path after this many nonzero coefficients.

    Returns
    -------
    LassoPath
        Shorter than ``lambdas`` if the path was stopped.

    Raises
    ------
    InputError
        If penalties are not positive and descending, nobody died, or a value is not finite.
    """
    lambdas = np.ascontiguousarray(lambdas, dtype=np.float64)
    if lambdas.size == 0 or (lambdas <= 0).any() or (np.diff(lambdas) > 0).any():
        raise InputError("lambdas must be positive and descending")
    if not 0 <= alpha <= 1:
        raise InputError(f"alpha must lie in [0, 1], got {alpha}")
    runner = _Runner(x, time, event, alpha, penalty_factor, tolerance, max_active)
    coefficients, logliks = runner.run(lambdas)
    done = lambdas[: len(logliks)]
    return LassoPath(done, coefficients, logliks, runner.null, (coefficients != 0).sum(axis=1))


class _Runner:
    """A path that is fitted piece by piece, each piece starting where the last one ended."""

    def __init__(
        self,
        x: np.ndarray,
        time: np.ndarray,
        event: np.ndarray,
        alpha: float,
        penalty_factor: np.ndarray | None,
        tolerance: float,
        max_active: int | None,
    ):
        x = np.asarray(x, dtype=np.float64)
        if x.ndim != 2 or not np.isfinite(x).all():
            raise InputError("x must be 2D (n, p) and finite; impute before fitting")
        self.sets = risk_sets(time, event)
        if not self.sets.event.any():
            raise InputError("nobody died: a Cox model needs at least one event")
        z, self.scale = _standardize(x)
        self.columns = np.ascontiguousarray(z[self.sets.order].T)
        n_columns = self.columns.shape[0]
        self.factor = (
            np.ones(n_columns) if penalty_factor is None else np.ascontiguousarray(penalty_factor, dtype=np.float64)
        )
        self.alpha, self.tolerance = float(alpha), float(tolerance)
        self.max_active = n_columns if max_active is None else int(max_active)
        self.null = float(_loglik_rows(np.zeros((1, len(x))), self.sets.event, self.sets.starts)[0])
        self.beta = np.zeros(n_columns)
        self.previous = np.nan
        self.stopped = False

    def run(self, lambdas: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Go on along ``lambdas``; gives coefficients (k, p) on the input scale and log likelihoods (k,)."""
        betas, logliks = np.zeros((lambdas.size, self.beta.size)), np.zeros(lambdas.size)
        done = _path(
            self.columns,
            self.sets.event,
            self.sets.starts,
            self.factor,
            lambdas,
            self.alpha,
            self.tolerance,
            self.max_active,
            self.null,
            self.beta,
            lambdas[0] if np.isnan(self.previous) else self.previous,
            betas,
            logliks,
        )
        self.previous, self.stopped = float(lambdas[done - 1]), done < lambdas.size
        return betas[:done] / self.scale, logliks[:done]


def breslow_loglik(eta: np.ndarray, time: np.ndarray, event: np.ndarray) -> np.ndarray:
    """Breslow log partial likelihood of each column of linear predictors ``eta`` (n, k)."""
    sets = risk_sets(time, event)
    return _loglik_rows(np.ascontiguousarray(np.asarray(eta, dtype=np.float64)[sets.order].T), sets.event, sets.starts)


def saturated_loglik(time: np.ndarray, event: np.ndarray) -> float:
    """Breslow log partial likelihood of the saturated model: -sum d log d over tied deaths."""
    deaths = np.unique(np.asarray(time)[np.asarray(event, dtype=bool)], return_counts=True)[1]
    return -float((deaths * np.log(deaths)).sum())


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


@dataclass(frozen=True)
class LassoCV:
    """Cross-validated deviance along a path.

    Attributes
    ----------
    path : LassoPath
        Fit on all patients.
    mean, se : ndarray (k,)
        Deviance per death, averaged over folds by their deaths, and its standard error.
    at_min, at_1se : int
        Positions on the path: the least deviance, and the largest penalty within one standard error of it.
    """

    path: LassoPath
    mean: np.ndarray
    se: np.ndarray
    at_min: int
    at_1se: int


def lasso_cv(
    x: np.ndarray,
    time: np.ndarray,
    event: np.ndarray,
    lambdas: np.ndarray,
    folds: np.ndarray,
    alpha: float = 1.0,
    penalty_factor: np.ndarray | None = None,
    tolerance: float = 1e-10,
    max_active: int | None = None,
    fold_tolerance: float = 1e-8,
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
    x, time, event, lambdas, alpha, penalty_factor, tolerance, max_active
        As for :func:`lasso_path`.
    fold_tolerance : float
        Tolerance of the folds' fits, of which only the deviance is used.
    patience : int, optional
        Stop once this many penalties beyond the best one brought nothing better (the dense end of a path takes
        most of the time). None = the whole path.

    Returns
    -------
    LassoCV
    """
    x = np.asarray(x, dtype=np.float64)
    time, event, folds = np.asarray(time, dtype=np.float64), np.asarray(event, dtype=bool), np.asarray(folds)
    lambdas = np.ascontiguousarray(lambdas, dtype=np.float64)
    columns = np.arange(x.shape[1]) if columns is None else np.asarray(columns)
    factor = np.ones(x.shape[1]) if penalty_factor is None else np.asarray(penalty_factor, dtype=np.float64)
    whole = _Runner(x[:, columns], time, event, alpha, factor[columns], tolerance, max_active)
    parts = []
    for label in np.unique(folds):
        kept = folds != label
        if event[~kept].any():
            used = columns if fold_columns is None else np.asarray(fold_columns[int(label)])
            part = x[:, used]
            runner = _Runner(part[kept], time[kept], event[kept], alpha, factor[used], fold_tolerance, max_active)
            parts.append((kept, runner, part))
    weights = np.array([event[~kept].sum() for kept, _, _ in parts], dtype=np.float64)
    saturated = saturated_loglik(time, event)
    saturated_parts = [saturated_loglik(time[kept], event[kept]) for kept, _, _ in parts]
    block = lambdas.size if patience is None else max(int(patience) // 2, 1)
    last = [np.zeros(part.shape[1]) for _, _, part in parts]
    fits: list[tuple[np.ndarray, np.ndarray]] = []
    deviances: list[np.ndarray] = []
    for start in range(0, lambdas.size, block):
        fits.append(whole.run(lambdas[start : start + block]))
        piece = lambdas[start : start + len(fits[-1][1])]
        deviance = np.empty((len(parts), piece.size))
        for row, (kept, runner, part) in enumerate(parts):
            # A fold that saturated earlier keeps its last fit.
            coefficients = np.empty((0, part.shape[1])) if runner.stopped else runner.run(piece)[0]
            last[row] = coefficients[-1] if len(coefficients) else last[row]
            rest = np.repeat(last[row][None], piece.size - len(coefficients), axis=0)
            eta = part @ np.vstack([coefficients, rest]).T
            gap = saturated - breslow_loglik(eta, time, event)
            gap -= saturated_parts[row] - breslow_loglik(eta[kept], time[kept], event[kept])
            deviance[row] = 2 * gap / weights[row]
        deviances.append(deviance)
        mean = np.average(np.hstack(deviances), axis=0, weights=weights)
        if whole.stopped or (patience is not None and mean.size - 1 - int(np.argmin(mean)) >= patience):
            break
    coefficients = np.vstack([coefficients for coefficients, _ in fits])
    path = LassoPath(
        lambdas[: mean.size],
        coefficients,
        np.concatenate([logliks for _, logliks in fits]),
        whole.null,
        (coefficients != 0).sum(axis=1),
    )
    deviance = np.hstack(deviances)
    se = np.sqrt(np.average((deviance - mean) ** 2, axis=0, weights=weights) / max(len(parts) - 1, 1))
    at_min = int(np.argmin(mean))
    at_1se = int(np.flatnonzero(mean <= mean[at_min] + se[at_min])[0])
    return LassoCV(path, mean, se, at_min, at_1se)
