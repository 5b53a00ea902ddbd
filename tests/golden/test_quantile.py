"""Quantile normalisation against limma, with ties and missing values.

Numbers from limma 3.54.1 (R 4.2.2): i <- 1:12;
x <- sapply(1:4, function(s) floor((i*(5+s) + s*(i^2 %% 7))/(1 + s/10)/6)); x[3,2] <- NA; x[11,2] <- NA; x[5,4] <- NA;
normalizeQuantiles(x, ties = TRUE).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from amlprognosis.normalize.arrays import quantile_normalize

EXPECTED = [
    [1.0, 2.840909090909, 3.727272727273, 3.727272727273, 5.681818181818, 5.681818181818, 6.727272727273,
     8.045454545455, 9.386363636364, 10.136363636364, 11.136363636364, 12.5],
    [1.0, 2.967171717172, np.nan, 3.691919191919, 5.0, 6.306818181818, 6.306818181818, 8.492424242424,
     9.803030303030, 10.914141414141, np.nan, 12.5],
    [1.0, 3.125, 3.125, 4.045454545455, 5.681818181818, 5.681818181818, 6.727272727273, 8.045454545455,
     9.386363636364, 10.136363636364, 11.136363636364, 12.5],
    [1.0, 3.210227272727, 3.210227272727, 4.475, np.nan, 5.640909090909, 6.306818181818, 7.518181818182,
     9.573863636364, 9.573863636364, 11.036363636364, 12.5],
]  # fmt: skip


def test_quantiles_are_those_of_limma():
    i, s = np.arange(1, 13), np.arange(1, 5)[:, None]
    x = np.floor((i * (5 + s) + s * (i**2 % 7)) / (1 + s / 10) / 6)
    x[1, 2] = x[1, 10] = x[3, 4] = np.nan
    np.testing.assert_allclose(quantile_normalize(pd.DataFrame(x))[0].to_numpy(), EXPECTED, rtol=1e-11)
