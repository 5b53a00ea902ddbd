"""Delimited tables as people save them: tabs, commas or semicolons, quoted fields, blank rows; faults by their line.

A table is read right or refused: what separates the fields is told by the header and the rows, never by the name of the
file alone, and a table that could be read in two ways is refused with the way out.
"""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass

from amlprognosis.cohort import shown
from amlprognosis.errors import InputError

DELIMITERS = {"\t": "tabs", ",": "commas", ";": "semicolons"}
_PROBED = 50
# How columns of genes or samples are called: where such a name stands first, it is not R that left out the name above
# the row names.
_FIRST = re.compile(
    r"gene|symbol|probe|ensembl|entrez|refseq|hgnc"
    r"|^(id|id_ref|name|names|index|identifier|row\.?names|(sample|patient|subject|case)s?([ _.-]?(id|name)s?)?)$"
)

# A row: the line of the file where it begins, and its cells without the blanks around them.
Row = tuple[int, list[str]]


@dataclass(frozen=True)
class Layout:
    """How a delimited text is laid out.

    Attributes
    ----------
    delimiter : str
        Tab, comma or semicolon.
    header : list of str
        Column names; the first one is empty where R's ``write.table`` left it out.
    shifted : bool
        Whether it did.
    line : int
        Line of the header.
    start, first : int
        Where the rows begin in the text, and in which line.
    """

    delimiter: str
    header: list[str]
    shifted: bool
    line: int
    start: int
    first: int


def layout_of(text: str, origin: str, comment: str | None = None) -> Layout:
    """Find the header and what separates the fields.

    Parameters
    ----------
    text : str
        With line feeds as line ends.
    origin : str
        How errors call the file.
    comment : str, optional
        What lines above the header may begin with.

    Raises
    ------
    InputError
        No header or no rows, a single column, fields that commas and semicolons separate equally well, or rows that all
        end with a delimiter that the header lacks.
    """
    start, line = 0, 1
    while start < len(text):
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        head = text[start:end]
        if head.strip() and not (comment and head.startswith(comment)):
            break
        start, line = end + 1, line + 1
    if start >= len(text):
        raise InputError(f"{origin}: no rows")
    if text.startswith("#1.2\n"):
        raise InputError(
            f"{origin}: a GCT file; delete its first two lines and its column Description, and save it as .tsv"
        )
    # The text itself may be large: no copy of it is made before it is known where the rows begin.
    found = {mark: _probe(text, start, line, mark) for mark in DELIMITERS}
    fit = [mark for mark in found if found[mark].extra == 0] or [mark for mark in found if found[mark].extra == 1]
    mark = fit[0] if fit else max(DELIMITERS, key=head.count)
    other = {",": ";", ";": ","}.get(mark, "")
    if other and (other in fit or head.count(other) >= head.count(mark)):
        raise InputError(
            f"{origin}: line {line}: it cannot be told whether commas or semicolons separate the fields; save "
            "the table with tabs as .tsv"
        )
    shifted = bool(fit) and found[mark].extra == 1
    rows = itertools.islice(records(text, mark, origin, start, line), 2)
    number, header = next(rows, (line, []))
    following = next(rows, None)
    if len(header) < 2 and not shifted:
        raise InputError(
            f"{origin}: line {number}: one column only; tabs, commas or semicolons must separate the columns"
        )
    if following is None:
        raise InputError(f"{origin}: a header but no rows")
    if shifted:
        _check_shift(found[mark], header, origin, number)
    return Layout(mark, ["", *header] if shifted else header, shifted, number, *_after(text, start, line, following[0]))


def _after(text: str, start: int, line: int, wanted: int) -> tuple[int, int]:
    """Where a line begins."""
    for _ in range(wanted - line):
        start = text.index("\n", start) + 1
    return start, wanted


@dataclass(frozen=True)
class _Probe:
    """First rows cut at a delimiter: fields that most rows have more than the header, and the last cells of these."""

    extra: int | None = None
    last: tuple[str, ...] = ()


def _probe(text: str, start: int, line: int, mark: str) -> _Probe:
    """Nothing where the rows differ, have one column, or where the quotation marks do not fit this delimiter."""
    try:
        (_, header), *rows = itertools.islice(records(text, mark, "", start, line), _PROBED)
    except (InputError, ValueError):
        return _Probe()
    widths = [len(cells) for _, cells in rows]
    for extra in (0, 1):
        width = len(header) + extra
        if width > 1 and 2 * widths.count(width) >= max(1, len(widths)):
            return _Probe(extra, tuple(cells[-1] for _, cells in rows if len(cells) == width))
    return _Probe()


def _check_shift(probe: _Probe, header: list[str], origin: str, line: int) -> None:
    """Tell R's row names from a fault, where the rows are one field longer than the header."""
    if not any(probe.last):
        raise InputError(
            f"{origin}: line {line}: every row ends with a delimiter, the header does not; remove it from the rows, or "
            "name the last column"
        )
    if not all(header) or _FIRST.search(header[0].lower()):
        raise InputError(
            f"{origin}: line {line}: the header has {len(header)} fields, the rows {len(header) + 1}; every column "
            f"needs a name (the first is {header[0]!r})"
        )


def lines_of(text: str, start: int = 0) -> Iterator[str]:
    """Lines without their ends, one by one: a list of all of them would take the memory of the text once more."""
    while start < len(text):
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        yield text[start:end]
        start = end + 1


def records(text: str, mark: str, origin: str, start: int = 0, first: int = 1) -> Iterator[Row]:
    """Rows of a text from a place on; blank lines are passed over.

    Parameters
    ----------
    text : str
        With line feeds as line ends.
    mark : str
        Delimiter.
    origin : str
        How errors call the file.
    start, first : int
        Where to begin, and which line that is.

    Raises
    ------
    InputError
        A quotation mark without its partner, or a quoted field that seems to swallow whole rows; with its line.
    """
    if text.find('"', start) < 0:
        for number, line in enumerate(lines_of(text, start), start=first):
            if line and not line.isspace():
                yield number, [cell.strip() for cell in line.split(mark)]
        return
    yield from _quoted_records(text, mark, origin, start, first)


def _quoted_records(text: str, mark: str, origin: str, start: int, first: int) -> Iterator[Row]:
    taken: list[str] = []

    def lines() -> Iterator[str]:
        for line in lines_of(text, start):
            taken.append(line)
            yield f"{line}\n"

    reader = csv.reader(lines(), delimiter=mark, strict=True, skipinitialspace=mark != "\t")
    number = first
    while True:
        taken.clear()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            raise InputError(
                f"{origin}: line {number}: a quotation mark without its partner; quotation marks stand around a whole "
                'field, and within it they are doubled ("")'
            ) from None
        # Two marks without partner, in two rows, look like a field with line ends in it.
        if len(taken) > 1 and sum(line.count(mark) == len(cells) - 1 for line in taken) > 1:
            raise InputError(
                f"{origin}: lines {number} to {number + len(taken) - 1}: a quoted field that swallows whole rows; a "
                "quotation mark has no partner, or take the line ends out of the field"
            )
        here, number = number, number + len(taken)
        if any(cell and not cell.isspace() for cell in cells) or len(cells) > 1:
            yield here, [cell.strip() for cell in cells]


def checked_rows(text: str, layout: Layout, origin: str) -> Iterator[Row]:
    """Rows below the header, each as long as the header; rows of nothing but delimiters are passed over.

    Raises
    ------
    InputError
        A row of another length, with its line, and as :func:`records`.
    """
    width = len(layout.header)
    for number, cells in records(text, layout.delimiter, origin, layout.start, layout.first):
        if len(cells) != width:
            if not any(cells):
                continue
            raise InputError(
                f"{origin}: line {number} has {len(cells)} fields, the header {width - layout.shifted}"
                f"{' and the row name' if layout.shifted else ''}; every row needs as many, and a field with "
                f"{DELIMITERS[layout.delimiter]} in it quotation marks"
            )
        if any(cells):
            yield number, cells


def refuse_repeated(header: list[str], origin: str, line: int) -> None:
    """Refuse columns of one name.

    Raises
    ------
    InputError
        With the line of the header.
    """
    twice = sorted({name for name in header if name and header.count(name) > 1})
    if twice:
        raise InputError(f"{origin}: line {line}: columns named more than once: {shown(twice)}; rename them")


def unended(text: str) -> str:
    """A note where the last line has no end, as in a file that was cut off; else nothing."""
    return "" if text.endswith("\n") else "the last line has no line end: should the file be cut off, its last value is"
