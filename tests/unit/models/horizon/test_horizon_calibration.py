"""Platt scaling."""

import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from amlprognosis.models.horizon.calibration import fit_platt, log_loss, logit_of


@pytest.fixture(scope="module")
def scores():
    rng = np.random.default_rng(0)
    score = rng.normal(2, 3, 400)
    return score, (rng.random(400) < expit(0.5 * score - 1.5)).astype(float), rng.uniform(0.5, 4, 400)


def test_is_weighted_logistic_regression_on_smoothed_targets(scores):
    score, died, weight = scores
    d, c = int(died.sum()), int((1 - died).sum())
    slope, intercept = fit_platt(score, died, weight, d, c)
    # A target y in (0, 1) is a death of weight y and a survival of weight 1 - y.
    y = np.where(died == 1, (d + 1) / (d + 2), 1 / (c + 2))
    rows = np.concatenate([score, score])[:, None]
    label = np.concatenate([np.ones(400), np.zeros(400)])
    share = np.concatenate([weight * y, weight * (1 - y)])
    fit = LogisticRegression(C=1e10, tol=1e-12, max_iter=1000).fit(rows, label, sample_weight=share)
    assert slope == pytest.approx(fit.coef_[0, 0], abs=1e-4)
    assert intercept == pytest.approx(fit.intercept_[0], abs=1e-4)


def test_units_of_the_score_do_not_matter(scores):
    score, died, weight = scores
    slope, intercept = fit_platt(score, died, weight, 200, 200)
    other, shift = fit_platt(score * 1e4 + 5e3, died, weight, 200, 200)
    np.testing.assert_allclose(other * (score * 1e4 + 5e3) + shift, slope * score + intercept, atol=1e-6)


def test_slope_is_never_below_zero(scores):
    score, died, weight = scores
    for bad in (-score, np.zeros(400), np.full(400, 1e9)):
        slope, intercept = fit_platt(bad, died, weight, int(died.sum()), int((1 - died).sum()))
        assert slope == 0
        assert expit(intercept) == pytest.approx(np.average(died, weights=weight), abs=0.01)


def test_separated_scores_and_pseudo_observations_stay_finite():
    score = np.arange(40.0)
    slope, intercept = fit_platt(score, (score > 19).astype(float), np.ones(40), 20, 20)
    assert 0 < slope < 10
    slope, intercept = fit_platt(score, np.where(score > 19, 1.6, -0.5), np.ones(40), 20, 20)
    assert slope > 0
    assert np.isfinite([slope, intercept]).all()


def test_log_odds_and_loss():
    p = np.array([-0.2, 0.0, 0.3, 1.0, 1.5])
    odds = logit_of(p)
    assert np.isfinite(odds).all()
    assert (np.diff(odds) >= 0).all()
    assert odds[2] == pytest.approx(np.log(0.3 / 0.7), abs=0.02)
    y, w = np.array([0, 0, 1, 1, 1.0]), np.array([1, 2, 1, 3, 1.0])
    q = expit(odds)
    expected = -np.average(y * np.log(q) + (1 - y) * np.log(1 - q), weights=w)
    assert log_loss(odds, y, w) == pytest.approx(expected)
