"""Numbers of delimited tables: parsed in one go where every row is plain, else cell by cell with the fault's line."""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from pyarrow import csv

from amlprognosis.cohort import shown
from amlprognosis.errors import InputError
from amlprognosis.retrieve.delimited import DELIMITERS, Layout, Row, checked_rows, lines_of

MISSING = frozenset(
    ["", "NA", "N/A", "n/a", "na", "#N/A", "<NA>", "NaN", "nan", "NAN", "null", "NULL", "Null", "None", "none"]
)
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
_PLAIN = re.compile(r"[0-9.eE+-]+")
_INFINITE = re.compile(r"[+-]?inf(inity)?", re.IGNORECASE)
_THOUSANDS = re.compile(r"[+-]?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]*)?")
_COMMA = re.compile(r"[+-]?[0-9]*,[0-9]+([eE][+-]?[0-9]+)?")
_UNIT = re.compile(r"[+-]?[0-9.,]+ ?[A-Za-zµ%/]+")
_SHEET_ERRORS = frozenset({"#REF!", "#NAME?", "#VALUE!", "#DIV/0!", "#NUM!", "#NULL!"})
_HOW = "decimal point, no thousands separator; missing values as NA or empty"
_PROBED = 200


@dataclass
class Numbers:
    """A table of numbers.

    Attributes
    ----------
    ids : list of str
        First cell of each row.
    values : ndarray of float64 of shape (n_columns, n_rows)
        NaN where a value is missing.
    notes : list of str
        What was read in a way that the user should know of.
    """

    ids: list[str]
    values: np.ndarray
    notes: list[str]


def read_numbers(text: str, layout: Layout, origin: str) -> Numbers:
    """Read the rows of a table: a name, then numbers.

    Parameters
    ----------
    text : str
        With line feeds as line ends.
    layout : Layout
        Of this text.
    origin : str
        How errors call the file.

    Raises
    ------
    InputError
        With line, row and column: rows of another length, cells that are no finite numbers, columns of texts.
    """
    decimal = decimal_mark(text, layout)
    found = _at_once(text, layout, decimal)
    if found is None:
        found = number_rows(checked_rows(text, layout, origin), layout.header, origin, decimal)
    if decimal == ",":
        found.notes.append(f"decimal commas, {DELIMITERS[layout.delimiter]} between the columns")
    return found


def decimal_mark(text: str, layout: Layout) -> str:
    """Decimal mark of the numbers of a table: a comma only where nothing else is possible.

    Parameters
    ----------
    text : str
        The whole text.
    layout : Layout
        Of this text.

    Returns
    -------
    str
        ``,`` where it separates no columns, no number has a point, half of the rows at least have a number with a
        comma, and one of these cannot be thousands (1,25 or 0,125; 1,234 can); else ``.``
    """
    if layout.delimiter == "," or text.find(",", layout.start) < 0:
        return "."
    begin = re.escape(layout.delimiter) + r'[ "]*[+-]?'
    if re.compile(begin + r"[0-9]*\.[0-9]").search(text, layout.start):
        return "."
    if not re.compile(begin + r"(?:0,[0-9]|[0-9]+,(?![0-9]{3}(?![0-9]))[0-9])").search(text, layout.start):
        return "."
    with_comma = re.compile(begin + r"[0-9]*,[0-9]")
    rows = [bool(with_comma.search(line)) for line in lines_of(text, layout.start) if line.strip()]
    return "," if 2 * sum(rows) >= len(rows) else "."


def _at_once(text: str, layout: Layout, decimal: str) -> Numbers | None:
    """All rows by Arrow's parser, or None where a cell, a row or a quotation mark needs a closer look."""
    body = text[layout.start :].encode()
    if b'"' in body:
        mark = re.escape(layout.delimiter.encode())
        body = re.sub(rb'(?:^|(?<=[\n%b]))"([^"\n%b]*)"(?=[\n%b]|$)' % (mark, mark, mark), rb"\1", body)
        if b'"' in body:
            return None
    names = [str(i) for i in range(len(layout.header))]
    try:
        table = csv.read_csv(
            pa.BufferReader(body),
            csv.ReadOptions(column_names=names, block_size=max(8 << 20, 16 * body.find(b"\n"))),
            csv.ParseOptions(delimiter=layout.delimiter, quote_char=False, ignore_empty_lines=True),
            csv.ConvertOptions(
                column_types={name: pa.float64() for name in names[1:]} | {names[0]: pa.string()},
                null_values=sorted(MISSING),
                strings_can_be_null=False,
                decimal_point=decimal,
            ),
        )
    except pa.ArrowInvalid:
        return None
    del body
    ids = [name.strip() for name in table.column(0).to_pylist()]
    values = np.empty((len(names) - 1, table.num_rows))
    for row, name in zip(values, names[1:], strict=True):
        column = table.column(name)
        row[:] = column.to_numpy()
        # Arrow takes inf and nan(1) for numbers.
        if np.isinf(row).any() or int(np.isnan(row).sum()) != column.null_count:
            return None
    return Numbers(ids, values, []) if ids and all(ids) else None


def number_rows(
    rows: Iterable[Row], header: Sequence[str], origin: str, decimal: str = ".", unit: str = "line"
) -> Numbers:
    """Read rows cell by cell.

    Parameters
    ----------
    rows : iterable of (int, list of str)
        Place in the file, and as many cells as the header has.
    header : sequence of str
        Column names.
    origin, unit : str
        How errors call the file and a place in it.
    decimal : {".", ","}
        Decimal mark.

    Raises
    ------
    InputError
        As :func:`read_numbers`.
    """
    rows = iter(rows)
    probed = list(itertools.islice(rows, _PROBED))
    if not probed:
        raise InputError(f"{origin}: a header but no rows")
    _refuse_text_columns([cells for _, cells in probed], header, origin)
    ids, values = [], []
    for place, cells in itertools.chain(probed, rows):
        ids.append(cells[0])
        found = _plain_numbers(cells[1:], decimal)
        if found is None:
            found = np.array(
                [
                    _number(cell, f"{origin}: {unit} {place}: row {cells[0]}, column {name}: ", decimal)
                    for cell, name in zip(cells[1:], header[1:], strict=True)
                ]
            )
        values.append(found)
    return Numbers(ids, np.ascontiguousarray(np.stack(values).T), [])


def _plain_numbers(cells: list[str], decimal: str) -> np.ndarray | None:
    joined = "".join(cells)
    if decimal == ",":
        if "." in joined:
            return None
        joined = joined.replace(",", ".")
        cells = [cell.replace(",", ".") for cell in cells]
    if _PLAIN.fullmatch(joined):  # Python's own float also takes 1_000, nan and digits of other scripts
        with contextlib.suppress(ValueError):
            values = np.array(list(map(float, cells)))
            if np.isfinite(values).all():
                return values
    return None


def _number(cell: str, place: str, decimal: str) -> float:
    if cell in MISSING:
        return np.nan
    text = cell.replace(",", ".") if decimal == "," and "." not in cell else cell
    if _NUMBER.fullmatch(text) and np.isfinite(float(text)):
        return float(text)
    if _INFINITE.fullmatch(cell) or _NUMBER.fullmatch(text):
        raise InputError(
            f"{place}infinite value ({cell[:40]}); a log of zero? add a small number before taking logs, or leave the "
            "cell empty"
        )
    why = f" ({_HOW})"
    if cell in _SHEET_ERRORS:
        why = ", but an error of the spreadsheet; correct it there and save the table again"
    elif _THOUSANDS.fullmatch(cell):
        why = f": are the commas thousands or decimals? Save the table without thousands separators ({_HOW})"
    elif _COMMA.fullmatch(cell):
        why = f": a decimal comma, which other numbers of the table do not have ({_HOW})"
    elif _UNIT.fullmatch(cell):
        why = f": a number with a unit; numbers only ({_HOW})"
    raise InputError(f"{place}{cell[:40]!r} is not a number{why}")


def _refuse_text_columns(rows: list[list[str]], header: Sequence[str], origin: str) -> None:
    """Name the columns that describe the genes, before one of their cells is called a wrong number."""
    texts = []
    for i in range(1, len(header)):
        filled = [row[i] for row in rows if row[i] not in MISSING]
        if len(filled) > 1 and not any(_meant_as_number(cell) for cell in filled):
            texts.append(header[i] or f"number {i + 1}")
    if not texts:
        return
    if len(texts) == len(header) - 1:
        raise InputError(f"{origin}: no column holds numbers ({shown(texts, 5)}); is this the expression matrix?")
    raise InputError(
        f"{origin}: columns that hold no numbers: {shown(texts)}; the matrix has one column of names and else numbers: "
        "remove them (a table of ids and symbols goes to gene_map)"
    )


def _meant_as_number(cell: str) -> bool:
    """Whether a cell is a number, even if it is written in a way that is refused."""
    kinds = (_NUMBER, _INFINITE, _THOUSANDS, _COMMA, _UNIT)
    return cell in _SHEET_ERRORS or any(kind.fullmatch(cell) for kind in kinds)
