"""Arrays: quantile normalisation."""

from __future__ import annotations

import numpy as np
import pandas as pd


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
    result = np.full((n_samples, width), np.nan)
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
