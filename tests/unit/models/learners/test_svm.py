import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.base import clone
from test_penalized import simulate

from amlprognosis.errors import InputError
from amlprognosis.models.base import as_outcome
from amlprognosis.models.learners.svm import SurvivalSVM


def standardized(x):
    return (x - x.mean(axis=0)) / x.std(axis=0)


@pytest.mark.filterwarnings("ignore:Optimization did not converge")  # its precision ends just before its tolerance
@pytest.mark.parametrize("p", [10, 150])
@pytest.mark.parametrize("alpha", [1e-5, 1e-2, 1.0])
def test_scikit_survival_finds_the_same(alpha, p):
    svm = pytest.importorskip("sksurv.svm")
    x, time, event = simulate(80, p)
    time = np.argsort(np.argsort(time, kind="stable")) + 1.0  # no ties: they are broken at random there
    y = as_outcome(time, event)
    fit = SurvivalSVM(alpha=alpha).fit(x, y)
    reference = svm.FastSurvivalSVM(alpha=alpha, max_iter=1000, tol=1e-9, random_state=0)
    reference.fit(standardized(x), y)
    np.testing.assert_allclose(
        fit.coef_ * x.std(axis=0), -reference.coef_, rtol=1e-5, atol=1e-5 * np.abs(reference.coef_).max()
    )
    assert fit.notes_ == []


def test_ties_of_time():
    x, time, event = simulate(60, 5, days=300.0)
    z = standardized(x)
    i, j = np.nonzero(event & ((time[:, None] > time) | ((time[:, None] == time) & ~event[:, None])))
    assert (time[i] == time[j]).sum() > 10

    def objective(w):
        score = z @ w
        gap = np.maximum(1 - score[i] + score[j], 0)
        slope = np.bincount(j, gap, len(z)) - np.bincount(i, gap, len(z))
        return 0.5 * w @ w + 0.05 * gap @ gap, w + 0.1 * z.T @ slope

    expected = minimize(objective, np.zeros(5), jac=True, method="BFGS", options={"gtol": 1e-7}).x
    fit = SurvivalSVM(alpha=0.1).fit(x, as_outcome(time, event))
    np.testing.assert_allclose(fit.coef_ * x.std(axis=0), -expected, atol=1e-6)


def test_learns_who_dies_early():
    x, time, event = simulate()
    new, new_time, new_event = simulate(seed=1)
    fit = SurvivalSVM().fit(x, as_outcome(time, event))
    assert (np.sign(fit.coef_[:3]) == [1, 1, -1]).all()
    assert fit.score(new, as_outcome(new_time, new_event)) > 0.7
    assert fit.alpha_ == max(fit.concordance_, key=fit.concordance_.get)
    assert len(fit.concordance_) == 5
    assert fit.lp_slope_ > 0
    curves = fit.predict_survival_function(new, return_array=True)
    high = fit.predict(new) > np.median(fit.predict(new))
    assert curves[high].mean() < curves[~high].mean()
    # A machine's scores stay within about 1 of each other; the curves do not.
    assert np.ptp(curves[:, curves.shape[1] // 2]) > 0.3


def test_neither_rows_nor_scales_nor_threads_matter():
    for p in (8, 200):
        x, time, event = simulate(p=p, days=100.0)
        fit = SurvivalSVM().fit(x, as_outcome(time, event))
        order = np.random.default_rng(1).permutation(len(x))
        shuffled = SurvivalSVM(n_jobs=3).fit(x[order], as_outcome(time[order], event[order]))
        np.testing.assert_array_equal(shuffled.coef_, fit.coef_)
        assert shuffled.lp_slope_ == fit.lp_slope_
        scale, shift = np.geomspace(1e-3, 1e3, p), np.linspace(-5, 5, p)
        rescaled = SurvivalSVM().fit(x * scale + shift, as_outcome(time, event))
        np.testing.assert_allclose(rescaled.coef_ * scale, fit.coef_, atol=1e-8)


def test_the_curves_come_from_held_out_risks():
    x, time, event = simulate(60, 300, seed=3)
    fit = SurvivalSVM(alpha=1.0).fit(np.random.default_rng(0).normal(size=x.shape), as_outcome(time, event))
    assert fit.score(np.random.default_rng(0).normal(size=x.shape), as_outcome(time, event)) > 0.99
    assert fit.lp_slope_ == 0 or fit.lp_slope_ < 2
    assert list(fit.concordance_) == [1.0]


def test_bad_input():
    x, time, event = simulate(40, 5)
    y = as_outcome(time, event)
    for model, words in (
        (SurvivalSVM(alpha=0), 'alpha must be "cv" or a positive number'),
        (SurvivalSVM(alpha="best"), 'alpha must be "cv" or a positive number'),
        (SurvivalSVM(n_folds=1), "n_folds must be"),
    ):
        with pytest.raises(InputError, match=words):
            model.fit(x, y)
    with pytest.raises(InputError, match="every column is constant"):
        SurvivalSVM().fit(np.ones((40, 2)), y)
    last = time.copy()
    last[:3] = time.max() + 1
    with pytest.raises(InputError, match="no comparable pair"):
        SurvivalSVM().fit(x, as_outcome(last, np.arange(40) < 3))
    few = np.zeros(40, dtype=bool)
    few[np.argsort(time)[[2, 10, 20]]] = True
    for columns, died in ((x, few), (x[:, :1], event)):
        fit = clone(SurvivalSVM()).fit(columns, as_outcome(time, died))
        assert np.isfinite(fit.coef_).all()
        assert fit.coef_.any()
        assert np.isfinite(fit.predict_survival_function(columns, return_array=True)).all()
