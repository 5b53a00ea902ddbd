"""The ready studies: valid, sensible, and dry-run without network with what they would fetch and how large it is."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from amlprognosis.catalogue import study_overlaps
from amlprognosis.cli import main
from amlprognosis.study import Study, load_study

ROOT = Path(__file__).parents[2]
STUDIES = ROOT / "config" / "studies"
NAMES = ["tcga", "tcga_geo", "beataml", "own_cohort"]
MIRROR = "http://127.0.0.1:9/geo"
pytestmark = [pytest.mark.workflow, pytest.mark.xdist_group("workflow")]

# All dry-runs in one process: most of a dry-run is its start. Nothing listens where proxies point, so that a dry-run
# that asked a service would fail.
RUN = """
import sys
from snakemake.cli import main
for line in sys.stdin.read().splitlines():
    mark, *words = line.split()
    print("BEGIN", mark, flush=True)
    try:
        main(words)
    except SystemExit as end:
        sys.stderr.flush()
        print("\\nEND", mark, end.code, flush=True)
"""


def own_files(folder: Path) -> None:
    """Small files under the names of the template."""
    rng = np.random.default_rng(0)
    patients = [f"P{k:02d}" for k in range(30)]
    folder.mkdir()
    counts = pd.DataFrame(
        rng.poisson(50, (20, 30)), pd.Index([f"TOY{k}" for k in range(100, 120)], name="gene"), patients
    )
    counts.to_csv(folder / "expression.tsv.gz", sep="\t")
    clinical = pd.DataFrame({"patient": patients, "os_days": range(10, 40), "status": ["dead", "alive"] * 15})
    clinical.assign(age=60, sex="female").to_csv(folder / "clinical.csv", index=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ready")
    (path / "resources").symlink_to(ROOT / "resources")
    (path / "mirror.yaml").write_text(
        yaml.safe_dump({"retrieval": {"mirrors": {"geo": MIRROR}, "offline": True}}), encoding="utf-8"
    )
    own_files(path / "my_data")
    return path


@pytest.fixture(scope="module")
def dry_runs(folder: Path) -> dict[str, tuple[str, str]]:
    """Exit status and output of the dry-run of each study, and of one with a second file of configuration."""
    runs = {name: [str(STUDIES / f"{name}.yaml")] for name in NAMES}
    runs["mirrored"] = [str(STUDIES / "tcga_geo.yaml"), str(folder / "mirror.yaml")]
    start = [
        "--snakefile",
        str(ROOT / "Snakefile"),
        "--directory",
        str(folder),
        "--dry-run",
        "--nocolor",
        "--configfile",
    ]
    lines = "\n".join(" ".join([name, *start, *files]) for name, files in runs.items())
    nowhere = {key: "http://127.0.0.1:9" for key in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")}
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")} | nowhere
    done = subprocess.run(
        [sys.executable, "-c", RUN],
        input=lines,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        env=environment,
    )
    text = done.stdout
    parts = re.findall(r"^BEGIN (\S+)\n(.*?)^END \1 (\S+)$", text, flags=re.MULTILINE | re.DOTALL)
    assert len(parts) == len(runs), text[-3000:]
    return {name: (status, " ".join(output.split())) for name, output, status in parts}


def loaded(name: str) -> Study:
    return load_study(STUDIES / f"{name}.yaml")


@pytest.mark.parametrize("name", NAMES)
def test_each_dry_runs_without_network(name: str, dry_runs: dict[str, tuple[str, str]]) -> None:
    status, output = dry_runs[name]
    assert status == "0"
    assert "This was a dry-run" in output
    assert "html_report" in output


@pytest.mark.parametrize("name", NAMES)
def test_each_says_what_it_would_fetch_and_how_large_that_is(name: str, dry_runs: dict[str, tuple[str, str]]) -> None:
    output = dry_runs[name][1]
    study = loaded(name)
    for cohort in study.cohorts:
        wanted = study.retrieval_of(cohort)
        if wanted is None:
            continue
        base = study.base(study.cohorts[cohort].source)
        found = re.search(
            rf"Retrieve {wanted[0]} {wanted[1]} from {re.escape(base)}: (.*?together [^\[]*?)Reason", output
        )
        assert found, f"{name}: {cohort}"
        assert re.search(r"about \d|\d MB", found[1])
    assert "151 STAR-counts files, about 634 MB" in output


def test_tcga_geo_is_warned_of_what_may_be_shared_and_no_other(dry_runs: dict[str, tuple[str, str]]) -> None:
    assert [(pair.first, pair.second, pair.kind) for pair in study_overlaps(loaded("tcga_geo"))] == [
        ("GSE37642", "GSE12417", "possible")
    ]
    text = "amlprognosis: warning: GSE37642 (validation) and GSE12417 (validation) may share patients"
    for name, (_, output) in dry_runs.items():
        assert output.count(text) == int(name in ("tcga_geo", "mirrored")), name


def test_a_second_file_of_configuration_is_merged_key_by_key(dry_runs: dict[str, tuple[str, str]]) -> None:
    status, output = dry_runs["mirrored"]
    assert status == "0"
    assert f"Retrieve geo GSE37642 from {MIRROR}: " in output
    assert f"Retrieve geo GSE71014 from {MIRROR}: " in output
    # What the second file does not name stays as the study and the defaults say.
    assert "Retrieve gdc TCGA-LAML from https://api.gdc.cancer.gov: " in output


def test_no_training_patient_is_known_to_be_in_a_validation_cohort() -> None:
    for name in NAMES:
        assert not [pair for pair in study_overlaps(loaded(name)) if pair.training], name


@pytest.mark.parametrize("name", NAMES)
def test_each_is_sensible(name: str) -> None:
    study = loaded(name)
    assert study.study == name
    assert study.title
    assert study.description
    # Age is always a comparator; the risk group is one wherever a cohort has it, and refused with a reason elsewhere.
    assert {"age", "eln", "clinical", "lsc17", "gene_index"} <= set(study.models.run)
    assert study.reporting.answers == {}
    # Promyelocytic leukaemia is another disease: no cohort of the catalogue whose patients are known keeps it.
    for cohort in study.cohorts.values():
        if cohort.catalogue in ("TCGA-LAML", "BeatAML2", "GSE37642-GPL96"):
            assert any("promyelocytic" in rule.reason for rule in cohort.clinical.exclude)
    for validation in study.validation:
        cohort = study.cohorts[validation]
        arrays = cohort.source.type == "geo"
        assert ("none" not in cohort.adaptation) == arrays, validation


def test_what_the_studies_are_about() -> None:
    entries = {name: [c.catalogue for c in loaded(name).cohorts.values()] for name in NAMES}
    assert entries == {
        "tcga": ["TCGA-LAML"],
        "tcga_geo": ["TCGA-LAML", "GSE37642-GPL96", "GSE12417-GPL570", "GSE71014"],
        "beataml": ["BeatAML2", "TCGA-LAML"],
        "own_cohort": ["TCGA-LAML", ""],
    }
    assert loaded("beataml").training == "BeatAML2"


def test_the_template_is_checked_once_its_files_are_there(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    study = str(STUDIES / "own_cohort.yaml")
    (tmp_path / "resources").symlink_to(ROOT / "resources")
    monkeypatch.chdir(tmp_path)
    assert main(["check", study]) == 2
    assert "my_data/expression.tsv.gz; paths are relative to data_root (my_data)" in capsys.readouterr().err
    monkeypatch.chdir(folder)
    assert main(["check", study]) == 0
    assert "no fault found" in capsys.readouterr().out


def keys_of(text: str) -> Iterator[str]:
    """Commented keys of the template, one study each."""
    for line in text.splitlines():
        if match := re.match(r"^ *# (gene_map|patient_pattern|mutations|adaptation): (\S.*)$", line):
            yield match[1]


def test_the_commented_keys_of_the_template_are_keys() -> None:
    text = (STUDIES / "own_cohort.yaml").read_text(encoding="utf-8")
    assert set(keys_of(text)) == {"gene_map", "patient_pattern", "mutations", "adaptation"}
    # Everything that is commented out but sentences: each becomes a part of a valid study.
    opened = re.sub(
        r"^( *)# (gene_map|patient_pattern|mutations|adaptation|risk|exclude):", r"\1\2:", text, flags=re.MULTILINE
    )
    opened = re.sub(r"^( *)#( +(?:\{column: eln|- \{column: diagnosis).*)$", r"\1\2", opened, flags=re.MULTILINE)
    opened = re.sub(
        r"^# reporting:\n#   answers: (\{.*?\}).*$", r"reporting:\n  answers: \1", opened, flags=re.MULTILINE
    )
    study = load_study(yaml.safe_load(opened))
    ours = study.cohorts["OURS"]
    assert ours.clinical.risk.system == "ELN 2022"
    assert ours.clinical.exclude[0].values == ["APL"]
    assert ours.source.mutations == "mutations.maf.gz"
    assert ours.adaptation == ["cohort_rescaling", "reference_quantiles", "within_sample_ranks"]
    assert study.reporting.answers == {"18a": "Funded by ..."}
