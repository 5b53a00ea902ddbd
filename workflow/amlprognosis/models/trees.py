"""Forests as plain arrays: predict the same live and frozen, on any number of threads, without their library.

Our own kernels or scikit-learn grow the trees; afterwards only the splits and what the leaves say are kept: a row of
values, and for survival the few steps of a leaf's Kaplan-Meier curve. That is small, safe to read, exact at any time,
and sums in a fixed order.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, inline="always")
def _descend(row, root, feature, threshold, left, right):
    """Node of the leaf that a patient's columns lead to."""
    node = root
    f = feature[node]
    while f >= 0:
        node = left[node] if row[f] <= threshold[node] else right[node]
        f = feature[node]
    return node


@njit(cache=True, nogil=True)
def _sum_values(x, roots, feature, threshold, left, right, leaf, values):
    out = np.zeros((x.shape[0], values.shape[1]))
    for root in roots:
        for i in range(x.shape[0]):
            at_leaf = leaf[_descend(x[i], root, feature, threshold, left, right)]
            for k in range(values.shape[1]):
                out[i, k] += values[at_leaf, k]
    return out


@njit(cache=True, nogil=True)
def _sum_drops(x, roots, feature, threshold, left, right, leaf, start, at, drop, column, n_columns):
    """Sum the drops of the leaves' curves that come first into force at each column; the last column is a bin."""
    out = np.zeros((x.shape[0], n_columns + 1))
    for root in roots:
        for i in range(x.shape[0]):
            at_leaf = leaf[_descend(x[i], root, feature, threshold, left, right)]
            for step in range(start[at_leaf], start[at_leaf + 1]):
                out[i, column[at[step]]] += drop[step]
    return out


@njit(cache=True, nogil=True)
def _count(x, weight, roots, feature, threshold, left, right):
    """Sum the weights of the patients that reach each node."""
    out = np.zeros(feature.size)
    for root in roots:
        for i in range(x.shape[0]):
            node = root
            out[node] += weight[i]
            while feature[node] >= 0:
                node = left[node] if x[i, feature[node]] <= threshold[node] else right[node]
                out[node] += weight[i]
    return out


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
        Number of the leaf, -1 in an inner node.
    values : ndarray (n_leaves, k)
        What a leaf says; a forest says the mean over its trees.
    times : ndarray (m,)
        Times of death in the training part, ascending days; empty in a forest without survival curves.
    start : ndarray of int32 (n_leaves + 1,)
        First step of each leaf's survival curve.
    at : ndarray of int32 (n_steps,)
        Position of a step in ``times``.
    drop : ndarray (n_steps,)
        Height of a step; the curve begins at 1.
    cover : ndarray (n_nodes,)
        Training patients that reach each node, all of them in every tree; empty until :meth:`with_cover`.
    """

    roots: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    leaf: np.ndarray
    values: np.ndarray
    times: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.float64))
    start: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int32))
    at: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int32))
    drop: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.float64))
    cover: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.float64))

    NAMES = (
        "roots", "feature", "threshold", "left", "right", "leaf", "values", "times", "start", "at", "drop", "cover",
    )  # fmt: skip

    def mean_values(self, x: np.ndarray) -> np.ndarray:
        """Mean of the leaves' values over trees (n, k) for patients ``x`` (n, p)."""
        x = np.ascontiguousarray(x, dtype=np.float64)
        sums = _sum_values(
            x, self.roots, self.feature, self.threshold, self.left, self.right, self.leaf, self.values
        )  # fmt: skip
        return sums / self.roots.size

    def survival(self, x: np.ndarray, at_days: Any) -> np.ndarray:
        """Mean survival curve over trees (n, k) at the days ``at_days`` (k,); the last value is carried on."""
        days, place = np.unique(np.atleast_1d(np.asarray(at_days, dtype=np.float64)), return_inverse=True)
        column = np.searchsorted(days, self.times)
        x = np.ascontiguousarray(x, dtype=np.float64)
        drops = _sum_drops(
            x, self.roots, self.feature, self.threshold, self.left, self.right, self.leaf, self.start, self.at,
            self.drop, column, days.size,
        )  # fmt: skip
        return np.clip(1.0 - np.cumsum(drops[:, :-1], axis=1) / self.roots.size, 0.0, 1.0)[:, place]

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Mean of the leaves' values over trees, then survival at ``times`` if there are any (n, k + m)."""
        if not self.times.size:
            return self.mean_values(x)
        return np.column_stack([self.mean_values(x), self.survival(x, self.times)])

    def with_cover(self, x: np.ndarray, weight: np.ndarray | None = None) -> FlatForest:
        """Add what contributions need: how many of the training patients ``x`` (n, p) reach each node.

        With ``weight`` (n,) their sum of weights.
        """
        weight = np.ones(len(x)) if weight is None else np.asarray(weight, dtype=np.float64)
        x = np.ascontiguousarray(x, dtype=np.float64)
        cover = _count(x, weight, self.roots, self.feature, self.threshold, self.left, self.right)
        if not (cover > 0).all():
            raise AssertionError("a node that no training patient reaches: these are not the forest's patients")
        return replace(self, cover=cover)

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
def minimal_depths(roots, feature, left, right, n_columns):
    """Depth of the first split on each column, and what chance alone would give.

    Parameters
    ----------
    roots, feature, left, right : ndarray of int
        As of FlatForest; parents come before their children.
    n_columns : int

    Returns
    -------
    depth_sum : ndarray (n_columns,)
        Depth of the first split, the tree's greatest depth if there is none, summed over trees.
    by_chance : ndarray (n_trees, 2)
        First and second moment of that depth for a column that each split is on with probability 1 / n_columns.
    """
    n_trees = roots.size
    depth = np.zeros(feature.size, dtype=np.int64)
    first = np.full(n_columns, -1, dtype=np.int64)
    depth_sum = np.zeros(n_columns)
    by_chance = np.zeros((n_trees, 2))
    total = 0.0
    for t in range(n_trees):
        end = roots[t + 1] if t + 1 < n_trees else feature.size
        height = 0
        splits = np.zeros(end - roots[t])
        for node in range(roots[t], end):
            f = feature[node]
            d = depth[node]
            height = max(height, d)
            if f >= 0:
                depth[left[node]] = d + 1
                depth[right[node]] = d + 1
                splits[d] += 1.0
                if first[f] < 0 or d < first[f]:
                    first[f] = d
        for node in range(roots[t], end):
            f = feature[node]
            if f >= 0 and first[f] >= 0:
                depth_sum[f] += first[f] - height
                first[f] = -1
        total += height
        n_splits = 0.0
        for d in range(height):
            # The chance that no split until depth d is on the column is P(D > d).
            n_splits += splits[d]
            beyond = (1.0 - 1.0 / n_columns) ** n_splits
            by_chance[t, 0] += beyond
            by_chance[t, 1] += (2.0 * d + 1.0) * beyond
    for f in range(n_columns):
        depth_sum[f] += total
    return depth_sum, by_chance
