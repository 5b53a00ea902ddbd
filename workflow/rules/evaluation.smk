"""How good, against what, and whether to believe it."""

INNER = expand(
    f"{RESULTS}/crossvalidation/{{group}}/repeat-{{repeat}}.inner.parquet",
    group=sorted(STUDY.grid_groups()),
    repeat=REPEATS,
)
GRID_SUMMARY = [f"{TABLES}/grid_summary.tsv"] if STUDY.models.grid_run else []
OUT_OF_FOLD = expand(
    f"{RESULTS}/crossvalidation/{{group}}/repeat-{{repeat}}.parquet",
    group=sorted(STUDY.groups()),
    repeat=REPEATS,
)
SELECTED = [path.replace(".parquet", ".selected.parquet") for path in OUT_OF_FOLD]
FOLD_NOTES = [path.replace(".parquet", ".notes.tsv") for path in OUT_OF_FOLD]
VALIDATED = expand(f"{RESULTS}/validation/{{cohort}}.parquet", cohort=STUDY.validation)


# Reads nothing of the validation cohorts: a locked cohort can not change the leaderboard.
rule leaderboard:
    input:
        features=f"{RESULTS}/design/features.parquet",
        folds=f"{RESULTS}/design/folds.parquet",
        predictions=OUT_OF_FOLD,
        selected=SELECTED,
        notes=FOLD_NOTES,
        inner=INNER,
        models=MODELS,
    output:
        **{
            name: report(
                f"{TABLES}/{name}.tsv",
                caption="../report/table.rst",
                category="Performance",
                labels={"table": label},
            )
            for name, label in (
                ("grid", "Grid of learners and combinations"),
                ("grid_summary", "Grid: what picking the best is worth"),
            )
            if STUDY.models.grid_run
        },
        leaderboard=report(
            f"{TABLES}/leaderboard.tsv",
            caption="../report/table_leaderboard.rst",
            category="Performance",
            labels={"table": "Leaderboard (cross-validated)"},
        ),
        selection=report(
            f"{TABLES}/selection.tsv",
            caption="../report/table_selection.rst",
            category="Performance",
            labels={"table": "What picking the best model is worth"},
        ),
        stability=f"{TABLES}/stability.tsv",
        sample_size=report(
            f"{TABLES}/sample_size.tsv",
            caption="../report/table_sample_size.rst",
            category="Trust",
            labels={"table": "Sample size"},
        ),
    log:
        f"{LOGS}/leaderboard.log",
    benchmark:
        f"{BENCHMARKS}/leaderboard.tsv"
    priority: LONGEST_WAY
    conda:
        "../../envs/models.yaml"
    threads: 1
    resources:
        mem_mb=memory(2500),
        runtime=minutes(30),
    params:
        settings=STUDY.fingerprint("evaluation", "models", "seed"),
    message:
        "Compare the models in cross-validation"
    script:
        "../scripts/leaderboard.py"


rule index:
    input:
        features=f"{RESULTS}/design/features.parquet",
        candidates=f"{RESULTS}/design/candidates.json",
        predictions=OUT_OF_FOLD,
        model=f"{RESULTS}/models/gene_index/model.json",
        stability=f"{TABLES}/stability.tsv",
    output:
        index=report(
            f"{TABLES}/index.tsv",
            caption="../report/table_index.rst",
            category="Genes",
            labels={"table": "Gene index"},
        ),
        heatmap=f"{TABLES}/heatmap.tsv",
    log:
        f"{LOGS}/index.log",
    benchmark:
        f"{BENCHMARKS}/index.tsv"
    priority: LONGEST_WAY
    conda:
        "../../envs/models.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(10),
    params:
        settings=STUDY.fingerprint("gene_sets"),
    message:
        "Write the gene index"
    script:
        "../scripts/index.py"


rule compare:
    input:
        features=f"{RESULTS}/design/features.parquet",
        folds=f"{RESULTS}/design/folds.parquet",
        training=f"{RESULTS}/cohorts/{STUDY.training}.h5ad",
        validation=expand(f"{RESULTS}/cohorts/{{cohort}}.h5ad", cohort=STUDY.validation),
        out_of_fold=OUT_OF_FOLD,
        notes=FOLD_NOTES,
        inner=INNER,
        grid=GRID_SUMMARY,
        validated=VALIDATED,
        validation_notes=expand(
            f"{RESULTS}/validation/{{cohort}}.notes.tsv", cohort=STUDY.validation
        ),
        models=MODELS,
        index=f"{TABLES}/index.tsv",
    output:
        validation=report(
            f"{TABLES}/validation.tsv",
            caption="../report/table_validation.rst",
            category="Performance",
            labels={"table": "Validation (locked cohorts)"},
        ),
        predictions=f"{TABLES}/predictions.tsv",
        comparisons=report(
            f"{TABLES}/comparisons.tsv",
            caption="../report/table_comparisons.rst",
            category="Performance",
            labels={"table": "Models against comparators"},
        ),
        added_value=report(
            f"{TABLES}/added_value.tsv",
            caption="../report/table_added_value.rst",
            category="Performance",
            labels={"table": "Added value over the comparators"},
        ),
        meta_analysis=report(
            f"{TABLES}/meta_analysis.tsv",
            caption="../report/table_meta_analysis.rst",
            category="Performance",
            labels={"table": "Pooled over the validation cohorts"},
        ),
        kaplan_meier=f"{TABLES}/kaplan_meier.tsv",
        risk_table=f"{TABLES}/risk_table.tsv",
        risk_groups=report(
            f"{TABLES}/risk_groups.tsv",
            caption="../report/table.rst",
            category="Performance",
            labels={"table": "Risk groups"},
        ),
        roc=f"{TABLES}/roc.tsv",
        calibration=f"{TABLES}/calibration.tsv",
        d_calibration=report(
            f"{TABLES}/d_calibration.tsv",
            caption="../report/table_d_calibration.rst",
            category="Performance",
            labels={"table": "D-calibration"},
        ),
        decision_curve=report(
            f"{TABLES}/decision_curve.tsv",
            caption="../report/table_decision_curve.rst",
            category="Performance",
            labels={"table": "Decision curves"},
        ),
        hazard_ratios=report(
            f"{TABLES}/hazard_ratios.tsv",
            caption="../report/table_hazard_ratios.rst",
            category="Performance",
            labels={"table": "Hazard ratios"},
        ),
    log:
        f"{LOGS}/compare.log",
    benchmark:
        f"{BENCHMARKS}/compare.tsv"
    priority: LONGEST_WAY
    conda:
        "../../envs/models.yaml"
    threads: 1
    resources:
        mem_mb=memory(2500),
        runtime=minutes(30),
    params:
        settings=STUDY.fingerprint("evaluation", "models.run", "seed"),
    message:
        "Judge the frozen models on the validation cohorts and against the comparators"
    script:
        "../scripts/compare.py"


# The rows of the training cohort alone: no validation cohort can change them.
rule controls:
    input:
        features=f"{RESULTS}/design/features.parquet",
        folds=f"{RESULTS}/design/folds.parquet",
        candidates=f"{RESULTS}/design/candidates.json",
    output:
        controls=f"{RESULTS}/controls/training.parquet",
    log:
        f"{LOGS}/controls.log",
    benchmark:
        f"{BENCHMARKS}/controls.tsv"
    conda:
        "../../envs/models.yaml"
    threads: 1
    resources:
        mem_mb=memory(2500),
        runtime=minutes(60),
    params:
        settings=STUDY.fingerprint(
            "seed",
            "models.gene_index",
            "evaluation.permutations",
            "evaluation.random_sets",
            "evaluation.control_repeats",
        ),
    message:
        "Negative controls: permuted outcomes, random gene sets, the leaky recipe"
    script:
        "../scripts/controls.py"


rule controls_validation:
    input:
        features=f"{RESULTS}/design/features.parquet",
        platform=f"{RESULTS}/design/platform.json.gz",
        candidates=f"{RESULTS}/design/candidates.json",
        controls=f"{RESULTS}/controls/training.parquet",
        validation=expand(f"{RESULTS}/cohorts/{{cohort}}.h5ad", cohort=STUDY.validation),
    output:
        controls=report(
            f"{TABLES}/controls.tsv",
            caption="../report/table_controls.rst",
            category="Trust",
            labels={"table": "Negative controls, each draw"},
        ),
        summary=report(
            f"{TABLES}/controls_summary.tsv",
            caption="../report/table_controls_summary.rst",
            category="Trust",
            labels={"table": "Negative controls"},
        ),
    log:
        f"{LOGS}/controls_validation.log",
    benchmark:
        f"{BENCHMARKS}/controls_validation.tsv"
    conda:
        "../../envs/models.yaml"
    threads: 1
    resources:
        mem_mb=memory(2500),
        runtime=minutes(60),
    params:
        settings=STUDY.fingerprint(
            "seed",
            "features",
            "models.gene_index",
            "evaluation.random_sets",
            *(f"cohorts.{cohort}.adaptation" for cohort in STUDY.validation),
        ),
    message:
        "Random gene sets in the validation cohorts"
    script:
        "../scripts/controls_validation.py"


rule seed_stability:
    input:
        features=f"{RESULTS}/design/features.parquet",
        candidates=f"{RESULTS}/design/candidates.json",
        training=f"{RESULTS}/cohorts/{STUDY.training}.h5ad",
        selected=SELECTED,
    output:
        seed_stability=report(
            f"{TABLES}/seed_stability.tsv",
            caption="../report/table_seed_stability.rst",
            category="Trust",
            labels={"table": "Other seeds"},
        ),
        stability_summary=report(
            f"{TABLES}/stability_summary.tsv",
            caption="../report/table_stability_summary.rst",
            category="Trust",
            labels={"table": "Stability of the selection"},
        ),
    log:
        f"{LOGS}/seed_stability.log",
    benchmark:
        f"{BENCHMARKS}/seed_stability.tsv"
    conda:
        "../../envs/models.yaml"
    threads: 1
    resources:
        mem_mb=memory(2500),
        runtime=minutes(30),
    params:
        settings=STUDY.fingerprint(
            "seed", "crossvalidation", "models.gene_index", "evaluation.seeds"
        ),
    message:
        "Fit the gene index again with other seeds"
    script:
        "../scripts/seed_stability.py"


rule leakage_checks:
    input:
        cohorts=COHORTS,
        features=f"{RESULTS}/design/features.parquet",
        identity=f"{TABLES}/sample_identity.tsv",
    output:
        checks=report(
            f"{TABLES}/leakage_checks.tsv",
            caption="../report/table_leakage_checks.rst",
            category="Trust",
            labels={"table": "Leaks in the data"},
        ),
    log:
        f"{LOGS}/leakage_checks.log",
    benchmark:
        f"{BENCHMARKS}/leakage_checks.tsv"
    conda:
        "../../envs/models.yaml"
    threads: 1
    resources:
        mem_mb=memory(2500),
        runtime=minutes(10),
    params:
        settings=STUDY.fingerprint("features"),
    message:
        "Look for patients who are there twice, and for features that are nearly the outcome"
    script:
        "../scripts/leakage_checks.py"


rule notes:
    input:
        cohorts=f"{TABLES}/cohorts.tsv",
        design=f"{RESULTS}/design/report.tsv",
        folds=FOLD_NOTES,
        validation=expand(
            f"{RESULTS}/validation/{{cohort}}.notes.tsv", cohort=STUDY.validation
        ),
        leaderboard=f"{TABLES}/leaderboard.tsv",
        sample_size=f"{TABLES}/sample_size.tsv",
        leakage=f"{TABLES}/leakage_checks.tsv",
        identity=f"{TABLES}/sample_identity.tsv",
        effects=f"{TABLES}/batch_effects.tsv",
    output:
        notes=report(
            f"{TABLES}/notes.tsv",
            caption="../report/table_notes.rst",
            category="Trust",
            labels={"table": "Warnings"},
        ),
    log:
        f"{LOGS}/notes.log",
    benchmark:
        f"{BENCHMARKS}/notes.tsv"
    conda:
        "../../envs/models.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(5),
    params:
        settings=STUDY.fingerprint("cohorts", "models.run"),
    message:
        "Gather what the run warns about"
    script:
        "../scripts/notes.py"


if STUDY.simulate:

    rule planted:
        input:
            truth=simulated_files(STUDY)["truth"],
            candidates=f"{RESULTS}/design/candidates.json",
            index=f"{TABLES}/index.tsv",
            leaderboard=f"{TABLES}/leaderboard.tsv",
            validation=f"{TABLES}/validation.tsv",
        output:
            planted=report(
                f"{TABLES}/planted.tsv",
                caption="../report/table.rst",
                category="Trust",
                labels={"table": "Planted and found genes"},
            ),
            summary=f"{TABLES}/planted_summary.tsv",
        log:
            f"{LOGS}/planted.log",
        benchmark:
            f"{BENCHMARKS}/planted.tsv"
        conda:
            "../../envs/models.yaml"
        threads: 1
        resources:
            mem_mb=memory(1000),
            runtime=minutes(5),
        params:
            settings=STUDY.fingerprint("seed"),
        message:
            "Compare what was planted with what was found"
        script:
            "../scripts/planted.py"
