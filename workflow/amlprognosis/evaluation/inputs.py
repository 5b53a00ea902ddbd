"""Reads what the rules hand over: the training matrix, out-of-fold predictions, the models of a study."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from amlprognosis.errors import InputError
from amlprognosis.normalize.batch import Batches
from amlprognosis.normalize.platform import EXPRESSION
from amlprognosis.study import Study
from amlprognosis.study.names import SIGNATURES, is_grid
from amlprognosis.tables import read_table

OUTCOME = ["os_time", "os_event"]
# Batch of each patient in the training matrix, where the study corrects batches; never a feature.
BATCH = "batch"
# How the note of a validation begins that says why a model was left out.
NOT_APPLIED = "not applied: "


def read_features(path: str | Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Split the training matrix into features and outcome.

    Returns
    -------
    features : DataFrame, shape (n, p), index = patient
    outcome : DataFrame, shape (n, 2)
        os_time (days), os_event.
    """
    table = pd.read_parquet(path)
    return table.drop(columns=[*OUTCOME, BATCH], errors="ignore"), table[OUTCOME]


def read_batches(study: Study, path: str | Path) -> Batches | None:
    """Batches that every fit corrects (``features.batch``), from the training matrix; None where none was asked for."""
    if study.features.batch is None:
        return None
    return _batches_of(study.features.batch, pd.read_parquet(path))


def _batches_of(column: str, matrix: pd.DataFrame) -> Batches:
    expression = matrix[[name for name in matrix.columns if name.startswith(EXPRESSION)]]
    return Batches(column, matrix[BATCH], expression)


def corrected_features(study: Study, matrix: pd.DataFrame) -> pd.DataFrame:
    """Training matrix that the frozen models are fitted on: with batches corrected on all patients, if asked for."""
    if study.features.batch is None:
        return matrix
    return _batches_of(study.features.batch, matrix).corrected(matrix)[0]


def read_parts(paths: Iterable[str | Path]) -> pd.DataFrame:
    """Stack the parquet parts of several jobs; empty parts (nothing could be fitted) are passed over."""
    parts = [part for part in (pd.read_parquet(path) for path in sorted(map(str, paths))) if len(part)]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def best_of(summaries: Sequence[str]) -> str | None:
    """Member of the grid that is taken further, from ``grid_summary.tsv``; None without a grid."""
    for path in summaries:
        table = read_table(path)
        found = table.loc[table["item"] == "c_best", "text"]
        return str(found.iloc[0]) if len(found) else None
    return None


def read_frozen(folder: str | Path) -> dict[str, Any]:
    """Content of the ``model.json`` of a frozen model.

    Raises
    ------
    InputError
        The file was deleted or damaged since; Snakemake watches the folder, not the files in it.
    """
    path = Path(folder) / "model.json"
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: missing or damaged ({error}); delete the folder {folder} and run again") from None
    return content


def read_refusals(study: Study, models: Iterable[str | Path], notes: Iterable[str | Path]) -> dict[str, dict[str, str]]:
    """Why models have no predictions, by validation cohort and model.

    Parameters
    ----------
    study : Study
    models : iterable of path
        Each ``model.json``; those that could not be fitted hold the reason.
    notes : iterable of path
        Notes that the validation of each cohort left.
    """
    folders = [Path(path).parent for path in models]
    unfitted = {study.model_of_folder(folder.name): read_frozen(folder).get("refused") for folder in folders}
    found = {cohort: {name: str(why) for name, why in unfitted.items() if why} for cohort in study.validation}
    for row in (row for path in notes for row in read_table(path).itertuples()):
        if str(row.note).startswith(NOT_APPLIED):
            reasons = found[str(row.source).removeprefix("validation: ")]
            reasons.setdefault(str(row.item), str(row.note).removeprefix(NOT_APPLIED))
    return found


def model_factory(study: Study, candidates: Sequence[str]) -> Callable[[str, int], Any]:
    """Make the models of a study.

    Parameters
    ----------
    study : Study
        Gives the settings of each model.
    candidates : sequence of str
        Candidate genes of the index.

    Returns
    -------
    callable (name, seed) -> RiskModel
    """
    from amlprognosis.models.registry import make_model

    def make(name: str, seed: int) -> Any:
        parameters = study.model_parameters(name)
        from_sets = is_grid(name) and study.models.grid.candidates == "gene_sets"
        if name in ("gene_index", "clinical_gene_index") or from_sets:
            parameters["genes"] = list(candidates)
        return make_model(name, parameters, seed)

    return make


def candidate_parameters(study: Study, features: pd.DataFrame, candidates: Sequence[str]) -> dict[str, int]:
    """Candidate parameters of each model before any selection, for the sample size.

    A comparator none of whose columns exists has no entry. The members of the grid share one, ``grid``.
    """
    columns = list(features.columns)
    clinical = [c for c in columns if c.startswith("clinical:")]
    mutations = [c for c in columns if c.startswith("mutation:")]
    present = set(columns)
    counts = {
        "gene_index": sum(f"expression:{gene}" in present for gene in candidates),
        "age": len([c for c in clinical if c == "clinical:age"]),
        "age_sex": len([c for c in clinical if c in ("clinical:age", "clinical:sex_male")]),
        "eln": len([c for c in clinical if c.startswith("clinical:risk_")]),
        "age_eln": len([c for c in clinical if c == "clinical:age" or c.startswith("clinical:risk_")]),
        "clinical": len(clinical),
        "clinical_mutations": len(clinical) + len(mutations),
        **{name: 1 for name in study.models.run if name in SIGNATURES},
    }
    counts["clinical_gene_index"] = counts["gene_index"] + len(clinical) if clinical else 0
    for name in study.models.run:
        blocks = study.model_parameters(name).get("blocks")
        if blocks:
            counts[name] = len([c for c in columns if c.split(":", 1)[0] in blocks])
    found = {name: counts[name] for name in study.models.run if not is_grid(name) and counts[name]}
    if study.models.grid_run:
        genes = [column for column in columns if column.startswith("expression:")]
        found["grid"] = counts["gene_index"] if study.models.grid.candidates == "gene_sets" else len(genes)
    return found
