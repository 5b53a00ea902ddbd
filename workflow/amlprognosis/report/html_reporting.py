"""Tables of the page about reporting standards: risk of bias, subgroups, the state of the checklist."""

from __future__ import annotations

from typing import Any

from amlprognosis.report.bias_signals import JUDGEMENTS
from amlprognosis.report.html_cells import (
    Cell,
    Column,
    PageTable,
    estimate_cell,
    of_column,
    page_table,
    sizes_cell,
    text_cell,
)
from amlprognosis.report.risk_of_bias import OVERALL
from amlprognosis.report.theme import Tables, number
from amlprognosis.report.tripod_base import status_counts
from amlprognosis.study import Study, model_label

STYLES = {"high": "bad", "unclear": "flag", "low": ""}
SUBGROUPS = {"all": "All patients", "age": "Age", "sex": "Sex", "risk": "Risk group"}


def _judgement(value: Any) -> Cell:
    text = str(value)
    return Cell(text, JUDGEMENTS.index(text) if text in JUDGEMENTS else "", STYLES.get(text, ""))


def _capital(value: Any) -> Cell:
    text = str(value)
    return text_cell(text[:1].upper() + text[1:])


def _given(value: Any) -> Cell:
    return text_cell(value if isinstance(value, str) else "")


def risk_domains(tables: Tables) -> PageTable | None:
    """The four domains of PROBAST with their judgement and the signals behind it."""
    table = tables.get("risk_of_bias")
    if table is None:
        return None
    signals = table[table["signal"] != OVERALL]

    def behind(row: Any) -> Cell:
        own = signals[(signals["domain"] == row["domain"]) & (signals["judgement"] == row["judgement"])]
        count = int((signals["domain"] == row["domain"]).sum())
        return text_cell(", ".join(own["signal"]) if row["judgement"] != "low" else f"none of {count} signals")

    columns: list[Column] = [
        ("Domain", False, of_column("domain", _capital)),
        ("Risk of bias", False, of_column("judgement", _judgement)),
        ("Raised by", False, behind),
    ]
    return page_table("risk_of_bias", table[table["signal"] == OVERALL], columns)


def risk_signals(tables: Tables) -> PageTable | None:
    """Every signal with what was found and what would help."""
    table = tables.get("risk_of_bias")
    if table is None:
        return None
    columns: list[Column] = [
        ("Domain", False, of_column("domain", _capital)),
        ("Signal", False, of_column("signal", _capital)),
        ("Risk of bias", False, of_column("judgement", _judgement)),
        ("What was found", False, of_column("finding", _given)),
        ("What would help", False, of_column("remedy", _given)),
    ]
    return page_table("risk_of_bias", table[table["signal"] != OVERALL], columns)


def subgroups(tables: Tables, study: Study) -> PageTable | None:
    """Performance of the reported models within subgroups; what no cohort records is left to the file."""
    table = tables.get("subgroups")
    if table is None:
        return None
    shown = table[table["patients"] > 0]
    columns: list[Column] = [
        ("Cohort", False, of_column("cohort", lambda value: text_cell(study.cohort_label(str(value))))),
        ("Model", False, of_column("model", lambda value: text_cell(model_label(str(value))))),
        ("Subgroup", False, _subgroup),
        ("Patients / deaths", True, sizes_cell),
        ("C (Harrell)", True, _concordance),
        (f"O/E {study.evaluation.main_horizon_years:g} y", True, estimate_cell("oe")),
    ]
    return page_table("subgroups", shown, columns)


def _concordance(row: Any) -> Cell:
    """C with its interval, or in few words why there is none."""
    note = row.get("note")
    if number(row.get("c_harrell")) is None and isinstance(note, str) and note:
        return Cell(note.partition(":")[0], "")
    return estimate_cell("c_harrell")(row)


def _subgroup(row: Any) -> Cell:
    name = SUBGROUPS.get(str(row["subgroup"]), str(row["subgroup"]))
    return text_cell(name if row["subgroup"] == "all" else f"{name}: {row['level']}")


def checklist_counts(tables: Tables) -> dict[str, int]:
    """How many items of the TRIPOD+AI checklist have each status; empty without the table."""
    table = tables.get("tripod_ai")
    return {} if table is None else status_counts(table)
