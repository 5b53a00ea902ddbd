"""Risk of bias: every signal follows its table, and nothing fails where tables are lacking."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from report_factory import make_study, make_tables

from amlprognosis.report.bias_of_analysis import precise_validation
from amlprognosis.report.bias_of_data import PLANNED
from amlprognosis.report.html_reporting import risk_domains, risk_signals, subgroups
from amlprognosis.report.risk_of_bias import COLUMNS, DOMAINS, OVERALL, risk_of_bias_table
from amlprognosis.report.theme import Tables
from amlprognosis.study import Study

CLINICAL = {"os_time": {"column": "t", "unit": "days"}, "os_event": {"column": "e"}}


def real_study(**changes: Any) -> Study:
    """The study of the factory, as if its patients were real."""
    return make_study(simulate=None, **changes)


def judged(study: Study, tables: dict[str, pd.DataFrame]) -> dict[str, str]:
    table = risk_of_bias_table(study, Tables(tables, study))
    assert list(table.columns) == COLUMNS
    assert (table.loc[table["judgement"] == "low", "remedy"] == "").all()
    named = table[(table["judgement"] != "low") & (table["signal"] != OVERALL)]
    assert (named["remedy"] != "").all(), "whoever warns says what would help"
    assert (table["finding"] != "").all()
    return dict(zip(table["signal"], table["judgement"], strict=True)) | {
        f"domain {row.domain}": row.judgement for row in table[table["signal"] == OVERALL].itertuples()
    }


@pytest.fixture
def study() -> Study:
    return real_study()


@pytest.fixture
def tables(study: Study) -> dict[str, pd.DataFrame]:
    made = make_tables(study)
    made["exclusions"] = pd.DataFrame({"cohort": ["train"] * 5, "patient": list("abcde"), "reason": ["no data"] * 5})
    made["leakage_checks"] = pd.DataFrame(
        {
            "check": ["duplicated patients", "patients shared with training", "feature close to the outcome"],
            "cohort": "train",
            "item": ["all patients", "all patients", "all features"],
            "value": 0.1,
            "verdict": "clean",
            "note": "",
        }
    )
    return made


def test_nothing_but_the_study_is_needed() -> None:
    for study in (real_study(), make_study()):
        found = judged(study, {})
        assert found["domain outcome"] == "unclear"
        assert found["external validation"] == "high"
        assert set(found) >= {f"domain {domain}" for domain in DOMAINS}


def test_a_domain_is_as_bad_as_its_worst_signal(study: Study, tables: dict[str, pd.DataFrame]) -> None:
    table = risk_of_bias_table(study, Tables(tables, study))
    rank = ["low", "unclear", "high"]
    for _, part in table.groupby("domain"):
        first = part.iloc[0]
        worst = max(part["judgement"].iloc[1:], key=rank.index)
        assert (first["signal"], first["judgement"]) == (OVERALL, worst)
        others = part["judgement"].iloc[1:].map(rank.index)
        assert others.is_monotonic_decreasing, "the worst stands first"


def test_participants(study: Study, tables: dict[str, pd.DataFrame]) -> None:
    found = judged(study, tables)
    assert (found["exclusions"], found["duplicated or shared patients"]) == ("low", "low")
    assert found["years and treatment"] == "unclear"
    more = pd.DataFrame({"cohort": "train", "patient": [f"p{k}" for k in range(80)], "reason": "no clinical data"})
    tables["exclusions"] = pd.concat([tables["exclusions"], more])
    assert judged(study, tables)["exclusions"] == "high"
    for reason in PLANNED:
        tables["exclusions"]["reason"] = reason
        assert judged(study, tables)["exclusions"] == "low", "those who stay elsewhere are no loss"
    tables["leakage_checks"].loc[1, ["verdict", "item"]] = ["suspect", "P1 and Q7"]
    assert judged(study, tables)["duplicated or shared patients"] == "high"
    tables["leakage_checks"]["verdict"] = ["clean", "not checked", "clean"]
    assert judged(study, tables)["duplicated or shared patients"] == "unclear"
    assert judged(make_study(), tables)["years and treatment"] == "low", "simulated"


def test_planned_exclusions_are_no_loss(tables: dict[str, pd.DataFrame]) -> None:
    cohorts = real_study().model_dump(mode="json", exclude_unset=True)["cohorts"]
    rule = {"column": "fab", "values": ["M3"], "reason": "promyelocytic leukaemia"}
    cohorts["train"]["clinical"] = {**CLINICAL, "exclude": [rule]}
    more = pd.DataFrame({"cohort": "train", "patient": [f"p{k}" for k in range(80)], "reason": rule["reason"]})
    tables["exclusions"] = pd.concat([tables["exclusions"], more])
    assert judged(real_study(cohorts=cohorts), tables)["exclusions"] == "low"
    assert judged(real_study(), tables)["exclusions"] == "high"


def test_predictors(study: Study, tables: dict[str, pd.DataFrame]) -> None:
    found = judged(study, tables)
    assert found["platform of the validation cohorts"] == "high", "one cohort is re-scaled"
    assert found["predictors missing in validation"] == "unclear", "features are filled"
    assert found["features that are nearly the outcome"] == "low"
    tables["validation"] = tables["validation"][tables["validation"]["model"] != "gene_index"]
    assert judged(study, tables)["predictors missing in validation"] == "high", "the main model is not there"
    tables["cohorts"]["risk_system"] = ["ELN 2017", "ELN 2022", "ELN 2022"]
    assert judged(study, tables)["definition of the risk group"] == "unclear"
    tables["leakage_checks"].loc[2, ["verdict", "item"]] = ["suspect", "clinical:days_to_relapse"]
    assert judged(study, tables)["features that are nearly the outcome"] == "high"


@pytest.mark.parametrize(("adaptation", "expected"), [("none", "unclear"), ("within_sample_ranks", "low")])
def test_adaptation(adaptation: str, expected: str, tables: dict[str, pd.DataFrame]) -> None:
    cohorts = real_study().model_dump(mode="json", exclude_unset=True)["cohorts"]
    cohorts["array"]["adaptation"] = [adaptation]
    # The other cohort holds counts, as the training cohort does: normalised with its reference.
    assert judged(real_study(cohorts=cohorts), tables)["platform of the validation cohorts"] == expected


def test_outcome(study: Study, tables: dict[str, pd.DataFrame]) -> None:
    found = judged(study, tables)
    # Followed 4.4 years: past the main horizon of 3, not past the last of 5.
    assert (found["deaths"], found["follow-up"], found["survival of zero days"]) == ("low", "unclear", "low")
    tables["cohorts"].loc[2, "median_followup_days"] = 600.0
    tables["cohorts"].loc[0, "events"] = 40
    zero = pd.DataFrame({"cohort": "train", "patient": [f"z{k}" for k in range(20)]})
    tables["exclusions"] = zero.assign(reason="overall survival time zero")
    found = judged(study, tables)
    assert (found["deaths"], found["follow-up"], found["survival of zero days"]) == ("high", "high", "unclear")


def test_sizes(study: Study, tables: dict[str, pd.DataFrame]) -> None:
    found = judged(study, tables)
    assert found["deaths per candidate parameter"] == "high"
    assert found["Riley's minimum sample size"] == "high"
    assert found["size of the validation"] == "high", "97 deaths in one of the cohorts"
    tables["sample_size"] = tables["sample_size"].assign(events_per_parameter=25.0, riley_minimum_n=100)
    tables["cohorts"]["events"] = 150
    found = judged(study, tables)
    assert found["deaths per candidate parameter"] == "low"
    assert found["Riley's minimum sample size"] == "low"
    assert found["size of the validation"] == "low"


def test_calibration(study: Study, tables: dict[str, pd.DataFrame]) -> None:
    assert judged(study, tables)["calibration"] == "low"
    index = tables["validation"]["model"] == "gene_index"
    tables["validation"].loc[index, ["calibration_slope_low", "calibration_slope_high"]] = [-0.4, 2.0]
    assert judged(study, tables)["calibration"] == "unclear", "the interval holds 0: nothing is known"
    tables["validation"].loc[index, ["oe_low", "oe_high"]] = [1.2, 1.6]
    assert judged(study, tables)["calibration"] == "high"
    for name in ("leaderboard", "validation"):
        tables[name]["calibration_slope"] = float("nan")
    assert judged(study, tables)["calibration"] == "high", "absent"


def test_leaks_and_comparators(study: Study, tables: dict[str, pd.DataFrame]) -> None:
    found = judged(study, tables)
    assert (found["selection and tuning inside the folds"], found["comparison with simple predictors"]) == (
        "low",
        "low",
    )
    controls = tables["controls_summary"].assign(sd=0.02)
    controls.loc[controls["control"] == "permuted_outcome", "mean"] = 0.61
    tables["controls_summary"] = controls
    assert judged(study, tables)["selection and tuning inside the folds"] == "high"
    tables["validation"] = tables["validation"][tables["validation"]["model"] == "gene_index"]
    assert judged(study, tables)["comparison with simple predictors"] == "unclear"
    tables["leaderboard"] = tables["leaderboard"][tables["leaderboard"]["model"] == "gene_index"]
    assert judged(study, tables)["comparison with simple predictors"] == "high"


def test_the_best_of_many(tables: dict[str, pd.DataFrame]) -> None:
    models: dict[str, Any] = {"run": ["gene_index", "quick", "comparators"]}
    nested = real_study(models=models)
    row = tables["leaderboard"].iloc[[0]].assign(model="best_of_grid", kind="procedure")
    tables["leaderboard"] = pd.concat([tables["leaderboard"], row], ignore_index=True)
    tables["grid_summary"] = pd.DataFrame({"item": ["optimism"], "value": [0.03]})
    assert judged(nested, tables)["picking the best of many models"] == "low"
    flat = real_study(models={**models, "grid": {"inner_folds": 0}})
    assert judged(flat, tables)["picking the best of many models"] == "high"


def test_one_cohort_alone(tables: dict[str, pd.DataFrame]) -> None:
    cohorts = real_study().model_dump(mode="json", exclude_unset=True)["cohorts"]
    study = real_study(cohorts={"train": cohorts["train"]})
    tables["cohorts"] = tables["cohorts"].head(1)
    tables["validation"] = tables["validation"].head(0)
    found = judged(study, tables)
    assert found["source of the patients"] == "unclear"
    assert found["external validation"] == "high"
    assert "platform of the validation cohorts" not in found


def test_patients_for_a_precise_validation() -> None:
    # O/E 0.8 to 1.25 on 100 patients: standard error 0.114 of its logarithm, 0.051 needs 5 times as many.
    assert precise_validation(pd.Series({"patients": 100, "oe_low": 0.8, "oe_high": 1.25})) == 499
    assert precise_validation(pd.Series({"patients": 100, "oe_low": float("nan"), "oe_high": 1.2})) is None
    assert precise_validation(None) is None


def test_tables_of_the_page(study: Study, tables: dict[str, pd.DataFrame]) -> None:
    tables["risk_of_bias"] = risk_of_bias_table(study, Tables(tables, study))
    made = Tables(tables, study)
    domains, signals = risk_domains(made), risk_signals(made)
    assert domains is not None
    assert signals is not None
    assert [row[0].text for row in domains.rows] == ["Participants", "Predictors", "Outcome", "Analysis"]
    assert domains.rows[3][1].style == "bad"
    assert "external validation" not in domains.rows[3][2].text
    assert len(signals.rows) == len(tables["risk_of_bias"]) - 4
    rows = pd.DataFrame(
        {
            "cohort": "train",
            "model": "gene_index",
            "subgroup": ["all", "sex", "sex", "age"],
            "level": ["all", "female", "male", "not recorded"],
            "patients": [100, 40, 12, 0],
            "events": [50, 20, 5, 0],
            "c_harrell": [0.6, 0.6, float("nan"), float("nan")],
            "c_harrell_low": 0.5,
            "c_harrell_high": 0.7,
            "oe": 1.0,
            "oe_low": 0.9,
            "oe_high": 1.1,
            "note": ["", "", "fewer than 10 deaths: no figures", "the cohort records no age"],
        }
    )
    found = subgroups(Tables({"subgroups": rows}), study)
    assert found is not None
    assert [row[2].text for row in found.rows] == ["All patients", "Sex: female", "Sex: male"]
    assert [row[4].text for row in found.rows] == ["0.60 (0.50–0.70)", "0.60 (0.50–0.70)", "fewer than 10 deaths"]
    assert risk_domains(Tables({})) is None
    assert subgroups(Tables({}), study) is None
