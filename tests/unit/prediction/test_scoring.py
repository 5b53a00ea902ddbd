"""Scoring of frozen models: single patients, folders that stand alone, the main adaptation."""

from __future__ import annotations

import shutil

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prediction_world import ADAPTATIONS, MODELS

from amlprognosis.errors import InputError
from amlprognosis.evaluation.apply import apply_models, main_adaptation_only
from amlprognosis.evaluation.freeze import freeze
from amlprognosis.evaluation.inputs import model_factory
from amlprognosis.evaluation.scoring import Patients, Shelf, score
from amlprognosis.models.persistence import load_model


@pytest.fixture(scope="module")
def opened(world):
    shelf = Shelf()
    return {name: shelf.open(world.model(name)) for name in MODELS}


@settings(max_examples=25)
@given(
    name=st.sampled_from([name for name in MODELS if name != "eln"]),  # who has no label is refused alone
    adaptation=st.sampled_from(ADAPTATIONS[:3]),
    rows=st.lists(st.integers(0, 23), min_size=2, max_size=4, unique=True),
    lost=st.integers(0, 77),
)
def test_a_patient_alone_is_scored_as_among_others(world, opened, name, adaptation, rows, lost):
    frozen = opened[name]
    adaptation = frozen.adaptations([adaptation])[0]
    patients = world.features.iloc[rows].copy()
    patients.iloc[0, lost] = np.nan
    together = score(frozen, Patients(patients), adaptation).table
    for place, patient in enumerate(patients.index):
        alone = score(frozen, Patients(patients.loc[[patient]]), adaptation).table
        for column in together:
            expected = together[column].iloc[place]
            figure = isinstance(expected, float)
            assert alone[column][0] == (pytest.approx(expected, rel=1e-12, nan_ok=True) if figure else expected)


def test_predictions_of_the_validation(world):
    table = world.predictions
    assert set(table["cohort"]) == {"V"}
    sizes = table.groupby(["model", "adaptation"]).size()
    for name in MODELS:
        expected = ["none"] if name in ("age", "eln", "clinical_mutations") else sorted(ADAPTATIONS)
        assert list(sizes[name].index) == expected
        assert (sizes[name] == 24).all()
    assert not table[["risk", "risk_group"]].isna().any(axis=None)
    # One patient has no risk group: two of his columns are missing, and filled.
    eln = table[table["model"] == "eln"].set_index("patient")["features_missing"]
    assert eln["V003"] == 2
    assert eln.drop("V003").eq(0).all()


def test_main_adaptation(world):
    main = main_adaptation_only(world.study, world.predictions)
    assert set(main["adaptation"]) == {"none"}
    assert len(main) == len(MODELS) * 24
    cohort = world.study.cohorts["V"].model_copy(update={"adaptation": ["within_sample_ranks", "none"]})
    other = world.study.model_copy(update={"cohorts": {**world.study.cohorts, "V": cohort}})
    shown = main_adaptation_only(other, world.predictions).groupby("model")["adaptation"].unique().str.join("")
    assert shown["gene_index"] == "within_sample_ranks"
    assert shown["age"] == "none"


def test_a_cohort_without_a_models_features_is_refused_for_it(world):
    features = world.features.copy()
    features[[column for column in features if column.startswith("clinical:")]] = np.nan
    folders = [world.model(name) for name in ("gene_index", "age", "clinical_mutations")]
    predictions, notes = apply_models(world.study, "V", features, folders)
    assert set(predictions["model"]) == {"gene_index"}
    assert notes["item"].tolist() == ["age", "clinical_mutations"]
    assert notes["note"].str.startswith("not applied: CoxModel: ").all()
    with pytest.raises(InputError, match="no model can be applied to validation cohort V: age: not applied"):
        apply_models(world.study, "V", features, folders[1:])
    with pytest.raises(InputError, match="at least 10 patients"):
        apply_models(world.study, "V", world.features.iloc[:5], folders)


def test_a_frozen_model_says_where_it_comes_from(world):
    model = load_model(world.model("xgboost_cox"))
    told = model.metadata_
    assert told["horizons_years"] == [1, 3]
    assert told["max_missing_share"] == 0.3
    assert told["adaptation"] == "none"
    assert told["adaptations"] == ADAPTATIONS
    assert told["training_expression"] == "counts"
    assert set(told["software"]) == {"amlprognosis", "numpy", "scikit-learn", "xgboost"}
    assert set(model.files_) == {"booster.ubj", "platform.json.gz"}
    age = load_model(world.model("age"))
    assert (age.metadata_["adaptations"], age.metadata_["training_expression"]) == (["none"], None)
    assert "xgboost" not in age.metadata_["software"]
    assert not (world.model("age") / "platform.json.gz").exists()


def test_the_reference_takes_the_disk_once_and_a_copied_folder_stands_alone(world, tmp_path):
    files = [world.model(name) / "platform.json.gz" for name in ("gene_index", "random_survival_forest")]
    assert len({file.stat().st_ino for file in files}) == 1
    copy = shutil.copytree(world.model("gene_index"), tmp_path / "elsewhere")
    found = score(Shelf().open(copy), Patients(world.features), "within_sample_ranks").table
    expected = world.predictions.query("model == 'gene_index' and adaptation == 'within_sample_ranks'")
    np.testing.assert_array_equal(found["risk"], expected["risk"])


def test_freezing_twice_gives_the_same_bytes(world, tmp_path):
    training = pd.DataFrame(
        world.training.X.astype(float), index=world.training.obs_names, columns=world.training.var_names
    ).add_prefix("expression:")
    outcome, make = (
        world.training.obs[["os_time", "os_event"]],
        model_factory(world.study, list(world.training.var_names)),
    )
    for name in ("a", "b", "a"):
        freeze(
            world.study,
            "gene_index",
            make,
            training,
            outcome,
            tmp_path / name,
            platform=world.folder / "platform.json.gz",
        )
    for file in ("model.json", "platform.json.gz"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    text = (tmp_path / "a" / "model.json").read_text()
    assert str(tmp_path) not in text
    assert str(world.folder) not in text


def test_a_model_without_its_reference(world, tmp_path):
    copy = shutil.copytree(world.model("age"), tmp_path / "age")
    assert Shelf().open(copy).platform is None
    gene_index = load_model(world.model("gene_index"))
    from amlprognosis.models.persistence import save_model

    save_model(gene_index, tmp_path / "bare", gene_index.metadata_)
    frozen = Shelf().open(tmp_path / "bare")
    np.testing.assert_allclose(
        score(frozen, Patients(world.features)).table["risk"], gene_index.predict(world.features)
    )
    with pytest.raises(InputError, match="no reference of its training platform"):
        score(frozen, Patients(world.features), "reference_quantiles")
    save_model(gene_index, tmp_path / "bare", {"study": "x"})
    with pytest.raises(InputError, match="metadata lack 'model'"):
        Shelf().open(tmp_path / "bare")
