"""Tables of BeatAML2, one by one: clinical (workbook, or the explorer's JSON), samples, expression, variants, drugs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from amlprognosis.cohort import shown
from amlprognosis.errors import InputError
from amlprognosis.genomics.consequences import variant_class
from amlprognosis.retrieve.lines import (
    check_names,
    column_numbers,
    json_text,
    read_json,
    read_plain_matrix,
    read_plain_table,
    service_text,
)
from amlprognosis.retrieve.spreadsheets import read_sheet

ANNOTATION = ("stable_id", "display_label", "description", "biotype")
INITIAL = "Initial Diagnosis"
NEEDED = {
    "dbgap_subject_id": "patient",
    "dbgap_rnaseq_sample": "rna_sample",
    "dbgap_dnaseq_sample": "dna_sample",
    "diseaseStageAtSpecimenCollection": "stage",
    "dxAtSpecimenAcquisition": "diagnosis",
    "overallSurvival": "os_days",
    "vitalStatus": "vital_status",
    "ageAtDiagnosis": "age_years",
    "consensus_sex": "sex",
    "ELN2017": "eln2017",
}
FURTHER = {
    "timeOfSampleCollectionRelativeToInclusion": "collected",
    "cohort": "wave",
    "specimenType": "specimen",
    "isDenovo": "de_novo",
    "isTransformed": "transformed",
    "isRelapse": "relapse",
    "priorMDS": "prior_mds",
    "FLT3-ITD": "flt3_itd",
    "NPM1": "npm1",
    "karyotype": "karyotype",
    "fabBlastMorphology": "fab",
    "wbcCount": "wbc",
    "hemoglobin": "hemoglobin",
    "plateletCount": "platelets",
    "LDH": "ldh",
    "%.Blasts.in.BM": "blasts_marrow",
    "%.Blasts.in.PB": "blasts_blood",
}
NUMBERS = ("wbc", "hemoglobin", "platelets", "ldh", "blasts_marrow", "blasts_blood")
# The explorer's cohort.json by the names used here.
JSON_NEEDED = {
    "id": "patient",
    "stage": "stage",
    "dx": "diagnosis",
    "os": "os_days",
    "vital": "vital_status",
    "age": "age_years",
    "sex": "sex",
    "eln": "eln2017",
}
JSON_FURTHER = {
    "cohort": "wave",
    "specimenType": "specimen",
    "isDenovo": "de_novo",
    "isTransformed": "transformed",
    "isRelapse": "relapse",
    "priorMDS": "prior_mds",
    "flt3itd": "flt3_itd",
    "npm1c": "npm1",
    "karyotype": "karyotype",
    "fab": "fab",
    "wbc": "wbc",
    "hgb": "hemoglobin",
    "plt": "platelets",
    "ldh": "ldh",
    "blastsBM": "blasts_marrow",
    "blastsPB": "blasts_blood",
}
# Classes of the explorer's mutations.json; "Other" does not say what changes, and counts as no mutation of the gene.
JSON_CLASSES = {
    "Missense": "Missense_Mutation",
    "Frameshift": "Frame_Shift_Del",
    "Nonsense": "Nonsense_Mutation",
    "Splice": "Splice_Site",
    "In-frame del": "In_Frame_Del",
    "In-frame ins": "In_Frame_Ins",
    "Other": "Targeted_Region",
}
_MISSING = ("NA", "N/A", "NaN", "n/a")
_TRUTH = {"y": "yes", "yes": "yes", "true": "yes", "n": "no", "no": "no", "false": "no"}
_SAMPLE = {"rna_sample": re.compile(r"^BA\d+R$"), "dna_sample": re.compile(r"^BA\d+D$")}


def _tidy(table: pd.DataFrame, place: str) -> pd.DataFrame:
    """Columns of both clinical tables in one form: missing is empty, truth is yes and no, calls positive, negative."""
    columns = [*NEEDED.values(), *FURTHER.values()]
    table = table.reindex(columns=columns, fill_value="").replace(list(_MISSING), "")
    if (table["patient"] == "").any():
        row = table.index[table["patient"] == ""][0]
        raise InputError(f"{place}: row {row} names no patient; retrieve it again")
    for column, pattern in _SAMPLE.items():
        wrong = (table[column] != "") & ~table[column].str.match(pattern)
        if wrong.any():
            row = table.index[wrong][0]
            raise InputError(
                f"{place}: row {row}: {column} is {table[column][row]!r}, not like BA2000{column[0].upper()}"
            )
        twice = table[column][(table[column] != "") & table[column].duplicated()]
        if len(twice):
            raise InputError(f"{place}: row {twice.index[0]}: {column} {twice.iloc[0]} stands in two rows")
    for column in ("de_novo", "transformed", "relapse", "prior_mds"):
        table[column] = table[column].map(lambda text: _TRUTH.get(text.lower(), text))
    table["aml"] = table["diagnosis"].str.lower().str.match(r"(aml$|acute myeloid leuk)")
    for column in ("os_days", "age_years"):
        numbers = pd.to_numeric(table[column], errors="coerce")
        wrong = (table[column] != "") & numbers.isna()
        if wrong.any():
            row = table.index[wrong][0]
            raise InputError(f"{place}: row {row}: {column} is {table[column][row]!r}, not a number; retrieve it again")
    table["collected"] = pd.to_numeric(table["collected"], errors="coerce")
    return table


def read_clinical(path: str | Path) -> pd.DataFrame:
    """Read the clinical workbook.

    Parameters
    ----------
    path : path
        ``beataml_wv1to4_clinical.xlsx``; a row per specimen.

    Returns
    -------
    DataFrame
        A row per specimen, index = row of the sheet: ``patient``, ``rna_sample``, ``dna_sample``, ``stage``,
        ``diagnosis``, ``os_days``, ``vital_status``, ``age_years``, ``sex``, ``eln2017`` and the further columns as
        text; ``collected`` (time of collection, float) and ``aml`` (bool).

    Raises
    ------
    InputError
        No such workbook, a column, patient or sample name that is missing or wrong, a sample in two rows.
    """
    table = read_sheet(path, list(NEEDED))
    return _tidy(table.rename(columns={**NEEDED, **FURTHER}), str(path))


def read_clinical_json(path: str | Path) -> pd.DataFrame:
    """Read the explorer's ``cohort.json``; a row per patient, columns as :func:`read_clinical`, without samples.

    Raises
    ------
    InputError
        Not that file, or a patient who is repeated or lacks a field.
    """
    content = read_json(path)
    patients = content.get("patients") if isinstance(content, Mapping) else None
    if not isinstance(patients, list) or not patients:
        raise InputError(f"{path}: no list `patients` in it; this should be the explorer's cohort.json")
    rows = [_json_row(path, number, item) for number, item in enumerate(patients, start=1)]
    table = _tidy(pd.DataFrame(rows, index=range(1, len(rows) + 1)), f"{path}: patients")
    twice = table["patient"][table["patient"].duplicated()]
    if len(twice):
        raise InputError(f"{path}: patient {twice.iloc[0]} is listed twice; retrieve it again")
    return table


def _json_row(path: str | Path, number: int, item: Any) -> dict[str, str]:
    if not isinstance(item, Mapping):
        raise InputError(f"{path}: patient {number} is no object; retrieve it again")
    absent = [key for key in JSON_NEEDED if key not in item]
    if absent:
        raise InputError(f"{path}: patient {number} has no {', '.join(absent)}; retrieve it again")
    row = {
        name: json_text(item.get(key), f"{path}: patient {number}: {key}")
        for key, name in {**JSON_NEEDED, **JSON_FURTHER}.items()
    }
    calls = {"true": "positive", "false": "negative"}
    return {**row, **{name: calls.get(row[name], row[name]) for name in ("flt3_itd", "npm1")}}


def read_sample_mapping(path: str | Path) -> tuple[frozenset[str], pd.DataFrame]:
    """Read the sample mapping.

    Returns
    -------
    controls : frozenset of str
        RNA samples of healthy people (``rna_control`` begins with "Healthy").
    mapping : DataFrame of str
        ``patient``, ``rna_sample``, ``dna_sample`` of all other specimens.

    Raises
    ------
    InputError
        No such workbook, or a patient's specimen without a patient.
    """
    needed = ["dbgap_subject_id", "dbgap_rnaseq_sample", "dbgap_dnaseq_sample", "rna_control"]
    table = read_sheet(path, needed)[needed].replace(list(_MISSING), "")
    healthy = table["rna_control"].str.lower().str.startswith("healthy")
    controls = frozenset(table["dbgap_rnaseq_sample"][healthy]) - {""}
    rest = table[~healthy].drop(columns="rna_control")
    rest = rest.set_axis(["patient", "rna_sample", "dna_sample"], axis=1).drop_duplicates()
    rest = rest[(rest["rna_sample"] != "") | (rest["dna_sample"] != "")]
    if (rest["patient"] == "").any():
        row = rest.index[rest["patient"] == ""][0]
        raise InputError(f"{path}: row {row}: a specimen without dbgap_subject_id; retrieve it again")
    owners = rest[rest["rna_sample"] != ""].drop_duplicates(["patient", "rna_sample"])
    twice = owners["rna_sample"][owners["rna_sample"].duplicated()]
    if len(twice):
        raise InputError(f"{path}: row {twice.index[0]}: sample {twice.iloc[0]} belongs to two patients")
    return controls, rest


def read_expression(path: str | Path) -> tuple[pd.DataFrame, pd.Series]:
    """Read a table of counts or of normalised expression.

    Returns
    -------
    expression : DataFrame of float64 of shape (n_samples, n_genes)
        Index = RNA sample (BA....R), columns = Ensembl id without version.
    gene_map : Series
        ``display_label`` by Ensembl id.

    Raises
    ------
    InputError
        Another table, a gene in two rows, a value that is missing or no number.
    """
    genes, values = read_plain_matrix(path, ANNOTATION)
    if "stable_id" not in genes or "display_label" not in genes:
        raise InputError(f"{path}: no columns stable_id and display_label: another table; retrieve it again")
    wrong = [name for name in values.columns if not _SAMPLE["rna_sample"].match(name)]
    if wrong:
        raise InputError(f"{path}: columns that are no RNA samples (BA....R): {shown(wrong)}; retrieve it again")
    ids = genes["stable_id"].str.replace(r"\.\d+$", "", regex=True)
    bad = ids.duplicated() | ~ids.str.match(r"^ENSG\d{11}")
    if bad.any():
        raise InputError(f"{path}: gene {ids[bad].iloc[0]!r} stands in two rows or is no Ensembl id; retrieve it again")
    if values.isna().to_numpy().any():
        row, column = (int(places[0]) for places in values.isna().to_numpy().nonzero())
        raise InputError(f"{path}: gene {ids.iloc[row]}, sample {values.columns[column]}: no value; retrieve it again")
    gene_map = pd.Series(genes["display_label"].to_numpy(), index=ids.to_numpy(), dtype=object, name="symbol")
    return values.set_axis(ids.to_numpy(), axis=0).T, gene_map


def read_variants(path: str | Path) -> pd.DataFrame:
    """Read exome variants: the published table, or the explorer's ``mutations.json`` (whose samples are patients).

    Returns
    -------
    DataFrame
        As :func:`amlprognosis.genomics.maf.read_maf`, with ``vaf`` (float).

    Raises
    ------
    InputError
        A missing sample or gene, an effect that is not known, an allele fraction outside 0 to 1.
    """
    if service_text(path).lstrip().startswith(("[", "{")):
        return _variants_json(path)
    table = read_plain_table(path, ("variant_classification", "t_vaf"), names=("dbgap_sample_id", "symbol"))
    check_names(
        path, table["dbgap_sample_id"].where(table["dbgap_sample_id"].str.match(_SAMPLE["dna_sample"]), ""), "id"
    )
    effects = {text: variant_class(text) for text in sorted(set(table["variant_classification"]))}
    classes = table["variant_classification"].map(effects)
    if classes.isna().any():
        line = table.index[classes.isna()][0]
        raise InputError(
            f"{path}: line {line}: variant_classification {table['variant_classification'][line]!r} is neither a "
            "consequence of Ensembl VEP nor a class of the MAF specification; leave the variants out with "
            "mutations: false"
        )
    vaf = column_numbers(path, table["t_vaf"], "t_vaf")
    if ((vaf < 0) | (vaf > 1)).any():
        line = table.index[(vaf < 0) | (vaf > 1)][0]
        raise InputError(f"{path}: line {line}: t_vaf is {table['t_vaf'][line]!r}, not between 0 and 1")
    change = table.get("hgvsp_short", "")
    named = {"gene": table["symbol"], "variant_class": classes, "sample": table["dbgap_sample_id"], "change": change}
    return pd.DataFrame({**named, "vaf": vaf}).reset_index(drop=True)


def _variants_json(path: str | Path) -> pd.DataFrame:
    content = read_json(path)
    if not isinstance(content, list) or not content or not all(isinstance(item, Mapping) for item in content):
        raise InputError(f"{path}: no list of variants; this should be the explorer's mutations.json")
    rows = []
    for number, item in enumerate(content, start=1):
        place = f"{path}: variant {number}"
        sample, gene, kind = (json_text(item.get(key), f"{place}: {key}") for key in ("p", "g", "c"))
        vaf = item.get("vaf")
        if not sample or not gene or kind not in JSON_CLASSES:
            raise InputError(f"{place}: p, g or c is missing or unknown ({sample!r}, {gene!r}, {kind!r})")
        if isinstance(vaf, bool) or not isinstance(vaf, int | float) or not 0 <= vaf <= 1:
            raise InputError(f"{place}: vaf is {vaf!r}, not a number between 0 and 1")
        rows.append((gene, JSON_CLASSES[kind], sample, json_text(item.get("hp"), f"{place}: hp"), float(vaf)))
    return pd.DataFrame(rows, columns=["gene", "variant_class", "sample", "change", "vaf"])


def read_drug_response(path: str | Path) -> pd.DataFrame:
    """Read ex vivo drug response: the published probit fits, or the explorer's ``drugs.json``.

    Returns
    -------
    DataFrame
        ``patient``, ``specimen`` (the number of its samples, empty in the JSON), ``drug``, ``auc``, ``ic50`` (float,
        NaN where there is no fit); a row per patient, specimen and drug.

    Raises
    ------
    InputError
        A value that is no number, or a specimen with two fits of one drug.
    """
    if service_text(path).lstrip().startswith("{"):
        return _drugs_json(path)
    columns = ("dbgap_rnaseq_sample", "dbgap_dnaseq_sample", "auc", "ic50")
    table = read_plain_table(path, columns, names=("dbgap_subject_id", "inhibitor"))
    samples = table["dbgap_dnaseq_sample"].replace(list(_MISSING), "")
    samples = samples.where(samples != "", table["dbgap_rnaseq_sample"].replace(list(_MISSING), ""))
    found = pd.DataFrame(
        {
            "patient": table["dbgap_subject_id"],
            "specimen": samples.str.replace(r"[RD]$", "", regex=True),
            "drug": table["inhibitor"],
            "auc": column_numbers(path, table["auc"], "auc"),
            "ic50": column_numbers(path, table["ic50"], "ic50"),
        }
    )
    twice = found.duplicated(["patient", "specimen", "drug"])
    if twice.any():
        line = found.index[twice][0]
        raise InputError(f"{path}: line {line}: a second fit of {found['drug'][line]} for {found['specimen'][line]}")
    return found.sort_values(["patient", "specimen", "drug"], kind="stable").reset_index(drop=True)


def _drugs_json(path: str | Path) -> pd.DataFrame:
    content = read_json(path)
    parts = [content.get(key) for key in ("patients", "drugs", "auc", "ic50")]
    if not all(isinstance(part, list) and part for part in parts):
        raise InputError(f"{path}: no lists patients, drugs, auc and ic50; this should be the explorer's drugs.json")
    patients = [json_text(item, f"{path}: patients") for item in parts[0]]
    names = [item.get("name") if isinstance(item, Mapping) else None for item in parts[1]]
    for what, items in (("patients", patients), ("drugs", names)):
        if not all(isinstance(item, str) and item for item in items) or len(set(items)) < len(items):
            raise InputError(f"{path}: {what}: a name is missing or stands twice; retrieve it again")
    found = {"patient": [p for p in patients for _ in names], "specimen": "", "drug": names * len(patients)}
    for key, rows in (("auc", parts[2]), ("ic50", parts[3])):
        if len(rows) != len(patients) or not all(isinstance(row, list) and len(row) == len(names) for row in rows):
            raise InputError(f"{path}: {key} is not {len(patients)} rows of {len(names)} values; retrieve it again")
        values = [value for row in rows for value in row]
        if not all(
            value is None or (isinstance(value, int | float) and not isinstance(value, bool)) for value in values
        ):
            raise InputError(f"{path}: {key} holds something that is neither a number nor null; retrieve it again")
        found[key] = [float("nan") if value is None else float(value) for value in values]
    table = pd.DataFrame(found).dropna(subset=["auc", "ic50"], how="all")
    return table.sort_values(["patient", "drug"], kind="stable").reset_index(drop=True)
