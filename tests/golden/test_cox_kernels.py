"""Cox kernels against R.

The numbers are those of survival 3.5-3 under R 4.2.2: coxph (eps 1e-12), basehaz(centered=FALSE), concordance, on
survival::veteran (137 patients, 128 deaths, heavy ties). The whole of ../shared/golden is compared where it exists.
"""

import csv
import os
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import chi2
from veteran_data import EVENT, NAMES, TIME, X

from amlprognosis.models.cox_kernels import (
    baseline_hazard,
    fit_cox,
    harrell_concordance,
    partial_likelihood,
    univariate_cox,
)

# coef, se, Wald p, score chi2, likelihood-ratio chi2
UNIVARIATE = {
    ("efron", "trt"): (
        0.01774256951873628,
        0.18066101228769008,
        0.9217661946845125,
        0.009645282824575241,
        0.009643378621603915,
    ),
    ("efron", "karno"): (
        -0.033423745909457264,
        0.005074838999444822,
        4.513209192377128e-11,
        45.319067215363134,
        42.031204429236595,
    ),
    ("efron", "diagtime"): (
        0.009100073711432592,
        0.008978077919095257,
        0.31077929727169024,
        1.024718137654019,
        0.9114678074423637,
    ),
    ("efron", "age"): (
        0.007499866282696405,
        0.009565214470542803,
        0.4329948311014076,
        0.6153648219948445,
        0.6254132553177669,
    ),
    ("efron", "prior"): (
        -0.014293356451651576,
        0.020050368446358425,
        0.475924652220458,
        0.5090151299807473,
        0.5185407209706909,
    ),
    ("breslow", "trt"): (
        0.016327871652301144,
        0.18065161483532255,
        0.9279827037853664,
        0.008169295791608437,
        0.008167834403479901,
    ),
    ("breslow", "karno"): (
        -0.033242936778897975,
        0.005073274223844892,
        5.655875544057049e-11,
        44.852522152727076,
        41.626213843924006,
    ),
    ("breslow", "diagtime"): (
        0.00896299046710946,
        0.008947740124204366,
        0.3164863909851032,
        1.001101460925433,
        0.8913081971202246,
    ),
    ("breslow", "age"): (
        0.007470506524215582,
        0.009564198901330515,
        0.43474916918442846,
        0.6106824879360869,
        0.6206336921787852,
    ),
    ("breslow", "prior"): (
        -0.014137700054712562,
        0.020049888030854914,
        0.4807317435456044,
        0.49799544887455677,
        0.507225551574038,
    ),
}
# coefficients, standard errors, log likelihood, global score test
MULTIVARIABLE = {
    "efron": (
        [
            0.19305311803980746,
            -0.03408448636612631,
            0.0017230261972969012,
            -0.003882847909576788,
            -0.007764094174233058,
        ],
        [0.18644587742800653, 0.0053413949560084046, 0.009003360788574805, 0.00924743391574407, 0.022152076281400094],
        -483.8146381739902,
        47.38862479334175,
    ),
    "breslow": (
        [0.1890252587424895, -0.033895231171202314, 0.00148432803293876, -0.0038017360093227765, -0.00759030063743045],
        [0.18635429347695234, 0.005338767403370242, 0.009001142313072754, 0.009251333780422132, 0.02214583614061912],
        -484.47956707092754,
        46.8385628712631,
    ),
}
# cumulative hazard at x = 0 by day
BASELINE = {
    "efron": {
        1: 0.07986542193776833,
        30: 2.239056734934962,
        100: 6.668572194287846,
        389: 23.59495872562596,
        999: 60.090189554386235,
    },
    "breslow": {
        1: 0.07884869651837992,
        30: 2.203289702852736,
        100: 6.571955984662201,
        389: 23.326092816843847,
        999: 59.41690738770483,
    },
}


BOTH_COHORTS = pytest.mark.parametrize("data", ["veteran", "sim"])
BOTH_TIES = pytest.mark.parametrize("ties", ["efron", "breslow"])


@BOTH_TIES
def test_univariate_screen(ties):
    fit = univariate_cox(X, TIME, EVENT, ties)
    assert fit.status_names.tolist() == ["converged"] * 5
    for j, name in enumerate(NAMES):
        found = [fit.beta[j], fit.se[j], fit.p_wald[j], fit.score_test[j], fit.lr_test[j]]
        np.testing.assert_allclose(found, UNIVARIATE[ties, name], rtol=1e-8)


@BOTH_TIES
def test_multivariable_fit_and_baseline(ties):
    beta, se, loglik, score = MULTIVARIABLE[ties]
    fit = fit_cox(X, TIME, EVENT, ties)
    assert fit.status == "converged"
    assert not fit.singular
    np.testing.assert_allclose(fit.beta, beta, rtol=1e-8)
    np.testing.assert_allclose(np.sqrt(np.diag(fit.covariance)), se, rtol=1e-8)
    np.testing.assert_allclose([fit.loglik, fit.score_test], [loglik, score], rtol=1e-10)
    times, hazard = baseline_hazard(X @ fit.beta, TIME, EVENT, ties)
    by_day = dict(zip(times.tolist(), hazard, strict=True))
    for day, expected in BASELINE[ties].items():
        assert by_day[day] == pytest.approx(expected, rel=1e-8)


def test_concordance_counts_pairs_as_r_does():
    # survival::concordance(Surv(time, status) ~ karno, reverse=TRUE) and -karno
    found = harrell_concordance(TIME, EVENT, X[:, 1])
    assert (found.concordant, found.discordant, found.tied_risk, found.tied_time, found.tied_both) == (
        1989,
        5674,
        1141,
        34,
        5,
    )
    assert found.index == pytest.approx(0.29072012721490226, abs=1e-15)
    assert harrell_concordance(TIME, EVENT, -X[:, 1]).index == pytest.approx(1 - 0.29072012721490226, abs=1e-15)


def golden(name):
    root = Path(__file__).resolve().parents[2]
    shared = Path(os.environ.get("AMLPROGNOSIS_SHARED", root.parent / "shared"))
    if not shared.exists():
        pytest.skip("no ../shared here; the typed-in numbers above are compared everywhere")
    with open(shared / "golden" / f"{name}.csv", newline="") as handle:
        return list(csv.DictReader(handle))


def cohort(data):
    """Columns by name, time and event of one of the two golden cohorts."""
    rows = golden({"veteran": "data_veteran", "sim": "data_sim100x40"}[data])
    columns = {name: np.array([float(row[name]) for row in rows]) for name in rows[0]}
    return columns, columns.pop("time"), columns.pop("status") == 1


def numbers(rows, name):
    return np.array([float(row[name]) for row in rows])


def of(table, data, ties):
    return [row for row in golden(table) if row["data"] == data and row["ties"] == ties]


@BOTH_TIES
def test_partial_likelihood(ties):
    beta, se, loglik, score = MULTIVARIABLE[ties]
    found, gradient, hessian = partial_likelihood(X, TIME, EVENT, np.array(beta), ties)
    assert found == pytest.approx(loglik, rel=1e-12)
    np.testing.assert_allclose(gradient * se, 0, atol=1e-7)
    np.testing.assert_allclose(np.sqrt(np.diag(np.linalg.inv(-hessian))), se, rtol=1e-8)
    null, gradient, hessian = partial_likelihood(X, TIME, EVENT, np.zeros(5), ties)
    # 2 (loglik - loglik at 0) of the univariate fit of karno, and its score test, at beta = 0
    alone = partial_likelihood(X[:, 1:2], TIME, EVENT, np.array([UNIVARIATE[ties, "karno"][0]]), ties)[0]
    assert 2 * (alone - null) == pytest.approx(UNIVARIATE[ties, "karno"][4], rel=1e-10)
    assert gradient[1] ** 2 / -hessian[1, 1] == pytest.approx(UNIVARIATE[ties, "karno"][3], rel=1e-10)
    assert gradient @ np.linalg.solve(-hessian, gradient) == pytest.approx(score, rel=1e-10)


@pytest.mark.realdata
@BOTH_COHORTS
@BOTH_TIES
def test_whole_univariate_table(data, ties):
    columns, time, event = cohort(data)
    rows = of("coxph_univariate", data, ties)
    assert [row["var"] for row in rows] == list(columns)
    x = np.column_stack(list(columns.values()))
    fit = univariate_cox(x, time, event, ties, n_jobs=2)
    for ours, theirs in (
        ("beta", "coef"),
        ("se", "se"),
        ("z", "z"),
        ("p_wald", "p_wald"),
        ("score_test", "score_test"),
        ("p_score", "score_p"),
        ("lr_test", "lr_test"),
    ):
        # R's likelihood-ratio test is a difference of two log likelihoods, good to 1e-12 of their size.
        np.testing.assert_allclose(getattr(fit, ours), numbers(rows, theirs), rtol=1e-6, atol=1e-11, err_msg=ours)
    np.testing.assert_allclose(fit.p_lr, chi2.sf(numbers(rows, "lr_test"), 1), rtol=1e-6, atol=1e-11)
    null, best = numbers(rows, "loglik_null"), numbers(rows, "loglik")
    for j in range(x.shape[1]):
        alone = fit_cox(x[:, [j]], time, event, ties)
        np.testing.assert_allclose(
            [alone.beta[0], alone.loglik, alone.loglik_null], [numbers(rows, "coef")[j], best[j], null[j]], rtol=1e-6
        )


@pytest.mark.realdata
@BOTH_COHORTS
@BOTH_TIES
def test_whole_multivariable_tables(data, ties):
    columns, time, event = cohort(data)
    rows = of("coxph_multi", data, ties)
    x = np.column_stack([columns[row["var"]] for row in rows])
    fit = fit_cox(x, time, event, ties)
    np.testing.assert_allclose(fit.beta, numbers(rows, "coef"), rtol=1e-8)
    np.testing.assert_allclose(np.sqrt(np.diag(fit.covariance)), numbers(rows, "se"), rtol=1e-8)
    for ours, theirs in (("loglik", "loglik"), ("loglik_null", "loglik_null"), ("score_test", "score_test")):
        assert getattr(fit, ours) == pytest.approx(float(rows[0][theirs]), rel=1e-10)
    index = harrell_concordance(time, event, x @ fit.beta).index
    assert index == pytest.approx(float(rows[0]["concordance"]), abs=1e-12)
    covariance = numbers(of("coxph_vcov", data, ties), "vcov").reshape(fit.covariance.shape)
    np.testing.assert_allclose(fit.covariance, covariance, rtol=1e-6, atol=1e-8 * covariance.max())
    rows = of("coxph_baseline", data, ties)
    for center, name in ((np.zeros(x.shape[1]), "cumhaz_lp0"), (x.mean(axis=0), "cumhaz_at_means")):
        times, hazard = baseline_hazard((x - center) @ fit.beta, time, event, ties)
        np.testing.assert_array_equal(times, numbers(rows, "time"))
        np.testing.assert_allclose(hazard, numbers(rows, name), rtol=1e-6)
