"""Tables of a fitted gene index: its genes, and their expression in patients ordered by the index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

PREFIX = "expression:"


def index_table(
    frozen: Mapping[str, Any], frequency: Mapping[str, float], gene_sets: Mapping[str, Sequence[str]]
) -> pd.DataFrame:
    """Genes of the frozen index.

    Parameters
    ----------
    frozen : mapping
        Content of the gene index's ``model.json``.
    frequency : mapping of feature to float
        Share of the cross-validation fits that selected the feature.
    gene_sets : mapping of name to genes
        Sets that the candidates came from.

    Returns
    -------
    DataFrame
        gene, coefficient (log hazard per ``scale``), centre, scale (log2 expression), selection_frequency,
        gene_sets (joined by ", "); by falling absolute coefficient. Index = sum of
        coefficient x (expression - centre) / scale.
    """
    rows = []
    for feature, coefficient in zip(frozen["preprocessing"]["features"], frozen["learned"]["coef_"], strict=True):
        gene = feature["name"].removeprefix(PREFIX)
        rows.append(
            {
                "gene": gene,
                "coefficient": float(coefficient),
                "centre": float(feature["center"]),
                "scale": float(feature["scale"]),
                "selection_frequency": float(frequency.get(feature["name"], 0.0)),
                "gene_sets": ", ".join(sorted(name for name, genes in gene_sets.items() if gene in genes)),
            }
        )
    table = pd.DataFrame(rows)
    order = np.lexsort((table["gene"], -table["coefficient"].abs()))
    return table.iloc[order].reset_index(drop=True)


def heatmap_table(
    features: pd.DataFrame,
    outcome: pd.DataFrame,
    genes: Sequence[str],
    index: pd.Series,
    groups: pd.Series,
    most_genes: int = 40,
) -> pd.DataFrame:
    """Expression of the index genes in training patients ordered by the out-of-fold index.

    Parameters
    ----------
    features, outcome : DataFrame, index = patient
    genes : sequence of str
        By falling importance; the first ``most_genes`` are kept.
    index : Series, index = patient
        Out-of-fold index.
    groups : Series, index = patient
        "high" or "low".

    Returns
    -------
    DataFrame
        gene, patient, z (standard deviations, limited to +-3), order (from 0, low to high index), index,
        risk_group, os_event, risk (favourable, intermediate, adverse, unknown; where it is a feature).
    """
    ranked = index.sort_values(kind="stable")
    patients = list(ranked.index)
    clinical_risk = _risk(features.loc[patients])
    frames = []
    for gene in list(genes)[:most_genes]:
        values = features.loc[patients, f"{PREFIX}{gene}"].astype(float)
        spread = float(values.std(ddof=0))
        frames.append(
            pd.DataFrame(
                {
                    "gene": gene,
                    "patient": patients,
                    "z": ((values - values.mean()) / (spread or 1.0)).clip(-3, 3).to_numpy(),
                    "order": range(len(patients)),
                    "index": ranked.to_numpy(),
                    "risk_group": groups.loc[patients].to_numpy(),
                    "os_event": outcome.loc[patients, "os_event"].to_numpy(dtype=bool),
                    **({} if clinical_risk is None else {"risk": clinical_risk}),
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def _risk(features: pd.DataFrame) -> list[str] | None:
    """Clinical risk group of each patient, from its indicator columns."""
    levels = [level for level in ("intermediate", "adverse") if f"clinical:risk_{level}" in features]
    if not levels:
        return None
    flags = features[[f"clinical:risk_{level}" for level in levels]].to_numpy(dtype=float)
    found = []
    for row in flags:
        named = [level for level, flag in zip(levels, row, strict=True) if flag == 1]
        found.append("unknown" if np.isnan(row).any() else (named[0] if named else "favourable"))
    return found
