"""Compiled figures of weighted patients: one row of weights is one bootstrap draw, its counts the case weights.

Weighted Kaplan-Meier estimates read patients by ascending time, deaths before censorings at equal times: taking tied
deaths one after the other gives the same product. Cox models read them by *descending* time, so that a risk set is a
prefix; tied deaths of different patients follow Efron's rule with case weights as in R's survival package, copies of
one patient share a risk set (Breslow). With distinct times a draw is therefore the Breslow fit of the repeated rows,
and weights of 1 are Efron's fit.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from amlprognosis.models.few_cox_kernels import CONVERGED, LARGEST_RANGE, NOT_CONVERGED, SEPARATED, solve_information


@njit(cache=True, nogil=True)
def net_benefits(event, weights, level, by_day, thresholds):
    """Net benefit (b, m) of treating those at or above each threshold, with the Kaplan-Meier estimate inside them.

    ``event`` (n,) ascending by time; ``weights`` (b, n); ``level`` (n,): how many thresholds each risk reaches;
    ``by_day``: how many patients have a time up to the horizon. NaN where a draw has no patient.
    """
    replicates, n = weights.shape
    m = thresholds.size
    out = np.empty((replicates, m))
    count = np.empty(m + 1)
    at_risk = np.empty(m)
    alive = np.empty(m)
    for r in range(replicates):
        count[:] = 0.0
        for i in range(n):
            count[level[i]] += weights[r, i]
        above = 0.0
        for k in range(m - 1, -1, -1):
            above += count[k + 1]
            at_risk[k] = above
            alive[k] = 1.0
        total = above + count[0]
        for k in range(m):
            out[r, k] = at_risk[k] / total if total > 0.0 else np.nan
        for i in range(by_day):
            w = weights[r, i]
            if w == 0.0:
                continue
            if event[i]:
                for k in range(level[i]):
                    left = at_risk[k] - w
                    alive[k] *= left / at_risk[k]
                    at_risk[k] = left
            else:
                for k in range(level[i]):
                    at_risk[k] -= w
        for k in range(m):
            odds = thresholds[k] / (1.0 - thresholds[k])
            out[r, k] *= (1.0 - alive[k]) - alive[k] * odds
    return out


@njit(cache=True, nogil=True)
def restricted_means(time, event, group, weights, tau):
    """Area under the Kaplan-Meier curve up to ``tau`` in groups 0 and 1, shape (b, 2); NaN for an empty group.

    A curve that ends before ``tau`` keeps its last value. Groups below 0 are passed over.
    """
    replicates, n = weights.shape
    out = np.empty((replicates, 2))
    for r in range(replicates):
        for g in range(2):
            at_risk = 0.0
            for i in range(n):
                if group[i] == g:
                    at_risk += weights[r, i]
            if at_risk == 0.0:
                out[r, g] = np.nan
                continue
            alive, last, area = 1.0, 0.0, 0.0
            for i in range(n):
                if time[i] >= tau:
                    break
                w = weights[r, i]
                if w == 0.0 or group[i] != g:
                    continue
                if event[i]:
                    area += alive * (time[i] - last)
                    last = time[i]
                    alive *= (at_risk - w) / at_risk
                at_risk -= w
            out[r, g] = area + alive * (tau - last)
    return out


@njit(cache=True, nogil=True)
def weighted_derivatives(x, event, starts, weight, eta, slope, information):
    """Log partial likelihood of weighted patients at ``eta``; fills slope (k,) and information (k, k)."""
    k = x.shape[1]
    m = starts.size - 1
    slope[:] = 0.0
    information[:, :] = 0.0
    hazard = np.zeros(m)
    tied = np.zeros(m)
    risk = np.empty(eta.size)
    s1 = np.zeros(k)
    d1 = np.zeros(k)
    mean = np.empty(k)
    s0 = 0.0
    loglik = 0.0
    top = eta.max()
    for g in range(m):
        d0 = 0.0
        died = 0.0
        deaths = 0
        d1[:] = 0.0
        for i in range(starts[g], starts[g + 1]):
            w = weight[i]
            if w == 0.0:
                continue
            e = w * math.exp(eta[i] - top)
            risk[i] = e
            s0 += e
            for a in range(k):
                s1[a] += e * x[i, a]
            if event[i]:
                deaths += 1
                died += w
                d0 += e
                loglik += w * (eta[i] - top)
                for a in range(k):
                    d1[a] += e * x[i, a]
        for death in range(deaths):
            f = death / deaths
            c = 1.0 / (s0 - f * d0)
            each = died / deaths
            loglik += each * math.log(c)
            hazard[g] += each * c
            tied[g] += each * f * c
            for a in range(k):
                mean[a] = (s1[a] - f * d1[a]) * c
                for b in range(a + 1):
                    information[a, b] -= each * mean[a] * mean[b]
    cumulated = 0.0
    for g in range(m - 1, -1, -1):
        cumulated += hazard[g]
        for i in range(starts[g], starts[g + 1]):
            w = weight[i]
            if w == 0.0:
                continue
            expected = risk[i] * (cumulated - tied[g] if event[i] else cumulated)
            residual = w - expected if event[i] else -expected
            for a in range(k):
                slope[a] += residual * x[i, a]
                for b in range(a + 1):
                    information[a, b] += expected * x[i, a] * x[i, b]
    for a in range(k):
        for b in range(a):
            information[b, a] = information[a, b]
    return loglik


@njit(cache=True, nogil=True)
def weighted_newton(x, event, starts, weight, beta, eta):
    """Fit weighted patients by Newton's method with step halving, from ``beta`` (k,) and into it; ``eta`` = x beta.

    Returns CONVERGED, SEPARATED (no maximum) or NOT_CONVERGED (also for columns that hang together).
    """
    n, k = x.shape
    move = np.empty(n)
    trial = np.empty(n)
    step = np.empty(k)
    slope = np.empty(k)
    information = np.empty((k, k))
    for i in range(n):
        eta[i] = 0.0
        for a in range(k):
            eta[i] += x[i, a] * beta[a]
    value = weighted_derivatives(x, event, starts, weight, eta, slope, information)
    for _ in range(50):
        step[:] = slope
        if solve_information(information, step) < k:
            return NOT_CONVERGED
        gain = 0.0
        for a in range(k):
            gain += 0.5 * slope[a] * step[a]
        largest = 0.0
        for i in range(n):
            move[i] = 0.0
            for a in range(k):
                move[i] += x[i, a] * step[a]
            if weight[i] > 0.0:
                largest = max(largest, abs(move[i]))
        if largest < 1e-6:
            # Newton converges quadratically: this last step is exact to rounding.
            for a in range(k):
                beta[a] += step[a]
            for i in range(n):
                eta[i] += move[i]
            return CONVERGED
        if largest > 0.1 and gain < 1e-9:
            # The likelihood is flat, yet the step is long: it rises forever.
            return SEPARATED
        factor = 1.0
        while True:
            for i in range(n):
                trial[i] = eta[i] + factor * move[i]
            if trial.max() - trial.min() < LARGEST_RANGE:
                found = weighted_derivatives(x, event, starts, weight, trial, slope, information)
                if found >= value - 1e-12 * abs(value):
                    break
            factor *= 0.5
            if factor < 1e-9:
                return NOT_CONVERGED
        value = found
        eta[:] = trial
        for a in range(k):
            beta[a] += factor * step[a]
    return NOT_CONVERGED


@njit(cache=True, nogil=True)
def weighted_hazard(event, starts, weight, eta, first):
    """Cumulative baseline hazard at ``eta`` = 0 up to the time of block ``first`` (blocks descend in time)."""
    s0 = 0.0
    total = 0.0
    for g in range(starts.size - 1):
        d0 = 0.0
        died = 0.0
        deaths = 0
        for i in range(starts[g], starts[g + 1]):
            w = weight[i]
            if w == 0.0:
                continue
            e = w * math.exp(eta[i])
            s0 += e
            if event[i]:
                deaths += 1
                died += w
                d0 += e
        if g >= first:
            for death in range(deaths):
                total += died / deaths / (s0 - death / deaths * d0)
    return total


@njit(cache=True, nogil=True)
def _quantile(ordered, counts, total, share):
    """Quantile of values (ascending) that stand ``counts`` times each, as numpy's default of the repeated values."""
    place = (total - 1.0) * share
    below = math.floor(place + 1e-9)
    part = max(place - below, 0.0)
    passed = 0.0
    low = ordered[-1]
    for i in range(ordered.size):
        passed += counts[i]
        if passed > below:
            low = ordered[i]
            if passed > below + 1.0 or part == 0.0:
                return low
            for j in range(i + 1, ordered.size):
                if counts[j] > 0.0:
                    return low + part * (ordered[j] - low)
            return low
    return low


@njit(cache=True, nogil=True)
def _shift(hazard, weight, total, target, start):
    """The number a with mean of 1 - exp(-hazard e^a) = target, by safeguarded Newton."""
    low, high = -30.0, 30.0
    a = start
    for _ in range(100):
        scale = math.exp(a)
        value = 0.0
        slope = 0.0
        for i in range(hazard.size):
            w = weight[i]
            if w > 0.0:
                h = hazard[i] * scale
                e = math.exp(-h)
                value += w * (1.0 - e)
                slope += w * h * e
        value = value / total - target
        if value > 0.0:
            high = a
        else:
            low = a
        step = value * total / slope if slope > 0.0 else np.inf
        if abs(step) < 1e-12 * max(1.0, abs(a)):
            return a - step
        a -= step
        if not low < a < high:
            a = 0.5 * (low + high)
        if high - low < 1e-13:
            return a
    return a


@njit(cache=True, nogil=True)
def calibration_figures(x, basis, hazard, risk, event, starts, first, weights):
    """Calibration slope, intercept, observed/expected, ICI, E50, E90 of each row of weights, shape (b, 6).

    Patients descend in time. ``x`` (n, 1) and ``basis`` (n, k): the standardized complementary log-log of the
    predictions and its spline; ``hazard`` and ``risk`` (n,): predicted cumulative hazard and risk of death at the
    horizon; ``first``: the first block of ``starts`` with a time up to the horizon. The first row of weights is the
    estimate, where the other rows start. NaN where a figure cannot be computed.
    """
    replicates, n = weights.shape
    out = np.full((replicates, 6), np.nan)
    start1 = np.zeros(1)
    start2 = np.zeros(basis.shape[1])
    eta = np.empty(n)
    gap = np.empty(n)
    for r in range(replicates):
        weight = weights[r]
        total = 0.0
        expected = 0.0
        late = 0.0
        for i in range(n):
            total += weight[i]
            expected += weight[i] * risk[i]
            if i < starts[first]:
                late += weight[i]
        if total == 0.0 or late == 0.0:
            continue
        alive = 1.0
        at_risk = late
        for g in range(first, starts.size - 1):
            died = 0.0
            for i in range(starts[g], starts[g + 1]):
                at_risk += weight[i]
                if event[i]:
                    died += weight[i]
            if died > 0.0:
                alive *= (at_risk - died) / at_risk
        if alive == 1.0:
            continue
        expected /= total
        observed = 1.0 - alive
        if expected > 0.0:
            out[r, 2] = observed / expected
        out[r, 1] = _shift(hazard, weight, total, observed, 0.0)
        beta = start1.copy()
        straight = weighted_newton(x, event, starts, weight, beta, eta) == CONVERGED
        if straight:
            out[r, 0] = beta[0]
            if r == 0:
                start1[:] = beta
        curved = False
        if basis.shape[1] > 1:
            bend = start2.copy()
            if not straight:
                eta[:] = 0.0
            kept = eta.copy()
            curved = weighted_newton(basis, event, starts, weight, bend, eta) == CONVERGED
            if curved and r == 0:
                start2[:] = bend
            if not curved:
                eta[:] = kept
        if not straight and not curved:
            continue
        base = weighted_hazard(event, starts, weight, eta, first)
        mean = 0.0
        for i in range(n):
            gap[i] = abs(1.0 - math.exp(-base * math.exp(eta[i])) - risk[i])
            mean += weight[i] * gap[i]
        order = np.argsort(gap)
        ordered = gap[order]
        counts = weight[order]
        out[r, 3] = mean / total
        out[r, 4] = _quantile(ordered, counts, total, 0.5)
        out[r, 5] = _quantile(ordered, counts, total, 0.9)
    return out
