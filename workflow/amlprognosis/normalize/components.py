"""Principal components of patients, and how far groups of patients are apart in them. No outcome is looked at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import false_discovery_control, kruskal

GENES, COMPONENTS = 1500, 10
FEWEST_GENES, FEWEST_PATIENTS, SMALLEST_GROUP = 50, 10, 3
PERMUTATIONS = 999
_CHUNK = 64


@dataclass(frozen=True)
class Components:
    """Principal components of a cohort.

    Attributes
    ----------
    scores : ndarray (n, k)
        k = 10 at most.
    shares : ndarray (k,)
        Share of the variance of the genes used.
    genes : int
        Genes used.
    reason : str
        Why there are none, or "".
    """

    scores: np.ndarray
    shares: np.ndarray
    genes: int
    reason: str = ""


def components(matrix: np.ndarray) -> Components:
    """Components of the 1,500 most variable complete genes, each standardised.

    Parameters
    ----------
    matrix : ndarray (n, genes)
        log2 expression; NaN = missing.

    Returns
    -------
    Components
        The sign of a component is such that its largest loading is positive.
    """
    values = np.asarray(matrix, dtype=float)
    values = values[:, np.isfinite(values).all(axis=0)]
    spread = values.std(axis=0)
    at = np.flatnonzero(spread > 1e-6)
    n = len(values)
    empty = np.empty((n, 0)), np.empty(0), int(at.size)
    if n < FEWEST_PATIENTS:
        return Components(*empty, f"{n} patients: fewer than {FEWEST_PATIENTS}")
    if at.size < FEWEST_GENES:
        return Components(*empty, f"{at.size} genes with a value in every patient: fewer than {FEWEST_GENES}")
    at = np.sort(at[np.argsort(-spread[at], kind="stable")[:GENES]])
    z = (values[:, at] - values[:, at].mean(axis=0)) / spread[at]
    root, axes = np.linalg.eigh(z @ z.T)
    order = np.argsort(-root, kind="stable")[: min(COMPONENTS, n - 1, at.size)]
    root, axes = np.maximum(root[order], 0.0), axes[:, order]
    loadings = z.T @ axes
    largest = np.abs(loadings).argmax(axis=0)
    sign = np.where(loadings[largest, np.arange(len(order))] < 0, -1.0, 1.0)
    return Components(axes * np.sqrt(root) * sign, root / (n * at.size), int(at.size))


@dataclass(frozen=True)
class Separation:
    """How far groups are apart.

    Attributes
    ----------
    levels, patients : int
        Groups and patients compared.
    silhouette, p : float
        Mean silhouette in the components, and the share of permuted labels with one as large.
    r2 : ndarray (k,)
        Share of the variance of each component between groups.
    q : ndarray (k,)
        Kruskal-Wallis p of each component, adjusted over the components (Benjamini and Hochberg).
    explained : float
        Share of the variance of all k components between groups, less what chance gives; at least 0.
    reason : str
        Why nothing was compared, or "".
    """

    levels: int
    patients: int
    silhouette: float = np.nan
    p: float = np.nan
    r2: np.ndarray | None = None
    q: np.ndarray | None = None
    explained: float = np.nan
    reason: str = ""


def separation(found: Components, labels: np.ndarray, seed: int, permutations: int = PERMUTATIONS) -> Separation:
    """Compare groups of patients in their components.

    Parameters
    ----------
    found : Components
    labels : ndarray of object (n,)
        Group of each patient; None = unknown, left out, as are groups of fewer than three patients.
    seed : int
        Of the permutations.
    """
    names, sizes = np.unique([str(label) for label in labels if label is not None], return_counts=True)
    large = names[sizes >= SMALLEST_GROUP]
    compared = set(large.tolist())
    known = np.array([label is not None and str(label) in compared for label in labels], dtype=bool)
    n = int(known.sum())
    if found.reason:
        return Separation(len(large), n, reason=found.reason)
    if len(large) < 2:
        return Separation(len(large), n, reason=f"fewer than two groups of at least {SMALLEST_GROUP} patients")
    if len(large) > n / 3:
        return Separation(len(large), n, reason=f"{len(large)} groups of {n} patients: too many to compare")
    scores, code = found.scores[known], np.searchsorted(large, [str(label) for label in labels[known]])
    value, p = _silhouette(scores, code, seed, permutations)
    centred = scores - scores.mean(axis=0)
    groups = [centred[code == k] for k in range(len(large))]
    total = (centred**2).sum(axis=0)
    between = np.sum([len(group) * group.mean(axis=0) ** 2 for group in groups], axis=0)
    varies = total > 1e-9 * total.max()
    r2 = np.divide(between, total, out=np.zeros_like(total), where=varies)
    tests = [kruskal(*[group[:, k] for group in groups]).pvalue if varies[k] else 1.0 for k in range(len(total))]
    freedom = n - len(large)
    adjusted = 1.0 - (1.0 - between.sum() / total.sum()) * (n - 1) / freedom
    return Separation(len(large), n, value, p, r2, false_discovery_control(tests), max(float(adjusted), 0.0))


def _silhouette(scores: np.ndarray, code: np.ndarray, seed: int, permutations: int) -> tuple[float, float]:
    """Mean silhouette of the groups ``code`` (0, 1, ...), and its one-sided permutation p."""
    from sklearn.metrics import pairwise_distances, silhouette_score

    distances = pairwise_distances(scores)
    np.fill_diagonal(distances, 0.0)
    observed = float(silhouette_score(distances, code, metric="precomputed"))
    rng, above = np.random.default_rng(seed), 0
    for first in range(0, permutations, _CHUNK):
        drawn = np.array([rng.permutation(code) for _ in range(min(_CHUNK, permutations - first))])
        above += int((mean_silhouettes(distances, drawn) >= observed - 1e-12).sum())
    return observed, (1 + above) / (1 + permutations)


def mean_silhouettes(distances: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Mean silhouette of each of many groupings (m, n) of the same patients, as scikit-learn's of one.

    Parameters
    ----------
    distances : ndarray (n, n)
    codes : ndarray of int (m, n)
        Groups 0, 1, ..., each with at least two patients.
    """
    m, n = codes.shape
    levels = int(codes.max()) + 1
    member = codes[:, :, None] == np.arange(levels)
    size = member.sum(axis=1)
    sums = (distances @ member.transpose(1, 0, 2).reshape(n, m * levels).astype(float)).reshape(n, m, levels)
    sums = sums.transpose(1, 0, 2)
    own = np.take_along_axis(sums, codes[:, :, None], axis=2)[:, :, 0]
    inside = own / (np.take_along_axis(size, codes, axis=1) - 1)
    others = np.where(member, np.inf, sums / size[:, None, :]).min(axis=2)
    return np.asarray(((others - inside) / np.maximum(np.maximum(inside, others), 1e-300)).mean(axis=1))
