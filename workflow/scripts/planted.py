"""What was planted in the demo world, and what was found."""

import json
from pathlib import Path

from amlprognosis.demo.recovery import planted_tables
from amlprognosis.evaluation.apply import main_adaptation_only
from amlprognosis.job import job
from amlprognosis.tables import read_table, write_table

with job(snakemake) as study:
    planted, summary = planted_tables(
        json.loads(Path(snakemake.input.truth).read_text()),
        json.loads(Path(snakemake.input.candidates).read_text())["genes"],
        read_table(snakemake.input.index),
        read_table(snakemake.input.leaderboard),
        main_adaptation_only(study, read_table(snakemake.input.validation)),
    )
    write_table(planted, snakemake.output.planted)
    write_table(summary, snakemake.output.summary)
