"""Minimum redundancy, maximum relevance."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from amlprognosis.errors import InputError
from amlprognosis.models.base import as_outcome
from amlprognosis.models.horizon import ipcw
from amlprognosis.models.mrmr import MRMRSelector, mrmr


def weighted_correlation(a, b, w):
    covariance = np.cov(np.vstack([a, b]), aweights=w, ddof=0)
    return covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1])


def slow_mrmr(x, y, w, n_selected):
    """The definition, one pair at a time."""
    n, p = x.shape
    r = np.array([weighted_correlation(x[:, j], y, w) for j in range(p)])
    f = r**2 / (1 - r**2) * (n - 2)
    chosen = [int(np.argmax(f))]
    while len(chosen) < n_selected:
        merit = np.full(p, -np.inf)
        for j in set(range(p)) - set(chosen):
            redundancy = np.mean([abs(weighted_correlation(x[:, j], x[:, k], w)) for k in chosen])
            merit[j] = f[j] / max(redundancy, 1 / np.sqrt(n))
        chosen.append(int(np.argmax(merit)))
    return chosen


@pytest.fixture(scope="module")
def world():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(120, 40)) @ (np.eye(40) + 0.3 * rng.normal(size=(40, 40))) + 1e4
    y = (x[:, 0] + x[:, 1] - x[:, 2] + rng.normal(size=120) > np.median(x[:, 0] + x[:, 1] - x[:, 2])).astype(float)
    return x, y, rng.uniform(0.5, 3, 120)


def test_chooses_as_the_definition(world):
    assert mrmr(*world, n_selected=12).tolist() == slow_mrmr(*world, 12)


def test_weights(world):
    x, y, w = world
    chosen = mrmr(x, y, w, 10)
    np.testing.assert_array_equal(mrmr(x, y, 7 * w, 10), chosen)
    more = np.vstack([x, x[:5] + 100]), np.append(y, 1 - y[:5]), np.append(w, np.zeros(5))
    np.testing.assert_array_equal(mrmr(*more, 10), chosen)
    np.testing.assert_array_equal(mrmr(x * 3 - 5, y, w, 10), chosen)


def test_copies_are_never_chosen(world):
    x, y, w = world
    chosen = mrmr(x, y, w, 8)
    copied = np.column_stack([x, x * 2 + 1, -x[:, ::-1]])
    np.testing.assert_array_equal(mrmr(copied, y, w, 8), chosen)
    assert len(mrmr(np.column_stack([x[:, :2], x[:, :2]]), y, w, 8)) == 2


def test_constant_columns_and_too_few_columns(world):
    x, y, w = world
    x = x.copy()
    x[:, [0, 5]] = 3.0
    chosen = mrmr(x, y, w, 100)
    assert sorted(chosen) == sorted(set(range(40)) - {0, 5})
    # A perfect column is taken first, not refused.
    assert mrmr(np.column_stack([x, y]), y, w, 3)[0] == 40


def test_a_pre_screen_keeps_the_most_relevant(world):
    x, y, w = world
    few = mrmr(x, y, w, 4, n_candidates=4)
    r = np.abs([weighted_correlation(column, y, w) for column in x.T])
    assert set(few) == set(np.argsort(-r)[:4])


@pytest.mark.parametrize(
    ("x", "y", "w", "n", "message"),
    [
        (np.ones((5, 2)), np.arange(5.0), None, 2, "no column varies"),
        (np.eye(5), np.ones(5), None, 2, "the same for everybody"),
        (np.eye(5) * np.nan, np.arange(5.0), None, 2, "missing or infinite"),
        (np.eye(5), np.arange(4.0), None, 2, "needs x"),
        (np.eye(5), np.arange(5.0), np.zeros(5), 2, "not all zero"),
        (np.eye(5), np.arange(5.0), -np.ones(5), 2, "at least 0"),
        (np.eye(5), np.arange(5.0), None, 0, "at least 1"),
    ],
)
def test_bad_input(x, y, w, n, message):
    with pytest.raises(InputError, match=message):
        mrmr(x, y, w, n)


def test_selector_in_a_pipeline(train):
    frame, y = train
    frame = frame[[c for c in frame.columns if c.startswith("expression:")]]
    selector = clone(MRMRSelector(n_selected=5, horizon_years=3.0)).fit(frame, y)
    died, weight = ipcw(y["time"], y["event"], 3 * 365.25)
    np.testing.assert_array_equal(selector.ranking_, mrmr(frame.to_numpy(), died, weight, 5))
    assert (
        len(
            {"expression:G0", "expression:G1", "expression:G2", "expression:G3"} & set(frame.columns[selector.support_])
        )
        >= 2
    )
    assert selector.get_feature_names_out().tolist() == frame.columns[selector.support_].tolist()
    assert selector.transform(frame).shape == (len(frame), 5)
    label = died.astype(int)
    pipeline = make_pipeline(MRMRSelector(4), LogisticRegression()).fit(frame.to_numpy(), label)
    assert pipeline[0].support_.sum() == 4
    weighted = MRMRSelector(5).fit(frame, label, sample_weight=weight)
    np.testing.assert_array_equal(weighted.ranking_, selector.ranking_)


def test_selector_refuses(train):
    frame, y = train
    with pytest.raises(InputError, match="NaN"):
        MRMRSelector().fit(frame.mask(frame > 1), y)
    with pytest.raises(InputError, match="nobody died"):
        MRMRSelector().fit(frame, as_outcome(y["time"], np.zeros(len(y))))
    with pytest.raises(InputError, match="1 sample"):
        MRMRSelector().fit(pd.DataFrame({"a": [1.0]}), y)


@parametrize_with_checks([MRMRSelector(n_selected=2)])
def test_scikit_learns_checks(estimator, check):
    check(estimator)
