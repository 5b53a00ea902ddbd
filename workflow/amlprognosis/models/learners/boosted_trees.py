"""XGBoost's survival losses on a matrix: Cox and accelerated failure times, with survival curves."""

from __future__ import annotations

import numpy as np

from amlprognosis.errors import InputError
from amlprognosis.models.boosting import AftBooster, CoxBooster, XGBoostMixin
from amlprognosis.models.learners.base import SurvivalLearner
from amlprognosis.models.learners.gradient_boosting import check_numbers


class _BoostedTrees(XGBoostMixin, SurvivalLearner):
    """A booster whose held-out risks give the survival curves."""

    def _boost(self, values: np.ndarray, time: np.ndarray, event: np.ndarray) -> np.ndarray:
        raise TypeError(f"{type(self).__name__} does not say how it learns")

    def _fit(self, x: np.ndarray, time: np.ndarray, event: np.ndarray) -> None:
        lowest = {
            "n_estimators": 1,
            "early_stopping_rounds": 1,
            "n_folds": 2,
            "max_depth": 1,
            "n_jobs": 1,
            "random_state": 0,
        }
        check_numbers(self, lowest, ("learning_rate", "subsample", "colsample"))
        for name in ("min_child_weight", "reg_lambda"):
            if not getattr(self, name) >= 0:
                raise InputError(f"{type(self).__name__}: {name} must not be negative, got {getattr(self, name)!r}")
        if not (x.max(axis=0) > x.min(axis=0)).any():
            raise InputError(f"{type(self).__name__}: no column varies; give it columns that differ between patients")
        held_out = self._boost(x, time, event)
        total = self.importances_.sum()
        self.feature_importances_ = self.importances_ / total if total > 0 else self.importances_
        if not total > 0:
            self.notes_.append("no tree found a split: everyone has the same risk")
        if self.cv_path_.size == self.n_estimators < self.rounds_ + self.early_stopping_rounds:
            self.notes_.append(f"held-out loss may fall beyond {self.n_estimators} rounds: raise n_estimators")
        deaths = int(event.sum())
        if deaths < self.n_folds:
            self.notes_.append(f"{deaths} deaths: {deaths} inner folds instead of {self.n_folds}")
        self._calibrate(held_out, time, event)


class XGBCox(CoxBooster, _BoostedTrees):
    """XGBoost with the Cox partial likelihood; the risk is the margin, a log hazard ratio.

    Survival curves come from a Breslow baseline of the held-out risks of the inner folds.

    Parameters
    ----------
    n_estimators : int
        Rounds at most; the number is found by inner cross-validation (mean negative log partial likelihood of the
        held-out patients among themselves).
    early_stopping_rounds : int
        Rounds without gain before the search stops.
    n_folds : int
        Inner folds, seeded and stratified by death; fewer when deaths are fewer.
    learning_rate, max_depth, min_child_weight, subsample, colsample, reg_lambda
        XGBoost's eta, max_depth, min_child_weight, subsample, colsample_bytree, lambda.
    n_jobs : int
        For a uniform interface: a booster runs on one thread.
    random_state : int
        Seed, not negative.

    Attributes
    ----------
    booster_ : xgboost.Booster
    rounds_ : int
        Rounds used.
    cv_path_ : ndarray (k,)
        Mean held-out loss after 1, 2, .. rounds.
    feature_importances_ : ndarray (p,)
        Total gain; they sum to 1.
    """

    def __init__(
        self,
        n_estimators: int = 300,
        early_stopping_rounds: int = 20,
        n_folds: int = 5,
        learning_rate: float = 0.05,
        max_depth: int = 2,
        min_child_weight: float = 2.0,
        subsample: float = 0.8,
        colsample: float = 0.5,
        reg_lambda: float = 1.0,
        n_jobs: int = 1,
        random_state: int = 0,
    ):
        self.n_estimators = n_estimators
        self.early_stopping_rounds = early_stopping_rounds
        self.n_folds = n_folds
        self.learning_rate = learning_rate
        self.max_depth = max_depth
        self.min_child_weight = min_child_weight
        self.subsample = subsample
        self.colsample = colsample
        self.reg_lambda = reg_lambda
        self.n_jobs = n_jobs
        self.random_state = random_state


class XGBAft(AftBooster, _BoostedTrees):
    """XGBoost with an accelerated failure time loss; the risk is minus the logarithm of the predicted days.

    Survival curves come from a Breslow baseline of the held-out risks of the inner folds, not from the distribution:
    they are comparable with those of the other learners. Source: Barnwal 2022, doi:10.1080/10618600.2022.2067548.

    Parameters
    ----------
    distribution : {"logistic", "normal", "extreme"}
        Of the logarithm of time. The logistic one has a bounded gradient: no single early death rules the trees.
    scale : "cv" or float
        Of the logarithm of time around its prediction; "cv" tries 0.7, 0.85 and 1 times the scale without any column
        and takes the least held-out negative log likelihood.
    n_jobs : int
        Threads (of the scales tried); they do not change the result.
    n_estimators, early_stopping_rounds, n_folds, learning_rate, max_depth, min_child_weight, subsample, colsample,
    reg_lambda, random_state
        As in :class:`XGBCox`.

    Attributes
    ----------
    scale_ : float
        Scale used.
    booster_, rounds_, cv_path_, feature_importances_
        As in :class:`XGBCox`.
    """

    def __init__(
        self,
        distribution: str = "logistic",
        scale: str | float = "cv",
        n_estimators: int = 300,
        early_stopping_rounds: int = 20,
        n_folds: int = 5,
        learning_rate: float = 0.05,
        max_depth: int = 2,
        min_child_weight: float = 2.0,
        subsample: float = 0.8,
        colsample: float = 0.5,
        reg_lambda: float = 1.0,
        n_jobs: int = 1,
        random_state: int = 0,
    ):
        self.distribution = distribution
        self.scale = scale
        self.n_estimators = n_estimators
        self.early_stopping_rounds = early_stopping_rounds
        self.n_folds = n_folds
        self.learning_rate = learning_rate
        self.max_depth = max_depth
        self.min_child_weight = min_child_weight
        self.subsample = subsample
        self.colsample = colsample
        self.reg_lambda = reg_lambda
        self.n_jobs = n_jobs
        self.random_state = random_state
