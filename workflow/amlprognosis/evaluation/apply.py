"""Frozen models applied to cohorts that had no part in them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from amlprognosis.errors import InputError
from amlprognosis.evaluation.inputs import read_frozen
from amlprognosis.evaluation.notes import NOTE_COLUMNS
from amlprognosis.study import Study


def apply_models(
    study: Study, cohort: str, features: pd.DataFrame, models: Iterable[str | Path]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Predictions of the frozen models for a locked cohort, under each adaptation that the study asks for.

    Parameters
    ----------
    study : Study
    cohort : str
        Name of the validation cohort.
    features : DataFrame, shape (n, p), index = patient
        As :func:`amlprognosis.normalize.harmonize.validation_features` gives them, not adapted.
    models : iterable of path
        Folders of the frozen models.

    Returns
    -------
    predictions : DataFrame
        model, cohort, adaptation, patient, risk, survival columns, risk_group, features_missing,
        features_out_of_range. Models without expression have the adaptation "none" alone.
    notes : DataFrame
        source, item, note: models refused for this cohort, features filled with training values.
    """
    from amlprognosis.evaluation.scoring import Patients, Shelf, score

    patients, shelf = Patients(features), Shelf()
    parts, notes = [], []
    for folder in sorted(map(Path, models), key=lambda path: path.name):
        name = study.model_of_folder(folder.name)
        if read_frozen(folder).get("refused"):
            continue
        frozen = shelf.open(folder)
        for adaptation in frozen.adaptations(study.cohorts[cohort].adaptation):
            patients.adapted(frozen.platform, adaptation)  # what cannot be made is no fault of one model
            try:
                found = score(frozen, patients, adaptation)
            except InputError as error:
                notes.append((name, f"not applied: {error}"))
                break
            parts.append(found.table.assign(model=name, cohort=cohort))
            if found.lacking:
                text = f"{len(found.lacking)} features without values filled as in training: "
                notes.append((name, text + ", ".join(found.lacking[:8])))
    rows = [{"source": f"validation: {cohort}", "item": name, "note": note} for name, note in dict.fromkeys(notes)]
    if not parts:
        raise InputError(
            f"no model can be applied to validation cohort {cohort}: "
            + "; ".join(f"{row['item']}: {row['note']}" for row in rows)
        )
    predictions = pd.concat(parts, ignore_index=True)
    predictions = predictions.sort_values(["model", "adaptation", "patient"], kind="stable").reset_index(drop=True)
    return predictions, pd.DataFrame(rows, columns=NOTE_COLUMNS)


def main_adaptation_only(study: Study, table: pd.DataFrame) -> pd.DataFrame:
    """Rows of each validation cohort under its main adaptation, the first of the study's list.

    Parameters
    ----------
    study : Study
    table : DataFrame
        cohort, adaptation, model and any other columns: predictions, or a table of metrics.

    Returns
    -------
    DataFrame
        Models that are not applied under it (they have no expression, and stand under "none") keep their rows.
    """
    main = table["cohort"].map({name: study.cohorts[name].adaptation[0] for name in study.validation})
    own = table["adaptation"] == main
    has_main = own.groupby([table["cohort"], table["model"]]).transform("any")
    return table[own | ~has_main].reset_index(drop=True)
