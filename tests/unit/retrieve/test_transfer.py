"""Every fault a server can have, and what a download makes of it."""

from __future__ import annotations

import email.utils
import gzip
import hashlib
import io
import json
import random
import socket
import threading
import time
import zipfile

import pytest
import requests
from server import FixtureServer, Response

from amlprognosis.errors import InputError
from amlprognosis.retrieve import transfer, web
from amlprognosis.retrieve.download import Wanted, fetch, fetch_all
from amlprognosis.retrieve.web import request_json
from amlprognosis.study.sources import Retrieval

CONTENT = random.Random(1).randbytes(300_000)
MD5 = hashlib.md5(CONTENT).hexdigest()


@pytest.fixture
def server(tmp_path):
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a.bin").write_bytes(CONTENT)
    (tmp_path / "files" / "a.txt.gz").write_bytes(gzip.compress(CONTENT, mtime=0))
    with FixtureServer(tmp_path / "files") as server:
        yield server


@pytest.fixture
def settings(tmp_path):
    return Retrieval(cache=str(tmp_path / "cache"), timeout_seconds=5)


@pytest.fixture
def get(server, settings, tmp_path, waits):
    """Fetches a file of the server; gives its bytes."""

    def get(name="a.bin", **facts):
        fetch(f"{server.url}/{name}", tmp_path / "out" / name, settings=facts.pop("settings", settings), **facts)
        return (tmp_path / "out" / name).read_bytes()

    return get


def ranges(server):
    return [entry.range for entry in server.log]


def test_a_file_comes_whole_with_its_record(server, settings, tmp_path):
    record = fetch(f"{server.url}/a.bin", tmp_path / "x" / "a.bin", md5=MD5, size=len(CONTENT), settings=settings)
    assert (tmp_path / "x" / "a.bin").read_bytes() == CONTENT
    assert (record.size, record.sha256) == (len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
    assert (record.url, record.published) == (f"{server.url}/a.bin", f"md5 {MD5}")
    assert record.etag.startswith('"')
    assert record.modified.endswith("GMT")
    (entry,) = server.log
    assert entry.headers["User-Agent"].startswith("amlprognosis/")
    assert entry.headers["Accept-Encoding"] == "identity"
    assert not list((tmp_path / "x").glob(".*"))
    assert not list((tmp_path / "cache").glob("*/*.part*"))


@pytest.mark.parametrize("kind", ["408", "425", "429", "500", "502", "503", "504"])
def test_a_status_that_may_pass_is_asked_again(server, get, waits, kind):
    server.faults.add("/a.bin", kind, times=3)
    assert get() == CONTENT
    assert [entry.status for entry in server.log] == [int(kind)] * 3 + [200]
    # Exponential, with jitter below a second.
    assert all(low <= wait <= low + 1 for low, wait in zip((1, 2, 4), waits, strict=True))


@pytest.mark.parametrize(
    ("after", "low", "high"),
    [
        ("7", 7, 7),
        (0, 1, 2),
        ("soon", 1, 2),
        ("86400", web.LONGEST_WAIT, web.LONGEST_WAIT),
        ("date", 25, 31),
        ("past", 1, 2),
    ],
)
def test_retry_after_is_obeyed_up_to_a_cap_that_is_told(server, get, waits, caplog, after, low, high):
    dates = {"date": time.time() + 30, "past": time.time() - 9000}
    after = email.utils.formatdate(dates[after], usegmt=True) if after in dates else after
    server.faults.add("/a.bin", "503", retry_after=after)
    with caplog.at_level("INFO"):
        assert get() == CONTENT
    assert low <= waits[0] <= high
    assert ("asks for 86400 s; 300 s is the most" in caplog.text) == (after == "86400")


def test_the_attempts_end_with_one_clear_error(server, get, settings, waits, tmp_path):
    server.faults.add("/a.bin", "503", times=None, message="maintenance")
    with pytest.raises(
        InputError, match=r"a.bin: status 503: maintenance; given up after 3 attempts.*out/a\.bin"
    ) as error:
        get(settings=settings.model_copy(update={"attempts": 3}))
    assert server.url in str(error.value)
    assert len(server.log) == 3
    assert list((tmp_path / "out").glob("*")) == [] if (tmp_path / "out").exists() else True


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("404", "no such file on the server"),
        ("410", "no such file on the server"),
        ("401", "controlled access"),
        ("403", r"refuses it \(status 403: ask the committee\): controlled access.*mirror"),
        ("407", "proxy"),
        ("400", "status 400: ask the committee"),
    ],
)
def test_a_refusal_is_not_asked_again(server, get, waits, kind, words):
    server.faults.add("/a.bin", kind, times=None, message="ask the committee")
    with pytest.raises(InputError, match=words):
        get()
    assert len(server.log) == 1
    assert waits == []


def test_a_cut_connection_goes_on_where_it_ended(server, get):
    server.faults.add("/a.bin", "cut", at=100_000)
    server.faults.add("/a.bin", "cut", at=50_000)
    assert get() == CONTENT
    assert ranges(server) == ["", "bytes=100000-", "bytes=150000-"]
    assert [entry.status for entry in server.log] == [200, 206, 206]
    assert server.log[1].if_range.startswith('"')


def test_a_connection_cut_before_the_first_byte(server, get):
    server.faults.add("/a.bin", "cut", at=0)
    assert get() == CONTENT


def test_a_promise_of_more_bytes_than_come_is_no_success(server, get, settings):
    server.faults.add("/a.bin", "length", more=50)
    assert get() == CONTENT
    # All 300,000 bytes have come, so that there is no more to go on with (416).
    assert [entry.status for entry in server.log] == [200, 416, 200]
    # Here the server's size is wrong for good.
    server.faults.add("/a.txt.gz", "length", times=None)
    with pytest.raises(InputError, match=r"the connection was cut \(Incomplete.*given up after 2 attempts"):
        get("a.txt.gz", settings=settings.model_copy(update={"attempts": 2}))


def test_a_wrong_checksum_is_asked_for_twice_again(server, get, tmp_path):
    server.faults.add("/a.bin", "content", times=2)
    assert get(md5=MD5) == CONTENT
    assert ranges(server) == ["", "", ""]
    server.faults.add("/a.txt.gz", "content", times=None)
    with pytest.raises(InputError, match=r"a\.txt\.gz: md5 is [0-9a-f]{32}, published is [0-9a-f]{32}"):
        get("a.txt.gz", md5=hashlib.md5((tmp_path / "files" / "a.txt.gz").read_bytes()).hexdigest())
    assert len(server.asked("a.txt.gz")) == 3
    assert not list((tmp_path / "cache").glob("*/*.part*"))
    with pytest.raises(InputError, match="sha256 is"):
        get("a.txt.gz", sha256="0" * 64)


def test_another_size_than_published_is_refused(server, get):
    with pytest.raises(InputError, match=r"has 300000 bytes, published are 300001"):
        get(size=300_001)
    assert len(server.log) == 3


def test_a_web_page_is_refused_and_not_asked_for_for_ever(server, get):
    server.faults.add("/a.bin", "html", times=2)
    assert get() == CONTENT
    server.faults.add("/a.txt.gz", "html", times=None)
    with pytest.raises(InputError, match=r"a\.txt\.gz: a web page \(HTML\), not data"):
        get("a.txt.gz")
    assert len(server.asked("a.txt.gz")) == 3


def test_a_web_page_in_the_middle_does_not_cost_what_has_come(server, get):
    server.faults.add("/a.bin", "cut", at=200_000)
    server.faults.add("/a.bin", "html")
    assert get() == CONTENT
    assert ranges(server) == ["", "bytes=200000-", "bytes=200000-"]


@pytest.mark.parametrize(
    ("name", "content", "words"), [("a.json", b'{"hits": [1, 2, 3]}\n', "JSON"), ("a.xlsx", b"", "workbook")]
)
def test_half_of_an_answer_that_the_server_calls_whole_is_asked_for_again(server, get, name, content, words):
    if name.endswith(".xlsx"):
        with zipfile.ZipFile(server.root / name, "w") as archive:
            archive.writestr("a.xml", "x" * 100)
        content = (server.root / name).read_bytes()
    (server.root / name).write_bytes(content)
    server.faults.add(f"/{name}", "half", times=1)
    assert get(name) == content
    (server.root / f"b{name}").write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=f"b{name}: no.* {words}.* cut off"):
        get(f"b{name}")


def test_half_of_a_gzip_is_refused(server, get):
    server.faults.add("/a.txt.gz", "half", times=1)
    assert gzip.decompress(get("a.txt.gz")) == CONTENT
    server.root.joinpath("b.txt.gz").write_bytes(gzip.compress(CONTENT, mtime=0)[:-9])
    with pytest.raises(InputError, match="cut off or damaged"):
        get("b.txt.gz")
    assert len(server.asked("b.txt.gz")) == 3


def test_a_slow_drip_is_left_for_a_new_attempt(server, get, monkeypatch):
    monkeypatch.setattr(web, "SLOW_SECONDS", 0.2)
    server.faults.add("/a.bin", "drip", pause=0.01)
    assert get() == CONTENT
    assert server.log[1].range.startswith("bytes=")
    assert 0 < int(server.log[1].range[6:-1]) < 200


def test_a_silent_server_is_left_for_a_new_attempt(server, get, settings):
    server.faults.add("/a.bin", "stall", seconds=0.6)
    assert get(settings=settings.model_copy(update={"timeout_seconds": 0.2})) == CONTENT
    assert len(server.log) == 2


def test_a_server_that_ignores_range_is_begun_anew(server, get):
    server.faults.add("/a.bin", "cut", at=100_000)
    server.faults.add("/a.bin", "no_range")
    assert get() == CONTENT
    assert [entry.status for entry in server.log] == [200, 200]


def changed(server, get, settings, **facts):
    """Interrupts a download and changes the file."""
    server.faults.add("/a.bin", "cut", at=100_000)
    with pytest.raises(InputError, match="given up after 1 attempt"):
        get(settings=settings.model_copy(update={"attempts": 1}))
    other = CONTENT[::-1]
    (server.root / "a.bin").write_bytes(other)
    return other


def test_a_file_that_changed_between_attempts_is_begun_anew(server, get, settings):
    other = changed(server, get, settings)
    assert get() == other
    assert [(entry.range, entry.status) for entry in server.log] == [("", 200), ("bytes=100000-", 200)]


def test_a_changed_file_is_seen_even_if_the_server_does_not_know_if_range(tmp_path, settings, waits):
    bodies = [CONTENT, CONTENT[::-1]]

    def handler(request):
        headers = {"ETag": f'"{hashlib.md5(bodies[0]).hexdigest()}"'}
        body = bodies[0]
        if "Range" not in request.headers:
            return Response(200, body, headers=headers)
        start = int(request.headers["Range"][6:-1])
        return Response(206, body[start:], headers={**headers, "Content-Range": f"bytes {start}-299999/300000"})

    with FixtureServer(tmp_path, [handler]) as server:
        server.faults.add("/a", "cut", at=1000)
        with pytest.raises(InputError):
            fetch(f"{server.url}/a", tmp_path / "a", settings=settings.model_copy(update={"attempts": 1}))
        del bodies[0]
        fetch(f"{server.url}/a", tmp_path / "a", settings=settings)
        assert ranges(server) == ["", "bytes=1000-", ""]
    assert (tmp_path / "a").read_bytes() == bodies[0]


@pytest.mark.parametrize("answer", ["bytes 0-299999/300000", "bytes 1000-299999/400000", "nonsense", ""])
def test_a_part_that_was_not_asked_for_is_not_taken(tmp_path, settings, waits, answer):
    def handler(request):
        if "Range" not in request.headers:
            return Response(200, CONTENT, headers={"ETag": '"1"'})
        return Response(206, CONTENT, headers={"Content-Range": answer} if answer else {})

    with FixtureServer(tmp_path, [handler]) as server:
        server.faults.add("/a", "cut", at=1000)
        fetch(f"{server.url}/a", tmp_path / "a", settings=settings)
        assert ranges(server) == ["", "bytes=1000-", ""]
    assert (tmp_path / "a").read_bytes() == CONTENT


@pytest.mark.parametrize("published", [False, True])
def test_without_versions_only_a_published_checksum_joins_two_halves(tmp_path, settings, waits, published):
    def handler(request):
        return Response(200, CONTENT, ranges=True)

    with FixtureServer(tmp_path, [handler]) as server:
        server.faults.add("/a", "cut", at=1000)
        fetch(f"{server.url}/a", tmp_path / "a", md5=MD5 if published else None, settings=settings)
        assert ranges(server) == ["", "bytes=1000-" if published else ""]
    assert (tmp_path / "a").read_bytes() == CONTENT


def test_a_shorter_file_than_the_part_is_begun_anew(server, get, settings, tmp_path):
    changed(server, get, settings)
    (note,) = (tmp_path / "cache").glob("*/*.part.json")
    # A version that still fits: only the range does not (416).
    (server.root / "a.bin").write_bytes(CONTENT[:50_000])
    state = (server.root / "a.bin").stat()
    note.write_text(json.dumps({**json.loads(note.read_text()), "etag": f'"{state.st_size:x}-{state.st_mtime_ns:x}"'}))
    assert get() == CONTENT[:50_000]
    assert [entry.status for entry in server.log] == [200, 416, 200]


def test_a_whole_part_whose_end_was_not_noted_costs_one_byte(server, get, settings, tmp_path):
    server.faults.add("/a.bin", "cut", at=100_000)
    with pytest.raises(InputError):
        get(settings=settings.model_copy(update={"attempts": 1}))
    (part,) = (tmp_path / "cache").glob("*/*.part")
    part.write_bytes(CONTENT)
    assert get() == CONTENT
    assert server.log[-1].range == "bytes=299999-"


def test_a_part_without_its_description_is_begun_anew(server, get, settings, tmp_path):
    server.faults.add("/a.bin", "cut", at=100_000)
    with pytest.raises(InputError):
        get(settings=settings.model_copy(update={"attempts": 1}))
    (note,) = (tmp_path / "cache").glob("*/*.part.json")
    note.write_text("{")
    assert get() == CONTENT
    assert ranges(server) == ["", ""]


def test_no_server_at_all(settings, tmp_path, waits):
    with pytest.raises(InputError, match=r"no connection \(Connection refused\); given up after 6 .*network.*offline"):
        fetch("http://127.0.0.1:9/a", tmp_path / "a", settings=settings)
    assert len(waits) == 5


def test_a_dead_proxy_is_called_so(settings, tmp_path, waits, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://me:secret@127.0.0.1:9")
    with pytest.raises(web.NoConnection, match=r"by the proxy that .* names \(Connection refused\)") as error:
        fetch("http://example.org/a", tmp_path / "a", settings=settings)
    assert "secret" not in str(error.value)


def test_a_server_that_opens_no_connection_is_not_waited_for_long(settings, tmp_path, waits, monkeypatch):
    asked = []

    def request(self, *words, timeout, **keys):
        asked.append(timeout)
        raise requests.exceptions.ConnectTimeout

    monkeypatch.setattr(web._Session, "request", request)
    with pytest.raises(web.NoConnection, match=r"no connection \(none within 10 s\)"):
        fetch("http://127.0.0.1:9/a", tmp_path / "a", settings=settings.model_copy(update={"timeout_seconds": 60}))
    assert asked == [(10, 60)] * 6


def test_redirects_are_followed_but_not_in_circles(server, get):
    server.faults.add("/b.bin", "redirect", to="/a.bin")
    assert get("b.bin") == CONTENT
    server.faults.add("/c.bin", "redirect", to="/c.bin", times=None)
    with pytest.raises(InputError, match="in a circle"):
        get("c.bin")
    server.faults.add("/d.bin", "redirect", to="http://[bad", times=None)
    with pytest.raises(InputError, match=r"/d\.bin: redirects to 'http://\[bad', which is no address"):
        get("d.bin")


def test_no_redirect_leaves_a_secure_connection():
    response = requests.Response()
    response.status_code, response.url = 302, "https://example.org/a"
    response.headers["Location"] = "http://example.org/a"
    response.raw = io.BytesIO()
    response.request = requests.Request("GET", response.url).prepare()
    with pytest.raises(InputError, match=r"redirects from https to http://example\.org/a"):
        web._Session().get_redirect_target(response)


def test_a_question_with_a_body_is_not_redirected_into_another(server, settings):
    server.faults.add("/files", "redirect", to="/other")
    with pytest.raises(InputError, match="moved to /other; name that place as base_url"):
        request_json(f"{server.url}/files", settings, body={"size": 1})


@pytest.mark.parametrize(
    "url", ["http://", "http:///a", "http://[::1/a", "http://a b/c", "ftp://example.org/a", "https://*/"]
)
def test_faulty_addresses(url, settings, tmp_path, waits):
    with pytest.raises(InputError, match=r"address|ftp|connection"):
        fetch(url, tmp_path / "a", settings=settings)


def test_an_address_with_a_password_is_refused_without_telling_it(settings, tmp_path):
    with pytest.raises(InputError, match=r"^example\.org/a: .*netrc") as error:
        fetch("https://me:secret@example.org/a", tmp_path / "a", settings=settings)
    assert "secret" not in str(error.value)


def test_an_encoding_that_was_not_asked_for_is_undone_but_not_for_gz(tmp_path, settings, waits):
    zipped = gzip.compress(b"data\n", mtime=0)

    def handler(request):
        return Response(200, zipped, headers={"Content-Encoding": "gzip", "ETag": '"1"'})

    with FixtureServer(tmp_path, [handler]) as server:
        server.faults.add("/a.txt", "cut", at=10)
        fetch(f"{server.url}/a.txt", tmp_path / "a.txt", settings=settings)
        fetch(f"{server.url}/a.txt.gz", tmp_path / "a.txt.gz", settings=settings)
    assert (tmp_path / "a.txt").read_bytes() == b"data\n"
    assert (tmp_path / "a.txt.gz").read_bytes() == zipped


def test_an_answer_without_a_length_is_taken_to_its_end(tmp_path, settings):
    """As GDC sends archives: in chunks, without Content-Length."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for start in range(0, len(CONTENT), 70_000):
                piece = CONTENT[start : start + 70_000]
                connection.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
            connection.sendall(b"0\r\n\r\n")

    thread = threading.Thread(target=serve)
    thread.start()
    with listener:
        fetch(f"http://127.0.0.1:{listener.getsockname()[1]}/a", tmp_path / "a", settings=settings)
        thread.join()
    assert (tmp_path / "a").read_bytes() == CONTENT


def test_chunks_that_end_too_early_are_asked_for_again(tmp_path, settings, waits):
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        for end in (b"", b"0\r\n\r\n"):
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
                connection.sendall(head + b"5\r\ndata\n\r\n" + end)

    thread = threading.Thread(target=serve)
    thread.start()
    with listener:
        fetch(f"http://127.0.0.1:{listener.getsockname()[1]}/a", tmp_path / "a", settings=settings)
        thread.join()
    assert (tmp_path / "a").read_bytes() == b"data\n"
    assert len(waits) == 1


def test_progress_is_logged(server, get, caplog, monkeypatch):
    monkeypatch.setattr(transfer, "_PROGRESS_SECONDS", 0.0)
    with caplog.at_level("INFO"):
        get()
    assert "of 300.0 kB (" in caplog.text
    assert "s left" in caplog.text
    assert "a.bin: 300.0 kB in" in caplog.text


def test_the_answer_of_an_api_is_saved_as_a_file(tmp_path, settings, waits):
    asked = []

    def handler(request):
        asked.append(request.json())
        return Response.json({"data": len(asked)})

    wanted = Wanted("", tmp_path / "files.json", body={"size": 2, "from": 0})
    with FixtureServer(tmp_path, [handler]) as server:
        wanted = Wanted(f"{server.url}/files", tmp_path / "1" / "files.json", body={"size": 2, "from": 0})
        server.faults.add("/files", "cut", at=3)
        fetch_all([wanted], settings)
        assert asked == [{"size": 2, "from": 0}] * 2
        assert server.log[-1].method == "POST"
        # An API's answer may change: it is asked again with network, and used again without.
        again = Wanted(wanted.url, tmp_path / "2" / "files.json", body={"from": 0, "size": 2})
        fetch_all([again], settings)
        assert json.loads(again.destination.read_text()) == {"data": 3}
    third = Wanted(wanted.url, tmp_path / "3" / "files.json", body={"from": 0, "size": 2})
    fetch_all([third], settings.model_copy(update={"offline": True}))
    assert json.loads(third.destination.read_text()) == {"data": 3}


class TestRequestJson:
    def test_an_answer(self, tmp_path, settings, waits):
        def handler(request):
            return Response.json({"query": request.query, "body": request.json() if request.body else None})

        with FixtureServer(tmp_path, [handler]) as server:
            server.faults.add("/api", "500")
            found = request_json(f"{server.url}/api", settings, params={"size": 3})
            assert found == {"query": {"size": ["3"]}, "body": None}
            assert request_json(f"{server.url}/api", settings, body={"a": 1})["body"] == {"a": 1}
            assert [entry.status for entry in server.log] == [500, 200, 200]

    def test_a_service_s_own_message_is_shown(self, server, settings, waits):
        server.faults.add("/api", "400", message="Request had unknown field")
        with pytest.raises(InputError, match=r"/api: status 400: Request had unknown field"):
            request_json(f"{server.url}/api", settings)

    def test_what_is_no_json(self, server, settings, waits):
        server.faults.add("/api", "html", times=None)
        with pytest.raises(InputError, match=r"/api: a web page \(HTML\), not JSON"):
            request_json(f"{server.url}/api", settings)
        assert len(server.log) == 3
        (server.root / "text").write_text("no json")
        with pytest.raises(InputError, match="/text: not JSON but b'no json'"):
            request_json(f"{server.url}/text", settings)

    def test_cut_and_slow_answers_are_asked_for_again(self, server, settings, waits, monkeypatch):
        (server.root / "a.json").write_text(json.dumps(list(range(2000))))
        server.faults.add("/a.json", "cut", at=100)
        server.faults.add("/a.json", "drip", pause=0.01)
        monkeypatch.setattr(web, "SLOW_SECONDS", 0.1)
        assert request_json(f"{server.url}/a.json", settings) == list(range(2000))
        assert len(server.log) == 3

    def test_offline_and_local(self, tmp_path, settings):
        with pytest.raises(InputError, match=r"retrieval\.offline is set"):
            request_json("http://127.0.0.1:9/a", settings.model_copy(update={"offline": True}))
        (tmp_path / "a.json").write_text("[1]")
        assert request_json(f"file://{tmp_path}/a.json") == [1]
        with pytest.raises(InputError, match=r"b\.json: No such file"):
            request_json(str(tmp_path / "b.json"))
