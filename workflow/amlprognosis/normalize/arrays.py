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
                total += present if present.size == width else quantiles_at(present, grid)
        reference = total / max(1, int(np.isfinite(values).any(axis=1).sum()))
    result = np.full((n_samples, width), np.nan)
    for position in range(n_samples):
        present = np.flatnonzero(np.isfinite(values[position]))
        if present.size:
            row = values[position, present]
            order = np.argsort(row, kind="stable")
            result[position, present[order]] = quantiles_at(reference, _tied_places(row[order]))
    return pd.DataFrame(result, index=matrix.index, columns=matrix.columns), reference


def quantiles_at(ordered: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Quantiles of sorted values at places between 0 (the first) and 1 (the last)."""
    exact = places * (ordered.size - 1)
    below = exact.astype(np.intp)
    above = np.minimum(below + 1, ordered.size - 1)
    return np.asarray(ordered[below] + (exact - below) * (ordered[above] - ordered[below]))


def _tied_places(ordered: np.ndarray) -> np.ndarray:
    """Place of each of sorted values between 0 (smallest) and 1 (largest); ties share their mean place."""
    n = ordered.size
    if n == 1:
        return np.array([0.5])
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    if starts.size == n:
        return np.linspace(0, 1, n)
    ends = np.concatenate((starts[1:], [n])) - 1
    return np.asarray(np.repeat((starts + ends) / 2, ends - starts + 1) / (n - 1))
