"""Compiled parts of stepwise Cox regression: neighboring models are compared at their exact optima.

Let ``b`` be the optimum of the current model, ``V`` its inverse information and ``f`` minus its log likelihood. A
neighbor (one column dropped or added) starts at the optimum of the quadratic approximation and climbs with the inverse
information frozen at ``b``: with ``V X'`` (k, n) at hand, a step costs two products with matrices of n x k.

Most neighbors need not be climbed to the end. A direction ``v`` spreads the linear predictor over a range ``r(v)``,
and the third derivative of ``f`` along ``v`` is at most ``r(v)`` times the second (they are central moments of a
variable in a range), as for the self-concordant functions of Bach 2010 (doi:10.1214/09-EJS521). So, with ``|v|`` the
length in the metric of the information and ``R`` such that ``r(v) <= R |v|``,

``f(b + v) >= f(b) + f'(b) v + |v|^2 h(r(v))`` with ``h(r) = (exp(-r) + r - 1) / r^2 >= 1 / (2 + r)``,

and the information at ``b + v`` is at least ``exp(-r(v))`` times that at ``b``. This bounds what a neighbor can still
reach. It is left as soon as that is worse than the best one found, so the result is that of fitting them all.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from amlprognosis.models.cox_fit import combine, cox_score, information_rows, weighted_gram

FOUND, SINGULAR, UNBOUNDED, HOPELESS = 0, 1, 2, 3
# Criteria closer than this count as equal; log likelihoods are exact to a tenth of it.
TIE = 1e-8
FARTHEST = 20.0


class Cohort(NamedTuple):
    """Standardized columns, one per row of ``z`` (p, n), and the outcome, in the order of :func:`risk_sets`."""

    z: np.ndarray
    event: np.ndarray
    starts: np.ndarray
    efron: bool


class Model(NamedTuple):
    """A model of k columns at its optimum.

    ``columns`` (k, n) and the first n ``rows`` (n + deaths, k) hold the same patients; the rows below them and
    ``weight`` make up the information, ``inverse`` is its inverse. ``eta``, ``risk`` and ``residual`` (n,) belong to
    the optimum; ``drift`` is the range by which eta moved after the inverse was taken. ``state`` is FOUND, SINGULAR or
    UNBOUNDED.
    """

    beta: np.ndarray
    columns: np.ndarray
    rows: np.ndarray
    weight: np.ndarray
    inverse: np.ndarray
    eta: np.ndarray
    risk: np.ndarray
    residual: np.ndarray
    used: int
    loglik: float
    drift: float
    state: int


@njit(cache=True, nogil=True)
def _range(values):
    low = values[0]
    high = values[0]
    for value in values:
        low = min(low, value)
        high = max(high, value)
    return high - low


@njit(cache=True, nogil=True)
def invert(matrix, tolerance):
    """Invert a positive definite matrix in place; False if a pivot falls below ``tolerance`` of its diagonal."""
    k = matrix.shape[0]
    line = np.empty(k)
    least = np.empty(k)
    for a in range(k):
        least[a] = tolerance * matrix[a, a]
    # The symmetric sweep (Goodnight 1979, doi:10.1080/00031305.1979.10482685) of the lower triangle gives minus the
    # inverse.
    for q in range(k):
        pivot = matrix[q, q]
        if not pivot > least[q]:
            return False
        for b in range(k):
            line[b] = matrix[q, b] if b < q else matrix[b, q]
        line[q] = 0.0
        scale = 1.0 / pivot
        for a in range(k):
            other = matrix[a]
            factor = line[a] * scale
            for b in range(a + 1):
                other[b] -= factor * line[b]
        for b in range(k):
            if b < q:
                matrix[q, b] = line[b] * scale
            else:
                matrix[b, q] = line[b] * scale
        matrix[q, q] = -scale
    for a in range(k):
        for b in range(a + 1):
            matrix[a, b] = -matrix[a, b]
            matrix[b, a] = matrix[a, b]
    return True


@njit(cache=True, nogil=True)
def maximize(columns, rows, event, starts, efron, beta, weight, inverse, eta, risk, residual):
    """Newton's method from ``beta`` (k,), in place; fills the other fields of a :class:`Model`."""
    n, k = event.size, beta.size
    gradient = np.empty(k)
    step = np.empty(k)
    trial = np.empty(k)
    frozen = np.empty(n)
    combine(columns, beta, k, eta)
    loglik = cox_score(eta, event, starts, efron, risk, residual)
    used = n
    last = np.inf
    fresh = True
    state = UNBOUNDED
    for _ in range(200):
        if fresh:
            for i in range(n):
                frozen[i] = eta[i]
            used = information_rows(rows, event, starts, efron, risk, residual, weight)
            weighted_gram(rows, weight, used, inverse)
            if not invert(inverse, 1e-12):
                state = SINGULAR
                break
        combine(rows, residual, n, gradient)
        combine(inverse, gradient, k, step)
        decrement = 0.0
        for a in range(k):
            decrement += gradient[a] * step[a]
        if decrement < 1e-18 or (decrement < 1e-12 and decrement > 0.25 * last):
            state = FOUND
            break
        # Close to the optimum the frozen inverse serves as well as a new one.
        fresh = decrement > 1e-6 or decrement > 0.01 * last
        last = decrement
        found = -np.inf
        largest = 0.0
        for _halving in range(30):
            largest = 0.0
            for a in range(k):
                trial[a] = beta[a] + step[a]
                largest = max(largest, abs(trial[a]))
            combine(columns, trial, k, eta)
            if _range(eta) < 500.0:
                found = cox_score(eta, event, starts, efron, risk, residual)
                if found >= loglik - 1e-12 * abs(loglik):
                    break
            found = -np.inf
            for a in range(k):
                step[a] *= 0.5
        if found == -np.inf or largest > 25.0:
            break
        for a in range(k):
            beta[a] = trial[a]
        loglik = found
    for i in range(n):
        frozen[i] = eta[i] - frozen[i]
    return used, loglik, _range(frozen), state


@njit(cache=True, nogil=True)
def _reach(decrement, spread, radius):
    """Upper bound of the log likelihood still to be gained, and so of the error of stopping here.

    ``decrement`` is the squared length of the gradient in the frozen metric, ``spread`` the range by which the linear
    predictor moved since then, ``radius`` the constant R of that metric.
    """
    stretch = math.exp(spread)
    z = radius * math.sqrt(decrement) * stretch
    if z < 1e-2:
        return 0.5 * decrement * stretch * (1.0 + z)
    if z >= 1.0:
        return np.inf
    return (z + (1.0 - z) * math.log1p(-z)) / (radius * radius * stretch)


@njit(cache=True, nogil=True)
def _least_loss(wald, direction_range, radius):
    """Lower bound of the log likelihood lost by a constraint: the least over s of (w^2 + s^2) / (2 + r + R s)."""
    level = 2.0 + direction_range
    return 2.0 * wald / (math.sqrt(level * level + radius * radius * wald) + level)


@njit(cache=True, nogil=True)
def _farthest(squares):
    """Sum of the two largest lengths, given their squares: no two patients are further apart."""
    one = 0.0
    two = 0.0
    for value in squares:
        if value > one:
            two = one
            one = value
        elif value > two:
            two = value
    return math.sqrt(one) + math.sqrt(two)


@njit(cache=True, nogil=True)
def _climb(cohort, model, forward, direction, curvature, shift, radius, floor, work, total):
    """Climb from ``model.eta + shift * direction`` to the optimum of a neighbor with the frozen inverse.

    ``forward`` (k, n) is ``V X'``. ``curvature`` is the inverse of the direction's information, negative where a move
    along ``direction`` is not free. Stops as HOPELESS when ``floor`` is out of reach. Fills ``total`` (k,), the sum of
    gradients; ``work`` (4, n) is room. Returns state, log likelihood and the final multiple of ``direction``.
    """
    eta, risk, residual, change = work[0], work[1], work[2], work[3]
    n, k = eta.size, total.size
    gradient = np.empty(k)
    total[:] = 0.0
    for i in range(n):
        eta[i] = model.eta[i] + shift * direction[i]
    last = np.inf
    loglik = -np.inf
    for _ in range(100):
        for i in range(n):
            change[i] = eta[i] - model.eta[i]
        spread = model.drift + _range(change)
        # So far off, the frozen inverse says nothing.
        if not spread < FARTHEST:
            break
        loglik = cox_score(eta, cohort.event, cohort.starts, cohort.efron, risk, residual)
        combine(model.rows, residual, n, gradient)
        combine(forward, gradient, k, change)
        along = 0.0
        for i in range(n):
            along += direction[i] * residual[i]
        along *= curvature
        decrement = 0.0
        for i in range(n):
            change[i] += along * direction[i]
            decrement += change[i] * residual[i]
        gain = _reach(max(decrement, 0.0), spread, radius)
        if loglik + gain < floor:
            return HOPELESS, loglik, shift
        if gain < 0.1 * TIE:
            return FOUND, loglik, shift
        if not decrement < 0.7 * last:
            break
        last = decrement
        shift += along
        for a in range(k):
            total[a] += gradient[a]
        for i in range(n):
            eta[i] += change[i]
    return UNBOUNDED, loglik, shift


@njit(cache=True, nogil=True)
def _outside_direction(cohort, model, forward, column, cross, direction):
    """Set ``direction`` (n,) to the part of a column that the model does not hold, in the metric of the information.

    Fills ``cross`` (k,), the column's information with those of the model. Returns its own information given them, 0
    if the model holds all of it.
    """
    n, k = direction.size, cross.size
    single = np.empty((model.weight.size, 1))
    product = np.empty(model.weight.size)
    inner = np.empty(k)
    for i in range(n):
        single[i, 0] = column[i]
    information_rows(single, cohort.event, cohort.starts, cohort.efron, model.risk, model.residual, product)
    whole = 0.0
    for i in range(model.used):
        product[i] = model.weight[i] * single[i, 0]
        whole += product[i] * single[i, 0]
    combine(model.rows, product, model.used, cross)
    combine(model.inverse, cross, k, inner)
    combine(forward, cross, k, direction)
    own = whole
    for a in range(k):
        own -= cross[a] * inner[a]
    for i in range(n):
        direction[i] = column[i] - direction[i]
    return own if own > 1e-9 * whole and whole > 1e-10 else 0.0


@njit(cache=True, nogil=True)
def compare_neighbors(cohort, model, removable, outside, price, best, push, states, information):
    """Find the best model that is one drop or one addition away.

    ``removable`` (k,) says which of the model's columns may go, ``outside`` (q,) lists the columns that may come.
    ``best`` is the criterion to beat. Neighbors count from 0: the k drops, then the q additions. Fills ``push`` (k,),
    by which ``beta`` moves in the metric of ``inverse``, ``states`` (k + q,), UNBOUNDED where the climb did not arrive,
    and ``information`` (q,), that of each outside column given the model's. Returns the best neighbor (-1 = none), its
    criterion, and the coefficient of the column added.
    """
    k, n = model.columns.shape
    forward = np.empty((k, n))
    squares = np.zeros(n)
    for a in range(k):
        combine(model.columns, model.inverse[a], k, forward[a])
        for i in range(n):
            squares[i] += model.columns[a, i] * forward[a, i]
    model_radius = _farthest(squares)
    # The drop that the quadratic approximation likes best comes first: it lets most others be left early.
    likely = -1
    least = np.inf
    for a in range(k):
        wald = model.beta[a] * model.beta[a] / model.inverse[a, a]
        if removable[a] and wald < least:
            least = wald
            likely = a
    work = np.empty((4, n))
    outer = np.empty(n)
    wider = np.empty(n)
    total = np.empty(k)
    cross = np.empty(k)
    best_at = -1
    coefficient = 0.0
    for turn in range(-1, k + outside.size):
        at = likely if turn < 0 else turn
        if at < 0 or (turn >= 0 and turn == likely) or (at < k and not removable[at]):
            continue
        size = k - 1 if at < k else k + 1
        floor = 0.5 * (price * size - best - TIE)
        if at < k:
            direction = forward[at]
            radius = model_radius
            curvature = -1.0 / model.inverse[at, at]
            shift = model.beta[at] * curvature
            loss = _least_loss(-shift * model.beta[at], abs(shift) * _range(direction), radius)
            if model.loglik - math.exp(-model.drift) * loss < floor:
                continue
        else:
            column = cohort.z[outside[at - k]]
            direction = outer
            own = _outside_direction(cohort, model, forward, column, cross, direction)
            information[at - k] = own
            if own <= 0.0:
                continue
            curvature = 1.0 / own
            slope = 0.0
            for i in range(n):
                slope += direction[i] * model.residual[i]
                wider[i] = squares[i] + direction[i] * direction[i] * curvature
            radius = _farthest(wider)
            shift = slope * curvature
            if model.loglik + _reach(slope * shift, model.drift, radius) < floor:
                continue
        states[at], loglik, shift = _climb(
            cohort, model, forward, direction, curvature, shift, radius, floor, work, total
        )
        if states[at] != FOUND:
            continue
        value = -2.0 * loglik + price * size
        if value < best - TIE or (value <= best + TIE and at < best_at):
            best = value
            best_at = at
            coefficient = shift
            for a in range(k):
                push[a] = total[a] if at < k else total[a] - shift * cross[a]
            if at < k:
                push[at] += shift
    return best_at, best, coefficient
