"""Outcome at a horizon in spite of censoring: inverse probability weights and pseudo-observations.

A patient censored before the horizon has no label. Dropping such patients biases the risk upwards, because those who
die have less time to be censored. Two remedies, both without a model of the covariates: weigh those whose status is
known by the inverse of the chance that it is (Vock 2016, doi:10.1016/j.jbi.2016.03.009), or replace everybody's label
by the jackknife pseudo-observation of survival (Andersen & Pohar Perme 2010, doi:10.1177/0962280209105020), whose mean
among patients alike estimates their survival. Both take censoring as independent of the covariates.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from amlprognosis.models.kaplan_meier import censoring_curve, kaplan_meier


def ipcw(time: np.ndarray, event: np.ndarray, horizon_days: float) -> tuple[np.ndarray, np.ndarray]:
    """Label patients by death until a horizon and weigh them by the chance that their status is known.

    Parameters
    ----------
    time, event : ndarray (n,)
        Days; True = death.
    horizon_days : float
        Horizon t.

    Returns
    -------
    died : ndarray of bool (n,)
        Death at or before t.
    weight : ndarray (n,)
        1 / G(min(T, t)-) where G(s-) = P(C >= s) is the Kaplan-Meier estimate of remaining uncensored until just
        before s; 0 for a patient censored before t. Where a death and a censoring share a time, the death comes
        first. A patient censored exactly at t is known to have lived until t and counts as a control.
    """
    died = event & (time <= horizon_days)
    known = died | (time >= horizon_days)
    before = censoring_curve(time, event).before(np.minimum(time, horizon_days))
    return died, np.where(known, 1.0 / np.where(before > 0, before, 1.0), 0.0)


def pseudo_survival(time: np.ndarray, event: np.ndarray, horizon_days: float) -> np.ndarray:
    """Jackknife pseudo-observations of survival at a horizon.

    ``n S(t) - (n - 1) S_i(t)`` with S the Kaplan-Meier estimate of all patients and S_i that without patient i, in
    O(n log n): without i, the risk sets before T_i lose one patient, those after T_i stay, so S_i is a product of a
    part known from the start, i's own time, and a part known from the end.

    Parameters
    ----------
    time, event : ndarray (n,)
        Days; True = death.
    horizon_days : float
        Horizon t. Beyond the last time the curves' last values are carried forward.

    Returns
    -------
    ndarray (n,)
        Without censoring before t exactly 1 (alive past t) or 0; with it also below 0 and above 1.
    """
    curve = kaplan_meier(time, event)
    n_times = int(np.searchsorted(curve.time, horizon_days, side="right"))
    deaths, at_risk = curve.events[:n_times].astype(np.float64), curve.at_risk[:n_times].astype(np.float64)
    # Where nobody else is at risk, leaving i out leaves the curve as it is (factor 1).
    others = np.where(at_risk > 1, at_risk - 1.0, 1.0)
    earlier = np.concatenate([[1.0], np.cumprod(1.0 - deaths / others)])
    later = np.concatenate([np.cumprod((1.0 - deaths / at_risk)[::-1])[::-1], [1.0]])
    position = np.searchsorted(curve.time, time)
    inside = position < n_times
    at = np.where(inside, position, 0) if n_times else np.zeros(len(time), dtype=np.int64)
    without = earlier[np.minimum(position, n_times)]
    if n_times:
        own = 1.0 - np.where(at_risk[at] > 1, deaths[at] - event, 0.0) / others[at]
        without = np.where(inside, without * own * later[np.minimum(at + 1, n_times)], without)
    n = len(time)
    return n * later[0] - (n - 1) * without


class Targets(NamedTuple):
    """What a classifier learns from, one row per patient that it uses.

    ``rows`` (m,) are positions among the patients; ``target`` (m,) is death by the horizon as 0 or 1, or the
    pseudo-observation of it (any number); ``weight`` (m,) is above 0; ``died`` (m,) is an observed death by then.
    """

    rows: np.ndarray
    target: np.ndarray
    weight: np.ndarray
    died: np.ndarray


def horizon_targets(
    time: np.ndarray, event: np.ndarray, horizon_days: float, weighting: str
) -> tuple[Targets, dict[str, int]]:
    """Targets of a classifier at a horizon, and patients by status.

    Parameters
    ----------
    time, event : ndarray (n,)
        Days; True = death.
    horizon_days : float
        Horizon.
    weighting : {"ipcw", "pseudo"}
        IPCW: the patients of known status with their weights. Pseudo: everybody with weight 1.

    Returns
    -------
    targets : Targets
    counts : dict
        deaths, controls, censored_before.
    """
    died, weight = ipcw(time, event, horizon_days)
    known = weight > 0
    counts = {
        "deaths": int((died & known).sum()),
        "controls": int((~died & known).sum()),
        "censored_before": int((~known).sum()),
    }
    if weighting == "pseudo":
        target = 1.0 - pseudo_survival(time, event, horizon_days)
        return Targets(np.arange(time.size), target, np.ones(time.size), died), counts
    rows = np.flatnonzero(known)
    return Targets(rows, died[rows].astype(np.float64), weight[rows], died[rows]), counts
