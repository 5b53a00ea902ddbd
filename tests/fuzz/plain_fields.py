"""Fields of a delimited text, split letter by letter: another way than the parsers take."""

from __future__ import annotations


def fields(text: str, mark: str) -> list[list[str]]:
    """Rows of cells without the blanks around them; empty lines and rows of empty cells are left out.

    A quotation mark opens a quoted field where a field begins (blanks may stand before it), and is a letter elsewhere.
    """
    rows: list[list[str]] = []
    row: list[str] = []
    cell, quoted, place = "", False, 0
    while place < len(text):
        letter = text[place]
        if quoted:
            if letter == '"' and text[place + 1 : place + 2] == '"':
                cell += '"'
                place += 1
            elif letter == '"':
                quoted = False
                assert text[place + 1 : place + 2] in ("", mark, "\n"), "a field goes on behind its quotation mark"
            else:
                cell += letter
        elif letter == '"' and not cell.strip(" ") and (mark != "\t" or not cell):
            cell, quoted = "", True
        elif letter in (mark, "\n"):
            row.append(cell.strip())
            cell = ""
            if letter == "\n":
                rows.append(row)
                row = []
        else:
            cell += letter
        place += 1
    assert not quoted, "a quotation mark without its partner"
    if cell or row:
        rows.append([*row, cell.strip()])
    return [cells for cells in rows if any(cells)]


def below_comments(text: str) -> str:
    """The text from its header on."""
    lines = text.split("\n")
    while lines and (lines[0].startswith("#") or not lines[0].strip()):
        del lines[0]
    return "\n".join(lines)
