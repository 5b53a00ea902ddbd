"""Patients who are there twice, and features that are nearly the outcome."""

from pathlib import Path

import pandas as pd

from amlprognosis.cohort import read_cohort
from amlprognosis.evaluation.leakage_checks import leakage_checks
from amlprognosis.job import job
from amlprognosis.tables import write_table

with job(snakemake) as study:
    cohorts = {Path(path).stem: read_cohort(path) for path in snakemake.input.cohorts}
    ordered = {name: cohorts[name] for name in study.cohorts}
    checks = leakage_checks(ordered, study.training, pd.read_parquet(snakemake.input.features))
    write_table(checks, snakemake.output.checks)
