"""A linear gene index in single cells: score per cell, per type, and malignant against normal.

Cells of one patient are not independent observations; every test here is made on patients' means.
"""

from __future__ import annotations

from math import comb
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import sparse, stats

from amlprognosis.errors import InputError

if TYPE_CHECKING:
    from anndata import AnnData

ALL_TYPES = "(all types)"
_LIKE = r"-like$"  # GSE116256 names a malignant cell after the normal type that it resembles


def index_score(
    adata: AnnData,
    weights: pd.Series,
    *,
    centers: pd.Series | None = None,
    scales: pd.Series | None = None,
) -> tuple[pd.Series, pd.DataFrame]:
    """Score each cell by a linear gene index.

    Parameters
    ----------
    adata : AnnData
        Log-normalized ``X``.
    weights : Series
        Gene -> coefficient (higher = earlier death), unique genes.
    centers, scales : Series, optional
        Gene -> centre and scale of the log-expression. By default mean and standard deviation over the cells
        of this atlas: bulk centres do not fit single cells.

    Returns
    -------
    Series of float64, shape (n_cells,)
        Sum over the genes present of coefficient x (expression - centre) / scale; NaN if no gene is present.
        It orders the cells of one atlas; its zero and unit are the atlas's own, not the bulk index's.
    DataFrame
        A row per gene of the index, sorted: ``gene``, ``weight``, ``present`` (bool), ``center``, ``scale``,
        ``cells_expressing`` (share). A gene without variation is present but adds nothing.

    Raises
    ------
    InputError
        No weights, a repeated gene, a coefficient that is not finite.
    """
    if not len(weights):
        raise InputError("the gene index has no genes; nothing can be scored in cells")
    if weights.index.has_duplicates:
        raise InputError(f"gene {weights.index[weights.index.duplicated()][0]!r} occurs twice in the index")
    if not np.isfinite(weights.to_numpy(float)).all():
        raise InputError(f"the coefficient of {weights.index[~np.isfinite(weights)][0]!r} is not finite")
    weights = weights.astype(float).sort_index()
    where = adata.var_names.get_indexer(weights.index)
    present = where >= 0
    part = sparse.csc_matrix(sparse.csr_matrix(adata.X)[:, where[present]]).astype(np.float64)
    n = max(adata.n_obs, 1)
    mean = np.asarray(part.sum(axis=0)).ravel() / n
    square = np.asarray(part.multiply(part).sum(axis=0)).ravel() / n
    genes = weights.index[present]
    center = mean if centers is None else centers.reindex(genes).to_numpy(float)
    scale = np.sqrt(np.maximum(square - mean**2, 0.0)) if scales is None else scales.reindex(genes).to_numpy(float)
    if not (np.isfinite(center).all() and np.isfinite(scale).all()):
        raise InputError("centers or scales lack a gene of the index; give every gene or leave them out")
    slope = np.divide(weights[present].to_numpy(), scale, out=np.zeros(len(genes)), where=scale > 1e-9)
    values = part @ slope - float(center @ slope)
    if not present.any():
        values = np.full(adata.n_obs, np.nan)
    table = pd.DataFrame({"gene": weights.index, "weight": weights.to_numpy(), "present": present})
    for column, numbers in (("center", center), ("scale", scale), ("cells_expressing", part.getnnz(axis=0) / n)):
        table[column] = np.nan
        table.loc[present, column] = numbers
    return pd.Series(values, index=adata.obs_names, name="index_score"), table


def _frame(adata: AnnData, score: pd.Series | str) -> pd.DataFrame:
    """Collect score, patient, type and malignancy of the cells."""
    needed = [c for c in ("patient", "cell_type", "malignant") if c not in adata.obs]
    if needed:
        raise InputError(f"the atlas's obs has no column {needed[0]!r}; was it written by this workflow?")
    if isinstance(score, str) and score not in adata.obs:
        raise InputError(f"the atlas's obs has no score column {score!r}")
    values = adata.obs[score] if isinstance(score, str) else score.reindex(adata.obs_names)
    return pd.DataFrame(
        {
            "score": values.to_numpy(float),
            "patient": adata.obs["patient"].astype(str).to_numpy(),
            "cell_type": adata.obs["cell_type"].astype(object).to_numpy(),
            "malignant": adata.obs["malignant"].astype("boolean").to_numpy(object, na_value=None),
        }
    )


def _state(malignant: object) -> str:
    return "unclear" if malignant is None else ("malignant" if malignant else "normal")


def score_by_type(adata: AnnData, score: pd.Series | str) -> pd.DataFrame:
    """Summarize a score per cell type and malignancy.

    Parameters
    ----------
    adata : AnnData
        ``obs``: patient, cell_type, malignant.
    score : Series or str
        Score per cell, or the ``obs`` column that holds it.

    Returns
    -------
    DataFrame
        ``cell_type``, ``state`` (malignant, normal, unclear), ``n_cells``, ``n_patients``, ``mean``,
        ``median``, ``q25``, ``q75`` (over cells) and ``mean_of_patients`` (each patient counts once), sorted.
    """
    frame = _frame(adata, score)
    frame["state"] = frame["malignant"].map(_state, na_action=None)
    frame["cell_type"] = frame["cell_type"].where(frame["cell_type"].notna(), "(not annotated)").astype(str)
    rows = []
    for (cell_type, state), cells in frame.groupby(["cell_type", "state"], sort=True):
        values = cells["score"]
        rows.append(
            {
                "cell_type": cell_type,
                "state": state,
                "n_cells": len(cells),
                "n_patients": cells["patient"].nunique(),
                "mean": values.mean(),
                "median": values.median(),
                "q25": values.quantile(0.25),
                "q75": values.quantile(0.75),
                "mean_of_patients": cells.groupby("patient")["score"].mean().mean(),
            }
        )
    return pd.DataFrame(rows)


def _holm(p: np.ndarray) -> np.ndarray:
    """Adjust p-values after Holm; NaN stays NaN and does not count."""
    adjusted = np.full(len(p), np.nan)
    known = np.flatnonzero(np.isfinite(p))
    order = known[np.argsort(p[known], kind="stable")]
    running = 0.0
    for i, place in enumerate(order):
        running = max(running, min(1.0, p[place] * (len(order) - i)))
        adjusted[place] = running
    return adjusted


def _contrast(malignant: pd.Series, normal: pd.Series, paired: bool, min_patients: int) -> dict[str, Any]:
    """Compare patients' means; the test is exact where the samples are small and free of ties."""
    result: dict[str, Any] = {
        "n_patients_malignant": len(malignant),
        "n_patients_normal": len(normal),
        "mean_malignant": malignant.mean(),
        "mean_normal": normal.mean(),
        "difference": malignant.mean() - normal.mean(),
        "p": np.nan,
    }
    if min(len(malignant), len(normal)) < min_patients:
        return {**result, "note": f"no test: fewer than {min_patients} patients on a side"}
    if paired:
        test = "Wilcoxon signed rank"
        differences = malignant.to_numpy() - normal.to_numpy()
        if not differences.any():
            return {**result, "note": "no test: no patient differs"}
        result["p"] = float(stats.wilcoxon(differences).pvalue)
        smallest = 2.0 / 2 ** len(malignant)
    else:
        test = "Mann-Whitney"
        result["p"] = float(stats.mannwhitneyu(malignant, normal, alternative="two-sided").pvalue)
        total = len(malignant) + len(normal)
        smallest = 2.0 / comb(total, len(normal))
    return {**result, "note": f"{test}; smallest p possible at this size {min(smallest, 1.0):.2g}"}


def malignant_against_normal(
    adata: AnnData, score: pd.Series | str, *, min_cells: int = 10, min_patients: int = 2
) -> pd.DataFrame:
    """Compare malignant with normal cells of the same type, on patients' means.

    Parameters
    ----------
    adata : AnnData
        ``obs``: patient, cell_type, malignant. ``HSC-like`` is compared with ``HSC`` and so on.
    score : Series or str
        Score per cell, or the ``obs`` column that holds it.
    min_cells : int
        A patient counts on a side if at least so many cells of the type lie on it.
    min_patients : int
        Fewer patients on a side: the difference is given, but no test.

    Returns
    -------
    DataFrame
        Per type (and over all types) two rows by ``contrast``: ``donors`` sets patients' malignant cells
        against the normal cells of donors who have no malignant or unclear cell (independent; Mann-Whitney),
        ``paired`` sets a patient's malignant against the same patient's normal cells (Wilcoxon signed rank).
        Columns: ``cell_type``, ``contrast``, ``n_patients_malignant``, ``n_patients_normal``,
        ``mean_malignant``, ``mean_normal``, ``difference``, ``p``, ``p_holm`` (over the types of a contrast,
        ``(all types)`` apart), ``note`` (test, and the smallest p that this many patients can give at all).
    """
    frame = _frame(adata, score)
    frame = frame[frame["score"].notna()]
    donors = set(frame["patient"]) - set(frame.loc[frame["malignant"].map(lambda m: m is not False), "patient"])
    frame["base"] = frame["cell_type"].astype("string").str.replace(_LIKE, "", regex=True)
    known = frame[frame["malignant"].map(lambda m: m is not None)]
    groups = [(ALL_TYPES, known)] + [(str(t), cells) for t, cells in known.groupby("base", sort=True)]
    rows = []
    for cell_type, cells in groups:
        means: dict[bool, pd.Series] = {}
        for state in (True, False):
            side = cells[cells["malignant"].map(lambda m, state=state: m is state)].groupby("patient")["score"]
            means[state] = side.mean()[side.size() >= min_cells].sort_index()
        if not len(means[True]) or not len(means[False]):
            continue
        of_donors = means[False][means[False].index.isin(donors)]
        both = means[True].index.intersection(means[False].index)
        for contrast, a, b in (
            ("donors", means[True], of_donors),
            ("paired", means[True][both], means[False][both]),
        ):
            row = _contrast(a, b, contrast == "paired", min_patients)
            rows.append({"cell_type": cell_type, "contrast": contrast, **row})
    columns = ["cell_type", "contrast", "n_patients_malignant", "n_patients_normal", "mean_malignant"]
    columns += ["mean_normal", "difference", "p", "p_holm", "note"]
    table = pd.DataFrame(rows, columns=columns)
    table["p_holm"] = np.nan
    for contrast in ("donors", "paired"):
        here = ((table["contrast"] == contrast) & (table["cell_type"] != ALL_TYPES)).to_numpy()
        table.loc[here, "p_holm"] = _holm(table.loc[here, "p"].to_numpy(float))
    return table
