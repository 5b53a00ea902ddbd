"""The grid in the report: its figure, its tables, and what the verdict says of picking the best."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from report_factory import make_study, make_tables

from amlprognosis.report import html_tables
from amlprognosis.report.chosen import reported_models
from amlprognosis.report.figures import figures_of
from amlprognosis.report.grid_figures import figure_grid, rank_correlation
from amlprognosis.report.methods import limits, methods
from amlprognosis.report.theme import NothingToDraw, Tables
from amlprognosis.report.wording import verdict
from amlprognosis.study import BEST_OF_GRID

MEMBERS = ["RSF", "Lasso", "Ridge", "CoxBoost", "Lasso + GBM", "RSF + StepCox[both]"]


@pytest.fixture(scope="module")
def study():
    return make_study(models={"run": ["gene_index", "age", "clinical", *MEMBERS]}, atlases={})


@pytest.fixture(scope="module")
def tables(study):
    content = make_tables(make_study())
    c = np.array([0.68, 0.66, 0.65, 0.64, 0.60, np.nan])
    content["grid"] = pd.DataFrame(
        {
            "model": MEMBERS, "selector": [np.nan] * 4 + ["Lasso", "RSF"],
            "learner": ["RSF", "Lasso", "Ridge", "CoxBoost", "GBM", "StepCox[both]"],
            "c_harrell": c, "c_harrell_low": c - 0.05, "c_harrell_high": c + 0.05,
            "c_own_training": [0.9, 0.75, 0.74, 0.76, 0.88, np.nan], "times_chosen": [6, 2, 1, 1, 0, 0],
            "fits_failed": [0, 0, 0, 0, 0, 10], "reason": [np.nan] * 5 + ["selector RSF keeps 1 of 9 genes"],
        }
    )  # fmt: skip
    content["grid_summary"] = pd.DataFrame(
        [
            ("members", 6, np.nan, np.nan, np.nan, "asked for"),
            ("c_best", 0.68, 0.63, 0.73, "RSF", "largest"),
            ("c_nested", 0.65, 0.6, 0.7, np.nan, "nested"),
            ("optimism", 0.03, 0.01, 0.05, np.nan, "worth nothing"),
        ],
        columns=["item", "value", "low", "high", "text", "meaning"],
    )
    outside = [
        {"cohort": "array", "adaptation": "none", "model": model, "kind": "combination", "patients": 148, "events": 97,
         "c_harrell": value, "c_harrell_low": value - 0.06, "c_harrell_high": value + 0.06, "note": ""}
        for model, value in zip(MEMBERS[:5], (0.55, 0.56, 0.57, 0.58, 0.59), strict=True)
    ]  # fmt: skip
    content["validation"] = pd.concat([content["validation"], pd.DataFrame(outside)], ignore_index=True)
    best = content["comparisons"].iloc[[0]].assign(
        cohort="train (cross-validated)", model=BEST_OF_GRID, comparator="clinical", metric="c_harrell",
        difference=-0.04, low=-0.08, high=-0.01,
    )  # fmt: skip
    content["comparisons"] = pd.concat([content["comparisons"], best], ignore_index=True)
    return Tables(content, study)


def test_the_figure_shows_every_evaluated_member_in_each_judgement(study, tables):
    panel = figure_grid(tables, study)
    spec = panel.chart.to_dict()
    points = [value for values in spec["datasets"].values() for value in values if "model" in value]
    shown = {(point.get("kind"), point["model"]) for point in points}
    assert ("Cross-validated", "RSF") in shown
    assert ("On its own training patients", "Lasso + GBM") in shown
    assert ("Simulated array", "Ridge") in shown
    assert not [model for _, model in shown if model == "RSF + StepCox[both]"]
    assert "with the choice made in inner folds: 0.65" in panel.note
    assert "the best cross-validated is RSF" in panel.alt_text


def test_without_an_evaluated_member_there_is_nothing_to_draw(study):
    empty = Tables({"grid": pd.DataFrame({"model": ["RSF"], "c_harrell": [np.nan], "c_own_training": [np.nan]})})
    with pytest.raises(NothingToDraw, match="No member"):
        figure_grid(empty, study)


def test_the_verdict_tells_the_optimism_and_compares_with_the_clinic(study, tables):
    said = " ".join(statement.text for statement in verdict(study, tables))
    assert "The best of the 6 learners and combinations, RSF, has a cross-validated C of 0.68" in said
    assert "with the choice made in inner folds it is 0.65" in said
    assert "0.030 of it belongs to the picking" in said
    assert "It is worse than the clinical Cox model" in said
    assert "the rank in cross-validation has a correlation of −1.00 with that in Simulated array." in said
    assert rank_correlation(tables, "rnaseq") is None


def test_tables_and_figures_of_the_grid(study, tables):
    table = html_tables.grid(tables, study)
    assert table is not None
    assert len(table.rows) == len(MEMBERS)
    assert [heading for heading, _ in table.headings][:3] == ["Selector", "Learner", "C (cross-validated)"]
    summary = html_tables.picking(tables, "grid_summary")
    assert summary is not None
    assert summary.rows[1][1].text == "0.680 (0.630–0.730): RSF"
    assert "grid" in figures_of(study)
    assert reported_models(study)[-1] == BEST_OF_GRID
    assert "grid" not in figures_of(make_study())


def test_the_methods_name_the_families(study, tables):
    text = " ".join(methods(study, tables, {}))
    assert "A grid of 6 learners and combinations (random survival forest, lasso, ridge, stepwise Cox, CoxBoost" in text
    assert "chosen in 5 inner folds" in text


def test_curves_that_nothing_calibrates_are_a_limit(study, tables):
    assert "Survival curves of the members were calibrated by the 5 inner folds" in " ".join(methods(study, tables, {}))
    assert "too extreme" not in " ".join(limits(study, tables))
    bare = make_study(models={"run": ["gene_index", "clinical", *MEMBERS], "grid": {"inner_folds": 0}}, atlases={})
    assert "too extreme" in " ".join(limits(bare, tables))
    assert "calibrated by the" not in " ".join(methods(bare, tables, {}))
