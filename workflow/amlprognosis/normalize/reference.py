"""What a single new sample of counts needs to be normalised as the training cohort was."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields, replace
from typing import ClassVar, Self

import numpy as np
import pandas as pd

from amlprognosis.errors import InputError

# Counts per million added before the logarithms of which a profile is the mean.
PROFILE_PRIOR = 0.5
# Average count added before the logarithm, as edgeR's cpm(log=TRUE) does.
PRIOR_COUNT = 2.0


@dataclass(frozen=True, kw_only=True)
class CountsReference(ABC):
    """Frozen reference of a method that normalises counts, each sample by itself.

    Attributes
    ----------
    profile : Series of float
        A mean of the cohort by gene, never the counts of one patient; its genes are those that the method looks at.
    """

    method: ClassVar[str]
    label: ClassVar[str]
    unit: ClassVar[str]
    profile: pd.Series

    def numbers(self) -> dict[str, float]:
        """All but the profile, for JSON."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "profile"}

    def factors(self, counts: pd.DataFrame, library: np.ndarray) -> np.ndarray:
        """What tells the samples' scales apart, each sample by itself.

        Parameters
        ----------
        counts : DataFrame of shape (n_samples, n_genes)
            Counts of all genes that the cohort shares with the reference, and of others, which are passed over.
        library : ndarray of shape (n_samples,)
            Sums of the counts of all genes.

        Returns
        -------
        ndarray of shape (n_samples,)

        Raises
        ------
        InputError
            No gene in common, or a sample that the method cannot bring to a scale.
        """
        places = counts.columns.get_indexer(self.profile.index)
        there = places >= 0
        if not there.any():
            raise InputError("no gene is shared with the frozen reference of the counts")
        values = rows(counts)
        expected = self.profile.to_numpy(dtype=float)
        found = np.array(
            [self._factor(row[places[there]], expected, there, size) for row, size in zip(values, library, strict=True)]
        )
        wrong = ~(np.isfinite(found) & (found > 0))
        if wrong.any():
            names = ", ".join(str(name) for name in counts.index[wrong][:8])
            raise InputError(
                f"too few genes with counts for normalization.counts: {self.method} in {int(wrong.sum())} samples "
                f"({names}); leave them out, or use tmm"
            )
        return found

    @property
    @abstractmethod
    def told(self) -> str:
        """Its numbers, for a report."""

    @abstractmethod
    def _factor(self, row: np.ndarray, expected: np.ndarray, there: np.ndarray, library: float) -> float:
        """Factor of a sample: ``row`` holds its counts of the genes of the profile that are ``there``."""

    @abstractmethod
    def values(self, counts: pd.DataFrame, library: np.ndarray, factors: np.ndarray) -> pd.DataFrame:
        """log2 values (n_samples, n_genes) of counts, by the samples' libraries and factors."""

    def normalize(self, counts: pd.DataFrame) -> pd.DataFrame:
        """log2 values of the counts of all genes (n_samples, n_genes), each sample by itself."""
        library = libraries(counts)
        return self.values(counts, library, self.factors(counts, library))


@dataclass(frozen=True, kw_only=True)
class CpmReference(CountsReference):
    """Reference of a method that ends in log2 counts per million (see :func:`mean_profile`).

    Attributes
    ----------
    log_mean_factor : float
        Mean log factor of the cohort, by which edgeR centres the factors.
    mean_library : float
        Mean effective library size of the cohort, which scales the prior count.
    prior_count : float
        Average count added before the logarithm.
    """

    log_mean_factor: float = 0.0
    mean_library: float = 1.0
    prior_count: float = PRIOR_COUNT

    def centred(self, counts: pd.DataFrame, library: np.ndarray) -> Self:
        """The same reference, with factors whose product over the samples of its cohort is 1."""
        raw = self.factors(counts, library)
        centre = float(np.log(raw).mean())
        return replace(self, log_mean_factor=centre, mean_library=float((library * (raw / np.exp(centre))).mean()))

    @property
    def told(self) -> str:
        """Its numbers, for a report."""
        return f"prior count {self.prior_count:g}"

    def values(self, counts: pd.DataFrame, library: np.ndarray, factors: np.ndarray) -> pd.DataFrame:
        """log2 counts per million with a prior count in proportion to the library, as edgeR's ``cpm(log=TRUE)``."""
        effective = (np.asarray(library, dtype=float) * factors)[:, None]
        prior = self.prior_count * effective / self.mean_library
        values = rows(counts) + prior
        values /= effective + 2 * prior
        values *= 1e6
        return pd.DataFrame(np.log2(values, out=values), index=counts.index, columns=counts.columns)


def rows(counts: pd.DataFrame) -> np.ndarray:
    """Values with each sample in one piece, so that sums over it do not depend on the samples beside it."""
    return np.ascontiguousarray(counts.to_numpy(dtype=float))


def libraries(counts: pd.DataFrame) -> np.ndarray:
    """Library sizes (n_samples,): sums over the genes."""
    return np.asarray(rows(counts).sum(axis=1))


def mean_profile(counts: pd.DataFrame, library: np.ndarray) -> tuple[pd.Series, float]:
    """The cohort's mean expression, as a sample of counts.

    The geometric mean over the patients of (share of the library + 0.5 per million), less 0.5 per million, times the
    mean library: no single patient's counts.

    Returns
    -------
    profile : Series of float
        Genes without a count in any sample are left out.
    library_size : float
        Its library.
    """
    values = rows(counts)
    prior = PROFILE_PRIOR / 1e6
    total = np.zeros(values.shape[1])
    for row, size in zip(values, library, strict=True):
        total += np.log(row / size + prior)
    size = float(np.mean(library))
    profile = np.maximum(np.exp(total / len(values)) - prior, 0.0) * size
    used = (values > 0).any(axis=0)
    return rounded(pd.Series(profile, index=counts.columns)[used]), size


def rounded(profile: pd.Series) -> pd.Series:
    """Ten significant digits: a small file, and the same numbers in it as in memory."""
    return pd.Series([float(f"{value:.10g}") for value in profile], index=profile.index, dtype=float)
