"""Who is in the study: cohorts, flow of patients, exclusions, preprocessing, files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from amlprognosis.cohort import RISKS, exclusions, preprocessing, provenance
from amlprognosis.evaluation.survival_groups import median_survival
from amlprognosis.models.kaplan_meier import censoring_curve, kaplan_meier
from amlprognosis.normalize.duplicates import COPIED, SHARED
from amlprognosis.study import Cohort, GdcSource, GeoSource, RemoteSource, Study
from amlprognosis.study.sources import Source, scale_of, source_text

if TYPE_CHECKING:
    from anndata import AnnData


def cohort_tables(study: Study, cohorts: Mapping[str, AnnData]) -> dict[str, pd.DataFrame]:
    """Tables about the cohorts of a study.

    Parameters
    ----------
    study : Study
    cohorts : mapping of str to AnnData
        Every bulk cohort.

    Returns
    -------
    dict of name to DataFrame
        cohorts, flow, exclusions, preprocessing, provenance; in the order of the study.
    """
    names = [name for name in study.cohorts if name in cohorts]
    return {
        "cohorts": pd.DataFrame([_cohort_row(study, name, cohorts[name]) for name in names]),
        "flow": pd.DataFrame([row for name in names for row in _flow(study, name, cohorts[name])]),
        "exclusions": _stacked({name: exclusions(cohorts[name]) for name in names}),
        "preprocessing": _stacked({name: preprocessing(cohorts[name]) for name in names}),
        # Without what depends on the day and the server: equal files give equal tables. PROVENANCE.json keeps it.
        "provenance": _stacked({name: _without_server(provenance(cohorts[name])) for name in names}),
    }


def _without_server(files: pd.DataFrame) -> pd.DataFrame:
    return files.drop(columns=["date", "modified", "etag"], errors="ignore")


def _cohort_row(study: Study, name: str, adata: AnnData) -> dict[str, object]:
    settings, obs = study.cohorts[name], adata.obs
    time, event = obs["os_time"].to_numpy(float), obs["os_event"].to_numpy(bool)
    risk = obs["risk"].astype(object) if "risk" in obs else pd.Series(np.nan, index=obs.index, dtype=object)
    labelled = bool(risk.notna().any())
    sex = obs["sex"].dropna().astype(str) if "sex" in obs else pd.Series(dtype=str)
    row: dict[str, object] = {
        "cohort": name,
        "label": study.cohort_label(name),
        "role": settings.role,
        "source": source_text(settings.source),
        "platform": _platform_text(settings.source),
        "patients": adata.n_obs,
        "events": int(event.sum()),
        "median_followup_days": median_survival(censoring_curve(time, event)),
        "median_os_days": median_survival(kaplan_meier(time, event)),
        "genes": adata.n_vars,
        "age_median": float(obs["age"].median()) if "age" in obs else np.nan,
        "female_share": float((sex == "female").mean()) if len(sex) else np.nan,
        "risk_system": _risk_system(settings) if labelled else "",
    }
    row |= {f"risk_{group}": int((risk == group).sum()) if labelled else pd.NA for group in RISKS}
    unknown = int(risk.isna().sum()) if labelled else pd.NA
    return row | {"risk_unknown": unknown, "adaptation": settings.adaptation[0]}


def _risk_system(settings: Cohort) -> str:
    return settings.clinical.risk.system if settings.clinical and settings.clinical.risk else "ELN"


def _platform_text(source: Source) -> str:
    if isinstance(source, GeoSource):
        return source.platform
    if isinstance(source, GdcSource):
        return f"RNA-seq {source.values} (STAR)"
    return f"RNA-seq {scale_of(source)}" if isinstance(source, RemoteSource) else scale_of(source).replace("_", " ")


def _flow(study: Study, name: str, adata: AnnData) -> list[dict[str, object]]:
    """Counts down from everyone the source names, in the order in which patients are left out; a reason per line."""
    left_out = exclusions(adata)
    remaining = adata.n_obs + len(left_out)
    rows: list[dict[str, object]] = [
        {"cohort": name, "step": "samples in the source", "reason": "", "patients": remaining, "remaining": remaining}
    ]
    counts = left_out["reason"].astype(str).value_counts()
    for reason in sorted(counts.index, key=lambda text: (_stage(study, name, text), text)):
        count = int(counts[reason])
        remaining -= count
        rows.append({"cohort": name, "step": "excluded", "reason": reason, "patients": count, "remaining": remaining})
    rows.append(
        {"cohort": name, "step": "patients analysed", "reason": "", "patients": adata.n_obs, "remaining": adata.n_obs}
    )
    return rows


def _stage(study: Study, name: str, reason: str) -> int:
    """When a patient is left out: by the source, at joining, by the study, for the outcome, as a copy, as shared."""
    mapping = study.cohorts[name].clinical
    stages = (
        ("no expression data", "no clinical data"),
        tuple(rule.reason for rule in mapping.exclude) if mapping else (),
        tuple(f"overall survival {what}" for what in ("status missing", "time missing", "time zero")),
        (COPIED,),
        (SHARED,),
    )
    return next((place for place, reasons in enumerate(stages, start=1) if reason in reasons), 0)


def _stacked(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    parts = [table.assign(cohort=name) for name, table in tables.items() if len(table)]
    if not parts:
        columns = next(iter(tables.values())).columns
        return pd.DataFrame(columns=["cohort", *columns])
    stacked = pd.concat(parts, ignore_index=True)
    return stacked[["cohort", *[column for column in stacked.columns if column != "cohort"]]]
