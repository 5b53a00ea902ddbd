"""Cox models with strata: a baseline hazard for each, patients of different strata are never compared."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from amlprognosis.errors import InputError
from amlprognosis.models.few_cox_kernels import derivatives
from amlprognosis.models.risk_sets import risk_sets

# Linear predictors further apart than this are a likelihood without a maximum.
WIDEST = 200.0
# Coefficients of standardized columns beyond this, too.
LARGEST = 25.0


@dataclass(frozen=True)
class StratifiedFit:
    """A stratified Cox fit (Efron ties).

    Attributes
    ----------
    beta : ndarray (p,)
        Log hazard ratios on the scale of the columns.
    covariance : ndarray (p, p)
    loglik, loglik_null : float
        Log partial likelihood at ``beta`` and at 0.
    status : {"converged", "separated", "collinear", "not converged"}
        Unless converged, ``beta`` and ``covariance`` are NaN; ``loglik`` is the largest that was reached.
    """

    beta: np.ndarray
    covariance: np.ndarray
    loglik: float
    loglik_null: float
    status: str


class Strata:
    """Patients sorted within their strata, once for all models of them.

    Parameters
    ----------
    time, event : ndarray (n,)
        Days; True = death.
    stratum : ndarray (n,), optional
        Label of each patient; one stratum without it.

    Raises
    ------
    InputError
        If nobody died.
    """

    def __init__(self, time: np.ndarray, event: np.ndarray, stratum: np.ndarray | None = None):
        self.event = np.asarray(event, dtype=bool)
        if not self.event.any():
            raise InputError("nobody died: a Cox model needs at least one event")
        labels = np.zeros(len(self.event)) if stratum is None else np.asarray(stratum)
        self.parts = []
        for label in np.unique(labels):
            member = np.flatnonzero(labels == label)
            if self.event[member].any():
                sets = risk_sets(np.asarray(time)[member], self.event[member])
                self.parts.append((member[sets.order], sets))

    def within(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Columns (n, p) less their means within strata (0 in strata without deaths), and their standard deviations."""
        out = np.zeros_like(x, dtype=np.float64)
        for rows, _ in self.parts:
            out[rows] = x[rows] - x[rows].mean(axis=0)
        used = sum(len(rows) for rows, _ in self.parts)
        return out, np.sqrt((out**2).sum(axis=0) / used)

    def fit(self, x: np.ndarray, max_iter: int = 50) -> StratifiedFit:
        """Fit a few columns by Newton's method with step halving.

        Parameters
        ----------
        x : ndarray (n, p)
            Finite.
        max_iter : int
            Newton steps at most.
        """
        centered, scale = self.within(np.asarray(x, dtype=np.float64))
        count = centered.shape[1]
        failed = np.full(count, np.nan), np.full((count, count), np.nan)
        null = self._derivatives(centered, np.zeros(count))[0]
        if (scale <= 1e-12 * np.maximum(np.abs(x).max(axis=0), 1e-300)).any():
            return StratifiedFit(*failed, null, null, "collinear")
        z = centered / scale
        beta = np.zeros(count)
        loglik, slope, information = self._derivatives(z, beta)
        status = "not converged"
        for _ in range(max_iter):
            if not _is_regular(information):
                status = "separated" if beta.any() else "collinear"
                break
            step = np.linalg.solve(information, slope)
            for _ in range(30):
                trial = beta + step
                if np.ptp(z @ trial) < WIDEST:
                    found = self._derivatives(z, trial)
                    if found[0] >= loglik - 1e-12 * abs(loglik):
                        break
                step = step / 2
            else:
                break
            beta, (loglik, slope, information) = trial, found
            if np.abs(step).max() < 1e-8 * (1 + np.abs(beta).max()):
                status = "converged"
                break
            if np.abs(beta).max() > LARGEST:
                status = "separated"
                break
        if status != "converged":
            return StratifiedFit(*failed, loglik, null, status)
        covariance = np.linalg.inv(information) / np.outer(scale, scale)
        return StratifiedFit(beta / scale, covariance, loglik, null, status)

    def _derivatives(self, z: np.ndarray, beta: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        count = z.shape[1]
        loglik, slope, information = 0.0, np.zeros(count), np.zeros((count, count))
        own_slope, own_information = np.empty(count), np.empty((count, count))
        for rows, sets in self.parts:
            x = np.ascontiguousarray(z[rows])
            loglik += derivatives(x, sets.event, sets.starts, x @ beta, own_slope, own_information)
            slope += own_slope
            information += own_information
        return float(loglik), slope, information


def _is_regular(information: np.ndarray) -> bool:
    values = np.linalg.eigvalsh(information)
    return bool(values[0] > 1e-9 * max(values[-1], 1.0))
