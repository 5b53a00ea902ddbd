"""Chance, leakage and luck: the index against its null, the leaky recipe, and other seeds."""

from __future__ import annotations

import math
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from amlprognosis.report.reading import row_of, rows_in
from amlprognosis.report.theme import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    SKY,
    VERMILLION,
    NothingToDraw,
    Panel,
    Tables,
    fixed,
    interval,
    number,
    p_text,
    rows,
)
from amlprognosis.study import Study

NULLS = {"random_gene_set": ("Random gene sets", SKY), "permuted_outcome": ("Permuted outcomes", "#9aa1ab")}
BIN = 0.01


def draws(tables: Tables, study: Study, cohort: str, control: str) -> np.ndarray:
    """C-indices of a control's draws in a cohort."""
    table = tables.get("controls")
    part = rows_in(table, study, cohort)
    if part is None and table is not None and "cohort" not in table and cohort == study.training:
        part = table
    if part is None:
        return np.empty(0)
    return part[part["control"] == control]["c_harrell"].dropna().to_numpy(float)


def figure_null(tables: Tables, study: Study, cohort: str) -> Panel:
    """C-index of random gene sets and permuted outcomes in a cohort, with the gene index as a line."""
    tables.need("controls", ("control", "cohort", "c_harrell"))
    values = {label: draws(tables, study, cohort, name) for name, (label, _) in NULLS.items()}
    values = {label: found for label, found in values.items() if len(found)}
    if not values:
        if cohort == study.training:
            reason = "This run computed no negative controls (evaluation.permutations and random_sets are 0)."
        else:
            reason = "No random gene sets were applied to this cohort."
        raise NothingToDraw(reason)
    own = draws(tables, study, cohort, "index")
    index = float(own.mean()) if len(own) else None
    everything = np.concatenate([*values.values(), own, [0.5]])
    start = math.floor(everything.min() / BIN - 1) * BIN
    stop = math.ceil(everything.max() / BIN + 2) * BIN
    # Wide nulls get wider bars: some 40 at most.
    width = BIN * max(1, math.ceil((stop - start) / BIN / 40))
    edges = np.round(np.arange(start, stop + width, width), 6)
    bars: list[dict[str, Any]] = []
    for label, found in values.items():
        counts, _ = np.histogram(found, edges)
        bars += [
            {"start": float(edges[i]), "end": float(edges[i + 1]), "count": int(n), "label": label}
            for i, n in enumerate(counts)
            if n
        ]
    scale = alt.Scale(domain=[round(start, 3), round(float(edges[-1]), 3)], nice=False, zero=False)
    top = max(bar["count"] for bar in bars)
    y_scale = alt.Scale(domain=[0, top * 1.05], nice=False)
    step = next(step for step in (1, 2, 5, 10, 20, 50, 100, 200, 500, top) if top / step <= 6)
    y_axis = alt.Axis(title="Draws", values=list(range(0, top + 1, step)), format="d")
    how = "cross-validated" if cohort == study.training else "frozen on the training cohort"
    axis = alt.Axis(title=f"Harrell's C-index, {how}", format="~g", tickCount=6, labelFlush=False)
    color = alt.Color(
        "label:N",
        scale=alt.Scale(domain=list(values), range=[ink for label, ink in NULLS.values() if label in values]),
        legend=alt.Legend(title=None, orient="bottom", symbolType="square", columns=alt.ExprRef("narrow ? 1 : 2")),
    )
    layers: list[Any] = [
        alt.Chart(rows(bars))
        .mark_bar(opacity=0.75, stroke="#ffffff", strokeWidth=0.6)
        .encode(
            x=alt.X("start:Q", scale=scale, axis=axis, bin=alt.BinParams(binned=True)),
            x2="end:Q",
            y=alt.Y("count:Q", scale=y_scale, stack=None, axis=y_axis),
            color=color,
            tooltip=[
                alt.Tooltip("label:N", title="Control"),
                alt.Tooltip("start:Q", title="C from", format=".2f"),
                alt.Tooltip("end:Q", title="C to", format=".2f"),
                alt.Tooltip("count:Q", title="Draws"),
            ],
        ),
        alt.Chart(rows([{"start": 0.5}]))
        .mark_rule(color=GREY, strokeDash=[4, 3])
        .encode(x=alt.X("start:Q", scale=scale, axis=axis)),
    ]
    if index is not None:
        layers += _index_line(index, index > (start + stop) / 2, scale, axis)
    parts = [f"{label}: mean C {found.mean():.2f}" for label, found in values.items()]
    note = ""
    row = row_of(rows_in(tables.get("controls_summary"), study, cohort), control="random_gene_set")
    if row is not None and number(row.get("p")) is not None:
        note = f"Against {len(values.get('Random gene sets', ()))} random gene sets: {p_text(row['p'])} (empirical)"
    spoken = ", ".join(parts) + "." + (f" Gene index C {index:.2f}. {note}" if index is not None else "")
    chart = alt.layer(*layers).properties(width="container", height=230)
    return Panel(chart, note, spoken, width=480, max_width=620, narrow_below=330)


def _index_line(index: float, right: bool, scale: alt.Scale, axis: alt.Axis) -> list[Any]:
    data = rows([{"start": index, "text": f"Gene index {index:.2f}"}])
    x = alt.X("start:Q", scale=scale, axis=axis)
    look: dict[str, Any] = {"align": "right" if right else "left", "dx": 4 if right else -4}
    return [
        alt.Chart(data)
        .mark_rule(color=BLUE, strokeWidth=2.5)
        .encode(x=x, y=alt.value(-4), y2=alt.value("height")),
        alt.Chart(data)
        .mark_text(color=BLUE, fontWeight=600, **look)
        .encode(x=x, y=alt.value(-12), text="text:N"),
    ]  # fmt: skip


def figure_leakage(tables: Tables, study: Study) -> Panel:
    """The leaky and the honest recipe on the study's own data, with real and with permuted outcomes."""
    recipes = (
        ("leaky_recipe", "Leaky recipe, your outcomes", VERMILLION),
        ("honest_recipe", "Honest recipe, your outcomes", GREEN),
        ("leaky_recipe_permuted", "Leaky recipe, permuted outcomes", VERMILLION),
        ("honest_recipe_permuted", "Honest recipe, permuted outcomes", GREEN),
    )
    tables.need("controls", ("control", "c_harrell"))
    strips = []
    for control, label, ink in recipes:
        found = draws(tables, study, study.training, control)
        if len(found):
            strips.append(strip(label, found, ink))
    if not strips:
        raise NothingToDraw("This run did not run the leaky recipe.")
    row = row_of(tables.get("leaderboard"), model="gene_index")
    if row is not None and number(row["c_harrell"]) is not None:
        ends = (number(row.get("c_harrell_low")), number(row.get("c_harrell_high")))
        text = interval(row["c_harrell"], *ends)
        one = {"label": "Gene index, nested cross-validation", "color": BLUE, "points": [], "text": text}
        strips.append({**one, "estimate": number(row["c_harrell"]), "low": ends[0], "high": ends[1]})
    values = [v for s in strips for v in (*s["points"], s["estimate"], s["low"], s["high"]) if v is not None]
    domain = (round(min([0.45, *values]) - 0.02, 3), round(max([0.6, *values]) + 0.02, 3))
    chart = strip_chart(strips, "Harrell's C-index", domain, 0.5)
    spoken = "C-index: " + "; ".join(f"{s['label']} {s['text']}" for s in strips) + "."
    many = max(len(s["points"]) for s in strips)
    note = f"{many} permutations: mean and range" if many else ""
    return Panel(chart, note, spoken, width=600, max_width=720)


def strip(label: str, values: np.ndarray, color: str) -> dict[str, Any]:
    """A row of draws: their mean and, of several, their range."""
    mean = float(values.mean())
    text = fixed(mean)
    if len(values) > 1:
        text = f"{fixed(mean)} ({fixed(values.min())}–{fixed(values.max())})"
    points = [float(v) for v in values] if len(values) > 1 else []
    return {"label": label, "points": points, "estimate": mean, "low": None, "high": None, "text": text, "color": color}


def strip_chart(strips: list[dict[str, Any]], title: str, domain: tuple[float, float], reference: float | None) -> Any:
    """Rows of points with their mean; label and text above each row, as in the forest charts."""
    step, shift = 44, 10
    scale = alt.Scale(domain=list(domain), nice=False, zero=False)
    axis = alt.Axis(title=title, format="~g", tickCount=6)
    lines = [{k: v for k, v in s.items() if k != "points"} | {"row": place} for place, s in enumerate(strips)]
    dots = [{"row": place, "value": v, "color": s["color"]} for place, s in enumerate(strips) for v in s["points"]]
    y = alt.Y("row:O", scale=alt.Scale(paddingInner=0, paddingOuter=0, domain=list(range(len(strips)))), axis=None)
    ink = alt.Color("color:N", scale=None)
    base = alt.Chart(rows(lines)).encode(y=y)
    tooltip = [alt.Tooltip("label:N", title="Row"), alt.Tooltip("text:N", title="Value")]
    layers: list[Any] = [
        base.mark_rule(strokeWidth=1, color="#eceef1", yOffset=step / 2).encode(x=alt.value(0), x2=alt.value("width")),
    ]
    if reference is not None:
        layers.append(
            alt.Chart(rows([{"value": reference}]))
            .mark_rule(color=GREY, strokeDash=[4, 3], strokeWidth=1.2)
            .encode(x=alt.X("value:Q", scale=scale, axis=axis))
        )
    if dots:
        layers.append(
            alt.Chart(rows(dots))
            .mark_point(filled=True, size=42, opacity=0.4, yOffset=shift, aria=False)
            .encode(x=alt.X("value:Q", scale=scale, axis=axis), y=y, color=ink)
        )
    layers += [
        base.transform_filter("isValid(datum.low)")
        .mark_rule(strokeWidth=2, yOffset=shift)
        .encode(x=alt.X("low:Q", scale=scale, axis=axis), x2="high:Q", color=ink),
        base.transform_filter("isValid(datum.estimate)")
        .mark_point(filled=True, shape="diamond", size=110, opacity=1, yOffset=shift, stroke="#ffffff", strokeWidth=1)
        .encode(x=alt.X("estimate:Q", scale=scale, axis=axis), color=ink, tooltip=tooltip),
    ]
    looks: tuple[dict[str, Any], ...] = ({"stroke": "#ffffff", "strokeWidth": 5, "strokeJoin": "round"}, {})
    for look in looks:
        layers.append(
            base.mark_text(align="left", dy=-9, fontSize=12.5, color=BLACK, **look).encode(
                x=alt.value(0), text="label:N"
            )
        )
    layers.append(
        base.mark_text(align="right", dy=-9, fontSize=12, color="#333333").encode(x=alt.value("width"), text="text:N")
    )
    return alt.layer(*layers).properties(width="container", height=step * len(strips))


def figure_seeds(tables: Tables, study: Study) -> Panel:
    """What hangs on the seed: C-index, genes and order of patients when the index is fitted with other seeds."""
    table = tables.need("seed_stability", ("seed", "c_harrell"))
    wanted = (
        ("c_harrell", "C-index, cross-validated", BLUE),
        ("jaccard", "Genes shared with the index (Jaccard)", GREEN),
        ("risk_correlation", "Rank correlation of risks with the index", "#9a5b86"),
    )
    strips = []
    for column, label, ink in wanted:
        values = pd.to_numeric(table[column], errors="coerce").dropna() if column in table else pd.Series(dtype=float)
        if len(values):
            strips.append(strip(label, values.to_numpy(float), ink))
    if not strips:
        raise NothingToDraw("No other seed gave an index.")
    values = [v for s in strips for v in (*s["points"], s["estimate"])]
    domain = (min(0.0, round(min(values) - 0.02, 2)), 1.03)
    chart = strip_chart(strips, "C-index, share of genes, correlation", domain, None)
    spoken = f"{len(table)} other seeds: " + "; ".join(f"{s['label']} {s['text']}" for s in strips) + "."
    return Panel(chart, f"{len(table)} other seeds; diamonds are means", spoken, width=600, max_width=720)
