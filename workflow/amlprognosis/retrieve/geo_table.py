"""Tables of numbers in GEO's text files: parsed in blocks, values exactly as written, faults with their line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from pyarrow import csv

from amlprognosis.cohort import shown
from amlprognosis.errors import InputError
from amlprognosis.retrieve.geo_text import TextStream, decoded

MISSING = ("", "null", "NULL", "Null", "NA", "NaN", "nan")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_QUOTED = re.compile(rb'(?<=\t)"([^"\t\n]*)"(?=[\t\n])')


@dataclass
class Table:
    """A parsed table.

    Attributes
    ----------
    ids : list of list of str
        Texts of each id column, unquoted.
    values : ndarray of float64 of shape (n_value_columns, n_rows)
        NaN where the file has no value.
    lines : ndarray of int of shape (n_rows,)
        Line of the file that holds the row.
    raw : list of Array
        Bytes of the id columns, where the table came in one block.
    """

    ids: list[list[str]]
    values: np.ndarray
    lines: np.ndarray
    raw: list[pa.ChunkedArray] = field(default_factory=list)


def unquoted(field: str) -> str | None:
    """Text of a field in quotation marks or without any; None where a mark has no partner."""
    field = field.strip()
    if field.startswith('"') or field.endswith('"'):
        if len(field) < 2 or field[0] != field[-1]:
            return None
        field = field[1:-1].strip()
    return field.replace('""', '"')


def header(stream: TextStream, first: str) -> list[str]:
    """Column names of the table that follows; the first one must be as said.

    Raises
    ------
    InputError
        No header, another first column, a name twice or without its quotation mark.
    """
    line = stream.line()
    if line is None:
        raise InputError(f"{stream.name}: the file is cut off before its data table; retrieve it again")
    names = [unquoted(field) for field in line.split("\t")]
    if names[0] != first:
        raise stream.fault(f"the data table must start with {first}, starts with {line[:40]!r}; retrieve it again")
    if None in names or "" in names:
        raise stream.fault("a column of the data table has no name; retrieve the file again")
    whole = [str(name) for name in names]
    twice = sorted({name for name in whole if whole.count(name) > 1}) if len(set(whole)) < len(whole) else []
    if twice:
        raise stream.fault(f"columns named more than once: {shown(twice)}; retrieve the file again")
    return whole


def read_numbers(
    stream: TextStream,
    columns: Sequence[str],
    ids: Sequence[str],
    values: Sequence[str],
    *,
    quoted: bool = True,
    like: Table | None = None,
) -> Table:
    """Read the rows of a table up to the line that ends it.

    Parameters
    ----------
    stream : TextStream
        Just after the header row.
    columns : sequence of str
        Names of all columns.
    ids, values : sequence of str
        The columns read as text and as numbers; the others are passed over.
    quoted : bool
        Texts stand in quotation marks (series matrices); SOFT files have none that mean anything.
    like : Table, optional
        A table that probably has the same ids; if so, they are shared with it and not made anew.

    Returns
    -------
    Table
        Numbers are correctly rounded (Lemire 2021, doi:10.1002/spe.2984); blank lines are passed over.

    Raises
    ------
    InputError
        With line and column: a row of another width, a text or an infinite value in the place of a number, a quotation
        mark without partner.
    """
    reader = _Reader(stream, list(columns), list(ids), list(values), quoted, like)
    parts = [reader.parse(first, block) for first, block in stream.blocks()]
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return Table([[] for _ in ids], np.empty((len(values), 0)), np.empty(0, dtype=int))
    texts = [[text for part in parts for text in part.ids[i]] for i in range(len(ids))]
    lines = np.concatenate([part.lines for part in parts])
    return Table(texts, np.concatenate([part.values for part in parts], axis=1), lines)


def refuse_repeats(stream: TextStream, names: list[str], lines: Iterable[int], what: str) -> None:
    """Refuse names that stand in several rows.

    Raises
    ------
    InputError
        With the lines of the first such name.
    """
    if len(set(names)) == len(names):
        return
    places: dict[str, list[int]] = {}
    for name, line in zip(names, lines, strict=True):
        places.setdefault(name, []).append(int(line))
    twice = {name: found for name, found in places.items() if len(found) > 1}
    first, found = next(iter(twice.items()))
    raise InputError(
        f"{stream.name}: {what} named more than once: {shown(twice)} ({first}: lines {shown(found, 4)}); retrieve the "
        "file again"
    )


@dataclass
class _Reader:
    stream: TextStream
    columns: list[str]
    ids: list[str]
    values: list[str]
    quoted: bool
    like: Table | None

    def __post_init__(self) -> None:
        names = [str(i) for i in range(len(self.columns))]
        place = dict(zip(self.columns, names, strict=True))
        self._id_names = [place[name] for name in self.ids]
        self._value_names = [place[name] for name in self.values]
        types = {name: pa.binary() for name in self._id_names} | {name: pa.float64() for name in self._value_names}
        self._read = csv.ReadOptions(column_names=names, use_threads=True)
        self._parse = csv.ParseOptions(delimiter="\t", quote_char=False, ignore_empty_lines=False)
        self._convert = csv.ConvertOptions(
            column_types=types,
            include_columns=[*self._id_names, *self._value_names],
            null_values=list(MISSING),
            strings_can_be_null=False,
            check_utf8=False,
        )

    def parse(self, first: int, block: bytes) -> Table:
        """Fast, and line by line where that fails: there the fault is named, or the odd but right row is read."""
        found = self._fast(first, block)
        if found is None and self.quoted and b'\t"' in block:
            found = self._fast(first, _QUOTED.sub(rb"\1", block))
        return found or self._slow(first, block)

    def _fast(self, first: int, block: bytes) -> Table | None:
        self._read.block_size = len(block) + 1
        try:
            table = csv.read_csv(pa.BufferReader(block), self._read, self._parse, self._convert)
        except pa.ArrowInvalid:
            return None
        if table.num_rows != block.count(b"\n"):
            return None
        values = np.empty((len(self.values), table.num_rows))
        for row, name in zip(values, self._value_names, strict=True):
            row[:] = table.column(name).to_numpy()
        if np.isinf(values).any():
            return None
        raw = [table.column(name) for name in self._id_names]
        lines = np.arange(first, first + table.num_rows)
        if self.like and len(self.like.raw) == len(raw) and all(map(pa.ChunkedArray.equals, raw, self.like.raw)):
            return Table(self.like.ids, values, lines, self.like.raw)
        ids = [[self._text(decoded(text)) for text in column.to_pylist()] for column in raw]
        if not all(map(self._is_id, ids[0])) or any(text is None for part in ids for text in part):
            return None
        return Table(ids, values, lines, raw)  # type: ignore[arg-type]

    def _text(self, cell: str) -> str | None:
        return unquoted(cell) if self.quoted else cell.strip()

    @staticmethod
    def _is_id(text: str | None) -> bool:
        return bool(text) and not text.startswith("#") and '"' not in text  # type: ignore[union-attr,operator]

    def _slow(self, first: int, block: bytes) -> Table:
        ids: list[list[str]] = [[] for _ in self.ids]
        rows, lines = [], []
        for number, raw in enumerate(block.split(b"\n"), start=first):
            line = decoded(raw)
            if not line.strip():
                continue
            cells = line.split("\t")
            if len(cells) != len(self.columns):
                raise self.stream.fault(
                    f"this row of the data table has {len(cells)} fields, its header {len(self.columns)}; retrieve the "
                    "file again",
                    number,
                )
            texts = [self._text(cells[int(name)]) for name in self._id_names]
            if not self._is_id(texts[0]):
                raise self.stream.fault(f"{cells[0]!r} is no {self.ids[0]}; retrieve the file again", number)
            for part, text in zip(ids, texts, strict=True):
                part.append(text or "")
            rows.append(
                [
                    self._number(cells[int(name)], number, str(texts[0]), column)
                    for name, column in zip(self._value_names, self.values, strict=True)
                ]
            )
            lines.append(number)
        values = np.array(rows, dtype=float).reshape(len(rows), len(self.values)).T
        return Table(ids, values, np.array(lines, dtype=int))

    def _number(self, cell: str, line: int, row: str, column: str) -> float:
        text = self._text(cell)
        if text in MISSING:
            return np.nan
        # float() alone would take 1_000 and other texts that no program writes as a number.
        if text is not None and _NUMBER.fullmatch(text) and np.isfinite(float(text)):
            return float(text)
        infinite = text is not None and text.lower().lstrip("+-") in {"inf", "infinity"}
        raise self.stream.fault(
            f"{row}, column {column}: {cell!r} is "
            + (
                "infinite; a log of zero? leave the cell empty"
                if infinite
                else "not a number; missing values are empty"
            ),
            line,
        )
