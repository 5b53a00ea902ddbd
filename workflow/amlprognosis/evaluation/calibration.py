"""Calibration of the predicted survival at a horizon."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from amlprognosis.evaluation.metrics import Sheet, sheet_from_predictions
from amlprognosis.evaluation.survival import fit_cox
from amlprognosis.models.kaplan_meier import kaplan_meier
from amlprognosis.study import DAYS_PER_YEAR

_CLIP = 1e-4
_KNOTS = (0.1, 0.5, 0.9)
_Z = 1.959963984540054


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


def smooth_observed(predicted_survival: np.ndarray, time: np.ndarray, event: np.ndarray, day: float) -> np.ndarray:
    """Smoothed observed risk of death by ``day`` at each predicted survival, shape (n,).

    A Cox model of the outcome on a restricted cubic spline (3 knots) of cloglog of the prediction. With too few
    distinct predictions for a spline it is linear; NaN when the predictions are constant.

    References
    ----------
    Austin, Harrell and van Klaveren, Stat Med 2020, doi:10.1002/sim.8570
    """
    x = cloglog(predicted_survival)
    if np.ptp(x) < 1e-9:
        return np.full(len(x), np.nan)
    knots = np.quantile(x, _KNOTS)
    basis = restricted_cubic_spline(x, knots) if np.diff(knots).min() > 1e-6 else x[:, None]
    for design in (basis, x[:, None]):
        fit = fit_cox(design, time, event)
        if fit.converged:
            return 1.0 - np.exp(-fit.baseline(day) * np.exp(design @ fit.coef))
    return np.full(len(x), np.nan)


@dataclass(frozen=True)
class Calibration:
    """Calibration of one model at one horizon; NaN where it cannot be computed, ``notes`` say why.

    ``oe`` observed over expected deaths, ``slope`` 1 is ideal (< 1: predictions too extreme), ``ici``, ``e50``,
    ``e90``: mean, median and 90% quantile of |observed - predicted| risk.
    """

    slope: float
    slope_low: float
    slope_high: float
    oe: float
    oe_low: float
    oe_high: float
    ici: float
    e50: float
    e90: float
    notes: tuple[str, ...] = ()


def calibrate(sheet: Sheet, time: np.ndarray, event: np.ndarray, horizon_years: float) -> Calibration:
    """Calibration slope, observed/expected and Austin's indices at a horizon.

    Out of fold each figure is computed per repeat (all patients of a repeat together) and averaged over the
    repeats; the variance is the mean variance of a repeat, because repeats reuse the same patients. Limits: Wald
    for the slope; for O/E on the log scale from Greenwood's variance of the Kaplan-Meier estimate.

    Parameters
    ----------
    sheet : Sheet
    time, event : ndarray, shape (n,)
    horizon_years : float
    """
    day = horizon_years * DAYS_PER_YEAR
    index = np.flatnonzero(np.isclose(sheet.times, day, rtol=0, atol=0.01))
    if not len(index) or not np.isfinite(sheet.survival[:, :, index[0]]).any():
        return _uncalibrated("no predicted survival")
    if not (time > day).any():
        return _uncalibrated("nobody is followed past the horizon")
    slopes, ratios, errors, notes = [], [], [], set()
    for row in sheet.survival[:, :, index[0]]:
        known = np.isfinite(row)
        if not known.any() or not (event[known] & (time[known] <= day)).any():
            continue
        s, t, e = row[known], time[known], event[known]
        x = cloglog(s)
        fit = fit_cox(x, t, e) if np.ptp(x) > 1e-9 else None
        if fit is not None and fit.converged:
            slopes.append((fit.coef[0], fit.std_error[0] ** 2))
        else:
            notes.add("no calibration slope in some repeat: constant predictions")
        km = kaplan_meier(t, e)
        place = np.searchsorted(km.time, day, side="right") - 1
        alive = float(km.at(day))
        observed, expected = 1.0 - alive, float((1.0 - s).mean())
        if expected > 0 and observed > 0:
            ratios.append((np.log(observed / expected), (alive * km.std_error[place] / observed) ** 2))
        gap = np.abs(smooth_observed(s, t, e, day) - (1.0 - s))
        if np.isfinite(gap).all():
            errors.append((gap.mean(), np.median(gap), np.quantile(gap, 0.9)))
    slope, slope_low, slope_high = _pool(slopes)
    oe, oe_low, oe_high = map(float, np.exp(_pool(ratios)))
    ici, e50, e90 = np.mean(errors, axis=0) if errors else (np.nan, np.nan, np.nan)
    return Calibration(
        slope,
        slope_low,
        slope_high,
        oe,
        oe_low,
        oe_high,
        ici=float(ici),
        e50=float(e50),
        e90=float(e90),
        notes=tuple(sorted(notes)),
    )


def _uncalibrated(reason: str) -> Calibration:
    nan = float("nan")
    return Calibration(nan, nan, nan, nan, nan, nan, nan, nan, nan, notes=(f"no calibration: {reason}",))


def _pool(pairs: list[tuple[float, float]]) -> tuple[float, float, float]:
    if not pairs:
        return np.nan, np.nan, np.nan
    center, variance = np.mean(pairs, axis=0)
    spread = _Z * np.sqrt(variance)
    return float(center), float(center - spread), float(center + spread)


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
