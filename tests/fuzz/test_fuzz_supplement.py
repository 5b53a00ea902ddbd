"""Supplementary matrices in bad condition: every value of a result stands so in the file, or the file is refused."""

from __future__ import annotations

import csv
import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mangle import HARMLESS, Spoiled, outcome, spoiled

from amlprognosis.retrieve.archives import list_members
from amlprognosis.retrieve.count_files import read_count_archive
from amlprognosis.retrieve.supplement_tables import MISSING, SupplementTable, read_supplement

ROWS = [["TP53", "10", "0", "3.5"], ["FLT3", "1e3", "NA", "2"], ["NPM1", "7", "-4", ""], ["IDH1", "0.25", "6", "8"]]
PLAIN = "\n".join("\t".join(row) for row in [["gene", "S1", "S2", "S3"], *ROWS, ["__no_feature", "5", "5", "5"]]) + "\n"
R_STYLE = "S1\tS2\tS3\n" + PLAIN.partition("\n")[2]
QUOTED = "\n".join(",".join(f'"{cell}"' for cell in line.split("\t")) for line in PLAIN.strip().split("\n")) + "\n"
TRUTH = np.array([[10, 0, 3.5], [1000, np.nan, 2], [7, -4, np.nan], [0.25, 6, 8]])


def _text(content: bytes) -> str:
    content = content.removeprefix(b"\xef\xbb\xbf")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _fields(content: bytes) -> list[list[str]]:
    """The fields of a text, read in another way than the parser does."""
    lines = [line for line in _text(content).split("\n") if line.strip()]
    while lines and lines[0].startswith("#"):
        lines.pop(0)
    mark = next(mark for mark in "\t,; " if mark in lines[0].strip() and mark in lines[1].strip())
    rows = [
        [c.strip() for c in next(csv.reader([line], delimiter=mark, skipinitialspace=mark == " "))] for line in lines
    ]
    if len(rows[1]) == len(rows[0]) + 1:
        rows[0].insert(0, "")
    return rows


def _agrees(table: SupplementTable, file: Spoiled) -> None:
    rows = _fields(file.content)
    header, body = rows[0], [row for row in rows[1:] if not row[0].startswith(("__", "N_"))]
    assert table.counters == len(rows) - 1 - len(body)
    assert all(len(row) == len(header) for row in rows)
    assert table.values.index.tolist() == [row[0] for row in body]
    assert table.values.columns.tolist() == header[1:]
    written = [[np.nan if cell in MISSING else float(cell) for cell in row[1:]] for row in body]
    np.testing.assert_array_equal(table.values.to_numpy(), np.array(written))
    assert not any("_" in cell for row in body for cell in row[1:])  # float() would take 1_000
    if HARMLESS.issuperset(file.damages):
        np.testing.assert_array_equal(table.values.to_numpy(), TRUTH)


@pytest.mark.parametrize("text", [PLAIN, R_STYLE, QUOTED], ids=["plain", "as R writes it", "quoted csv"])
@given(data=st.data())
def test_supplement(tmp_path_factory, text, data):
    file = data.draw(spoiled(text))
    table = outcome(read_supplement, tmp_path_factory.getbasetemp() / "GSE1_counts.txt", file.content)
    if table is not None:
        _agrees(table, file)
    else:
        assert len(file.damages) > 1 or file.damages[0] not in HARMLESS


@given(data=st.data())
def test_supplement_zipped(tmp_path_factory, data):
    file = data.draw(spoiled(PLAIN, zipped=True))
    table = outcome(read_supplement, tmp_path_factory.getbasetemp() / "GSE1_counts.txt.gz", file.content)
    assert table is None or "gzip cut" not in file.damages


HTSEQ = "TP53\t10\nFLT3\t3\nNPM1\t0\nIDH1\t77\n__no_feature\t9\n"


@given(data=st.data())
def test_count_files(tmp_path_factory, data):
    file = data.draw(spoiled(HTSEQ))
    path = tmp_path_factory.getbasetemp() / "GSE1_RAW.tar"

    def parse(place: Path) -> SupplementTable:
        content = place.read_bytes()
        with tarfile.open(place, "w") as archive:
            for name, member in (("GSM1_a.txt", HTSEQ.encode()), ("GSM2_b.txt", content)):
                info = tarfile.TarInfo(name)
                info.size = len(member)
                archive.addfile(info, io.BytesIO(member))
        return read_count_archive(place, "counts")[0]

    table = outcome(parse, path, file.content)
    if table is None:
        assert len(file.damages) > 1 or file.damages[0] not in HARMLESS
        return
    assert table.values["GSM1"].tolist() == [10, 3, 0, 77]
    assert table.values.index.tolist() == ["TP53", "FLT3", "NPM1", "IDH1"]
    lines = [line for line in _text(file.content).split("\n") if line.strip()]
    pairs = [line.replace('"', "").split("\t" if "\t" in line else None) for line in lines]
    written = {pair[0].strip(): pair[-1].strip() for pair in pairs if len(pair) == 2}
    for gene, value in table.values["GSM2"].items():
        text = written[gene]
        assert (np.isnan(value) and text in MISSING) or float(text) == value


@given(cut=st.integers(0, 4095))
def test_an_archive_that_is_cut_is_never_taken_for_whole(tmp_path_factory, cut):
    path = tmp_path_factory.getbasetemp() / "whole.tar"
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        for name in ("a.dem.txt", "b.dem.txt"):
            info = tarfile.TarInfo(name)
            info.size = 600
            archive.addfile(info, io.BytesIO(b"x" * 600))
    names = outcome(list_members, path, path.read_bytes()[:cut])
    assert names is None or (names == ["a.dem.txt", "b.dem.txt"] and cut > 3072)
