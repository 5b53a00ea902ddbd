from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amlprognosis.errors import InputError
from amlprognosis.evaluation.folds import make_folds, strata_of, validate_folds


def cohort(n=50, events=25, seed=0):
    rng = np.random.default_rng(seed)
    return [f"P{k}" for k in range(n)], np.arange(n) < events, rng.integers(1, 900, n).astype(float)


@given(st.integers(30, 80), st.integers(2, 5), st.integers(1, 3), st.integers(0, 9))
@settings(max_examples=20, deadline=None)
def test_folds_are_balanced_complete_and_independent_of_row_order(n, k, repeats, seed):
    names, event, time = cohort(n, n // 2)
    risk = np.array(["adverse", "favourable", None], dtype=object)[np.arange(n) % 3]
    folds = make_folds(names, event, time, k, repeats, seed, risk)
    validate_folds(folds, names)
    assert set(folds["repeat"]) == set(range(1, repeats + 1))
    assert set(folds["fold"]) == set(range(1, k + 1))
    order = np.random.default_rng(seed).permutation(n)
    again = make_folds([names[i] for i in order], event[order], time[order], k, repeats, seed, risk[order])
    pd.testing.assert_frame_equal(folds, again)
    sizes = folds.groupby(["repeat", "fold"]).size()
    deaths = folds.assign(e=folds["patient"].map(dict(zip(names, event, strict=True))))
    counts = deaths.groupby(["repeat", "fold"])["e"].sum()
    assert sizes.max() - sizes.min() <= 1
    assert counts.max() - counts.min() <= 1


def test_repeats_and_seeds_differ():
    names, event, time = cohort()
    a = make_folds(names, event, time, 5, 2, 1)
    assert a[a["repeat"] == 1]["patient"].tolist() != a[a["repeat"] == 2]["patient"].tolist()
    assert a["patient"].tolist() != make_folds(names, event, time, 5, 2, 2)["patient"].tolist()


def test_bad_outcomes_are_refused():
    names, event, time = cohort()
    with pytest.raises(InputError, match="only 9 events"):
        make_folds(names, np.arange(50) < 9, time, 5, 1, 0)
    with pytest.raises(InputError, match="constant"):
        make_folds(names, event, np.full(50, 3.0), 5, 1, 0)
    with pytest.raises(InputError, match="P0 occurs more than once"):
        make_folds(["P0", *names[:-1]], event, time, 5, 1, 0)
    with pytest.raises(InputError, match="has no event"):
        make_folds(names, np.arange(50) < 10, time, 12, 1, 0)
    with pytest.raises(InputError, match="not a positive number"):
        make_folds(names, event, np.where(np.arange(50) == 3, -np.inf, time), 5, 1, 0)
    with pytest.raises(InputError, match="at least 2"):
        make_folds(names, event, time, 1, 1, 0)


def test_validate_folds_finds_the_patient():
    names, event, time = cohort()
    folds = make_folds(names, event, time, 5, 1, 0)
    with pytest.raises(InputError, match="never held out"):
        validate_folds(folds.iloc[1:], names)
    with pytest.raises(InputError, match="more than once"):
        validate_folds(pd.concat([folds, folds.iloc[:1].assign(fold=2)]), names)
    with pytest.raises(InputError, match="not in the cohort"):
        validate_folds(folds, names[1:] if folds["patient"].iloc[0] else names)
    with pytest.raises(InputError, match="lacks column fold"):
        validate_folds(folds.drop(columns="fold"), names)


@given(st.integers(40, 80), st.integers(2, 5), st.integers(0, 9), st.integers(1, 3))
@settings(max_examples=20, deadline=None)
def test_no_patient_is_in_two_folds_of_a_repeat(n, k, seed, groups):
    names, event, time = cohort(n, n // 2)
    strata = np.random.default_rng(seed).integers(0, groups, n).astype(str)
    folds = make_folds(names, event, time, k, 2, seed, strata)
    assert not folds.duplicated(["repeat", "patient"]).any()
    assert len(folds) == 2 * n
    stratum = pd.Series(strata, index=names) + event.astype(str)
    own = folds.assign(stratum=stratum[folds["patient"]].to_numpy())
    for _, part in own.groupby(["repeat", "stratum"]):
        counts = part["fold"].value_counts().reindex(range(1, k + 1), fill_value=0)
        if len(part) >= k:
            assert counts.max() - counts.min() <= 1


def test_groups_too_small_for_the_folds_are_dealt_anew_in_every_repeat():
    names, event, time = cohort(60, 30)
    own_group = [f"centre {k:02d}" for k in range(60)]
    folds = make_folds(names, event, time, 5, 2, 1, own_group)
    pd.testing.assert_frame_equal(folds, make_folds(names, event, time, 5, 2, 1))
    together = folds.pivot(index="patient", columns="repeat", values="fold")
    assert pd.crosstab(together[1], together[2]).gt(0).to_numpy().sum() > 15


def test_strata_are_named_counted_and_refused():
    obs = pd.DataFrame({"trial": ["A", "B"] * 10, "risk": ["adverse"] * 15 + [None] * 3 + ["favourable"] * 2})
    obs["code"] = range(20)
    strata, notes = strata_of(obs, ["risk", "trial"], 3, "crossvalidation.stratify")
    assert strata[0] == "adverse / A"
    assert strata[15] == "missing / B"
    assert notes[0].startswith("balanced for death and risk, trial: adverse / A 8, adverse / B 7")
    assert notes[1] == "5 patients belong to 4 groups of fewer than 3 by risk, trial: they are balanced for death alone"
    assert len(strata_of(obs, ["trial"], 5, "x")[1]) == 1
    with pytest.raises(InputError, match="code splits 20 patients into 20 groups"):
        strata_of(obs, ["code"], 3, "crossvalidation.stratify")
    with pytest.raises(InputError, match=r"crossvalidation.stratify: no column 'trail'; did you mean 'trial'"):
        strata_of(obs, ["trail"], 3, "crossvalidation.stratify")
