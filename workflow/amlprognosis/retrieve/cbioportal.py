"""cBioPortal studies: the study folder (any place that holds ``meta_study.txt``) or the REST API."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from amlprognosis.cohort import RawCohort, shown, step
from amlprognosis.errors import InputError
from amlprognosis.genomics.maf import mutation_matrix
from amlprognosis.normalize.genes import rename_genes
from amlprognosis.retrieve import cbioportal_api
from amlprognosis.retrieve.barcodes import one_per_patient, patient_of, rank_of
from amlprognosis.retrieve.cbioportal_files import (
    StudyParts,
    data_name,
    read_case_list,
    read_clinical_file,
    read_expression_file,
    read_meta,
    read_mutation_file,
    read_panel,
    read_panel_matrix,
)
from amlprognosis.retrieve.download import (
    FileRecord,
    NoConnection,
    Planned,
    Wanted,
    exists,
    fetch_all,
    is_remote,
    join,
    list_folder,
    local_path,
    read_provenance,
    write_provenance,
)
from amlprognosis.study import (
    AgeColumn,
    CbioportalSource,
    Clinical,
    EventColumn,
    Retrieval,
    SexColumn,
    TimeColumn,
)
from amlprognosis.study.sources import SERVICES

LICENCE = "cBioPortal study (doi:10.1158/2159-8290.CD-12-0095); cite the publication of the study (meta_study.txt)"
DEFAULT_CLINICAL = Clinical(
    os_time=TimeColumn(column="OS_MONTHS", unit="months"),
    os_event=EventColumn(column="OS_STATUS", dead=["1:DECEASED", "DECEASED", "1"], alive=["0:LIVING", "LIVING", "0"]),
    age=AgeColumn(column="age_years"),
    sex=SexColumn(column="sex_at_diagnosis"),
    missing_values=[
        *Clinical.model_fields["missing_values"].default,
        "[Not Available]",
        "[Not Applicable]",
        "[Not Evaluated]",
        "[Unknown]",
        "[Discrepancy]",
        "[Completed]",
        "N/A",
        "Not Available",
        "Not Applicable",
    ],
)
AGES = ("AGE", "AGE_AT_DIAGNOSIS", "DIAGNOSIS_AGE", "AGE_AT_SEQUENCING")
SEXES = ("SEX", "GENDER")
STUDY_META = "meta_study.txt"
CASE_LISTS = "case_lists"
# Names that the meta files of public studies have, for places that do not list their files.
KNOWN_META = (
    "meta_clinical_patient.txt",
    "meta_clinical_patients.txt",
    "meta_clinical_sample.txt",
    "meta_clinical_samples.txt",
    "meta_gene_panel_matrix.txt",
    "meta_mutations.txt",
    "meta_mutations_extended.txt",
    "meta_mrna_seq_v2_rsem.txt",
    "meta_mrna_seq_rsem.txt",
    "meta_mrna_seq_rpkm.txt",
    "meta_mrna_seq_fpkm.txt",
    "meta_mrna_seq_tpm.txt",
    "meta_mrna_seq_cpm.txt",
    "meta_mrna_seq_read_counts.txt",
    "meta_mrna_agilent_microarray.txt",
    "meta_mrna_affymetrix_microarray.txt",
    "meta_mrna_illumina_microarray.txt",
    "meta_expression_median.txt",
    "meta_expression.txt",
    "meta_RNA_Seq_expression_median.txt",
    "meta_RNA_Seq_v2_expression_median.txt",
)
KNOWN_LISTS = ("cases_sequenced.txt",)
RELAPSED = ("relapse", "recurr", "metast", "residual", "remission", "progress", "refractory")
PRIMARY = ("primary", "diagnos", "de novo", "untreated")


def _study_folder(base: str, study: str) -> str | None:
    """Local folder of a study: below the base, or the base itself."""
    places = [join(local_path(base), study), local_path(base)]
    return next((place for place in places if exists(join(place, STUDY_META))), None)


def retrieve(request: CbioportalSource, base: str, destination: Path, settings: Retrieval) -> list[FileRecord]:
    """Bring a study to a folder (see :mod:`.sources`): its files, where they are, else the answers of the API."""
    destination = Path(destination)
    if base == SERVICES["cbioportal"]:
        records = cbioportal_api.retrieve(request, base, destination, settings)
    elif is_remote(base):
        folder = join(base, request.study)
        found = _probe(Wanted(join(folder, STUDY_META), destination / STUDY_META, optional=True), destination, settings)
        if found:
            records = [found, *_retrieve_files(request, folder, destination, settings)]
        else:
            records = cbioportal_api.retrieve(request, base, destination, settings)
    else:
        folder_here = _study_folder(base, request.study)
        if folder_here is None:
            raise InputError(
                f"{join(local_path(base), request.study, STUDY_META)}: no such file; base_url must be the folder of "
                f"the study {request.study}, or a folder that holds it"
            )
        wanted = [Wanted(join(folder_here, STUDY_META), destination / STUDY_META)]
        found_here = [record for record in fetch_all(wanted, settings) if record]
        records = [*found_here, *_retrieve_files(request, folder_here, destination, settings)]
    write_provenance(destination, records, LICENCE)
    return records


def _probe(first: Wanted, destination: Path, settings: Retrieval) -> FileRecord | None:
    """Record of ``meta_study.txt``; None where there is none and the API is to be asked."""
    # Offline a study is complete in its folder, whichever way it came.
    if settings.offline and (destination / cbioportal_api.STUDY).is_file():
        return None
    try:
        return fetch_all([first], settings)[0]
    except NoConnection:
        raise
    except InputError:
        if settings.offline:
            raise
        return None  # a portal answers unknown addresses with a page of its own


def _listed(folder: str, settings: Retrieval) -> list[str] | None:
    """Names in a folder; None where the place does not list them."""
    try:
        return list_folder(folder, settings)
    except NoConnection:
        raise
    except InputError:
        if not is_remote(folder):
            return []
        return None


def _retrieve_files(request: CbioportalSource, folder: str, destination: Path, settings: Retrieval) -> list[FileRecord]:
    names = _listed(folder, settings)
    known = names is not None and STUDY_META in names
    metas = [n for n in names or () if n.startswith("meta") and n.endswith(".txt") and n != STUDY_META]
    metas = metas if known else list(KNOWN_META)
    wanted = [Wanted(join(folder, name), destination / name, optional=not known) for name in metas]
    records = [record for record in fetch_all(wanted, settings) if record]
    found = {Path(record.path).name: read_meta(record.path) for record in records}
    chosen = [data_name(destination / name, found[name]) for name in _relevant(request, destination, found).values()]
    chosen += [n for n in names or () if n.startswith("data_gene_panel_") and n.endswith(".txt") and n not in chosen]
    wanted = [Wanted(join(folder, name), destination / name) for name in dict.fromkeys(chosen)]
    lists = _listed(join(folder, CASE_LISTS), settings) if known and f"{CASE_LISTS}/" in (names or ()) else None
    listed = [name for name in lists or () if name.endswith(".txt")]
    wanted += [
        Wanted(join(folder, CASE_LISTS, name), destination / CASE_LISTS / name, optional=not listed)
        for name in listed or KNOWN_LISTS
    ]
    return records + [record for record in fetch_all(wanted, settings) if record]


def _relevant(request: CbioportalSource, folder: Path, metas: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Meta files that a study needs, by role: patients, samples, expression, mutations, panels."""
    kinds = {
        ("CLINICAL", "PATIENT_ATTRIBUTES"): "patients",
        ("CLINICAL", "SAMPLE_ATTRIBUTES"): "samples",
        ("MUTATION_EXTENDED", "MAF"): "mutations",
        ("GENE_PANEL_MATRIX", "GENE_PANEL_MATRIX"): "panels",
    }
    found: dict[str, str] = {}
    profiles: dict[str, str] = {}
    for name, meta in sorted(metas.items()):
        kind = meta.get("genetic_alteration_type", ""), meta.get("datatype", "")
        if kind in kinds and (request.mutations or kinds[kind] not in ("mutations", "panels")):
            if kinds[kind] in found:
                raise InputError(f"{folder / name}: a second meta file of {kinds[kind]}, beside {found[kinds[kind]]}")
            found[kinds[kind]] = name
        if kind[0] == "MRNA_EXPRESSION":
            profiles[meta.get("stable_id", "")] = name
    profiles = {stable.removeprefix(f"{request.study}_"): name for stable, name in profiles.items()}
    types = {stable: metas[name].get("datatype", "") for stable, name in profiles.items()}
    cbioportal_api.check_profile(request, types, str(folder))
    found["expression"] = profiles[request.profile.removeprefix(f"{request.study}_")]
    if "samples" not in found and "patients" not in found:
        raise InputError(f"{folder}: no meta file of clinical data (genetic_alteration_type: CLINICAL)")
    return found


def plan(request: CbioportalSource, base: str, destination: Path) -> list[Planned]:
    """What :func:`retrieve` would fetch (see :mod:`.sources`)."""
    destination = Path(destination)
    if base == SERVICES["cbioportal"]:
        return cbioportal_api.plan(request, base, destination)
    folder = join(base, request.study) if is_remote(base) else _study_folder(base, request.study)
    folder = folder or join(local_path(base), request.study)
    what = {
        STUDY_META: "study (where it is missing, the API of the same address is asked)",
        "meta_*.txt": "descriptions of the files",
        "{data files of clinical data}": "clinical data",
        f"{{data file of {request.profile}}}": "expression",
    }
    if request.mutations:
        what |= {"{data file of mutations}": "mutations", f"{CASE_LISTS}/*.txt": "who was sequenced"}
    if not is_remote(base):
        what[STUDY_META] = "study"
    return [Planned(join(folder, name), text, str(destination)) for name, text in what.items()]


def read(request: CbioportalSource, folder: Path, tables: Mapping[str, str]) -> RawCohort:
    """Read a retrieved study (see :mod:`.sources`).

    One sample per patient: by ``SAMPLE_TYPE`` (or the TCGA code) primary before relapse, then the first by name.
    """
    folder = Path(folder)
    is_api = not (folder / STUDY_META).is_file()
    parts = cbioportal_api.read_parts(request, folder) if is_api else read_folder(request, folder)
    return assemble_parts(request, parts, folder)


def read_folder(request: CbioportalSource, folder: Path) -> StudyParts:
    """Read a study folder.

    Raises
    ------
    InputError
        Another study's folder, a missing or damaged file, a profile of z-scores.
    """
    study = read_meta(folder / STUDY_META)
    if study.get("cancer_study_identifier") != request.study:
        raise InputError(
            f"{folder / STUDY_META}: the study is {study.get('cancer_study_identifier')!r}, not {request.study!r}; "
            "correct study of the source, or its base_url"
        )
    metas = {path.name: read_meta(path) for path in sorted(folder.glob("meta*.txt")) if path.name != STUDY_META}
    roles = _relevant(request, folder, metas)
    paths = {role: folder / data_name(folder / name, metas[name]) for role, name in roles.items()}
    expression, gene_ids, report = read_expression_file(paths["expression"])
    empty = pd.DataFrame(columns=["PATIENT_ID"], dtype=object)
    meta = metas[roles["expression"]]
    parts = StudyParts(
        patients=read_clinical_file(paths["patients"], "PATIENT_ID") if "patients" in paths else empty[[]],
        samples=read_clinical_file(paths["samples"], "SAMPLE_ID") if "samples" in paths else empty,
        expression=expression,
        gene_ids=gene_ids,
        profile=f"{meta.get('stable_id')}: {meta.get('profile_name', '')} ({meta.get('datatype', '')})",
    )
    passed = sorted(set(metas) - set(roles.values()))
    parts.steps = [step("files passed over", shown(passed, 60) or "none"), step("genes of the profile", report)]
    if "mutations" in paths:
        parts.variants = read_mutation_file(paths["mutations"])
        _read_profiled(request, folder, parts, metas[roles["mutations"]], paths.get("panels"))
    return parts


def _read_profiled(
    request: CbioportalSource, folder: Path, parts: StudyParts, meta: Mapping[str, str], panels: Path | None
) -> None:
    """Who was sequenced, and on which gene panel."""
    lists = dict(read_case_list(path) for path in sorted((folder / CASE_LISTS).glob("*.txt")))
    parts.sequenced = lists.get(f"{request.study}_sequenced")
    profile = meta.get("stable_id", "mutations")
    if panels is not None:
        parts.panels = read_panel_matrix(panels, profile)
        if parts.sequenced is not None:
            parts.sequenced |= set(parts.panels)
    if meta.get("gene_panel"):
        assert parts.variants is not None
        samples = (parts.sequenced or frozenset()) | set(parts.variants["sample"])
        parts.panels = {**dict.fromkeys(samples, meta["gene_panel"]), **parts.panels}
    files = [path for path in sorted(folder.glob("data_gene_panel_*.txt")) if path != panels]
    parts.panel_genes = dict(read_panel(path) for path in files)


def assemble_parts(request: CbioportalSource, parts: StudyParts, folder: Path) -> RawCohort:
    """Choose one sample per patient and join the parts of a study."""
    of = {str(sample): str(patient) for sample, patient in parts.samples["PATIENT_ID"].items()}
    ranks = {sample: _rank(sample, parts.samples) for sample in {*of, *map(str, parts.expression.index)}}
    chosen, left_out = one_per_patient(map(str, parts.expression.index), of, ranks)
    if not chosen:
        raise InputError(f"{folder}: no tumour sample among those of {parts.profile}")
    matrix = parts.expression.loc[list(chosen.values())].set_axis(list(chosen), axis=0)
    rule = "SAMPLE_TYPE (or the TCGA code) primary before relapse, then the first by name"
    relapsed = sum(ranks[sample] == 1 for sample in chosen.values())
    why = "a patient counts once; normal tissue is no tumour"
    clinical = _clinical(parts, of, chosen)
    raw = RawCohort(
        expression=matrix,
        scale=request.scale,
        gene_ids=parts.gene_ids,
        clinical=clinical,
        patients=pd.Series({p: p for p in sorted({*chosen, *clinical.index})}, dtype=object),
        exclusions=left_out,
        provenance=read_provenance(folder),
        steps=[
            step("expression profile", parts.profile),
            *parts.steps,
            step(
                "one sample per patient",
                f"{rule}; {relapsed} patients by a sample at relapse",
                len(parts.expression),
                len(chosen),
                why,
            ),
        ],
        origin=f"cBioPortal {request.study} ({folder})",
        clinical_origin=f"cBioPortal {request.study} ({folder})",
    )
    if parts.variants is not None:
        _add_mutations(raw, parts, of, ranks, chosen, folder)
    elif request.mutations:
        raw.steps.append(step("mutations", "the study has no mutation data"))
    return raw


def _rank(sample: str, samples: pd.DataFrame) -> int | None:
    """Rank of a sample (see :func:`.barcodes.rank_of`) by its type, where the study states it."""
    text = (
        str(samples.at[sample, "SAMPLE_TYPE"]).lower() if "SAMPLE_TYPE" in samples and sample in samples.index else ""
    )
    if "normal" in text or "healthy" in text:
        return None
    if any(word in text for word in RELAPSED):
        return 1
    return 0 if any(word in text for word in PRIMARY) else rank_of(sample)


def _clinical(parts: StudyParts, of: dict[str, str], chosen: dict[str, str]) -> pd.DataFrame:
    """Attributes by patient, with those of the chosen sample (else of the patient's first one)."""
    first: dict[str, str] = {}
    for sample in sorted(of):
        first.setdefault(of[sample], sample)
    first |= {patient: sample for patient, sample in chosen.items() if sample in of}
    patients = sorted({*parts.patients.index, *first})
    table = parts.patients.reindex(patients).astype(object)
    extra = parts.samples.drop(columns=[n for n in parts.samples.columns if n in table.columns or n == "PATIENT_ID"])
    extra = extra.assign(SAMPLE_ID=extra.index).loc[list(first.values())].set_axis(list(first), axis=0)
    table = table.join(extra.reindex(patients)).fillna("")
    for name, candidates in (("age_years", AGES), ("sex_at_diagnosis", SEXES)):
        filled = [column for column in candidates if column in table and (table[column] != "").any()]
        table[name] = table[filled[0]] if filled else ""
    # What is missing (a study without outcome) is told by the mapping, which names the columns that are there.
    return table


def _add_mutations(
    raw: RawCohort,
    parts: StudyParts,
    of: dict[str, str],
    ranks: dict[str, int | None],
    chosen: dict[str, str],
    folder: Path,
) -> None:
    """Mutations of the sample with expression if it was sequenced, else of the patient's first sequenced one."""
    assert parts.variants is not None
    named = frozenset(parts.variants["sample"])
    tested_samples = parts.sequenced | named if parts.sequenced is not None else named
    rule = "the case list of sequenced samples" if parts.sequenced is not None else "samples with any variant"
    known = set(raw.patients)
    own = [sample for sample in sorted(tested_samples) if of.get(sample, patient_of(sample)) in known]
    dna, _ = one_per_patient(own, of, ranks)
    dna |= {patient: sample for patient, sample in chosen.items() if sample in tested_samples}
    if not dna:
        raise InputError(
            f"{folder}: none of the sequenced samples ({shown(sorted(tested_samples), 3)}) belongs to a patient of the "
            "study; leave the mutations out with mutations: false of the source"
        )
    unknown = {p for p, s in dna.items() if s in parts.panels and parts.panels[s] not in parts.panel_genes}
    usable = {sample: patient for patient, sample in dna.items() if patient not in unknown}
    kept = parts.variants[parts.variants["sample"].isin(list(usable))]
    matrix, tested, report = mutation_matrix(kept, usable, tested=frozenset(usable.values()), rule=rule)
    for sample, patient in usable.items():
        if sample in parts.panels:
            genes = set(rename_genes(sorted(parts.panel_genes[parts.panels[sample]]))[0])
            matrix.loc[patient, ~matrix.columns.isin(genes)] = np.nan
    on_panel = sum(sample in parts.panels for sample in usable)
    detail = f"{on_panel} patients on a gene panel: its other genes are missing; {len(unknown)} on panels without genes"
    raw.mutations, raw.tested = matrix, tested
    raw.steps += [*report, step("gene panels", detail, len(dna), len(usable), "a panel whose genes are not known")]
