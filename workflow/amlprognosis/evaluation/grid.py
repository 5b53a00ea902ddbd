"""Cross-validation of the grid: what its members share is computed once per training part.

With inner folds the whole grid is run again inside each training part, so that choosing its best member is itself a
procedure that never saw the held-out patients (Varma 2006, doi:10.1186/1471-2105-7-91), and so that the survival curves
of a member rest on patients who had no part in its screen and selection.
"""

from __future__ import annotations

import logging
import time as clock
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

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
from amlprognosis.evaluation.inner_runs import PAIRS, bench_or_reason, run_inner_folds
from amlprognosis.evaluation.progress import Progress
from amlprognosis.normalize.batch import Batches

logger = logging.getLogger(__name__)
INNER_COLUMNS = ["model", "repeat", "fold", "inner_fold", *PAIRS]
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
    batches: Batches | None = None,
) -> GridResult:
    """Fit members of the grid on the training part of each fold of one repeat and predict the held-out patients.

    Parameters
    ----------
    features, outcome, folds, models, make, repeat, horizons_years, seed
        As for :func:`~amlprognosis.evaluation.crossvalidate.crossvalidate`; all models are
        :class:`~amlprognosis.models.combination.Combination` with the same screen.
    inner_folds : int
        Folds inside each training part; with 0 survival curves are those of the learners, far too extreme.
    n_jobs : int
        Threads over members; they do not change the result.
    label : str
        Of the progress line.
    batches : Batches, optional
        Corrected in every training part anew, those of the inner folds included.

    Returns
    -------
    GridResult

    Raises
    ------
    InputError
        As :func:`~amlprognosis.evaluation.crossvalidate.crossvalidate`.
    """
    order = sorted(models, key=_weight)
    parts = list(fold_parts(features, outcome, folds, repeat, batches))
    progress = Progress(label, len(parts) * len(models) * (1 + inner_folds))
    predictions, selected, notes, inner = [], [], [], []
    seconds = dict.fromkeys(models, 0.0)
    with threadpool_limits(limits=1), ThreadPoolExecutor(max(1, n_jobs)) as pool:
        for part in parts:
            fits = _fit_all(part, order, make, seed, repeat, pool, progress)
            if inner_folds:
                held_out = run_inner_folds(
                    part.raw, part.y, order, make, (seed, repeat, part.fold), inner_folds, pool.map, progress.done,
                    batches,
                )  # fmt: skip
                inner.append(held_out.pairs.assign(repeat=repeat, fold=part.fold))
                held_out.calibrate({fit.model: fit.estimator for fit in fits})
            tables = pool.map(partial(_predict, test=part.test, horizons_years=horizons_years), fits)
            for fit, table in zip(fits, tables, strict=True):
                where: dict[str, object] = {"model": fit.model, "repeat": repeat, "fold": part.fold}
                seconds[fit.model] += fit.seconds
                if table is None:
                    logger.warning("%s, repeat %d, fold %d: %s", fit.model, repeat, part.fold, fit.refused)
                    notes.append(where | {"reason": fit.refused})
                else:
                    predictions.append(table.assign(**where))
                    selected.append(fit.estimator.selected_features().assign(**where))
    table = pd.concat(inner, ignore_index=True)[INNER_COLUMNS] if inner else pd.DataFrame(columns=INNER_COLUMNS)
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
    estimator: Any = None


def _fit_all(
    part: FoldPart,
    models: Sequence[str],
    make: Make,
    seed: int,
    repeat: int,
    pool: ThreadPoolExecutor,
    progress: Progress,
) -> list[_Fit]:
    bench, refused = bench_or_reason(make, models[0], part.train, part.y, derive_seed(seed, "grid", repeat, part.fold))

    def fit(model: str) -> _Fit:
        found = _Fit(model, refused=refused)
        started = clock.perf_counter()
        try:
            if bench is not None:
                estimator = make(model, derive_seed(seed, model, repeat, part.fold)).fit(part.train, part.y, bench)
                found.seconds = clock.perf_counter() - started
                found.estimator = estimator
        except InputError as error:
            found.refused = str(error)
        progress.done()
        return found

    return list(pool.map(fit, models))


def _predict(fit: _Fit, test: pd.DataFrame, horizons_years: Sequence[float]) -> pd.DataFrame | None:
    """Predictions, or None with the reason in ``fit``."""
    try:
        return None if fit.estimator is None else predict_frame(fit.estimator, test, horizons_years)
    except InputError as error:
        fit.refused = str(error)
        return None
