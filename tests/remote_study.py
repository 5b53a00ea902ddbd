"""The study config/studies/tcga_geo.yaml, end to end, against a server of our own that fails now and then.

The server speaks the API of the GDC and lays files out as GEO does; ``retrieval.mirrors`` sends the study there. What
it holds is simulated (remote_world.py).

``python tests/remote_study.py FOLDER [--full] [--cores N]`` runs it: ``--full`` in the sizes of the real cohorts.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "workflow")]

from remote_world import FULL, SMALL, write_world  # noqa: E402
from server import FixtureServer  # noqa: E402
from server.gdc import GdcApi  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
STUDY = ROOT / "config" / "studies" / "tcga_geo.yaml"
# Everything that is not named here is as in the study itself.
QUICK: dict[str, Any] = {
    "crossvalidation": {"folds": 3, "repeats": 1},
    "models": {"run": ["gene_index", "age"]},
    "evaluation": {"control_repeats": 1, "permutations": 2, "random_sets": 5, "seeds": 2, "bootstrap": 100},
}
FULL_SIZE: dict[str, Any] = {
    "crossvalidation": {"folds": 5, "repeats": 1},
    "models": {"run": ["gene_index", "random_survival_forest", "comparators"]},
    "evaluation": {"control_repeats": 1, "permutations": 10, "random_sets": 50, "seeds": 2},
}


def serve(world: Path) -> FixtureServer:
    """Server of a world: ``/geo`` as files, ``/gdc`` as the API, with faults that a retrieval must bear."""
    server = FixtureServer(world, handlers=[GdcApi(world / "gdc", prefix="/gdc")])
    server.faults.add("*GSE12417-GPL570_series_matrix*", "503", times=1, retry_after=1)
    server.faults.add("*GSE71014_series_matrix*", "cut", times=2, at=20_000)
    server.faults.add("*GPL570.annot*", "429", times=1, retry_after=1)
    server.faults.add("/gdc/cases*", "500", times=1)
    server.faults.add("/gdc/data*", "cut", times=1, at=30_000)
    return server


def snakemake(folder: Path, *words: str, configs: list[Path]) -> subprocess.CompletedProcess[str]:
    """Run the workflow in a folder of its own."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder)]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
    return subprocess.run(
        [*command, "--configfile", *map(str, configs), *words],
        capture_output=True,
        text=True,
        timeout=3000,
        env=environment,
    )


def prepare(folder: Path, url: str, settings: dict[str, Any]) -> list[Path]:
    """A working folder, and the files of configuration: the study, and where and how it is run here."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "resources").exists():
        (folder / "resources").symlink_to(ROOT / "resources")
    here = {"retrieval": {"mirrors": {"geo": f"{url}/geo", "gdc": f"{url}/gdc"}}, **settings}
    (folder / "here.yaml").write_text(yaml.safe_dump(here), encoding="utf-8")
    return [STUDY, folder / "here.yaml"]


def main() -> int:
    """Run from the command line."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("folder", type=Path)
    words.add_argument("--full", action="store_true", help="in the sizes of the real cohorts")
    words.add_argument("--cores", default="2")
    chosen = words.parse_args()
    world = chosen.folder.resolve() / "world"
    planted = write_world(world, FULL if chosen.full else SMALL)
    with serve(world) as server:
        configs = prepare(chosen.folder.resolve() / "run", server.url, FULL_SIZE if chosen.full else QUICK)
        started = time.monotonic()
        run = snakemake(chosen.folder.resolve() / "run", "--cores", chosen.cores, configs=configs)
        if run.returncode:
            print(run.stdout[-2000:], run.stderr[-6000:], sep="\n")
        print(f"planted: {planted}")
        spoiled = sum(asked.status >= 400 for asked in server.log)
        print(f"{len(server.log)} requests, {spoiled} refused; {time.monotonic() - started:.0f} s")
    return run.returncode


if __name__ == "__main__":
    sys.exit(main())
