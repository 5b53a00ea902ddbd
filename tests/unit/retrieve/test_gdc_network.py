from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import gdc_world as world
import pytest
from server import FixtureServer, Request
from server.gdc import GdcApi

from amlprognosis.errors import InputError
from amlprognosis.retrieve import gdc_api, gdc_batches
from amlprognosis.retrieve.download import Wanted, read_provenance
from amlprognosis.retrieve.gdc import read, retrieve
from amlprognosis.study import GdcSource, Retrieval

SOURCE = GdcSource(type="gdc", project=world.PROJECT)


@pytest.fixture
def api(tmp_path, waits) -> Iterator[tuple[FixtureServer, GdcApi]]:
    handler = GdcApi(world.project(tmp_path / "base"), prefix="/gdc")
    with FixtureServer(tmp_path / "empty", [handler]) as server:
        yield server, handler


def settings_for(tmp_path: Path, **keys: object) -> Retrieval:
    return Retrieval(cache=str(tmp_path / "cache"), timeout_seconds=5, **keys)


def brought(tmp_path: Path, server: FixtureServer, name: str = "out", **keys: object) -> Path:
    folder = tmp_path / name
    retrieve(SOURCE, f"{server.url}/gdc", folder, settings_for(tmp_path, **keys))
    return folder


def data_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted((folder / "data").rglob("*.*"))}


def test_network_and_folder_give_the_same(tmp_path, api, monkeypatch):
    server, _ = api
    monkeypatch.setattr(gdc_api, "PAGE", 4)
    folder = brought(tmp_path, server)
    retrieve(SOURCE, str(tmp_path / "base"), tmp_path / "local", settings_for(tmp_path))
    assert data_of(folder) == data_of(tmp_path / "local")
    assert len(data_of(folder)) == 11
    near, far = (read(SOURCE, tmp_path / name, {}) for name in ("local", "out"))
    assert far.expression.equals(near.expression)
    assert far.clinical.sort_index(axis=1).equals(near.clinical.sort_index(axis=1))
    assert far.mutations.equals(near.mutations)
    assert far.exclusions == near.exclusions
    assert far.steps[0]["detail"] == "Data Release 45.0 - December 04, 2025"
    assert far.steps[1:] == near.steps
    rows = {row["path"]: row for row in read_provenance(folder)}
    assert rows["files.json"]["url"] == f"{server.url}/gdc/files"
    assert rows["status.json"]["licence"].endswith("Data Release 45.0 - December 04, 2025")
    name = "data/u0/f0.rna_seq.augmented_star_gene_counts.tsv"
    assert rows[name]["url"] == f"{server.url}/gdc/data/u0"
    pages = [json.loads(entry.body)["from"] for entry in server.asked("/gdc/files")]
    assert pages == [0, 4, 8]
    # One archive for all files.
    assert [entry.method for entry in server.asked() if "/data" in entry.path] == ["POST"]


def test_what_is_there_is_not_asked_for_again(tmp_path, api):
    server, _ = api
    folder = brought(tmp_path, server)
    first = len(server.log)
    brought(tmp_path, server)
    assert len(server.log) == first
    # Another project folder takes the data from the cache.
    other = brought(tmp_path, server, "other")
    assert not [entry for entry in server.log[first:] if "/data" in entry.path]
    assert data_of(other) == data_of(folder)
    # An interrupted retrieval asks for the rest.
    for uuid in ("u1", "u2", "m1"):
        next((folder / "data" / uuid).iterdir()).unlink()
    for path in (tmp_path / "cache").rglob("*"):
        if path.is_file():
            path.unlink()
    first = len(server.log)
    brought(tmp_path, server)
    assert [sorted(json.loads(entry.body)["ids"]) for entry in server.log[first:]] == [["m1", "u1", "u2"]]
    assert data_of(folder) == data_of(other)


def test_a_cut_archive_keeps_what_came_whole(tmp_path, api, monkeypatch):
    server, handler = api
    whole = len(archive_of(handler))
    server.faults.add("/gdc/data", "cut", at=whole * 2 // 3)
    folder = brought(tmp_path, server)
    asked = [json.loads(entry.body)["ids"] for entry in server.asked("/gdc/data")]
    assert len(asked) > 1
    assert len(asked[0]) == 11
    assert 0 < sum(map(len, asked[1:])) < 11
    assert len(data_of(folder)) == 11


def archive_of(handler: GdcApi) -> bytes:
    """Bytes of an archive of all files, as the server sends it."""
    ids = [hit["file_id"] for hit in world.files_of(handler.folder)]
    response = handler(Request("POST", "/gdc/data", {}, {}, json.dumps({"ids": sorted(ids)}).encode()))
    assert response is not None
    return response.body


@pytest.mark.parametrize("kind", ["500", "503", "429", "cut", "html", "half", "content", "length"])
def test_passing_faults(tmp_path, api, kind):
    server, _ = api
    options = {"retry_after": 0} if kind in ("503", "429") else {"at": 700} if kind == "cut" else {}
    for path in ("/gdc/files", "/gdc/cases", "/gdc/data"):
        if not (kind in ("content", "length") and path != "/gdc/data"):
            server.faults.add(path, kind, **options)
    folder = brought(tmp_path, server)
    assert len(data_of(folder)) == 11
    assert list(read(SOURCE, folder, {}).expression.index) == ["P-1", "P-2", "P-3"]


def test_archives_that_never_come_are_replaced_by_single_files(tmp_path, api):
    server, _ = api
    server.faults.add("/gdc/data", "500", times=None)
    server.faults.add("/gdc/data/u3", "cut", at=100)
    assert len(data_of(brought(tmp_path, server))) == 11
    ranges = [entry.range for entry in server.asked("/gdc/data/u3")]
    assert ranges == ["", "bytes=100-"]


def test_a_wrong_file_is_named(tmp_path, api):
    server, handler = api
    path = next((handler.folder / "data/u4").iterdir())
    path.write_text(world.star(7))
    with pytest.raises(InputError, match=r"data/u4: md5 is .*, published is"):
        brought(tmp_path, server)
    assert not (tmp_path / "out/data/u4").exists()
    path.write_text(world.star(77777))
    with pytest.raises(InputError, match=r"data/u4: .*bytes"):
        brought(tmp_path, server)


def test_a_list_that_grows_while_it_is_read_is_read_again(tmp_path, api):
    server, handler = api
    source = world.files_of(handler.folder)[0]
    handler.added = [{**source, "file_id": "a0"}]
    body = gdc_api.question("files.json", world.PROJECT)
    hits = gdc_api.ask_all(f"{server.url}/gdc/files", body, settings_for(tmp_path), size=5)
    assert len(hits) == 12
    assert [json.loads(entry.body)["from"] for entry in server.log] == [0, 5, 0, 5, 10]


def test_a_list_that_never_stands_still_is_refused(tmp_path, api, monkeypatch):
    server, handler = api
    url, settings = f"{server.url}/gdc/files", settings_for(tmp_path)
    body = gdc_api.question("files.json", world.PROJECT)
    handler.largest = 3  # a service that sends fewer hits than asked for
    with pytest.raises(InputError, match="3 hits from 0 on, where 5 are expected"):
        gdc_api.ask_all(url, body, settings, size=5)
    handler.largest = 10
    hits = world.files_of(handler.folder)
    hits[1]["file_id"] = hits[0]["file_id"]
    world.write_files(handler.folder, hits)
    with pytest.raises(InputError, match="a hit stands twice"):
        gdc_api.ask_all(url, body, settings, size=5)
    with pytest.raises(InputError, match="status 400: invalid request"):
        gdc_api.ask_all(url, {"filters": {"op": "like", "content": []}}, settings)


def test_offline(tmp_path, api):
    server, _ = api
    with pytest.raises(InputError) as caught:
        brought(tmp_path, server, offline=True)
    for name in ("files", "cases"):
        assert f"{server.url}/gdc/{name} -> {tmp_path / 'out' / name}.json" in str(caught.value)
    folder = brought(tmp_path, server)
    first = len(server.log)
    assert brought(tmp_path, server, offline=True) == folder
    for path in (tmp_path / "cache").rglob("*"):
        if path.is_file():
            path.unlink()
    gone = [next((folder / "data" / uuid).iterdir()) for uuid in ("u1", "m2")]
    for path in gone:
        path.unlink()
    with pytest.raises(InputError) as caught:
        brought(tmp_path, server, offline=True)
    for path in gone:
        assert f"{server.url}/gdc/data/{path.parent.name} -> {path}" in str(caught.value)
    assert "2 files are not there" in str(caught.value)
    assert len(server.log) == first


def test_members_that_were_not_asked_for_are_never_written(tmp_path, api):
    server, handler = api
    name = "f0.rna_seq.augmented_star_gene_counts.tsv"
    for member in ("../../evil", "/tmp/evil", "u0/annotations.txt", "superseded_files.txt", f"./u0/{name}"):
        handler.more.append((tarfile.TarInfo(member), b""))
    link = tarfile.TarInfo(f"u0/{name}")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    handler.more.append((link, b""))
    other = tarfile.TarInfo(f"u1/{name.replace('f0', 'f1')}")
    other.size = 4
    handler.more.append((other, b"evil"))
    folder = brought(tmp_path, server)
    assert len(data_of(folder)) == 11
    assert not [path for path in tmp_path.rglob("*") if "evil" in path.name or path.is_symlink()]
    assert (folder / "data/u1" / other.name.partition("/")[2]).read_text() == world.star(10)


def test_batches_are_bounded(tmp_path, monkeypatch):
    files = [Wanted(str(i), tmp_path / str(i), md5="0" * 32, size=10) for i in range(7)]
    monkeypatch.setattr(gdc_batches, "BATCH_FILES", 3)
    assert [len(batch) for batch in gdc_batches._batches(files)] == [3, 3, 1]
    monkeypatch.setattr(gdc_batches, "BATCH_BYTES", 25)
    assert [len(batch) for batch in gdc_batches._batches(files)] == [2, 2, 2, 1]


def test_an_uncompressed_archive_is_read_too(tmp_path, api, monkeypatch):
    server, handler = api
    monkeypatch.setattr("server.gdc.gzip.compress", lambda content, **_: content)
    assert not archive_of(handler).startswith(b"\x1f\x8b")
    assert len(data_of(brought(tmp_path, server))) == 11


def test_an_older_question_is_asked_again_and_the_users_answer_is_not(tmp_path, api):
    server, _ = api
    folder = brought(tmp_path, server)
    path = folder / "files.json"
    saved = json.loads(path.read_text())
    path.write_text(json.dumps({**saved, "question": {"fields": "file_id"}}))
    first = len(server.log)
    brought(tmp_path, server)
    assert {entry.path for entry in server.log[first:]} == {"/gdc/status", "/gdc/files", "/gdc/cases"}
    del saved["question"]
    path.write_text(json.dumps(saved))
    first = len(server.log)
    brought(tmp_path, server)
    assert len(server.log) == first
