from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from amlprognosis.evaluation.calibration import calibrate, calibration_points, restricted_cubic_spline, smooth_observed
from amlprognosis.evaluation.metrics import Sheet

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


def test_the_truth_is_calibrated_and_distortions_are_seen():
    time, event, truth, eta = exponential()
    good = calibrate(sheet_of(truth), time, event, 1)
    assert good.slope == pytest.approx(1, abs=0.06)
    assert good.slope_low < 1 < good.slope_high
    assert good.oe_low < 1 < good.oe_high
    assert good.ici < 0.02
    assert good.e50 <= good.e90
    extreme = np.exp(-np.exp(2 * eta) * DAY / 600)
    bad = calibrate(sheet_of(extreme), time, event, 1)
    assert bad.slope == pytest.approx(0.5, abs=0.05)
    assert bad.ici > 0.05
    low = calibrate(sheet_of(np.sqrt(truth)), time, event, 1)
    assert low.oe_low > 1.2
    both = calibrate(sheet_of(truth, extreme), time, event, 1)
    assert both.slope == pytest.approx((good.slope + bad.slope) / 2)


def test_limits_have_reasons():
    time, event, truth, _ = exponential(200)
    flat = calibrate(sheet_of(np.full(200, 0.5)), time, event, 1)
    assert np.isnan(flat.slope)
    assert np.isfinite(flat.oe)
    assert "constant predictions" in flat.notes[0]
    assert "no predicted survival" in calibrate(sheet_of(truth), time, event, 3).notes[0]
    assert "followed past" in calibrate(sheet_of(truth), np.minimum(time, 300), event, 1).notes[0]
    edge = calibrate(sheet_of((truth > 0.5).astype(float)), time, event, 1)
    assert np.isfinite(edge.slope)
    assert np.isfinite(smooth_observed((truth > 0.5).astype(float), time, event, DAY)).all()


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
