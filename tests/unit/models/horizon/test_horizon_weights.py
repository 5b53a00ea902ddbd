"""Labels, weights and pseudo-observations at a horizon."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amlprognosis.models.horizon import ipcw, pseudo_survival
from amlprognosis.models.horizon.logistic_path import logistic_path
from amlprognosis.models.horizon.weights import horizon_targets
from amlprognosis.models.kaplan_meier import kaplan_meier


def leave_one_out(time, event, t):
    """The definition: Kaplan-Meier with and without each patient."""
    n, everybody = len(time), float(kaplan_meier(time, event).at(t))
    out = np.empty(n)
    for i in range(n):
        rest = np.arange(n) != i
        out[i] = n * everybody - (n - 1) * float(kaplan_meier(time[rest], event[rest]).at(t))
    return out


@given(
    st.lists(st.tuples(st.integers(1, 8), st.booleans()), min_size=2, max_size=25),
    st.floats(0.5, 9.5),
)
@settings(max_examples=200)
def test_pseudo_observations_are_those_of_the_definition(patients, t):
    time, event = np.array([p[0] for p in patients], dtype=float), np.array([p[1] for p in patients])
    np.testing.assert_allclose(pseudo_survival(time, event, t), leave_one_out(time, event, t), atol=1e-10)


def test_pseudo_observations_by_hand():
    # Deaths at 1, 3; censored at 2, 4. S(3) = 3/4 * 1/2; without each patient in turn 1/2, 1/3, 2/3, 0.
    time, event = np.array([1.0, 2, 3, 4]), np.array([True, False, True, False])
    without = np.array([1 * 1 / 2, 2 / 3 * 1 / 2, 2 / 3 * 1, 2 / 3 * 0])
    np.testing.assert_allclose(pseudo_survival(time, event, 3.0), 4 * 3 / 8 - 3 * without)


def test_without_censoring_pseudo_observations_are_labels():
    rng = np.random.default_rng(0)
    time, event = rng.exponential(5, 300), np.ones(300, dtype=bool)
    np.testing.assert_allclose(pseudo_survival(time, event, 4.0), time > 4, atol=1e-9)
    # Censoring after the horizon does not matter either.
    event[time > 4] = False
    np.testing.assert_allclose(pseudo_survival(time, event, 4.0), time > 4, atol=1e-9)


def test_targets():
    rng = np.random.default_rng(1)
    time, event = rng.exponential(5, 200), rng.random(200) < 0.7
    weighted, counts = horizon_targets(time, event, 4.0, "ipcw")
    pseudo, same = horizon_targets(time, event, 4.0, "pseudo")
    assert counts == same
    assert sum(counts.values()) == 200
    assert len(weighted.rows) == 200 - counts["censored_before"]
    assert len(pseudo.rows) == 200
    assert pseudo.target.max() > 1
    assert pseudo.target.min() < 0
    # Both estimate the same share of deaths: 1 - S(4).
    dead = 1 - float(kaplan_meier(time, event).at(4.0))
    assert np.average(weighted.target, weights=weighted.weight) == pytest.approx(dead, abs=1e-10)
    assert pseudo.target.mean() == pytest.approx(dead, abs=0.01)


def test_weighting_agrees_with_the_truth_better_than_dropping_censored_patients():
    """40% are censored at random before the horizon or their death; the truth is what a full follow-up would give."""
    rng = np.random.default_rng(5)
    errors = {"ipcw": [], "pseudo": [], "dropped": []}
    slopes = {name: [] for name in errors}
    lambdas = np.array([1e-6])
    for _ in range(25):
        x = rng.normal(size=(1000, 2))
        death = rng.exponential(np.exp(-x @ [0.8, 0.0])) * 5
        censored = rng.exponential(5.5, 1000)
        time, event = np.minimum(death, censored), death <= censored
        died, weight = ipcw(time, event, 4.0)
        assert 0.3 < (weight == 0).mean() < 0.45
        known = weight > 0
        intercept, beta = logistic_path(x, (death <= 4).astype(float), np.ones(1000), lambdas, 0.0)
        truth = np.append(intercept, beta)
        fits = {
            "ipcw": (x[known], died[known].astype(float), weight[known]),
            "pseudo": (x, 1 - pseudo_survival(time, event, 4.0), np.ones(1000)),
            "dropped": (x[known], died[known].astype(float), np.ones(known.sum())),
        }
        for name, (columns, target, weights) in fits.items():
            a, b = logistic_path(columns, target, weights, lambdas, 0.0)
            slopes[name].append(np.append(a, b) - truth)
            errors[name].append(np.average(target, weights=weights) - (death <= 4).mean())
    bias = {name: abs(np.mean(values)) for name, values in errors.items()}
    assert bias["dropped"] > 0.1
    assert max(bias["ipcw"], bias["pseudo"]) < 0.01
    intercepts = {name: abs(np.mean(values, axis=0)[0]) for name, values in slopes.items()}
    assert intercepts["dropped"] > 0.4
    assert max(intercepts["ipcw"], intercepts["pseudo"]) < 0.06
    assert all(np.abs(np.mean(slopes[name], axis=0)[1:]).max() < 0.08 for name in ("ipcw", "pseudo"))
