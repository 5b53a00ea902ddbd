import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amlprognosis.errors import InputError
from amlprognosis.signatures.gene_sets import GeneSet, read_gmt, union_genes
from amlprognosis.signatures.scores import read_signature


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_reads_plain_and_gzip(tmp_path):
    text = "A\tfirst\tG1\tG2\tG1\n\nB\tsecond\tG0\t\n"
    plain = write(tmp_path / "sets.gmt", text)
    packed = tmp_path / "sets.gmt.gz"
    packed.write_bytes(gzip.compress(text.encode()))
    sets = read_gmt(plain)
    assert sets == read_gmt(packed)
    assert sets["A"] == GeneSet("A", "first", ("G1", "G2"))
    assert union_genes(sets) == ["G0", "G1", "G2"]
    assert union_genes([sets["A"]]) == ["G1", "G2"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no gene sets"),
        ("just words\n", "not a GMT line"),
        ("<!DOCTYPE html>\n<html></html>", "HTML"),
        ("A\tx\tG1\nA\ty\tG2\n", "line 2: set 'A' already stands in line 1"),
        ("A\tx\t\n", "has no genes"),
        ("\tx\tG1\n", "has no name"),
    ],
)
def test_bad_gmt(tmp_path, text, words):
    with pytest.raises(InputError, match=words):
        read_gmt(write(tmp_path / "bad.gmt", text))


def test_truncated_gzip_and_missing_file(tmp_path):
    path = tmp_path / "sets.gmt.gz"
    path.write_bytes(gzip.compress(b"A\tx\tG1\tG2\n" * 50)[:-12])
    with pytest.raises(InputError, match="truncated"):
        read_gmt(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_gmt(tmp_path / "none.gmt")
    path.write_bytes(b"\xff\xfe\x00A")
    with pytest.raises(InputError, match="UTF-8"):
        read_gmt(path)


symbol = st.text("ABCDEFGHIJ0123456789-.", min_size=1, max_size=8)


@given(st.dictionaries(symbol, st.lists(symbol, min_size=1, max_size=6, unique=True), min_size=1, max_size=5))
def test_round_trip(tmp_path_factory, sets):
    path = tmp_path_factory.mktemp("gmt") / "x.gmt"
    write(path, "".join("\t".join([name, "d", *genes]) + "\n" for name, genes in sets.items()))
    assert {name: list(s.genes) for name, s in read_gmt(path).items()} == sets


def test_read_signature(tmp_path):
    path = write(tmp_path / "s.tsv", "# source\ngene\tsource\tweight\nA\tx\t0.5\nB\tx\t-2\nC\tx\t1\n")
    assert read_signature(path) == {"A": 0.5, "B": -2.0, "C": 1.0}


def test_retired_gene_names_of_a_signature_become_the_approved_ones(tmp_path):
    path = write(tmp_path / "s.tsv", "gene\tweight\nGPR56\t0.5\nKIAA0125\t1\n2-Sep\t2\nTP53\t3\n")
    assert read_signature(path) == {"ADGRG1": 0.5, "FAM30A": 1.0, "SEPTIN2": 2.0, "TP53": 3.0}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("gene\tbeta\nA\t1\n", "no column 'weight'"),
        ("gene\tweight\nA\tx\n", "line 2: weight of 'A' is 'x'"),
        ("gene\tweight\nA\tinf\n", "not a number"),
        ("gene\tweight\nA\t1\nA\t2\n", "line 3: gene 'A' is repeated; leave one"),
        ("# x\ngene\tweight\nADGRG1\t1\nGPR56\t2\n", "line 4: gene 'GPR56' is repeated; 'ADGRG1' is the same gene"),
        ("gene\tweight\n\t1\n", "line 2: no gene"),
        ("gene\tweight\nA\t0\nB\t0.0\n", "every weight is 0"),
        ("gene\tweight\nA\n", "1 fields"),
        ("gene\tweight\n", "no genes"),
    ],
)
def test_bad_signature(tmp_path, text, words):
    with pytest.raises(InputError, match=words):
        read_signature(write(tmp_path / "s.tsv", text))
