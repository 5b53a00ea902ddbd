"""A study's cohort, read: the point where sources become one kind of raw cohort."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from amlprognosis.cohort import RawCohort, shown, step
from amlprognosis.errors import InputError
from amlprognosis.retrieve.download import local_record
from amlprognosis.retrieve.sources import module_of
from amlprognosis.study import Study, TablesSource


def read_source(study: Study, cohort_name: str, retrieved: Path | None = None) -> RawCohort:
    """Read the source of a cohort.

    Parameters
    ----------
    study : Study
        The study.
    cohort_name : str
        One of its cohorts.
    retrieved : path, optional
        Folder of retrieved files; own tables are read in place.

    Returns
    -------
    RawCohort

    Raises
    ------
    InputError
        A missing, damaged or wrong file, with its name and the remedy.
    """
    if cohort_name not in study.cohorts:
        raise InputError(f"cohorts.{cohort_name}: no such cohort; the study has {shown(study.cohorts)}")
    source = study.cohorts[cohort_name].source
    if isinstance(source, TablesSource):
        return _read_tables(study, cohort_name, source)
    if retrieved is None:
        raise InputError(f"cohorts.{cohort_name}: give the folder of its retrieved files")
    raw: RawCohort = module_of(source).read(source, Path(retrieved), study.source_paths(cohort_name))
    if source.source_note:
        raw.provenance = [{**row, "licence": source.source_note} for row in raw.provenance]
    return raw


def _read_tables(study: Study, name: str, source: TablesSource) -> RawCohort:
    from amlprognosis.retrieve.own_names import check_axes, check_gene_ids, same_names
    from amlprognosis.retrieve.tables import read_clinical_table, read_gene_map, read_matrix

    paths = study.source_paths(name)
    key = f"cohorts.{name}.source"
    if source.gene_ids == "probe" and "gene_map" not in paths:
        raise InputError(f"{key}.gene_map: needed for gene_ids: {source.gene_ids}; give a table id -> symbol")
    records = [asdict(local_record(path)) for path in sorted(set(paths.values()))]
    matrix = read_matrix(paths["expression"], source.orientation)
    table = read_clinical_table(paths["clinical"], source.clinical_id)
    expression, clinical = matrix.values, table.frame
    check_axes(list(expression.index), list(expression.columns), clinical.index, paths["expression"], key)
    check_gene_ids(list(expression.columns), source.gene_ids, paths["expression"], key)
    patients = patients_of([*expression.index, *clinical.index], source.patient_pattern, f"{key}.patient_pattern")
    known = set(patients.reindex(clinical.index))
    same, steps = same_names(patients.reindex(expression.index), known, paths["expression"], "samples")
    patients = patients.replace(same)
    _refuse_repeats(expression.index, patients, paths["expression"], key)
    _refuse_repeats(clinical.index, patients, paths["clinical"], key)
    noted = [(paths["expression"], note) for note in matrix.notes] + [(paths["clinical"], note) for note in table.notes]
    raw = RawCohort(
        expression=expression,
        scale=source.scale,
        gene_ids=source.gene_ids,
        clinical=clinical,
        patients=patients,
        gene_map=read_gene_map(paths["gene_map"]) if "gene_map" in paths else None,
        provenance=[{**record, "licence": source.source_note} for record in records],
        steps=[*(step("own tables", f"{Path(path).name}: {note}") for path, note in noted), *steps],
        origin=f"{name} ({paths['expression']})",
        clinical_origin=f"{name} ({paths['clinical']})",
        array=source.gene_ids == "probe",
    )
    if "mutations" in paths:
        _read_mutations(raw, paths, source.patient_pattern, key)
    return raw


def _read_mutations(raw: RawCohort, paths: dict[str, str], pattern: str | None, key: str) -> None:
    from amlprognosis.genomics.maf import mutation_matrix, read_maf
    from amlprognosis.retrieve.own_names import same_names

    variants = read_maf(paths["mutations"])
    barcodes = sorted(set(variants["sample"]))
    known = set(raw.patients)
    of = patients_of(barcodes, pattern, f"{key}.patient_pattern", strict=False)
    same, steps = same_names(of, known, paths["mutations"], "samples of the mutations")
    hits = {barcode: patient for barcode, patient in of.replace(same).items() if patient in known}
    if not hits:
        raise InputError(
            f"{paths['mutations']}: none of its {len(barcodes)} samples ({shown(barcodes, 3)}) is a patient of "
            f"{paths['expression']} ({shown(sorted(known), 3)}); set {key}.patient_pattern so that both "
            f"give the same patient"
        )
    raw.mutations, raw.tested, report = mutation_matrix(variants, hits)
    raw.steps += [*steps, *report]


def patients_of(names: list[str], pattern: str | None, key: str, *, strict: bool = True) -> pd.Series:
    """Patient of each sample name: the first group of the pattern, or the name itself.

    Raises
    ------
    InputError
        A pattern that is no regular expression, has no group, or (strict) matches no name.
    """
    unique = list(dict.fromkeys(str(name) for name in names))
    if pattern is None:
        return pd.Series(unique, index=unique, dtype=object)
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise InputError(f"{key}: {pattern!r} is not a regular expression: {error}") from None
    if compiled.groups < 1:
        raise InputError(f"{key}: {pattern!r} has no group; put the patient's part in parentheses")
    found = {name: compiled.search(name) for name in unique}
    if strict and not any(found.values()):
        raise InputError(f"{key}: {pattern!r} matches no sample name, such as {shown(unique, 3)}")
    return pd.Series({name: (match[1] or name) if match else name for name, match in found.items()}, dtype=object)


def _refuse_repeats(index: pd.Index, patients: pd.Series, path: str, key: str) -> None:
    """Own tables: which of two samples of a patient is meant is the user's decision, not ours."""
    of = patients.reindex(index)
    twice = of[of.duplicated(keep=False)]
    if len(twice):
        named = [f"{patient} ({shown(twice.index[twice == patient], 4)})" for patient in dict.fromkeys(twice)]
        raise InputError(
            f"{path}: patients with several rows: {shown(named)}; keep one per patient, or correct "
            f"{key}.patient_pattern"
        )
