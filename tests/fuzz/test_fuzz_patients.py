"""Tables of new patients in bad condition: every value stands so in the file, or the file is refused."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mangle import WITH_QUOTES, decoded, harmless, outcome, spoiled
from plain_fields import below_comments, fields

from amlprognosis.normalize.genes import rename_genes
from amlprognosis.retrieve.patients import read_patient_clinical, read_patient_expression, read_patient_mutations

GENES = ["CD34", "FLT3", "KIT", "NPM1", "TP53"]
EXPRESSION = "gene\tP1\tP2\n" + "".join(f"{gene}\t{i}.5\t{i + 2}\n" for i, gene in enumerate(GENES))
CLINICAL = (
    "patient\tage\tsex\trisk\tBlasts\nP1\t61.5\tfemale\tadverse\t30\nP2\t40\tMale\tNA\t\nP3\tNA\t\tintermediate\t5\n"
)
MUTATIONS = "patient\tFLT3\tNPM1\tOTHER\nP1\t1\t0\t3\nP2\tNA\t1\t4\n"
MAF = (
    "#c\nHugo_Symbol\tVariant_Classification\tTumor_Sample_Barcode\n"
    "FLT3\tMissense_Mutation\tP1\nNPM1\tSilent\tP1\nNPM1\tFrame_Shift_Ins\tP2\n"
)
NOTHING = {"", "na", "n/a", "nan", "<na>", "none", "null"}


def number(cell: str) -> float:
    return math.nan if cell.lower() in NOTHING | {"#n/a"} else float(cell)


def table_of(content: bytes) -> dict[str, dict[str, str]]:
    """Cells by column, then by the name in the first column."""
    header, *rows = fields(below_comments(decoded(content)), "\t")
    assert all(len(row) == len(header) for row in rows)
    assert len({row[0] for row in rows}) == len(rows)
    return {name: {row[0]: row[i] for row in rows} for i, name in enumerate(header) if i and name}


@pytest.mark.parametrize("turned", [False, True])
@given(data=st.data())
def test_expression(tmp_path_factory: pytest.TempPathFactory, turned: bool, data: st.DataObject) -> None:
    text = EXPRESSION
    if turned:
        rows = [line.split("\t") for line in text.strip().split("\n")]
        text = "\n".join("\t".join(row) for row in zip(*rows, strict=True)) + "\n"
    file = data.draw(spoiled(text, kinds=WITH_QUOTES))
    path = tmp_path_factory.getbasetemp() / "p.tsv"
    found = outcome(lambda place: read_patient_expression(place, GENES), path, file.content)
    if found is None:
        assert not harmless(file)
        return
    matrix, notes = found
    header, *body = fields(below_comments(decoded(file.content)), "\t")
    if len(body[0]) == len(header) + 1:
        header = ["", *header]
    while not header[-1]:
        header, body = header[:-1], [row[:-1] for row in body]
    written = pd.DataFrame([row[1:] for row in body], index=[row[0] for row in body], columns=header[1:])
    known = [len(set(rename_genes(list(names))[0]) & set(GENES)) for names in (written.index, written.columns)]
    written = written if known[1] > known[0] else written.T
    assert list(matrix.index) == list(written.index)
    names, report = rename_genes(list(written.columns))
    new = dict(zip(written.columns, names, strict=True))
    assert set(matrix.columns) == set(new.values())
    assert bool(notes) == bool(report or len(set(names)) < len(names))
    for old, gene in new.items():
        if list(new.values()).count(gene) == 1:
            np.testing.assert_array_equal(matrix[gene], [number(cell.replace(",", ".")) for cell in written[old]])
    if harmless(file):
        assert matrix.loc["P1"].to_dict() == {gene: i + 0.5 for i, gene in enumerate(GENES)}


@given(data=st.data())
def test_clinical(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    file = data.draw(spoiled(CLINICAL, kinds=WITH_QUOTES))
    path = tmp_path_factory.getbasetemp() / "c.tsv"
    found = outcome(lambda place: read_patient_clinical(place, {"age", "sex", "risk", "wbc"}), path, file.content)
    if found is None:
        assert not harmless(file)
        return
    obs, notes = found
    written = table_of(file.content)
    assert set(obs.columns) == set(written) & {"age", "sex", "risk", "wbc"}
    for name, column in obs.items():
        assert list(column.index) == list(written[name])
        for value, cell in zip(column, written[name].values(), strict=True):
            expected = number(cell) if name == "age" else (math.nan if cell.lower() in NOTHING else cell.lower())
            assert value == expected or (value != value and expected != expected)
    left = [name for name in written if name not in obs]
    assert all(" ".join(name.split()) in "".join(notes) for name in left)
    if harmless(file):
        assert obs["age"].tolist()[:2] == [61.5, 40]
        assert obs["sex"].tolist()[:2] == ["female", "male"]
        assert obs["risk"].tolist()[::2] == ["adverse", "intermediate"]


@pytest.mark.parametrize("text", [MUTATIONS, MAF], ids=["table", "MAF"])
@given(data=st.data())
def test_mutations(tmp_path_factory: pytest.TempPathFactory, text: str, data: st.DataObject) -> None:
    file = data.draw(spoiled(text, kinds=WITH_QUOTES))
    path = tmp_path_factory.getbasetemp() / "m.tsv"
    genes = ["FLT3", "NPM1", "TP53"]
    found = outcome(lambda place: read_patient_mutations(place, genes, None), path, file.content)
    if found is None:
        assert not harmless(file)
        return
    assert list(found.columns) == [f"mutation:{gene}" for gene in genes]
    assert (found.isna() | (found == 0) | (found == 1)).all(axis=None)
    content = below_comments(decoded(file.content))
    if "Hugo_Symbol" in content.split("\n")[0].split("\t"):
        rows = [line.split("\t") for line in content.split("\n")[1:] if line]
        assert set(found.index) == {row[2].strip() for row in rows}
        for gene in genes:
            hit = {row[2].strip() for row in rows if row[0].strip() == gene and row[1].strip() != "Silent"}
            assert hit <= set(found.index[found[f"mutation:{gene}"] == 1])
    else:
        written = table_of(file.content)
        for gene in set(genes) & set(written):
            assert list(found.index) == list(written[gene])
            np.testing.assert_array_equal(found[f"mutation:{gene}"], [number(cell) for cell in written[gene].values()])
    if harmless(file):
        table = text == MUTATIONS
        np.testing.assert_array_equal(
            found, [[1, 0, math.nan if table else 0], [math.nan if table else 0, 1, math.nan if table else 0]]
        )
