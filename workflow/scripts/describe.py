"""Who is in the study."""

from pathlib import Path

from amlprognosis.cohort import read_cohort
from amlprognosis.job import job
from amlprognosis.report.describe import cohort_tables
from amlprognosis.tables import write_table

with job(snakemake) as study:
    cohorts = {Path(path).stem: read_cohort(path) for path in snakemake.input.cohorts}
    for name, table in cohort_tables(study, cohorts).items():
        write_table(table, snakemake.output[name])
