"""The univariate Cox screen where only the columns that pass matter: most others are ruled out without a fit.

The log partial likelihood of one column is concave, and its third derivative is at most the column's range R times its
information (a third central moment of values within R is at most R times their variance; self-concordance, Bach 2010,
doi:10.1214/09-EJS521). With slope u and information i at some coefficient b, and g = R |u| / i < 1, the maximum
therefore lies within -log(1 - g) / R of b, and the information there is at most i / (1 - g). That bounds the Wald
statistic. At b = 0 it costs no exponential, after one Newton step one pass. What is not ruled out is fitted as by
:func:`~amlprognosis.models.cox_screen.univariate_cox`, with the same bits.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from numba import njit

from amlprognosis.models.cox_screen import univariate_cox
from amlprognosis.models.risk_sets import risk_sets

# Sums of the bound may be reordered, which lets them be vectorized.
FAST = {"reassoc", "contract", "nsz"}
# The bound holds exactly; rounding of the sums is far smaller than this.
_MARGIN = 0.999


@njit(cache=True, nogil=True)
def _deaths(event, starts):
    """What the sums over deaths at coefficient 0 share among columns.

    Per death, in the kernels' order: the end of its block of tied times, its rank among the deaths of the block over
    their number, 1 / size of its risk set. Per patient: the weight of the squared value in the information, and of the
    value in the slope.
    """
    n = event.size
    end, share, inverse = np.zeros(n, dtype=np.int64), np.zeros(n), np.zeros(n)
    square, linear = np.zeros(n), np.zeros(n)
    m = 0
    for g in range(starts.size - 1):
        deaths = 0
        for i in range(starts[g], starts[g + 1]):
            deaths += event[i]
        for k in range(deaths):
            end[m] = starts[g + 1]
            share[m] = k / deaths
            inverse[m] = 1.0 / (starts[g + 1] - k)
            for i in range(starts[g + 1]):
                tied = i >= starts[g] and event[i]
                square[i] += inverse[m] * (1.0 - share[m] if tied else 1.0)
            m += 1
    for i in range(n):
        linear[i] = event[i] - square[i]
    return end[:m], share[:m], inverse[:m], square, linear


@njit(cache=True, nogil=True, fastmath=FAST)
def _prepare(row, order, z):
    """Fill z with the centered values in the order of time; gives mean, standard deviation and range."""
    n = order.size
    mean = 0.0
    for i in range(n):
        mean += row[i]
    mean /= n
    variance = 0.0
    for i in range(n):
        variance += (row[i] - mean) * (row[i] - mean)
    low, high = np.inf, -np.inf
    for i in range(n):
        x = row[order[i]] - mean
        z[i] = x
        low, high = min(low, x), max(high, x)
    return mean, math.sqrt(variance / n), high - low


@njit(cache=True, nogil=True, fastmath=FAST)
def _at_zero(z, sums, event, end, share, inverse, square, linear):
    """Slope and information at coefficient 0 (Efron ties), without an exponential; ``sums`` is room for n + 1."""
    slope = information = 0.0
    for i in range(z.size):
        slope += linear[i] * z[i]
        information += square[i] * z[i] * z[i]
    total = 0.0
    sums[0] = 0.0
    for i in range(z.size):
        total += z[i]
        sums[i + 1] = total
    for m in range(end.size):
        inside = sums[end[m]]
        if share[m] > 0.0:
            # The second and later of tied deaths.
            tied = 0.0
            i = end[m] - 1
            left = round(1.0 / (share[m] - share[m - 1]))
            while left > 0:
                if event[i]:
                    tied += z[i]
                    left -= 1
                i -= 1
            inside -= share[m] * tied
        mean = inside * inverse[m]
        information -= mean * mean
    return slope, information


@njit(cache=True, nogil=True)
def _at(z, event, starts, share, beta):
    """Slope and information at ``beta`` (Efron ties)."""
    s0 = s1 = s2 = 0.0
    slope = information = 0.0
    m = 0
    for g in range(starts.size - 1):
        d0 = d1 = d2 = 0.0
        first = m
        for i in range(starts[g], starts[g + 1]):
            x = z[i]
            e = math.exp(beta * x)
            ex = e * x
            s0 += e
            s1 += ex
            s2 += ex * x
            if event[i]:
                m += 1
                slope += x
                d0 += e
                d1 += ex
                d2 += ex * x
        for k in range(first, m):
            a = 1.0 / (s0 - share[k] * d0)
            mean = (s1 - share[k] * d1) * a
            slope -= mean
            information += (s2 - share[k] * d2) * a - mean * mean
    return slope, information


@njit(cache=True, nogil=True)
def _largest_wald(away, slope, information, span):
    """Upper bound of the Wald statistic from slope and information at a coefficient ``away`` from 0."""
    if not information > 1e-9:
        return np.inf
    g = span * abs(slope) / information
    if g >= 0.9:
        return np.inf
    farthest = abs(away) - math.log1p(-g) / span
    return farthest * farthest * information / (1.0 - g)


@njit(cache=True, nogil=True)
def _rule_out(columns, order, event, starts, cut, out):
    """Mark the columns (rows of ``columns``) whose Wald statistic is certainly below ``cut``."""
    n = order.size
    z, sums = np.empty(n), np.empty(n + 1)
    end, share, inverse, square, linear = _deaths(event, starts)
    for j in range(columns.shape[0]):
        out[j] = False
        mean, scale, span = _prepare(columns[j], order, z)
        if not scale > 1e-9 * max(abs(mean), 1e-300):
            continue
        slope, information = _at_zero(z, sums, event, end, share, inverse, square, linear)
        # Per standard deviation, as the fit is.
        slope, information, span = slope / scale, information / scale**2, span / scale
        if not information > 1e-9 or slope * slope >= cut * information:
            continue
        if _largest_wald(0.0, slope, information, span) < cut:
            out[j] = True
            continue
        step = slope / information
        if abs(step) * span < 30.0:
            for i in range(n):
                z[i] /= scale
            slope, information = _at(z, event, starts, share, step)
            out[j] = _largest_wald(step, slope, information, span) < cut


class SureScreen:
    """p-values of a univariate Cox screen, exact wherever they are below a limit.

    Parameters
    ----------
    columns : ndarray (n, p)
        Finite covariates.
    time, event : ndarray (n,)
        Days; True = death.
    below : float
        p-values from here on need not be known.
    n_jobs : int
        Threads of the fits; they do not change the result.

    Attributes
    ----------
    p : ndarray (p,)
        ``univariate_cox(...).p_screen`` of the columns that were fitted, 1 of those ruled out.
    """

    def __init__(self, columns: np.ndarray, time: np.ndarray, event: np.ndarray, below: float, n_jobs: int = 1):
        self._columns, self._time, self._event, self._n_jobs = columns, time, event, n_jobs
        out = np.zeros(columns.shape[1], dtype=np.bool_)
        if 0.0 < below < 1.0 and np.any(event):
            sets = risk_sets(time, event)
            cut = NormalDist().inv_cdf(below / 2.0) ** 2 * _MARGIN
            rows = np.ascontiguousarray(columns.T, dtype=np.float64)
            _rule_out(rows, sets.order, sets.event, sets.starts, cut, out)
        self._ruled_out = np.flatnonzero(out)
        self.p = np.ones(out.size)
        self._fit(np.flatnonzero(~out))

    @classmethod
    def known(cls, p: np.ndarray) -> SureScreen:
        """A screen whose p-values (p,) are all at hand."""
        screen = cls.__new__(cls)
        screen.p, screen._ruled_out = p, np.empty(0, dtype=np.int64)
        return screen

    def _fit(self, which: np.ndarray) -> None:
        if which.size:
            found = univariate_cox(self._columns[:, which], self._time, self._event, "efron", self._n_jobs)
            self.p[which] = found.p_screen

    def complete(self) -> np.ndarray:
        """All p-values (p,), exact; fits what was ruled out. Threads may call it at the same time."""
        which = self._ruled_out
        if which.size:
            self._fit(which)
            self._ruled_out = which[:0]
        return self.p
