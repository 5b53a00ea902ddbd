"""Kaplan-Meier estimates of survival and of censoring, shared by the models that weigh by censoring and the metrics."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

_Z = float(ndtri(0.975))


@dataclass(frozen=True)
class KaplanMeier:
    """A Kaplan-Meier curve at the distinct observed times.

    Attributes
    ----------
    time, survival : ndarray, shape (k,)
    at_risk, events, censored : ndarray, shape (k,)
    std_error : ndarray, shape (k,)
        Greenwood's standard error of log S(t).
    """

    time: np.ndarray
    survival: np.ndarray
    at_risk: np.ndarray
    events: np.ndarray
    censored: np.ndarray
    std_error: np.ndarray

    def at(self, times: np.ndarray | float) -> np.ndarray:
        """S(t), right-continuous; the last value is carried beyond the last time."""
        index = np.searchsorted(self.time, np.asarray(times, dtype=float), side="right")
        return np.concatenate(([1.0], self.survival))[index]

    def before(self, times: np.ndarray | float) -> np.ndarray:
        """S(t-), the value just before t."""
        index = np.searchsorted(self.time, np.asarray(times, dtype=float), side="left")
        return np.concatenate(([1.0], self.survival))[index]

    def interval(self, times: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
        """95% log-log limits of S(t); NaN where S(t) is 0, (1, 1) before the first event."""
        index = np.searchsorted(self.time, np.asarray(times, dtype=float), side="right")
        s = np.concatenate(([1.0], self.survival))[index]
        se = np.concatenate(([0.0], self.std_error))[index]
        low, high = np.where(s >= 1, 1.0, np.nan), np.where(s >= 1, 1.0, np.nan)
        inside = (s > 0) & (s < 1)
        log_s = np.log(np.where(inside, s, 0.5))
        spread = _Z * np.where(inside, se, 0.0) / np.abs(log_s)
        low = np.where(inside, np.exp(log_s * np.exp(spread)), low)
        high = np.where(inside, np.exp(log_s * np.exp(-spread)), high)
        return low, high

    def number_at_risk(self, times: np.ndarray | float) -> np.ndarray:
        """Patients with time >= t."""
        index = np.searchsorted(self.time, np.asarray(times, dtype=float), side="left")
        return np.concatenate((self.at_risk, [0]))[index]


def kaplan_meier(time: np.ndarray, event: np.ndarray) -> KaplanMeier:
    """Kaplan-Meier estimate; at equal times events come before censoring.

    Parameters
    ----------
    time : ndarray, shape (n,)
        Days.
    event : ndarray of bool, shape (n,)
    """
    time, event = np.asarray(time, dtype=float), np.asarray(event, dtype=bool)
    distinct, inverse, count = np.unique(time, return_inverse=True, return_counts=True)
    events = np.bincount(inverse, weights=event, minlength=len(distinct)).astype(int)
    at_risk = len(time) - np.concatenate(([0], np.cumsum(count)[:-1])).astype(int)
    survival = np.cumprod(1.0 - events / at_risk)
    alive = at_risk - events
    term = np.where(alive > 0, events / (at_risk * np.where(alive > 0, alive, 1.0)), np.inf)
    term[events == 0] = 0.0
    return KaplanMeier(distinct, survival, at_risk, events, count - events, np.sqrt(np.cumsum(term)))


def censoring_curve(time: np.ndarray, event: np.ndarray) -> KaplanMeier:
    """Kaplan-Meier estimate of the censoring distribution G, events before censoring at equal times.

    A patient who dies at t is no longer at risk of being censored at t, so the risk set of G at t is
    n(t) - d(t). With this convention S(t) * G(t) is exactly the share of patients with time > t.
    """
    km = kaplan_meier(time, event)
    at_risk = km.at_risk - km.events
    safe = np.where(at_risk > 0, at_risk, 1)
    survival = np.cumprod(1.0 - km.censored / safe)
    alive = at_risk - km.censored
    term = np.where(alive > 0, km.censored / (safe * np.where(alive > 0, alive, 1.0)), np.inf)
    term[km.censored == 0] = 0.0
    return KaplanMeier(km.time, survival, at_risk, km.censored, km.events, np.sqrt(np.cumsum(term)))
