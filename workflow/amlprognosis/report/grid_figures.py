"""The grid of learners and combinations: how good each looks, and what picking the best is worth."""

from __future__ import annotations

import json
from typing import Any

import altair as alt
import pandas as pd

from amlprognosis.report.theme import (
    BLUE,
    GREY,
    NothingToDraw,
    Panel,
    Tables,
    cohort_colors,
    fixed,
    interval,
    number,
    rows,
)
from amlprognosis.study import Study

STEP = 15
PALE = "#aab0b9"
OWN, OUT, NESTED = "On its own training patients", "Cross-validated", "Best of the grid, chosen in inner folds"


def summary_row(tables: Tables, item: str, name: str = "grid_summary") -> Any | None:
    """Row of ``grid_summary.tsv``, or of ``selection.tsv``, or None."""
    table = tables.get(name)
    part = None if table is None else table[table["item"] == item]
    return None if part is None or part.empty else part.iloc[0]


def rank_correlation(tables: Tables, cohort: str) -> float | None:
    """Spearman correlation over the members between their C in cross-validation and in a validation cohort."""
    grid, validation = tables.get("grid"), tables.get("validation")
    if grid is None or validation is None:
        return None
    outside = validation[validation["cohort"] == cohort].set_index("model")["c_harrell"]
    pairs = pd.DataFrame({"inside": grid.set_index("model")["c_harrell"], "outside": outside}).dropna()
    if len(pairs) < 5 or pairs.nunique().min() < 2:
        return None
    return number(pairs.rank().corr().iloc[0, 1])


def figure_grid(tables: Tables, study: Study) -> Panel:
    """C-index of every member: on its own patients, cross-validated, and in the validation cohorts."""
    grid = tables.need("grid", ("model", "c_harrell", "c_own_training")).dropna(subset=["c_harrell"])
    if grid.empty:
        raise NothingToDraw("No member of the grid could be evaluated.")
    grid = grid.reset_index(drop=True)
    validation = tables.get("validation")
    names = {cohort: study.cohort_label(cohort) for cohort in study.validation}
    inks = cohort_colors(study)
    colors = {OWN: PALE, OUT: inks[study.training]} | {label: inks[cohort] for cohort, label in names.items()}
    place = {model: line for line, model in enumerate(grid["model"])}
    points, spans = [], []
    for row in grid.to_dict("records"):
        line = place[row["model"]]
        text = interval(row["c_harrell"], row.get("c_harrell_low"), row.get("c_harrell_high"))
        spans.append({"line": line, "low": row.get("c_harrell_low"), "high": row.get("c_harrell_high"), "kind": OUT})
        points.append({"line": line, "c": row["c_harrell"], "kind": OUT, "model": row["model"], "text": text})
        own = number(row["c_own_training"])
        if own is not None:
            points.append({"line": line, "c": own, "kind": OWN, "model": row["model"], "text": fixed(own)})
    if validation is not None:
        for row in validation[validation["model"].isin(place)].to_dict("records"):
            value = number(row["c_harrell"])
            if value is not None:
                text = interval(value, row.get("c_harrell_low"), row.get("c_harrell_high"))
                kind = names[str(row["cohort"])]
                points.append(
                    {"line": place[row["model"]], "c": value, "kind": kind, "model": row["model"], "text": text}
                )
    chart = _chart(points, spans, list(place), colors, summary_row(tables, "c_nested"))
    spoken = f"C-index of {len(grid)} members of the grid; the best cross-validated is {grid['model'].iloc[0]} with "
    spoken += f"{fixed(grid['c_harrell'].iloc[0])}, the median {fixed(grid['c_harrell'].median())}."
    return Panel(chart, _note(tables), spoken, width=620, max_width=760, narrow_below=620)


def _note(tables: Tables) -> str:
    nested = summary_row(tables, "c_nested")
    best = summary_row(tables, "c_best")
    if nested is None or best is None:
        return ""
    return (
        f"Best: {fixed(best['value'])}; with the choice made in inner folds: "
        f"{interval(nested['value'], nested['low'], nested['high'])}"
    )


def _chart(
    points: list[dict[str, Any]], spans: list[dict[str, Any]], order: list[str], colors: dict[str, str], nested: Any
) -> Any:
    values = [point["c"] for point in points] + [number(span[end]) for span in spans for end in ("low", "high")]
    known = [value for value in values if value is not None]
    domain = [round(min([*known, 0.5]) - 0.01, 2), round(max([*known, 0.5]) + 0.01, 2)]
    scale = alt.Scale(domain=domain, nice=False, zero=False)
    axis = alt.Axis(title="Harrell's C-index", format="~g", orient="top")
    label = f"{json.dumps(order, ensure_ascii=False)}[datum.value]"
    y = alt.Y(
        "line:O",
        scale=alt.Scale(paddingInner=0, paddingOuter=0),
        axis=alt.Axis(title=None, domain=False, ticks=False, labelExpr=label, labelFontSize=11, labelLimit=200),
    )
    kinds = [kind for kind in colors if any(point["kind"] == kind for point in points)]
    color = alt.Color(
        "kind:N",
        scale=alt.Scale(domain=kinds, range=[colors[kind] for kind in kinds]),
        legend=alt.Legend(
            title=None, orient="top", symbolType="circle", labelLimit=300, columns=alt.ExprRef("narrow ? 1 : 3")
        ),
    )
    tooltip = [
        alt.Tooltip("model:N", title="Member"),
        alt.Tooltip("kind:N", title="Judged"),
        alt.Tooltip("text:N", title="C (95% interval)"),
    ]
    layers = [
        alt.Chart(rows([{"c": 0.5}]))
        .mark_rule(color=GREY, strokeDash=[4, 3], strokeWidth=1.2)
        .encode(x=alt.X("c:Q", scale=scale, axis=axis)),
        alt.Chart(rows(spans))
        .mark_rule(strokeWidth=1, opacity=0.5)
        .encode(y=y, x=alt.X("low:Q", scale=scale, axis=axis), x2="high:Q", color=color),
        alt.Chart(rows(points))
        .mark_point(filled=True, size=34, opacity=1)
        .encode(y=y, x=alt.X("c:Q", scale=scale, axis=axis), color=color, tooltip=tooltip),
    ]
    if nested is not None:
        item = {"c": nested["value"], "text": interval(nested["value"], nested["low"], nested["high"]), "model": NESTED}
        layers.insert(
            1,
            alt.Chart(rows([item]))
            .mark_rule(color=BLUE, strokeWidth=1.6, strokeDash=[6, 3])
            .encode(
                x=alt.X("c:Q", scale=scale, axis=axis),
                tooltip=[alt.Tooltip("model:N", title="Procedure"), alt.Tooltip("text:N", title="C (95% interval)")],
            ),
        )
    return alt.layer(*layers).properties(width="container", height=STEP * len(order))
