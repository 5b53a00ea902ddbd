from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from amlprognosis.cells import matrix
from amlprognosis.cells.annotation import read_annotation
from amlprognosis.cells.discover import discover_samples, patient_and_timepoint
from amlprognosis.cells.load import load_atlas, load_sample
from amlprognosis.cells.matrix import read_count_table
from amlprognosis.errors import InputError

SHARED = Path(__file__).resolve().parents[4] / "shared"


def test_discovery_joins_table_and_annotation_by_sample_name(folder):
    samples = discover_samples(folder)
    assert [s.sample for s in samples] == ["BM1", "BM4", "P1-D0"]
    assert samples[2].gsm == "GSM1001"
    assert samples[2].anno.name.startswith("GSM1002")
    assert samples[1].dem is None


def test_discovery_in_a_flat_folder_without_accessions(tmp_path, write_gz):
    write_gz(tmp_path / "X.dem.txt.gz", "Gene\tc\nA\t1\n")
    (sample,) = discover_samples(tmp_path)
    assert (sample.sample, sample.gsm, sample.anno) == ("X", "", None)
    atlas, rows = load_sample(sample)
    assert atlas.obs["malignant"].isna().all()
    assert any("no annotation file" in row["reason"] for row in rows)


def test_discovery_refuses_two_tables_of_a_sample_and_empty_folders(tmp_path, write_gz):
    with pytest.raises(InputError, match="no such folder"):
        discover_samples(tmp_path / "absent")
    with pytest.raises(InputError, match=r"no \*\.dem"):
        discover_samples(tmp_path)
    write_gz(tmp_path / "GSM1_X.dem.txt.gz", "")
    write_gz(tmp_path / "GSM2_X.dem.txt.gz", "")
    with pytest.raises(InputError, match=r"'X' has two \.dem files"):
        discover_samples(tmp_path)


@pytest.mark.parametrize(
    ("sample", "expected"),
    [
        ("AML328-D0", ("AML328", "D0")),
        ("AML328-D171", ("AML328", "D171")),
        ("BM1", ("BM1", None)),
        ("BM5-34p38n", ("BM5", None)),
        ("OCI-AML3", ("OCI-AML3", None)),
    ],
)
def test_patient_and_timepoint(sample, expected):
    assert patient_and_timepoint(sample) == expected


def test_atlas_is_the_union_of_genes_with_annotation(folder):
    atlas, report = load_atlas(discover_samples(folder), ["P1-D0", "BM1"])
    assert list(atlas.var_names) == ["A", "B", "C", "MT-X"]
    assert list(atlas.obs_names) == ["BM1_a", "P1_a", "P1_b", "P1_c"]
    np.testing.assert_array_equal(atlas.X.toarray(), [[4, 0, 5, 0], [0, 1, 0, 2], [3, 0, 0, 0], [0, 10, 0, 0]])
    assert atlas.X.dtype == np.int32
    assert atlas.obs["malignant"].tolist() == [pd.NA, False, True, pd.NA]
    assert atlas.obs["cell_type"].astype(object).where(lambda s: s.notna(), None).tolist() == [
        None,
        "T",
        "HSC-like",
        None,
    ]
    assert atlas.obs["source_Score_T"].tolist()[1:3] == [0.1, 0.5]
    assert atlas.obs["patient"].tolist() == ["BM1", "P1", "P1", "P1"]
    gone = report[report["reason"] == "annotated, but not in the count table"]
    assert gone[["sample", "removed", "kept"]].to_numpy().tolist() == [["P1-D0", 1, 2]]
    assert (report["reason"] == "kept without annotation").sum() == 1
    skipped = report[report["step"] == "skip"]
    assert skipped["sample"].tolist() == ["BM4"]
    assert "GSM1005_BM4.anno" in skipped["reason"].iloc[0]
    assert str(folder) not in skipped["reason"].iloc[0]
    assert (report["step"] == "gene union").sum() == 2


def test_sample_without_matrix_is_an_error_when_asked_for(folder):
    samples = discover_samples(folder)
    for wanted in (None, ["BM4"]):
        with pytest.raises(InputError, match=r"(?s)BM4: no count table .*GSM\*_BM4\.dem\.txt\.gz"):
            load_atlas(samples, wanted)
    with pytest.raises(InputError, match="'BM9' is not in the atlas"):
        load_atlas(samples, ["BM9"])
    with pytest.raises(InputError, match="asked for twice"):
        load_atlas(samples, ["BM1", "BM1"])


def test_renaming_sums_what_comes_to_share_a_name(folder):
    samples = discover_samples(folder)
    plain, _ = load_atlas(samples, ["P1-D0", "BM1"])
    by_mapping, report = load_atlas(samples, ["P1-D0", "BM1"], rename={"C": "A", "MT-X": "MT-Y"})
    assert list(by_mapping.var_names) == ["A", "B", "MT-Y"]
    assert by_mapping.X.sum() == plain.X.sum()
    assert by_mapping["BM1_a", "A"].X.sum() == 9
    row = report[report["step"] == "gene names"].iloc[0]
    assert (row["removed"], row["kept"]) == (1, 3)
    dropping, report = load_atlas(
        samples, ["P1-D0", "BM1"], rename=lambda names: ([None if n == "B" else n for n in names], [{"step": "odd"}])
    )
    assert list(dropping.var_names) == ["A", "C", "MT-X"]
    assert report["reason"].iloc[-1].endswith("1 without a name; odd: 1")
    with pytest.raises(InputError, match="returned 1 names for 4 genes"):
        load_atlas(samples, ["P1-D0", "BM1"], rename=lambda names: (["A"], []))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("<!DOCTYPE html><html>404</html>", "HTML page"),
        ("Cell\tx\nA\t1\n", "first header cell is 'Cell'"),
        ("Gene\nA\n", "no cell columns"),
        ("Gene\tx\tx\nA\t1\t2\n", "cell 'x' occurs more than once"),
        ("Gene\tx\t\nA\t1\t2\n", "column 3 has no cell name"),
        ("Gene\tx\ty\nA\t1\t2\nB\t1\n", r"line 3: 1 counts, but the header names 2 cells"),
        ("Gene\tx\ty\nA\t1\t2\t3\n", r"line 2: 3 counts"),
        ("Gene\tx\ty\nA\t1\t2.5\n", r"line 2, gene 'A', cell 'y': '2.5' is not a count"),
        ("Gene\tx\ty\nA\t-1\t2\n", r"cell 'x': '-1' is not a count"),
        ("Gene\tx\ty\nA\t1\tNA\n", r"cell 'y': 'NA' instead of a count|'NA' is not a count"),
        ("Gene\tx\ty\nA\t\t2\n", "an empty field"),
        ("Gene\tx\nA\tinf\n", "not a count"),
        ("Gene\tx\nA\t99999999999\n", "not a count"),
        ("Gene\tx\nA\t1\nA\t2\n", "gene 'A' occurs more than once"),
        ("Gene\tx\n\t1\n", "line 2: the gene name is empty"),
        ("Gene\tx\n", "a header but no genes"),
    ],
)
def test_faults_of_a_count_table(tmp_path, write_gz, text, message):
    path = write_gz(tmp_path / "s.dem.txt.gz", text)
    with pytest.raises(InputError, match=message) as caught:
        read_count_table(path)
    assert "s.dem.txt.gz" in str(caught.value)


def test_truncated_gzip_and_html_under_a_gz_name(tmp_path):
    rng = np.random.default_rng(0)
    text = "Gene\ta\n" + "".join(f"g{i}\t{v}\n" for i, v in enumerate(rng.integers(0, 1000, 5000)))
    whole = gzip.compress(text.encode())
    path = tmp_path / "s.dem.txt.gz"
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="truncated or damaged gzip"):
        read_count_table(path)
    path.write_bytes(whole[:400] + b"garbage" + whole[407:])
    with pytest.raises(InputError):
        read_count_table(path)
    path.write_bytes(b"<html><body>Service unavailable</body></html>")
    with pytest.raises(InputError, match="HTML page"):
        read_count_table(path)
    with pytest.raises(InputError, match="no such file"):
        read_count_table(tmp_path / "absent.dem.txt.gz")


def test_numbers_as_r_writes_them_and_windows_line_ends(tmp_path):
    path = tmp_path / "s.dem.txt"
    path.write_bytes('\ufeff"Gene"\t"x"\t"y"\r\n"A"\t1e+05\t3.0\r\n"B"\t00\t7'.encode())
    table = read_count_table(path)
    assert (table.genes, table.cells) == (["A", "B"], ["x", "y"])
    np.testing.assert_array_equal(table.counts.toarray(), [[100000, 0], [3, 7]])
    assert table.counts.nnz == 3
    path.write_bytes(b"Gene\tx\ty\nA\t1\t2\n\nB\t1\t2\n")
    with pytest.raises(InputError, match="line 3"):
        read_count_table(path)


@given(
    counts=st.integers(1, 6).flatmap(
        lambda n: st.lists(
            st.lists(st.one_of(st.just(0), st.integers(0, 999_999_999)), min_size=n, max_size=n),
            min_size=1,
            max_size=12,
        )
    ),
    block=st.integers(1, 60),
    ending=st.sampled_from(["\n", "\r\n"]),
)
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_table_comes_back_whatever_the_block_size(tmp_path, monkeypatch, counts, block, ending):
    monkeypatch.setattr(matrix, "BLOCK_BYTES", block)
    array = np.array(counts)  # genes x cells
    cells = [f"c{i}" for i in range(array.shape[1])]
    genes = [f"g{i}" for i in range(array.shape[0])]
    lines = ["\t".join(["Gene", *cells])]
    lines += ["\t".join([g, *map(str, row)]) for g, row in zip(genes, array, strict=True)]
    path = tmp_path / "t.dem.txt.gz"
    path.write_bytes(gzip.compress((ending.join(lines) + ending).encode()))
    table = read_count_table(path)
    assert table.genes == genes
    np.testing.assert_array_equal(table.counts.toarray(), array.T)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Barcode\tCellType\na\tT\n", "no column 'Cell'"),
        ("Cell\tCellType\na\tT\na\tB\n", "cell 'a' is annotated more than once"),
        ("Cell\tPredictionRefined\na\ttumour\n", "'tumour'; expected normal, malignant or unclear"),
        ("Cell\tCellType\na\tT\nb\tT\tx\ty\n", "not a tab-separated annotation"),
        ("<html></html>", "HTML page"),
    ],
)
def test_faults_of_an_annotation(tmp_path, write_gz, text, message):
    with pytest.raises(InputError, match=message):
        read_annotation(write_gz(tmp_path / "s.anno.txt.gz", text))


def test_annotation_of_other_cells_is_refused(folder, write_gz):
    write_gz(next(folder.rglob("*P1-D0.anno*")), "Cell\tCellType\nother\tT\n")
    with pytest.raises(InputError, match="do not belong together"):
        load_atlas(discover_samples(folder), ["P1-D0"])


def test_cells_of_one_name_in_two_samples_are_refused(folder, write_gz):
    write_gz(next(folder.rglob("*BM1.dem*")), "Gene\tP1_a\nA\t1\n")
    next(folder.rglob("*BM1.anno*")).unlink()
    with pytest.raises(InputError, match="'P1_a' occurs in two samples"):
        load_atlas(discover_samples(folder), ["P1-D0", "BM1"])


@pytest.mark.realdata
@pytest.mark.skipif(not SHARED.exists(), reason="../shared is not here")
def test_van_galen_2019():
    samples = discover_samples(SHARED / "mirror" / "geo")
    assert len(samples) == 20
    assert [s.sample for s in samples if s.dem is None] == ["AML921A-D0", "BM4"]
    atlas, report = load_atlas(samples, ["AML328-D0", "BM1"])
    assert atlas.shape == (1094 + 108, 27_899)
    # The authors' own sum of molecules per cell, from the annotation.
    np.testing.assert_array_equal(np.asarray(atlas.X.sum(axis=1)).ravel(), atlas.obs["source_TranscriptomeUMIs"])
    np.testing.assert_array_equal(atlas.X.getnnz(axis=1), atlas.obs["source_NumberOfGenes"])
    assert int(atlas.obs["malignant"].sum()) == 693
    assert atlas.obs.loc["BM1_AAATTTCCATTG", "cell_type"] == "GMP"
    with pytest.raises(InputError, match=r"(?s)AML921A-D0: no count table.*GSM3587991.*BM4: .*GSM3588001"):
        load_atlas(samples)
    assert "no count table" in report.set_index("sample").loc["BM4", "reason"]
