"""Single-cell count tables in bad condition."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mangle import HARMLESS, Spoiled, outcome, spoiled

from amlprognosis.cells.matrix import CountTable, read_count_table

TRUTH = np.array([[0, 3, 12], [0, 0, 0], [100000, 1, 0], [5, 0, 7]])
GENES, CELLS = ["A1BG", "MT-CO1", "HLA-A", "TP53"], ["P1_AAAC", "P1_AAAG", "P1_AAAT"]
DEM = (
    "\t".join(["Gene", *CELLS])
    + "\n"
    + "".join("\t".join([gene, *map(str, row)]) + "\n" for gene, row in zip(GENES, TRUTH, strict=True))
)
TABLE = (
    "\n".join(
        ",".join(f'"{c}"' if i == 0 or not j else c for j, c in enumerate(line.split("\t")))
        for i, line in enumerate(DEM.strip().split("\n"))
    )
    + "\n"
)


def _agrees(table: CountTable, file: Spoiled, mark: str) -> None:
    text = file.content.removeprefix(b"\xef\xbb\xbf").decode().replace("\r\n", "\n").rstrip("\r\n")
    lines = text.split("\n")
    first = "\t" if "\t" in lines[0] else "," if "," in lines[0] and mark == "," else " " if mark == "," else "\t"
    rows = [[cell.strip().strip('"') for cell in line.split(first)] for line in lines]
    if len(rows[1]) == len(rows[0]) + 1:
        rows[0].insert(0, "")
    assert table.cells == rows[0][1:]
    assert table.genes == [row[0] for row in rows[1:]]
    written = np.array([[int(float(cell)) for cell in row[1:]] for row in rows[1:]])
    np.testing.assert_array_equal(table.counts.toarray(), written.T)
    assert not any("_" in cell for row in rows[1:] for cell in row[1:])
    if HARMLESS.issuperset(file.damages):
        np.testing.assert_array_equal(table.counts.toarray(), TRUTH.T)
        assert (table.genes, table.cells) == (GENES, CELLS)


@pytest.mark.parametrize(("text", "form"), [(DEM, "dem"), (TABLE, "table")])
@given(data=st.data())
def test_count_table(tmp_path_factory, text, form, data):
    file = data.draw(spoiled(text))
    path = tmp_path_factory.getbasetemp() / f"GSM1_P1.{form}.txt"
    table = outcome(lambda place: read_count_table(place, form), path, file.content)
    if table is not None:
        _agrees(table, file, "\t" if form == "dem" else ",")
    else:
        assert len(file.damages) > 1 or file.damages[0] not in {"bom", "crlf"}


@given(data=st.data())
def test_count_table_zipped(tmp_path_factory, data):
    file = data.draw(spoiled(DEM, zipped=True))
    table = outcome(read_count_table, tmp_path_factory.getbasetemp() / "GSM1_P1.dem.txt.gz", file.content)
    assert table is None or "gzip cut" not in file.damages


def test_csv_of_the_table_form_is_what_r_writes():
    assert next(csv.reader([TABLE.split("\n")[1]])) == ["A1BG", "0", "3", "12"]
