from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from amlprognosis.errors import InputError
from amlprognosis.normalize.arrays import detect_scale, probe_symbols, probes_to_genes, quantile_normalize, to_log2

RNG = np.random.default_rng(1)
LOG2 = RNG.normal(7, 2, (5, 400))


def test_scales_are_told_apart():
    assert detect_scale(LOG2)[0] == "log2"
    assert detect_scale(2**LOG2)[0] == "linear"
    assert detect_scale(LOG2 - LOG2.mean())[0] == "log2_ratio"


@pytest.mark.parametrize(("values", "scale"), [(2**LOG2, "log2"), (LOG2, "linear"), (LOG2 - 7, "linear")])
def test_a_scale_that_cannot_be_is_refused(values, scale):
    with pytest.raises(InputError, match=f"scale: {scale}, but"):
        to_log2(pd.DataFrame(values), scale, "x")


def test_linear_values_below_zero_count_as_zero():
    matrix, scale, steps = to_log2(pd.DataFrame([[-5.0, 0, 3, 1000, np.nan]]), "linear", "x")
    assert scale == "linear"
    np.testing.assert_allclose(matrix.to_numpy()[0], [0, 0, 2, np.log2(1001), np.nan])
    assert "1 values below zero" in steps[1]["detail"]


def test_quantiles_are_equal_afterwards_and_a_single_sample_agrees():
    matrix = pd.DataFrame(LOG2 * np.array([[1], [1.2], [0.8], [1], [1.1]]))
    normal, reference = quantile_normalize(matrix)
    for row in normal.to_numpy():
        np.testing.assert_allclose(np.sort(row), reference)
    alone, _ = quantile_normalize(matrix.iloc[[2]], reference)
    np.testing.assert_allclose(alone.to_numpy()[0], normal.to_numpy()[2])


def test_quantiles_bear_missing_values_and_ties():
    matrix = pd.DataFrame([[1.0, 2, 2, np.nan], [4, 3, 1, 2]])
    normal, _ = quantile_normalize(matrix)
    values = normal.to_numpy()
    assert np.isnan(values[0, 3])
    assert values[0, 1] == values[0, 2]
    assert not np.isnan(values[1]).any()


def test_probes_to_genes():
    gene_map = pd.Series(
        {"a": "TP53", "b": "TP53", "c": "DDR1 /// MIR4640", "d": "A1 /// B2", "e": "", "f": "TP53///TP53"}
    )
    symbols, counted = probe_symbols(gene_map)
    assert symbols.tolist() == ["TP53", "TP53", "DDR1", "", "", "TP53"]
    assert counted == {"without": 1, "several": 1}
    matrix = pd.DataFrame([[1.0, 5, 2, 3, 4], [3, 5, 2, 3, 4]], columns=list("abcde"))
    genes, probes, steps = probes_to_genes(matrix, symbols, "max_mean", "x")
    assert probes.to_dict() == {"DDR1": "c", "TP53": "b"}
    assert [s["dropped"] for s in steps] == [2, 1]
    assert probes_to_genes(matrix, symbols, "median", "x")[0]["TP53"].tolist() == [3.0, 4.0]
    assert genes.columns.tolist() == ["DDR1", "TP53"]
    with pytest.raises(InputError, match="is the platform right"):
        probes_to_genes(matrix.add_prefix("z"), symbols, "max_mean", "x")
