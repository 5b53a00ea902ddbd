"""The gene index: coefficients, heat map by risk, and, in the demo, what was planted."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from amlprognosis.report.theme import (
    BLUE,
    GREEN,
    GREY,
    LIGHT,
    RISK_COLORS,
    VERMILLION,
    NothingToDraw,
    Panel,
    Tables,
    number,
    rows,
)
from amlprognosis.study import Study

HEATMAP_GENES = 40
HEATMAP_PATIENTS = 300


def figure_coefficients(tables: Tables, study: Study, most: int = 40) -> Panel:
    """Coefficients of the gene index with the share of cross-validation fits that chose each gene."""
    table = tables.need("index", ("gene", "coefficient")).copy()
    table = table[table["coefficient"].astype(float) != 0]
    if table.empty:
        raise NothingToDraw("The lasso kept no gene: the index is empty, and every patient has the same value.")
    total = len(table)
    table["strength"] = table["coefficient"].astype(float).abs()
    table = table.sort_values(["strength", "gene"], ascending=[False, True], kind="stable").head(most)
    table = table.sort_values(["coefficient", "gene"], ascending=[False, True], kind="stable")
    if "selection_frequency" not in table:
        table["selection_frequency"] = float("nan")
    sets = table["gene_sets"] if "gene_sets" in table else pd.Series("", index=table.index)
    items = [
        {
            "gene": gene, "coefficient": float(value), "frequency": number(share),
            "text": "" if number(share) is None else f"{100 * float(share):.0f}%",
            "sets": names if isinstance(names, str) else "",
            "kind": "Higher risk" if value > 0 else "Lower risk",
        }
        for gene, value, share, names in zip(
            table["gene"], table["coefficient"], table["selection_frequency"], sets, strict=True
        )
    ]  # fmt: skip
    order = [item["gene"] for item in items]
    y = alt.Y("gene:N", sort=order, axis=alt.Axis(title=None, domain=False, ticks=False))
    base = alt.Chart(rows(items)).encode(y=y)
    tooltip = [
        alt.Tooltip("gene:N", title="Gene"),
        alt.Tooltip("coefficient:Q", title="Coefficient", format=".3f"),
        alt.Tooltip("text:N", title="Chosen in"),
        alt.Tooltip("sets:N", title="Gene sets"),
    ]
    color = alt.Color(
        "kind:N",
        scale=alt.Scale(domain=["Higher risk", "Lower risk"], range=[VERMILLION, BLUE]),
        legend=alt.Legend(title=None, orient="top", symbolType="square"),
    )
    bars = base.mark_bar(height={"band": 0.68}).encode(
        x=alt.X("coefficient:Q", axis=alt.Axis(title="Coefficient per standard deviation", format="~g", tickCount=6)),
        color=color,
        tooltip=tooltip,
    )
    share = base.mark_text(align="right", dx=46, fontSize=11.5, color="#333333").encode(
        x=alt.value("width"), text="text:N", tooltip=tooltip
    )
    head = (
        alt.Chart(rows([{"text": "chosen"}]))
        .mark_text(align="right", dx=46, fontSize=11, color="#4b5563")
        .encode(x=alt.value("width"), y=alt.value(-8), text="text:N")
    )
    note = f"{most} largest of {total} genes" if total > most else f"{total} genes"
    up = sum(item["coefficient"] > 0 for item in items)
    spoken = f"Coefficients of {len(items)} genes: {up} raise and {len(items) - up} lower the risk. Largest: "
    strongest = sorted(items, key=lambda i: -abs(i["coefficient"]))[:5]
    spoken += ", ".join(f"{i['gene']} {i['coefficient']:+.2f}" for i in strongest) + "."
    chart = alt.layer(bars, share, head).properties(width="container", height=18 * len(items))
    return Panel(chart, note, spoken, width=520, max_width=640)


def figure_heatmap(tables: Tables, study: Study) -> Panel:
    """Expression of the index genes, patients ordered by the out-of-fold index, with outcome and risk strips."""
    table = tables.need("heatmap", ("gene", "patient", "z", "order")).copy()
    patients = table.drop_duplicates("patient").sort_values(["order", "patient"], kind="stable")
    total = len(patients)
    step = -(-total // HEATMAP_PATIENTS)
    patients = patients.iloc[::step].reset_index(drop=True)
    place = {patient: index for index, patient in enumerate(patients["patient"])}
    table = table[table["patient"].isin(place)]
    genes, dropped = _heatmap_genes(tables, table)
    table = table[table["gene"].isin(set(genes))]
    cells = [
        {"p": place[patient], "g": gene, "z": number(z)}
        for gene, patient, z in zip(table["gene"], table["patient"], table["z"], strict=True)
    ]
    cells.sort(key=lambda cell: (genes.index(cell["g"]), cell["p"]))
    strips = _strips(patients)
    names = list(dict.fromkeys(strip["g"] for strip in strips))
    y = alt.Y(
        "g:N",
        sort=[*names, *genes],
        scale=alt.Scale(domain=[*names, *genes], paddingInner=0.06, paddingOuter=0),
        axis=alt.Axis(title=None, domain=False, ticks=False, labelFontSize=11, labelLimit=110),
    )
    # Overlapping a little hides the hairlines between neighbouring cells.
    x = alt.X("p:O", axis=None, scale=alt.Scale(paddingInner=0, paddingOuter=0))
    heat = (
        alt.Chart(rows(cells, 2))
        .mark_rect(width={"band": 1.12}, aria=False)
        .encode(
            x=x,
            y=y,
            color=alt.Color(
                "z:Q",
                scale=alt.Scale(domain=[-2, 0, 2], range=[BLUE, "#f7f7f7", VERMILLION], clamp=True),
                legend=alt.Legend(title="Expression (z)", orient="bottom", gradientLength=110, tickCount=3),
            ),
            tooltip=[alt.Tooltip("g:N", title="Gene"), alt.Tooltip("z:Q", title="z", format=".2f")],
        )
    )
    layers: list[Any] = [heat]
    for title, colors in _strip_scales(strips).items():
        layers.append(
            alt.Chart(rows([s for s in strips if s["title"] == title]))
            .mark_rect(width={"band": 1.12}, aria=False)
            .encode(
                x=x,
                y=y,
                color=alt.Color(
                    "value:N",
                    scale=alt.Scale(domain=list(colors), range=list(colors.values())),
                    legend=alt.Legend(title=title, orient="bottom", symbolType="square", columns=1),
                ),
                tooltip=[alt.Tooltip("g:N", title="Strip"), alt.Tooltip("value:N", title="Value")],
            )
        )
    layers.append(
        alt.Chart(rows([{"text": "← low index", "a": 0}]))
        .mark_text(align="left", dy=-9, fontSize=11.5, color="#4b5563")
        .encode(x=alt.value(0), y=alt.value(0), text="text:N")
    )
    layers.append(
        alt.Chart(rows([{"text": "high index →", "a": 0}]))
        .mark_text(align="right", dy=-9, fontSize=11.5, color="#4b5563")
        .encode(x=alt.value("width"), y=alt.value(0), text="text:N")
    )
    chart = (
        alt.layer(*layers)
        .resolve_scale(color="independent")
        .properties(width="container", height=max(120, 15 * (len(genes) + len(names))))
    )
    parts = [f"{total} patients" if step == 1 else f"every {step}th of {total} patients by index"]
    parts.append(f"{len(genes)} genes" if not dropped else f"the {len(genes)} largest of {len(genes) + dropped} genes")
    note = " · ".join(parts)
    spoken = f"Heat map of {len(genes)} genes in {len(patients)} patients ordered by the out-of-fold gene index."
    return Panel(chart, note, spoken, width=720, max_width=980, renderer="canvas")


def _heatmap_genes(tables: Tables, table: pd.DataFrame) -> tuple[list[str], int]:
    """Genes from highest to lowest coefficient; the weakest are left out when there are too many."""
    present = sorted(set(table["gene"]))
    index = tables.get("index")
    weight = dict(zip(index["gene"], index["coefficient"].astype(float), strict=True)) if index is not None else {}
    strongest = sorted(present, key=lambda gene: (-abs(weight.get(gene, 0.0)), gene))[:HEATMAP_GENES]
    shown = sorted(strongest, key=lambda gene: (-weight.get(gene, 0.0), gene))
    return shown, len(present) - len(shown)


def _strips(patients: pd.DataFrame) -> list[dict[str, Any]]:
    strips = []
    for place, row in enumerate(patients.to_dict("records")):
        if "risk_group" in row and isinstance(row["risk_group"], str):
            strips.append({"p": place, "g": "Index group", "title": "Index group", "value": row["risk_group"]})
        if "risk" in row:
            value = row["risk"] if isinstance(row["risk"], str) else "unknown"
            strips.append({"p": place, "g": "Clinical risk", "title": "Clinical risk", "value": value})
        if "os_event" in row and not pd.isna(row["os_event"]):
            value = "died" if str(row["os_event"]).lower() in {"true", "1", "1.0"} else "alive"
            strips.append({"p": place, "g": "Outcome", "title": "Outcome", "value": value})
    order = ["Index group", "Clinical risk", "Outcome"]
    return sorted(strips, key=lambda strip: (order.index(strip["g"]), strip["p"]))


def _strip_scales(strips: list[dict[str, Any]]) -> dict[str, dict[str, str]]:
    palettes = {
        "Index group": {"high": VERMILLION, "low": BLUE},
        "Clinical risk": RISK_COLORS,
        "Outcome": {"died": "#1a1a1a", "alive": LIGHT},
    }
    scales = {}
    for title, palette in palettes.items():
        found = {strip["value"] for strip in strips if strip["title"] == title}
        colors = {value: color for value, color in palette.items() if value in found}
        colors |= {value: GREY for value in sorted(found - set(palette))}
        if colors:
            scales[title] = colors
    return scales


def figure_planted(tables: Tables, study: Study) -> Panel:
    """Demo only: share of the genes that were selected, by whether hazard was planted in them."""
    table = tables.need("planted", ("gene", "programme", "selected")).copy()
    if "candidate" in table:
        table = table[table["candidate"].astype(str).str.lower().isin({"true", "1", "1.0"})].reset_index(drop=True)
        if table.empty:
            raise NothingToDraw("None of the planted genes was a candidate of the gene index.")
    chosen = table["selected"].astype(str).str.lower().isin({"true", "1", "1.0"})
    weight = table["planted"].map(number) if "planted" in table else pd.Series(1.0, index=table.index)
    table["chosen"] = chosen
    table["kind"] = ["Hazard planted" if w not in (None, 0.0) else "No hazard" for w in weight]
    items = []
    for (programme, kind), part in table.groupby(["programme", "kind"], sort=True):
        share = float(part["chosen"].mean())
        items.append(
            {
                "programme": str(programme).replace("_", " "), "kind": kind, "share": share, "genes": len(part),
                "text": f"{int(part['chosen'].sum())} of {len(part)}",
            }
        )  # fmt: skip
    items.sort(key=lambda item: (item["kind"] != "Hazard planted", -item["share"], item["programme"]))
    order = list(dict.fromkeys(item["programme"] for item in items))
    data = rows(items)
    y = alt.Y("programme:N", sort=order, axis=alt.Axis(title=None, domain=False, ticks=False, labelLimit=130))
    base = alt.Chart(data).encode(y=y)
    offset = alt.YOffset("kind:N", sort=["Hazard planted", "No hazard"]) if _twice(items) else alt.Undefined
    kinds = [k for k in ("Hazard planted", "No hazard") if any(i["kind"] == k for i in items)]
    colors = {"Hazard planted": GREEN, "No hazard": "#b4b9c2"}
    bars = base.mark_bar().encode(
        x=alt.X(
            "share:Q",
            scale=alt.Scale(domain=[0, 1]),
            axis=alt.Axis(title="Genes selected", format=".0%", tickCount=5),
        ),
        yOffset=offset,
        color=alt.Color(
            "kind:N", scale=alt.Scale(domain=kinds, range=[colors[k] for k in kinds]),
            legend=alt.Legend(title=None, orient="top", symbolType="square"),
        ),
        tooltip=[alt.Tooltip("programme:N", title="Programme"), alt.Tooltip("text:N", title="Selected")],
    )  # fmt: skip
    text = base.mark_text(align="left", dx=5, fontSize=11.5).encode(x=alt.X("share:Q"), yOffset=offset, text="text:N")
    spoken = "Planted and found: " + "; ".join(f"{i['programme']} {i['text']} selected" for i in items) + "."
    chart = alt.layer(bars, text).properties(width="container", height=26 * len(items) + 6)
    return Panel(chart, "", spoken, width=560, max_width=680)


def _twice(items: list[dict[str, Any]]) -> bool:
    return len({item["programme"] for item in items}) < len(items)
