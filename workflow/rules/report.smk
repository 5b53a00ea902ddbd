"""Figures and the report."""


rule figures:
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
        specifications=expand(
            f"{RESULTS}/figures/{{figure}}.vl.json", figure=sorted(FIGURES)
        ),
    log:
        f"{LOGS}/figures.log",
    benchmark:
        f"{BENCHMARKS}/figures.tsv"
    conda:
        "../../envs/report.yaml"
    threads: 2
    resources:
        mem_mb=memory(2500),
        runtime=minutes(10),
    params:
        settings=STUDY.fingerprint("cohorts", "evaluation"),
    message:
        "Draw the figures"
    script:
        "../scripts/figures.py"


rule html_report:
    input:
        tables=expand(
            f"{TABLES}/{{table}}.tsv", table=[*REPORT_TABLES, *REPORTING_TABLES]
        ),
        figures=expand(f"{RESULTS}/figures/{{figure}}.vl.json", figure=sorted(FIGURES)),
        cohorts=COHORTS,
    output:
        report=f"{RESULTS}/report.html",
    log:
        f"{LOGS}/html_report.log",
    benchmark:
        f"{BENCHMARKS}/html_report.tsv"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(10),
    params:
        command=COMMAND,
        settings=STUDY.fingerprint(
            "title",
            "description",
            "cohorts",
            "atlases",
            "features",
            "models",
            "evaluation",
            "seed",
        ),
    message:
        "Write the report"
    script:
        "../scripts/html_report.py"
