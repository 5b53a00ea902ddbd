"""Shapley values of a forest of our own, exact, along the trees' own paths.

What a tree says of a patient of whom only some columns are known is the mean over its leaves, where a split on an
unknown column sends the patient both ways in the shares of the training patients (Lundberg 2020,
doi:10.1038/s42256-019-0138-9, path-dependent TreeSHAP). A leaf's part of that mean is a product over the columns of its
path, of 1 or 0 for a known column that leads there or not, and of its share else. The Shapley value of such a product
is the integral over t of the multilinear extension's slope (Owen 1972, doi:10.1287/mnsc.18.5.64):

    leaf value x (known_j - share_j) x integral from 0 to 1 of the product over i != j of (t known_i + (1 - t) share_i),

a polynomial of t, which Gauss-Legendre quadrature of enough points integrates without error.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from amlprognosis.errors import InputError
from amlprognosis.models.trees import FlatForest


@njit(cache=True, nogil=True)
def _leaf_paths(feature, threshold, left, right, cover):
    """Columns on the way to each leaf, each once; leaves in the order of their nodes.

    Returns
    -------
    start : ndarray of int64 (n_leaves + 1,)
        First entry of each leaf.
    column, share, low, high : ndarray (n_entries,)
        Column; product of the shares of training patients that its splits send this way; a patient above ``low`` and
        at or below ``high`` goes this way.
    """
    parent = np.full(feature.size, -1, dtype=np.int64)
    for node in range(feature.size):
        if feature[node] >= 0:
            parent[left[node]] = node
            parent[right[node]] = node
    n_steps, n_leaves = 0, 0
    for node in range(feature.size):
        if feature[node] < 0:
            n_leaves += 1
            above = parent[node]
            while above >= 0:
                n_steps += 1
                above = parent[above]
    start = np.zeros(n_leaves + 1, dtype=np.int64)
    column = np.empty(n_steps, dtype=np.int64)
    share, low, high = np.empty(n_steps), np.empty(n_steps), np.empty(n_steps)
    end, number = 0, 0
    for node in range(feature.size):
        if feature[node] >= 0:
            continue
        begin = end
        below, above = node, parent[node]
        while above >= 0:
            f = feature[above]
            at = begin
            while at < end and column[at] != f:
                at += 1
            if at == end:
                column[at], share[at], low[at], high[at] = f, 1.0, -np.inf, np.inf
                end += 1
            share[at] *= cover[below] / cover[above]
            if left[above] == below:
                high[at] = min(high[at], threshold[above])
            else:
                low[at] = max(low[at], threshold[above])
            below, above = above, parent[above]
        number += 1
        start[number] = end
    return start, column[:end], share[:end], low[:end], high[:end]


@njit(cache=True, nogil=True)
def _shapley(x, start, column, share, low, high, value, point, weight, out):
    """Add each leaf's Shapley values to ``out`` (n, p); row m of ``point`` and ``weight`` is a rule of m points."""
    longest = 0
    for k in range(value.size):
        longest = max(longest, start[k + 1] - start[k])
    known, term, total = np.empty(longest), np.empty(longest), np.empty(longest)
    for i in range(x.shape[0]):
        for k in range(value.size):
            begin, size = start[k], start[k + 1] - start[k]
            for j in range(size):
                v = x[i, column[begin + j]]
                known[j] = 1.0 if low[begin + j] < v <= high[begin + j] else 0.0
                total[j] = 0.0
            m = (size + 1) // 2
            for q in range(m):
                t = point[m, q]
                product = weight[m, q]
                for j in range(size):
                    term[j] = t * known[j] + (1.0 - t) * share[begin + j]
                    product *= term[j]
                for j in range(size):
                    total[j] += product / term[j]
            for j in range(size):
                out[i, column[begin + j]] += value[k] * (known[j] - share[begin + j]) * total[j]


def forest_shapley(forest: FlatForest, x: np.ndarray) -> tuple[float, np.ndarray]:
    """Shapley values of the mean over trees of the leaves' first value.

    Parameters
    ----------
    forest : FlatForest
        With ``cover``.
    x : ndarray (n, p)
        Patients, as :meth:`FlatForest.mean_values` takes them.

    Returns
    -------
    baseline : float
        Mean over the training patients.
    values : ndarray (n, p)
        ``baseline + values.sum(axis=1)`` is the forest's mean value.

    Raises
    ------
    InputError
        If the forest does not know how many training patients reached its nodes.
    """
    if forest.cover.size != forest.feature.size:
        raise InputError("the forest does not hold how many training patients reached its nodes; fit the model anew")
    at_leaf = forest.feature < 0
    value = forest.values[forest.leaf[at_leaf], 0] / forest.roots.size
    start, column, share, low, high = _leaf_paths(
        forest.feature, forest.threshold, forest.left, forest.right, forest.cover
    )
    most = (int(np.diff(start).max()) + 1) // 2
    point, weight = np.zeros((most + 1, most)), np.zeros((most + 1, most))
    for m in range(1, most + 1):
        at, of = np.polynomial.legendre.leggauss(m)
        point[m, :m], weight[m, :m] = (at + 1.0) / 2.0, of / 2.0
    x = np.ascontiguousarray(x, dtype=np.float64)
    out = np.zeros(x.shape)
    _shapley(x, start, column, share, low, high, value, point, weight, out)
    return float(value @ forest.cover[at_leaf] / forest.cover[forest.roots[0]]), out
