"""Reading of tar archives from outside: nothing is written where it should not be, and nothing without bound."""

from __future__ import annotations

import os
import posixpath
import shutil
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tarfile import EOFHeaderError, HeaderError, ReadError  # type: ignore[attr-defined]
from typing import IO, Self

from amlprognosis.cohort import shown
from amlprognosis.errors import InputError
from amlprognosis.retrieve.files import CHUNK

SUFFIXES = (".tar", ".tar.gz", ".tgz")
MAX_BYTES = 64 << 30  # of all extracted files: the largest series of single cells are smaller
MAX_MEMBERS = 100_000


def is_archive(name: str) -> bool:
    """Whether a file name is that of a tar archive."""
    return name.lower().endswith(SUFFIXES)


class _Info(tarfile.TarInfo):
    """A member; what tarfile takes for the end of an archive (no closing block, a damaged header) is a fault here."""

    @classmethod
    def fromtarfile(cls, tarfile: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(tarfile)
        except EOFHeaderError:
            raise
        except HeaderError as error:
            raise ReadError(f"after {tarfile.offset} bytes: {error}") from None


@contextmanager
def _opened(path: Path) -> Iterator[Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]]:
    """Members of an archive as they come, without reading it twice."""
    try:
        with tarfile.open(path, "r|*", tarinfo=_Info) as archive:
            yield _members(archive, path)
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (tarfile.TarError, EOFError, zlib.error, OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # of the disk (no room for what is unpacked), not of the archive
        said = " ".join(str(error).split())[:120]
        raise InputError(
            f"{path}: not a readable tar archive, or cut off ({said}); delete it and retrieve it again"
        ) from None


def _members(archive: tarfile.TarFile, path: Path) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
    for number, member in enumerate(archive):
        if number >= MAX_MEMBERS:
            raise InputError(f"{path}: more than {MAX_MEMBERS} members; this is no archive of a series")
        name = member.name
        if name.startswith(("/", "\\")) or ".." in name.replace("\\", "/").split("/") or ":" in name[:2]:
            raise InputError(f"{path}: the member {name[:80]!r} points out of the archive; it is not unpacked")
        if member.isfile():
            yield archive, member


def list_members(path: str | Path) -> list[str]:
    """Names of the files in an archive, in its order.

    Raises
    ------
    InputError
        Not a tar archive, cut off, or a member that points out of it.
    """
    path = Path(path)
    with _opened(path) as members:
        names = [posixpath.normpath(member.name) for _, member in members]
    if not names:
        raise InputError(f"{path}: an archive without files, or cut off; retrieve it again")
    return names


def read_members(path: str | Path, wanted: Callable[[str], bool], limit: int = 1 << 30) -> Iterator[tuple[str, bytes]]:
    """Name and content of the files that are wanted, one after the other.

    Parameters
    ----------
    path : path
        ``.tar``, ``.tar.gz``.
    wanted : callable
        Told the name of a member.
    limit : int
        Largest size of one of them, in bytes.

    Raises
    ------
    InputError
        As :func:`list_members`, or a file beyond the limit.
    """
    path = Path(path)
    with _opened(path) as members:
        for archive, member in members:
            name = posixpath.normpath(member.name)
            if not wanted(name):
                continue
            if member.size > limit:
                raise InputError(f"{path}: its member {name} has {member.size} bytes; at most {limit} are read")
            stream = archive.extractfile(member)
            assert stream is not None
            content = stream.read()
            if len(content) != member.size:
                raise InputError(f"{path}: cut off inside {name}; delete it and retrieve it again")
            yield name, content


def extract(path: str | Path, place: Callable[[str], Path | None], limit: int = MAX_BYTES) -> list[tuple[str, Path]]:
    """Unpack files to places of ours; links and devices are never made.

    Parameters
    ----------
    path : path
        ``.tar``, ``.tar.gz``.
    place : callable
        Told the name of a member; gives the file to write, or None for what is not wanted.
    limit : int
        Largest size of all together, in bytes.

    Returns
    -------
    list of (str, Path)
        Name in the archive and file, in the archive's order. A file appears whole or not at all.

    Raises
    ------
    InputError
        As :func:`list_members`, more than the limit or than the disk holds, or two members for one place.
    """
    path = Path(path)
    done: list[tuple[str, Path]] = []
    total = 0
    with _opened(path) as members:
        for archive, member in members:
            name = posixpath.normpath(member.name)
            target = place(name)
            if target is None:
                continue
            if any(target == other for _, other in done):
                raise InputError(
                    f"{path}: two members for {target.name}: {shown([n for n, t in done if t == target])}, {name}"
                )
            total += member.size
            target.parent.mkdir(parents=True, exist_ok=True)
            if total > limit or member.size > shutil.disk_usage(target.parent).free:
                raise InputError(
                    f"{path}: unpacking {name} ({member.size} bytes) passes the limit of {limit} bytes or the disk"
                )
            stream = archive.extractfile(member)
            assert stream is not None
            _write(stream, target, member.size, f"{path}: {name}")
            done.append((name, target))
    return done


def _write(stream: IO[bytes], target: Path, size: int, origin: str) -> None:
    temporary = target.with_name(f".{target.name}.part")
    try:
        with open(temporary, "wb") as out:
            shutil.copyfileobj(stream, out, CHUNK)
        if temporary.stat().st_size != size:
            raise InputError(f"{origin}: cut off; delete the archive and retrieve it again")
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
