"""What was planted in the demo world, and what the study found of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

HAZARD = "hazard"


def planted_tables(
    truth: Mapping[str, Any],
    candidates: Sequence[str],
    index: pd.DataFrame,
    leaderboard: pd.DataFrame,
    validation: pd.DataFrame,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compare the planted programme with the index.

    Parameters
    ----------
    truth : mapping
        Content of ``truth.json``.
    candidates : sequence of str
        Candidate genes that were measured.
    index : DataFrame
        gene, coefficient.
    leaderboard, validation : DataFrame
        Tables of the study, for the C-indices of the index and of age.

    Returns
    -------
    planted : DataFrame
        gene, programme, planted (signed weight in the hazard; 0 for programmes without one), candidate, selected,
        coefficient, same_sign.
    summary : DataFrame
        measure, value: enrichment of planted hazard genes among the selected (Fisher's exact test, one-sided,
        among the candidates), agreement of signs, and the index against age in each cohort.
    """
    from scipy.stats import fisher_exact

    coefficient = dict(zip(index["gene"], index["coefficient"], strict=True))
    pool, selected = set(candidates), set(index["gene"])
    rows = []
    for name, programme in sorted(truth["programmes"].items()):
        carries = programme["log_hazard_per_sd"] != 0
        for gene in programme["genes"]:
            effect = gene["sign"] * gene["weight"] if carries else 0.0
            found = coefficient.get(gene["gene"])
            rows.append(
                {
                    "gene": gene["gene"],
                    "programme": name,
                    "planted": effect,
                    "candidate": gene["gene"] in pool,
                    "selected": found is not None,
                    "coefficient": found,
                    "same_sign": bool(found is not None and found * effect > 0),
                }
            )
    planted = pd.DataFrame(rows).astype({"coefficient": float})
    hazard = set(planted.loc[(planted["programme"] == HAZARD) & planted["candidate"], "gene"])
    hits = len(hazard & selected)
    table = [
        [hits, len(hazard) - hits],
        [len(selected & pool) - hits, len(pool - hazard) - (len(selected & pool) - hits)],
    ]
    odds, p = fisher_exact(table, alternative="greater")
    chosen = planted[(planted["programme"] == HAZARD) & planted["selected"]]
    summary = [
        ("candidate genes", len(pool)),
        ("planted hazard genes among the candidates", len(hazard)),
        ("genes in the index", len(selected)),
        ("planted hazard genes in the index", hits),
        ("enrichment odds ratio", float(odds)),
        ("enrichment p (Fisher, one-sided)", float(p)),
        ("share of them with the planted sign", float(chosen["same_sign"].mean()) if len(chosen) else float("nan")),
    ]
    for cohort, part in [("cross-validation", leaderboard), *validation.groupby("cohort", sort=True)]:
        c_index = dict(zip(part["model"], part["c_harrell"], strict=True))
        for model in ("gene_index", "age"):
            if model in c_index:
                summary.append((f"C-index of {model} in {cohort}", float(c_index[model])))
    return planted, pd.DataFrame(
        [(measure, f"{value:.3g}" if isinstance(value, float) else str(value)) for measure, value in summary],
        columns=["measure", "value"],
    )
