"""Counts: upper quartile and log2 counts per million."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from amlprognosis.normalize.reference import CpmReference, mean_profile

QUARTILE = 0.75


@dataclass(frozen=True, kw_only=True)
class UpperQuartileReference(CpmReference):
    """What a new sample needs to be normalised by its upper quartile.

    Notes
    -----
    The quartile is that of the genes of the profile. Where a sample lacks some of them, it is multiplied by the ratio
    of the profile's quartiles with and without them, so that a table of fewer genes is not taken for a larger library.
    """

    method: ClassVar[str] = "upper_quartile"
    label: ClassVar[str] = "upper quartile and log2-CPM"
    unit: ClassVar[str] = "log2-CPM after upper-quartile normalisation"

    def _factor(self, row: np.ndarray, expected: np.ndarray, there: np.ndarray, library: float) -> float:
        quartile = np.quantile(row, QUARTILE)
        if not there.all():
            shared = np.quantile(expected[there], QUARTILE)
            quartile *= np.quantile(expected, QUARTILE) / shared if shared > 0 else np.nan
        return float(quartile / library / np.exp(self.log_mean_factor))


def learn_upper_quartile(counts: pd.DataFrame, library: np.ndarray) -> UpperQuartileReference:
    """Reference of a cohort.

    Parameters
    ----------
    counts : DataFrame of shape (n_samples, n_genes)
        Counts of the expressed genes.
    library : ndarray of shape (n_samples,)
        Library sizes (all genes).

    References
    ----------
    Bullard JH et al. BMC Bioinformatics 2010;11:94, doi:10.1186/1471-2105-11-94; factors as in edgeR.
    """
    profile, _ = mean_profile(counts, library)
    return UpperQuartileReference(profile=profile).centred(counts, library)
