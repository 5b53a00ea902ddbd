"""Gene sets in the GMT format: one set per line, tab-separated name, description, genes."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from amlprognosis.errors import InputError

GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True)
class GeneSet:
    """One gene set.

    Attributes
    ----------
    name : str
        Identifier, unique in its file.
    description : str
        Second field of the line: source, address or title.
    genes : tuple of str
        Symbols in the file's order, each once.
    """

    name: str
    description: str
    genes: tuple[str, ...]


def read_text(path: str | Path) -> str:
    """Read a plain or gzip-compressed UTF-8 text file; line ends of any system become line feeds.

    Raises
    ------
    InputError
        If the file is missing, a truncated or damaged gzip, an HTML page, or not UTF-8 text.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path in the study") from error
    if data.startswith(GZIP_MAGIC):
        try:
            data = gzip.decompress(data)
        except (EOFError, OSError, zlib.error) as error:
            raise InputError(f"{path}: truncated or damaged gzip ({error}); fetch the file again") from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    if text[:2000].lstrip().lower().startswith(("<!doctype", "<html", "<head", "<?xml")):
        raise InputError(f"{path}: an HTML or XML page, not a table; the server sent a web page instead of the file")
    if "\x00" in text:
        raise InputError(f"{path}: zero bytes in the text: UTF-16 or damaged; save it as UTF-8")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def unquoted(field: str, place: str) -> str:
    """Text of a field, without the pair of quotation marks that spreadsheets put around it.

    Raises
    ------
    InputError
        A quotation mark without its partner.
    """
    field = field.strip()
    if len(field) > 1 and field[0] == field[-1] == '"':
        field = field[1:-1].strip()
    if '"' in field:
        raise InputError(f"{place}: a stray quotation mark in {field[:60]!r}; remove it")
    return field


def read_gmt(path: str | Path) -> dict[str, GeneSet]:
    """Read gene sets from a GMT file.

    Parameters
    ----------
    path : str or Path
        GMT file, plain or gzip. A gene repeated within a set counts once.

    Returns
    -------
    dict of str to GeneSet
        In the file's order.

    Raises
    ------
    InputError
        If the file is no GMT, has no sets, a set without genes, or two sets of the same name.
    """
    sets: dict[str, GeneSet] = {}
    first_line: dict[str, int] = {}
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        fields = line.split("\t")
        if len(fields) < 2:
            raise InputError(
                f"{path}, line {number}: not a GMT line; expected name, description and genes separated by tabs, "
                f"got {line[:60]!r}"
            )
        place = f"{path}, line {number}"
        name, description = unquoted(fields[0], place), fields[1].strip()
        genes = tuple(dict.fromkeys(gene for field in fields[2:] if (gene := unquoted(field, place))))
        if not name:
            raise InputError(f"{path}, line {number}: the set has no name; put one in the first field")
        if name in sets:
            raise InputError(
                f"{path}, line {number}: set {name!r} already stands in line {first_line[name]}; rename or remove one"
            )
        if not genes:
            raise InputError(
                f"{path}, line {number}: set {name!r} has no genes; expected name, description and genes "
                "separated by tabs"
            )
        sets[name] = GeneSet(name, description, genes)
        first_line[name] = number
    if not sets:
        raise InputError(f"{path}: no gene sets; the file is empty")
    return sets


def union_genes(sets: Mapping[str, GeneSet] | Iterable[GeneSet]) -> list[str]:
    """List every gene of the sets once, sorted."""
    members = sets.values() if isinstance(sets, Mapping) else sets
    return sorted({gene for member in members for gene in member.genes})
