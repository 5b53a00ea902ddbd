"""The multivariable Cox model: partial likelihood with its derivatives, and Newton's method.

Patients stand in *descending* order of time, so that a risk set is a prefix. The information is
``X' diag(w) X - M' M``: ``w`` holds the expected deaths of each patient at the given risks, and the rows of ``M`` are
the means of the covariates among those at risk at each death. Both parts are one weighted Gram matrix, computed once
instead of a matrix per death. The kernels are plain loops, not BLAS: at 10 to 100 columns they are faster, and their
results do not depend on a BLAS's threads.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit

from amlprognosis.errors import InputError
from amlprognosis.models.risk_sets import Ties, is_efron, risk_sets


@njit(cache=True, nogil=True)
def combine(rows, weight, count, out):
    """Set ``out`` (p,) to the weighted sum of the first ``count`` rows of ``rows`` (m, p)."""
    out[:] = 0.0
    width = out.size
    i = 0
    # Four rows at a time: ``out`` is loaded and stored a quarter as often.
    while i + 4 <= count:
        w0, w1, w2, w3 = weight[i], weight[i + 1], weight[i + 2], weight[i + 3]
        r0, r1, r2, r3 = rows[i], rows[i + 1], rows[i + 2], rows[i + 3]
        for b in range(width):
            out[b] += (w0 * r0[b] + w1 * r1[b]) + (w2 * r2[b] + w3 * r3[b])
        i += 4
    while i < count:
        w0 = weight[i]
        r0 = rows[i]
        for b in range(width):
            out[b] += w0 * r0[b]
        i += 1


@njit(cache=True, nogil=True)
def weighted_gram(rows, weight, count, out):
    """Set ``out`` (p, p) to the weighted sum of outer products of the first ``count`` rows of ``rows`` (m, p)."""
    p = rows.shape[1]
    out[:, :] = 0.0
    i = 0
    while i + 4 <= count:
        r0, r1, r2, r3 = rows[i], rows[i + 1], rows[i + 2], rows[i + 3]
        for a in range(p):
            w0 = weight[i] * r0[a]
            w1 = weight[i + 1] * r1[a]
            w2 = weight[i + 2] * r2[a]
            w3 = weight[i + 3] * r3[a]
            line = out[a]
            for b in range(a + 1):
                line[b] += (w0 * r0[b] + w1 * r1[b]) + (w2 * r2[b] + w3 * r3[b])
        i += 4
    while i < count:
        r0 = rows[i]
        for a in range(p):
            w0 = weight[i] * r0[a]
            line = out[a]
            for b in range(a + 1):
                line[b] += w0 * r0[b]
        i += 1
    for a in range(p):
        for b in range(a):
            out[b, a] = out[a, b]


@njit(cache=True, nogil=True)
def cox_score(eta, event, starts, efron, risk, residual):
    """Log partial likelihood of linear predictor ``eta`` (n,).

    Fills ``risk`` (exp of eta, up to a factor) and ``residual``, the gradient in eta: died or not, minus the deaths
    expected (the martingale residual; with Efron's rule his version of it).
    """
    m = starts.size - 1
    hazard = np.zeros(m)
    tied = np.zeros(m)
    top = eta.max()
    s0 = 0.0
    loglik = 0.0
    for g in range(m):
        d0 = 0.0
        deaths = 0
        for i in range(starts[g], starts[g + 1]):
            e = math.exp(eta[i] - top)
            risk[i] = e
            s0 += e
            if event[i]:
                deaths += 1
                d0 += e
                loglik += eta[i] - top
        if deaths == 0:
            continue
        if efron and deaths > 1:
            for k in range(deaths):
                f = k / deaths
                c = 1.0 / (s0 - f * d0)
                loglik += math.log(c)
                hazard[g] += c
                tied[g] += f * c
        else:
            loglik -= deaths * math.log(s0)
            hazard[g] = deaths / s0
    total = 0.0
    for g in range(m - 1, -1, -1):
        total += hazard[g]
        for i in range(starts[g], starts[g + 1]):
            if event[i]:
                residual[i] = 1.0 - risk[i] * (total - tied[g])
            else:
                residual[i] = -risk[i] * total
    return loglik


@njit(cache=True, nogil=True)
def information_rows(rows, event, starts, efron, risk, residual, weight):
    """Write below the n patients of ``rows`` the means of M, and in ``weight`` the weights of all rows.

    ``rows`` has as many rows as patients and deaths together. Returns the number of rows in use:
    ``weighted_gram(rows, weight, used, out)`` is then the information at the risks of :func:`cox_score`.
    """
    n, p = event.size, rows.shape[1]
    used = n
    s0 = 0.0
    s1 = np.zeros(p)
    d1 = np.zeros(p)
    for g in range(starts.size - 1):
        first, last = starts[g], starts[g + 1]
        deaths = 0
        d0 = 0.0
        d1[:] = 0.0
        for i in range(first, last):
            deaths += event[i]
            weight[i] = event[i] - residual[i]
            s0 += risk[i]
            e = risk[i]
            row = rows[i]
            for a in range(p):
                s1[a] += e * row[a]
        if deaths == 0:
            continue
        if efron and deaths > 1:
            for i in range(first, last):
                if event[i]:
                    d0 += risk[i]
                    e = risk[i]
                    row = rows[i]
                    for a in range(p):
                        d1[a] += e * row[a]
            for k in range(deaths):
                f = k / deaths
                c = 1.0 / (s0 - f * d0)
                row = rows[used]
                for a in range(p):
                    row[a] = (s1[a] - f * d1[a]) * c
                weight[used] = -1.0
                used += 1
        else:
            c = 1.0 / s0
            row = rows[used]
            for a in range(p):
                row[a] = s1[a] * c
            weight[used] = -float(deaths)
            used += 1
    return used


@njit(cache=True, nogil=True)
def _derivatives(rows, eta, event, starts, efron, slope, information):
    """Log partial likelihood; fills slope (p,) and information (p, p). The patients are the first n ``rows``."""
    n = eta.size
    risk = np.empty(n)
    residual = np.empty(n)
    weight = np.empty(rows.shape[0])
    loglik = cox_score(eta, event, starts, efron, risk, residual)
    used = information_rows(rows, event, starts, efron, risk, residual, weight)
    combine(rows, residual, n, slope)
    weighted_gram(rows, weight, used, information)
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


class _Likelihood:
    """The partial likelihood of one cohort: patients sorted once, derivatives at any coefficients."""

    def __init__(self, x: np.ndarray, time: np.ndarray, event: np.ndarray, ties: str):
        self.efron = is_efron(ties)
        self.x = np.asarray(x, dtype=np.float64)
        if self.x.ndim != 2 or self.x.shape[0] != len(time) or len(time) != len(event):
            raise InputError(f"x must be 2D (n, p) with n = {len(time)} times and events, got {self.x.shape}")
        if not np.isfinite(self.x).all():
            raise InputError("covariates hold missing or infinite values; impute before fitting")
        self.sets = risk_sets(time, event)
        if not self.sets.event.any():
            raise InputError("nobody died: a Cox model needs at least one event")
        self.mean = self.x.mean(axis=0)
        self.rows = np.zeros((len(self.x) + int(self.sets.event.sum()), self.x.shape[1]))

    def set_scale(self, scale: np.ndarray | float) -> np.ndarray:
        """Center and scale the columns; they are given back in the kernels' order (n, p)."""
        z = self.rows[: len(self.x)]
        z[:] = ((self.x - self.mean) / scale)[self.sets.order]
        return z

    def derivatives(self, eta: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """Log likelihood, gradient (p,) and information (p, p) at a linear predictor in the kernels' order."""
        p = self.rows.shape[1]
        slope, information = np.empty(p), np.empty((p, p))
        loglik = _derivatives(self.rows, eta, self.sets.event, self.sets.starts, self.efron, slope, information)
        return float(loglik), slope, information


def partial_likelihood(
    x: np.ndarray, time: np.ndarray, event: np.ndarray, beta: np.ndarray, ties: Ties = "efron"
) -> tuple[float, np.ndarray, np.ndarray]:
    """Log partial likelihood of a Cox model at given coefficients, with its derivatives.

    Parameters
    ----------
    x : ndarray (n, p)
        Covariates, finite.
    time, event : ndarray (n,)
        Days; True = death.
    beta : ndarray (p,)
        Coefficients on the scale of ``x``.
    ties : {"efron", "breslow"}
        Rule for tied deaths (Efron 1977, doi:10.1080/01621459.1977.10480613).

    Returns
    -------
    loglik : float
    gradient : ndarray (p,)
    hessian : ndarray (p, p)
        Second derivatives of the log likelihood: minus the information.

    Raises
    ------
    InputError
        If shapes disagree, a value is not finite, or nobody died.
    """
    likelihood = _Likelihood(x, time, event, ties)
    beta = np.asarray(beta, dtype=np.float64)
    if beta.shape != (likelihood.x.shape[1],) or not np.isfinite(beta).all():
        raise InputError(f"beta must hold {likelihood.x.shape[1]} finite coefficients, got shape {beta.shape}")
    loglik, gradient, information = likelihood.derivatives(likelihood.set_scale(1.0) @ beta)
    return loglik, gradient, -information


def _inverse(matrix: np.ndarray, largest_condition: float, floor: float) -> np.ndarray | None:
    """Inverse of a symmetric matrix; None if its condition number may exceed the given one.

    Trace and Frobenius norm bound the extreme eigenvalues, far cheaper than an eigendecomposition. The largest
    eigenvalue counts as at least ``floor``.
    """
    try:
        inverse: np.ndarray = np.linalg.inv(matrix)
    except np.linalg.LinAlgError:
        return None
    bound = max(float(np.trace(matrix)), floor) * float(np.linalg.norm(inverse))
    return inverse if 0 <= bound < largest_condition else None


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
    likelihood = _Likelihood(x, time, event, ties)
    x = likelihood.x
    scale = x.std(axis=0)
    constant = ~(scale > 1e-12 * np.maximum(np.abs(x).max(axis=0, initial=0.0), 1e-300))
    if constant.any():
        raise InputError(f"constant covariates at positions {np.flatnonzero(constant).tolist()}; drop them")
    z = likelihood.set_scale(scale)
    n_columns = z.shape[1]
    beta, eta = np.zeros(n_columns), np.zeros(len(z))
    loglik, gradient, hessian = likelihood.derivatives(eta)
    null, null_hessian = loglik, hessian
    # A standardized column has an information of about the number of deaths; far below is rounding noise.
    floor = 1e-4 * int(likelihood.sets.event.sum())
    inverse = _inverse(hessian, 1e9, floor)
    singular, penalty = False, float(ridge)
    if inverse is not None:
        score_test = float(gradient @ inverse @ gradient)
    else:
        eigenvalues, vectors = np.linalg.eigh(hessian)
        largest = float(eigenvalues.max(initial=floor))
        keep = eigenvalues > 1e-9 * largest
        score_test = float(((vectors[:, keep].T @ gradient) ** 2 / eigenvalues[keep]).sum())
        singular = bool(ridge <= 0 and not keep.all())
        penalty = max(penalty, 1e-6 * largest) if singular else penalty
    eye = np.eye(n_columns)
    status, iterations = "not converged", 0
    while iterations < max_iter:
        iterations += 1
        pushed = gradient - penalty * beta
        step = np.linalg.solve(hessian + (penalty + 1e-14) * eye, pushed)
        objective = loglik - 0.5 * penalty * beta @ beta
        for _ in range(30):
            trial = beta + step
            eta = z @ trial
            if np.abs(eta).max() < 300.0:
                found, new_gradient, new_hessian = likelihood.derivatives(eta)
                if found - 0.5 * penalty * trial @ trial >= objective - 1e-12 * abs(objective):
                    break
            step = step / 2
        else:
            break
        beta, loglik, gradient, hessian = trial, found, new_gradient, new_hessian
        if np.abs(step).max() < 1e-8 * (1 + np.abs(beta).max()):
            status = "converged"
            break
        # In a monotone likelihood the information vanishes along the steps, which do not.
        left = step @ (hessian + penalty * eye) @ step
        vanished = np.abs(step).max() > 1e-3 and left < 1e-6 * (step @ (null_hessian + penalty * eye) @ step)
        if vanished or np.abs(beta).max() > 25.0:
            status = "separated"
            break
    hessian = hessian + penalty * eye
    inverse = _inverse(hessian, 1e13, 0.0)
    covariance = np.linalg.pinv(hessian, hermitian=True) if inverse is None else inverse
    covariance = covariance / np.outer(scale, scale)
    return CoxFit(beta / scale, covariance, loglik, null, score_test, iterations, status, penalty, singular)
