"""Answers of a run to items 20 to 27 of TRIPOD+AI: results and discussion."""

from __future__ import annotations

import pandas as pd

from amlprognosis.report.methods import limits
from amlprognosis.report.theme import fixed, interval, number, percent
from amlprognosis.report.tripod_base import Answer, Run, not_applicable, partly, reported
from amlprognosis.study import model_label

NO_EVALUATION = "No evaluation data."


def flow(run: Run) -> Answer:
    """Item 20a."""
    words = []
    for name in run.cohorts:
        table = run.tables.get("flow")
        steps = None if table is None else table[table["cohort"] == name]
        start = None if steps is None or steps.empty else number(steps.iloc[0]["remaining"])
        first = f"{int(start):,} in the source, " if start is not None else ""
        words.append((name, f"{first}{run.sizes(name)} analysed, {run.follow_up(name)}" if run.sizes(name) else ""))
    return reported(run.each(words), "#who", "flow", "exclusions")


def characteristics(run: Run) -> Answer:
    """Item 20b."""
    words = []
    for name in run.cohorts:
        row = run.row("cohorts", cohort=name)
        if row is None:
            continue
        age, female = number(row.get("age_median")), number(row.get("female_share"))
        parts = [f"median age {fixed(age, 0)}" if age is not None else "age unknown"]
        parts += [f"{percent(female)} women" if female is not None else "sex unknown"]
        parts += [f"risk group unknown in {run.count(name, 'risk_unknown')} of {run.count(name, 'patients')}"]
        words.append((name, ", ".join(parts)))
    text = f"Table of the cohorts: {run.each(words)}"
    if run.study.simulate:
        return reported(text, "#who", "cohorts")
    return partly(text, "dates, treatments, ethnicity and social position, missing values of each predictor", "#who",
                  "cohorts")  # fmt: skip


def distributions(run: Run) -> Answer:
    """Item 20c."""
    if not run.study.validation:
        return not_applicable(NO_EVALUATION)
    text = "Demography, risk groups, follow-up and outcome of all cohorts stand side by side"
    return partly(text, "the distribution of the genes of the model in each cohort, if it matters", "#who", "cohorts")


def analyses(run: Run) -> Answer:
    """Item 21."""
    cv = run.study.crossvalidation
    parts = [f"Development and tuning: {run.sizes(run.study.training)}"]
    patients = run.count(run.study.training, "patients")
    if patients is not None:
        part = round(patients * (cv.folds - 1) / cv.folds)
        parts.append(f"cross-validation: about {part} to train and {patients - part} held out, {cv.repeats} times")
    words = [(name, run.sizes(name)) for name in run.study.validation]
    if words:
        parts.append(f"evaluation: {run.each(words)}")
    return reported("; ".join(parts), "#who", "#good", "leaderboard", "validation")


def specification(run: Run) -> Answer:
    """Item 22."""
    index = run.tables.get("index")
    genes = "" if index is None else f" ({len(index)} genes)"
    text = (
        f"Every model is frozen in models/, in open formats with checksum; the gene index{genes} is also a table of "
        "coefficients, centres and scales. `amlprognosis predict` computes risk, risk group and survival of new "
        "patients. GPL-3.0-or-later, no other restriction; inputs keep the licences of their sources"
    )
    return reported(text, "#genes", f"{run.frozen(run.main)}/", "index")


def performance(run: Run) -> Answer:
    """Item 23a."""
    words = []
    row = run.row("leaderboard", model=run.main)
    if row is not None and number(row["c_harrell"]) is not None:
        words.append((run.study.training, f"C {run.figure(row, 'c_harrell')} (cross-validated)"))
    for name in run.study.validation:
        row = run.row("validation", cohort=name, model=run.main)
        if row is not None and number(row["c_harrell"]) is not None:
            ratio = number(row.get("oe"))
            calibration = f", O/E {run.figure(row, 'oe')}" if ratio is not None else ""
            words.append((name, f"C {run.figure(row, 'c_harrell')}{calibration}"))
    text = f"{model_label(run.main)}: {run.each(words)}" if words else f"{model_label(run.main)} could not be evaluated"
    text += _subgroup_words(run)
    return reported(text, "#good", "#trust", "leaderboard", "validation", "subgroups")


def _subgroup_words(run: Run) -> str:
    """Range of C over the subgroups of the training cohort."""
    table = run.tables.get("subgroups")
    if table is None:
        return ""
    own = table[(table["cohort"] == run.study.training) & (table["model"] == run.main) & (table["subgroup"] != "all")]
    own = own.dropna(subset=["c_harrell"])
    if own.empty:
        return ". Subgroups: too few deaths for a figure"
    low, high = own.loc[own["c_harrell"].idxmin()], own.loc[own["c_harrell"].idxmax()]
    return (
        f". Over {len(own)} subgroups C lies between {fixed(low['c_harrell'])} ({_group(low)}) and "
        f"{fixed(high['c_harrell'])} ({_group(high)})"
    )


def _group(row: pd.Series) -> str:
    return f"{row['subgroup']} {row['level']}" if row["subgroup"] != "sex" else str(row["level"])


def clusters(run: Run) -> Answer:
    """Item 23b."""
    if not run.study.validation:
        return not_applicable("One cohort without known centres: there are no clusters to compare.")
    if len(run.study.validation) == 1:
        return not_applicable("One validation cohort: no heterogeneity can be estimated.")
    row = run.row("meta_analysis", model=run.main, metric="c_harrell")
    if row is None or number(row.get("estimate")) is None:
        text = "Figures of each validation cohort stand side by side"
        return partly(text, "how far they differ beyond chance", "#good", "validation")
    text = f"C over {int(row['cohorts'])} validation cohorts {interval(row['estimate'], row['low'], row['high'])}"
    if number(row.get("prediction_low")) is not None:
        text += f", prediction interval {fixed(row['prediction_low'])} to {fixed(row['prediction_high'])}"
    i2 = number(row.get("i2"))
    text += "" if i2 is None else f", I2 {percent(i2 if i2 <= 1 else i2 / 100)}"
    return reported(f"{text}. See TRIPOD-Cluster (doi 10.1136/bmj-2022-071018)", "#against", "meta_analysis")


def updated(run: Run) -> Answer:
    """Item 24."""
    return not_applicable("No model was updated.")


def interpretation(run: Run) -> Answer:
    """Item 25."""
    text = "Sentences written by fixed rules: what the model adds, in validation, against chance"
    return partly(text, "interpretation beside aims, earlier studies and fairness", "#verdict", "#against")


def limitations(run: Run) -> Answer:
    """Item 26."""
    table = run.tables.get("risk_of_bias")
    high = [] if table is None else table[(table["judgement"] == "high") & (table["signal"] != "overall")]["signal"]
    text = f"{len(limits(run.study, run.tables))} limits are listed by rules"
    text += f"; high risk of bias raised by: {', '.join(high)}" if len(high) else ""
    return partly(text, "what they do to bias, uncertainty and generalisability", "#trust", "risk_of_bias", "notes")


def poor_input(run: Run) -> Answer:
    """Item 27a."""
    share = percent(run.study.features.max_missing_share)
    text = (
        f"Applied to new patients, a model is refused if more than {share} of its features have no value; fewer are "
        "filled with the training value and named; values outside the range of training are named"
    )
    return reported(text, f"{run.frozen(run.main)}/")


def interaction(run: Run) -> Answer:
    """Item 27b."""
    text = (
        "Users give tables of expression and clinical values, prepared as those of the training cohort; the command "
        "needs no further choices"
    )
    return partly(text, "who is to prepare them, and the expertise that takes", "#done")


def next_steps(run: Run) -> Answer:
    """Item 27c."""
    text = "For each risk of bias that the run sees, the table of risks names a remedy"
    return partly(text, "next steps of research", "#trust", "risk_of_bias")
