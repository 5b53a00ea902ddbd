"""Published linear signatures: a fixed weight per gene, score = sum of weight x expression."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

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
        Weight per gene, in the file's order.

    Raises
    ------
    InputError
        If a column is missing, a weight is no finite number, a gene is repeated, or there are no rows.
    """
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
        if not gene or gene in weights:
            raise InputError(f"{path}, line {number}: gene {gene!r} is {'repeated' if gene else 'empty'}")
        weights[gene] = weight
    if not weights:
        raise InputError(f"{path}: no genes below the header")
    return weights


def linear_score(expression: pd.DataFrame, weights: Mapping[str, float]) -> tuple[pd.Series, list[str]]:
    """Score patients by a published linear signature.

    Parameters
    ----------
    expression : DataFrame (n_patients, n_genes)
        Log2 expression, columns are gene symbols (without block prefix).
    weights : mapping of str to float
        Published weight per gene.

    Returns
    -------
    score : Series (n_patients,)
        Sum of weight x expression over the genes that are there; NaN where one of their values is missing.
    genes_missing : list of str
        Genes of the signature without a column, sorted.

    Raises
    ------
    InputError
        If no gene of the signature is there.
    """
    present = [gene for gene in weights if gene in expression.columns]
    missing = sorted(gene for gene in weights if gene not in expression.columns)
    if not present:
        raise InputError(
            f"none of the signature's {len(weights)} genes has a column; check that symbols are approved ones"
        )
    values = expression[present].to_numpy(float)
    score = values @ np.array([float(weights[gene]) for gene in present])
    return pd.Series(score, index=expression.index, name="score"), missing
