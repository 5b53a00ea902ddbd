"""Captions of figures and tables: one text for the report and for Snakemake's own report (workflow/report/*.rst)."""

from __future__ import annotations

FIGURE_CAPTIONS: dict[str, str] = {
    "flow": "Patients from the source to the analysis. Left, blue: patients that remained; right: patients that were "
    "left out, each with its number and reason. Nobody is removed without appearing here and in the flow table.",
    "leaderboard": "Harrell's C-index of each model on patients that it did not see, by repeated stratified "
    "cross-validation. Dots are estimates, lines 95% percentile bootstrap intervals over patients; blue: models with "
    "genes, orange: clinical comparators. The dashed line at 0.5 is chance; every step that learns from data is "
    "repeated inside each training part.",
    "grid": "Harrell's C-index of every learner and combination of the grid, sorted by its cross-validated value "
    "(blue, with its 95% bootstrap interval). Light dots: the same member on the very patients that it was "
    "fitted on, which is what many papers report for training; other colours: frozen and applied to the "
    "validation cohorts, which play no part in the order. Dashed blue line: what the best of the grid is "
    "worth when the choice itself is made in inner folds of each training part.",
    "validation": "Harrell's C-index of the frozen models in each validation cohort (coloured) beside "
    "cross-validation in the training cohort (blue). Lines are 95% bootstrap intervals over patients; the dashed line "
    "at 0.5 is chance. Validation cohorts play no part in fitting or choosing models.",
    "comparisons": "Paired differences between a model and each comparator, on the same patients and the same "
    "bootstrap draws, in cross-validation and in each validation cohort (colour). The axis says on which side of the "
    "dashed line the model is better; an interval that crosses the line shows no difference at the 95% level. Where "
    "a comparison cannot be made, the line says why.",
    "meta_analysis": "Each validation cohort (coloured) and the random-effects summary (black diamond; Hartung-Knapp "
    "interval). The dashed black line is the interval in which a new cohort is expected; I² is the share of the "
    "variation that lies between cohorts. Intervals beyond the axis are cut; the text has them.",
    "adaptations": "Harrell's C-index in the validation cohorts under each adaptation to their platform, with 95% "
    "bootstrap intervals. Squares need the whole cohort at once and do not hold for scoring one patient. The first "
    "adaptation of the study file is the one that all other figures show.",
    "decision_curve": "Net benefit at the main horizon over the risk of death from which one would act: the share of "
    "patients treated rightly, less those treated in vain, weighted by that risk. A model is worth using where its "
    "line lies above treating all (grey, dashed) and treating none (0). Censoring is accounted for; the band is the "
    "95% bootstrap interval of the first model, the dotted line the threshold of the tables.",
    "d_calibration": "Patients by tenths of the survival that the model predicted for their own time of death. With "
    "right predictions every tenth holds 10% of the patients (dashed line); censored patients are spread over the "
    "tenths that remain possible for them.",
    "auc_over_horizons": "Cumulative/dynamic AUC at each horizon, censoring handled by inverse probability "
    "weighting. Dots are estimates by model (colour), lines 95% bootstrap intervals; the dashed line at 0.5 is chance.",
    "kaplan_meier": "Kaplan-Meier estimate of overall survival in the high (red) and low (blue) risk group, with 95% "
    "pointwise bands; patients at risk below the axis. Groups are split at the median risk of the model's own "
    "training patients, so they need not be of equal size; the hazard ratio is from a Cox model, the p-value from "
    "the log-rank test.",
    "roc": "Time-dependent ROC curves (cumulative cases, dynamic controls) at each horizon (colour), censoring handled "
    "by inverse probability weighting. The area under each curve stands in the legend with its 95% bootstrap "
    "interval; the dashed diagonal is chance.",
    "calibration": "Predicted risk of death (horizontal) against the risk observed by Kaplan-Meier (vertical) at the "
    "main horizon, in groups of patients with similar predictions; lines are 95% intervals. On the dashed diagonal "
    "predictions are right; below it the model predicts too many deaths.",
    "hazard_ratios": "Hazard ratios of death from Cox models with each variable alone (orange) and all together "
    "(blue), on a logarithmic axis; lines are 95% intervals, the dashed line is no effect. The gene index is per "
    "standard deviation and, in the training cohort, out of fold.",
    "gene_hazard_ratios": "Hazard ratio of death per standard deviation of each gene of the index, alone, in the "
    "training cohort, on a logarithmic axis; lines are 95% intervals. Red raises, blue lowers the risk. The genes were "
    "chosen on these patients, so the intervals describe them and do not test them.",
    "gene_coefficients": "Coefficients of the gene index per standard deviation of expression. Red genes raise, blue "
    "genes lower the predicted risk; the figure at the right is the share of cross-validation fits that chose the "
    "gene.",
    "gene_heatmap": "Expression of the index genes (rows, z-scores; blue low, red high) in the training patients "
    "(columns), ordered by their out-of-fold gene index from low to high. Strips above: risk group by the index, "
    "clinical risk group where the table has it, and outcome.",
    "null_distribution": "C-index of random gene sets of the same size (light blue) and of permuted outcomes (grey), "
    "all through the whole index procedure, against the gene index (blue line) on the same folds. In validation "
    "cohorts the indices of the random sets are frozen on the training cohort and applied as the gene index is. The "
    "dashed line at 0.5 is chance.",
    "leakage": "Leaky recipe (red): genes screened on all patients, and only the final Cox model cross-validated, as "
    "in many published scripts. Honest recipe (green): the same with the screen inside the folds. With permuted "
    "outcomes there is nothing to find, so what lies right of 0.5 is leakage. Diamonds are single runs or means, "
    "dots are draws; blue: the gene index as this report judges it.",
    "seeds": "The whole index procedure with other seeds: other folds and other inner folds. Dots are seeds, "
    "diamonds their means. Top: cross-validated C-index; middle: genes shared with the frozen index (Jaccard, 1 is "
    "the same genes); below: rank correlation of the patients' risks with those of the frozen index.",
    "umap_cell_types": "UMAP of single cells; each dot is a cell, coloured by cell type, with the type's name at its "
    "median. Distances between islands carry no meaning.",
    "umap_index": "The same UMAP, coloured by the score of the gene index in each cell (cividis: light low, dark "
    "high; colours end at the 2nd and 98th centile).",
    "cell_scores": "Mean score of the gene index by cell type, in malignant (red) and normal (blue) cells; the area "
    "of a dot is the number of cells. The test compares patients, not cells.",
    "planted_truth": "Demo only: of the candidate genes in each simulated programme, the share that the index "
    "selected. Green programmes carry hazard in the simulation; grey ones do not.",
}

FIGURE_CATEGORIES: dict[str, str] = {
    "grid": "Performance",
    "flow": "Cohorts",
    "leaderboard": "Performance",
    "validation": "Performance",
    "auc_over_horizons": "Performance",
    "kaplan_meier": "Performance",
    "roc": "Performance",
    "comparisons": "Comparators and controls",
    "null_distribution": "Comparators and controls",
    "hazard_ratios": "Comparators and controls",
    "gene_coefficients": "Genes",
    "gene_heatmap": "Genes",
    "gene_hazard_ratios": "Genes",
    "umap_cell_types": "Cells",
    "umap_index": "Cells",
    "cell_scores": "Cells",
    "calibration": "Calibration and decisions",
    "d_calibration": "Calibration and decisions",
    "decision_curve": "Calibration and decisions",
    "meta_analysis": "Comparators and controls",
    "adaptations": "Performance",
    "leakage": "Comparators and controls",
    "seeds": "Trust",
    "planted_truth": "Trust",
}

TABLE_CAPTIONS: dict[str, str] = {
    "leaderboard": "Metrics of each model by repeated stratified cross-validation on the training cohort, with 95% "
    "percentile bootstrap intervals over patients; sorted by Harrell's C-index.",
    "validation": "The same metrics of the frozen models in each validation cohort, under every adaptation that was "
    "asked for; features_missing is the most features of the model that a patient lacks.",
    "comparisons": "Paired differences between models and comparators on the same patients and bootstrap draws; "
    "difference is model minus comparator.",
    "added_value": "What a model adds to each comparator, and the comparator to it: likelihood-ratio tests of Cox "
    "models on the two risks (prevalidated ones in cross-validation) and the hazard ratio per standard deviation.",
    "meta_analysis": "Figures pooled over the validation cohorts by random effects (REML, Hartung-Knapp), with the "
    "interval for a new cohort and the heterogeneity.",
    "decision_curve": "Net benefit of each model at the main horizon over thresholds of the predicted risk of death, "
    "beside treating all; treating none is 0.",
    "d_calibration": "Share of patients by tenth of the predicted survival at their own time, with the chi-squared "
    "test.",
    "seed_stability": "The index procedure with other seeds: C-index, genes shared with the frozen index, rank "
    "correlation of the risks.",
    "leakage_checks": "Traces of leakage that the run looked for: repeated patients, patients shared between cohorts, "
    "features that are nearly the outcome.",
    "cohorts": "Cohorts of the study: role, source, platform, patients, deaths, follow-up (reverse Kaplan-Meier) and "
    "baseline characteristics.",
    "flow": "Patients removed and remaining at each step, with the reason.",
    "index": "The gene index: coefficient, centre and scale of each gene, and the share of cross-validation fits that "
    "chose it.",
    "predictions": "Out-of-fold and validation predictions per patient: risk, survival at each horizon, risk group.",
    "controls": "C-index of each draw of each negative control and cohort: permuted outcomes and random gene sets "
    "through the whole procedure, and the leaky recipe beside the honest one.",
    "controls_summary": "Mean and interval of each negative control by cohort, beside what was observed (the gene "
    "index, or the recipe on the real outcomes) and its empirical p-value.",
    "hazard_ratios": "Hazard ratios with 95% intervals from univariable and multivariable Cox models.",
    "stability": "How often each feature was selected over folds and repeats.",
    "selection": "The best of all models that are not comparators: its cross-validated C-index, and what is left of it "
    "when the choice is made anew in bootstrap draws of the patients and judged on those left out.",
    "stability_summary": "Nogueira's stability index of the selection, over folds and over seeds, with its interval.",
    "sample_size": "Events per candidate parameter and the minimum sample size by Riley's criteria.",
    "notes": "Warnings and notes that the run itself raised.",
    "quality": "Quality of a cohort's data: files, exclusions, normalisation, outliers, batches, sex by expression, "
    "duplicates and swaps, clinical completeness.",
    "batch_effects": "How far groups of patients are apart in the first ten components of expression: batches, "
    "platforms, and sex and risk for comparison; with the log-rank test of the groups.",
    "sample_identity": "Samples that may not be their patient's: sex by expression, duplicated profiles, swaps, "
    "patients shared by two cohorts. Nobody is left out for what stands here.",
    "sample_quality": "Figures of every sample: correlation to the others, missing values, library size, sex by "
    "expression, age and follow-up, quartiles of the values before normalisation and as built.",
    "table": "A table of the study; every number that a figure shows is also in a table.",
}


def rst_texts() -> dict[str, str]:
    """Content of the caption files in workflow/report, by file name."""
    files = {f"{kind}.rst": text + "\n" for kind, text in FIGURE_CAPTIONS.items()}
    files |= {f"table_{name}.rst" if name != "table" else "table.rst": t + "\n" for name, t in TABLE_CAPTIONS.items()}
    return files
