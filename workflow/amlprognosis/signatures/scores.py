"""Published linear signatures: a fixed weight per gene, score = sum of weight x expression."""

from __future__ import annotations

import math
import re
from pathlib import Path

from amlprognosis.errors import InputError
from amlprognosis.signatures.gene_sets import read_text, unquoted

# What float() takes beyond this (1_000, digits of other scripts) no program writes.
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


def read_signature(path: str | Path) -> dict[str, float]:
    """Read a coefficient table with the columns ``gene`` (or ``gene_current``) and ``weight``.

    Parameters
    ----------
    path : str or Path
        Tab-separated text, plain or gzip; lines above the header that start with ``#`` are comments, further columns
        are ignored.

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
        (number, line.split("\t")) for number, line in enumerate(read_text(path).split("\n"), start=1) if line.strip()
    ]
    # Further down a # may be a damaged gene, which would be lost.
    while lines and lines[0][1][0].startswith("#"):
        del lines[0]
    if not lines:
        raise InputError(f"{path}: empty; expected a table with the columns gene and weight")
    header = [unquoted(name, f"{path}, line {lines[0][0]}") for name in lines[0][1]]
    gene_column = "gene_current" if "gene_current" in header and "gene" not in header else "gene"
    for column in (gene_column, "weight"):
        if column not in header:
            raise InputError(f"{path}: no column {column!r}; found {', '.join(header)}")
        if header.count(column) > 1:
            raise InputError(f"{path}, line {lines[0][0]}: two columns {column!r}; rename or remove one")
    at_gene, at_weight = header.index(gene_column), header.index("weight")
    weights: dict[str, float] = {}
    written: dict[str, str] = {}
    for number, fields in lines[1:]:
        place = f"{path}, line {number}"
        if len(fields) != len(header):
            raise InputError(f"{place}: {len(fields)} fields, the header has {len(header)}")
        gene, text = unquoted(fields[at_gene], place), unquoted(fields[at_weight], place)
        if gene.startswith("#"):
            raise InputError(f"{place}: a comment among the rows ({gene[:40]!r}); move it above the header")
        if not _NUMBER.fullmatch(text) or not math.isfinite(float(text)):
            raise InputError(f"{place}: weight of {gene!r} is {text!r}, not a number")
        weight = float(text)
        if not gene:
            raise InputError(f"{place}: no gene; give its symbol")
        approved = rename_genes([gene])[0][0]
        if approved in weights:
            other = f"; {written[approved]!r} is the same gene" if written[approved] != gene else ""
            raise InputError(f"{place}: gene {gene!r} is repeated{other}; leave one of the lines")
        weights[approved], written[approved] = weight, gene
    if not weights:
        raise InputError(f"{path}: no genes below the header")
    if not any(weights.values()):
        raise InputError(f"{path}: every weight is 0; give the published weights")
    return weights
