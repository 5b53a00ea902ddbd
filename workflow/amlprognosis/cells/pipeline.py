"""The atlas as one call, its contract, and its file."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import sparse

from amlprognosis.cells.annotate import annotate
from amlprognosis.cells.discover import SampleFiles
from amlprognosis.cells.embed import EmbedSettings, embed, normalize_log
from amlprognosis.cells.load import load_atlas
from amlprognosis.cells.quality import QualitySettings, filter_atlas
from amlprognosis.cells.renaming import Rename
from amlprognosis.cells.reporting import report_table
from amlprognosis.errors import InputError

if TYPE_CHECKING:
    from anndata import AnnData

_CATEGORIES = ("sample", "patient", "cell_type", "leiden", "phase")


@dataclass(frozen=True)
class AtlasSettings:
    """Settings of an atlas.

    Attributes
    ----------
    samples : tuple of str or None
        Samples to use; None asks for every one.
    quality : QualitySettings or mapping
    embedding : EmbedSettings or mapping
    min_margin : float
        Smallest lead of a cell type's score for a call, in units of mean log-expression.
    """

    samples: tuple[str, ...] | None = None
    quality: QualitySettings = field(default_factory=QualitySettings)
    embedding: EmbedSettings = field(default_factory=EmbedSettings)
    min_margin: float = 0.0

    @classmethod
    def of(cls, settings: AtlasSettings | Mapping[str, Any] | None) -> AtlasSettings:
        """Return settings from a (nested) mapping, refusing unknown keys."""
        given = (
            {f.name: getattr(settings, f.name) for f in fields(cls)}
            if isinstance(settings, AtlasSettings)
            else dict(settings or {})
        )
        unknown = sorted(set(given) - {f.name for f in fields(cls)})
        if unknown:
            raise InputError(f"unknown atlas setting {unknown[0]!r}; known: {', '.join(f.name for f in fields(cls))}")
        samples = given.get("samples")
        return cls(
            samples=None if samples is None else tuple(samples),
            quality=QualitySettings.of(given.get("quality") or {}),
            embedding=EmbedSettings.of(given.get("embedding") or {}),
            min_margin=float(given.get("min_margin", 0.0)),
        )


def build_atlas(
    source: Sequence[SampleFiles] | AnnData,
    settings: AtlasSettings | Mapping[str, Any] | None,
    gene_sets: Mapping[str, Sequence[str]],
    seed: int,
    *,
    score_gene_sets: Mapping[str, Sequence[str]] | None = None,
    rename: Rename | None = None,
) -> tuple[AnnData, pd.DataFrame]:
    """Load, check, normalize, embed and annotate an atlas.

    Parameters
    ----------
    source : sequence of SampleFiles, or AnnData
        Files from ``discover_samples``, or counts in ``X`` with ``obs["sample"]`` (patient, cell_type and
        malignant are added where missing). An AnnData is not changed.
    settings : AtlasSettings or mapping, optional
    gene_sets : mapping
        Marker genes per cell type.
    seed : int
    score_gene_sets : mapping, optional
        Further sets to score per cell.
    rename : callable or mapping, optional
        Gene names to approved ones; for files only.

    Returns
    -------
    AnnData
        Fulfils :func:`validate_atlas`.
    DataFrame
        Report: sample, step, item, removed, kept, reason; also in ``uns["report"]``.

    Raises
    ------
    InputError
        Any fault of files or settings.
    """
    from anndata import AnnData

    settings = AtlasSettings.of(settings)
    reports = []
    if isinstance(source, AnnData):
        counts = _with_identity(source, settings.samples)
    else:
        counts, loaded = load_atlas(source, settings.samples, rename=rename, min_counts=settings.quality.min_counts)
        reports.append(loaded)
    atlas, checked = filter_atlas(counts, settings.quality, seed)
    del counts
    reports.append(checked)
    normalize_log(atlas, settings.embedding.target_sum)
    embed(atlas, settings.embedding, seed)
    _, rows = annotate(atlas, gene_sets, score_gene_sets, seed=seed, min_margin=settings.min_margin)
    report = pd.concat([*reports, report_table(rows)], ignore_index=True)
    atlas.uns["report"] = report
    atlas.uns["settings"] = json.dumps({**asdict(settings), "seed": seed}, sort_keys=True)
    validate_atlas(atlas)
    return atlas, report


def _with_identity(source: AnnData, samples: Sequence[str] | None) -> AnnData:
    """Copy counts and annotation of an AnnData; fill patient, cell_type and malignant where missing."""
    from anndata import AnnData

    if "sample" not in source.obs:
        raise InputError("the atlas's obs has no column 'sample'; add it, one name per sample")
    for names, what in ((source.var_names, "gene"), (source.obs_names, "cell")):
        if not names.is_unique:
            raise InputError(f"the atlas has {what} {names[names.duplicated()][0]!r} more than once")
    given = source.layers.get("counts", source.X)
    data = sparse.csr_matrix(given)
    if data.nnz and (data.data.min() < 0 or not np.array_equal(data.data, np.floor(data.data))):
        raise InputError("the atlas has neither integer counts in X nor in layers['counts']")
    keep = np.ones(source.n_obs, dtype=bool)
    if samples is not None:
        unknown = sorted(set(samples) - set(source.obs["sample"].astype(str)))
        if unknown:
            raise InputError(f"sample {unknown[0]!r} is not in the atlas's obs['sample']")
        keep = source.obs["sample"].astype(str).isin(samples).to_numpy()
    obs = source.obs[keep].copy()
    obs["sample"] = pd.Categorical(obs["sample"].astype(str))
    obs["patient"] = pd.Categorical(obs["patient" if "patient" in obs else "sample"].astype(str))
    if "cell_type" not in obs:
        obs["cell_type"] = None
    if "malignant" not in obs:
        obs["malignant"] = pd.array([pd.NA] * len(obs), dtype="boolean")
    obs["malignant"] = obs["malignant"].astype("boolean")
    return AnnData(X=data[keep].astype(np.int32), obs=obs, var=source.var[[]].copy())


def validate_atlas(adata: AnnData) -> None:
    """Check the contract of ``cells/<atlas>.h5ad``.

    Parameters
    ----------
    adata : AnnData

    Raises
    ------
    InputError
        Lists every breach: ``X`` sparse float32, finite, >= 0; ``layers["counts"]`` sparse integers >= 0 with
        the same non-zero places; unique cells and genes; ``obs`` sample, patient, cell_type, leiden, phase
        (categories) and malignant (boolean); ``obsm["X_umap"]`` n x 2, finite.
    """
    faults = []
    if not sparse.issparse(adata.X) or adata.X.dtype != np.float32:
        faults.append("X is not a sparse float32 matrix")
    elif not np.isfinite(adata.X.data).all() or (adata.X.nnz and adata.X.data.min() < 0):
        faults.append("X holds negative or non-finite values; it must be log1p-normalized")
    counts = adata.layers.get("counts")
    if counts is None:
        faults.append("layers['counts'] is missing")
    elif not sparse.issparse(counts) or not np.issubdtype(counts.dtype, np.integer):
        faults.append("layers['counts'] is not a sparse integer matrix")
    elif (counts.nnz and counts.data.min() < 0) or counts.nnz != adata.X.nnz:
        faults.append("layers['counts'] holds negative counts or does not match X")
    if not adata.obs_names.is_unique:
        faults.append("cell names are not unique")
    if not adata.var_names.is_unique:
        faults.append("gene names are not unique")
    for column in _CATEGORIES:
        if column not in adata.obs:
            faults.append(f"obs has no column {column!r}")
        elif not isinstance(adata.obs[column].dtype, pd.CategoricalDtype):
            faults.append(f"obs[{column!r}] is not categorical")
        elif column in ("sample", "patient") and adata.obs[column].isna().any():
            faults.append(f"obs[{column!r}] has missing values")
    if "malignant" not in adata.obs or not pd.api.types.is_bool_dtype(adata.obs["malignant"].dtype):
        faults.append("obs['malignant'] is missing or not boolean")
    umap = adata.obsm.get("X_umap")
    if umap is None or umap.shape != (adata.n_obs, 2) or not np.isfinite(umap).all():
        faults.append("obsm['X_umap'] is missing, not n x 2, or not finite")
    if faults:
        raise InputError("the atlas breaks its contract:\n" + "\n".join(f"  {fault}" for fault in faults))


def write_atlas(adata: AnnData, path: str | Path) -> None:
    """Validate and write an atlas as compressed h5ad; equal atlases give equal bytes.

    Parameters
    ----------
    adata : AnnData
    path : str or Path
        Appears whole or not at all.

    Raises
    ------
    InputError
        The atlas breaks its contract.
    """
    validate_atlas(adata)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    adata.write_h5ad(temporary, compression="gzip", compression_opts=1)
    os.replace(temporary, path)


def read_atlas(path: str | Path) -> AnnData:
    """Read an atlas written by :func:`write_atlas` and check its contract.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    AnnData

    Raises
    ------
    InputError
        No such file, not an h5ad file, or a breach of the contract.
    """
    import anndata

    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; run the workflow's atlas rule first")
    try:
        atlas = anndata.read_h5ad(path)
    except (OSError, KeyError) as error:
        raise InputError(f"{path}: not a readable h5ad file ({error}); write it again") from error
    try:
        validate_atlas(atlas)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return atlas
