"""Frozen models on the validation cohorts, and every model against the comparators."""

import pandas as pd

from amlprognosis.cohort import read_cohort
from amlprognosis.evaluation.inputs import best_of, read_features, read_parts, read_refusals
from amlprognosis.evaluation.summaries import comparison_tables
from amlprognosis.job import job
from amlprognosis.tables import read_table, write_table

DECIMALS = {name: 6 for name in ("risk", "p", "logrank_p", "p_reverse", "q_p", "tau2")}

with job(snakemake) as study:
    features, outcome = read_features(snakemake.input.features)
    paths = [snakemake.input.training, *snakemake.input.validation]
    clinical = {
        name: read_cohort(path).obs for name, path in zip([study.training, *study.validation], paths, strict=True)
    }
    tables = comparison_tables(
        study,
        features,
        outcome,
        read_parts(snakemake.input.out_of_fold),
        read_parts(snakemake.input.inner),
        read_parts(snakemake.input.validated),
        pd.concat([read_table(path) for path in snakemake.input.notes], ignore_index=True),
        clinical,
        list(read_table(snakemake.input.index)["gene"]),
        best_of(snakemake.input.grid),
        snakemake.threads,
        read_refusals(study, snakemake.input.models, snakemake.input.validation_notes),
    )
    for name, table in tables.items():
        write_table(table, snakemake.output[name], decimals=DECIMALS)
