"""config/studies/tcga_geo.yaml against a server of our own: retrieved through faults, read, judged; then offline."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from remote_study import QUICK, prepare, serve, snakemake
from remote_world import SMALL, write_world

from amlprognosis.cohort import exclusions, read_cohort
from amlprognosis.tables import read_table

pytestmark = [pytest.mark.workflow, pytest.mark.xdist_group("remote")]
COHORTS = ("TCGA-LAML", "GSE37642", "GSE12417", "GSE71014")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict, list, list[Path]]:
    folder = tmp_path_factory.mktemp("remote")
    planted = write_world(folder / "world", SMALL)
    with serve(folder / "world") as server:
        configs = prepare(folder / "run", server.url, QUICK)
        run = snakemake(folder / "run", "--cores", "2", configs=configs)
        log = list(server.log)
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-6000:]
    return folder / "run", planted, log, configs


def test_every_cohort_is_as_planted(finished: tuple[Path, dict, list, list[Path]]) -> None:
    folder, planted, _, _ = finished
    for name in COHORTS:
        cohort = read_cohort(folder / "results" / "tcga_geo" / "cohorts" / f"{name}.h5ad")
        left_out = exclusions(cohort)["reason"].value_counts()
        by_table = left_out.drop("no expression data", errors="ignore")
        assert cohort.n_obs + by_table.sum() == planted[name]["patients"], name
        assert planted[name]["deaths"] - by_table.sum() <= cohort.obs["os_event"].sum() <= planted[name]["deaths"]
        assert cohort.n_vars > 900
        assert (name == "GSE71014") == ("age" not in cohort.obs)


def test_the_report_and_the_validation_are_there(finished: tuple[Path, dict, list, list[Path]]) -> None:
    results = finished[0] / "results" / "tcga_geo"
    assert "TCGA-LAML to GEO" in (results / "report.html").read_text(encoding="utf-8")
    table = read_table(results / "tables" / "validation.tsv")
    index = table[table["model"] == "gene_index"]
    assert sorted(set(index["cohort"])) == sorted(COHORTS[1:])
    assert len(index) == 9, "three adaptations in three cohorts"
    assert index["c_harrell"].between(0.4, 0.9).all()
    ages = table[(table["model"] == "age") & (table["cohort"] == "GSE71014")]
    assert ages["c_harrell"].isna().all(), "the cohort has no age"


def test_faults_were_met_and_borne(finished: tuple[Path, dict, list, list[Path]]) -> None:
    log = finished[2]
    cut = [asked for asked in log if asked.path.endswith("GSE71014_series_matrix.txt.gz") and asked.method == "GET"]
    assert len(cut) == 3
    assert [asked.range for asked in cut[1:]] == ["bytes=20000-", "bytes=40000-"]
    assert {200, 206} <= {asked.status for asked in log}
    assert {429, 500, 503} <= {asked.status for asked in log}


def test_every_file_is_written_down(finished: tuple[Path, dict, list, list[Path]]) -> None:
    folder = finished[0] / "results" / "retrieved"
    rows = json.loads((folder / "gdc" / "TCGA-LAML" / "PROVENANCE.json").read_text())
    counts = [row for row in rows if row["path"].endswith("star_gene_counts.tsv")]
    assert len(counts) == SMALL.tcga
    assert all("md5" in row["published"] for row in counts)
    rows = json.loads((folder / "geo" / "GSE12417" / "PROVENANCE.json").read_text())
    assert sorted(row["path"] for row in rows) == ["GPL570.annot.gz", "GSE12417-GPL570_series_matrix.txt.gz"]
    assert all(row["url"].startswith("http://127.0.0.1") and len(row["sha256"]) == 64 for row in rows)


def test_offline_the_cache_is_enough_and_what_is_missing_is_named(
    finished: tuple[Path, dict, list, list[Path]],
) -> None:
    folder, _, _, configs = finished
    shutil.rmtree(folder / "results" / "retrieved" / "geo" / "GSE12417")
    wanted = "results/retrieved/geo/GSE12417/PROVENANCE.json"
    offline = ["--config", "retrieval={'offline': True}"]
    run = snakemake(folder, "--cores", "1", wanted, *offline, configs=configs)
    assert run.returncode == 0, run.stderr[-3000:]
    shutil.rmtree(folder / "results" / "retrieved" / "geo" / "GSE12417")
    shutil.rmtree(folder / "results" / "retrieved" / "cache")
    run = snakemake(folder, "--cores", "1", wanted, *offline, configs=configs)
    assert run.returncode != 0
    for name in ("GPL570.annot.gz", "GSE12417-GPL570_series_matrix.txt.gz"):
        assert f"results/retrieved/geo/GSE12417/{name}" in run.stderr, "the place where to put the file"
