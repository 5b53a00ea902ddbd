"""The leak test of DESIGN 3.1: it passes on our procedure and fails when leakage is put in on purpose."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from evaluation_helpers import Screened, make, make_world

from amlprognosis.errors import InputError
from amlprognosis.evaluation.crossvalidate import crossvalidate, structured_outcome
from amlprognosis.evaluation.leakage import held_out_influence, leaky_c_index
from amlprognosis.evaluation.metrics import blocked_concordance
from amlprognosis.evaluation.sheets import sheet_from_predictions


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


def test_the_leaky_recipe_claims_what_is_not_there():
    features, outcome, folds = make_world(120, 10_000, seed=3, effect=0.0)
    table = leaky_c_index(features, outcome, folds.query("repeat == 1")).set_index("recipe")
    assert table.loc["leaky", "c_harrell"] > 0.8
    assert 0.35 < table.loc["honest", "c_harrell"] < 0.65
    run = crossvalidate(features, outcome, folds, ["gene_index"], make, 1, [1], 0)
    sheet = sheet_from_predictions(run.predictions, list(outcome.index))
    time, event = outcome["os_time"].to_numpy(), outcome["os_event"].to_numpy()
    assert 0.35 < blocked_concordance(time, event, sheet) < 0.65


def test_too_few_genes_or_patients_are_refused(world):
    features, outcome, folds = world
    with pytest.raises(InputError, match="recipe needs 99"):
        leaky_c_index(features, outcome, folds, genes=99)
    small = pd.DataFrame({"repeat": 1, "fold": 7, "patient": features.index[:2]})
    with pytest.raises(InputError, match="at least 4"):
        held_out_influence(honest, features, outcome, small, 7)
