"""The RNA-seq validation cohort as somebody's own tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from amlprognosis.demo.expression import GeneModel
from amlprognosis.demo.facts import Facts
from amlprognosis.demo.files import fill, write_gzip, write_text
from amlprognosis.demo.maf import maf_text
from amlprognosis.demo.world import Cohort
from amlprognosis.study import DAYS_PER_YEAR

COLUMNS = (
    "patient_id,age_years,sex,eln_2022,os_years,vital_status,wbc_10e9_per_l,platelets_10e9_per_l,hemoglobin_g_per_dl,"
    "ldh_u_per_l,blasts_percent"
)
_RISK = {"favourable": "Favourable", "intermediate": "Intermediate", "adverse": "Adverse"}


def write_tables(
    directory: Path, facts: Facts, model: GeneModel, cohort: Cohort, reads: np.ndarray, rng: np.random.Generator
) -> dict[str, Any]:
    """Write expression.tsv.gz (counts, genes in rows), clinical.csv and mutations.tsv (MAF columns).

    Returns
    -------
    dict
        Patients without OS and with OS 0.
    """
    patients = len(cohort.clinical)
    names = [f"RV{i + 1:04d}" for i in range(patients)]
    row = "\t%d" * patients
    template = "\n".join(gene + row for gene in model.genes) + "\n"
    text = "\t".join(["gene", *names]) + "\n" + fill(template, np.ascontiguousarray(reads.T))
    write_gzip(directory / "expression.tsv.gz", text)
    odd = rng.permutation(patients)
    missing, zero = set(odd[:2].tolist()), set(odd[2:4].tolist())
    lines = [COLUMNS]
    for i in range(patients):
        fact = cohort.clinical.iloc[i]
        years = 0.0 if i in zero else float(fact["os_days"]) / DAYS_PER_YEAR
        risk = "" if rng.random() < 0.04 else _RISK[str(fact["risk"])]
        survival = ",unknown" if i in missing else f"{years:.4f},{'deceased' if fact['os_event'] else 'living'}"
        lines.append(
            f"{names[i]},{fact['age']:.1f},{fact['sex']},{risk},{survival},{fact['wbc']:.1f},{fact['platelets']:.0f},"
            f"{fact['hemoglobin']:.1f},{fact['ldh']:.0f},{fact['blasts']:.0f}"
        )
    write_text(directory / "clinical.csv", "\n".join(lines) + "\n")
    write_text(directory / "mutations.tsv", maf_text(facts, cohort.mutations, names, rng))
    return {
        "patients": names,
        "missing_os": sorted(names[i] for i in missing),
        "zero_os": sorted(names[i] for i in zero),
    }
