"""The Cox kernels on hard input: each has a defined outcome."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amlprognosis.errors import InputError
from amlprognosis.models.cox_kernels import fit_cox, partial_likelihood, univariate_cox

BOTH_TIES = pytest.mark.parametrize("ties", ["efron", "breslow"])


def cohort(n=60, p=4, seed=0, tied=True):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, p))
    time = rng.exponential(np.exp(-x[:, 0])) * 20 + 0.1
    return x, np.ceil(time) if tied else time, rng.random(n) < 0.7


def slow_loglik(x, time, event, beta, ties):
    """The definition, one risk set at a time."""
    eta, total = x @ beta, 0.0
    for t in np.unique(time[event]):
        risk, dead = np.exp(eta[time >= t]), np.exp(eta[(time == t) & event])
        total += np.log(dead).sum()
        for k in range(dead.size):
            share = k / dead.size if ties == "efron" else 0.0
            total -= np.log(risk.sum() - share * dead.sum())
    return total


@BOTH_TIES
@settings(max_examples=25)
@given(st.integers(0, 10**6))
def test_likelihood_and_derivatives_by_their_definition(ties, seed):
    rng = np.random.default_rng(seed)
    n, p = int(rng.integers(2, 30)), int(rng.integers(1, 6))
    x, time, event = rng.normal(size=(n, p)) + 3, rng.integers(1, 8, n).astype(float), rng.random(n) < 0.6
    event[0] = True
    beta, h = rng.normal(size=p), 1e-5
    loglik, gradient, hessian = partial_likelihood(x, time, event, beta, ties)
    assert loglik == pytest.approx(slow_loglik(x, time, event, beta, ties), rel=1e-10, abs=1e-10)
    for j in range(p):
        step = h * np.eye(p)[j]
        up = partial_likelihood(x, time, event, beta + step, ties)
        down = partial_likelihood(x, time, event, beta - step, ties)
        assert gradient[j] == pytest.approx((up[0] - down[0]) / (2 * h), abs=1e-5)
        np.testing.assert_allclose(hessian[j], (up[1] - down[1]) / (2 * h), atol=1e-5)


@BOTH_TIES
def test_fit_is_the_maximum(ties):
    x, time, event = cohort(p=12)
    fit = fit_cox(x, time, event, ties)
    loglik, gradient, hessian = partial_likelihood(x, time, event, fit.beta, ties)
    assert (fit.status, fit.singular) == ("converged", False)
    assert fit.loglik == pytest.approx(loglik, rel=1e-13)
    np.testing.assert_allclose(gradient, 0, atol=1e-7)
    np.testing.assert_allclose(fit.covariance, np.linalg.inv(-hessian), rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_missing_and_infinite_values_are_refused(bad):
    x, time, event = cohort()
    x[3, 1] = bad
    for kernel in (fit_cox, univariate_cox):
        with pytest.raises(InputError, match="missing or infinite values"):
            kernel(x, time, event)
    with pytest.raises(InputError, match="missing or infinite values"):
        partial_likelihood(x, time, event, np.zeros(4))
    with pytest.raises(InputError, match="4 finite coefficients"):
        partial_likelihood(np.ones((60, 4)), time, event, np.full(4, bad))
    with pytest.raises(InputError, match="4 finite coefficients"):
        partial_likelihood(np.ones((60, 4)), time, event, np.zeros(3))


def test_nobody_died():
    x, time, event = cohort()
    with pytest.raises(InputError, match="nobody died"):
        fit_cox(x, time, event & False)
    with pytest.raises(InputError, match="nobody died"):
        partial_likelihood(x, time, event & False, np.zeros(4))
    screen = univariate_cox(x, time, event & False)
    assert set(screen.status_names) == {"no events"}
    assert (screen.p_screen == 1).all()


def test_one_patient():
    x, time, event = np.array([[1.0, 2.0]]), np.array([5.0]), np.array([True])
    with pytest.raises(InputError, match=r"constant covariates at positions \[0, 1\]"):
        fit_cox(x, time, event)
    assert set(univariate_cox(x, time, event).status_names) == {"constant"}
    loglik, gradient, hessian = partial_likelihood(x, time, event, np.ones(2))
    assert (loglik, gradient.tolist(), hessian.tolist()) == (0.0, [0, 0], [[0, 0], [0, 0]])


@BOTH_TIES
def test_more_columns_than_patients(ties):
    x, time, event = cohort(n=20, p=50)
    fit = fit_cox(x, time, event, ties)
    assert fit.singular
    assert fit.ridge > 0
    assert np.isfinite(fit.beta).all()
    assert np.isfinite(fit.covariance).all()
    assert fit_cox(x, time, event, ties, ridge=1.0).status == "converged"


@BOTH_TIES
def test_collinear_columns_share_the_coefficient(ties):
    x, time, event = cohort(p=3)
    alone = fit_cox(x[:, :2], time, event, ties)
    fit = fit_cox(np.column_stack([x[:, :2], 2 * x[:, 0] + 1]), time, event, ties)
    assert fit.singular
    assert fit.status == "converged"
    # The tiny ridge moves the fit a little.
    assert fit.loglik == pytest.approx(alone.loglik, abs=1e-6)
    assert fit.beta[0] + 2 * fit.beta[2] == pytest.approx(alone.beta[0], rel=1e-4)


def test_all_times_equal():
    x, _, event = cohort()
    time = np.full(60, 7.0)
    # With everybody dead at once, Efron's and Breslow's likelihoods do not depend on beta to first order.
    for ties in ("efron", "breslow"):
        fit = fit_cox(x, time, np.ones(60, dtype=bool), ties)
        assert fit.status == "converged"
        np.testing.assert_allclose(fit.beta, 0, atol=1e-9)
        assert set(univariate_cox(x, time, event, ties).status_names) == {"converged"}
        some = fit_cox(x, time, event, ties)
        assert some.loglik == pytest.approx(slow_loglik(x, time, event, some.beta, ties), rel=1e-10)


def test_constant_columns():
    x, time, event = cohort()
    x[:, 2] = 1e6
    with pytest.raises(InputError, match=r"constant covariates at positions \[2\]"):
        fit_cox(x, time, event)
    screen = univariate_cox(x, time, event)
    assert screen.status_names.tolist() == ["converged", "converged", "constant", "converged"]
    assert screen.p_screen[2] == 1
    # Varies, but not among those at risk when somebody dies.
    early = np.zeros(60)
    early[0], time[0], event[0] = 1.0, 0.01, False
    assert univariate_cox(early[:, None], time, event).status_names.tolist() == ["constant"]
    fit = fit_cox(early[:, None], time, event)
    assert fit.singular
    assert fit.status == "converged"
    assert fit.beta[0] == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("n_deaths", [1, 3, 40])
def test_a_monotone_likelihood_is_called_separated(n_deaths):
    # Whoever dies has the largest value among those at risk.
    time = np.arange(1.0, 41)
    event = np.arange(40) < n_deaths
    x = np.column_stack([-time, np.random.default_rng(0).normal(size=40)])
    fit = fit_cox(x, time, event)
    assert fit.status == "separated"
    assert np.isfinite(fit.beta).all()
    assert univariate_cox(x[:, :1], time, event).status_names.tolist() == ["separated"]
    assert fit_cox(x, time, event, ridge=1.0).status == "converged"


@BOTH_TIES
def test_quasi_separation_by_a_rare_flag(ties):
    # Nobody with the flag dies: its coefficient runs to minus infinity, the other one has a limit.
    x, time, event = cohort(p=2)
    flag = np.zeros(60)
    carriers = np.flatnonzero(~event & (time > 3))[:4]
    flag[carriers] = 1
    fit = fit_cox(np.column_stack([x[:, 0], flag]), time, event, ties)
    assert fit.status == "separated"
    kept = np.setdiff1d(np.arange(60), carriers)
    assert fit.beta[0] == pytest.approx(fit_cox(x[kept, :1], time[kept], event[kept], ties).beta[0], rel=1e-4)


def test_fit_does_not_mind_scale_and_level():
    x, time, event = cohort()
    plain = fit_cox(x, time, event)
    scaled = fit_cox(x * [1e-6, 1, 1e6, -3] + [1e-5, 1e3, 0, 2], time, event)
    np.testing.assert_allclose(scaled.beta * [1e-6, 1, 1e6, -3], plain.beta, rtol=1e-7)
    assert scaled.loglik == pytest.approx(plain.loglik, rel=1e-11)
