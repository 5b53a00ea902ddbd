from __future__ import annotations

import pandas as pd
import pytest

from amlprognosis.errors import InputError
from amlprognosis.normalize.clinical import extract_columns, map_clinical
from amlprognosis.study import Clinical

# As GSE12417 writes them.
TEXTS = {
    "GSM1": "AML normal karyotype (test set) AML FAB M4; age = 62 years; OS = 4 days; status (0=alive/1=dead): 1",
    "GSM2": "AML normal karyotype (test set) AML FAB M1; age =59 years; OS = 104 days; status (0=alive/1=dead): 0",
    "GSM3": "MDS normal karyotype (test set) MDS RAEB; age = 61 years; status (0=alive/1=dead): 0",
}
RULES = {
    "os_days": r"OS\s*=\s*([\d.]+) days",
    "dead": r"status \(0=alive/1=dead\):\s*([01])",
    "years": r"age\s*=\s*([\d.]+)",
    "disease": r"^(AML|MDS)",
}


def clinical(**patterns: str) -> Clinical:
    return Clinical.model_validate(
        {
            "extract": {name: {"column": "text", "pattern": pattern} for name, pattern in (RULES | patterns).items()},
            "os_time": {"column": "os_days", "unit": "days"},
            "os_event": {"column": "dead"},
            "age": {"column": "years"},
            "exclude": [{"column": "disease", "values": ["MDS"], "reason": "no AML"}],
        }
    )


TABLE = pd.DataFrame({"text": TEXTS}, dtype=object)


def test_columns_cut_out_of_a_sentence_are_mapped():
    obs, exclusions, _ = map_clinical(TABLE, clinical(), "c")
    assert obs["os_time"].tolist() == [4, 104]
    assert obs["os_event"].tolist() == [True, False]
    assert obs["age"].tolist() == [62, 59]
    assert exclusions == [{"patient": "GSM3", "reason": "no AML"}]
    assert list(TABLE.columns) == ["text"]


def test_what_does_not_match_is_missing_and_columns_may_build_on_each_other():
    rules = clinical()
    found = extract_columns(TABLE, rules, "c")
    assert found["os_days"].tolist() == ["4", "104", ""]
    rules = rules.model_copy(
        update={
            "extract": {
                **rules.extract,
                "first": rules.extract["dead"].model_copy(update={"column": "os_days", "pattern": r"^(\d)"}),
            }
        }
    )
    assert extract_columns(TABLE, rules, "c")["first"].tolist() == ["4", "1", ""]


def test_a_pattern_that_matches_nothing():
    with pytest.raises(InputError, match=r"matches no text of column 'text', such as 'AML normal karyotype .* FAB M4;"):
        map_clinical(TABLE, clinical(dead=r"dead: (\d)"), "c")


def test_columns_must_exist_and_names_must_be_new():
    with pytest.raises(InputError, match=r"clinical.extract.os_days.column: no column 'text'; did you mean 'texts'"):
        map_clinical(TABLE.rename(columns={"text": "texts"}), clinical(), "c")
    with pytest.raises(InputError, match=r"clinical\.extract\.text: the table has a column 'text' already"):
        map_clinical(TABLE, clinical(text="(.)"), "c")
