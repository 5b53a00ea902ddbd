"""Files of the GDC: many small ones in one archive, the others one by one.

``POST /data`` with several ids sends a tar.gz that holds ``MANIFEST.txt`` and ``<uuid>/<file name>``
(https://docs.gdc.cancer.gov/API/Users_Guide/Downloading_Files/), sometimes also notes such as ``annotations.txt``.
"""

from __future__ import annotations

import hashlib
import io
import logging
import tarfile
import threading
import zlib
from collections.abc import Iterator, Sequence
from typing import IO, Any

from amlprognosis.errors import InputError
from amlprognosis.retrieve.cache import Slot
from amlprognosis.retrieve.download import FileRecord, Wanted, fetch_all, join
from amlprognosis.retrieve.files import CHUNK, looks_like_html
from amlprognosis.retrieve.transfer import Received, Validators, discard
from amlprognosis.retrieve.web import Damaged, Passing, ask, persist, pieces
from amlprognosis.study import Retrieval

log = logging.getLogger(__name__)

# An archive holds at most so many files and bytes; larger files are worth a request (and a resume) of their own.
BATCH_FILES = 50
BATCH_BYTES = 200_000_000
SINGLE_BYTES = 50_000_000
# Attempts per archive before its files are asked for one by one, with all attempts of the settings.
BATCH_ATTEMPTS = 3


def bring_files(base: str, wanted: Sequence[Wanted], settings: Retrieval) -> list[FileRecord]:
    """Bring files of the API to their places.

    Parameters
    ----------
    base : str
        The API.
    wanted : sequence of Wanted
        ``<base>/data/<uuid>`` each, with size and md5; destinations end in ``<uuid>/<file name>``.
    settings : Retrieval

    Returns
    -------
    list of FileRecord

    Raises
    ------
    InputError
        As :func:`~amlprognosis.retrieve.download.fetch_all`; what came whole and right stays in the cache, so that a
        new run asks for the rest only. A killed process loses the file in its hands at most.
    """
    if not settings.offline:
        small = [file for file in wanted if file.md5 and file.size is not None and file.size <= SINGLE_BYTES]
        for batch in _batches([file for file in small if not _there(file, settings)]):
            try:
                _bring_batch(join(base, "data"), batch, settings)
            except InputError as error:
                log.info("%s; the files are asked for one by one", error)
                break
    return [record for record in fetch_all(wanted, settings) if record]


def _there(file: Wanted, settings: Retrieval) -> bool:
    return file.destination.is_file() or Slot(settings.cache, file).described() is not None


def _batches(files: Sequence[Wanted]) -> Iterator[list[Wanted]]:
    batch: list[Wanted] = []
    total = 0
    for file in files:
        size = file.size or 0
        if batch and (len(batch) == BATCH_FILES or total + size > BATCH_BYTES):
            yield batch
            batch, total = [], 0
        batch.append(file)
        total += size
    if batch:
        yield batch


def _bring_batch(url: str, batch: Sequence[Wanted], settings: Retrieval) -> None:
    """Bring the files of an archive to the cache; after a fault only those that are missing, fewer at a time."""
    stop = threading.Event()
    left = {_member(file): file for file in batch}
    limit = len(left)

    def work() -> None:
        nonlocal limit
        # A single file is no archive: the API sends it as it is.
        while len(left) > 1:
            asked = dict(list(left.items())[: max(limit, 2)])
            try:
                for name in _received(url, asked, settings, stop):
                    left.pop(name, None)
            except (Passing, Damaged):
                limit = max(limit // 4, 2)
                raise
            missing = asked.keys() & left.keys()
            if missing:
                limit = max(limit // 4, 2)
                raise Damaged(f"{len(missing)} of {len(asked)} files of the archive are missing or damaged")

    few = settings.model_copy(update={"attempts": min(settings.attempts, BATCH_ATTEMPTS)})
    persist(work, url, few, stop)


def _member(file: Wanted) -> str:
    """Name of a file in the archive."""
    return "/".join(file.destination.parts[-2:])


def _received(url: str, asked: dict[str, Wanted], settings: Retrieval, stop: threading.Event) -> Iterator[str]:
    """Names of the members that came whole and right, each as soon as it is in the cache.

    Only members that were asked for are written, to places of ours; anything else in the archive is passed over.
    """
    question = {"ids": [file.destination.parts[-2] for file in asked.values()]}
    with ask(url, settings, body=question) as response:
        encoding = response.headers.get("Content-Encoding", "identity").lower()
        body = pieces(response, settings, stop, decode=encoding not in ("", "identity"))
        stream = io.BufferedReader(_Body(body), CHUNK)
        start = stream.peek(2000)[:2000]
        if looks_like_html(start):
            raise Damaged("a web page (HTML), not an archive: the server or proxy answered with a page")
        try:
            archive = tarfile.open(mode="r|*", fileobj=stream)  # noqa: SIM115
        except (tarfile.TarError, EOFError, zlib.error):
            raise Damaged(f"not an archive but {start[:60]!r}") from None
        try:
            for member in archive:
                file = asked.get(member.name)
                if file is None or not member.isreg() or member.issparse() or member.size != file.size:
                    continue
                content = archive.extractfile(member)
                if content is not None and _stored(content, file, settings):
                    yield member.name
        except (tarfile.TarError, EOFError, zlib.error) as error:
            raise Passing(f"the archive is cut off or damaged ({error})") from None


def _stored(content: IO[bytes], file: Wanted, settings: Retrieval) -> bool:
    """Put a member into the cache, if it has the published md5."""
    slot = Slot(settings.cache, file)
    digests = {name: hashlib.new(name, usedforsecurity=False) for name in ("md5", "sha256")}
    with slot.locked():
        discard(slot.part)
        size = 0
        with open(slot.part, "wb") as target:
            while piece := content.read(CHUNK):
                target.write(piece)
                size += len(piece)
                for digest in digests.values():
                    digest.update(piece)
        md5, sha256 = (digests[name].hexdigest() for name in ("md5", "sha256"))
        if size != file.size or md5 != (file.md5 or "").lower():
            discard(slot.part)
            log.info("%s: a file of the archive has another checksum than published", file.url)
            return False
        slot.store(Received(size, sha256, md5, Validators()), file.published)
    return True


class _Body(io.RawIOBase):
    """The pieces of an answer as a stream."""

    def __init__(self, body: Iterator[bytes]) -> None:
        self._body, self._held = body, memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._held = self._held or memoryview(next(self._body, b""))
        target = memoryview(buffer)
        count = min(len(target), len(self._held))
        target[:count], self._held = self._held[:count], self._held[count:]
        return count
