from __future__ import annotations

import numpy as np
import pytest

from amlprognosis.evaluation.survival import fit_cox, logrank_test
from amlprognosis.models.kaplan_meier import censoring_curve, kaplan_meier


def sample(n=120, seed=0):
    rng = np.random.default_rng(seed)
    time = np.ceil(rng.exponential(50, n))
    return time, rng.uniform(size=n) < 0.6, rng.integers(0, 3, n)


def test_against_lifelines():
    from lifelines import KaplanMeierFitter
    from lifelines.statistics import multivariate_logrank_test

    time, event, group = sample()
    theirs = KaplanMeierFitter().fit(time, event)
    at = np.arange(0, 150, 7)
    np.testing.assert_allclose(kaplan_meier(time, event).at(at), theirs.predict(at), atol=1e-12)
    oracle = multivariate_logrank_test(time, group, event)
    ours = logrank_test(time, event, group)
    assert ours.chi2 == pytest.approx(oracle.test_statistic, abs=1e-9)
    assert ours.p == pytest.approx(oracle.p_value, abs=1e-9)


def test_survival_times_censoring_is_the_share_still_followed():
    time, event, _ = sample()
    at = np.unique(time)[:-1]
    product = kaplan_meier(time, event).at(at) * censoring_curve(time, event).at(at)
    np.testing.assert_allclose(product, [(time > t).mean() for t in at], atol=1e-12)


def test_edges():
    km = kaplan_meier(np.array([2.0, 4.0]), np.array([True, True]))
    assert km.at([0, 1.9, 2, 4, 9]).tolist() == [1, 1, 0.5, 0, 0]
    assert km.before(2) == 1
    low, high = km.interval([1.0, 2.0, 4.0])
    assert low[0] == high[0] == 1
    assert low[1] < 0.5 < high[1]
    assert np.isnan(low[2])
    assert km.number_at_risk([0, 2, 3, 5]).tolist() == [2, 2, 1, 0]
    one = logrank_test(np.array([1.0, 2.0]), np.array([True, True]), np.array([0, 0]))
    assert np.isnan(one.p)
    none = logrank_test(np.array([1.0, 2.0]), np.array([False, False]), np.array([0, 1]))
    assert np.isnan(none.p)


@pytest.mark.parametrize("column", [np.ones(30), np.r_[np.zeros(15), np.ones(15)]])
def test_cox_without_a_maximum_says_so(column):
    time = np.arange(1.0, 31)
    fit = fit_cox(column, time, np.arange(30) < 15)
    assert not fit.converged
    assert np.isnan(fit.coef).all()
    assert not fit_cox(time, time, np.zeros(30, bool)).converged
