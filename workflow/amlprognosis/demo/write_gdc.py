"""The training cohort as GDC sends it: answers of the API, STAR-counts files and a MAF."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from amlprognosis.demo.expression import GeneModel
from amlprognosis.demo.facts import Facts
from amlprognosis.demo.files import fill, identifier, md5, write_gzip, write_json, write_text
from amlprognosis.demo.maf import maf_text
from amlprognosis.demo.world import Cohort
from amlprognosis.study import DAYS_PER_YEAR

PROJECT = "DEMO-AML"
PAR_GENES = ("ASMTL", "CD99", "CSF2RA", "DHRSX", "GTPBP6", "IL3RA", "P2RY8", "PLCXD1", "SLC25A6", "ZBED1")
COLUMNS = [
    "gene_id",
    "gene_name",
    "gene_type",
    "unstranded",
    "stranded_first",
    "stranded_second",
    "tpm_unstranded",
    "fpkm_unstranded",
    "fpkm_uq_unstranded",
]
SAMPLE_TYPES = {
    "03": "Primary Blood Derived Cancer - Peripheral Blood",
    "09": "Primary Blood Derived Cancer - Bone Marrow",
    "04": "Recurrent Blood Derived Cancer - Bone Marrow",
}
_RISK = {"favourable": "Favorable", "intermediate": "Intermediate", "adverse": "Adverse"}


def _star_rows(model: GeneModel) -> tuple[str, list[int]]:
    """Template of a STAR-counts file and the gene position of each of its rows (-1: a row without reads)."""
    order = sorted(range(len(model.genes)), key=lambda i: model.ensembl[i])
    rows, positions, silent = [], [], []
    number = "\t%d\t%d\t%d\t%.4f\t%.4f\t%.4f"
    for i in order:
        version = 1 + int(model.ensembl[i][-2:]) % 17
        rows.append(f"{model.ensembl[i]}.{version}\t{model.genes[i]}\tprotein_coding{number}")
        positions.append(i)
        if model.genes[i] in PAR_GENES:
            silent.append(f"{model.ensembl[i]}.{version}_PAR_Y\t{model.genes[i]}\tprotein_coding{number}")
    return "\n".join(rows + silent) + "\n", positions + [-1] * len(silent)


def write_gdc(
    directory: Path,
    facts: Facts,
    model: GeneModel,
    cohort: Cohort,
    reads: np.ndarray,
    recurrent: tuple[int, np.ndarray],
    rng: np.random.Generator,
) -> dict[str, Any]:
    """Write the training cohort.

    Parameters
    ----------
    directory : Path
        Gets files.json, cases.json, clinical_supplement.tsv and data/<uuid>/<name>.
    reads : ndarray (patients, genes)
        Counts of the samples at diagnosis.
    recurrent : tuple of int and ndarray (genes,)
        The patient who also has a sample at relapse, and its counts.

    Returns
    -------
    dict
        What was planted as traps: patients without OS, with OS 0, and with a second sample.
    """
    patients = len(cohort.clinical)
    names = [f"DEMO-AB-{2800 + i}" for i in range(patients)]
    tissue = np.where(rng.random(patients) < 0.35, "03", "09")
    odd = rng.permutation(patients)
    missing, zero = set(odd[:3].tolist()), set(odd[3:5].tolist())

    template, positions = _star_rows(model)
    taken = np.array(positions)
    length = model.length[np.maximum(taken, 0)]
    header = "# gene-model: GENCODE v36\n" + "\t".join(COLUMNS) + "\n"
    hits: list[dict[str, Any]] = []
    samples = [(i, f"{tissue[i]}A", reads[i]) for i in range(patients)]
    samples.append((recurrent[0], "04A", recurrent[1]))
    for patient, vial, row in samples:
        count = np.where(taken >= 0, row[np.maximum(taken, 0)], 0)
        total = count.sum()
        rate = count / length
        first = rng.binomial(count, 0.5)
        table = np.empty((len(count), 6), dtype=object)
        table[:, 0], table[:, 1], table[:, 2] = count, first, count - first
        table[:, 3] = rate / rate.sum() * 1e6
        table[:, 4] = rate * 1e9 / total
        table[:, 5] = rate * 1e9 / (np.quantile(count[count > 0], 0.75) * len(count))
        unassigned = [int(total * f) for f in (0.06, 0.09, 0.05, 0.03)]
        counters = zip(("N_unmapped", "N_multimapping", "N_noFeature", "N_ambiguous"), unassigned, strict=True)
        text = header + "".join(f"{name}\t\t\t{n}\t{n}\t{n}\t\t\t\n" for name, n in counters) + fill(template, table)
        file_id, stem = identifier(rng), identifier(rng)
        file_name = f"{stem}.rna_seq.augmented_star_gene_counts.tsv"
        data = write_text(directory / "data" / file_id / file_name, text)
        hits.append(
            {
                "id": file_id,
                "file_id": file_id,
                "file_name": file_name,
                "file_size": len(data),
                "md5sum": md5(data),
                "access": "open",
                "data_format": "TSV",
                "data_type": "Gene Expression Quantification",
                "data_category": "Transcriptome Profiling",
                "experimental_strategy": "RNA-Seq",
                "analysis": {"workflow_type": "STAR - Counts"},
                "cases": [_case(names[patient], vial)],
            }
        )
    barcodes = [f"{names[i]}-{tissue[i]}A-01D-0739-09" for i in range(patients)]
    data_id, stem = identifier(rng), identifier(rng)
    file_name = f"{stem}.wxs.aliquot_ensemble_masked.maf.gz"
    maf = maf_text(facts, cohort.mutations, barcodes, rng)
    data = write_gzip(directory / "data" / data_id / file_name, maf)
    hits.append(
        {
            "id": data_id,
            "file_id": data_id,
            "file_name": file_name,
            "file_size": len(data),
            "md5sum": md5(data),
            "access": "open",
            "data_format": "MAF",
            "data_type": "Masked Somatic Mutation",
            "data_category": "Simple Nucleotide Variation",
            "experimental_strategy": "WXS",
            "analysis": {"workflow_type": "Aliquot Ensemble Somatic Variant Merging and Masking"},
            "cases": [_case(names[i], f"{tissue[i]}A") for i in range(patients)],
        }
    )
    hits.sort(key=lambda hit: hit["file_id"])
    write_json(directory / "files.json", _answer(hits))
    cases = [_clinical_case(names[i], cohort, i, i in missing, i in zero, rng) for i in range(patients)]
    write_json(directory / "cases.json", _answer(cases))
    _supplement(directory / "clinical_supplement.tsv", names, cohort)
    return {
        "patients": names,
        "missing_os": sorted(names[i] for i in missing),
        "zero_os": sorted(names[i] for i in zero),
        "second_sample": [names[recurrent[0]]],
    }


def _case(name: str, vial: str) -> dict[str, Any]:
    return {
        "case_id": _stable(name),
        "submitter_id": name,
        "project": {"project_id": PROJECT},
        "samples": [{"submitter_id": f"{name}-{vial}", "sample_type": SAMPLE_TYPES[vial[:2]]}],
    }


def _stable(name: str) -> str:
    """Return a UUID made of the name alone, so that files and cases agree."""
    digest = md5(name.encode())
    return f"{digest[:8]}-{digest[8:12]}-4{digest[13:16]}-a{digest[17:20]}-{digest[20:32]}"


def _answer(hits: list[dict[str, Any]]) -> dict[str, Any]:
    number = len(hits)
    page = {"count": number, "total": number, "size": number, "from": 0, "sort": "", "page": 1, "pages": 1}
    return {"data": {"hits": hits, "pagination": page}, "warnings": {}}


def _clinical_case(
    name: str, cohort: Cohort, row: int, missing: bool, zero: bool, rng: np.random.Generator
) -> dict[str, Any]:
    fact = cohort.clinical.iloc[row]
    dead = bool(fact["os_event"])
    days = 0 if zero else int(fact["os_days"])
    age_days = round(float(fact["age"]) * DAYS_PER_YEAR)
    follow = None if dead or missing else days
    tests = [
        ("Leukocytes", float(fact["wbc"]), "10^9/L"),
        ("Platelets", float(fact["platelets"]), "10^9/L"),
        ("Hemoglobin", float(fact["hemoglobin"]), "g/dL"),
        ("Lactate Dehydrogenase", float(fact["ldh"]), "U/L"),
        ("Blast Count", float(fact["blasts"]), "%"),
    ]
    return {
        "id": _stable(name),
        "case_id": _stable(name),
        "submitter_id": name,
        "project": {"project_id": PROJECT},
        "primary_site": "Hematopoietic and reticuloendothelial systems",
        "disease_type": "Myeloid Leukemias",
        "demographic": {
            "gender": str(fact["sex"]),
            "sex_at_birth": str(fact["sex"]),
            "race": "not reported",
            "vital_status": "Not Reported" if missing else ("Dead" if dead else "Alive"),
            "days_to_death": days if dead and not missing else None,
            "age_at_index": int(float(fact["age"])),
        },
        "diagnoses": [
            {
                "submitter_id": f"{name}_diagnosis",
                "primary_diagnosis": "Acute myeloid leukemia, NOS",
                "age_at_diagnosis": age_days,
                "days_to_last_follow_up": follow,
                "eln_risk_classification": "Not Reported" if rng.random() < 0.03 else _RISK[str(fact["risk"])],
            }
        ],
        "follow_ups": [
            {
                "submitter_id": f"{name}_follow_up",
                "days_to_follow_up": 0,
                "molecular_tests": [
                    {"laboratory_test": test, "test_value": value, "test_units": unit} for test, value, unit in tests
                ],
            },
            {"submitter_id": f"{name}_follow_up2", "days_to_follow_up": follow, "molecular_tests": []},
        ],
    }


def _supplement(path: Path, names: list[str], cohort: Cohort) -> None:
    """Write the blood counts as a clinical supplement, a row per case."""
    table = cohort.clinical
    lines = [
        "case_submitter_id\twbc_10e9_per_l\tplatelets_10e9_per_l\themoglobin_g_per_dl\tldh_u_per_l\tblasts_percent"
    ]
    columns = zip(
        names, table["wbc"], table["platelets"], table["hemoglobin"], table["ldh"], table["blasts"], strict=True
    )
    lines += [f"{n}\t{w:.1f}\t{p:.0f}\t{h:.1f}\t{d:.0f}\t{b:.0f}" for n, w, p, h, d, b in columns]
    write_text(path, "\n".join(lines) + "\n")
