"""How the evidence was judged, in the methods text: metrics, comparisons, pooling, controls, adaptations."""

from __future__ import annotations

from amlprognosis.report.theme import percent, years_text
from amlprognosis.report.wording import listed
from amlprognosis.study import Study

ADAPTED = {
    "none": "no adaptation",
    "within_sample_ranks": "genes ranked within each sample",
    "reference_quantiles": "each sample brought to the mean quantiles of the training cohort",
    "cohort_rescaling": "each gene re-scaled to the training mean and deviation over the whole cohort",
}


def performance_methods(study: Study) -> str:
    """How performance, calibration and usefulness were estimated."""
    cv, ev = study.crossvalidation, study.evaluation
    horizons = listed([years_text(h) for h in sorted(ev.horizons_years)])
    main = years_text(ev.main_horizon_years)
    return (
        f"Performance was estimated by {cv.repeats} × {cv.folds}-fold cross-validation stratified by event, with "
        "screening, filters, scaling, imputation, selection, tuning and cut-points repeated inside each training part. "
        "Normalisation of the matrix (its reference profile, quantiles and filters of unmeasured or unexpressed genes) "
        "looked at the whole training cohort, never at outcomes. Reported are Harrell's and Uno's C (Uno 2011), "
        f"cumulative/dynamic AUC (Uno 2007) and Brier score (Graf 1999) at {horizons}, censoring handled by the "
        "inverse probability of censoring, the index of prediction accuracy and the integrated Brier score. "
        f"Predicted risks at {main} were judged by the calibration slope and intercept on the complementary log-log "
        "scale, by observed (Kaplan-Meier) over expected deaths (McLernon 2023), and by the mean, median and 90% "
        "quantile of the distance between predicted and smoothed observed risk (ICI, E50, E90; Austin 2020); whole "
        "curves by D-calibration, with censored patients spread over the tenths that remain possible (Haider 2020). "
        f"Net benefit of acting on a predicted risk of death by {main} (Vickers 2006, 2008) took deaths above each "
        f"threshold from Kaplan-Meier; tables give it at {percent(ev.decision_threshold)}. Risk groups were split at "
        "the median risk of the training patients and compared by Kaplan-Meier, a log-rank test, a Cox hazard ratio "
        "and the difference in restricted mean survival (Uno 2014). Intervals are 95% percentile intervals of "
        f"{ev.bootstrap:,} bootstrap samples of patients, paired for differences between models; they tell the "
        "uncertainty of judging on these patients, not that of training on others."
    )


def comparison_methods(study: Study) -> str:
    """How models were compared and pooled, and how validation cohorts were approached."""
    text = (
        "What a model adds to a comparator was told by paired differences in C, Brier score and net benefit, and by "
        "likelihood-ratio tests of Cox models with both risks; in cross-validation the risks were prevalidated "
        "(Tibshirani and Efron 2002), the Cox models stratified by fold, and the median chi-squared of the repeats was "
        "taken, so that its p-value is approximate."
    )
    if study.validation:
        cohorts = []
        for name in study.validation:
            how = [ADAPTED[kind] for kind in study.cohorts[name].adaptation]
            also = f", which the figures show; also {listed(how[1:])}" if len(how) > 1 else ""
            cohorts.append(f"{study.cohort_label(name)} ({how[0]}{also})")
        text += f" The final models, refitted on all training patients and frozen, were applied to {listed(cohorts)}."
    if len(study.validation) > 1:
        text += (
            " C, calibration slope, observed over expected deaths and differences in C were pooled over the validation "
            "cohorts by random effects (REML, Hartung and Knapp's interval, never narrower than the usual one), with "
            "I² and the 95% prediction interval for a new cohort (IntHout 2016; Debray 2017); C was pooled on the "
            "logit, the ratio on the log scale."
        )
    return text


def control_methods(study: Study) -> str:
    """Negative controls, the leaky recipe, other seeds."""
    ev = study.evaluation
    if "gene_index" not in study.models.run:
        return ""
    repeats = "the first repeat" if ev.control_repeats == 1 else f"the first {ev.control_repeats} repeats"
    parts = []
    if ev.permutations or ev.random_sets:
        controls = []
        if ev.permutations:
            controls.append(f"{ev.permutations} permutations of the outcomes")
        if ev.random_sets:
            controls.append(f"{ev.random_sets} random gene sets of the candidates' number (Venet 2011)")
        where = ", random sets also frozen and applied to the validation cohorts" if study.validation else ""
        parts.append(
            f"Negative controls passed {listed(controls)} through the whole index procedure on {repeats} of the "
            f"cross-validation{where if ev.random_sets else ''}; empirical p-values count the index itself among the "
            "draws (Phipson and Smyth 2010)."
        )
    parts.append(
        "The leaky recipe screens all genes on all patients, keeps those with the smallest univariable Cox p and "
        "cross-validates a ridge Cox model of them (Ambroise and McLachlan 2002); the honest one repeats the screen in "
        "each training part. Both were run on the outcomes as they are and permuted."
    )
    if ev.seeds:
        parts.append(
            f"The index was fitted again with {ev.seeds} other seeds (other folds and inner folds); stability of the "
            "selection is Nogueira's index (2018)."
        )
    return " ".join(parts)
