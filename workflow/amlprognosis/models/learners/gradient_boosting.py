"""Gradient boosting of the Cox partial likelihood with small trees, as many as inner cross-validation asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from numbers import Integral

import numpy as np

from amlprognosis.errors import InputError
from amlprognosis.models.boosting_kernels import (
    Cohort,
    Run,
    Trees,
    as_forest,
    boosting_cohort,
    empty_trees,
    grow,
    start_run,
)
from amlprognosis.models.cox_lasso import stratified_folds
from amlprognosis.models.learners.base import SurvivalLearner, run_threads
from amlprognosis.models.trees import FlatForest

# Folds advance together by this many trees; where the search ends does not depend on it.
STRIDE = 25
# A share of a few columns would leave a tree with one.
FEWEST_COLUMNS = 10
DEEPEST = 8


class GradientBoosting(SurvivalLearner):
    """Stochastic gradient boosting of the Cox partial likelihood, as gbm of R and scikit-survival do it.

    Each tree is grown to the gradient (deaths less expected deaths; Breslow's rule for ties) of a random half of the
    patients on random columns, and adds ``learning_rate`` times a Newton step per leaf, at fixed baseline hazard and
    from all patients. All inner folds advance tree by tree; the number of trees has the least mean held-out deviance,
    and the search ends ``patience`` trees after it. Sources: Friedman 2001, doi:10.1214/aos/1013203451; Friedman 2002,
    doi:10.1016/S0167-9473(01)00065-2; Ridgeway 1999 (gbm).

    Parameters
    ----------
    learning_rate : float
        Share of a step that is taken, above 0 and at most 1.
    max_trees : int
        Trees at most.
    max_depth : int
        Splits from the root to a leaf at most, from 1 to 8.
    min_samples_leaf : int
        Fewest patients of a tree's sample in a leaf; lowered, with a note, where no split would be possible.
    subsample : float
        Share of the patients that a tree sees, above 0 and at most 1.
    max_features : float
        Share of the columns that a tree sees, above 0 and at most 1; 10 columns at least.
    n_folds : int
        Inner folds, seeded and stratified by death; fewer, with a note, when deaths are fewer.
    patience : int
        Trees without gain before the search ends.
    n_jobs : int
        Threads (of the folds); they do not change the result.
    random_state : int
        Seed, not negative.

    Attributes
    ----------
    n_trees_ : int
    forest_ : FlatForest
        Its mean over trees is the risk, a log hazard ratio.
    feature_importances_ : ndarray (p,)
        Gain of a column's splits (reduction of the gradient's sum of squares); they sum to 1.
    cv_path_ : ndarray (k,)
        Held-out deviance per death after 0, 1, .. trees: minus twice the log partial likelihood of all patients less
        that of the fold's training part, both at the margins of the training part (Verweij 1993,
        doi:10.1002/sim.4780122407), summed over folds.

    Notes
    -----
    The defaults come from repeated cross-validation on TCGA-LAML and on simulated cohorts: rates of 0.005 to 0.02 were
    alike and better than 0.05 or 0.1; shares of columns of 0.3 to 1, leaves of 5 to 15 and depths of 2 to 4 alike.
    """

    def __init__(
        self,
        learning_rate: float = 0.01,
        max_trees: int = 2000,
        max_depth: int = 3,
        min_samples_leaf: int = 10,
        subsample: float = 0.5,
        max_features: float = 0.3,
        n_folds: int = 5,
        patience: int = 100,
        n_jobs: int = 1,
        random_state: int = 0,
    ):
        self.learning_rate = learning_rate
        self.max_trees = max_trees
        self.max_depth = max_depth
        self.min_samples_leaf = min_samples_leaf
        self.subsample = subsample
        self.max_features = max_features
        self.n_folds = n_folds
        self.patience = patience
        self.n_jobs = n_jobs
        self.random_state = random_state

    def _fit(self, x: np.ndarray, time: np.ndarray, event: np.ndarray) -> None:
        self._check_settings()
        usable = np.flatnonzero(x.max(axis=0) > x.min(axis=0))
        if not usable.size:
            raise InputError("GradientBoosting: no column varies; give it columns that differ between patients")
        rng = np.random.default_rng(self.random_state)
        folds = stratified_folds(event, self.n_folds, rng)
        n_folds = int(folds.max()) + 1
        if n_folds < self.n_folds:
            self.notes_.append(f"{int(event.sum())} deaths: {n_folds} inner folds instead of {self.n_folds}")
        seeds = rng.integers(0, 2**63, n_folds + 1)
        cohort, order = boosting_cohort(x, time, event)
        min_leaf = self._smallest_leaf(len(x) - int(np.bincount(folds).max()))

        def begin(held: np.ndarray, n_trees: int, seed: int) -> tuple[Run, Trees]:
            return start_run(cohort, held, usable, n_trees, int(seed)), empty_trees(n_trees, self.max_depth)

        parts = [begin(folds[order] == k, self.max_trees, seeds[k]) for k in range(n_folds)]
        self._search(cohort, parts, min_leaf, int(event.sum()))
        whole, trees = begin(np.zeros(len(x), dtype=bool), self.n_trees_, seeds[-1])
        self._advance(cohort, min_leaf, 0, self.n_trees_, (whole, trees))
        self.forest_: FlatForest = as_forest(trees, self.n_trees_)
        total = whole.gain.sum()
        self.feature_importances_ = whole.gain / total if total > 0 else np.zeros(x.shape[1])
        if not total > 0:
            self.notes_.append("no tree found a split: everyone has the same risk")
        held_out = np.empty(len(x))
        for run, grown in parts:
            held = order[run.held]
            held_out[held] = as_forest(grown, self.n_trees_).predict(x[held])[:, 0]
        self._calibrate(held_out, time, event)

    def _search(self, cohort: Cohort, parts: list[tuple[Run, Trees]], min_leaf: int, n_deaths: int) -> None:
        """Grow the folds' trees until the mean held-out deviance has not fallen for ``patience`` trees."""
        best = last = 0
        path = [sum(run.deviance[0] for run, _ in parts) / n_deaths]
        while last < self.max_trees and len(path) - 1 - best < self.patience:
            first, last = last, min(last + STRIDE, self.max_trees)
            run_threads(partial(self._advance, cohort, min_leaf, first, last), parts, self.n_jobs)
            for t in range(first + 1, last + 1):
                path.append(sum(run.deviance[t] for run, _ in parts) / n_deaths)
                best = t if path[t] < path[best] else best
                if t - best >= self.patience:
                    break
        self.cv_path_ = np.array(path)
        self.n_trees_ = max(best, 1)
        if best == 0:
            self.notes_.append("inner folds asked for no tree at all: one was grown")
        elif len(path) - 1 - best < self.patience:
            self.notes_.append(f"held-out deviance may fall beyond {last} trees: raise max_trees or learning_rate")

    def _advance(self, cohort: Cohort, min_leaf: int, first: int, last: int, part: tuple[Run, Trees]) -> None:
        run, trees = part
        bag_size = self._bag_size(run.rows.size)
        n_columns = max(round(self.max_features * run.usable.size), min(FEWEST_COLUMNS, run.usable.size))
        rate = float(self.learning_rate)
        grow(cohort, run, trees, bag_size, n_columns, min_leaf, int(self.max_depth), rate, first, last)

    def _bag_size(self, n: int) -> int:
        return max(round(self.subsample * n), 1)

    def _smallest_leaf(self, n: int) -> int:
        """Fewest patients in a leaf, such that a sample of ``n`` patients can be split."""
        bag_size = self._bag_size(n)
        if bag_size >= 2 * self.min_samples_leaf:
            return int(self.min_samples_leaf)
        lowered = max(bag_size // 4, 1)
        self.notes_.append(
            f"a tree sees {bag_size} patients, too few for leaves of {self.min_samples_leaf}: {lowered} instead"
        )
        return lowered

    def _risk(self, x: np.ndarray) -> np.ndarray:
        return self.forest_.predict(x)[:, 0].copy()

    def _check_settings(self) -> None:
        lowest = {
            "max_trees": 1,
            "max_depth": 1,
            "min_samples_leaf": 1,
            "n_folds": 2,
            "patience": 1,
            "n_jobs": 1,
            "random_state": 0,
        }
        check_numbers(self, lowest, ("learning_rate", "subsample", "max_features"))
        if self.max_depth > DEEPEST:
            raise InputError(f"GradientBoosting: max_depth must be at most {DEEPEST}, got {self.max_depth}")


def check_numbers(learner: SurvivalLearner, lowest: Mapping[str, int], shares: Sequence[str]) -> None:
    """Check parameters that must be integers of at least ``lowest``, or shares above 0 and at most 1 (InputError)."""
    what = type(learner).__name__
    for name, least in lowest.items():
        value = getattr(learner, name)
        if not isinstance(value, Integral) or isinstance(value, bool) or int(value) < least:
            raise InputError(f"{what}: {name} must be an integer of at least {least}, got {value!r}")
    for name in shares:
        value = getattr(learner, name)
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 < value <= 1:
            raise InputError(f"{what}: {name} must lie above 0 and be at most 1, got {value!r}")
