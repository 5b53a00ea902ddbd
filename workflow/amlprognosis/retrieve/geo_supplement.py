"""Supplementary matrices of GEO series (RNA-seq): the matrix in suppl/, the samples in the series matrix.

References
----------
Layout of suppl/ and matrix/: https://www.ncbi.nlm.nih.gov/geo/info/download.html
"""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from amlprognosis.cohort import RawCohort, shown, step
from amlprognosis.errors import InputError
from amlprognosis.retrieve.archives import is_archive
from amlprognosis.retrieve.count_files import read_count_archive
from amlprognosis.retrieve.download import (
    FileRecord,
    Planned,
    Wanted,
    fetch_all,
    is_remote,
    local_record,
    read_provenance,
    write_provenance,
)
from amlprognosis.retrieve.geo import LICENCE
from amlprognosis.retrieve.geo_layout import series_url
from amlprognosis.retrieve.geo_patients import describe
from amlprognosis.retrieve.sample_names import match_columns
from amlprognosis.retrieve.series_samples import folder_names, matrix_names, matrix_urls, read_samples
from amlprognosis.retrieve.supplement_tables import SupplementTable, read_supplement
from amlprognosis.study import GeoSupplementSource, Retrieval


def plan(request: GeoSupplementSource, base: str, destination: Path) -> list[Planned]:
    """Say without network what a retrieval would fetch (see :mod:`.sources`)."""
    name = f"-{request.platform}" if request.platform else ""
    matrix = f"{request.accession}{name}_series_matrix.txt.gz"
    return [
        Planned(
            series_url(base, request.accession, "suppl", request.supplement),
            "supplementary matrix",
            str(destination),
        ),
        Planned(
            series_url(base, request.accession, "matrix", matrix),
            "series matrix (samples)",
            str(destination / matrix),
        ),
    ]


def retrieve(request: GeoSupplementSource, base: str, destination: Path, settings: Retrieval) -> list[FileRecord]:
    """Bring the supplement and the series matrix to a folder (see :mod:`.sources`).

    Raises
    ------
    InputError
        No file in suppl/ or several match ``supplement``; no series matrix (of the platform); a damaged file.
    """
    destination = Path(destination)
    folder = series_url(base, request.accession, "suppl")
    supplement = _one_supplement(request, _listed(request, folder, destination, settings), folder)
    matrices = matrix_urls(base, request.accession, destination, settings, request.platform)
    wanted = [Wanted(f"{folder}/{supplement}", destination / supplement)]
    wanted += [Wanted(url, destination / url.rsplit("/", 1)[1]) for url in matrices]
    records = [record for record in fetch_all(wanted, settings) if record is not None]
    write_provenance(destination, records, LICENCE)
    return records


def _listed(request: GeoSupplementSource, folder: str, destination: Path, settings: Retrieval) -> list[str]:
    """Files of suppl/; a full name needs no list, which not every server gives."""
    try:
        return folder_names(folder, destination, settings)
    except InputError:
        if any(mark in request.supplement for mark in "*?[") or not is_remote(folder):
            raise
        return [request.supplement]


def _one_supplement(request: GeoSupplementSource, names: list[str], origin: str) -> str:
    found = sorted(name for name in names if fnmatch.fnmatchcase(name, request.supplement))
    if len(found) == 1:
        return found[0]
    if found:
        raise InputError(
            f"{origin}: several files match supplement: {request.supplement}: {shown(found, 20)}; name one of them"
        )
    near = difflib.get_close_matches(request.supplement, names, n=3, cutoff=0.4)
    hint = f" Nearest: {shown(near)}." if near else ""
    raise InputError(
        f"{origin}: no file matches supplement: {request.supplement}.{hint} The files there: "
        f"{shown(sorted(names), 30) or 'none'}"
    )


def read(request: GeoSupplementSource, folder: Path, tables: Mapping[str, str]) -> RawCohort:
    """Read a retrieved supplement as a raw cohort (see :mod:`.sources`).

    Returns
    -------
    RawCohort
        ``expression``: samples (GSM) x genes, as the file writes them; fractional counts (RSEM) stay as they are.
        ``exclusions``: columns that are no sample. Samples without a column stay in ``clinical``, and are counted when
        patients are joined.

    Raises
    ------
    InputError
        Faults of the matrix with their line; columns that no field of the series names.
    """
    folder = Path(folder)
    provenance = read_provenance(folder)
    names = [Path(row["path"]).name for row in provenance]
    matrices = matrix_names(request.accession, names, request.platform, str(folder))
    path = folder / _one_supplement(request, [name for name in names if name not in matrices], str(folder))
    samples = read_samples([folder / name for name in matrices])
    if is_archive(path.name):
        table, notes = read_count_archive(path, request.scale)
    else:
        table = read_supplement(path, gene_column=request.gene_column, annotation_columns=request.annotation_columns)
        notes = []
    expression, exclusions, matched = _samples_of(table, samples, request, path)
    described = describe(request, samples, tables, list(expression.index))
    rows = [row for row in provenance if Path(row["path"]).name in {path.name, *matrices}]
    rows += [{**asdict(local_record(own)), "licence": ""} for own in tables.values()]
    return RawCohort(
        expression=expression.loc[[name for name in expression.index if name in described.clinical.index]],
        scale=request.scale,
        gene_ids=request.gene_ids,
        clinical=described.clinical,
        patients=described.patients,
        gene_map=table.symbols if request.gene_ids != "symbol" else None,
        exclusions=[*exclusions, *described.exclusions],
        provenance=rows,
        steps=[*notes, *_notes(table, request.scale), *matched, *described.steps],
        origin=f"{request.accession} ({path})",
        array=request.gene_ids == "probe",
    )


def _samples_of(
    table: SupplementTable, samples: pd.DataFrame, request: GeoSupplementSource, path: Path
) -> tuple[pd.DataFrame, list[dict[str, str]], list[dict[str, Any]]]:
    """Rows named by sample; columns that name none are left out and listed."""
    columns = [str(name) for name in table.values.columns]
    match = match_columns(columns, samples, request.sample_field, str(path))
    kept = [name for name in columns if name in match.samples]
    expression = table.values[kept].T
    expression.index = pd.Index([match.samples[name] for name in kept], dtype=object)
    reason = "column of the matrix that names no sample of the series"
    exclusions = [{"patient": name, "reason": reason} for name in columns if name not in match.samples]
    lacking = len(samples) - len(kept)
    detail = f"columns named by {match.field}, {match.how}; {lacking} samples of the series have no column"
    return expression, exclusions, [step("samples of the matrix", detail, len(columns), len(kept), reason)]


def _notes(table: SupplementTable, scale: str) -> list[dict[str, Any]]:
    steps = []
    n = len(table.values) + table.counters
    if table.counters:
        steps.append(step("counter rows", "__no_feature, N_unmapped and the like", n, n - table.counters, "no genes"))
    values = table.values.to_numpy()
    fractions = int((values % 1 > 0).any(axis=1).sum()) if scale == "counts" else 0
    if fractions:
        detail = f"{fractions} of {len(values)} genes have fractional (expected) counts; kept as they are"
        steps.append(step("fractional counts", detail))
    return steps
