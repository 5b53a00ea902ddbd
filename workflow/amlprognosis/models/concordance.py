"""Harrell's concordance, compiled."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit

from amlprognosis.errors import InputError
from amlprognosis.models.risk_sets import risk_sets


@njit(cache=True, nogil=True)
def _count_pairs(rank, n_ranks, event, starts):
    """Concordant, discordant, tied in risk, tied in time, tied in both (as survival::concordance counts)."""
    tree = np.zeros(n_ranks + 1, dtype=np.int64)
    same = np.zeros(n_ranks, dtype=np.int64)
    total = 0
    counts = np.zeros(5, dtype=np.int64)
    for g in range(starts.size - 1):
        for sweep in range(2):
            # First those censored at this time (they outlive its deaths), then, once counted, the deaths.
            if sweep == 1:
                deaths = 0
                for i in range(starts[g], starts[g + 1]):
                    if event[i]:
                        deaths += 1
                        below = 0
                        k = rank[i]
                        while k > 0:
                            below += tree[k]
                            k -= k & -k
                        tied = same[rank[i]]
                        counts[0] += below
                        counts[1] += total - below - tied
                        counts[2] += tied
                tied_both = 0
                for i in range(starts[g], starts[g + 1]):
                    if event[i]:
                        for j in range(starts[g], i):
                            if event[j] and rank[j] == rank[i]:
                                tied_both += 1
                counts[4] += tied_both
                counts[3] += deaths * (deaths - 1) // 2 - tied_both
            for i in range(starts[g], starts[g + 1]):
                if (sweep == 0) != event[i]:
                    same[rank[i]] += 1
                    total += 1
                    k = rank[i] + 1
                    while k <= n_ranks:
                        tree[k] += 1
                        k += k & -k
    return counts


@dataclass(frozen=True)
class Concordance:
    """Harrell's C and the pairs behind it (a higher risk should die earlier)."""

    index: float
    concordant: int
    discordant: int
    tied_risk: int
    tied_time: int
    tied_both: int


def harrell_concordance(time: np.ndarray, event: np.ndarray, risk: np.ndarray) -> Concordance:
    """Compute Harrell's concordance in O(n log n) (Harrell 1982, doi:10.1001/jama.1982.03320430047030).

    Parameters
    ----------
    time, event : ndarray (n,)
        Days; True = death. A patient censored at the time of a death counts as outliving it.
    risk : ndarray (n,)
        Higher = earlier death. Ties in risk count one half.

    Returns
    -------
    Concordance
        ``index`` is NaN when no pair is comparable.

    Raises
    ------
    InputError
        If lengths differ or a value is not finite.
    """
    risk = np.asarray(risk, dtype=np.float64)
    if not len(time) == len(event) == len(risk):
        raise InputError(f"lengths differ: {len(time)} times, {len(event)} events, {len(risk)} risks")
    if not (np.isfinite(risk).all() and np.isfinite(np.asarray(time, dtype=np.float64)).all()):
        raise InputError("times and risks must be finite to be compared")
    sets = risk_sets(time, event)
    levels, rank = np.unique(risk[sets.order], return_inverse=True)
    counts = _count_pairs(rank.astype(np.int64), levels.size, sets.event, sets.starts)
    concordant, discordant, tied, tied_time, tied_both = (int(c) for c in counts)
    pairs = concordant + discordant + tied
    index = (concordant + tied / 2) / pairs if pairs else math.nan
    return Concordance(index, concordant, discordant, tied, tied_time, tied_both)
