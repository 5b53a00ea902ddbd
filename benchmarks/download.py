"""Download of 1 GB from loopback, beside curl."""

from __future__ import annotations

import hashlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time as clock
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from amlprognosis.retrieve.download import fetch
from amlprognosis.study.sources import Retrieval
from benchmarks.measure import ROOT, Found, Row

SIZE = 1_000_000_000


def download(repeats: int, threads: int) -> Found:
    """One file of 1 GB, checked (sha256; md5, too, where one is published), and curl, which checks nothing.

    Both ask the fixture server of the tests (sendfile) and take turns, so that a busy machine is so for both.
    """
    del threads
    curl = shutil.which("curl")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "files").mkdir()
        md5 = _random_file(folder / "files" / "a")
        command = [sys.executable, "-m", "server", "--root", str(folder / "files"), "--quiet"]
        with subprocess.Popen(command, cwd=ROOT / "tests", stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            url = f"{server.stdout.readline().strip()}/a"
            settings = Retrieval(cache=str(folder / "cache"))
            works: dict[str, Callable[[Path], object]] = {
                "sha256": lambda path: fetch(url, path, settings=settings),
                "sha256 and md5": lambda path: fetch(url, path, md5=md5, settings=settings),
            }
            if curl:
                works["curl"] = lambda path: subprocess.run([curl, "-s", "-o", str(path), url], check=True)
            taken: dict[str, list[float]] = defaultdict(list)
            for number in range(max(repeats, 3) + 1):
                for what, work in works.items():
                    seconds = _timed(work, folder)
                    taken[what] += [seconds] if number else []
            server.terminate()
    median = {what: statistics.median(seconds) for what, seconds in taken.items()}
    peer = median.pop("curl", float("nan"))
    target = "half of curl's speed"
    met = {what: seconds <= 2 * peer if curl else None for what, seconds in median.items()}
    rows = [Row(f"download, 1 GB, {what}", s, "curl", peer, target, met[what]) for what, s in median.items()]
    return Found(rows)


def _random_file(path: Path) -> str:
    """Write random bytes; gives their md5."""
    digest = hashlib.md5(usedforsecurity=False)
    with open(path, "wb") as stream:
        for _ in range(SIZE // 1_000_000):
            block = os.urandom(1_000_000)
            stream.write(block)
            digest.update(block)
    return digest.hexdigest()


def _timed(work: Callable[[Path], object], folder: Path) -> float:
    """Seconds of a download into an empty folder."""
    started = clock.perf_counter()
    work(folder / "out")
    seconds = clock.perf_counter() - started
    (folder / "out").unlink()
    shutil.rmtree(folder / "cache", ignore_errors=True)
    return seconds
