"""Size factors, dispersions, their trend and the transformation against DESeq2.

Numbers from DESeq2 1.38.3 (R 4.2.2) on x of ``count_data.twelve_samples``, of which the first ten columns are the
cohort: d <- estimateSizeFactors(DESeqDataSetFromMatrix(x[, 1:10], ..., ~1));
d <- estimateDispersionsFit(estimateDispersionsGeneEst(d)); varianceStabilizingTransformation(d, blind = TRUE).
The other two were transformed by the frozen reference: size factors exp(median(log(counts) - rowMeans(log(x[, 1:10])))
over the genes with counts everywhere in the cohort and in the sample, dispersionFunction(new) <- dispersionFunction(d),
varianceStabilizingTransformation(new, blind = FALSE).
"""

from __future__ import annotations

import numpy as np
import pytest
from count_data import twelve_samples

from amlprognosis.normalize.reference import libraries
from amlprognosis.normalize.vst import VstReference, dispersion_trend, gene_dispersions, learn_vst

LIBRARIES = [205240, 160280, 85301, 236772, 181605, 119821, 60285, 205658, 147725, 90022, 245168, 178617]
FACTORS = [
    1.540797935421, 1.001285328508, 0.648124532560, 1.733674759647, 1.313192672633, 0.876354943418, 0.444867147066,
    1.534726392478, 1.116664177115, 0.660341972323,
]  # fmt: skip
NEW_FACTORS = [1.725565765802, 1.324651874923]
TREND = (0.075201842288, 1.714227714632)
DISPERSIONS = {0: 0.070079322, 1: 0.27340735, 9: 0.19456466, 49: 10, 50: 0.080244037, 118: 0.073546897}
VALUES = {
    0: [
        3.938484031, 3.993874988, 4.005735126, 4.121560434, 4.179731729, 4.292576422, 4.384948684, 4.472318920,
        4.557247743, 4.669448028, 4.833930714, 4.929449927,
    ],
    6: [3.173629948] * 12,
    7: [
        5.165819469, 3.173629948, 4.578740999, 5.011188323, 4.179731729, 4.485367161, 4.842790533, 5.250239526,
        4.343785126, 4.669448028, 5.069846830, 4.175538058,
    ],
    19: [
        5.272604351, 4.923333786, 5.742975800, 5.286615031, 4.854994660, 5.728621050, 5.263220051, 4.853677999,
        5.709038328, 5.272604351, 4.866065709, 5.720782707,
    ],
    49: [
        3.173629948, 3.173629948, 7.800178241, 3.173629948, 3.173629948, 7.488867097, 3.173629948, 3.173629948,
        7.185340146, 3.173629948, 3.173629948, 6.916425020,
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def reference():
    cohort = twelve_samples().iloc[:10]
    return learn_vst(cohort, libraries(cohort))


def test_the_input_is_that_of_r():
    assert twelve_samples().sum(axis=1).tolist() == LIBRARIES


def test_size_factors_of_the_cohort_and_of_new_samples(reference):
    counts = twelve_samples()
    np.testing.assert_allclose(reference.factors(counts, libraries(counts)), FACTORS + NEW_FACTORS, rtol=1e-9)


def test_dispersions():
    """DESeq2 searches the likelihood's top to a tolerance; ours is nearer to it."""
    cohort = twelve_samples().iloc[:10].to_numpy()
    found = gene_dispersions(cohort[:, list(DISPERSIONS)], np.array(FACTORS))
    np.testing.assert_allclose(found, list(DISPERSIONS.values()), rtol=5e-3)


def test_the_trend(reference):
    np.testing.assert_allclose([reference.asymptote, reference.extra], TREND, rtol=2e-4)


def test_the_transformation_of_the_cohort_and_of_new_samples(reference):
    found = reference.normalize(twelve_samples()).to_numpy()
    exact = VstReference(profile=reference.profile, asymptote=TREND[0], extra=TREND[1]).normalize(twelve_samples())
    for gene, expected in VALUES.items():
        np.testing.assert_allclose(exact.to_numpy()[:, gene], expected, rtol=1e-9)
        np.testing.assert_allclose(found[:, gene], expected, atol=2e-4)


def test_without_a_trend_the_dispersions_have_their_mean():
    means = np.linspace(10, 1000, 50)
    asymptote, extra = dispersion_trend(means, 0.1 + means / 1000)
    assert (asymptote, extra) == (pytest.approx((0.1 + means / 1000).mean()), 0.0)
