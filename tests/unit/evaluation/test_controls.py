"""Negative controls: shared screens change no bit, and the tables say what was computed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from evaluation_helpers import make as make_toy
from evaluation_helpers import make_world

from amlprognosis.errors import InputError
from amlprognosis.evaluation.controls import training_controls, validation_controls
from amlprognosis.evaluation.crossvalidate import derive_seed, structured_outcome
from amlprognosis.evaluation.folds import make_folds
from amlprognosis.evaluation.inputs import model_factory
from amlprognosis.evaluation.nulls import (
    COLUMNS,
    SUMMARY_COLUMNS,
    candidate_sets,
    empirical_p,
    frozen_candidate_sets,
    permuted_outcome,
    procedure_c_index,
    random_gene_sets,
    shuffled,
    summarize_controls,
)
from amlprognosis.evaluation.seed_stability import seed_tables
from amlprognosis.models.concordance import harrell_concordance
from amlprognosis.models.registry import make_model
from amlprognosis.study import Study, load_study

GENES = [f"G{k}" for k in range(60)]


@pytest.fixture(scope="module")
def gaps():
    """Ninety patients, 60 genes with missing values, some of them constant or mostly missing in single folds."""
    features, outcome, folds = make_world(90, 60, seed=4)
    rng = np.random.default_rng(0)
    features = features.mask(rng.uniform(size=features.shape) < 0.02)
    features["expression:G58"] = 0.0
    features.iloc[:18, features.columns.get_loc("expression:G59")] = np.nan
    return features, outcome, folds


def make(genes, **settings):
    return lambda _name, seed: make_model("gene_index", {"genes": list(genes), "n_folds": 4, **settings}, seed)


@pytest.mark.parametrize("settings", [{}, {"min_genes": 3, "max_genes": 5, "lambda_rule": "1se"}, {"screen_p": 1.0}])
def test_shared_screens_give_the_plain_procedure_to_the_bit(gaps, settings):
    features, outcome, folds = gaps
    sets = [["G0", "G7", "G59"], *random_gene_sets(GENES, 20, 3, 5), GENES, ["G58", "G59", "G3"], ["G58"]]
    plain = [
        procedure_c_index(features, outcome, folds, make(genes, **settings), "gene_index", 5, [1, 2]) for genes in sets
    ]
    assert 0.5 < plain[0][0] < 1
    for threads in (1, 3):
        args = (features, outcome, folds, make(["G0"], **settings), sets, 5, [1, 2], threads)
        shared = candidate_sets(*args)
        assert [c for c, _ in shared[:-1]] == [c for c, _ in plain[:-1]]
        # A set of one constant gene can not be fitted anywhere, here as there.
        assert np.isnan(shared[-1][0])
        assert np.isnan(plain[-1][0])
        assert [note[:14] for _, note in shared] == [note[:14] for _, note in plain]
        assert shared[-1][1].startswith("6 folds failed")


def test_permuted_outcomes_are_the_plain_procedure_to_the_bit(gaps):
    features, outcome, folds = gaps
    args = (features, outcome, folds, make(GENES), 3, 5, [1, 2])
    found = permuted_outcome(*args)
    assert found == permuted_outcome(*args, threads=3)
    plain = [
        procedure_c_index(shuffled(features, 5, draw), outcome, folds, make(GENES), "gene_index", 5, [1, 2])
        for draw in (1, 2, 3)
    ]
    assert found == plain
    assert len({c for c, _ in found}) == 3
    assert permuted_outcome(features, outcome, folds, make(["G58"]), 1, 5)[0][1].startswith("3 folds failed")


def test_frozen_sets_are_the_frozen_model_applied(gaps):
    features, outcome, _ = gaps
    other, known, _ = make_world(40, 60, seed=9)
    other.index = known.index = [f"V{k}" for k in range(40)]
    other["expression:G0"] = np.nan
    sets = [GENES[:30], ["G5", "G6", "G7", "G8"], ["G0"]]
    found = frozen_candidate_sets(features, outcome, make(["G0"]), sets, 5, {"V": (other, known)}, 0.5, threads=2)
    for genes, (c, note) in zip(sets, found["V"], strict=True):
        model = make(genes)("gene_index", derive_seed(5, "gene_index", 0, 0))
        model.fit(features, structured_outcome(outcome))
        if genes == ["G0"]:
            assert np.isnan(c)
            assert "1 of 1 genes have no value" in note
            continue
        expected = harrell_concordance(known["os_time"], known["os_event"], model.predict(other)).index
        assert (c, note) == (expected, "")


def test_random_sets():
    sets = random_gene_sets(GENES, 5, 4, 1)
    assert [len(set(genes)) for genes in sets] == [5] * 4
    assert sets == random_gene_sets(GENES[::-1], 5, 4, 1)
    assert sets[:2] == random_gene_sets(GENES, 5, 2, 1)
    assert sets != random_gene_sets(GENES, 5, 4, 2)
    with pytest.raises(InputError, match="cannot draw random sets of 61 genes out of 60"):
        random_gene_sets(GENES, 61, 1, 0)


def test_any_model_can_be_the_procedure(world):
    features, outcome, folds = world
    c, note = procedure_c_index(features, outcome, folds, make_toy, "refusing", 0)
    assert np.isnan(c)
    assert note == "3 folds failed: too small for this model"
    both, first = (procedure_c_index(features, outcome, folds, make_toy, "age", 0, r)[0] for r in ([1, 2], [1]))
    assert both != first


def test_empirical_p():
    assert empirical_p(0.6, [0.5, 0.7, np.nan, 0.4]) == pytest.approx(0.5)
    assert empirical_p(0.9, [0.5] * 199) == pytest.approx(1 / 200)
    assert np.isnan(empirical_p(np.nan, [0.5]))


def study(**evaluation) -> Study:
    cohort = {
        "source": {"type": "tables", "expression": "e", "scale": "log2", "clinical": "c", "clinical_id": "i"},
        "clinical": {"os_time": {"column": "t", "unit": "days"}, "os_event": {"column": "e"}},
    }
    return load_study(
        {
            "study": "controls",
            "title": "t",
            "seed": 3,
            "cohorts": {"T": {"role": "training", **cohort}, "V": {"role": "validation", **cohort}},
            "crossvalidation": {"folds": 3, "repeats": 2},
            "models": {"run": ["gene_index"], "gene_index": {"n_folds": 4}},
            "evaluation": evaluation,
        }
    )


def test_tables_of_the_controls(world):
    features, outcome, folds = world
    asked = study(permutations=4, random_sets=6, control_repeats=2)
    candidates = [*GENES[:12], "NOT_MEASURED"]
    table = training_controls(asked, features, outcome, folds, candidates, threads=2)
    pd.testing.assert_frame_equal(table, training_controls(asked, features, outcome, folds, candidates))
    assert list(table.columns) == COLUMNS
    draws = table.groupby("control", sort=False)["draw"].agg(["min", "max", "size"]).T.to_dict("list")
    assert draws == {
        "index": [0, 0, 1],
        "permuted_outcome": [1, 4, 4],
        "random_gene_set": [1, 6, 6],
        "leaky_recipe": [0, 0, 1],
        "honest_recipe": [0, 0, 1],
        "leaky_recipe_permuted": [1, 4, 4],
        "honest_recipe_permuted": [1, 4, 4],
    }
    assert (table["cohort"] == "T").all()
    plain, _ = procedure_c_index(
        features, outcome, folds, model_factory(asked, candidates), "gene_index", asked.seed, [1, 2]
    )
    assert table.loc[0, "c_harrell"] == plain
    one = training_controls(study(permutations=0, random_sets=0, control_repeats=1), features, outcome, folds, GENES)
    assert one["control"].tolist() == ["index", "leaky_recipe", "honest_recipe"]

    frozen = validation_controls(asked, features, outcome, candidates, {"V": (features, outcome)}, threads=2)
    assert frozen["control"].tolist() == ["index", *["random_gene_set"] * 6]
    summary = summarize_controls(pd.concat([table, frozen], ignore_index=True))
    assert list(summary.columns) == SUMMARY_COLUMNS
    rows = summary.set_index(["cohort", "control"])
    assert rows.loc[("T", "random_gene_set"), "observed"] == plain
    assert rows.loc[("V", "random_gene_set"), "observed"] == frozen["c_harrell"][0]
    recipe = table.set_index("control").loc["leaky_recipe", "c_harrell"]
    assert rows.loc[("T", "leaky_recipe_permuted"), "observed"] == recipe
    assert rows.loc[("T", "permuted_outcome"), "draws"] == 4
    assert (summary["p"] >= 1 / 7).all()
    assert validation_controls(asked, features, outcome, candidates, {}).empty
    assert summarize_controls(one).empty


def test_another_seed_is_the_study_with_that_seed(world):
    features, outcome, _ = world
    asked = study(seeds=2)
    candidates = GENES[:20]
    selected = pd.DataFrame(
        [("gene_index", 1, fold, f"expression:G{g}") for fold in (1, 2, 3) for g in (0, fold)],
        columns=["model", "repeat", "fold", "feature"],
    )
    tables = seed_tables(asked, features, outcome, candidates, selected, threads=2)
    again = seed_tables(asked, features, outcome, candidates, selected)
    for name, table in tables.items():
        pd.testing.assert_frame_equal(table, again[name])
    table = tables["seed_stability"].set_index("seed")
    assert table.index.tolist() == [4, 5]
    frozen = make_factory(asked, candidates, 3).fit(features, structured_outcome(outcome))
    other = make_factory(asked, candidates, 5).fit(features, structured_outcome(outcome))
    assert table.loc[5, "genes"] == len(other.features_in_)
    assert table.loc[5, "shared"] == len(set(other.features_in_) & set(frozen.features_in_))
    assert 0 < table.loc[5, "jaccard"] <= 1
    assert 0.5 < table.loc[5, "risk_correlation"] <= 1
    folds = make_folds(list(features.index), outcome["os_event"], outcome["os_time"], 3, 1, 5)
    make = model_factory(asked, candidates)
    assert table.loc[5, "c_harrell"] == procedure_c_index(features, outcome, folds, make, "gene_index", 5)[0]
    assert table.loc[4, "c_harrell"] != table.loc[5, "c_harrell"]
    summary = tables["stability_summary"].set_index("over")
    assert summary["fits"].to_dict() == {"folds": 3, "seeds": 3}
    assert (summary["candidates"] == 20).all()
    assert (summary["low"] <= summary["nogueira"]).all()
    none = seed_tables(study(seeds=0), features, outcome, candidates, selected)
    assert none["seed_stability"].empty
    assert none["stability_summary"]["over"].tolist() == ["folds"]


def make_factory(asked: Study, candidates: list[str], seed: int):
    return model_factory(asked, candidates)("gene_index", derive_seed(seed, "gene_index", 0, 0))
