"""Tests whether a procedure learns from the patients it is judged on, and what the leaky recipe would claim."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from amlprognosis.errors import InputError
from amlprognosis.evaluation.crossvalidate import structured_outcome
from amlprognosis.evaluation.metrics import blocked_concordance, sheet_from_predictions
from amlprognosis.evaluation.survival import fit_cox

Procedure = Callable[[pd.DataFrame, pd.DataFrame, pd.DataFrame], pd.DataFrame]
PLANTED = "expression:PLANTED_LEAK"


@dataclass(frozen=True)
class Influence:
    """Largest change of a held-out prediction under three changes that a fold must not notice; all 0 is clean.

    Attributes
    ----------
    outcome : float
        The outcomes of the held-out patients were replaced by others, which follow a random feature.
    features : float
        The features of one half of the held-out patients were shifted; change of the other half's predictions.
    planted : float
        A column, constant in training patients, was made equal to the outcome in held-out patients.
    """

    outcome: float
    features: float
    planted: float

    @property
    def largest(self) -> float:
        """The largest of the three."""
        return max(self.outcome, self.features, self.planted)


def held_out_influence(
    procedure: Procedure,
    features: pd.DataFrame,
    outcome: pd.DataFrame,
    folds: pd.DataFrame,
    fold: int,
    seed: int = 0,
    planted: str = PLANTED,
    draws: int = 3,
) -> Influence:
    """Measure how much the held-out patients of a fold influence what is predicted for that fold.

    Parameters
    ----------
    procedure : callable (features, outcome, folds) -> DataFrame
        The whole cross-validated procedure; returns fold, patient, risk (and model).
    features, outcome : DataFrame, index = patient
    folds : DataFrame
        One repeat: repeat, fold, patient.
    fold : int
        Which fold to test.
    planted : str
        Name of the planted column; its prefix decides which models may use it.
    draws : int
        How many other outcomes are tried.

    Returns
    -------
    Influence
        A patient predicted in one run only counts as an infinite change.
    """
    rng = np.random.default_rng(seed)
    held = sorted(folds.loc[folds["fold"] == fold, "patient"].astype(str))
    if len(held) < 4:
        raise InputError(f"fold {fold} holds out {len(held)} patients; the leak test needs at least 4")
    base = features.assign(**{planted: 0.0})

    def run(x: pd.DataFrame, y: pd.DataFrame) -> pd.DataFrame:
        table = procedure(x, y, folds)
        keys = [c for c in ("model", "patient") if c in table.columns]
        return table[table["fold"] == fold].set_index(keys)[["risk"]]

    reference = run(base, outcome)
    if reference.empty:
        raise InputError(f"the procedure predicts nobody in fold {fold}, so that its leaks cannot be tested")
    changed_outcome = 0.0
    columns = [c for c in features.columns if features.loc[held, c].nunique() > 1]
    for column in rng.choice(columns, size=min(draws, len(columns)), replace=False):
        # The held-out patients now die in the order of one feature: whoever looks at them will want it.
        rank = features.loc[held, column].rank(method="first", ascending=False, na_option="bottom")
        other = outcome.copy()
        other["os_time"] = other["os_time"].astype(float)
        other.loc[held, "os_time"] = np.sort(outcome.loc[held, "os_time"])[rank.to_numpy(int) - 1]
        other.loc[held, "os_event"] = True
        changed_outcome = max(changed_outcome, _largest_change(reference, run(base, other)))

    moved, watched = held[::2], held[1::2]
    shifted = base.copy()
    numeric = shifted.columns != planted
    shifted.loc[moved, numeric] = shifted.loc[moved, numeric] * 3.0 + 10.0
    changed_features = _largest_change(_of(reference, watched), _of(run(shifted, outcome), watched))

    marked = base.copy()
    early = -np.log(outcome.loc[held, "os_time"].to_numpy(float))
    marked.loc[held, planted] = (early - early.mean()) / (early.std() or 1.0)
    changed_planted = _largest_change(reference, run(marked, outcome))
    return Influence(changed_outcome, changed_features, changed_planted)


def _of(table: pd.DataFrame, patients: list[str]) -> pd.DataFrame:
    return table[table.index.get_level_values("patient").isin(patients)]


def _largest_change(a: pd.DataFrame, b: pd.DataFrame) -> float:
    joined = a.join(b, how="outer", lsuffix="_a", rsuffix="_b")
    if joined.isna().to_numpy().any():
        return float("inf")
    return float((joined["risk_a"] - joined["risk_b"]).abs().max())


def leaky_c_index(
    features: pd.DataFrame,
    outcome: pd.DataFrame,
    folds: pd.DataFrame,
    genes: int = 50,
    prefix: str = "expression:",
    ridge: float = 50.0,
) -> pd.DataFrame:
    """What the leaky recipe would have claimed, beside the same recipe without the leak.

    Recipe: keep the ``genes`` columns with the smallest univariable Cox p, fit a ridge Cox model to them,
    cross-validate.
    Leaky: the screen sees all patients and only the final Cox model is cross-validated, as in many published
    scripts. Honest: the screen is repeated on the training part of each fold.

    Parameters
    ----------
    features, outcome : DataFrame, index = patient
    folds : DataFrame
        repeat, fold, patient; all repeats are used.
    genes : int
    prefix : str
        The columns of the screen; columns with missing values are left out.
    ridge : float
        Penalty of the final model, ridge / 2 * sum of squared coefficients of standardized columns.

    Returns
    -------
    DataFrame
        recipe ("leaky", "honest"), genes, patients, candidates, c_harrell.
    """
    columns = [c for c in features.columns if c.startswith(prefix)]
    x = features[columns].sort_index()
    x.index = x.index.astype(str)
    x = x.loc[:, x.notna().all() & (x.nunique() > 1)]
    if x.shape[1] < genes:
        raise InputError(f"{x.shape[1]} complete columns start with {prefix}; the recipe needs {genes}")
    y = structured_outcome(outcome.rename(index=str).loc[x.index])
    values = x.to_numpy(float)
    on_all = _screen(values, y, genes)
    rows: dict[str, list[pd.DataFrame]] = {"leaky": [], "honest": []}
    for (repeat, fold), part in folds.groupby(["repeat", "fold"], sort=True):
        held = x.index.isin(part["patient"].astype(str))
        for recipe in rows:
            chosen = on_all if recipe == "leaky" else _screen(values[~held], y[~held], genes)
            varying = [c for c in chosen if np.ptp(values[~held, c]) > 0]
            fit = fit_cox(values[np.ix_(~held, varying)], y["time"][~held], y["event"][~held], ridge=ridge)
            risk = values[np.ix_(held, varying)] @ np.nan_to_num(fit.coef)
            rows[recipe].append(pd.DataFrame({"repeat": repeat, "fold": fold, "patient": x.index[held], "risk": risk}))
    found = []
    for recipe, tables in rows.items():
        sheet = sheet_from_predictions(pd.concat(tables, ignore_index=True), list(x.index))
        found.append(
            {
                "recipe": recipe,
                "genes": genes,
                "patients": len(x),
                "candidates": x.shape[1],
                "c_harrell": blocked_concordance(y["time"], y["event"], sheet),
            }
        )
    return pd.DataFrame(found)


def _screen(values: np.ndarray, y: np.ndarray, genes: int) -> np.ndarray:
    """Columns with the smallest univariable Cox p, sorted by position."""
    from amlprognosis.models.cox_kernels import univariate_cox

    p = univariate_cox(values, y["time"], y["event"]).p_screen
    return np.sort(np.argsort(p, kind="stable")[:genes])
