from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest
from as_read import harmless
from geo_text import bare, between, lines_of, number, same
from hypothesis import given
from hypothesis import strategies as st
from mangle import outcome, spoiled

from amlprognosis.errors import InputError
from amlprognosis.retrieve.geo_samples import SeriesMatrix
from amlprognosis.retrieve.series_matrix import MATRIX_BEGIN, MATRIX_END, parse_series_matrix

NAMES = [f"GSM{i}" for i in range(1, 7)]
TEXTS = [
    ["age: 61", "age: 40.5", "os: 7", "age: 33", "event (1: dead, 0:alive): 1", ""],
    ["os: 5:2", "event (1: dead, 0:alive): 0", "age: 58", "fab: M4", "age: 71", "AML; age = 62 years; status: 1"],
]
VALUES = {f"{i}_at": [f"{(i * 7 + j) % 13 - 3 + j / 8}" if (i + j) % 9 else "" for j in range(6)] for i in range(1, 9)}
KEYS = ("age", "os", "fab", "event (1: dead, 0:alive)")


def text() -> str:
    rows = [("!Sample_title", [f"AML {i}" for i in range(6)]), ("!Sample_geo_accession", NAMES)]
    rows += [("!Sample_characteristics_ch1", texts) for texts in TEXTS]
    rows += [("!Sample_platform_id", ["GPL96"] * 6), ("!Sample_data_row_count", ["8"] * 6)]
    head = ['!Series_title\t"a series"', '!Series_supplementary_file\t"ftp://x/a.gz"', ""]
    head += ["\t".join([key, *(f'"{value}"' for value in values)]) for key, values in rows]
    table = ["\t".join(['"ID_REF"', *(f'"{name}"' for name in NAMES)])]
    table += ["\t".join([f'"{probe}"', *values]) for probe, values in VALUES.items()]
    return "\n".join([*head, MATRIX_BEGIN, *table, MATRIX_END, ""])


GOOD = text()


def key_of(text: str) -> str | None:
    """Key of a characteristics text: what stands before the first colon that is in no parentheses."""
    covered = re.sub(r"\([^()]*\)", lambda found: "_" * len(found[0]), text)
    if "(" in covered or ")" in covered:
        return None  # open parentheses: not judged here
    key = text[: covered.index(":")].strip() if ":" in covered else ""
    return key if key and ";" not in key else None


def check_table(matrix: SeriesMatrix, lines: list[str]) -> None:
    head, *rows = between(lines, MATRIX_BEGIN, MATRIX_END)
    names = [bare(cell) for cell in head]
    assert names[0] == "ID_REF"
    assert sorted(names[1:]) == sorted(matrix.expression.index) == sorted(matrix.samples.index)
    assert [bare(row[0]) for row in rows] == list(matrix.expression.columns)
    for row in rows:
        assert len(row) == len(names)
        for name, cell in zip(names[1:], row[1:], strict=True):
            assert same(matrix.expression.loc[name, bare(row[0])], number(cell)), (name, row)


def check_samples(matrix: SeriesMatrix, lines: list[str]) -> None:
    """Every text of a sample stands in its column, and every text of its column is kept."""
    rows = [line.split("\t") for line in lines if line.startswith("!Sample_")]
    where = next(row for row in rows if row[0].strip() == "!Sample_geo_accession")
    assert [bare(cell) for cell in where[1:]] == list(matrix.samples.index)
    for i, name in enumerate(matrix.samples.index, start=1):
        for field in ("title", "characteristics_ch1"):
            texts = [bare(row[i]) for row in rows if row[0].strip() == f"!Sample_{field}" and len(row) > i]
            kept = matrix.samples[field][name] if field in matrix.samples else ""
            assert kept == " | ".join(dict.fromkeys(found for found in texts if found))
        for key in KEYS:
            values = [found.partition(f"{key}:")[2].strip() for found in texts if key_of(found) == key]
            known = matrix.samples[key][name] if key in matrix.samples else ""
            assert known == " | ".join(dict.fromkeys(value for value in values if value)), (name, key)


@pytest.mark.parametrize("zipped", [False, True])
@given(data=st.data())
def test_a_damaged_series_matrix_is_refused_or_read_as_it_stands(tmp_path_factory, zipped, data):
    path = tmp_path_factory.mktemp("matrix") / ("GSE1_series_matrix.txt" + ".gz" * zipped)
    file = data.draw(spoiled(GOOD, zipped=zipped))
    matrix = outcome(parse_series_matrix, path, file.content)
    if matrix is None:
        assert "gzip cut" in file.damages or not harmless(file)
        return
    lines = lines_of(gzip.decompress(file.content) if zipped else file.content)
    check_table(matrix, lines)
    head = lines[: [line.strip().lower() for line in lines].index(MATRIX_BEGIN)]
    if all(line.startswith("!") or not line.strip() for line in head):
        check_samples(matrix, head)
    if harmless(file):
        assert list(matrix.samples.index) == NAMES
        assert matrix.samples["age"].tolist() == ["61", "40.5", "58", "33", "71", ""]
        assert matrix.samples["event (1: dead, 0:alive)"].tolist() == ["", "0", "", "", "1", ""]
        assert (matrix.platform, matrix.notes) == ("GPL96", [])


@given(row=st.integers(0, 8), cell=st.integers(0, 6), word=st.sampled_from(["abc", "1,5", "0x1", "inf", "1\t2", '"']))
def test_the_line_of_a_fault_in_the_table_is_named(tmp_path_factory, row, cell, word):
    lines = GOOD.split("\n")
    place = lines.index(MATRIX_BEGIN) + 1 + row
    cells = lines[place].split("\t")
    cells[cell] = word
    lines[place] = "\t".join(cells)
    path = tmp_path_factory.mktemp("matrix") / "m.txt"
    path.write_text("\n".join(lines))
    if row and not cell and word in {"abc", "1,5", "0x1", "inf"}:
        assert word in parse_series_matrix(path).expression.columns
        return
    with pytest.raises(InputError, match=rf"m\.txt: line {place + 1}: "):
        parse_series_matrix(path)


def test_the_file_itself_is_read(tmp_path: Path):
    path = tmp_path / "m.txt"
    path.write_text(GOOD)
    check_table(parse_series_matrix(path), lines_of(GOOD.encode()))
    check_samples(parse_series_matrix(path), lines_of(GOOD.encode()))
