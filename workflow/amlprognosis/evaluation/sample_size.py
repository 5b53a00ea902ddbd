"""Is the cohort large enough for the model? Events per candidate parameter, and Riley's minimum sample size."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

# Share of the largest possible R2 that Riley et al. suggest assuming when nothing better is known.
ASSUMED_NAGELKERKE = 0.15
SHRINKAGE = 0.9


def null_log_partial_likelihood(time: ArrayLike, event: ArrayLike) -> float:
    """Log partial likelihood of a Cox model without covariates (Breslow ties).

    Parameters
    ----------
    time : array-like of shape (n,)
        Follow-up in any unit.
    event : array-like of bool of shape (n,)
        True = death.
    """
    time = np.asarray(time, dtype=float)
    event = np.asarray(event, dtype=bool)
    at_risk: NDArray[np.int64] = len(time) - np.searchsorted(np.sort(time), time[event], side="left")
    return -float(np.log(at_risk).sum())


def riley_minimum_n(parameters: int, r2_cox_snell: float, shrinkage: float = SHRINKAGE) -> int:
    """Patients needed so that the expected shrinkage is no worse than ``shrinkage`` (criterion 1).

    Parameters
    ----------
    parameters : int
        Candidate parameters, before any selection.
    r2_cox_snell : float
        Expected Cox-Snell R2, between 0 and 1.
    shrinkage : float
        Expected uniform shrinkage factor (0.9: 10% overfitting).

    References
    ----------
    Riley RD et al., Stat Med 2019;38:1276, doi 10.1002/sim.7992 (equation 11).
    """
    if not 0 < r2_cox_snell < shrinkage:
        raise ValueError(f"r2_cox_snell must be between 0 and {shrinkage}, got {r2_cox_snell}")
    return math.ceil(parameters / ((shrinkage - 1) * math.log(1 - r2_cox_snell / shrinkage)))


def sample_size_table(parameters: Mapping[str, int], time: ArrayLike, event: ArrayLike) -> pd.DataFrame:
    """Events per candidate parameter and minimum sample size of each model.

    Parameters
    ----------
    parameters : mapping of str to int
        Candidate parameters of each model.
    time, event : array-like of shape (n,)
        Outcome of the training cohort.

    Returns
    -------
    DataFrame
        Columns ``model``, ``patients``, ``events``, ``candidate_parameters``, ``events_per_parameter``,
        ``riley_minimum_n``, ``verdict`` (``enough`` or ``too small``). The expected R2 is 15% of the largest
        possible one, which the null partial likelihood of the cohort gives.
    """
    event = np.asarray(event, dtype=bool)
    patients, events = len(event), int(event.sum())
    largest = 1 - math.exp(2 * null_log_partial_likelihood(time, event) / patients)
    rows = []
    for model, count in parameters.items():
        needed = riley_minimum_n(count, ASSUMED_NAGELKERKE * largest)
        rows.append(
            {
                "model": model,
                "patients": patients,
                "events": events,
                "candidate_parameters": count,
                "events_per_parameter": events / count,
                "riley_minimum_n": needed,
                "verdict": "enough" if patients >= needed else "too small",
            }
        )
    return pd.DataFrame(rows)
