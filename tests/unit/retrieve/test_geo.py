from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from geo_files import FAMILY, MATRIX, PLATFORM, matrix_of, write
from server import FixtureServer

from amlprognosis.errors import InputError
from amlprognosis.retrieve import geo
from amlprognosis.retrieve.geo_layout import choose, matrices
from amlprognosis.study import GeoSource, Retrieval

PART = {"GSM1": {"1_at": "1", "2_at": "2"}, "GSM2": {"1_at": "3", "2_at": "4"}}
OTHER = {"GSM3": {"1_at": "5", "3_at": "6"}}


def source(**keys: object) -> GeoSource:
    return GeoSource.model_validate({"type": "geo", "accession": "GSE1", "platform": "GPL96", **keys})


def mirror(root: Path, files: dict[str, str], platform: str | None = "GPL96") -> str:
    """A mirror of GEO with files of GSE1."""
    for name, text in files.items():
        write(root / "series/GSEnnn/GSE1", text, name)
    if platform:
        table = PLATFORM.replace("GPL96", platform)
        write(root / f"platforms/GPLnnn/{platform}/annot", table, f"{platform}.annot.gz")
    return str(root)


def settings(folder: Path, **keys: object) -> Retrieval:
    return Retrieval.model_validate({"cache": str(folder / "cache"), "attempts": 1, **keys})


def both(request: GeoSource, base: str, folder: Path, **tables: str):
    geo.retrieve(request, base, folder / "out", settings(folder))
    return geo.read(request, folder / "out", tables)


def test_folders_follow_geo():
    names = ["GSE37642", "GSE425", "GPL96", "GPL10558", "GSM3587923", "GDS507"]
    folders = ["GSE37nnn", "GSEnnn", "GPLnnn", "GPL10nnn", "GSM3587nnn", "GDSnnn"]
    assert [geo.accession_folder(n) for n in names] == folders
    with pytest.raises(InputError, match="not a GEO accession"):
        geo.accession_folder("TCGA")


def test_names_of_series_matrices():
    names = [
        "GSE1-GPL96_series_matrix-2.txt.gz",
        "GSE1-GPL96_series_matrix-1.txt.gz",
        "GSE1-GPL97_series_matrix.txt.gz",
    ]
    found = matrices([*names, "GSE11_series_matrix.txt.gz", "filelist.txt"], "GSE1")
    assert [(item.platform, item.part) for item in found] == [("GPL96", 1), ("GPL96", 2), ("GPL97", 0)]
    assert choose(names, "GSE1", "GPL96", None, "x") == sorted(names[:2])
    assert choose(["GSE1_series_matrix.txt.gz"], "GSE1", "GPL96", None, "x") == ["GSE1_series_matrix.txt.gz"]
    assert choose(["a"], "GSE1", "GPL96", None, "x") == []
    with pytest.raises(InputError, match="no series matrix of GPL570; GSE1 has GPL96, GPL97"):
        choose(names, "GSE1", "GPL570", None, "x")
    with pytest.raises(InputError, match="with several_platforms: false, but"):
        choose(names, "GSE1", "GPL96", False, "x")
    with pytest.raises(InputError, match="parts of the series matrix are missing: there are 2"):
        choose(names[:1], "GSE1", "GPL96", None, "x")


@pytest.mark.parametrize("network", [False, True])
@pytest.mark.parametrize("name", ["GSE1_series_matrix.txt.gz", "GSE1-GPL96_series_matrix.txt.gz"])
def test_a_series_matrix_comes_by_either_name(tmp_path, network, name):
    base = mirror(tmp_path / "geo", {f"matrix/{name}": MATRIX})
    with FixtureServer(tmp_path / "geo") as server:
        raw = both(source(), server.url if network else base, tmp_path)
    np.testing.assert_array_equal(raw.expression.to_numpy(), [[1.5, -1], [2, 40], [np.nan, 7]])
    assert raw.clinical.loc["GSM2", "age"] == "40"
    assert raw.gene_map is not None
    assert raw.gene_map["1_at"] == "TP53"
    assert [row["path"] for row in raw.provenance] == [name, "GPL96.annot.gz"]
    assert (raw.array, raw.gene_ids, raw.scale) == (True, "probe", "auto")
    assert raw.steps[0]["detail"] == "GSE1; title: t; pubmed_id: 123"


@pytest.mark.parametrize("network", [False, True])
def test_parts_are_joined_by_samples(tmp_path, network):
    files = {
        "matrix/GSE1-GPL96_series_matrix-1.txt.gz": matrix_of(PART, characteristics_ch1=["age: 1", "age: 2"]),
        "matrix/GSE1-GPL96_series_matrix-2.txt.gz": matrix_of(OTHER, characteristics_ch1=["sex: F"]),
        "matrix/GSE1-GPL97_series_matrix.txt.gz": "never asked for",
    }
    base = mirror(tmp_path / "geo", files)
    with FixtureServer(tmp_path / "geo") as server:
        raw = both(source(), server.url if network else base, tmp_path)
    assert list(raw.expression.index) == ["GSM1", "GSM2", "GSM3"]
    np.testing.assert_array_equal(
        raw.expression[["1_at", "2_at", "3_at"]], [[1, 2, np.nan], [3, 4, np.nan], [5, np.nan, 6]]
    )
    assert raw.clinical["age"].tolist() == ["1", "2", ""]
    assert "2 files, joined by samples; 1 of 3 probes are in all of them" in [row["detail"] for row in raw.steps]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "GPL96.annot.gz",
        "GSE1-GPL96_series_matrix-1.txt.gz",
        "GSE1-GPL96_series_matrix-2.txt.gz",
        "PROVENANCE.json",
    ]


def test_a_sample_in_two_parts_is_refused(tmp_path):
    files = {f"matrix/GSE1_series_matrix-{i}.txt.gz": matrix_of(PART) for i in (1, 2)}
    with pytest.raises(InputError, match=r"samples in several of .*: GSM1, GSM2"):
        both(source(), mirror(tmp_path / "geo", files), tmp_path)


def test_two_platforms_share_a_folder(tmp_path):
    files = {f"matrix/GSE1-{name}_series_matrix.txt.gz": matrix_of(PART, name) for name in ("GPL96", "GPL97")}
    base = mirror(tmp_path / "geo", files)
    mirror(tmp_path / "geo", {}, "GPL97")
    one, other = source(), source(platform="GPL97")
    for request in (one, other):
        geo.retrieve(request, base, tmp_path / "out", settings(tmp_path))
        raw = geo.read(request, tmp_path / "out", {})
        assert [request.platform in row["path"] for row in raw.provenance] == [True, True]
    with pytest.raises(InputError, match="no series matrix of GPL570; GSE1 has GPL96, GPL97"):
        geo.retrieve(source(platform="GPL570"), base, tmp_path / "out", settings(tmp_path))


def test_samples_of_another_platform_in_one_file_are_listed(tmp_path):
    text = MATRIX.replace('"GPL96"\t"GPL96"\t"GPL96"', '"GPL96"\t"GPL97"\t"GPL96"')
    raw = both(source(), mirror(tmp_path / "geo", {"matrix/GSE1_series_matrix.txt.gz": text}), tmp_path)
    assert list(raw.expression.index) == list(raw.clinical.index) == ["GSM1", "GSM3"]
    assert raw.exclusions == [{"patient": "GSM2", "reason": "sample of another platform (GPL97)"}]
    files = {"matrix/GSE1_series_matrix.txt.gz": matrix_of(PART, "GPL97")}
    with pytest.raises(InputError, match="its samples are of GPL97, the study says platform: GPL96"):
        both(source(), mirror(tmp_path / "two", files), tmp_path / "o")


@pytest.mark.parametrize("network", [False, True])
def test_the_family_stands_in_for_matrix_and_platform_table(tmp_path, network):
    base = mirror(tmp_path / "geo", {"soft/GSE1_family.soft.gz": FAMILY}, None)
    with FixtureServer(tmp_path / "geo") as server:
        raw = both(source(), server.url if network else base, tmp_path)
    np.testing.assert_array_equal(raw.expression.to_numpy(), [[1.5, -1], [2, np.nan]])
    assert raw.gene_map is not None
    assert raw.gene_map.to_dict() == {"1_at": "TP53", "2_at": "FLT3"}
    assert [row["path"] for row in raw.provenance] == ["GSE1_family.soft.gz"]


def test_the_family_of_the_platform_comes_last(tmp_path):
    base = mirror(tmp_path / "geo", {"matrix/GSE1_series_matrix.txt.gz": MATRIX}, None)
    with pytest.raises(
        InputError, match=r"GPL96.annot.gz: no such file, nor .*GSE1_family.soft.gz, nor .*GPL96_family"
    ):
        both(source(), base, tmp_path)
    write(tmp_path / "geo/platforms/GPLnnn/GPL96/soft", FAMILY, "GPL96_family.soft.gz")
    raw = both(source(), base, tmp_path)
    assert [row["path"] for row in raw.provenance] == ["GSE1_series_matrix.txt.gz", "GPL96_family.soft.gz"]
    with pytest.raises(
        InputError, match=r"no series matrix of GPL96, and .*GSE2_family.soft.gz: no such file.*no such folder"
    ):
        geo.retrieve(source(accession="GSE2"), base, tmp_path / "none", settings(tmp_path))


def test_without_network_nothing_else_is_tried(tmp_path, waits):
    with pytest.raises(InputError, match=r"/matrix/: no connection .* given up after 1 attempt.*network"):
        geo.retrieve(source(), "http://127.0.0.1:9", tmp_path / "out", settings(tmp_path))
    assert waits == []


def test_without_index_page_the_usual_names_are_tried(tmp_path):
    mirror(tmp_path / "geo", {"matrix/GSE1-GPL96_series_matrix.txt.gz": MATRIX})
    with FixtureServer(tmp_path / "geo") as server:
        server.faults.add("*/matrix/", "403", times=None)
        raw = both(source(), server.url, tmp_path)
    assert raw.provenance[0]["path"] == "GSE1-GPL96_series_matrix.txt.gz"


def test_without_index_page_the_file_of_another_platform_is_not_taken(tmp_path):
    files = {f"matrix/GSE1-{name}_series_matrix.txt.gz": matrix_of(PART, name) for name in ("GPL96", "GPL97")}
    mirror(tmp_path / "geo", files)
    mirror(tmp_path / "geo", {}, "GPL97")
    with FixtureServer(tmp_path / "geo") as server:
        server.faults.add("*/matrix/", "403", times=None)
        both(source(platform="GPL97"), server.url, tmp_path)
        raw = both(source(), server.url, tmp_path)
        assert raw.provenance[0]["path"] == "GSE1-GPL96_series_matrix.txt.gz"
        with pytest.raises(InputError, match=r"no series matrix of GPL570, and .*\(.*403"):
            both(source(platform="GPL570"), server.url, tmp_path)


def test_offline_what_is_there_is_used_and_what_is_missing_is_told_at_once(tmp_path):
    mirror(tmp_path / "geo", {"matrix/GSE1-GPL96_series_matrix.txt.gz": MATRIX})
    offline = settings(tmp_path, offline=True)
    with FixtureServer(tmp_path / "geo") as server:
        with pytest.raises(
            InputError, match=r"2 files are not there:\n.*GSE1_series_matrix.txt.gz.*\n.*GPL96.annot.gz"
        ):
            geo.retrieve(source(), server.url, tmp_path / "out", offline)
        assert server.log == []
        geo.retrieve(source(), server.url, tmp_path / "out", settings(tmp_path))
        asked = len(server.log)
        geo.retrieve(source(), server.url, tmp_path / "out", offline)
        geo.retrieve(source(), server.url, tmp_path / "again", offline)
        assert len(server.log) == asked
    assert geo.read(source(), tmp_path / "again", {}).expression.shape == (3, 2)


def test_offline_files_that_the_user_put_in_place(tmp_path):
    write(tmp_path / "out", MATRIX, "GSE1-GPL96_series_matrix.txt.gz")
    write(tmp_path / "out", PLATFORM, "GPL96.annot.gz")
    geo.retrieve(source(), "http://127.0.0.1:9/geo", tmp_path / "out", settings(tmp_path, offline=True))
    assert geo.read(source(), tmp_path / "out", {}).expression.shape == (3, 2)


def test_the_plan_needs_no_network(tmp_path):
    out = tmp_path / "out"
    matrix, table = geo.plan(source(), "https://ftp.ncbi.nlm.nih.gov/geo", out)
    assert matrix.url == "https://ftp.ncbi.nlm.nih.gov/geo/series/GSEnnn/GSE1/matrix/GSE1_series_matrix.txt.gz"
    assert matrix.what == "series matrix (or GSE1-GPL96_series_matrix.txt.gz, where the series has several platforms)"
    assert table.url == "https://ftp.ncbi.nlm.nih.gov/geo/platforms/GPLnnn/GPL96/annot/GPL96.annot.gz"
    assert "or GSE1_family.soft.gz" in table.what
    assert table.path == str(out / "GPL96.annot.gz")
    planned = geo.plan(source(several_platforms=True), "https://x.org", out)
    assert (planned[0].url.rsplit("/", 1)[1], planned[0].what) == ("GSE1-GPL96_series_matrix.txt.gz", "series matrix")
    names = [f"GSE1_series_matrix-{i}.txt.gz" for i in (1, 2)]
    base = mirror(tmp_path / "geo", {f"matrix/{name}": MATRIX for name in names})
    assert [row.path for row in geo.plan(source(), base, out)] == [
        *(str(out / name) for name in names),
        str(out / "GPL96.annot.gz"),
    ]


PATIENTS = {f"GSM{i}": {"1_at": str(i), "2_at": "1"} for i in (10, 9, 11, 12)}
PERSON = ["patient: P-1 left", "patient: P-1 right", "patient: P-2 left", ""]


def test_of_several_samples_of_a_patient_the_first_by_accession_stays(tmp_path):
    text = matrix_of(PATIENTS, characteristics_ch1=PERSON)
    base = mirror(tmp_path / "geo", {"matrix/GSE1_series_matrix.txt.gz": text})
    raw = both(source(patient_column="patient", patient_pattern=r"^(P-\d)"), base, tmp_path)
    assert raw.patients.to_dict() == {"GSM9": "P-1", "GSM11": "P-2", "GSM12": "GSM12"}
    assert list(raw.expression.index) == list(raw.clinical.index) == ["GSM9", "GSM11", "GSM12"]
    assert raw.exclusions == [{"patient": "GSM10", "reason": "further sample of a patient (P-1)"}]
    assert (raw.steps[-1]["before"], raw.steps[-1]["after"]) == (4, 3)
    with pytest.raises(InputError, match="patient_column: no column 'person'"):
        geo.read(source(patient_column="person"), tmp_path / "out", {})
    with pytest.raises(InputError, match=r"patient_pattern: .* matches no sample name"):
        geo.read(source(patient_column="patient", patient_pattern="(X)"), tmp_path / "out", {})


def test_the_users_table_joins_by_a_field_and_wins(tmp_path):
    text = matrix_of(PATIENTS, title=["AML 1", "AML 2", "AML 3", "AML 4"], characteristics_ch1=["age: 50"] * 4)
    text = text.replace('!Sample_title\t"title GSM10"\t"title GSM9"\t"title GSM11"\t"title GSM12"\n', "")
    base = mirror(tmp_path / "geo", {"matrix/GSE1_series_matrix.txt.gz": text})
    table = write(tmp_path, "who\tage\tos\nAML 1\t51\t7\nAML 2\t\t8\nAML 3\t50\t9\nAML 99\t1\t1\n", "t.tsv")
    request = source(clinical_table="t.tsv", clinical_id="who", clinical_matches="title")
    raw = both(request, base, tmp_path, clinical_table=str(table))
    assert raw.clinical["age"].tolist() == ["51", "50", "50", "50"]
    assert raw.clinical["os"].tolist() == ["7", "8", "9", ""]
    detail = raw.steps[-1]["detail"]
    assert "3 samples have a row, 1 have none, 1 rows name no sample" in detail
    assert detail.endswith("replace other ones of the series in age (1)")
    assert raw.provenance[-1]["path"] == str(table)
    with pytest.raises(InputError, match=r"t\.tsv: no who .AML 1.* is a geo_accession of GSE1 .GSM10"):
        geo.read(source(clinical_table="t.tsv", clinical_id="who"), tmp_path / "out", {"clinical_table": str(table)})


def test_two_colours_and_notes_are_steps(tmp_path):
    text = matrix_of(PART, channel_count=["2", "2"]).replace('row_count\t"2"', 'row_count\t"5"')
    raw = both(source(), mirror(tmp_path / "geo", {"matrix/GSE1_series_matrix.txt.gz": text}), tmp_path)
    details = {row["step"]: row["detail"] for row in raw.steps}
    assert details["two-colour arrays"] == "2 of 2 samples have two colours: values are ratios, mostly log2"
    assert details["notes on the file"] == "the table has 2 rows, !Sample_data_row_count says 5"
