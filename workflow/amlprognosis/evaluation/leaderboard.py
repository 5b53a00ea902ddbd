"""Tables of performance: a row per model, intervals, paired differences, validation cohorts."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from amlprognosis.errors import InputError
from amlprognosis.evaluation.calibration import CALIBRATION
from amlprognosis.evaluation.metrics import Design, Result, evaluate
from amlprognosis.evaluation.sheets import Sheet, sheet_from_predictions
from amlprognosis.models.learners.base import run_threads
from amlprognosis.study import BEST_OF_GRID, horizon_suffix
from amlprognosis.study.names import is_comparator, is_grid

KIND_ORDER = {"model": 0, "procedure": 1, "combination": 2, "comparator": 3}
N_BOOT = 1000


@dataclass
class Evaluation:
    """The evaluated models of one cohort; pass it on to avoid computing it twice."""

    design: Design
    patients: list[str]
    sheets: dict[str, Sheet]
    results: dict[str, Result]


def evaluate_models(
    predictions: pd.DataFrame,
    outcome: pd.DataFrame,
    horizons_years: Sequence[float],
    n_boot: int = N_BOOT,
    seed: int = 0,
    main_horizon: float | None = None,
    decision_threshold: float = 0.5,
    reported: Collection[str] = (),
    n_jobs: int = 1,
) -> Evaluation:
    """Evaluate all models of one cohort with the same bootstrap draws.

    Parameters
    ----------
    predictions : DataFrame
        model, patient, risk, survival columns, risk_group and, out of fold, repeat and fold.
    outcome : DataFrame, index = patient
        os_time (days), os_event.
    horizons_years : sequence of float
    n_boot : int
    seed : int
    main_horizon : float, optional
        Years, for calibration and net benefit; default the middle horizon. A model that predicts survival at other
        horizons only (a classifier) is calibrated at its last one.
    decision_threshold : float
        Of the net benefit.
    reported : collection of str
        Members of the grid with all intervals; of the other members the calibration figures have none, since a
        thousand Cox fits for each of a hundred members would take longer than all the rest.
    n_jobs : int
        Threads over models; they do not change the result.
    """
    outcome = outcome.rename(index=str).sort_index()
    if outcome.index.has_duplicates:
        raise InputError(f"patient {outcome.index[outcome.index.duplicated()][0]} has more than one outcome")
    time, event = outcome["os_time"].to_numpy(float), outcome["os_event"].to_numpy(bool)
    design = Design(
        time,
        event,
        tuple(horizons_years),
        n_boot,
        seed,
        main_horizon_years=main_horizon,
        decision_threshold=decision_threshold,
    )
    patients = list(outcome.index)
    sheets = {
        str(model): sheet_from_predictions(part, patients) for model, part in predictions.groupby("model", sort=True)
    }

    def one(model: str) -> Result:
        return evaluate(sheets[model], design, kind_of(model) != "combination" or model in reported)

    with threadpool_limits(limits=1):
        results = dict(zip(sheets, run_threads(one, sheets, n_jobs), strict=True))
    return Evaluation(design, patients, sheets, results)


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
        model, kind, patients, events, repeats, features, metrics each with _low and _high, ibs_reference (of the
        Kaplan-Meier curve), calibration at ``calibration_horizon`` (years), d_calibration_p, net_benefit,
        rmst_difference_months, note. Sorted by kind (models first), then falling c_harrell, then name.
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
    if is_comparator(model):
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
    sheet = run.sheets.get(model)
    available = np.zeros(len(run.patients), dtype=bool) if sheet is None else sheet.available
    cells: dict[str, object] = {
        "patients": int(available.sum()),
        "events": int(run.design.event[available].sum()),
        "repeats": 0 if sheet is None else sheet.block.shape[0],
    }
    result = run.results.get(model, Result({}, []))

    def put(name: str) -> None:
        cells[name] = result.estimate(name)
        cells[f"{name}_low"], cells[f"{name}_high"] = result.interval(name)

    for name in metric_names(horizons_years):
        put(name)
    cells["ibs_reference"] = result.estimate("ibs_reference")
    cells["calibration_horizon"] = result.calibration_horizon
    for name in CALIBRATION:
        put(name)
    cells["d_calibration_p"] = result.estimate("d_calibration_p")
    for name in ("net_benefit", "rmst_difference_months"):
        put(name)
    return cells


def _notes(run: Evaluation, model: str) -> list[str]:
    if model not in run.results:
        return ["no predictions"]
    return run.results[model].notes


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
    decision_threshold: float = 0.5,
    reported: Collection[str] = (),
    n_jobs: int = 1,
) -> dict[tuple[str, str], Evaluation]:
    """Evaluate frozen models per (cohort, adaptation).

    Parameters
    ----------
    predictions : DataFrame
        model, cohort, adaptation, patient, risk, survival columns, risk_group, features_missing.
    outcomes : mapping of cohort to DataFrame (index = patient; os_time, os_event)
    horizons_years, n_boot, seed, main_horizon, decision_threshold, reported, n_jobs
        As for :func:`evaluate_models`.
    """
    found = {}
    for (cohort, adaptation), part in predictions.groupby(["cohort", "adaptation"], sort=True):
        if cohort not in outcomes:
            raise InputError(f"there is no outcome table for the validation cohort {cohort}")
        found[(str(cohort), str(adaptation))] = evaluate_models(
            part,
            outcomes[cohort],
            horizons_years,
            n_boot,
            seed,
            main_horizon,
            decision_threshold,
            reported,
            n_jobs,
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
