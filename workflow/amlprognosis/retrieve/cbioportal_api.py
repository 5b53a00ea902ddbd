"""The REST API of cBioPortal (https://www.cbioportal.org/api): answers saved as JSON files, page by page.

A study folder (https://github.com/cBioPortal/datahub) is far smaller than what the API sends (some 250 bytes for each
value of the expression matrix); where one can be had, name it as base_url.
"""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from amlprognosis.cohort import shown, step
from amlprognosis.errors import InputError
from amlprognosis.retrieve.cbioportal_files import WHOLE, StudyParts, variant_table
from amlprognosis.retrieve.download import FileRecord, Planned, Wanted, fetch_all, join
from amlprognosis.retrieve.lines import json_text, read_json
from amlprognosis.study import CbioportalSource, Retrieval

STUDY = "study.json"
PROFILES = "profiles.json"
PANELS = "panel_data.json"
# Rows of a page, and values of the matrix in one answer (some 25 MB of JSON).
PAGE = 10_000
VALUES = 100_000
_SAFE = re.compile(r"^[A-Za-z0-9_.-]+$")


def check_profile(request: CbioportalSource, types: Mapping[str, str], origin: str) -> None:
    """Refuse an expression profile that is missing or holds z-scores.

    Parameters
    ----------
    request : CbioportalSource
        Names the profile.
    types : mapping
        Datatype by stable id (without the study) of the study's expression profiles.
    origin : str
        How errors call the study.

    Raises
    ------
    InputError
        With the profiles that there are.
    """
    wanted = request.profile.removeprefix(f"{request.study}_")
    usable = sorted(name for name, kind in types.items() if kind != "Z-SCORE")
    remedy = f"the study has {shown(usable, 20)}" if usable else "the study has no other expression profile"
    if wanted not in types:
        raise InputError(f"{origin}: no expression profile {request.profile!r}; set profile of the source: {remedy}")
    if types[wanted] == "Z-SCORE":
        raise InputError(
            f"{origin}: profile {request.profile!r} holds z-scores: each gene was scaled by the whole cohort, so that "
            f"one patient cannot be scored alone; set profile of the source to the values themselves: {remedy}"
        )


def _url(base: str, *parts: str, **query: Any) -> str:
    text = urllib.parse.urlencode(sorted(query.items()))
    return join(base, "api", *parts) + (f"?{text}" if text else "")


def _page_name(stem: str, number: int) -> str:
    return f"{stem}.{number:04d}.json"


def _fetch_pages(
    url_parts: Sequence[str],
    base: str,
    destination: Path,
    stem: str,
    settings: Retrieval,
    body: Mapping[str, Any] | None = None,
    **query: Any,
) -> list[FileRecord]:
    """Pages of a list until one that is not full."""
    records = []
    for number in range(10_000):
        path = destination / _page_name(stem, number)
        url = _url(base, *url_parts, pageNumber=number, pageSize=PAGE, **query)
        (record,) = fetch_all([Wanted(url, path, body=body)], settings)
        assert record is not None
        records.append(record)
        if len(_list(path)) < PAGE:
            break
    return records


def retrieve(request: CbioportalSource, base: str, destination: Path, settings: Retrieval) -> list[FileRecord]:
    """Bring the answers of the API that a study needs to a folder."""
    study = request.study
    profiles = Wanted(_url(base, "studies", study, "molecular-profiles", projection="DETAILED"), destination / PROFILES)
    first = [Wanted(_url(base, "studies", study), destination / STUDY), profiles]
    records = [record for record in fetch_all(first, settings) if record]
    profile = _profile(request, destination / PROFILES)
    mutated = _mutation_profile(destination / PROFILES) if request.mutations else None
    where: tuple[str, ...] = ("studies", study)
    records += _fetch_pages((*where, "samples"), base, destination, "samples", settings, projection="SUMMARY")
    for kind in ("PATIENT", "SAMPLE"):
        parts = (*where, "clinical-data")
        records += _fetch_pages(parts, base, destination, _stem(kind), settings, clinicalDataType=kind)
    records += _fetch_pages(("genes",), base, destination, "genes", settings, projection="SUMMARY")
    samples = sorted(_samples(destination))
    wanted = []
    for number, genes in enumerate(_chunks(destination, len(samples))):
        url = _url(base, "molecular-profiles", profile, "molecular-data", "fetch", projection="SUMMARY")
        body = {"sampleIds": samples, "entrezGeneIds": [gene for gene, _ in genes]}
        wanted.append(Wanted(url, _chunk_path(destination, request, number), body=body))
    records += [record for record in fetch_all(wanted, settings) if record]
    if mutated:
        fetched = ("molecular-profiles", mutated, "mutations", "fetch")
        every = {"sampleIds": samples}
        records += _fetch_pages(fetched, base, destination, "mutations", settings, every, projection="DETAILED")
        url = _url(base, "molecular-profiles", mutated, "gene-panel-data", "fetch")
        records += [r for r in fetch_all([Wanted(url, destination / PANELS, body=every)], settings) if r]
        panels = sorted(set(_panel_data(destination)[1].values()))
        described = [
            Wanted(_url(base, "gene-panels", panel), _panel_path(destination, panel), optional=True) for panel in panels
        ]
        records += [record for record in fetch_all(described, settings) if record]
    return records


def plan(request: CbioportalSource, base: str, destination: Path) -> list[Planned]:
    """What :func:`retrieve` would fetch."""
    study, profile = request.study, f"{request.study}_{request.profile.removeprefix(f'{request.study}_')}"
    paged = {"pageNumber": "{page}", "pageSize": str(PAGE)}
    asked = [
        (STUDY, "study", ("studies", study), {}),
        (PROFILES, "profiles", ("studies", study, "molecular-profiles"), {"projection": "DETAILED"}),
        (_page_name("samples", 0), "samples", ("studies", study, "samples"), paged),
        (_page_name(_stem("PATIENT"), 0), "clinical data", ("studies", study, "clinical-data"), paged),
        (_page_name("genes", 0), "genes", ("genes",), paged),
        (
            "expression",
            f"expression, {VALUES} values at a time (about 6 MB per patient in all; a study folder is smaller)",
            ("molecular-profiles", profile, "molecular-data", "fetch"),
            {},
        ),
    ]
    if request.mutations:
        asked += [
            ("mutations.0000.json", "mutations", ("molecular-profiles", "{profile}", "mutations", "fetch"), paged),
            (PANELS, "who was sequenced", ("molecular-profiles", "{profile}", "gene-panel-data", "fetch"), {}),
            ("panel.{panel}.json", "gene panels", ("gene-panels", "{panel}"), {}),
        ]
    found = []
    for name, what, parts, query in asked:
        text = "&".join(f"{key}={value}" for key, value in sorted(query.items()))
        url = join(base, "api", *parts) + (f"?{text}" if text else "")
        found.append(Planned(url, what, str(Path(destination) / name)))
    return found


def _stem(kind: str) -> str:
    return f"clinical_{kind.lower()}"


def _list(path: Path) -> list[Any]:
    """A JSON list of objects (or texts).

    Raises
    ------
    InputError
        Another answer; an error of the API is told in its words.
    """
    content = read_json(path)
    if isinstance(content, Mapping) and "message" in content:
        raise InputError(f"{path}: the API answered: {json_text(content['message'], str(path))}")
    if not isinstance(content, list):
        raise InputError(f"{path}: no list; delete it and retrieve again")
    return content


def _objects(path: Path, *needed: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Numbered objects of a list that have the needed fields."""
    for number, item in enumerate(_list(path), start=1):
        if not isinstance(item, Mapping):
            raise InputError(f"{path}: item {number} is no object; delete the file and retrieve again")
        absent = [key for key in needed if item.get(key) is None]
        if absent:
            raise InputError(f"{path}: item {number} has no {', '.join(absent)}; delete the file and retrieve again")
        yield number, item


def _pages(folder: Path, stem: str) -> list[Path]:
    """Saved pages of a list, whole.

    Raises
    ------
    InputError
        A page is missing, the last one is full, or one before it is not.
    """
    paths = []
    for number in range(10_000):
        path = folder / _page_name(stem, number)
        if not path.is_file():
            raise InputError(f"{path}: no such file; retrieve the study again")
        paths.append(path)
        if len(_list(path)) < PAGE:
            return paths
    raise InputError(f"{folder}: too many pages of {stem}")


def _text(item: Mapping[str, Any], key: str, place: str) -> str:
    return json_text(item.get(key), f"{place}: {key}")


def _profiles(path: Path) -> list[dict[str, str]]:
    needed = ("molecularProfileId", "molecularAlterationType", "datatype")
    found = []
    for number, item in _objects(path, *needed):
        fields = {key: _text(item, key, f"{path}: item {number}") for key in (*needed, "name")}
        if not _SAFE.match(fields["molecularProfileId"]):
            raise InputError(f"{path}: item {number}: {fields['molecularProfileId']!r} is no profile id")
        found.append(fields)
    return found


def _profile(request: CbioportalSource, path: Path) -> str:
    """Id of the expression profile."""
    kinds = {
        item["molecularProfileId"].removeprefix(f"{request.study}_"): item["datatype"]
        for item in _profiles(path)
        if item["molecularAlterationType"] == "MRNA_EXPRESSION"
    }
    check_profile(request, kinds, str(path))
    return f"{request.study}_{request.profile.removeprefix(f'{request.study}_')}"


def _mutation_profile(path: Path) -> str | None:
    found = [p["molecularProfileId"] for p in _profiles(path) if p["molecularAlterationType"] == "MUTATION_EXTENDED"]
    return sorted(found)[0] if found else None


def _samples(folder: Path) -> dict[str, str]:
    """Patient by sample."""
    found: dict[str, str] = {}
    for path in _pages(folder, "samples"):
        for number, item in _objects(path, "sampleId", "patientId"):
            sample, patient = (_text(item, key, f"{path}: item {number}") for key in ("sampleId", "patientId"))
            if not sample or not patient or found.setdefault(sample, patient) != patient:
                raise InputError(f"{path}: item {number}: sample {sample!r} has no name or two patients")
    if not found:
        raise InputError(f"{folder}: the study has no samples")
    return found


def _genes(folder: Path) -> list[tuple[int, str]]:
    """Entrez ids and symbols of protein-coding genes, sorted."""
    found: dict[int, str] = {}
    for path in _pages(folder, "genes"):
        for number, item in _objects(path, "entrezGeneId", "hugoGeneSymbol"):
            gene, symbol = item["entrezGeneId"], _text(item, "hugoGeneSymbol", f"{path}: item {number}")
            if isinstance(gene, bool) or not isinstance(gene, int) or not symbol:
                raise InputError(f"{path}: item {number}: entrezGeneId {gene!r} or its symbol is wrong")
            # Phosphoproteins have negative ids.
            wanted = gene > 0 and _text(item, "type", f"{path}: item {number}") in ("", "protein-coding")
            if wanted and found.setdefault(gene, symbol) != symbol:
                raise InputError(f"{path}: item {number}: gene {gene} has two symbols")
    return sorted(found.items())


def _chunks(folder: Path, n_samples: int) -> list[list[tuple[int, str]]]:
    """Genes asked for in one answer each."""
    genes = _genes(folder)
    size = max(1, VALUES // max(1, n_samples))
    return [genes[start : start + size] for start in range(0, len(genes), size)]


def _chunk_path(folder: Path, request: CbioportalSource, number: int) -> Path:
    return folder / "expression" / request.profile / _page_name("genes", number)


def read_parts(request: CbioportalSource, folder: Path) -> StudyParts:
    """Read the saved answers.

    Raises
    ------
    InputError
        A missing, damaged or incomplete answer, or one of the API's errors.
    """
    study = read_json(folder / STUDY)
    if not isinstance(study, Mapping) or study.get("studyId") != request.study:
        raise InputError(f"{folder / STUDY}: not the study {request.study!r}; correct study of the source")
    profile = _profile(request, folder / PROFILES)
    named = {item["molecularProfileId"]: item for item in _profiles(folder / PROFILES)}
    owners = _samples(folder)
    samples = _attributes(folder, "SAMPLE", "sampleId").reindex(sorted(owners)).fillna("")
    samples.insert(0, "PATIENT_ID", [owners[sample] for sample in samples.index])
    expression, report = _expression(request, folder, sorted(owners))
    parts = StudyParts(
        patients=_attributes(folder, "PATIENT", "patientId"),
        samples=samples,
        expression=expression,
        gene_ids="symbol",
        profile=f"{request.profile}: {named[profile]['name']} ({named[profile]['datatype']})",
        steps=[step("genes of the profile", report)],
    )
    if request.mutations and _mutation_profile(folder / PROFILES):
        parts.variants = _variants(folder)
        parts.sequenced, parts.panels = _panel_data(folder)
        paths = {panel: _panel_path(folder, panel) for panel in sorted(set(parts.panels.values()))}
        parts.panel_genes = {panel: _panel_genes(path) for panel, path in paths.items() if path.is_file()}
    return parts


def _panel_path(folder: Path, panel: str) -> Path:
    return folder / f"panel.{panel}.json"


def _panel_data(folder: Path) -> tuple[frozenset[str], dict[str, str]]:
    """Samples profiled for mutations, and the gene panel of those that were not looked at as a whole."""
    path = folder / PANELS
    if not path.is_file():
        raise InputError(f"{path}: no such file; retrieve the study again")
    profiled: set[str] = set()
    panels: dict[str, str] = {}
    for number, item in _objects(path, "sampleId", "profiled"):
        place = f"{path}: item {number}"
        sample, panel = _text(item, "sampleId", place), _text(item, "genePanelId", place)
        if not isinstance(item["profiled"], bool) or (panel and not _SAFE.match(panel)):
            raise InputError(f"{place}: profiled {item['profiled']!r} or genePanelId {panel!r} is wrong")
        if item["profiled"]:
            profiled.add(sample)
            if panel.upper() not in WHOLE and panels.setdefault(sample, panel) != panel:
                raise InputError(f"{place}: sample {sample} has two gene panels")
    return frozenset(profiled), panels


def _panel_genes(path: Path) -> frozenset[str]:
    content = read_json(path)
    genes = content.get("genes") if isinstance(content, Mapping) else None
    if not isinstance(genes, list) or not all(isinstance(gene, Mapping) for gene in genes):
        raise InputError(f"{path}: no list of genes; delete the file and retrieve again")
    return frozenset(_text(gene, "hugoGeneSymbol", str(path)) for gene in genes) - {""}


def _attributes(folder: Path, kind: str, key: str) -> pd.DataFrame:
    """Clinical attributes: a row per patient or sample."""
    rows: dict[str, dict[str, str]] = {}
    for path in _pages(folder, _stem(kind)):
        for number, item in _objects(path, key, "clinicalAttributeId"):
            place = f"{path}: item {number}"
            name, attribute, value = (_text(item, field, place) for field in (key, "clinicalAttributeId", "value"))
            if rows.setdefault(name, {}).setdefault(attribute, value) != value:
                raise InputError(f"{place}: {attribute} of {name} has two values; retrieve the study again")
    return pd.DataFrame.from_dict(rows, orient="index", dtype=object).fillna("").sort_index().sort_index(axis=1)


def _expression(request: CbioportalSource, folder: Path, samples: list[str]) -> tuple[pd.DataFrame, str]:
    """Matrix of samples x genes; samples without any value are not of the profile."""
    row_of = {sample: row for row, sample in enumerate(samples)}
    columns: list[np.ndarray] = []
    symbols: list[str] = []
    asked = 0
    for number, genes in enumerate(_chunks(folder, len(samples))):
        path = _chunk_path(folder, request, number)
        if not path.is_file():
            raise InputError(f"{path}: no such file; retrieve the study again")
        part = np.full((len(samples), len(genes)), np.nan)
        column_of = {gene: column for column, (gene, _) in enumerate(genes)}
        for item_number, item in _objects(path, "sampleId", "entrezGeneId"):
            row, column = row_of.get(item["sampleId"]), column_of.get(item["entrezGeneId"])
            value = item.get("value")
            if row is None or column is None:
                raise InputError(f"{path}: item {item_number}: a sample or gene that was not asked for")
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
                raise InputError(f"{path}: item {item_number}: value {value!r} is not a finite number")
            if not np.isnan(part[row, column]) and part[row, column] != value:
                raise InputError(f"{path}: item {item_number}: a second value of the same sample and gene")
            part[row, column] = value
        there = ~np.isnan(part).all(axis=0)
        asked += len(genes)
        columns += list(part[:, there].T)
        symbols += [symbol for (_, symbol), any_value in zip(genes, there, strict=True) if any_value]
    if not columns:
        raise InputError(f"{folder}: the profile {request.profile} has no value; is it the right one?")
    table = pd.DataFrame(np.column_stack(columns), index=samples, columns=symbols)
    repeated = int(table.columns.duplicated().sum())
    table = table.loc[~table.isna().all(axis=1), ~table.columns.duplicated()]
    return table, f"{asked} protein-coding genes asked for, {table.shape[1]} in the profile, {repeated} repeat a symbol"


def _variants(folder: Path) -> pd.DataFrame:
    rows = []
    for path in _pages(folder, "mutations"):
        for number, item in _objects(path, "sampleId", "mutationType", "entrezGeneId"):
            place = f"{path}: item {number}"
            gene = item.get("gene")
            if not isinstance(gene, Mapping) or not gene.get("hugoGeneSymbol"):
                raise InputError(f"{place}: no gene.hugoGeneSymbol; delete the file and retrieve again")
            change, status = item.get("proteinChange"), item.get("mutationStatus")
            rows.append(
                {
                    "gene": json_text(gene["hugoGeneSymbol"], place),
                    "effect": _text(item, "mutationType", place),
                    "sample": _text(item, "sampleId", place),
                    "change": json_text(change, place),
                    "status": json_text(status, place),
                }
            )
    columns = ["gene", "effect", "sample", "change", "status"]
    table = pd.DataFrame(rows, columns=columns, index=range(1, len(rows) + 1), dtype=object)
    return variant_table(str(folder / _page_name("mutations", 0)), table).reset_index(drop=True)
