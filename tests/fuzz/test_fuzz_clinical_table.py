"""The user's clinical tables in bad condition: every cell stands so in the file, or the file is refused."""

from __future__ import annotations

import gzip
import re

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mangle import WITH_QUOTES, Spoiled, decoded, harmless, outcome, spoiled
from plain_fields import below_comments, fields

from amlprognosis.errors import InputError
from amlprognosis.retrieve.number_cells import MISSING
from amlprognosis.retrieve.tables import read_clinical_table
from amlprognosis.retrieve.text_tables import TextTable

HEADER = ["id", "OS (months)", "dead", "note"]
ROWS = [
    ["P1", "12.5", "1", "a, b; c"],
    ["P2", "3", "0", ""],
    ["P3", "NA", "1", 'called "late"'],
    ["P4", "40", "0", "ü"],
]


def quoted(mark: str) -> str:
    lines = [mark.join('"' + cell.replace('"', '""') + '"' for cell in row) for row in [HEADER, *ROWS]]
    return "\n".join(lines) + "\n"


FORMS = {
    "tsv": ("#Patient\tTime\tStatus\tNote\n" + "\n".join("\t".join(row) for row in [HEADER, *ROWS]) + "\n", "\t"),
    "csv": (quoted(","), ","),
    "European": (quoted(";").replace("12.5", "12,5"), ";"),
    "several lines": (quoted(",").replace("a, b; c", "a,\nb; c").replace("OS (", "OS\n("), ","),
}


def agrees(table: TextTable, file: Spoiled, mark: str) -> None:
    """The table is what stands in the file, cell by cell."""
    rows = fields(below_comments(decoded(file.content)), mark)
    header = [" ".join(name.split()) for name in rows[0]]
    assert all(len(row) == len(header) for row in rows)
    assert len({name for name in header if name}) == sum(map(bool, header))
    kept = [i for i, name in enumerate(header) if name or i == 0]
    assert not any(row[i] for row in rows[1:] for i in range(len(header)) if i not in kept)
    assert list(table.frame.columns) == [header[i] for i in kept]
    found = table.frame.to_numpy().tolist()
    assert len(found) == len(rows) - 1
    for cells, row in zip(found, rows[1:], strict=True):
        for cell, i in zip(cells, kept, strict=True):
            written = " ".join(row[i].split("\n"))
            decimal = mark == ";" and re.fullmatch(r"[+-]?\d+,\d+", written)
            assert cell == written or (decimal and cell == written.replace(",", "."))
    names = table.frame["id"]
    assert names.is_unique
    assert not names.isin(MISSING).any()
    assert list(table.frame.index) == list(names)


@pytest.mark.parametrize("form", FORMS)
@given(data=st.data(), zipped=st.booleans())
def test_a_damaged_table_is_refused_or_read_as_it_stands(
    tmp_path_factory: pytest.TempPathFactory, form: str, data: st.DataObject, zipped: bool
) -> None:
    text, mark = FORMS[form]
    file = data.draw(spoiled(text, mark=mark, zipped=zipped, kinds=WITH_QUOTES))
    path = tmp_path_factory.getbasetemp() / ("c.csv.gz" if zipped else "c.csv")
    table = outcome(lambda place: read_clinical_table(place, "id"), path, file.content)
    if table is None:
        assert not harmless(file)
        return
    assert "gzip cut" not in file.damages
    agrees(table, Spoiled(gzip.decompress(file.content) if zipped else file.content, file.damages), mark)
    if harmless(file):
        expected = pd.DataFrame(ROWS, columns=HEADER, index=[row[0] for row in ROWS], dtype=object)
        pd.testing.assert_frame_equal(table.frame, expected)


@given(row=st.integers(2, 5), word=st.sampled_from(["1\t2", "a field\tmore", '"']), cell=st.integers(0, 3))
def test_the_line_of_a_fault_is_named(tmp_path_factory: pytest.TempPathFactory, row: int, word: str, cell: int) -> None:
    lines = FORMS["tsv"][0].split("\n")
    cells = lines[row].split("\t")
    cells[cell] = word
    lines[row] = "\t".join(cells)
    path = tmp_path_factory.getbasetemp() / "line.tsv"
    path.write_text("\n".join(lines))
    fault = ""
    try:
        read_clinical_table(path, "id")
    except InputError as error:
        fault = str(error)
    assert re.search(rf"line {row + 1}\b", fault), fault


@given(data=st.data())
def test_stray_quotation_marks_never_swallow_a_patient(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    file = data.draw(spoiled(FORMS["tsv"][0], kinds=("quotes",)))
    path = tmp_path_factory.getbasetemp() / "quotes.tsv"
    table = outcome(lambda place: read_clinical_table(place, "id"), path, file.content)
    assert table is None or list(table.frame.index) == [row[0] for row in ROWS]


@pytest.mark.parametrize("form", FORMS)
def test_the_files_themselves_are_read(tmp_path_factory: pytest.TempPathFactory, form: str) -> None:
    path = tmp_path_factory.getbasetemp() / "whole.csv"
    path.write_text(FORMS[form][0])
    assert read_clinical_table(path, "id").frame.to_numpy().tolist() == ROWS
