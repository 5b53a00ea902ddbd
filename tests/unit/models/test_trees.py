import numpy as np
from sklearn.ensemble import RandomForestClassifier

from amlprognosis.models.trees import FlatForest, flatten, minimal_depths

# Two trees of column 0 at 0, and below it on the right column 2 at 5; the second is a leaf alone.
FOREST = FlatForest(
    roots=np.array([0, 5], dtype=np.int32),
    feature=np.array([0, -1, 2, -1, -1, -1], dtype=np.int32),
    threshold=np.array([0.0, 0, 5, 0, 0, 0]),
    left=np.array([1, -1, 3, -1, -1, -1], dtype=np.int32),
    right=np.array([2, -1, 4, -1, -1, -1], dtype=np.int32),
    leaf=np.array([-1, 0, -1, 1, 2, 3], dtype=np.int32),
    values=np.array([[1.0], [2.0], [4.0], [10.0]]),
    times=np.array([10.0, 20.0]),
    start=np.array([0, 0, 1, 3, 4], dtype=np.int32),
    at=np.array([1, 0, 1, 0], dtype=np.int32),
    drop=np.array([0.5, 0.25, 0.75, 0.5]),
)
X = np.array([[0.0, 0, 0], [1.0, 0, 5.0], [1.0, 0, 5.0000000001]])


def test_values_and_curves_by_hand():
    np.testing.assert_array_equal(FOREST.mean_values(X)[:, 0], [5.5, 6.0, 7.0])
    at = [25.0, 9.0, 10.0, 19.0, 20.0]
    expected = [[0.75, 1, 0.75, 0.75, 0.75], [0.5, 1, 0.75, 0.75, 0.5], [0.25, 1, 0.625, 0.625, 0.25]]
    np.testing.assert_array_equal(FOREST.survival(X, at), expected)
    np.testing.assert_array_equal(FOREST.survival(X, 10.0), [[0.75], [0.75], [0.625]])
    np.testing.assert_array_equal(FOREST.predict(X)[:, 1:], FOREST.survival(X, FOREST.times))
    # One patient at a time is as good as the cohort.
    np.testing.assert_array_equal(FOREST.predict(X[[2]]), FOREST.predict(X)[[2]])


def test_minimal_depth_by_hand():
    depth_sum, by_chance = minimal_depths(FOREST.roots, FOREST.feature, FOREST.left, FOREST.right, 3)
    # The first tree is 2 deep: column 0 at depth 0, column 1 nowhere, column 2 at depth 1; the second has depth 0.
    np.testing.assert_array_equal(depth_sum, [0, 2, 1])
    # P(D > 0) = 2/3, P(D > 1) = 4/9: mean 10/9, second moment 2/3 + 3 * 4/9 = 2.
    np.testing.assert_allclose(by_chance, [[10 / 9, 2.0], [0, 0]])


def test_flattened_trees_predict_as_scikit_learn():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(80, 4)).astype(np.float32), rng.random(80) < 0.5
    forest = RandomForestClassifier(20, random_state=0).fit(x, y)

    def values(number, nodes):
        return forest.estimators_[number].tree_.value[nodes, 0, 1:]

    flat = flatten([tree.tree_ for tree in forest.estimators_], values)
    np.testing.assert_allclose(flat.predict(x)[:, 0], forest.predict_proba(x)[:, 1], rtol=1e-12)
    assert flat.predict(x).shape == (80, 1)
