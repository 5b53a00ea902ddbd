"""The three files of a 10x matrix, one of them in bad condition at a time; and .h5 files that are cut."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mangle import HARMLESS, Spoiled, outcome, spoiled

from amlprognosis.cells.tenx import TenxTable, read_barcodes, read_features, read_h5, read_tenx

TRUTH = np.array([[5, 0, 0], [1, 7, 0], [0, 0, 123456], [2, 0, 9]])  # features x cells
MTX = (
    "%%MatrixMarket matrix coordinate integer general\n%metadata\n4 3 6\n"
    "1 1 5\n2 1 1\n4 1 2\n2 2 7\n3 3 123456\n4 3 9\n"
)
FEATURES = "".join(f"ENSG{i}\tG{i}\tGene Expression\n" for i in range(4))
BARCODES = "AAAC-1\nAAAG-1\nAAAT-1\n"
FILES = {
    "mtx": ("m_matrix.mtx", MTX),
    "features": ("m_features.tsv", FEATURES),
    "barcodes": ("m_barcodes.tsv", BARCODES),
}


def _lines(content: bytes) -> list[str]:
    text = content.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
    return text.split("\n")


def _agrees(table: TenxTable, kind: str, file: Spoiled) -> None:
    """What is not damaged is as it was, and what is damaged as the file says."""
    cells, ids, names, counts = BARCODES.split(), [f"ENSG{i}" for i in range(4)], [f"G{i}" for i in range(4)], TRUTH
    if kind == "barcodes":
        cells = [line.split("\t")[0].strip().strip('"') for line in _lines(file.content) if line.strip()]
    elif kind == "features":
        rows = [[c.strip().strip('"') for c in line.split("\t")] for line in _lines(file.content) if line.strip()]
        keep = [i for i, row in enumerate(rows) if len(row) < 3 or row[2] in ("", "Gene Expression")]
        counts = TRUTH[keep]
        ids = [rows[i][0] for i in keep]
        names = [(rows[i][1] if len(rows[i]) > 1 else "") or rows[i][0] for i in keep]
        assert sum(table.dropped.values()) == len(rows) - len(keep)
    else:
        text = file.content.decode("utf-8", "replace")  # a lone carriage return is a blank
        body = [line.split() for line in text.split("\n") if line.strip() and not line.lstrip("\ufeff").startswith("%")]
        size = [int(text) for text in body[0]]
        assert size == [4, 3, len(body) - 1]
        counts = np.zeros((4, 3), dtype=int)
        for row, column, value in body[1:]:
            assert not counts[int(float(row)) - 1, int(float(column)) - 1]
            counts[int(float(row)) - 1, int(float(column)) - 1] = int(float(value))
            assert "_" not in row + column + value
    assert (table.cells, table.ids, table.genes) == (cells, ids, names)
    np.testing.assert_array_equal(table.counts.toarray(), counts.T)
    if HARMLESS.issuperset(file.damages):
        np.testing.assert_array_equal(table.counts.toarray(), TRUTH.T)


@pytest.mark.parametrize("kind", list(FILES))
@given(data=st.data())
def test_triple(tmp_path_factory, kind, data):
    folder = tmp_path_factory.getbasetemp()
    paths = {}
    for each, (name, text) in FILES.items():
        paths[each] = folder / f"{kind}_{name}"
        paths[each].write_text(text)
    file = data.draw(spoiled(FILES[kind][1]))

    def parse(place: Path) -> TenxTable:
        return read_tenx({**paths, kind: place})

    table = outcome(parse, paths[kind], file.content)
    if table is not None:
        _agrees(table, kind, file)
    else:
        harmless = {"bom", "crlf"} if kind == "mtx" else HARMLESS  # a lone carriage return ends no line there
        assert len(file.damages) > 1 or file.damages[0] not in harmless


@pytest.mark.parametrize("kind", ["mtx", "features", "barcodes"])
@given(data=st.data())
def test_zipped(tmp_path_factory, kind, data):
    folder = tmp_path_factory.getbasetemp()
    paths = {}
    for each, (name, text) in FILES.items():
        paths[each] = folder / f"zip_{kind}_{name}.gz"
        paths[each].write_text(text)
    file = data.draw(spoiled(FILES[kind][1], zipped=True))
    parsers = {"features": read_features, "barcodes": read_barcodes}
    parse = parsers.get(kind, lambda place: read_tenx({**paths, "mtx": place}))
    table = outcome(parse, paths[kind], file.content)
    assert table is None or "gzip cut" not in file.damages


@pytest.fixture(scope="module")
def whole_h5(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("h5") / "m.h5"
    with h5py.File(path, "w") as file:
        group = file.create_group("matrix")
        group["barcodes"] = [b"A-1", b"C-1"]
        group["data"], group["indices"] = np.array([3, 4]), np.array([0, 1])
        group["indptr"], group["shape"] = np.array([0, 1, 2]), np.array([2, 2])
        features = group.create_group("features")
        features["id"], features["name"] = [b"E1", b"E2"], [b"G1", b"G2"]
        features["feature_type"] = [b"Gene Expression"] * 2
    return path.read_bytes()


@given(data=st.data())
def test_h5_that_is_cut(tmp_path_factory, whole_h5, data):
    cut = data.draw(st.integers(0, len(whole_h5) - 1))
    path = tmp_path_factory.getbasetemp() / "cut.h5"
    table = outcome(read_h5, path, whole_h5[:cut])
    assert table is None or table.counts.toarray().tolist() == [[3, 0], [0, 4]]
