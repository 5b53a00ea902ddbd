"""GEO series matrices: header fields and characteristics of the samples, and the table of values."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from amlprognosis.cohort import shown
from amlprognosis.errors import InputError
from amlprognosis.retrieve.geo_samples import (
    CHARACTERISTICS,
    RESERVED,
    HeaderRow,
    SeriesMatrix,
    no_table,
    platform_of,
    sample_frame,
)
from amlprognosis.retrieve.geo_table import header, read_numbers, refuse_repeats, unquoted
from amlprognosis.retrieve.geo_text import TextStream

MATRIX_BEGIN = "!series_matrix_table_begin"
MATRIX_END = "!series_matrix_table_end"
# Fields that a study may read; a line of another field with a wrong number of values is left out, with a note.
_NEEDED = (*RESERVED, CHARACTERISTICS, "source_name_ch", "description", "channel_count")


def parse_series_matrix(path: str | Path, *, expression: bool = True) -> SeriesMatrix:
    """Parse a series matrix.

    Parameters
    ----------
    path : path
        ``*_series_matrix*.txt[.gz]``.
    expression : bool
        Read the table, too; without it a file with an empty table is welcome.

    Returns
    -------
    SeriesMatrix
        Characteristics become columns by their key, although GEO's rows may mix keys.

    Raises
    ------
    InputError
        With the line where there is one: no data table, no samples, samples of header and table that differ, duplicated
        samples or probes, ragged rows, values that are no numbers, lines that belong nowhere.
    """
    stream = TextStream(path)
    series, rows = _header(stream)
    accessions = _accessions(rows, stream.name)
    notes: list[str] = []
    samples = sample_frame(_whole(rows, accessions, stream, notes), accessions, stream.fault)
    frame = pd.DataFrame(index=samples.index)
    if expression:
        frame = _table(stream, accessions, series)
        notes += _row_counts(samples, frame.shape[1])
    return SeriesMatrix(samples, frame, platform_of(samples), series, notes)


def _header(stream: TextStream) -> tuple[dict[str, list[str]], list[tuple[str, list[str], int]]]:
    """Series fields and sample rows, up to the line that begins the table."""
    series: dict[str, list[str]] = {}
    rows: list[tuple[str, list[str], int]] = []
    pending, number = "", 0
    while True:
        line = stream.line()
        if pending and line is not None and line.strip() and not line.startswith("!"):
            # A value with a line end in it goes on, as long as its quotation mark is open.
            if pending.count('"') % 2 == 0:
                raise stream.fault(f"{line[:40]!r} is no header line (!Series_..., !Sample_...)")
            pending += " " + line
            continue
        if pending:
            _take(pending, number, series, rows, stream)
        pending, number = line or "", stream.number
        if line is None:
            _no_samples(rows, stream.name)
            raise InputError(
                f"{stream.name}: no line {MATRIX_BEGIN}: cut off, or not a series matrix; retrieve it again"
            )
        if line.strip().lower() == MATRIX_BEGIN:
            _no_samples(rows, stream.name)
            return series, rows
        if not line.strip():
            pending = ""
        elif not line.startswith(("!Series_", "!Sample_")):
            _no_samples(rows, stream.name)
            raise stream.fault(f"{line[:40]!r} is no header line (!Series_..., !Sample_...); retrieve the file again")


def _take(
    line: str, number: int, series: dict[str, list[str]], rows: list[tuple[str, list[str], int]], stream: TextStream
) -> None:
    key, *cells = line.split("\t")
    if key.startswith("!Series_"):
        text = unquoted("\t".join(cells))
        series.setdefault(key.removeprefix("!Series_").strip(), []).append(text or "")
        return
    key = key.removeprefix("!Sample_").strip()
    values: list[str] = []
    open_cell: str | None = None
    for cell in cells:
        # A tab within a quoted value cuts it in two: pieces up to the closing mark belong together.
        whole = cell if open_cell is None else f"{open_cell}\t{cell}"
        text = unquoted(whole)
        open_cell = whole if text is None else None
        if text is None and not whole.lstrip().startswith('"'):
            break
        if text is not None:
            values.append(" ".join(text.split()) if "\t" in whole else text)
    if open_cell is not None:
        if key.startswith(_NEEDED):
            what = f"!Sample_{key}: {open_cell[:40]!r} has a quotation mark without partner"
            raise stream.fault(f"{what}; retrieve the file again", number)
        values = []
    rows.append((key, values, number))


def _no_samples(rows: list[tuple[str, list[str], int]], name: str) -> None:
    if not rows:
        raise InputError(f"{name}: no !Sample_ lines: not a series matrix; give GSE..._series_matrix.txt.gz")


def _accessions(rows: list[tuple[str, list[str], int]], name: str) -> list[str]:
    found = [(values, line) for key, values, line in rows if key == "geo_accession"]
    if not found or not found[0][0] or not all(found[0][0]):
        raise InputError(f"{name}: no !Sample_geo_accession line that names every sample; retrieve the file again")
    if len(found) > 1:
        raise InputError(f"{name}: line {found[1][1]}: a second !Sample_geo_accession line; retrieve the file again")
    accessions, line = found[0]
    if len(set(accessions)) < len(accessions):
        raise InputError(f"{name}: line {line}: samples named more than once; retrieve the file again")
    return accessions


def _whole(
    rows: list[tuple[str, list[str], int]], accessions: list[str], stream: TextStream, notes: list[str]
) -> list[HeaderRow]:
    whole = []
    for key, values, line in rows:
        if len(values) == len(accessions):
            whole.append(HeaderRow(key, values, line))
            continue
        text = f"!Sample_{key} has {len(values)} values for {len(accessions)} samples"
        if key.startswith(_NEEDED):
            raise stream.fault(f"{text}; retrieve the file again", line)
        notes.append(
            f"line {line} left out: {text if values else f'!Sample_{key} has a quotation mark without partner'}"
        )
    return whole


def _table(stream: TextStream, accessions: list[str], series: dict[str, list[str]]) -> pd.DataFrame:
    name = stream.name
    begin = stream.number
    names = header(stream, "ID_REF")
    if set(names[1:]) != set(accessions):
        differ = sorted(set(names[1:]) ^ set(accessions))
        raise stream.fault(f"header and data table name different samples: {shown(differ)}")
    table = read_numbers(stream, names, names[:1], names[1:])
    end = stream.line()
    if end is None:
        raise InputError(f"{name}: no line {MATRIX_END}: the file is cut off; retrieve it again")
    if end.strip().lower() != MATRIX_END:
        raise stream.fault(f"{end[:40]!r} stands within the data table, which begins at line {begin}")
    while (line := stream.line()) is not None:
        if line.strip():
            raise stream.fault(f"{line[:40]!r} stands after the data table; retrieve the file again")
    if not table.ids[0]:
        raise no_table(name, "the matrix has no data table, only its header row", series)
    refuse_repeats(stream, table.ids[0], table.lines, "probes")
    values = table.values
    if names[1:] != accessions:
        place = {sample: row for row, sample in enumerate(names[1:])}
        values = values[[place[sample] for sample in accessions]]
    expression = pd.DataFrame(values, index=pd.Index(accessions, name="sample"), columns=pd.Index(table.ids[0]))
    if expression.isna().all(axis=None):
        raise no_table(name, "the data table holds no value at all", series)
    return expression


def _row_counts(samples: pd.DataFrame, rows: int) -> list[str]:
    """A note where the table has fewer rows than GEO counted."""
    if "data_row_count" not in samples:
        return []
    counted = pd.to_numeric(samples["data_row_count"], errors="coerce").max()
    if not counted > rows:
        return []
    return [f"the table has {rows} rows, !Sample_data_row_count says {counted:.0f}"]
