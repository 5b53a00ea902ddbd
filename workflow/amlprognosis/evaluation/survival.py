"""Log-rank test and a small Cox fit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import chdtrc

from amlprognosis.models.kaplan_meier import kaplan_meier


@dataclass(frozen=True)
class LogRank:
    """A log-rank test over g groups: chi2 with g - 1 degrees of freedom, p, observed and expected deaths."""

    chi2: float
    p: float
    observed: np.ndarray
    expected: np.ndarray


def logrank_test(time: np.ndarray, event: np.ndarray, group: np.ndarray, rho: float = 0.0) -> LogRank:
    """Log-rank test (rho = 0) or the G-rho family of Harrington and Fleming.

    Parameters
    ----------
    time, event, group : ndarray, shape (n,)
    rho : float
        Weights S(t-)**rho of the pooled Kaplan-Meier curve; 1 is Peto and Peto's test.

    Returns
    -------
    LogRank
        chi2 and p are NaN with fewer than two groups or no information.

    References
    ----------
    Harrington and Fleming, Biometrika 1982, doi:10.1093/biomet/69.3.553
    """
    time, event = np.asarray(time, dtype=float), np.asarray(event, dtype=bool)
    levels, code = np.unique(np.asarray(group), return_inverse=True)
    km = kaplan_meier(time, event)
    at = km.time[km.events > 0]
    risk = np.stack([(code == g).sum() - np.searchsorted(np.sort(time[code == g]), at) for g in range(len(levels))])
    deaths = np.stack(
        [np.bincount(np.searchsorted(at, time[event & (code == g)]), minlength=len(at)) for g in range(len(levels))]
    )
    n, d = risk.sum(0), deaths.sum(0)
    weight = km.before(at) ** rho
    expected = (weight * d * risk / n).sum(1)
    observed = (weight * deaths).sum(1)
    factor = np.where(n > 1, weight**2 * d * (n - d) / np.where(n > 1, n - 1, 1), 0.0)
    share = risk / n
    variance = np.diag((factor * share).sum(1)) - (factor * share) @ share.T
    if len(levels) < 2 or not len(at):
        return LogRank(np.nan, np.nan, observed, expected)
    difference = (observed - expected)[:-1]
    try:
        chi2 = float(difference @ np.linalg.solve(variance[:-1, :-1], difference))
    except np.linalg.LinAlgError:
        chi2 = np.nan
    return LogRank(chi2, float(chdtrc(len(levels) - 1, chi2)), observed, expected)


@dataclass(frozen=True)
class CoxFit:
    """A Cox fit (Efron ties) with its baseline hazard.

    ``coef`` (p,), ``covariance`` (p, p), ``loglik``; ``hazard_time`` and ``hazard`` are the cumulative baseline
    hazard at x = 0. ``converged`` is False, and the figures NaN, for constant, collinear or separating columns.
    """

    coef: np.ndarray
    covariance: np.ndarray
    loglik: float
    hazard_time: np.ndarray
    hazard: np.ndarray
    converged: bool

    @property
    def std_error(self) -> np.ndarray:
        """Standard errors of the coefficients, shape (p,)."""
        return np.sqrt(np.diag(self.covariance))

    def baseline(self, time: float) -> float:
        """Cumulative baseline hazard at ``time``."""
        index = int(np.searchsorted(self.hazard_time, time, side="right"))
        return float(self.hazard[index - 1]) if index else 0.0


def fit_cox(x: np.ndarray, time: np.ndarray, event: np.ndarray, ridge: float = 0.0) -> CoxFit:
    """Fit the few-column Cox models of evaluation (calibration, hazard ratios); never raises on bad columns.

    Parameters
    ----------
    x : ndarray, shape (n, p) or (n,)
        Finite.
    time, event : ndarray, shape (n,)
    ridge : float
        As in :func:`amlprognosis.models.cox_kernels.fit_cox`.
    """
    # Here and not above: loading numba takes a second, and a log-rank test does not need it.
    from amlprognosis.models import cox_kernels

    x = np.asarray(x, dtype=float)
    x = x[:, None] if x.ndim == 1 else x
    time, event = np.asarray(time, dtype=float), np.asarray(event, dtype=bool)
    p, nothing = x.shape[1], np.array([])
    failed = CoxFit(np.full(p, np.nan), np.full((p, p), np.nan), np.nan, nothing, nothing, False)
    if not event.any() or (np.ptp(x, axis=0) <= 1e-12 * np.maximum(np.abs(x).max(axis=0), 1e-300)).any():
        return failed
    fit = cox_kernels.fit_cox(x, time, event, ridge=ridge)
    if fit.status != "converged" or fit.singular:
        return failed
    hazard_time, hazard = cox_kernels.baseline_hazard(x @ fit.beta, time, event, ties="efron")
    return CoxFit(fit.beta, fit.covariance, fit.loglik, hazard_time, hazard, True)
