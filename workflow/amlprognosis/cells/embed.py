"""From counts to a map: normalization, variable genes, PCA, neighbours, clusters, UMAP.

No integration over samples is done: malignant cells differ between patients for biological reasons, and the index
is judged on patients' means, not on the map.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import sparse

from amlprognosis.errors import InputError

if TYPE_CHECKING:
    from anndata import AnnData

_FEWEST_PER_BATCH = 50  # smaller samples are pooled when variable genes are sought sample by sample


@dataclass(frozen=True)
class EmbedSettings:
    """Settings of the embedding.

    Attributes
    ----------
    target_sum : float
        Each cell is scaled to this many counts before log1p.
    n_variable_genes, n_components, n_neighbors : int
        Highly variable genes, principal components, neighbours per cell.
    resolution : float
        Of the Leiden clustering; more gives more clusters.
    min_dist : float
        Of UMAP: smaller packs the points of a group more tightly.
    epochs : int
        Of UMAP's optimization.
    exact_neighbors_up_to : int
        Up to this many cells neighbours are found exactly, beyond by nearest-neighbour descent.
    """

    target_sum: float = 10_000.0
    n_variable_genes: int = 2_000
    n_components: int = 30
    n_neighbors: int = 15
    resolution: float = 1.0
    min_dist: float = 0.4
    epochs: int = 200
    exact_neighbors_up_to: int = 60_000

    @classmethod
    def of(cls, settings: EmbedSettings | Mapping[str, Any]) -> EmbedSettings:
        """Return settings from a mapping, refusing unknown keys and values that are not positive."""
        if not isinstance(settings, EmbedSettings):
            unknown = sorted(set(settings) - {field.name for field in fields(cls)})
            if unknown:
                raise InputError(
                    f"unknown embedding setting {unknown[0]!r}; known: {', '.join(f.name for f in fields(cls))}"
                )
            settings = cls(**settings)
        bad = [name for name, value in asdict(settings).items() if not value > 0]
        if bad:
            raise InputError(f"embedding setting {bad[0]!r} must be > 0")
        return settings


@contextmanager
def single_thread() -> Iterator[None]:
    """Run linear algebra and numba on one thread, so that sums are always taken in the same order."""
    import numba
    from threadpoolctl import threadpool_limits

    before = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        with threadpool_limits(limits=1):
            yield
    finally:
        numba.set_num_threads(before)


def normalize_log(adata: AnnData, target_sum: float = 10_000.0) -> AnnData:
    """Scale each cell to a common number of counts and take log1p, in place.

    Parameters
    ----------
    adata : AnnData
        Counts in ``X``; they move to ``layers["counts"]`` (int32). ``X`` becomes CSR float32.
    target_sum : float
        Counts per cell after scaling. A cell without counts stays zero.

    Returns
    -------
    AnnData
        The same object.
    """
    counts = sparse.csr_matrix(adata.X).astype(np.int32)
    total = np.asarray(counts.sum(axis=1), dtype=np.float64).ravel()
    factor = np.divide(target_sum, total, out=np.zeros_like(total), where=total > 0)
    scaled = counts.data * np.repeat(factor, np.diff(counts.indptr))
    logged = np.log1p(scaled).astype(np.float32)
    adata.layers["counts"] = counts
    adata.X = sparse.csr_matrix((logged, counts.indices.copy(), counts.indptr.copy()), shape=counts.shape)
    return adata


def variable_genes(adata: AnnData, n_genes: int) -> pd.Series:
    """Choose highly variable genes by dispersion within each sample (Satija 2015, doi:10.1038/nbt.3192).

    Parameters
    ----------
    adata : AnnData
        Log-normalized ``X``, ``obs["sample"]``. Samples under 50 cells are pooled.
    n_genes : int
        How many; all genes if there are no more.

    Returns
    -------
    Series of bool, index gene
    """
    import scanpy as sc

    if adata.n_vars <= n_genes:
        return pd.Series(True, index=adata.var_names)
    sample = adata.obs["sample"].astype(str)
    size = sample.map(sample.value_counts())
    batch = sample.where(size >= _FEWEST_PER_BATCH, "(pooled small samples)")
    view = _bare(adata, obs=pd.DataFrame({"batch": pd.Categorical(batch)}, index=adata.obs_names))
    key = "batch" if batch.nunique() > 1 and batch.value_counts().min() >= 3 else None
    table = sc.pp.highly_variable_genes(view, n_top_genes=n_genes, flavor="seurat", batch_key=key, inplace=False)
    chosen = table["highly_variable"].reindex(adata.var_names) if key else table["highly_variable"]
    return pd.Series(np.asarray(chosen, dtype=bool), index=adata.var_names)


def _bare(adata: AnnData, obs: pd.DataFrame | None = None) -> AnnData:
    """Return an object that shares ``X`` alone, so that library calls cannot touch the rest."""
    from anndata import AnnData

    obs = pd.DataFrame(index=adata.obs_names) if obs is None else obs
    return AnnData(X=adata.X, obs=obs, var=pd.DataFrame(index=adata.var_names))


def _spread(coordinates: np.ndarray) -> np.ndarray:
    """Scale start coordinates to the range that UMAP's own start has (-10 to 10)."""
    largest = float(np.abs(coordinates).max())
    return np.asarray(coordinates * (10.0 / largest if largest > 0 else 1.0), dtype=np.float32)


def _by_size(clusters: np.ndarray) -> pd.Categorical:
    """Number clusters from the largest to the smallest; ties keep the order of first appearance."""
    codes, names = pd.factorize(clusters)
    order = np.argsort(-np.bincount(codes), kind="stable")
    new = np.empty(len(names), dtype=int)
    new[order] = np.arange(len(names))
    return pd.Categorical.from_codes(new[codes], categories=[str(i) for i in range(len(names))])


def embed(adata: AnnData, settings: EmbedSettings | Mapping[str, Any] | None = None, seed: int = 0) -> AnnData:
    """Add variable genes, principal components, Leiden clusters and UMAP coordinates, in place.

    Parameters
    ----------
    adata : AnnData
        Log-normalized ``X`` (see :func:`normalize_log`), ``obs["sample"]``.
    settings : EmbedSettings or mapping, optional
    seed : int

    Returns
    -------
    AnnData
        The same object with ``var["highly_variable"]``, ``obsm["X_pca"]`` (n_cells x components, float32),
        ``obs["leiden"]`` (category, ``"0"`` is the largest), ``obsm["X_umap"]`` (n_cells x 2, float32) and
        ``uns["pca_variance_ratio"]``.

    Raises
    ------
    InputError
        Fewer than 10 cells.

    References
    ----------
    Leiden: Traag 2019, doi:10.1038/s41598-019-41695-z. UMAP: McInnes 2018, arXiv:1802.03426.
    """
    settings = EmbedSettings.of(settings or EmbedSettings())
    if adata.n_obs < 10:
        raise InputError(f"an atlas of {adata.n_obs} cells cannot be embedded; at least 10 are needed")
    import scanpy as sc
    from sklearn.neighbors import KNeighborsTransformer

    with single_thread():
        chosen = variable_genes(adata, settings.n_variable_genes)
        adata.var["highly_variable"] = chosen.to_numpy()
        work = _bare(adata[:, chosen.to_numpy()])
        n_components = min(settings.n_components, work.n_obs - 1, work.n_vars - 1)
        n_neighbors = min(settings.n_neighbors, work.n_obs - 1)
        with warnings.catch_warnings():
            # umap's import: "Tensorflow not installed"; nothing here needs it.
            warnings.filterwarnings("ignore", message="Tensorflow not installed", category=ImportWarning)
            sc.pp.pca(work, n_comps=n_components, svd_solver="arpack", random_state=seed)
            exact = work.n_obs <= settings.exact_neighbors_up_to
            transformer = KNeighborsTransformer(n_neighbors=n_neighbors, algorithm="brute") if exact else "pynndescent"
            sc.pp.neighbors(
                work,
                n_neighbors=n_neighbors,
                use_rep="X_pca",
                transformer=transformer,
                random_state=seed,
            )
            sc.tl.leiden(
                work,
                resolution=settings.resolution,
                flavor="igraph",
                n_iterations=2,
                directed=False,
                random_state=seed,
            )
            # Started from the first two components: keeps the large distances in order
            # (doi:10.1038/s41587-020-00809-z), and a graph in several pieces, as well separated types
            # give, has no useful spectral start.
            work.obsm["X_start"] = _spread(work.obsm["X_pca"][:, :2])
            sc.tl.umap(
                work,
                min_dist=settings.min_dist,
                maxiter=settings.epochs,
                init_pos="X_start",
                random_state=seed,
            )
    adata.obs["leiden"] = _by_size(work.obs["leiden"].astype(str).to_numpy())
    adata.obsm["X_pca"] = np.asarray(work.obsm["X_pca"], dtype=np.float32)
    adata.obsm["X_umap"] = np.asarray(work.obsm["X_umap"], dtype=np.float32)
    adata.uns["pca_variance_ratio"] = np.asarray(work.uns["pca"]["variance_ratio"], dtype=np.float64)
    return adata
