"""Models: cross-validated on the training cohort, frozen, then applied to the locked validation cohorts."""


rule crossvalidate:
    message:
        "Cross-validate group {wildcards.group}, repeat {wildcards.repeat}"
    input:
        features=f"{RESULTS}/design/features.parquet",
        folds=f"{RESULTS}/design/folds.parquet",
        candidates=f"{RESULTS}/design/candidates.json",
    output:
        predictions=f"{RESULTS}/crossvalidation/{{group}}/repeat-{{repeat}}.parquet",
        selected=f"{RESULTS}/crossvalidation/{{group}}/repeat-{{repeat}}.selected.parquet",
        notes=f"{RESULTS}/crossvalidation/{{group}}/repeat-{{repeat}}.notes.tsv",
        seconds=f"{RESULTS}/crossvalidation/{{group}}/repeat-{{repeat}}.seconds.json",
    params:
        settings=lambda wildcards: STUDY.models_fingerprint(STUDY.groups()[wildcards.group]),
    log:
        f"{LOGS}/crossvalidate/{{group}}/repeat-{{repeat}}.log",
    benchmark:
        f"{BENCHMARKS}/crossvalidate/{{group}}/repeat-{{repeat}}.tsv"
    threads: 1
    resources:
        mem_mb=memory(2500),
        runtime=minutes(120),
    conda:
        "../../envs/models.yaml"
    script:
        "../scripts/crossvalidate.py"


# A rule per group: its models share one job, whose start-up costs more than most fits.
for GROUP, MEMBERS in STUDY.groups().items():

    rule:
        name:
            f"fit_{GROUP}"
        message:
            f"Fit and freeze group {GROUP} on all training patients"
        input:
            features=f"{RESULTS}/design/features.parquet",
            candidates=f"{RESULTS}/design/candidates.json",
        output:
            models=directory(expand(f"{RESULTS}/models/{{model}}", model=MEMBERS)),
        params:
            settings=STUDY.models_fingerprint(MEMBERS),
        log:
            f"{LOGS}/fit/{GROUP}.log",
        benchmark:
            f"{BENCHMARKS}/fit/{GROUP}.tsv"
        threads: 1
        resources:
            mem_mb=memory(2500),
            runtime=minutes(60),
        conda:
            "../../envs/models.yaml"
        script:
            "../scripts/fit.py"


rule validate:
    message:
        "Apply the frozen models to {wildcards.cohort}"
    input:
        cohort=f"{RESULTS}/cohorts/{{cohort}}.h5ad",
        features=f"{RESULTS}/design/features.parquet",
        models=expand(f"{RESULTS}/models/{{model}}", model=STUDY.models.run),
    output:
        predictions=f"{RESULTS}/validation/{{cohort}}.parquet",
        notes=f"{RESULTS}/validation/{{cohort}}.notes.tsv",
    params:
        settings=lambda wildcards: STUDY.fingerprint(
            f"cohorts.{wildcards.cohort}.adaptation", "features", "evaluation.horizons_years"
        ),
    log:
        f"{LOGS}/validate/{{cohort}}.log",
    benchmark:
        f"{BENCHMARKS}/validate/{{cohort}}.tsv"
    threads: 1
    resources:
        mem_mb=memory(2500),
        runtime=minutes(30),
    conda:
        "../../envs/models.yaml"
    script:
        "../scripts/validate.py"
