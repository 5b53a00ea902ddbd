"""Transcripts per million (TPM) and its kin (FPKM): checks, low-expression filter, log2(x + 1)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from amlprognosis.cohort import shown, step
from amlprognosis.errors import InputError
from amlprognosis.normalize.counts import NEAR_A_MILLION, filter_step
from amlprognosis.normalize.scale import SMALLEST_LINEAR_MAXIMUM

# A count in a library of this many million is one per million in a sample of this depth.
MILLIONS = 20


def check_tpm(matrix: pd.DataFrame, origin: str) -> None:
    """Refuse numbers that cannot be TPM or FPKM.

    Raises
    ------
    InputError
        Negative or infinite values, a sample without expression, or values that look like logarithms.
    """
    values = matrix.to_numpy(dtype=float)
    for wrong, what in ((np.isinf(values), "infinite"), (values < 0, "negative")):
        if wrong.any():
            row, column = (int(place[0]) for place in np.nonzero(wrong))
            raise InputError(
                f"{origin}: {what} value: sample {matrix.index[row]}, gene {matrix.columns[column]}; is scale: tpm "
                "right?"
            )
    top = float(np.nanmax(values, initial=0))
    if top < SMALLEST_LINEAR_MAXIMUM:
        raise InputError(f"{origin}: the largest value is {top:.3g}: these are logarithms, not TPM; set scale: log2")
    empty = np.nansum(values, axis=1) == 0
    if empty.any():
        raise InputError(f"{origin}: samples without any expression: {shown(matrix.index[empty])}; remove them")


def tpm_or_fpkm(matrix: pd.DataFrame) -> tuple[str, str]:
    """Tell TPM, whose samples sum to a million, from FPKM.

    Returns
    -------
    kind : {"TPM", "FPKM-like"}
    evidence : str
        The smallest and largest sum.
    """
    sums = np.nansum(matrix.to_numpy(dtype=float), axis=1)
    shape = f"sums of the samples {sums.min() / 1e6:.3g} to {sums.max() / 1e6:.3g} million"
    if NEAR_A_MILLION[0] <= sums.min() and sums.max() <= NEAR_A_MILLION[1]:
        return "TPM", f"{shape}: TPM"
    return "FPKM-like", f"{shape}: FPKM, or TPM of a part of the genes; not rescaled"


def normalize_tpm(
    matrix: pd.DataFrame, *, min_count: float, min_samples_share: float, filter_genes: bool, origin: str
) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """From TPM or FPKM to log2(x + 1), each value by itself.

    Parameters
    ----------
    matrix : DataFrame of shape (n_samples, n_genes)
        One column per gene; NaN = missing.
    min_count, min_samples_share : float
        The low-expression filter: a value stands for ``min_count`` counts when it reaches ``min_count`` / 20, as a
        count of 10 is 0.5 per million in a library of 20 million.
    filter_genes : bool
        True for the training cohort only.

    Returns
    -------
    matrix : DataFrame
        log2 values.
    steps : list of dict

    Raises
    ------
    InputError
        As :func:`check_tpm`; no expressed gene.
    """
    values = matrix.to_numpy(dtype=float)
    least = max(min_count / MILLIONS, np.nextafter(0, 1))
    needed = max(1, int(np.ceil(min_samples_share * len(matrix) - 1e-9)))
    expressed = (values >= least).sum(axis=0) >= needed
    rule = f"at least {least:.3g} in at least {min_samples_share:.0%} of the samples"
    if not expressed.any():
        raise InputError(f"{origin}: no gene has {rule}; lower normalization.min_count, or check scale")
    kept = matrix.loc[:, expressed] if filter_genes else matrix
    missing = int(np.isnan(values).sum())
    detail = "log2(value + 1), each value by itself" + (f"; {missing} values are missing" if missing else "")
    steps = [filter_step(rule, matrix.shape[1], int(expressed.sum()), filter_genes), step("log2", detail)]
    logged = np.log2(kept.to_numpy(dtype=float) + 1)
    return pd.DataFrame(logged, index=kept.index, columns=kept.columns), steps
