"""Correction of known batches (ComBat without covariates), learned on some patients and applied to others.

What is learned of a gene is an affine map per batch. Nothing but expression and the batch's name is looked at, so that
no outcome enters; and because the map is learned on the training part of a fold, a patient held out there has no part
in it. Batches that the training part does not know, or knows by too few patients, stay as they are.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from amlprognosis.errors import InputError
from amlprognosis.normalize.platform import EXPRESSION

# With fewer patients a mean and a variance per gene are mostly noise.
SMALLEST_BATCH = 5
_CONVERGED, _MOST_ROUNDS = 1e-8, 500


@dataclass(frozen=True)
class BatchMaps:
    """What was learned: value -> value x slope + shift, per batch and gene.

    Attributes
    ----------
    columns : tuple of str
        Expression columns.
    maps : mapping of batch to (slope, shift), each ndarray (n_columns,)
        The batches that were learned; others stay as they are.
    """

    columns: tuple[str, ...]
    maps: Mapping[Hashable, tuple[np.ndarray, np.ndarray]]

    def apply(self, features: pd.DataFrame, labels: pd.Series) -> pd.DataFrame:
        """Correct patients by their batch.

        Parameters
        ----------
        features : DataFrame (n, p), index = patient
            Any of the learned columns, and any others, which pass through.
        labels : Series, index = patient
            Batch; missing where it is not known.

        Returns
        -------
        DataFrame (n, p)
            A copy. Patients of a batch that was not learned, or of none, are unchanged.
        """
        at = pd.Index(self.columns).get_indexer(features.columns)
        here = np.flatnonzero(at >= 0)
        own = labels.reindex(features.index).to_numpy(dtype=object)
        values = features.iloc[:, here].to_numpy(dtype=float, copy=True)
        for batch, (slope, shift) in self.maps.items():
            rows = own == batch
            values[rows] = values[rows] * slope[at[here]] + shift[at[here]]
        corrected = pd.DataFrame(values, index=features.index, columns=features.columns[here])
        if len(here) == features.shape[1]:
            return corrected
        rest = features.iloc[:, np.flatnonzero(at < 0)]
        return pd.concat([corrected, rest], axis=1).reindex(columns=features.columns)


def learn_batches(expression: pd.DataFrame, labels: pd.Series) -> BatchMaps:
    """Learn location and scale per batch, shrunken over genes by empirical Bayes.

    Parameters
    ----------
    expression : DataFrame (n, p), index = patient
        log2 expression; NaN = missing. Its ``expression:`` columns are used.
    labels : Series, index = patient
        Batch; missing where it is not known. Patients without one, and batches of fewer than five patients, are not
        learned from.

    Returns
    -------
    BatchMaps
        Without any map if fewer than two batches are large enough.

    Notes
    -----
    The parametric empirical Bayes of Johnson, Li and Rabinovic (2007), doi:10.1093/biostatistics/kxj037. A gene that
    does not vary within a batch stays as it is, everywhere.
    """
    columns = tuple(column for column in expression.columns if column.startswith(EXPRESSION))
    own = labels.reindex(expression.index)
    sizes = own.value_counts()
    batches = sorted((batch for batch, size in sizes.items() if size >= SMALLEST_BATCH), key=str)
    if len(batches) < 2:
        return BatchMaps(columns, {})
    values = expression[list(columns)].to_numpy(dtype=float)
    texts = own.to_numpy(dtype=object)
    parts = [values[texts == batch] for batch in batches]
    slope, shift = _combat(parts)
    return BatchMaps(columns, {batch: (slope[k], shift[k]) for k, batch in enumerate(batches)})


def _combat(parts: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Slopes and shifts (n_batches, p) that bring each part (n_k, p) to the common location and scale."""
    counts = np.array([(~np.isnan(part)).sum(axis=0) for part in parts], dtype=float)
    usable = np.asarray((counts >= 2).all(axis=0))
    for part in parts:
        usable[usable] = np.nanmax(part[:, usable], axis=0) > np.nanmin(part[:, usable], axis=0)
    slope, shift = np.ones(counts.shape), np.zeros(counts.shape)
    if usable.sum() < 2:
        return slope, shift
    counts, parts = counts[:, usable], [part[:, usable] for part in parts]
    means = np.array([np.nanmean(part, axis=0) for part in parts])
    squares = np.array([np.nansum((part - mean) ** 2, axis=0) for part, mean in zip(parts, means, strict=True)])
    weights = np.array([len(part) for part in parts], dtype=float)
    centre = weights @ means / weights.sum()
    spread = np.sqrt(squares.sum(axis=0) / counts.sum(axis=0))
    gamma, delta = (means - centre) / spread, squares / (counts - 1) / spread**2
    for k in range(len(parts)):
        location, scale = _shrunken(gamma[k], delta[k], counts[k])
        own = 1.0 / np.sqrt(scale)
        slope[k, usable] = own
        shift[k, usable] = centre - (centre + location * spread) * own
    return slope, shift


def _shrunken(gamma: np.ndarray, delta: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Posterior location and scale (p,) of one batch: normal and inverse gamma priors, by their moments over genes."""
    prior_mean, prior_variance = gamma.mean(), gamma.var(ddof=1)
    mean, variance = delta.mean(), delta.var(ddof=1)
    if prior_variance <= 0 or variance <= 0:
        return gamma, delta
    a, b = (2 * variance + mean**2) / variance, (mean * variance + mean**3) / variance
    location, scale = gamma, delta
    for _ in range(_MOST_ROUNDS):
        new = (prior_variance * n * gamma + scale * prior_mean) / (prior_variance * n + scale)
        residual = (n - 1) * delta + n * (gamma - new) ** 2
        wider = (0.5 * residual + b) / (n / 2 + a - 1)
        change = max(np.abs(new - location).max(), np.abs(wider - scale).max())
        location, scale = new, wider
        if change < _CONVERGED:
            break
    return location, scale


@dataclass(frozen=True)
class Batches:
    """Batches of the training patients, and the expression from which each training part learns its correction.

    Fits that look at some of the genes only get what a fit of all genes would: the correction is always learned on
    all expression columns.

    Attributes
    ----------
    column : str
        Name of the cohort's column.
    labels : Series, index = patient
        Batch; None where it is missing.
    expression : DataFrame (n, p), index = patient
        All expression columns of the training matrix.
    """

    column: str
    labels: pd.Series = field(repr=False)
    expression: pd.DataFrame = field(repr=False)

    def learn(self, patients: pd.Index) -> BatchMaps:
        """Correction learned on some patients."""
        return learn_batches(self.expression.loc[patients], self.labels.loc[patients])

    def corrected(self, train: pd.DataFrame, *others: pd.DataFrame) -> list[pd.DataFrame]:
        """Correct a training part, and other patients by what was learned on it.

        Parameters
        ----------
        train : DataFrame, index = patient
            Features of the training part, not corrected.
        *others : DataFrame, index = patient
            Patients held out.
        """
        maps = self.learn(train.index)
        return [maps.apply(part, self.labels) for part in (train, *others)]

    def reordered(self, order: np.ndarray) -> Batches:
        """The batches when patients, sorted by id, get the profiles of others; a profile keeps its batch."""
        labels, expression = self.labels.sort_index(), self.expression.sort_index()
        moved = labels.iloc[order].set_axis(labels.index), expression.iloc[order].set_axis(expression.index)
        return Batches(self.column, *moved)


def batch_labels(obs: pd.DataFrame, column: str, place: str) -> pd.Series:
    """Batch of every patient of the training cohort.

    Parameters
    ----------
    obs : DataFrame, index = patient
    column : str
        A column of groups.
    place : str
        How errors call the cohort.

    Returns
    -------
    Series of str or None, index = patient

    Raises
    ------
    InputError
        No such column, or fewer than two batches of at least five patients: there is nothing to correct.
    """
    if column not in obs:
        known = ", ".join(str(name) for name in obs.columns)
        raise InputError(f"features.batch: {place} has no column {column!r}; it has {known}")
    found = obs[column].astype(object)
    labels = found.where(found.notna(), None).map(lambda value: None if value is None else str(value))
    labels.index = pd.Index([str(name) for name in obs.index], name="patient", dtype=object)
    sizes = labels.value_counts()
    if (sizes >= SMALLEST_BATCH).sum() < 2:
        counted = ", ".join(f"{batch}: {size}" for batch, size in sorted(sizes.items())[:8]) or "no value at all"
        raise InputError(
            f"features.batch: {column!r} of {place} has fewer than two groups of at least {SMALLEST_BATCH} patients "
            f"({counted}): nothing can be corrected; leave features.batch out"
        )
    return labels.rename("batch")
