"""The single-cell atlas: counts per cell with malignant and normal types, doublets and poor cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from amlprognosis.demo.expression import MALIGNANT_TYPES
from amlprognosis.demo.facts import Facts
from amlprognosis.demo.programmes import CYCLE_GENES, Programme
from amlprognosis.demo.settings import DemoSettings

MITOCHONDRIAL = tuple(
    f"MT-{name}"
    for name in ["ATP6", "ATP8", "CO1", "CO2", "CO3", "CYB", "ND1", "ND2", "ND3", "ND4", "ND4L", "ND5", "ND6"]
)
NORMAL_SHARES = {
    "HSC": 4,
    "Prog": 9,
    "GMP": 8,
    "ProMono": 8,
    "Mono": 13,
    "cDC": 6,
    "pDC": 3,
    "earlyEry": 10,
    "lateEry": 7,
    "ProB": 3,
    "B": 6,
    "Plasma": 4,
    "T": 12,
    "CTL": 4,
    "NK": 3,
}
# Level of the hazard programme (standard deviations) in malignant cells; normal cells have none.
HAZARD_LEVEL = {"HSC": 1.8, "Prog": 1.4, "GMP": 0.5, "ProMono": 0.0, "Mono": -0.2, "cDC": -0.2}
STEM_LEVEL = {"HSC": 1.6, "Prog": 1.0, "GMP": 0.2}
_CYCLING = {"Prog": 0.45, "GMP": 0.5, "ProMono": 0.25, "earlyEry": 0.6, "ProB": 0.4, "HSC": 0.1, "Plasma": 0.1}


@dataclass(frozen=True)
class Sample:
    """Cells of one sample: annotation (a row per cell), counts (genes, cells) and which cells are spoilt."""

    name: str
    accession: str
    annotation: pd.DataFrame
    counts: np.ndarray
    doublets: np.ndarray
    poor: np.ndarray


def cell_genes(facts: Facts, planted: list[Programme], genes: list[str], number: int) -> list[str]:
    """Genes of the atlas: all that the resources name, then others, then the mitochondrial ones; sorted."""
    wanted = [g for p in planted for g in p.genes]
    for sets in (facts.cell_types, facts.death_sets):
        wanted += [g for s in sets.values() for g in s]
    wanted += [*facts.lsc17, *CYCLE_GENES, *genes]
    present = set(genes)
    chosen = list(dict.fromkeys(g for g in wanted if g in present))[:number]
    return sorted([*chosen, *MITOCHONDRIAL])


def simulate_cells(
    facts: Facts, settings: DemoSettings, planted: list[Programme], genes: list[str], rng: np.random.Generator
) -> list[Sample]:
    """Draw all samples of the atlas.

    Parameters
    ----------
    genes : list of str
        See :func:`cell_genes`.

    Returns
    -------
    list of Sample
        First the leukaemias, then the normal marrows.
    """
    number = len(genes)
    at = {g: i for i, g in enumerate(genes)}
    named = {g for s in (*facts.cell_types.values(), *facts.death_sets.values()) for g in s}
    level = rng.normal(0.0, 1.6, number)
    level[[at[g] for g in genes if g in named]] += 0.6
    mito = np.array([g.startswith("MT-") for g in genes])
    profiles = _profiles(facts, genes, at, level, rng)
    cycle = np.array([at[g] for g in CYCLE_GENES if g in at], dtype=np.intp)
    by_name = {p.name: p for p in planted}
    total = settings.leukaemias + settings.normals
    sizes = [settings.cells // total + (k < settings.cells % total) for k in range(total)]
    samples = []
    for k, size in enumerate(sizes):
        leukaemia = k < settings.leukaemias
        name = f"AML{901 + k}-D0" if leukaemia else f"BM{k - settings.leukaemias + 1}"
        kinds, malignant = _kinds(leukaemia, size, rng)
        patient = rng.normal(0.0, 0.35, number)
        log = np.stack([profiles[t] for t in kinds])
        log[malignant] += patient
        for programme, levels in (("hazard", HAZARD_LEVEL), ("stemness", STEM_LEVEL)):
            p = by_name[programme]
            cols = [at[g] for g in p.genes if g in at]
            signs = p.signs[[g in at for g in p.genes]]
            own = np.array([levels.get(t, 0.0) * m for t, m in zip(kinds, malignant, strict=True)])
            log[:, cols] += own[:, None] * signs * 0.8
            log[:, cols] += np.where(signs > 0, 0.0, 0.8)
        cycling = rng.random(size) < np.array([_CYCLING.get(t, 0.03) for t in kinds])
        log[np.ix_(cycling, cycle)] += 2.5
        poor = rng.random(size) < 0.04
        weight = np.exp2(log + 0.3 * rng.standard_normal((size, 1)))
        weight[:, mito] = 0.0
        share = rng.beta(3.0, 60.0, size)
        share[poor] = rng.beta(8.0, 10.0, poor.sum())
        weight /= weight.sum(axis=1, keepdims=True)
        weight *= (1 - share)[:, None]
        weight[:, mito] = share[:, None] * np.linspace(1.5, 0.5, mito.sum()) / mito.sum()
        depth = np.exp(rng.normal(8.0, 0.35, size))
        depth[poor] *= 0.12
        counts = rng.poisson(weight * depth[:, None]).T
        doublets = np.flatnonzero(~poor & (rng.random(size) < 0.03))
        counts[:, doublets] += counts[:, rng.permutation(size)[: len(doublets)]]
        flagged = np.zeros(size, dtype=bool)
        flagged[doublets] = True
        annotation = _annotation(name, kinds, malignant, cycling, counts, rng)
        samples.append(Sample(name, f"GSM{9995001 + 2 * k}", annotation, counts, flagged, poor))
    return samples


def _profiles(
    facts: Facts, genes: list[str], at: dict[str, int], level: np.ndarray, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Mean log2 level per gene and cell type: markers are high in their own type, low elsewhere."""
    markers = sorted({g for s in facts.cell_types.values() for g in s if g in at})
    base = level.copy()
    base[[at[g] for g in markers]] = -1.5
    profiles = {}
    for name in NORMAL_SHARES:
        profile = base + rng.normal(0.0, 0.35, len(genes))
        own = [at[g] for g in facts.cell_types[name] if g in at]
        profile[own] = rng.normal(5.0, 0.8, len(own))
        profiles[name] = profile
    return profiles


def _kinds(leukaemia: bool, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    names = list(NORMAL_SHARES)
    normal = np.array(list(NORMAL_SHARES.values()), dtype=float)
    kinds = rng.choice(names, size=size, p=normal / normal.sum())
    malignant = np.zeros(size, dtype=bool)
    if leukaemia:
        shares = rng.dirichlet(np.array([2.0, 4.0, 3.5, 2.5, 3.0, 2.5]))
        malignant = rng.random(size) < rng.uniform(0.65, 0.85)
        kinds[malignant] = rng.choice(MALIGNANT_TYPES, size=int(malignant.sum()), p=shares)
    return kinds, malignant


def _annotation(
    name: str,
    kinds: np.ndarray,
    malignant: np.ndarray,
    cycling: np.ndarray,
    counts: np.ndarray,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Columns of GSE116256's .anno files."""
    size = len(kinds)
    codes = rng.integers(0, 4, (size, 12))
    letters = np.array(list("ACGT"))
    cells = [f"{name}_{''.join(letters[c])}" for c in codes]
    if len(set(cells)) != size:
        cells = [
            f"{cell[:-4]}{''.join(letters[[i >> 6 & 3, i >> 4 & 3, i >> 2 & 3, i & 3]])}"
            for i, cell in enumerate(cells)
        ]
    unclear = malignant & (rng.random(size) < 0.03)
    called = np.where(malignant, "malignant", "normal")
    total = counts.sum(axis=0)
    detected = (counts > 0).sum(axis=0)
    scores = rng.dirichlet(np.full(len(NORMAL_SHARES), 0.3), size) * 0.4
    types = list(NORMAL_SHARES)
    scores[np.arange(size), [types.index(t) for t in kinds]] += 0.6
    mutated = np.where(malignant & (rng.random(size) < 0.1), "NPM1.W288fs/1", "")
    table = pd.DataFrame(
        {
            "Cell": cells,
            "NumberOfReads": total * 28,
            "AlignedToGenome": total * 20,
            "AlignedToTranscriptome": total * 14,
            "TranscriptomeUMIs": total,
            "NumberOfGenes": detected,
            "CyclingScore": np.round(np.where(cycling, 0.6, -0.2) + rng.normal(0, 0.1, size), 3),
            "CyclingBinary": np.where(cycling, "yes", "no"),
            "MutTranscripts": mutated,
            "WtTranscripts": "",
            "PredictionRF2": called,
            "PredictionRefined": np.where(unclear, "unclear", called),
            "CellType": np.where(malignant & ~unclear, np.char.add(kinds.astype(str), "-like"), kinds),
        }
    )
    for k, label in enumerate(types):
        table[f"Score_{label}"] = np.round(scores[:, k], 3)
    return table
