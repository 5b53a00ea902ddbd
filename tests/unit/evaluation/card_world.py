"""A small study with frozen models, as the cards see it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

from amlprognosis.evaluation.cards import Evidence
from amlprognosis.report.describe import cohort_tables
from amlprognosis.study import Study, load_study

GENES = [f"GENE{number}" for number in range(40)]
CLINICAL = {
    "os_time": {"column": "t", "unit": "days"},
    "os_event": {"column": "e"},
    "age": {"column": "a"},
    "risk": {"column": "r", "system": "ELN 2017"},
    "numeric": {"wbc": {"column": "WBC (10^9/l)", "log10": True}},
}


def study_of(run: list[str], **models: Any) -> Study:
    """A study of a training and a validation cohort."""
    source = {"type": "tables", "expression": "e", "scale": "log2", "clinical": "c", "clinical_id": "i"}
    cohort = {"source": source, "clinical": CLINICAL}
    return load_study(
        {
            "study": "small",
            "title": "A small world",
            "cohorts": {
                "T": {"role": "training", "label": "Training place", **cohort},
                "V": {"role": "validation", "label": "Other place", **cohort},
            },
            "crossvalidation": {"folds": 3, "repeats": 1},
            "features": {"clinical": ["age", "risk", "wbc"]},
            "models": {"run": run, **models},
        }
    )


def make_cohort(seed: int, patients: int = 70) -> AnnData:
    """A cohort whose first two genes and age carry hazard."""
    rng = np.random.default_rng(seed)
    values = rng.normal(8, 2, (patients, len(GENES))).astype(np.float32)
    age = rng.normal(60, 12, patients).round()
    time = np.ceil(rng.exponential(900 * np.exp(-0.4 * (values[:, 0] - values[:, 1]) - 0.03 * (age - 60))))
    obs = pd.DataFrame(
        {
            "os_time": time,
            "os_event": rng.random(patients) < 0.7,
            "age": age,
            "risk": rng.choice(["favourable", "intermediate", "adverse"], patients),
            "wbc": rng.normal(1, 0.3, patients),
        },
        index=[f"P{seed}-{number}" for number in range(patients)],
    )
    adata = AnnData(X=values, obs=obs, var=pd.DataFrame({"ensembl": ""}, index=GENES))
    adata.uns["exclusions"] = pd.DataFrame({"patient": ["X1", "X2"], "reason": ["no clinical data", "time zero"]})
    file = {"url": "u", "path": "p", "size": 1, "sha256": "0", "date": "2020-01-01", "licence": "Journal 2020;1:1"}
    adata.uns["provenance"], adata.uns["preprocessing"] = json.dumps([file]), "[]"
    return adata


def evidence_of(study: Study, training: AnnData, features: pd.DataFrame, board: pd.DataFrame) -> Evidence:
    """Evidence with a table of performance; sample size and stability by hand."""
    tables = cohort_tables(study, {"T": training})
    size = {
        "model": "gene_index", "patients": 70, "events": 50, "candidate_parameters": 30, "events_per_parameter": 5 / 3,
        "expected_shrinkage": 0.41, "riley_minimum_n": 1234, "riley_criterion": "expected shrinkage of 0.9",
        "verdict": "too small",
    }  # fmt: skip
    stability = pd.DataFrame({"model": ["gene_index"], "feature": ["expression:GENE0"], "frequency": [0.75]})
    return Evidence(training, features, tables["cohorts"], tables["flow"], board, pd.DataFrame([size]), stability)


def files_below(folder: Path) -> dict[str, bytes]:
    """Content of every file by its relative path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
