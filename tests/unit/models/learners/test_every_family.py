"""What every learner family does alike: scikit-learn's contract, direction, invariance, defined ends of bad input."""

from __future__ import annotations

import inspect

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import issparse
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from amlprognosis.errors import InputError
from amlprognosis.models.base import as_outcome
from amlprognosis.models.families import learner_class, make_learner, make_selector
from amlprognosis.models.selectors import LearnerSelector, StabilitySelector
from amlprognosis.study.names import LEARNERS, SELECTORS, parse_term

FAST = {
    "RSF": {"n_estimators": 60},
    "Enet": {"n_folds": 3},
    "Lasso": {"n_folds": 3},
    "Ridge": {"n_folds": 3},
    "CoxBoost": {"n_folds": 3, "max_steps": 60},
    "PLS-Cox": {"n_folds": 3, "max_components": 3},
    "SuperPC": {"n_folds": 3},
    "GBM": {"n_folds": 3, "max_trees": 60},
    "survival-SVM": {"n_folds": 3},
    "Stability": {"n_pairs": 10},
}
FAMILIES = tuple(LEARNERS)
LINEAR = tuple(name for name in FAMILIES if name not in ("RSF", "GBM"))
TERMS = [parse_term(name) for name in FAMILIES]
by_family = pytest.mark.parametrize("family", FAMILIES)


def make(family: str, seed: int = 0, n_jobs: int = 1):
    return make_learner(parse_term(family), FAST, seed, n_jobs)


def cohort(n=90, p=8, seed=1, signal=1.0):
    """The first column kills; about a third is censored; days, so with ties."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, p))
    death = np.ceil(rng.exponential(size=n) * 400 * np.exp(-signal * x[:, 0]))
    censored = np.ceil(rng.exponential(size=n) * 900)
    return x, as_outcome(np.minimum(death, censored), death <= censored)


@pytest.fixture(scope="module")
def data():
    return cohort()


@pytest.fixture(scope="module")
def fitted(data):
    return {family: make(family).fit(*data) for family in FAMILIES}


# ---------------------------------------------------------------- contract


@by_family
def test_settings_of_a_study_are_those_of_the_estimator(family):
    parameters = set(inspect.signature(learner_class(family)).parameters)
    assert set(LEARNERS[family]) <= parameters
    assert {"random_state", "n_jobs"} <= parameters


def test_settings_of_stability_selection():
    assert set(SELECTORS["Stability"]) <= set(inspect.signature(StabilitySelector).parameters)


def numeric(family: str):
    """The learner with an outcome that scikit-learn's checks can make: one number, everybody dead."""
    cls = learner_class(family)

    def outcome(X, y):
        if y is None:
            raise ValueError("requires y to be passed, but the target y is None")
        time = np.real(np.asarray(y)).astype(float).ravel()
        if not np.isfinite(time).all():
            raise ValueError("Input y contains NaN or infinity")
        if not issparse(X) and len(time) != len(X):
            raise ValueError("Found input variables with inconsistent numbers of samples")
        # Ranks, so that classes of a check are not all-equal or zero times.
        return as_outcome(np.argsort(np.argsort(time, kind="stable"), kind="stable") + 1.0, np.ones(len(time)))

    def fit(self, X, y):
        return cls.fit(self, X, outcome(X, y))

    def score(self, X, y):
        return cls.score(self, X, outcome(X, y))

    made = type(f"{cls.__name__}OnNumbers", (cls,), {"fit": fit, "score": score, "__init__": cls.__init__})
    made.__module__ = __name__
    globals()[made.__name__] = made
    known = {key: value for key, value in FAST.get(family, {}).items()}
    if family == "StepCox":
        known["direction"] = "forward"
    return made(**known)


@parametrize_with_checks([numeric(family) for family in FAMILIES])
def test_scikit_learns_checks(estimator, check):
    check(estimator)


@by_family
def test_clone_and_grid_search(family, data):
    learner = make(family)
    assert clone(learner).get_params() == learner.get_params()
    search = GridSearchCV(make_pipeline(StandardScaler(), learner), {f"{_step(learner)}__random_state": [0, 1]}, cv=2)
    search.fit(*data)
    assert search.best_score_ > 0.55


def _step(learner) -> str:
    return type(learner).__name__.lower()


@pytest.mark.parametrize(
    "name", ["RSF", "StepCox[both]", "StepCox[backward]", "CoxBoost", "Lasso", "Enet", "Stability"]
)
def test_selectors_stand_in_a_pipeline(name, data):
    selector = make_selector(parse_term(name, SELECTORS), FAST, 0)
    frame = pd.DataFrame(data[0], columns=[f"G{j}" for j in range(data[0].shape[1])])
    pipe = make_pipeline(selector, make("Ridge")).fit(frame, data[1])
    kept = pipe[0].get_feature_names_out()
    assert "G0" in kept
    assert pipe[0].transform(frame).shape == (len(frame), len(kept))
    assert pipe.score(frame, data[1]) > 0.6
    assert isinstance(pipe[0].notes_, list)
    assert clone(selector).get_params(deep=False).keys() == selector.get_params(deep=False).keys()


def test_stability_selection_bounds_the_false(data):
    selector = StabilitySelector(n_pairs=20, threshold=0.8).fit(*data)
    assert selector.frequencies_[0] > 0.9
    assert selector.error_bound_ == pytest.approx(4 / (0.6 * 8))
    with pytest.raises(InputError, match=r"threshold must lie above 0\.5"):
        StabilitySelector(threshold=0.5).fit(*data)


# ---------------------------------------------------------------- what is predicted


@by_family
def test_risk_curves_and_direction(family, fitted, data):
    model = fitted[family]
    risk = model.predict(data[0])
    assert risk.shape == (90,)
    # A column that kills raises the risk, and the score is taken as it is.
    assert model.score(*data) > 0.6
    x = np.zeros((2, 8))
    x[1, 0] = 2.0
    low, high = model.predict(x)
    assert high > low
    curves = model.predict_survival_function(data[0], return_array=True)
    assert curves.shape[0] == 90
    assert (np.diff(curves, axis=1) <= 1e-12).all()
    assert ((curves >= 0) & (curves <= 1)).all()
    step = model.predict_survival_function(data[0][:2])
    np.testing.assert_allclose(step[0](model.baseline_times_), curves[0])
    day = float(np.median(data[1]["time"]))
    at = model.survival_at(data[0], [day])
    assert at.shape == (90, 1)
    assert at[np.argmax(risk), 0] <= at[np.argmin(risk), 0]
    weights = model.coef_ if family in LINEAR else model.feature_importances_
    assert weights.shape == (8,)
    assert np.argmax(np.abs(weights)) == 0


@by_family
def test_a_reversed_score_shows(family, data, fitted):
    x = data[0].copy()
    x[:, 0] *= -1
    assert fitted[family].score(x, data[1]) < 0.5


@by_family
def test_rows_threads_and_seeds(family, data, fitted):
    x, y = data
    order = np.random.default_rng(3).permutation(len(x))
    shuffled = make(family, n_jobs=2).fit(x[order], y[order])
    np.testing.assert_allclose(shuffled.predict(x), fitted[family].predict(x), rtol=1e-9, atol=1e-9)
    again = make(family, n_jobs=2).fit(x, y)
    np.testing.assert_array_equal(again.predict(x), fitted[family].predict(x))


@by_family
def test_units_of_a_gene_do_not_matter(family, data, fitted):
    x, y = data
    scale, shift = np.array([3.0, 0.5, 1, 20, 1, 1, 7, 1]), np.array([5.0, -2, 0, 100, 0, 0, 1, 0])
    other = make(family).fit(x * scale + shift, y)
    # Trees may cut a hair beside, where rounding moves a midpoint across a value.
    close = {"rtol": 1e-5, "atol": 1e-5} if family in LINEAR else {"rtol": 0.05, "atol": 0.05}
    np.testing.assert_allclose(other.predict(x * scale + shift), fitted[family].predict(x), **close)


def test_the_outcome_may_have_other_names(data, fitted):
    """As scikit-survival's Surv.from_arrays(..., name_event="Status", name_time="Survival_in_days") makes it."""
    other = data[1].astype([("Status", bool), ("Survival_in_days", float)])
    np.testing.assert_array_equal(make("Ridge").fit(data[0], other).coef_, fitted["Ridge"].coef_)
    with pytest.raises(InputError, match="structured array of two fields"):
        make("Ridge").fit(data[0], data[1]["time"])


# ---------------------------------------------------------------- bad input


@by_family
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_missing_and_infinite_values_are_refused(family, value, data):
    x = data[0].copy()
    x[4, 2] = value
    with pytest.raises(InputError, match=r"(?i)nan|infinity"):
        make(family).fit(x, data[1])


@by_family
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, y: (x, as_outcome(y["time"], np.zeros(90))), "nobody died"),
        (lambda x, y: (x[:1], y[:1]), r"1 patient|minimum of|1 sample"),
        (lambda x, y: (x, as_outcome(np.full(90, 5.0), y["event"])), "all os_time are equal"),
        (lambda x, y: (x, as_outcome(np.where(np.arange(90) == 7, np.nan, y["time"]), y["event"])), "missing or inf"),
        (lambda x, y: (x, as_outcome(np.where(np.arange(90) == 7, 0, y["time"]), y["event"])), "zero or negative"),
        (lambda x, y: (x[:50], y), "50 patients in the features, 90 in the outcome"),
    ],
)
def test_outcomes_that_teach_nothing_are_refused(family, change, message, data):
    with pytest.raises(InputError, match=message):
        make(family).fit(*change(*data))


def _sane(model, x) -> None:
    """A defined model: finite risks that are not all equal, finite curves, weights without gaps."""
    risk = model.predict(x)
    assert np.isfinite(risk).all()
    assert np.isfinite(model.predict_survival_function(x, return_array=True)).all()
    weights = model.coef_ if hasattr(model, "coef_") else model.feature_importances_
    assert np.isfinite(weights).all()
    assert (weights != 0).any()


@by_family
def test_more_genes_than_patients(family):
    x, y = cohort(40, 120, seed=5, signal=1.5)
    _sane(make(family).fit(x, y), x)


@by_family
def test_collinear_and_constant_genes(family):
    x, y = cohort(80, 4, seed=6)
    x = np.column_stack([x, x[:, 0], x[:, 1] + x[:, 2], np.full(80, 3.0), 2 * x[:, 0] - 1])
    model = make(family).fit(x, y)
    _sane(model, x)
    weights = model.coef_ if hasattr(model, "coef_") else model.feature_importances_
    assert weights[6] == 0


@by_family
def test_three_deaths_are_a_flagged_model_or_a_clear_refusal(family):
    x, y = cohort(60, 5, seed=8)
    event = np.zeros(60, dtype=bool)
    event[np.argsort(x[:, 0])[-3:]] = True
    _sane_or_refused(family, x, as_outcome(y["time"], event))


@by_family
def test_one_death(family):
    x, y = cohort(60, 5, seed=8)
    _sane_or_refused(family, x, as_outcome(y["time"], np.arange(60) == 3))


def _sane_or_refused(family, x, y) -> None:
    refused = None
    try:
        model = make(family).fit(x, y)
    except InputError as error:
        refused = str(error)
    if refused is None:
        _sane(model, x)
    else:
        # A sentence that says how many deaths there are, and what to do.
        assert "death" in refused


@by_family
def test_a_column_that_separates(family):
    """Everybody above 0 dies first: a monotone likelihood."""
    x, y = cohort(60, 3, seed=9, signal=0.0)
    x[:, 0] = -np.argsort(np.argsort(y["time"])) + 0.0
    _sane(make(family).fit(x, as_outcome(y["time"], np.ones(60))), x)


@by_family
def test_heavy_ties(family):
    x, y = cohort(90, 5, seed=10)
    _sane(make(family).fit(x, as_outcome(np.ceil(y["time"] / 200), y["event"])), x)


def test_a_selector_says_what_it_was_made_of(data):
    selector = LearnerSelector(make("Lasso")).fit(*data)
    assert selector.get_support()[0]
    assert selector.n_features_in_ == 8
