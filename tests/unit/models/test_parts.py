import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amlprognosis.errors import InputError
from amlprognosis.models.base import as_outcome, check_outcome
from amlprognosis.models.cox_kernels import (
    baseline_hazard,
    fit_cox,
    harrell_concordance,
    univariate_cox,
)
from amlprognosis.models.cox_lasso import lambda_sequence, lasso_cv, lasso_path, stratified_folds
from amlprognosis.models.horizon import ipcw
from amlprognosis.models.preprocess import Preprocessor, select_columns

TIME = np.array([5.0, 8, 3, 9, 12, 4, 7, 10])
EVENT = np.array([1, 0, 1, 1, 0, 1, 1, 0], dtype=bool)


def test_screen_flags():
    separated = np.array([2.0, 0, 3, 0, 0, 3, 1, 0]) - TIME / 10
    columns = np.column_stack([np.ones(8), -TIME, separated, np.arange(8.0)])
    fit = univariate_cox(columns, TIME, EVENT)
    assert fit.status_names[[0, 1, 3]].tolist() == ["constant", "separated", "converged"]
    assert fit.beta[1] == np.inf
    assert np.isnan(fit.p_wald[1])
    assert 0 < fit.p_screen[1] < 0.05
    assert fit.p_screen[0] == 1
    assert set(univariate_cox(columns, TIME, np.zeros(8, bool)).status_names) == {"no events"}
    with pytest.raises(InputError, match="missing or infinite"):
        univariate_cox(np.full((8, 1), np.nan), TIME, EVENT)
    with pytest.raises(InputError, match="must be 2D"):
        univariate_cox(columns[:5], TIME, EVENT)
    with pytest.raises(InputError, match="use efron or breslow"):
        univariate_cox(columns, TIME, EVENT, "exact")


def test_screen_is_the_same_on_any_number_of_threads():
    rng = np.random.default_rng(0)
    columns, time = rng.normal(size=(50, 300)), rng.integers(1, 30, 50).astype(float)
    event = rng.random(50) < 0.6
    one, two = univariate_cox(columns, time, event, n_jobs=1), univariate_cox(columns, time, event, n_jobs=3)
    np.testing.assert_array_equal(one.beta, two.beta)
    np.testing.assert_array_equal(one.lr_test, two.lr_test)


def test_fit_flags():
    x = np.column_stack([np.arange(8.0), np.arange(8.0) * 2])
    assert fit_cox(x, TIME, EVENT).singular
    assert not fit_cox(x, TIME, EVENT, ridge=0.1).singular
    assert fit_cox(-TIME[:, None], TIME, EVENT).status in ("separated", "not converged")
    with pytest.raises(InputError, match="constant covariates at positions"):
        fit_cox(np.ones((8, 1)), TIME, EVENT)
    with pytest.raises(InputError, match="nobody died"):
        fit_cox(x, TIME, np.zeros(8, bool))


times = st.lists(st.integers(1, 8), min_size=2, max_size=25)


@settings(max_examples=60, deadline=None)
@given(times, st.randoms(use_true_random=False))
def test_concordance_counts_every_pair(days, random):
    n = len(days)
    event = np.array([random.random() < 0.6 for _ in range(n)])
    risk = np.array([random.randint(0, 5) for _ in range(n)], dtype=float)
    concordant = discordant = tied = 0
    for i in range(n):
        for j in range(n):
            if event[i] and (days[i] < days[j] or (days[i] == days[j] and not event[j])):
                concordant += risk[i] > risk[j]
                discordant += risk[i] < risk[j]
                tied += risk[i] == risk[j]
    found = harrell_concordance(np.array(days), event, risk)
    assert (found.concordant, found.discordant, found.tied_risk) == (concordant, discordant, tied)
    if concordant + discordant + tied == 0:
        assert np.isnan(found.index)


@settings(max_examples=40, deadline=None)
@given(times)
def test_breslow_baseline_without_covariates_is_nelson_aalen(days):
    time = np.array(days, dtype=float)
    at, hazard = baseline_hazard(np.zeros(time.size), time, np.ones(time.size, dtype=bool))
    expected = np.cumsum([np.sum(time == t) / np.sum(time >= t) for t in np.unique(time)])
    np.testing.assert_array_equal(at, np.unique(time))
    np.testing.assert_allclose(hazard, expected)


def test_lasso_bad_input_and_unpenalized_columns():
    rng = np.random.default_rng(2)
    x, time, event = rng.normal(size=(60, 6)), rng.exponential(100, 60), rng.random(60) < 0.7
    lambdas = lambda_sequence(x, time, event)
    assert (lasso_path(x, time, event, lambdas[:1]).coefficients == 0).all()
    factor = np.array([0.0, 1, 1, 1, 1, 1])
    free = lasso_path(
        x, time, event, lambda_sequence(x, time, event, penalty_factor=factor), penalty_factor=factor, tolerance=1e-16
    )
    alone = fit_cox(x[:, :1], time, event, "breslow").beta[0]
    assert free.coefficients[0, 0] == pytest.approx(alone, abs=1e-6)
    assert free.n_nonzero[0] == 1
    with pytest.raises(InputError, match="descending"):
        lasso_path(x, time, event, lambdas[::-1])
    with pytest.raises(InputError, match="alpha"):
        lasso_path(x, time, event, lambdas, alpha=2)
    with pytest.raises(InputError, match="finite"):
        lasso_path(x * np.nan, time, event, lambdas)
    with pytest.raises(InputError, match="nobody died"):
        lasso_path(x, time, event & False, lambdas)
    with pytest.raises(InputError, match="no column varies"):
        lambda_sequence(np.ones((60, 2)), time, event)
    folds = stratified_folds(event, 5, np.random.default_rng(0))
    assert np.bincount(folds[event]).min() >= event.sum() // 5
    with pytest.raises(InputError, match="at least 2 deaths"):
        stratified_folds(np.array([True, False]), 5, np.random.default_rng(0))
    stopped = lasso_cv(x, time, event, lambdas, folds, patience=10)
    whole = lasso_cv(x, time, event, lambdas, folds)
    np.testing.assert_allclose(stopped.mean, whole.mean[: stopped.mean.size], rtol=1e-4)


def test_ipcw_weights_by_hand():
    # Censored at 2 and at 4; deaths at 1, 3, 4, 6. At 4 the death comes before the censoring.
    time = np.array([1.0, 2, 3, 4, 4, 6])
    event = np.array([1, 0, 1, 1, 0, 1], dtype=bool)
    died, weight = ipcw(time, event, 5.0)
    assert died.tolist() == [True, False, True, True, False, False]
    after_2 = 4 / 5
    after_4 = after_2 * (1 / 2)
    np.testing.assert_allclose(weight, [1, 0, 1 / after_2, 1 / after_2, 0, 1 / after_4])
    # Censored exactly at the horizon: known to have lived until then.
    _, weight = ipcw(time, event, 4.0)
    np.testing.assert_allclose(weight, [1, 0, 1 / after_2, 1 / after_2, 1 / after_2, 1 / after_2])
    # Weights sum to the number of patients when the last weight exists.
    assert weight.sum() == pytest.approx(6)


def test_outcome_checks():
    y = as_outcome([1, 2, 3], [1, 0, 1])
    assert check_outcome(y)[1].tolist() == [True, False, True]
    cases = [
        (as_outcome([1, 2], [0, 0]), "nobody died"),
        (as_outcome([1], [1]), "at least 2"),
        (as_outcome([1, np.nan], [1, 0]), "missing or infinite in rows 1"),
        (as_outcome([1, -np.inf], [1, 0]), "missing or infinite"),
        (as_outcome([5, 5], [1, 0]), "all os_time are equal"),
        (as_outcome([-1, 5], [1, 0]), "zero or negative in rows 0"),
        (np.array([1.0, 2.0]), "structured array"),
    ]
    for bad, words in cases:
        with pytest.raises(InputError, match=words):
            check_outcome(bad)
    with pytest.raises(InputError, match="3 patients in the features"):
        check_outcome(as_outcome([1, 2], [1, 0]), 3)
    with pytest.raises(InputError, match="0/1"):
        as_outcome([1, 2], [1, 2])
    with pytest.raises(InputError, match="equal length"):
        as_outcome([1, 2], [1])


def test_preprocessing():
    x = pd.DataFrame(
        {
            "expression:A": [1.0, 2, 3, np.nan, 10],
            "expression:B": [5.0] * 5,
            "expression:C": [np.nan, np.nan, 1, 2, 3],
            "mutation:N": [0, 1, 0, np.nan, 0],
            "mutation:R": [0, 1, 1, 1, 1.0],
        }
    )
    fitted = Preprocessor(["expression:*", "mutation:N", "mutation:X"], standardize=False).fit(x)
    assert fitted.features_ == ["expression:A", "mutation:N"]
    assert fitted.fill_.tolist() == [2.5, 0.25]
    assert {(row["item"], row["reason"]) for row in fitted.dropped_} == {
        ("mutation:X", "no such column"),
        ("expression:B", "constant"),
        ("expression:C", "40% of values missing"),
    }
    assert Preprocessor(["expression:A"], "mean").fit(x).fill_[0] == 4.0
    z = Preprocessor(["expression:A"]).fit_transform(x)
    assert z.mean() == pytest.approx(0)
    assert z.std() == pytest.approx(1)
    again = Preprocessor.from_dict(fitted.to_dict())
    np.testing.assert_array_equal(again.transform(x), fitted.transform(x))
    with pytest.raises(InputError, match="rarer class has 1 patients"):
        Preprocessor(["mutation:R"], min_minority=2).fit(x)
    with pytest.raises(InputError, match="1 needed columns are absent: expression:A"):
        fitted.transform(x.drop(columns="expression:A"))
    with pytest.raises(InputError, match="infinite values in expression:A"):
        fitted.transform(x.replace(10, np.inf))
    with pytest.raises(InputError, match="not numeric: expression:A"):
        fitted.transform(x.assign(**{"expression:A": ["a"] * 5}))
    with pytest.raises(InputError, match="stand twice"):
        fitted.transform(pd.concat([x, x[["expression:A"]]], axis=1))
    with pytest.raises(InputError, match="use median or mean"):
        Preprocessor(["x"], impute="zero")
    assert select_columns(["a:1", "a:2", "b:1"], ["b:1", "a:*", "c:*", "d"]) == (["a:1", "a:2", "b:1"], ["d", "c:*"])
