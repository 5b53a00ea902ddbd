"""10x matrices and tables of genes x cells: read exactly, or refused by file and line; and their way to an atlas."""

from __future__ import annotations

import gzip
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy import sparse
from tenx_files import COUNTS, HEAD, mtx_text, write_triple

from amlprognosis.cells import matrix, tenx
from amlprognosis.cells.discover import discover_samples
from amlprognosis.cells.load import load_atlas, load_sample, unique_genes
from amlprognosis.cells.matrix import read_count_table
from amlprognosis.cells.renaming import approved_names
from amlprognosis.cells.tenx import read_h5, read_tenx
from amlprognosis.errors import InputError


def write_h5(path: Path, counts: np.ndarray, version: int = 3, **parts: object) -> Path:
    """Counts (features x cells) as Cell Ranger writes them."""
    block = sparse.csc_matrix(counts)
    n, m = counts.shape
    names = {
        "barcodes": [f"AAA{i}-1".encode() for i in range(m)],
        "id": [f"ENSG{i + 1}".encode() for i in range(n)],
        "name": [bytes([65 + i]) for i in range(n)],
        "feature_type": [b"Gene Expression"] * n,
        "data": block.data,
        "indices": block.indices.astype(np.int64),
        "indptr": block.indptr.astype(np.int64),
        "shape": np.array([n, m], np.int32),
        **parts,
    }
    with h5py.File(path, "w") as file:
        group = file.create_group("matrix" if version == 3 else "GRCh38")
        for key in ("barcodes", "data", "indices", "indptr", "shape"):
            group[key] = names[key]
        if version == 3:
            features = group.create_group("features")
            for key in ("id", "name", "feature_type"):
                features[key] = names[key]
        else:
            group["genes"], group["gene_names"] = names["id"], names["name"]
    return path


@pytest.mark.parametrize("block", [7, 1 << 20])
@pytest.mark.parametrize(
    "text",
    [
        mtx_text(COUNTS),
        mtx_text(COUNTS).replace("integer", "real").replace(" 7\n", " 7.0\n"),
        mtx_text(COUNTS).replace("\n", "\r\n"),
        HEAD + "2 3 3\n2 2 7\n2 1 1\n1 1 5\n",
        HEAD + "2 3 4\n1 1 5\n2 1 1\n\n 2\t2   7 \n1 3 0",
        HEAD.replace("integer", "real") + "2 3 3\n1 1 5e0\n2 1 1\n2 2 +7\n",
    ],
)
def test_a_triple_comes_back_whatever_its_notation(tmp_path, monkeypatch, text, block):
    monkeypatch.setattr(matrix, "BLOCK_BYTES", block)
    table = read_tenx(write_triple(tmp_path, mtx=text))
    np.testing.assert_array_equal(table.counts.toarray(), COUNTS.T)
    assert table.counts.dtype == np.int32
    assert (table.genes, table.ids, table.cells) == (["A", "B"], ["ENSG1", "ENSG2"], ["AAAC-1", "AAAG-1", "AAAT-1"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            mtx_text(COUNTS.T),
            r"3 rows and 2 columns, but .*features.* names 2 .*barcodes.* 3 barcodes; it is transposed",
        ),
        (mtx_text(COUNTS[:, :2]), r"2 rows and 2 columns.*do not belong together"),
        (mtx_text(COUNTS)[:-6], "2 entries, its size line says 3"),
        (mtx_text(COUNTS) + "1 2 1\n", "4 entries, its size line says 3"),
        (HEAD + "2 3 2\n1 1 5\n1 1 5\n", "1 entries name a place a second time"),
        (HEAD + "2 3 2\n2 1 5\n1 1 1\n2 1 1\n", "3 entries"),
        (HEAD + "2 3 1\n3 1 5\n", "line 4: row 3, column 1 of a matrix of 2 x 3"),
        (HEAD + "2 3 2\n1 1 5\n\n0 1 5\n", "line 6: row 0, column 1"),
        (HEAD + "2 3 1\n1 1 2.5\n", r"line 4: '2\.5' is not a count"),
        (HEAD + "2 3 1\n1 1 -1\n", "line 4: '-1' is not a count"),
        (HEAD + "2 3 1\n1 1\n", "line 4: .* an entry is row, column and count"),
        (HEAD + "2 3 1\n1 1 1_0\n", "line 4: '1_0' instead of a count"),
        (HEAD + "2 3 1\n1 1 99999999999\n", "line 4: '99999999999' is not a count"),
        (HEAD + "2 3\n1 1 5\n", "line 3: .*expected the numbers of rows"),
        (HEAD, "no size line"),
        ("1 1 5\n", "line 1: no %%MatrixMarket line"),
        (HEAD.replace("coordinate integer", "array real"), "line 1: 'matrix array real general'"),
        (HEAD.replace("general", "symmetric"), "line 1: .*symmetric"),
        (HEAD.replace("integer", "pattern"), "line 1: .*pattern"),
    ],
)
def test_faults_of_a_matrix_file(tmp_path, text, message):
    with pytest.raises(InputError, match=message) as caught:
        read_tenx(write_triple(tmp_path, mtx=text))
    assert "GSM1_s_matrix.mtx.gz" in str(caught.value)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"barcodes": "A\nA\nB\n"}, "barcodes.*: barcode 'A' occurs more than once"),
        ({"barcodes": "A\n\nB\n"}, "barcodes.*, line 2: no barcode"),
        ({"features": "E1\tA\nE1\tB\n"}, "features.*: feature 'E1' occurs more than once"),
        ({"features": "E1\tA\tGene Expression\nE2\tB\n"}, "features.*, line 2: 2 fields, line 1 has 3"),
        ({"features": "\tA\nE2\tB\n"}, "features.*, line 1: no feature id"),
        ({"features": "E1\tA\tAntibody Capture\nE2\tB\tPeaks\n"}, "no feature of type 'Gene Expression'; it has Anti"),
        ({"barcodes": "\ufeff\n"}, "barcodes.*, line 1: no barcode"),
    ],
)
def test_faults_of_barcodes_and_features(tmp_path, keys, message):
    with pytest.raises(InputError, match=message):
        read_tenx(write_triple(tmp_path, **keys))


def test_antibodies_are_counted_out_and_shared_symbols_told_apart(tmp_path):
    features = "E3\tMATR3\tGene Expression\nE1\tMATR3\tGene Expression\nE9\tCD3\tAntibody Capture\n"
    counts = np.array([[1, 0, 2], [0, 3, 0], [9, 9, 9]])
    write_triple(tmp_path, mtx=mtx_text(counts), features=features)
    atlas, report = load_atlas(discover_samples(tmp_path))
    assert atlas.var_names.tolist() == ["MATR3", "MATR3 (E3)"]
    assert atlas.var["gene_id"].tolist() == ["E1", "E3"]
    np.testing.assert_array_equal(atlas.X.toarray(), [[0, 1], [3, 0], [0, 2]])
    assert report.loc[report["item"] == "features", ["removed", "kept"]].to_numpy().tolist() == [[1, 2]]
    assert report["reason"].str.startswith("2 genes share their symbol").any()
    assert unique_genes(["A", "B"], ["1", "2"]) == (["A", "B"], 0)


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("zipped", [False, True])
def test_h5_of_both_layouts(tmp_path, version, zipped):
    path = write_h5(tmp_path / "GSM1_s_filtered_feature_bc_matrix.h5", COUNTS, version)
    if zipped:
        path.write_bytes(gzip.compress(path.read_bytes()))
    table = read_h5(path)
    np.testing.assert_array_equal(table.counts.toarray(), COUNTS.T)
    assert (table.genes, table.ids) == (["A", "B"], ["ENSG1", "ENSG2"])


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"shape": np.array([3, 2])}, r"shape \(3, 2\), but 2 features and 3 barcodes"),
        ({"indices": np.array([0, 1, 5])}, "beyond the 2 that are named"),
        ({"indptr": np.array([0, 2, 1, 3])}, "do not fit each other"),
        ({"indptr": np.array([0, 2, 3])}, "do not fit each other"),
        ({"data": np.array([1.5, 1, 1])}, "values that are not counts"),
        ({"data": np.array([-1, 1, 1])}, "values that are not counts"),
        ({"barcodes": [b"a", b"a", b"b"]}, "barcode 'a' occurs more than once"),
        ({"id": [b"a", b"a"]}, "feature id 'a' occurs more than once"),
        ({"indices": np.array([1, 1, 1])}, "a second time"),
        ({"name": [b"\xff", b"x"]}, "not a readable 10x"),
    ],
)
def test_faults_of_h5(tmp_path, parts, message):
    with pytest.raises(InputError, match=message) as caught:
        read_h5(write_h5(tmp_path / "m.h5", COUNTS, **parts))
    assert "m.h5" in str(caught.value)


def test_other_and_damaged_h5_files(tmp_path):
    path = write_h5(tmp_path / "m.h5", COUNTS, 2)
    with h5py.File(path, "a") as file:
        file.copy("GRCh38", "mm10")
    with pytest.raises(InputError, match=r"several genomes \(GRCh38, mm10\)"):
        read_h5(path)
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"no hdf5", gzip.compress(whole)[:200]):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"m\.h5"):
            read_h5(path)
    with h5py.File(path, "w") as file:
        file["x"] = [1]
    with pytest.raises(InputError, match="no matrix in it"):
        read_h5(path)
    with pytest.raises(InputError, match="no such file"):
        read_h5(tmp_path / "absent.h5")


def test_empty_droplets_of_an_unfiltered_matrix_go_while_it_is_read(tmp_path):
    write_triple(tmp_path / "GSM1_s_raw_feature_bc_matrix", prefix="")
    (files,) = discover_samples(tmp_path)
    assert files.raw
    sample, rows = load_sample(files, min_counts=6)
    assert sample.obs_names.tolist() == ["s_AAAC-1", "s_AAAG-1"]
    assert [(row["removed"], row["kept"]) for row in rows if "droplets" in row["reason"]] == [(1, 2)]
    with pytest.raises(InputError, match=r"no barcode .* has 100 counts; lower quality\.min_counts"):
        load_sample(files, min_counts=100)
    write_triple(tmp_path, prefix="GSM1_s_")  # the filtered one is there, too, and is taken
    (files,) = discover_samples(tmp_path)
    assert not files.raw
    assert load_sample(files, min_counts=6)[0].n_obs == 3


def test_a_many_barcoded_matrix_is_unfiltered_whatever_its_name(tmp_path, monkeypatch):
    monkeypatch.setattr("amlprognosis.cells.load.MANY_BARCODES", 2)
    write_triple(tmp_path)
    sample, _ = load_sample(discover_samples(tmp_path)[0], min_counts=7)
    assert sample.obs_names.tolist() == ["s_AAAG-1"]


def test_forms_of_an_atlas_and_an_annotation_beside_10x(tmp_path):
    write_triple(tmp_path)
    anno = "Cell\tCellType\nAAAC-1\tT\nAAAG-1\tHSC\n"
    (tmp_path / "GSM1_s.anno.txt.gz").write_bytes(gzip.compress(anno.encode()))
    (tmp_path / "GSM2_t.csv").write_text('"","x.1","y.1"\n"A",1,0\n"C",0,2\n')
    (only,) = discover_samples(tmp_path)
    atlas, _ = load_atlas([only])
    assert atlas.obs["cell_type"].tolist()[:2] == ["T", "HSC"]
    (table,) = discover_samples(tmp_path, "table")
    atlas, report = load_atlas([only, table])
    assert atlas.var_names.tolist() == ["A", "B", "C"]
    assert atlas.obs_names.tolist()[-2:] == ["t_x.1", "t_y.1"]
    assert atlas.var["gene_id"].tolist() == ["ENSG1", "ENSG2", ""]
    assert (report["step"] == "gene union").sum() == 2
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"no matrix\.mtx\.gz or \.h5 file"):
        discover_samples(tmp_path / "empty", "10x")


def test_an_incomplete_triple_is_told(tmp_path):
    write_triple(tmp_path)["features"].unlink()
    with pytest.raises(InputError, match=r"s: no features file \(there are .*matrix"):
        load_atlas(discover_samples(tmp_path))


@pytest.mark.parametrize(
    "text",
    [
        '"","x.1","y.1"\n"A",1,0\n"B",20,3\n',
        '"x.1"\t"y.1"\n"A"\t1\t0\n"B"\t20\t3\n',
        "x.1 y.1\nA 1 0\nB 2e1 3.0",
        "symbol,x.1,y.1\r\nA,1,0\r\nB,20,3\r\n",
        "\ufeffx.1\ty.1\nA\t1\t0\nB\t20\t3\n",
    ],
)
def test_tables_as_r_writes_them(tmp_path, text):
    path = tmp_path / "GSM1_t.csv"
    path.write_bytes(text.encode())
    table = read_count_table(path, "table")
    assert (table.genes, table.cells) == (["A", "B"], ["x.1", "y.1"])
    np.testing.assert_array_equal(table.counts.toarray(), [[1, 20], [0, 3]])


def test_a_table_with_cells_in_rows_is_refused(tmp_path):
    path = tmp_path / "GSM1_t.csv"
    path.write_text(",A,B\nAAACCTGAGAAACCAT-1,1,0\nS_AAACCTGAGAAACCTT,2,0\n")
    with pytest.raises(InputError, match=r"GSM1_t\.csv: its rows are named like cells"):
        read_count_table(path, "table")


def test_ensembl_ids_become_symbols():
    names, report = approved_names(["ENSG00000141510.16", "TP53", "ENSG99999999999", "FLT3"])
    assert names == ["TP53", "TP53", "ENSG99999999999", "FLT3"]
    assert [row["step"] for row in report] == ["Ensembl id", "Ensembl id without a symbol, kept"]


def test_a_wide_matrix_is_never_dense(tmp_path):
    """A file of few entries may name many barcodes and features."""
    n = 40_000
    features = "".join(f"E{i}\tG{i}\n" for i in range(n))
    barcodes = "".join(f"B{i}\n" for i in range(n))
    table = read_tenx(write_triple(tmp_path, "GSM1_s_", HEAD + f"{n} {n} 1\n{n} {n} 3\n", features, barcodes))
    assert table.counts.nnz == 1
    assert table.counts[n - 1, n - 1] == 3


def test_numpy_reads_numbers_as_expected():
    """The fast way rests on this."""
    assert tenx._entries(b"1 2 3\n4\t5  6\n", Path("m"), 1).tolist() == [[1, 2, 3], [4, 5, 6]]
