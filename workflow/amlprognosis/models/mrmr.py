"""Selection by minimum redundancy and maximum relevance.

Sources: Ding & Peng 2005, doi:10.1142/S0219720005001004 (the quotient of F statistic and mean correlation, "FCQ");
Peng 2005, doi:10.1109/TPAMI.2005.159.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.feature_selection import SelectorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from amlprognosis.errors import InputError

_DIGITS = 12


def _scaled(x: np.ndarray, root: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Columns centered at their weighted means, times root weights, at length 1; all 0 where they do not vary."""
    mean = (root * root) @ x
    scaled = (x - mean) * root[:, None]
    length = np.sqrt(np.einsum("ij,ij->j", scaled, scaled))
    varies = length > 1e-9 * np.maximum(np.abs(mean), 1e-300)
    scaled /= np.where(varies, length, 1.0)
    scaled[:, ~varies] = 0.0
    return scaled, varies


def _f_statistic(correlation: np.ndarray, n: int) -> np.ndarray:
    """F of a straight line, for two classes that of their means; finite for a perfect correlation."""
    square = np.minimum(correlation * correlation, 1.0 - 1e-12)
    return square / (1.0 - square) * max(n - 2, 1)


def mrmr(
    x: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray | None = None,
    n_selected: int = 30,
    n_candidates: int | None = None,
) -> np.ndarray:
    """Choose columns that tell much of a target and little of each other.

    The most relevant column comes first; each next one has the largest quotient of its relevance (weighted F
    statistic of the target) and its redundancy (mean absolute weighted correlation with those chosen). A mean
    correlation below 1 / sqrt(n), what unrelated columns show by chance, counts as that. A copy of a chosen column, up
    to scale, is never chosen.

    Parameters
    ----------
    x : ndarray (n, p)
        Finite columns.
    target : ndarray (n,)
        0/1 labels or numbers (pseudo-observations).
    weight : ndarray (n,), optional
        At least 0; default 1.
    n_selected : int
        Columns to choose.
    n_candidates : int, optional
        Only this many columns of the largest F are looked at; default 500, at least 10 per column to choose.

    Returns
    -------
    ndarray of int (k,)
        Positions in the order of choice; fewer than asked for if fewer columns differ. Ties go to the first column.

    Raises
    ------
    InputError
        If shapes or numbers are unusable, or no column varies.
    """
    x, target = np.asarray(x, dtype=np.float64), np.asarray(target, dtype=np.float64)
    weight = np.ones(len(x)) if weight is None else np.asarray(weight, dtype=np.float64)
    if x.ndim != 2 or target.shape != (len(x),) or weight.shape != (len(x),):
        raise InputError(
            f"mRMR needs x (n, p), target (n,), weight (n,); got {x.shape}, {target.shape}, {weight.shape}"
        )
    if n_selected < 1:
        raise InputError(f"n_selected must be at least 1, got {n_selected}")
    if not np.isfinite(x.sum()) or not np.isfinite(target).all():
        raise InputError("mRMR: missing or infinite values; impute first")
    if not np.isfinite(weight).all() or (weight < 0).any() or not weight.any():
        raise InputError("mRMR: weights must be finite, at least 0, and not all zero")
    used = weight > 0
    if not used.all():
        x, target, weight = x[used], target[used], weight[used]
    root = np.sqrt(weight / weight.sum())
    label, label_varies = _scaled(target[:, None], root)
    if not label_varies[0]:
        raise InputError("mRMR: the target is the same for everybody; there is nothing to be relevant for")
    columns, varies = _scaled(x, root)
    if not varies.any():
        raise InputError("mRMR: no column varies")
    # Rounding makes copies of a column equal to the last bit, so that the first of them is the one chosen.
    relevance = np.where(varies, _f_statistic(np.round(label[:, 0] @ columns, _DIGITS), len(x)), -1.0)
    n_kept = min(
        int(varies.sum()), max(500, 10 * n_selected) if n_candidates is None else max(n_candidates, n_selected)
    )
    candidates = np.argsort(-relevance, kind="stable")[:n_kept]
    relevance, columns = relevance[candidates], np.ascontiguousarray(columns[:, candidates].T)
    chosen = [0]
    free = np.ones(n_kept, dtype=bool)
    redundancy = np.zeros(n_kept)
    floor = 1.0 / np.sqrt(len(x))
    while len(chosen) < min(n_selected, n_kept):
        alike = np.abs(np.round(columns @ columns[chosen[-1]], _DIGITS))
        free &= alike < 1.0 - 1e-9
        if not free.any():
            break
        redundancy += alike
        merit = np.where(free, relevance / np.maximum(redundancy / len(chosen), floor), -1.0)
        chosen.append(int(np.argmax(merit)))
    return candidates[chosen]


class MRMRSelector(SelectorMixin, BaseEstimator):
    """Columns of minimum redundancy and maximum relevance, as a step of a Pipeline.

    Parameters
    ----------
    n_selected : int
        Columns to choose.
    n_candidates : int, optional
        See :func:`mrmr`.
    horizon_years : float
        For a survival outcome: relevance is for death by this horizon, with inverse-probability-of-censoring weights.

    Attributes
    ----------
    ranking_ : ndarray of int (k,)
        Columns in the order of choice.
    support_ : ndarray of bool (p,)
    """

    def __init__(self, n_selected: int = 30, n_candidates: int | None = None, horizon_years: float = 5.0):
        self.n_selected = n_selected
        self.n_candidates = n_candidates
        self.horizon_years = horizon_years

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> MRMRSelector:
        """Choose columns.

        Parameters
        ----------
        X : array-like (n, p)
            Finite features.
        y : structured ndarray (n,) or array-like (n,)
            Fields ``event`` and ``time`` (days), or a label of 0 and 1, or a number.
        sample_weight : array-like (n,), optional
            Multiplies the weights.

        Returns
        -------
        self

        Raises
        ------
        InputError
            If a value is missing or infinite, or the outcome is the same for everybody.
        """
        if y is None:
            raise InputError(f"{type(self).__name__} requires y to be passed, but the target y is None")
        try:
            x = validate_data(self, X, dtype=np.float64, ensure_min_samples=2)
        except ValueError as error:
            raise InputError(f"{type(self).__name__}: {error}") from error
        target, weight = np.asarray(y), np.ones(len(x))
        if target.dtype.names is not None:
            from amlprognosis.models.base import check_outcome
            from amlprognosis.models.horizon.weights import ipcw
            from amlprognosis.study import horizon_days

            target, weight = ipcw(*check_outcome(y, len(x)), horizon_days(self.horizon_years))
        if sample_weight is not None:
            weight = weight * np.asarray(sample_weight, dtype=np.float64)
        self.ranking_ = mrmr(x, target, weight, self.n_selected, self.n_candidates)
        self.support_ = np.zeros(x.shape[1], dtype=bool)
        self.support_[self.ranking_] = True
        return self

    def _get_support_mask(self) -> np.ndarray:
        check_is_fitted(self)
        return self.support_

    def __sklearn_tags__(self) -> Any:
        """Tags for scikit-learn: the outcome is needed."""
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags
