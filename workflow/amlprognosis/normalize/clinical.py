"""Clinical texts of a source become outcome and clinical columns with fixed names and units."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from amlprognosis.cohort import SEXES, require_column, shown, step
from amlprognosis.errors import InputError
from amlprognosis.genomics.risk import map_risk
from amlprognosis.study import DAYS_PER_MONTH, DAYS_PER_YEAR, Clinical
from amlprognosis.study.base import canonical

PATIENT = "patient"  # in clinical.exclude: the patient's own id
LONGEST_YEARS = 60  # no follow-up of AML is as long: another unit, or a code for unknown such as 99999
DAYS = {"days": 1.0, "months": DAYS_PER_MONTH, "years": DAYS_PER_YEAR}
# What pandas, R and databases write for a missing number, beside the study's own texts.
_NOT_A_VALUE = frozenset({"", "nan", "<na>", "none", "null"})


def is_missing(values: pd.Series, mapping: Clinical) -> pd.Series:
    """Where a text means a missing value."""
    texts = values.astype(str).str.strip()
    return texts.isin(set(mapping.missing_values)) | texts.str.lower().isin(_NOT_A_VALUE)


def numbers(values: pd.Series, missing: pd.Series, place: str) -> pd.Series:
    """Texts as float64, NaN where missing.

    Raises
    ------
    InputError
        Texts that are no finite numbers, with their rows.
    """
    parsed = pd.to_numeric(values.where(~missing), errors="coerce").astype(float)
    wrong = ~missing & ~np.isfinite(parsed)
    if wrong.any():
        named = [f"{row}: {values[row]!r}" for row in values.index[wrong]]
        raise InputError(
            f"{place}: not finite numbers: {shown(named)}; correct them, or list the text under clinical.missing_values"
        )
    return parsed


def map_clinical(
    clinical: pd.DataFrame, mapping: Clinical, origin: str
) -> tuple[pd.DataFrame, list[dict[str, str]], list[dict[str, object]]]:
    """Map the clinical table of a cohort.

    Parameters
    ----------
    clinical : DataFrame of str, index patient
        As the source gives it.
    mapping : Clinical
        Which columns mean what.
    origin : str
        How errors call the table.

    Returns
    -------
    obs : DataFrame, index patient
        ``os_time`` (days), ``os_event`` (bool), ``age`` (years), ``sex``, ``risk``, numeric columns, categories;
        patients that stay.
    exclusions : list of dict
        ``{"patient", "reason"}``: excluded values, missing event, missing or zero time.
    steps : list of dict
        Preprocessing steps.

    Raises
    ------
    InputError
        A missing column, an event that is neither dead nor alive nor missing, a negative or infinite time, and so on.
    """
    clinical = extract_columns(clinical, mapping, origin)
    faults = []
    for key, column in _mapped(mapping):
        if key.startswith("exclude.") and column == PATIENT:
            continue
        try:
            require_column(clinical.columns, column, f"{origin}: clinical.{key}")
        except InputError as error:
            faults.append(str(error))
    if faults:
        raise InputError("\n".join(faults))
    reasons = pd.Series("", index=clinical.index, dtype=object)
    for rule in mapping.exclude:
        own = rule.column == PATIENT and PATIENT not in clinical
        texts = clinical.index.to_series() if own else clinical[rule.column]
        hit = texts.map(canonical).isin({canonical(value) for value in rule.values})
        reasons[hit & (reasons == "")] = rule.reason
    # Excluded patients are not looked at any further: their values may be of another kind.
    inside = clinical[reasons == ""]
    obs = pd.DataFrame(index=inside.index)
    obs["os_time"] = _time(inside, mapping, origin)
    event = _event(inside, mapping, origin)
    for place, reason in (
        (event.isna(), "overall survival status missing"),
        (obs["os_time"].isna(), "overall survival time missing"),
        (obs["os_time"] == 0, "overall survival time zero"),
    ):
        hit = place & (reasons[inside.index] == "")
        reasons[inside.index[hit]] = reason
    if mapping.age:
        obs["age"] = _age(inside, mapping, origin)
    if mapping.sex:
        obs["sex"] = _sex(inside, mapping, origin)
    if mapping.risk:
        values = inside[mapping.risk.column]
        obs["risk"] = map_risk(values, mapping.risk, is_missing(values, mapping), origin)
    for name, numeric in sorted(mapping.numeric.items()):
        values = inside[numeric.column]
        number = numbers(
            values, is_missing(values, mapping), f"{origin}: clinical.numeric.{name}: column {numeric.column!r}"
        )
        if numeric.log10:
            if (number < 0).any():
                raise InputError(f"{origin}: clinical.numeric.{name}: negative values cannot be taken the logarithm of")
            number = np.log10(1 + number)
        obs[name] = number
    for name, column in sorted(mapping.categories.items()):
        texts = inside[column].astype(str).str.strip()
        obs[name] = pd.Categorical(texts.where(~is_missing(texts, mapping)))
    stays = reasons[inside.index] == ""
    kept = obs[stays].copy()
    kept["os_event"] = event[stays].astype(bool)
    kept = kept[["os_time", "os_event", *[c for c in kept.columns if c not in {"os_time", "os_event"}]]]
    exclusions = [{"patient": str(p), "reason": str(r)} for p, r in reasons[reasons != ""].sort_index().items()]
    counted = reasons[reasons != ""].value_counts().sort_index()
    detail = (
        "; ".join(f"{reason}: {count}" for reason, count in counted.items()) or "all patients have a usable outcome"
    )
    return (
        kept,
        exclusions,
        [step("outcome and exclusions", detail, len(clinical), len(kept), "no outcome, no estimate")],
    )


def extract_columns(clinical: pd.DataFrame, mapping: Clinical, origin: str) -> pd.DataFrame:
    """Add the columns that the study cuts out of texts (``clinical.extract``).

    Parameters
    ----------
    clinical : DataFrame of str
        As the source gives it.
    mapping : Clinical
        Patterns by new name; each may read a column that stands before it in the study, too.
    origin : str
        How errors call the table.

    Returns
    -------
    DataFrame of str
        With the new columns; empty (a missing value) where a pattern does not match.

    Raises
    ------
    InputError
        No such column to read, a new name that the table has already, or a pattern that matches no text at all (with
        texts that it was tried on).
    """
    clinical = clinical.copy() if mapping.extract else clinical
    for name, rule in mapping.extract.items():
        place = f"{origin}: clinical.extract.{name}"
        require_column(clinical.columns, rule.column, f"{place}.column")
        if name in clinical.columns:
            raise InputError(f"{place}: the table has a column {name!r} already; choose another name")
        pattern = re.compile(rule.pattern)
        texts = clinical[rule.column].astype(str)
        found = [pattern.search(text) for text in texts]
        if not any(found):
            examples = list(dict.fromkeys(text for text in texts if text.strip()))
            raise InputError(
                f"{place}.pattern: {rule.pattern!r} matches no text of column {rule.column!r}, such as "
                f"{'; '.join(repr(text[:120]) for text in examples[:3]) or 'none: the column is empty'}"
            )
        clinical[name] = [(match[1] or "").strip() if match else "" for match in found]
    return clinical


def _mapped(mapping: Clinical) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = [
        ("os_time.column", mapping.os_time.column),
        ("os_event.column", mapping.os_event.column),
    ]
    for key in ("age", "sex", "risk"):
        section = getattr(mapping, key)
        if section:
            pairs.append((f"{key}.column", section.column))
    pairs += [(f"numeric.{name}.column", column.column) for name, column in sorted(mapping.numeric.items())]
    pairs += [(f"categories.{name}", column) for name, column in sorted(mapping.categories.items())]
    pairs += [(f"exclude.{i}.column", rule.column) for i, rule in enumerate(mapping.exclude)]
    return pairs


def _time(table: pd.DataFrame, mapping: Clinical, origin: str) -> pd.Series:
    column = mapping.os_time.column
    values = table[column]
    missing = is_missing(values, mapping)
    place = f"{origin}: clinical.os_time: column {column!r}"
    parsed = pd.to_numeric(values.where(~missing), errors="coerce").astype(float)
    wrong = ~missing & (~np.isfinite(parsed) | (parsed < 0))
    if wrong.any():
        named = [f"{row}: {values[row]!r}" for row in values.index[wrong]]
        raise InputError(
            f"{place}: a survival time cannot be negative, infinite or a text: {shown(named)}; correct these "
            f"rows, exclude them "
            "with clinical.exclude, or list the text under clinical.missing_values"
        )
    days = parsed * DAYS[mapping.os_time.unit]
    long = days > LONGEST_YEARS * DAYS_PER_YEAR
    if long.any():
        named = [f"{row}: {values[row]} {mapping.os_time.unit}" for row in values.index[long]]
        raise InputError(
            f"{place}: longer than {LONGEST_YEARS} years: {shown(named)}; is clinical.os_time.unit right? Else correct "
            "these rows, or exclude them with clinical.exclude"
        )
    return days


def _event(table: pd.DataFrame, mapping: Clinical, origin: str) -> pd.Series:
    column = mapping.os_event
    values = table[column.column]
    missing = is_missing(values, mapping)
    codes = {canonical(v): True for v in column.dead} | {canonical(v): False for v in column.alive}
    # A code that the study maps is no missing value, even if it stands in missing_values.
    mapped = values.map(canonical).map(codes).astype(object)
    other = mapped.isna() & ~missing
    if other.any():
        raise InputError(
            f"{origin}: clinical.os_event: column {column.column!r}: values that mean neither dead "
            f"({shown(column.dead)}) nor "
            f"alive ({shown(column.alive)}): {shown(sorted(set(values[other])))}; list them under "
            f"clinical.os_event.dead, "
            "clinical.os_event.alive or clinical.missing_values"
        )
    return mapped


def _age(table: pd.DataFrame, mapping: Clinical, origin: str) -> pd.Series:
    assert mapping.age is not None
    values = table[mapping.age.column]
    place = f"{origin}: clinical.age: column {mapping.age.column!r}"
    age = numbers(values, is_missing(values, mapping), place)
    age = age / DAYS_PER_YEAR if mapping.age.unit == "days" else age
    wrong = (age < 0) | (age > 120)
    if wrong.any():
        named = [f"{row}: {values[row]!r}" for row in values.index[wrong]]
        raise InputError(f"{place}: no age in {mapping.age.unit}: {shown(named)}; is clinical.age.unit right?")
    return age


def _sex(table: pd.DataFrame, mapping: Clinical, origin: str) -> pd.Series:
    assert mapping.sex is not None
    values = table[mapping.sex.column].str.strip()
    missing = is_missing(values, mapping)
    codes = {canonical(v): "female" for v in mapping.sex.female} | {canonical(v): "male" for v in mapping.sex.male}
    mapped = values.map(canonical).map(codes)
    other = mapped.isna() & ~missing
    if other.any():
        raise InputError(
            f"{origin}: clinical.sex: column {mapping.sex.column!r}: values that mean neither female nor male: "
            f"{shown(sorted(set(values[other])))}; list them under clinical.sex.female, male or clinical.missing_values"
        )
    return pd.Series(pd.Categorical(mapped, categories=list(SEXES)), index=table.index)


def join_patients(
    clinical: pd.DataFrame, patients: pd.Series, samples: Sequence[str]
) -> tuple[pd.DataFrame, dict[str, str], list[dict[str, str]]]:
    """Bring clinical rows and expression samples together by patient.

    Parameters
    ----------
    clinical : DataFrame
        Index = sample or patient id.
    patients : Series
        Patient by id, for samples and clinical rows.
    samples : sequence of str
        Samples with expression.

    Returns
    -------
    clinical : DataFrame
        Rows of patients with both, index = patient, sorted.
    sample_of : dict
        Sample by patient.
    exclusions : list of dict
        Patients with only one of the two.

    Raises
    ------
    InputError
        A patient with several samples or several rows: folds are made of patients.
    """
    by_patient = clinical.set_axis(pd.Index([str(patients.get(name, name)) for name in clinical.index]), axis=0)
    owners = pd.Index([str(patients.get(name, name)) for name in samples])
    for what, index in (("samples with expression", owners), ("clinical rows", by_patient.index)):
        twice = index[index.duplicated()].unique()
        if len(twice):
            raise InputError(f"patients with several {what}: {shown(twice)}; keep one per patient")
    sample_of = dict(zip(owners, map(str, samples), strict=True))
    both = sorted(set(by_patient.index) & set(sample_of))
    left_out = [{"patient": p, "reason": "no expression data"} for p in sorted(set(by_patient.index) - set(sample_of))]
    left_out += [{"patient": p, "reason": "no clinical data"} for p in sorted(set(sample_of) - set(by_patient.index))]
    return by_patient.loc[both], sample_of, left_out
