"""Added value against R: anova of coxph models with strata(trt, prior) on survival's veteran data."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import chdtrc
from veteran_data import EVENT, TIME, X

from amlprognosis.evaluation.added_value import added_value, added_value_table
from amlprognosis.evaluation.leaderboard import Evaluation
from amlprognosis.evaluation.metrics import Design, Result
from amlprognosis.evaluation.sheets import sheet_from_predictions

PATIENTS = [f"P{number:03d}" for number in range(len(TIME))]
FOLD = X[:, 0] * 100 + X[:, 4]
# Two models, each with the name of one of the workflow: "gene_index" is -karno, "age" is age.
RISKS = {"gene_index": -X[:, 1].astype(float), "age": X[:, 3].astype(float)}
MEANS = pd.Series(RISKS["gene_index"]).groupby(FOLD).transform("mean").to_numpy()
SPREAD = np.sqrt(np.mean((RISKS["gene_index"] - MEANS) ** 2))


def run_of(risks: dict[str, np.ndarray], folds: np.ndarray = FOLD, repeats: int = 1) -> Evaluation:
    parts = [
        pd.DataFrame({"model": name, "patient": PATIENTS, "risk": risk, "repeat": repeat, "fold": folds})
        for name, risk in risks.items()
        for repeat in range(1, repeats + 1)
    ]
    design = Design(TIME.astype(float), EVENT, (0.5, 1), 0, 1)
    sheets = {name: sheet_from_predictions(part, PATIENTS) for name, part in pd.concat(parts).groupby("model")}
    return Evaluation(design, PATIENTS, sheets, {name: Result({}, []) for name in sheets})


def test_out_of_fold_risks_are_stratified_by_fold() -> None:
    row = added_value(run_of(RISKS, repeats=3), "A").iloc[0]
    assert row["chi2"] == pytest.approx(38.298665305728, abs=1e-7)
    assert row["chi2_reverse"] == pytest.approx(0.6030442574471, abs=1e-7)
    assert row["p_reverse"] == pytest.approx(0.4374188556431, abs=1e-8)
    assert row["p"] == pytest.approx(chdtrc(1, 38.298665305728))
    assert (row["patients"], row["events"], row["df"]) == (137, 128, 1)
    # R's coefficient and standard error of karno, per standard deviation within the strata.
    coefficient, error = 0.0340768525514952 * SPREAD, 0.0055177401856196 * SPREAD
    assert row["hazard_ratio"] == pytest.approx(np.exp(coefficient), rel=1e-8)
    assert row["hazard_ratio_low"] == pytest.approx(np.exp(coefficient - 1.959963984540054 * error), rel=1e-8)
    assert row["hazard_ratio_high"] == pytest.approx(np.exp(coefficient + 1.959963984540054 * error), rel=1e-8)
    assert row["note"] == "prevalidated risks, stratified by fold: median of 3 repeats, p approximate"
    assert pd.isna(row["adaptation"])


def test_frozen_risks_need_no_strata() -> None:
    row = added_value(run_of(RISKS, np.zeros(137, dtype=int)), "B", adaptation="none").iloc[0]
    assert row["chi2"] == pytest.approx(41.474831287071, abs=1e-7)
    assert row["chi2_reverse"] == pytest.approx(0.069040113152482, abs=1e-7)
    assert (row["cohort"], row["adaptation"], row["note"]) == ("B", "none", "")


def test_the_median_over_repeats() -> None:
    run = run_of(RISKS, repeats=3)
    rng = np.random.default_rng(0)
    run.sheets["gene_index"].score[1:] += rng.normal(0, 20, (2, 137))
    single = []
    for repeat in range(3):
        alone = run_of({"gene_index": run.sheets["gene_index"].score[repeat], "age": RISKS["age"]})
        single.append(added_value(alone, "A").iloc[0])
    row = added_value(run, "A").iloc[0]
    assert row["chi2"] == pytest.approx(np.median([one["chi2"] for one in single]))
    logs = np.log([one["hazard_ratio"] for one in single])
    assert row["hazard_ratio"] == pytest.approx(np.exp(logs.mean()))


def test_what_cannot_be_told_says_why() -> None:
    same = np.ones(137)
    early = -TIME.astype(float)
    ranks = np.argsort(np.argsort(early)).astype(float)
    one = np.zeros(137, dtype=int)

    def row(model: np.ndarray, other: np.ndarray) -> pd.Series:
        return added_value(run_of({"gene_index": model, "age": other}, one), "A").iloc[0]

    flat = row(same, RISKS["age"])
    assert (flat["chi2"], flat["p"]) == (0, 1)
    assert flat["note"] == "gene_index has the same risk for everyone"
    assert np.isnan(flat["hazard_ratio"])
    against_flat = row(RISKS["gene_index"], same)
    assert against_flat["chi2"] == pytest.approx(2 * (505.44905491806 - 484.43345270344), abs=1e-6)
    assert against_flat["chi2_reverse"] == 0
    assert against_flat["hazard_ratio"] > 1
    twin = row(RISKS["age"] * 3 - 5, RISKS["age"])
    assert (twin["chi2"], twin["chi2_reverse"], twin["note"]) == (0, 0, "the two risks say the same")
    perfect = row(ranks, RISKS["age"])
    assert np.isnan(perfect["chi2"])
    assert "no maximum" in perfect["note"]


def test_patients_without_one_of_the_risks_are_left_out() -> None:
    age = RISKS["age"].copy()
    age[:10] = np.nan
    row = added_value(run_of(RISKS | {"age": age}), "A").iloc[0]
    assert (row["patients"], row["events"]) == (127, int(EVENT[10:].sum()))
    nobody = np.full(137, np.nan)
    nobody[:1] = 1.0
    other = RISKS["gene_index"].copy()
    other[:1] = np.nan
    empty = added_value(run_of({"gene_index": other, "age": nobody}), "A").iloc[0]
    assert empty["note"] == "not compared: no deaths among patients with predictions of both"
    assert empty["patients"] == 0


def test_cohorts_and_comparators_that_are_absent() -> None:
    run, one = run_of(RISKS), run_of({"gene_index": RISKS["gene_index"]}, np.zeros(137, dtype=int))
    notes = pd.DataFrame({"model": ["lsc17"], "repeat": [1], "fold": [1], "reason": ["2 of 17 genes"]})
    plain = run_of({"age": RISKS["age"]}, np.zeros(137, dtype=int))
    table = added_value_table(
        "A",
        run,
        notes,
        {("B", "ranks"): one, ("B", "none"): plain, ("C", "none"): one},
        {"B": {"lsc17": "not fitted: 2 of 17 genes"}, "C": {"age": "not applied: no value in this cohort"}},
    )
    shown = table[["cohort", "adaptation", "comparator", "note"]].fillna("").to_numpy().tolist()
    assert shown == [
        ["A", "", "age", "prevalidated risks, stratified by fold: p approximate"],
        ["A", "", "lsc17", "not compared: 1 fits failed: 2 of 17 genes"],
        ["B", "ranks", "age", ""],
        ["B", "ranks", "lsc17", "not compared: not fitted: 2 of 17 genes"],
        ["C", "none", "age", "not compared: not applied: no value in this cohort"],
    ]
    only = added_value_table("A", run_of({"gene_index": RISKS["gene_index"]}), notes[:0], {}, {})
    assert only.empty
    assert list(only) == list(table)
