from __future__ import annotations

import pytest
from geo_files import FAMILY, MIRROR, PLATFORM, realdata, write

from amlprognosis.errors import InputError
from amlprognosis.retrieve.geo import parse_platform


def plain(header: str, *rows: str) -> str:
    return "\n".join(["!platform_table_begin", header, *rows, "!platform_table_end", ""])


def test_platform_symbols(tmp_path):
    table = parse_platform(write(tmp_path, PLATFORM, "GPL96.annot.gz"))
    assert table.to_dict() == {"1_at": "TP53", "2_at": "DDR1 /// MIR4640", "3_at": ""}
    assert (table.name, table.index.name) == ("symbol", "id")


def test_a_family_gives_the_platform_asked_for(tmp_path):
    path = write(tmp_path, FAMILY)
    assert parse_platform(path, "GPL96").to_dict() == {"1_at": "TP53", "2_at": "FLT3"}
    assert parse_platform(path).to_dict() == {"9_at": "GATA2"}
    with pytest.raises(InputError, match="no platform GPL570 in it; it has GPL96, GPL97"):
        parse_platform(path, "GPL570")


def test_reading_stops_after_the_table(tmp_path):
    text = FAMILY[: FAMILY.index("^PLATFORM = GPL96")] + "this would be refused"
    assert parse_platform(write(tmp_path, text), "GPL97").to_dict() == {"9_at": "GATA2"}


@pytest.mark.parametrize(
    ("header", "row", "symbol"),
    [
        ("ID\tGene Symbol", "x\tA /// B", "A /// B"),
        ("ID\tSPOT_ID\tGENE_SYMBOL", "x\ts\tA", "A"),  # Agilent
        ("ID\tILMN_Gene\tSymbol", "x\tI\tA", "A"),  # Illumina: GPL10558, GPL6947
        ("ID\tILMN_Gene\tSymbol", "x\tI\t", "I"),
        ("ID\tgene_assignment", "x\tNM_1 // A // a b // 1p1 // 11 /// ENST1 // A // c /// NM_2 // B // d", "A /// B"),
        ("ID\tseqname\tgene_assignment", "x\tchr1\t---", None),
        ("ID\tGene Symbol", "x\t---", None),
        ("probe\twhatever", "x\tA", "A"),
        ('"ID"\t"Symbol"', '"x"\t"A"', "A"),
    ],
)  # fmt: skip
def test_symbol_columns_of_real_platforms(tmp_path, header, row, symbol):
    path = write(tmp_path, plain(header, row))
    if symbol is None:
        with pytest.raises(InputError, match="is empty; this platform table names no genes"):
            parse_platform(path)
    else:
        assert parse_platform(path).to_dict() == {"x": symbol}


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("!platform_table_end\n", "", "cut off"),
        ("!platform_table_end\n", "!other\n", "line 9: '!other' stands within"),
        ("Gene symbol", "Other", "no column of gene symbols; the columns are ID, Gene title, Other, Gene ID"),
        ("2_at\tb", "1_at\tb", "probes named more than once: 1_at .1_at: lines 6, 7"),
        ("2_at\tb", "2_at b", "line 7: .*3 fields, its header 4"),
        ("2_at", "", "line 7: '' is no probe id"),
        (PLATFORM, "^Annotation\n", "no platform table in it"),
        ("1_at\ta\tTP53\t1\n2_at\tb\tDDR1///MIR4640\t2\n3_at\tc\t\t\n", "", "the platform table has no rows"),
        ("!platform_table_begin\n", "", "line 4: .*outside of the platform table"),
    ],
)
def test_faults_of_a_platform(tmp_path, old, new, words):
    assert old in PLATFORM
    with pytest.raises(InputError, match=rf"p\.annot.*{words}"):
        parse_platform(write(tmp_path, PLATFORM.replace(old, new, 1), "p.annot"))


def test_a_plain_table_needs_no_markers(tmp_path):
    text = "#ID = probe\nID\tSymbol\n1_at\tTP53\n"
    assert parse_platform(write(tmp_path, text)).to_dict() == {"1_at": "TP53"}


class TestGenuine:
    """Numbers read in the files by zcat and awk."""

    pytestmark = realdata

    def test_the_annotation_of_gpl97(self):
        table = parse_platform(MIRROR / "platforms/GPLnnn/GPL97/annot/GPL97.annot.gz")
        assert (len(table), int((table != "").sum())) == (22645, 13179)
        assert table["200000_s_at"] == "PRPF8"

    def test_the_platforms_of_a_family(self):
        path = MIRROR / "series/GSEnnn/GSE781/soft/GSE781_family.soft.gz"
        for platform, probes, named in ((None, 22283, 20995), ("GPL96", 22283, 20995), ("GPL97", 22645, 14586)):
            table = parse_platform(path, platform)
            assert (len(table), int((table != "").sum())) == (probes, named)
        assert parse_platform(path)["1053_at"] == "RFC2"
