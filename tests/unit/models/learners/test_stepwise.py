import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone

from amlprognosis.errors import InputError
from amlprognosis.models import stepwise_search
from amlprognosis.models.base import as_outcome
from amlprognosis.models.cox_kernels import fit_cox, partial_likelihood
from amlprognosis.models.learners.stepwise import StepCox

DIRECTIONS = ("both", "backward", "forward")
EACH_DIRECTION = pytest.mark.parametrize("direction", DIRECTIONS)


def cohort(n=120, p=10, seed=0, heavy=False):
    """Column 0 kills, column 1 protects, column 2 kills a little; times are tied."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, p)) + 0.5 * rng.normal(size=(n, 1))
    risk = x[:, :3] @ np.array([0.9, -0.7, 0.3])[: min(p, 3)] if p >= 3 else 0.9 * x[:, 0]
    time = np.ceil(rng.exponential(np.exp(-risk)) * 30)
    return (np.exp(x) if heavy else x), as_outcome(time, rng.random(n) < 0.65)


def step_by_brute_force(x, y, direction, price, ties):
    """R's step(), with a full fit of every neighbor."""
    time, event = y["time"], y["event"]

    def criterion(members):
        if not members:
            return -2 * partial_likelihood(x[:, :1], time, event, np.zeros(1), ties)[0]
        return -2 * fit_cox(x[:, members], time, event, ties).loglik + price * len(members)

    members = [] if direction == "forward" else list(range(x.shape[1]))
    trace = [("start", criterion(members))]
    while True:
        drops = [] if direction == "forward" else members
        adds = [] if direction == "backward" else [j for j in range(x.shape[1]) if j not in members]
        neighbors = [(f"- {j}", [m for m in members if m != j]) for j in drops]
        neighbors += [(f"+ {j}", [*members, j]) for j in adds]
        values = [criterion(after) for _, after in neighbors]
        best = int(np.argmin(values))
        if values[best] >= trace[-1][1] - 1e-8:
            return trace, sorted(members)
        members = neighbors[best][1]
        trace.append((neighbors[best][0], values[best]))


@EACH_DIRECTION
@pytest.mark.parametrize(("criterion", "ties", "heavy"), [("aic", "efron", False), ("bic", "breslow", True)])
@pytest.mark.parametrize("seed", range(3))
def test_every_step_is_the_exact_best(direction, criterion, ties, heavy, seed):
    x, y = cohort(n=70 + 20 * seed, seed=seed, heavy=heavy)
    price = 2.0 if criterion == "aic" else np.log(y["event"].sum())
    trace, members = step_by_brute_force(x, y, direction, price, ties)
    model = StepCox(direction, criterion, ties).fit(x, y)
    assert [change for change, _ in model.trace_] == [change for change, _ in trace]
    np.testing.assert_allclose([value for _, value in model.trace_], [value for _, value in trace], atol=1e-8)
    assert model.selected_.tolist() == members
    assert model.criterion_ == pytest.approx(trace[-1][1], abs=1e-8)
    fit = fit_cox(x[:, members], y["time"], y["event"], ties)
    np.testing.assert_allclose(model.coef_[members], fit.beta, rtol=1e-7)


@EACH_DIRECTION
def test_full_fits_take_over_where_the_frozen_climb_fails(direction, monkeypatch):
    x, y = cohort(p=6)
    expected = StepCox(direction).fit(x, y)

    def never_arrives(cohort, model, removable, outside, price, best, push, states, information):
        states[: removable.size][removable] = stepwise_search.UNBOUNDED
        states[removable.size :] = stepwise_search.UNBOUNDED
        return -1, best, 0.0

    monkeypatch.setattr(stepwise_search, "compare_neighbors", never_arrives)
    found = StepCox(direction).fit(x, y)
    assert [change for change, _ in found.trace_] == [change for change, _ in expected.trace_]
    np.testing.assert_allclose(found.coef_, expected.coef_, rtol=1e-9)


@EACH_DIRECTION
@settings(max_examples=8)
@given(seed=st.integers(0, 10**6))
def test_order_of_patients_does_not_matter(direction, seed):
    x, y = cohort()
    shuffled = np.random.default_rng(seed).permutation(len(x))
    one, other = StepCox(direction).fit(x, y), StepCox(direction, n_jobs=2).fit(x[shuffled], y[shuffled])
    np.testing.assert_array_equal(one.coef_, other.coef_)
    assert one.trace_ == other.trace_


@EACH_DIRECTION
@settings(max_examples=8)
@given(
    factor=st.floats(1e-3, 1e3).flatmap(lambda size: st.sampled_from([size, -size])),
    level=st.floats(-100, 100),
    column=st.integers(0, 9),
)
def test_scale_and_level_of_a_column_do_not_matter(direction, factor, level, column):
    x, y = cohort()
    moved = x.copy()
    moved[:, column] = moved[:, column] * factor + level
    plain, other = StepCox(direction).fit(x, y), StepCox(direction).fit(moved, y)
    assert [change for change, _ in plain.trace_] == [change for change, _ in other.trace_]
    expected = plain.coef_.copy()
    expected[column] /= factor
    np.testing.assert_allclose(other.coef_, expected, rtol=1e-6, atol=0)
    np.testing.assert_allclose(other.predict(moved), plain.predict(x), atol=1e-6)


@EACH_DIRECTION
def test_a_gene_that_kills_raises_the_risk(direction):
    x, y = cohort()
    model = StepCox(direction).fit(x, y)
    assert model.coef_[0] > 0 > model.coef_[1]
    higher = x.copy()
    higher[:, 0] += 1
    assert (model.predict(higher) > model.predict(x)).all()
    assert model.score(x, y) > 0.65
    assert model.predict(x).mean() == pytest.approx(0, abs=1e-12)


def test_names_and_mandatory_columns():
    x, y = cohort()
    frame = pd.DataFrame(x, columns=[f"G{j}" for j in range(10)])
    backward = StepCox("backward").fit(frame, y)
    dropped = {int(change.removeprefix("- G")) for change, _ in backward.trace_[1:]}
    assert dropped == set(range(10)) - set(backward.selected_)
    weak = sorted(dropped)[:2]
    for direction in DIRECTIONS:
        model = clone(StepCox(direction, mandatory=weak)).fit(frame, y)
        assert set(weak) <= set(model.selected_)
        assert (model.coef_[weak] != 0).all()
        assert not {f"- G{j}" for j in weak} & {change for change, _ in model.trace_}


def test_of_equal_columns_the_first_one_enters():
    x, y = cohort(p=4)
    twice = np.column_stack([x[:, 3], x[:, 0], x[:, 1], x[:, 0], x[:, 1]])
    model = StepCox("forward").fit(twice, y)
    assert {1, 2} <= set(model.selected_)
    assert not {3, 4} & set(model.selected_)
    assert model.notes_ == []


@EACH_DIRECTION
def test_collinear_and_constant_columns(direction):
    x, y = cohort(p=5)
    wide = np.column_stack([x, x[:, 0] + 2 * x[:, 1] - 3, np.full(len(x), 7.0), x[:, 1]])
    model = StepCox(direction).fit(wide, y)
    assert (model.coef_[5:] == 0).all()
    np.testing.assert_allclose(model.coef_[:5], StepCox(direction).fit(x, y).coef_, rtol=1e-7)
    assert model.notes_[0].startswith("1 of 8 columns left out: constant")
    if direction != "forward":
        assert model.notes_[1] == "2 of 8 columns left out: linear combinations of other columns (5, 7)"
        # A mandatory column stays in place of an earlier one.
        kept = StepCox(direction, mandatory=[7]).fit(wide, y)
        assert kept.coef_[7] < 0
        assert kept.coef_[1] == 0


@EACH_DIRECTION
def test_more_columns_than_patients(direction):
    x, y = cohort(n=60, p=150)
    model = StepCox(direction).fit(x, y)
    limit = int(0.8 * y["event"].sum())
    assert 1 <= model.selected_.size <= limit
    assert np.isfinite(model.coef_).all()
    assert np.isfinite(model.predict(x)).all()
    if direction == "forward":
        assert any("could not enter: with them the likelihood has no maximum" in note for note in model.notes_)
    else:
        assert "left out of the start model" in model.notes_[0]
        assert f"deaths allow {limit}" in model.notes_[0]


def test_forward_stops_at_the_share_of_deaths():
    x, y = cohort()
    model = StepCox("forward", max_start_share=0.03).fit(x, y)
    assert model.selected_.tolist() == [0, 1]
    assert model.notes_ == ["the search ended at 2 columns, the most that max_start_share 0.03 allows"]


@EACH_DIRECTION
def test_separated_columns(direction):
    x, y = cohort(n=80, p=4)
    # Nobody with the flag dies, and no flag is the best there is.
    flag = np.zeros(80)
    flag[np.flatnonzero(~y["event"] & (y["time"] > np.median(y["time"])))] = 1
    model = StepCox(direction).fit(np.column_stack([x, flag]), y)
    assert model.coef_[4] == 0
    words = "could not enter" if direction == "forward" else "with them the fit does not converge"
    assert any(words in note for note in model.notes_)
    only = StepCox(direction).fit(flag[:, None], y)
    assert -10 < only.coef_[0] < 0
    assert any("by AIC the empty model is best" in note for note in only.notes_)
    assert any("shrunk by a ridge" in note for note in only.notes_)


@EACH_DIRECTION
def test_noise_still_gives_a_column(direction):
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(60, 3)), as_outcome(rng.integers(1, 50, 60), rng.random(60) < 0.5)
    model = StepCox(direction, "bic").fit(x, y)
    assert model.selected_.size == 1
    assert model.coef_[model.selected_[0]] != 0
    assert any(f"best single column was taken, {model.selected_[0]}" in note for note in model.notes_)
    best = max(fit_cox(x[:, [j]], y["time"], y["event"]).loglik for j in range(3))
    assert model.criterion_ == pytest.approx(-2 * best + np.log(y["event"].sum()), abs=1e-8)


@EACH_DIRECTION
@pytest.mark.parametrize("ties", ["efron", "breslow"])
@pytest.mark.parametrize("n_deaths", [1, 3])
def test_few_deaths(direction, ties, n_deaths):
    x, y = cohort(n=30, p=6)
    event = np.zeros(30, dtype=bool)
    event[np.argsort(y["time"])[:n_deaths]] = True
    model = StepCox(direction, "bic", ties).fit(x, as_outcome(y["time"], event))
    assert model.selected_.size >= 1
    assert np.isfinite(model.coef_).all()
    assert np.isfinite(model.predict(x)).all()


@EACH_DIRECTION
def test_heavy_ties(direction):
    x, y = cohort()
    two = as_outcome(np.where(y["time"] > np.median(y["time"]), 2.0, 1.0), y["event"])
    model = StepCox(direction).fit(x, two)
    assert 0 in model.selected_
    assert model.coef_[0] > 0


def test_bad_input():
    x, y = cohort()
    with pytest.raises(InputError, match="no column varies"):
        StepCox().fit(np.ones((len(x), 2)), y)
    separating = -y["time"][:, None].astype(float)
    with pytest.raises(InputError, match="mandatory columns alone"):
        StepCox(mandatory=[0]).fit(separating, as_outcome(y["time"], y["event"] | True))
    for settings_, words in (
        ({"direction": "sideways"}, "direction: 'sideways' is not known"),
        ({"criterion": "cp"}, "criterion: 'cp' is not known"),
        ({"ties": "exact"}, "use efron or breslow"),
        ({"max_start_share": 0.0}, "max_start_share must lie"),
        ({"max_start_share": 1.5}, "max_start_share must lie"),
        ({"mandatory": [10]}, "positions from 0 to 9"),
        ({"mandatory": [-1]}, "positions from 0 to 9"),
    ):
        with pytest.raises(InputError, match=words):
            StepCox(**settings_).fit(x, y)
