"""What a model adds: differences from comparators, pooled over validation cohorts, and under each adaptation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from amlprognosis.report.chosen import COMBINED, main_model
from amlprognosis.report.forest import grouped_forest, legend_width, span
from amlprognosis.report.reading import row_of, rows_in, signed, why_not
from amlprognosis.report.theme import (
    BLACK,
    BLUE,
    GREEN,
    PURPLE,
    VERMILLION,
    NothingToDraw,
    Panel,
    Tables,
    cohort_colors,
    fixed,
    interval,
    number,
    percent,
    place_labels,
    years_text,
)
from amlprognosis.study import Study, horizon_suffix, model_label
from amlprognosis.study.names import comparators_among

POOLED = "Pooled over the validation cohorts"
ADAPTATIONS = {
    "none": ("As measured", BLUE),
    "within_sample_ranks": ("Ranks within the sample", GREEN),
    "reference_quantiles": ("Quantiles of the training cohort", PURPLE),
    "cohort_rescaling": ("Cohort re-scaled (needs a whole cohort)", VERMILLION),
}


@dataclass(frozen=True)
class Measure:
    """A metric whose differences are drawn.

    Attributes
    ----------
    column : str
        Its name in the tables.
    title : str
        Its name for readers.
    axis : str
        Its name on an axis, short enough for a phone.
    better : {"right", "left"}
        Where the better model lies.
    """

    column: str
    title: str
    axis: str
    better: str


def measures(study: Study) -> dict[str, Measure]:
    """Metrics of the comparisons by short name."""
    evaluation = study.evaluation
    main = evaluation.main_horizon_years
    return {
        "c": Measure("c_harrell", "C-index", "C-index", "right"),
        "brier": Measure(f"brier_{horizon_suffix(main)}", f"Brier score at {years_text(main)}", "Brier score", "left"),
        "net_benefit": Measure(
            "net_benefit", f"net benefit at {percent(evaluation.decision_threshold)}", "net benefit", "right"
        ),
    }


def figure_comparisons(tables: Tables, study: Study, model: str, short: str) -> Panel:
    """Paired differences in one metric between a model and each comparator, in each cohort."""
    columns = ("cohort", "model", "comparator", "metric", "difference", "low", "high")
    measure = measures(study)[short]
    table = tables.need("comparisons", columns, model=model, metric=measure.column)
    labels, palette = place_labels(study), cohort_colors(study)
    lacking = [cohort for cohort in labels if rows_in(table, study, cohort) is None]
    items: list[dict[str, Any]] = []
    for comparator in comparators_among(table["comparator"]):
        for cohort, label in labels.items():
            if cohort in lacking:
                continue
            row = row_of(rows_in(table, study, cohort), comparator=comparator)
            item = {"model": f"against {model_label(comparator)}", "kind": label, "cohort": cohort}
            if row is not None and number(row["difference"]) is not None:
                estimate, low, high = (number(row[c]) for c in ("difference", "low", "high"))
                items.append({**item, "estimate": estimate, "low": low, "high": high, "text": signed(row)})
            else:
                reason = why_not(tables, study, cohort, comparator, None if row is None else row.get("note"))
                items.append({**item, "estimate": None, "low": None, "high": None, "missing": reason})
    known = [item for item in items if item["estimate"] is not None]
    if not known:
        raise NothingToDraw(f"No comparator could be compared with {model_label(model)} by {measure.title}.")
    order = list(dict.fromkeys(item["model"] for item in items))
    colors = {labels[c]: palette[c] for c in labels if any(i["cohort"] == c for i in known)}
    title = [f"Difference in {measure.axis}", f"({measure.better} is better)"]
    chart = grouped_forest([_explained(item) for item in items], order, colors, title, 0.0)
    spoken = f"Difference in {measure.title}: " + "; ".join(
        f"{i['model']}, {i['kind']}: {i['text']}" if i in known else f"{i['model']}, {i['kind']}: {i['missing']}"
        for i in items
    )
    note = "; ".join(f"Not in {study.cohort_label(c)}: {why_not(tables, study, c, model)}" for c in lacking)
    return Panel(chart, note, f"{spoken}. {note}", width=620, max_width=720, narrow_below=legend_width(colors))


def _explained(item: dict[str, Any]) -> dict[str, Any]:
    """A row without an estimate carries its cohort and reason as a text of its own."""
    if item["estimate"] is not None:
        return item
    return {**item, "missing": f"{item['kind'].split(' (')[0]}: {item['missing']}"}


def figure_meta_analysis(tables: Tables, study: Study, differences: bool) -> Panel:
    """C-index, or its differences from comparators, in each validation cohort and pooled with prediction interval."""
    meta = tables.need("meta_analysis", ("model", "metric", "estimate", "low", "high"))
    labels, palette = place_labels(study), cohort_colors(study)
    items: list[dict[str, Any]] = []
    for model, comparator in _pooled_pairs(tables, study, differences):
        metric = f"c_harrell - {comparator}" if differences else "c_harrell"
        pooled = row_of(meta, model=model, metric=metric)
        if pooled is None or number(pooled["estimate"]) is None or (number(pooled.get("cohorts")) or 0) < 2:
            continue
        head = f"{model_label(model)} − {model_label(comparator)}" if comparator else model_label(model)
        for cohort in study.validation:
            item = _cohort_item(tables, study, cohort, model, comparator)
            if item is not None:
                items.append({**item, "model": head, "kind": labels[cohort], "cohort": cohort})
        items.append({**_pooled_item(pooled, 3 if differences else 2), "model": head, "kind": POOLED})
    if not items:
        raise NothingToDraw("No figure could be pooled over validation cohorts.")
    colors = {labels[c]: palette[c] for c in study.validation if any(i.get("cohort") == c for i in items)}
    colors[POOLED] = BLACK
    order = list(dict.fromkeys(item["model"] for item in items))
    title = ["Difference in C-index", "(right is better)"] if differences else "Harrell's C-index"
    reference = 0.0 if differences else 0.5
    chart = grouped_forest(_cut(items, reference), order, colors, title, reference)
    pooled_items = [item for item in items if item["kind"] == POOLED]
    spoken = "Pooled: " + "; ".join(f"{i['model']} {i['text']}, {i['detail']}" for i in pooled_items) + "."
    return Panel(chart, "", spoken, width=620, max_width=720, narrow_below=legend_width(colors))


def _cut(items: list[dict[str, Any]], reference: float) -> list[dict[str, Any]]:
    """Intervals within twice the range of the cohorts' own: those of a few pooled cohorts would hide all else."""
    low, high = span([item for item in items if item["kind"] != POOLED], reference)
    pad = (high - low) / 2
    ends = ("low", "high", "wide_low", "wide_high")
    return [
        item | {end: min(max(item[end], low - pad), high + pad) for end in ends if item.get(end) is not None}
        for item in items
    ]


def _pooled_pairs(tables: Tables, study: Study, differences: bool) -> list[tuple[str, str]]:
    """Models, or models and comparators, of the meta-analysis figures."""
    main = main_model(study)
    reported = [main, COMBINED, *study.evaluation.report_models, "clinical", "age_eln"]
    if not differences:
        return [(model, "") for model in dict.fromkeys(reported) if model in study.models.run]
    table = tables.get("meta_analysis")
    metrics = [] if table is None else [str(metric) for metric in table["metric"].unique()]
    names = [metric.removeprefix("c_harrell - ") for metric in metrics if metric.startswith("c_harrell - ")]
    pairs = [(main, name) for name in comparators_among(names)]
    return pairs + [(COMBINED, name) for name in ("age_eln", "clinical") if name in names]


def _cohort_item(tables: Tables, study: Study, cohort: str, model: str, comparator: str) -> dict[str, Any] | None:
    if not comparator:
        row = row_of(rows_in(tables.get("validation"), study, cohort), model=model)
        if row is None or number(row["c_harrell"]) is None:
            return None
        value, low, high = (number(row.get(f"c_harrell{end}")) for end in ("", "_low", "_high"))
        return {"estimate": value, "low": low, "high": high, "text": interval(value, low, high)}
    row = row_of(
        rows_in(tables.get("comparisons"), study, cohort), model=model, comparator=comparator, metric="c_harrell"
    )
    if row is None or number(row["difference"]) is None:
        return None
    value, low, high = (number(row[c]) for c in ("difference", "low", "high"))
    return {"estimate": value, "low": low, "high": high, "text": signed(row)}


def _pooled_item(row: Any, digits: int) -> dict[str, Any]:
    value, low, high = (number(row[c]) for c in ("estimate", "low", "high"))
    wide = [number(row.get(f"prediction_{end}")) for end in ("low", "high")]
    text = signed({"difference": value, "low": low, "high": high}) if digits == 3 else interval(value, low, high)
    parts = []
    if None not in wide:
        parts.append(f"a new cohort: {fixed(wide[0], digits)} to {fixed(wide[1], digits)}")
    if number(row.get("i2")) is not None:
        parts.append(f"I² {percent(row['i2'])}")
    return {
        "estimate": value, "low": low, "high": high, "text": text, "symbol": "diamond", "wide_low": wide[0],
        "wide_high": wide[1], "detail": ", ".join(parts) or "heterogeneity not estimated",
    }  # fmt: skip


def figure_adaptations(tables: Tables, study: Study) -> Panel:
    """C-index of the models with genes in each validation cohort under each adaptation that was asked for."""
    table = tables.whole("validation")
    if table is None or not {"adaptation", "cohort", "model", "c_harrell"} <= set(table):
        raise NothingToDraw("This run has no table validation.tsv with adaptations, or it is empty.")
    wanted = [m for m in dict.fromkeys([main_model(study), *study.evaluation.report_models]) if m in study.models.run]
    items: list[dict[str, Any]] = []
    for cohort in study.validation:
        asked = list(study.cohorts[cohort].adaptation)
        for model in wanted if len(asked) > 1 else []:
            part = table[(table["cohort"] == cohort) & (table["model"] == model)]
            part = part[part["c_harrell"].notna()]
            if part["adaptation"].nunique() < 2:
                continue
            for name in asked:
                row = row_of(part, adaptation=name)
                if row is None:
                    continue
                value, low, high = (number(row.get(f"c_harrell{end}")) for end in ("", "_low", "_high"))
                items.append(
                    {
                        "model": f"{model_label(model)}, {study.cohort_label(cohort)}", "kind": ADAPTATIONS[name][0],
                        "estimate": value, "low": low, "high": high, "text": interval(value, low, high),
                        "symbol": "square" if name == "cohort_rescaling" else "circle",
                    }
                )  # fmt: skip
    if not items:
        raise NothingToDraw("No model was applied under more than one adaptation.")
    colors = {label: ink for label, ink in ADAPTATIONS.values() if any(item["kind"] == label for item in items)}
    order = list(dict.fromkeys(item["model"] for item in items))
    chart = grouped_forest(items, order, colors, "Harrell's C-index", 0.5)
    spoken = "C-index by adaptation: " + "; ".join(f"{i['model']}, {i['kind']} {i['text']}" for i in items) + "."
    return Panel(chart, "", spoken, width=620, max_width=720, narrow_below=legend_width(colors))
