"""Model names of a study and the estimators behind them."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from amlprognosis.errors import InputError

# name: module, class, settings of the name (a study may override those that are parameters)
_MODELS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "gene_index": ("gene_index", "GeneIndex", {}),
    "random_survival_forest": ("forest", "RandomSurvivalForest", {}),
    "xgboost_cox": ("boosting", "XGBoostCox", {}),
    "random_forest_5y": ("horizon", "HorizonForest", {"horizon_years": 5.0}),
    "xgboost_5y": ("horizon", "HorizonXGBoost", {"horizon_years": 5.0}),
    "age": ("cox", "CoxModel", {"columns": ("clinical:age",)}),
    "age_sex": ("cox", "CoxModel", {"columns": ("clinical:age", "clinical:sex_male")}),
    "eln": ("cox", "CoxModel", {"columns": ("clinical:risk_*",)}),
    "clinical": ("cox", "CoxModel", {"columns": ("clinical:*",)}),
    "clinical_mutations": (
        "cox",
        "CoxModel",
        {"columns": ("clinical:*", "mutation:*"), "ridge": 0.1, "min_minority": 3},
    ),
    "lsc17": ("cox", "SignatureScore", {}),
}

MODEL_NAMES: tuple[str, ...] = tuple(_MODELS)


def signature_path(name: str) -> Path:
    """Path of a published signature in the project's resources folder."""
    return Path(__file__).resolve().parents[3] / "resources" / "signatures" / f"{name}.tsv"


def _entry(name: str) -> tuple[Callable[..., Any], dict[str, Any]]:
    if name not in _MODELS:
        near = difflib.get_close_matches(str(name), MODEL_NAMES, n=2)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise InputError(f"models: {name!r} is not known{hint} Known are {', '.join(MODEL_NAMES)}")
    module, cls, settings = _MODELS[name]
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
        One of ``MODEL_NAMES``.
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
    if name == "lsc17" and not {"weights", "path"} & set(parameters):
        settings["path"] = str(signature_path("lsc17"))
    return cls(**{**settings, **parameters, "random_state": int(seed)})
