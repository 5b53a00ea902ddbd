"""GEO series of arrays: the series matrix of a platform (or the SOFT family), the platform table, one raw cohort.

References
----------
Layout of the FTP area: https://www.ncbi.nlm.nih.gov/geo/info/download.html. SOFT:
https://www.ncbi.nlm.nih.gov/geo/info/soft.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from amlprognosis.cohort import RawCohort, shown, step
from amlprognosis.errors import InputError
from amlprognosis.retrieve.download import (
    FileRecord,
    NoConnection,
    Planned,
    Wanted,
    fetch_all,
    is_remote,
    list_folder,
    local_record,
    read_provenance,
    write_provenance,
)
from amlprognosis.retrieve.geo_layout import (
    accession_folder,
    choose,
    family_name,
    matrices,
    matrix_name,
    matrix_url,
    platform_url,
    series_url,
)
from amlprognosis.retrieve.geo_patients import describe
from amlprognosis.retrieve.geo_platform import parse_platform
from amlprognosis.retrieve.geo_samples import SeriesMatrix, platform_of
from amlprognosis.retrieve.series_matrix import parse_series_matrix
from amlprognosis.retrieve.soft import parse_dataset, parse_family
from amlprognosis.study import GeoSource, Retrieval

__all__ = [
    "LICENCE",
    "SeriesMatrix",
    "accession_folder",
    "matrix_name",
    "matrix_url",
    "parse_dataset",
    "parse_family",
    "parse_platform",
    "parse_series_matrix",
    "plan",
    "platform_url",
    "read",
    "retrieve",
    "series_url",
]

LICENCE = "Public GEO data; cite the series' publication"


def plan(request: GeoSource, base: str, destination: Path) -> list[Planned]:
    """What a retrieval would fetch, without network (see :mod:`.sources`)."""
    destination = Path(destination)
    names, what = _planned_matrices(request, base)
    planned = [
        Planned(series_url(base, request.accession, "matrix", name), what, str(destination / name)) for name in names
    ]
    annotation, *others = _platform_files(request, base, destination)
    what = f"platform table (or {others[0].destination.name}, where GEO has no annotation of {request.platform})"
    return [*planned, Planned(annotation.url, what, str(annotation.destination))]


def _planned_matrices(request: GeoSource, base: str) -> tuple[list[str], str]:
    folder = series_url(base, request.accession, "matrix")
    if not is_remote(base) and Path(folder).is_dir():
        found = choose(list_folder(folder), request.accession, request.platform, request.several_platforms, folder)
        if found:
            return found, "series matrix"
    name = matrix_name(request.accession, request.platform, bool(request.several_platforms))
    if request.several_platforms is not None:
        return [name], "series matrix"
    other = matrix_name(request.accession, request.platform, True)
    return [name], f"series matrix (or {other}, where the series has several platforms)"


def retrieve(request: GeoSource, base: str, destination: Path, settings: Retrieval) -> list[FileRecord]:
    """Bring the series matrix of a platform and the platform table to a folder (see :mod:`.sources`).

    Raises
    ------
    InputError
        The series has no matrix of the platform (with the platforms that it has) and no SOFT family; no platform table;
        a damaged file.

    Notes
    -----
    Expression: the series matrix, in all its parts; where a series has none, its SOFT family. Platform: the annotation
    table, else the SOFT family of the series, which holds its platforms, else that of the platform, which holds every
    series of it.
    """
    destination = Path(destination)
    expression, fault = _expression_files(request, base, destination, settings)
    records = _fetched(expression, settings)
    platform: list[FileRecord] = []
    for wanted in _platform_files(request, base, destination):
        platform = [record for record in records if record.path == str(wanted.destination)] or _fetched(
            [wanted], settings
        )
        if platform:
            break
    if settings.offline and is_remote(base) and not (records and platform):
        # One error that lists what is missing, by the first names that it may have.
        name = matrix_name(request.accession, request.platform, bool(request.several_platforms))
        likely = [] if records else [Wanted(series_url(base, request.accession, "matrix", name), destination / name)]
        tables = [] if platform else _platform_files(request, base, destination)[:1]
        fetch_all([*likely, *(Wanted(file.url, file.destination) for file in tables)], settings)
    if not records:
        folder = series_url(base, request.accession, "matrix")
        raise InputError(
            f"{folder}: no series matrix of {request.platform}, and {expression[0].url}: no such file, no SOFT family "
            f"of {request.accession} either{f' ({fault})' if fault else ''}"
        )
    if not platform:
        urls = [wanted.url for wanted in _platform_files(request, base, destination)]
        raise InputError(
            f"{urls[0]}: no such file, nor {urls[1]}, nor {urls[2]}: no table says which gene the probes of "
            f"{request.platform} measure; put one of them there, or set another base_url"
        )
    found = list({record.path: record for record in [*records, *platform]}.values())
    write_provenance(destination, found, LICENCE)
    return found


def _fetched(wanted: list[Wanted], settings: Retrieval) -> list[FileRecord]:
    return [record for record in fetch_all(wanted, settings) if record is not None]


def _expression_files(
    request: GeoSource, base: str, destination: Path, settings: Retrieval
) -> tuple[list[Wanted], str]:
    """Series matrices by the index of their folder; without one (and why), the names that they may have."""
    accession = request.accession
    folder = series_url(base, accession, "matrix")
    fault = ""
    try:
        names = list_folder(folder, settings)
    except NoConnection:
        raise
    except InputError as error:
        # No folder, no index page, or offline: what lies there already, or one of the usual names.
        fault = str(error)
        there = matrices((path.name for path in destination.glob("*")) if is_remote(base) else [], accession)
        names = [item.name for item in there if item.platform in ("", request.platform)]
    family = Wanted(
        series_url(base, accession, "soft", family_name(accession)), destination / family_name(accession), optional=True
    )
    chosen = choose(names, accession, request.platform, request.several_platforms, folder)
    if chosen:
        return [Wanted(f"{folder}/{name}", destination / name) for name in chosen], ""
    several = [False, True] if request.several_platforms is None else [request.several_platforms]
    for name in (matrix_name(accession, request.platform, each) for each in several):
        wanted = Wanted(f"{folder}/{name}", destination / name, optional=True)
        if is_remote(base) and _fetched([wanted], settings):
            return [wanted], ""
    return [family], fault


def _platform_files(request: GeoSource, base: str, destination: Path) -> list[Wanted]:
    """Files that hold the platform table, in the order of preference."""
    platform, accession = request.platform, request.accession
    urls = [
        platform_url(base, platform),
        series_url(base, accession, "soft", family_name(accession)),
        platform_url(base, platform, "soft", family_name(platform)),
    ]
    return [Wanted(url, destination / url.rsplit("/", 1)[1], optional=True) for url in urls]


def read(request: GeoSource, folder: Path, tables: Mapping[str, str]) -> RawCohort:
    """Read a retrieved series as a raw cohort (see :mod:`.sources`).

    Returns
    -------
    RawCohort
        ``expression``: samples (GSM) x probes; ``exclusions``: samples of other platforms and further samples of a
        patient.

    Raises
    ------
    InputError
        Faults of the files with their line; no sample of the platform; faults of the user's clinical table.
    """
    folder = Path(folder)
    provenance = {Path(row["path"]).name: row for row in read_provenance(folder)}
    names = choose(provenance, request.accession, request.platform, request.several_platforms, str(folder))
    names = names or [family_name(request.accession)]
    if names[0] not in provenance:
        raise InputError(f"{folder}: neither a series matrix nor a SOFT family of {request.accession} in it")
    matrix, exclusions, steps = _joined_parts(request, [folder / name for name in names])
    table = next(
        (name for file in _platform_files(request, "", folder) if (name := file.destination.name) in provenance), None
    )
    if table is None:
        raise InputError(f"{folder}: no platform table of {request.platform}; retrieve it again")
    described = describe(request, matrix.samples, tables, list(matrix.expression.index))
    rows = [provenance[name] for name in dict.fromkeys([*names, table])]
    rows += [{**asdict(local_record(path)), "licence": ""} for path in tables.values()]
    kept = [name for name in matrix.expression.index if name in described.clinical.index]
    return RawCohort(
        expression=matrix.expression if len(kept) == len(matrix.expression) else matrix.expression.loc[kept],
        scale=request.scale,
        gene_ids="probe",
        clinical=described.clinical,
        patients=described.patients,
        gene_map=parse_platform(folder / table, request.platform),
        exclusions=[*exclusions, *described.exclusions],
        provenance=rows,
        steps=[*_series_steps(request, matrix), *steps, *described.steps],
        origin=f"{request.accession} ({folder / names[0]})",
        array=True,
    )


def _joined_parts(
    request: GeoSource, paths: list[Path]
) -> tuple[SeriesMatrix, list[dict[str, str]], list[dict[str, Any]]]:
    """All parts of a series as one, samples of the platform only."""
    family = paths[0].name == family_name(request.accession)
    parts = [parse_family(path, request.platform) if family else parse_series_matrix(path) for path in paths]
    exclusions: list[dict[str, str]] = []
    for path, part in zip(paths, parts, strict=True):
        exclusions += _keep_platform(part, request, path)
    if len(parts) == 1:
        return parts[0], exclusions, []
    samples = pd.concat([part.samples for part in parts]).fillna("")
    twice = sorted(set(samples.index[samples.index.duplicated()]))
    if twice:
        raise InputError(f"{paths[0].parent}: samples in several of {shown([p.name for p in paths])}: {shown(twice)}")
    expression = pd.concat([part.expression for part in parts])
    shared = set(parts[0].expression.columns).intersection(*(part.expression.columns for part in parts[1:]))
    detail = f"{len(parts)} files, joined by samples; {len(shared)} of {expression.shape[1]} probes are in all of them"
    notes = [note for part in parts for note in part.notes]
    whole = SeriesMatrix(samples, expression, platform_of(samples), parts[0].series, notes)
    return (
        whole,
        exclusions,
        [step("parts of the series matrix", detail, sum(len(p.samples) for p in parts), len(samples))],
    )


def _keep_platform(part: SeriesMatrix, request: GeoSource, path: Path) -> list[dict[str, str]]:
    """Leave the samples of other platforms out, in place; they are listed."""
    if "platform_id" not in part.samples:
        return []
    of = part.samples["platform_id"]
    there = sorted(set(of) - {""})
    if there and request.platform not in there:
        raise InputError(
            f"{path}: its samples are of {shown(there)}, the study says platform: {request.platform}; correct the study"
        )
    other = of.index[(of != request.platform) & (of != "")]
    if len(other):
        part.samples = part.samples.drop(index=other)
        part.expression = part.expression.drop(index=other, errors="ignore")
        part.platform = request.platform
    return [{"patient": str(name), "reason": f"sample of another platform ({of[name]})"} for name in other]


def _series_steps(request: GeoSource, matrix: SeriesMatrix) -> list[dict[str, Any]]:
    told = {key: "; ".join(matrix.series.get(key, [])) for key in ("title", "pubmed_id", "type")}
    said = [f"{key}: {text}" for key, text in told.items() if text]
    steps = [step("series", f"{request.accession}; {'; '.join(said)}")] if said else []
    steps += [step("notes on the file", note) for note in matrix.notes]
    channels = matrix.samples["channel_count"] if "channel_count" in matrix.samples else pd.Series(dtype=object)
    two = int((channels == "2").sum())
    if two:
        detail = f"{two} of {len(channels)} samples have two colours: values are ratios, mostly log2"
        steps.append(step("two-colour arrays", detail))
    return steps
