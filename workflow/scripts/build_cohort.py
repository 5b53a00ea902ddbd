"""A bulk cohort under the cohort contract."""

from pathlib import Path

from amlprognosis.cohort import read_cohort, write_cohort
from amlprognosis.job import job
from amlprognosis.normalize.assemble import assemble_cohort, frozen_reference
from amlprognosis.normalize.duplicates import without_shared
from amlprognosis.retrieve.read import read_source

with job(snakemake) as study:
    name = snakemake.wildcards.cohort
    retrieved = Path(snakemake.input.retrieved[0]).parent if snakemake.input.retrieved else None
    reference = [frozen_reference(read_cohort(path)) for path in snakemake.input.reference]
    raw = read_source(study, name, retrieved)
    cohort = assemble_cohort(study, name, raw, reference=reference[0] if reference else None)
    for path in snakemake.input.get("training", []):
        cohort = without_shared(cohort, read_cohort(path), name)
    write_cohort(cohort, snakemake.output.cohort)
