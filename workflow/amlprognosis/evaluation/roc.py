"""Time-dependent ROC curves (cumulative/dynamic, IPCW) for figures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from amlprognosis.evaluation.pairs import case_weights
from amlprognosis.evaluation.sheets import Sheet, sheet_from_predictions
from amlprognosis.models.kaplan_meier import KaplanMeier, censoring_curve
from amlprognosis.study import DAYS_PER_YEAR

GRID = np.linspace(0.0, 1.0, 101)
COLUMNS = ["cohort", "model", "horizon", "fpr", "tpr", "threshold"]


def roc_curve(
    score: np.ndarray, time: np.ndarray, event: np.ndarray, censoring: KaplanMeier, day: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """False and true positive rates, and thresholds, of "score >= threshold" for death by ``day``.

    Cases weigh 1/G(T-); controls are alive past the horizon. None without cases or controls. The area under the
    linearly joined points is the IPCW AUC (equal scores count 1/2).
    """
    case, control = case_weights(time, event, censoring, day), (time > day).astype(float)
    if not case.sum() > 0 or not control.sum() > 0:
        return None
    levels, inverse = np.unique(-score, return_inverse=True)
    hit = np.cumsum(np.bincount(inverse, weights=case)) / case.sum()
    alarm = np.cumsum(np.bincount(inverse, weights=control)) / control.sum()
    return (
        np.concatenate(([0.0], alarm)),
        np.concatenate(([0.0], hit)),
        np.concatenate(([np.inf], -levels)),
    )


def _on_grid(fpr: np.ndarray, tpr: np.ndarray) -> np.ndarray:
    right = np.searchsorted(fpr, GRID, side="right")
    left = np.maximum(right - 1, 0)
    after = np.minimum(right, len(fpr) - 1)
    width = fpr[after] - fpr[left]
    share = np.where(width > 0, (GRID - fpr[left]) / np.where(width > 0, width, 1.0), 0.0)
    return tpr[left] + share * (tpr[after] - tpr[left])


def _averaged(
    sheet: Sheet, time: np.ndarray, event: np.ndarray, censoring: KaplanMeier, day: float
) -> np.ndarray | None:
    total, weight = np.zeros(len(GRID)), 0.0
    for score, block in zip(sheet.score, sheet.block, strict=True):
        for fold in np.unique(block[block >= 0]):
            member = block == fold
            curve = roc_curve(score[member], time[member], event[member], censoring, day)
            if curve is None:
                continue
            pairs = case_weights(time[member], event[member], censoring, day).sum() * (time[member] > day).sum()
            total += pairs * _on_grid(curve[0], curve[1])
            weight += pairs
    return total / weight if weight > 0 else None


def roc_points(
    predictions: pd.DataFrame, outcome: pd.DataFrame, horizons_years: Sequence[float], cohort: str
) -> pd.DataFrame:
    """ROC points of every model and horizon.

    Out of fold the scores of different folds are not compared: the curves of all folds and repeats are averaged
    vertically, weighted by their pairs, so that the area is (to the grid of 0.01) the AUC of the leaderboard; they
    have no threshold. A validation cohort gives the exact curve.

    Returns
    -------
    DataFrame
        cohort, model, horizon (years), fpr, tpr, threshold. A horizon without cases or controls has no rows.
    """
    outcome = outcome.rename(index=str).sort_index()
    time, event = outcome["os_time"].to_numpy(float), outcome["os_event"].to_numpy(bool)
    censoring = censoring_curve(time, event)
    tables = []
    for model, part in predictions.groupby("model", sort=True):
        sheet = sheet_from_predictions(part, list(outcome.index))
        single = sheet.block.shape[0] == 1 and len(np.unique(sheet.block[sheet.block >= 0])) == 1
        for years in sorted(horizons_years):
            day = years * DAYS_PER_YEAR
            head = {"cohort": cohort, "model": model, "horizon": float(years)}
            if single:
                member = sheet.block[0] >= 0
                curve = roc_curve(sheet.score[0][member], time[member], event[member], censoring, day)
                if curve is not None:
                    fpr, tpr, threshold = curve
                    tables.append(pd.DataFrame({**head, "fpr": fpr, "tpr": tpr, "threshold": threshold}))
                continue
            mean_tpr = _averaged(sheet, time, event, censoring, day)
            if mean_tpr is not None:
                # The curve starts at the origin even where the first step is vertical.
                tables.append(
                    pd.DataFrame(
                        {
                            **head,
                            "fpr": np.concatenate(([0.0], GRID)),
                            "tpr": np.concatenate(([0.0], mean_tpr)),
                            "threshold": np.nan,
                        }
                    )
                )
    return pd.concat(tables, ignore_index=True)[COLUMNS] if tables else pd.DataFrame(columns=COLUMNS)
