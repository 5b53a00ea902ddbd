"""Patients under two names are found; distinct patients of real cohorts never are."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from amlprognosis.cohort import exclusions, preprocessing
from amlprognosis.errors import InputError
from amlprognosis.normalize.assemble import assemble_cohort
from amlprognosis.normalize.duplicates import (
    COPIED,
    SHARED,
    alike_pairs,
    copied_profiles,
    likeness,
    likeness_across,
    shared_patients,
    without_shared,
)
from amlprognosis.retrieve.read import read_source
from amlprognosis.study import load_study

DATA = Path(os.environ.get("AMLPROGNOSIS_SHARED", Path(__file__).resolve().parents[3].parent / "shared"))
realdata = pytest.mark.skipif(not DATA.is_dir(), reason=f"{DATA} does not exist")


def profiles(n: int, genes: int, seed: int) -> pd.DataFrame:
    """Patients who share programmes of genes, as patients do."""
    rng = np.random.default_rng(seed)
    values = rng.normal(8, 2, genes) + 0.8 * rng.normal(size=(n, 6)) @ rng.normal(size=(6, genes))
    values += rng.normal(size=(n, genes))
    return pd.DataFrame(values, index=[f"S{k:03d}" for k in range(n)], columns=[f"G{k}" for k in range(genes)])


def cohort(values: pd.DataFrame, **obs: list) -> AnnData:
    frame = pd.DataFrame({"os_time": 100.0, "os_event": True, **obs}, index=values.index)
    adata = AnnData(X=values.to_numpy(np.float32), obs=frame, var=pd.DataFrame(index=values.columns))
    adata.uns["exclusions"] = pd.DataFrame({"patient": ["Z"], "reason": ["overall survival time zero"]})
    adata.uns["preprocessing"] = "[]"
    return adata


def real(name: str, file: str) -> pd.DataFrame:
    table = pd.read_csv(DATA / "data" / name / file, sep="\t", index_col=0)
    return table.set_axis(table.index.astype(str), axis=0)


def test_a_copy_gives_way_to_the_first_by_id():
    table = profiles(30, 300, 0)
    table.loc["S020"] = table.loc["S004"].round(2)  # a copy with fewer digits
    table.loc["S011"] = table.loc["S004"]
    table.loc["S007"] = table.loc["S009"] * 1.0001
    found = copied_profiles(table.iloc[::-1])
    assert found == {"S011": "S004", "S020": "S004", "S009": "S007"}
    assert copied_profiles(profiles(30, 300, 0)) == {}


def test_few_genes_or_patients_say_nothing():
    table = profiles(30, 99, 0)
    table.loc["S020"] = table.loc["S004"]
    assert copied_profiles(table) == {}
    assert "99 genes" in likeness(table.to_numpy()).reason
    small = profiles(9, 300, 0)
    small.loc["S002"] = small.loc["S001"]
    assert copied_profiles(small) == {}
    # A gene with a missing value is not compared; a flat profile is alike to nobody.
    gaps = profiles(30, 300, 1)
    gaps.iloc[0, :250] = np.nan
    assert likeness(gaps.to_numpy()).genes == 50
    assert np.isnan(likeness(gaps.to_numpy()).largest)


def test_replicates_are_suspect_and_not_copies():
    table = profiles(40, 1500, 3)
    rng = np.random.default_rng(4)
    table.loc["S021"] = table.loc["S002"] + 0.15 * rng.normal(size=1500)
    pairs, found = alike_pairs(cohort(table))
    assert pairs[["first", "second"]].to_numpy().tolist() == [["S002", "S021"]]
    assert 0.95 < pairs["r"][0] == found.largest < 0.999
    assert copied_profiles(table) == {}


@realdata
@pytest.mark.parametrize(
    ("name", "file", "largest"),
    [("tcga_laml", "expression_log2.tsv.gz", 0.85), ("bullinger2004", "expression_log2ratio.tsv.gz", 0.75)],
)
def test_distinct_patients_of_real_cohorts_are_never_taken_for_one(name, file, largest):
    table = real(name, file)
    assert copied_profiles(table) == {}
    adata = cohort(table)
    pairs, found = alike_pairs(adata)
    assert pairs.empty
    assert 0.5 < found.largest < largest
    # Whoever is put in twice, under other names and otherwise scaled, is found.
    again = table.iloc[[3, 50]].set_axis(["~1", "~2"], axis=0).round(3)
    assert copied_profiles(pd.concat([table, again])) == {"~1": table.index[3], "~2": table.index[50]}


@realdata
def test_patients_shared_by_two_real_cohorts_are_found_without_their_names():
    table = real("tcga_laml", "expression_log2.tsv.gz")
    table = table.loc[:, table.notna().all()]
    order = np.random.default_rng(0).permutation(len(table))
    training, rest = table.iloc[order[:100]], table.iloc[order[100:]]
    # Twenty training patients in a cohort on another scale, with noise, under other names.
    rng = np.random.default_rng(1)
    both = pd.concat([training.iloc[:20], rest])
    both = 0.5 * both.rank(axis=1) / both.shape[1] + 0.005 * rng.normal(size=both.shape)
    names = dict(zip(both.index, [f"V{k}" for k in range(len(both))], strict=True))
    found = shared_patients(cohort(training), cohort(both.rename(index=names)))
    assert found["excluded"].all()
    assert (found["evidence"] == "profile").all()
    truth = {names[name]: name for name in training.index[:20]}
    pairs = dict(zip(found["patient"], found["training_patient"], strict=True))
    assert pairs.items() <= truth.items()
    assert len(pairs) >= 12
    # Nobody of two cohorts that share nobody.
    alone = rest.rename(index=names)
    assert shared_patients(cohort(training), cohort(alone)).empty
    bullinger = real("bullinger2004", "expression_log2ratio.tsv.gz")
    assert shared_patients(cohort(table), cohort(bullinger)).empty
    assert "shared genes" in likeness_across(cohort(table), cohort(bullinger)).reason


def test_an_id_is_believed_unless_something_contradicts():
    a = cohort(profiles(20, 50, 0), sex=["male", "female"] * 10, age=[60.0 + k for k in range(20)])
    b = cohort(profiles(20, 50, 1).iloc[:4], sex=["male", "female"] * 2, age=[60.0, 61.5, 62.0, 80.0])
    found = shared_patients(a, b).set_index("patient")
    assert found["excluded"].tolist() == [True, True, True, False]
    assert "age" in found.loc["S003", "note"]
    left = without_shared(b, a)
    assert list(left.obs_names) == ["S003"]
    assert exclusions(left)["reason"].tolist() == [SHARED] * 3 + ["overall survival time zero"]
    assert preprocessing(left)["dropped"].tolist() == [3]
    with pytest.raises(InputError, match="all 3 patients are in the training cohort"):
        without_shared(b[:3].copy(), a)
    assert without_shared(cohort(profiles(5, 50, 2).set_axis(list("vwxyz"), axis=0)), a).n_obs == 5


def test_cohorts_that_merely_count_their_patients_alike_share_nobody():
    a = cohort(profiles(20, 50, 0), sex=["male", "female"] * 10)
    b = cohort(profiles(20, 50, 1), sex=["female", "male"] * 8 + ["male", "female"] * 2)
    assert not shared_patients(a, b)["excluded"].any()
    assert without_shared(b, a) is b
    bare = [str(k) for k in range(20)]
    a, b = (cohort(profiles(20, 50, seed).set_axis(bare, axis=0)) for seed in (0, 1))
    assert not shared_patients(a, b)["excluded"].any()
    assert shared_patients(a, b)["note"].str.contains("bare number").all()


def test_a_renamed_copy_is_left_out_of_a_cohort_and_counted(tmp_path):
    table = profiles(40, 200, 5)
    table.loc["S030"] = table.loc["S012"]
    clinical = pd.DataFrame({"id": table.index, "time": np.arange(1, 41), "event": ["1", "0"] * 20})
    clinical.to_csv(tmp_path / "c.tsv", sep="\t", index=False)

    def built(expression):
        expression.T.to_csv(tmp_path / "e.tsv", sep="\t", index_label="gene")
        files = {"expression": str(tmp_path / "e.tsv"), "clinical": str(tmp_path / "c.tsv")}
        own = {
            "role": "training",
            "source": {"type": "tables", "scale": "log2", "clinical_id": "id", **files},
            "clinical": {"os_time": {"column": "time", "unit": "months"}, "os_event": {"column": "event"}},
        }
        study = load_study({"study": "t", "title": "t", "data_root": "/", "cohorts": {"one": own}})
        return assemble_cohort(study, "one", read_source(study, "one"))

    adata = built(table)
    assert adata.n_obs == 39
    assert "S030" not in adata.obs_names
    assert exclusions(adata).to_dict("records") == [{"patient": "S030", "reason": COPIED}]
    made = preprocessing(adata).set_index("step").loc["duplicated patients"]
    assert made["detail"] == "S030 is S012"
    assert (made["before"], made["after"]) == (40, 39)
    # As if the copy had never been there.
    np.testing.assert_array_equal(adata.X, built(table.drop(index="S030")).X)
