"""Bulk cohorts under one contract, and the training matrix."""


def retrieved_provenance(cohort):
    """Provenance of a cohort's retrieved files; own tables are read in place."""
    source = STUDY.retrieval_of(cohort)
    return [f"results/retrieved/{source[0]}/{source[1]}/PROVENANCE.json"] if source else []


def counts_reference(cohort):
    """Cohort that holds the frozen normalisation reference of this one."""
    training = STUDY.counts_reference(cohort)
    return [f"{RESULTS}/cohorts/{training}.h5ad"] if training else []


rule build_cohort:
    message:
        "Build cohort {wildcards.cohort}"
    input:
        retrieved=lambda wildcards: retrieved_provenance(wildcards.cohort),
        tables=lambda wildcards: sorted(STUDY.source_paths(wildcards.cohort).values()),
        reference=lambda wildcards: counts_reference(wildcards.cohort),
    output:
        cohort=f"{RESULTS}/cohorts/{{cohort}}.h5ad",
    params:
        settings=lambda wildcards: STUDY.fingerprint(f"cohorts.{wildcards.cohort}", "data_root"),
    log:
        f"{LOGS}/build_cohort/{{cohort}}.log",
    benchmark:
        f"{BENCHMARKS}/build_cohort/{{cohort}}.tsv"
    threads: 1
    resources:
        mem_mb=memory(3000),
        runtime=minutes(30),
    conda:
        "../../envs/models.yaml"
    script:
        "../scripts/build_cohort.py"


rule design:
    message:
        "Build the training matrix and the folds"
    input:
        training=f"{RESULTS}/cohorts/{STUDY.training}.h5ad",
        validation=expand(f"{RESULTS}/cohorts/{{cohort}}.h5ad", cohort=STUDY.validation),
        gene_sets=STUDY.gene_sets.file,
    output:
        features=f"{RESULTS}/design/features.parquet",
        folds=f"{RESULTS}/design/folds.parquet",
        candidates=f"{RESULTS}/design/candidates.json",
        report=f"{RESULTS}/design/report.tsv",
    params:
        settings=STUDY.fingerprint("features", "gene_sets", "crossvalidation", "seed"),
    log:
        f"{LOGS}/design.log",
    benchmark:
        f"{BENCHMARKS}/design.tsv"
    threads: 1
    resources:
        mem_mb=memory(3000),
        runtime=minutes(10),
    conda:
        "../../envs/models.yaml"
    script:
        "../scripts/design.py"


rule describe:
    message:
        "Describe the cohorts"
    input:
        cohorts=expand(f"{RESULTS}/cohorts/{{cohort}}.h5ad", cohort=sorted(STUDY.cohorts)),
        design=f"{RESULTS}/design/report.tsv",
    output:
        cohorts=report(
            f"{TABLES}/cohorts.tsv",
            caption="../report/table_cohorts.rst",
            category="Patients",
            labels={"table": "Cohorts"},
        ),
        flow=report(
            f"{TABLES}/flow.tsv",
            caption="../report/table_flow.rst",
            category="Patients",
            labels={"table": "Patient flow"},
        ),
        exclusions=f"{TABLES}/exclusions.tsv",
        preprocessing=f"{TABLES}/preprocessing.tsv",
        provenance=f"{TABLES}/provenance.tsv",
    params:
        settings=STUDY.fingerprint("cohorts"),
    log:
        f"{LOGS}/describe.log",
    benchmark:
        f"{BENCHMARKS}/describe.tsv"
    threads: 1
    resources:
        mem_mb=memory(3000),
        runtime=minutes(10),
    conda:
        "../../envs/models.yaml"
    script:
        "../scripts/describe.py"
