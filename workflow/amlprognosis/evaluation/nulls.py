"""Negative controls: the whole cross-validated procedure on permuted outcomes and on random gene sets.

References
----------
Venet, Dumont and Detours, PLoS Comput Biol 2011, doi:10.1371/journal.pcbi.1002240
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from amlprognosis.errors import InputError
from amlprognosis.evaluation.crossvalidate import Make, crossvalidate, derive_seed, fold_parts, structured_outcome
from amlprognosis.evaluation.fast_index import PairCount, SharedIndex
from amlprognosis.evaluation.metrics import blocked_concordance
from amlprognosis.evaluation.sheets import sheet_from_predictions
from amlprognosis.models.concordance import harrell_concordance
from amlprognosis.models.gene_index import PREFIX, GeneIndex
from amlprognosis.models.learners.base import run_threads
from amlprognosis.normalize.batch import Batches

COLUMNS = ["control", "cohort", "draw", "c_harrell", "note"]
SUMMARY_COLUMNS = ["control", "cohort", "draws", "mean", "sd", "low", "high", "observed", "p"]
INDEX = "gene_index"
_PERMUTED, _RANDOM = 11, 12  # keeps the random streams of the two controls apart
Scored = tuple[float, str]


def procedure_c_index(
    features: pd.DataFrame,
    outcome: pd.DataFrame,
    folds: pd.DataFrame,
    make: Make,
    model: str,
    seed: int,
    repeats: Sequence[int] = (1,),
    batches: Batches | None = None,
) -> Scored:
    """Cross-validated C of one procedure over some repeats, and a note when fits failed (C is NaN if all did)."""
    runs = [
        crossvalidate(features, outcome, folds, [model], make, r, [1.0], seed, curve_points=1, batches=batches)
        for r in repeats
    ]
    reasons = [reason for run in runs for reason in run.notes["reason"]]
    predictions = [run.predictions for run in runs if len(run.predictions)]
    if not predictions:
        return np.nan, _failures(reasons)
    own = outcome.rename(index=str).loc[features.index.astype(str)].sort_index()
    sheet = sheet_from_predictions(pd.concat(predictions, ignore_index=True), list(own.index))
    c = blocked_concordance(own["os_time"].to_numpy(float), own["os_event"].to_numpy(bool), sheet)
    return c, _failures(reasons)


def _failures(reasons: Sequence[str]) -> str:
    return f"{len(reasons)} folds failed: {reasons[0]}" if reasons else ""


def shuffled_order(n: int, seed: int, draw: int) -> np.ndarray:
    """The ``draw``-th permutation of n patients, who are sorted by id."""
    return np.random.default_rng(np.random.SeedSequence([seed, _PERMUTED, draw])).permutation(n)


def shuffled(features: pd.DataFrame, seed: int, draw: int) -> pd.DataFrame:
    """Features whose rows belong to other patients (sorted by id), by :func:`shuffled_order`.

    It is the same as permuting the outcomes, but the folds stay balanced for events.
    """
    ordered = features.sort_index()
    return ordered.iloc[shuffled_order(len(ordered), seed, draw)].set_axis(ordered.index)


def permuted_outcome(
    features: pd.DataFrame,
    outcome: pd.DataFrame,
    folds: pd.DataFrame,
    make: Make,
    draws: int,
    seed: int,
    repeats: Sequence[int] = (1,),
    threads: int = 1,
    batches: Batches | None = None,
) -> list[Scored]:
    """C of the gene index when features and outcomes are of different patients; its mean should be near 0.5.

    Parameters
    ----------
    features, outcome : DataFrame, index = patient
    folds : DataFrame
        repeat, fold, patient.
    make : callable (name, seed) -> GeneIndex
    draws : int
    seed : int
    repeats : sequence of int
        Repeats of ``folds`` over which C is computed, each with its own seeds.
    threads : int
        They do not change the result.
    batches : Batches, optional
        Corrected in every training part anew; a profile keeps its batch when it goes to another patient.

    Returns
    -------
    list of (C, note)
        What :func:`procedure_c_index` gives for :func:`shuffled` features of draw 1, 2, ..., to the bit.
    """

    def one(job: tuple[int, int]) -> tuple[PairCount, list[str]]:
        draw, repeat = job
        count, reasons = PairCount(), []
        own = None if batches is None else batches.reordered(shuffled_order(len(features), seed, draw))
        for part in fold_parts(shuffled(features, seed, draw), outcome, folds, repeat, own):
            try:
                shared = SharedIndex(make(INDEX, derive_seed(seed, INDEX, repeat, part.fold)), part.train, part.y)
                risk = shared.risk(shared.learn(), shared.values(part.test))
            except InputError as error:
                reasons.append(str(error))
                continue
            count.add(_outcome_of(outcome, part.test), risk)
        return count, reasons

    jobs = [(draw, repeat) for draw in range(1, draws + 1) for repeat in repeats]
    found = dict(zip(jobs, run_threads(one, jobs, threads), strict=True))
    return [_joined([found[draw, repeat] for repeat in repeats]) for draw in range(1, draws + 1)]


def _joined(parts: Sequence[tuple[PairCount, list[str]]]) -> Scored:
    total = PairCount(sum(count.concordant for count, _ in parts), sum(count.comparable for count, _ in parts))
    return total.index, _failures([reason for _, reasons in parts for reason in reasons])


def _outcome_of(outcome: pd.DataFrame, test: pd.DataFrame) -> np.ndarray:
    return structured_outcome(outcome.rename(index=str).loc[test.index])


def random_gene_sets(measured: Sequence[str], size: int, draws: int, seed: int) -> list[list[str]]:
    """Draw sets of ``size`` of the measured genes (the real candidates are not excluded), each sorted.

    Raises
    ------
    InputError
        If fewer than ``size`` genes are measured.
    """
    pool = sorted(set(measured))
    if size > len(pool) or size < 1:
        raise InputError(f"cannot draw random sets of {size} genes out of {len(pool)} measured genes")
    sets = []
    for draw in range(1, draws + 1):
        rng = np.random.default_rng(np.random.SeedSequence([seed, _RANDOM, draw]))
        sets.append([pool[k] for k in np.sort(rng.choice(len(pool), size=size, replace=False))])
    return sets


def candidate_sets(
    features: pd.DataFrame,
    outcome: pd.DataFrame,
    folds: pd.DataFrame,
    make: Make,
    sets: Sequence[Sequence[str]],
    seed: int,
    repeats: Sequence[int] = (1,),
    threads: int = 1,
    batches: Batches | None = None,
) -> list[Scored]:
    """C of the gene index with each of several candidate sets; the screen of a training part is made once for all.

    Parameters
    ----------
    features, outcome, folds, make, seed, repeats, threads, batches
        As for :func:`permuted_outcome`. Folds and inner folds are the same for all sets.
    sets : sequence of sequence of str
        Candidate genes.

    Returns
    -------
    list of (C, note)
        What :func:`procedure_c_index` gives with each set as the candidates, to the bit.
    """
    counts, columns = [PairCount() for _ in sets], [_columns(genes) for genes in sets]
    reasons: list[list[str]] = [[] for _ in sets]
    for repeat in repeats:
        for part in fold_parts(features, outcome, folds, repeat, batches):
            held = _outcome_of(outcome, part.test)
            shared = _shared(make, derive_seed(seed, INDEX, repeat, part.fold), part.train, part.y, threads)
            values = shared.values(part.test)

            def one(k: int, shared: SharedIndex = shared, values: np.ndarray = values, held: np.ndarray = held) -> None:
                try:
                    counts[k].add(held, shared.risk(shared.learn(columns[k]), values))
                except InputError as error:
                    reasons[k].append(str(error))

            run_threads(one, range(len(sets)), threads)
    return [(count.index, _failures(reason)) for count, reason in zip(counts, reasons, strict=True)]


def _columns(genes: Sequence[str]) -> pd.Index:
    return pd.Index([f"{PREFIX}{gene}" for gene in genes])


def _shared(make: Make, seed: int, train: pd.DataFrame, y: np.ndarray, threads: int) -> SharedIndex:
    model: GeneIndex = make(INDEX, seed)
    return SharedIndex(model.set_params(genes=None, n_jobs=threads), train, y)


def frozen_candidate_sets(
    features: pd.DataFrame,
    outcome: pd.DataFrame,
    make: Make,
    sets: Sequence[Sequence[str]],
    seed: int,
    cohorts: Mapping[str, tuple[pd.DataFrame, pd.DataFrame]],
    max_missing_share: float,
    threads: int = 1,
    batches: Batches | None = None,
) -> dict[str, list[Scored]]:
    """C in other cohorts of the gene index of each candidate set, learned from all training patients.

    Parameters
    ----------
    features, outcome : DataFrame, index = patient
        Training cohort.
    make, sets, seed, threads, batches
        As for :func:`candidate_sets`.
    cohorts : mapping of cohort to (features, outcome)
        Features are adapted to the training platform.
    max_missing_share : float
        An index is not applied to a cohort that lacks a larger share of its genes.

    Returns
    -------
    dict of cohort to list of (C, note)
    """
    ordered = features.sort_index()
    y = structured_outcome(outcome.loc[ordered.index])
    if batches is not None:
        (ordered,) = batches.corrected(ordered)
    shared = _shared(make, derive_seed(seed, INDEX, 0, 0), ordered, y, threads)
    raw = {name: shared.values(frame.reindex(columns=shared.features)) for name, (frame, _) in cohorts.items()}
    known = {name: structured_outcome(own.loc[frame.index]) for name, (frame, own) in cohorts.items()}
    empty = {name: np.isnan(values).all(axis=0) for name, values in raw.items()}

    def one(genes: Sequence[str]) -> dict[str, Scored]:
        try:
            learned = shared.learn(_columns(genes))
        except InputError as error:
            return {name: (np.nan, str(error)) for name in raw}
        found: dict[str, Scored] = {}
        for name, values in raw.items():
            lacking, size = int(empty[name][learned.chosen].sum()), learned.chosen.size
            if lacking == size or lacking > max_missing_share * size:
                found[name] = (np.nan, f"not applied: {lacking} of {size} genes have no value in this cohort")
                continue
            risk = shared.risk(learned, values)
            found[name] = (harrell_concordance(known[name]["time"], known[name]["event"], risk).index, "")
        return found

    rows = run_threads(one, sets, threads)
    return {name: [row[name] for row in rows] for name in raw}


def control_rows(control: str, cohort: str, scored: Sequence[Scored], first: int = 1) -> pd.DataFrame:
    """Rows control, cohort, draw (from ``first``), c_harrell, note."""
    rows = [(control, cohort, first + k, c, note) for k, (c, note) in enumerate(scored)]
    return pd.DataFrame(rows, columns=COLUMNS)


def empirical_p(observed: float, null: Sequence[float]) -> float:
    """(1 + number of null values >= observed) / (1 + number of null values); NaN values are left out."""
    values = np.asarray(null, dtype=float)
    values = values[np.isfinite(values)]
    return float((1 + (values >= observed).sum()) / (1 + len(values))) if np.isfinite(observed) else np.nan


# What each control is compared with.
OBSERVED = {
    "permuted_outcome": "index",
    "random_gene_set": "index",
    "leaky_recipe_permuted": "leaky_recipe",
    "honest_recipe_permuted": "honest_recipe",
}


def summarize_controls(controls: pd.DataFrame) -> pd.DataFrame:
    """Summary of each control beside what was observed on the same folds or the same cohort.

    Parameters
    ----------
    controls : DataFrame
        control, cohort, draw, c_harrell, note.

    Returns
    -------
    DataFrame
        control, cohort, draws (with a C), mean, sd, low, high (2.5% and 97.5% quantiles), observed (C of the index, or
        of the recipe on the real outcomes), p (empirical, one-sided).
    """
    rows = []
    for (cohort, control), part in controls.groupby(["cohort", "control"], sort=False):
        if control not in OBSERVED:
            continue
        beside = controls[(controls["cohort"] == cohort) & (controls["control"] == OBSERVED[control])]
        observed = float(beside["c_harrell"].iloc[0]) if len(beside) else np.nan
        values = part["c_harrell"].dropna().to_numpy(float)
        low, high = np.quantile(values, [0.025, 0.975]) if len(values) else (np.nan, np.nan)
        rows.append(
            {
                "control": control,
                "cohort": cohort,
                "draws": len(values),
                "mean": float(values.mean()) if len(values) else np.nan,
                "sd": float(values.std(ddof=1)) if len(values) > 1 else np.nan,
                "low": float(low),
                "high": float(high),
                "observed": observed,
                "p": empirical_p(observed, values) if len(values) else np.nan,
            }
        )
    return pd.DataFrame(rows, columns=SUMMARY_COLUMNS)
