"""From the probes of an array to genes."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from amlprognosis.cohort import shown, step
from amlprognosis.errors import InputError
from amlprognosis.normalize.gene_table import SEVERAL
from amlprognosis.normalize.genes import _column_means

# Names of transcripts that share a probe with their host gene; they do not make a probe unspecific.
_COMPANIONS = ("MIR", "SNOR", "SCARNA", "LOC", "LINC")
# Affymetrix names of probe sets, most specific first: unique; transcripts of one gene; several genes of a family;
# probes that may bind others; then older arrays: gene group, family, incomplete, rules dropped, ambiguous, like.
_SUFFIXES = ("", "a", "s", "x", "g", "f", "i", "r", "b", "l")
_PROBE_SET = re.compile(r"^.+?(?:_([a-z]))?_at$")
_WORDS = {
    "max_mean": "the probe with the highest mean",
    "median": "the median of the probes",
    "best_annotated": "the most specific probe by its name and the platform table, whatever its values",
}


def probe_symbols(gene_map: pd.Series) -> tuple[pd.Series, dict[str, int]]:
    """One symbol per probe.

    Parameters
    ----------
    gene_map : Series of str
        Symbol text by probe, several joined by `` /// ``.

    Returns
    -------
    symbols : Series of str
        Empty where a probe has no gene or several. Small RNAs and provisional names (MIR..., SNOR..., LOC...,
        LINC...) that share a probe with one named gene do not make it unspecific.
    counts : dict
        ``without``, ``several``: probes without and with several genes.
    """
    texts = gene_map.fillna("").astype(str)
    symbols = texts.str.strip()
    several = symbols.str.contains("///", regex=False)
    for probe in symbols.index[several]:
        parts = list(dict.fromkeys(part.strip() for part in symbols[probe].split("///") if part.strip()))
        named = [part for part in parts if not part.startswith(_COMPANIONS)]
        symbols[probe] = parts[0] if len(parts) == 1 else named[0] if len(named) == 1 else ""
    unspecific = several & (symbols == "")
    return symbols, {"without": int((texts.str.strip() == "").sum()), "several": int(unspecific.sum())}


def specificity(probe: str, text: str) -> tuple[int, int, str]:
    """How specific a probe is, smaller is better, by its name and the platform table alone.

    Parameters
    ----------
    probe : str
        Its name.
    text : str
        Symbols of the platform table.

    Returns
    -------
    tuple
        Place of its name's ending among those of Affymetrix (``_at``, ``_a_at``, ``_s_at``, ``_x_at``, then those of
        older arrays; other makers' names are all alike, and controls ``AFFX`` last); whether the table names other
        transcripts beside its gene; its name.
    """
    match = _PROBE_SET.match(probe)
    kind = (match.group(1) or "") if match else ""
    place = len(_SUFFIXES) + 1 if probe.startswith("AFFX") else len(_SUFFIXES)
    if not probe.startswith("AFFX") and kind in _SUFFIXES:
        place = _SUFFIXES.index(kind)
    return place, int(len({part.strip() for part in text.split("///")}) > 1), probe


def probes_to_genes(
    matrix: pd.DataFrame, symbols: pd.Series, rule: str, origin: str, texts: pd.Series | None = None
) -> tuple[pd.DataFrame, pd.Series, list[dict[str, Any]]]:
    """From probes to genes.

    Parameters
    ----------
    matrix : DataFrame of shape (n_samples, n_probes)
        log2 values.
    symbols : Series of str
        Approved symbol by probe, empty where there is none.
    rule : {"max_mean", "median", "best_annotated"}
        The probe with the highest mean (first among equals); the median of the gene's probes; or the most specific
        probe that was measured (:func:`specificity`).
    origin : str
        How errors call the source.
    texts : Series of str, optional
        The platform table as it is, for ``best_annotated``.

    Returns
    -------
    matrix : DataFrame of shape (n_samples, n_genes)
        Columns sorted.
    probes : Series
        Probe(s) by gene.
    steps : list of dict

    Raises
    ------
    InputError
        No probe of the matrix has a gene: a table of another platform.

    Notes
    -----
    ``best_annotated`` takes the same probe in every cohort of a platform, and depends on nobody's expression: names
    and table decide. ``max_mean`` looks at the expression of the cohort itself, of a validation cohort, too (never at
    an outcome), and may take different probes in two cohorts. Beyond names, probe sets can be ranked by where their
    probes align (jetset: Li Q et al. BMC Bioinformatics 2011;12:474, doi:10.1186/1471-2105-12-474).
    """
    of = symbols.reindex(matrix.columns).fillna("")
    with_gene = (of != "").to_numpy()
    if not with_gene.any():
        raise InputError(
            f"{origin}: none of the {matrix.shape[1]} probes ({shown(matrix.columns, 3)}) is in the platform table "
            f"({shown(symbols.index, 3)}); is the platform right?"
        )
    columns = np.flatnonzero(with_gene)
    genes = of.to_numpy(dtype=object)[columns]
    values = matrix.to_numpy(dtype=float)
    names = matrix.columns.to_numpy(dtype=object)
    if rule == "median":
        found, of_gene, probes = _medians(values, columns, genes, names)
    else:
        rank = _by_mean(values) if rule == "max_mean" else _by_name(values, names, columns, texts)
        order = np.lexsort((rank[columns], pd.factorize(genes, sort=True)[0]))
        first = np.ones(len(order), dtype=bool)
        first[1:] = genes[order][1:] != genes[order][:-1]
        chosen = order[first]
        found, of_gene, probes = values[:, columns[chosen]], genes[chosen], names[columns[chosen]]
    result = pd.DataFrame(found, index=matrix.index, columns=pd.Index(of_gene, dtype=object))
    without = "no gene, or several, in the platform table"
    steps = [
        step("probes without one gene", "not used", matrix.shape[1], len(columns), without),
        step("probes to genes", _WORDS[rule], len(columns), result.shape[1], "several probes of a gene"),
    ]
    return result, pd.Series(probes, index=of_gene), steps


def _by_mean(values: np.ndarray) -> np.ndarray:
    """Rank of each probe by falling mean, first among equals."""
    return _ranks(np.argsort(-_column_means(values), kind="stable"))


def _by_name(values: np.ndarray, names: np.ndarray, columns: np.ndarray, texts: pd.Series | None) -> np.ndarray:
    """Rank of each probe by :func:`specificity`; probes without any value, which were not measured, are last."""
    table = {} if texts is None else texts.fillna("").astype(str).to_dict()
    unmeasured = np.isnan(values).all(axis=0)
    keys = [(bool(unmeasured[k]), *specificity(str(names[k]), table.get(names[k], ""))) for k in range(len(names))]
    key: Callable[[int], tuple[bool, int, int, str]] = keys.__getitem__
    return _ranks(np.array(sorted(range(len(names)), key=key)))


def _ranks(order: np.ndarray) -> np.ndarray:
    ranks = np.empty(len(order), dtype=int)
    ranks[order] = np.arange(len(order))
    return ranks


def _medians(
    values: np.ndarray, columns: np.ndarray, genes: np.ndarray, names: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Median of each gene's probes, the genes, and the names of their probes."""
    order = np.argsort(pd.factorize(genes, sort=True)[0], kind="stable")
    columns, genes = columns[order], genes[order]
    starts = np.flatnonzero(np.concatenate(([True], genes[1:] != genes[:-1])))
    parts = np.split(columns, starts[1:])
    found = np.empty((len(values), len(parts)))
    for position, part in enumerate(parts):
        found[:, position] = values[:, part[0]] if len(part) == 1 else _row_medians(values[:, part])
    return found, genes[starts], np.array([SEVERAL.join(map(str, names[part])) for part in parts], dtype=object)


def _row_medians(values: np.ndarray) -> np.ndarray:
    """Median of the values present in each row; NaN where there is none."""
    ordered = np.sort(values, axis=1)
    count = np.isfinite(ordered).sum(axis=1)
    row = np.arange(len(ordered))
    low, high = np.maximum(count - 1, 0) // 2, count // 2
    middle = (ordered[row, low] + ordered[row, np.minimum(high, ordered.shape[1] - 1)]) / 2
    return np.where(count > 0, middle, np.nan)
