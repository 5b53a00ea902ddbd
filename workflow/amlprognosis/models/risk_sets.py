"""Patients in descending order of time: the form of an outcome that every Cox kernel reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from amlprognosis.errors import InputError

Ties = Literal["efron", "breslow"]


@dataclass(frozen=True)
class RiskSets:
    """Patients in descending order of time, with the borders of tied times.

    Attributes
    ----------
    order : ndarray of int (n,)
        Positions of the patients in the input.
    event : ndarray of bool (n,)
        Event indicator in that order.
    starts : ndarray of int (m + 1,)
        Border of each block of equal times.
    times : ndarray (m,)
        The distinct times, descending.
    """

    order: np.ndarray
    event: np.ndarray
    starts: np.ndarray
    times: np.ndarray


def risk_sets(time: np.ndarray, event: np.ndarray) -> RiskSets:
    """Sort an outcome, ``time`` (n,) in days and ``event`` (n,), once for all kernels."""
    time = np.ascontiguousarray(time, dtype=np.float64)
    event = np.ascontiguousarray(event, dtype=np.bool_)
    order = np.argsort(-time, kind="stable")
    ordered = time[order]
    borders = np.flatnonzero(np.diff(ordered)) + 1
    starts = np.concatenate([[0], borders, [time.size]]).astype(np.int64)
    return RiskSets(order, event[order], starts, ordered[starts[:-1]] if time.size else ordered)


def is_efron(ties: str) -> bool:
    """Whether deaths are tied by Efron's rule; InputError if the rule's name is not known."""
    if ties not in ("efron", "breslow"):
        raise InputError(f"ties: {ties!r} is not known; use efron or breslow")
    return ties == "efron"
