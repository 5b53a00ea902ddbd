"""Weighted figures of survival::veteran against R's survival and rms, dcurves and SurvivalEVAL; Brier curves.

The predictions are a formula that every language can repeat: log(-log S(90)) = 1.4 - 0.035 karno + 0.01 (age - 58).
Case weights (7 i) mod 4 of patient i = 1..137 stand for a bootstrap draw; patients of weight 0 are left out in R.
"""

from __future__ import annotations

import numpy as np
import pytest
from simulated_data import golden
from veteran_data import VETERAN

from amlprognosis.evaluation.calibration import CALIBRATION, calibration_values, cloglog
from amlprognosis.evaluation.d_calibration import bin_shares, d_calibration
from amlprognosis.evaluation.metrics import Design, brier_terms, evaluate, null_brier
from amlprognosis.evaluation.net_benefit import net_benefit_values
from amlprognosis.evaluation.restricted_mean import DAYS_PER_MONTH, restricted_mean_values
from amlprognosis.evaluation.sheets import Sheet
from amlprognosis.models.kaplan_meier import censoring_curve

TIME, EVENT = VETERAN[:, 0].astype(float), VETERAN[:, 1].astype(bool)
KARNO, AGE = VETERAN[:, 3], VETERAN[:, 5]
LINEAR = 1.4 - 0.035 * KARNO + 0.01 * (AGE - 58)
SURVIVAL = np.exp(-np.exp(LINEAR))
WEIGHTS = np.vstack([np.ones(137), (7 * np.arange(1, 138)) % 4])


def test_calibration_equals_r():
    # survival 3.4, rms 6.5, R 4.2.2; x = LINEAR, S = SURVIVAL, w = WEIGHTS, d = patients with w > 0:
    #   slope  coef(coxph(Surv(time, status) ~ x, d, weights = w, ties = "efron"))
    #   km     summary(survfit(Surv(time, status) ~ 1, d, weights = w), times = 90)$surv;  e <- weighted.mean(1 - S, w)
    #   a      uniroot(function(a) weighted.mean(1 - S^exp(a), w) - (1 - km), c(-3, 3))$root; oe (1 - km) / e
    #   b      rms::rcspline.eval(x, knots = quantile(all x, c(.1, .5, .9)), inclx = TRUE, norm = 2)
    #   fit    coxph(Surv(time, status) ~ b1 + b2, d, weights = w, ties = "efron")
    #   gap    abs(1 - c(summary(survfit(fit, newdata = d), times = 90)$surv) - (1 - S)); mean, quantiles of rep(gap, w)
    expected = {
        0: [0.89769226024342241, 0.35553851833787864, 1.23276297142028790, 0.12217124623025731, 0.12539461126174511,
            0.13046859106700281],
        1: [0.88221823536920485, 0.38221070180870115, 1.24002542075490219, 0.12759449425459674, 0.12290458368781754,
            0.17577967087072488],
    }  # fmt: skip
    values, notes = calibration_values(SURVIVAL[None], TIME, EVENT, WEIGHTS, 90.0)
    assert notes == []
    for row, numbers in expected.items():
        np.testing.assert_allclose([values[name][row] for name in CALIBRATION], numbers, rtol=2e-8)


def test_slope_of_the_golden_model():
    # Cox fitted on the odd rows, applied to the even ones (calibration_input, calibration_slope).
    table = {key: np.array([float(row[key]) for row in golden("calibration_input")]) for key in ("row", "lp", "surv90")}
    rows = table["row"].astype(int) - 1
    time, event = TIME[rows], EVENT[rows]
    values, _ = calibration_values(table["surv90"][None], time, event, np.ones((1, len(rows))), 90.0)
    slope = float(golden("calibration_slope")[0]["slope"])
    assert values["calibration_slope"][0] == pytest.approx(slope, abs=1e-9)
    np.testing.assert_allclose(np.diff(cloglog(table["surv90"])), np.diff(table["lp"]), atol=1e-9)


def test_restricted_means_equal_r():
    # summary(survfit(Surv(time, status) ~ trt, d, weights = w), rmean = 300)$table[, "rmean"], trt 1 and 2.
    group = (VETERAN[:, 2] == 1).astype(int)
    found, tau, notes = restricted_mean_values(TIME, EVENT, group, WEIGHTS, 300.0)
    assert (tau, notes) == (300.0, [])
    days = {name: found[name] * DAYS_PER_MONTH for name in found}
    np.testing.assert_allclose(days["rmst_high_months"], [114.12112989177447, 116.466425941031815], rtol=1e-12)
    np.testing.assert_allclose(days["rmst_low_months"], [103.49418172268902, 92.901703521703539], rtol=1e-12)


def test_net_benefit_equals_dcurves():
    # dcurves 1.1.7 (Python): dca(data, "status", ["risk"], thresholds, time = 90, time_to_outcome_col = "time") with
    # risk = 1 - SURVIVAL; then on the rows repeated as often as their weight. Above 0.65 everybody at that risk has
    # died by day 90, for which dcurves has no number.
    thresholds = [0.05, 0.25, 0.45, 0.5, 0.65]
    plain = [0.5115389858428286, 0.4111922141119223, 0.25282017252820166, 0.2408759124087591, 0.18456725755995834]
    repeated = [0.536866939423674, 0.434782608695652, 0.2389108476064998, 0.25120772946859904, 0.21463077984817117]
    everybody = [0.5115389858428286, 0.3812827154009163, 0.1562946119103404, 0.07192407310137439, -0.3258227527123224]
    found = net_benefit_values(SURVIVAL[None], TIME, EVENT, WEIGHTS, 90.0, thresholds)
    np.testing.assert_allclose(found, [plain, repeated], atol=1e-12)
    treated = net_benefit_values(np.zeros((1, 137)), TIME, EVENT, WEIGHTS[:1], 90.0, thresholds)
    np.testing.assert_allclose(treated[0], everybody, atol=1e-12)


def test_d_calibration_equals_survivaleval():
    # SurvivalEVAL 0.9.0: d_calibration(S, status) with S = exp(-exp(LINEAR) * time / 90), each patient's own
    # probability; its bins begin at 1.
    own = np.exp(-np.exp(LINEAR) * TIME / 90)
    histogram = [
        15.04002730664243, 20.215878118045783, 31.377675535066874, 20.68583098894057, 10.882053536383982,
        6.959706902984072, 9.959706902984072, 5.206309439070069, 10.7871636264302, 5.885647643451948,
    ]  # fmt: skip
    np.testing.assert_allclose(bin_shares(own, EVENT).sum(0)[::-1], histogram, atol=1e-10)
    days = np.unique(TIME)
    curves = np.exp(-np.exp(LINEAR)[:, None] * days / 90)
    share, chi2, p = d_calibration(curves[None], days, TIME, EVENT, np.ones((1, 137)))
    np.testing.assert_allclose(share[0, ::-1] * 137, histogram, atol=1e-10)
    assert chi2[0] == pytest.approx(44.86190155870806, abs=1e-9)
    assert p[0] == pytest.approx(9.785417991281588e-07, rel=1e-9)


@pytest.mark.parametrize("data", ["g01", "g01_rounded"])
def test_concordance_of_the_simulated_cohort(data):
    rows = golden("data_sim100x40")
    time, event = (np.array([float(row[key]) for row in rows]) for key in ("time", "status"))
    score = np.array([float(row["g01"]) for row in rows])
    score = np.round(score) if data == "g01_rounded" else score
    theirs = {row["timewt"]: float(row["concordance"]) for row in golden("concordance") if row["score"] == data}
    sheet = Sheet(score[None], np.zeros((1, 100), int), np.empty((1, 100, 0)), np.array([]))
    result = evaluate(sheet, Design(time, event, [1], 0, 0, tau=np.inf))
    assert result.estimate("c_harrell") == pytest.approx(theirs["n"], abs=1e-12)
    assert result.estimate("c_uno") == pytest.approx(theirs["n/G2"], abs=1e-12)


def test_whole_brier_curve_equals_riskregression():
    # score_input_riskgrid_veteran: risk at 0 and each distinct time up to 400; Brier of the model and of Kaplan-Meier.
    rows = golden("score_input_riskgrid_veteran")
    risk = np.array([[float(value) for key, value in row.items() if key != "row"] for row in rows])
    theirs = golden("score_riskRegression_brier_curve_ibs")
    design, censoring = Design(TIME, EVENT, [1], 0, 0), censoring_curve(TIME, EVENT)
    times = np.concatenate(([0.0], np.unique(TIME[TIME <= 400])))
    for model in ("m", "Null model"):
        expected = np.array([float(row["Brier"]) for row in theirs if row["model"] == model])
        if model == "m":
            ours = [brier_terms(1 - risk[:, k], TIME, EVENT, censoring, t).mean() for k, t in enumerate(times)]
        else:
            ours = [float(null_brier(design, t, np.ones((1, 137)))[0]) for t in times]
        assert len(expected) == len(times)
        np.testing.assert_allclose(ours, expected, atol=1e-12)
    # Its integral takes the left value of each step.
    ibs = [float(row["IBS"]) for row in theirs if row["model"] == "Null model"]
    np.testing.assert_allclose(np.cumsum(np.array(ours)[:-1] * np.diff(times)) / times[1:], ibs[1:], atol=1e-12)
