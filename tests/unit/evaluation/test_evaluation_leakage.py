"""The leak test of DESIGN 3.1: it passes on our procedure and fails when leakage is put in on purpose."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from evaluation_helpers import Screened, make, make_world

from amlprognosis.errors import InputError
from amlprognosis.evaluation.crossvalidate import crossvalidate, structured_outcome
from amlprognosis.evaluation.folds import make_folds
from amlprognosis.evaluation.leakage import Recipe, held_out_influence, leaky_c_index
from amlprognosis.evaluation.leakage_checks import outcome_proxies
from amlprognosis.evaluation.nulls import procedure_c_index
from amlprognosis.models.kaplan_meier import kaplan_meier
from amlprognosis.models.registry import make_model
from amlprognosis.normalize.duplicates import copied_profiles


def honest(features, outcome, folds):
    return crossvalidate(features, outcome, folds, ["gene_index", "age"], make, 1, [1], 0).predictions


def screened_on_all(features, outcome, folds):
    whole = Screened(genes=3).fit(features, structured_outcome(outcome))
    return crossvalidate(
        features, outcome, folds, ["leaky"], lambda *_: Screened(allowed=whole.columns_), 1, [1], 0
    ).predictions


def scaled_on_all(features, outcome, folds):
    scaled = ((features - features.mean()) / features.std().replace(0, 1)).astype(float)
    return crossvalidate(scaled, outcome, folds, ["age"], make, 1, [1], 0).predictions


def imputed_on_all(features, outcome, folds):
    return crossvalidate(features.fillna(features.mean()), outcome, folds, ["age"], make, 1, [1], 0).predictions


def imputed_inside(features, outcome, folds):
    return crossvalidate(features, outcome, folds, ["clinical"], clinical, 1, [1], 0).predictions


def clinical(name, seed):
    return make_model("clinical", {}, seed)


def calibrated_on_all(features, outcome, folds):
    baseline = kaplan_meier(outcome["os_time"].to_numpy(), outcome["os_event"].to_numpy()).at(365.25)
    table = honest(features, outcome, folds)
    return table.assign(survival_1y=np.asarray(baseline) ** np.exp(0.01 * table["risk"]))


def cut_at_the_median_of_those_held_out(features, outcome, folds):
    table = honest(features, outcome, folds)
    middle = table.groupby(["model", "fold"])["risk"].transform("median")
    return table.assign(risk_group=np.where(table["risk"] > middle, "high", "low"))


def forest(name, seed):
    return make_model(name, {"n_estimators": 50, "min_samples_leaf": 3}, seed)


def fitted_on_all(features, outcome, folds):
    model = Screened().fit(features, structured_outcome(outcome))
    return folds.query("repeat == 1").assign(risk=lambda d: model.predict(features.loc[d["patient"]]))


def test_held_out_patients_do_not_influence_their_predictions(world):
    for fold in (1, 2, 3):
        found = held_out_influence(honest, *world[:2], world[2].query("repeat == 1"), fold)
        assert found.largest == 0.0


@pytest.mark.parametrize("leaky", [screened_on_all, fitted_on_all])
def test_learning_from_held_out_outcomes_is_detected(world, leaky):
    found = held_out_influence(leaky, *world[:2], world[2].query("repeat == 1"), 1)
    assert found.outcome > 1e-3
    assert found.planted > 1e-3


def test_scaling_on_all_patients_is_detected(world):
    found = held_out_influence(scaled_on_all, *world[:2], world[2].query("repeat == 1"), 1)
    assert found.features > 1e-3
    assert found.outcome == 0.0


def test_outcome_proxy_in_held_out_rows_changes_nothing(world):
    """DESIGN 3.1 as written: noise in the training rows, the outcome in the held-out rows."""
    features, outcome, folds = world
    part = folds.query("repeat == 1")
    held = part.loc[part["fold"] == 2, "patient"]
    rng = np.random.default_rng(0)
    planted = features.assign(**{"expression:PROXY": 0.01 * rng.normal(size=len(features))})
    proxy = planted.copy()
    early = -np.log(outcome.loc[held, "os_time"])
    proxy.loc[held, "expression:PROXY"] = 3.0 * (early - early.mean())
    a, b = (honest(x, outcome, part).query("fold == 2")["risk"].to_numpy() for x in (planted, proxy))
    np.testing.assert_array_equal(a, b)
    a, b = (screened_on_all(x, outcome, part).query("fold == 2")["risk"].to_numpy() for x in (planted, proxy))
    assert np.abs(a - b).max() > 1e-3


def test_calibration_and_cut_points_of_held_out_patients_are_detected(world):
    part = world[2].query("repeat == 1")
    found = held_out_influence(calibrated_on_all, *world[:2], part, 1)
    assert found.outcome > 1e-3
    assert found.features == 0.0
    found = held_out_influence(cut_at_the_median_of_those_held_out, *world[:2], part, 1)
    assert found.outcome == 0.0
    assert found.features == 1.0


def test_imputing_on_all_patients_is_detected(world):
    features, outcome, folds = world
    gaps = features.mask(np.random.default_rng(1).uniform(size=features.shape) < 0.1)
    part = folds.query("repeat == 1")
    assert held_out_influence(imputed_on_all, gaps, outcome, part, 1).features > 1e-3
    inside = held_out_influence(imputed_inside, gaps, outcome, part, 1)
    assert (inside.outcome, inside.features) == (0.0, 0.0)


def test_a_duplicated_patient_on_both_sides_of_a_fold_is_detected():
    """No fold can keep out what came in under two names: the data are checked, and the copies left out."""
    features, outcome, _ = make_world(70, 120, seed=6, effect=0.0)
    twice = pd.concat([features, features.add_prefix("copy of ", axis=0) + 1e-6])
    known = pd.concat([outcome, outcome.add_prefix("copy of ", axis=0)])

    def judged(x, y):
        folds = make_folds(list(x.index), y["os_event"], y["os_time"], 3, 1, 1)
        return procedure_c_index(x, y, folds, forest, "random_survival_forest", 0)[0]

    genes = [column for column in twice if column.startswith("expression:")]
    copies = copied_profiles(twice[genes])
    assert len(copies) == 70
    assert set(copies.items()) == {(f"copy of {name}", name) for name in features.index}
    single = twice.drop(index=list(copies))
    assert judged(twice, known) > 0.7
    assert abs(judged(single, known.loc[single.index]) - 0.5) < 0.15


def test_a_feature_made_of_the_outcome_is_detected():
    features, outcome, folds = make_world(90, 40, seed=7, effect=0.0)
    rng = np.random.default_rng(2)
    planted = features.assign(**{"clinical:seen": np.log(outcome["os_time"]) + 0.1 * rng.normal(size=90)})

    def judged(x):
        return procedure_c_index(x, outcome, folds, clinical, "clinical", 0)[0]

    assert judged(planted) > 0.9
    assert judged(features) < 0.65
    found = outcome_proxies(planted, outcome).set_index("feature")["reason"]
    assert found[found != ""].index.tolist() == ["clinical:seen"]


def test_the_recipe_on_other_outcomes(world):
    features, outcome, folds = world
    recipe = Recipe(features, outcome, genes=10)
    as_it_is = leaky_c_index(features, outcome, folds, genes=10).set_index("recipe")["c_harrell"]
    same = np.arange(90)
    assert recipe.c_index(folds, True) == recipe.c_index(folds, True, same) == as_it_is["leaky"]
    assert recipe.c_index(folds, False, same) == as_it_is["honest"]
    order = np.random.default_rng(0).permutation(90)
    moved = features.sort_index().iloc[order].set_axis(features.sort_index().index)
    assert recipe.c_index(folds, True, order) == leaky_c_index(moved, outcome, folds, genes=10)["c_harrell"][0]


def test_too_few_genes_or_patients_are_refused(world):
    features, outcome, folds = world
    with pytest.raises(InputError, match="recipe needs 99"):
        leaky_c_index(features, outcome, folds, genes=99)
    small = pd.DataFrame({"repeat": 1, "fold": 7, "patient": features.index[:2]})
    with pytest.raises(InputError, match="at least 4"):
        held_out_influence(honest, features, outcome, small, 7)
