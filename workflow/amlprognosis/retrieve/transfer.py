"""Download of one file: goes on where the last attempt ended, and ends with the right bytes or a clear error.

requests transfers and tenacity tries again. pooch, which keeps a cache of published files, is not used for this: it
begins a download anew after every fault (no Range), needs the checksum of every file beforehand or gives up checking,
and has neither time guard nor Retry-After.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import re
import threading
import time
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import requests

from amlprognosis.errors import InputError
from amlprognosis.retrieve.digests import Digests
from amlprognosis.retrieve.files import check_content, check_end, looks_like_html
from amlprognosis.retrieve.records import Wanted, checksum_fault, write_text_whole
from amlprognosis.retrieve.web import Damaged, Passing, ask, persist, pieces
from amlprognosis.study.sources import Retrieval

log = logging.getLogger(__name__)
_PROGRESS_SECONDS = 10.0


@dataclass(frozen=True)
class Validators:
    """What tells versions of a file apart: ETag and Last-Modified, as the server gave them (RFC 9110, 8.8)."""

    etag: str = ""
    modified: str = ""

    @property
    def strong(self) -> str:
        """What may stand in If-Range: a strong ETag, else the date."""
        return self.etag if self.etag and not self.etag.startswith("W/") else self.modified

    def differ(self, other: Validators) -> bool:
        """Whether two answers are of different versions, as far as both say."""
        pairs = ((self.etag, other.etag), (self.modified, other.modified))
        return any(ours != theirs for ours, theirs in pairs if ours and theirs)


@dataclass(frozen=True)
class Received:
    """What a download gave: bytes, checksums (hex; md5 only where one is published), validators."""

    size: int
    sha256: str
    md5: str
    validators: Validators


@dataclass(frozen=True)
class _Part:
    """The small file beside a partial file, from which another process goes on."""

    url: str
    size: int | None
    etag: str
    modified: str


def download(
    wanted: Wanted, part: Path, settings: Retrieval, stop: threading.Event, held: Validators | None = None
) -> Received | None:
    """Download a file to ``part``, checked.

    Parameters
    ----------
    wanted : Wanted
        A http(s) URL and what is published about the file.
    part : Path
        Where the bytes go; a partial file of another process is gone on with. ``<part>.json`` lies beside it until
        the file is whole.
    settings : Retrieval
    stop : Event
        Gives the download up; what has come is kept.
    held : Validators, optional
        Version of a copy that is at hand.

    Returns
    -------
    Received or None
        None: the server says that the copy at hand is the newest.

    Raises
    ------
    InputError
        With the address: no such file, refused, wrong checksum or size, a web page, a cut gzip file, no success in
        all attempts.
    """
    return persist(partial(_attempt, wanted, part, settings, stop, held), wanted.url, settings, stop)


class _Unfit(Exception):
    """What is there already does not go with what the server has now."""


def _note(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _known(wanted: Wanted, part: Path) -> _Part | None:
    """State of a partial file that may be gone on with."""
    try:
        state = _Part(**json.loads(_note(part).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    usable = state.url == wanted.url and part.is_file() and part.stat().st_size > 0 and wanted.body is None
    # Without a version of the server's, only a published checksum can tell that two halves belong together.
    return state if usable and (Validators(state.etag, state.modified).strong or wanted.published) else None


def _attempt(
    wanted: Wanted, part: Path, settings: Retrieval, stop: threading.Event, held: Validators | None
) -> Received | None:
    with contextlib.suppress(_Unfit):
        return _once(wanted, part, settings, stop, held)
    log.info("%s: changed, or cannot be gone on with; begun anew", wanted.url)
    discard(part)
    return _once(wanted, part, settings, stop, held)


def _once(
    wanted: Wanted, part: Path, settings: Retrieval, stop: threading.Event, held: Validators | None
) -> Received | None:
    state = _known(wanted, part)
    headers, offset = {}, 0
    if state:
        offset = part.stat().st_size
        if state.size is not None:
            # A whole file whose end was not noted any more: its last byte is asked for again.
            offset = min(offset, max(state.size - 1, 0))
        headers["Range"] = f"bytes={offset}-"
        if version := Validators(state.etag, state.modified).strong:
            headers["If-Range"] = version
    elif held:
        pairs = {"If-None-Match": held.etag, "If-Modified-Since": held.modified}
        headers = {name: value for name, value in pairs.items() if value}
    with ask(wanted.url, settings, body=wanted.body, headers=headers) as response:
        if response.status_code == 304:
            if held is None or state is not None:
                raise Passing("status 304, though nothing was compared")
            return None
        validators = Validators(response.headers.get("ETag", ""), response.headers.get("Last-Modified", ""))
        if response.status_code != 200:
            total = _total(response, state, offset, validators)
        else:
            offset, total = 0, _length(response)
        found = _receive(wanted, part, response, offset, total, validators, settings, stop)
    return _checked(wanted, part, found, validators)


def _total(response: requests.Response, state: _Part | None, offset: int, validators: Validators) -> int | None:
    """Size of a file that is gone on with."""
    if state is None:
        raise Passing(f"status {response.status_code}, though the whole file was asked for")
    found = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", response.headers.get("Content-Range", "").strip())
    if response.status_code != 206 or found is None or int(found[1]) != offset:
        raise _Unfit
    total = state.size if found[3] == "*" else int(found[3])
    if validators.differ(Validators(state.etag, state.modified)) or state.size not in (None, total):
        raise _Unfit
    return total


def _length(response: requests.Response) -> int | None:
    length = response.headers.get("Content-Length", "").strip()
    return int(length) if length.isascii() and length.isdigit() else None


def _receive(
    wanted: Wanted,
    part: Path,
    response: requests.Response,
    offset: int,
    total: int | None,
    validators: Validators,
    settings: Retrieval,
    stop: threading.Event,
) -> dict[str, str]:
    """Write the body from ``offset`` on; gives the checksums of the file."""
    # Some servers call .gz files gzip-encoded; they are kept as they are. Anything else encoded, though it was not
    # asked for, is undone: its length is that of other bytes, and it cannot be gone on with.
    encoding = response.headers.get("Content-Encoding", "identity").lower()
    decode = encoding not in ("", "identity") and not wanted.destination.name.endswith(".gz")
    if decode:
        total = None
    if total is not None and wanted.size is not None and total != wanted.size:
        discard(part)
        raise Damaged(f"the server's file has {total} bytes, published are {wanted.size}: another version")
    body = pieces(response, settings, stop, decode)
    first = next(body, b"")
    if offset == 0 and looks_like_html(first):
        raise Damaged("a web page (HTML), not data: the server or proxy answered with a page")
    if offset == 0:
        # Nothing may describe bytes that are not its own, even if the process ends between two of these lines.
        discard(part)
        if not decode:
            write_text_whole(_note(part), json.dumps(asdict(_Part(wanted.url, total, **asdict(validators)))))
    limit = total if total is not None else wanted.size
    progress = _Progress(wanted.url, offset, limit)
    names = ("sha256", "md5") if wanted.md5 else ("sha256",)
    # Unbuffered: a killed process loses no more than the piece in its hands.
    with open(part, "ab", buffering=0) as stream:
        stream.truncate(offset)
        with Digests(part, names) as digests:
            piece = first
            while piece and (limit is None or progress.done <= limit):
                _write(stream, piece)
                progress.add(len(piece))
                piece = next(body, b"")
            progress.end()
            if limit is not None and progress.done < limit:
                raise Passing(f"cut off after {progress.done} of {limit} bytes")
            if limit is not None and progress.done > limit:
                discard(part)
                raise Damaged(f"longer than the {limit} bytes that were promised")
            return digests.found()


def _write(stream: io.FileIO, piece: bytes) -> None:
    """Write all of a piece; a full disk takes a part of it, without an error at first."""
    left = memoryview(piece)
    while left:
        left = left[stream.write(left) or 0 :]


def _checked(wanted: Wanted, part: Path, found: dict[str, str], validators: Validators) -> Received:
    """Check what has come; a damaged file is removed, so that the next attempt begins anew."""
    fault = checksum_fault(found, wanted)
    if fault is None:
        try:
            check_content(part, wanted.url)
            check_end(part, wanted.destination.name, wanted.url)
        except InputError as error:
            fault = str(error).removeprefix(f"{wanted.url}: ")
    if fault is not None:
        discard(part)
        raise Damaged(fault)
    return Received(part.stat().st_size, found["sha256"], found.get("md5", ""), validators)


def discard(part: Path) -> None:
    """Remove a partial file; first what describes it."""
    for path in (_note(part), part):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


class _Progress:
    """Lines of the log about one file."""

    def __init__(self, url: str, offset: int, total: int | None) -> None:
        self.url, self.offset, self.done, self.total = url, offset, offset, total
        self.started = self.said = time.monotonic()
        if offset:
            log.info("%s: goes on at %s", url, _bytes(offset))

    def add(self, count: int) -> None:
        self.done += count
        now = time.monotonic()
        if now - self.said >= _PROGRESS_SECONDS:
            self.said = now
            rate = (self.done - self.offset) / (now - self.started)
            if self.total:
                left = f" of {_bytes(self.total)} ({self.done / self.total:.0%}), {_bytes(rate)}/s, "
                left += f"{(self.total - self.done) / max(rate, 1):.0f} s left"
            else:
                left = f", {_bytes(rate)}/s"
            log.info("%s: %s%s", self.url, _bytes(self.done), left)

    def end(self) -> None:
        seconds = max(time.monotonic() - self.started, 1e-6)
        rate = _bytes((self.done - self.offset) / seconds)
        log.info("%s: %s in %.1f s (%s/s)", self.url, _bytes(self.done - self.offset), seconds, rate)


def _bytes(count: float) -> str:
    """Size in words, decimal."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.2f} GB"
