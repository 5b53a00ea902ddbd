"""Batches, platforms and biology in expression are told apart, and told with what they have to do with survival."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from amlprognosis.evaluation.batch_effects import COMPONENT_COLUMNS, EFFECT_COLUMNS, assess_batches
from amlprognosis.evaluation.leakage_checks import leakage_notes
from amlprognosis.evaluation.quality_notes import SHARED_BY_TWO, identity_checks, quality_notes
from amlprognosis.normalize.identity import COLUMNS
from amlprognosis.normalize.platform import learn_platform
from amlprognosis.study import Study, load_study


def study_of(batch: str | None = None) -> Study:
    clinical = {"os_time": {"column": "t", "unit": "days"}, "os_event": {"column": "e"}, "categories": {"plate": "p"}}
    source = {"type": "tables", "expression": "e.tsv", "scale": "log2", "clinical": "c.tsv", "clinical_id": "id"}
    cohorts = {
        "T": {"role": "training", "source": source, "clinical": clinical},
        "V": {"role": "validation", "source": source, "clinical": clinical, "adaptation": "reference_quantiles"},
        "W": {"role": "validation", "source": source, "clinical": clinical},
    }
    return load_study({"study": "s", "title": "S", "cohorts": cohorts, "features": {"batch": batch}})


def cohort(seed: int, n: int, shift: float = 0.0, late: bool = False) -> AnnData:
    """Patients on three plates, the third shifted by ``shift`` in half of the genes; ``late``: it lives longer."""
    rng = np.random.default_rng(seed)
    values = np.random.default_rng(0).normal(8, 2, 400) + rng.normal(size=(n, 400))
    values += rng.normal(size=(n, 4)) @ rng.normal(size=(4, 400))
    plate = np.array(["1", "2", "3"], dtype=object)[np.arange(n) % 3]
    values[plate == "3", :200] += shift
    plate[0] = None
    time = rng.exponential(600, n) * np.where((plate == "3") & late, 8.0, 1.0) + 1
    obs = pd.DataFrame(
        {
            "os_time": time,
            "os_event": rng.random(n) < 0.8,
            "age": rng.uniform(20, 80, n),
            "sex": pd.Categorical(rng.choice(["female", "male"], n)),
            "plate": pd.Categorical(plate),
        },
        index=[f"{seed}-{k:03d}" for k in range(n)],
    )
    return AnnData(X=values.astype(np.float32), obs=obs, var=pd.DataFrame(index=[f"G{k}" for k in range(400)]))


def assessed(study: Study, shift: float, late: bool):
    training = cohort(1, 90, shift, late)
    other = cohort(2, 60)
    other.X = other.X * 0.5 + 3 + np.random.default_rng(9).normal(0, 2, 400).astype(np.float32)
    cohorts = {"T": training, "V": other, "W": cohort(3, 60)}
    names = [f"expression:G{k}" for k in range(400)]
    platform = learn_platform(pd.DataFrame(training.X.astype(float), index=training.obs_names, columns=names))
    return assess_batches(study, cohorts, platform), cohorts


def test_a_batch_is_seen_and_its_survival_is_told():
    found, _ = assessed(study_of("plate"), shift=2.0, late=True)
    table = found.effects.set_index(["cohort", "matrix", "column"])
    assert list(found.effects.columns) == EFFECT_COLUMNS
    plate = table.loc[("T", "as built", "plate")]
    assert plate["verdict"] in ("clear", "strong")
    assert plate["logrank_p"] < 0.01
    assert (plate["levels"], plate["patients"]) == (3, 89)
    assert "correcting them would remove outcome signal" in plate["note"]
    assert "corrected in every training part" in plate["note"]
    assert table.loc[("T", "corrected: plate", "plate"), "verdict"] == "not seen"
    assert table.loc[("T", "as built", "sex"), "kind"] == "biology"
    for name in ("V", "W"):
        assert table.loc[(name, "as built", "plate"), "verdict"] in ("not seen", "slight")
    assert table.loc[("T + V", "as built", "cohort"), "verdict"] == "strong"
    after = table.loc[("T + V", "reference_quantiles", "cohort")]
    assert after["explained"] <= table.loc[("T + V", "as built", "cohort"), "explained"]
    assert ("T + W", "as built", "cohort") in table.index
    notes = quality_notes(study_of("plate"), pd.DataFrame(columns=COLUMNS), found.effects)
    assert [row[:2] for row in notes] == [("data quality", "T"), ("design", "features.batch")]
    assert "removes outcome signal" in notes[0][2]


def test_a_batch_without_outcome_may_be_corrected_and_a_clean_cohort_has_no_note():
    found, cohorts = assessed(study_of(), shift=2.0, late=False)
    plate = found.effects.query("cohort == 'T' and column == 'plate'").iloc[0]
    assert "noise that features.batch can take out" in plate["note"]
    clean, _ = assessed(study_of(), shift=0.0, late=False)
    assert clean.effects.query("cohort == 'T' and column == 'plate'")["verdict"].iloc[0] in ("not seen", "slight")
    assert quality_notes(study_of(), pd.DataFrame(columns=COLUMNS), clean.effects) == []
    assert list(found.components.columns) == COMPONENT_COLUMNS
    sizes = found.components.groupby(["space", "matrix"], sort=False).size().to_dict()
    assert sizes == {
        ("T", "as built"): 90,
        ("V", "as built"): 60,
        ("T + V", "as built"): 150,
        ("T + V", "reference_quantiles"): 150,
        ("W", "as built"): 60,
        ("T + W", "as built"): 150,
    }
    own = found.components.query("space == 'T'")
    assert list(own["patient"]) == list(cohorts["T"].obs_names)
    assert (own["share1"] >= own["share2"]).all()


def test_outcomes_have_no_part_in_the_components():
    first, _ = assessed(study_of(), shift=1.0, late=False)
    second, _ = assessed(study_of(), shift=1.0, late=True)
    pd.testing.assert_frame_equal(first.components, second.components)
    same = [column for column in EFFECT_COLUMNS if column not in ("logrank_p", "note")]
    pd.testing.assert_frame_equal(first.effects[same], second.effects[same])


def test_missing_values_are_a_group_and_few_patients_are_said():
    study = study_of()
    found, cohorts = assessed(study, shift=0.0, late=False)
    cohorts["V"].X[::2, :10] = np.nan
    cohorts["W"] = cohorts["W"][:6].copy()
    names = [f"expression:G{k}" for k in range(400)]
    training = cohorts["T"]
    platform = learn_platform(pd.DataFrame(training.X.astype(float), index=training.obs_names, columns=names))
    table = assess_batches(study, cohorts, platform).effects.set_index(["cohort", "matrix", "column"])
    assert table.loc[("V", "as built", "missing values"), "genes"] == 390
    small = table.loc[("W", "as built", "plate")]
    assert (small["verdict"], small["note"]) == ("not checked", "6 patients: fewer than 10")
    assert "missing values" not in found.effects["column"].tolist()


@pytest.fixture
def identity() -> pd.DataFrame:
    rows = [
        ("T", "all patients", "sex by expression", "2 of 50 are recorded otherwise", "genes", "suspect"),
        ("T", "P1", "sex by expression", "recorded male, expressed female", "numbers", "suspect"),
        ("T", "P2", "sex by expression", "recorded female, expressed male", "numbers", "suspect"),
        ("V", "all patients", "sex by expression", "recorded the other way round", "0% agree", "suspect"),
        ("T", "P3 / P4", "duplicated profile", "the same profile; records differ in age", "a copy", "suspect"),
        ("T + V", "all patients", "shared between cohorts", "1 patients in both", "n", "clean"),
        ("T + V", "all patients", "swapped samples", "not checked", "no id stands in both cohorts", "not checked"),
        ("V + W", "all patients", "shared between cohorts", "2 patients in both; counted twice", "n", "shared"),
        ("V + W", "A / B", "shared between cohorts", "the same patient in both", "profile", "shared"),
        ("V + W", "C", "shared between cohorts", "the same patient in both", "id", "shared"),
        ("V + W", "all patients", "swapped samples", "2 of 9 shared ids", "7 have their own", "suspect"),
        ("V + W", "D / E", "swapped samples", "swapped in one of the cohorts", "r", "suspect"),
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def test_findings_reach_the_checks_and_the_notes(identity):
    checks = pd.DataFrame(
        identity_checks(identity, "T"), columns=["check", "cohort", "item", "value", "verdict", "note"]
    )
    assert checks[["check", "cohort", "item", "value", "verdict"]].to_numpy().tolist() == [
        [SHARED_BY_TWO, "V + W", "all patients", 2.0, "suspect"],
        [SHARED_BY_TWO, "V + W", "A / B, C", 2.0, "suspect"],
        ["swapped samples", "V + W", "all patients", 1.0, "suspect"],
        ["swapped samples", "V + W", "D / E", 1.0, "suspect"],
    ]
    assert [row[:2] for row in leakage_notes(checks)] == [
        ("meta-analysis", "V + W: A / B, C"),
        ("leakage", "V + W: D / E"),
    ]
    effects = pd.DataFrame(columns=EFFECT_COLUMNS)
    notes = quality_notes(study_of(), identity, effects)
    assert [row[:2] for row in notes] == [
        ("data quality", "T"),
        ("data quality", "V"),
        ("data quality", "T: P3 / P4"),
    ]
    assert "P1, P2" in notes[0][2]
    assert "the other way round" in notes[1][2]
