"""What a sceptical reader should know of a run, raised by the run itself."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from amlprognosis.evaluation.leakage_checks import leakage_notes
from amlprognosis.evaluation.sample_size import CRITERIA, FEW_VALIDATION_EVENTS
from amlprognosis.study import Study
from amlprognosis.study.names import is_comparator, is_grid

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


def _too_small(sizes: pd.DataFrame) -> list[tuple[str, str, str]]:
    """Models for which the training cohort is too small; those that fail only by the overall risk share a line."""
    small = sizes[sizes["verdict"] != "enough"]
    if small.empty:
        return []
    by_risk = small["riley_criterion"] == CRITERIA["riley_risk_n"]
    rows = [
        (
            "sample size",
            str(row.model),
            f"{row.events_per_parameter:.2g} deaths per candidate parameter; {row.riley_minimum_n} patients would be "
            f"needed ({row.riley_criterion}), there are {row.patients}; expected shrinkage "
            f"{row.expected_shrinkage:.2f}",
        )
        for row in small[~by_risk].itertuples()
    ]
    if by_risk.any():
        first = small[by_risk].iloc[0]
        names = ", ".join(small.loc[by_risk, "model"])
        text = f"{first['riley_minimum_n']} patients would be needed ({first['riley_criterion']}), there are "
        rows.append(("sample size", names, f"{text}{first['patients']}"))
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
    checks: pd.DataFrame,
    quality: Iterable[tuple[str, str, str]] = (),
) -> pd.DataFrame:
    """What a sceptical reader should know, raised by the run itself.

    ``quality`` are the rows of :func:`amlprognosis.evaluation.quality_notes.quality_notes`.

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
        if row.events < FEW_VALIDATION_EVENTS and row.cohort in study.validation:
            asked = f"below the {FEW_VALIDATION_EVENTS} usually asked of a validation cohort"
            text = f"{row.events} deaths: {asked}; intervals are wide"
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
    if not any(is_comparator(name) for name in study.models.run):
        text = "no comparator was run: nothing says whether the models are better than age or the risk group"
        rows.append(("models", "all models", text))
    rows += leakage_notes(checks)
    rows += quality
    rows += _too_small(sizes)
    return pd.DataFrame(rows, columns=["source", "item", "note"]).drop_duplicates(ignore_index=True)
