"""Random-effects meta-analysis of figures over validation cohorts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import chdtrc, expit, logit, stdtrit

from amlprognosis.evaluation.comparisons import compared_pairs, paired_replicates
from amlprognosis.evaluation.leaderboard import Evaluation
from amlprognosis.evaluation.metrics import percentile_interval

COLUMNS = [
    "model", "metric", "cohorts", "estimate", "low", "high", "prediction_low", "prediction_high", "tau2", "i2", "q",
    "q_p", "method", "note",
]  # fmt: skip
METHOD = "random effects: REML, Hartung-Knapp"
ONE_COHORT = "one validation cohort: no heterogeneity can be estimated"
# With fewer cohorts than this a reader is warned.
FEW = 5
# Replicates that are equal but for rounding.
NO_VARIANCE = 1e-18


@dataclass(frozen=True)
class Scale:
    """How a figure is pooled: there and back, and the derivative that carries its variance."""

    name: str
    there: Callable[[float], float]
    back: Callable[[float], float]
    derivative: Callable[[float], float]


LOGIT = Scale("logit", lambda c: float(logit(c)), lambda x: float(expit(x)), lambda c: 1.0 / (c * (1.0 - c)))
LOG = Scale("log", lambda r: float(np.log(r)), lambda x: float(np.exp(x)), lambda r: 1.0 / r)
IDENTITY = Scale("", lambda v: v, lambda x: x, lambda v: 1.0)
# Open interval of the values that a scale takes.
_RANGE = {"logit": (0.0, 1.0), "log": (0.0, np.inf), "": (-np.inf, np.inf)}
METRICS = {"c_harrell": LOGIT, "calibration_slope": IDENTITY, "oe": LOG}


@dataclass(frozen=True)
class Pooled:
    """A random-effects summary of k >= 2 estimates.

    Attributes
    ----------
    estimate, std_error : float
        Mean of the distribution of true values; standard error after Hartung and Knapp.
    low, high : float
        95% confidence interval, t with k - 1 degrees of freedom.
    prediction_low, prediction_high : float
        95% prediction interval for the true value in a new cohort, t with k - 1 degrees of freedom.
    tau2 : float
        Variance between cohorts.
    i2 : float
        Share of the total variance that lies between cohorts, 0 to 1.
    q, q_p : float
        Cochran's Q and its p.
    """

    estimate: float
    std_error: float
    low: float
    high: float
    prediction_low: float
    prediction_high: float
    tau2: float
    i2: float
    q: float
    q_p: float


def pool(estimates: np.ndarray, variances: np.ndarray) -> Pooled:
    """Pool estimates by random effects.

    The variance between cohorts is that of the restricted likelihood (REML), never below 0. The standard error is
    Hartung and Knapp's with the truncation that keeps it from falling below the usual one (metafor's ``test="adhoc"``);
    without it few cohorts that happen to agree give an interval far too narrow.

    Parameters
    ----------
    estimates, variances : ndarray (k,)
        k of at least 2; finite, variances above 0.

    References
    ----------
    Hartung and Knapp, Stat Med 2001, doi:10.1002/sim.791; the truncation: Knapp and Hartung, Stat Med 2003,
    doi:10.1002/sim.1482; I2: Higgins and Thompson, Stat Med 2002, doi:10.1002/sim.1186; prediction interval: IntHout
    et al., BMJ Open 2016, doi:10.1136/bmjopen-2015-010247
    """
    y, v = np.asarray(estimates, dtype=float), np.asarray(variances, dtype=float)
    k = len(y)
    tau2 = restricted_variance(y, v)
    weight = 1.0 / (v + tau2)
    mean = float(weight @ y / weight.sum())
    ratio = float(weight @ (y - mean) ** 2) / (k - 1)
    error = float(np.sqrt(max(1.0, ratio) / weight.sum()))
    t = float(stdtrit(k - 1, 0.975))
    reach = t * float(np.sqrt(error**2 + tau2))
    fixed = 1.0 / v
    q = float(fixed @ (y - fixed @ y / fixed.sum()) ** 2)
    # Sum of the products of all pairs, without the cancellation of (sum w)^2 - sum w^2.
    pairs = sum(float(fixed[i] * (fixed[:i].sum() + fixed[i + 1 :].sum())) for i in range(k))
    typical = (k - 1) * float(fixed.sum()) / pairs
    return Pooled(
        mean,
        error,
        mean - t * error,
        mean + t * error,
        mean - reach,
        mean + reach,
        tau2,
        float(tau2 / (tau2 + typical)),
        q,
        float(chdtrc(k - 1, q)),
    )


def restricted_variance(y: np.ndarray, v: np.ndarray) -> float:
    """Variance between cohorts that maximizes the restricted likelihood, at least 0.

    References
    ----------
    Viechtbauer, J Educ Behav Stat 2005, doi:10.3102/10769986030003261
    """
    width = float(np.ptp(y))
    if width == 0:
        return 0.0
    grid = 2.0 * width**2 * np.linspace(0.0, 1.0, 401) ** 2
    at = int(np.argmax(_restricted_likelihood(grid, y, v)))
    low, high = grid[max(at - 1, 0)], grid[min(at + 1, len(grid) - 1)]
    if not _score(low, y, v) > 0 > _score(high, y, v):
        return float(grid[at])
    return float(brentq(_score, low, high, args=(y, v), xtol=1e-300, rtol=1e-14))


def _restricted_likelihood(tau2: np.ndarray, y: np.ndarray, v: np.ndarray) -> np.ndarray:
    """At each of several variances, shape (g,)."""
    w = 1.0 / (v + tau2[:, None])
    total = w.sum(axis=1)
    centered = y - ((w @ y) / total)[:, None]
    found: np.ndarray = 0.5 * (np.log(w).sum(axis=1) - np.log(total) - (w * centered**2).sum(axis=1))
    return found


def _score(tau2: float, y: np.ndarray, v: np.ndarray) -> float:
    """Twice the derivative of the restricted likelihood."""
    w = 1.0 / (v + tau2)
    return float(w**2 @ (y - w @ y / w.sum()) ** 2 - w.sum() + (w**2).sum() / w.sum())


def summarize(replicates: Mapping[str, np.ndarray], scale: Scale) -> dict[str, object]:
    """Pool one figure over cohorts.

    Parameters
    ----------
    replicates : mapping of cohort to ndarray (1 + b,)
        The estimate first, then bootstrap replicates: their variance is carried to the scale by the delta method.
    scale : Scale

    Returns
    -------
    dict
        All columns of the table but model and metric. Cohorts without an estimate or variance, or with an estimate at
        the border of the scale, are left out and named in the note; one that remains gives its own figure with its
        bootstrap interval; none gives no figure.
    """
    kept, variances, notes = {}, {}, []
    lowest, highest = _RANGE[scale.name]
    for cohort, values in replicates.items():
        draws = values[1:][np.isfinite(values[1:])]
        variance = float(draws.var(ddof=1)) if len(draws) > 1 else np.nan
        if not np.isfinite(values[0]):
            notes.append(f"{cohort} left out: no value")
        elif not lowest < values[0] < highest:
            notes.append(f"{cohort} left out: {values[0]:g} has no {scale.name}")
        elif not variance > NO_VARIANCE * max(1.0, abs(values[0])) ** 2:
            notes.append(f"{cohort} left out: its bootstrap has no variance")
        else:
            kept[cohort], variances[cohort] = float(values[0]), variance
    numbers: dict[str, object] = dict.fromkeys(COLUMNS[3:12], np.nan)
    method = ""
    if len(kept) == 1:
        ((cohort, value),) = kept.items()
        low, high = percentile_interval(replicates[cohort])
        numbers |= {"estimate": value, "low": low, "high": high}
        method, notes = "one cohort", [ONE_COHORT, *notes]
    elif kept:
        y = np.array([scale.there(value) for value in kept.values()])
        v = np.array([variances[cohort] * scale.derivative(value) ** 2 for cohort, value in kept.items()])
        found = pool(y, v)
        for name in ("estimate", "low", "high", "prediction_low", "prediction_high"):
            numbers[name] = scale.back(getattr(found, name))
        numbers |= {"tau2": found.tau2, "i2": found.i2, "q": found.q, "q_p": found.q_p}
        method = f"{METHOD} ({scale.name} scale)" if scale.name else METHOD
        if len(kept) < FEW:
            freedom = "1 degree" if len(kept) == 2 else f"{len(kept) - 1} degrees"
            few = f"{len(kept)} cohorts: intervals rest on {freedom} of freedom, heterogeneity is hardly known"
            notes = [few, *notes]
    return {"cohorts": len(kept), **numbers, "method": method, "note": "; ".join(notes)}


def main_runs(runs: Mapping[tuple[str, str], Evaluation], adaptations: Mapping[str, str]) -> dict[str, Evaluation]:
    """One evaluation per cohort: under its main adaptation, models without expression from "none"."""
    found = {}
    for cohort, adaptation in adaptations.items():
        parts = [runs[key] for key in ((cohort, "none"), (cohort, adaptation)) if key in runs]
        if parts:
            sheets = {name: sheet for part in parts for name, sheet in part.sheets.items()}
            results = {name: result for part in parts for name, result in part.results.items()}
            found[cohort] = Evaluation(parts[0].design, parts[0].patients, sheets, results)
    return found


def meta_analysis(runs: Mapping[tuple[str, str], Evaluation], adaptations: Mapping[str, str]) -> pd.DataFrame:
    """Figures of each model, and its differences from each comparator, pooled over the validation cohorts.

    Harrell's C is pooled on the logit scale, observed over expected deaths on the log scale, the calibration slope and
    differences in C as they are; each under the main adaptation of its cohort.

    Parameters
    ----------
    runs : mapping of (cohort, adaptation) to Evaluation
    adaptations : mapping of validation cohort to its main adaptation

    Returns
    -------
    DataFrame
        model, metric (c_harrell, calibration_slope, oe, "c_harrell - <comparator>"), cohorts (pooled), estimate, low,
        high, prediction_low, prediction_high, tau2 (on the scale that is pooled), i2 (0 to 1), q, q_p, method, note.

    References
    ----------
    Debray et al., BMJ 2017, doi:10.1136/bmj.i6460; scales: Snell, Ensor, Debray, Moons and Riley, Stat Methods Med Res
    2018, doi:10.1177/0962280217705678
    """
    cohorts = main_runs(runs, adaptations)
    nothing = np.full(1, np.nan)
    rows: list[dict[str, object]] = []
    for model in sorted({name for run in cohorts.values() for name in run.sheets}):
        own = {cohort: run.results[model].values for cohort, run in cohorts.items() if model in run.sheets}
        for metric, scale in METRICS.items():
            replicates = {cohort: own[cohort].get(metric, nothing) if cohort in own else nothing for cohort in cohorts}
            rows.append({"model": model, "metric": metric, **summarize(replicates, scale)})
    for model, other in sorted({pair for run in cohorts.values() for pair in compared_pairs(run, {})}):
        replicates = {
            cohort: paired_replicates(run, model, other, "c_harrell") if {model, other} <= set(run.sheets) else nothing
            for cohort, run in cohorts.items()
        }
        rows.append({"model": model, "metric": f"c_harrell - {other}", **summarize(replicates, IDENTITY)})
    table = pd.DataFrame(rows, columns=COLUMNS)
    return table.sort_values("model", kind="stable", ignore_index=True)
