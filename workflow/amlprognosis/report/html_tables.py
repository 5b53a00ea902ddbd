"""Tables of the page: cells with sort values, estimate and interval in one cell."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pandas as pd

from amlprognosis.report.html_cells import (
    MOST_ROWS,
    Cell,
    Column,
    PageTable,
    adaptation_cell,
    count_cell,
    estimate_cell,
    heading,
    number_cell,
    of_column,
    p_cell,
    page_table,
    sizes_cell,
    text_cell,
)
from amlprognosis.report.ranking_figures import term_label
from amlprognosis.report.reading import without_members
from amlprognosis.report.theme import Tables, fixed, interval, number, percent
from amlprognosis.study import BEST_OF_GRID, Study, horizon_suffix, model_label


def _share_of_fits(row: Any) -> Cell:
    return Cell(percent(row.get("selection_frequency")), number_cell(row.get("selection_frequency")).value)


def _gene_sets(row: Any) -> Cell:
    sets = row.get("gene_sets")
    return text_cell(sets.replace(";", ", ").replace("_", " ") if isinstance(sets, str) else "")


def _hazard_ratio(row: Any) -> Cell:
    return Cell(interval(row["hr"], row["low"], row["high"]), number_cell(row["hr"]).value)


def notes(tables: Tables, study: Study) -> PageTable | None:
    """Warnings of the run, with names of cohorts and models as the report calls them."""
    table = tables.get("notes")
    if table is None:
        return None

    def named(value: Any) -> Cell:
        head, _, tail = str(value).partition(": ")
        words = [model_label(study.cohort_label(part)) if part in known else part for part in (head, tail) if part]
        text = ": ".join(words)
        return Cell(text if head in study.models.run else text[:1].upper() + text[1:], text)

    known = {*study.cohorts, *study.atlases, *study.models.run, BEST_OF_GRID, "grid"}
    columns: list[Column] = [
        ("Source", False, lambda row: named(row["source"])),
        ("About", False, lambda row: named(row["item"])),
        ("Note", False, lambda row: text_cell(row["note"])),
    ]
    return page_table("notes", table, columns)


def generic(
    tables: Tables, name: str, study: Study | None = None, most: int = MOST_ROWS, drop: Sequence[str] = ()
) -> PageTable | None:
    """Any table as it is; None when the study has none."""
    table = tables.get(name)
    if table is None:
        return None
    columns: list[Column] = []
    for column in [c for c in table.columns if c not in drop]:
        numeric = pd.api.types.is_numeric_dtype(table[column]) and not pd.api.types.is_bool_dtype(table[column])
        if column == "cohort" and study is not None:
            columns.append(("Cohort", False, lambda row: text_cell(study.cohort_label(str(row["cohort"])))))
        elif column == "p" or column.endswith("_p") or column.startswith("p_"):
            columns.append((heading(column), True, of_column(column, lambda value: p_cell({"p": value}))))
        elif column == "model":
            columns.append(("Model", False, of_column(column, lambda value: text_cell(model_label(value)))))
        else:
            columns.append((heading(column), numeric, of_column(column, text_cell)))
    return page_table(name, table, columns, most)


def performance(tables: Tables, study: Study, name: str, whole: bool = False) -> PageTable | None:
    """Discrimination of the leaderboard or the validation table, with intervals in one cell.

    ``whole`` adds the adaptations that are not the first of their cohort; without any there is no such table.
    """
    table = tables.whole(name) if whole else tables.get(name)
    main_rows = tables.get(name)
    if whole and (table is None or main_rows is None or len(table) == len(main_rows)):
        return None
    if table is None:
        return None
    years = study.evaluation.main_horizon_years
    main = horizon_suffix(years)
    metrics = [("c_harrell", "C (Harrell)", 2), ("c_uno", "C (Uno)", 2)]
    metrics += [(f"auc_{horizon_suffix(h)}", f"AUC {h:g} y", 2) for h in sorted(study.evaluation.horizons_years)]
    metrics += [(f"brier_{main}", f"Brier {years:g} y", 3), (f"ipa_{main}", f"IPA {years:g} y", 2), ("ibs", "IBS", 3)]
    more: list[Column] = []
    if "features" in table:
        more.append(("Features", True, lambda row: count_cell(row["features"])))
    if "features_missing" in table:
        more.append(("Missing features", True, lambda row: count_cell(row["features_missing"])))
    more.append(("Patients / deaths", True, sizes_cell))
    return _models(table, study, name, metrics, more)


def predicted_risks(tables: Tables, study: Study, name: str) -> PageTable | None:
    """Calibration and usefulness of the leaderboard or the validation table."""
    table = tables.whole(name)
    if table is None:
        return None
    table = table.dropna(subset=["calibration_slope"]) if "calibration_slope" in table else table.iloc[:0]
    act = f"Net benefit at {percent(study.evaluation.decision_threshold)}"
    metrics = [
        ("calibration_slope", "Slope", 2), ("calibration_intercept", "Intercept", 2), ("oe", "O/E", 2),
        ("ici", "ICI", 3), ("e50", "E50", 3), ("e90", "E90", 3), ("net_benefit", act, 3),
        ("rmst_difference_months", "Low risk lives longer, months", 1),
    ]  # fmt: skip
    more: list[Column] = []
    if "d_calibration_p" in table:
        more.append(("D-calibration p", True, lambda row: p_cell({"p": row["d_calibration_p"]})))
    found = _models(table, study, name, metrics, more, notes=False) if len(table) else None
    return found


def _models(
    table: pd.DataFrame,
    study: Study,
    name: str,
    metrics: Sequence[tuple[str, str, int]],
    more: Sequence[Column],
    notes: bool = True,
) -> PageTable:
    """A row per model and cohort; notes stand under the table, each once."""
    table = without_members(table)
    marks: dict[str, str] = {}
    if notes and "note" in table:
        texts = [text for text in dict.fromkeys(table["note"].fillna("").astype(str).str.strip()) if text]
        marks = {text: str(place) for place, text in enumerate(texts, 1)}

    def model(row: Any) -> Cell:
        mark = marks.get(str(row.get("note")).strip(), "")
        return Cell(model_label(row["model"]), model_label(row["model"]), mark=mark)

    columns: list[Column] = [("Model", False, model)]
    if "cohort" in table:
        columns.append(("Cohort", False, lambda row: text_cell(study.cohort_label(str(row["cohort"])))))
    if "adaptation" in table:
        columns.append(("Adaptation", False, lambda row: adaptation_cell(row["adaptation"])))
    columns += [(title, True, estimate_cell(metric, digits)) for metric, title, digits in metrics if metric in table]
    found = page_table(name, table, [*columns, *more])
    return replace(found, footnotes=tuple((mark, text) for text, mark in marks.items()))


def grid(tables: Tables, study: Study) -> PageTable | None:
    """Every member of the grid: cross-validated, on its own patients, in the validation cohorts."""
    table = tables.get("grid")
    if table is None:
        return None
    columns: list[Column] = [
        ("Selector", False, lambda row: text_cell(row["selector"])),
        ("Learner", False, lambda row: text_cell(row["learner"])),
        ("C (cross-validated)", True, estimate_cell("c_harrell")),
        ("C on its own training patients", True, lambda row: number_cell(row["c_own_training"])),
    ]
    validation = tables.get("validation")
    for cohort in study.validation if validation is not None else []:
        assert validation is not None
        part = validation[validation["cohort"] == cohort].set_index("model")
        columns.append((f"C in {study.cohort_label(cohort)}", True, partial(_looked_up, part)))
    columns += [
        ("Times chosen", True, lambda row: count_cell(row["times_chosen"])),
        ("Fits refused", True, lambda row: count_cell(row["fits_failed"])),
    ]
    if table["reason"].notna().any():
        columns.append(("Reason", False, lambda row: text_cell(row["reason"])))
    return page_table("grid", table, columns)


def _looked_up(table: pd.DataFrame, row: Any) -> Cell:
    return estimate_cell("c_harrell")(table.loc[row["model"]]) if row["model"] in table.index else Cell("–", "")


def picking(tables: Tables, name: str) -> PageTable | None:
    """What picking the best is worth: of the grid (grid_summary), or of all models (selection)."""
    table = tables.get(name)
    if table is None:
        return None
    columns: list[Column] = [
        ("Item", False, lambda row: text_cell(heading(str(row["item"])).replace("C ", "C: ", 1))),
        ("Value", True, _summary_value),
        ("Meaning", False, lambda row: text_cell(row["meaning"])),
    ]
    return page_table(name, table, columns)


def _summary_value(row: Any) -> Cell:
    value = number(row["value"])
    whole = value is not None and not str(row["item"]).startswith(("c_", "optimism"))
    text = f"{value:,.0f}" if whole else interval(row["value"], row["low"], row["high"], 3)
    more = row["text"] if isinstance(row["text"], str) else ""
    return Cell(f"{text}: {more}" if more else text, "" if value is None else value)


def cohorts(tables: Tables, study: Study) -> PageTable | None:
    """Baseline table: a row per quantity, a column per cohort, as in a paper's table 1."""
    table = tables.get("cohorts")
    if table is None:
        return None
    names = [name for name in study.cohorts if name in set(table["cohort"])]
    records = {str(row["cohort"]): row for row in table.to_dict("records")}

    def months(value: Any) -> str:
        found = number(value)
        return "–" if found is None else f"{found / 30.4375:.1f} months"

    def share(row: Any, key: str) -> str:
        found, total = number(row.get(key)), number(row.get("patients"))
        if found is None:
            return "–"
        return f"{int(found):,}" + (f" ({100 * found / total:.0f}%)" if total else "")

    quantities: list[tuple[str, str, Callable[[Any], str]]] = [
        ("role", "Role", lambda r: str(r["role"])),
        ("source", "Source", lambda r: str(r["source"])),
        ("platform", "Platform", lambda r: str(r["platform"])),
        ("platform/scale", "Platform / scale", lambda r: str(r["platform/scale"])),
        ("scale", "Scale", lambda r: str(r["scale"])),
        ("adaptation", "Adaptation", lambda r: adaptation_cell(r["adaptation"]).text),
        ("genes", "Genes", lambda r: count_cell(r["genes"]).text),
        ("patients", "Patients", lambda r: count_cell(r["patients"]).text),
        ("events", "Deaths", lambda r: share(r, "events")),
        (
            "median_followup_days",
            "Median follow-up (reverse Kaplan-Meier)",
            lambda r: months(r["median_followup_days"]),
        ),
        ("median_os_days", "Median overall survival", lambda r: months(r["median_os_days"])),
        ("age_median", "Median age, years", lambda r: fixed(r["age_median"], 1)),
        ("female_share", "Female", lambda r: percent(r["female_share"])),
        ("risk_favourable", "Risk: favourable", lambda r: share(r, "risk_favourable")),
        ("risk_intermediate", "Risk: intermediate", lambda r: share(r, "risk_intermediate")),
        ("risk_adverse", "Risk: adverse", lambda r: share(r, "risk_adverse")),
        ("risk_unknown", "Risk: unknown", lambda r: share(r, "risk_unknown")),
    ]
    rows = []
    for key, title, make in quantities:
        if key in table.columns:
            cells = [_clean(make(records[name])) for name in names]
            rows.append([Cell(title), *[Cell(text) for text in cells]])
    return PageTable("cohorts", [("", False), *[(study.cohort_label(n), False) for n in names]], rows, len(table))


def _clean(text: str) -> str:
    return "–" if text in {"nan", "NA", "None", ""} else text


def flow(tables: Tables, study: Study) -> PageTable | None:
    """Every step of the patient flow with its reason."""
    table = tables.get("flow")
    if table is None:
        return None
    columns: list[Column] = [
        ("Cohort", False, lambda row: text_cell(study.cohort_label(str(row["cohort"])))),
        ("Step", False, lambda row: text_cell(str(row["step"]).replace("_", " "))),
        ("Reason", False, lambda row: text_cell(row.get("reason"))),
        ("Patients", True, lambda row: count_cell(row.get("patients"))),
        ("Remaining", True, lambda row: count_cell(row.get("remaining"))),
    ]
    return page_table("flow", table, columns)


def index(tables: Tables) -> PageTable | None:
    """Coefficient table of the gene index."""
    table = tables.get("index")
    if table is None:
        return None
    table = table.assign(_size=-table["coefficient"].astype(float).abs())
    table = table.sort_values(["_size", "gene"], kind="stable")
    columns: list[Column] = [
        ("Gene", False, lambda row: Cell(str(row["gene"]), str(row["gene"]), "gene")),
        ("Coefficient", True, lambda row: number_cell(row["coefficient"], 4)),
        ("Centre", True, lambda row: number_cell(row.get("centre"), 3)),
        ("Scale", True, lambda row: number_cell(row.get("scale"), 3)),
        ("Chosen in fits", True, _share_of_fits),
        ("Gene sets", False, _gene_sets),
    ]  # fmt: skip
    return page_table("index", table, columns)


def hazards(tables: Tables, study: Study) -> PageTable | None:
    """Hazard ratios of all analyses."""
    table = tables.get("hazard_ratios")
    if table is None:
        return None
    names = {"univariable_gene": "gene, univariable"}
    columns: list[Column] = [
        ("Cohort", False, lambda row: text_cell(study.cohort_label(str(row["cohort"])))),
        ("Analysis", False, lambda row: text_cell(names.get(str(row["analysis"]), str(row["analysis"])))),
        ("Term", False, lambda row: text_cell(term_label(row["term"]))),
        ("HR (95% interval)", True, _hazard_ratio),
        ("p", True, p_cell),
        ("Patients / deaths", True, sizes_cell),
    ]  # fmt: skip
    return page_table("hazard_ratios", table, columns)


def sample_size(tables: Tables) -> PageTable | None:
    """Events per candidate parameter, with small samples marked."""
    table = tables.get("sample_size")
    if table is None:
        return None

    def verdict(row: Any) -> Cell:
        text = str(row.get("verdict", ""))
        ratio = number(row.get("events_per_parameter"))
        small = (ratio is not None and ratio < 10) or "small" in text or "insufficient" in text
        return Cell(text.replace("_", " "), text, "bad" if small else "")

    columns: list[Column] = [
        ("Model", False, lambda row: text_cell(model_label(row["model"]))),
        ("Candidates", True, lambda row: count_cell(row.get("candidate_parameters"))),
        ("Deaths per candidate", True, lambda row: number_cell(row.get("events_per_parameter"), 2)),
        ("Shrinkage", True, lambda row: number_cell(row.get("expected_shrinkage"), 2)),
        ("Riley's n", True, lambda row: count_cell(row.get("riley_minimum_n"))),
        ("Needed for", False, lambda row: text_cell(row.get("riley_criterion") or "")),
        ("Verdict", False, verdict),
    ]
    return page_table("sample_size", table, columns)


def plain(name: str, headings: Sequence[tuple[str, bool]], rows: Sequence[Sequence[Any]]) -> PageTable | None:
    """A table of plain values; None without rows."""
    cells = [[Cell(str(v), v) if isinstance(v, str) else text_cell(v) for v in row] for row in rows]
    return PageTable(name, list(headings), cells, len(cells)) if cells else None
