"""Answers of the authors to the TRIPOD+AI checklist."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from amlprognosis.errors import InputError
from amlprognosis.study import load_study
from amlprognosis.study.reporting import TRIPOD_ITEMS

CHECKLIST = Path(__file__).resolve().parents[3] / "resources" / "reporting" / "tripod_ai.tsv"


def study(answers: Any) -> Any:
    cohort = {
        "role": "training",
        "source": {"type": "tables", "expression": "e", "clinical": "c", "clinical_id": "id", "scale": "log2"},
        "clinical": {"os_time": {"column": "t", "unit": "days"}, "os_event": {"column": "e"}},
    }
    return load_study({"study": "s", "title": "t", "cohorts": {"A": cohort}, "reporting": {"answers": answers}})


def test_items_are_those_of_the_resource() -> None:
    table = pd.read_csv(CHECKLIST, sep="\t", comment="#", dtype=str)
    assert tuple(table["item"]) == TRIPOD_ITEMS
    assert len(TRIPOD_ITEMS) == 52
    assert set(table["applies"]) == {"D", "E", "D;E"}
    assert table.notna().all(axis=None)
    # Items that the paper gives to one of the two alone.
    assert set(table.loc[table["applies"] == "E", "item"]) == {"12f", "12g", "20c", "24"}
    assert set(table.loc[table["applies"] == "D", "item"]) == {"9a", "12a", "12b", "12c", "15", "22", "27a", "27b"}


def test_numbers_and_texts_name_items() -> None:
    assert study({4: "To develop.", "18a": "No funding."}).reporting.answers == {
        "4": "To develop.",
        "18a": "No funding.",
    }


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ({"18": "x"}, "'18' is no item of TRIPOD.AI; did you mean 18a, 18b, 18c, 18d, 18e, 18f"),
        ({"12h": "x"}, "did you mean 12a, 12b"),
        ({"28": "x"}, "they go from 1 to 27c"),
        ({"18a": "  "}, "item 18a: the text is empty"),
        (["x"], "reporting.answers"),
    ],
)
def test_answers_to_nothing_are_refused(answers: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        study(answers)
