"""Signature files in bad condition: every weight stands so in the file, or the file is refused."""

from __future__ import annotations

import gzip
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mangle import WITH_QUOTES, harmless, outcome, spoiled

from amlprognosis.errors import InputError
from amlprognosis.signatures.scores import read_signature

WEIGHTS = {"DNMT3B": "0.0874", "ZBTB46": "-0.0347", "NYNRIN": "0.00865", "ARHGAP22": "-1.38e-2", "LAPTM4B": "5"}
TEXT = (
    "#source\ngene\tentrez\tweight\n"
    + "\n".join(f"{gene}\t{i}\t{weight}" for i, (gene, weight) in enumerate(WEIGHTS.items()))
    + "\n"
)


def bare(cell: str) -> str:
    cell = cell.strip()
    return cell[1:-1].strip() if len(cell) > 1 and cell[0] == cell[-1] == '"' else cell


def plainly(content: bytes) -> dict[str, float]:
    """Weights of a file by the names that stand there."""
    text = content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    lines = [line for line in text.split("\n") if line.strip()]
    while lines[0].startswith("#"):
        del lines[0]
    header = [bare(name) for name in lines[0].split("\t")]
    assert header.count("gene") == header.count("weight") == 1
    found = {}
    for line in lines[1:]:
        row = dict(zip(header, line.split("\t"), strict=True))
        gene, weight = bare(row["gene"]), bare(row["weight"])
        assert gene
        assert gene not in found
        assert re.fullmatch(r"[+-]?[0-9.]+([eE][+-]?[0-9]+)?", weight)
        found[gene] = float(weight)
    return found


@given(data=st.data(), zipped=st.booleans())
def test_a_damaged_file_is_refused_or_read_as_it_stands(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, zipped: bool
) -> None:
    file = data.draw(spoiled(TEXT, zipped=zipped, kinds=WITH_QUOTES))
    path = tmp_path_factory.getbasetemp() / ("s.tsv.gz" if zipped else "s.tsv")
    found = outcome(read_signature, path, file.content)
    if found is None:
        assert not harmless(file)
        return
    assert "gzip cut" not in file.damages
    # A damaged name may be another gene's retired one: values and their order tell the rows.
    written = plainly(gzip.decompress(file.content) if zipped else file.content)
    assert list(found.values()) == list(written.values())
    assert all(new == old or old not in WEIGHTS for new, old in zip(found, written, strict=True))
    assert all(map(math.isfinite, found.values()))
    assert any(found.values())
    assert not any('"' in gene for gene in found)
    if harmless(file):
        assert found == {gene: float(weight) for gene, weight in WEIGHTS.items()}


@given(
    row=st.integers(2, 6),
    place=st.sampled_from([0, 2]),
    word=st.sampled_from(["", "x y", "inf", "1_0", "0x1", "1,5", "1\t2"]),
)
def test_the_line_of_a_fault_is_named(
    tmp_path_factory: pytest.TempPathFactory, row: int, place: int, word: str
) -> None:
    lines = TEXT.split("\n")
    cells = lines[row].split("\t")
    cells[place] = word
    lines[row] = "\t".join(cells)
    path = tmp_path_factory.getbasetemp() / "line.tsv"
    path.write_text("\n".join(lines))
    fault = ""
    try:
        read_signature(path)
    except InputError as error:
        fault = str(error)
    if place == 0 and word not in ("", "1\t2"):
        assert not fault
    else:
        assert f"line.tsv, line {row + 1}:" in fault, fault
