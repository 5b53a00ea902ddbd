"""A table read as plainly as can be: what a careful reader sees in a damaged file of tab-separated values."""

from __future__ import annotations


def cell_of(text: str) -> str:
    """Cell without blanks around it and without a pair of quotes."""
    text = text.strip()
    return text[1:-1].strip() if len(text) > 1 and text[0] == text[-1] == '"' else text


def rows_of(text: str, comment: str = "\x00") -> list[dict[str, str]]:
    """Rows by column; the first line that is neither empty nor a comment names the columns."""
    lines = text.split("\n")
    start = next(i for i, line in enumerate(lines) if line.strip() and not line.startswith(comment))
    header = [cell_of(name) for name in lines[start].split("\t")]
    assert len(set(header)) == len(header)
    rows = [line.split("\t") for line in lines[start + 1 :] if line]
    return [dict(zip(header, map(cell_of, row), strict=True)) for row in rows]


def number(text: str) -> float | None:
    """A finite number, or None for what means missing; anything else fails."""
    if text in ("", "NA", "NaN", "nan", "null", "NULL"):
        return None
    assert set(text) <= set("0123456789+-.eE"), text
    assert abs(float(text)) < float("inf")
    return float(text)
