"""Stepwise Cox regression against R's step().

The numbers are those of step() on coxph (survival 3.5-3 under R 4.2.2, eps 1e-12): the changes with the criterion
after each, and the coefficients of the last model. Forward starts from ``~ 1``; both and backward from all columns; BIC
is step(k = log(number of deaths)). The cohorts are survival::veteran with seven products of its columns (made for this
test, so that a dropped column comes back), the simulated patients of ../shared/golden, and 169 patients of TCGA-LAML
with the 84 genes of the workload W1.
"""

import csv
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from veteran_data import EVENT, NAMES, TIME, X

from amlprognosis.models.base import as_outcome
from amlprognosis.models.learners.stepwise import StepCox

KARNO, AGE = X[:, 1], X[:, 3]
VETERAN = pd.DataFrame(
    {
        **dict(zip(NAMES, X.T, strict=True)),
        "karno2": KARNO**2,
        "diag2": X[:, 2] ** 2,
        "age2": AGE**2,
        "trt_karno": X[:, 0] * KARNO,
        "trt_age": X[:, 0] * AGE,
        "prior_karno": X[:, 4] * KARNO,
        "karno_age": KARNO * AGE,
    }
)
# direction, criterion, ties: the criterion of the start, each change and the criterion after it; the coefficients
VETERAN_PATHS = {
    ("both", "aic", "efron"): (
        "973.028015803 | - trt 971.122408313 | - diagtime 969.917530242 | - age2 968.879441049 | - diag2 968.82571083"
        " | - karno2 968.690773792 | + age2 968.600717154 | - trt_karno 968.211212055 | - trt_age 967.3458044",
        "karno -0.0656266488647 age -0.209892775049 prior 0.210951412006 prior_karno -0.00365968078908"
        " karno_age 0.00068410635943 age2 0.00155247324168",
    ),
    ("backward", "aic", "breslow"): (
        "974.711616978 | - trt 972.815837708 | - diagtime 971.562462033 | - age2 970.585898767 | - diag2 970.54238193"
        " | - karno2 970.303901684",
        "karno -0.0500496552404 age -0.0672335825262 prior 0.178074681002 trt_karno -0.0155111076158"
        " trt_age 0.0177830989178 prior_karno -0.00311406721226 karno_age 0.000769945584997",
    ),
    ("both", "bic", "efron"): (
        "1007.25237897 | - trt 1002.49474122 | - diagtime 998.437832881 | - age2 994.547713424 | - diag2 991.641952941"
        " | - karno2 988.654985639 | - karno_age 986.027447599 | - karno 981.770392385 | - age 980.978777166"
        " | + trt 980.819716046 | - trt_age 975.969778297",
        "prior 0.198287105583 trt_karno -0.0168666818849 prior_karno -0.00351454992257 trt 1.16288041251",
    ),
    ("backward", "bic", "efron"): (
        "1007.25237897 | - trt 1002.49474122 | - diagtime 998.437832881 | - age2 994.547713424 | - diag2 991.641952941"
        " | - karno2 988.654985639 | - karno_age 986.027447599 | - karno 981.770392385 | - age 980.978777166",
        "prior 0.246708170373 trt_karno -0.0126792097085 trt_age 0.012197968631 prior_karno -0.0042285328793",
    ),
    ("forward", "bic", "breslow"): ("1011.76791257 | + karno 974.993728986", "karno -0.0332429367789"),
}
# The simulated patients, forward from the empty model among g01 .. g15 and g01 .. g40.
FORWARD_PATHS = {
    (15, "aic", "efron"): (
        "465.341844332 | + g03 450.14064598 | + g02 443.10237442 | + g10 437.200006496 | + g04 435.366138306"
        " | + g08 432.333671488 | + g01 431.679948157 | + g05 425.420666192",
        "g03 0.265907063627 g02 -0.38515480464 g10 0.360043264632 g04 0.130027511713 g08 -0.111444320482"
        " g01 0.270925092871 g05 -0.264076536572",
    ),
    (15, "aic", "breslow"): (
        "467.006737295 | + g03 452.39606317 | + g02 445.699112423 | + g10 440.342975318 | + g04 438.529079318"
        " | + g08 435.835919762 | + g01 435.295476407 | + g05 429.366290573",
        "g03 0.257026931856 g02 -0.370565814419 g10 0.340033916090 g04 0.130472026545 g08 -0.107249978626"
        " g01 0.264494607364 g05 -0.256175999521",
    ),
    (15, "bic", "efron"): (
        "465.341844332 | + g03 452.299529064 | + g02 447.420140584 | + g10 443.676655746",
        "g03 0.304797140128 g02 -0.351879384537 g10 0.302430962276",
    ),
    (40, "aic", "efron"): (
        "465.341844332 | + g03 450.14064598 | + g02 443.10237442 | + g10 437.200006496 | + g32 432.69953055"
        " | + g04 422.493346451 | + g01 419.105213554 | + g05 417.457353039 | + g33 417.1673167 | + g21 416.893564596",
        None,
    ),
}
# Workload W1: criteria of the last models, and what forward adds.
W1_CRITERION = {
    "backward": 938.623040387769,
    "both": 936.768266676583,
    "forward": 955.056957621594,
}
W1_FORWARD = "MPO SLC2A5 CHD1 JUN AREG MSLN TNNT1 STAT5B INSR NRXN2 SNX8 IGFBP5 MMP2 HOXA2 KYNU"


def golden(name):
    root = Path(__file__).resolve().parents[2]
    shared = Path(os.environ.get("AMLPROGNOSIS_SHARED", root.parent / "shared"))
    if not shared.exists():
        pytest.skip("no ../shared here; the veteran cohort above is compared everywhere")
    with open(shared / "golden" / f"{name}.csv", newline="") as handle:
        return list(csv.DictReader(handle))


def simulated(n_columns):
    rows = golden("data_sim100x40")
    frame = pd.DataFrame({name: [float(row[name]) for row in rows] for name in rows[0]})
    return frame[[f"g{j:02d}" for j in range(1, n_columns + 1)]], as_outcome(frame["time"], frame["status"])


def assert_same_path(model, frame, path, coefficients):
    expected = [step.rsplit(" ", 1) for step in f"start {path}".split(" | ")]
    assert [change for change, _ in model.trace_] == [change for change, _ in expected]
    np.testing.assert_allclose([value for _, value in model.trace_], [float(value) for _, value in expected], atol=2e-8)
    assert model.criterion_ == pytest.approx(model.trace_[-1][1], abs=1e-8)
    if coefficients is not None:
        parts = coefficients.split()
        by_name = dict(zip(parts[::2], map(float, parts[1::2]), strict=True))
        assert set(frame.columns[model.selected_]) == set(by_name)
        found = pd.Series(model.coef_, frame.columns)
        np.testing.assert_allclose(found[list(by_name)], list(by_name.values()), rtol=1e-6)
        assert (found.drop(list(by_name)) == 0).all()


@pytest.mark.parametrize(("direction", "criterion", "ties"), VETERAN_PATHS)
def test_veteran(direction, criterion, ties):
    model = StepCox(direction, criterion, ties).fit(VETERAN, as_outcome(TIME, EVENT))
    assert_same_path(model, VETERAN, *VETERAN_PATHS[direction, criterion, ties])
    assert model.notes_ == []


@pytest.mark.realdata
@pytest.mark.parametrize(("n_columns", "criterion", "ties"), FORWARD_PATHS)
def test_simulated_forward(n_columns, criterion, ties):
    x, y = simulated(n_columns)
    assert_same_path(StepCox("forward", criterion, ties).fit(x, y), x, *FORWARD_PATHS[n_columns, criterion, ties])


@pytest.mark.realdata
@pytest.mark.parametrize("ties", ["efron", "breslow"])
@pytest.mark.parametrize("direction", ["both", "backward"])
def test_simulated_golden_tables(direction, ties):
    x, y = simulated(15)
    model = StepCox(direction, "aic", ties).fit(x, y)

    def table(name):
        return [row for row in golden(name) if row["direction"] == direction and row["ties"] == ties]

    path = " | ".join(f"{row['change']} {row['aic']}".strip() for row in table("step_aic_trace"))
    selected = table("step_aic_selected")
    assert_same_path(model, x, path, " ".join(f"{row['var']} {row['coef']}" for row in selected))
    assert model.criterion_ == pytest.approx(float(selected[0]["aic"]), abs=1e-8)


@pytest.mark.realdata
@pytest.mark.parametrize("direction", ["both", "backward", "forward"])
def test_real_data_keep_the_genes_that_r_keeps(direction):
    rows = golden("w1_tcga_84genes")
    frame = pd.DataFrame({name: [float(row[name]) for row in rows] for name in rows[0]})
    genes = frame.drop(columns=["OS.time", "OS"])
    model = StepCox(direction).fit(genes, as_outcome(frame["OS.time"], frame["OS"]))
    assert model.notes_ == []
    assert model.criterion_ == pytest.approx(W1_CRITERION[direction], abs=1e-8)
    if direction == "forward":
        assert [change.removeprefix("+ ") for change, _ in model.trace_[1:]] == W1_FORWARD.split()
        return
    kept = {row["sel"]: row["genes"].split() for row in golden("w1_selected_genes")}[f"StepCox[{direction}]"]
    assert len(kept) == {"both": 42, "backward": 43}[direction]
    assert set(genes.columns[model.selected_]) == set(kept)
