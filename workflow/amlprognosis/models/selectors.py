"""Selectors: transformers that keep the columns a survival learner found worth keeping."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone
from sklearn.feature_selection import SelectorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from amlprognosis.errors import InputError
from amlprognosis.models.base import check_outcome
from amlprognosis.models.learners.base import canonical_order


class LearnerSelector(MetaEstimatorMixin, SelectorMixin, BaseEstimator):
    """Keep what a learner used: nonzero coefficients, or the forest's columns of small minimal depth.

    Parameters
    ----------
    learner : SurvivalLearner
        A linear learner that sets coefficients to zero (lasso, elastic net, stepwise Cox, CoxBoost), or a
        :class:`~amlprognosis.models.learners.survival_forest.SurvivalForest`, whose columns are kept by minimal depth
        (Ishwaran 2010, doi:10.1198/jasa.2009.tm08622).

    Attributes
    ----------
    learner_ : SurvivalLearner
        Fitted.
    notes_ : list of str
        What its fit flagged.
    """

    def __init__(self, learner: Any):
        self.learner = learner

    def fit(self, X: Any, y: np.ndarray) -> LearnerSelector:
        """Fit the learner; raises InputError as it does."""
        self.learner_ = clone(self.learner).fit(X, y)
        self.n_features_in_ = self.learner_.n_features_in_
        if hasattr(self.learner_, "feature_names_in_"):
            self.feature_names_in_ = self.learner_.feature_names_in_
        self.notes_ = list(self.learner_.notes_)
        return self

    def _get_support_mask(self) -> np.ndarray:
        check_is_fitted(self, "learner_")
        kept = np.zeros(self.n_features_in_, dtype=bool)
        if hasattr(self.learner_, "minimal_depth_"):
            kept[self.learner_.selected_] = True
        else:
            kept[self.learner_.coef_ != 0] = True
        return kept


class StabilitySelector(SelectorMixin, BaseEstimator):
    """Stability selection with the lasso on complementary half-samples.

    Parameters
    ----------
    threshold : float
        Share of half-samples in which a column must be among the first ``q``.
    n_pairs : int
        Complementary pairs of half-samples.
    q : int or None
        Columns that enter first along the lasso path; None = sqrt(0.8 p), at least 2: at most 4 false columns are then
        to be expected at a threshold of 0.6, one at 0.9. More columns pass with a larger q, and more false ones.
    n_jobs : int
        Threads; they do not change the result.
    random_state : int
        Seed of the half-samples.

    Attributes
    ----------
    frequencies_ : ndarray (p,)
    error_bound_ : float
        Upper bound of the expected number of falsely selected columns, q^2 / ((2 threshold - 1) p).

    References
    ----------
    Meinshausen 2010, doi:10.1111/j.1467-9868.2010.00740.x; Shah 2013, doi:10.1111/j.1467-9868.2011.01034.x.
    """

    def __init__(
        self, threshold: float = 0.6, n_pairs: int = 50, q: int | None = None, n_jobs: int = 1, random_state: int = 0
    ):
        self.threshold = threshold
        self.n_pairs = n_pairs
        self.q = q
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(self, X: Any, y: np.ndarray) -> StabilitySelector:
        """Count how often each column enters early.

        Raises
        ------
        InputError
            If the threshold is not above 0.5, or X or y cannot be used.
        """
        from amlprognosis.models.stability import default_q, stability_frequencies

        if not 0.5 < self.threshold <= 1:
            raise InputError(f"Stability: threshold must lie above 0.5 and at most 1, got {self.threshold}")
        try:
            x = validate_data(self, X, dtype=np.float64)
        except ValueError as error:
            raise InputError(f"Stability: {error}") from error
        time, event = check_outcome(y, len(x))
        order = canonical_order(x, time, event)
        p = x.shape[1]
        q = default_q(p) if self.q is None else min(self.q, p)
        self.frequencies_ = stability_frequencies(
            x[order], time[order], event[order], n_pairs=self.n_pairs, q=q, random_state=self.random_state,
            n_jobs=self.n_jobs,
        )  # fmt: skip
        self.error_bound_ = q * q / ((2 * self.threshold - 1) * p)
        self.notes_: list[str] = [] if self.q is None or self.q <= p else [f"q = {self.q} of {p} columns: took {p}"]
        return self

    def _get_support_mask(self) -> np.ndarray:
        check_is_fitted(self, "frequencies_")
        return self.frequencies_ >= self.threshold
