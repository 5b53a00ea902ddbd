"""Platt scaling of held-out scores (Platt 1999, Advances in Large Margin Classifiers, 61-74)."""

from __future__ import annotations

import numpy as np
from scipy.special import expit, log_expit

# A probability p becomes logit(SHRINK + (1 - 2 SHRINK) p): finite at 0 and 1, increasing throughout.
SHRINK = 0.005
_RIDGE = 1e-6


def logit_of(probability: np.ndarray) -> np.ndarray:
    """Log odds of probabilities, finite at 0 and 1; beyond them the nearest."""
    inside = SHRINK + (1.0 - 2.0 * SHRINK) * np.clip(probability, 0.0, 1.0)
    return np.log(inside / (1.0 - inside))


def log_loss(margin: np.ndarray, target: np.ndarray, weight: np.ndarray) -> float:
    """Weighted mean of log(1 + exp(m)) - y m: the log loss for labels, the quasi-likelihood for any target."""
    return float(weight @ (-log_expit(-margin) - target * margin) / weight.sum())


def fit_platt(
    score: np.ndarray, target: np.ndarray, weight: np.ndarray, n_deaths: int, n_controls: int
) -> tuple[float, float]:
    """Slope and intercept of ``logit P(death) = slope * score + intercept``.

    Targets are drawn towards each other as Platt does: 1 becomes (d + 1) / (d + 2) for d deaths, 0 becomes
    1 / (c + 2) for c controls, and anything else lies on the same line.

    Parameters
    ----------
    score : ndarray (n,)
        Held-out scores, a higher one means death.
    target : ndarray (n,)
        0/1 labels or pseudo-observations of death.
    weight : ndarray (n,)
        Above 0.
    n_deaths, n_controls : int
        Patients of known status.

    Returns
    -------
    slope : float
        At least 0; 0 if the scores carry no signal.
    intercept : float
    """
    high, low = (n_deaths + 1.0) / (n_deaths + 2.0), 1.0 / (n_controls + 2.0)
    y = low + (high - low) * target
    share = weight / weight.sum()
    mean = min(max(float(share @ y), low), high)
    level = float(np.log(mean / (1.0 - mean)))
    center = float(share @ score)
    spread = float(np.sqrt(share @ (score - center) ** 2))
    if not spread > 1e-9 * max(abs(center), 1e-3):
        return 0.0, level
    z = (score - center) / spread
    slope, intercept = _newton(z, y, share, level)
    if slope <= 0:
        return 0.0, level
    return slope / spread, intercept - slope * center / spread


def _newton(z: np.ndarray, y: np.ndarray, share: np.ndarray, level: float) -> tuple[float, float]:
    """Minimize the loss in (slope, intercept); a trace of ridge bounds it for targets beyond 0 and 1."""

    def loss(slope: float, intercept: float) -> float:
        return log_loss(slope * z + intercept, y, share) + 0.5 * _RIDGE * (slope**2 + intercept**2)

    a, b = 0.0, level
    value = loss(a, b)
    for _ in range(100):
        p = expit(a * z + b)
        residual, curvature = share * (p - y), share * p * (1.0 - p)
        ga, gb = float(residual @ z) + _RIDGE * a, float(residual.sum()) + _RIDGE * b
        haa, hab = float(curvature @ (z * z)) + _RIDGE, float(curvature @ z)
        hbb = float(curvature.sum()) + _RIDGE
        determinant = haa * hbb - hab * hab
        da, db = (hbb * ga - hab * gb) / determinant, (haa * gb - hab * ga) / determinant
        step = 1.0
        while step > 1e-10 and loss(a - step * da, b - step * db) > value:
            step *= 0.5
        a, b = a - step * da, b - step * db
        new = loss(a, b)
        if value - new < 1e-14 and ga * ga + gb * gb < 1e-16:
            break
        value = new
    return a, b
