"""Performance within subgroups is that of the same patients judged alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from amlprognosis.evaluation.metrics import Design, evaluate
from amlprognosis.evaluation.sheets import sheet_from_predictions
from amlprognosis.evaluation.subgroups import observed_over_expected, subgroup_table, subgroups
from amlprognosis.study import Study, load_study


def a_study(**changes: Any) -> Study:
    source = {"type": "tables", "expression": "e", "clinical": "c", "clinical_id": "id", "scale": "log2"}
    clinical = {"os_time": {"column": "t", "unit": "days"}, "os_event": {"column": "e"}}
    cohorts = {
        "A": {"role": "training", "source": source, "clinical": clinical},
        "B": {
            "role": "validation",
            "source": source,
            "clinical": clinical,
            "adaptation": ["cohort_rescaling", "none"],
        },
    }
    evaluation = {"bootstrap": 100, "report_models": ["gene_index", "age"], "horizons_years": [1, 3], **changes}
    return load_study({"study": "s", "title": "t", "cohorts": cohorts, "evaluation": evaluation})


def patients(n: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    death, end = rng.exponential(700, n), rng.uniform(200, 3000, n)
    return pd.DataFrame(
        {
            "os_time": np.ceil(np.minimum(death, end)),
            "os_event": death <= end,
            "age": rng.normal(60, 12, n),
            "sex": pd.Categorical(rng.choice(["female", "male"], n), categories=["female", "male"]),
            "risk": pd.Series(rng.choice(["favourable", "intermediate", "adverse", None], n), dtype=object).to_numpy(),
        },
        index=[f"P{k:03d}" for k in range(n)],
    )


def predicted(obs: pd.DataFrame, model: str, repeats: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    parts = []
    for repeat in range(1, repeats + 1):
        risk = rng.normal(size=len(obs)) - 0.001 * obs["os_time"].to_numpy()
        hazard = np.exp(0.5 * risk)
        part = pd.DataFrame({"patient": obs.index, "risk": risk, "survival_1y": np.exp(-0.4 * hazard)})
        part["survival_3y"] = np.exp(-1.2 * hazard)
        parts.append(part.assign(model=model, repeat=repeat, fold=rng.integers(1, 4, len(obs))))
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="module")
def made() -> tuple[Study, pd.DataFrame, pd.DataFrame, dict[str, pd.DataFrame], pd.DataFrame]:
    study = a_study()
    clinical = {"A": patients(160, 1), "B": patients(60, 2).drop(columns=["age", "sex"])}
    out_of_fold = pd.concat([predicted(clinical["A"], model, 2, k) for k, model in enumerate(["gene_index", "eln"])])
    frozen = predicted(clinical["B"], "gene_index", 1, 5).drop(columns=["repeat", "fold"]).assign(cohort="B")
    index = [frozen.assign(adaptation=name) for name in ("none", "cohort_rescaling")]
    index[0]["risk"] = -index[0]["risk"]
    age = frozen.drop(columns=["survival_1y", "survival_3y"]).assign(model="age", adaptation="none")
    validated = pd.concat([*index, age], ignore_index=True)
    table = subgroup_table(study, out_of_fold, validated, clinical)
    return study, out_of_fold, validated, clinical, table


def test_a_subgroup_is_judged_as_a_cohort_of_its_own(made: Any) -> None:
    study, out_of_fold, _, clinical, table = made
    obs = clinical["A"]
    part = out_of_fold[out_of_fold["model"] == "gene_index"]
    rows = table[(table["cohort"] == "A")].set_index(["subgroup", "level"])
    for key, member in (
        (("all", "all"), np.ones(len(obs), dtype=bool)),
        (("age", "60 and above"), (obs["age"] >= 60).to_numpy()),
        (("sex", "female"), (obs["sex"] == "female").to_numpy()),
        (("risk", "adverse"), (obs["risk"] == "adverse").to_numpy()),
    ):
        own = obs[member]
        sheet = sheet_from_predictions(part[part["patient"].isin(own.index)], list(own.index))
        time, event = own["os_time"].to_numpy(), own["os_event"].to_numpy()
        alone = evaluate(sheet, Design(time, event, [1, 3], 100, study.seed, main_horizon_years=3))
        row = rows.loc[key]
        assert (row["patients"], row["events"]) == (len(own), event.sum())
        for metric in ("c_harrell", "oe"):
            assert row[metric] == pytest.approx(alone.estimate(metric), abs=1e-12)
            assert (row[f"{metric}_low"], row[f"{metric}_high"]) == pytest.approx(alone.interval(metric), abs=1e-9)


def test_levels_cover_the_cohort(made: Any) -> None:
    table = made[-1]
    sizes = table[table["cohort"] == "A"].groupby("subgroup")["patients"].sum()
    assert (sizes == 160).all()
    assert "unknown" in set(table.loc[table["subgroup"] == "risk", "level"])


def test_only_reported_models_under_the_first_adaptation(made: Any) -> None:
    table = made[-1]
    assert set(table.loc[table["cohort"] == "A", "model"]) == {"gene_index"}, "eln is not reported, age did not run"
    frozen = table[table["cohort"] == "B"]
    assert set(zip(frozen["model"], frozen["adaptation"], strict=True)) == {
        ("gene_index", "cohort_rescaling"),
        ("age", "none"),
    }
    everyone = frozen[frozen["subgroup"] == "all"].set_index("model")
    assert everyone.loc["gene_index", "c_harrell"] > 0.5
    assert everyone.loc["age", "note"] == "no predicted survival at 3y"
    assert np.isnan(everyone.loc["age", "oe"])


def test_what_cannot_be_told_says_why(made: Any) -> None:
    study, out_of_fold, _, clinical, table = made
    frozen = table[(table["cohort"] == "B") & (table["model"] == "gene_index")].set_index("subgroup")
    assert frozen.loc["age", "note"] == "the cohort records no age"
    assert frozen.loc["age", "level"] == "not recorded"
    obs = clinical["A"].copy()
    few = obs.index[obs["sex"] == "male"]
    obs.loc[few[9:], "sex"] = "female"
    again = subgroup_table(study, out_of_fold, pd.DataFrame(), {"A": obs}).set_index("level")
    assert "fewer than 10 deaths" in again.loc["male", "note"]
    assert np.isnan(again.loc["male", "c_harrell"])
    assert (table["c_harrell"].notna() | (table["note"] != "")).all()


def test_observed_over_expected_by_hand() -> None:
    # Deaths at 1 and 3, censored at 2, alive at 5: S(4) = 3/4 * 1/2, so 0.625 died; 0.5 were expected.
    time, event = np.array([1.0, 2.0, 3.0, 5.0]), np.array([True, False, True, False])
    survival = np.full((1, 4), 0.5)
    weights = np.array([[1.0, 1, 1, 1], [2, 0, 0, 2]])
    ratio = observed_over_expected(survival, time, event, weights, 4.0)
    # The second row draws the first and the last patient twice: 2 of 4 died.
    assert ratio == pytest.approx([0.625 / 0.5, 1.0])


def test_nobody_is_twice_in_a_level() -> None:
    obs = patients(50, 3)
    found: dict[str, np.ndarray] = {}
    for name, _, member in subgroups(obs):
        found[name] = found.get(name, np.zeros(50, dtype=int)) + member
    assert all((count == 1).all() for count in found.values())
