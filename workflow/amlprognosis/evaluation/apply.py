"""Frozen models applied to cohorts that had no part in them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from amlprognosis.errors import InputError
from amlprognosis.evaluation.crossvalidate import predict_frame
from amlprognosis.evaluation.inputs import read_frozen
from amlprognosis.evaluation.notes import NOTE_COLUMNS
from amlprognosis.study import Study


def apply_models(
    study: Study, cohort: str, features: pd.DataFrame, models: Iterable[str | Path]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Predictions of the frozen models for a locked cohort.

    Parameters
    ----------
    study : Study
    cohort : str
        Name of the validation cohort.
    features : DataFrame, shape (n, p), index = patient
        Adapted to the training platform as the study says.
    models : iterable of path
        Folders of the frozen models.

    Returns
    -------
    predictions : DataFrame
        model, cohort, adaptation, patient, risk, survival columns, risk_group, features_missing.
    notes : DataFrame
        source, item, note: models refused for this cohort, features filled with training values.
    """
    from amlprognosis.models.base import align_features
    from amlprognosis.models.persistence import load_model

    adaptation = study.cohorts[cohort].adaptation[0]
    parts, notes = [], []
    for folder in sorted(map(Path, models), key=lambda path: path.name):
        name = study.model_of_folder(folder.name)
        reason = read_frozen(folder).get("refused")
        if reason:
            continue
        model = load_model(folder)
        try:
            aligned, missing = align_features(model, features, study.features.max_missing_share)
            empty = [column for column in aligned.columns if aligned[column].isna().all() and column not in missing]
            limit = study.features.max_missing_share * aligned.shape[1]
            if empty and len(missing) + len(empty) > limit:
                raise InputError(
                    f"{len(missing) + len(empty)} of {aligned.shape[1]} features have no value in this cohort "
                    f"({', '.join([*missing, *empty][:5])})"
                )
        except InputError as error:
            notes.append({"source": f"validation: {cohort}", "item": name, "note": f"not applied: {error}"})
            continue
        if missing or empty:
            filled = ", ".join([*missing, *empty][:8])
            note = f"{len(missing) + len(empty)} features without values filled as in training: {filled}"
            notes.append({"source": f"validation: {cohort}", "item": name, "note": note})
        uses_expression = any(column.startswith("expression:") for column in aligned.columns)
        table = predict_frame(model, aligned, study.evaluation.horizons_years)
        parts.append(
            table.assign(
                model=name,
                cohort=cohort,
                adaptation=adaptation if uses_expression else "none",
                features_missing=len(missing) + len(empty),
            )
        )
    if not parts:
        raise InputError(
            f"no model can be applied to validation cohort {cohort}: "
            + "; ".join(f"{row['item']}: {row['note']}" for row in notes)
        )
    predictions = pd.concat(parts, ignore_index=True)
    predictions = predictions.sort_values(["model", "patient"], kind="stable").reset_index(drop=True)
    return predictions, pd.DataFrame(notes, columns=NOTE_COLUMNS)
