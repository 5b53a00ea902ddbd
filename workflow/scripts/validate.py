"""Apply the frozen models to a locked cohort."""

from pathlib import Path

from amlprognosis.cohort import read_cohort
from amlprognosis.evaluation.apply import apply_models
from amlprognosis.evaluation.inputs import OUTCOME, read_features
from amlprognosis.job import job
from amlprognosis.normalize.harmonize import validation_features
from amlprognosis.tables import write_table

with job(snakemake) as study:
    name = snakemake.wildcards.cohort
    training, _ = read_features(snakemake.input.features)
    features, _ = validation_features(study, name, read_cohort(snakemake.input.cohort), list(training.columns))
    folders = [Path(path).parent for path in snakemake.input.models]
    predictions, notes = apply_models(study, name, features.drop(columns=OUTCOME), folders)
    predictions.to_parquet(snakemake.output.predictions)
    write_table(notes, snakemake.output.notes)
