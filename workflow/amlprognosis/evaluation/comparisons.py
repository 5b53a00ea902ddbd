"""Paired differences between models and comparators: the same patients, the same bootstrap draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from amlprognosis.evaluation.leaderboard import (
    N_BOOT,
    Evaluation,
    evaluate_models,
    evaluate_validation,
    kind_of,
    model_failures,
)
from amlprognosis.evaluation.metrics import Result, evaluate, percentile_interval
from amlprognosis.study import horizon_suffix
from amlprognosis.study.names import comparators_among, is_comparator

COLUMNS = [
    "cohort", "adaptation", "model", "comparator", "metric", "difference", "low", "high", "p", "patients", "note",
]  # fmt: skip
NOT_COMPARED = "not compared: "


def compared_metrics(main_horizon_years: float) -> tuple[str, ...]:
    """Metrics in which models are compared: both C, Brier score and net benefit at the main horizon, and IBS."""
    return "c_harrell", "c_uno", f"brier_{horizon_suffix(main_horizon_years)}", "ibs", "net_benefit"


def comparisons(
    predictions: pd.DataFrame,
    outcome: pd.DataFrame,
    horizons_years: Sequence[float],
    n_boot: int = N_BOOT,
    seed: int = 0,
    metrics: Sequence[str] | None = None,
    cohort: str = "training",
    evaluation: Evaluation | None = None,
    notes: pd.DataFrame | None = None,
    main_horizon: float | None = None,
) -> pd.DataFrame:
    """Paired differences of each model and each comparator: the same draws of patients for both.

    Where two models lack predictions for different patients, both are computed on what they share. With ``notes``
    (model, reason of fits that failed) a comparator without any prediction has rows, too, that say why.

    Parameters
    ----------
    predictions, outcome, horizons_years, n_boot, seed, main_horizon
        As in :func:`~amlprognosis.evaluation.leaderboard.evaluate_models`.
    metrics : sequence of str, optional
        Default: those of :func:`compared_metrics`.
    cohort : str
        What stands in the column.
    evaluation : Evaluation, optional
        Reuse instead of computing.
    notes : DataFrame, optional
        model, reason.

    Returns
    -------
    DataFrame
        cohort, adaptation (of the model; missing out of fold), model, comparator, metric, difference (model minus
        comparator; better is > 0 for C and net benefit, < 0 for Brier scores), low, high, p (two-sided bootstrap, at
        least 2/(n_boot + 1)), patients, note.
    """
    run = evaluation or evaluate_models(predictions, outcome, horizons_years, n_boot, seed, main_horizon)
    return _table(run, model_failures(notes), metrics or compared_metrics(_main(horizons_years, main_horizon)), cohort)


def _main(horizons_years: Sequence[float], main_horizon: float | None) -> float:
    return main_horizon if main_horizon is not None else sorted(horizons_years)[len(horizons_years) // 2]


def _table(
    run: Evaluation, failed: Mapping[str, str], metrics: Sequence[str], cohort: str, adaptation: str | None = None
) -> pd.DataFrame:
    rows = []
    for model, other in compared_pairs(run, failed):
        if other in run.sheets:
            a, b, shared, note = _on_shared(run, model, other)
        else:
            a, b, shared, note = Result({}, []), Result({}, []), 0, f"{NOT_COMPARED}{failed[other]}"
        for metric in metrics:
            difference = _replicates(a, metric) - _replicates(b, metric)
            low, high = percentile_interval(difference)
            lacking = [name for name, result in ((model, a), (other, b)) if not np.isfinite(result.estimate(metric))]
            why = note or (f"{NOT_COMPARED}no {metric} of {' and '.join(lacking)}" if lacking else "")
            rows.append(
                {
                    "cohort": cohort, "adaptation": adaptation, "model": model, "comparator": other, "metric": metric,
                    "difference": float(difference[0]), "low": low, "high": high, "p": bootstrap_p(difference),
                    "patients": shared, "note": why,
                }
            )  # fmt: skip
    return pd.DataFrame(rows, columns=COLUMNS)


def compared_pairs(run: Evaluation, failed: Mapping[str, str]) -> list[tuple[str, str]]:
    """Each model with each comparator, those that are not there for a known reason included."""
    models = [name for name in sorted(run.sheets) if kind_of(name) != "comparator"]
    others = sorted(comparators_among([*run.sheets, *failed]))
    return [(model, other) for model in models for other in others]


def _replicates(result: Result, metric: str) -> np.ndarray:
    return result.values.get(metric, np.full(1, np.nan))


def _on_shared(run: Evaluation, model: str, other: str) -> tuple[Result, Result, int, str]:
    first, second = run.sheets[model], run.sheets[other]
    if first.block.shape == second.block.shape:
        if np.array_equal(first.block, second.block):
            return run.results[model], run.results[other], int(first.available.sum()), ""
        a, b = first.restricted(second.block), second.restricted(first.block)
        shared, note = int(a.available.sum()), "on the predictions that both have"
        if not shared:
            return Result({}, []), Result({}, []), 0, f"{NOT_COMPARED}no patient has predictions of both"
        return evaluate(a, run.design, False), evaluate(b, run.design, False), shared, note
    return Result({}, []), Result({}, []), 0, f"{NOT_COMPARED}the two have different repeats"


def paired_replicates(run: Evaluation, model: str, other: str, metric: str) -> np.ndarray:
    """Difference of two models in a metric, shape (1 + n_boot,): the estimate first, then paired replicates."""
    a, b, _, _ = _on_shared(run, model, other)
    return _replicates(a, metric) - _replicates(b, metric)


def bootstrap_p(difference: np.ndarray) -> float:
    """Two-sided p: twice the smaller share of replicates on one side of 0, with one added."""
    draws = difference[1:][np.isfinite(difference[1:])]
    if not len(draws) or not np.isfinite(difference[0]):
        return np.nan
    below, above = 1 + (draws <= 0).sum(), 1 + (draws >= 0).sum()
    return float(min(1.0, 2.0 * min(below, above) / (len(draws) + 1)))


def with_comparators(runs: Mapping[tuple[str, str], Evaluation]) -> dict[tuple[str, str], Evaluation]:
    """Evaluations by cohort and adaptation, each with the comparators of the cohort's other adaptations.

    Comparators without expression (age, clinical, ...) carry the adaptation "none" alone; models of every adaptation
    are compared with them.
    """
    found = {}
    for (cohort, adaptation), run in runs.items():
        sheets, results = dict(run.sheets), dict(run.results)
        for (other_cohort, _), other in runs.items():
            if other_cohort != cohort:
                continue
            for name in other.sheets:
                if is_comparator(name) and name not in sheets:
                    sheets[name], results[name] = other.sheets[name], other.results[name]
        found[(cohort, adaptation)] = Evaluation(run.design, run.patients, sheets, results)
    return found


def validation_comparisons(
    predictions: pd.DataFrame,
    outcomes: Mapping[str, pd.DataFrame],
    horizons_years: Sequence[float],
    n_boot: int = N_BOOT,
    seed: int = 0,
    metrics: Sequence[str] | None = None,
    evaluations: Mapping[tuple[str, str], Evaluation] | None = None,
    refusals: Mapping[str, Mapping[str, str]] | None = None,
    main_horizon: float | None = None,
) -> pd.DataFrame:
    """Paired differences in each validation cohort; comparators are taken from any adaptation of it.

    Parameters
    ----------
    predictions, outcomes, horizons_years, n_boot, seed, main_horizon
        As in :func:`~amlprognosis.evaluation.leaderboard.evaluate_validation`.
    metrics : sequence of str, optional
        Default: those of :func:`compared_metrics`.
    evaluations : mapping of (cohort, adaptation) to Evaluation, optional
        Reuse instead of computing.
    refusals : mapping of cohort to mapping of model to reason, optional
        Comparators that the cohort lacks, see :func:`~amlprognosis.evaluation.inputs.read_refusals`: they have rows
        that say why.

    Returns
    -------
    DataFrame
        As :func:`comparisons`.
    """
    runs = evaluations or evaluate_validation(predictions, outcomes, horizons_years, n_boot, seed, main_horizon)
    named = metrics or compared_metrics(_main(horizons_years, main_horizon))
    tables = [
        _table(run, (refusals or {}).get(cohort, {}), named, cohort, adaptation)
        for (cohort, adaptation), run in with_comparators(runs).items()
    ]
    filled = [table for table in tables if len(table)]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame(columns=COLUMNS)
