"""Random survival forest (Ishwaran 2008, doi:10.1214/08-AOAS169)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from amlprognosis.errors import InputError
from amlprognosis.models.base import _step_values
from amlprognosis.models.screened import BLOCKS, ForestMixin, ScreenedModel
from amlprognosis.models.trees import flatten, leaf_curves


class RandomSurvivalForest(ForestMixin, ScreenedModel):
    """scikit-survival's random survival forest on the screened columns.

    Parameters
    ----------
    blocks : sequence of str
        Blocks of columns used.
    max_features_screened : int
        Columns kept by univariate Cox p in the training part.
    n_estimators : int
        Trees.
    min_samples_leaf : int
        Smallest leaf.
    max_features : str or float
        Columns tried at a split.
    max_times : int
        Survival is kept on at most this many times (quantiles of the times of death).
    split_times : int
        For the search of splits, times are rounded up to at most this many quantiles of the times of death, because
        the log-rank search takes time and memory in proportion to them. The leaves' curves use exact times.
    importance : {"screen", "permutation"}
        Weights told by :meth:`selected_features`: the z of the univariate screen, or the loss of Harrell's C in the
        training part when a column is shuffled (slow).
    max_missing_share, impute
        See :class:`~amlprognosis.models.preprocess.Preprocessor`.
    n_jobs : int
        Threads; they do not change the result.
    random_state : int
        Seed.

    Attributes
    ----------
    times_ : ndarray (k,)
        Grid of days.
    importances_ : ndarray (p,)
        Signed screening z, or loss of C.
    """

    _frozen = ("times_", "importances_", "n_candidates_")

    def __init__(
        self,
        blocks: Sequence[str] = BLOCKS,
        max_features_screened: int = 300,
        n_estimators: int = 300,
        min_samples_leaf: int = 10,
        max_features: str | float = "sqrt",
        max_times: int = 100,
        split_times: int = 50,
        importance: str = "screen",
        max_missing_share: float = 0.2,
        impute: str = "median",
        n_jobs: int = 1,
        random_state: int = 0,
    ):
        self.blocks = blocks
        self.max_features_screened = max_features_screened
        self.n_estimators = n_estimators
        self.min_samples_leaf = min_samples_leaf
        self.max_features = max_features
        self.max_times = max_times
        self.split_times = split_times
        self.importance = importance
        self.max_missing_share = max_missing_share
        self.impute = impute
        self.n_jobs = n_jobs
        self.random_state = random_state

    def _fit(self, x: pd.DataFrame, time: np.ndarray, event: np.ndarray) -> None:
        from sksurv.ensemble import RandomSurvivalForest as Forest

        from amlprognosis.models.base import as_outcome

        if self.importance not in ("screen", "permutation"):
            raise InputError(f"importance: {self.importance!r} is not known; use screen or permutation")
        values = self._screened(x, time, event)
        death_times = np.unique(time[event])
        grid, split = death_times, death_times
        if grid.size > self.max_times:
            grid = np.unique(np.quantile(time[event], np.linspace(0, 1, self.max_times), method="higher"))
        if split.size > self.split_times:
            split = np.unique(np.quantile(time[event], np.linspace(0, 1, self.split_times), method="higher"))
        at = np.searchsorted(split, time)
        coarse = np.where(at < split.size, split[np.minimum(at, split.size - 1)], time.max())
        if np.unique(time).size <= self.split_times:
            coarse = time
        forest = Forest(
            n_estimators=self.n_estimators,
            min_samples_leaf=self.min_samples_leaf,
            min_samples_split=2 * self.min_samples_leaf,
            max_features=self.max_features,
            low_memory=True,
            n_jobs=self.n_jobs,
            random_state=self.random_state,
        ).fit(values, as_outcome(coarse, event))
        single = np.ascontiguousarray(values, dtype=np.float32)
        by_time = np.argsort(time, kind="stable")
        samples = forest.estimators_samples_

        def leaf_values(number: int, nodes: np.ndarray) -> np.ndarray:
            count = np.bincount(samples[number], minlength=time.size)
            drawn = np.repeat(by_time, count[by_time])
            row = np.searchsorted(nodes, forest.estimators_[number].tree_.apply(single[drawn]))
            return leaf_curves(row, time[drawn], event[drawn], nodes.size, death_times, grid)

        self.times_ = grid
        self.forest_ = flatten([tree.tree_ for tree in forest.estimators_], leaf_values)
        self.importances_ = self.screen_z_ if self.importance == "screen" else self._shuffled(values, time, event)
        self.baseline_times_ = grid

    def _shuffled(self, values: np.ndarray, time: np.ndarray, event: np.ndarray) -> np.ndarray:
        from amlprognosis.models.cox_kernels import harrell_concordance

        rng = np.random.default_rng(self.random_state)
        full = harrell_concordance(time, event, self._risk(values)).index
        out = np.empty(values.shape[1])
        for j in range(values.shape[1]):
            shuffled = values.copy()
            shuffled[:, j] = rng.permutation(shuffled[:, j])
            out[j] = full - harrell_concordance(time, event, self._risk(shuffled)).index
        return out

    def _risk(self, values: np.ndarray) -> np.ndarray:
        return self.forest_.predict(values.astype(np.float32))[:, 0].copy()

    def predict_survival(self, X: pd.DataFrame, times_days: Sequence[float]) -> np.ndarray:
        """Survival probability (n, len(times_days)): mean over trees, a step function on the grid of times."""
        lost = 1.0 - self.forest_.predict(self._design(X).astype(np.float32))[:, 1:]
        return np.clip(1.0 - _step_values_rows(self.times_, lost, times_days), 0.0, 1.0)


def _step_values_rows(times: np.ndarray, rows: np.ndarray, at: Sequence[float]) -> np.ndarray:
    """Evaluate one step function per row of ``rows`` (n, len(times)), 0 before the first time."""
    position = _step_values(times, np.arange(1, times.size + 1), at).astype(int)
    return np.column_stack([np.zeros(len(rows)), rows])[:, position]
