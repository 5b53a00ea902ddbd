"""Patients who are there twice: under two names in one cohort, or in the training and in a validation cohort.

Profiles are compared after each gene is centered in its cohort: then patients differ in what is theirs. Between
distinct AML patients the correlation reached 0.81 (TCGA-LAML, 1,610 genes, 14,196 pairs) and 0.69 (GSE425, 2,250
genes), and 0.6 between those two cohorts; technical replicates of sequencing have 0.9 and more, a copy under another
name has 1. Panels of few genes say less: 100 genes of TCGA-LAML reached 0.94.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from amlprognosis.cohort import EXCLUSION_COLUMNS, exclusions, shown, step
from amlprognosis.errors import InputError

if TYPE_CHECKING:
    from anndata import AnnData

# A copy, with numbers rounded or scaled at most; and what only samples of one patient have.
COPY, ALIKE = 0.999, 0.95
# The same between cohorts that were normalised apart; the match must also lead all others by MARGIN.
ALIKE_ACROSS, MARGIN = 0.85, 0.1
GENES_FOR_COPY, GENES_TO_COMPARE, FEWEST_PATIENTS = 100, 500, 10
MOST_VARIABLE = 1000
COPIED = "same expression profile as another patient"
SHARED = "also in the training cohort"
# What a cohort keeps in uns of those who went: JSON lists, absent where nobody did.
SHARED_RECORD, COPIES_RECORD = "shared_patients", "copied_patients"


@dataclass(frozen=True)
class Likeness:
    """Correlation between the centered profiles of patients.

    Attributes
    ----------
    r : ndarray (n, m)
        NaN where profiles cannot be compared; the diagonal is NaN, too, where a cohort is compared with itself.
    genes : int
        Genes compared.
    reason : str
        Why nothing was compared, or "".
    """

    r: np.ndarray
    genes: int
    reason: str = ""

    @property
    def largest(self) -> float:
        """The largest correlation of two patients; NaN if none were compared."""
        known = self.r[np.isfinite(self.r)]
        return float(known.max()) if known.size else np.nan


def likeness(matrix: np.ndarray) -> Likeness:
    """Compare the patients of a cohort by their 1,000 most variable complete genes.

    Parameters
    ----------
    matrix : ndarray (n, genes)
        log2 expression; NaN = missing.
    """
    n = len(matrix)
    values = _complete(matrix)
    reason = _too_little(n, values.shape[1])
    if reason:
        return Likeness(np.full((n, n), np.nan), values.shape[1], reason)
    centered = values - np.median(values, axis=0)
    centered = centered[:, _first(centered.var(axis=0))]
    r = _correlation(centered, centered)
    np.fill_diagonal(r, np.nan)
    return Likeness(r, centered.shape[1])


def _complete(matrix: np.ndarray) -> np.ndarray:
    values = np.asarray(matrix, dtype=float)
    with np.errstate(invalid="ignore"):
        return values[:, np.isfinite(values).all(axis=0) & (np.ptp(values, axis=0) > 0)]


def _too_little(patients: int, genes: int, fewest: int = GENES_FOR_COPY) -> str:
    if patients < FEWEST_PATIENTS:
        return f"{patients} patients: fewer than {FEWEST_PATIENTS}"
    return f"{genes} genes with a value in every patient: fewer than {fewest}" if genes < fewest else ""


def _first(variance: np.ndarray) -> np.ndarray:
    return np.sort(np.argsort(-variance, kind="stable")[:MOST_VARIABLE])


def _correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Correlation of each row of ``a`` with each of ``b``; NaN for a row without spread."""
    rows = []
    for part in (a, b):
        part = part - part.mean(axis=1, keepdims=True)
        length = np.linalg.norm(part, axis=1, keepdims=True)
        rows.append(part / np.where(length > 0, length, np.nan))
    found: np.ndarray = rows[0] @ rows[1].T
    return found


def copied_profiles(matrix: pd.DataFrame) -> dict[str, str]:
    """Patients whose profile is a copy of another's.

    Parameters
    ----------
    matrix : DataFrame (n, genes), index = patient
        log2 expression.

    Returns
    -------
    dict of patient to patient
        The copy, and the patient who stays: the first by id.
    """
    ordered = matrix.sort_index()
    names, r = [str(name) for name in ordered.index], likeness(ordered.to_numpy(dtype=float)).r
    found: dict[str, str] = {}
    for row, name in enumerate(names):
        same = [first for column, first in enumerate(names[:row]) if r[row, column] > COPY and first not in found]
        if same:
            found[name] = same[0]
    return found


def record_conflicts(a: pd.Series, b: pd.Series) -> str:
    """What the records of one profile under two names disagree in: sex, age (by more than 2 years), outcome; or ""."""
    found = []
    for column in ("sex", "age"):
        if column in a and pd.notna(a[column]) and pd.notna(b[column]):
            other = a[column] != b[column] if column == "sex" else abs(float(a[column]) - float(b[column])) > 2
            found += [column] if other else []
    if bool(a["os_event"]) != bool(b["os_event"]) or abs(float(a["os_time"]) - float(b["os_time"])) > 31:
        found.append("outcome")
    return ", ".join(found)


def copies_record(copies: dict[str, str], obs: pd.DataFrame) -> str:
    """JSON of the copies that were left out: patient, first (who stays), conflict (:func:`record_conflicts`)."""
    rows = [
        {"patient": patient, "first": first, "conflict": record_conflicts(obs.loc[patient], obs.loc[first])}
        for patient, first in sorted(copies.items())
    ]
    return json.dumps(rows, sort_keys=True)


def alike_pairs(adata: AnnData) -> tuple[pd.DataFrame, Likeness]:
    """Pairs of patients of a cohort who are too alike to be different people.

    Returns
    -------
    pairs : DataFrame
        first, second (patients), r; by falling r. Only with at least 500 genes, of which panels do not have enough.
    likeness : Likeness
        Of the whole cohort.
    """
    found = likeness(np.asarray(adata.X))
    limit = ALIKE if found.genes >= GENES_TO_COMPARE else COPY
    names = [str(name) for name in adata.obs_names]
    rows = [(names[i], names[j], found.r[i, j]) for i, j in np.argwhere(np.triu(found.r > limit, 1))]
    pairs = pd.DataFrame(rows, columns=["first", "second", "r"])
    return pairs.sort_values(["r", "first", "second"], ascending=[False, True, True], ignore_index=True), found


def likeness_across(training: AnnData, validation: AnnData) -> Likeness:
    """Compare the patients of two cohorts, training (n) and validation (m); each gene is standardized in its own."""
    genes = sorted(set(training.var_names) & set(validation.var_names))
    parts = [np.asarray(adata[:, genes].X, dtype=float) for adata in (training, validation)]
    with np.errstate(invalid="ignore"):
        usable = np.logical_and.reduce([np.isfinite(x).all(axis=0) & (np.ptp(x, axis=0) > 0) for x in parts])
    parts = [x[:, usable] for x in parts]
    few, shape = min(len(x) for x in parts), (len(parts[0]), len(parts[1]))
    reason = _too_little(few, int(usable.sum()), GENES_TO_COMPARE)
    if reason:
        return Likeness(np.full(shape, np.nan), int(usable.sum()), reason.replace("genes with", "shared genes with"))
    spreads = [x.std(axis=0) for x in parts]
    # Genes that vary much on both platforms, whatever their units.
    at = _first(np.minimum(*[spread / spread.mean() for spread in spreads]))
    scaled = [((x - x.mean(axis=0)) / spread)[:, at] for x, spread in zip(parts, spreads, strict=True)]
    return Likeness(_correlation(*scaled), at.size)


SHARED_COLUMNS = ["patient", "training_patient", "evidence", "r", "excluded", "note"]


def shared_patients(training: AnnData, validation: AnnData, across: Likeness | None = None) -> pd.DataFrame:
    """Patients of a validation cohort who are, or may be, in the training cohort.

    The same profile (the best match of each other, well ahead of all others) is the same patient. So is the same id,
    unless age (by more than 2 years), sex or profile contradict it, as they do when two cohorts merely number their
    patients alike: then, if most pairs of that id are contradicted, none is taken for the same patient. An id that is a
    bare number is no evidence by itself.

    Parameters
    ----------
    training, validation : AnnData
        Under the cohort contract. Nothing of the training cohort is changed.
    across : Likeness, optional
        :func:`likeness_across` of the two, where it is at hand.

    Returns
    -------
    DataFrame
        patient (of the validation cohort), training_patient, evidence ("id", "profile", "id and profile"), r
        (correlation of profiles, NaN if not compared), excluded (bool), note; by patient.
    """
    across = likeness_across(training, validation) if across is None else across
    ours = {str(name): k for k, name in enumerate(training.obs_names)}
    theirs = {str(name): k for k, name in enumerate(validation.obs_names)}
    by_profile = _matches(across, list(ours), list(theirs))
    rows = [(name, own, "id and profile" if name == own else "profile", r, True, "") for name, own, r in by_profile]
    settled = {row[0] for row in rows}
    same_id = [name for name in theirs if name in ours and name not in settled]
    against = {name: _contradiction(name, training, validation, across.r[ours[name], theirs[name]]) for name in same_id}
    compared = [name for name in same_id if against[name] is not None]
    contradicted = [name for name in compared if against[name]]
    numbered_alike = len(contradicted) > len(compared) / 2
    for name in same_id:
        if against[name]:
            note = f"other {against[name]}: taken for another patient"
        elif numbered_alike:
            note = f"{len(contradicted)} of {len(compared)} patients of the same id contradict: other patients"
        elif against[name] is None and name.isdecimal():
            note = "a bare number and nothing to compare: taken for another patient"
        else:
            note = ""
        rows.append((name, name, "id", float(across.r[ours[name], theirs[name]]), not note, note))
    table = pd.DataFrame(rows, columns=SHARED_COLUMNS).astype({"excluded": bool})
    return table.sort_values("patient", ignore_index=True)


def _matches(across: Likeness, ours: list[str], theirs: list[str]) -> list[tuple[str, str, float]]:
    """Pairs (validation, training, r) that are each other's best match and clear of all others."""
    if across.reason:
        return []
    r = np.nan_to_num(across.r, nan=-1.0)
    found = []
    for column, name in enumerate(theirs):
        row = int(np.argmax(r[:, column]))
        best = r[row, column]
        others = np.concatenate([np.delete(r[row], column), np.delete(r[:, column], row)])
        if best >= ALIKE_ACROSS and best - others.max(initial=-1.0) >= MARGIN:
            found.append((name, ours[row], float(best)))
    return found


def _contradiction(name: str, training: AnnData, validation: AnnData, r: float) -> str | None:
    """What speaks against one id being one patient; "" if nothing, None if nothing could be compared."""
    a, b = training.obs.loc[name], validation.obs.loc[name]
    known, against = False, []
    if "sex" in a and "sex" in b and pd.notna(a["sex"]) and pd.notna(b["sex"]):
        known = True
        against += ["sex"] if a["sex"] != b["sex"] else []
    if "age" in a and "age" in b and pd.notna(a["age"]) and pd.notna(b["age"]):
        known = True
        against += ["age"] if abs(float(a["age"]) - float(b["age"])) > 2 else []
    if np.isfinite(r):
        known = True
        # Two samples of one patient are alike, if not as alike as one sample.
        against += ["profile"] if r < 0.3 else []
    return ", ".join(against) if known else None


def without_shared(validation: AnnData, training: AnnData, name: str = "validation cohort") -> AnnData:
    """Leave out of a validation cohort the patients on whom the models were trained; each is counted as excluded.

    Raises
    ------
    InputError
        Nobody is left.
    """
    found = shared_patients(training, validation)
    found = found[found["excluded"]]
    if found.empty:
        return validation
    stays = ~validation.obs_names.isin(found["patient"])
    if not stays.any():
        raise InputError(
            f"{name}: all {len(found)} patients are in the training cohort, too ({shown(found['patient'], 3)}); a "
            "validation needs other patients"
        )
    left = validation[stays].copy()
    rows = pd.DataFrame({"patient": found["patient"], "reason": SHARED})
    table = pd.concat([exclusions(validation), rows], ignore_index=True)
    left.uns["exclusions"] = table.sort_values(list(EXCLUSION_COLUMNS), kind="stable").reset_index(drop=True)
    left.uns[SHARED_RECORD] = found.assign(r=found["r"].round(4)).to_json(orient="records")
    pairs = [f"{row.patient} is {row.training_patient} ({row.evidence})" for row in found.itertuples()]
    made = step("patients of the training cohort", shown(pairs), validation.n_obs, left.n_obs, "models saw them")
    left.uns["preprocessing"] = json.dumps([*json.loads(validation.uns["preprocessing"]), made], sort_keys=True)
    return left
