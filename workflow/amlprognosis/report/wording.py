"""What the numbers say, in sentences: written by rules from tables and settings, never by hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from amlprognosis.report.cell_figures import contrast_note
from amlprognosis.report.grid_figures import rank_correlation, summary_row
from amlprognosis.report.ranking_figures import main_model, signed, training_rows, without_members
from amlprognosis.report.theme import Tables, fixed, interval, number, p_text
from amlprognosis.study import BEST_OF_GRID, COMPARATORS, Study, model_label

MODEL_NOUNS = {
    "gene_index": "the gene index",
    "clinical_gene_index": "the clinical model with the gene index",
    "age": "age",
    "age_sex": "age + sex",
    "eln": "the risk group alone",
    "age_eln": "age + risk group",
    "clinical": "the clinical Cox model (age, sex, risk group)",
    "clinical_mutations": "the clinical model with mutations",
    "lsc17": "the published LSC17 score",
}
FEWEST_CELLS = 30
MARKS = {"good": "✓", "caution": "!", "bad": "✗", "plain": "•"}


@dataclass(frozen=True)
class Statement:
    """One sentence of the verdict.

    Attributes
    ----------
    level : {"good", "caution", "bad", "plain"}
        How the sentence is marked.
    text : str
        The sentence.
    """

    level: str
    text: str

    @property
    def mark(self) -> str:
        """Sign before the sentence, so that colour is never the only carrier."""
        return MARKS[self.level]


def noun(model: str) -> str:
    """Name of a model inside a sentence."""
    return MODEL_NOUNS.get(model, model_label(model))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def verdict(study: Study, tables: Tables) -> list[Statement]:
    """Sentences of the verdict box: the main model, what it adds, validation, controls, warnings."""
    found: list[Statement] = []
    if study.simulate:
        found.append(
            Statement("caution", "The patients and cells of this study are simulated; nothing here is about AML.")
        )
    model = main_model(study)
    found += _cross_validated(study, tables, model)
    found += _added_value(study, tables, model)
    found += _validated(study, tables, model)
    found += _against_chance(tables, model)
    found += _grid(study, tables)
    found += _cells(study, tables)
    found += _size(tables, model)
    return found


def row_of(table: pd.DataFrame | None, **where: str) -> Any | None:
    """First row of a table that matches ``where``, or None."""
    if table is None or any(column not in table for column in where):
        return None
    for column, value in where.items():
        table = table[table[column] == value]
    return None if table.empty else table.iloc[0]


def _c(row: Any) -> str:
    return interval(row["c_harrell"], row.get("c_harrell_low"), row.get("c_harrell_high"))


def people(row: Any) -> str:
    """Counts of patients and deaths, in parentheses."""
    patients, events = number(row.get("patients")), number(row.get("events"))
    if patients is None or events is None:
        return ""
    return f" ({int(patients):,} patients, {int(events):,} deaths)"


def _cross_validated(study: Study, tables: Tables, model: str) -> list[Statement]:
    board = tables.get("leaderboard")
    row = row_of(board, model=model)
    where = study.cohort_label(study.training)
    if row is None or number(row["c_harrell"]) is None:
        return [Statement("bad", f"{_capital(noun(model))} could not be evaluated in {where}.")]
    low = number(row.get("c_harrell_low"))
    level, tail = "plain", ""
    if low is not None and low <= 0.5:
        level, tail = "bad", ", which cannot be told from chance"
    text = f"In cross-validation on {where}{people(row)}, {noun(model)} reaches a C-index of {_c(row)}{tail}."
    statements = [Statement(level, text)]
    assert board is not None
    known = (
        without_members(board)
        .dropna(subset=["c_harrell"])
        .sort_values(["c_harrell", "model"], ascending=[False, True], kind="stable")
    )
    best = known.iloc[0]
    if best["model"] != model:
        statements.append(
            Statement(
                "plain",
                f"The highest cross-validated C-index of the {len(known)} models is that of "
                f"{model_label(best['model'])}: "
                f"{_c(best)}. As the best of {len(known)} it is slightly optimistic.",
            )
        )
    return statements


def _grid(study: Study, tables: Tables) -> list[Statement]:
    """What the best of the grid looks like, and what it is worth."""
    best, nested, optimism = (summary_row(tables, item) for item in ("c_best", "c_nested", "optimism"))
    if best is None:
        return []
    count = len(study.models.grid_run)
    text = f"The best of the {count} learners and combinations, {best['text']}, has a cross-validated C of "
    text += interval(best["value"], best["low"], best["high"])
    if nested is None or optimism is None:
        return [Statement("caution", f"{text}, which is flattered by the choice.")]
    text += f"; with the choice made in inner folds it is {interval(nested['value'], nested['low'], nested['high'])}: "
    text += f"{fixed(optimism['value'], 3)} of it belongs to the picking, luck and uncertain choice together."
    found = [Statement("plain", text)]
    part = tables.get("comparisons")
    if part is not None:
        part = training_rows(part[(part["model"] == BEST_OF_GRID) & (part["metric"] == "c_harrell")], study)
        for name in ("clinical", "age"):
            row = row_of(part, comparator=name)
            low, high = (number(row[end]) if row is not None else None for end in ("low", "high"))
            if row is not None and low is not None and high is not None:
                level = "good" if low > 0 else "bad" if high < 0 else "caution"
                words = {"good": "beats", "caution": "is not shown to beat", "bad": "is worse than"}[level]
                line = f"The best of the grid {words} {noun(name)} (difference in C {signed(row)})."
                found.append(Statement(level, line))
                break
    for cohort in study.validation:
        correlation = rank_correlation(tables, cohort)
        if correlation is not None:
            label = study.cohort_label(cohort)
            line = f"Over the {count} members, the rank in cross-validation and the rank in {label} correlate with "
            line += f"{fixed(correlation)}."
            found.append(Statement("plain", line))
    return found


def _added_value(study: Study, tables: Tables, model: str) -> list[Statement]:
    table = tables.get("comparisons")
    if table is None:
        return []
    part = training_rows(table[(table["model"] == model) & (table["metric"] == "c_harrell")], study)
    groups: dict[str, list[str]] = {"good": [], "caution": [], "bad": []}
    for name in [c for c in COMPARATORS if c in set(part["comparator"])]:
        row = part[part["comparator"] == name].iloc[0]
        value, low, high = (number(row[c]) for c in ("difference", "low", "high"))
        if value is None or low is None or high is None:
            continue
        level = "good" if low > 0 else "bad" if high < 0 else "caution"
        groups[level].append(f"{noun(name)} (difference in C {signed(row)})")
    words = {"good": "is better than", "caution": "is not shown to be better than", "bad": "is worse than"}
    return [
        Statement(level, f"In cross-validation it {words[level]} {listed(items)}.")
        for level, items in groups.items()
        if items
    ]


def listed(items: list[str]) -> str:
    """``a, b and c``."""
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + " and " + items[-1]


def _validated(study: Study, tables: Tables, model: str) -> list[Statement]:
    if not study.validation:
        return [Statement("bad", "There is no validation cohort: nothing here was tested outside the training data.")]
    table = tables.get("validation")
    found = []
    for cohort in study.validation:
        row = row_of(table, model=model, cohort=cohort)
        label = study.cohort_label(cohort)
        if row is None or number(row["c_harrell"]) is None:
            found.append(Statement("bad", f"In {label} {noun(model)} could not be evaluated{_why(row)}."))
            continue
        low = number(row.get("c_harrell_low"))
        flagged = str(row.get("adaptation", "none")) == "cohort_rescaling"
        tail = " after re-scaling the whole cohort, which a single patient cannot have" if flagged else ""
        if low is not None and low > 0.5:
            age = row_of(table, model="age", cohort=cohort)
            beside = f" (age: {_c(age)})" if age is not None and number(age["c_harrell"]) is not None else ""
            text = f"Frozen and applied to {label}{people(row)}, it reaches {_c(row)}{tail}{beside}."
            found.append(Statement("caution" if flagged else "good", text))
        else:
            text = f"Frozen and applied to {label}{people(row)}, it reaches {_c(row)}{tail}: "
            text += "not distinguishable from chance."
            found.append(Statement("bad", text))
    return found


def _why(row: Any | None) -> str:
    note = row.get("note") if row is not None else None
    return f": {note}" if isinstance(note, str) and note else ""


def _against_chance(tables: Tables, model: str) -> list[Statement]:
    summary, controls = tables.get("controls_summary"), tables.get("controls")
    found = []
    if model == "gene_index" and controls is not None:
        random = controls[controls["control"] == "random_gene_set"]["c_harrell"].dropna()
        index = controls[controls["control"] == "index"]["c_harrell"].dropna()
        row = row_of(summary, control="random_gene_set")
        if len(random) and len(index):
            above = int((random >= index.iloc[0]).sum())
            p = number(row.get("p")) if row is not None else None
            p = (1 + above) / (1 + len(random)) if p is None else p
            better = p < 0.05
            text = f"Of {len(random)} random gene sets of the same size, {above or 'none'} did as well ({p_text(p)}): "
            text += "the index "
            text += "is better than random genes." if better else "is not shown to be better than random genes."
            found.append(Statement("good" if better else "bad", text))
    row = row_of(summary, control="permuted_outcome")
    if row is not None and number(row.get("mean")) is not None:
        mean = float(row["mean"])
        draws, spread = number(row.get("draws")) or 1.0, number(row.get("sd")) or 0.0
        fine = abs(mean - 0.5) <= max(0.03, 2 * spread / draws**0.5)
        text = f"With permuted outcomes the whole procedure gives a mean C of {mean:.2f}, "
        text += "as it must without leakage." if fine else "away from 0.5: the evaluation itself is suspect."
        found.append(Statement("good" if fine else "bad", text))
    leaky, honest = row_of(controls, control="leaky_recipe"), row_of(controls, control="honest_recipe")
    if leaky is not None and number(leaky["c_harrell"]) is not None:
        text = "Screening genes on all patients before cross-validating, as in many published scripts, would have "
        text += f"claimed C {float(leaky['c_harrell']):.2f}"
        if honest is not None and number(honest["c_harrell"]) is not None:
            text += f"; the same recipe with the screen inside the folds reaches {float(honest['c_harrell']):.2f}"
        found.append(Statement("plain", text + "."))
    return found


def _cells(study: Study, tables: Tables) -> list[Statement]:
    found = []
    for atlas in study.atlases:
        scores = tables.get(f"cell_scores_{atlas}")
        if scores is None or not {"cell_type", "mean"} <= set(scores):
            continue
        scores = scores.rename(columns={"state": "malignant", "n_cells": "cells"}).dropna(subset=["mean"])
        state = {"true": "malignant", "malignant": "malignant", "false": "normal", "normal": "normal"}
        if "malignant" in scores:
            scores = scores.assign(kind=scores["malignant"].astype(str).str.lower().map(state)).dropna(subset=["kind"])
        if "cells" in scores:
            scores = scores[scores["cells"] >= FEWEST_CELLS]
        if scores.empty:
            continue
        top = scores.sort_values(["mean", "cell_type"], ascending=[False, True], kind="stable").iloc[0]
        kind = f"{top['kind']} " if "kind" in scores else ""
        text = f"In single cells ({study.cohort_label(atlas)}) the index is highest in {kind}{top['cell_type']} cells"
        contrast = contrast_note(tables, atlas)
        found.append(Statement("plain", f"{text}. {contrast}." if contrast else f"{text}."))
    return found


def _size(tables: Tables, model: str) -> list[Statement]:
    row = row_of(tables.get("sample_size"), model=model)
    if row is None:
        return []
    ratio, needed = number(row.get("events_per_parameter")), number(row.get("riley_minimum_n"))
    if ratio is None or ratio >= 10:
        return []
    text = f"The training cohort is small for this model: {ratio:.2g} deaths per candidate parameter"
    text += f"; Riley's criteria ask for {int(needed):,} patients." if needed is not None else "."
    return [Statement("bad" if ratio < 1 else "caution", text)]
