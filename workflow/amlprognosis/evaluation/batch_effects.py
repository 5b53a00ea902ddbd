"""Batches, platforms and biology in the expression of every cohort: how far groups of patients are apart.

Nothing here decides what a model sees; the tables tell a reader whether a batch could be learned in place of the
disease, and whether correcting it (``features.batch``) would take outcome with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from amlprognosis.errors import InputError
from amlprognosis.evaluation.crossvalidate import derive_seed
from amlprognosis.evaluation.survival import logrank_test
from amlprognosis.normalize.batch import batch_labels, learn_batches
from amlprognosis.normalize.components import COMPONENTS, Components, Separation, components, separation
from amlprognosis.normalize.platform import EXPRESSION, PlatformReference, adapt
from amlprognosis.study import Study

if TYPE_CHECKING:
    from anndata import AnnData

AS_BUILT = "as built"
BATCH, TECHNICAL, BIOLOGY, COHORT = "batch", "technical", "biology", "cohort"
NOT_SEEN, SLIGHT, CLEAR, STRONG, UNCHECKED = "not seen", "slight", "clear", "strong", "not checked"
# Share of the variance of the first components between groups, less what chance gives.
CLEAR_SHARE, STRONG_SHARE = 0.05, 0.2
SIGNIFICANT = 0.05
SHOWN = 4
EFFECT_COLUMNS = [
    "cohort", "matrix", "kind", "column", "levels", "patients", "genes", "silhouette", "silhouette_p", "explained",
    *(f"r2_pc{k + 1}" for k in range(COMPONENTS)), "smallest_q", "logrank_p", "verdict", "note",
]  # fmt: skip
COMPONENT_COLUMNS = [
    "space", "matrix", "cohort", "patient", *(f"pc{k + 1}" for k in range(SHOWN)),
    *(f"share{k + 1}" for k in range(SHOWN)),
]  # fmt: skip


@dataclass(frozen=True)
class BatchAssessment:
    """Tables of the assessment.

    Attributes
    ----------
    effects : DataFrame
        A row per cohort (or pair, "A + B"), matrix ("as built", an adaptation, "corrected: <column>") and grouping:
        kind (batch, technical, biology, cohort), column, levels, patients, genes, silhouette in the first ten
        components with its permutation p, explained (share of their variance between groups, less what chance gives),
        r2_pc1 ... r2_pc10, smallest_q (Kruskal-Wallis over the components, Benjamini-Hochberg), logrank_p (of the
        groups), verdict (not seen, slight, clear, strong, not checked) and note.
    components : DataFrame
        space (cohort or pair), matrix, cohort, patient, pc1 ... pc4, share1 ... share4 (of the variance).
    """

    effects: pd.DataFrame
    components: pd.DataFrame


@dataclass(frozen=True)
class _Group:
    kind: str
    column: str
    labels: np.ndarray


def assess_batches(study: Study, cohorts: Mapping[str, AnnData], platform: PlatformReference) -> BatchAssessment:
    """Assess every cohort by itself, and every validation cohort together with the training cohort.

    Parameters
    ----------
    study : Study
    cohorts : mapping of str to AnnData
        Every bulk cohort of the study.
    platform : PlatformReference
        Of the training matrix; the main adaptation of a validation cohort is shown beside its values as built.
    """
    effects: list[dict[str, object]] = []
    spaces: list[pd.DataFrame] = []
    for name in [study.training, *study.validation]:
        adata = cohorts[name]
        for matrix, values in _matrices(study, name, adata):
            found = components(values)
            spaces.append(_space(name, matrix, [(name, adata.obs_names)], found))
            for group in groups_of(adata):
                seed = derive_seed(study.seed, f"batches|{name}|{group.column}", 0, 0)
                row = _row(name, matrix, group, found, separation(found, group.labels, seed))
                effects.append(_with_outcome(row, adata.obs, group, study))
        if name != study.training:
            for matrix, (pair, labels, values) in _pairs(study, name, cohorts, platform):
                found = components(values)
                names = [(own, cohorts[own].obs_names) for own in (study.training, name)]
                spaces.append(_space(pair, matrix, names, found))
                seed = derive_seed(study.seed, f"batches|{pair}", 0, 0)
                group = _Group(COHORT, "cohort", labels)
                effects.append(_row(pair, matrix, group, found, separation(found, labels, seed)))
    known = [space for space in spaces if len(space)]
    scores = (
        pd.concat(known, ignore_index=True)[COMPONENT_COLUMNS] if known else pd.DataFrame(columns=COMPONENT_COLUMNS)
    )
    return BatchAssessment(pd.DataFrame(effects, columns=EFFECT_COLUMNS), scores)


def groups_of(adata: AnnData) -> list[_Group]:
    """Groupings of a cohort's patients: its columns of groups, halves by what is technical, sex and risk."""
    obs, found = adata.obs, []
    for column in obs.columns:
        values = obs[column]
        if column in ("sex", "risk") or pd.api.types.is_numeric_dtype(values) or values.dtype == bool:
            continue
        found.append(_Group(BATCH, str(column), _labels(values)))
    missing = np.isnan(np.asarray(adata.X)).mean(axis=1)
    if missing.any():
        found.append(_Group(TECHNICAL, "missing values", _halves(missing)))
    if "counts" in adata.layers:
        found.append(_Group(TECHNICAL, "sequencing depth", _halves(np.asarray(adata.layers["counts"]).sum(axis=1))))
    found += [_Group(BIOLOGY, column, _labels(obs[column])) for column in ("sex", "risk") if column in obs]
    return found


def _labels(values: pd.Series) -> np.ndarray:
    texts = values.astype(object)
    return np.array([None if pd.isna(value) else str(value) for value in texts], dtype=object)


def _halves(values: np.ndarray) -> np.ndarray:
    return np.where(values > np.median(values), "above the median", "at most the median").astype(object)


def _matrices(study: Study, name: str, adata: AnnData) -> Iterator[tuple[str, np.ndarray]]:
    """The cohort as built; of the training cohort also with its batches corrected, as the frozen models saw it."""
    yield AS_BUILT, np.asarray(adata.X)
    column = study.features.batch
    if name == study.training and column is not None:
        expression = _expression(adata, [str(gene) for gene in adata.var_names])
        labels = batch_labels(adata.obs, column, f"cohorts.{name}")
        yield f"corrected: {column}", learn_batches(expression, labels).apply(expression, labels).to_numpy()


def _expression(adata: AnnData, genes: list[str]) -> pd.DataFrame:
    at = adata.var_names.get_indexer(genes)
    values = np.full((adata.n_obs, len(genes)), np.nan)
    values[:, at >= 0] = np.asarray(adata.X)[:, at[at >= 0]]
    index = pd.Index([str(patient) for patient in adata.obs_names], name="patient", dtype=object)
    return pd.DataFrame(values, index=index, columns=[f"{EXPRESSION}{gene}" for gene in genes])


def _pairs(
    study: Study, name: str, cohorts: Mapping[str, AnnData], platform: PlatformReference
) -> Iterator[tuple[str, tuple[str, np.ndarray, np.ndarray]]]:
    """Training and a validation cohort in the genes of the training matrix, before and after the main adaptation."""
    training, own = (_expression(cohorts[key], list(platform.genes)) for key in (study.training, name))
    labels = np.array([study.training] * len(training) + [name] * len(own), dtype=object)
    pair = f"{study.training} + {name}"
    yield AS_BUILT, (pair, labels, np.vstack([training.to_numpy(), own.to_numpy()]))
    main = study.cohorts[name].adaptation[0]
    if main != "none":
        try:
            adapted = adapt(own, platform, main)
        except InputError:
            return  # too few patients or genes: the validation says so
        yield main, (pair, labels, np.vstack([training.to_numpy(), adapted.to_numpy()]))


def _space(name: str, matrix: str, members: list[tuple[str, pd.Index]], found: Components) -> pd.DataFrame:
    cohorts = [cohort for cohort, patients in members for _ in patients]
    patients = [str(patient) for _, names in members for patient in names]
    if found.reason:
        return pd.DataFrame(columns=COMPONENT_COLUMNS)
    table = pd.DataFrame({"space": name, "matrix": matrix, "cohort": cohorts, "patient": patients})
    for k in range(SHOWN):
        table[f"pc{k + 1}"] = found.scores[:, k] if k < len(found.shares) else np.nan
        table[f"share{k + 1}"] = found.shares[k] if k < len(found.shares) else np.nan
    return table


def _row(name: str, matrix: str, group: _Group, space: Components, found: Separation) -> dict[str, object]:
    row: dict[str, object] = {
        "cohort": name,
        "matrix": matrix,
        "kind": group.kind,
        "column": group.column,
        "levels": found.levels,
        "patients": found.patients,
        "genes": space.genes,
        "silhouette": found.silhouette,
        "silhouette_p": found.p,
        "explained": found.explained,
        "smallest_q": np.nan if found.q is None else float(found.q.min()),
        "logrank_p": np.nan,
        "verdict": verdict(found),
        "note": found.reason,
    }
    for k in range(COMPONENTS):
        row[f"r2_pc{k + 1}"] = float(found.r2[k]) if found.r2 is not None and k < len(found.r2) else np.nan
    return row


def verdict(found: Separation) -> str:
    """One word for how far groups are apart.

    Returns
    -------
    str
        "not checked" with a reason; "not seen" if neither the silhouette (p < 0.05) nor any component (adjusted
        p < 0.05) tells groups apart; else by the share of variance between groups, less what chance gives: "slight"
        below 5%, "clear" below 20%, "strong" from there.
    """
    if found.reason or found.q is None:
        return UNCHECKED
    if found.p >= SIGNIFICANT and found.q.min() >= SIGNIFICANT:
        return NOT_SEEN
    if found.explained < CLEAR_SHARE:
        return SLIGHT
    return CLEAR if found.explained < STRONG_SHARE else STRONG


def _with_outcome(row: dict[str, object], obs: pd.DataFrame, group: _Group, study: Study) -> dict[str, object]:
    """Add what the groups have to do with the outcome."""
    known = np.array([label is not None for label in group.labels], dtype=bool)
    time, event = obs["os_time"].to_numpy(float)[known], obs["os_event"].to_numpy(bool)[known]
    p = logrank_test(time, event, group.labels[known].astype(str)).p if known.any() else np.nan
    row["logrank_p"] = p
    if group.kind != BATCH:
        return row
    notes = [str(row["note"])] if row["note"] else []
    seen = row["verdict"] in (SLIGHT, CLEAR, STRONG)
    if seen and p < SIGNIFICANT:
        notes.append(
            "its groups differ in survival, too: correcting them would remove outcome signal, and a model may learn "
            "the group in place of the disease"
        )
    elif seen:
        notes.append("its groups do not differ in survival: they are noise that features.batch can take out")
    elif p < SIGNIFICANT:
        notes.append("its groups differ in survival, not in expression")
    if study.features.batch == group.column and row["matrix"] == AS_BUILT:
        notes.append("corrected in every training part (features.batch)")
    row["note"] = "; ".join(notes)
    return row
