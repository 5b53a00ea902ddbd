"""Out-of-fold predictions of one group of the grid in one repeat, and concordance in its inner folds."""

import json
from pathlib import Path

import pandas as pd

from amlprognosis.evaluation.grid import crossvalidate_grid
from amlprognosis.evaluation.inputs import model_factory, read_batches, read_features
from amlprognosis.job import job
from amlprognosis.tables import write_table

with job(snakemake) as study:
    features, outcome = read_features(snakemake.input.features)
    candidates = json.loads(Path(snakemake.input.candidates).read_text())["genes"]
    group, repeat = snakemake.wildcards.grid, int(snakemake.wildcards.repeat)
    result = crossvalidate_grid(
        features,
        outcome,
        pd.read_parquet(snakemake.input.folds),
        study.groups()[group],
        model_factory(study, candidates),
        repeat,
        study.evaluation.horizons_years,
        study.seed,
        study.models.grid.inner_folds,
        snakemake.threads,
        f"{group}, repeat {repeat} of {study.crossvalidation.repeats}",
        read_batches(study, snakemake.input.features),
    )
    result.outer.predictions.to_parquet(snakemake.output.predictions)
    result.outer.selected.to_parquet(snakemake.output.selected)
    # A grid of one has nothing to choose; its inner folds calibrated the survival curves.
    (result.inner if study.nests_grid else result.inner.iloc[:0]).to_parquet(snakemake.output.inner)
    write_table(result.outer.notes, snakemake.output.notes)
    Path(snakemake.output.seconds).write_text(json.dumps(result.outer.seconds, sort_keys=True) + "\n")
