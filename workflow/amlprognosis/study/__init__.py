"""The study: one YAML file, every key declared here once.

The models of this room are the only description of the configuration: ``config/schema.json`` and the key table of
``config/README.md`` are generated from them (:mod:`amlprognosis.study.docs`), and a test fails when they drift.
"""

from __future__ import annotations

from amlprognosis.study.base import DAYS_PER_MONTH, DAYS_PER_YEAR, horizon_days, horizon_suffix
from amlprognosis.study.cohorts import (
    AgeColumn,
    Clinical,
    Cohort,
    EventColumn,
    RiskColumn,
    SexColumn,
    TimeColumn,
)
from amlprognosis.study.load import check_files, load_merged, load_study
from amlprognosis.study.model import Study
from amlprognosis.study.modelling import Models
from amlprognosis.study.names import BEST_OF_GRID, COMPARATORS, model_label, model_slug
from amlprognosis.study.sources import (
    BeatamlSource,
    CbioportalSource,
    GdcSource,
    GeoSource,
    GeoSupplementSource,
    RemoteSource,
    Retrieval,
    TablesSource,
    XenaSource,
)

__all__ = [
    "BEST_OF_GRID",
    "COMPARATORS",
    "DAYS_PER_MONTH",
    "DAYS_PER_YEAR",
    "AgeColumn",
    "BeatamlSource",
    "CbioportalSource",
    "Clinical",
    "Cohort",
    "EventColumn",
    "GdcSource",
    "GeoSource",
    "GeoSupplementSource",
    "Models",
    "RemoteSource",
    "Retrieval",
    "RiskColumn",
    "SexColumn",
    "Study",
    "TablesSource",
    "TimeColumn",
    "XenaSource",
    "check_files",
    "horizon_days",
    "horizon_suffix",
    "load_merged",
    "load_study",
    "model_label",
    "model_slug",
]
