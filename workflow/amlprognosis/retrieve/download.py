"""One way for a file to come in: copied or downloaded whole, checked, and written down."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import urllib.parse
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from amlprognosis.errors import InputError
from amlprognosis.retrieve.files import CHUNK, check_content

PROVENANCE = "PROVENANCE.json"


@dataclass(frozen=True)
class FileRecord:
    """A retrieved file.

    Attributes
    ----------
    url : str
        Where it came from.
    path : str
        Where it lies now.
    size : int
        Bytes.
    sha256 : str
        Checksum of the bytes.
    date : str
        Day of retrieval (UTC, ISO 8601).
    """

    url: str
    path: str
    size: int
    sha256: str
    date: str


@dataclass(frozen=True)
class Planned:
    """What a retrieval would fetch.

    Attributes
    ----------
    url : str
        The exact address; ``{...}`` stands for what only the service knows.
    what : str
        Such as "series matrix" or "STAR-counts files".
    path : str
        Where it will lie; a folder for several files.
    """

    url: str
    what: str
    path: str


def _open_local(url: str, destination: Path) -> BinaryIO:
    path = Path(local_path(url))
    if path.is_dir():
        raise InputError(f"{path}: a folder, where a file is expected")
    try:
        return open(path, "rb")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; put it there, or change base_url or data_root of the study") from None
    except PermissionError:
        raise InputError(f"{path}: this file may not be read; check its permissions") from None


def _open_network(url: str, destination: Path) -> BinaryIO:
    raise InputError(
        f"{url}: this version does not retrieve over the network. Download the file yourself and put it at "
        f"{destination} , "
        "or keep it in a folder laid out as the service's and name that folder as base_url of the source"
    )


# The one place where a scheme meets its code: an opener gives the bytes of a URL as a stream.
_openers: dict[str, Callable[[str, Path], BinaryIO]] = {
    "": _open_local,
    "file": _open_local,
    "http": _open_network,
    "https": _open_network,
}


def is_remote(location: str) -> bool:
    """Whether a location is a URL that needs the network."""
    return location.startswith(("http://", "https://", "ftp://"))


def local_path(url: str) -> str:
    """Path behind a path or a ``file://`` URL."""
    if url.startswith("file://"):
        return urllib.parse.unquote(url.removeprefix("file://").removeprefix("localhost/") or "/")
    return url


def join(base: str, *parts: str) -> str:
    """Address of a file below a base URL or folder."""
    return "/".join([base.rstrip("/") or "/", *parts])


def exists(url: str) -> bool:
    """Whether a local file exists; remote files are found out when they are fetched."""
    return not is_remote(url) and Path(local_path(url)).is_file()


def fetch(
    url_or_path: str, destination: str | Path, *, sha256: str | None = None, md5: str | None = None
) -> FileRecord:
    """Bring one file to its place, whole and checked.

    Parameters
    ----------
    url_or_path : str
        A path, a ``file://`` URL or a http(s) URL.
    destination : path
        The file to write. It appears whole or not at all.
    sha256, md5 : str, optional
        Published checksums (hex).

    Returns
    -------
    FileRecord

    Raises
    ------
    InputError
        No such file, wrong checksum, an empty file, a web page, a truncated gzip file, or a scheme that this version
        does not retrieve.
    """
    destination = Path(destination)
    scheme = urllib.parse.urlsplit(url_or_path).scheme.lower() if "://" in url_or_path else ""
    opener = _openers.get(scheme)
    if opener is None:
        raise InputError(f"{url_or_path}: unknown scheme {scheme!r}; known: a path, file://, http://, https://")
    if destination.is_file() and is_remote(url_or_path):
        # A file that the user put in place stands for the download; it is checked all the same.
        return _checked_in_place(url_or_path, destination, sha256, md5)
    destination.parent.mkdir(parents=True, exist_ok=True)
    temporary = destination.with_name(f".{destination.name}.part")
    digests = {"sha256": hashlib.sha256(), "md5": hashlib.md5(usedforsecurity=False)}
    size = 0
    try:
        with opener(url_or_path, destination) as source, open(temporary, "wb") as target:
            while chunk := source.read(CHUNK):
                target.write(chunk)
                size += len(chunk)
                for digest in digests.values():
                    digest.update(chunk)
        found = {name: digest.hexdigest() for name, digest in digests.items()}
        _compare(url_or_path, found, sha256, md5)
        check_content_named(temporary, destination.name, url_or_path)
        os.replace(temporary, destination)
    finally:
        temporary.unlink(missing_ok=True)
    return FileRecord(url_or_path, str(destination), size, found["sha256"], _today())


def check_content_named(path: Path, name: str, origin: str) -> None:
    """Check the content of a partial file that will be called ``name``."""
    with open(path, "rb") as stream:
        head = stream.read(2)
    if name.endswith(".gz") and head and head != b"\x1f\x8b":
        with open(path, "rb") as stream:
            start = stream.read(200).lstrip().lower()
        if not start.startswith(b"<"):
            raise InputError(f"{origin}: named .gz but not gzipped; retrieve it again")
    check_content(path, origin)


def _checked_in_place(url: str, path: Path, sha256: str | None, md5: str | None) -> FileRecord:
    found = {"sha256": file_digest(path, "sha256"), "md5": file_digest(path, "md5") if md5 else ""}
    _compare(str(path), found, sha256, md5)
    check_content(path)
    return FileRecord(url, str(path), path.stat().st_size, found["sha256"], _today())


def _compare(origin: str, found: dict[str, str], sha256: str | None, md5: str | None) -> None:
    for name, expected in (("sha256", sha256), ("md5", md5)):
        if expected and expected.lower() != found[name]:
            raise InputError(
                f"{origin}: {name} is {found[name]}, published is {expected.lower()}: the file is damaged or another "
                "version; retrieve it again"
            )


def file_digest(path: str | Path, algorithm: str = "sha256") -> str:
    """Hex digest of a file."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, algorithm).hexdigest()


def local_record(path: str | Path) -> FileRecord:
    """Record of a file that is read in place, such as the user's own tables."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; paths of a study are relative to its data_root")
    if not os.access(path, os.R_OK):
        raise InputError(f"{path}: this file may not be read; check its permissions")
    if not path.name.endswith((".parquet", ".h5ad")):
        check_content(path)
    return FileRecord(str(path), str(path), path.stat().st_size, file_digest(path), _today())


def _today() -> str:
    return datetime.datetime.now(datetime.UTC).date().isoformat()


def write_provenance(folder: str | Path, records: Iterable[FileRecord], licence: str = "") -> Path:
    """Write ``PROVENANCE.json`` into the folder of retrieved files.

    Returns
    -------
    Path
        The file: a list of ``{"url", "path", "size", "sha256", "date", "licence"}``, sorted, paths relative to it.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        {**asdict(record), "path": os.path.relpath(record.path, folder), "licence": licence}
        for record in sorted(records, key=lambda record: record.path)
    ]
    path = folder / PROVENANCE
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(json.dumps(rows, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    os.replace(temporary, path)
    return path


def read_provenance(folder: str | Path) -> list[dict[str, Any]]:
    """Rows of ``PROVENANCE.json``.

    Raises
    ------
    InputError
        The folder was not retrieved, or a file in it was changed since (size).
    """
    folder = Path(folder)
    path = folder / PROVENANCE
    if not path.is_file():
        raise InputError(f"{path}: no such file; retrieve the source first")
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        raise InputError(f"{path}: not valid JSON; delete the folder and retrieve again") from None
    for row in rows:
        file = folder / row["path"]
        if not file.is_file() or file.stat().st_size != row["size"]:
            raise InputError(f"{file}: missing or changed since it was retrieved; delete {folder} and retrieve again")
    return rows
