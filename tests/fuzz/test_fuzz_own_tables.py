"""The user's expression matrices in bad condition: every value stands so in the file, or the file is refused."""

from __future__ import annotations

import gzip
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mangle import WITH_QUOTES, Spoiled, decoded, harmless, outcome, spoiled
from plain_fields import below_comments, fields

from amlprognosis.errors import InputError
from amlprognosis.retrieve.number_cells import MISSING
from amlprognosis.retrieve.tables import Matrix, read_matrix

SAMPLES = ["s1", "s2", "TCGA-AB-1"]
ROWS = [["TP53", "1.5", "2", "NA"], ["FLT3", "0.25", "-3.5", "1e2"], ["NPM1", "", "0", "7"], ["KIT", "8", "9.75", "1"]]
PLAIN = "\n".join("\t".join(row) for row in [["gene", *SAMPLES], *ROWS]) + "\n"
TRUTH = pd.DataFrame(
    [[float(cell) if cell not in ("", "NA") else math.nan for cell in row[1:]] for row in ROWS],
    index=[row[0] for row in ROWS],
    columns=SAMPLES,
)
FORMS = {
    "tsv": (PLAIN, "\t"),
    "R": ("\t".join(f'"{name}"' for name in SAMPLES) + "\n" + PLAIN.partition("\n")[2], "\t"),
    "csv": ("\n".join(",".join(f'"{cell}"' for cell in row) for row in [["gene", *SAMPLES], *ROWS]) + "\n", ","),
    "European": (PLAIN.replace("\t", ";").replace(".", ","), ";"),
}


def agrees(matrix: Matrix, file: Spoiled, mark: str) -> None:
    """The matrix is what stands in the file, cell by cell."""
    rows = fields(below_comments(decoded(file.content)), mark)
    header, body = rows[0], rows[1:]
    if len(body[0]) == len(header) + 1:
        assert "gene" not in header
        header = ["", *header]
    assert all(len(row) == len(header) for row in body)
    while not header[-1] and len(header) > 1:
        assert not any(row[-1] not in MISSING for row in body)
        header, body = header[:-1], [row[:-1] for row in body]
    points = any(re.fullmatch(r"[+-]?\d*\.\d.*", cell) for row in body for cell in row[1:])

    def number(cell: str) -> float:
        if cell in MISSING:
            return math.nan
        if mark != "," and not points:
            cell = cell.replace(",", ".")
        assert re.fullmatch(r"[+-]?[0-9.]+([eE][+-]?[0-9]+)?", cell), cell
        return float(cell)

    assert list(matrix.values.index) == header[1:]
    assert list(matrix.values.columns) == [row[0] for row in body]
    assert len(set(header[1:])) == len(header) - 1
    assert not MISSING.intersection(header[1:])
    expected = [[number(cell) for cell in row[1:]] for row in body]
    np.testing.assert_array_equal(matrix.values.to_numpy().T, np.array(expected))


@pytest.mark.parametrize("form", FORMS)
@given(data=st.data())
def test_a_damaged_matrix_is_refused_or_read_as_it_stands(
    tmp_path_factory: pytest.TempPathFactory, form: str, data: st.DataObject
) -> None:
    text, mark = FORMS[form]
    file = data.draw(spoiled(text, mark=mark, kinds=WITH_QUOTES))
    matrix = outcome(
        lambda path: read_matrix(path, "genes_in_rows"), tmp_path_factory.getbasetemp() / "e.csv", file.content
    )
    if matrix is None:
        assert not harmless(file)
        return
    agrees(matrix, file, mark)
    if harmless(file):
        pd.testing.assert_frame_equal(matrix.values.T, TRUTH, check_index_type=False, check_column_type=False)


@given(data=st.data())
def test_zipped(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    file = data.draw(spoiled(PLAIN, zipped=True, kinds=WITH_QUOTES))
    path = tmp_path_factory.getbasetemp() / "e.tsv.gz"
    matrix = outcome(lambda path: read_matrix(path, "genes_in_rows"), path, file.content)
    if matrix is None:
        assert not harmless(file)
        return
    assert "gzip cut" not in file.damages
    agrees(matrix, Spoiled(gzip.decompress(file.content), file.damages), "\t")


@given(row=st.integers(1, 4), cell=st.integers(0, 3), word=st.sampled_from(["x", "", "1\t2", "inf", "1_0", '"', "1,5"]))
def test_the_line_of_a_fault_is_named(tmp_path_factory: pytest.TempPathFactory, row: int, cell: int, word: str) -> None:
    lines = PLAIN.split("\n")
    cells = lines[row].split("\t")
    cells[cell] = word
    lines[row] = "\t".join(cells)
    path = tmp_path_factory.getbasetemp() / "line.tsv"
    path.write_text("\n".join(lines))
    fault, matrix = "", None
    try:
        matrix = read_matrix(path, "genes_in_rows")
    except InputError as error:
        fault = str(error)
    if matrix is None:
        assert re.search(rf"line {row + 1}\b" if cell or word in ('"', "1\t2") else "without a name", fault), fault
        return
    assert word == "" or cell == 0
    agrees(matrix, Spoiled("\n".join(lines).encode(), ()), "\t")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The same matrix as binary files."""
    import anndata

    folder = tmp_path_factory.mktemp("whole")
    TRUTH.to_excel(folder / "e.xlsx", index_label="gene")
    TRUTH.to_parquet(folder / "e.parquet")
    names = {"obs": pd.DataFrame(index=TRUTH.columns), "var": pd.DataFrame(index=TRUTH.index)}
    anndata.AnnData(TRUTH.T.to_numpy(), **names).write_h5ad(folder / "e.h5ad")
    return {path.suffix: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("kind", [".xlsx", ".parquet", ".h5ad"])
@given(data=st.data())
def test_binary_files_that_are_cut_are_refused(
    tmp_path_factory: pytest.TempPathFactory, whole: dict[str, bytes], kind: str, data: st.DataObject
) -> None:
    content = whole[kind]
    cut = data.draw(st.integers(0, len(content) - 1))
    path = tmp_path_factory.getbasetemp() / f"e{kind}"
    found = outcome(lambda place: read_matrix(place, "genes_in_rows"), path, content[:cut])
    assert found is None or found.values.T.equals(TRUTH)


@given(data=st.data())
def test_workbooks_with_changed_bytes(
    tmp_path_factory: pytest.TempPathFactory, whole: dict[str, bytes], data: st.DataObject
) -> None:
    content = bytearray(whole[".xlsx"])
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "changed.xlsx"
    found: Any = outcome(lambda place: read_matrix(place, "genes_in_rows"), path, bytes(content))
    if found is not None:  # the zip's checksums let nothing of the values pass
        np.testing.assert_array_equal(found.values.T.to_numpy(), TRUTH.to_numpy())


def test_the_files_themselves_are_read(tmp_path: Path, whole: dict[str, bytes]) -> None:
    for name, content in [("e.csv", text.encode()) for text, _ in FORMS.values()] + [
        (f"e{kind}", content) for kind, content in whole.items()
    ]:
        (tmp_path / name).write_bytes(content)
        found = read_matrix(tmp_path / name, "genes_in_rows").values
        pd.testing.assert_frame_equal(found.T, TRUTH, check_index_type=False, check_column_type=False)
