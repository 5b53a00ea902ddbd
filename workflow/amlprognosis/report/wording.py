"""What the numbers say, in sentences: written by rules from tables and settings, never by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from amlprognosis.report.cell_figures import contrast_note
from amlprognosis.report.ranking_figures import main_model, signed, training_rows
from amlprognosis.report.theme import Tables, interval, number, p_text, years_text
from amlprognosis.study import COMPARATORS, Study, model_label
from amlprognosis.study.names import horizon_model

MODEL_NOUNS = {
    "gene_index": "the gene index",
    "age": "age",
    "age_sex": "age + sex",
    "eln": "the risk group alone",
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
    found += _cells(study, tables)
    found += _size(tables, model)
    return found


def _row(table: pd.DataFrame | None, **where: str) -> Any | None:
    if table is None or any(column not in table for column in where):
        return None
    for column, value in where.items():
        table = table[table[column] == value]
    return None if table.empty else table.iloc[0]


def _c(row: Any) -> str:
    return interval(row["c_harrell"], row.get("c_harrell_low"), row.get("c_harrell_high"))


def _people(row: Any) -> str:
    patients, events = number(row.get("patients")), number(row.get("events"))
    if patients is None or events is None:
        return ""
    return f" ({int(patients):,} patients, {int(events):,} deaths)"


def _cross_validated(study: Study, tables: Tables, model: str) -> list[Statement]:
    board = tables.get("leaderboard")
    row = _row(board, model=model)
    where = study.cohort_label(study.training)
    if row is None or number(row["c_harrell"]) is None:
        return [Statement("bad", f"{_capital(noun(model))} could not be evaluated in {where}.")]
    low = number(row.get("c_harrell_low"))
    level, tail = "plain", ""
    if low is not None and low <= 0.5:
        level, tail = "bad", ", which cannot be told from chance"
    text = f"In cross-validation on {where}{_people(row)}, {noun(model)} reaches a C-index of {_c(row)}{tail}."
    statements = [Statement(level, text)]
    assert board is not None
    known = board.dropna(subset=["c_harrell"]).sort_values(
        ["c_harrell", "model"], ascending=[False, True], kind="stable"
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
        Statement(level, f"In cross-validation it {words[level]} {_list(items)}.")
        for level, items in groups.items()
        if items
    ]


def _list(items: list[str]) -> str:
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + " and " + items[-1]


def _validated(study: Study, tables: Tables, model: str) -> list[Statement]:
    if not study.validation:
        return [Statement("bad", "There is no validation cohort: nothing here was tested outside the training data.")]
    table = tables.get("validation")
    found = []
    for cohort in study.validation:
        row = _row(table, model=model, cohort=cohort)
        label = study.cohort_label(cohort)
        if row is None or number(row["c_harrell"]) is None:
            found.append(Statement("bad", f"In {label} {noun(model)} could not be evaluated{_why(row)}."))
            continue
        low = number(row.get("c_harrell_low"))
        flagged = str(row.get("adaptation", "none")) == "cohort_rescaling"
        tail = " after re-scaling the whole cohort, which a single patient cannot have" if flagged else ""
        if low is not None and low > 0.5:
            age = _row(table, model="age", cohort=cohort)
            beside = f" (age: {_c(age)})" if age is not None and number(age["c_harrell"]) is not None else ""
            text = f"Frozen and applied to {label}{_people(row)}, it reaches {_c(row)}{tail}{beside}."
            found.append(Statement("caution" if flagged else "good", text))
        else:
            text = f"Frozen and applied to {label}{_people(row)}, it reaches {_c(row)}{tail}: "
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
        row = _row(summary, control="random_gene_set")
        if len(random) and len(index):
            above = int((random >= index.iloc[0]).sum())
            p = number(row.get("p")) if row is not None else None
            p = (1 + above) / (1 + len(random)) if p is None else p
            better = p < 0.05
            text = f"Of {len(random)} random gene sets of the same size, {above or 'none'} did as well ({p_text(p)}): "
            text += "the index "
            text += "is better than random genes." if better else "is not shown to be better than random genes."
            found.append(Statement("good" if better else "bad", text))
    row = _row(summary, control="permuted_outcome")
    if row is not None and number(row.get("mean")) is not None:
        mean = float(row["mean"])
        draws, spread = number(row.get("draws")) or 1.0, number(row.get("sd")) or 0.0
        fine = abs(mean - 0.5) <= max(0.03, 2 * spread / draws**0.5)
        text = f"With permuted outcomes the whole procedure gives a mean C of {mean:.2f}, "
        text += "as it must without leakage." if fine else "away from 0.5: the evaluation itself is suspect."
        found.append(Statement("good" if fine else "bad", text))
    leaky, honest = _row(controls, control="leaky_recipe"), _row(controls, control="honest_recipe")
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
    row = _row(tables.get("sample_size"), model=model)
    if row is None:
        return []
    ratio, needed = number(row.get("events_per_parameter")), number(row.get("riley_minimum_n"))
    if ratio is None or ratio >= 10:
        return []
    text = f"The training cohort is small for this model: {ratio:.2g} deaths per candidate parameter"
    text += f"; Riley's criteria ask for {int(needed):,} patients." if needed is not None else "."
    return [Statement("bad" if ratio < 1 else "caution", text)]


def _horizons(ran: Sequence[str], kind: str) -> str:
    """Horizons at which a kind of classifier ran, as words after its name."""
    found = sorted(model[1] for name in ran if (model := horizon_model(name)) and model[0] == kind)
    if not found:
        return ""
    return f" ({_list([years_text(years) for years in found])}, weighted by the inverse probability of censoring)"


def methods(study: Study, tables: Tables, software: dict[str, str]) -> list[str]:
    """Methods paragraphs, filled from the study, ready to paste."""
    settings, cv, ev = study.models, study.crossvalidation, study.evaluation
    row = _row(tables.get("cohorts"), cohort=study.training)
    size = _people(row) if row is not None else ""
    ran = [m for m in study.models.run]
    shared = "the genes measured in every bulk cohort (names only)"
    first = (
        f"Overall survival was analysed from diagnosis to death from any cause, in days; patients alive were "
        f"censored at last "
        f"follow-up. Models were trained on {study.cohort_label(study.training)}{size}. {_expression(study)} "
        f"Gene names were brought to approved symbols; candidate features were "
        f"{shared if study.features.genes == 'shared' else 'all genes of the training cohort'}."
    )
    parts = []
    if "gene_index" in ran:
        g = settings.gene_index
        rule = "the minimum" if g.lambda_rule == "min" else "the one-standard-error rule"
        parts.append(
            f"The gene index started from the gene sets of {study.gene_sets.file}; genes with a univariable Cox "
            f"p < {g.screen_p:g} "
            f"(at least {g.min_genes}, at most {g.max_genes}) entered a lasso Cox model whose penalty was "
            f"chosen by {rule} of "
            f"{g.n_folds}-fold cross-validation; the index is the sum of coefficient × (expression − "
            f"centre) / scale."
        )
    for name, text in (
        ("random_survival_forest", "A random survival forest"),
        ("random_forest", "A random forest for death by a horizon"),
    ):
        if name in ran or _horizons(ran, name):
            f = getattr(settings, name)
            parts.append(
                f"{text}{_horizons(ran, name)} had {f.n_estimators} trees, at least {f.min_samples_leaf} patients per "
                f"leaf, and saw {', '.join(f.blocks)} features "
                f"({f.max_features_screened} expression features kept by a univariable screen)."
            )
    for name, text in (
        ("xgboost_cox", "XGBoost with the Cox loss"),
        ("xgboost_aft", "XGBoost with an accelerated failure time loss"),
        ("xgboost", "An XGBoost classifier of death by a horizon"),
    ):
        if name in ran or _horizons(ran, name):
            b = getattr(settings, name)
            parts.append(
                f"{text}{_horizons(ran, name)} used depth {b.max_depth}, learning rate {b.learning_rate:g} "
                f"and at most {b.n_estimators} "
                f"rounds with "
                f"early stopping."
            )
    compared = [noun(m) for m in COMPARATORS if m in ran]
    if compared:
        parts.append(f"Comparators were {_list(compared)}.")
    horizons = _list([years_text(h) for h in sorted(ev.horizons_years)])
    judged = (
        f"Performance was estimated by {cv.repeats} × {cv.folds}-fold cross-validation stratified by event, "
        f"with screening, filters, scaling, imputation, selection, tuning and cut-points repeated inside each "
        f"training part. Normalisation of the matrix (its reference profile, quantiles and filters of unmeasured or "
        f"unexpressed genes) looked at the whole training cohort, never at outcomes. Reported "
        f"are Harrell's and Uno's C, cumulative/dynamic AUC and Brier score at {horizons} (inverse probability "
        f"of censoring "
        f"weighting), the integrated Brier score, and calibration at {years_text(ev.main_horizon_years)}, with "
        f"95% percentile "
        f"intervals from {ev.bootstrap:,} bootstrap samples of patients, paired for differences between models. "
        f"Risk groups were "
        f"split at the median risk of the training patients. Negative controls passed {ev.permutations} "
        f"permuted outcomes and "
        f"{ev.random_sets} random gene sets of the same size through the whole index procedure."
    )
    locked = []
    for cohort in study.validation:
        adapted = study.cohorts[cohort].adaptation == "cohort_rescaling"
        how = (
            "each gene re-scaled to the training mean and deviation over the whole cohort"
            if adapted
            else "no adaptation"
        )
        locked.append(f"{study.cohort_label(cohort)} ({how})")
    if locked:
        judged += (
            f" The final models, refitted on all training patients and frozen, were applied once to {_list(locked)}."
        )
    for atlas, chosen in study.atlases.items():
        q = chosen.quality
        judged += (
            f" Single cells of {study.cohort_label(atlas)} ({chosen.accession}) with at least {q.min_genes} "
            f"genes, {q.min_counts} "
            f"molecules and at most {100 * q.max_mitochondrial:g}% mitochondrial counts were "
            f"log-normalised, reduced to "
            f"{chosen.embedding.n_components} principal components of {chosen.embedding.n_variable_genes:,} "
            f"variable genes, clustered (Leiden, resolution "
            f"{chosen.embedding.resolution:g}), and scored with the gene index."
        )
    versions = ", ".join(f"{name} {version}" for name, version in software.items())
    judged += f" Seed {study.seed}." + (f" Software: {versions}." if versions else "")
    return [first, " ".join(parts), judged]


def _expression(study: Study) -> str:
    """How each matrix became log2 expression, by what the study says of its source."""
    texts = []
    for name, cohort in study.cohorts.items():
        rules, source = cohort.normalization, cohort.source
        if source.type == "gdc" or source.scale == "counts":
            how = "counts, TMM, log2 counts per million"
            if study.counts_reference(name):
                how += " (reference profile of the training cohort)"
            if cohort.role == "training":
                how += (
                    f", genes with {rules.min_count:g} counts or more in {100 * rules.min_samples_share:g}% of samples"
                )
        else:
            how = {"log2_ratio": "log2 ratios", "log2": "log2 values"}.get(
                source.scale, "intensities, log2 where the quantiles show a linear scale"
            )
            probes = source.type == "geo" or source.gene_ids == "probe"
            if probes and rules.quantile and source.scale != "log2_ratio":
                how += ", quantile-normalised"
            if probes:
                rule = {"max_mean": "the probe of highest mean", "median": "median of the probes"}[rules.probe_rule]
                how += f", {rule} per gene"
        texts.append(f"{study.cohort_label(name)}: {how}")
    return "Expression: " + "; ".join(texts) + "."


def limits(study: Study, tables: Tables) -> list[str]:
    """Limits of this run that a reader should weigh, by rules."""
    found = []
    if study.simulate:
        found.append("All data are simulated, with planted effects; performance says nothing about real patients.")
    if not study.validation:
        found.append("No external validation: cross-validation cannot show that a model travels to other centres.")
    cohorts = tables.get("cohorts")
    if cohorts is not None and "events" in cohorts:
        for row in cohorts.to_dict("records"):
            events = number(row["events"])
            if events is not None and events < 100:
                label = study.cohort_label(str(row["cohort"]))
                found.append(f"{label} has only {int(events)} deaths; fewer than 100 give wide, unstable estimates.")
            follow = number(row.get("median_followup_days"))
            last = max(study.evaluation.horizons_years)
            if follow is not None and follow < last * 365.25:
                label = study.cohort_label(str(row["cohort"]))
                found.append(
                    f"Median follow-up in {label} is {follow / 365.25:.1f} years, below the longest horizon of "
                    f"{years_text(last)}."
                )
    for cohort in study.validation:
        if study.cohorts[cohort].adaptation == "cohort_rescaling":
            found.append(
                f"{study.cohort_label(cohort)} was re-scaled as a whole: its results do not carry over to "
                f"scoring one patient."
            )
    everyone = [
        study.cohort_label(name)
        for name, cohort in study.cohorts.items()
        if not study.simulate and not (cohort.clinical and cohort.clinical.exclude)
    ]
    if everyone:
        found.append(
            f"No diagnosis was excluded in {_list(everyone)}: acute promyelocytic and secondary leukaemias are in "
            "as the source lists them (clinical.exclude leaves them out)."
        )
    found.append(
        "Treatment, and transplantation above all, is not modelled; survival is overall survival, whatever the "
        "cause of death."
    )
    found.append("The risk group is the label that each cohort provides; systems and years differ between cohorts.")
    if "gene_index" in study.models.run:
        found.append(
            "Coefficients describe association in the training cohort, not cause; a correlated gene may stand in."
        )
    if study.atlases:
        found.append(
            "Single-cell atlases hold few patients; differences between cells are not differences between people."
        )
    return found
