"""What a reader of a damaged file sees, and when that is all of the good one."""

from __future__ import annotations

from mangle import HARMLESS, Spoiled


def decoded(content: bytes) -> str:
    """Text of a file: UTF-8 or Latin-1, line feeds as line ends."""
    content = content.removeprefix(b"\xef\xbb\xbf")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def harmless(file: Spoiled) -> bool:
    """Whether nothing of what a file says was changed: other line ends once, and a byte order mark once at most."""
    ends = [damage for damage in file.damages if damage != "bom"]
    return set(file.damages) <= HARMLESS and len(ends) < 2 and file.damages.count("bom") < 2
