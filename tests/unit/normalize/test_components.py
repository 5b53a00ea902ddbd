"""Components and silhouettes are those of scikit-learn; groups that are apart are seen, others are not."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kruskal
from sklearn.decomposition import PCA
from sklearn.metrics import pairwise_distances, silhouette_score

from amlprognosis.normalize.components import components, mean_silhouettes, separation


@pytest.fixture(scope="module")
def matrix() -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.normal(8, rng.uniform(0.5, 2, 400), (60, 400)) + rng.normal(size=(60, 3)) @ rng.normal(size=(3, 400))


def test_components_are_those_of_scikit_learn(matrix):
    found = components(matrix)
    z = (matrix - matrix.mean(axis=0)) / matrix.std(axis=0)
    pca = PCA(10, svd_solver="full").fit(z)
    np.testing.assert_allclose(np.abs(found.scores), np.abs(pca.transform(z)), rtol=1e-6)
    np.testing.assert_allclose(found.shares, pca.explained_variance_ratio_, rtol=1e-6)
    loadings = z.T @ found.scores
    assert (loadings[np.abs(loadings).argmax(axis=0), range(10)] > 0).all()
    # Most variable, complete genes alone count.
    more = np.hstack([matrix, np.full((60, 3), np.nan), np.zeros((60, 2)), 0.001 * matrix[:, :1]])
    assert components(more).genes == 401
    assert components(np.tile(matrix, 5)).genes == 1500


def test_silhouettes_of_many_labels_are_those_of_one(matrix):
    scores = components(matrix).scores
    rng = np.random.default_rng(1)
    codes = np.array([rng.permutation(np.arange(60) % 4) for _ in range(5)])
    expected = [silhouette_score(scores, code) for code in codes]
    np.testing.assert_allclose(mean_silhouettes(pairwise_distances(scores), codes), expected, atol=1e-10)


def test_groups_apart_are_seen(matrix):
    labels = np.array(["x", "y", "z"], dtype=object)[np.arange(60) % 3]
    shifted = matrix + 1.5 * (labels == "y")[:, None]
    labels[:4] = None
    labels[4] = "alone"
    space = components(shifted)
    found = separation(space, labels, 1)
    assert (found.levels, found.patients) == (3, 55)
    known = [k for k in range(5, 60)]
    scores, own = space.scores[known], labels[known]
    assert found.silhouette == pytest.approx(silhouette_score(scores, own.astype(str)))
    assert found.p == pytest.approx(1 / 1000)
    centred = scores - scores.mean(axis=0)
    between = sum((own == g).sum() * centred[own == g].mean(axis=0) ** 2 for g in "xyz")
    np.testing.assert_allclose(found.r2, between / (centred**2).sum(axis=0))
    tests = [kruskal(*[scores[own == g, k] for g in "xyz"]).pvalue for k in range(10)]
    assert found.q.min() == pytest.approx(min(tests) * 10)
    assert found.q.max() == pytest.approx(max(tests))
    assert 0.1 < found.explained < 0.3
    assert separation(space, labels, 1).p == found.p


def test_labels_by_chance_are_not_seen_more_often_than_chance(matrix):
    space = components(matrix)
    rng = np.random.default_rng(5)
    drawn = [separation(space, rng.permutation(np.array(["a", "b"] * 30, dtype=object)), k, 199) for k in range(60)]
    assert sum(found.p < 0.05 for found in drawn) <= 8
    assert np.mean([found.explained for found in drawn]) < 0.02


def test_too_little_to_compare_is_said(matrix):
    assert "9 patients" in components(matrix[:9]).reason
    assert "40 genes" in components(matrix[:, :40]).reason
    nothing = components(matrix[:, :40])
    assert "40 genes" in separation(nothing, np.array(["a", "b"] * 30, dtype=object), 1).reason
    space = components(matrix)
    assert "fewer than two groups" in separation(space, np.array(["a"] * 58 + ["b"] * 2, dtype=object), 1).reason
    assert separation(space, np.array([f"g{k // 3}" for k in range(60)], dtype=object), 1).reason == ""
    few = components(matrix[:58])
    many = np.array([f"g{min(k // 3, 18)}" for k in range(57)] + [None], dtype=object)
    assert separation(few, many, 1).levels == 19
    assert np.isnan(separation(nothing, np.array(["a", "b"] * 30, dtype=object), 1).silhouette)
