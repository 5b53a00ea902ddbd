"""GEO: series matrices, platform tables, and the folders they lie in."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from amlprognosis.cohort import RawCohort, shown
from amlprognosis.errors import InputError
from amlprognosis.retrieve.download import FileRecord, exists, fetch, is_remote, join, read_provenance, write_provenance
from amlprognosis.retrieve.files import read_text, to_numbers
from amlprognosis.study import GeoSource, Retrieval

MATRIX_BEGIN = "!series_matrix_table_begin"
MATRIX_END = "!series_matrix_table_end"
LICENCE = "Public GEO data; cite the series' publication"
# Column that holds the gene, in the order of preference, as platform submitters spell it.
SYMBOL_COLUMNS = (
    "Gene symbol",
    "Gene Symbol",
    "GENE_SYMBOL",
    "Symbol",
    "SYMBOL",
    "ILMN_Gene",
    "gene_symbol",
    "GeneSymbol",
)


@dataclass
class SeriesMatrix:
    """A parsed series matrix.

    Attributes
    ----------
    samples : DataFrame of str, index GSM accession
        Header fields (``title``, ``source_name_ch1``, ...) and a column per characteristics key; empty where a sample
        lacks the key.
    expression : DataFrame of float64 of shape (n_samples, n_probes)
        Values; NaN where the file has none.
    platform : str
        GPL accession of the samples.
    """

    samples: pd.DataFrame
    expression: pd.DataFrame
    platform: str


def accession_folder(accession: str) -> str:
    """GEO's folder of an accession: the last three digits become ``nnn``.

    >>> accession_folder("GSE37642"), accession_folder("GPL96")
    ('GSE37nnn', 'GPLnnn')
    """
    match = re.fullmatch(r"(GSE|GPL|GSM|GDS)(\d+)", accession)
    if not match:
        raise InputError(f"{accession!r}: not a GEO accession (GSE..., GPL..., GSM...)")
    kind, digits = match.groups()
    return f"{kind}{digits[:-3]}nnn"


def matrix_name(accession: str, platform: str, several_platforms: bool) -> str:
    """File name of a series matrix."""
    return f"{accession}-{platform}_series_matrix.txt.gz" if several_platforms else f"{accession}_series_matrix.txt.gz"


def matrix_url(base: str, accession: str, platform: str, several_platforms: bool = False) -> str:
    """Address of a series matrix below a GEO base."""
    name = matrix_name(accession, platform, several_platforms)
    return join(base, "series", accession_folder(accession), accession, "matrix", name)


def platform_url(base: str, platform: str) -> str:
    """Address of a platform's annotation table below a GEO base."""
    return join(base, "platforms", accession_folder(platform), platform, "annot", f"{platform}.annot.gz")


def retrieve_geo(
    base: str, accession: str, platform: str, destination: str | Path, *, several_platforms: bool = False
) -> list[FileRecord]:
    """Bring the series matrix and the platform table of a series to a folder, and write ``PROVENANCE.json``.

    Parameters
    ----------
    base : str
        GEO or a mirror: folder, ``file://`` or URL, laid out as GEO's FTP area.
    accession, platform : str
        GSE... and GPL....
    destination : path
        ``results/retrieved/geo/<accession>``.
    several_platforms : bool
        The series has a matrix per platform.

    Raises
    ------
    InputError
        A file is missing or damaged.
    """
    destination = Path(destination)
    matrix = matrix_url(base, accession, platform, several_platforms)
    if not is_remote(base) and not exists(matrix):
        other = matrix_url(base, accession, platform, not several_platforms)
        if exists(other):
            raise InputError(
                f"{matrix}: no such file, but {other} is there; set several_platforms: "
                f"{str(not several_platforms).lower()}"
            )
    records = [fetch(matrix, destination / matrix_name(accession, platform, several_platforms))]
    table = platform_url(base, platform)
    soft = join(base, "platforms", accession_folder(platform), platform, "soft", f"{platform}_family.soft.gz")
    if not is_remote(base) and not exists(table) and exists(soft):
        table = soft
    records.append(fetch(table, destination / table.rsplit("/", 1)[1]))
    write_provenance(destination, records, LICENCE)
    return records


def parse_series_matrix(path: str | Path) -> SeriesMatrix:
    """Parse a series matrix.

    Parameters
    ----------
    path : path
        ``*_series_matrix.txt[.gz]``.

    Returns
    -------
    SeriesMatrix
        Characteristics become columns by their key (the text before ``:``), although GEO's rows may mix keys.

    Raises
    ------
    InputError
        No data table, no samples, samples of header and table that differ, duplicated samples or probes, ragged rows,
        values that are no numbers.
    """
    text = read_text(path)
    begin = text.find(MATRIX_BEGIN)
    header = text if begin < 0 else text[:begin]
    fields = _sample_fields(header, str(path))
    accessions = _accessions(fields, str(path))
    if begin < 0:
        raise InputError(f"{path}: no line {MATRIX_BEGIN}: cut off, or not a series matrix; retrieve it again")
    end = text.find("\n" + MATRIX_END, begin)
    if end < 0:
        raise InputError(f"{path}: no line {MATRIX_END}: the file is cut off; retrieve it again")
    table = text[text.index("\n", begin) + 1 : end + 1]
    samples = _sample_frame(fields, accessions, str(path))
    expression = _table(table, accessions, _supplements(header), str(path))
    platforms = sorted(set(samples["platform_id"])) if "platform_id" in samples else []
    return SeriesMatrix(samples, expression, platforms[0] if len(platforms) == 1 else "")


def _unquote(value: str) -> str:
    value = value.strip()
    if len(value) >= 2 and value[0] == value[-1] == '"':
        value = value[1:-1]
    return value.replace('""', '"').strip()


def _sample_fields(header: str, origin: str) -> list[tuple[str, list[str]]]:
    fields = []
    for line in header.split("\n"):
        if line.startswith("!Sample_"):
            key, *values = line.split("\t")
            fields.append((key.removeprefix("!Sample_").strip(), [_unquote(value) for value in values]))
    if not fields:
        raise InputError(f"{origin}: no !Sample_ lines: not a series matrix; give GSE..._series_matrix.txt.gz")
    return fields


def _accessions(fields: list[tuple[str, list[str]]], origin: str) -> list[str]:
    accessions = next((values for key, values in fields if key == "geo_accession"), [])
    if not accessions or not all(accessions):
        raise InputError(f"{origin}: no !Sample_geo_accession line that names every sample; retrieve the file again")
    if len(set(accessions)) < len(accessions):
        raise InputError(f"{origin}: samples named more than once in !Sample_geo_accession; retrieve the file again")
    return accessions


def _sample_frame(fields: list[tuple[str, list[str]]], accessions: list[str], origin: str) -> pd.DataFrame:
    columns: dict[str, list[str]] = {}
    for key, values in fields:
        if len(values) != len(accessions):
            raise InputError(
                f"{origin}: !Sample_{key} has {len(values)} values for {len(accessions)} samples; retrieve it again"
            )
        if not key.startswith("characteristics_ch"):
            _put(columns, key, values, " | ")
            continue
        for position, value in enumerate(values):
            name, colon, content = value.partition(":")
            name, content = (name.strip(), content.strip()) if colon else (key, value)
            if not content and not colon:
                continue
            column = columns.setdefault(name, [""] * len(accessions))
            if column[position] and column[position] != content:
                content = f"{column[position]} | {content}"
            column[position] = content
    return pd.DataFrame(columns, index=pd.Index(accessions, name="sample"), dtype=object)


def _put(columns: dict[str, list[str]], key: str, values: list[str], joiner: str) -> None:
    """Add a header row; a key that GEO repeats is joined."""
    if key in columns:
        columns[key] = [
            f"{old}{joiner}{new}" if old and new else old or new for old, new in zip(columns[key], values, strict=True)
        ]
    else:
        columns[key] = values


def _supplements(header: str) -> list[str]:
    return [
        _unquote(line.split("\t", 1)[1])
        for line in header.split("\n")
        if line.startswith("!Series_supplementary_file") and "\t" in line
    ]


def _table(table: str, accessions: list[str], supplements: list[str], origin: str) -> pd.DataFrame:
    first, _, rest = table.partition("\n")
    names = [_unquote(name) for name in first.split("\t")]
    if not rest.strip():
        listed = f" The series lists: {shown(supplements)}." if supplements else ""
        raise InputError(
            f"{origin}: the matrix has no data table, only its header row: usual for sequencing series, whose counts "
            f"lie in suppl/.{listed} Read those files as a source of type tables, with the clinical columns in a table "
            "of their own"
        )
    if not names or names[0] != "ID_REF":
        raise InputError(f"{origin}: the data table must start with ID_REF, starts with {names[0]!r}")
    if len(set(names)) < len(names):
        raise InputError(f"{origin}: the data table names a sample more than once; retrieve the file again")
    if set(names[1:]) != set(accessions):
        differ = sorted(set(names[1:]) ^ set(accessions))
        raise InputError(f"{origin}: header and data table name different samples: {shown(differ)}")
    ids, values = _numbers(rest, len(names), origin)
    expression = pd.DataFrame(values, index=pd.Index(ids), columns=pd.Index(names[1:]))
    twice = sorted(set(expression.index[expression.index.duplicated()]))
    if twice:
        raise InputError(f"{origin}: probes named more than once: {shown(twice)}")
    expression = expression[accessions].T
    if expression.isna().all(axis=None):
        raise InputError(f"{origin}: the data table holds no value at all; the data lie in suppl/")
    expression.index.name, expression.columns.name = "sample", None
    return expression


def _numbers(rest: str, width: int, origin: str) -> tuple[list[str], np.ndarray]:
    lines = [line for line in rest.split("\n") if line.strip()]
    for number, line in enumerate(lines, start=1):
        if line.count("\t") != width - 1:
            raise InputError(
                f"{origin}: row {number} of the data table has {line.count(chr(9)) + 1} fields, its header {width}; "
                "retrieve the file again"
            )
    try:
        frame = pd.read_csv(
            io.StringIO("\n".join(lines)),
            sep="\t",
            header=None,
            index_col=0,
            dtype={0: str, **dict.fromkeys(range(1, width), np.float64)},
            na_values=["", "null", "NULL", "NA", "NaN"],
            keep_default_na=False,
            float_precision="round_trip",  # exactly the number that is written
            quotechar='"',
        )
        values = frame.to_numpy()
        ids = [str(name).strip() for name in frame.index]
        if np.isinf(values).any():
            raise InputError(
                f"{origin}: the data table holds infinite values, e.g. probe {ids[np.nonzero(np.isinf(values))[0][0]]}"
            )
    except (ValueError, pd.errors.ParserError) as error:
        if isinstance(error, InputError):
            raise
        cells = pd.DataFrame([[_unquote(cell) for cell in line.split("\t")] for line in lines]).set_index(0)
        values = to_numbers(cells, origin).to_numpy()
        ids = [str(name) for name in cells.index]
    if not all(ids) or "nan" in ids:
        raise InputError(f"{origin}: the data table has a row without ID_REF")
    return ids, values


def parse_platform(path: str | Path) -> pd.Series:
    """Symbol text by probe from a platform table.

    Parameters
    ----------
    path : path
        ``GPL*.annot[.gz]``, a SOFT file of the platform, or a plain table whose first columns are id and symbol.

    Returns
    -------
    Series of str
        Index = probe id; empty where a probe has no gene, several symbols joined by `` /// ``.

    Raises
    ------
    InputError
        No table, no column of gene symbols, duplicated probes.
    """
    lines = read_text(path).split("\n")
    begins = [i for i, line in enumerate(lines) if line.lower().startswith("!platform_table_begin")]
    if begins:
        ends = [i for i, line in enumerate(lines) if i > begins[0] and line.lower().startswith("!platform_table_end")]
        if not ends:
            raise InputError(f"{path}: no line !platform_table_end: the file is cut off; retrieve it again")
        lines = lines[begins[0] + 1 : ends[0]]
    else:
        lines = [line for line in lines if line and not line.startswith(("^", "!", "#"))]
    if len(lines) < 2:
        raise InputError(f"{path}: no platform table in it; give GPL*.annot.gz or GPL*_family.soft.gz")
    names = [_unquote(name) for name in lines[0].split("\t")]
    column = _symbol_column(names, str(path))
    ids, symbols = [], []
    for number, line in enumerate(lines[1:], start=2):
        if not line.strip():
            continue
        cells = line.split("\t")
        if len(cells) <= column and len(cells) > 1 and not begins:
            raise InputError(
                f"{path}: row {number} of the table has {len(cells)} fields, the symbol is field {column + 1}"
            )
        ids.append(_unquote(cells[0]))
        symbols.append(_join_symbols(_unquote(cells[column]) if len(cells) > column else ""))
    table = pd.Series(symbols, index=pd.Index(ids, name="id"), name="symbol", dtype=object)
    twice = sorted(set(table.index[table.index.duplicated()]))
    if twice:
        raise InputError(f"{path}: probes named more than once: {shown(twice)}")
    if not (table != "").any():
        raise InputError(f"{path}: column {names[column]!r} is empty; this platform table names no genes")
    return table


def _symbol_column(names: list[str], origin: str) -> int:
    for wanted in SYMBOL_COLUMNS:
        if wanted in names:
            return names.index(wanted)
    if "gene_assignment" in names:
        raise InputError(f"{origin}: only a gene_assignment column; use the .annot.gz of this platform")
    if len(names) == 2:
        return 1
    raise InputError(f"{origin}: no column of gene symbols; the columns are {shown(names, 20)}")


def _join_symbols(text: str) -> str:
    return " /// ".join(
        part.strip() for part in text.split("///") if part.strip() and part.strip() not in {"---", "NA"}
    )


def retrieve(request: GeoSource, base: str, destination: Path, settings: Retrieval) -> list[FileRecord]:
    """Bring the series matrix and the platform table of a series to a folder (see :mod:`.sources`)."""
    return retrieve_geo(
        base, request.accession, request.platform, destination, several_platforms=bool(request.several_platforms)
    )


def read(request: GeoSource, folder: Path, tables: Mapping[str, str]) -> RawCohort:
    """Read a retrieved series as a raw cohort (see :mod:`.sources`)."""
    path = folder / matrix_name(request.accession, request.platform, bool(request.several_platforms))
    matrix = parse_series_matrix(path)
    if matrix.platform and matrix.platform != request.platform:
        raise InputError(
            f"{path}: its samples are of {matrix.platform}, the study says platform: {request.platform}; correct "
            "the study, or set several_platforms: true"
        )
    places = [folder / f"{request.platform}.annot.gz", folder / f"{request.platform}_family.soft.gz"]
    table = next((item for item in places if item.is_file()), places[0])
    return RawCohort(
        expression=matrix.expression,
        scale=request.scale,
        gene_ids="probe",
        clinical=matrix.samples,
        patients=pd.Series(matrix.samples.index, index=matrix.samples.index),
        gene_map=parse_platform(table),
        provenance=read_provenance(folder),
        origin=f"{request.accession} ({path})",
        array=True,
    )
