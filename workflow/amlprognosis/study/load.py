"""Reads and validates a study; errors name file, key and remedy."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from amlprognosis.errors import InputError
from amlprognosis.signatures.tables import published_signatures, signature_path
from amlprognosis.study.cohorts import Atlas
from amlprognosis.study.model import Study
from amlprognosis.study.names import signature_fault
from amlprognosis.study.sources import SERVICES, SOURCES, RemoteSource
from amlprognosis.study.yaml_file import read_yaml

# Ends of the keys whose values are folders, not files.
_FOLDERS = (".base_url", *(f"retrieval.mirrors.{service}" for service in SERVICES))


def load_study(source: str | Path | Mapping[str, Any], *, name: str = "the configuration") -> Study:
    """Validate a study; cohorts that name an entry of the catalogue take what it says.

    Parameters
    ----------
    source : path or mapping
        A YAML file, or its content (as Snakemake's ``config``).
    name : str
        How errors call the file when a mapping is given.

    Raises
    ------
    InputError
        One line per fault: file, key, what is wrong, and the remedy.
    """
    if isinstance(source, Mapping):
        content: Any = dict(source)
    else:
        name = str(source)
        content = read_yaml(source)
    if not isinstance(content, Mapping):
        raise InputError(f"{name}: a study is a mapping of keys; see config/README.md")
    # Not at the top: the catalogue's entries are made of this room's sections.
    from amlprognosis.catalogue.merge import with_catalogue

    try:
        return Study.model_validate(with_catalogue(content, name=name))
    except ValidationError as error:
        lines = [f"{name}: {line}" for line in _explain(error)]
        raise InputError("\n".join(lines)) from None


def load_merged(paths: Sequence[str | Path]) -> tuple[Study, str]:
    """Validate a study of several files, each merged over those before it, as ``--configfile a b`` does.

    Returns
    -------
    study : Study
    name : str
        How errors call the files.
    """
    name = ", ".join(str(path) for path in paths)
    if len(paths) == 1:
        return load_study(paths[0]), name
    content: dict[str, Any] = {}
    for path in paths:
        part = read_yaml(path)
        if not isinstance(part, Mapping):
            raise InputError(f"{path}: a study is a mapping of keys; see config/README.md")
        content = _merged(content, part)
    return load_study(content, name=name), name


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        merge = isinstance(below, Mapping) and isinstance(value, Mapping)
        result[key] = _merged(below or {}, value) if merge else value
    return result


def check_files(study: Study, *, name: str = "the study", produced: frozenset[str] = frozenset()) -> None:
    """Check that every file which the study names exists, before any job runs.

    Parameters
    ----------
    study : Study
        The study.
    name : str
        How errors call the study's file.
    produced : frozenset of str
        Paths that a rule of the workflow writes (the simulator's), which need not exist yet.

    Raises
    ------
    InputError
        Every missing file with its key.
    """
    faults = []
    for key, path, remedy in _named_files(study):
        folder = key.endswith(_FOLDERS)
        if path in produced or (os.path.isdir(path) if folder else os.path.isfile(path)):
            continue
        what = "no such file or folder"
        if os.path.exists(path):
            what = "a file, where a folder is meant" if folder else "a folder, where a file is meant"
        faults.append(f"{name}: {key}: {what}: {path}; {remedy}")
    if faults:
        raise InputError("\n".join(dict.fromkeys(faults)))
    _check_signatures(study)


def _check_signatures(study: Study) -> None:
    from amlprognosis.signatures.scores import read_signature

    tables = {signature: signature_path(signature) for signature in published_signatures()}
    for signature, path in tables.items():
        fault = signature_fault(signature)
        if fault:
            raise InputError(f"{path}: {fault}")
    for model in study.models.run:
        if model in study.models.signatures:
            read_signature(study.models.signatures[model])
        elif model in tables:
            read_signature(tables[model])


def _named_files(study: Study) -> Iterator[tuple[str, str, str]]:
    remedy = f"paths are relative to data_root ({study.data_root})"
    yield (
        "gene_sets.file",
        study.gene_sets.file,
        "give the path of a GMT file, relative to the working folder",
    )
    for signature, path in study.models.signatures.items():
        yield f"models.signatures.{signature}", path, "give the path of a table, relative to the working folder"
    asked: dict[str, RemoteSource | Atlas] = {}
    for cohort, settings in study.cohorts.items():
        for key, path in study.source_paths(cohort).items():
            yield f"cohorts.{cohort}.source.{key}", path, remedy
        if isinstance(settings.source, RemoteSource):
            asked[f"cohorts.{cohort}.source.base_url"] = settings.source
    for atlas, chosen in study.atlases.items():
        yield f"atlases.{atlas}.cell_type_sets", chosen.cell_type_sets, "give the path of a GMT file"
        asked[f"atlases.{atlas}.base_url"] = chosen
    for key, request in asked.items():
        base = study.base(request)
        if study.simulate is None and not base.startswith(("http://", "https://")):
            yield key if request.base_url else f"retrieval.mirrors.{request.service}", base, remedy


def _explain(error: ValidationError) -> Iterator[str]:
    for item in error.errors():
        # A source's type stands behind the key source; elsewhere geo and the like are names.
        behind = ["", *item["loc"]]
        pairs = zip(behind, item["loc"], strict=False)
        places = [
            str(part) for before, part in pairs if part != "[key]" and not (before == "source" and part in SOURCES)
        ]
        key = ".".join(places) or "(top level)"
        if item["type"] == "extra_forbidden":
            yield f"{key}: unknown key{_suggestion(item['loc'])}"
        elif item["type"] == "missing":
            yield f"{key}: this key is needed; see config/README.md"
        elif item["type"].startswith("union_tag"):
            yield f"{key}.type: must be one of {', '.join(SOURCES)}"
        else:
            message = item["msg"].removeprefix("Value error, ")
            given = item.get("input")
            shown = f" (given: {given!r})" if isinstance(given, str | int | float | bool) or given is None else ""
            yield f"{key}: {message}{shown}" if places else message


def _suggestion(location: tuple[int | str, ...]) -> str:
    """Nearest valid key, and the valid keys of that section."""
    model: Any = Study
    for part in location[:-1]:
        model = _step(model, part)
        if model is None:
            return "; see config/README.md"
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        return "; see config/README.md"
    valid = list(model.model_fields)
    near = difflib.get_close_matches(str(location[-1]), valid, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    return f"{hint} Valid keys here: {', '.join(valid)}"


def _step(model: Any, part: int | str) -> Any:
    """Model behind a key: follows fields, values of mappings, members of a union."""
    if part in SOURCES:
        return SOURCES[str(part)]
    if isinstance(model, type) and issubclass(model, BaseModel):
        field = model.model_fields.get(str(part))
        return _plain(field.annotation) if field else None
    arguments = getattr(model, "__args__", ())
    return _plain(arguments[-1]) if arguments else model


def _plain(annotation: Any) -> Any:
    """An optional section without its None."""
    arguments = [a for a in getattr(annotation, "__args__", ()) if a is not type(None)]
    is_union = "Union" in type(annotation).__name__ or "Union" in str(getattr(annotation, "__origin__", ""))
    return arguments[0] if is_union and len(arguments) == 1 else annotation
