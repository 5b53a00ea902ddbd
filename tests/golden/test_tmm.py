"""TMM factors and log-CPM against edgeR.

Numbers from edgeR 3.40.2 (R 4.2.2): y <- calcNormFactors(DGEList(x), method = "TMM");
cpm(y, log = TRUE, prior.count = 2),
with g <- 1:40; x <- sapply(1:5, function(s) round(((g*37 + s*11) %% 50)^1.5 * c(1,1.4,0.7,2.2,1)[s]
+ ifelse(g <= 6 & s == 4, 3000, 0) + (g %% 3 == 0)*s)); x[7,] <- 0; x[8,2] <- 0.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from amlprognosis.normalize.counts import factors_against, log_cpm, tmm_factors

LIBRARIES = [5808, 7307, 3591, 29675, 5617]
FACTORS = [0.986169043626, 0.663442655948, 1.176084505813, 0.841163240177, 1.544992692523]
LOG_CPM = {
    0: [15.83173261389, 12.97329803238, 13.88392065016, 17.04856032039, 14.94472326312],
    6: [7.68903430285] * 5,
    7: [11.78227067647, 7.68903430285, 14.66648990521, 14.45837453416, 8.32887910672],
    19: [8.57319697940, 13.57052870282, 14.16984213872, 14.10869095882, 15.09472705927],
}


def matrix() -> pd.DataFrame:
    gene = np.arange(1, 41)
    rows = [
        np.round(
            ((gene * 37 + s * 11) % 50) ** 1.5 * scale
            + np.where((gene <= 6) & (s == 4), 3000, 0)
            + np.where(gene % 3 == 0, s, 0)
        )
        for s, scale in zip(range(1, 6), [1, 1.4, 0.7, 2.2, 1], strict=True)
    ]
    counts = np.array(rows)
    counts[:, 6] = 0
    counts[1, 7] = 0
    return pd.DataFrame(counts, index=list("abcde"), columns=[f"g{i}" for i in gene])


def test_the_input_is_that_of_r():
    assert matrix().sum(axis=1).tolist() == LIBRARIES


def test_factors_are_those_of_edger():
    factors, _ = tmm_factors(matrix())
    np.testing.assert_allclose(factors, FACTORS, rtol=1e-10)


def test_log_cpm_is_that_of_edger():
    counts = matrix()
    factors, reference = tmm_factors(counts)
    values = log_cpm(counts, counts.sum(axis=1).to_numpy() * factors.to_numpy(), reference).to_numpy()
    for gene, expected in LOG_CPM.items():
        np.testing.assert_allclose(values[:, gene], expected, rtol=1e-10)


def test_a_single_sample_against_the_frozen_reference_gets_the_cohort_s_factor():
    counts = matrix()
    factors, reference = tmm_factors(counts)
    for name in counts.index:
        one = counts.loc[[name]]
        alone = factors_against(one, one.sum(axis=1).to_numpy(), reference)
        np.testing.assert_allclose(alone[name], factors[name], rtol=1e-12)
