"""Cox kernels against R.

The numbers are those of survival 3.5-3 under R 4.2.2: coxph (eps 1e-12), basehaz(centered=FALSE), concordance, on
survival::veteran (137 patients, 128 deaths, heavy ties). The whole of ../shared/golden is compared where it exists.
"""

import csv
import os
from pathlib import Path

import numpy as np
import pytest

from amlprognosis.models.cox_kernels import baseline_hazard, fit_cox, harrell_concordance, univariate_cox

# time, status, trt, karno, diagtime, age, prior
VETERAN = np.array(
    [
        (72, 1, 1, 60, 7, 69, 0),
        (411, 1, 1, 70, 5, 64, 10),
        (228, 1, 1, 60, 3, 38, 0),
        (126, 1, 1, 60, 9, 63, 10),
        (118, 1, 1, 70, 11, 65, 10),
        (10, 1, 1, 20, 5, 49, 0),
        (82, 1, 1, 40, 10, 69, 10),
        (110, 1, 1, 80, 29, 68, 0),
        (314, 1, 1, 50, 18, 43, 0),
        (100, 0, 1, 70, 6, 70, 0),
        (42, 1, 1, 60, 4, 81, 0),
        (8, 1, 1, 40, 58, 63, 10),
        (144, 1, 1, 30, 4, 63, 0),
        (25, 0, 1, 80, 9, 52, 10),
        (11, 1, 1, 70, 11, 48, 10),
        (30, 1, 1, 60, 3, 61, 0),
        (384, 1, 1, 60, 9, 42, 0),
        (4, 1, 1, 40, 2, 35, 0),
        (54, 1, 1, 80, 4, 63, 10),
        (13, 1, 1, 60, 4, 56, 0),
        (123, 0, 1, 40, 3, 55, 0),
        (97, 0, 1, 60, 5, 67, 0),
        (153, 1, 1, 60, 14, 63, 10),
        (59, 1, 1, 30, 2, 65, 0),
        (117, 1, 1, 80, 3, 46, 0),
        (16, 1, 1, 30, 4, 53, 10),
        (151, 1, 1, 50, 12, 69, 0),
        (22, 1, 1, 60, 4, 68, 0),
        (56, 1, 1, 80, 12, 43, 10),
        (21, 1, 1, 40, 2, 55, 10),
        (18, 1, 1, 20, 15, 42, 0),
        (139, 1, 1, 80, 2, 64, 0),
        (20, 1, 1, 30, 5, 65, 0),
        (31, 1, 1, 75, 3, 65, 0),
        (52, 1, 1, 70, 2, 55, 0),
        (287, 1, 1, 60, 25, 66, 10),
        (18, 1, 1, 30, 4, 60, 0),
        (51, 1, 1, 60, 1, 67, 0),
        (122, 1, 1, 80, 28, 53, 0),
        (27, 1, 1, 60, 8, 62, 0),
        (54, 1, 1, 70, 1, 67, 0),
        (7, 1, 1, 50, 7, 72, 0),
        (63, 1, 1, 50, 11, 48, 0),
        (392, 1, 1, 40, 4, 68, 0),
        (10, 1, 1, 40, 23, 67, 10),
        (8, 1, 1, 20, 19, 61, 10),
        (92, 1, 1, 70, 10, 60, 0),
        (35, 1, 1, 40, 6, 62, 0),
        (117, 1, 1, 80, 2, 38, 0),
        (132, 1, 1, 80, 5, 50, 0),
        (12, 1, 1, 50, 4, 63, 10),
        (162, 1, 1, 80, 5, 64, 0),
        (3, 1, 1, 30, 3, 43, 0),
        (95, 1, 1, 80, 4, 34, 0),
        (177, 1, 1, 50, 16, 66, 10),
        (162, 1, 1, 80, 5, 62, 0),
        (216, 1, 1, 50, 15, 52, 0),
        (553, 1, 1, 70, 2, 47, 0),
        (278, 1, 1, 60, 12, 63, 0),
        (12, 1, 1, 40, 12, 68, 10),
        (260, 1, 1, 80, 5, 45, 0),
        (200, 1, 1, 80, 12, 41, 10),
        (156, 1, 1, 70, 2, 66, 0),
        (182, 0, 1, 90, 2, 62, 0),
        (143, 1, 1, 90, 8, 60, 0),
        (105, 1, 1, 80, 11, 66, 0),
        (103, 1, 1, 80, 5, 38, 0),
        (250, 1, 1, 70, 8, 53, 10),
        (100, 1, 1, 60, 13, 37, 10),
        (999, 1, 2, 90, 12, 54, 10),
        (112, 1, 2, 80, 6, 60, 0),
        (87, 0, 2, 80, 3, 48, 0),
        (231, 0, 2, 50, 8, 52, 10),
        (242, 1, 2, 50, 1, 70, 0),
        (991, 1, 2, 70, 7, 50, 10),
        (111, 1, 2, 70, 3, 62, 0),
        (1, 1, 2, 20, 21, 65, 10),
        (587, 1, 2, 60, 3, 58, 0),
        (389, 1, 2, 90, 2, 62, 0),
        (33, 1, 2, 30, 6, 64, 0),
        (25, 1, 2, 20, 36, 63, 0),
        (357, 1, 2, 70, 13, 58, 0),
        (467, 1, 2, 90, 2, 64, 0),
        (201, 1, 2, 80, 28, 52, 10),
        (1, 1, 2, 50, 7, 35, 0),
        (30, 1, 2, 70, 11, 63, 0),
        (44, 1, 2, 60, 13, 70, 10),
        (283, 1, 2, 90, 2, 51, 0),
        (15, 1, 2, 50, 13, 40, 10),
        (25, 1, 2, 30, 2, 69, 0),
        (103, 0, 2, 70, 22, 36, 10),
        (21, 1, 2, 20, 4, 71, 0),
        (13, 1, 2, 30, 2, 62, 0),
        (87, 1, 2, 60, 2, 60, 0),
        (2, 1, 2, 40, 36, 44, 10),
        (20, 1, 2, 30, 9, 54, 10),
        (7, 1, 2, 20, 11, 66, 0),
        (24, 1, 2, 60, 8, 49, 0),
        (99, 1, 2, 70, 3, 72, 0),
        (8, 1, 2, 80, 2, 68, 0),
        (99, 1, 2, 85, 4, 62, 0),
        (61, 1, 2, 70, 2, 71, 0),
        (25, 1, 2, 70, 2, 70, 0),
        (95, 1, 2, 70, 1, 61, 0),
        (80, 1, 2, 50, 17, 71, 0),
        (51, 1, 2, 30, 87, 59, 10),
        (29, 1, 2, 40, 8, 67, 0),
        (24, 1, 2, 40, 2, 60, 0),
        (18, 1, 2, 40, 5, 69, 10),
        (83, 0, 2, 99, 3, 57, 0),
        (31, 1, 2, 80, 3, 39, 0),
        (51, 1, 2, 60, 5, 62, 0),
        (90, 1, 2, 60, 22, 50, 10),
        (52, 1, 2, 60, 3, 43, 0),
        (73, 1, 2, 60, 3, 70, 0),
        (8, 1, 2, 50, 5, 66, 0),
        (36, 1, 2, 70, 8, 61, 0),
        (48, 1, 2, 10, 4, 81, 0),
        (7, 1, 2, 40, 4, 58, 0),
        (140, 1, 2, 70, 3, 63, 0),
        (186, 1, 2, 90, 3, 60, 0),
        (84, 1, 2, 80, 4, 62, 10),
        (19, 1, 2, 50, 10, 42, 0),
        (45, 1, 2, 40, 3, 69, 0),
        (80, 1, 2, 40, 4, 63, 0),
        (52, 1, 2, 60, 4, 45, 0),
        (164, 1, 2, 70, 15, 68, 10),
        (19, 1, 2, 30, 4, 39, 10),
        (53, 1, 2, 60, 12, 66, 0),
        (15, 1, 2, 30, 5, 63, 0),
        (43, 1, 2, 60, 11, 49, 10),
        (340, 1, 2, 80, 10, 64, 10),
        (133, 1, 2, 75, 1, 65, 0),
        (111, 1, 2, 60, 5, 64, 0),
        (231, 1, 2, 70, 18, 67, 10),
        (378, 1, 2, 80, 4, 65, 0),
        (49, 1, 2, 30, 3, 37, 0),
    ],
    dtype=float,
)
NAMES = ("trt", "karno", "diagtime", "age", "prior")
TIME, EVENT, X = VETERAN[:, 0], VETERAN[:, 1] == 1, VETERAN[:, 2:]

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


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_univariate_screen(ties):
    fit = univariate_cox(X, TIME, EVENT, ties)
    assert fit.status_names.tolist() == ["converged"] * 5
    for j, name in enumerate(NAMES):
        found = [fit.beta[j], fit.se[j], fit.p_wald[j], fit.score_test[j], fit.lr_test[j]]
        np.testing.assert_allclose(found, UNIVARIATE[ties, name], rtol=1e-8)


@pytest.mark.parametrize("ties", ["efron", "breslow"])
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


@pytest.mark.realdata
@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_forty_simulated_columns_with_rounded_times(ties):
    sim = golden("data_sim100x40")
    names = [name for name in sim[0] if name.startswith("g")]
    x = np.array([[float(row[name]) for name in names] for row in sim])
    time, event = np.array([float(row["time"]) for row in sim]), np.array([row["status"] == "1" for row in sim])
    rows = [row for row in golden("coxph_univariate") if row["data"] == "sim" and row["ties"] == ties]
    assert [row["var"] for row in rows] == names
    fit = univariate_cox(x, time, event, ties, n_jobs=2)
    for ours, theirs in (("beta", "coef"), ("se", "se"), ("p_wald", "p_wald"), ("lr_test", "lr_test")):
        expected = [float(row[theirs]) for row in rows]
        np.testing.assert_allclose(getattr(fit, ours), expected, rtol=1e-6, atol=1e-12)
    rows = [row for row in golden("coxph_vcov") if row["data"] == "sim" and row["ties"] == ties]
    several = fit_cox(x[:, :8], time, event, ties)
    np.testing.assert_allclose(several.covariance.ravel(), [float(row["vcov"]) for row in rows], rtol=1e-6)
