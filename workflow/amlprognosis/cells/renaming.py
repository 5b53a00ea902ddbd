"""Gene names of an atlas brought to other names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from amlprognosis.cells.reporting import report_row
from amlprognosis.errors import InputError

_ENSEMBL = re.compile(r"ENSG\d{11}(\.\d+)?")
Rename = Callable[[Sequence[str]], tuple[Sequence[str | None], Sequence[Any]]] | Mapping[str, str]


def approved_names(names: Sequence[str]) -> tuple[list[str], list[dict[str, str]]]:
    """Bring symbols and Ensembl ids to approved symbols by the frozen table; an id that it lacks stays.

    Returns
    -------
    list of str
        One per name, in order.
    list of dict
        ``{"step", "item", "reason"}`` for each name that changed or could not be told for sure.
    """
    from amlprognosis.normalize.gene_table import symbols_of
    from amlprognosis.normalize.genes import rename_genes

    ids = [i for i, name in enumerate(names) if _ENSEMBL.fullmatch(name)]
    result, report = list(names), []
    for i, symbol in zip(ids, symbols_of([names[i] for i in ids], "ensembl"), strict=True):
        if symbol:
            report.append({"step": "Ensembl id", "item": names[i], "reason": symbol})
            result[i] = symbol
        else:
            report.append({"step": "Ensembl id without a symbol, kept", "item": names[i], "reason": ""})
    renamed, told = rename_genes(result)
    return renamed, [*report, *told]


def new_names(genes: Sequence[str], rename: Rename) -> tuple[list[str], list[Any]]:
    """New name of each gene; empty where it is dropped.

    Parameters
    ----------
    genes : sequence of str
    rename : callable or mapping
        A callable gets all names and returns (new names in the same order, report rows with a ``step``, which
        are counted by it); None, NaN or ``""`` drops the gene. A mapping renames what it holds and leaves the
        rest; see :func:`approved_names`.

    Returns
    -------
    list of str
    list
        Report rows of the callable.
    """
    if callable(rename):
        given, told = rename(list(genes))
        if len(given) != len(genes):
            raise InputError(f"gene renaming returned {len(given)} names for {len(genes)} genes")
    else:
        given, told = [rename.get(gene, gene) for gene in genes], []
    return ["" if pd.isna(name) else str(name) for name in given], list(told)


def rename_columns(
    counts: sparse.csr_matrix, genes: Sequence[str], names: Sequence[str], told: Sequence[Any] = ()
) -> tuple[sparse.csr_matrix, list[str], dict[str, Any]]:
    """Name the columns anew and sum those that come to share a name.

    Parameters
    ----------
    counts : csr_matrix, shape (n_cells, n_genes)
    genes, names : sequence of str
        Old and new names, from :func:`new_names`.
    told : sequence
        Report rows of the renaming, counted by ``step`` in the reason.

    Returns
    -------
    csr_matrix, shape (n_cells, n_new)
    list of str
        New names, sorted.
    dict
        Report row.
    """
    changed = sum(bool(new) and new != old for old, new in zip(genes, names, strict=True))
    dropped = list(names).count("")
    kept = sorted(set(names) - {""})
    place = {name: i for i, name in enumerate(kept)}
    pairs = np.array([(i, place[name]) for i, name in enumerate(names) if name], dtype=np.int64).reshape(-1, 2)
    ones = np.ones(len(pairs), dtype=counts.dtype)
    sums = sparse.csr_matrix((ones, (pairs[:, 0], pairs[:, 1])), shape=(len(names), len(kept)))
    result = (counts @ sums).tocsr()
    result.sort_indices()
    merged = len(genes) - dropped - len(kept)
    reason = f"{changed} renamed, {merged} summed into another of the same name, {dropped} without a name"
    kinds = Counter(str(row["step"]) for row in told if isinstance(row, Mapping) and "step" in row)
    reason += "".join(f"; {kind}: {count}" for kind, count in sorted(kinds.items()))
    return result, kept, report_row("all", "gene names", "genes", len(genes) - len(kept), len(kept), reason)


def joined_ids(genes: Sequence[str], names: Sequence[str], ids: Mapping[str, str]) -> dict[str, str]:
    """Ids by new name; those of genes that come to share a name are joined by ``;``."""
    found: dict[str, set[str]] = {}
    for old, new in zip(genes, names, strict=True):
        if new and old in ids:
            found.setdefault(new, set()).update(ids[old].split(";"))
    return {name: ";".join(sorted(each)) for name, each in found.items()}
