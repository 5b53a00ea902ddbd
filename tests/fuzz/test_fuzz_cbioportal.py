"""Damaged files of a cBioPortal study and damaged answers of its API: refused, or read as they stand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from as_read import decoded, harmless
from hypothesis import given
from hypothesis import strategies as st
from mangle import check_against_plain, spoiled
from plain_rows import number, rows_of

from amlprognosis.errors import InputError
from amlprognosis.genomics.consequences import variant_class
from amlprognosis.retrieve import cbioportal_api as api
from amlprognosis.retrieve import cbioportal_files as files
from amlprognosis.study import CbioportalSource

NAMES = [f"P{i}" for i in range(1, 8)]
COMMENTS = "#Patient Identifier\tStatus\tMonths\n#STRING\tSTRING\tNUMBER\n#1\t1\t1\n"
PATIENTS = f"{COMMENTS}PATIENT_ID\tOS_STATUS\tOS_MONTHS\n" + "".join(
    f"{name}\t{('0:LIVING', '1:DECEASED')[i % 2]}\t{i * 7.5}\n" for i, name in enumerate(NAMES)
)
SAMPLES = f"{COMMENTS}PATIENT_ID\tSAMPLE_ID\tSAMPLE_TYPE\n" + "".join(
    f"{name}\t{name}-{kind}\t{('Primary', 'Relapse')[kind == 'b']}\n" for name in NAMES for kind in "ab"
)
META = (
    "cancer_study_identifier: toy\ngenetic_alteration_type: MRNA_EXPRESSION\ndatatype: CONTINUOUS\n"
    "stable_id: mrna\nprofile_description: a: b (https://example.org)\ndata_filename: data_mrna.txt\n"
)
LIST = "cancer_study_identifier: toy\nstable_id: toy_sequenced\ncase_list_name: x\ncase_list_ids: " + "\t".join(NAMES)
EXPRESSION = "Hugo_Symbol\tEntrez_Gene_Id\t" + "\t".join(NAMES) + "\n"
EXPRESSION += "".join(
    f"{'' if i == 4 else f'G{i % 6}'}\t{i}\t"
    + "\t".join("NA" if i == j else repr(i * j / 8 - 1) for j in range(7))
    + "\n"
    for i in range(9)
)
CLASSES = ("Missense_Mutation", "Silent", "Frame_Shift_Del", "splice_donor_variant", "Unknown")
MAF = (
    "#version 2.4\nHugo_Symbol\tVariant_Classification\tTumor_Sample_Barcode\tHGVSp_Short\tMutation_Status\n"
    + "".join(
        f"G{i}\t{CLASSES[i % 5]}\t{NAMES[i % 7]}\tp.A{i}T\t{('Somatic', 'GERMLINE', '')[i % 3]}\n" for i in range(10)
    )
)
PANELS = "SAMPLE_ID\tmutations\tgistic\n" + "".join(
    f"{name}\t{('NA', 'WES', 'AML40')[i % 3]}\tNA\n" for i, name in enumerate(NAMES)
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cbioportal")


def table_of(text: str, name: str) -> dict[str, dict[str, str]]:
    rows = rows_of(text, "#")
    found = {row[name]: {key: value for key, value in row.items() if key != name} for row in rows}
    assert len(found) == len(rows)
    assert all(found), "a row without a name"
    return found


@given(data=st.data(), which=st.sampled_from([(PATIENTS, "PATIENT_ID"), (SAMPLES, "SAMPLE_ID")]))
def test_clinical(folder: Path, data: st.DataObject, which: tuple[str, str]) -> None:
    text, name = which

    def parse(path: Path) -> dict[str, dict[str, str]]:
        return files.read_clinical_file(path, name).to_dict("index")

    check_against_plain(data, folder / "c.txt", text, parse, lambda text: table_of(text, name))


def pairs_of(text: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for line in text.split("\n"):
        if line.strip() and not line.startswith("#"):
            key, value = (part.strip() for part in line.split(":", 1))
            assert pairs.setdefault(key, value) == value
    return pairs


@given(data=st.data())
def test_meta(folder: Path, data: st.DataObject) -> None:
    check_against_plain(data, folder / "meta_x.txt", META, files.read_meta, pairs_of)


@given(data=st.data())
def test_case_list(folder: Path, data: st.DataObject) -> None:
    def plain(text: str) -> tuple[str, frozenset[str]]:
        pairs = pairs_of(text)
        return pairs["stable_id"], frozenset(name.strip() for name in pairs["case_list_ids"].split("\t")) - {""}

    check_against_plain(data, folder / "cases.txt", LIST, files.read_case_list, plain)


@given(data=st.data())
def test_expression(folder: Path, data: st.DataObject) -> None:
    def plain(text: str) -> dict[str, dict[str, float | None]]:
        rows = rows_of(text, "#")
        key = "Hugo_Symbol" if "Hugo_Symbol" in rows[0] else "Entrez_Gene_Id"
        found: dict[str, dict[str, float | None]] = {}
        for row in rows:
            values = {k: number(v) for k, v in row.items() if k not in files.GENE_COLUMNS}
            if row[key] not in files.NO_GENE:
                found.setdefault(row[key], values)
        return found

    def parse(path: Path) -> dict[str, dict[str, float | None]]:
        table = files.read_expression_file(path)[0].T.astype(object)
        return table.where(table.notna(), None).to_dict("index")

    check_against_plain(data, folder / "e.txt", EXPRESSION, parse, plain)


@given(data=st.data())
def test_mutations(folder: Path, data: st.DataObject) -> None:
    def plain(text: str) -> list[tuple[str, ...]]:
        found = []
        for row in rows_of(text, "#"):
            kind = variant_class(row["Variant_Classification"])
            kind = (
                kind
                or {"unknown": "Targeted_Region", "na": "Targeted_Region", "": "Targeted_Region"}[
                    row["Variant_Classification"].lower()
                ]
            )
            if row.get("Mutation_Status", "").lower() in ("germline", "loh", "none", "wildtype"):
                kind = "Targeted_Region"
            assert row["Tumor_Sample_Barcode"]
            found.append((row["Hugo_Symbol"], kind, row["Tumor_Sample_Barcode"], row.get("HGVSp_Short", "")))
        return found

    def parse(path: Path) -> list[tuple[str, ...]]:
        return [tuple(row) for row in files.read_mutation_file(path).to_numpy()]

    check_against_plain(data, folder / "m.maf", MAF, parse, plain)


@given(data=st.data())
def test_panels(folder: Path, data: st.DataObject) -> None:
    def plain(text: str) -> dict[str, str]:
        rows = table_of(text, "SAMPLE_ID")
        return {
            name: row["mutations"]
            for name, row in rows.items()
            if row.get("mutations", "NA").upper() not in ("", "NA", "WES", "WXS", "WGS")
        }

    check_against_plain(data, folder / "p.txt", PANELS, lambda path: files.read_panel_matrix(path, "mutations"), plain)


REQUEST = CbioportalSource(type="cbioportal", study="toy", profile="mrna")
ANSWERS: dict[str, Any] = {
    "study.json": {"studyId": "toy", "name": "Toy"},
    "profiles.json": [
        {"molecularProfileId": "toy_mrna", "molecularAlterationType": "MRNA_EXPRESSION", "datatype": "CONTINUOUS"},
        {"molecularProfileId": "toy_mut", "molecularAlterationType": "MUTATION_EXTENDED", "datatype": "MAF"},
    ],
    "samples.0000.json": [{"sampleId": f"{name}-a", "patientId": name} for name in NAMES],
    "clinical_patient.0000.json": [
        {"patientId": name, "clinicalAttributeId": "OS_MONTHS", "value": str(i * 3)} for i, name in enumerate(NAMES)
    ],
    "clinical_sample.0000.json": [
        {"sampleId": f"{name}-a", "clinicalAttributeId": "SAMPLE_TYPE", "value": "Primary"} for name in NAMES
    ],
    "genes.0000.json": [{"entrezGeneId": i, "hugoGeneSymbol": f"G{i}", "type": "protein-coding"} for i in (1, 2, 3)],
    "expression/mrna/genes.0000.json": [
        {"sampleId": f"{name}-a", "entrezGeneId": gene, "value": gene + i / 4}
        for i, name in enumerate(NAMES)
        for gene in (1, 2, 3)
    ],
    "mutations.0000.json": [
        {
            "sampleId": f"{name}-a",
            "entrezGeneId": 1,
            "mutationType": "Missense_Mutation",
            "gene": {"hugoGeneSymbol": "G1"},
        }
        for name in NAMES[:3]
    ],
    "panel_data.json": [{"sampleId": f"{name}-a", "profiled": True} for name in NAMES],
}


def parts_of(folder: Path) -> tuple[Any, ...]:
    parts = api.read_parts(REQUEST, folder)
    variants = None if parts.variants is None else sorted(map(tuple, parts.variants.to_numpy()))
    return (
        parts.patients.to_dict("index"),
        parts.samples.to_dict("index"),
        parts.expression.fillna(-999).to_dict("index"),
        variants,
        parts.sequenced,
        parts.panels,
    )


def plain_parts(answers: dict[str, Any]) -> tuple[Any, ...]:
    """The same from the answers, as plainly as can be."""

    def text(value: Any) -> str:
        if value is None or isinstance(value, bool):
            return "" if value is None else str(value).lower()
        return str(int(value)) if isinstance(value, float) and value == int(value) else str(value).strip()

    def attributes(name: str, key: str) -> dict[str, dict[str, str]]:
        rows: dict[str, dict[str, str]] = {}
        for item in answers[name]:
            rows.setdefault(text(item[key]), {})[text(item["clinicalAttributeId"])] = text(item.get("value"))
        columns = sorted({column for row in rows.values() for column in row})
        return {row: {column: rows[row].get(column, "") for column in columns} for row in sorted(rows)}

    owners = {text(item["sampleId"]): text(item["patientId"]) for item in answers["samples.0000.json"]}
    clinical = attributes("clinical_sample.0000.json", "sampleId")
    columns = sorted({column for row in clinical.values() for column in row})
    samples = {
        s: {"PATIENT_ID": owners[s], **{c: clinical.get(s, {}).get(c, "") for c in columns}} for s in sorted(owners)
    }
    genes = {
        item["entrezGeneId"]: text(item["hugoGeneSymbol"])
        for item in answers["genes.0000.json"]
        if item["entrezGeneId"] > 0 and text(item.get("type")) in ("", "protein-coding")
    }
    values = {
        (item["sampleId"], item["entrezGeneId"]): float(item["value"])
        for item in answers["expression/mrna/genes.0000.json"]
        if item.get("value") is not None
    }
    measured = list(dict.fromkeys(genes[gene] for gene in sorted(genes) if any(key[1] == gene for key in values)))
    first = {
        symbol: min(g for g in genes if genes[g] == symbol and any(k[1] == g for k in values)) for symbol in measured
    }
    expression = {s: {x: values.get((s, first[x]), -999) for x in measured} for s in sorted(owners)}
    expression = {s: row for s, row in expression.items() if any(k[0] == s for k in values)}
    variants = []
    for item in answers["mutations.0000.json"]:
        kind = variant_class(text(item["mutationType"])) or "Targeted_Region"
        status = text(item.get("mutationStatus")).lower()
        kind = "Targeted_Region" if status in ("germline", "loh", "none", "wildtype") else kind
        change = text(item.get("proteinChange"))
        variants.append((text(item["gene"]["hugoGeneSymbol"]), kind, text(item["sampleId"]), change))
    profiled = [item for item in answers["panel_data.json"] if item["profiled"] is True]
    panels = {text(item["sampleId"]): text(item.get("genePanelId")) for item in profiled}
    panels = {sample: panel for sample, panel in panels.items() if panel.upper() not in ("", "NA", "WES", "WXS", "WGS")}
    sequenced = frozenset(text(item["sampleId"]) for item in profiled)
    patients = attributes("clinical_patient.0000.json", "patientId")
    if "MUTATION_EXTENDED" not in [text(item["molecularAlterationType"]) for item in answers["profiles.json"]]:
        return patients, samples, expression, None, None, {}
    return patients, samples, expression, sorted(variants), sequenced, panels


@given(data=st.data())
def test_answers(folder: Path, data: st.DataObject) -> None:
    """One answer is damaged as a text file, pretty-printed so that a line is a field."""
    name = data.draw(st.sampled_from(sorted(ANSWERS)))
    place = folder / "answers"
    for other, content in ANSWERS.items():
        (place / other).parent.mkdir(parents=True, exist_ok=True)
        (place / other).write_text(json.dumps(content, indent=0))
    good = json.dumps(ANSWERS[name], indent=0) + "\n"
    file = data.draw(spoiled(good))
    (place / name).write_bytes(file.content)
    message, found = "", None
    try:
        found = parts_of(place)
    except InputError as error:
        message = str(error)
    # A damage in one answer may show in another one that refers to it (a sample that is not known): any may be named.
    assert found or any(Path(other).name in message for other in ANSWERS), message
    if found is None:
        assert not harmless(file)
        return
    answers = {**ANSWERS, name: json.loads(decoded(file.content))}
    assert found == plain_parts(answers)
    if harmless(file):
        assert found == plain_parts(ANSWERS)
