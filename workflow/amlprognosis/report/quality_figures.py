"""Figures of a cohort's quality page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from amlprognosis.evaluation.batch_effects import AS_BUILT
from amlprognosis.normalize.components import COMPONENTS
from amlprognosis.normalize.sample_quality import OUTLIER
from amlprognosis.report.theme import (
    BLUE,
    GREY,
    LIGHT,
    OKABE_ITO,
    ORANGE,
    RISK_COLORS,
    VERMILLION,
    NothingToDraw,
    Panel,
    fixed,
    percent,
    rows,
)

MOST_LABELS = 8
SEX_COLORS = {"female": VERMILLION, "male": BLUE, "unknown": LIGHT}
_SMALL = 380
_AXIS: dict[str, Any] = {"grid": True, "tickCount": 5}


def _quantitative(field: str, title: str, **scale: Any) -> dict[str, Any]:
    settings = {"zero": False, "nice": True, **scale}
    return {"shorthand": f"{field}:Q", "title": title, "scale": alt.Scale(**settings), "axis": alt.Axis(**_AXIS)}


def figure_quantiles(values: Sequence[Sequence[float]], what: str, limits: tuple[float, float]) -> Panel:
    """Spread of the values of every sample: quartiles as a bar, the median as a line, extremes as thin lines.

    Parameters
    ----------
    values : sequence of (min, q1, median, q3, max)
        Of every sample, in log2 units.
    what : str
        What the values are.
    limits : (float, float)
        Of the axis, shared by the figures before and after.
    """
    table = pd.DataFrame(values, columns=["low", "q1", "median", "q3", "high"]).astype(float).dropna()
    if table.empty:
        raise NothingToDraw("No sample has values.")
    table = table.sort_values(["median", "q1"], kind="stable").assign(place=range(1, len(table) + 1))
    data = rows(table, 3)
    x = alt.X("place:Q", title="Samples by their median", axis=alt.Axis(grid=False, tickCount=5, format="d"))
    y: dict[str, Any] = {"scale": alt.Scale(domain=list(limits), nice=False, clamp=True), "title": "log2"}
    size = max(1.0, min(6.0, 260 / len(table)))
    chart = alt.layer(
        alt.Chart(data)
        .mark_rule(color=LIGHT, strokeWidth=min(size, 1.2))
        .encode(x=x, y=alt.Y("low:Q", **y), y2="high:Q"),
        alt.Chart(data).mark_rule(color="#7fb3d6", strokeWidth=size).encode(x=x, y=alt.Y("q1:Q", **y), y2="q3:Q"),
        alt.Chart(data)
        .mark_point(filled=True, size=10, color="#00436b", opacity=1)
        .encode(x=x, y=alt.Y("median:Q", **y)),
    )
    spread = float(table["median"].max() - table["median"].min())
    note = f"{what}. Medians from {fixed(table['median'].min())} to {fixed(table['median'].max())}."
    return Panel(
        chart.properties(width="container", height=200),
        note,
        f"Quartiles of {len(table)} samples, {what}; medians differ by {fixed(spread)}",
        _SMALL,
    )


def figure_components(table: pd.DataFrame, labels: pd.Series, title: str) -> Panel:
    """First two components of patients, coloured by group.

    Parameters
    ----------
    table : DataFrame
        pc1, pc2, share1, share2, patient (and cohort, of a pair).
    labels : Series
        Group of each row of ``table``; "unknown" where missing.
    title : str
        Of the legend.
    """
    if table.empty:
        raise NothingToDraw("The components could not be computed.")
    names = [name for name in labels.value_counts().index if name != "unknown"]
    names = sorted(names, key=str)
    if set(names) <= set(SEX_COLORS):
        colors = SEX_COLORS
    elif set(names) <= set(RISK_COLORS):
        names = [name for name in RISK_COLORS if name in set(names)]
        colors = RISK_COLORS
    else:
        colors = {name: OKABE_ITO[k % len(OKABE_ITO)] for k, name in enumerate(names)}
    if (labels == "unknown").any():
        names, colors = [*names, "unknown"], {**colors, "unknown": LIGHT}
    data = table[["pc1", "pc2", "patient"]].assign(group=labels.to_numpy())
    # Patients of unknown group first, so that they lie below the others.
    data = (
        data.assign(last=data["group"] != "unknown")
        .sort_values(["last", "patient"], kind="stable")
        .drop(columns="last")
    )
    encoded = alt.Color(
        "group:N",
        title=title,
        scale=alt.Scale(domain=names, range=[colors[name] for name in names]),
        legend=alt.Legend(orient="bottom", columns=3, labelLimit=150, symbolOpacity=1),
    )
    chart = (
        alt.Chart(rows(data, 3))
        .mark_point(filled=True, size=28, opacity=0.75)
        .encode(
            x=alt.X(**_quantitative("pc1", f"Component 1 ({percent(table['share1'].iloc[0])} of the variance)")),
            y=alt.Y(**_quantitative("pc2", f"Component 2 ({percent(table['share2'].iloc[0])})")),
            color=encoded,
        )
        .properties(width="container", height=300)
    )
    spoken = f"Scatter of {len(table)} patients in two principal components, coloured by {title}: {', '.join(names)}"
    return Panel(chart, "", spoken, _SMALL)


def figure_explained(effects: pd.DataFrame) -> Panel:
    """Share of the variance of each component between the groups of each column."""
    table = effects[effects["matrix"].eq(AS_BUILT) & effects["r2_pc1"].notna()]
    if table.empty:
        raise NothingToDraw("No column has two groups to compare.")
    cells = [
        {"column": str(row["column"]), "component": k + 1, "r2": float(row[f"r2_pc{k + 1}"])}
        for row in table.to_dict("records")
        for k in range(COMPONENTS)
        if np.isfinite(float(row[f"r2_pc{k + 1}"]))
    ]
    base = alt.Chart(rows(cells, 3)).encode(
        x=alt.X("component:O", title="Principal component", axis=alt.Axis(labelAngle=0)),
        y=alt.Y("column:N", title=None, sort=[str(name) for name in table["column"]]),
    )
    scale = alt.Scale(domain=[0, 1], range=["#f6f7f9", "#004c7a"])
    boxes = base.mark_rect().encode(color=alt.Color("r2:Q", scale=scale, legend=None))
    texts = base.mark_text(fontSize=11).encode(
        text=alt.Text("r2:Q", format=".0%"),
        color=alt.condition("datum.r2 > 0.45", alt.value("#ffffff"), alt.value("#1a1a1a")),
    )
    chart = alt.layer(boxes, texts).properties(width="container", height=34 * len(table) + 10)
    largest = max(cells, key=lambda cell: float(str(cell["r2"])))
    place = f"{largest['column']}, component {largest['component']}"
    spoken = f"Share of variance by component; largest {percent(largest['r2'])}, {place}"
    return Panel(chart, "", spoken, 470)


def figure_correlation(samples: pd.DataFrame) -> Panel:
    """Median correlation of every sample with the others; outliers are named."""
    table = samples.dropna(subset=["median_correlation", "correlation_z"])
    if table.empty:
        raise NothingToDraw("Too few patients or complete genes to compare samples.")
    table = table.sort_values(["median_correlation", "patient"], kind="stable").assign(place=range(1, len(table) + 1))
    outlier = table["correlation_z"] < OUTLIER
    table = table.assign(outlier=outlier)
    limit = _limit(table)
    data = rows(table[["place", "median_correlation", "outlier", "patient"]], 4)
    low, high = float(table["median_correlation"].min()), float(table["median_correlation"].max())
    pad = 0.05 * (high - low)
    domain = [min(low, limit) - pad, high + pad]
    y = alt.Y(**_quantitative("median_correlation", "Median correlation to the others", domain=domain, nice=False))
    x = alt.X("place:Q", title="Samples by their correlation", axis=alt.Axis(grid=False, tickCount=5, format="d"))
    layers = [
        alt.Chart(rows([{"limit": limit}])).mark_rule(color=GREY, strokeDash=[5, 4]).encode(y=alt.Y("limit:Q")),
        alt.Chart(data)
        .mark_point(filled=True, size=26, opacity=0.85)
        .encode(x=x, y=y, color=alt.condition("datum.outlier", alt.value(VERMILLION), alt.value(BLUE))),
    ]
    named = table[outlier].head(MOST_LABELS)
    if len(named):
        layers.append(
            alt.Chart(rows(named[["place", "median_correlation", "patient"]], 4))
            .mark_text(align="left", dx=8, fontSize=11)
            .encode(x=x, y=y, text="patient:N")
        )
    count = int(outlier.sum())
    note = f"Dashed: {fixed(-OUTLIER, 0)} robust deviations below the median. {count} of {len(table)} below it."
    spoken = f"Median correlations from {fixed(low)} to {fixed(high)}; {count} outliers"
    return Panel(alt.layer(*layers).properties(width="container", height=230), note, spoken, _SMALL)


def _limit(table: pd.DataFrame) -> float:
    """The correlation at the outliers' z: two samples fix the line between correlation and z."""
    a, b = table.iloc[0], table.iloc[-1]
    slope = (b["median_correlation"] - a["median_correlation"]) / (b["correlation_z"] - a["correlation_z"])
    return float(a["median_correlation"] + (OUTLIER - a["correlation_z"]) * slope)


def figure_sex(samples: pd.DataFrame, suspects: Sequence[str]) -> Panel:
    """XIST against the genes of Y, by recorded sex; suspects are named."""
    table = samples[samples["sex_by_expression"] != ""]
    if table.empty or table[["xist", "y_genes"]].isna().all(axis=None):
        raise NothingToDraw("XIST and genes of Y are not measured, or do not fall into two groups.")
    table = table.assign(recorded=table["recorded_sex"].replace("", "unknown"))
    for column in ("xist", "y_genes"):
        if table[column].isna().all():
            table[column] = 0.0
    names = [name for name in SEX_COLORS if (table["recorded"] == name).any()]
    x = alt.X(**_quantitative("y_genes", "Genes of Y (0: without, 1: with)"))
    y = alt.Y(**_quantitative("xist", "XIST (0: without, 1: with)"))
    color = alt.Color(
        "recorded:N",
        title="Recorded",
        scale=alt.Scale(domain=names, range=[SEX_COLORS[name] for name in names]),
        legend=alt.Legend(orient="bottom", symbolOpacity=1),
    )
    layers = [
        alt.Chart(rows(table[["xist", "y_genes", "recorded"]], 3))
        .mark_point(filled=True, size=28, opacity=0.7)
        .encode(x=x, y=y, color=color)
    ]
    named = table[table["patient"].isin(suspects)]
    if len(named):
        data = rows(named[["xist", "y_genes", "patient"]], 3)
        layers.append(alt.Chart(data).mark_point(size=110, color="#1a1a1a", strokeWidth=1.6).encode(x=x, y=y))
        told = rows(named[["xist", "y_genes", "patient"]].head(MOST_LABELS), 3)
        halo: dict[str, Any] = {"stroke": "#ffffff", "strokeWidth": 3, "strokeOpacity": 0.9}
        for style in (halo, {}):
            text = alt.Chart(told).mark_text(dy=-14, fontSize=11, fontWeight=600, align="center", **style)
            layers.append(text.encode(x=x, y=y, text="patient:N"))
    spoken = f"{len(table)} patients by XIST and genes of Y; {len(named)} are recorded otherwise than expressed"
    return Panel(alt.layer(*layers).properties(width="container", height=300), "", spoken, _SMALL)


def figure_libraries(samples: pd.DataFrame) -> Panel:
    """Library size against detected genes of cohorts of counts."""
    table = samples.dropna(subset=["library_size", "detected_genes"])
    if table.empty:
        raise NothingToDraw("The source has no counts.")
    table = table.assign(millions=table["library_size"] / 1e6)
    wide = float(table["millions"].max()) > 20 * max(float(table["millions"].min()), 1e-9)
    scale = {"type": "log"} if wide else {}
    chart = (
        alt.Chart(rows(table[["millions", "detected_genes"]], 3))
        .mark_point(filled=True, size=28, opacity=0.75, color=BLUE)
        .encode(
            x=alt.X(**_quantitative("millions", "Library size, millions of reads", **scale)),
            y=alt.Y(**_quantitative("detected_genes", "Detected genes")),
        )
        .properties(width="container", height=230)
    )
    low, high = float(table["millions"].min()), float(table["millions"].max())
    note = f"{fixed(low, 1)} to {fixed(high, 1)} million reads, over all genes of the source."
    return Panel(chart, note, f"Library size and detected genes of {len(table)} samples", _SMALL)


def figure_histogram(values: pd.Series, title: str, event: pd.Series | None = None, share: bool = False) -> Panel:
    """Distribution of a number over patients; with ``event`` deaths and censored patients are told apart."""
    known = pd.to_numeric(values, errors="coerce").dropna()
    if known.empty:
        raise NothingToDraw("Nobody has a value.")
    edges = np.histogram_bin_edges(known.to_numpy(float), bins=min(24, max(6, int(np.sqrt(len(known)) * 1.6))))
    groups: Mapping[str, pd.Series] = {"all": known}
    if event is not None:
        dead = event.loc[known.index].astype(bool)
        groups = {"died": known[dead], "alive at last follow-up": known[~dead]}
    bars = []
    for name, part in groups.items():
        counts, _ = np.histogram(part.to_numpy(float), bins=edges)
        bars += [
            {"from": float(a), "to": float(b), "patients": int(count), "group": name}
            for a, b, count in zip(edges[:-1], edges[1:], counts, strict=True)
        ]
    axis = alt.Axis(grid=False, tickCount=6, format="~%" if share else alt.Undefined)
    color: Any = alt.value("#5b9bc8")
    if event is not None:
        names = list(groups)
        legend = alt.Legend(orient="bottom", title=None, symbolOpacity=1)
        color = alt.Color("group:N", scale=alt.Scale(domain=names, range=[ORANGE, "#9cc4e0"]), legend=legend)
    chart = (
        alt.Chart(rows(bars, 4))
        .mark_bar(stroke="#ffffff", strokeWidth=0.6)
        .encode(
            x=alt.X("from:Q", bin="binned", title=title, scale=alt.Scale(zero=False, nice=False), axis=axis),
            x2="to:Q",
            y=alt.Y("patients:Q", title="Patients", stack="zero", axis=alt.Axis(tickCount=5, tickMinStep=1)),
            color=color,
        )
        .properties(width="container", height=200)
    )
    note = f"Median {percent(known.median(), 1) if share else fixed(known.median(), 1)}; {len(known)} patients."
    return Panel(chart, note, f"Histogram of {title} over {len(known)} patients", _SMALL)


def figure_completeness(known: pd.DataFrame) -> Panel:
    """Share of patients with a value in each clinical column (column, share)."""
    if known.empty:
        raise NothingToDraw("The cohort has no clinical column.")
    table = known[["column", "share"]].set_axis(["column", "known"], axis=1).reset_index(drop=True)
    x = alt.X(
        "known:Q", title="Patients with a value", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%", tickCount=5)
    )
    y = alt.Y("column:N", title=None, sort=list(table["column"]))
    chart = alt.layer(
        alt.Chart(rows(table)).mark_bar(height=14, color="#5b9bc8").encode(x=x, y=y),
        alt.Chart(rows(table))
        .mark_text(align="right", dx=-5, fontSize=11, color="#ffffff")
        .encode(
            x=x,
            y=y,
            text=alt.Text("known:Q", format=".0%"),
            opacity=alt.condition("datum.known > 0.15", alt.value(1), alt.value(0)),
        ),
    ).properties(width="container", height=24 * len(table) + 8)
    least = table.loc[table["known"].idxmin()]
    return Panel(chart, "", f"Least complete: {least['column']}, {percent(least['known'])}", _SMALL)
