"""Negative controls of the gene index in the cross-validation of the training cohort."""

import json
from pathlib import Path

import pandas as pd

from amlprognosis.evaluation.controls import training_controls
from amlprognosis.evaluation.inputs import read_batches, read_features
from amlprognosis.job import job

with job(snakemake) as study:
    features, outcome = read_features(snakemake.input.features)
    candidates = json.loads(Path(snakemake.input.candidates).read_text())["genes"]
    folds = pd.read_parquet(snakemake.input.folds)
    batches = read_batches(study, snakemake.input.features)
    controls = training_controls(study, features, outcome, folds, candidates, snakemake.threads, batches)
    controls.to_parquet(snakemake.output.controls)
