"""Large files of the services: parsed and normalised, with the peak memory of the process."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from amlprognosis.normalize.gene_table import gene_table
from benchmarks.measure import ROOT, Found, Row

SECONDS, GIBIBYTES = 60.0, 3.0
SAMPLES, PROBES = 562, 54_675
# Run in a process of its own, so that its peak memory is that of the work alone.
_WORK = """
import json, resource, sys, time
from pathlib import Path
started = time.perf_counter()
from amlprognosis.normalize.assemble import assemble_cohort
from amlprognosis.retrieve.sources import module_of
from amlprognosis.study import load_study
study = load_study(json.loads(sys.argv[1]))
source = study.cohorts["C"].source
raw = module_of(source).read(source, Path(sys.argv[2]), {})
parsed = time.perf_counter()
cohort = assemble_cohort(study, "C", raw)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
print(json.dumps([parsed - started, time.perf_counter() - parsed, peak, *cohort.shape]))
"""


def sources(repeats: int, threads: int) -> Found:
    """A series matrix of 562 x 54,675 and 151 STAR-counts files of 60,660 rows, from file to cohort; once each."""
    del repeats, threads
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _series(folder / "geo")
        _project(folder)
        outcome = {"os_time": {"column": "days", "unit": "days"}, "os_event": {"column": "dead"}}
        geo = {"type": "geo", "accession": "GSE1", "platform": "GPL570"}
        array = _run({"source": geo, "clinical": outcome}, folder / "geo")
        counts = _run({"source": {"type": "gdc"}}, folder / "gdc")
    rows, lines = [], []
    for what, found in ((f"series matrix, {SAMPLES} x {PROBES:,}", array), ("151 STAR-counts files x 60,660", counts)):
        parsing, normalising, peak, patients, genes = found
        seconds = parsing + normalising
        met = seconds <= SECONDS and peak <= GIBIBYTES
        rows.append(Row(f"{what}: to a cohort", seconds, "limit", SECONDS, f"60 s, {GIBIBYTES:g} GiB", met))
        lines.append(
            f"{what}: parsed in {parsing:.1f} s, normalised in {normalising:.1f} s, peak {peak:.2f} GiB; "
            f"{patients:.0f} patients x {genes:,.0f} genes."
        )
    return Found(rows, lines)


def _run(cohort: dict[str, object], folder: Path) -> list[float]:
    study = {"study": "big", "title": "big", "cohorts": {"C": {"role": "training", **cohort}}}
    done = subprocess.run(
        [sys.executable, "-c", _WORK, json.dumps(study), str(folder)], capture_output=True, text=True, check=True
    )
    found: list[float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _series(folder: Path) -> None:
    """A series matrix of the size of the largest AML series, with a platform table, as a retrieved folder."""
    folder.mkdir()
    rng = np.random.default_rng(1)
    symbols = sorted(gene_table().symbols)
    probes = [f"{200_000 + k}_at" for k in range(PROBES)]
    table = "ID\tGene symbol\n" + "".join(f"{p}\t{symbols[k % 22_000]}\n" for k, p in enumerate(probes))
    _write(folder / "GPL570.annot.gz", [table])
    names = [f"GSM{k}" for k in range(1, SAMPLES + 1)]
    days, dead = rng.integers(1, 3000, SAMPLES), rng.integers(0, 2, SAMPLES)
    header = [
        ("!Sample_geo_accession", names),
        ("!Sample_characteristics_ch1", [f"days: {d}" for d in days]),
        ("!Sample_characteristics_ch1", [f"dead: {d}" for d in dead]),
        ("!Sample_platform_id", ["GPL570"] * SAMPLES),
    ]
    head = "\n".join("\t".join([key, *(f'"{value}"' for value in values)]) for key, values in header)
    head += '\n!series_matrix_table_begin\n"ID_REF"\t' + "\t".join(f'"{name}"' for name in names) + "\n"
    level = rng.normal(7, 2, PROBES)

    def body() -> Iterator[str]:
        yield head
        for first in range(0, PROBES, 500):
            part = level[first : first + 500, None] + rng.normal(0, 1, (min(500, PROBES - first), SAMPLES))
            template = "".join(f'"{p}"' + "\t%.4f" * SAMPLES + "\n" for p in probes[first : first + 500])
            yield template % tuple(part.ravel().tolist())
        yield "!series_matrix_table_end\n"

    _write(folder / "GSE1_series_matrix.txt.gz", body())
    _provenance(folder)


def _write(path: Path, parts: Iterable[str]) -> None:
    packer = zlib.compressobj(1, wbits=31)
    with open(path, "wb") as stream:
        for part in parts:
            stream.write(packer.compress(part.encode()))
        stream.write(packer.flush())


def _project(folder: Path) -> None:
    """A GDC project of the size of TCGA-LAML, as the tests simulate it."""
    command = [sys.executable, str(ROOT / "tests" / "remote_world.py"), str(folder), "--full", "--only-gdc"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    _provenance(folder / "gdc")


def _provenance(folder: Path) -> None:
    from amlprognosis.retrieve.download import local_record, write_provenance

    write_provenance(folder, [local_record(path) for path in sorted(folder.rglob("*")) if path.is_file()])
