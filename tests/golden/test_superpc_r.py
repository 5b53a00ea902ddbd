"""Supervised principal components against superpc 1.12 under R 4.2.2, on the simulated data of ../shared/golden.

superpc.train(s0.perc = 0.5), superpc.predict with threshold 1 and 1 or 3 components. superpc does not scale columns.
"""

import csv
import os
from pathlib import Path

import numpy as np
import pytest

from amlprognosis.models.base import as_outcome
from amlprognosis.models.learners.superpc import SuperPC


def golden(name):
    root = Path(__file__).resolve().parents[2]
    shared = Path(os.environ.get("AMLPROGNOSIS_SHARED", root.parent / "shared"))
    if not shared.exists():
        pytest.skip("no ../shared here; tests/unit compares with the definition")
    with open(shared / "golden" / f"{name}.csv", newline="") as handle:
        return list(csv.DictReader(handle))


def column(name, key):
    return np.array([float(row[key]) for row in golden(name)])


@pytest.fixture
def simulated():
    rows = golden("data_sim100x40")
    x = np.array([[float(row[key]) for key in row if key.startswith("g")] for row in rows])
    return x, column("data_sim100x40", "time"), column("data_sim100x40", "status") == 1


@pytest.mark.realdata
@pytest.mark.parametrize("count", [1, 3])
def test_prediction(simulated, count):
    x, time, event = simulated
    fit = SuperPC(count, 1.0, standardize=False).fit(x, as_outcome(time, event))
    name = f"superpc_pred_thr1_nc{count}"
    np.testing.assert_allclose(fit.predict(x), column(name, "v_pred_1df"), atol=1e-10)
    components = (x - x.mean(axis=0)) @ (fit.loadings_ / np.abs(fit.loadings_).sum(axis=0))
    for k, key in enumerate(["v_pred"] if count == 1 else ["pc1", "pc2", "pc3"]):
        np.testing.assert_allclose(components[:, k], column(name, key), atol=1e-12)
    assert fit.n_components_ == count
    assert fit.notes_ == []


@pytest.mark.realdata
def test_scores_and_loadings(simulated):
    x, time, event = simulated
    fit = SuperPC(1, 1.0, standardize=False).fit(x, as_outcome(time, event))
    np.testing.assert_allclose(fit.feature_scores_, column("superpc_feature_scores", "feature_score"), atol=1e-13)
    np.testing.assert_array_equal(fit.selected_, column("superpc_feature_scores", "selected") == 1)
    loadings = column("superpc_pc1_loadings", "u1")
    found = fit.loadings_[fit.selected_, 0]
    np.testing.assert_allclose(found * np.sign(found[0]), loadings * np.sign(loadings[0]), atol=1e-13)
    np.testing.assert_allclose(fit.singular_values_, column("superpc_pc1_loadings", "d1")[0], rtol=1e-13)
    np.testing.assert_allclose(fit.component_coef_, np.abs(column("superpc_pc1_loadings", "coef")[0]), rtol=1e-10)
