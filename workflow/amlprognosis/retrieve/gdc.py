"""GDC projects: STAR-counts files, clinical data and MAF files."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from amlprognosis.cohort import RawCohort, shown, step
from amlprognosis.errors import InputError
from amlprognosis.genomics.maf import mutation_matrix, read_maf
from amlprognosis.retrieve.download import (
    FileRecord,
    exists,
    fetch,
    is_remote,
    join,
    local_path,
    read_provenance,
    write_provenance,
)
from amlprognosis.retrieve.files import read_text
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
COUNT_COLUMNS = (
    "unstranded",
    "stranded_first",
    "stranded_second",
    "tpm_unstranded",
    "fpkm_unstranded",
    "fpkm_uq_unstranded",
)
SUMMARY_ROWS = ("N_unmapped", "N_multimapping", "N_noFeature", "N_ambiguous")
# TCGA/TARGET sample type codes: primary solid, blood, marrow; recurrent solid, blood, marrow; 10-19 are normal tissue.
PRIMARY_CODES = ("01", "03", "09")
RECURRENT_CODES = ("02", "04", "40")

DEFAULT_CLINICAL = Clinical(
    os_time=TimeColumn(column="os_days", unit="days"),
    os_event=EventColumn(column="vital_status", dead=["Dead", "dead"], alive=["Alive", "alive"]),
    age=AgeColumn(column="age_at_diagnosis", unit="days"),
    sex=SexColumn(column="sex"),
    risk=RiskColumn(column="eln_risk_classification", system="ELN"),
)


@dataclass(frozen=True)
class GdcFile:
    """A file of a project as ``files.json`` lists it."""

    file_id: str
    name: str
    md5: str
    kind: str  # "counts" or "maf"
    cases: tuple[str, ...]
    sample: str
    sample_type: str
    aliquot: str


def _hits(path: str | Path) -> list[dict[str, Any]]:
    """Hits of a GDC answer, or of a plain list."""
    try:
        answer = json.loads(read_text(path))
    except ValueError as error:
        raise InputError(f"{path}: not valid JSON ({error}); retrieve it again") from None
    if isinstance(answer, Mapping) and "message" in answer and "data" not in answer:
        raise InputError(f"{path}: the GDC answered with an error: {answer['message']}")
    hits = answer.get("data", {}).get("hits") if isinstance(answer, Mapping) else answer
    if not isinstance(hits, list) or not all(isinstance(hit, Mapping) for hit in hits):
        raise InputError(f"{path}: no list data.hits in it; save the answer of the GDC API here")
    pages = answer.get("data", {}).get("pagination", {}) if isinstance(answer, Mapping) else {}
    if isinstance(pages.get("total"), int) and pages["total"] > len(hits):
        raise InputError(f"{path}: {len(hits)} of {pages['total']} hits; ask with a larger size")
    return [dict(hit) for hit in hits]


def list_files(path: str | Path, project: str) -> list[GdcFile]:
    """STAR-counts and MAF files of a project, from the answer of ``/files``.

    Raises
    ------
    InputError
        No STAR-counts file, a file without id, name or case, or an unsafe name.
    """
    files = []
    for number, hit in enumerate(_hits(path), start=1):
        kind = _kind(hit)
        cases = [case for case in hit.get("cases") or [] if isinstance(case, Mapping)]
        projects = {case["project"].get("project_id") for case in cases if isinstance(case.get("project"), Mapping)}
        if kind is None or (projects and project not in projects):
            continue
        file_id, name = hit.get("file_id") or hit.get("id"), hit.get("file_name")
        ids = tuple(sorted({str(case["submitter_id"]) for case in cases if case.get("submitter_id")}))
        if not file_id or not name or not ids:
            raise InputError(
                f"{path}: hit {number}: file_id, file_name or cases.submitter_id is missing; ask for these fields"
            )
        if not re.fullmatch(r"[A-Za-z0-9_.-]+", str(file_id)) or not re.fullmatch(r"[A-Za-z0-9_.-]+", str(name)):
            raise InputError(f"{path}: hit {number}: {file_id}/{name} is not a plain file name")
        sample: Mapping[str, Any] = next((item for case in cases for item in case.get("samples") or []), {})
        files.append(
            GdcFile(
                str(file_id),
                str(name),
                str(hit.get("md5sum") or ""),
                kind,
                ids,
                str(sample.get("submitter_id") or ids[0]),
                str(sample.get("sample_type") or ""),
                _aliquot(sample, hit),
            )
        )
    if not any(file.kind == "counts" for file in files):
        raise InputError(
            f"{path}: no STAR-counts file of project {project}; ask for data_type 'Gene Expression Quantification' and "
            "analysis.workflow_type 'STAR - Counts'"
        )
    return sorted(files, key=lambda file: (file.kind, file.sample, file.file_id))


def _kind(hit: Mapping[str, Any]) -> str | None:
    name = str(hit.get("file_name") or "")
    if name.endswith((".augmented_star_gene_counts.tsv", ".augmented_star_gene_counts.tsv.gz")):
        return "counts"
    return "maf" if name.endswith((".maf", ".maf.gz")) else None


def _aliquot(sample: Mapping[str, Any], hit: Mapping[str, Any]) -> str:
    entities = [
        str(e.get("entity_submitter_id")) for e in hit.get("associated_entities") or [] if isinstance(e, Mapping)
    ]
    for portion in sample.get("portions") or []:
        for analyte in portion.get("analytes") or []:
            entities += [str(item.get("submitter_id")) for item in analyte.get("aliquots") or []]
    return min((entity for entity in entities if entity and entity != "None"), default="")


def project_base(base: str, project: str) -> str:
    """Folder of a project below a local mirror: ``<base>/<project>`` when it is there, else ``<base>`` itself."""
    inner = join(base, project)
    return inner if exists(join(inner, "files.json")) else base


def retrieve_gdc(base: str, project: str, destination: str | Path) -> list[FileRecord]:
    """Bring clinical data, STAR-counts and MAF files of a project to a folder, and write ``PROVENANCE.json``.

    Parameters
    ----------
    base : str
        A folder (or ``file://``) that holds ``files.json``, ``cases.json`` (the answers of ``/files`` and ``/cases``)
        and
        ``data/<uuid>/<name>``, for one project, or one such folder per project.
    project : str
        Such as TCGA-LAML.
    destination : path
        ``results/retrieved/gdc/<project>``; gets the same layout.

    Raises
    ------
    InputError
        A missing or damaged file, a wrong md5, no STAR-counts file.
    """
    destination = Path(destination)
    if is_remote(base):
        raise InputError(
            f"{base}: this version does not retrieve over the network. Save the answers of {base}/files and "
            f"{base}/cases for "
            f"{project} as files.json and cases.json, and the files as data/<uuid>/<file name>, in a folder of "
            f"yours, and "
            "name it as base_url of the source"
        )
    base = project_base(local_path(base), project)
    records = [fetch(join(base, name), destination / name) for name in ("files.json", "cases.json")]
    for file in list_files(destination / "files.json", project):
        target = destination / "data" / file.file_id / file.name
        records.append(fetch(join(base, "data", file.file_id, file.name), target, md5=file.md5 or None))
    write_provenance(destination, records, LICENCE)
    return records


def parse_star_counts(path: str | Path, column: str = "unstranded") -> pd.DataFrame:
    """Parse a STAR-counts file.

    Parameters
    ----------
    path : path
        ``*.rna_seq.augmented_star_gene_counts.tsv[.gz]``.
    column : str
        One of ``COUNT_COLUMNS``.

    Returns
    -------
    DataFrame of shape (n_genes, 2)
        Columns ``gene_name`` and ``value``; index = gene id as in the file. The ``N_`` rows are dropped.

    Raises
    ------
    InputError
        Not such a file, a row without value, a negative or (for counts) broken value, a repeated gene.
    """
    if column not in COUNT_COLUMNS:
        raise InputError(f"{column!r}: no column of STAR-counts files; known: {', '.join(COUNT_COLUMNS)}")
    text = read_text(path)
    start = 0
    while text.startswith("#", start):
        start = text.find("\n", start) + 1
        if start == 0:
            raise InputError(f"{path}: only comments; retrieve it again")
    header = text[start : text.find("\n", start)].split("\t")
    absent = [name for name in ("gene_id", "gene_name", column) if name not in header]
    if absent:
        raise InputError(f"{path}: not a STAR-counts file: no column {shown(absent)}; its header is {shown(header)}")
    if not text.endswith("\n"):
        raise InputError(f"{path}: the last line is not ended: the file is cut off; retrieve it again")
    try:
        frame = pd.read_csv(
            io.StringIO(text[start:]),
            sep="\t",
            usecols=["gene_id", "gene_name", column],
            dtype={"gene_id": str, "gene_name": str, column: np.float64},
            keep_default_na=False,
            na_values={column: [""]},
            quoting=3,
        )
    except (ValueError, pd.errors.ParserError) as error:
        raise InputError(f"{path}: {' '.join(str(error).split())}; retrieve it again") from None
    frame = frame.set_index("gene_id")[["gene_name", column]].set_axis(["gene_name", "value"], axis=1)
    frame = frame[~frame.index.str.startswith("N_")]
    values = frame["value"].to_numpy()
    wrong = ~np.isfinite(values) | (values < 0)
    if not column.startswith(("tpm", "fpkm")):
        wrong |= values != np.floor(values)
    if frame.empty or wrong.any():
        where = f"gene {frame.index[wrong][0]} has no valid {column} value" if wrong.any() else "no genes"
        raise InputError(f"{path}: {where}; retrieve it again")
    if not frame.index.is_unique or "" in frame.index:
        raise InputError(f"{path}: a gene is repeated or has no id; retrieve it again")
    return frame


def sample_rank(file: GdcFile) -> int | None:
    """Rank of a sample: 0 primary, 1 recurrent, 2 other tumour; None for normal tissue."""
    text = file.sample_type.lower()
    if "normal" in text:
        return None
    if text.startswith(("primary", "recurrent")):
        return 0 if text.startswith("primary") else 1
    match = re.search(r"-(\d\d)[A-Z]?$", file.sample)
    code = match[1] if match else "01"
    if "10" <= code <= "19":
        return None
    return 0 if code in PRIMARY_CODES else 1 if code in RECURRENT_CODES else 2


def choose_samples(files: Iterable[GdcFile]) -> tuple[list[GdcFile], list[dict[str, str]]]:
    """One STAR-counts file per patient: primary before recurrent, then the first by aliquot, sample and file id.

    Returns
    -------
    chosen : list of GdcFile
        Sorted by patient.
    exclusions : list of dict
        ``{"patient", "reason"}`` for every file that was passed over; ``patient`` is the sample (or aliquot),
        because the
        patient may well be in the cohort by another sample.
    """
    by_patient: dict[str, list[tuple[int, str, str, str, GdcFile]]] = {}
    left_out = []
    for file in files:
        rank = sample_rank(file)
        patient = file.cases[0]
        if rank is None:
            left_out.append({"patient": file.aliquot or file.sample, "reason": "normal tissue"})
        else:
            by_patient.setdefault(patient, []).append((rank, file.aliquot, file.sample, file.file_id, file))
    chosen = []
    for patient in sorted(by_patient):
        first, *others = sorted(by_patient[patient], key=lambda item: item[:4])
        chosen.append(first[4])
        left_out += [{"patient": item[1] or item[2], "reason": "further sample of a patient"} for item in others]
    return chosen, left_out


def flatten_cases(path: str | Path, project: str) -> pd.DataFrame:
    """Clinical data of a project, a row per case.

    Parameters
    ----------
    path : path
        The answer of ``/cases?expand=demographic,diagnoses,follow_ups``.
    project : str
        Cases of other projects are left out.

    Returns
    -------
    DataFrame of str
        Index = case id. The leaves of demographic, of the diagnosis (the primary one, else the first) and of laboratory
        tests are columns; ``os_days`` is days_to_death of the dead and the last known follow-up of the others;
        ``sex`` is
        sex_at_birth or gender. The columns of ``DEFAULT_CLINICAL`` always exist.
    """
    rows: dict[str, dict[str, str]] = {}
    for number, case in enumerate(_hits(path), start=1):
        owner = case.get("project")
        if isinstance(owner, Mapping) and owner.get("project_id") not in (None, project):
            continue
        patient = case.get("submitter_id")
        if not patient:
            raise InputError(f"{path}: hit {number}: submitter_id is missing")
        if patient in rows:
            raise InputError(f"{path}: case {patient} is listed twice; retrieve it again")
        rows[str(patient)] = _case_row(case)
    if not rows:
        raise InputError(f"{path}: no case of project {project}")
    table = pd.DataFrame.from_dict(rows, orient="index", dtype=object).fillna("")
    for column in ("os_days", "vital_status", "age_at_diagnosis", "sex", "eln_risk_classification"):
        if column not in table:
            table[column] = ""
    return table.sort_index()


def _case_row(case: Mapping[str, Any]) -> dict[str, str]:
    demographic = case.get("demographic") or {}
    diagnoses = [item for item in case.get("diagnoses") or [] if isinstance(item, Mapping)]
    follow_ups = [item for item in case.get("follow_ups") or [] if isinstance(item, Mapping)]
    primary = [d for d in diagnoses if str(d.get("diagnosis_is_primary_disease", "")).lower() == "true"]
    diagnosis = (primary or diagnoses or [{}])[0]
    row: dict[str, str] = {}
    for part in (demographic, diagnosis):
        for key, value in part.items():
            if isinstance(value, str | int | float) and key not in row:
                row[key] = str(value)
    for part in (*follow_ups, diagnosis):
        for test in part.get("molecular_tests") or []:
            name, value = test.get("laboratory_test"), test.get("test_value")
            if name and value is not None:
                row.setdefault(re.sub(r"\W+", "_", str(name).strip().lower()).strip("_"), str(value))
    times = [d.get("days_to_last_follow_up") for d in diagnoses] + [f.get("days_to_follow_up") for f in follow_ups]
    known = [float(t) for t in times if isinstance(t, int | float) and not isinstance(t, bool)]
    dead = str(demographic.get("vital_status", "")).lower() == "dead"
    days = demographic.get("days_to_death") if dead else max(known, default=None)
    row["os_days"] = "" if days is None else str(days)
    row["sex"] = str(demographic.get("sex_at_birth") or demographic.get("gender") or "")
    return row


def read_gdc_project(folder: str | Path, project: str | None = None) -> RawCohort:
    """Read a retrieved GDC project.

    Parameters
    ----------
    folder : path
        As :func:`retrieve_gdc` leaves it.
    project : str, optional
        Its id; the folder's name by default.

    Returns
    -------
    RawCohort
        Counts of one primary sample per patient. Version suffixes of Ensembl ids are cut; ``_PAR_Y`` rows (the Y copy
        of
        pseudoautosomal genes, zero where the Y copy was masked) are added to the X copy.
    """
    folder = Path(folder)
    project = project or folder.name
    files = list_files(folder / "files.json", project)
    counted = [file for file in files if file.kind == "counts"]
    chosen, left_out = choose_samples(counted)
    if not chosen:
        raise InputError(f"{folder}: no tumour sample among {len(counted)} STAR-counts files")
    ids, names, matrix = _read_counts(folder, chosen)
    counts, gene_map, merged = merge_par(ids, names, matrix, [file.cases[0] for file in chosen])
    clinical = flatten_cases(folder / "cases.json", project)
    steps = [
        step(
            "one sample per patient",
            "primary before recurrent, then the first aliquot",
            len(counted),
            len(chosen),
            "a patient counts once; normal tissue is no tumour",
        ),
        step(
            "PAR_Y genes",
            "added to the X copy of the gene",
            len(ids),
            counts.shape[1],
            f"{merged} Y copies of pseudoautosomal genes",
        ),
    ]
    maf_files = [file for file in files if file.kind == "maf"]
    mutations = None
    tested: frozenset[str] = frozenset()
    if maf_files:
        variants = [read_maf(folder / "data" / file.file_id / file.name) for file in maf_files]
        tested = frozenset(case for file in maf_files for case in file.cases)
        patient_of = {case: case for case in clinical.index}
        mutations, more, report = mutation_matrix(pd.concat(variants, ignore_index=True), patient_of, tested=tested)
        tested = more
        steps += report
    patients = pd.Series({**{c: c for c in clinical.index}, **{file.cases[0]: file.cases[0] for file in chosen}})
    return RawCohort(
        expression=counts,
        scale="counts",
        gene_ids="ensembl",
        clinical=clinical,
        patients=patients,
        gene_map=gene_map,
        mutations=mutations,
        tested=tested,
        exclusions=left_out,
        provenance=read_provenance(folder),
        steps=steps,
        origin=f"GDC {project} ({folder})",
        clinical_origin=f"GDC {project} ({folder / 'cases.json'})",
    )


def _read_counts(folder: Path, chosen: list[GdcFile]) -> tuple[pd.Index, np.ndarray, np.ndarray]:
    matrix, ids, names = np.empty((0, 0)), pd.Index([]), np.empty(0)
    for position, file in enumerate(chosen):
        path = folder / "data" / file.file_id / file.name
        frame = parse_star_counts(path)
        if position == 0:
            ids, names = frame.index, frame["gene_name"].to_numpy()
            matrix = np.empty((len(chosen), len(ids)))
        elif not frame.index.equals(ids):
            if set(frame.index) != set(ids):
                differ = sorted(set(frame.index) ^ set(ids))
                raise InputError(
                    f"{path}: other genes than {chosen[0].name}: {shown(differ)}; files of one release only, "
                    f"retrieve again"
                )
            frame = frame.reindex(ids)
        matrix[position] = frame["value"].to_numpy()
    return ids, names, matrix


def merge_par(
    ids: pd.Index, names: np.ndarray, matrix: np.ndarray, patients: list[str]
) -> tuple[pd.DataFrame, pd.Series, int]:
    """Cut the version suffix of Ensembl ids and add ``_PAR_Y`` rows to the X copy.

    Returns
    -------
    counts : DataFrame of shape (n_patients, n_genes)
    gene_map : Series
        Gene name by Ensembl id without version.
    merged : int
        Number of ``_PAR_Y`` rows.
    """
    par = ids.str.endswith("_PAR_Y")
    bare = ids.str.replace(r"_PAR_Y$", "", regex=True).str.replace(r"\.\d+$", "", regex=True)
    codes, unique = pd.factorize(bare)
    counts = np.zeros((matrix.shape[0], len(unique)))
    np.add.at(counts.T, codes, matrix.T)
    gene_map = pd.Series(names, index=bare)[~pd.Index(bare).duplicated()].reindex(unique)
    return pd.DataFrame(counts, index=pd.Index(patients), columns=pd.Index(unique)), gene_map, int(par.sum())


def retrieve(request: GdcSource, base: str, destination: Path, settings: Retrieval) -> list[FileRecord]:
    """Bring the files of a project to a folder (see :mod:`.sources`)."""
    return retrieve_gdc(base, request.project, destination)


def read(request: GdcSource, folder: Path, tables: Mapping[str, str]) -> RawCohort:
    """Read a retrieved project as a raw cohort (see :mod:`.sources`)."""
    return read_gdc_project(folder, request.project)
