"""Repeated stratified folds by patient, independent of the order of the input rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from amlprognosis.cohort import require_column, shown
from amlprognosis.errors import InputError

MINIMUM_EVENTS = 10


def make_folds(
    patients: Sequence[str],
    event: Sequence[bool],
    time: Sequence[float],
    folds: int,
    repeats: int,
    seed: int,
    strata: Sequence[object] | None = None,
) -> pd.DataFrame:
    """Deal patients into folds, balanced for the event and for optional strata.

    Patients are sorted by identifier first, so the result depends on the seed and on the patients, not on
    the order of rows. Within a repeat every stratum is shuffled and dealt in turn, the dealing going on from
    stratum to stratum: fold sizes, and the counts of each stratum per fold, differ by one at most. Strata of fewer
    patients than folds are shuffled together: one by one they would be dealt alike in every repeat.

    Parameters
    ----------
    patients : sequence of str, shape (n,)
    event : sequence of bool, shape (n,)
        True = death.
    time : sequence of float, shape (n,)
        Days.
    folds, repeats : int
    seed : int
    strata : sequence, shape (n,), optional
        For example the risk group; missing values form a stratum of their own.

    Returns
    -------
    DataFrame
        Columns repeat, fold (both from 1), patient: the patient is held out in that fold of that repeat.

    Raises
    ------
    InputError
        Duplicated patients, unusable times, fewer than 10 events, constant outcome, more folds than
        patients, or a fold without events.
    """
    table = pd.DataFrame(
        {
            "patient": [str(p) for p in patients],
            "event": np.asarray(event, dtype=bool),
            "time": np.asarray(time, dtype=float),
        }
    )
    table["stratum"] = "all" if strata is None else pd.Series(list(strata), dtype=object).map(_stratum_name).to_numpy()
    _check_outcome(table, folds, repeats)
    table = table.sort_values("patient", kind="stable").reset_index(drop=True)
    outcome = table["event"].map({True: "1", False: "0"})
    key = outcome + ":" + table["stratum"]
    key = key.where(key.map(key.value_counts()) >= folds, outcome)
    # Events first: they are dealt from the first card on, so they are spread most evenly.
    levels = sorted(set(key), reverse=True)
    parts = []
    for repeat in range(1, repeats + 1):
        rng = np.random.default_rng(np.random.SeedSequence([seed, repeat]))
        order = np.concatenate([rng.permutation(np.flatnonzero(key.to_numpy() == level)) for level in levels])
        fold = np.empty(len(table), dtype=int)
        fold[order] = rng.permutation(folds)[np.arange(len(table)) % folds] + 1
        without = sorted(set(range(1, folds + 1)) - set(fold[table["event"].to_numpy()]))
        if without:
            raise InputError(
                f"repeat {repeat}: fold {without[0]} has no event; use fewer folds than {folds} "
                f"({int(table['event'].sum())} events in all)"
            )
        parts.append(pd.DataFrame({"repeat": repeat, "fold": fold, "patient": table["patient"]}))
    result = pd.concat(parts, ignore_index=True)
    return result.sort_values(["repeat", "fold", "patient"], kind="stable").reset_index(drop=True)


def strata_of(obs: pd.DataFrame, columns: Sequence[str], folds: int, place: str) -> tuple[list[str], list[str]]:
    """Stratum of each patient by some columns, for :func:`make_folds`, and what a reader should know of them.

    Parameters
    ----------
    obs : DataFrame (n, k)
        Clinical columns of the training cohort.
    columns : sequence of str
    folds : int
    place : str
        How errors call the key.

    Returns
    -------
    strata : list of str, length n
        Values joined by " / "; a missing value is "missing".
    notes : list of str
        Patients per stratum; then, if so, how many belong to strata that are too small to be balanced.

    Raises
    ------
    InputError
        A column that the cohort lacks, or one that splits it into strata of which none can be balanced.
    """
    for column in columns:
        require_column(obs.columns, column, place)
    names = [obs[column].astype(object).map(_stratum_name).to_numpy(dtype=object) for column in columns]
    strata = [" / ".join(row) for row in zip(*names, strict=True)]
    counts = pd.Series(strata).value_counts().sort_index()
    few = counts[counts < folds]
    if len(few) == len(counts):
        raise InputError(
            f"{place}: {', '.join(columns)} splits {len(obs)} patients into {len(counts)} groups of fewer than "
            f"{folds}, which cannot be spread over the folds; name columns of few groups, such as trial or risk"
        )
    notes = [f"balanced for death and {', '.join(columns)}: " + shown([f"{k} {v}" for k, v in counts.items()], 12)]
    if len(few):
        notes.append(
            f"{int(few.sum())} patients belong to {len(few)} groups of fewer than {folds} by {', '.join(columns)}: "
            "they are balanced for death alone"
        )
    return strata, notes


def _stratum_name(value: object) -> str:
    return "missing" if value is None or value != value or value is pd.NA else str(value)


def _check_outcome(table: pd.DataFrame, folds: int, repeats: int) -> None:
    if folds < 2 or repeats < 1:
        raise InputError(f"folds must be at least 2 and repeats at least 1, got {folds} and {repeats}")
    twice = table["patient"][table["patient"].duplicated()]
    if len(twice):
        raise InputError(
            f"patient {twice.iloc[0]} occurs more than once; keep one sample per patient before making folds"
        )
    bad = table["patient"][~(np.isfinite(table["time"]) & (table["time"] > 0))]
    if len(bad):
        raise InputError(
            f"os_time of patient {bad.iloc[0]} is not a positive number of days ({len(bad)} such patients); "
            "exclude them when the cohort is built"
        )
    events = int(table["event"].sum())
    if events < MINIMUM_EVENTS:
        raise InputError(
            f"only {events} events among {len(table)} patients; at least {MINIMUM_EVENTS} are needed to train"
        )
    if table["time"].nunique() == 1:
        raise InputError("the outcome is constant: os_time is the same for all patients; check the column")
    if folds > len(table):
        raise InputError(f"{folds} folds for {len(table)} patients; use fewer folds")


def validate_folds(folds: pd.DataFrame, patients: Sequence[str]) -> None:
    """Check that every patient is held out exactly once per repeat.

    Raises
    ------
    InputError
        Missing columns, a patient twice or never in a repeat, or patients that are not in the cohort.
    """
    missing = [c for c in ("repeat", "fold", "patient") if c not in folds.columns]
    if missing:
        raise InputError(f"folds table lacks column {missing[0]}; it needs repeat, fold, patient")
    expected = {str(p) for p in patients}
    for repeat, part in folds.groupby("repeat", sort=True):
        names = part["patient"].astype(str)
        twice = names[names.duplicated()]
        if len(twice):
            raise InputError(f"folds, repeat {repeat}: patient {twice.iloc[0]} is held out more than once")
        found = set(names)
        if found != expected:
            never, unknown = sorted(expected - found), sorted(found - expected)
            detail = f"never held out: {never[:3]}" if never else f"not in the cohort: {unknown[:3]}"
            raise InputError(f"folds, repeat {repeat}: {detail}; make the folds again from this cohort")
        if part["fold"].nunique() < 2:
            raise InputError(f"folds, repeat {repeat}: a single fold leaves nothing to train on")
