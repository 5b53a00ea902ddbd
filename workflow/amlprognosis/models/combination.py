"""Learners and combinations of the grid on a study's feature frame: screen, selector, learner as one model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from amlprognosis.errors import InputError
from amlprognosis.models.base import RiskModel
from amlprognosis.models.contributions import Additive, linear_terms
from amlprognosis.models.families import make_learner
from amlprognosis.models.screened import ForestMixin
from amlprognosis.models.workbench import Workbench
from amlprognosis.study.names import parse_grid_name


class Combination(ForestMixin, RiskModel):
    """A learner of the grid, alone or behind a selector, on genes that pass a univariate screen.

    Everything is learned in the training part: imputation, scaling, screen, selector, tuning, cut-point.

    Parameters
    ----------
    name : str
        ``learner`` or ``selector + learner`` (:mod:`amlprognosis.study.names`).
    genes : sequence of str, optional
        Candidate symbols; None = all expression columns.
    screen_p, min_genes, max_genes, max_missing_share, impute
        See :class:`~amlprognosis.models.workbench.Workbench`.
    parameters : mapping of family to mapping, optional
        Settings of families; those of the name go first.
    n_jobs : int
        Threads; they do not change the result.
    random_state : int
        Seed of selector and learner.

    Attributes
    ----------
    kind_ : {"linear", "forest", "boosting"}
        How the risk is computed.
    coef_ : ndarray
        Of a linear learner, per training standard deviation, for ``features_in_``.
    forest_ : FlatForest
        Of a tree learner.
    importances_ : ndarray
        Weights of ``features_in_``.
    n_candidates_, n_screened_, n_selected_ : int
        Genes usable, past the screen, past the selector.
    """

    _frozen = (
        "kind_",
        "coef_",
        "offset_",
        "lp_slope_",
        "importances_",
        "n_candidates_",
        "n_screened_",
        "n_selected_",
    )

    def __init__(
        self,
        name: str = "Lasso",
        genes: Sequence[str] | None = None,
        screen_p: float = 0.05,
        min_genes: int = 10,
        max_genes: int = 200,
        parameters: Mapping[str, Mapping[str, Any]] | None = None,
        max_missing_share: float = 0.2,
        impute: str = "median",
        n_jobs: int = 1,
        random_state: int = 0,
    ):
        self.name = name
        self.genes = genes
        self.screen_p = screen_p
        self.min_genes = min_genes
        self.max_genes = max_genes
        self.parameters = parameters
        self.max_missing_share = max_missing_share
        self.impute = impute
        self.n_jobs = n_jobs
        self.random_state = random_state

    def workbench(self, X: pd.DataFrame, y: np.ndarray, seed: int, n_jobs: int = 1) -> Workbench:
        """Prepare a training part; combinations with the same settings can share it."""
        return Workbench(
            X, y, self.genes, self.screen_p, self.min_genes, self.max_genes, self.parameters, self.max_missing_share,
            self.impute, seed, n_jobs,
        )  # fmt: skip

    def fit(self, X: pd.DataFrame, y: np.ndarray, bench: Workbench | None = None) -> Combination:
        """Learn from a training part.

        Parameters
        ----------
        X : DataFrame (n_patients, n_features)
            The whole feature frame.
        y : structured ndarray (n_patients,)
            Outcome.
        bench : Workbench, optional
            Of the same patients, to share the screen and the selectors with other combinations.

        Raises
        ------
        InputError
            If the outcome or the columns cannot be learned from, or the selector keeps fewer than two genes.
        """
        if bench is None:
            bench = self.workbench(X, y, self.random_state, self.n_jobs)
        elif not bench.belongs_to(X, y):
            raise AssertionError("the workbench was made from other patients")
        name = parse_grid_name(self.name)
        self.notes_ = list(bench.notes)
        kept = np.arange(len(bench.names))
        if name.selector is not None:
            selection = bench.select(name.selector)
            if selection.refused:
                raise InputError(selection.refused)
            kept = selection.kept
            self.notes_ += selection.notes
        z = np.ascontiguousarray(bench.z[:, kept])
        learner = make_learner(name.learner, self.parameters or {}, self.random_state, self.n_jobs).fit(
            z, bench.outcome
        )
        self.notes_ += learner.notes_
        self.n_candidates_, self.n_screened_, self.n_selected_ = bench.n_candidates, len(bench.names), int(kept.size)
        used = self._adopt(learner)
        if not used.size:
            raise InputError(
                f"{self.name}: the learner uses no gene: there is no signal, or its settings allow no split"
            )
        self.preprocessor_ = bench.preprocessor.subset([bench.names[j] for j in kept[used]])
        self.features_in_ = list(self.preprocessor_.features_)
        self.dropped_ = list(self.preprocessor_.dropped_)
        self.n_patients_, self.n_events_ = len(bench.outcome), int(bench.outcome["event"].sum())
        if self.kind_ != "linear":
            self.forest_ = self.forest_.with_cover(z[:, used])
        self.cutpoint_ = float(np.median(self._risk(z[:, used])))
        return self

    def _adopt(self, learner: Any) -> np.ndarray:
        """Take over what a fitted learner predicts with; gives the positions of the columns it uses."""
        self.coef_, self.offset_ = np.array([]), 0.0
        self.lp_slope_ = float(learner.lp_slope_)
        self.baseline_times_ = learner.baseline_times_
        if hasattr(learner, "baseline_hazard_"):
            self.baseline_hazard_ = learner.baseline_hazard_
        if hasattr(learner, "coef_"):
            self.kind_ = "linear"
            used = np.flatnonzero(learner.coef_)
            self.coef_, self.offset_ = learner.coef_[used], learner.offset_
            self.importances_ = self.coef_
            return used
        forest = learner.forest_
        self.kind_ = "forest" if forest.times.size else "boosting"
        used = np.unique(forest.feature[forest.feature >= 0])
        position = np.full(learner.n_features_in_, -1)
        position[used] = np.arange(used.size)
        feature = np.where(forest.feature >= 0, position[forest.feature], -1).astype(forest.feature.dtype)
        self.forest_ = replace(forest, feature=feature)
        self.importances_ = learner.feature_importances_[used]
        return used

    def _risk(self, values: np.ndarray) -> np.ndarray:
        if self.kind_ == "linear":
            return values @ self.coef_ - self.offset_
        return self.forest_.mean_values(values)[:, 0].copy()

    def _additive(self, values: np.ndarray) -> Additive:
        if self.kind_ == "linear":
            return linear_terms(values, self.coef_, -self.offset_)
        return super()._additive(values)

    def predict_survival(self, X: pd.DataFrame, times_days: Any) -> np.ndarray:
        """Survival probability of each patient (n, len(times_days)); of a forest the mean over its trees."""
        if self.kind_ != "forest":
            return super().predict_survival(X, times_days)
        return self.forest_.survival(self._design(X), times_days)

    def _weights(self) -> tuple[list[str], np.ndarray]:
        order = np.lexsort((np.array(self.features_in_), -np.abs(self.importances_)))
        return [self.features_in_[j] for j in order], self.importances_[order]

    def _write_side(self, directory: Path) -> list[str]:
        return [] if self.kind_ == "linear" else super()._write_side(directory)

    def _read_side(self, directory: Path) -> None:
        if self.kind_ != "linear":
            super()._read_side(directory)
