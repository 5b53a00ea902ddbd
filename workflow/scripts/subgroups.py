"""Performance of the reported models within subgroups."""

from pathlib import Path

from amlprognosis.cohort import read_cohort
from amlprognosis.evaluation.inputs import read_parts
from amlprognosis.evaluation.subgroups import subgroup_table
from amlprognosis.job import job
from amlprognosis.tables import write_table

with job(snakemake) as study:
    table = subgroup_table(
        study,
        read_parts(snakemake.input.predictions),
        read_parts(snakemake.input.validated),
        {Path(path).stem: read_cohort(path).obs for path in snakemake.input.cohorts},
    )
    write_table(table, snakemake.output.subgroups)
