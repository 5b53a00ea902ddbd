import numpy as np
import pytest
from likelihoods import breslow_loglik, saturated_loglik
from sklearn.base import clone

from amlprognosis.errors import InputError
from amlprognosis.models.base import as_outcome
from amlprognosis.models.cox_lasso import lasso_cv, stratified_folds
from amlprognosis.models.cox_ridge import ridge_cv, ridge_path
from amlprognosis.models.learners.penalized import ElasticNet, Lasso, Ridge
from amlprognosis.models.penalized_cohort import Cohort

LEARNERS = (Lasso(), ElasticNet(0.3), ElasticNet(0.9, rule="1se"), Ridge())


def simulate(n=120, p=15, seed=0, days=1.0):
    """Columns 0 and 1 kill, 2 protects; times are rounded up to ``days``."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, p))
    x[:, 3:6] += x[:, :1]
    death = rng.exponential(np.exp(-x[:, :3] @ [0.8, 0.6, -0.6])) * 500 + 1
    censored = rng.uniform(200, 2000, n)
    time = np.ceil(np.minimum(death, censored) / days) * days
    return x, time, death <= censored


def curves(model, x):
    return model.predict_survival_function(x, return_array=True)


@pytest.mark.parametrize("model", LEARNERS, ids=str)
def test_learns_who_dies_early(model):
    x, time, event = simulate()
    new, new_time, new_event = simulate(seed=1)
    fit = clone(model).fit(x, as_outcome(time, event))
    assert (np.sign(fit.coef_[:3]) == [1, 1, -1]).all()
    assert fit.score(new, as_outcome(new_time, new_event)) > 0.7
    assert fit.notes_ == []
    assert abs(fit.predict(x).mean()) < 1e-12
    assert np.isfinite(curves(fit, new)).all()
    assert set(fit.path_) == {"penalty", "deviance", "se", "n_nonzero"}
    assert fit.penalty_ in fit.path_["penalty"]


@pytest.mark.parametrize("model", LEARNERS, ids=str)
def test_neither_rows_nor_scales_nor_threads_matter(model):
    x, time, event = simulate(days=100.0)
    fit = clone(model).fit(x, as_outcome(time, event))
    order = np.random.default_rng(1).permutation(len(x))
    shuffled = clone(model).set_params(n_jobs=3).fit(x[order], as_outcome(time[order], event[order]))
    np.testing.assert_array_equal(shuffled.coef_, fit.coef_)
    np.testing.assert_array_equal(shuffled.path_["deviance"], fit.path_["deviance"])
    scale, shift = np.geomspace(1e-3, 1e3, x.shape[1]), np.linspace(-5, 5, x.shape[1])
    rescaled = clone(model).fit(x * scale + shift, as_outcome(time, event))
    np.testing.assert_allclose(rescaled.coef_ * scale, fit.coef_, atol=1e-7)
    np.testing.assert_allclose(rescaled.predict(x * scale + shift), fit.predict(x), atol=1e-6)


def test_the_penalty_is_that_of_the_cross_validation():
    x, time, event = simulate()
    order = np.argsort(time, kind="stable")
    x, time, event = x[order], time[order], event[order]
    fit = Lasso().fit(x, as_outcome(time, event))
    folds = stratified_folds(event, 10, np.random.default_rng(0))
    whole = lasso_cv(x, time, event, 1.0001 * fit.path_["penalty"][0] * 1e-4 ** (np.arange(100) / 99), folds)
    assert fit.penalty_ == pytest.approx(whole.path.lambdas[whole.at_min], rel=1e-3)
    one_se = Lasso(rule="1se").fit(x, as_outcome(time, event))
    assert one_se.penalty_ > fit.penalty_
    assert (one_se.coef_ != 0).sum() < (fit.coef_ != 0).sum()


def test_deviance_of_ridge_by_hand():
    x, time, event = simulate(40, 60, days=50.0)
    x[:3, 7] = 1.0
    x[3:, 7] = 0.0
    folds = np.arange(40) % 4
    folds[:3] = 0  # column 7 is constant outside fold 0
    lambdas = np.array([3.0, 1.0, 0.3])
    found = ridge_cv(Cohort(x, time, event), lambdas, folds, fold_tolerance=1e-18)
    rows = []
    for label in range(4):
        kept = folds != label
        eta = x @ ridge_path(x[kept], time[kept], event[kept], lambdas).coefficients.T
        gap = saturated_loglik(time, event) - breslow_loglik(eta, time, event)
        gap -= saturated_loglik(time[kept], event[kept]) - breslow_loglik(eta[kept], time[kept], event[kept])
        rows.append(2 * gap / event[~kept].sum())
    weights = [event[folds == label].sum() for label in range(4)]
    np.testing.assert_allclose(found.mean, np.average(rows, axis=0, weights=weights), rtol=1e-7)
    np.testing.assert_allclose(
        found.path.coefficients, ridge_path(x, time, event, lambdas).coefficients, rtol=1e-6, atol=1e-9
    )


@pytest.mark.parametrize(("alpha", "p"), [(1.0, 15), (0.2, 15), (1.0, 200), (0.2, 200)])
def test_solutions_satisfy_their_conditions(alpha, p):
    x, time, event = simulate(80, p, days=200.0)
    fit = ElasticNet(alpha, penalty=0.05).fit(x, as_outcome(time, event))
    scale = x.std(axis=0)
    beta, step = fit.coef_ * scale, 1e-4
    z = (x - x.mean(axis=0)) / scale
    probes = (z @ beta)[:, None] + step * np.hstack([z, -z])
    slope = np.subtract(*np.split(breslow_loglik(probes, time, event), 2)) / (2 * step * len(x))
    slope -= 0.05 * (1 - alpha) * beta
    used = beta != 0
    assert 3 <= used.sum() < p
    np.testing.assert_allclose(slope[used], 0.05 * alpha * np.sign(beta[used]), atol=1e-7)
    assert np.abs(slope[~used]).max() <= 0.05 * alpha + 1e-7


def test_noise_gives_the_sparsest_model_with_a_note():
    x, time, event = simulate()
    fit = Lasso().fit(np.random.default_rng(7).normal(size=x.shape), as_outcome(time, event))
    assert 1 <= (fit.coef_ != 0).sum() <= 2
    assert "preferred the empty model" in fit.notes_[0]
    ridge = Ridge().fit(np.random.default_rng(7).normal(size=x.shape), as_outcome(time, event))
    assert "preferred the largest penalty" in ridge.notes_[0]


def test_mandatory_columns():
    x, time, event = simulate()
    y = as_outcome(time, event)
    x[:, 9] = 4.0
    fit = Lasso(mandatory=[8, 9], rule="1se").fit(x, y)
    assert fit.coef_[8] != 0
    assert fit.coef_[9] == 0
    assert fit.notes_ == ["mandatory columns [9] are constant and have coefficient 0"]
    only = Lasso(mandatory=[8], penalty=1e-3).fit(x, y).coef_
    assert (only != 0).sum() > 5
    assert np.flatnonzero(Lasso(mandatory=[8], penalty=10.0).fit(x, y).coef_).tolist() == [8]
    x[:, 8] = -time
    with pytest.raises(InputError, match="mandatory columns separate deaths"):
        Lasso(mandatory=[8]).fit(x, y)
    x[:, 8] = event & (time < np.median(time))
    assert "[8] separate deaths" in Lasso(mandatory=[8], penalty=0.1).fit(x, y).notes_[-1]
    with pytest.raises(InputError, match="positions from 0 to 14"):
        Lasso(mandatory=[15]).fit(x, y)
    with pytest.raises(InputError, match="nothing is left to penalize"):
        Lasso(mandatory=range(15)).fit(x, y)


def test_fixed_penalties():
    x, time, event = simulate()
    y = as_outcome(time, event)
    for model in (Lasso(), ElasticNet(0.3), Ridge()):
        free = model.fit(x, y)
        fixed = clone(model).set_params(penalty=free.penalty_).fit(x, y)
        np.testing.assert_allclose(fixed.coef_, free.coef_, atol=1e-7)
        assert not hasattr(fixed, "path_")
        again = fixed.set_params(penalty=None).fit(x, y)
        assert hasattr(again, "path_")
        assert not hasattr(again.set_params(penalty=free.penalty_).fit(x, y), "path_")
    with pytest.raises(InputError, match="keeps no column"):
        Lasso(penalty=10.0).fit(x, y)
    wide = ElasticNet(0.1, penalty=1e-5).fit(simulate(20, 150)[0], as_outcome(*simulate(20, 150)[1:]))
    assert "too small for these patients" in wide.notes_[0]


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (ElasticNet(0.0), "for alpha 0 use Ridge"),
        (ElasticNet(1.5), "at most 1"),
        (Lasso(rule="best"), "use min or 1se"),
        (Lasso(n_folds=1), "n_folds must be a whole number of at least 2"),
        (Ridge(n_lambda=1), "n_lambda must be"),
        (Ridge(min_ratio=2), "min_ratio must lie between"),
        (Ridge(penalty=-1), "penalty must be a positive number"),
        (Lasso(penalty=np.inf), "penalty must be a positive number"),
    ],
    ids=str,
)
def test_bad_parameters(model, words):
    x, time, event = simulate(30, 4)
    with pytest.raises(InputError, match=words):
        model.fit(x, as_outcome(time, event))


@pytest.mark.parametrize("model", LEARNERS, ids=str)
def test_bad_columns_and_outcomes(model):
    x, time, event = simulate(60, 6)
    y = as_outcome(time, event)
    with pytest.raises(InputError, match="no column varies"):
        clone(model).fit(np.ones((60, 3)), y)
    with pytest.raises(InputError, match="no column varies"):
        clone(model).fit(x, as_outcome(time, time == time.max()))
    with pytest.raises(InputError, match="at least 2 deaths"):
        clone(model).fit(x, as_outcome(time, np.arange(60) == np.argmin(time)))
    collinear = np.column_stack([x, x[:, 0], 2 * x[:, 1] + 1, np.full(60, 3.0)])
    few = np.zeros(60, dtype=bool)
    few[np.argsort(time)[[2, 15, 30]]] = True
    cases = {
        "collinear and constant": (collinear, time, event),
        "few deaths": (x, time, few),
        "ties": (x, np.ceil(time / 500), event),
        "separated": (np.column_stack([-time, x]), time, event),
        "wide": (simulate(60, 300)[0], time, event),
        "two deaths": (x[:3], np.array([1.0, 2.0, 3.0]), np.array([True, True, False])),
    }
    for name, (columns, at, died) in cases.items():
        fit = clone(model).fit(columns, as_outcome(at, died))
        assert np.isfinite(fit.coef_).all(), name
        assert fit.coef_.any(), name
        assert np.isfinite(curves(fit, columns)).all(), name
    assert clone(model).fit(collinear, y).coef_[-1] == 0
