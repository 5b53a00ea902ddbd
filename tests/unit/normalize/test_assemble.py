from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from amlprognosis.cohort import exclusions, preprocessing
from amlprognosis.errors import InputError
from amlprognosis.evaluation.design import make_design
from amlprognosis.normalize.assemble import assemble_cohort, frozen_reference
from amlprognosis.normalize.clinical import join_patients
from amlprognosis.normalize.harmonize import design_matrix, shared_genes, validation_features
from amlprognosis.retrieve.read import read_source
from amlprognosis.signatures.gene_sets import GeneSet
from amlprognosis.study import load_study

SHARED = Path(os.environ.get("AMLPROGNOSIS_SHARED", Path(__file__).resolve().parents[3].parent / "shared"))
realdata = [pytest.mark.realdata, pytest.mark.skipif(not SHARED.is_dir(), reason=f"{SHARED} does not exist")]
N = 40


def world(folder: Path, *, genes=("A", "B", "MLL", "D"), scale="log2", seed=1, **clinical_changes):
    """Write a small cohort of own tables; each keyword replaces a clinical column."""
    rng = np.random.default_rng(seed)
    names = [f"P{i:02d}" for i in range(N)]
    values = rng.normal(7, 2, (len(genes), N)) if scale == "log2" else rng.poisson(200, (len(genes), N))
    pd.DataFrame(values, index=list(genes), columns=names).to_csv(folder / "e.tsv", sep="\t", index_label="gene")
    columns = {"id": names, "time": np.arange(1, N + 1), "event": ["1.0", "0"] * (N // 2), "sex": ["F", "M"] * (N // 2)}
    pd.DataFrame({**columns, **clinical_changes}).to_csv(folder / "c.tsv", sep="\t", index=False)
    return folder


def study(folder: Path, role="training", other: Path | None = None, **normalization):
    def cohort(path, role):
        return {
            "role": role,
            "source": {
                "type": "tables",
                "expression": str(path / "e.tsv"),
                "scale": normalization.get("scale", "log2"),
                "clinical": str(path / "c.tsv"),
                "clinical_id": "id",
            },
            "clinical": {
                "os_time": {"column": "time", "unit": "months"},
                "os_event": {"column": "event"},
                "sex": {"column": "sex"},
            },
            "normalization": {k: v for k, v in normalization.items() if k != "scale"},
        }

    cohorts = {"one": cohort(folder, "training")}
    if other:
        cohorts["two"] = cohort(other, "validation")
    return load_study({"study": "t", "title": "t", "data_root": "/", "cohorts": cohorts})


def build(folder, name="one", **options):
    s = study(folder, **options)
    return assemble_cohort(s, name, read_source(s, name))


def test_folds_are_balanced_for_a_column_of_groups(tmp_path):
    trial = ["07-04"] * 16 + [" 98A"] * 20 + ["NA"] * 4
    content = study(world(tmp_path, trial=trial)).model_dump(mode="json", exclude_unset=True)
    content["cohorts"]["one"]["clinical"]["categories"] = {"trial": "trial"}
    content["crossvalidation"] = {"folds": 4, "repeats": 2, "stratify": ["trial"]}
    content["features"] = {"clinical": ["sex"]}
    s = load_study(content)
    adata = assemble_cohort(s, "one", read_source(s, "one"))
    assert adata.obs["trial"].isna().sum() == 4
    design = make_design(s, {"one": adata}, {"own": GeneSet("own", "", ("A", "B"))})
    obs = adata.obs.astype(object).loc[design.folds["patient"]]
    own = design.folds.assign(trial=obs["trial"].to_numpy(), event=obs["os_event"].to_numpy())
    counts = own.groupby(["trial", "event", "repeat", "fold"]).size()
    assert set(counts["07-04"]) == {2}
    assert set(counts["98A"]) == {2, 3}
    assert not any("trial" in column for column in design.features)
    notes = design.report.set_index("item").loc["folds", "note"]
    assert notes == "4 folds, 2 times, by patient; balanced for death and trial: 07-04 16, 98A 20, missing 4"
    with pytest.raises(InputError, match=r"features.clinical: trial holds groups"):
        load_study(content | {"features": {"clinical": ["trial"]}})
    with pytest.raises(InputError, match=r"crossvalidation.stratify: os_event is the outcome"):
        load_study(content | {"crossvalidation": {"stratify": ["os_event"]}})


def test_a_patient_has_one_sample_and_one_row():
    clinical = pd.DataFrame({"x": ["1", "2"]}, index=["S1", "S2"])
    patients = pd.Series({"S1": "P", "S2": "P", "S3": "Q"})
    with pytest.raises(InputError, match="several samples with expression: P"):
        join_patients(clinical.iloc[:1], patients, ["S1", "S2", "S3"])
    with pytest.raises(InputError, match="several clinical rows: P"):
        join_patients(clinical, patients, ["S1", "S3"])


def test_a_cohort_of_tables(tmp_path):
    adata = build(world(tmp_path))
    assert adata.var_names.tolist() == ["A", "B", "D", "KMT2A"]
    assert adata.obs["os_time"].iloc[0] == pytest.approx(365.25 / 12)
    assert adata.obs["os_event"].sum() == N // 2
    assert adata.obs["sex"].tolist()[:2] == ["female", "male"]
    assert "gene names" in preprocessing(adata)["step"].tolist()


def test_missing_and_zero_survival_are_excluded_and_listed(tmp_path):
    time = ["0", "NA", *map(str, range(3, N + 1))]
    event = ["1", "0", "N.A.", *["1", "0"] * 20][:N]
    adata = build(world(tmp_path, time=time, event=event))
    assert adata.n_obs == N - 3
    assert exclusions(adata)["reason"].tolist() == [
        "overall survival status missing",
        "overall survival time missing",
        "overall survival time zero",
    ]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"time": ["-1", *["5"] * (N - 1)]}, r"column 'time'.*negative.*P00: '-1'"),
        (
            {"time": ["99999", *["5"] * (N - 1)]},
            r"longer than 60 years: P00: 99999 \w+; is .*unit right",
        ),
        ({"time": ["-Inf", *["5"] * (N - 1)]}, r"P00: '-Inf'"),
        ({"time": ["3,5", *["5"] * (N - 1)]}, r"P00: '3,5'"),
        ({"event": ["2", *["1"] * (N - 1)]}, r"neither dead .* nor alive .*: 2"),
        ({"event": ["1"] * N}, "constant"),
        ({"event": ["1"] * 9 + ["0"] * (N - 9)}, "only 9 deaths"),
        ({"sex": ["F", "x"] * (N // 2)}, "neither female nor male: x"),
        ({"id": ["P00"] * N}, "repeated in several rows"),
        ({"id": [f"Q{i}" for i in range(N)]}, "no patient has both"),
    ],
)
def test_bad_clinical_input(tmp_path, changes, words):
    with pytest.raises(InputError, match=words):
        build(world(tmp_path, **changes))


def test_a_missing_column_is_named_with_the_nearest(tmp_path):
    world(tmp_path)
    table = pd.read_csv(tmp_path / "c.tsv", sep="\t").rename(columns={"time": "Time"})
    table.to_csv(tmp_path / "c.tsv", sep="\t", index=False)
    with pytest.raises(InputError, match=r"os_time.column: no column 'time'; did you mean 'Time'\? .*id, Time, event"):
        build(tmp_path)


def test_duplicated_genes(tmp_path):
    world(tmp_path, genes=("A", "B", "A"))
    with pytest.raises(InputError, match=r"genes named more than once: A; .*max_mean"):
        build(tmp_path)
    adata = build(tmp_path, duplicates="max_mean")
    assert adata.var_names.tolist() == ["A", "B"]


def test_an_html_page_instead_of_a_matrix(tmp_path):
    world(tmp_path)
    (tmp_path / "e.tsv").write_text("<!DOCTYPE html><html></html>")
    with pytest.raises(InputError, match="web page"):
        build(tmp_path)


def test_counts_with_a_frozen_reference_need_no_cohort(tmp_path):
    world(tmp_path, genes=[f"G{i}" for i in range(50)], scale="counts")
    s = study(tmp_path, other=tmp_path, scale="counts")
    training = assemble_cohort(s, "one", read_source(s, "one"))
    raw = read_source(s, "two")
    whole = assemble_cohort(s, "two", raw, reference=frozen_reference(training))
    np.testing.assert_allclose(whole.X, training.X, rtol=1e-6)
    raw.expression = raw.expression.iloc[:2]
    two = assemble_cohort(s, "two", raw, reference=frozen_reference(training))
    np.testing.assert_array_equal(two.X, whole.X[:2])


def test_lock_validation_values_never_change_the_training_matrix(tmp_path):
    (tmp_path / "a").mkdir(), (tmp_path / "b").mkdir()
    world(tmp_path / "a", genes=list("ABCDE"))
    frames = []
    for seed in (2, 3):
        other = world(tmp_path / "b", genes=list("BCDEF"), seed=seed)
        if seed == 3:
            table = pd.read_csv(other / "e.tsv", sep="\t", index_col=0)
            table.loc["B"] = np.nan
            table.to_csv(other / "e.tsv", sep="\t", index_label="gene")
        s = study(tmp_path / "a", other=other)
        cohorts = {name: assemble_cohort(s, name, read_source(s, name)) for name in s.cohorts}
        frames.append(design_matrix(s, cohorts)[0])
    pd.testing.assert_frame_equal(*frames)
    assert [c for c in frames[0] if c.startswith("expression:")] == [f"expression:{g}" for g in "BCDE"]
    features, report = validation_features(s, "two", cohorts["two"], list(frames[0]))
    assert list(features) == list(frames[0])
    assert "expression:B" in report[0]["detail"]


def test_no_shared_gene(tmp_path):
    (tmp_path / "a").mkdir(), (tmp_path / "b").mkdir()
    s = study(world(tmp_path / "a", genes=list("AB")), other=world(tmp_path / "b", genes=list("XY")))
    cohorts = {name: assemble_cohort(s, name, read_source(s, name)) for name in s.cohorts}
    with pytest.raises(InputError, match=r"no gene is shared.*one: 2 genes \(A, B\).*two: 2 genes \(X, Y\)"):
        shared_genes(cohorts)


class TestGenuine:
    pytestmark = realdata

    @staticmethod
    def real(clinical="tcga_laml/clinical.tsv", **mapping):
        tcga = {
            "role": "training",
            "source": {
                "type": "tables",
                "expression": "tcga_laml/expression_log2.tsv.gz",
                "orientation": "samples_in_rows",
                "scale": "log2",
                "clinical": clinical,
                "clinical_id": "sample",
                "patient_pattern": r"^(TCGA-AB-\d{4})",
                "mutations": "tcga_laml/mutations.maf.gz",
            },
            "clinical": {
                "os_time": {"column": "OS_MONTHS", "unit": "months"},
                "os_event": {"column": "OS_STATUS"},
                "age": {"column": "AGE"},
                "sex": {"column": "SEX"},
                "risk": {
                    "column": "RISK_CYTO",
                    "favourable": ["Good"],
                    "intermediate": ["Intermediate"],
                    "adverse": ["Poor"],
                },
            },
        }
        bullinger = {
            "role": "validation",
            "source": {
                "type": "tables",
                "expression": "bullinger2004/expression_log2ratio.tsv.gz",
                "orientation": "samples_in_rows",
                "scale": "log2_ratio",
                "clinical": "bullinger2004/clinical.tsv",
                "clinical_id": "sample",
            },
            "clinical": {"os_time": {"column": "OS_days", "unit": "days"}, "os_event": {"column": "event"}},
        }
        tcga["source"].update(mapping.pop("source", {}))
        tcga["clinical"].update(mapping)
        cohorts = {"tcga": tcga, "bullinger": bullinger}
        return load_study({"study": "t", "title": "t", "data_root": str(SHARED / "data"), "cohorts": cohorts})

    def test_tcga_and_bullinger(self):
        s = self.real()
        cohorts = {name: assemble_cohort(s, name, read_source(s, name)) for name in s.cohorts}
        tcga, bullinger = cohorts["tcga"], cohorts["bullinger"]
        assert tcga.shape == (169, 1610)
        assert exclusions(tcga)["reason"].value_counts().to_dict() == {
            "no clinical data": 3,
            "overall survival time zero": 1,
        }
        assert bullinger.shape == (115, 2250)
        assert int(tcga.obs["os_event"].sum()) == 110
        features, _ = design_matrix(s, cohorts)
        # 366 by the names as they are; the approved nomenclature brings seven more together.
        assert sum(c.startswith("expression:") for c in features) == 373
        assert int(features["mutation:NPM1"].sum()) == 28
        assert int(features["mutation:NPM1"].isna().sum()) == 3

    def test_infinite_follow_up_of_maftools(self):
        s = self.real(
            "tcga_laml/clinical_maftools.tsv",
            source={"clinical_id": "Tumor_Sample_Barcode"},
            os_time={"column": "days_to_last_followup", "unit": "days"},
            os_event={"column": "Overall_Survival_Status"},
            age=None,
            sex=None,
            risk=None,
        )
        with pytest.raises(InputError, match=r"'days_to_last_followup'.*-Inf"):
            assemble_cohort(s, "tcga", read_source(s, "tcga"))
