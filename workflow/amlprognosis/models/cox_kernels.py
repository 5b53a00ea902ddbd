"""Compiled kernels for Cox models: univariate screen, multivariable fit, baseline hazard, concordance.

One place to import them from. All kernels take patients sorted by *descending* time, so that a risk set is a prefix.
They release the GIL, and threads (not numba's ``prange``) share the work: no threading layer to start, safe when
several callers run at once, and the same bits whatever the number of threads.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from amlprognosis.models.concordance import harrell_concordance
from amlprognosis.models.cox_fit import CoxFit, fit_cox, partial_likelihood
from amlprognosis.models.cox_screen import UnivariateScreen, univariate_cox
from amlprognosis.models.risk_sets import Ties, is_efron, risk_sets

__all__ = [
    "CoxFit",
    "Ties",
    "UnivariateScreen",
    "baseline_hazard",
    "fit_cox",
    "harrell_concordance",
    "partial_likelihood",
    "univariate_cox",
]


@njit(cache=True, nogil=True)
def _hazard_increments(weight, event, starts, efron):
    m = starts.size - 1
    out = np.zeros(m)
    s0 = 0.0
    for g in range(m):
        d0 = 0.0
        deaths = 0
        for i in range(starts[g], starts[g + 1]):
            s0 += weight[i]
            if event[i]:
                deaths += 1
                d0 += weight[i]
        if efron:
            for k in range(deaths):
                out[g] += 1.0 / (s0 - k / deaths * d0)
        elif deaths > 0:
            out[g] = deaths / s0
    return out


def baseline_hazard(
    linear_predictor: np.ndarray, time: np.ndarray, event: np.ndarray, ties: Ties = "breslow"
) -> tuple[np.ndarray, np.ndarray]:
    """Estimate the cumulative baseline hazard at linear predictor 0 (Breslow 1972; Efron increments on request).

    Returns
    -------
    times : ndarray (m,)
        Distinct observed times, ascending, days.
    cumulative_hazard : ndarray (m,)
        S(t | lp) = exp(-cumulative_hazard(t) * exp(lp)).
    """
    efron = is_efron(ties)
    sets = risk_sets(time, event)
    lp = np.asarray(linear_predictor, dtype=np.float64)[sets.order]
    shift = float(lp.max())
    increments = _hazard_increments(np.exp(lp - shift), sets.event, sets.starts, efron)
    return sets.times[::-1].copy(), np.cumsum(increments[::-1]) * math.exp(-shift)
