"""Gradient-boosted trees of XGBoost for survival, early-stopped and calibrated inside the training part.

The Cox loss and accelerated failure times, each learned by one mixin: the models on study frames here, and the
estimators on matrices in :mod:`amlprognosis.models.learners.boosted_trees`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import pandas as pd

from amlprognosis.errors import InputError
from amlprognosis.models.contributions import Additive
from amlprognosis.models.cox_lasso import stratified_folds
from amlprognosis.models.learners.base import SurvivalLearner, run_threads
from amlprognosis.models.screened import BLOCKS, ScreenedModel

DISTRIBUTIONS = ("normal", "logistic", "extreme")
# Scales that inner cross-validation tries, as shares of the scale without any column.
SCALE_SHARES = (0.7, 0.85, 1.0)


class InnerSearch(NamedTuple):
    """What inner cross-validation found.

    Attributes
    ----------
    rounds : int
        Of the least mean held-out loss.
    losses : ndarray (k,)
        Mean held-out loss after 1, 2, .. rounds.
    margin : ndarray (n,)
        Held-out margin of each patient at ``rounds``.
    """

    rounds: int
    losses: np.ndarray
    margin: np.ndarray


class XGBoostMixin:
    """Booster settings, inner cross-validation for the number of rounds, contributions, and freezing as .ubj.

    Source: Chen 2016, doi:10.1145/2939672.2939785.

    Boosters run on one thread each: a round on hundreds of patients takes less than a millisecond, and the order of
    sums would depend on the threads. Those of the folds advance in turn, since they share XGBoost's random numbers.
    """

    _objective: str
    _metric: str
    n_estimators: int
    early_stopping_rounds: int
    n_folds: int
    learning_rate: float
    max_depth: int
    min_child_weight: float
    subsample: float
    colsample: float
    reg_lambda: float
    n_jobs: int
    random_state: int
    rounds_: int
    cv_path_: np.ndarray
    importances_: np.ndarray
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
            "nthread": 1,
            "seed": self.random_state,
            "verbosity": 0,
        }

    def _start(self, label: np.ndarray, settings: dict[str, Any]) -> dict[str, Any]:
        """Settings that a booster takes from the patients it learns from."""
        return {}

    def _matrix(self, values: np.ndarray, label: np.ndarray, weight: np.ndarray | None) -> Any:
        """Data for a booster; labels (n, 2) are the bounds of a survival time."""
        import xgboost

        if label.ndim == 1:
            return xgboost.DMatrix(values, label=label, weight=weight, nthread=1)
        bounds = {"label_lower_bound": label[:, 0], "label_upper_bound": label[:, 1]}
        return xgboost.DMatrix(values, weight=weight, nthread=1, **bounds)

    def _inner(
        self,
        values: np.ndarray,
        label: np.ndarray,
        weight: np.ndarray | None,
        folds: np.ndarray,
        settings: dict[str, Any] | None = None,
    ) -> InnerSearch:
        """Find the number of rounds by inner cross-validation on ``folds`` (n,)."""
        settings = settings or self._booster_parameters()
        masks = [folds == fold for fold in np.unique(folds)]
        parts = []
        for held in masks:
            train, test = (
                self._matrix(values[rows], label[rows], None if weight is None else weight[rows])
                for rows in (~held, held)
            )
            parts.append((train, test, {**settings, **self._start(label[~held], settings)}))
        rounds, losses, margins = self._search(parts)
        margin = np.empty(len(values))
        for held, held_out in zip(masks, margins, strict=True):
            margin[held] = held_out
        return InnerSearch(rounds, losses, margin)

    def _search(self, parts: list[tuple[Any, Any, dict[str, Any]]]) -> tuple[int, np.ndarray, list[np.ndarray]]:
        """Number of rounds of the least mean held-out loss within ``n_estimators``; stops early behind the best.

        ``parts`` are data to learn from, data held out, and settings. Gives the rounds, the mean losses after 1, 2, ..
        rounds, and each part's held-out margins.
        """
        import xgboost

        boosters = [(train, test, xgboost.Booster(settings, [train, test])) for train, test, settings in parts]
        losses: list[float] = []
        best = 0
        for step in range(self.n_estimators):
            total = 0.0
            for train, test, booster in boosters:
                booster.update(train, step)
                total += float(booster.eval(test, iteration=step).rsplit(":", 1)[1])
            losses.append(total / len(parts))
            best = step if losses[step] < losses[best] else best
            if step - best >= self.early_stopping_rounds:
                break
        margins = [
            booster.predict(test, output_margin=True, iteration_range=(0, best + 1)).astype(np.float64)
            for _, test, booster in boosters
        ]
        return best + 1, np.array(losses), margins

    def _grow(
        self,
        values: np.ndarray,
        label: np.ndarray,
        weight: np.ndarray | None,
        settings: dict[str, Any] | None = None,
    ) -> None:
        import xgboost

        settings = settings or self._booster_parameters()
        settings = {**settings, **self._start(label, settings)}
        data = self._matrix(values, label, weight)
        self.booster_ = xgboost.train(settings, data, num_boost_round=self.rounds_)
        gain = self.booster_.get_score(importance_type="total_gain")
        names = [f"f{j}" for j in range(values.shape[1])]
        self.importances_ = np.array([float(gain.get(name, 0.0)) for name in names])

    def _margin(self, values: np.ndarray) -> np.ndarray:
        import xgboost

        self.booster_.set_param({"nthread": 1})
        return self.booster_.predict(xgboost.DMatrix(values, nthread=1), output_margin=True).astype(np.float64)

    def _additive(self, values: np.ndarray) -> Additive:
        """XGBoost's own Shapley values of the margin (exact TreeSHAP, shares by its sums of second derivatives)."""
        import xgboost

        margin = self._margin(values)
        found = self.booster_.predict(xgboost.DMatrix(values, nthread=1), pred_contribs=True).astype(np.float64)
        baseline, terms = float(found[0, -1]), found[:, :-1]
        # Single precision leaves a rest of about 1e-7; it is spread by size, so that the sum is the margin.
        size = np.abs(terms) + 1e-30
        rest = margin - baseline - terms.sum(axis=1)
        return Additive(baseline, terms + rest[:, None] * size / size.sum(axis=1, keepdims=True), "tree_shap")

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


class CoxBooster(XGBoostMixin):
    """The Cox partial likelihood: the margin is a log hazard ratio."""

    _objective = "survival:cox"
    _metric = "cox-nloglik"

    def _boost(self, values: np.ndarray, time: np.ndarray, event: np.ndarray) -> np.ndarray:
        """Learn, and give the held-out risk of each patient (n,)."""
        label = np.where(event, time, -time)
        folds = stratified_folds(event, self.n_folds, np.random.default_rng(self.random_state))
        self.rounds_, self.cv_path_, margin = self._inner(values, label, None, folds)
        self._grow(values, label, None)
        return margin

    def _risk(self, values: np.ndarray) -> np.ndarray:
        return self._margin(values)


class AftBooster(XGBoostMixin):
    """Accelerated failure times: the margin is the logarithm of the predicted days.

    Boosting starts at the location without any column, by maximum likelihood.
    """

    _objective = "survival:aft"
    _metric = "aft-nloglik"
    distribution: str
    scale: str | float
    scale_: float

    def _start(self, label: np.ndarray, settings: dict[str, Any]) -> dict[str, Any]:
        scale = settings["aft_loss_distribution_scale"]
        return {"base_score": math.exp(fit_location(label, self.distribution, scale)[0])}

    def _boost(self, values: np.ndarray, time: np.ndarray, event: np.ndarray) -> np.ndarray:
        """Learn, and give the held-out risk of each patient (n,)."""
        if self.distribution not in DISTRIBUTIONS:
            raise InputError(f"distribution: {self.distribution!r} is not known; use {', '.join(DISTRIBUTIONS)}")
        label = np.column_stack([time, np.where(event, time, np.inf)])
        folds = stratified_folds(event, self.n_folds, np.random.default_rng(self.random_state))
        candidates = [
            {
                **self._booster_parameters(),
                "aft_loss_distribution": self.distribution,
                "aft_loss_distribution_scale": scale,
            }
            for scale in self._scales(label)
        ]
        found = run_threads(
            lambda settings: self._inner(values, label, None, folds, settings), candidates, self.n_jobs
        )  # fmt: skip
        best = int(np.argmin([search.losses.min() for search in found]))
        self.scale_ = candidates[best]["aft_loss_distribution_scale"]
        self.rounds_, self.cv_path_, margin = found[best]
        self._grow(values, label, None, candidates[best])
        return -margin

    def _scales(self, label: np.ndarray) -> list[float]:
        if self.scale == "cv":
            _, scale = fit_location(label, self.distribution)
            return [share * scale for share in SCALE_SHARES]
        if isinstance(self.scale, (str, bool)) or not 0 < self.scale < math.inf:
            raise InputError(f"scale must be 'cv' or a number above 0, got {self.scale!r}")
        return [float(self.scale)]

    def _risk(self, values: np.ndarray) -> np.ndarray:
        return -self._margin(values)

    def _additive(self, values: np.ndarray) -> Additive:
        own = super()._additive(values)
        return own._replace(baseline=-own.baseline, terms=-own.terms)


def fit_location(label: np.ndarray, distribution: str, scale: float | None = None) -> tuple[float, float]:
    """Fit location and scale of the logarithm of survival times, without any column.

    Parameters
    ----------
    label : ndarray (n, 2)
        Bounds of each survival time: days twice for a death, days and infinity for a censored patient.
    distribution : {"normal", "logistic", "extreme"}
        Of the logarithm: log-normal, log-logistic, Weibull times.
    scale : float, optional
        Held at this value; by maximum likelihood when left out, within 0.1 and 10.

    Returns
    -------
    location, scale : float
    """
    from scipy.optimize import minimize
    from scipy.special import log_expit, log_ndtr

    logs, died = np.log(label[:, 0]), np.isfinite(label[:, 1])

    def loss(point: np.ndarray) -> float:
        spread = math.log(scale) if scale else min(max(point[1], math.log(0.1)), math.log(10.0))
        z = (logs - point[0]) / math.exp(spread)
        if distribution == "normal":
            density, survival = -0.5 * z * z, log_ndtr(-z)
        elif distribution == "logistic":
            density, survival = log_expit(z) + log_expit(-z), log_expit(-z)
        else:
            survival = -np.exp(np.minimum(z, 500.0))
            density = z + survival
        return -float(np.where(died, density - spread, survival).mean())

    begin = [float(logs.mean())] if scale else [float(logs.mean()), math.log(max(float(logs.std()), 0.1))]
    found = minimize(loss, begin, method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-9}).x
    location = float(np.clip(found[0], logs.min() - 5.0, logs.max() + 5.0))
    return location, float(scale or np.exp(np.clip(found[1], math.log(0.1), math.log(10.0))))


class _Calibrated(ScreenedModel):
    """A booster on screened columns, with survival curves from its held-out risks."""

    def _boost(self, values: np.ndarray, time: np.ndarray, event: np.ndarray) -> np.ndarray:
        raise TypeError(f"{type(self).__name__} does not say how it learns")

    def _fit(self, x: pd.DataFrame, time: np.ndarray, event: np.ndarray) -> None:
        held_out = self._boost(self._screened(x, time, event), time, event)
        SurvivalLearner._calibrate(cast(SurvivalLearner, self), held_out, time, event)


class XGBoostCox(CoxBooster, _Calibrated):
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
        Threads of the screen; they do not change the result.
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


class XGBoostAFT(AftBooster, _Calibrated):
    """XGBoost with an accelerated failure time loss on the screened columns.

    Risk is minus the logarithm of the predicted days. Survival curves come from a Breslow baseline of the held-out
    risks of the inner folds, as in :class:`XGBoostCox`. Source: Barnwal 2022, doi:10.1080/10618600.2022.2067548.

    Parameters
    ----------
    distribution : {"logistic", "normal", "extreme"}
        Of the logarithm of time. The logistic one has a bounded gradient: no single early death rules the trees.
    scale : "cv" or float
        Of the logarithm of time around its prediction; "cv" tries 0.7, 0.85 and 1 times the scale without any column.
    n_jobs : int
        Threads of the screen and of the scales tried; they do not change the result.
    blocks, max_features_screened, n_estimators, early_stopping_rounds, n_folds, learning_rate, max_depth,
    min_child_weight, subsample, colsample, reg_lambda, max_missing_share, impute, random_state
        As in :class:`XGBoostCox`.

    Attributes
    ----------
    rounds_ : int
        Rounds used.
    importances_ : ndarray (p,)
        Total gain.
    scale_ : float
        Scale used.
    lp_slope_ : float
        Calibration slope of the held-out risks, for survival curves; never below 0.
    """

    _frozen = ("rounds_", "importances_", "n_candidates_", "lp_slope_", "scale_")

    def __init__(
        self,
        blocks: Sequence[str] = BLOCKS,
        max_features_screened: int = 300,
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
        max_missing_share: float = 0.2,
        impute: str = "median",
        n_jobs: int = 1,
        random_state: int = 0,
    ):
        self.blocks = blocks
        self.max_features_screened = max_features_screened
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
        self.max_missing_share = max_missing_share
        self.impute = impute
        self.n_jobs = n_jobs
        self.random_state = random_state
