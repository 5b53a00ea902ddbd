"""Frozen models: a readable model.json, beside it .ubj or .skops where trees need it; never pickle."""

from __future__ import annotations

import hashlib
import inspect
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from amlprognosis.errors import InputError
from amlprognosis.models.base import RiskModel
from amlprognosis.models.boosting import XGBoostAFT, XGBoostCox
from amlprognosis.models.combination import Combination
from amlprognosis.models.cox import CoxModel, SignatureScore
from amlprognosis.models.forest import RandomSurvivalForest
from amlprognosis.models.gene_index import GeneIndex
from amlprognosis.models.horizon import (
    HorizonForest,
    HorizonKNN,
    HorizonLogistic,
    HorizonMLP,
    HorizonSVM,
    HorizonXGBoost,
)
from amlprognosis.models.preprocess import Preprocessor

FORMAT_VERSION = 1
CLASSES: dict[str, type[RiskModel]] = {
    cls.__name__: cls
    for cls in (
        Combination,
        GeneIndex,
        CoxModel,
        SignatureScore,
        RandomSurvivalForest,
        XGBoostCox,
        XGBoostAFT,
        HorizonForest,
        HorizonXGBoost,
        HorizonLogistic,
        HorizonSVM,
        HorizonMLP,
        HorizonKNN,
    )
}
# Parameters that do not change what was learned stay out, so that runs on 1 and 2 cores give the same bytes.
MACHINE_PARAMETERS = ("n_jobs",)


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, os.PathLike):
        return Path(value).name
    return value


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def save_model(model: RiskModel, directory: str | Path, metadata: Mapping[str, Any] | None = None) -> Path:
    """Freeze a fitted model.

    Parameters
    ----------
    model : RiskModel
        Fitted.
    directory : str or Path
        Made if need be. Same fit and metadata give the same bytes.
    metadata : mapping, optional
        Anything JSON can say: study, cohort, seed, versions, adaptation.

    Returns
    -------
    Path
        The model.json, written last and at once.

    Raises
    ------
    InputError
        If the model is of an unknown class or not fitted, or the metadata holds what JSON cannot say.
    """
    kind = type(model).__name__
    if CLASSES.get(kind) is not type(model):
        raise InputError(f"{kind} cannot be frozen; known are {', '.join(sorted(CLASSES))}")
    if not hasattr(model, "cutpoint_"):
        raise InputError(f"{kind} is not fitted; call fit(X, y) before freezing it")
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    files = {name: _digest(directory / name) for name in model._write_side(directory)}
    parameters = {k: v for k, v in model.get_params(deep=False).items() if k not in MACHINE_PARAMETERS}
    if parameters.get("path") is not None:
        # The weights are frozen below; where their table lay on this machine is nobody's business.
        parameters["path"] = Path(parameters["path"]).name
    content: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        "class": kind,
        "parameters": _plain(parameters),
        "preprocessing": model.preprocessor_.to_dict(),
        "cutpoint": model.cutpoint_,
        "n_patients": model.n_patients_,
        "n_events": model.n_events_,
        "notes": list(model.notes_),
        "learned": {name: _plain(getattr(model, name)) for name in model._frozen},
        "files": files,
        "metadata": _plain(dict(metadata or {})),
    }
    if hasattr(model, "baseline_times_"):
        content["baseline"] = {"times_days": model.baseline_times_.tolist()}
        if hasattr(model, "baseline_hazard_"):
            content["baseline"]["cumulative_hazard"] = model.baseline_hazard_.tolist()
    try:
        text = json.dumps(content, sort_keys=True, indent=1, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"{directory}: the model cannot be written as JSON ({error}); check the metadata") from error
    path = directory / "model.json"
    temporary = directory / ".model.json.tmp"
    temporary.write_text(text + "\n", encoding="utf-8")
    os.replace(temporary, path)
    return path


def load_model(directory: str | Path) -> RiskModel:
    """Load a frozen model; it predicts exactly as the one that was saved.

    Parameters
    ----------
    directory : str or Path
        Folder written by :func:`save_model`.

    Returns
    -------
    RiskModel
        With ``metadata_`` as given when it was saved.

    Raises
    ------
    InputError
        If model.json is missing or damaged, of an unknown format version or class, or a side file's checksum differs.
    """
    directory = Path(directory)
    path = directory / "model.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); give the folder of a frozen model") from error
    except ValueError as error:
        raise InputError(f"{path}: damaged ({error}); restore the model's folder") from error
    version = content.get("format_version") if isinstance(content, dict) else None
    if version != FORMAT_VERSION:
        raise InputError(f"{path}: format version {version!r} is not known (this release reads {FORMAT_VERSION})")
    cls = CLASSES.get(content.get("class", ""))
    if cls is None:
        raise InputError(f"{path}: class {content.get('class')!r} is not known; known are {', '.join(sorted(CLASSES))}")
    try:
        model = _rebuild(cls, content)
        files = dict(content["files"])
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: damaged ({type(error).__name__}: {error}); restore the model's folder") from error
    for name, expected in sorted(files.items()):
        side = directory / name
        if Path(name).name != name or not side.is_file():
            raise InputError(f"{side}: named in {path} but missing; restore the model's folder")
        if _digest(side) != expected:
            raise InputError(f"{side}: checksum differs from the one in {path}; restore the model's folder")
    model._read_side(directory)
    return model


def _rebuild(cls: type[RiskModel], content: Mapping[str, Any]) -> RiskModel:
    known = set(inspect.signature(cls).parameters)
    model = cls(**{key: value for key, value in content["parameters"].items() if key in known})
    model.preprocessor_ = Preprocessor.from_dict(content["preprocessing"])
    model.features_in_ = list(model.preprocessor_.features_)
    model.dropped_ = []
    model.cutpoint_ = float(content["cutpoint"])
    model.n_patients_, model.n_events_ = int(content["n_patients"]), int(content["n_events"])
    model.notes_ = list(content["notes"])
    model.metadata_ = content["metadata"]
    for name in model._frozen:
        value = content["learned"][name]
        numeric = isinstance(value, list) and not any(isinstance(item, str) for item in value)
        setattr(model, name, np.array(value, dtype=np.float64) if numeric else value)
    baseline = content.get("baseline")
    if baseline:
        model.baseline_times_ = np.array(baseline["times_days"], dtype=np.float64)
        if "cumulative_hazard" in baseline:
            model.baseline_hazard_ = np.array(baseline["cumulative_hazard"], dtype=np.float64)
    return model
