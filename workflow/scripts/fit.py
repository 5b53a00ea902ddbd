"""Fit the models of a group on all training patients and freeze them."""

import json
from pathlib import Path

from amlprognosis.evaluation.freeze import freeze_all
from amlprognosis.evaluation.inputs import model_factory, read_batches, read_features
from amlprognosis.job import job

with job(snakemake) as study:
    features, outcome = read_features(snakemake.input.features)
    candidates = json.loads(Path(snakemake.input.candidates).read_text())["genes"]
    names = [study.model_of_folder(Path(path).parent.name) for path in snakemake.output.models]
    folder = Path(snakemake.output.models[0]).parents[1]
    make, platform = model_factory(study, candidates), snakemake.input.platform
    batches = read_batches(study, snakemake.input.features)
    freeze_all(study, names, make, features, outcome, folder, snakemake.threads, platform, batches)
