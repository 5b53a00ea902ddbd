"""Performance of the reported models within sex, age and risk groups, to see whether all are served alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from amlprognosis.cohort import RISKS, SEXES
from amlprognosis.evaluation.metrics import percentile_interval
from amlprognosis.evaluation.pairs import bootstrap_weights, comparable_pairs, comparison_matrices, quadratic
from amlprognosis.evaluation.sheets import Sheet, sheet_from_predictions
from amlprognosis.study import DAYS_PER_YEAR, Study

OLDER = 60.0
FEW_EVENTS = 10
UNRECORDED = "not recorded"
COLUMNS = [
    "cohort", "adaptation", "model", "subgroup", "level", "patients", "events",
    "c_harrell", "c_harrell_low", "c_harrell_high", "oe", "oe_low", "oe_high", "note",
]  # fmt: skip


def subgroup_table(
    study: Study,
    predictions: pd.DataFrame,
    validated: pd.DataFrame,
    clinical: Mapping[str, pd.DataFrame],
) -> pd.DataFrame:
    """Harrell's C and observed over expected deaths of each reported model within subgroups.

    Parameters
    ----------
    study : Study
    predictions : DataFrame
        Out-of-fold predictions of the training cohort: model, repeat, fold, patient, risk, survival columns.
    validated : DataFrame
        Predictions of the frozen models for validation cohorts, with cohort and adaptation (no rows without any).
    clinical : mapping of cohort to DataFrame
        ``obs`` of every cohort: os_time (days), os_event and, where known, age, sex, risk.

    Returns
    -------
    DataFrame
        cohort, adaptation (empty in cross-validation), model, subgroup (all, age, sex, risk), level, patients,
        events, C and O/E at the main horizon with 95% bootstrap intervals over the patients of the subgroup, note. A
        subgroup with fewer than 10 deaths has no figures. Out of fold only patients held out together are compared,
        and O/E is the geometric mean over the repeats.
    """
    rows: list[dict[str, object]] = []
    for cohort, model, part, adaptation in _parts(study, predictions, validated):
        obs = clinical[cohort].rename(index=str).sort_index()
        sheet = sheet_from_predictions(part, list(obs.index))
        head = {"cohort": cohort, "adaptation": adaptation, "model": model}
        for subgroup, level, member in subgroups(obs):
            figures = _figures(study, sheet, obs, member & sheet.available)
            if level == UNRECORDED:
                figures["note"] = f"the cohort records no {subgroup}"
            rows.append({**head, "subgroup": subgroup, "level": level, **figures})
    return pd.DataFrame(rows, columns=COLUMNS)


def _parts(
    study: Study, predictions: pd.DataFrame, validated: pd.DataFrame
) -> Iterator[tuple[str, str, pd.DataFrame, str]]:
    """Cohort, model, predictions and adaptation; of several adaptations the first that the model has."""
    reported = [model for model in study.evaluation.report_models if model in study.models.run]
    for model in reported:
        part = predictions[predictions["model"] == model]
        if len(part):
            yield study.training, model, part, ""
    for cohort in study.validation if len(validated) else []:
        own = validated[validated["cohort"] == cohort]
        for model in reported:
            part = own[own["model"] == model]
            # A model without expression is not adapted, whatever the cohort asks for.
            for adaptation in (study.cohorts[cohort].adaptation[0], "none"):
                chosen = part[part["adaptation"] == adaptation]
                if len(chosen):
                    yield cohort, model, chosen, adaptation
                    break


def subgroups(obs: pd.DataFrame) -> Iterator[tuple[str, str, np.ndarray]]:
    """Subgroup, level and its patients (n,) bool; a variable that nobody has gives one empty level."""
    everyone = np.ones(len(obs), dtype=bool)
    yield "all", "all", everyone
    age = pd.to_numeric(obs["age"]).to_numpy(dtype=float) if "age" in obs else np.full(len(obs), np.nan)
    ages = {f"below {OLDER:g}": age < OLDER, f"{OLDER:g} and above": age >= OLDER}
    yield from _levels("age", ages)
    for name, levels in (("sex", SEXES), ("risk", RISKS)):
        text = obs[name].astype(object).to_numpy() if name in obs else np.full(len(obs), None)
        yield from _levels(name, {level: text == level for level in levels})


def _levels(subgroup: str, members: dict[str, np.ndarray]) -> Iterator[tuple[str, str, np.ndarray]]:
    known = np.any(list(members.values()), axis=0)
    if not known.any():
        yield subgroup, UNRECORDED, known
        return
    for level, member in members.items():
        yield subgroup, level, member
    if not known.all():
        yield subgroup, "unknown", ~known


def _figures(study: Study, sheet: Sheet, obs: pd.DataFrame, member: np.ndarray) -> dict[str, object]:
    """Sizes, C, O/E and the note of one subgroup."""
    time, event = obs["os_time"].to_numpy(float)[member], obs["os_event"].to_numpy(bool)[member]
    cells: dict[str, object] = {"patients": int(member.sum()), "events": int(event.sum())}
    cells |= dict.fromkeys(COLUMNS[7:-1], np.nan)
    if not member.any():
        return {**cells, "note": "no such patient has a prediction"}
    if event.sum() < FEW_EVENTS:
        return {**cells, "note": f"fewer than {FEW_EVENTS} deaths: no figures"}
    judged = study.evaluation
    draws = bootstrap_weights(len(time), judged.bootstrap, study.seed)
    weights = np.vstack([np.ones((1, len(time))), draws])
    notes = []
    c_index = _concordance(sheet.score[:, member], sheet.block[:, member], time, event, weights)
    if np.isnan(c_index[0]):
        notes.append("no comparable pair of patients")
    day = judged.main_horizon_years * DAYS_PER_YEAR
    survival = sheet.survival_at(day)
    ratio = np.full(len(weights), np.nan)
    if survival is None:
        notes.append(f"no predicted survival at {judged.main_horizon_years:g}y")
    elif not (time > day).any() or not (event & (time <= day)).any():
        notes.append(f"nobody followed past {judged.main_horizon_years:g}y, or no death before")
    else:
        ratio = observed_over_expected(survival[:, member], time, event, weights, day)
    for name, values in (("c_harrell", c_index), ("oe", ratio)):
        cells[name] = values[0]
        cells[f"{name}_low"], cells[f"{name}_high"] = percentile_interval(values)
    return {**cells, "note": "; ".join(notes)}


def _concordance(
    score: np.ndarray, block: np.ndarray, time: np.ndarray, event: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Harrell's C per row of weights (b, n), NaN without a comparable pair."""
    higher, together = comparison_matrices(score, block)
    pairs = comparable_pairs(time, event)
    among = quadratic(pairs * together, weights)
    return np.where(among > 0, quadratic(pairs * higher, weights) / np.where(among > 0, among, 1.0), np.nan)


def observed_over_expected(
    survival: np.ndarray, time: np.ndarray, event: np.ndarray, weights: np.ndarray, day: float
) -> np.ndarray:
    """Kaplan-Meier risk over mean predicted risk of death by ``day``, per row of weights.

    Parameters
    ----------
    survival : ndarray, shape (repeats, n)
        Predicted S(day); NaN where there is none.
    time, event : ndarray, shape (n,)
    weights : ndarray, shape (b, n)
    day : float

    Returns
    -------
    ndarray, shape (b,)
        Geometric mean over the repeats; NaN where a draw has no death by ``day``.
    """
    logs = []
    for row in survival:
        known = np.flatnonzero(np.isfinite(row))
        # Deaths before censorings at equal times; tied deaths one after the other give the same product.
        order = known[np.lexsort((~event[known], time[known]))]
        drawn = weights[:, order]
        at_risk = np.cumsum(drawn[:, ::-1], axis=1)[:, ::-1]
        dying = drawn * (event[order] & (time[order] <= day))
        observed = 1.0 - np.prod(1.0 - dying / np.where(at_risk > 0, at_risk, 1.0), axis=1)
        total = drawn.sum(axis=1)
        expected = drawn @ (1.0 - row[order]) / np.where(total > 0, total, 1.0)
        defined = (observed > 0) & (expected > 0)
        ratio = np.where(defined, observed, 1.0) / np.where(defined, expected, 1.0)
        logs.append(np.where(defined, np.log(ratio), np.nan))
    return np.exp(np.mean(logs, axis=0))
