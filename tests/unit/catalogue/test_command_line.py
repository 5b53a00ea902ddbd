"""``amlprognosis catalogue``, ``plan`` and the warnings of ``check``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from amlprognosis.catalogue import load_catalogue
from amlprognosis.catalogue.show import catalogue_json, entry_text, list_text
from amlprognosis.cli import main
from amlprognosis.study import load_study


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    status = main(words)
    found = capsys.readouterr()
    return status, found.out, found.err


def test_the_list_has_every_entry_and_fits_100_columns(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "catalogue")
    assert status == 0
    assert max(map(len, out.splitlines())) <= 100
    first = [line.split()[0] for line in out.splitlines() if line.strip()]
    assert set(load_catalogue().entries) <= set(first)
    assert next(line for line in out.splitlines() if line.startswith("GSE37642-GPL570")).split()[1:5] == [
        "140", "OS", "GPL570", "geo",
    ]  # fmt: skip


@pytest.mark.parametrize("key", list(load_catalogue().entries))
def test_an_entry_in_full_fits_and_its_block_can_be_pasted(key: str) -> None:
    entry = load_catalogue().entries[key]
    text = entry_text(key)
    head, _, paste = text.partition("\nIn a study:\n")
    assert max(map(len, head.splitlines())) <= 120
    assert entry.citations[0].text in " ".join(head.split())
    if entry.cohort is None and entry.atlas is None:
        assert not paste
        assert "not readable" in head
        return
    for block in paste.split("which is short for"):
        section = yaml.safe_load(block)
        if entry.atlas is not None:
            section["cohorts"] = {"A": {"catalogue": "TCGA-LAML"}}
        next(iter(section["cohorts"].values()))["role"] = "training"
        study = load_study({"study": "x", "title": "t", **section})
        assert list(study.atlases or study.cohorts) == [key]


def test_overlaps_and_what_is_not_verified_are_shown() -> None:
    text = " ".join(entry_text("GSE10358").split())
    assert "overlaps partly, with TCGA-LAML, TCGA-LAML-Xena, TCGA-LAML-cBioPortal" in text
    assert "not verified doi, patients" in text
    assert "66 MB (estimate)" in text


def test_json_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "catalogue", "gse12417-gpl96", "--json")
    found = json.loads(out)
    assert status == 0
    assert found["id"] == "GSE12417-GPL96"
    assert found["patients"]["number"] == 163
    assert any(text.startswith("partly, with GSE37642-GPL96") for text in found["overlaps"])
    assert set(json.loads(catalogue_json())["entries"]) == set(load_catalogue().entries)
    assert list_text().count("\n") > len(load_catalogue().entries)


def test_an_unknown_entry_is_told_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, error = run(capsys, "catalogue", "GSE12471")
    assert (status, out) == (2, "")
    assert "'GSE12471': no such entry; did you mean GSE12417-GPL" in error


def test_check_warns_of_shared_patients_and_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = {"study": "x", "title": "t", "cohorts": {"T": {"role": "training", "catalogue": "TCGA-LAML"}}}
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(study), encoding="utf-8")
    assert run(capsys, "check", str(path))[2] == ""
    study["cohorts"]["V"] = {"role": "validation", "catalogue": "GSE10358"}
    path.write_text(yaml.safe_dump(study), encoding="utf-8")
    status, out, error = run(capsys, "check", str(path))
    assert status == 0
    assert "no fault found" in out
    assert error.startswith("amlprognosis: warning: T (training) and V (validation) share patients: ")


def test_plan_says_what_from_where_how_large_and_whether_it_is_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cohorts = {
        "T": {"role": "training", "catalogue": "TCGA-LAML"},
        "V": {"role": "validation", "catalogue": "GSE71014"},
    }
    Path("study.yaml").write_text(yaml.safe_dump({"study": "x", "title": "t", "cohorts": cohorts}), encoding="utf-8")
    folder = tmp_path / "results" / "retrieved" / "geo" / "GSE71014"
    folder.mkdir(parents=True)
    (folder / "GSE71014_series_matrix.txt.gz").write_bytes(b"x")
    status, out, error = run(capsys, "plan", "study.yaml")
    assert (status, error) == (0, "")
    lines = {" ".join(line.split()) for line in out.splitlines()}
    assert "gdc TCGA-LAML -> results/retrieved/gdc/TCGA-LAML" in lines
    assert "151 STAR-counts files about 634 MB no https://api.gdc.cancer.gov/data/{uuid}" in lines
    assert "MAF files unknown until asked no https://api.gdc.cancer.gov/data/{uuid}" in lines
    matrix = next(line for line in lines if line.startswith("series matrix"))
    assert "about 20 MB yes https://ftp.ncbi.nlm.nih.gov/geo/series/GSE71nnn/GSE71014/matrix/" in matrix
    assert "together about 661 MB and 3 of unknown size" in out
    assert run(capsys, "plan", "nowhere.yaml")[0] == 2
