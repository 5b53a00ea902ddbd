"""The user's tables of ids and symbols in bad condition: every pair stands so in the file, or the file is refused."""

from __future__ import annotations

import gzip

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mangle import WITH_QUOTES, Spoiled, decoded, harmless, outcome, spoiled
from plain_fields import fields

from amlprognosis.retrieve.tables import read_gene_map

PAIRS = [
    ["1_at", "TP53"],
    ["2_at", "FLT3"],
    ["2_at", "NPM1"],
    ["3_at", ""],
    ["4_at", "KIT /// PDGFRA"],
    ["5_at", "---"],
]
TRUTH = {"1_at": "TP53", "2_at": "FLT3 /// NPM1", "3_at": "", "4_at": "KIT /// PDGFRA", "5_at": ""}
FORMS = {
    "tsv": ("\n".join("\t".join(row) for row in [["id", "symbol"], *PAIRS]) + "\n", "\t"),
    "wide": ("\n".join("\t".join([*row, "x"]) for row in [["id", "symbol"], *PAIRS]) + "\n", "\t"),
    "csv": ("\n".join(",".join(f'"{cell}"' for cell in row) for row in [["id", "symbol"], *PAIRS]) + "\n", ","),
}


def plainly(text: str, mark: str) -> dict[str, str]:
    """Symbols by id, joined in their order."""
    header, *rows = [[cell.replace("\n", " ") for cell in row] for row in fields(text, mark)]
    assert all(len(row) == len(header) for row in rows)
    symbols: dict[str, list[str]] = {}
    for name, symbol, *_ in rows:
        assert name
        assert '"' not in name
        held = symbols.setdefault(name, [])
        if symbol not in ("", "NA", "---", *held):
            held.append(symbol)
    return {name: " /// ".join(held) for name, held in symbols.items()}


@pytest.mark.parametrize("form", FORMS)
@given(data=st.data(), zipped=st.booleans())
def test_a_damaged_map_is_refused_or_read_as_it_stands(
    tmp_path_factory: pytest.TempPathFactory, form: str, data: st.DataObject, zipped: bool
) -> None:
    text, mark = FORMS[form]
    file: Spoiled = data.draw(spoiled(text, mark=mark, zipped=zipped, kinds=WITH_QUOTES))
    path = tmp_path_factory.getbasetemp() / ("m.tsv.gz" if zipped else "m.tsv")
    found: pd.Series | None = outcome(read_gene_map, path, file.content)
    if found is None:
        assert not harmless(file)
        return
    assert "gzip cut" not in file.damages
    content = gzip.decompress(file.content) if zipped else file.content
    assert plainly(decoded(content), mark) == found.to_dict()
    if harmless(file):
        assert found.to_dict() == TRUTH
