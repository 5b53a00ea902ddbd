from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amlprognosis.errors import InputError
from amlprognosis.evaluation.metrics import Design, concordance, evaluate
from amlprognosis.evaluation.pairs import bootstrap_weights, comparable_pairs, comparison_matrices
from amlprognosis.evaluation.sheets import Sheet, sheet_from_predictions, survival_columns


def outcome(n, seed, ties=True):
    rng = np.random.default_rng(seed)
    death, censored = rng.exponential(700, n), rng.exponential(1500, n)
    time = np.minimum(death, censored)
    return (np.ceil(time / 60) * 60 if ties else time), death <= censored


def one_block(score, survival=None, times=()):
    n = len(score)
    survival = np.empty((n, 0)) if survival is None else survival
    return Sheet(np.asarray(score, float)[None], np.zeros((1, n), int), survival[None], np.asarray(times, float))


RANKED = ["c_harrell", "c_uno", "auc_1y", "auc_2y"]


@given(st.integers(0, 1000), st.booleans())
@settings(max_examples=15, deadline=None)
def test_theory_of_ranks(seed, ties):
    time, event = outcome(60, seed, ties)
    rng = np.random.default_rng(seed)
    score = np.round(rng.normal(size=60), 1)
    design = Design(time, event, [1, 2], 0, 0)

    def all_ranked(s):
        result = evaluate(one_block(s), design)
        return np.array([result.estimate(m) for m in RANKED])

    base = all_ranked(score)
    np.testing.assert_allclose(all_ranked(np.exp(score) * 3 - 7), base, atol=1e-12)
    np.testing.assert_allclose(all_ranked(-score), 1 - base, atol=1e-12)
    truth = time + 0.5 * ~event  # a patient censored at the time of a death outlived it
    np.testing.assert_allclose(all_ranked(-truth), 1.0, atol=1e-12)
    np.testing.assert_allclose(all_ranked(truth), 0.0, atol=1e-12)
    np.testing.assert_allclose(all_ranked(np.zeros(60)), 0.5, atol=1e-12)
    order = rng.permutation(60)
    shuffled = evaluate(one_block(score[order]), Design(time[order], event[order], [1, 2], 0, 0))
    np.testing.assert_allclose([shuffled.estimate(m) for m in RANKED], base, atol=1e-12)


def test_harrell_equals_lifelines_and_scikit_survival():
    from lifelines.utils import concordance_index
    from sksurv.metrics import brier_score, concordance_index_censored, cumulative_dynamic_auc

    time, event = outcome(150, 3)
    score = np.round(np.random.default_rng(0).normal(size=150) - time / 800, 1)
    ours = concordance(time, event, score)
    assert ours == pytest.approx(concordance_index(time, -score, event), abs=1e-12)
    assert ours == pytest.approx(concordance_index_censored(event, time, score)[0], abs=1e-12)
    # scikit-survival weighs with G(T), we with G(T-): equal without ties between deaths and censorings.
    time, event = outcome(150, 3, ties=False)
    y = np.array(list(zip(event, time, strict=True)), dtype=[("event", bool), ("time", float)])
    survival = np.clip(0.5 - score / 8, 0.05, 0.95)
    result = evaluate(one_block(score, survival[:, None], [365.25]), Design(time, event, [1], 0, 0))
    assert result.estimate("auc_1y") == pytest.approx(cumulative_dynamic_auc(y, y, score, [365.25])[0][0], abs=1e-10)
    assert result.estimate("brier_1y") == pytest.approx(brier_score(y, y, survival[:, None], [365.25])[1][0], abs=1e-10)


def test_bootstrap_replicates_are_metrics_of_resampled_patients():
    time, event = outcome(40, 8)
    score = np.random.default_rng(1).normal(size=40)
    design = Design(time, event, [1], 5, 7)
    result = evaluate(one_block(score, np.full((40, 1), 0.4), [365.25]), design)
    for replicate, weights in enumerate(bootstrap_weights(40, 5, 7), start=1):
        drawn = np.repeat(np.arange(40), weights.astype(int))
        assert result.values["c_harrell"][replicate] == pytest.approx(
            concordance(time[drawn], event[drawn], score[drawn]), abs=1e-12
        )
        again = evaluate(
            one_block(score[drawn], np.full((40, 1), 0.4), [365.25]),
            Design(time[drawn], event[drawn], [1], 0, 0, censoring=design.censoring),
        )
        for metric in ("c_uno", "auc_1y", "brier_1y", "ipa_1y"):
            assert result.values[metric][replicate] == pytest.approx(again.estimate(metric), abs=1e-12)


def test_scores_of_different_folds_are_never_compared():
    time, event = outcome(60, 4)
    score = np.random.default_rng(2).normal(size=60) - time / 500
    block = np.arange(60) % 3
    sheet = Sheet(score[None], block[None], np.empty((1, 60, 0)), np.array([]))
    design = Design(time, event, [1], 0, 0)
    shifted = Sheet((score + 1000.0 * block)[None], block[None], np.empty((1, 60, 0)), np.array([]))
    for metric in ("c_harrell", "c_uno", "auc_1y"):
        assert evaluate(sheet, design).estimate(metric) == evaluate(shifted, design).estimate(metric)
    pairs = comparable_pairs(time, event)
    good = total = 0.0
    for fold in range(3):
        member = block == fold
        count = pairs[np.ix_(member, member)].sum()
        good += concordance(time[member], event[member], score[member]) * count
        total += count
    assert evaluate(sheet, design).estimate("c_harrell") == pytest.approx(good / total, abs=1e-12)
    higher, together = comparison_matrices(np.stack([score, -score]), np.stack([block, block]))
    assert (higher <= together).all()
    assert evaluate(
        Sheet(np.stack([score, -score]), np.stack([block, block]), np.empty((2, 60, 0)), np.array([])), design
    ).estimate("c_harrell") == pytest.approx(0.5)


def test_tied_deaths_are_not_comparable_and_censored_at_death_outlived_it():
    time, event = np.array([5.0, 5.0, 5.0]), np.array([True, True, False])
    expected = np.array([[0, 0, 1], [0, 0, 1], [0, 0, 0]], dtype=bool)
    np.testing.assert_array_equal(comparable_pairs(time, event), expected)


def test_unusable_horizons_are_nan_with_a_reason():
    time, event = outcome(50, 5)
    time = np.minimum(time, 900.0)
    result = evaluate(one_block(-time, np.full((50, 2), 0.5), [365.25, 3652.5]), Design(time, event, [1, 10], 20, 0))
    assert np.isfinite(result.estimate("auc_1y"))
    for metric in ("auc_10y", "brier_10y", "ipa_10y"):
        assert np.isnan(result.estimate(metric))
        assert np.isnan(result.interval(metric)).all()
    assert any("10y" in note and "followed past" in note for note in result.notes)
    late = evaluate(one_block(-time), Design(time + 400, event, [1], 0, 0))
    assert np.isnan(late.estimate("auc_1y"))
    assert any("no event by" in note for note in late.notes)
    nobody = evaluate(one_block(-time), Design(time, np.zeros(50, bool), [1], 5, 0))
    assert np.isnan(nobody.estimate("c_harrell"))
    assert any("no comparable pair" in note for note in nobody.notes)


def test_kaplan_meier_prediction_has_no_skill_and_the_truth_has():
    from amlprognosis.models.kaplan_meier import kaplan_meier

    time, event = outcome(80, 6)
    days = np.array([365.25, 730.5])
    flat = np.tile(kaplan_meier(time, event).at(days), (80, 1))
    result = evaluate(one_block(np.zeros(80), flat, days), Design(time, event, [1, 2], 0, 0))
    assert result.estimate("ipa_1y") == pytest.approx(0.0, abs=1e-12)
    assert result.estimate("ibs") == pytest.approx(result.estimate("ibs_reference"), abs=1e-12)
    truth = (time[:, None] > days).astype(float)
    result = evaluate(one_block(-time, truth, days), Design(time, event, [1, 2], 0, 0))
    assert result.estimate("brier_2y") == pytest.approx(0.0, abs=1e-12)
    assert result.estimate("ipa_2y") == pytest.approx(1.0, abs=1e-12)


def test_missing_predictions_are_counted_not_guessed():
    table = pd.DataFrame(
        {
            "repeat": [1, 1, 1, 2, 2],
            "fold": [1, 1, 2, 1, 2],
            "patient": ["a", "b", "c", "a", "c"],
            "risk": [1.0, 2.0, np.nan, 0.5, 1.0],
            "survival_1y": [0.5, 0.4, np.nan, np.nan, 0.2],
            "survival_90d": 0.9,
        }
    )
    sheet = sheet_from_predictions(table, ["a", "b", "c", "d"])
    assert sheet.block.tolist() == [[1, 1, -1, -1], [1, -1, 2, -1]]
    assert sheet.times.tolist() == [90.0, 365.25]
    np.testing.assert_allclose(sheet.mean_survival(365.25), [0.5, 0.4, 0.2, np.nan])
    result = evaluate(sheet, Design([1, 2, 3, 900], [True, True, True, False], [1], 0, 0))
    assert "no prediction for 1 of 4 patients" in result.notes
    assert "2 predictions are missing in single repeats" in result.notes
    with pytest.raises(InputError, match="twice"):
        sheet_from_predictions(pd.concat([table, table.iloc[:1]]), ["a", "b", "c"])
    with pytest.raises(InputError, match="not in the outcome"):
        sheet_from_predictions(table, ["a", "b"])
    assert list(survival_columns(["survival_5y", "survival_90d", "risk", "survival_0.5y"])) == [
        "survival_90d",
        "survival_0.5y",
        "survival_5y",
    ]


def test_thousand_replicates_of_500_patients_are_all_there():
    time, event = outcome(500, 7)
    rng = np.random.default_rng(0)
    block = np.stack([rng.permutation(500) % 5 for _ in range(10)])
    days = np.unique(np.r_[np.linspace(73, 5 * 365.25, 25), 3 * 365.25])
    score = rng.normal(size=(10, 500))
    survival = np.exp(-np.exp(0.5 * score)[:, :, None] * days / 900)
    sheet = Sheet(score, block, survival, days, (score > 0).astype(int))
    result = evaluate(sheet, Design(time, event, [1, 3, 5], 1000, 1))
    for name in ("auc_5y", "brier_5y", "calibration_slope", "ici", "d_calibration_p", "net_benefit"):
        assert np.isfinite(result.values[name]).all()
        assert result.values[name].shape == (1001,)
