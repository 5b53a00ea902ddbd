"""Is every sample that of the patient it is filed under? Duplicates, swaps and sex over all cohorts of a study.

Nothing is left out for what is found here: expression cannot say which of two records is wrong. Only patients of the
training cohort are left out of a validation cohort, when it is built (:mod:`amlprognosis.normalize.duplicates`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from amlprognosis.cohort import exclusions
from amlprognosis.normalize.duplicates import (
    COPIED,
    COPIES_RECORD,
    SHARED_COLUMNS,
    SHARED_RECORD,
    alike_pairs,
    likeness_across,
    record_conflicts,
    shared_patients,
)
from amlprognosis.normalize.sex import BOTH, FEMALE, MALE, NEITHER, SexByExpression, sex_by_expression

if TYPE_CHECKING:
    from anndata import AnnData

COLUMNS = ["cohort", "patient", "check", "finding", "evidence", "verdict"]
SEX, TWICE, SWAPPED, ACROSS = "sex by expression", "duplicated profile", "swapped samples", "shared between cohorts"
SUSPECT, CLEAN, UNDECIDED, UNCHECKED, SHARED = "suspect", "clean", "undecided", "not checked", "shared"
EVERYBODY, A_COPY = "all patients", "a copy"
# Recorded and expressed sex agree less often than this: the column is wrong, not single samples.
AGREEING, OPPOSITE, FEWEST_SEXED = 0.7, 0.2, 10
Row = tuple[str, str, str, str, str, str]


def sample_identity(cohorts: Mapping[str, AnnData], training: str) -> pd.DataFrame:
    """Look for patients and samples that do not belong together.

    Parameters
    ----------
    cohorts : mapping of str to AnnData
        Every bulk cohort, as built.
    training : str
        Name of the training cohort.

    Returns
    -------
    DataFrame
        cohort (or two, "A + B"), patient (or two, "a / b", or "all patients"), check ("sex by expression",
        "duplicated profile", "swapped samples", "shared between cohorts"), finding, evidence, verdict ("suspect",
        "shared": counted twice, "undecided", "clean", "not checked"). Each check has a row for the whole cohort or
        pair, then one per finding.
    """
    rows: list[Row] = []
    names = [training, *(name for name in cohorts if name != training)]
    for name in names:
        rows += sex_findings(name, cohorts[name], sex_by_expression(cohorts[name]))
        rows += _duplicates(name, cohorts[name])
    for first, second in combinations(names, 2):
        rows += _across(first, second, cohorts[first], cohorts[second], first == training)
    return pd.DataFrame(rows, columns=COLUMNS)


def sex_findings(name: str, adata: AnnData, found: SexByExpression) -> Iterator[Row]:
    """Recorded sex against expression: a row for the cohort, then one per patient who does not fit."""
    if found.reason:
        yield (name, EVERYBODY, SEX, "not checked", found.reason, UNCHECKED)
        return
    calls, genes = found.table["call"], ", ".join(found.genes)
    said = ", ".join(f"{count} {call}" for call, count in calls.value_counts().sort_index().items())
    if "sex" not in adata.obs or adata.obs["sex"].isna().all():
        yield (name, EVERYBODY, SEX, "no sex is recorded", f"{genes}: {said}", UNCHECKED)
        return
    recorded = pd.Series(adata.obs["sex"].astype(object).to_numpy(), index=calls.index)
    decided = calls.isin([FEMALE, MALE]) & recorded.notna()
    wrong = decided & (calls != recorded)
    agreeing = 1.0 - wrong.sum() / max(int(decided.sum()), 1)
    evidence = f"{genes}: {said}"
    if decided.sum() >= FEWEST_SEXED and agreeing < AGREEING:
        text = (
            "recorded the other way round: check clinical.sex.female and clinical.sex.male"
            if agreeing <= OPPOSITE
            else "recorded sex and expression hardly agree: a wrong column, or samples mixed up throughout"
        )
        yield (name, EVERYBODY, SEX, text, f"{agreeing:.0%} of {int(decided.sum())} agree; {evidence}", SUSPECT)
        return
    summary = f"{int(wrong.sum())} of {int(decided.sum())} patients with a clear sex are recorded otherwise"
    yield (name, EVERYBODY, SEX, summary, evidence, SUSPECT if wrong.any() else CLEAN)
    for patient, call, own in zip(calls.index, calls, recorded, strict=True):
        told = _sex_finding(call, own)
        if told:
            place = found.table.loc[patient]
            numbers = f"XIST {_way(place['xist'])}, Y genes {_way(place['y'])} (0 = without, 1 = with)"
            yield (name, str(patient), SEX, told[0], numbers, told[1])


def _sex_finding(call: str, recorded: Any) -> tuple[str, str] | None:
    if call == BOTH:
        return "XIST and Y genes: two samples mixed, a donor's cells, or XXY", UNDECIDED
    if pd.isna(recorded):
        return None
    if call == NEITHER:
        if recorded == MALE:
            return "recorded male, Y lost (common in AML): no swap", CLEAN
        return "recorded female, no XIST: one X only (45,X), the inactive X silent, or a man without Y", UNDECIDED
    if call in (FEMALE, MALE) and call != recorded:
        return f"recorded {recorded}, expressed {call}: another person's sample, or a wrong entry", SUSPECT
    return None


def _way(value: float) -> str:
    return "not measured" if not np.isfinite(value) else f"{value:.2f}"


def _duplicates(name: str, adata: AnnData) -> Iterator[Row]:
    pairs, found = alike_pairs(adata)
    copies = _recorded(adata, COPIES_RECORD)
    gone = int((exclusions(adata)["reason"] == COPIED).sum())
    if found.reason:
        yield (name, EVERYBODY, TWICE, "not checked", found.reason, UNCHECKED)
        return
    text = f"{len(pairs)} pairs of patients too alike to be two people"
    if gone:
        text += f"; {gone} copies were left out when the cohort was built"
    evidence = f"largest correlation {found.largest:.3f}, {found.genes} genes"
    yield (name, EVERYBODY, TWICE, text, evidence, SUSPECT if len(pairs) or gone else CLEAN)
    for pair in pairs.itertuples():
        conflict = record_conflicts(adata.obs.loc[pair.first], adata.obs.loc[pair.second])
        told = f"records differ in {conflict}; which is right is unknown" if conflict else "records agree"
        patients, finding = f"{pair.first} / {pair.second}", f"one sample or patient twice; {told}"
        yield (name, patients, TWICE, finding, f"correlation {pair.r:.4f}", SUSPECT)
    for copy in copies:
        conflict = str(copy["conflict"])
        told = f"records differ in {conflict}; which is right is unknown" if conflict else "records agree"
        finding = f"the same profile, the second was left out; {told}"
        patients = f"{copy['first']} / {copy['patient']}"
        yield (name, patients, TWICE, finding, A_COPY, SUSPECT if conflict else CLEAN)


def _recorded(adata: AnnData, key: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(adata.uns[key]) if key in adata.uns else []
    return found


def _across(first: str, second: str, a: AnnData, b: AnnData, from_training: bool) -> Iterator[Row]:
    """Patients of the second cohort who are, or were until they were left out, in the first."""
    place = f"{first} + {second}"
    across = likeness_across(a, b)
    table = shared_patients(a, b, across)
    if from_training:
        left_out = pd.DataFrame(_recorded(b, SHARED_RECORD), columns=SHARED_COLUMNS)
        # Those who went are told first: they were sure.
        table = (
            pd.concat([part for part in (left_out, table) if len(part)], ignore_index=True) if len(left_out) else table
        )
    shared = table[table["excluded"].astype(bool)]
    how = f"by id and profile ({across.genes} genes)" if not across.reason else f"by id alone ({across.reason})"
    if from_training:
        finding = f"{len(shared)} patients in both; a validation cohort loses those of the training cohort"
        verdict = CLEAN if len(shared) or not across.reason else UNCHECKED
    else:
        finding = f"{len(shared)} patients in both"
        if len(shared):
            finding += "; none is left out: each cohort's own figure holds, a pooled one counts them twice"
        verdict = SHARED if len(shared) else UNCHECKED if across.reason else CLEAN
    yield (place, EVERYBODY, ACROSS, finding, f"{a.n_obs} and {b.n_obs} patients {how}", verdict)
    if not from_training:
        for row in shared.itertuples():
            yield (
                place,
                _two(row.training_patient, row.patient),
                ACROSS,
                "the same patient in both",
                _why(row),
                SHARED,
            )
    yield from _swaps(place, shared, set(map(str, a.obs_names)), set(map(str, b.obs_names)), bool(across.reason))


def _two(first: str, second: str) -> str:
    return str(first) if first == second else f"{first} / {second}"


def _why(row: Any) -> str:
    return f"{row.evidence}" + (f", correlation {float(row.r):.3f}" if np.isfinite(float(row.r)) else "")


def _swaps(place: str, shared: pd.DataFrame, ours: set[str], theirs: set[str], by_id_alone: bool) -> Iterator[Row]:
    """One id in both cohorts, but the profile of another patient."""
    theirs = theirs | set(shared["patient"])
    profiles = shared[shared["evidence"].isin(["profile", "id and profile"])]
    match = dict(zip(profiles["patient"], profiles["training_patient"], strict=True))
    correlation = dict(zip(profiles["patient"], profiles["r"], strict=True))
    same = sum(name == own for name, own in match.items())
    # The id names a patient of the other cohort, but the profile is that of somebody else there.
    moved = {name: own for name, own in match.items() if name != own and name in ours}
    back = {name for name, own in moved.items() if moved.get(own) == name}
    common = ours & theirs
    if by_id_alone or not common:
        reason = "profiles cannot be compared" if by_id_alone else "no id stands in both cohorts"
        yield (place, EVERYBODY, SWAPPED, "not checked", reason, UNCHECKED)
        return
    # Cohorts that number their patients alike share ids and nobody: then an id is no evidence of a swap.
    if len(moved) > max(same, len(back)):
        text = f"{len(moved)} ids name other patients in the other cohort: the ids have nothing to do with each other"
        yield (place, EVERYBODY, SWAPPED, text, f"{same} of {len(common)} shared ids have their own profile", UNDECIDED)
        return
    text = f"{len(moved)} of {len(common)} shared ids carry the profile of another patient"
    yield (place, EVERYBODY, SWAPPED, text, f"{same} have their own", SUSPECT if moved else CLEAN)
    for name, own in sorted(moved.items()):
        if name not in back:
            finding, evidence = f"{name} carries the profile of {own} in one of the cohorts", f"{correlation[name]:.3f}"
        elif name < own:
            finding = "swapped in one of the cohorts; which is unknown"
            evidence = f"{correlation[name]:.3f} and {correlation[own]:.3f} crosswise"
        else:
            continue  # told with the other
        yield (place, f"{name} / {own}", SWAPPED, finding, f"correlation {evidence}", SUSPECT)
