"""Cross-validation of whole procedures: every fit sees the training part of a fold and nothing else."""

from __future__ import annotations

import logging
import time as clock
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from amlprognosis.errors import InputError
from amlprognosis.normalize.batch import Batches
from amlprognosis.study import DAYS_PER_YEAR, horizon_suffix

logger = logging.getLogger(__name__)
CURVE_POINTS = 24
Make = Callable[[str, int], Any]


@dataclass(frozen=True)
class CrossvalidationResult:
    """Out-of-fold predictions of one repeat.

    Attributes
    ----------
    predictions : DataFrame
        model, repeat, fold, patient, risk, survival_<h>y, survival_<d>d (the curve), risk_group.
    selected : DataFrame
        model, repeat, fold, feature, weight.
    seconds : dict of str to float
        Fit seconds per model.
    notes : DataFrame
        model, repeat, fold, reason: what could not be fitted.
    """

    predictions: pd.DataFrame
    selected: pd.DataFrame
    seconds: dict[str, float]
    notes: pd.DataFrame


def derive_seed(seed: int, model: str, repeat: int, fold: int) -> int:
    """Seed of one fit; it does not depend on which other models or repeats run in the same job."""
    words = [seed, zlib.crc32(model.encode()), repeat, fold]
    return int(np.random.SeedSequence(words).generate_state(1)[0] >> 1)


def structured_outcome(outcome: pd.DataFrame) -> np.ndarray:
    """Columns os_event, os_time as scikit-survival's structured array (event bool, time float, days)."""
    y = np.empty(len(outcome), dtype=[("event", bool), ("time", float)])
    y["event"] = outcome["os_event"].to_numpy(dtype=bool)
    y["time"] = outcome["os_time"].to_numpy(dtype=float)
    return y


def prediction_times(horizons_years: Sequence[float], curve_points: int = CURVE_POINTS) -> tuple[list[str], np.ndarray]:
    """Columns and times (days) of the predicted survival: the horizons, then an even grid to the last one.

    The grid serves the integrated Brier score and curve plots; its points are whole days.
    """
    horizons = sorted(float(h) for h in horizons_years)
    columns = [f"survival_{horizon_suffix(h)}" for h in horizons]
    days = [h * DAYS_PER_YEAR for h in horizons]
    for k in range(1, curve_points):
        day = round(days[len(horizons) - 1] * k / curve_points)
        if day > 0 and all(abs(day - other) >= 1 for other in days):
            columns.append(f"survival_{day}d")
            days.append(float(day))
    return columns, np.array(days)


def predict_frame(
    estimator: Any,
    features: pd.DataFrame,
    horizons_years: Sequence[float],
    curve_points: int = CURVE_POINTS,
    cutpoint: float | None = None,
) -> pd.DataFrame:
    """Predictions of a fitted estimator as a table; also for validation cohorts.

    Parameters
    ----------
    estimator : fitted estimator
        ``predict``; optionally ``predict_survival`` and ``predict_group`` or ``cutpoint_``.
    features : DataFrame, shape (n, p), index = patient
    horizons_years : sequence of float
    curve_points : int
        Steps of the survival curve to the last horizon.
    cutpoint : float, optional
        Used where the estimator has no cut-point of its own.

    Returns
    -------
    DataFrame
        patient, risk, survival columns (NaN where the model cannot say), risk_group "high"/"low".
    """
    risk = np.asarray(estimator.predict(features), dtype=float)
    if risk.shape != (len(features),) or not np.isfinite(risk).all():
        raise InputError(f"predict must return {len(features)} finite risks, got shape {risk.shape}")
    columns, days = prediction_times(horizons_years, curve_points)
    survival = np.full((len(features), len(days)), np.nan)
    if hasattr(estimator, "predict_survival"):
        order = np.argsort(days, kind="stable")
        survival[:, order] = np.asarray(estimator.predict_survival(features, days[order]), dtype=float)
    if hasattr(estimator, "predict_group"):
        group = np.asarray(estimator.predict_group(features)).astype(str)
    else:
        limit = getattr(estimator, "cutpoint_", cutpoint)
        if limit is None:
            raise InputError("the estimator has no cut-point and none was given")
        group = np.where(risk > limit, "high", "low")
    table = pd.DataFrame({"patient": features.index.astype(str), "risk": risk})
    table[columns] = survival
    table["risk_group"] = group
    return table


def crossvalidate(
    features: pd.DataFrame,
    outcome: pd.DataFrame,
    folds: pd.DataFrame,
    models: Sequence[str],
    make: Make,
    repeat: int,
    horizons_years: Sequence[float],
    seed: int,
    curve_points: int = CURVE_POINTS,
    batches: Batches | None = None,
) -> CrossvalidationResult:
    """Fit every model on the training part of each fold of one repeat and predict the held-out patients.

    Parameters
    ----------
    features : DataFrame, shape (n, p), index = patient
        Without outcome columns.
    outcome : DataFrame, index = patient
        os_time (days), os_event.
    folds : DataFrame
        repeat, fold, patient (held out).
    models : sequence of str
    make : callable (name, seed) -> estimator
    repeat : int
        Which repeat of ``folds``.
    horizons_years : sequence of float
    seed : int
    batches : Batches, optional
        Corrected in every training part anew, see :func:`fold_parts`.

    Returns
    -------
    CrossvalidationResult
        A model that raises InputError in a fold has no predictions there and a row in ``notes``.

    Raises
    ------
    InputError
        Outcome among the features, patients that do not match, an unknown repeat.
    """
    predictions, selected, notes = [], [], []
    seconds = dict.fromkeys(models, 0.0)
    for part in fold_parts(features, outcome, folds, repeat, batches):
        for model in models:
            where = {"model": model, "repeat": repeat, "fold": part.fold}
            started = clock.perf_counter()
            try:
                estimator = make(model, derive_seed(seed, model, repeat, part.fold)).fit(
                    part.train.copy(), part.y.copy()
                )
                seconds[model] += clock.perf_counter() - started
                cutpoint = None
                if not hasattr(estimator, "predict_group") and not hasattr(estimator, "cutpoint_"):
                    cutpoint = float(np.median(estimator.predict(part.train.copy())))
                table = predict_frame(estimator, part.test.copy(), horizons_years, curve_points, cutpoint)
                chosen = (
                    estimator.selected_features()
                    if hasattr(estimator, "selected_features")
                    else pd.DataFrame({"feature": [], "weight": []})
                )
            except InputError as error:
                logger.warning("%s, repeat %d, fold %d: %s", model, repeat, part.fold, error)
                notes.append(where | {"reason": str(error)})
                continue
            predictions.append(table.assign(**where))
            selected.append(chosen.assign(**where))
        logger.info("repeat %d: fold %d done", repeat, part.fold)
    return gather(predictions, selected, seconds, notes, horizons_years, curve_points)


@dataclass(frozen=True)
class FoldPart:
    """One fold: everything a fit may see, and the features of those held out.

    Attributes
    ----------
    fold : int
    train : DataFrame
        Features of the training part.
    y : structured ndarray
        Their outcome.
    test : DataFrame
        Features of the patients held out; their outcome is not here.
    raw : DataFrame
        ``train`` before any correction of batches: inner folds learn their own.
    """

    fold: int
    train: pd.DataFrame
    y: np.ndarray
    test: pd.DataFrame
    raw: pd.DataFrame


def fold_parts(
    features: pd.DataFrame, outcome: pd.DataFrame, folds: pd.DataFrame, repeat: int, batches: Batches | None = None
) -> Iterator[FoldPart]:
    """Split patients by the folds of one repeat; every fit of a fold gets its matrix here.

    Parameters
    ----------
    features, outcome, folds, repeat
        As for :func:`crossvalidate`.
    batches : Batches, optional
        Their correction is learned on the training part of each fold and applied to those held out.

    Raises
    ------
    InputError
        As :func:`crossvalidate`.
    """
    features, outcome = _aligned(features, outcome)
    part = folds[folds["repeat"] == repeat]
    if part.empty:
        raise InputError(f"folds have no repeat {repeat}; they have {sorted(folds['repeat'].unique())}")
    held_of_fold = {int(fold): set(rows["patient"].astype(str)) for fold, rows in part.groupby("fold", sort=True)}
    known = set(features.index)
    for fold, held in held_of_fold.items():
        if held - known:
            raise InputError(f"fold {fold} holds out {sorted(held - known)[0]}, who is not among the features")
    for fold, held in held_of_fold.items():
        is_held = features.index.isin(held)
        train, test = features[~is_held].copy(), features[is_held]
        if held & set(train.index) or len(train) + len(test) != len(features):
            raise AssertionError(f"held-out patients among the training part of fold {fold}")
        raw = train
        if batches is not None:
            train, test = batches.corrected(train, test)
        yield FoldPart(fold, train, structured_outcome(outcome[~is_held]), test, raw)


def gather(
    predictions: list[pd.DataFrame],
    selected: list[pd.DataFrame],
    seconds: dict[str, float],
    notes: list[dict[str, object]],
    horizons_years: Sequence[float],
    curve_points: int = CURVE_POINTS,
) -> CrossvalidationResult:
    """Stack what the folds of a repeat gave, sorted."""
    columns = prediction_times(horizons_years, curve_points)[0]
    head = ["model", "repeat", "fold"]
    return CrossvalidationResult(
        _stack(predictions, [*head, "patient", "risk", *columns, "risk_group"], [*head, "patient"]),
        _stack(selected, [*head, "feature", "weight"], [*head, "feature"]),
        seconds,
        _stack([pd.DataFrame([row]) for row in notes], [*head, "reason"], head),
    )


def _stack(tables: list[pd.DataFrame], columns: list[str], keys: list[str]) -> pd.DataFrame:
    tables = [t for t in tables if len(t)]
    if not tables:
        kinds = {"repeat": int, "fold": int, "risk": float, "weight": float}
        return pd.DataFrame(
            {c: pd.Series(dtype=kinds.get(c, float if c.startswith("survival_") else object)) for c in columns}
        )
    stacked = pd.concat(tables, ignore_index=True)[columns]
    return stacked.sort_values(keys, kind="stable").reset_index(drop=True)


def _aligned(features: pd.DataFrame, outcome: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    leaked = [c for c in ("os_time", "os_event") if c in features.columns]
    if leaked:
        raise InputError(f"the outcome column {leaked[0]} is among the features; drop it before training")
    features, outcome = features.copy(), outcome[["os_time", "os_event"]].copy()
    features.index, outcome.index = features.index.astype(str), outcome.index.astype(str)
    twice = features.index[features.index.duplicated()]
    if len(twice):
        raise InputError(f"patient {twice[0]} occurs more than once among the features")
    missing = sorted(set(features.index) - set(outcome.index))
    if missing:
        raise InputError(f"patient {missing[0]} has features but no outcome ({len(missing)} such patients)")
    features = features.sort_index()
    return features, outcome.loc[features.index]
