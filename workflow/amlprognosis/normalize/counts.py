"""RNA-seq counts: low-expression filter, TMM and log2 counts per million, with a frozen reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from amlprognosis.cohort import shown, step
from amlprognosis.errors import InputError

PRIOR_COUNT = 2.0
LOG_RATIO_TRIM = 0.3
SUM_TRIM = 0.05


@dataclass(frozen=True)
class TmmReference:
    """What a single new sample needs to be normalised as its cohort was.

    Attributes
    ----------
    counts : Series of float
        Counts of the reference sample by gene.
    library_size : float
        Its library size (all genes).
    log_mean_factor : float
        Mean log factor of the cohort, by which edgeR centres the factors.
    mean_library : float
        Mean effective library size of the cohort, which scales the prior count.
    prior_count : float
        Average count added before the logarithm.
    """

    counts: pd.Series
    library_size: float
    log_mean_factor: float
    mean_library: float
    prior_count: float = PRIOR_COUNT

    def numbers(self) -> dict[str, float]:
        """The scalar part, for JSON."""
        return {
            "library_size": self.library_size,
            "log_mean_factor": self.log_mean_factor,
            "mean_library": self.mean_library,
            "prior_count": self.prior_count,
        }


def check_counts(counts: pd.DataFrame, origin: str) -> None:
    """Refuse numbers that cannot be counts.

    Raises
    ------
    InputError
        Missing or negative values, a sample without counts, or values that look like logarithms.
    """
    values = counts.to_numpy(dtype=float)
    for wrong, what in ((~np.isfinite(values), "missing or infinite"), (values < 0, "negative")):
        if wrong.any():
            row, column = (int(place[0]) for place in np.nonzero(wrong))
            raise InputError(
                f"{origin}: {what} count: sample {counts.index[row]}, gene {counts.columns[column]}; is scale: "
                f"counts right?"
            )
    if values.max(initial=0) < 30 and (values != np.floor(values)).any():
        raise InputError(
            f"{origin}: the largest value is {values.max():.3g}: these are logarithms, not counts; set scale: log2"
        )
    empty = values.sum(axis=1) == 0
    if empty.any():
        raise InputError(f"{origin}: samples without a single count: {shown(counts.index[empty])}; remove them")


def expressed_genes(counts: pd.DataFrame, min_count: float, min_share: float) -> np.ndarray:
    """Genes with at least ``min_count`` counts in at least ``min_share`` of the samples (and in one at least).

    Returns
    -------
    ndarray of bool of shape (n_genes,)
    """
    needed = max(1, int(np.ceil(min_share * len(counts) - 1e-9)))
    return (counts.to_numpy() >= max(min_count, np.nextafter(0, 1))).sum(axis=0) >= needed


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
    ratio = np.log2((observed / library) / (expected / reference_library))
    level = (np.log2(observed / library) + np.log2(expected / reference_library)) / 2
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


def reference_sample(counts: np.ndarray, library: np.ndarray) -> int:
    """Position of the sample whose upper quartile is nearest to the mean of the upper quartiles, as in edgeR."""
    quartile = np.quantile(counts, 0.75, axis=1) / library
    if np.median(quartile) < 1e-20:
        return int(np.argmax(np.sqrt(counts).sum(axis=1)))
    return int(np.argmin(np.abs(quartile - quartile.mean())))


def tmm_factors(counts: pd.DataFrame, library: np.ndarray | None = None) -> tuple[pd.Series, TmmReference]:
    """TMM normalisation factors of a cohort.

    Parameters
    ----------
    counts : DataFrame of shape (n_samples, n_genes)
        Counts.
    library : ndarray of shape (n_samples,), optional
        Library sizes; the row sums by default.

    Returns
    -------
    factors : Series
        Factors whose product is 1.
    reference : TmmReference
        What a new sample needs.
    """
    values = counts.to_numpy(dtype=float)
    library = values.sum(axis=1) if library is None else np.asarray(library, dtype=float)
    used = values[:, (values > 0).any(axis=0)]
    chosen = reference_sample(used, library)
    raw = np.array(
        [tmm_factor(row, used[chosen], size, library[chosen]) for row, size in zip(used, library, strict=True)]
    )
    log_mean = float(np.log(raw).mean())
    factors = raw / np.exp(log_mean)
    reference = TmmReference(
        counts=pd.Series(values[chosen], index=counts.columns),
        library_size=float(library[chosen]),
        log_mean_factor=log_mean,
        mean_library=float((library * factors).mean()),
    )
    return pd.Series(factors, index=counts.index), reference


def factors_against(counts: pd.DataFrame, library: np.ndarray, reference: TmmReference) -> pd.Series:
    """TMM factors of new samples against a frozen reference, each sample by itself."""
    genes = reference.counts.index.intersection(counts.columns, sort=False)
    if len(genes) == 0:
        raise InputError("no gene is shared with the frozen TMM reference")
    expected = reference.counts[genes].to_numpy(dtype=float)
    rows = counts[genes].to_numpy(dtype=float)
    raw = [tmm_factor(row, expected, size, reference.library_size) for row, size in zip(rows, library, strict=True)]
    return pd.Series(np.asarray(raw) / np.exp(reference.log_mean_factor), index=counts.index)


def log_cpm(counts: pd.DataFrame, effective_library: np.ndarray, reference: TmmReference) -> pd.DataFrame:
    """log2 counts per million with a prior count in proportion to the library, as edgeR's ``cpm(log=TRUE)``.

    Parameters
    ----------
    counts : DataFrame of shape (n_samples, n_genes)
        Counts.
    effective_library : ndarray of shape (n_samples,)
        Library size times TMM factor.
    reference : TmmReference
        Gives the mean library and the prior.
    """
    library = np.asarray(effective_library, dtype=float)[:, None]
    prior = reference.prior_count * library / reference.mean_library
    values = np.log2((counts.to_numpy(dtype=float) + prior) / (library + 2 * prior) * 1e6)
    return pd.DataFrame(values, index=counts.index, columns=counts.columns)


def normalize_counts(
    counts: pd.DataFrame,
    *,
    min_count: float,
    min_samples_share: float,
    filter_genes: bool,
    reference: TmmReference | None = None,
    origin: str = "counts",
) -> tuple[pd.DataFrame, TmmReference, list[dict[str, Any]]]:
    """From counts to log2-CPM.

    Parameters
    ----------
    counts : DataFrame of shape (n_samples, n_genes)
        Counts, one column per gene.
    min_count, min_samples_share : float
        The low-expression filter.
    filter_genes : bool
        True for the training cohort only: a validation cohort keeps every measured gene, so that its values never
        decide
        which genes a model sees.
    reference : TmmReference, optional
        Frozen reference of the training cohort; without it the cohort has its own.

    Returns
    -------
    expression : DataFrame of float64
    reference : TmmReference
    steps : list of dict
    """
    check_counts(counts, origin)
    library = counts.to_numpy(dtype=float).sum(axis=1)
    expressed = expressed_genes(counts, min_count, min_samples_share)
    if not expressed.any():
        raise InputError(
            f"{origin}: no gene reaches {min_count:g} counts in {min_samples_share:.0%} of the samples; lower "
            "normalization.min_count, or check scale"
        )
    rule = f"at least {min_count:g} counts in at least {min_samples_share:.0%} of the samples"
    steps = []
    if filter_genes:
        steps.append(step("low-expression filter", rule, counts.shape[1], int(expressed.sum()), "hardly expressed"))
    else:
        steps.append(
            step(
                "low-expression filter",
                f"not applied to a validation cohort ({int(expressed.sum())} genes would pass: {rule})",
                counts.shape[1],
                counts.shape[1],
            )
        )
    kept = counts.loc[:, expressed] if filter_genes else counts
    if reference is None:
        # Factors rest on expressed genes in every cohort; which genes stay is another matter.
        factors, reference = tmm_factors(counts.loc[:, expressed], library)
        against = f"reference sample {_label(counts, reference)}"
    else:
        factors = factors_against(counts, library, reference)
        against = "frozen reference of the training cohort"
    steps.append(
        step(
            "TMM and log2-CPM",
            f"{against}; factors {factors.min():.3f} to {factors.max():.3f}; library sizes "
            f"{library.min():.3g} to {library.max():.3g}; prior count {reference.prior_count:g}",
            kept.shape[1],
            kept.shape[1],
        )
    )
    return log_cpm(kept, library * factors.to_numpy(), reference), reference, steps


def _label(counts: pd.DataFrame, reference: TmmReference) -> str:
    same = (counts[reference.counts.index].to_numpy() == reference.counts.to_numpy()).all(axis=1)
    return str(counts.index[int(np.argmax(same))])
