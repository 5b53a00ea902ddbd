"""The leak test of DESIGN 3.1 on every model of the registry, on the grid and on the choice of its best, small."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from evaluation_helpers import make_world

from amlprognosis.evaluation.best_of_grid import nested_predictions
from amlprognosis.evaluation.crossvalidate import crossvalidate
from amlprognosis.evaluation.grid import crossvalidate_grid
from amlprognosis.evaluation.leakage import PLANTED, held_out_influence
from amlprognosis.models.registry import MODEL_NAMES, make_model
from amlprognosis.signatures.scores import read_signature
from amlprognosis.signatures.tables import signature_path
from amlprognosis.study import BEST_OF_GRID
from amlprognosis.study.names import LEARNERS, SELECTORS, parse_grid_name

GENES = tuple(f"G{k}" for k in range(30))
INDEX = {"genes": [*GENES, "PLANTED_LEAK"], "n_folds": 3, "n_lambda": 15}
TREES = {"n_estimators": 10}
CLASSIFIER = {"horizon_years": 2.0}
SETTINGS = {
    "gene_index": INDEX,
    "clinical_gene_index": {"genes": INDEX["genes"], "n_folds": 3, "index": {"n_folds": 3, "n_lambda": 15}},
    "random_survival_forest": TREES,
    "xgboost_cox": {**TREES, "n_folds": 2},
    "xgboost_aft": {**TREES, "n_folds": 2},
    "age": {},
    "age_sex": {},
    "eln": {},
    "age_eln": {},
    "clinical": {},
    "clinical_mutations": {},
    "lsc17": {},
    "random_forest_5y": {**CLASSIFIER, **TREES},
    "xgboost_5y": {**CLASSIFIER, **TREES, "n_folds": 2},
    "logistic_5y": CLASSIFIER,
    "svm_5y": CLASSIFIER,
    "mlp_5y": CLASSIFIER,
    "knn_5y": CLASSIFIER,
}
# Where a model reads no genes, the column is planted among those that it reads.
PLACES = {"clinical": "clinical:planted", "clinical_mutations": "mutation:planted", "eln": "clinical:risk_planted"}


@pytest.fixture(scope="module")
def gaps():
    """A world with missing values, so that imputation could leak, too."""
    features, outcome, folds = make_world(90, 30, seed=4)
    rng = np.random.default_rng(0)
    signature = [f"expression:{gene}" for gene in read_signature(signature_path("lsc17"))]
    features[signature] = rng.normal(size=(90, len(signature)))
    features = features.mask(rng.uniform(size=features.shape) < 0.03)
    risk = rng.integers(0, 3, 90)
    binary = {"clinical:sex_male": rng.integers(0, 2, 90), "mutation:NPM1": rng.integers(0, 2, 90)}
    binary |= {"clinical:risk_intermediate": risk == 1, "clinical:risk_adverse": risk == 2}
    for name, values in binary.items():
        features[name] = values.astype(float)
    return features, outcome, folds.query("repeat == 1")


def make(name, seed):
    return make_model(name, SETTINGS[name], seed)


def test_no_model_is_forgotten():
    assert set(SETTINGS) == set(MODEL_NAMES)


@pytest.mark.parametrize("model", sorted(SETTINGS))
def test_no_model_of_the_registry_sees_the_held_out_patients(gaps, model):
    def procedure(features, outcome, folds):
        own = folds[folds["fold"] == 1]
        return crossvalidate(features, outcome, own, [model], make, 1, [2], 0, curve_points=1).predictions

    found = held_out_influence(procedure, *gaps, fold=1, draws=1, planted=PLACES.get(model, PLANTED))
    assert (found.outcome, found.features, found.planted) == (0.0, 0.0, 0.0)


MEMBERS = [
    "RSF",
    "Enet[alpha=0.5]",
    "Lasso",
    "Ridge",
    "StepCox[backward]",
    "CoxBoost",
    "PLS-Cox",
    "SuperPC",
    "GBM",
    "survival-SVM",
    "RSF + StepCox[both]",
    "Enet[alpha=0.5] + SuperPC",
    "Lasso + survival-SVM",
    "StepCox[forward] + Ridge",
    "CoxBoost + GBM",
    "Stability + PLS-Cox",
]
FEW = {
    **{name: {"n_folds": 2} for name in ("Enet", "Lasso", "Ridge", "PLS-Cox", "SuperPC", "survival-SVM")},
    "RSF": {"n_estimators": 10},
    "CoxBoost": {"n_steps": 8, "penalty": 50.0},
    "GBM": {"max_trees": 10, "n_folds": 2},
    "Stability": {"n_pairs": 4, "threshold": 0.55, "q": 8},
}


def make_member(name, seed):
    return make_model(name, {"parameters": FEW, "genes": [*GENES, "PLANTED_LEAK"], "max_genes": 15}, seed)


def test_neither_the_grid_nor_the_choice_of_its_best_sees_them(gaps):
    names = [parse_grid_name(name) for name in MEMBERS]
    assert {name.learner.family for name in names} == set(LEARNERS)
    assert {name.selector.family for name in names if name.selector} == set(SELECTORS)

    def procedure(features, outcome, folds):
        own = folds[folds["fold"] == 1]
        run = crossvalidate_grid(features, outcome, own, MEMBERS, make_member, 1, [2], 0, inner_folds=2)
        nested = nested_predictions(run.inner, run.outer.predictions)
        predicted.append(set(run.outer.predictions["model"]) | set(nested["model"]))
        return pd.concat([run.outer.predictions, nested], ignore_index=True)

    predicted: list[set[str]] = []
    found = held_out_influence(procedure, *gaps, fold=1, draws=1)
    assert predicted[0] == {*MEMBERS, BEST_OF_GRID}
    assert (found.outcome, found.features, found.planted) == (0.0, 0.0, 0.0)
