"""What a matrix holds, told by its numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from amlprognosis.errors import InputError
from amlprognosis.normalize.arrays import quantile_normalize
from amlprognosis.normalize.scale import detect_scale, recognise_processing, sample_quantiles, to_log2

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
    matrix, found, steps = to_log2(pd.DataFrame([[-5.0, 0, 3, 1000, np.nan]]), "linear", "x")
    assert (found.verdict, found.negative_share) == ("linear", 0.25)
    np.testing.assert_allclose(matrix.to_numpy()[0], [0, 0, 2, np.log2(1001), np.nan])
    assert "1 values below zero" in steps[1]["detail"]


def test_quantiles_of_samples_bear_missing_values():
    values = np.array([[4.0, 1, np.nan, 3, 2], [np.nan] * 5, [7, *[np.nan] * 4]])
    found = sample_quantiles(values)
    np.testing.assert_allclose(found[0], np.quantile([1, 2, 3, 4], np.linspace(0, 1, 101)))
    assert np.isnan(found[1]).all()
    assert (found[2] == 7).all()


def array(n=12, probes=6000, shift=0.3, seed=2):
    """log2 intensities up to 16, as of a whole array; samples apart by ``shift``."""
    rng = np.random.default_rng(seed)
    level = rng.gamma(4, 1.2, probes) + 3
    return np.clip(level + rng.normal(0, 0.5, (n, probes)) + rng.normal(0, shift, (n, 1)), 2, 15.9)


@pytest.mark.parametrize(("factor", "kind"), [(np.log10(2), "log10"), (np.log(2), "natural")])
def test_other_logarithms_are_in_doubt_and_stay(factor, kind):
    values = array()
    matrix, found, steps = to_log2(pd.DataFrame(values * factor), "auto", "x", array=True)
    assert found.verdict == "log2"
    assert f"that of {kind} logarithms" in found.doubts[0]
    assert [step["step"] for step in steps] == ["scale", "scale in doubt"]
    np.testing.assert_array_equal(matrix.to_numpy(), values * factor)
    assert to_log2(pd.DataFrame(values), "auto", "x", array=True)[1].doubts == []
    assert to_log2(pd.DataFrame(values * factor), "auto", "x")[1].doubts == []


def test_centred_genes_are_in_doubt():
    values = array()
    centred = values - np.median(values, axis=0)
    scored = (values - values.mean(axis=0)) / values.std(axis=0, ddof=1)
    assert "relative to this cohort" in to_log2(pd.DataFrame(centred), "log2_ratio", "x")[1].doubts[0]
    assert "z-scores" in to_log2(pd.DataFrame(scored), "auto", "x")[1].doubts[0]
    ratios = values - values[0] - 0.2
    assert to_log2(pd.DataFrame(ratios[1:]), "log2_ratio", "x")[1].doubts == []


def test_earlier_processing_is_recognised():
    values = array()

    def told(matrix, scale="log2"):
        return recognise_processing(matrix, sample_quantiles(matrix), scale)[0]

    normal = quantile_normalize(pd.DataFrame(values))[0].to_numpy()
    assert told(values) == ""
    assert told(normal.round(2)) == "quantile-normalised"
    assert told(normal[:1]) == ""
    assert told(normal, "log2_ratio") == ""
    # Probe sets that are summarised after their probes were normalised.
    rng = np.random.default_rng(3)
    assert told(normal + rng.normal(0, 0.02, (len(normal), 1))) == "RMA-like"
    linear = 2**values
    ordered = np.sort(linear, axis=1)
    cut = int(0.02 * linear.shape[1])
    linear *= 500 / ordered[:, cut:-cut].mean(axis=1, keepdims=True)
    linear **= np.linspace(0.9, 1.1, len(linear))[:, None]
    ordered = np.sort(linear, axis=1)
    linear *= 500 / ordered[:, cut:-cut].mean(axis=1, keepdims=True)
    logged, found, _ = to_log2(pd.DataFrame(linear), "auto", "x", array=True)
    assert found.verdict == "linear"
    kind, evidence = recognise_processing(logged.to_numpy(), sample_quantiles(logged.to_numpy()), "linear")
    assert kind == "MAS5-like"
    assert "500" in evidence
