"""Annotations of cells in bad condition."""

from __future__ import annotations

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st
from mangle import HARMLESS, outcome, spoiled

from amlprognosis.cells.annotation import read_annotation

ANNO = (
    "Cell\tScore_T\tPredictionRefined\tCellType\n"
    "P1_AAAC\t0.25\tnormal\tT\n"
    "P1_AAAG\t-1.5\tmalignant\tHSC-like\n"
    "P1_AAAT\tNA\tunclear\t\n"
    "P1_AACC\t1e-3\t\tGMP\n"
)
_WORDS = {"normal": False, "malignant": True, "unclear": None}


@given(data=st.data())
def test_annotation(tmp_path_factory, data):
    file = data.draw(spoiled(ANNO))
    table = outcome(read_annotation, tmp_path_factory.getbasetemp() / "GSM2_P1.anno.txt", file.content)
    if table is None:
        assert len(file.damages) > 1 or file.damages[0] not in HARMLESS
        return
    text = file.content.decode().lstrip("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    rows = [[cell.strip() for cell in line.split("\t")] for line in text.split("\n") if line.strip()]
    rows = [[cell[1:-1] if len(cell) > 1 and cell[0] == cell[-1] == '"' else cell for cell in row] for row in rows]
    header, body = rows[0], rows[1:]
    assert all(len(row) == len(header) for row in rows)
    place = header.index("Cell")
    assert table.index.tolist() == [row[place] for row in body]
    for row, (_, found) in zip(body, table.iterrows(), strict=True):
        named = dict(zip(header, row, strict=True))
        kind, said = named.get("CellType", ""), named.get("PredictionRefined", "")
        assert found["cell_type"] == kind or (found["cell_type"] is None and kind in ("", "NA", "nan"))
        truth = _WORDS.get(said)
        assert pd.isna(found["malignant"]) if truth is None else found["malignant"] == truth
        assert said in _WORDS or said in ("", "NA", "nan")
        score = named.get("Score_T")
        if score and not pd.isna(found["source_Score_T"]):
            value = found["source_Score_T"]
            assert str(value) == score or float(value) == float(score)
    if HARMLESS.issuperset(file.damages):
        assert table["cell_type"].tolist() == ["T", "HSC-like", None, "GMP"]


@given(data=st.data())
def test_annotation_zipped(tmp_path_factory, data):
    file = data.draw(spoiled(ANNO, zipped=True))
    table = outcome(read_annotation, tmp_path_factory.getbasetemp() / "GSM2_P1.anno.txt.gz", file.content)
    assert table is None or "gzip cut" not in file.damages
