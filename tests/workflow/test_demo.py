"""The demo finds what was planted: the bulk part of the embedded study, run through the library."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from amlprognosis.cohort import check_outcome
from amlprognosis.demo.recovery import planted_tables
from amlprognosis.demo.simulate import simulate
from amlprognosis.evaluation.apply import apply_models, main_adaptation_only
from amlprognosis.evaluation.crossvalidate import crossvalidate
from amlprognosis.evaluation.design import make_design
from amlprognosis.evaluation.freeze import freeze
from amlprognosis.evaluation.inputs import OUTCOME, model_factory, read_frozen
from amlprognosis.evaluation.leaderboard import leaderboard, validation_table
from amlprognosis.normalize.assemble import assemble_cohort, frozen_reference
from amlprognosis.normalize.harmonize import validation_features
from amlprognosis.normalize.platform import training_platform, write_platform
from amlprognosis.retrieve.read import read_source
from amlprognosis.retrieve.sources import retrieve
from amlprognosis.signatures.gene_sets import read_gmt
from amlprognosis.signatures.index_tables import index_table
from amlprognosis.study import load_study

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.workflow


def test_demo_recovers_its_planted_truth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    study = load_study(ROOT / "config" / "config.yaml").model_copy(update={"data_root": str(tmp_path)})
    truth = simulate(tmp_path, study.seed, {**study.simulate.model_dump(), "cells": 300})
    cohorts = {}
    for name in study.cohorts:
        wanted = study.retrieval_of(name)
        folder = tmp_path / "retrieved" / wanted[1] if wanted else None
        if wanted:
            retrieve(study, *wanted, folder)
        reference = frozen_reference(cohorts[study.training]) if study.counts_reference(name) else None
        cohorts[name] = assemble_cohort(study, name, read_source(study, name, folder), reference=reference)
    check_outcome(cohorts[study.training])
    sets = read_gmt(study.gene_sets.file)
    design = make_design(study, cohorts, sets)
    features, outcome = design.features.drop(columns=OUTCOME), design.features[OUTCOME]
    make = model_factory(study, design.candidates["genes"])
    models = ["gene_index", "age"]
    horizons = study.evaluation.horizons_years
    run = crossvalidate(features, outcome, design.folds, models, make, 1, horizons, study.seed)
    board = leaderboard(run.predictions, outcome, horizons, 100, study.seed)
    platform = tmp_path / "platform.json.gz"
    write_platform(training_platform(features, cohorts[study.training]), platform)
    for name in models:
        freeze(study, name, make, features, outcome, tmp_path / "models" / name, platform=platform)
    validated = []
    for name in study.validation:
        own, _ = validation_features(study, name, cohorts[name], list(features.columns))
        folders = [tmp_path / "models" / model for model in models]
        outcomes = {name: cohorts[name].obs}
        predictions = main_adaptation_only(study, apply_models(study, name, own.drop(columns=OUTCOME), folders)[0])
        validated.append(validation_table(predictions, outcomes, horizons, 100, study.seed))
    validation = pd.concat(validated)
    index = index_table(read_frozen(tmp_path / "models" / "gene_index"), {}, {n: s.genes for n, s in sets.items()})
    _, summary = planted_tables(truth, design.candidates["genes"], index, board, validation)
    found = dict(zip(summary["measure"], summary["value"].astype(float), strict=True))
    assert found["enrichment p (Fisher, one-sided)"] < 0.001
    for name in study.validation:
        assert found[f"C-index of gene_index in {name}"] > found[f"C-index of age in {name}"]
        assert found[f"C-index of gene_index in {name}"] < 0.78, "too good to be believed of an expression index"
