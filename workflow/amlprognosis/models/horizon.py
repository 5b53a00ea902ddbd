"""Classifiers of death by a horizon, weighted by inverse probability of censoring.

Source: Vock 2016, doi:10.1016/j.jbi.2016.03.009.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from amlprognosis.errors import InputError
from amlprognosis.models.boosting import XGBoostMixin
from amlprognosis.models.cox_lasso import stratified_folds
from amlprognosis.models.kaplan_meier import censoring_curve
from amlprognosis.models.screened import BLOCKS, ForestMixin, ScreenedModel
from amlprognosis.models.trees import flatten
from amlprognosis.study import horizon_days


def ipcw(time: np.ndarray, event: np.ndarray, horizon_days: float) -> tuple[np.ndarray, np.ndarray]:
    """Label patients by death until a horizon and weigh them by the chance that their status is known.

    Parameters
    ----------
    time, event : ndarray (n,)
        Days; True = death.
    horizon_days : float
        Horizon t.

    Returns
    -------
    died : ndarray of bool (n,)
        Death at or before t.
    weight : ndarray (n,)
        1 / G(min(T, t)-) where G(s-) = P(C >= s) is the Kaplan-Meier estimate of remaining uncensored until just
        before s; 0 for a patient censored before t. Where a death and a censoring share a time, the death comes
        first. A patient censored exactly at t is known to have lived until t and counts as a control.
    """
    died = event & (time <= horizon_days)
    known = died | (time >= horizon_days)
    before = censoring_curve(time, event).before(np.minimum(time, horizon_days))
    return died, np.where(known, 1.0 / np.where(before > 0, before, 1.0), 0.0)


class HorizonModel(ScreenedModel):
    """What both horizon classifiers share: labels, weights, counts, survival at the horizon alone."""

    has_survival = False
    horizon_years: float
    min_class: int

    @property
    def horizon_days_(self) -> float:
        """Horizon in days."""
        return horizon_days(self.horizon_years)

    def _labels(self, time: np.ndarray, event: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        died, weight = ipcw(time, event, self.horizon_days_)
        known = weight > 0
        self.counts_ = {
            "deaths": int((died & known).sum()),
            "controls": int((~died & known).sum()),
            "censored_before": int((~known).sum()),
        }
        for name in ("deaths", "controls"):
            if self.counts_[name] < self.min_class:
                raise InputError(
                    f"{type(self).__name__}: {self.counts_[name]} {name} with known status at {self.horizon_years:g} "
                    f"years, at least {self.min_class} are needed; take an earlier horizon"
                )
        return died, weight

    def predict_survival(self, X: pd.DataFrame, times_days: Sequence[float]) -> np.ndarray:
        """Survival probability (n, len(times_days)): 1 - risk at the horizon, NaN at any other time."""
        times = np.atleast_1d(np.asarray(times_days, dtype=np.float64))
        out = np.full((len(X), times.size), np.nan)
        out[:, np.abs(times - self.horizon_days_) < 0.5] = (1.0 - self.predict(X))[:, None]
        return out

    def predict_survival_function(self, X: pd.DataFrame) -> np.ndarray:
        """Refuse: a horizon classifier has no curve.

        Raises
        ------
        InputError
            Always.
        """
        raise InputError(
            f"{type(self).__name__} says survival at {self.horizon_years:g} years only; use predict_survival"
        )


class HorizonForest(ForestMixin, HorizonModel):
    """Random forest for death by a horizon; the risk is that probability.

    Parameters
    ----------
    horizon_years : float
        Horizon.
    blocks, max_features_screened, n_estimators, min_samples_leaf, max_features, max_missing_share, impute, n_jobs,
    random_state
        As in :class:`~amlprognosis.models.forest.RandomSurvivalForest`.
    min_class : int
        Deaths and controls of known status needed.

    Attributes
    ----------
    counts_ : dict
        deaths, controls, censored_before: patients by status at the horizon. Those censored before it have weight 0
        in the trees, count in the censoring estimate, the screen and the preparation of columns.
    importances_ : ndarray (p,)
        Signed screening z.
    """

    _frozen = ("counts_", "importances_", "n_candidates_")

    def __init__(
        self,
        horizon_years: float = 5.0,
        blocks: Sequence[str] = BLOCKS,
        max_features_screened: int = 300,
        n_estimators: int = 300,
        min_samples_leaf: int = 5,
        max_features: str | float = "sqrt",
        min_class: int = 10,
        max_missing_share: float = 0.2,
        impute: str = "median",
        n_jobs: int = 1,
        random_state: int = 0,
    ):
        self.horizon_years = horizon_years
        self.blocks = blocks
        self.max_features_screened = max_features_screened
        self.n_estimators = n_estimators
        self.min_samples_leaf = min_samples_leaf
        self.max_features = max_features
        self.min_class = min_class
        self.max_missing_share = max_missing_share
        self.impute = impute
        self.n_jobs = n_jobs
        self.random_state = random_state

    def _fit(self, x: pd.DataFrame, time: np.ndarray, event: np.ndarray) -> None:
        from sklearn.ensemble import RandomForestClassifier

        died, weight = self._labels(time, event)
        values = self._screened(x, time, event)
        known = weight > 0
        forest = RandomForestClassifier(
            n_estimators=self.n_estimators,
            min_samples_leaf=self.min_samples_leaf,
            max_features=self.max_features,
            n_jobs=self.n_jobs,
            random_state=self.random_state,
        ).fit(values[known], died[known], sample_weight=weight[known])

        def leaf_values(number: int, nodes: np.ndarray) -> np.ndarray:
            value = forest.estimators_[number].tree_.value[nodes, 0, :]
            return value[:, 1:] / value.sum(axis=1, keepdims=True)

        self.forest_ = flatten([tree.tree_ for tree in forest.estimators_], leaf_values)
        self.importances_ = self.screen_z_

    def _risk(self, values: np.ndarray) -> np.ndarray:
        # scikit-learn's trees compare single-precision features with double-precision thresholds.
        return self.forest_.predict(values.astype(np.float32))[:, 0].copy()


class HorizonXGBoost(XGBoostMixin, HorizonModel):
    """XGBoost for death by a horizon; the risk is that probability.

    Parameters
    ----------
    horizon_years, min_class
        As in :class:`HorizonForest`.
    blocks, max_features_screened, n_estimators, early_stopping_rounds, n_folds, learning_rate, max_depth,
    min_child_weight, subsample, colsample, reg_lambda, max_missing_share, impute, n_jobs, random_state
        As in :class:`~amlprognosis.models.boosting.XGBoostCox`; inner folds hold out patients of known status.

    Attributes
    ----------
    counts_, importances_, rounds_
        As in :class:`HorizonForest` and :class:`~amlprognosis.models.boosting.XGBoostCox`.
    """

    _objective = "binary:logistic"
    _metric = "logloss"
    _frozen = ("counts_", "rounds_", "importances_", "n_candidates_")

    def __init__(
        self,
        horizon_years: float = 5.0,
        blocks: Sequence[str] = BLOCKS,
        max_features_screened: int = 300,
        n_estimators: int = 300,
        early_stopping_rounds: int = 20,
        n_folds: int = 5,
        learning_rate: float = 0.05,
        max_depth: int = 2,
        min_child_weight: float = 2.0,
        subsample: float = 0.8,
        colsample: float = 0.5,
        reg_lambda: float = 1.0,
        min_class: int = 10,
        max_missing_share: float = 0.2,
        impute: str = "median",
        n_jobs: int = 1,
        random_state: int = 0,
    ):
        self.horizon_years = horizon_years
        self.blocks = blocks
        self.max_features_screened = max_features_screened
        self.n_estimators = n_estimators
        self.early_stopping_rounds = early_stopping_rounds
        self.n_folds = n_folds
        self.learning_rate = learning_rate
        self.max_depth = max_depth
        self.min_child_weight = min_child_weight
        self.subsample = subsample
        self.colsample = colsample
        self.reg_lambda = reg_lambda
        self.min_class = min_class
        self.max_missing_share = max_missing_share
        self.impute = impute
        self.n_jobs = n_jobs
        self.random_state = random_state

    def _fit(self, x: pd.DataFrame, time: np.ndarray, event: np.ndarray) -> None:
        died, weight = self._labels(time, event)
        values = self._screened(x, time, event)
        known = weight > 0
        part, label, share = values[known], died[known].astype(np.float64), weight[known]
        folds = stratified_folds(died[known], self.n_folds, np.random.default_rng(self.random_state))
        self.rounds_, _ = self._inner(part, label, share, folds)
        self._grow(part, label, share)

    def _risk(self, values: np.ndarray) -> np.ndarray:
        return 1.0 / (1.0 + np.exp(-self._margin(values)))
