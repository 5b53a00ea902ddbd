"""Single-cell files of a series: from sample folders, the series' own, archives; over the network and from a folder."""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from server import FixtureServer

from amlprognosis.cells.discover import discover_samples
from amlprognosis.cells.load import load_atlas
from amlprognosis.errors import InputError
from amlprognosis.retrieve.archives import extract, list_members
from amlprognosis.retrieve.cell_files import cell_file, group_files
from amlprognosis.retrieve.cells import plan, retrieve
from amlprognosis.study import Retrieval
from amlprognosis.study.cohorts import Atlas

SHARED = Path(os.environ.get("AMLPROGNOSIS_SHARED", Path(__file__).resolve().parents[3].parent / "shared"))
MTX = "%%MatrixMarket matrix coordinate integer general\n2 2 3\n1 1 5\n2 1 1\n2 2 7\n"
TENX = {"matrix.mtx.gz": MTX, "barcodes.tsv.gz": "AAAC-1\nAAAG-1\n", "features.tsv.gz": "E1\tA\nE2\tB\n"}


def _zip(text: str) -> bytes:
    return gzip.compress(text.encode(), mtime=0)


def _tar(path: Path, members: Mapping[str, bytes], mode: str = "w") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


def _series(root: Path, supplements: Mapping[str, list[str]]) -> None:
    """A series matrix without data table that names the files of each sample."""
    gsms = list(supplements)
    most = max(len(names) for names in supplements.values())
    lines = ['!Series_title\t"cells"', "", "\t".join(["!Sample_title", *(f'"{g}"' for g in gsms)])]
    lines.append("\t".join(["!Sample_geo_accession", *(f'"{g}"' for g in gsms)]))
    for i in range(most):
        urls = []
        for gsm in gsms:
            name = supplements[gsm][i] if i < len(supplements[gsm]) else None
            urls.append(f'"ftp://ftp.example.org/geo/samples/{gsm[:-3]}nnn/{gsm}/suppl/{name}"' if name else '"NONE"')
        lines.append("\t".join([f"!Sample_supplementary_file_{i + 1}", *urls]))
    lines += ["!series_matrix_table_begin", "\t".join(['"ID_REF"', *(f'"{g}"' for g in gsms)])]
    lines.append("!series_matrix_table_end")
    path = root / "series/GSE1nnn/GSE1234/matrix/GSE1234_series_matrix.txt.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_zip("\n".join(lines) + "\n"))


@pytest.fixture
def dem_series(tmp_path: Path) -> Path:
    """Two samples as in GSE116256; the second has no count table."""
    root = tmp_path / "geo"
    files = {
        "GSM1001": ("GSM1001_P1-D0.dem.txt.gz", "Gene\tP1_a\tP1_b\nA\t1\t2\nB\t0\t3\n"),
        "GSM1002": ("GSM1002_P1-D0.anno.txt.gz", "Cell\tCellType\nP1_a\tT\nP1_b\tB\n"),
        "GSM1003": ("GSM1003_BM4.anno.txt.gz", "Cell\tCellType\nBM4_a\tT\n"),
    }
    for gsm, (name, text) in files.items():
        path = root / f"samples/GSM1nnn/{gsm}/suppl/{name}"
        path.parent.mkdir(parents=True)
        path.write_bytes(_zip(text))
    _series(root, {gsm: [name] for gsm, (name, _) in files.items()})
    return root


def _atlas(**keys: object) -> Atlas:
    return Atlas.model_validate({"accession": "GSE1234", **keys})


def _settings(tmp_path: Path, **keys: object) -> Retrieval:
    return Retrieval.model_validate({"cache": str(tmp_path / "cache"), "attempts": 2, **keys})


@pytest.mark.parametrize("with_matrix", [True, False])
def test_a_folder_with_samples(dem_series, tmp_path, with_matrix):
    if not with_matrix:
        next(dem_series.rglob("*series_matrix*")).unlink()
    records = retrieve(_atlas(samples=["P1-D0"]), str(dem_series), tmp_path / "out", Retrieval())
    assert sum(".txt.gz" in r.path and "P1-D0" in r.path for r in records) == 2
    atlas, _ = load_atlas(discover_samples(tmp_path / "out"), ["P1-D0"])
    assert atlas.X.toarray().tolist() == [[1, 0], [2, 3]]


def test_the_same_over_the_network_and_then_offline(dem_series, tmp_path):
    with FixtureServer(dem_series) as server:
        base = server.url.rstrip("/")
        records = retrieve(_atlas(samples=["P1-D0"]), base, tmp_path / "out", _settings(tmp_path))
        assert len(records) == 3
        asked = [entry.path for entry in server.log]
        assert not any("GSM1003" in path for path in asked)  # the series matrix says where the files are
    offline = _settings(tmp_path, offline=True)
    again = retrieve(_atlas(samples=["P1-D0"]), base, tmp_path / "out", offline)
    assert [r.sha256 for r in again] == [r.sha256 for r in records]
    with pytest.raises(InputError, match=r"offline") as caught:
        retrieve(_atlas(samples=["P1-D0"]), base, tmp_path / "elsewhere", _settings(tmp_path / "x", offline=True))
    assert "GSE1234_series_matrix.txt.gz" in str(caught.value)


def test_a_sample_without_its_matrix_is_told(dem_series, tmp_path):
    for samples in (["BM4"], []):
        with pytest.raises(InputError, match=r"BM4: no GSM\*_BM4.dem.txt.gz .* although GSM1003_BM4.anno.txt.gz is"):
            retrieve(_atlas(samples=samples), str(dem_series), tmp_path / "out", Retrieval())
    with pytest.raises(InputError, match=r"P9: no file GSM\*_P9.*the samples there: BM4, P1-D0"):
        retrieve(_atlas(samples=["P9"]), str(dem_series), tmp_path / "out", Retrieval())


@pytest.mark.parametrize("form", ["prefix", "folder", "nested"])
def test_10x_files_in_the_archive_of_the_series(tmp_path, form):
    root = tmp_path / "geo"
    whole = {name: _zip(text) for name, text in TENX.items()}
    if form == "prefix":
        members = {f"GSM2001_BM1_{name}": content for name, content in whole.items()}
    elif form == "folder":
        members = {f"GSM2001_BM1/filtered_feature_bc_matrix/{name}": content for name, content in whole.items()}
    else:
        _tar(tmp_path / "inner.tar.gz", {f"filtered/{name}": content for name, content in whole.items()}, "w:gz")
        members = {"GSM2001_BM1.tar.gz": (tmp_path / "inner.tar.gz").read_bytes()}
    members |= {"GSM2002_other_molecule_info.h5": b"x", "GSM2002_BM2_barcodes.tsv.gz": _zip("A\n")}
    _tar(root / "series/GSE1nnn/GSE1234/suppl/GSE1234_RAW.tar", members)
    _series(root, {"GSM2001": [], "GSM2002": []})
    with FixtureServer(root) as server:
        records = retrieve(_atlas(samples=["BM1"]), server.url.rstrip("/"), tmp_path / "out", _settings(tmp_path))
    assert not (tmp_path / "out/GSM2002_other_molecule_info.h5").exists()
    assert any("GSE1234_RAW.tar#" in record.url for record in records)
    rows = json.loads((tmp_path / "out/PROVENANCE.json").read_text())
    assert len(rows) == len(records)
    atlas, _ = load_atlas(discover_samples(tmp_path / "out"), ["BM1"])
    assert atlas.obs_names.tolist() == ["BM1_AAAC-1", "BM1_AAAG-1"]
    assert atlas.X.toarray().tolist() == [[5, 1], [0, 7]]
    with pytest.raises(InputError, match="BM2: no mtx file and no features file"):
        retrieve(_atlas(), str(root), tmp_path / "all", Retrieval())


def test_tables_of_a_series_without_other_forms(tmp_path):
    root = tmp_path / "geo"
    text = '"","AAACCTGAGAAA.1","AAACCTGAGAAC.1"\n"ENSG1",0,2\n"ENSG2",4,0\n'
    _tar(root / "series/GSE1nnn/GSE1234/suppl/GSE1234_RAW.tar", {"GSM3001_Aorta-4wk-658.csv.gz": _zip(text)})
    retrieve(_atlas(), str(root), tmp_path / "out", Retrieval())
    atlas, _ = load_atlas(discover_samples(tmp_path / "out"))
    assert atlas.obs["sample"].tolist() == ["Aorta-4wk-658"] * 2
    assert atlas.X.toarray().tolist() == [[0, 4], [2, 0]]


def test_a_plan_needs_no_network(tmp_path):
    urls = [planned.url for planned in plan(_atlas(samples=["P1-D0"]), "https://example.org/geo", tmp_path)]
    assert urls[0] == "https://example.org/geo/series/GSE1nnn/GSE1234/matrix/GSE1234_series_matrix.txt.gz"
    assert "P1-D0{.dem" in urls[1]
    assert urls[-1].endswith("suppl/GSE1234_RAW.tar")
    assert len(plan(_atlas(format="10x"), "https://example.org/geo", tmp_path)) == 3


@pytest.mark.parametrize("name", ["/etc/x.dem.txt", "a/../../x.dem.txt", "C:/x.dem.txt", "..\\x.dem.txt"])
def test_an_archive_cannot_write_elsewhere(tmp_path, name):
    _tar(tmp_path / "a.tar", {name: b"x"})
    with pytest.raises(InputError, match="points out of the archive"):
        list_members(tmp_path / "a.tar")
    with pytest.raises(InputError, match="points out of the archive"):
        extract(tmp_path / "a.tar", lambda member: tmp_path / "out" / member)


def test_links_bounds_and_damage_of_archives(tmp_path):
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        link = tarfile.TarInfo("x.dem.txt")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        file = tarfile.TarInfo("y.dem.txt")
        file.size = 4
        archive.addfile(file, io.BytesIO(b"text"))
    assert list_members(path) == ["y.dem.txt"]
    assert [name for name, _ in extract(path, lambda name: tmp_path / "out" / name)] == ["y.dem.txt"]
    with pytest.raises(InputError, match="passes the limit"):
        extract(path, lambda name: tmp_path / "out" / name, limit=3)
    _tar(path, {"a/s.h5": b"1", "b/s.h5": b"2"})
    with pytest.raises(InputError, match=r"two members for s\.h5"):
        extract(path, lambda name: tmp_path / "out" / Path(name).name)
    _tar(path, {"a": b"1" * 5000}, "w:gz")
    whole = path.read_bytes()
    for content in (b"no archive", b"", whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"a\.tar"):
            list_members(path)
    _tar(path, {"a": b"1", "b": b"2"})
    whole = path.read_bytes()
    # Cut between two members, or with a damaged header: no end of the archive.
    for content in (whole[:1024], whole[:1034] + b"\xff" * 20 + whole[1054:]):
        path.write_bytes(content)
        with pytest.raises(InputError, match="not a readable tar archive, or cut off"):
            list_members(path)
    _tar(path, {"a": b"1" * 50_000})
    path.write_bytes(path.read_bytes()[:20_000])
    with pytest.raises(InputError, match=r"cut off|not a readable"):
        extract(path, lambda name: tmp_path / "out" / name)
    assert not list((tmp_path / "out").glob(".*"))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("samples/GSM3587nnn/GSM3587923/suppl/GSM3587923_AML1012-D0.dem.txt.gz", ("AML1012-D0", "GSM3587923", "dem")),
        ("GSM1_scRNA_BM1.matrix.mtx.gz", ("scRNA_BM1", "GSM1", "mtx")),
        ("GSM1_filtered_feature_bc_matrix.h5", ("GSM1", "GSM1", "h5")),
        ("GSM1_s/filtered_feature_bc_matrix/matrix.mtx.gz", ("s", "GSM1", "mtx")),
        ("s/outs/filtered_gene_bc_matrices/GRCh38/genes.tsv", ("s", "", "features")),
        ("GSM3396161_genes_A.tsv.gz", ("A", "GSM3396161", "features")),
        ("GSM9/matrix.mtx", ("GSM9", "GSM9", "mtx")),
        ("GSM12_CS10_Body_rawdata.txt.gz", ("CS10_Body_rawdata", "GSM12", "table")),
    ],
)
def test_names_of_files(name, expected):
    file = cell_file(name)
    assert (file.sample, file.gsm, file.kind) == expected


@pytest.mark.parametrize("name", ["GSE1_meta.csv.gz", "GSM1_molecule_info.h5", "matrix.mtx", "GSM5_s.h5ad", "x.pdf"])
def test_names_of_other_files(name):
    assert cell_file(name) is None


def test_files_become_samples():
    names = ["GSM1_x_raw_feature_bc_matrix.h5", "GSM1_x_filtered_feature_bc_matrix.h5", "GSM1_x_matrix.mtx.gz"]
    (group,) = group_files(names)
    assert dict(group.files) == {"h5": names[1]}
    assert not group.raw
    (group,) = group_files(names[:1])
    assert group.raw
    assert [g.sample for g in group_files(["GSM3_BM.h5", "GSM4_BM.h5"])] == ["GSM3_BM", "GSM4_BM"]
    assert [g.form for g in group_files(["GSM1_a.dem.txt", "GSM2_info.txt"])] == ["dem"]
    with pytest.raises(InputError, match="'a' has two barcodes files"):
        group_files(["GSM1_a_barcodes.tsv", "GSM1_a.barcodes.tsv.gz"])


@pytest.mark.realdata
@pytest.mark.skipif(not SHARED.exists(), reason="../shared is not here")
def test_van_galen_2019_as_it_lies_here(tmp_path):
    request = Atlas(accession="GSE116256", samples=["AML314-D0", "BM1"])
    records = retrieve(request, str(SHARED / "mirror/geo"), tmp_path, Retrieval())
    assert sorted(Path(r.path).name for r in records)[0] == "GSM3587927_AML314-D0.dem.txt.gz"
    assert len(records) == 4
    whole = Atlas(accession="GSE116256")
    with pytest.raises(InputError, match=r"(?s)AML921A-D0: no .*GSM3587991_AML921A-D0.*BM4: no .*GSM3588001_BM4"):
        retrieve(whole, str(SHARED / "mirror/geo"), tmp_path / "all", Retrieval())
