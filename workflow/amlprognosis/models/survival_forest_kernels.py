"""Compiled kernels of the random survival forest: growing by the exact log-rank test, held-out risks.

The log-rank test of a node is updated patient by patient, without a table over the times of death. With
w = d (n - d) / (n^2 (n - 1)) at a time with d deaths among n at risk, and W(t) the sum of w until t, a patient of time
t who moves to the left side changes the numerator (observed less expected deaths there) by death - H(t), H being the
node's Nelson-Aalen hazard, and its variance by the sum of w n until t, less W(t), less twice the sum over the patients
already there of min(W(t), W(their time)). Each patient counts as often as the bootstrap drew it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

# Patients whose pairwise terms are summed directly; earlier blocks come as a table over the times of death.
BLOCK = 96

# Constants of SplitMix64 (Steele 2014, doi:10.1145/2660193.2660195) and of the lookup of a word's lowest bit.
STEP, MIX_A, MIX_B = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
BIT_HASH = np.uint64(0x03F79D71B4CB0A89)
BIT_OF = np.zeros(64, dtype=np.uint8)
BIT_OF[[((1 << bit) * int(BIT_HASH) & (2**64 - 1)) >> 58 for bit in range(64)]] = np.arange(64)


class TrainingPart(NamedTuple):
    """Patients in ascending time, every column sorted once.

    Attributes
    ----------
    x : ndarray (n, p)
        Features.
    order, rank : ndarray of uint16 or uint32 (p, n)
        Rows by ascending value of a column; place of each row in that order.
    values : ndarray (p, n)
        Sorted columns.
    columns : ndarray of int (q,)
        Columns that are not constant.
    event : ndarray of bool (n,)
        True = death.
    time_group : ndarray of int (n,)
        Number of the distinct time.
    death_index : ndarray of int (n,)
        Distinct times of death before the row's time.
    n_later : ndarray (n,)
        Distinct times of death from the row's time on.
    """

    x: np.ndarray
    order: np.ndarray
    rank: np.ndarray
    values: np.ndarray
    columns: np.ndarray
    event: np.ndarray
    time_group: np.ndarray
    death_index: np.ndarray
    n_later: np.ndarray


class Trees(NamedTuple):
    """Space for trees, filled by :func:`grow_trees`; the names are those of FlatForest."""

    roots: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    leaf: np.ndarray
    value: np.ndarray
    start: np.ndarray
    at: np.ndarray
    drop: np.ndarray
    used: np.ndarray


class HeldOut(NamedTuple):
    """Sums over the trees that did not draw a patient: risk, number of trees, change of risk by shuffled column."""

    risk: np.ndarray
    n_trees: np.ndarray
    shift: np.ndarray


def training_part(x: np.ndarray, time: np.ndarray, event: np.ndarray) -> TrainingPart:
    """Sort the columns of ``x`` (n, p), whose rows are in ascending ``time``."""
    n = len(x)
    small = np.uint16 if n <= np.iinfo(np.uint16).max else np.uint32
    columns = np.ascontiguousarray(x.T)
    order = np.argsort(columns, axis=1, kind="stable")
    rank = np.empty(order.shape, dtype=small)
    np.put_along_axis(rank, order, np.arange(n, dtype=small)[None, :], axis=1)
    values = np.take_along_axis(columns, order, axis=1)
    death_times = np.unique(time[event])
    death_index = np.searchsorted(death_times, time)
    return TrainingPart(
        np.ascontiguousarray(x, dtype=np.float64),
        order.astype(small),
        rank,
        values,
        np.flatnonzero(values[:, 0] < values[:, -1]),
        event,
        np.unique(time, return_inverse=True)[1].astype(np.int64),
        death_index.astype(np.int64),
        (death_times.size - death_index).astype(np.float64),
    )


def empty_trees(n: int, n_trees: int, min_leaf: int) -> Trees:
    """Make space for trees on ``n`` patients."""
    leaves = n_trees * max(n // min_leaf, 1)
    i32 = np.int32
    return Trees(
        np.empty(n_trees, dtype=i32), np.empty(2 * leaves, dtype=i32), np.empty(2 * leaves),
        np.empty(2 * leaves, dtype=i32), np.empty(2 * leaves, dtype=i32), np.empty(leaves),
        np.empty(leaves + 1, dtype=i32), np.empty(n_trees * n, dtype=i32), np.empty(n_trees * n),
        np.zeros(3, dtype=np.int64),
    )  # fmt: skip


@njit(cache=True, nogil=True)
def _below(state, bound):
    """Random integer in [0, bound)."""
    state[0] += STEP
    z = state[0]
    z = (z ^ (z >> np.uint64(30))) * MIX_A
    z = (z ^ (z >> np.uint64(27))) * MIX_B
    z = z ^ (z >> np.uint64(31))
    return np.int64(((z >> np.uint64(32)) * np.uint64(bound)) >> np.uint64(32))


@njit(cache=True, nogil=True)
def draw_patients(state, seed, number, count):
    """Set a tree's random state (1,) and how often it draws each patient (n,)."""
    n = count.size
    state[0] = np.uint64(seed) * MIX_A + np.uint64(number) * MIX_B
    _below(state, n)
    for i in range(n):
        count[i] = 0.0
    for _ in range(n):
        count[_below(state, n)] += 1.0


@njit(cache=True, nogil=True)
def _test_terms(rows, count, event, time_group, terms, levels):
    """Fill ``terms``: draws, W, change of numerator, change of variance alone, number of W's level.

    Gives the node's sum of w n and the number of levels of W (0 included).
    """
    n_risk = 0.0
    for i in range(rows.size):
        n_risk += count[rows[i]]
    hazard = 0.0
    total = 0.0
    weight = 0.0
    levels[0] = 0.0
    level = 0
    i = 0
    while i < rows.size:
        group = time_group[rows[i]]
        deaths = 0.0
        leaving = 0.0
        end = i
        while end < rows.size and time_group[rows[end]] == group:
            c = count[rows[end]]
            leaving += c
            if event[rows[end]]:
                deaths += c
            end += 1
        if deaths > 0.0:
            hazard += deaths / n_risk
            if n_risk > 1.0:
                w = deaths * (n_risk - deaths) / (n_risk * n_risk * (n_risk - 1.0))
                total += w * n_risk
                weight += w
            level += 1
            levels[level] = weight
        while i < end:
            r = rows[i]
            c = count[r]
            terms[r, 0] = c
            terms[r, 1] = weight
            terms[r, 2] = c * ((1.0 if event[r] else 0.0) - hazard)
            terms[r, 3] = c * total - c * c * weight
            terms[r, 4] = level
            i += 1
        n_risk -= leaving
    return total, level + 1


@njit(cache=True, nogil=True)
def _add_pairs(c, w, s):
    """Add to s[k] the sum over l < k of c[l] min(w[l], w[k]); four l at a time keep the loop over k a vector's."""
    size = c.size
    first = 0
    while first + 4 <= size:
        c0, c1, c2, c3 = c[first], c[first + 1], c[first + 2], c[first + 3]
        w0, w1, w2, w3 = w[first], w[first + 1], w[first + 2], w[first + 3]
        s[first + 1] += c0 * min(w0, w1)
        s[first + 2] += c0 * min(w0, w2) + c1 * min(w1, w2)
        s[first + 3] += c0 * min(w0, w3) + c1 * min(w1, w3) + c2 * min(w2, w3)
        others = w[first + 4 :]
        sums = s[first + 4 :]
        for k in range(sums.size):
            v = others[k]
            sums[k] += (c0 * min(w0, v) + c1 * min(w1, v)) + (c2 * min(w2, v) + c3 * min(w3, v))
        first += 4
    while first < size:
        for k in range(first + 1, size):
            s[k] += c[first] * min(w[first], w[k])
        first += 1


@njit(cache=True, nogil=True)
def _pair_sums(c, w, level, s, levels, n_levels, drawn, table):
    """Set s[k] to the sum over l < k of c[l] min(w[l], w[k]); ``drawn`` and ``table`` are scratch by level."""
    size = c.size
    for k in range(size):
        s[k] = 0.0
    if size <= 2 * BLOCK:
        _add_pairs(c, w, s)
        return
    for q in range(n_levels):
        drawn[q] = 0.0
    n_drawn = 0.0
    for a in range(0, size, BLOCK):
        b = min(a + BLOCK, size)
        if a > 0:
            above = n_drawn - drawn[0]
            table[0] = 0.0
            for q in range(1, n_levels):
                table[q] = table[q - 1] + above * (levels[q] - levels[q - 1])
                above -= drawn[q]
            for k in range(a, b):
                s[k] = table[int(level[k])]
        _add_pairs(c[a:b], w[a:b], s[a:b])
        for k in range(a, b):
            drawn[int(level[k])] += c[k]
            n_drawn += c[k]


@njit(cache=True, nogil=True)
def _try_column(rows, order, rank, values, terms, levels, n_levels, min_leaf, bits, scratch, places, best):
    """Look for a better split in one column.

    ``best`` holds numerator^2, variance, threshold and the least variance that counts. Gives 0 for a column that is
    constant in the node, 2 for a better split, else 1.
    """
    size = rows.size
    # The rows' places in the column's order as bits of words: read back in ascending order, they are sorted.
    for i in range(size):
        place = np.uint64(rank[rows[i]])
        bits[place >> np.uint64(6)] |= np.uint64(1) << (place & np.uint64(63))
    c, w, numerator, alone, level, s = scratch[0], scratch[1], scratch[2], scratch[3], scratch[4], scratch[5]
    k = 0
    for word_number in range(bits.size):
        word = bits[word_number]
        bits[word_number] = np.uint64(0)
        while word != np.uint64(0):
            lowest = word & (np.uint64(0) - word)
            word ^= lowest
            place = np.uint64(word_number << 6) + np.uint64(BIT_OF[(lowest * BIT_HASH) >> np.uint64(58)])
            r = order[place]
            places[k] = place
            c[k] = terms[r, 0]
            w[k] = terms[r, 1]
            numerator[k] = terms[r, 2]
            alone[k] = terms[r, 3]
            level[k] = terms[r, 4]
            k += 1
    if values[places[0]] == values[places[size - 1]]:
        return 0
    last = size - min_leaf
    _pair_sums(c[:last], w[:last], level[:last], s[:last], levels, n_levels, scratch[6], scratch[7])
    u = 0.0
    v = 0.0
    outcome = 1
    for k in range(last):
        u += numerator[k]
        v += alone[k] - 2.0 * c[k] * s[k]
        if k + 1 >= min_leaf and v > best[3] and u * u * best[1] > best[0] * v:
            low, high = values[places[k]], values[places[k + 1]]
            if low < high:
                best[0] = u * u
                best[1] = v
                best[2] = 0.5 * low + 0.5 * high
                if not low <= best[2] < high:
                    best[2] = low
                outcome = 2
    return outcome


@njit(cache=True, nogil=True)
def _divide(rows, first, last, x, threshold, moved):
    """Put the rows of a node that are at or below the threshold first; both sides keep their order by time."""
    left = first
    right = 0
    for i in range(first, last):
        r = rows[i]
        if x[r] <= threshold:
            rows[left] = r
            left += 1
        else:
            moved[right] = r
            right += 1
    for i in range(right):
        rows[left + i] = moved[i]
    return left


@njit(cache=True, nogil=True)
def _write_leaf(rows, count, part, trees, number, step):
    """Nelson-Aalen and Kaplan-Meier estimates of a leaf; gives the number of steps written so far."""
    n_risk = 0.0
    for i in range(rows.size):
        n_risk += count[rows[i]]
    survival = 1.0
    expected = 0.0
    i = 0
    while i < rows.size:
        first = rows[i]
        deaths = 0.0
        leaving = 0.0
        while i < rows.size and part.time_group[rows[i]] == part.time_group[first]:
            c = count[rows[i]]
            leaving += c
            if part.event[rows[i]]:
                deaths += c
            i += 1
        if deaths > 0.0:
            expected += deaths / n_risk * part.n_later[first]
            trees.at[step] = part.death_index[first]
            trees.drop[step] = survival * deaths / n_risk
            survival -= trees.drop[step]
            step += 1
        n_risk -= leaving
    trees.value[number] = expected
    trees.start[number + 1] = step
    return step


@njit(cache=True, nogil=True)
def _hold_out(part, count, root, trees, held_out, state, rows, partner, path):
    """Add a tree's risks of the patients it did not draw, as they are and with each column shuffled among them."""
    x = part.x
    n_held = 0
    for i in range(count.size):
        if count[i] == 0.0:
            rows[n_held] = i
            n_held += 1
    for k in range(n_held):
        j = _below(state, k + 1)
        partner[k] = partner[j]
        partner[j] = rows[k]
    for k in range(n_held):
        i = rows[k]
        other = partner[k]
        n_path = 0
        node = root
        f = trees.feature[node]
        while f >= 0:
            known = False
            for q in range(n_path):
                known = known or trees.feature[path[q]] == f
            if not known:
                path[n_path] = node
                n_path += 1
            node = trees.left[node] + (x[i, f] > trees.threshold[node])
            f = trees.feature[node]
        risk = trees.value[trees.leaf[node]]
        held_out.risk[i] += risk
        held_out.n_trees[i] += 1.0
        for q in range(n_path):
            shuffled = trees.feature[path[q]]
            node = path[q]
            f = shuffled
            while f >= 0:
                row = other if f == shuffled else i
                node = trees.left[node] + (x[row, f] > trees.threshold[node])
                f = trees.feature[node]
            held_out.shift[shuffled, i] += trees.value[trees.leaf[node]] - risk


@njit(cache=True, nogil=True)
def grow_trees(part, seed, first_tree, n_columns, min_leaf, max_depth, trees, held_out):
    """Grow trees, each on its own bootstrap sample and from its own random numbers.

    Parameters
    ----------
    part : TrainingPart
    seed : uint64
    first_tree : int
        Number of the first tree; it and the seed decide the random numbers.
    n_columns : int
        Columns drawn at a node; more if all of them are constant there.
    min_leaf : int
        Fewest distinct patients in a leaf.
    max_depth : int
        Greatest depth of a leaf.
    trees : Trees
        Space; nodes, leaves and steps used are written to ``trees.used``.
    held_out : HeldOut
        Sums, added to.
    """
    n = part.event.size
    n_usable = part.columns.size
    state = np.zeros(1, dtype=np.uint64)
    count = np.empty(n)
    rows = np.empty(n, dtype=np.uint32)
    moved = np.empty(n, dtype=np.uint32)
    partner = np.empty(n, dtype=np.uint32)
    path = np.empty(n, dtype=np.int64)
    terms = np.empty((n, 5))
    levels = np.empty(n + 1)
    bits = np.zeros((n + 63) >> 6, dtype=np.uint64)
    scratch = np.empty((8, n + 1))
    places = np.empty(n, dtype=np.uint64)
    columns = np.empty(n_usable, dtype=np.int64)
    best = np.empty(4)
    todo = np.empty((n + 2, 4), dtype=np.int64)
    n_nodes = 0
    n_leaves = 0
    n_steps = 0
    trees.start[0] = 0
    for t in range(trees.roots.size):
        draw_patients(state, seed, first_tree + t, count)
        for i in range(n_usable):
            columns[i] = part.columns[i]
        size = 0
        for i in range(n):
            if count[i] > 0.0:
                rows[size] = i
                size += 1
        trees.roots[t] = n_nodes
        todo[0, 0], todo[0, 1], todo[0, 2], todo[0, 3] = n_nodes, 0, size, 0
        n_nodes += 1
        n_todo = 1
        while n_todo > 0:
            n_todo -= 1
            node, a, b, depth = todo[n_todo, 0], todo[n_todo, 1], todo[n_todo, 2], todo[n_todo, 3]
            here = rows[a:b]
            chosen = -1
            if b - a >= 2 * min_leaf and depth < max_depth:
                total, n_levels = _test_terms(here, count, part.event, part.time_group, terms, levels)
                best[0] = 0.0
                best[1] = 1.0
                best[3] = 1e-10 * total
                tried = 0
                varied = False
                while total > 0.0 and tried < n_usable and (tried < n_columns or not varied):
                    swap = tried + _below(state, n_usable - tried)
                    f = columns[swap]
                    columns[swap] = columns[tried]
                    columns[tried] = f
                    tried += 1
                    outcome = _try_column(
                        here, part.order[f], part.rank[f], part.values[f], terms, levels, n_levels, min_leaf, bits,
                        scratch, places, best,
                    )  # fmt: skip
                    varied = varied or outcome > 0
                    if outcome == 2:
                        chosen = f
            trees.feature[node] = chosen
            if chosen >= 0:
                middle = _divide(rows, a, b, part.x[:, chosen], best[2], moved)
                trees.threshold[node] = best[2]
                trees.left[node] = n_nodes
                trees.leaf[node] = -1
                todo[n_todo, 0], todo[n_todo, 1], todo[n_todo, 2], todo[n_todo, 3] = n_nodes, a, middle, depth + 1
                n_todo += 1
                todo[n_todo, 0], todo[n_todo, 1], todo[n_todo, 2], todo[n_todo, 3] = n_nodes + 1, middle, b, depth + 1
                n_todo += 1
                n_nodes += 2
            else:
                trees.threshold[node] = 0.0
                trees.left[node] = -1
                trees.leaf[node] = n_leaves
                n_steps = _write_leaf(here, count, part, trees, n_leaves, n_steps)
                n_leaves += 1
        _hold_out(part, count, trees.roots[t], trees, held_out, state, rows, partner, path)
    trees.used[0] = n_nodes
    trees.used[1] = n_leaves
    trees.used[2] = n_steps
