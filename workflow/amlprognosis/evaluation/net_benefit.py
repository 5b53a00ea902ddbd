"""Net benefit of acting on a predicted risk, with censored patients."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from amlprognosis.evaluation.bootstrap_kernels import net_benefits


def net_benefit_values(
    survival: np.ndarray,
    time: np.ndarray,
    event: np.ndarray,
    weights: np.ndarray,
    day: float,
    thresholds: Sequence[float],
) -> np.ndarray:
    """Net benefit of treating patients whose risk of death by a time reaches a threshold, per row of weights.

    With x the share of patients at or above threshold p and S the Kaplan-Meier estimate inside them, it is
    x (1 - S) - x S p / (1 - p): true less false positives, these at the exchange rate of the threshold. A group that
    is not followed to the time keeps the last value of its curve. Out of fold it is computed per repeat and averaged.

    Parameters
    ----------
    survival : ndarray, shape (repeats, n)
        Predicted S(t); NaN where there is none.
    time, event : ndarray, shape (n,)
    weights : ndarray, shape (b, n)
    day : float
    thresholds : sequence of float, length m
        Increasing, inside (0, 1).

    Returns
    -------
    ndarray, shape (b, m)
        NaN where no patient of a draw has a prediction.

    References
    ----------
    Vickers et al., BMC Med Inform Decis Mak 2008, doi:10.1186/1472-6947-8-53
    """
    cuts = np.asarray(thresholds, dtype=float)
    total, repeats = np.zeros((len(weights), len(cuts))), 0
    for row in survival:
        known = np.flatnonzero(np.isfinite(row))
        if not len(known):
            continue
        order = known[np.lexsort((~event[known], time[known]))]
        level = np.searchsorted(cuts, 1.0 - row[order], side="right")
        by_day = int((time[order] <= day).sum())
        total += net_benefits(event[order], np.ascontiguousarray(weights[:, order]), level, by_day, cuts)
        repeats += 1
    return total / repeats if repeats else np.full_like(total, np.nan)
