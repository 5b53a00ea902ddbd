"""Names of the files that several rules share."""

from __future__ import annotations

from amlprognosis.study import Study

BULK_TABLES = (
    "added_value",
    "calibration",
    "cohorts",
    "comparisons",
    "controls",
    "controls_summary",
    "d_calibration",
    "decision_curve",
    "exclusions",
    "flow",
    "hazard_ratios",
    "heatmap",
    "index",
    "kaplan_meier",
    "leaderboard",
    "leakage_checks",
    "meta_analysis",
    "notes",
    "predictions",
    "preprocessing",
    "provenance",
    "risk_groups",
    "risk_table",
    "roc",
    "sample_size",
    "seed_stability",
    "selection",
    "stability",
    "stability_summary",
    "subgroups",
    "validation",
)
GRID_TABLES = ("grid", "grid_summary")
PLANTED_TABLES = ("planted", "planted_summary")
# Made from the other tables: no figure shows them.
REPORTING_TABLES = ("risk_of_bias", "tripod_ai")
# Of the quality pages: what a figure of theirs shows.
QUALITY_TABLES = ("batch_effects", "completeness", "components", "sample_identity", "sample_quality")
ATLAS_TABLES = ("umap", "cell_scores", "cells_test", "cell_quality")


def report_tables(study: Study) -> list[str]:
    """Names of the tables of a study, sorted; each is ``results/<study>/tables/<name>.tsv``."""
    names = [*BULK_TABLES]
    if study.models.grid_run:
        names += GRID_TABLES
    if study.simulate:
        names += PLANTED_TABLES
    names += [f"{kind}_{atlas}" for kind in ATLAS_TABLES for atlas in study.atlases]
    return sorted(names)


def evidence_tables(study: Study) -> list[str]:
    """Names of the tables about bulk cohorts and models, from which the checklist and the risk of bias are read."""
    return sorted([*BULK_TABLES, *(GRID_TABLES if study.models.grid_run else ())])


def quality_pages(study: Study) -> list[str]:
    """Quality page of each cohort, in the order of the study."""
    return [f"results/{study.study}/quality/{name}.html" for name in study.cohorts]


def simulated_files(study: Study) -> dict[str, str]:
    """Files of the simulated world that rules name: its planted truth and the tables read in place."""
    if not study.simulate:
        return {}
    base = f"results/{study.study}/simulated"
    return {
        "truth": f"{base}/truth.json",
        "expression": f"{base}/tables/expression.tsv.gz",
        "clinical": f"{base}/tables/clinical.csv",
        "mutations": f"{base}/tables/mutations.tsv",
    }
