"""Clinical data of a GDC project: the answer of ``/cases`` as a table with a row per patient."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from amlprognosis.cohort import shown, step
from amlprognosis.errors import InputError
from amlprognosis.retrieve.gdc_json import MISSING, Part, number, part, parts, read_hits, scalar, text
from amlprognosis.study import DAYS_PER_YEAR

COLUMNS = ("os_days", "vital_status", "age_at_diagnosis", "sex", "eln_risk_classification")
# Laboratory values count as those at diagnosis up to this many days from the index date; later ones would tell of
# the course of the disease.
BASELINE_DAYS = 30
_NOT_VALUES = frozenset({"id", "submitter_id", "state", "created_datetime", "updated_datetime"})


@dataclass(frozen=True)
class _Test:
    """A laboratory value; the first by ``order`` counts."""

    name: str
    unit: str
    order: tuple[Any, ...]
    value: str


@dataclass
class _Case:
    """What a case says."""

    row: dict[str, str] = field(default_factory=dict)
    tests: list[_Test] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def flatten_cases(path: str | Path, project: str) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """Clinical data of a project, a row per case.

    Parameters
    ----------
    path : path
        The answer of ``/cases?expand=demographic,diagnoses,follow_ups,follow_ups.molecular_tests``.
    project : str
        Cases of other projects are left out.

    Returns
    -------
    table : DataFrame of str
        Index = case id. The leaves of demographic, of the diagnosis (the primary one) and of the case are columns, and
        laboratory values at diagnosis (within 30 days; with the unit in the name where a project has several).
        ``os_days`` is days_to_death of the dead and, of the others, the last follow-up of any diagnosis or follow-up
        (GDC releases from 42 on keep it in ``follow_ups``); it is missing for the dead without days_to_death, for the
        living with one, and where it is negative. ``age_at_diagnosis`` is in days: that of the diagnosis, else
        days_to_birth, else age_at_index in years. ``sex`` is sex_at_birth or gender, where it is female or male.
        These columns and eln_risk_classification always exist.
    steps : list of dict
        How many times and ages are not as the GDC's own columns say.

    Raises
    ------
    InputError
        Not an answer of ``/cases``, a case that is listed twice, a number that is none; with the hit.
    """
    found: dict[str, _Case] = {}
    for count, hit in enumerate(read_hits(path), start=1):
        place = f"{path}: hit {count}"
        if text(part(hit, "project", place), "project_id", place) not in ("", project):
            continue
        patient = text(hit, "submitter_id", place)
        if not patient:
            raise InputError(f"{place}: submitter_id is missing; retrieve the file again")
        if patient in found:
            raise InputError(f"{place}: case {patient} is listed twice; retrieve the file again")
        found[patient] = _case(hit, f"{place} ({patient})")
    if not found:
        raise InputError(f"{path}: no case of project {project}; is the project's name right?")
    _add_tests(found.values())
    table = pd.DataFrame.from_dict({name: case.row for name, case in found.items()}, orient="index", dtype=object)
    table = table.reindex(columns=[*table.columns, *(name for name in COLUMNS if name not in table)]).fillna("")
    counted = Counter(note for case in found.values() for note in case.notes)
    named = {note: shown(sorted(name for name, case in found.items() if note in case.notes), 5) for note in counted}
    detail = "; ".join(f"{note}: {counted[note]} ({named[note]})" for note in sorted(counted))
    return table.sort_index(), [step("clinical data", detail or "as the GDC's own columns say", len(found), len(found))]


def _case(hit: Part, place: str) -> _Case:
    demographic = part(hit, "demographic", place)
    follow_ups = parts(hit, "follow_ups", place)
    diagnoses = _diagnoses(hit, place)
    diagnosis = diagnoses[0] if diagnoses else {}
    case = _Case()
    for source in (demographic, diagnosis, hit):
        for key, value in source.items():
            leaf = scalar(value)
            if leaf is not None and key not in _NOT_VALUES:
                case.row.setdefault(key, leaf)
    case.tests = list(_tests(follow_ups, diagnosis, place))
    case.row["os_days"] = _survival(demographic, diagnoses, follow_ups, case.notes, place)
    case.row["age_at_diagnosis"] = _age(demographic, diagnosis, case.notes, place)
    sex = text(demographic, "sex_at_birth", place) or text(demographic, "gender", place)
    case.row["sex"] = sex.lower() if sex.lower() in ("female", "male") else ""
    start = text(hit, "index_date", place)
    if start and start.lower() != "diagnosis":
        case.notes.append(f"times count from {start.lower()}, not from diagnosis")
    return case


def _diagnoses(hit: Part, place: str) -> list[Part]:
    """Diagnoses of a case, the primary disease first, then the one nearest to the index date."""

    def order(diagnosis: Part) -> tuple[bool, bool, float, str]:
        primary = str(diagnosis.get("diagnosis_is_primary_disease", "")).lower() == "true"
        days = number(diagnosis, "days_to_diagnosis", place)
        return (not primary, days is None, abs(days or 0.0), text(diagnosis, "submitter_id", place))

    return sorted(parts(hit, "diagnoses", place), key=order)


def _survival(demographic: Part, diagnoses: list[Part], follow_ups: list[Part], notes: list[str], place: str) -> str:
    status = text(demographic, "vital_status", place).lower()
    death = number(demographic, "days_to_death", place)
    times = [number(item, "days_to_last_follow_up", place) for item in diagnoses]
    times += [number(item, "days_to_follow_up", place) for item in follow_ups]
    days = death if status == "dead" else max((time for time in times if time is not None), default=None)
    if status == "dead" and death is None:
        notes.append("dead without days_to_death, time missing")
    if status == "alive" and death is not None:
        notes.append("alive with days_to_death, time missing")
        days = None
    if days is not None and days < 0:
        notes.append("negative survival time, time missing")
        days = None
    return _shortest(days)


def _age(demographic: Part, diagnosis: Part, notes: list[str], place: str) -> str:
    age = number(diagnosis, "age_at_diagnosis", place)
    if age is None:
        birth, years = number(demographic, "days_to_birth", place), number(demographic, "age_at_index", place)
        if birth is not None and birth < 0:
            age = -birth
            notes.append("age from days_to_birth")
        elif years is not None:
            age = round(years * DAYS_PER_YEAR, 1)
            notes.append("age from age_at_index")
    return _shortest(age)


def _shortest(value: float | None) -> str:
    if value is None:
        return ""
    return str(int(value)) if value == int(value) else repr(value)


def _tests(follow_ups: list[Part], diagnosis: Part, place: str) -> Iterable[_Test]:
    for owner in (*follow_ups, diagnosis):
        visit = number(owner, "days_to_follow_up", place)
        for test in parts(owner, "molecular_tests", place):
            day = number(test, "days_to_test", place)
            day = visit if day is None else day
            name, value = text(test, "laboratory_test", place), scalar(test.get("test_value"))
            if not name or value is None or value.strip().lower() in MISSING or abs(day or 0) > BASELINE_DAYS:
                continue
            names = (text(owner, "submitter_id", place), text(test, "submitter_id", place))
            yield _Test(
                _slug(name), text(test, "test_units", place), (day is None, abs(day or 0), *names, value), value
            )


def _slug(name: str) -> str:
    return re.sub(r"\W+", "_", name.strip().lower()).strip("_")


def _add_tests(cases: Iterable[_Case]) -> None:
    """Laboratory values as columns; a test that comes in several units has a column for each of them."""
    cases = list(cases)
    units: dict[str, set[str]] = {}
    for case in cases:
        for test in case.tests:
            units.setdefault(test.name, set()).add(test.unit)
    for case in cases:
        for test in sorted(case.tests, key=lambda item: item.order):
            several = len(units[test.name]) > 1
            case.row.setdefault(_slug(f"{test.name} {test.unit}") if several else test.name, test.value)
