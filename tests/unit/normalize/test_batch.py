"""Batches are corrected by what was learned, and nobody else's values move."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from amlprognosis.errors import InputError
from amlprognosis.normalize.batch import Batches, batch_labels, learn_batches


def world(n: int = 90, genes: int = 60, seed: int = 0) -> tuple[pd.DataFrame, pd.Series]:
    rng = np.random.default_rng(seed)
    index = pd.Index([f"P{k:03d}" for k in range(n)], name="patient")
    labels = pd.Series(np.array(["a", "b", "c"], dtype=object)[rng.integers(3, size=n)], index=index)
    values = rng.normal(8, 1, (n, genes))
    for k, batch in enumerate("abc"):
        rows = (labels == batch).to_numpy()
        values[rows] = (values[rows] - 8) * (1 + 0.4 * k) + 8 + rng.normal(k, 0.5, genes)
    features = pd.DataFrame(values, index=index, columns=[f"expression:G{k}" for k in range(genes)])
    return features.assign(**{"clinical:age": rng.normal(60, 10, n)}), labels


def spread_of_batches(features: pd.DataFrame, labels: pd.Series) -> tuple[float, float]:
    """Largest mean distance of a batch from all, and largest ratio of its spread to that of all."""
    genes = features.filter(like="expression:")
    shift = max(float((genes[labels == b].mean() - genes.mean()).abs().mean()) for b in "abc")
    ratio = max(float((genes[labels == b].std() / genes.std()).median()) for b in "abc")
    return shift, ratio


def test_location_and_scale_of_batches_come_together():
    features, labels = world()
    before = features.copy()
    found = learn_batches(features, labels).apply(features, labels)
    pd.testing.assert_frame_equal(features, before)
    assert list(found.columns) == list(features.columns)
    pd.testing.assert_series_equal(found["clinical:age"], features["clinical:age"])
    assert spread_of_batches(features, labels)[0] > 0.8
    shift, ratio = spread_of_batches(found, labels)
    assert shift < 0.1
    assert ratio < 1.1


def test_a_patient_held_out_has_no_part_in_the_correction():
    features, labels = world()
    batches = Batches("plate", labels, features.filter(like="expression:"))
    train, held = features.iloc[:70], features.iloc[70:]
    first = batches.corrected(train, held)
    other = features.copy()
    other.iloc[70:] = other.iloc[70:] * 3 + 10
    second = Batches("plate", labels, other.filter(like="expression:")).corrected(train, other.iloc[70:])
    pd.testing.assert_frame_equal(first[0], second[0])
    # Of the held-out patients each goes by the same map: a change of one is no change of another.
    alone = batches.corrected(train, held.iloc[[3]])[1]
    pd.testing.assert_frame_equal(alone, first[1].iloc[[3]])


def test_batches_unknown_small_or_missing_stay_as_they_are():
    features, labels = world()
    labels = labels.copy()
    labels.iloc[:4] = "tiny"
    labels.iloc[4:9] = None
    maps = learn_batches(features, labels)
    assert sorted(maps.maps) == ["a", "b", "c"]
    found = maps.apply(features, labels)
    pd.testing.assert_frame_equal(found.iloc[:9], features.iloc[:9])
    assert not np.allclose(found.iloc[9:, 0], features.iloc[9:, 0])
    fresh = features.iloc[[20]]
    pd.testing.assert_frame_equal(maps.apply(fresh, pd.Series("new", index=fresh.index)), fresh)
    pd.testing.assert_frame_equal(maps.apply(fresh, pd.Series(dtype=object)), fresh)
    one = learn_batches(features, pd.Series("a", index=features.index))
    assert one.maps == {}
    pd.testing.assert_frame_equal(one.apply(features, labels), features)


def test_missing_values_stay_missing_and_flat_genes_stay_flat():
    features, labels = world()
    gaps = features.copy()
    gaps.iloc[::7, 5] = np.nan
    gaps.loc[labels == "b", "expression:G9"] = 4.0
    found = learn_batches(gaps, labels).apply(gaps, labels)
    assert np.array_equal(found.isna(), gaps.isna())
    pd.testing.assert_series_equal(found["expression:G9"], gaps["expression:G9"])
    means = found["expression:G5"].groupby(labels).mean()
    assert np.ptp(means) < 0.3


def test_a_part_of_the_genes_is_corrected_as_all_are():
    features, labels = world()
    batches = Batches("plate", labels, features.filter(like="expression:"))
    some = features[["expression:G4", "expression:G40"]]
    whole, part = batches.corrected(features)[0], batches.corrected(some)[0]
    pd.testing.assert_frame_equal(part, whole[list(some.columns)])


def test_a_profile_keeps_its_batch_when_it_goes_to_another_patient():
    features, labels = world()
    order = np.random.default_rng(1).permutation(len(features))
    batches = Batches("plate", labels, features.filter(like="expression:"))
    moved = features.iloc[order].set_axis(features.index)
    found = batches.reordered(order).corrected(moved)[0]
    expected = batches.corrected(features)[0].iloc[order].set_axis(features.index)
    pd.testing.assert_frame_equal(found, expected, rtol=1e-9)


def test_labels_are_texts_and_must_tell_patients_apart():
    obs = pd.DataFrame({"plate": [1, 1, 1, 1, 1, 2, 2, 2, 2, 2, np.nan]}, index=[f"P{k}" for k in range(11)])
    found = batch_labels(obs, "plate", "cohorts.T")
    assert found.iloc[0] == "1.0"
    assert found.iloc[10] is None
    with pytest.raises(InputError, match=r"features.batch: cohorts.T has no column 'centre'; it has plate"):
        batch_labels(obs, "centre", "cohorts.T")
    with pytest.raises(InputError, match=r"fewer than two groups of at least 5 patients \(1.0: 5, 2.0: 4\)"):
        batch_labels(obs.drop(index="P9"), "plate", "cohorts.T")
