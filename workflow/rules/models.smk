"""Models: cross-validated on the training cohort, frozen, then applied to the locked validation cohorts."""


rule crossvalidate:
    input:
        features=f"{RESULTS}/design/features.parquet",
        folds=f"{RESULTS}/design/folds.parquet",
        candidates=f"{RESULTS}/design/candidates.json",
    output:
        predictions=f"{RESULTS}/crossvalidation/{{group}}/repeat-{{repeat}}.parquet",
        selected=f"{RESULTS}/crossvalidation/{{group}}/repeat-{{repeat}}.selected.parquet",
        notes=f"{RESULTS}/crossvalidation/{{group}}/repeat-{{repeat}}.notes.tsv",
        seconds=f"{RESULTS}/crossvalidation/{{group}}/repeat-{{repeat}}.seconds.json",
    log:
        f"{LOGS}/crossvalidate/{{group}}/repeat-{{repeat}}.log",
    benchmark:
        f"{BENCHMARKS}/crossvalidate/{{group}}/repeat-{{repeat}}.tsv"
    priority: LONGEST_WAY
    conda:
        "../../envs/models.yaml"
    threads: 1
    resources:
        mem_mb=memory(2500),
        runtime=minutes(120),
    params:
        settings=lambda wildcards: STUDY.models_fingerprint(
            STUDY.groups()[wildcards.group]
        ),
    message:
        "Cross-validate group {wildcards.group}, repeat {wildcards.repeat}"
    script:
        "../scripts/crossvalidate.py"


rule crossvalidate_grid:
    input:
        features=f"{RESULTS}/design/features.parquet",
        folds=f"{RESULTS}/design/folds.parquet",
        candidates=f"{RESULTS}/design/candidates.json",
    output:
        predictions=f"{RESULTS}/crossvalidation/{{grid}}/repeat-{{repeat}}.parquet",
        selected=f"{RESULTS}/crossvalidation/{{grid}}/repeat-{{repeat}}.selected.parquet",
        notes=f"{RESULTS}/crossvalidation/{{grid}}/repeat-{{repeat}}.notes.tsv",
        inner=f"{RESULTS}/crossvalidation/{{grid}}/repeat-{{repeat}}.inner.parquet",
        seconds=f"{RESULTS}/crossvalidation/{{grid}}/repeat-{{repeat}}.seconds.json",
    log:
        f"{LOGS}/crossvalidate/{{grid}}/repeat-{{repeat}}.log",
    benchmark:
        f"{BENCHMARKS}/crossvalidate/{{grid}}/repeat-{{repeat}}.tsv"
    priority: LONGEST_WAY
    conda:
        "../../envs/models.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(240),
    params:
        settings=lambda wildcards: STUDY.models_fingerprint(
            STUDY.groups()[wildcards.grid]
        ),
    message:
        "Cross-validate {wildcards.grid}, repeat {wildcards.repeat}"
    script:
        "../scripts/crossvalidate_grid.py"


# A rule per group: its models share one job, whose start-up costs more than most fits.
for GROUP, MEMBERS in STUDY.groups().items():

    rule:
        name:
            f"fit_{GROUP}"
        input:
            features=f"{RESULTS}/design/features.parquet",
            platform=f"{RESULTS}/design/platform.json.gz",
            candidates=f"{RESULTS}/design/candidates.json",
        output:
            models=expand(
                f"{RESULTS}/models/{{model}}/model.json",
                model=[model_slug(member) for member in MEMBERS],
            ),
        log:
            f"{LOGS}/fit/{GROUP}.log",
        benchmark:
            f"{BENCHMARKS}/fit/{GROUP}.tsv"
        priority: LONGEST_WAY
        conda:
            "../../envs/models.yaml"
        threads: 1
        resources:
            mem_mb=memory(2500),
            runtime=minutes(60),
        params:
            settings=STUDY.models_fingerprint(MEMBERS),
        message:
            f"Fit and freeze group {GROUP} on all training patients"
        script:
            "../scripts/fit.py"


rule validate:
    input:
        cohort=f"{RESULTS}/cohorts/{{cohort}}.h5ad",
        features=f"{RESULTS}/design/features.parquet",
        models=MODELS,
    output:
        predictions=f"{RESULTS}/validation/{{cohort}}.parquet",
        notes=f"{RESULTS}/validation/{{cohort}}.notes.tsv",
    log:
        f"{LOGS}/validate/{{cohort}}.log",
    benchmark:
        f"{BENCHMARKS}/validate/{{cohort}}.tsv"
    priority: LONGEST_WAY
    conda:
        "../../envs/models.yaml"
    threads: 1
    resources:
        mem_mb=memory(2500),
        runtime=minutes(30),
    params:
        settings=lambda wildcards: STUDY.fingerprint(
            f"cohorts.{wildcards.cohort}.adaptation",
            "features",
        ),
    message:
        "Apply the frozen models to {wildcards.cohort}"
    script:
        "../scripts/validate.py"


# Reads nothing of the validation cohorts: a card belongs to the frozen model.
rule cards:
    input:
        models=MODELS,
        training=f"{RESULTS}/cohorts/{STUDY.training}.h5ad",
        features=f"{RESULTS}/design/features.parquet",
        leaderboard=f"{TABLES}/leaderboard.tsv",
        sample_size=f"{TABLES}/sample_size.tsv",
        stability=f"{TABLES}/stability.tsv",
    output:
        CARDS,
    log:
        f"{LOGS}/cards.log",
    benchmark:
        f"{BENCHMARKS}/cards.tsv"
    conda:
        "../../envs/models.yaml"
    threads: 1
    resources:
        mem_mb=memory(2500),
        runtime=minutes(20),
    params:
        settings=STUDY.fingerprint(
            "title",
            f"cohorts.{STUDY.training}",
            "crossvalidation",
            "evaluation",
            "features",
            "seed",
        ),
    message:
        "Write the cards of the frozen models"
    script:
        "../scripts/cards.py"
