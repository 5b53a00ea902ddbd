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

COMPARED = ("c_harrell", "ibs")


def comparisons(
    predictions: pd.DataFrame,
    outcome: pd.DataFrame,
    horizons_years: Sequence[float],
    n_boot: int = N_BOOT,
    seed: int = 0,
    metrics: Sequence[str] = COMPARED,
    cohort: str = "training",
    evaluation: Evaluation | None = None,
    notes: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Paired differences of each model and each comparator: the same draws of patients for both.

    Where two models lack predictions for different patients, both are computed on what they share. With ``notes``
    (model, reason of fits that failed) a comparator without any prediction has rows, too, that say why.

    Returns
    -------
    DataFrame
        cohort, model, comparator, metric, difference (model minus comparator; better is > 0 for C, < 0 for the
        Brier score), low, high, p (two-sided bootstrap, at least 2/(n_boot + 1)), patients, note.
    """
    run = evaluation or evaluate_models(predictions, outcome, horizons_years, n_boot, seed)
    failed = model_failures(notes)
    names = sorted(set(run.sheets) | set(failed))
    rows = []
    for model in [m for m in names if kind_of(m) != "comparator" and m in run.sheets]:
        for other in [m for m in names if kind_of(m) == "comparator"]:
            if other in run.sheets:
                a, b, shared, note = _on_shared(run, model, other)
            else:
                a, b, shared = _undefined(run, model), _undefined(run, model), 0
                note = f"not compared: {failed[other]}"
            for metric in metrics:
                difference = a.values[metric] - b.values[metric]
                low, high = percentile_interval(difference)
                rows.append(
                    {
                        "cohort": cohort,
                        "model": model,
                        "comparator": other,
                        "metric": metric,
                        "difference": float(difference[0]),
                        "low": low,
                        "high": high,
                        "p": bootstrap_p(difference),
                        "patients": shared,
                        "note": note,
                    }
                )
    columns = ["cohort", "model", "comparator", "metric", "difference", "low", "high", "p", "patients", "note"]
    return pd.DataFrame(rows, columns=columns)


def _on_shared(run: Evaluation, model: str, other: str) -> tuple[Result, Result, int, str]:
    first, second = run.sheets[model], run.sheets[other]
    if first.block.shape == second.block.shape:
        if np.array_equal(first.block, second.block):
            return run.results[model], run.results[other], int(first.available.sum()), ""
        a, b = first.restricted(second.block), second.restricted(first.block)
        shared = int(a.available.sum())
        return evaluate(a, run.design), evaluate(b, run.design), shared, "on the predictions that both have"
    note = "not computed: the two have different repeats"
    return _undefined(run, model), _undefined(run, model), 0, note


def _undefined(run: Evaluation, model: str) -> Result:
    return Result({name: np.full(len(run.design.weights), np.nan) for name in run.results[model].values}, [])


def bootstrap_p(difference: np.ndarray) -> float:
    """Two-sided p: twice the smaller share of replicates on one side of 0, with one added."""
    draws = difference[1:][np.isfinite(difference[1:])]
    if not len(draws) or not np.isfinite(difference[0]):
        return np.nan
    below, above = 1 + (draws <= 0).sum(), 1 + (draws >= 0).sum()
    return float(min(1.0, 2.0 * min(below, above) / (len(draws) + 1)))


def validation_comparisons(
    predictions: pd.DataFrame,
    outcomes: Mapping[str, pd.DataFrame],
    horizons_years: Sequence[float],
    n_boot: int = N_BOOT,
    seed: int = 0,
    metrics: Sequence[str] = COMPARED,
    evaluations: Mapping[tuple[str, str], Evaluation] | None = None,
) -> pd.DataFrame:
    """Paired differences in each validation cohort; comparators are taken from any adaptation of it.

    Comparators without expression (age, clinical, ...) usually carry the adaptation "none"; they are compared
    with the models of every adaptation of the same cohort.

    Returns
    -------
    DataFrame
        As :func:`comparisons`, with the column adaptation (of the model) after cohort.
    """
    runs = evaluations or evaluate_validation(predictions, outcomes, horizons_years, n_boot, seed)
    tables = []
    for (cohort, adaptation), run in runs.items():
        sheets, results = dict(run.sheets), dict(run.results)
        for (other_cohort, _), other in runs.items():
            if other_cohort != cohort:
                continue
            for name in other.sheets:
                if kind_of(name) == "comparator" and name not in sheets:
                    sheets[name], results[name] = other.sheets[name], other.results[name]
        joint = Evaluation(run.design, run.patients, sheets, results)
        part = comparisons(predictions, outcomes[cohort], horizons_years, n_boot, seed, metrics, cohort, joint)
        part.insert(1, "adaptation", adaptation)
        tables.append(part)
    filled = [t for t in tables if len(t)]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame()
