"""Signals of bias in participants, predictors and outcome (the first three domains of PROBAST)."""

from __future__ import annotations

from amlprognosis.normalize.duplicates import COPIED, SHARED
from amlprognosis.report.bias_signals import Signal, cohort_values, grade, labels, worst
from amlprognosis.report.chosen import main_model
from amlprognosis.report.reading import row_of
from amlprognosis.report.theme import Tables, fixed, percent, years_text
from amlprognosis.study import DAYS_PER_YEAR, Study, model_label

# Shares of patients left out without a plan, and of deaths on the first day.
SOME_LEFT_OUT, MANY_LEFT_OUT = 0.1, 0.2
SOME_TIME_ZERO = 0.05
FEW_DEATHS, SOME_DEATHS = 50, 100
# Reasons of exclusion that are no loss of patients: eligibility, further samples of those who stay, and copies.
PLANNED = ("further sample of a patient", "normal tissue", COPIED, SHARED)
# Rows of the leakage checks that speak of a whole cohort, not of one suspect.
WHOLE = ("all patients", "all features")


# Participants ---------------------------------------------------------------------------------------------------------


def _sources(study: Study, tables: Tables) -> Signal:
    if study.simulate:
        return Signal("participants", "source of the patients", "low", "simulated patients, all under one rule")
    found = f"one training cohort ({study.cohort_label(study.training)})"
    if study.validation:
        found += f"; evaluated on {labels(study, study.validation)}"
        return Signal("participants", "source of the patients", "low", found)
    remedy = "add cohorts of other centres with role: validation"
    return Signal("participants", "source of the patients", "unclear", f"{found} and no other", remedy)


def left_out(study: Study, tables: Tables) -> dict[str, tuple[int, int]]:
    """By cohort: patients left out without a plan, and patients there would be with them."""
    table, sizes = tables.get("exclusions"), cohort_values(tables, "patients")
    found = {}
    for name, patients in sizes.items():
        settings = study.cohorts.get(name)
        planned = {rule.reason for rule in settings.clinical.exclude} if settings and settings.clinical else set()
        reasons = [] if table is None else [str(r) for r in table.loc[table["cohort"] == name, "reason"]]
        lost = [r for r in reasons if r not in planned and r not in PLANNED]
        found[name] = (len(lost), int(patients) + len(lost))
    return found


def _exclusions(study: Study, tables: Tables) -> Signal:
    counts = left_out(study, tables)
    if not counts:
        return Signal("participants", "exclusions", "unclear", "the cohorts were not described", "run the whole study")
    shares = {name: lost / total for name, (lost, total) in counts.items() if total}
    text = "; ".join(
        f"{study.cohort_label(name)}: {counts[name][0]} of {counts[name][1]} ({percent(share)})"
        for name, share in shares.items()
    )
    judgement = grade(max(shares.values(), default=0.0), SOME_LEFT_OUT, MANY_LEFT_OUT)
    remedy = (
        "" if judgement == "low" else "look whether those left out differ (tables/exclusions.tsv); complete the data"
    )
    return Signal(
        "participants", "exclusions", judgement, f"left out for lack of data or of a usable outcome: {text}", remedy
    )


def _era(study: Study, tables: Tables) -> Signal:
    if study.simulate:
        return Signal("participants", "years and treatment", "low", "simulated: one era, one treatment")
    told = [item for item in ("5b", "6c") if item in study.reporting.answers]
    text = "the run does not know in which years and how the patients were treated"
    if told:
        text += f"; the authors say so under {' and '.join(told)} of the checklist"
    remedy = "compare the years and treatments of the cohorts; answer 5b and 6c under reporting.answers"
    return Signal("participants", "years and treatment", "unclear", text, remedy)


def _repeated_samples(study: Study, tables: Tables) -> Signal:
    table = tables.get("exclusions")
    count = 0 if table is None else int(table["reason"].astype(str).str.startswith("further sample").sum())
    text = "one sample per patient; folds are drawn by patient"
    return Signal(
        "participants", "repeated samples", "low", f"{text}; {count} further samples left out" if count else text
    )


def _same_patients(study: Study, tables: Tables) -> Signal:
    remedy = "leave one of each pair out (clinical.exclude), or show that they are different patients"
    return _checked(tables, "participants", "duplicated or shared patients", False, remedy)


def _outcome_proxies(study: Study, tables: Tables) -> Signal:
    remedy = "leave out what was measured after diagnosis or derived from follow-up"
    return _checked(tables, "predictors", "features that are nearly the outcome", True, remedy)


def _checked(tables: Tables, domain: str, signal: str, of_features: bool, remedy: str) -> Signal:
    """What the leakage checks found, about features or about patients."""
    table = tables.get("leakage_checks")
    if table is not None:
        table = table[table["check"].astype(str).str.contains("feature|outcome") == of_features]
    if table is None or table.empty:
        return Signal(domain, signal, "unclear", "not checked in this run", "see tables/leakage_checks.tsv")
    suspects = table[(table["verdict"] == "suspect") & ~table["item"].isin(WHOLE)]
    if (table["verdict"] == "suspect").any():
        names = [f"{row.check}: {row.item}" for row in suspects.head(3).itertuples()]
        more = f" and {len(suspects) - 3} more" if len(suspects) > 3 else ""
        return Signal(domain, signal, "high", f"{len(suspects)} suspect: {'; '.join(names)}{more}", remedy)
    unknown = int((table["verdict"] == "not checked").sum())
    if unknown:
        text = f"{unknown} of {len(table)} checks could not be made"
        return Signal(domain, signal, "unclear", text, "see tables/leakage_checks.tsv for the reason")
    return Signal(domain, signal, "low", f"{len(table)} {'check' if len(table) == 1 else 'checks'}, none suspect")


# Predictors -----------------------------------------------------------------------------------------------------------


def _platform(study: Study, tables: Tables) -> Signal | None:
    if not study.validation:
        return None
    table = tables.get("cohorts")
    training = row_of(table, cohort=study.training)
    found, judged = [], []
    for name in study.validation:
        used, label = study.cohorts[name].adaptation[0], study.cohort_label(name)
        own, others = (
            None if row is None else str(row.get("platform")) for row in (row_of(table, cohort=name), training)
        )
        if used == "cohort_rescaling":
            judged.append("high")
            found.append(f"{label}: re-scaled as a whole, which needs the patients judged")
        elif used != "none":
            judged.append("low")
            found.append(f"{label}: {used.replace('_', ' ')}, one patient at a time")
        elif study.counts_reference(name):
            judged.append("low")
            found.append(f"{label}: counts, with the normalisation reference of training")
        elif own == others:
            judged.append("low")
            found.append(f"{label}: same platform ({own})")
        else:
            judged.append("unclear")
            found.append(f"{label}: another platform ({own}, training {others}), not adapted")
    judgement = worst(judged)
    remedy = "" if judgement == "low" else "within_sample_ranks or reference_quantiles need one patient only"
    return Signal("predictors", "platform of the validation cohorts", judgement, "; ".join(found), remedy)


def _missing_features(study: Study, tables: Tables) -> Signal | None:
    if not study.validation:
        return None
    signal = "predictors missing in validation"
    table = tables.get("validation")
    remedy = "choose features that every cohort has, or cohorts that have them"
    if table is None or "features_missing" not in table:
        return Signal("predictors", signal, "unclear", "nothing was validated", remedy)
    reported = [model for model in study.evaluation.report_models if model in study.models.run]
    found, judged = [], []
    for name in study.validation:
        own = table[table["cohort"] == name].set_index("model")["features_missing"]
        absent = [model_label(model) for model in reported if model not in own.index]
        filled = {model: int(own[model]) for model in reported if model in own.index and own[model] > 0}
        main = main_model(study)
        judged.append("high" if main not in own.index else "unclear" if absent or filled else "low")
        parts = [f"{model_label(model)} not applicable" for model in absent]
        parts += [f"{model_label(model)}: {count} filled as in training" for model, count in filled.items()]
        found.append(f"{study.cohort_label(name)}: {', '.join(parts) or 'none missing'}")
    judgement = worst(judged)
    return Signal("predictors", signal, judgement, "; ".join(found), "" if judgement == "low" else remedy)


def _risk_labels(study: Study, tables: Tables) -> Signal | None:
    table = tables.get("cohorts")
    if "risk" not in study.features.clinical or table is None or "risk_system" not in table:
        return None
    known = table[table["risk_unknown"].astype(float) < table["patients"].astype(float)]
    systems = dict(zip(known["cohort"].astype(str), known["risk_system"].astype(str), strict=True))
    if not systems:
        return None
    text = "; ".join(f"{study.cohort_label(name)}: {system}" for name, system in systems.items())
    if len(set(systems.values())) == 1:
        return Signal("predictors", "definition of the risk group", "low", f"one system: {text}")
    remedy = "classify all cohorts by one system"
    return Signal("predictors", "definition of the risk group", "unclear", f"systems differ: {text}", remedy)


# Outcome --------------------------------------------------------------------------------------------------------------


def _endpoint(study: Study, tables: Tables) -> Signal:
    return Signal("outcome", "endpoint", "low", "overall survival: death from any cause, nothing to interpret")


def _deaths(study: Study, tables: Tables) -> Signal:
    events = cohort_values(tables, "events").get(study.training)
    if events is None:
        return Signal("outcome", "deaths", "unclear", "the training cohort was not described", "run the whole study")
    judgement = grade(-events, -SOME_DEATHS, -FEW_DEATHS)
    remedy = "" if judgement == "low" else "longer follow-up, or more patients"
    return Signal("outcome", "deaths", judgement, f"{int(events)} in the training cohort", remedy)


def _follow_up(study: Study, tables: Tables) -> Signal:
    days = cohort_values(tables, "median_followup_days")
    main, last = study.evaluation.main_horizon_years, max(study.evaluation.horizons_years)
    if not days:
        return Signal("outcome", "follow-up", "unclear", "follow-up is not known", "check os_time and os_event")
    years = {name: value / DAYS_PER_YEAR for name, value in days.items()}
    shortest = min(years.values())
    judgement = grade(-shortest, -last, -main)
    text = "; ".join(f"{study.cohort_label(name)}: {fixed(value, 1)} years" for name, value in years.items())
    text = f"median (reverse Kaplan-Meier) {text}; horizons up to {years_text(last)}, main one {years_text(main)}"
    remedy = "" if judgement == "low" else "shorter horizons (evaluation.horizons_years), or cohorts followed longer"
    return Signal("outcome", "follow-up", judgement, text, remedy)


def _time_zero(study: Study, tables: Tables) -> Signal:
    table, sizes = tables.get("exclusions"), cohort_values(tables, "patients")
    counts = {}
    if table is not None:
        zero = table[table["reason"] == "overall survival time zero"]
        counts = {str(name): len(part) for name, part in zero.groupby("cohort")}
    if not counts:
        return Signal("outcome", "survival of zero days", "low", "nobody was left out for it")
    shares = [count / (count + sizes.get(name, 0)) for name, count in counts.items()]
    text = "; ".join(f"{study.cohort_label(name)}: {count}" for name, count in counts.items())
    judgement = grade(max(shares), SOME_TIME_ZERO, 1.0)
    remedy = "" if judgement == "low" else "find out whether these are early deaths; give half a day to those who died"
    text = f"left out, early deaths among them: {text}"
    return Signal("outcome", "survival of zero days", judgement, text, remedy)


LOOKS = (
    _sources, _exclusions, _era, _repeated_samples, _same_patients,
    _platform, _missing_features, _risk_labels, _outcome_proxies,
    _endpoint, _deaths, _follow_up, _time_zero,
)  # fmt: skip
