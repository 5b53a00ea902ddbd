from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

from amlprognosis.cells.score import (
    _holm,
    index_score,
    malignant_against_normal,
    score_by_type,
)
from amlprognosis.errors import InputError


def matrix(values, genes):
    values = np.array(values, dtype=np.float32)
    obs = pd.DataFrame(index=[f"c{i}" for i in range(len(values))])
    return AnnData(sparse.csr_matrix(values), obs=obs, var=pd.DataFrame(index=genes))


def test_index_is_the_sum_of_standardized_expression():
    rng = np.random.default_rng(0)
    x = np.round(rng.gamma(1, 1, (50, 3)) * (rng.random((50, 3)) < 0.5), 3)
    x[:, 2] = 1.0
    adata = matrix(x, ["A", "B", "flat"])
    score, table = index_score(adata, pd.Series({"B": -2.0, "A": 0.5, "flat": 3.0, "gone": 9.0}))
    z = (x - x.mean(axis=0)) / np.where(x.std(axis=0) > 0, x.std(axis=0), 1)
    np.testing.assert_allclose(score, 0.5 * z[:, 0] - 2 * z[:, 1], atol=1e-5)
    assert table["gene"].tolist() == ["A", "B", "flat", "gone"]
    assert table["present"].tolist() == [True, True, True, False]
    np.testing.assert_allclose(table["cells_expressing"][:3], (x > 0).mean(axis=0))
    fixed, _ = index_score(adata, pd.Series({"A": 2.0}), centers=pd.Series({"A": 1.0}), scales=pd.Series({"A": 4.0}))
    np.testing.assert_allclose(fixed, 2 * (x[:, 0] - 1) / 4, atol=1e-6)


def test_index_faults():
    adata = matrix([[1.0], [2.0]], ["A"])
    assert index_score(adata, pd.Series({"gone": 1.0}))[0].isna().all()
    with pytest.raises(InputError, match="no genes"):
        index_score(adata, pd.Series(dtype=float))
    with pytest.raises(InputError, match="'A' occurs twice"):
        index_score(adata, pd.Series([1.0, 2.0], index=["A", "A"]))
    with pytest.raises(InputError, match="not finite"):
        index_score(adata, pd.Series({"A": np.nan}))
    with pytest.raises(InputError, match="centers or scales lack"):
        index_score(adata, pd.Series({"A": 1.0}), centers=pd.Series({"B": 1.0}))


@pytest.fixture
def patients():
    """Four patients with malignant cells 1 above their normal ones, four donors at 0 (patient 1 is large)."""
    rows = []
    for p in range(4):
        size = 200 if p == 0 else 12
        rows += [(f"P{p}", "HSC-like", True, 1.0 + p / 10)] * size
        rows += [(f"P{p}", "HSC", False, p / 10)] * 12
        rows += [(f"D{p}", "HSC", False, -p / 10)] * 12
    rows += [("P0", "T", False, 5.0)] * 3 + [("P0", None, pd.NA, 9.0)] * 2
    frame = pd.DataFrame(rows, columns=["patient", "cell_type", "malignant", "score_x"])
    adata = matrix(np.zeros((len(frame), 1)), ["A"])
    adata.obs["patient"] = pd.Categorical(frame["patient"].to_numpy())
    adata.obs["cell_type"] = pd.Categorical(frame["cell_type"].to_numpy())
    adata.obs["malignant"] = pd.array(frame["malignant"], dtype="boolean")
    adata.obs["score_x"] = frame["score_x"].to_numpy()
    return adata


def test_summary_by_type(patients):
    table = score_by_type(patients, "score_x").set_index(["cell_type", "state"])
    row = table.loc[("HSC-like", "malignant")]
    assert (row["n_cells"], row["n_patients"]) == (236, 4)
    assert row["mean_of_patients"] == pytest.approx(1.15)
    assert row["mean"] == pytest.approx((200 + 12 * 3.6) / 236)
    assert table.loc[("(not annotated)", "unclear"), "n_cells"] == 2
    assert table["n_cells"].sum() == patients.n_obs


def test_malignant_against_normal_counts_patients_not_cells(patients):
    table = malignant_against_normal(patients, "score_x").set_index(["cell_type", "contrast"])
    assert [t for t, _ in table.index[::2]] == ["(all types)", "HSC"]
    donors = table.loc[("HSC", "donors")]
    assert (donors["n_patients_malignant"], donors["n_patients_normal"]) == (4, 4)
    assert donors["difference"] == pytest.approx(1.3)
    assert donors["p"] == pytest.approx(2 / 70)  # exact, complete separation of 4 and 4
    assert "0.029" in donors["note"]
    paired = table.loc[("HSC", "paired")]
    assert paired["difference"] == pytest.approx(1.0)
    assert paired["p"] == pytest.approx(2 / 16)
    few = malignant_against_normal(patients, "score_x", min_patients=5)
    assert few["p"].isna().all()
    assert few["note"].str.startswith("no test").all()
    assert malignant_against_normal(patients, "score_x", min_cells=10**6).empty


def test_a_donor_has_no_malignant_or_unclear_cell(patients):
    patients.obs["malignant"] = patients.obs["malignant"].mask(
        (patients.obs["patient"] == "D0").to_numpy() & (np.arange(patients.n_obs) < 10**6)
    )
    table = malignant_against_normal(patients, "score_x").set_index(["cell_type", "contrast"])
    assert table.loc[("HSC", "donors"), "n_patients_normal"] == 3


def test_missing_columns(patients):
    with pytest.raises(InputError, match="no score column 'score_y'"):
        score_by_type(patients, "score_y")
    del patients.obs["patient"]
    with pytest.raises(InputError, match="no column 'patient'"):
        score_by_type(patients, "score_x")


def test_holm():
    np.testing.assert_allclose(_holm(np.array([0.04, np.nan, 0.01, 0.03])), [0.06, np.nan, 0.03, 0.06])
