"""The predictions of one model, arranged by repeat and patient."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from amlprognosis.errors import InputError
from amlprognosis.study import DAYS_PER_YEAR

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
    group : ndarray of int, shape (repeats, n), optional
        Risk group: 1 high, 0 low, -1 none.
    """

    score: np.ndarray
    block: np.ndarray
    survival: np.ndarray
    times: np.ndarray
    group: np.ndarray | None = None

    @property
    def available(self) -> np.ndarray:
        """Patients with at least one prediction, shape (n,) bool."""
        return np.any(self.block >= 0, axis=0)

    def survival_at(self, time: float) -> np.ndarray | None:
        """Predicted S(t), shape (repeats, n), NaN where there is none; None without any at that time."""
        index = np.flatnonzero(np.isclose(self.times, time, rtol=0, atol=0.01))
        if not len(index) or not np.isfinite(self.survival[:, :, index[0]]).any():
            return None
        return self.survival[:, :, index[0]]

    def mean_survival(self, time: float) -> np.ndarray:
        """Mean predicted S(t) over the repeats, shape (n,); NaN where there is none."""
        survival = self.survival_at(time)
        return np.full(self.block.shape[1], np.nan) if survival is None else mean_over_repeats(survival)

    def majority_group(self) -> np.ndarray:
        """Risk group of each patient over the repeats, shape (n,): a draw counts as high (1), none is -1."""
        if self.group is None:
            return np.full(self.block.shape[1], -1)
        known = (self.group >= 0) & (self.block >= 0)
        high, count = ((self.group == 1) & known).sum(0), known.sum(0)
        return np.where(count > 0, (2 * high >= count).astype(int), -1)

    def restricted(self, block: np.ndarray) -> Sheet:
        """Only the predictions that ``block`` (of another model) has too."""
        both = np.where(block >= 0, self.block, -1)
        survival = np.where((both >= 0)[:, :, None], self.survival, np.nan)
        return Sheet(self.score, both, survival, self.times, self.group)


def mean_over_repeats(values: np.ndarray) -> np.ndarray:
    """Mean of the finite values along the first axis; NaN where there is none."""
    known = np.isfinite(values)
    count = known.sum(0)
    total = np.where(known, values, 0.0).sum(0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def sheet_from_predictions(predictions: pd.DataFrame, patients: Sequence[str]) -> Sheet:
    """Arrange the long table of one model by repeat and patient.

    Parameters
    ----------
    predictions : DataFrame
        patient, risk and, where they exist, repeat, fold, survival_*, risk_group (one model, one cohort).
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
    group = None
    if "risk_group" in table:
        label = table["risk_group"].astype(object).to_numpy()
        group = np.full(shape, -1)
        group[row, position] = np.where(label == "high", 1, np.where(label == "low", 0, -1))
    return Sheet(score, block, survival, np.array(list(columns.values())), group)
