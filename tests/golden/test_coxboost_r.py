"""CoxBoost against R.

The numbers are those of CoxBoost 1.5.1 under R 4.2.2 (criterion "pscore") on the simulated data of ../shared/golden
(100 patients, 64 deaths, 27 of them tied). Typed in are the columns that 30 steps with penalty 900 choose: the others
stay at zero and do not change these. All 40 columns, the log likelihoods and cv.CoxBoost (type "verweij") are compared
where ../shared exists.
"""

import csv
import os
from pathlib import Path

import numpy as np
import pytest

from amlprognosis.models.base import as_outcome
from amlprognosis.models.coxboost_kernels import Boosting
from amlprognosis.models.learners.coxboost import CoxBoost

COLUMNS = ("g02", "g03", "g04")
# time, status, then COLUMNS
SIMULATED = np.array(
    [
        (7, 0, 3.114271, -4.024951, -0.609663),
        (3, 1, 3.51978, 2.184788, 2.961484),
        (32, 1, 3.598661, -0.150948, 0.0008059999999999),
        (28, 1, 3.129774, -0.588469, -2.357656),
        (1, 1, 2.915097, -0.7521269999999999, 0.639116),
        (101, 0, 1.321593, 1.178784, -1.866108),
        (23, 0, 0.8082989999999999, 1.469847, 2.45176),
        (4, 0, 1.4308, 2.14455, 3.809621),
        (3, 0, -0.4906889999999999, 3.909419, -1.179512),
        (40, 0, 2.727664, -0.2165729999999999, -0.79371),
        (148, 1, 1.085586, -0.7374359999999999, -1.667579),
        (3, 1, 0.56325, 5.850673, 0.5341259999999999),
        (26, 1, 0.481312, 1.634369, 1.791189),
        (26, 1, 3.185177, -0.855446, 4.07076),
        (6, 1, -2.687175, 3.766369, -0.0552479999999999),
        (68, 1, 1.645546, 1.301056, -5.118997),
        (26, 1, -2.352253, 1.436149, -2.088183),
        (1, 1, 0.837258, 2.590795, 1.122646),
        (9, 1, 0.4307059999999999, -0.00515, -2.642646),
        (5, 0, 3.982474, 0.756244, 2.867352),
        (5, 1, 0.209431, 4.084265, 0.209789),
        (7, 1, -1.846954, 0.4667549999999999, 0.6099489999999999),
        (3, 0, 3.188755, 1.780745, 1.348191),
        (6, 0, -0.116295, 1.115388, -1.628137),
        (14, 0, 0.354831, 1.230798, -0.144072),
        (1, 0, 1.983267, 0.186032, 0.557103),
        (11, 0, -0.4403639999999999, 3.044175, -2.450247),
        (30, 0, 3.797517, -0.95535, 1.935363),
        (36, 0, -1.115173, 1.276225, -1.110184),
        (3, 1, 1.576112, 2.270239, -0.228717),
        (46, 0, 4.720754, -3.476035, 0.3746479999999999),
        (29, 0, 3.668099, 1.533283, -0.701894),
        (2, 0, -4.25844, 0.966508, -2.493484),
        (68, 1, -0.764707, -1.512088, 1.689616),
        (1, 1, -1.862593, 1.128145, 5.302635),
        (10, 0, 2.814171, 0.3667199999999999, 2.454314),
        (36, 0, 0.1867409999999999, -0.751494, 1.859117),
        (5, 1, -1.566947, -0.1604069999999999, 0.0234819999999999),
        (66, 1, -0.746029, -1.332194, -0.7468209999999998),
        (30, 1, -0.8224019999999999, 2.210041, 0.462585),
        (88, 1, -0.950106, -3.311314, 3.278948),
        (56, 1, -0.978769, -1.368035, 1.518863),
        (51, 1, 0.95379, 1.873388, -0.2709679999999999),
        (101, 1, 2.877776, -2.216331, 2.815528),
        (56, 1, -0.918896, 2.287167, 0.869924),
        (1, 1, -0.547367, 3.3072, 0.913443),
        (7, 1, 0.076355, -1.606609, -1.864966),
        (21, 1, -4.157384, 2.420301, 0.982411),
        (4, 1, -0.6290339999999999, 0.28321, 3.159094),
        (9, 0, -0.282001, 1.04001, 2.658646),
        (37, 1, 0.1455319999999999, -0.745998, -0.954097),
        (15, 1, 1.335764, 3.412811, 5.339226),
        (7, 1, 2.273926, -0.99824, 2.947197),
        (21, 1, 1.003053, 0.6512379999999999, 0.410617),
        (17, 1, 4.321324, 0.43761, -2.360641),
        (5, 1, -1.655859, -1.203652, -1.846366),
        (57, 1, 0.1647, 0.773712, 0.839843),
        (21, 0, 2.645348, 0.5629859999999999, -0.2165519999999999),
        (3, 1, 0.343416, 0.5089829999999999, 0.7625859999999999),
        (4, 1, -1.588733, 2.15565, -0.7129619999999999),
        (78, 0, 0.969602, -1.368178, -2.5859),
        (31, 0, 0.694072, -0.562564, -0.3015379999999999),
        (7, 0, -0.990868, -0.372456, -0.259533),
        (6, 1, -1.953784, 3.534075, 0.442521),
        (4, 1, -2.613024, 2.879323, 4.285685),
        (166, 1, -3.010368, -3.485909, -1.401582),
        (44, 0, 0.841972, -2.286714, 1.795123),
        (3, 1, 0.0398299999999999, 0.920351, -2.127893),
        (6, 1, -7.968972, 0.800968, -0.447824),
        (8, 1, -3.46072, -0.19222, -0.4799649999999999),
        (20, 1, -0.2070049999999999, -1.624492, 0.833469),
        (59, 0, 3.056214, 1.713996, -0.005771),
        (139, 0, 1.616815, -2.377922, -0.8233719999999999),
        (144, 1, 4.320791, 2.980722, -0.104871),
        (26, 1, 3.989156, -0.049098, 4.601611),
        (22, 1, -3.45878, 1.595234, 2.537532),
        (55, 1, 0.589818, 0.656726, 0.937399),
        (3, 1, 1.668046, -1.887521, -0.911353),
        (13, 1, -2.219917, 0.444498, -0.5290169999999998),
        (13, 0, 2.242918, -4.365444, 1.938835),
        (72, 0, 5.942862, -2.150909, -1.955374),
        (26, 0, -0.8879719999999999, -3.504206, -1.970076),
        (34, 0, -2.615219, -2.903387, -3.268821),
        (24, 0, 1.472826, -2.250264, 0.8508769999999999),
        (25, 1, 0.8931959999999999, 0.686782, 0.071452),
        (53, 1, -1.097409, 0.326058, -1.056288),
        (10, 1, -0.7725779999999999, 2.939216, 0.987463),
        (17, 1, -2.106875, -0.7174099999999999, -1.30107),
        (8, 1, -1.248286, 0.819191, 2.764963),
        (77, 1, 1.200359, 0.0917729999999999, -0.140605),
        (10, 1, 2.817868, 0.122044, 3.278455),
        (1, 1, 0.62202, -0.532533, -2.472088),
        (11, 1, 1.028508, -0.0400519999999999, -1.326011),
        (10, 0, -1.38059, -1.610192, 1.682267),
        (113, 1, 4.493594, -1.268868, -2.740976),
        (5, 1, -0.163992, 2.023441, 2.520467),
        (1, 0, -1.323158, 1.496254, -0.06876),
        (23, 1, -0.330892, -0.498533, 2.030028),
        (1, 0, 0.655622, -1.843656, 0.704235),
        (40, 0, 1.151185, 1.505213, -2.463449),
    ]
)
# penalty 900; step: coefficients of the standardized columns (ddof 1)
PATH = {
    1: {"g03": 0.0325269203414233},
    5: {"g03": 0.14439686031817},
    10: {"g02": -0.0435317645146957, "g03": 0.2121379755090315},
    30: {"g02": -0.1606706525816773, "g03": 0.3315571467715957, "g04": 0.1037554142668361},
}


def test_coefficients():
    time, event, x = SIMULATED[:, 0], SIMULATED[:, 1] == 1, SIMULATED[:, 2:]
    path = Boosting(x, time, event).path(900.0, 30)
    fit = CoxBoost(penalty=900.0, n_steps=30).fit(x, as_outcome(time, event))
    for step, coefficients in PATH.items():
        expected = [coefficients.get(name, 0.0) for name in COLUMNS]
        np.testing.assert_allclose(path.coefficients[step], expected, rtol=0, atol=1e-13)
    np.testing.assert_allclose(fit.coef_ * x.std(axis=0, ddof=1), expected, rtol=0, atol=1e-13)


def golden(name):
    root = Path(__file__).resolve().parents[2]
    shared = Path(os.environ.get("AMLPROGNOSIS_SHARED", root.parent / "shared"))
    if not shared.exists():
        pytest.skip("no ../shared here; the typed-in numbers above are compared everywhere")
    with open(shared / "golden" / f"{name}.csv", newline="") as handle:
        return list(csv.DictReader(handle))


def column(rows, name):
    return np.array([float(row[name]) for row in rows])


def simulated():
    rows = golden("data_sim100x40")
    names = [name for name in rows[0] if name.startswith("g")]
    x = np.column_stack([column(rows, name) for name in names])
    return x, column(rows, "time"), column(rows, "status") == 1


@pytest.mark.realdata
@pytest.mark.parametrize(("penalty", "n_steps"), [(100, 50), (900, 30), (576, 100)])
def test_all_columns(penalty, n_steps):
    x, time, event = simulated()
    fit = CoxBoost(penalty=penalty, n_steps=n_steps).fit(x, as_outcome(time, event))
    path = Boosting(x, time, event).path(penalty, n_steps)
    rows = [row for row in golden("coxboost_coef") if float(row["penalty"]) == penalty]
    steps = sorted({int(row["at_step"]) for row in rows})
    assert steps[-1] == n_steps
    for step in steps:
        expected = column([row for row in rows if int(row["at_step"]) == step], "coef_std")
        np.testing.assert_allclose(path.coefficients[step], expected, rtol=0, atol=1e-13)
    expected = column([row for row in rows if int(row["at_step"]) == n_steps], "coef_original")
    np.testing.assert_allclose(fit.coef_, expected, rtol=0, atol=1e-13)


@pytest.mark.realdata
def test_path_likelihood_and_linear_predictor():
    x, time, event = simulated()
    path = Boosting(x, time, event).path(100.0, 50)
    rows = golden("coxboost_p100_s50_coefpath_standardised")
    expected = np.array([[float(row[name]) for name in row if name != "step"] for row in rows])
    np.testing.assert_allclose(path.coefficients, expected, rtol=0, atol=1e-13)
    np.testing.assert_allclose(path.loglik, column(golden("coxboost_p100_s50_logplik"), "logplik"), rtol=1e-13)
    fit = CoxBoost(penalty=100.0, n_steps=50).fit(x, as_outcome(time, event))
    np.testing.assert_allclose(fit.predict(x), column(golden("coxboost_p100_s50_lp"), "lp"), atol=1e-12)


@pytest.mark.realdata
def test_cross_validated_likelihood():
    x, time, event = simulated()
    data = Boosting(x, time, event)
    folds = column(golden("folds"), "fold")
    found = data.cross_validate(data.parts(folds), 100.0, 60, patience=False)
    rows = golden("coxboost_cv_p100_k5")
    np.testing.assert_allclose(found.mean, column(rows, "mean_logplik"), rtol=1e-12)
    np.testing.assert_allclose(found.se, column(rows, "se_logplik"), rtol=1e-11)
    assert found.best == int(rows[0]["optimal_step"])
    patient = data.cross_validate(data.parts(folds), 100.0, 500)
    assert patient.best == found.best
    assert patient.turned
    assert len(patient.mean) < 100


@pytest.mark.realdata
def test_genes_of_the_workload():
    # R's folds are random: of the 26 genes that it kept, at least 22 are expected back.
    rows = golden("w1_tcga_84genes")
    genes = [name for name in rows[0] if name not in ("OS.time", "OS")]
    x = np.column_stack([column(rows, gene) for gene in genes])
    theirs = {row["sel"]: row["genes"].split() for row in golden("w1_selected_genes")}["CoxBoost"]
    fit = CoxBoost().fit(x, as_outcome(column(rows, "OS.time"), column(rows, "OS") == 1))
    ours = {gene for gene, beta in zip(genes, fit.coef_, strict=True) if beta != 0}
    assert len(ours & set(theirs)) >= 22
    assert len(ours) <= 36
