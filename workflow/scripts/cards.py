"""Write the cards of the frozen models, from what is known of the training cohort."""

from pathlib import Path

from amlprognosis.cohort import read_cohort
from amlprognosis.evaluation.cards import Evidence, write_cards
from amlprognosis.evaluation.inputs import read_features
from amlprognosis.job import job
from amlprognosis.report.describe import cohort_tables
from amlprognosis.tables import read_table

with job(snakemake) as study:
    training = read_cohort(snakemake.input.training)
    tables = cohort_tables(study, {study.training: training})
    evidence = Evidence(
        training,
        read_features(snakemake.input.features)[0],
        tables["cohorts"],
        tables["flow"],
        read_table(snakemake.input.leaderboard),
        read_table(snakemake.input.sample_size),
        read_table(snakemake.input.stability),
    )
    write_cards(study, [Path(path).parent for path in snakemake.output], evidence)
