"""Riley's minimum sample size."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from amlprognosis.evaluation.sample_size import (
    CRITERIA,
    expected_shrinkage,
    largest_r2,
    riley_r2_n,
    riley_risk_n,
    riley_shrinkage_n,
    sample_size_table,
    validation_minimum_n,
)


def test_published_example() -> None:
    # Riley 2019, section 5: R2 0.051, 25 parameters, shrinkage 0.9 need 4286 patients.
    assert riley_shrinkage_n(25, 0.051) == 4286


def test_example_of_the_authors_program() -> None:
    # Help of pmsampsize, survival: R2 0.051, 30 parameters, 0.065 deaths per year, mean follow-up 2.07 years. The
    # program prints 5143 and 1039 for criteria 1 and 2 and takes 10,000 patients for the largest R2.
    events = math.ceil(0.065 * 2.07 * 10_000)
    assert riley_shrinkage_n(30, 0.051) == 5143
    assert riley_r2_n(30, 0.051, largest_r2(10_000, events)) == 1039


def test_overall_risk_is_known_with_just_the_patients_asked_for() -> None:
    rate, followup, horizon = 0.065, 2.07, 2.0
    risk = 1 - math.exp(-rate * horizon)

    def widest(patients: int) -> float:
        error = math.sqrt(rate / (patients * followup))
        ends = [1 - math.exp(-(rate + sign * 1.96 * error) * horizon) for sign in (-1, 1)]
        return max(abs(end - risk) for end in ends)

    needed = riley_risk_n(rate, followup, horizon)
    assert widest(needed) <= 0.05 < widest(needed - 1)


@given(st.integers(1, 2000), st.floats(0.01, 0.8), st.integers(20, 20_000))
def test_expected_shrinkage_turns_the_first_criterion_round(parameters: int, r2: float, patients: int) -> None:
    shrinkage = expected_shrinkage(parameters, r2, patients)
    assert r2 <= shrinkage < 1
    if shrinkage - r2 > 1e-6 and shrinkage < 1 - 1e-6:
        needed = parameters / ((shrinkage - 1) * math.log1p(-r2 / shrinkage))
        assert needed == pytest.approx(patients, rel=1e-3)


def test_present_patients_of_the_published_example() -> None:
    assert expected_shrinkage(25, 0.051, 4286) == pytest.approx(0.9, abs=1e-4)


def test_validation_precision() -> None:
    # Half the error needs four times the patients.
    assert validation_minimum_n(100, 0.102) == 400
    assert validation_minimum_n(400, 0.051) == 400


def test_a_genome_on_a_hundred_patients_is_too_small() -> None:
    days = np.arange(1, 101)
    table = sample_size_table({"age": 1, "gene_index": 700}, days * 20.0, days % 2 == 0, 3).set_index("model")
    assert (table["verdict"] == "too small").all(), "100 patients do not tell the overall risk within 0.05"
    assert table.loc["age", "riley_criterion"] == CRITERIA["riley_risk_n"]
    assert table.loc["age", "expected_shrinkage"] > 0.9
    assert table.loc["gene_index", "riley_criterion"] == CRITERIA["riley_shrinkage_n"]
    assert table.loc["gene_index", "events_per_parameter"] == pytest.approx(50 / 700)
    each = table[["riley_shrinkage_n", "riley_r2_n", "riley_risk_n"]]
    assert (table["riley_minimum_n"] == each.max(axis=1)).all()


def test_many_patients_are_enough() -> None:
    days = np.tile(np.arange(1, 101), 20)
    table = sample_size_table({"age": 1}, days * 20.0, days % 2 == 0, 3)
    assert list(table["verdict"]) == ["enough"]


def test_impossible_r2_is_refused() -> None:
    with pytest.raises(ValueError, match="r2_cox_snell"):
        riley_shrinkage_n(5, 0.95)
