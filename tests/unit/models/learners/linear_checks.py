"""What CoxBoost, PLS-Cox and SuperPC must all do, on small simulated cohorts."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from amlprognosis.models.base import as_outcome


def simulate(n=90, p=12, seed=0, effects=(0.9, -0.7, 0.5), rounded=30.0):
    """Columns 0 and 2 kill, 1 protects; about 60% die; times rounded up to months, so that many are tied."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, p))
    lp = x[:, : len(effects)] @ np.array(effects)
    death, censored = rng.exponential(np.exp(-lp)) * 700, rng.uniform(300, 2000, n)
    time = np.ceil(np.minimum(death, censored) / rounded) * rounded
    return x, time, death <= censored


def outcome(time, event):
    return as_outcome(time, event)


def check_order_of_rows(learner):
    x, time, event = simulate()
    order = np.random.default_rng(1).permutation(len(x))
    first = clone(learner).fit(x, outcome(time, event))
    second = clone(learner).fit(x[order], outcome(time[order], event[order]))
    np.testing.assert_array_equal(first.coef_, second.coef_)


def check_scale_of_columns(learner):
    x, time, event = simulate()
    factor, shift = np.ones(x.shape[1]), np.zeros(x.shape[1])
    factor[0], shift[0], factor[5] = 40.0, -300.0, -0.01
    first = clone(learner).fit(x, outcome(time, event))
    second = clone(learner).fit(x * factor + shift, outcome(time, event))
    np.testing.assert_allclose(second.coef_ * factor, first.coef_, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(second.predict(x * factor + shift), first.predict(x), rtol=1e-6, atol=1e-8)


def check_direction(learner):
    x, time, event = simulate(n=150)
    fit = clone(learner).fit(x, outcome(time, event))
    assert fit.coef_[0] > 0
    assert fit.coef_[1] < 0
    new, new_time, new_event = simulate(n=150, seed=5)
    assert fit.score(new, outcome(new_time, new_event)) > 0.6
    assert abs(fit.predict(x).mean()) < 1e-10
    survival = fit.survival_at(new, [365.0, 1095.0])
    assert np.isfinite(survival).all()
    assert (survival[:, 0] >= survival[:, 1]).all()


def check_threads_and_repeats(learner):
    x, time, event = simulate()
    y = outcome(time, event)
    first = clone(learner).fit(x, y)
    again = clone(learner).set_params(n_jobs=3).fit(x, y)
    np.testing.assert_array_equal(first.coef_, again.coef_)
    first.fit(x, y)
    np.testing.assert_array_equal(first.coef_, again.coef_)
    np.testing.assert_array_equal(first.baseline_hazard_, again.baseline_hazard_)


def check_grid_search(learner, grid):
    x, time, event = simulate()
    frame = pd.DataFrame(x, columns=[f"G{j}" for j in range(x.shape[1])])
    search = GridSearchCV(learner, grid, cv=3).fit(frame, outcome(time, event))
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_estimator_.feature_names_in_[0] == "G0"


def check_awkward_columns(learner):
    """Constant, duplicated and summed columns, more columns than patients."""
    x, time, event = simulate(n=60, p=80)
    x[:, 3] = 7.0
    x[:, 4] = x[:, 0]
    x[:, 5] = x[:, 0] + x[:, 1]
    x[:, 6] = 0.0
    x[0, 6] = 1.0
    x[:, 7] = 1e-3
    fit = clone(learner).fit(x, outcome(time, event))
    assert np.isfinite(fit.coef_).all()
    assert fit.coef_[3] == 0
    assert fit.coef_[7] == 0
    assert fit.score(x, outcome(time, event)) > 0.6


def check_few_deaths(learner):
    x, time, event = simulate(n=40, p=60, rounded=1.0)
    late = np.flatnonzero(event)[3:]
    event[late] = False
    fit = clone(learner).fit(x, outcome(time, event))
    assert np.isfinite(fit.coef_).all()
    assert np.isfinite(fit.survival_at(x, [365.0])).all()


def check_heavy_ties(learner):
    x, time, event = simulate(rounded=700.0)
    assert np.unique(time).size < 4
    fit = clone(learner).fit(x, outcome(time, event))
    assert np.isfinite(fit.coef_).all()
    assert fit.coef_[0] > 0
    two = clone(learner).fit(x, outcome(np.where(time > 700.0, 700.0, 350.0), event))
    assert np.isfinite(two.coef_).all()


each = pytest.mark.parametrize(
    "check",
    [
        check_order_of_rows,
        check_scale_of_columns,
        check_direction,
        check_threads_and_repeats,
        check_awkward_columns,
        check_few_deaths,
        check_heavy_ties,
    ],
)
