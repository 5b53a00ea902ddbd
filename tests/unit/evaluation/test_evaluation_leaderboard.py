from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from evaluation_helpers import make

from amlprognosis.errors import InputError
from amlprognosis.evaluation.comparisons import (
    bootstrap_p,
    comparisons,
    validation_comparisons,
)
from amlprognosis.evaluation.crossvalidate import crossvalidate, predict_frame, structured_outcome
from amlprognosis.evaluation.leaderboard import evaluate_models, leaderboard, validation_table


@pytest.fixture(scope="module")
def run(world):
    features, outcome, folds = world
    parts = [
        crossvalidate(features, outcome, folds, ["gene_index", "age", "refusing"], make, r, [1, 3], 1) for r in (1, 2)
    ]
    return [pd.concat([getattr(p, name) for p in parts]) for name in ("predictions", "selected", "notes")]


def test_leaderboard(world, run):
    predictions, selected, notes = run
    table = leaderboard(predictions, world[1], [1, 3], 100, 1, selected=selected, notes=notes)
    assert table["model"].tolist() == ["gene_index", "refusing", "age"]
    assert table["kind"].tolist() == ["model", "model", "comparator"]
    first = table.iloc[0]
    assert first["patients"] == 90
    assert first["events"] == int(world[1]["os_event"].sum())
    assert first["repeats"] == 2
    assert first["features"] == 3
    for metric in ("c_harrell", "c_uno", "auc_1y", "brier_3y", "ipa_1y", "ibs", "calibration_slope", "oe"):
        assert first[f"{metric}_low"] < first[metric] < first[f"{metric}_high"]
    assert first["c_harrell"] > 0.6
    assert first["calibration_horizon"] == 3
    refused = table.iloc[1]
    assert refused["patients"] == 0
    assert np.isnan(refused["c_harrell"])
    assert "6 fits failed: too small for this model" in refused["note"]
    assert np.isnan(table.iloc[2]["brier_1y"])
    assert "no predicted survival at 1y, 3y" in table.iloc[2]["note"]


def test_row_order_changes_nothing(world, run):
    a = leaderboard(run[0], world[1], [1, 3], 50, 1)
    b = leaderboard(run[0].sample(frac=1, random_state=1), world[1].iloc[::-1], [1, 3], 50, 1)
    pd.testing.assert_frame_equal(a, b)


def test_ties_are_sorted_by_name(world, run):
    age = run[0].query("model == 'age'")
    twins = pd.concat([age.assign(model=m) for m in ("z_model", "a_model")])
    assert leaderboard(twins, world[1], [1], 0)["model"].tolist() == ["a_model", "z_model"]


def test_paired_comparison(world, run):
    predictions = run[0]
    evaluation = evaluate_models(predictions, world[1], [1, 3], 200, 1)
    table = comparisons(predictions, world[1], [1, 3], evaluation=evaluation)
    assert table[["model", "comparator", "metric"]].to_numpy().tolist() == [
        ["gene_index", "age", metric] for metric in ("c_harrell", "c_uno", "brier_3y", "ibs", "net_benefit")
    ]
    c = table.iloc[0]
    results = evaluation.results
    expected = results["gene_index"].estimate("c_harrell") - results["age"].estimate("c_harrell")
    assert c["difference"] == pytest.approx(expected)
    assert c["low"] <= c["difference"] <= c["high"]
    assert 0 < c["p"] <= 1
    assert np.isnan(table.iloc[3]["difference"])
    assert table.iloc[3]["note"] == "not compared: no ibs of age"
    assert table["note"].tolist()[:2] == ["", ""]
    itself = pd.concat([predictions.query("model == 'gene_index'").assign(model=m) for m in ("m", "age")])
    same = comparisons(itself, world[1], [1, 3], 50).iloc[0]
    assert (same["difference"], same["low"], same["high"], same["p"]) == (0, 0, 0, 1)


def test_a_comparator_with_fewer_patients_is_compared_on_the_shared_ones(world, run):
    predictions = run[0]
    few = predictions[~((predictions["model"] == "age") & predictions["patient"].isin(["P000", "P001"]))]
    row = comparisons(few, world[1], [1, 3], 20).iloc[0]
    assert row["patients"] == 88
    assert row["note"] == "on the predictions that both have"
    without = predictions[~predictions["patient"].isin(["P000", "P001"])]
    both = evaluate_models(without, world[1], [1, 3], 20).results
    assert row["difference"] == pytest.approx(
        both["gene_index"].estimate("c_harrell") - both["age"].estimate("c_harrell"), abs=1e-12
    )


def test_bootstrap_p():
    assert bootstrap_p(np.r_[0.1, np.full(99, 0.1)]) == pytest.approx(0.02)
    assert np.isnan(bootstrap_p(np.r_[np.nan, np.ones(9)]))


def test_validation_table(world):
    features, outcome, _ = world
    model = make("gene_index", 0).fit(features[:60], structured_outcome(outcome[:60]))
    new = predict_frame(model, features[60:], [1, 3])
    age = predict_frame(make("age", 0), features[60:], [1, 3], cutpoint=60.0)
    head = {"cohort": "other", "adaptation": "none"}
    table = pd.concat(
        [
            new.assign(model="gene_index", features_missing=2, **head),
            new.assign(model="gene_index", features_missing=0, **(head | {"adaptation": "ranks"})),
            age.assign(model="age", features_missing=0, **head),
        ]
    )
    outcomes = {"other": outcome[60:]}
    found = validation_table(table, outcomes, [1, 3], 50)
    assert found[["model", "adaptation", "features_missing"]].to_numpy().tolist() == [
        ["gene_index", "none", 2],
        ["gene_index", "ranks", 0],
        ["age", "none", 0],
    ]
    assert found["c_harrell_low"].notna().all()
    refusals = {"other": {"lsc17": "not fitted: 2 of 17 genes", "clinical": "not applied: no value in this cohort"}}
    paired = validation_comparisons(table, outcomes, [1, 3], 50, metrics=["c_harrell", "ibs"], refusals=refusals)
    assert paired[["adaptation", "comparator", "metric"]].drop_duplicates().shape == (12, 3)
    assert (paired["cohort"] == "other").all()
    why = paired.set_index("comparator")["note"]
    assert set(why["lsc17"]) == {"not compared: not fitted: 2 of 17 genes"}
    assert set(why["clinical"]) == {"not compared: not applied: no value in this cohort"}
    assert paired.loc[paired["comparator"] == "age", "difference"].notna().sum() == 2
    with pytest.raises(InputError, match="no outcome table"):
        validation_table(table, {}, [1, 3], 0)


def test_a_classifier_is_calibrated_where_it_predicts(world, run):
    part = run[0].query("model == 'gene_index'").copy()
    part.loc[:, [c for c in part if c.startswith("survival_") and c != "survival_1y"]] = np.nan
    row = leaderboard(part, world[1], [1, 3], 10).iloc[0]
    assert row["calibration_horizon"] == 1
    assert np.isfinite(row["calibration_slope"])
    assert np.isnan(row["ibs"])
    assert "predicts no survival curve" in row["note"]


def test_a_comparator_that_was_refused_says_so(world, run):
    notes = pd.DataFrame({"model": ["lsc17"], "repeat": [1], "fold": [1], "reason": ["2 of 17 genes"]})
    table = comparisons(run[0], world[1], [1, 3], 20, notes=notes).set_index("comparator")
    assert set(table.index) == {"age", "lsc17"}
    assert np.isnan(table.loc["lsc17", "difference"]).all()
    assert table.loc["lsc17", "note"].iloc[0] == "not compared: 1 fits failed: 2 of 17 genes"
