from __future__ import annotations

import gzip
import os
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amlprognosis.errors import InputError
from amlprognosis.retrieve.geo import accession_folder, parse_platform, parse_series_matrix, retrieve_geo

SHARED = Path(os.environ.get("AMLPROGNOSIS_SHARED", Path(__file__).resolve().parents[3].parent / "shared"))
realdata = [pytest.mark.realdata, pytest.mark.skipif(not SHARED.is_dir(), reason=f"{SHARED} does not exist")]

SMALL = """!Series_title\t"t"
!Series_supplementary_file\t"ftp://x/suppl/counts.csv.gz"

!Sample_title\t"one"\t"two"\t"three"
!Sample_geo_accession\t"GSM1"\t"GSM2"\t"GSM3"
!Sample_characteristics_ch1\t"age: 61"\t"os: 3"\t""
!Sample_characteristics_ch1\t"os: 5:2"\t"age: 40"\t"age: 33"
!Sample_platform_id\t"GPL96"\t"GPL96"\t"GPL96"
!series_matrix_table_begin
"ID_REF"\t"GSM1"\t"GSM2"\t"GSM3"
"1_at"\t1.5\t2\t
"2_at"\t-1\t4e1\t7
!series_matrix_table_end
"""
PLATFORM = """^Annotation
#ID = ID
!platform_table_begin
ID\tGene title\tGene symbol\tGene ID
1_at\ta\tTP53\t1
2_at\tb\tDDR1///MIR4640\t2
3_at\tc\t\t
!platform_table_end
"""


def write(folder: Path, text: str, name: str = "m.txt") -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


def test_folders_follow_geo():
    names = ["GSE37642", "GSE425", "GPL96", "GPL10558", "GSM3587923"]
    assert [accession_folder(n) for n in names] == ["GSE37nnn", "GSEnnn", "GPLnnn", "GPL10nnn", "GSM3587nnn"]


@pytest.mark.parametrize("change", [str, lambda t: t.replace("\n", "\r\n"), lambda t: "\ufeff" + t])
def test_characteristics_become_columns_though_rows_mix_keys(tmp_path, change):
    matrix = parse_series_matrix(write(tmp_path, change(SMALL), "m.txt.gz"))
    assert matrix.samples["age"].tolist() == ["61", "40", "33"]
    assert matrix.samples["os"].tolist() == ["5:2", "3", ""]
    np.testing.assert_array_equal(matrix.expression.to_numpy(), [[1.5, -1], [2, 40], [np.nan, 7]])
    assert matrix.platform == "GPL96"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"1_at"\t1.5\t2\t\n"2_at"\t-1\t4e1\t7\n', "", "no data table.*counts.csv.gz"),
        ("!series_matrix_table_end\n", "", "cut off"),
        ("!series_matrix_table_begin\n", "", "cut off, or not a series matrix"),
        ('"2_at"\t-1\t4e1\t7', '"2_at"\t-1\t4e1', "row 2 of the data table has 3 fields"),
        ('"2_at"', '"1_at"', "probes named more than once: 1_at"),
        ("4e1", "four", "'four' is not a number"),
        ('"ID_REF"\t"GSM1"', '"ID_REF"\t"GSM9"', "different samples: GSM1, GSM9"),
        ('!Sample_title\t"one"', "!Sample_title", "has 2 values for 3 samples"),
        ('"GSM1"\t"GSM2"', '"GSM1"\t"GSM1"', "more than once"),
        ("4e1", "inf", "infinite"),
    ],
)
def test_faults_are_named(tmp_path, old, new, words):
    with pytest.raises(InputError, match=words):
        parse_series_matrix(write(tmp_path, SMALL.replace(old, new, 1)))


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(0, len(SMALL) - 2), seed=st.integers(0, 3))
def test_a_cut_file_never_gives_another_cohort(tmp_path_factory, cut, seed):
    folder = tmp_path_factory.mktemp("cut")
    whole = parse_series_matrix(write(folder, SMALL))
    text = SMALL[:cut]
    lines = SMALL.split("\n")
    if seed == 3:
        random.Random(cut).shuffle(lines)
        text = "\n".join(lines)
    try:
        matrix = parse_series_matrix(write(folder, text))
    except InputError:
        return
    expression = matrix.expression[whole.expression.columns] if seed == 3 else matrix.expression
    for name in expression.index:
        np.testing.assert_array_equal(expression.loc[name], whole.expression.loc[name])


def test_platform_symbols(tmp_path):
    table = parse_platform(write(tmp_path, PLATFORM))
    assert table.to_dict() == {"1_at": "TP53", "2_at": "DDR1 /// MIR4640", "3_at": ""}
    with pytest.raises(InputError, match="cut off"):
        parse_platform(write(tmp_path, PLATFORM.replace("!platform_table_end", "")))
    with pytest.raises(InputError, match="no column of gene symbols"):
        parse_platform(write(tmp_path, PLATFORM.replace("Gene symbol", "Other")))


def test_retrieval_names_the_other_matrix(tmp_path):
    folder = tmp_path / "series/GSE1nnn/GSE1234/matrix"
    folder.mkdir(parents=True)
    write(folder, SMALL, "GSE1234-GPL96_series_matrix.txt.gz")
    with pytest.raises(InputError, match="set several_platforms: true"):
        retrieve_geo(str(tmp_path), "GSE1234", "GPL96", tmp_path / "out")
    with pytest.raises(InputError, match=r"GPL96.annot.gz: no such file"):
        retrieve_geo(str(tmp_path), "GSE1234", "GPL96", tmp_path / "out", several_platforms=True)


class TestGenuine:
    pytestmark = realdata

    def test_the_series_without_data_table(self):
        path = SHARED / "mirror/geo/series/GSE99nnn/GSE99709/matrix/GSE99709_series_matrix.txt.gz"
        with pytest.raises(InputError, match=r"no data table.*suppl.*GSE99709_Stat3RNA-Seq-counts.csv.gz"):
            parse_series_matrix(path)

    def test_the_annotation_of_gpl97(self):
        table = parse_platform(SHARED / "mirror/geo/platforms/GPLnnn/GPL97/annot/GPL97.annot.gz")
        assert len(table) == 22645
        assert table["200000_s_at"] == "PRPF8"

    def test_a_family_soft_file_gives_its_first_platform(self):
        table = parse_platform(SHARED / "mirror/geo/series/GSEnnn/GSE781/soft/GSE781_family.soft.gz")
        assert table["1053_at"] == "RFC2"
