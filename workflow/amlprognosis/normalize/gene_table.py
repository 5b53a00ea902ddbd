"""The frozen table of gene names: approved symbols, retired ones, and the ids of NCBI, Ensembl and RefSeq.

``resources/gene_names/hgnc.tsv.gz`` is made from a download of the HGNC (genenames.org, free of restrictions) by
``amlprognosis gene-names``, and so is its next version; the date in its first line is that of the nomenclature.
"""

from __future__ import annotations

import csv
import datetime
import functools
import gzip
import io
import os
import re
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from amlprognosis.cohort import shown
from amlprognosis.errors import InputError
from amlprognosis.retrieve.download import fetch, join
from amlprognosis.retrieve.files import read_text
from amlprognosis.study import Retrieval
from amlprognosis.study.sources import SERVICES

FOLDER = Path(__file__).resolve().parents[3] / "resources" / "gene_names"
TABLE = FOLDER / "hgnc.tsv.gz"
COLUMNS = ("symbol", "hgnc_id", "entrez", "ensembl", "refseq", "previous", "aliases")
SEVERAL = " /// "
ID_KINDS = ("entrez", "ensembl", "refseq")
# Columns of the HGNC's complete set (hgnc_complete_set.txt) and of its custom downloads, which call them differently.
_NAMES: dict[str, tuple[str, ...]] = {
    "hgnc_id": ("hgnc_id", "HGNC ID"),
    "symbol": ("symbol", "Approved symbol"),
    "status": ("status", "Status"),
    "entrez": ("entrez_id", "NCBI Gene ID(supplied by NCBI)", "NCBI Gene ID"),
    "ensembl": ("ensembl_gene_id", "Ensembl gene ID", "Ensembl ID(supplied by Ensembl)"),
    "refseq": ("refseq_accession", "RefSeq IDs", "RefSeq(supplied by NCBI)"),
    "previous": ("prev_symbol", "Previous symbols"),
    "aliases": ("alias_symbol", "Alias symbols"),
}
_NEEDED = ("hgnc_id", "symbol", "status", "entrez", "ensembl", "previous", "aliases")
_FEWEST_GENES = 30_000
_SHORTEST_ALIAS = 3  # shorter ones (p, B, P1) are letters of other things, too


@dataclass(frozen=True)
class GeneTable:
    """The frozen nomenclature.

    Attributes
    ----------
    date : str
        Day of the nomenclature (ISO 8601).
    symbols : frozenset of str
        Approved symbols.
    retired : dict
        Approved symbol by retired name: a previous symbol of one gene, else an alias of one gene.
    ambiguous : dict
        Candidates by name that stands for several genes.
    ids : dict of dict
        Approved symbol by id, for ``entrez``, ``ensembl`` and ``refseq`` (ids without version).
    """

    date: str
    symbols: frozenset[str]
    retired: dict[str, str]
    ambiguous: dict[str, tuple[str, ...]]
    ids: dict[str, dict[str, str]]


@functools.cache
def gene_table() -> GeneTable:
    """Read the frozen table and its two small companions.

    Raises
    ------
    InputError
        A file is missing or damaged.
    """
    date, rows = _read_frozen(TABLE)
    previous = _holders(rows, "previous")
    aliases = {name: genes for name, genes in _holders(rows, "aliases").items() if len(name) >= _SHORTEST_ALIAS}
    symbols = {row["symbol"] for row in rows}
    others = {name: approved.split(SEVERAL) for name, approved in _pairs(FOLDER / "other_names.tsv")}
    # A previous symbol was official once, an alias never; what is known beside the HGNC stands between them.
    held = {name: genes for name, genes in {**aliases, **others, **previous}.items() if name not in symbols}
    retired = {name: genes[0] for name, genes in held.items() if len(genes) == 1}
    ambiguous = {name: tuple(genes) for name, genes in held.items() if len(genes) > 1}
    ids = {kind: _ids(rows, kind) for kind in ID_KINDS}
    for accession, entrez in _pairs(FOLDER / "refseq.tsv.gz"):
        if entrez in ids["entrez"]:
            ids["refseq"].setdefault(accession, ids["entrez"][entrez])
    return GeneTable(date, frozenset(symbols), retired, ambiguous, ids)


def _read_frozen(path: Path) -> tuple[str, list[dict[str, str]]]:
    if not path.is_file():
        raise InputError(f"{path}: no such file; the repository's resources/ belong beside workflow/")
    lines = read_text(path).splitlines()
    found = re.search(r"\d{4}-\d{2}-\d{2}", lines[0]) if lines and lines[0].startswith("#") else None
    if not found:
        raise InputError(f"{path}: its first line must be a comment with the date of the nomenclature; make it anew")
    table = [line.split("\t") for line in lines if not line.startswith("#")]
    if len(table) < 2 or tuple(table[0]) != COLUMNS or any(len(row) != len(COLUMNS) for row in table):
        raise InputError(f"{path}: its columns must be {', '.join(COLUMNS)}; make it anew with amlprognosis gene-names")
    return found[0], [dict(zip(COLUMNS, row, strict=True)) for row in table[1:]]


def _pairs(path: Path) -> list[tuple[str, str]]:
    if not path.is_file():
        raise InputError(f"{path}: no such file; the repository's resources/ belong beside workflow/")
    lines = [line for line in read_text(path).splitlines() if line and not line.startswith("#")]
    return [(cells[0], cells[1]) for cells in (line.split("\t") for line in lines[1:])]


def _holders(rows: Sequence[Mapping[str, str]], column: str) -> dict[str, list[str]]:
    """Genes by each of their names in a column, sorted."""
    found: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        if row[column]:
            for name in row[column].split("|"):
                found[name].add(row["symbol"])
    return {name: sorted(genes) for name, genes in found.items()}


def _ids(rows: Sequence[Mapping[str, str]], kind: str) -> dict[str, str]:
    """Symbol by id; an id that two genes claim says nothing."""
    return {name: genes[0] for name, genes in _holders(rows, kind).items() if len(genes) == 1}


def bare_id(name: str, kind: str) -> str:
    """An id as the table has it.

    Parameters
    ----------
    name : str
        Such as ``ENSG00000141510.16``, ``NM_000546.6``, ``7157``, ``7157.0``, ``GeneID:7157``.
    kind : {"ensembl", "entrez", "refseq"}

    Examples
    --------
    >>> bare_id("ENSG00000141510.16", "ensembl"), bare_id("7157.0", "entrez"), bare_id("NM_000546.6", "refseq")
    ('ENSG00000141510', '7157', 'NM_000546')
    """
    text = str(name).strip()
    if kind == "entrez":
        match = re.fullmatch(r"(?:(?:geneid|entrez|ncbi)[:_ ]?)?0*(\d+)(?:\.0+)?", text, re.IGNORECASE)
        return match[1] if match else text
    return re.sub(r"\.\d+(?:_PAR_Y)?$", "", text)


def symbols_of(names: Iterable[str], kind: str) -> pd.Series:
    """Approved symbols of gene ids.

    Parameters
    ----------
    names : iterable of str
        Ids as a source writes them.
    kind : {"ensembl", "entrez", "refseq"}
        What they are.

    Returns
    -------
    Series of str
        Index = the names; empty where the table knows no single gene.
    """
    table = gene_table().ids[kind]
    names = [str(name) for name in names]
    return pd.Series([table.get(bare_id(name, kind), "") for name in names], index=names, dtype=object)


def read_hgnc(path: str | Path) -> list[dict[str, str]]:
    """Read a download of the HGNC: its complete set, or a custom download with the same columns.

    Returns
    -------
    list of dict
        A row per approved gene with the keys of ``COLUMNS``; several values are joined by ``|``.

    Raises
    ------
    InputError
        A column is missing, a row is ragged, a symbol stands twice, or there are too few genes.
    """
    text = read_text(path)
    if not text.endswith("\n"):
        raise InputError(f"{path}: the last line is not ended: the file is cut off; retrieve it again")
    # Lists stand in quotes ("A|B"), but no field holds a tab or a line end: a stray quote must not swallow a row.
    reader = csv.reader(io.StringIO(text), delimiter="\t", quoting=csv.QUOTE_NONE)
    header = next(reader, [])
    at = {key: next((header.index(name) for name in names if name in header), -1) for key, names in _NAMES.items()}
    absent = [key for key in _NEEDED if at[key] < 0]
    if absent:
        raise InputError(
            f"{path}: no column {', '.join(_NAMES[key][0] for key in absent)}; give hgnc_complete_set.txt "
            f"(its columns are {shown(header, 8)})"
        )
    rows: dict[str, dict[str, str]] = {}
    for cells in reader:
        if not cells:
            continue
        if len(cells) != len(header):
            raise InputError(f"{path}: line {reader.line_num} has {len(cells)} fields, the header {len(header)}")
        if cells[at["status"]] != "Approved":
            continue
        row = {key: _joined(cells[at[key]]) if at[key] >= 0 else "" for key in COLUMNS}
        row["symbol"] = cells[at["symbol"]].strip()
        if not row["symbol"] or row["symbol"] in rows:
            raise InputError(f"{path}: line {reader.line_num}: symbol {row['symbol']!r} is empty or stands twice")
        rows[row["symbol"]] = row
    if len(rows) < _FEWEST_GENES:
        raise InputError(f"{path}: {len(rows)} approved genes only; the nomenclature has more than {_FEWEST_GENES}")
    return [rows[symbol] for symbol in sorted(rows)]


def _joined(text: str) -> str:
    """Several values in one notation: the HGNC writes ``a|b`` or ``a, b``."""
    return "|".join(part.strip().strip('"') for part in re.split(r"[|,]", text) if part.strip().strip('"'))


def write_gene_table(rows: Sequence[Mapping[str, str]], path: str | Path, date: str, origin: str) -> None:
    """Write the frozen table; equal rows are equal bytes, and the file appears whole or not at all."""
    try:
        datetime.date.fromisoformat(date)
    except ValueError:
        raise InputError(f"--date {date}: not a date; write it as 2026-11-21") from None
    lines = [
        f"# HGNC nomenclature of {date}; {origin}; genenames.org, no restriction of use",
        "\t".join(COLUMNS),
        *("\t".join(row[column] for column in COLUMNS) for row in rows),
    ]
    path = Path(path)
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_bytes(gzip.compress(("\n".join(lines) + "\n").encode(), mtime=0))
    os.replace(temporary, path)


def refresh_table(file: Path | None, date: str | None, settings: Retrieval | None = None) -> list[str]:
    """Make the frozen table anew.

    Parameters
    ----------
    file : Path, optional
        A copy of ``hgnc_complete_set.txt``; downloaded when left out.
    date : str, optional
        Its date; today for a download.
    settings : Retrieval, optional
        How the download is done, and from where (``mirrors.genenames``).

    Returns
    -------
    list of str
        What changed.
    """
    settings = settings or Retrieval()
    before = gene_table()
    origin = "hgnc_complete_set.txt"
    if file is None:
        url = join(settings.mirrors.get("genenames", SERVICES["genenames"]), "tsv", "tsv", origin)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / origin
            fetch(url, file, settings=settings)
            rows = read_hgnc(file)
    else:
        rows = read_hgnc(file)
    write_gene_table(rows, TABLE, date or datetime.datetime.now(datetime.UTC).date().isoformat(), origin)
    gene_table.cache_clear()
    after = gene_table()
    gone = sorted(before.symbols - after.symbols)
    return [
        f"wrote {TABLE}: the nomenclature of {after.date} in the place of {before.date}",
        f"{len(after.symbols - before.symbols)} symbols are new, {len(gone)} are gone ({shown(gone, 5) or 'none'})",
    ]


def describe_table() -> str:
    """What the frozen table holds, in a line."""
    table = gene_table()
    ids = ", ".join(f"{len(table.ids[kind]):,} {kind} ids" for kind in ID_KINDS)
    return (
        f"HGNC nomenclature of {table.date}: {len(table.symbols):,} approved symbols, {len(table.retired):,} other "
        f"names, {len(table.ambiguous):,} ambiguous names, {ids}"
    )


def look_up(name: str) -> str:
    """What the table says of a name or id, in a line."""
    table = gene_table()
    if name in table.symbols:
        return f"{name}: approved symbol"
    if name in table.retired:
        return f"{name}: {table.retired[name]} (previous symbol or alias)"
    if name in table.ambiguous:
        return f"{name}: ambiguous: {' or '.join(table.ambiguous[name])}; kept as it is"
    found = [(kind, table.ids[kind].get(bare_id(name, kind))) for kind in ID_KINDS]
    return next((f"{name}: {symbol} ({kind} id)" for kind, symbol in found if symbol), f"{name}: not in the table")
