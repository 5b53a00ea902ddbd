"""The table of pooled figures: scales, cohorts that are left out, one cohort alone."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit

from amlprognosis.evaluation.leaderboard import Evaluation, evaluate_validation
from amlprognosis.evaluation.meta_analysis import (
    COLUMNS,
    IDENTITY,
    LOG,
    LOGIT,
    METHOD,
    ONE_COHORT,
    main_runs,
    meta_analysis,
    pool,
    summarize,
)
from amlprognosis.evaluation.metrics import Result


def replicates(center: float, spread: float, seed: int = 0) -> np.ndarray:
    return np.r_[center, center + spread * np.random.default_rng(seed).standard_normal(400)]


def test_c_is_pooled_on_the_logit_scale_by_the_delta_method() -> None:
    given = {"A": replicates(0.72, 0.02, 1), "B": replicates(0.65, 0.03, 2), "C": replicates(0.69, 0.025, 3)}
    found = summarize(given, LOGIT)
    c = np.array([values[0] for values in given.values()])
    v = np.array([values[1:].var(ddof=1) for values in given.values()]) / (c * (1 - c)) ** 2
    expected = pool(logit(c), v)
    assert found["estimate"] == pytest.approx(expit(expected.estimate))
    assert found["prediction_high"] == pytest.approx(expit(expected.prediction_high))
    assert (found["tau2"], found["q"]) == pytest.approx((expected.tau2, expected.q))
    assert found["method"] == f"{METHOD} (logit scale)"
    assert found["cohorts"] == 3
    assert found["note"] == "3 cohorts: intervals rest on 2 degrees of freedom, heterogeneity is hardly known"
    ratio = summarize({"A": replicates(1.2, 0.1), "B": replicates(0.8, 0.1)}, LOG)
    assert ratio["low"] > 0
    assert ratio["estimate"] == pytest.approx(np.sqrt(1.2 * 0.8), rel=0.05)
    slope = summarize({name: replicates(0.9, 0.1, seed) for seed, name in enumerate("ABCDEF")}, IDENTITY)
    assert (slope["method"], slope["note"]) == (METHOD, "")


def test_cohorts_that_cannot_be_pooled_are_named() -> None:
    nothing, fixed = np.full(1, np.nan), np.full(200, 0.7)
    found = summarize(
        {"A": replicates(0.7, 0.02), "B": nothing, "C": fixed, "D": replicates(1.0, 0.01), "E": replicates(0.6, 0.03)},
        LOGIT,
    )
    assert found["cohorts"] == 2
    assert found["note"] == (
        "2 cohorts: intervals rest on 1 degree of freedom, heterogeneity is hardly known; B left out: no value; "
        "C left out: its bootstrap has no variance; D left out: 1 has no logit"
    )
    alone = summarize({"A": replicates(0.7, 0.02), "B": nothing}, LOGIT)
    low, high = np.quantile(replicates(0.7, 0.02)[1:], [0.025, 0.975])
    assert (alone["estimate"], alone["low"], alone["high"]) == (0.7, low, high)
    assert np.isnan([alone[name] for name in ("prediction_low", "tau2", "i2", "q", "q_p")]).all()
    assert alone["note"] == f"{ONE_COHORT}; B left out: no value"
    assert alone["method"] == "one cohort"
    none = summarize({"A": nothing, "B": nothing}, LOGIT)
    assert (none["cohorts"], none["method"]) == (0, "")
    assert np.isnan(none["estimate"])
    assert none["note"] == "A left out: no value; B left out: no value"
    # Without replicates there is no variance.
    assert summarize({"A": np.array([0.7]), "B": np.array([0.6])}, LOGIT)["cohorts"] == 0


@pytest.fixture(scope="module")
def runs() -> dict[tuple[str, str], Evaluation]:
    rng = np.random.default_rng(5)
    parts, outcomes = [], {}
    for cohort, n in (("A", 80), ("B", 100)):
        patients = [f"{cohort}{number:03d}" for number in range(n)]
        lp = rng.normal(0, 1, n)
        time = rng.exponential(np.exp(-lp)) * 800 + 1
        outcomes[cohort] = pd.DataFrame(
            {"os_time": np.minimum(time, 1500), "os_event": time < 1500}, index=pd.Index(patients)
        )
        for model, adaptation, noise in (
            ("gene_index", "cohort_rescaling", 1.0), ("gene_index", "none", 3.0), ("age", "none", 2.0),
        ):  # fmt: skip
            risk = lp + rng.normal(0, noise, n)
            table = pd.DataFrame({"patient": patients, "risk": risk, "model": model, "cohort": cohort})
            table["survival_1y"], table["survival_3y"] = 0.7 ** np.exp(risk / 2), 0.4 ** np.exp(risk / 2)
            parts.append(table.assign(adaptation=adaptation, risk_group="low", features_missing=0))
    return evaluate_validation(pd.concat(parts, ignore_index=True), outcomes, [1, 3], 100, 1, 3)


def test_main_adaptation_of_each_cohort(runs: dict[tuple[str, str], Evaluation]) -> None:
    found = main_runs(runs, {"A": "cohort_rescaling", "B": "none", "absent": "none"})
    assert list(found) == ["A", "B"]
    assert found["A"].results["gene_index"] is runs[("A", "cohort_rescaling")].results["gene_index"]
    assert found["A"].results["age"] is runs[("A", "none")].results["age"]
    assert found["B"].results["gene_index"] is runs[("B", "none")].results["gene_index"]


def test_table(runs: dict[tuple[str, str], Evaluation]) -> None:
    table = meta_analysis(runs, {"A": "cohort_rescaling", "B": "cohort_rescaling"})
    assert list(table) == COLUMNS
    assert table[["model", "metric"]].to_numpy().tolist() == [
        ["age", "c_harrell"],
        ["age", "calibration_slope"],
        ["age", "oe"],
        ["gene_index", "c_harrell"],
        ["gene_index", "calibration_slope"],
        ["gene_index", "oe"],
        ["gene_index", "c_harrell - age"],
    ]
    assert (table["cohorts"] == 2).all()
    named = table.set_index(["model", "metric"])
    each = [
        run.results["gene_index"].estimate("c_harrell") - runs[(cohort, "none")].results["age"].estimate("c_harrell")
        for (cohort, adaptation), run in runs.items()
        if adaptation == "cohort_rescaling"
    ]
    assert min(each) <= named.loc[("gene_index", "c_harrell - age"), "estimate"] <= max(each)
    one = meta_analysis(runs, {"B": "none"})
    assert set(one["note"]) == {ONE_COHORT}
    row = one.set_index(["model", "metric"]).loc[("age", "c_harrell")]
    assert row["estimate"] == runs[("B", "none")].results["age"].estimate("c_harrell")
    assert meta_analysis({}, {}).empty


def test_a_model_that_a_cohort_lacks(runs: dict[tuple[str, str], Evaluation]) -> None:
    without = Evaluation(
        runs[("B", "none")].design,
        runs[("B", "none")].patients,
        {"gene_index": runs[("B", "none")].sheets["gene_index"]},
        {"gene_index": Result({}, [])},
    )
    table = meta_analysis({**runs, ("B", "none"): without}, {"A": "none", "B": "none"})
    notes = table.set_index(["model", "metric"])["note"]
    assert notes[("age", "c_harrell")] == f"{ONE_COHORT}; B left out: no value"
    assert notes[("gene_index", "c_harrell - age")] == f"{ONE_COHORT}; B left out: no value"
