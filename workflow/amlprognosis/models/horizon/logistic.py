"""Elastic-net logistic regression for death by a horizon."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from amlprognosis.errors import InputError
from amlprognosis.models.contributions import Additive, linear_terms
from amlprognosis.models.horizon.base import Cases, HorizonModel, Part, pooled
from amlprognosis.models.horizon.calibration import log_loss
from amlprognosis.models.horizon.logistic_path import largest_lambda, logistic_path
from amlprognosis.models.learners.base import run_threads
from amlprognosis.models.screened import BLOCKS

# Below this share of lasso, a ridge path would start at penalties that are useless.
_LEAST_RATIO = 0.05


class HorizonLogistic(HorizonModel):
    """Logistic regression with the elastic net; the risk is the probability of death by the horizon.

    Penalty and share of lasso are those of the least held-out weighted log loss in inner folds. With
    pseudo-observations the fit is quasi-binomial, see :mod:`amlprognosis.models.horizon.logistic_path`.

    Parameters
    ----------
    horizon_years, weighting, min_class
        As in :class:`~amlprognosis.models.horizon.trees.HorizonForest`.
    blocks : sequence of str
        Blocks of columns used.
    selection : {"screen", "mrmr"}
        Columns of minimum redundancy and maximum relevance (``n_selected``), or of the smallest univariate Cox
        p (``max_features_screened``).
    n_selected, max_features_screened : int
        Columns that the selection keeps.
    l1_ratios : sequence of float
        Shares of lasso to try, from 0 (ridge) to 1; below 1 with pseudo-observations.
    n_lambda : int
        Penalties to try for each.
    calibrate : bool
        Platt scaling of the held-out log odds.
    n_folds : int
        Inner folds, seeded and stratified by death.
    max_missing_share, impute
        See :class:`~amlprognosis.models.preprocess.Preprocessor`.
    n_jobs : int
        Threads; they do not change the result.
    random_state : int
        Seed.

    Attributes
    ----------
    counts_, calibration_
        As in :class:`~amlprognosis.models.horizon.trees.HorizonForest`.
    coef_ : ndarray (p,)
        Log odds ratio per standard deviation.
    intercept_ : float
    lambda_, l1_ratio_ : float
        Chosen penalty and share of lasso.
    """

    _standardized = True
    _frozen = (*HorizonModel._frozen, "coef_", "intercept_", "lambda_", "l1_ratio_")

    def __init__(
        self,
        horizon_years: float = 5.0,
        weighting: str = "ipcw",
        blocks: Sequence[str] = BLOCKS,
        selection: str = "mrmr",
        n_selected: int = 30,
        max_features_screened: int = 30,
        l1_ratios: Sequence[float] = (0.0, 0.5, 0.95),
        n_lambda: int = 30,
        calibrate: bool = True,
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
        self.l1_ratios = l1_ratios
        self.n_lambda = n_lambda
        self.calibrate = calibrate
        self.n_folds = n_folds
        self.min_class = min_class
        self.max_missing_share = max_missing_share
        self.impute = impute
        self.n_jobs = n_jobs
        self.random_state = random_state

    def _check(self) -> None:
        super()._check()
        ratios = list(self.l1_ratios)
        if not ratios or not all(0 <= ratio <= 1 for ratio in ratios) or self.n_lambda < 2:
            raise InputError("HorizonLogistic: l1_ratios must lie from 0 to 1, and n_lambda be at least 2")
        if self.weighting == "pseudo" and 1 in ratios:
            raise InputError("HorizonLogistic: a pure lasso of pseudo-observations has no minimum; take l1_ratio 0.95")

    def _tune(self, parts: list[Part]) -> np.ndarray:
        top = max(largest_lambda(*part.train) for part in parts)
        settings = [
            (float(ratio), lam)
            for ratio in self.l1_ratios
            for lam in top / max(ratio, _LEAST_RATIO) * np.geomspace(1.0, 1e-3, self.n_lambda)
        ]

        def held_out(part: Part) -> np.ndarray:
            margins = []
            for ratio in self.l1_ratios:
                lambdas = np.array([lam for own, lam in settings if own == ratio])
                intercepts, betas = logistic_path(*part.train, lambdas, ratio, 1e-6)
                margins.append(part.test.x @ betas.T + intercepts)
            return np.hstack(margins)

        margins = pooled(parts, run_threads(held_out, parts, self.n_jobs))
        cases = pooled(parts, [np.column_stack([part.test.target, part.test.weight]) for part in parts])
        losses = [log_loss(margin, *cases.T) for margin in margins.T]
        best = int(np.argmin(losses))
        self.l1_ratio_, self.lambda_ = settings[best][0], float(settings[best][1])
        return margins[:, best]

    def _learn(self, cases: Cases) -> None:
        top = largest_lambda(*cases) / max(self.l1_ratio_, _LEAST_RATIO)
        lambdas = np.append(np.geomspace(top, self.lambda_, 10)[:-1] if top > self.lambda_ else [], self.lambda_)
        intercepts, betas = logistic_path(*cases, lambdas, self.l1_ratio_)
        self.intercept_, self.coef_ = float(intercepts[-1]), betas[-1]
        self.importances_ = self.coef_
        if not self.coef_.any():
            self.notes_.append("the inner folds chose a penalty that leaves no column: everyone has the same risk")

    def _score(self, values: np.ndarray) -> np.ndarray:
        return values @ self.coef_ + self.intercept_

    def _additive(self, values: np.ndarray) -> Additive:
        return linear_terms(values, self.coef_, self.intercept_)
