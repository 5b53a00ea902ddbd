"""Compiled kernels of likelihood-based boosting: score and information of all columns at once, and the steps.

Patients are rows sorted by *descending* time, so that a risk set is a prefix, and a row of the matrix holds all columns
of a patient: one sweep down the rows serves every column, and the innermost loop runs over neighbors in memory.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numba import njit

from amlprognosis.errors import InputError
from amlprognosis.models.few_cox_kernels import (
    LARGEST_RANGE,
    SMALLEST_WEIGHT,
    derivatives,
    log_at_risk,
    loglik_of,
    solve_information,
)
from amlprognosis.models.learners.base import run_threads, standardize
from amlprognosis.models.risk_sets import RiskSets, Ties, is_efron, risk_sets

# Columns whose sums fit into the first-level cache together.
TILE = 128
# Steps between two looks at the cross-validation curve.
BLOCK = 20


@njit(cache=True, nogil=True)
def _add_rows(x, rows, begin, end, first, last, weight, slope, curvature, root, s1, score, information):
    """Take the patients ``begin`` to ``end`` into the sums of the columns ``first`` to ``last``."""
    width = last - first
    u = score[first:last]
    v = information[first:last]
    i = begin
    # Four patients at a time: the sums are loaded and stored a quarter as often.
    while i + 4 <= end:
        r0, r1 = x[rows[i], first:last], x[rows[i + 1], first:last]
        r2, r3 = x[rows[i + 2], first:last], x[rows[i + 3], first:last]
        w0, w1, w2, w3 = weight[i], weight[i + 1], weight[i + 2], weight[i + 3]
        a0, a1, a2, a3 = slope[i], slope[i + 1], slope[i + 2], slope[i + 3]
        b0, b1, b2, b3 = curvature[i], curvature[i + 1], curvature[i + 2], curvature[i + 3]
        c0, c1, c2, c3 = root[i], root[i + 1], root[i + 2], root[i + 3]
        for j in range(width):
            x0, x1, x2, x3 = r0[j], r1[j], r2[j], r3[j]
            u[j] += (a0 * x0 + a1 * x1) + (a2 * x2 + a3 * x3)
            at0 = s1[j] + w0 * x0
            at1 = at0 + w1 * x1
            at2 = at1 + w2 * x2
            at3 = at2 + w3 * x3
            s1[j] = at3
            gain = (b0 * x0 * x0 + b1 * x1 * x1) + (b2 * x2 * x2 + b3 * x3 * x3)
            loss = ((c0 * at0) ** 2 + (c1 * at1) ** 2) + ((c2 * at2) ** 2 + (c3 * at3) ** 2)
            v[j] += gain - loss
        i += 4
    while i < end:
        r0 = x[rows[i], first:last]
        w0, a0, b0, c0 = weight[i], slope[i], curvature[i], root[i]
        for j in range(width):
            x0 = r0[j]
            u[j] += a0 * x0
            at0 = s1[j] + w0 * x0
            s1[j] = at0
            v[j] += b0 * x0 * x0 - (c0 * at0) ** 2
        i += 1


@njit(cache=True, nogil=True)
def _column_scores(x, rows, weight, event, starts, efron, score, information):
    """Slope and curvature of the log partial likelihood in each column, at offsets with ``weight`` = exp(offset).

    ``rows`` are the positions in ``x`` (n, p) of the patients that ``weight``, ``event`` and ``starts`` describe.

    The information of a column is the sum of its squares, weighted by each patient's expected deaths, less the squared
    means among those at risk at each death. With tied deaths, Efron's means are ``(s1 - f d1) c`` for several ``f`` and
    ``c``: the square of their sum in ``s1`` is taken along with the rows (``root``), the rest after the tied group.
    """
    n, m, p = rows.size, starts.size - 1, x.shape[1]
    hazard = np.zeros(m)
    tied = np.zeros((m, 3))
    root = np.zeros(n)
    s0 = 0.0
    for g in range(m):
        d0 = 0.0
        deaths = 0
        for i in range(starts[g], starts[g + 1]):
            s0 += weight[i]
            if event[i]:
                deaths += 1
                d0 += weight[i]
        squares = 0.0
        for k in range(deaths):
            f = k / deaths if efron else 0.0
            c = 1.0 / (s0 - f * d0)
            hazard[g] += c
            squares += c * c
            tied[g, 0] += f * c
            tied[g, 1] += 2.0 * f * c * c
            tied[g, 2] += f * f * c * c
        root[starts[g + 1] - 1] = math.sqrt(squares)
    slope = np.empty(n)
    curvature = np.empty(n)
    cumulated = 0.0
    for g in range(m - 1, -1, -1):
        cumulated += hazard[g]
        for i in range(starts[g], starts[g + 1]):
            curvature[i] = weight[i] * (cumulated - tied[g, 0] if event[i] else cumulated)
            slope[i] = (1.0 if event[i] else 0.0) - curvature[i]
    d1 = np.empty(TILE)
    for first in range(0, p, TILE):
        last = min(first + TILE, p)
        s1 = np.zeros(TILE)
        score[first:last] = 0.0
        information[first:last] = 0.0
        begin = starts[0]
        for g in range(m):
            if tied[g, 0] == 0.0 and g < m - 1:
                continue
            _add_rows(
                x, rows, begin, starts[g + 1], first, last, weight, slope, curvature, root, s1, score, information
            )
            begin = starts[g + 1]
            if tied[g, 0] > 0.0:
                d1[:] = 0.0
                for i in range(starts[g], starts[g + 1]):
                    if event[i]:
                        row = x[rows[i], first:last]
                        for j in range(last - first):
                            d1[j] += weight[i] * row[j]
                for j in range(last - first):
                    information[first + j] += d1[j] * (tied[g, 1] * s1[j] - tied[g, 2] * d1[j])


def column_scores(
    x: np.ndarray, time: np.ndarray, event: np.ndarray, ties: Ties = "efron"
) -> tuple[np.ndarray, np.ndarray]:
    """Score and information of a univariate Cox model of each column, at coefficient 0.

    Parameters
    ----------
    x : ndarray (n, p)
        Finite columns, best centered.
    time, event : ndarray (n,)
        Days; True = death.
    ties : {"efron", "breslow"}
        Rule for tied deaths.

    Returns
    -------
    score, information : ndarray (p,)
    """
    efron = is_efron(ties)
    sets = risk_sets(time, event)
    x = np.ascontiguousarray(x, dtype=np.float64)
    score, information = np.empty(x.shape[1]), np.empty(x.shape[1])
    _column_scores(x, sets.order, np.ones(len(x)), sets.event, sets.starts, efron, score, information)
    return score, np.maximum(information, 0.0)


@njit(cache=True, nogil=True)
def _update_fixed(x, rows, event, starts, mandatory, fixed, eta):
    """One Newton step of the unpenalized columns at the present offset; changes ``fixed`` and ``eta``."""
    q, n = mandatory.size, rows.size
    part = np.empty((n, q))
    offset = np.empty(n)
    slope = np.empty(q)
    information = np.empty((q, q))
    for i in range(n):
        offset[i] = eta[rows[i]]
        for a in range(q):
            part[i, a] = x[rows[i], mandatory[a]]
    loglik = derivatives(part, event, starts, offset, slope, information)
    # Where a column separates, the slope dies out while the coefficient would run away.
    steepest = 0.0
    for a in range(q):
        steepest = max(steepest, abs(slope[a]))
    if steepest < 1e-8 * n:
        return
    solve_information(information, slope)
    trial = np.empty(n)
    for _halving in range(30):
        for i in range(n):
            trial[i] = offset[i]
            for a in range(q):
                trial[i] += slope[a] * part[i, a]
        in_range = trial.max() - trial.min() < LARGEST_RANGE
        if in_range and loglik_of(trial, event, starts) >= loglik - 1e-12 * abs(loglik):
            break
        for a in range(q):
            slope[a] *= 0.5
    else:
        return
    for a in range(q):
        fixed[a] += slope[a]
        for i in range(eta.size):
            eta[i] += slope[a] * x[i, mandatory[a]]


@njit(cache=True, nogil=True)
def _weigh(eta, rows, whole, weight):
    """Fill ``whole`` with exp(eta) over its largest, and ``weight`` with its ``rows``; gives the largest eta."""
    top = eta.max()
    for i in range(eta.size):
        whole[i] = max(math.exp(eta[i] - top), SMALLEST_WEIGHT)
    for i in range(rows.size):
        weight[i] = whole[rows[i]]
    return top


@njit(cache=True, nogil=True)
def _boost(
    x, all_event, all_starts, rows, event, starts, spread, penalty, mandatory, first, last, eta, chosen,
    increment, fixed, loglik
):  # fmt: skip
    """Record the states ``first`` to ``last - 1`` and take the step that follows each (none after the last state).

    ``x`` (n, p), ``eta``, ``all_event`` and ``all_starts`` are all patients; ``rows``, ``event`` and ``starts`` those
    that the model learns from, among whom the columns have the variances ``spread``; 0 = never boosted.
    """
    n, p, q = x.shape[0], x.shape[1], mandatory.size
    score = np.empty(p)
    information = np.empty(p)
    whole = np.empty(n)
    trial = np.empty(n)
    weight = np.empty(rows.size)
    for step in range(first, last):
        if step == 0 and q > 0:
            _update_fixed(x, rows, event, starts, mandatory, fixed[0], eta)
        top = _weigh(eta, rows, whole, weight)
        loglik[step, 0] = -log_at_risk(whole, all_event, all_starts)
        for i in range(n):
            if all_event[i]:
                loglik[step, 0] += eta[i] - top
        loglik[step, 1] = -log_at_risk(weight, event, starts)
        for i in range(rows.size):
            if event[i]:
                loglik[step, 1] += eta[rows[i]] - top
        if step == chosen.size:
            return
        for a in range(q):
            fixed[step + 1, a] = fixed[step, a]
        if whole.min() <= SMALLEST_WEIGHT:
            # The linear predictor leaves the range of floating point: this fit ends here.
            continue
        if step > 0 and q > 0:
            _update_fixed(x, rows, event, starts, mandatory, fixed[step + 1], eta)
            _weigh(eta, rows, whole, weight)
        _column_scores(x, rows, weight, event, starts, True, score, information)
        best, largest = 0, 0.0
        for j in range(p):
            if spread[j] > 0.0:
                statistic = score[j] * score[j] / (max(information[j], 0.0) + penalty * spread[j])
                # Columns that are copies of each other differ by rounding: the first one is taken.
                if statistic > largest * (1.0 + 1e-12):
                    best, largest = j, statistic
        change = 0.0
        if largest > 0.0:
            change = score[best] / (max(information[best], 0.0) + penalty * spread[best])
        for _halving in range(60):
            for i in range(n):
                trial[i] = eta[i] + change * x[i, best]
            # Only a tiny penalty can take a step out of the range of floating point.
            if trial.max() - trial.min() < LARGEST_RANGE:
                break
            change *= 0.5
        chosen[step] = best
        increment[step] = change
        for i in range(n):
            eta[i] = trial[i]


@dataclass(frozen=True)
class BoostPath:
    """Boosting from nothing to a number of steps.

    Attributes
    ----------
    coefficients : ndarray (steps + 1, p)
        For columns standardized with ddof 1; row s = after s steps.
    chosen : ndarray of int (steps,)
        Column that each step changed.
    loglik : ndarray (steps + 1,)
        Efron's log partial likelihood.
    """

    coefficients: np.ndarray
    chosen: np.ndarray
    loglik: np.ndarray


@dataclass(frozen=True)
class BoostCV:
    """Cross-validated log partial likelihood after 0, 1, .. steps.

    Attributes
    ----------
    mean, se : ndarray (steps + 1,)
        Mean over folds, and its standard error.
    best : int
        Number of steps with the largest mean.
    turned : bool
        The curve went on well beyond its maximum; otherwise it was left while it may still have risen.
    """

    mean: np.ndarray
    se: np.ndarray
    best: int
    turned: bool


@dataclass(frozen=True)
class Part:
    """Patients that a model learns from, as positions among all in descending time; variances of the columns there."""

    rows: np.ndarray
    sets: RiskSets
    spread: np.ndarray


class _Run:
    """A boosting fit that is taken further piece by piece."""

    def __init__(self, data: Boosting, part: Part, penalty: float, n_steps: int):
        self.data, self.part, self.penalty = data, part, float(penalty)
        self.eta = np.zeros(len(data.z))
        self.chosen, self.increment = np.zeros(n_steps, dtype=np.int64), np.zeros(n_steps)
        self.fixed = np.zeros((n_steps + 1, data.mandatory.size))
        self.loglik = np.zeros((n_steps + 1, 2))
        self.done = 0

    def go(self, last: int) -> None:
        """Record the states up to ``last - 1``."""
        data, part = self.data, self.part
        _boost(
            data.z,
            data.whole.sets.event,
            data.whole.sets.starts,
            part.rows,
            part.sets.event,
            part.sets.starts,
            part.spread,
            self.penalty,
            data.mandatory,
            self.done,
            last,
            self.eta,
            self.chosen,
            self.increment,
            self.fixed,
            self.loglik,
        )
        self.done = last


class Boosting:
    """Component-wise likelihood-based boosting of a Cox model (Binder & Schumacher 2008, doi:10.1186/1471-2105-9-14).

    Columns are standardized (ddof 1). Each step finds the column with the largest penalized score statistic
    ``U^2 / (I + penalty)`` at the present linear predictor and adds ``U / (I + penalty)`` to its coefficient. Mandatory
    columns are not penalized: one Newton step of all of them comes before each boosting step. Ties by Efron's rule.

    Parameters
    ----------
    x : ndarray (n, p)
        Finite columns.
    time, event : ndarray (n,)
        Days; True = death.
    mandatory : sequence of int
        Positions of unpenalized columns.

    Attributes
    ----------
    mean, scale : ndarray (p,)
        Of the columns; scale 1 for a constant one, which is never used.
    n_events : int
    """

    def __init__(self, x: np.ndarray, time: np.ndarray, event: np.ndarray, mandatory: Sequence[int] = ()):
        x = np.asarray(x, dtype=np.float64)
        if x.ndim != 2 or not np.isfinite(x).all():
            raise InputError("x must be 2D (n, p) and finite; impute before fitting")
        sets = risk_sets(time, event)
        self.n_events = int(sets.event.sum())
        if self.n_events == 0:
            raise InputError("nobody died: boosting needs at least one event")
        z, self.mean, self.scale = standardize(x, ddof=1)
        self.z = np.ascontiguousarray(z[sets.order])
        self.mandatory = np.array(sorted({int(j) for j in mandatory}), dtype=np.int64)
        if self.mandatory.size and not 0 <= self.mandatory[0] <= self.mandatory[-1] < x.shape[1]:
            raise InputError(f"mandatory columns must lie in 0 .. {x.shape[1] - 1}, got {self.mandatory.tolist()}")
        self._order, self._time = sets.order, np.asarray(time, dtype=np.float64)[sets.order]
        self._event = sets.event
        self.whole = self._part(np.ones(len(x), dtype=bool))
        if not self.whole.spread.any():
            raise InputError("no column varies that may be boosted: there is nothing to learn from")

    def _part(self, kept: np.ndarray) -> Part:
        spread = self.z[kept].var(axis=0, ddof=1)
        spread[spread < 1e-16] = 0.0
        spread[self.mandatory] = 0.0
        return Part(np.flatnonzero(kept), risk_sets(self._time[kept], self._event[kept]), spread)

    def parts(self, folds: np.ndarray) -> list[Part]:
        """Training parts of folds (n,), in the order of the input's patients, for :meth:`cross_validate`."""
        folds = np.asarray(folds)[self._order]
        return [self._part(folds != label) for label in np.unique(folds) if self._event[folds != label].any()]

    def path(self, penalty: float, n_steps: int) -> BoostPath:
        """Boost ``n_steps`` times on all patients."""
        run = _Run(self, self.whole, penalty, n_steps)
        run.go(n_steps + 1)
        changes = np.zeros((n_steps + 1, self.z.shape[1]))
        changes[np.arange(1, n_steps + 1), run.chosen] = run.increment
        coefficients = np.cumsum(changes, axis=0)
        coefficients[:, self.mandatory] = run.fixed
        return BoostPath(coefficients, run.chosen, run.loglik[:, 1])

    def cross_validate(
        self, parts: list[Part], penalty: float, max_steps: int, n_jobs: int = 1, too_late: int | None = None,
        patience: bool = True,
    ) -> BoostCV:  # fmt: skip
        """Cross-validate the number of steps by the partial likelihood (Verweij 1993, doi:10.1002/sim.4780122407).

        A fold's value is the log likelihood of all patients less that of the fold's training part, both at the
        coefficients of the training part.

        Parameters
        ----------
        parts : list
            Of :meth:`parts`.
        penalty : float
            On the information of a standardized column.
        max_steps : int
            Steps at most.
        n_jobs : int
            Threads; they do not change the result.
        too_late : int, optional
            Give up once this many steps are done and the best so far is not earlier.
        patience : bool
            Leave the curve when it has fallen for 30 steps and for half as many steps as brought it to its maximum.

        Returns
        -------
        BoostCV
        """
        runs = [_Run(self, part, penalty, max_steps) for part in parts]
        done, turned, best = 0, False, 0
        while done <= max_steps and not turned:
            done = min(done + BLOCK, max_steps + 1)
            run_threads(partial(_Run.go, last=done), runs, n_jobs)
            held = np.array([run.loglik[:done, 0] - run.loglik[:done, 1] for run in runs])
            best = int(np.argmax(held.mean(axis=0)))
            turned = patience and done - 1 - best >= max(30, best // 2)
            if too_late is not None and best >= too_late:
                break
        se = held.std(axis=0, ddof=1) / math.sqrt(len(held)) if len(held) > 1 else np.zeros(done)
        return BoostCV(held.mean(axis=0), se, best, turned)
