"""The elastic-net Cox path against glmnet.

Coefficients of glmnet 4.1-6 (family cox, thresh 1e-14) on the simulated data of ../shared/golden. Typed in are the
columns that its lasso keeps at lambda 0.1: columns that stay at zero do not change the others, so these facts hold
without them. The elastic net and the lasso with g01 unpenalized are glmnet's on these columns alone (thresh 1e-16;
penalty.factor 0 for g01, and lambda times 6/7, because glmnet makes the factors sum to 7). All 40 columns are compared
where ../shared exists.
"""

import numpy as np
import pytest
from simulated_data import COLUMNS, EVENT, TIME, X, glmnet_coefficients, golden, simulated

from amlprognosis.models.base import as_outcome
from amlprognosis.models.cox_lasso import lambda_sequence, lasso_cv, lasso_path
from amlprognosis.models.learners.penalized import ElasticNet, Lasso

# lambda: nonzero coefficients of glmnet, alpha 1
LASSO = {
    0.3: {"g03": 0.007237500468517057},
    0.2: {"g02": -0.009641370600340208, "g03": 0.0971125381198233},
    0.1: {
        "g01": 0.02419634453556388,
        "g02": -0.09576048199261022,
        "g03": 0.20350767091293898,
        "g04": 0.10616599688663693,
        "g05": -0.004213719286842508,
        "g30": -0.006147345936038353,
        "g32": -0.06155493301503194,
    },
}


def test_lasso_coefficients():
    path = lasso_path(X, TIME, EVENT, np.array(sorted(LASSO, reverse=True)), tolerance=1e-20)
    for found, penalty in zip(path.coefficients, path.lambdas, strict=True):
        expected = [LASSO[float(penalty)].get(name, 0.0) for name in COLUMNS]
        np.testing.assert_allclose(found, expected, atol=1e-6)


ENET = {
    0.5: [0, 0, 0.0361328116434611, 0, 0, 0, 0],
    0.1: [
        0.1035109914350393, -0.1174494004023098, 0.247669259309006, 0.1632375443493002, -0.05728505847122073,
        -0.03408424652576339, -0.1300091665495458,
    ],
    0.02: [
        0.1906460535853903, -0.171666135581804, 0.3403526161277168, 0.2718612908747267, -0.08492581324927535,
        -0.04308216259192067, -0.2454983836172214,
    ],
}  # fmt: skip
LASSO_WITH_G01 = {
    0.1: [
        0.1530992433811415, -0.09571123315058379, 0.2103232051664345, 0.09763142783816987, -0.08744518256927621, 0,
        -0.05341376430230724,
    ],
    0.05: [
        0.1871453888521101, -0.142204421766977, 0.2831170029353519, 0.1943440807429173, -0.09526354403936091,
        -0.01948784359701181, -0.1629167429801104,
    ],
}  # fmt: skip


@pytest.mark.parametrize("penalty", LASSO)
def test_lasso_with_a_fixed_penalty(penalty):
    fit = Lasso(penalty=penalty).fit(X, as_outcome(TIME, EVENT))
    np.testing.assert_allclose(fit.coef_, [LASSO[penalty].get(name, 0.0) for name in COLUMNS], atol=1e-7)
    assert fit.penalty_ == penalty


@pytest.mark.parametrize("penalty", ENET)
def test_elastic_net_with_a_fixed_penalty(penalty):
    fit = ElasticNet(0.5, penalty=penalty).fit(X, as_outcome(TIME, EVENT))
    np.testing.assert_allclose(fit.coef_, ENET[penalty], atol=1e-7)


@pytest.mark.parametrize("penalty", LASSO_WITH_G01)
def test_mandatory_column(penalty):
    fit = Lasso(penalty=penalty, mandatory=[0]).fit(X, as_outcome(TIME, EVENT))
    np.testing.assert_allclose(fit.coef_, LASSO_WITH_G01[penalty], atol=1e-7)


@pytest.mark.realdata
@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_whole_paths(alpha):
    x, time, event = simulated()
    lambdas, expected, null_deviance = glmnet_coefficients(alpha)
    path = lasso_path(x, time, event, lambdas, alpha, tolerance=1e-20)
    np.testing.assert_allclose(path.coefficients, expected, atol=1e-6)
    deaths = np.unique(time[event], return_counts=True)[1]
    null = -2 * ((deaths * np.log(deaths)).sum() + path.loglik_null)
    assert null == pytest.approx(null_deviance, rel=1e-12)
    if alpha > 0:
        reference = [row for row in golden("glmnet_cox_lambda_path") if float(row["alpha"]) == alpha]
        found = lambda_sequence(x, time, event, alpha, 100, 1e-4)[: len(reference)]
        np.testing.assert_allclose(found, [float(row["lambda"]) for row in reference], rtol=1e-7)


@pytest.mark.realdata
@pytest.mark.parametrize("alpha", [0.5, 1.0])
def test_cross_validated_deviance(alpha):
    # cv.glmnet(grouped=TRUE, thresh=1e-12): its fits are that exact, hence the tolerance.
    x, time, event = simulated()
    folds = np.array([int(row["fold10"]) for row in golden("folds")])
    rows = [r for r in golden("glmnet_cox_cv") if float(r["alpha"]) == alpha and r["grouped"] == "TRUE"]
    lambdas = np.array([float(row["lambda"]) for row in rows])
    found = lasso_cv(x, time, event, lambdas, folds, alpha, tolerance=1e-16, fold_tolerance=1e-16)
    np.testing.assert_allclose(found.mean, [float(row["cvm"]) for row in rows], rtol=5e-5)
    np.testing.assert_allclose(found.se, [float(row["cvsd"]) for row in rows], rtol=5e-5)
    assert lambdas[found.at_min] == pytest.approx(float(rows[0]["lambda_min"]))
    assert lambdas[found.at_1se] == pytest.approx(float(rows[0]["lambda_1se"]))
