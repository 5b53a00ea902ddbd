"""Models beside each other: leaderboard, validation, hazard ratios."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from amlprognosis.report.chosen import COMBINED
from amlprognosis.report.forest import forest, grouped_forest, legend_width, span
from amlprognosis.report.reading import without_members
from amlprognosis.report.theme import (
    BLUE,
    ORANGE,
    VERMILLION,
    NothingToDraw,
    Panel,
    Tables,
    cohort_colors,
    interval,
    number,
    p_text,
    place_labels,
)
from amlprognosis.study import BEST_OF_GRID, Study, model_label
from amlprognosis.study.names import FIXED_LABELS, is_grid

# Shown beside the reported models.
ALWAYS = ("age", "age_sex", "eln", "age_eln", "clinical", COMBINED, BEST_OF_GRID)
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


def _item(label: str, row: pd.Series, metric: str, **more: Any) -> dict[str, Any]:
    value, low, high = (number(row.get(name)) for name in (metric, f"{metric}_low", f"{metric}_high"))
    return {"label": label, "estimate": value, "low": low, "high": high, "text": interval(value, low, high), **more}


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
        domain=span(items, 0.5),
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
    palette, names = cohort_colors(study), place_labels(study)
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
    chart = grouped_forest(known, order, colors, "Harrell's C-index", 0.5)
    outside = [i for i in known if i["cohort"] != study.training]
    spoken = "C-index in validation: " + "; ".join(f"{i['model']} in {i['kind']} {i['text']}" for i in outside) + "."
    return Panel(chart, "", spoken, width=620, max_width=720, narrow_below=legend_width(colors))


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
    return grouped_forest(items, order, colors, "Hazard ratio of death (log scale)", 1.0, (ticks, (low, high)))
