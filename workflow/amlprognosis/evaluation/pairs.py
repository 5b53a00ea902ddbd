"""Pairwise metrics as quadratic forms in patient weights.

Every rank metric of censored data (Harrell's C, Uno's C, the cumulative/dynamic AUC) is
``(w' N w) / (w' D w)`` with pair matrices N and D that do not depend on the weights w of the patients. One set
of matrices therefore gives the estimate (w = 1) and, with a matrix of bootstrap counts, all replicates by two
matrix products.

Scores of different folds come from different fitted models and are never compared: only pairs held out
together count, summed over repeats.

Convention of inverse-probability-of-censoring weights (IPCW): G is the Kaplan-Meier estimate of the censoring
distribution of the *evaluated* cohort, events before censoring at equal times; an event at T weighs 1/G(T-), a
patient alive past t weighs 1/G(t) (as in riskRegression and in R's survival::concordance; scikit-survival uses
G(T) and a training cohort). G is estimated once and held fixed over the bootstrap replicates.
"""

from __future__ import annotations

import numpy as np

from amlprognosis.models.kaplan_meier import KaplanMeier


def comparison_matrices(score: np.ndarray, block: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Count how often one patient scored higher than another among the pairs that may be compared.

    Parameters
    ----------
    score : ndarray, shape (repeats, n)
        Risk; higher = earlier death.
    block : ndarray of int, shape (repeats, n)
        The fold in which the patient was held out; negative where there is no score.

    Returns
    -------
    higher : ndarray, shape (n, n)
        Sum over repeats of 1 (i above j), 1/2 (equal) or 0.
    together : ndarray, shape (n, n)
        In how many repeats i and j were held out in the same fold.
    """
    n = score.shape[1]
    higher, together = np.zeros((n, n)), np.zeros((n, n))
    for row, folds in zip(score, block, strict=True):
        for fold in np.unique(folds[folds >= 0]):
            index = np.flatnonzero(folds == fold)
            s = row[index]
            corner = np.ix_(index, index)
            higher[corner] += (s[:, None] > s) + 0.5 * (s[:, None] == s)
            together[corner] += 1.0
    return higher, together


def comparable_pairs(time: np.ndarray, event: np.ndarray) -> np.ndarray:
    """Pairs (i, j), shape (n, n) bool, where i is known to have died before j.

    A patient censored at the time of a death outlived it; two deaths at the same time are not comparable.
    """
    earlier = time[:, None] < time
    same = (time[:, None] == time) & ~event[None, :]
    return event[:, None] & (earlier | same)


def uno_weights(time: np.ndarray, event: np.ndarray, censoring: KaplanMeier, tau: float | None = None) -> np.ndarray:
    """Weights 1/G(T-)^2 of each patient's death before ``tau`` (0 otherwise), shape (n,).

    References
    ----------
    Uno et al., Stat Med 2011, doi:10.1002/sim.4154
    """
    g = censoring.before(time)
    use = event & (g > 0) & (time < (np.inf if tau is None else tau))
    return np.where(use, 1.0 / np.where(g > 0, g, 1.0) ** 2, 0.0)


def case_weights(time: np.ndarray, event: np.ndarray, censoring: KaplanMeier, horizon: float) -> np.ndarray:
    """Weights 1/G(T-) of patients dead by the horizon (0 otherwise), shape (n,)."""
    g = censoring.before(time)
    use = event & (time <= horizon) & (g > 0)
    return np.where(use, 1.0 / np.where(g > 0, g, 1.0), 0.0)


def auc_pairs(time: np.ndarray, event: np.ndarray, censoring: KaplanMeier, horizon: float) -> np.ndarray:
    """Pair weights of the cumulative/dynamic AUC, shape (n, n): dead by the horizon against alive past it.

    References
    ----------
    Uno et al., JASA 2007, doi:10.1198/016214507000000149; Blanche et al., Stat Med 2013, doi:10.1002/sim.5958
    """
    return np.outer(case_weights(time, event, censoring, horizon), time > horizon)


def quadratic(matrix: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """``w' M w`` for each row w of ``weights`` (b, n); shape (b,)."""
    return np.einsum("bn,bn->b", weights @ matrix, weights)


def bootstrap_weights(n: int, replicates: int, seed: int) -> np.ndarray:
    """Multinomial counts of a bootstrap over patients, shape (replicates, n), float."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, n, replicates]))
    return rng.multinomial(n, np.full(n, 1.0 / n), size=replicates).astype(float)
