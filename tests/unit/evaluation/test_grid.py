"""Cross-validation of the grid: shared work changes nothing, refusals are told, nothing crosses a fold."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import pytest
from evaluation_helpers import make_world

from amlprognosis.evaluation.best_of_grid import choose_members, inner_concordance, nested_predictions
from amlprognosis.evaluation.crossvalidate import crossvalidate
from amlprognosis.evaluation.grid import crossvalidate_grid
from amlprognosis.evaluation.leakage import held_out_influence
from amlprognosis.evaluation.progress import Progress
from amlprognosis.models.registry import make_model
from amlprognosis.study import BEST_OF_GRID

MEMBERS = ["Lasso", "Ridge", "CoxBoost + Ridge", "CoxBoost + SuperPC", "CoxBoost[n_steps=1] + Ridge"]
FEW = {family: {"n_folds": 3} for family in ("Lasso", "Ridge", "SuperPC")}
FEW["CoxBoost"] = {"n_steps": 8, "penalty": 50.0}


def make(name: str, seed: int) -> object:
    return make_model(name, {"parameters": FEW}, seed)


@pytest.fixture(scope="module")
def small():
    features, outcome, folds = make_world(90, 30, seed=4)
    return features, outcome, folds.query("repeat == 1")


@pytest.fixture(scope="module")
def run(small):
    return crossvalidate_grid(*small, MEMBERS, make, 1, [2], seed=5, inner_folds=3)


def test_shared_work_and_threads_change_nothing(small, run):
    alone = crossvalidate_grid(*small, ["CoxBoost + Ridge", "Lasso"], make, 1, [2], seed=5, inner_folds=3, n_jobs=2)
    for whole, part in ((run.outer.predictions, alone.outer.predictions), (run.inner, alone.inner)):
        own = whole[whole["model"].isin(["CoxBoost + Ridge", "Lasso"])].reset_index(drop=True)
        pd.testing.assert_frame_equal(own, part)


def test_every_member_predicts_everybody_once_or_says_why(small, run):
    counts = run.outer.predictions["model"].value_counts()
    notes = run.outer.notes
    assert set(counts.index) | set(notes["model"]) == set(MEMBERS)
    for member in set(MEMBERS) - set(notes["model"]):
        assert counts[member] == 90
    refused = notes[notes["model"] == "CoxBoost[n_steps=1] + Ridge"]
    assert len(refused) == small[2]["fold"].nunique()
    assert refused["reason"].str.contains("keeps 1 of .* genes, fewer than 2").all()
    assert np.isfinite(run.outer.predictions.filter(like="survival_")).all(axis=None)


def test_inner_folds_count_pairs_and_give_nothing_to_the_refused(run):
    inner = run.inner
    assert len(inner) == len(MEMBERS) * 3 * inner["fold"].nunique()
    assert (inner["concordant"] <= inner["comparable"]).all()
    refused = inner[inner["model"] == "CoxBoost[n_steps=1] + Ridge"]
    np.testing.assert_allclose(refused["concordant"], refused["comparable"] / 2)
    scores = inner_concordance(inner)
    assert scores["c"].between(0, 1).all()


def test_the_best_is_chosen_among_those_that_could_be_fitted(run):
    chosen = choose_members(run.inner, run.outer.predictions)
    assert len(chosen) == run.inner["fold"].nunique()
    assert "CoxBoost[n_steps=1] + Ridge" not in set(chosen["model"])
    nested = nested_predictions(run.inner, run.outer.predictions)
    assert set(nested["model"]) == {BEST_OF_GRID}
    assert nested["patient"].is_unique
    assert len(nested) == 90
    one = chosen.iloc[0]
    everything = run.outer.predictions
    own = everything[(everything["model"] == one["model"]) & (everything["fold"] == one["fold"])]["risk"]
    np.testing.assert_array_equal(nested[nested["fold"] == one["fold"]]["risk"], own)


def test_the_choice_of_the_best_does_not_see_the_held_out_patients(small):
    def procedure(features, outcome, folds):
        own = folds[folds["fold"] == 1]
        result = crossvalidate_grid(features, outcome, own, MEMBERS, make, 1, [2], 0, inner_folds=3)
        everything = result.outer.predictions
        return pd.concat([everything, nested_predictions(result.inner, everything)])

    found = held_out_influence(procedure, *small, fold=1, draws=1)
    assert (found.outcome, found.features, found.planted) == (0.0, 0.0, 0.0)


def test_a_member_alone_equals_the_one_of_the_grid_when_nothing_is_drawn(small):
    """Same screen, same learner; CoxBoost with fixed steps draws no folds, so that seeds do not matter."""
    grid = crossvalidate_grid(*small, ["CoxBoost"], make, 1, [2], seed=5).outer.predictions
    alone = crossvalidate(*small, ["CoxBoost"], make, 1, [2], seed=9).predictions
    pd.testing.assert_frame_equal(grid, alone)


def test_progress_says_what_is_done_left_and_when_it_ends(capsys, caplog):
    progress = Progress("grid-single, repeat 1 of 2", 3, every=0.0)
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            progress.done()
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("grid-single, repeat 1 of 2: 1 of 3 fits done, 2 left, expected end ")
    assert lines[-1].startswith("grid-single, repeat 1 of 2: 3 of 3 fits done, 0 left, took ")
    assert caplog.messages == lines
    assert "2 of 10 fits done, 8 left" in _line(2, 10)


def _line(done: int, total: int) -> str:
    progress = Progress("x", total)
    progress.count = done
    return progress.line(4.0)
