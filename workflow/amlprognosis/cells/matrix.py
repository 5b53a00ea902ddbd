"""Reading one wide count table (genes x cells, text) straight into a sparse matrix.

The text is read in blocks of whole lines and each block is parsed by array operations on its bytes, so memory
follows the number of non-zero counts and not the size of the table.
"""

from __future__ import annotations

import gzip
import io
import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from scipy import sparse

from amlprognosis.errors import InputError

BLOCK_BYTES = 8_000_000
_MAX_DIGITS = 9  # more digits than this cannot be a count and would not fit 32 bits
_NEWLINE, _ZERO = 10, 48
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,4})?|[+-]?(inf|nan)", re.IGNORECASE)
_BARCODE = re.compile(r"(.*[_:.-])?[ACGTN]{12,}([._-].*)?")


@dataclass(frozen=True)
class CountTable:
    """A parsed count table.

    Attributes
    ----------
    genes : list of str
        Row names as in the file, unique.
    cells : list of str
        Column names as in the file, unique.
    counts : csr_matrix of int32, shape (n_cells, n_genes)
        Cells in rows, genes in columns.
    """

    genes: list[str]
    cells: list[str]
    counts: sparse.csr_matrix


@contextmanager
def open_text_bytes(path: Path) -> Iterator[IO[bytes]]:
    """Open a plain or gzip file for reading bytes; what is wrong with it becomes an InputError.

    Parameters
    ----------
    path : Path
        The file. Compression is told by its first two bytes, not by its name.

    Raises
    ------
    InputError
        The file is absent, empty, an HTML page, or a truncated or damaged gzip.
    """
    path = Path(path)
    try:
        raw = path.open("rb")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; check the folder of the atlas") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    with raw:
        compressed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        stream = io.BufferedReader(gzip.GzipFile(fileobj=raw), 1 << 20) if compressed else raw
        try:
            start = stream.peek(256)[:256].lstrip().lower()
            if not start:
                raise InputError(f"{path}: the file is empty; retrieve it again")
            if start.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
                raise InputError(
                    f"{path}: an HTML page instead of a table (often a service's error page); "
                    "delete it and retrieve it again"
                )
            yield stream
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise InputError(f"{path}: truncated or damaged gzip ({error}); delete it and retrieve it again") from error


def read_lines(path: Path) -> list[str]:
    """Lines of a small text file without their ends, the empty last one left out.

    Raises
    ------
    InputError
        As :func:`open_text_bytes`; UTF-16, binary content, or bytes that are not UTF-8 (with their line).
    """
    with open_text_bytes(path) as stream:
        content = stream.read()
    if content.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\x00" in content:
        raise InputError(f"{path}: UTF-16 or binary, not plain text; retrieve it again")
    content = content.removeprefix(b"\xef\xbb\xbf")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}, line {line}: not text in UTF-8; retrieve it again") from None
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    while lines and not lines[-1].strip():
        lines.pop()
    return lines


def unquoted(text: str, where: str) -> str:
    """A name without blanks and quotation marks around it.

    Raises
    ------
    InputError
        A quotation mark without its partner.
    """
    text = text.strip()
    if '"' in text:
        inner = text[1:-1] if len(text) >= 2 and text[0] == text[-1] == '"' else text
        if '"' in inner:
            raise InputError(
                f"{where}: {text[:40]!r} has a quotation mark without its partner; retrieve the file again"
            )
        return inner.strip()
    return text


def _unquote(name: bytes, where: str) -> str:
    try:
        return unquoted(name.decode("utf-8"), where)
    except UnicodeDecodeError:
        raise InputError(f"{where}: {name[:40]!r} is not text in UTF-8; retrieve the file again") from None


def first_duplicate(names: Sequence[str]) -> str | None:
    """Return the first name that occurs a second time, or None."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None


@dataclass(frozen=True)
class _Layout:
    """What separates the fields of a table, its cells, and the first row if it had to be read to tell."""

    mark: bytes
    cells: list[str]
    rest: bytes


def _read_header(stream: IO[bytes], path: Path, form: str) -> _Layout:
    line = stream.readline().removeprefix(b"\xef\xbb\xbf").rstrip(b"\r\n")
    mark, rest = b"\t", b""
    if form == "table" and mark not in line:
        mark = b"," if b"," in line else b" "
    fields = [_unquote(field, f"{path}, line 1") for field in line.split(mark)]
    if form == "table":
        rest = stream.readline()
        if rest.rstrip(b"\r\n").count(mark) == len(fields):
            fields = ["", *fields]  # R's write.table: no name above the row names
    elif fields[0].lower() not in {"gene", "genes", ""}:
        raise InputError(
            f"{path}, line 1: the first header cell is {fields[0][:40]!r}, expected 'Gene'; "
            "the table must be tab-separated with genes in rows and cells in columns"
        )
    cells = fields[1:]
    if not cells:
        raise InputError(f"{path}, line 1: no cell columns; is the table tab-separated?")
    if "" in cells:
        raise InputError(f"{path}, line 1: column {cells.index('') + 2} has no cell name")
    twice = first_duplicate(cells)
    if twice is not None:
        raise InputError(f"{path}, line 1: cell {twice!r} occurs more than once; names must be unique")
    return _Layout(mark, cells, rest)


def line_blocks(stream: IO[bytes], rest: bytes = b"") -> Iterator[bytes]:
    """Yield blocks of whole lines, each ending in a newline, without carriage returns or trailing blanks.

    ``rest`` was read from the stream before and comes first.
    """
    while True:
        data = stream.read(BLOCK_BYTES)
        if not data:
            break
        cut = data.rfind(b"\n") + 1
        if cut == 0:
            rest += data
            continue
        block, rest = rest + data[:cut], data[cut:]
        yield block.replace(b"\r\n", b"\n") if b"\r" in block else block
    rest = rest.rstrip(b"\r\n")
    if rest:
        yield rest + b"\n"


def _odd_number(text: bytes, path: Path, line: int, gene: str, cell: str) -> int:
    """Read a count that is not plain digits: R writes 100000 as 1e+05, and some tools write 3.0."""
    where = f"{path}, line {line}, gene {gene!r}, cell {cell!r}"
    return odd_count(text, where)


def odd_count(text: bytes, where: str) -> int:
    """Value of a count that is not written in plain digits.

    Raises
    ------
    InputError
        It is no integer >= 0.
    """
    shown = unquoted(text.decode("utf-8", errors="replace"), where)
    if not _NUMBER.fullmatch(shown):  # Python's own float also takes 1_000 and digits of other scripts
        what = "an empty field" if not shown else f"{shown[:40]!r}"
        raise InputError(f"{where}: {what} instead of a count; counts must be integers >= 0")
    value = float(shown)
    if not np.isfinite(value) or value != np.floor(value) or not 0 <= value < 10**_MAX_DIGITS:
        raise InputError(f"{where}: {shown[:40]!r} is not a count; raw integer counts >= 0 are needed")
    return int(value)


def _parse_block(
    block: bytes, cells: list[str], mark: bytes, path: Path, first_line: int
) -> tuple[list[str], np.ndarray, np.ndarray, np.ndarray]:
    """Parse whole lines: gene names, and row, column and value of the non-zero counts."""
    n = len(cells)
    data = np.frombuffer(block, dtype=np.uint8)
    ends = np.flatnonzero((data == mark[0]) | (data == _NEWLINE))
    line_ends = np.flatnonzero(data[ends] == _NEWLINE)  # which separators end a line
    fields_per_line = np.diff(line_ends, prepend=-1)
    wrong = np.flatnonzero(fields_per_line != n + 1)
    if wrong.size:
        at = int(wrong[0])
        raise InputError(
            f"{path}, line {first_line + at}: {int(fields_per_line[at]) - 1} counts, "
            f"but the header names {n} cells; the row is ragged (file cut short or edited?)"
        )
    starts = np.empty_like(ends)
    starts[0] = 0
    starts[1:] = ends[:-1] + 1
    first, stop = starts.reshape(-1, n + 1), ends.reshape(-1, n + 1)
    places = zip(first[:, 0].tolist(), stop[:, 0].tolist(), strict=True)
    genes = [_unquote(block[a:b], f"{path}, line {first_line + i}") for i, (a, b) in enumerate(places)]
    first, stop = first[:, 1:], stop[:, 1:]
    length = stop - first
    # An empty field starts at its own separator, which is not the digit 0.
    rows, columns = np.nonzero((length != 1) | (data[first] != _ZERO))
    begin, size = first[rows, columns], length[rows, columns]
    values = np.zeros(rows.size, dtype=np.int64)
    plain = (size > 0) & (size <= _MAX_DIGITS)
    for position in range(int(size[plain].max(initial=0))):
        here = np.flatnonzero(plain & (size > position))
        digit = data[begin[here] + position].astype(np.int64) - _ZERO
        good = (digit >= 0) & (digit <= 9)
        plain[here[~good]] = False
        values[here[good]] = values[here[good]] * 10 + digit[good]
    for i in np.flatnonzero(~plain).tolist():
        text = block[int(begin[i]) : int(begin[i] + size[i])]
        gene, cell = genes[int(rows[i])], cells[int(columns[i])]
        values[i] = _odd_number(text, path, first_line + int(rows[i]), gene, cell)
    keep = values != 0  # a written "00" or "0.0" is a zero all the same
    return genes, rows[keep], columns[keep], values[keep]


def read_count_table(path: str | Path, form: str = "dem") -> CountTable:
    """Read a genes x cells count table, plain or gzip.

    Parameters
    ----------
    path : str or Path
        First header cell ``Gene`` (or empty), then one name per cell; one line per gene. Values are
        non-negative integers (``1e+05`` and ``3.0``, as R writes them, are read as integers).
    form : {"dem", "table"}
        dem: tab-separated. table: tabs, commas or blanks, whatever stands above the genes, or nothing.

    Returns
    -------
    CountTable
        Counts as CSR int32, cells x genes.

    Raises
    ------
    InputError
        No such file, empty, truncated gzip, HTML page, wrong header, ragged row, a value that is not a count,
        duplicated gene or cell, cells in rows, or no gene at all.
    """
    path = Path(path)
    genes: list[str] = []
    pieces: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    with open_text_bytes(path) as stream:
        layout = _read_header(stream, path, form)
        cells = layout.cells
        for block in line_blocks(stream, layout.rest):
            names, rows, columns, values = _parse_block(block, cells, layout.mark, path, len(genes) + 2)
            pieces.append(((rows + len(genes)).astype(np.int32), columns.astype(np.int32), values.astype(np.int32)))
            genes.extend(names)
    if not genes:
        raise InputError(f"{path}: a header but no genes; the file was cut short")
    if "" in genes:
        raise InputError(f"{path}, line {genes.index('') + 2}: the gene name is empty")
    twice = first_duplicate(genes)
    if twice is not None:
        raise InputError(f"{path}: gene {twice!r} occurs more than once; sum or remove the repeated rows")
    if all(_BARCODE.fullmatch(gene) for gene in genes[:20]):
        raise InputError(
            f"{path}: its rows are named like cells ({genes[0]!r}), not genes; transpose it, so that "
            "genes are in rows and cells in columns"
        )
    rows, columns, values = (np.concatenate([piece[i] for piece in pieces]) for i in range(3))
    pieces.clear()
    counts = sparse.csr_matrix((values, (columns, rows)), shape=(len(cells), len(genes)), dtype=np.int32)
    counts.sort_indices()
    return CountTable(genes, cells, counts)
