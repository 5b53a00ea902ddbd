"""Curves of a model in a cohort: Kaplan-Meier with numbers at risk, time-dependent ROC, calibration, AUC."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from amlprognosis.report.theme import (
    BLACK,
    BLUE,
    GREY,
    GROUP_COLORS,
    YEAR,
    NothingToDraw,
    Panel,
    Tables,
    fixed,
    interval,
    model_colors,
    number,
    p_text,
    rows,
    years_text,
)
from amlprognosis.study import BEST_OF_GRID, Study, horizon_suffix, model_label

GROUP_LABELS = {"high": "High risk", "low": "Low risk"}
HORIZON_COLORS = (BLUE, "#D55E00", "#009E73", "#CC79A7", "#E69F00", BLACK)


def figure_kaplan_meier(tables: Tables, cohort: str, model: str) -> Panel:
    """Overall survival by risk group, with 95% bands and the numbers at risk under the axis."""
    curve = tables.need(
        "kaplan_meier", ("group", "time_days", "survival", "low", "high"), cohort=cohort, model=model
    ).copy()
    groups = [group for group in ("high", "low") if group in set(curve["group"])]
    if not groups:
        raise NothingToDraw("No patient of this cohort has a risk group.")
    curve["years"] = curve["time_days"] / YEAR
    curve["label"] = curve["group"].map(GROUP_LABELS)
    last = float(curve["years"].max())
    risk = tables.get("risk_table")
    at_risk = pd.DataFrame(columns=["group", "time_days", "at_risk"])
    if risk is not None:
        at_risk = risk[(risk["cohort"] == cohort) & (risk["model"] == model)].copy()
    times = _thinned(sorted({float(t) / YEAR for t in at_risk["time_days"]}), 7)
    end = max([last, *times[-1:]])
    height = 300
    scale = alt.Scale(domain=[0, round(end, 3)], nice=False)
    labels = [GROUP_LABELS[group] for group in groups]
    color = alt.Color(
        "label:N",
        scale=alt.Scale(domain=labels, range=[GROUP_COLORS[group] for group in groups]),
        legend=alt.Legend(title=None, orient="top", symbolType="stroke", symbolSize=260, symbolOpacity=1),
    )
    axis = alt.Axis(
        title="Years since diagnosis",
        values=[round(t, 4) for t in times] if times else alt.Undefined,
        format="~g",
        grid=False,
        labelFlush=False,
    )
    x = alt.X("years:Q", scale=scale, axis=axis)
    y_scale = alt.Scale(domain=[0, 1])
    y_axis = alt.Axis(title="Overall survival", format=".0%", tickCount=5)
    base = alt.Chart(rows(curve[["years", "label", "survival", "low", "high"]]))
    band = (
        base.transform_filter("isValid(datum.low)")
        .mark_area(interpolate="step-after", opacity=0.14)
        .encode(x=x, y=alt.Y("low:Q", scale=y_scale, axis=y_axis), y2="high:Q", color=color)
    )
    line = base.mark_line(interpolate="step-after").encode(
        x=x, y=alt.Y("survival:Q", scale=y_scale, axis=y_axis), color=color
    )
    # A wide invisible stroke: the tooltip is hard to hit on a thin line, on a phone above all.
    hover = base.mark_point(opacity=0, size=140).encode(
        x=x,
        y=alt.Y("survival:Q", scale=y_scale, axis=y_axis),
        tooltip=[
            alt.Tooltip("label:N", title="Group"),
            alt.Tooltip("years:Q", title="Years", format=".2f"),
            alt.Tooltip("survival:Q", title="Survival", format=".1%"),
            alt.Tooltip("low:Q", title="Lower 95%", format=".1%"),
            alt.Tooltip("high:Q", title="Upper 95%", format=".1%"),
        ],
    )
    layers: list[Any] = [band, line, hover, *_at_risk(at_risk, groups, times, height, scale, axis)]
    note, spoken = _group_note(tables, cohort, model)
    summary = f"Kaplan-Meier curves of {' and '.join(label.lower() for label in labels)} patients. {spoken}"
    return Panel(
        alt.layer(*layers).properties(width="container", height=height), note, summary, width=480, max_width=560
    )


def _at_risk(
    at_risk: pd.DataFrame, groups: list[str], times: list[float], height: int, scale: alt.Scale, axis: alt.Axis
) -> list[Any]:
    """Text under the axis: it shares the x scale, so that numbers stand under their ticks."""
    if not times:
        return []
    top = height + 60
    layers: list[Any] = [
        alt.Chart(rows([{"text": "Numbers at risk"}]))
        .mark_text(align="left", fontWeight=600, fontSize=12)
        .encode(x=alt.value(0), y=alt.value(top), text="text:N")
    ]
    for place, group in enumerate(groups):
        part = at_risk[at_risk["group"] == group]
        counts = {round(float(t) / YEAR, 4): int(n) for t, n in zip(part["time_days"], part["at_risk"], strict=True)}
        items = [{"years": round(t, 4), "text": f"{counts[round(t, 4)]:,}"} for t in times if round(t, 4) in counts]
        level = top + 19 * (place + 1)
        layers += [
            alt.Chart(rows(items))
            .mark_text(fontSize=12, color=GROUP_COLORS[group])
            .encode(x=alt.X("years:Q", scale=scale, axis=axis), y=alt.value(level), text="text:N"),
            alt.Chart(rows([{"text": group.capitalize()}]))
            .mark_text(fontSize=12, color=GROUP_COLORS[group], align="right", dx=-20, fontWeight=600)
            .encode(x=alt.value(0), y=alt.value(level), text="text:N"),
        ]
    return layers


def _thinned(times: list[float], most: int) -> list[float]:
    """At most ``most`` + 1 evenly spaced times, so that the numbers do not touch on a phone."""
    step = max(1, -(-len(times) // (most + 1)))
    return times[::step]


def _group_note(tables: Tables, cohort: str, model: str) -> tuple[str, str]:
    table = tables.get("risk_groups")
    if table is None:
        return "", ""
    found = table[(table["cohort"] == cohort) & (table["model"] == model)]
    if found.empty:
        return "", ""
    row = found.iloc[0]
    parts = []
    if number(row.get("hr")) is not None:
        parts.append(f"HR {interval(row['hr'], row.get('hr_low'), row.get('hr_high'))}")
    if number(row.get("logrank_p")) is not None:
        parts.append(f"log-rank {p_text(row['logrank_p'])}")
    sizes = [
        f"{int(row[group])} {group}" for group in ("high", "low") if group in row and number(row[group]) is not None
    ]
    if number(row.get("rmst_difference_months")) is not None:
        value, low, high = (row.get(f"rmst_difference_months{end}") for end in ("", "_low", "_high"))
        months = interval(value, low, high, 1)
        within = number(row.get("rmst_horizon_years"))
        during = f" within {years_text(round(within, 1))}" if within is not None else ""
        parts.append(f"low risk lives {months} months longer{during}")
    note = " · ".join([*parts, *([f"{', '.join(sizes)} risk"] if sizes else [])])
    return note, f"High against low risk: {note}." if note else ""


def figure_roc(tables: Tables, study: Study, cohort: str, model: str) -> Panel:
    """Cumulative/dynamic ROC curves at each horizon."""
    curve = tables.need("roc", ("horizon_years", "fpr", "tpr"), cohort=cohort, model=model).copy()
    curve = curve.dropna(subset=["fpr", "tpr"])
    if curve.empty:
        raise NothingToDraw("No horizon lies within the follow-up of this cohort.")
    horizons = sorted({float(h) for h in curve["horizon_years"]})
    names, colors = {}, []
    for horizon in horizons:
        row = curve[curve["horizon_years"] == horizon].iloc[0]
        names[horizon] = f"{years_text(horizon)}: {_auc(tables, cohort, model, horizon, row)}"
        place = sorted({*study.evaluation.horizons_years, *horizons}).index(horizon)
        colors.append(HORIZON_COLORS[place % len(HORIZON_COLORS)])
    curve["label"] = curve["horizon_years"].map(lambda h: names[float(h)])
    curve["place"] = range(len(curve))
    color = alt.Color(
        "label:N",
        scale=alt.Scale(domain=list(names.values()), range=colors),
        legend=alt.Legend(
            title="AUC (95% interval)", orient="bottom-right", symbolType="stroke", symbolSize=200,
            fillColor="#ffffff", padding=6, offset=4,
        ),
    )  # fmt: skip
    unit = alt.Scale(domain=[0, 1])
    chart = (
        alt.Chart(rows(_simplified(curve)[["fpr", "tpr", "label", "place"]]))
        .mark_line(strokeJoin="round")
        .encode(
            x=alt.X("fpr:Q", scale=unit, axis=alt.Axis(title="1 − specificity", tickCount=5, format="~g")),
            y=alt.Y("tpr:Q", scale=unit, axis=alt.Axis(title="Sensitivity", tickCount=5, format="~g")),
            color=color,
            order="place:Q",
            tooltip=[
                alt.Tooltip("label:N", title="Horizon"),
                alt.Tooltip("fpr:Q", title="1 − specificity", format=".2f"),
                alt.Tooltip("tpr:Q", title="Sensitivity", format=".2f"),
            ],
        )
    )
    note = "AUC at " + "; ".join(names.values())
    lacking = [h for h in study.evaluation.horizons_years if h not in horizons]
    if lacking:
        note += f"; {', '.join(years_text(h) for h in lacking)} beyond follow-up or not predicted"
    return Panel(
        alt.layer(_diagonal(unit), chart).properties(width="container", height=340),
        "" if not lacking else note.split("; ")[-1].capitalize(),
        f"Time-dependent ROC curves. {note}.",
        width=380,
        max_width=470,
    )


def _auc(tables: Tables, cohort: str, model: str, horizon: float, row: pd.Series) -> str:
    """AUC with its interval, from the curve's own columns or from the performance tables."""
    if number(row.get("auc")) is not None and number(row.get("auc_low")) is not None:
        return interval(row["auc"], row.get("auc_low"), row.get("auc_high"))
    metric = f"auc_{horizon_suffix(horizon)}"
    found = performance_row(tables, cohort, model)
    if found is not None and number(found.get(metric)) is not None:
        return interval(found[metric], found.get(f"{metric}_low"), found.get(f"{metric}_high"))
    return fixed(row.get("auc"))


def performance_row(tables: Tables, cohort: str, model: str) -> pd.Series | None:
    """Metrics of a model in a cohort: its validation row, else the cross-validated one of the training cohort."""
    validation = tables.get("validation")
    if validation is not None:
        found = validation[(validation["cohort"] == cohort) & (validation["model"] == model)]
        if not found.empty:
            return found.iloc[0]
        if cohort in set(validation["cohort"]):
            return None
    cohorts = tables.get("cohorts")
    if (
        cohorts is not None
        and "role" in cohorts
        and cohort not in set(cohorts[cohorts["role"] == "training"]["cohort"])
    ):
        return None
    board = tables.get("leaderboard")
    found = board[board["model"] == model] if board is not None else pd.DataFrame()
    return None if found.empty else found.iloc[0]


def _simplified(curve: pd.DataFrame) -> pd.DataFrame:
    """Drop points inside straight horizontal or vertical runs; the drawn curve is the same."""
    keep = []
    for _, part in curve.groupby("label", sort=False):
        x, y = part["fpr"].to_numpy(), part["tpr"].to_numpy()
        for i in range(len(part)):
            inner = 0 < i < len(part) - 1
            flat = inner and ((x[i - 1] == x[i] == x[i + 1]) or (y[i - 1] == y[i] == y[i + 1]))
            if not flat:
                keep.append(part.index[i])
    return curve.loc[keep]


def _diagonal(scale: alt.Scale, x: str = "fpr", y: str = "tpr") -> Any:
    return (
        alt.Chart(rows([{x: 0, y: 0}, {x: 1, y: 1}]))
        .mark_line(color=GREY, strokeDash=[4, 3], strokeWidth=1.2)
        .encode(x=alt.X(f"{x}:Q", scale=scale), y=alt.Y(f"{y}:Q", scale=scale))
    )


def figure_calibration(tables: Tables, study: Study, cohort: str, model: str) -> Panel:
    """Predicted against observed risk of death at the main horizon, by groups of predicted risk."""
    table = tables.need("calibration", ("horizon_years", "predicted", "observed"), cohort=cohort, model=model)
    horizon = float(study.evaluation.main_horizon_years)
    table = table[table["horizon_years"].astype(float) == horizon].dropna(subset=["predicted", "observed"]).copy()
    if table.empty:
        raise NothingToDraw(
            f"No calibration at {years_text(horizon)}: the horizon is beyond follow-up, or the model does not "
            "predict survival there."
        )
    for column in ("low", "high", "patients"):
        if column not in table:
            table[column] = float("nan")
    unit = alt.Scale(domain=[0, 1], clamp=True)
    x = alt.X(
        "predicted:Q", scale=unit,
        axis=alt.Axis(title=f"Predicted at {years_text(horizon)}", format=".0%", values=[0, 0.25, 0.5, 0.75, 1]),
    )  # fmt: skip
    axis = alt.Axis(title="Observed (Kaplan-Meier)", format=".0%", values=[0, 0.25, 0.5, 0.75, 1])
    base = alt.Chart(rows(table[["predicted", "observed", "low", "high", "patients"]]))
    layers = [
        _diagonal(unit, "predicted", "observed"),
        base.mark_line(color=BLUE, strokeWidth=1.2, opacity=0.5).encode(
            x=x, y=alt.Y("observed:Q", scale=unit, axis=axis)
        ),
        base.transform_filter("isValid(datum.low)")
        .mark_rule(color=BLUE)
        .encode(x=x, y=alt.Y("low:Q", scale=unit, axis=axis), y2="high:Q"),
        base.mark_point(filled=True, size=80, color=BLUE, opacity=1).encode(
            x=x,
            y=alt.Y("observed:Q", scale=unit, axis=axis),
            tooltip=[
                alt.Tooltip("patients:Q", title="Patients"),
                alt.Tooltip("predicted:Q", title="Predicted", format=".1%"),
                alt.Tooltip("observed:Q", title="Observed", format=".1%"),
                alt.Tooltip("low:Q", title="Lower 95%", format=".1%"),
                alt.Tooltip("high:Q", title="Upper 95%", format=".1%"),
            ],
        ),
    ]
    row = performance_row(tables, cohort, model)
    parts = []
    if row is not None:
        if number(row.get("calibration_slope")) is not None:
            slope = interval(
                row["calibration_slope"], row.get("calibration_slope_low"), row.get("calibration_slope_high")
            )
            parts.append(f"slope {slope}")
        if number(row.get("calibration_intercept")) is not None:
            intercept = interval(*(row.get(f"calibration_intercept{end}") for end in ("", "_low", "_high")))
            parts.append(f"intercept {intercept}")
        if number(row.get("oe")) is not None:
            parts.append(f"observed/expected {interval(row['oe'], row.get('oe_low'), row.get('oe_high'))}")
        if number(row.get("ici")) is not None:
            parts.append(f"mean error (ICI) {fixed(row['ici'], 3)}")
    note = " · ".join(parts)
    return Panel(
        alt.layer(*layers).properties(width="container", height=340),
        note[:1].upper() + note[1:],
        f"Calibration at {years_text(horizon)} in {len(table)} groups of predicted risk. {note}".strip(),
        width=380,
        max_width=470,
    )


def figure_auc(tables: Tables, study: Study, cohort: str) -> Panel:
    """AUC of the reported models over the horizons."""
    items: list[dict[str, Any]] = []
    horizons = sorted(study.evaluation.horizons_years)
    models = [m for m in (*study.evaluation.report_models, BEST_OF_GRID) if m in (*study.models.run, BEST_OF_GRID)]
    for model in models:
        row = performance_row(tables, cohort, model)
        for horizon in horizons:
            metric = f"auc_{horizon_suffix(horizon)}"
            if row is None or number(row.get(metric)) is None:
                continue
            low, high = number(row.get(f"{metric}_low")), number(row.get(f"{metric}_high"))
            items.append(
                {
                    "horizon": years_text(horizon), "model": model_label(model), "auc": number(row[metric]),
                    "low": low, "high": high, "text": interval(row[metric], low, high),
                }
            )  # fmt: skip
    if not items:
        raise NothingToDraw("No time-dependent AUC is known here: the horizons lie beyond the follow-up.")
    models = [m for m in models if any(item["model"] == model_label(m) for item in items)]
    labels = [model_label(m) for m in models]
    color = alt.Color(
        "model:N",
        scale=alt.Scale(domain=labels, range=list(model_colors(models).values())),
        legend=alt.Legend(title=None, orient="top", columns=alt.ExprRef("narrow ? 1 : 2"), symbolType="circle"),
    )
    floor = min([0.4, *[item["low"] for item in items if item["low"] is not None]])
    scale = alt.Scale(domain=[max(0.0, round(floor - 0.02, 2)), 1.0], nice=False, zero=False)
    order = [years_text(h) for h in horizons]
    x = alt.X("horizon:N", sort=order, axis=alt.Axis(title="Horizon", labelAngle=0, grid=False))
    offset = alt.XOffset("model:N", sort=labels, scale=alt.Scale(paddingOuter=0.6))
    base = alt.Chart(rows(items))
    axis = alt.Axis(title="AUC (cumulative/dynamic)", format="~g", tickCount=6)
    chart = alt.layer(
        alt.Chart(rows([{"auc": 0.5}]))
        .mark_rule(color=GREY, strokeDash=[4, 3], strokeWidth=1.2)
        .encode(y=alt.Y("auc:Q", scale=scale, axis=axis)),
        base.transform_filter("isValid(datum.low)")
        .mark_rule(strokeWidth=2)
        .encode(x=x, xOffset=offset, y=alt.Y("low:Q", scale=scale, axis=axis), y2="high:Q", color=color),
        base.mark_point(filled=True, size=70, opacity=1).encode(
            x=x,
            xOffset=offset,
            y=alt.Y("auc:Q", scale=scale, axis=axis),
            color=color,
            tooltip=[
                alt.Tooltip("model:N", title="Model"),
                alt.Tooltip("horizon:N", title="Horizon"),
                alt.Tooltip("text:N", title="AUC"),
            ],
        ),
    ).properties(width="container", height=300)
    best = max(items, key=lambda item: item["auc"])
    spoken = f"AUC of {len(labels)} models at {', '.join(order)}; highest {best['text']} ({best['model']})."
    return Panel(chart, "", spoken, width=560, max_width=640)
