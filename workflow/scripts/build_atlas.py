"""A single-cell atlas: quality, normalisation, embedding, cell types."""

from pathlib import Path

from amlprognosis.cells.discover import discover_samples
from amlprognosis.cells.pipeline import build_atlas, write_atlas
from amlprognosis.cells.renaming import approved_names
from amlprognosis.job import job
from amlprognosis.signatures.gene_sets import read_gmt
from amlprognosis.tables import write_table

with job(snakemake) as study:
    asked = study.atlases[snakemake.wildcards.atlas]
    samples = discover_samples(Path(snakemake.input.retrieved).parent, asked.format)
    settings = {
        "samples": asked.samples or None,
        "quality": asked.quality.model_dump(),
        "embedding": asked.embedding.model_dump(),
    }
    markers = {name: gene_set.genes for name, gene_set in read_gmt(snakemake.input.cell_types).items()}
    atlas, report = build_atlas(samples, settings, markers, study.seed, rename=approved_names)
    write_atlas(atlas, snakemake.output.atlas)
    write_table(report, snakemake.output.quality)
