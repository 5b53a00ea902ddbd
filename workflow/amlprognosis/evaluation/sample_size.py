"""Is the cohort large enough for the model? Events per candidate parameter, and Riley's minimum sample size.

References
----------
Riley RD et al., Stat Med 2019;38:1276, doi 10.1002/sim.7992; BMJ 2020;368:m441, doi 10.1136/bmj.m441.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from amlprognosis.study import DAYS_PER_YEAR

# Share of the largest possible R2 that Riley et al. suggest assuming when nothing better is known.
ASSUMED_NAGELKERKE = 0.15
SHRINKAGE = 0.9
R2_DIFFERENCE = 0.05
RISK_MARGIN = 0.05
# Standard error of log(O/E) that gives a 95% interval of width 0.2 around 1.
LOG_OE_ERROR = 0.051
FEW_VALIDATION_EVENTS = 100
_Z = 1.96
CRITERIA = {
    "riley_shrinkage_n": f"expected shrinkage of {SHRINKAGE:g}",
    "riley_r2_n": f"apparent and adjusted R2 within {R2_DIFFERENCE:g}",
    "riley_risk_n": f"overall risk within {RISK_MARGIN:g}",
}


def largest_r2(patients: int, events: int) -> float:
    """Largest Cox-Snell R2 that a model of survival can have (equation 23 of Riley 2019).

    The null model is exponential, with time in units of the mean follow-up, as in the authors' program pmsampsize.
    """
    null = events * math.log(events / patients) - events
    return 1 - math.exp(2 * null / patients)


def riley_shrinkage_n(parameters: int, r2_cox_snell: float, shrinkage: float = SHRINKAGE) -> int:
    """Patients needed so that the expected shrinkage is no worse than ``shrinkage`` (criterion 1, equation 11).

    Parameters
    ----------
    parameters : int
        Candidate parameters, before any selection.
    r2_cox_snell : float
        Expected (adjusted) Cox-Snell R2, above 0 and below ``shrinkage``.
    shrinkage : float
        Expected uniform shrinkage factor (0.9: 10% overfitting).

    Raises
    ------
    ValueError
        An R2 that cannot be.
    """
    if not 0 < r2_cox_snell < shrinkage:
        raise ValueError(f"r2_cox_snell must be between 0 and {shrinkage:g}, got {r2_cox_snell}")
    return math.ceil(parameters / ((shrinkage - 1) * math.log(1 - r2_cox_snell / shrinkage)))


def riley_r2_n(parameters: int, r2_cox_snell: float, largest: float, difference: float = R2_DIFFERENCE) -> int:
    """Patients needed so that apparent and adjusted Nagelkerke R2 differ by at most ``difference`` (criterion 2).

    Parameters
    ----------
    parameters, r2_cox_snell
        As in :func:`riley_shrinkage_n`.
    largest : float
        Largest possible Cox-Snell R2 (:func:`largest_r2`).
    difference : float
        Of Nagelkerke's R2, which is 1 for a perfect model.
    """
    return riley_shrinkage_n(parameters, r2_cox_snell, r2_cox_snell / (r2_cox_snell + difference * largest))


def riley_risk_n(rate: float, mean_followup: float, horizon: float, margin: float = RISK_MARGIN) -> int:
    """Patients needed to know the overall risk at a horizon within ``margin`` (criterion 3).

    The risk is 1 - exp(-rate * horizon), the 95% interval that of a constant rate; its lower half is the wider one.

    Parameters
    ----------
    rate : float
        Deaths per unit of time.
    mean_followup, horizon : float
        In the same unit.
    margin : float
        Largest distance of an end of the interval from the risk.
    """
    error = math.log1p(margin * math.exp(rate * horizon)) / (_Z * horizon)
    return math.ceil(rate / (mean_followup * error**2))


def expected_shrinkage(parameters: int, r2_cox_snell: float, patients: int) -> float:
    """Shrinkage factor to expect with this many patients: the ``shrinkage`` that makes criterion 1 need just them.

    Always above ``r2_cox_snell``, where the apparent R2 would be 1, and below 1.
    """
    # Bisection over the distance from the lower bound, which may be far below the spacing of numbers there.
    low, high = 0.0, 1.0 - r2_cox_snell
    for _ in range(60):
        distance = (low + high) / 2
        shrinkage = r2_cox_snell + distance
        supported = patients * (shrinkage - 1) * math.log(distance / shrinkage)
        low, high = (distance, high) if supported > parameters else (low, distance)
    return r2_cox_snell + (low + high) / 2


def validation_minimum_n(patients: int, log_oe_error: float, wanted: float = LOG_OE_ERROR) -> int:
    """Patients needed in a validation cohort to know O/E within a 95% interval of width 0.2.

    The standard error of log(O/E) falls with the square root of the number of patients.

    Parameters
    ----------
    patients : int
        Patients of the present validation cohort.
    log_oe_error : float
        Standard error of log(O/E) in it.

    References
    ----------
    Riley RD et al., Stat Med 2021;40:4230, doi 10.1002/sim.9025.
    """
    return math.ceil(patients * (log_oe_error / wanted) ** 2)


def sample_size_table(
    parameters: Mapping[str, int], time: ArrayLike, event: ArrayLike, horizon_years: float
) -> pd.DataFrame:
    """Events per candidate parameter and minimum sample size of each model.

    Parameters
    ----------
    parameters : mapping of str to int
        Candidate parameters of each model.
    time : array-like of shape (n,)
        Follow-up of the training cohort in days.
    event : array-like of bool of shape (n,)
        True = death.
    horizon_years : float
        Horizon of the overall risk.

    Returns
    -------
    DataFrame
        Columns ``model``, ``patients``, ``events``, ``candidate_parameters``, ``events_per_parameter``,
        ``expected_shrinkage`` (with the patients there are), ``riley_shrinkage_n``, ``riley_r2_n``,
        ``riley_risk_n``, ``riley_minimum_n`` (the largest of the three), ``riley_criterion`` (which one that is),
        ``verdict`` (``enough`` or ``too small``). The expected R2 is 15% of the largest possible one.
    """
    time, event = np.asarray(time, dtype=float), np.asarray(event, dtype=bool)
    patients, events = len(event), int(event.sum())
    largest = largest_r2(patients, events)
    r2 = ASSUMED_NAGELKERKE * largest
    years = float(time.mean()) / DAYS_PER_YEAR
    risk_n = riley_risk_n(events / (patients * years), years, horizon_years)
    rows = []
    for model, count in parameters.items():
        needed = {
            "riley_shrinkage_n": riley_shrinkage_n(count, r2),
            "riley_r2_n": riley_r2_n(count, r2, largest),
            "riley_risk_n": risk_n,
        }
        decisive = max(needed, key=lambda name: needed[name])
        rows.append(
            {
                "model": model,
                "patients": patients,
                "events": events,
                "candidate_parameters": count,
                "events_per_parameter": events / count,
                "expected_shrinkage": expected_shrinkage(count, r2, patients),
                **needed,
                "riley_minimum_n": needed[decisive],
                "riley_criterion": CRITERIA[decisive],
                "verdict": "enough" if patients >= needed[decisive] else "too small",
            }
        )
    return pd.DataFrame(rows)
