"""The univariate Cox screen: every column alone, all columns at once.

The kernel takes patients sorted by *descending* time, so that a risk set is a prefix. It releases the GIL, and threads
(not numba's ``prange``) share the columns: no threading layer to start, safe when several callers run at once, and the
same bits whatever the number of threads.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numba import njit

from amlprognosis.errors import InputError
from amlprognosis.models.risk_sets import Ties, is_efron, risk_sets

CONVERGED, CONSTANT, SEPARATED, NO_EVENTS, NOT_CONVERGED = 0, 1, 2, 3, 4
STATUS_NAMES = ("converged", "constant", "separated", "no events", "not converged")


@njit(cache=True, nogil=True)
def _one_pass(z, event, starts, beta, efron):
    """Log partial likelihood, its slope and its information for one covariate."""
    s0 = s1 = s2 = 0.0
    loglik = slope = information = 0.0
    for g in range(starts.size - 1):
        d0 = d1 = d2 = dz = 0.0
        deaths = 0
        for i in range(starts[g], starts[g + 1]):
            x = z[i]
            e = math.exp(beta * x)
            ex = e * x
            s0 += e
            s1 += ex
            s2 += ex * x
            if event[i]:
                deaths += 1
                d0 += e
                d1 += ex
                d2 += ex * x
                dz += x
        if deaths == 0:
            continue
        loglik += beta * dz
        slope += dz
        if efron and deaths > 1:
            for k in range(deaths):
                f = k / deaths
                a = 1.0 / (s0 - f * d0)
                mean = (s1 - f * d1) * a
                loglik += math.log(a)
                slope -= mean
                information += (s2 - f * d2) * a - mean * mean
        else:
            a = 1.0 / s0
            mean = s1 * a
            loglik += deaths * math.log(a)
            slope -= deaths * mean
            information += deaths * (s2 * a - mean * mean)
    return loglik, slope, information


@njit(cache=True, nogil=True)
def _screen_rows(columns, order, event, starts, efron, out, status, first, last):
    """Fit columns ``first`` to ``last`` (rows of ``columns``); out: beta, se, score chi2, lr chi2."""
    n = order.size
    z = np.empty(n)
    any_event = False
    for i in range(n):
        any_event = any_event or event[i]
    for j in range(first, last):
        for k in range(4):
            out[j, k] = np.nan
        if not any_event:
            status[j] = NO_EVENTS
            continue
        mean = 0.0
        for i in range(n):
            z[i] = columns[j, order[i]]
            mean += z[i]
        mean /= n
        variance = 0.0
        largest = 0.0
        for i in range(n):
            z[i] -= mean
            variance += z[i] * z[i]
            largest = max(largest, abs(z[i]))
        scale = math.sqrt(variance / n)
        # A column whose spread is rounding noise beside its level counts as constant.
        if not scale > 1e-12 * max(abs(mean), 1e-300):
            status[j] = CONSTANT
            continue
        for i in range(n):
            z[i] /= scale
        largest /= scale
        beta = 0.0
        null, slope, information = _one_pass(z, event, starts, 0.0, efron)
        if not information > 1e-14:
            # Everyone at risk at each death has the same value.
            status[j] = CONSTANT
            continue
        loglik = null
        out[j, 2] = slope * slope / information
        state = NOT_CONVERGED
        for _ in range(60):
            step = slope / information
            if abs(step) < 1e-8 * (1.0 + abs(beta)):
                # Newton converges quadratically: this last step is exact to rounding.
                beta += step
                state = CONVERGED
                break
            accepted = False
            for _halving in range(30):
                trial = beta + step
                if abs(trial) * largest > 300.0:
                    step *= 0.5
                    continue
                new, new_slope, new_information = _one_pass(z, event, starts, trial, efron)
                if new >= loglik - 1e-12 * abs(loglik):
                    accepted = True
                    break
                step *= 0.5
            if not accepted:
                break
            beta = trial
            loglik = new
            slope = new_slope
            information = new_information
            # In a monotone likelihood the information vanishes while beta runs away.
            if not information > 1e-9 or abs(beta) > 25.0:
                state = SEPARATED
                break
        status[j] = state
        out[j, 3] = max(2.0 * (loglik - null), 0.0)
        if state == CONVERGED:
            out[j, 0] = beta / scale
            out[j, 1] = 1.0 / math.sqrt(information) / scale
        else:
            out[j, 0] = math.copysign(np.inf, beta)
            out[j, 1] = np.inf


@dataclass(frozen=True)
class UnivariateScreen:
    """Univariate Cox fits of many columns; every array has shape (n_columns,).

    ``beta`` and ``se`` are infinite for a separated column (its Wald test is NaN, its score test stands), and
    everything is NaN for a constant one. ``status`` holds codes, ``status_names`` their words.
    """

    beta: np.ndarray
    se: np.ndarray
    z: np.ndarray
    p_wald: np.ndarray
    score_test: np.ndarray
    p_score: np.ndarray
    lr_test: np.ndarray
    status: np.ndarray

    @property
    def status_names(self) -> np.ndarray:
        """Status in words, per column."""
        return np.array(STATUS_NAMES)[self.status]

    @property
    def p_lr(self) -> np.ndarray:
        """Likelihood-ratio p (n_columns,); NaN for constant columns."""
        return chi2_p(self.lr_test)

    @property
    def p_screen(self) -> np.ndarray:
        """Wald p; the score test's p where the Wald test does not exist; 1 for constant columns."""
        p = np.where(np.isnan(self.p_wald), self.p_score, self.p_wald)
        return np.where(np.isnan(p), 1.0, p)


def univariate_cox(
    columns: np.ndarray, time: np.ndarray, event: np.ndarray, ties: Ties = "efron", n_jobs: int = 1
) -> UnivariateScreen:
    """Fit a Cox model to each column alone.

    Parameters
    ----------
    columns : ndarray (n, p)
        Covariates, finite.
    time : ndarray (n,)
        Days, finite.
    event : ndarray of bool (n,)
        True = death.
    ties : {"efron", "breslow"}
        Rule for tied deaths (Efron 1977, doi:10.1080/01621459.1977.10480613).
    n_jobs : int
        Threads; they do not change the result.

    Returns
    -------
    UnivariateScreen

    Raises
    ------
    InputError
        If shapes disagree, or a value is missing or infinite.
    """
    efron = is_efron(ties)
    columns = np.asarray(columns, dtype=np.float64)
    if columns.ndim != 2 or columns.shape[0] != len(time) or len(time) != len(event):
        raise InputError(
            f"columns must be 2D (n, p) with n = {len(time)} times and events, got {columns.shape}, {len(event)} events"
        )
    n_columns = columns.shape[1]
    rows = np.ascontiguousarray(columns.T)
    if not math.isfinite(float(rows.sum())) and not np.isfinite(rows).all():
        raise InputError("columns hold missing or infinite values; impute before the screen")
    sets = risk_sets(time, event)
    out = np.empty((n_columns, 4))
    status = np.empty(n_columns, dtype=np.int64)
    workers = max(1, min(int(n_jobs), n_columns // 64 + 1))
    if workers == 1:
        _screen_rows(rows, sets.order, sets.event, sets.starts, efron, out, status, 0, n_columns)
    else:
        borders = np.linspace(0, n_columns, 4 * workers + 1).astype(int)
        with ThreadPoolExecutor(workers) as pool:
            jobs = [
                pool.submit(_screen_rows, rows, sets.order, sets.event, sets.starts, efron, out, status, int(a), int(b))
                for a, b in pairwise(borders)
            ]
            for job in jobs:
                job.result()
    beta, se, score, lr = out.T.copy()
    z = np.full(n_columns, np.nan)
    finite = status == CONVERGED
    z[finite] = beta[finite] / se[finite]
    return UnivariateScreen(beta, se, z, chi2_p(z * z), score, chi2_p(score), lr, status)


@njit(cache=True, nogil=True)
def _chi2_tail(statistic, out):
    for i in range(statistic.size):
        out[i] = math.erfc(math.sqrt(statistic[i] / 2.0))


def chi2_p(statistic: np.ndarray) -> np.ndarray:
    """Upper tail of the chi-squared distribution with one degree of freedom (n,); NaN stays NaN."""
    statistic = np.ascontiguousarray(statistic, dtype=np.float64)
    out = np.empty(statistic.size)
    _chi2_tail(statistic, out)
    return out
