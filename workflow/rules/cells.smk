"""Single-cell atlases, and the gene index in their cells."""


rule build_atlas:
    input:
        retrieved=lambda wildcards: f"results/retrieved/cells/{STUDY.atlases[wildcards.atlas].accession}/PROVENANCE.json",
        cell_types=lambda wildcards: STUDY.atlases[wildcards.atlas].cell_type_sets,
    output:
        atlas=f"{RESULTS}/cells/{{atlas}}.h5ad",
        quality=report(
            f"{TABLES}/cell_quality_{{atlas}}.tsv",
            caption="../report/table.rst",
            category="Cells",
            labels={"table": "Cell quality", "atlas": "{atlas}"},
        ),
    log:
        f"{LOGS}/build_atlas/{{atlas}}.log",
    benchmark:
        f"{BENCHMARKS}/build_atlas/{{atlas}}.tsv"
    # The longest single job, and nothing before the report waits for it: start it first.
    priority: 10
    conda:
        "../../envs/cells.yaml"
    threads: 1
    resources:
        mem_mb=memory(3000),
        runtime=minutes(60),
    params:
        settings=lambda wildcards: STUDY.fingerprint(
            f"atlases.{wildcards.atlas}", "seed"
        ),
    message:
        "Build atlas {wildcards.atlas}"
    script:
        "../scripts/build_atlas.py"


rule score_atlas:
    input:
        atlas=f"{RESULTS}/cells/{{atlas}}.h5ad",
        index=f"{TABLES}/index.tsv",
    output:
        umap=f"{TABLES}/umap_{{atlas}}.tsv",
        scores=report(
            f"{TABLES}/cell_scores_{{atlas}}.tsv",
            caption="../report/table.rst",
            category="Cells",
            labels={"table": "Index score by cell type", "atlas": "{atlas}"},
        ),
        test=f"{TABLES}/cells_test_{{atlas}}.tsv",
    log:
        f"{LOGS}/score_atlas/{{atlas}}.log",
    benchmark:
        f"{BENCHMARKS}/score_atlas/{{atlas}}.tsv"
    conda:
        "../../envs/cells.yaml"
    threads: 1
    resources:
        mem_mb=memory(3000),
        runtime=minutes(30),
    params:
        settings=STUDY.fingerprint("seed"),
    message:
        "Score the gene index in the cells of {wildcards.atlas}"
    script:
        "../scripts/score_atlas.py"
