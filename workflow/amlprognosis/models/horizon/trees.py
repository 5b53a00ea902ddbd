"""Random forest and XGBoost for death by a horizon."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from amlprognosis.models.boosting import XGBoostMixin
from amlprognosis.models.contributions import Additive
from amlprognosis.models.horizon.base import Cases, HorizonModel, Part, pooled
from amlprognosis.models.screened import BLOCKS, ForestMixin
from amlprognosis.models.trees import FlatForest, flatten


class HorizonForest(ForestMixin, HorizonModel):
    """Random forest for death by a horizon; the risk is that probability.

    With IPCW scikit-learn's classification forest with weights, with pseudo-observations its regression forest
    (Breiman 2001, doi:10.1023/A:1010933404324).

    Parameters
    ----------
    horizon_years : float
        Horizon.
    weighting : {"ipcw", "pseudo"}
        Patients of known status, weighted by inverse probability of censoring, or everybody by pseudo-observation;
        see :mod:`amlprognosis.models.horizon.weights`.
    selection : {"screen", "mrmr"}
        Columns of the smallest univariate Cox p (``max_features_screened`` of them), or of minimum redundancy and
        maximum relevance (``n_selected``), see :func:`amlprognosis.models.mrmr.mrmr`.
    n_selected, max_features_screened : int
        Columns that the selection keeps.
    calibrate : bool
        Platt scaling of held-out scores of inner folds.
    n_folds : int
        Inner folds, seeded and stratified by death; only used to calibrate.
    blocks, n_estimators, min_samples_leaf, max_features, max_missing_share, impute, n_jobs, random_state
        As in :class:`~amlprognosis.models.forest.RandomSurvivalForest`.
    min_class : int
        Deaths and controls of known status needed.

    Attributes
    ----------
    counts_ : dict
        deaths, controls, censored_before: patients by status at the horizon. With IPCW those censored before it have
        no part in the trees, but count in the censoring estimate, the screen and the preparation of columns.
    importances_ : ndarray (p,)
        Signed screening z.
    calibration_ : ndarray (2,)
        Slope and intercept of the log odds; 1 and 0 without calibration.
    """

    _is_tuned = False

    def __init__(
        self,
        horizon_years: float = 5.0,
        weighting: str = "ipcw",
        blocks: Sequence[str] = BLOCKS,
        selection: str = "screen",
        n_selected: int = 30,
        max_features_screened: int = 300,
        n_estimators: int = 300,
        min_samples_leaf: int = 5,
        max_features: str | float = "sqrt",
        calibrate: bool = False,
        n_folds: int = 5,
        min_class: int = 10,
        max_missing_share: float = 0.2,
        impute: str = "median",
        n_jobs: int = 1,
        random_state: int = 0,
    ):
        self.horizon_years = horizon_years
        self.weighting = weighting
        self.blocks = blocks
        self.selection = selection
        self.n_selected = n_selected
        self.max_features_screened = max_features_screened
        self.n_estimators = n_estimators
        self.min_samples_leaf = min_samples_leaf
        self.max_features = max_features
        self.calibrate = calibrate
        self.n_folds = n_folds
        self.min_class = min_class
        self.max_missing_share = max_missing_share
        self.impute = impute
        self.n_jobs = n_jobs
        self.random_state = random_state

    @property
    def _has_margin(self) -> bool:
        return False

    def _grown(self, cases: Cases, n_estimators: int) -> FlatForest:
        from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

        kind = RandomForestClassifier if self.weighting == "ipcw" else RandomForestRegressor
        forest = kind(
            n_estimators=n_estimators,
            min_samples_leaf=self.min_samples_leaf,
            max_features=self.max_features,
            n_jobs=self.n_jobs,
            random_state=self.random_state,
        ).fit(cases.x, cases.target, sample_weight=cases.weight)

        def leaf_values(number: int, nodes: np.ndarray) -> np.ndarray:
            value = forest.estimators_[number].tree_.value[nodes, 0, :]
            return value[:, 1:] / value.sum(axis=1, keepdims=True) if self.weighting == "ipcw" else value

        return flatten([tree.tree_ for tree in forest.estimators_], leaf_values)

    def _tune(self, parts: list[Part]) -> np.ndarray:
        """Held-out probabilities; each fold has a third of the trees, for time."""
        n_trees = max(self.n_estimators // 3, 1)
        return pooled(parts, [_said(self._grown(part.train, n_trees), part.test.x) for part in parts])

    def _learn(self, cases: Cases) -> None:
        self.forest_ = self._grown(cases, self.n_estimators).with_cover(_single(cases.x), cases.weight)

    def _score(self, values: np.ndarray) -> np.ndarray:
        return _said(self.forest_, values)

    def _additive(self, values: np.ndarray) -> Additive:
        return super()._additive(_single(values))


def _single(values: np.ndarray) -> np.ndarray:
    # scikit-learn's trees compare single-precision features with double-precision thresholds.
    return values.astype(np.float32)


def _said(forest: FlatForest, values: np.ndarray) -> np.ndarray:
    return forest.predict(_single(values))[:, 0].copy()


class HorizonXGBoost(XGBoostMixin, HorizonModel):
    """XGBoost for death by a horizon; the risk is that probability.

    With IPCW the weighted logistic loss; with pseudo-observations, which XGBoost's logistic loss refuses beyond 0 and
    1, the squared error, and predictions beyond 0 and 1 are cut off.

    Parameters
    ----------
    horizon_years, weighting, selection, n_selected, max_features_screened, calibrate, min_class
        As in :class:`HorizonForest`.
    blocks, n_estimators, early_stopping_rounds, n_folds, learning_rate, max_depth,
    min_child_weight, subsample, colsample, reg_lambda, max_missing_share, impute, n_jobs, random_state
        As in :class:`~amlprognosis.models.boosting.XGBoostCox`; inner folds hold out patients of known status.

    Attributes
    ----------
    counts_, calibration_
        As in :class:`HorizonForest`.
    importances_, rounds_
        As in :class:`~amlprognosis.models.boosting.XGBoostCox`.
    """

    _objective = "binary:logistic"
    _metric = "logloss"
    _frozen = (*HorizonModel._frozen, "rounds_")

    def __init__(
        self,
        horizon_years: float = 5.0,
        weighting: str = "ipcw",
        blocks: Sequence[str] = BLOCKS,
        selection: str = "screen",
        n_selected: int = 30,
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
        calibrate: bool = True,
        min_class: int = 10,
        max_missing_share: float = 0.2,
        impute: str = "median",
        n_jobs: int = 1,
        random_state: int = 0,
    ):
        self.horizon_years = horizon_years
        self.weighting = weighting
        self.blocks = blocks
        self.selection = selection
        self.n_selected = n_selected
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
        self.calibrate = calibrate
        self.min_class = min_class
        self.max_missing_share = max_missing_share
        self.impute = impute
        self.n_jobs = n_jobs
        self.random_state = random_state

    @property
    def _has_margin(self) -> bool:
        return self.weighting == "ipcw"

    def _booster_parameters(self) -> dict[str, Any]:
        settings = super()._booster_parameters()
        if self.weighting == "pseudo":
            settings |= {"objective": "reg:squarederror", "eval_metric": "rmse"}
        return settings

    def _tune(self, parts: list[Part]) -> np.ndarray:
        """Number of rounds of the least mean held-out loss, and the held-out margins at it."""
        settings = self._booster_parameters()
        data = [[self._matrix(*cases) for cases in (part.train, part.test)] for part in parts]
        self.rounds_, _, margins = self._search([(train, test, settings) for train, test in data])
        return pooled(parts, margins)

    def _learn(self, cases: Cases) -> None:
        self._grow(cases.x, cases.target, cases.weight)

    def _score(self, values: np.ndarray) -> np.ndarray:
        return self._margin(values)
