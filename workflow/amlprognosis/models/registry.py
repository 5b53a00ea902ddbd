"""Estimators behind the model names of a study."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from amlprognosis.errors import InputError
from amlprognosis.signatures.tables import signature_path
from amlprognosis.study.names import SIGNATURES, canonical_name, horizon_model, is_grid

# name: module, class, settings of the name (a study may override those that are parameters)
_FIXED: dict[str, tuple[str, str, dict[str, Any]]] = {
    "gene_index": ("gene_index", "GeneIndex", {}),
    "clinical_gene_index": ("clinical_index", "ClinicalGeneIndex", {}),
    "random_survival_forest": ("forest", "RandomSurvivalForest", {}),
    "xgboost_cox": ("boosting", "XGBoostCox", {}),
    "xgboost_aft": ("boosting", "XGBoostAFT", {}),
    "age": ("cox", "CoxModel", {"columns": ("clinical:age",)}),
    "age_sex": ("cox", "CoxModel", {"columns": ("clinical:age", "clinical:sex_male")}),
    "eln": ("cox", "CoxModel", {"columns": ("clinical:risk_*",)}),
    "age_eln": ("cox", "CoxModel", {"columns": ("clinical:age", "clinical:risk_*")}),
    "clinical": ("cox", "CoxModel", {"columns": ("clinical:*",)}),
    "clinical_mutations": (
        "cox",
        "CoxModel",
        {"columns": ("clinical:*", "mutation:*"), "ridge": 0.1, "min_minority": 3},
    ),
}
_HORIZON = {
    "random_forest": "HorizonForest",
    "xgboost": "HorizonXGBoost",
    "logistic": "HorizonLogistic",
    "svm": "HorizonSVM",
    "mlp": "HorizonMLP",
    "knn": "HorizonKNN",
}
# Every kind of model once, for tests and listings.
MODEL_NAMES: tuple[str, ...] = (*_FIXED, "lsc17", *(f"{kind}_5y" for kind in _HORIZON))


def _entry(name: str) -> tuple[Callable[..., Any], dict[str, Any]]:
    try:
        name = canonical_name(name)
    except ValueError as error:
        raise InputError(f"models: {error}") from None
    horizon = horizon_model(name)
    settings: dict[str, Any]
    if is_grid(name):
        module, cls, settings = "combination", "Combination", {"name": name}
    elif horizon:
        module, cls, settings = "horizon", _HORIZON[horizon[0]], {"horizon_years": horizon[1]}
    elif name in SIGNATURES:
        module, cls, settings = "cox", "SignatureScore", {}
    else:
        module, cls, settings = _FIXED[name]
    return getattr(import_module(f"amlprognosis.models.{module}"), cls), dict(settings)


def parameter_names(name: str) -> tuple[str, ...]:
    """Parameters that a study may set for a model, sorted (the seed is the study's own)."""
    cls, _ = _entry(name)
    return tuple(sorted(set(inspect.signature(cls).parameters) - {"random_state"}))


def make_model(name: str, parameters: Mapping[str, Any] | None = None, seed: int = 0) -> Any:
    """Make the estimator of a model name.

    Parameters
    ----------
    name : str
        A fixed name, a classifier at a horizon, or a learner or combination of the grid
        (:mod:`amlprognosis.study.names`).
    parameters : mapping, optional
        Overrides of the estimator's parameters.
    seed : int
        Becomes ``random_state``.

    Returns
    -------
    RiskModel
        Not fitted.

    Raises
    ------
    InputError
        If the name or a parameter is unknown; the message names the valid ones.
    """
    cls, settings = _entry(name)
    parameters = dict(parameters or {})
    valid = parameter_names(name)
    unknown = sorted(set(parameters) - set(valid))
    if unknown:
        raise InputError(f"models.{name}: unknown parameter {', '.join(unknown)}; valid are {', '.join(valid)}")
    if name in SIGNATURES and not {"weights", "path"} & set(parameters):
        settings["path"] = str(signature_path(name))
    return cls(**{**settings, **parameters, "random_state": int(seed)})
