"""What each feature of a patient adds to the risk: linear terms, Shapley values of trees, sampled Shapley values.

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

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from amlprognosis.models.preprocess import frame_values

if TYPE_CHECKING:
    from amlprognosis.models.base import RiskModel

# Orders that are sampled, each with its reverse.
PAIRS = 64

# How the risk follows from baseline + contributions.
SCALES = {
    "risk": "the sum is the risk",
    "log_odds": "the risk is 1 / (1 + exp(-sum))",
    "probability": "the risk is the sum, cut off at 0 and 1",
    "uncalibrated_probability": "the risk is the sum after the Platt scaling in model.json",
}


class Additive(NamedTuple):
    """A model's output for prepared patients, taken apart.

    Attributes
    ----------
    baseline : float
    terms : ndarray (n, p)
        Contributions; ``baseline + terms.sum(axis=1)`` is the output.
    method : {"linear", "tree_shap", "sampled"}
    scale : str
        Key of ``SCALES``.
    """

    baseline: float
    terms: np.ndarray
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
    order = by_name[np.argsort(-np.abs(own.terms[:, by_name]), axis=1, kind="stable")]
    table = pd.DataFrame(
        {
            "patient": np.repeat(X.index.to_numpy(), names.size),
            "feature": names[order].ravel(),
            "value": np.take_along_axis(given, order, axis=1).ravel(),
            "contribution": np.take_along_axis(own.terms, order, axis=1).ravel(),
            "method": own.method,
        }
    )
    return Contributions(table, own.baseline, own.baseline + own.terms.sum(axis=1), own.scale)


def linear_terms(values: np.ndarray, coefficients: np.ndarray, baseline: float = 0.0) -> Additive:
    """Take ``baseline + values @ coefficients`` apart for prepared patients ``values`` (n, p)."""
    return Additive(float(baseline), values * coefficients, "linear")


def sampled_terms(
    function: Callable[[np.ndarray], np.ndarray], values: np.ndarray, reference: np.ndarray, seed: int
) -> Additive:
    """Sample Shapley values of any function of prepared patients.

    The features of a reference patient become the patient's one after another, in ``PAIRS`` random orders and their
    reverses; a feature's contribution is its mean step. The orders are the same for every patient.

    Parameters
    ----------
    function : callable (n, p) -> (n,)
    values : ndarray (n, p)
    reference : ndarray (p,)
    seed : int
        Of the orders.
    """
    from amlprognosis.models.learners.inner_folds import one_blas_thread

    p = reference.size
    rng = np.random.default_rng(seed)
    drawn = np.array([rng.permutation(p) for _ in range(PAIRS)])
    place = np.argsort(np.vstack([drawn, drawn[:, ::-1]]), axis=1)
    known = place[:, None, :] < np.arange(p + 1)[:, None]
    terms = np.empty(values.shape)
    with one_blas_thread():
        baseline = float(function(reference[None, :])[0])
        for i, patient in enumerate(values):
            path = function(np.where(known, patient, reference).reshape(-1, p)).reshape(-1, p + 1)
            terms[i] = np.take_along_axis(np.diff(path, axis=1), place, axis=1).mean(axis=0)
    return Additive(baseline, terms, "sampled")
