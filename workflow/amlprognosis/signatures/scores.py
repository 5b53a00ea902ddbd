"""Published linear signatures: a fixed weight per gene, score = sum of weight x expression."""

from __future__ import annotations

import math
from pathlib import Path

from amlprognosis.errors import InputError
from amlprognosis.signatures.gene_sets import read_text


def read_signature(path: str | Path) -> dict[str, float]:
    """Read a coefficient table with the columns ``gene`` (or ``gene_current``) and ``weight``.

    Parameters
    ----------
    path : str or Path
        Tab-separated text, plain or gzip; lines that start with ``#`` are comments, further columns are ignored.

    Returns
    -------
    dict of str to float
        Weight per gene, in the file's order; retired gene names have become the approved ones.

    Raises
    ------
    InputError
        If a column is missing, a weight is no finite number, a gene is repeated (also under two of its names), there
        are no rows, or every weight is 0; with the line.
    """
    # Here and not above: it loads pandas, and whoever only asks for names has no need of it.
    from amlprognosis.normalize.genes import rename_genes

    lines = [
        (number, line.split("\t"))
        for number, line in enumerate(read_text(path).splitlines(), start=1)
        if line.strip() and not line.startswith("#")
    ]
    if not lines:
        raise InputError(f"{path}: empty; expected a table with the columns gene and weight")
    header = [name.strip() for name in lines[0][1]]
    gene_column = "gene_current" if "gene_current" in header and "gene" not in header else "gene"
    for column in (gene_column, "weight"):
        if column not in header:
            raise InputError(f"{path}: no column {column!r}; found {', '.join(header)}")
    at_gene, at_weight = header.index(gene_column), header.index("weight")
    weights: dict[str, float] = {}
    written: dict[str, str] = {}
    for number, fields in lines[1:]:
        if len(fields) <= max(at_gene, at_weight):
            raise InputError(f"{path}, line {number}: {len(fields)} fields, the header has {len(header)}")
        gene = fields[at_gene].strip()
        try:
            weight = float(fields[at_weight])
        except ValueError:
            weight = math.nan
        if not math.isfinite(weight):
            raise InputError(f"{path}, line {number}: weight of {gene!r} is {fields[at_weight]!r}, not a number")
        if not gene:
            raise InputError(f"{path}, line {number}: no gene; give its symbol")
        approved = rename_genes([gene])[0][0]
        if approved in weights:
            other = f"; {written[approved]!r} is the same gene" if written[approved] != gene else ""
            raise InputError(f"{path}, line {number}: gene {gene!r} is repeated{other}; leave one of the lines")
        weights[approved], written[approved] = weight, gene
    if not weights:
        raise InputError(f"{path}: no genes below the header")
    if not any(weights.values()):
        raise InputError(f"{path}: every weight is 0; give the published weights")
    return weights
