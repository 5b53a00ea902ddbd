"""Inner cross-validation of linear learners: folds that leave enough to learn from, curves from held-out patients."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

from amlprognosis.errors import InputError
from amlprognosis.models.cox_kernels import baseline_hazard
from amlprognosis.models.cox_lasso import stratified_folds
from amlprognosis.models.learners.base import LinearLearner

FEWEST_PATIENTS = 3


@cache
def _libraries() -> ThreadpoolController:
    """The loaded libraries with threads: looking for them takes longer than a fit."""
    return ThreadpoolController()


def one_blas_thread() -> AbstractContextManager[Any]:
    """Keep BLAS to one thread.

    For many small matrices its threads only cost time, by far so on a busy machine, and the last digits depend on them.
    """
    limiter: AbstractContextManager[Any] = _libraries().limit(limits=1, user_api="blas")
    return limiter


def inner_folds(event: np.ndarray, n_folds: int, random_state: int) -> np.ndarray:
    """Fold 0 .. k - 1 of each patient (n,), deaths dealt evenly; fewer folds than asked for when deaths are fewer.

    Raises
    ------
    InputError
        If fewer than 2 patients died, or a fold leaves fewer than 3 patients to learn from.
    """
    folds = stratified_folds(event, n_folds, np.random.default_rng(random_state))
    left = len(folds) - int(np.bincount(folds).max())
    if left < FEWEST_PATIENTS:
        raise InputError(
            f"inner cross-validation would learn from {left} of {len(folds)} patients: give more patients, or fix what "
            "it is to choose"
        )
    return folds


def curves_from_held_out(learner: LinearLearner, held_out: np.ndarray, time: np.ndarray, event: np.ndarray) -> None:
    """Set the survival curves of a linear learner from held-out linear predictors (n,).

    Its own linear predictor is too spread on the patients it was learned from. It is never stretched.
    """
    learner._calibrate(held_out, time, event)
    if learner.lp_slope_ > 1.0:
        learner.lp_slope_ = 1.0
        learner.baseline_times_, learner.baseline_hazard_ = baseline_hazard(held_out, time, event)
