"""Faults on demand."""

from __future__ import annotations

import fnmatch
import threading
from dataclasses import dataclass, field
from typing import Any

PAGE = b"<!DOCTYPE html>\n<html><head><title>Sorry</title></head><body>Please come back later</body></html>\n"
KINDS = ("cut", "length", "content", "drip", "stall", "html", "half", "no_range", "redirect")


@dataclass
class Fault:
    """A fault of answers.

    Attributes
    ----------
    kind : str
        A status such as ``"503"`` (options: retry_after, message, headers); ``cut`` (``at``: bytes of the body before
        the connection is cut); ``length`` (the size promised is ``more`` bytes greater than what comes, at the
        connection's end); ``content`` (a byte differs, lengths and ETag do not); ``drip`` (a byte every ``pause``
        seconds); ``stall`` (silent for ``seconds`` after the head); ``html`` (a web page with status 200); ``half``
        (the first half of the file, as if it were all); ``no_range`` (Range is ignored); ``redirect`` (to ``to``,
        status ``status``).
    """

    pattern: str
    kind: str
    times: int | None
    method: str | None
    options: dict[str, Any] = field(default_factory=dict)


class Faults:
    """Faults that still wait for their questions."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, pattern: str, kind: str, times: int | None = 1, method: str | None = None, **options: Any) -> None:
        """Spoil the next ``times`` answers (None: all) for paths of a pattern (``*``, ``?``, ``[...]``).

        Faults come in the order in which they were added; a later one waits until an earlier one of the same path is
        used up.
        """
        assert kind in KINDS or (kind.isdigit() and len(kind) == 3), f"{kind!r} is no kind of fault"
        with self._lock:
            self._faults.append(Fault(pattern, kind, times, method, options))

    def clear(self) -> None:
        """Forget all faults."""
        with self._lock:
            self._faults.clear()

    def next(self, path: str, method: str) -> Fault | None:
        """The fault of an answer, if there is one; counts it."""
        with self._lock:
            for fault in self._faults:
                if fnmatch.fnmatchcase(path, fault.pattern) and fault.method in (None, method):
                    if fault.times is not None:
                        fault.times -= 1
                        if fault.times <= 0:
                            self._faults.remove(fault)
                    return fault
        return None
