"""Answers of a run to items 1 to 19 of TRIPOD+AI: title to open science."""

from __future__ import annotations

import amlprognosis
from amlprognosis.evaluation.sample_size import ASSUMED_NAGELKERKE, FEW_VALIDATION_EVENTS
from amlprognosis.report.bias_of_analysis import precise_validation
from amlprognosis.report.bias_of_data import left_out
from amlprognosis.report.theme import fixed, number, percent, years_text
from amlprognosis.report.tripod_base import (
    Answer,
    Run,
    left_open,
    not_applicable,
    partly,
    reported,
)
from amlprognosis.study import TablesSource, model_label
from amlprognosis.study.names import comparators_among, horizon_model

GENERAL = "Death from any cause, overall survival in days from diagnosis"


def title(run: Run) -> Answer:
    """Item 1."""
    both = "development and evaluation" if run.study.validation else "development"
    remains = (
        f"name in the title: {both} of a prediction model, patients with acute myeloid leukaemia, overall survival"
    )
    return partly(f"Title of the study: {run.study.title}", remains)


def abstract(run: Run) -> Answer:
    """Item 2."""
    text = "The report opens with sizes, performance with intervals, validation and controls in sentences"
    return partly(text, "write the structured abstract from them", "#verdict")


def background(run: Run) -> Answer:
    """Item 3a."""
    existing = comparators_among(run.study.models.run)
    text = "Prognostic model in acute myeloid leukaemia"
    text += f"; compared, where they can be applied, with {run.labels(existing)}" if existing else ""
    return partly(text, "the clinical context and why another model is needed", "#against")


def purpose(run: Run) -> Answer:
    """Item 3b."""
    text = "Cards of the models state intended use and limits: a research tool, not for treatment decisions"
    return partly(text, "target population, place in the care of patients, intended users", f"{run.frozen(run.main)}/")


def inequalities(run: Run) -> Answer:
    """Item 3c."""
    return left_open("inequalities that are known between groups of patients with this disease")


def objectives(run: Run) -> Answer:
    """Item 4."""
    what = f"Development of {len(run.study.models.run)} models"
    if run.study.validation:
        count = len(run.study.validation)
        what += f" and their evaluation in {count} further {'cohort' if count == 1 else 'cohorts'}"
    if run.study.description:
        return reported(f"{run.study.description} {what}.", "#done")
    return partly(what, "the aims of the study (key description)", "#done")


def data(run: Run) -> Answer:
    """Item 5a."""
    words = []
    for name in run.cohorts:
        source, role = run.study.cohorts[name].source, run.study.cohorts[name].role
        place = getattr(source, "accession", None) or getattr(source, "project", None) or "own tables"
        note = f" ({source.source_note})" if source.source_note else ""
        words.append((name, f"{'development' if role == 'training' else 'evaluation'}, {place}{note}"))
    text = run.each(words)
    if run.study.simulate:
        return reported(f"{text}; all simulated", "#who", "cohorts", "provenance")
    return partly(text, "why these data, and whom they represent", "#who", "cohorts", "provenance")


def dates(run: Run) -> Answer:
    """Item 5b."""
    if run.study.simulate:
        return not_applicable("Simulated patients have no dates.")
    return left_open("dates of inclusion and end of follow-up of each cohort: the files do not hold them")


def setting(run: Run) -> Answer:
    """Item 6a."""
    if run.study.simulate:
        return not_applicable("Simulated patients were in no hospital.")
    return left_open("kind of care, number and place of the centres of each cohort")


def eligibility(run: Run) -> Answer:
    """Item 6b."""
    words = []
    for name in run.cohorts:
        mapping = run.study.cohorts[name].clinical
        rules = [rule.reason for rule in mapping.exclude] if mapping else []
        lost = left_out(run.study, run.tables).get(name)
        parts = [f"excluded by the study: {', '.join(rules)}" if rules else "no diagnosis excluded"]
        parts += [f"{lost[0]} left out for lack of data or outcome"] if lost else []
        words.append((name, "; ".join(parts)))
    text = f"Patients with expression and a usable outcome, one sample each. {run.each(words)}"
    if run.study.simulate:
        return reported(text, "#who", "exclusions")
    return partly(text, "the criteria by which each source enrolled its patients", "#who", "exclusions")


def treatments(run: Run) -> Answer:
    """Item 6c."""
    text = "Treatment, transplantation above all, is not modelled; follow-up runs from diagnosis whatever the treatment"
    if run.study.simulate:
        return reported("One treatment for all simulated patients; no transplantation.")
    return partly(text, "which treatments the patients of each cohort received", "#trust")


def preparation(run: Run) -> Answer:
    """Item 7."""
    text = (
        "Every step that made the matrices, with what it dropped and why, is a table; each step is the same for all "
        "patients of a cohort, whatever their age, sex or origin. Each input file is listed with size and checksum"
    )
    return reported(text, "#who", "#done", "preprocessing", "provenance")


def outcome(run: Run) -> Answer:
    """Item 8a."""
    judged = run.study.evaluation
    horizons = ", ".join(f"{years:g}" for years in sorted(judged.horizons_years))
    text = (
        f"{GENERAL}; alive patients are censored at last follow-up. Horizons {horizons} years, main one "
        f"{years_text(judged.main_horizon_years)}. Death from any cause needs no judgement of its cause"
    )
    if run.study.simulate:
        return reported(text, "#done")
    return partly(text, "how and when each source learned of deaths, and whether alike in all groups", "#done")


def assessors(run: Run) -> Answer:
    """Item 8b."""
    return not_applicable("Death from any cause needs no interpretation.")


def blinding(run: Run) -> Answer:
    """Item 8c."""
    return not_applicable("Death from any cause is not open to the assessor's view; no blinding is needed.")


def candidates(run: Run) -> Answer:
    """Item 9a."""
    study = run.study
    chosen = study.gene_sets.sets
    sets = f"{len(chosen)} sets of {study.gene_sets.file}" if chosen else f"all sets of {study.gene_sets.file}"
    row = run.row("sample_size", model="gene_index")
    count = "" if row is None else f" ({int(row['candidate_parameters']):,} genes measured)"
    genes = "genes measured in every cohort, by name alone" if study.features.genes == "shared" else "all genes"
    row = run.row("preprocessing", cohort=study.training, step="mutated genes")
    mutations = (
        f"; mutations of {len(study.features.mutations)} recurrent genes, a fixed list" if row is not None else ""
    )
    text = (
        f"Gene index: {sets}{count}. Other models: {genes}; clinical: {', '.join(study.features.clinical)}{mutations}. "
        "Nothing was chosen by the outcome before model building: screening is part of each model, inside the folds"
    )
    return reported(text, "#genes", "#done", "sample_size")


def predictors(run: Run) -> Answer:
    """Item 9b."""
    words = [
        (name, str(row["platform"])) for name in run.cohorts if (row := run.row("cohorts", cohort=name)) is not None
    ]
    text = f"Expression: log2 values per approved gene symbol ({run.each(words)})"
    text += (
        f"; clinical: {', '.join(run.study.features.clinical)}; mutations: non-silent, 0 or 1, missing where untested"
    )
    if run.study.simulate:
        return reported(f"{text}; all simulated at diagnosis", "#done", "cohorts")
    return partly(text, "that samples were taken at diagnosis, and how risk groups and counts were measured", "#done",
                  "cohorts")  # fmt: skip


def judges_of_predictors(run: Run) -> Answer:
    """Item 9c."""
    if "risk" in run.study.features.clinical and not run.study.simulate:
        text = (
            "Expression, mutations, age and sex need no interpretation; the risk group does, its label is the source's"
        )
        return partly(text, "who assigned the risk groups, and read what was counted under a microscope", "cohorts")
    return not_applicable("Expression, mutations, age and sex need no interpretation.")


def sample_size(run: Run) -> Answer:
    """Item 10."""
    study = run.study
    text = "All patients available with data and outcome; no size was planned. "
    row = run.row("sample_size", model=run.main)
    if row is not None:
        ratio, needed = f"{row['events_per_parameter']:.2g}", f"{int(row['riley_minimum_n']):,}"
        text += (
            f"Development ({run.sizes(study.training)}): {ratio} deaths per candidate parameter of "
            f"{model_label(run.main)}; Riley's criteria, with an R2 of {ASSUMED_NAGELKERKE:.0%} of the largest "
            f"possible, ask for {needed} patients: {row['verdict']}"
        )
    words = []
    for name in study.validation:
        enough = precise_validation(run.row("validation", cohort=name, model=run.main))
        precise = f"; about {enough:,} patients would give O/E within 0.1" if enough is not None else ""
        words.append((name, f"{run.sizes(name)}{precise}"))
    if words:
        text += f". Evaluation, at least {FEW_VALIDATION_EVENTS} deaths being asked for: {run.each(words)}"
    return reported(text, "#trust", "sample_size")


def missing(run: Run) -> Answer:
    """Item 11."""
    share = percent(run.study.features.max_missing_share)
    unknown, patients = (run.count(run.study.training, column) for column in ("risk_unknown", "patients"))
    text = (
        "Within each training part features with more than 20% missing values are dropped, others filled with its "
        "median, or frequency for yes/no features. Validation cohorts and new patients get the same fills; a model is "
        f"refused where more than {share} of its features have no value. Patients without outcome or expression are "
        "left out, each with a reason"
    )
    if unknown and patients and "risk" in run.study.features.clinical:
        text += f". Risk group unknown in {unknown} of {patients} training patients"
    return reported(text, "#who", "#trust", "exclusions", "validation")


def partition(run: Run) -> Answer:
    """Item 12a."""
    cv = run.study.crossvalidation
    text = (
        f"{run.study.cohort_label(run.study.training)}: {cv.repeats} x {cv.folds}-fold cross-validation by patient, "
        "stratified by event; final models fitted to all of its patients. No single split, so that all patients serve "
        "both purposes"
    )
    if run.study.validation:
        names = ", ".join(map(run.study.cohort_label, run.study.validation))
        text += f". {names}: locked, used once, for the evaluation of the frozen models alone"
    return reported(text, "#done")


def handling(run: Run) -> Answer:
    """Item 12b."""
    text = (
        "Log2 expression and numeric variables enter linearly; linear models standardize them by mean and deviation of "
        "the training part, trees do not depend on the scale. Risk groups are indicators against favourable, sex and "
        "mutations 0 or 1; no interactions but those of trees"
    )
    return reported(text, "#done", "index")


def models(run: Run) -> Answer:
    """Item 12c."""
    study = run.study
    names = [name for name in study.models.run if name not in study.models.grid_run]
    text = f"Models: {run.labels(names)}"
    grid = study.models.grid_run
    if grid:
        text += f"; a grid of {len(grid)} learners and combinations"
        text += f", its best chosen in {study.models.grid.inner_folds} inner folds" if study.nests_grid else ""
    text += (
        ". Screening, selection, tuning (inner folds), fills, scaling and cut-points are one procedure, repeated in "
        "every training part; internal validation by the cross-validation of that whole procedure. Settings are in the "
        "study file and in each frozen model"
    )
    return reported(text, "#done", "#reproduce")


def heterogeneity(run: Run) -> Answer:
    """Item 12d."""
    if not run.study.validation:
        return not_applicable("One cohort without known centres: there are no clusters to compare.")
    text = "Each cohort is judged by itself; the one training cohort gives one set of coefficients"
    if len(run.study.validation) > 1:
        text += "; random-effects meta-analysis over the validation cohorts, with tau2, I2 and prediction interval"
    else:
        text += "; with one validation cohort no heterogeneity can be estimated"
    text += ". Several cohorts: see TRIPOD-Cluster (doi 10.1136/bmj-2022-071018)"
    return reported(text, "#against", "meta_analysis", "validation")


def measures(run: Run) -> Answer:
    """Item 12e."""
    judged = run.study.evaluation
    text = (
        "Discrimination: Harrell's and Uno's C, cumulative/dynamic AUC. Overall: Brier score, integrated Brier score, "
        "index of prediction accuracy against Kaplan-Meier. Calibration at the main horizon: slope, intercept, O/E, "
        "ICI, E50, E90, curves; D-calibration. Utility: decision curves and net benefit (threshold "
        f"{judged.decision_threshold:g}), difference of restricted mean survival. 95% intervals from "
        f"{judged.bootstrap:,} bootstrap samples of patients; models are compared by paired differences and "
        "likelihood-ratio tests. Negative controls: permuted outcomes, random gene sets"
    )
    return reported(text, "#good", "#against", "leaderboard", "validation", "comparisons", "decision_curve")


def updating(run: Run) -> Answer:
    """Item 12f."""
    if not run.study.validation:
        return not_applicable("No evaluation data.")
    methods = {name: run.study.cohorts[name].adaptation[0].replace("_", " ") for name in run.study.validation}
    text = "No updating: frozen models were applied as they are, without recalibration. Adaptation of expression: "
    return reported(text + run.each(list(methods.items())), "validation")


def computation(run: Run) -> Answer:
    """Item 12g."""
    if not run.study.validation:
        return not_applicable("No evaluation data.")
    text = (
        "By the frozen model files, through the same function as the command `amlprognosis predict`; predictions of "
        "every patient are a table"
    )
    return reported(text, f"{run.frozen(run.main)}/", "predictions")


def imbalance(run: Run) -> Answer:
    """Item 13."""
    text = "No method against class imbalance: no resampling, no weights by class"
    kinds = {model[0] for name in run.study.models.run if (model := horizon_model(name))}
    if kinds:
        text += ". Classifiers at a horizon weigh patients for censoring alone (inverse probability of censoring)"
    if kinds & {"logistic", "svm", "mlp", "knn"}:
        text += "; the probabilities of the logistic, kernel, network and neighbour ones are calibrated in inner folds"
    return reported(text, "#done")


def fairness(run: Run) -> Answer:
    """Item 14."""
    text = (
        "Models are not altered for fairness. C and O/E are reported within sex, age (60 years) and risk groups; the "
        "workflow reads no ethnicity or social position"
    )
    return reported(text, "#trust", "subgroups")


def output(run: Run) -> Answer:
    """Item 15."""
    horizons = ", ".join(f"{years:g}" for years in sorted(run.study.evaluation.horizons_years))
    text = (
        f"A risk score (higher: earlier death), the probability of survival at {horizons} years and the curve, and a "
        "risk group: high above the median risk of the training patients. The median halves the patients; it is no "
        "threshold for a decision"
    )
    return reported(text, "#done", "risk_groups", "predictions")


def differences(run: Run) -> Answer:
    """Item 16."""
    if not run.study.validation:
        return not_applicable("No evaluation data.")
    words = []
    for name in run.cohorts:
        row = run.row("cohorts", cohort=name)
        if row is None:
            continue
        age = number(row.get("age_median"))
        parts = [str(row["platform"]), f"median age {fixed(age, 0)}" if age is not None else "age unknown"]
        known = number(row.get("risk_unknown")) not in (None, number(row.get("patients")))
        parts += [f"risk by {row['risk_system']}"] if known and "risk_system" in row else []
        parts += [run.follow_up(name)]
        lacking = run.row("validation", cohort=name, model=run.main)
        count = None if lacking is None else number(lacking.get("features_missing"))
        parts += [f"{int(count)} features of {model_label(run.main)} missing"] if count else []
        words.append((name, ", ".join(part for part in parts if part)))
    if run.study.simulate:
        return reported(run.each(words), "#who", "cohorts", "validation")
    return partly(run.each(words), "differences of setting, eligibility and treatment", "#who", "cohorts", "validation")


def ethics(run: Run) -> Answer:
    """Item 17."""
    if run.study.simulate:
        return not_applicable("Simulated data: no patient took part.")
    return left_open("ethics approval and consent, of this study and of the studies that the data come from")


def funding(run: Run) -> Answer:
    """Item 18a."""
    return left_open("source of funding and the role of the funders")


def conflicts(run: Run) -> Answer:
    """Item 18b."""
    return left_open("conflicts of interest of all authors")


def protocol(run: Run) -> Answer:
    """Item 18c."""
    return left_open(
        "where the protocol is, or that there was none",
        "The study file fixes every choice of the analysis and is printed in the report; it is no registered protocol.",
    )


def registration(run: Run) -> Answer:
    """Item 18d."""
    return left_open("register and number, or that the study was not registered")


def data_sharing(run: Run) -> Answer:
    """Item 18e."""
    sources = {name: run.study.cohorts[name].source for name in run.cohorts}
    words = [(name, source.source_note) for name, source in sources.items()]
    text = run.each(words) or "The study names no licences"
    text += ". Each input file is listed with its checksum"
    own = [name for name, source in sources.items() if isinstance(source, TablesSource)]
    if run.study.simulate or not own:
        return reported(text, "#reproduce", "provenance")
    names = ", ".join(map(run.study.cohort_label, own))
    return partly(text, f"whether and where others can have the tables of {names}", "#reproduce", "provenance")


def code(run: Run) -> Answer:
    """Item 18f."""
    text = (
        f"amlprognosis {amlprognosis.__version__}, GPL-3.0-or-later; seed {run.study.seed}; command, versions of all "
        "packages and the study file are in the report. Equal inputs give byte-identical tables"
    )
    return reported(text, "#reproduce")


def public(run: Run) -> Answer:
    """Item 19."""
    return left_open("part of patients and the public, or that they had none")
