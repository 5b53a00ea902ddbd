"""Tables of performance: a row per model, intervals, paired differences, validation cohorts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from amlprognosis.errors import InputError
from amlprognosis.evaluation.calibration import Calibration, calibrate
from amlprognosis.evaluation.metrics import (
    Design,
    Result,
    Sheet,
    evaluate,
    sheet_from_predictions,
)
from amlprognosis.study import BEST_OF_GRID, COMPARATORS, DAYS_PER_YEAR, horizon_suffix
from amlprognosis.study.names import is_grid

KIND_ORDER = {"model": 0, "procedure": 1, "combination": 2, "comparator": 3}
N_BOOT = 1000


@dataclass
class Evaluation:
    """The evaluated models of one cohort; pass it on to avoid computing it twice."""

    design: Design
    patients: list[str]
    sheets: dict[str, Sheet]
    results: dict[str, Result]
    calibrations: dict[str, Calibration]
    calibration_horizons: dict[str, float]


def evaluate_models(
    predictions: pd.DataFrame,
    outcome: pd.DataFrame,
    horizons_years: Sequence[float],
    n_boot: int = N_BOOT,
    seed: int = 0,
    main_horizon: float | None = None,
) -> Evaluation:
    """Evaluate all models of one cohort with the same bootstrap draws.

    Parameters
    ----------
    predictions : DataFrame
        model, patient, risk, survival columns and, out of fold, repeat and fold.
    outcome : DataFrame, index = patient
        os_time (days), os_event.
    horizons_years : sequence of float
    n_boot : int
    seed : int
    main_horizon : float, optional
        Years, for the calibration; default the middle horizon. A model that predicts survival at other horizons
        only (a classifier) is calibrated at its last one.
    """
    outcome = outcome.rename(index=str).sort_index()
    if outcome.index.has_duplicates:
        raise InputError(f"patient {outcome.index[outcome.index.duplicated()][0]} has more than one outcome")
    if main_horizon is None:
        main_horizon = sorted(horizons_years)[len(horizons_years) // 2]
    time, event = outcome["os_time"].to_numpy(float), outcome["os_event"].to_numpy(bool)
    design = Design(time, event, tuple(horizons_years), n_boot, seed)
    patients = list(outcome.index)
    sheets = {
        str(model): sheet_from_predictions(part, patients) for model, part in predictions.groupby("model", sort=True)
    }
    results = {model: evaluate(sheet, design) for model, sheet in sheets.items()}
    at = {model: _calibration_horizon(sheet, horizons_years, main_horizon) for model, sheet in sheets.items()}
    calibrations = {model: calibrate(sheet, time, event, at[model]) for model, sheet in sheets.items()}
    return Evaluation(design, patients, sheets, results, calibrations, at)


def _calibration_horizon(sheet: Sheet, horizons_years: Sequence[float], main: float) -> float:
    if np.isfinite(sheet.mean_survival(main * DAYS_PER_YEAR)).any():
        return float(main)
    known = [y for y in horizons_years if np.isfinite(sheet.mean_survival(y * DAYS_PER_YEAR)).any()]
    return float(max(known, default=main))


def metric_names(horizons_years: Sequence[float]) -> list[str]:
    """Metric columns in their order."""
    suffixes = [horizon_suffix(h) for h in sorted(horizons_years)]
    return ["c_harrell", "c_uno", *[f"{m}_{s}" for m in ("auc", "brier", "ipa") for s in suffixes], "ibs"]


def leaderboard(
    predictions: pd.DataFrame,
    outcome: pd.DataFrame,
    horizons_years: Sequence[float],
    n_boot: int = N_BOOT,
    seed: int = 0,
    selected: pd.DataFrame | None = None,
    notes: pd.DataFrame | None = None,
    main_horizon: float | None = None,
    evaluation: Evaluation | None = None,
) -> pd.DataFrame:
    """One row per model with 95% bootstrap intervals (percentile, over patients).

    Parameters
    ----------
    predictions, outcome, horizons_years, n_boot, seed, main_horizon
        As in :func:`evaluate_models`.
    selected : DataFrame, optional
        model, repeat, fold, feature: ``features`` is the median number selected per fit.
    notes : DataFrame, optional
        model, repeat, fold, reason of fits that failed (a model without any prediction gets a row, too).
    evaluation : Evaluation, optional
        Reuse instead of computing.

    Returns
    -------
    DataFrame
        model, kind, patients, events, repeats, features, metrics each with _low and _high, calibration at
        ``calibration_horizon`` (years), ibs_reference (of the Kaplan-Meier curve), note. Sorted by kind
        (models first), then falling c_harrell, then name.
    """
    run = evaluation or evaluate_models(predictions, outcome, horizons_years, n_boot, seed, main_horizon)
    sizes = _median_features(selected)
    failed = model_failures(notes)
    rows = []
    for model in sorted(set(run.sheets) | set(failed)):
        row: dict[str, object] = {"model": model, "kind": kind_of(model)}
        row |= _metric_cells(run, model, horizons_years)
        row["features"] = sizes.get(model, np.nan)
        row["note"] = "; ".join([*([failed[model]] if model in failed else []), *_notes(run, model)])
        rows.append(row)
    table = pd.DataFrame(rows)
    if table.empty:
        raise InputError("there are no predictions to evaluate")
    head = ["model", "kind", "patients", "events", "repeats", "features"]
    table = table[[*head, *[c for c in table.columns if c not in {*head, "note"}], "note"]]
    return _ranked(table, ["kind"])


def kind_of(model: str) -> str:
    """Return "model", "procedure" (best of the grid), "combination" (member of the grid) or "comparator"."""
    if model in COMPARATORS:
        return "comparator"
    if model == BEST_OF_GRID:
        return "procedure"
    return "combination" if is_grid(model) else "model"


def _ranked(table: pd.DataFrame, first: list[str]) -> pd.DataFrame:
    order = table.assign(_kind=table["kind"].map(KIND_ORDER))
    keys = [("_kind" if key == "kind" else key) for key in first]
    order = order.sort_values(
        [*keys, "c_harrell", "model"],
        ascending=[*[True] * len(keys), False, True],
        kind="stable",
        na_position="last",
    )
    return order.drop(columns="_kind").reset_index(drop=True)


def _metric_cells(run: Evaluation, model: str, horizons_years: Sequence[float]) -> dict[str, object]:
    result, sheet = run.results.get(model), run.sheets.get(model)
    available = np.zeros(len(run.patients), dtype=bool) if sheet is None else sheet.available
    cells: dict[str, object] = {
        "patients": int(available.sum()),
        "events": int(run.design.event[available].sum()),
        "repeats": 0 if sheet is None else sheet.block.shape[0],
    }
    for name in metric_names(horizons_years):
        low, high = (np.nan, np.nan) if result is None else result.interval(name)
        cells[name] = np.nan if result is None else result.estimate(name)
        cells[f"{name}_low"], cells[f"{name}_high"] = low, high
    cells["ibs_reference"] = np.nan if result is None else result.estimate("ibs_reference")
    calibration = run.calibrations.get(model)
    cells["calibration_horizon"] = run.calibration_horizons.get(model, np.nan)
    for label, attribute in (("calibration_slope", "slope"), ("oe", "oe")):
        for end in ("", "_low", "_high"):
            cells[label + end] = np.nan if calibration is None else getattr(calibration, attribute + end)
    for label in ("ici", "e50", "e90"):
        cells[label] = np.nan if calibration is None else getattr(calibration, label)
    return cells


def _notes(run: Evaluation, model: str) -> list[str]:
    if model not in run.results:
        return ["no predictions"]
    return [*run.results[model].notes, *run.calibrations[model].notes]


def _median_features(selected: pd.DataFrame | None) -> dict[str, float]:
    if selected is None or selected.empty:
        return {}
    counts = selected.groupby(["model", "repeat", "fold"])["feature"].nunique()
    return {str(k): float(v) for k, v in counts.groupby("model").median().items()}


def model_failures(notes: pd.DataFrame | None) -> dict[str, str]:
    """Say per model how many of its fits failed, and why."""
    if notes is None or notes.empty:
        return {}
    found = {}
    for model, part in notes.groupby("model", sort=True):
        reasons = sorted(set(part["reason"].astype(str)))
        more = f" (and {len(reasons) - 1} other reasons)" if len(reasons) > 1 else ""
        found[str(model)] = f"{len(part)} fits failed: {reasons[0]}{more}"
    return found


def evaluate_validation(
    predictions: pd.DataFrame,
    outcomes: Mapping[str, pd.DataFrame],
    horizons_years: Sequence[float],
    n_boot: int = N_BOOT,
    seed: int = 0,
    main_horizon: float | None = None,
) -> dict[tuple[str, str], Evaluation]:
    """Evaluate frozen models per (cohort, adaptation).

    Parameters
    ----------
    predictions : DataFrame
        model, cohort, adaptation, patient, risk, survival columns, features_missing.
    outcomes : mapping of cohort to DataFrame (index = patient; os_time, os_event)
    """
    found = {}
    for (cohort, adaptation), part in predictions.groupby(["cohort", "adaptation"], sort=True):
        if cohort not in outcomes:
            raise InputError(f"there is no outcome table for the validation cohort {cohort}")
        found[(str(cohort), str(adaptation))] = evaluate_models(
            part, outcomes[cohort], horizons_years, n_boot, seed, main_horizon
        )
    return found


def validation_table(
    predictions: pd.DataFrame,
    outcomes: Mapping[str, pd.DataFrame],
    horizons_years: Sequence[float],
    n_boot: int = N_BOOT,
    seed: int = 0,
    main_horizon: float | None = None,
    evaluations: Mapping[tuple[str, str], Evaluation] | None = None,
) -> pd.DataFrame:
    """Return the metrics of each frozen model in each validation cohort.

    Returns
    -------
    DataFrame
        cohort, adaptation, model, kind, patients, events, features_missing (largest over patients), metrics
        and calibration as in :func:`leaderboard`, note. Sorted by cohort, kind, falling C, name.
    """
    runs = evaluations or evaluate_validation(predictions, outcomes, horizons_years, n_boot, seed, main_horizon)
    missing = (
        predictions.groupby(["cohort", "adaptation", "model"])["features_missing"].max()
        if "features_missing" in predictions
        else pd.Series(dtype=float)
    )
    rows = []
    for (cohort, adaptation), run in runs.items():
        for model in run.sheets:
            row: dict[str, object] = {"cohort": cohort, "adaptation": adaptation, "model": model}
            row["kind"] = kind_of(model)
            cells = _metric_cells(run, model, horizons_years)
            del cells["repeats"]
            row |= {"patients": cells.pop("patients"), "events": cells.pop("events")}
            count = missing.get((cohort, adaptation, model), np.nan)
            row["features_missing"] = int(count) if np.isfinite(count) else pd.NA
            rows.append(row | cells | {"note": "; ".join(_notes(run, model))})
    if not rows:
        return pd.DataFrame(columns=["cohort", "adaptation", "model", "kind", "patients", "events"])
    return _ranked(pd.DataFrame(rows), ["cohort", "kind"])
