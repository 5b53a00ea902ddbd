"""A small GDC project: files.json, cases.json and data/<uuid>/<name>, with the traps of real ones."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

PROJECT = "T-AML"
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
MAF = "#version\nHugo_Symbol\tVariant_Classification\tTumor_Sample_Barcode\n"


def star(add: int = 0, model: str = "GENCODE v36") -> str:
    lines = [f"# gene-model: {model}", COLUMNS.replace(" ", "\t")]
    for gene, name, kind, count in ROWS:
        value = count + (add if gene.startswith("ENSG00000141510") else 0)
        tail = ["", "", ""] if gene.startswith("N_") else ["1.5", "2.5", "3.5"]
        lines.append("\t".join([gene, name, kind, str(value), "0", "0", *tail]))
    return "\n".join(lines) + "\n"


def hit(folder: Path, uuid: str, name: str, text: str, case: str, *samples: tuple[str, str]) -> dict[str, Any]:
    """Write a file and describe it as the API does; samples are (submitter_id, sample_type)."""
    path = folder / "data" / uuid / name
    path.parent.mkdir(parents=True)
    path.write_text(text)
    maf = name.endswith(".maf")
    return {
        "id": uuid,
        "file_id": uuid,
        "file_name": name,
        "file_size": len(text),
        "md5sum": hashlib.md5(text.encode()).hexdigest(),
        "access": "open",
        "data_type": "Masked Somatic Mutation" if maf else "Gene Expression Quantification",
        "data_format": "MAF" if maf else "TSV",
        "analysis": {
            "workflow_type": "Aliquot Ensemble Somatic Variant Merging and Masking" if maf else "STAR - Counts"
        },
        "cases": [
            {
                "submitter_id": case,
                "project": {"project_id": PROJECT},
                "samples": [{"submitter_id": sample, "sample_type": kind} for sample, kind in samples],
            }
        ],
    }


def project(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    marrow = "Primary Blood Derived Cancer - Bone Marrow"
    samples = [
        ("P-1", "P-1-04A", "Recurrent Blood Derived Cancer - Bone Marrow", 100),
        ("P-1", "P-1-09B", marrow, 10),
        ("P-1", "P-1-09A", marrow, 20),
        ("P-2", "P-2-40A", "", 30),
        ("P-2", "P-2-11A", "Solid Tissue Normal", 40),
        ("P-3", "P-3-09A", "", 50),
        ("TARGET-00-RO1", "TARGET-00-RO1-14A", "Bone Marrow Normal", 60),
        ("P-3", "P-3-50A", "Cell Lines", 70),
    ]
    hits = [
        hit(folder, f"u{i}", f"f{i}.rna_seq.augmented_star_gene_counts.tsv", star(add), case, (sample, kind))
        for i, (case, sample, kind, add) in enumerate(samples)
    ]
    primary = MAF + "MLL2\tMissense_Mutation\tP-1-09A-01D\nTP53\tSilent\tP-1-09A-01D\n"
    hits += [
        hit(folder, "m1", "a.maf", primary, "P-1", ("P-1-11A", "Solid Tissue Normal"), ("P-1-09A", marrow)),
        hit(folder, "m2", "b.maf", MAF, "P-3", ("P-3-09A", "")),
        hit(folder, "m3", "c.maf", MAF + "FLT3\tMissense_Mutation\tP-1-04A-01D\n", "P-1", ("P-1-04A", "Recurrent")),
    ]
    write_files(folder, hits)
    cases = [
        {
            "submitter_id": "P-1",
            "case_id": "c1",
            "demographic": {"vital_status": "Dead", "days_to_death": 7, "gender": "female"},
            "diagnoses": [
                {"age_at_diagnosis": 99, "days_to_last_follow_up": 900, "submitter_id": "second"},
                {
                    "age_at_diagnosis": 14610,
                    "days_to_last_follow_up": 3,
                    "submitter_id": "z",
                    "diagnosis_is_primary_disease": "true",
                },
            ],
        },
        {
            "submitter_id": "P-2",
            "case_id": "c2",
            "demographic": {"vital_status": "Alive", "sex_at_birth": "male", "gender": None, "days_to_birth": -400},
            "diagnoses": [{"days_to_last_follow_up": None, "eln_risk_classification": "Adverse"}],
            "follow_ups": [
                {
                    "days_to_follow_up": 900,
                    "molecular_tests": [{"laboratory_test": "Blast Count", "test_value": 1.0}],
                },
                {"days_to_follow_up": 9, "molecular_tests": [{"laboratory_test": "Blast Count", "test_value": 46.0}]},
            ],
        },
        {"submitter_id": "P-3", "case_id": "c3", "demographic": {"vital_status": "Not Reported"}, "diagnoses": []},
    ]
    for case in cases:
        case["project"] = {"project_id": PROJECT}
    (folder / "cases.json").write_text(answer(cases))
    return folder


def answer(hits: list[dict[str, Any]]) -> str:
    return json.dumps({"data": {"hits": hits, "pagination": {"total": len(hits)}}, "warnings": {}}, indent=1)


def write_files(folder: Path, hits: list[dict[str, Any]]) -> None:
    (folder / "files.json").write_text(answer(hits))


def files_of(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((folder / "files.json").read_text())["data"]["hits"]
    return found
