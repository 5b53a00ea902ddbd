from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from amlprognosis.evaluation.calibration import (
    CALIBRATION,
    calibration_points,
    calibration_values,
    cloglog,
    restricted_cubic_spline,
)
from amlprognosis.evaluation.metrics import Design, evaluate, percentile_interval
from amlprognosis.evaluation.pairs import bootstrap_weights
from amlprognosis.evaluation.sheets import Sheet
from amlprognosis.evaluation.survival import fit_cox
from amlprognosis.models.cox_kernels import baseline_hazard
from amlprognosis.models.cox_kernels import fit_cox as fit_breslow
from amlprognosis.models.kaplan_meier import kaplan_meier

DAY = 365.25


def exponential(n=3000, seed=0):
    rng = np.random.default_rng(seed)
    eta = rng.normal(size=n)
    death, censored = rng.exponential(600, n) * np.exp(-eta), rng.uniform(200, 3000, n)
    truth = np.exp(-np.exp(eta) * DAY / 600)
    return np.minimum(death, censored), death <= censored, truth, eta


def sheet_of(*survival):
    values = np.stack(survival)[:, :, None]
    return Sheet(1 - values[:, :, 0], np.zeros(values.shape[:2], int), values, np.array([DAY]))


def figures(time, event, *survival, weights=None):
    weights = np.ones((1, len(time))) if weights is None else weights
    return calibration_values(np.stack(survival), time, event, weights, DAY)[0]


def test_the_truth_is_calibrated_and_distortions_are_seen():
    time, event, truth, eta = exponential()
    weights = np.vstack([np.ones((1, len(time))), bootstrap_weights(len(time), 200, 0)])
    good = figures(time, event, truth, weights=weights)
    assert good["calibration_slope"][0] == pytest.approx(1, abs=0.06)
    for name, ideal in (("calibration_slope", 1), ("calibration_intercept", 0), ("oe", 1)):
        low, high = percentile_interval(good[name])
        assert low < ideal < high
    assert good["ici"][0] < 0.02
    assert good["e50"][0] <= good["e90"][0]
    extreme = np.exp(-np.exp(2 * eta) * DAY / 600)
    bad = figures(time, event, extreme)
    assert bad["calibration_slope"][0] == pytest.approx(0.5, abs=0.05)
    assert bad["ici"][0] > 0.05
    low = figures(time, event, np.sqrt(truth), weights=weights)
    assert percentile_interval(low["oe"])[0] > 1.2
    # The hazards are half of what they should be.
    assert low["calibration_intercept"][0] == pytest.approx(np.log(2) + good["calibration_intercept"][0], abs=1e-5)
    both = figures(time, event, truth, extreme)
    expected = (good["calibration_slope"][0] + bad["calibration_slope"][0]) / 2
    assert both["calibration_slope"][0] == pytest.approx(expected)
    assert both["oe"][0] == pytest.approx(np.sqrt(good["oe"][0] * bad["oe"][0]))


def slow_figures(survival, time, event, knots_of=None, ties="efron"):
    """The definitions with the library's plain Cox fit, one data set at a time."""
    km = kaplan_meier(time, event)
    observed = 1 - float(km.at(DAY))
    x = cloglog(survival)
    basis = restricted_cubic_spline(
        x, np.quantile(cloglog(survival if knots_of is None else knots_of), (0.1, 0.5, 0.9))
    )
    hazard_times, hazard = baseline_hazard(np.zeros(len(x)), time, event)
    slope, curve = (fit_breslow(z, time, event, ties=ties) for z in (x[:, None], basis))
    hazard_times, hazard = baseline_hazard(basis @ curve.beta, time, event, ties=ties)
    base = hazard[np.searchsorted(hazard_times, DAY, side="right") - 1]
    gap = np.abs(1 - np.exp(-base * np.exp(basis @ curve.beta)) - (1 - survival))
    return [
        slope.beta[0], observed / (1 - survival).mean(), gap.mean(), np.median(gap), np.quantile(gap, 0.9)
    ]  # fmt: skip


def test_figures_and_draws_equal_plain_fits_of_the_repeated_patients():
    # Distinct times: a weighted draw is the Breslow fit of the repeated rows (Efron's rule would take the copies of
    # a patient for tied deaths of several).
    time, event, _, eta = exponential(150, 3)
    survival = np.exp(-np.exp(0.7 * eta + 0.3 * eta**2 - 0.2) * DAY / 600)
    weights = np.vstack([np.ones((1, 150)), bootstrap_weights(150, 6, 1)])
    found = figures(time, event, survival, weights=weights)
    names = [name for name in CALIBRATION if name != "calibration_intercept"]
    for row, counts in enumerate(weights):
        drawn = np.repeat(np.arange(150), counts.astype(int))
        expected = slow_figures(survival[drawn], time[drawn], event[drawn], survival, "breslow")
        np.testing.assert_allclose([found[name][row] for name in names], expected, rtol=1e-9)
        shifted = np.exp(-np.exp(found["calibration_intercept"][row]) * np.exp(cloglog(survival[drawn])))
        km = kaplan_meier(time[drawn], event[drawn])
        assert (1 - shifted).mean() == pytest.approx(1 - float(km.at(DAY)), abs=1e-12)


def test_ties_follow_efron():
    time, event, truth, _ = exponential(150, 4)
    time = np.ceil(time / 60) * 60
    found = figures(time, event, truth)
    names = [name for name in CALIBRATION if name != "calibration_intercept"]
    np.testing.assert_allclose([found[name][0] for name in names], slow_figures(truth, time, event), rtol=1e-9)
    assert found["calibration_slope"][0] == pytest.approx(fit_cox(cloglog(truth), time, event).coef[0], rel=1e-9)


def test_limits_have_reasons():
    time, event, truth, _ = exponential(200)
    days = {"horizons_years": [1], "n_boot": 0, "seed": 0}
    design = Design(time, event, **days)
    flat = evaluate(sheet_of(np.full(200, 0.5)), design)
    assert np.isnan(flat.estimate("calibration_slope"))
    assert np.isnan(flat.estimate("ici"))
    assert np.isfinite(flat.estimate("oe"))
    assert any("no calibration_slope: predictions are constant" in note for note in flat.notes)
    elsewhere = evaluate(sheet_of(truth), Design(time, event, [3], 0, 0))
    assert "no calibration: no predicted survival" in elsewhere.notes
    assert np.isnan(elsewhere.calibration_horizon)
    short = evaluate(sheet_of(truth), Design(np.minimum(time, 300), event, **days))
    assert any(note.startswith("no calibration: no patient is followed past 365.25") for note in short.notes)
    edge = figures(time, event, (truth > 0.5).astype(float))
    assert all(np.isfinite(edge[name][0]) for name in CALIBRATION)
    # Deaths and survivors apart: no slope, but observed over expected.
    late, low = np.r_[np.arange(1.0, 51), np.full(50, 400.0)], np.r_[np.full(50, 0.2), np.full(50, 0.8)]
    apart = figures(late, np.arange(100) < 50, low)
    assert np.isnan(apart["calibration_slope"][0])
    assert apart["oe"][0] == pytest.approx(1)


def test_a_draw_without_anybody_past_the_horizon_is_left_out_and_counted():
    time, event, truth, _ = exponential(60, 5)
    time = np.where(np.argsort(np.argsort(time)) < 59, np.minimum(time, 364.0), 500.0)
    result = evaluate(sheet_of(truth), Design(time, event, [1], 100, 0))
    lost = int((~np.isfinite(result.values["oe"])).sum())
    assert 20 < lost < 60
    assert any(f"{lost} bootstrap replicates" in note for note in result.notes)


def test_without_draws_the_estimates_stay():
    time, event, truth, _ = exponential(100, 6)
    design = Design(time, event, [1], 20, 0)
    whole, lean = evaluate(sheet_of(truth), design), evaluate(sheet_of(truth), design, calibration_draws=False)
    for name in CALIBRATION:
        assert lean.estimate(name) == whole.estimate(name)
        assert np.isfinite(whole.interval(name)).all()
        assert np.isnan(lean.interval(name)).all()
    assert lean.notes == whole.notes
    assert lean.interval("net_benefit") == whole.interval("net_benefit")


def test_spline_is_linear_outside_the_knots():
    x = np.linspace(-3, 3, 200)
    basis = restricted_cubic_spline(x, np.array([-1.0, 0.0, 1.0]))
    curvature = np.diff(basis[:, 1], 2)
    outside = (x[1:-1] < -1.1) | (x[1:-1] > 1.1)
    assert np.abs(curvature[outside]).max() < 1e-12
    assert np.abs(curvature[~outside]).max() > 1e-6


def test_points():
    time, event, truth, _ = exponential(400)
    names = [f"P{k:03d}" for k in range(400)]
    outcome = pd.DataFrame({"os_time": time, "os_event": event}, index=names)
    predictions = pd.DataFrame({"model": "m", "patient": names, "risk": 1 - truth, "survival_1y": truth})
    table = calibration_points(predictions, outcome, [1, 3], "x")
    assert table["group"].tolist() == [1, 2, 3, 4, 5]
    assert table["patients"].sum() == 400
    assert (table["low"] <= table["observed"]).all()
    assert (table["observed"] <= table["high"]).all()
    assert table["predicted"].is_monotonic_increasing
    few = predictions.assign(survival_1y=np.where(truth > 0.5, 0.7, 0.3))
    assert len(calibration_points(few, outcome, [1], "x")) == 2
