"""What a run warns about: nothing lost, nothing said a hundred times."""

from __future__ import annotations

import numpy as np
import pandas as pd

from amlprognosis.evaluation.notes import _too_small, note_table
from amlprognosis.evaluation.sample_size import sample_size_table
from amlprognosis.study import load_study


def test_members_of_the_grid_share_a_line():
    cohort = {
        "role": "training",
        "source": {"type": "tables", "expression": "e", "clinical": "c", "clinical_id": "id", "scale": "log2"},
        "clinical": {"os_time": {"column": "t", "unit": "days"}, "os_event": {"column": "e"}},
    }
    study = load_study({"study": "s", "title": "t", "cohorts": {"A": cohort}})
    members = ["CoxBoost + RSF", "CoxBoost + Ridge", "CoxBoost + GBM", "CoxBoost + Lasso"]
    folds = pd.DataFrame(
        [(model, 1, fold, "selector CoxBoost keeps 1 of 9 genes") for model in members for fold in (1, 2)]
        + [("Lasso", 1, 1, "no gene"), ("eln", 1, 1, "no risk group")],
        columns=["model", "repeat", "fold", "reason"],
    )
    board = pd.DataFrame(
        {"model": ["Lasso", "gene_index"], "kind": ["combination", "model"], "note": ["told in grid.tsv", "told here"]}
    )
    sizes = pd.DataFrame({"verdict": ["enough"]})
    cohorts = pd.DataFrame({"cohort": ["A"], "adaptation": ["none"], "events": [120]})
    design = pd.DataFrame({"level": [], "item": [], "note": []})
    validation = pd.DataFrame({"source": [], "item": [], "note": []})
    proxy = ("feature close to the outcome", "A", "clinical:days", 0.97, "suspect", "C 0.97")
    clean = ("duplicated patients", "A", "all patients", 0.6, "clean", "largest correlation")
    checks = pd.DataFrame([clean, proxy], columns=["check", "cohort", "item", "value", "verdict", "note"])
    table = note_table(study, cohorts, design, folds, validation, board, sizes, checks)
    said = [tuple(row) for row in table.to_numpy()]
    assert (
        "cross-validation",
        "4 members of the grid",
        "not fitted in 2 folds: selector CoxBoost keeps 1 of 9 genes",
    ) in said
    assert ("cross-validation", "Lasso", "not fitted in 1 fold: no gene") in said
    assert ("cross-validation", "eln", "not fitted in 1 fold: no risk group") in said
    assert ("leaderboard", "gene_index", "told here") in said
    assert not [row for row in said if row[2] == "told in grid.tsv"]
    assert [row for row in said if row[0] == "leakage"] == [
        ("leakage", "A: clinical:days", "feature close to the outcome: C 0.97")
    ]
    assert not [row for row in said if "no comparator" in row[2]]
    alone = load_study({"study": "s", "title": "t", "cohorts": {"A": cohort}, "models": {"run": ["gene_index"]}})
    table = note_table(alone, cohorts, design, folds, validation, board, sizes, checks)
    assert "no comparator was run" in " ".join(table["note"])


def test_models_that_only_lack_patients_for_the_overall_risk_share_a_line():
    days = np.arange(1, 101)
    sizes = sample_size_table({"age": 1, "eln": 2, "gene_index": 700}, days * 20.0, days % 2 == 0, 3)
    lines = {item: note for _, item, note in _too_small(sizes)}
    assert set(lines) == {"age, eln", "gene_index"}
    assert "overall risk within 0.05" in lines["age, eln"]
    assert "0.071 deaths per candidate parameter" in lines["gene_index"]
    assert "expected shrinkage" in lines["gene_index"]
