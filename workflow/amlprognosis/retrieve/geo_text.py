"""GEO's text files as a stream: lines of the header one by one, tables in blocks, whatever the size of the file."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from amlprognosis.errors import InputError
from amlprognosis.retrieve.files import CHUNK, GZIP_MAGIC, _open, looks_like_html

BLOCK = 8 << 20


class TextStream:
    """A GEO text file, plain or gzipped, read once from start to end.

    Line ends are those of any system; a lone carriage return within a line (GEO has some in descriptions) is a blank.
    Text is UTF-8, or Latin-1 in older files, line by line.

    Parameters
    ----------
    path : path
        The file.

    Attributes
    ----------
    name : str
        How errors call the file.
    number : int
        Number of the line that was read last, from 1.

    Raises
    ------
    InputError
        While reading: no such file, a gzip file that is cut off or damaged, a web page, UTF-16 or binary content.
    """

    def __init__(self, path: str | Path) -> None:
        self.name = str(path)
        self.number = 0
        self._chunks = _chunks(path)
        self._rest = b""
        self._place = 0  # where in it the next line begins
        self._ended = False

    def _more(self) -> bool:
        """Take one more chunk; False at the end of the file."""
        chunk = next(self._chunks, None)
        if chunk is None:
            self._ended = True
            return False
        self._rest, self._place = self._rest[self._place :] + chunk, 0
        return True

    def line(self) -> str | None:
        """Next line without its end, or None at the end of the file."""
        while (end := self._rest.find(b"\n", self._place)) < 0:
            if self._ended or not self._more():
                end = len(self._rest)
                if end == self._place:
                    return None
                break
        line, self._place = self._rest[self._place : end], min(end + 1, len(self._rest))
        self.number += 1
        return decoded(line)

    def blocks(self, size: int = BLOCK) -> Iterator[tuple[int, bytes]]:
        """Blocks of whole lines up to a line that starts with ``!`` or ``^`` (left to :meth:`line`), or the end.

        Yields
        ------
        number : int
            Number of the block's first line.
        block : bytes
            Lines, each with its line feed.
        """
        last = False
        while not last:
            while len(self._rest) - self._place < size and not self._ended:
                self._more()
            stop = self._marker()
            last = stop is not None or self._ended
            if stop is None:
                stop = len(self._rest) if self._ended else self._rest.rfind(b"\n", self._place) + 1
            block, self._place = self._rest[self._place : stop], max(stop, self._place)
            if not block and not last:
                size *= 2  # a line longer than a block
            if block:
                block = block if block.endswith(b"\n") else block + b"\n"
                first = self.number + 1
                self.number += block.count(b"\n")
                yield first, block

    def _marker(self) -> int | None:
        """Where the next line that starts with ``!`` or ``^`` begins."""
        if self._rest.startswith((b"!", b"^"), self._place):
            return self._place
        found = len(self._rest)
        for mark in (b"\n!", b"\n^"):
            place = self._rest.find(mark, self._place, found)
            found = place + 1 if place >= 0 else found
        return found if found < len(self._rest) else None

    def fault(self, text: str, number: int | None = None) -> InputError:
        """Error that names the file and a line, by default the last one read."""
        return InputError(f"{self.name}: line {self.number if number is None else number}: {text}")


def decoded(content: bytes) -> str:
    """Text of a line or a cell."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _chunks(path: str | Path) -> Iterator[bytes]:
    """Content in pieces, unzipped, with line feeds as line ends."""
    with _open(path, str(path)) as raw:
        zipped = raw.read(2) == GZIP_MAGIC
        raw.seek(0)
        stream: BinaryIO = gzip.GzipFile(fileobj=raw) if zipped else raw  # type: ignore[assignment]
        yield from _clean(_pieces(stream, str(path)), str(path))


def _pieces(stream: BinaryIO, name: str) -> Iterator[bytes]:
    while True:
        try:
            piece = stream.read(CHUNK)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise InputError(
                f"{name}: the gzip file is cut off or damaged ({error}); delete it and retrieve it again"
            ) from None
        if not piece:
            return
        yield piece


def _clean(pieces: Iterator[bytes], name: str) -> Iterator[bytes]:
    first, old_mac, pending = True, False, b""
    for piece in pieces:
        if first:
            if piece.startswith((b"\xff\xfe", b"\xfe\xff")):
                raise InputError(f"{name}: UTF-16, not plain text; save it as UTF-8 text")
            if looks_like_html(piece):
                raise InputError(f"{name}: a web page (HTML), not data; put the right file in its place")
            piece = piece.removeprefix(b"\xef\xbb\xbf")
            old_mac = b"\n" not in piece
            first = False
        if b"\x00" in piece:
            raise InputError(f"{name}: UTF-16 or binary content, not plain text; retrieve it again")
        if pending or b"\r" in piece:
            piece = pending + piece
            pending = b"\r" if piece.endswith(b"\r") else b""
            piece = piece.removesuffix(pending).replace(b"\r\n", b"\n").replace(b"\r", b"\n" if old_mac else b" ")
        if piece:
            yield piece
    if first:
        raise InputError(f"{name}: the file is empty; retrieve it again")
    if pending:
        yield b"\n"
