"""Reading of text files as services and users really send them: gzipped or not, BOM, CRLF, or not data at all."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
import zlib
from pathlib import Path

import pandas as pd
import pyarrow as pa

from amlprognosis.errors import InputError

GZIP_MAGIC = b"\x1f\x8b"
CHUNK = 1 << 20
# Files of other kinds, by their first bytes, and what to do with them.
_FOREIGN = (
    (b"PK\x03\x04", "an Excel workbook or a zip archive; name a workbook .xlsx, unpack an archive"),
    (b"\xd0\xcf\x11\xe0", "a file of old Office programs (.xls); save it as .xlsx or as text"),
    (b"BZh91AY&SY", "compressed with bzip2; unpack it (bunzip2), or compress it with gzip"),
    (b"\xfd7zXZ\x00", "compressed with xz; unpack it (unxz), or compress it with gzip"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd; unpack it (unzstd), or compress it with gzip"),
    (b"7z\xbc\xaf", "a 7z archive; unpack it"),
    (b"PAR1", "a parquet file; name it .parquet"),
    (b"\x89HDF", "an HDF5 file; name it .h5ad if it is one"),
    (b"RDX2\n", "R's own format; save the table as text (write.table)"),
    (b"RDX3\n", "R's own format; save the table as text (write.table)"),
    (b"X\n\x00\x00\x00", "R's own format; save the table as text (write.table)"),
    (b"%PDF-", "a PDF; save the table as text"),
    (b"{\\rtf", "a word processor's file; save the table as text"),
)
_HTML = (b"<!doctype html", b"<html", b'<?xml version="1.0" encoding="utf-8"?><!doctype html')


def looks_like_html(head: bytes) -> bool:
    """Whether the first bytes are those of a web page."""
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return start.startswith(_HTML) or (start.startswith((b"<?xml", b"<!--")) and b"<html" in start[:2000])


def check_content(path: str | Path, origin: str | None = None) -> None:
    """Read a file through and refuse what cannot be data.

    Parameters
    ----------
    path : path
        The file, plain or gzipped (told by its first bytes, not by its name).
    origin : str, optional
        How errors call it; the path by default.

    Raises
    ------
    InputError
        The file is empty, a web page, or a gzip file that ends too early.
    """
    name = origin or str(path)
    with _open(path, name) as stream:
        head = stream.read(CHUNK)
        zipped = head.startswith(GZIP_MAGIC)
    if not head.strip():
        raise InputError(f"{name}: the file is empty; retrieve it again")
    if str(path).endswith(".gz") and not zipped and not looks_like_html(head):
        raise InputError(f"{name}: named .gz but not gzipped; rename it without .gz or retrieve it again")
    if zipped:
        head = b""
        try:
            with gzip.open(path, "rb") as unzipped:
                while chunk := unzipped.read(CHUNK):
                    head = head or chunk
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise InputError(
                f"{name}: the gzip file is cut off or damaged ({error}); delete it and retrieve it again"
            ) from None
        if not head.strip():
            raise InputError(f"{name}: the gzip file holds nothing; retrieve it again")
    if looks_like_html(head):
        raise InputError(
            f"{name}: a web page (HTML), not data: the server or proxy answered with a page; "
            "open the address in a browser, or put the right file in its place"
        )


def check_end(path: Path, name: str, origin: str) -> None:
    """Refuse a workbook or an API's answer that was cut off, though the server called it whole.

    Parameters
    ----------
    path : Path
        The file.
    name : str
        Its name at its destination, which tells its kind.
    origin : str
        How errors call it.

    Raises
    ------
    InputError
        The end is missing.
    """
    if name.endswith(".xlsx") and not zipfile.is_zipfile(path):
        raise InputError(f"{origin}: no workbook, or one that is cut off; retrieve it again")
    if name.endswith(".json"):
        try:
            json.loads(path.read_bytes())
        except ValueError as error:
            raise InputError(f"{origin}: not JSON, or JSON that is cut off ({error}); retrieve it again") from None


def _open(path: str | Path, name: str) -> io.BufferedReader:
    try:
        return open(path, "rb")
    except FileNotFoundError:
        raise InputError(f"{name}: no such file") from None
    except IsADirectoryError:
        raise InputError(f"{name}: a folder, not a file") from None
    except PermissionError:
        raise InputError(f"{name}: this file may not be read; check its permissions") from None


def read_bytes(path: str | Path) -> bytes:
    """Whole content of a file, unzipped.

    Raises
    ------
    InputError
        As :func:`check_content`.
    """
    with _open(path, str(path)) as stream:
        content = stream.read()
    if content.startswith(GZIP_MAGIC):
        try:
            content = gzip.decompress(content)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise InputError(
                f"{path}: the gzip file is cut off or damaged ({error}); delete it and retrieve it again"
            ) from None
    if not content.strip():
        raise InputError(f"{path}: the file is empty; retrieve it again")
    if looks_like_html(content[:CHUNK]):
        raise InputError(f"{path}: a web page (HTML), not data; put the right file in its place")
    return content


def read_text(path: str | Path) -> str:
    """Whole content of a text file with line feeds as line ends; UTF-8, else Latin-1 (older GEO files).

    Raises
    ------
    InputError
        As :func:`read_bytes`, or a file in UTF-16 or of another kind.
    """
    content = read_bytes(path)
    for start, what in _FOREIGN:
        if content.startswith(start):
            raise InputError(f"{path}: not plain text: {what}")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\x00" in content:
        raise InputError(f"{path}: UTF-16 or binary, not plain text; save it as UTF-8 text")
    content = content.removeprefix(b"\xef\xbb\xbf")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_parquet(path: str | Path) -> pd.DataFrame:
    """Read a parquet file, with a clear error."""
    if not Path(path).exists():
        raise InputError(f"{path}: no such file")
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError, KeyError, NotImplementedError, pa.ArrowException) as error:
        raise InputError(f"{path}: not a readable parquet file ({' '.join(str(error).split())})") from None
