"""The optimism of picking the best: on noise the pick looks good and is worth nothing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from amlprognosis.evaluation.best_of_grid import best_member, grid_tables, nested_predictions
from amlprognosis.evaluation.leaderboard import evaluate_models, kind_of, leaderboard
from amlprognosis.study import BEST_OF_GRID

MEMBERS = [f"Enet[alpha={k / 100:g}]" for k in range(1, 41)]


@pytest.fixture(scope="module")
def noise():
    """Forty members whose risks are noise, inner folds that know no better."""
    rng = np.random.default_rng(7)
    patients = [f"P{i:03d}" for i in range(100)]
    outcome = pd.DataFrame(
        {"os_time": rng.exponential(800, 100) + 1, "os_event": rng.random(100) < 0.7}, index=patients
    )
    fold = np.arange(100) % 5 + 1
    tables, inner = [], []
    for member in MEMBERS:
        risk = rng.normal(size=100)
        table = pd.DataFrame({"model": member, "repeat": 1, "fold": fold, "patient": patients, "risk": risk})
        table["survival_1y"], table["survival_3y"] = 0.6, 0.4
        tables.append(table)
        for number in range(1, 6):
            concordant = float(rng.binomial(400, 0.5))
            inner.append((member, 1, number, 1, concordant, 400))
    columns = ["model", "repeat", "fold", "inner_fold", "concordant", "comparable"]
    return pd.concat(tables, ignore_index=True), outcome, pd.DataFrame(inner, columns=columns)


def test_the_summary_tells_the_optimism(noise):
    predictions, outcome, inner = noise
    everything = pd.concat([predictions, nested_predictions(inner, predictions)], ignore_index=True)
    run = evaluate_models(everything, outcome, [1, 3], n_boot=50, seed=1)
    notes = pd.DataFrame({"model": [MEMBERS[0]] * 2, "repeat": 1, "fold": [1, 2], "reason": ["no gene", "no gene"]})
    own = dict.fromkeys(MEMBERS, 0.6) | {MEMBERS[3]: 0.9}
    tables = grid_tables(run, inner, predictions, notes, own, MEMBERS)
    summary = tables["grid_summary"].set_index("item")
    best = max(MEMBERS, key=lambda name: run.results[name].estimate("c_harrell"))
    assert best_member(run) == best == summary.loc["c_best", "text"]
    assert summary.loc["c_best", "value"] > 0.56
    assert summary.loc["c_nested", "value"] == pytest.approx(0.5, abs=0.06)
    assert summary.loc["optimism", "value"] == pytest.approx(
        summary.loc["c_best", "value"] - summary.loc["c_nested", "value"]
    )
    assert summary.loc["optimism", "low"] < summary.loc["optimism", "value"] < summary.loc["optimism", "high"]
    assert summary.loc["c_own_training_best", "value"] == 0.9
    # Chosen anew and judged on those left out, noise is worth nothing.
    assert summary.loc["c_rechosen", "value"] == pytest.approx(0.5, abs=0.05)
    grid = tables["grid"].set_index("model")
    assert len(grid) == len(MEMBERS)
    assert grid["times_chosen"].sum() == 5
    assert (grid.loc[MEMBERS[0], "fits_failed"], grid.loc[MEMBERS[0], "reason"]) == (2, "no gene")


def test_the_leaderboard_keeps_members_apart(noise):
    predictions, outcome, inner = noise
    few = predictions[predictions["model"].isin(MEMBERS[:3])]
    everything = pd.concat([few, nested_predictions(inner, few), few[few["model"] == MEMBERS[0]].assign(model="age")])
    board = leaderboard(everything, outcome, [1, 3], n_boot=0)
    assert board["kind"].tolist() == ["procedure", *["combination"] * 3, "comparator"]
    assert kind_of(BEST_OF_GRID) == "procedure"
    assert kind_of("gene_index") == "model"


def test_a_grid_that_could_not_be_fitted_at_all_is_told(noise):
    _, outcome, inner = noise
    age = pd.DataFrame({"model": "age", "repeat": 1, "fold": 1, "patient": outcome.index, "risk": 1.0})
    run = evaluate_models(age, outcome, [1, 3], n_boot=0)
    notes = pd.DataFrame({"model": ["Ridge"], "repeat": 1, "fold": 1, "reason": ["collinear"]})
    tables = grid_tables(run, inner.iloc[:0], age, notes, {}, ["Ridge"])
    assert tables["grid_summary"].set_index("item").loc["members_fitted", "value"] == 0
    assert tables["grid"].loc[0, "reason"] == "collinear"


def test_a_member_refused_in_a_fold_cannot_become_the_best(noise):
    predictions, outcome, _ = noise
    run = evaluate_models(predictions, outcome, [1, 3], n_boot=0)
    best = best_member(run)
    partial = predictions[(predictions["model"] != best) | (predictions["fold"] != 2)]
    run = evaluate_models(partial, outcome, [1, 3], n_boot=0)
    assert best_member(run) not in (best, None)
    second = best_member(run)
    assert best_member(run, [second]) not in (best, second)
