"""Patients who are there twice, and features that are nearly the outcome."""

from pathlib import Path

from amlprognosis.catalogue import study_overlaps
from amlprognosis.cohort import read_cohort
from amlprognosis.evaluation.inputs import read_features
from amlprognosis.evaluation.leakage_checks import leakage_checks
from amlprognosis.job import job
from amlprognosis.tables import read_table, write_table

with job(snakemake) as study:
    cohorts = {Path(path).stem: read_cohort(path) for path in snakemake.input.cohorts}
    ordered = {name: cohorts[name] for name in study.cohorts}
    features, outcome = read_features(snakemake.input.features)
    identity = read_table(snakemake.input.identity)
    checks = leakage_checks(ordered, study.training, outcome.join(features), study_overlaps(study), identity)
    write_table(checks, snakemake.output.checks)
