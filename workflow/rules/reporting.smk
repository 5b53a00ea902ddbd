"""Reporting standards: subgroups, risk of bias, the TRIPOD+AI checklist."""

EVIDENCE = expand(f"{TABLES}/{{table}}.tsv", table=evidence_tables(STUDY))


rule subgroups:
    input:
        cohorts=COHORTS,
        predictions=OUT_OF_FOLD,
        validated=VALIDATED,
    output:
        subgroups=report(
            f"{TABLES}/subgroups.tsv",
            caption="../report/table_subgroups.rst",
            category="Trust",
            labels={"table": "Performance in subgroups"},
        ),
    log:
        f"{LOGS}/subgroups.log",
    benchmark:
        f"{BENCHMARKS}/subgroups.tsv"
    conda:
        "../../envs/models.yaml"
    threads: 1
    resources:
        mem_mb=memory(2500),
        runtime=minutes(15),
    params:
        settings=STUDY.fingerprint("cohorts", "evaluation", "models.run", "seed"),
    message:
        "Judge the reported models within sex, age and risk groups"
    script:
        "../scripts/subgroups.py"


rule risk_of_bias:
    input:
        tables=EVIDENCE,
    output:
        table=report(
            f"{TABLES}/risk_of_bias.tsv",
            caption="../report/table_risk_of_bias.rst",
            category="Trust",
            labels={"table": "Risk of bias"},
        ),
    log:
        f"{LOGS}/risk_of_bias.log",
    benchmark:
        f"{BENCHMARKS}/risk_of_bias.tsv"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=memory(1500),
        runtime=minutes(5),
    params:
        settings=STUDY.fingerprint(
            "simulate", "cohorts", "features", "models", "evaluation", "reporting"
        ),
    message:
        "Look for what may bias the study"
    script:
        "../scripts/risk_of_bias.py"


rule checklist:
    input:
        tables=EVIDENCE,
        risk_of_bias=f"{TABLES}/risk_of_bias.tsv",
    output:
        table=f"{TABLES}/tripod_ai.tsv",
        page=report(
            f"{RESULTS}/tripod_ai.html",
            caption="../report/tripod_ai.rst",
            category="Trust",
            labels={"table": "TRIPOD+AI checklist"},
        ),
    log:
        f"{LOGS}/checklist.log",
    benchmark:
        f"{BENCHMARKS}/checklist.tsv"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=memory(1500),
        runtime=minutes(5),
    params:
        settings=STUDY.fingerprint(
            "title",
            "description",
            "seed",
            "simulate",
            "cohorts",
            "gene_sets",
            "features",
            "crossvalidation",
            "models",
            "evaluation",
            "reporting",
        ),
    message:
        "Fill the TRIPOD+AI checklist"
    script:
        "../scripts/checklist.py"
