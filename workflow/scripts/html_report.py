"""The study's report."""

from pathlib import Path

from amlprognosis.job import job
from amlprognosis.report.pages import write_report

with job(snakemake) as study:
    context = {"command": snakemake.params.command}
    write_report(study, Path(f"results/{study.study}"), snakemake.output.report, context)
