"""Riley's minimum sample size."""

from __future__ import annotations

import numpy as np
import pytest

from amlprognosis.evaluation.sample_size import null_log_partial_likelihood, riley_minimum_n, sample_size_table


def test_published_example() -> None:
    # Riley 2019, section 5: R2 0.051, 25 parameters, shrinkage 0.9 need 4286 patients.
    assert riley_minimum_n(25, 0.051) == 4286


def test_null_likelihood_by_hand() -> None:
    # Deaths at 1 (3 at risk) and 3 (1 at risk); the patient at 2 is censored.
    assert null_log_partial_likelihood([1, 2, 3], [True, False, True]) == pytest.approx(-np.log(3))


def test_a_genome_on_a_hundred_patients_is_too_small() -> None:
    time = np.arange(1.0, 101)
    table = sample_size_table({"age": 1, "gene_index": 700}, time, time % 2 == 0).set_index("model")
    assert table.loc["age", "verdict"] == "enough"
    assert table.loc["gene_index", "verdict"] == "too small"
    assert table.loc["gene_index", "events_per_parameter"] == pytest.approx(50 / 700)


def test_impossible_r2_is_refused() -> None:
    with pytest.raises(ValueError, match="r2_cox_snell"):
        riley_minimum_n(5, 0.95)
