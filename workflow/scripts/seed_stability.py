"""The gene index under other seeds, and the stability of its selection."""

import json
from pathlib import Path

from amlprognosis.cohort import read_cohort
from amlprognosis.evaluation.folds import strata_of
from amlprognosis.evaluation.inputs import read_batches, read_features, read_parts
from amlprognosis.evaluation.seed_stability import seed_tables
from amlprognosis.job import job
from amlprognosis.tables import write_table

with job(snakemake) as study:
    features, outcome = read_features(snakemake.input.features)
    candidates = json.loads(Path(snakemake.input.candidates).read_text())["genes"]
    strata, asked = None, study.crossvalidation
    if asked.stratify:
        obs = read_cohort(snakemake.input.training).obs.loc[features.index]
        strata, _ = strata_of(obs, asked.stratify, asked.folds, "crossvalidation.stratify")
    selected = read_parts(snakemake.input.selected)
    batches = read_batches(study, snakemake.input.features)
    tables = seed_tables(study, features, outcome, candidates, selected, strata, snakemake.threads, batches)
    for name, table in tables.items():
        write_table(table, snakemake.output[name])
