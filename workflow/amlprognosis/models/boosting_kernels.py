"""Compiled gradient boosting of the Cox partial likelihood (Breslow's rule for ties) with small regression trees.

Rows come in *descending* order of time, so that a risk set is a prefix. Trees are exact: every column is sorted once
for all folds and trees, and a tree carries the sorted rows of its bag down to its nodes. On cohorts of hundreds of
patients that takes about as long as histograms, whose bins are more than the rows of a node.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from amlprognosis.models.risk_sets import risk_sets
from amlprognosis.models.trees import FlatForest

LEAF, ABSENT = -1, -2
# A leaf's step is (deaths - expected) / (expected + 1): with next to no expected deaths it must not explode.
PRIOR_DEATHS = 1.0
SMALLEST_GAIN = 1e-9


class Cohort(NamedTuple):
    """What all runs on the same patients share.

    Attributes
    ----------
    columns : ndarray (p, n)
        Features, patients in descending order of time.
    orders : ndarray of int32 (p, n)
        Patients in ascending order of each feature.
    event : ndarray of bool (n,)
    starts : ndarray of int (m + 1,)
        Borders of tied times.
    """

    columns: np.ndarray
    orders: np.ndarray
    event: np.ndarray
    starts: np.ndarray


class Trees(NamedTuple):
    """Trees as complete binary ones: node k has the children 2 k + 1 and 2 k + 2.

    Attributes
    ----------
    feature : ndarray of int32 (n_trees, n_nodes)
        Column of the split, -1 in a leaf, -2 where there is no node.
    threshold : ndarray (n_trees, n_nodes)
        Patients at or below it go left.
    value : ndarray (n_trees, n_nodes)
        What a leaf adds to the log hazard.
    """

    feature: np.ndarray
    threshold: np.ndarray
    value: np.ndarray


class Run(NamedTuple):
    """Where boosting on a part of the patients stands; :func:`grow` changes all of it in place.

    Attributes
    ----------
    held : ndarray of bool (n,)
        Patients held out.
    rows : ndarray of int (n_trained,)
        The others, in the order of the last draw.
    usable : ndarray of int (k,)
        Columns that vary, in the order of the last draw.
    state : ndarray of uint64 (1,)
        Of the random numbers.
    margin, gradient, expected : ndarray (n,)
        Log hazard of everyone; slope of the log partial likelihood, and expected deaths (only those of ``rows`` count).
    gain : ndarray (p,)
        Sum over the splits of a column.
    deviance : ndarray (n_trees + 1,)
        Held-out deviance after 0, 1, .. trees.
    """

    held: np.ndarray
    rows: np.ndarray
    usable: np.ndarray
    state: np.ndarray
    margin: np.ndarray
    gradient: np.ndarray
    expected: np.ndarray
    gain: np.ndarray
    deviance: np.ndarray


@njit(cache=True, nogil=True)
def cox_gradient(margin, event, starts, held, gradient, expected):
    """Fill the slope of the log partial likelihood and the expected deaths; give the held-out deviance.

    Patients held out are in no risk set of the slope. The deviance is minus twice the log partial likelihood of all
    patients less that of those not held out (Verweij 1993, doi:10.1002/sim.4780122407).
    """
    top = margin.max()
    ratio = np.zeros(starts.size - 1)
    at_risk = at_risk_all = 0.0
    loglik = loglik_all = 0.0
    for g in range(ratio.size):
        deaths = deaths_all = 0
        for i in range(starts[g], starts[g + 1]):
            weight = math.exp(margin[i] - top)
            expected[i] = weight
            at_risk_all += weight
            if event[i]:
                deaths_all += 1
                loglik_all += margin[i] - top
            if not held[i]:
                at_risk += weight
                if event[i]:
                    deaths += 1
                    loglik += margin[i] - top
        if deaths_all > 0:
            loglik_all -= deaths_all * math.log(at_risk_all)
        if deaths > 0:
            loglik -= deaths * math.log(at_risk)
            ratio[g] = deaths / at_risk
    hazard = 0.0
    for g in range(ratio.size - 1, -1, -1):
        hazard += ratio[g]
        for i in range(starts[g], starts[g + 1]):
            expected[i] *= hazard
            gradient[i] = (1.0 if event[i] else 0.0) - expected[i]
    return -2.0 * (loglik_all - loglik)


@njit(cache=True, nogil=True)
def _draw(items, count, state):
    """Bring a random subset of ``count`` items to the front (splitmix64, doi:10.1145/2714064.2660195)."""
    for k in range(count):
        state[0] += np.uint64(0x9E3779B97F4A7C15)
        z = state[0]
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
        other = k + int((z >> np.uint64(11)) * (1.0 / 9007199254740992.0) * (items.size - k))
        items[k], items[other] = items[other], items[k]


@njit(cache=True, nogil=True)
def _scan(rows, column, gradient, total, min_leaf, inverse, best):
    """Best split of a node's rows, sorted by the column: score if above ``best``, threshold."""
    size = rows.size
    threshold = 0.0
    left = 0.0
    for i in range(min_leaf - 1):
        left += gradient[rows[i]]
    for i in range(min_leaf - 1, size - min_leaf):
        left += gradient[rows[i]]
        right = total - left
        score = left * left * inverse[i + 1] + right * right * inverse[size - i - 1]
        if score > best:
            below = column[rows[i]]
            above = column[rows[i + 1]]
            if above > below:
                best = score
                threshold = below + 0.5 * (above - below)
                if not threshold < above:
                    threshold = below
    return best, threshold


@njit(cache=True, nogil=True)
def _split(rows, goes_left, spare):
    """Bring those who go left to the front, keeping the order on both sides."""
    count = 0
    others = 0
    for i in range(rows.size):
        row = rows[i]
        left = goes_left[row]
        rows[count] = row
        spare[others] = row
        count += left
        others += 1 - left
    for i in range(others):
        rows[count + i] = spare[i]


@njit(cache=True, nogil=True)
def _grow_splits(cohort, run, feature, threshold, n_columns, min_leaf, depth, sorted_rows, spare, goes_left, inverse):
    """Split a tree on the first ``n_columns`` usable columns; ``sorted_rows`` holds its bag, sorted by each."""
    begin = np.zeros(feature.size, dtype=np.int64)
    end = np.zeros(feature.size, dtype=np.int64)
    total = np.zeros(feature.size)
    best = np.zeros(feature.size)
    column_of = np.zeros(feature.size, dtype=np.int64)
    feature[:] = ABSENT
    feature[0] = LEAF
    end[0] = sorted_rows.shape[1] - 1
    for level in range(depth):
        low = 2**level - 1
        high = 2 * low + 1
        for node in range(low, high):
            column_of[node] = -1
            # A node too small to be split, or none at all, has no rows from here on.
            if end[node] - begin[node] < 2 * min_leaf:
                end[node] = begin[node]
            total[node] = 0.0
            for i in range(begin[node], end[node]):
                total[node] += run.gradient[sorted_rows[0, i]]
            best[node] = total[node] * total[node] * inverse[end[node] - begin[node]] + SMALLEST_GAIN
        for k in range(n_columns):
            j = run.usable[k]
            for node in range(low, high):
                if end[node] > begin[node]:
                    score, cut = _scan(
                        sorted_rows[k, begin[node] : end[node]], cohort.columns[j], run.gradient, total[node],
                        min_leaf, inverse, best[node],
                    )  # fmt: skip
                    if score > best[node]:
                        best[node] = score
                        threshold[node] = cut
                        column_of[node] = j
        for node in range(low, high):
            j = column_of[node]
            if j < 0:
                continue
            run.gain[j] += best[node] - total[node] * total[node] * inverse[end[node] - begin[node]]
            feature[node] = j
            count = 0
            for i in range(begin[node], end[node]):
                row = sorted_rows[0, i]
                goes_left[row] = cohort.columns[j, row] <= threshold[node]
                count += goes_left[row]
            left = 2 * node + 1
            feature[left] = feature[left + 1] = LEAF
            begin[left], end[left] = begin[node], begin[node] + count
            begin[left + 1], end[left + 1] = begin[node] + count, end[node]
            if level + 1 < depth:
                for k in range(n_columns):
                    _split(sorted_rows[k, begin[node] : end[node]], goes_left, spare)


@njit(cache=True, nogil=True)
def grow(cohort, run, trees, bag_size, n_columns, min_leaf, depth, rate, first, last):
    """Add the trees ``first`` to ``last - 1``.

    Each is grown on a bag of patients and some columns, drawn without replacement: the best split of a node has the
    least sum of squares of the gradient. Its leaves are worth a Newton step at fixed baseline hazard,
    (deaths - expected) / expected, of all patients not held out.
    """
    n = cohort.event.size
    n_nodes = trees.feature.shape[1]
    inverse = np.zeros(n + 1)
    for i in range(1, n + 1):
        inverse[i] = 1.0 / i
    in_bag = np.zeros(n, dtype=np.int64)
    goes_left = np.zeros(n, dtype=np.int64)
    # One place more than the bag, where rows outside it are written and overwritten.
    sorted_rows = np.empty((n_columns, bag_size + 1), dtype=np.int32)
    spare = np.empty(bag_size, dtype=np.int32)
    node_of = np.empty(n, dtype=np.int64)
    slope = np.empty(n_nodes)
    curvature = np.empty(n_nodes)
    for t in range(first, last):
        if bag_size < run.rows.size:
            _draw(run.rows, bag_size, run.state)
        if n_columns < run.usable.size:
            _draw(run.usable, n_columns, run.state)
        in_bag[:] = 0
        for k in range(bag_size):
            in_bag[run.rows[k]] = 1
        for k in range(n_columns):
            order = cohort.orders[run.usable[k]]
            at = 0
            for i in range(n):
                sorted_rows[k, at] = order[i]
                at += in_bag[order[i]]
        feature = trees.feature[t]
        threshold = trees.threshold[t]
        _grow_splits(
            cohort, run, feature, threshold, n_columns, min_leaf, depth, sorted_rows, spare, goes_left, inverse
        )  # fmt: skip
        slope[:] = 0.0
        curvature[:] = PRIOR_DEATHS
        for i in range(n):
            node = 0
            while feature[node] >= 0:
                node = 2 * node + (1 if cohort.columns[feature[node], i] <= threshold[node] else 2)
            node_of[i] = node
            if not run.held[i]:
                slope[node] += run.gradient[i]
                curvature[node] += run.expected[i]
        for i in range(n):
            run.margin[i] += rate * slope[node_of[i]] / curvature[node_of[i]]
        for node in range(n_nodes):
            trees.value[t, node] = rate * slope[node] / curvature[node]
        run.deviance[t + 1] = cox_gradient(
            run.margin, cohort.event, cohort.starts, run.held, run.gradient, run.expected
        )  # fmt: skip


def boosting_cohort(x: np.ndarray, time: np.ndarray, event: np.ndarray) -> tuple[Cohort, np.ndarray]:
    """Sort patients and columns once for all runs.

    Parameters
    ----------
    x : ndarray (n, p)
        Finite features.
    time, event : ndarray (n,)
        Days; True = death.

    Returns
    -------
    cohort : Cohort
    order : ndarray of int (n,)
        Positions of the cohort's patients in the input.
    """
    sets = risk_sets(time, event)
    columns = np.ascontiguousarray(x[sets.order].T)
    orders = np.argsort(columns, axis=1, kind="stable").astype(np.int32)
    return Cohort(columns, orders, sets.event, sets.starts), sets.order


def empty_trees(n_trees: int, depth: int) -> Trees:
    """Room for trees."""
    shape = (n_trees, 2 ** (depth + 1) - 1)
    return Trees(np.empty(shape, dtype=np.int32), np.empty(shape), np.empty(shape))


def start_run(cohort: Cohort, held: np.ndarray, usable: np.ndarray, n_trees: int, seed: int) -> Run:
    """Begin at log hazard 0 for everyone.

    Parameters
    ----------
    cohort : Cohort
    held : ndarray of bool (n,)
        Patients held out, in the cohort's order.
    usable : ndarray of int (k,)
        Columns that vary.
    n_trees : int
        Trees at most.
    seed : int
        From 0 to 2^64 - 1.
    """
    p, n = cohort.columns.shape
    run = Run(
        held,
        np.flatnonzero(~held),
        usable.copy(),
        np.array([seed], dtype=np.uint64),
        np.zeros(n),
        np.empty(n),
        np.empty(n),
        np.zeros(p),
        np.empty(n_trees + 1),
    )
    run.deviance[0] = cox_gradient(run.margin, cohort.event, cohort.starts, held, run.gradient, run.expected)
    return run


def as_forest(trees: Trees, n_trees: int) -> FlatForest:
    """Lay the first trees one after another; the forest's mean over trees is the sum of what they say."""
    feature = trees.feature[:n_trees]
    exists = feature != ABSENT
    inner = feature >= 0
    number = np.full(feature.shape, -1)
    number[exists] = np.arange(exists.sum())
    left, right, leaf = (np.full(feature.shape, -1) for _ in range(3))
    t, node = np.nonzero(inner)
    left[t, node], right[t, node] = number[t, 2 * node + 1], number[t, 2 * node + 2]
    ends = exists & ~inner
    leaf[ends] = np.arange(ends.sum())
    return FlatForest(
        number[:, 0].astype(np.int32),
        feature[exists],
        np.where(inner, trees.threshold[:n_trees], 0.0)[exists],
        left[exists].astype(np.int32),
        right[exists].astype(np.int32),
        leaf[exists].astype(np.int32),
        n_trees * trees.value[:n_trees][ends][:, None],
    )
