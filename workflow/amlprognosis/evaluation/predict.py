"""``amlprognosis predict``: tables of new patients in, what frozen models say of them out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from amlprognosis.cohort import shown
from amlprognosis.errors import InputError
from amlprognosis.evaluation.scoring import FrozenModel, Patients, Scored, Shelf, score
from amlprognosis.normalize.harmonize import clinical_columns
from amlprognosis.normalize.platform import PlatformReference
from amlprognosis.retrieve.patients import (
    read_patient_clinical,
    read_patient_expression,
    read_patient_mutations,
    training_units,
)
from amlprognosis.study import horizon_suffix

# A patient of the training population has one value in (n + 1) / 2 outside the range of n others.
SHARE_OUTSIDE = 0.05
CURVES = ["model", "adaptation", "patient", "days", "survival"]
CONTRIBUTIONS = [*CURVES[:3], "feature", "value", "contribution", "method", "baseline", "scale"]
_SOURCE_OF = {"sex_male": "sex", "risk_intermediate": "risk", "risk_adverse": "risk"}
_BESIDE = {"expression": "--expression", "clinical": "--clinical", "mutation": "--mutations"}


@dataclass(frozen=True)
class Tables:
    """Paths of the patients' tables and what the expression is.

    Attributes
    ----------
    expression, clinical, mutations : path, optional
    scale : {"log2", "linear", "counts"}
    orientation : {"auto", "genes_in_rows", "samples_in_rows"}
    """

    expression: str | Path | None = None
    clinical: str | Path | None = None
    mutations: str | Path | None = None
    scale: str = "log2"
    orientation: str = "auto"


@dataclass(frozen=True)
class Prediction:
    """What frozen models say of new patients.

    Attributes
    ----------
    table : DataFrame
        patient, model, adaptation, risk, risk_group, survival_<h>y, features_missing, features_out_of_range, warnings.
        A patient who lacks too many features has no risk, and the warning says so.
    curves : DataFrame
        model, adaptation, patient, days, survival: the steps of each survival curve.
    contributions : DataFrame
        model, adaptation, patient, feature, value, contribution, method, baseline, scale
        (:func:`amlprognosis.models.contributions.contributions`).
    notes : list of str
        About the tables as a whole.
    """

    table: pd.DataFrame
    curves: pd.DataFrame
    contributions: pd.DataFrame
    notes: list[str]


def predict(
    folders: Sequence[str | Path],
    tables: Tables,
    adaptation: str | None = None,
    curves: bool = False,
    contributions: bool = False,
) -> Prediction:
    """Score new patients with frozen models.

    Parameters
    ----------
    folders : sequence of path
        Folders of frozen models.
    tables : Tables
        Patients are those of the expression table if a model reads it, else of the clinical table, else of the
        mutations.
    adaptation : str, optional
        As in :func:`amlprognosis.normalize.platform.adapt`; the models' own default when left out.
    curves, contributions : bool
        Whether to make these tables, too.

    Returns
    -------
    Prediction

    Raises
    ------
    InputError
        A fault of a model's folder or of a table, or too many features missing in all patients.
    """
    shelf = Shelf()
    models = [shelf.open(folder) for folder in folders]
    names = [frozen.name for frozen in models]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"--model: two models are called {shown(twice)}; score them one after the other")
    reader = _Reader(models, tables)
    rows, steps, parts = [], [], []
    for frozen in models:
        own = adaptation or str(frozen.model.metadata_["adaptation"])
        own = frozen.adaptations([own])[0]
        patients = reader.patients_for(frozen)
        try:
            found = score(frozen, patients, own)
        except InputError as error:
            raise InputError(f"{frozen.name}: {error}{_not_given(frozen, tables)}") from None
        scored = _told(frozen, found, patients, tables)
        rows.append(scored)
        there = found.aligned[scored["risk"].notna().to_numpy()]
        if curves:
            steps.append(_curves(frozen, there).assign(model=frozen.name, adaptation=own))
        if contributions:
            parts.append(_contributions(frozen, there).assign(model=frozen.name, adaptation=own))
    table = pd.concat(rows, ignore_index=True)
    years = sorted({years for frozen in models for years in frozen.horizons_years})
    survival = [f"survival_{horizon_suffix(value)}" for value in years]
    ends = ["features_missing", "features_out_of_range", "warnings"]
    return Prediction(
        table[["patient", "model", "adaptation", "risk", "risk_group", *survival, *ends]],
        _stacked(steps, CURVES),
        _stacked(parts, CONTRIBUTIONS),
        reader.notes,
    )


def _stacked(parts: list[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


class _Reader:
    """Reads the tables once and gives each model the features that it may look at."""

    def __init__(self, models: Sequence[FrozenModel], tables: Tables) -> None:
        self.tables = tables
        self.notes: list[str] = []
        needed = sorted({column for frozen in models for column in frozen.model.features_in_})
        genes = {gene for frozen in models if frozen.platform is not None for gene in frozen.platform.genes}
        hungry = [frozen.name for frozen in models if frozen.needs_expression]
        if hungry and tables.expression is None:
            raise InputError(f"{shown(hungry)}: needs expression; give --expression")
        without = [frozen.name for frozen in models if frozen.needs_expression and frozen.platform is None]
        if without:
            raise InputError(f"{shown(without)}: frozen without the reference of its platform; run the study again")
        self.matrix: pd.DataFrame | None = None
        if hungry and tables.expression is not None:
            self.matrix, notes = read_patient_expression(tables.expression, genes, tables.orientation)
            self.notes += notes
        elif tables.expression is not None:
            self.notes.append(f"{tables.expression}: no model reads expression; not looked at")
        self.patients = None if self.matrix is None else _named(self.matrix.index)
        self.rest = [block for block in (self._clinical(needed), self._mutations(needed)) if block is not None]
        if self.patients is None:
            read = {column.split(":", 1)[0] for column in needed}
            give = " or ".join(option for kind, option in _BESIDE.items() if kind in read)
            raise InputError(f"{shown(frozen.name for frozen in models)}: there are no patients: give {give}")
        self._made: dict[int, Patients] = {}

    def _clinical(self, needed: list[str]) -> pd.DataFrame | None:
        if self.tables.clinical is None:
            return None
        names = [column.removeprefix("clinical:") for column in needed if column.startswith("clinical:")]
        wanted = {_SOURCE_OF.get(name, name) for name in names}
        obs, notes = read_patient_clinical(self.tables.clinical, wanted)
        self.notes += notes
        return self._matched(clinical_columns(obs, obs.columns), self.tables.clinical)

    def _mutations(self, needed: list[str]) -> pd.DataFrame | None:
        if self.tables.mutations is None:
            return None
        genes = [column.removeprefix("mutation:") for column in needed if column.startswith("mutation:")]
        patients = list(self.patients) if self.patients is not None else None
        return self._matched(read_patient_mutations(self.tables.mutations, genes, patients), self.tables.mutations)

    def _matched(self, block: pd.DataFrame, path: str | Path) -> pd.DataFrame:
        """Rows of the patients to score; the first table that is read says who they are."""
        block = block.set_axis(_named(block.index), axis=0)
        if self.patients is None:
            self.patients = block.index
        lacking = list(self.patients.difference(block.index, sort=False))
        if len(lacking) == len(self.patients):
            raise InputError(
                f"{path}: none of its patients ({shown(block.index, 3)}) is one of those to score "
                f"({shown(self.patients, 3)}); the first column must name the patient as the other table does"
            )
        if lacking:
            self.notes.append(f"{path}: no row for {shown(lacking)}: their values count as missing")
        return block.reindex(self.patients)

    def patients_for(self, frozen: FrozenModel) -> Patients:
        """Features in the units of a model's training, shared by models of the same platform."""
        platform = frozen.platform if frozen.needs_expression else None
        if id(platform) not in self._made:
            self._made[id(platform)] = Patients(self._features(platform))
        return self._made[id(platform)]

    def _features(self, platform: PlatformReference | None) -> pd.DataFrame:
        blocks = [*self.rest]
        if platform is not None and self.matrix is not None:
            units = training_units(self.matrix, self.tables.scale, platform, str(self.tables.expression))
            blocks.insert(0, units.set_axis(self.patients, axis=0))
        return pd.concat(blocks, axis=1) if blocks else pd.DataFrame(index=self.patients)


def _named(names: pd.Index) -> pd.Index:
    return pd.Index([str(name) for name in names], name="patient", dtype=object)


def _not_given(frozen: FrozenModel, tables: Tables) -> str:
    given = {"expression": tables.expression, "clinical": tables.clinical, "mutation": tables.mutations}
    kinds = {column.split(":", 1)[0] for column in frozen.model.features_in_}
    absent = [_BESIDE[kind] for kind in _BESIDE if kind in kinds and given[kind] is None]
    return f" ({' and '.join(absent)} not given)" if absent else ""


def _told(frozen: FrozenModel, found: Scored, patients: Patients, tables: Tables) -> pd.DataFrame:
    """The table of a model with its warnings; patients who lack too much lose their figures."""
    table = found.table.copy()
    count = found.missing.shape[1]
    too_few = found.missing.sum(axis=1) > frozen.max_missing_share * count
    if too_few.all():
        raise InputError(
            f"{frozen.name}: every patient lacks more than {frozen.max_missing_share:.0%} of its {count} features"
            f"{_not_given(frozen, tables)}"
        )
    figures = [column for column in table.columns if column == "risk" or column.startswith("survival_")]
    table.loc[too_few, figures] = np.nan
    table.loc[too_few, "risk_group"] = ""
    common = _about_adaptation(frozen, found, patients)
    table["warnings"] = [
        "; ".join(_warnings(frozen, found, row, bool(too_few[row])) + common[row]) for row in range(len(table))
    ]
    return table


def _warnings(frozen: FrozenModel, found: Scored, row: int, too_few: bool) -> list[str]:
    names = np.array([column.split(":", 1)[1] for column in frozen.model.features_in_])
    lacking, beyond = names[found.missing[row]], names[found.outside[row]]
    texts = []
    if too_few:
        limit = f"at most {frozen.max_missing_share:.0%} may be"
        texts.append(f"not scored: {lacking.size} of {names.size} features missing ({limit}): {shown(lacking)}")
    elif lacking.size:
        texts.append(f"{lacking.size} of {names.size} features missing, filled as in training: {shown(lacking)}")
    clinical = np.array([column.startswith("clinical:") for column in frozen.model.features_in_])
    # An age in other units is one feature among many, and no accident.
    first = names[found.outside[row] & clinical]
    if beyond.size > SHARE_OUTSIDE * names.size or first.size:
        beyond = np.concatenate([first, names[found.outside[row] & ~clinical]])
        texts.append(f"{beyond.size} of {names.size} features outside the training range: {shown(beyond)}")
    return texts


def _about_adaptation(frozen: FrozenModel, found: Scored, patients: Patients) -> list[list[str]]:
    """Warnings of each patient about the adaptation."""
    adaptation, platform = str(found.table["adaptation"].iloc[0]), frozen.platform
    n = len(found.table)
    if adaptation == "none" or platform is None:
        return [[] for _ in range(n)]
    if adaptation == "cohort_rescaling":
        return [[f"re-scaled among these {n} patients: holds for this group, not for one new patient"]] * n
    there = patients.features.reindex(columns=platform.columns).notna().sum(axis=1).to_numpy()
    least = (1 - frozen.max_missing_share) * len(platform.genes)
    text = "ranked among {} of the {} genes of the training matrix"
    return [[text.format(count, len(platform.genes))] if count < least else [] for count in there]


def _curves(frozen: FrozenModel, aligned: pd.DataFrame) -> pd.DataFrame:
    """Survival at every step of the model's curve from day 0; of a classifier at its horizon alone."""
    model = frozen.model
    if hasattr(model, "baseline_times_"):
        days = np.concatenate([[0.0], model.baseline_times_])
    else:
        days = np.array([0.0, model.horizon_days_])
    survival = model.predict_survival(aligned, days)
    survival[:, 0] = 1.0
    patients = np.repeat(aligned.index.to_numpy(), days.size)
    return pd.DataFrame({"patient": patients, "days": np.tile(days, len(aligned)), "survival": survival.ravel()})


def _contributions(frozen: FrozenModel, aligned: pd.DataFrame) -> pd.DataFrame:
    from amlprognosis.models.contributions import contributions

    found = contributions(frozen.model, aligned)
    return found.table.assign(baseline=found.baseline, scale=found.scale)
