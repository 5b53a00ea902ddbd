"""The negative controls of a study as tables."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from amlprognosis.evaluation.inputs import model_factory
from amlprognosis.evaluation.leakage import leaky_c_index
from amlprognosis.evaluation.nulls import permuted_outcome, procedure_c_index, random_gene_sets, summarize_controls
from amlprognosis.study import Study

INDEX = "gene_index"


def control_tables(
    study: Study, features: pd.DataFrame, outcome: pd.DataFrame, folds: pd.DataFrame, candidates: Sequence[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Negative controls of the gene index on the folds of the first repeat.

    Returns
    -------
    controls : DataFrame
        control (permuted_outcome, random_gene_set, index, leaky_recipe, honest_recipe), draw, c_harrell, note.
    summary : DataFrame
        control, draws, mean, sd, low, high, observed (C of the index on the same folds), p (empirical).
    """
    measured = [column.removeprefix("expression:") for column in features.columns if column.startswith("expression:")]
    size = len(set(candidates) & set(measured))
    make = model_factory(study, candidates)
    expression = features[[f"expression:{gene}" for gene in sorted(set(measured))]]
    first = folds[folds["repeat"] == 1]
    observed, note = procedure_c_index(expression, outcome, first, make, INDEX, study.seed)
    tables = [pd.DataFrame([{"control": "index", "draw": 0, "c_harrell": observed, "note": note}])]
    if study.evaluation.permutations:
        candidates_only = expression[[f"expression:{gene}" for gene in sorted(set(candidates) & set(measured))]]
        draws = study.evaluation.permutations
        tables.append(permuted_outcome(candidates_only, outcome, first, make, INDEX, draws, study.seed))
    if study.evaluation.random_sets:

        def make_with_genes(genes: Sequence[str], seed: int) -> object:
            return model_factory(study, genes)(INDEX, seed)

        tables.append(
            random_gene_sets(
                expression, outcome, first, make_with_genes, measured, size, study.evaluation.random_sets, study.seed
            )
        )
    summary = summarize_controls(pd.concat(tables[1:], ignore_index=True), observed) if len(tables) > 1 else None
    leaky = leaky_c_index(expression, outcome, first, genes=min(50, expression.notna().all().sum()))
    recipes = leaky.assign(control=leaky["recipe"] + "_recipe", draw=0, note="")[
        ["control", "draw", "c_harrell", "note"]
    ]
    controls = pd.concat([*tables, recipes], ignore_index=True)
    empty = pd.DataFrame(columns=["control", "draws", "mean", "sd", "low", "high", "observed", "p"])
    return controls, empty if summary is None else summary
