"""Patients of the training cohort who are in a validation cohort, too, are left out of it by the workflow."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from amlprognosis.cohort import exclusions, read_cohort
from amlprognosis.normalize.duplicates import SHARED

ROOT = Path(__file__).parents[2]
GENES = [f"TOY{number}" for number in range(100, 130)]


def write_cohort(folder: Path, name: str, patients: list[str], seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = len(patients)
    values = rng.normal(8, 1.5, (len(GENES), n)).round(3)
    pd.DataFrame(values, pd.Index(GENES, name="gene"), patients).to_csv(folder / f"{name}.tsv", sep="\t")
    days, age = rng.integers(20, 2000, n), 30 + np.array([int(patient[1:]) for patient in patients])
    table = pd.DataFrame({"id": patients, "os": days, "dead": np.arange(n) % 2, "age": age})
    table.to_csv(folder / f"{name}.csv", index=False)


def section(name: str, role: str) -> dict[str, object]:
    source = {"type": "tables", "expression": f"{name}.tsv", "scale": "log2", "clinical": f"{name}.csv"}
    clinical = {"os_time": {"column": "os", "unit": "days"}, "os_event": {"column": "dead"}, "age": {"column": "age"}}
    return {"role": role, "source": source | {"clinical_id": "id"}, "clinical": clinical}


@pytest.mark.workflow
@pytest.mark.xdist_group("workflow")
def test_a_validation_cohort_leaves_out_patients_of_the_training_cohort(tmp_path: Path) -> None:
    write_cohort(tmp_path, "A", [f"P{k:02d}" for k in range(40)], 1)
    write_cohort(tmp_path, "B", [f"P{k:02d}" for k in range(37, 60)], 2)
    (tmp_path / "sets.gmt").write_text("SET\ttest\t" + "\t".join(GENES[:12]) + "\n", encoding="utf-8")
    study = {
        "study": "shared",
        "title": "Shared patients",
        "data_root": str(tmp_path),
        "cohorts": {name: section(name, role) for name, role in (("A", "training"), ("B", "validation"))},
        "gene_sets": {"file": str(tmp_path / "sets.gmt")},
        "crossvalidation": {"folds": 3, "repeats": 1},
        "models": {"run": ["gene_index", "age"]},
    }
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(study), encoding="utf-8")
    (tmp_path / "resources").symlink_to(ROOT / "resources")
    built = "results/shared/cohorts/B.h5ad"
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--snakefile", str(ROOT / "Snakefile"), built]
    run = subprocess.run(
        [*command, "--directory", str(tmp_path), "--configfile", str(tmp_path / "study.yaml")],
        capture_output=True,
        text=True,
        timeout=200,
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTEST")},
    )
    assert run.returncode == 0, run.stderr
    cohort = read_cohort(tmp_path / built)
    assert list(cohort.obs_names) == [f"P{k:02d}" for k in range(40, 60)]
    left_out = exclusions(cohort)
    assert left_out["patient"].tolist() == ["P37", "P38", "P39"]
    assert set(left_out["reason"]) == {SHARED}
    assert read_cohort(tmp_path / "results/shared/cohorts/A.h5ad").n_obs == 40
