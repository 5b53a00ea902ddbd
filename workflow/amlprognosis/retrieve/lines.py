"""Tab-separated tables of services, read to the letter: no quoting, as many fields as the header, faults by line."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pandas as pd

from amlprognosis.cohort import require_column, shown
from amlprognosis.errors import InputError
from amlprognosis.retrieve.files import read_text

# What a clone without Git LFS holds in the place of a large file.
LFS_POINTER = "version https://git-lfs.github.com/spec/"
MISSING = ("", "NA", "NaN", "nan", "null", "NULL")
_NUMBER = re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$")


def service_text(path: str | Path) -> str:
    """Whole text of a table or JSON file of a service.

    Raises
    ------
    InputError
        As :func:`amlprognosis.retrieve.files.read_text`; a pointer of Git LFS; zero bytes within the text.
    """
    text = read_text(path)
    if text.startswith(LFS_POINTER):
        raise InputError(
            f"{path}: a pointer of Git LFS, not the file itself: the folder was cloned without Git LFS; run "
            "`git lfs pull` there, or download the file from the service"
        )
    if "\x00" in text:
        raise InputError(f"{path}: zero bytes in the text: the file is damaged; retrieve it again")
    return text


def read_json(path: str | Path) -> Any:
    """Content of a JSON file.

    Raises
    ------
    InputError
        Not JSON (with line and column), NaN or infinity, or nested too deeply to be data.
    """

    def refuse(name: str) -> NoReturn:
        raise InputError(f"{path}: {name} is no value of JSON; retrieve it again")

    try:
        return json.loads(service_text(path), parse_constant=refuse)
    except json.JSONDecodeError as error:
        raise InputError(f"{path}: line {error.lineno}: not valid JSON ({error}); retrieve it again") from None
    except (RecursionError, ValueError) as error:
        raise InputError(f"{path}: not valid JSON ({str(error)[:200]}); retrieve it again") from None


def json_text(value: Any, place: str) -> str:
    """A plain value of JSON as text: empty for null, whole numbers without decimals, true and false.

    Raises
    ------
    InputError
        A list or object, or a number too large to be one.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        if not np.isfinite(value):
            raise InputError(f"{place}: {value} is not a finite number")
        return str(int(value)) if value == int(value) and abs(value) < 2**53 else repr(value)
    if isinstance(value, int | str):
        return str(value).strip()
    raise InputError(f"{place}: a {type(value).__name__} where a text or number is expected")


def _header(path: str | Path, text: str, comment: str | None, ended: bool) -> tuple[list[str], int, list[str]]:
    """Column names, the line number of the first row, and the lines from there on."""
    if ended and not text.endswith("\n"):
        raise InputError(f"{path}: the last line is not ended: the file is cut off; retrieve it again")
    lines = text.split("\n")
    start = 0
    while start < len(lines) and (not lines[start].strip() or (comment and lines[start].startswith(comment))):
        start += 1
    if start == len(lines):
        raise InputError(f"{path}: no header row; retrieve it again")
    header = [unquoted(name) for name in lines[start].split("\t")]
    if len(header) < 2:
        raise InputError(f"{path}: line {start + 1}: one column only; the columns must be separated by tabs")
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise InputError(f"{path}: line {start + 1}: columns named more than once: {shown(twice)}; rename them")
    rows = lines[start + 1 :]
    for number, line in enumerate(rows, start=start + 2):
        if line and line.count("\t") != len(header) - 1:
            raise InputError(
                f"{path}: line {number} has {line.count(chr(9)) + 1} fields, the header {len(header)}: a damaged line; "
                "retrieve the file again"
            )
    return header, start + 2, rows


def unquoted(cell: str) -> str:
    """Cell without the blanks around it and without a pair of quotes."""
    cell = cell.strip()
    return cell[1:-1].strip() if len(cell) > 1 and cell[0] == cell[-1] == '"' else cell


def read_plain_table(
    path: str | Path,
    needed: Sequence[str] = (),
    *,
    names: Sequence[str] = (),
    comment: str | None = None,
    ended: bool = True,
) -> pd.DataFrame:
    """Read a tab-separated table as text.

    Parameters
    ----------
    path : path
        Plain or gzipped.
    needed : sequence of str
        Columns that must be there.
    names : sequence of str
        Columns that hold names of samples, patients or genes: no cell of them may be empty.
    comment : str, optional
        What the lines before the header begin with.
    ended : bool
        Whether the last line must end with a line feed, as in tables that programs write; else a file that was cut
        within its last number could not be told.

    Returns
    -------
    DataFrame of str
        Index = line of the file, for messages.

    Raises
    ------
    InputError
        Another number of fields than the header has, repeated or missing columns, no rows, an empty or quoted name.
    """
    header, first, lines = _header(path, service_text(path), comment, ended)
    for column in (*needed, *names):
        require_column(header, column, str(path))
    rows = [(number, line.split("\t")) for number, line in enumerate(lines, start=first) if line]
    if not rows:
        raise InputError(f"{path}: a header but no rows; retrieve it again")
    table = pd.DataFrame(
        [[unquoted(cell) for cell in cells] for _, cells in rows],
        index=[number for number, _ in rows],
        columns=header,
        dtype=object,
    )
    for column in names:
        check_names(path, table[column], column)
    return table


def check_names(path: str | Path, column: pd.Series, what: str) -> None:
    """Refuse empty names, and names with a quote in them, which begin a field that never ends.

    Raises
    ------
    InputError
        With the first line.
    """
    for wrong, why in (((column == ""), "is empty"), (column.str.contains('"', regex=False), "holds a stray quote")):
        if wrong.any():
            line = column.index[wrong][0]
            raise InputError(f"{path}: line {line}: {what} {why} ({column[line]!r}); retrieve the file again")


def column_numbers(path: str | Path, column: pd.Series, what: str, *, missing: Collection[str] = MISSING) -> pd.Series:
    """Texts of a column as float64, NaN where missing.

    Raises
    ------
    InputError
        A text that is no finite number, with its line.
    """
    absent = column.isin(list(missing))
    plain = column.map(lambda cell: bool(_NUMBER.match(cell)))
    wrong = ~absent & ~plain
    numbers = column.where(plain, "nan").astype(float)
    wrong |= np.isinf(numbers)
    if wrong.any():
        line = column.index[wrong][0]
        raise InputError(f"{path}: line {line}: {what} is {column[line]!r}, not a finite number; retrieve it again")
    return numbers


def read_plain_matrix(
    path: str | Path, annotation: Collection[str] | None = None, *, comment: str | None = None, ended: bool = True
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read a tab-separated matrix of genes x samples.

    Parameters
    ----------
    path : path
        Plain or gzipped.
    annotation : collection of str, optional
        Names of the columns that describe the gene, those of them that exist; by default the first column.
    comment : str, optional
        What the lines before the header begin with.
    ended : bool
        As :func:`read_plain_table`.

    Returns
    -------
    genes : DataFrame of str of shape (n_genes, n_annotations)
    values : DataFrame of float64 of shape (n_genes, n_samples)
        NaN where a cell is empty or NA; both have the row number as index.

    Raises
    ------
    InputError
        A damaged line, a cell that is no finite number (with line and column), a repeated or unnamed sample.
    """
    header, first, lines = _header(path, service_text(path), comment, ended)
    described = [0] if annotation is None else [i for i, name in enumerate(header) if name in annotation]
    measured = [i for i in range(len(header)) if i not in set(described)]
    samples = [header[i] for i in measured]
    if not described:
        raise InputError(f"{path}: no column {' or '.join(sorted(annotation or ()))}; its header is {shown(header)}")
    if not samples or "" in samples or any('"' in name for name in samples):
        raise InputError(f"{path}: line {first - 1}: no samples, or a sample without a proper name; retrieve it again")
    body = "\n".join(lines)
    if not body.strip():
        raise InputError(f"{path}: a header but no rows; retrieve it again")
    try:
        frame = pd.read_csv(
            io.BytesIO(body.encode()),
            sep="\t",
            header=None,
            dtype={i: str if i in set(described) else np.float64 for i in range(len(header))},
            na_values={i: list(MISSING) for i in measured},
            keep_default_na=False,
            float_precision="round_trip",
            quoting=3,
            low_memory=False,
        )
    except (ValueError, pd.errors.ParserError) as error:
        reason = next(_faults(path, header, measured, first, lines), f"{path}: {' '.join(str(error).split())}")
        raise InputError(f"{reason}; retrieve it again") from None
    values = frame[measured].set_axis(samples, axis=1)
    if np.isinf(values.to_numpy()).any():
        raise InputError(next(_faults(path, header, measured, first, lines), f"{path}: infinite values"))
    genes = frame[described].set_axis([header[i] for i in described], axis=1).map(lambda cell: unquoted(str(cell)))
    return genes, values


def _faults(path: str | Path, header: list[str], measured: list[int], first: int, lines: list[str]) -> Iterator[str]:
    """Cells that are no finite numbers."""
    for number, line in enumerate(lines, start=first):
        cells = line.split("\t")
        for i in measured if line else ():
            cell = cells[i].strip()
            if cell not in MISSING and not (_NUMBER.match(cell) and np.isfinite(float(cell))):
                yield f"{path}: line {number}, column {header[i]}: {cells[i]!r} is not a finite number"
