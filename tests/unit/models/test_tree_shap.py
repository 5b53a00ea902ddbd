"""Shapley values of forests against their definition and against the package shap."""

from itertools import combinations
from math import factorial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amlprognosis.errors import InputError
from amlprognosis.models.tree_shap import forest_shapley
from amlprognosis.models.trees import FlatForest


def forest(feature, threshold, left, right, cover, values, roots):
    """Forest of nodes in order; ``values`` of the leaves in the order of their nodes."""
    feature = np.array(feature, dtype=np.int32)
    leaf = np.where(feature < 0, np.cumsum(feature < 0) - 1, -1)
    return FlatForest(
        roots=np.array(roots, dtype=np.int32),
        feature=feature,
        threshold=np.array(threshold, dtype=float),
        left=np.array(left, dtype=np.int32),
        right=np.array(right, dtype=np.int32),
        leaf=leaf.astype(np.int32),
        values=np.array(values, dtype=float)[:, None],
        cover=np.array(cover, dtype=float),
    )


# Column 0 comes twice on one path of the first tree.
TWO_TREES = forest(
    feature=[0, 1, 0, -1, -1, 2, -1, -1, -1, 2, 1, -1, -1, -1],
    threshold=[0.5, -0.2, 1.5, 0, 0, 0, 0, 0, 0, 1, 0.3, 0, 0, 0],
    left=[1, 3, 5, -1, -1, 7, -1, -1, -1, 10, 12, -1, -1, -1],
    right=[2, 4, 6, -1, -1, 8, -1, -1, -1, 11, 13, -1, -1, -1],
    cover=[10, 4, 6, 3, 1, 5, 1, 2, 3, 10, 8, 2, 5, 3],
    values=[0.5, 3, -2, 4, 1.5, 0.25, 2, -1],
    roots=[0, 9],
)
PATIENTS = np.array([[0, -1, 2.0], [1, 0, -1], [2, 1, 0.5], [0.5, 0, 1]])


def known_mean(trees, row, known, node):
    """What a tree says of a patient of whom only the columns in ``known`` are known."""
    f = trees.feature[node]
    if f < 0:
        return trees.values[trees.leaf[node], 0]
    sides = trees.left[node], trees.right[node]
    if f in known:
        return known_mean(trees, row, known, sides[0] if row[f] <= trees.threshold[node] else sides[1])
    parts = [trees.cover[side] * known_mean(trees, row, known, side) for side in sides]
    return sum(parts) / trees.cover[node]


def by_definition(trees, x):
    """Shapley values as the mean over all coalitions."""
    n, p = x.shape
    out = np.zeros((n, p))
    for i, row in enumerate(x):

        def says(known, row=row):
            return np.mean([known_mean(trees, row, known, root) for root in trees.roots])

        for j in range(p):
            rest = [k for k in range(p) if k != j]
            for size in range(p):
                weight = factorial(size) * factorial(p - size - 1) / factorial(p)
                for others in combinations(rest, size):
                    out[i, j] += weight * (says({*others, j}) - says(set(others)))
    return out


def test_numbers_of_the_package_shap():
    baseline, values = forest_shapley(TWO_TREES, PATIENTS)
    # shap 0.51.0, TreeExplainer(feature_perturbation="tree_path_dependent") on the same arrays; it sums over trees.
    expected = [[-0.3125, 0.0125, -1.2], [1.0, 1.3875, 1.3625], [-3.625, -1.3125, -0.3125], [0.4375, 2.325, -0.0125]]
    np.testing.assert_allclose(2 * values, expected, atol=1e-14)
    assert 2 * baseline == pytest.approx(2.25, abs=1e-14)


def test_the_definition_on_two_trees():
    baseline, values = forest_shapley(TWO_TREES, PATIENTS)
    np.testing.assert_allclose(values, by_definition(TWO_TREES, PATIENTS), atol=1e-14)
    np.testing.assert_allclose(baseline + values.sum(axis=1), TWO_TREES.mean_values(PATIENTS)[:, 0], atol=1e-14)


@st.composite
def grown(draw):
    """A forest grown at random on a few patients and columns, and other patients."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    p = draw(st.integers(1, 5))
    # Rounded, so that patients stand at thresholds; the last column is on no split.
    train = np.round(rng.normal(size=(draw(st.integers(2, 25)), p + 1)), 1)
    feature, threshold, left, right, cover, values, roots = [], [], [], [], [], [], []

    def grow(rows, depth):
        node = len(feature)
        j = int(rng.integers(p))
        at = rng.choice(train[rows, j])
        goes_left = train[rows, j] <= at
        is_leaf = depth == 0 or goes_left.all()
        for values_of_nodes, value in (
            (feature, -1 if is_leaf else j), (threshold, at), (left, -1), (right, -1), (cover, len(rows))
        ):  # fmt: skip
            values_of_nodes.append(value)
        if is_leaf:
            values.append(rng.normal())
            return node
        left[node] = grow(rows[goes_left], depth - 1)
        right[node] = grow(rows[~goes_left], depth - 1)
        return node

    for _ in range(draw(st.integers(1, 3))):
        roots.append(grow(np.arange(len(train)), draw(st.integers(0, 5))))
    return (
        forest(feature, threshold, left, right, cover, values, roots),
        train,
        np.round(rng.normal(size=(4, p + 1)), 1),
    )


@settings(max_examples=60, deadline=None)
@given(grown())
def test_the_definition_on_any_forest(case):
    trees, train, x = case
    np.testing.assert_array_equal(trees.with_cover(train).cover, trees.cover)
    baseline, values = forest_shapley(trees, x)
    np.testing.assert_allclose(values, by_definition(trees, x), atol=1e-12)
    np.testing.assert_allclose(baseline + values.sum(axis=1), trees.mean_values(x)[:, 0], atol=1e-12)
    assert not values[:, -1].any()
    # The baseline is what the forest says of its own patients on average.
    assert baseline == pytest.approx(trees.mean_values(train)[:, 0].mean(), abs=1e-12)


def test_deep_paths_are_exact():
    """A path over 40 columns needs 20 points of quadrature."""
    depth = 40
    nodes = 2 * depth + 1
    feature = [-1] * nodes
    threshold, left, right, cover = np.zeros(nodes), [-1] * nodes, [-1] * nodes, np.ones(nodes)
    for d in range(depth):
        feature[2 * d], left[2 * d], right[2 * d] = d, 2 * d + 1, 2 * d + 2
        cover[2 * d] = depth + 1 - d
    values = np.random.default_rng(0).normal(size=depth + 1)
    trees = forest(feature, threshold, left, right, cover, values, [0])
    x = np.where(np.random.default_rng(1).random((5, depth)) < 0.05, -1.0, 1.0)
    baseline, shapley = forest_shapley(trees, x)
    np.testing.assert_allclose(baseline + shapley.sum(axis=1), trees.mean_values(x)[:, 0], atol=1e-13)


def test_covers_are_needed_and_belong_to_the_forest():
    from dataclasses import replace

    with pytest.raises(InputError, match="fit the model anew"):
        forest_shapley(replace(TWO_TREES, cover=np.empty(0)), PATIENTS)
    with pytest.raises(AssertionError, match="not the forest's patients"):
        TWO_TREES.with_cover(PATIENTS[:1])
