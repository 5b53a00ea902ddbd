"""Counts: size factors and the variance-stabilising transformation of DESeq2, with a frozen reference.

After Anders and Huber (Genome Biol 2010;11:R106, doi:10.1186/gb-2010-11-10-r106) and Love, Huber and Anders (Genome
Biol 2014;15:550, doi:10.1186/s13059-014-0550-8); the defaults are those of DESeq2's blind ``vst``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from scipy.special import gammaln
from scipy.stats import trim_mean

from amlprognosis.errors import InputError
from amlprognosis.normalize.reference import CountsReference, rounded, rows

SMALLEST, LARGEST = 1e-8, 10.0
LOWEST_MEAN = 0.5
TREND_GENES, TREND_MEAN = 1000, 5.0
TREND_ROUNDS = 10
FIT_ROUNDS, FIT_TOLERANCE = 25, 1e-8
GRID_POINTS, SECTIONS = 40, 45


@dataclass(frozen=True, kw_only=True)
class VstReference(CountsReference):
    """What a new sample needs to be transformed: the profile of geometric means and the trend of the dispersions.

    Attributes
    ----------
    asymptote, extra : float
        The dispersion of a gene of mean m is asymptote + extra / m.

    Notes
    -----
    The profile holds the genes with counts in every sample. DESeq2 brings size factors against given geometric means
    to a mean of 1 within the new samples, so that a sample by itself always has 1; here they stay as they are, and a
    sample has one value, whoever is beside it.
    """

    method: ClassVar[str] = "vst"
    label: ClassVar[str] = "size factors and variance-stabilising transformation"
    unit: ClassVar[str] = "variance-stabilised counts (log2)"
    asymptote: float
    extra: float

    @property
    def told(self) -> str:
        """Its numbers, for a report."""
        if self.extra == 0:
            return f"dispersion {self.asymptote:.3g} at every mean count: no trend could be fitted to these counts"
        return f"dispersion {self.asymptote:.3g} + {self.extra:.3g} / mean count"

    def _factor(self, row: np.ndarray, expected: np.ndarray, there: np.ndarray, library: float) -> float:
        seen = row > 0
        if not seen.any():
            return np.nan
        return float(np.exp(np.median(np.log(row[seen]) - np.log(expected[there][seen]))))

    def values(self, counts: pd.DataFrame, library: np.ndarray, factors: np.ndarray) -> pd.DataFrame:
        """log2 values whose variance hardly depends on their mean."""
        found = rows(counts) / np.asarray(factors, dtype=float)[:, None]
        a, b = self.asymptote, self.extra
        # log2((1 + b + 2 a q + 2 sqrt(a q (1 + b + a q))) / (4 a)), in place
        root = np.sqrt(a * found * (1 + b + a * found))
        found *= 2 * a
        found += 1 + b
        found += 2 * root
        found /= 4 * a
        return pd.DataFrame(np.log2(found, out=found), index=counts.index, columns=counts.columns)


def learn_vst(counts: pd.DataFrame, library: np.ndarray) -> VstReference:
    """Reference of a cohort, blind to every property of its samples.

    Parameters
    ----------
    counts : DataFrame of shape (n_samples, n_genes)
        Counts of the expressed genes.
    library : ndarray of shape (n_samples,)
        Not used; as for the other methods.

    Raises
    ------
    InputError
        No gene has counts in every sample, or the counts vary no more than by chance.
    """
    values = rows(counts)
    everywhere = (values > 0).all(axis=0)
    if not everywhere.any():
        raise InputError("no gene has counts in every sample: normalization.counts: vst needs some; use tmm")
    profile = rounded(pd.Series(np.exp(np.log(values[:, everywhere]).mean(axis=0)), counts.columns[everywhere]))
    first = VstReference(profile=profile, asymptote=1.0, extra=0.0)
    factors = first.factors(counts, library)
    normal = values / factors[:, None]
    chosen = _genes_of_trend(normal.mean(axis=0))
    means, dispersions = normal[:, chosen].mean(axis=0), gene_dispersions(values[:, chosen], factors)
    asymptote, extra = dispersion_trend(means, dispersions)
    return VstReference(profile=profile, asymptote=asymptote, extra=extra)


def _genes_of_trend(means: np.ndarray) -> np.ndarray:
    """1,000 genes with a mean above 5, even in its rank; all genes where there are fewer."""
    high = np.flatnonzero(means > TREND_MEAN)
    if high.size < TREND_GENES:
        return np.flatnonzero(means > 0)
    order = high[np.argsort(means[high], kind="stable")]
    return np.asarray(order[np.round(np.linspace(0, high.size - 1, TREND_GENES)).astype(int)])


def gene_dispersions(counts: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Gene-wise dispersions of negative binomial counts with one mean per gene.

    Parameters
    ----------
    counts : ndarray of shape (n_samples, n_genes)
        Counts, each gene with one in a sample at least.
    factors : ndarray of shape (n_samples,)
        Size factors.

    Returns
    -------
    ndarray of shape (n_genes,)
        Where the Cox-Reid adjusted likelihood is highest; the estimate by moments, where that is as likely or says
        that the gene varies no more than by chance.
    """
    n = len(counts)
    normal = counts / factors[:, None]
    mean, variance = normal.mean(axis=0), normal.var(axis=0, ddof=1)
    level = np.maximum(mean, 1.0)
    rough = (((normal - level) ** 2 - level) / level**2).sum(axis=0) / (n - 1)
    moments = (variance - (1 / factors).mean() * mean) / mean**2
    largest = max(LARGEST, float(n))
    start = np.clip(np.minimum(np.maximum(rough, 0.0), moments), SMALLEST, largest)
    expected = np.maximum(mean[None, :] * factors[:, None], LOWEST_MEAN)

    def likelihood(log_dispersion: np.ndarray) -> np.ndarray:
        return _adjusted_likelihood(counts, expected, np.exp(log_dispersion))

    best = _highest(likelihood, np.log(SMALLEST / 10), np.log(largest), counts.shape[1])
    initial, reached = likelihood(np.log(start)), likelihood(best)
    stays = (start <= SMALLEST) | (reached < initial + np.abs(initial) / 1e6)
    found = np.where(stays, start, np.exp(best))
    return np.asarray(np.clip(found, SMALLEST, largest))


def _adjusted_likelihood(counts: np.ndarray, expected: np.ndarray, dispersion: np.ndarray) -> np.ndarray:
    """Log-likelihood of each gene (n_genes,) but for a constant, adjusted for its mean after Cox and Reid."""
    inverse = 1 / dispersion
    terms = gammaln(counts + inverse) - gammaln(inverse)
    terms -= counts * np.log(expected + inverse) + inverse * np.log1p(expected * dispersion)
    weight = (1 / (1 / expected + dispersion)).sum(axis=0)
    return np.asarray(terms.sum(axis=0) - 0.5 * np.log(weight))


def _highest(function: Callable[[np.ndarray], np.ndarray], low: float, high: float, n: int) -> np.ndarray:
    """Place between ``low`` and ``high`` where each of ``n`` functions is highest: a grid, then golden sections."""
    grid = np.linspace(low, high, GRID_POINTS)
    best = np.argmax([function(np.full(n, point)) for point in grid], axis=0)
    left, right = grid[np.maximum(best - 1, 0)], grid[np.minimum(best + 1, GRID_POINTS - 1)]
    golden = (np.sqrt(5) - 1) / 2
    inner, outer = right - golden * (right - left), left + golden * (right - left)
    at_inner, at_outer = function(inner), function(outer)
    for _ in range(SECTIONS):
        lower = at_inner >= at_outer
        left, right = np.where(lower, left, inner), np.where(lower, outer, right)
        new = np.where(lower, right - golden * (right - left), left + golden * (right - left))
        at_new = function(new)
        inner, outer = np.where(lower, new, outer), np.where(lower, inner, new)
        at_inner, at_outer = np.where(lower, at_new, at_outer), np.where(lower, at_inner, at_new)
    return np.asarray((left + right) / 2)


def dispersion_trend(means: np.ndarray, dispersions: np.ndarray) -> tuple[float, float]:
    """Trend of the dispersions by the mean: asymptote + extra / mean, by a gamma model, outliers left out in rounds.

    Returns
    -------
    asymptote, extra : float
        Where the trend cannot be fitted, the trimmed mean of the dispersions and 0, as DESeq2's ``fitType="mean"``.

    Raises
    ------
    InputError
        No gene varies more than by chance.
    """
    used = dispersions > 100 * SMALLEST
    if not used.any():
        raise InputError(
            "the counts vary no more than by chance, so that normalization.counts: vst has nothing to go by; use tmm"
        )
    means, dispersions = means[used], dispersions[used]
    found = np.array([0.1, 1.0])
    for _ in range(TREND_ROUNDS + 1):
        ratio = dispersions / (found[0] + found[1] / means)
        good = (ratio > 1e-4) & (ratio < 15)
        before = found
        fitted, converged = _gamma_fit(1 / means[good], dispersions[good], before)
        if not (np.isfinite(fitted).all() and (fitted > 0).all()):
            break
        found = fitted
        if (np.log(found / before) ** 2).sum() < 1e-6 and converged:
            return float(found[0]), float(found[1])
    return float(trim_mean(dispersions, 0.001)), 0.0


def _gamma_fit(x: np.ndarray, y: np.ndarray, start: np.ndarray) -> tuple[np.ndarray, bool]:
    """Intercept and slope of a gamma model with identity link, by iterated least squares as R's ``glm``."""
    found, design = start, np.column_stack([np.ones_like(x), x])
    deviance = np.inf
    for _ in range(FIT_ROUNDS):
        weight = 1 / (design @ found)
        new = np.linalg.lstsq(design * weight[:, None], y * weight, rcond=None)[0]
        for _ in range(FIT_ROUNDS):
            if (design @ new > 0).all():
                break
            new = (new + found) / 2
        else:
            return np.full(2, np.nan), False
        mu = design @ new
        before, deviance = deviance, float(2 * ((y - mu) / mu - np.log(y / mu)).sum())
        found = new
        if abs(deviance - before) / (abs(deviance) + 0.1) < FIT_TOLERANCE:
            return found, True
    return found, False
