from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amlprognosis.errors import InputError
from amlprognosis.retrieve.read import patients_of
from amlprognosis.retrieve.tables import read_clinical, read_expression, read_gene_map

FRAME = pd.DataFrame([[1.5, np.nan], [2.0, -3.0], [0.0, 1e3]], index=["A", "B", "C"], columns=["s1", "s2"])


@pytest.mark.parametrize("name", ["e.tsv", "e.csv", "e.txt.gz", "e.csv.gz", "e.parquet", "e.h5ad"])
def test_every_format_gives_samples_by_genes(tmp_path, name):
    path = tmp_path / name
    if name.endswith("parquet"):
        FRAME.to_parquet(path)
    elif name.endswith("h5ad"):
        import anndata

        anndata.AnnData(
            X=FRAME.T.to_numpy(), obs=pd.DataFrame(index=FRAME.columns), var=pd.DataFrame(index=FRAME.index)
        ).write_h5ad(path)
    else:
        FRAME.to_csv(path, sep="," if "csv" in name else "\t", index_label="gene", na_rep="NA")
    matrix = read_expression(path, "genes_in_rows")
    pd.testing.assert_frame_equal(matrix, FRAME.T, check_index_type=False, check_column_type=False)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("gene\ts1\ts2\nA\t1\n", "row 2 has 2 fields"),
        ("gene\ts1\ts1\nA\t1\t2\n", "samples named more than once: s1"),
        ("gene\ts1\ts2\nA\t1\tx\n", "row A, column s2: 'x' is not a number"),
        ("gene\ts1\ts2\nA\t1\t-inf\n", "infinite"),
        ("gene,s1,s2\nA,1,2\n", "csv means commas"),
        ("gene\ts1\n", "no rows"),
        ("<!DOCTYPE html><html></html>", "web page"),
        ("gene\ts1\ts2\n\t1\t2\n", "without a name"),
    ],
)
def test_faults_are_named(tmp_path, text, words):
    (tmp_path / "e.tsv").write_text(text)
    with pytest.raises(InputError, match=words):
        read_expression(tmp_path / "e.tsv", "genes_in_rows")


numbers = st.one_of(st.just("NA"), st.just(""), st.floats(-1e6, 1e6).map(repr), st.integers(-9, 9).map(str))


@settings(max_examples=60, deadline=None)
@given(
    cells=st.lists(st.lists(numbers, min_size=2, max_size=2), min_size=1, max_size=4),
    end=st.sampled_from(["\n", "\r\n"]),
    spoil=st.sampled_from(["", "drop", "word", "quote"]),
)
def test_an_error_or_exactly_the_numbers(tmp_path_factory, cells, end, spoil):
    rows = [[f"g{i}", *row] for i, row in enumerate(cells)]
    if spoil == "drop":
        rows[-1].pop()
    elif spoil == "word":
        rows[-1][1] = "1,5"
    elif spoil == "quote":
        rows = [[f'"{cell}"' for cell in row] for row in rows]
    path = tmp_path_factory.mktemp("fuzz") / "e.tsv"
    path.write_bytes(end.join("\t".join(row) for row in [["", "s1", "s2"], *rows]).encode())
    try:
        matrix = read_expression(path, "genes_in_rows")
    except InputError:
        assert spoil in ("drop", "word")
        return
    expected = [[float(cell) if cell not in ("", "NA") else np.nan for cell in row] for row in cells]
    np.testing.assert_array_equal(matrix.T.to_numpy(), expected)


def test_clinical_table(tmp_path):
    path = tmp_path / "c.csv"
    path.write_text("#comment\nid,os\nP1,3\nP2,NA\n")
    assert read_clinical(path, "id")["os"].to_dict() == {"P1": "3", "P2": "NA"}
    with pytest.raises(InputError, match="did you mean 'id'"):
        read_clinical(path, "ID")
    path.write_text("id,os\nP1,3\nP1,4\n")
    with pytest.raises(InputError, match="repeated in several rows: P1"):
        read_clinical(path, "id")
    path.write_text("id,os\n,3\n")
    with pytest.raises(InputError, match="1 rows without id"):
        read_clinical(path, "id")


def test_gene_map_and_patterns(tmp_path):
    (tmp_path / "m.tsv").write_text("ID\tsymbol\n1_at\tA\n1_at\tB\n2_at\tNA\n")
    assert read_gene_map(tmp_path / "m.tsv").to_dict() == {"1_at": "A /// B", "2_at": ""}
    assert patients_of(["X-1-03", "X-2-03"], r"^(X-\d)", "k").to_dict() == {"X-1-03": "X-1", "X-2-03": "X-2"}
    with pytest.raises(InputError, match="matches no sample"):
        patients_of(["X-1"], "(Y)", "k")
