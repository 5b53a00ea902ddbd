"""Downloaded files, shared by jobs, studies and, if the user likes, projects."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import logging
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import filelock

from amlprognosis.errors import InputError
from amlprognosis.retrieve.records import Wanted, disk_fault, file_digest, today, write_text_whole
from amlprognosis.retrieve.transfer import Received, Validators
from amlprognosis.retrieve.web import Stopped

log = logging.getLogger(__name__)
_LOCK_SECONDS = 0.5


@dataclass(frozen=True)
class Entry:
    """What is known of a cached file: as a FileRecord, and the body of the question."""

    url: str
    body: str
    size: int
    sha256: str
    md5: str
    date: str
    published: str
    modified: str
    etag: str


class Slot:
    """Place of one answer in the cache: the file, what is known of it, a partial file and a lock.

    Parameters
    ----------
    folder : path
        The cache.
    wanted : Wanted
        Its address and body make the place.
    """

    def __init__(self, folder: str | Path, wanted: Wanted) -> None:
        self.url = wanted.url
        self.body = json.dumps(wanted.body, sort_keys=True) if wanted.body is not None else ""
        key = hashlib.sha256(f"{self.url}\n{self.body}".encode()).hexdigest()
        self.data = Path(folder).expanduser() / key[:2] / key
        self.part = self.data.with_name(f"{key}.part")
        self._note = self.data.with_name(f"{key}.json")

    @contextlib.contextmanager
    def locked(self, stop: threading.Event | None = None) -> Iterator[None]:
        """Keep other processes and threads from this slot.

        Raises
        ------
        InputError
            The file system has no locks.
        Stopped
            ``stop`` was set while another process had the lock.
        """
        lock = filelock.FileLock(self.data.with_name(f"{self.data.name}.lock"))
        try:
            self.data.parent.mkdir(parents=True, exist_ok=True)
            waited = False
            while not lock.is_locked:
                try:
                    lock.acquire(timeout=_LOCK_SECONDS if waited else 0)
                except filelock.Timeout:
                    if not waited:
                        log.info("%s: waits for another job that downloads it", self.url)
                    waited = True
                    if stop is not None and stop.is_set():
                        raise Stopped from None
        except OSError as error:
            # A cache of somebody else's: its whole files may be read without a lock, since they appear whole.
            if not (error.errno in (errno.EACCES, errno.EPERM, errno.EROFS) and self._note.is_file()):
                raise disk_fault(error, lock.lock_file) from None
        except NotImplementedError as error:
            raise InputError(
                f"{lock.lock_file}: cannot be locked ({error}); set retrieval.cache to another disk"
            ) from None
        try:
            yield
        finally:
            lock.release()

    def stamp(self) -> int:
        """Changes whenever a file is stored; 0 where there is none."""
        try:
            return self._note.stat().st_mtime_ns
        except FileNotFoundError:
            return 0

    def described(self) -> Entry | None:
        """The entry as it was stored; the file itself is not looked at."""
        try:
            entry = Entry(**json.loads(self._note.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None
        return entry if (entry.url, entry.body) == (self.url, self.body) else None

    def load(self) -> Entry | None:
        """The entry, if its file is whole; a damaged one is thrown away and that is logged."""
        if not self._note.is_file():
            return None
        if (entry := self.described()) is None:
            self.throw_away("its description cannot be read or belongs to another address")
            return None
        if not self.data.is_file() or self.data.stat().st_size != entry.size or file_digest(self.data) != entry.sha256:
            self.throw_away("the file is missing or was changed since it was downloaded")
            return None
        return entry

    def throw_away(self, why: str) -> None:
        """Remove the entry."""
        log.warning("%s: the copy in the cache (%s) is thrown away: %s", self.url, self.data, why)
        for path in (self._note, self.data):
            path.unlink(missing_ok=True)

    def store(self, received: Received, published: str) -> Entry:
        """Make the partial file the entry."""
        self._note.unlink(missing_ok=True)
        os.replace(self.part, self.data)
        self.part.with_name(f"{self.part.name}.json").unlink(missing_ok=True)
        entry = Entry(
            self.url,
            self.body,
            received.size,
            received.sha256,
            received.md5,
            today(),
            published,
            received.validators.modified,
            received.validators.etag,
        )
        write_text_whole(self._note, json.dumps(asdict(entry), indent=1, sort_keys=True) + "\n")
        return entry

    def keep(self, text: str) -> Entry:
        """Make a short text the entry."""
        content = text.encode()
        self.part.write_bytes(content)
        return self.store(Received(len(content), hashlib.sha256(content).hexdigest(), "", Validators()), "")

    def place(self, destination: Path) -> None:
        """Link the file to its destination, or copy it to another file system; it appears whole or not at all."""
        place_file(self.data, destination, link=True)


def place_file(
    source: Path, destination: Path, *, link: bool = False, check: Callable[[Path], object] | None = None
) -> None:
    """Copy (or hard-link) a file to a place where it appears whole, and as ``check`` wants it, or not at all."""
    destination.parent.mkdir(parents=True, exist_ok=True)
    temporary = destination.with_name(f".{destination.name}.part")
    temporary.unlink(missing_ok=True)
    try:
        if not (link and _linked(source, temporary)):
            shutil.copyfile(source, temporary)
        if check is not None:
            check(temporary)
        os.replace(temporary, destination)
    finally:
        temporary.unlink(missing_ok=True)


def _linked(source: Path, target: Path) -> bool:
    try:
        os.link(source, target)
    except OSError:
        return False
    return True


def validators(entry: Entry) -> Validators | None:
    """Version of an entry, if the server gave any."""
    return Validators(entry.etag, entry.modified) if entry.etag or entry.modified else None
