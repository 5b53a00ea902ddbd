"""Columns that are ruled out without a fit would not have passed; all others have the p-value of the fit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amlprognosis.models.cox_kernels import univariate_cox
from amlprognosis.models.sure_screen import SureScreen


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(12, 90),
    shape=st.sampled_from(["normal", "skewed", "binary", "outlier", "constant", "separating", "ranks"]),
    ties=st.booleans(),
    below=st.sampled_from([0.5, 0.05, 0.001]),
)
def test_only_columns_that_cannot_pass_are_ruled_out(seed, n, shape, ties, below):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 40))
    time = rng.exponential(1000, n) * np.exp(-0.5 * x[:, 0]) + 1
    event = rng.random(n) < rng.uniform(0.1, 1)
    event[:2] = True
    if ties:
        time = np.ceil(time / 300)
    if shape == "skewed":
        x = np.exp(2 * x)
    elif shape == "binary":
        x = (x > rng.uniform(-1, 2.5)).astype(float)
    elif shape == "outlier":
        x[rng.integers(0, n, 40), np.arange(40)] *= 1e3
    elif shape == "constant":
        x[:, ::2] = 7.0
    elif shape == "separating":
        x[:, ::2] = (time < np.median(time))[:, None] + 0.01 * x[:, ::2]
    elif shape == "ranks":
        x = x.argsort(axis=0).argsort(axis=0).astype(float)
    expected = univariate_cox(x, time, event).p_screen
    screen = SureScreen(x, time, event, below)
    fitted = screen.p < 1
    np.testing.assert_array_equal(screen.p[fitted], expected[fitted])
    assert (expected[~fitted] >= below).all()
    np.testing.assert_array_equal(screen.complete(), expected)
    np.testing.assert_array_equal(screen.complete(), expected)


def test_most_of_noise_is_ruled_out_and_the_layout_does_not_matter():
    rng = np.random.default_rng(0)
    x, time, event = rng.normal(size=(150, 500)), rng.exponential(size=150), rng.random(150) < 0.7
    screen = SureScreen(x, time, event, 0.05)
    assert (screen.p < 1).mean() < 0.15
    np.testing.assert_array_equal(SureScreen(np.asfortranarray(x), time, event, 0.05).p, screen.p)
    threads = SureScreen(x, time, event, 0.05, n_jobs=2)
    np.testing.assert_array_equal(threads.p, screen.p)


@pytest.mark.parametrize("below", [0.0, 1.0])
def test_no_limit_means_no_shortcut(below):
    rng = np.random.default_rng(1)
    x, time, event = rng.normal(size=(40, 9)), rng.exponential(size=40), rng.random(40) < 0.7
    expected = univariate_cox(x, time, event).p_screen
    np.testing.assert_array_equal(SureScreen(x, time, event, below).p, expected)
    np.testing.assert_array_equal(SureScreen.known(expected).complete(), expected)
