"""The TRIPOD+AI checklist, as a table and as a page."""

from pathlib import Path

from amlprognosis.job import job
from amlprognosis.report.checklist import write_checklist
from amlprognosis.report.theme import Tables
from amlprognosis.tables import write_table

with job(snakemake) as study:
    tables = Tables(Path(snakemake.output.table).parent, study)
    write_table(write_checklist(study, tables, snakemake.output.page), snakemake.output.table)
