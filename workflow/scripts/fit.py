"""Fit a model on all training patients and freeze it."""

import json
from pathlib import Path

from amlprognosis.evaluation.freeze import freeze
from amlprognosis.evaluation.inputs import model_factory, read_features
from amlprognosis.job import job

with job(snakemake) as study:
    features, outcome = read_features(snakemake.input.features)
    candidates = json.loads(Path(snakemake.input.candidates).read_text())["genes"]
    name = snakemake.wildcards.model
    freeze(study, name, model_factory(study, candidates), features, outcome, snakemake.output.model)
