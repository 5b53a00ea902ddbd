"""Elastic-net logistic regression by proximal Newton steps and coordinate descent (Friedman 2010,
doi:10.18637/jss.v033.i01).

Minimizes ``sum s (log(1 + exp(m)) - y m) + lambda * (alpha * |b|_1 + (1 - alpha) / 2 * |b|_2^2)`` with ``m = a + x b``
and weights s of sum 1. Targets y may be any numbers: the derivative in m is ``p - y``, that of the quasi-binomial
likelihood, so that pseudo-observations below 0 and above 1 keep their means. The objective stays convex; a share of
ridge (alpha < 1) keeps it bounded then.
"""  # noqa: D205

from __future__ import annotations

import math

import numpy as np
from numba import njit

# Beyond it the path ends: no cohort teaches such odds, and for pseudo-observations they have no bound.
LARGEST_LOG_ODDS = 10.0


@njit(cache=True, nogil=True)
def _objective(eta, beta, y, share, l1, l2):
    total = 0.0
    for i in range(eta.size):
        total += share[i] * (max(eta[i], 0.0) + math.log1p(math.exp(-abs(eta[i]))) - y[i] * eta[i])
    for j in range(beta.size):
        total += l1 * abs(beta[j]) + 0.5 * l2 * beta[j] * beta[j]
    return total


@njit(cache=True, nogil=True)
def _quadratic_step(columns, residual, curvature, l1, l2, beta, new, tolerance):
    """Minimize the local quadratic by coordinate descent; fills ``new``, returns the intercept's change."""
    n = residual.size
    shift = 0.0
    total = 0.0
    for i in range(n):
        total += curvature[i]
    own = np.empty(beta.size)
    for j in range(beta.size):
        new[j] = beta[j]
        own[j] = 0.0
        for i in range(n):
            own[j] += curvature[i] * columns[j, i] * columns[j, i]
    for sweep in range(1000):
        change = 0.0
        for i in range(n):
            change += residual[i] / total
        shift += change
        for i in range(n):
            residual[i] -= curvature[i] * change
        largest = total * change * change
        for j in range(beta.size):
            if sweep % 10 != 0 and new[j] == 0.0:
                continue
            gradient = own[j] * new[j]
            for i in range(n):
                gradient += columns[j, i] * residual[i]
            value = 0.0
            if own[j] > 0.0 and abs(gradient) > l1:
                value = math.copysign(abs(gradient) - l1, gradient) / (own[j] + l2)
            change = value - new[j]
            if change != 0.0:
                new[j] = value
                for i in range(n):
                    residual[i] -= curvature[i] * columns[j, i] * change
                largest = max(largest, own[j] * change * change)
        # Columns at 0 are looked at in every tenth sweep only; the last sweep must have seen all.
        if largest < tolerance and sweep % 10 == 0:
            break
    return shift


@njit(cache=True, nogil=True)
def _slopes(eta, y, share, residual, slope, curvature):
    for i in range(eta.size):
        probability = 1.0 / (1.0 + math.exp(-min(max(eta[i], -500.0), 500.0)))
        residual[i] = share[i] * (y[i] - probability)
        slope[i] = residual[i]
        curvature[i] = share[i] * max(probability * (1.0 - probability), 1e-5)


@njit(cache=True, nogil=True)
def _path(columns, y, share, lambdas, alpha, tolerance, start, intercepts, betas):
    """Fill the path; returns how many penalties were reached before the log odds grew too large."""
    p, n = columns.shape
    intercept = start
    beta = np.zeros(p)
    new = np.zeros(p)
    tried = np.zeros(p)
    eta = np.empty(n)
    trial = np.empty(n)
    step = np.empty(n)
    residual = np.empty(n)
    slope = np.empty(n)
    curvature = np.empty(n)
    for i in range(n):
        eta[i] = start
    for k in range(lambdas.size):
        l1 = lambdas[k] * alpha
        l2 = lambdas[k] * (1.0 - alpha)
        value = _objective(eta, beta, y, share, l1, l2)
        for _ in range(100):
            _slopes(eta, y, share, residual, slope, curvature)
            shift = _quadratic_step(columns, residual, curvature, l1, l2, beta, new, 0.1 * tolerance)
            for i in range(n):
                step[i] = shift
            descent = 0.0
            for j in range(p):
                d = new[j] - beta[j]
                if d != 0.0:
                    for i in range(n):
                        step[i] += columns[j, i] * d
                    descent += l1 * (abs(new[j]) - abs(beta[j])) + 0.5 * l2 * (new[j] * new[j] - beta[j] * beta[j])
            largest = 0.0
            for i in range(n):
                descent -= slope[i] * step[i]
                largest = max(largest, curvature[i] * step[i] * step[i])
            if largest < tolerance * 1e-3:
                break
            length = 1.0
            reached = value
            while length > 1e-8:
                for i in range(n):
                    trial[i] = eta[i] + length * step[i]
                for j in range(p):
                    # At full length exactly the new value, so that zeros stay zeros.
                    tried[j] = new[j] if length == 1.0 else beta[j] + length * (new[j] - beta[j])
                reached = _objective(trial, tried, y, share, l1, l2)
                if reached <= value + 0.1 * length * min(descent, 0.0) + 1e-14:
                    break
                length *= 0.5
            intercept += length * shift
            for j in range(p):
                beta[j] = tried[j]
            for i in range(n):
                eta[i] = trial[i]
            value = reached
        intercepts[k] = intercept
        extreme = 0.0
        for j in range(p):
            betas[k, j] = beta[j]
        for i in range(n):
            extreme = max(extreme, abs(eta[i]))
        if extreme > LARGEST_LOG_ODDS:
            return k + 1
    return lambdas.size


def logistic_path(
    x: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray,
    lambdas: np.ndarray,
    l1_ratio: float,
    tolerance: float = 1e-9,
) -> tuple[np.ndarray, np.ndarray]:
    """Fit the elastic net at descending penalties, to the first at which a patient's log odds exceed 10.

    Smaller penalties repeat its coefficients.

    Parameters
    ----------
    x : ndarray (n, p)
        Columns on a common scale.
    target : ndarray (n,)
        0/1 labels or pseudo-observations.
    weight : ndarray (n,)
        Above 0.
    lambdas : ndarray (k,)
        Descending penalties, for the mean loss.
    l1_ratio : float
        alpha above: 1 is the lasso, 0 the ridge.
    tolerance : float
        On the squared change of the log odds, weighted by curvature.

    Returns
    -------
    intercepts : ndarray (k,)
    coefficients : ndarray (k, p)
    """
    share = weight / weight.sum()
    mean = float(np.clip(share @ target, 1e-3, 1.0 - 1e-3))
    intercepts, coefficients = np.empty(len(lambdas)), np.empty((len(lambdas), x.shape[1]))
    n_done = _path(
        np.ascontiguousarray(x.T, dtype=np.float64),
        np.ascontiguousarray(target, dtype=np.float64),
        share,
        np.ascontiguousarray(lambdas, dtype=np.float64),
        float(l1_ratio),
        float(tolerance),
        math.log(mean / (1.0 - mean)),
        intercepts,
        coefficients,
    )
    intercepts[n_done:], coefficients[n_done:] = intercepts[n_done - 1], coefficients[n_done - 1]
    return intercepts, coefficients


def largest_lambda(x: np.ndarray, target: np.ndarray, weight: np.ndarray) -> float:
    """Smallest lasso penalty at which all coefficients are 0."""
    share = weight / weight.sum()
    return float(np.abs((share * (target - share @ target)) @ x).max())
