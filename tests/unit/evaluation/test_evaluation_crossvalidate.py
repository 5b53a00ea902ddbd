from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from evaluation_helpers import Screened, make

from amlprognosis.errors import InputError
from amlprognosis.evaluation.crossvalidate import crossvalidate, derive_seed, prediction_times


def test_out_of_fold_predictions(world):
    features, outcome, folds = world
    run = crossvalidate(features, outcome, folds, ["gene_index", "age", "refusing"], make, 2, [1, 3], seed=1)
    table = run.predictions
    assert set(table["model"]) == {"gene_index", "age"}
    for _, part in table.groupby("model"):
        assert sorted(part["patient"]) == sorted(features.index)
        held = folds[folds["repeat"] == 2].set_index("patient")["fold"]
        assert (part.set_index("patient")["fold"] == held).all()
    index = table[table["model"] == "gene_index"]
    assert index[["survival_1y", "survival_3y"]].notna().all().all()
    assert (index["survival_1y"] >= index["survival_3y"]).all()
    assert table.loc[table["model"] == "age", "survival_1y"].isna().all()
    assert set(table["risk_group"]) == {"high", "low"}
    assert run.notes["model"].tolist() == ["refusing"] * 3
    assert run.notes["reason"].iloc[0] == "too small for this model"
    assert run.selected.groupby("fold").size().tolist() == [3, 3, 3]
    assert set(run.seconds) == {"gene_index", "age", "refusing"}


def test_results_do_not_depend_on_scattering_or_row_order(world):
    features, outcome, folds = world

    class Noisy(Screened):
        def __init__(self, seed):
            super().__init__()
            self.seed = seed

        def predict(self, x):
            return super().predict(x) + np.random.default_rng(self.seed).normal(size=len(x))

    def noisy(name, seed):
        return Noisy(seed)

    both = crossvalidate(features, outcome, folds, ["b", "a"], noisy, 1, [1], seed=3)
    alone = crossvalidate(
        features.iloc[::-1], outcome.sample(frac=1, random_state=0), folds.iloc[::-1], ["a"], noisy, 1, [1], 3
    )
    own = both.predictions[both.predictions["model"] == "a"].reset_index(drop=True)
    pd.testing.assert_frame_equal(own, alone.predictions)
    assert derive_seed(3, "a", 1, 1) != derive_seed(3, "a", 1, 2) != derive_seed(3, "b", 1, 2)


def test_the_estimator_gets_copies_of_the_training_part_only(world):
    features, outcome, folds = world
    seen = []

    class Vandal(Screened):
        def fit(self, x, y):
            seen.append(set(x.index))
            super().fit(x, y)
            x.loc[:, :] = 0.0
            y["time"] = 1.0
            return self

    before = features.copy()
    run = crossvalidate(features, outcome, folds, ["v", "w"], lambda *_: Vandal(), 1, [1], 0)
    pd.testing.assert_frame_equal(features, before)
    first, second = (run.predictions.query("model == @m")["risk"].to_numpy() for m in ("v", "w"))
    np.testing.assert_array_equal(first, second)
    held = [set(p) for _, p in folds[folds["repeat"] == 1].groupby("fold")["patient"]]
    for number, patients in enumerate(seen):
        assert not patients & held[number // 2]


def test_bad_input_is_refused(world):
    features, outcome, folds = world
    with pytest.raises(InputError, match="os_time is among the features"):
        crossvalidate(features.join(outcome), outcome, folds, ["age"], make, 1, [1], 0)
    with pytest.raises(InputError, match="no repeat 9"):
        crossvalidate(features, outcome, folds, ["age"], make, 9, [1], 0)
    with pytest.raises(InputError, match="no outcome"):
        crossvalidate(features, outcome.iloc[1:], folds, ["age"], make, 1, [1], 0)
    with pytest.raises(InputError, match="not among the features"):
        crossvalidate(features.iloc[1:], outcome, folds, ["age"], make, 1, [1], 0)


def test_all_models_failing_gives_empty_tables_with_their_columns(world):
    features, outcome, folds = world
    run = crossvalidate(features, outcome, folds, ["refusing"], make, 1, [1], 0)
    assert run.predictions.empty
    assert "survival_1y" in run.predictions
    assert len(run.notes) == 3


def test_prediction_times():
    columns, days = prediction_times([5, 1, 3], curve_points=5)
    assert columns[:3] == ["survival_1y", "survival_3y", "survival_5y"]
    assert columns[3:] == ["survival_730d", "survival_1461d"] or len(columns) == len(days)
    assert len(set(days)) == len(days)
