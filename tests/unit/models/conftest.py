import numpy as np
import pandas as pd
import pytest

from amlprognosis.models.base import as_outcome


def simulate(n, seed, n_genes=60, scale=1.0):
    """Genes G0..G3 and age kill (G2 protects); about 65% die."""
    rng = np.random.default_rng(seed)
    genes = rng.normal(size=(n, n_genes))
    age = rng.normal(60, 12, n)
    lp = genes[:, :4] @ [0.7, 0.6, -0.6, 0.5] + 0.04 * (age - 60)
    death, censored = rng.exponential(np.exp(-lp)) * 1500 + 1, rng.uniform(1200, 5000, n)
    frame = pd.DataFrame(genes, columns=[f"expression:G{j}" for j in range(n_genes)])
    frame["clinical:age"] = age
    frame["clinical:sex_male"] = (rng.random(n) < 0.5).astype(float)
    level = np.digitize(lp + rng.normal(0, 1, n), [-0.7, 0.7])
    frame["clinical:risk_intermediate"] = (level == 1).astype(float)
    frame["clinical:risk_adverse"] = (level == 2).astype(float)
    for j in range(4):
        frame[f"mutation:M{j}"] = (rng.random(n) < 0.2).astype(float)
    frame.index = [f"P{i:04d}" for i in range(n)]
    return frame, as_outcome(np.minimum(death, censored), death <= censored)


@pytest.fixture(scope="session")
def train():
    return simulate(160, 1)


@pytest.fixture(scope="session")
def test():
    return simulate(120, 2)
