import linear_checks as checks
import numpy as np
import pytest

from amlprognosis.errors import InputError
from amlprognosis.models.base import as_outcome
from amlprognosis.models.cox_kernels import fit_cox
from amlprognosis.models.coxboost_kernels import Boosting, column_scores
from amlprognosis.models.learners.coxboost import CoxBoost


def derivatives(x, time, event, eta):
    """Efron's log likelihood, score (p,) and information (p, p), straight from the definition."""
    loglik, score, information = 0.0, np.zeros(x.shape[1]), np.zeros((x.shape[1], x.shape[1]))
    for day in np.unique(time[event]):
        dead = event & (time == day)
        for k in range(dead.sum()):
            weight = np.exp(eta) * (time >= day)
            weight[dead] *= 1 - k / dead.sum()
            mean = weight @ x / weight.sum()
            loglik -= np.log(weight.sum())
            score -= mean
            information += (x - mean).T @ ((x - mean) * weight[:, None]) / weight.sum()
        loglik += eta[dead].sum()
        score += x[dead].sum(axis=0)
    return loglik, score, information


def boost(x, time, event, penalty, steps, mandatory=()):
    """CoxBoost from its definition: coefficients of standardized columns after each step."""
    z = (x - x.mean(axis=0)) / x.std(axis=0, ddof=1)
    fixed = list(mandatory)
    beta = np.zeros(x.shape[1])
    path = []
    for step in range(steps + 1):
        if fixed and step != 1:
            _, score, information = derivatives(z[:, fixed], time, event, z @ beta)
            beta[fixed] += np.linalg.solve(information, score)
        if step > 0:
            _, score, information = derivatives(z, time, event, z @ beta)
            statistic = score**2 / (np.diag(information) + penalty)
            statistic[fixed] = -1
            best = int(np.argmax(statistic))
            beta[best] += score[best] / (information[best, best] + penalty)
        path.append(beta.copy())
    return np.array(path)


@pytest.mark.parametrize("mandatory", [(), (5,), (1, 7)])
def test_steps_are_those_of_the_definition(mandatory):
    x, time, event = checks.simulate(n=60, p=9)
    found = Boosting(x, time, event, mandatory).path(20.0, 25)
    np.testing.assert_allclose(found.coefficients, boost(x, time, event, 20.0, 25, mandatory), atol=1e-11)
    z = (x - x.mean(axis=0)) / x.std(axis=0, ddof=1)
    logliks = [derivatives(z, time, event, z @ beta)[0] for beta in found.coefficients]
    np.testing.assert_allclose(found.loglik, logliks, rtol=1e-12)


@pytest.mark.parametrize("n_columns", [9, 300])
def test_scores_of_many_columns(n_columns):
    # More columns than one tile of the kernel holds.
    x, time, event = checks.simulate(n=50, p=n_columns, rounded=200.0)
    x = x - x.mean(axis=0)
    _, score, information = derivatives(x, time, event, np.zeros(len(x)))
    for found, expected in zip(column_scores(x, time, event), (score, np.diag(information)), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-10)


def test_cross_validation_is_that_of_the_definition():
    x, time, event = checks.simulate(n=60, p=6)
    folds = np.arange(60) % 4
    data = Boosting(x, time, event)
    found = data.cross_validate(data.parts(folds), 30.0, 12, patience=False)
    values = np.empty((4, 13))
    for fold in range(4):
        kept = folds != fold
        mean, sd = x[kept].mean(axis=0), x[kept].std(axis=0, ddof=1)
        z = (x - mean) / sd
        for step, beta in enumerate(boost(x[kept], time[kept], event[kept], 30.0, 12)):
            eta = z @ beta
            part = derivatives(z[kept], time[kept], event[kept], eta[kept])[0]
            values[fold, step] = derivatives(z, time, event, eta)[0] - part
    np.testing.assert_allclose(found.mean, values.mean(axis=0), rtol=1e-10)
    np.testing.assert_allclose(found.se, values.std(axis=0, ddof=1) / 2, rtol=1e-8)
    assert found.best == int(np.argmax(values.mean(axis=0)))


def test_fit_takes_the_steps_that_cross_validation_asks_for():
    x, time, event = checks.simulate()
    fit = CoxBoost().fit(x, as_outcome(time, event))
    assert 50 <= fit.n_steps_ < 190
    assert fit.n_steps_ == int(np.argmax(fit.cv_loglik_))
    assert len(fit.cv_loglik_) > fit.n_steps_ + 30
    assert np.log2(fit.penalty_ / (9 * event.sum())) == pytest.approx(round(np.log2(fit.penalty_ / (9 * event.sum()))))
    # Rows are sorted before the fit, so that sums differ by rounding.
    expected = boost(x, time, event, fit.penalty_, fit.n_steps_)[-1] / x.std(axis=0, ddof=1)
    np.testing.assert_allclose(fit.coef_, expected, atol=1e-10)
    assert fit.notes_ == []


def test_fixed_penalty_and_steps():
    x, time, event = checks.simulate()
    y = as_outcome(time, event)
    fit = CoxBoost(n_steps=3).fit(x, y)
    assert fit.penalty_ == 9 * event.sum()
    assert fit.n_steps_ == 3
    assert not hasattr(fit, "cv_loglik_")
    fit = CoxBoost(penalty=400.0, max_steps=6).fit(x, y)
    assert (fit.penalty_, fit.n_steps_) == (400.0, 6)
    assert fit.notes_ == ["the cross-validated likelihood may still rise after 6 steps"]
    assert not hasattr(fit.set_params(n_steps=3).fit(x, y), "cv_loglik_")


def test_mandatory_columns_are_not_penalized():
    x, time, event = checks.simulate()
    fit = CoxBoost(penalty=1e12, n_steps=12, mandatory=[2, 0]).fit(x, as_outcome(time, event))
    cox = fit_cox(x[:, [0, 2]], time, event)
    np.testing.assert_allclose(fit.coef_[[0, 2]], cox.beta, rtol=1e-6)
    assert abs(np.delete(fit.coef_, [0, 2])).max() < 1e-9


def test_mandatory_columns_that_cannot_be_fitted():
    x, time, event = checks.simulate()
    x[:, 4] = 3 * x[:, 0]
    x[:, 5] = 1.0
    fit = CoxBoost(n_steps=5, mandatory=[0, 4, 5]).fit(x, as_outcome(time, event))
    assert fit.coef_[4] == fit.coef_[5] == 0
    assert fit.coef_[0] > 0
    x[:, 5] = np.where(event, -1.0, 1.0) * (1 + np.abs(x[:, 5]))
    fit = CoxBoost(n_steps=60, mandatory=[5]).fit(x, as_outcome(time, event))
    assert np.isfinite(fit.coef_).all()
    assert fit.coef_[5] < 0


def test_noise_gets_one_step_and_a_note():
    rng = np.random.default_rng(2)
    x, time, event = rng.normal(size=(60, 3)), rng.permutation(60) + 1.0, np.ones(60, dtype=bool)
    fit = CoxBoost(penalty=500.0).fit(x, as_outcome(time, event))
    assert fit.n_steps_ == 1
    assert (fit.coef_ != 0).sum() == 1
    assert fit.notes_ == ["cross-validation asks for no boosting step: one was taken"]
    fit = CoxBoost().fit(x, as_outcome(time, event))
    assert (fit.coef_ != 0).any()
    assert any("no penalty asks for 50 to 189 steps" in note for note in fit.notes_)


def test_no_relation_at_all():
    # Everybody at risk at the only death has the same value.
    x = np.array([[1.0], [2.0], [5.0], [5.0]])
    fit = CoxBoost(n_steps=2).fit(x, as_outcome([10.0, 20.0, 30.0, 40.0], [False, False, True, False]))
    assert fit.coef_[0] == 0
    assert fit.notes_ == ["no column is related to survival: every coefficient is 0"]


LEARNER = CoxBoost(n_folds=5, max_steps=200)


@checks.each
def test_what_all_linear_learners_do(check):
    check(LEARNER)


def test_grid_search():
    checks.check_grid_search(CoxBoost(n_steps=10), {"penalty": [100.0, 1000.0], "mandatory": [(), (3,)]})


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"penalty": -1.0}, "penalty must be"),
        ({"penalty": "best"}, "penalty must be"),
        ({"max_steps": 0}, "max_steps must be a whole number of at least 4"),
        ({"n_steps": 0}, "n_steps must be"),
        ({"n_folds": 1}, "n_folds must be"),
        ({"mandatory": ["age"]}, "positions of columns"),
        ({"mandatory": [12]}, "must lie in 0 .. 11"),
        ({"mandatory": range(12)}, "no column varies that may be boosted"),
    ],
)
def test_bad_parameters(parameters, message):
    x, time, event = checks.simulate()
    with pytest.raises(InputError, match=message):
        CoxBoost(**parameters).fit(x, as_outcome(time, event))


def test_bad_data():
    x, time, event = checks.simulate()
    y = as_outcome(time, event)
    with pytest.raises(InputError, match="no column varies"):
        CoxBoost().fit(np.ones_like(x), y)
    x[0, 0] = np.nan
    with pytest.raises(InputError, match="finite"):
        Boosting(x, time, event)
    with pytest.raises(InputError, match="nobody died"):
        Boosting(np.ones_like(x), time, np.zeros(len(x), dtype=bool))
    single = np.arange(len(x)) == 4
    x[0, 0] = 0.0
    with pytest.raises(InputError, match="at least 2 deaths"):
        CoxBoost().fit(x, as_outcome(time, single))
    assert np.isfinite(CoxBoost(n_steps=5).fit(x, as_outcome(time, single)).coef_).all()


def test_too_few_patients_for_folds():
    x, _, _ = checks.simulate(n=4)
    y = as_outcome(np.arange(1.0, 5.0), [True, True, False, False])
    with pytest.raises(InputError, match="would learn from 2 of 4 patients"):
        CoxBoost().fit(x, y)
    assert np.isfinite(CoxBoost(n_steps=4).fit(x, y).coef_).all()


@pytest.mark.parametrize("mandatory", [(), (0, 1)])
def test_linear_predictors_stay_in_range(mandatory):
    # Steps without a brake on columns with outliers of many standard deviations.
    x, time, event = checks.simulate(n=60, p=20, effects=(3.0,))
    x = np.exp(6 * x)
    fit = CoxBoost(penalty=1e-6, n_steps=60, mandatory=mandatory).fit(x, as_outcome(time, event))
    assert np.isfinite(fit.coef_).all()
    assert np.isfinite(fit.predict(x)).all()
    assert np.isfinite(fit.survival_at(x, [1.0, 1000.0])).all()
    curve = CoxBoost(penalty=1e-6, max_steps=60, mandatory=mandatory).fit(x, as_outcome(time, event)).cv_loglik_
    assert np.isfinite(curve).all()
