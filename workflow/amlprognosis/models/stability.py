"""Stability selection with the lasso: how often a column is among the first to enter on half-samples."""

from __future__ import annotations

from numbers import Integral

import numpy as np

from amlprognosis.errors import InputError
from amlprognosis.models.lasso_kernels import breslow, path, spreads
from amlprognosis.models.learners.base import run_threads
from amlprognosis.models.penalized_cohort import Cohort

# Ratio of neighboring penalties: fine enough that columns rarely enter together.
STEP = 0.96
N_STEPS = 150
TOLERANCE = 1e-8


def default_q(p: int) -> int:
    """Columns that count on a half-sample of ``p`` columns: sqrt(0.8 p), at least 2."""
    return min(p, max(2, int(np.sqrt(0.8 * p))))


def stability_frequencies(
    x: np.ndarray,
    time: np.ndarray,
    event: np.ndarray,
    n_pairs: int = 50,
    q: int | None = None,
    random_state: int = 0,
    n_jobs: int = 1,
) -> np.ndarray:
    """Count on how many half-samples a column is among the first ``q`` that enter the lasso path.

    Half-samples come in complementary pairs (Shah 2013, doi:10.1111/j.1467-9868.2011.01034.x), deaths and survivors
    halved separately. Columns that reach a share of ``threshold`` are stable; at most ``q^2 / ((2 threshold - 1) p)``
    of them are expected to be false if false columns are exchangeable and the lasso is no worse than chance
    (Meinshausen 2010, doi:10.1111/j.1467-9868.2010.00740.x).

    Parameters
    ----------
    x : ndarray (n, p)
        Finite columns; standardized within each half-sample (ddof 0). The order of rows decides who is in which half.
    time, event : ndarray (n,)
        Days; True = death.
    n_pairs : int
        Complementary pairs of half-samples.
    q : int, optional
        Columns that count on each half-sample. None = sqrt(0.8 p), at least 2.
    random_state : int
        Seed of the half-samples.
    n_jobs : int
        Threads; they do not change the result.

    Returns
    -------
    ndarray (p,)
        Share of the ``2 * n_pairs`` half-samples.

    Raises
    ------
    InputError
        If fewer than 2 patients died, a value is not finite, or a parameter is out of range.
    """
    cohort = Cohort(x, time, event)
    p = len(cohort.columns)
    q = default_q(p) if q is None else q
    for name, value, most in (("n_pairs", n_pairs, 10**6), ("q", q, p)):
        if not isinstance(value, Integral) or not 1 <= value <= most:
            raise InputError(f"{name} must be a whole number from 1 to {most}, got {value!r}")
    died, lived = np.flatnonzero(cohort.sets.event), np.flatnonzero(~cohort.sets.event)
    if died.size < 2:
        raise InputError("stability selection halves the deaths: it needs at least 2")
    block = np.repeat(np.arange(cohort.sets.times.size), np.diff(cohort.sets.starts))
    rng = np.random.default_rng(random_state)
    halves = []
    for _ in range(int(n_pairs)):
        deaths, others = rng.permutation(died), rng.permutation(lived)
        for side in range(2):
            picked = (part[side * (part.size // 2) :][: part.size // 2] for part in (deaths, others))
            halves.append(np.sort(np.concatenate(list(picked))))
    chosen = run_threads(lambda rows: _first_columns(cohort, rows, block[rows], int(q)), halves, n_jobs)
    return np.bincount(np.concatenate(chosen), minlength=p) / len(halves)


def _first_columns(cohort: Cohort, rows: np.ndarray, block: np.ndarray, q: int) -> np.ndarray:
    """Positions of the first ``q`` columns on the lasso path of some patients; ``block`` numbers their times."""
    columns = np.ascontiguousarray(cohort.columns[:, rows])
    deaths = cohort.deaths[rows]
    starts = np.flatnonzero(np.diff(block, prepend=-1))
    closing = np.zeros(rows.size)
    closing[np.append(starts[1:], rows.size) - 1] = np.add.reduceat(deaths, starts)
    everyone = np.ones(rows.size)
    spread = spreads(columns, everyone)
    lasso = np.where(spread > 0, spread, np.inf)
    gradient = np.empty(rows.size)
    null = breslow(np.zeros(rows.size), everyone, deaths, closing, np.empty(rows.size), np.empty(rows.size), gradient)
    slopes = np.abs(columns @ gradient) / lasso / rows.size
    top = float(slopes.max())
    if top <= 1e-12:
        return np.empty(0, dtype=np.int64)
    lambdas = top * STEP ** np.arange(1, N_STEPS + 1)
    p = lasso.size
    betas, _, done = path(
        columns, everyone, deaths, closing, deaths, closing, lasso, np.zeros(p), lambdas, top, TOLERANCE, q - 1, null,
        np.zeros(p), min(p, 2 * q + 64),
    )  # fmt: skip
    inside = betas[:done] != 0
    entered = np.flatnonzero(inside.any(axis=0))
    at = inside[:, entered].argmax(axis=0)
    # Of those that enter at the same step the strongest came first.
    size = np.abs(betas[at, entered]) * spread[entered]
    return entered[np.lexsort((-size, at))[:q]]
