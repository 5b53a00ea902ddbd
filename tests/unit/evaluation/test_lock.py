"""Validation cohorts are locked: nothing of them but the names of their genes reaches a model.

The same check is then run on designs that leak on purpose, and must notice each.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from anndata import AnnData
from card_world import GENES, evidence_of, files_below, study_of
from card_world import make_cohort as cohort

from amlprognosis.evaluation.cards import write_cards
from amlprognosis.evaluation.crossvalidate import crossvalidate
from amlprognosis.evaluation.design import Design, make_design
from amlprognosis.evaluation.freeze import freeze
from amlprognosis.evaluation.inputs import OUTCOME, model_factory
from amlprognosis.evaluation.leaderboard import leaderboard
from amlprognosis.normalize.platform import learn_platform, write_platform
from amlprognosis.signatures.gene_sets import GeneSet
from amlprognosis.study import Study

MODELS = ["gene_index", "age", "xgboost_cox"]
Make = Callable[[Study, dict[str, AnnData], dict[str, GeneSet]], Design]


@pytest.fixture
def study() -> Study:
    return study_of(MODELS, xgboost_cox={"n_estimators": 20})


def frozen_bytes(study: Study, validation: AnnData, folder: Path, make: Make) -> dict[str, bytes]:
    """Every file of the models with their cards, and the out-of-fold predictions that the leaderboard is made of."""
    sets = {"set": GeneSet("set", "", tuple(GENES[:30]))}
    design = make(study, {"T": cohort(1), "V": validation}, sets)
    features, outcome = design.features.drop(columns=OUTCOME), design.features[OUTCOME]
    factory = model_factory(study, design.candidates["genes"])
    write_platform(learn_platform(features), folder / "platform.json.gz")
    for name in MODELS:
        freeze(study, name, factory, features, outcome, folder / name, platform=folder / "platform.json.gz")
    run = crossvalidate(features, outcome, design.folds, MODELS, factory, 1, [1, 3], study.seed)
    board = leaderboard(run.predictions, outcome, [1, 3], n_boot=100)
    write_cards(study, [folder / name for name in MODELS], evidence_of(study, cohort(1), features, board))
    return files_below(folder) | {
        "predictions": run.predictions.to_csv().encode(),
        "candidates": json.dumps(design.candidates).encode(),
    }


def test_another_validation_cohort_changes_no_model(study: Study, tmp_path: Path) -> None:
    one = frozen_bytes(study, cohort(2), tmp_path / "one", make_design)
    other = frozen_bytes(study, cohort(3, patients=50), tmp_path / "other", make_design)
    assert {f"{name}/card.md" for name in MODELS} | {"gene_index/platform.json.gz"} <= set(one)
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
