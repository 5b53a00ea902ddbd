"""Files of a GDC project: what an answer of ``/files`` lists, and which sample of a patient is taken."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from amlprognosis.cohort import shown
from amlprognosis.errors import InputError
from amlprognosis.retrieve.barcodes import FURTHER, NORMAL
from amlprognosis.retrieve.barcodes import PRIMARY as PRIMARY_CODES
from amlprognosis.retrieve.barcodes import RECURRENT as RECURRENT_CODES
from amlprognosis.retrieve.gdc_json import Part, number, part, parts, read_hits, text

NO_PATIENT = "cell line, xenograft or control"
CONTROLLED = "controlled access"
POOLED = "file of several patients"
PRIMARY, RECURRENT, OTHER = 0, 1, 2
_DESCRIBED = {
    ("Gene Expression Quantification", "STAR - Counts"): "counts",
    ("Masked Somatic Mutation", "Aliquot Ensemble Somatic Variant Merging and Masking"): "maf",
}


@dataclass(frozen=True)
class GdcFile:
    """A file of a project as ``files.json`` lists it.

    Attributes
    ----------
    file_id, name : str
        UUID and file name.
    md5 : str
        Published checksum; empty where the list has none.
    size : int or None
        Bytes.
    kind : {"counts", "maf"}
        STAR-counts file or mutation annotation file.
    open : bool
        Whether it may be downloaded without authorisation.
    cases : tuple of str
        Patients.
    sample, aliquot : str
        The tumour sample (of a MAF with its normal), and the aliquot.
    ranks : tuple of int or None
        Per patient: 0 primary, 1 recurrent, 2 other tumour; None where no sample is a tumour of the patient.
    reason : str
        Why there is no tumour.
    """

    file_id: str
    name: str
    md5: str
    size: int | None
    kind: str
    open: bool
    cases: tuple[str, ...]
    sample: str
    aliquot: str
    ranks: tuple[int | None, ...]
    reason: str = ""

    @property
    def rank(self) -> int | None:
        """Best rank among the patients of the file."""
        return min((rank for rank in self.ranks if rank is not None), default=None)


def list_files(path: str | Path, project: str) -> list[GdcFile]:
    """STAR-counts and MAF files of a project, from the answer of ``/files``.

    Raises
    ------
    InputError
        No STAR-counts file, a file without id, name or case, an unsafe name, or a file that is listed twice.
    """
    files, older = [], 0
    for count, hit in enumerate(read_hits(path), start=1):
        place = f"{path}: hit {count}"
        name = text(hit, "file_name", place)
        older += name.endswith((".htseq.counts.gz", ".htseq.counts"))
        kind = _kind(name)
        described = _DESCRIBED.get(
            (text(hit, "data_type", place), text(part(hit, "analysis", place), "workflow_type", place))
        )
        if described and kind != described:
            raise InputError(
                f"{place}: {name!r} is described as one of the {described} files, which are called otherwise; retrieve "
                "the list again"
            )
        cases = parts(hit, "cases", place)
        projects = {text(part(case, "project", place), "project_id", place) for case in cases} - {""}
        if kind is None or (projects and project not in projects):
            continue
        files.append(_file(hit, kind, cases, place))
    twice = [file_id for file_id, times in Counter(file.file_id for file in files).items() if times > 1]
    if twice:
        raise InputError(f"{path}: files listed twice: {shown(twice)}; delete it and retrieve again")
    if not any(file.kind == "counts" for file in files):
        why = (
            f"it lists {older} HTSeq files of GDC releases before 32, which are no longer read; retrieve it again"
            if older
            else "ask for data_type 'Gene Expression Quantification' and analysis.workflow_type 'STAR - Counts'"
        )
        raise InputError(f"{path}: no STAR-counts file of project {project}; {why}")
    return sorted(files, key=lambda file: (file.kind, file.sample, file.file_id))


def _kind(name: str) -> str | None:
    if name.endswith((".augmented_star_gene_counts.tsv", ".augmented_star_gene_counts.tsv.gz")):
        return "counts"
    return "maf" if name.endswith((".maf", ".maf.gz")) else None


def _file(hit: Part, kind: str, cases: list[Part], place: str) -> GdcFile:
    file_id = text(hit, "file_id", place) or text(hit, "id", place)
    name, md5, size = text(hit, "file_name", place), text(hit, "md5sum", place), number(hit, "file_size", place)
    entities = [text(item, "entity_submitter_id", place) for item in parts(hit, "associated_entities", place)]
    samples = [sample for case in cases for sample in _samples(case, entities, place)]
    ids = tuple(sorted({sample.patient for sample in samples} - {""}))
    if not file_id or not ids:
        raise InputError(f"{place}: file_id or cases.submitter_id is missing; ask for these fields")
    for plain in (file_id, name):
        if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*", plain):
            raise InputError(f"{place}: {plain!r} is not a plain file name")
    if md5 and not re.fullmatch(r"[0-9a-fA-F]{32}", md5):
        raise InputError(f"{place}: md5sum {md5!r} is no MD5 checksum; retrieve the list again")
    access = text(hit, "access", place)
    if access not in ("", "open", "controlled"):
        raise InputError(f"{place}: access {access!r} is neither open nor controlled; retrieve the list again")
    # A MAF names the normal sample beside the tumour.
    best = min(samples, key=lambda sample: (_last(sample.rank), sample.aliquot, sample.name))
    ranks = {
        case: min(
            (sample.rank for sample in samples if sample.patient == case and sample.rank is not None), default=None
        )
        for case in ids
    }
    return GdcFile(
        file_id,
        name,
        md5.lower(),
        None if size is None else int(size),
        kind,
        access != "controlled",
        ids,
        best.name or ids[0],
        best.aliquot,
        tuple(ranks.values()),
        best.reason,
    )


@dataclass(frozen=True)
class _Sample:
    patient: str
    name: str
    aliquot: str
    rank: int | None
    reason: str


def _last(rank: int | None) -> int:
    return OTHER + 1 if rank is None else rank


def _samples(case: Part, entities: list[str], place: str) -> Iterable[_Sample]:
    """Samples of a case that a file was made of, with the first aliquot of each."""
    patient = text(case, "submitter_id", place)
    listed = parts(case, "samples", place) or [{}]
    for sample in listed:
        name = text(sample, "submitter_id", place)
        known = [item for item in entities if item and item.startswith(name or patient)]
        aliquot = min(known or _aliquots(sample, place), default="")
        yield _Sample(patient, name, aliquot, *sample_rank(sample, patient, place))


def _aliquots(sample: Part, place: str) -> Iterable[str]:
    for portion in parts(sample, "portions", place):
        for analyte in parts(portion, "analytes", place):
            for aliquot in parts(analyte, "aliquots", place):
                name = text(aliquot, "submitter_id", place)
                if name:
                    yield name


def barcode_code(barcode: str) -> str | None:
    """Sample type code of a TCGA or TARGET barcode: 03 of TCGA-AB-2803-03A-01T-0734-13; None where there is none."""
    match = re.search(r"^[^-]+-[^-]+(?:-[^-]+)??-(\d\d)[A-Z](?=-|$)", barcode)
    return match[1] if match else None


def code_rank(code: str) -> tuple[int | None, str]:
    """Rank of a sample type code, and the reason where it is no tumour of a patient.

    10 to 19 and 99 are normal, 20 to 29 controls, 50 to 69 cell lines and xenografts
    (https://gdc.cancer.gov/resources-tcga-users/tcga-code-tables/sample-type-codes).
    """
    if "10" <= code <= "19" or code == "99":
        return None, NORMAL
    if "20" <= code <= "29" or "50" <= code <= "69":
        return None, NO_PATIENT
    return PRIMARY if code in PRIMARY_CODES else RECURRENT if code in RECURRENT_CODES else OTHER, ""


def sample_rank(sample: Mapping[str, object], patient: str = "", place: str = "") -> tuple[int | None, str]:
    """Rank of a sample: 0 primary, 1 recurrent, 2 other tumour (post-treatment, not stated); None if no tumour.

    Parameters
    ----------
    sample : mapping
        ``sample_type`` decides; where it is missing ``tissue_type`` with ``tumor_descriptor``, which newer releases
        give in its place, else the sample type code in ``submitter_id``.
    patient : str
        TARGET-00-... names normal tissue and cell lines.
    place : str
        How errors call the sample.

    Returns
    -------
    rank : int or None
    reason : str
        Why it is None.
    """
    kind = text(sample, "sample_type", place).lower()
    tissue, state = (text(sample, key, place).lower() for key in ("tissue_type", "tumor_descriptor"))
    specimen = text(sample, "specimen_type", place).lower()
    if any(word in f"{kind} {specimen}" for word in ("cell line", "xenograft", "control", "cancer model", "organoid")):
        return None, NO_PATIENT
    if "normal" in kind or "granulocytes" in kind or tissue == "normal" or patient.startswith("TARGET-00-"):
        return None, NORMAL
    for described in (kind, state):
        if described.startswith("primary"):
            return PRIMARY, ""
        if described.startswith("recurren"):
            return RECURRENT, ""
    code = barcode_code(text(sample, "submitter_id", place))
    return code_rank(code) if code and not kind else (OTHER, "")


def choose_samples(files: Iterable[GdcFile]) -> tuple[list[GdcFile], list[dict[str, str]]]:
    """One STAR-counts file per patient: primary before recurrent, then the first by aliquot, sample and file id.

    Returns
    -------
    chosen : list of GdcFile
        Sorted by patient.
    exclusions : list of dict
        ``{"patient", "reason"}`` for every file that was passed over; ``patient`` is the aliquot (or the sample),
        because the patient may well be in the cohort by another sample.
    """
    by_patient: dict[str, list[GdcFile]] = {}
    left_out = []
    for file in files:
        reason = CONTROLLED if not file.open else POOLED if len(file.cases) > 1 else file.reason
        if reason or file.rank is None:
            left_out.append({"patient": file.aliquot or file.sample, "reason": reason or NORMAL})
        else:
            by_patient.setdefault(file.cases[0], []).append(file)
    chosen = []
    for patient in sorted(by_patient):
        first, *others = sorted(by_patient[patient], key=_order)
        chosen.append(first)
        left_out += [{"patient": file.aliquot or file.sample, "reason": FURTHER} for file in others]
    return chosen, left_out


def _order(file: GdcFile) -> tuple[int, str, str, str]:
    return (_last(file.rank), file.aliquot, file.sample, file.file_id)
