"""Learners and combinations of the grid on a study's feature frame: screen, selector, learner as one model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from amlprognosis.errors import InputError
from amlprognosis.models.base import RiskModel, _step_values, check_outcome
from amlprognosis.models.contributions import Additive, linear_terms
from amlprognosis.models.cox_kernels import baseline_hazard, fit_cox
from amlprognosis.models.families import make_learner
from amlprognosis.models.learners.base import NO_SIGNAL
from amlprognosis.models.screened import ForestMixin
from amlprognosis.models.workbench import Workbench
from amlprognosis.study.names import parse_grid_name

UNCALIBRATED = "survival curves are not calibrated: the patients that set them had a part in screen and selection"
CURVE_QUANTILES = (0.25, 0.5, 0.75)
FEWEST_DEATHS = 5
# A slope from few deaths is uncertain, and new patients vary less than it says: it is shrunk as if so many more deaths
# had told of no signal (van Houwelingen 1990, doi:10.1002/sim.4780091109, for why).
PRIOR_DEATHS = 10.0
_CLIP = 1e-4


def _hazards(survival: np.ndarray) -> np.ndarray:
    """Cumulative hazards, of survival kept within [0.0001, 0.9999]: forests may predict exactly 0 or 1."""
    return -np.log(np.clip(survival, _CLIP, 1.0 - _CLIP))


def _slope(score: np.ndarray, time: np.ndarray, event: np.ndarray) -> float:
    """Log hazard ratio per unit of score, at least 0; 0 without signal or deaths enough."""
    if event.sum() < FEWEST_DEATHS or np.ptp(score) < 1e-9:
        return 0.0
    return max(float(fit_cox(score[:, None], time, event, ridge=PRIOR_DEATHS).beta[0]), 0.0)


class Combination(ForestMixin, RiskModel):
    """A learner of the grid, alone or behind a selector, on genes that pass a univariate screen.

    Everything is learned in the training part: imputation, scaling, screen, selector, tuning, cut-point. Survival
    curves need :meth:`calibrate` on top: the learner's own inner folds lie behind screen and selector, which saw the
    patients held out there, so that its curves are far too extreme.

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
    lp_slope_ : float
        Log hazard ratio per unit of risk; of a calibrated forest the power that its cumulative hazards, by those of
        all patients, are raised to (1 = its own curves, 0 = the same curve for everyone).
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
        risk = self._risk(z[:, used])
        self.cutpoint_ = float(np.median(risk))
        self.risk_center_, self.risk_scale_ = float(risk.mean()), float(risk.std()) or 1.0
        self.curve_days_ = np.quantile(bench.outcome["time"][bench.outcome["event"]], CURVE_QUANTILES)
        self.notes_.append(UNCALIBRATED)
        return self

    def curve_score(self, X: pd.DataFrame, risk: np.ndarray) -> np.ndarray:
        """What :meth:`calibrate` compares over fits of different patients.

        Parameters
        ----------
        X : DataFrame (n, n_features)
        risk : ndarray (n,)
            What :meth:`predict` says of them.

        Returns
        -------
        ndarray (n,)
            The risk in standard deviations from the mean of the training part; of a forest the mean log cumulative
            hazard at the quartiles of the training part's times of death.
        """
        if self.kind_ != "forest":
            return (risk - self.risk_center_) / self.risk_scale_
        return np.log(_hazards(self.forest_.survival(self._design(X), self.curve_days_))).mean(axis=1)

    def calibrate(self, score: np.ndarray, y: np.ndarray) -> None:
        """Set the survival curves from patients who had no part in the screen, selection and fit that score them.

        Risk, risk groups and ranks stay as they are. A slope below 0 becomes 0, with a note.

        Parameters
        ----------
        score : ndarray (n,)
            :meth:`curve_score` by fits of the same combination to other patients of the training part (inner folds);
            NaN where there is none.
        y : structured ndarray (n,)
            Outcome of these patients.
        """
        time, event = check_outcome(y, len(score))
        known = np.isfinite(score)
        slope = _slope(score[known], time[known], event[known])
        self.notes_ = [note for note in self.notes_ if note not in (UNCALIBRATED, NO_SIGNAL)]
        if slope == 0:
            self.notes_.append(NO_SIGNAL)
        if self.kind_ == "forest" or not known.any():
            known, score = np.ones(len(score), dtype=bool), np.zeros(len(score))
        times, hazard = baseline_hazard(slope * score[known], time[known], event[known])
        self.baseline_times_, self.baseline_hazard_, self.lp_slope_ = times, hazard, slope
        if self.kind_ != "forest":
            self.lp_slope_ = slope / self.risk_scale_
            self.baseline_hazard_ = hazard * np.exp(-self.lp_slope_ * self.risk_center_)

    def _adopt(self, learner: Any) -> np.ndarray:
        """Take over what a fitted learner predicts with; gives the positions of the columns it uses."""
        self.coef_, self.offset_ = np.array([]), 0.0
        self.lp_slope_ = float(learner.lp_slope_)
        self.baseline_times_ = learner.baseline_times_
        self.__dict__.pop("baseline_hazard_", None)
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
        """Survival probability of each patient (n, len(times_days)).

        Of a forest the mean over its trees; once calibrated, its cumulative hazards relative to those of all training
        patients are raised to the power ``lp_slope_``.
        """
        if self.kind_ != "forest":
            return super().predict_survival(X, times_days)
        if not hasattr(self, "baseline_hazard_"):
            return self.forest_.survival(self._design(X), times_days)
        days = self.forest_.times
        common = _step_values(self.baseline_times_, self.baseline_hazard_, days)
        own = _hazards(self.forest_.survival(self._design(X), days))
        # A power above 1 can bend a curve upwards where the forest's own hazard hardly grows.
        hazard = np.maximum.accumulate(common * np.exp(self.lp_slope_ * np.log(own / common)), axis=1)
        position = np.searchsorted(days, np.asarray(times_days, dtype=np.float64), side="right")
        return np.exp(-np.column_stack([np.zeros(len(own)), hazard]))[:, position]

    def _weights(self) -> tuple[list[str], np.ndarray]:
        order = np.lexsort((np.array(self.features_in_), -np.abs(self.importances_)))
        return [self.features_in_[j] for j in order], self.importances_[order]

    def _write_side(self, directory: Path) -> list[str]:
        return [] if self.kind_ == "linear" else super()._write_side(directory)

    def _read_side(self, directory: Path) -> None:
        if self.kind_ != "linear":
            super()._read_side(directory)
