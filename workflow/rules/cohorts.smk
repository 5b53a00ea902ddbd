"""Bulk cohorts under one contract, and the training matrix."""


rule build_cohort:
    input:
        retrieved=lambda wildcards: retrieved_provenance(wildcards.cohort),
        tables=lambda wildcards: sorted(STUDY.source_paths(wildcards.cohort).values()),
        reference=lambda wildcards: counts_reference(wildcards.cohort),
        training=lambda wildcards: training_of(wildcards.cohort),
    output:
        cohort=f"{RESULTS}/cohorts/{{cohort}}.h5ad",
    log:
        f"{LOGS}/build_cohort/{{cohort}}.log",
    benchmark:
        f"{BENCHMARKS}/build_cohort/{{cohort}}.tsv"
    priority: LONGEST_WAY
    conda:
        "../../envs/models.yaml"
    threads: 1
    resources:
        mem_mb=memory(3000),
        runtime=minutes(30),
    params:
        settings=lambda wildcards: STUDY.fingerprint(
            f"cohorts.{wildcards.cohort}", "data_root"
        ),
    message:
        "Build cohort {wildcards.cohort}"
    script:
        "../scripts/build_cohort.py"


rule design:
    input:
        training=f"{RESULTS}/cohorts/{STUDY.training}.h5ad",
        validation=expand(f"{RESULTS}/cohorts/{{cohort}}.h5ad", cohort=STUDY.validation),
        gene_sets=STUDY.gene_sets.file,
    output:
        features=f"{RESULTS}/design/features.parquet",
        platform=f"{RESULTS}/design/platform.json.gz",
        folds=f"{RESULTS}/design/folds.parquet",
        candidates=f"{RESULTS}/design/candidates.json",
        report=f"{RESULTS}/design/report.tsv",
    log:
        f"{LOGS}/design.log",
    benchmark:
        f"{BENCHMARKS}/design.tsv"
    priority: LONGEST_WAY
    conda:
        "../../envs/models.yaml"
    threads: 1
    resources:
        mem_mb=memory(3000),
        runtime=minutes(10),
    params:
        settings=STUDY.fingerprint("features", "gene_sets", "crossvalidation", "seed"),
    message:
        "Build the training matrix and the folds"
    script:
        "../scripts/design.py"


rule describe:
    input:
        cohorts=COHORTS,
        design=f"{RESULTS}/design/report.tsv",
    output:
        cohorts=report(
            f"{TABLES}/cohorts.tsv",
            caption="../report/table_cohorts.rst",
            category="Cohorts",
            labels={"table": "Cohorts"},
        ),
        flow=report(
            f"{TABLES}/flow.tsv",
            caption="../report/table_flow.rst",
            category="Cohorts",
            labels={"table": "Patient flow"},
        ),
        exclusions=f"{TABLES}/exclusions.tsv",
        preprocessing=f"{TABLES}/preprocessing.tsv",
        provenance=f"{TABLES}/provenance.tsv",
    log:
        f"{LOGS}/describe.log",
    benchmark:
        f"{BENCHMARKS}/describe.tsv"
    conda:
        "../../envs/models.yaml"
    threads: 1
    resources:
        mem_mb=memory(3000),
        runtime=minutes(10),
    params:
        settings=STUDY.fingerprint("cohorts"),
    message:
        "Describe the cohorts"
    script:
        "../scripts/describe.py"
