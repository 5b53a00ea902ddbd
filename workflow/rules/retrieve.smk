"""Raw files: the simulated demo world, and what a source sends."""

if STUDY.simulate:

    rule simulate:
        output:
            **simulated_files(STUDY),
        log:
            f"{LOGS}/simulate.log",
        benchmark:
            f"{BENCHMARKS}/simulate.tsv"
        conda:
            "../../envs/models.yaml"
        threads: 1
        resources:
            mem_mb=memory(3000),
            runtime=minutes(10),
        params:
            settings=STUDY.fingerprint("simulate", "seed"),
        message:
            "Simulate the demo world"
        script:
            "../scripts/simulate.py"


rule retrieve:
    input:
        list(simulated_files(STUDY).values())[:1],
    output:
        "results/retrieved/{source}/{accession}/PROVENANCE.json",
    log:
        "results/retrieved/logs/{source}/{accession}.log",
    benchmark:
        "results/retrieved/benchmarks/{source}/{accession}.tsv"
    conda:
        "../../envs/models.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(120),
    params:
        settings=lambda wildcards: STUDY.retrieval_fingerprint(
            wildcards.source, wildcards.accession
        ),
    message:
        "Retrieve {wildcards.source} {wildcards.accession}"
    script:
        "../scripts/retrieve.py"
