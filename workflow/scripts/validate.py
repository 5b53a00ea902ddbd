"""Apply the frozen models to a locked cohort."""

from pathlib import Path

from amlprognosis.cohort import read_cohort
from amlprognosis.evaluation.apply import apply_models
from amlprognosis.evaluation.inputs import read_features
from amlprognosis.job import job
from amlprognosis.normalize.harmonize import adapt, validation_features
from amlprognosis.tables import write_table

with job(snakemake) as study:
    name = snakemake.wildcards.cohort
    training, _ = read_features(snakemake.input.features)
    features, _ = validation_features(study, name, read_cohort(snakemake.input.cohort), list(training.columns))
    adapted = adapt(features, training, study.cohorts[name].adaptation[0])
    predictions, notes = apply_models(study, name, adapted, [Path(path).parent for path in snakemake.input.models])
    predictions.to_parquet(snakemake.output.predictions)
    write_table(notes, snakemake.output.notes)
