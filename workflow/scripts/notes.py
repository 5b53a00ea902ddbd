"""What the run itself warns about."""

import pandas as pd

from amlprognosis.evaluation.notes import NOTE_COLUMNS, note_table
from amlprognosis.evaluation.quality_notes import quality_notes
from amlprognosis.job import job
from amlprognosis.tables import read_table, write_table

with job(snakemake) as study:
    folds = pd.concat([read_table(path) for path in snakemake.input.folds], ignore_index=True)
    parts = [read_table(path) for path in snakemake.input.validation]
    validation = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=NOTE_COLUMNS)
    notes = note_table(
        study,
        read_table(snakemake.input.cohorts),
        read_table(snakemake.input.design),
        folds,
        validation,
        read_table(snakemake.input.leaderboard),
        read_table(snakemake.input.sample_size),
        read_table(snakemake.input.leakage),
        quality_notes(study, read_table(snakemake.input.identity), read_table(snakemake.input.effects)),
    )
    write_table(notes, snakemake.output.notes)
