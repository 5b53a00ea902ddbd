"""Models against each other and against chance: leaderboard, validation, differences, null, hazard ratios."""

from __future__ import annotations

import math
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from amlprognosis.report.forest import forest
from amlprognosis.report.theme import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
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
from amlprognosis.study import BEST_OF_GRID, Study, model_label
from amlprognosis.study.names import FIXED_LABELS, is_grid

# Shown beside the reported models.
ALWAYS = ("age", "age_sex", "eln", "age_eln", "clinical", BEST_OF_GRID)
KIND_COLORS = {"Model with genes": BLUE, "Comparator": ORANGE}
TERM_LABELS = {
    "clinical:age": "Age, per year",
    "clinical:sex_male": "Male sex",
    "clinical:risk_intermediate": "Intermediate risk group",
    "clinical:risk_adverse": "Adverse risk group",
    "age": "Age, per year",
    "sex_male": "Male sex",
    "risk_intermediate": "Intermediate risk group",
    "risk_adverse": "Adverse risk group",
    "gene_index": "Gene index",
    "index": "Gene index",
}


def _range(items: list[dict[str, Any]], *always: float, margin: float = 0.02) -> tuple[float, float]:
    values = [v for item in items for v in (item["low"], item["high"], item["estimate"]) if v is not None]
    low, high = min([*values, *always]), max([*values, *always])
    pad = margin if high - low < 1 else margin * (high - low)
    return round(low - pad, 3), round(high + pad, 3)


def _item(label: str, row: pd.Series, metric: str, **more: Any) -> dict[str, Any]:
    value, low, high = (number(row.get(name)) for name in (metric, f"{metric}_low", f"{metric}_high"))
    return {"label": label, "estimate": value, "low": low, "high": high, "text": interval(value, low, high), **more}


def without_members(table: pd.DataFrame) -> pd.DataFrame:
    """Leave out the members of the grid, which have a figure and a table of their own."""
    return table[table["kind"] != "combination"] if "kind" in table else table


def figure_leaderboard(tables: Tables, study: Study) -> Panel:
    """Cross-validated C-index of every model and comparator with its interval."""
    board = without_members(tables.need("leaderboard", ("model", "c_harrell"))).copy()
    board["order"] = -board["c_harrell"].astype(float)
    board = board.sort_values(["order", "model"], kind="stable", na_position="last")
    items = []
    for _, row in board.iterrows():
        comparator = str(row.get("kind", "model")) == "comparator"
        kind = "Comparator" if comparator else "Model with genes"
        item = _item(model_label(row["model"]), row, "c_harrell", kind=kind)
        if item["estimate"] is None:
            reason = row.get("note")
            item["text"] = "not evaluated"
            item["detail"] = reason if isinstance(reason, str) else ""
        items.append(item)
    if not any(item["estimate"] is not None for item in items):
        raise NothingToDraw("No model has a cross-validated C-index.")
    chart = forest(
        items,
        title="Harrell's C-index, cross-validated",
        domain=_range(items, 0.5),
        reference=0.5,
        colors=KIND_COLORS,
    )
    known = [item for item in items if item["estimate"] is not None]
    spoken = "Cross-validated C-index: " + "; ".join(f"{item['label']} {item['text']}" for item in known) + "."
    return Panel(chart, "", spoken, width=600, max_width=720)


def figure_validation(tables: Tables, study: Study) -> Panel:
    """C-index of the reported models in each validation cohort, beside cross-validation."""
    if not study.validation:
        raise NothingToDraw(
            "This study names no validation cohort, so nothing was validated outside the training data."
        )
    table = tables.need("validation", ("model", "cohort", "c_harrell"))
    board = tables.get("leaderboard")
    models = [m for m in (*study.models.run, BEST_OF_GRID) if m in set(table["model"]) and not is_grid(m)]
    wanted = [m for m in models if m in study.evaluation.report_models or m in ALWAYS]
    items: list[dict[str, Any]] = []
    palette = dict(zip(study.cohorts, (GREY, BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY) * 5, strict=False))
    names = {cohort: study.cohort_label(cohort) for cohort in study.cohorts}
    names[study.training] += " (cross-validated)"
    for model in wanted or models:
        sources = [(study.training, board)] if board is not None else []
        sources += [(cohort, table[table["cohort"] == cohort]) for cohort in study.validation]
        for cohort, part in sources:
            for _, row in part[part["model"] == model].iterrows():
                items.append(
                    _item(names[cohort], row, "c_harrell", kind=names[cohort], model=model_label(model), cohort=cohort)
                )
    known = [item for item in items if item["estimate"] is not None]
    if not known:
        raise NothingToDraw("No model could be applied to a validation cohort.")
    order = list(dict.fromkeys(item["model"] for item in known))
    colors = {names[c]: palette[c] for c in palette if any(i["cohort"] == c for i in known)}
    chart = _grouped_forest(known, order, colors, "Harrell's C-index", 0.5)
    outside = [i for i in known if i["cohort"] != study.training]
    spoken = "C-index in validation: " + "; ".join(f"{i['model']} in {i['kind']} {i['text']}" for i in outside) + "."
    return Panel(chart, "", spoken, width=620, max_width=720, narrow_below=_legend_width(colors))


def _legend_width(colors: dict[str, str]) -> int:
    """Width in pixels below which a legend in one line does not fit."""
    return 60 + sum(30 + 7 * len(label) for label in colors)


def _grouped_forest(
    items: list[dict[str, Any]],
    order: list[str],
    colors: dict[str, str],
    title: str,
    reference: float,
    log: tuple[list[float], tuple[float, float]] | None = None,
) -> Any:
    """One band per model, headed by its name; inside it a line per cohort."""
    lines: list[dict[str, Any]] = []
    for name in order:
        lines.append({"line": len(lines), "head": name, "rule": bool(lines)})
        for item in [i for i in items if i["model"] == name]:
            lines.append({**item, "line": len(lines), "head": None})
    if log:
        ticks, domain = log
        scale = alt.Scale(domain=list(domain), type="log", nice=False)
        axis = alt.Axis(title=title, values=ticks, format="~g")
    else:
        scale = alt.Scale(domain=list(_range(items, reference)), nice=False, zero=False)
        axis = alt.Axis(title=title, format="~g", tickCount=6)
    data = rows(lines)
    base = alt.Chart(data).encode(y=alt.Y("line:O", axis=None, scale=alt.Scale(paddingInner=0, paddingOuter=0)))
    color = alt.Color(
        "kind:N",
        scale=alt.Scale(domain=list(colors), range=list(colors.values())),
        legend=alt.Legend(title=None, orient="top", columns=alt.ExprRef("narrow ? 1 : 0"), symbolType="circle",
                          labelLimit=320),
    )  # fmt: skip
    tooltip = [
        alt.Tooltip("model:N", title="Model"),
        alt.Tooltip("kind:N", title="Cohort"),
        alt.Tooltip("text:N", title="C (95% interval)"),
    ]
    points = base.transform_filter("isValid(datum.estimate)")
    looks: tuple[dict[str, Any], ...] = ({"stroke": "#ffffff", "strokeWidth": 5, "strokeJoin": "round"}, {})
    layers = [
        base.transform_filter("datum.rule").mark_rule(color="#e3e5e9", yOffset=-11).encode(
            x=alt.value(0), x2=alt.value("width")
        ),
        alt.Chart(rows([{"estimate": reference}]))
        .mark_rule(color=GREY, strokeDash=[4, 3], strokeWidth=1.2)
        .encode(x=alt.X("estimate:Q", scale=scale, axis=axis)),
        *[
            base.transform_filter("isValid(datum.head)")
            .mark_text(align="left", fontWeight=600, fontSize=12.5, yOffset=3, **look)
            .encode(x=alt.value(0), text="head:N")
            for look in looks
        ],
        points.transform_filter("isValid(datum.low)").mark_rule(strokeWidth=2).encode(
            x=alt.X("low:Q", scale=scale, axis=axis), x2="high:Q", color=color
        ),
        points.mark_point(filled=True, size=64, opacity=1).encode(
            x=alt.X("estimate:Q", scale=scale, axis=axis), color=color, tooltip=tooltip
        ),
        points.mark_text(align="left", dx=8, fontSize=11.5, color="#333333").encode(
            x=alt.value("width"), text="text:N"
        ),
    ]  # fmt: skip
    return alt.layer(*layers).properties(width="container", height=22 * len(lines))


def training_rows(table: pd.DataFrame, study: Study) -> pd.DataFrame:
    """Rows of the training cohort's cross-validation, however the cohort column marks them."""
    return table[table["cohort"].astype(str).str.split(" (", regex=False).str[0] == study.training]


def figure_comparisons(tables: Tables, study: Study) -> Panel:
    """Paired differences in C-index of the gene index against each comparator, in each cohort."""
    table = tables.need("comparisons", ("cohort", "model", "comparator", "metric", "difference", "low", "high"))
    model = main_model(study)
    table = table[(table["model"] == model) & (table["metric"] == "c_harrell")]
    places = [(study.training, f"{study.cohort_label(study.training)} (cross-validated)", training_rows(table, study))]
    places += [(c, study.cohort_label(c), table[table["cohort"] == c]) for c in study.validation]
    items: list[dict[str, Any]] = []
    colors: dict[str, str] = {}
    palette = (GREY, BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY) * 5
    for place, (cohort, label, part) in enumerate(places):
        for _, row in part.iterrows():
            if number(row["difference"]) is None:
                continue
            colors[label] = palette[place]
            estimate, low, high = (number(row[c]) for c in ("difference", "low", "high"))
            items.append(
                {
                    "estimate": estimate, "low": low, "high": high, "text": signed(row), "kind": label,
                    "model": f"against {model_label(row['comparator'])}", "cohort": cohort,
                }
            )  # fmt: skip
    if not items:
        raise NothingToDraw("No comparator could be compared with the gene index.")
    order = list(dict.fromkeys(item["model"] for item in items))
    chart = _grouped_forest(items, order, colors, f"Difference in C-index ({model_label(model)} − comparator)", 0.0)
    spoken = "Difference in C-index: " + "; ".join(f"{i['model']}, {i['kind']}: {i['text']}" for i in items) + "."
    return Panel(chart, "", spoken, width=620, max_width=720, narrow_below=_legend_width(colors))


def main_model(study: Study) -> str:
    """The model that the report speaks about first: the gene index when it runs."""
    return "gene_index" if "gene_index" in study.models.run else study.models.run[0]


def signed(row: Any) -> str:
    """Difference with its sign and interval."""
    value = number(row["difference"])
    text = fixed(value, 3) if value is not None else "–"
    low, high = number(row["low"]), number(row["high"])
    sign = "+" if value is not None and value > 0 else ""
    return f"{sign}{text}" + (f" ({fixed(low, 3)} to {fixed(high, 3)})" if None not in (low, high) else "")


def figure_null(tables: Tables, study: Study) -> Panel:
    """C-index of random gene sets and permuted outcomes, with the gene index and the leaky recipe as lines."""
    table = tables.need("controls", ("control", "c_harrell"))
    table = table.dropna(subset=["c_harrell"])
    kinds = {"random_gene_set": "Random gene sets", "permuted_outcome": "Permuted outcomes"}
    colors = {"Random gene sets": SKY, "Permuted outcomes": "#b4b9c2"}
    values = {label: table[table["control"] == name]["c_harrell"].to_numpy(float) for name, label in kinds.items()}
    values = {label: found for label, found in values.items() if len(found)}
    if not values:
        raise NothingToDraw("This run computed no negative controls (evaluation.permutations and random_sets are 0).")
    marks: list[dict[str, Any]] = []
    wanted = (
        ("index", "Gene index", BLUE),
        ("leaky_recipe", "Leaky recipe, same data", VERMILLION),
        ("honest_recipe", "Same recipe, honestly", GREEN),
    )
    for name, label, ink in wanted:
        found = table[table["control"] == name]["c_harrell"]
        if len(found):
            marks.append({"value": float(found.mean()), "label": label, "color": ink})
    index = next((mark["value"] for mark in marks if mark["label"] == "Gene index"), None)
    everything = np.concatenate([*values.values(), [mark["value"] for mark in marks]])
    width = 0.01
    start = math.floor(min(everything.min(), 0.5) / width - 1) * width
    stop = math.ceil(max(everything.max(), 0.5) / width + 2) * width
    edges = np.round(np.arange(start, stop + width / 2, width), 6)
    bars: list[dict[str, Any]] = []
    for label, found in values.items():
        counts, _ = np.histogram(found, edges)
        bars += [
            {"start": float(edges[i]), "end": float(edges[i + 1]), "count": int(n), "label": label}
            for i, n in enumerate(counts)
            if n
        ]
    scale = alt.Scale(domain=[round(start, 3), round(stop, 3)], nice=False, zero=False)
    top = max(bar["count"] for bar in bars)
    y_scale = alt.Scale(domain=[0, top * 1.05], nice=False)
    axis = alt.Axis(title="Harrell's C-index, cross-validated", format="~g")
    color = alt.Color(
        "label:N",
        scale=alt.Scale(domain=list(values), range=[colors[label] for label in values]),
        legend=alt.Legend(title=None, orient="bottom", symbolType="square"),
    )
    layers: list[Any] = [
        alt.Chart(rows(bars))
        .mark_bar(opacity=0.75, stroke="#ffffff", strokeWidth=0.6)
        .encode(
            x=alt.X("start:Q", scale=scale, axis=axis, bin=alt.BinParams(binned=True)),
            x2="end:Q",
            y=alt.Y("count:Q", scale=y_scale, stack=None, axis=alt.Axis(title="Draws", tickMinStep=1, tickCount=5)),
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
    for place, mark in enumerate(sorted(marks, key=lambda m: m["value"])):
        right = mark["value"] > (start + stop) / 2
        data = rows([{"start": mark["value"], "text": f"{mark['label']} {mark['value']:.2f}"}])
        level = -10 - 18 * place
        layers += [
            alt.Chart(data)
            .mark_rule(color=mark["color"], strokeWidth=2.5)
            .encode(x=alt.X("start:Q", scale=scale, axis=axis), y=alt.value(level + 8), y2=alt.value("height")),
            alt.Chart(data)
            .mark_text(color=mark["color"], fontWeight=600, align="right" if right else "left", dx=4 if right else -4)
            .encode(x=alt.X("start:Q", scale=scale, axis=axis), y=alt.value(level), text="text:N"),
        ]
    note, spoken = "", ", ".join(f"{label}: mean C {found.mean():.2f}" for label, found in values.items())
    summary = tables.get("controls_summary")
    if summary is not None and "p" in summary:
        found = summary[summary["control"] == "random_gene_set"]["p"].dropna()
        if len(found):
            note = f"Gene index against random gene sets: {p_text(found.iloc[0])} (empirical)"
    spoken += f". Gene index C {index:.2f}. {note}" if index is not None else ""
    return Panel(alt.layer(*layers).properties(width="container", height=240), note, spoken, width=560, max_width=680)


def figure_hazard_ratios(tables: Tables, study: Study, cohort: str) -> Panel:
    """Uni- and multivariable hazard ratios of the index and the clinical variables."""
    table = tables.need("hazard_ratios", ("analysis", "term", "hr", "low", "high"), cohort=cohort)
    kinds = {"univariable": "Univariable", "multivariable": "Multivariable"}
    items = []
    terms = list(dict.fromkeys(table[table["analysis"].isin(kinds)]["term"].astype(str)))
    for term in terms:
        for name, label in kinds.items():
            for _, row in table[(table["analysis"] == name) & (table["term"].astype(str) == term)].iterrows():
                if number(row["hr"]) is not None:
                    items.append({**_hazard(row), "kind": label, "model": term_label(term), "cohort": cohort})
    if not items:
        raise NothingToDraw("No hazard ratio could be estimated in this cohort.")
    order = list(dict.fromkeys(item["model"] for item in items))
    chart = _log_grouped(items, order)
    spoken = "Hazard ratios: " + "; ".join(f"{i['model']}, {i['kind'].lower()}: {i['text']}" for i in items) + "."
    return Panel(chart, "", spoken, width=620, max_width=720)


def figure_gene_hazard_ratios(tables: Tables, study: Study, most: int = 40) -> Panel:
    """Univariable hazard ratios of the genes of the index."""
    table = tables.need("hazard_ratios", ("analysis", "term", "hr", "low", "high"), cohort=study.training)
    table = table[table["analysis"] == "univariable_gene"].dropna(subset=["hr"]).copy()
    if table.empty:
        raise NothingToDraw("No gene was selected, so there is no hazard ratio of a gene.")
    table["strength"] = table["hr"].astype(float).map(lambda hr: abs(math.log(hr)) if hr > 0 else 0.0)
    total = len(table)
    table = table.sort_values(["strength", "term"], ascending=[False, True], kind="stable").head(most)
    table = table.sort_values(["hr", "term"], ascending=[False, True], kind="stable")
    items = [{**_hazard(row), "label": str(row["term"]).removeprefix("expression:")} for _, row in table.iterrows()]
    for item in items:
        item["kind"] = "Higher risk" if item["estimate"] > 1 else "Lower risk"
    colors = {"Higher risk": VERMILLION, "Lower risk": BLUE}
    ticks, domain = log_axis(items)
    chart = forest(
        items,
        title="Hazard ratio per standard deviation (log scale)",
        domain=domain,
        reference=1.0,
        log=True,
        compact=True,
        colors=colors,
        ticks=ticks,
    )
    note = f"The {most} strongest of {total} genes" if total > most else ""
    spoken = f"Univariable hazard ratios of {len(items)} genes, from {items[0]['label']} {items[0]['text']} to "
    spoken += f"{items[-1]['label']} {items[-1]['text']}."
    return Panel(chart, note, spoken, width=560, max_width=680)


def term_label(term: Any) -> str:
    """Label of a term of a Cox model."""
    text = str(term)
    bare = text.split(":", 1)[-1] if text.startswith(("clinical:", "expression:", "mutation:")) else text
    label = TERM_LABELS.get(text) or FIXED_LABELS.get(text)
    if label or text.startswith(("expression:", "mutation:")) or bare == bare.upper():
        return label or bare
    return bare[:1].upper() + bare[1:].replace("_", " ")


def _hazard(row: pd.Series) -> dict[str, Any]:
    value, low, high = (number(row[name]) for name in ("hr", "low", "high"))
    detail = p_text(row["p"]) if "p" in row.index and number(row["p"]) is not None else ""
    return {"estimate": value, "low": low, "high": high, "text": interval(value, low, high), "detail": detail}


def log_axis(items: list[dict[str, Any]]) -> tuple[list[float], tuple[float, float]]:
    """Ticks and range of a hazard-ratio axis: within 0.05 to 20, always around 1."""
    values = [v for item in items for v in (item["low"], item["high"], item["estimate"]) if v and v > 0]
    low, high = max(0.05, min([*values, 0.8])), min(20.0, max([*values, 1.25]))
    low, high = low / 1.08, high * 1.08
    steps = (
        [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20]
        if high / low > 8
        else [0.25, 0.33, 0.5, 0.67, 0.8, 1, 1.25, 1.5, 2, 3, 4]
    )
    ticks = [t for t in steps if low <= t <= high]
    if len(ticks) > 7:
        ticks = [t for t in ticks if t not in (0.33, 0.67, 0.8, 1.25)]
    return [float(t) for t in ticks], (round(low, 4), round(high, 4))


def _log_grouped(items: list[dict[str, Any]], order: list[str]) -> Any:
    ticks, (low, high) = log_axis(items)
    for item in items:
        for name in ("low", "high", "estimate"):
            if item[name] is not None:
                item[name] = min(max(item[name], low), high)
    colors = {"Univariable": ORANGE, "Multivariable": BLUE}
    return _grouped_forest(items, order, colors, "Hazard ratio of death (log scale)", 1.0, (ticks, (low, high)))
