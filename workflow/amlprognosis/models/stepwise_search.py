"""The search of stepwise Cox regression: from neighbor to neighbor until none is better."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from amlprognosis.models.cox_fit import combine
from amlprognosis.models.risk_sets import RiskSets
from amlprognosis.models.stepwise_kernels import (
    FOUND,
    HOPELESS,
    TIE,
    UNBOUNDED,
    Cohort,
    Model,
    compare_neighbors,
    maximize,
)


def _settled(cohort: Cohort, members: Sequence[int], beta: np.ndarray) -> Model:
    """Fit the model of some columns, starting at ``beta`` (k,)."""
    n, k = cohort.z.shape[1], len(members)
    columns = cohort.z[list(members)]
    rows = np.empty((n + int(cohort.event.sum()), k))
    rows[:n] = columns.T
    arrays = (beta.copy(), np.zeros(len(rows)), np.empty((k, k)), np.empty(n), np.empty(n), np.empty(n))
    found = maximize(columns, rows, cohort.event, cohort.starts, cohort.efron, *arrays)
    return Model(arrays[0], columns, rows, *arrays[1:], *found)


@dataclass(frozen=True)
class StepwisePath:
    """The way of a stepwise search.

    Attributes
    ----------
    members : list of int
        Columns of the last model, in the order in which they came.
    changes : list of int
        Column + 1 for an addition, minus that for a drop.
    criteria : list of float
        Criterion of the start model and after each change.
    unbounded : list of int
        Columns that were not let in because the likelihood would have had no maximum.
    """

    members: list[int]
    changes: list[int]
    criteria: list[float]
    unbounded: list[int]


def stepwise_search(
    z: np.ndarray,
    sets: RiskSets,
    efron: bool,
    start: Sequence[int],
    beta: np.ndarray,
    removable: np.ndarray,
    addable: np.ndarray,
    price: float,
    largest: int,
) -> StepwisePath:
    """Walk from a start model to one that no single change improves, each time to the best neighbor.

    Parameters
    ----------
    z : ndarray (p, n)
        Standardized columns, one per row, patients in the order of ``sets``.
    sets : RiskSets
        The outcome.
    efron : bool
        Efron's rule for ties, else Breslow's.
    start, beta
        Columns of the start model, and coefficients near its optimum (k,).
    removable, addable : ndarray of bool (p,)
        What may be dropped and added.
    price : float
        The criterion is ``-2 loglik + price * columns``: 2 = AIC.
    largest : int
        A model of this many columns gains no more.

    Returns
    -------
    StepwisePath
        With an empty list of criteria if the start model has no optimum.
    """
    # Who left before the first death is in no risk set.
    n = int(sets.starts[np.searchsorted(sets.starts, np.flatnonzero(sets.event)[-1], side="right")])
    starts = sets.starts[: np.searchsorted(sets.starts, n) + 1]
    cohort = Cohort(np.ascontiguousarray(z[:, :n]), sets.event[:n], starts, efron)
    removable, addable = removable.copy(), addable.copy()
    members = [int(j) for j in start]
    changes: list[int] = []
    criteria: list[float] = []
    unbounded: list[int] = []
    model = _settled(cohort, members, beta)
    if model.state == FOUND:
        criteria.append(-2.0 * model.loglik + price * len(members))
    while model.state == FOUND:
        k = len(members)
        free = addable & (k < largest)
        free[members] = False
        outside = np.flatnonzero(free)
        push, states, information = np.zeros(k), np.full(k + len(outside), HOPELESS), np.zeros(len(outside))
        at, best, coefficient = compare_neighbors(
            cohort, model, removable[members], outside, price, criteria[-1] - TIE, push, states, information
        )
        following: Model | None = None
        for other in np.flatnonzero(states == UNBOUNDED):
            # Rare: the frozen inverse did not lead to the optimum, or there is none.
            changed, change = _changed(members, outside, int(other))
            near = np.append(model.beta, 0.0) if change > 0 else np.delete(model.beta, other)
            refitted = _settled(cohort, changed, near)
            value = -2.0 * refitted.loglik + price * len(changed)
            if change > 0 and _runs_away(refitted, information[other - k]):
                unbounded.append(change - 1)
                addable[change - 1] = False
            elif refitted.state == FOUND and (value < best - TIE or (value <= best + TIE and other < at)):
                at, best, following = int(other), value, refitted
        if at < 0:
            break
        changed, change = _changed(members, outside, at)
        if following is None:
            moved = np.empty(k)
            combine(model.inverse, push, k, moved)
            moved += model.beta
            following = _settled(cohort, changed, np.append(moved, coefficient) if change > 0 else np.delete(moved, at))
        if change > 0 and _runs_away(following, information[at - k]):
            unbounded.append(change - 1)
            addable[change - 1] = False
        elif following.state != FOUND:
            # Too close to collinear for a full fit: the search goes on without this change.
            (addable if change > 0 else removable)[abs(change) - 1] = False
        else:
            model, members = following, changed
            changes.append(change)
            criteria.append(-2.0 * model.loglik + price * len(members))
    return StepwisePath(members, changes, criteria, sorted(unbounded))


def _runs_away(model: Model, information: float) -> bool:
    """Whether the likelihood has no maximum once the last column is in.

    The information on its coefficient, ``information`` at 0, then vanishes on the way.
    """
    vanished = model.state == FOUND and 1e-6 * information * model.inverse[-1, -1] > 1.0
    return model.state == UNBOUNDED or bool(vanished)


def _changed(members: list[int], outside: np.ndarray, at: int) -> tuple[list[int], int]:
    """Members of neighbor ``at``, and the change as a :class:`StepwisePath` writes it."""
    if at < len(members):
        return members[:at] + members[at + 1 :], -(members[at] + 1)
    column = int(outside[at - len(members)])
    return [*members, column], column + 1
