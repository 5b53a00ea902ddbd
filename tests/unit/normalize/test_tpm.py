from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from amlprognosis.errors import InputError
from amlprognosis.normalize.tpm import check_tpm, normalize_tpm, tpm_or_fpkm

RNG = np.random.default_rng(1)
RAW = RNG.gamma(0.3, 10, (8, 500))
TPM = pd.DataFrame(RAW / RAW.sum(axis=1, keepdims=True) * 1e6, index=[f"P{i}" for i in range(8)])
RULES = {"min_count": 10, "min_samples_share": 0.5, "origin": "x"}


def test_values_are_their_logarithms():
    values, steps = normalize_tpm(TPM, filter_genes=False, **RULES)
    np.testing.assert_array_equal(values, np.log2(TPM + 1))
    assert steps[0]["detail"].startswith("not applied to a validation cohort")


def test_the_filter_of_training():
    values, steps = normalize_tpm(TPM.assign(low=0.49, high=0.5), filter_genes=True, **RULES)
    assert "high" in values
    assert "low" not in values
    assert steps[0]["detail"] == "at least 0.5 in at least 50% of the samples"
    none = normalize_tpm(TPM.assign(zero=0.0), filter_genes=True, **RULES | {"min_count": 0})[0]
    assert "zero" not in none


def test_missing_values_stay_and_are_counted():
    matrix = TPM.copy()
    matrix.iloc[2, 3] = np.nan
    check_tpm(matrix, "x")
    values, steps = normalize_tpm(matrix, filter_genes=False, **RULES)
    assert np.isnan(values.iloc[2, 3])
    assert "1 values are missing" in steps[1]["detail"]


def test_tpm_is_told_from_fpkm():
    assert tpm_or_fpkm(TPM) == ("TPM", "sums of the samples 1 to 1 million: TPM")
    assert tpm_or_fpkm(TPM * np.linspace(0.3, 0.6, 8)[:, None])[0] == "FPKM-like"


@pytest.mark.parametrize(
    ("matrix", "words"),
    [
        (TPM - 1, "negative value: sample P0, gene"),
        (TPM.replace(TPM.iloc[1, 1], np.inf), "infinite value: sample P1, gene 1"),
        (np.log2(TPM + 1), "these are logarithms, not TPM; set scale: log2"),
        (TPM.mul(TPM.index != "P3", axis=0), "without any expression: P3"),
    ],
)
def test_what_is_no_tpm(matrix, words):
    with pytest.raises(InputError, match=words):
        check_tpm(matrix, "x")
