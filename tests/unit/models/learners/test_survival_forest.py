from itertools import pairwise

import numpy as np
import pytest
from lifelines import KaplanMeierFitter, NelsonAalenFitter
from sksurv.compare import compare_survival
from sksurv.ensemble import RandomSurvivalForest

from amlprognosis.errors import InputError
from amlprognosis.models import survival_forest_kernels as kernels
from amlprognosis.models.base import as_outcome
from amlprognosis.models.concordance import harrell_concordance
from amlprognosis.models.learners.base import canonical_order
from amlprognosis.models.learners.survival_forest import SurvivalForest


def cohort(n, p, seed, signal=0.8, tied=True):
    """The first two columns matter (the first kills, the second protects); about a third is censored."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, p))
    death = rng.exponential(np.exp(-signal * (x[:, 0] - x[:, min(1, p - 1)]))) * 1000
    censored = rng.uniform(200, 3000, n)
    time = np.minimum(death, censored)
    return x, as_outcome(np.ceil(time / 50) if tied else time, death <= censored)


def drawn(seed, tree, n):
    """How often a tree drew each patient, in canonical order."""
    count = np.empty(n)
    kernels.draw_patients(np.zeros(1, dtype=np.uint64), np.uint64(seed), tree, count)
    assert count.sum() == n
    return count.astype(int)


def sorted_rows(x, y):
    order = canonical_order(x, y["time"], y["event"])
    return x[order], y[order]


def leaves(forest, x, tree=0):
    """Leaf of each patient in a tree, walked in Python."""
    out = np.empty(len(x), dtype=int)
    for i, row in enumerate(x):
        node = forest.roots[tree]
        while forest.feature[node] >= 0:
            go_left = row[forest.feature[node]] <= forest.threshold[node]
            node = forest.left[node] if go_left else forest.right[node]
        out[i] = forest.leaf[node]
    return out


@pytest.fixture(scope="module")
def data():
    return cohort(150, 12, 1)


@pytest.fixture(scope="module")
def fitted(data):
    return SurvivalForest(300, early_stop=False).fit(*data)


# ---------------------------------------------------------------- kernels


@pytest.mark.parametrize(
    ("n", "p", "seed", "tied"), [(60, 3, 1, True), (60, 3, 2, False), (25, 2, 3, True), (420, 1, 4, True)]
)
def test_one_split_is_the_best_log_rank_split(n, p, seed, tied):
    x, y = cohort(n, p, seed, signal=0.3, tied=tied)
    x[:, 0] = np.round(x[:, 0], 1)
    least = 4
    forest = SurvivalForest(1, least, 1.0, max_depth=1, random_state=seed).fit(x, y).forest_
    x, y = sorted_rows(x, y)
    count = drawn(seed, 0, n)
    in_bag = np.repeat(np.arange(n), count)
    found = {}
    for j in range(p):
        values = np.unique(x[count > 0, j])
        for low, high in pairwise(values):
            left = x[:, j] <= low
            distinct = (left & (count > 0)).sum()
            if least <= distinct <= (count > 0).sum() - least:
                found[j, (low + high) / 2] = compare_survival(y[in_bag], left[in_bag])[0]
    best = max(found, key=found.get)
    assert forest.feature[0] == best[0]
    assert forest.threshold[0] == pytest.approx(best[1], rel=1e-12)
    # A second best that differs shows that the choice was one.
    assert found[best] > sorted(found.values())[-2]


@pytest.mark.parametrize("size", [1, 3, 8, 97, 192, 193, 500])
def test_sums_over_pairs(size):
    rng = np.random.default_rng(size)
    levels = np.concatenate([[0.0], np.cumsum(rng.random(40))])
    level = rng.integers(0, 41, size).astype(float)
    c, w, s = rng.integers(1, 5, size).astype(float), levels[level.astype(int)], np.full(size, np.nan)
    kernels._pair_sums(c, w, level, s, levels, 41, np.empty(41), np.empty(41))
    before = np.tril(np.ones((size, size)), -1)
    np.testing.assert_allclose(s, (before * np.minimum.outer(w, w)) @ c, rtol=1e-12, atol=1e-12)


def test_leaves_say_nelson_aalen_and_kaplan_meier(data):
    model = SurvivalForest(3, 10, early_stop=False, random_state=5).fit(*data)
    x, y = sorted_rows(*data)
    death_times = np.unique(y["time"][y["event"]])
    np.testing.assert_array_equal(model.times_, death_times)
    for tree in range(3):
        rows = np.repeat(np.arange(len(x)), drawn(5, tree, len(x)))
        leaf = leaves(model.forest_, x, tree)
        assert min(np.unique(leaf[np.unique(rows)], return_counts=True)[1]) >= 10
        for number in np.unique(leaf):
            inside = rows[leaf[rows] == number]
            time, event = y["time"][inside], y["event"][inside]
            hazard = NelsonAalenFitter(nelson_aalen_smoothing=False).fit(time, event)
            expected = hazard.cumulative_hazard_at_times(death_times).sum()
            assert model.forest_.values[number, 0] == pytest.approx(expected, rel=1e-10)
            curve = KaplanMeierFitter().fit(time, event).survival_function_at_times(death_times)
            steps = slice(model.forest_.start[number], model.forest_.start[number + 1])
            lost = np.bincount(model.forest_.at[steps], model.forest_.drop[steps], death_times.size)
            np.testing.assert_allclose(1 - np.cumsum(lost), curve, atol=1e-12)


def test_trees_differ_and_draw_as_they_should():
    counts = np.array([drawn(7, tree, 200) for tree in range(300)])
    assert len(np.unique(counts, axis=0)) == 300
    assert (counts == 0).mean() == pytest.approx(np.exp(-1), abs=0.005)
    assert counts.mean(axis=0).std() == pytest.approx(np.sqrt(1 / 300), rel=0.2)
    assert abs(np.corrcoef(counts[:-1].ravel(), counts[1:].ravel())[0, 1]) < 0.02


# ---------------------------------------------------------------- forest


def test_risk_and_survival_are_means_over_trees(data, fitted):
    x = data[0][:20]
    forest = fitted.forest_
    by_tree = np.array([leaves(forest, x, tree) for tree in range(forest.roots.size)])
    np.testing.assert_allclose(fitted.predict(x), forest.values[by_tree, 0].mean(axis=0), rtol=1e-12)
    times = [fitted.times_[5], 0.5, fitted.times_[5] + 0.25, 1e6]
    curves = fitted.survival_at(x, times)
    np.testing.assert_array_equal(curves[:, 0], curves[:, 2])
    np.testing.assert_array_equal(curves[:, 1], 1.0)
    np.testing.assert_allclose(curves[:, 3], fitted.survival_at(x, fitted.times_[-1:])[:, 0], rtol=1e-12)
    dense = fitted.predict_survival_function(x, return_array=True)
    assert (np.diff(dense, axis=1) <= 0).all()
    np.testing.assert_allclose(dense[:, 5], curves[:, 0], rtol=1e-12)
    np.testing.assert_array_equal(forest.predict(x), np.column_stack([fitted.predict(x), dense]))


def test_out_of_bag_risk_by_hand(data):
    model = SurvivalForest(5, early_stop=False, random_state=2).fit(*data)
    order = canonical_order(data[0], data[1]["time"], data[1]["event"])
    x = data[0][order]
    out = np.array([drawn(2, tree, len(x)) == 0 for tree in range(5)])
    says = np.array([model.forest_.values[leaves(model.forest_, x, tree), 0] for tree in range(5)])
    n_out = out.sum(axis=0)
    expected = np.where(n_out > 0, (says * out).sum(axis=0) / np.maximum(n_out, 1), says.mean(axis=0))
    np.testing.assert_allclose(model.oob_risk_[order], expected, rtol=1e-12)
    assert model.notes_ == [f"every tree drew {(n_out == 0).sum()} of 150 patients: their OOB risk is in-sample"]
    c = harrell_concordance(data[1]["time"], data[1]["event"], model.oob_risk_).index
    assert model.oob_score_ == pytest.approx(c)


def test_as_good_as_scikit_survival():
    gaps, agreements = [], []
    for seed in range(3):
        x, y = cohort(320, 10, 20 + seed, signal=0.5)
        ours = SurvivalForest(300, early_stop=False, random_state=seed).fit(x[:160], y[:160])
        theirs = RandomSurvivalForest(
            300, min_samples_leaf=5, min_samples_split=10, max_features="sqrt", random_state=seed
        ).fit(x[:160], y[:160])
        risk, reference = ours.predict(x[160:]), theirs.predict(x[160:])
        agreements.append(np.corrcoef(risk, reference)[0, 1])
        gaps.append(ours.score(x[160:], y[160:]) - theirs.score(x[160:], y[160:]))
        assert risk.mean() == pytest.approx(reference.mean(), rel=0.02)
        at = np.searchsorted(theirs.unique_times_, 10.0, side="right") - 1
        curves = theirs.predict_survival_function(x[160:], return_array=True)[:, at]
        assert ours.survival_at(x[160:], [10.0]).mean() == pytest.approx(curves.mean(), abs=0.01)
    assert min(agreements) > 0.97
    assert abs(np.mean(gaps)) < 0.01


def test_seeds_threads_order_and_scale(data, fitted):
    x, y = data
    reference = fitted.predict(x)
    for more in ({"n_jobs": 2}, {"n_jobs": 5}):
        again = SurvivalForest(300, early_stop=False, **more).fit(x, y)
        for name, array in again.forest_.arrays().items():
            np.testing.assert_array_equal(array, fitted.forest_.arrays()[name])
        np.testing.assert_array_equal(again.feature_importances_, fitted.feature_importances_)
        np.testing.assert_array_equal(again.oob_risk_, fitted.oob_risk_)
    order = np.random.default_rng(0).permutation(len(x))
    shuffled = SurvivalForest(300, early_stop=False).fit(x[order], y[order])
    np.testing.assert_array_equal(shuffled.predict(x), reference)
    np.testing.assert_array_equal(shuffled.oob_risk_, fitted.oob_risk_[order])
    scale, shift = np.linspace(0.5, 40, 12), np.linspace(-3, 900, 12)
    scaled = SurvivalForest(300, early_stop=False).fit(x * scale + shift, y)
    np.testing.assert_array_equal(scaled.forest_.feature, fitted.forest_.feature)
    np.testing.assert_allclose(scaled.predict(x * scale + shift), reference, rtol=1e-9)
    other = SurvivalForest(300, early_stop=False, random_state=1).fit(x, y)
    assert 0.97 < np.corrcoef(other.predict(x), reference)[0, 1] < 1


def test_early_stop_gives_the_same_first_trees_on_any_number_of_threads():
    x, y = cohort(300, 4, 3, signal=1.5)
    one, three = (SurvivalForest(3000, n_jobs=jobs).fit(x, y) for jobs in (1, 3))
    n_trees = one.forest_.roots.size
    assert 400 <= n_trees < 3000
    assert n_trees % 100 == 0
    np.testing.assert_array_equal(one.oob_risk_, three.oob_risk_)
    np.testing.assert_array_equal(one.forest_.values, three.forest_.values)
    whole = SurvivalForest(n_trees, early_stop=False).fit(x, y)
    np.testing.assert_array_equal(whole.predict(x), one.predict(x))


# ---------------------------------------------------------------- importance, minimal depth


def test_importance_and_minimal_depth_find_what_kills(fitted):
    assert set(np.argsort(fitted.feature_importances_)[-2:]) == {0, 1}
    assert set(np.argsort(fitted.minimal_depth_)[:2]) == {0, 1}
    assert {0, 1} <= set(fitted.selected_.tolist())
    assert fitted.selected_.size <= 6
    assert fitted.feature_importances_[:2].min() > 0.02
    assert abs(fitted.feature_importances_[2:]).max() < 0.02


def test_importance_by_hand(data):
    """One tree; shuffling cannot move a patient whose path does not meet the column."""
    x, y = sorted_rows(*data)
    model = SurvivalForest(1, 20, early_stop=False, random_state=4).fit(x, y)
    forest = model.forest_
    used = np.unique(forest.feature[forest.feature >= 0])
    rest = np.setdiff1d(np.arange(x.shape[1]), used)
    np.testing.assert_array_equal(model.feature_importances_[rest], 0.0)
    np.testing.assert_array_equal(model.minimal_depth_[rest], model.minimal_depth_.max())
    assert model.minimal_depth_[forest.feature[0]] == 0


def test_minimal_depth_threshold_by_chance():
    """Columns that do nothing have the mean minimal depth of chance; the threshold lies one standard error below."""
    rng = np.random.default_rng(8)
    x = rng.normal(size=(160, 60))
    y = as_outcome(rng.exponential(size=160), rng.random(160) < 0.7)
    model = SurvivalForest(300, early_stop=False).fit(x, y)
    assert 0 < model.minimal_depth_.mean() - model.minimal_depth_threshold_ < 0.5
    assert model.selected_.size < 25


def test_constant_and_equal_columns(data):
    x, y = data
    twice = np.column_stack([x[:, 0], np.full(len(x), 3.0), x[:, 0], x[:, 5]])
    model = SurvivalForest(200, early_stop=False).fit(twice, y)
    assert model.feature_importances_[1] == 0
    assert 1 not in model.selected_
    assert 1 not in model.forest_.feature
    assert model.minimal_depth_[[0, 2]].max() < model.minimal_depth_[1]
    assert np.isfinite(model.feature_importances_).all()


# ---------------------------------------------------------------- hard cases


def test_more_columns_than_patients_and_binary_columns():
    x, y = cohort(40, 300, 6)
    x[:, 2:] = (x[:, 2:] > 1.3).astype(float)
    model = SurvivalForest(100).fit(x, y)
    assert np.isfinite(model.predict(x)).all()
    assert np.isfinite(model.minimal_depth_).all()


@pytest.mark.parametrize("deaths", [1, 3])
def test_few_deaths(deaths):
    x, y = cohort(50, 5, 7)
    y["event"] = False
    y["event"][np.argsort(y["time"], kind="stable")[:deaths]] = True
    model = SurvivalForest(100).fit(x, y)
    assert np.isfinite(model.predict(x)).all()
    assert np.isfinite(model.oob_score_)
    assert model.survival_at(x, [1e9]).min() > 0


def test_nothing_to_split():
    x, y = cohort(6, 3, 8)
    y["event"][0] = True
    model = SurvivalForest(50).fit(x, y)
    assert "no tree found a split" in model.notes_[0]
    assert np.ptp(model.predict(x)) == 0
    assert model.selected_.size == 0
    np.testing.assert_array_equal(model.feature_importances_, 0.0)
    constant = SurvivalForest(50).fit(np.ones((30, 2)), cohort(30, 2, 8)[1])
    assert constant.oob_score_ < 1
    assert "no tree found a split" in constant.notes_[0]


def test_no_two_patients_to_compare():
    y = as_outcome([10.0, 5.0, 4.0], [True, False, False])
    model = SurvivalForest(20).fit(np.arange(3.0)[:, None], y)
    assert model.oob_score_ == 0.5
    assert any("no two patients" in note for note in model.notes_)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"n_estimators": 0}, "n_estimators must be an integer of at least 1"),
        ({"min_samples_leaf": 2.5}, "min_samples_leaf"),
        ({"max_features": 0}, "max_features must be"),
        ({"max_features": 1.5}, "max_features must be"),
        ({"max_features": True}, "max_features must be"),
        ({"max_features": "log"}, "max_features must be"),
        ({"max_depth": 0}, "max_depth"),
        ({"random_state": -1}, "random_state"),
        ({"n_jobs": 0}, "n_jobs"),
    ],
)
def test_wrong_parameters(data, wrong, says):
    with pytest.raises(InputError, match=says):
        SurvivalForest(**wrong).fit(*data)
