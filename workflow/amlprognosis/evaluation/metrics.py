"""All metrics of one model in one cohort, with bootstrap replicates.

See :mod:`amlprognosis.evaluation.pairs` for the IPCW convention. The bootstrap draws patients and keeps their
(out-of-fold or validation) predictions: it shows the uncertainty of evaluating on this many patients, not that
of fitting the model on other ones.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from amlprognosis.errors import InputError
from amlprognosis.evaluation.pairs import (
    auc_pairs,
    bootstrap_weights,
    case_weights,
    comparable_pairs,
    comparison_matrices,
    quadratic,
    uno_weights,
)
from amlprognosis.models.kaplan_meier import KaplanMeier, censoring_curve
from amlprognosis.study import DAYS_PER_YEAR, horizon_suffix

FEW_AT_RISK = 10
_SURVIVAL = re.compile(r"^survival_(\d+(?:\.\d+)?)(y|d)$")


def survival_columns(columns: Sequence[str]) -> dict[str, float]:
    """Columns ``survival_<a>y`` and ``survival_<b>d`` with their time in days, by increasing time."""
    found = {}
    for column in columns:
        match = _SURVIVAL.match(str(column))
        if match:
            found[str(column)] = float(match[1]) * (DAYS_PER_YEAR if match[2] == "y" else 1.0)
    return dict(sorted(found.items(), key=lambda item: (item[1], item[0])))


@dataclass(frozen=True)
class Sheet:
    """The predictions of one model as arrays.

    Attributes
    ----------
    score : ndarray, shape (repeats, n)
    block : ndarray of int, shape (repeats, n)
        Fold, or -1 where the patient has no prediction in that repeat.
    survival : ndarray, shape (repeats, n, t)
    times : ndarray, shape (t,)
        Days of the survival predictions.
    """

    score: np.ndarray
    block: np.ndarray
    survival: np.ndarray
    times: np.ndarray

    @property
    def available(self) -> np.ndarray:
        """Patients with at least one prediction, shape (n,) bool."""
        return np.any(self.block >= 0, axis=0)

    def mean_survival(self, time: float) -> np.ndarray:
        """Mean predicted S(t) over the repeats, shape (n,); NaN where there is none."""
        index = np.flatnonzero(np.isclose(self.times, time, rtol=0, atol=0.01))
        if not len(index):
            return np.full(self.block.shape[1], np.nan)
        return _mean_over_repeats(self.survival[:, :, index[0]])

    def restricted(self, block: np.ndarray) -> Sheet:
        """Only the predictions that ``block`` (of another model) has too."""
        both = np.where(block >= 0, self.block, -1)
        survival = np.where((both >= 0)[:, :, None], self.survival, np.nan)
        return Sheet(self.score, both, survival, self.times)


def _mean_over_repeats(values: np.ndarray) -> np.ndarray:
    known = np.isfinite(values)
    count = known.sum(0)
    total = np.where(known, values, 0.0).sum(0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def sheet_from_predictions(predictions: pd.DataFrame, patients: Sequence[str]) -> Sheet:
    """Arrange the long table of one model by repeat and patient.

    Parameters
    ----------
    predictions : DataFrame
        patient, risk and, where they exist, repeat, fold, survival_* (one model, one cohort).
    patients : sequence of str, length n
        The order of the patients.

    Raises
    ------
    InputError
        Unknown patients, a patient twice in a repeat, an infinite risk.
    """
    table = predictions.assign(
        repeat=predictions.get("repeat", 1),
        fold=predictions.get("fold", 0),
    )
    position = pd.Index(list(patients)).get_indexer(table["patient"].astype(str))
    if (position < 0).any():
        name = table["patient"].iloc[int(np.flatnonzero(position < 0)[0])]
        raise InputError(f"prediction for patient {name}, who is not in the outcome table of the cohort")
    twice = table.duplicated(["repeat", "patient"])
    if twice.any():
        row = table[twice].iloc[0]
        raise InputError(f"patient {row['patient']} is predicted twice in repeat {row['repeat']}")
    risk = table["risk"].to_numpy(dtype=float)
    if np.isinf(risk).any():
        raise InputError("a predicted risk is infinite; the model has to return finite numbers")
    columns = survival_columns(list(table.columns))
    repeats, row = np.unique(table["repeat"].to_numpy(), return_inverse=True)
    shape = (len(repeats), len(patients))
    score, block = np.zeros(shape), np.full(shape, -1)
    survival = np.full((*shape, len(columns)), np.nan)
    score[row, position] = np.nan_to_num(risk)
    block[row, position] = np.where(np.isnan(risk), -1, table["fold"].to_numpy(dtype=int))
    survival[row, position] = table[list(columns)].to_numpy(dtype=float)
    survival[block < 0] = np.nan
    return Sheet(score, block, survival, np.array(list(columns.values())))


@dataclass
class Design:
    """What all models of a cohort share: outcome, IPCW, pair weights and bootstrap counts.

    Parameters
    ----------
    time, event : ndarray, shape (n,)
    horizons_years : sequence of float
    n_boot : int
        0 gives estimates without intervals.
    seed : int
    tau : float, optional
        Truncation of Uno's C in days; default: the last horizon.
    censoring : KaplanMeier, optional
        Another censoring curve than that of these patients.

    Attributes
    ----------
    ipcw : KaplanMeier
        The censoring curve that the weights come from.
    """

    time: np.ndarray
    event: np.ndarray
    horizons_years: Sequence[float]
    n_boot: int
    seed: int
    tau: float | None = None
    censoring: KaplanMeier | None = None
    ipcw: KaplanMeier = field(init=False, repr=False)
    reasons: dict[str, str] = field(default_factory=dict, init=False)
    _denominators: dict = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        """Precompute the pair weights."""
        self.time = np.asarray(self.time, dtype=float)
        self.event = np.asarray(self.event, dtype=bool)
        self.ipcw = censoring_curve(self.time, self.event) if self.censoring is None else self.censoring
        self.censoring = self.ipcw
        days = {horizon_suffix(y): y * DAYS_PER_YEAR for y in sorted(self.horizons_years)}
        self.days = days
        tau = self.tau if self.tau is not None else max(days.values())
        comparable = comparable_pairs(self.time, self.event)
        self.pairs: dict[str, np.ndarray] = {
            "c_harrell": comparable.astype(float),
            "c_uno": uno_weights(self.time, self.event, self.ipcw, tau)[:, None] * comparable,
        }
        for suffix, day in days.items():
            reason = self.unusable(day)
            if reason:
                self.reasons[suffix] = f"no metrics at {suffix}: {reason}"
                continue
            left = int((self.time > day).sum())
            if left < FEW_AT_RISK:
                self.reasons[suffix] = f"only {left} patients followed past {suffix}"
            self.pairs[f"auc_{suffix}"] = auc_pairs(self.time, self.event, self.ipcw, day)
        n = len(self.time)
        self.weights = np.vstack([np.ones((1, n)), bootstrap_weights(n, self.n_boot, self.seed)])

    def unusable(self, day: float) -> str | None:
        """Why nothing can be said at a time, or None."""
        if not (self.time > day).any():
            return f"no patient is followed past {day:g} days (last follow-up {self.time.max():g})"
        if not (self.event & (self.time <= day)).any():
            return f"no event by {day:g} days"
        if float(self.ipcw.at(day)) <= 0:
            return f"all patients are censored by {day:g} days"
        return None

    def denominator(self, name: str, block: np.ndarray, together: np.ndarray) -> np.ndarray:
        """Replicates of a denominator; models predicted for the same patients share it."""
        key = (name, block.shape, block.tobytes())
        if key not in self._denominators:
            self._denominators[key] = quadratic(self.pairs[name] * together, self.weights)
        return self._denominators[key]


@dataclass
class Result:
    """Metrics of one model: ``values[metric]`` has shape (1 + n_boot,), the estimate first."""

    values: dict[str, np.ndarray]
    notes: list[str]

    def estimate(self, metric: str) -> float:
        """The estimate, NaN where it has none."""
        return float(self.values[metric][0]) if metric in self.values else np.nan

    def interval(self, metric: str) -> tuple[float, float]:
        """95% percentile interval; NaN without replicates."""
        return percentile_interval(self.values[metric]) if metric in self.values else (np.nan, np.nan)


def percentile_interval(values: np.ndarray) -> tuple[float, float]:
    """2.5% and 97.5% quantiles of the replicates (all but the first entry); NaN unless the estimate exists."""
    replicates = values[1:][np.isfinite(values[1:])]
    if not len(replicates) or not np.isfinite(values[0]):
        return np.nan, np.nan
    low, high = np.quantile(replicates, [0.025, 0.975])
    return float(low), float(high)


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    positive = denominator > 0
    return np.where(positive, numerator / np.where(positive, denominator, 1.0), np.nan)


def brier_terms(
    survival: np.ndarray, time: np.ndarray, event: np.ndarray, censoring: KaplanMeier, day: float
) -> np.ndarray:
    """IPCW squared error of each predicted S(t), shape as ``survival`` (..., n).

    Graf's estimator: a death by t adds S^2 / G(T-), a patient alive past t (1 - S)^2 / G(t), a patient
    censored before t nothing. The mean over patients is the Brier score.

    References
    ----------
    Graf et al., Stat Med 1999, doi:10.1002/(SICI)1097-0258(19990915/30)18:17/18<2529::AID-SIM274>3.0.CO;2-5
    """
    dead = case_weights(time, event, censoring, day)
    alive = np.where(time > day, 1.0 / float(censoring.at(day)), 0.0)
    return dead * survival**2 + alive * (1.0 - survival) ** 2


def null_brier(design: Design, day: float, weights: np.ndarray) -> np.ndarray:
    """Brier score of the (weighted) Kaplan-Meier curve of the same patients, shape (b,).

    With p the IPCW share of deaths by t and q that of patients alive past t, the Kaplan-Meier estimate is
    S = q / (p + q) and its Brier score p S^2 + q (1 - S)^2 = p q / (p + q); p + q = 1 for the unweighted cohort.
    """
    dead = case_weights(design.time, design.event, design.ipcw, day)
    alive = np.where(design.time > day, 1.0 / float(design.ipcw.at(day)), 0.0)
    total = weights.sum(1)
    p, q = _ratio(weights @ dead, total), _ratio(weights @ alive, total)
    return _ratio(p * q, p + q)


def evaluate(sheet: Sheet, design: Design) -> Result:
    """Compute every metric of one model and its bootstrap replicates.

    Returns
    -------
    Result
        c_harrell, c_uno, auc_<h>, brier_<h>, ipa_<h>, ibs, ibs_reference. A metric that cannot be computed is
        NaN and the notes say why. AUC and C use the risk as it is, the Brier score the predicted S(t). Out of
        fold, the squared error of a patient is the mean over the repeats. The integrated Brier score is the
        trapezoid over the predicted times, from B(0) = 0 to the last usable horizon, divided by that time.
    """
    notes = [design.reasons[s] for s in design.days if s in design.reasons]
    values: dict[str, np.ndarray] = {}
    undefined = np.full(len(design.weights), np.nan)
    higher, together = comparison_matrices(sheet.score, sheet.block)
    for name in ["c_harrell", "c_uno", *[f"auc_{s}" for s in design.days]]:
        if name not in design.pairs:
            values[name] = undefined
            continue
        denominator = design.denominator(name, sheet.block, together)
        values[name] = _ratio(quadratic(design.pairs[name] * higher, design.weights), denominator)
        if not denominator[0] > 0:
            notes.append(f"{name}: no comparable pair of patients")
    missing = int((~sheet.available).sum())
    if missing:
        notes.append(f"no prediction for {missing} of {len(sheet.available)} patients")
    partly = int((sheet.block < 0).sum() - missing * sheet.block.shape[0])
    if partly:
        notes.append(f"{partly} predictions are missing in single repeats")
    _add_brier(sheet, design, values, notes)
    lost = max((int((~np.isfinite(v[1:])).sum()) for v in values.values() if np.isfinite(v[0])), default=0)
    if lost:
        notes.append(f"{lost} bootstrap replicates without comparable patients left out")
    return Result(values, notes)


def _brier_at(sheet: Sheet, design: Design, index: int, day: float) -> tuple[np.ndarray, np.ndarray] | None:
    """Replicates of the Brier score and of its Kaplan-Meier reference on the same patients."""
    known = np.isfinite(sheet.survival[:, :, index])
    if not known.any():
        return None
    terms = brier_terms(sheet.survival[:, :, index], design.time, design.event, design.ipcw, day)
    mean = _mean_over_repeats(np.where(known, terms, np.nan))
    weights = design.weights * np.isfinite(mean)
    model = _ratio(weights @ np.nan_to_num(mean), weights.sum(1))
    return model, null_brier(design, day, weights)


def _add_brier(sheet: Sheet, design: Design, values: dict[str, np.ndarray], notes: list[str]) -> None:
    undefined = np.full(len(design.weights), np.nan)
    silent = []
    for suffix, day in design.days.items():
        values[f"brier_{suffix}"] = values[f"ipa_{suffix}"] = undefined
        if design.unusable(day):
            continue
        index = np.flatnonzero(np.isclose(sheet.times, day, rtol=0, atol=0.01))
        scores = _brier_at(sheet, design, int(index[0]), day) if len(index) else None
        if scores is None:
            silent.append(suffix)
            continue
        model, reference = scores
        values[f"brier_{suffix}"] = model
        values[f"ipa_{suffix}"] = 1.0 - _ratio(model, reference)
    if silent:
        notes.append(f"no predicted survival at {', '.join(silent)}")
    values["ibs"] = values["ibs_reference"] = undefined
    last = max(design.days.values())
    usable = [
        (k, day)
        for k, day in enumerate(sheet.times)
        if day <= last + 0.01
        and (design.time > day).any()
        and float(design.ipcw.at(day)) > 0
        and (k == 0 or day - sheet.times[k - 1] > 0.01)
    ]
    if len(usable) < 2:
        notes.append("no integrated Brier score: fewer than two usable times")
        return
    curves = [pair for k, day in usable if (pair := _brier_at(sheet, design, k, day)) is not None]
    if len(curves) < len(usable):
        notes.append("no integrated Brier score: the model predicts no survival curve")
        return
    grid = np.array([0.0, *[day for _, day in usable]])
    if grid[-1] < last - 0.01:
        notes.append(f"Brier score integrated to {grid[-1]:g} days only")
    zero = np.zeros(len(design.weights))
    for name, column in (("ibs", 0), ("ibs_reference", 1)):
        stack = np.stack([zero, *[curve[column] for curve in curves]])
        values[name] = np.trapezoid(stack, grid, axis=0) / grid[-1]


def concordance(time: np.ndarray, event: np.ndarray, risk: np.ndarray) -> float:
    """Harrell's C of one score (higher = earlier death); NaN without a comparable pair."""
    risk = np.asarray(risk, dtype=float)
    higher, together = comparison_matrices(risk[None], np.zeros((1, len(risk)), dtype=int))
    pairs = comparable_pairs(np.asarray(time, dtype=float), np.asarray(event, dtype=bool))
    return float(_ratio(np.array((pairs * higher).sum()), np.array((pairs * together).sum())))


def blocked_concordance(time: np.ndarray, event: np.ndarray, sheet: Sheet) -> float:
    """Harrell's C over the pairs held out together, summed over repeats; NaN without such a pair."""
    higher, together = comparison_matrices(sheet.score, sheet.block)
    pairs = comparable_pairs(np.asarray(time, dtype=float), np.asarray(event, dtype=bool))
    return float(_ratio(np.array((pairs * higher).sum()), np.array((pairs * together).sum())))
