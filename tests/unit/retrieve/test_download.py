from __future__ import annotations

import gzip
import hashlib

import pytest

from amlprognosis.errors import InputError
from amlprognosis.retrieve.download import fetch, read_provenance, write_provenance
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
    with pytest.raises(InputError, match=r"no connection.*base_url.*put the file at .*out"):
        fetch("http://127.0.0.1:9/a", tmp_path / "out", settings=Retrieval(cache=str(tmp_path / "cache"), attempts=1))
    with pytest.raises(InputError, match="unknown scheme"):
        fetch("gopher://example.org/a", tmp_path / "out")
