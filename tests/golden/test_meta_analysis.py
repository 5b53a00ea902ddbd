"""Random effects against R's metafor 3.8-1: rma(yi, vi, method = "REML", test = "adhoc") and predict()."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from amlprognosis.evaluation.meta_analysis import pool, restricted_variance

# estimates, variances, then metafor's estimate, se, ci.lb, ci.ub, pi.lb, pi.ub, tau2, I2 (%), QE, QEp.
CASES = {
    "heterogeneous": (
        (0.55, 1.10, 0.20, 0.85, 0.62),
        (0.02, 0.05, 0.015, 0.04, 0.03),
        (
            0.63171503746701, 0.15041378796935, 0.21409941210524, 1.0493306628288, -0.27289179616414, 1.5363218710982,
            0.083530959147701, 75.607904238986, 16.597948717949, 0.0023133230257292,
        ),
    ),
    "alike": (
        (0.55, 0.60, 0.52, 0.58),
        (0.02, 0.05, 0.015, 0.04),
        (
            0.54845360824742, 0.078648375763961, 0.29815937538084, 0.79874784111401, 0.29815937538084,
            0.79874784111401, 0.0, 0.0, 0.13211340206186, 0.98772302467227,
        ),
    ),
    "two": (
        (0.95, 0.72),
        (0.012, 0.02),
        (
            0.85239130434783, 0.11367736156809, -0.59201652560443, 2.2967991343001, -1.0901435871437,
            2.7949261958394, 0.01045, 39.508506616257, 1.653125, 0.19853413502558,
        ),
    ),
    "equal": (
        (0.5, 0.5, 0.5),
        (0.02, 0.05, 0.01),
        (
            0.5, 0.076696498884737, 0.17000159971136, 0.82999840028864, 0.17000159971136, 0.82999840028864,
            0.0, 0.0, 0.0, 1.0,
        ),
    ),
    "differences": (
        (-0.0102, 0.0213, 0.0046),
        (2e-4, 5e-4, 1e-4),
        (
            0.0022117647058824, 0.0076696498884737, -0.030788075322982, 0.035211604734746, -0.030788075322982,
            0.035211604734746, 0.0, 0.0, 1.5560176470588, 0.45931968791271,
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_metafor(name: str) -> None:
    estimates, variances, expected = CASES[name]
    found = pool(np.array(estimates), np.array(variances))
    names = ("estimate", "std_error", "low", "high", "prediction_low", "prediction_high", "tau2", "i2", "q", "q_p")
    values = [getattr(found, column) * (100 if column == "i2" else 1) for column in names]
    np.testing.assert_allclose(values, expected, rtol=1e-7, atol=1e-10)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(-3, 3), st.floats(1e-4, 2)).map(lambda pair: (round(pair[0], 6), pair[1])),
        min_size=2,
        max_size=9,
    )
)
def test_properties(studies: list[tuple[float, float]]) -> None:
    y, v = np.array(studies).T
    found = pool(y, v)
    # Never narrower than the usual normal interval; a new cohort is less certain than the mean.
    usual = norm.ppf(0.975) / np.sqrt((1 / (v + found.tau2)).sum())
    assert found.high - found.estimate >= usual * (1 - 1e-12)
    assert found.prediction_low <= found.low <= found.estimate <= found.high <= found.prediction_high
    assert y.min() - 1e-9 <= found.estimate <= y.max() + 1e-9
    assert found.tau2 >= 0
    assert 0 <= found.i2 < 1
    assert 0 <= found.q_p <= 1
    # Shifting and scaling the figures shifts and scales the summary; the order of cohorts is nothing.
    other = pool(10 - 2 * y[::-1], 4 * v[::-1])
    np.testing.assert_allclose(
        [other.estimate, other.low, other.high, other.tau2],
        [10 - 2 * found.estimate, 10 - 2 * found.high, 10 - 2 * found.low, 4 * found.tau2],
        rtol=1e-6,
        atol=1e-6,
    )


def test_two_cohorts_have_a_closed_form() -> None:
    # (d^2 - v1 - v2) / 2 between two cohorts that differ by d.
    assert restricted_variance(np.array([0.95, 0.22]), np.array([0.012, 0.02])) == pytest.approx(0.25045, rel=1e-12)
    assert restricted_variance(np.array([0.5, 0.4]), np.array([0.012, 0.02])) == 0
