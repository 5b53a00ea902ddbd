"""Checksums of a file while it is written."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

from amlprognosis.retrieve.files import CHUNK

_NAP = 0.005


class Digests:
    """Checksums of a file that grows: a thread per algorithm reads behind the writer.

    So they cost next to no time of their own, are those of the bytes on the disk, and need no special care where an
    earlier process wrote the first half of the file.

    Parameters
    ----------
    path : Path
        The file; it exists, and bytes are only appended to it.
    names : iterable of str
        Such as sha256, md5.
    """

    def __init__(self, path: Path, names: Iterable[str]) -> None:
        self._path = path
        self._whole, self._over = threading.Event(), threading.Event()
        self._errors: list[OSError] = []
        self._hashes = {name: hashlib.new(name, usedforsecurity=False) for name in names}
        self._threads = [threading.Thread(target=self._follow, args=(name,), daemon=True) for name in self._hashes]

    def __enter__(self) -> Digests:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._whole.set()
        for thread in self._threads:
            thread.join()

    def found(self) -> dict[str, str]:
        """Hex digests, after the last byte was written."""
        self._whole.set()
        for thread in self._threads:
            thread.join()
        if self._errors:
            raise self._errors[0]
        return {name: digest.hexdigest() for name, digest in self._hashes.items()}

    def _follow(self, name: str) -> None:
        digest, buffer = self._hashes[name], bytearray(CHUNK)
        view = memoryview(buffer)
        try:
            with open(self._path, "rb", buffering=0) as stream:
                while not self._over.is_set():
                    # Asked before reading: what was written until then is read now.
                    whole = self._whole.is_set()
                    if count := stream.readinto(buffer):
                        digest.update(view[:count])
                    elif whole:
                        return
                    else:
                        self._whole.wait(_NAP)
        except OSError as error:
            self._errors.append(error)
