"""What a model adds to a comparator, and the comparator to the model: likelihood-ratio tests of their risks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import chdtrc

from amlprognosis.evaluation.comparisons import NOT_COMPARED, compared_pairs, with_comparators
from amlprognosis.evaluation.leaderboard import Evaluation, model_failures
from amlprognosis.evaluation.sheets import Sheet

COLUMNS = [
    "cohort", "adaptation", "model", "comparator", "patients", "events", "chi2", "df", "p", "hazard_ratio",
    "hazard_ratio_low", "hazard_ratio_high", "chi2_reverse", "p_reverse", "note",
]  # fmt: skip
_Z = 1.959963984540054


@dataclass(frozen=True)
class LikelihoodRatio:
    """Likelihood-ratio tests of two risks in one Cox model.

    Attributes
    ----------
    chi2, chi2_reverse : float
        Of adding the model's risk to the comparator's, and the other way round; 1 degree of freedom. NaN if a fit has
        no maximum.
    log_hazard, variance : float
        Of the model's risk given the comparator's, per standard deviation of the model's risk (within strata); NaN
        where it cannot be told.
    note : str
        Why something is missing.
    """

    chi2: float
    chi2_reverse: float
    log_hazard: float
    variance: float
    note: str = ""


class _Repeats:
    """The tests of one cohort; patients are sorted, and single risks fitted, once for all pairs."""

    def __init__(self, run: Evaluation):
        # Here and not above: loading numba takes a second.
        from amlprognosis.models.cox_strata import Strata

        self.run = run
        self._make = Strata
        self._strata: dict[bytes, Strata] = {}
        self._single: dict[tuple[str, int, bytes], tuple[float, str]] = {}

    def test(self, model: str, other: str, repeat: int) -> LikelihoodRatio | None:
        """Tests on the patients whom both predict in a repeat; None if nobody of them died."""
        first, second = self.run.sheets[model], self.run.sheets[other]
        block = np.where(second.block[repeat] >= 0, first.block[repeat], -1)
        rows = block >= 0
        event = self.run.design.event[rows]
        if not event.any():
            return None
        key = block.tobytes()
        if key not in self._strata:
            self._strata[key] = self._make(self.run.design.time[rows], event, block[rows])
        strata = self._strata[key]
        a, b = first.score[repeat][rows], second.score[repeat][rows]
        (own, own_state), (base, base_state) = self._of(model, repeat, key, a), self._of(other, repeat, key, b)
        states = {own_state, base_state}
        if states - {"converged", "collinear"}:
            return LikelihoodRatio(np.nan, np.nan, np.nan, np.nan, "a risk separates those who die: no maximum")
        if own_state == "collinear":
            return LikelihoodRatio(0.0, 2 * (base - own), np.nan, np.nan, f"{model} has the same risk for everyone")
        both = strata.fit(np.column_stack([a, b]))
        if base_state == "collinear":
            both, note = strata.fit(a[:, None]), f"{other} has the same risk for everyone"
        elif both.status == "collinear":
            return LikelihoodRatio(0.0, 0.0, np.nan, np.nan, "the two risks say the same")
        elif both.status != "converged":
            return LikelihoodRatio(np.nan, np.nan, np.nan, np.nan, "a risk separates those who die: no maximum")
        else:
            note = ""
        spread = float(strata.within(a[:, None])[1][0])
        # Rounding may leave a tiny negative difference.
        chi2, reverse = max(2 * (both.loglik - base), 0.0), max(2 * (both.loglik - own), 0.0)
        return LikelihoodRatio(chi2, reverse, both.beta[0] * spread, both.covariance[0, 0] * spread**2, note)

    def _of(self, name: str, repeat: int, key: bytes, score: np.ndarray) -> tuple[float, str]:
        """Log likelihood with one risk alone, and how its fit ended."""
        where = (name, repeat, key)
        if where not in self._single:
            fit = self._strata[key].fit(score[:, None])
            self._single[where] = (fit.loglik, fit.status)
        return self._single[where]


def added_value(
    run: Evaluation, cohort: str, failed: Mapping[str, str] | None = None, adaptation: str | None = None
) -> pd.DataFrame:
    """What each model adds to each comparator in one cohort, and the other way round.

    Both risks enter a Cox model as they are, patients without one of them left out. Out of fold the risks are
    prevalidated; those of different folds come from different fits, so that the model is stratified by fold. Each
    repeat gives a test: the table has the median chi-squared and its p, the mean log hazard ratio with the mean
    variance of a repeat, because repeats reuse the same patients. Prevalidated risks are not independent of each other,
    the p is therefore approximate. Frozen risks (one repeat, one block) give the plain test.

    Parameters
    ----------
    run : Evaluation
    cohort : str
    failed : mapping of model to reason, optional
        Comparators without predictions, which have rows that say why.
    adaptation : str, optional
        Of the models; missing out of fold.

    Returns
    -------
    DataFrame
        cohort, adaptation, model, comparator, patients, events (in any repeat), chi2, df (1), p (adding the model to
        the comparator), hazard_ratio, hazard_ratio_low, hazard_ratio_high (per standard deviation of the model's risk
        given the comparator), chi2_reverse, p_reverse (adding the comparator to the model), note.

    References
    ----------
    Tibshirani and Efron, Stat Appl Genet Mol Biol 2002, doi:10.2202/1544-6115.1000; on the p of prevalidated
    predictors Hoefling and Tibshirani, Ann Appl Stat 2008, doi:10.1214/07-AOAS152
    """
    tests = _Repeats(run)
    rows = []
    for model, other in compared_pairs(run, failed or {}):
        row: dict[str, object] = {"cohort": cohort, "adaptation": adaptation, "model": model, "comparator": other}
        row |= _row(tests, model, other, (failed or {}).get(other, ""))
        rows.append(row)
    return pd.DataFrame(rows, columns=COLUMNS)


def _row(tests: _Repeats, model: str, other: str, reason: str) -> dict[str, object]:
    run = tests.run
    if other not in run.sheets:
        return _empty(f"{NOT_COMPARED}{reason}")
    first, second = run.sheets[model], run.sheets[other]
    if first.block.shape != second.block.shape:
        return _empty(f"{NOT_COMPARED}the two have different repeats")
    shared = np.any((first.block >= 0) & (second.block >= 0), axis=0)
    found = [test for k in range(len(first.block)) if (test := tests.test(model, other, k)) is not None]
    if not found:
        return _empty(f"{NOT_COMPARED}no deaths among patients with predictions of both")
    notes = sorted({test.note for test in found if test.note})
    chi2, reverse = (_median([getattr(test, name) for test in found]) for name in ("chi2", "chi2_reverse"))
    known = [(test.log_hazard, test.variance) for test in found if np.isfinite(test.log_hazard)]
    center, variance = np.mean(known, axis=0) if known else (np.nan, np.nan)
    ends = np.exp(center + np.array([0.0, -_Z, _Z]) * np.sqrt(variance))
    return {
        "patients": int(shared.sum()),
        "events": int(run.design.event[shared].sum()),
        "chi2": chi2,
        "df": 1,
        "p": float(chdtrc(1, chi2)),
        "hazard_ratio": float(ends[0]),
        "hazard_ratio_low": float(ends[1]),
        "hazard_ratio_high": float(ends[2]),
        "chi2_reverse": reverse,
        "p_reverse": float(chdtrc(1, reverse)),
        "note": "; ".join([*_out_of_fold(first), *notes]),
    }


def _out_of_fold(sheet: Sheet) -> list[str]:
    if len(np.unique(sheet.block[sheet.block >= 0])) < 2:
        return []
    repeats = f"median of {len(sheet.block)} repeats, " if len(sheet.block) > 1 else ""
    return [f"prevalidated risks, stratified by fold: {repeats}p approximate"]


def _median(values: list[float]) -> float:
    known = [value for value in values if np.isfinite(value)]
    return float(np.median(known)) if known else np.nan


def _empty(note: str) -> dict[str, object]:
    numbers = {name: np.nan for name in COLUMNS[6:-1] if name != "df"}
    return {"patients": 0, "events": 0, "df": 1, **numbers, "note": note}


def added_value_table(
    training: str,
    run: Evaluation,
    notes: pd.DataFrame,
    validation: Mapping[tuple[str, str], Evaluation],
    refusals: Mapping[str, Mapping[str, str]],
) -> pd.DataFrame:
    """Added value in cross-validation and in every validation cohort.

    Parameters
    ----------
    training : str
        Key of the training cohort.
    run : Evaluation
        Of its out-of-fold predictions.
    notes : DataFrame
        model, reason of fits that failed.
    validation : mapping of (cohort, adaptation) to Evaluation
    refusals : mapping of cohort to mapping of model to reason
        See :func:`~amlprognosis.evaluation.inputs.read_refusals`.
    """
    tables = [added_value(run, training, model_failures(notes))]
    for (cohort, adaptation), found in with_comparators(validation).items():
        tables.append(added_value(found, cohort, refusals.get(cohort), adaptation))
    filled = [table for table in tables if len(table)]
    return pd.concat(filled, ignore_index=True) if filled else tables[0]
