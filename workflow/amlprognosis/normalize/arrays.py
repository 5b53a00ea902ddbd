"""Arrays: scale, floor, quantile normalisation, probes to genes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from amlprognosis.cohort import shown, step
from amlprognosis.errors import InputError
from amlprognosis.normalize.gene_table import SEVERAL
from amlprognosis.normalize.genes import _column_means

# Names of transcripts that share a probe with their host gene; they do not make a probe unspecific.
_COMPANIONS = ("MIR", "SNOR", "SCARNA", "LOC", "LINC")


def detect_scale(values: np.ndarray) -> tuple[str, str]:
    """Tell the scale of a matrix by its quantiles.

    Parameters
    ----------
    values : ndarray
        The matrix; NaN is passed over.

    Returns
    -------
    scale : {"log2", "linear", "log2_ratio"}
    evidence : str
        The quantiles and the rule that decided.

    Notes
    -----
    Linear when the 99th percentile exceeds 100, or the range exceeds 50 with a positive lower quartile (the rule of
    GEO2R);
    log2 ratios when at least a fifth of the values is negative and the median lies within 1 of zero; log2 otherwise.
    """
    present = values[np.isfinite(values)]
    if present.size == 0:
        raise InputError("the matrix holds no value")
    low, lower, median, upper, high, top = np.quantile(present, [0, 0.25, 0.5, 0.75, 0.99, 1])
    negative = float((present < 0).mean())
    shape = (
        f"minimum {low:.3g}, quartiles {lower:.3g}/{median:.3g}/{upper:.3g}, 99% {high:.3g}, "
        f"maximum {top:.3g}, {negative:.1%} negative"
    )
    if high > 100 or (top - low > 50 and lower > 0):
        return "linear", f"{shape}: too wide for logarithms"
    if negative >= 0.2 and abs(median) <= 1:
        return "log2_ratio", f"{shape}: around zero"
    return "log2", f"{shape}: range of log2 values"


def to_log2(matrix: pd.DataFrame, scale: str, origin: str) -> tuple[pd.DataFrame, str, list[dict[str, Any]]]:
    """Bring a matrix to log2.

    Parameters
    ----------
    matrix : DataFrame of shape (n_samples, n_columns)
        NaN = missing.
    scale : {"auto", "log2", "linear", "log2_ratio"}
        What the study says.

    Returns
    -------
    matrix : DataFrame
        log2 values; linear values become log2(1 + value), values below zero (background) count as zero.
    scale : str
        The scale that was assumed.
    steps : list of dict

    Raises
    ------
    InputError
        The study's scale cannot be that of these numbers.
    """
    values = matrix.to_numpy(dtype=float)
    found, evidence = detect_scale(values)
    if scale == "log2" and found == "linear":
        raise InputError(f"{origin}: scale: log2, but {evidence}; set scale: linear")
    if scale == "linear" and found == "log2_ratio":
        raise InputError(f"{origin}: scale: linear, but {evidence}; set scale: log2_ratio")
    if scale == "linear" and np.nanmax(values) < 30:
        raise InputError(f"{origin}: scale: linear, but {evidence}; set scale: log2")
    used = found if scale == "auto" else scale
    steps = [step("scale", f"{used} ({'detected' if scale == 'auto' else 'as the study says'}): {evidence}")]
    if used == "linear":
        below = int((values < 0).sum())
        matrix = pd.DataFrame(np.log2(1 + np.maximum(values, 0)), index=matrix.index, columns=matrix.columns)
        steps.append(step("log2", f"log2(1 + value); {below} values below zero count as zero"))
    return matrix, used, steps


def quantile_normalize(matrix: pd.DataFrame, reference: np.ndarray | None = None) -> tuple[pd.DataFrame, np.ndarray]:
    """Quantile normalisation that bears missing values.

    Parameters
    ----------
    matrix : DataFrame of shape (n_samples, n_columns)
        log2 values.
    reference : ndarray, optional
        Frozen reference quantiles on an even grid; a single sample can be normalised with it.

    Returns
    -------
    matrix : DataFrame
        Ties get the mean of their quantiles; NaN stays NaN.
    reference : ndarray
        Mean quantiles of the samples.

    References
    ----------
    Bolstad BM et al. Bioinformatics 2003;19:185-193, doi:10.1093/bioinformatics/19.2.185. Missing values as in limma.
    """
    values = matrix.to_numpy(dtype=float)
    n_samples, width = values.shape
    grid = np.linspace(0, 1, width)
    if reference is None:
        total = np.zeros(width)
        for row in values:
            present = np.sort(row[np.isfinite(row)])
            if present.size:
                total += present if present.size == width else np.interp(grid, _grid(present.size), present)
        reference = total / max(1, int(np.isfinite(values).any(axis=1).sum()))
    target = np.linspace(0, 1, len(reference))
    result = np.full_like(values, np.nan)
    for position in range(n_samples):
        present = np.isfinite(values[position])
        row = values[position, present]
        if row.size:
            result[position, present] = np.interp(_tied_places(row), target, reference)
    return pd.DataFrame(result, index=matrix.index, columns=matrix.columns), reference


def _grid(n: int) -> np.ndarray:
    return np.linspace(0, 1, n) if n > 1 else np.array([0.5])


def _tied_places(row: np.ndarray) -> np.ndarray:
    """Place of each value between 0 (smallest) and 1 (largest); ties share their mean place."""
    n = row.size
    if n == 1:
        return np.array([0.5])
    order = np.argsort(row, kind="stable")
    ordered = row[order]
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    ends = np.concatenate((starts[1:], [n])) - 1
    ranks = np.repeat((starts + ends) / 2, ends - starts + 1)
    places = np.empty(n)
    places[order] = ranks / (n - 1)
    return places


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
        LINC...) that
        share a probe with one named gene do not make it unspecific.
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


def probes_to_genes(
    matrix: pd.DataFrame, symbols: pd.Series, rule: str, origin: str
) -> tuple[pd.DataFrame, pd.Series, list[dict[str, Any]]]:
    """From probes to genes.

    Parameters
    ----------
    matrix : DataFrame of shape (n_samples, n_probes)
        log2 values.
    symbols : Series of str
        Approved symbol by probe, empty where there is none.
    rule : {"max_mean", "median"}
        The probe with the highest mean (first among equals), or the median of the gene's probes.

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
    """
    of = symbols.reindex(matrix.columns).fillna("")
    with_gene = (of != "").to_numpy()
    if not with_gene.any():
        raise InputError(
            f"{origin}: none of the {matrix.shape[1]} probes ({shown(matrix.columns, 3)}) is in the platform table "
            f"({shown(symbols.index, 3)}); is the platform right?"
        )
    kept = matrix.loc[:, with_gene]
    genes = of[with_gene].to_numpy(dtype=object)
    if rule == "median":
        values = kept.T.groupby(genes, sort=True).median().T
        probes = pd.Series(kept.columns, index=genes).groupby(level=0, sort=True).agg(SEVERAL.join)
    else:
        means = _column_means(kept.to_numpy(dtype=float))
        order = np.lexsort((np.arange(len(genes)), -means, pd.factorize(genes, sort=True)[0]))
        first = np.ones(len(order), dtype=bool)
        first[1:] = genes[order][1:] != genes[order][:-1]
        chosen = order[first]
        values = kept.iloc[:, chosen].set_axis(genes[chosen], axis=1)
        probes = pd.Series(kept.columns[chosen], index=genes[chosen])
    words = {"max_mean": "the probe with the highest mean", "median": "the median of the probes"}
    steps = [
        step(
            "probes without one gene",
            "not used",
            matrix.shape[1],
            kept.shape[1],
            "no gene, or several, in the platform table",
        ),
        step("probes to genes", words[rule], kept.shape[1], values.shape[1], "several probes of a gene"),
    ]
    values.columns = pd.Index(values.columns, dtype=object)
    return values, probes, steps
