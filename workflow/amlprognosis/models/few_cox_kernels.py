"""Compiled Cox fits of a few covariates, for learners that make thousands of them.

Patients are sorted by *descending* time, so that a risk set is a prefix; ties follow Efron's rule.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

CONVERGED, SEPARATED, NOT_CONVERGED = 0, 1, 2
# Linear predictors that differ by more than this leave the range of floating point; weights below SMALLEST_WEIGHT, in
# relation to the largest, count as that.
LARGEST_RANGE = 270.0
SMALLEST_WEIGHT = 1e-120


@njit(cache=True, nogil=True)
def log_at_risk(weight, event, starts):
    """Sum over deaths of the log of the ``weight`` (n,) at risk."""
    total = 0.0
    product = 1.0
    s0 = 0.0
    for g in range(starts.size - 1):
        d0 = 0.0
        deaths = 0
        for i in range(starts[g], starts[g + 1]):
            s0 += weight[i]
            if event[i]:
                deaths += 1
                d0 += weight[i]
        for k in range(deaths):
            # Logarithms are slow: one for many factors.
            product *= s0 - k / deaths * d0
            if not 1e-150 < product < 1e150:
                total += math.log(product)
                product = 1.0
    return total + math.log(product)


@njit(cache=True, nogil=True)
def loglik_of(eta, event, starts):
    """Log partial likelihood of a linear predictor (n,)."""
    top = eta.max()
    total = 0.0
    weight = np.empty(eta.size)
    for i in range(eta.size):
        weight[i] = max(math.exp(eta[i] - top), SMALLEST_WEIGHT)
        if event[i]:
            total += eta[i] - top
    return total - log_at_risk(weight, event, starts)


@njit(cache=True, nogil=True)
def derivatives(x, event, starts, eta, slope, information):
    """Log partial likelihood at the linear predictor ``eta``; fills slope (k,) and information (k, k) of ``x`` (n, k).

    The information is the sum of ``x x'``, weighted by each patient's expected deaths, less the outer products of the
    means among those at risk at each death.
    """
    n, k = x.shape
    m = starts.size - 1
    for a in range(k):
        slope[a] = 0.0
        for b in range(k):
            information[a, b] = 0.0
    weight = np.empty(n)
    hazard = np.zeros(m)
    tied = np.zeros(m)
    s1 = np.zeros(k)
    d1 = np.zeros(k)
    mean = np.empty(k)
    s0 = 0.0
    top = eta.max()
    loglik = 0.0
    product = 1.0
    for g in range(m):
        d0 = 0.0
        deaths = 0
        for a in range(k):
            d1[a] = 0.0
        for i in range(starts[g], starts[g + 1]):
            e = math.exp(eta[i] - top)
            weight[i] = e
            s0 += e
            for a in range(k):
                s1[a] += e * x[i, a]
            if event[i]:
                deaths += 1
                d0 += e
                loglik += eta[i] - top
                for a in range(k):
                    d1[a] += e * x[i, a]
        for death in range(deaths):
            f = death / deaths
            c = 1.0 / (s0 - f * d0)
            product *= c
            # Logarithms are slow: one for many factors.
            if not 1e-150 < product < 1e150:
                loglik += math.log(product)
                product = 1.0
            hazard[g] += c
            tied[g] += f * c
            for a in range(k):
                mean[a] = (s1[a] - f * d1[a]) * c
                for b in range(a + 1):
                    information[a, b] -= mean[a] * mean[b]
    cumulated = 0.0
    for g in range(m - 1, -1, -1):
        cumulated += hazard[g]
        for i in range(starts[g], starts[g + 1]):
            expected = weight[i] * (cumulated - tied[g] if event[i] else cumulated)
            residual = -expected
            if event[i]:
                residual += 1.0
            for a in range(k):
                slope[a] += residual * x[i, a]
                w = expected * x[i, a]
                for b in range(a + 1):
                    information[a, b] += w * x[i, b]
    for a in range(k):
        for b in range(a):
            information[b, a] = information[a, b]
    return loglik + math.log(product)


@njit(cache=True, nogil=True)
def solve_information(matrix, vector):
    """Solve ``matrix @ step = vector`` for an information matrix; both are overwritten, ``vector`` by the step.

    A row that hangs on earlier ones (a collinear column) gets step 0, as in R's coxph. Returns the rank.
    """
    k = vector.size
    least = np.empty(k)
    rank = k
    for i in range(k):
        least[i] = max(1e-9 * matrix[i, i], 1e-300)
    for i in range(k):
        if not matrix[i, i] > least[i]:
            matrix[i, i] = 0.0
            rank -= 1
            continue
        for j in range(i + 1, k):
            f = matrix[j, i] / matrix[i, i]
            for c in range(i + 1, k):
                matrix[j, c] -= f * matrix[i, c]
            vector[j] -= f * vector[i]
    for i in range(k - 1, -1, -1):
        if matrix[i, i] == 0.0:
            vector[i] = 0.0
            continue
        for c in range(i + 1, k):
            vector[i] -= matrix[i, c] * vector[c]
        vector[i] /= matrix[i, i]
    return rank


@njit(cache=True, nogil=True)
def _penalize(ridge, beta, slope, information):
    """Take ``ridge`` / 2 * sum(beta^2) into the derivatives; gives that penalty."""
    total = 0.0
    for a in range(beta.size):
        slope[a] -= ridge * beta[a]
        information[a, a] += ridge
        total += 0.5 * ridge * beta[a] * beta[a]
    return total


@njit(cache=True, nogil=True)
def newton(x, event, starts, offset, ridge, beta):
    """Fit ``x`` (n, k) by Newton's method with step halving, from ``beta`` and into it.

    Maximizes the log partial likelihood at ``offset + x beta`` less ``ridge`` / 2 * sum(beta^2). Returns a status:
    CONVERGED; SEPARATED if there is no maximum; NOT_CONVERGED also if columns are collinear.
    """
    n, k = x.shape
    eta = np.empty(n)
    move = np.empty(n)
    trial = np.empty(n)
    step = np.empty(k)
    new = np.empty(k)
    slope = np.empty(k)
    information = np.empty((k, k))
    for i in range(n):
        eta[i] = offset[i]
        for a in range(k):
            eta[i] += x[i, a] * beta[a]
    value = derivatives(x, event, starts, eta, slope, information)
    value -= _penalize(ridge, beta, slope, information)
    for _ in range(50):
        gain = 0.0
        for a in range(k):
            step[a] = slope[a]
        if solve_information(information, step) < k:
            return NOT_CONVERGED
        for a in range(k):
            gain += 0.5 * slope[a] * step[a]
        largest = 0.0
        for i in range(n):
            move[i] = 0.0
            for a in range(k):
                move[i] += x[i, a] * step[a]
            largest = max(largest, abs(move[i]))
        if largest < 1e-6:
            # Newton converges quadratically: this last step is exact to rounding.
            for a in range(k):
                beta[a] += step[a]
            return CONVERGED
        if largest > 0.1 and gain < 1e-9:
            # The likelihood is flat, yet the step is long: it rises forever.
            return SEPARATED
        factor = 1.0
        while True:
            for i in range(n):
                trial[i] = eta[i] + factor * move[i]
            if trial.max() - trial.min() < LARGEST_RANGE:
                for a in range(k):
                    new[a] = beta[a] + factor * step[a]
                found = derivatives(x, event, starts, trial, slope, information)
                found -= _penalize(ridge, new, slope, information)
                if found >= value - 1e-12 * abs(value):
                    break
            factor *= 0.5
            if factor < 1e-9:
                return NOT_CONVERGED
        value = found
        for i in range(n):
            eta[i] = trial[i]
        for a in range(k):
            beta[a] = new[a]
    return NOT_CONVERGED
