"""Forest charts: estimate and interval per row, for C-indices, differences and hazard ratios."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from amlprognosis.report.theme import BLACK, BLUE, GREY, rows


def forest(
    items: Sequence[Mapping[str, Any]],
    *,
    title: str,
    domain: tuple[float, float],
    reference: float | None,
    log: bool = False,
    compact: bool = False,
    colors: Mapping[str, str] | None = None,
    legend_title: str = "",
    ticks: Sequence[float] | None = None,
) -> Any:
    """Rows of point and interval around a reference line.

    Parameters
    ----------
    items : sequence of mapping
        ``label``, ``estimate``, ``low``, ``high`` (None when missing), ``text`` (estimate in words), ``kind``.
    title : str
        Title of the x axis.
    domain : (float, float)
        Range of the x axis; intervals beyond it are cut at its end.
    reference : float or None
        Value of no effect.
    log : bool
        Logarithmic axis.
    compact : bool
        One line per row with the label at the left (short labels, many rows) instead of the label above the
        interval, which leaves the whole width to the intervals on a phone.
    colors : mapping, optional
        Kind to colour.
    legend_title : str
        Title of the colour legend; without kinds there is no legend.
    ticks : sequence of float, optional
        Values of the x axis ticks.
    """
    step = 22 if compact else 40
    shift = 0 if compact else 9
    shown = [
        {
            **item,
            "row": index,
            "shown_low": _clamp(item.get("low"), domain),
            "shown_high": _clamp(item.get("high"), domain),
            "shown": _clamp(item.get("estimate"), domain),
        }
        for index, item in enumerate(items)
    ]
    data = rows(shown)
    order = [item["label"] for item in shown]
    colors = colors or {}
    zero = alt.Undefined if log else False
    scale = alt.Scale(domain=list(domain), type="log" if log else "linear", nice=False, zero=zero)
    axis = alt.Axis(title=title, values=list(ticks) if ticks else alt.Undefined, format="~g", orient="bottom")
    x = alt.X("shown:Q", scale=scale, axis=axis)
    y = alt.Y(
        "row:O",
        scale=alt.Scale(paddingInner=0, paddingOuter=0),
        axis=alt.Axis(
            title=None,
            domain=False,
            ticks=False,
            labelExpr=f"{_json(order)}[datum.value]",
            labelPadding=6,
        )
        if compact
        else None,
    )
    tooltip = [
        alt.Tooltip("label:N", title="Row"),
        alt.Tooltip("text:N", title="Estimate (95% interval)"),
        *([alt.Tooltip("detail:N", title="Detail")] if any(item.get("detail") for item in shown) else []),
    ]
    color: Any = alt.value(BLUE)
    if colors:
        kinds = [kind for kind in colors if any(item.get("kind") == kind for item in shown)]
        color = alt.Color(
            "kind:N",
            scale=alt.Scale(domain=kinds, range=[colors[kind] for kind in kinds]),
            legend=alt.Legend(title=legend_title or None, orient="top", symbolType="circle", labelLimit=300)
            if len(kinds) > 1
            else None,
        )
    base = alt.Chart(data).encode(y=y)
    layers: list[Any] = []
    if not compact:
        layers.append(
            base.mark_rule(strokeWidth=1, color="#eceef1", yOffset=step / 2).encode(
                x=alt.value(0), x2=alt.value("width")
            )
        )
    if reference is not None:
        layers.append(
            alt.Chart(rows([{"shown": reference}]))
            .mark_rule(color=GREY, strokeDash=[4, 3], strokeWidth=1.2)
            .encode(x=alt.X("shown:Q", scale=scale, axis=axis))
        )
    layers += [
        base.transform_filter("isValid(datum.shown_low)")
        .mark_rule(strokeWidth=2, yOffset=shift)
        .encode(x=alt.X("shown_low:Q", scale=scale, axis=axis), x2="shown_high:Q", color=color),
        base.transform_filter("isValid(datum.shown)")
        .mark_point(filled=True, size=70 if not compact else 46, opacity=1, yOffset=shift)
        .encode(x=x, color=color, tooltip=tooltip),
    ]
    if compact:
        layers.append(
            base.mark_text(align="left", dx=10, fontSize=11.5, color="#333333").encode(
                x=alt.value("width"), text="text:N"
            )
        )
    else:
        # A white halo keeps the reference line from running through the words.
        looks: tuple[dict[str, Any], ...] = ({"stroke": "#ffffff", "strokeWidth": 5, "strokeJoin": "round"}, {})
        for look in looks:
            layers.append(
                base.mark_text(align="left", dy=-8, fontSize=12.5, color=BLACK, **look).encode(
                    x=alt.value(0), text="label:N", tooltip=tooltip
                )
            )
        layers.append(
            base.mark_text(align="right", dy=-8, fontSize=12.5, color="#333333").encode(
                x=alt.value("width"), text="text:N"
            )
        )
    return alt.layer(*layers).properties(width="container", height=max(step * len(shown), step))


def _clamp(value: Any, domain: tuple[float, float]) -> float | None:
    return None if value is None else min(max(float(value), domain[0]), domain[1])


def _json(values: Sequence[str]) -> str:
    import json

    return json.dumps(list(values), ensure_ascii=False)


def span(items: Sequence[Mapping[str, Any]], *always: float, margin: float = 0.02) -> tuple[float, float]:
    """Range of an axis that holds every estimate and interval, and the values ``always``."""
    ends = ("low", "high", "estimate", "wide_low", "wide_high")
    values = [item[end] for item in items for end in ends if item.get(end) is not None]
    low, high = min([*values, *always]), max([*values, *always])
    pad = margin if high - low < 1 else margin * (high - low)
    return round(low - pad, 3), round(high + pad, 3)


def legend_width(colors: Mapping[str, str]) -> int:
    """Width in pixels below which a legend in one line does not fit."""
    return 60 + sum(30 + 7 * len(label) for label in colors)


def grouped_forest(
    items: Sequence[Mapping[str, Any]],
    order: Sequence[str],
    colors: Mapping[str, str],
    title: str | list[str],
    reference: float,
    log: tuple[list[float], tuple[float, float]] | None = None,
) -> Any:
    """One band per heading; inside it a line per kind.

    Parameters
    ----------
    items : sequence of mapping
        ``model`` (heading of its band), ``kind``, ``estimate``, ``low``, ``high``, ``text``; optionally ``symbol``
        (shape of the mark), ``wide_low`` and ``wide_high`` (a second, wider interval), ``detail``, and ``missing``
        (why there is no estimate, written on the line).
    order : sequence of str
        Headings from top to bottom.
    colors : mapping
        Kind to colour.
    title : str or list of str
        Title of the x axis; a list is one line each.
    reference : float
        Value of no effect.
    log : tuple, optional
        Ticks and range of a logarithmic axis.
    """
    lines: list[dict[str, Any]] = []
    for name in order:
        lines.append({"line": len(lines), "head": name, "rule": bool(lines)})
        for item in [i for i in items if i["model"] == name]:
            lines.append({"symbol": "circle", **item, "line": len(lines), "head": None})
    if log:
        ticks, domain = log
        scale = alt.Scale(domain=list(domain), type="log", nice=False)
        axis = alt.Axis(title=title, values=ticks, format="~g")
    else:
        scale = alt.Scale(domain=list(span(items, reference)), nice=False, zero=False)
        axis = alt.Axis(title=title, format="~g", tickCount=6)
    base = alt.Chart(rows(lines)).encode(y=alt.Y("line:O", axis=None, scale=alt.Scale(paddingInner=0, paddingOuter=0)))
    color = alt.Color(
        "kind:N",
        scale=alt.Scale(domain=list(colors), range=list(colors.values())),
        legend=alt.Legend(title=None, orient="top", columns=alt.ExprRef("narrow ? 1 : 0"), symbolType="circle",
                          labelLimit=320),
    )  # fmt: skip
    detail = any(item.get("detail") for item in items)
    tooltip = [
        alt.Tooltip("model:N", title="Model"),
        alt.Tooltip("kind:N", title="Group"),
        alt.Tooltip("text:N", title="Estimate (95% interval)"),
        *([alt.Tooltip("detail:N", title="Detail")] if detail else []),
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
    ]  # fmt: skip
    if any(item.get("wide_low") is not None for item in items):
        layers.append(
            points.transform_filter("isValid(datum.wide_low)")
            .mark_rule(strokeWidth=1.2, strokeDash=[2, 2])
            .encode(x=alt.X("wide_low:Q", scale=scale, axis=axis), x2="wide_high:Q", color=color)
        )
    if any(item.get("missing") for item in items):
        layers += [
            base.transform_filter("isValid(datum.missing)")
            .mark_text(
                align="left",
                fontSize=11.5,
                fontStyle="italic",
                color="#4b5563",
                limit=alt.ExprRef("width + 105"),
                **look,
            )
            .encode(x=alt.value(0), text="missing:N")
            for look in looks
        ]
    layers += [
        points.transform_filter("isValid(datum.low)").mark_rule(strokeWidth=2).encode(
            x=alt.X("low:Q", scale=scale, axis=axis), x2="high:Q", color=color
        ),
        points.mark_point(filled=True, size=64, opacity=1).encode(
            x=alt.X("estimate:Q", scale=scale, axis=axis),
            color=color,
            shape=alt.Shape("symbol:N", scale=None),
            tooltip=tooltip,
        ),
        points.mark_text(align="left", dx=8, fontSize=11.5, color="#333333").encode(
            x=alt.value("width"), text="text:N"
        ),
    ]  # fmt: skip
    return alt.layer(*layers).properties(width="container", height=22 * len(lines))
