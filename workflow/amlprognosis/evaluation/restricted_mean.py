"""Difference of restricted mean survival between the risk groups."""

from __future__ import annotations

import numpy as np

from amlprognosis.evaluation.bootstrap_kernels import restricted_means
from amlprognosis.study import DAYS_PER_YEAR

DAYS_PER_MONTH = DAYS_PER_YEAR / 12
RESTRICTED = ("rmst_low_months", "rmst_high_months", "rmst_difference_months")


def followed_to(time: np.ndarray, event: np.ndarray) -> float:
    """Time up to which a Kaplan-Meier curve is known: the last one, or for ever if it ends in a death at 0."""
    last = float(time.max())
    return np.inf if event[time == last].all() else last


def restricted_mean_values(
    time: np.ndarray, event: np.ndarray, group: np.ndarray, weights: np.ndarray, last: float
) -> tuple[dict[str, np.ndarray], float, list[str]]:
    """Restricted mean survival of the low and the high risk group and their difference, per row of weights.

    The area under each group's Kaplan-Meier curve up to ``last``, or up to the largest time both groups are followed
    to if that is shorter. In a draw without the patients followed longest a curve keeps its last value.

    Parameters
    ----------
    time, event : ndarray, shape (n,)
    group : ndarray of int, shape (n,)
        1 high, 0 low, -1 none.
    weights : ndarray, shape (b, n)
    last : float
        Days.

    Returns
    -------
    values : dict of name to ndarray, shape (b,)
        RESTRICTED, in months; the difference is low less high. NaN where a group is empty.
    tau : float
        Days up to which the means are taken; NaN without them.
    notes : list of str

    References
    ----------
    Uno et al., J Clin Oncol 2014, doi:10.1200/JCO.2014.55.2208
    """
    undefined = {name: np.full(len(weights), np.nan) for name in RESTRICTED}
    members = [group == g for g in (0, 1)]
    if not all(member.any() for member in members):
        only = (
            "no risk groups"
            if not (group >= 0).any()
            else f"all patients are in the {'low' if members[0].any() else 'high'} group"
        )
        return undefined, np.nan, [f"no restricted means: {only}"]
    tau = min(last, *(followed_to(time[member], event[member]) for member in members))
    order = np.lexsort((~event, time))
    months = restricted_means(time[order], event[order], group[order], np.ascontiguousarray(weights[:, order]), tau)
    low, high = (months / DAYS_PER_MONTH).T
    notes = [f"restricted means to {tau:g} days only: a risk group is not followed further"] if tau < last else []
    return dict(zip(RESTRICTED, (low, high, low - high), strict=True)), tau, notes
