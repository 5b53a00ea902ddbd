"""What each sample of a cohort looks like beside the others: a row per patient, nothing is decided by it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from amlprognosis.normalize.record import quality_record
from amlprognosis.normalize.sex import sex_by_expression

if TYPE_CHECKING:
    from anndata import AnnData

# Robust z of a sample's median correlation to the others below which it is an outlier.
OUTLIER = -5.0
FEWEST_GENES, FEWEST_PATIENTS = 100, 10
FIVE = ("min", "q1", "median", "q3", "max")
COLUMNS = [
    "cohort", "patient", "median_correlation", "correlation_z", "missing_share", "library_size", "detected_genes",
    "factor", "xist", "y_genes", "sex_by_expression", "recorded_sex", "age", "os_days", "os_event",
    *(f"{state}_{place}" for state in ("before", "built") for place in FIVE),
]  # fmt: skip


def recorded_quality(adata: AnnData) -> dict[str, Any]:
    """What was written of a cohort's normalisation when it was built; {} for cohorts of older releases.

    Lists over patients are those of the patients in the cohort: others may have been left out since.
    """
    record = quality_record(adata)
    names = [str(patient) for patient in adata.obs_names]
    place = {str(patient): at for at, patient in enumerate(record.get("patients", []))}
    if not all(name in place for name in names):
        return {}
    rows = [place[name] for name in names]
    if rows == list(range(len(place))):
        return record

    def own(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: own(part) for key, part in value.items()}
        return [value[at] for at in rows] if isinstance(value, list) and len(value) == len(place) else value

    return {key: value if key == "scale" else own(value) for key, value in record.items()}


def sample_quality(name: str, adata: AnnData) -> pd.DataFrame:
    """Figures of every sample.

    Parameters
    ----------
    name : str
        Name of the cohort.
    adata : AnnData

    Returns
    -------
    DataFrame
        cohort, patient, median_correlation (Pearson, with the other samples, over the complete genes), correlation_z
        (its robust z: distance from the median in units of 1.4826 MAD), missing_share (of the values as the source
        gives them, else of the cohort's), library_size, detected_genes, factor (normalisation; NaN where there are no
        counts), xist and y_genes (0 = as those without, 1 = as those with), sex_by_expression, recorded_sex, age
        (years), os_days, os_event, and the quartiles and extremes of its log2 values before normalisation (NaN in
        cohorts without a record) and as built.
    """
    matrix = np.asarray(adata.X, dtype=float)
    record = recorded_quality(adata)
    counts = record.get("counts") or {}
    correlation = median_correlation(matrix)
    sexes = sex_by_expression(adata)
    table = pd.DataFrame({"cohort": name, "patient": [str(patient) for patient in adata.obs_names]})
    table["median_correlation"] = correlation
    table["correlation_z"] = robust_z(correlation)
    table["missing_share"] = record.get("missing_share") or np.isnan(matrix).mean(axis=1)
    raw = np.asarray(adata.layers["counts"], dtype=float) if "counts" in adata.layers else None
    table["library_size"] = counts.get("library_size") or (np.nan if raw is None else np.nansum(raw, axis=1))
    table["detected_genes"] = counts.get("detected_genes") or (np.nan if raw is None else (raw > 0).sum(axis=1))
    table["factor"] = counts.get("factors") or np.nan
    table["xist"], table["y_genes"] = sexes.table["xist"].to_numpy(), sexes.table["y"].to_numpy()
    table["sex_by_expression"] = "" if sexes.reason else sexes.table["call"].to_numpy()
    recorded = adata.obs["sex"].astype(object).to_numpy() if "sex" in adata.obs else np.full(adata.n_obs, None)
    table["recorded_sex"] = ["" if pd.isna(value) else str(value) for value in recorded]
    table["age"] = adata.obs["age"].to_numpy(float) if "age" in adata.obs else np.nan
    table["os_days"], table["os_event"] = adata.obs["os_time"].to_numpy(float), adata.obs["os_event"].to_numpy(bool)
    for state, values in (("before", (record.get("before") or {}).get("values")), ("built", five_numbers(adata))):
        table[[f"{state}_{place}" for place in FIVE]] = np.nan if values is None else np.array(values, dtype=float)
    return table[COLUMNS]


def five_numbers(adata: AnnData) -> np.ndarray:
    """Minimum, quartiles and maximum (n, 5) of the values of every sample; NaN for one without values."""
    found = np.full((adata.n_obs, len(FIVE)), np.nan)
    for row, values in zip(found, np.asarray(adata.X, dtype=float), strict=True):
        present = values[np.isfinite(values)]
        if present.size:
            row[:] = np.quantile(present, [0.0, 0.25, 0.5, 0.75, 1.0])
    return found


def completeness(name: str, adata: AnnData) -> pd.DataFrame:
    """How many patients have a value: cohort, column (of the clinical data), patients, known, share."""
    known = adata.obs.drop(columns=["os_time", "os_event"]).notna()
    table = pd.DataFrame({"cohort": name, "column": known.columns.astype(str), "patients": adata.n_obs})
    return table.assign(known=known.sum().to_numpy(dtype=int), share=known.mean().to_numpy(dtype=float))


def median_correlation(matrix: np.ndarray) -> np.ndarray:
    """Median Pearson correlation (n,) of each sample with the others, over the genes complete in all.

    NaN with fewer than ten patients or a hundred such genes.
    """
    values = matrix[:, np.isfinite(matrix).all(axis=0)]
    n = len(values)
    if n < FEWEST_PATIENTS or values.shape[1] < FEWEST_GENES:
        return np.full(n, np.nan)
    centred = values - values.mean(axis=1, keepdims=True)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    unit = centred / np.where(length > 0, length, 1.0)
    r = unit @ unit.T
    np.fill_diagonal(r, np.nan)
    return np.asarray(np.nanmedian(r, axis=1))


def robust_z(values: np.ndarray) -> np.ndarray:
    """Distance from the median in units of 1.4826 MAD; NaN where there is no spread."""
    if not np.isfinite(values).any():
        return np.full(values.shape, np.nan)
    centre = np.nanmedian(values)
    spread = 1.4826 * np.nanmedian(np.abs(values - centre))
    return np.asarray((values - centre) / spread) if spread > 0 else np.full(values.shape, np.nan)
