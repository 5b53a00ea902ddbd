"""The whole way on a small world: both entry points, any number of cores, locked cohorts, clear refusals."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from anndata import AnnData

from amlprognosis.cli import main
from amlprognosis.cohort import read_cohort
from amlprognosis.report.context import workflow_edges
from amlprognosis.study import load_study, model_slug
from amlprognosis.tables import read_table

ROOT = Path(__file__).parents[2]
MINI = ROOT / "tests" / "workflow" / "mini.yaml"
pytestmark = [pytest.mark.workflow, pytest.mark.xdist_group("workflow")]


def snakemake(
    folder: Path, *words: str, snakefile: str = "Snakefile", config: Path = MINI
) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / snakefile), "--directory", str(folder)]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
    return subprocess.run(
        [*command, "--configfile", str(config), *words], capture_output=True, text=True, timeout=800, env=environment
    )


def new_folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    (path / "resources").symlink_to(ROOT / "resources")
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="session")
def one_core(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = new_folder(tmp_path_factory.mktemp("one"))
    run = snakemake(folder, "--cores", "1")
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-6000:]
    return folder / "results" / "mini"


@pytest.fixture(scope="session")
def two_cores(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = new_folder(tmp_path_factory.mktemp("two"))
    run = snakemake(folder, "--cores", "2", snakefile="workflow/Snakefile")
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-6000:]
    return folder / "results" / "mini"


def test_report_and_tables_are_there(one_core: Path) -> None:
    page = (one_core / "report.html").read_text(encoding="utf-8")
    assert len(page) < 12e6
    assert "Small world for tests" in page
    board = read_table(one_core / "tables" / "leaderboard.tsv").set_index("model")
    assert board.loc["gene_index", "patients"] == board.loc["age", "patients"]
    judged = board["c_harrell"].notna()
    assert board.loc[judged, "c_harrell"].between(0, 1).all()
    assert board.loc[~judged, "note"].str.len().gt(0).all(), "a model without a figure says why"
    grid = read_table(one_core / "tables" / "grid.tsv").set_index("model")
    assert len(grid) == 5
    assert grid.loc["CoxBoost[n_steps=1] + Ridge", "fits_failed"] == 6
    assert "keeps 1 of" in grid.loc["CoxBoost[n_steps=1] + Ridge", "reason"]
    assert board.loc["best_of_grid", "kind"] == "procedure"
    assert {"c_best", "c_nested", "optimism"} <= set(read_table(one_core / "tables" / "grid_summary.tsv")["item"])
    assert set(read_table(one_core / "tables" / "validation.tsv")["cohort"]) == {"ARRAY", "TABLES"}
    for cohort in ("ARRAY", "TABLES"):
        flow = read_table(one_core / "tables" / "flow.tsv")
        flow = flow[flow["cohort"] == cohort]
        assert flow["patients"].iloc[0] - flow["patients"].iloc[1:-1].sum() == flow["remaining"].iloc[-1]


def test_evidence_of_the_study_is_there(one_core: Path) -> None:
    tables = one_core / "tables"
    comparisons = read_table(tables / "comparisons.tsv")
    assert {"age", "age_eln", "clinical", "lsc17"} <= set(comparisons["comparator"])
    assert {"c_harrell", "brier_3y", "net_benefit"} <= set(comparisons["metric"])
    assert comparisons.loc[comparisons["difference"].isna(), "note"].str.len().gt(0).all(), "a gap says why"
    adaptations = read_table(tables / "validation.tsv").groupby("cohort")["adaptation"].agg(set)
    assert {"cohort_rescaling", "within_sample_ranks"} <= adaptations["ARRAY"]
    assert {"none", "reference_quantiles"} <= adaptations["TABLES"]
    pooled = read_table(tables / "meta_analysis.tsv").query("model == 'gene_index' and metric == 'c_harrell'")
    assert pooled["cohorts"].tolist() == [2]
    random = read_table(tables / "controls.tsv").query("control == 'random_gene_set'")
    assert random.groupby("cohort").size().to_dict() == {"ARRAY": 3, "TABLES": 3, "TRAIN": 3}
    assert len(read_table(tables / "tripod_ai.tsv")) == 52
    assert "TRIPOD+AI" in (one_core / "tripod_ai.html").read_text(encoding="utf-8")
    domains = set(read_table(tables / "risk_of_bias.tsv")["domain"])
    assert domains == {"participants", "predictors", "outcome", "analysis"}
    for folder in (one_core / "models").iterdir():
        card = (folder / "card.md").read_text(encoding="utf-8")
        assert card.startswith("# "), folder


def test_one_new_patient_is_scored_as_the_workflow_did(one_core: Path, tmp_path: Path) -> None:
    """A table with the expression of one patient gives that patient's row of the validation."""
    cohort = read_cohort(one_core / "cohorts" / "TABLES.h5ad")
    patient = str(cohort.obs_names[3])
    values = [f"{value:.9g}" for value in np.asarray(cohort[patient].X).ravel()]
    pd.Series(values, index=cohort.var_names, name=patient).to_csv(tmp_path / "new.tsv", sep="\t", index_label="gene")
    names = ["gene_index", "random_survival_forest", "xgboost_cox", "Lasso + StepCox[both]"]
    folders = [str(one_core / "models" / model_slug(name)) for name in names]
    words = ["--expression", str(tmp_path / "new.tsv"), "--adaptation", "none", "--out", str(tmp_path / "out.tsv")]
    words += ["--clinical", str(clinical_of(cohort, patient, tmp_path))]
    assert main(["predict", "--model", *folders, *words]) == 0
    own = read_table(tmp_path / "out.tsv").set_index("model")
    workflow = pd.read_parquet(one_core / "validation" / "TABLES.parquet")
    workflow = workflow[(workflow["patient"] == patient) & (workflow["adaptation"] == "none")].set_index("model")
    for name in names[:1] + names[3:]:
        assert abs(own.loc[name, "risk"] - workflow.loc[name, "risk"]) < 1e-9
        assert abs(own.loc[name, "survival_5y"] - workflow.loc[name, "survival_5y"]) < 1e-9
    # Without the mutations these two see filled values; they are scored, and say so.
    assert own.loc[names[1:3], "features_missing"].gt(0).all()
    assert own.loc[names[1:3], "warnings"].str.contains("missing").all()


def clinical_of(cohort: AnnData, patient: str, folder: Path) -> Path:
    cohort.obs.loc[[patient], ["age", "sex", "risk"]].to_csv(folder / "clinical.tsv", sep="\t", index_label="patient")
    return folder / "clinical.tsv"


def test_any_number_of_cores_gives_the_same_bytes(one_core: Path, two_cores: Path) -> None:
    for part in ("tables", "models", "crossvalidation", "validation", "figures"):
        first, second = contents(one_core / part), contents(two_cores / part)
        timed = {name for name in first if name.endswith(".seconds.json")}
        assert first.keys() == second.keys()
        assert [name for name in first.keys() - timed if first[name] != second[name]] == []


def test_a_second_run_has_nothing_to_do(one_core: Path) -> None:
    run = snakemake(one_core.parents[1], "--cores", "1")
    assert "Nothing to be done" in run.stdout + run.stderr


def test_rule_graph_of_the_report_is_snakemakes(one_core: Path) -> None:
    run = snakemake(one_core.parents[1], "--rulegraph", "dot")
    names = {
        number: re.sub("^fit_.*", "fit", name) for number, name in re.findall(r'(\d+)\[label = "([\w-]+)"', run.stdout)
    }
    edges = {(names[a], names[b]) for a, b in re.findall(r"(\d+) -> (\d+)", run.stdout)}
    assert {(a, b) for a, b in edges if a != b and b not in ("study", "all")} == set(workflow_edges(load_study(MINI)))


def test_snakemakes_own_report(one_core: Path) -> None:
    page = one_core / "snakemake-report.html"
    run = snakemake(one_core.parents[1], "--cores", "1", "--report", str(page))
    assert run.returncode == 0, run.stderr[-3000:]
    text = page.read_text(encoding="utf-8")
    assert "leaderboard" in text
    assert "kaplan_meier" in text


def test_validation_cohorts_are_locked(two_cores: Path, tmp_path: Path) -> None:
    """Another validation cohort of the same platform changes its own figures and nothing of the models."""
    folder = tmp_path / "locked"
    shutil.copytree(two_cores.parents[1], folder, symlinks=True)
    results = folder / "results" / "mini"
    before = contents(results / "models") | {"board": (results / "tables" / "leaderboard.tsv").read_bytes()}
    rng = np.random.default_rng(3)
    tables = results / "simulated" / "tables"
    counts = pd.read_csv(tables / "expression.tsv.gz", sep="\t", index_col=0)
    counts = pd.DataFrame(rng.permuted(counts.to_numpy(), axis=1), index=counts.index, columns=counts.columns)
    with gzip.open(tables / "expression.tsv.gz", "wt") as stream:
        counts.to_csv(stream, sep="\t")
    clinical = pd.read_csv(tables / "clinical.csv", dtype=str)
    clinical["os_years"] = rng.permutation(clinical["os_years"].to_numpy())
    clinical.to_csv(tables / "clinical.csv", index=False)
    run = snakemake(folder, "--cores", "2", "--forcerun", "design")
    assert run.returncode == 0, run.stderr[-6000:]
    after = contents(results / "models") | {"board": (results / "tables" / "leaderboard.tsv").read_bytes()}
    assert before == after
    old = read_table(two_cores / "tables" / "validation.tsv").query("cohort == 'TABLES'")
    new = read_table(results / "tables" / "validation.tsv").query("cohort == 'TABLES'")
    assert not np.allclose(old["c_harrell"], new["c_harrell"]), "the replaced cohort was not read at all"


def changed(tmp_path: Path, path: str, value: object) -> Path:
    study = yaml.safe_load(MINI.read_text(encoding="utf-8"))
    place = study
    *parents, last = path.split(".")
    for part in parents:
        place = place[part]
    place[last] = value
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(study), encoding="utf-8")
    return tmp_path / "study.yaml"


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("titel", "x", "titel: unknown key; did you mean 'title'?"),
        ("cohorts.TABLES.source.expression", "none.tsv", "cohorts.TABLES.source.expression: no such file or folder"),
        ("gene_sets", {"file": "mine.gmt"}, "gene_sets.file: no such file or folder: mine.gmt"),
    ],
)
def test_a_faulty_study_is_refused_before_any_job(tmp_path: Path, path: str, value: object, expected: str) -> None:
    folder = new_folder(tmp_path / "work")
    run = snakemake(folder, "--cores", "1", config=changed(tmp_path, path, value))
    assert run.returncode != 0
    assert expected in run.stderr
    assert "Traceback" not in run.stderr
    assert not (folder / "results").exists()


def test_a_faulty_column_is_refused_before_training(one_core: Path, tmp_path: Path) -> None:
    folder = tmp_path / "work"
    shutil.copytree(one_core.parents[1], folder, symlinks=True)
    config = changed(tmp_path, "cohorts.TABLES.clinical.os_time.column", "os_year")
    run = snakemake(folder, "--cores", "1", config=config)
    assert run.returncode != 0
    message = [line for line in run.stderr.splitlines() if line.startswith("amlprognosis: ")]
    assert len(message) == 1
    assert "os_year" in message[0]
    assert "os_years" in message[0]
    assert "Cross-validate group" not in run.stderr
