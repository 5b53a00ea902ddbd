"""Counts: what the methods have in common."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amlprognosis.errors import InputError
from amlprognosis.normalize.counts import METHODS, normalize_counts, reference_content, reference_from
from amlprognosis.normalize.reference import libraries
from amlprognosis.normalize.vst import gene_dispersions

GENES = 300


def cohort(n=30, seed=1, genes=GENES):
    """Negative binomial counts of one population; the depth varies eightfold."""
    level = np.exp(np.random.default_rng(0).normal(5, 1.7, genes))
    rng = np.random.default_rng(seed)
    size = 1 / (0.1 + 2 / level)
    counts = rng.poisson(level * rng.gamma(size, 1 / size, (n, genes)) * 2 ** rng.uniform(-1.5, 1.5, (n, 1)))
    return pd.DataFrame(
        counts.astype(float), index=[f"P{i:02d}" for i in range(n)], columns=[f"G{j}" for j in range(genes)]
    )


TRAINING, OTHERS = cohort(), cohort(12, 2)


def learned(method):
    return METHODS[method][1](TRAINING, libraries(TRAINING))


REFERENCES = {method: learned(method) for method in METHODS}
methods = pytest.mark.parametrize("method", list(METHODS))


def normal(counts, method="tmm", **options):
    rules = {"min_count": 10, "min_samples_share": 0.2, "filter_genes": False} | options
    return normalize_counts(counts, method=method, **rules)


@methods
def test_a_cohort_is_its_samples_one_by_one(method):
    reference = REFERENCES[method]
    whole = reference.normalize(OTHERS)
    for patient in OTHERS.index:
        pd.testing.assert_frame_equal(
            reference.normalize(OTHERS.loc[[patient]]), whole.loc[[patient]], check_exact=True
        )
    turned = OTHERS.iloc[::-1, ::-1]
    pd.testing.assert_frame_equal(
        reference.normalize(turned)[OTHERS.columns].loc[OTHERS.index], whole, check_exact=True
    )


@methods
def test_fractions_make_no_difference_to_that(method):
    counts = OTHERS + np.random.default_rng(1).random(OTHERS.shape)
    whole = REFERENCES[method].normalize(counts)
    for place in (0, 7):
        alone = REFERENCES[method].normalize(counts.iloc[[place]])
        pd.testing.assert_frame_equal(alone, whole.iloc[[place]], check_exact=True)


@methods
@given(seed=st.integers(0, 10_000), depth=st.integers(2, 50))
@settings(deadline=None)
def test_a_deeper_library_gives_the_same_values(method, seed, depth):
    """Exactly, but for TMM: its weights depend on the depth a little."""
    one = cohort(1, seed)
    shallow, deep = REFERENCES[method].normalize(one), REFERENCES[method].normalize(one * depth)
    np.testing.assert_allclose(deep, shallow, atol=0.05 if method == "tmm" else 1e-9)


@methods
@given(order=st.permutations(range(len(TRAINING))))
@settings(deadline=None, max_examples=10)
def test_the_order_of_the_samples_does_not_matter(method, order):
    found = METHODS[method][1](TRAINING.iloc[order], libraries(TRAINING.iloc[order]))
    np.testing.assert_allclose(found.profile, REFERENCES[method].profile, rtol=1e-8)
    np.testing.assert_allclose(found.normalize(OTHERS), REFERENCES[method].normalize(OTHERS), atol=1e-7)


@methods
def test_a_sample_with_fewer_genes_keeps_its_values(method):
    """A table of the better expressed half of the genes is not taken for a larger library."""
    half = OTHERS.loc[:, TRAINING.mean() > TRAINING.mean().median()]
    full = REFERENCES[method].normalize(OTHERS)[half.columns]
    assert (REFERENCES[method].normalize(half) - full).abs().mean(axis=None) < 0.2


@methods
def test_depth_is_taken_away_and_groups_stay(method):
    values = REFERENCES[method].normalize(TRAINING)
    depth = np.log2(libraries(TRAINING))
    high = values.loc[:, TRAINING.mean() > 50]
    assert np.abs(np.corrcoef(depth, high.mean(axis=1))[0, 1]) < 0.5
    assert high.mean(axis=1).std() < 0.1


def test_vst_evens_out_the_variance():
    level = TRAINING.mean()
    low, high = level < level.quantile(0.25), level > level.quantile(0.75)
    spread = {method: REFERENCES[method].normalize(TRAINING).std() for method in ("tmm", "vst")}
    ratio = {method: found[low].median() / found[high].median() for method, found in spread.items()}
    assert ratio["tmm"] > 1.5
    assert 0.8 < ratio["vst"] < 1.25


@methods
def test_a_reference_survives_as_text(method):
    reference = REFERENCES[method]
    again = reference_from(json.loads(json.dumps(reference_content(reference))))
    pd.testing.assert_frame_equal(again.normalize(OTHERS), reference.normalize(OTHERS), check_exact=True)


@methods
def test_a_reference_holds_no_patient(method):
    """The profile is a mean of the cohort: no sample is nearer to it than to all others by more than noise."""
    shape = np.log2(REFERENCES[method].profile + 1)
    samples = np.log2(TRAINING[shape.index] + 1)
    apart = [(row - shape).std() for _, row in samples.iterrows()]
    assert min(apart) > 0.2


@methods
def test_the_filter_is_for_training_alone(method):
    counts = TRAINING.assign(NEW=0.0, RARE=[*[50.0] * 3, *[0.0] * 27])
    trained = normal(counts, method, filter_genes=True)
    assert set(counts.columns) - set(trained.matrix.columns) >= {"NEW", "RARE"}
    whole = normal(counts, method)
    assert whole.matrix.shape == counts.shape
    pd.testing.assert_frame_equal(whole.matrix[trained.matrix.columns], trained.matrix)
    frozen = normal(OTHERS, "tmm", reference=trained.reference)
    assert frozen.reference.method == method
    assert "frozen reference of the training cohort" in frozen.steps[-1]["detail"]


def test_estimated_counts_are_counts_and_said():
    steps = normal(TRAINING + 0.25).steps
    assert steps[0]["detail"].startswith("100.0% of the counts are no whole numbers")
    assert "estimated counts" not in [step["step"] for step in normal(TRAINING).steps]


BAD = {
    "missing": (
        lambda x: x.set_index(x.index).apply(lambda row: row * (np.nan if row.name == "P03" else 1), axis=1),
        r"x: missing or infinite count: sample P03, gene G0",
    ),
    "negative": (lambda x: x - 5000, "negative count"),
    "logarithms": (lambda x: np.log2(x + 1), "logarithms, not counts; set scale: log2"),
    "TPM": (lambda x: x.div(x.sum(axis=1), axis=0) * 1e6, r"all samples sum to 1 to 1 million: .*; set scale: tpm"),
    "an empty sample": (lambda x: x.mul(x.index != "P03", axis=0), "without a single count: P03"),
    "hardly a count": (lambda x: x.clip(upper=3), "no gene reaches 10 counts"),
}


@pytest.mark.parametrize("case", list(BAD))
def test_bad_counts(case):
    change, words = BAD[case]
    with pytest.raises(InputError, match=words):
        normal(change(TRAINING), origin="x")


def test_what_a_method_cannot_do():
    sparse = TRAINING * (np.arange(GENES) % 30 != np.arange(30)[:, None])
    with pytest.raises(InputError, match=r"x: no gene has counts in every sample: .*use tmm"):
        normal(sparse, "vst", origin="x")
    same = pd.DataFrame(np.full((10, 50), 100.0))
    with pytest.raises(InputError, match="no more than by chance"):
        normal(same, "vst")
    few = OTHERS.mul(OTHERS.index != "P03", axis=0).assign(G0=50.0)
    with pytest.raises(InputError, match=r"upper_quartile in 1 samples \(P03\); leave them out"):
        REFERENCES["upper_quartile"].normalize(few)
    with pytest.raises(InputError, match="no gene is shared"):
        REFERENCES["tmm"].normalize(OTHERS.add_prefix("x"))


def test_dispersions_of_simulated_counts():
    rng = np.random.default_rng(4)
    factors = rng.uniform(0.5, 2, 150)
    for true in (0.05, 0.5, 2.0):
        rate = 200 * rng.gamma(1 / true, true, (150, 200)) * factors[:, None]
        found = gene_dispersions(rng.poisson(rate).astype(float), factors)
        assert np.median(found) == pytest.approx(true, rel=0.05)
    still = gene_dispersions(rng.poisson(200 * factors[:, None], (150, 200)).astype(float), factors)
    assert np.median(still) < 1e-3


def test_a_dispersion_without_a_trend_is_said():
    flat = np.random.default_rng(3)
    level = np.exp(flat.normal(6, 1.5, GENES))
    # The dispersion rises with the mean: no trend of the kind that is looked for.
    size = 1 / (0.02 + 0.3 * level / level.max())
    counts = pd.DataFrame(flat.poisson(level * flat.gamma(size, 1 / size, (40, GENES))).astype(float))
    found = normal(counts, "vst")
    assert found.reference.extra == 0
    assert "at every mean count: no trend could be fitted" in found.steps[-1]["detail"]
    assert "/ mean count" in normal(TRAINING, "vst").steps[-1]["detail"]
