"""What a study would fetch, for every kind of source, without network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from amlprognosis.retrieve.plan import (
    UNKNOWN,
    PlannedFile,
    accession_plan,
    accession_text,
    plan_text,
    size_text,
    study_plan,
    total_text,
)
from amlprognosis.study import Study, load_study
from amlprognosis.study.sources import SOURCES

OUTCOME = {"os_time": {"column": "t", "unit": "days"}, "os_event": {"column": "e"}}
TABLES = {"type": "tables", "expression": "e.tsv", "scale": "log2", "clinical": "c.tsv", "clinical_id": "id"}
REMOTE: dict[str, dict[str, Any]] = {
    "geo": {"accession": "GSE12417", "platform": "GPL570"},
    "geo_supplement": {"accession": "GSE106291", "supplement": "GSE106291_*atrix*table*"},
    "gdc": {"project": "TCGA-LAML"},
    "xena": {"cohort": "TCGA-LAML"},
    "cbioportal": {"study": "laml_tcga_pub", "profile": "rna_seq_v2_mrna"},
    "beataml": {},
}


def study(source: dict[str, Any], **more: Any) -> Study:
    cohort = {"role": "training", "source": source, "clinical": OUTCOME}
    return load_study({"study": "x", "title": "t", "cohorts": {"A": cohort}, **more})


def test_every_kind_of_source_is_looked_at_here() -> None:
    assert {*REMOTE, "tables"} == set(SOURCES)


@pytest.mark.parametrize("kind", list(REMOTE))
@pytest.mark.parametrize("base", [None, "https://mirror.example/x", "folder"])
def test_every_kind_plans_without_network(kind: str, base: str | None, tmp_path: Path) -> None:
    """No server is there: a plan that asked one would fail, or hang on a name that does not exist."""
    base = str(tmp_path / base) if base == "folder" else base
    found = study({"type": kind, **REMOTE[kind], **({"base_url": base} if base else {})})
    service, accession = found.retrieval_of("A")
    files = accession_plan(found, service, accession, str(tmp_path / "retrieved"))
    assert files
    for file in files:
        assert file.what
        assert file.url.startswith(base or "https://")
        assert file.path.startswith(str(tmp_path / "retrieved" / service / accession))
        assert file.there == "no"
        assert file.megabytes is None or file.megabytes > 0
    text = accession_text(found, service, accession)
    assert text.startswith(f"from {found.base(found.cohorts['A'].source)}: ")
    assert "together" in text
    # The message of a rule is formatted by Snakemake, which takes braces for wildcards.
    assert "{" not in text


@pytest.mark.parametrize("kind", ["geo", "gdc", "beataml", "geo_supplement", "xena"])
def test_the_catalogue_or_the_source_knows_the_size_of_the_largest_file(kind: str) -> None:
    found = study({"type": kind, **REMOTE[kind]})
    sizes = [file.megabytes for file in accession_plan(found, *found.retrieval_of("A"))]
    assert max(size or 0 for size in sizes) > 10


def test_an_atlas_is_planned_too(tmp_path: Path) -> None:
    atlas = {"accession": "GSE116256", "samples": ["BM1", "BM2"]}
    found = study({"type": "gdc"}, atlases={"C": atlas})
    files = study_plan(found, str(tmp_path))[("cells", "GSE116256")]
    assert files
    assert all("GSM" in file.url or "GSE116256" in file.url for file in files)


def test_two_cohorts_of_one_series_share_a_retrieval(tmp_path: Path) -> None:
    def cohort(role: str, platform: str) -> dict[str, Any]:
        source = {"type": "geo", "accession": "GSE37642", "platform": platform, "several_platforms": True}
        return {"role": role, "source": source, "clinical": OUTCOME}

    cohorts = {
        "A": cohort("training", "GPL96"),
        "B": cohort("validation", "GPL570"),
        "C": cohort("validation", "GPL96"),
    }
    found = load_study({"study": "x", "title": "t", "cohorts": cohorts})
    plan = study_plan(found, str(tmp_path))
    assert list(plan) == [("geo", "GSE37642")]
    matrices = [file for file in plan["geo", "GSE37642"] if "matrix" in file.url]
    assert [Path(file.path).name for file in matrices] == [
        "GSE37642-GPL96_series_matrix.txt.gz",
        "GSE37642-GPL570_series_matrix.txt.gz",
    ]
    assert [file.megabytes for file in matrices] == [38, 31]


def test_local_copies_have_their_true_size_and_own_tables_are_named(tmp_path: Path) -> None:
    matrix = tmp_path / "geo" / "series" / "GSE12nnn" / "GSE12417" / "matrix" / "GSE12417-GPL570_series_matrix.txt.gz"
    matrix.parent.mkdir(parents=True)
    matrix.write_bytes(b"x" * 12_000)
    source = {"type": "geo", **REMOTE["geo"], "several_platforms": True, "clinical_table": "own.csv"}
    found = study(source, data_root=str(tmp_path), retrieval={"mirrors": {"geo": "geo"}})
    plan = study_plan(found, str(tmp_path / "retrieved"))
    first = plan["geo", "GSE12417"][0]
    assert (first.size, first.exact, first.url) == ("12 kB", True, str(matrix))
    assert [(file.what, file.there, file.size) for file in plan["own tables", "A"]] == [
        ("clinical table", "no", UNKNOWN)
    ]
    (tmp_path / "own.csv").write_text("a" * 3_000_000, encoding="utf-8")
    own = study_plan(found, str(tmp_path / "retrieved"))["own tables", "A"][0]
    assert (own.there, own.size) == ("yes", "3 MB")
    assert "A: own tables" in plan_text(found, str(tmp_path / "retrieved"))


def test_files_that_are_there_are_counted(tmp_path: Path) -> None:
    found = study({"type": "gdc"})
    folder = tmp_path / "gdc" / "TCGA-LAML"
    (folder / "data").mkdir(parents=True)
    for name in ("a", "b"):
        (folder / "data" / name).write_text("x", encoding="utf-8")
    (folder / "files.json").write_text("{}", encoding="utf-8")
    by_what = {file.what: file.there for file in accession_plan(found, "gdc", "TCGA-LAML", str(tmp_path))}
    assert by_what["list of files"] == "yes"
    assert by_what["clinical data"] == "no"
    assert by_what["151 STAR-counts files"] == "2 files"


@pytest.mark.parametrize(
    ("megabytes", "exact", "text"),
    [(None, False, UNKNOWN), (1945, False, "about 1.9 GB"), (37.6, True, "38 MB"), (0.03, False, "about 30 kB")],
)
def test_sizes_in_words(megabytes: float | None, exact: bool, text: str) -> None:
    assert size_text(megabytes, exact) == text


def test_a_total_says_what_it_does_not_know() -> None:
    def file(megabytes: float | None, exact: bool) -> PlannedFile:
        return PlannedFile("x", "u", "p", megabytes, exact, "no")

    assert total_text([]) == "nothing"
    assert total_text([file(None, False)]) == f"together {UNKNOWN}"
    assert total_text([file(5, True), file(7, True)]) == "together 12 MB"
    assert total_text([file(5, True), file(7, False)]) == "together about 12 MB"
    assert total_text([file(5, True), file(None, False)]) == "together about 5 MB and 1 of unknown size"
