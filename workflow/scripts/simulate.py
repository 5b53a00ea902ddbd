"""Simulate the demo world in the sources' own wire formats."""

from pathlib import Path

from amlprognosis.demo.simulate import simulate
from amlprognosis.job import job

with job(snakemake) as study:
    simulate(Path(snakemake.output.truth).parent, study.seed, study.simulate.model_dump())
