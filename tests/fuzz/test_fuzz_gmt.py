"""Gene set files in bad condition: every set stands so in the file, or the file is refused."""

from __future__ import annotations

import gzip
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mangle import WITH_QUOTES, harmless, outcome, spoiled

from amlprognosis.errors import InputError
from amlprognosis.signatures.gene_sets import GeneSet, read_gmt

SETS = {
    "STEM": ("https://example.org/1", ["CD34", "HOXA9", "MEIS1"]),
    "CYCLE": ("", ["MKI67", "TOP2A"]),
    "ÜBER": ("third", ["TP53", "TP53", "FLT3", "NPM1", "KIT"]),
}
TEXT = "\n".join("\t".join([name, description, *genes]) for name, (description, genes) in SETS.items()) + "\n"


def bare(cell: str) -> str:
    cell = cell.strip()
    return cell[1:-1].strip() if len(cell) > 1 and cell[0] == cell[-1] == '"' else cell


def plainly(content: bytes) -> dict[str, tuple[str, list[str]]]:
    """Sets of a file: a line each."""
    text = content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    found = {}
    for line in text.split("\n"):
        if line.strip():
            name, description, *genes = (bare(cell) for cell in line.split("\t"))
            assert name
            assert name not in found
            found[name] = (description, list(dict.fromkeys(filter(None, genes))))
    return found


def as_pairs(sets: dict[str, GeneSet]) -> dict[str, tuple[str, list[str]]]:
    assert all(name == one.name for name, one in sets.items())
    return {name: (bare(one.description), list(one.genes)) for name, one in sets.items()}


@given(data=st.data(), zipped=st.booleans())
def test_a_damaged_file_is_refused_or_read_as_it_stands(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, zipped: bool
) -> None:
    file = data.draw(spoiled(TEXT, zipped=zipped, kinds=WITH_QUOTES))
    path = tmp_path_factory.getbasetemp() / ("s.gmt.gz" if zipped else "s.gmt")
    found = outcome(read_gmt, path, file.content)
    if found is None:
        assert not harmless(file)
        return
    assert "gzip cut" not in file.damages
    assert as_pairs(found) == plainly(gzip.decompress(file.content) if zipped else file.content)
    assert all(one.genes for one in found.values())
    assert not any('"' in text for one in found.values() for text in (one.name, *one.genes))
    if harmless(file):
        truth = {name: (description, list(dict.fromkeys(genes))) for name, (description, genes) in SETS.items()}
        assert as_pairs(found) == truth


@given(line=st.integers(0, 2), change=st.sampled_from(["no genes", "one field", "twice", "no name", "quote"]))
def test_the_line_of_a_fault_is_named(tmp_path_factory: pytest.TempPathFactory, line: int, change: str) -> None:
    lines = TEXT.strip().split("\n")
    name, description, *genes = lines[line].split("\t")
    lines[line] = {
        "no genes": f"{name}\t{description}",
        "one field": f"{name} {description} A B",
        "twice": f"{lines[line - 1].partition(chr(9))[0]}\t\tTP53",
        "no name": "\t".join(["", description, *genes]),
        "quote": "\t".join([name, description, f'"{genes[0]}', *genes[1:]]),
    }[change]
    path = tmp_path_factory.getbasetemp() / "line.gmt"
    path.write_text("\n".join(lines))
    fault = ""
    try:
        read_gmt(path)
    except InputError as error:
        fault = str(error)
    assert re.search(r"line.gmt, line (\d)", fault), fault
    assert change == "twice" or f"line {line + 1}" in fault
