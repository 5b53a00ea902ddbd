"""Raw files: the simulated demo world, and what a source sends."""

if STUDY.simulate:

    rule simulate:
        message:
            "Simulate the demo world"
        output:
            **simulated_files(STUDY),
        params:
            directory=f"{RESULTS}/simulated",
            settings=STUDY.fingerprint("simulate", "seed"),
        log:
            f"{LOGS}/simulate.log",
        benchmark:
            f"{BENCHMARKS}/simulate.tsv"
        threads: 1
        resources:
            mem_mb=memory(3000),
            runtime=minutes(10),
        conda:
            "../../envs/models.yaml"
        script:
            "../scripts/simulate.py"


rule retrieve:
    message:
        "Retrieve {wildcards.source} {wildcards.accession}"
    input:
        list(simulated_files(STUDY).values())[:1],
    output:
        "results/retrieved/{source}/{accession}/PROVENANCE.json",
    params:
        settings=lambda wildcards: STUDY.retrieval_fingerprint(wildcards.source, wildcards.accession),
    log:
        "results/retrieved/logs/{source}/{accession}.log",
    benchmark:
        "results/retrieved/benchmarks/{source}/{accession}.tsv"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(120),
    conda:
        "../../envs/models.yaml"
    script:
        "../scripts/retrieve.py"
