"""Performance of every model in cross-validation, stability of selection, sample size."""

from pathlib import Path

import pandas as pd

from amlprognosis.evaluation.inputs import read_features, read_parts
from amlprognosis.evaluation.summaries import leaderboard_tables
from amlprognosis.job import job
from amlprognosis.tables import read_table, write_table

with job(snakemake) as study:
    features, outcome = read_features(snakemake.input.features)
    notes = pd.concat([read_table(path) for path in snakemake.input.notes], ignore_index=True)
    tables = leaderboard_tables(
        study,
        features,
        outcome,
        read_parts(snakemake.input.predictions),
        read_parts(snakemake.input.selected),
        notes,
        read_parts(snakemake.input.inner),
        [Path(path).parent for path in snakemake.input.models],
        snakemake.threads,
    )
    for name, table in tables.items():
        write_table(table, snakemake.output[name])
