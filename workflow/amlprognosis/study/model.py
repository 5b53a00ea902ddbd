"""The study itself, and what the workflow asks of it."""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, StringConstraints, model_validator

from amlprognosis import __version__
from amlprognosis.signatures.tables import signature_path
from amlprognosis.study.base import Name, Section
from amlprognosis.study.cohorts import Atlas, Cohort
from amlprognosis.study.modelling import CrossValidation, Evaluation, Features, GeneSets, Models, Simulation
from amlprognosis.study.names import SIGNATURES, horizon_model, is_grid, model_slug, parse_grid_name
from amlprognosis.study.reporting import Reporting
from amlprognosis.study.sources import SERVICES, RemoteSource, Retrieval, scale_of

GRID = "grid-"
FEWEST_OF_A_GROUP = 8
LONGEST_HORIZON = 50


class Study(Section):
    """A study: cohorts, atlases, models and how they are judged."""

    study: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]*$")] = Field(
        description="Short name; everything is written under results/<study>/."
    )
    title: str = Field(description="Title of the report.")
    description: str = Field(default="", description="What the study asks, in a sentence or two.")
    seed: int = Field(default=1, ge=0, description="Seed of everything random.")
    data_root: str = Field(
        default=".", description="Folder that paths of sources and file:// base URLs are relative to."
    )
    retrieval: Retrieval = Field(default=Retrieval(), description="How files are retrieved.")
    simulate: Simulation | None = Field(default=None, description="Simulate the demo world before retrieving.")
    cohorts: dict[Name, Cohort] = Field(description="Cohorts: exactly one for training, any number to validate.")
    atlases: dict[Name, Atlas] = Field(default={}, description="Single-cell atlases.")
    gene_sets: GeneSets = Field(default=GeneSets(), description="Candidate genes of the index.")
    features: Features = Field(default=Features(), description="The training matrix.")
    crossvalidation: CrossValidation = Field(default=CrossValidation(), description="Cross-validation.")
    models: Models = Field(default=Models(), description="Models.")
    evaluation: Evaluation = Field(default=Evaluation(), description="Evaluation.")
    reporting: Reporting = Field(default=Reporting(), description="Answers for the TRIPOD+AI checklist.")

    @model_validator(mode="after")
    def _consistent(self) -> Study:
        training = [name for name, cohort in self.cohorts.items() if cohort.role == "training"]
        if len(training) != 1:
            found = ", ".join(training) or "none"
            raise ValueError(f"cohorts: exactly one cohort must have role: training (found {found})")
        if self.evaluation.main_horizon_years not in self.evaluation.horizons_years:
            raise ValueError("evaluation.main_horizon_years must be one of evaluation.horizons_years")
        for fault in self._list_faults():
            raise ValueError(fault)
        return self

    def _list_faults(self) -> Iterator[str]:
        """Lists whose values cannot stand together."""
        judged, run = self.evaluation, self.models.run
        if "gene_index" not in run:
            yield "models.run: gene_index is needed: genes, controls and cells of the report are those of the index"
        if not all(0 < years <= LONGEST_HORIZON for years in judged.horizons_years):
            yield (
                f"evaluation.horizons_years: every horizon must be above 0 and at most {LONGEST_HORIZON} years "
                f"(given: {judged.horizons_years})"
            )
        yield from self._stratify_faults()
        yield from self._counts_faults()
        yield from self._batch_faults()
        lists: dict[str, Sequence[object]] = {
            "models.run": run,
            "evaluation.horizons_years": judged.horizons_years,
            "features.clinical": self.features.clinical,
        }
        for key, values in lists.items():
            if len(set(values)) < len(values):
                yield f"{key}: a value stands twice (given: {list(values)})"
        leaks = sorted({"os_time", "os_event"} & set(self.features.clinical))
        if leaks:
            yield f"features.clinical: {', '.join(leaks)} is the outcome and cannot be a feature; remove it"
        groups = {name for cohort in self.cohorts.values() if cohort.clinical for name in cohort.clinical.categories}
        texts = sorted(groups & set(self.features.clinical))
        if texts:
            yield f"features.clinical: {', '.join(texts)} holds groups (clinical.categories), not numbers; remove it"
        absent = [name for name in judged.report_models if name not in run]
        # The default list names more than a short models.run has; only what the user wrote can be a mistake.
        if absent and "report_models" in judged.model_fields_set:
            yield f"evaluation.report_models: {', '.join(absent)} not in models.run; add to models.run or remove"
        if self.gene_sets.sets is not None and not self.gene_sets.sets:
            yield "gene_sets.sets: the list is empty; name sets of the file, or leave the key out to use all"

    def _counts_faults(self) -> Iterator[str]:
        """Cohorts of counts whose own settings ask for another method than that of the training cohort."""
        for name in self.validation:
            rules = self.cohorts[name].normalization
            used = self.counts_method(name)
            # The default is not asked for: a cohort that names no method takes that of training.
            if self.counts_reference(name) and "counts" in rules.model_fields_set and rules.counts != used:
                yield (
                    f"cohorts.{name}.normalization.counts: {rules.counts}, but counts of every cohort are normalised "
                    f"as those of the training cohort ({self.training}: {used}); remove it, or set {used}"
                )

    def _stratify_faults(self) -> Iterator[str]:
        """Columns of ``crossvalidation.stratify`` that the training cohort will not have."""
        mapped = self.cohorts[self.training].clinical
        if mapped is None:
            return  # a GDC project: what its clinical table holds is known when it is there
        groups = [name for name in ("risk", "sex") if getattr(mapped, name) is not None]
        known = [*groups, *mapped.categories, *mapped.numeric]
        for column in self.crossvalidation.stratify:
            if column not in known:
                near = difflib.get_close_matches(column, known, n=1)
                hint = f"; did you mean {near[0]!r}?" if near else "."
                yield (
                    f"crossvalidation.stratify: {column!r} is no column of groups of {self.training}{hint} Known are "
                    f"{', '.join(known) or 'none'}; map it in cohorts.{self.training}.clinical.categories"
                )

    def _batch_faults(self) -> Iterator[str]:
        """A column of ``features.batch`` that the training cohort will not have."""
        wanted, mapped = self.features.batch, self.cohorts[self.training].clinical
        if wanted is not None and mapped is not None and wanted not in mapped.categories:
            near = difflib.get_close_matches(wanted, list(mapped.categories), n=1)
            hint = f"; did you mean {near[0]!r}?" if near else "."
            yield (
                f"features.batch: {wanted!r} is not in cohorts.{self.training}.clinical.categories{hint} Known are "
                f"{', '.join(mapped.categories) or 'none'}"
            )

    # What the workflow asks of a study -------------------------------------------------------------------

    @property
    def training(self) -> str:
        """Name of the training cohort."""
        return next(name for name, cohort in self.cohorts.items() if cohort.role == "training")

    @property
    def validation(self) -> list[str]:
        """Names of the validation cohorts, in the order of the study."""
        return [name for name, cohort in self.cohorts.items() if cohort.role == "validation"]

    def cohort_label(self, name: str) -> str:
        """Label of a cohort or atlas in the report."""
        item = self.cohorts.get(name) or self.atlases.get(name)
        return (item.label if item else "") or name

    def groups(self) -> dict[str, list[str]]:
        """Models to run by group; one job is a group and a repeat.

        Members of the grid behind the same selector are a group; selectors with few members share one, because a job's
        start costs more than their fits.
        """
        found: dict[str, list[str]] = {}
        for name in self.models.run:
            found.setdefault(_group(name), []).append(name)
        merged: dict[str, list[str]] = {}
        for group, names in found.items():
            small = group.startswith(GRID) and len(names) < FEWEST_OF_A_GROUP
            merged.setdefault(f"{GRID}few" if small else group, []).extend(names)
        return merged

    def grid_groups(self) -> list[str]:
        """Names of the groups that belong to the grid."""
        return [group for group in self.groups() if group.startswith(GRID)]

    @property
    def nests_grid(self) -> bool:
        """Whether the choice of the grid's best member is judged by inner folds."""
        return len(self.models.grid_run) > 1 and self.models.grid.inner_folds > 0

    def model_of_folder(self, folder: str) -> str:
        """Name of the model that is frozen in ``models/<folder>``."""
        return next(name for name in self.models.run if model_slug(name) == folder)

    def model_parameters(self, name: str) -> dict[str, Any]:
        """Settings of a model as plain values."""
        if is_grid(name):
            settings = self.models.grid.model_dump(exclude={"candidates", "inner_folds"})
            return {"name": name, "parameters": self.models.parameters, **settings}
        if name in self.models.signatures:
            return {"path": self.models.signatures[name]}
        if name == "clinical_gene_index":
            return {"index": self.models.gene_index.model_dump()}
        horizon = horizon_model(name)
        section = getattr(self.models, horizon[0] if horizon else name, None)
        return section.model_dump() if isinstance(section, Section) else {}

    def signature_table(self, name: str) -> Path:
        """Coefficient table of a published signature, the study's own or one of ``resources/signatures``."""
        return Path(self.models.signatures.get(name) or signature_path(name))

    def fingerprint(self, *sections: str) -> str:
        """Digest of the settings that a rule depends on, so that a change of theirs reruns the rule.

        Parameters
        ----------
        *sections : str
            Dotted paths into the study, such as ``cohorts.TCGA`` or ``seed``.
        """
        content = self.model_dump(mode="json")
        chosen = {}
        for section in sections:
            value: Any = content
            for part in section.split("."):
                value = value[part]
            chosen[section] = value
        return _digest({"version": __version__, **chosen})

    def models_fingerprint(self, names: Sequence[str]) -> str:
        """Settings that the fit of some models depends on (see :meth:`fingerprint`)."""
        own: dict[str, Any] = {name: self.model_parameters(name) for name in names}
        own |= {f"table of {name}": _file_digest(self.signature_table(name)) for name in names if name in SIGNATURES}
        grid = ["models.grid"] if any(is_grid(name) for name in names) else []
        rest = self.fingerprint("seed", "crossvalidation", "evaluation.horizons_years", *grid)
        return _digest({"models": own, "rest": rest})

    def retrieval_of(self, cohort: str) -> tuple[str, str] | None:
        """Service and accession whose files a cohort needs; None for own tables, read in place."""
        source = self.cohorts[cohort].source
        return (source.service, source.folder) if isinstance(source, RemoteSource) else None

    def counts_reference(self, cohort: str) -> str | None:
        """Cohort whose frozen reference profile normalises this one: the training cohort, if both are counts.

        So a sample of a validation cohort is normalised without looking at the other samples of its cohort.
        """
        both = all(scale_of(self.cohorts[name].source) == "counts" for name in (cohort, self.training))
        return self.training if both and cohort != self.training else None

    def counts_method(self, cohort: str) -> str:
        """Method that normalises the counts of a cohort: its own, or that of the reference it shares."""
        return self.cohorts[self.counts_reference(cohort) or cohort].normalization.counts

    def retrieval_requests(self, service: str, accession: str) -> list[RemoteSource | Atlas]:
        """Sections of the study that ask for the files of a service (cells: atlases of GEO) and accession."""
        if service == "cells":
            return [atlas for atlas in self.atlases.values() if atlas.accession == accession]
        return [
            cohort.source
            for name, cohort in self.cohorts.items()
            if self.retrieval_of(name) == (service, accession) and isinstance(cohort.source, RemoteSource)
        ]

    def retrieval_fingerprint(self, service: str, accession: str) -> str:
        """Settings that a retrieval depends on (see :meth:`fingerprint`); how it is done is no part of them."""
        requests = self.retrieval_requests(service, accession)
        asked = [{**request.model_dump(mode="json"), "base_url": self.base(request)} for request in requests]
        return _digest({"data_root": self.data_root, "requests": asked})

    def base(self, request: RemoteSource | Atlas) -> str:
        """Where a source is retrieved from: its base_url, else the service's mirror, else the service."""
        chosen = request.base_url or self.retrieval.mirrors.get(request.service) or SERVICES[request.service]  # type: ignore[call-overload]
        return self.location(chosen)

    def path(self, relative: str) -> str:
        """Path of a source's file, seen from the working folder."""
        return os.path.normpath(os.path.join(self.data_root, relative))

    def location(self, base_url: str) -> str:
        """Base of a source: a http(s) URL as it is, anything else a folder seen from the working folder."""
        if base_url.startswith(("http://", "https://")):
            return base_url.rstrip("/")
        if base_url.startswith("file://"):
            base_url = urllib.parse.unquote(base_url.removeprefix("file://").removeprefix("localhost"))
        return self.path(base_url)

    def source_paths(self, name: str) -> dict[str, str]:
        """Keys and resolved paths of the user's files that a cohort reads in place."""
        return {key: self.path(path) for key, path in self.cohorts[name].source.paths().items()}


def _group(name: str) -> str:
    """Group of a model (see :meth:`Study.groups`)."""
    if is_grid(name):
        selector = parse_grid_name(name).selector
        return f"{GRID}{model_slug(str(selector)) if selector else 'single'}"
    horizon = horizon_model(name)
    kind = horizon[0] if horizon else name
    if kind in ("random_survival_forest", "random_forest"):
        return "forests"
    if kind in ("xgboost_cox", "xgboost_aft", "xgboost"):
        return "boosting"
    return "classifiers" if horizon else "linear"


def _digest(content: Mapping[str, Any]) -> str:
    # Not the JSON itself: Snakemake takes braces in a parameter for wildcards.
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _file_digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16] if path.is_file() else "no file"
