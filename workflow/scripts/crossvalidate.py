"""Out-of-fold predictions of one group of models in one repeat."""

import json
from pathlib import Path

import pandas as pd

from amlprognosis.evaluation.crossvalidate import crossvalidate
from amlprognosis.evaluation.inputs import model_factory, read_batches, read_features
from amlprognosis.job import job
from amlprognosis.tables import write_table

with job(snakemake) as study:
    features, outcome = read_features(snakemake.input.features)
    candidates = json.loads(Path(snakemake.input.candidates).read_text())["genes"]
    result = crossvalidate(
        features,
        outcome,
        pd.read_parquet(snakemake.input.folds),
        study.groups()[snakemake.wildcards.group],
        model_factory(study, candidates),
        int(snakemake.wildcards.repeat),
        study.evaluation.horizons_years,
        study.seed,
        batches=read_batches(study, snakemake.input.features),
    )
    result.predictions.to_parquet(snakemake.output.predictions)
    result.selected.to_parquet(snakemake.output.selected)
    write_table(result.notes, snakemake.output.notes)
    Path(snakemake.output.seconds).write_text(json.dumps(result.seconds, sort_keys=True) + "\n")
