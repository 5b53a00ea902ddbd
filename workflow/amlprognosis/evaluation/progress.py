"""A line that says what is done, what is left, and when it should end."""

from __future__ import annotations

import logging
import sys
import threading
import time as clock

logger = logging.getLogger(__name__)


class Progress:
    """Counts finished pieces of work; speaks at most every ``every`` seconds, and at the end.

    The line goes to the log and to standard error, where Snakemake shows it.

    Parameters
    ----------
    label : str
        What is being done.
    total : int
        Pieces of work.
    every : float
        Seconds between lines.
    """

    def __init__(self, label: str, total: int, every: float = 15.0):
        self.label, self.total, self.every = label, total, every
        self.count = 0
        self._started = self._spoke = clock.monotonic()
        self._lock = threading.Lock()

    def done(self) -> None:
        """One more piece is finished."""
        with self._lock:
            self.count += 1
            now = clock.monotonic()
            if now - self._spoke >= self.every or self.count == self.total:
                self._spoke = now
                line = self.line(now - self._started)
                logger.info("%s", line)
                print(line, file=sys.stderr, flush=True)

    def line(self, elapsed: float) -> str:
        """Say how far it is after ``elapsed`` seconds."""
        left = self.total - self.count
        rest = elapsed / max(self.count, 1) * left
        end = clock.strftime("%H:%M:%S", clock.localtime(clock.time() + rest))
        tail = f"expected end {end}" if left else f"took {elapsed:.0f} s"
        return f"{self.label}: {self.count} of {self.total} fits done, {left} left, {tail}"
