"""Every figure of the study, as Vega-Lite and as SVG."""

from pathlib import Path

from amlprognosis.job import job
from amlprognosis.report.figures import write_figures

with job(snakemake) as study:
    results = Path(f"results/{study.study}")
    write_figures(study, results / "tables", results / "figures", snakemake.threads)
