"""The server itself."""

from __future__ import annotations

import contextlib
import email.utils
import html
import os
import re
import socket
import sys
import threading
import time
import urllib.parse
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any

from server.faults import PAGE, Fault, Faults
from server.messages import Handler, Logged, Request, Response


class FixtureServer:
    """Serves files below ``root``, and what ``handlers`` answer, on a free port of 127.0.0.1.

    Attributes
    ----------
    url : str
        Without a slash at its end.
    faults : Faults
    log : list of Logged
    """

    def __init__(self, root: Path | str, handlers: Iterable[Handler] = (), port: int = 0, echo: bool = False) -> None:
        self.root = Path(root)
        self.handlers = tuple(handlers)
        self.faults = Faults()
        self.log: list[Logged] = []
        self.echo = echo
        self.unforeseen: list[BaseException] = []
        self._server = _Server(("127.0.0.1", port), _Connection)
        self._server.fixture = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        """Address."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def asked(self, pattern: str = "*") -> list[Logged]:
        """Questions whose path ends as ``pattern`` says (``*``: all)."""
        return [entry for entry in list(self.log) if pattern == "*" or entry.path.endswith(pattern)]

    def __enter__(self) -> FixtureServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._server.hang_up()
        self._thread.join()
        if self.unforeseen and error is None:
            raise self.unforeseen[0]

    def answer(self, request: Request) -> Response:
        """Answer of the handlers, else of the files."""
        for handler in self.handlers:
            if (found := handler(request)) is not None:
                return found
        return _file(self.root, request)


def _file(root: Path, request: Request) -> Response:
    if request.method == "POST":
        return Response.json({"message": "POST is not for files"}, 405)
    path = root.joinpath(*[part for part in request.path.split("/") if part not in ("", ".", "..")])
    if path.is_dir():
        if not request.path.endswith("/"):
            return Response(301, headers={"Location": urllib.parse.quote(request.path) + "/"})
        return Response(200, _index(path, request.path), headers={"Content-Type": "text/html; charset=UTF-8"})
    if not path.is_file():
        page = b"<!DOCTYPE html><html><head><title>404 Not Found</title></head><body>Not Found</body></html>"
        return Response(404, page, headers={"Content-Type": "text/html"})
    state = path.stat()
    headers = {
        "Content-Type": "application/x-gzip" if path.suffix == ".gz" else "text/plain",
        "Last-Modified": email.utils.formatdate(state.st_mtime, usegmt=True),
        "ETag": f'"{state.st_size:x}-{state.st_mtime_ns:x}"',
    }
    return Response(200, path=path, headers=headers, ranges=True)


def _index(folder: Path, path: str) -> bytes:
    """An index page in the manner of GEO's."""
    above = urllib.parse.quote(path.rstrip("/").rpartition("/")[0] + "/")
    lines = [
        '<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 3.2 Final//EN">',
        f"<html><head><title>Index of {html.escape(path)}</title></head><body><h1>Index of {html.escape(path)}</h1>",
        '<pre>Name <a href="?C=M;O=A">Last modified</a> <a href="?C=S;O=A">Size</a><hr>',
        f'<a href="{above}">Parent Directory</a>  -',
    ]
    for entry in sorted(folder.iterdir()):
        name = f"{entry.name}/" if entry.is_dir() else entry.name
        lines.append(f'<a href="{urllib.parse.quote(name)}">{html.escape(name)}</a>  2020-01-01 00:00  1K')
    lines.append('</pre><a href="https://www.example.org/policy/index.html">Policy</a></body></html>')
    return "\n".join(lines).encode()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    fixture: FixtureServer

    def __init__(self, *arguments: Any) -> None:
        self.open: set[socket.socket] = set()
        super().__init__(*arguments)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.open.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """Cut all connections that are still open."""
        for connection in list(self.open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exc_info()[1]
        if error is not None and not isinstance(error, ConnectionError):
            self.fixture.unforeseen.append(error)


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:
        if self.server.fixture.echo:
            super().log_message(format, *args)

    def do_GET(self) -> None:
        self._serve()

    do_HEAD = do_POST = do_GET

    def _serve(self) -> None:
        fixture = self.server.fixture
        parts = urllib.parse.urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        request = Request(
            self.command, urllib.parse.unquote(parts.path), urllib.parse.parse_qs(parts.query), self.headers, body
        )
        fault = fixture.faults.next(request.path, request.method)
        response = _early(fault) if fault else None
        if response is None:
            response = _conditional(fixture.answer(request), request)
        first, last = _range(response, request, bool(fault and fault.kind == "no_range"))
        status = 206 if (first, last) != (0, response.size) else response.status
        if first > last:
            status = 416
        fixture.log.append(
            Logged(
                request.method,
                request.path,
                parts.query,
                self.headers.get("Range", ""),
                status,
                fault.kind if fault else "",
                dict(self.headers.items()),
                body,
            )
        )
        self._send(request, response, status, first, last, fault)

    def _send(
        self, request: Request, response: Response, status: int, first: int, last: int, fault: Fault | None
    ) -> None:
        kind, options = (fault.kind, fault.options) if fault else ("", {})
        total = response.size
        self.send_response(status)
        headers = dict(response.headers)
        if response.ranges:
            headers["Accept-Ranges"] = "bytes"
        if status == 416:
            first = last = 0
            headers["Content-Range"] = f"bytes */{total}"
        elif status == 206:
            headers["Content-Range"] = f"bytes {first}-{last - 1}/{total}"
        if kind == "half":
            last = first + (last - first) // 2
        length = last - first + (options.get("more", 100) if kind == "length" else 0)
        if status != 304:
            headers["Content-Length"] = str(length)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if request.method == "HEAD" or status == 304:
            return
        if kind == "cut":
            last = min(last, first + options.get("at", 0))
        if kind == "stall":
            time.sleep(options.get("seconds", 5))
        if kind == "drip":
            self._drip(response, first, last, options.get("pause", 0.01))
        elif kind == "content":
            self.wfile.write(_spoiled(_bytes(response, first, last)))
        elif response.path is None:
            self.wfile.write(response.body[first:last])
        elif last > first:
            with open(response.path, "rb") as stream:
                self.connection.sendfile(stream, first, last - first)
        if kind in ("cut", "length"):
            self.close_connection = True

    def _drip(self, response: Response, first: int, last: int, pause: float) -> None:
        for byte in _bytes(response, first, last):
            self.wfile.write(bytes([byte]))
            time.sleep(pause)


def _early(fault: Fault) -> Response | None:
    """Answers that do not depend on the question."""
    options = fault.options
    if fault.kind.isdigit():
        headers = {"Content-Type": "application/json", **options.get("headers", {})}
        if "retry_after" in options:
            headers["Retry-After"] = str(options["retry_after"])
        return Response.json({"message": options.get("message", "a fault was asked for")}, int(fault.kind), **headers)
    if fault.kind == "html":
        return Response(200, PAGE, headers={"Content-Type": "text/html"})
    if fault.kind == "redirect":
        return Response(options.get("status", 302), headers={"Location": options["to"]})
    return None


def _conditional(response: Response, request: Request) -> Response:
    """304 where the asker has the newest version."""
    asked = [request.headers.get("If-None-Match"), response.headers.get("ETag")]
    if asked[0] is None:
        asked = [request.headers.get("If-Modified-Since"), response.headers.get("Last-Modified")]
    if response.status == 200 and asked[0] is not None and asked[0] == asked[1]:
        return Response(304, headers=response.headers)
    return response


def _range(response: Response, request: Request, ignored: bool) -> tuple[int, int]:
    """First byte and the one behind the last; (1, 0) for a range outside of the file."""
    total = response.size
    found = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("Range", ""))
    condition = request.headers.get("If-Range")
    known = (response.headers.get("ETag"), response.headers.get("Last-Modified"))
    if not (found and response.ranges and response.status == 200) or ignored or (condition and condition not in known):
        return 0, total
    first = int(found[1])
    last = min(int(found[2]) + 1, total) if found[2] else total
    return (first, last) if first < last else (1, 0)


def _bytes(response: Response, first: int, last: int) -> bytes:
    if response.path is None:
        return response.body[first:last]
    with open(response.path, "rb") as stream:
        os.lseek(stream.fileno(), first, os.SEEK_SET)
        return stream.read(last - first)


def _spoiled(content: bytes) -> bytes:
    """Another byte in the middle."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :] if content else content
