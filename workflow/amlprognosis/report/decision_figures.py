"""Is the predicted risk right, and is it worth acting on: D-calibration and decision curves."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from amlprognosis.report.chosen import decision_models, main_model
from amlprognosis.report.reading import row_of, rows_in
from amlprognosis.report.theme import (
    BLUE,
    GREY,
    NothingToDraw,
    Panel,
    Tables,
    fixed,
    interval,
    model_colors,
    number,
    p_text,
    percent,
    rows,
    years_text,
)
from amlprognosis.study import Study, model_label

TREAT_ALL, TREAT_NONE = "Treat all", "Treat none"
LOWEST = -0.06


def treat_all(curve: pd.DataFrame, threshold: float) -> float | None:
    """Net benefit of treating everybody at a threshold, from its values at the thresholds of a decision curve.

    Net benefit of treating all is ``p - (1 - p) * t / (1 - t)``; one row tells the share of deaths ``p``.
    """
    known = curve.dropna(subset=["treat_all"])
    if known.empty:
        return None
    row = known.iloc[(known["threshold"] - threshold).abs().argmin()]
    odds = float(row["threshold"]) / (1 - float(row["threshold"]))
    deaths = (float(row["treat_all"]) + odds) / (1 + odds)
    return deaths - (1 - deaths) * threshold / (1 - threshold)


def figure_decision_curve(tables: Tables, study: Study, cohort: str) -> Panel:
    """Net benefit over thresholds of the reported models, beside treating all and treating none."""
    columns = ("model", "threshold", "net_benefit", "low", "high", "treat_all")
    table = tables.need("decision_curve", columns, cohort=cohort).dropna(subset=["net_benefit"])
    models = [model for model in decision_models(study) if model in set(table["model"])]
    if not models:
        raise NothingToDraw("No reported model predicts survival at the main horizon here, so none has a net benefit.")
    curves = table[table["model"].isin(models)].sort_values(["model", "threshold"], kind="stable")
    first = curves[curves["model"] == models[0]]
    labels = {model: model_label(model) for model in models}
    lines = [
        {"threshold": row["threshold"], "value": row["net_benefit"], "label": labels[str(row["model"])],
         "text": interval(row["net_benefit"], row["low"], row["high"])}
        for row in curves.to_dict("records")
    ]  # fmt: skip
    everybody = first.dropna(subset=["treat_all"])
    lines += [
        {"threshold": t, "value": v, "label": TREAT_ALL, "text": fixed(v)}
        for t, v in zip(everybody["threshold"], everybody["treat_all"], strict=True)
        if v > LOWEST - 0.1
    ]
    ends = (float(curves["threshold"].min()), float(curves["threshold"].max()))
    lines += [{"threshold": t, "value": 0.0, "label": TREAT_NONE, "text": "0"} for t in ends]
    top = max([0.1, *curves["net_benefit"], *first["high"].dropna()])
    looks = {labels[m]: ink for m, ink in model_colors(models).items()} | {TREAT_ALL: "#6b7280", TREAT_NONE: "#6b7280"}
    dashes = [[1, 0]] * len(models) + [[6, 4], [2, 3]]
    domain = list(looks)
    x = alt.X(
        "threshold:Q",
        scale=alt.Scale(domain=[0, 1], nice=False),
        axis=alt.Axis(title="Risk of death from which one would act", format=".0%", grid=False, tickCount=5),
    )
    scale = alt.Scale(domain=[LOWEST, round(top * 1.04, 3)], nice=False)
    axis = alt.Axis(title="Net benefit", format="~g", tickCount=6)
    legend = alt.Legend(title=None, orient="top", columns=alt.ExprRef("narrow ? 1 : 2"), symbolType="stroke",
                        symbolSize=260, labelLimit=260)  # fmt: skip
    base = alt.Chart(rows(lines))
    y = alt.Y("value:Q", scale=scale, axis=axis)
    layers = [
        alt.Chart(rows(first[["threshold", "low", "high"]].dropna()))
        .mark_area(color=looks[labels[models[0]]], opacity=0.13, clip=True)
        .encode(x=x, y=alt.Y("low:Q", scale=scale, axis=axis), y2="high:Q"),
        alt.Chart(rows([{"threshold": study.evaluation.decision_threshold}]))
        .mark_rule(color=GREY, strokeDash=[1, 3], strokeWidth=1.4)
        .encode(x=x),
        base.mark_line(clip=True, strokeWidth=2).encode(
            x=x,
            y=y,
            color=alt.Color("label:N", scale=alt.Scale(domain=domain, range=list(looks.values())), legend=legend),
            strokeDash=alt.StrokeDash("label:N", scale=alt.Scale(domain=domain, range=dashes), legend=legend),
        ),
        base.mark_point(opacity=0, size=90, clip=True, aria=False).encode(
            x=x,
            y=y,
            tooltip=[
                alt.Tooltip("label:N", title="Model"),
                alt.Tooltip("threshold:Q", title="Threshold", format=".0%"),
                alt.Tooltip("text:N", title="Net benefit"),
            ],
        ),
    ]
    note = _decision_note(tables, study, cohort, models[0], first)
    spoken = f"Decision curves of {', '.join(labels.values())} with treating all and none. {note}"
    chart = alt.layer(*layers).properties(width="container", height=300)
    return Panel(chart, note, spoken, width=520, max_width=600, narrow_below=340)


def _decision_note(tables: Tables, study: Study, cohort: str, model: str, curve: pd.DataFrame) -> str:
    threshold = study.evaluation.decision_threshold
    everybody = treat_all(curve, threshold)
    if cohort == study.training:
        row = row_of(tables.get("leaderboard"), model=model)
    else:
        row = row_of(rows_in(tables.get("validation"), study, cohort), model=model)
    value = number(row.get("net_benefit")) if row is not None else None
    if row is None or value is None or everybody is None:
        return ""
    text = interval(value, row.get("net_benefit_low"), row.get("net_benefit_high"))
    horizon = years_text(study.evaluation.main_horizon_years)
    return f"{model_label(model)}, {horizon}, at {percent(threshold)}: {text}; treat all {fixed(everybody)}, none 0"


def figure_d_calibration(tables: Tables, study: Study, cohort: str) -> Panel:
    """Share of patients by tenth of the predicted survival at their own time, with the share that is right."""
    model = main_model(study)
    table = tables.need("d_calibration", ("bin", "lower", "upper", "share"), cohort=cohort, model=model)
    table = table.dropna(subset=["share"]).sort_values("bin", kind="stable")
    if table.empty:
        raise NothingToDraw(f"{model_label(model)} predicts no survival curve here, so it has no D-calibration.")
    expected = number(table["expected"].iloc[0]) if "expected" in table else None
    expected = 1 / len(table) if expected is None else expected
    p = number(table["p"].iloc[0]) if "p" in table else None
    note = ""
    if p is not None:
        note = f"Test of equal shares, {p_text(p)}: " + ("miscalibrated" if p < 0.05 else "no sign of miscalibration")
    scale = alt.Scale(domain=[0, round(max(0.2, float(table["share"].max()) * 1.08), 3)], nice=False)
    axis = alt.Axis(title="Share of patients", format=".0%", tickCount=5)
    x_axis = alt.Axis(title="Predicted survival at one's own time", format=".0%", grid=False, tickCount=5)
    x_scale = alt.Scale(domain=[0, 1], nice=False)
    data = table.assign(
        start=table["lower"] + 0.006, end=table["upper"] - 0.006,
        text=[f"{percent(a)} to {percent(b)}" for a, b in zip(table["lower"], table["upper"], strict=True)],
    )  # fmt: skip
    layers: list[Any] = [
        alt.Chart(rows(data[["start", "end", "share", "text"]]))
        .mark_rect(color=BLUE, opacity=0.75)
        .encode(
            x=alt.X("start:Q", scale=x_scale, axis=x_axis),
            x2="end:Q",
            y=alt.Y("share:Q", scale=scale, axis=axis),
            y2=alt.datum(0),
            tooltip=[
                alt.Tooltip("text:N", title="Predicted survival"),
                alt.Tooltip("share:Q", title="Share of patients", format=".1%"),
            ],
        ),
        alt.Chart(rows([{"share": expected}]))
        .mark_rule(color=GREY, strokeDash=[4, 3], strokeWidth=1.6)
        .encode(y=alt.Y("share:Q", scale=scale, axis=axis)),
    ]
    chart = alt.layer(*layers).properties(width="container", height=210)
    low, high = float(table["share"].min()), float(table["share"].max())
    spoken = f"D-calibration of {model_label(model)}: shares of {percent(low)} to {percent(high)} where "
    spoken += f"{percent(expected)} is right. {note}"
    return Panel(chart, note, spoken, width=400, max_width=470)
