"""Small count matrices that R makes alike."""

from __future__ import annotations

import numpy as np
import pandas as pd


def five_samples() -> pd.DataFrame:
    """In R.

    g <- 1:40; x <- sapply(1:5, function(s) round(((g*37 + s*11) %% 50)^1.5 * c(1,1.4,0.7,2.2,1)[s]
    + ifelse(g <= 6 & s == 4, 3000, 0) + (g %% 3 == 0)*s)); x[7,] <- 0; x[8,2] <- 0
    """
    gene = np.arange(1, 41)
    rows = [
        np.round(
            ((gene * 37 + s * 11) % 50) ** 1.5 * scale
            + np.where((gene <= 6) & (s == 4), 3000, 0)
            + np.where(gene % 3 == 0, s, 0)
        )
        for s, scale in zip(range(1, 6), [1, 1.4, 0.7, 2.2, 1], strict=True)
    ]
    counts = np.array(rows)
    counts[:, 6] = 0
    counts[1, 7] = 0
    return pd.DataFrame(counts, index=list("abcde"), columns=[f"g{i}" for i in gene])


def twelve_samples() -> pd.DataFrame:
    """In R.

    g <- 1:120; x <- sapply(1:12, function(s) { mu <- 6*1.06^g;
    z <- (((g*7919 + s*104729 + g*s*31) %% 997)/997 - 0.5)*sqrt(12);
    round(mu*(0.5 + ((s*5) %% 7)/4)*exp(sqrt(0.08+2/mu)*z)) });
    x[7,] <- 0; x[8,2] <- 0; x[50,] <- x[50,]*(1:12 %% 3 == 0)
    """
    gene, sample = np.arange(1, 121), np.arange(1, 13)[:, None]
    mu = 6 * 1.06**gene
    z = (((gene * 7919 + sample * 104729 + gene * sample * 31) % 997) / 997 - 0.5) * np.sqrt(12)
    counts = np.round(mu * (0.5 + ((sample * 5) % 7) / 4) * np.exp(np.sqrt(0.08 + 2 / mu) * z))
    counts[:, 6] = 0
    counts[1, 7] = 0
    counts[:, 49] *= np.arange(1, 13) % 3 == 0
    return pd.DataFrame(counts, index=[f"s{i}" for i in range(1, 13)], columns=[f"g{i}" for i in gene])
