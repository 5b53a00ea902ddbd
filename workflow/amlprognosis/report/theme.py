"""One look for every figure: colours, type sizes, and the small pieces that all charts share."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import altair as alt
import pandas as pd

from amlprognosis.study import BEST_OF_GRID, Study
from amlprognosis.tables import read_table

# Okabe and Ito's palette, safe for the common forms of colour blindness (Nat Methods 2011;8:441).
BLACK = "#1a1a1a"
ORANGE = "#E69F00"
SKY = "#56B4E9"
GREEN = "#009E73"
YELLOW = "#F0E442"
BLUE = "#0072B2"
VERMILLION = "#D55E00"
PURPLE = "#CC79A7"
GREY = "#8a8f98"
LIGHT = "#d9dce1"
OKABE_ITO = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, BLACK, "#999999")
# Okabe-Ito first, then Tol's muted colours, for atlases with more cell types than eight.
MANY = (
    *OKABE_ITO[:6], "#882255", "#44AA99", "#332288", "#DDCC77", "#117733", "#AA4499", "#661100", "#6699CC",
    "#888888", "#999933", "#CC6677", "#004488", "#BB5566", "#DDAA33", BLACK, "#77AADD", "#EE8866", "#AAAA00",
)  # fmt: skip
GROUP_COLORS = {"high": VERMILLION, "low": BLUE}
# One colour per model in every figure that tells models apart; others take what is left, in the study's order.
MODEL_COLORS = {
    "gene_index": BLUE, "clinical": ORANGE, "clinical_gene_index": GREEN, "age_eln": PURPLE,
    "random_survival_forest": VERMILLION, "xgboost_cox": SKY, BEST_OF_GRID: BLACK,
}  # fmt: skip
# The training cohort first, validation cohorts in the study's order.
COHORT_COLORS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, BLACK, "#999999")
RISK_COLORS = {"favourable": SKY, "intermediate": ORANGE, "adverse": PURPLE, "unknown": LIGHT}
FONT = "Helvetica Neue, Helvetica, Arial, Liberation Sans, sans-serif"
STATIC_WIDTH = 640
VEGALITE_SCHEMA = "https://vega.github.io/schema/vega-lite/v6.1.0.json"
YEAR = 365.25


class NothingToDraw(Exception):
    """The data of a figure are lacking; the message is a sentence for the reader."""


@dataclass(frozen=True)
class Panel:
    """A drawn figure.

    Attributes
    ----------
    chart : altair chart
        Single-view or layered chart, ``width="container"``.
    note : str
        The statistics that belong under the title (hazard ratio, p-value, ...).
    alt_text : str
        What a reader who cannot see the figure should know.
    width : int
        Width of the static SVG in pixels.
    max_width : int
        Largest useful width in the report in pixels.
    narrow_below : int
        Width in pixels below which legends take one column.
    renderer : {"svg", "canvas"}
        Canvas for figures of thousands of marks.
    """

    chart: Any
    note: str = ""
    alt_text: str = ""
    width: int = STATIC_WIDTH
    max_width: int = 760
    renderer: str = "svg"
    narrow_below: int = 440
    missing: bool = field(default=False)


class Tables:
    """Tables of a study, read when first asked for.

    Parameters
    ----------
    source : path or mapping of str to DataFrame
        The folder ``results/<study>/tables``, or the tables themselves.
    study : Study, optional
        Its first adaptation of each validation cohort is the one that figures and sentences show.
    """

    def __init__(self, source: str | Path | Mapping[str, pd.DataFrame], study: Study | None = None):
        self._folder = None if isinstance(source, Mapping) else Path(source)
        self._whole: dict[str, pd.DataFrame | None] = dict(source) if isinstance(source, Mapping) else {}
        self._main: dict[str, pd.DataFrame | None] = {}
        self._adaptations = {name: cohort.adaptation[0] for name, cohort in study.cohorts.items()} if study else {}

    def whole(self, name: str) -> pd.DataFrame | None:
        """Table called ``name`` with every adaptation, or None when there is none or it has no rows."""
        if name not in self._whole:
            path = self._folder / f"{name}.tsv" if self._folder else None
            self._whole[name] = _read(path) if path is not None and path.is_file() else None
        table = self._whole[name]
        return None if table is None or table.empty else table

    def get(self, name: str) -> pd.DataFrame | None:
        """Table called ``name`` under the first adaptation of each cohort; None when it is lacking or empty."""
        if name not in self._main:
            table = self.whole(name)
            self._main[name] = None if table is None else _first_adaptation(table, self._adaptations)
        table = self._main[name]
        return None if table is None or table.empty else table

    def need(self, name: str, columns: Sequence[str] = (), **where: Any) -> pd.DataFrame:
        """Rows of a table that match ``where``.

        Raises
        ------
        NothingToDraw
            The table, a column or matching rows are lacking.
        """
        table = self.get(name)
        if table is None:
            raise NothingToDraw(f"This run has no table {name}.tsv, or it is empty.")
        lacking = [column for column in (*columns, *where) if column not in table.columns]
        if lacking:
            raise NothingToDraw(f"The table {name}.tsv lacks the column {', '.join(lacking)}.")
        for column, value in where.items():
            table = table[table[column].astype(str) == str(value)]
        if table.empty:
            wanted = ", ".join(f"{column} {value}" for column, value in where.items())
            raise NothingToDraw(f"The table {name}.tsv has no rows for {wanted}.")
        return table.reset_index(drop=True)


def _first_adaptation(table: pd.DataFrame, adaptations: Mapping[str, str]) -> pd.DataFrame:
    """Rows under the first adaptation of their cohort; all rows of a model that has none under it.

    Models without expression are not adapted: their rows say "none" whatever the cohort asks for.
    """
    if not adaptations or not {"cohort", "adaptation"} <= set(table):
        return table
    used = table["adaptation"].fillna("").astype(str)
    first = table["cohort"].astype(str).map(adaptations)
    chosen = (used == first) | used.eq("") | first.isna()
    by = [table[column].astype(str) for column in ("cohort", "model", "control") if column in table]
    has = chosen.groupby(by).transform("any")
    return table[chosen | (~has & used.eq("none"))]


def _read(path: Path) -> pd.DataFrame | None:
    """Read a table; a file without even a header is no table."""
    try:
        return read_table(path)
    except pd.errors.EmptyDataError:
        return None


def number(value: Any) -> float | None:
    """A float, or None for anything that is not a finite number."""
    try:
        result = float(value)
    except (TypeError, ValueError):
        return None
    return result if math.isfinite(result) else None


def fixed(value: Any, digits: int = 2) -> str:
    """Number with fixed decimals and a true minus sign; an en dash when missing."""
    found = number(value)
    if found is None:
        return "–"
    return f"{round(found, digits) + 0.0:.{digits}f}".replace("-", "−")


def interval(value: Any, low: Any, high: Any, digits: int = 2) -> str:
    """Estimate with its interval, ``0.66 (0.61–0.71)``."""
    if number(value) is None:
        return "–"
    if number(low) is None or number(high) is None:
        return fixed(value, digits)
    joiner = " to " if min(float(low), float(high), float(value)) < 0 else "–"
    return f"{fixed(value, digits)} ({fixed(low, digits)}{joiner}{fixed(high, digits)})"


def p_text(p: Any) -> str:
    """P-value as text: ``p = 0.03``, ``p < 0.001``."""
    found = number(p)
    if found is None:
        return "p not available"
    return "p < 0.001" if found < 0.001 else f"p = {found:.3f}" if found < 0.1 else f"p = {found:.2f}"


def percent(value: Any, digits: int = 0) -> str:
    """Share as a percentage; an en dash when missing."""
    found = number(value)
    return "–" if found is None else f"{100 * found:.{digits}f}%".replace("-", "−")


def cohort_colors(study: Study) -> dict[str, str]:
    """Colour of each cohort, the same in every figure: the training cohort first."""
    names = [study.training, *study.validation]
    return {name: COHORT_COLORS[place % len(COHORT_COLORS)] for place, name in enumerate(names)}


def place_labels(study: Study) -> dict[str, str]:
    """What figures call each cohort; the training cohort stands for its cross-validation."""
    labels = {study.training: f"{study.cohort_label(study.training)} (cross-validated)"}
    for name in study.validation:
        whole = study.cohorts[name].adaptation[0] == "cohort_rescaling"
        labels[name] = study.cohort_label(name) + (" (re-scaled)" if whole else "")
    return labels


def model_colors(models: Sequence[str]) -> dict[str, str]:
    """Colour of each model, the same in every figure."""
    others = [model for model in models if model not in MODEL_COLORS]
    spare = [color for color in MANY if color not in MODEL_COLORS.values()]
    return {model: MODEL_COLORS.get(model) or spare[others.index(model) % len(spare)] for model in models}


def years_text(years: float) -> str:
    """``1 year``, ``3 years``."""
    return f"{years:g} year" if years == 1 else f"{years:g} years"


def rows(table: pd.DataFrame | Iterable[Mapping[str, Any]], digits: int = 4) -> alt.InlineData:
    """Inline data of plain values: rounded floats, None for missing; the same table gives the same text."""
    items = table.to_dict("records") if isinstance(table, pd.DataFrame) else table
    return alt.InlineData(values=[{str(k): _plain(v, digits) for k, v in item.items()} for item in items])


def _plain(value: Any, digits: int) -> Any:
    if isinstance(value, str) or value is None:
        return value
    if isinstance(value, list):
        return [_plain(item, digits) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return None if not math.isfinite(value) else round(value, digits) + 0.0
    return None if pd.isna(value) else str(value)


def config() -> dict[str, Any]:
    """Vega-Lite configuration shared by every figure."""
    return {
        "background": "#ffffff",
        "font": FONT,
        "padding": {"left": 4, "right": 10, "top": 6, "bottom": 6},
        "view": {"stroke": None},
        "axis": {
            "labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": 600, "labelColor": "#333333",
            "titleColor": BLACK, "gridColor": "#eceef1", "domainColor": "#6b7280", "tickColor": "#6b7280",
            "tickSize": 4, "titlePadding": 8, "labelLimit": 170, "labelSeparation": 5,
        },
        "legend": {
            "labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": 600, "labelColor": "#333333",
            "titleColor": BLACK, "symbolStrokeWidth": 2, "labelLimit": 220,
        },
        "title": {
            "fontSize": 15, "fontWeight": 600, "anchor": "start", "frame": "group", "color": BLACK, "offset": 12,
            "subtitleFontSize": 12, "subtitleColor": "#4b5563", "subtitlePadding": 4,
        },
        "text": {"fontSize": 12, "color": BLACK},
        "line": {"strokeWidth": 2},
        "rule": {"strokeWidth": 1.5},
    }  # fmt: skip


def empty_panel(reason: str) -> Panel:
    """A small panel that says why there is nothing to draw."""
    lines = _wrap(reason, 44)
    height = 40 + 17 * len(lines)
    chart = (
        alt.Chart(rows([{"reason": lines}]))
        .mark_text(align="center", baseline="middle", lineHeight=17, fontSize=12, color="#4b5563")
        .encode(x=alt.value("width"), y=alt.value(height / 2), text=alt.Text("reason:N"))
    )
    # The middle of a container-wide view: an expression, because the width is known only on the page.
    chart = chart.encode(x=alt.XValue(alt.expr("width / 2")))
    chart = chart.properties(width="container", height=height, view=alt.ViewConfig(fill="#f6f7f9"))
    return Panel(chart, note="Not drawn.", alt_text=f"Not drawn: {reason}", width=420, max_width=560, missing=True)


def _wrap(text: str, width: int) -> list[str]:
    import textwrap

    return textwrap.wrap(str(text), width) or [""]


def specification(panel: Panel) -> dict[str, Any]:
    """Vega-Lite specification of a panel for the page: container width, no title, shared configuration."""
    spec = panel.chart.to_dict()
    # The version that draws it: Altair names a later one, of which every reader's browser would be warned.
    spec["$schema"] = VEGALITE_SCHEMA
    spec["config"] = config()
    spec["width"] = "container"
    spec["autosize"] = {"type": "fit-x", "contains": "padding"}
    # The page sets it on a phone: legends then take fewer columns.
    spec["params"] = [*spec.get("params", []), {"name": "narrow", "value": False}]
    return spec


def static_specification(spec: Mapping[str, Any], title: str, note: str, width: int) -> dict[str, Any]:
    """The same specification at a fixed width, with its title, for SVG files."""
    result = dict(spec)
    result.pop("usermeta", None)
    result["width"] = width
    # "pad" lets the drawing grow around the plot, so that no long label is cut in a file.
    result["autosize"] = {"type": "pad"}
    result["title"] = {"text": _wrap(title, 78), **({"subtitle": _wrap(note, 96)} if note else {})}
    return result
