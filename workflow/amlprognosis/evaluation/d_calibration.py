"""D-calibration: whether the predicted survival probabilities at the patients' own times are uniform."""

from __future__ import annotations

import numpy as np
from scipy.special import chdtrc

BINS = 10


def probability_at_own_time(
    survival: np.ndarray, times: np.ndarray, time: np.ndarray, event: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Predicted S at each patient's own time, and whether the patient died there; shapes (n,).

    Curves start at 1 and are linear between the predicted times. A patient followed past the last of them counts as
    censored there.

    Parameters
    ----------
    survival : ndarray, shape (n, t)
        Finite.
    times : ndarray, shape (t,)
        Increasing days.
    time, event : ndarray, shape (n,)
    """
    grid = np.concatenate(([0.0], times))
    curve = np.column_stack([np.ones(len(survival)), survival])
    own = np.minimum(time, grid[-1])
    right = np.clip(np.searchsorted(grid, own, side="left"), 1, len(grid) - 1)
    width = grid[right] - grid[right - 1]
    share = np.where(width > 0, (own - grid[right - 1]) / np.where(width > 0, width, 1.0), 1.0)
    row = np.arange(len(own))
    found = (1.0 - share) * curve[row, right - 1] + share * curve[row, right]
    return np.clip(found, 0.0, 1.0), event & (time <= grid[-1])


def bin_shares(probability: np.ndarray, died: np.ndarray) -> np.ndarray:
    """Share of each patient in each of ten bins of [0, 1], shape (n, 10); rows sum to 1.

    A death stands in the bin of its probability. A patient censored at probability c is spread evenly over [0, c]:
    the part of c that lies in a bin is the share.
    """
    lower = np.arange(BINS) / BINS
    place = np.minimum(np.searchsorted(lower, probability, side="right") - 1, BINS - 1)
    one = np.eye(BINS)[place]
    overlap = np.clip(probability[:, None] - lower, 0.0, 1.0 / BINS)
    positive = probability > 0
    spread = np.where(positive[:, None], overlap / np.where(positive, probability, 1.0)[:, None], one)
    return np.where(died[:, None], one, spread)


def d_calibration(
    survival: np.ndarray, times: np.ndarray, time: np.ndarray, event: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """D-calibration of predicted survival curves, per row of weights.

    Pearson's chi-squared statistic of the patients in ten bins of predicted S at their own time against a tenth each;
    p with 9 degrees of freedom. Out of fold, shares and statistic are means over the repeats (the statistic is that of
    a typical repeat, not of the mean shares, which would flatter).

    Parameters
    ----------
    survival : ndarray, shape (repeats, n, t)
    times : ndarray, shape (t,)
    time, event : ndarray, shape (n,)
    weights : ndarray, shape (b, n)

    Returns
    -------
    tuple of ndarray or None
        shares, shape (b, 10); chi2 and p, shape (b,). None if no repeat has whole curves (a classifier at one time).

    References
    ----------
    Haider et al., J Mach Learn Res 2020, 21(85):1-63
    """
    shares, statistics = [], []
    for curves in survival:
        known = np.isfinite(curves).all(axis=1)
        if len(times) < 2 or not known.any() or np.isfinite(curves[~known]).any():
            continue
        member = bin_shares(*probability_at_own_time(curves[known], times, time[known], event[known]))
        total = weights[:, known].sum(1, keepdims=True)
        count = weights[:, known] @ member
        expected = np.where(total > 0, total, np.nan) / BINS
        shares.append(count / (BINS * expected))
        statistics.append(((count - expected) ** 2 / expected).sum(1))
    if not shares:
        return None
    chi2 = np.mean(statistics, axis=0)
    return np.mean(shares, axis=0), chi2, chdtrc(BINS - 1, chi2)
