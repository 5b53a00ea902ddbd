"""Archives with a count file per sample (``GSE..._RAW.tar``), joined to one matrix.

Known forms: gene and count (HTSeq, with or without header), STAR's ``ReadsPerGene.out.tab`` (its unstranded column),
featureCounts, RSEM's ``genes.results``.

References
----------
Dobin 2013, doi:10.1093/bioinformatics/bts635; Anders 2015, doi:10.1093/bioinformatics/btu638; Liao 2014,
doi:10.1093/bioinformatics/btt656; Li 2011, doi:10.1186/1471-2105-12-323.
"""

from __future__ import annotations

import gzip
import posixpath
import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from amlprognosis.cohort import shown, step
from amlprognosis.errors import InputError
from amlprognosis.retrieve.archives import list_members, read_members
from amlprognosis.retrieve.files import GZIP_MAGIC
from amlprognosis.retrieve.supplement_tables import SupplementTable, read_supplement

_TEXT = re.compile(r"\.(txt|tsv|tab|counts?|htseq|results|out)(\.gz)?$", re.IGNORECASE)
# What may stand above the genes; any other first line is a gene, so that its count is never taken for a header.
_GENE_HEADER = re.compile(
    r"^(#?gene([ _.]?(id|name|symbol))?s?|id|symbol|ensembl([ _.]?(gene[ _.]?)?id)?|name|)$", re.IGNORECASE
)
_FEATURE_COUNTS = ["Chr", "Start", "End", "Strand", "Length"]
_RSEM = {"counts": "expected_count", "tpm": "TPM"}


def read_count_archive(path: str | Path, scale: str) -> tuple[SupplementTable, list[dict[str, Any]]]:
    """Join the count files of an archive.

    Parameters
    ----------
    path : path
        ``.tar`` or ``.tar.gz``; members such as ``GSM1234567_name.txt.gz``.
    scale : {"counts", "tpm", ...}
        Which column of RSEM files is read.

    Returns
    -------
    table : SupplementTable
        A column per file: its GSM accession, or its name without ending where it has none.
    steps : list of dict
        What was joined and left out.

    Raises
    ------
    InputError
        No count file, a file of another form, or files whose genes differ; the member is named.
    """
    names = [name for name in list_members(path) if _TEXT.search(name)]
    if not names:
        raise InputError(f"{path}: no text files in it; it holds {shown(list_members(path), 5)}")
    values: dict[str, np.ndarray] = {}
    index: pd.Index | None = None
    first, kind, counters = "", "", 0
    for name, content in read_members(path, set(names).__contains__):
        origin = f"{path}: {name}"
        column = column_name(name)
        table, form = _one(_unzipped(content, origin), scale, origin)
        series = table.values.iloc[:, 0]
        if column in values:
            raise InputError(f"{origin}: a second file of {column}; keep one")
        if index is None:
            index, first, kind, counters = series.index, name, form, table.counters
            repeated = index[index.duplicated()]
            if len(repeated):
                raise InputError(f"{origin}: genes named more than once: {shown(sorted(set(repeated)))}")
        elif form != kind:
            raise InputError(f"{origin}: {form}, but {first}: {kind}; one archive, one form")
        elif not series.index.equals(index):
            series = _reordered(series, index, origin, first)
        values[column] = series.to_numpy()
    assert index is not None
    frame = pd.DataFrame(values, index=index)
    detail = f"{len(values)} files joined ({kind})"
    return SupplementTable(frame, None, counters), [step("count files", detail, len(index), len(index))]


def column_name(member: str) -> str:
    """Sample of a member: its GSM accession, else its name without endings."""
    name = posixpath.basename(member)
    match = re.match(r"GSM\d+", name)
    return match[0] if match else _TEXT.sub("", name)


def _unzipped(content: bytes, origin: str) -> str:
    if content.startswith(GZIP_MAGIC):
        try:
            content = gzip.decompress(content)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise InputError(f"{origin}: the gzip file is cut off or damaged ({error}); retrieve it again") from None
    if content.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\x00" in content:
        raise InputError(f"{origin}: UTF-16 or binary, not a count file")
    try:
        text = content.removeprefix(b"\xef\xbb\xbf").decode("utf-8")
    except UnicodeDecodeError:
        raise InputError(f"{origin}: not text in UTF-8") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _one(text: str, scale: str, origin: str) -> tuple[SupplementTable, str]:
    """Genes and one column of values of a count file, and its form."""
    lines = [line for line in text.split("\n") if line.strip() and not line.startswith("#")]
    if not lines:
        raise InputError(f"{origin}: no rows; retrieve it again")
    header = [cell.strip().strip('"') for cell in lines[0].split("\t")]
    if header[1:6] == _FEATURE_COUNTS and len(header) == 7:
        return read_supplement(origin, annotation_columns=_FEATURE_COUNTS, text=text, origin=origin), "featureCounts"
    if "expected_count" in header and header[0] == "gene_id":
        wanted = _RSEM.get(scale)
        if wanted is None:
            raise InputError(f"{origin}: a file of RSEM has expected_count and TPM; set scale to counts or tpm")
        rest = [name for name in header[1:] if name != wanted]
        return read_supplement(origin, annotation_columns=rest, text=text, origin=origin), f"RSEM {wanted}"
    if len(header) == 4 and header[0] == "N_unmapped":
        names, rest = ["gene", "unstranded", "forward", "reverse"], ["forward", "reverse"]
        table = read_supplement(origin, annotation_columns=rest, text=text, header=names, origin=origin)
        return table, "STAR, unstranded counts"
    if len(header) == 2:
        own = None if _GENE_HEADER.match(header[0]) else ["gene", "count"]
        return read_supplement(origin, text=text, header=own, origin=origin), "gene and count"
    raise InputError(
        f"{origin}: {len(header)} columns ({shown(header, 8)}); known are gene and count, STAR, featureCounts and RSEM "
        "files of genes. Join the files to one matrix yourself and read it as a source of type tables"
    )


def _reordered(series: pd.Series, index: pd.Index, origin: str, first: str) -> pd.Series:
    repeated = series.index[series.index.duplicated()]
    if len(repeated):
        raise InputError(f"{origin}: genes named more than once: {shown(sorted(set(repeated)))}")
    differ = sorted(set(series.index) ^ set(index))
    if differ:
        raise InputError(f"{origin}: its genes are not those of {first}; they differ in {shown(differ, 5)}")
    return series.reindex(index)
