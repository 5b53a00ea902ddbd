"""The mathematics inside the classifiers, against scikit-learn and first principles."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestNeighbors
from sklearn.svm import SVC

from amlprognosis.models.horizon import HorizonKNN, HorizonSVM, ipcw
from amlprognosis.models.horizon.base import Cases
from amlprognosis.models.horizon.calibration import log_loss
from amlprognosis.models.horizon.knn import neighbour_shares
from amlprognosis.models.horizon.logistic_path import LARGEST_LOG_ODDS, largest_lambda, logistic_path
from amlprognosis.models.horizon.networks import draw_networks, train


@pytest.fixture(scope="module")
def cases():
    rng = np.random.default_rng(2)
    x = rng.normal(size=(150, 12))
    x[:, 5] = x[:, 4]
    y = (rng.random(150) < expit(x[:, 0] - x[:, 1] + 0.5)).astype(float)
    return Cases(x, y, rng.uniform(0.5, 3, 150))


@pytest.mark.parametrize("ratio", [0.0, 0.5, 1.0])
def test_logistic_path_is_scikit_learns(cases, ratio):
    lambdas = largest_lambda(*cases) * np.array([1.0, 0.3, 0.05])
    intercepts, betas = logistic_path(*cases, lambdas, ratio, 1e-12)
    if ratio == 1:
        assert not betas[0].any()
    for k in (1, 2):
        fit = LogisticRegression(
            C=1 / (lambdas[k] * cases.weight.sum()), l1_ratio=ratio, solver="saga", tol=1e-12, max_iter=100_000
        ).fit(cases.x, cases.target, sample_weight=cases.weight)
        assert intercepts[k] == pytest.approx(fit.intercept_[0], abs=1e-5)
        np.testing.assert_allclose(cases.x @ betas[k], cases.x @ fit.coef_[0], atol=1e-5)


def test_logistic_path_takes_pseudo_observations(cases):
    target = 1.4 * cases.target - 0.2

    def loss(b):
        return log_loss(b[0] + cases.x @ b[1:], target, cases.weight) + 0.5 * 0.1 * b[1:] @ b[1:]

    expected = minimize(loss, np.zeros(13), tol=1e-12).x
    intercepts, betas = logistic_path(cases.x, target, cases.weight, np.array([0.1]), 0.0, 1e-12)
    np.testing.assert_allclose(np.append(intercepts, betas), expected, atol=1e-5)
    # The mean of the predictions is that of the targets.
    p = expit(cases.x @ betas[0] + intercepts[0])
    assert np.average(p, weights=cases.weight) == pytest.approx(np.average(target, weights=cases.weight), abs=1e-6)


def test_logistic_path_ends_where_odds_have_no_bound():
    x = np.linspace(-1, 1, 60)[:, None]
    intercepts, betas = logistic_path(
        x, np.where(x[:, 0] > 0, 1.5, -0.5), np.ones(60), np.geomspace(0.5, 1e-6, 40), 0.5
    )
    odds = np.abs(x @ betas.T + intercepts).max(axis=0)
    stop = int(np.argmax(odds > LARGEST_LOG_ODDS))
    assert 0 < stop < 39
    assert (odds[stop:] == odds[stop]).all()


def test_gradient_of_the_networks(cases):
    networks = draw_networks(12, 4, 0.4, [(0, 0), (0, 1)])
    share = cases.weight / cases.weight.sum()
    arrays = [networks.w1, networks.b1, networks.w2, networks.b2]
    networks.b1[:] = np.linspace(-0.3, 0.3, 8)

    def loss():
        total = 0.05 * ((networks.w1**2).sum() + (networks.w2**2).sum())
        return total + sum(log_loss(m, cases.target, share) for m in networks.margins(cases.x).T)

    for array, slope in zip(arrays, networks.gradient(cases.x, cases.target, share, 0.1), strict=True):
        for at in [(0,) * array.ndim, tuple(size - 1 for size in array.shape)]:
            kept = array[at]
            array[at] = kept + 1e-6
            up = loss()
            array[at] = kept - 1e-6
            down = loss()
            array[at] = kept
            assert slope[at] == pytest.approx((up - down) / 2e-6, abs=1e-7)


def test_networks_side_by_side_are_networks_alone(cases):
    both = draw_networks(12, 4, 0.4, [(0, 0), (0, 1)])
    alone = draw_networks(12, 4, 0.4, [(0, 1)])
    seen = train(both, *cases, 0.01, 0.01, 30, cases.x[:7])
    train(alone, *cases, 0.01, 0.01, 30)
    np.testing.assert_allclose(both.margins(cases.x)[:, 1], alone.margins(cases.x)[:, 0], atol=1e-10)
    np.testing.assert_allclose(seen[:, -1], both.margins(cases.x[:7]).mean(axis=1), atol=1e-12)
    assert log_loss(seen[:, -1], cases.target[:7], np.ones(7)) < log_loss(seen[:, 0], cases.target[:7], np.ones(7))


def test_neighbour_shares_by_hand(cases):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(9, 12))
    shares = neighbour_shares(cases, x, [3, 10])
    near = NearestNeighbors(n_neighbors=10).fit(cases.x).kneighbors(x, return_distance=False)
    mean = np.average(cases.target, weights=cases.weight)
    for column, k in enumerate((3, 10)):
        votes = (cases.weight * cases.target)[near[:, :k]].sum(axis=1)
        np.testing.assert_allclose(shares[:, column], (votes + mean) / (cases.weight[near[:, :k]].sum(axis=1) + 1))


@pytest.mark.parametrize("kernel", ["rbf", "linear"])
def test_support_vector_machine_is_libsvms(train, test, kernel):
    model = HorizonSVM(kernel=kernel, n_selected=8, calibrate=False).fit(*train)
    x, y = train
    values = model.preprocessor_.transform(x)
    died, weight = ipcw(y["time"], y["event"], model.horizon_days_)
    known = weight > 0
    machine = SVC(C=model.cost_, kernel=kernel, gamma=model.gamma_ or "scale", tol=1e-4)
    machine.fit(values[known], died[known], sample_weight=weight[known])
    held = model.preprocessor_.transform(test[0])
    np.testing.assert_allclose(model.predict(test[0]), expit(machine.decision_function(held)), atol=1e-8)
    assert any("support vectors" in note for note in model.notes_) == (kernel == "rbf")


def test_nearest_neighbours_of_a_training_patient(train):
    model = HorizonKNN(neighbours=[1], n_selected=8, calibrate=False).fit(*train)
    x, y = train
    died, weight = ipcw(y["time"], y["event"], model.horizon_days_)
    known = weight > 0
    mean = np.average(died[known], weights=weight[known])
    expected = (weight * died + mean) / (weight + 1)
    np.testing.assert_allclose(model.predict(x)[known], expected[known])
