"""Tables in Excel workbooks (.xlsx), read as text cell by cell."""

from __future__ import annotations

import datetime
import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from amlprognosis.cohort import shown
from amlprognosis.errors import InputError
from amlprognosis.retrieve.files import read_bytes
from amlprognosis.retrieve.lines import LFS_POINTER

# What Excel shows for a formula that has no value; #N/A is how a missing value is written.
_ERRORS = ("#NULL!", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#GETTING_DATA")
_LARGEST_EXACT = 2**53


def read_sheet(path: str | Path, needed: Sequence[str]) -> pd.DataFrame:
    """Read the sheet of a workbook that has the needed columns.

    Parameters
    ----------
    path : path
        An .xlsx file. The first row of a sheet that is not empty names its columns.
    needed : sequence of str
        Columns by which the sheet is told from others; the first sheet that has them all is read.

    Returns
    -------
    DataFrame of str
        Index = row of the sheet; empty where a cell is empty or #N/A. Whole numbers are without decimals, dates in ISO
        8601, truth values TRUE and FALSE; a formula gives the value that was stored with it.

    Raises
    ------
    InputError
        No workbook, or a damaged one; no sheet with the columns; merged cells, errors and formulas without a value
        among the rows; columns named twice.
    """
    path = Path(path)
    content = read_bytes(path)
    if content.startswith(LFS_POINTER.encode()):
        raise InputError(
            f"{path}: a pointer of Git LFS, not the file itself; run `git lfs pull`, or download it from the service"
        )
    if not content.startswith(b"PK"):
        raise InputError(f"{path}: no Excel workbook (.xlsx); save the table as .xlsx, or retrieve it again")
    book = _load(path, content, values=False)
    seen = []
    for sheet in book.worksheets:
        rows = [row for row in sheet.iter_rows() if any(cell.value is not None for cell in row)]
        header = [_text(cell, str(path), sheet.title) for cell in rows[0]] if rows else []
        if set(needed) <= set(header):
            values = _load(path, content, values=True)[sheet.title] if _has_formulas(rows) else None
            return _table(path, sheet, rows, header, values)
        seen.append(f"{sheet.title!r} with {shown(header, 6) or 'nothing'}")
    raise InputError(f"{path}: no sheet has the columns {shown(needed, 12)}; there are {shown(seen, 6)}")


def _load(path: Path, content: bytes, *, values: bool) -> Any:
    import openpyxl

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of extensions and styles that do not concern the values
            return openpyxl.load_workbook(io.BytesIO(content), data_only=values)
    except Exception as error:  # a damaged archive or XML fails in as many ways as openpyxl has lines
        detail = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: not a readable Excel workbook ({detail}); retrieve it again") from None


def _has_formulas(rows: list[tuple[Any, ...]]) -> bool:
    return any(cell.data_type == "f" for row in rows for cell in row)


def _table(path: Path, sheet: Any, rows: list[tuple[Any, ...]], header: list[str], values: Any) -> pd.DataFrame:
    place = f"{path}: sheet {sheet.title!r}"
    while header and header[-1] == "":
        header = header[:-1]
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise InputError(f"{place}: columns named more than once: {shown(twice)}; rename them")
    if sheet.merged_cells.ranges:
        merged = sorted(str(area) for area in sheet.merged_cells.ranges)
        raise InputError(f"{place}: merged cells {shown(merged)}; unmerge them and give each its value")
    if len(rows) < 2:
        raise InputError(f"{place}: a header but no rows")
    cells = []
    for row in rows[1:]:
        beyond = [cell.coordinate for cell in row[len(header) :] if cell.value is not None]
        if beyond:
            raise InputError(f"{place}: cell {beyond[0]} has a value but its column no name")
        cells.append([_text(_valued(cell, values), str(path), sheet.title) for cell in row[: len(header)]])
    index = [row[0].row for row in rows[1:]]
    return pd.DataFrame(cells, index=index, columns=header, dtype=object)


def _valued(cell: Any, values: Any) -> Any:
    """The cell itself; of a formula, the cell of the same place with the stored value, if there is one."""
    if cell.data_type != "f" or values is None or values[cell.coordinate].value is None:
        return cell
    return values[cell.coordinate]


def _text(cell: Any, path: str, sheet: str) -> str:
    """Value of a cell as text."""
    value = cell.value
    place = f"{path}: sheet {sheet!r}, cell {cell.coordinate}"
    if cell.data_type == "f":
        raise InputError(f"{place}: a formula without a stored value; open the workbook in Excel and save it again")
    if value is None or value == "#N/A":
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):
            raise InputError(f"{place}: {value} is not a finite number")
        return str(int(value)) if value == int(value) and abs(value) < _LARGEST_EXACT else repr(value)
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    if cell.data_type == "e" or str(value) in _ERRORS:
        raise InputError(f"{place}: {value}: an error of Excel in the place of a value; correct it and save again")
    return str(value).strip()
