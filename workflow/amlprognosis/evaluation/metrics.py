"""All metrics of one model in one cohort, with bootstrap replicates.

See :mod:`amlprognosis.evaluation.pairs` for the IPCW convention. The bootstrap draws patients and keeps their
(out-of-fold or validation) predictions: it shows the uncertainty of evaluating on this many patients, not that
of fitting the model on other ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from amlprognosis.evaluation.calibration import CALIBRATION, calibration_values
from amlprognosis.evaluation.d_calibration import d_calibration
from amlprognosis.evaluation.net_benefit import net_benefit_values
from amlprognosis.evaluation.pairs import (
    auc_pairs,
    bootstrap_weights,
    case_weights,
    comparable_pairs,
    comparison_matrices,
    quadratic,
    uno_weights,
)
from amlprognosis.evaluation.restricted_mean import restricted_mean_values
from amlprognosis.evaluation.sheets import Sheet, mean_over_repeats
from amlprognosis.models.kaplan_meier import KaplanMeier, censoring_curve
from amlprognosis.study import DAYS_PER_YEAR, horizon_suffix

FEW_AT_RISK = 10


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
    main_horizon_years : float, optional
        Of calibration and net benefit; default the middle horizon.
    decision_threshold : float
        Risk of death at the main horizon from which one would act: net benefit.

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
    main_horizon_years: float | None = None
    decision_threshold: float = 0.5
    ipcw: KaplanMeier = field(init=False, repr=False)
    reasons: dict[str, str] = field(default_factory=dict, init=False)
    _shared: dict = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        """Precompute the pair weights."""
        self.time = np.asarray(self.time, dtype=float)
        self.event = np.asarray(self.event, dtype=bool)
        self.ipcw = censoring_curve(self.time, self.event) if self.censoring is None else self.censoring
        self.censoring = self.ipcw
        days = {horizon_suffix(y): y * DAYS_PER_YEAR for y in sorted(self.horizons_years)}
        self.days = days
        if self.main_horizon_years is None:
            self.main_horizon_years = sorted(self.horizons_years)[len(self.horizons_years) // 2]
        self.main_day = self.main_horizon_years * DAYS_PER_YEAR
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
        if key not in self._shared:
            self._shared[key] = quadratic(self.pairs[name] * together, self.weights)
        return self._shared[key]

    def reference(self, day: float, present: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Patients of each replicate among those ``present`` (n,) bool, and their Kaplan-Meier curve's Brier score."""
        key = (day, present.tobytes())
        if key not in self._shared:
            weights = self.weights * present
            self._shared[key] = weights.sum(1), null_brier(self, day, weights)
        return self._shared[key]


@dataclass
class Result:
    """Metrics of one model.

    Attributes
    ----------
    values : dict of metric to ndarray, shape (1 + n_boot,)
        The estimate first.
    notes : list of str
    calibration_horizon, rmst_horizon : float
        Years at which calibration is judged and to which mean survival is restricted; NaN without.
    """

    values: dict[str, np.ndarray]
    notes: list[str]
    calibration_horizon: float = np.nan
    rmst_horizon: float = np.nan

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


def evaluate(sheet: Sheet, design: Design, calibration_draws: bool = True) -> Result:
    """Compute every metric of one model and its bootstrap replicates.

    Parameters
    ----------
    sheet : Sheet
    design : Design
    calibration_draws : bool
        Whether the calibration figures, each draw of which is a few Cox fits, have replicates.

    Returns
    -------
    Result
        c_harrell, c_uno, auc_<h>, brier_<h>, ipa_<h>, ibs, ibs_reference; calibration_slope, calibration_intercept,
        oe, ici, e50, e90 (:func:`~amlprognosis.evaluation.calibration.calibration_values`, at the main horizon, or
        the last one with predictions for a model that predicts at others only); d_calibration_chi2, d_calibration_p;
        net_benefit (main horizon, decision threshold); rmst_low_months, rmst_high_months, rmst_difference_months.
        A metric that cannot be computed is NaN and the notes say why. AUC and C use the risk as it is, the others the
        predicted S(t) or the risk groups. Out of fold, the squared error of a patient is the mean over the repeats;
        calibration and net benefit are computed per repeat and averaged; the risk group is that of most repeats. The
        integrated Brier score is the trapezoid over the predicted times, from B(0) = 0 to the last usable horizon,
        divided by that time.
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
    result = Result(values, notes)
    _add_calibration(sheet, design, result, calibration_draws)
    _add_net_benefit(sheet, design, result)
    _add_restricted_means(sheet, design, result)
    _count_lost(result, () if calibration_draws else CALIBRATION)
    return result


def _count_lost(result: Result, without_draws: Sequence[str]) -> None:
    """Say how many replicates of the worst metric could not be computed."""
    lost = {
        name: int((~np.isfinite(values[1:])).sum())
        for name, values in result.values.items()
        if np.isfinite(values[0]) and name not in without_draws
    }
    worst = max(lost, key=lambda name: lost[name], default=None)
    if worst is not None and lost[worst]:
        result.notes.append(f"{lost[worst]} bootstrap replicates of {worst} left out: not defined for their patients")


def _add_calibration(sheet: Sheet, design: Design, result: Result, draws: bool) -> None:
    undefined = np.full(len(design.weights), np.nan)
    result.values |= dict.fromkeys((*CALIBRATION, "d_calibration_chi2", "d_calibration_p"), undefined)
    found = d_calibration(sheet.survival, sheet.times, design.time, design.event, design.weights)
    if found is None:
        result.notes.append("no D-calibration: the model predicts no survival curve")
    else:
        _, result.values["d_calibration_chi2"], result.values["d_calibration_p"] = found
    day = calibration_day(sheet, design)
    if day is None:
        result.notes.append("no calibration: no predicted survival")
        return
    result.calibration_horizon = day / DAYS_PER_YEAR
    reason = design.unusable(day)
    survival = sheet.survival_at(day)
    if reason or survival is None:
        result.notes.append(f"no calibration: {reason}")
        return
    weights = design.weights if draws else design.weights[:1]
    values, notes = calibration_values(survival, design.time, design.event, weights, day)
    for name, found_values in values.items():
        result.values[name] = np.concatenate((found_values, undefined[len(found_values) :]))
    result.notes += notes


def calibration_day(sheet: Sheet, design: Design) -> float | None:
    """Days of the main horizon, or of the last one at which the model predicts survival; None without any."""
    known = [day for day in design.days.values() if sheet.survival_at(day) is not None]
    if sheet.survival_at(design.main_day) is not None:
        return design.main_day
    return max(known, default=None)


def _add_net_benefit(sheet: Sheet, design: Design, result: Result) -> None:
    result.values["net_benefit"] = np.full(len(design.weights), np.nan)
    survival, reason = sheet.survival_at(design.main_day), design.unusable(design.main_day)
    if survival is None or reason:
        result.notes.append(f"no net benefit: {reason or f'no predicted survival at {design.main_horizon_years:g}y'}")
        return
    values = net_benefit_values(
        survival, design.time, design.event, design.weights, design.main_day, [design.decision_threshold]
    )
    result.values["net_benefit"] = values[:, 0]


def _add_restricted_means(sheet: Sheet, design: Design, result: Result) -> None:
    last = max(design.days.values())
    values, tau, notes = restricted_mean_values(design.time, design.event, sheet.majority_group(), design.weights, last)
    result.values |= values
    result.rmst_horizon = tau / DAYS_PER_YEAR
    result.notes += notes


def _brier_at(sheet: Sheet, design: Design, index: int, day: float) -> tuple[np.ndarray, np.ndarray] | None:
    """Replicates of the Brier score and of its Kaplan-Meier reference on the same patients."""
    survival = sheet.survival[:, :, index]
    present = np.isfinite(survival).any(axis=0)
    if not present.any():
        return None
    terms = mean_over_repeats(brier_terms(survival, design.time, design.event, design.ipcw, day))
    total, reference = design.reference(day, present)
    return _ratio(design.weights @ np.where(present, terms, 0.0), total), reference


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
