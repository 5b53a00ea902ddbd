"""Calibration of the predicted survival at a horizon."""

from __future__ import annotations

import numpy as np
import pandas as pd

from amlprognosis.evaluation.bootstrap_kernels import calibration_figures
from amlprognosis.evaluation.sheets import sheet_from_predictions
from amlprognosis.models.kaplan_meier import kaplan_meier
from amlprognosis.models.risk_sets import risk_sets
from amlprognosis.study import DAYS_PER_YEAR

CALIBRATION = ("calibration_slope", "calibration_intercept", "oe", "ici", "e50", "e90")
_CLIP = 1e-4
_KNOTS = (0.1, 0.5, 0.9)


def cloglog(survival: np.ndarray) -> np.ndarray:
    """log(-log S), with S kept within [0.0001, 0.9999]: forests may predict exactly 0 or 1."""
    return np.log(-np.log(np.clip(survival, _CLIP, 1 - _CLIP)))


def restricted_cubic_spline(x: np.ndarray, knots: np.ndarray) -> np.ndarray:
    """Harrell's restricted cubic spline basis, shape (n, k - 1): x itself, then k - 2 cubic terms.

    References
    ----------
    Harrell, Regression Modeling Strategies, 2015, section 2.4.5, doi:10.1007/978-3-319-19425-7
    """
    x, knots = np.asarray(x, dtype=float), np.asarray(knots, dtype=float)
    last, before = knots[-1], knots[-2]

    def cube(v: np.ndarray) -> np.ndarray:
        return np.maximum(v, 0.0) ** 3

    columns = [x]
    for t in knots[:-2]:
        term = (
            cube(x - t)
            - cube(x - before) * (last - t) / (last - before)
            + cube(x - last) * (before - t) / (last - before)
        )
        columns.append(term / (last - knots[0]) ** 2)
    return np.column_stack(columns)


def calibration_values(
    survival: np.ndarray, time: np.ndarray, event: np.ndarray, weights: np.ndarray, day: float
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Calibration figures of one model at a horizon, one value per row of weights.

    calibration_slope
        Coefficient of a Cox model of the outcome (whole follow-up) on the complementary log-log of the predicted
        survival, log(-log S); 1 is ideal, below 1 the predictions are too extreme (Crowson 2016, McLernon 2023).
    calibration_intercept
        Calibration in the large on that scale: the shift a of log(-log S) after which the mean predicted risk,
        mean(1 - S^exp(a)), equals the Kaplan-Meier risk at the horizon; 0 is ideal, above 0 more patients die than
        predicted. It is the intercept of a logistic recalibration with slope 1, with the log cumulative hazard in
        place of the log odds (Crowson 2016) and the Kaplan-Meier risk in place of the observed share (McLernon 2023).
    oe
        Observed (Kaplan-Meier) over expected (mean predicted) risk of death at the horizon (McLernon 2023).
    ici, e50, e90
        Mean, median and 90% quantile of the distance between predicted risk and observed risk, the latter smoothed by
        a Cox model on a restricted cubic spline (3 knots at the 10%, 50% and 90% quantiles of all patients) of the
        complementary log-log; a straight line where the predictions are too few for a spline (Austin 2020). They are
        distances: the scatter of a sample makes them larger than 0 for a perfect model, too (an ICI of about 0.03 with
        170 patients), and so does each draw of a bootstrap. Their intervals cover a real miscalibration as they should
        (93 to 99% in simulations), but their lower limit never reaches 0 and is no test of calibration.

    Out of fold each figure is computed per repeat (all patients of a repeat together) and averaged over the repeats,
    O/E on the log scale.

    Parameters
    ----------
    survival : ndarray, shape (repeats, n)
        Predicted S(t); NaN where there is none.
    time, event : ndarray, shape (n,)
    weights : ndarray, shape (b, n)
        The first row is the estimate (ones), the others bootstrap counts.
    day : float

    Returns
    -------
    values : dict of name to ndarray, shape (b,)
        NaN where a figure cannot be computed.
    notes : list of str

    References
    ----------
    Crowson et al., Stat Methods Med Res 2016, doi:10.1177/0962280213497434; McLernon et al., Ann Intern Med 2023,
    doi:10.7326/M22-0844; Austin, Harrell and van Klaveren, Stat Med 2020, doi:10.1002/sim.8570
    """
    repeats, lost = [], 0
    for row in survival:
        known = np.isfinite(row)
        if not (event[known] & (time[known] <= day)).any() or not (time[known] > day).any():
            lost += 1
            continue
        repeats.append(_of_one_repeat(row[known], time[known], event[known], weights[:, known], day))
    notes = [f"no calibration in {lost} repeats: no death by the horizon, or nobody followed past it"] if lost else []
    if not repeats:
        return {name: np.full(len(weights), np.nan) for name in CALIBRATION}, notes
    figures = np.stack(repeats)
    figures[:, :, CALIBRATION.index("oe")] = np.log(figures[:, :, CALIBRATION.index("oe")])
    estimated = np.isfinite(figures[:, 0])
    for name in ("calibration_slope", "oe", "ici"):
        unknown = int((~estimated[:, CALIBRATION.index(name)]).sum())
        if unknown:
            where = f" in {unknown} of {len(survival)} repeats" if len(survival) > 1 else ""
            notes.append(f"no {name}{where}: predictions are constant, or separate the deaths")
    # A draw counts if it has a value in every repeat that has an estimate.
    use = np.broadcast_to(estimated[:, None], figures.shape)
    total = np.where(use, figures, 0.0).sum(0)
    mean = np.where(use.any(0), total / np.maximum(use.sum(0), 1), np.nan)
    values = {name: mean[:, k] for k, name in enumerate(CALIBRATION)}
    values["oe"] = np.exp(values["oe"])
    return values, notes


def _of_one_repeat(
    survival: np.ndarray, time: np.ndarray, event: np.ndarray, weights: np.ndarray, day: float
) -> np.ndarray:
    """Figures of one repeat, shape (b, 6), in the order of CALIBRATION."""
    sets = risk_sets(time, event)
    predicted = survival[sets.order]
    x = cloglog(predicted)
    knots = np.quantile(x, _KNOTS)
    basis = restricted_cubic_spline(x, knots) if np.diff(knots).min() > 1e-6 else x[:, None]
    center, scale = basis.mean(axis=0), np.maximum(basis.std(axis=0), 1e-9)
    columns = (basis - center) / scale
    figures = calibration_figures(
        columns[:, 0].copy(),
        columns[:, 1].copy() if columns.shape[1] > 1 else np.zeros(len(x)),
        np.column_stack([-np.log(np.clip(predicted, _CLIP, 1 - _CLIP)), 1.0 - predicted]),
        sets.event,
        sets.starts,
        int((time > day).sum()),
        np.ascontiguousarray(weights[:, sets.order]),
    )
    figures[:, 0] /= scale[0]
    return figures


def calibration_points(
    predictions: pd.DataFrame,
    outcome: pd.DataFrame,
    horizons_years: list[float],
    cohort: str,
    groups: int = 5,
) -> pd.DataFrame:
    """Observed against predicted risk of death within groups of predicted risk, for the calibration figure.

    Out of fold, a patient's prediction is the mean over the repeats. Equal predictions stay in one group, so a
    model with few distinct predictions has fewer points.

    Parameters
    ----------
    predictions : DataFrame
        model, patient, survival columns (and repeat, fold).
    outcome : DataFrame, index = patient
        os_time, os_event.

    Returns
    -------
    DataFrame
        cohort, model, horizon (years), group, patients, events (by the horizon), predicted, observed, low,
        high (risk of death; log-log Kaplan-Meier limits). Observed is NaN where a group is not followed that far.
    """
    outcome = outcome.rename(index=str).sort_index()
    time, event = outcome["os_time"].to_numpy(float), outcome["os_event"].to_numpy(bool)
    rows = []
    for model, part in predictions.groupby("model", sort=True):
        sheet = sheet_from_predictions(part, list(outcome.index))
        for years in sorted(horizons_years):
            day = years * DAYS_PER_YEAR
            survival = sheet.mean_survival(day)
            known = np.isfinite(survival)
            if not known.any():
                continue
            risk, t, e = 1.0 - survival[known], time[known], event[known]
            for number, member in enumerate(quantile_groups(risk, groups), start=1):
                km = kaplan_meier(t[member], e[member])
                low, high = km.interval(day)
                followed = bool((t[member] > day).any()) or km.survival[-1] == 0
                rows.append(
                    {
                        "cohort": cohort,
                        "model": model,
                        "horizon": float(years),
                        "group": number,
                        "patients": int(member.sum()),
                        "events": int((e[member] & (t[member] <= day)).sum()),
                        "predicted": float(risk[member].mean()),
                        "observed": 1.0 - float(km.at(day)) if followed else np.nan,
                        "low": 1.0 - float(high) if followed else np.nan,
                        "high": 1.0 - float(low) if followed else np.nan,
                    }
                )
    columns = ["cohort", "model", "horizon", "group", "patients", "events"]
    return pd.DataFrame(rows, columns=[*columns, "predicted", "observed", "low", "high"])


def quantile_groups(values: np.ndarray, groups: int) -> list[np.ndarray]:
    """Masks of groups of about equal size by increasing value; equal values stay together."""
    ordered = np.sort(values)
    rank = np.searchsorted(ordered, values, side="left")
    code = (rank * groups) // len(values)
    return [code == g for g in np.unique(code)]
