"""Study files that are no proper YAML end in one message with the line."""

from __future__ import annotations

from pathlib import Path

import pytest

from amlprognosis import cli
from amlprognosis.errors import InputError
from amlprognosis.study import load_merged, load_study
from amlprognosis.study.yaml_file import read_yaml


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed: 7\nseed: 8\n", r"key 'seed' stands twice in one mapping; remove one.*line 2"),
        ("cohorts:\n  A: {role: training}\n  B: {}\n  A: {role: validation}\n", r"key 'A' stands twice.*line 4"),
        ("seed: 2001-13-45\n", "not a YAML file"),
        ("seed: " + "[" * 5000, "not a YAML file"),
        ("a: [1, 2\n", "not a YAML file"),
        ("\x00", "not a YAML file"),
    ],
)
def test_faults_of_a_file(tmp_path, text, message):
    path = tmp_path / "study.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message) as error:
        load_study(path)
    assert "study.yaml" in str(error.value)


def test_a_folder_and_no_file(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        load_study(tmp_path)
    with pytest.raises(InputError, match="no such study file"):
        load_study(tmp_path / "none.yaml")


def test_merge_keys_are_no_repetition(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("base: &base {x: 1}\nb: {<<: *base, y: 2}\n", encoding="utf-8")
    assert read_yaml(path)["b"] == {"x": 1, "y": 2}


def test_files_are_merged_as_snakemake_does(tmp_path, capsys):
    here = tmp_path / "here.yaml"
    here.write_text("retrieval: {mirrors: {geo: http://127.0.0.1:9/geo}}\nseed: 4\n", encoding="utf-8")
    study = Path(__file__).parents[3] / "config" / "studies" / "tcga_geo.yaml"
    merged, name = load_merged([study, here])
    assert (merged.seed, merged.study, merged.retrieval.mirrors) == (4, "tcga_geo", {"geo": "http://127.0.0.1:9/geo"})
    assert name.endswith("here.yaml")
    assert cli.main(["plan", str(study), str(here)]) == 0
    assert "http://127.0.0.1:9/geo/series/GSE12nnn" in capsys.readouterr().out
    here.write_text("seeed: 4\n", encoding="utf-8")
    assert cli.main(["check", str(study), str(here)]) == 2
    assert "here.yaml: seeed: unknown key; did you mean 'seed'?" in capsys.readouterr().err
