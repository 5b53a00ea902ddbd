"""The methods paragraphs and the limits, filled from the study: ready to paste into a paper."""

from __future__ import annotations

from collections.abc import Sequence

from amlprognosis.report.methods_evidence import comparison_methods, control_methods, performance_methods
from amlprognosis.report.reading import row_of
from amlprognosis.report.theme import Tables, number, years_text
from amlprognosis.report.wording import listed, noun, people
from amlprognosis.study import Study
from amlprognosis.study.names import HORIZON_LABELS, comparators_among, horizon_model, parse_grid_name
from amlprognosis.study.sources import is_array, scale_of

FAMILY_WORDS = {
    "RSF": "random survival forest",
    "Enet": "elastic net",
    "Lasso": "lasso",
    "Ridge": "ridge",
    "StepCox": "stepwise Cox",
    "CoxBoost": "CoxBoost",
    "PLS-Cox": "PLS-Cox",
    "SuperPC": "supervised principal components",
    "GBM": "gradient boosting",
    "survival-SVM": "survival support vector machine",
}


def _families(members: Sequence[str]) -> list[str]:
    present = {parse_grid_name(name).learner.family for name in members}
    return [words for family, words in FAMILY_WORDS.items() if family in present]


def _grid_methods(study: Study) -> list[str]:
    """The grid in the methods text."""
    members, grid = study.models.grid_run, study.models.grid
    if not members:
        return []
    where = "the candidate genes" if grid.candidates == "gene_sets" else "all genes"
    text = (
        f"A grid of {len(members)} learners and combinations ({', '.join(_families(members))}; alone or behind a "
        f"selector) was fitted to {where} with a univariable Cox p < {grid.screen_p:g} (at least {grid.min_genes}, at "
        f"most {grid.max_genes}); screen, selector and tuning were repeated in every training part."
    )
    if grid.inner_folds:
        text += (
            f" Survival curves of the members were calibrated by the {grid.inner_folds} inner folds of each training "
            "part, in patients who had no part in screen, selection and fit."
        )
    if study.nests_grid:
        text += (
            f" The best member was chosen in {grid.inner_folds} inner folds of each training part, so that the figure "
            "of the best is that of the whole procedure."
        )
    return [text]


def _classifier_methods(study: Study) -> list[str]:
    """The classifiers at a horizon in the methods text."""
    found = []
    for kind in ("logistic", "svm", "mlp", "knn"):
        years = sorted(model[1] for name in study.models.run if (model := horizon_model(name)) and model[0] == kind)
        if not years:
            continue
        settings = getattr(study.models, kind)
        by_mrmr = settings.selection == "mrmr"
        chosen = "minimum redundancy and maximum relevance" if by_mrmr else "a univariable Cox screen"
        how = "pseudo-observations" if settings.weighting == "pseudo" else "inverse probability of censoring weights"
        found.append(
            f"{HORIZON_LABELS[kind]} (death within {listed([years_text(y) for y in years])}) used {how} and "
            f"{settings.n_selected} features chosen by {chosen}; its probabilities were calibrated on inner folds."
        )
    return found


def _horizons(ran: Sequence[str], kind: str) -> str:
    """Horizons at which a kind of classifier ran, as words after its name."""
    found = sorted(model[1] for name in ran if (model := horizon_model(name)) and model[0] == kind)
    if not found:
        return ""
    return f" ({listed([years_text(years) for years in found])}, weighted by the inverse probability of censoring)"


ADAPTATION_WORDS = {
    "none": "no adaptation",
    "within_sample_ranks": "each gene by its rank within the patient's sample, in training units",
    "reference_quantiles": "each sample given the quantiles of the training samples",
    "cohort_rescaling": "each gene re-scaled to the training mean and deviation over the whole cohort",
}


def methods(study: Study, tables: Tables, software: dict[str, str]) -> list[str]:
    """Methods paragraphs, filled from the study, ready to paste."""
    settings = study.models
    row = row_of(tables.get("cohorts"), cohort=study.training)
    size = people(row) if row is not None else ""
    ran = [m for m in study.models.run]
    shared = "the genes measured in every bulk cohort (names only)"
    first = (
        f"Overall survival was analysed from diagnosis to death from any cause, in days; patients alive were "
        f"censored at last "
        f"follow-up. Models were trained on {study.cohort_label(study.training)}{size}. {_expression(study)} "
        f"Gene names were brought to approved symbols; candidate features were "
        f"{shared if study.features.genes == 'shared' else 'all genes of the training cohort'}."
    )
    if study.features.batch is not None:
        first += (
            f" Batches ({study.features.batch}) were corrected by empirical Bayes (ComBat, "
            "doi:10.1093/biostatistics/kxj037), location and scale learned in every training part anew; validation "
            "cohorts were not."
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
    if "clinical_gene_index" in ran:
        parts.append(
            "The clinical model with the gene index is a Cox model on the clinical columns and the prevalidated index: "
            "the index of each training patient came from folds without that patient (Tibshirani and Efron, "
            "doi:10.2202/1544-6115.1000), so that its coefficient is not inflated; a negative coefficient leaves the "
            "index out."
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
    parts += _grid_methods(study)
    parts += _classifier_methods(study)
    compared = [noun(m) for m in comparators_among(ran)]
    if compared:
        parts.append(f"Comparators were {listed(compared)}.")
    judged = " ".join(filter(None, (comparison_methods(study), control_methods(study))))
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
    return [first, " ".join(parts), performance_methods(study), judged]


def _expression(study: Study) -> str:
    """How each matrix became log2 expression, by what the study says of its source."""
    texts = []
    for name, cohort in study.cohorts.items():
        rules, scale = cohort.normalization, scale_of(cohort.source)
        if scale == "counts":
            how = {
                "tmm": "counts, TMM, log2 counts per million",
                "upper_quartile": "counts, upper quartile, log2 counts per million",
                "vst": "counts, variance-stabilising transformation",
            }[study.counts_method(name)]
            if study.counts_reference(name):
                how += " (reference profile of the training cohort)"
            if cohort.role == "training":
                how += (
                    f", genes with {rules.min_count:g} counts or more in {100 * rules.min_samples_share:g}% of samples"
                )
        else:
            how = {"log2_ratio": "log2 ratios", "log2": "log2 values", "tpm": "log2(TPM + 1)"}.get(
                scale, "intensities, log2 where the quantiles show a linear scale"
            )
            probes = is_array(cohort.source)
            if probes and rules.quantile and scale != "log2_ratio":
                how += ", quantile-normalised"
            if probes:
                rule = {
                    "max_mean": "the probe of highest mean",
                    "median": "median of the probes",
                    "best_annotated": "the best annotated probe",
                }[rules.probe_rule]
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
    if study.models.grid_run:
        if not study.models.grid.inner_folds:
            found.append(
                "Survival probabilities of the grid's members are too extreme: without inner folds "
                "(models.grid.inner_folds) nothing calibrates them."
            )
        found.append(
            "Many members of the grid are near copies of each other, and those with a random selector change with the "
            "seed: differences in C of 0.01 mean nothing."
        )
    for cohort in study.validation:
        if study.cohorts[cohort].adaptation[0] == "cohort_rescaling":
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
            f"No diagnosis was excluded in {listed(everyone)}: acute promyelocytic and secondary leukaemias are in "
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
