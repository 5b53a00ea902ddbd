"""What a sceptical reader should know of a run, raised by the run itself."""

from __future__ import annotations

import pandas as pd

from amlprognosis.study import Study
from amlprognosis.study.names import is_grid

NOTE_COLUMNS = ["source", "item", "note"]


def _refused(folds: pd.DataFrame) -> list[tuple[str, str, str]]:
    """Fits that were refused; members of the grid that share a reason (their selector's) share a line."""
    counts = folds.groupby(["model", "reason"], sort=True).size().reset_index(name="fits")
    grid = counts["model"].map(is_grid).to_numpy(dtype=bool)
    rows = [
        ("cross-validation", str(row.model), f"not fitted in {_folds(row.fits)}: {row.reason}")
        for row in counts[~grid].itertuples()
    ]
    for (reason, fits), part in counts[grid].groupby(["reason", "fits"], sort=True):
        names = ", ".join(part["model"]) if len(part) <= 3 else f"{len(part)} members of the grid"
        rows.append(("cross-validation", names, f"not fitted in {_folds(fits)}: {reason}"))
    return rows


def _folds(count: int) -> str:
    return "1 fold" if count == 1 else f"{count} folds"


def note_table(
    study: Study,
    cohorts: pd.DataFrame,
    design: pd.DataFrame,
    folds: pd.DataFrame,
    validation: pd.DataFrame,
    board: pd.DataFrame,
    sizes: pd.DataFrame,
) -> pd.DataFrame:
    """What a sceptical reader should know, raised by the run itself.

    Returns
    -------
    DataFrame
        source, item, note.
    """
    rows: list[tuple[str, str, str]] = []
    for row in cohorts.itertuples():
        if row.adaptation == "cohort_rescaling":
            text = (
                "each gene is re-scaled within this cohort: figures need a cohort and do not hold for one new patient"
            )
            rows.append(("validation", row.cohort, text))
        if row.events < 100 and row.cohort in study.validation:
            text = f"{row.events} deaths: below the 100 usually asked of a validation cohort; intervals are wide"
            rows.append(("validation", row.cohort, text))
    if not study.validation:
        rows.append(("validation", "all models", "no validation cohort: cross-validation cannot show transport"))
    rows += [("design", str(row.item), str(row.note)) for row in design.itertuples() if row.level == "warning"]
    rows += _refused(folds)
    rows += [(row.source, row.item, row.note) for row in validation.itertuples()]
    rows += [
        ("leaderboard", row.model, row.note)
        for row in board.itertuples()
        if isinstance(row.note, str) and row.note and row.kind != "combination"
    ]
    for row in sizes[sizes["verdict"] != "enough"].itertuples():
        text = (
            f"{row.events_per_parameter:.2g} deaths per candidate parameter; {row.riley_minimum_n} patients would be "
            f"needed for an expected shrinkage of 0.9, there are {row.patients}"
        )
        rows.append(("sample size", row.model, text))
    return pd.DataFrame(rows, columns=["source", "item", "note"]).drop_duplicates(ignore_index=True)
