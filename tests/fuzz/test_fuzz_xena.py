"""Damaged files of a Xena hub: refused, or read as they stand."""

from __future__ import annotations

import gzip
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from as_read import decoded, harmless
from hypothesis import given
from hypothesis import strategies as st
from mangle import outcome, spoiled
from plain_rows import number, rows_of

from amlprognosis.genomics.consequences import variant_class
from amlprognosis.retrieve import xena
from amlprognosis.retrieve.barcodes import patient_of

PATIENTS = [f"TCGA-AB-28{i:02d}" for i in range(8)]
SURVIVAL = "sample\tOS\t_PATIENT\tOS.time\n" + "".join(
    f"{name}-{kind}\t{i % 2}\t{name}\t{17 * i + 28}\n"
    for i, name in enumerate(PATIENTS)
    for kind in ("03A", "11A")[: 1 + i % 2]
)
PHENOTYPE = "submitter_id.samples\tage_at_index.demographic\tgender.demographic\tnote\n" + "".join(
    f'{name}-03A\t{40 + i}\t{("male", "female")[i % 2]}\tsaid "so", {i}\n' for i, name in enumerate(PATIENTS)
)
EFFECTS = ("missense_variant", "synonymous_variant", "frameshift_variant;splice_region_variant", "intron_variant")
VARIANTS = "Sample_ID\tgene\tchrom\tstart\tAmino_Acid_Change\teffect\tfilter\tdna_vaf\n" + "".join(
    f"{name}-03A\tG{i}\tchr1\t{i}\tp.A{i}T\t{EFFECTS[i % 4]}\t{('PASS', 'bSeq')[i % 3 == 2]}\t0.{i}\n"
    for i, name in enumerate(PATIENTS)
)
PROBES = "id\tgene\tchrom\n" + "".join(f"ENSG000000000{i:02d}.{i}\tG{i}\tchr{i}\n" for i in range(3, 12))
EXPRESSION = (
    "Ensembl_ID\t"
    + "\t".join(f"{name}-03A" for name in PATIENTS[:4])
    + "\n"
    + "".join(
        f"ENSG000000000{i:02d}.{i}\t" + "\t".join(repr(math.log2(i * j + 1)) for j in range(4)) + "\n"
        for i in range(3, 12)
    )
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("xena")


def check(
    data: st.DataObject, path: Path, good: str, parse: Callable[[Path], Any], plain: Callable[[str], Any]
) -> None:
    """The parser refuses the damaged file, or finds what a plain reading finds; harmless damages change nothing."""
    file = data.draw(spoiled(good, zipped=path.name.endswith(".gz")))
    found = outcome(parse, path, file.content)
    if found is None:
        assert not harmless(file)
    else:
        assert "gzip cut" not in file.damages
        text = decoded(gzip.decompress(file.content) if path.name.endswith(".gz") else file.content)
        assert found == plain(text)
        if harmless(file):
            assert found == plain(good)


def column_of_samples(row: dict[str, str]) -> str:
    return next(name for name in xena.SAMPLE_COLUMNS if name in row)


def survival_of(text: str) -> dict[str, tuple[float | None, float | None, str]]:
    rows = rows_of(text)
    found = {}
    for row in rows:
        event, time = number(row["OS"]), number(row["OS.time"])
        sample = row[column_of_samples(row)]
        assert sample not in found
        assert event in (None, 0, 1)
        assert time is None or time >= 0
        found[sample] = (event, time, row["_PATIENT"] if "_PATIENT" in row else patient_of(sample))
    for patient in {value[2] for value in found.values()}:
        assert len({value[:2] for value in found.values() if value[2] == patient}) == 1
    return found


def survival_by(path: Path) -> dict[str, tuple[float | None, float | None, str]]:
    table, patients = xena.read_survival(path)
    values = {
        p: tuple(float(text) if text else None for text in row)
        for p, row in zip(table.index, table.to_numpy(), strict=True)
    }
    return {sample: (*values[patient], patient) for sample, patient in patients.items()}


@given(data=st.data())
def test_survival(folder: Path, data: st.DataObject) -> None:
    check(data, folder / "s.tsv", SURVIVAL, survival_by, survival_of)


def phenotype_of(text: str) -> dict[str, dict[str, str]]:
    rows = rows_of(text)
    return {row[column_of_samples(row)]: row for row in rows}


def phenotype_by(path: Path) -> dict[str, dict[str, str]]:
    table = xena.read_phenotype(path)
    for sample, row in table.iterrows():
        told = row.get("age_at_index.demographic", "")
        plain = pd.to_numeric(told, errors="coerce")
        if row["age_years"] and not pd.isna(plain):
            assert float(row["age_years"]) == float(plain), sample
        assert row["sex_at_diagnosis"] == row.get("gender.demographic", "").lower()
    return table.drop(columns=["age_years", "sex_at_diagnosis"]).to_dict("index")


@given(data=st.data())
def test_phenotype(folder: Path, data: st.DataObject) -> None:
    check(data, folder / "p.tsv.gz", PHENOTYPE, phenotype_by, phenotype_of)


def variants_of(text: str) -> list[tuple[str, ...]]:
    found = []
    for row in rows_of(text):
        kind = variant_class(row["effect"]) if row["gene"] else "IGR"
        assert kind
        passed = row.get("filter", "PASS") in ("PASS", ".", "")
        change = row.get("Amino_Acid_Change", row.get("HGVSp_Short", ""))
        found.append((row["gene"], kind, row[column_of_samples(row)], change, str(passed)))
    return found


@given(data=st.data())
def test_variants(folder: Path, data: st.DataObject) -> None:
    def parse(path: Path) -> list[tuple[str, ...]]:
        return [tuple(map(str, row)) for row in xena.read_variants(path).to_numpy()]

    check(data, folder / "v.tsv", VARIANTS, parse, variants_of)


@given(data=st.data())
def test_probe_map(folder: Path, data: st.DataObject) -> None:
    def plain(text: str) -> dict[str, str]:
        pairs = {(row["id"], row["gene"]) for row in rows_of(text)}
        assert len(dict(pairs)) == len(pairs)
        return dict(pairs)

    check(data, folder / "m.tsv", PROBES, lambda path: xena.read_probe_map(path).to_dict(), plain)


@given(data=st.data())
def test_expression(folder: Path, data: st.DataObject) -> None:
    def plain(text: str) -> dict[str, dict[str, float | None]]:
        rows = rows_of(text)
        first = next(iter(rows[0]))
        found = {row[first]: {k: number(v) for k, v in row.items() if k != first} for row in rows}
        assert len(found) == len(rows)
        return found

    def parse(path: Path) -> dict[str, dict[str, float | None]]:
        table = xena.read_expression(path).T.astype(object)
        return table.where(table.notna(), None).to_dict("index")

    check(data, folder / "e.tsv.gz", EXPRESSION, parse, plain)
