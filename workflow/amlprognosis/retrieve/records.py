"""What was retrieved, and ``PROVENANCE.json``, which says so beside the files."""

from __future__ import annotations

import datetime
import errno
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from amlprognosis.errors import InputError
from amlprognosis.retrieve.files import check_content

PROVENANCE = "PROVENANCE.json"
_ALWAYS = ("url", "path", "size", "sha256", "date")


@dataclass(frozen=True)
class Wanted:
    """A file to fetch.

    Attributes
    ----------
    url : str
        A path, a ``file://`` URL or a http(s) URL.
    destination : Path
        The file to write.
    sha256, md5 : str, optional
        Published checksums (hex).
    size : int, optional
        Published size, bytes.
    body : mapping, optional
        JSON body: the address is asked by POST and the answer saved. A local file stands for the answer.
    optional : bool
        No such file (404) is no error; there is no record of it then.
    """

    url: str
    destination: Path
    sha256: str | None = None
    md5: str | None = None
    size: int | None = None
    body: Mapping[str, Any] | None = field(default=None, hash=False)
    optional: bool = False

    @property
    def published(self) -> str:
        """Published checksums, such as ``md5 0cc1...``; empty where there is none."""
        pairs = (("sha256", self.sha256), ("md5", self.md5))
        return ", ".join(f"{name} {value.lower()}" for name, value in pairs if value)


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
        Day of retrieval (UTC, ISO 8601); that of the download where the file comes from the cache.
    published : str
        Published checksums it was compared with, such as ``md5 0cc1...``; empty: none.
    modified, etag : str
        Last-Modified and ETag as the server gave them; empty: none.
    """

    url: str
    path: str
    size: int
    sha256: str
    date: str
    published: str = ""
    modified: str = ""
    etag: str = ""


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


def file_digest(path: str | Path, algorithm: str = "sha256") -> str:
    """Hex digest of a file."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, algorithm).hexdigest()


def checksum_fault(found: Mapping[str, str], wanted: Wanted) -> str | None:
    """What is wrong with checksums, in words; None where nothing is."""
    for name, expected in (("sha256", wanted.sha256), ("md5", wanted.md5)):
        if expected and expected.lower() != found[name]:
            return (
                f"{name} is {found[name]}, published is {expected.lower()}: the file is damaged or another version; "
                "retrieve it again"
            )
    return None


def today() -> str:
    """Day, UTC, ISO 8601."""
    return datetime.datetime.now(datetime.UTC).date().isoformat()


def local_record(path: str | Path) -> FileRecord:
    """Record of a file that is read in place, such as the user's own tables."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; paths of a study are relative to its data_root")
    if not os.access(path, os.R_OK):
        raise InputError(f"{path}: this file may not be read; check its permissions")
    if not path.name.endswith((".parquet", ".h5ad")):
        check_content(path)
    return FileRecord(str(path), str(path), path.stat().st_size, file_digest(path), today())


_REMEDIES = {
    **dict.fromkeys(
        (errno.ENOSPC, errno.EDQUOT),
        "make room there and in retrieval.cache, which may lie on another disk; what has come is kept",
    ),
    **dict.fromkeys(
        (errno.EACCES, errno.EPERM, errno.EROFS),
        "check the permissions, or set retrieval.cache to a folder of yours (retrieval.offline: true reads a cache in "
        "which you may not write)",
    ),
    **dict.fromkeys(
        (errno.EISDIR, errno.ENOTDIR, errno.EEXIST),
        "a folder lies where a file is meant, or a file for a folder; remove it",
    ),
}


def disk_fault(error: OSError, place: str | Path) -> InputError:
    """What a fault of the disk means, with its remedy; ``place`` where the error names no file."""
    remedy = _REMEDIES.get(error.errno or 0)
    return InputError(
        f"{error.filename2 or error.filename or place}: {error.strerror or error}{f'; {remedy}' if remedy else ''}"
    )


def write_text_whole(path: Path, text: str) -> None:
    """Write a small file so that it appears whole or not at all."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


def write_provenance(folder: str | Path, records: Iterable[FileRecord], licence: str = "") -> Path:
    """Write ``PROVENANCE.json`` into the folder of retrieved files.

    Returns
    -------
    Path
        The file: a list of ``{"url", "path", "size", "sha256", "date", "licence"}``, and ``published``, ``modified``,
        ``etag`` where known; sorted, paths relative to it.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for record in sorted(records, key=lambda record: record.path):
        known = {key: value for key, value in asdict(record).items() if value or key in _ALWAYS}
        rows.append({**known, "path": os.path.relpath(record.path, folder), "licence": licence})
    write_text_whole(folder / PROVENANCE, json.dumps(rows, indent=1, sort_keys=True) + "\n")
    return folder / PROVENANCE


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
        files = [(folder / row["path"], row["size"]) for row in rows]
    except (ValueError, TypeError, KeyError):
        raise InputError(f"{path}: not valid JSON; delete the folder and retrieve again") from None
    for file, size in files:
        if not file.is_file() or file.stat().st_size != size:
            raise InputError(f"{file}: missing or changed since it was retrieved; delete {folder} and retrieve again")
    return list(rows)
