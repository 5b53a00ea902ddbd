"""Random gene sets, frozen as the gene index is, in the validation cohorts; and the tables of all controls."""

import json
from pathlib import Path

import pandas as pd

from amlprognosis.cohort import read_cohort
from amlprognosis.evaluation.controls import validation_controls
from amlprognosis.evaluation.inputs import OUTCOME, read_batches, read_features
from amlprognosis.evaluation.nulls import summarize_controls
from amlprognosis.job import job
from amlprognosis.normalize.harmonize import validation_features
from amlprognosis.normalize.platform import adapt, read_platform
from amlprognosis.tables import write_table

with job(snakemake) as study:
    features, outcome = read_features(snakemake.input.features)
    candidates = json.loads(Path(snakemake.input.candidates).read_text())["genes"]
    platform = read_platform(snakemake.input.platform)
    cohorts = {}
    for path in snakemake.input.validation:
        name = Path(path).stem
        own, _ = validation_features(study, name, read_cohort(path), list(features.columns))
        adapted = adapt(own.drop(columns=OUTCOME), platform, study.cohorts[name].adaptation[0])
        cohorts[name] = (adapted, own[OUTCOME])
    controls = [pd.read_parquet(snakemake.input.controls)]
    if cohorts:
        batches = read_batches(study, snakemake.input.features)
        controls.append(validation_controls(study, features, outcome, candidates, cohorts, snakemake.threads, batches))
    table = pd.concat(controls, ignore_index=True)
    write_table(table, snakemake.output.controls)
    write_table(summarize_controls(table), snakemake.output.summary)
