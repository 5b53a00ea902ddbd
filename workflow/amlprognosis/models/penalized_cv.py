"""Choice of a penalty by the cross-validated partial likelihood, whatever the penalty is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from amlprognosis.errors import InputError
from amlprognosis.models.learners.base import run_threads
from amlprognosis.models.penalized_cohort import Cohort, saturated


@dataclass(frozen=True)
class LassoPath:
    """A regularization path.

    Attributes
    ----------
    lambdas : ndarray (k,)
        Penalties, descending.
    coefficients : ndarray (k, p)
        On the scale of the input columns.
    loglik : ndarray (k,)
        Breslow log partial likelihood.
    loglik_null : float
        The same at 0.
    n_nonzero : ndarray of int (k,)
        Coefficients other than 0.
    """

    lambdas: np.ndarray
    coefficients: np.ndarray
    loglik: np.ndarray
    loglik_null: float
    n_nonzero: np.ndarray


@dataclass(frozen=True)
class LassoCV:
    """Cross-validated deviance along a path.

    Attributes
    ----------
    path : LassoPath
        Fit on all patients.
    mean, se : ndarray (k,)
        Deviance per death, averaged over folds by their deaths, and its standard error.
    at_min, at_1se : int
        Positions on the path: the least deviance, and the largest penalty within one standard error of it.
    """

    path: LassoPath
    mean: np.ndarray
    se: np.ndarray
    at_min: int
    at_1se: int


class Part(Protocol):
    """Some patients of a cohort and a path that is fitted piece by piece, each starting where the last one ended."""

    deaths: np.ndarray
    closing: np.ndarray
    null: float
    stopped: bool

    def run(self, lambdas: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Go on along ``lambdas`` (k,); inner coefficients (k, r), log likelihoods of the part and of all (k, 2)."""

    def standardized(self, inner: np.ndarray) -> np.ndarray:
        """Coefficients (k, p) of the cohort's columns."""


def separation() -> InputError:
    """Make the error of a path that cannot even begin."""
    return InputError(
        "mandatory columns separate deaths from survivors (in a fold, if not in all patients): the fit has no finite "
        "end; name fewer of them"
    )


def path_of(part: Part, cohort: Cohort, lambdas: np.ndarray, inner: np.ndarray, loglik: np.ndarray) -> LassoPath:
    """Put what a part's :meth:`run` gave on the scale of the input columns; InputError if it reached no penalty."""
    if len(inner) == 0:
        raise separation()
    coefficients = part.standardized(inner) / cohort.scale
    return LassoPath(lambdas[: len(inner)], coefficients, loglik, part.null, (coefficients != 0).sum(axis=1))


def cross_validate(
    cohort: Cohort, parts: Sequence[Part], lambdas: np.ndarray, patience: int | None, n_jobs: int = 1
) -> LassoCV:
    """Fit all patients (the first part) and the folds' training parts (the others) along penalties, and choose.

    The deviance of a fold is that of all patients minus that of its training part, both at the coefficients of the
    training part (Verweij 1993, doi:10.1002/sim.4780122407). With ``patience`` the path is left once so many
    penalties beyond the best one brought nothing better. InputError if a path cannot even begin.
    """
    whole, folds = parts[0], parts[1:]
    best = np.array([saturated(part.closing) for part in parts])
    weights = np.array([cohort.deaths.sum() - part.deaths.sum() for part in folds])
    block = lambdas.size if patience is None else max(int(patience) // 2, 1)
    last = np.zeros(len(folds))
    inner, logliks, deviances = [], [], []
    for start in range(0, lambdas.size, block):
        piece = lambdas[start : start + block]

        def go_on(part: Part, piece: np.ndarray = piece) -> tuple[np.ndarray, np.ndarray]:
            return part.run(piece) if not part.stopped else (np.empty((0, 0)), np.empty((0, 2)))

        results = run_threads(go_on, parts, n_jobs)
        inner.append(results[0][0])
        logliks.append(results[0][1][:, 0])
        size = len(logliks[-1])
        if start == 0 and min(len(loglik) for _, loglik in results) == 0:
            raise separation()
        deviance = np.empty((len(folds), size))
        for row, (_, loglik) in enumerate(results[1:]):
            gap = 2 * (best[0] - loglik[:, 1] - best[row + 1] + loglik[:, 0]) / weights[row]
            last[row] = gap[-1] if gap.size else last[row]
            # A fold that saturated earlier keeps its last fit.
            deviance[row] = np.concatenate([gap, np.full(max(size - gap.size, 0), last[row])])[:size]
        deviances.append(deviance)
        mean = np.average(np.hstack(deviances), axis=0, weights=weights)
        if whole.stopped or (patience is not None and mean.size - 1 - int(np.argmin(mean)) >= patience):
            break
    deviance = np.hstack(deviances)
    se = np.sqrt(np.average((deviance - mean) ** 2, axis=0, weights=weights) / max(len(folds) - 1, 1))
    at_min = int(np.argmin(mean))
    at_1se = int(np.flatnonzero(mean <= mean[at_min] + se[at_min])[0])
    path = path_of(whole, cohort, lambdas, np.vstack(inner), np.concatenate(logliks))
    return LassoCV(path, mean, se, at_min, at_1se)
