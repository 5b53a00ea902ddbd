"""The shared cache, several files at a time, several processes, and offline mode."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from server import FixtureServer

from amlprognosis.errors import InputError
from amlprognosis.retrieve import cache, download, transfer
from amlprognosis.retrieve.download import Wanted, fetch, fetch_all, write_provenance
from amlprognosis.study.sources import Retrieval

CONTENT = random.Random(2).randbytes(200_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
PROGRAM = """
import signal
import sys
from pathlib import Path
from amlprognosis.retrieve.download import fetch
from amlprognosis.study.sources import Retrieval

# A job in the background of a shell is started with Ctrl-C ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
url, destination, folder = sys.argv[1:]
print("ready", flush=True)
sys.stdin.readline()
fetch(url, destination, settings=Retrieval(cache=folder))
"""


@pytest.fixture
def server(tmp_path):
    (tmp_path / "files").mkdir()
    for name in "abcdefgh":
        (tmp_path / "files" / name).write_bytes(CONTENT if name == "a" else name.encode() * 1000)
    with FixtureServer(tmp_path / "files") as server:
        yield server


@pytest.fixture
def settings(tmp_path):
    return Retrieval(cache=str(tmp_path / "cache"), timeout_seconds=5)


@pytest.fixture
def offline(settings):
    return settings.model_copy(update={"offline": True})


def entry(tmp_path, end=""):
    (found,) = [path for path in (tmp_path / "cache").glob("*/*") if path.name[64:] == end]
    return found


def in_process(url, destination, folder):
    """A process that downloads a file when it is told to."""
    path = str(Path(download.__file__).parents[2])
    command = [sys.executable, "-c", PROGRAM, url, str(destination), str(folder)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path}, text=True, **pipes)


def go(*jobs):
    for job in jobs:
        assert job.stdout.readline() == "ready\n"
    for job in jobs:
        job.stdin.write("\n")
        job.stdin.flush()


class TestCache:
    def test_the_second_study_asks_only_whether_the_file_changed(self, server, settings, tmp_path):
        first = fetch(f"{server.url}/a", tmp_path / "1" / "a", settings=settings)
        second = fetch(f"{server.url}/a", tmp_path / "2" / "a", settings=settings)
        assert [item.status for item in server.log] == [200, 304]
        assert (tmp_path / "2" / "a").read_bytes() == CONTENT
        assert (tmp_path / "1" / "a").stat().st_ino == (tmp_path / "2" / "a").stat().st_ino
        assert (second.sha256, second.etag, second.date) == (first.sha256, first.etag, first.date)

    def test_a_file_that_changed_is_fetched_anew(self, server, settings, tmp_path):
        fetch(f"{server.url}/a", tmp_path / "1" / "a", settings=settings)
        (server.root / "a").write_bytes(b"new")
        fetch(f"{server.url}/a", tmp_path / "2" / "a", settings=settings)
        assert (tmp_path / "1" / "a").read_bytes() == CONTENT
        assert (tmp_path / "2" / "a").read_bytes() == b"new"

    @pytest.mark.parametrize("facts", [{"sha256": SHA256}, {"md5": hashlib.md5(CONTENT).hexdigest().upper()}])
    def test_a_published_checksum_needs_no_question(self, server, settings, tmp_path, facts):
        fetch(f"{server.url}/a", tmp_path / "1" / "a", settings=settings)
        record = fetch(f"{server.url}/a", tmp_path / "2" / "a", settings=settings, **facts)
        assert len(server.log) == 1
        assert record.published == " ".join(next(iter(facts.items()))).lower()

    def test_another_published_checksum_throws_the_copy_away(self, server, settings, tmp_path, caplog):
        fetch(f"{server.url}/b", tmp_path / "1" / "b", settings=settings)
        (server.root / "b").write_bytes(CONTENT)
        fetch(f"{server.url}/b", tmp_path / "2" / "b", sha256=SHA256, size=len(CONTENT), settings=settings)
        assert "thrown away: it is not the file with the published checksum" in caplog.text
        assert (tmp_path / "2" / "b").read_bytes() == CONTENT

    @pytest.mark.parametrize("damage", ["cut", "byte", "gone", "note", "other"])
    def test_a_damaged_copy_is_thrown_away_and_that_is_said(self, server, settings, tmp_path, caplog, damage):
        fetch(f"{server.url}/a", tmp_path / "1" / "a", settings=settings)
        (tmp_path / "1" / "a").unlink()
        path, note = entry(tmp_path), entry(tmp_path, ".json")
        if damage == "cut":
            path.write_bytes(CONTENT[:-1])
        elif damage == "byte":
            path.write_bytes(CONTENT[:-1] + bytes([CONTENT[-1] ^ 1]))
        elif damage == "gone":
            path.unlink()
        else:
            note.write_text("[]" if damage == "note" else note.read_text().replace("/a", "/x"))
        fetch(f"{server.url}/a", tmp_path / "2" / "a", settings=settings)
        assert [item.status for item in server.log] == [200, 200]
        assert "thrown away" in caplog.text
        assert (tmp_path / "2" / "a").read_bytes() == CONTENT

    def test_where_linking_fails_files_are_copied(self, server, settings, tmp_path, monkeypatch):
        def refused(*_):
            raise OSError(18, "Invalid cross-device link")

        monkeypatch.setattr(cache.os, "link", refused)
        fetch(f"{server.url}/a", tmp_path / "1" / "a", settings=settings)
        assert (tmp_path / "1" / "a").read_bytes() == CONTENT
        assert (tmp_path / "1" / "a").stat().st_nlink == 1

    def test_a_server_that_fails_is_no_reason_to_use_an_old_copy_unasked(self, server, settings, tmp_path, waits):
        fetch(f"{server.url}/a", tmp_path / "1" / "a", settings=settings)
        server.faults.add("/a", "500", times=None)
        with pytest.raises(InputError, match=r"status 500.*copy of \d{4}-\d\d-\d\d in the cache"):
            fetch(f"{server.url}/a", tmp_path / "2" / "a", settings=settings)

    def test_a_file_in_place_stands_for_the_download(self, server, settings, tmp_path, monkeypatch):
        (tmp_path / "a").write_bytes(CONTENT)
        record = fetch(f"{server.url}/a", tmp_path / "a", sha256=SHA256, settings=settings)
        assert (server.log, record.sha256) == ([], SHA256)
        with pytest.raises(InputError, match=r"/a: md5 is"):
            fetch(f"{server.url}/a", tmp_path / "a", md5="0" * 32, settings=settings)
        with pytest.raises(InputError, match=r"/a: 200000 bytes, published are 1"):
            fetch(f"{server.url}/a", tmp_path / "a", size=1, settings=settings)
        (tmp_path / "page").write_text("<html></html>")
        with pytest.raises(InputError, match="a web page"):
            fetch(f"{server.url}/a", tmp_path / "page", settings=settings)

    def test_retrieved_again_the_date_stays_that_of_the_download(self, server, settings, tmp_path, monkeypatch):
        monkeypatch.setattr(cache, "today", lambda: "2020-01-01")
        first = fetch(f"{server.url}/a", tmp_path / "1" / "a", settings=settings)
        monkeypatch.setattr(cache, "today", lambda: "2030-01-01")
        in_place = fetch(f"{server.url}/a", tmp_path / "1" / "a", settings=settings)
        linked = fetch(f"{server.url}/a", tmp_path / "2" / "a", settings=settings)
        assert {first.date, in_place.date, linked.date} == {"2020-01-01"}
        assert in_place == first

    def test_a_cache_that_cannot_be_written(self, server, settings, tmp_path):
        (tmp_path / "cache").write_text("a file")
        with pytest.raises(InputError, match=r"cache.*(Not a directory|File exists)"):
            fetch(f"{server.url}/a", tmp_path / "a", settings=settings)


def test_a_cache_that_may_not_be_written_is_read(server, settings, offline, tmp_path, monkeypatch):
    fetch(f"{server.url}/a", tmp_path / "one" / "a", settings=settings)

    def refused(*words, **keys):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(cache.filelock.FileLock, "acquire", refused)
    assert fetch(f"{server.url}/a", tmp_path / "two" / "a", settings=offline).sha256 == SHA256
    assert fetch(f"{server.url}/a", tmp_path / "three" / "a", settings=settings).sha256 == SHA256
    with pytest.raises(InputError, match=r"\.lock: Permission denied; check the permissions, or set retrieval\.cache"):
        fetch(f"{server.url}/b", tmp_path / "b", settings=settings)


def test_a_full_disk_is_called_so(server, settings, tmp_path, monkeypatch):
    """The system writes what it has room for, and fails at the next bytes."""
    room = [150_000]

    class Disk(io.FileIO):
        def write(self, piece):
            count = min(len(piece), room[0])
            if not count:
                raise OSError(errno.ENOSPC, "No space left on device")
            room[0] -= count
            return super().write(piece[:count])

    monkeypatch.setattr(transfer, "open", lambda path, mode, buffering: Disk(path, mode), raising=False)
    with pytest.raises(InputError, match=r"a: No space left on device; make room there and in retrieval\.cache"):
        fetch(f"{server.url}/a", tmp_path / "a", settings=settings)
    assert entry(tmp_path, ".part").stat().st_size == 150_000
    room[0] = 1_000_000
    fetch(f"{server.url}/a", tmp_path / "a", settings=settings)
    assert (tmp_path / "a").read_bytes() == CONTENT
    assert server.log[-1].range == "bytes=150000-"


class TestSeveralFiles:
    def test_the_order_is_that_of_the_question(self, server, settings, tmp_path):
        server.faults.add("/b", "stall", seconds=0.1)
        wanted = [Wanted(f"{server.url}/{name}", tmp_path / "out" / name) for name in "bacdefgh"]
        wanted.insert(3, Wanted(f"{server.url}/none", tmp_path / "out" / "none", optional=True))
        records = fetch_all(wanted, settings)
        assert [record and Path(record.path).name for record in records] == [
            "b",
            "a",
            "c",
            None,
            "d",
            "e",
            "f",
            "g",
            "h",
        ]
        assert not (tmp_path / "out" / "none").exists()
        assert fetch_all([], settings) == []

    def test_one_address_twice_is_downloaded_once(self, server, settings, tmp_path):
        server.faults.add("/a", "stall", seconds=0.2)
        fetch_all([Wanted(f"{server.url}/a", tmp_path / name) for name in "xyz"], settings)
        assert len(server.log) == 1
        assert all((tmp_path / name).read_bytes() == CONTENT for name in "xyz")

    def test_the_first_fault_ends_it_and_all_faults_in_flight_are_told(self, server, settings, tmp_path):
        for name in "abcd":
            server.faults.add(f"/{name}", "404", times=None)
        wanted = [Wanted(f"{server.url}/{name}", tmp_path / name) for name in "abcdefgh"]
        with pytest.raises(InputError, match="no such file on the server") as error:
            fetch_all(wanted, settings)
        assert str(error.value).count("\n") + 1 <= 5
        assert len(server.log) < 8
        with pytest.raises(InputError, match="and 2 more"):
            raise download._one_error([InputError(str(number)) for number in range(7)])

    def test_a_fault_stops_the_others_and_what_has_come_is_kept(self, server, settings, tmp_path):
        server.faults.add("/a", "drip", pause=0.005)
        server.faults.add("/b", "404", times=None)
        started = time.monotonic()
        with pytest.raises(InputError, match=r"/b: no such file on the server") as error:
            fetch_all([Wanted(f"{server.url}/{name}", tmp_path / name) for name in "ab"], settings)
        assert time.monotonic() - started < 4
        assert "/a:" not in str(error.value)
        assert not (tmp_path / "a").exists()
        assert fetch(f"{server.url}/a", tmp_path / "a", settings=settings).sha256 == SHA256

    def test_a_fault_stops_those_who_wait_for_another_job(self, server, settings, tmp_path, caplog):
        server.faults.add("/b", "404", times=None)
        wanted = [Wanted(f"{server.url}/{name}", tmp_path / name) for name in "ab"]
        slot = cache.Slot(settings.cache, wanted[0])
        with slot.locked(), caplog.at_level("INFO"), pytest.raises(InputError, match=r"/b: no such file"):
            fetch_all(wanted, settings)
        assert "/a: waits for another job that downloads it" in caplog.text

    def test_two_files_at_one_place_are_refused(self, server, settings, tmp_path):
        with pytest.raises(InputError, match=r"/x: two files would be written there"):
            fetch_all([Wanted(f"{server.url}/{name}", tmp_path / "x") for name in "ab"], settings)

    def test_faults_of_the_program_are_not_dressed_up(self, settings, tmp_path, monkeypatch):
        monkeypatch.setattr(download, "_copied", lambda wanted: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            fetch_all([Wanted("a", tmp_path / "a"), Wanted("b", tmp_path / "b")], settings)


class TestOffline:
    def test_what_is_missing_is_listed_with_address_and_place(self, server, settings, offline, tmp_path):
        fetch(f"{server.url}/a", tmp_path / "1" / "a", settings=settings)
        (tmp_path / "2").mkdir()
        (tmp_path / "2" / "b").write_bytes(b"by hand")
        (tmp_path / "local").write_text("local")
        wanted = [Wanted(f"{server.url}/{name}", tmp_path / "2" / name) for name in "abcd"]
        wanted.append(Wanted(f"{server.url}/e", tmp_path / "2" / "e", optional=True))
        wanted.append(Wanted(str(tmp_path / "local"), tmp_path / "2" / "local"))
        with pytest.raises(InputError) as error:
            fetch_all(wanted, offline)
        assert str(error.value).split("\n") == [
            "retrieval.offline is set, and 2 files are not there:",
            f"  {server.url}/c -> {tmp_path}/2/c",
            f"  {server.url}/d -> {tmp_path}/2/d",
            "Put each file at its place, name a folder that has them as base_url, or set retrieval.offline: false",
        ]
        for name in "cd":
            (tmp_path / "2" / name).write_text("by hand, too")
        records = fetch_all(wanted, offline)
        assert [record is None for record in records] == [False, False, False, False, True, False]
        assert len(server.log) == 1
        assert (tmp_path / "2" / "a").read_bytes() == CONTENT

    def test_a_damaged_copy_does_not_serve(self, server, settings, offline, tmp_path):
        fetch(f"{server.url}/b", tmp_path / "1" / "b", settings=settings)
        (tmp_path / "1" / "b").write_bytes(b"edited in place, as a link allows")
        with pytest.raises(InputError, match="1 file is not there"):
            fetch(f"{server.url}/b", tmp_path / "2" / "b", settings=offline)

    def test_a_copy_of_another_version_than_published_is_refused(self, server, settings, offline, tmp_path):
        fetch(f"{server.url}/b", tmp_path / "1" / "b", settings=settings)
        with pytest.raises(InputError, match="sha256 is"):
            fetch(f"{server.url}/b", tmp_path / "2" / "b", settings=offline, sha256=SHA256)
        assert not (tmp_path / "2" / "b").exists()


class TestProcesses:
    def test_two_processes_download_a_file_once(self, server, tmp_path):
        server.faults.add("/a", "stall", seconds=1)
        jobs = [in_process(f"{server.url}/a", tmp_path / name / "a", tmp_path / "cache") for name in "12"]
        go(*jobs)
        for job in jobs:
            _, text = job.communicate(timeout=60)
            assert job.returncode == 0, text
        assert len(server.log) == 1
        assert (tmp_path / "1" / "a").read_bytes() == (tmp_path / "2" / "a").read_bytes() == CONTENT

    def test_a_killed_download_goes_on_where_it_ended(self, server, settings, tmp_path):
        server.faults.add("/a", "drip", pause=0.001)
        job = in_process(f"{server.url}/a", tmp_path / "a", tmp_path / "cache")
        go(job)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            parts = list((tmp_path / "cache").glob("*/*.part"))
            if parts and parts[0].stat().st_size > 300:
                break
            time.sleep(0.005)
        job.send_signal(signal.SIGKILL)
        job.communicate()
        kept = parts[0].stat().st_size
        assert not (tmp_path / "a").exists()
        fetch(f"{server.url}/a", tmp_path / "a", settings=settings)
        assert (tmp_path / "a").read_bytes() == CONTENT
        assert [item.range for item in server.log] == ["", f"bytes={kept}-"]
        assert kept > 300

    def test_ctrl_c_ends_it_at_once(self, server, settings, tmp_path):
        server.faults.add("/a", "stall", seconds=30)
        job = in_process(f"{server.url}/a", tmp_path / "a", tmp_path / "cache")
        go(job)
        deadline = time.monotonic() + 60
        while not server.log and time.monotonic() < deadline:
            time.sleep(0.01)
        started = time.monotonic()
        job.send_signal(signal.SIGINT)
        try:
            _, text = job.communicate(timeout=20)
        finally:
            job.kill()
        assert time.monotonic() - started < 5
        assert "KeyboardInterrupt" in text
        # The lock went with the process.
        fetch(f"{server.url}/a", tmp_path / "a", settings=settings)


def test_provenance_tells_what_was_published_and_which_version(server, settings, tmp_path):
    md5 = hashlib.md5(CONTENT).hexdigest()
    remote = fetch(f"{server.url}/a", tmp_path / "out" / "a", md5=md5, settings=settings)
    local = fetch(str(server.root / "b"), tmp_path / "out" / "b")
    rows = json.loads(write_provenance(tmp_path / "out", [local, remote], "CC0").read_text())
    common = {"url", "path", "size", "sha256", "date", "licence"}
    assert set(rows[0]) == common | {"published", "modified", "etag"}
    assert rows[0]["published"] == f"md5 {md5}"
    assert set(rows[1]) == common


def test_threads_end_and_leave_no_connection(server, settings, tmp_path):
    before = threading.active_count()
    fetch_all([Wanted(f"{server.url}/{name}", tmp_path / name) for name in "abcdefgh"], settings)
    # Those of the server end as its connections do.
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= before
