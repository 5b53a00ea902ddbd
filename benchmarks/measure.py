"""Timing, R peers, and the table of results."""

from __future__ import annotations

import os
import platform
import shutil
import statistics
import subprocess
import time as clock
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
R_SCRIPTS = Path(__file__).resolve().parent / "r"
PACKAGES = ("numpy", "numba", "scikit-learn", "scikit-survival", "xgboost-cpu")


@dataclass(frozen=True)
class Row:
    """One line of the report.

    Attributes
    ----------
    what : str
        Workload.
    seconds : float
        Median of ours.
    peer : str
    peer_seconds : float
        Median of the peer's, NaN where it could not be measured.
    target : str
        What the project asks for.
    met : bool or None
        Whether it was reached; None without a target.
    """

    what: str
    seconds: float
    peer: str
    peer_seconds: float
    target: str = ""
    met: bool | None = None

    @property
    def ratio(self) -> float:
        """How many times faster than the peer."""
        return self.peer_seconds / self.seconds


@dataclass(frozen=True)
class Found:
    """What a case found: rows of the table, and lines of text below it."""

    rows: list[Row]
    lines: list[str] = field(default_factory=list)


def median_seconds(work: Callable[[], object], repeats: int) -> float:
    """Median wall time of ``work`` after one call that is not counted (compilation, imports)."""
    work()
    taken = []
    for _ in range(max(repeats, 3)):
        started = clock.perf_counter()
        work()
        taken.append(clock.perf_counter() - started)
    return statistics.median(taken)


def run_r(script: str, arguments: Mapping[str, object]) -> dict[str, float] | None:
    """Run an R script that prints ``name value`` lines; None where R or its packages are missing."""
    program = shutil.which("Rscript")
    if program is None:
        return None
    words = [f"{key}={value}" for key, value in arguments.items()]
    done = subprocess.run(
        [program, "--vanilla", str(R_SCRIPTS / script), *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        print(f"  (R peer not measured: {last})")
        return None
    pairs = (line.split() for line in done.stdout.splitlines() if line.startswith("@"))
    return {name[1:]: float(value) for name, value in pairs}


def machine() -> str:
    """Machine and versions in a sentence."""
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        model = platform.machine()
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return f"{model}, {os.cpu_count()} cores, {platform.system()}; Python {platform.python_version()}, {versions}"


def markdown(found: list[Found], repeats: int) -> str:
    """Table and text for the documentation."""
    rows = [row for part in found for row in part.rows]
    lines = [
        "# Benchmarks",
        "",
        "Written by `python -m benchmarks`. R, where it is a peer, runs on one thread unless said; figures of PEERS.md "
        "were measured before, on the same class of machine. The learners are checked against R's numbers in "
        "tests/golden, so that speed is not bought with another result.",
        "",
        f"{machine()}. Medians of {max(repeats, 3)} runs after one that is not counted.",
        "",
        "| workload | ours, s | peer | peer, s | ratio | target | met |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        known = row.peer_seconds == row.peer_seconds
        met = {True: "yes", False: "**no**", None: ""}[row.met]
        lines.append(
            f"| {row.what} | {row.seconds:.3g} | {row.peer} | {f'{row.peer_seconds:.3g}' if known else '-'} | "
            f"{f'{row.ratio:.1f}x' if known else '-'} | {row.target} | {met} |"
        )
    for part in found:
        if part.lines:
            lines += ["", "```", *part.lines, "```"]
    return "\n".join(lines) + "\n"
