"""The flow of patients counts everyone once, in the order in which they are left out."""

from __future__ import annotations

import numpy as np
import pandas as pd
from anndata import AnnData
from report_factory import make_study

from amlprognosis.normalize.duplicates import COPIED, SHARED
from amlprognosis.report.describe import cohort_tables
from amlprognosis.report.flow_figures import figure_flow
from amlprognosis.report.theme import Tables, specification

REASONS = [
    SHARED, "overall survival time zero", "promyelocytic leukaemia", "no clinical data", COPIED,
    "further sample of a patient", "overall survival status missing", "overall survival status missing",
]  # fmt: skip


def cohort(reasons: list[str]) -> AnnData:
    rng = np.random.default_rng(2)
    names = [f"P{k}" for k in range(20)]
    obs = pd.DataFrame({"os_time": rng.uniform(100, 2000, 20), "os_event": np.arange(20) % 2 == 0}, index=names)
    made = AnnData(X=np.ones((20, 2), dtype=np.float32), obs=obs, var=pd.DataFrame(index=["A", "B"]))
    made.uns["exclusions"] = pd.DataFrame({"patient": [f"X{k}" for k in range(len(reasons))], "reason": reasons})
    made.uns["provenance"] = made.uns["preprocessing"] = "[]"
    made.uns["provenance"] = '[{"path": "a", "date": "2026-01-01"}]'
    return made


def test_flow_counts_down_in_the_order_of_the_steps() -> None:
    cohorts = make_study().model_dump(mode="json", exclude_unset=True)["cohorts"]
    rule = {"column": "fab", "values": ["M3"], "reason": "promyelocytic leukaemia"}
    cohorts["array"]["clinical"]["exclude"] = [rule]
    study = make_study(cohorts=cohorts)
    tables = cohort_tables(study, {"train": cohort([]), "array": cohort(REASONS), "rnaseq": cohort(["strange"])})
    flow = tables["flow"][tables["flow"]["cohort"] == "array"]
    assert list(flow["reason"].iloc[1:-1]) == [
        "further sample of a patient", "no clinical data", "promyelocytic leukaemia",
        "overall survival status missing", "overall survival time zero", COPIED, SHARED,
    ]  # fmt: skip
    assert list(flow["remaining"]) == [28, 27, 26, 25, 23, 22, 21, 20, 20]
    assert (flow["remaining"].shift() - flow["patients"]).iloc[1:-1].eq(flow["remaining"].iloc[1:-1]).all()
    shown = Tables(tables, study)
    for name, role, left_out in (("train", "Training", 0), ("array", "Validation, locked", 7), ("rnaseq", "", 1)):
        panel = figure_flow(shown, study, name)
        text = str(specification(panel))
        assert role in text
        assert "10 deaths" in text
        assert panel.alt_text.count("left out") == left_out
        assert panel.alt_text.endswith("20 analysed with 10 deaths.")
