"""Compiled kernels of penalized Cox models: Breslow likelihood, coordinate descent with the likelihood's own Hessian.

Patients are in descending order of time and matrices are stored by column, (p, n). A training part is a mask over
all patients (1 = inside), so that the folds of a cross-validation share one matrix. ``deaths`` is 1 for patients
inside who died, ``closing`` the number of those deaths at the last patient of each block of tied times, and 0 else.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

# Sums may be reordered, which lets them be vectorized; infinities and NaN keep their meaning.
FAST = {"reassoc", "contract", "nsz"}
# The Hessian is renewed when the distance from rest shrinks by less than this factor.
SLOW = 0.3
# A descent ends when it is at this share of the distance from rest.
GOAL = 0.03


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def spreads(x, inside):
    """Standard deviation (ddof 0) of each row of x over the patients inside; 0 in a constant row."""
    p, n = x.shape
    out = np.empty(p)
    size = 0.0
    for i in range(n):
        size += inside[i]
    for j in range(p):
        mean = 0.0
        for i in range(n):
            mean += inside[i] * x[j, i]
        mean /= size
        square = 0.0
        for i in range(n):
            square += inside[i] * (x[j, i] - mean) * (x[j, i] - mean)
        sd = math.sqrt(square / size)
        out[j] = sd if sd > 1e-10 * max(abs(mean), 1e-10) else 0.0
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def breslow(eta, inside, deaths, closing, risk, hazard, gradient):
    """Breslow log partial likelihood of the patients inside; minus infinity where risks are too far apart for floats.

    Fills exp(eta) of those inside up to a factor, the cumulative hazard up to its inverse, and the gradient in eta.
    """
    n = eta.size
    top = eta[0]
    for i in range(n):
        top = max(top, eta[i])
    loglik = 0.0
    s0 = 0.0
    # One logarithm for many risk sets.
    product = 1.0
    for i in range(n):
        e = inside[i] * math.exp(eta[i] - top)
        risk[i] = e
        s0 += e
        loglik += deaths[i] * (eta[i] - top)
        hazard[i] = 0.0
        dead = closing[i]
        if dead > 0.0:
            if s0 < 1e-300:
                return -np.inf
            hazard[i] = dead / s0
            if dead > 1.0:
                loglik -= dead * math.log(s0)
            else:
                product *= s0
                if not 1e-150 < product < 1e150:
                    loglik -= math.log(product)
                    product = 1.0
    total = 0.0
    for i in range(n - 1, -1, -1):
        total += hazard[i]
        hazard[i] = total
        gradient[i] = deaths[i] - risk[i] * total
    return loglik - math.log(product)


@njit(cache=True, nogil=True, error_model="numpy")
def loglik_rows(eta, inside, deaths, closing):
    """Breslow log partial likelihood of each row of eta (k, n)."""
    k, n = eta.shape
    out = np.empty(k)
    risk, hazard, gradient = np.empty(n), np.empty(n), np.empty(n)
    for row in range(k):
        out[row] = breslow(eta[row], inside, deaths, closing, risk, hazard, gradient)
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def measure(inside, deaths, closing, tolerance):
    """Patients inside, risk sets in which somebody died, and the derivative per patient at which a path rests.

    The arrays are (n,), see the module; ``tolerance`` is that of the paths.
    """
    size = 0.0
    died = 0.0
    sets = 0
    for i in range(inside.size):
        size += inside[i]
        died += deaths[i]
        if closing[i] > 0.0:
            sets += 1
    return size, sets, math.sqrt(tolerance * died / size)


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def predict_rows(x, coefficients, out):
    """Fill ``out`` (n,) with the linear predictor of each row of ``x`` (n, k)."""
    for i in range(x.shape[0]):
        total = 0.0
        for k in range(coefficients.size):
            total += x[i, k] * coefficients[k]
        out[i] = total


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _predict(x, members, b, count, eta):
    for i in range(eta.size):
        eta[i] = 0.0
    for s in range(count):
        d = b[s]
        if d != 0.0:
            j = members[s]
            for i in range(eta.size):
                eta[i] += d * x[j, i]


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _derivative(x, j, gradient):
    total = 0.0
    for i in range(gradient.size):
        total += x[j, i] * gradient[i]
    return total


@njit(cache=True, nogil=True, error_model="numpy")
def _unrest(slope, beta, cut, ridge):
    """How far a coordinate's derivative is from rest."""
    pull = slope - ridge * beta
    if beta > 0.0:
        return abs(pull - cut)
    if beta < 0.0:
        return abs(pull + cut)
    return max(abs(pull) - cut, 0.0)


@njit(cache=True, nogil=True, error_model="numpy")
def _weigh(risk, hazard, closing, old_risk, weight, weight_sets):
    """Weights of the two halves of the Hessian's root: of patients, and of risk sets in which somebody died."""
    s0 = 0.0
    k = 0
    for i in range(risk.size):
        s0 += risk[i]
        old_risk[i] = risk[i]
        weight[i] = math.sqrt(risk[i] * hazard[i])
        if closing[i] > 0.0:
            weight_sets[k] = math.sqrt(closing[i]) / s0
            k += 1


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _join(x, j, risk, closing, weight, weight_sets, roots, roots_sets, s, hessian, size):
    """Add column j to the working set at place s: minus the Hessian is <a_s, a_t> - <b_s, b_t> with roots a and b."""
    m = 0
    s1 = 0.0
    for i in range(risk.size):
        s1 += risk[i] * x[j, i]
        if closing[i] > 0.0:
            roots_sets[s, m] = weight_sets[m] * s1
            m += 1
    for i in range(risk.size):
        roots[s, i] = weight[i] * x[j, i]
    for t in range(s + 1):
        value = 0.0
        for i in range(risk.size):
            value += roots[s, i] * roots[t, i]
        for i in range(roots_sets.shape[1]):
            value -= roots_sets[s, i] * roots_sets[t, i]
        hessian[s, t] = value / size
        hessian[t, s] = value / size


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _descend(hessian, pull, cut, ridge, b, count, goal):
    """Coordinate descent on the quadratic model with derivative ``pull`` at ``b`` (both changed in place)."""
    for _sweep in range(1000):
        largest = 0.0
        for s in range(count):
            v = hessian[s, s]
            if v <= 1e-14:
                continue
            u = pull[s] + v * b[s]
            value = 0.0
            if u > cut[s]:
                value = (u - cut[s]) / (v + ridge[s])
            elif u < -cut[s]:
                value = (u + cut[s]) / (v + ridge[s])
            d = value - b[s]
            if d != 0.0:
                b[s] = value
                largest = max(largest, v * abs(d))
                for t in range(count):
                    pull[t] -= d * hessian[s, t]
        if largest <= goal:
            break


@njit(cache=True, nogil=True, error_model="numpy")
def path(
    x, inside, deaths, closing, all_deaths, all_closing, lasso, ridge, lambdas, previous, tolerance, max_active, null,
    beta, room,
):  # fmt: skip
    """Fit along lambdas from warm start ``beta`` (p,), changed in place.

    Column j is penalized by ``lambda * (lasso[j] * |b| + ridge[j] / 2 * b^2)``; infinite = not used. Coordinate descent
    solves the quadratic approximation of the partial likelihood. Its Hessian is kept for several penalties while
    the gradient is exact: the fixed point is the solution, whatever the age of the Hessian.

    Returns coefficients (k, p), log likelihoods of the patients inside and of all (k, 2), and how many are done: fewer
    when a fit has more than ``max_active`` coefficients, explains nearly everything, or is out of the range of floats.
    """
    p, n = x.shape
    size, sets, rest = measure(inside, deaths, closing, tolerance)
    betas, logliks = np.zeros((lambdas.size, p)), np.empty((lambdas.size, 2))
    eta, gradient, risk, hazard = np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    old_risk, weight, weight_sets = np.empty(n), np.empty(n), np.empty(n)
    everyone, spare = np.ones(n), np.empty((3, n))
    # The working set: columns that moved or want to move, with their part of the Hessian.
    slot, members = np.empty(p, dtype=np.int64), np.empty(p, dtype=np.int64)
    roots, roots_sets, hessian = np.empty((room, n)), np.empty((room, sets)), np.empty((room, room))
    b, old, pull, cut, shrink = np.empty(room), np.empty(room), np.empty(room), np.empty(room), np.empty(room)
    slopes, wanted = np.zeros(p), np.zeros(p, dtype=np.bool_)
    for j in range(p):
        slot[j] = -1
        members[j] = j
    n_members = p
    _predict(x, members, beta, n_members, eta)
    loglik = breslow(eta, inside, deaths, closing, risk, hazard, gradient)
    for j in range(p):
        if lasso[j] < np.inf:
            slopes[j] = _derivative(x, j, gradient) / size
    stale = True
    for step in range(lambdas.size):
        lam = lambdas[step]
        # Sequential strong rule (Tibshirani 2012, doi:10.1111/j.1467-9868.2011.01004.x), checked below.
        for j in range(p):
            moved = slot[j] >= 0 or beta[j] != 0.0
            wanted[j] = moved or (lasso[j] < np.inf and abs(slopes[j]) >= lasso[j] * (2.0 * lam - previous))
        previous = lam
        last_worst = np.inf
        for _outer in range(300):
            worst = 0.0
            for j in range(p):
                if wanted[j]:
                    worst = max(worst, _unrest(slopes[j], beta[j], lam * lasso[j], lam * ridge[j]))
            if worst <= rest:
                complete = True
                for j in range(p):
                    if not wanted[j] and lasso[j] < np.inf:
                        slopes[j] = _derivative(x, j, gradient) / size
                        if _unrest(slopes[j], 0.0, lam * lasso[j], 0.0) > rest:
                            wanted[j] = True
                            complete = False
                if complete:
                    break
            stale = stale or worst > SLOW * last_worst
            last_worst = worst
            fresh = stale
            if stale:
                for s in range(n_members):
                    slot[members[s]] = -1
                n_members = 0
                _weigh(risk, hazard, closing, old_risk, weight, weight_sets)
                stale = False
            for j in range(p):
                if not wanted[j] or slot[j] >= 0:
                    continue
                if beta[j] == 0.0 and _unrest(slopes[j], 0.0, lam * lasso[j], 0.0) <= rest:
                    continue
                if n_members == room:
                    stale = True
                    break
                _join(x, j, old_risk, closing, weight, weight_sets, roots, roots_sets, n_members, hessian, size)
                slot[j] = n_members
                members[n_members] = j
                n_members += 1
            objective = -loglik / size
            for s in range(n_members):
                j = members[s]
                b[s] = beta[j]
                old[s] = beta[j]
                pull[s] = slopes[j]
                cut[s] = lam * lasso[j]
                shrink[s] = lam * ridge[j]
                objective += cut[s] * abs(b[s]) + 0.5 * shrink[s] * b[s] * b[s]
            _descend(hessian, pull, cut, shrink, b, n_members, max(0.1 * rest, GOAL * worst))
            accepted = False
            for _halving in range(30):
                _predict(x, members, b, n_members, eta)
                loglik = breslow(eta, inside, deaths, closing, risk, hazard, gradient)
                now = -loglik / size
                for s in range(n_members):
                    now += cut[s] * abs(b[s]) + 0.5 * shrink[s] * b[s] * b[s]
                if now <= objective + 1e-12 * abs(objective):
                    accepted = True
                    break
                stale = True
                for s in range(n_members):
                    b[s] = 0.5 * (b[s] + old[s])
            nonzero = 0
            for s in range(n_members):
                beta[members[s]] = b[s]
                if b[s] != 0.0:
                    nonzero += 1
            if n_members == room and nonzero > max_active:
                break
            for j in range(p):
                if wanted[j]:
                    slopes[j] = _derivative(x, j, gradient) / size
            if not accepted and fresh:
                break
        nonzero = 0
        for j in range(p):
            betas[step, j] = beta[j]
            if beta[j] != 0.0:
                nonzero += 1
        logliks[step, 0] = loglik
        logliks[step, 1] = breslow(eta, everyone, all_deaths, all_closing, spare[0], spare[1], spare[2])
        if not (math.isfinite(logliks[step, 0]) and math.isfinite(logliks[step, 1])):
            return betas, logliks, step
        # A saturated fit (all of the null deviance explained) has no finite end.
        if nonzero > max_active or loglik > null * 0.01:
            return betas, logliks, step + 1
    return betas, logliks, lambdas.size


# ---------------------------------------------------------------- linear algebra, the same bits whatever the BLAS


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def factorize(a, lam, out):
    """Cholesky factor of ``a`` (p, p) + lam * identity, in the lower triangle of ``out`` (p, p)."""
    for i in range(a.shape[0]):
        for j in range(i + 1):
            total = a[i, j] + (lam if i == j else 0.0)
            for k in range(j):
                total -= out[i, k] * out[j, k]
            out[i, j] = math.sqrt(total) if i == j else total / out[j, j]


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def solve(factor, b):
    """Solve for ``b`` (p,), in place, with a Cholesky factor (p, p)."""
    p = b.size
    for i in range(p):
        total = b[i]
        for k in range(i):
            total -= factor[i, k] * b[k]
        b[i] = total / factor[i, i]
    for i in range(p - 1, -1, -1):
        value = b[i] / factor[i, i]
        b[i] = value
        for k in range(i):
            b[k] -= factor[i, k] * value


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def pivoted_cholesky(products, inside, out, pivots):
    """Coordinates ``out`` (n, r) of patients whose products (n, n) are given: those of the first r pivots suffice.

    Pivots are taken among the patients inside, the farthest from the span of the others first. Returns how many.
    """
    n = inside.size
    left = np.empty(n)
    most = 0.0
    for i in range(n):
        left[i] = products[i, i] if inside[i] > 0.0 else 0.0
        most = max(most, left[i])
    for k in range(pivots.size):
        pivot = 0
        for i in range(n):
            if left[i] > left[pivot]:
                pivot = i
        if left[pivot] <= 1e-11 * most:
            return k
        pivots[k] = pivot
        length = math.sqrt(left[pivot])
        for i in range(n):
            total = products[i, pivot]
            for other in range(k):
                total -= out[i, other] * out[pivot, other]
            out[i, k] = total / length
            left[i] = max(left[i] - out[i, k] * out[i, k], 0.0)
        left[pivot] = 0.0
    return pivots.size
