"""Survival of the risk groups: curves, numbers at risk, log-rank test, hazard ratio."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from amlprognosis.evaluation.metrics import Result
from amlprognosis.evaluation.survival import fit_cox, logrank_test
from amlprognosis.models.kaplan_meier import KaplanMeier, kaplan_meier
from amlprognosis.study import DAYS_PER_YEAR

_Z = 1.959963984540054
GROUPS = ("low", "high")
RESTRICTED_COLUMNS = [
    "rmst_high_months", "rmst_low_months", "rmst_difference_months", "rmst_difference_months_low",
    "rmst_difference_months_high", "rmst_horizon_years",
]  # fmt: skip


@dataclass(frozen=True)
class SurvivalGroups:
    """Tables of the Kaplan-Meier figures.

    Attributes
    ----------
    kaplan_meier : DataFrame
        cohort, model, group, time_days, survival, low, high; a row at time 0 and at every observed time.
    risk_table : DataFrame
        cohort, model, group, time_days, at_risk.
    tests : DataFrame
        cohort, model, patients_low, patients_high, events_low, events_high, median_low, median_high (days),
        logrank_p, hr (high against low), hr_low, hr_high; where the models' metrics are given also
        rmst_high_months, rmst_low_months, rmst_difference_months (low less high, with _low and _high) and
        rmst_horizon_years to which these mean survivals are restricted; note.
    """

    kaplan_meier: pd.DataFrame
    risk_table: pd.DataFrame
    tests: pd.DataFrame


def patient_groups(predictions: pd.DataFrame) -> pd.Series:
    """Risk group of each patient of one model.

    Out of fold a patient has one group per repeat, each by the cut-point of the training part of that fold: the
    majority counts, and a draw is "high" (the group with more surveillance). A validation patient has one.

    Returns
    -------
    Series
        "high" or "low", index = patient (sorted).
    """
    share = (predictions["risk_group"] == "high").groupby(predictions["patient"].astype(str)).mean()
    return pd.Series(np.where(share >= 0.5, "high", "low"), index=share.index, name="risk_group")


def survival_by_group(
    predictions: pd.DataFrame,
    outcome: pd.DataFrame,
    cohort: str,
    at_risk_years: Sequence[float] | None = None,
    results: Mapping[str, Result] | None = None,
) -> SurvivalGroups:
    """Kaplan-Meier curves and tests of high against low risk for every model of a cohort.

    The groups come from cut-points fixed without the patients concerned. Across the folds of cross-validation
    the patients share training data, so that the log-rank p of the training cohort is descriptive.

    Parameters
    ----------
    predictions : DataFrame
        model, patient, risk_group (and repeat).
    outcome : DataFrame, index = patient
        os_time (days), os_event.
    at_risk_years : sequence of float, optional
        Default: every year to the last follow-up.
    results : mapping of model to Result, optional
        Metrics of the models on the same patients: their restricted means.
    """
    outcome = outcome.rename(index=str)
    years = (
        np.arange(0, np.floor(outcome["os_time"].max() / DAYS_PER_YEAR) + 1)
        if at_risk_years is None
        else np.asarray(sorted(at_risk_years), dtype=float)
    )
    curves, risks, tests = [], [], []
    for model, part in predictions.groupby("model", sort=True):
        group = patient_groups(part)
        own = outcome.loc[group.index]
        time, event = own["os_time"].to_numpy(float), own["os_event"].to_numpy(bool)
        row: dict[str, object] = {"cohort": cohort, "model": model}
        for name in GROUPS:
            member = group.to_numpy() == name
            row |= {f"patients_{name}": int(member.sum()), f"events_{name}": int(event[member].sum())}
            row[f"median_{name}"] = np.nan
            if not member.any():
                continue
            km = kaplan_meier(time[member], event[member])
            row[f"median_{name}"] = median_survival(km)
            head = {"cohort": cohort, "model": model, "group": name}
            curves.append(_curve(km).assign(**head))
            days = years * DAYS_PER_YEAR
            risks.append(pd.DataFrame({**head, "time_days": days, "at_risk": km.number_at_risk(days).astype(int)}))
        row |= _compare(time, event, group.to_numpy() == "high")
        tests.append(row | _restricted(results[model]) if results else row)
    keys = ["cohort", "model", "group", "time_days"]
    columns = ["cohort", "model", *[f"{k}_{g}" for k in ("patients", "events", "median") for g in GROUPS]]
    columns += ["logrank_p", "hr", "hr_low", "hr_high", *(RESTRICTED_COLUMNS if results else []), "note"]
    return SurvivalGroups(
        _concat(curves, [*keys, "survival", "low", "high"]),
        _concat(risks, [*keys, "at_risk"]),
        pd.DataFrame(tests, columns=columns),
    )


def _restricted(result: Result) -> dict[str, float]:
    difference = "rmst_difference_months"
    cells = {name: result.estimate(name) for name in ("rmst_high_months", "rmst_low_months", difference)}
    cells[f"{difference}_low"], cells[f"{difference}_high"] = result.interval(difference)
    return cells | {"rmst_horizon_years": result.rmst_horizon}


def _concat(tables: list[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    return pd.concat(tables, ignore_index=True)[columns] if tables else pd.DataFrame(columns=columns)


def _curve(km: KaplanMeier) -> pd.DataFrame:
    days = np.concatenate(([0.0], km.time))
    low, high = km.interval(days)
    return pd.DataFrame({"time_days": days, "survival": km.at(days), "low": low, "high": high})


def median_survival(km: KaplanMeier) -> float:
    """First time with S(t) <= 1/2 in days; NaN when it is not reached."""
    reached = np.flatnonzero(km.survival <= 0.5 + 1e-12)
    return float(km.time[reached[0]]) if len(reached) else np.nan


def _compare(time: np.ndarray, event: np.ndarray, high: np.ndarray) -> dict[str, object]:
    cells: dict[str, object] = dict.fromkeys(("logrank_p", "hr", "hr_low", "hr_high"), np.nan)
    if high.all() or not high.any():
        return cells | {"note": f"all patients are in the {'high' if high.all() else 'low'} group"}
    cells["logrank_p"] = logrank_test(time, event, high).p
    fit = fit_cox(high.astype(float), time, event)
    if not fit.converged:
        return cells | {"note": "no hazard ratio: a group without events, or groups that do not overlap"}
    coef, error = float(fit.coef[0]), float(fit.std_error[0])
    cells |= {"hr": np.exp(coef), "hr_low": np.exp(coef - _Z * error), "hr_high": np.exp(coef + _Z * error)}
    return cells | {"note": ""}
