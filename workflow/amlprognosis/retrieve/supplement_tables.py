"""Expression matrices as people put them into suppl/: delimited text or a spreadsheet, genes in rows.

Nothing of their form can be relied on: the delimiter, whether there is a name above the genes, quotes, columns that are
no samples. What cannot be told for sure is an error that names the line and the key of the study that settles it.
"""

from __future__ import annotations

import contextlib
import csv
import datetime
import itertools
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from amlprognosis.cohort import require_column, shown
from amlprognosis.errors import InputError
from amlprognosis.retrieve.files import read_text

MISSING = ("", "NA", "NaN", "nan", "null", "NULL", "#N/A", "N/A")
# Columns of gene symbols beside other ids, as count programs and submitters call them (compared in lower case).
SYMBOL_NAMES = (
    "gene_name",
    "gene name",
    "genename",
    "symbol",
    "gene_symbol",
    "gene symbol",
    "genesymbol",
    "hgnc_symbol",
)
# Rows at the end of count tables that are no genes: HTSeq and STAR.
_NO_GENE = re.compile(r"__.*|N_(unmapped|multimapping|noFeature|ambiguous)")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
_PLAIN = re.compile(r"[0-9.eE+-]+")
_SHEET_ERRORS = frozenset({"#REF!", "#NAME?", "#VALUE!", "#DIV/0!", "#NUM!", "#NULL!"})
_DELIMITERS = ("\t", ",", ";", " ")
_PROBED_ROWS = 200


@dataclass(frozen=True)
class SupplementTable:
    """A matrix of a supplement.

    Attributes
    ----------
    values : DataFrame of float64 of shape (n_genes, n_columns)
        As written; NaN where missing. Index = gene ids as written (repeats are kept), columns unique.
    symbols : Series of str or None
        Symbol by gene id, where a column of the table holds them.
    counters : int
        Rows such as ``__no_feature`` and ``N_unmapped`` that were left out.
    """

    values: pd.DataFrame
    symbols: pd.Series | None = None
    counters: int = 0


def read_supplement(
    path: str | Path,
    *,
    gene_column: str | None = None,
    annotation_columns: Sequence[str] = (),
    text: str | None = None,
    header: Sequence[str] | None = None,
    origin: str | None = None,
) -> SupplementTable:
    """Read a supplementary matrix.

    Parameters
    ----------
    path : path
        ``.xlsx`` (the first sheet), else text, plain or gzipped; tab, comma, semicolon or blanks by what the header
        holds.
    gene_column : str, optional
        Column of gene ids; the first one by default. R's ``write.table`` leaves the name above the row names out.
    annotation_columns : sequence of str
        Columns that are neither ids nor samples.
    text, origin : str, optional
        The content, if it has been read already (a member of an archive), and how errors call it.
    header : sequence of str, optional
        Columns of a text without a header.

    Raises
    ------
    InputError
        Ragged rows, repeated column names, a column that holds no numbers and is not in ``annotation_columns``, a
        value that is no number, an infinite value, a row without gene id; with its line.
    """
    origin = origin or str(path)
    if text is None and str(path).lower().endswith((".xlsx", ".xlsm")):
        stream = _sheet_rows(path)
    else:
        stream = _text_rows(read_text(path) if text is None else text, header, origin)
    return _table(stream, gene_column, list(annotation_columns), origin)


# A row of the file: its line (or row of the sheet) and its cells.
_Row = tuple[int, list[str]]


def _text_rows(text: str, header: Sequence[str] | None, origin: str) -> Iterator[_Row]:
    """Header and rows of delimited text, the header as long as the rows."""
    if control := _CONTROL.search(text):
        number = text.count("\n", 0, control.start()) + 1
        raise InputError(f"{origin}, line {number}: a control character; binary or damaged, retrieve it again")
    lines = [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
    while lines and lines[0][1].startswith("#"):  # featureCounts notes its command line
        del lines[0]
    if header is not None:
        lines.insert(0, (0, "\t".join(header)))
    if len(lines) < 2:
        raise InputError(f"{origin}: {'a header but no rows' if lines else 'no rows'}; retrieve it again")
    mark = _delimiter(lines, origin)
    quoted = '"' in text or mark == " "
    width = 0
    for place, (number, line) in enumerate(lines):
        cells = _cells(line, mark, number, origin) if quoted else [cell.strip() for cell in line.split(mark)]
        if not place:
            first = lines[1][1]
            width = len(_cells(first, mark, lines[1][0], origin)) if quoted else first.count(mark) + 1
            cells = ["", *cells] if width == len(cells) + 1 else cells
            width = len(cells)
        elif len(cells) != width:
            raise InputError(
                f"{origin}, line {number}: {len(cells)} fields, the header {width}; every row needs as many "
                "(file cut short or edited?)"
            )
        yield number, cells


def _delimiter(lines: list[tuple[int, str]], origin: str) -> str:
    """What separates the fields: the first mark that both the header and the first row hold."""
    first, second = lines[0][1], lines[1][1]
    for mark in _DELIMITERS:
        if mark in first.strip() and mark in second.strip():
            return mark
    if len(second.split("\t")) == 2 and "\t" not in first.strip():
        return "\t"  # one sample, written by R: its name stands alone above gene and value
    raise InputError(
        f"{origin}, line {lines[0][0]}: one column only: no tab, comma or semicolon in the header and the first row; "
        "is this a matrix of genes and samples?"
    )


def _cells(line: str, mark: str, number: int, origin: str) -> list[str]:
    try:
        (row,) = csv.reader([line], delimiter=mark, strict=True, skipinitialspace=mark == " ")
    except (csv.Error, ValueError):
        raise InputError(
            f"{origin}, line {number}: a quotation mark without its partner; every field must end on its line"
        ) from None
    if any('"' in cell for cell in row):
        raise InputError(f"{origin}, line {number}: a quotation mark inside a field; retrieve the file again")
    return [cell.strip() for cell in row]


def _sheet_rows(path: str | Path) -> Iterator[_Row]:
    """Header and rows of the first sheet; numbers become the text that gives the same number."""
    from openpyxl import load_workbook

    if not Path(path).is_file():
        raise InputError(f"{path}: no such file")
    width = 0
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what openpyxl says of styles and extensions is no matter of the numbers
            book = load_workbook(path, read_only=True, data_only=True)
            for number, row in enumerate(book.worksheets[0].iter_rows(values_only=True), start=1):
                cells = [_spreadsheet_text(value) for value in row]
                if not any(cells):
                    continue
                width = width or max(i for i, cell in enumerate(cells) if cell) + 1
                if any(cells[width:]):
                    raise InputError(f"{path}, row {number}: a value beyond the last column of the header; delete it")
                yield number, [*cells[:width], *[""] * (width - len(cells))]
            book.close()
    except InputError:
        raise
    except Exception as error:  # a damaged workbook fails inside the zip, XML and zlib parsers in many ways
        said = " ".join(str(error).split())[:200]
        raise InputError(
            f"{path}: not a readable spreadsheet ({said or type(error).__name__}); retrieve it again"
        ) from None


def _spreadsheet_text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return repr(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, datetime.datetime | datetime.date):
        return f"{value.day}-{value:%b}"  # a gene such as MARCH1 that the spreadsheet took for a date
    return str(value).strip()


def _table(stream: Iterator[_Row], gene_column: str | None, annotation: list[str], origin: str) -> SupplementTable:
    probed = list(itertools.islice(stream, _PROBED_ROWS))
    if len(probed) < 2:
        raise InputError(f"{origin}: no table in it (a header and a row per gene)")
    header = probed[0][1]
    place, symbol_place, others = _columns(header, gene_column, annotation, origin)
    _refuse_text_columns(header, [cells for _, cells in probed[1:]], others, origin)
    ids: list[str] = []
    symbols: list[str] = []
    rows: list[np.ndarray] = []
    counters = 0
    for line, cells in itertools.chain(probed[1:], stream):
        name = cells[place]
        if name in MISSING or name in _SHEET_ERRORS:
            raise InputError(f"{origin}, line {line}: a row without gene id (column {header[place] or place + 1!r})")
        if _NO_GENE.fullmatch(name):
            counters += 1
            continue
        ids.append(name)
        symbols.append(cells[symbol_place] if symbol_place is not None else "")
        rows.append(_numbers([cells[i] for i in others], header, others, line, origin))
    if not ids:
        raise InputError(f"{origin}: no gene in it")
    index = pd.Index(ids, dtype=object)
    frame = pd.DataFrame(np.stack(rows), index=index, columns=pd.Index([header[i] for i in others], dtype=object))
    if symbol_place is None:
        return SupplementTable(frame, None, counters)
    named = pd.Series(["" if text in MISSING else text for text in symbols], index=index, dtype=object)
    return SupplementTable(frame, named[~named.index.duplicated()], counters)


def _columns(
    header: list[str], gene_column: str | None, annotation: list[str], origin: str
) -> tuple[int, int | None, list[int]]:
    """Places of the gene ids, of their symbols, and of the values."""
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise InputError(f"{origin}: columns named more than once: {shown(twice)}; rename or remove one of them")
    if gene_column is not None:
        require_column(header, gene_column, f"{origin}: gene_column")
    for name in annotation:
        require_column(header, name, f"{origin}: annotation_columns")
    place = header.index(gene_column) if gene_column is not None else 0
    unnamed = [i + 1 for i, name in enumerate(header) if not name and i != place]
    if unnamed:
        raise InputError(f"{origin}: column {unnamed[0]} has no name; name it in the header or remove it")
    names = [name.lower() for name in header]
    symbol = next((i for i, name in enumerate(names) if i != place and name in SYMBOL_NAMES), None)
    others = [i for i, name in enumerate(header) if i not in (place, symbol) and name not in annotation]
    if not others:
        raise InputError(f"{origin}: no column of values; the columns are {shown(header)}")
    return place, symbol, others


def _refuse_text_columns(header: list[str], rows: list[list[str]], others: list[int], origin: str) -> None:
    """Say which columns are annotation, before one of their cells is called a wrong number."""
    texts = []
    for i in others:
        filled = [row[i] for row in rows if row[i] not in MISSING]
        if filled and not any(_NUMBER.fullmatch(cell) for cell in filled):
            texts.append(header[i])
    if len(texts) == len(others):
        raise InputError(
            f"{origin}: no column holds numbers ({shown(texts, 5)}); is this a row per gene, with decimal points?"
        )
    if texts:
        raise InputError(
            f"{origin}: columns that hold no numbers: {shown(texts)}; if they describe the genes, set "
            f"annotation_columns: [{', '.join(texts[:8])}] in the source"
        )


def _numbers(cells: list[str], header: list[str], others: list[int], line: int, origin: str) -> np.ndarray:
    """Exactly the numbers that are written; anything else is named with its line."""
    if _PLAIN.fullmatch("".join(cells)):  # Python's own float also takes 1_000, nan and digits of other scripts
        with contextlib.suppress(ValueError):
            values = np.array(list(map(float, cells)))
            if np.isfinite(values).all():
                return values
    parsed: list[float] = []
    for cell, i in zip(cells, others, strict=True):
        if cell in MISSING:
            parsed.append(np.nan)
            continue
        if not _NUMBER.fullmatch(cell):
            what = "infinite: a log of zero?" if cell.lower().lstrip("+-") in {"inf", "infinity"} else "not a number"
        elif np.isinf(float(cell)):
            what = "too large"
        else:
            parsed.append(float(cell))
            continue
        raise InputError(
            f"{origin}, line {line}, column {header[i]}: {cell[:40]!r} is {what} (decimal point, no thousands "
            "separator; missing values as NA or empty)"
        )
    return np.array(parsed)
