"""A plain reading of damaged GEO files, written apart from the parsers: what stands in the file."""

from __future__ import annotations

import math
import re

MISSING = {"", "null", "NULL", "Null", "NA", "NaN", "nan"}


def lines_of(content: bytes) -> list[str]:
    """Lines as a reader sees them; a lone carriage return in a file of line feeds is a blank."""
    content = content.removeprefix(b"\xef\xbb\xbf")
    content = (
        content.replace(b"\r\n", b"\n").replace(b"\r", b" ") if b"\n" in content else content.replace(b"\r", b"\n")
    )
    lines = []
    for line in content.split(b"\n"):
        try:
            lines.append(line.decode())
        except UnicodeDecodeError:
            lines.append(line.decode("latin-1"))
    return lines


def bare(cell: str) -> str:
    """A cell without its quotation marks."""
    cell = cell.strip()
    return cell[1:-1].strip().replace('""', '"') if len(cell) > 1 and cell[0] == cell[-1] == '"' else cell


def number(cell: str) -> float:
    """A number as it stands."""
    cell = bare(cell)
    if cell in MISSING or cell.lower().startswith("nan("):
        return math.nan
    assert re.fullmatch(r"[+-]?[0-9.]+([eE][+-]?[0-9]+)?", cell), cell
    return float(cell)


def same(a: float, b: float) -> bool:
    """Equal, or both missing."""
    return a == b or (math.isnan(a) and math.isnan(b))


def between(lines: list[str], begin: str, end: str, first: int = 0) -> list[list[str]]:
    """Cells of the rows of a table, blank lines left out."""
    marks = [line.strip().lower() for line in lines]
    start = marks.index(begin, first)
    return [line.split("\t") for line in lines[start + 1 : marks.index(end, start)] if line.strip()]
