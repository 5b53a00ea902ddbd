from __future__ import annotations

import numpy as np
import pandas as pd

from amlprognosis.normalize.arrays import quantile_normalize

LOG2 = np.random.default_rng(1).normal(7, 2, (5, 400))


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
