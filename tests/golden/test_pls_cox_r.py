"""PLS-Cox against plsRcox 1.8.1 under R 4.2.2 (nt = 3, defaults) on the simulated data of ../shared/golden.

R's coxph stops when the log likelihood changes by less than 1e-9 of itself; our fits go on to the maximum, which moves
the numbers by up to 1e-8. With R's rule of stopping they agree to 1e-15.
"""

import csv
import os
from pathlib import Path

import numpy as np
import pytest

from amlprognosis.models.base import as_outcome
from amlprognosis.models.learners.pls_cox import PLSCox
from amlprognosis.models.pls_cox_kernels import PLSPath

CLOSE = {"rtol": 0, "atol": 1e-8}


def golden(name):
    root = Path(__file__).resolve().parents[2]
    shared = Path(os.environ.get("AMLPROGNOSIS_SHARED", root.parent / "shared"))
    if not shared.exists():
        pytest.skip("no ../shared here; tests/unit compares with the definition")
    with open(shared / "golden" / f"{name}.csv", newline="") as handle:
        return list(csv.DictReader(handle))


def table(name, prefix):
    rows = golden(name)
    return np.array([[float(row[key]) for key in row if key.startswith(prefix)] for row in rows])


@pytest.fixture
def simulated():
    x = table("data_sim100x40", "g")
    return x, table("data_sim100x40", "time")[:, 0], table("data_sim100x40", "status")[:, 0] == 1


@pytest.mark.realdata
def test_components(simulated):
    path = PLSPath(*simulated)
    assert all([path.extend() for _ in range(3)])
    lengths = np.array(path.lengths)
    np.testing.assert_allclose(path.weights.T, table("plsrcox_nt3_weights", "wwnorm"), **CLOSE)
    raw = np.array([[float(row[f"ww{k}"]) for k in (1, 2, 3)] for row in golden("plsrcox_nt3_weights")])
    np.testing.assert_allclose(path.weights.T * lengths, raw, **CLOSE)
    np.testing.assert_allclose(path.loadings.T, table("plsrcox_nt3_weights", "pp"), **CLOSE)
    np.testing.assert_allclose(path.scores, table("plsrcox_nt3_scores_lp", "Comp"), rtol=0, atol=3e-8)
    assert path.failed == [0, 0, 0]


@pytest.mark.realdata
def test_coefficients(simulated):
    x, time, event = simulated
    fit = PLSCox(n_components=3).fit(x, as_outcome(time, event))
    np.testing.assert_allclose(fit.component_coef_, table("plsrcox_nt3_coxcomp", "coef")[:, 0], **CLOSE)
    scale = x.std(axis=0, ddof=1)
    np.testing.assert_allclose(fit.coef_ * scale, table("plsrcox_nt3_coef_std", "coef")[:, 0], **CLOSE)
    np.testing.assert_allclose(fit.predict(x), table("plsrcox_nt3_scores_lp", "lp")[:, 0], **CLOSE)
    # fit$Coeffs carries the standard deviation of time, which is no part of a Cox coefficient.
    theirs = table("plsrcox_nt3_coef_original", "coef")[:, 0]
    np.testing.assert_allclose(fit.coef_ * time.std(ddof=1), theirs, rtol=1e-6, atol=1e-6)
