"""Workloads: simulated cohorts, and the peers' workload W1 read in place from ../shared."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmarks.measure import SHARED


@dataclass(frozen=True)
class Cohort:
    """Matrix (n, p), times (days), deaths."""

    x: np.ndarray
    time: np.ndarray
    event: np.ndarray
    genes: list[str]


def simulated(n: int, p: int, seed: int = 1) -> Cohort:
    """Simulate n patients and p genes, ten of which carry hazard; a third of the patients are censored."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, p))
    hazard = x[:, :10] @ np.linspace(0.5, -0.5, 10)
    death = rng.exponential(size=n) * 500 * np.exp(-hazard)
    censoring = rng.exponential(size=n) * 1200
    time = np.ceil(np.minimum(death, censoring))
    return Cohort(x, time, death <= censoring, [f"G{j}" for j in range(p)])


def w1(name: str) -> Cohort:
    """Cohort of workload W1: ``tcga`` (training) or ``bullinger``; see ../shared/PEERS.md."""
    table = pd.read_csv(SHARED / "golden" / f"w1_{name}_84genes.csv")
    time, event = table["OS.time"].to_numpy(dtype=float), table["OS"].to_numpy() == 1
    genes = [column for column in table.columns if column not in ("OS.time", "OS")]
    return Cohort(table[genes].to_numpy(dtype=float), time, event, genes)
