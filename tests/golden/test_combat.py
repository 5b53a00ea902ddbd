"""Correction of batches against ComBat of sva.

Numbers from sva 3.46.0 (R 4.2.2): ComBat(dat = t(x), batch = batch, mod = NULL, par.prior = TRUE), which stops at a
relative change of 1e-4.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from amlprognosis.normalize.batch import learn_batches

EXPECTED = [
    [12.82568004495, 6.88221073703, 11.03909708784, 3.60496984218],
    [11.30545797162, 10.60304921509, 9.995757677, 4.29649158949],
    [12.41297602044, 11.54737333994, 9.61948279755, 4.79257111723],
    [10.06066058742, 10.26691252957, 12.91909359656, 4.59318245794],
]


def test_fitted_on_all_patients_it_is_combat():
    rng = np.random.default_rng(3)
    batch = np.array(["a"] * 9 + ["b"] * 8 + ["c"] * 7)
    x = rng.normal(8, 1, (24, 40)) + rng.normal(0, 1.5, 40)
    for k, name in enumerate("abc"):
        x[batch == name] = x[batch == name] * (1 + 0.3 * k) + rng.normal(0.5 * k, 0.4, 40)
    names = [f"P{i:02d}" for i in range(24)]
    features = pd.DataFrame(np.round(x, 3), index=names, columns=[f"expression:G{j}" for j in range(40)])
    labels = pd.Series(batch, index=names)
    found = learn_batches(features, labels).apply(features, labels)
    np.testing.assert_allclose(found.iloc[[0, 9, 17, 23], [0, 1, 20, 39]], EXPECTED, atol=2e-5)
