"""Raw files: the simulated demo world, and what a source sends."""

from amlprognosis.retrieve.plan import accession_text

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


# One job per service and accession, whoever asks for its files: a file that fails is tried again inside the job
# (retrieval.attempts), and a job that is killed goes on where it ended when it is started again.
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
        runtime=minutes(240),
    params:
        settings=lambda wildcards: STUDY.retrieval_fingerprint(
            wildcards.source, wildcards.accession
        ),
        # Derived from output by Snakemake's rules, so that a size known better reruns nothing.
        plan=lambda wildcards, output: accession_text(
            STUDY, wildcards.source, wildcards.accession
        ),
    message:
        "Retrieve {wildcards.source} {wildcards.accession} {params.plan}"
    script:
        "../scripts/retrieve.py"
