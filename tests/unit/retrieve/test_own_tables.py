from __future__ import annotations

import bz2
import gzip
import lzma

import numpy as np
import pandas as pd
import pytest

from amlprognosis.errors import InputError
from amlprognosis.retrieve.read import patients_of
from amlprognosis.retrieve.tables import read_clinical, read_clinical_table, read_expression, read_gene_map, read_matrix

FRAME = pd.DataFrame([[1.5, np.nan], [2.0, -3.0], [0.0, 1e3]], index=["A", "B", "C"], columns=["s1", "s2"])


def workbook(path, rows):
    import openpyxl

    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.save(path)


@pytest.mark.parametrize("name", ["e.tsv", "e.csv", "e.txt.gz", "e.csv.gz", "e.parquet", "e.h5ad", "e.xlsx"])
def test_every_format_gives_samples_by_genes(tmp_path, name):
    path = tmp_path / name
    if name.endswith("parquet"):
        FRAME.to_parquet(path)
    elif name.endswith("xlsx"):
        FRAME.to_excel(path, index_label="gene")
    elif name.endswith("h5ad"):
        import anndata

        anndata.AnnData(
            X=FRAME.T.to_numpy(), obs=pd.DataFrame(index=FRAME.columns), var=pd.DataFrame(index=FRAME.index)
        ).write_h5ad(path)
    else:
        FRAME.to_csv(path, sep="," if "csv" in name else "\t", index_label="gene", na_rep="NA")
    for orientation in ("genes_in_rows", "samples_in_rows"):
        matrix = read_expression(path, orientation)
        turned = orientation == "samples_in_rows" and not name.endswith("h5ad")
        expected = FRAME if turned else FRAME.T
        pd.testing.assert_frame_equal(matrix, expected, check_index_type=False, check_column_type=False)


TWO = [[1.5, 2.25], [3.0, 4.5]]
READ = {
    "European": ("e.csv", "gene;s1;s2\nA;1,5;2,25\nB;3;4,5\n", TWO, "decimal commas, semicolons"),
    "German text": ("e.txt", "gene\ts1\ts2\nA\t1,5\t2,25\nB\t3\t4,5\n", TWO, "decimal commas, tabs"),
    "semicolons and points": ("e.csv", "gene;s1;s2\nA;1.5;2.25\nB;3;4.5\n", TWO, ""),
    "tabs in a .csv": ("e.csv", "gene\ts1\ts2\nA\t1.5\t2.25\nB\t3\t4.5\n", TWO, ""),
    "quoted": ("e.csv", '"gene","s1","s2"\n"A","1.5",2.25\n"B",3,4.5\n', TWO, ""),
    "a delimiter in quotes": ("e.csv", 'gene,s1,s2\n"A, B",1.5,2.25\nC,3,4.5\n', TWO, ""),
    "R": ("e.tsv", '"s1"\t"s2"\n"A"\t1.5\t2.25\n"B"\t3\t4.5\n', TWO, ""),
    "R, one sample": ("e.tsv", '"s1"\n"A"\t1.5\n"B"\t3\n', [[1.5], [3.0]], ""),
    "empty columns at the end": ("e.csv", "gene,s1,s2,,\nA,1.5,2.25,,\nB,3,4.5,,\n", TWO, "2 empty columns"),
    "empty rows": ("e.csv", "gene,s1,s2\n\nA,1.5,2.25\n,,\nB,3,4.5\n,,\n", TWO, ""),
    "byte order mark, CRLF": ("e.tsv", "\ufeffgene\ts1\ts2\r\nA\t1.5\t2.25\r\nB\t3\t4.5\r\n", TWO, ""),
    "old Mac": ("e.tsv", "gene\ts1\ts2\rA\t1.5\t2.25\rB\t3\t4.5\r", TWO, ""),
    "blanks": ("e.tsv", "gene\t s1 \ts2\nA \t 1.5\t2.25\nB\t3 \t4.5\n", TWO, ""),
    "no line end": ("e.tsv", "gene\ts1\ts2\nA\t1.5\t2.25\nB\t3\t4.5", TWO, "last line has no line end"),
    "comments": ("e.tsv", "# Program:featureCounts\ngene\ts1\ts2\nA\t1.5\t2.25\nB\t3\t4.5\n", TWO, ""),
    "missing values": ("e.csv", "gene,s1,s2\nA,N/A,#N/A\nB,<NA>,None\n", [[np.nan] * 2] * 2, ""),
}


@pytest.mark.parametrize("case", READ)
def test_what_spreadsheets_and_r_write_is_read(tmp_path, case):
    name, text, values, note = READ[case]
    (tmp_path / name).write_bytes(text.encode())
    matrix = read_matrix(tmp_path / name, "genes_in_rows")
    np.testing.assert_array_equal(matrix.values.T.to_numpy(), values)
    assert list(matrix.values.index) == ["s1", "s2"][: len(values[0])]
    assert (
        [note] == [said[: len(note)] for said in matrix.notes] if note.startswith("dec") else note in str(matrix.notes)
    )


REFUSED = {
    "a field less": ("e.tsv", "gene\ts1\ts2\nA\t1\t2\nB\t3\n", "line 3 has 2 fields, the header 3"),
    "a sample twice": ("e.tsv", "gene\ts1\ts1\nA\t1\t2\n", "samples named more than once: s1"),
    "a word": ("e.tsv", "gene\ts1\ts2\nA\t1\tx\n", "line 2: row A, column s2: 'x' is not a number"),
    "infinite": ("e.tsv", "gene\ts1\ts2\nA\t1\t-inf\n", "line 2: row A, column s2: infinite value"),
    "too large": ("e.tsv", "gene\ts1\ts2\nA\t1\t1e400\n", "infinite value"),
    "one column": ("e.tsv", "gene s1 s2\nA 1 2\n", "line 1: one column only"),
    "header alone": ("e.tsv", "gene\ts1\n", "no rows"),
    "HTML": ("e.tsv", "<!DOCTYPE html><html></html>", "web page"),
    "no name": ("e.tsv", "gene\ts1\ts2\n\t1\t2\n", "without a name"),
    "thousands": ("e.tsv", "gene\ts1\ts2\nA\t1,234\t2\nB\t3\t4\n", "thousands or decimals"),
    "quoted thousands": ("e.csv", 'gene,s1,s2\nA,"1,234",2\nB,3,4\n', "thousands or decimals"),
    "European thousands": ("e.csv", "gene;s1;s2\nA;1,234;2,345\nB;3;4,567\n", "thousands or decimals"),
    "mixed marks": (
        "e.tsv",
        "gene\ts1\ts2\nA\t1,5\t2,5\nB\t3.5\t4,5\n",
        "line 2: .*'1,5' .*a decimal comma, which other",
    ),
    "one decimal comma": ("e.tsv", "gene\ts1\ts2\nA\t1,5\t2\nB\t3\t4\nC\t5\t6\n", "'1,5' is not a number"),
    "a unit": ("e.tsv", "gene\ts1\ts2\nA\t12 mg\t2\n", "a number with a unit"),
    "an error of Excel": ("e.tsv", "gene\ts1\ts2\nA\t#REF!\t2\n", "an error of the spreadsheet"),
    "digits with underscores": ("e.tsv", "gene\ts1\ts2\nA\t1_000\t2\n", "'1_000' is not a number"),
    "NaN with a code": ("e.tsv", "gene\ts1\ts2\nA\tnan(1)\t2\n", r"'nan\(1\)' is not a number"),
    "symbols beside ids": ("e.tsv", "id\tname\ts1\n1\tTP53\t2\n2\tFLT3\t4\n", "hold no numbers: name.*gene_map"),
    "delimiter at the end": ("e.csv", "gene,s1,s2\nA,1,2,\nB,3,4,\n", "every row ends with a delimiter"),
    "a column without a name": (
        "e.csv",
        "Gene ID,s1,s2\nA,1,2,5\nB,3,4,6\n",
        "line 1: the header has 3 fields, the rows 4",
    ),
    "an unnamed column": ("e.csv", "gene,s1,\nA,1,2\nB,3,4\n", "column 3 has no name"),
    "a quotation mark": ("e.tsv", 'gene\ts1\ts2\nA\t"1\t2\nB\t3\t4\n', "line 2: a quotation mark without its partner"),
    "two of them": ("e.tsv", 'gene\ts1\ts2\nA\t"1\t2\nB\t3"\t4\n', "lines 2 to 3: a quoted field that swallows"),
    "one in a name": ("e.tsv", 'gene\ts1\ts2\nA"\t1\t2\nB\t3\t4\n', 'a quotation mark in the name of a gene: A"'),
    "two delimiters": ("e.csv", "id;x, y;z\nP;1,5;3\nQ;2,5;4\n", "whether commas or semicolons separate"),
    "cut and shuffled": ("e.csv", "KIT;8;9,75;1\nTP53;1,", "whether commas or semicolons separate"),
    "no header": ("e.tsv", "A\t2.5\t1.5\nB\t1\t2\n", "values stand where the header should"),
    "a header that looks like a comment": ("e.tsv", "#gene\ts1\nA\t1\nB\t2\n", "if it is the header, remove its #"),
    "a sample called NA": ("e.tsv", "gene\ts1\tNA\nA\t1\t2\n", "a sample without a name .'NA'."),
    "GCT": ("e.gct", "#1.2\n1\t1\nName\tDescription\ts1\nA\tx\t1\n", "a GCT file"),
    "UTF-16": ("e.tsv", "gene\ts1\nA\t1\n".encode("utf-16"), "UTF-16"),
    "bzip2": ("e.tsv.bz2", bz2.compress(b"gene\ts1\nA\t1\n"), "bzip2; unpack it"),
    "xz": ("e.tsv.xz", lzma.compress(b"gene\ts1\nA\t1\n"), "xz; unpack it"),
    "half a gzip": ("e.tsv.gz", gzip.compress(b"gene\ts1\nA\t1\n" * 9)[:-9], "cut off"),
    "a workbook by another name": ("e.csv", b"PK\x03\x04\x14", "name a workbook .xlsx"),
    "old Excel": ("e.xls", b"\xd0\xcf\x11\xe0\xa1", "save it as .xlsx"),
    "no workbook": ("e.xlsx", b"gene\ts1\n", "no Excel workbook"),
    "no parquet": ("e.parquet", b"PAR1 and no more", "not a readable parquet file"),
    "no h5ad": ("e.h5ad", b"\x89HDF\r\n", "not a readable h5ad file"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_faults_are_named(tmp_path, case):
    name, content, words = REFUSED[case]
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=words) as raised:
        read_expression(tmp_path / name, "genes_in_rows")
    assert name in str(raised.value)


def test_dates_in_the_place_of_genes(tmp_path):
    import datetime

    rows = [["gene", "s1"], [datetime.datetime(2024, 9, 2), 1], ["03.03.2024", 2], ["3/4/24", 3], ["TP53", 4]]
    workbook(tmp_path / "e.xlsx", rows)
    matrix = read_matrix(tmp_path / "e.xlsx", "genes_in_rows")
    assert list(matrix.values.columns) == ["2-Sep", "3-Mar", "3/4/24", "TP53"]
    assert "2 gene names that a spreadsheet turned to dates (2024-09-02T00:00:00 -> 2-Sep" in matrix.notes[0]
    assert "1 gene names are dates" in matrix.notes[1]


def test_large_workbooks_are_refused(tmp_path, monkeypatch):
    FRAME.to_excel(tmp_path / "e.xlsx")
    monkeypatch.setattr("amlprognosis.retrieve.tables.LARGEST_WORKBOOK", 1000)
    with pytest.raises(InputError, match=r"save it as text with tabs \(.tsv\)"):
        read_expression(tmp_path / "e.xlsx", "genes_in_rows")


def test_h5ad_with_layers_and_without_x(tmp_path):
    import anndata
    from scipy import sparse

    names = {"obs": pd.DataFrame(index=FRAME.columns), "var": pd.DataFrame(index=FRAME.index)}
    counts = sparse.csr_matrix(np.arange(6.0).reshape(2, 3))
    anndata.AnnData(X=counts, layers={"scaled": counts * 2}, **names).write_h5ad(tmp_path / "e.h5ad")
    matrix = read_matrix(tmp_path / "e.h5ad", "genes_in_rows")
    assert matrix.notes == ["X is read, not layers['scaled']"]
    np.testing.assert_array_equal(matrix.values.to_numpy(), np.arange(6.0).reshape(2, 3))
    anndata.AnnData(layers={"counts": counts}, **names).write_h5ad(tmp_path / "e.h5ad")
    with pytest.raises(InputError, match=r"X is empty; it has layers\['counts'\]: copy"):
        read_matrix(tmp_path / "e.h5ad", "genes_in_rows")
    anndata.AnnData(X=counts * np.inf, **names).write_h5ad(tmp_path / "e.h5ad")
    with pytest.raises(InputError, match="infinite value"):
        read_matrix(tmp_path / "e.h5ad", "genes_in_rows")


PARQUETS = {
    "names in a column": (FRAME.reset_index(names="gene"), ""),
    "missing integers": (FRAME.assign(s2=pd.array([pd.NA, -3, 1000], dtype="Int64")), ""),
    "no names": (FRAME.reset_index(drop=True), "neither an index nor a first column of names"),
    "texts": (FRAME.assign(s2=["a", "b", "c"]), "columns that hold no numbers: s2"),
    "infinite": (FRAME.replace(2.0, np.inf), "s1, B: infinite value"),
}


@pytest.mark.parametrize("case", PARQUETS)
def test_parquet(tmp_path, case):
    frame, words = PARQUETS[case]
    frame.to_parquet(tmp_path / "e.parquet")
    if words:
        with pytest.raises(InputError, match=words):
            read_expression(tmp_path / "e.parquet", "genes_in_rows")
        return
    np.testing.assert_array_equal(read_expression(tmp_path / "e.parquet", "genes_in_rows").T, FRAME)


def test_clinical_table(tmp_path):
    path = tmp_path / "c.csv"
    path.write_text("#comment\nid,os\nP1,3\n#P2,NA\n")
    assert read_clinical(path, "id")["os"].to_dict() == {"P1": "3", "#P2": "NA"}
    with pytest.raises(InputError, match="did you mean 'id'"):
        read_clinical(path, "ID")


CLINICAL = {
    "repeated": ("id,os\nP1,3\nP1,4\n", r"repeated in several rows: P1; keep .* \(P1: lines 2, 3\)"),
    "no id": ("id,os\n,3\nP2,4\n", r"1 rows without id \(line 2\)"),
    "a column twice": ("id,os,os\nP1,3,4\n", "line 1: columns named more than once: os"),
    "ragged": ("id,os\nP1,3\nP2,3,4\n", "line 3 has 3 fields, the header 2"),
    "row names of R": ('"id","os"\n"1","P1",3\n"2","P2",4\n', "one name fewer|header has 2 fields, the rows 3"),
    "an unnamed column": ("id,os,\nP1,3,x\n", "column 3 has no name"),
    "a quote that swallows rows": ('id,os\nP1,"3\nP2,4"\n', "lines 2 to 3: a quoted field that swallows whole rows"),
    "a quote in a name": ('id\tos\nP1"\t3\n', "line 2: a quotation mark in id"),
}


@pytest.mark.parametrize("case", CLINICAL)
def test_faults_of_clinical_tables(tmp_path, case):
    text, words = CLINICAL[case]
    (tmp_path / "c.csv").write_text(text)
    with pytest.raises(InputError, match=words):
        read_clinical(tmp_path / "c.csv", "id")


def test_european_and_quoted_clinical_tables(tmp_path):
    path = tmp_path / "c.csv"
    path.write_text('id;"OS\n(months)";codes;note;WBC;\nP1;12,5;5,7;"a;b";1,234;\nP2;1;x;"say ""no""\nor yes";2,345;\n')
    table = read_clinical_table(path, "id")
    assert table.frame.to_dict("list") == {
        "id": ["P1", "P2"],
        "OS (months)": ["12.5", "1"],
        "codes": ["5,7", "x"],
        "note": ["a;b", 'say "no" or yes'],
        "WBC": ["1,234", "2,345"],
    }
    assert table.notes == ["decimal commas in OS (months)"]


def test_clinical_workbook(tmp_path):
    workbook(tmp_path / "c.xlsx", [["id", "os"], ["P1", 3.0], ["P2", None]])
    assert read_clinical(tmp_path / "c.xlsx", "id")["os"].to_dict() == {"P1": "3", "P2": ""}
    with pytest.raises(InputError, match="no sheet has the columns patient"):
        read_clinical(tmp_path / "c.xlsx", "patient")


def test_gene_map_and_patterns(tmp_path):
    (tmp_path / "m.tsv").write_text("ID\tsymbol\n1_at\tA\n1_at\tB\n2_at\tNA\n")
    assert read_gene_map(tmp_path / "m.tsv").to_dict() == {"1_at": "A /// B", "2_at": ""}
    for text, words in (
        ("ID\n1_at\n", "one column only"),
        ("1_at\tTP53\n2_at\tFLT3\n", "a gene .1_at, TP53. stands where the header should"),
        ("ID\tsymbol\n\tTP53\n", "line 2: '' is no id"),
    ):
        (tmp_path / "m.tsv").write_text(text)
        with pytest.raises(InputError, match=words):
            read_gene_map(tmp_path / "m.tsv")
    assert patients_of(["X-1-03", "X-2-03"], r"^(X-\d)", "k").to_dict() == {"X-1-03": "X-1", "X-2-03": "X-2"}
    for pattern, words in (("(", "not a regular"), ("X", "no group"), ("(Y)", "matches no sample")):
        with pytest.raises(InputError, match=words):
            patients_of(["X-1"], pattern, "k")
