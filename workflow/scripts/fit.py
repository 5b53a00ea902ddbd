"""Fit the models of a group on all training patients and freeze them."""

import json
from pathlib import Path

from amlprognosis.evaluation.freeze import freeze
from amlprognosis.evaluation.inputs import model_factory, read_features
from amlprognosis.job import job

with job(snakemake) as study:
    features, outcome = read_features(snakemake.input.features)
    candidates = json.loads(Path(snakemake.input.candidates).read_text())["genes"]
    for path in snakemake.output.models:
        folder = Path(path).parent
        freeze(study, folder.name, model_factory(study, candidates), features, outcome, folder)
