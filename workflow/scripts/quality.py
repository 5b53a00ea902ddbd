"""Batches, identity of samples, and the quality page of each cohort."""

from pathlib import Path

from amlprognosis.cohort import read_cohort
from amlprognosis.job import job
from amlprognosis.normalize.platform import read_platform
from amlprognosis.report.quality import quality_tables, write_quality_pages
from amlprognosis.tables import write_table

DECIMALS = {"silhouette_p": 6, "smallest_q": 6, "logrank_p": 6}

with job(snakemake) as study:
    cohorts = {Path(path).stem: read_cohort(path) for path in snakemake.input.cohorts}
    tables = quality_tables(study, cohorts, read_platform(snakemake.input.platform))
    for name, table in tables.items():
        write_table(table, snakemake.output[name], decimals=DECIMALS)
    write_quality_pages(study, cohorts, tables, Path(snakemake.output.pages[0]).parent)
