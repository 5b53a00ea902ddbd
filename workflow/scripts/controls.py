"""Negative controls of the gene index."""

import json
from pathlib import Path

import pandas as pd

from amlprognosis.evaluation.controls import control_tables
from amlprognosis.evaluation.inputs import read_features
from amlprognosis.job import job
from amlprognosis.tables import write_table

with job(snakemake) as study:
    features, outcome = read_features(snakemake.input.features)
    candidates = json.loads(Path(snakemake.input.candidates).read_text())["genes"]
    controls, summary = control_tables(study, features, outcome, pd.read_parquet(snakemake.input.folds), candidates)
    write_table(controls, snakemake.output.controls)
    write_table(summary, snakemake.output.summary)
