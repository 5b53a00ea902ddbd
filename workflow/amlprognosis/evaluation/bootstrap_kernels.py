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

from amlprognosis.models.few_cox_kernels import LARGEST_RANGE


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
def _derivatives(count, event, ends, xa, xb, beta_a, beta_b):
    """Log partial likelihood at ``beta``, its slope (a, b) and information (aa, ab, bb); ``count`` holds integers."""
    slope_a = slope_b = info_aa = info_ab = info_bb = 0.0
    s0 = sa = sb = saa = sab = sbb = 0.0
    d0 = da = db = daa = dab = dbb = 0.0
    loglik, product, died, deaths = 0.0, 1.0, 0.0, 0
    for i in range(count.size):
        w, a, b = count[i], xa[i], xb[i]
        eta = beta_a * a + beta_b * b
        e = w * math.exp(eta)
        ea, eb = e * a, e * b
        s0 += e
        sa += ea
        sb += eb
        saa += ea * a
        sab += ea * b
        sbb += eb * b
        if event[i]:
            deaths += 1
            died += w
            loglik += w * eta
            slope_a += w * a
            slope_b += w * b
            d0 += e
            da += ea
            db += eb
            daa += ea * a
            dab += ea * b
            dbb += eb * b
        if not ends[i] or deaths == 0:
            continue
        if deaths == 1:
            c = 1.0 / s0
            mean_a, mean_b = sa * c, sb * c
            slope_a -= died * mean_a
            slope_b -= died * mean_b
            info_aa += died * (saa * c - mean_a * mean_a)
            info_ab += died * (sab * c - mean_a * mean_b)
            info_bb += died * (sbb * c - mean_b * mean_b)
            # Logarithms are slow: one for many factors.
            for _ in range(int(died)):
                product *= c
                if not 1e-150 < product < 1e150:
                    loglik += math.log(product)
                    product = 1.0
        else:
            each = died / deaths
            for death in range(deaths):
                f = death / deaths
                c = 1.0 / (s0 - f * d0)
                mean_a, mean_b = (sa - f * da) * c, (sb - f * db) * c
                slope_a -= each * mean_a
                slope_b -= each * mean_b
                info_aa += each * ((saa - f * daa) * c - mean_a * mean_a)
                info_ab += each * ((sab - f * dab) * c - mean_a * mean_b)
                info_bb += each * ((sbb - f * dbb) * c - mean_b * mean_b)
                loglik += each * math.log(c)
        d0 = da = db = daa = dab = dbb = died = 0.0
        deaths = 0
    return loglik + math.log(product), slope_a, slope_b, info_aa, info_ab, info_bb


@njit(cache=True, nogil=True)
def _spread(xa, xb, step_a, step_b):
    """Least and largest change of the linear predictor along a step."""
    low = high = step_a * xa[0] + step_b * xb[0]
    for i in range(1, xa.size):
        move = step_a * xa[i] + step_b * xb[i]
        low, high = min(low, move), max(high, move)
    return low, high


@njit(cache=True, nogil=True)
def fit_counts(count, event, ends, xa, xb, start_a, start_b):
    """Cox fit of two columns by Newton's method with step halving; a column of zeros keeps the coefficient 0.

    Patients descend in time; ``ends`` marks the last one of each time. Gives both coefficients, NaN if there is no
    maximum or the columns hang together.
    """
    a, b = start_a, start_b
    value, slope_a, slope_b, aa, ab, bb = _derivatives(count, event, ends, xa, xb, a, b)
    for _ in range(50):
        # The second column given the first; nothing is left of a column of zeros, or of a collinear one.
        left = bb - ab * ab / aa if aa > 0.0 else 0.0
        if not aa > 1e-9:
            break
        if left > 1e-9 * bb:
            step_b = (slope_b - slope_a * ab / aa) / left
        elif bb > 0.0:
            break
        else:
            step_b = 0.0
        step_a = (slope_a - ab * step_b) / aa
        low, high = _spread(xa, xb, step_a, step_b)
        largest = max(-low, high)
        if largest < 1e-5:
            # Newton converges quadratically: this last step is exact to rounding.
            return a + step_a, b + step_b
        if largest > 0.1 and slope_a * step_a + slope_b * step_b < 2e-9:
            # The likelihood is flat, yet the step is long: it rises forever.
            break
        factor = 1.0
        while factor > 1e-9:
            new_a, new_b = a + factor * step_a, b + factor * step_b
            low, high = _spread(xa, xb, new_a, new_b)
            if max(-low, high) < LARGEST_RANGE:
                found, slope_a, slope_b, aa, ab, bb = _derivatives(count, event, ends, xa, xb, new_a, new_b)
                if found >= value - 1e-12 * abs(value):
                    break
            factor *= 0.5
        else:
            break
        a, b, value = new_a, new_b, found
    return np.nan, np.nan


@njit(cache=True, nogil=True)
def _hazard(count, event, ends, risk, first):
    """Cumulative baseline hazard over the patients from place ``first`` on; ``risk`` holds exp(linear predictor)."""
    s0 = d0 = died = total = 0.0
    deaths = 0
    for i in range(count.size):
        e = count[i] * risk[i]
        s0 += e
        if event[i]:
            deaths += 1
            died += count[i]
            d0 += e
        if ends[i]:
            if i >= first:
                for death in range(deaths):
                    total += died / deaths / (s0 - death / deaths * d0)
            d0 = died = 0.0
            deaths = 0
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
def _observed(count, event, ends, first):
    """Kaplan-Meier risk of death over the patients from place ``first`` on."""
    alive = 1.0
    at_risk = 0.0
    died = 0.0
    for i in range(count.size):
        at_risk += count[i]
        if event[i]:
            died += count[i]
        if ends[i]:
            if i >= first and died > 0.0:
                alive *= (at_risk - died) / at_risk
            died = 0.0
    return 1.0 - alive


@njit(cache=True, nogil=True)
def calibration_figures(x, basis, hazard, event, starts, followed, weights):
    """Calibration slope, intercept, observed/expected, ICI, E50, E90 of each row of weights, shape (b, 6).

    Patients descend in time. ``x`` (n,): the standardized complementary log-log of the predictions; ``basis`` (n,):
    the second column of its spline, or zeros; ``hazard`` (n, 2): predicted cumulative hazard and risk of death at the
    horizon; ``starts``: borders of tied times; ``followed``: how many patients have a time past the horizon. The first
    row of weights is the estimate, where the other rows start. NaN where a figure cannot be computed.
    """
    replicates, n = weights.shape
    out = np.full((replicates, 6), np.nan)
    line = curve_a = curve_b = shift = 0.0
    block = np.empty(n, dtype=np.int64)
    for g in range(starts.size - 1):
        block[starts[g] : starts[g + 1]] = g
    count, xa, xb, zero = np.empty(n), np.empty(n), np.empty(n), np.zeros(n)
    cumulated, risk, ratio, gap = np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    died, ends = np.empty(n, dtype=np.bool_), np.empty(n, dtype=np.bool_)
    for r in range(replicates):
        m = first = last = 0
        total = expected = 0.0
        for i in range(n):
            w = weights[r, i]
            if w == 0.0:
                continue
            if m > 0:
                ends[m - 1] = block[i] != last
            last = block[i]
            count[m], xa[m], xb[m], died[m] = w, x[i], basis[i], event[i]
            cumulated[m], risk[m] = hazard[i, 0], hazard[i, 1]
            total += w
            expected += w * hazard[i, 1]
            m += 1
            if i < followed:
                first = m
        if first == 0:
            continue
        ends[m - 1] = True
        counts, deaths, borders, a, b = count[:m], died[:m], ends[:m], xa[:m], xb[:m]
        observed = _observed(counts, deaths, borders, first)
        if observed == 0.0:
            continue
        if expected > 0.0:
            out[r, 2] = observed / expected * total
        out[r, 1] = _shift(cumulated[:m], counts, total, observed, shift)
        beta, _ = fit_counts(counts, deaths, borders, a, zero[:m], line, 0.0)
        bend, turn = beta, 0.0
        if np.ptp(b) > 0.0:
            bend, turn = fit_counts(counts, deaths, borders, a, b, curve_a, curve_b)
        if r == 0:
            shift = out[0, 1]
            line = 0.0 if np.isnan(beta) else beta
            curve_a, curve_b = (0.0, 0.0) if np.isnan(bend) else (bend, turn)
        out[r, 0] = beta
        if np.isnan(bend):
            bend, turn = beta, 0.0
        if np.isnan(bend):
            continue
        for i in range(m):
            ratio[i] = math.exp(bend * a[i] + turn * b[i])
        base = _hazard(counts, deaths, borders, ratio[:m], first)
        mean = 0.0
        for i in range(m):
            gap[i] = abs(1.0 - math.exp(-base * ratio[i]) - risk[i])
            mean += count[i] * gap[i]
        order = np.argsort(gap[:m])
        ordered, times = gap[:m][order], counts[order]
        out[r, 3] = mean / total
        out[r, 4] = _quantile(ordered, times, total, 0.5)
        out[r, 5] = _quantile(ordered, times, total, 0.9)
    return out
