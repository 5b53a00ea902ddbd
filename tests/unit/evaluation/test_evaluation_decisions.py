"""Net benefit, D-calibration, restricted means, and what every metric does with hostile data."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amlprognosis.evaluation.curve_tables import d_calibration_bins, decision_curves
from amlprognosis.evaluation.d_calibration import bin_shares, d_calibration, probability_at_own_time
from amlprognosis.evaluation.leaderboard import Evaluation, evaluate_models
from amlprognosis.evaluation.metrics import Design, evaluate
from amlprognosis.evaluation.net_benefit import net_benefit_values
from amlprognosis.evaluation.pairs import bootstrap_weights
from amlprognosis.evaluation.restricted_mean import RESTRICTED, restricted_mean_values
from amlprognosis.evaluation.sheets import Sheet
from amlprognosis.models.kaplan_meier import kaplan_meier

DAY = 365.25
MONTH = DAY / 12


def outcome(n, seed, ties=True, late=1500.0):
    rng = np.random.default_rng(seed)
    death, censored = rng.exponential(700, n), rng.exponential(late, n)
    time = np.minimum(death, censored)
    return (np.ceil(time / 60) * 60 if ties else time), death <= censored


def draws(n, count, seed=0):
    return np.vstack([np.ones((1, n)), bootstrap_weights(n, count, seed)])


def world(n=120, repeats=2, seed=0, ties=True, late=1500.0):
    """Outcome and predictions with curves and risk groups, a fold per patient and repeat."""
    rng = np.random.default_rng(seed)
    time, event = outcome(n, seed, ties, late)
    days = np.array([90.0, DAY, 2 * DAY, 3 * DAY])
    eta = np.round(0.5 * (700 - time) / 700 + rng.normal(size=(repeats, n)), 1)
    survival = np.exp(-np.exp(eta)[:, :, None] * days / 900)
    block = np.stack([rng.permutation(n) % 3 for _ in range(repeats)])
    return time, event, Sheet(eta, block, survival, days, (eta > 0).astype(int))


def slow_net_benefit(risk, time, event, day, threshold):
    above = risk >= threshold
    if not above.any():
        return 0.0
    alive = float(kaplan_meier(time[above], event[above]).at(day))
    return above.mean() * ((1 - alive) - alive * threshold / (1 - threshold))


@pytest.mark.parametrize("ties", [True, False])
def test_net_benefit_of_each_draw_is_that_of_the_drawn_patients(ties):
    time, event = outcome(80, 1, ties)
    risk = np.round(np.random.default_rng(1).uniform(0.05, 0.95, 80), 2)
    thresholds, weights = [0.1, 0.35, 0.5, 0.8, 0.96], draws(80, 5)
    found = net_benefit_values(1 - risk[None], time, event, weights, DAY, thresholds)
    for row, counts in enumerate(weights):
        drawn = np.repeat(np.arange(80), counts.astype(int))
        slow = [slow_net_benefit(1 - (1 - risk[drawn]), time[drawn], event[drawn], DAY, p) for p in thresholds]
        np.testing.assert_allclose(found[row], slow, atol=1e-12)
    assert found[0, -1] == 0  # nobody has that risk: treating nobody


def test_net_benefit_of_treating_everybody_and_of_repeats():
    time, event = outcome(90, 2)
    dead = 1 - float(kaplan_meier(time, event).at(DAY))
    thresholds = [0.2, 0.5, 0.7]
    everybody = net_benefit_values(np.zeros((1, 90)), time, event, draws(90, 0), DAY, thresholds)[0]
    np.testing.assert_allclose(everybody, [dead - (1 - dead) * p / (1 - p) for p in thresholds], atol=1e-12)
    risk = np.random.default_rng(0).uniform(size=(2, 90))
    risk[1, :10] = np.nan
    both = net_benefit_values(1 - risk, time, event, draws(90, 3), DAY, thresholds)
    one = net_benefit_values(1 - risk[:1], time, event, draws(90, 3), DAY, thresholds)
    two = net_benefit_values(1 - risk[1:, 10:], time[10:], event[10:], draws(90, 3)[:, 10:], DAY, thresholds)
    np.testing.assert_allclose(both, (one + two) / 2, atol=1e-12)
    # The truth is worth as much as the deaths; a group that is censored before the horizon keeps its last value.
    survivors = np.where(np.arange(90) < 45, 100.0, 900.0)
    perfect = net_benefit_values((survivors > 500)[None] * 1.0, survivors, survivors < 500, draws(90, 0), DAY, [0.5])
    assert perfect[0, 0] == 0.5
    time, event = np.array([50.0, 60.0, 900.0]), np.array([True, False, False])
    unknown = net_benefit_values(np.array([[0.1, 0.1, 0.9]]), time, event, np.ones((1, 3)), DAY, [0.4])
    assert unknown[0, 0] == pytest.approx(2 / 3 * (0.5 - 0.5 * 0.4 / 0.6))


def slow_shares(probability, died):
    """Haider 2020, section 3.5: the contribution of each patient to each bin, written as there."""
    table = np.zeros((len(probability), 10))
    for i, (c, dead) in enumerate(zip(probability, died, strict=True)):
        for k in range(10):
            low, high = k / 10, (k + 1) / 10
            inside = low <= c < high or (k == 9 and c == 1)
            if dead:
                table[i, k] = inside
            elif inside:
                table[i, k] = (c - low) / c if c > 0 else 1.0
            elif c >= high:
                table[i, k] = (high - low) / c
    return table


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40))
@settings(max_examples=60, deadline=None)
def test_bin_shares_follow_the_paper(patients):
    probability, died = (np.array(column) for column in zip(*patients, strict=True))
    found = bin_shares(probability, died)
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-9)
    away = np.abs(probability * 10 - np.round(probability * 10)).min() > 1e-9
    if away:
        np.testing.assert_allclose(found, slow_shares(probability, died), atol=1e-9)


def test_bins_have_their_lower_edge():
    np.testing.assert_array_equal(
        np.argmax(bin_shares(np.array([0.0, 0.3, 0.999, 1.0]), np.full(4, True)), 1), [0, 3, 9, 9]
    )
    np.testing.assert_allclose(bin_shares(np.array([0.0, 1.0]), np.zeros(2, bool)), [np.eye(10)[0], np.full(10, 0.1)])


def test_d_calibration_passes_the_truth_and_sees_a_wrong_model():
    rng = np.random.default_rng(5)
    days = np.linspace(20, 3000, 150)
    p = []
    for _ in range(60):
        eta = rng.normal(size=200)
        death, censored = rng.exponential(900, 200) * np.exp(-eta), rng.uniform(100, 4000, 200)
        time, event = np.minimum(death, censored), death <= censored
        survival = np.exp(-np.exp(eta)[:, None] * days / 900)
        p.append(d_calibration(survival[None], days, time, event, np.ones((1, 200)))[2][0])
    # The test is conservative with censoring: spread patients vary less than a multinomial.
    assert np.mean(np.array(p) < 0.05) <= 0.1
    assert np.median(p) > 0.4
    wrong = d_calibration(survival[None] ** 2, days, time, event, np.ones((1, 200)))
    assert wrong[2][0] < 1e-4


def test_d_calibration_of_draws_repeats_and_late_patients():
    time, event, sheet = world(60, 2, 3)
    weights = draws(60, 4)
    share, chi2, p = d_calibration(sheet.survival, sheet.times, time, event, weights)
    for row, counts in enumerate(weights):
        drawn = np.repeat(np.arange(60), counts.astype(int))
        again = d_calibration(sheet.survival[:, drawn], sheet.times, time[drawn], event[drawn], np.ones((1, 60)))
        np.testing.assert_allclose(share[row], again[0][0], atol=1e-12)
        assert chi2[row] == pytest.approx(again[1][0], abs=1e-9)
    single = [d_calibration(sheet.survival[[r]], sheet.times, time, event, weights) for r in (0, 1)]
    assert chi2[0] == pytest.approx((single[0][1][0] + single[1][1][0]) / 2)
    assert share[0] == pytest.approx((single[0][0][0] + single[1][0][0]) / 2)
    assert 0 < p[0] < 1
    # Followed past the last predicted time: censored there. Linear in between, from 1 at time 0.
    curve = np.array([[0.8, 0.4]] * 4)
    found, died = probability_at_own_time(
        curve, np.array([100.0, 200.0]), np.array([0.0, 50, 150, 900]), np.full(4, True)
    )
    np.testing.assert_allclose(found, [1, 0.9, 0.6, 0.4])
    assert died.tolist() == [True, True, True, False]
    assert d_calibration(sheet.survival[:, :, :1], sheet.times[:1], time, event, weights) is None


def test_restricted_means_equal_lifelines_and_the_drawn_patients():
    from lifelines import KaplanMeierFitter
    from lifelines.utils import restricted_mean_survival_time

    time, event = outcome(90, 4)
    group, weights = np.arange(90) % 2, draws(90, 5)
    found, tau, notes = restricted_mean_values(time, event, group, weights, 800.0)
    assert (tau, notes) == (800.0, [])
    for row, counts in enumerate(weights):
        drawn = np.repeat(np.arange(90), counts.astype(int))
        means = []
        for g in (0, 1):
            own = drawn[group[drawn] == g]
            means.append(restricted_mean_survival_time(KaplanMeierFitter().fit(time[own], event[own]), t=800.0))
        expected = [means[0] / MONTH, means[1] / MONTH, (means[0] - means[1]) / MONTH]
        np.testing.assert_allclose([found[name][row] for name in RESTRICTED], expected, rtol=1e-9)


def test_restricted_means_stop_where_a_group_is_followed_to():
    time = np.array([100.0, 300, 500, 200, 400, 700])
    event = np.array([True, True, False, True, False, False])
    group = np.array([1, 1, 1, 0, 0, 0])
    found, tau, notes = restricted_mean_values(time, event, group, np.ones((1, 6)), 900.0)
    assert tau == 500
    assert notes == ["restricted means to 500 days only: a risk group is not followed further"]
    assert found["rmst_high_months"][0] * MONTH == pytest.approx(100 + 200 * 2 / 3 + 200 / 3)
    # A curve that has reached 0 is known for ever after.
    all_dead, tau, notes = restricted_mean_values(time, event | (group == 1), group, np.ones((1, 6)), 650.0)
    assert (tau, notes) == (650.0, [])
    assert all_dead["rmst_high_months"][0] * MONTH == pytest.approx((100 + 300 + 500) / 3)
    # In a draw without the patients followed longest the curve keeps its last value.
    drawn = restricted_mean_values(time, event, group, np.array([[1, 1, 1, 1, 1, 1], [1, 1, 0, 1, 0, 0.0]]), 900.0)[0]
    assert drawn["rmst_low_months"][1] == 200 / MONTH
    for groups, reason in (
        (np.ones(6, int), "all patients are in the high group"),
        (-np.ones(6, int), "no risk groups"),
    ):
        found, tau, notes = restricted_mean_values(time, event, groups, np.ones((1, 6)), 900.0)
        assert np.isnan(tau)
        assert np.isnan([found[name][0] for name in RESTRICTED]).all()
        assert notes == [f"no restricted means: {reason}"]


def test_the_group_of_most_repeats_counts():
    sheet = Sheet(np.zeros((2, 4)), np.array([[0, 0, 0, -1], [0, 0, 0, -1]]), np.empty((2, 4, 0)), np.array([]),
                  np.array([[1, 0, 0, -1], [1, 1, 0, -1]]))  # fmt: skip
    assert sheet.majority_group().tolist() == [1, 1, 0, -1]
    none = Sheet(sheet.score, sheet.block, sheet.survival, sheet.times)
    assert none.majority_group().tolist() == [-1] * 4


METRICS = [
    "c_harrell", "c_uno", "auc_1y", "auc_3y", "brier_1y", "ipa_1y", "ibs", "calibration_slope",
    "calibration_intercept", "oe", "ici", "e50", "e90", "d_calibration_p", "net_benefit", "rmst_difference_months",
]  # fmt: skip


@given(
    st.integers(0, 10_000), st.sampled_from([3, 12, 40]), st.floats(20, 3000), st.booleans(), st.sampled_from([0, 1, 2])
)
@settings(max_examples=40, deadline=None)
def test_hostile_data_give_a_stated_result(seed, n, late, ties, shape):
    """Heavy censoring, few patients, ties, horizons past the follow-up: NaN with a note, no error, no warning."""
    time, event, sheet = world(n, 2, seed, ties, late)
    if shape == 1:
        sheet = Sheet(np.round(sheet.score), sheet.block, np.round(sheet.survival), sheet.times, sheet.group)
    if shape == 2:
        event = np.zeros(n, bool)
    result = evaluate(sheet, Design(time, event, [1, 3], 20, seed))
    for name in METRICS:
        assert result.values[name].shape == (21,)
        low, high = result.interval(name)
        assert not low > high
        if np.isnan(result.estimate(name)):
            assert np.isnan(low)
            assert result.notes
    known = {name: result.estimate(name) for name in METRICS}
    for name in ("c_harrell", "c_uno", "auc_1y", "auc_3y", "d_calibration_p"):
        assert np.isnan(known[name]) or 0 <= known[name] <= 1
    assert np.isnan(known["ici"]) or 0 <= known["ici"] <= 1


def test_a_horizon_past_the_follow_up_is_named_by_every_metric():
    time, event, sheet = world(60, 1, 0)
    result = evaluate(sheet, Design(np.minimum(time, 500.0), event, [1, 3], 10, 0, main_horizon_years=3))
    reason = "no patient is followed past 1095.75 days (last follow-up 500)"
    assert {f"no metrics at 3y: {reason}", f"no calibration: {reason}", f"no net benefit: {reason}"} <= set(
        result.notes
    )
    assert any(note.startswith("restricted means to") for note in result.notes) or np.isfinite(result.rmst_horizon)
    for name in ("auc_3y", "brier_3y", "oe", "calibration_slope", "net_benefit"):
        assert np.isnan(result.estimate(name))
    assert np.isfinite(result.estimate("auc_1y"))


def predictions_of(sheet, names, model):
    rows = []
    for repeat, (score, block, survival, group) in enumerate(
        zip(sheet.score, sheet.block, sheet.survival, sheet.group, strict=True), start=1
    ):
        rows.append(
            pd.DataFrame(
                {
                    "model": model, "repeat": repeat, "fold": block, "patient": names, "risk": score,
                    "survival_90d": survival[:, 0], "survival_1y": survival[:, 1], "survival_2y": survival[:, 2],
                    "survival_3y": survival[:, 3], "risk_group": np.where(group == 1, "high", "low"),
                }
            )
        )  # fmt: skip
    return pd.concat(rows, ignore_index=True)


@pytest.fixture(scope="module")
def run() -> Evaluation:
    time, event, sheet = world(80, 2, 7)
    names = [f"P{k:03d}" for k in range(80)]
    table = pd.DataFrame({"os_time": time, "os_event": event}, index=names)
    good = predictions_of(sheet, names, "gene_index")
    classifier = good.assign(model="xgboost_3y", survival_90d=np.nan, survival_1y=np.nan, survival_2y=np.nan)
    member = good.assign(model="Lasso")
    return evaluate_models(
        pd.concat([good, classifier, member]), table, [1, 3], 60, 1, main_horizon=1, decision_threshold=0.41, n_jobs=2
    )


def test_tables_of_curves(run):
    curves = decision_curves(run, "train")
    assert set(curves["model"]) == {"gene_index", "Lasso"}  # the classifier says nothing at one year
    own = curves[curves["model"] == "gene_index"].set_index("threshold")
    assert len(own) == 50
    assert own["horizon_years"].unique().tolist() == [1.0]
    assert own.loc[0.41, "net_benefit"] == run.results["gene_index"].estimate("net_benefit")
    assert (own.loc[0.41, "low"], own.loc[0.41, "high"]) == run.results["gene_index"].interval("net_benefit")
    assert (own["low"] <= own["high"]).all()
    assert own["treat_all"].is_monotonic_decreasing
    bins = d_calibration_bins(run, "other", "none")
    assert bins.groupby("model").size().to_dict() == {"gene_index": 10, "Lasso": 10}
    part = bins[bins["model"] == "gene_index"]
    assert part["share"].sum() == pytest.approx(1)
    assert part["p"].iloc[0] == pytest.approx(run.results["gene_index"].estimate("d_calibration_p"), rel=1e-12)
    assert part["adaptation"].eq("none").all()
    empty = Evaluation(run.design, run.patients, {}, {})
    assert list(decision_curves(empty, "train").columns) == list(curves.columns)
    assert list(d_calibration_bins(empty, "train").columns) == list(bins.columns)


def test_members_of_the_grid_have_no_calibration_draws_unless_reported(run):
    assert np.isnan(run.results["Lasso"].interval("calibration_slope")).all()
    assert np.isfinite(run.results["Lasso"].interval("net_benefit")).all()
    assert np.isfinite(run.results["gene_index"].interval("calibration_slope")).all()
    assert run.results["xgboost_3y"].calibration_horizon == 3
    assert "no D-calibration: the model predicts no survival curve" in run.results["xgboost_3y"].notes
    assert "no net benefit: no predicted survival at 1y" in run.results["xgboost_3y"].notes


def test_threads_change_nothing(run):
    time, event, sheet = world(80, 2, 7)
    names = [f"P{k:03d}" for k in range(80)]
    table = pd.DataFrame({"os_time": time, "os_event": event}, index=names)
    parts = pd.concat([predictions_of(sheet, names, "gene_index"), predictions_of(sheet, names, "Lasso")])
    again = evaluate_models(parts, table, [1, 3], 60, 1, 1, 0.41, reported=["Lasso"])
    for name, values in run.results["gene_index"].values.items():
        np.testing.assert_array_equal(again.results["gene_index"].values[name], values)
    assert np.isfinite(again.results["Lasso"].interval("calibration_slope")).all()


def test_a_model_that_knows_nothing():
    """A score without any tie to the outcome: C and AUC 1/2, slope 0, no skill, no better than treating all or none."""
    rng = np.random.default_rng(11)
    days = np.array([180.0, DAY])
    found = []
    for seed in range(30):
        time, event = outcome(400, seed, ties=False)
        eta = rng.normal(size=400)
        survival = np.exp(-np.exp(eta)[:, None] * days / 700)
        sheet = Sheet(eta[None], np.zeros((1, 400), int), survival[None], days, (eta > 0).astype(int)[None])
        result = evaluate(sheet, Design(time, event, [1], 0, 0, decision_threshold=0.3))
        everybody = net_benefit_values(np.zeros((1, 400)), time, event, np.ones((1, 400)), DAY, [0.3])[0, 0]
        names = ("c_harrell", "c_uno", "auc_1y", "calibration_slope", "ipa_1y", "rmst_difference_months")
        found.append([*(result.estimate(name) for name in names), result.estimate("net_benefit") - max(everybody, 0.0)])
    mean = np.mean(found, axis=0)
    np.testing.assert_allclose(mean[:3], 0.5, atol=0.015)
    assert abs(mean[3]) < 0.05
    assert mean[4] < 0
    assert abs(mean[5]) < 1
    assert mean[6] < 0
