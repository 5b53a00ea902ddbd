"""Single cells: where they lie, which types they are, and which carry the gene index."""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from amlprognosis.report.theme import (
    BLUE,
    GREY,
    MANY,
    VERMILLION,
    NothingToDraw,
    Panel,
    Tables,
    number,
    p_text,
    rows,
)

CELLS_DRAWN = 6000


def _cells(tables: Tables, atlas: str, *columns: str) -> tuple[pd.DataFrame, str]:
    """Cells to draw, thinned evenly when there are too many for a page."""
    table = tables.need(f"umap_{atlas}", ("umap1", "umap2", *columns))
    total = len(table)
    step = -(-total // CELLS_DRAWN)
    note = f"{total:,} cells" if step == 1 else f"{len(range(0, total, step)):,} of {total:,} cells drawn"
    return table.iloc[::step].reset_index(drop=True), note


def _umap_axes() -> tuple[alt.X, alt.Y]:
    bare = alt.Axis(ticks=False, labels=False, grid=False, domain=False, titleColor="#6b7280", titleFontWeight=400)
    return (
        alt.X("umap1:Q", scale=alt.Scale(zero=False, padding=12), axis=bare, title="UMAP 1"),
        alt.Y("umap2:Q", scale=alt.Scale(zero=False, padding=12), axis=bare, title="UMAP 2"),
    )


def figure_umap_types(tables: Tables, atlas: str) -> Panel:
    """UMAP coloured and labelled by cell type."""
    cells, note = _cells(tables, atlas, "cell_type")
    cells["cell_type"] = cells["cell_type"].fillna("unassigned").astype(str)
    types = sorted(set(cells["cell_type"]))
    x, y = _umap_axes()
    points = (
        alt.Chart(rows(cells[["umap1", "umap2", "cell_type"]], 2))
        .mark_point(filled=True, size=9, opacity=0.65, aria=False)
        .encode(
            x=x,
            y=y,
            color=alt.Color(
                "cell_type:N",
                scale=alt.Scale(domain=types, range=[MANY[i % len(MANY)] for i in range(len(types))]),
                legend=alt.Legend(
                    title=None, orient="bottom", columns=alt.ExprRef("narrow ? 3 : 5"),
                    symbolType="circle", symbolSize=70, symbolOpacity=1, labelLimit=110,
                ),
            ),
            tooltip=[alt.Tooltip("cell_type:N", title="Cell type")],
        )
    )  # fmt: skip
    middles = cells.groupby("cell_type", sort=True)[["umap1", "umap2"]].median().reset_index()
    middles = _apart(middles, float(np.ptp(cells["umap1"])) or 1.0, float(np.ptp(cells["umap2"])) or 1.0)
    base = alt.Chart(rows(middles, 2)).encode(x=x, y=y, text="cell_type:N")
    halo = base.mark_text(
        fontSize=11, fontWeight=600, stroke="#ffffff", strokeWidth=3.5, strokeJoin="round", opacity=0.9
    )
    words = base.mark_text(fontSize=11, fontWeight=600)
    chart = alt.layer(points, halo, words).properties(width="container", height=400)
    spoken = f"UMAP of {note}, coloured by {len(types)} cell types: {', '.join(types)}."
    return Panel(chart, note, spoken, width=480, max_width=560, renderer="canvas")


def figure_umap_index(tables: Tables, atlas: str) -> Panel:
    """UMAP coloured by the score of the gene index."""
    cells, note = _cells(tables, atlas, "index_score")
    cells = cells.dropna(subset=["index_score"])
    if cells.empty:
        raise NothingToDraw("No cell could be scored: too few genes of the index are measured in this atlas.")
    low, high = (float(q) for q in cells["index_score"].quantile([0.02, 0.98]))
    if not low < high:
        low, high = low - 0.5, high + 0.5
    x, y = _umap_axes()
    cells = cells.sort_values("index_score", kind="stable")
    chart = (
        alt.Chart(rows(cells[["umap1", "umap2", "index_score"]], 2))
        .mark_point(filled=True, size=9, opacity=0.75, aria=False)
        .encode(
            x=x,
            y=y,
            color=alt.Color(
                "index_score:Q",
                scale=alt.Scale(scheme="cividis", domain=[round(low, 3), round(high, 3)], clamp=True, reverse=True),
                legend=alt.Legend(title="Index score", orient="bottom", gradientLength=180, tickCount=4),
            ),
            tooltip=[alt.Tooltip("index_score:Q", title="Index score", format=".2f")],
        )
        .properties(width="container", height=400)
    )
    spoken = f"UMAP of {note}, coloured by the score of the gene index, 2nd to 98th centile {low:.2f} to {high:.2f}."
    return Panel(alt.layer(chart), note, spoken, width=480, max_width=560, renderer="canvas")


def figure_cell_scores(tables: Tables, atlas: str) -> Panel:
    """Mean index score by cell type, malignant and normal cells apart."""
    table = tables.need(f"cell_scores_{atlas}", ("cell_type", "mean")).copy().dropna(subset=["mean"])
    if table.empty:
        raise NothingToDraw("No cell type has a score of the gene index.")
    table = table.rename(columns={"state": "malignant", "n_cells": "cells", "n_patients": "patients"})
    malignant = table["malignant"].astype(str).str.lower() if "malignant" in table else pd.Series("", index=table.index)
    names = {"true": "Malignant", "malignant": "Malignant", "1": "Malignant"}
    names |= {"false": "Normal", "normal": "Normal", "0": "Normal"}
    table["kind"] = [names.get(value, "Not known") for value in malignant]
    for column in ("cells", "patients", "median"):
        if column not in table:
            table[column] = float("nan")
    table["cells"] = table["cells"].fillna(1).astype(float)
    table["cell_type"] = table["cell_type"].astype(str)
    order = table.groupby("cell_type")["mean"].max().sort_values(ascending=False, kind="stable").index.tolist()
    colors = {"Malignant": VERMILLION, "Normal": BLUE, "Not known": GREY}
    kinds = [kind for kind in colors if kind in set(table["kind"])]
    table = table.sort_values(["cell_type", "kind"], kind="stable")
    base = alt.Chart(rows(table[["cell_type", "kind", "cells", "patients", "mean", "median"]])).encode(
        y=alt.Y(
            "cell_type:N", sort=order, axis=alt.Axis(title=None, grid=True, domain=False, ticks=False, labelLimit=120)
        )
    )
    sizes = _legend_sizes(table["cells"])
    points = base.mark_point(filled=True, opacity=0.9, stroke="#ffffff", strokeWidth=1).encode(
        x=alt.X(
            "mean:Q",
            scale=alt.Scale(zero=False, padding=16),
            axis=alt.Axis(title="Mean index score", format="~g", tickCount=6),
        ),
        color=alt.Color(
            "kind:N",
            scale=alt.Scale(domain=kinds, range=[colors[k] for k in kinds]),
            legend=alt.Legend(title=None, orient="top", symbolType="circle", symbolSize=90),
        ),
        size=alt.Size(
            "cells:Q",
            scale=alt.Scale(type="sqrt", range=[40, 420]),
            legend=alt.Legend(
                title="Cells", orient="bottom", values=sizes, symbolFillColor=GREY, symbolStrokeColor=GREY
            ),
        ),
        tooltip=[
            alt.Tooltip("cell_type:N", title="Cell type"),
            alt.Tooltip("kind:N", title="Cells are"),
            alt.Tooltip("mean:Q", title="Mean score", format=".3f"),
            alt.Tooltip("median:Q", title="Median score", format=".3f"),
            alt.Tooltip("cells:Q", title="Cells"),
            alt.Tooltip("patients:Q", title="Patients"),
        ],
    )  # fmt: skip
    top = table.sort_values(["mean", "cell_type"], ascending=[False, True], kind="stable").iloc[0]
    spoken = f"Mean index score of {len(order)} cell types; highest in {top['kind'].lower()} {top['cell_type']} cells "
    spoken += f"({float(top['mean']):.2f})."
    chart = alt.layer(points).properties(width="container", height=26 * len(order) + 10)
    return Panel(chart, contrast_note(tables, atlas), spoken, width=560, max_width=680)


def _legend_sizes(cells: pd.Series) -> list[int]:
    """Two or three round numbers of cells for the legend."""
    largest = number(cells.max()) or 100.0
    top = 10 ** int(np.floor(np.log10(max(largest, 1))))
    top *= max(step for step in (1, 2, 5) if top * step <= max(largest, 1))
    return sorted({max(1, int(top / 10)), max(1, int(top / 2)), int(top)})


def contrast_note(tables: Tables, atlas: str) -> str:
    """First contrast of the test table: over all cell types, between patients."""
    table = tables.get(f"cells_test_{atlas}")
    if table is None or "p" not in table:
        return ""
    row: Any = table.iloc[0]
    contrast = next((str(row[c]) for c in ("contrast", "test", "comparison") if isinstance(row.get(c), str)), "")
    parts = ["Malignant against normal" + (f" ({contrast.replace('_', ' ')})" if contrast else "")]
    if number(row.get("difference")) is not None:
        parts.append(f"difference {float(row['difference']):+.2f}".replace("-", "−"))
    parts.append(p_text(row["p"]))
    groups = [number(row.get(f"n_patients_{kind}")) for kind in ("malignant", "normal")]
    if None not in groups:
        parts.append(f"{int(groups[0] or 0)} and {int(groups[1] or 0)} donors")
    return ", ".join(parts)


def _apart(labels: pd.DataFrame, span_x: float, span_y: float) -> pd.DataFrame:
    """Move labels that would overlap up or down, by their size on a plot of about 420 x 400 pixels."""
    high = 14 / 400 * span_y
    placed: list[tuple[float, float, float]] = []
    rows_out = []
    for record in labels.sort_values(["umap2", "cell_type"], kind="stable").to_dict("records"):
        half = 0.5 * (6.6 * len(record["cell_type"]) + 6) / 420 * span_x
        y = float(record["umap2"])
        for _ in range(len(labels)):
            near = [p for p in placed if abs(p[0] - record["umap1"]) < half + p[2] and abs(p[1] - y) < high]
            if not near:
                break
            y = max(p[1] for p in near) + high
        placed.append((float(record["umap1"]), y, half))
        rows_out.append({**record, "umap2": y})
    return pd.DataFrame(rows_out).sort_values("cell_type", kind="stable")
