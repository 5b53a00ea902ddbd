"""Retrieve the raw files of a source, with their provenance."""

from pathlib import Path

from amlprognosis.job import job
from amlprognosis.retrieve.sources import retrieve

with job(snakemake) as study:
    wanted = snakemake.wildcards
    retrieve(study, wanted.source, wanted.accession, Path(snakemake.output[0]).parent)
