"""The tables of a study, made from the predictions that the jobs left."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypedDict

import pandas as pd

from amlprognosis.evaluation.added_value import added_value_table
from amlprognosis.evaluation.apply import main_adaptation_only
from amlprognosis.evaluation.best_of_grid import grid_tables, nested_predictions
from amlprognosis.evaluation.calibration import calibration_points
from amlprognosis.evaluation.comparisons import comparisons, validation_comparisons
from amlprognosis.evaluation.curve_tables import d_calibration_bins, decision_curves
from amlprognosis.evaluation.hazard_ratios import gene_hazard_ratios, index_hazard_ratios, patient_index
from amlprognosis.evaluation.inputs import candidate_parameters, read_frozen
from amlprognosis.evaluation.leaderboard import (
    Evaluation,
    evaluate_models,
    evaluate_validation,
    leaderboard,
    validation_table,
)
from amlprognosis.evaluation.meta_analysis import meta_analysis
from amlprognosis.evaluation.metrics import Result
from amlprognosis.evaluation.roc import roc_points
from amlprognosis.evaluation.sample_size import sample_size_table
from amlprognosis.evaluation.selection import selection_table
from amlprognosis.evaluation.stability import selection_frequency
from amlprognosis.evaluation.survival_groups import survival_by_group
from amlprognosis.study import BEST_OF_GRID, Study, horizon_suffix
from amlprognosis.study.names import is_grid

INDEX = "gene_index"


class _Options(TypedDict):
    """What every evaluation of a study has in common."""

    horizons_years: Sequence[float]
    n_boot: int
    seed: int


class _Judging(_Options):
    """What the metrics of a study have in common."""

    main_horizon: float
    decision_threshold: float
    reported: Collection[str]
    n_jobs: int


def _options(study: Study) -> _Options:
    judged = study.evaluation
    return {"horizons_years": judged.horizons_years, "n_boot": judged.bootstrap, "seed": study.seed}


def _judging(study: Study, threads: int) -> _Judging:
    judged = study.evaluation
    return {
        **_options(study),
        "main_horizon": judged.main_horizon_years,
        "decision_threshold": judged.decision_threshold,
        "reported": judged.report_models,
        "n_jobs": threads,
    }


def leaderboard_tables(
    study: Study,
    features: pd.DataFrame,
    outcome: pd.DataFrame,
    predictions: pd.DataFrame,
    selected: pd.DataFrame,
    notes: pd.DataFrame,
    inner: pd.DataFrame,
    models: Iterable[str | Path],
    threads: int = 1,
) -> dict[str, pd.DataFrame]:
    """Everything that is known from the training cohort alone.

    Parameters
    ----------
    study : Study
    features, outcome : DataFrame, index = patient
    predictions, selected, notes, inner : DataFrame
        Of all jobs of the cross-validation; inner of those of the grid.
    models : iterable of path
        Folders of the frozen models.
    threads : int
        They do not change the result.

    Returns
    -------
    dict of name to DataFrame
        leaderboard, selection, stability, sample_size; with a grid also grid and grid_summary.
    """
    nested = nested_predictions(inner, predictions)
    predictions = pd.concat([predictions, nested], ignore_index=True)
    run = evaluate_models(predictions, outcome, **_judging(study, threads))
    horizons = study.evaluation.horizons_years
    board = leaderboard(predictions, outcome, horizons, selected=selected, notes=notes, evaluation=run)
    frozen = {study.model_of_folder(Path(folder).name): read_frozen(folder) for folder in models}
    refused = [name for name, content in frozen.items() if "refused" in content]
    fits = study.crossvalidation.folds * study.crossvalidation.repeats
    own = selected[selected["model"] == INDEX] if len(selected) else selected
    universe = candidate_parameters(study, features, frozen_candidates(frozen))
    stability = selection_frequency(own, fits)
    stability["selected_in_final"] = stability["feature"].isin(_final_features(frozen.get(INDEX, {})))
    sizes = sample_size_table(
        {name: count for name, count in universe.items() if name not in refused},
        outcome["os_time"],
        outcome["os_event"],
        study.evaluation.main_horizon_years,
    )
    grid = {}
    if study.models.grid_run:
        own = {name: content["metadata"]["c_own_training"] for name, content in frozen.items() if _fitted(content)}
        grid = grid_tables(run, inner, predictions, notes, own, study.models.grid_run)
    return {
        **grid,
        "leaderboard": board,
        "selection": selection_table(run, refused),
        "stability": stability,
        "sample_size": sizes,
    }


def _fitted(content: Mapping) -> bool:
    return "refused" not in content


def _final_features(frozen: Mapping) -> set[str]:
    return {feature["name"] for feature in frozen.get("preprocessing", {}).get("features", [])}


def frozen_candidates(frozen: Mapping[str, Mapping]) -> list[str]:
    """Candidate genes that the gene index was given."""
    return list(frozen.get(INDEX, {}).get("parameters", {}).get("genes") or [])


def comparison_tables(
    study: Study,
    features: pd.DataFrame,
    outcome: pd.DataFrame,
    predictions: pd.DataFrame,
    inner: pd.DataFrame,
    validated: pd.DataFrame,
    notes: pd.DataFrame,
    clinical: Mapping[str, pd.DataFrame],
    genes: Sequence[str],
    best: str | None = None,
    threads: int = 1,
    refusals: Mapping[str, Mapping[str, str]] | None = None,
) -> dict[str, pd.DataFrame]:
    """Everything that sets training and validation cohorts side by side.

    Parameters
    ----------
    study : Study
    features, outcome : DataFrame, index = patient
        Training cohort.
    predictions, inner : DataFrame
        Out-of-fold predictions; concordance in the inner folds of the grid.
    validated : DataFrame
        Predictions of the frozen models for all validation cohorts (no rows without such cohorts).
    notes : DataFrame
        model, repeat, fold, reason of fits that failed.
    clinical : mapping of cohort to DataFrame
        ``obs`` of every cohort.
    genes : sequence of str
        Genes of the frozen index.
    best : str, optional
        Member of the grid that is taken further: in the validation cohorts it stands for ``best_of_grid``, too.
    threads : int
        They do not change the result.
    refusals : mapping of validation cohort to mapping of model to reason, optional
        Comparators that a cohort lacks, see :func:`~amlprognosis.evaluation.inputs.read_refusals`.

    Returns
    -------
    dict of name to DataFrame
        validation, predictions, comparisons, added_value, meta_analysis, kaplan_meier, risk_table, risk_groups, roc,
        calibration, decision_curve, d_calibration, hazard_ratios. Members of the grid that are not among the reported
        models stand in validation alone.
    """
    training, horizons = study.training, study.evaluation.horizons_years
    options, judging = _options(study), _judging(study, threads)
    outcomes = {training: outcome} | {name: clinical[name][["os_time", "os_event"]] for name in study.validation}
    if best is not None:
        predictions = pd.concat([predictions, nested_predictions(inner, predictions)], ignore_index=True)
        if len(validated):
            copy = validated[validated["model"] == best].assign(model=BEST_OF_GRID)
            validated = pd.concat([validated, copy], ignore_index=True)
    predictions = _reported(study, predictions)
    parts = {training: predictions}
    run = evaluate_models(predictions, outcome, **judging)
    results: dict[str, Mapping[str, Result]] = {training: run.results}
    decisions, uniform = [decision_curves(run, training)], [d_calibration_bins(run, training)]
    label, main = f"{training} (cross-validated)", study.evaluation.main_horizon_years
    differences = [
        comparisons(predictions, outcome, cohort=label, evaluation=run, notes=notes, main_horizon=main, **options)
    ]
    seen: dict[tuple[str, str], Evaluation] = {}
    validation = pd.DataFrame(columns=["model", "cohort", "adaptation", "features_missing", "c_harrell"])
    if len(validated):
        runs = evaluate_validation(validated, outcomes, **judging)
        validation = validation_table(validated, outcomes, evaluations=runs, **options)
        shown = main_adaptation_only(study, _reported(study, validated))
        seen = _only(runs, shown)
        differences.append(
            validation_comparisons(shown, outcomes, evaluations=seen, refusals=refusals, main_horizon=main, **options)
        )
        decisions += [decision_curves(part_run, *key) for key, part_run in seen.items()]
        uniform += [d_calibration_bins(part_run, *key) for key, part_run in seen.items()]
        parts |= {name: shown[shown["cohort"] == name] for name in study.validation}
        results |= {name: _results(runs, name, parts[name]) for name in study.validation}
    groups = [survival_by_group(part, outcomes[name], name, results=results[name]) for name, part in parts.items()]
    tests = pd.concat([group.tests for group in groups], ignore_index=True)
    points = pd.concat([roc_points(part, outcomes[name], horizons, name) for name, part in parts.items()])
    bins = pd.concat([calibration_points(part, outcomes[name], horizons, name) for name, part in parts.items()])
    return {
        "validation": validation,
        "predictions": _patient_table(parts, outcomes, horizons),
        "comparisons": _stacked(differences),
        "added_value": added_value_table(training, run, notes, seen, refusals or {}),
        "meta_analysis": meta_analysis(seen, {name: study.cohorts[name].adaptation[0] for name in study.validation}),
        "kaplan_meier": pd.concat([group.kaplan_meier for group in groups], ignore_index=True),
        "risk_table": pd.concat([group.risk_table for group in groups], ignore_index=True),
        "risk_groups": tests.rename(columns={"patients_high": "high", "patients_low": "low"}),
        "roc": points.rename(columns={"horizon": "horizon_years"}),
        "calibration": bins.rename(columns={"horizon": "horizon_years", "group": "bin"}),
        "decision_curve": _stacked(decisions),
        "d_calibration": _stacked(uniform),
        "hazard_ratios": _hazard_ratios(study, features, outcomes, parts, clinical, genes),
    }


def _results(runs: Mapping[tuple[str, str], Evaluation], cohort: str, part: pd.DataFrame) -> dict[str, Result]:
    """Metrics of each model of one validation cohort under the adaptation of its predictions."""
    adaptation = part.groupby("model")["adaptation"].first()
    return {str(model): runs[cohort, str(own)].results[str(model)] for model, own in adaptation.items()}


def _stacked(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Stack tables; without any row (a study without comparators) the empty first one keeps the columns."""
    filled = [table for table in tables if len(table)]
    return pd.concat(filled, ignore_index=True) if filled else tables[0]


def _reported(study: Study, predictions: pd.DataFrame) -> pd.DataFrame:
    """Leave out the members of the grid that are not among the reported models."""
    named = set(study.evaluation.report_models)
    kept = [not is_grid(model) or model in named for model in predictions["model"]]
    return predictions[kept].reset_index(drop=True)


def _only(runs: Mapping[tuple[str, str], Evaluation], shown: pd.DataFrame) -> dict[tuple[str, str], Evaluation]:
    """Evaluations with the models that ``shown`` holds, under the adaptations that it holds them."""
    kept = set(zip(shown["cohort"], shown["adaptation"], shown["model"], strict=True))
    found = {
        key: replace(run, sheets={name: sheet for name, sheet in run.sheets.items() if (*key, name) in kept})
        for key, run in runs.items()
    }
    return {key: run for key, run in found.items() if run.sheets}


def _hazard_ratios(
    study: Study,
    features: pd.DataFrame,
    outcomes: Mapping[str, pd.DataFrame],
    parts: Mapping[str, pd.DataFrame],
    clinical: Mapping[str, pd.DataFrame],
    genes: Sequence[str],
) -> pd.DataFrame:
    training = study.training
    tables = [gene_hazard_ratios(features, outcomes[training], [f"expression:{gene}" for gene in genes], training)]
    for name, part in parts.items():
        own = part[part["model"] == INDEX]
        if len(own):
            tables.append(index_hazard_ratios(patient_index(own), outcomes[name], clinical[name], name))
    table = pd.concat(tables, ignore_index=True)
    return table.assign(analysis=table["analysis"].replace({"gene": "univariable_gene"}))


def _patient_table(
    parts: Mapping[str, pd.DataFrame], outcomes: Mapping[str, pd.DataFrame], horizons: Sequence[float]
) -> pd.DataFrame:
    survival = [f"survival_{horizon_suffix(years)}" for years in sorted(horizons)]
    columns = ["cohort", "model", "repeat", "fold", "patient", "os_time", "os_event", "risk", *survival, "risk_group"]
    rows = []
    for cohort, part in parts.items():
        own = part.assign(cohort=cohort, repeat=part.get("repeat", pd.NA), fold=part.get("fold", pd.NA))
        known = outcomes[cohort].loc[own["patient"]]
        own = own.assign(os_time=known["os_time"].to_numpy(), os_event=known["os_event"].to_numpy())
        rows.append(own[columns].astype({"repeat": "Int64", "fold": "Int64"}))
    return pd.concat(rows, ignore_index=True)
