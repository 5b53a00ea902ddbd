"""Pure noise of 10,000 genes: the workflow's own paths find nothing, the leaky recipe of published scripts C > 0.8.

The bound: given its training part, the held-out outcomes of a fold are independent of the held-out risks, so that C of
a fold of m patients has mean 1/2 and, without censoring, the variance (2 m + 5) / (18 m (m - 1)) of Kendall's
statistic: a standard deviation of 0.046 for m = 57, 0.05 with the pairs that censoring takes away. Folds share patients
and C of several folds is no more variable than that of one; the worlds are independent.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from amlprognosis.evaluation.best_of_grid import nested_predictions
from amlprognosis.evaluation.crossvalidate import crossvalidate
from amlprognosis.evaluation.folds import make_folds
from amlprognosis.evaluation.grid import crossvalidate_grid
from amlprognosis.evaluation.leakage import leaky_c_index
from amlprognosis.evaluation.metrics import blocked_concordance
from amlprognosis.evaluation.sheets import sheet_from_predictions
from amlprognosis.models.registry import make_model
from amlprognosis.study import BEST_OF_GRID

PATIENTS, GENES, FOLDS, WORLDS = 170, 10_000, 3, 3
SETTINGS = {
    "gene_index": {"n_folds": 5},
    "random_survival_forest": {"n_estimators": 60},
    "xgboost_cox": {"n_estimators": 30, "n_folds": 3},
}
MEMBERS = ["Lasso + StepCox[both]", "CoxBoost + Ridge", "SuperPC"]
PARAMETERS = {"parameters": {"CoxBoost": {"n_steps": 20, "penalty": 500.0}, "Lasso": {"n_folds": 5}}, "max_genes": 50}
# 3 standard errors of the mean over the worlds.
BOUND = 3 * 0.05 / np.sqrt(WORLDS)


def make(name, seed):
    return make_model(name, SETTINGS.get(name, PARAMETERS), seed)


def noise(seed):
    """Patients whose genes have nothing to do with their survival; about 6 of 7 die."""
    rng = np.random.default_rng([2002, seed])
    names = [f"P{k:03d}" for k in range(PATIENTS)]
    columns = [f"expression:G{k}" for k in range(GENES)]
    features = pd.DataFrame(rng.normal(size=(PATIENTS, GENES)), index=names, columns=columns)
    death, censored = rng.exponential(900, PATIENTS), rng.uniform(300, 4000, PATIENTS)
    time = np.ceil(np.minimum(death, censored))
    outcome = pd.DataFrame({"os_time": time, "os_event": death <= censored}, index=names)
    return features, outcome, make_folds(names, outcome["os_event"], time, FOLDS, 1, seed)


@pytest.fixture(scope="module")
def found():
    """C of every path and of the recipe, a row per world."""
    rows = []
    for seed in range(WORLDS):
        features, outcome, folds = noise(seed)
        single = crossvalidate(features, outcome, folds, list(SETTINGS), make, 1, [1], seed, curve_points=1)
        grid = crossvalidate_grid(features, outcome, folds, MEMBERS, make, 1, [1], seed, inner_folds=2)
        best = nested_predictions(grid.inner, grid.outer.predictions)
        assert single.notes.empty
        assert grid.outer.notes.empty
        own = {}
        time, event = outcome["os_time"].to_numpy(), outcome["os_event"].to_numpy(bool)
        for model, part in pd.concat([single.predictions, grid.outer.predictions, best]).groupby("model"):
            own[model] = blocked_concordance(time, event, sheet_from_predictions(part, list(outcome.index)))
        # One gene in a hundred is what a screen at p < 0.01 lets through.
        recipe = leaky_c_index(features, outcome, folds, genes=GENES // 100).set_index("recipe")["c_harrell"]
        rows.append({**own, **recipe})
    return pd.DataFrame(rows)


@pytest.mark.parametrize("path", [*SETTINGS, *MEMBERS, BEST_OF_GRID, "honest"])
def test_the_workflow_finds_nothing_in_noise(found, path):
    assert abs(found[path].mean() - 0.5) < BOUND


def test_the_leaky_recipe_finds_what_is_not_there(found):
    """Selection before cross-validation: Ambroise and McLachlan, PNAS 2002, doi:10.1073/pnas.102102699."""
    assert found["leaky"].mean() > 0.8
    assert (found["leaky"] - found["honest"] > 0.2).all()
