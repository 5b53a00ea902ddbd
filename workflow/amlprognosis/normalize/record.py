"""The quality record of a cohort: what its numbers were, and each patient's before and after normalisation."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from amlprognosis.normalize.scale import FIVE, ScaleEvidence, sample_quantiles

if TYPE_CHECKING:
    from anndata import AnnData

RECORD_VERSION = 1


@dataclass(frozen=True)
class Quantiles:
    """Minimum, quartiles and maximum of each patient's values.

    Attributes
    ----------
    what : str
        What the values are.
    n : int
        Genes or probes.
    values : ndarray (n_patients, 5)
        log2 units; NaN for a patient without values.
    """

    what: str
    n: int
    values: np.ndarray

    @classmethod
    def of(cls, matrix: pd.DataFrame, unit: str, things: str = "genes") -> Quantiles:
        """Of a matrix (n_patients, n_columns) in ``unit``."""
        return cls.known(sample_quantiles(matrix.to_numpy(dtype=float)), matrix.shape[1], unit, things)

    @classmethod
    def known(cls, quantiles: np.ndarray, n: int, unit: str, things: str) -> Quantiles:
        """Of quantiles (n_patients, 101) that are at hand."""
        return cls(f"{unit}, {n:,} {things}", n, quantiles[:, list(FIVE)])

    def content(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {"what": self.what, "n": self.n, "values": [_numbers(row) for row in self.values]}


@dataclass
class Record:
    """What a normalisation notes of itself, each list in the order of its patients.

    Attributes
    ----------
    scale : ScaleEvidence or None
        What the source's numbers are.
    before, after : Quantiles or None
        Of each patient, before and after normalisation.
    missing_share : ndarray (n_patients,)
        Share of the source's values that are missing.
    counts : dict or None
        Of cohorts of counts: method, reference, library_size, detected_genes, factors.
    """

    scale: ScaleEvidence | None = None
    before: Quantiles | None = None
    after: Quantiles | None = None
    missing_share: np.ndarray = field(default_factory=lambda: np.empty(0))
    counts: dict[str, Any] | None = None

    def text(self, patients: pd.Index) -> str:
        """The record as JSON; equal records are equal texts."""
        counts = self.counts and {
            name: _numbers(value) if isinstance(value, np.ndarray) else value for name, value in self.counts.items()
        }
        content: dict[str, Any] = {
            "version": RECORD_VERSION,
            "patients": [str(patient) for patient in patients],
            "scale": self.scale.content() if self.scale else None,
            "before": self.before.content() if self.before else None,
            "after": self.after.content() if self.after else None,
            "missing_share": _numbers(self.missing_share),
            "counts": counts,
        }
        return json.dumps(content, sort_keys=True, allow_nan=False)


def _numbers(values: np.ndarray) -> list[float | None]:
    return [float(f"{value:.6g}") if np.isfinite(value) else None for value in values.tolist()]


def missing_share(matrix: pd.DataFrame) -> np.ndarray:
    """Share of missing values of each sample (n_samples,)."""
    return np.array([np.isnan(row).mean() for row in matrix.to_numpy(dtype=float)])


def quality_record(adata: AnnData) -> dict[str, Any]:
    """The quality record of a cohort; {} for one of an older release, which has none."""
    text = adata.uns.get("quality")
    found: dict[str, Any] = json.loads(text) if text else {}
    return found
