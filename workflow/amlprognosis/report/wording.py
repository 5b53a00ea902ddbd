"""What the numbers say, in sentences: written by rules from tables and settings, never by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from amlprognosis.report.answers import FEW_COHORTS, LITTLE, MARKS, POOLED, Question, performance, questions
from amlprognosis.report.cell_figures import contrast_note
from amlprognosis.report.chosen import main_model
from amlprognosis.report.control_figures import draws
from amlprognosis.report.evidence_figures import ADAPTATIONS
from amlprognosis.report.grid_figures import rank_correlation, summary_row
from amlprognosis.report.reading import row_of, rows_in, signed, training_rows, why_not, without_members
from amlprognosis.report.theme import Tables, fixed, interval, number, percent, years_text
from amlprognosis.study import BEST_OF_GRID, Study, model_label
from amlprognosis.study.names import SIGNATURES

MODEL_NOUNS = {
    "gene_index": "the gene index",
    "clinical_gene_index": "the clinical model with the gene index",
    "age": "age",
    "age_sex": "age + sex",
    "eln": "the risk group alone",
    "age_eln": "age + risk group",
    "clinical": "the clinical Cox model",
    "clinical_mutations": "the clinical model with mutations",
}
FEWEST_CELLS = 30
# From bad to good: the mark of a sentence about several cohorts is that of its worst answer.
LEVELS = ("bad", "caution", "plain", "good", "none")


@dataclass(frozen=True)
class Statement:
    """One sentence of the verdict.

    Attributes
    ----------
    level : {"good", "caution", "bad", "plain"}
        How the sentence is marked.
    text : str
        The sentence.
    group : {"answer", "trust", "more"}
        Where it stands: the answer itself, whether to believe it, what else was seen.
    """

    level: str
    text: str
    group: str = "answer"

    @property
    def mark(self) -> str:
        """Sign before the sentence, so that colour is never the only carrier."""
        return MARKS[self.level]


def noun(model: str) -> str:
    """Name of a model inside a sentence."""
    label = model_label(model)
    if model in SIGNATURES:
        label = f"the published {label.split(' (')[0]}"
    return MODEL_NOUNS.get(model, label)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def listed(items: Sequence[str]) -> str:
    """``a, b and c``."""
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + " and " + items[-1]


def people(row: Any) -> str:
    """Counts of patients and deaths, in parentheses."""
    patients, events = number(row.get("patients")), number(row.get("events"))
    if patients is None or events is None:
        return ""
    return f" ({int(patients):,} patients, {int(events):,} deaths)"


def verdict(study: Study, tables: Tables) -> list[Statement]:
    """Sentences of the verdict box: the main model, what it adds, validation, controls, warnings."""
    found: list[Statement] = []
    if study.simulate:
        found.append(
            Statement("caution", "The patients and cells of this study are simulated; nothing here is about AML.")
        )
    model = main_model(study)
    asked = {question.key: question for question in questions(study, tables)}
    found += _cross_validated(study, tables, model)
    found += _validated(study, tables, model)
    found += _against_comparators(study, asked)
    found += _one_question(study, asked.get("beats_random"), RANDOM_WORDS)
    found += _one_question(study, asked.get("adds"), ADDS_WORDS)
    found += _predicted_risks(study, asked)
    trust = [*_leakage(study, tables), *_checks(tables), *_seeds(tables), *_size(tables, model)]
    more = [*_best(study, tables, model), *_grid(study, tables), *_adapted(study, tables, model)]
    more += _cells(study, tables)
    found += [Statement(s.level, s.text, "trust") for s in trust]
    return found + [Statement(s.level, s.text, "more") for s in more]


def _c(row: Any) -> str:
    return interval(row["c_harrell"], row.get("c_harrell_low"), row.get("c_harrell_high"))


def _cross_validated(study: Study, tables: Tables, model: str) -> list[Statement]:
    row = row_of(tables.get("leaderboard"), model=model)
    where = study.cohort_label(study.training)
    if row is None or number(row["c_harrell"]) is None:
        return [Statement("bad", f"{_capital(noun(model))} could not be evaluated in {where}.")]
    low = number(row.get("c_harrell_low"))
    level, tail = "plain", ""
    if low is not None and low <= 0.5:
        level, tail = "bad", ", which cannot be told from chance"
    text = f"In cross-validation on {where}{people(row)}, {noun(model)} reaches a C-index of {_c(row)}{tail}."
    return [Statement(level, text)]


def _validated(study: Study, tables: Tables, model: str) -> list[Statement]:
    """The frozen model in each validation cohort, in one sentence for those that worked and one for the others."""
    if not study.validation:
        return [Statement("bad", "There is no validation cohort: nothing here was tested outside the training data.")]
    worked: list[tuple[str, str]] = []
    failed = []
    for cohort in study.validation:
        row = performance(tables, study, cohort, model)
        label = study.cohort_label(cohort)
        if row is None or number(row["c_harrell"]) is None:
            failed.append(f"{label} ({why_not(tables, study, cohort, model)})")
            continue
        low = number(row.get("c_harrell_low"))
        flagged = study.cohorts[cohort].adaptation[0] == "cohort_rescaling"
        level = "bad" if low is None or low <= 0.5 else "caution" if flagged else "good"
        chance = ", not distinguishable from chance," if level == "bad" else ""
        tail = ", re-scaled as a whole, which one new patient cannot be" if flagged else ""
        worked.append((level, f"{_c(row)}{chance} in {label}{people(row)}{tail}"))
    found = []
    if worked:
        text = "Frozen and applied, it reaches " + "; ".join(text for _, text in worked) + "."
        pooled = row_of(tables.get("meta_analysis"), model=model, metric="c_harrell")
        cohorts = number(pooled.get("cohorts")) if pooled is not None else None
        if pooled is not None and cohorts is not None and cohorts > 1 and number(pooled["estimate"]) is not None:
            text += (
                f" Pooled over {int(cohorts)} cohorts: {interval(*(pooled[c] for c in ('estimate', 'low', 'high')))}"
            )
            ends = [number(pooled.get(f"prediction_{end}")) for end in ("low", "high")]
            if None not in ends:
                text += f"; a new cohort may show {fixed(ends[0])} to {fixed(ends[1])} (I² {percent(pooled.get('i2'))})"
            text += ", which so few cohorts cannot narrow." if cohorts < FEW_COHORTS else "."
        found.append(Statement(_worst([level for level, _ in worked]), text))
    if failed:
        found.append(Statement("bad", f"It could not be evaluated in {listed(failed)}."))
    return found


def _worst(levels: Sequence[str]) -> str:
    return min(levels, key=LEVELS.index)


def _places(study: Study, cohorts: Sequence[str]) -> str:
    """``in cross-validation and in Bullinger 2004``."""
    names = ["cross-validation" if c == study.training else study.cohort_label(c) for c in cohorts]
    return f"in {listed(names)}"


COMPARED_WORDS = {
    "good": "is better than {0}",
    "caution": "is not shown to be better than {0}",
    "bad": "is worse than {0}",
    "plain": "differs from {0}",
    "none": "cannot be compared with {0}",
}
RANDOM_WORDS = {
    "good": "it is better than random gene sets of the same size",
    "bad": "it is not shown to be better than random gene sets",
    "none": "random gene sets were not applied",
}
ADDS_WORDS = {
    "good": "added to the clinical model it orders patients better than the clinical model alone",
    "caution": "added to the clinical model it is not shown to order patients better",
    LITTLE: "added to the clinical model it explains a little more, but is not shown to order patients better",
    "bad": "added to the clinical model it makes the order of patients worse",
    "plain": "added to the clinical model it changes the order of patients",
    "none": "what it adds to the clinical model cannot be said",
}


def _by_level(question: Question) -> dict[str, list[str]]:
    """Cohorts by the level of their answer; the pooled answer stands in the table alone."""
    found: dict[str, list[str]] = {}
    for cohort, answer in question.answers.items():
        if cohort != POOLED:
            found.setdefault(answer.level, []).append(cohort)
    return found


def _reasons(study: Study, question: Question, cohorts: Sequence[str]) -> str:
    """Why there is no answer: said once where the cohorts share the reason."""
    reasons = {cohort: question.answers[cohort].text for cohort in cohorts}
    if len(set(reasons.values())) == 1:
        return f"{_places(study, cohorts)} ({reasons[cohorts[0]]})"
    return "; ".join(f"{_places(study, [cohort])} ({text})" for cohort, text in reasons.items())


def _against_comparators(study: Study, asked: dict[str, Question]) -> list[Statement]:
    """One sentence for the comparators that fare alike, cohort by cohort."""
    alike: dict[tuple[tuple[str, str, str], ...], list[Question]] = {}
    for question in asked.values():
        if question.comparator:
            answers = question.answers.items()
            said = any(a.level != "none" for a in question.answers.values())
            key = tuple((c, a.level, "" if said else a.text) for c, a in answers if c != POOLED)
            alike.setdefault(key, []).append(question)
    found = []
    unsaid = [group for key, group in alike.items() if all(level == "none" for _, level, _ in key)]
    for group in alike.values():
        if group in unsaid:
            continue
        names = listed([_brief(question.comparator) for question in group])
        parts = []
        # The comparator that needs most has the longest reason.
        fullest = max(group, key=lambda q: sum(len(a.text) for a in q.answers.values() if a.level == "none"))
        for level, cohorts in _by_level(group[0]).items():
            if level == "none":
                parts.append(f"{COMPARED_WORDS[level].format(names)} {_reasons(study, fullest, cohorts)}")
            else:
                parts.append(f"{COMPARED_WORDS[level].format(names)} {_places(study, cohorts)}")
            names = "them" if len(group) > 1 else "it"
        found.append(Statement(_mark(group[0]), f"It {'; it '.join(parts)}."))
    if unsaid:
        parts = [
            f"{listed([_brief(q.comparator) for q in group])} {_reasons(study, group[0], _by_level(group[0])['none'])}"
            for group in unsaid
        ]
        found.append(Statement("plain", f"It cannot be compared with {'; with '.join(parts)}."))
    return found


def _brief(comparator: str) -> str:
    return "the clinical model" if comparator == "clinical" else noun(comparator)


def _mark(question: Question) -> str:
    level = _worst([answer.level for cohort, answer in question.answers.items() if cohort != POOLED])
    return "plain" if level == "none" else level


def _one_question(study: Study, question: Question | None, words: dict[str, str]) -> list[Statement]:
    """A question's answers as one sentence; the figures stand in the table of answers."""
    if question is None:
        return []
    alike: dict[str, list[str]] = {}
    for cohort, answer in question.answers.items():
        if cohort != POOLED:
            alike.setdefault(answer.word if answer.word in words else answer.level, []).append(cohort)
    parts = [
        f"{words[key]} {_reasons(study, question, cohorts) if key == 'none' else _places(study, cohorts)}"
        for key, cohorts in alike.items()
    ]
    return [Statement(_mark(question), _capital("; ".join(parts)) + ".")]


def _predicted_risks(study: Study, asked: dict[str, Question]) -> list[Statement]:
    """Calibration and net benefit, in one sentence each."""
    found = []
    horizon = years_text(study.evaluation.main_horizon_years)
    question = asked.get("calibrated")
    if question is not None:
        words: dict[str, list[str]] = {}
        for cohort, answer in question.answers.items():
            if cohort != POOLED:
                words.setdefault("cannot be judged" if answer.level == "none" else answer.word, []).append(cohort)
        parts = [f"{word[:1].lower()}{word[1:]} {_places(study, cohorts)}" for word, cohorts in words.items()]
        found.append(Statement(_mark(question), f"Its predicted risks at {horizon}: {'; '.join(parts)}."))
    question = asked.get("useful")
    if question is not None:
        levels = {
            "good": "does more good than treating all or none",
            "caution": "is not shown to do more good than treating all or none",
            "bad": "does no more good than treating all or none",
            "none": "cannot be judged",
        }
        parts = [f"{levels[level]} {_places(study, cohorts)}" for level, cohorts in _by_level(question).items()]
        threshold = percent(study.evaluation.decision_threshold)
        text = f"Acting on a predicted risk of {threshold} or more {'; it '.join(parts)}."
        found.append(Statement(_mark(question), text))
    return found


def _best(study: Study, tables: Tables, model: str) -> list[Statement]:
    board = tables.get("leaderboard")
    if board is None:
        return []
    known = (
        without_members(board)
        .dropna(subset=["c_harrell"])
        .sort_values(["c_harrell", "model"], ascending=[False, True], kind="stable")
    )
    if known.empty or known.iloc[0]["model"] == model:
        return []
    best = known.iloc[0]
    text = f"The highest cross-validated C-index of the {len(known)} models is that of {model_label(best['model'])}: "
    corrected, chosen = (summary_row(tables, item, "selection") for item in ("c_corrected", "c_best"))
    if chosen is None or corrected is None or chosen["text"] != best["model"] or number(corrected["value"]) is None:
        return [Statement("plain", f"{text}{_c(best)}. As the best of {len(known)} it is slightly optimistic.")]
    text += f"{_c(best)}; with the choice made anew in bootstrap draws it is worth "
    text += interval(corrected["value"], corrected["low"], corrected["high"])
    return [Statement("plain", f"{text}.")]


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
    level = "plain"
    part = tables.get("comparisons")
    if part is not None:
        part = training_rows(part[(part["model"] == BEST_OF_GRID) & (part["metric"] == "c_harrell")], study)
        for name in ("age_eln", "clinical", "age"):
            row = row_of(part, comparator=name)
            low, high = (number(row[end]) if row is not None else None for end in ("low", "high"))
            if row is not None and low is not None and high is not None:
                level = "good" if low > 0 else "bad" if high < 0 else "caution"
                words = {"good": "beats", "caution": "is not shown to beat", "bad": "is worse than"}[level]
                text += f" It {words} {noun(name)} (difference in C {signed(row)})."
                break
    ranks = {study.cohort_label(cohort): rank_correlation(tables, cohort) for cohort in study.validation}
    known = [f"{fixed(value)} with that in {label}" for label, value in ranks.items() if value is not None]
    if known:
        text += f" Over the members, the rank in cross-validation has a correlation of {listed(known)}."
    return [Statement(level, text)]


def _leakage(study: Study, tables: Tables) -> list[Statement]:
    """Permuted outcomes, and what the leaky recipe would have claimed."""
    parts, level = [], "plain"
    row = row_of(rows_in(tables.get("controls_summary"), study, study.training), control="permuted_outcome")
    if row is not None and number(row.get("mean")) is not None:
        mean = float(row["mean"])
        count, spread = number(row.get("draws")) or 1.0, number(row.get("sd")) or 0.0
        fine = abs(mean - 0.5) <= max(0.03, 2 * spread / count**0.5)
        text = f"With permuted outcomes the whole procedure gives a mean C of {mean:.2f}, "
        text += "as it must without leakage." if fine else "away from 0.5: the evaluation itself is suspect."
        parts, level = [text], "good" if fine else "bad"
    values = {
        name: found_draws.mean()
        for name in ("leaky_recipe", "honest_recipe", "leaky_recipe_permuted", "honest_recipe_permuted")
        if len(found_draws := draws(tables, study, study.training, name))
    }
    if "leaky_recipe" in values:
        text = "Screening genes on all patients before cross-validating, as in many published scripts, would have "
        text += f"claimed C {values['leaky_recipe']:.2f} on these data"
        if "honest_recipe" in values:
            text += f" (honestly: {values['honest_recipe']:.2f})"
        if "leaky_recipe_permuted" in values:
            text += f", and {values['leaky_recipe_permuted']:.2f} on outcomes that were permuted"
            if "honest_recipe_permuted" in values:
                text += f" (honestly: {values['honest_recipe_permuted']:.2f})"
        parts.append(text + ".")
    return [Statement(level, " ".join(parts))] if parts else []


def _checks(tables: Tables) -> list[Statement]:
    table = tables.get("leakage_checks")
    if table is None or "verdict" not in table:
        return []
    # A check has a row for its cohort, and one more for each thing that is suspect.
    made = table.groupby(["check", "cohort"], sort=False)["verdict"].agg(list)
    total, undone = len(made), int(made.map(lambda found: set(found) == {"not checked"}).sum())
    tail = f" {undone} could not be made." if undone else ""
    suspect = made[made.map(lambda found: "suspect" in found)]
    if suspect.empty:
        level = "good" if undone < total else "caution"
        return [Statement(level, f"None of the {total - undone} leakage checks is suspect.{tail}")]
    named = list(dict.fromkeys(str(check).replace("_", " ") for check, _ in suspect.index))
    text = f"{len(suspect)} of {total - undone} leakage checks {'is' if len(suspect) == 1 else 'are'} suspect: "
    return [Statement("bad", f"{text}{listed(named)}.{tail} See Can I trust it.")]


def _seeds(tables: Tables) -> list[Statement]:
    table = tables.get("seed_stability")
    if table is None or "c_harrell" not in table or table["c_harrell"].notna().sum() < 2:
        return []
    c = table["c_harrell"].dropna()
    text = f"With {len(c)} other seeds the cross-validated C-index lies between {fixed(c.min())} and {fixed(c.max())}"
    level = "plain"
    if "jaccard" in table and table["jaccard"].notna().any():
        shared = float(table["jaccard"].median())
        level = "caution" if shared < 0.5 else "plain"
        text += f"; such an index shares {percent(shared)} of the genes with this one (median Jaccard index)"
    return [Statement(level, text + ".")]


def _adapted(study: Study, tables: Tables, model: str) -> list[Statement]:
    """The model under the other adaptations that were asked for."""
    table = tables.whole("validation")
    found: list[str] = []
    for cohort in study.validation:
        parts = []
        for name in study.cohorts[cohort].adaptation[1:]:
            row = row_of(rows_in(table, study, cohort), model=model, adaptation=name)
            if row is not None and number(row["c_harrell"]) is not None:
                label = ADAPTATIONS[name][0]
                parts.append(f"{_c(row)} ({label[:1].lower()}{label[1:]})")
        if parts:
            found.append(f"in {study.cohort_label(cohort)} {listed(parts)}")
    return [Statement("plain", f"Under other adaptations the C-index is {'; '.join(found)}.")] if found else []


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
