"""The ridge Cox path against glmnet with alpha 0.

Typed in are coefficients of glmnet 4.1-6 (family cox, thresh 1e-16) on the 7 columns of simulated_data, and on 60
columns made by a formula for its first 40 patients. All 40 columns are compared where ../shared exists.
"""

import numpy as np
import pytest
from simulated_data import EVENT, TIME, X, glmnet_coefficients, simulated

from amlprognosis.models.base import as_outcome
from amlprognosis.models.cox_lasso import lambda_sequence, lasso_path
from amlprognosis.models.cox_ridge import ridge_path
from amlprognosis.models.learners.penalized import Ridge

RIDGE = {
    0.5: [
        0.07293582974620623, -0.07616895364087133, 0.1590574921773496, 0.1001873067087852, -0.06520125838368815,
        -0.04755592310193077, -0.07424037940348677,
    ],
    0.1: [
        0.1616698005843327, -0.1327928578164539, 0.2839517992557365, 0.2089652810150292, -0.09472889829682675,
        -0.05888185764905766, -0.1797013350048801,
    ],
    0.02: [
        0.2031355214343665, -0.172572174713492, 0.347746057455436, 0.2798529196479884, -0.09373187319498906,
        -0.04978761287902488, -0.2533241820455593,
    ],
}  # fmt: skip
# The first 8 of 60 coefficients, and the sum of squares of all.
WIDE = {
    2.0: (
        [
            0.01221607880521749, -0.05304845885845666, -0.02442280005358647, 0.003737913026766162,
            -0.01348611317174114, 0.03384181165239518, 0.04847010233933539, -0.0178235407780358,
        ],
        0.03866149551886546,
    ),
    0.5: (
        [
            0.02145518602912699, -0.1174968231281639, -0.06325709990832301, -0.004603272204636156,
            -0.01860720346824091, 0.07325297660733879, 0.09122280431396437, -0.01952026614701772,
        ],
        0.2183574725705961,
    ),
}  # fmt: skip


def wide():
    i, j = np.arange(1.0, 41)[:, None], np.arange(1.0, 61)
    return np.sin(0.7 * i * j) + np.cos(i + j**2)


@pytest.mark.parametrize("penalty", RIDGE)
def test_few_columns(penalty):
    fit = Ridge(penalty=penalty).fit(X, as_outcome(TIME, EVENT))
    np.testing.assert_allclose(fit.coef_, RIDGE[penalty], atol=1e-8)


@pytest.mark.parametrize("penalty", WIDE)
def test_more_columns_than_patients(penalty):
    fit = Ridge(penalty=penalty).fit(wide(), as_outcome(TIME[:40], EVENT[:40]))
    np.testing.assert_allclose(fit.coef_[:8], WIDE[penalty][0], atol=1e-7)
    assert fit.coef_ @ fit.coef_ == pytest.approx(WIDE[penalty][1], rel=1e-6)


def test_coordinate_descent_finds_the_same():
    lambdas = np.array([3.0, 0.3])
    newton = ridge_path(wide(), TIME[:40], EVENT[:40], lambdas)
    descent = lasso_path(wide(), TIME[:40], EVENT[:40], lambdas, alpha=0.0, tolerance=1e-20)
    np.testing.assert_allclose(newton.coefficients, descent.coefficients, atol=1e-8)
    np.testing.assert_allclose(newton.loglik, descent.loglik, rtol=1e-9)


def test_the_path_starts_where_that_of_glmnet_does():
    assert lambda_sequence(X, TIME, EVENT, alpha=0.0)[0] == pytest.approx(308.1214657897785, rel=1e-7)


@pytest.mark.realdata
def test_all_columns():
    x, time, event = simulated()
    lambdas, expected, _ = glmnet_coefficients(0.0)
    np.testing.assert_allclose(ridge_path(x, time, event, lambdas).coefficients, expected, atol=1e-6)
