"""Patient flow of a cohort: boxes from the source to the analysis, with each exclusion and its reason."""

from __future__ import annotations

import textwrap
from typing import Any

import altair as alt

from amlprognosis.report.theme import NothingToDraw, Panel, Tables, number, rows
from amlprognosis.study import Study

LINE = 16
WIDE = 22


def figure_flow(tables: Tables, study: Study, cohort: str) -> Panel:
    """Flow diagram of one cohort: what remained on the left, what was left out and why on the right."""
    table = tables.need("flow", ("step", "remaining"), cohort=cohort)
    table = table.dropna(subset=["remaining"])
    if table.empty:
        raise NothingToDraw("The flow table counts no patients of this cohort.")
    records = table.to_dict("records")
    start = int(records[0]["remaining"])
    first_out = number(records[0].get("patients"))
    # A first row that already removes patients starts from what was there before it.
    opening_removes = _reason(records[0]) != "" and first_out not in (None, start)
    removed = []
    before = start + int(first_out or 0) if opening_removes else start
    start = before
    for record in records if opening_removes else records[1:]:
        after = int(record["remaining"])
        if after < before:
            removed.append((before - after, _reason(record) or _words(record["step"])))
        before = after
    boxes: list[dict[str, Any]] = []
    arrows: list[dict[str, Any]] = []
    top = 4.0
    source = _words(records[0]["step"]) if not opening_removes else "Patients in the source"
    cursor = _box(boxes, top, [f"{study.cohort_label(cohort)}", f"{_first(source)}: n = {start:,}"], "left", bold=True)
    join = cursor
    for count, reason in removed:
        low = _box(boxes, cursor + 12, [f"Left out: n = {count:,}", reason], "right")
        middle = (cursor + 12 + low) / 2
        arrows.append({"kind": "branch", "y": middle})
        cursor = low
    last = cursor + (22 if removed else 26)
    events = _events(tables, cohort)
    final = ["Training" if cohort == study.training else "Validation, locked", f"Analysed: n = {before:,}"]
    final += [f"{events:,} deaths"] if events is not None else []
    end = _box(boxes, last, final, "left", bold=True)
    spoken = f"Flow of {study.cohort_label(cohort)}: {start:,} patients"
    spoken += "".join(f"; {count:,} left out: {reason}" for count, reason in removed)
    spoken += f"; {before:,} analysed{f' with {events:,} deaths' if events is not None else ''}."
    chart = _draw(boxes, arrows, join, last, end + 4)
    return Panel(chart, "", spoken, width=440, max_width=470)


def _reason(record: dict[str, Any]) -> str:
    reason = record.get("reason")
    return reason.strip() if isinstance(reason, str) else ""


def _words(step: Any) -> str:
    return str(step).replace("_", " ").strip()


def _first(text: str) -> str:
    return text[:1].upper() + text[1:]


def _events(tables: Tables, cohort: str) -> int | None:
    table = tables.get("cohorts")
    if table is None or "events" not in table:
        return None
    found = table[table["cohort"] == cohort]["events"]
    value = number(found.iloc[0]) if len(found) else None
    return None if value is None else int(value)


def _box(boxes: list[dict[str, Any]], top: float, texts: list[str], side: str, bold: bool = False) -> float:
    """Add a box, whose first text is a heading: bold in boxes at the side, plain in others; returns its lower edge."""
    lines: list[dict[str, Any]] = []
    for place, text in enumerate(texts):
        for line in textwrap.wrap(text, WIDE) or [""]:
            lines.append({"text": line, "bold": bold == (place > 0)})
    bottom = top + 14 + LINE * len(lines)
    boxes.append({"top": top, "bottom": bottom, "side": side, "lines": lines})
    return bottom


def _draw(boxes: list[dict[str, Any]], arrows: list[dict[str, Any]], join: float, last: float, height: float) -> Any:
    """Boxes at shares of the width, so that the diagram fits a phone as well as a page."""
    x_scale = alt.Scale(domain=[0, 1], nice=False)
    y_scale = alt.Scale(domain=[height, 0], nice=False)
    x = alt.X("x:Q", scale=x_scale, axis=None)
    y = alt.Y("y:Q", scale=y_scale, axis=None)
    sides = {"left": (0.0, 0.47), "right": (0.53, 1.0)}
    frames = [
        {"x": sides[b["side"]][0], "x2": sides[b["side"]][1], "y": b["top"], "y2": b["bottom"], "side": b["side"]}
        for b in boxes
    ]
    words = [
        {
            "x": sum(sides[b["side"]]) / 2, "y": b["top"] + 7 + LINE * (i + 0.5), "text": line["text"],
            "bold": line["bold"],
        }
        for b in boxes
        for i, line in enumerate(b["lines"])
    ]  # fmt: skip
    middle = sum(sides["left"]) / 2
    lines = [{"x": middle, "x2": middle, "y": join, "y2": last - 7}]
    lines += [{"x": middle, "x2": sides["right"][0] - 0.012, "y": a["y"], "y2": a["y"]} for a in arrows]
    heads = [{"x": middle, "y": last - 5, "angle": 180}]
    heads += [{"x": sides["right"][0] - 0.012, "y": a["y"], "angle": 90} for a in arrows]
    layers = [
        alt.Chart(rows(lines)).mark_rule(color="#6b7280", strokeWidth=1.3).encode(x=x, x2="x2:Q", y=y, y2="y2:Q"),
        alt.Chart(rows(heads))
        .mark_point(shape="triangle-up", filled=True, size=46, color="#6b7280", opacity=1)
        .encode(x=x, y=y, angle=alt.Angle("angle:Q", scale=None)),
        alt.Chart(rows(frames))
        .mark_rect(cornerRadius=4, strokeWidth=1.2, opacity=1)
        .encode(
            x=x,
            x2="x2:Q",
            y=y,
            y2="y2:Q",
            fill=alt.Fill(
                "side:N", scale=alt.Scale(domain=["left", "right"], range=["#e8f1f8", "#ffffff"]), legend=None
            ),
            stroke=alt.Stroke(
                "side:N", scale=alt.Scale(domain=["left", "right"], range=["#0072B2", "#b4b9c2"]), legend=None
            ),
        ),
    ]
    for bold in (True, False):
        layers.append(
            alt.Chart(rows([w for w in words if w["bold"] is bold]))
            .mark_text(fontSize=12, fontWeight=600 if bold else 400, baseline="middle")
            .encode(x=x, y=y, text="text:N")
        )
    return alt.layer(*layers).properties(width="container", height=round(height))
