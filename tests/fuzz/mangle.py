"""Files as they arrive in bad condition, and what a parser may say of them.

Every parser has a test here: :func:`spoiled` draws a file (a good one, damaged in one or two ways), and
:func:`outcome` asks that the parser either refuses it with one :class:`InputError` that names the file, or gives a
result that the test then compares with the truth. Any other exception, and any wrong result, is a fault.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from amlprognosis.errors import InputError


@dataclass(frozen=True)
class Spoiled:
    """A damaged file: its bytes and the names of the damages."""

    content: bytes
    damages: tuple[str, ...]


def _cut(text: str, draw: Any) -> bytes:
    return text.encode()[: draw(st.integers(0, max(0, len(text.encode()) - 1)))]


def _shuffled(text: str, draw: Any) -> bytes:
    lines = text.split("\n")
    return "\n".join(draw(st.permutations(lines)) if len(lines) < 40 else _swapped(lines, draw)).encode()


def _swapped(lines: list[str], draw: Any) -> list[str]:
    lines = list(lines)
    for _ in range(draw(st.integers(1, 5))):
        a, b = (draw(st.integers(0, len(lines) - 1)) for _ in range(2))
        lines[a], lines[b] = lines[b], lines[a]
    return lines


def _utf16(text: str, draw: Any) -> bytes:
    return text.encode("utf-16")


def _latin1(text: str, draw: Any) -> bytes:
    place = draw(st.integers(0, len(text)))
    return text[:place].encode() + b"\xe9\xfc" + text[place:].encode()


def _bom(text: str, draw: Any) -> bytes:
    return b"\xef\xbb\xbf" + text.encode()


def _crlf(text: str, draw: Any) -> bytes:
    return text.replace("\n", "\r\n").encode()


def _cr(text: str, draw: Any) -> bytes:
    return text.replace("\n", "\r").encode()


def _quote(text: str, draw: Any) -> bytes:
    place = draw(st.integers(0, len(text)))
    return (text[:place] + draw(st.sampled_from(['"', "'", '""', '"\n'])) + text[place:]).encode()


def _quotes(text: str, draw: Any, mark: str = "\t") -> bytes:
    """Two quotation marks at the edges of fields of one column: together they look like one field of several rows."""
    rows = [line.split(mark) for line in text.split("\n")]
    column = draw(st.integers(0, max(map(len, rows)) - 1))
    long = [row for row in rows if len(row) > column]
    for before in (True, draw(st.booleans())):
        row = draw(st.sampled_from(long))
        row[column] = f'"{row[column]}' if before else f'{row[column]}"'
    return "\n".join(mark.join(row) for row in rows).encode()


def _ragged(text: str, draw: Any, mark: str = "\t") -> bytes:
    lines = text.split("\n")
    place = draw(st.integers(0, len(lines) - 1))
    kind = draw(st.sampled_from(["field more", "field less", "double row", "no row", "empty row", "spaces"]))
    if kind == "field more":
        lines[place] += f"{mark}1"
    elif kind == "field less":
        lines[place] = lines[place].rpartition(mark)[0]
    elif kind == "double row":
        lines.insert(place, lines[place])
    elif kind == "no row":
        del lines[place]
    elif kind == "empty row":
        lines.insert(place, "")
    else:
        lines[place] = lines[place].replace(mark, "    ")
    return "\n".join(lines).encode()


def _noise(text: str, draw: Any) -> bytes:
    data = bytearray(text.encode())
    for _ in range(draw(st.integers(1, 4))):
        if data:
            data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data)


def _word(text: str, draw: Any, mark: str = "\t") -> bytes:
    """Another word in the place of a field."""
    lines = text.split("\n")
    row = draw(st.integers(0, len(lines) - 1))
    cells = lines[row].split(mark)
    cells[draw(st.integers(0, len(cells) - 1))] = draw(
        st.sampled_from(["", "NA", "abc", "-1", "1e400", "inf", "nan", "1,5", "0x1", " 7 ", "1_000", "ü", "--"])
    )
    lines[row] = mark.join(cells)
    return "\n".join(lines).encode()


DAMAGES: dict[str, Callable[[str, Any], bytes]] = {
    "cut": _cut,
    "shuffled": _shuffled,
    "utf-16": _utf16,
    "latin-1": _latin1,
    "bom": _bom,
    "crlf": _crlf,
    "cr": _cr,
    "quote": _quote,
    "ragged": _ragged,
    "noise": _noise,
    "word": _word,
}
# Damages that change nothing of what the file says: the result must be the right one.
HARMLESS = frozenset({"bom", "crlf", "cr"})
# Beside two of these: a second byte order mark is a character, and line ends changed twice are empty lines.
TWICE = "twice"
_OF_FIELDS = {"quotes": _quotes, "ragged": _ragged, "word": _word}


# With pairs of stray quotation marks, too, for parsers that take quoted fields.
WITH_QUOTES = (*DAMAGES, "quotes")


@st.composite
def spoiled(
    draw: Any, text: str, *, zipped: bool = False, kinds: tuple[str, ...] = tuple(DAMAGES), mark: str = "\t"
) -> Spoiled:
    """A damaged version of a text file; gzipped ones may be damaged in their bytes, too.

    Parameters
    ----------
    text : str
        The good file.
    zipped : bool
        Whether the result is gzipped.
    kinds : tuple of str
        The damages to draw from.
    mark : str
        What separates the fields.
    """

    def damaged(kind: str, good: str) -> bytes:
        return _OF_FIELDS[kind](good, draw, mark) if kind in _OF_FIELDS else DAMAGES[kind](good, draw)

    first = draw(st.sampled_from(kinds))
    content, damages = damaged(first, text), [first]
    if draw(st.booleans()):
        second = draw(st.sampled_from([kind for kind in kinds if kind != "utf-16"]))
        if first == "utf-16":
            content = damaged(second, content.decode("latin-1"))
        elif (good := _utf8(content)) is not None:
            content = damaged(second, good)
        damages.append(second)
        if HARMLESS.issuperset(damages) and (first == second or "bom" not in damages):
            damages.append(TWICE)
    if zipped:
        content = gzip.compress(content, mtime=0)
        if draw(st.integers(0, 4)) == 0:
            content = content[: draw(st.integers(0, len(content) - 1))]
            damages.append("gzip cut")
    return Spoiled(content, tuple(damages))


def _utf8(content: bytes) -> str | None:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return None


def harmless(file: Spoiled) -> bool:
    """Whether nothing of what a file says was changed: other line ends once, and a byte order mark once at most."""
    return HARMLESS.issuperset(file.damages)


def decoded(content: bytes) -> str:
    """Text of a file: UTF-8 or Latin-1, line feeds as line ends."""
    content = content.removeprefix(b"\xef\xbb\xbf")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def outcome(parse: Callable[[Path], Any], path: Path, content: bytes) -> Any:
    """What a parser makes of a file: its result, or None where it refuses the file and names it.

    Raises
    ------
    AssertionError
        A refusal that does not name the file. Any other exception passes through.
    """
    path.write_bytes(content)
    message = ""
    try:
        return parse(path)
    except InputError as error:
        message = str(error)
    assert path.name in message, f"the message does not name the file: {message}"
    assert len(message) < 4000, "the message is too long to be read"
    return None


def check_against_plain(
    data: st.DataObject, path: Path, good: str, parse: Callable[[Path], Any], plain: Callable[[str], Any]
) -> None:
    """The parser refuses the damaged file, or finds what a plain reading finds; harmless damages change nothing."""
    file = data.draw(spoiled(good))
    found = outcome(parse, path, file.content)
    if found is None:
        assert not harmless(file)
        return
    assert found == plain(decoded(file.content))
    if harmless(file):
        assert found == plain(good)
