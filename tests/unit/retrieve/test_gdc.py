from __future__ import annotations

import json
from pathlib import Path

import gdc_world as world
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amlprognosis.errors import InputError
from amlprognosis.retrieve.gdc import plan, read, retrieve
from amlprognosis.retrieve.gdc_clinical import flatten_cases
from amlprognosis.retrieve.gdc_files import sample_rank
from amlprognosis.retrieve.star_counts import read_matrix, read_star_counts
from amlprognosis.study import GdcSource, Retrieval

SETTINGS = Retrieval()


def source(**keys: object) -> GdcSource:
    return GdcSource(type="gdc", project=world.PROJECT, **keys)


def brought(tmp_path: Path, **keys: object) -> Path:
    """A project, retrieved from a folder."""
    folder = tmp_path / "out"
    retrieve(source(**keys), str(tmp_path / "base"), folder, SETTINGS)
    return folder


def test_star_counts(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text(world.star())
    counts = read_star_counts(path)
    assert counts.values.tolist() == [12, 5, 2]
    assert counts.genes.to_pylist() == [row[0] for row in world.ROWS[4:]]
    assert counts.names.to_pylist() == ["TP53", "CD99", "CD99"]
    assert counts.model == "GENCODE v36"
    assert read_star_counts(path, "tpm_unstranded").values.tolist() == [1.5] * 3
    path.write_text(world.star().replace("\n", "\r\n").partition("\r\n")[2])
    assert (read_star_counts(path).values.tolist(), read_star_counts(path).model) == ([12, 5, 2], "")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("\t12\t", "\t-12\t", r"line 7: gene ENSG00000141510.18 has no valid unstranded"),
        ("\t12\t", "\t12.5\t", "no valid unstranded"),
        ("\t12\t", "\t\t", "no valid unstranded"),
        ("\t12\t", "\tx\t", r"line 7, column unstranded: 'x' is not a number"),
        ("\t12\t", "\t", r"line 7 has 8 fields, the header 9"),
        ("\t12\t", "\tinf\t", "no valid"),
        ("\nENSG00000141510", "\n\nENSG00000141510", "line 7: '' is no Ensembl gene"),
        ("\tunstranded", "\tother", "no column unstranded"),
        ("stranded_first", "unstranded", "more than once: unstranded"),
        ("ENSG00000002586.20_PAR_Y", "ENSG00000002586.20", r"line 9: gene ENSG00000002586.20 is repeated"),
        ("ENSG00000141510.18", "TP53", r"line 7: 'TP53' is no Ensembl gene"),
        ("N_ambiguous", "ENSG00000000001.1", "line 3: the rows N_unmapped"),
    ],
)
def test_faults_of_star_counts(tmp_path, old, new, words):
    path = tmp_path / "a.tsv"
    path.write_text(world.star().replace(old, new, 1))
    with pytest.raises(InputError, match=words):
        read_star_counts(path)


def test_older_counts_and_no_genes(tmp_path):
    path = tmp_path / "a.htseq.counts"
    path.write_text("ENSG00000000003.13\t12\n__no_feature\t4\n")
    with pytest.raises(InputError, match="counts of HTSeq"):
        read_star_counts(path)
    path.write_text("\n".join(world.star().split("\n")[:6]) + "\n")
    with pytest.raises(InputError, match="no genes"):
        read_star_counts(path)
    path.write_text("# gene-model: GENCODE v36")
    with pytest.raises(InputError, match="only comments"):
        read_star_counts(path)


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(0, len(world.star()) - 1))
def test_a_cut_star_file_is_an_error_or_a_beginning(tmp_path_factory, cut):
    path = tmp_path_factory.mktemp("cut") / "a.tsv"
    path.write_text(world.star()[:cut])
    try:
        counts = read_star_counts(path)
    except InputError:
        return
    assert counts.values.tolist() == [12, 5, 2][: len(counts.values)]
    assert world.star()[:cut].endswith("\n")


def test_files_of_one_matrix_have_one_gene_model_and_the_same_genes(tmp_path):
    paths = [tmp_path / name for name in ("a.tsv", "b.tsv")]
    lines = world.star(1).rstrip("\n").split("\n")
    paths[0].write_text(world.star())
    paths[1].write_text("\n".join([*lines[:6], lines[8], lines[6], lines[7]]) + "\n")
    matrix, gene_map, steps = read_matrix(paths, ["A", "B"], "unstranded")
    assert matrix.to_numpy().tolist() == [[12, 7], [13, 7]]
    assert gene_map.to_dict() == {"ENSG00000141510": "TP53", "ENSG00000002586": "CD99"}
    assert "GENCODE v36" in steps[0]["detail"]
    paths[1].write_text(world.star(model="GENCODE v22"))
    with pytest.raises(InputError, match=r"b.tsv: gene model GENCODE v22, but GENCODE v36 in a.tsv"):
        read_matrix(paths, ["A", "B"], "unstranded")
    paths[1].write_text("\n".join(lines[:8]) + "\n")
    with pytest.raises(InputError, match=r"b.tsv: other genes than a.tsv: ENSG00000002586.20_PAR_Y"):
        read_matrix(paths, ["A", "B"], "unstranded")
    for path in paths:
        path.write_text(world.star().replace("ENSG00000141510.18", "ENSG00000002586.3"))
    with pytest.raises(InputError, match="several versions"):
        read_matrix(paths, ["A", "B"], "unstranded")


def test_a_project(tmp_path):
    world.project(tmp_path / "base")
    raw = read(source(), brought(tmp_path), {})
    assert raw.expression.to_dict("index") == {
        "P-1": {"ENSG00000141510": 32, "ENSG00000002586": 7},
        "P-2": {"ENSG00000141510": 42, "ENSG00000002586": 7},
        "P-3": {"ENSG00000141510": 62, "ENSG00000002586": 7},
    }
    assert sorted((row["patient"], row["reason"]) for row in raw.exclusions) == [
        ("P-1-04A", "further sample of a patient"),
        ("P-1-09B", "further sample of a patient"),
        ("P-2-11A", "normal tissue"),
        ("P-3-50A", "cell line, xenograft or control"),
        ("TARGET-00-RO1-14A", "normal tissue"),
    ]
    assert raw.tested == {"P-1", "P-3"}
    assert raw.mutations.to_dict("index") == {"P-1": {"KMT2D": 1.0}, "P-3": {"KMT2D": 0.0}}
    steps = {step["step"]: step for step in raw.steps}
    assert steps["variants of further samples"]["dropped"] == 1
    assert "1 with a recurrent" in steps["one sample per patient"]["detail"]
    assert raw.clinical["os_days"].to_dict() == {"P-1": "7", "P-2": "900", "P-3": ""}
    assert raw.clinical["sex"].to_dict() == {"P-1": "female", "P-2": "male", "P-3": ""}
    assert raw.clinical["age_at_diagnosis"].to_dict() == {"P-1": "14610", "P-2": "400", "P-3": ""}
    assert raw.clinical.loc["P-2", "blast_count"] == "46.0"
    assert "age from days_to_birth: 1 (P-2)" in steps["clinical data"]["detail"]


@pytest.mark.parametrize(("values", "first"), [("tpm", 1.5), ("fpkm", 2.5), ("fpkm_uq", 3.5)])
def test_other_columns_are_of_the_scale_tpm(tmp_path, values, first):
    world.project(tmp_path / "base")
    raw = read(source(values=values, mutations=False), brought(tmp_path, values=values, mutations=False), {})
    assert raw.scale == "tpm"
    assert raw.expression.to_numpy().tolist() == [[first, 2 * first]] * 3
    assert raw.mutations is None
    assert not (tmp_path / "out/data/m1").exists()


@pytest.mark.parametrize(
    ("sample", "rank"),
    [
        ({"sample_type": "Primary Blood Derived Cancer - Peripheral Blood"}, 0),
        ({"sample_type": "Recurrent Blood Derived Cancer - Peripheral Blood"}, 1),
        ({"sample_type": "Blood Derived Cancer - Bone Marrow, Post-treatment"}, 2),
        ({"sample_type": "Blood Derived Normal"}, None),
        ({"sample_type": "Primary Xenograft Tissue"}, None),
        ({"sample_type": "Next Generation Cancer Model"}, None),
        ({"tissue_type": "Tumor", "tumor_descriptor": "Primary"}, 0),
        ({"tissue_type": "Tumor", "tumor_descriptor": "Recurrence"}, 1),
        ({"tissue_type": "Normal", "tumor_descriptor": "Not Applicable"}, None),
        ({"submitter_id": "TCGA-AB-2803-03A"}, 0),
        ({"submitter_id": "TCGA-AB-2803-11A-01D-0739-09"}, None),
        ({"submitter_id": "TARGET-20-PASJGZ-09A"}, 0),
        ({"submitter_id": "TARGET-20-PASJGZ-40A"}, 1),
        ({"submitter_id": "TARGET-20-PASJGZ-42A"}, 2),
        ({"submitter_id": "TARGET-20-PASJGZ-50A"}, None),
        ({"submitter_id": "BA2392R"}, 2),
        ({}, 2),
    ],
)
def test_ranks_of_samples(sample, rank):
    assert sample_rank(sample)[0] == rank


def test_files_that_are_closed_or_pooled_are_counted(tmp_path):
    base = world.project(tmp_path / "base")
    hits = world.files_of(base)
    hits[5]["access"] = "controlled"
    hits[3]["cases"].append({"submitter_id": "P-9", "project": {"project_id": world.PROJECT}})
    hits[-2]["access"] = "controlled"
    world.write_files(base, hits)
    folder = brought(tmp_path)
    assert not (folder / "data/u5").exists()
    raw = read(source(), folder, {})
    assert list(raw.expression.index) == ["P-1"]
    reasons = {row["patient"]: row["reason"] for row in raw.exclusions}
    assert reasons["P-3-09A"] == "controlled access"
    assert "file of several patients" in reasons.values()
    assert raw.tested == {"P-1"}
    for hit in hits:
        hit["access"] = "controlled"
    world.write_files(base, hits)
    with pytest.raises(InputError, match="all 8 STAR-counts files of T-AML have controlled access"):
        brought(tmp_path)


def test_survival_times_that_cannot_be_are_missing_and_counted(tmp_path):
    cases = [
        ("A", {"vital_status": "Dead", "days_to_death": None}, [5]),
        ("B", {"vital_status": "Alive", "days_to_death": 40}, [30]),
        ("C", {"vital_status": "Alive"}, [-3]),
        ("D", {"vital_status": "Alive"}, [30, None, 70]),
        ("E", {"vital_status": "Dead", "days_to_death": 0, "age_at_index": 50, "gender": "unspecified"}, []),
        ("F", {"vital_status": "Unknown"}, [8]),
    ]
    hits = [
        {"submitter_id": name, "demographic": who, "follow_ups": [{"days_to_follow_up": day} for day in days]}
        for name, who, days in cases
    ]
    hits[3]["index_date"] = "Sample Procurement"
    path = tmp_path / "cases.json"
    path.write_text(world.answer(hits))
    table, steps = flatten_cases(path, "X")
    assert table["os_days"].to_dict() == {"A": "", "B": "", "C": "", "D": "70", "E": "0", "F": "8"}
    assert table.loc["E", ["age_at_diagnosis", "sex"]].tolist() == ["18262.5", ""]
    for words in (
        "dead without days_to_death, time missing: 1 (A)",
        "alive with days_to_death, time missing: 1 (B)",
        "negative survival time, time missing: 1 (C)",
        "times count from sample procurement, not from diagnosis: 1 (D)",
        "age from age_at_index: 1 (E)",
    ):
        assert words in steps[0]["detail"]


def test_laboratory_values_in_several_units_stay_apart(tmp_path):
    def case(name: str, unit: str, value: float) -> dict:
        test = {"laboratory_test": "Leukocytes", "test_value": value, "test_units": unit}
        return {"submitter_id": name, "follow_ups": [{"days_to_follow_up": 0, "molecular_tests": [test]}]}

    path = tmp_path / "cases.json"
    path.write_text(world.answer([case("A", "10^9/L", 3.5), case("B", "cells/uL", 3500)]))
    table, _ = flatten_cases(path, "X")
    assert "leukocytes" not in table
    assert table.loc["A", "leukocytes_10_9_l"] == "3.5"
    assert table.loc["B", "leukocytes_cells_ul"] == "3500"


@pytest.mark.parametrize(
    ("part", "value", "words"),
    [
        ("demographic", 3, r"hit 1 \(A\): demographic is 3, not an object"),
        ("diagnoses", {"a": 1}, "diagnoses is .*not a list"),
        ("follow_ups", [{"days_to_follow_up": "soon"}], "days_to_follow_up is 'soon', not a number"),
        ("follow_ups", [{"days_to_follow_up": True}], "not a number"),
        ("submitter_id", 3, "hit 1: submitter_id is 3, not a text"),
        ("submitter_id", None, "hit 1: submitter_id is missing"),
    ],
)
def test_faults_of_clinical_data_are_named(tmp_path, part, value, words):
    path = tmp_path / "cases.json"
    path.write_text(world.answer([{"submitter_id": "A", part: value}]))
    with pytest.raises(InputError, match=words):
        flatten_cases(path, "X")


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("file_id", "../x", "not a plain file name"),
        ("file_name", "a.tsv", "'a.tsv' is described as one of the counts files"),
        ("file_name", "a/b.rna_seq.augmented_star_gene_counts.tsv", "not a plain file name"),
        ("md5sum", "123", "no MD5"),
        ("access", "secret", "neither open nor controlled"),
        ("cases", [], r"hit 1: file_id or cases.submitter_id is missing"),
        ("file_id", "u1", "listed twice: u1"),
    ],
)
def test_faults_of_the_list_are_named(tmp_path, key, value, words):
    base = world.project(tmp_path / "base")
    hits = world.files_of(base)
    hits[0][key] = value
    world.write_files(base, hits)
    with pytest.raises(InputError, match=words):
        brought(tmp_path)


def test_a_damaged_file_a_page_of_hits_and_an_api_error_are_named(tmp_path):
    base = world.project(tmp_path / "base")
    target = next((base / "data/u0").iterdir())
    kept = target.read_text()
    target.write_text(world.star(99))
    with pytest.raises(InputError, match="md5"):
        brought(tmp_path)
    target.write_text(kept)
    hits = world.files_of(base)
    for hit in hits:
        hit["file_name"] = hit["file_name"].replace(".rna_seq.augmented_star_gene_counts.tsv", ".htseq.counts.gz")
        hit["analysis"] = {"workflow_type": "HTSeq - Counts"}
    world.write_files(base, hits)
    with pytest.raises(InputError, match="it lists 8 HTSeq files"):
        brought(tmp_path)
    path = base / "cases.json"
    found = json.loads(path.read_text())
    found["data"]["pagination"] = {"total": 30}
    path.write_text(json.dumps(found))
    with pytest.raises(InputError, match="3 of 30 hits"):
        flatten_cases(path, world.PROJECT)
    path.write_text('{"message": "down for maintenance"}')
    with pytest.raises(InputError, match="down for maintenance"):
        flatten_cases(path, world.PROJECT)
    path.write_text('{"data": {"hits": [], "hits": []}}')
    with pytest.raises(InputError, match="a key stands twice: hits"):
        flatten_cases(path, world.PROJECT)


def test_the_plan_needs_no_network(tmp_path):
    planned = plan(source(), "https://api.gdc.cancer.gov", tmp_path)
    assert [item.url for item in planned] == [
        "https://api.gdc.cancer.gov/files",
        "https://api.gdc.cancer.gov/cases",
        "https://api.gdc.cancer.gov/status",
        "https://api.gdc.cancer.gov/data/{uuid}",
        "https://api.gdc.cancer.gov/data/{uuid}",
    ]
    assert [Path(item.path).name for item in planned] == ["files.json", "cases.json", "status.json", "data", "data"]
    local = plan(source(mutations=False), str(tmp_path), tmp_path)
    assert [item.what for item in local] == ["list of files", "clinical data", "STAR-counts files"]
