"""What hangs on the seed: the gene index with other folds and other inner folds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from amlprognosis.errors import InputError
from amlprognosis.evaluation.crossvalidate import derive_seed, structured_outcome
from amlprognosis.evaluation.fast_index import SharedIndex
from amlprognosis.evaluation.folds import make_folds
from amlprognosis.evaluation.inputs import model_factory
from amlprognosis.evaluation.nulls import INDEX, candidate_sets
from amlprognosis.evaluation.stability import model_stability
from amlprognosis.models.gene_index import PREFIX
from amlprognosis.models.learners.base import run_threads
from amlprognosis.normalize.batch import Batches
from amlprognosis.study import Study

SEED_COLUMNS = ["seed", "c_harrell", "genes", "shared", "jaccard", "risk_correlation", "note"]
SUMMARY_COLUMNS = ["model", "over", "fits", "candidates", "features", "nogueira", "low", "high"]


@dataclass(frozen=True)
class _Refit:
    """An index learned from all training patients: its genes and their risks; none where it was refused."""

    genes: list[str]
    risk: np.ndarray | None
    note: str = ""


def seed_tables(
    study: Study,
    features: pd.DataFrame,
    outcome: pd.DataFrame,
    candidates: Sequence[str],
    selected: pd.DataFrame,
    strata: Sequence[object] | None = None,
    threads: int = 1,
    batches: Batches | None = None,
) -> dict[str, pd.DataFrame]:
    """Stability of the gene index over seeds, and of its selection over folds and seeds.

    The other seeds are the study's own plus 1, 2, ...: a study with that seed has this C in its first repeat, and this
    frozen index.

    Parameters
    ----------
    study : Study
    features, outcome : DataFrame, index = patient
    candidates : sequence of str
        Candidate genes of the index.
    selected : DataFrame
        model, repeat, fold, feature of the study's cross-validation.
    strata : sequence, optional
        Of the patients in the order of ``features``, as the study's folds are balanced.
    threads : int
        They do not change the result.
    batches : Batches, optional
        Corrected in every training part anew.

    Returns
    -------
    dict of name to DataFrame
        seed_stability: seed, c_harrell (cross-validated, one repeat), genes (of the index refitted on all patients),
        shared and jaccard (with those of the frozen index), risk_correlation (Spearman, with the frozen index on the
        training patients), note. stability_summary: model, over ("folds", "seeds"), fits, candidates, features,
        nogueira, low, high.
    """
    genes = set(candidates)
    own = features[[c for c in features.columns if c.startswith(PREFIX) and c.removeprefix(PREFIX) in genes]]
    make = model_factory(study, candidates)
    asked = study.crossvalidation
    whole = own if batches is None else batches.corrected(own)[0]

    def refit(seed: int) -> _Refit:
        try:
            shared = SharedIndex(make(INDEX, derive_seed(seed, INDEX, 0, 0)), whole, structured_outcome(outcome))
            learned = shared.learn()
        except InputError as error:
            return _Refit([], None, f"not fitted on all patients: {error}")
        risk = shared.risk(learned, shared.values(whole))
        return _Refit([shared.features[k] for k in learned.chosen], risk)

    def crossvalidated(seed: int) -> tuple[float, str]:
        deaths, days = outcome["os_event"].to_numpy(), outcome["os_time"].to_numpy()
        folds = make_folds(list(own.index), deaths, days, asked.folds, 1, seed, strata)
        return candidate_sets(own, outcome, folds, make, [list(candidates)], seed, batches=batches)[0]

    seeds = [study.seed + k for k in range(1, study.evaluation.seeds + 1)]
    frozen, *refits = run_threads(refit, [study.seed, *seeds], threads)
    scores = run_threads(crossvalidated, seeds, threads)
    rows = []
    for seed, (c, note), found in zip(seeds, scores, refits, strict=True):
        shared, union = len(set(found.genes) & set(frozen.genes)), len(set(found.genes) | set(frozen.genes))
        jaccard = shared / union if union else np.nan
        notes = "; ".join(text for text in (note, found.note) if text)
        rows.append((seed, c, len(found.genes), shared, jaccard, _spearman(found.risk, frozen.risk), notes))
    over_seeds = [
        {"model": INDEX, "repeat": seed, "fold": 0, "feature": gene}
        for seed, found in zip([study.seed, *seeds], [frozen, *refits], strict=True)
        for gene in found.genes
    ]
    universe = {INDEX: own.shape[1]}
    in_folds = selected[selected["model"] == INDEX] if len(selected) else selected
    parts = []
    for over, table in (("folds", in_folds), ("seeds", pd.DataFrame(over_seeds))):
        found = model_stability(table, universe) if len(table) else table
        if len(found):
            parts.append(found.assign(over=over))
    summary = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=SUMMARY_COLUMNS)
    summary = summary.rename(columns={"stability": "nogueira", "stability_low": "low", "stability_high": "high"})
    return {
        "seed_stability": pd.DataFrame(rows, columns=SEED_COLUMNS),
        "stability_summary": summary.reindex(columns=SUMMARY_COLUMNS),
    }


def _spearman(a: np.ndarray | None, b: np.ndarray | None) -> float:
    """Spearman's correlation; NaN where a risk is lacking or the same for everybody."""
    if a is None or b is None or np.ptp(a) == 0 or np.ptp(b) == 0:
        return np.nan
    return float(np.corrcoef(rankdata(a), rankdata(b))[0, 1])
