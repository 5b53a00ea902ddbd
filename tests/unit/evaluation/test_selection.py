"""What "the best of all models" is worth when the choice is made anew in bootstrap draws."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from amlprognosis.evaluation.leaderboard import evaluate_models
from amlprognosis.evaluation.selection import SUMMARY_COLUMNS, rechosen, selection_table
from amlprognosis.study import BEST_OF_GRID

NOISE = [f"Enet[alpha={k / 100:g}]" for k in range(1, 31)]


def evaluated(strength: dict[str, float], n: int = 150, seed: int = 3, draws: int = 100, missing: str = ""):
    """Out-of-fold risks of models that know the outcome by a certain strength."""
    rng = np.random.default_rng(seed)
    patients = [f"P{i:03d}" for i in range(n)]
    truth = rng.normal(size=n)
    time, event = rng.exponential(900 * np.exp(-truth)) + 1, rng.random(n) < 0.7
    outcome = pd.DataFrame({"os_time": time, "os_event": event}, index=patients)
    fold = np.arange(n) % 5 + 1
    tables = []
    for model, known in strength.items():
        table = pd.DataFrame({"model": model, "repeat": 1, "fold": fold, "patient": patients})
        table["risk"] = known * truth + rng.normal(size=n)
        table["risk_group"] = np.where(table["risk"] > 0, "high", "low")
        tables.append(table[table["fold"] != 2] if model == missing else table)
    return evaluate_models(pd.concat(tables, ignore_index=True), outcome, [1, 3], n_boot=draws, seed=1)


def items(run, refused=()):
    table = selection_table(run, refused)
    assert list(table.columns) == SUMMARY_COLUMNS
    return table.set_index("item")


def test_on_noise_the_best_is_worth_nothing():
    found = items(evaluated(dict.fromkeys(NOISE, 0.0)))
    assert found.loc["models", "value"] == 30
    assert found.loc["c_best", "value"] > 0.56
    assert found.loc["c_corrected", "value"] == pytest.approx(0.5, abs=0.05)
    assert found.loc["c_corrected", "low"] < 0.5 < found.loc["c_corrected", "high"]
    assert found.loc["optimism", "value"] == pytest.approx(
        found.loc["c_best", "value"] - found.loc["c_corrected", "value"]
    )
    assert found.loc["same_choice", "value"] < 0.6


def test_a_clear_winner_costs_nothing():
    found = items(evaluated({"gene_index": 3.0, "xgboost_cox": 0.5, "RSF": 0.0}))
    assert found.loc["c_best", "text"] == "gene_index"
    assert found.loc["optimism", "value"] == pytest.approx(0, abs=0.01)
    assert (found.loc["same_choice", "value"], found.loc["same_choice", "text"]) == (1.0, "gene_index 100%")


def test_only_models_fitted_everywhere_that_are_no_comparators_compete():
    strength = {"gene_index": 0.3, "Ridge": 3.0, "RSF": 2.0, "age": 5.0, "lsc17": 5.0, BEST_OF_GRID: 5.0, "Lasso": 0.1}
    found = items(evaluated(strength, missing="Ridge"), ["RSF"])
    assert found.loc["models", "value"] == 2
    assert found.loc["c_best", "text"] == "gene_index"
    assert set(rechosen(evaluated(strength, missing="Ridge"), ["Ridge", "Lasso", "RSF"]).names) == {"Lasso", "RSF"}


def test_without_a_choice_or_without_draws_it_says_so():
    one = items(evaluated({"gene_index": 1.0, "age": 2.0}))
    assert one.loc["c_corrected", "value"] == one.loc["c_best", "value"]
    assert (one.loc["optimism", "value"], one.loc["c_corrected", "text"]) == (0, "one model: nothing was chosen")
    none = items(evaluated({"gene_index": 1.0, "RSF": 2.0}, draws=0))
    assert np.isnan(none.loc["c_corrected", "value"])
    assert none.loc["c_corrected", "text"].startswith("evaluation.bootstrap is 0")
    assert items(evaluated({"age": 2.0})).index.tolist() == ["models"]
