"""GEO platforms: which probe measures which gene, from the annotation table, a SOFT file or a plain table."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from amlprognosis.cohort import shown
from amlprognosis.errors import InputError
from amlprognosis.retrieve.geo_table import refuse_repeats
from amlprognosis.retrieve.geo_text import TextStream, decoded

BEGIN, END = "!platform_table_begin", "!platform_table_end"
# Names of the symbol column as platform submitters spell them, without case, blanks, dots and underscores; the first
# that holds any text counts. Annotation tables: Gene symbol; Affymetrix: Gene Symbol; Agilent: GENE_SYMBOL;
# Illumina: Symbol, then ILMN_Gene.
SYMBOL_COLUMNS = ("genesymbol", "symbol", "hgncsymbol", "genesymbols", "ilmngene")
# Affymetrix exon and gene arrays (GPL5175, GPL6244): accession // symbol // title // band // Entrez, joined by ///.
ASSIGNMENT = "geneassignment"
NO_GENE = frozenset({"", "---", "NA"})


def parse_platform(path: str | Path, platform: str | None = None) -> pd.Series:
    """Symbol text by probe from a platform table.

    Parameters
    ----------
    path : path
        ``GPL*.annot[.gz]``, a SOFT file that holds the platform (``GPL..._family``, ``GSE..._family``), or a plain
        table whose first columns are id and symbol.
    platform : str, optional
        GPL accession, where a SOFT file may hold several; by default its first one.

    Returns
    -------
    Series of str
        Index = probe id; empty where a probe has no gene, several symbols joined by `` /// ``. Reading stops after the
        table: what follows in a family of a popular platform is many gigabytes.

    Raises
    ------
    InputError
        With the line where there is one: no table of the platform, no column of gene symbols, ragged rows, duplicated
        probes, cut off.
    """
    stream = TextStream(path)
    end, first = _begin(stream, platform)
    line = stream.line() if first is None else first
    names = [_plain(name) for name in line.split("\t")] if line else []
    if len(names) < 2:
        raise stream.fault("a platform table needs a header of two columns at least, separated by tabs")
    candidates = _symbol_columns(names, stream.name)
    ids, texts, lines = _columns(stream, len(names), candidates)
    last = stream.line()
    if end is not None and last is None:
        raise InputError(f"{stream.name}: no line {end}: the file is cut off; retrieve it again")
    if last is not None and last.lower().strip() != end:
        raise stream.fault(f"{last[:40]!r} stands within the platform table; retrieve the file again")
    if not ids:
        raise stream.fault("the platform table has no rows; give GPL*.annot.gz or GPL*_family.soft.gz")
    refuse_repeats(stream, ids, lines, "probes")
    chosen = next((i for i, found in enumerate(texts) if any(text not in NO_GENE for text in found)), None)
    if chosen is None:
        listed = shown([names[column] for column in candidates])
        raise InputError(f"{stream.name}: column {listed} is empty; this platform table names no genes")
    assigned = _spelling(names[candidates[chosen]]) == ASSIGNMENT
    symbols = [_assigned(text) if assigned else _joined(text.split("///")) for text in texts[chosen]]
    return pd.Series(symbols, index=pd.Index(ids, name="id"), name="symbol", dtype=object)


def _begin(stream: TextStream, platform: str | None) -> tuple[str | None, str | None]:
    """Go to the table: the line that will end it, and its header row if that has been read already."""
    found: list[str] = []
    line = stream.line()
    while line is not None:
        if line.partition("=")[0].strip().lower() in ("^platform", "!annotation_platform"):
            found.append(line.partition("=")[2].strip())
        elif line.lower().strip() == BEGIN:
            if platform is None or not found or found[-1] == platform:
                return END, None
            for _ in stream.blocks():
                pass
        elif line.lower().strip().endswith("_table_begin"):
            for _ in stream.blocks():
                pass
        elif line.strip() and not line.startswith(("^", "!", "#")):
            if found:
                raise stream.fault(f"{line[:40]!r} stands outside of the platform table; retrieve the file again")
            return None, line
        line = stream.line()
    if found and platform not in (None, *found):
        raise InputError(f"{stream.name}: no platform {platform} in it; it has {shown(sorted(set(found)))}")
    raise InputError(
        f"{stream.name}: no platform table in it (no line {BEGIN}); give GPL*.annot.gz or GPL*_family.soft.gz"
    )


def _columns(stream: TextStream, width: int, wanted: list[int]) -> tuple[list[str], list[list[str]], list[int]]:
    """Ids, texts of the wanted columns, and lines."""
    ids: list[str] = []
    texts: list[list[str]] = [[] for _ in wanted]
    lines: list[int] = []
    for start, block in stream.blocks():
        for number, raw in enumerate(block.split(b"\n"), start=start):
            if not raw.strip():
                continue
            cells = decoded(raw).split("\t")
            if len(cells) != width:
                raise stream.fault(
                    f"this row of the platform table has {len(cells)} fields, its header {width}; retrieve it again",
                    number,
                )
            name = _plain(cells[0])
            if not name or name.startswith("#") or '"' in name:
                raise stream.fault(f"{cells[0]!r} is no probe id; retrieve the file again", number)
            ids.append(name)
            lines.append(number)
            for found, column in zip(texts, wanted, strict=True):
                found.append(_plain(cells[column]))
    return ids, texts, lines


def _plain(cell: str) -> str:
    cell = cell.strip()
    return cell[1:-1].strip() if len(cell) > 1 and cell[0] == cell[-1] == '"' else cell


def _spelling(name: str) -> str:
    return re.sub(r"[ _.-]", "", name).lower()


def _symbol_columns(names: list[str], origin: str) -> list[int]:
    """Columns that may hold the symbol, best first."""
    spelled = [_spelling(name) for name in names]
    found = [spelled.index(wanted) for wanted in (*SYMBOL_COLUMNS, ASSIGNMENT) if wanted in spelled]
    if not found and len(names) == 2:
        found = [1]
    if not found or found == [0]:
        raise InputError(
            f"{origin}: no column of gene symbols; the columns are {shown(names, 20)}; take another table of the "
            "platform, or give the data as a source of type: tables with a gene_map"
        )
    return [column for column in found if column]


def _assigned(text: str) -> str:
    """Symbols of a gene_assignment text: the second part of each assignment."""
    parts = [assignment.split(" // ") for assignment in text.split(" /// ")]
    return _joined([part[1] for part in parts if len(part) > 1])


def _joined(symbols: list[str]) -> str:
    return " /// ".join(dict.fromkeys(text for symbol in symbols if (text := symbol.strip()) not in NO_GENE))
