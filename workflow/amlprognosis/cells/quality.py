"""Which cells and genes of an atlas are kept, and why.

Doublets are not scored: the published atlases are already filtered, plate-like Seq-Well data have few, and a
simulated-doublet score would have to be run per sample on sizes (about 100 cells) where it says little.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import sparse

from amlprognosis.cells.reporting import report_row, report_table
from amlprognosis.errors import InputError

if TYPE_CHECKING:
    from anndata import AnnData

_MAD_TO_SD = 1.4826  # a normal distribution's standard deviation in units of its MAD
_FEWEST_FOR_MAD = 30  # below this a sample's median and MAD are too unsure to judge its cells


@dataclass(frozen=True)
class QualitySettings:
    """Thresholds of the quality step.

    Attributes
    ----------
    min_counts, min_genes : int
        A cell needs at least this many counts (molecules) and genes.
    max_mitochondrial : float
        Largest share (0..1) of a cell's counts in ``MT-`` genes.
    mad_k : float
        A cell is an outlier if its log1p counts or log1p genes lie further than this many scaled MADs from
        the median of its sample; 0 switches the step off.
    min_cells : int
        A gene must be seen in at least this many of the kept cells.
    max_cells_per_sample : int
        Larger samples are thinned at random to this many cells; 0 keeps all.
    """

    min_counts: int = 500
    min_genes: int = 200
    max_mitochondrial: float = 0.25
    mad_k: float = 5.0
    min_cells: int = 10
    max_cells_per_sample: int = 0

    @classmethod
    def of(cls, settings: QualitySettings | Mapping[str, Any]) -> QualitySettings:
        """Return settings from a mapping, refusing unknown keys and impossible values."""
        if not isinstance(settings, cls):
            given = dict(settings) if isinstance(settings, Mapping) else asdict(settings)
            unknown = sorted(set(given) - {field.name for field in fields(cls)})
            if unknown:
                raise InputError(
                    f"unknown quality setting {unknown[0]!r}; known: {', '.join(f.name for f in fields(cls))}"
                )
            settings = cls(**given)
        negative = [name for name, value in asdict(settings).items() if not value >= 0]
        if negative:
            raise InputError(f"quality setting {negative[0]!r} must be >= 0")
        return settings


def cell_metrics(adata: AnnData) -> pd.DataFrame:
    """Measure each cell.

    Parameters
    ----------
    adata : AnnData
        ``X`` holds counts.

    Returns
    -------
    DataFrame, shape (n_cells, 3)
        ``n_counts`` (sum), ``n_genes`` (genes with a count), ``mitochondrial`` (share 0..1 of the counts in
        genes named ``MT-...``; NaN if the atlas has no such gene).
    """
    counts = sparse.csr_matrix(adata.X)
    total = np.asarray(counts.sum(axis=1)).ravel().astype(float)
    mitochondrial = adata.var_names.str.upper().str.startswith("MT-")
    share = np.full(adata.n_obs, np.nan)
    if mitochondrial.any():
        inside = np.asarray(counts[:, np.flatnonzero(mitochondrial)].sum(axis=1)).ravel()
        share = np.divide(inside, total, out=np.zeros_like(total), where=total > 0)
    return pd.DataFrame(
        {"n_counts": total.astype(int), "n_genes": np.diff(counts.indptr), "mitochondrial": share},
        index=adata.obs_names,
    )


def mad_outliers(values: np.ndarray, k: float) -> np.ndarray:
    """Mark values further than ``k`` scaled MADs from their median, on the log1p scale.

    Parameters
    ----------
    values : ndarray of shape (n,)
        Non-negative.
    k : float
        Number of scaled median absolute deviations.

    Returns
    -------
    ndarray of bool, shape (n,)
        All False where the MAD is zero.
    """
    logged = np.log1p(np.asarray(values, dtype=float))
    deviation = np.abs(logged - np.median(logged))
    spread = _MAD_TO_SD * np.median(deviation)
    return deviation > k * spread if spread > 0 else np.zeros(len(logged), dtype=bool)


def _judge_sample(
    sample: str, metrics: pd.DataFrame, settings: QualitySettings
) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """Apply the cell filters to one sample, one after the other."""
    keep = np.ones(len(metrics), dtype=bool)
    rows = []
    share = metrics["mitochondrial"].to_numpy()
    fixed = [
        (
            "min_counts",
            metrics["n_counts"].to_numpy() < settings.min_counts,
            f"fewer than {settings.min_counts} counts",
        ),
        ("min_genes", metrics["n_genes"].to_numpy() < settings.min_genes, f"fewer than {settings.min_genes} genes"),
        (
            "mitochondrial",
            share > settings.max_mitochondrial,
            f"mitochondrial share over {settings.max_mitochondrial:g}",
        ),
    ]
    for step, bad, reason in fixed:
        if step == "mitochondrial" and np.isnan(share).all():
            reason = "not applied: no gene named MT-"
        rows.append(report_row(sample, step, "cells", (keep & bad).sum(), (keep & ~bad).sum(), reason))
        keep &= ~bad
    if settings.mad_k > 0:
        bad = np.zeros(len(metrics), dtype=bool)
        reason = f"log counts or log genes over {settings.mad_k:g} scaled MAD from the sample's median"
        if keep.sum() < _FEWEST_FOR_MAD:
            reason = f"not applied: fewer than {_FEWEST_FOR_MAD} cells"
        else:
            for column in ("n_counts", "n_genes"):
                bad[keep] |= mad_outliers(metrics[column].to_numpy()[keep], settings.mad_k)
        rows.append(report_row(sample, "mad", "cells", bad.sum(), (keep & ~bad).sum(), reason))
        keep &= ~bad
    return keep, rows


def thin(keep: np.ndarray, most: int, sample: str, seed: int) -> np.ndarray:
    """Choose at most ``most`` of the kept cells at random; the choice depends on the seed and this sample alone."""
    places = np.flatnonzero(keep)
    if most and len(places) > most:
        generator = np.random.default_rng([seed, zlib.crc32(sample.encode())])
        places = np.sort(generator.choice(places, size=most, replace=False))
    chosen = np.zeros_like(keep)
    chosen[places] = True
    return chosen


def filter_atlas(
    adata: AnnData, settings: QualitySettings | Mapping[str, Any] | None = None, seed: int = 0
) -> tuple[AnnData, pd.DataFrame]:
    """Remove poor cells, thin large samples, remove rare genes.

    Parameters
    ----------
    adata : AnnData
        Counts in ``X``, ``obs["sample"]``. Not changed.
    settings : QualitySettings or mapping, optional
    seed : int
        For the thinning.

    Returns
    -------
    AnnData
        A copy of what is kept, with ``obs`` columns n_counts, n_genes, mitochondrial.
    DataFrame
        Report: sample, step, item, removed, kept, reason.

    Raises
    ------
    InputError
        ``X`` does not hold counts, or nothing would be left.
    """
    settings = QualitySettings.of(settings or QualitySettings())
    data = sparse.csr_matrix(adata.X).data
    if len(data) and (data.min() < 0 or not np.array_equal(data, np.floor(data))):
        raise InputError("the atlas's X holds values that are not counts; raw integer counts >= 0 are needed")
    metrics = cell_metrics(adata)
    samples = adata.obs["sample"].astype(str).to_numpy()
    keep = np.zeros(adata.n_obs, dtype=bool)
    rows: list[dict[str, Any]] = []
    for sample in sorted(set(samples)):
        here = np.flatnonzero(samples == sample)
        good, said = _judge_sample(sample, metrics.iloc[here], settings)
        rows.extend(said)
        if settings.max_cells_per_sample:
            chosen = thin(good, settings.max_cells_per_sample, sample, seed)
            reason = f"random subset of at most {settings.max_cells_per_sample} cells, seed {seed}"
            rows.append(report_row(sample, "thin", "cells", good.sum() - chosen.sum(), chosen.sum(), reason))
            good = chosen
        keep[here] = good
    if not keep.any():
        raise InputError(
            f"no cell of {adata.n_obs} passes the quality filters; lower min_counts ({settings.min_counts}; "
            f"the median cell has {metrics['n_counts'].median():.0f}) or min_genes ({settings.min_genes}; "
            f"median {metrics['n_genes'].median():.0f})"
        )
    kept = adata[keep].copy()
    kept.obs[list(metrics.columns)] = metrics[keep]
    seen = np.asarray(kept.X.getnnz(axis=0)).ravel() >= settings.min_cells
    reason = f"seen in fewer than {settings.min_cells} of the kept cells"
    rows.append(report_row("all", "min_cells", "genes", (~seen).sum(), seen.sum(), reason))
    if not seen.any():
        raise InputError(f"no gene is seen in {settings.min_cells} cells; lower min_cells ({settings.min_cells})")
    kept = kept[:, seen].copy()
    for column in kept.obs.select_dtypes("category"):
        kept.obs[column] = kept.obs[column].cat.remove_unused_categories()
    return kept, report_table(rows)
