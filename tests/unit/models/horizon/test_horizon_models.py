"""The classifiers as models: data frame in, probability out, frozen and loaded."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from amlprognosis.errors import InputError
from amlprognosis.evaluation.crossvalidate import crossvalidate
from amlprognosis.evaluation.folds import make_folds
from amlprognosis.evaluation.leakage import held_out_influence
from amlprognosis.models.base import as_outcome
from amlprognosis.models.concordance import harrell_concordance
from amlprognosis.models.horizon import (
    HorizonForest,
    HorizonKNN,
    HorizonLogistic,
    HorizonMLP,
    HorizonSVM,
    HorizonXGBoost,
)
from amlprognosis.models.horizon.base import Part
from amlprognosis.models.persistence import load_model, save_model

FAST = {
    HorizonForest: {"n_estimators": 30},
    HorizonXGBoost: {"n_estimators": 30},
    HorizonLogistic: {"n_lambda": 10},
    HorizonSVM: {"costs": (0.1, 1.0), "widths": (0.1, 0.3)},
    HorizonMLP: {"n_networks": 2, "max_epochs": 40},
    HorizonKNN: {},
}
CASES = [
    (kind, weighting)
    for kind in FAST
    for weighting in ("ipcw", "pseudo")
    if (kind, weighting) != (HorizonSVM, "pseudo")
]
NAMES = [f"{kind.__name__}-{weighting}" for kind, weighting in CASES]
each = pytest.mark.parametrize(("kind", "weighting"), CASES, ids=NAMES)


def made(kind, **more):
    return kind(**{"horizon_years": 3.0, "n_selected": 10, "random_state": 4, "calibrate": True, **FAST[kind], **more})


@pytest.fixture(scope="module")
def fitted(train):
    return {(kind, weighting): made(kind, weighting=weighting).fit(*train) for kind, weighting in CASES}


@each
def test_risk_is_a_probability_in_the_right_direction(kind, weighting, fitted, test):
    model, (x, y) = fitted[kind, weighting], test
    risk = model.predict(x)
    assert ((risk > 0) & (risk < 1)).all()
    assert harrell_concordance(y["time"], y["event"], risk).index > 0.6
    survival = model.predict_survival(x, [365.25, 3 * 365.25])
    assert np.isnan(survival[:, 0]).all()
    np.testing.assert_array_equal(survival[:, 1], 1 - risk)
    assert sum(model.counts_.values()) == model.n_patients_
    assert set(model.selected_features()["feature"]) <= set(model.features_in_)
    assert clone(model).get_params() == model.get_params()


@each
def test_probabilities_are_about_right(kind, weighting, fitted, test):
    x, y = test
    risk = fitted[kind, weighting].predict(x)
    # Nobody in these data is censored before 3 years, so the share of deaths is plain.
    assert risk.mean() == pytest.approx((y["event"] & (y["time"] <= 3 * 365.25)).mean(), abs=0.1)


@each
def test_calibration_keeps_the_ranking(kind, weighting, fitted, test):
    model = fitted[kind, weighting]
    calibrated = model.predict(test[0])
    slope, _ = model.calibration_
    assert slope > 0
    raw = clone(model).set_params(calibrate=False)
    raw.__dict__.update({**model.__dict__, "calibrate": False})
    order = np.argsort(raw.predict(test[0]), kind="stable")
    assert (np.diff(calibrated[order]) >= 0).all()


@each
def test_order_of_patients_and_threads_do_not_matter(kind, weighting, fitted, train, test, tmp_path):
    x, y = train
    order = np.random.default_rng(0).permutation(len(x))
    again = made(kind, weighting=weighting, n_jobs=2).fit(x.iloc[order].assign(**{"other:noise": 1.0}), y[order])
    for model, name in ((fitted[kind, weighting], "a"), (again, "b")):
        save_model(model, tmp_path / name)
    for path in sorted((tmp_path / "a").iterdir()):
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
    frozen = load_model(tmp_path / "a")
    held = test[0].copy()
    held.iloc[::3, ::5] = np.nan
    np.testing.assert_array_equal(frozen.predict(held), fitted[kind, weighting].predict(held))
    np.testing.assert_allclose(frozen.predict(held.iloc[[5]]), frozen.predict(held)[[5]], rtol=1e-12)
    assert frozen.selected_features().equals(fitted[kind, weighting].selected_features())


@each
def test_selection_by_screen_and_mrmr(kind, weighting, train):
    by_screen = made(kind, weighting=weighting, selection="screen", max_features_screened=6, calibrate=False).fit(
        *train
    )
    by_mrmr = made(kind, weighting=weighting, selection="mrmr", n_selected=7, calibrate=False).fit(*train)
    assert len(by_screen.features_in_) == 6
    assert len(by_mrmr.features_in_) == 7
    assert by_mrmr.n_candidates_ == train[0].shape[1]
    for model in (by_screen, by_mrmr):
        assert {"expression:G0", "clinical:age"} & set(model.features_in_)
        assert model.calibration_.tolist() == [1, 0]


def test_frozen_models_that_hold_patients_say_so(fitted):
    def says(model):
        return any("share it only as you would share patient data" in note for note in model.notes_)

    assert {kind for (kind, _), model in fitted.items() if says(model)} == {HorizonSVM, HorizonKNN}


@pytest.mark.parametrize("kind", FAST, ids=lambda kind: kind.__name__)
def test_noise_is_not_taken_for_signal(kind):
    """The best of 600 columns of noise look like signal unless inner folds choose their columns themselves."""
    rng = np.random.default_rng(8)
    x = pd.DataFrame(rng.normal(size=(120, 600)), columns=[f"expression:G{j}" for j in range(600)])
    y = as_outcome(rng.exponential(1000, 120), rng.random(120) < 0.8)
    model = made(kind, selection="mrmr").fit(x, y)
    risk = model.predict(pd.DataFrame(rng.normal(size=(200, 600)), columns=x.columns))
    assert risk.std() < 0.12
    if model.calibration_[0] == 0:
        assert any("carry no signal" in note for note in model.notes_)
        assert np.ptp(risk) == 0


def test_inner_folds_choose_columns_without_their_patients(train, monkeypatch):
    """Other features of the held-out patients of an inner fold change nothing in its training part."""
    x, y = train
    seen: list[list[Part]] = []
    tune = HorizonKNN._tune
    monkeypatch.setattr(HorizonKNN, "_tune", lambda self, parts: (seen.append(parts), tune(self, parts))[1])
    made(HorizonKNN).fit(x, y)
    # Patients all have a target (nobody is censored before 3 years), in the order of their ids.
    held = seen[0][0].held
    changed = x.copy()
    changed.iloc[np.flatnonzero(held), 5:40] += y["event"][held, None] * 3.0
    made(HorizonKNN).fit(changed, y)
    np.testing.assert_array_equal(seen[1][0].held, held)
    np.testing.assert_array_equal(seen[1][0].train.x, seen[0][0].train.x)
    assert seen[1][1].train.x.shape != seen[0][1].train.x.shape or (seen[1][1].train.x != seen[0][1].train.x).any()


@pytest.mark.parametrize("kind", FAST, ids=lambda kind: kind.__name__)
def test_held_out_patients_have_no_influence(kind, train):
    x, y = train
    features = x.iloc[:, [*range(12), 60, 61, 64]].mask(np.random.default_rng(0).uniform(size=(len(x), 15)) < 0.03)
    outcome = pd.DataFrame({"os_time": np.ceil(y["time"]), "os_event": y["event"]}, index=x.index)
    folds = make_folds(list(x.index), outcome["os_event"], outcome["os_time"], folds=3, repeats=1, seed=5)

    def procedure(features, outcome, folds):
        own = folds[folds["fold"] == 1]
        return crossvalidate(
            features, outcome, own, ["model"], lambda name, seed: made(kind), 1, [2], 0, curve_points=1
        ).predictions

    assert held_out_influence(procedure, features, outcome, folds, fold=1, draws=1).largest == 0


@each
def test_few_patients_many_columns(kind, weighting):
    """Three controls, more columns than patients, copies, constants, ties, gaps."""
    rng = np.random.default_rng(1)
    n = 30
    values = rng.integers(0, 4, size=(n, 50)).astype(float)
    x = pd.DataFrame(values, columns=[f"expression:G{j}" for j in range(50)])
    x["expression:COPY"] = x["expression:G1"]
    x["expression:CONSTANT"] = 7.0
    x["clinical:age"] = np.where(rng.random(n) < 0.1, np.nan, 60 + 5 * values[:, 0])
    time = np.where(np.arange(n) < 3, 2000.0, 100.0 * rng.integers(1, 8, n))
    y = as_outcome(time, np.arange(n) % 5 != 0)
    model = made(kind, weighting=weighting, min_class=2).fit(x, y)
    assert np.isfinite(model.predict(x)).all()
    assert {"step": "filter", "item": "expression:CONSTANT", "reason": "constant"} in model.dropped_


def test_great_weights_are_noted(train):
    rng = np.random.default_rng(0)
    x = train[0]
    n = len(x)
    y = as_outcome(np.where(np.arange(n) < 8, 2000.0, rng.uniform(1, 900, n)), rng.random(n) < 0.2)
    model = made(HorizonLogistic, min_class=2).fit(x, y)
    assert any("a weight of up to" in note for note in model.notes_)


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        (HorizonLogistic, {"horizon_years": 30}, r"0 controls with known status at 30 years, at least 10 are needed"),
        (HorizonForest, {"horizon_years": 0.0001}, r"0 deaths with known status"),
        (HorizonForest, {"horizon_years": -1}, "horizon_years"),
        (HorizonMLP, {"horizon_years": np.inf}, "horizon_years"),
        (HorizonKNN, {"weighting": "drop"}, "weighting 'drop' is not known; use ipcw or pseudo"),
        (HorizonSVM, {"weighting": "pseudo"}, "not labels; use weighting ipcw"),
        (HorizonSVM, {"kernel": "poly"}, "kernel 'poly'"),
        (HorizonSVM, {"costs": ()}, "costs must be"),
        (HorizonSVM, {"widths": (0,)}, "widths must be"),
        (HorizonKNN, {"selection": "all"}, "selection 'all'"),
        (HorizonKNN, {"n_selected": 0}, "n_selected must be at least 1"),
        (HorizonKNN, {"neighbours": (0, 3)}, "neighbours must be"),
        (HorizonXGBoost, {"n_folds": 1}, "n_folds must be at least 2"),
        (HorizonXGBoost, {"min_class": 1}, "min_class must be at least 2"),
        (HorizonForest, {"blocks": ()}, "blocks is empty"),
        (HorizonForest, {"blocks": ("proteins",)}, "no usable column"),
        (HorizonLogistic, {"l1_ratios": (1.5,)}, "l1_ratios"),
        (HorizonLogistic, {"l1_ratios": (1.0,), "weighting": "pseudo"}, "pure lasso"),
        (HorizonMLP, {"hidden": 0}, "must be above 0"),
        (HorizonMLP, {"decays": ()}, "decays must be"),
        (HorizonMLP, {"decays": (0.0,), "weighting": "pseudo"}, "weight decay above 0"),
    ],
)
def test_bad_settings(kind, settings, message, train):
    with pytest.raises(InputError, match=message):
        made(kind, **settings).fit(*train)


def test_damaged_side_file(fitted, tmp_path):
    model = fitted[HorizonKNN, "ipcw"]
    save_model(model, tmp_path)
    other = fitted[HorizonMLP, "ipcw"]
    other._side_file = "patients.skops"
    other._write_side(tmp_path)
    del other._side_file
    with pytest.raises(InputError, match="not \\['patients_'"):
        model._read_side(tmp_path)
