"""Supervised principal components, with threshold and number of components found by cross-validation."""

from __future__ import annotations

import math
from collections.abc import Iterator
from numbers import Integral, Real
from typing import Literal

import numpy as np
from scipy.linalg import eigh

from amlprognosis.errors import InputError
from amlprognosis.models.cox_kernels import univariate_cox
from amlprognosis.models.coxboost_kernels import column_scores
from amlprognosis.models.few_cox_kernels import CONVERGED, newton
from amlprognosis.models.learners.base import LinearLearner, run_threads, standardize
from amlprognosis.models.learners.inner_folds import curves_from_held_out, inner_folds, one_blas_thread
from amlprognosis.models.risk_sets import RiskSets, risk_sets

MOST_COMPONENTS = 3
# The strictest threshold of the grid keeps this many columns (min.features of superpc.cv).
FEWEST_COLUMNS = 5


def feature_scores(z: np.ndarray, time: np.ndarray, event: np.ndarray, s0_quantile: float = 0.5) -> np.ndarray:
    """Moderated Cox scores ``U / (sqrt(I) + s0)`` of centered columns (p,), ties by Breslow's rule.

    ``s0``, the given quantile of ``sqrt(I)`` over the columns, holds back columns of little variance. ``z`` is (n, p),
    ``time`` (n,) in days.
    """
    slope, information = column_scores(z, time, event, "breslow")
    deviation = np.sqrt(information)
    total = deviation + np.quantile(deviation, s0_quantile)
    return np.where(deviation > 1e-10, slope / np.where(total > 0, total, 1.0), 0.0)


def keep_columns(scores: np.ndarray, threshold: float) -> np.ndarray:
    """Positions of columns with |score| at the threshold or above, largest first; the best 2 if they are fewer."""
    order = np.argsort(-np.abs(scores), kind="stable")
    order = order[scores[order] != 0]
    return order[: max(int((np.abs(scores[order]) >= threshold).sum()), 2)]


def components(z: np.ndarray, counts: np.ndarray, most: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Principal components of the first columns of ``z``.

    Parameters
    ----------
    z : ndarray (n, p)
        Centered columns.
    counts : ndarray of int
        Numbers of columns, ascending.
    most : int
        Components at most; fewer where the rank is lower.

    Yields
    ------
    loadings : ndarray (count, k)
    singular_values : ndarray (k,)
    """
    n, p = z.shape
    small = z[:, :n].T @ z[:, :n]
    large, done = np.zeros((n, n) if p > n else (0, 0)), 0
    for count in counts:
        if count > n:
            large += z[:, done:count] @ z[:, done:count].T
            done = count
        matrix = large if count > n else small[:count, :count]
        size = len(matrix)
        values, vectors = eigh(matrix, subset_by_index=[max(size - most, 0), size - 1], check_finite=False)
        values, vectors = values[::-1], vectors[:, ::-1]
        rank = max(int((values > 1e-10 * values[0]).sum()), 1)
        deviations = np.sqrt(values[:rank])
        loadings = vectors[:, :rank]
        yield (z[:, :count].T @ loadings / deviations if count > n else loadings), deviations


def _cox_on_components(scores: np.ndarray, sets: RiskSets) -> tuple[list[np.ndarray], bool]:
    """Cox coefficients of the first 1, 2, .. of the scores (n, k), as far as the likelihood has a maximum.

    Where it has none for the first alone, that one has a ridge penalty of 1 on its standardized coefficient (True).
    """
    ordered = scores[sets.order]
    nothing = np.zeros(len(scores))
    fits: list[np.ndarray] = []
    for count in range(1, scores.shape[1] + 1):
        part = np.ascontiguousarray(ordered[:, :count])
        beta = np.zeros(count)
        if newton(part, sets.event, sets.starts, nothing, 0.0, beta) != CONVERGED:
            break
        fits.append(beta)
    if fits:
        return fits, False
    beta = np.zeros(1)
    part = np.ascontiguousarray(ordered[:, :1])
    newton(part, sets.event, sets.starts, nothing, float(part.var()), beta)
    return [beta], True


class SuperPC(LinearLearner):
    """Cox model on principal components of the columns related to survival (Bair & Tibshirani 2004).

    Each column has a moderated univariate Cox score; columns whose score reaches the threshold in size make the
    principal components, and a Cox model (Efron's rule for ties) of the first ones gives the risk, as superpc does in R
    (doi:10.1371/journal.pbio.0020108).

    Parameters
    ----------
    n_components : "cv" or int
        1 to 3; "cv" chooses along with the threshold.
    threshold : "cv" or float
        On the size of the scores. "cv" takes the best of a grid: for each threshold, every fold's patients get the
        linear predictor learned without them (thresholds apply to the scores learned without them, too), and the one
        whose Cox model of these has the largest likelihood ratio is taken; one that predicts the wrong way round counts
        as negative. superpc.cv does so with components whose signs differ from fold to fold.
    n_thresholds : int
        Size of the grid: quantiles of the scores that keep all columns, 5 columns, and numbers in between in geometric
        progression.
    s0_quantile : float
        Scores are divided by the standard deviation of the slope plus this quantile of it over the columns.
    standardize : bool
        Scale columns to standard deviation 1 (ddof 1) first. superpc does not: there, genes on a larger scale dominate
        both scores and components, and a change of units changes the model.
    n_folds : int
        Folds of the cross-validation; fewer when deaths are fewer.
    n_jobs : int
        Threads; they do not change the result.
    random_state : int
        Seed of the folds.

    Attributes
    ----------
    coef_ : ndarray (p,)
        On the scale of X; 0 for a column that was not kept.
    feature_scores_ : ndarray (p,)
    threshold_ : float
    selected_ : ndarray of bool (p,)
    n_components_ : int
    loadings_ : ndarray (p, k)
        Columns of length 1, signed such that a higher score means a higher risk.
    singular_values_ : ndarray (k,)
    component_coef_ : ndarray (k,)
        Cox coefficients of the components, each divided by the sum of the sizes of its loadings.
    """

    def __init__(
        self,
        n_components: int | Literal["cv"] = "cv",
        threshold: float | Literal["cv"] = "cv",
        n_thresholds: int = 20,
        s0_quantile: float = 0.5,
        standardize: bool = True,
        n_folds: int = 5,
        n_jobs: int = 1,
        random_state: int = 0,
    ):
        self.n_components = n_components
        self.threshold = threshold
        self.n_thresholds = n_thresholds
        self.s0_quantile = s0_quantile
        self.standardize = standardize
        self.n_folds = n_folds
        self.n_jobs = n_jobs
        self.random_state = random_state

    def _fit(self, x: np.ndarray, time: np.ndarray, event: np.ndarray) -> None:
        self._check_parameters()
        z, mean, scale = self._scaled(x)
        scores = feature_scores(z, time, event, self.s0_quantile)
        if not scores.any():
            raise InputError("no column is related to survival: SuperPC has nothing to build on; give other columns")
        most = MOST_COMPONENTS if self.n_components == "cv" else int(self.n_components)
        grid = self._grid(scores) if self.threshold == "cv" else np.array([float(self.threshold)])
        chosen, wanted = 0, most
        if len(grid) > 1 or self.n_components == "cv":
            chosen, wanted = self._choose(x, time, event, grid, most)
        self.feature_scores_, self.threshold_ = scores, float(grid[chosen])
        columns = keep_columns(scores, self.threshold_)
        if int((np.abs(scores) >= self.threshold_).sum()) < len(columns):
            self.notes_.append(f"fewer than 2 scores reach {self.threshold_:.6g}: the best {len(columns)} were kept")
        loadings, values = next(components(z[:, columns], np.array([len(columns)]), wanted))
        sizes = np.abs(loadings).sum(axis=0)
        fits, penalized = _cox_on_components(z[:, columns] @ (loadings / sizes), risk_sets(time, event))
        beta = fits[-1]
        if penalized:
            self.notes_.append("the first component separates deaths from survivors: its coefficient is penalized")
        elif len(beta) < wanted:
            self.notes_.append(f"{len(beta)} of {wanted} components: the columns or the likelihood allow no more")
        self.n_components_ = len(beta)
        sign = np.where(beta < 0, -1.0, 1.0)
        self.component_coef_ = np.abs(beta)
        self.singular_values_ = values[: len(beta)]
        self.selected_ = np.zeros(x.shape[1], dtype=bool)
        self.selected_[columns] = True
        self.loadings_ = np.zeros((x.shape[1], len(beta)))
        self.loadings_[columns] = loadings[:, : len(beta)] * sign
        self._set_linear(self.loadings_ @ (self.component_coef_ / sizes[: len(beta)]) / scale, mean)

    def _scaled(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Centered and, if asked for, scaled columns; constant ones are all 0."""
        z, mean, scale = standardize(x, ddof=1)
        return (z, mean, scale) if self.standardize else (z * scale, mean, np.ones_like(scale))

    def _grid(self, scores: np.ndarray) -> np.ndarray:
        """Thresholds, ascending, that keep from all columns down to a few."""
        sizes = np.sort(np.abs(scores[scores != 0]))[::-1]
        counts = np.geomspace(len(sizes), min(FEWEST_COLUMNS, len(sizes)), int(self.n_thresholds))
        return sizes[np.unique(np.round(counts).astype(int))[::-1] - 1]

    def _choose(
        self, x: np.ndarray, time: np.ndarray, event: np.ndarray, grid: np.ndarray, most: int
    ) -> tuple[int, int]:
        """Position on the grid and number of components; also sets what survival curves rest on."""
        labels = inner_folds(event, self.n_folds, self.random_state)
        folds = [labels == label for label in range(int(labels.max()) + 1)]
        with one_blas_thread():
            found = run_threads(lambda held: self._held_out(x, time, event, held, grid, most), folds, self.n_jobs)
        predictions = np.empty((most, len(grid), len(x)))
        for held, part in zip(folds, found, strict=True):
            predictions[:, :, held] = part
        tests = univariate_cox(predictions.reshape(-1, len(x)).T, time, event)
        # A prediction that is the same for everybody has no test.
        ratio = np.where(np.isnan(tests.lr_test), 0.0, tests.lr_test * np.sign(np.nan_to_num(tests.beta)))
        ratio = ratio.reshape(most, len(grid))
        first = 0 if self.n_components == "cv" else most - 1
        count, at = np.unravel_index(int(np.argmax(ratio[first:])), ratio[first:].shape)
        curves_from_held_out(self, predictions[first + count, at], time, event)
        return int(at), int(first + count + 1)

    def _held_out(
        self, x: np.ndarray, time: np.ndarray, event: np.ndarray, held: np.ndarray, grid: np.ndarray, most: int
    ) -> np.ndarray:
        """Linear predictors (most, len(grid), held-out patients) of 1, 2, .. components learned from the others."""
        z, mean, scale = self._scaled(x[~held])
        new = (x[held] - mean) / scale
        scores = feature_scores(z, time[~held], event[~held], self.s0_quantile)
        out = np.zeros((most, len(grid), len(new)))
        columns = keep_columns(scores, 0.0)
        if columns.size == 0:
            return out
        z, new = np.ascontiguousarray(z[:, columns]), np.ascontiguousarray(new[:, columns])
        sets = risk_sets(time[~held], event[~held])
        counts, where = np.unique([keep_columns(scores, value).size for value in grid], return_inverse=True)
        for at, (loadings, _) in enumerate(components(z, counts, most)):
            scaled = loadings / np.abs(loadings).sum(axis=0)
            fits, _penalized = _cox_on_components(z[:, : counts[at]] @ scaled, sets)
            scores_new = new[:, : counts[at]] @ scaled
            for k in range(most):
                beta = fits[min(k, len(fits) - 1)]
                out[k, where == at] = scores_new[:, : beta.size] @ beta
        return out

    def _check_parameters(self) -> None:
        if self.n_components != "cv" and self.n_components not in range(1, MOST_COMPONENTS + 1):
            raise InputError(f'n_components must be "cv" or 1 to {MOST_COMPONENTS}, got {self.n_components!r}')
        if self.threshold != "cv" and not (isinstance(self.threshold, Real) and 0 <= self.threshold < math.inf):
            raise InputError(f'threshold must be "cv" or a number of at least 0, got {self.threshold!r}')
        if not (isinstance(self.s0_quantile, Real) and 0 <= self.s0_quantile <= 1):
            raise InputError(f"s0_quantile must lie in [0, 1], got {self.s0_quantile!r}")
        for name, least in (("n_thresholds", 1), ("n_folds", 2)):
            value = getattr(self, name)
            if not isinstance(value, Integral) or value < least:
                raise InputError(f"{name} must be a whole number of at least {least}, got {value!r}")
