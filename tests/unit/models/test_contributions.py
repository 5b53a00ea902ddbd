"""Contributions of features: they sum to what the model says, for every kind of model."""

from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from amlprognosis.errors import InputError
from amlprognosis.models.contributions import contributions, linear_terms, sampled_terms
from amlprognosis.models.horizon.calibration import logit_of
from amlprognosis.models.persistence import load_model, save_model
from amlprognosis.models.registry import MODEL_NAMES, make_model
from amlprognosis.models.tree_shap import forest_shapley
from amlprognosis.models.trees import FlatForest

FEW = {"max_features_screened": 40}
FAST = {
    "random_survival_forest": {"n_estimators": 30, **FEW},
    "xgboost_cox": {"n_estimators": 30, **FEW},
    "xgboost_aft": {"n_estimators": 30, **FEW},
    "random_forest_5y": {"n_estimators": 30, **FEW},
    "xgboost_5y": {"n_estimators": 30, **FEW},
    "logistic_5y": {"n_lambda": 8},
    "svm_5y": {"costs": (0.3,), "widths": (0.1,)},
    "mlp_5y": {"n_networks": 2, "max_epochs": 30, "decays": (0.1,)},
    "lsc17": {"weights": {"G0": 1.0, "G1": 0.8, "G2": -0.5}},
    "RSF": {"parameters": {"RSF": {"n_estimators": 30}}},
    "CoxBoost + GBM": {"parameters": {"GBM": {"max_trees": 40, "n_folds": 3}, "CoxBoost": {"n_folds": 3}}},
    "Lasso + Ridge": {"parameters": {"Lasso": {"n_folds": 3}, "Ridge": {"n_folds": 3}}},
}
TREES = ("random_survival_forest", "xgboost_cox", "xgboost_aft", "RSF", "CoxBoost + GBM")
LINEAR = [name for name in MODEL_NAMES if name not in TREES and not name.endswith("_5y")]
LINEAR_SVM = ("svm_5y", {"kernel": "linear"}, "linear", "log_odds")
# Name, settings, method, scale.
CASES = [
    *((name, {}, "linear", "risk") for name in [*LINEAR, "Lasso + Ridge", "SuperPC"]),
    *((name, {}, "tree_shap", "risk") for name in TREES),
    ("random_forest_5y", {}, "tree_shap", "probability"),
    ("random_forest_5y", {"weighting": "pseudo"}, "tree_shap", "probability"),
    ("random_forest_5y", {"calibrate": True}, "tree_shap", "uncalibrated_probability"),
    ("xgboost_5y", {}, "tree_shap", "log_odds"),
    ("xgboost_5y", {"calibrate": False}, "tree_shap", "log_odds"),
    ("xgboost_5y", {"weighting": "pseudo"}, "tree_shap", "uncalibrated_probability"),
    ("logistic_5y", {}, "linear", "log_odds"),
    LINEAR_SVM,
    ("svm_5y", {}, "sampled", "log_odds"),
    ("mlp_5y", {}, "sampled", "log_odds"),
    ("knn_5y", {}, "sampled", "risk"),
]
NAMES = ["-".join(map(str, (name, *more.values()))) for name, more, _, _ in CASES]
each = pytest.mark.parametrize(("name", "more", "method", "scale"), CASES, ids=NAMES)


def made(name, **more):
    return make_model(name, {**FAST.get(name, {}), **more}, 3)


@pytest.fixture(scope="module")
def fitted(train):
    return {(name, *more.items()): made(name, **more).fit(*train) for name, more, _, _ in CASES}


@pytest.fixture(scope="module")
def patients(test):
    """Some new patients; one lacks every third value, one lies far outside."""
    x = test[0].iloc[:8].copy()
    x.iloc[2, ::3] = np.nan
    x.iloc[3] *= 20
    return x


def linked(model, told):
    """The risk that follows from baseline + contributions, on the scale that is told."""
    if told.scale == "log_odds":
        return expit(told.totals)
    if told.scale == "probability":
        return np.clip(told.totals, 0, 1)
    if told.scale == "uncalibrated_probability":
        slope, intercept = model.calibration_
        return expit(slope * logit_of(told.totals) + intercept)
    return told.totals


@each
def test_they_sum_to_the_risk(name, more, method, scale, fitted, patients):
    model = fitted[(name, *more.items())]
    told = contributions(model, patients)
    assert told.scale == scale
    assert set(told.table["method"]) == {method}
    np.testing.assert_allclose(linked(model, told), model.predict(patients), rtol=0, atol=1e-9)
    sums = told.table.groupby("patient", sort=False)["contribution"].sum()
    np.testing.assert_allclose(sums + told.baseline, told.totals, rtol=0, atol=1e-9)
    assert list(sums.index) == list(patients.index)


@each
def test_one_patient_alone_and_frozen(name, more, method, scale, fitted, patients, tmp_path):
    model = fitted[(name, *more.items())]
    told = contributions(model, patients)
    save_model(model, tmp_path)
    again = contributions(load_model(tmp_path), patients.iloc[[5]])
    own = told.table[told.table["patient"] == patients.index[5]].reset_index(drop=True)
    pd.testing.assert_frame_equal(again.table, own, check_exact=True)
    assert again.baseline == told.baseline


def test_the_table(fitted, patients):
    model = fitted[("xgboost_cox",)]
    table = contributions(model, patients).table
    assert list(table.columns) == ["patient", "feature", "value", "contribution", "method"]
    for patient, part in table.groupby("patient"):
        assert sorted(part["feature"]) == sorted(model.features_in_)
        assert (np.diff(part["contribution"].abs()) <= 0).all()
        np.testing.assert_array_equal(part["value"], patients.loc[patient, part["feature"]])
    assert table["value"].isna().any()
    with pytest.raises(InputError, match="columns, 1 are absent"):
        contributions(model, patients.drop(columns=model.features_in_[0]))


@pytest.mark.parametrize("name", ["gene_index", "clinical", "lsc17", "Lasso + Ridge"])
def test_linear_by_hand(name, fitted, train, patients):
    model = fitted[(name,)]
    table = contributions(model, patients).table.set_index(["patient", "feature"])["contribution"]
    z = model.preprocessor_
    for j, feature in enumerate(model.features_in_):
        values = patients[feature].fillna(z.fill_[j])
        expected = model.coef_[j] * (values - train[0][feature].mean()) / z.scale_[j]
        np.testing.assert_allclose(table.xs(feature, level="feature"), expected, rtol=1e-9, atol=1e-12)
    # At the training means nothing contributes.
    means = train[0].mean().to_frame("mean").T
    assert contributions(model, means).table["contribution"].abs().max() < 1e-12


def test_the_baseline_of_a_forest_is_the_mean_training_risk(fitted, train):
    for name in ("random_survival_forest", "RSF", "CoxBoost + GBM"):
        model = fitted[(name,)]
        assert contributions(model, train[0].iloc[:1]).baseline == pytest.approx(model.predict(train[0]).mean())


def test_xgboost_plays_the_same_game_on_its_own_trees(fitted, patients):
    """Its trees as a forest of ours, whose covers are its sums of second derivatives."""
    model = fitted[("xgboost_aft",)]
    trees = model.booster_.trees_to_dataframe()
    place = {node: k for k, node in enumerate(trees["ID"])}
    is_leaf = (trees["Feature"] == "Leaf").to_numpy()
    # XGBoost sends values below a threshold to the left, ours those at or below it.
    split = np.nextafter(trees["Split"].fillna(0).to_numpy(dtype=np.float32), np.float32(-np.inf))
    children = trees[["Yes", "No"]].map(lambda node: place.get(node, -1)).to_numpy(dtype=np.int32)
    forest = FlatForest(
        roots=np.flatnonzero(trees["Node"] == 0).astype(np.int32),
        feature=np.array([-1 if leaf else int(f[1:]) for f, leaf in zip(trees["Feature"], is_leaf, strict=True)]),
        threshold=split.astype(float),
        left=children[:, 0],
        right=children[:, 1],
        leaf=np.where(is_leaf, np.cumsum(is_leaf) - 1, -1),
        values=trees.loc[is_leaf, "Gain"].to_numpy()[:, None],
        cover=trees["Cover"].to_numpy(),
    )
    values = model.preprocessor_.transform(patients).astype(np.float32)
    _, ours = forest_shapley(forest, values)
    own = model._contributions(model.preprocessor_.transform(patients))
    np.testing.assert_allclose(own.terms, -forest.roots.size * ours, rtol=0, atol=2e-5)
    assert np.abs(own.terms).max() > 0.1


def test_sampling_finds_shapley_values():
    def says(x):
        return x[:, 0] * x[:, 1] + np.maximum(x[:, 2], x[:, 1]) - 2 * x[:, 3]

    values, reference = np.array([[1.0, 2, -1, 3, 7], [0.5, -1, 2, 0, 7]]), np.array([0.2, 0.0, 0.5, 1.0, 0.0])
    exact = np.zeros(values.shape)
    orders = list(permutations(range(5)))
    for i, patient in enumerate(values):
        for order in orders:
            now = reference.copy()
            for j in order:
                before = says(now[None])[0]
                now[j] = patient[j]
                exact[i, j] += (says(now[None])[0] - before) / len(orders)
    found = sampled_terms(says, values, reference, 4)
    assert found.baseline == says(reference[None])[0]
    np.testing.assert_allclose(found.terms, exact, atol=0.06)
    # What is additive, or has no part, is exact; so is the sum.
    np.testing.assert_allclose(found.terms[:, 3:], exact[:, 3:], atol=1e-14)
    np.testing.assert_allclose(found.baseline + found.terms.sum(axis=1), says(values), atol=1e-14)
    np.testing.assert_array_equal(sampled_terms(says, values[1:], reference, 4).terms, found.terms[1:])
    assert (sampled_terms(says, values, reference, 5).terms != found.terms).any()


def test_sampling_a_linear_model_is_exact(fitted, patients):
    name, more, *_ = LINEAR_SVM
    model = fitted[(name, *more.items())]
    values = model.preprocessor_.transform(patients)
    sampled = sampled_terms(model._score, values, np.zeros(values.shape[1]), 1)
    exact = linear_terms(values, model.support_[0], model.intercept_)
    np.testing.assert_allclose(sampled.terms, exact.terms, atol=1e-9)
    assert sampled.baseline == pytest.approx(exact.baseline)
