"""The gene index in the cells of an atlas."""

import pandas as pd

from amlprognosis.cells.pipeline import read_atlas
from amlprognosis.cells.score import index_score, malignant_against_normal, score_by_type
from amlprognosis.job import job
from amlprognosis.tables import read_table, write_table

with job(snakemake):
    atlas = read_atlas(snakemake.input.atlas)
    index = read_table(snakemake.input.index)
    score, _ = index_score(atlas, pd.Series(index["coefficient"].to_numpy(), index=index["gene"]))
    cells = atlas.obs[["cell_type", "cell_type_scored", "malignant", "sample", "patient"]].astype(object)
    cells.insert(0, "cell", atlas.obs_names)
    cells[["umap1", "umap2"]] = atlas.obsm["X_umap"]
    cells["index_score"] = score
    write_table(cells, snakemake.output.umap)
    write_table(score_by_type(atlas, score), snakemake.output.scores)
    write_table(malignant_against_normal(atlas, score), snakemake.output.test, decimals={"p": 6})
