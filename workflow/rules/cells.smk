"""Single-cell atlases, and the gene index in their cells."""


rule build_atlas:
    message:
        "Build atlas {wildcards.atlas}"
    input:
        retrieved=lambda wildcards: f"results/retrieved/cells/{STUDY.atlases[wildcards.atlas].accession}/PROVENANCE.json",
        cell_types=lambda wildcards: STUDY.atlases[wildcards.atlas].cell_type_sets,
    output:
        atlas=f"{RESULTS}/cells/{{atlas}}.h5ad",
        quality=report(
            f"{TABLES}/cell_quality_{{atlas}}.tsv",
            caption="../report/table.rst",
            category="Single cells",
            labels={"table": "Cell quality", "atlas": "{atlas}"},
        ),
    params:
        settings=lambda wildcards: STUDY.fingerprint(f"atlases.{wildcards.atlas}", "seed"),
    log:
        f"{LOGS}/build_atlas/{{atlas}}.log",
    benchmark:
        f"{BENCHMARKS}/build_atlas/{{atlas}}.tsv"
    threads: 1
    # The longest single job, and nothing before the report waits for it: start it first.
    priority: 10
    resources:
        mem_mb=memory(3000),
        runtime=minutes(60),
    conda:
        "../../envs/cells.yaml"
    script:
        "../scripts/build_atlas.py"


rule score_atlas:
    message:
        "Score the gene index in the cells of {wildcards.atlas}"
    input:
        atlas=f"{RESULTS}/cells/{{atlas}}.h5ad",
        index=f"{TABLES}/index.tsv",
    output:
        umap=f"{TABLES}/umap_{{atlas}}.tsv",
        scores=report(
            f"{TABLES}/cell_scores_{{atlas}}.tsv",
            caption="../report/table.rst",
            category="Single cells",
            labels={"table": "Index score by cell type", "atlas": "{atlas}"},
        ),
        test=f"{TABLES}/cells_test_{{atlas}}.tsv",
    params:
        settings=STUDY.fingerprint("seed"),
    log:
        f"{LOGS}/score_atlas/{{atlas}}.log",
    benchmark:
        f"{BENCHMARKS}/score_atlas/{{atlas}}.tsv"
    threads: 1
    resources:
        mem_mb=memory(3000),
        runtime=minutes(30),
    conda:
        "../../envs/cells.yaml"
    script:
        "../scripts/score_atlas.py"
