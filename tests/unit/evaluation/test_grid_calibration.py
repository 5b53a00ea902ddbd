"""Survival curves of the grid's members: set by patients who had no part in screen, selection and fit."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from evaluation_helpers import make_world

from amlprognosis.evaluation.crossvalidate import structured_outcome
from amlprognosis.evaluation.freeze import freeze_all
from amlprognosis.evaluation.grid import crossvalidate_grid
from amlprognosis.evaluation.inner_runs import run_inner_folds
from amlprognosis.evaluation.leakage import held_out_influence
from amlprognosis.evaluation.survival import fit_cox
from amlprognosis.models.base import as_outcome
from amlprognosis.models.combination import UNCALIBRATED
from amlprognosis.models.kaplan_meier import kaplan_meier
from amlprognosis.models.learners.base import NO_SIGNAL
from amlprognosis.models.persistence import load_model
from amlprognosis.models.registry import make_model
from amlprognosis.study import load_study

MEMBERS = ["StepCox[backward]", "Lasso + RSF", "CoxBoost + GBM", "Ridge"]
FEW = {family: {"n_folds": 3} for family in ("Lasso", "Ridge")}
FEW |= {
    "CoxBoost": {"n_steps": 8, "penalty": 50.0},
    "RSF": {"n_estimators": 30},
    "GBM": {"max_trees": 30, "n_folds": 3},
}
DAYS = np.array([200.0, 730.5, 1500.0])


def make(name: str, seed: int) -> object:
    return make_model(name, {"parameters": FEW, "max_genes": 40}, seed)


def draw(n: int, seed: int, effect: float, genes: int = 80) -> tuple[pd.DataFrame, np.ndarray]:
    """Patients whose first three genes matter, if the effect is not 0."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n, genes))
    death = rng.exponential(1200 * np.exp(-effect * values[:, :3].sum(axis=1))) + 1
    censored = rng.uniform(700, 4000, n)
    frame = pd.DataFrame(
        values, columns=[f"expression:G{j}" for j in range(genes)], index=[f"P{i:04d}" for i in range(n)]
    )
    return frame, as_outcome(np.minimum(death, censored), death <= censored)


def fitted(frame: pd.DataFrame, y: np.ndarray, calibrated: bool = True) -> dict:
    bench = make(MEMBERS[0], 3).workbench(frame, y, 3)
    models = {name: make(name, 5).fit(frame, y, bench) for name in MEMBERS}
    if calibrated:
        run_inner_folds(frame, y, MEMBERS, make, (1, 0, 0), 5).calibrate(models)
    return models


def slope(model, frame: pd.DataFrame, y: np.ndarray) -> float:
    predicted = model.predict_survival(frame, [730.5])[:, 0]
    return float(fit_cox(np.log(-np.log(np.clip(predicted, 1e-4, 1 - 1e-4))), y["time"], y["event"]).coef[0])


@pytest.fixture(scope="module")
def signal():
    frame, y = draw(160, 1, 0.45)
    return frame, y, fitted(frame, y)


def test_new_patients_find_the_curves_calibrated():
    new, y_new = draw(1000, 99, 0.3)
    alive = kaplan_meier(y_new["time"], y_new["event"]).at(DAYS)
    before, after = [], []
    for seed in range(1, 6):
        frame, y = draw(160, seed, 0.3)
        before.append([slope(model, new, y_new) for model in fitted(frame, y, False).values()])
        models = fitted(frame, y)
        after.append([slope(model, new, y_new) for model in models.values()])
        for model in models.values():
            np.testing.assert_allclose(model.predict_survival(new, DAYS).mean(axis=0), alive, atol=0.12)
    assert (np.median(before, axis=0) < 0.8).all(), before
    after = np.median(after, axis=0)
    assert ((after > 0.75) & (after < 1.35)).all(), after


def test_on_noise_everybody_has_nearly_the_same_curve():
    frame, y = draw(120, 7, 0.0)
    before, after = fitted(frame, y, False), fitted(frame, y)
    new, _ = draw(200, 8, 0.0)
    for name in MEMBERS:
        spread = [models[name].predict_survival(new, [730.5]).std() for models in (before, after)]
        assert spread[1] < 0.5 * spread[0], name
        np.testing.assert_array_equal(before[name].predict(new), after[name].predict(new))
        assert before[name].cutpoint_ == after[name].cutpoint_


def test_curves_fall_and_stay_within_0_and_1(signal):
    frame, _, models = signal
    days = np.arange(0.0, 4500.0, 50.0)
    for power in (0.0, 0.6, 2.5):
        forest = models["Lasso + RSF"]
        kept, forest.lp_slope_ = forest.lp_slope_, power
        curves = forest.predict_survival(frame, days)
        forest.lp_slope_ = kept
        assert (np.diff(curves, axis=1) <= 0).all()
        assert (curves[:, 0] == 1.0).all()
        assert ((curves >= 0) & (curves <= 1)).all()
        assert (np.ptp(curves, axis=0).max() == 0) == (power == 0)
    backwards = models["Lasso + RSF"].predict_survival(frame, days[::-1])
    np.testing.assert_array_equal(backwards[:, ::-1], models["Lasso + RSF"].predict_survival(frame, days))


def test_notes_tell_what_the_curves_rest_on(signal):
    frame, y, models = signal
    assert all(UNCALIBRATED not in model.notes_ for model in models.values())
    alone = make("Ridge", 5).fit(frame, y)
    assert UNCALIBRATED in alone.notes_
    for score in (np.full(len(y), np.nan), -alone.curve_score(frame, alone.predict(frame))):
        alone.calibrate(score, y[np.argsort(frame.index)])
        assert alone.notes_.count(NO_SIGNAL) == 1
        assert UNCALIBRATED not in alone.notes_
        assert np.ptp(alone.predict_survival(frame, DAYS), axis=0).max() == 0
        expected = kaplan_meier(y["time"], y["event"]).at(DAYS)
        np.testing.assert_allclose(alone.predict_survival(frame.iloc[:1], DAYS)[0], expected, atol=0.02)


def test_calibration_leaves_risks_groups_and_pairs_alone():
    features, outcome, folds = make_world(90, 30, seed=4)
    some = folds.query("repeat == 1 and fold <= 2")
    bare, calibrated = (
        crossvalidate_grid(features, outcome, some, MEMBERS, make, 1, [2], 5, inner_folds=count).outer.predictions
        for count in (0, 3)
    )
    keys = ["model", "fold", "patient", "risk", "risk_group"]
    pd.testing.assert_frame_equal(bare[keys], calibrated[keys])
    assert not bare["survival_2y"].equals(calibrated["survival_2y"])


def test_the_curves_do_not_see_the_held_out_patients():
    features, outcome, folds = make_world(90, 30, seed=4)

    def procedure(x, y, part):
        own = part[part["fold"] == 1]
        found = crossvalidate_grid(x, y, own, MEMBERS[:2], make, 1, [2], 0, inner_folds=3).outer.predictions
        return found.assign(risk=found["survival_2y"])

    found = held_out_influence(procedure, features, outcome, folds.query("repeat == 1"), fold=1, draws=1)
    assert (found.outcome, found.features, found.planted) == (0.0, 0.0, 0.0)


def test_frozen_members_are_calibrated_whatever_the_threads(tmp_path):
    features, outcome, _ = make_world(90, 30, seed=4)
    cohort = {
        "role": "training",
        "source": {"type": "tables", "expression": "e", "scale": "log2", "clinical": "c", "clinical_id": "id"},
        "clinical": {"os_time": {"column": "t", "unit": "days"}, "os_event": {"column": "e"}},
    }
    members = ["StepCox[backward]", "CoxBoost + RSF"]
    study = load_study(
        {"study": "t", "title": "t", "cohorts": {"T": cohort}, "models": {"run": ["gene_index", *members]}}
    )
    for jobs in (1, 2):
        freeze_all(study, members, make, features, outcome, tmp_path / str(jobs), jobs)
    for folder in ("StepCox-backward", "CoxBoost__RSF"):
        one, two = (tmp_path / jobs / folder for jobs in "12")
        assert (one / "model.json").read_bytes() == (two / "model.json").read_bytes()
        model = load_model(one)
        assert UNCALIBRATED not in model.notes_
        assert hasattr(model, "baseline_hazard_")
        live = make(model.name, model.random_state)
        live.fit(features, structured_outcome(outcome), live.workbench(features, structured_outcome(outcome), 1))
        assert not np.allclose(model.predict_survival(features, DAYS), live.predict_survival(features, DAYS))
