"""Figures and the report."""


rule figures:
    message:
        "Draw the figures"
    input:
        tables=expand(f"{TABLES}/{{table}}.tsv", table=REPORT_TABLES),
    output:
        **{
            name: report(
                f"{RESULTS}/figures/{name}.svg",
                caption=f"../report/{figure.caption_rst}",
                category=figure.category,
                labels=figure.labels,
            )
            for name, figure in FIGURES.items()
        },
    params:
        settings=STUDY.fingerprint("cohorts", "evaluation"),
    log:
        f"{LOGS}/figures.log",
    benchmark:
        f"{BENCHMARKS}/figures.tsv"
    threads: 1
    resources:
        mem_mb=memory(2500),
        runtime=minutes(10),
    conda:
        "../../envs/report.yaml"
    script:
        "../scripts/figures.py"


rule html_report:
    message:
        "Write the report"
    input:
        tables=expand(f"{TABLES}/{{table}}.tsv", table=REPORT_TABLES),
        figures=expand(f"{RESULTS}/figures/{{figure}}.svg", figure=sorted(FIGURES)),
        cohorts=expand(f"{RESULTS}/cohorts/{{cohort}}.h5ad", cohort=sorted(STUDY.cohorts)),
    output:
        report=f"{RESULTS}/report.html",
    params:
        settings=STUDY.fingerprint(
            "title", "description", "cohorts", "atlases", "features", "models", "evaluation", "seed"
        ),
    log:
        f"{LOGS}/html_report.log",
    benchmark:
        f"{BENCHMARKS}/html_report.tsv"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(10),
    conda:
        "../../envs/report.yaml"
    script:
        "../scripts/html_report.py"
