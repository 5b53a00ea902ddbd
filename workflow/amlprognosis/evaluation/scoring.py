"""Frozen models applied to patients: the one way of the workflow's validation and of ``amlprognosis predict``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from amlprognosis.errors import InputError
from amlprognosis.evaluation.crossvalidate import predict_frame
from amlprognosis.models.base import RiskModel, align_features
from amlprognosis.models.persistence import load_model
from amlprognosis.normalize.platform import EXPRESSION, PLATFORM_FILE, PlatformReference, adapt, read_platform


@dataclass(frozen=True)
class FrozenModel:
    """A frozen model with everything that scoring needs beside it.

    Attributes
    ----------
    name : str
        Name of the model in its study.
    model : RiskModel
    horizons_years : tuple of float
        At which survival is told.
    max_missing_share : float
        Largest share of its features that may be without a value.
    platform : PlatformReference or None
        Of the training matrix; None for a model without expression.
    """

    name: str
    model: RiskModel
    horizons_years: tuple[float, ...]
    max_missing_share: float
    platform: PlatformReference | None

    @property
    def needs_expression(self) -> bool:
        """Whether any of its features is a gene."""
        return any(column.startswith(EXPRESSION) for column in self.model.features_in_)

    def adaptations(self, asked: Sequence[str]) -> list[str]:
        """Those of the adaptations asked for that apply: a model without expression is applied once, as it is."""
        return list(asked) if self.needs_expression else ["none"]


@dataclass
class Shelf:
    """Opens frozen models; those that share a platform reference share it in memory, too."""

    platforms: dict[str, PlatformReference] = field(default_factory=dict)

    def open(self, folder: str | Path) -> FrozenModel:
        """Load a model with its platform reference.

        Parameters
        ----------
        folder : path
            ``results/<study>/models/<model>``, or a copy of it.

        Raises
        ------
        InputError
            No such model, one that was refused when it was fitted, a file that was changed, an older format.
        """
        folder = Path(folder)
        model = load_model(folder)
        digest = model.files_.get(PLATFORM_FILE)
        if digest is not None and digest not in self.platforms:
            self.platforms[digest] = read_platform(folder / PLATFORM_FILE)
        try:
            return FrozenModel(
                name=str(model.metadata_["model"]),
                model=model,
                horizons_years=tuple(float(years) for years in model.metadata_["horizons_years"]),
                max_missing_share=float(model.metadata_["max_missing_share"]),
                platform=self.platforms[digest] if digest is not None else None,
            )
        except KeyError as error:
            raise InputError(f"{folder}: the model's metadata lack {error}; it was not frozen by a study") from None


class Patients:
    """Features of some patients, adapted to a platform once for all models that share it.

    Parameters
    ----------
    features : DataFrame (n, p), index = patient
        log2 expression as ``expression:<gene>``, ``clinical:<name>``, ``mutation:<gene>``; NaN = missing.
    """

    def __init__(self, features: pd.DataFrame) -> None:
        self.features = features
        self._adapted: dict[tuple[int, str], pd.DataFrame] = {}

    def adapted(self, platform: PlatformReference | None, adaptation: str) -> pd.DataFrame:
        """Features under an adaptation (:func:`amlprognosis.normalize.platform.adapt`)."""
        if adaptation == "none":
            return self.features
        if platform is None:
            raise InputError(
                f"adaptation {adaptation!r}: the model has no reference of its training platform; use none"
            )
        key = (id(platform), adaptation)
        if key not in self._adapted:
            self._adapted[key] = adapt(self.features, platform, adaptation)
        return self._adapted[key]


@dataclass(frozen=True)
class Scored:
    """What a model says of patients under an adaptation.

    Attributes
    ----------
    table : DataFrame
        model, adaptation, patient, risk, survival columns, risk_group, features_missing, features_out_of_range.
    aligned : DataFrame (n, n_features), index = patient
        The features that the model read, adapted; NaN where it filled in a training value.
    missing, outside : ndarray of bool (n, n_features)
        Where a patient has no value, and where it lies outside the range of the training patients.
    lacking : list of str
        Features without a value in any patient.
    """

    table: pd.DataFrame
    aligned: pd.DataFrame
    missing: np.ndarray
    outside: np.ndarray
    lacking: list[str]


def score(frozen: FrozenModel, patients: Patients, adaptation: str = "none") -> Scored:
    """Score patients with a frozen model.

    Under every adaptation but ``cohort_rescaling`` a patient's figures are the same alone and among others.

    Parameters
    ----------
    frozen : FrozenModel
    patients : Patients
    adaptation : str
        As in :func:`amlprognosis.normalize.platform.adapt`.

    Returns
    -------
    Scored

    Raises
    ------
    InputError
        More of the model's features than ``frozen.max_missing_share`` are without a value in every patient, or the
        adaptation cannot be made.
    """
    model = frozen.model
    features = patients.adapted(frozen.platform, adaptation)
    aligned, lacking = align_features(model, features, frozen.max_missing_share)
    values = aligned.to_numpy(dtype=float)
    low, high = model.preprocessor_.minimum_, model.preprocessor_.maximum_
    missing, outside = np.isnan(values), (values < low) | (values > high)
    table = predict_frame(model, aligned, frozen.horizons_years)
    table.insert(0, "model", frozen.name)
    table.insert(1, "adaptation", adaptation)
    table["features_missing"] = missing.sum(axis=1)
    table["features_out_of_range"] = outside.sum(axis=1)
    return Scored(table, aligned, missing, outside, lacking)
