"""Reading of text files as services and users really send them: gzipped or not, BOM, CRLF, or not data at all."""

from __future__ import annotations

import gzip
import io
import zlib
from pathlib import Path

import numpy as np
import pandas as pd

from amlprognosis.cohort import shown
from amlprognosis.errors import InputError

GZIP_MAGIC = b"\x1f\x8b"
CHUNK = 1 << 20
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
        As :func:`read_bytes`, or a file in UTF-16 or a binary file.
    """
    content = read_bytes(path)
    if content.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\x00" in content[:CHUNK]:
        raise InputError(f"{path}: UTF-16 or binary, not plain text; save it as UTF-8 text")
    content = content.removeprefix(b"\xef\xbb\xbf")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def delimiter_of(path: str | Path) -> str:
    """Delimiter by the file name: a comma for ``.csv``, else a tab."""
    name = Path(path).name.lower().removesuffix(".gz")
    return "," if name.endswith(".csv") else "\t"


def read_string_table(path: str | Path, *, comment: str | None = None) -> pd.DataFrame:
    """Read a delimited, parquet or h5ad table as text.

    Returns
    -------
    DataFrame of str
        Every cell as text, empty where missing. Column names are unique.

    Raises
    ------
    InputError
        Ragged rows, repeated column names, no rows, or a wrong delimiter.
    """
    if str(path).endswith(".parquet"):
        return _parquet_text(path)
    text = read_text(path)
    if comment:
        text = "\n".join(line for line in text.split("\n") if not line.startswith(comment))
    return parse_delimited(text, delimiter_of(path), str(path))


def parse_delimited(text: str, delimiter: str, origin: str) -> pd.DataFrame:
    """Parse delimited text whose first line names the columns; all cells are text.

    Raises
    ------
    InputError
        Ragged rows (with their line), repeated column names, no rows, or a wrong delimiter.
    """
    try:
        frame = pd.read_csv(
            io.StringIO(text), sep=delimiter, dtype=str, keep_default_na=False, header=None, skip_blank_lines=True
        )
    except pd.errors.EmptyDataError:
        raise InputError(f"{origin}: no rows") from None
    except (pd.errors.ParserError, ValueError) as error:
        raise InputError(
            f"{origin}: {' '.join(str(error).split())}; every row needs as many fields as the header"
        ) from None
    header = [name.strip() for name in frame.iloc[0].fillna("")]
    if len(header) == 1:
        other = next((sep for sep in ("\t", ",", ";") if sep != delimiter and sep in header[0]), None)
        if other:
            raise InputError(
                f"{origin}: one column only, but its header holds {other!r}; commas need the name .csv, tabs .tsv or "
                ".txt; save a table with semicolons again with one of these"
            )
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise InputError(f"{origin}: columns named more than once: {shown(twice)}; rename them")
    body = frame.iloc[1:].reset_index(drop=True)
    short = body.isna().any(axis=1)
    if short.any():
        line = int(np.flatnonzero(short)[0]) + 2
        raise InputError(f"{origin}: row {line} has fewer fields than the header ({len(header)})")
    if body.empty:
        raise InputError(f"{origin}: a header but no rows")
    body.columns = pd.Index(header)
    return body.apply(lambda column: column.str.strip())


def _parquet_text(path: str | Path) -> pd.DataFrame:
    frame = read_parquet(path)
    if not isinstance(frame.index, pd.RangeIndex):
        frame = frame.reset_index()
    frame.columns = [str(name) for name in frame.columns]
    return frame.map(lambda value: "" if pd.isna(value) else str(value))


def read_parquet(path: str | Path) -> pd.DataFrame:
    """Read a parquet file, with a clear error."""
    if not Path(path).exists():
        raise InputError(f"{path}: no such file")
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a readable parquet file ({' '.join(str(error).split())})") from None


def to_numbers(
    frame: pd.DataFrame, origin: str, missing: tuple[str, ...] = ("", "NA", "NaN", "nan", "null", "NULL")
) -> pd.DataFrame:
    """Turn a frame of text into float64; the missing texts become NaN.

    Raises
    ------
    InputError
        A cell that is not a number, with its row and column, or an infinite value.
    """
    try:
        values = frame.to_numpy(dtype=float)
    except ValueError:
        cleaned = frame.where(~frame.isin(missing), "nan")
        try:
            values = cleaned.to_numpy(dtype=float)
        except ValueError:
            for column in cleaned.columns:
                numbers = pd.to_numeric(cleaned[column], errors="coerce")
                wrong = numbers.isna() & (cleaned[column] != "nan")
                if wrong.any():
                    row = frame.index[wrong][0]
                    raise InputError(
                        f"{origin}: row {row}, column {column}: {frame.loc[row, column]!r} is not a number "
                        "(decimal point, no thousands separator; missing values as NA or empty)"
                    ) from None
            values = cleaned.apply(pd.to_numeric).to_numpy(dtype=float)
    if np.isinf(values).any():
        row, column = (int(places[0]) for places in np.nonzero(np.isinf(values)))
        raise InputError(
            f"{origin}: row {frame.index[row]}, column {frame.columns[column]}: infinite value; "
            "a log of zero? add a small number before taking logs, or leave the cell empty"
        )
    return pd.DataFrame(values, index=frame.index, columns=frame.columns)
