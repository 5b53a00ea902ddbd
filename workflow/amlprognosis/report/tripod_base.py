"""What the answers to the TRIPOD+AI checklist share: their form, and the run they speak of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from amlprognosis.report.chosen import main_model
from amlprognosis.report.reading import row_of
from amlprognosis.report.theme import Tables, fixed, interval, number
from amlprognosis.study import DAYS_PER_YEAR, Study, model_label, model_slug

REPORTED, PARTLY, OPEN, NOT_APPLICABLE = STATUSES = ("reported", "partly", "open", "not applicable")


@dataclass(frozen=True)
class Answer:
    """Answer to one item.

    Attributes
    ----------
    status : {"reported", "partly", "open", "not applicable"}
    text : str
        What the run says; why the item does not apply.
    remains : str
        What is left to the authors.
    where : tuple of str
        Sections of the report (``#trust``), tables by name, files.
    """

    status: str
    text: str
    remains: str = ""
    where: tuple[str, ...] = ()


def reported(text: str, *where: str) -> Answer:
    """An item that the run answers in full."""
    return Answer(REPORTED, text, "", where)


def partly(text: str, remains: str, *where: str) -> Answer:
    """An item of which something is left to the authors."""
    return Answer(PARTLY, text, remains, where)


def left_open(remains: str, text: str = "") -> Answer:
    """An item that only the authors can answer."""
    return Answer(OPEN, text, remains)


def not_applicable(why: str) -> Answer:
    """An item that asks nothing of this study."""
    return Answer(NOT_APPLICABLE, why)


def status_counts(table: pd.DataFrame) -> dict[str, int]:
    """How many items of a checklist have each status."""
    return {status: int((table["status"] == status).sum()) for status in STATUSES}


@dataclass(frozen=True)
class Run:
    """A study and its tables, with the words that several answers need."""

    study: Study
    tables: Tables

    @property
    def main(self) -> str:
        """The model that the report speaks about first."""
        return main_model(self.study)

    @property
    def cohorts(self) -> list[str]:
        """Training cohort, then validation cohorts."""
        return [self.study.training, *self.study.validation]

    def row(self, table: str, **where: str) -> Any | None:
        """First row of a table that matches, or None."""
        return row_of(self.tables.get(table), **where)

    def each(self, words: Sequence[tuple[str, str]]) -> str:
        """``TCGA: 169; Bullinger: 115`` of pairs of cohort and text; empty texts are passed over."""
        return "; ".join(f"{self.study.cohort_label(name)}: {text}" for name, text in words if text)

    def count(self, cohort: str, column: str) -> int | None:
        """Whole number of a cohort in the cohort table."""
        row = self.row("cohorts", cohort=cohort)
        value = None if row is None else number(row.get(column))
        return None if value is None else round(value)

    def sizes(self, cohort: str) -> str:
        """Patients and deaths of a cohort, as in ``169 patients, 110 deaths``."""
        patients, events = self.count(cohort, "patients"), self.count(cohort, "events")
        return "" if patients is None or events is None else f"{patients:,} patients, {events:,} deaths"

    def follow_up(self, cohort: str) -> str:
        """Median follow-up of a cohort in years."""
        row = self.row("cohorts", cohort=cohort)
        days = None if row is None else number(row.get("median_followup_days"))
        return "" if days is None else f"median follow-up {fixed(days / DAYS_PER_YEAR, 1)} years"

    def figure(self, row: Any, metric: str, digits: int = 2) -> str:
        """Estimate with its interval, from a row with ``_low`` and ``_high``."""
        return interval(row.get(metric), row.get(f"{metric}_low"), row.get(f"{metric}_high"), digits)

    def frozen(self, model: str) -> str:
        """Folder of a frozen model within the results."""
        return f"models/{model_slug(model)}"

    def labels(self, models: Sequence[str]) -> str:
        """Models as the report calls them."""
        return ", ".join(model_label(name) for name in models)
