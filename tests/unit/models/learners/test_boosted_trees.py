import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from amlprognosis.errors import InputError
from amlprognosis.models.base import as_outcome
from amlprognosis.models.boosting import SCALE_SHARES, XGBoostAFT, XGBoostCox, fit_location
from amlprognosis.models.learners.base import canonical_order
from amlprognosis.models.learners.boosted_trees import XGBAft, XGBCox
from amlprognosis.models.persistence import load_model, save_model

BOTH = pytest.mark.parametrize("cls", [XGBCox, XGBAft])


def cohort(n=120, p=10, seed=0, month=30.0):
    """Columns 0 and 2 kill, 1 protects; times in months, so tied."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, p))
    death = rng.exponential(np.exp(-x[:, :3] @ [1.0, -0.7, 0.6])) * 700
    censored = rng.uniform(300, 2500, n)
    return x, as_outcome(np.ceil(np.minimum(death, censored) / month) * month, death <= censored)


@pytest.fixture(scope="module")
def fitted():
    return {cls: cls().fit(*cohort()) for cls in (XGBCox, XGBAft)}


@BOTH
def test_direction_curves_and_importance(cls, fitted):
    x, y = cohort(n=300, seed=5)
    model = fitted[cls]
    assert model.score(x, y) > 0.68
    assert set(np.argsort(-model.feature_importances_)[:3]) == {0, 1, 2}
    assert model.feature_importances_.sum() == pytest.approx(1)
    assert 0.4 < model.lp_slope_ < 2.5
    grid = np.zeros((2, 10))
    grid[:, 0] = [-2, 2]
    assert np.diff(model.predict(grid))[0] > 0.5
    curves = model.survival_at(x, [100, 365, 1000])
    assert (np.diff(curves, axis=1) <= 0).all()
    alive = np.mean(y["time"] > 365) + np.mean(~y["event"] & (y["time"] <= 365)) / 2
    assert curves[:, 1].mean() == pytest.approx(alive, abs=0.1)


@BOTH
def test_rows_threads_and_units_do_not_matter(cls, fitted):
    x, y = cohort()
    order = np.random.default_rng(2).permutation(len(x))
    again = cls(n_jobs=2).fit(x[order], y[order])
    np.testing.assert_array_equal(again.predict(x), fitted[cls].predict(x))
    np.testing.assert_array_equal(again.baseline_hazard_, fitted[cls].baseline_hazard_)
    other = cls().fit(x * 7 + 100, y)
    assert np.corrcoef(other.predict(x * 7 + 100), fitted[cls].predict(x))[0, 1] > 0.99
    assert not np.array_equal(cls(random_state=1).fit(x, y).predict(x), fitted[cls].predict(x))


@BOTH
def test_the_search_ends_after_the_best(cls, fitted):
    model = fitted[cls]
    assert model.rounds_ == np.argmin(model.cv_path_) + 1 == len(model.cv_path_) - 20
    assert model.booster_.num_boosted_rounds() == model.rounds_
    assert model.notes_ == []
    short = clone(model).set_params(n_estimators=10).fit(*cohort())
    assert any("may fall beyond 10 rounds" in note for note in short.notes_)


# R 4.2.2, survival 3.5-3: survreg(Surv(time, event) ~ 1), with and without scale = 0.8.
SURVREG = {
    "normal": (2.47172552698, 1.19465308462, 2.36037749315),
    "logistic": (2.40196800124, 0.711224712601, 2.43561914195),
    "extreme": (3.03066955122, 1.11683829991, 3.06652155388),
}


@pytest.mark.parametrize("distribution", SURVREG)
def test_location_and_scale_are_survregs(distribution):
    time = np.array([5.0, 8, 3, 9, 12, 4, 7, 10, 31, 2, 15, 60])
    event = np.array([1, 0, 1, 1, 0, 1, 1, 0, 1, 1, 1, 0], dtype=bool)
    label = np.column_stack([time, np.where(event, time, np.inf)])
    location, scale, fixed = SURVREG[distribution]
    np.testing.assert_allclose(fit_location(label, distribution), [location, scale], rtol=1e-4)
    np.testing.assert_allclose(fit_location(label, distribution, 0.8), [fixed, 0.8], rtol=1e-4)
    # Everybody dead on one day: the scale stays within bounds.
    label[:] = 5.0
    np.testing.assert_allclose(fit_location(label, distribution), [np.log(5), 0.1], atol=0.1)


@pytest.mark.parametrize("distribution", ["normal", "logistic", "extreme"])
def test_failure_times(distribution):
    x, y = cohort()
    model = XGBAft(distribution).fit(x, y)
    label = np.column_stack([y["time"], np.where(y["event"], y["time"], np.inf)])
    location, scale = fit_location(label, distribution)
    assert model.scale_ / scale in [pytest.approx(share) for share in SCALE_SHARES]
    # The risk is minus the logarithm of predicted days, around what is expected without columns.
    assert -model.predict(x).mean() == pytest.approx(location, abs=0.5)
    losses = [XGBAft(distribution, scale=share * scale).fit(x, y).cv_path_.min() for share in SCALE_SHARES]
    assert model.cv_path_.min() == pytest.approx(min(losses))
    assert model.score(*cohort(n=300, seed=5)) > 0.65


# ---------------------------------------------------------------- models on study frames


@pytest.mark.parametrize(("cls", "learner"), [(XGBoostCox, XGBCox), (XGBoostAFT, XGBAft)])
def test_models_on_frames_are_the_learners(cls, learner, fitted, tmp_path):
    x, y = cohort()
    order = canonical_order(x, y["time"], y["event"])
    names = [f"expression:G{j}" for j in range(10)]
    frame = pd.DataFrame(x[order], columns=names, index=[f"P{i:03d}" for i in range(len(x))])
    model = cls().fit(frame, y[order])
    expected = fitted[learner]
    np.testing.assert_array_equal(model.predict(frame), expected.predict(x[order]))
    days = [100.0, 1000.0]
    np.testing.assert_allclose(model.predict_survival(frame, days), expected.survival_at(x[order], days), rtol=1e-12)
    assert model.selected_features()["feature"][0] == "expression:G0"
    for name, n_jobs in (("a", 1), ("b", 2)):
        save_model(cls(n_jobs=n_jobs).fit(frame, y[order]), tmp_path / name)
    for path in sorted((tmp_path / "a").iterdir()):
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
    frozen = load_model(tmp_path / "a")
    np.testing.assert_array_equal(frozen.predict(frame), model.predict(frame))
    np.testing.assert_array_equal(frozen.predict_survival(frame, days), model.predict_survival(frame, days))


# ---------------------------------------------------------------- hard cases


def sane(model, x):
    assert np.isfinite(model.predict(x)).all()
    assert np.isfinite(model.predict_survival_function(x, return_array=True)).all()
    assert np.isfinite(model.feature_importances_).all()
    return " ".join(model.notes_)


@BOTH
def test_more_columns_than_patients_and_constant_ones(cls):
    x, y = cohort(n=60, p=200, seed=4)
    x[:, 5] = 3.0
    x[:, 6] = x[:, 0]
    model = cls().fit(x, y)
    sane(model, x)
    assert model.feature_importances_[5] == 0
    with pytest.raises(InputError, match="no column varies"):
        cls().fit(np.ones((60, 2)), y)


@BOTH
def test_few_deaths(cls):
    x, y = cohort(n=60)
    event = np.zeros(60, dtype=bool)
    event[np.argsort(-x[:, 0])[:3]] = True
    assert "3 deaths: 3 inner folds instead of 5" in sane(cls().fit(x, as_outcome(y["time"], event)), x)
    with pytest.raises(InputError, match="at least 2 deaths"):
        cls().fit(x, as_outcome(y["time"], np.arange(60) == 3))


@BOTH
def test_heavy_ties_and_separation(cls):
    x, y = cohort(month=1000.0)
    sane(cls().fit(x, y), x)
    x[:, 0] = -y["time"]
    dead = as_outcome(y["time"], np.ones(len(y)))
    model = cls().fit(x, dead)
    sane(model, x)
    assert model.score(x, dead) > 0.95


@pytest.mark.parametrize(
    ("learner", "message"),
    [
        (XGBCox(n_estimators=0), "XGBCox: n_estimators must be an integer of at least 1"),
        (XGBCox(subsample=0), "XGBCox: subsample must lie above 0"),
        (XGBCox(reg_lambda=-1), "XGBCox: reg_lambda must not be negative"),
        (XGBAft(n_folds=1), "XGBAft: n_folds must be an integer of at least 2"),
        (XGBAft("weibull"), "distribution: 'weibull' is not known; use normal, logistic, extreme"),
        (XGBAft(scale="auto"), "scale must be 'cv' or a number above 0, got 'auto'"),
        (XGBAft(scale=-1.0), "scale must be 'cv' or a number above 0"),
    ],
)
def test_settings_are_checked(learner, message):
    with pytest.raises(InputError, match=message):
        learner.fit(*cohort(n=30))
