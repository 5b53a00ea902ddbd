import linear_checks as checks
import numpy as np
import pytest

from amlprognosis.errors import InputError
from amlprognosis.models.base import as_outcome
from amlprognosis.models.cox_kernels import fit_cox
from amlprognosis.models.learners.pls_cox import PLSCox
from amlprognosis.models.pls_cox_kernels import PLSPath


def components(x, time, event, count):
    """PLS-Cox from its definition: scores, weights and coefficients of the standardized columns."""
    rest = (x - x.mean(axis=0)) / x.std(axis=0, ddof=1)
    scores, weights, loadings = np.zeros((len(x), 0)), [], []
    for _ in range(count):
        weight = np.array([fit_cox(np.column_stack([scores, column]), time, event).beta[-1] for column in rest.T])
        weight /= np.linalg.norm(weight)
        score = rest @ weight
        loading = rest.T @ score / (score @ score)
        rest = rest - np.outer(score, loading)
        scores = np.column_stack([scores, score])
        weights.append(weight)
        loadings.append(loading)
    weights, loadings = np.array(weights).T, np.array(loadings).T
    cox = fit_cox(scores, time, event).beta
    return scores, weights, loadings, weights @ np.linalg.inv(loadings.T @ weights) @ cox


@pytest.mark.parametrize("count", [1, 2, 3])
def test_components_are_those_of_the_definition(count):
    x, time, event = checks.simulate(n=70, p=10)
    scores, weights, loadings, coefficients = components(x, time, event, count)
    path = PLSPath(x, time, event)
    assert all([path.extend() for _ in range(count)])
    np.testing.assert_allclose(path.scores, scores, atol=1e-8)
    fit = PLSCox(count).fit(x, as_outcome(time, event))
    np.testing.assert_allclose(fit.weights_, weights, atol=1e-8)
    np.testing.assert_allclose(fit.loadings_, loadings, atol=1e-8)
    np.testing.assert_allclose(fit.coef_ * x.std(axis=0, ddof=1), coefficients, atol=1e-8)
    lp = scores @ fit_cox(scores, time, event).beta
    np.testing.assert_allclose(fit.predict(x), lp, atol=1e-7)
    assert fit.notes_ == []
    assert fit.lp_slope_ == 1.0


def test_components_are_added_while_they_help():
    x, time, event = checks.simulate(n=120, p=30)
    fit = PLSCox().fit(x, as_outcome(time, event))
    assert fit.n_components_ == int(np.argmax(fit.cv_loglik_)) >= 1
    # One more was tried, and did not help.
    assert len(fit.cv_loglik_) == fit.n_components_ + 2
    assert fit.cv_loglik_[-1] <= fit.cv_loglik_[-2]
    assert len(PLSCox(max_components=1).fit(x, as_outcome(time, event)).cv_loglik_) == 2
    assert not hasattr(fit.set_params(n_components=2).fit(x, as_outcome(time, event)), "cv_loglik_")


def test_survival_curves_rest_on_held_out_patients():
    x, time, event = checks.simulate(n=80, p=200)
    y = as_outcome(time, event)
    fit = PLSCox().fit(x, y)
    assert 0 <= fit.lp_slope_ < 0.8
    fixed = PLSCox(n_components=fit.n_components_).fit(x, y)
    np.testing.assert_array_equal(fit.coef_, fixed.coef_)
    assert np.ptp(fit.survival_at(x, 365.0)) < np.ptp(fixed.survival_at(x, 365.0))


def test_curves_are_never_stretched():
    x, time, event = checks.simulate(n=30, p=2, effects=(8.0,), rounded=1.0)
    fit = PLSCox().fit(x, as_outcome(time, event))
    assert fit.lp_slope_ <= 1.0
    assert np.isfinite(fit.survival_at(x, [100.0, 1000.0])).all()


def test_noise_gets_one_component_and_a_note():
    rng = np.random.default_rng(2)
    x, time, event = rng.normal(size=(60, 3)), rng.permutation(60) + 1.0, np.ones(60, dtype=bool)
    fit = PLSCox().fit(x, as_outcome(time, event))
    assert fit.n_components_ == 1
    assert "cross-validation prefers no component at all: one was taken" in fit.notes_


def test_columns_run_out():
    x, time, event = checks.simulate()
    x = np.column_stack([x[:, 0], x[:, 1], x[:, 0] + x[:, 1], 2 * x[:, 0]])
    fit = PLSCox(4).fit(x, as_outcome(time, event))
    assert fit.n_components_ == 2
    assert fit.notes_ == ["2 of 4 components: the next one is empty or separates deaths from survivors"]
    # All of a space of two dimensions: the Cox model itself.
    np.testing.assert_allclose(fit.predict(x), (x[:, :2] - x[:, :2].mean(axis=0)) @ fit_cox(x[:, :2], time, event).beta)
    assert PLSCox(max_components=10).fit(x, as_outcome(time, event)).n_components_ <= 2


def test_a_separating_column():
    x, time, event = checks.simulate()
    x[:, 4] = 0.0
    x[np.flatnonzero(~event)[:2], 4] = 1.0
    fit = PLSCox(2).fit(x, as_outcome(time, event))
    assert fit.notes_ == ["1 columns separate deaths from survivors: penalized weights"]
    assert fit.coef_[4] < 0
    assert abs(fit.weights_[4, 0]) < 0.7


def test_a_component_that_orders_all_deaths():
    time, event = np.arange(1.0, 21.0), np.ones(20, dtype=bool)
    x = np.column_stack([-time, -(time**2)])
    fit = PLSCox(2).fit(x, as_outcome(time, event))
    assert fit.n_components_ == 1
    assert "the first component separates deaths from survivors: its coefficient is penalized" in fit.notes_
    assert (np.diff(fit.predict(x)) < 0).all()
    assert np.ptp(fit.predict(x)) < 20


@checks.each
def test_what_all_linear_learners_do(check):
    check(PLSCox())


def test_grid_search():
    checks.check_grid_search(PLSCox(), {"n_components": [1, 2, "cv"]})


@pytest.mark.parametrize(
    "parameters", [{"n_components": 0}, {"n_components": "two"}, {"max_components": 1.5}, {"n_folds": 1}]
)
def test_bad_parameters(parameters):
    x, time, event = checks.simulate()
    with pytest.raises(InputError, match=f"{next(iter(parameters))} must be a whole number"):
        PLSCox(**parameters).fit(x, as_outcome(time, event))


def test_bad_data():
    x, time, event = checks.simulate()
    with pytest.raises(InputError, match="no column is related to survival"):
        PLSCox(1).fit(np.ones_like(x), as_outcome(time, event))
    with pytest.raises(InputError, match="no column is related to survival"):
        PLSCox().fit(np.ones_like(x), as_outcome(time, event))
    single = np.arange(len(x)) == 4
    with pytest.raises(InputError, match="at least 2 deaths"):
        PLSCox().fit(x, as_outcome(time, single))
    with pytest.raises(InputError, match="nobody died"):
        PLSPath(x, time, np.zeros(len(x), dtype=bool))
