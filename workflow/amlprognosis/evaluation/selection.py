"""What picking the best of several models is worth: the pick is made anew in bootstrap draws of the patients."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from amlprognosis.evaluation.leaderboard import Evaluation, kind_of
from amlprognosis.evaluation.pairs import comparison_matrices, quadratic

METRIC = "c_harrell"
SUMMARY_COLUMNS = ["item", "value", "low", "high", "text", "meaning"]
MOST_NAMED = 5


def complete(run: Evaluation, names: Iterable[str]) -> list[str]:
    """Models with a prediction for every patient in every repeat, sorted.

    One that was refused in a fold is judged on the others alone, where it may have been easy: it cannot be compared.
    """
    most = max((sheet.block.shape[0] for sheet in run.sheets.values()), default=0)
    blocks = {name: run.sheets[name].block for name in sorted(names) if name in run.sheets}
    return [name for name, block in blocks.items() if block.shape[0] == most and (block >= 0).all()]


def best_of(run: Evaluation, names: Iterable[str]) -> str | None:
    """Complete model with the largest cross-validated C on the training cohort, or None."""
    scores = {name: run.results[name].estimate(METRIC) for name in complete(run, names)}
    scores = {name: value for name, value in scores.items() if np.isfinite(value)}
    return max(scores, key=lambda name: scores[name]) if scores else None


@dataclass(frozen=True)
class Rechosen:
    """The pick made anew in each bootstrap draw.

    Attributes
    ----------
    names : list of str
        Models that were compared.
    pick : ndarray of int (n_draws,)
        Which of them has the largest C in the draw.
    outside : ndarray (n_draws,)
        Its C among the patients left out of the draw; NaN where they make no comparable pair.
    """

    names: list[str]
    pick: np.ndarray
    outside: np.ndarray

    def mean(self) -> float:
        """Mean C of the pick among the patients left out; NaN without draws."""
        known = self.outside[np.isfinite(self.outside)]
        return float(known.mean()) if known.size else np.nan

    def interval(self) -> tuple[float, float]:
        """95% percentile interval."""
        known = self.outside[np.isfinite(self.outside)]
        low, high = np.quantile(known, [0.025, 0.975]) if known.size else (np.nan, np.nan)
        return float(low), float(high)


def rechosen(run: Evaluation, names: Iterable[str]) -> Rechosen:
    """Choose the best anew in each bootstrap draw and judge it on the patients left out of the draw.

    No fit is needed: the out-of-fold predictions are drawn. Tsamardinos 2018, doi:10.1007/s10994-018-5714-4 (BBC-CV).

    Parameters
    ----------
    run : Evaluation
        With bootstrap draws; without any the result is empty.
    names : iterable of str
        Models to choose from; those without a prediction for everybody are passed over.
    """
    members = complete(run, names)
    if not members or len(run.design.weights) < 2:
        return Rechosen(members, np.array([], dtype=int), np.array([]))
    left_out = (run.design.weights[1:] == 0).astype(float)
    outside = np.full((len(members), len(left_out)), np.nan)
    for row, name in enumerate(members):
        sheet = run.sheets[name]
        higher, together = comparison_matrices(sheet.score, sheet.block)
        pairs = quadratic(run.design.pairs[METRIC] * together, left_out)
        concordant = quadratic(run.design.pairs[METRIC] * higher, left_out)
        outside[row] = np.where(pairs > 0, concordant / np.where(pairs > 0, pairs, 1.0), np.nan)
    inside = np.stack([run.results[name].values[METRIC][1:] for name in members])
    pick = np.argmax(np.nan_to_num(inside, nan=-1.0), axis=0)
    return Rechosen(members, pick, outside[pick, np.arange(len(left_out))])


def selection_table(run: Evaluation, refused: Collection[str] = ()) -> pd.DataFrame:
    """What "the best of all models of this study" is worth: comparators and procedures are no candidates.

    Parameters
    ----------
    run : Evaluation
        Of the out-of-fold predictions.
    refused : collection of str
        Models that could not be fitted on all training patients: they cannot be taken further.

    Returns
    -------
    DataFrame
        item, value, low, high, text, meaning. Items: models; c_best (text: which), c_corrected, optimism and, of
        several models with bootstrap draws, same_choice (text: shares of the models picked).
    """
    names = [name for name in run.sheets if kind_of(name) in ("model", "combination") and name not in refused]
    compared = complete(run, names)
    rows: list[tuple[str, float, float, float, str, str]] = [
        (
            "models",
            float(len(compared)),
            np.nan,
            np.nan,
            "",
            "models, members of the grid among them, with a prediction for everybody: comparators are no candidates",
        )
    ]
    best = best_of(run, compared)
    if best is None:
        return pd.DataFrame(rows, columns=SUMMARY_COLUMNS)
    result = run.results[best]
    apparent = result.estimate(METRIC)
    meaning = "largest cross-validated C of them, flattered by the choice"
    rows.append(("c_best", apparent, *result.interval(METRIC), best, meaning))
    meaning = "C of the best when it is chosen anew in bootstrap draws of the patients and judged on those left out"
    if len(compared) == 1:
        rows.append(("c_corrected", apparent, *result.interval(METRIC), "one model: nothing was chosen", meaning))
        rows.append(("optimism", 0.0, np.nan, np.nan, "", "c_best less c_corrected"))
        return pd.DataFrame(rows, columns=SUMMARY_COLUMNS)
    drawn = rechosen(run, compared)
    text = "" if drawn.pick.size else "evaluation.bootstrap is 0: there are no draws"
    rows.append(("c_corrected", drawn.mean(), *drawn.interval(), text, meaning))
    rows.append(("optimism", apparent - drawn.mean(), np.nan, np.nan, text, "c_best less c_corrected"))
    if drawn.pick.size:
        share = np.bincount(drawn.pick, minlength=len(compared)) / drawn.pick.size
        order = np.argsort(-share, kind="stable")[:MOST_NAMED]
        named = ", ".join(f"{compared[k]} {share[k]:.0%}" for k in order if share[k] > 0)
        meaning = "share of the draws in which the best is the same model"
        rows.append(("same_choice", float(share[compared.index(best)]), np.nan, np.nan, named, meaning))
    return pd.DataFrame(rows, columns=SUMMARY_COLUMNS)
