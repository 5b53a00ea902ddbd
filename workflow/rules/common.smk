"""Reads and validates the study; names of files that several rules share."""

import os
import sys

from amlprognosis.catalogue import overlap_warnings
from amlprognosis.errors import InputError
from amlprognosis.study import check_files, load_study, model_slug
from amlprognosis.study.yaml_file import read_yaml
from amlprognosis.report.figures import figures_of
from amlprognosis.layout import (
    QUALITY_TABLES,
    REPORTING_TABLES,
    evidence_tables,
    quality_pages,
    report_tables,
    simulated_files,
)
from snakemake.exceptions import WorkflowError

# Files given on the command line; the demo's own is not named.
CONFIG_FILES = [os.path.relpath(path) for path in workflow.overwrite_configfiles]


def read_study():
    name = ", ".join(CONFIG_FILES) or "config/config.yaml"
    try:
        for path in CONFIG_FILES:
            read_yaml(path)  # Snakemake takes the last of two equal keys without a word
        study = load_study(config, name=name)
        check_files(
            study, name=name, produced=frozenset(simulated_files(study).values())
        )
    except InputError as error:
        raise WorkflowError(f"amlprognosis: {error}") from None
    # Once, not again in the process of every job.
    if workflow.is_main_process:
        for warning in overlap_warnings(study):
            print(f"amlprognosis: warning: {warning}", file=sys.stderr)
    return study


STUDY = read_study()
RESULTS = f"results/{STUDY.study}"
TABLES = f"{RESULTS}/tables"
LOGS = f"{RESULTS}/logs"
BENCHMARKS = f"{RESULTS}/benchmarks"
REPEATS = list(range(1, STUDY.crossvalidation.repeats + 1))
FIGURES = figures_of(STUDY)
# One option for all files: of several the last alone counts.
COMMAND = " ".join(
    [
        "snakemake --cores all",
        *(["--configfile"] if CONFIG_FILES else []),
        *CONFIG_FILES,
    ]
)
MODEL_FOLDERS = [model_slug(name) for name in STUDY.models.run]
MODELS = expand(f"{RESULTS}/models/{{model}}/model.json", model=MODEL_FOLDERS)
CARDS = expand(f"{RESULTS}/models/{{model}}/card.md", model=MODEL_FOLDERS)
COHORTS = expand(f"{RESULTS}/cohorts/{{cohort}}.h5ad", cohort=sorted(STUDY.cohorts))
REPORT_TABLES = report_tables(STUDY)
ALL_TABLES = [*REPORT_TABLES, *REPORTING_TABLES, *QUALITY_TABLES]
# Jobs that the last ones wait for go first; controls, cells and checks fill the cores beside them.
LONGEST_WAY = 10


wildcard_constraints:
    cohort="|".join(sorted(STUDY.cohorts)),
    atlas="|".join(sorted(STUDY.atlases)) or "none",
    group="|".join(sorted(set(STUDY.groups()) - set(STUDY.grid_groups()))) or "none",
    grid="|".join(sorted(STUDY.grid_groups())) or "none",
    repeat=r"\d+",
    source="geo|gdc|xena|cbioportal|beataml|cells",
    accession=r"[A-Za-z0-9_.-]+",


def memory(mb):
    """Memory that grows when a job is tried again."""
    return lambda wildcards, attempt: mb * attempt


def minutes(count):
    """Run time that grows when a job is tried again."""
    return lambda wildcards, attempt: count * attempt


def retrieved_provenance(cohort):
    """Provenance of a cohort's retrieved files; own tables are read in place."""
    source = STUDY.retrieval_of(cohort)
    return (
        [f"results/retrieved/{source[0]}/{source[1]}/PROVENANCE.json"] if source else []
    )


def counts_reference(cohort):
    """Cohort that holds the frozen normalisation reference of this one."""
    training = STUDY.counts_reference(cohort)
    return [f"{RESULTS}/cohorts/{training}.h5ad"] if training else []


def training_of(cohort):
    """Training cohort, whose patients a validation cohort leaves out."""
    return (
        [] if cohort == STUDY.training else [f"{RESULTS}/cohorts/{STUDY.training}.h5ad"]
    )
