"""Damaged tables, JSON files and workbooks of BeatAML2: refused, or read as they stand."""

from __future__ import annotations

import datetime
import io
import json
import math
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mangle import check_against_plain, outcome
from plain_rows import number, rows_of

from amlprognosis.errors import InputError
from amlprognosis.genomics.consequences import variant_class
from amlprognosis.retrieve import beataml_tables as tables
from amlprognosis.retrieve.spreadsheets import read_sheet

SAMPLES = [f"BA{2000 + i}R" for i in range(5)]
EXPRESSION = "stable_id\tdisplay_label\tdescription\tbiotype\t" + "\t".join(SAMPLES) + "\n"
EXPRESSION += "".join(
    f"ENSG000000000{i:02d}\tG{i}\tgene {i} [Source:HGNC]\tprotein_coding\t"
    + "\t".join(str(i * j) for j in range(5))
    + "\n"
    for i in range(1, 10)
)
EFFECTS = ("missense_variant", "stop_gained", "inframe_deletion", "synonymous_variant")
VARIANTS = "dbgap_sample_id\tsymbol\thgvsp_short\tvariant_classification\tt_vaf\n" + "".join(
    f"BA{2000 + i % 4}D\tG{i}\tp.A{i}T\t{EFFECTS[i % 4]}\t0.{i + 1}\n" for i in range(9)
)
DRUGS = "dbgap_subject_id\tdbgap_dnaseq_sample\tdbgap_rnaseq_sample\tinhibitor\tauc\tic50\n" + "".join(
    f"{2000 + i}\tBA{2000 + i}D\t{'NA' if i % 2 else SAMPLES[i]}\t{drug}\t{100 + i}.5\t{'NA' if i == 3 else i}\n"
    for i in range(5)
    for drug in ("Venetoclax", "Sorafenib")
)
COHORT = {
    "patients": [
        {
            "id": 2000 + i,
            "sex": ("Male", "Female")[i % 2],
            "age": 40.5 + i,
            "eln": "Adverse",
            "dx": "AML",
            "stage": "Initial Diagnosis",
            "vital": "Dead",
            "os": 100 * i,
            "flt3itd": i == 2,
            "wbc": None if i == 1 else 12.5,
        }
        for i in range(4)
    ],
    "source": "x",
}
MUTATIONS = [
    {"p": 2000 + i, "g": f"G{i}", "c": "Missense", "hp": None if i == 2 else f"p.A{i}T", "vaf": 0.25} for i in range(5)
]
RESPONSES = {
    "patients": [2001, 2002, 2003],
    "drugs": [{"name": "A", "n": 3}, {"name": "B", "n": 2}],
    "auc": [[1.5, None], [2.5, 3.5], [4.5, 5.5]],
    "ic50": [[0.5, None], [1, 10], [2, 10]],
}
_LABELS = ("Initial Diagnosis", "ACUTE MYELOID LEUKAEMIA")
CLINICAL: list[list[Any]] = [
    [*tables.NEEDED, "wbcCount"],
    *(
        [2000 + i, SAMPLES[i], f"BA{2000 + i}D", *_LABELS, 100 * i, "Dead", 50.5 + i, "Male", "Adverse", 12.5]
        for i in range(4)
    ),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("beataml")


@given(data=st.data())
def test_expression(folder: Path, data: st.DataObject) -> None:
    def plain(text: str) -> tuple[dict[str, dict[str, float | None]], dict[str, str]]:
        rows = rows_of(text)
        ids = [row["stable_id"].partition(".")[0] for row in rows]
        assert len(set(ids)) == len(ids)
        known = set(tables.ANNOTATION)
        values = {g: {k: number(v) for k, v in row.items() if k not in known} for g, row in zip(ids, rows, strict=True)}
        assert None not in {value for row in values.values() for value in row.values()}
        return values, {g: row["display_label"] for g, row in zip(ids, rows, strict=True)}

    def parse(path: Path) -> tuple[dict[str, dict[str, float]], dict[str, str]]:
        expression, gene_map = tables.read_expression(path)
        return expression.T.to_dict("index"), gene_map.to_dict()

    check_against_plain(data, folder / "e.txt", EXPRESSION, parse, plain)


@given(data=st.data())
def test_variants(folder: Path, data: st.DataObject) -> None:
    def plain(text: str) -> list[tuple[Any, ...]]:
        found = []
        for row in rows_of(text):
            vaf = number(row["t_vaf"])
            assert vaf is None or 0 <= vaf <= 1
            kind = variant_class(row["variant_classification"])
            found.append((row["symbol"], kind, row["dbgap_sample_id"], row.get("hgvsp_short", ""), vaf))
        return found

    def parse(path: Path) -> list[tuple[Any, ...]]:
        rows = tables.read_variants(path).to_numpy()
        return [(*row[:4], None if math.isnan(row[4]) else row[4]) for row in rows]

    check_against_plain(data, folder / "v.txt", VARIANTS, parse, plain)


def drugs_by(path: Path) -> list[tuple[Any, ...]]:
    rows = tables.read_drug_response(path).to_numpy()
    return [(*row[:3], *(None if math.isnan(value) else value for value in row[3:])) for row in rows]


@given(data=st.data())
def test_drugs(folder: Path, data: st.DataObject) -> None:
    def plain(text: str) -> list[tuple[Any, ...]]:
        found = []
        for row in rows_of(text):
            dna, rna = (row[f"dbgap_{kind}seq_sample"] for kind in ("dna", "rna"))
            sample = next((name for name in (dna, rna) if name not in ("", "NA", "N/A", "NaN", "n/a")), "")
            sample = sample[:-1] if sample.endswith(("R", "D")) else sample
            found.append((row["dbgap_subject_id"], sample, row["inhibitor"], number(row["auc"]), number(row["ic50"])))
        assert len({row[:3] for row in found}) == len(found)
        return sorted(found, key=lambda row: row[:3])

    check_against_plain(data, folder / "d.txt", DRUGS, drugs_by, plain)


def text_of(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return "" if value is None else str(value).lower()
    return str(int(value)) if isinstance(value, float) and value == int(value) else str(value).strip()


@given(data=st.data())
def test_cohort_json(folder: Path, data: st.DataObject) -> None:
    missing = ("NA", "N/A", "NaN", "n/a")

    def plain(text: str) -> list[tuple[str, ...]]:
        rows = [
            tuple(text_of(item.get(key)) for key in (*tables.JSON_NEEDED, "flt3itd", "wbc"))
            for item in json.loads(text)["patients"]
        ]
        calls = {"true": "positive", "false": "negative"}
        rows = [(*row[:-2], calls.get(row[-2], row[-2]), row[-1]) for row in rows]
        rows = [tuple("" if value in missing else value for value in row) for row in rows]
        assert len({row[0] for row in rows}) == len(rows)
        return rows

    def parse(path: Path) -> list[tuple[str, ...]]:
        columns = [*tables.JSON_NEEDED.values(), "flt3_itd", "wbc"]
        return [tuple(row) for row in tables.read_clinical_json(path)[columns].to_numpy()]

    check_against_plain(data, folder / "cohort.json", json.dumps(COHORT, indent=0) + "\n", parse, plain)


@given(data=st.data())
def test_mutations_json(folder: Path, data: st.DataObject) -> None:
    def plain(text: str) -> list[tuple[Any, ...]]:
        return [
            (
                text_of(v["g"]),
                tables.JSON_CLASSES[text_of(v["c"])],
                text_of(v["p"]),
                text_of(v.get("hp")),
                float(v["vaf"]),
            )
            for v in json.loads(text)
        ]

    def parse(path: Path) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in tables.read_variants(path).to_numpy()]

    check_against_plain(data, folder / "mutations.json", json.dumps(MUTATIONS, indent=0) + "\n", parse, plain)


@given(data=st.data())
def test_drugs_json(folder: Path, data: st.DataObject) -> None:
    def plain(text: str) -> list[tuple[Any, ...]]:
        content = json.loads(text)
        found = []
        for i, patient in enumerate(content["patients"]):
            for j, drug in enumerate(content["drugs"]):
                auc, ic50 = content["auc"][i][j], content["ic50"][i][j]
                if auc is not None or ic50 is not None:
                    values = [None if value is None else float(value) for value in (auc, ic50)]
                    found.append((text_of(patient), "", drug["name"], *values))
        return sorted(found, key=lambda row: row[:3])

    check_against_plain(data, folder / "drugs.json", json.dumps(RESPONSES, indent=0) + "\n", drugs_by, plain)


def workbook(rows: list[list[Any]]) -> bytes:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


GOOD = workbook(CLINICAL)


@given(data=st.data())
def test_damaged_workbooks(folder: Path, data: st.DataObject) -> None:
    """Bytes that are lost or changed: the archive's own checksums leave the truth or nothing."""
    content = bytearray(GOOD)
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    for _ in range(data.draw(st.integers(0 if len(content) < len(GOOD) else 1, 3))):
        if content:
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    found = outcome(tables.read_clinical, folder / "c.xlsx", bytes(content))
    if found is not None:
        (folder / "good.xlsx").write_bytes(GOOD)
        assert found.equals(tables.read_clinical(folder / "good.xlsx"))


CELLS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**12), 10**12),
    st.integers(-(10**9), 10**9).map(lambda n: n / 1000),
    st.text(st.characters(codec="utf-8", exclude_categories=("C",)), max_size=8).filter(
        lambda t: not t.startswith("=")
    ),
    st.datetimes(datetime.datetime(1950, 1, 1), datetime.datetime(2050, 1, 1)).map(lambda t: t.replace(microsecond=0)),
    st.sampled_from(["#N/A", "#DIV/0!", "=A1+1", "TRUE", " 7 ", "1,5"]),
)


def told(value: Any) -> str | None:
    """Text of a cell, or None where the cell cannot be read."""
    if value is None or value == "#N/A":
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float):
        return str(int(value)) if value == int(value) and abs(value) < 2**53 else repr(value)
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    if isinstance(value, str) and value in ("=A1+1", "#DIV/0!"):
        return None
    return str(value).strip()


@given(rows=st.lists(st.lists(CELLS, min_size=2, max_size=3), min_size=1, max_size=6), merged=st.booleans())
def test_cells_of_any_kind(folder: Path, rows: list[list[Any]], merged: bool) -> None:
    book = openpyxl.Workbook()
    for row in [["a", "b"], *rows]:
        book.active.append(row)
    if merged:
        book.active.merge_cells("A1:A2")
    path = folder / "cells.xlsx"
    book.save(path)
    expected = [
        [told(value) for value in row[:2]] for row in rows if any(value is not None and value != "" for value in row)
    ]
    beyond = any(row[2:] not in ([], [None], [""]) for row in rows)
    unreadable = any(None in row for row in expected) or beyond or merged
    message, table = "", None
    try:
        table = read_sheet(path, ["a", "b"])
    except InputError as error:
        message = str(error)
    if table is None:
        assert "cells.xlsx" in message
        assert unreadable or not expected
    else:
        assert not unreadable
        assert table.to_numpy().tolist() == expected
