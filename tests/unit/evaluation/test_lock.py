"""Validation cohorts are locked: nothing of them but the names of their genes reaches a model.

The same check is then run on designs that leak on purpose, and must notice each.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from amlprognosis.evaluation.crossvalidate import crossvalidate
from amlprognosis.evaluation.design import Design, make_design
from amlprognosis.evaluation.freeze import freeze
from amlprognosis.evaluation.inputs import OUTCOME, model_factory
from amlprognosis.signatures.gene_sets import GeneSet
from amlprognosis.study import Study, load_study

GENES = [f"GENE{number}" for number in range(40)]
MODELS = ["gene_index", "age", "xgboost_cox"]
Make = Callable[[Study, dict[str, AnnData], dict[str, GeneSet]], Design]


@pytest.fixture
def study() -> Study:
    cohort = {
        "source": {"type": "tables", "expression": "e", "scale": "log2", "clinical": "c", "clinical_id": "i"},
        "clinical": {"os_time": {"column": "t", "unit": "days"}, "os_event": {"column": "e"}},
    }
    return load_study(
        {
            "study": "lock",
            "title": "t",
            "cohorts": {"T": {"role": "training", **cohort}, "V": {"role": "validation", **cohort}},
            "crossvalidation": {"folds": 3, "repeats": 1},
            "features": {"clinical": ["age"]},
            "models": {"run": MODELS, "xgboost_cox": {"n_estimators": 20}},
        }
    )


def cohort(seed: int, patients: int = 70) -> AnnData:
    rng = np.random.default_rng(seed)
    values = rng.normal(8, 2, (patients, len(GENES))).astype(np.float32)
    hazard = 0.5 * (values[:, 0] - values[:, 1])
    time = rng.exponential(900 * np.exp(-hazard)) + 1
    obs = pd.DataFrame(
        {"os_time": time, "os_event": rng.random(patients) < 0.7, "age": rng.normal(60, 12, patients)},
        index=[f"P{seed}-{number}" for number in range(patients)],
    )
    return AnnData(X=values, obs=obs, var=pd.DataFrame(index=GENES))


def frozen_bytes(study: Study, validation: AnnData, folder: Path, make: Make) -> dict[str, bytes]:
    """Every file of the models, and the out-of-fold predictions that the leaderboard is made of."""
    sets = {"set": GeneSet("set", "", tuple(GENES[:30]))}
    design = make(study, {"T": cohort(1), "V": validation}, sets)
    features, outcome = design.features.drop(columns=OUTCOME), design.features[OUTCOME]
    factory = model_factory(study, design.candidates["genes"])
    for name in MODELS:
        freeze(study, name, factory, features, outcome, folder / name)
    run = crossvalidate(features, outcome, design.folds, MODELS, factory, 1, [1, 3], study.seed)
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return files | {
        "predictions": run.predictions.to_csv().encode(),
        "candidates": json.dumps(design.candidates).encode(),
    }


def test_another_validation_cohort_changes_no_model(study: Study, tmp_path: Path) -> None:
    one = frozen_bytes(study, cohort(2), tmp_path / "one", make_design)
    other = frozen_bytes(study, cohort(3, patients=50), tmp_path / "other", make_design)
    assert one == other


def scaled_on_all(study: Study, cohorts: dict[str, AnnData], sets: dict[str, GeneSet]) -> Design:
    pooled = np.vstack([adata.X for adata in cohorts.values()])
    training = cohorts["T"].copy()
    training.X = ((training.X - pooled.mean(axis=0)) / pooled.std(axis=0)).astype(np.float32)
    return make_design(study, {"T": training, "V": cohorts["V"]}, sets)


def filtered_on_validation(study: Study, cohorts: dict[str, AnnData], sets: dict[str, GeneSet]) -> Design:
    spread = cohorts["V"].X.std(axis=0)
    keep = spread > np.median(spread)
    return make_design(study, {name: adata[:, keep].copy() for name, adata in cohorts.items()}, sets)


def pooled_for_training(study: Study, cohorts: dict[str, AnnData], sets: dict[str, GeneSet]) -> Design:
    import anndata

    both = anndata.concat([cohorts["T"], cohorts["V"][:10]])
    return make_design(study, {"T": both, "V": cohorts["V"]}, sets)


@pytest.mark.parametrize("leak", [scaled_on_all, filtered_on_validation, pooled_for_training])
def test_a_leak_put_in_on_purpose_is_noticed(study: Study, tmp_path: Path, leak: Make) -> None:
    one = frozen_bytes(study, cohort(2), tmp_path / "one", leak)
    other = frozen_bytes(study, cohort(3), tmp_path / "other", leak)
    assert one != other
