"""What is wrong with a study's own data is noticed, and its normal features are not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from hypothesis import given, settings
from hypothesis import strategies as st

from amlprognosis.catalogue import SharedPatients
from amlprognosis.evaluation.leakage_checks import (
    BETWEEN,
    COLUMNS,
    DUPLICATED,
    KNOWN,
    PROXY,
    leakage_checks,
    leakage_notes,
    outcome_proxies,
)
from amlprognosis.models.concordance import harrell_concordance
from amlprognosis.normalize.duplicates import COPIED, SHARED


def cohort(seed: int, n: int = 60, genes: int = 600, prefix: str = "P") -> AnnData:
    rng = np.random.default_rng(seed)
    values = rng.normal(8, 1, (n, genes)).astype(np.float32)
    obs = pd.DataFrame(
        {"os_time": rng.exponential(800, n) + 1, "os_event": rng.random(n) < 0.7},
        index=[f"{prefix}{k:02d}" for k in range(n)],
    )
    adata = AnnData(X=values, obs=obs, var=pd.DataFrame(index=[f"G{k}" for k in range(genes)]))
    adata.uns["exclusions"] = pd.DataFrame({"patient": [], "reason": []}, dtype=object)
    return adata


def matrix(adata: AnnData) -> pd.DataFrame:
    genes = pd.DataFrame(adata.X, index=adata.obs_names, columns=[f"expression:{g}" for g in adata.var_names])
    return pd.concat([adata.obs[["os_time", "os_event"]], genes.astype(float)], axis=1)


def test_clean_data_are_clean():
    training, other = cohort(0), cohort(1, prefix="V")
    table = leakage_checks({"V": other, "T": training}, "T", matrix(training))
    assert list(table.columns) == COLUMNS
    assert table[["check", "cohort"]].to_numpy().tolist() == [
        [DUPLICATED, "T"],
        [DUPLICATED, "V"],
        [BETWEEN, "V"],
        [PROXY, "T"],
    ]
    assert (table["verdict"] == "clean").all()
    assert leakage_notes(table) == []


def test_every_kind_of_fault_is_named():
    training, other = cohort(0), cohort(1, prefix="V")
    rng = np.random.default_rng(2)
    training.X[7] = training.X[3] + 0.1 * rng.normal(size=600)  # a replicate
    other.X[5] = 2.0 * training.X[9] + 1  # a training patient on another scale
    training.uns["exclusions"] = pd.DataFrame({"patient": ["P99"], "reason": [COPIED]})
    other.uns["exclusions"] = pd.DataFrame({"patient": ["P01"], "reason": [SHARED]})
    features = matrix(training).assign(
        **{
            "clinical:days_alive": training.obs["os_time"] + rng.normal(0, 5, 60),
            "mutation:DEAD": training.obs["os_event"].astype(float),
            "clinical:age": rng.normal(60, 10, 60),
            "clinical:empty": np.nan,
            "clinical:constant": 1.0,
        }
    )
    table = leakage_checks({"T": training, "V": other}, "T", features)
    suspects = table[(table["verdict"] == "suspect") & ~table["item"].str.startswith("all ")]
    assert suspects["item"].tolist() == ["P03 / P07", "V05", "clinical:days_alive", "mutation:DEAD"]
    notes = table[table["item"].str.startswith("all ")].set_index(["check", "cohort"])["note"]
    assert "1 left out as copies: P99" in notes[DUPLICATED, "T"]
    assert "1 left out because the models saw them: P01" in notes[BETWEEN, "V"]
    assert "2 features have too few values or do not vary" in notes[PROXY, "T"]
    told = leakage_notes(table)
    assert len(told) == 4
    assert all(source == "leakage" for source, _, _ in told)


def test_what_cannot_be_checked_is_said():
    training = cohort(0, genes=20)
    small = cohort(1, n=5, prefix="V")
    few = matrix(training)
    few["os_event"] = [True] * 10 + [False] * 50
    table = leakage_checks({"T": training, "V": small}, "T", few).set_index(["check", "cohort"])
    assert table.loc[(DUPLICATED, "T"), "verdict"] == "not checked"
    assert "5 patients" in table.loc[(DUPLICATED, "V"), "note"]
    assert "by id alone" in table.loc[(BETWEEN, "V"), "note"]
    assert table.loc[(PROXY, "T"), "verdict"] == "not checked"


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), levels=st.integers(2, 60), missing=st.sampled_from([0.0, 0.3]))
def test_concordance_of_all_columns_at_once(seed, levels, missing):
    rng = np.random.default_rng(seed)
    n = 70
    values = rng.integers(0, levels, (n, 5)).astype(float)
    values[rng.random(values.shape) < missing] = np.nan
    outcome = pd.DataFrame({"os_time": rng.integers(1, 25, n).astype(float), "os_event": rng.random(n) < 0.8})
    table = outcome_proxies(pd.DataFrame(values, columns=list("abcde")), outcome)
    for column, row in zip(values.T, table.itertuples(), strict=True):
        known = np.isfinite(column)
        own = outcome[known]
        if row.checked:
            expected = harrell_concordance(own["os_time"], own["os_event"], column[known]).index
            assert row.c_harrell == pytest.approx(expected, abs=1e-12)


def test_overlaps_that_the_catalogue_knows_have_a_row_and_a_note():
    training, other = cohort(0), cohort(1, prefix="V")
    known = [
        SharedPatients("T", "V", True, "partly", None, "The same bank."),
        SharedPatients("V", "W", False, "possible", 12, "The same group."),
    ]
    table = leakage_checks({"V": other, "T": training}, "T", matrix(training), known)
    rows = table[table["check"] == KNOWN]
    assert rows[["cohort", "item", "verdict"]].to_numpy().tolist() == [
        ["V", "T / V", "suspect"],
        ["W", "V / W", "not checked"],
    ]
    assert rows["value"].fillna(0).tolist() == [0, 12]
    notes = leakage_notes(table)
    assert [item for _, item, _ in notes] == ["V: T / V", "W: V / W"]
    assert "T (training) and V (validation) share patients: patients that the models saw are no test" in notes[0][2]
    assert "V (validation) and W (validation) may share patients (12): a pooled estimate counts" in notes[1][2]
