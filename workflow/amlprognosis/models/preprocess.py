"""Preparation of columns inside a training part: selection, filters, imputation, standardization.

Everything learned is a plain list or array, so that a frozen model can be written as JSON and applied to one patient.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from amlprognosis.errors import InputError


def shorten(names: Iterable[str], limit: int = 8) -> str:
    """Write names for a message, the first few and how many more."""
    names = list(names)
    rest = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {rest} more" if rest > 0 else "")


def select_columns(available: Iterable[str], wanted: Sequence[str]) -> tuple[list[str], list[str]]:
    """Resolve column names and prefixes.

    Parameters
    ----------
    available : iterable of str
        Columns of a feature frame, ``<block>:<name>``.
    wanted : sequence of str
        Names, or prefixes that end in ``*`` (``expression:*``, ``clinical:risk_*``).

    Returns
    -------
    selected : list of str
        In the order of ``available``, each once.
    absent : list of str
        Names without a column, and prefixes that match none, sorted.
    """
    available = list(available)
    known = set(available)
    exact = {name for name in wanted if not name.endswith("*")}
    prefixes = sorted({name[:-1] for name in wanted if name.endswith("*")})
    absent = sorted(exact - known)
    absent += [f"{p}*" for p in prefixes if not any(name.startswith(p) for name in available)]
    starts = tuple(prefixes)
    return [name for name in available if name in exact or (starts and name.startswith(starts))], absent


def frame_values(x: pd.DataFrame, names: Sequence[str]) -> np.ndarray:
    """Take columns as a float64 matrix (n, len(names)); missing stays NaN.

    Raises
    ------
    InputError
        If a column is absent, stands twice, is not numeric, or holds an infinite value.
    """
    if not isinstance(x, pd.DataFrame):
        raise InputError(f"features must be a pandas DataFrame with named columns, got {type(x).__name__}")
    if not x.columns.is_unique:
        raise InputError(f"feature columns stand twice: {shorten(sorted(set(x.columns[x.columns.duplicated()])))}")
    at = x.columns.get_indexer(list(names))
    if (at < 0).any():
        absent = [name for name, position in zip(names, at, strict=True) if position < 0]
        raise InputError(f"{len(absent)} needed columns are absent: {shorten(absent)}")
    part = x if len(at) == x.shape[1] and (at == np.arange(len(at))).all() else x.iloc[:, at]
    try:
        values = part.to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        bad = [name for name in names if not pd.api.types.is_numeric_dtype(x[name])]
        raise InputError(f"columns are not numeric: {shorten(bad) or error}; encode them as numbers") from error
    infinite = np.isinf(values).any(axis=0)
    if infinite.any():
        bad = [name for name, flag in zip(names, infinite, strict=True) if flag]
        raise InputError(f"infinite values in {shorten(bad)}; mark missing values as NaN")
    return values


class Preprocessor:
    """Learn which columns are usable in a training part, and how to fill and scale them.

    Parameters
    ----------
    columns : sequence of str
        Names, or prefixes that end in ``*``.
    impute : {"median", "mean"}
        Fill of missing values. Columns of only 0 and 1 always take their training frequency.
    max_missing_share : float
        Columns with a larger share of missing values are dropped.
    standardize : bool
        Subtract the training mean and divide by the training standard deviation (ddof 0).
    min_minority : int
        Binary columns with fewer patients in the rarer class are dropped.

    Attributes
    ----------
    features_ : list of str
        Columns kept.
    center_, scale_, fill_, minimum_, maximum_ : ndarray (n_features,)
        Learned from the training part; ranges are those of the observed values.
    dropped_ : list of dict
        Rows {"step", "item", "reason"} of what was dropped.
    """

    def __init__(
        self,
        columns: Sequence[str],
        impute: str = "median",
        max_missing_share: float = 0.2,
        standardize: bool = True,
        min_minority: int = 1,
    ):
        if impute not in ("median", "mean"):
            raise InputError(f"impute: {impute!r} is not known; use median or mean")
        if not 0 <= max_missing_share < 1:
            raise InputError(f"max_missing_share must lie in [0, 1), got {max_missing_share}")
        self.columns = list(columns)
        self.impute = impute
        self.max_missing_share = max_missing_share
        self.standardize = standardize
        self.min_minority = min_minority

    def fit_transform(self, x: pd.DataFrame) -> np.ndarray:
        """Learn from a training part and return its prepared matrix (n, n_features).

        Raises
        ------
        InputError
            If no column is left, with the reasons.
        """
        selected, absent = select_columns(x.columns, self.columns)
        self.dropped_ = [{"step": "select", "item": name, "reason": "no such column"} for name in absent]
        values = frame_values(x, selected)
        missing = np.isnan(values)
        has_missing = missing.any(axis=0)
        share = missing.mean(axis=0) if len(values) else np.ones(len(selected))
        enough = share <= self.max_missing_share
        low = np.full(len(selected), np.nan)
        high, binary, minority = low.copy(), np.zeros(len(selected), dtype=bool), np.zeros(len(selected))
        if enough.any():
            low[enough] = np.nanmin(values[:, enough], axis=0)
            high[enough] = np.nanmax(values[:, enough], axis=0)
            candidate = np.flatnonzero(enough & (low == 0) & (high == 1))
            part = values[:, candidate]
            ones = (part == 1).sum(axis=0)
            zeros = (part == 0).sum(axis=0)
            is_binary = ones + zeros + missing[:, candidate].sum(axis=0) == len(values)
            binary[candidate] = is_binary
            minority[candidate] = np.minimum(ones, zeros)
        with np.errstate(invalid="ignore"):
            varies = high - low > 1e-12 * np.maximum(np.abs(high), np.abs(low))
        rare = binary & (minority < self.min_minority)
        keep = enough & varies & ~rare
        for j in np.flatnonzero(~keep):
            reason = (
                f"{share[j]:.0%} of values missing"
                if not enough[j]
                else "constant"
                if not varies[j]
                else f"rarer class has {int(minority[j])} patients"
            )
            self.dropped_.append({"step": "filter", "item": selected[j], "reason": reason})
        if not keep.any():
            reasons = shorten([f"{row['item']} ({row['reason']})" for row in self.dropped_], 5)
            raise InputError(f"no usable column among {shorten(self.columns, 5)}: {reasons or 'none given'}")
        self.features_ = [name for name, flag in zip(selected, keep, strict=True) if flag]
        values, has_missing, binary = values[:, keep], has_missing[keep], binary[keep]
        self.minimum_, self.maximum_ = low[keep], high[keep]
        self.fill_ = np.median(values, axis=0) if self.impute == "median" else values.mean(axis=0)
        for j in np.flatnonzero(has_missing):
            seen = values[~np.isnan(values[:, j]), j]
            self.fill_[j] = np.median(seen) if self.impute == "median" and not binary[j] else seen.mean()
        full = binary & ~has_missing
        self.fill_[full] = values[:, full].mean(axis=0)
        values = np.where(np.isnan(values), self.fill_, values) if has_missing.any() else values
        self.center_, self.scale_ = np.zeros(values.shape[1]), np.ones(values.shape[1])
        if self.standardize:
            self.center_, self.scale_ = values.mean(axis=0), values.std(axis=0)
        return (values - self.center_) / self.scale_

    def fit(self, x: pd.DataFrame) -> Preprocessor:
        """Learn from a training part."""
        self.fit_transform(x)
        return self

    def transform(self, x: pd.DataFrame) -> np.ndarray:
        """Prepare patients (n, n_features) as the training part was.

        Raises
        ------
        InputError
            If needed columns are absent.
        """
        values = frame_values(x, self.features_)
        return (np.where(np.isnan(values), self.fill_, values) - self.center_) / self.scale_

    @property
    def reference(self) -> np.ndarray:
        """Prepared values (n_features,) of a patient of whom nothing is known: every value filled in."""
        return (self.fill_ - self.center_) / self.scale_

    def subset(self, names: Sequence[str]) -> Preprocessor:
        """Keep only some of the learned columns, in the order given."""
        at = [self.features_.index(name) for name in names] if len(names) < 50 else None
        if at is None:
            position = {name: j for j, name in enumerate(self.features_)}
            at = [position[name] for name in names]
        out = Preprocessor(list(names), self.impute, self.max_missing_share, self.standardize, self.min_minority)
        out.features_ = list(names)
        for name in ("center_", "scale_", "fill_", "minimum_", "maximum_"):
            setattr(out, name, getattr(self, name)[at])
        out.dropped_ = list(self.dropped_)
        return out

    def to_dict(self) -> dict[str, Any]:
        """Plain content for JSON; the rows of what was dropped stay behind (they belong in a report)."""
        return {
            "settings": {
                "impute": self.impute,
                "max_missing_share": self.max_missing_share,
                "standardize": self.standardize,
                "min_minority": self.min_minority,
            },
            "features": [
                {
                    "name": name,
                    "center": float(self.center_[j]),
                    "scale": float(self.scale_[j]),
                    "fill": float(self.fill_[j]),
                    "minimum": float(self.minimum_[j]),
                    "maximum": float(self.maximum_[j]),
                }
                for j, name in enumerate(self.features_)
            ],
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Preprocessor:
        """Rebuild from :meth:`to_dict`."""
        rows = content["features"]
        out = cls([row["name"] for row in rows], **content["settings"])
        out.features_ = [row["name"] for row in rows]
        for name, key in (
            ("center_", "center"),
            ("scale_", "scale"),
            ("fill_", "fill"),
            ("minimum_", "minimum"),
            ("maximum_", "maximum"),
        ):
            setattr(out, name, np.array([row[key] for row in rows], dtype=np.float64))
        out.dropped_ = []
        return out
