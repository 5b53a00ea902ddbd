"""Tables behind figures: decision curves and D-calibration, one block of rows per model."""

from __future__ import annotations

import numpy as np
import pandas as pd

from amlprognosis.evaluation.d_calibration import BINS, d_calibration
from amlprognosis.evaluation.leaderboard import Evaluation
from amlprognosis.evaluation.metrics import percentile_interval
from amlprognosis.evaluation.net_benefit import net_benefit_values
from amlprognosis.study import DAYS_PER_YEAR

THRESHOLDS = tuple(k / 100 for k in range(2, 100, 2))
DECISION_COLUMNS = [
    "cohort", "adaptation", "model", "horizon_years", "threshold", "net_benefit", "low", "high", "treat_all",
]  # fmt: skip
D_CALIBRATION_COLUMNS = [
    "cohort", "adaptation", "model", "bin", "lower", "upper", "share", "expected", "chi2", "p",
]  # fmt: skip


def decision_curves(run: Evaluation, cohort: str, adaptation: str | None = None) -> pd.DataFrame:
    """Net benefit of each model at the main horizon over all thresholds.

    Parameters
    ----------
    run : Evaluation
    cohort : str
    adaptation : str, optional
        Of a validation cohort.

    Returns
    -------
    DataFrame
        cohort, adaptation, model, horizon_years, threshold, net_benefit, low, high (95%, percentiles of the bootstrap
        over patients, at each threshold by itself), treat_all (of the same patients; treating nobody is 0). A model
        without predicted survival at the main horizon, or a horizon without follow-up, has no rows.
    """
    design, tables = run.design, []
    thresholds = sorted({*THRESHOLDS, design.decision_threshold})
    for model, sheet in run.sheets.items():
        survival = sheet.survival_at(design.main_day)
        if survival is None or design.unusable(design.main_day):
            continue
        outcome = (design.time, design.event)
        values = net_benefit_values(survival, *outcome, design.weights, design.main_day, thresholds)
        nobody_spared = np.where(np.isfinite(survival), 0.0, np.nan)
        treat_all = net_benefit_values(nobody_spared, *outcome, design.weights[:1], design.main_day, thresholds)[0]
        low, high = np.array([percentile_interval(column) for column in values.T]).T
        tables.append(
            pd.DataFrame(
                {
                    "cohort": cohort,
                    "adaptation": adaptation,
                    "model": model,
                    "horizon_years": design.main_day / DAYS_PER_YEAR,
                    "threshold": thresholds,
                    "net_benefit": values[0],
                    "low": low,
                    "high": high,
                    "treat_all": treat_all,
                }
            )
        )
    return _stacked(tables, DECISION_COLUMNS)


def d_calibration_bins(run: Evaluation, cohort: str, adaptation: str | None = None) -> pd.DataFrame:
    """Patients of each model in ten bins of predicted survival at their own time.

    Parameters
    ----------
    run : Evaluation
    cohort : str
    adaptation : str, optional
        Of a validation cohort.

    Returns
    -------
    DataFrame
        cohort, adaptation, model, bin (1 to 10), lower, upper (of the predicted survival), share (of the patients,
        those censored spread over the bins below), expected (a tenth), chi2, p
        (:func:`~amlprognosis.evaluation.d_calibration.d_calibration`). A model without survival curves has no rows.
    """
    design, tables = run.design, []
    for model, sheet in run.sheets.items():
        found = d_calibration(sheet.survival, sheet.times, design.time, design.event, design.weights[:1])
        if found is None:
            continue
        share, chi2, p = found
        tables.append(
            pd.DataFrame(
                {
                    "cohort": cohort,
                    "adaptation": adaptation,
                    "model": model,
                    "bin": np.arange(1, BINS + 1),
                    "lower": np.arange(BINS) / BINS,
                    "upper": np.arange(1, BINS + 1) / BINS,
                    "share": share[0],
                    "expected": 1.0 / BINS,
                    "chi2": chi2[0],
                    "p": p[0],
                }
            )
        )
    return _stacked(tables, D_CALIBRATION_COLUMNS)


def _stacked(tables: list[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    return pd.concat(tables, ignore_index=True)[columns] if tables else pd.DataFrame(columns=columns)
