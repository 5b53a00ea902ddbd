"""Quality of the data: batches, identity of samples, and a page per cohort."""


# All cohorts in one job: its start costs more than a page.
rule quality:
    input:
        cohorts=COHORTS,
        platform=f"{RESULTS}/design/platform.json.gz",
    output:
        **{
            name: report(
                f"{TABLES}/{name}.tsv",
                caption=f"../report/table_{name}.rst",
                category="Quality",
                labels={"table": label},
            )
            for name, label in (
                ("batch_effects", "Batches and platforms"),
                ("sample_identity", "Identity of the samples"),
                ("sample_quality", "Every sample"),
            )
        },
        pages=[
            report(
                page,
                caption="../report/table_quality.rst",
                category="Quality",
                labels={"page": "Quality page", "cohort": STUDY.cohort_label(name)},
            )
            for name, page in zip(STUDY.cohorts, quality_pages(STUDY))
        ],
        completeness=f"{TABLES}/completeness.tsv",
        components=f"{TABLES}/components.tsv",
    log:
        f"{LOGS}/quality.log",
    benchmark:
        f"{BENCHMARKS}/quality.tsv"
    conda:
        "../../envs/quality.yaml"
    threads: 1
    resources:
        mem_mb=memory(3000),
        runtime=minutes(15),
    params:
        settings=STUDY.fingerprint("cohorts", "features", "seed", "title"),
    message:
        "Assess batches and samples, and write the quality pages"
    script:
        "../scripts/quality.py"
