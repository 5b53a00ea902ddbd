"""Swapped, doubled and wrongly recorded samples are found, and samples without a fault hardly ever raise an alarm."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from amlprognosis.normalize.duplicates import copies_record, record_conflicts, without_shared
from amlprognosis.normalize.identity import ACROSS, EVERYBODY, SEX, SWAPPED, TWICE, sample_identity
from amlprognosis.normalize.sex import XIST, Y_GENES, sex_by_expression, two_groups

DATA = Path(os.environ.get("AMLPROGNOSIS_SHARED", Path(__file__).resolve().parents[3].parent / "shared"))
realdata = pytest.mark.skipif(not DATA.is_dir(), reason=f"{DATA} does not exist")
GENES = [f"G{k}" for k in range(900)]


class World:
    """Patients with programmes of genes, and genes of sex; each can be measured again on another platform."""

    def __init__(self, n: int, seed: int):
        self.rng = np.random.default_rng(seed)
        self.profile = 0.8 * self.rng.normal(size=(n, 6)) @ self.rng.normal(size=(6, 900)) + self.rng.normal(
            size=(n, 900)
        )
        self.sex = np.where(self.rng.random(n) < 0.5, "female", "male")
        self.lost = (self.sex == "male") & (self.rng.random(n) < 0.1)
        self.obs = pd.DataFrame(
            {
                "os_time": self.rng.exponential(800, n).round() + 1,
                "os_event": self.rng.random(n) < 0.7,
                "age": self.rng.uniform(20, 85, n).round(),
                "sex": pd.Categorical(self.sex),
            }
        )

    def cohort(self, rows: np.ndarray, names: list[str], noise: float = 0.2) -> AnnData:
        """Samples of patients: every gene with its own level and noise, XIST and Y by the patient's sex."""
        level = self.rng.normal(8, 1.5, 900)
        values = level + self.profile[rows] + noise * self.rng.normal(size=(len(rows), 900))
        women = (self.sex[rows] == "female")[:, None]
        without = (~women[:, 0] & self.lost[rows])[:, None]
        sexed = np.where(np.hstack([women, *[~women & ~without] * len(Y_GENES)]), 10.0, 4.0)
        sexed = sexed + self.rng.normal(0, 0.5, sexed.shape)
        adata = AnnData(
            X=np.hstack([values, sexed]).astype(np.float32),
            obs=self.obs.iloc[rows].set_axis(pd.Index(names), axis=0),
            var=pd.DataFrame(index=[*GENES, XIST, *Y_GENES]),
        )
        adata.uns["exclusions"] = pd.DataFrame({"patient": [], "reason": []}, dtype=object)
        adata.uns["preprocessing"] = "[]"
        return adata


def names(n: int, prefix: str) -> list[str]:
    return [f"{prefix}{k:03d}" for k in range(n)]


def found(table: pd.DataFrame, check: str, verdict: str = "suspect") -> set[str]:
    own = table[(table["check"] == check) & (table["verdict"] == verdict) & (table["patient"] != EVERYBODY)]
    return set(own["patient"])


@pytest.mark.parametrize("seed", range(6))
def test_clean_cohorts_raise_no_alarm(seed):
    world = World(150, seed)
    cohorts = {
        "T": world.cohort(np.arange(60), names(60, "T")),
        "V": world.cohort(np.arange(60, 105), names(45, "V")),
        "W": world.cohort(np.arange(105, 150), names(45, "W")),
    }
    table = sample_identity(cohorts, "T")
    assert not table["verdict"].isin(["suspect", "shared"]).any()
    # Men without Y are told, and are no suspects.
    lost = {
        name for name, own in zip([*names(60, "T"), *names(45, "V"), *names(45, "W")], world.lost, strict=True) if own
    }
    told = table[table["finding"].str.contains("Y lost")]
    assert set(told["patient"]) == lost
    assert (told["verdict"] == "clean").all()


@pytest.mark.parametrize("seed", range(4))
def test_every_planted_fault_is_found(seed):
    world = World(160, seed)
    training = world.cohort(np.arange(80), names(80, "P"))
    # Thirty patients in both validation cohorts, twenty of the training cohort in the first, two of them swapped.
    rows = np.concatenate([np.arange(20), np.arange(80, 130)])
    first = world.cohort(rows, [*names(80, "P")[:20], *names(50, "A")])
    first.X[[3, 7]] = first.X[[7, 3]]
    second = world.cohort(np.concatenate([np.arange(100, 130), np.arange(130, 160)]), names(60, "B"))
    # A replicate under another name, of another recorded age; and two patients of different sex exchanged.
    second.X[45] = second.X[50] + 0.05 * world.rng.normal(size=second.n_vars)
    clear = ~world.lost[130:160]
    woman = 30 + int(np.flatnonzero((world.sex[130:160] == "female") & (np.arange(30) > 20))[0])
    man = 30 + int(np.flatnonzero((world.sex[130:160] == "male") & clear & (np.arange(30) > 20))[0])
    second.X[[woman, man]] = second.X[[man, woman]]
    built = without_shared(first, training, "A")
    assert built.n_obs == 50
    table = sample_identity({"T": training, "A": built, "B": second}, "T")
    assert "P003 / P007" in found(table, SWAPPED)
    assert found(table, SWAPPED) == {"P003 / P007"}
    sexed = found(table, SEX)
    assert {f"B{woman:03d}", f"B{man:03d}"} <= sexed
    assert sexed <= {f"B{k:03d}" for k in (woman, man, 45)}
    assert found(table, TWICE) == {"B045 / B050"}
    pair = table[table["patient"] == "B045 / B050"].iloc[0]
    conflict = record_conflicts(second.obs.loc["B045"], second.obs.loc["B050"])
    assert ("which is right is unknown" in pair["finding"]) == (conflict != "")
    assert found(table, ACROSS, "shared") == {f"A{k + 20:03d} / B{k:03d}" for k in range(30)}
    whole = table[(table["cohort"] == "A + B") & (table["check"] == ACROSS) & (table["patient"] == EVERYBODY)].iloc[0]
    assert whole["finding"].startswith("30 patients in both; none is left out")


def test_a_swap_between_validation_cohorts_and_a_profile_that_moved():
    world = World(120, 3)
    training = world.cohort(np.arange(30), names(30, "T"))
    a = world.cohort(np.arange(30, 80), names(50, "P"))
    rows = np.arange(30, 80)
    rows[[4, 9]] = rows[[9, 4]]
    rows[20] = rows[21]  # P020 carries the profile of P021
    b = world.cohort(np.append(rows, 100), [*names(50, "P"), "X"])
    b = b[b.obs_names != "P021"].copy()
    table = sample_identity({"T": training, "A": a, "B": b}, "T")
    assert found(table, SWAPPED) == {"P004 / P009", "P020 / P021"}
    told = table[table["patient"] == "P020 / P021"]["finding"].tolist()
    assert told == ["P020 carries the profile of P021 in one of the cohorts"]


def test_ids_that_are_mere_numbers_are_no_swaps():
    world = World(120, 4)
    training = world.cohort(np.arange(30), names(30, "T"))
    a = world.cohort(np.arange(30, 80), [str(k) for k in range(50)])
    b = world.cohort(np.random.default_rng(0).permutation(np.arange(30, 80)), [str(k) for k in range(50)])
    table = sample_identity({"T": training, "A": a, "B": b}, "T")
    assert found(table, SWAPPED) == set()
    told = table[(table["check"] == SWAPPED) & (table["cohort"] == "A + B")].iloc[0]
    assert told["verdict"] == "undecided"
    assert "nothing to do with each other" in told["finding"]


def test_sex_coded_the_other_way_round_is_one_fault_and_not_a_hundred():
    world = World(80, 5)
    adata = world.cohort(np.arange(80), names(80, "P"))
    other = {"female": "male", "male": "female"}
    adata.obs["sex"] = adata.obs["sex"].astype(object).map(other)
    table = sample_identity({"T": adata}, "T")
    sexed = table[table["check"] == SEX]
    assert len(sexed) == 1
    assert "the other way round" in sexed["finding"].iloc[0]
    adata.obs["sex"] = np.random.default_rng(1).permutation(adata.obs["sex"])
    told = sample_identity({"T": adata}, "T").query("check == @SEX")
    assert told["finding"].str.contains("hardly agree").tolist() == [True]


def test_without_clear_genes_nothing_is_called():
    world = World(60, 6)
    adata = world.cohort(np.arange(60), names(60, "P"))
    none = adata[:, GENES].copy()
    assert "neither XIST nor a gene of Y" in sex_by_expression(none).reason
    flat = adata.copy()
    flat.X[:, -7:] = np.random.default_rng(0).normal(8, 1, (60, 7))
    assert "no two clear groups" in sex_by_expression(flat).reason
    odd = adata.copy()
    odd.X[:, -7] = odd.X[:, -1]  # XIST where Y is
    assert "not opposites" in sex_by_expression(odd).reason
    only_y = adata[:, [*GENES, *Y_GENES]].copy()
    assert set(sex_by_expression(only_y).table["call"]) == {"male", "no Y"}
    only_x = adata[:, [*GENES, XIST]].copy()
    assert set(sex_by_expression(only_x).table["call"]) == {"female", "no XIST"}
    # One sex, one group.
    women = adata[adata.obs["sex"] == "female"].copy()
    assert sex_by_expression(women).reason
    unknown = adata.copy()
    del unknown.obs["sex"]
    row = sample_identity({"T": unknown}, "T").query("check == @SEX").iloc[0]
    assert (row["finding"], row["verdict"]) == ("no sex is recorded", "not checked")


def test_two_groups_are_two_groups():
    rng = np.random.default_rng(2)
    low, high = two_groups(np.concatenate([rng.normal(4, 0.4, 50), rng.normal(9, 0.6, 30), [np.nan]]))
    assert low == pytest.approx(4, abs=0.2)
    assert high == pytest.approx(9, abs=0.3)
    for one in (rng.normal(8, 1, 300), rng.uniform(0, 10, 300), rng.exponential(1, 300), np.full(300, 3.0)):
        assert two_groups(one) is None
    assert two_groups(np.array([1.0, 2.0])) is None


def test_copies_are_recorded_with_what_contradicts():
    obs = pd.DataFrame(
        {
            "os_time": [100.0, 110.0, 900.0],
            "os_event": [True, True, True],
            "age": [60.0, 61.0, 40.0],
            "sex": ["male"] * 3,
        },
        index=["A", "B", "C"],
    )
    rows = json.loads(copies_record({"B": "A", "C": "A"}, obs))
    assert rows == [
        {"patient": "B", "first": "A", "conflict": ""},
        {"patient": "C", "first": "A", "conflict": "age, outcome"},
    ]
    world = World(40, 8)
    adata = world.cohort(np.arange(40), names(40, "P"))
    adata.uns["copied_patients"] = json.dumps([{"patient": "P900", "first": "P001", "conflict": "sex"}])
    told = sample_identity({"T": adata}, "T").query("patient == 'P001 / P900'").iloc[0]
    assert told["verdict"] == "suspect"
    assert "records differ in sex; which is right is unknown" in told["finding"]


@realdata
def test_karyotypes_of_tcga_agree_with_the_sex_by_expression():
    """XX and XY of the karyotype measure sex, too: no call contradicts them, and one recorded sex does."""
    values = pd.read_csv(DATA / "data/tcga_laml/expression_log2.tsv.gz", sep="\t", index_col=0)
    values.index = values.index.astype(str).str[:12]
    clinical = pd.read_csv(DATA / "data/tcga_laml/clinical.tsv", sep="\t", dtype=str)
    clinical.index = clinical.iloc[:, 0].str[:12]
    shared = [name for name in values.index if name in clinical.index]
    clinical, values = clinical.loc[shared], values.loc[shared]
    adata = AnnData(
        X=values.to_numpy(np.float32),
        obs=pd.DataFrame({"sex": clinical["SEX"].str.lower()}, index=shared),
        var=pd.DataFrame(index=values.columns),
    )
    calls = sex_by_expression(adata).table["call"]
    karyotype = (
        clinical["CYTOGENETICS"]
        .fillna("")
        .map(lambda text: (re.match(r"\s*\d+(?:[~-]\d+)?,\s*X([XY])(?![XY])", text) or [None, None])[1])
    )
    assert (calls[karyotype == "X"] == "female").sum() >= 70
    assert (calls[karyotype == "Y"] == "male").sum() >= 75
    assert not (calls[karyotype == "X"] == "male").any()
    assert not (calls[karyotype == "Y"] == "female").any()
    wrong = calls.isin(["female", "male"]) & (calls != adata.obs["sex"])
    assert list(calls.index[wrong]) == ["TCGA-AB-2889"]
    assert karyotype["TCGA-AB-2889"] == "Y"
    assert adata.obs.loc["TCGA-AB-2889", "sex"] == "female"
