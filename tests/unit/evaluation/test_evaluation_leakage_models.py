"""The leak test of DESIGN 3.1 on the models of the registry, small."""

from __future__ import annotations

import numpy as np
import pytest
from evaluation_helpers import make_world

from amlprognosis.evaluation.crossvalidate import crossvalidate
from amlprognosis.evaluation.leakage import held_out_influence
from amlprognosis.models.registry import make_model

GENES = tuple(f"G{k}" for k in range(30))
SETTINGS = {
    "gene_index": {"genes": [*GENES, "PLANTED_LEAK"], "n_folds": 3, "n_lambda": 15},
    "clinical_gene_index": {
        "genes": [*GENES, "PLANTED_LEAK"],
        "index": {"n_folds": 3, "n_lambda": 15},
        "n_folds": 3,
    },
    "random_survival_forest": {"n_estimators": 10},
    "random_forest_5y": {"n_estimators": 10, "horizon_years": 2.0},
    "xgboost_cox": {"n_estimators": 10, "n_folds": 2},
    "xgboost_5y": {"n_estimators": 10, "n_folds": 2, "horizon_years": 2.0},
    "clinical": {},
    "age": {},
}


@pytest.fixture(scope="module")
def gaps():
    """A world with missing values, so that imputation could leak, too."""
    features, outcome, folds = make_world(90, 30, seed=4)
    rng = np.random.default_rng(0)
    features = features.mask(rng.uniform(size=features.shape) < 0.03)
    features["mutation:NPM1"] = rng.integers(0, 2, 90).astype(float)
    return features, outcome, folds.query("repeat == 1")


def make(name, seed):
    return make_model(name, SETTINGS[name], seed)


@pytest.mark.parametrize("model", sorted(SETTINGS))
def test_no_model_of_the_registry_sees_the_held_out_patients(gaps, model):
    def procedure(features, outcome, folds):
        own = folds[folds["fold"] == 1]
        return crossvalidate(features, outcome, own, [model], make, 1, [2], 0, curve_points=1).predictions

    found = held_out_influence(procedure, *gaps, fold=1, draws=1)
    assert (found.outcome, found.features, found.planted) == (0.0, 0.0, 0.0)
