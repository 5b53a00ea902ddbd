"""Batches are corrected in every training part anew, however a model is fitted, and never by held-out patients."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from evaluation_helpers import make_world

from amlprognosis.errors import InputError
from amlprognosis.evaluation.crossvalidate import crossvalidate, derive_seed, fold_parts, structured_outcome
from amlprognosis.evaluation.design import make_design
from amlprognosis.evaluation.freeze import freeze_all
from amlprognosis.evaluation.grid import crossvalidate_grid
from amlprognosis.evaluation.inputs import corrected_features, read_batches, read_features
from amlprognosis.evaluation.leakage import held_out_influence
from amlprognosis.evaluation.nulls import (
    candidate_sets,
    frozen_candidate_sets,
    permuted_outcome,
    procedure_c_index,
    shuffled,
    shuffled_order,
)
from amlprognosis.evaluation.seed_stability import seed_tables
from amlprognosis.models.concordance import harrell_concordance
from amlprognosis.models.registry import make_model
from amlprognosis.normalize.batch import Batches
from amlprognosis.signatures.gene_sets import GeneSet
from amlprognosis.study import Study, load_study

GENES = [f"G{k}" for k in range(40)]
FEW = {"Ridge": {"n_folds": 2}, "Lasso": {"n_folds": 2}, "RSF": {"n_estimators": 10}}
MEMBERS = ["Ridge", "RSF", "Lasso + Ridge"]


@pytest.fixture(scope="module")
def world():
    """Ninety patients on three plates, which shift and stretch every gene; some values and some plates are missing."""
    features, outcome, folds = make_world(90, 40, seed=4)
    rng = np.random.default_rng(0)
    labels = pd.Series(np.array(["a", "b", "c"], dtype=object)[rng.integers(3, size=90)], index=features.index)
    genes = [column for column in features if column.startswith("expression:")]
    for k, plate in enumerate("abc"):
        rows = (labels == plate).to_numpy()
        features.loc[rows, genes] = features.loc[rows, genes] * (1 + 0.5 * k) + rng.normal(2 * k, 1, len(genes))
    features = features.mask(rng.uniform(size=features.shape) < 0.01)
    labels.iloc[:3] = None
    return features, outcome, folds, labels


def batches_of(features: pd.DataFrame, labels: pd.Series) -> Batches:
    return Batches("plate", labels, features.filter(like="expression:"))


def index(genes=GENES):
    return lambda _name, seed: make_model("gene_index", {"genes": list(genes), "n_folds": 4}, seed)


def member(name, seed):
    return make_model(name, {"parameters": FEW, "genes": [*GENES, "PLANTED_LEAK"], "max_genes": 15}, seed)


@pytest.mark.parametrize("kind", ["models", "grid"])
def test_held_out_patients_influence_nothing(world, kind):
    features, outcome, folds, labels = world
    settings = {
        "gene_index": {"genes": [*GENES, "PLANTED_LEAK"], "n_folds": 3, "n_lambda": 15},
        "clinical_gene_index": {"genes": GENES, "n_folds": 3, "index": {"n_folds": 3, "n_lambda": 15}},
        "random_survival_forest": {"n_estimators": 10},
    }

    def procedure(x, y, parts):
        own, batches = parts[parts["fold"] == 1], batches_of(x, labels)
        if kind == "grid":
            return crossvalidate_grid(
                x, y, own, MEMBERS, member, 1, [2], 0, inner_folds=2, batches=batches
            ).outer.predictions
        make = lambda name, seed: make_model(name, settings[name], seed)  # noqa: E731
        return crossvalidate(x, y, own, list(settings), make, 1, [2], 0, 1, batches).predictions

    found = held_out_influence(procedure, features, outcome, folds.query("repeat == 1"), fold=1, draws=1)
    assert (found.outcome, found.features, found.planted) == (0.0, 0.0, 0.0)


def test_correcting_once_on_everybody_is_what_the_guard_would_notice(world):
    features, outcome, folds, labels = world

    def leaky(x, y, parts):
        corrected = batches_of(x, labels).corrected(x)[0]
        return crossvalidate(corrected, y, parts[parts["fold"] == 1], ["gene_index"], index(), 1, [2], 0, 1).predictions

    found = held_out_influence(leaky, features, outcome, folds.query("repeat == 1"), fold=1, draws=1)
    assert found.features > 0


def test_every_fit_of_a_fold_gets_the_corrected_matrix(world):
    features, outcome, folds, labels = world
    batches = batches_of(features, labels)
    for part, plain in zip(
        fold_parts(features, outcome, folds, 1, batches), fold_parts(features, outcome, folds, 1), strict=True
    ):
        train, test = batches.corrected(plain.train, plain.test)
        pd.testing.assert_frame_equal(part.train, train)
        pd.testing.assert_frame_equal(part.test, test)
        pd.testing.assert_frame_equal(part.raw, plain.train)
        assert plain.raw is plain.train
        model = index()("gene_index", derive_seed(5, "gene_index", 1, part.fold)).fit(part.train, part.y)
        run = crossvalidate(features, outcome, folds, ["gene_index"], index(), 1, [1.0], 5, batches=batches)
        own = run.predictions.query("fold == @part.fold").set_index("patient")["risk"]
        np.testing.assert_array_equal(own.loc[test.index], model.predict(test))
        assert not np.allclose(model.predict(test), model.predict(plain.test))


def test_inner_folds_learn_their_own_correction(world, monkeypatch):
    features, outcome, folds, labels = world
    seen: list[frozenset[str]] = []
    plain = Batches.learn
    monkeypatch.setattr(Batches, "learn", lambda self, who: seen.append(frozenset(who)) or plain(self, who))
    own = folds.query("repeat == 1 and fold == 1")
    crossvalidate_grid(
        features, outcome, own, ["Ridge"], member, 1, [2], 0, inner_folds=3, batches=batches_of(features, labels)
    )
    outer, *inner = seen
    assert len(outer) == 60
    assert len(inner) == 3
    assert all(part < outer for part in inner)
    assert frozenset().union(*[outer - part for part in inner]) == outer


def test_the_fast_ways_of_the_controls_are_the_plain_ones_to_the_bit(world):
    features, outcome, folds, labels = world
    batches = batches_of(features, labels)
    sets = [["G0", "G7", "G9"], GENES]
    plain = [procedure_c_index(features, outcome, folds, index(s), "gene_index", 5, [1, 2], batches) for s in sets]
    assert candidate_sets(features, outcome, folds, index(), sets, 5, [1, 2], 2, batches) == plain
    assert plain != candidate_sets(features, outcome, folds, index(), sets, 5, [1, 2])
    # Of candidates alone, as the controls hand them over, the correction is the same.
    few = features[[f"expression:{gene}" for gene in sets[0]]]
    assert candidate_sets(few, outcome, folds, index(), sets[:1], 5, [1, 2], 1, batches) == plain[:1]
    permuted = permuted_outcome(few, outcome, folds, index(sets[0]), 2, 5, [1], 2, batches)
    for draw, found in enumerate(permuted, start=1):
        moved = batches.reordered(shuffled_order(90, 5, draw))
        profiles = shuffled(features, 5, draw)
        assert found == procedure_c_index(profiles, outcome, folds, index(sets[0]), "gene_index", 5, [1], moved)


def test_frozen_sets_are_learned_from_the_corrected_matrix(world):
    features, outcome, _, labels = world
    batches = batches_of(features, labels)
    other, known, _ = make_world(40, 40, seed=9)
    found = frozen_candidate_sets(features, outcome, index(), [GENES], 5, {"V": (other, known)}, 0.5, batches=batches)[
        "V"
    ]
    model = index()("gene_index", derive_seed(5, "gene_index", 0, 0))
    model.fit(batches.corrected(features)[0], structured_outcome(outcome))
    expected = harrell_concordance(known["os_time"], known["os_event"], model.predict(other)).index
    assert found == [(expected, "")]


def study_of(batch: str | None, **more) -> Study:
    clinical = {
        "os_time": {"column": "t", "unit": "days"},
        "os_event": {"column": "e"},
        "categories": {"plate": "p"},
    }
    source = {"type": "tables", "expression": "e.tsv", "scale": "log2", "clinical": "c.tsv", "clinical_id": "id"}
    return load_study(
        {
            "study": "tiny",
            "title": "Tiny",
            "cohorts": {"T": {"role": "training", "source": source, "clinical": clinical}},
            "features": {"batch": batch},
            "models": {"run": ["gene_index", *MEMBERS], "gene_index": {"n_folds": 4}, "parameters": FEW},
            "evaluation": {"seeds": 1},
            **more,
        }
    )


def test_the_training_matrix_carries_the_batches_and_no_model_sees_them(world, tmp_path):
    features, outcome, _, labels = world
    path = tmp_path / "features.parquet"
    pd.concat([outcome, features], axis=1).assign(batch=labels).to_parquet(path)
    read, known = read_features(path)
    assert list(read.columns) == list(features.columns)
    assert list(known.columns) == ["os_time", "os_event"]
    assert read_batches(study_of(None), path) is None
    batches = read_batches(study_of("plate"), path)
    pd.testing.assert_frame_equal(batches.corrected(read)[0], batches_of(features, labels).corrected(features)[0])
    matrix = pd.read_parquet(path)
    assert corrected_features(study_of(None), matrix) is matrix
    pd.testing.assert_frame_equal(
        corrected_features(study_of("plate"), matrix)[features.columns], batches.corrected(read)[0]
    )


def test_frozen_models_are_fitted_on_the_corrected_matrix(world, tmp_path):
    features, outcome, _, labels = world
    batches = batches_of(features, labels)
    for folder, study, own in (("off", study_of(None), None), ("on", study_of("plate"), batches)):
        freeze_all(study, ["gene_index"], index(), features, outcome, tmp_path / folder, batches=own)
        freeze_all(study, MEMBERS, member, features, outcome, tmp_path / folder, batches=own)
    off, on = (json.loads((tmp_path / name / "gene_index" / "model.json").read_text()) for name in ("off", "on"))
    assert "batches_corrected" not in off["metadata"]
    assert on["metadata"]["batches_corrected"] == "plate"
    model = index()("gene_index", derive_seed(1, "gene_index", 0, 0))
    model.fit(batches.corrected(features)[0], structured_outcome(outcome))
    assert on["learned"]["coef_"] == model.coef_.tolist()
    assert off["learned"]["coef_"] != on["learned"]["coef_"]
    ridge = [json.loads((tmp_path / name / "Ridge" / "model.json").read_text()) for name in ("off", "on")]
    assert ridge[0]["learned"]["coef_"] != ridge[1]["learned"]["coef_"]


def test_other_seeds_correct_their_own_folds(world):
    features, outcome, _, labels = world
    study, selected = study_of("plate"), pd.DataFrame(columns=["model", "repeat", "fold", "feature"])
    on = seed_tables(study, features, outcome, GENES, selected, batches=batches_of(features, labels))
    off = seed_tables(study, features, outcome, GENES, selected)
    assert on["seed_stability"]["c_harrell"].notna().all()
    assert not on["seed_stability"].equals(off["seed_stability"])


def test_the_design_carries_the_batches_and_says_who_stays_as_they_are(world):
    features, outcome, _, labels = world
    genes = features.filter(like="expression:").fillna(0.0)
    few = labels.copy()
    few.iloc[3:6] = "tiny"
    adata = AnnData(
        X=genes.to_numpy(np.float32),
        obs=outcome.assign(plate=few.to_numpy()),
        var=pd.DataFrame(index=[name.removeprefix("expression:") for name in genes.columns]),
    )
    sets = {"all": GeneSet("all", "", tuple(GENES))}
    off, on = (make_design(study_of(batch), {"T": adata}, sets) for batch in (None, "plate"))
    assert "batch" not in off.features
    pd.testing.assert_frame_equal(on.features.drop(columns="batch"), off.features)
    assert on.features["batch"].tolist() == few.tolist()
    pd.testing.assert_frame_equal(on.folds, off.folds)
    told = on.report[on.report["item"] == "batches"]
    assert told["level"].tolist() == ["info", "warning"]
    assert "3 batches are corrected" in told["note"].iloc[0]
    left = "patients of batches smaller than 5 (3) and patients without a value (3) stay as they are"
    assert left in told["note"].iloc[1]
    assert not off.report["item"].eq("batches").any()


def test_a_column_that_is_not_mapped_is_refused():
    with pytest.raises(InputError, match=r"features.batch: 'plates' is not in cohorts.T.clinical.categories; did you"):
        study_of("plates")
