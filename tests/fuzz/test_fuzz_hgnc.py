"""A damaged download of the nomenclature: refused, or read as it stands."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mangle import WITH_QUOTES, harmless, outcome, spoiled

from amlprognosis.normalize import gene_table

HEADER = "hgnc_id\tsymbol\tname\tstatus\talias_symbol\tprev_symbol\tentrez_id\tensembl_gene_id\trefseq_accession"
GOOD = "\n".join(
    [
        HEADER,
        'HGNC:1\tA1\tfirst\tApproved\t"B1|B2"\tOLD1\t1\tENSG00000000001\tNM_000001',
        "HGNC:2\tA2\tsecond\tApproved\t\t\t2\tENSG00000000002\t",
        "HGNC:3\tA3\tthird\tEntry Withdrawn\t\t\t\t\t",
        "HGNC:4\tA4\tfourth\tApproved\tB4\tOLD4|OLD5\t4\t\tNM_000004|NM_000005",
        "",
    ]
)


@pytest.fixture(autouse=True, scope="module")
def small_nomenclature():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gene_table, "_FEWEST_GENES", 2)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hgnc")


@given(data=st.data())
def test_every_value_stands_in_the_file(folder: Path, data: st.DataObject) -> None:
    file = data.draw(spoiled(GOOD, kinds=WITH_QUOTES))
    path = folder / "hgnc_complete_set.txt"
    truth = {row["symbol"]: row for row in _parse(folder, GOOD)}
    rows = outcome(gene_table.read_hgnc, path, file.content)
    if rows is None:
        return
    symbols = [row["symbol"] for row in rows]
    assert len(set(symbols)) == len(symbols)
    if harmless(file):
        assert {row["symbol"]: row for row in rows} == truth
    approved = sum(b"\tApproved\t" in line for line in file.content.replace(b"\r", b"\n").split(b"\n"))
    assert len(rows) == approved or "utf-16" in file.damages, "a gene is lost without a word"
    text = file.content.decode("utf-8", errors="replace")
    latin = file.content.decode("latin-1")
    for row in rows:
        for value in filter(None, "|".join(row.values()).split("|")):
            assert value in text or value in latin, f"{value!r} does not stand in the file"


def _parse(folder: Path, text: str) -> list[dict[str, str]]:
    path = folder / "good.txt"
    path.write_text(text, encoding="utf-8")
    return gene_table.read_hgnc(path)
