"""The design of a study before any fitting: training matrix, folds, candidate genes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from amlprognosis.errors import InputError
from amlprognosis.evaluation.folds import make_folds, strata_of, validate_folds
from amlprognosis.evaluation.inputs import BATCH
from amlprognosis.normalize.batch import SMALLEST_BATCH, batch_labels
from amlprognosis.normalize.harmonize import EXPRESSION, design_matrix
from amlprognosis.signatures.gene_sets import GeneSet, union_genes
from amlprognosis.study import Study

if TYPE_CHECKING:
    from anndata import AnnData

FEW_CANDIDATES = 20


@dataclass(frozen=True)
class Design:
    """What every job of the cross-validation shares.

    Attributes
    ----------
    features : DataFrame
        os_time, os_event, then the features; index = patient. With ``features.batch`` a column ``batch``, too.
    folds : DataFrame
        repeat, fold, patient (held out).
    candidates : dict
        ``genes``: candidate genes of the index that are measured, sorted; ``absent``: those that are not;
        ``sets``: genes and measured genes per set.
    report : DataFrame
        level (info, warning), item, note.
    """

    features: pd.DataFrame
    folds: pd.DataFrame
    candidates: dict[str, Any]
    report: pd.DataFrame


def make_design(study: Study, cohorts: Mapping[str, AnnData], gene_sets: Mapping[str, GeneSet]) -> Design:
    """Build the design of a study.

    Parameters
    ----------
    study : Study
    cohorts : mapping of str to AnnData
        Every bulk cohort; of validation cohorts only the names of the genes are looked at.
    gene_sets : mapping of str to GeneSet
        Content of the study's GMT file.

    Raises
    ------
    InputError
        No shared gene, an unknown gene set, fewer than two candidate genes measured, folds that cannot be made.
    """
    features, steps = design_matrix(study, cohorts)
    genes = {column.removeprefix(EXPRESSION) for column in features.columns if column.startswith(EXPRESSION)}
    candidates = _candidates(study, gene_sets, genes)
    asked = study.crossvalidation
    strata, balanced = None, ["balanced for death"]
    if asked.stratify:
        place = f"crossvalidation.stratify: cohorts.{study.training}"
        strata, balanced = strata_of(cohorts[study.training].obs, asked.stratify, asked.folds, place)
    folds = make_folds(
        list(features.index),
        features["os_event"].to_numpy(),
        features["os_time"].to_numpy(),
        asked.folds,
        asked.repeats,
        study.seed,
        strata,
    )
    validate_folds(folds, list(features.index))
    rows = [("info", str(row["step"]), _step_note(row)) for row in steps]
    rows.append(("info", "folds", f"{asked.folds} folds, {asked.repeats} times, by patient; {balanced[0]}"))
    rows += [("warning", "folds", note) for note in balanced[1:]]
    total = len(candidates["genes"]) + len(candidates["absent"])
    note = f"{len(candidates['genes'])} of {total} candidate genes are measured"
    rows.append(("warning" if len(candidates["genes"]) < total / 2 else "info", "candidate genes", note))
    if len(candidates["genes"]) < FEW_CANDIDATES:
        rows.append(("warning", "candidate genes", f"fewer than {FEW_CANDIDATES}: the index has little to choose from"))
    if study.features.batch is not None:
        labels = batch_labels(cohorts[study.training].obs, study.features.batch, f"cohorts.{study.training}")
        features[BATCH] = labels.loc[features.index]
        rows += _batch_rows(labels, study.features.batch)
    return Design(features, folds, candidates, pd.DataFrame(rows, columns=["level", "item", "note"]))


def _batch_rows(labels: pd.Series, column: str) -> list[tuple[str, str, str]]:
    sizes = labels.value_counts()
    small, unknown = sizes[sizes < SMALLEST_BATCH], int(labels.isna().sum())
    text = (
        f"{column}: {len(sizes) - len(small)} batches are corrected in every training part anew; validation cohorts "
        "and new patients stay as they are"
    )
    rows = [("info", "batches", text)]
    left = []
    if len(small):
        left.append(f"patients of batches smaller than {SMALLEST_BATCH} ({int(small.sum())})")
    if unknown:
        left.append(f"patients without a value ({unknown})")
    if left:
        rows.append(("warning", "batches", f"{column}: {' and '.join(left)} stay as they are"))
    return rows


def _candidates(study: Study, gene_sets: Mapping[str, GeneSet], measured: set[str]) -> dict[str, Any]:
    path = study.gene_sets.file
    chosen = study.gene_sets.sets if study.gene_sets.sets is not None else sorted(gene_sets)
    unknown = sorted(set(chosen) - set(gene_sets))
    if unknown:
        raise InputError(
            f"gene_sets.sets: {path} has no set {', '.join(unknown)}; it has {', '.join(sorted(gene_sets))}"
        )
    union = set(union_genes([gene_sets[name] for name in chosen]))
    present = sorted(union & measured)
    if len(present) < 2:
        raise InputError(
            f"gene_sets.file: {path}: {len(present)} of its {len(union)} genes ({_few(union)}) are among the "
            f"{len(measured)} genes of the training matrix ({_few(measured)}); give approved symbols, or check "
            "gene_ids of the cohorts"
        )
    sets = {
        name: {"genes": len(gene_sets[name].genes), "measured": len(set(gene_sets[name].genes) & measured)}
        for name in chosen
    }
    return {"genes": present, "absent": sorted(union - measured), "sets": sets}


def _few(names: set[str]) -> str:
    return f"such as {', '.join(sorted(names)[:3])}"


def _step_note(row: Mapping[str, Any]) -> str:
    counts = f" ({row['before']} -> {row['after']})" if row.get("before") is not None else ""
    reason = f"; left out: {row['reason']}" if row.get("reason") and row.get("dropped") else ""
    return f"{row['detail']}{counts}{reason}"
