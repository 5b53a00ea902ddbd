"""What the best of the grid is honestly worth: chosen by inner folds, judged on patients it never saw."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pandas as pd

from amlprognosis.evaluation.leaderboard import Evaluation
from amlprognosis.evaluation.metrics import percentile_interval
from amlprognosis.evaluation.selection import METRIC, SUMMARY_COLUMNS, best_of, complete, rechosen
from amlprognosis.study import BEST_OF_GRID
from amlprognosis.study.names import is_grid, parse_grid_name


def inner_concordance(inner: pd.DataFrame) -> pd.DataFrame:
    """Harrell's C of each member over the inner folds of each training part.

    Parameters
    ----------
    inner : DataFrame
        model, repeat, fold, inner_fold, concordant, comparable.

    Returns
    -------
    DataFrame
        model, repeat, fold, c; sorted by repeat, fold, falling c, model.
    """
    pairs = inner.groupby(["repeat", "fold", "model"], sort=True)[["concordant", "comparable"]].sum().reset_index()
    pairs = pairs[pairs["comparable"] > 0]
    pairs["c"] = pairs["concordant"] / pairs["comparable"]
    pairs = pairs.sort_values(["repeat", "fold", "c", "model"], ascending=[True, True, False, True], kind="stable")
    return pairs[["model", "repeat", "fold", "c"]].reset_index(drop=True)


def choose_members(inner: pd.DataFrame, predictions: pd.DataFrame) -> pd.DataFrame:
    """Choose the best member per training part, by the inner folds alone, in which a refused fit counts as chance.

    A member that could then not be fitted on the whole training part, or not be applied to the features of those held
    out, cannot be chosen; no outcome of theirs has a part in it.

    Returns
    -------
    DataFrame
        repeat, fold, model, c (of the inner folds).
    """
    fitted = predictions[["model", "repeat", "fold"]].drop_duplicates()
    ranked = inner_concordance(inner).merge(fitted, on=["model", "repeat", "fold"])
    ranked = ranked.sort_values(["repeat", "fold", "c", "model"], ascending=[True, True, False, True], kind="stable")
    return ranked.groupby(["repeat", "fold"], sort=True).head(1)[["repeat", "fold", "model", "c"]]


def nested_predictions(inner: pd.DataFrame, predictions: pd.DataFrame) -> pd.DataFrame:
    """Out-of-fold predictions of the procedure "take the best of the grid", as a model of its own."""
    if inner.empty:
        return predictions.iloc[:0]
    chosen = choose_members(inner, predictions)
    return predictions.merge(chosen[["repeat", "fold", "model"]], on=["repeat", "fold", "model"]).assign(
        model=BEST_OF_GRID
    )


def best_member(run: Evaluation, refused: Collection[str] = ()) -> str | None:
    """Complete member of the grid with the largest cross-validated C on the training cohort: the one to take further.

    Parameters
    ----------
    run : Evaluation
    refused : collection of str
        Members that could not be fitted on all training patients.
    """
    return best_of(run, _members(run, refused))


def _members(run: Evaluation, refused: Collection[str] = ()) -> list[str]:
    return [name for name in run.sheets if name != BEST_OF_GRID and is_grid(name) and name not in refused]


def grid_tables(
    run: Evaluation,
    inner: pd.DataFrame,
    predictions: pd.DataFrame,
    notes: pd.DataFrame,
    own_training: dict[str, float],
    members: list[str],
) -> dict[str, pd.DataFrame]:
    """Tables of the grid.

    Parameters
    ----------
    run : Evaluation
        Of the out-of-fold predictions, ``best_of_grid`` among the models if inner folds were run.
    inner, predictions, notes : DataFrame
        Of all jobs of the cross-validation.
    own_training : dict of model to float
        C of the frozen member on the very patients it was fitted on.
    members : list of str
        Members of the grid that were asked for.

    Returns
    -------
    dict of name to DataFrame
        grid: model, selector, learner, c_harrell, c_harrell_low, c_harrell_high, c_own_training,
        times_chosen, fits_failed, reason. grid_summary: item, value, low, high, text, meaning.
    """
    chosen = choose_members(inner, predictions) if len(inner) else pd.DataFrame(columns=["repeat", "fold", "model"])
    times = chosen["model"].value_counts()
    failed = notes[notes["model"].isin(members)]
    rows = []
    for model in members:
        name = parse_grid_name(model)
        result = run.results.get(model)
        low, high = result.interval(METRIC) if result else (np.nan, np.nan)
        reasons = sorted(set(failed.loc[failed["model"] == model, "reason"].astype(str)))
        rows.append(
            {
                "model": model,
                "selector": str(name.selector or ""),
                "learner": str(name.learner),
                "c_harrell": result.estimate(METRIC) if result else np.nan,
                "c_harrell_low": low,
                "c_harrell_high": high,
                "c_own_training": own_training.get(model, np.nan),
                "times_chosen": int(times.get(model, 0)),
                "fits_failed": int((failed["model"] == model).sum()),
                "reason": "; ".join(reasons[:3]),
            }
        )
    table = pd.DataFrame(rows)
    # Members refused in some folds stand below the complete ones: they were judged on fewer patients.
    table["partial"] = table["fits_failed"] > 0
    keys, ascending = ["partial", "c_harrell", "model"], [True, False, True]
    table = table.sort_values(keys, ascending=ascending, na_position="last").drop(columns="partial")
    refused = [name for name in members if name not in own_training]
    return {"grid": table.reset_index(drop=True), "grid_summary": _summary(run, table, chosen, refused)}


def _summary(run: Evaluation, table: pd.DataFrame, chosen: pd.DataFrame, refused: Collection[str]) -> pd.DataFrame:
    rows: list[tuple[str, float, float, float, str, str]] = []

    def add(
        item: str, value: float, meaning: str, limits: tuple[float, float] = (np.nan, np.nan), text: str = ""
    ) -> None:
        rows.append((item, float(value), *limits, text, meaning))

    scores = table["c_harrell"].dropna()
    add("members", len(table), "learners and combinations asked for")
    add("members_fitted", len(scores), "those with at least one out-of-fold prediction")
    judged = len(complete(run, _members(run)))
    add("members_complete", judged, "those fitted in every fold: only they can be compared and become the best")
    add("fits_failed", int(table["fits_failed"].sum()), "fits of a member in a fold that were refused, with reasons")
    if scores.empty:
        return pd.DataFrame(rows, columns=SUMMARY_COLUMNS)
    for item, value in (("median", scores.median()), ("lowest", scores.min())):
        add(f"c_{item}", float(value), f"{item} cross-validated C of the members")
    own = table["c_own_training"].dropna()
    if len(own):
        add("c_own_training_best", float(own.max()), "largest C of a member on the patients it was fitted on")
    best = best_member(run, refused)
    if best is None:
        return pd.DataFrame(rows, columns=SUMMARY_COLUMNS)
    result = run.results[best]
    add(
        "c_best",
        result.estimate(METRIC),
        "largest cross-validated C of a member, flattered by the choice; this member is taken further",
        result.interval(METRIC),
        best,
    )
    drawn = rechosen(run, _members(run, refused))
    if drawn.pick.size:
        add(
            "c_rechosen",
            drawn.mean(),
            "C of the best when it is chosen anew in bootstrap draws of the patients and judged on those left out",
            drawn.interval(),
        )
    nested = run.results.get(BEST_OF_GRID)
    if nested is not None:
        add(
            "c_nested",
            nested.estimate(METRIC),
            "C of the procedure 'take the best of the grid', the choice made in inner folds of each training part",
            nested.interval(METRIC),
        )
        difference = result.values[METRIC] - nested.values[METRIC]
        add(
            "optimism",
            float(difference[0]),
            "c_best less c_nested: luck of the best and uncertainty of the choice together",
            percentile_interval(difference),
        )
        count = chosen["model"].nunique()
        add("members_chosen", count, f"different members chosen in {len(chosen)} training parts")
    return pd.DataFrame(rows, columns=SUMMARY_COLUMNS)
