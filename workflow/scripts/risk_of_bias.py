"""What may bias the study."""

from pathlib import Path

from amlprognosis.job import job
from amlprognosis.report.risk_of_bias import risk_of_bias_table
from amlprognosis.report.theme import Tables
from amlprognosis.tables import write_table

with job(snakemake) as study:
    table = risk_of_bias_table(study, Tables(Path(snakemake.output.table).parent, study))
    write_table(table, snakemake.output.table)
