from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import pytest
from as_read import harmless
from geo_text import bare, lines_of
from hypothesis import given
from hypothesis import strategies as st
from mangle import outcome, spoiled

from amlprognosis.errors import InputError
from amlprognosis.retrieve.geo_platform import BEGIN, END, parse_platform

ROWS = {
    "1_at": "TP53",
    "2_at": "DDR1///MIR4640",
    "3_at": "",
    "4_at": "FLT3",
    "5_s_at": "---",
    "6_x_at": "GATA2///GATA2",
}
TRUTH = {"1_at": "TP53", "2_at": "DDR1 /// MIR4640", "3_at": "", "4_at": "FLT3", "5_s_at": "", "6_x_at": "GATA2"}


def annotation(symbol: str = "Gene symbol") -> str:
    head = ["^Annotation", "!Annotation_date = Jan 01 2010", "!Annotation_platform = GPL96", "#ID = probe", BEGIN]
    rows = [f"{name}\ta 5' title\t{text}\t{i}" for i, (name, text) in enumerate(ROWS.items())]
    return "\n".join([*head, f"ID\tGene title\t{symbol}\tGene ID", *rows, END, ""])


def assignments() -> str:
    """As the gene arrays of Affymetrix have them, in a SOFT family."""
    head = ["^DATABASE = Geo", "!Database_name = GEO", "^PLATFORM = GPL96", "!Platform_title = p", BEGIN]
    rows = []
    for name, text in ROWS.items():
        each = [f"NM_{i} // {part} // title // 1p1 // {i}" for i, part in enumerate(text.split("///")) if part]
        rows.append(f"{name}\tchr1\t{' /// '.join(each) or '---'}")
    return "\n".join([*head, "ID\tseqname\tgene_assignment", *rows, END, "^SAMPLE = GSM1", ""])


def symbols(text: str, assigned: bool) -> str:
    """Symbols of a cell, read plainly."""
    parts = text.strip().split(" /// " if assigned else "///")
    found = [part.split(" // ")[1:2] for part in parts] if assigned else [[part] for part in parts]
    names = [name.strip() for each in found for name in each]
    return " /// ".join(dict.fromkeys(name for name in names if name not in ("", "---", "NA")))


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("assigned", [False, True])
@given(data=st.data())
def test_a_damaged_platform_is_refused_or_read_as_it_stands(tmp_path_factory, zipped, assigned, data):
    path = tmp_path_factory.mktemp("platform") / ("GPL96.annot" + ".gz" * zipped)
    file = data.draw(spoiled(assignments() if assigned else annotation(), zipped=zipped))
    found = outcome(lambda place: parse_platform(place, "GPL96"), path, file.content)
    if found is None:
        assert "gzip cut" in file.damages or not harmless(file)
        return
    lines = lines_of(whole(file.content))
    marks = [line.strip().lower() for line in lines]
    if BEGIN in marks:
        start = marks.index(BEGIN) + 1
        table = [line for line in lines[start : marks.index(END, start)] if line.strip()]
    else:
        table = [line for line in lines if line.strip() and not line.startswith(("^", "!", "#"))]
    head, *rows = (line.split("\t") for line in table)
    names = [bare(cell) for cell in head]
    column = next(i for i, name in enumerate(names) if name in ("Gene symbol", "gene_assignment"))
    assert [bare(row[0]) for row in rows] == list(found.index)
    for row in rows:
        assert found[bare(row[0])] == symbols(bare(row[column]), assigned)
    if harmless(file):
        assert found.to_dict() == TRUTH


def whole(content: bytes) -> bytes:
    """What comes out of a file, even if its end is damaged: reading stops after the table."""
    if not content.startswith(b"\x1f\x8b"):
        return content
    return zlib.decompressobj(31).decompress(content)


@given(row=st.integers(0, 5), change=st.sampled_from(["\t1", "less"]))
def test_the_line_of_a_ragged_row_is_named(tmp_path_factory, row, change):
    lines = annotation().split("\n")
    place = lines.index(BEGIN) + 2 + row
    lines[place] = lines[place].rpartition("\t")[0] if change == "less" else lines[place] + change
    path = tmp_path_factory.mktemp("platform") / "GPL96.annot"
    path.write_text("\n".join(lines))
    with pytest.raises(InputError, match=rf"GPL96\.annot: line {place + 1}: "):
        parse_platform(path)


def test_the_files_themselves_are_read(tmp_path: Path):
    path = tmp_path / "GPL96.annot.gz"
    for text in (annotation(), assignments(), annotation("GENE_SYMBOL")):
        path.write_bytes(gzip.compress(text.encode()))
        assert parse_platform(path).to_dict() == TRUTH
