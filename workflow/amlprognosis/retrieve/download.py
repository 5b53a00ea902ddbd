"""One way for a file to come in, for all sources: copied or downloaded whole, checked, and written down."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from amlprognosis.errors import InputError
from amlprognosis.retrieve.address import exists, is_remote, join, local_path
from amlprognosis.retrieve.cache import Entry, Slot, place_file, validators
from amlprognosis.retrieve.files import GZIP_MAGIC, check_content, check_end, looks_like_html
from amlprognosis.retrieve.listing import list_folder
from amlprognosis.retrieve.records import (
    PROVENANCE,
    FileRecord,
    Planned,
    Wanted,
    checksum_fault,
    disk_fault,
    file_digest,
    local_record,
    read_provenance,
    today,
    write_provenance,
)
from amlprognosis.retrieve.transfer import download
from amlprognosis.retrieve.web import MissingFile, NoConnection, Stopped, hang_up, request_json
from amlprognosis.study.sources import Retrieval

__all__ = [
    "PROVENANCE",
    "FileRecord",
    "MissingFile",
    "NoConnection",
    "Planned",
    "Wanted",
    "exists",
    "fetch",
    "fetch_all",
    "file_digest",
    "is_remote",
    "join",
    "list_folder",
    "local_path",
    "local_record",
    "read_provenance",
    "request_json",
    "write_provenance",
]

log = logging.getLogger(__name__)
_FAULTS_SHOWN = 5
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def fetch(
    url: str,
    destination: str | Path,
    *,
    sha256: str | None = None,
    md5: str | None = None,
    size: int | None = None,
    settings: Retrieval | None = None,
) -> FileRecord:
    """Bring one file to its place, whole and checked.

    Parameters
    ----------
    url : str
        A path, a ``file://`` URL or a http(s) URL.
    destination : path
        The file to write. It appears whole or not at all. If it is there already and the URL is remote, it stands for
        the download and is checked all the same.
    sha256, md5 : str, optional
        Published checksums (hex).
    size : int, optional
        Published size, bytes.
    settings : Retrieval, optional
        Cache, time-outs, attempts, offline mode.

    Returns
    -------
    FileRecord

    Raises
    ------
    InputError
        No such file, no success in all attempts, wrong checksum or size, an empty file, a web page, a truncated gzip
        file, an unknown scheme; offline: not there.
    """
    (record,) = fetch_all([Wanted(url, Path(destination), sha256=sha256, md5=md5, size=size)], settings)
    assert record is not None
    return record


def fetch_all(wanted: Iterable[Wanted], settings: Retrieval | None = None) -> list[FileRecord | None]:
    """Bring several files to their places, ``settings.connections`` at a time.

    Returns
    -------
    list of FileRecord or None
        In the order asked; None for an optional file that does not exist.

    Raises
    ------
    InputError
        As :func:`fetch`. The first fault ends the work; those of the other files in flight are told, too. Offline,
        one error lists every missing file.
    """
    settings = settings or Retrieval()
    files = list(wanted)
    for file in files:
        _check_scheme(file.url)
    places = [file.destination for file in files]
    if twice := sorted({str(place) for place, count in Counter(places).items() if count > 1}):
        raise InputError(f"{twice[0]}: two files would be written there")
    if settings.offline:
        _refuse_missing(files, settings)
    stop = threading.Event()
    records = _in_threads(lambda file: _bring(file, settings, stop), files, settings.connections, stop)
    if len(files) > 1:
        log.info("%d files are there, %d of them optional and not on the server", len(files), records.count(None))
    return records


def _check_scheme(url: str) -> None:
    scheme = url.partition("://")[0].lower() if "://" in url else "file"
    if scheme not in ("file", "http", "https", "ftp"):
        raise InputError(f"{url}: unknown scheme {scheme!r}; known: a path, file://, http://, https://")


def _in_threads(
    work: Callable[[_Item], _Result], items: Sequence[_Item], count: int, stop: threading.Event
) -> list[_Result]:
    """Results in the order of the items; the first fault stops the rest.

    The threads are daemons: Ctrl-C ends the program at once, even while a server is silent.
    """
    results: dict[int, _Result] = {}
    faults: dict[int, BaseException] = {}
    numbers = iter(range(len(items)))
    lock = threading.Lock()

    def run() -> None:
        with contextlib.ExitStack() as stack:
            stack.callback(hang_up)
            while not stop.is_set():
                with lock:
                    number = next(numbers, None)
                if number is None:
                    return
                try:
                    results[number] = work(items[number])
                except Stopped:
                    return
                except BaseException as error:
                    faults[number] = error
                    stop.set()

    threads = [threading.Thread(target=run, daemon=True) for _ in range(min(count, len(items)))]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        stop.set()
    if faults:
        raise _one_error([faults[number] for number in sorted(faults)])
    return [results[number] for number in range(len(items))]


def _one_error(faults: list[BaseException]) -> BaseException:
    unforeseen = [fault for fault in faults if not isinstance(fault, InputError)]
    if unforeseen or len(faults) == 1:
        return (unforeseen or faults)[0]
    more = [f"and {len(faults) - _FAULTS_SHOWN} more"] if len(faults) > _FAULTS_SHOWN else []
    return InputError("\n".join([*map(str, faults[:_FAULTS_SHOWN]), *more]))


def _bring(wanted: Wanted, settings: Retrieval, stop: threading.Event) -> FileRecord | None:
    try:
        if not is_remote(wanted.url):
            return _copied(wanted)
        if wanted.destination.is_file():
            return _in_place(wanted, settings)
        return _from_network(wanted, settings, stop)
    except MissingFile as error:
        if wanted.optional:
            log.info("%s; it is optional", error)
            return None
        raise
    except OSError as error:
        raise disk_fault(error, wanted.destination) from None


def _copied(wanted: Wanted) -> FileRecord:
    source, destination = Path(local_path(wanted.url)), wanted.destination
    if source.is_dir():
        raise InputError(f"{source}: a folder, where a file is expected")
    found: list[str] = []
    try:
        place_file(source, destination, check=lambda path: found.append(_checked(path, wanted, wanted.url)))
    except FileNotFoundError:
        raise MissingFile(
            f"{source}: no such file; put it there, or change base_url or data_root of the study"
        ) from None
    except PermissionError as error:
        raise InputError(f"{error.filename or source}: this file may not be read; check its permissions") from None
    return _record(wanted, found[0])


def _in_place(wanted: Wanted, settings: Retrieval) -> FileRecord:
    """A file that the user or an earlier run put in place."""
    found = _checked(wanted.destination, wanted, str(wanted.destination))
    entry = Slot(settings.cache, wanted).described()
    return _record(wanted, found, entry if entry and entry.sha256 == found else None)


def _checked(path: Path, wanted: Wanted, origin: str) -> str:
    """The sha256 of a file that is what was wanted."""
    if wanted.size is not None and path.stat().st_size != wanted.size:
        raise InputError(
            f"{origin}: {path.stat().st_size} bytes, published are {wanted.size}: the file is damaged or another "
            "version; retrieve it again"
        )
    found = {"sha256": file_digest(path), "md5": file_digest(path, "md5") if wanted.md5 else ""}
    if fault := checksum_fault(found, wanted):
        raise InputError(f"{origin}: {fault}")
    _check_name(path, wanted.destination.name, origin)
    check_content(path, origin)
    check_end(path, wanted.destination.name, origin)
    return found["sha256"]


def _check_name(path: Path, name: str, origin: str) -> None:
    """Refuse what will be called .gz but is not gzipped; web pages are told apart elsewhere."""
    with open(path, "rb") as stream:
        head = stream.read(2000)
    if name.endswith(".gz") and head and not head.startswith(GZIP_MAGIC) and not looks_like_html(head):
        raise InputError(f"{origin}: named .gz but not gzipped; retrieve it again")


def _from_network(wanted: Wanted, settings: Retrieval, stop: threading.Event) -> FileRecord:
    slot = Slot(settings.cache, wanted)
    before = slot.stamp()
    with slot.locked(stop):
        entry = slot.load()
        if entry and (fault := _outdated(slot, entry, wanted)):
            if settings.offline:
                raise InputError(f"{wanted.url}: the copy in the cache ({slot.data}): {fault}")
            slot.throw_away("it is not the file with the published checksum or size")
            entry = None
        if entry is None and settings.offline:
            raise MissingFile(_missing_text([wanted]))
        # As it is: offline, with a published checksum, or just stored by another job.
        if entry is None or not (settings.offline or wanted.published or slot.stamp() != before):
            try:
                received = download(
                    wanted, slot.part, settings, stop, validators(entry) if entry and wanted.body is None else None
                )
            except InputError as error:
                remedy = f"or put the file at {wanted.destination} yourself"
                if entry is not None:
                    remedy += f", or use the copy of {entry.date} in the cache by retrieval.offline: true"
                raise type(error)(f"{error}; {remedy}") from None
            if received is not None:
                entry = slot.store(received, wanted.published)
        assert entry is not None
        _check_name(slot.data, wanted.destination.name, wanted.url)
        slot.place(wanted.destination)
    return _record(wanted, entry.sha256, entry)


def _outdated(slot: Slot, entry: Entry, wanted: Wanted) -> str | None:
    """Why a whole entry is not what is published now; None if it is."""
    if wanted.size not in (None, entry.size):
        return f"{entry.size} bytes, published are {wanted.size}"
    md5 = (entry.md5 or file_digest(slot.data, "md5")) if wanted.md5 else ""
    return checksum_fault({"sha256": entry.sha256, "md5": md5}, wanted)


def _record(wanted: Wanted, sha256: str, entry: Entry | None = None) -> FileRecord:
    size = wanted.destination.stat().st_size
    place = str(wanted.destination)
    if entry is None:
        return FileRecord(wanted.url, place, size, sha256, today(), wanted.published)
    return FileRecord(
        wanted.url, place, size, sha256, entry.date, wanted.published or entry.published, entry.modified, entry.etag
    )


def _refuse_missing(files: Sequence[Wanted], settings: Retrieval) -> None:
    """One error for all files that cannot be had offline."""
    asked = [file for file in files if is_remote(file.url) and not file.optional and not file.destination.is_file()]
    missing = [file for file in asked if not Slot(settings.cache, file).data.is_file()]
    if missing:
        raise MissingFile(_missing_text(missing))


def _missing_text(files: Sequence[Wanted]) -> str:
    lines = [f"retrieval.offline is set, and {len(files)} {'file is' if len(files) == 1 else 'files are'} not there:"]
    lines += [f"  {file.url} -> {file.destination}" for file in files]
    lines.append("Put each file at its place, name a folder that has them as base_url, or set retrieval.offline: false")
    return "\n".join(lines)
