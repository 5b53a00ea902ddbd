"""Tables of texts: delimited, Excel workbooks and parquet files, every cell as it stands."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from amlprognosis.cohort import shown
from amlprognosis.errors import InputError
from amlprognosis.retrieve.delimited import checked_rows, layout_of, refuse_repeated, unended
from amlprognosis.retrieve.files import read_parquet, read_text
from amlprognosis.retrieve.number_cells import MISSING
from amlprognosis.retrieve.spreadsheets import read_sheet

WORKBOOKS = (".xlsx", ".xlsm")
_DECIMAL = re.compile(r"[+-]?[0-9]+(,[0-9]+)?")
_THOUSANDS = re.compile(r"[+-]?[1-9][0-9]{0,2}(,[0-9]{3})+")


@dataclass
class TextTable:
    """A table of texts.

    Attributes
    ----------
    frame : DataFrame of str
        Index = place in the file (see ``unit``), empty where a cell is empty; columns unique.
    unit : str
        What the index counts, for messages.
    notes : list of str
        What was read in a way that the user should know of.
    """

    frame: pd.DataFrame
    unit: str = "line"
    notes: list[str] = field(default_factory=list)


def read_text_table(path: str | Path, *, comment: str | None = None, needed: Sequence[str] = ()) -> TextTable:
    """Read a table as text.

    Parameters
    ----------
    path : path
        Delimited by tabs, commas or semicolons (plain or gzipped), ``.xlsx`` or ``.parquet``.
    comment : str, optional
        What lines above the header of a delimited table may begin with.
    needed : sequence of str
        Columns by which the sheet of a workbook is told; by default the first sheet.

    Raises
    ------
    InputError
        With the line where there is one: rows of another length than the header, quotation marks without partner,
        repeated or missing column names, no rows.
    """
    name = str(path).lower()
    if name.endswith(WORKBOOKS):
        table = TextTable(read_sheet(path, needed), "row")
    elif name.endswith(".parquet"):
        table = TextTable(_parquet_text(path), "row")
    else:
        table = _delimited(path, comment)
    if table.frame.empty:
        raise InputError(f"{path}: a header but no rows")
    return table


def read_string_table(path: str | Path, *, comment: str | None = None) -> pd.DataFrame:
    """The frame of :func:`read_text_table`, its rows counted from 0."""
    return read_text_table(path, comment=comment).frame.reset_index(drop=True)


def _delimited(path: str | Path, comment: str | None) -> TextTable:
    origin = str(path)
    text = read_text(path)
    layout = layout_of(text, origin, comment)
    if layout.shifted:
        raise InputError(
            f"{origin}: line {layout.line}: the header has one name fewer than the rows have fields; name every column "
            "(in R: write.table(..., row.names = FALSE))"
        )
    header = [" ".join(name.split()) for name in layout.header]
    refuse_repeated(header, origin, layout.line)
    rows = list(checked_rows(text, layout, origin))
    cells = [[" ".join(cell.split("\n")) for cell in row] for _, row in rows]
    kept = _named_columns(header, cells, origin, layout.line)
    frame = pd.DataFrame(
        [[row[i] for i in kept] for row in cells],
        index=[line for line, _ in rows],
        columns=[header[i] for i in kept],
        dtype=object,
    )
    notes = [note for note in [unended(text)] if note]
    if layout.delimiter == ";":
        decimal = [name for name in frame.columns if _has_decimal_commas(frame[name])]
        for name in decimal:
            frame[name] = frame[name].str.replace(",", ".")
        notes += [f"decimal commas in {shown(decimal)}"] if decimal else []
    return TextTable(frame, "line", notes)


def _named_columns(header: list[str], cells: list[list[str]], origin: str, line: int) -> list[int]:
    """Columns with a name; the first one needs none (row names), and empty ones without a name are none."""
    kept = []
    for i, name in enumerate(header):
        if name or i == 0:
            kept.append(i)
        elif any(row[i] for row in cells):
            raise InputError(f"{origin}: line {line}: column {i + 1} has no name; name it in the header or remove it")
    return kept


def _has_decimal_commas(column: pd.Series) -> bool:
    """Whether a column of a European table holds decimal numbers and nothing else; 1,234 alone may be thousands."""
    filled = [cell for cell in column if cell not in MISSING]
    return all(_DECIMAL.fullmatch(cell) for cell in filled) and any(
        "," in cell and not _THOUSANDS.fullmatch(cell) for cell in filled
    )


def _parquet_text(path: str | Path) -> pd.DataFrame:
    frame = read_parquet(path)
    if not isinstance(frame.index, pd.RangeIndex):
        frame = frame.reset_index()
    frame.columns = [str(name) for name in frame.columns]
    twice = sorted(set(frame.columns[frame.columns.duplicated()]))
    if twice:
        raise InputError(f"{path}: columns named more than once: {shown(twice)}; rename them")
    frame.index = pd.RangeIndex(1, len(frame) + 1)
    return frame.map(lambda value: "" if pd.isna(value) else str(value).strip())
