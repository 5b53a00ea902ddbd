from __future__ import annotations

import random

import numpy as np
import pytest
from geo_files import MATRIX, MIRROR, realdata, write
from hypothesis import given, settings
from hypothesis import strategies as st

from amlprognosis.errors import InputError
from amlprognosis.retrieve.geo_samples import cut_key
from amlprognosis.retrieve.geo_table import read_numbers
from amlprognosis.retrieve.geo_text import TextStream
from amlprognosis.retrieve.series_matrix import parse_series_matrix


@pytest.mark.parametrize(
    "change",
    [
        str,
        lambda t: t.replace("\n", "\r\n"),
        lambda t: t.replace("\n", "\r"),
        lambda t: "\ufeff" + t,
        lambda t: t.replace("\t-1\t4e1\t7", '\t"-1"\t"4e1"\t"7"'),
        lambda t: t.replace('"t"', '"a \r lone carriage return, as GSE781 has"'),
        lambda t: t.replace('"two"', '"a\tb"').replace('"2_at"', '\n"2_at"'),
    ],
)
def test_characteristics_become_columns_though_rows_mix_keys(tmp_path, change):
    matrix = parse_series_matrix(write(tmp_path, change(MATRIX), "m.txt.gz"))
    assert matrix.samples["age"].tolist() == ["61", "40", "33"]
    assert matrix.samples["os"].tolist() == ["5:2", "3", ""]
    assert matrix.samples["characteristics_ch1"].tolist() == ["age: 61 | os: 5:2", "os: 3 | age: 40", "age: 33"]
    np.testing.assert_array_equal(matrix.expression.to_numpy(), [[1.5, -1], [2, 40], [np.nan, 7]])
    assert list(matrix.expression.columns) == ["1_at", "2_at"]
    assert (matrix.platform, matrix.series["pubmed_id"], matrix.notes) == ("GPL96", ["123"], [])


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("age: 61", ("age", "61")),
        ("os: 5:2", ("os", "5:2")),
        ("event (1: dead, 0:alive): 1", ("event (1: dead, 0:alive)", "1")),  # GSE71014
        ("overall survival (months): 12.5", ("overall survival (months)", "12.5")),
        ("AML FAB M4; age = 62 years; OS = 4 days; status (0=alive/1=dead): 1", None),  # GSE12417
        ("no key at all", None),
        (": 5", None),
        ("see http://example.org", None),
        ("age:", ("age", "")),
    ],
)
def test_keys_of_characteristics(text, cut):
    assert cut_key(text) == cut


def test_a_sentence_stands_whole_and_makes_no_column_per_sample(tmp_path):
    sentence = "CN AML FAB M4; age = 62 years; OS = 4 days; status (0=alive/1=dead): 1"
    matrix = parse_series_matrix(write(tmp_path, MATRIX.replace("age: 61", sentence)))
    assert matrix.samples.loc["GSM1", "characteristics_ch1"] == f"{sentence} | os: 5:2"
    assert not any("FAB" in name for name in matrix.samples.columns)


def test_both_channels_and_fields_of_the_same_name_stay_apart(tmp_path):
    more = (
        '!Sample_status\t"Public"\t"Public"\t"Public"\n!Sample_characteristics_ch1\t"status: dead"\t""\t"title: x"\n'
        '!Sample_characteristics_ch2\t"age: 7"\t"age: 8"\t"pool"\n!Sample_platform_id'
    )
    samples = parse_series_matrix(write(tmp_path, MATRIX.replace("!Sample_platform_id", more))).samples
    assert samples["age"].tolist() == ["61", "40", "33"]
    assert samples["age (ch2)"].tolist() == ["7", "8", ""]
    assert samples["characteristics_ch2"].tolist() == ["age: 7", "age: 8", "pool"]
    assert samples["status"].tolist() == ["dead", "", ""]
    assert samples["Sample_status"].tolist() == ["Public"] * 3
    assert samples["title"].tolist() == ["one", "two", "three"]
    assert samples["title (ch1)"].tolist() == ["", "", "x"]


def test_repeated_keys_of_a_sample_are_joined_once(tmp_path):
    more = '!Sample_characteristics_ch1\t"age: 62"\t"age: 40"\t""\n!Sample_platform_id'
    samples = parse_series_matrix(write(tmp_path, MATRIX.replace("!Sample_platform_id", more))).samples
    assert samples["age"].tolist() == ["61 | 62", "40", "33"]


def test_a_quotation_mark_without_partner_in_a_line_that_no_study_reads(tmp_path):
    text = MATRIX.replace("!Sample_platform_id", '!Sample_scan_protocol\t"a"\t"b\t"c\n!Sample_platform_id')
    matrix = parse_series_matrix(write(tmp_path, text))
    assert "scan_protocol" not in matrix.samples
    assert matrix.notes == ["line 9 left out: !Sample_scan_protocol has a quotation mark without partner"]


def test_lines_that_no_study_reads_may_be_short_and_row_counts_may_differ_with_a_note(tmp_path):
    text = MATRIX.replace(
        "!Sample_platform_id", '!Sample_contact_fax\t"1"\n!Sample_data_row_count\t"9"\t"2"\t"2"\n!Sample_platform_id'
    )
    matrix = parse_series_matrix(write(tmp_path, text))
    assert "contact_fax" not in matrix.samples
    assert matrix.notes == [
        "line 9 left out: !Sample_contact_fax has 1 values for 3 samples",
        "the table has 2 rows, !Sample_data_row_count says 9",
    ]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"1_at"\t1.5\t2\t\n"2_at"\t-1\t4e1\t7\n', "", "no data table.*counts.csv.gz.*type: geo_supplement"),
        ("!series_matrix_table_end\n", "", "cut off"),
        ("!series_matrix_table_begin\n", "", "line 10: .*is no header line"),
        ('"2_at"\t-1\t4e1\t7', '"2_at"\t-1\t4e1', "line 13: .* 3 fields, its header 4"),
        ('"2_at"', '"1_at"', "probes named more than once: 1_at .1_at: lines 12, 13"),
        ("4e1", "four", "line 13: 2_at, column GSM2: 'four' is not a number"),
        ("4e1", "1_000", "line 13: 2_at, column GSM2: '1_000' is not a number"),
        ("4e1", "inf", "line 13: 2_at, column GSM2: 'inf' is infinite"),
        ("4e1", "1e400", "infinite|not a number"),
        ('"2_at"', '"2_at', "line 13: .* is no ID_REF"),
        ('"2_at"', "", "line 13: '' is no ID_REF"),
        ('"ID_REF"\t"GSM1"', '"ID_REF"\t"GSM9"', "line 11: .*different samples: GSM1, GSM9"),
        ('!Sample_title\t"one"', "!Sample_title", "line 5: .*has 2 values for 3 samples"),
        ('"GSM1"\t"GSM2"', '"GSM1"\t"GSM1"', "line 6: samples named more than once"),
        ('"age: 61"', '""age: 61"', "line 7: sample GSM1: .*quotation mark"),
        ('"age: 61"', '"age: 61', "line 7: .*has 2 values for 3 samples"),
        ('"age: 61"', 'age: 61"', "line 7: .*quotation mark without partner"),
        ("!Sample_platform_id", "!Platform_id", "line 9: .*is no header line"),
        ('"2_at"\t-1', '!Sample_title\t"x"\n"2_at"\t-1', "line 13: .*stands within the data table"),
        ("table_end\n", 'table_end\n"3_at"\t1\t2\t3\n', "line 15: .*stands after the data table"),
        ("\t1.5\t2\t\n", "\t\t\t\n", ""),
        ("!Sample", "!Nample", "no !Sample_ lines"),
    ],
)  # fmt: skip
def test_faults_are_named_with_their_line(tmp_path, old, new, words):
    path = write(tmp_path, MATRIX.replace(old, new, MATRIX.count(old) if old == "!Sample" else 1))
    if not words:
        assert parse_series_matrix(path).expression["1_at"].isna().all()
        return
    with pytest.raises(InputError, match=words) as fault:
        parse_series_matrix(path)
    assert path.name in str(fault.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (MATRIX.encode("utf-16"), "UTF-16"),
        (MATRIX.replace("two", "t\x00wo").encode(), "binary"),
        (b"<!DOCTYPE html><html>404</html>", "web page"),
        (b"\x1f\x8b\x08\x00damaged", "gzip file is cut off or damaged"),
    ],
)
def test_what_is_no_text_is_refused(tmp_path, content, words):
    (tmp_path / "m.txt").write_bytes(content)
    with pytest.raises(InputError, match=rf"m\.txt.*{words}"):
        parse_series_matrix(tmp_path / "m.txt")
    with pytest.raises(InputError, match="no such file"):
        parse_series_matrix(tmp_path / "other.txt")


def test_old_files_in_latin_1(tmp_path):
    (tmp_path / "m.txt").write_bytes(MATRIX.replace("two", "zwö").encode("latin-1"))
    assert parse_series_matrix(tmp_path / "m.txt").samples.loc["GSM2", "title"] == "zwö"


@settings(max_examples=60)
@given(cut=st.integers(0, len(MATRIX) - 2), seed=st.integers(0, 3))
def test_a_cut_file_never_gives_another_cohort(tmp_path_factory, cut, seed):
    folder = tmp_path_factory.mktemp("cut")
    whole = parse_series_matrix(write(folder, MATRIX))
    text = MATRIX[:cut]
    lines = MATRIX.split("\n")
    if seed == 3:
        random.Random(cut).shuffle(lines)
        text = "\n".join(lines)
    try:
        matrix = parse_series_matrix(write(folder, text))
    except InputError:
        return
    for name in matrix.expression.index:
        np.testing.assert_array_equal(
            matrix.expression.loc[name], whole.expression.loc[name][matrix.expression.columns]
        )


@given(
    values=st.lists(
        st.lists(st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False)), min_size=3, max_size=3),
        min_size=1,
        max_size=30,
    ),
    size=st.integers(1, 200),
)
def test_numbers_are_those_that_are_written_whatever_the_block(tmp_path_factory, values, size):
    path = tmp_path_factory.mktemp("numbers") / "t.txt"
    rows = ["\t".join([f'"p{i}"', *("" if x is None else repr(x) for x in row)]) for i, row in enumerate(values)]
    path.write_text("\n".join([*rows, "!end", ""]))
    stream = TextStream(path)
    blocks = stream.blocks
    stream.blocks = lambda: blocks(size)  # type: ignore[method-assign]
    table = read_numbers(stream, ["ID", "a", "b", "c"], ["ID"], ["a", "b", "c"])
    truth = np.array([[np.nan if x is None else x for x in row] for row in values], dtype=float).T
    np.testing.assert_array_equal(table.values, truth)
    assert table.ids[0] == [f"p{i}" for i in range(len(values))]
    assert table.lines.tolist() == list(range(1, len(values) + 1))
    assert stream.line() == "!end"


class TestGenuine:
    pytestmark = realdata
    path = MIRROR / "series/GSE99nnn/GSE99709/matrix/GSE99709_series_matrix.txt.gz"

    def test_the_series_without_data_table(self):
        words = r"no data table.*suppl.*GSE99709_Stat3RNA-Seq-counts.csv.gz.*type: geo_supplement"
        with pytest.raises(InputError, match=words):
            parse_series_matrix(self.path)

    def test_its_samples(self):
        matrix = parse_series_matrix(self.path, expression=False)
        assert matrix.samples.shape[0] == 12
        assert matrix.samples.loc["GSM2650760", ["title", "treated with"]].tolist() == ["CC2_12", "100ng/ul CNTF"]
        assert matrix.series["type"] == ["Expression profiling by high throughput sequencing"]
        assert (matrix.platform, matrix.notes, matrix.expression.shape) == ("GPL17021", [], (12, 0))
