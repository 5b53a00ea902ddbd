import linear_checks as checks
import numpy as np
import pytest

from amlprognosis.errors import InputError
from amlprognosis.models.base import as_outcome
from amlprognosis.models.cox_kernels import fit_cox
from amlprognosis.models.learners.superpc import SuperPC, components, feature_scores


def scores_of(x, time, event, quantile):
    """Moderated Cox scores with Breslow's rule, from the definition."""
    slope, information = np.zeros(x.shape[1]), np.zeros(x.shape[1])
    for i in np.flatnonzero(event):
        at_risk = x[time >= time[i]]
        slope += x[i] - at_risk.mean(axis=0)
        information += at_risk.var(axis=0)
    return slope / (np.sqrt(information) + np.quantile(np.sqrt(information), quantile))


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize(("n", "p"), [(70, 20), (40, 120)])
def test_fit_is_that_of_the_definition(count, standardize, n, p):
    x, time, event = checks.simulate(n=n, p=p)
    x[:, 1] *= 3
    fit = SuperPC(count, 0.5, standardize=standardize, s0_quantile=0.25).fit(x, as_outcome(time, event))
    scale = x.std(axis=0, ddof=1) if standardize else 1.0
    z = (x - x.mean(axis=0)) / scale
    scores = scores_of(z, time, event, 0.25)
    np.testing.assert_allclose(fit.feature_scores_, scores, atol=1e-12)
    kept = np.abs(scores) >= 0.5
    np.testing.assert_array_equal(fit.selected_, kept)
    assert 2 < kept.sum() < p
    _, values, vectors = np.linalg.svd(z[:, kept], full_matrices=False)
    np.testing.assert_allclose(fit.singular_values_, values[:count])
    np.testing.assert_allclose(np.abs(fit.loadings_[kept]), np.abs(vectors[:count].T), atol=1e-9)
    part = z[:, kept] @ vectors[:count].T
    np.testing.assert_allclose(fit.predict(x), part @ fit_cox(part, time, event).beta, atol=1e-8)
    assert (fit.coef_[~kept] == 0).all()
    assert (fit.component_coef_ >= 0).all()
    assert fit.notes_ == []


def test_components_of_growing_sets_of_columns():
    # More columns than patients goes another way than fewer.
    z = np.random.default_rng(0).normal(size=(15, 40)) @ np.diag(np.linspace(3, 1, 40))
    z -= z.mean(axis=0)
    counts = np.array([1, 2, 6, 15, 16, 40])
    for count, (loadings, values) in zip(counts, components(z, counts, 3), strict=True):
        _, expected, vectors = np.linalg.svd(z[:, :count], full_matrices=False)
        rank = min(count, 3)
        np.testing.assert_allclose(values, expected[:rank])
        np.testing.assert_allclose(np.abs(loadings), np.abs(vectors[:rank].T), atol=1e-10)


def test_threshold_by_cross_validation_leaves_noise_out():
    x, time, event = checks.simulate(n=150, p=200)
    # A strong component that has nothing to do with survival.
    x[:, 50:] += 4 * np.random.default_rng(9).normal(size=(150, 1))
    y = as_outcome(time, event)
    fit = SuperPC(1).fit(x, y)
    assert fit.selected_.sum() < 40
    assert fit.selected_[:2].all()
    everything = SuperPC(1, 0.0).fit(x, y)
    assert everything.selected_.all()
    new, new_time, new_event = checks.simulate(n=150, p=200, seed=3)
    assert fit.score(new, as_outcome(new_time, new_event)) > everything.score(new, as_outcome(new_time, new_event))
    assert 0 < fit.lp_slope_ <= 1.0


def test_components_by_cross_validation():
    x, time, event = checks.simulate(n=120, p=6, effects=(0.9, -0.9, 0.9))
    fit = SuperPC(n_thresholds=1).fit(x, as_outcome(time, event))
    assert fit.selected_.all()
    assert fit.n_components_ in (1, 2, 3)
    assert fit.n_components_ == SuperPC(threshold=0.0).fit(x, as_outcome(time, event)).n_components_


def test_two_columns_at_least():
    x, time, event = checks.simulate()
    fit = SuperPC(1, 50.0).fit(x, as_outcome(time, event))
    assert fit.selected_.sum() == 2
    assert fit.notes_ == ["fewer than 2 scores reach 50: the best 2 were kept"]
    best = np.argsort(-np.abs(fit.feature_scores_))[:2]
    np.testing.assert_array_equal(np.sort(best), np.flatnonzero(fit.selected_))
    single = SuperPC().fit(x[:, :1], as_outcome(time, event))
    np.testing.assert_allclose(single.coef_, fit_cox(x[:, :1], time, event).beta, rtol=1e-8)


def test_fewer_components_than_asked_for():
    x, time, event = checks.simulate()
    x = np.column_stack([x[:, 0], 2 * x[:, 0], x[:, 1]])
    fit = SuperPC(3, 0.0).fit(x, as_outcome(time, event))
    assert fit.n_components_ == 2
    assert fit.notes_ == ["2 of 3 components: the columns or the likelihood allow no more"]


def test_a_component_that_orders_all_deaths():
    time, event = np.arange(1.0, 21.0), np.ones(20, dtype=bool)
    x = np.column_stack([-time, -(time**2), -np.sqrt(time)])
    fit = SuperPC().fit(x, as_outcome(time, event))
    assert fit.notes_ == ["the first component separates deaths from survivors: its coefficient is penalized"]
    assert (np.diff(fit.predict(x)) < 0).all()
    assert np.ptp(fit.predict(x)) < 20


def test_scores_of_constant_columns():
    x, time, event = checks.simulate()
    x = x - x.mean(axis=0)
    x[:, 2:] = 0.0
    scores = feature_scores(x, time, event, 0.0)
    assert (scores[2:] == 0).all()
    assert (scores[:2] != 0).all()


LEARNER = SuperPC(n_thresholds=10)


@checks.each
def test_what_all_linear_learners_do(check):
    check(LEARNER)


def test_grid_search():
    checks.check_grid_search(SuperPC(), {"n_components": [1, "cv"], "threshold": [0.5, "cv"]})


@pytest.mark.parametrize(
    "parameters",
    [
        {"n_components": 0},
        {"n_components": 4},
        {"threshold": -1.0},
        {"threshold": "median"},
        {"s0_quantile": 2.0},
        {"n_thresholds": 0},
        {"n_folds": 1},
    ],
)
def test_bad_parameters(parameters):
    x, time, event = checks.simulate()
    with pytest.raises(InputError, match=next(iter(parameters))):
        SuperPC(**parameters).fit(x, as_outcome(time, event))


def test_bad_data():
    x, time, event = checks.simulate()
    with pytest.raises(InputError, match="no column is related to survival"):
        SuperPC().fit(np.ones_like(x), as_outcome(time, event))
    single = np.arange(len(x)) == 4
    with pytest.raises(InputError, match="at least 2 deaths"):
        SuperPC().fit(x, as_outcome(time, single))
    assert np.isfinite(SuperPC(1, 0.5).fit(x, as_outcome(time, single)).coef_).all()
