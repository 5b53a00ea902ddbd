"""Cells and tables of the page: texts with the values they sort by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from amlprognosis.report.theme import fixed, interval, number, p_text

MOST_ROWS = 300
HEADINGS = {
    "p": "p", "n": "n", "hr": "HR", "c_harrell": "C (Harrell)", "oe": "O/E", "umap1": "UMAP 1",
    "riley_minimum_n": "Riley minimum n", "sha256": "SHA-256", "url": "URL", "logrank_p": "Log-rank p",
}  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """Text of a cell, the value it sorts by, its CSS class, and the mark of its footnote."""

    text: str
    value: Any = ""
    style: str = ""
    mark: str = ""


@dataclass(frozen=True)
class PageTable:
    """A table of the page.

    Attributes
    ----------
    name : str
        Name of the file it comes from, ``tables/<name>.tsv``.
    headings : list of (str, bool)
        Heading, and whether the column is numeric.
    rows : list of list of Cell
        Cells.
    total : int
        Rows in the file; the page shows at most ``MOST_ROWS``.
    footnotes : tuple of (str, str)
        Marks and texts under the table.
    """

    name: str
    headings: list[tuple[str, bool]]
    rows: list[list[Cell]]
    total: int = 0
    footnotes: tuple[tuple[str, str], ...] = field(default=())

    @property
    def cards(self) -> bool:
        """Whether a phone shows each row as a card: few columns, of which the last would be off the screen."""
        long = any(len(cell.text) > 28 and " " in cell.text for row in self.rows for cell in row)
        return len(self.headings) in (5, 6, 7, 8) or (long and len(self.headings) in (3, 4))


Column = tuple[str, bool, Callable[[Any], Cell]]


def text_cell(value: Any) -> Cell:
    """A text, or a number as short as it can be read."""
    if isinstance(value, str):
        return Cell(value, value)
    if isinstance(value, bool):
        return Cell("yes" if value else "no", int(value))
    found = number(value)
    if found is None:
        return Cell("", "")
    whole = found == int(found) and abs(found) < 1e15
    if whole:
        return Cell(f"{int(found):,}", found)
    if 0 < abs(found) < 0.001:
        return Cell(f"{found:.1e}".replace("-", "−"), found)
    return Cell(fixed(found, 3 if abs(found) < 10 else 1), found)


def number_cell(value: Any, digits: int = 2) -> Cell:
    """A number with fixed decimals; a dash when missing."""
    found = number(value)
    return Cell(fixed(value, digits), "" if found is None else found)


def count_cell(value: Any) -> Cell:
    """A whole number; a dash when missing."""
    found = number(value)
    return Cell("–" if found is None else f"{round(found):,}", "" if found is None else found)


def estimate_cell(metric: str, digits: int = 2) -> Callable[[Any], Cell]:
    """Makes cells of a metric with its interval, from the columns ``<metric>``, ``<metric>_low`` and ``_high``."""

    def cell(row: Any) -> Cell:
        value = number(row.get(metric))
        text = interval(row.get(metric), row.get(f"{metric}_low"), row.get(f"{metric}_high"), digits)
        return Cell(text, "" if value is None else value)

    return cell


def p_cell(row: Any) -> Cell:
    """The p-value of a row."""
    text = p_text(row.get("p")).removeprefix("p = ").removeprefix("p ")
    return Cell("–" if number(row.get("p")) is None else text, number_cell(row.get("p")).value)


def page_table(name: str, table: pd.DataFrame, columns: Sequence[Column], most: int = MOST_ROWS) -> PageTable:
    """A page table of a data frame: at most ``most`` of its rows."""
    records = table.head(most).to_dict("records")
    rows = [[make(record) for _, _, make in columns] for record in records]
    return PageTable(name, [(title, numeric) for title, numeric, _ in columns], rows, len(table))


def adaptation_cell(value: Any) -> Cell:
    """The adaptation of a row; what needs a whole cohort carries a flag."""
    text = "" if number(value) is None and not isinstance(value, str) else str(value)
    flagged = text == "cohort_rescaling"
    return Cell("cohort re-scaling ⚑" if flagged else text.replace("_", " "), text, "flag" if flagged else "")


def sizes_cell(row: Any) -> Cell:
    """Patients and deaths."""
    patients, events = number(row.get("patients")), number(row.get("events"))
    if patients is None:
        return Cell("–", "")
    return Cell(f"{int(patients):,}" + (f" / {int(events):,}" if events is not None else ""), patients)


def of_column(column: str, show: Callable[[Any], Cell]) -> Callable[[Any], Cell]:
    """Makes cells of one column."""
    return lambda row: show(row[column])


def heading(column: str) -> str:
    """Heading of a column."""
    return HEADINGS.get(column) or column.replace("_", " ").strip().capitalize()
