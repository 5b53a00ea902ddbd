"""Training matrix, folds and candidate genes."""

import json
from pathlib import Path

from amlprognosis.cohort import read_cohort
from amlprognosis.evaluation.design import make_design
from amlprognosis.evaluation.inputs import corrected_features
from amlprognosis.job import job
from amlprognosis.normalize.platform import training_platform, write_platform
from amlprognosis.signatures.gene_sets import read_gmt
from amlprognosis.tables import write_table

with job(snakemake) as study:
    paths = [snakemake.input.training, *snakemake.input.validation]
    cohorts = {Path(path).stem: read_cohort(path) for path in paths}
    design = make_design(study, cohorts, read_gmt(snakemake.input.gene_sets))
    design.features.to_parquet(snakemake.output.features)
    learned_from = corrected_features(study, design.features)
    write_platform(training_platform(learned_from, cohorts[study.training]), snakemake.output.platform)
    design.folds.to_parquet(snakemake.output.folds)
    Path(snakemake.output.candidates).write_text(json.dumps(design.candidates, indent=1, sort_keys=True) + "\n")
    write_table(design.report, snakemake.output.report)
