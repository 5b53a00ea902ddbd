"""What all classifiers at a horizon share: targets, selection of columns, inner folds, calibration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import expit

from amlprognosis.errors import InputError
from amlprognosis.models.base import fit_columns
from amlprognosis.models.contributions import Additive
from amlprognosis.models.cox_kernels import univariate_cox
from amlprognosis.models.cox_lasso import stratified_folds
from amlprognosis.models.horizon.calibration import fit_platt, logit_of
from amlprognosis.models.horizon.weights import Targets, horizon_targets
from amlprognosis.models.learners.base import run_threads
from amlprognosis.models.mrmr import mrmr
from amlprognosis.models.preprocess import Preprocessor
from amlprognosis.models.screened import BLOCKS, ScreenedModel
from amlprognosis.study import horizon_days

_GREAT_WEIGHT = 10


class Cases(NamedTuple):
    """Patients to learn from: prepared columns ``x`` (n, p), ``target`` (n,), ``weight`` (n,)."""

    x: np.ndarray
    target: np.ndarray
    weight: np.ndarray


@dataclass(frozen=True)
class Part:
    """An inner fold, on the columns chosen without its held-out patients.

    Attributes
    ----------
    held : ndarray of bool (n,)
        Held-out patients among those that have a target.
    train, test : Cases
    """

    held: np.ndarray
    train: Cases
    test: Cases


class HorizonModel(ScreenedModel):
    """Base of the classifiers of death by a horizon.

    A subclass learns in ``_learn(cases)`` and says a score in ``_score(values)``: log odds where ``_has_margin``, else
    a probability (values beyond 0 and 1 are cut off); ``_additive(values)`` takes it apart. ``_tune(parts)`` sets what
    inner cross-validation chooses and gives the held-out score of each patient, from which Platt scaling is learned.
    Columns are chosen anew in each inner fold: held-out scores on columns that were chosen with the held-out patients
    are far too good. Weights and pseudo-observations are those of the whole training part, whose curve of censoring
    they need.
    """

    has_survival = False
    _standardized = False
    _is_tuned = True
    _weightings: tuple[str, ...] = ("ipcw", "pseudo")
    _frozen: tuple[str, ...] = ("counts_", "importances_", "n_candidates_", "calibration_")

    horizon_years: float
    weighting: str
    selection: str
    n_selected: int
    calibrate: bool
    n_folds: int
    min_class: int
    random_state: int

    @property
    def horizon_days_(self) -> float:
        """Horizon in days."""
        return horizon_days(self.horizon_years)

    @property
    def _has_margin(self) -> bool:
        return True

    def _learn(self, cases: Cases) -> None:
        raise TypeError(f"{type(self).__name__} does not say how it learns")

    def _tune(self, parts: list[Part]) -> np.ndarray:
        raise TypeError(f"{type(self).__name__} does not say how it is tuned")

    def _score(self, values: np.ndarray) -> np.ndarray:
        raise TypeError(f"{type(self).__name__} does not say its score")

    def _check(self) -> None:
        name = type(self).__name__
        if not np.isfinite(self.horizon_years) or self.horizon_years <= 0:
            raise InputError(f"{name}: horizon_years must be a number above 0, got {self.horizon_years}")
        if self.weighting not in self._weightings:
            possible = " or ".join(self._weightings)
            raise InputError(f"{name}: weighting {self.weighting!r} is not known; use {possible}")
        if self.selection not in ("screen", "mrmr"):
            raise InputError(f"{name}: selection {self.selection!r} is not known; use screen or mrmr")
        least = {"n_selected": 1, "max_features_screened": 1, "n_folds": 2, "min_class": 2}
        for key, bound in least.items():
            if getattr(self, key) < bound:
                raise InputError(f"{name}: {key} must be at least {bound}, got {getattr(self, key)}")
        if not self.blocks:
            raise InputError(f"{name}: blocks is empty; name some of {', '.join(BLOCKS)}")

    def _fit(self, x: pd.DataFrame, time: np.ndarray, event: np.ndarray) -> None:
        self._check()
        targets, self.counts_ = horizon_targets(time, event, self.horizon_days_, self.weighting)
        self._check_targets(targets)
        prepared = Preprocessor([f"{b}:*" for b in self.blocks], self.impute, self.max_missing_share, False)
        values = fit_columns(prepared, x, type(self).__name__)
        names = np.array(prepared.features_)

        def choose(use: np.ndarray, jobs: int) -> np.ndarray:
            """Columns that the patients marked in ``use`` (n,) choose, ascending."""
            if self.selection == "mrmr":
                own = use[targets.rows]
                rows = targets.rows[own]
                return np.sort(mrmr(values[rows], targets.target[own], targets.weight[own], self.n_selected))
            screen = univariate_cox(values[use], time[use], event[use], "efron", jobs)
            return np.sort(np.lexsort((names, screen.p_screen))[: self.max_features_screened])

        self.calibration_ = np.array([1.0, 0.0])
        if self.calibrate or self._is_tuned:
            held_out = self._tune(self._parts(values, targets, choose))
            if self.calibrate:
                self.calibration_ = self._platt(held_out, targets)
        chosen = choose(np.ones(time.size, dtype=bool), self.n_jobs)
        self.n_candidates_ = int(names.size)
        self.preprocessor_ = prepared.subset(names[chosen].tolist())
        part = np.ascontiguousarray(values[:, chosen])
        self.screen_z_ = np.nan_to_num(univariate_cox(part, time, event).z)
        if self._standardized:
            self.preprocessor_.standardize = True
            self.preprocessor_.center_, self.preprocessor_.scale_ = part.mean(axis=0), part.std(axis=0)
            part = (part - self.preprocessor_.center_) / self.preprocessor_.scale_
        self.importances_ = self.screen_z_
        self._learn(Cases(part[targets.rows], targets.target, targets.weight))

    def _check_targets(self, targets: Targets) -> None:
        for name in ("deaths", "controls"):
            if self.counts_[name] < self.min_class:
                raise InputError(
                    f"{type(self).__name__}: {self.counts_[name]} {name} with known status at {self.horizon_years:g} "
                    f"years, at least {self.min_class} are needed; take an earlier horizon"
                )
        if targets.weight.max() > _GREAT_WEIGHT:
            self.notes_.append(
                f"censoring before {self.horizon_years:g} years gives single patients a weight of up to "
                f"{targets.weight.max():.0f}; an earlier horizon is more stable"
            )

    def _parts(
        self, values: np.ndarray, targets: Targets, choose: Callable[[np.ndarray, int], np.ndarray]
    ) -> list[Part]:
        """Inner folds; patients without a target are in the screen of each."""
        folds = stratified_folds(targets.died, self.n_folds, np.random.default_rng(self.random_state))

        def part(number: int) -> Part:
            held = folds == number
            use = np.ones(len(values), dtype=bool)
            use[targets.rows[held]] = False
            own = np.ascontiguousarray(values[:, choose(use, 1)])
            if self._standardized:
                scale = own[use].std(axis=0)
                own = (own - own[use].mean(axis=0)) / np.where(scale > 0, scale, 1.0)
            train, test = (
                Cases(own[targets.rows[rows]], targets.target[rows], targets.weight[rows]) for rows in (~held, held)
            )
            return Part(held, train, test)

        return run_threads(part, range(folds.max() + 1), self.n_jobs)

    def _platt(self, held_out: np.ndarray, targets: Targets) -> np.ndarray:
        """Slope and intercept from held-out scores."""
        slope, intercept = fit_platt(
            self._log_odds(held_out), targets.target, targets.weight, self.counts_["deaths"], self.counts_["controls"]
        )
        if slope == 0:
            self.notes_.append(
                f"held-out scores carry no signal: everyone has the same risk of death by {self.horizon_years:g} years"
            )
        return np.array([slope, intercept])

    def _log_odds(self, score: np.ndarray) -> np.ndarray:
        return score if self._has_margin else logit_of(score)

    def _risk(self, values: np.ndarray) -> np.ndarray:
        score = self._score(values)
        if self.calibrate:
            return expit(self.calibration_[0] * self._log_odds(score) + self.calibration_[1])
        return expit(score) if self._has_margin else np.clip(score, 0.0, 1.0)

    def _contributions(self, values: np.ndarray) -> Additive:
        own = self._additive(values)
        if self._has_margin:
            slope, intercept = self.calibration_ if self.calibrate else (1.0, 0.0)
            return Additive(float(slope * own.baseline + intercept), slope * own.terms, own.method, "log_odds")
        return own._replace(scale="uncalibrated_probability" if self.calibrate else "probability")

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


class ArraysMixin:
    """Freezing of matrices in a .skops file."""

    _arrays: tuple[str, ...]
    _side_file: str

    def _write_side(self, directory: Path) -> list[str]:
        from amlprognosis.models.sidefiles import write_arrays

        write_arrays({name: getattr(self, name) for name in self._arrays}, directory / self._side_file)
        return [self._side_file]

    def _read_side(self, directory: Path) -> None:
        from amlprognosis.models.sidefiles import read_arrays

        path = directory / self._side_file
        arrays = read_arrays(path)
        if set(arrays) != set(self._arrays):
            raise InputError(f"{path}: holds {sorted(arrays)}, not {sorted(self._arrays)}; restore the file")
        for name, array in arrays.items():
            setattr(self, name, array)


def pooled(parts: list[Part], held_out: list[np.ndarray]) -> np.ndarray:
    """Put the held-out results of each part, (n_held,) or (n_held, k), where their patients stand."""
    out = np.empty((parts[0].held.size, *held_out[0].shape[1:]))
    for part, values in zip(parts, held_out, strict=True):
        out[part.held] = values
    return out
