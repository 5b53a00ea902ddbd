"""Metrics against R: survival 3.5-3, riskRegression 2022.11.28, rms 6.5-0 on survival::veteran (137 patients).

The numbers were printed by R with 17 digits (golden.R of the project's shared folder). The veteran data are small
enough to be typed in; the Cox predictor is that of coxph(Surv(time, status) ~ trt + karno + diagtime + age + prior,
ties = "efron") on the same data, here refitted by fit_cox, which is itself compared with coxph.
"""

from __future__ import annotations

import numpy as np
import pytest

from amlprognosis.evaluation.calibration import cloglog, quantile_groups
from amlprognosis.evaluation.metrics import Design, brier_terms, concordance, evaluate, null_brier
from amlprognosis.evaluation.pairs import auc_pairs, comparison_matrices
from amlprognosis.evaluation.restricted_mean import DAYS_PER_MONTH, restricted_mean_values
from amlprognosis.evaluation.sheets import Sheet
from amlprognosis.evaluation.survival import fit_cox, logrank_test
from amlprognosis.models.kaplan_meier import censoring_curve, kaplan_meier

# time, status, trt, karno, diagtime, age, prior: survival::veteran, one row per patient.
VETERAN = np.array(
    """
72,1,1,60,7,69,0;411,1,1,70,5,64,10;228,1,1,60,3,38,0;126,1,1,60,9,63,10;118,1,1,70,11,65,10
10,1,1,20,5,49,0;82,1,1,40,10,69,10;110,1,1,80,29,68,0;314,1,1,50,18,43,0;100,0,1,70,6,70,0
42,1,1,60,4,81,0;8,1,1,40,58,63,10;144,1,1,30,4,63,0;25,0,1,80,9,52,10;11,1,1,70,11,48,10
30,1,1,60,3,61,0;384,1,1,60,9,42,0;4,1,1,40,2,35,0;54,1,1,80,4,63,10;13,1,1,60,4,56,0;123,0,1,40,3,55,0
97,0,1,60,5,67,0;153,1,1,60,14,63,10;59,1,1,30,2,65,0;117,1,1,80,3,46,0;16,1,1,30,4,53,10
151,1,1,50,12,69,0;22,1,1,60,4,68,0;56,1,1,80,12,43,10;21,1,1,40,2,55,10;18,1,1,20,15,42,0
139,1,1,80,2,64,0;20,1,1,30,5,65,0;31,1,1,75,3,65,0;52,1,1,70,2,55,0;287,1,1,60,25,66,10
18,1,1,30,4,60,0;51,1,1,60,1,67,0;122,1,1,80,28,53,0;27,1,1,60,8,62,0;54,1,1,70,1,67,0;7,1,1,50,7,72,0
63,1,1,50,11,48,0;392,1,1,40,4,68,0;10,1,1,40,23,67,10;8,1,1,20,19,61,10;92,1,1,70,10,60,0
35,1,1,40,6,62,0;117,1,1,80,2,38,0;132,1,1,80,5,50,0;12,1,1,50,4,63,10;162,1,1,80,5,64,0;3,1,1,30,3,43,0
95,1,1,80,4,34,0;177,1,1,50,16,66,10;162,1,1,80,5,62,0;216,1,1,50,15,52,0;553,1,1,70,2,47,0
278,1,1,60,12,63,0;12,1,1,40,12,68,10;260,1,1,80,5,45,0;200,1,1,80,12,41,10;156,1,1,70,2,66,0
182,0,1,90,2,62,0;143,1,1,90,8,60,0;105,1,1,80,11,66,0;103,1,1,80,5,38,0;250,1,1,70,8,53,10
100,1,1,60,13,37,10;999,1,2,90,12,54,10;112,1,2,80,6,60,0;87,0,2,80,3,48,0;231,0,2,50,8,52,10
242,1,2,50,1,70,0;991,1,2,70,7,50,10;111,1,2,70,3,62,0;1,1,2,20,21,65,10;587,1,2,60,3,58,0
389,1,2,90,2,62,0;33,1,2,30,6,64,0;25,1,2,20,36,63,0;357,1,2,70,13,58,0;467,1,2,90,2,64,0
201,1,2,80,28,52,10;1,1,2,50,7,35,0;30,1,2,70,11,63,0;44,1,2,60,13,70,10;283,1,2,90,2,51,0
15,1,2,50,13,40,10;25,1,2,30,2,69,0;103,0,2,70,22,36,10;21,1,2,20,4,71,0;13,1,2,30,2,62,0
87,1,2,60,2,60,0;2,1,2,40,36,44,10;20,1,2,30,9,54,10;7,1,2,20,11,66,0;24,1,2,60,8,49,0;99,1,2,70,3,72,0
8,1,2,80,2,68,0;99,1,2,85,4,62,0;61,1,2,70,2,71,0;25,1,2,70,2,70,0;95,1,2,70,1,61,0;80,1,2,50,17,71,0
51,1,2,30,87,59,10;29,1,2,40,8,67,0;24,1,2,40,2,60,0;18,1,2,40,5,69,10;83,0,2,99,3,57,0;31,1,2,80,3,39,0
51,1,2,60,5,62,0;90,1,2,60,22,50,10;52,1,2,60,3,43,0;73,1,2,60,3,70,0;8,1,2,50,5,66,0;36,1,2,70,8,61,0
48,1,2,10,4,81,0;7,1,2,40,4,58,0;140,1,2,70,3,63,0;186,1,2,90,3,60,0;84,1,2,80,4,62,10;19,1,2,50,10,42,0
45,1,2,40,3,69,0;80,1,2,40,4,63,0;52,1,2,60,4,45,0;164,1,2,70,15,68,10;19,1,2,30,4,39,10
53,1,2,60,12,66,0;15,1,2,30,5,63,0;43,1,2,60,11,49,10;340,1,2,80,10,64,10;133,1,2,75,1,65,0
111,1,2,60,5,64,0;231,1,2,70,18,67,10;378,1,2,80,4,65,0;49,1,2,30,3,37,0
    """.replace("\n", " ")
    .replace(";", " ")
    .replace(",", " ")
    .split(),
    dtype=float,
).reshape(-1, 7)
TIME, EVENT = VETERAN[:, 0], VETERAN[:, 1].astype(bool)
COX = fit_cox(VETERAN[:, 2:], TIME, EVENT)
LP = VETERAN[:, 2:] @ COX.coef
ONE_BLOCK = np.zeros((1, len(TIME)), dtype=int)


def predicted_survival(times):
    return np.exp(-np.array([COX.baseline(t) for t in times]) * np.exp(LP)[:, None])


def sheet_of(score, times=()):
    survival = predicted_survival(times) if len(times) else np.empty((len(score), 0))
    return Sheet(np.asarray(score)[None], ONE_BLOCK, survival[None], np.asarray(times, dtype=float))


def test_cox_efron_equals_coxph():
    expected = [0.193053, -0.034084, 0.001723, -0.003883, -0.007764]
    np.testing.assert_allclose(COX.coef, expected, atol=1e-6)
    assert COX.loglik == pytest.approx(-483.814638, abs=1e-6)
    assert COX.baseline(30) == pytest.approx(2.239057, abs=1e-6)


@pytest.mark.parametrize(
    ("score", "harrell", "uno"),
    [
        (-VETERAN[:, 3], 0.70927987278509774, 0.69933613937846206),
        (VETERAN[:, 3], 0.29072012721490226, 0.30066386062153794),
        (LP, 0.71399363925488413, 0.70375275392595704),
    ],
)
def test_concordance_equals_survival_concordance(score, harrell, uno):
    # concordance(reverse = TRUE), timewt "n" and "n/G2"; karno has ties in the score, time has tied deaths.
    result = evaluate(sheet_of(score), Design(TIME, EVENT, [1], 0, 0, tau=np.inf))
    assert result.estimate("c_harrell") == pytest.approx(harrell, abs=1e-12)
    assert result.estimate("c_uno") == pytest.approx(uno, abs=1e-12)
    assert concordance(TIME, EVENT, score) == pytest.approx(harrell, abs=1e-12)


@pytest.mark.parametrize(
    ("day", "auc", "brier", "reference", "ipa"),
    [
        (30, 0.84707436817492909, 0.15109057645878141, 0.20982580796716616, 0.27992377142460823),
        (90, 0.83869250645812643, 0.17072329306088091, 0.24870673192712703, 0.3135558022976872),
        (180, 0.71056392288377124, 0.15961530599476181, 0.1729445767554933, 0.077072499241050085),
    ],
)
def test_auc_brier_ipa_equal_riskregression(day, auc, brier, reference, ipa):
    # riskRegression::Score(cens.model = "km", metrics = c("auc", "brier"), summary = "ipa").
    # timeROC 0.4.1 gives the same at 180 days (0.71056392) and other values where deaths are tied at the horizon.
    result = evaluate(sheet_of(LP, [day]), Design(TIME, EVENT, [day / 365.25], 0, 0))
    suffix = f"{day / 365.25:g}y"
    assert result.estimate(f"auc_{suffix}") == pytest.approx(auc, abs=1e-12)
    assert result.estimate(f"brier_{suffix}") == pytest.approx(brier, abs=1e-7)
    assert result.estimate(f"ipa_{suffix}") == pytest.approx(ipa, abs=1e-7)
    design = Design(TIME, EVENT, [1], 0, 0)
    assert null_brier(design, day, np.ones((1, len(TIME))))[0] == pytest.approx(reference, abs=1e-12)


def test_minus_karno_auc_equals_timeroc():
    higher, together = comparison_matrices(-VETERAN[None, :, 3], ONE_BLOCK)
    pairs = auc_pairs(TIME, EVENT, censoring_curve(TIME, EVENT), 180)
    assert (pairs * higher).sum() / (pairs * together).sum() == pytest.approx(0.71237810132429147, abs=1e-12)


def test_brier_curve_and_its_integral_equal_riskregression():
    # Score(summary = "ibs") on 0 and the distinct times <= 400 integrates with the left value of each step;
    # ours is the trapezoid, which on this grid is 0.13452.
    grid = np.concatenate(([0.0], np.unique(TIME[TIME <= 400])))
    censoring = censoring_curve(TIME, EVENT)
    survival = predicted_survival(grid)
    brier = np.array([brier_terms(survival[:, k], TIME, EVENT, censoring, t).mean() for k, t in enumerate(grid)])
    assert brier[grid == 392][0] == pytest.approx(0.050987, abs=1e-6)
    assert brier[:-1] @ np.diff(grid) / grid[-1] == pytest.approx(0.136007, abs=1e-6)
    trapezoid = np.trapezoid(brier[1:], grid[1:]) + brier[1] * grid[1] / 2
    result = evaluate(sheet_of(LP, grid[1:]), Design(TIME, EVENT, [grid[-1] / 365.25], 0, 0))
    assert result.estimate("ibs") == pytest.approx(trapezoid / grid[-1], abs=1e-12)


def test_kaplan_meier_with_log_log_limits_equals_survfit():
    arm = VETERAN[:, 2] == 1
    km = kaplan_meier(TIME[arm], EVENT[arm])
    low, high = km.interval(np.array([3.0, 4.0]))
    np.testing.assert_allclose(km.at([3, 4]), [0.98550724637681164, 0.97101449275362328], atol=1e-14)
    np.testing.assert_allclose(low, [0.90155004662677751, 0.88903784237399153], atol=1e-12)
    np.testing.assert_allclose(high, [0.99794571084202044, 0.99267101283313663], atol=1e-12)
    np.testing.assert_allclose(km.std_error[:2], [0.014598929061844594, 0.020799507473494471], atol=1e-12)


def test_logrank_equals_survdiff():
    plain, peto = logrank_test(TIME, EVENT, VETERAN[:, 2]), logrank_test(TIME, EVENT, VETERAN[:, 2], rho=1)
    assert plain.chi2 == pytest.approx(0.0082273432023507696, abs=1e-10)
    assert plain.expected[0] == pytest.approx(64.500196663600903, abs=1e-10)
    assert peto.chi2 == pytest.approx(0.87120949292717687, abs=1e-10)


def test_restricted_means_equal_survfit():
    # print(survfit(Surv(time, status) ~ trt), rmean = 200)
    found, tau, _ = restricted_mean_values(TIME, EVENT, (VETERAN[:, 2] == 1).astype(int), np.ones((1, 137)), 200.0)
    assert tau == 200
    assert found["rmst_high_months"][0] * DAYS_PER_MONTH == pytest.approx(99.62300152637782, abs=1e-10)
    assert found["rmst_low_months"][0] * DAYS_PER_MONTH == pytest.approx(86.038527310924323, abs=1e-10)


def test_calibration_slope_and_groups_equal_rms():
    # Cox fitted on the odd rows, applied to the even rows; groupkm(g = 5, u = 90).
    odd = np.arange(len(TIME)) % 2 == 0
    fit = fit_cox(VETERAN[odd, 2:], TIME[odd], EVENT[odd])
    lp = VETERAN[~odd, 2:] @ fit.coef
    survival = np.exp(-fit.baseline(90) * np.exp(lp))
    slope = fit_cox(cloglog(survival), TIME[~odd], EVENT[~odd])
    assert slope.coef[0] == pytest.approx(0.88671758268485878, abs=1e-7)
    assert slope.std_error[0] == pytest.approx(0.18790179072862717, abs=1e-7)
    groups = quantile_groups(survival, 5)
    expected = [0.071428571428571425, 0.2142857142857143, 0.38461538461538458, 0.7142857142857143, 1.0]
    means = [0.11000609005693274, 0.32857691485547524, 0.47511973538958885, 0.61048838761796209]
    observed = [float(kaplan_meier(TIME[~odd][g], EVENT[~odd][g]).at(90)) for g in groups]
    np.testing.assert_allclose(observed, expected, atol=1e-12)
    np.testing.assert_allclose([survival[g].mean() for g in groups][:4], means, atol=1e-7)
