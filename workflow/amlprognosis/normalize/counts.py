"""RNA-seq counts: checks, low-expression filter, and a method of normalisation with its frozen reference."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from amlprognosis.cohort import shown, step
from amlprognosis.errors import InputError
from amlprognosis.normalize.reference import CountsReference, libraries
from amlprognosis.normalize.tmm import TmmReference, learn_tmm
from amlprognosis.normalize.upper_quartile import UpperQuartileReference, learn_upper_quartile
from amlprognosis.normalize.vst import VstReference, learn_vst

Learner = Callable[[pd.DataFrame, np.ndarray], CountsReference]
# By the names of normalization.counts in a study.
METHODS: dict[str, tuple[type[CountsReference], Learner]] = {
    "tmm": (TmmReference, learn_tmm),
    "upper_quartile": (UpperQuartileReference, learn_upper_quartile),
    "vst": (VstReference, learn_vst),
}
NEAR_A_MILLION = (0.95e6, 1.05e6)
_SEVERAL = 5


def reference_content(reference: CountsReference) -> dict[str, Any]:
    """A frozen reference as plain values, for JSON."""
    profile = reference.profile
    genes = [str(gene) for gene in profile.index]
    return {"method": reference.method, "genes": genes, "profile": profile.tolist(), **reference.numbers()}


def reference_from(content: Mapping[str, Any]) -> CountsReference:
    """The frozen reference that :func:`reference_content` made plain.

    Raises
    ------
    KeyError, TypeError, ValueError
        The content is none.
    """
    numbers = dict(content)
    kind, _ = METHODS[numbers.pop("method")]
    genes = pd.Index(numbers.pop("genes"), dtype=object)
    return kind(profile=pd.Series(numbers.pop("profile"), index=genes, dtype=float), **numbers)


@dataclass(frozen=True)
class NormalizedCounts:
    """A cohort of counts on a log2 scale.

    Attributes
    ----------
    matrix : DataFrame of float64 (n_samples, n_kept_genes)
        log2 values.
    reference : CountsReference
        The one that was given, or the cohort's own.
    library : ndarray (n_samples,)
        Sums of the counts of all genes.
    factors : ndarray (n_samples,)
        Of the method (see :class:`~amlprognosis.normalize.reference.CountsReference`).
    estimated : str
        What is said of counts with fractions, or "".
    steps : list of dict
        What was done.
    """

    matrix: pd.DataFrame
    reference: CountsReference
    library: np.ndarray
    factors: np.ndarray
    estimated: str
    steps: list[dict[str, Any]]


def check_counts(counts: pd.DataFrame, origin: str) -> None:
    """Refuse numbers that cannot be counts.

    Raises
    ------
    InputError
        Missing or negative values, a sample without counts, or values that look like logarithms, TPM or CPM.
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
    sums = values.sum(axis=1)
    # A library of a million reads may be; that all libraries are of a million reads may not.
    if len(sums) >= _SEVERAL and NEAR_A_MILLION[0] <= sums.min() and sums.max() <= NEAR_A_MILLION[1]:
        raise InputError(
            f"{origin}: all samples sum to {sums.min() / 1e6:.3g} to {sums.max() / 1e6:.3g} million: these are TPM or "
            "CPM, not counts; set scale: tpm"
        )
    empty = sums == 0
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


def normalize_counts(
    counts: pd.DataFrame,
    *,
    method: str,
    min_count: float,
    min_samples_share: float,
    filter_genes: bool,
    reference: CountsReference | None = None,
    origin: str = "counts",
) -> NormalizedCounts:
    """From counts to log2 values.

    Parameters
    ----------
    counts : DataFrame of shape (n_samples, n_genes)
        Counts, one column per gene. Estimated counts with fractions (RSEM, salmon) are counts, too.
    method : {"tmm", "upper_quartile", "vst"}
        Used where there is no reference, which has its own.
    min_count, min_samples_share : float
        The low-expression filter.
    filter_genes : bool
        True for the training cohort only: a validation cohort keeps every measured gene, so that its values never
        decide which genes a model sees.
    reference : CountsReference, optional
        Frozen reference of the training cohort; without it the cohort has its own, learned from its expressed genes.

    Raises
    ------
    InputError
        As :func:`check_counts`; no expressed gene; a cohort or sample that the method cannot do.
    """
    check_counts(counts, origin)
    library = libraries(counts)
    expressed = expressed_genes(counts, min_count, min_samples_share)
    if not expressed.any():
        raise InputError(
            f"{origin}: no gene reaches {min_count:g} counts in {min_samples_share:.0%} of the samples; lower "
            "normalization.min_count, or check scale"
        )
    rule = f"at least {min_count:g} counts in at least {min_samples_share:.0%} of the samples"
    estimated = _fractions(counts)
    steps = [step("estimated counts", estimated)] if estimated else []
    steps.append(filter_step(rule, counts.shape[1], int(expressed.sum()), filter_genes))
    kept = counts.loc[:, expressed] if filter_genes else counts
    against = "frozen reference of the training cohort" if reference else "reference: mean profile of the cohort"
    try:
        if reference is None:
            # The reference rests on expressed genes in every cohort; which genes stay is another matter.
            reference = METHODS[method][1](counts.loc[:, expressed], library)
        factors = reference.factors(counts, library)
    except InputError as error:
        raise InputError(f"{origin}: {error}") from None
    steps.append(
        step(
            reference.label,
            f"{against}, {len(reference.profile)} genes; factors {factors.min():.3f} to {factors.max():.3f}; library "
            f"sizes {library.min():.3g} to {library.max():.3g}; {reference.told}",
            kept.shape[1],
            kept.shape[1],
        )
    )
    return NormalizedCounts(reference.values(kept, library, factors), reference, library, factors, estimated, steps)


def filter_step(rule: str, genes: int, passing: int, filtered: bool) -> dict[str, Any]:
    """Step of the low-expression filter, which a validation cohort does not have."""
    if filtered:
        return step("low-expression filter", rule, genes, passing, "hardly expressed")
    detail = f"not applied to a validation cohort ({passing} genes would pass: {rule})"
    return step("low-expression filter", detail, genes, genes)


def _fractions(counts: pd.DataFrame) -> str:
    values = counts.to_numpy(dtype=float)
    share = float((values != np.floor(values)).mean())
    return f"{share:.1%} of the counts are no whole numbers (RSEM, salmon): used as they are" if share else ""
