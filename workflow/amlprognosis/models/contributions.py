"""What each feature of a patient adds to the risk: linear parts, Shapley values of trees, sampled Shapley values.

For every patient the baseline and the contributions sum to what the model says, on a scale that is named:

- linear models: coefficient x (value - center) / scale, exact; the baseline is the risk at the training means;
- trees: Shapley values that follow the trees' own paths (Lundberg 2020, doi:10.1038/s42256-019-0138-9), exact; the
  baseline is the mean over the training patients (of our forests), or XGBoost's own expectation;
- nearest neighbours, networks and support vectors with a kernel: Shapley values by sampled orders of the features
  (Strumbelj 2014, doi:10.1007/s10115-013-0679-x), whose sum is exact; the baseline is the risk of a patient with the
  training fills (medians, frequencies).

A missing value contributes what the value filled in for it does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from amlprognosis.models.preprocess import frame_values

if TYPE_CHECKING:
    from amlprognosis.models.base import RiskModel

# How the risk follows from baseline + contributions.
SCALES = {
    "risk": "the sum is the risk",
    "log_odds": "the risk is 1 / (1 + exp(-sum))",
    "probability": "the risk is the sum, cut off at 0 and 1",
    "uncalibrated_probability": "the risk is the sum after the Platt scaling in model.json",
}


class Parts(NamedTuple):
    """A model's output for prepared patients, taken apart.

    Attributes
    ----------
    baseline : float
    parts : ndarray (n, p)
        Contributions; ``baseline + parts.sum(axis=1)`` is the output.
    method : {"linear", "tree_shap", "sampled"}
    scale : str
        Key of ``SCALES``.
    """

    baseline: float
    parts: np.ndarray
    method: str
    scale: str = "risk"


@dataclass(frozen=True)
class Contributions:
    """Contributions of each feature to each patient's risk.

    Attributes
    ----------
    table : DataFrame
        patient, feature, value (as given, NaN = missing), contribution, method ("linear", "tree_shap": exact;
        "sampled"). Patients in the order given, within a patient the largest contribution first.
    baseline : float
        The same for all patients.
    totals : ndarray (n,)
        baseline + sum of contributions of each patient.
    scale : str
        What the totals are: a key of ``SCALES``, which says how the risk follows.
    """

    table: pd.DataFrame
    baseline: float
    totals: np.ndarray
    scale: str


def contributions(model: RiskModel, X: pd.DataFrame) -> Contributions:
    """Take the risk of patients apart into contributions of their features.

    Parameters
    ----------
    model : RiskModel
        Fitted or loaded.
    X : DataFrame (n, p), index = patient
        All columns in ``model.features_in_`` (see :func:`~amlprognosis.models.base.align_features`), NaN = missing.

    Returns
    -------
    Contributions

    Raises
    ------
    InputError
        If columns are absent, as for ``model.predict``.
    """
    own = model._contributions(model._design(X))
    names = np.array(model.features_in_)
    given = frame_values(X, model.features_in_)
    by_name = np.argsort(names, kind="stable")
    order = by_name[np.argsort(-np.abs(own.parts[:, by_name]), axis=1, kind="stable")]
    table = pd.DataFrame(
        {
            "patient": np.repeat(X.index.to_numpy(), names.size),
            "feature": names[order].ravel(),
            "value": np.take_along_axis(given, order, axis=1).ravel(),
            "contribution": np.take_along_axis(own.parts, order, axis=1).ravel(),
            "method": own.method,
        }
    )
    return Contributions(table, own.baseline, own.baseline + own.parts.sum(axis=1), own.scale)


def linear_parts(values: np.ndarray, coefficients: np.ndarray, baseline: float = 0.0) -> Parts:
    """Parts of ``baseline + values @ coefficients`` for prepared patients ``values`` (n, p)."""
    return Parts(float(baseline), values * coefficients, "linear")
