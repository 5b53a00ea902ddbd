from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

from amlprognosis.cells.annotate import (
    UNASSIGNED,
    agreement,
    assign_types,
    cell_cycle,
    cluster_majority,
    score_sets,
)
from amlprognosis.cells.embed import normalize_log
from amlprognosis.cells.gene_lists import G2M_PHASE, S_PHASE, present


@pytest.fixture
def logged(synthetic):
    return normalize_log(synthetic.copy())


def test_normalization(logged, synthetic):
    assert logged.X.dtype == np.float32
    np.testing.assert_allclose(np.expm1(logged.X.toarray()).sum(axis=1), 10_000, rtol=1e-4)
    np.testing.assert_array_equal(logged.layers["counts"].toarray(), synthetic.X.toarray())


def test_set_scores_find_their_type_and_report_genes(logged, marker_sets):
    scores, rows = score_sets(logged, {**marker_sets, "few": ["G001", "nowhere"], "part": ["x", *marker_sets["k0"]]})
    assert list(scores.columns) == ["k0", "k1", "k2", "part"]
    assert (scores[["k0", "k1", "k2"]].idxmax(axis=1) == logged.obs["kind"]).mean() > 0.99
    assert "few: only 1 of 2 genes" in rows[3]["reason"]
    assert (rows[4]["removed"], rows[4]["kept"]) == (1, 20)


def test_set_scores_are_seeded_and_independent_of_other_sets(logged, marker_sets):
    all_sets, _ = score_sets(logged, marker_sets, seed=1, controls=3)
    one, _ = score_sets(logged, {"k1": marker_sets["k1"]}, seed=1, controls=3)
    np.testing.assert_array_equal(all_sets["k1"], one["k1"])
    other, _ = score_sets(logged, {"k1": marker_sets["k1"]}, seed=2, controls=3)
    assert not np.allclose(other["k1"], one["k1"])


def test_set_scores_agree_with_scanpy(logged, marker_sets):
    import scanpy as sc

    ours, _ = score_sets(logged, {"k0": marker_sets["k0"]})
    sc.tl.score_genes(logged, marker_sets["k0"], score_name="theirs")
    # Bins are drawn differently, which tells with 240 genes; on GSE116256's 15,849 genes r is above 0.99.
    assert np.corrcoef(ours["k0"], logged.obs["theirs"])[0, 1] > 0.95


def test_cell_cycle_phases():
    assert (len(S_PHASE), len(G2M_PHASE)) == (43, 54)
    assert present(S_PHASE, {"CENPU", "MCM5"}) == ["MCM5", "CENPU"]
    genes = [g[-1] for g in S_PHASE] + [g[-1] for g in G2M_PHASE] + [f"X{i}" for i in range(400)]
    rng = np.random.default_rng(0)
    rate = np.ones((3, len(genes)))
    rate[0, :43] = 8
    rate[1, 43:97] = 8
    rate[2, :97] = 0.2
    counts = rng.poisson(np.repeat(rate, 20, axis=0))
    adata = AnnData(
        sparse.csr_matrix(counts),
        obs=pd.DataFrame(index=[f"c{i}" for i in range(60)]),
        var=pd.DataFrame(index=genes),
    )
    result, rows = cell_cycle(normalize_log(adata))
    assert result["phase"].tolist() == ["S"] * 20 + ["G2M"] * 20 + ["G1"] * 20
    assert [row["kept"] for row in rows] == [43, 54]


def test_cell_cycle_without_its_genes(logged):
    result, rows = cell_cycle(logged)
    assert (result["phase"] == UNASSIGNED).all()
    assert all("not scored" in row["reason"] for row in rows)


def test_types_margin_and_unassigned():
    scores = pd.DataFrame({"a": [1.0, -0.1, 0.5], "b": [0.2, -0.3, 0.45]}, index=list("xyz"))
    plain = assign_types(scores)
    assert plain["cell_type_scored"].tolist() == ["a", UNASSIGNED, "a"]
    np.testing.assert_allclose(plain["cell_type_margin"], [0.8, 0.2, 0.05])
    assert assign_types(scores, min_margin=0.1)["cell_type_scored"].tolist() == ["a", UNASSIGNED, UNASSIGNED]
    assert (assign_types(scores[[]])["cell_type_scored"] == UNASSIGNED).all()


def test_cluster_majority_and_agreement():
    clusters = pd.Series(pd.Categorical(["0", "0", "0", "1", "1", "2"]))
    labels = pd.Series(["T", "T", "B", "T", "B", None])
    table = cluster_majority(clusters, labels)
    assert table["cell_type"].tolist() == ["T", "B", None]
    assert table["n_cells"].tolist() == [3, 2, 1]
    assert table["share"].tolist()[:2] == [2 / 3, 0.5]
    cross, summary = agreement(labels, pd.Series(["t", "t", "b", "t", "b", "t"]))
    assert cross.to_numpy().tolist() == [["B", "b", 2, 1.0], ["T", "t", 3, 1.0]]
    assert summary == {"n_cells": 5, "adjusted_rand_index": 1.0, "identical_names": 0.0}
    assert agreement(pd.Series([None]), pd.Series(["t"]))[1]["n_cells"] == 0
