"""Components of PLS-Cox: weights are Cox coefficients of single columns, each adjusted for the earlier components."""

from __future__ import annotations

import numpy as np
from numba import njit

from amlprognosis.errors import InputError
from amlprognosis.models.few_cox_kernels import CONVERGED, newton
from amlprognosis.models.learners.base import standardize
from amlprognosis.models.risk_sets import risk_sets


@njit(cache=True, nogil=True)
def _weights(columns, scores, event, starts, start, weights):
    """Fill ``weights`` (p,) with the Cox coefficient of each of ``columns`` (p, n), adjusted for ``scores`` (n, k).

    ``start`` (k,) are the coefficients of the scores alone, from where Newton's method begins. A column whose
    likelihood has no maximum gets a coefficient with ridge penalty 1 instead. Returns the number of those.
    """
    p, n = columns.shape
    k = start.size
    x = np.empty((n, k + 1))
    beta = np.empty(k + 1)
    column = np.empty((n, 1))
    single = np.empty(1)
    nothing = np.zeros(n)
    known = np.zeros(n)
    for i in range(n):
        for a in range(k):
            x[i, a] = scores[i, a]
            known[i] += x[i, a] * start[a]
    failed = 0
    for j in range(p):
        weights[j] = 0.0
        squares = 0.0
        for i in range(n):
            x[i, k] = columns[j, i]
            squares += columns[j, i] * columns[j, i]
        # Standardized columns have a sum of squares of n - 1: nothing but rounding is left of this one.
        if squares < 1e-16 * n:
            continue
        for a in range(k):
            beta[a] = start[a]
        beta[k] = 0.0
        if newton(x, event, starts, nothing, 0.0, beta) == CONVERGED:
            weights[j] = beta[k]
            continue
        for i in range(n):
            column[i, 0] = columns[j, i]
        single[0] = 0.0
        newton(column, event, starts, known, 1.0, single)
        weights[j] = single[0]
        failed += abs(single[0]) > 1e-8
    return failed


class PLSPath:
    """Components of PLS-Cox (Bertrand 2014, doi:10.1093/bioinformatics/btu660), extracted one at a time.

    Columns are standardized (ddof 1). The weight of a column is its coefficient in a Cox model (Efron) with the earlier
    components; the weights are scaled to length 1; the component's scores are the weighted sum of the columns, from
    which the columns are then cleaned by linear regression.

    Parameters
    ----------
    x : ndarray (n, p)
        Finite columns.
    time, event : ndarray (n,)
        Days; True = death.

    Attributes
    ----------
    mean, scale : ndarray (p,)
        Of the columns.
    weights, loadings : ndarray (k, p)
        Of the components so far; weights scaled to length 1.
    lengths : list of float
        What the weights were divided by.
    scores : ndarray (n, k)
        In the order of the input.
    coefficients : ndarray (k,)
        Cox coefficients of the scores.
    failed : list of int
        Per component, columns whose weight is a penalized coefficient because their likelihood has no maximum.
    penalized : bool
        The first component separates deaths from survivors: its coefficient has a ridge penalty of 1 (per standard
        deviation of the scores), and no component follows.
    """

    def __init__(self, x: np.ndarray, time: np.ndarray, event: np.ndarray):
        z, self.mean, self.scale = standardize(np.asarray(x, dtype=np.float64), ddof=1)
        self.sets = risk_sets(time, event)
        if not self.sets.event.any():
            raise InputError("nobody died: PLS-Cox needs at least one event")
        self._columns = np.ascontiguousarray(z[self.sets.order].T)
        n_columns, n = self._columns.shape
        self._scores = np.zeros((n, 0))
        self.weights, self.loadings = np.zeros((0, n_columns)), np.zeros((0, n_columns))
        self.coefficients = np.zeros(0)
        self.lengths: list[float] = []
        self.failed: list[int] = []
        self.penalized = False

    @property
    def scores(self) -> np.ndarray:
        """Scores of the patients in the order of the input."""
        out = np.empty_like(self._scores)
        out[self.sets.order] = self._scores
        return out

    def extend(self) -> bool:
        """Add a component; False, and nothing changes, if none is left or the Cox model with it has no maximum."""
        n_columns, n = self._columns.shape
        if self.penalized:
            return False
        weights = np.empty(n_columns)
        event, starts = self.sets.event, self.sets.starts
        failed = _weights(self._columns, self._scores, event, starts, self.coefficients, weights)
        length = float(np.sqrt(weights @ weights))
        if not 0 < length < np.inf:
            return False
        weights /= length
        component = weights @ self._columns
        squares = float(component @ component)
        if squares < 1e-12 * n:
            return False
        scores = np.column_stack([self._scores, component])
        coefficients = np.append(self.coefficients, 0.0)
        if newton(scores, event, starts, np.zeros(n), 0.0, coefficients) != CONVERGED:
            if len(self.coefficients):
                return False
            coefficients[:] = 0.0
            newton(scores, event, starts, np.zeros(n), squares / n, coefficients)
            self.penalized = True
        loadings = self._columns @ component / squares
        self._columns -= np.outer(loadings, component)
        self._scores, self.coefficients = scores, coefficients
        self.weights = np.vstack([self.weights, weights])
        self.loadings = np.vstack([self.loadings, loadings])
        self.lengths.append(length)
        self.failed.append(int(failed))
        return True

    def linear(self) -> np.ndarray:
        """Coefficients (p,) of the standardized columns that give the linear predictor of all components."""
        inner = self.loadings @ self.weights.T
        return self.weights.T @ np.linalg.solve(inner, self.coefficients)
