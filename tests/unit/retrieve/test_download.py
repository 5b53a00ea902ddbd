from __future__ import annotations

import gzip
import hashlib
from types import SimpleNamespace

import pytest

from amlprognosis.errors import InputError
from amlprognosis.retrieve import sources
from amlprognosis.retrieve.download import fetch, local_path, read_provenance, write_provenance
from amlprognosis.study import load_study
from amlprognosis.study.sources import Retrieval


def test_a_local_file_is_copied_checked_and_written_down(tmp_path):
    source = tmp_path / "a b.txt"
    source.write_text("data\n")
    digest = hashlib.sha256(b"data\n").hexdigest()
    record = fetch(f"file://{tmp_path}/a%20b.txt", tmp_path / "out" / "a.txt", sha256=digest)
    assert (record.size, record.sha256) == (5, digest)
    write_provenance(tmp_path / "out", [record], "CC0")
    (row,) = read_provenance(tmp_path / "out")
    assert (row["path"], row["licence"], row["sha256"]) == ("a.txt", "CC0", digest)
    (tmp_path / "out" / "a.txt").write_text("other data\n")
    with pytest.raises(InputError, match="changed since"):
        read_provenance(tmp_path / "out")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.txt", b"", "empty"),
        ("a.txt", b" \n\n", "empty"),
        ("a.txt", b"<!DOCTYPE html>\n<html><body>404</body></html>", "web page"),
        ("a.txt.gz", b"\n<HTML><body>404</body></HTML>", "web page"),
        ("a.txt.gz", gzip.compress(b"<html>404</html>", mtime=0), "web page"),
        ("a.txt.gz", gzip.compress(bytes(range(256)) * 400, mtime=0)[:-30], "cut off or damaged"),
        ("a.txt.gz", b"plain text", "not gzipped"),
        ("a.txt.gz", gzip.compress(b"", mtime=0), "holds nothing"),
    ],
)
def test_what_is_no_data_is_refused_and_nothing_is_left(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=words):
        fetch(str(tmp_path / name), tmp_path / "out" / name)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_wrong_checksum_a_missing_file_and_the_network_are_explained(tmp_path):
    (tmp_path / "a").write_text("data")
    with pytest.raises(InputError, match=r"md5 is .* published is 00"):
        fetch(str(tmp_path / "a"), tmp_path / "out", md5="00")
    with pytest.raises(InputError, match="no such file"):
        fetch(str(tmp_path / "b"), tmp_path / "out")
    with pytest.raises(InputError, match=r"no connection.*network.*base_url.*put the file at .*out"):
        fetch("http://127.0.0.1:9/a", tmp_path / "out", settings=Retrieval(cache=str(tmp_path / "cache"), attempts=1))
    with pytest.raises(InputError, match="unknown scheme"):
        fetch("gopher://example.org/a", tmp_path / "out")


def test_faults_of_the_disk_are_explained_wherever_they_are_met(tmp_path):
    """A file lies where the folder of an accession should be; a folder, where its provenance should be."""
    content = {
        "study": "x",
        "title": "t",
        "cohorts": {"A": {"role": "training", "source": {"type": "gdc", "base_url": str(tmp_path)}}},
    }
    (tmp_path / "file").touch()
    (tmp_path / "folder" / "PROVENANCE.json").mkdir(parents=True)
    for name in ("file", "folder"):
        with pytest.raises(InputError, match=r"PROVENANCE\.json: .*; .*remove it"):
            sources.retrieve(load_study(content), "gdc", "TCGA-LAML", tmp_path / name)


def test_a_folder_that_is_half_there_has_no_provenance(tmp_path, monkeypatch):
    """Two cohorts share an accession; the files of the second are missing."""

    def retrieve(request, base, destination, settings):
        record = fetch(str(tmp_path / request.name), destination / request.name)
        write_provenance(destination, [record])
        return [record]

    requests = [SimpleNamespace(name=name, source_note="") for name in "ab"]
    study = SimpleNamespace(retrieval_requests=lambda *_: requests, base=lambda _: "", retrieval=Retrieval())
    monkeypatch.setattr(sources, "module_of", lambda _: SimpleNamespace(retrieve=retrieve))
    (tmp_path / "a").write_text("a")
    with pytest.raises(InputError, match="b: no such file"):
        sources.retrieve(study, "geo", "GSE1", tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a"]
    (tmp_path / "b").write_text("b")
    sources.retrieve(study, "geo", "GSE1", tmp_path / "out")
    assert [row["path"] for row in read_provenance(tmp_path / "out")] == ["a", "b"]


@pytest.mark.parametrize("text", ["{", "[1]", '[{"path": "a"}]', "{}x", "3"])
def test_a_spoiled_provenance_is_explained(tmp_path, text):
    (tmp_path / "PROVENANCE.json").write_text(text)
    with pytest.raises(InputError, match=r"PROVENANCE\.json: not valid JSON"):
        read_provenance(tmp_path)


@pytest.mark.parametrize(
    ("url", "path"),
    [("a/b", "a/b"), ("file:///a%20b", "/a b"), ("file://localhost/a", "/a"), ("file://", "/")],
)
def test_local_addresses(url, path):
    assert local_path(url) == path


def test_a_file_of_another_size_than_published_is_refused(tmp_path):
    (tmp_path / "a").write_text("data")
    with pytest.raises(InputError, match="4 bytes, published are 5"):
        fetch(str(tmp_path / "a"), tmp_path / "out", size=5)
    with pytest.raises(InputError, match="a folder, where a file is expected"):
        fetch(str(tmp_path), tmp_path / "out")


def test_a_file_in_place_can_be_fetched_onto_itself(tmp_path):
    (tmp_path / "a").write_text("data")
    assert fetch(str(tmp_path / "a"), tmp_path / "a").size == 4
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
