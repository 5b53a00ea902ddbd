"""Compiled kernels for Cox models: univariate screen, multivariable fit, baseline hazard, concordance.

All kernels take patients sorted by *descending* time, so that a risk set is a prefix. They release the GIL, and
threads (not numba's ``prange``) share the genes: no threading layer to start, safe when several callers run at
once, and the same bits whatever the number of threads.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numba import njit

from amlprognosis.errors import InputError
from amlprognosis.models.concordance import Concordance, harrell_concordance
from amlprognosis.models.risk_sets import RiskSets, Ties, is_efron, risk_sets

__all__ = [
    "STATUS_NAMES",
    "Concordance",
    "CoxFit",
    "RiskSets",
    "Ties",
    "UnivariateScreen",
    "baseline_hazard",
    "chi2_p",
    "fit_cox",
    "harrell_concordance",
    "risk_sets",
    "univariate_cox",
]

CONVERGED, CONSTANT, SEPARATED, NO_EVENTS, NOT_CONVERGED = 0, 1, 2, 3, 4
STATUS_NAMES = ("converged", "constant", "separated", "no events", "not converged")


# ---------------------------------------------------------------- univariate screen


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
    p_lr: np.ndarray
    status: np.ndarray

    @property
    def status_names(self) -> np.ndarray:
        """Status in words, per column."""
        return np.array(STATUS_NAMES)[self.status]

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
    return UnivariateScreen(beta, se, z, chi2_p(z * z), score, chi2_p(score), lr, chi2_p(lr), status)


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


# ---------------------------------------------------------------- multivariable fit


@njit(cache=True, nogil=True)
def _many_pass(x, event, starts, eta, efron, slope, information):
    """Log partial likelihood for linear predictor ``eta``; fills slope (p,) and information (p, p)."""
    p = x.shape[1]
    s0 = 0.0
    s1 = np.zeros(p)
    s2 = np.zeros((p, p))
    d1 = np.zeros(p)
    d2 = np.zeros((p, p))
    mean = np.empty(p)
    slope[:] = 0.0
    information[:, :] = 0.0
    loglik = 0.0
    top = eta.max()
    for g in range(starts.size - 1):
        deaths = 0
        for i in range(starts[g], starts[g + 1]):
            deaths += event[i]
        tied = efron and deaths > 1
        d0 = 0.0
        if tied:
            d1[:] = 0.0
            d2[:, :] = 0.0
        for i in range(starts[g], starts[g + 1]):
            e = math.exp(eta[i] - top)
            s0 += e
            for a in range(p):
                ex = e * x[i, a]
                s1[a] += ex
                for b in range(a + 1):
                    s2[a, b] += ex * x[i, b]
            if event[i]:
                loglik += eta[i] - top
                for a in range(p):
                    slope[a] += x[i, a]
                if tied:
                    d0 += e
                    for a in range(p):
                        ex = e * x[i, a]
                        d1[a] += ex
                        for b in range(a + 1):
                            d2[a, b] += ex * x[i, b]
        if deaths == 0:
            continue
        if tied:
            for k in range(deaths):
                f = k / deaths
                c = 1.0 / (s0 - f * d0)
                loglik += math.log(c)
                for a in range(p):
                    mean[a] = (s1[a] - f * d1[a]) * c
                    slope[a] -= mean[a]
                    for b in range(a + 1):
                        information[a, b] += (s2[a, b] - f * d2[a, b]) * c - mean[a] * mean[b]
        else:
            c = 1.0 / s0
            loglik += deaths * math.log(c)
            for a in range(p):
                mean[a] = s1[a] * c
                slope[a] -= deaths * mean[a]
                for b in range(a + 1):
                    information[a, b] += deaths * (s2[a, b] * c - mean[a] * mean[b])
    for a in range(p):
        for b in range(a):
            information[b, a] = information[a, b]
    return loglik


@dataclass(frozen=True)
class CoxFit:
    """A multivariable Cox fit.

    Attributes
    ----------
    beta : ndarray (p,)
        Coefficients (log hazard ratios) on the scale of the input columns.
    covariance : ndarray (p, p)
        Inverse (penalized) information.
    loglik, loglik_null : float
        Log partial likelihood (without penalty) at ``beta`` and at 0.
    score_test : float
        Global score chi-squared at 0.
    iterations : int
        Newton steps taken.
    status : str
        "converged", "separated" or "not converged".
    ridge : float
        Penalty that was used in the end (larger than asked for when ``singular``).
    singular : bool
        The information matrix was singular (collinear columns) and a tiny ridge was added.
    """

    beta: np.ndarray
    covariance: np.ndarray
    loglik: float
    loglik_null: float
    score_test: float
    iterations: int
    status: str
    ridge: float
    singular: bool


def fit_cox(
    x: np.ndarray,
    time: np.ndarray,
    event: np.ndarray,
    ties: Ties = "efron",
    ridge: float = 0.0,
    max_iter: int = 50,
) -> CoxFit:
    """Fit a multivariable Cox model by Newton's method with step halving.

    Parameters
    ----------
    x : ndarray (n, p)
        Covariates, finite.
    time, event : ndarray (n,)
        Days; True = death.
    ties : {"efron", "breslow"}
        Rule for tied deaths.
    ridge : float
        Maximizes loglik - ridge / 2 * sum((beta * sd)^2), with sd the columns' standard deviation (ddof 0).
    max_iter : int
        Newton steps at most.

    Returns
    -------
    CoxFit

    Raises
    ------
    InputError
        If shapes disagree, a value is not finite, nobody died, or a column is constant.
    """
    efron = is_efron(ties)
    x = np.asarray(x, dtype=np.float64)
    if x.ndim != 2 or x.shape[0] != len(time) or len(time) != len(event):
        raise InputError(f"x must be 2D (n, p) with n = {len(time)} times and events, got {x.shape}")
    if not np.isfinite(x).all():
        raise InputError("covariates hold missing or infinite values; impute before fitting")
    sets = risk_sets(time, event)
    if not sets.event.any():
        raise InputError("nobody died: a Cox model needs at least one event")
    scale = x.std(axis=0)
    constant = ~(scale > 1e-12 * np.maximum(np.abs(x).max(axis=0, initial=0.0), 1e-300))
    if constant.any():
        raise InputError(f"constant covariates at positions {np.flatnonzero(constant).tolist()}; drop them")
    z = np.ascontiguousarray(((x - x.mean(axis=0)) / scale)[sets.order])
    n_columns = z.shape[1]
    slope, information = np.empty(n_columns), np.empty((n_columns, n_columns))

    def evaluate(b: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        value = _many_pass(z, sets.event, sets.starts, z @ b, efron, slope, information)
        return value, slope.copy(), information.copy()

    beta = np.zeros(n_columns)
    loglik, gradient, hessian = evaluate(beta)
    null = loglik
    eigenvalues, vectors = np.linalg.eigh(hessian)
    cutoff = 1e-9 * max(eigenvalues.max(initial=0.0), 1e-300)
    singular = bool(ridge <= 0 and (eigenvalues < cutoff).any())
    keep = eigenvalues > cutoff
    score_test = float(((vectors[:, keep].T @ gradient) ** 2 / eigenvalues[keep]).sum())
    penalty = max(ridge, 1e-6 * eigenvalues.max(initial=0.0)) if singular else ridge
    eye = np.eye(n_columns)
    status, iterations = "not converged", 0
    while iterations < max_iter:
        iterations += 1
        pushed = gradient - penalty * beta
        step = np.linalg.solve(hessian + (penalty + 1e-14) * eye, pushed)
        objective = loglik - 0.5 * penalty * beta @ beta
        for _ in range(30):
            trial = beta + step
            if np.abs(z @ trial).max() < 300.0:
                found, new_gradient, new_hessian = evaluate(trial)
                if found - 0.5 * penalty * trial @ trial >= objective - 1e-12 * abs(objective):
                    break
            step = step / 2
        else:
            break
        beta, loglik, gradient, hessian = trial, found, new_gradient, new_hessian
        if np.abs(step).max() < 1e-8 * (1 + np.abs(beta).max()):
            status = "converged"
            break
        if np.abs(beta).max() > 25.0:
            status = "separated"
            break
    covariance = np.linalg.pinv(hessian + penalty * eye, hermitian=True) / np.outer(scale, scale)
    return CoxFit(
        beta / scale, covariance, float(loglik), float(null), score_test, iterations, status, float(penalty), singular
    )


# ---------------------------------------------------------------- baseline hazard


@njit(cache=True, nogil=True)
def _hazard_increments(weight, event, starts, efron):
    m = starts.size - 1
    out = np.zeros(m)
    s0 = 0.0
    for g in range(m):
        d0 = 0.0
        deaths = 0
        for i in range(starts[g], starts[g + 1]):
            s0 += weight[i]
            if event[i]:
                deaths += 1
                d0 += weight[i]
        if efron:
            for k in range(deaths):
                out[g] += 1.0 / (s0 - k / deaths * d0)
        elif deaths > 0:
            out[g] = deaths / s0
    return out


def baseline_hazard(
    linear_predictor: np.ndarray, time: np.ndarray, event: np.ndarray, ties: Ties = "breslow"
) -> tuple[np.ndarray, np.ndarray]:
    """Estimate the cumulative baseline hazard at linear predictor 0 (Breslow 1972; Efron increments on request).

    Returns
    -------
    times : ndarray (m,)
        Distinct observed times, ascending, days.
    cumulative_hazard : ndarray (m,)
        S(t | lp) = exp(-cumulative_hazard(t) * exp(lp)).
    """
    efron = is_efron(ties)
    sets = risk_sets(time, event)
    lp = np.asarray(linear_predictor, dtype=np.float64)[sets.order]
    shift = float(lp.max())
    increments = _hazard_increments(np.exp(lp - shift), sets.event, sets.starts, efron)
    return sets.times[::-1].copy(), np.cumsum(increments[::-1]) * math.exp(-shift)
