"""The TRIPOD+AI checklist of a study: filled from the run where it knows the answer, open for the authors elsewhere.

References
----------
Collins GS et al., BMJ 2024;385:e078378, doi 10.1136/bmj-2023-078378.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

import amlprognosis
from amlprognosis.errors import InputError
from amlprognosis.report import tripod_methods as methods
from amlprognosis.report import tripod_results as results
from amlprognosis.report.figures import write_text
from amlprognosis.report.templating import template, template_text
from amlprognosis.report.theme import Tables
from amlprognosis.report.tripod_base import REPORTED, Answer, Run, status_counts
from amlprognosis.study import Study

RESOURCE = Path(__file__).resolve().parents[3] / "resources" / "reporting" / "tripod_ai.tsv"
COLUMNS = ["item", "section", "topic", "applies", "requirement", "answer", "status", "remains", "where"]
PAGE = "tripod_ai.html"
SECTIONS = {
    "verdict": "In short",
    "done": "What was done",
    "who": "Who is in it",
    "good": "How good is it",
    "against": "Against what",
    "genes": "Which genes",
    "trust": "Can I trust it",
    "reproduce": "How to reproduce it",
}
ANSWERS: dict[str, Callable[[Run], Answer]] = {
    "1": methods.title, "2": methods.abstract, "3a": methods.background, "3b": methods.purpose,
    "3c": methods.inequalities, "4": methods.objectives, "5a": methods.data, "5b": methods.dates, "6a": methods.setting,
    "6b": methods.eligibility, "6c": methods.treatments, "7": methods.preparation, "8a": methods.outcome,
    "8b": methods.assessors, "8c": methods.blinding, "9a": methods.candidates, "9b": methods.predictors,
    "9c": methods.judges_of_predictors, "10": methods.sample_size, "11": methods.missing, "12a": methods.partition,
    "12b": methods.handling, "12c": methods.models, "12d": methods.heterogeneity, "12e": methods.measures,
    "12f": methods.updating, "12g": methods.computation, "13": methods.imbalance, "14": methods.fairness,
    "15": methods.output, "16": methods.differences, "17": methods.ethics, "18a": methods.funding,
    "18b": methods.conflicts, "18c": methods.protocol, "18d": methods.registration, "18e": methods.data_sharing,
    "18f": methods.code, "19": methods.public, "20a": results.flow, "20b": results.characteristics,
    "20c": results.distributions, "21": results.analyses, "22": results.specification, "23a": results.performance,
    "23b": results.clusters, "24": results.updated, "25": results.interpretation, "26": results.limitations,
    "27a": results.poor_input, "27b": results.interaction, "27c": results.next_steps,
}  # fmt: skip


@cache
def items() -> pd.DataFrame:
    """The 52 items: item, section, topic, applies (D development, E evaluation), requirement.

    Raises
    ------
    InputError
        The library was installed without its resources.
    """
    if not RESOURCE.is_file():
        raise InputError(f"{RESOURCE}: no such file; the repository's resources/ belong beside workflow/")
    return pd.read_csv(RESOURCE, sep="\t", comment="#", dtype=str)


def checklist_table(study: Study, tables: Tables) -> pd.DataFrame:
    """The filled checklist.

    Parameters
    ----------
    study : Study
        Its key ``reporting.answers`` holds what only the authors know.
    tables : Tables
        Tables of the run; whatever is lacking leaves its part of an answer out.

    Returns
    -------
    DataFrame
        item, section, topic, applies, requirement, answer, status, remains (what is left to the authors), where
        (sections of the report, tables, files).
    """
    run = Run(study, tables)
    rows = []
    for row in items().to_dict("records"):
        item = str(row["item"])
        answer = _with_authors(ANSWERS[item](run), study.reporting.answers.get(item, ""))
        where = "; ".join(_place(place) for place in answer.where if _exists(place, tables))
        rows.append({**row, "answer": answer.text, "status": answer.status, "remains": answer.remains, "where": where})
    return pd.DataFrame(rows, columns=COLUMNS)


def _with_authors(answer: Answer, text: str) -> Answer:
    """The authors' answer goes first and closes the item."""
    own = f"{answer.text.rstrip('.')}." if answer.text else ""
    if not text:
        return replace(answer, text=own)
    return Answer(REPORTED, f"{text} The run: {own}" if own else text, "", answer.where)


def _exists(place: str, tables: Tables) -> bool:
    return place.startswith("#") or "/" in place or tables.get(place) is not None


def _place(place: str) -> str:
    if place.startswith("#"):
        return f"report.html{place}"
    return place if "/" in place else f"tables/{place}.tsv"


def render_checklist(study: Study, table: pd.DataFrame) -> str:
    """HTML of the checklist: one page without any external resource, for screens and for print."""
    records = table.fillna("").to_dict("records")
    for record in records:
        record["places"] = [_link(place) for place in str(record["where"]).split("; ") if place]
    sections: dict[str, list[Any]] = {}
    for record in records:
        sections.setdefault(str(record["section"]), []).append(record)
    text = template("tripod_ai.html.j2").render(
        study=study,
        version=amlprognosis.__version__,
        counts=status_counts(table),
        sections=sections,
        style=template_text("report.css"),
    )
    return text if text.endswith("\n") else text + "\n"


def _link(place: str) -> tuple[str, str]:
    """Text and target of a place; a table or folder has its path for both."""
    section = place.partition("#")[2]
    return (SECTIONS.get(section, place), place) if section else (place, place)


def write_checklist(study: Study, tables: Tables, page: str | Path) -> pd.DataFrame:
    """Write the page of the checklist; returns its table."""
    table = checklist_table(study, tables)
    write_text(page, render_checklist(study, table))
    return table
