from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from geo_files import DATASET, FAMILY, MIRROR, realdata, sample, write

from amlprognosis.errors import InputError
from amlprognosis.retrieve.soft import parse_dataset, parse_family


def test_a_family_gives_the_samples_of_a_platform(tmp_path):
    matrix = parse_family(write(tmp_path, FAMILY, "GSE1_family.soft.gz"), "GPL96")
    assert matrix.samples["age"].tolist() == ["61", "40"]
    assert matrix.samples["os"].tolist() == ["5:2", "3"]
    assert matrix.samples["title"].tolist() == ["title of GSM1", "title of GSM2"]
    np.testing.assert_array_equal(matrix.expression.to_numpy(), [[1.5, -1], [2, np.nan]])
    assert (list(matrix.expression.columns), matrix.platform, matrix.notes) == (["1_at", "2_at"], "GPL96", [])
    assert matrix.series["title"] == ["t"]


def test_samples_with_other_probes_and_other_orders_are_joined(tmp_path):
    other = sample("GSM2", "GPL96", {"3_at": "9", "1_at": "8"})
    text = "\n".join(["^SERIES = GSE1", sample("GSM1", "GPL96", {"1_at": "1.5", "2_at": "-1"}), other])
    matrix = parse_family(write(tmp_path, text))
    truth = [[1.5, -1, np.nan], [8, np.nan, 9]]
    pd.testing.assert_frame_equal(
        matrix.expression,
        pd.DataFrame(truth, index=pd.Index(["GSM1", "GSM2"], name="sample"), columns=["1_at", "2_at", "3_at"]),
    )
    assert matrix.notes == ["2 of 3 probes are not in every sample: missing values"]


def test_a_sample_without_table_has_no_expression_and_wrong_row_counts_are_noted(tmp_path):
    bare = "^SAMPLE = GSM2\n!Sample_platform_id = GPL96\n!Sample_title = none"
    counted = sample("GSM1", "GPL96", {"1_at": "1.5"}).replace(
        "!Sample_title", "!Sample_data_row_count = 2\n!Sample_title"
    )
    matrix = parse_family(write(tmp_path, "\n".join(["^SERIES = GSE1", counted, bare])))
    assert (list(matrix.samples.index), list(matrix.expression.index)) == (["GSM1", "GSM2"], ["GSM1"])
    assert matrix.notes == ["1 samples have no data table", "GSM1 has 1 rows, !Sample_data_row_count says 2"]


def swapped(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new, 1)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t[:-30], "cut off|missing"),
        (lambda t: t[: t.index("^SAMPLE = GSM2")], "cut off: samples that the series lists are missing: GSM2"),
        (lambda t: swapped(t, "1_at\t1.5\t0.01", "1_at\tx\t0.01"), r"line 31: 1_at, column VALUE: 'x' is not a number"),
        (lambda t: swapped(t, "2_at\t-1\t0.01", "1_at\t-1\t0.01"), "probes of GSM1 named more than once: 1_at"),
        (lambda t: swapped(t, "2_at\t-1\t0.01", "2_at\t-1"), "line 32: .*2 fields, its header 3"),
        (lambda t: swapped(t, "ID_REF\tVALUE", "ID\tVALUE"), "line 30: .*must start with ID_REF"),
        (lambda t: swapped(t, "!Sample_platform_id = GPL96\n", ""), "sample GSM1 has no !Sample_platform_id"),
        (lambda t: swapped(t, "accession = GSM1", "accession = GSM7"), "sample GSM1 says .*GSM7"),
        (lambda t: swapped(t, "^SAMPLE = GSM2", "^SAMPLE = GSM1"), "a second sample GSM1|says"),
        (lambda t: swapped(t, "!Sample_title", "!Simple_title"), "line 22: .*is no line of SAMPLE GSM1"),
        (
            lambda t: swapped(t, "!sample_table_end\n^SAMPLE = GSM3", "^SAMPLE = GSM3"),
            "stands within the table of GSM1",
        ),
        (lambda t: swapped(t, "!sample_table_end", "!sample_table_end\nrest"), "stands after the table of GSM1"),
        (lambda t: t.replace("VALUE\tD", "SIGNAL\tD"), "no sample has a data table.*type: geo_supplement"),
        (lambda t: t.replace("^DATABASE", "DATABASE"), "a SOFT file must start with"),
        (lambda t: t.replace("^SERIES", "^SARIES"), "is no entity of a SOFT file"),
    ],
)
def test_faults_of_a_family(tmp_path, change, words):
    with pytest.raises(InputError, match=rf"f\.soft.*({words})"):
        parse_family(write(tmp_path, change(FAMILY), "f.soft"), "GPL96")


def test_platforms_of_a_family_are_told(tmp_path):
    path = write(tmp_path, FAMILY, "f.soft")
    with pytest.raises(InputError, match="no sample of GPL570; it has GPL96, GPL97"):
        parse_family(path, "GPL570")
    with pytest.raises(InputError, match="samples of several platforms: GPL96, GPL97"):
        parse_family(path)


def test_a_data_set_has_subsets_as_columns(tmp_path):
    data = parse_dataset(write(tmp_path, DATASET, "GDS1.soft.gz"))
    assert data.matrix.samples["disease state"].tolist() == ["RCC", "RCC", "normal"]
    assert data.matrix.samples["title"].tolist() == ["first", "second", "third"]
    np.testing.assert_array_equal(data.matrix.expression, [[4254, 17996.2], [5298.2, np.nan], [1, -2.5]])
    assert data.symbols.to_dict() == {"1_at": "PRPF8", "2_at": "CAPNS1"}
    assert data.matrix.platform == "GPL97"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("GSM1,GSM2\n", "GSM1,GSM9\n", "line 6: subset GDS1_1 names samples that the table lacks: GSM9"),
        ("!subset_type = disease state\n", "", "subset GDS1_1 has no type"),
        ("!subset_dataset_id = GDS1", "!subset_dataset_id = GDS2", "subset GDS1_1 is of GDS2, not GDS1"),
        ("!dataset_table_end\n", "", "no line !dataset_table_end"),
        ("!dataset_table_begin\n", "", "is no line of DATASET"),
        ("IDENTIFIER\tGSM1", "GSM1\tIDENTIFIER", "needs the columns ID_REF, IDENTIFIER"),
        ("\tGSM1\tGSM2", "\tGSM1\tGSM1", "columns named more than once: GSM1"),
        ("5298.200", "--", "line 24: 1_at, column GSM2: '--' is not a number"),
    ],
)
def test_faults_of_a_data_set(tmp_path, old, new, words):
    with pytest.raises(InputError, match=rf"d\.soft.*{words}"):
        parse_dataset(write(tmp_path, swapped(DATASET, old, new), "d.soft"))


class TestGenuine:
    """Numbers read in the files by zcat and awk."""

    pytestmark = realdata
    family = MIRROR / "series/GSEnnn/GSE781/soft/GSE781_family.soft.gz"

    def test_the_family_of_gse781(self):
        for platform, probes, first in (("GPL96", 22283, "GSM11805"), ("GPL97", 22645, "GSM11810")):
            matrix = parse_family(self.family, platform)
            assert matrix.expression.shape == (17, probes)
            assert matrix.expression.index[0] == first
            assert not matrix.expression.isna().any(axis=None)
            assert matrix.notes == []
            if platform == "GPL97":
                assert matrix.expression.loc["GSM11810", "200001_at"] == 6077
                assert matrix.expression.loc["GSM12448", "244891_x_at"] == 37.4
                assert matrix.samples.loc["GSM12448", "title"] == "N4 Renal Clear Cell Carcinoma U133B"
        assert matrix.series["pubmed_id"] == ["14641932"]

    def test_the_data_set_gds507_holds_the_values_of_the_family(self):
        data = parse_dataset(MIRROR / "datasets/GDSnnn/GDS507/soft/GDS507.soft.gz")
        family = parse_family(self.family, "GPL97").expression
        assert data.matrix.expression.shape == (17, 22645)
        ours = family.loc[data.matrix.expression.index, data.matrix.expression.columns]
        assert (abs(data.matrix.expression - ours) <= 0.06).all(axis=None)
        states = data.matrix.samples["disease state"].value_counts().to_dict()
        assert states == {"RCC": 9, "normal": 8}
        assert data.matrix.samples.loc["GSM12448", "individual"] == "4"
        assert data.symbols["200000_s_at"] == "PRPF8"
