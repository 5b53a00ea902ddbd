"""Gradient-boosted trees with the Cox loss (XGBoost), early-stopped and calibrated inside the training part."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from amlprognosis.errors import InputError
from amlprognosis.models.cox_kernels import baseline_hazard, fit_cox
from amlprognosis.models.cox_lasso import stratified_folds
from amlprognosis.models.screened import BLOCKS, ScreenedModel


class XGBoostMixin:
    """Booster settings, inner cross-validation for the number of rounds, and freezing as .ubj."""

    _objective: str
    _metric: str
    n_estimators: int
    early_stopping_rounds: int
    learning_rate: float
    max_depth: int
    min_child_weight: float
    subsample: float
    colsample: float
    reg_lambda: float
    n_jobs: int
    random_state: int
    rounds_: int
    booster_: Any

    def _booster_parameters(self) -> dict[str, Any]:
        return {
            "objective": self._objective,
            "eval_metric": self._metric,
            "tree_method": "hist",
            "max_bin": 64,
            "eta": self.learning_rate,
            "max_depth": self.max_depth,
            "min_child_weight": self.min_child_weight,
            "subsample": self.subsample,
            "colsample_bytree": self.colsample,
            "lambda": self.reg_lambda,
            "nthread": self.n_jobs,
            "seed": self.random_state,
            "verbosity": 0,
        }

    def _inner(
        self, values: np.ndarray, label: np.ndarray, weight: np.ndarray | None, folds: np.ndarray
    ) -> tuple[int, np.ndarray]:
        """Find the number of rounds by inner cross-validation.

        Returns
        -------
        rounds : int
            Least mean held-out loss, within ``n_estimators``; stops ``early_stopping_rounds`` after the best.
        margin : ndarray (n,)
            Held-out margin of each patient at that number.
        """
        import xgboost

        settings = self._booster_parameters()
        parts = []
        for fold in np.unique(folds):
            held = folds == fold
            train, test = (
                xgboost.DMatrix(values[rows], label=label[rows], weight=None if weight is None else weight[rows])
                for rows in (~held, held)
            )
            parts.append((held, train, test, xgboost.Booster(settings, [train, test])))
        losses: list[float] = []
        for step in range(self.n_estimators):
            total = 0.0
            for _, train, test, booster in parts:
                booster.update(train, step)
                total += float(booster.eval(test, iteration=step).rsplit(":", 1)[1])
            losses.append(total / len(parts))
            if step - int(np.argmin(losses)) >= self.early_stopping_rounds:
                break
        rounds = int(np.argmin(losses)) + 1
        margin = np.empty(len(values))
        for held, _, test, booster in parts:
            margin[held] = booster.predict(test, output_margin=True, iteration_range=(0, rounds))
        return rounds, margin

    def _grow(self, values: np.ndarray, label: np.ndarray, weight: np.ndarray | None) -> None:
        import xgboost

        data = xgboost.DMatrix(values, label=label, weight=weight)
        self.booster_ = xgboost.train(self._booster_parameters(), data, num_boost_round=self.rounds_)
        gain = self.booster_.get_score(importance_type="total_gain")
        names = [f"f{j}" for j in range(values.shape[1])]
        self.importances_ = np.array([float(gain.get(name, 0.0)) for name in names])

    def _margin(self, values: np.ndarray) -> np.ndarray:
        import xgboost

        self.booster_.set_param({"nthread": 1})
        return self.booster_.predict(xgboost.DMatrix(values, nthread=1), output_margin=True).astype(np.float64)

    def _write_side(self, directory: Path) -> list[str]:
        self.booster_.set_param({"nthread": 1})
        (directory / "booster.ubj").write_bytes(bytes(self.booster_.save_raw("ubj")))
        return ["booster.ubj"]

    def _read_side(self, directory: Path) -> None:
        import xgboost

        path = directory / "booster.ubj"
        try:
            self.booster_ = xgboost.Booster(model_file=str(path))
        except xgboost.core.XGBoostError as error:
            raise InputError(f"{path}: not a readable XGBoost model; restore the model's folder") from error


class XGBoostCox(XGBoostMixin, ScreenedModel):
    """XGBoost with the Cox partial likelihood on the screened columns.

    Risk is the booster's margin (log hazard ratio). Survival curves come from a Breslow baseline of the *held-out*
    margins of the inner folds, with a one-parameter Cox calibration of them: margins on the data that a booster was
    grown on are far too spread.

    Parameters
    ----------
    blocks, max_features_screened, max_missing_share, impute
        As in :class:`~amlprognosis.models.forest.RandomSurvivalForest`.
    n_estimators : int
        Rounds at most; the number is found by inner cross-validation.
    early_stopping_rounds : int
        Rounds without gain before the search stops.
    n_folds : int
        Inner folds, seeded and stratified by death.
    learning_rate, max_depth, min_child_weight, subsample, colsample, reg_lambda
        XGBoost's eta, max_depth, min_child_weight, subsample, colsample_bytree, lambda.
    n_jobs : int
        Threads; they do not change the result.
    random_state : int
        Seed.

    Attributes
    ----------
    rounds_ : int
        Rounds used.
    importances_ : ndarray (p,)
        Total gain.
    lp_slope_ : float
        Calibration slope of the held-out margins, for survival curves; never below 0.
    """

    _objective = "survival:cox"
    _metric = "cox-nloglik"
    _frozen = ("rounds_", "importances_", "n_candidates_", "lp_slope_")

    def __init__(
        self,
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
        max_missing_share: float = 0.2,
        impute: str = "median",
        n_jobs: int = 1,
        random_state: int = 0,
    ):
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
        self.max_missing_share = max_missing_share
        self.impute = impute
        self.n_jobs = n_jobs
        self.random_state = random_state

    def _fit(self, x: pd.DataFrame, time: np.ndarray, event: np.ndarray) -> None:
        values = self._screened(x, time, event)
        label = np.where(event, time, -time)
        folds = stratified_folds(event, self.n_folds, np.random.default_rng(self.random_state))
        self.rounds_, margin = self._inner(values, label, None, folds)
        self._grow(values, label, None)
        slope = 0.0
        if np.ptp(margin) > 1e-9:
            slope = float(fit_cox(margin[:, None], time, event).beta[0])
        if slope <= 0:
            self.notes_.append("held-out margins carry no signal: survival curves are the same for everyone")
        self.lp_slope_ = max(slope, 0.0)
        self.baseline_times_, self.baseline_hazard_ = baseline_hazard(self.lp_slope_ * margin, time, event)

    def _risk(self, values: np.ndarray) -> np.ndarray:
        return self._margin(values)
