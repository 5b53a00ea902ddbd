"""Supplementary matrices: their forms, whose columns they are, and how they come in."""

from __future__ import annotations

import datetime
import gzip
import io
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from openpyxl import Workbook
from server import FixtureServer

from amlprognosis.errors import InputError
from amlprognosis.normalize.assemble import assemble_cohort
from amlprognosis.retrieve.count_files import read_count_archive
from amlprognosis.retrieve.geo_supplement import plan, read, retrieve
from amlprognosis.retrieve.read import read_source
from amlprognosis.retrieve.sample_names import match_columns
from amlprognosis.retrieve.sources import retrieve as retrieve_all
from amlprognosis.retrieve.supplement_tables import read_supplement
from amlprognosis.study import GeoSupplementSource, Retrieval, load_study

GSMS = ["GSM11", "GSM12", "GSM13"]
MATRIX = "gene\tAML_1\tAML_2\tAML_3\nTP53\t10\t0\t3\nFLT3\t7\t100\t2\n"


def _matrix_text(titles: list[str], extra: str = "") -> str:
    header = [f"!Sample_title\t{''.join(f'{chr(34)}{t}{chr(34)}{chr(9)}' for t in titles).rstrip()}"]
    header.append("!Sample_geo_accession\t" + "\t".join(f'"{g}"' for g in GSMS))
    if extra:
        header.append(extra)
    header.append('!Sample_characteristics_ch1\t"os days: 5"\t"os days: 9"\t"os days: 12"')
    table = [
        "!series_matrix_table_begin",
        "\t".join(['"ID_REF"', *(f'"{g}"' for g in GSMS)]),
        "!series_matrix_table_end",
    ]
    return "\n".join(['!Series_title\t"t"', "", *header, *table]) + "\n"


@pytest.fixture
def geo(tmp_path: Path) -> Path:
    root = tmp_path / "geo"
    folder = root / "series/GSE1nnn/GSE1234"
    for name, text in {
        "suppl/GSE1234_counts.txt.gz": MATRIX,
        "suppl/GSE1234_fpkm.txt.gz": MATRIX,
        "matrix/GSE1234_series_matrix.txt.gz": _matrix_text(["AML-1: marrow", "AML-2: marrow", "AML-3: blood"]),
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(gzip.compress(text.encode(), mtime=0))
    return root


def _request(**keys: object) -> GeoSupplementSource:
    base = {"type": "geo_supplement", "accession": "GSE1234", "supplement": "GSE1234_counts*"}
    return GeoSupplementSource.model_validate({**base, **keys})


def _settings(tmp_path: Path, **keys: object) -> Retrieval:
    return Retrieval.model_validate({"cache": str(tmp_path / "cache"), "attempts": 2, **keys})


@pytest.mark.parametrize("remote", [False, True])
def test_a_supplement_from_folder_or_server_to_cohort(geo, tmp_path, remote):
    if remote:
        with FixtureServer(geo) as server:
            base = server.url.rstrip("/")
            records = retrieve(_request(), base, tmp_path / "out", _settings(tmp_path))
        again = retrieve(_request(), base, tmp_path / "out2", _settings(tmp_path, offline=True))
        assert [r.sha256 for r in again] == [r.sha256 for r in records]
    else:
        records = retrieve(_request(), str(geo), tmp_path / "out", Retrieval())
    assert [Path(r.path).name for r in records] == ["GSE1234_counts.txt.gz", "GSE1234_series_matrix.txt.gz"]
    raw = read(_request(), tmp_path / "out", {})
    assert raw.expression.index.tolist() == GSMS
    assert raw.expression["TP53"].tolist() == [10, 0, 3]
    assert raw.clinical["os days"].tolist() == ["5", "9", "12"]
    assert (raw.scale, raw.gene_ids, raw.array, raw.exclusions) == ("counts", "symbol", False, [])
    assert len(raw.provenance) == 2
    assert "title, as a word of the field" in raw.steps[-1]["detail"]


def test_no_or_several_supplements_are_told(geo, tmp_path):
    with pytest.raises(InputError, match=r"Nearest: GSE1234_counts.txt.gz.*The files there: .*fpkm"):
        retrieve(_request(supplement="GSE1234_count.txt.gz"), str(geo), tmp_path / "out", Retrieval())
    with pytest.raises(InputError, match=r"several files match supplement: GSE1234_\*: .*counts.*fpkm"):
        retrieve(_request(supplement="GSE1234_*"), str(geo), tmp_path / "out", Retrieval())
    (geo / "series/GSE1nnn/GSE1234/matrix/GSE1234_series_matrix.txt.gz").unlink()
    with pytest.raises(InputError, match=r"GSE1234_series_matrix.txt.gz: no such file"):
        retrieve(_request(), str(geo), tmp_path / "out", Retrieval())


def test_offline_says_what_is_missing(tmp_path):
    request = _request(supplement="GSE1234_counts.txt.gz")
    with pytest.raises(InputError, match="offline") as caught:
        retrieve(request, "https://example.org/geo", tmp_path / "out", _settings(tmp_path, offline=True))
    for name in ("suppl/GSE1234_counts.txt.gz", "matrix/GSE1234_series_matrix.txt.gz"):
        assert f"https://example.org/geo/series/GSE1nnn/GSE1234/{name} -> {tmp_path / 'out'}" in str(caught.value)


def test_a_plan_needs_no_network(tmp_path):
    urls = [planned.url for planned in plan(_request(platform="GPL1"), "https://example.org/geo", tmp_path)]
    assert urls[0].endswith("GSE1nnn/GSE1234/suppl/GSE1234_counts*")
    assert urls[1].endswith("matrix/GSE1234-GPL1_series_matrix.txt.gz")


def test_samples_without_column_columns_without_sample_and_repeated_patients(geo, tmp_path):
    folder = geo / "series/GSE1nnn/GSE1234"
    path = folder / "matrix/GSE1234_series_matrix.txt.gz"
    path.write_bytes(gzip.compress(_matrix_text(["a", "b", "c"], '!Sample_description\t"S1"\t"S2"\t"S10"').encode()))
    text = "gene\tlength\tS1\tS2\tTOTAL\nTP53\t1200\t1\t2\t3\n__no_feature\t1\t5\t5\t5\n"
    (folder / "suppl/GSE1234_counts.txt.gz").write_bytes(gzip.compress(text.encode()))
    retrieve(_request(), str(geo), tmp_path / "out", Retrieval())
    with pytest.raises(
        InputError, match=r"(?s)description comes nearest with 2 of 4; it does not name length, TOTAL"
    ) as e:
        read(_request(), tmp_path / "out", {})
    assert "description: S1, S2, S10" in str(e.value)
    assert "length, S1, S2, TOTAL" in str(e.value)
    request = _request(annotation_columns=["length"], sample_field="description")
    raw = read(request, tmp_path / "out", {})
    assert raw.expression.index.tolist() == ["GSM11", "GSM12"]
    assert raw.exclusions == [{"patient": "TOTAL", "reason": "column of the matrix that names no sample of the series"}]
    assert "GSM13" in raw.clinical.index  # counted as without expression when patients are joined
    assert raw.steps[0]["dropped"] == 1


def test_symbols_beside_ids_and_fractions(geo, tmp_path):
    text = "gene_id\tgene_name\tAML_1\tAML_2\tAML_3\nENSG1.2\tTP53\t1.5\t40\t3\nENSG2.1\t\t2\t0\t1e2\n"
    (geo / "series/GSE1nnn/GSE1234/suppl/GSE1234_counts.txt.gz").write_bytes(gzip.compress(text.encode()))
    request = _request(gene_ids="ensembl")
    retrieve(request, str(geo), tmp_path / "out", Retrieval())
    raw = read(request, tmp_path / "out", {})
    assert raw.gene_map.to_dict() == {"ENSG1.2": "TP53", "ENSG2.1": ""}
    assert raw.expression.loc["GSM13"].tolist() == [3, 100]
    assert any(s["detail"].startswith("1 of 2 genes have fractional") for s in raw.steps)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("m.txt", "g\ta\tb\nTP53\t1\t2.5\nFLT3\tNA\t-4\n"),
        ("m.csv", '"","a","b"\n"TP53",1,2.5\n"FLT3",NA,-4\n'),
        ("m.txt", "a\tb\nTP53\t1\t2.5\nFLT3\t\t-4\n"),
        ("m.txt", "# program\ng a b\nTP53 1 2.5\nFLT3 NA -4\n"),
        ("m.tsv", "g,a,b\r\nTP53,1,2.5\r\nFLT3,null,-4\r\n"),
        ("m.csv", "\ufeffg;a;b\nTP53;1;2.5\n\nFLT3;NA;-4"),
        ("m.csv", 'g,desc,a,b\nTP53,"tumour, protein",1,2.5\nFLT3,x,NA,-4.0\n'),
        ("m.txt", "desc\ta\tb\tid\nx\t+1\t25e-1\tTP53\nx\tNaN\t-4\tFLT3\n"),
    ],
)
def test_forms_of_a_matrix(tmp_path, name, text):
    path = tmp_path / name
    path.write_bytes(text.encode())
    notes = ["desc"] if "desc" in text else []
    table = read_supplement(path, annotation_columns=notes, gene_column="id" if "\tid\n" in text else None)
    assert table.values.index.tolist() == ["TP53", "FLT3"]
    np.testing.assert_array_equal(table.values[["a", "b"]].to_numpy(), [[1, 2.5], [np.nan, -4]])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("g\ta\tb\nx\t1\n", "line 2: 2 fields, the header 3"),
        ("g\ta\ta\nx\t1\t2\n", "columns named more than once: a"),
        ("g\ta\t\nx\t1\t2\n", "column 3 has no name"),
        ("g\ta\tb\nx\t1\t2\n\t1\t2\n", "line 3: a row without gene id"),
        ("g\ta\tb\nx\t1\t1,5\n", "line 2, column b: '1,5' is not a number|columns that hold no numbers: b"),
        ("g\ta\tb\nx\t1\t2\ny\t1\t1_000\n", "line 3, column b: '1_000' is not a number"),
        ("g\ta\tb\nx\t1\t2\ny\t1\tinf\n", "line 3, column b: 'inf' is infinite"),
        ("g\ta\tb\nx\t1\t2\ny\t1\t1e400\n", "line 3, column b: '1e400' is too large"),
        ("g\ta\ttype\nx\t1\tcoding\n", r"hold no numbers: type.*annotation_columns: \[type\]"),
        ("g\ta\nx\ty\n", "no column holds numbers"),
        ('g\ta\tb\nx\t"1\t2\n', "line 2: a quotation mark without its partner"),
        ("g\ta\n", "a header but no rows"),
        ("one column\nx\n", "one column only"),
        ("g\ta\n__no_feature\t5\n", "no gene in it"),
    ],
)
def test_faults_of_a_matrix(tmp_path, text, message):
    path = tmp_path / "m.txt"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        read_supplement(path)
    assert "m.txt" in str(caught.value)


def test_a_gene_column_that_is_not_there(tmp_path):
    (tmp_path / "m.txt").write_text(MATRIX)
    for keys in ({"gene_column": "genes"}, {"annotation_columns": ["genes"]}):
        with pytest.raises(InputError, match="no column 'genes'; did you mean 'gene'"):
            read_supplement(tmp_path / "m.txt", **keys)


def test_a_workbook(tmp_path):
    book = Workbook()
    sheet = book.active
    march = datetime.datetime(2020, 3, 1)
    for row in (["GEO_ID", "AML 1", "AML 2"], ["TP53", 1, 2.25], [None, None, None], [march, None, 1e-7]):
        sheet.append(row)
    book.create_sheet("notes").append(["text"])
    path = tmp_path / "GSE1_Matrix_table.xlsx"
    book.save(path)
    table = read_supplement(path)
    assert table.values.index.tolist() == ["TP53", "1-Mar"]
    np.testing.assert_array_equal(table.values.to_numpy(), [[1, 2.25], [np.nan, 1e-7]])
    sheet.append(["FLT3", 1, 2, 3])
    book.save(path)
    with pytest.raises(InputError, match="row 5: a value beyond the last column"):
        read_supplement(path)
    whole = path.read_bytes()
    for content in (whole[:1000], b"PK nothing", b""):
        path.write_bytes(content)
        with pytest.raises(InputError, match="not a readable spreadsheet"):
            read_supplement(path)


def _samples(**fields: list[str]) -> pd.DataFrame:
    return pd.DataFrame(fields, index=pd.Index(GSMS, name="sample"), dtype=object)


@pytest.mark.parametrize(
    ("columns", "fields", "found"),
    [
        (GSMS, {"title": ["x", "y", "z"]}, "geo_accession"),
        (["b", "a"], {"title": ["a", "b", "c"]}, "title"),
        (["X1.2", "x1.3"], {"title": ["1-2", "1_3", "c"]}, "title"),
        (["p1", "p2"], {"title": ["t", "t", "t"], "patient": ["p1", "p2", "p3"]}, "patient"),
        (["S1", "S2"], {"title": ["S1: marrow", "S2: marrow", "S10: marrow"]}, "title"),
        (["run7.S1.sorted.bam", "run7.S10.sorted.bam"], {"title": ["S1", "S10", "S2"]}, "title"),
        (["AML 12", "AML 1"], {"description": ["patient AML 1 (d0)", "patient AML 12 (d0)", ""]}, "description"),
    ],
)
def test_columns_find_their_samples(columns, fields, found):
    match = match_columns(columns, _samples(**fields), "auto", "m")
    assert match.field == found
    assert len(match.samples) == len(columns)
    truth = dict(zip(_samples(**fields).assign(geo_accession=GSMS)[found], GSMS, strict=True))
    assert all(match.samples[c] == next(v for k, v in truth.items() if _number(k) == _number(c)) for c in columns)


def _number(name: str) -> str:
    """What tells the samples of the examples apart."""
    import re

    found = re.search(r"(?:S|AML |GSM|p)(\d+)|[xX]?1[-_.](\d)$|^([a-z])$", name)
    return next(part for part in found.groups() if part)


def test_columns_that_two_fields_claim_or_none():
    with pytest.raises(InputError, match=r"both 'title' and 'patient' .* differently: column '1' is GSM11 or GSM12"):
        match_columns(["1", "2"], _samples(title=["1", "2", "3"], patient=["2", "1", "3"]), "auto", "m")
    with pytest.raises(InputError, match=r"(?s)m: no field of the series names every column.*title: a, b, c"):
        match_columns(["1", "2"], _samples(title=["a", "b", "c"]), "auto", "m")
    with pytest.raises(InputError, match="no column 'titel'; did you mean 'title'"):
        match_columns(["1"], _samples(title=["a", "b", "c"]), "titel", "m")
    with pytest.raises(InputError, match=r"sample_field: title names 0 of its 2 columns"):
        match_columns(["1", "2"], _samples(title=["a", "b", "c"]), "title", "m")
    with pytest.raises(InputError, match="no field"):  # one title for two samples names neither
        match_columns(["a", "b"], _samples(title=["a", "a", "b"]), "auto", "m")


def _archive(path: Path, files: dict[str, str]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, text in files.items():
            content = gzip.compress(text.encode()) if name.endswith(".gz") else text.encode()
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


HTSEQ = "TP53\t{}\nFLT3\t7\n__no_feature\t100\n__ambiguous\t3\n"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (HTSEQ, "gene and count"),
        ("gene\tcount\nTP53\t{}\nFLT3\t7\n__no_feature\t100\n__ambiguous\t3\n", "gene and count"),
        ("N_unmapped\t9\t9\t9\nN_noFeature\t5\t5\t5\nTP53\t{}\t1\t2\nFLT3\t7\t3\t4\n", "STAR"),
        (
            "# Program:featureCounts\nGeneid\tChr\tStart\tEnd\tStrand\tLength\ta.bam\n"
            "TP53\t1;1\t1;5\t2;6\t+;+\t4\t{}\nFLT3\t2\t1\t2\t-\t2\t7\n",
            "featureCounts",
        ),
        (
            "gene_id\ttranscript_id(s)\tlength\teffective_length\texpected_count\tTPM\tFPKM\n"
            "TP53\tt1\t9\t8\t{}\t1\t1\nFLT3\tt2\t9\t8\t7.00\t1\t1\n",
            "RSEM",
        ),
    ],
)
def test_count_files_of_an_archive(tmp_path, text, kind):
    members = {f"GSM1{i}_x.txt.gz": text.replace("{}", str(i)) for i in (1, 2, 3)}
    path = _archive(tmp_path / "GSE1234_RAW.tar", {**members, "GSM11_x.bw": "no text"})
    table, steps = read_count_archive(path, "counts")
    assert table.values.columns.tolist() == GSMS
    assert table.values.loc["TP53"].tolist() == [1, 2, 3]
    assert table.values.loc["FLT3"].tolist() == [7, 7, 7]
    assert kind in steps[0]["detail"]
    assert table.counters == (2 if "N_" in text or "__" in text else 0)


def test_faults_of_count_files(tmp_path):
    path = tmp_path / "GSE1234_RAW.tar"
    cases = [
        (
            {"GSM11.txt": HTSEQ.format(1), "GSM12.txt": "TP53\t1\nMYC\t1\n"},
            r"GSM12\.txt: its genes .* differ in FLT3, MYC",
        ),
        ({"GSM11.txt": HTSEQ.format("x")}, "GSM11.txt, line 1, column count: 'x' is not a number"),
        ({"GSM11.txt": "a\tb\tc\n1\t2\t3\n"}, "GSM11.txt: 3 columns"),
        ({"GSM11.txt": "A\t1\nA\t2\n"}, "GSM11.txt: genes named more than once: A"),
        ({"GSM11_a.txt": "A\t1\n", "GSM11_b.txt": "A\t1\n"}, "GSM11_b.txt: a second file of GSM11"),
        ({"x.CEL": "A"}, "no text files in it; it holds x.CEL"),
        ({"GSM11.txt": "A\t1\n", "GSM12.txt": "N_unmapped\t1\t1\t1\nA\t1\t1\t1\n"}, "one archive, one form"),
    ]
    for members, message in cases:
        with pytest.raises(InputError, match=message) as caught:
            read_count_archive(_archive(path, members), "counts")
        assert path.name in str(caught.value)


def test_an_archive_as_supplement(geo, tmp_path):
    members = {f"GSM1{i}_htseq.txt.gz": HTSEQ.format(i) for i in (1, 2, 3)}
    _archive(geo / "series/GSE1nnn/GSE1234/suppl/GSE1234_RAW.tar", members)
    request = _request(supplement="GSE1234_RAW.tar")
    retrieve(request, str(geo), tmp_path / "out", Retrieval())
    raw = read(request, tmp_path / "out", {})
    assert raw.expression.index.tolist() == GSMS
    assert raw.expression["TP53"].tolist() == [1, 2, 3]
    assert [s["step"] for s in raw.steps] == ["count files", "counter rows", "samples of the matrix"]


@pytest.mark.parametrize("kind", ["symbol", "ensembl", "entrez"])
def test_the_whole_way_to_a_cohort(tmp_path, kind):
    rng = np.random.default_rng(2)
    n = 40
    ids = {
        "symbol": ["TP53", "FLT3", "NPM1", "IDH1", "KMT2A"],
        "ensembl": ["ENSG00000141510.11", "ENSG00000122025.9", "ENSG00000181163", "ENSG00000138413", "ENSG00000118058"],
        "entrez": ["7157", "2322", "4869", "3417", "4297"],
    }[kind]
    gsms = [f"GSM{1000 + i}" for i in range(n)]
    folder = tmp_path / "geo/series/GSE1nnn/GSE1234"
    counts = pd.DataFrame(rng.poisson(300, (5, n)), index=ids, columns=[f"S{i}" for i in range(n - 1)] + ["POOL"])
    (folder / "suppl").mkdir(parents=True)
    counts.to_csv(folder / "suppl/GSE1234_counts.csv.gz", index_label="id")
    header = {
        "!Sample_title": [f"S{i}" for i in range(n)],
        "!Sample_geo_accession": gsms,
        "!Sample_characteristics_ch1": [f"os: {i + 1}" for i in range(n)],
        "!Sample_characteristics_ch2": [f"dead: {i % 2}" for i in range(n)],
    }
    lines = ['!Series_title\t"t"', *("\t".join([k, *(f'"{v}"' for v in vs)]) for k, vs in header.items())]
    lines = [line.replace("!Sample_characteristics_ch2", "!Sample_characteristics_ch1") for line in lines]
    table = [
        "!series_matrix_table_begin",
        "\t".join(['"ID_REF"', *(f'"{g}"' for g in gsms)]),
        "!series_matrix_table_end",
    ]
    (folder / "matrix").mkdir()
    text = "\n".join([*lines, *table]) + "\n"
    (folder / "matrix/GSE1234_series_matrix.txt.gz").write_bytes(gzip.compress(text.encode()))
    cohort = {
        "role": "training",
        "source": {
            "type": "geo_supplement",
            "accession": "GSE1234",
            "base_url": str(tmp_path / "geo"),
            "supplement": "GSE1234_*counts*",
            "gene_ids": kind,
            "sample_field": "title",
        },
        "clinical": {"os_time": {"column": "os", "unit": "months"}, "os_event": {"column": "dead"}},
    }
    study = load_study({"study": "t", "title": "t", "data_root": "/", "cohorts": {"one": cohort}})
    retrieve_all(study, "geo", "GSE1234", tmp_path / "out")
    adata = assemble_cohort(study, "one", read_source(study, "one", tmp_path / "out"))
    assert sorted(adata.var_names) == ["FLT3", "IDH1", "KMT2A", "NPM1", "TP53"]
    assert adata.n_obs == n - 1
    assert adata[gsms[7], "TP53"].layers["counts"].ravel()[0] == counts.loc[ids[0], "S7"]
    reasons = adata.uns["exclusions"].set_index("patient")["reason"].to_dict()
    assert reasons == {
        "POOL": "column of the matrix that names no sample of the series",
        gsms[-1]: "no expression data",
    }
