"""Forests as plain arrays: predict the same live and frozen, on any number of threads, without their library.

scikit-survival and scikit-learn grow the trees; afterwards only the splits and, per leaf, a row of values are kept
(cumulative hazard on a grid of times, or a probability). That is small, safe to read, and sums in a fixed order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def _sum_leaves(x, roots, feature, threshold, left, right, leaf, values):
    out = np.zeros((x.shape[0], values.shape[1]))
    for i in range(x.shape[0]):
        for t in range(roots.size):
            node = roots[t]
            while feature[node] >= 0:
                node = left[node] if x[i, feature[node]] <= threshold[node] else right[node]
            for k in range(values.shape[1]):
                out[i, k] += values[leaf[node], k]
    return out / roots.size


@dataclass(frozen=True)
class FlatForest:
    """Trees laid one after another.

    Attributes
    ----------
    roots : ndarray of int32 (n_trees,)
        First node of each tree.
    feature : ndarray of int32 (n_nodes,)
        Column of the split, -1 in a leaf.
    threshold : ndarray (n_nodes,)
        Patients at or below it go left.
    left, right : ndarray of int32 (n_nodes,)
        Children.
    leaf : ndarray of int32 (n_nodes,)
        Row of ``values``, -1 in an inner node.
    values : ndarray (n_leaves, k)
        What a leaf says; a forest says the mean over its trees.
    """

    roots: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    leaf: np.ndarray
    values: np.ndarray

    NAMES = ("roots", "feature", "threshold", "left", "right", "leaf", "values")

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Mean of the leaves' values over trees (n, k)."""
        x = np.ascontiguousarray(x, dtype=np.float64)
        return _sum_leaves(x, self.roots, self.feature, self.threshold, self.left, self.right, self.leaf, self.values)

    def arrays(self) -> dict[str, np.ndarray]:
        """Content by name."""
        return {name: getattr(self, name) for name in self.NAMES}


def flatten(trees: list[Any], leaf_values: Any) -> FlatForest:
    """Lay scikit-learn trees one after another.

    Parameters
    ----------
    trees : list of sklearn.tree._tree.Tree
        Grown trees.
    leaf_values : callable
        ``leaf_values(tree_number, leaf_nodes) -> ndarray (n_leaves, k)``.
    """
    roots, feature, threshold, left, right, leaf, values = [], [], [], [], [], [], []
    n_nodes = n_leaves = 0
    for number, tree in enumerate(trees):
        is_leaf = tree.children_left < 0
        nodes = np.flatnonzero(is_leaf)
        roots.append(n_nodes)
        feature.append(np.where(is_leaf, -1, tree.feature))
        threshold.append(np.where(is_leaf, 0.0, tree.threshold))
        left.append(np.where(is_leaf, -1, tree.children_left + n_nodes))
        right.append(np.where(is_leaf, -1, tree.children_right + n_nodes))
        rows = np.full(tree.node_count, -1)
        rows[nodes] = n_leaves + np.arange(nodes.size)
        leaf.append(rows)
        values.append(np.asarray(leaf_values(number, nodes), dtype=np.float64))
        n_nodes += tree.node_count
        n_leaves += nodes.size
    integers = [np.concatenate(parts).astype(np.int32) for parts in (feature, left, right, leaf)]
    return FlatForest(
        np.array(roots, dtype=np.int32),
        integers[0],
        np.concatenate(threshold).astype(np.float64),
        integers[1],
        integers[2],
        integers[3],
        np.ascontiguousarray(np.vstack(values)),
    )


@njit(cache=True, nogil=True)
def leaf_curves(row, time, event, n_leaves, death_times, grid):
    """Nelson-Aalen and Kaplan-Meier curves of every leaf of a tree.

    Parameters
    ----------
    row : ndarray of int (n,)
        Leaf row of each patient of the tree's bootstrap sample, sorted by ascending time.
    time, event : ndarray (n,)
        Their days and deaths.
    n_leaves : int
    death_times : ndarray (m,)
        Distinct times of death of the whole training part, ascending.
    grid : ndarray (k,)
        Subset of ``death_times`` at which survival is kept.

    Returns
    -------
    ndarray (n_leaves, 1 + k)
        Expected deaths (the cumulative hazard summed over ``death_times``), then survival on the grid.
    """
    at_risk = np.zeros(n_leaves)
    for i in range(row.size):
        at_risk[row[i]] += 1.0
    hazard = np.zeros(n_leaves)
    survival = np.ones(n_leaves)
    deaths = np.zeros(n_leaves)
    out = np.zeros((n_leaves, 1 + grid.size))
    i = 0
    k = 0
    for t in death_times:
        while i < row.size and time[i] < t:
            at_risk[row[i]] -= 1.0
            i += 1
        j = i
        while j < row.size and time[j] == t:
            if event[j]:
                deaths[row[j]] += 1.0
            j += 1
        for leaf in range(n_leaves):
            if deaths[leaf] > 0.0:
                hazard[leaf] += deaths[leaf] / at_risk[leaf]
                survival[leaf] *= 1.0 - deaths[leaf] / at_risk[leaf]
                deaths[leaf] = 0.0
            out[leaf, 0] += hazard[leaf]
        if k < grid.size and grid[k] == t:
            for leaf in range(n_leaves):
                out[leaf, 1 + k] = survival[leaf]
            k += 1
    return out
