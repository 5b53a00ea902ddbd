"""Estimators of the grid's families: learners and selectors on plain matrices."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from amlprognosis.study.names import Term

_LEARNERS = {
    "RSF": ("survival_forest", "SurvivalForest"),
    "Enet": ("penalized", "ElasticNet"),
    "Lasso": ("penalized", "Lasso"),
    "Ridge": ("penalized", "Ridge"),
    "StepCox": ("stepwise", "StepCox"),
    "CoxBoost": ("coxboost", "CoxBoost"),
    "PLS-Cox": ("pls_cox", "PLSCox"),
    "SuperPC": ("superpc", "SuperPC"),
    "GBM": ("gradient_boosting", "GradientBoosting"),
    "survival-SVM": ("svm", "SurvivalSVM"),
}


def learner_class(family: str) -> type[Any]:
    """Class of a family's learner."""
    module, name = _LEARNERS[family]
    cls: type[Any] = getattr(import_module(f"amlprognosis.models.learners.{module}"), name)
    return cls


def make_learner(term: Term, overrides: Mapping[str, Mapping[str, Any]], seed: int, n_jobs: int = 1) -> Any:
    """Make the learner of a term.

    Parameters
    ----------
    term : Term
        Family and settings of its name.
    overrides : mapping of family to mapping
        Settings of a study; those of the name go first.
    seed : int
        Becomes ``random_state``.
    n_jobs : int
        Threads; they do not change the result.
    """
    settings = {**overrides.get(term.family, {}), **dict(term.settings)}
    return learner_class(term.family)(**settings, random_state=seed, n_jobs=n_jobs)


def make_selector(term: Term, overrides: Mapping[str, Mapping[str, Any]], seed: int, n_jobs: int = 1) -> Any:
    """Make the selector of a term; arguments as for :func:`make_learner`."""
    from amlprognosis.models.selectors import LearnerSelector, StabilitySelector

    if term.family == "Stability":
        settings = {**overrides.get("Stability", {}), **dict(term.settings)}
        return StabilitySelector(**settings, random_state=seed, n_jobs=n_jobs)
    return LearnerSelector(make_learner(term, overrides, seed, n_jobs))
