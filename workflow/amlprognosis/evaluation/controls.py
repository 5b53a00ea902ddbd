"""The negative controls of a study as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from amlprognosis.evaluation.inputs import model_factory
from amlprognosis.evaluation.leakage import Recipe
from amlprognosis.evaluation.nulls import (
    INDEX,
    Scored,
    candidate_sets,
    control_rows,
    frozen_candidate_sets,
    permuted_outcome,
    random_gene_sets,
    shuffled_order,
)
from amlprognosis.models.gene_index import PREFIX
from amlprognosis.models.learners.base import run_threads
from amlprognosis.normalize.batch import Batches
from amlprognosis.study import Study

RECIPE_GENES = 50
RECIPES = ("leaky_recipe", "honest_recipe")


def training_controls(
    study: Study,
    features: pd.DataFrame,
    outcome: pd.DataFrame,
    folds: pd.DataFrame,
    candidates: Sequence[str],
    threads: int = 1,
    batches: Batches | None = None,
) -> pd.DataFrame:
    """Negative controls in the cross-validation of the training cohort.

    Parameters
    ----------
    study : Study
    features, outcome : DataFrame, index = patient
    folds : DataFrame
        repeat, fold, patient; the first ``evaluation.control_repeats`` repeats are used, for the index, too.
    candidates : sequence of str
        Candidate genes of the index.
    threads : int
        They do not change the result.
    batches : Batches, optional
        Corrected in every training part anew; the recipes, which are compared with each other alone, see the values
        as they are.

    Returns
    -------
    DataFrame
        control (index, permuted_outcome, random_gene_set, leaky_recipe, honest_recipe, leaky_recipe_permuted,
        honest_recipe_permuted), cohort, draw, c_harrell, note.
    """
    judged, cohort = study.evaluation, study.training
    repeats = sorted(int(repeat) for repeat in folds["repeat"].unique())[: judged.control_repeats]
    folds = folds[folds["repeat"].isin(repeats)]
    make = model_factory(study, candidates)
    sets = _sets(study, features, candidates)
    expression = _expression(features)
    real, *random = candidate_sets(expression, outcome, folds, make, sets, study.seed, repeats, threads, batches)
    own = expression[[column for column in expression if column.removeprefix(PREFIX) in set(candidates)]]
    permuted = permuted_outcome(own, outcome, folds, make, judged.permutations, study.seed, repeats, threads, batches)
    tables = [
        control_rows("index", cohort, [real], 0),
        control_rows("permuted_outcome", cohort, permuted),
        control_rows("random_gene_set", cohort, random),
    ]
    scored = _recipes(expression, outcome, folds, judged.permutations, study.seed, threads)
    tables += [control_rows(name, cohort, scored[name][:1], 0) for name in RECIPES]
    tables += [control_rows(f"{name}_permuted", cohort, scored[name][1:]) for name in RECIPES]
    return pd.concat([table for table in tables if len(table)], ignore_index=True)


def _sets(study: Study, features: pd.DataFrame, candidates: Sequence[str]) -> list[list[str]]:
    """The measured candidates, then the random sets of their number."""
    measured = [column.removeprefix(PREFIX) for column in _expression(features)]
    own = sorted(set(candidates) & set(measured))
    return [own, *random_gene_sets(measured, len(own), study.evaluation.random_sets, study.seed)]


def _expression(features: pd.DataFrame) -> pd.DataFrame:
    return features[[column for column in features.columns if column.startswith(PREFIX)]]


def _recipes(
    expression: pd.DataFrame, outcome: pd.DataFrame, folds: pd.DataFrame, draws: int, seed: int, threads: int
) -> dict[str, list[Scored]]:
    """C of the leaky and the honest recipe: on the outcomes as they are, then on permuted ones."""
    usable = int((np.ptp(expression.to_numpy(float), axis=0) > 0).sum())
    if usable < 2:
        reason = f"{usable} genes vary and have no missing value: nothing to screen"
        return {name: [(np.nan, reason)] for name in RECIPES}
    recipe = Recipe(expression, outcome, min(RECIPE_GENES, usable), PREFIX)
    orders = [None, *(shuffled_order(len(expression), seed, draw) for draw in range(1, draws + 1))]

    def one(job: tuple[str, np.ndarray | None]) -> Scored:
        return recipe.c_index(folds, job[0] == RECIPES[0], job[1]), ""

    jobs = [(name, order) for name in RECIPES for order in orders]
    found = run_threads(one, jobs, threads)
    return {name: found[k * len(orders) : (k + 1) * len(orders)] for k, name in enumerate(RECIPES)}


def validation_controls(
    study: Study,
    features: pd.DataFrame,
    outcome: pd.DataFrame,
    candidates: Sequence[str],
    cohorts: Mapping[str, tuple[pd.DataFrame, pd.DataFrame]],
    threads: int = 1,
    batches: Batches | None = None,
) -> pd.DataFrame:
    """C in each validation cohort of the frozen index, and of indices of random gene sets frozen in the same way.

    Parameters
    ----------
    study : Study
    features, outcome : DataFrame, index = patient
        Training cohort.
    candidates : sequence of str
        Candidate genes of the index.
    cohorts : mapping of cohort to (features, outcome)
        Features under the cohort's main adaptation.
    threads : int
        They do not change the result.
    batches : Batches, optional
        The indices are learned from the training matrix corrected for them.

    Returns
    -------
    DataFrame
        control (index, random_gene_set), cohort, draw, c_harrell, note.
    """
    sets = _sets(study, features, candidates)
    make = model_factory(study, candidates)
    limit = study.features.max_missing_share
    found = frozen_candidate_sets(
        _expression(features), outcome, make, sets, study.seed, cohorts, limit, threads, batches
    )
    tables = []
    for cohort, (real, *random) in found.items():
        tables += [control_rows("index", cohort, [real], 0), control_rows("random_gene_set", cohort, random)]
    tables = [table for table in tables if len(table)]
    return pd.concat(tables, ignore_index=True) if tables else control_rows(INDEX, "", [])
