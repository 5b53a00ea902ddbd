"""Small neural networks trained on whole batches, several at once.

Not scikit-learn's: its classifier refuses targets other than labels, and its early stopping gives each network its own
epoch from one split. Here the loss takes pseudo-observations, too, held-out predictions of every epoch can be watched,
and the networks of all seeds are one matrix product.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit


@dataclass(frozen=True)
class Networks:
    """Networks of one hidden layer of rectified units, side by side.

    Attributes
    ----------
    w1 : ndarray (p, s * h)
        Weights into the h hidden units of each of s networks.
    b1 : ndarray (s * h,)
    w2 : ndarray (s * h,)
        Weights out of them.
    b2 : ndarray (s,)
    """

    w1: np.ndarray
    b1: np.ndarray
    w2: np.ndarray
    b2: np.ndarray

    def margins(self, x: np.ndarray) -> np.ndarray:
        """Log odds of each network (n, s) for columns x (n, p)."""
        return self._out(self._hidden(x))

    def _hidden(self, x: np.ndarray) -> np.ndarray:
        return np.maximum(x @ self.w1 + self.b1, 0.0)

    def _out(self, hidden: np.ndarray) -> np.ndarray:
        return (hidden * self.w2).reshape(len(hidden), self.b2.size, -1).sum(axis=2) + self.b2

    def gradient(self, x: np.ndarray, target: np.ndarray, share: np.ndarray, decay: float) -> list[np.ndarray]:
        """Gradient in w1, b1, w2, b2 of each network's loss.

        Parameters
        ----------
        x : ndarray (n, p)
        target : ndarray (n,)
            0/1 labels or pseudo-observations.
        share : ndarray (n,)
            Weights of sum 1.
        decay : float
            The loss is the weighted log loss + decay / 2 * (sum of squares of w1 and w2).
        """
        hidden = self._hidden(x)
        slope = share[:, None] * (expit(self._out(hidden)) - target[:, None])
        spread = np.repeat(slope, self.w2.size // self.b2.size, axis=1)
        below = spread * self.w2 * (hidden > 0)
        return [
            x.T @ below + decay * self.w1,
            below.sum(axis=0),
            (hidden * spread).sum(axis=0) + decay * self.w2,
            slope.sum(axis=0),
        ]


def draw_networks(n_columns: int, hidden: int, mean: float, seeds: Sequence[Sequence[int]]) -> Networks:
    """Draw first weights (He 2015, doi:10.1109/ICCV.2015.123), one network per seed.

    Parameters
    ----------
    n_columns, hidden : int
        Columns and hidden units.
    mean : float
        Mean target, inside (0, 1), near which the output starts.
    seeds : sequence of sequences of int
    """
    w1, w2 = [], []
    for seed in seeds:
        rng = np.random.default_rng(list(seed))
        w1.append(rng.normal(0.0, np.sqrt(2.0 / n_columns), (n_columns, hidden)))
        w2.append(rng.normal(0.0, 0.5 / np.sqrt(hidden), hidden))
    level = float(np.log(mean / (1.0 - mean)))
    return Networks(np.hstack(w1), np.zeros(hidden * len(w1)), np.concatenate(w2), np.full(len(w1), level))


def train(
    networks: Networks,
    x: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray,
    decay: float,
    rate: float,
    epochs: int,
    watched: np.ndarray | None = None,
) -> np.ndarray:
    """Train in place by Adam on the whole batch (Kingma & Ba 2015, arXiv:1412.6980).

    Parameters
    ----------
    networks : Networks
        As drawn; holds the trained weights afterwards.
    x, target, weight
        Training patients: (n, p), (n,), (n,).
    decay : float
        See :meth:`Networks.gradient`.
    rate : float
        Learning rate.
    epochs : int
        Steps.
    watched : ndarray (m, p), optional
        Patients to predict after each step.

    Returns
    -------
    ndarray (m, epochs)
        Mean log odds over networks of the watched patients; empty without them.
    """
    share = weight / weight.sum()
    arrays = [networks.w1, networks.b1, networks.w2, networks.b2]
    first, second = ([np.zeros_like(array) for array in arrays] for _ in range(2))
    seen = np.empty((0 if watched is None else len(watched), epochs))
    for epoch in range(epochs):
        step = rate * np.sqrt(1.0 - 0.999 ** (epoch + 1)) / (1.0 - 0.9 ** (epoch + 1))
        for array, slope, m, v in zip(arrays, networks.gradient(x, target, share, decay), first, second, strict=True):
            m += 0.1 * (slope - m)
            v += 0.001 * (slope * slope - v)
            array -= step * m / (np.sqrt(v) + 1e-8)
        if watched is not None:
            seen[:, epoch] = networks.margins(watched).mean(axis=1)
    return seen
