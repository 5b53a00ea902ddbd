"""STAR-counts files of the GDC: one file, and the patients x genes matrix of many.

The format is that of the GDC's mRNA pipeline
(https://docs.gdc.cancer.gov/Data/Bioinformatics_Pipelines/Expression_mRNA_Pipeline/).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from amlprognosis.cohort import shown, step
from amlprognosis.errors import InputError
from amlprognosis.retrieve.files import read_text

COUNT_COLUMNS = (
    "unstranded",
    "stranded_first",
    "stranded_second",
    "tpm_unstranded",
    "fpkm_unstranded",
    "fpkm_uq_unstranded",
)
# Columns by the words of a study (GdcSource.values).
VALUE_COLUMNS = {
    "counts": "unstranded",
    "tpm": "tpm_unstranded",
    "fpkm": "fpkm_unstranded",
    "fpkm_uq": "fpkm_uq_unstranded",
}
SUMMARY_ROWS = ("N_unmapped", "N_multimapping", "N_noFeature", "N_ambiguous")
_GENE = r"^ENSG\d{11}(\.\d+)?(_PAR_Y)?$"
_PAR = r"_PAR_Y$"
_MODEL = re.compile(r"#\s*gene-model:\s*(.*)")


@dataclass(frozen=True)
class StarCounts:
    """A STAR-counts file.

    Attributes
    ----------
    genes : pyarrow array of str (n_genes,)
        Gene ids as in the file, the ``N_`` rows dropped.
    names : pyarrow array of str (n_genes,)
        Gene names.
    values : ndarray of float64 (n_genes,)
        Values of the column that was asked for.
    model : str
        Gene model as the first line states it, such as ``GENCODE v36``; empty where it does not.
    """

    genes: pa.Array
    names: pa.Array
    values: np.ndarray
    model: str


def read_star_counts(path: str | Path, column: str = "unstranded") -> StarCounts:
    """Read a STAR-counts file.

    Parameters
    ----------
    path : path
        ``*.rna_seq.augmented_star_gene_counts.tsv``, plain or gzipped.
    column : str
        One of ``COUNT_COLUMNS``.

    Returns
    -------
    StarCounts

    Raises
    ------
    InputError
        Not such a file (older HTSeq files are named as such), a line with too few or too many fields, a value that is
        missing, negative or (for counts) broken, a gene id that is none or stands twice, the four ``N_`` rows not at
        the top; with the line.
    """
    if column not in COUNT_COLUMNS:
        raise InputError(f"{column!r}: no column of STAR-counts files; known: {', '.join(COUNT_COLUMNS)}")
    text = read_text(path)
    model, start, comments = _comments(text, path)
    head = text[start:].partition("\n")[0]
    header = head.split("\t")
    _check_header(header, column, path)
    if not text.endswith("\n"):
        raise InputError(f"{path}: the last line is not ended: the file is cut off; retrieve it again")
    table = _table(text[start:], column)
    if table is None:
        raise InputError(f"{path}: {_fault(text[start:], header, column, comments)}; retrieve it again")
    genes, names = (table[name].combine_chunks() for name in ("gene_id", "gene_name"))
    values = table[column].combine_chunks().to_numpy(zero_copy_only=False)
    first = len(SUMMARY_ROWS)
    line = comments + 2  # of the first row
    if genes[:first].to_pylist() != list(SUMMARY_ROWS):
        found = shown(genes[:first].to_pylist()) or "nothing"
        raise InputError(
            f"{path}: line {line}: the rows {', '.join(SUMMARY_ROWS)} do not stand below the header, but {found}: "
            "the file is damaged; retrieve it again"
        )
    genes, names, values, line = genes[first:], names[first:], values[first:], line + first
    if not len(genes):
        raise InputError(f"{path}: no genes in it; retrieve it again")
    known = pc.match_substring_regex(genes, _GENE).to_numpy(zero_copy_only=False)
    if not known.all():
        row = int(np.flatnonzero(~known)[0])
        raise InputError(
            f"{path}: line {line + row}: {genes[row].as_py()!r} is no Ensembl gene; retrieve the file again"
        )
    if len(pc.unique(genes)) < len(genes):
        row = int(np.flatnonzero(pd.Index(genes.to_pandas()).duplicated())[0])
        raise InputError(f"{path}: line {line + row}: gene {genes[row].as_py()} is repeated; retrieve the file again")
    wrong = ~np.isfinite(values) | (values < 0)
    if not column.startswith(("tpm", "fpkm")):
        wrong |= values != np.floor(values)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise InputError(
            f"{path}: line {line + row}: gene {genes[row].as_py()} has no valid {column} value; retrieve the file again"
        )
    return StarCounts(genes, names, values, model)


def _comments(text: str, path: str | Path) -> tuple[str, int, int]:
    """Gene model, where the header starts, and the number of lines before it."""
    model, start, lines = "", 0, 0
    while text.startswith("#", start):
        end = text.find("\n", start)
        if end < 0:
            raise InputError(f"{path}: only comments; retrieve it again")
        found = _MODEL.match(text, start, end)
        model = found[1].strip() if found else model
        start, lines = end + 1, lines + 1
    return model, start, lines


def _check_header(header: list[str], column: str, path: str | Path) -> None:
    absent = [name for name in ("gene_id", "gene_name", column) if name not in header]
    if absent and len(header) == 2 and header[0].startswith(("ENSG", "__")):
        raise InputError(
            f"{path}: counts of HTSeq, from GDC releases before 32, not STAR counts; retrieve the project again"
        )
    if absent:
        raise InputError(f"{path}: not a STAR-counts file: no column {shown(absent)}; its header is {shown(header)}")
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise InputError(f"{path}: columns named more than once: {shown(twice)}; retrieve it again")


def _table(text: str, column: str) -> pa.Table | None:
    """Columns of a file, or None where a line or a value is not as it should be."""
    try:
        return csv.read_csv(
            pa.BufferReader(text.encode()),
            parse_options=csv.ParseOptions(
                delimiter="\t", quote_char=False, double_quote=False, ignore_empty_lines=False
            ),
            convert_options=csv.ConvertOptions(
                include_columns=["gene_id", "gene_name", column],
                column_types={"gene_id": pa.string(), "gene_name": pa.string(), column: pa.float64()},
                null_values=[""],
                strings_can_be_null=False,
            ),
        )
    except pa.ArrowInvalid:
        return None


def _fault(text: str, header: list[str], column: str, comments: int) -> str:
    """What is wrong with a file that could not be read: the first line with a fault."""
    place = header.index(column)
    for number, line in enumerate(text.split("\n")[:-1], start=comments + 1):
        fields = line.split("\t")
        if len(fields) != len(header):
            return f"line {number} has {len(fields)} fields, the header {len(header)}"
        if number > comments + 1:
            try:
                float(fields[place] or "0")
            except ValueError:
                return f"line {number}, column {column}: {fields[place]!r} is not a number"
    return f"column {column} holds what is not a number"


def read_matrix(
    paths: Sequence[Path], patients: Sequence[str], column: str
) -> tuple[pd.DataFrame, pd.Series, list[dict[str, Any]]]:
    """Matrix of many STAR-counts files.

    Parameters
    ----------
    paths : sequence of path
        A file per patient.
    patients : sequence of str
        Their patients.
    column : str
        As :func:`read_star_counts`.

    Returns
    -------
    matrix : DataFrame of float64 (n_patients, n_genes)
        Columns = Ensembl ids without version; ``_PAR_Y`` rows added to the X copy (see :func:`merge_par`).
    gene_map : Series
        Gene name by Ensembl id without version.
    steps : list of dict
        Gene model, and the rows that were added to others.

    Raises
    ------
    InputError
        As :func:`read_star_counts`; files of different gene models or with different genes.
    """
    first: StarCounts | None = None
    matrix = np.empty((0, 0))
    for row, path in enumerate(paths):
        file = read_star_counts(path, column)
        if first is None:
            first, matrix = file, np.empty((len(paths), len(file.genes)))
        if file.model != first.model:
            raise InputError(
                f"{path}: gene model {file.model or 'not stated'}, but {first.model or 'not stated'} in "
                f"{paths[0].name}; files of one GDC release only: delete the folder and retrieve the project again"
            )
        if file.genes.equals(first.genes):
            matrix[row] = file.values
            continue
        order = pc.index_in(first.genes, file.genes)
        if len(file.genes) != len(first.genes) or order.null_count:
            differ = sorted(set(file.genes.to_pylist()) ^ set(first.genes.to_pylist()))
            raise InputError(
                f"{path}: other genes than {paths[0].name}: {shown(differ)}; files of one GDC release only: delete "
                "the folder and retrieve the project again"
            )
        matrix[row] = file.values[order.to_numpy()]
    if first is None:
        raise InputError("no STAR-counts file to read")
    ids, names = pd.Index(first.genes.to_pylist()), first.names.to_pandas().to_numpy(dtype=object)
    counts, gene_map, merged = merge_par(ids, names, matrix, list(patients))
    return (
        counts,
        gene_map,
        [
            step("gene model", f"{first.model or 'not stated in the files'}, column {column}"),
            step(
                "PAR_Y genes",
                "added to the X copy of the gene",
                len(ids),
                counts.shape[1],
                f"{merged} Y copies of pseudoautosomal genes",
            ),
        ],
    )


def merge_par(
    ids: pd.Index, names: np.ndarray, matrix: np.ndarray, patients: list[str]
) -> tuple[pd.DataFrame, pd.Series, int]:
    """Cut the version suffix of Ensembl ids and add ``_PAR_Y`` rows to the X copy.

    Counts, TPM and FPKM are sums over reads with one and the same length of the gene, so that the copies add up.

    Parameters
    ----------
    ids : Index of str (n_rows,)
        Ids as in the file.
    names : ndarray of str (n_rows,)
        Gene names.
    matrix : ndarray of float64 (n_patients, n_rows)
        Values.
    patients : list of str
        Rows of the matrix.

    Returns
    -------
    counts : DataFrame of float64 (n_patients, n_genes)
    gene_map : Series
        Gene name by Ensembl id without version.
    merged : int
        Number of ``_PAR_Y`` rows that were added to an X copy.

    Raises
    ------
    InputError
        Two versions of one gene.
    """
    par = np.asarray(ids.str.endswith("_PAR_Y"), dtype=bool)
    bare = pd.Index(ids.str.replace(_PAR, "", regex=True).str.replace(r"\.\d+$", "", regex=True))
    copies = np.flatnonzero(par & bare.isin(bare[~par]))
    kept = np.setdiff1d(np.arange(len(ids)), copies)
    genes = bare[kept]
    if not genes.is_unique:
        twice = genes[genes.duplicated()]
        raise InputError(f"genes with several versions in one STAR-counts file: {shown(twice)}; retrieve it again")
    counts = matrix[:, kept]
    for row, place in zip(copies, genes.get_indexer(bare[copies]), strict=True):
        counts[:, place] += matrix[:, row]
    table = pd.DataFrame(counts, index=pd.Index(patients, dtype=object), columns=genes)
    return table, pd.Series(names[kept], index=genes), len(copies)
