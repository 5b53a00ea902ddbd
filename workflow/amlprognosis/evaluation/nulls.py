"""Negative controls: the whole cross-validated procedure on permuted outcomes and on random gene sets.

References
----------
Venet, Dumont and Detours, PLoS Comput Biol 2011, doi:10.1371/journal.pcbi.1002240
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pandas as pd

from amlprognosis.errors import InputError
from amlprognosis.evaluation.crossvalidate import Make, crossvalidate
from amlprognosis.evaluation.metrics import blocked_concordance, sheet_from_predictions

COLUMNS = ["control", "draw", "c_harrell", "note"]
_PERMUTED, _RANDOM = 11, 12  # keeps the random streams of the two controls apart


def procedure_c_index(
    features: pd.DataFrame,
    outcome: pd.DataFrame,
    folds: pd.DataFrame,
    make: Make,
    model: str,
    seed: int,
    repeat: int = 1,
) -> tuple[float, str]:
    """Cross-validated C of one procedure on one repeat, and a note when fits failed (C is NaN if all did)."""
    run = crossvalidate(features, outcome, folds, [model], make, repeat, [1.0], seed, curve_points=1)
    note = f"{len(run.notes)} folds failed: {run.notes['reason'].iloc[0]}" if len(run.notes) else ""
    if run.predictions.empty:
        return np.nan, note
    own = outcome.rename(index=str).loc[features.index.astype(str)].sort_index()
    sheet = sheet_from_predictions(run.predictions, list(own.index))
    return blocked_concordance(own["os_time"].to_numpy(float), own["os_event"].to_numpy(bool), sheet), note


def permuted_outcome(
    features: pd.DataFrame,
    outcome: pd.DataFrame,
    folds: pd.DataFrame,
    make: Make,
    model: str,
    draws: int,
    seed: int,
    repeat: int = 1,
    threads: int = 1,
) -> pd.DataFrame:
    """C of the procedure when features and outcomes are of different patients; its mean should be near 0.5.

    The rows of the features are permuted against the outcomes, which is the same as permuting the outcomes but
    keeps the folds balanced for events.

    Returns
    -------
    DataFrame
        control ("permuted_outcome"), draw (from 1), c_harrell, note.
    """

    def one(draw: int) -> dict[str, object]:
        rng = np.random.default_rng(np.random.SeedSequence([seed, _PERMUTED, draw]))
        ordered = features.sort_index()
        shuffled = ordered.iloc[rng.permutation(len(ordered))].set_axis(ordered.index)
        c, note = procedure_c_index(shuffled, outcome, folds, make, model, seed + draw, repeat)
        return {"control": "permuted_outcome", "draw": draw, "c_harrell": c, "note": note}

    return _collect(one, draws, threads)


def random_gene_sets(
    features: pd.DataFrame,
    outcome: pd.DataFrame,
    folds: pd.DataFrame,
    make_with_genes: Callable[[Sequence[str], int], Any],
    measured: Sequence[str],
    size: int,
    draws: int,
    seed: int,
    repeat: int = 1,
    threads: int = 1,
) -> pd.DataFrame:
    """C of the procedure with random candidate genes instead of the chosen ones.

    Parameters
    ----------
    make_with_genes : callable (genes, seed) -> estimator
        The procedure with ``genes`` as candidates.
    measured : sequence of str
        All genes that could be drawn (the real candidates are not excluded).
    size : int
        Number of real candidates measured.

    Returns
    -------
    DataFrame
        control ("random_gene_set"), draw (from 1), c_harrell, note.
    """
    pool = sorted(set(measured))
    if size > len(pool) or size < 1:
        raise InputError(f"cannot draw random sets of {size} genes out of {len(pool)} measured genes")

    def one(draw: int) -> dict[str, object]:
        rng = np.random.default_rng(np.random.SeedSequence([seed, _RANDOM, draw]))
        genes = [pool[k] for k in np.sort(rng.choice(len(pool), size=size, replace=False))]

        def make(_name: str, fit_seed: int) -> Any:
            return make_with_genes(genes, fit_seed)

        c, note = procedure_c_index(features, outcome, folds, make, "random_gene_set", seed + draw, repeat)
        return {"control": "random_gene_set", "draw": draw, "c_harrell": c, "note": note}

    return _collect(one, draws, threads)


def _collect(one: Callable[[int], dict[str, object]], draws: int, threads: int) -> pd.DataFrame:
    numbers = range(1, draws + 1)
    if threads > 1:
        with ThreadPoolExecutor(threads) as pool:
            rows = list(pool.map(one, numbers))
    else:
        rows = [one(draw) for draw in numbers]
    return pd.DataFrame(rows, columns=COLUMNS)


def empirical_p(observed: float, null: Sequence[float]) -> float:
    """(1 + number of null values >= observed) / (1 + number of null values); NaN values are left out."""
    values = np.asarray(null, dtype=float)
    values = values[np.isfinite(values)]
    return float((1 + (values >= observed).sum()) / (1 + len(values))) if np.isfinite(observed) else np.nan


def summarize_controls(controls: pd.DataFrame, observed: float) -> pd.DataFrame:
    """Summary of each control beside the observed C (same folds, same single repeat).

    Returns
    -------
    DataFrame
        control, draws (with a C), mean, sd, low, high (2.5% and 97.5% quantiles), observed, p (empirical, one-sided).
    """
    rows = []
    for control, part in controls.groupby("control", sort=True):
        values = part["c_harrell"].dropna().to_numpy(float)
        low, high = np.quantile(values, [0.025, 0.975]) if len(values) else (np.nan, np.nan)
        rows.append(
            {
                "control": control,
                "draws": len(values),
                "mean": float(values.mean()) if len(values) else np.nan,
                "sd": float(values.std(ddof=1)) if len(values) > 1 else np.nan,
                "low": float(low),
                "high": float(high),
                "observed": observed,
                "p": empirical_p(observed, values) if len(values) else np.nan,
            }
        )
    return pd.DataFrame(rows, columns=["control", "draws", "mean", "sd", "low", "high", "observed", "p"])
