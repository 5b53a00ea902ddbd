from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

from amlprognosis.cells.quality import QualitySettings, cell_metrics, filter_atlas, mad_outliers, thin
from amlprognosis.errors import InputError


def small(counts, genes, sample="S"):
    obs = pd.DataFrame({"sample": [sample] * len(counts)}, index=[f"c{i}" for i in range(len(counts))])
    return AnnData(sparse.csr_matrix(np.array(counts)), obs=obs, var=pd.DataFrame(index=genes))


def test_cell_metrics():
    metrics = cell_metrics(small([[1, 3, 0], [0, 0, 0], [2, 0, 2]], ["A", "MT-B", "C"]))
    assert metrics["n_counts"].tolist() == [4, 0, 4]
    assert metrics["n_genes"].tolist() == [2, 0, 2]
    assert metrics["mitochondrial"].tolist() == [0.75, 0.0, 0.0]
    assert cell_metrics(small([[1]], ["A"]))["mitochondrial"].isna().all()


def test_filters_run_in_order_and_account_for_every_cell():
    adata = small([[9, 0, 1], [1, 0, 0], [9, 0, 0], [1, 9, 1], [8, 1, 1]], ["A", "MT-B", "C"])
    kept, report = filter_atlas(adata, {"min_counts": 5, "min_genes": 2, "max_mitochondrial": 0.5, "min_cells": 2})
    assert list(kept.obs_names) == ["c0", "c4"]
    assert list(kept.var_names) == ["A", "C"]
    cells = report[report["item"] == "cells"].set_index("step")
    assert cells["removed"].to_dict() == {"min_counts": 1, "min_genes": 1, "mitochondrial": 1, "mad": 0}
    assert "fewer than 30 cells" in cells.loc["mad", "reason"]
    assert adata.n_obs == 5


def test_mad_outliers_against_the_definition():
    values = np.expm1(np.array([1.0, 2.0, 3.0, 4.0, 5.0, 30.0]))
    # median 3.5, absolute deviations 2.5 1.5 .5 .5 1.5 26.5 -> MAD 1.5
    assert mad_outliers(values, 26.4 / (1.4826 * 1.5)).tolist() == [False] * 5 + [True]
    assert not mad_outliers(values, 26.6 / (1.4826 * 1.5)).any()
    assert not mad_outliers(np.full(10, 3.0), 1).any()


def test_depth_outlier_of_its_own_sample_is_removed(synthetic):
    adata = synthetic.copy()
    adata.X[5] = adata.X[5] * 200
    kept, report = filter_atlas(adata, {"min_counts": 0, "min_genes": 0, "min_cells": 1})
    assert set(adata.obs_names) - set(kept.obs_names) == {"cell5"}
    assert report.loc[report["step"] == "mad", "removed"].sum() == 1
    assert (report.loc[report["step"] == "mitochondrial", "reason"] == "not applied: no gene named MT-").all()


def test_thinning_is_seeded_per_sample(synthetic):
    settings = {"min_counts": 0, "min_genes": 0, "min_cells": 1, "max_cells_per_sample": 20}
    one, report = filter_atlas(synthetic, settings, seed=3)
    assert (one.obs["sample"].value_counts() == 20).all()
    assert list(filter_atlas(synthetic, settings, seed=3)[0].obs_names) == list(one.obs_names)
    assert list(filter_atlas(synthetic, settings, seed=4)[0].obs_names) != list(one.obs_names)
    alone = filter_atlas(synthetic[synthetic.obs["sample"] == "S2"].copy(), settings, seed=3)[0]
    assert list(alone.obs_names) == list(one.obs_names[one.obs["sample"] == "S2"])
    removed = report.loc[report["step"] == "thin", "removed"].sum()
    assert removed + 80 + report.loc[report["step"] == "mad", "removed"].sum() == synthetic.n_obs
    assert thin(np.array([True, False, True]), 5, "S", 0).tolist() == [True, False, True]


def test_bad_settings_and_counts(synthetic):
    with pytest.raises(InputError, match="unknown quality setting 'min_gene'"):
        QualitySettings.of({"min_gene": 3})
    with pytest.raises(InputError, match="'mad_k' must be >= 0"):
        QualitySettings.of({"mad_k": -1})
    with pytest.raises(InputError, match="no cell of 300 passes"):
        filter_atlas(synthetic, {"min_counts": 10**6})
    with pytest.raises(InputError, match="no gene is seen"):
        filter_atlas(synthetic, {"min_counts": 0, "min_genes": 0, "min_cells": 10**6})
    logged = synthetic.copy()
    logged.X = logged.X.astype(float).log1p()
    with pytest.raises(InputError, match="not counts"):
        filter_atlas(logged)
