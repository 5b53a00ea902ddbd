"""Tables of the evidence: answers, differences, added value, pooled figures, decisions, controls, seeds, checks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from amlprognosis.report.chosen import decision_models
from amlprognosis.report.evidence_figures import measures
from amlprognosis.report.html_cells import (
    Cell,
    Column,
    PageTable,
    adaptation_cell,
    count_cell,
    number_cell,
    of_column,
    p_cell,
    page_table,
    sizes_cell,
    text_cell,
)
from amlprognosis.report.reading import signed
from amlprognosis.report.theme import Tables, fixed, interval, number, percent
from amlprognosis.study import Study, model_label

CONTROLS = {
    "index": "Gene index",
    "random_gene_set": "Random gene sets",
    "permuted_outcome": "Permuted outcomes",
    "leaky_recipe": "Leaky recipe, same data",
    "honest_recipe": "The same recipe, honestly",
    "leaky_recipe_permuted": "Leaky recipe, permuted outcomes",
    "honest_recipe_permuted": "Honest recipe, permuted outcomes",
}
SHOWN_THRESHOLDS = tuple(round(0.1 * step, 1) for step in range(1, 10))


def _place(study: Study) -> Column:
    """The cohort of a row; "(cross-validated)" stays where the table says it."""

    def cell(row: Any) -> Cell:
        name, _, rest = str(row["cohort"]).partition(" (")
        text = study.cohort_label(name) + (f" ({rest}" if rest else "")
        return Cell(text, text)

    return ("Cohort", False, cell)


def _model(column: str = "model", title: str = "Model") -> Column:
    return (title, False, of_column(column, lambda value: text_cell(model_label(str(value)))))


def _adaptation(table: pd.DataFrame) -> list[Column]:
    if "adaptation" not in table or not table["adaptation"].fillna("").astype(str).str.strip("-").any():
        return []
    return [("Adaptation", False, lambda row: adaptation_cell(row["adaptation"]))]


def _note(table: pd.DataFrame) -> list[Column]:
    if "note" not in table or not table["note"].fillna("").astype(str).str.strip().any():
        return []
    return [("Note", False, lambda row: text_cell(row["note"]))]


def _spread(value: str, low: str, high: str, digits: int) -> Callable[[Any], Cell]:
    return lambda row: Cell(
        interval(row.get(value), row.get(low), row.get(high), digits), number_cell(row.get(value)).value
    )


def comparisons(tables: Tables, study: Study) -> PageTable | None:
    """Paired differences."""
    table = tables.whole("comparisons")
    if table is None:
        return None
    titles = {m.column: m.title[:1].upper() + m.title[1:] for m in measures(study).values()}
    titles |= {"c_harrell": "C (Harrell)", "c_uno": "C (Uno)", "ibs": "Integrated Brier score"}
    columns: list[Column] = [
        _place(study),
        *_adaptation(table),
        _model(),
        _model("comparator", "Comparator"),
        ("Metric", False, lambda row: text_cell(titles.get(str(row["metric"]), str(row["metric"])))),
        ("Difference (95% interval)", True, lambda row: Cell(signed(row), number_cell(row["difference"]).value)),
        ("p", True, p_cell),
        *_note(table),
    ]
    return page_table("comparisons", table, columns)


def added_value(tables: Tables, study: Study) -> PageTable | None:
    """Likelihood-ratio tests of a model's risk beside a comparator's."""
    table = tables.whole("added_value")
    if table is None:
        return None
    columns: list[Column] = [
        _place(study),
        *_adaptation(table),
        _model(),
        _model("comparator", "Added to"),
        ("HR per SD, given the comparator", True, _spread("hazard_ratio", "hazard_ratio_low", "hazard_ratio_high", 2)),
        ("Likelihood-ratio χ²", True, lambda row: number_cell(row.get("chi2"), 1)),
        ("p", True, p_cell),
        ("Reverse: p of the comparator", True, lambda row: p_cell({"p": row.get("p_reverse")})),
        ("Patients / deaths", True, sizes_cell),
        *_note(table),
    ]
    return page_table("added_value", table, columns)


def meta_analysis(tables: Tables, study: Study) -> PageTable | None:
    """Figures pooled over the validation cohorts."""
    table = tables.get("meta_analysis")
    if table is None:
        return None
    names = {"c_harrell": "C (Harrell)", "calibration_slope": "Calibration slope", "oe": "Observed/expected"}

    def metric(row: Any) -> Cell:
        name = str(row["metric"])
        if name.startswith("c_harrell - "):
            return text_cell(f"C − C of {model_label(name.removeprefix('c_harrell - '))}")
        return text_cell(names.get(name, name))

    columns: list[Column] = [
        _model(),
        ("Figure", False, metric),
        ("Cohorts", True, lambda row: count_cell(row.get("cohorts"))),
        ("Pooled (95% interval)", True, _spread("estimate", "low", "high", 3)),
        ("Interval for a new cohort", True, _prediction),
        ("I²", True, lambda row: Cell(percent(row.get("i2")), number_cell(row.get("i2")).value)),
        ("τ²", True, lambda row: number_cell(row.get("tau2"), 4)),
        ("p of heterogeneity", True, lambda row: p_cell({"p": row.get("q_p")})),
        *_note(table),
    ]
    return page_table("meta_analysis", table, columns)


def _prediction(row: Any) -> Cell:
    low, high = number(row.get("prediction_low")), number(row.get("prediction_high"))
    if low is None or high is None:
        return Cell("–")
    return Cell(f"{fixed(low, 3)} to {fixed(high, 3)}", low)


def decision_curve(tables: Tables, study: Study) -> PageTable | None:
    """Net benefit at round thresholds of the models whose curves are drawn."""
    table = tables.get("decision_curve")
    if table is None:
        return None
    table = table[table["model"].isin(decision_models(study))]
    grid = np.sort(table["threshold"].unique())
    near = {grid[np.abs(grid - threshold).argmin()] for threshold in SHOWN_THRESHOLDS} if len(grid) else set()
    table = table[table["threshold"].isin(near)]
    columns: list[Column] = [
        _place(study),
        _model(),
        ("Threshold", True, lambda row: Cell(percent(row["threshold"]), row["threshold"])),
        ("Net benefit (95% interval)", True, _spread("net_benefit", "low", "high", 3)),
        ("Treat all", True, lambda row: number_cell(row.get("treat_all"), 3)),
    ]
    return page_table("decision_curve", table, columns)


def d_calibration(tables: Tables, study: Study) -> PageTable | None:
    """D-calibration of each model: test, and smallest and largest share of a tenth."""
    table = tables.get("d_calibration")
    if table is None or not {"cohort", "model", "share", "p"} <= set(table):
        return None
    rows = [
        {"cohort": cohort, "model": model, "chi2": part.get("chi2", pd.Series([np.nan])).iloc[0],
         "p": part["p"].iloc[0], "low": part["share"].min(), "high": part["share"].max()}
        for (cohort, model), part in table.groupby(["cohort", "model"], sort=False)
    ]  # fmt: skip
    columns: list[Column] = [
        _place(study),
        _model(),
        ("Shares of the tenths", True, lambda row: Cell(f"{percent(row['low'])} to {percent(row['high'])}")),
        ("χ²", True, lambda row: number_cell(row["chi2"], 1)),
        ("p", True, p_cell),
    ]
    return page_table("d_calibration", pd.DataFrame(rows), columns)


def controls(tables: Tables, study: Study) -> PageTable | None:
    """Negative controls by cohort beside what was observed: the C of the index, or of the recipe on real outcomes."""
    table = tables.get("controls_summary")
    if table is None:
        return None
    if "cohort" not in table:
        table = table.assign(cohort=study.training)
    columns: list[Column] = [
        _place(study),
        ("Control", False, lambda row: text_cell(CONTROLS.get(str(row["control"]), str(row["control"])))),
        ("Draws", True, lambda row: count_cell(row.get("draws"))),
        ("C (range of 95% of draws)", True, _spread("mean", "low", "high", 2)),
        ("Observed C", True, lambda row: number_cell(row.get("observed"))),
        ("Empirical p", True, p_cell),
    ]
    return page_table("controls_summary", table, columns)


def stability(tables: Tables) -> PageTable | None:
    """Nogueira's index over folds and over seeds."""
    table = tables.get("stability_summary")
    if table is None:
        return None
    columns: list[Column] = [_model()]
    if "over" in table:
        columns.append(("Over", False, lambda row: text_cell(f"other {row['over']}")))
    columns += [
        ("Fits", True, lambda row: count_cell(row.get("fits"))),
        ("Candidate genes", True, lambda row: count_cell(row.get("candidates"))),
        ("Genes chosen, mean", True, lambda row: number_cell(row.get("features"), 1)),
        ("Nogueira index (95% interval)", True, _spread("nogueira", "low", "high", 2)),
    ]
    return page_table("stability_summary", table, columns)


def seeds(tables: Tables) -> PageTable | None:
    """The index with other seeds."""
    table = tables.get("seed_stability")
    if table is None:
        return None
    columns: list[Column] = [
        ("Seed", True, lambda row: Cell(str(int(row["seed"])), row["seed"])),
        ("C (cross-validated)", True, lambda row: number_cell(row.get("c_harrell"), 3)),
        ("Genes", True, lambda row: count_cell(row.get("genes"))),
        ("Shared with the index", True, lambda row: count_cell(row.get("shared"))),
        ("Jaccard index", True, lambda row: number_cell(row.get("jaccard"))),
        ("Rank correlation of risks", True, lambda row: number_cell(row.get("risk_correlation"))),
        *_note(table),
    ]
    return page_table("seed_stability", table, columns)


def leakage_checks(tables: Tables, study: Study) -> PageTable | None:
    """Traces of leakage that the run looked for."""
    table = tables.get("leakage_checks")
    if table is None:
        return None

    def finding(row: Any) -> Cell:
        verdict = str(row["verdict"])
        return Cell(verdict, verdict, {"suspect": "bad", "not checked": "flag"}.get(verdict, ""))

    def cohort(row: Any) -> Cell:
        value = row.get("cohort")
        return text_cell(study.cohort_label(value) if isinstance(value, str) and value else "")

    table = table.assign(_order=(table["verdict"] != "suspect").astype(int))
    table = table.sort_values("_order", kind="stable").drop(columns="_order")
    columns: list[Column] = [
        ("Check", False, lambda row: text_cell(_sentence(row["check"]))),
        ("Cohort", False, cohort),
        ("Item", False, lambda row: text_cell(row.get("item"))),
        ("Value", True, lambda row: text_cell(row.get("value"))),
        ("Verdict", False, finding),
        *_note(table),
    ]
    return page_table("leakage_checks", table, columns)


def _sentence(value: Any) -> str:
    text = str(value).replace("_", " ")
    return text[:1].upper() + text[1:]
