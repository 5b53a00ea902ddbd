"""Signals of bias in the analysis (the fourth domain of PROBAST)."""

from __future__ import annotations

import math

import pandas as pd

from amlprognosis.evaluation.sample_size import FEW_VALIDATION_EVENTS, validation_minimum_n
from amlprognosis.report.bias_signals import Signal, cohort_values, grade, labels, worst
from amlprognosis.report.chosen import main_model
from amlprognosis.report.reading import row_of
from amlprognosis.report.theme import Tables, fixed, interval, number, percent
from amlprognosis.study import BEST_OF_GRID, Study, model_label
from amlprognosis.study.names import comparators_among, is_comparator

# Deaths per candidate parameter asked for by PROBAST, and the number above which nobody worries.
FEW_EVENTS, ENOUGH_EVENTS = 10, 20
SOME_MISSING, MANY_MISSING = 0.05, 0.2
Z95 = 1.959963984540054


def _events_per_parameter(study: Study, tables: Tables) -> Signal:
    signal = "deaths per candidate parameter"
    row = row_of(tables.get("sample_size"), model=main_model(study))
    ratio = None if row is None else number(row.get("events_per_parameter"))
    if row is None or ratio is None:
        return Signal("analysis", signal, "unclear", "not computed", "run the whole study")
    judgement = grade(-ratio, -ENOUGH_EVENTS, -FEW_EVENTS)
    text = f"{ratio:.2g} for {model_label(main_model(study))} ({int(row['candidate_parameters']):,} candidates)"
    remedy = "" if judgement == "low" else "fewer candidate genes (gene_sets.sets), or a larger training cohort"
    return Signal("analysis", signal, judgement, text, remedy)


def _riley(study: Study, tables: Tables) -> Signal | None:
    row = row_of(tables.get("sample_size"), model=main_model(study))
    needed = None if row is None else number(row.get("riley_minimum_n"))
    patients = cohort_values(tables, "patients").get(study.training)
    if row is None or needed is None or patients is None:
        return None
    text = f"{int(patients):,} patients, {int(needed):,} needed"
    shrinkage = number(row.get("expected_shrinkage"))
    text += f"; expected shrinkage {fixed(shrinkage)}" if shrinkage is not None else ""
    enough = patients >= needed
    remedy = "" if enough else "fewer candidates, a larger cohort; expect predictions that are too extreme"
    return Signal("analysis", "Riley's minimum sample size", "low" if enough else "high", text, remedy)


def _external(study: Study, tables: Tables) -> Signal:
    signal = "external validation"
    remedy = "add a cohort that had no part in the training, with role: validation"
    if not study.validation:
        return Signal("analysis", signal, "high", "none: cross-validation cannot show transport", remedy)
    table = tables.get("validation")
    judged = [] if table is None else [c for c in study.validation if main_model(study) in _models_in(table, c)]
    if not judged:
        text = f"{model_label(main_model(study))} could not be applied to any validation cohort"
        return Signal("analysis", signal, "high", text, remedy)
    return Signal("analysis", signal, "low", f"frozen models on {labels(study, judged)}")


def _models_in(table: pd.DataFrame, cohort: str) -> set[str]:
    return set(table.loc[(table["cohort"] == cohort) & table["c_harrell"].notna(), "model"])


def _validation_size(study: Study, tables: Tables) -> Signal | None:
    events = cohort_values(tables, "events")
    known = {name: events[name] for name in study.validation if name in events}
    if not known:
        return None
    table = tables.get("validation")
    parts = []
    for name, count in known.items():
        needed = precise_validation(row_of(table, cohort=name, model=main_model(study)))
        more = f", about {needed:,} patients for O/E within 0.1" if needed is not None else ""
        parts.append(f"{study.cohort_label(name)}: {int(count)} deaths{more}")
    few = min(known.values()) < FEW_VALIDATION_EVENTS
    remedy = f"a validation cohort with {FEW_VALIDATION_EVENTS} deaths or more; read the intervals" if few else ""
    return Signal("analysis", "size of the validation", "high" if few else "low", "; ".join(parts), remedy)


def precise_validation(row: pd.Series | None) -> int | None:
    """Patients for a 95% interval of O/E of width 0.2, from a row of the validation table; None without O/E."""
    if row is None:
        return None
    patients, low, high = (number(row.get(name)) for name in ("patients", "oe_low", "oe_high"))
    if patients is None or low is None or high is None or not 0 < low < high:
        return None
    return validation_minimum_n(int(patients), math.log(high / low) / (2 * Z95))


def _cut_point(study: Study, tables: Tables) -> Signal:
    text = "risk groups are split at the median risk of the training patients, in folds at that of the training part"
    return Signal("analysis", "cut-point of the risk groups", "low", f"{text}; no optimum was looked for")


def _calibration(study: Study, tables: Tables) -> Signal:
    model, signal = main_model(study), "calibration"
    rows = {study.training: row_of(tables.get("leaderboard"), model=model)}
    rows |= {name: row_of(tables.get("validation"), cohort=name, model=model) for name in study.validation}
    parts, judged = [], []
    for name, row in rows.items():
        slope = None if row is None else number(row.get("calibration_slope"))
        if row is None or slope is None:
            continue
        off = any(_excludes(row, metric, 1.0) for metric in ("calibration_slope", "oe"))
        vague = not _excludes(row, "calibration_slope", 0.0)
        judged.append("high" if off and name != study.training else "unclear" if off or vague else "low")
        slope_text = interval(slope, row.get("calibration_slope_low"), row.get("calibration_slope_high"))
        ratio_text = interval(row.get("oe"), row.get("oe_low"), row.get("oe_high"))
        parts.append(f"{study.cohort_label(name)}: slope {slope_text}, O/E {ratio_text}")
    if not parts:
        remedy = "report a model that predicts survival at the main horizon"
        return Signal("analysis", signal, "high", f"absent for {model_label(model)}", remedy)
    judgement = worst(judged)
    remedies = {
        "high": "recalibrate on local patients before any use of the absolute risks",
        "unclear": "the intervals are too wide, or 1 lies outside: more patients, or recalibration",
    }
    remedy = remedies.get(judgement, "")
    return Signal("analysis", signal, judgement, "; ".join(parts), remedy)


def _excludes(row: pd.Series, metric: str, value: float) -> bool:
    low, high = number(row.get(f"{metric}_low")), number(row.get(f"{metric}_high"))
    return low is not None and high is not None and not low <= value <= high


def _selection(study: Study, tables: Tables) -> Signal:
    signal = "selection and tuning inside the folds"
    text = "screen, selection, scaling, imputation, tuning and cut-points are repeated in every training part"
    row = row_of(tables.get("controls_summary"), control="permuted_outcome")
    mean = None if row is None else number(row["mean"])
    if row is None or mean is None:
        return Signal("analysis", signal, "low", f"{text}; no permuted outcomes were run to show it")
    spread, draws = number(row.get("sd")) or 0.0, number(row.get("draws")) or 1.0
    fine = abs(mean - 0.5) <= max(0.03, 2 * spread / draws**0.5)
    text += f"; with permuted outcomes the whole procedure has a mean C of {fixed(mean)}"
    remedy = "" if fine else "look for a leak: outcomes without any signal must give 0.5"
    return Signal("analysis", signal, "low" if fine else "high", text, remedy)


def _comparators(study: Study, tables: Tables) -> Signal:
    signal = "comparison with simple predictors"
    board = tables.get("leaderboard")
    judged = set() if board is None else set(board.loc[board["c_harrell"].notna(), "model"])
    simple = [model_label(name) for name in comparators_among(judged)]
    remedy = "map age, sex and risk group under clinical, and add the comparators to models.run"
    if not simple:
        return Signal("analysis", signal, "high", "none: what the model adds is not known", remedy)
    table = tables.get("validation")
    without = [
        name
        for name in study.validation
        if table is None or not any(is_comparator(model) for model in _models_in(table, name))
    ]
    text = f"in cross-validation: {', '.join(simple)}"
    if without:
        text += f"; none could be applied to {labels(study, without)}"
    return Signal("analysis", signal, "unclear" if without else "low", text, remedy if without else "")


def _best_of_many(study: Study, tables: Tables) -> Signal:
    count, signal = len(study.models.grid_run), "picking the best of many models"
    if count < 2:
        text = f"{model_label(main_model(study))} was named before; the highest of all models is marked as such"
        return Signal("analysis", signal, "low", text)
    optimism = row_of(tables.get("grid_summary"), item="optimism")
    row = row_of(tables.get("leaderboard"), model=BEST_OF_GRID)
    if not study.nests_grid or row is None:
        remedy = "models.grid.inner_folds: 5"
        return Signal("analysis", signal, "high", f"the best of {count} is judged by its own figure", remedy)
    text = f"the choice among {count} is made in inner folds"
    text += (
        f"; picking by the outer figure would add {fixed(optimism['value'], 3)} to C" if optimism is not None else ""
    )
    return Signal("analysis", signal, "low", text)


def _missing_values(study: Study, tables: Tables) -> Signal:
    signal = "missing values"
    unknown, sizes = cohort_values(tables, "risk_unknown"), cohort_values(tables, "patients")
    share = (
        unknown.get(study.training, 0.0) / sizes.get(study.training, 1.0) if "risk" in study.features.clinical else 0
    )
    text = "filled once, with the median or frequency of the training part, inside every fold"
    text += f"; risk group unknown in {percent(share)} of the training patients" if share else ""
    judgement = grade(share, SOME_MISSING, MANY_MISSING)
    remedy = "" if judgement == "low" else "single imputation understates uncertainty: compare with complete patients"
    return Signal("analysis", signal, judgement, text, remedy)


def _censoring(study: Study, tables: Tables) -> Signal:
    text = "no censored patient is dropped: AUC, Brier score and classifiers at a horizon weigh by the inverse "
    return Signal("analysis", "censoring", "low", f"{text}probability of censoring")


def _transplant(study: Study, tables: Tables) -> Signal:
    if study.simulate:
        return Signal("analysis", "transplantation", "low", "none in the simulated world")
    text = "not modelled; survival after a transplant counts from diagnosis, whoever lived to have one"
    remedy = "censor at transplant in a sensitivity analysis, or make it time-dependent"
    return Signal("analysis", "transplantation", "unclear", text, remedy)


def _heterogeneity(study: Study, tables: Tables) -> Signal | None:
    table = tables.get("meta_analysis")
    row = row_of(table, model=main_model(study), metric="c_harrell")
    i2 = None if row is None else number(row.get("i2"))
    if len(study.validation) < 2 or row is None or i2 is None:
        return None
    share = i2 if i2 <= 1 else i2 / 100
    text = f"C over {int(row['cohorts'])} validation cohorts {interval(row['estimate'], row['low'], row['high'])}, "
    judgement = "low" if share < 0.5 else "unclear"
    remedy = "" if judgement == "low" else "ask what differs between the cohorts before pooling them"
    return Signal("analysis", "differences between cohorts", judgement, f"{text}I2 {percent(share)}", remedy)


LOOKS = (
    _events_per_parameter, _riley, _external, _validation_size, _cut_point, _calibration, _selection, _comparators,
    _best_of_many, _missing_values, _censoring, _transplant, _heterogeneity,
)  # fmt: skip
