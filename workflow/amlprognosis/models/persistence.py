"""Frozen models: a readable model.json, beside it .ubj or .skops where trees need it; never pickle."""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import shutil
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from amlprognosis import __version__
from amlprognosis.errors import InputError
from amlprognosis.models.base import RiskModel
from amlprognosis.models.preprocess import Preprocessor

FORMAT_VERSION = 2
# Modules below amlprognosis.models of the classes that can be frozen; one is imported when a model of it is met.
CLASSES: dict[str, str] = {
    "Combination": "combination",
    "GeneIndex": "gene_index",
    "ClinicalGeneIndex": "clinical_index",
    "CoxModel": "cox",
    "SignatureScore": "cox",
    "RandomSurvivalForest": "forest",
    "XGBoostCox": "boosting",
    "XGBoostAFT": "boosting",
    "HorizonForest": "horizon.trees",
    "HorizonXGBoost": "horizon.trees",
    "HorizonLogistic": "horizon.logistic",
    "HorizonSVM": "horizon.svm",
    "HorizonMLP": "horizon.mlp",
    "HorizonKNN": "horizon.knn",
}
# Parameters that do not change what was learned stay out, so that runs on 1 and 2 cores give the same bytes.
MACHINE_PARAMETERS = ("n_jobs",)
# Snakemake watches model.json alone.
_MEND = "restore the model's folder, or delete its model.json and run the study again"


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


def _checksum(content: Mapping[str, Any]) -> str:
    """SHA-256 of a model.json without its own checksum; it holds those of the side files, and so stands for all."""
    rest = {key: value for key, value in content.items() if key != "checksum"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def software_of(model: RiskModel) -> dict[str, str]:
    """Versions of the packages that a model was fitted with."""
    versions = {"amlprognosis": __version__}
    packages = ["numpy", "sklearn", *(["xgboost"] if "XGBoost" in type(model).__name__ else [])]
    for name in packages:
        versions["scikit-learn" if name == "sklearn" else name] = str(import_module(name).__version__)
    return versions


def _linked(source: Path, target: Path) -> None:
    """Put a file into a folder without a second copy on the disk, where the disk can do that."""
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def save_model(
    model: RiskModel,
    directory: str | Path,
    metadata: Mapping[str, Any] | None = None,
    platform: str | Path | None = None,
) -> Path:
    """Freeze a fitted model.

    Parameters
    ----------
    model : RiskModel
        Fitted.
    directory : str or Path
        Made if need be. Same fit and metadata give the same bytes.
    metadata : mapping, optional
        Anything JSON can say: study, cohort, seed, versions, adaptation.
    platform : str or Path, optional
        Reference of the training platform (:mod:`amlprognosis.normalize.platform`), for models with expression: it is
        put beside the model, as a hard link where possible, because all models of a study share it.

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
    if _class(kind) is not type(model):
        raise InputError(f"{kind} cannot be frozen; known are {', '.join(sorted(CLASSES))}")
    if not hasattr(model, "cutpoint_"):
        raise InputError(f"{kind} is not fitted; call fit(X, y) before freezing it")
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    files = {name: _digest(directory / name) for name in model._write_side(directory)}
    if platform is not None:
        name = Path(platform).name
        _linked(Path(platform), directory / name)
        files[name] = _digest(directory / name)
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
        content = json.loads(json.dumps(content, allow_nan=False))
        content["checksum"] = _checksum(content)
        text = json.dumps(content, sort_keys=True, indent=1)
    except (TypeError, ValueError) as error:
        raise InputError(f"{directory}: the model cannot be written as JSON ({error}); check the metadata") from error
    path = directory / "model.json"
    temporary = directory / ".model.json.tmp"
    temporary.write_text(text + "\n", encoding="utf-8")
    os.replace(temporary, path)
    return path


def _class(kind: str) -> type[RiskModel] | None:
    if kind not in CLASSES:
        return None
    found: type[RiskModel] = getattr(import_module(f"amlprognosis.models.{CLASSES[kind]}"), kind)
    return found


def load_model(directory: str | Path) -> RiskModel:
    """Load a frozen model; it predicts exactly as the one that was saved.

    Parameters
    ----------
    directory : str or Path
        Folder written by :func:`save_model`.

    Returns
    -------
    RiskModel
        With ``metadata_`` as given when it was saved, ``files_`` (checksums of the files beside model.json) and
        ``checksum_`` (of everything).

    Raises
    ------
    InputError
        If model.json is missing, damaged or changed, says why the model was refused, is of another format version or an
        unknown class, or a file beside it is missing or changed.
    """
    directory = Path(directory)
    path = directory / "model.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); give the folder of a frozen model") from error
    except ValueError as error:
        raise InputError(f"{path}: damaged ({error}); restore the model's folder") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: damaged (no object); restore the model's folder")
    if "refused" in content:
        raise InputError(f"{path}: this model was not fitted: {content['refused']}")
    version = content.get("format_version")
    if version != FORMAT_VERSION:
        older = isinstance(version, int) and version < FORMAT_VERSION
        remedy = "run the study again" if older else "use the release of amlprognosis that wrote it"
        raise InputError(f"{path}: format version {version!r}, this release reads {FORMAT_VERSION}; {remedy}")
    cls = _class(content.get("class", ""))
    if cls is None:
        raise InputError(f"{path}: class {content.get('class')!r} is not known; known are {', '.join(sorted(CLASSES))}")
    if content.get("checksum") != _checksum(content):
        raise InputError(f"{path}: checksum differs: the file was changed since it was written; restore it")
    try:
        model = _rebuild(cls, content)
        files = dict(content["files"])
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: damaged ({type(error).__name__}: {error}); restore the model's folder") from error
    for name, expected in sorted(files.items()):
        side = directory / name
        if Path(name).name != name or not side.is_file():
            raise InputError(f"{side}: named in {path} but missing; {_MEND}")
        if _digest(side) != expected:
            raise InputError(f"{side}: checksum differs from the one in {path}; {_MEND}")
    model._read_side(directory)
    model.files_, model.checksum_ = files, str(content["checksum"])
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
