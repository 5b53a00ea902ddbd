from __future__ import annotations

import gzip
import math
from pathlib import Path

import pytest
from as_read import harmless
from geo_text import lines_of, number, same
from hypothesis import given
from hypothesis import strategies as st
from mangle import outcome, spoiled

from amlprognosis.retrieve.geo_samples import SeriesMatrix
from amlprognosis.retrieve.soft import Dataset, parse_dataset, parse_family

PROBES = [f"{i}_at" for i in range(1, 5)]
NAMES = ["GSM1", "GSM2", "GSM3"]
TEXTS = {"GSM1": ["age: 61", "os: 5:2"], "GSM2": ["os: 7", "age: 40"], "GSM3": ["age: 33"]}
DESCRIPTIONS = {"GSM1": "RCC", "GSM2": "RCC", "GSM3": "normal"}


def value(probe: int, sample: int) -> str:
    return "" if (probe + sample) % 5 == 4 else f"{(probe * 7 + sample) % 11 - 3 + sample / 8}"


def family() -> str:
    lines = ["^DATABASE = GeoMiame", "!Database_name = GEO", "^SERIES = GSE1", "!Series_title = a series"]
    lines += [f"!Series_sample_id = {name}" for name in NAMES]
    lines += ["^PLATFORM = GPL96", "!Platform_title = p", "!platform_table_begin", "ID\tGene Symbol"]
    lines += [*(f"{probe}\tG{i}" for i, probe in enumerate(PROBES)), "!platform_table_end"]
    for s, name in enumerate(NAMES):
        lines += [f"^SAMPLE = {name}", f"!Sample_title = AML {s}", f"!Sample_geo_accession = {name}"]
        lines += [f"!Sample_characteristics_ch1 = {text}" for text in TEXTS[name]]
        lines += ["!Sample_platform_id = GPL96", "!Sample_data_row_count = 4", "#ID_REF = ", "#VALUE = log2"]
        lines += ["!sample_table_begin", "ID_REF\tVALUE\tABS_CALL"]
        lines += [*(f"{probe}\t{value(p, s)}\tP" for p, probe in enumerate(PROBES)), "!sample_table_end"]
    return "\n".join([*lines, ""])


def dataset() -> str:
    lines = [
        "^DATABASE = Geo",
        "!Database_name = GEO",
        "^DATASET = GDS1",
        "!dataset_title = t",
        "!dataset_platform = GPL96",
    ]
    for i, (text, members) in enumerate((("RCC", "GSM1,GSM2"), ("normal", "GSM3"))):
        lines += [f"^SUBSET = GDS1_{i}", "!subset_dataset_id = GDS1", f"!subset_description = {text}"]
        lines += [f"!subset_sample_id = {members}", "!subset_type = disease state"]
    lines += ["^DATASET = GDS1", "#ID_REF = id", "#IDENTIFIER = gene"]
    lines += [f"#{name} = Value for {name}: AML {i}; src: blood" for i, name in enumerate(NAMES)]
    lines += ["!dataset_table_begin", "\t".join(["ID_REF", "IDENTIFIER", *NAMES])]
    lines += ["\t".join([probe, f"G{p}", *(value(p, s) for s in range(3))]) for p, probe in enumerate(PROBES)]
    return "\n".join([*lines, "!dataset_table_end", ""])


FAMILY, DATASET = family(), dataset()


def check_family(matrix: SeriesMatrix, lines: list[str]) -> None:
    """Samples, texts and values as the blocks of the file say, read line by line."""
    blocks: dict[str, list[str]] = {}
    name = ""
    for line in lines:
        if line.startswith("^"):
            kind, _, name = (part.strip() for part in line.removeprefix("^").partition("="))
            name = name if kind == "SAMPLE" else ""
        elif name and line.strip():
            blocks.setdefault(name, []).append(line)
    assert list(matrix.samples.index) == list(blocks)
    seen = 0
    for sample, block in blocks.items():
        for field in ("title", "characteristics_ch1"):
            pairs = [line.partition("=") for line in block]
            texts = [text.strip() for key, _, text in pairs if key.strip() == f"!Sample_{field}"]
            known = matrix.samples[field][sample] if field in matrix.samples else ""
            assert known == " | ".join(dict.fromkeys(text for text in texts if text))
        for key in ("age", "os"):
            values = [text.partition(":")[2].strip() for text in texts if text.partition(":")[0].strip() == key]
            known = matrix.samples[key][sample] if key in matrix.samples else ""
            assert known == " | ".join(dict.fromkeys(found for found in values if found))
        marks = [line.strip().lower() for line in block]
        if "!sample_table_begin" not in marks:
            assert sample not in matrix.expression.index
            continue
        table = block[marks.index("!sample_table_begin") + 1 : marks.index("!sample_table_end")]
        rows = [line.split("\t") for line in table]
        names = [cell.strip() for cell in rows[0]]
        if "VALUE" not in names or len(rows) == 1:
            assert sample not in matrix.expression.index
            continue
        stands = {row[0].strip(): number(row[names.index("VALUE")]) for row in rows[1:]}
        seen += 1
        for probe in matrix.expression.columns:
            assert same(matrix.expression.loc[sample, probe], stands.get(probe, math.nan)), (sample, probe)
        assert set(stands) <= set(matrix.expression.columns)
    assert seen == len(matrix.expression)


@pytest.mark.parametrize("zipped", [False, True])
@given(data=st.data())
def test_a_damaged_family_is_refused_or_read_as_it_stands(tmp_path_factory, zipped, data):
    path = tmp_path_factory.mktemp("family") / ("GSE1_family.soft" + ".gz" * zipped)
    file = data.draw(spoiled(FAMILY, zipped=zipped))
    matrix = outcome(parse_family, path, file.content)
    if matrix is None:
        assert "gzip cut" in file.damages or not harmless(file)
        return
    check_family(matrix, lines_of(unzipped(file.content)))
    assert set(matrix.series.get("sample_id", [])) <= set(matrix.samples.index)
    if harmless(file):
        assert list(matrix.expression.index) == NAMES
        assert matrix.samples["age"].tolist() == ["61", "40", "33"]
        assert (matrix.platform, matrix.notes) == ("GPL96", [])


@given(data=st.data())
def test_a_damaged_data_set_is_refused_or_read_as_it_stands(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("dataset") / "GDS1.soft"
    file = data.draw(spoiled(DATASET))
    found: Dataset | None = outcome(parse_dataset, path, file.content)
    if found is None:
        assert not harmless(file)
        return
    lines = lines_of(file.content)
    marks = [line.strip().lower() for line in lines]
    table = lines[marks.index("!dataset_table_begin") + 1 : marks.index("!dataset_table_end")]
    head, *rows = (line.split("\t") for line in table if line.strip())
    names = [cell.strip() for cell in head]
    assert names[2:] == list(found.matrix.expression.index) == list(found.matrix.samples.index)
    assert [row[0].strip() for row in rows] == list(found.matrix.expression.columns)
    for row in rows:
        assert found.symbols[row[0].strip()] == row[1].strip()
        for name, cell in zip(names[2:], row[2:], strict=True):
            assert same(found.matrix.expression.loc[name, row[0].strip()], number(cell))
    check_subsets(found, lines)
    if harmless(file):
        assert found.matrix.samples["disease state"].to_dict() == DESCRIPTIONS


def check_subsets(found: Dataset, lines: list[str]) -> None:
    """Each subset's samples have its description in the column of its type."""
    blocks: list[dict[str, str]] = []
    for line in lines:
        key, _, text = (part.strip() for part in line.partition("="))
        if line.startswith("^"):
            blocks.append({"kind": key})
        elif blocks and line.startswith("!"):
            blocks[-1].setdefault(key.lower(), text)
    stands: dict[tuple[str, str], list[str]] = {}
    for block in (block for block in blocks if block["kind"] == "^SUBSET"):
        for name in block["!subset_sample_id"].split(","):
            if name.strip() and block.get("!subset_description"):
                stands.setdefault((block["!subset_type"], name.strip()), []).append(block["!subset_description"])
    samples = found.matrix.samples
    for (kind, name), texts in stands.items():
        assert samples[kind][name] == " | ".join(dict.fromkeys(texts))
    for column in set(samples.columns) - {"geo_accession", "title", "source_name_ch1", "platform_id"}:
        assert all((column, name) in stands for name in samples.index[samples[column] != ""])


def unzipped(content: bytes) -> bytes:
    return gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content


def test_the_files_themselves_are_read(tmp_path: Path):
    path = tmp_path / "f.soft"
    path.write_text(FAMILY)
    check_family(parse_family(path), lines_of(FAMILY.encode()))
    path.write_text(DATASET)
    check_subsets(parse_dataset(path), DATASET.split("\n"))
