"""Hazard ratios of genes and of the index, for forest plots."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from amlprognosis.errors import InputError
from amlprognosis.evaluation.survival import fit_cox

_Z = 1.959963984540054
COLUMNS = ["cohort", "analysis", "term", "hr", "low", "high", "p", "patients", "events", "note"]


def _two_sided(z: float) -> float:
    from scipy.special import ndtr

    return float(2.0 * ndtr(-abs(z)))


def _fit_rows(design: pd.DataFrame, outcome: pd.DataFrame, cohort: str, analysis: str) -> list[dict[str, object]]:
    """Rows of one Cox model on the complete cases; constant columns are reported and left out."""
    complete = design.notna().all(axis=1)
    x, own = design[complete], outcome.loc[design.index[complete]]
    time, event = own["os_time"].to_numpy(float), own["os_event"].to_numpy(bool)
    head = {"cohort": cohort, "analysis": analysis, "patients": len(x), "events": int(event.sum())}
    unknown = {"hr": np.nan, "low": np.nan, "high": np.nan, "p": np.nan}
    usable = [c for c in x.columns if len(x) and x[c].nunique() > 1]
    rows = {c: head | unknown | {"term": c, "note": "the same for all patients"} for c in design.columns}
    fit = fit_cox(x[usable].to_numpy(float), time, event) if usable else None
    for k, column in enumerate(usable):
        if fit is None or not fit.converged:
            rows[column]["note"] = "the Cox model does not converge (too few events, or separated groups)"
            continue
        coef, error = float(fit.coef[k]), float(fit.std_error[k])
        rows[column] |= {
            "hr": np.exp(coef),
            "low": np.exp(coef - _Z * error),
            "high": np.exp(coef + _Z * error),
            "p": _two_sided(coef / error),
            "note": "",
        }
    return [rows[c] for c in design.columns]


def _per_sd(values: pd.Series) -> pd.Series:
    spread = float(values.std(ddof=1))
    return (values - values.mean()) / (spread if spread > 0 else 1.0)


def gene_hazard_ratios(
    features: pd.DataFrame, outcome: pd.DataFrame, columns: Sequence[str], cohort: str
) -> pd.DataFrame:
    """Univariable hazard ratio per standard deviation of each feature.

    The genes were chosen on this cohort: the ratios describe the index, they do not test it.

    Parameters
    ----------
    features : DataFrame, index = patient
    outcome : DataFrame, index = patient
    columns : sequence of str
        Features such as ``expression:TP53``; the term is the name after the colon.

    Returns
    -------
    DataFrame
        cohort, analysis ("gene"), term, hr, low, high, p, patients, events, note; in the order of ``columns``.
    """
    absent = [c for c in columns if c not in features.columns]
    if absent:
        raise InputError(f"feature {absent[0]} is not in the feature table of cohort {cohort}")
    rows = []
    for column in columns:
        design = _per_sd(features[column]).rename(column.split(":", 1)[-1]).to_frame()
        rows += _fit_rows(design, outcome, cohort, "gene")
    return pd.DataFrame(rows, columns=COLUMNS)


def patient_index(predictions: pd.DataFrame) -> pd.Series:
    """One risk per patient of one model: the median over the repeats (out of fold) or the frozen risk.

    Out of fold the risks come from models of different folds, whose scales differ a little; that weakens a hazard
    ratio of this index slightly and never strengthens it by the patient's own outcome.
    """
    index = predictions.groupby(predictions["patient"].astype(str))["risk"].median().sort_index()
    return index.rename("index")


def index_hazard_ratios(index: pd.Series, outcome: pd.DataFrame, clinical: pd.DataFrame, cohort: str) -> pd.DataFrame:
    """Hazard ratio of the index per standard deviation, alone and adjusted for age, sex and risk group.

    Parameters
    ----------
    index : Series, index = patient
        Out-of-fold or frozen risk; standardized within the cohort for this table only.
    outcome : DataFrame, index = patient
    clinical : DataFrame, index = patient
        Any of age (years), sex (female/male), risk (favourable/intermediate/adverse).

    Returns
    -------
    DataFrame
        analysis "univariable" (each factor, own complete cases) and "multivariable" (all factors, complete
        cases); the terms name their unit and reference.
    """
    outcome, clinical = outcome.rename(index=str), clinical.rename(index=str).reindex(index.index)
    blocks = [_per_sd(index).rename("gene index, per SD").to_frame()]
    if "age" in clinical and clinical["age"].notna().any():
        blocks.append((clinical["age"].astype(float) / 10.0).rename("age, per 10 years").to_frame())
    if "sex" in clinical and clinical["sex"].notna().any():
        blocks.append(_dummies(clinical["sex"], ["male"], "female"))
    if "risk" in clinical and clinical["risk"].notna().any():
        blocks.append(_dummies(clinical["risk"], ["intermediate", "adverse"], "favourable"))
    rows = []
    for block in blocks:
        rows += _fit_rows(block, outcome, cohort, "univariable")
    if len(blocks) > 1:
        rows += _fit_rows(pd.concat(blocks, axis=1), outcome, cohort, "multivariable")
    return pd.DataFrame(rows, columns=COLUMNS)


def _dummies(values: pd.Series, levels: list[str], reference: str) -> pd.DataFrame:
    text = values.astype(object)
    known = text.isin([*levels, reference])
    return pd.DataFrame({f"{level} vs {reference}": (text == level).astype(float).where(known) for level in levels})
