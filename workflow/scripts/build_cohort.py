"""A bulk cohort under the cohort contract."""

from pathlib import Path

from amlprognosis.cohort import write_cohort
from amlprognosis.job import job
from amlprognosis.normalize.assemble import assemble_cohort
from amlprognosis.retrieve.read import read_source

with job(snakemake) as study:
    name = snakemake.wildcards.cohort
    retrieved = Path(snakemake.input.retrieved[0]).parent if snakemake.input.retrieved else None
    write_cohort(assemble_cohort(study, name, read_source(study, name, retrieved)), snakemake.output.cohort)
