from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amlprognosis.errors import InputError
from amlprognosis.retrieve.gdc import flatten_cases, parse_star_counts, read_gdc_project, retrieve_gdc

COLUMNS = (
    "gene_id gene_name gene_type unstranded stranded_first stranded_second "
    "tpm_unstranded fpkm_unstranded fpkm_uq_unstranded"
)
ROWS = [
    ("N_unmapped", "", "", 500),
    ("N_multimapping", "", "", 3),
    ("N_noFeature", "", "", 3),
    ("N_ambiguous", "", "", 3),
    ("ENSG00000141510.18", "TP53", "protein_coding", 12),
    ("ENSG00000002586.20", "CD99", "protein_coding", 5),
    ("ENSG00000002586.20_PAR_Y", "CD99", "protein_coding", 2),
]


def star(add: int = 0) -> str:
    lines = ["# gene-model: GENCODE v36", COLUMNS.replace(" ", "\t")]
    for gene, name, kind, count in ROWS:
        value = count + (add if gene.startswith("ENSG00000141510") else 0)
        tail = ["", "", ""] if gene.startswith("N_") else ["1.5", "1.5", "1.5"]
        lines.append("\t".join([gene, name, kind, str(value), "0", "0", *tail]))
    return "\n".join(lines) + "\n"


def project(folder: Path) -> Path:
    samples = [
        ("P-1", "P-1-04A", "Recurrent Blood Derived Cancer - Bone Marrow", 100),
        ("P-1", "P-1-09B", "Primary Blood Derived Cancer - Bone Marrow", 10),
        ("P-1", "P-1-09A", "Primary Blood Derived Cancer - Bone Marrow", 20),
        ("P-2", "P-2-40A", "", 30),
        ("P-2", "P-2-11A", "Solid Tissue Normal", 40),
        ("P-3", "P-3-09A", "", 50),
    ]
    hits = []
    for number, (case, sample, kind, add) in enumerate(samples):
        text = star(add)
        hits.append(
            _hit(folder, f"u{number}", f"f{number}.rna_seq.augmented_star_gene_counts.tsv", text, case, sample, kind)
        )
    maf = "#version\nHugo_Symbol\tVariant_Classification\tTumor_Sample_Barcode\n"
    maf += "MLL2\tMissense_Mutation\tP-1-09A-01D\nTP53\tSilent\tP-1-09A-01D\n"
    hits.append(_hit(folder, "m1", "a.maf", maf, "P-1", "P-1-09A", ""))
    hits.append(_hit(folder, "m2", "b.maf", maf.split("MLL2")[0], "P-3", "P-3-09A", ""))
    (folder / "files.json").write_text(json.dumps({"data": {"hits": hits, "pagination": {"total": len(hits)}}}))
    cases = [
        {
            "submitter_id": "P-1",
            "demographic": {"vital_status": "Dead", "days_to_death": 7, "gender": "female"},
            "diagnoses": [{"age_at_diagnosis": 14610, "days_to_last_follow_up": 3}],
        },
        {
            "submitter_id": "P-2",
            "demographic": {"vital_status": "Alive", "sex_at_birth": "male", "gender": None},
            "diagnoses": [{"days_to_last_follow_up": None, "eln_risk_classification": "Adverse"}],
            "follow_ups": [
                {"days_to_follow_up": 9, "molecular_tests": [{"laboratory_test": "Blast Count", "test_value": 46.0}]},
                {"days_to_follow_up": 900},
            ],
        },
        {"submitter_id": "P-3", "demographic": {"vital_status": "Not Reported"}, "diagnoses": []},
    ]
    (folder / "cases.json").write_text(json.dumps({"data": {"hits": cases}}))
    return folder


def _hit(folder: Path, uuid: str, name: str, text: str, case: str, sample: str, kind: str) -> dict:
    path = folder / "data" / uuid / name
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return {
        "file_id": uuid,
        "file_name": name,
        "md5sum": hashlib.md5(text.encode()).hexdigest(),
        "cases": [
            {
                "submitter_id": case,
                "project": {"project_id": "T-AML"},
                "samples": [{"submitter_id": sample, "sample_type": kind}],
            }
        ],
    }


def test_star_counts(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text(star())
    table = parse_star_counts(path)
    assert table["value"].tolist() == [12, 5, 2]
    assert parse_star_counts(path, "tpm_unstranded")["value"].tolist() == [1.5] * 3


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("\t12\t", "\t-12\t", "no valid unstranded"),
        ("\t12\t", "\t12.5\t", "no valid unstranded"),
        ("\t12\t", "\t\t", "no valid unstranded"),
        ("\t12\t", "\tx\t", "could not convert|x"),
        ("unstranded", "other", "no column unstranded"),
        ("ENSG00000002586.20_PAR_Y", "ENSG00000002586.20", "repeated"),
    ],
)
def test_faults_of_star_counts(tmp_path, old, new, words):
    path = tmp_path / "a.tsv"
    path.write_text(star().replace(old, new, 1))
    with pytest.raises(InputError, match=words):
        parse_star_counts(path)


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(0, len(star()) - 1))
def test_a_cut_star_file_is_an_error_or_a_beginning(tmp_path_factory, cut):
    path = tmp_path_factory.mktemp("cut") / "a.tsv"
    path.write_text(star()[:cut])
    try:
        table = parse_star_counts(path)
    except InputError:
        return
    assert table["value"].tolist() == [12, 5, 2][: len(table)]
    assert star()[:cut].endswith("\n")


def test_a_project(tmp_path):
    (tmp_path / "base").mkdir()
    retrieve_gdc(f"file://{project(tmp_path / 'base')}", "T-AML", tmp_path / "T-AML")
    raw = read_gdc_project(tmp_path / "T-AML")
    assert raw.expression.to_dict("index") == {
        "P-1": {"ENSG00000141510": 32, "ENSG00000002586": 7},
        "P-2": {"ENSG00000141510": 42, "ENSG00000002586": 7},
        "P-3": {"ENSG00000141510": 62, "ENSG00000002586": 7},
    }
    assert sorted((row["patient"], row["reason"]) for row in raw.exclusions) == [
        ("P-1-04A", "further sample of a patient"),
        ("P-1-09B", "further sample of a patient"),
        ("P-2-11A", "normal tissue"),
    ]
    assert raw.tested == {"P-1", "P-3"}
    assert raw.mutations.to_dict("index") == {"P-1": {"KMT2D": 1.0}, "P-3": {"KMT2D": 0.0}}
    assert raw.clinical["os_days"].to_dict() == {"P-1": "7", "P-2": "900.0", "P-3": ""}
    assert raw.clinical["sex"].to_dict() == {"P-1": "female", "P-2": "male", "P-3": ""}
    assert raw.clinical.loc["P-2", "blast_count"] == "46.0"


def test_a_damaged_file_a_page_of_hits_and_an_api_error_are_named(tmp_path):
    base = tmp_path / "base"
    base.mkdir()
    project(base)
    target = next((base / "data/u0").iterdir())
    target.write_text(star(1))
    with pytest.raises(InputError, match="md5"):
        retrieve_gdc(str(base), "T-AML", tmp_path / "out")
    with pytest.raises(InputError, match="no STAR-counts file of project X"):
        retrieve_gdc(str(base), "X", tmp_path / "out")
    answer = json.loads((base / "cases.json").read_text())
    answer["data"]["pagination"] = {"total": 30}
    (base / "cases.json").write_text(json.dumps(answer))
    with pytest.raises(InputError, match="3 of 30 hits"):
        flatten_cases(base / "cases.json", "T-AML")
    (base / "cases.json").write_text('{"message": "down for maintenance"}')
    with pytest.raises(InputError, match="down for maintenance"):
        flatten_cases(base / "cases.json", "T-AML")
    with pytest.raises(InputError, match=r"files.json and cases.json"):
        retrieve_gdc("https://api.gdc.cancer.gov", "T-AML", tmp_path / "out")
