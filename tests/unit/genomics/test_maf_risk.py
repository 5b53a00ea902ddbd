from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amlprognosis.errors import InputError
from amlprognosis.genomics.maf import NON_SILENT, SILENT, mutation_matrix, read_maf
from amlprognosis.genomics.risk import map_risk
from amlprognosis.study import RiskColumn

HEAD = "#version\nHugo_Symbol\tVariant_Classification\tTumor_Sample_Barcode\tHGVSp_Short\n"
ROWS = [
    "NPM1\tFrame_Shift_Ins\tX-1-03A-01D\tp.W288fs",
    "TP53\tSilent\tX-2-03A-01D\tp.A1A",
    "MLL\tMissense_Mutation\tX-2-03A-01D\tp.A2V",
    "MLL\tNonsense_Mutation\tX-2-03A-01D\tp.A3*",
    "FLT3\tMissense_Mutation\tY-9\tp.D835Y",
]


def write(folder, text):
    path = folder / "a.maf"
    path.write_text(text)
    return path


def test_matrix_and_who_was_tested(tmp_path):
    variants = read_maf(write(tmp_path, HEAD + "\n".join(ROWS) + "\n"))
    assert variants["change"][0] == "p.W288fs"
    of = {"X-1": "X-1", "X-2": "X-2", "X-3": "X-3"}
    matrix, tested, report = mutation_matrix(variants, of)
    assert tested == {"X-1", "X-2"}
    assert matrix.to_dict("index") == {"X-1": {"KMT2A": 0.0, "NPM1": 1.0}, "X-2": {"KMT2A": 1.0, "NPM1": 0.0}}
    assert "Y-9" in report[0]["reason"]
    matrix, tested, _ = mutation_matrix(variants, of, tested=frozenset({"X-3"}))
    assert matrix.loc["X-3"].tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Hugo_Symbol\tTumor_Sample_Barcode\nA\tB\n", "no column Variant_Classification"),
        (HEAD + "NPM1\tSilent\n", "line 3 has 2 fields"),
        (HEAD + "NPM1\tSilent\tX\tp\nNPM1\tmissense\tX\tp\n", "line 4: 'missense' is no variant class"),
        (HEAD + "\nNPM1\tSilent\t\tp\n", "line 4 has no"),
        (HEAD + "NPM1\tSilent\tX\tp\n#a\tSilent\n", "line 4 has 2 fields"),
        (HEAD.replace("HGVSp_Short", "Hugo_Symbol"), "line 2: columns named more than once: Hugo_Symbol"),
        ("#only\n", "no header"),
    ],
)
def test_faults_are_named(tmp_path, text, words):
    with pytest.raises(InputError, match=words):
        read_maf(write(tmp_path, text))


def test_a_file_without_variants_says_who_was_tested(tmp_path):
    variants = read_maf(write(tmp_path, HEAD))
    assert list(variants.columns) == ["gene", "variant_class", "sample", "change"]
    matrix, tested, _ = mutation_matrix(variants, {"X-1": "X-1"}, tested=frozenset({"X-1"}))
    assert tested == {"X-1"}
    assert matrix.shape == (1, 0)


@settings(max_examples=60, deadline=None)
@given(classes=st.lists(st.sampled_from(sorted(NON_SILENT | SILENT)), min_size=1, max_size=6), quote=st.booleans())
def test_only_non_silent_classes_count(tmp_path_factory, classes, quote):
    change = '"p.A1' if quote else "p.A1"
    rows = [f"G{i}\t{name}\tP\t{change}" for i, name in enumerate(classes)]
    variants = read_maf(write(tmp_path_factory.mktemp("maf"), HEAD + "\n".join(rows)))
    matrix, tested, _ = mutation_matrix(variants, {"P": "P"})
    assert tested == {"P"}
    assert set(matrix.columns) == {f"G{i}" for i, name in enumerate(classes) if name in NON_SILENT}


def test_risk_labels():
    column = RiskColumn(column="r", favourable=["Good"], intermediate=["Mid"], adverse=["Poor"])
    values = pd.Series(["Good", "Poor ", "N.D."], index=list("abc"))
    mapped = map_risk(values, column, values == "N.D.", "x")
    assert mapped.astype(object).fillna("").tolist() == ["favourable", "adverse", ""]
    with pytest.raises(InputError, match=r"labels without a group: N\.D"):
        map_risk(values, column, values == "", "x")
