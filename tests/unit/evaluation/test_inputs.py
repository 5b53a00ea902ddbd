"""What the rules hand over: models and cohorts that were refused, candidate parameters."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

from amlprognosis.evaluation.inputs import candidate_parameters, model_factory, read_refusals
from amlprognosis.study import Study, load_study
from amlprognosis.tables import write_table


def study_of(models: object, validation: tuple[str, ...] = ()) -> Study:
    source = {"type": "tables", "expression": "e", "clinical": "c", "clinical_id": "id", "scale": "log2"}
    cohort = {"source": source, "clinical": {"os_time": {"column": "t", "unit": "days"}, "os_event": {"column": "e"}}}
    cohorts = {"A": {**cohort, "role": "training"}} | {name: {**cohort, "role": "validation"} for name in validation}
    return load_study({"study": "s", "title": "t", "cohorts": cohorts, "models": models})


def test_why_models_have_no_predictions(tmp_path: Path) -> None:
    study = study_of({}, ("B", "C"))
    paths = []
    for name, content in (("lsc17", {"refused": "2 of 17 genes"}), ("age", {"class": "CoxModel"})):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.json").write_text(json.dumps(content))
        paths.append(tmp_path / name / "model.json")
    columns = ["source", "item", "note"]
    rows = {
        "B": [
            ("validation: B", "age", "not applied: 1 of 1 features have no value"),
            ("validation: B", "gene_index", "2 features without values filled as in training: x"),
            ("validation: B", "lsc17", "not applied: x"),
        ],
        "C": [],
    }
    notes = []
    for cohort, found in rows.items():
        write_table(pd.DataFrame(found, columns=columns), tmp_path / f"{cohort}.tsv")
        notes.append(tmp_path / f"{cohort}.tsv")
    assert read_refusals(study, paths, notes) == {
        "B": {"lsc17": "2 of 17 genes", "age": "1 of 1 features have no value"},
        "C": {"lsc17": "2 of 17 genes"},
    }
    assert read_refusals(study_of({}), paths, []) == {}


def test_candidate_parameters(tmp_path: Path) -> None:
    table = tmp_path / "mine.tsv"
    table.write_text("gene\tweight\nG0\t1\n")
    columns = [
        "clinical:age", "clinical:sex_male", "clinical:risk_intermediate", "clinical:risk_adverse", "mutation:NPM1",
        "expression:G0", "expression:G1", "expression:G2",
    ]  # fmt: skip
    features = pd.DataFrame(np.zeros((3, len(columns))), columns=columns)
    study = study_of({"signatures": {"mine": str(table)}})
    counts = candidate_parameters(study, features, ["G0", "G1", "ABSENT"])
    expected = {
        "gene_index": 2, "clinical_gene_index": 6, "age": 1, "age_sex": 2, "eln": 2, "age_eln": 3, "clinical": 4,
        "clinical_mutations": 5, "lsc17": 1, "mine": 1,
    }  # fmt: skip
    assert {name: counts[name] for name in expected} == expected
    bare = candidate_parameters(study, features.drop(columns=columns[:4]), ["G0", "G1"])
    assert bare["gene_index"] == 2
    assert not {"clinical_gene_index", "clinical", "age_eln"} & set(bare)


def test_models_of_a_study(tmp_path: Path) -> None:
    table = tmp_path / "mine.tsv"
    table.write_text("gene\tweight\nG0\t1\n")
    make = model_factory(study_of({"signatures": {"mine": str(table)}, "gene_index": {"n_folds": 4}}), ["G0"])
    assert make("mine", 1).path == str(table)
    assert Path(make("plsc6", 1).path).name == "plsc6.tsv"
    both = make("clinical_gene_index", 3)
    assert (both.genes, both.index["n_folds"], both.random_state) == (["G0"], 4, 3)
