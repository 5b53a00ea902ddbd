"""The gene index as tables."""

from pathlib import Path

from amlprognosis.evaluation.hazard_ratios import patient_index
from amlprognosis.evaluation.inputs import read_features, read_frozen, read_parts
from amlprognosis.evaluation.survival_groups import patient_groups
from amlprognosis.job import job
from amlprognosis.signatures.gene_sets import read_gmt
from amlprognosis.signatures.index_tables import heatmap_table, index_table
from amlprognosis.tables import read_table, write_table

with job(snakemake) as study:
    features, outcome = read_features(snakemake.input.features)
    stability = read_table(snakemake.input.stability).query("model == 'gene_index'")
    sets = {name: gene_set.genes for name, gene_set in read_gmt(study.gene_sets.file).items()}
    frozen = read_frozen(Path(snakemake.input.model).parent)
    index = index_table(frozen, dict(zip(stability["feature"], stability["frequency"], strict=True)), sets)
    own = read_parts(snakemake.input.predictions).query("model == 'gene_index'")
    heatmap = heatmap_table(features, outcome, list(index["gene"]), patient_index(own), patient_groups(own))
    write_table(index, snakemake.output.index, decimals=6)
    write_table(heatmap, snakemake.output.heatmap)
