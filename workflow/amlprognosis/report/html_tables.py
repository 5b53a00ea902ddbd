"""Tables of the page: cells with sort values, estimate and interval in one cell."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pandas as pd

from amlprognosis.report.ranking_figures import signed, term_label, without_members
from amlprognosis.report.theme import Tables, fixed, interval, number, p_text
from amlprognosis.study import BEST_OF_GRID, Study, horizon_suffix, model_label

MOST_ROWS = 300
HEADINGS = {
    "p": "p", "n": "n", "hr": "HR", "c_harrell": "C (Harrell)", "oe": "O/E", "umap1": "UMAP 1",
    "riley_minimum_n": "Riley minimum n", "sha256": "SHA-256", "url": "URL", "logrank_p": "Log-rank p",
}  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """Text of a cell, the value it sorts by, and its CSS class."""

    text: str
    value: Any = ""
    style: str = ""


@dataclass(frozen=True)
class PageTable:
    """A table of the page.

    Attributes
    ----------
    name : str
        Name of the file it comes from, ``tables/<name>.tsv``.
    headings : list of (str, bool)
        Heading, and whether the column is numeric.
    rows : list of list of Cell
        Cells.
    total : int
        Rows in the file; the page shows at most ``MOST_ROWS``.
    """

    name: str
    headings: list[tuple[str, bool]]
    rows: list[list[Cell]]
    total: int = 0
    caption: str = field(default="")


Column = tuple[str, bool, Callable[[Any], Cell]]


def _text(value: Any) -> Cell:
    if isinstance(value, str):
        return Cell(value, value)
    if isinstance(value, bool):
        return Cell("yes" if value else "no", int(value))
    found = number(value)
    if found is None:
        return Cell("", "")
    whole = found == int(found) and abs(found) < 1e15
    if whole:
        return Cell(f"{int(found):,}", found)
    if 0 < abs(found) < 0.001:
        return Cell(f"{found:.1e}".replace("-", "−"), found)
    return Cell(fixed(found, 3 if abs(found) < 10 else 1), found)


def _number(value: Any, digits: int = 2) -> Cell:
    found = number(value)
    return Cell(fixed(value, digits), "" if found is None else found)


def _count(value: Any) -> Cell:
    found = number(value)
    return Cell("–" if found is None else f"{round(found):,}", "" if found is None else found)


def _estimate(metric: str, digits: int = 2) -> Callable[[Any], Cell]:
    def cell(row: Any) -> Cell:
        value = number(row.get(metric))
        text = interval(row.get(metric), row.get(f"{metric}_low"), row.get(f"{metric}_high"), digits)
        return Cell(text, "" if value is None else value)

    return cell


def _p(row: Any) -> Cell:
    text = p_text(row.get("p")).removeprefix("p = ").removeprefix("p ")
    return Cell("–" if number(row.get("p")) is None else text, _number(row.get("p")).value)


def _share_of_fits(row: Any) -> Cell:
    return Cell(_percent(row.get("selection_frequency")), _number(row.get("selection_frequency")).value)


def _gene_sets(row: Any) -> Cell:
    sets = row.get("gene_sets")
    return _text(sets.replace(";", ", ").replace("_", " ") if isinstance(sets, str) else "")


def _hazard_ratio(row: Any) -> Cell:
    return Cell(interval(row["hr"], row["low"], row["high"]), _number(row["hr"]).value)


def _table(name: str, table: pd.DataFrame, columns: Sequence[Column], most: int = MOST_ROWS) -> PageTable:
    records = table.head(most).to_dict("records")
    rows = [[make(record) for _, _, make in columns] for record in records]
    return PageTable(name, [(title, numeric) for title, numeric, _ in columns], rows, len(table))


def notes(tables: Tables, study: Study) -> PageTable | None:
    """Warnings of the run, with names of cohorts and models as the report calls them."""
    table = tables.get("notes")
    if table is None:
        return None

    def named(value: Any) -> Cell:
        head, _, tail = str(value).partition(": ")
        words = [model_label(study.cohort_label(part)) if part in known else part for part in (head, tail) if part]
        text = ": ".join(words)
        return Cell(text[:1].upper() + text[1:], text)

    known = {*study.cohorts, *study.atlases, *study.models.run, BEST_OF_GRID, "grid"}
    columns: list[Column] = [
        ("Source", False, lambda row: named(row["source"])),
        ("About", False, lambda row: named(row["item"])),
        ("Note", False, lambda row: _text(row["note"])),
    ]
    return _table("notes", table, columns)


CONTROLS = {
    "index": "Gene index",
    "leaky_recipe": "Leaky recipe, same data",
    "honest_recipe": "The same recipe, honestly",
    "permuted_outcome": "Permuted outcomes",
    "random_gene_set": "Random gene sets",
}


def _p_of_null(row: Any) -> Cell:
    return _p(row) if row["control"] in {"permuted_outcome", "random_gene_set"} else Cell("–")


def controls(tables: Tables) -> PageTable | None:
    """Negative controls, with the interval of the draws in one cell."""
    table = tables.get("controls_summary")
    if table is None:
        return None
    columns: list[Column] = [
        ("Control", False, lambda row: _text(CONTROLS.get(str(row["control"]), str(row["control"])))),
        ("Draws", True, lambda row: _count(row.get("draws"))),
        (
            "C (range of 95% of draws)",
            True,
            lambda row: Cell(interval(row["mean"], row.get("low"), row.get("high")), _number(row["mean"]).value),
        ),
        ("Empirical p of the index", True, _p_of_null),
    ]
    return _table("controls_summary", table, columns)


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
            columns.append(("Cohort", False, lambda row: _text(study.cohort_label(str(row["cohort"])))))
        elif column == "p" or column.endswith("_p") or column.startswith("p_"):
            columns.append((heading(column), True, _of(column, lambda value: _p({"p": value}))))
        elif column == "model":
            columns.append(("Model", False, _of(column, lambda value: _text(model_label(value)))))
        else:
            columns.append((heading(column), numeric, _of(column, _text)))
    return _table(name, table, columns, most)


def _of(column: str, show: Callable[[Any], Cell]) -> Callable[[Any], Cell]:
    return lambda row: show(row[column])


def heading(column: str) -> str:
    """Heading of a column."""
    return HEADINGS.get(column) or column.replace("_", " ").strip().capitalize()


def performance(tables: Tables, study: Study, name: str) -> PageTable | None:
    """Leaderboard or validation table with intervals in one cell."""
    table = tables.get(name)
    if table is None:
        return None
    table = without_members(table)
    columns: list[Column] = [("Model", False, lambda row: _text(model_label(row["model"])))]
    if "cohort" in table:
        columns.append(("Cohort", False, lambda row: _text(study.cohort_label(str(row["cohort"])))))
    if "adaptation" in table:
        columns.append(("Adaptation", False, lambda row: _adaptation(row["adaptation"])))
    columns.append(("C (Harrell)", True, _estimate("c_harrell")))
    columns.append(("C (Uno)", True, _estimate("c_uno")))
    for years in sorted(study.evaluation.horizons_years):
        suffix = horizon_suffix(years)
        if f"auc_{suffix}" in table:
            columns.append((f"AUC {years:g} y", True, _estimate(f"auc_{suffix}")))
    main = horizon_suffix(study.evaluation.main_horizon_years)
    for metric, title, digits in (
        (f"brier_{main}", f"Brier {study.evaluation.main_horizon_years:g} y", 3),
        (f"ipa_{main}", f"IPA {study.evaluation.main_horizon_years:g} y", 2),
        ("ibs", "IBS", 3),
        ("calibration_slope", "Calibration slope", 2),
        ("oe", "O/E", 2),
    ):
        if metric in table:
            columns.append((title, True, _estimate(metric, digits)))
    if "features" in table:
        columns.append(("Features", True, lambda row: _count(row["features"])))
    if "features_missing" in table:
        columns.append(("Missing features", True, lambda row: _count(row["features_missing"])))
    columns.append(("Patients / deaths", True, _sizes))
    if "note" in table and table["note"].astype(str).str.strip().replace("nan", "").any():
        columns.append(("Note", False, lambda row: _text(row["note"])))
    return _table(name, table, columns)


def grid(tables: Tables, study: Study) -> PageTable | None:
    """Every member of the grid: cross-validated, on its own patients, in the validation cohorts."""
    table = tables.get("grid")
    if table is None:
        return None
    columns: list[Column] = [
        ("Selector", False, lambda row: _text(row["selector"])),
        ("Learner", False, lambda row: _text(row["learner"])),
        ("C (cross-validated)", True, _estimate("c_harrell")),
        ("C on its own training patients", True, lambda row: _number(row["c_own_training"])),
    ]
    validation = tables.get("validation")
    for cohort in study.validation if validation is not None else []:
        assert validation is not None
        part = validation[validation["cohort"] == cohort].set_index("model")
        columns.append((f"C in {study.cohort_label(cohort)}", True, partial(_looked_up, part)))
    columns += [
        ("Times chosen", True, lambda row: _count(row["times_chosen"])),
        ("Fits refused", True, lambda row: _count(row["fits_failed"])),
    ]
    if table["reason"].notna().any():
        columns.append(("Reason", False, lambda row: _text(row["reason"])))
    return _table("grid", table, columns)


def _looked_up(table: pd.DataFrame, row: Any) -> Cell:
    return _estimate("c_harrell")(table.loc[row["model"]]) if row["model"] in table.index else Cell("–", "")


def grid_summary(tables: Tables) -> PageTable | None:
    """What picking the best of the grid is worth."""
    table = tables.get("grid_summary")
    if table is None:
        return None
    columns: list[Column] = [
        ("Item", False, lambda row: _text(heading(str(row["item"])).replace("C ", "C: ", 1))),
        ("Value", True, _summary_value),
        ("Meaning", False, lambda row: _text(row["meaning"])),
    ]
    return _table("grid_summary", table, columns)


def _summary_value(row: Any) -> Cell:
    value = number(row["value"])
    whole = value is not None and not str(row["item"]).startswith(("c_", "optimism"))
    text = f"{value:,.0f}" if whole else interval(row["value"], row["low"], row["high"], 3)
    more = row["text"] if isinstance(row["text"], str) else ""
    return Cell(f"{text}: {more}" if more else text, "" if value is None else value)


def _adaptation(value: Any) -> Cell:
    text = str(value)
    flagged = text == "cohort_rescaling"
    return Cell("cohort re-scaling ⚑" if flagged else text.replace("_", " "), text, "flag" if flagged else "")


def _sizes(row: Any) -> Cell:
    patients, events = number(row.get("patients")), number(row.get("events"))
    if patients is None:
        return Cell("–", "")
    return Cell(f"{int(patients):,}" + (f" / {int(events):,}" if events is not None else ""), patients)


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
        ("adaptation", "Adaptation", lambda r: _adaptation(r["adaptation"]).text),
        ("genes", "Genes", lambda r: _count(r["genes"]).text),
        ("patients", "Patients", lambda r: _count(r["patients"]).text),
        ("events", "Deaths", lambda r: share(r, "events")),
        (
            "median_followup_days",
            "Median follow-up (reverse Kaplan-Meier)",
            lambda r: months(r["median_followup_days"]),
        ),
        ("median_os_days", "Median overall survival", lambda r: months(r["median_os_days"])),
        ("age_median", "Median age, years", lambda r: fixed(r["age_median"], 1)),
        ("female_share", "Female", lambda r: _percent(r["female_share"])),
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


def _percent(value: Any) -> str:
    found = number(value)
    return "–" if found is None else f"{100 * found:.0f}%"


def flow(tables: Tables, study: Study) -> PageTable | None:
    """Every step of the patient flow with its reason."""
    table = tables.get("flow")
    if table is None:
        return None
    columns: list[Column] = [
        ("Cohort", False, lambda row: _text(study.cohort_label(str(row["cohort"])))),
        ("Step", False, lambda row: _text(str(row["step"]).replace("_", " "))),
        ("Reason", False, lambda row: _text(row.get("reason"))),
        ("Patients", True, lambda row: _count(row.get("patients"))),
        ("Remaining", True, lambda row: _count(row.get("remaining"))),
    ]
    return _table("flow", table, columns)


def comparisons(tables: Tables, study: Study) -> PageTable | None:
    """Paired differences."""
    table = tables.get("comparisons")
    if table is None:
        return None
    metrics = {"c_harrell": "C (Harrell)", "ibs": "Integrated Brier score"}

    def cohort(row: Any) -> Cell:
        name, _, rest = str(row["cohort"]).partition(" (")
        text = study.cohort_label(name) + (f" ({rest}" if rest else "")
        return Cell(text, text)

    columns: list[Column] = [
        ("Cohort", False, cohort),
        ("Model", False, lambda row: _text(model_label(row["model"]))),
        ("Comparator", False, lambda row: _text(model_label(row["comparator"]))),
        ("Metric", False, lambda row: _text(metrics.get(str(row["metric"]), str(row["metric"])))),
        ("Difference (95% interval)", True, lambda row: Cell(signed(row), _number(row["difference"]).value)),
        ("p", True, _p),
    ]  # fmt: skip
    return _table("comparisons", table, columns)


def index(tables: Tables) -> PageTable | None:
    """Coefficient table of the gene index."""
    table = tables.get("index")
    if table is None:
        return None
    table = table.assign(_size=-table["coefficient"].astype(float).abs())
    table = table.sort_values(["_size", "gene"], kind="stable")
    columns: list[Column] = [
        ("Gene", False, lambda row: Cell(str(row["gene"]), str(row["gene"]), "gene")),
        ("Coefficient", True, lambda row: _number(row["coefficient"], 4)),
        ("Centre", True, lambda row: _number(row.get("centre"), 3)),
        ("Scale", True, lambda row: _number(row.get("scale"), 3)),
        ("Chosen in fits", True, _share_of_fits),
        ("Gene sets", False, _gene_sets),
    ]  # fmt: skip
    return _table("index", table, columns)


def hazards(tables: Tables, study: Study) -> PageTable | None:
    """Hazard ratios of all analyses."""
    table = tables.get("hazard_ratios")
    if table is None:
        return None
    names = {"univariable_gene": "gene, univariable"}
    columns: list[Column] = [
        ("Cohort", False, lambda row: _text(study.cohort_label(str(row["cohort"])))),
        ("Analysis", False, lambda row: _text(names.get(str(row["analysis"]), str(row["analysis"])))),
        ("Term", False, lambda row: _text(term_label(row["term"]))),
        ("HR (95% interval)", True, _hazard_ratio),
        ("p", True, _p),
        ("Patients / deaths", True, _sizes),
    ]  # fmt: skip
    return _table("hazard_ratios", table, columns)


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
        ("Model", False, lambda row: _text(model_label(row["model"]))),
        ("Deaths", True, lambda row: _count(row.get("events"))),
        ("Candidate parameters", True, lambda row: _count(row.get("candidate_parameters"))),
        ("Deaths per parameter", True, lambda row: _number(row.get("events_per_parameter"), 2)),
        ("Riley minimum n", True, lambda row: _count(row.get("riley_minimum_n"))),
        ("Verdict", False, verdict),
    ]
    return _table("sample_size", table, columns)


def plain(name: str, headings: Sequence[tuple[str, bool]], rows: Sequence[Sequence[Any]]) -> PageTable | None:
    """A table of plain values; None without rows."""
    cells = [[Cell(str(v), v) if isinstance(v, str) else _text(v) for v in row] for row in rows]
    return PageTable(name, list(headings), cells, len(cells)) if cells else None
