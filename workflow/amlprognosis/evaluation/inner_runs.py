"""The grid run again in inner folds of a training part: concordance and scores of patients it did not see there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from amlprognosis.errors import InputError
from amlprognosis.evaluation.crossvalidate import Make, derive_seed
from amlprognosis.models.concordance import harrell_concordance
from amlprognosis.models.cox_lasso import stratified_folds
from amlprognosis.models.workbench import Workbench
from amlprognosis.normalize.batch import Batches

PAIRS = ("concordant", "comparable")


@dataclass(frozen=True)
class InnerRun:
    """What the inner folds of a training part say of each member.

    Attributes
    ----------
    pairs : DataFrame
        model, inner_fold, concordant (pairs; ties in risk count one half), comparable (pairs). A member that could not
        be fitted has half of the pairs: it says nothing.
    scores : dict of model to ndarray (n,)
        ``curve_score`` of each patient by the fit that held it out; NaN where that could not be made.
    outcome : structured ndarray (n,)
        Of the patients, in the order of ``scores``: by identifier.
    """

    pairs: pd.DataFrame
    scores: dict[str, np.ndarray]
    outcome: np.ndarray

    def calibrate(self, estimators: Mapping[str, Any]) -> None:
        """Set the survival curves of members fitted to the whole training part (None = refused)."""
        for model, estimator in estimators.items():
            if estimator is not None:
                estimator.calibrate(self.scores[model], self.outcome)


def run_inner_folds(
    features: pd.DataFrame,
    y: np.ndarray,
    models: Sequence[str],
    make: Make,
    seeds: tuple[int, int, int],
    inner_folds: int,
    apply: Callable[..., Iterable[Any]] = map,
    done: Callable[[], None] = lambda: None,
    batches: Batches | None = None,
) -> InnerRun:
    """Fit members of the grid without each inner fold in turn, screen and selectors included.

    Parameters
    ----------
    features : DataFrame (n, p), index = patient
        Of the training part, batches not corrected.
    y : structured ndarray (n,)
    models : sequence of str
    make : callable (name, seed) -> Combination
    seeds : tuple of int
        Seed of the study, repeat, fold (0, 0 for all patients).
    inner_folds : int
        At least 2, stratified by death.
    apply : callable
        ``map``, or that of a pool of threads.
    done : callable
        Told of every fit.
    batches : Batches, optional
        Corrected in the training part of each inner fold anew.

    Returns
    -------
    InnerRun
    """
    seed, repeat, fold = seeds
    order = np.argsort(features.index.astype(str).to_numpy(), kind="stable")
    features, y = features.iloc[order], y[order]
    rng = np.random.default_rng(derive_seed(seed, "inner folds", repeat, fold))
    label = stratified_folds(y["event"], inner_folds, rng)
    scores = {model: np.full(len(y), np.nan) for model in models}
    rows = []
    for number in range(inner_folds):
        held = label == number
        train, y_train, test, y_test = features[~held], y[~held], features[held], y[held]
        if batches is not None:
            train, test = batches.corrected(train, test)
        pairs = harrell_concordance(y_test["time"], y_test["event"], np.zeros(held.sum())).tied_risk
        bench, _ = bench_or_reason(make, models[0], train, y_train, derive_seed(seed, f"grid|{number}", repeat, fold))

        def run(
            model: str,
            number: int = number,
            bench: Workbench | None = bench,
            train: pd.DataFrame = train,
            y_train: np.ndarray = y_train,
            test: pd.DataFrame = test,
        ) -> tuple[np.ndarray, np.ndarray] | None:
            found = None
            try:
                if bench is not None:
                    seed_of_fit = derive_seed(seed, f"{model}|{number}", repeat, fold)
                    estimator = make(model, seed_of_fit).fit(train, y_train, bench)
                    risk = estimator.predict(test)
                    found = risk, estimator.curve_score(test, risk)
            except InputError:
                found = None
            done()
            return found

        for model, found in zip(models, apply(run, models), strict=True):
            known = 0.5 * pairs
            if found is not None:
                counts = harrell_concordance(y_test["time"], y_test["event"], found[0])
                known = counts.concordant + 0.5 * counts.tied_risk
                scores[model][held] = found[1]
            rows.append((model, number + 1, float(known), int(pairs)))
    return InnerRun(pd.DataFrame(rows, columns=["model", "inner_fold", *PAIRS]), scores, y)


def bench_or_reason(
    make: Make, model: str, features: pd.DataFrame, y: np.ndarray, seed: int
) -> tuple[Workbench | None, str]:
    """Prepare a training part for the grid, or say why it cannot be learned from."""
    try:
        bench: Workbench = make(model, seed).workbench(features, y, seed)
    except InputError as error:
        return None, str(error)
    return bench, ""
