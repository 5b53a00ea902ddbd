"""Tests whether a procedure learns from the patients it is judged on, and what the leaky recipe would claim."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from amlprognosis.errors import InputError
from amlprognosis.evaluation.crossvalidate import structured_outcome
from amlprognosis.evaluation.fast_index import PairCount
from amlprognosis.evaluation.survival import fit_cox
from amlprognosis.models.sure_screen import SureScreen

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
        The whole cross-validated procedure; returns fold, patient, risk (and model, survival columns, risk_group: what
        was calibrated or cut is tested with the risk).
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
        A patient, or a survival, predicted in one run only counts as an infinite change.
    """
    rng = np.random.default_rng(seed)
    held = sorted(folds.loc[folds["fold"] == fold, "patient"].astype(str))
    if len(held) < 4:
        raise InputError(f"fold {fold} holds out {len(held)} patients; the leak test needs at least 4")
    base = features.assign(**{planted: 0.0})

    def run(x: pd.DataFrame, y: pd.DataFrame) -> pd.DataFrame:
        table = procedure(x, y, folds)
        keys = [c for c in ("model", "patient") if c in table.columns]
        said = table[table["fold"] == fold].set_index(keys)
        if "risk_group" in said:
            said = said.assign(risk_group=(said["risk_group"] == "high").astype(float))
        return said[[c for c in said.columns if c in ("risk", "risk_group") or c.startswith("survival_")]]

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
    if len(a) != len(b) or not a.index.isin(b.index).all():
        return float("inf")
    before, after = a.to_numpy(float), b.loc[a.index].to_numpy(float)
    if not np.array_equal(np.isnan(before), np.isnan(after)):
        return float("inf")
    return float(np.nan_to_num(np.abs(before - after)).max(initial=0.0))


class Recipe:
    """A recipe of published scripts: screen the genes, keep the best, cross-validate a Cox model of them.

    It keeps the ``genes`` columns with the smallest univariable Cox p and fits a ridge Cox model to them. The leaky
    form screens once, on all patients, and cross-validates the model alone. Ambroise and McLachlan (2002) and Simon et
    al. (2003) showed what that does to published classifiers; scripts that begin with "genes of prognostic value in
    univariate Cox analysis" of the whole cohort, and split patients afterwards, do it still. The honest form repeats
    the screen on the training part of each fold.

    Parameters
    ----------
    features, outcome : DataFrame, index = patient
    genes : int
        Columns kept.
    prefix : str
        The columns of the screen; columns that are constant or have missing values are left out.
    ridge : float
        Penalty of the final model, ridge / 2 * sum of squared coefficients of standardized columns.

    Attributes
    ----------
    patients : Index
        Sorted.
    values : ndarray (n, candidates)

    Raises
    ------
    InputError
        Fewer usable columns than ``genes``.

    References
    ----------
    Ambroise and McLachlan, PNAS 2002;99:6562, doi:10.1073/pnas.102102699;
    Simon, Radmacher, Dobbin and McShane, J Natl Cancer Inst 2003;95:14, doi:10.1093/jnci/95.1.14
    """

    def __init__(
        self,
        features: pd.DataFrame,
        outcome: pd.DataFrame,
        genes: int = 50,
        prefix: str = "expression:",
        ridge: float = 200.0,
    ):
        x = features[[c for c in features.columns if c.startswith(prefix)]].rename(index=str).sort_index()
        values = x.to_numpy(float)
        # A column with a missing value has a spread of NaN.
        values = values[:, np.ptp(values, axis=0) > 0]
        if values.shape[1] < genes:
            raise InputError(f"{values.shape[1]} complete columns start with {prefix}; the recipe needs {genes}")
        self.patients, self.values = x.index, values
        self._y = structured_outcome(outcome.rename(index=str).loc[x.index])
        self._genes, self._ridge = genes, ridge

    def c_index(self, folds: pd.DataFrame, leaky: bool, order: np.ndarray | None = None) -> float:
        """Cross-validated C over all repeats of ``folds`` (repeat, fold, patient).

        ``order`` (n,) gives the patients other patients' features, as a permutation does.
        """
        values = self.values if order is None else self.values[order]
        time, event = self._y["time"], self._y["event"]
        on_all = self._best(values, np.ones(len(time), dtype=bool)) if leaky else None
        count = PairCount()
        for _, part in folds.groupby(["repeat", "fold"], sort=True):
            held = self.patients.isin(part["patient"].astype(str))
            chosen = self._best(values, ~held) if on_all is None else on_all
            varying = chosen[np.ptp(values[np.ix_(~held, chosen)], axis=0) > 0]
            fit = fit_cox(values[np.ix_(~held, varying)], time[~held], event[~held], ridge=self._ridge)
            count.add(self._y[held], values[np.ix_(held, varying)] @ np.nan_to_num(fit.coef))
        return count.index

    def _best(self, values: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Columns with the smallest univariable Cox p, sorted by position."""
        # Even of noise about three times as many are below it.
        below = min(0.5, 3.0 * self._genes / values.shape[1])
        screen = SureScreen(values[rows], self._y["time"][rows], self._y["event"][rows], below)
        p = screen.p if (screen.p < below).sum() >= self._genes else screen.complete()
        return np.sort(np.argsort(p, kind="stable")[: self._genes])


def leaky_c_index(
    features: pd.DataFrame,
    outcome: pd.DataFrame,
    folds: pd.DataFrame,
    genes: int = 50,
    prefix: str = "expression:",
    ridge: float = 200.0,
) -> pd.DataFrame:
    """What the leaky recipe would have claimed, beside the same recipe without the leak.

    Parameters
    ----------
    folds : DataFrame
        repeat, fold, patient; all repeats are used.
    features, outcome, genes, prefix, ridge
        As for :class:`Recipe`.

    Returns
    -------
    DataFrame
        recipe ("leaky", "honest"), genes, patients, candidates, c_harrell.
    """
    recipe = Recipe(features, outcome, genes, prefix, ridge)
    n, candidates = recipe.values.shape
    rows = [(name, genes, n, candidates, recipe.c_index(folds, name == "leaky")) for name in ("leaky", "honest")]
    return pd.DataFrame(rows, columns=["recipe", "genes", "patients", "candidates", "c_harrell"])
