"""Patients prepared once for the penalized Cox models: order, standardized columns, start of a path of penalties."""

from __future__ import annotations

import numpy as np

from amlprognosis.errors import InputError
from amlprognosis.models.cox_fit import fit_cox, weighted_gram
from amlprognosis.models.lasso_kernels import breslow, pivoted_cholesky, spreads
from amlprognosis.models.learners.base import standardize
from amlprognosis.models.risk_sets import RiskSets, risk_sets


def closing_deaths(sets: RiskSets, deaths: np.ndarray) -> np.ndarray:
    """Deaths (n,) of each block of tied times at its last patient, 0 elsewhere: the form the kernels read."""
    out = np.zeros(deaths.size)
    out[sets.starts[1:] - 1] = np.add.reduceat(deaths, sets.starts[:-1])
    return out


def saturated(closing: np.ndarray) -> float:
    """Breslow log partial likelihood of the saturated model: -sum d log d over blocks of tied deaths."""
    tied = closing[closing > 1]
    return -float((tied * np.log(tied)).sum())


def checked_lambdas(lambdas: np.ndarray) -> np.ndarray:
    """Penalties as the kernels take them; InputError if they are not positive and descending."""
    lambdas = np.ascontiguousarray(lambdas, dtype=np.float64)
    if lambdas.size == 0 or not (lambdas > 0).all() or (np.diff(lambdas) > 0).any():
        raise InputError("lambdas must be positive and descending")
    return lambdas


class Cohort:
    """Patients prepared once for any number of paths: descending order of time, standardized columns.

    Parameters
    ----------
    x : ndarray (n, p)
        Finite columns.
    time, event : ndarray (n,)
        Days; True = death.

    Attributes
    ----------
    sets : RiskSets
    columns : ndarray (p, n)
        Standardized (ddof 0), in descending order of time; all 0 for a constant column.
    mean, scale : ndarray (p,)
        Of the input columns; scale 1 for a constant one.
    deaths, closing : ndarray (n,)
        See :mod:`~amlprognosis.models.lasso_kernels`.

    Raises
    ------
    InputError
        If x is not 2D and finite, or nobody died.
    """

    def __init__(self, x: np.ndarray, time: np.ndarray, event: np.ndarray):
        x = np.asarray(x, dtype=np.float64)
        if x.ndim != 2 or not np.isfinite(x).all():
            raise InputError("x must be 2D (n, p) and finite; impute before fitting")
        self.sets = risk_sets(time, event)
        if not self.sets.event.any():
            raise InputError("nobody died: a Cox model needs at least one event")
        z, self.mean, self.scale = standardize(x)
        self.columns = np.ascontiguousarray(z[self.sets.order].T)
        self.deaths = self.sets.event.astype(np.float64)
        self.closing = closing_deaths(self.sets, self.deaths)

    def lambda_sequence(self, alpha: float, n_lambda: int, min_ratio: float, factor: np.ndarray) -> np.ndarray:
        """Geometric sequence from the smallest penalty that keeps no penalized column down to ``min_ratio`` of it.

        Gives (n_lambda,) penalties for penalty factors ``factor`` (p,); InputError if no column varies among patients
        at risk.
        """
        n = self.columns.shape[1]
        eta = np.zeros(n)
        free = np.flatnonzero((factor == 0) & self.columns.any(axis=1))
        if free.size:
            z = np.ascontiguousarray(self.columns[free].T)
            block = np.repeat(np.arange(self.sets.times.size), np.diff(self.sets.starts))
            eta = z @ fit_cox(z, -block.astype(np.float64), self.sets.event, "breslow").beta
        gradient = np.empty(n)
        breslow(eta, np.ones(n), self.deaths, self.closing, np.empty(n), np.empty(n), gradient)
        penalized = factor > 0
        slopes = np.abs(self.columns @ gradient)[penalized] / factor[penalized] / n
        # glmnet starts a ridge path where alpha = 0.001 would start.
        top = float(slopes.max(initial=0.0)) / max(alpha, 1e-3)
        # Rounding leaves about 1e-16 of a column that does not vary among patients at risk.
        if top <= 1e-12:
            raise InputError("no column varies among patients at risk: a penalty path cannot be started")
        # A hair above the first column's slope: rounding must not let it in with a coefficient of 1e-17.
        return top * (1 + 1e-9) * min_ratio ** (np.arange(n_lambda) / max(n_lambda - 1, 1))


class Coordinates:
    """Rows of a training part in few coordinates, in which a squared penalty on coefficients is again the squared norm.

    Columns are scaled by their spread inside the part. A solution under such a penalty lies in the span of the part's
    patients, so never more coordinates than patients are needed.

    Parameters
    ----------
    cohort : Cohort
    inside : ndarray of bool (n,)
        Patients of the part, in the cohort's order.

    Attributes
    ----------
    x : ndarray (n, r)
        All patients.
    """

    def __init__(self, cohort: Cohort, inside: np.ndarray):
        self._columns = cohort.columns
        share = inside / inside.sum()
        spread = spreads(cohort.columns, inside.astype(np.float64))
        self._unit = np.where(spread > 0, 1.0 / np.where(spread > 0, spread, 1.0), 0.0)
        self._pivots: np.ndarray | None = None
        if len(cohort.columns) < inside.sum():
            self.x = np.ascontiguousarray((cohort.columns * self._unit[:, None]).T)
        else:
            products = np.empty((inside.size, inside.size))
            weighted_gram(cohort.columns, self._unit**2, len(cohort.columns), products)
            # Centered at the mean of the part.
            level = products @ share
            products += share @ level - level - level[:, None]
            x, pivots = np.zeros_like(products), np.zeros(int(inside.sum()), dtype=np.int64)
            rank = pivoted_cholesky(products, inside.astype(np.float64), x, pivots)
            self.x = np.ascontiguousarray(x[:, :rank])
            self._pivots, self._share = pivots[:rank], share

    def standardized(self, inner: np.ndarray) -> np.ndarray:
        """Coefficients (k, p) of the cohort's columns from those of the coordinates (k, r)."""
        if self._pivots is not None:
            # A solution is a combination of the pivots' rows, centered.
            patients = np.zeros((self._share.size, len(inner)))
            patients[self._pivots] = np.linalg.solve(self.x[self._pivots].T, inner.T)
            patients -= np.outer(self._share, patients.sum(axis=0))
            inner = (self._columns @ patients).T * self._unit
        return inner * self._unit
