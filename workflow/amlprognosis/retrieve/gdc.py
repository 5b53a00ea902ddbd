"""GDC projects: STAR-counts files, clinical data and MAF files, over the network or from a folder laid out alike."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from amlprognosis.cohort import RawCohort, shown, step
from amlprognosis.errors import InputError
from amlprognosis.genomics.maf import match_barcode, mutation_matrix, read_maf
from amlprognosis.retrieve.download import (
    FileRecord,
    Planned,
    Wanted,
    exists,
    fetch_all,
    is_remote,
    join,
    local_path,
    read_provenance,
    write_provenance,
)
from amlprognosis.retrieve.gdc_api import CASES, FILES, STATUS, bring_lists, release
from amlprognosis.retrieve.gdc_batches import bring_files
from amlprognosis.retrieve.gdc_clinical import flatten_cases
from amlprognosis.retrieve.gdc_files import (
    OTHER,
    RECURRENT,
    GdcFile,
    barcode_code,
    choose_samples,
    code_rank,
    list_files,
)
from amlprognosis.retrieve.star_counts import VALUE_COLUMNS, read_matrix
from amlprognosis.study import (
    AgeColumn,
    Clinical,
    EventColumn,
    GdcSource,
    Retrieval,
    RiskColumn,
    SexColumn,
    TimeColumn,
)

LICENCE = "Open-access GDC data; cite the project's publication and the GDC"

DEFAULT_CLINICAL = Clinical(
    os_time=TimeColumn(column="os_days", unit="days"),
    os_event=EventColumn(column="vital_status", dead=["Dead", "dead"], alive=["Alive", "alive"]),
    age=AgeColumn(column="age_at_diagnosis", unit="days"),
    sex=SexColumn(column="sex"),
    risk=RiskColumn(column="eln_risk_classification", system="ELN"),
)


def project_base(base: str, project: str) -> str:
    """Folder of a project below a local mirror: ``<base>/<project>`` when it is there, else ``<base>`` itself."""
    inner = join(base, project)
    return inner if exists(join(inner, FILES)) else base


def retrieve(request: GdcSource, base: str, destination: Path, settings: Retrieval) -> list[FileRecord]:
    """Bring clinical data, STAR-counts and MAF files of a project to a folder, and write ``PROVENANCE.json``.

    Parameters
    ----------
    request : GdcSource
        The project; ``mutations`` says whether MAF files are fetched, too.
    base : str
        The API (``https://api.gdc.cancer.gov``), or a folder that holds ``files.json``, ``cases.json`` (answers of
        ``/files`` and ``/cases``) and ``data/<uuid>/<name>``, for one project, or one such folder per project.
    destination : path
        ``results/retrieved/gdc/<project>``; gets that layout, and ``status.json`` with the data release. What is there
        already stands for the download and is checked all the same.
    settings : Retrieval
        How files are retrieved.

    Returns
    -------
    list of FileRecord

    Raises
    ------
    InputError
        A missing or damaged file, a wrong md5, no STAR-counts file, none with open access.
    """
    destination = Path(destination)
    if not is_remote(base):
        base = project_base(local_path(base), request.project)
    records = bring_lists(base, request.project, destination, settings)
    files = _wanted(destination, request)
    if is_remote(base):
        urls = [join(base, "data", file.file_id) for file in files]
    else:
        urls = [join(base, "data", file.file_id, file.name) for file in files]
    wanted = [
        Wanted(url, _path(destination, file), md5=file.md5 or None, size=file.size)
        for url, file in zip(urls, files, strict=True)
    ]
    if is_remote(base):
        records += bring_files(base, wanted, settings)
    else:
        records += [record for record in fetch_all(wanted, settings) if record]
    named = release(destination)
    write_provenance(destination, records, f"{LICENCE}; {named}" if named else LICENCE)
    return records


def _wanted(folder: Path, request: GdcSource) -> list[GdcFile]:
    """Files of a project that a study reads and everybody may download."""
    listed = list_files(folder / FILES, request.project)
    kinds = ("counts", "maf") if request.mutations else ("counts",)
    wanted = [file for file in listed if file.open and file.kind in kinds]
    if not any(file.kind == "counts" for file in wanted):
        closed = sum(file.kind == "counts" for file in listed)
        raise InputError(
            f"{folder / 'files.json'}: all {closed} STAR-counts files of {request.project} have controlled access and "
            "cannot be downloaded without authorisation; use the project's published tables as a source of type tables"
        )
    return wanted


def plan(request: GdcSource, base: str, destination: Path) -> list[Planned]:
    """Say without network what a retrieval would fetch; how many files there are only the service knows."""
    destination = Path(destination)
    data = str(destination / "data")
    if not is_remote(base):
        base = project_base(local_path(base), request.project)
        lists = [(join(base, name), name) for name in (FILES, CASES)]
        pattern = join(base, "data", "{uuid}", "{name}")
    else:
        lists = [
            (join(base, "files"), FILES),
            (join(base, "cases"), CASES),
            (join(base, "status"), STATUS),
        ]
        pattern = join(base, "data", "{uuid}")
    what = {FILES: "list of files", CASES: "clinical data", STATUS: "data release"}
    planned = [Planned(url, what[name], str(destination / name)) for url, name in lists]
    planned.append(Planned(pattern, "STAR-counts files", data))
    if request.mutations:
        planned.append(Planned(pattern, "MAF files", data))
    return planned


def read(request: GdcSource, folder: Path, tables: Mapping[str, str]) -> RawCohort:
    """Read a retrieved GDC project.

    Parameters
    ----------
    request : GdcSource
        The project, the column of the STAR-counts files, and whether mutations are read.
    folder : path
        As :func:`retrieve` leaves it.
    tables : mapping
        Not used.

    Returns
    -------
    RawCohort
        Values of one sample per patient, primary before recurrent. Version suffixes of Ensembl ids are cut;
        ``_PAR_Y`` rows (the Y copy of pseudoautosomal genes) are added to the X copy.

    Raises
    ------
    InputError
        A file is missing, damaged, or not of the same gene model as the others; no tumour sample.
    """
    folder = Path(folder)
    provenance = read_provenance(folder)
    listed = list_files(folder / FILES, request.project)
    counted = [file for file in listed if file.kind == "counts"]
    chosen, left_out = choose_samples(counted)
    if not chosen:
        why = shown(sorted({item["reason"] for item in left_out}))
        raise InputError(f"{folder}: no tumour sample among {len(counted)} STAR-counts files ({why})")
    patients = [file.cases[0] for file in chosen]
    matrix, gene_map, steps = read_matrix(
        [_path(folder, file) for file in chosen], patients, VALUE_COLUMNS[request.values]
    )
    clinical, told = flatten_cases(folder / CASES, request.project)
    raw = RawCohort(
        expression=matrix,
        scale="counts" if request.values == "counts" else "tpm",
        gene_ids="ensembl",
        clinical=clinical,
        patients=pd.Series({name: name for name in [*clinical.index, *patients]}, dtype=object),
        gene_map=gene_map,
        exclusions=left_out,
        provenance=provenance,
        steps=[*_release_step(folder), _sample_step(counted, chosen), *steps, *told],
        origin=f"GDC {request.project} ({folder})",
        clinical_origin=f"GDC {request.project} ({folder / 'cases.json'})",
    )
    if request.mutations:
        _add_mutations(raw, folder, [file for file in listed if file.kind == "maf"])
    return raw


def _path(folder: Path, file: GdcFile) -> Path:
    return folder / "data" / file.file_id / file.name


def _release_step(folder: Path) -> list[dict[str, Any]]:
    named = release(folder)
    return [step("GDC data release", named)] if named else []


def _sample_step(counted: list[GdcFile], chosen: list[GdcFile]) -> dict[str, Any]:
    detail = "primary before recurrent, then the first aliquot"
    recurrent, other = (sum(file.rank == rank for file in chosen) for rank in (RECURRENT, OTHER))
    if recurrent or other:
        detail += f"; {recurrent} with a recurrent and {other} with another tumour sample only"
    why = "a patient counts once; normal tissue is no tumour"
    return step("one sample per patient", detail, len(counted), len(chosen), why)


def _add_mutations(raw: RawCohort, folder: Path, listed: list[GdcFile]) -> None:
    """Mutations of a project: a patient with an open MAF file was tested; primary samples before recurrent ones."""
    closed = sum(not file.open for file in listed)
    files = [file for file in listed if file.open and file.rank is not None]
    if len(files) < len(listed):
        raw.steps.append(
            step(
                "MAF files",
                f"{closed} with controlled access",
                len(listed),
                len(files),
                "not open, or no tumour sample",
            )
        )
    if not files:
        return
    variants = pd.concat([_variants(folder, file) for file in files], ignore_index=True)
    best: dict[str, int] = {}
    for file in files:
        for case, rank in zip(file.cases, file.ranks, strict=True):
            if rank is not None:
                best[case] = min(rank, best.get(case, rank))
    cases = {case: case for case in best}
    of = {barcode: match_barcode(barcode, cases) for barcode in set(variants["sample"])}
    # Samples of nobody here are left to mutation_matrix, which names them.
    least = variants["sample"].map(lambda barcode: best.get(of[barcode] or "", OTHER))
    kept = variants["rank"] <= least
    if not kept.all():
        raw.steps.append(
            step(
                "variants of further samples",
                "primary before recurrent samples of a patient",
                len(variants),
                int(kept.sum()),
                "variants gained at relapse are not known at diagnosis",
            )
        )
    raw.mutations, raw.tested, report = mutation_matrix(
        variants[kept].drop(columns="rank"), cases, tested=frozenset(best)
    )
    raw.steps += report


def _variants(folder: Path, file: GdcFile) -> pd.DataFrame:
    """Variants of a MAF file with the rank of their sample, by its barcode where that tells."""
    table = read_maf(_path(folder, file))
    codes = {barcode: barcode_code(barcode) for barcode in set(table["sample"])}
    ranks = {barcode: code_rank(code)[0] if code else file.rank for barcode, code in codes.items()}
    return table.assign(
        rank=table["sample"].map(lambda name: OTHER if ranks[name] is None else ranks[name]).astype(int)
    )
