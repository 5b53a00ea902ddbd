"""Leaks that lie in a study's own data: patients who are there twice, features that are nearly the outcome."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numba import njit
from scipy.stats import rankdata

from amlprognosis.cohort import exclusions, shown
from amlprognosis.evaluation.quality_notes import SHARED_BY_TWO, identity_checks
from amlprognosis.normalize.duplicates import (
    ALIKE,
    COPIED,
    COPY,
    GENES_TO_COMPARE,
    SHARED,
    alike_pairs,
    likeness_across,
    shared_patients,
)

if TYPE_CHECKING:
    from anndata import AnnData

    from amlprognosis.catalogue import SharedPatients

COLUMNS = ["check", "cohort", "item", "value", "verdict", "note"]
DUPLICATED, BETWEEN, PROXY = "duplicated patients", "patients shared with training", "feature close to the outcome"
KNOWN = "known overlap"
CLEAN, SUSPECT, UNCHECKED = "clean", "suspect", "not checked"
# No prognostic factor of AML comes near these; a date of death or a status under another name does.
C_LIMIT, CORRELATION_LIMIT = 0.9, 0.95
FEWEST_VALUES, FEWEST_EVENTS = 30, 20
Row = tuple[str, str, str, float, str, str]


def leakage_checks(
    cohorts: Mapping[str, AnnData],
    training: str,
    features: pd.DataFrame,
    known: Iterable[SharedPatients] = (),
    identity: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Look for leaks that no fold can keep out, because they are in the data.

    Parameters
    ----------
    cohorts : mapping of str to AnnData
        Every bulk cohort, as built.
    training : str
        Name of the training cohort.
    features : DataFrame, index = patient
        The training matrix with os_time and os_event.
    known : iterable of SharedPatients
        Pairs of cohorts that share patients by the catalogue, a row each: suspect, or not checked where that is
        possible and no more.
    identity : DataFrame, optional
        As :func:`amlprognosis.normalize.identity.sample_identity`: rows on samples that were swapped, and on patients
        that two validation cohorts share.

    Returns
    -------
    DataFrame
        check, cohort, item, value, verdict ("clean", "suspect", "not checked"), note. Each check has a row for the
        whole cohort, then one per suspect. Value: correlation of profiles, number of patients, or C of a feature.
    """
    rows: list[Row] = []
    for name in [training, *(other for other in cohorts if other != training)]:
        rows += _duplicated(name, cohorts[name])
        if name != training:
            rows += _between(name, cohorts[name], cohorts[training])
    rows += [] if identity is None else identity_checks(identity, training)
    rows += _proxies(training, features)
    for pair in known:
        value = float(pair.shared) if pair.shared else np.nan
        verdict = UNCHECKED if pair.kind == "possible" else SUSPECT
        rows.append((KNOWN, pair.second, f"{pair.first} / {pair.second}", value, verdict, pair.text))
    return pd.DataFrame(rows, columns=COLUMNS)


def _duplicated(name: str, adata: AnnData) -> list[Row]:
    pairs, found = alike_pairs(adata)
    left_out = exclusions(adata)
    copies = left_out.loc[left_out["reason"] == COPIED, "patient"]
    excluded = f"; {len(copies)} left out as copies: {shown(copies)}" if len(copies) else ""
    if found.reason:
        return [(DUPLICATED, name, "all patients", np.nan, UNCHECKED, f"profiles cannot be compared: {found.reason}")]
    limit = ALIKE if found.genes >= GENES_TO_COMPARE else COPY
    note = (
        f"largest correlation of two of {adata.n_obs} patients, {found.genes} genes; suspect above {limit:g}{excluded}"
    )
    rows: list[Row] = [(DUPLICATED, name, "all patients", found.largest, CLEAN if pairs.empty else SUSPECT, note)]
    for pair in pairs.itertuples():
        text = "one patient or one sample under two names? Leave one out with clinical.exclude"
        rows.append((DUPLICATED, name, f"{pair.first} / {pair.second}", float(pair.r), SUSPECT, text))
    return rows


def _between(name: str, adata: AnnData, training: AnnData) -> list[Row]:
    across = likeness_across(training, adata)
    found = shared_patients(training, adata, across)
    left_out = exclusions(adata)
    gone = left_out.loc[left_out["reason"] == SHARED, "patient"]
    how = f"by id and by profile ({across.genes} genes)" if not across.reason else f"by id alone ({across.reason})"
    note = f"{adata.n_obs} patients compared {how}"
    if len(gone):
        note += f"; {len(gone)} left out because the models saw them: {shown(gone)}"
    shared = found[found["excluded"]]
    # Cohorts name their patients in their own ways: ids that differ tell nothing.
    verdict = SUSPECT if len(found) else UNCHECKED if across.reason else CLEAN
    rows: list[Row] = [(BETWEEN, name, "all patients", float(len(shared)), verdict, note)]
    for row in shared.itertuples():
        text = f"{row.training_patient} of the training cohort, by {row.evidence}: this patient's risk is no test"
        rows.append((BETWEEN, name, str(row.patient), float(row.r), SUSPECT, text))
    for text, part in found[~found["excluded"]].groupby("note", sort=True):
        rows.append((BETWEEN, name, shown(part["patient"]), float(len(part)), SUSPECT, f"same id in training; {text}"))
    return rows


def _proxies(training: str, features: pd.DataFrame) -> list[Row]:
    table = outcome_proxies(features.drop(columns=["os_time", "os_event"]), features[["os_time", "os_event"]])
    checked = table[table["checked"]]
    if checked.empty:
        reason = f"no feature has {FEWEST_VALUES} values and {FEWEST_EVENTS} deaths among them"
        return [(PROXY, training, "all features", np.nan, UNCHECKED, reason)]
    suspects = checked[checked["reason"] != ""]
    distance = (checked["c_harrell"] - 0.5).abs()
    most = checked.loc[distance.idxmax()]
    note = f"most extreme univariable C of {len(checked)} features: {most['feature']}; suspect beyond {C_LIMIT:g}"
    skipped = len(table) - len(checked)
    if skipped:
        note += f"; {skipped} features have too few values or do not vary"
    verdict = CLEAN if suspects.empty else SUSPECT
    rows: list[Row] = [(PROXY, training, "all features", float(most["c_harrell"]), verdict, note)]
    for row in suspects.itertuples():
        text = f"{row.reason}: known before the outcome, or made from it? Leave it out of the features"
        rows.append((PROXY, training, str(row.feature), float(row.c_harrell), SUSPECT, text))
    return rows


def outcome_proxies(features: pd.DataFrame, outcome: pd.DataFrame) -> pd.DataFrame:
    """Univariable C of every feature, and why it looks like the outcome.

    Parameters
    ----------
    features : DataFrame (n, p), index = patient
    outcome : DataFrame (n, 2)
        os_time (days), os_event.

    Returns
    -------
    DataFrame
        feature, c_harrell (of the feature as a risk, on patients with a value), checked (bool; at least 30 values with
        20 deaths, and not constant), reason ("" unless C is above 0.9 or below 0.1, the rank correlation with os_time
        beyond 0.95, or the correlation with os_event beyond 0.95).
    """
    time, event = outcome["os_time"].to_numpy(float), outcome["os_event"].to_numpy(bool)
    values = features.to_numpy(dtype=float, na_value=np.nan).T
    concordances = _univariable(values, time, event)
    rows = []
    for name, column, c in zip(features.columns, values, concordances, strict=True):
        known = np.isfinite(column)
        x, own_time, own_event = column[known], time[known], event[known]
        if x.size < FEWEST_VALUES or own_event.sum() < FEWEST_EVENTS or np.ptp(x) == 0:
            rows.append((str(name), np.nan, False, ""))
            continue
        reasons = [f"C {c:.2f}"] if abs(c - 0.5) > C_LIMIT - 0.5 else []
        # Where censoring is heavy, the status itself or whoever follows the time of everybody need not have such a C.
        for what, target, alike in (
            ("os_time", own_time, abs(c - 0.5) > 0.2),
            ("os_event", own_event.astype(float), not own_event.all() and ((x == x.min()) | (x == x.max())).all()),
        ):
            r = float(np.corrcoef(rankdata(x), rankdata(target))[0, 1]) if alike else 0.0
            reasons += [f"correlation {r:.2f} with {what}"] if abs(r) > CORRELATION_LIMIT else []
        rows.append((str(name), float(c), True, ", ".join(reasons)))
    return pd.DataFrame(rows, columns=["feature", "c_harrell", "checked", "reason"])


@njit(cache=True, nogil=True)
def _count_pairs(columns, event, outlived, out):
    """Harrell's C of each row of ``columns`` (p, n) as a risk, on the patients with a value.

    Patients are in ascending order of time, deaths before those censored at the same time; those from ``outlived[i]``
    on outlived patient i.
    """
    n = event.size
    for j in range(columns.shape[0]):
        x = columns[j]
        below = equal = pairs = 0
        for i in range(n):
            own = x[i]
            if event[i] and not np.isnan(own):
                for k in range(outlived[i], n):
                    below += x[k] < own
                    equal += x[k] == own
                    pairs += x[k] == x[k]
        out[j] = (below + 0.5 * equal) / pairs if pairs > 0 else np.nan


def _univariable(columns: np.ndarray, time: np.ndarray, event: np.ndarray) -> np.ndarray:
    """Harrell's C of each row of ``columns`` (p, n); as ``harrell_concordance`` of its known values."""
    order = np.lexsort((~event, time))
    ordered = time[order]
    # Of tied times a death is outlived by those censored then, not by the other deaths.
    deaths_of_block = np.array([event[time == day].sum() for day in ordered])
    outlived = np.searchsorted(ordered, ordered, side="left") + deaths_of_block
    out = np.empty(len(columns))
    _count_pairs(np.ascontiguousarray(columns[:, order]), event[order], outlived, out)
    return out


def leakage_notes(checks: pd.DataFrame) -> list[tuple[str, str, str]]:
    """What the report's warnings say of the checks: source, item, note of every suspect and every overlap."""
    told = (checks["verdict"] == SUSPECT) | (checks["check"] == KNOWN)
    suspects = checks[told & ~checks["item"].isin(["all patients", "all features"])]
    # Two validation cohorts with patients in common leak nothing, but a pooled figure counts these twice.
    sources = ["meta-analysis" if check == SHARED_BY_TWO else "leakage" for check in suspects["check"]]
    texts = [(f"{row.cohort}: {row.item}", f"{row.check}: {row.note}") for row in suspects.itertuples()]
    return [(source, *text) for source, text in zip(sources, texts, strict=True)]
