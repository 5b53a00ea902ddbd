"""TMM and upper-quartile factors, and log-CPM, against edgeR.

Numbers from edgeR 3.40.2 (R 4.2.2) on x of ``count_data.five_samples``; lib <- colSums(x).
FACTORS: calcNormFactors(DGEList(x), method = "TMM"), whose reference is the sample of the most typical upper quartile,
here the third. The mean profile as reference:
p <- pmax(exp(rowMeans(log(t(t(x)/lib) + 0.5e-6))) - 0.5e-6, 0)*mean(lib); p[rowSums(x) == 0] <- 0;
f <- calcNormFactors(cbind(x, p), lib.size = c(lib, mean(lib)), refColumn = 6)[1:5]; f/exp(mean(log(f))).
Upper quartile: calcNormFactors(x, method = "upperquartile").
Values: cpm(DGEList(x, norm.factors = f), log = TRUE, prior.count = 2).
"""

from __future__ import annotations

import numpy as np
import pytest
from count_data import five_samples

from amlprognosis.normalize.counts import METHODS
from amlprognosis.normalize.reference import libraries
from amlprognosis.normalize.tmm import tmm_factor

LIBRARIES = [5808, 7307, 3591, 29675, 5617]
FACTORS = [0.986169043626, 0.663442655948, 1.176084505813, 0.841163240177, 1.544992692523]
EXPECTED = {
    "tmm": (
        [1.160613269821, 1.124531410583, 1.138392442985, 0.625973872221, 1.075208445603],
        {
            0: [15.59824654240, 12.24418588427, 13.93230322963, 17.47439547267, 15.46548848692],
            6: [7.83877903920] * 5,
            7: [11.57283334217, 7.83877903920, 14.71426391945, 14.88228452327, 8.62364333329],
            19: [8.55923974739, 12.83057065736, 14.21796342328, 14.53196720068, 15.61570506490],
        },
    ),
    "upper_quartile": (
        [1.161036911371, 1.195173027702, 1.115926023255, 0.559714493230, 1.153775284340],
        {
            0: [15.59787563743, 12.16238452526, 13.96115477103, 17.63563936045, 15.36445893754],
            6: [7.87513388201] * 5,
            7: [11.57509595810, 7.87513388201, 14.74306867879, 15.04277076903, 8.60364622099],
            19: [8.58120239670, 12.74673114762, 14.24679488083, 14.69220372874, 15.51460302936],
        },
    ),
}


def test_the_input_is_that_of_r():
    assert five_samples().sum(axis=1).tolist() == LIBRARIES


def test_tmm_against_one_sample_is_that_of_edger():
    counts, library = five_samples().to_numpy(), np.array(LIBRARIES, dtype=float)
    raw = np.array([tmm_factor(row, counts[2], size, library[2]) for row, size in zip(counts, library, strict=True)])
    np.testing.assert_allclose(raw / np.exp(np.log(raw).mean()), FACTORS, rtol=1e-10)


@pytest.mark.parametrize("method", ["tmm", "upper_quartile"])
def test_factors_and_values_are_those_of_edger(method):
    counts = five_samples()
    factors, values = EXPECTED[method]
    reference = METHODS[method][1](counts, libraries(counts))
    np.testing.assert_allclose(reference.factors(counts, libraries(counts)), factors, rtol=1e-9)
    found = reference.normalize(counts).to_numpy()
    for gene, expected in values.items():
        np.testing.assert_allclose(found[:, gene], expected, rtol=1e-9)
