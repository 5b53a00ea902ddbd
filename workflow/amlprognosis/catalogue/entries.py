"""Entries of the catalogue, ``resources/cohorts.yaml`` and ``resources/catalogue``, validated."""

from __future__ import annotations

import difflib
from functools import cache
from itertools import combinations, product
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, StringConstraints, ValidationError, model_validator

from amlprognosis.errors import InputError
from amlprognosis.study.base import Name, Section
from amlprognosis.study.cohorts import Atlas, Cohort
from amlprognosis.study.sources import GeoSource, GeoSupplementSource, RemoteSource, Source

CATALOGUE = Path(__file__).resolve().parents[3] / "resources" / "cohorts.yaml"

Doi = Annotated[str, StringConstraints(pattern=r"^10\.\d{4,9}/[^\s\"<>]+$")]
Kind = Literal["bulk expression", "single cells", "clinical and mutations", "look-up", "recommendations"]
OverlapKind = Literal["known", "partly", "possible"]
# Facts of an entry that were looked for and not found in a source that could be read.
Fact = Literal["patients", "endpoint", "platform", "population", "doi", "address", "licence", "holds"]


class Patients(Section):
    """How many patients, and what of it is uncertain."""

    number: int | None = Field(description="Patients with data; nothing where it is unknown or does not apply.")
    note: str = Field(default="", description="What the number counts, and what of it is uncertain.")


class Endpoint(Section):
    """What the follow-up of a resource ends with."""

    what: list[Literal["OS", "EFS", "RFS", "response"]] = Field(description="Endpoints that can be read; none: [].")
    deaths: int | None = Field(default=None, description="Deaths, where they were counted.")
    note: str = Field(default="", description="Where the endpoint stands, and from which count.")


class Citation(Section):
    """A publication."""

    text: str = Field(description="Authors, journal, year, volume, first page.")
    doi: Doi | None = Field(default=None, description="DOI.")


class Verified(Section):
    """How far the reading of a resource was checked."""

    by: Literal["genuine file", "public code", "documentation", "unverified"] = Field(
        description="genuine file: a file of it was read; public code: code that others published reads the genuine "
        "files under these names; documentation: the publisher says so; unverified: none of these."
    )
    note: str = Field(default="", description="What exactly was seen.")


class Download(Section):
    """A file, or files of a kind, that the workflow fetches, and their size."""

    file: str = Field(description="End of the address, * stands for any text; several files of a kind share an entry.")
    what: str = Field(description="What it is.")
    files: int = Field(default=1, ge=1, description="Number of files.")
    megabytes: float | None = Field(description="Size of all of them (10^6 bytes); nothing: unknown until asked.")
    basis: Literal["measured", "documentation", "estimate"] = Field(
        default="estimate", description="measured: a genuine file was seen; estimate: values times bytes per value."
    )


class Entry(Section):
    """A resource."""

    name: str = Field(description="Its name, with the group or the first author.")
    kind: Kind = Field(description="Kind of resource.")
    holds: str = Field(description="What it holds, in a sentence.")
    patients: Patients = Field(description="Patients.")
    endpoint: Endpoint = Field(description="Endpoint.")
    platform: str = Field(description="GPL accession and array, RNA-seq, ...; empty where none applies.")
    population: str = Field(description="Who: adults or children, normal karyotype, de novo, tissue.")
    access: Literal["open", "controlled", "web page only"] = Field(description="Who may have it.")
    licence: str = Field(description="Licence or terms of use.")
    citations: list[Citation] = Field(min_length=1, description="What to cite, the first in source notes.")
    address: str = Field(description="Where it is.")
    readable: bool = Field(description="Whether the workflow reads it by a cohort or atlas section.")
    reason: str = Field(default="", description="Why a program cannot read it, and what to do in its place.")
    cohort: dict[str, Any] | None = Field(
        default=None, description="What a cohort takes from the catalogue: label, source, clinical."
    )
    atlas: dict[str, Any] | None = Field(default=None, description="Section for a study's atlases, to paste.")
    verified: Verified = Field(description="How far the mapping was checked.")
    not_verified: list[Fact] = Field(default=[], description="Facts above that no source at hand confirms.")
    downloads: list[Download] = Field(default=[], description="What is fetched, and how large it is.")
    traps: list[str] = Field(default=[], description="What misleads those who use it.")

    @model_validator(mode="after")
    def _consistent(self) -> Entry:
        if self.readable == bool(self.reason):
            raise ValueError("reason is for entries that cannot be read, and only for them")
        if self.readable != (self.cohort is not None or self.atlas is not None):
            raise ValueError("a readable entry, and no other, has a cohort or atlas section")
        if self.cohort is not None:
            Cohort.model_validate({"role": "validation", **self.cohort})
        if self.atlas is not None:
            Atlas.model_validate(self.atlas)
        return self

    @property
    def source(self) -> Source | None:
        """Source of its cohort section."""
        return None if self.cohort is None else Cohort.model_validate({"role": "validation", **self.cohort}).source

    @property
    def source_note(self) -> str:
        """Citation and licence, as a source of the study carries them."""
        first = self.citations[0]
        return f"{first.text}{f' (doi {first.doi})' if first.doi else ''}; {self.licence}"

    @property
    def way(self) -> str:
        """How the workflow reads it: the type of source, cells, or nothing."""
        if self.cohort is not None:
            return str(self.cohort["source"]["type"])
        return "cells" if self.atlas is not None else ""


class Overlap(Section):
    """Resources that share patients.

    Every pair within ``between`` is meant, or, with ``and``, every pair of one of ``between`` and one of ``and``.
    """

    between: list[str] = Field(min_length=1, description="Entries.")
    other: list[str] = Field(default=[], alias="and", description="Entries on the other side of the pairs.")
    kind: OverlapKind = Field(
        description="known: the patients of one are in the other, wholly or nearly; partly: some are; possible: same "
        "centre, trial or compendium, nothing proven."
    )
    shared: int | None = Field(default=None, description="Patients in both, where they were counted.")
    evidence: str = Field(description="How it is known.")
    doi: Doi | None = Field(default=None, description="Publication that says so.")

    @model_validator(mode="after")
    def _pairs(self) -> Overlap:
        if len(self.between) + len(self.other) < 2:
            raise ValueError("an overlap needs two entries")
        twice = [f"{a} and {b}" for a, b in self.pairs if a == b]
        if twice:
            raise ValueError(f"an entry overlaps with others, not with itself: {', '.join(twice)}")
        return self

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Pairs of entries, in no direction."""
        return list(product(self.between, self.other)) if self.other else list(combinations(self.between, 2))


class Catalogue(Section):
    """All entries and overlaps."""

    date: Annotated[str, StringConstraints(pattern=r"^\d{4}-\d{2}-\d{2}$")] = Field(
        description="Day of the last check."
    )
    entries: dict[Name, Entry] = Field(description="Entries by their id.")
    overlaps: list[Overlap] = Field(description="Known overlaps.")

    @model_validator(mode="after")
    def _known(self) -> Catalogue:
        for overlap in self.overlaps:
            unknown = sorted({*overlap.between, *overlap.other} - set(self.entries))
            if unknown:
                raise ValueError(f"overlaps: no entry {', '.join(unknown)}")
        folded = [entry.casefold() for entry in self.entries]
        if len(set(folded)) < len(folded):
            raise ValueError("entries: two ids differ by their case alone")
        return self


def read_catalogue(path: str | Path) -> Catalogue:
    """Read and validate a catalogue.

    Parameters
    ----------
    path : path
        A YAML file like ``resources/cohorts.yaml``; those in the folder ``catalogue`` beside it belong to it.

    Raises
    ------
    InputError
        No such file, no YAML, an entry that stands twice, or a fault of an entry, with its key.
    """
    path = Path(path)
    content = _yaml(path)
    for part in sorted((path.parent / "catalogue").glob("*.yaml")):
        more = _yaml(part)
        twice = sorted(set(content.get("entries", {})) & set(more.get("entries", {})))
        if twice:
            raise InputError(f"{part}: entries.{twice[0]}: stands twice in the catalogue; remove one")
        content["entries"] = {**content.get("entries", {}), **more.pop("entries", {})}
        content["overlaps"] = [*content.get("overlaps", []), *more.pop("overlaps", [])]
        content |= more
    try:
        return Catalogue.model_validate(content)
    except ValidationError as error:
        faults = [f"{path}: {'.'.join(str(part) for part in e['loc'])}: {e['msg']}" for e in error.errors()]
        raise InputError("\n".join(faults)) from None


def _yaml(path: Path) -> dict[str, Any]:
    try:
        # The safe loader in C, where PyYAML has it: ten times faster on these files.
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(path.read_text(encoding="utf-8"))
        try:
            content = loader.get_single_data()
        finally:
            loader.dispose()
    except FileNotFoundError:
        raise InputError(f"{path}: the catalogue is missing; get the file of this release again") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a YAML file: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: a catalogue is a mapping with entries and overlaps")
    return content


@cache
def load_catalogue() -> Catalogue:
    """The catalogue of this release: ``resources/cohorts.yaml`` and ``resources/catalogue/*.yaml``."""
    return read_catalogue(CATALOGUE)


def find_entry(name: str, *, place: str = "catalogue") -> tuple[str, Entry]:
    """An entry by its id, in whatever case.

    Raises
    ------
    InputError
        No such entry; names the nearest ones.
    """
    entries = load_catalogue().entries
    by_fold = {key.casefold(): key for key in entries}
    found = by_fold.get(name.strip().casefold())
    if found is None:
        wanted = name.strip().casefold()
        inside = [key for fold, key in by_fold.items() if wanted and (wanted in fold or fold in wanted)]
        # A series on several platforms is found by its accession, too.
        stems = {fold.split("-gpl")[0] for fold in by_fold}
        near = difflib.get_close_matches(wanted, [*by_fold, *stems - set(by_fold)], n=3, cutoff=0.5)
        named = [
            key for match in near for fold, key in by_fold.items() if fold.split("-gpl")[0] == match or fold == match
        ]
        names = list(dict.fromkeys([*inside, *named]))[:4]
        hint = f"; did you mean {' or '.join(names)}?" if names else "."
        raise InputError(f"{place}: {name!r}: no such entry{hint} `amlprognosis catalogue` lists all of them")
    return found, entries[found]


def identity(source: Source) -> tuple[str, str, str] | None:
    """Service, accession and platform ("" if any) of a source; None for own tables."""
    if not isinstance(source, RemoteSource):
        return None
    platform = source.platform if isinstance(source, GeoSource | GeoSupplementSource) else None
    return source.service, source.folder, platform or ""


def entries_of(cohort: Cohort) -> list[str]:
    """Ids of the entries that a cohort is: the one that it names, and those with its source."""
    found = [find_entry(cohort.catalogue)[0]] if cohort.catalogue else []
    own = identity(cohort.source)
    if own is not None:
        for key, entry in load_catalogue().entries.items():
            other = identity(entry.source) if entry.source is not None else None
            if other and other[:2] == own[:2] and (other[2] == own[2] or not (other[2] and own[2])):
                found.append(key)
    return list(dict.fromkeys(found))
