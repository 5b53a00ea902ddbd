"""The questions that a reader has, and the answers of the tables: in cross-validation and in each validation cohort."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from amlprognosis.report.chosen import COMBINED, clinical_rivals, main_model, published
from amlprognosis.report.control_figures import draws
from amlprognosis.report.decision_figures import treat_all
from amlprognosis.report.reading import row_of, rows_in, signed, why_not
from amlprognosis.report.theme import (
    Tables,
    fixed,
    interval,
    number,
    p_text,
    percent,
    place_labels,
    years_text,
)
from amlprognosis.study import Study, model_label

MARKS = {"good": "✓", "caution": "!", "bad": "✗", "plain": "•", "none": "–"}
POOLED = "pooled"
ALPHA = 0.05
LITTLE = "A little"
# With fewer, the interval of a pooled figure says more about their number than about the model.
FEW_COHORTS = 5


@dataclass(frozen=True)
class Answer:
    """What one cohort answers to one question.

    Attributes
    ----------
    level : {"good", "caution", "bad", "plain", "none"}
        How the answer is marked; "none": there is no answer, and the text says why.
    word : str
        The answer in a word or two.
    text : str
        The figures behind it.
    """

    level: str
    word: str
    text: str

    @property
    def mark(self) -> str:
        """Sign before the answer, so that colour is never the only carrier."""
        return MARKS[self.level]


@dataclass(frozen=True)
class Question:
    """A question and its answers by cohort; the key "pooled" is the meta-analysis.

    Attributes
    ----------
    key : str
        Short name.
    text : str
        The question.
    answers : dict of str to Answer
        By cohort.
    comparator : str
        The comparator that it is about, if it is about one.
    """

    key: str
    text: str
    answers: dict[str, Answer]
    comparator: str = ""


def columns(study: Study, tables: Tables) -> dict[str, str]:
    """Headings of the answers: the training cohort, each validation cohort, and their summary where it was made."""
    found = place_labels(study)
    pooled = row_of(tables.get("meta_analysis"), model=main_model(study), metric="c_harrell")
    if pooled is None or not _several(pooled):
        return found
    return found | {POOLED: f"Pooled over {int(pooled['cohorts'])} cohorts"}


def _several(row: Any | None) -> bool:
    cohorts = number(row.get("cohorts")) if row is not None else None
    return row is not None and cohorts is not None and cohorts > 1 and number(row["estimate"]) is not None


def questions(study: Study, tables: Tables) -> list[Question]:
    """Every question with its answers, in the order of the report."""
    main = main_model(study)
    places = [study.training, *study.validation]
    pooled = POOLED in columns(study, tables)
    found = [_order(study, tables, main, places, pooled)]
    for comparator in clinical_rivals(study):
        if comparator != main:
            text = f"Better than {_short(comparator)}{_system(study, comparator)}?"
            found.append(_against(study, tables, f"beats_{comparator}", text, main, comparator, places, pooled))
    for signature in published(study):
        kind = "" if signature in study.models.signatures else "the published "
        text = f"Better than {kind}{model_label(signature).split(' (')[0]}?"
        found.append(_against(study, tables, f"beats_{signature}", text, main, signature, places, pooled))
    if main == "gene_index":
        found.append(_random_sets(study, tables, places))
    if COMBINED in study.models.run and "clinical" in study.models.run:
        found.append(_adds(study, tables, main, places, pooled))
    found.append(_calibrated(study, tables, main, places, pooled))
    found.append(_useful(study, tables, main, places))
    found.append(_groups(study, tables, main, places))
    return [q for q in found if q.comparator or any(answer.level != "none" for answer in q.answers.values())]


def _short(comparator: str) -> str:
    return {"age_eln": "age + risk group", "clinical": "the clinical model"}.get(comparator, model_label(comparator))


def _system(study: Study, comparator: str) -> str:
    """Which risk groups they are, where the study says so."""
    clinical = study.cohorts[study.training].clinical
    system = clinical.risk.system if clinical and clinical.risk else ""
    plain = system.replace(" (", ", ").replace(")", "")
    return f" ({plain})" if system and comparator in {"age_eln", "eln"} else ""


def performance(tables: Tables, study: Study, cohort: str, model: str) -> Any | None:
    """Row of a model's metrics in a cohort."""
    if cohort == study.training:
        return row_of(tables.get("leaderboard"), model=model)
    return row_of(rows_in(tables.get("validation"), study, cohort), model=model)


def _spread(row: Any, metric: str, digits: int = 2) -> str:
    return interval(row[metric], row.get(f"{metric}_low"), row.get(f"{metric}_high"), digits)


def _rescaled(study: Study, cohort: str) -> bool:
    return study.cohorts[cohort].adaptation[0] == "cohort_rescaling"


def _order(study: Study, tables: Tables, main: str, places: list[str], pooled: bool) -> Question:
    answers = {}
    for cohort in places:
        row = performance(tables, study, cohort, main)
        if row is None or number(row["c_harrell"]) is None:
            answers[cohort] = Answer("none", "Not evaluated", why_not(tables, study, cohort, main))
            continue
        low = number(row.get("c_harrell_low"))
        fine = low is not None and low > 0.5
        level = "bad" if not fine else "caution" if _rescaled(study, cohort) else "good"
        text = f"C {_spread(row, 'c_harrell')}"
        answers[cohort] = Answer(level, "Better than chance" if fine else "Not told from chance", text)
    if pooled:
        row = row_of(tables.get("meta_analysis"), model=main, metric="c_harrell")
        assert row is not None
        low, new = (number(row.get(end)) or 0.0 for end in ("low", "prediction_low"))
        if low > 0.5:
            level, word = "good" if new > 0.5 else "caution", "Better than chance"
        elif row["cohorts"] < FEW_COHORTS:
            level, word = "caution", "Too few cohorts to say"
        else:
            level, word = "bad", "Not told from chance"
        answers[POOLED] = Answer(level, word, f"C {_summary(row, 2)}")
    return Question("order", f"Does {_it(main)} tell who dies earlier?", answers)


def _it(main: str) -> str:
    return "the gene index" if main == "gene_index" else model_label(main)


def _summary(row: Any, digits: int) -> str:
    """Pooled estimate, the interval for a new cohort, and the heterogeneity."""
    value, low, high = (number(row[c]) for c in ("estimate", "low", "high"))
    text = signed({"difference": value, "low": low, "high": high}) if digits == 3 else interval(value, low, high)
    ends = [number(row.get(f"prediction_{end}")) for end in ("low", "high")]
    if None not in ends:
        text += f"; a new cohort {fixed(ends[0], digits)} to {fixed(ends[1], digits)}"
    if number(row.get("i2")) is not None:
        text += f"; I² {percent(row['i2'])}"
    return text


def _difference_level(low: float | None, high: float | None) -> tuple[str, str]:
    if low is None or high is None:
        return "plain", "Difference"
    if low > 0:
        return "good", "Yes"
    return ("bad", "No, worse") if high < 0 else ("caution", "Not shown")


def _against(
    study: Study, tables: Tables, key: str, text: str, model: str, comparator: str, places: list[str], pooled: bool
) -> Question:
    answers = {cohort: _compared(study, tables, cohort, model, comparator) for cohort in places}
    if pooled:
        answers[POOLED] = _pooled_difference(tables, model, comparator)
    return Question(key, text, answers, comparator)


def _compared(study: Study, tables: Tables, cohort: str, model: str, comparator: str) -> Answer:
    part = rows_in(tables.get("comparisons"), study, cohort)
    row = row_of(part, model=model, comparator=comparator, metric="c_harrell")
    if row is None or number(row["difference"]) is None:
        # Without any row of the model it is the model that the cohort cannot have.
        own = performance(tables, study, cohort, model)
        lacking = model if row is None and (own is None or number(own["c_harrell"]) is None) else comparator
        reason = why_not(tables, study, cohort, lacking, None if row is None else row.get("note"))
        return Answer("none", "Cannot be said", reason)
    level, word = _difference_level(number(row["low"]), number(row["high"]))
    return Answer(level, word, f"C {signed(row)}")


def _pooled_difference(tables: Tables, model: str, comparator: str) -> Answer:
    row = row_of(tables.get("meta_analysis"), model=model, metric=f"c_harrell - {comparator}")
    if not _several(row):
        return Answer("none", "Not pooled", "fewer than two cohorts have it")
    assert row is not None
    level, word = _difference_level(number(row["low"]), number(row["high"]))
    return Answer(level, word, f"C {_summary(row, 3)}")


def _random_sets(study: Study, tables: Tables, places: list[str]) -> Question:
    answers = {}
    for cohort in places:
        random = draws(tables, study, cohort, "random_gene_set")
        index = draws(tables, study, cohort, "index")
        if not len(random) or not len(index):
            answers[cohort] = Answer("none", "Cannot be said", "no random gene sets here")
            continue
        above = int((random >= index[0]).sum())
        summary = rows_in(tables.get("controls_summary"), study, cohort)
        row = row_of(summary, control="random_gene_set")
        p = number(row.get("p")) if row is not None else None
        p = (1 + above) / (1 + len(random)) if p is None else p
        text = f"{above} of {len(random)} random sets as good, {p_text(p)}"
        answers[cohort] = Answer(*(("good", "Yes") if p < ALPHA else ("bad", "Not shown")), text)
    return Question("beats_random", "Better than random gene sets?", answers)


def _adds(study: Study, tables: Tables, main: str, places: list[str], pooled: bool) -> Question:
    answers = {}
    for cohort in places:
        gained = _compared(study, tables, cohort, COMBINED, "clinical")
        row = row_of(rows_in(tables.get("added_value"), study, cohort), model=main, comparator="clinical")
        p = number(row["p"]) if row is not None else None
        if gained.level == "none" and p is None:
            note = row.get("note") if row is not None else None
            answers[cohort] = Answer("none", "Cannot be said", why_not(tables, study, cohort, "clinical", note))
            continue
        parts = [gained.text] if gained.level != "none" else []
        level, word = gained.level, gained.word
        if row is not None and p is not None:
            ratio = interval(row.get("hazard_ratio"), row.get("hazard_ratio_low"), row.get("hazard_ratio_high"))
            parts.append(f"likelihood ratio {p_text(p)}, HR {ratio} per SD")
            if level in {"caution", "none"} and p < ALPHA:
                level, word = "caution", LITTLE
            elif level == "none":
                level, word = "caution", "Not shown"
        answers[cohort] = Answer(level, word, "; ".join(parts))
    if pooled:
        answers[POOLED] = _pooled_difference(tables, COMBINED, "clinical")
    return Question("adds", "Does it add to the clinical model?", answers)


def _calibrated(study: Study, tables: Tables, main: str, places: list[str], pooled: bool) -> Question:
    answers = {}
    for cohort in places:
        row = performance(tables, study, cohort, main)
        if row is None or number(row.get("calibration_slope")) is None:
            answers[cohort] = Answer("none", "Cannot be said", "no calibration at this horizon")
            continue
        level, word = calibration_words(row)
        text = f"slope {_spread(row, 'calibration_slope')}, observed/expected {_spread(row, 'oe')}"
        p = number(row.get("d_calibration_p"))
        if p is not None:
            text += f", D-calibration {p_text(p)}"
            if p < ALPHA and level == "good":
                level, word = "caution", "Not everywhere"
        group = _worst_subgroup(tables, study, cohort, main)
        if group:
            text += f"; {group}"
            if level == "good":
                level, word = "caution", "On average, not in every group"
        answers[cohort] = Answer(level, word, text)
    if pooled:
        meta = tables.get("meta_analysis")
        slope, oe = (row_of(meta, model=main, metric=metric) for metric in ("calibration_slope", "oe"))
        if _several(slope) and _several(oe):
            assert slope is not None
            assert oe is not None
            text = f"slope {_summary(slope, 2)}. Observed/expected {_summary(oe, 2)}"
            answers[POOLED] = Answer("plain", "Pooled", text)
        else:
            answers[POOLED] = Answer("none", "Not pooled", "fewer than two cohorts have it")
    horizon = years_text(study.evaluation.main_horizon_years)
    return Question("calibrated", f"Are its predicted risks right at {horizon}?", answers)


def _worst_subgroup(tables: Tables, study: Study, cohort: str, main: str) -> str:
    """The subgroup whose observed/expected ratio is farthest from 1 among those whose interval leaves 1 out."""
    part = rows_in(tables.get("subgroups"), study, cohort)
    if part is None:
        return ""
    part = part[(part["model"] == main) & (part["subgroup"] != "all")].dropna(subset=["oe", "oe_low", "oe_high"])
    off = part[((part["oe_high"] < 1) | (part["oe_low"] > 1)) & (part["oe"] > 0)]
    if off.empty:
        return ""
    row = off.loc[np.log(off["oe"]).abs().idxmax()]
    named = f"{row['level']} risk" if row["subgroup"] == "risk" else f"{row['subgroup']} {row['level']}"
    named = str(row["level"]) if row["subgroup"] == "sex" else named
    return f"{_spread(row, 'oe')} in {named}"


def calibration_words(row: Any) -> tuple[str, str]:
    """Level and word of a row's calibration slope and observed/expected ratio, by their intervals."""
    faults = []
    low, high = number(row.get("calibration_slope_low")), number(row.get("calibration_slope_high"))
    if low is not None and high is not None:
        if high < 1:
            faults.append("too extreme")
        elif low > 1:
            faults.append("too moderate")
        elif low <= 0:
            # An interval from useless to perfect shows nothing.
            faults.append("too uncertain to say")
    low, high = number(row.get("oe_low")), number(row.get("oe_high"))
    if low is not None and high is not None:
        if high < 1:
            faults.append("too many deaths predicted")
        elif low > 1:
            faults.append("too few deaths predicted")
    if not faults:
        return "good", "No fault shown"
    text = ", ".join(faults)
    return ("bad" if len(faults) > 1 else "caution"), text[:1].upper() + text[1:]


def _useful(study: Study, tables: Tables, main: str, places: list[str]) -> Question:
    threshold = study.evaluation.decision_threshold
    answers = {}
    for cohort in places:
        row = performance(tables, study, cohort, main)
        curve = rows_in(tables.get("decision_curve"), study, cohort)
        everybody = treat_all(curve, threshold) if curve is not None else None
        value = number(row.get("net_benefit")) if row is not None else None
        if row is None or value is None or everybody is None:
            answers[cohort] = Answer("none", "Cannot be said", "no net benefit at this horizon")
            continue
        best = max(everybody, 0.0)
        low = number(row.get("net_benefit_low"))
        level, word = ("caution", "Not shown") if value > best else ("bad", "No")
        if low is not None and low > best:
            level, word = "good", "Yes"
        text = f"net benefit {_spread(row, 'net_benefit', 3)}; treat all {fixed(everybody, 3)}, none 0"
        part = rows_in(tables.get("comparisons"), study, cohort)
        other = row_of(part, model=main, comparator="clinical", metric="net_benefit")
        if other is not None and number(other["difference"]) is not None:
            text += f"; against the clinical model {signed(other)}"
        answers[cohort] = Answer(level, word, text)
    return Question("useful", f"Worth acting on, at a risk of death of {percent(threshold)}?", answers)


def _groups(study: Study, tables: Tables, main: str, places: list[str]) -> Question:
    answers = {}
    for cohort in places:
        row = performance(tables, study, cohort, main)
        value = number(row.get("rmst_difference_months")) if row is not None else None
        if row is None or value is None:
            answers[cohort] = Answer("none", "Cannot be said", "no risk groups with enough follow-up")
            continue
        low, high = number(row.get("rmst_difference_months_low")), number(row.get("rmst_difference_months_high"))
        level, word = _difference_level(low, high)
        word = {"good": "Yes", "bad": "No, reversed"}.get(level, "Not shown")
        groups = row_of(rows_in(tables.get("risk_groups"), study, cohort), model=main)
        within = number(groups.get("rmst_horizon_years")) if groups is not None else None
        text = f"{interval(value, low, high, 1)} months" + (f" within {years_text(round(within, 1))}" if within else "")
        answers[cohort] = Answer(level, word, text)
    return Question("groups", "Do its low-risk patients live longer?", answers)
