"""Risk groups, ROC points, hazard ratios, stability."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from evaluation_helpers import make

from amlprognosis.errors import InputError
from amlprognosis.evaluation.crossvalidate import crossvalidate
from amlprognosis.evaluation.hazard_ratios import gene_hazard_ratios, index_hazard_ratios, patient_index
from amlprognosis.evaluation.leaderboard import evaluate_models
from amlprognosis.evaluation.roc import roc_points
from amlprognosis.evaluation.stability import model_stability, nogueira_stability, selection_frequency
from amlprognosis.evaluation.survival_groups import patient_groups, survival_by_group


@pytest.fixture(scope="module")
def run(world):
    features, outcome, folds = world
    parts = [crossvalidate(features, outcome, folds, ["gene_index", "age"], make, r, [1, 3], 1) for r in (1, 2)]
    return pd.concat([p.predictions for p in parts]), pd.concat([p.selected for p in parts])


def test_majority_group_and_draw():
    table = pd.DataFrame({"patient": list("aaabb"), "risk_group": ["high", "low", "low", "high", "low"]})
    assert patient_groups(table).to_dict() == {"a": "low", "b": "high"}


def test_survival_by_group(world, run):
    groups = survival_by_group(run[0], world[1], "training", [0, 1, 2])
    test = groups.tests.set_index("model").loc["gene_index"]
    assert test["patients_low"] + test["patients_high"] == 90
    assert test["hr"] > 1
    assert test["hr_low"] < test["hr"] < test["hr_high"]
    assert 0 <= test["logrank_p"] < 0.05
    start = groups.risk_table.query("model == 'gene_index' and time_days == 0").set_index("group")["at_risk"]
    assert start["high"] == test["patients_high"]
    curve = groups.kaplan_meier.query("model == 'gene_index' and group == 'high'")
    assert curve.iloc[0][["time_days", "survival", "low", "high"]].tolist() == [0, 1, 1, 1]
    assert curve["survival"].is_monotonic_decreasing
    alone = survival_by_group(run[0].assign(risk_group="low"), world[1], "training").tests
    assert (alone["note"] == "all patients are in the low group").all()


def test_roc_area_is_the_auc_of_the_leaderboard(world, run):
    auc = evaluate_models(run[0], world[1], [1, 3], 0).results["gene_index"]
    for predictions, tolerance in ((run[0], 0.01), (run[0].query("repeat == 1").assign(fold=1), 1e-12)):
        part = predictions.query("model == 'gene_index'")
        auc = evaluate_models(part, world[1], [1, 3], 0).results["gene_index"]
        points = roc_points(part, world[1], [1, 3, 50], "training")
        assert set(points["horizon"]) == {1, 3}
        for horizon in (1, 3):
            curve = points[points["horizon"] == horizon]
            assert curve.iloc[0][["fpr", "tpr"]].tolist() == [0, 0]
            assert curve.iloc[-1][["fpr", "tpr"]].tolist() == pytest.approx([1, 1])
            area = np.trapezoid(curve["tpr"], curve["fpr"])
            assert area == pytest.approx(auc.estimate(f"auc_{horizon}y"), abs=tolerance)


def test_hazard_ratios(world, run):
    features, outcome, _ = world
    genes = gene_hazard_ratios(features, outcome, ["expression:G0", "expression:G1"], "training")
    assert genes["term"].tolist() == ["G0", "G1"]
    assert genes.loc[0, "low"] > 1
    assert genes.loc[0, "p"] < 0.001
    with pytest.raises(InputError, match="expression:NO"):
        gene_hazard_ratios(features, outcome, ["expression:NO"], "training")
    rng = np.random.default_rng(0)
    clinical = pd.DataFrame(
        {
            "age": features["clinical:age"],
            "sex": "male",
            "risk": rng.choice(["favourable", "intermediate", "adverse"], 90),
        }
    )
    clinical.loc["P003", "risk"] = None
    index = patient_index(run[0].query("model == 'gene_index'"))
    table = index_hazard_ratios(index, outcome, clinical, "training").set_index(["analysis", "term"])
    assert table.loc[("univariable", "gene index, per SD"), "patients"] == 90
    assert table.loc[("multivariable", "gene index, per SD"), "patients"] == 89
    assert table.loc[("multivariable", "gene index, per SD"), "low"] > 1
    assert table.loc[("multivariable", "male vs female"), "note"] == "the same for all patients"
    assert np.isfinite(table.loc[("multivariable", "adverse vs favourable"), "hr"])


def test_selection_frequency(run):
    table = selection_frequency(run[1], fits=6)
    top = table.iloc[0]
    assert top["feature"] == "expression:G0"
    assert top["frequency"] == 1
    assert top["same_sign"] == 1
    assert table["selected"].sum() == 18
    found = model_stability(run[1], {"gene_index": 60}).iloc[0]
    assert found["fits"] == 6
    assert found["features"] == 3
    assert found["stability_low"] < found["stability"] < found["stability_high"]
    with pytest.raises(InputError, match="candidates"):
        model_stability(run[1], {"gene_index": 2})


def test_nogueira_definition():
    same = np.tile(np.arange(50) < 5, (10, 1))
    assert nogueira_stability(same).index == pytest.approx(1)
    rng = np.random.default_rng(0)
    chance = nogueira_stability(rng.permuted(np.tile(np.arange(500) < 50, (100, 1)), axis=1))
    assert abs(chance.index) < 0.01
    assert chance.low < 0.005
    # By hand: p = (1, 1/2, 1/2, 0), s2 = 2 p (1 - p) -> mean 1/4; mean size 2 of 4 -> 1/4; index 0.
    by_hand = nogueira_stability(np.array([[1, 1, 0, 0], [1, 0, 1, 0]]))
    assert by_hand.index == pytest.approx(0)
    # By the authors' Python code (github.com/nogueirs/JMLR2018, stability.confidenceIntervals); a sign in their R file
    # differs, and does not agree with the theorem.
    rows = "110010000100 110000001100 100010000110 111010000100 010010100000 110011001100 100010010000 110110000101"
    found = nogueira_stability(np.array([[int(c) for c in row] for row in rows.split()]))
    expected = (0.36406825025092004, 0.20226229582090302, 0.525874204680937)
    assert (found.index, found.low, found.high) == pytest.approx(expected, abs=1e-12)
    with pytest.raises(InputError, match="at least 2"):
        nogueira_stability(np.ones((1, 4)))
    assert np.isnan(nogueira_stability(np.zeros((3, 4))).index)
