"""Bad input ends in one clear message before any training: the functions that the scripts call, then real runs."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from amlprognosis.cohort import exclusions
from amlprognosis.errors import InputError
from amlprognosis.evaluation.design import Design, make_design
from amlprognosis.normalize.assemble import assemble_cohort
from amlprognosis.retrieve.read import read_source
from amlprognosis.signatures.gene_sets import read_gmt
from amlprognosis.study import check_files, load_study

ROOT = Path(__file__).parents[2]
GENES = [f"TOY{number}" for number in range(100, 130)]
Frames = dict[str, pd.DataFrame]


def frames(name: str, patients: int, seed: int) -> Frames:
    rng = np.random.default_rng(seed)
    ids = [f"{name}{number:02d}" for number in range(patients)]
    values = rng.normal(8, 1.5, (len(GENES), patients)).round(3)
    expression = pd.DataFrame(values, index=pd.Index(GENES, name="gene"), columns=ids).reset_index()
    clinical = pd.DataFrame(
        {
            "id": ids,
            "os": rng.integers(20, 2000, patients).astype(str),
            "dead": np.where(np.arange(patients) % 2 == 0, "1", "0"),
            "age": rng.integers(20, 80, patients).astype(str),
        }
    )
    return {"expression": expression.astype(object), "clinical": clinical}


class World:
    """A small study of own tables that a test may spoil before it is written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cohorts = {"A": frames("A", 40, 1), "B": frames("B", 30, 2)}
        self.gmt = "SET\ttest\t" + "\t".join(GENES[:12]) + "\n"
        self.spoil: list[Callable[[Path], Any]] = []
        self.study: dict[str, Any] = {
            "study": "bad",
            "title": "Bad input",
            "data_root": str(folder),
            "cohorts": {name: self.section(name, role) for name, role in (("A", "training"), ("B", "validation"))},
            "gene_sets": {"file": str(folder / "sets.gmt")},
            "crossvalidation": {"folds": 3, "repeats": 1},
            "models": {"run": ["gene_index", "age"]},
        }

    @staticmethod
    def section(name: str, role: str) -> dict[str, Any]:
        return {
            "role": role,
            "source": {
                "type": "tables",
                "expression": f"{name}.tsv.gz",
                "scale": "log2",
                "clinical": f"{name}.csv",
                "clinical_id": "id",
            },
            "clinical": {
                "os_time": {"column": "os", "unit": "days"},
                "os_event": {"column": "dead"},
                "age": {"column": "age"},
            },
        }

    def write(self) -> Path:
        for name, tables in self.cohorts.items():
            with gzip.open(self.folder / f"{name}.tsv.gz", "wt") as stream:
                tables["expression"].to_csv(stream, sep="\t", index=False)
            tables["clinical"].to_csv(self.folder / f"{name}.csv", index=False)
        (self.folder / "sets.gmt").write_text(self.gmt, encoding="utf-8")
        for change in self.spoil:
            change(self.folder)
        path = self.folder / "study.yaml"
        path.write_text(yaml.safe_dump(self.study), encoding="utf-8")
        return path

    def design(self) -> Design:
        """What the workflow does before any training."""
        path = self.write()
        study = load_study(path)
        check_files(study, name=str(path))
        cohorts = {name: assemble_cohort(study, name, read_source(study, name)) for name in study.cohorts}
        return make_design(study, cohorts, read_gmt(study.gene_sets.file))


def cell(cohort: str, table: str, row: int, column: str, value: object) -> Callable[[World], None]:
    def change(world: World) -> None:
        world.cohorts[cohort][table].loc[row, column] = value

    return change


def key(path: str, value: object) -> Callable[[World], None]:
    def change(world: World) -> None:
        place = world.study
        *parents, last = path.split(".")
        for part in parents:
            place = place.setdefault(part, {})
        place[last] = value

    return change


def column(cohort: str, name: str, make: Callable[[pd.DataFrame], Any]) -> Callable[[World], None]:
    def change(world: World) -> None:
        table = world.cohorts[cohort]["clinical"]
        table[name] = make(table)

    return change


def repeated(table: str, row: int) -> Callable[[World], None]:
    def change(world: World) -> None:
        frame = world.cohorts["A"][table]
        world.cohorts["A"][table] = pd.concat([frame, frame.iloc[[row]]])

    return change


def file(name: str, make: Callable[[bytes], bytes]) -> Callable[[World], None]:
    def spoil(folder: Path) -> None:
        (folder / name).write_bytes(make((folder / name).read_bytes()))

    return lambda world: world.spoil.append(spoil)


def without_os(world: World) -> None:
    world.cohorts["A"]["clinical"] = world.cohorts["A"]["clinical"].drop(columns="os")


def other_genes(world: World) -> None:
    world.cohorts["B"]["expression"]["gene"] = [f"LINC{number}" for number in range(len(GENES))]


def other_patients(world: World) -> None:
    world.cohorts["B"]["clinical"]["id"] = [f"X{number}" for number in range(30)]


HTML = b"<!DOCTYPE html>\n<html><body>503 Service Unavailable</body></html>\n"
CASES: dict[str, tuple[Callable[[World], None], str]] = {
    "unknown key": (key("cohorts.A.source.scal", "log2"), r"study.yaml: cohorts.A.source.scal: unknown key.*'scale'"),
    "missing file": (key("cohorts.A.source.clinical", "no.csv"), r"cohorts.A.source.clinical: no such file.*no\.csv"),
    "missing OS column": (without_os, r"A\.csv\): clinical.os_time.column: no column 'os'"),
    "event codes": (cell("A", "clinical", 3, "dead", "2"), r"A\.csv\): clinical.os_event: column 'dead': .*: 2; list"),
    "negative time": (cell("A", "clinical", 3, "os", "-5"), r"A\.csv\): .*column 'os': .*negative.*A03: '-5'; correct"),
    "infinite time": (cell("A", "clinical", 3, "os", "-Inf"), r"A\.csv\): .*column 'os': .*infinite.*A03: '-Inf'"),
    "patient twice": (repeated("clinical", 4), r"A\.csv: id repeated in several rows: A04; keep one row"),
    "gene twice": (repeated("expression", 2), r"A\.tsv\.gz\): genes named more than once: TOY102; keep one row"),
    "no shared gene": (other_genes, r"no gene is shared between the cohorts.*A: 30 genes.*B: 30 genes.*gene_ids"),
    "few events": (column("A", "dead", lambda t: ["1"] * 9 + ["0"] * 31), r"A\.tsv\.gz\): only 9 deaths among 40"),
    "all dead": (column("A", "dead", lambda t: "1"), r"outcome is constant: every one of the 40 patients died; check"),
    "one time": (column("A", "os", lambda t: "400"), r"A.*outcome is constant: every patient's os_time is 400 days"),
    "truncated gzip": (file("A.tsv.gz", lambda b: b[: len(b) // 2]), r"A\.tsv\.gz: the gzip file is cut off"),
    "HTML matrix": (file("A.tsv.gz", lambda b: HTML), r"A\.tsv\.gz: a web page \(HTML\), not data"),
    "zipped HTML": (file("B.tsv.gz", lambda b: gzip.compress(HTML)), r"B\.tsv\.gz: a web page \(HTML\), not data"),
    "HTML gene sets": (file("sets.gmt", lambda b: HTML), r"sets\.gmt: an HTML or XML page"),
    "unknown genes": (lambda w: setattr(w, "gmt", "S\tx\tQ1\tQ2\n"), r"sets\.gmt: 0 of its 2 genes .*approved symbols"),
    "unknown set": (key("gene_sets.sets", ["NONE"]), r"gene_sets.sets: .*sets\.gmt has no set NONE; it has SET"),
    "infinite value": (cell("A", "expression", 3, "A05", "-inf"), r"row TOY103, column A05: infinite value"),
    "text value": (cell("A", "expression", 3, "A05", "low"), r"row TOY103, column A05: 'low' is not a number"),
    "other patients": (other_patients, r"B\.tsv\.gz\): no patient has both expression .* check clinical_id"),
    "pattern": (
        key("cohorts.A.source.patient_pattern", "A.*"),
        r"A.source.patient_pattern: has no group; put .*given: 'A\.\*'",
    ),
    "outcome as age": (key("cohorts.A.clinical.age.column", "os"), r"column 'os' is os_time and age; it can be one"),
    "outcome as feature": (key("features.clinical", ["os_time"]), r"features.clinical: os_time is the outcome"),
    "no index": (key("models.run", ["age"]), r"models.run: gene_index is needed"),
    "not run": (key("evaluation.report_models", ["lsc17"]), r"evaluation.report_models: lsc17 not in models.run"),
    "horizon zero": (
        key("evaluation.horizons_years", [0, 3]),
        r"evaluation.horizons_years: every horizon must be abov",
    ),
}


def test_the_world_itself_is_sound(tmp_path: Path) -> None:
    design = World(tmp_path).design()
    assert design.features.shape[0] == 40
    assert design.candidates["genes"] == GENES[:12]


@pytest.mark.parametrize("name", CASES)
def test_one_message_names_place_and_remedy(tmp_path: Path, name: str) -> None:
    change, expected = CASES[name]
    world = World(tmp_path)
    change(world)
    with pytest.raises(InputError, match=expected) as raised:
        world.design()
    assert len(str(raised.value).splitlines()) == 1


def test_h5ad_that_is_another_hdf5_file(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    world = World(tmp_path)
    key("cohorts.A.source.expression", "A.h5ad")(world)

    def plain(folder: Path) -> None:
        with h5py.File(folder / "A.h5ad", "w") as stream:
            stream["a"] = np.arange(3)

    world.spoil.append(plain)
    with pytest.raises(InputError, match=r"A\.h5ad: not a readable h5ad file"):
        world.design()


def test_missing_and_zero_times_are_counted_and_listed(tmp_path: Path) -> None:
    world = World(tmp_path)
    for row, value in ((0, ""), (1, "0"), (2, "NA")):
        cell("A", "clinical", row, "os", value)(world)
    study = load_study(world.write())
    cohort = assemble_cohort(study, "A", read_source(study, "A"))
    listed = exclusions(cohort).groupby("reason")["patient"].agg(list).to_dict()
    assert listed == {"overall survival time missing": ["A00", "A02"], "overall survival time zero": ["A01"]}
    assert cohort.n_obs == 37


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_byte_order_mark_line_ends_and_latin_1(tmp_path: Path, end: str) -> None:
    world = World(tmp_path)
    for cohort, encoding in (("A", "utf-8-sig"), ("B", "latin-1")):
        world.cohorts[cohort]["clinical"]["Zentrum"] = "München"
        file(f"{cohort}.csv", lambda b, e=encoding: b.decode().replace("\n", end).encode(e))(world)
    assert len(world.design().features) == 40


@pytest.mark.workflow
@pytest.mark.xdist_group("workflow")
@pytest.mark.parametrize("name", ["HTML matrix", "few events"])
def test_a_run_ends_before_training(tmp_path: Path, name: str) -> None:
    change, _ = CASES[name]
    world = World(tmp_path)
    change(world)
    (tmp_path / "resources").symlink_to(ROOT / "resources")
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--snakefile", str(ROOT / "Snakefile")]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    run = subprocess.run(
        [*command, "--directory", str(tmp_path), "--configfile", str(world.write())],
        capture_output=True,
        text=True,
        timeout=200,
        env=environment,
    )
    said = run.stdout + run.stderr
    assert run.returncode != 0
    assert said.count("amlprognosis: ") == 1
    assert "A.tsv.gz" in said.partition("amlprognosis: ")[2].splitlines()[0]
    assert "Traceback" not in said
    assert not (tmp_path / "results" / "bad" / "design").exists()
