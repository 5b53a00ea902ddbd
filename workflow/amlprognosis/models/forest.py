"""Random survival forest (Ishwaran 2008, doi:10.1214/08-AOAS169)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from amlprognosis.errors import InputError
from amlprognosis.models.base import as_outcome
from amlprognosis.models.learners.survival_forest import SurvivalForest
from amlprognosis.models.screened import BLOCKS, ForestMixin, ScreenedModel


class RandomSurvivalForest(ForestMixin, ScreenedModel):
    """Random survival forest on the screened columns.

    Parameters
    ----------
    blocks : sequence of str
        Blocks of columns used.
    max_features_screened : int
        Columns kept by univariate Cox p in the training part.
    n_estimators, min_samples_leaf, max_features
        As in :class:`~amlprognosis.models.learners.survival_forest.SurvivalForest`; all trees are grown.
    importance : {"screen", "permutation"}
        Weights told by :meth:`selected_features`: the z of the univariate screen, or the loss of the OOB concordance
        when a column is shuffled.
    max_missing_share, impute
        See :class:`~amlprognosis.models.preprocess.Preprocessor`.
    n_jobs : int
        Threads; they do not change the result.
    random_state : int
        Seed.

    Attributes
    ----------
    importances_ : ndarray (p,)
        Signed screening z, or loss of C.
    oob_score_ : float
        Harrell's C of the risks by trees that did not draw the patient; the screen saw all of them.
    """

    _frozen = ("importances_", "n_candidates_", "oob_score_")

    def __init__(
        self,
        blocks: Sequence[str] = BLOCKS,
        max_features_screened: int = 300,
        n_estimators: int = 300,
        min_samples_leaf: int = 10,
        max_features: str | float = "sqrt",
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
        self.importance = importance
        self.max_missing_share = max_missing_share
        self.impute = impute
        self.n_jobs = n_jobs
        self.random_state = random_state

    def _fit(self, x: pd.DataFrame, time: np.ndarray, event: np.ndarray) -> None:
        if self.importance not in ("screen", "permutation"):
            raise InputError(f"importance: {self.importance!r} is not known; use screen or permutation")
        values = self._screened(x, time, event)
        learner = SurvivalForest(
            n_estimators=self.n_estimators,
            min_samples_leaf=self.min_samples_leaf,
            max_features=self.max_features,
            early_stop=False,
            n_jobs=self.n_jobs,
            random_state=self.random_state,
        ).fit(values, as_outcome(time, event))
        self.notes_ += learner.notes_
        self.forest_ = learner.forest_.with_cover(values)
        self.oob_score_ = learner.oob_score_
        self.importances_ = self.screen_z_ if self.importance == "screen" else learner.feature_importances_
        self.baseline_times_ = self.forest_.times

    def _risk(self, values: np.ndarray) -> np.ndarray:
        return self.forest_.mean_values(values)[:, 0].copy()

    def predict_survival(self, X: pd.DataFrame, times_days: Sequence[float]) -> np.ndarray:
        """Survival probability (n, len(times_days)): mean over trees of the leaves' Kaplan-Meier curves."""
        return self.forest_.survival(self._design(X), times_days)
