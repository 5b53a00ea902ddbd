"""Cross-validation of the grid: what its members share is computed once per training part.

With inner folds the whole grid is run again inside each training part, so that choosing its best member is itself a
procedure that never saw the held-out patients (Varma 2006, doi:10.1186/1471-2105-7-91).
"""

from __future__ import annotations

import logging
import time as clock
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from amlprognosis.errors import InputError
from amlprognosis.evaluation.crossvalidate import (
    CrossvalidationResult,
    FoldPart,
    Make,
    derive_seed,
    fold_parts,
    gather,
    predict_frame,
)
from amlprognosis.evaluation.progress import Progress
from amlprognosis.models.concordance import harrell_concordance
from amlprognosis.models.cox_lasso import stratified_folds
from amlprognosis.models.workbench import Workbench

logger = logging.getLogger(__name__)
INNER_COLUMNS = ["model", "repeat", "fold", "inner_fold", "concordant", "comparable"]
# Families whose fits take longest are started first, so that threads end together.
_HEAVY = ("RSF", "GBM", "survival-SVM", "CoxBoost", "StepCox", "PLS-Cox")


@dataclass(frozen=True)
class GridResult:
    """One repeat of a group of the grid.

    Attributes
    ----------
    outer : CrossvalidationResult
    inner : DataFrame
        model, repeat, fold, inner_fold, concordant (pairs; ties in risk count one half), comparable (pairs). A member
        that could not be fitted has half of the pairs: it says nothing.
    """

    outer: CrossvalidationResult
    inner: pd.DataFrame


def crossvalidate_grid(
    features: pd.DataFrame,
    outcome: pd.DataFrame,
    folds: pd.DataFrame,
    models: Sequence[str],
    make: Make,
    repeat: int,
    horizons_years: Sequence[float],
    seed: int,
    inner_folds: int = 0,
    n_jobs: int = 1,
    label: str = "grid",
) -> GridResult:
    """Fit members of the grid on the training part of each fold of one repeat and predict the held-out patients.

    Parameters
    ----------
    features, outcome, folds, models, make, repeat, horizons_years, seed
        As for :func:`~amlprognosis.evaluation.crossvalidate.crossvalidate`; all models are
        :class:`~amlprognosis.models.combination.Combination` with the same screen.
    inner_folds : int
        Folds inside each training part; 0 = none.
    n_jobs : int
        Threads over members; they do not change the result.
    label : str
        Of the progress line.

    Returns
    -------
    GridResult

    Raises
    ------
    InputError
        As :func:`~amlprognosis.evaluation.crossvalidate.crossvalidate`.
    """
    order = sorted(models, key=_weight)
    parts = list(fold_parts(features, outcome, folds, repeat))
    progress = Progress(label, len(parts) * len(models) * (1 + inner_folds))
    predictions, selected, notes, inner = [], [], [], []
    seconds = dict.fromkeys(models, 0.0)
    with threadpool_limits(limits=1), ThreadPoolExecutor(max(1, n_jobs)) as pool:
        for part in parts:
            for fit in _fit_all(part, order, make, seed, repeat, pool, progress, horizons_years):
                where = {"model": fit.model, "repeat": repeat, "fold": part.fold}
                seconds[fit.model] += fit.seconds
                if fit.refused:
                    logger.warning("%s, repeat %d, fold %d: %s", fit.model, repeat, part.fold, fit.refused)
                    notes.append(where | {"reason": fit.refused})
                else:
                    predictions.append(fit.table.assign(**where))
                    selected.append(fit.selected.assign(**where))
            if inner_folds:
                inner += _inner(part, order, make, seed, repeat, inner_folds, pool, progress)
    table = pd.DataFrame(inner, columns=INNER_COLUMNS)
    table = table.sort_values(INNER_COLUMNS[:4], kind="stable", ignore_index=True)
    return GridResult(gather(predictions, selected, seconds, notes, horizons_years), table)


def _weight(model: str) -> tuple[int, str]:
    learner = model.split(" + ")[-1].split("[")[0]
    return (_HEAVY.index(learner) if learner in _HEAVY else len(_HEAVY), model)


@dataclass
class _Fit:
    model: str
    seconds: float = 0.0
    refused: str = ""
    table: Any = None
    selected: Any = None


def _make_bench(make: Make, model: str, train: pd.DataFrame, y: np.ndarray, seed: int) -> Workbench:
    bench: Workbench = make(model, seed).workbench(train, y, seed)
    return bench


def _fit_all(
    part: FoldPart,
    models: Sequence[str],
    make: Make,
    seed: int,
    repeat: int,
    pool: ThreadPoolExecutor,
    progress: Progress,
    horizons_years: Sequence[float],
) -> list[_Fit]:
    bench, refused = _bench_or_reason(make, models[0], part.train, part.y, derive_seed(seed, "grid", repeat, part.fold))

    def fit(model: str) -> _Fit:
        found = _Fit(model, refused=refused)
        started = clock.perf_counter()
        try:
            if bench is not None:
                estimator = make(model, derive_seed(seed, model, repeat, part.fold)).fit(part.train, part.y, bench)
                found.seconds = clock.perf_counter() - started
                found.table = predict_frame(estimator, part.test, horizons_years)
                found.selected = estimator.selected_features()
        except InputError as error:
            found.refused = str(error)
        progress.done()
        return found

    return list(pool.map(fit, models))


def _bench_or_reason(
    make: Make, model: str, train: pd.DataFrame, y: np.ndarray, seed: int
) -> tuple[Workbench | None, str]:
    try:
        return _make_bench(make, model, train, y, seed), ""
    except InputError as error:
        return None, str(error)


def _inner(
    part: FoldPart,
    models: Sequence[str],
    make: Make,
    seed: int,
    repeat: int,
    inner_folds: int,
    pool: ThreadPoolExecutor,
    progress: Progress,
) -> list[tuple[str, int, int, int, float, int]]:
    """Concordance of each member in the inner folds of a training part."""
    order = np.argsort(part.train.index.astype(str).to_numpy(), kind="stable")
    train, y = part.train.iloc[order], part.y[order]
    rng = np.random.default_rng(derive_seed(seed, "inner folds", repeat, part.fold))
    label = stratified_folds(y["event"], inner_folds, rng)
    rows = []
    for number in range(inner_folds):
        held = label == number
        pairs = harrell_concordance(y["time"][held], y["event"][held], np.zeros(held.sum()))
        comparable = pairs.tied_risk
        seed_of_fold = derive_seed(seed, f"grid|{number}", repeat, part.fold)
        bench, _ = _bench_or_reason(make, models[0], train[~held], y[~held], seed_of_fold)

        def concordant(model: str, held: np.ndarray = held, bench: Any = bench, number: int = number) -> float:
            count = np.nan
            try:
                if bench is not None:
                    seed_of_fit = derive_seed(seed, f"{model}|{number}", repeat, part.fold)
                    estimator = make(model, seed_of_fit).fit(train[~held], y[~held], bench)
                    found = harrell_concordance(y["time"][held], y["event"][held], estimator.predict(train[held]))
                    count = found.concordant + 0.5 * found.tied_risk
            except InputError:
                count = np.nan
            progress.done()
            return count

        for model, count in zip(models, pool.map(concordant, models), strict=True):
            known = 0.5 * comparable if np.isnan(count) else count
            rows.append((model, repeat, part.fold, number + 1, float(known), int(comparable)))
    return rows
