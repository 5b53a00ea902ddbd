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
        risk_group, os_event.
    """
    ranked = index.sort_values(kind="stable")
    patients = list(ranked.index)
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
                }
            )
        )
    return pd.concat(frames, ignore_index=True)
