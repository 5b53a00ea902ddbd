import numpy as np
import pytest

from amlprognosis.errors import InputError
from amlprognosis.models.cox_lasso import lambda_sequence, lasso_path
from amlprognosis.models.penalized_cohort import Cohort
from amlprognosis.models.stability import _first_columns, stability_frequencies


def simulate(n=120, p=30, seed=0, days=1.0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, p))
    death = rng.exponential(np.exp(-x[:, :3] @ [0.9, 0.8, -0.8])) * 500 + 1
    censored = rng.uniform(200, 2000, n)
    return x, np.ceil(np.minimum(death, censored) / days) * days, death <= censored


def test_planted_columns_are_stable():
    found = stability_frequencies(*simulate())
    assert found.shape == (30,)
    assert (found[:3] > 0.9).all()
    assert found[3:].max() < 0.6
    # sqrt(0.8 * 30) columns per half-sample.
    assert found.sum() == pytest.approx(4)


def test_neither_scales_nor_threads_matter():
    x, time, event = simulate(days=100.0)
    first = stability_frequencies(x, time, event, n_pairs=10, q=6)
    np.testing.assert_array_equal(stability_frequencies(x, time, event, n_pairs=10, q=6, n_jobs=3), first)
    scale, shift = np.geomspace(1e-3, 1e3, 30), np.linspace(-5, 5, 30)
    np.testing.assert_allclose(stability_frequencies(x * scale + shift, time, event, 10, 6), first, atol=0.051)
    other = stability_frequencies(x, time, event, n_pairs=10, q=6, random_state=1)
    assert (other != first).any()


@pytest.mark.parametrize("q", [1, 3, 8])
def test_the_first_columns_are_those_of_the_lasso_path(q):
    x, time, event = simulate(days=100.0)
    cohort = Cohort(x, time, event)
    rows = np.sort(np.random.default_rng(q).permutation(len(x))[:60])
    block = np.repeat(np.arange(cohort.sets.times.size), np.diff(cohort.sets.starts))
    found = _first_columns(cohort, rows, block[rows], q)
    part = cohort.sets.order[rows]
    lambdas = lambda_sequence(x[part], time[part], event[part], n_lambda=3000, min_ratio=0.05)
    path = lasso_path(x[part], time[part], event[part], lambdas, tolerance=1e-12)
    used = path.coefficients != 0
    entry = np.where(used.any(axis=0), used.argmax(axis=0), 10**6)
    assert sorted(found) == sorted(np.argsort(entry, kind="stable")[:q])


def test_defined_ends():
    x, time, event = simulate(30, 5)
    x[:, 4] = 1.0
    wide = stability_frequencies(np.hstack([x, np.random.default_rng(0).normal(size=(30, 200))]), time, event, 5)
    assert wide[4] == 0
    assert stability_frequencies(x[:, 4:], time, event, 3, q=1).tolist() == [0.0]
    assert stability_frequencies(x[:, :1], time, event, 3).tolist() == [1.0]
    died = np.zeros(30, dtype=bool)
    died[np.argsort(time)[[1, 2, 9]]] = True
    assert stability_frequencies(x, time, died, 5).sum() > 0
    assert stability_frequencies(x, np.ceil(time / 300), event | True, 5).sum() > 0
    one = np.arange(30) == 3
    for arguments, words in (
        ((x, time, one), "needs at least 2"),
        ((x, time, event, 0), "n_pairs must be"),
        ((x, time, event, 5, 6), "q must be a whole number from 1 to 5"),
        ((x * np.nan, time, event), "finite"),
        ((x, time, one & False), "nobody died"),
    ):
        with pytest.raises(InputError, match=words):
            stability_frequencies(*arguments)
