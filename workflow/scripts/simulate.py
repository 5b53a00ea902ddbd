"""Simulate the demo world in the sources' own wire formats."""

from amlprognosis.demo.simulate import simulate
from amlprognosis.job import job

with job(snakemake) as study:
    simulate(snakemake.params.directory, study.seed, study.simulate.model_dump())
