"""Random survival forest on a matrix: exact log-rank splits, number of trees by OOB, minimal depth.

Sources: Ishwaran 2008, doi:10.1214/08-AOAS169 (forest, held-out importance); Ishwaran 2010,
doi:10.1198/jasa.2009.tm08622 (minimal depth).
"""

from __future__ import annotations

import math
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from amlprognosis.errors import InputError
from amlprognosis.models.base import check_outcome
from amlprognosis.models.concordance import harrell_concordance
from amlprognosis.models.learners.base import SurvivalLearner, canonical_order, run_threads
from amlprognosis.models.survival_forest_kernels import (
    HeldOut,
    TrainingPart,
    Trees,
    empty_trees,
    grow_trees,
    training_part,
)
from amlprognosis.models.trees import FlatForest, minimal_depths

# Trees are grown in batches; the forest is large enough when the OOB concordance after the last few batches agrees.
BATCH = 100
STABLE_BATCHES = 3
STABLE_WITHIN = 0.002


class SurvivalForest(SurvivalLearner):
    """Random survival forest; the risk is the mean number of expected deaths over trees.

    A leaf's number is its Nelson-Aalen cumulative hazard summed over the times of death of the training part, its
    survival curve the Kaplan-Meier estimate; both from the tree's bootstrap sample, with exact times.

    Parameters
    ----------
    n_estimators : int
        Trees, at most.
    min_samples_leaf : int
        Fewest distinct patients in a leaf (as scikit-survival counts them).
    max_features : "sqrt", float or int
        Columns drawn at a node: the root of their number, a share in (0, 1], or a number (more than there are means
        all).
    max_depth : int or None
        Greatest depth of a leaf.
    early_stop : bool
        Grow by 100 trees and stop when Harrell's C of the OOB risk has stayed within 0.002 over three more batches.
    n_jobs : int
        Threads; they do not change the result.
    random_state : int
        Seed, not negative.

    Attributes
    ----------
    forest_ : FlatForest
    times_ : ndarray (m,)
        Distinct times of death, days.
    oob_risk_ : ndarray (n,)
        Risk of each training patient, in the order of fit's rows, by the trees that did not draw it. A patient drawn
        by all trees gets the risk of the whole forest, with a note.
    oob_score_ : float
        Harrell's C of ``oob_risk_``; 0.5 if no two patients can be compared, with a note.
    feature_importances_ : ndarray (p,)
        Loss of the OOB concordance when, in each tree, the column is shuffled among the patients the tree did not
        draw; 0 for a column without splits, and below 0 by chance for a useless one.
    minimal_depth_ : ndarray (p,)
        Depth of the first split on a column, the tree's greatest depth if it has none; mean over trees.
    minimal_depth_threshold_ : float
        Mean minimal depth of a column that is split on by chance alone (with the splits at each depth as they are in
        each tree, then averaged), less one standard error (standard deviation / sqrt(n)): half of all useless columns
        would pass the mean itself.
    selected_ : ndarray of int
        Columns at or below the threshold.
    """

    forest_: FlatForest
    oob_risk_: np.ndarray

    def __init__(
        self,
        n_estimators: int = 1000,
        min_samples_leaf: int = 5,
        max_features: str | float = "sqrt",
        max_depth: int | None = None,
        early_stop: bool = True,
        n_jobs: int = 1,
        random_state: int = 0,
    ):
        self.n_estimators = n_estimators
        self.min_samples_leaf = min_samples_leaf
        self.max_features = max_features
        self.max_depth = max_depth
        self.early_stop = early_stop
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(self, X: Any, y: np.ndarray) -> SurvivalForest:
        """Learn from patients; parameters and errors as of :meth:`SurvivalLearner.fit`."""
        super().fit(X, y)
        order = canonical_order(self._checked(X, reset=False), *check_outcome(y))
        sorted_risk = self.oob_risk_
        self.oob_risk_ = np.empty_like(sorted_risk)
        self.oob_risk_[order] = sorted_risk
        return self

    def _fit(self, x: np.ndarray, time: np.ndarray, event: np.ndarray) -> None:
        part = training_part(x, time, event)
        grown, held_out = self._grow(part, self._settings(x.shape[1]), time, event)
        self.times_ = np.unique(time[event])
        self.forest_ = _joined(grown, self.times_)
        self.baseline_times_ = self.times_
        if (self.forest_.feature < 0).all():
            self.notes_.append("no tree found a split (too few patients or deaths): everyone has the same risk")
        self._set_oob(held_out, x, time, event)
        self._set_minimal_depth(len(x), x.shape[1])

    def _settings(self, p: int) -> tuple[np.uint64, int, int, int]:
        """Seed, columns drawn at a node, fewest patients in a leaf, greatest depth; checked."""
        lowest = {"n_estimators": 1, "min_samples_leaf": 1, "n_jobs": 1, "random_state": 0}
        if self.max_depth is not None:
            lowest["max_depth"] = 1
        for name, least in lowest.items():
            value = getattr(self, name)
            if not _is_integer(value) or value < least:
                raise InputError(f"SurvivalForest: {name} must be an integer of at least {least}, got {value!r}")
        share: Any = self.max_features
        if share == "sqrt":
            n_columns = int(math.sqrt(p))
        elif _is_integer(share) and share >= 1:
            n_columns = min(int(share), p)
        elif isinstance(share, float) and 0 < share <= 1:
            n_columns = int(share * p)
        else:
            raise InputError(
                f"SurvivalForest: max_features must be 'sqrt', a share in (0, 1] or a number of columns, got {share!r}"
            )
        depth = np.iinfo(np.int32).max if self.max_depth is None else int(self.max_depth)
        return np.uint64(self.random_state), max(n_columns, 1), int(self.min_samples_leaf), int(depth)

    def _grow(
        self, part: TrainingPart, settings: tuple[np.uint64, int, int, int], time: np.ndarray, event: np.ndarray
    ) -> tuple[list[Trees], HeldOut]:
        seed, n_columns, min_leaf, max_depth = settings
        n, p = part.x.shape

        def batch(first: int) -> tuple[Trees, HeldOut]:
            trees = empty_trees(n, min(BATCH, self.n_estimators - first), min_leaf)
            held_out = HeldOut(np.zeros(n), np.zeros(n), np.zeros((p, n)))
            grow_trees(part, seed, first, n_columns, min_leaf, max_depth, trees, held_out)
            return trees, held_out

        firsts = range(0, self.n_estimators, BATCH)
        grown: list[Trees] = []
        scores: list[float] = []
        total = HeldOut(np.zeros(n), np.zeros(n), np.zeros((p, n)))
        for begin in range(0, len(firsts), self.n_jobs):
            # Batches are judged one after another, so that more threads stop at the same tree.
            for trees, held_out in run_threads(batch, firsts[begin : begin + self.n_jobs], self.n_jobs):
                grown.append(trees)
                for sums, part_sums in zip(total, held_out, strict=True):
                    sums += part_sums
                scores.append(_concordance(time, event, total.risk / np.maximum(total.n_trees, 1.0)))
                recent = scores[-STABLE_BATCHES - 1 :]
                if self.early_stop and len(recent) > STABLE_BATCHES and np.ptp(recent) < STABLE_WITHIN:
                    return grown, total
        return grown, total

    def _set_oob(self, held_out: HeldOut, x: np.ndarray, time: np.ndarray, event: np.ndarray) -> None:
        never = held_out.n_trees == 0
        n_trees = np.maximum(held_out.n_trees, 1.0)
        self.oob_risk_ = held_out.risk / n_trees
        if never.any():
            self.oob_risk_[never] = self._risk(x[never])
            self.notes_.append(f"every tree drew {never.sum()} of {never.size} patients: their OOB risk is in-sample")
        self.oob_score_ = _concordance(time, event, self.oob_risk_)
        if math.isnan(harrell_concordance(time, event, time).index):
            self.notes_.append("no two patients can be compared: the OOB concordance is undefined and set to 0.5")
        self.feature_importances_ = np.zeros(x.shape[1])
        for j in np.flatnonzero(held_out.shift.any(axis=1)):
            shuffled = _concordance(time, event, self.oob_risk_ + held_out.shift[j] / n_trees)
            self.feature_importances_[j] = self.oob_score_ - shuffled

    def _set_minimal_depth(self, n: int, p: int) -> None:
        forest = self.forest_
        depth_sum, by_chance = minimal_depths(forest.roots, forest.feature, forest.left, forest.right, p)
        deviation = np.sqrt(np.maximum(by_chance[:, 1] - by_chance[:, 0] ** 2, 0.0))
        self.minimal_depth_ = depth_sum / forest.roots.size
        self.minimal_depth_threshold_ = float(by_chance[:, 0].mean() - deviation.mean() / math.sqrt(n))
        split_on = np.isin(np.arange(p), forest.feature)
        self.selected_ = np.flatnonzero(split_on & (self.minimal_depth_ <= self.minimal_depth_threshold_))

    def _risk(self, x: np.ndarray) -> np.ndarray:
        return self.forest_.mean_values(x)[:, 0]

    def survival_at(self, X: Any, times_days: Any) -> np.ndarray:
        """Survival probability (n, k) at ``times_days`` (k,): mean of the leaves' curves, exact at any time."""
        check_is_fitted(self, "forest_")
        return self.forest_.survival(self._checked(X, reset=False), times_days)


def _is_integer(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _concordance(time: np.ndarray, event: np.ndarray, risk: np.ndarray) -> float:
    """Harrell's C, 0.5 if no two patients can be compared."""
    index = harrell_concordance(time, event, risk).index
    return 0.5 if math.isnan(index) else index


def _joined(grown: list[Trees], times: np.ndarray) -> FlatForest:
    """Lay batches of trees one after another."""
    parts: dict[str, list[np.ndarray]] = {name: [] for name in FlatForest.NAMES if name != "cover"}
    n_nodes = n_leaves = n_steps = 0
    for trees in grown:
        nodes, leaves, steps = (int(used) for used in trees.used)
        inner = trees.feature[:nodes] >= 0
        parts["roots"].append(trees.roots + n_nodes)
        parts["feature"].append(trees.feature[:nodes])
        parts["threshold"].append(trees.threshold[:nodes])
        parts["left"].append(np.where(inner, trees.left[:nodes] + n_nodes, -1))
        parts["right"].append(np.where(inner, trees.left[:nodes] + n_nodes + 1, -1))
        parts["leaf"].append(np.where(inner, -1, trees.leaf[:nodes] + n_leaves))
        parts["values"].append(trees.value[:leaves, None])
        parts["start"].append(trees.start[:leaves] + n_steps)
        parts["at"].append(trees.at[:steps])
        parts["drop"].append(trees.drop[:steps])
        n_nodes, n_leaves, n_steps = n_nodes + nodes, n_leaves + leaves, n_steps + steps
    parts["start"].append(np.array([n_steps]))
    parts["times"].append(times)
    real = ("threshold", "values", "times", "drop")
    return FlatForest(
        **{name: np.concatenate(part).astype(np.float64 if name in real else np.int32) for name, part in parts.items()}
    )
