"""Reading tables: the row that is meant, and why a figure could not be computed, in a reader's words."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd

from amlprognosis.report.theme import Tables, fixed, number
from amlprognosis.study import Study, model_label

VARIABLES = {
    "sex_male": "sex", "risk_intermediate": "risk group", "risk_adverse": "risk group", "wbc_log10": "white cells",
    "wbc": "white cells", "marrow_blasts": "marrow blasts",
}  # fmt: skip
LONGEST_REASON = 90


def row_of(table: pd.DataFrame | None, **where: str) -> Any | None:
    """First row of a table that matches ``where``, or None."""
    if table is None or any(column not in table for column in where):
        return None
    for column, value in where.items():
        table = table[table[column] == value]
    return None if table.empty else table.iloc[0]


def without_members(table: pd.DataFrame) -> pd.DataFrame:
    """Leave out the members of the grid, which have a figure and a table of their own."""
    return table[table["kind"] != "combination"] if "kind" in table else table


def training_rows(table: pd.DataFrame, study: Study) -> pd.DataFrame:
    """Rows of the training cohort's cross-validation, however the cohort column marks them."""
    return table[table["cohort"].astype(str).str.split(" (", regex=False).str[0] == study.training]


def rows_in(table: pd.DataFrame | None, study: Study, cohort: str) -> pd.DataFrame | None:
    """Rows of a cohort; None without any."""
    if table is None or "cohort" not in table:
        return None
    part = training_rows(table, study) if cohort == study.training else table[table["cohort"] == cohort]
    return None if part.empty else part


def signed(row: Any) -> str:
    """Difference with its sign and interval."""
    value = number(row["difference"])
    text = fixed(value, 3) if value is not None else "–"
    low, high = number(row["low"]), number(row["high"])
    sign = "+" if value is not None and value > 0 else ""
    return f"{sign}{text}" + (f" ({fixed(low, 3)} to {fixed(high, 3)})" if None not in (low, high) else "")


def words_of(note: Any) -> str:
    """A note of a table in a reader's words: "no age", "1 of 17 genes measured"; empty without one."""
    if not isinstance(note, str) or not note.strip():
        return ""
    genes = re.search(r"(\d+) of (?:its |the )?(\d+) genes", note)
    if genes:
        return f"{genes[1]} of {genes[2]} genes measured"
    lacking = re.findall(r"\b(clinical|mutation):(\w+)", note)
    if lacking and re.search(r"no value in this cohort|absent or without a value", note):
        names = [
            "mutations" if kind == "mutation" else VARIABLES.get(name, name.replace("_", " ")) for kind, name in lacking
        ]
        names = list(dict.fromkeys(names))
        return f"no {', '.join(names[:-1])} or {names[-1]}" if len(names) > 1 else f"no {names[0]}"
    untrained = re.search(r"no column ([^;]+?) in the features", note)
    if untrained:
        names = re.findall(r"clinical:([a-z]+)", untrained[1])
        columns = ["risk group" if name == "risk" else name for name in dict.fromkeys(names)]
        return f"the training cohort has no {' or '.join(columns)}" if columns else "columns that training lacks"
    text = note.split(";")[0].strip().rstrip(".")
    text = re.sub(r"^not (compared|applied|computed|fitted): ", "", text)
    return text if len(text) <= LONGEST_REASON else text[: LONGEST_REASON - 1].rstrip() + "…"


def why_not(tables: Tables, study: Study, cohort: str, model: str, note: Any = None) -> str:
    """Why a model has no figure in a cohort, in a reader's words: from the row's own note, else from the notes."""
    found = words_of(note)
    if found:
        return found
    if model not in study.models.run:
        return "not in models.run"
    name = "leaderboard" if cohort == study.training else "validation"
    row = row_of(rows_in(tables.get(name), study, cohort), model=model)
    if name == "leaderboard":
        row = row_of(tables.get(name), model=model)
    found = words_of(row["note"]) if row is not None and "note" in row.index and _empty(row) else ""
    notes = tables.get("notes")
    if not found and notes is not None and {"source", "item", "note"} <= set(notes):
        sources = {"cross-validation"} if cohort == study.training else {f"validation: {cohort}"}
        for text in notes[notes["source"].isin(sources) & (notes["item"] == model)]["note"]:
            if "not applied" in str(text) or "not fitted" in str(text):
                found = words_of(text)
    return found or f"no figure of {model_label(model)}"


def _empty(row: Any) -> bool:
    return number(row.get("c_harrell")) is None
