"""Bulk expression of the demo world: biology on a log2 scale, then counts or array intensities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from amlprognosis.demo.facts import Facts
from amlprognosis.demo.programmes import CYCLE_GENES, SEX_GENES, Programme

# Malignant cell types, from the most stem-like to the most mature (van Galen 2019, doi:10.1016/j.cell.2019.01.031).
MALIGNANT_TYPES = ("HSC", "Prog", "GMP", "ProMono", "Mono", "cDC")
_MATURITY = np.array([-1.6, -0.9, -0.2, 0.5, 1.1, 1.3])
MODULES = 14
HOX_GENES = ("HOXA5", "HOXA9", "HOXA10", "HOXB2", "HOXB3", "MEIS1", "PBX3")


@dataclass(frozen=True)
class GeneModel:
    """What every cohort of a world shares about its genes.

    Attributes
    ----------
    genes : list of str
    ensembl : list of str
        Stable identifier without version.
    level : ndarray
        Mean log2 abundance per gene.
    module : ndarray (genes, MODULES)
        Sparse loadings on nuisance modules.
    noise : ndarray
        Standard deviation of each gene's own variation (log2).
    length : ndarray
        Exon length in bases.
    dispersion : ndarray
        Negative-binomial dispersion.
    """

    genes: list[str]
    ensembl: list[str]
    level: np.ndarray
    module: np.ndarray
    noise: np.ndarray
    length: np.ndarray
    dispersion: np.ndarray


def make_gene_model(facts: Facts, genes: list[str], planted: list[Programme], rng: np.random.Generator) -> GeneModel:
    """Draw the genes' common properties."""
    number = len(genes)
    level = rng.normal(4.2, 2.4, number).clip(-2.0, 13.0)
    noise = rng.gamma(9.0, 0.055, number).clip(0.2, 1.2)
    named = {g for p in planted for g in p.genes}
    named |= {g for sets in (facts.death_sets, facts.cell_types) for s in sets.values() for g in s}
    resource = np.array([g in named for g in genes])
    level[resource] = np.maximum(level[resource], rng.normal(5.0, 1.2, number)[resource].clip(2.5, 10.0))
    module = rng.normal(0.0, 0.55, (number, MODULES)) * (rng.random((number, MODULES)) < 0.12)
    in_programme = np.array([g in {g for p in planted for g in p.genes} for g in genes])
    module[in_programme] = 0.0
    identifiers = dict(zip(facts.genes["symbol"], facts.genes["ensembl"], strict=True))
    return GeneModel(
        genes=genes,
        ensembl=[identifiers[g] for g in genes],
        level=level,
        module=module,
        noise=noise,
        length=np.round(np.exp(rng.normal(7.8, 0.6, number))).clip(300, 20000),
        dispersion=rng.gamma(4.0, 0.012, number) + 0.005,
    )


def cell_fractions(latent: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Share of each malignant cell type per patient; stemness moves it towards the stem-like end."""
    stem = latent["stemness"].to_numpy()[:, None]
    logit = -0.8 * stem * _MATURITY[None, :] + rng.normal(0.0, 0.8, (len(latent), len(MALIGNANT_TYPES)))
    weight = np.exp(logit)
    return pd.DataFrame(weight / weight.sum(axis=1, keepdims=True), columns=list(MALIGNANT_TYPES))


def biology(
    facts: Facts,
    model: GeneModel,
    planted: list[Programme],
    coherence: float,
    clinical: pd.DataFrame,
    latent: pd.DataFrame,
    rng: np.random.Generator,
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """True log2 abundance of every gene in every patient, and the standardized score of each programme.

    Returns
    -------
    values : ndarray (patients, genes)
    scores : dict of str to ndarray (patients,)
        Weighted, signed sum of the programme's standardized genes, scaled to unit population variance.
    """
    patients, number = len(clinical), len(model.genes)
    at = {g: i for i, g in enumerate(model.genes)}
    values = model.level + rng.standard_normal((patients, MODULES)) @ model.module.T
    values += rng.standard_normal((patients, number)) * model.noise
    fractions = cell_fractions(latent, rng)
    reserved = {g for p in planted for g in p.genes}
    for name in MALIGNANT_TYPES:
        share = np.log2(fractions[name].to_numpy() + 0.05)
        rows = [at[g] for g in facts.cell_types[name] if g in at and g not in reserved]
        values[:, rows] += 0.6 * (share - share.mean())[:, None]
    cycle = [at[g] for g in CYCLE_GENES if g in at]
    values[:, cycle] += 0.5 * latent["proliferation"].to_numpy()[:, None]
    male = (clinical["sex"] == "male").to_numpy()
    for sex, genes in SEX_GENES.items():
        absent = male if sex == "female" else ~male
        for gene in genes:
            if gene in at:
                values[:, at[gene]] = np.where(absent, -3.0, 7.0) + 0.4 * rng.standard_normal(patients)
    npm1 = clinical["genomic_class"].isin(["npm1_without_itd", "npm1_with_itd", "kmt2a_rearranged"]).to_numpy()
    hox = [at[g] for g in HOX_GENES if g in at and g not in reserved]
    values[:, hox] += 1.6 * (npm1[:, None] - 0.4)
    scores = {}
    for programme in planted:
        factor = latent[programme.name].to_numpy()[:, None]
        own = rng.standard_normal((patients, len(programme.genes)))
        z = coherence * programme.signs * factor + np.sqrt(1 - coherence**2) * own
        weight = programme.weights
        spread = np.sqrt((coherence * weight.sum()) ** 2 + (1 - coherence**2) * (weight**2).sum())
        scores[programme.name] = (z * programme.signs) @ weight / spread
        for k, gene in enumerate(programme.genes):
            if gene in at:
                values[:, at[gene]] = model.level[at[gene]] + 0.9 * z[:, k]
    return values, scores


def counts(
    values: np.ndarray,
    model: GeneModel,
    rng: np.random.Generator,
    depth: float,
    platform_shift: float = 0.0,
    batches: int = 3,
) -> np.ndarray:
    """Negative-binomial read counts.

    Parameters
    ----------
    values : ndarray (patients, genes)
        True log2 abundance.
    depth : float
        Mean library size in reads.
    platform_shift : float
        Standard deviation (log2) of a per-gene shift that the whole cohort shares.
    batches : int
        Number of sequencing batches; each has small per-gene shifts.

    Returns
    -------
    ndarray of int64 (patients, genes)
    """
    patients, number = values.shape
    shift = (
        rng.normal(0.0, platform_shift, number)
        + rng.normal(0.0, 0.12, (batches, number))[rng.integers(batches, size=patients)]
    )
    abundance = np.exp2(values + shift)
    library = depth * np.exp(rng.normal(0.0, 0.25, patients))
    mean = abundance / abundance.sum(axis=1, keepdims=True) * library[:, None]
    rate = rng.gamma(1.0 / model.dispersion, model.dispersion, (patients, number)) * mean
    return rng.poisson(rate)


@dataclass(frozen=True)
class Probes:
    """Probes of the demo array: identifier and the genes (positions) that it measures, none for controls."""

    identifiers: list[str]
    targets: list[tuple[int, ...]]


def make_probes(model: GeneModel, rng: np.random.Generator) -> Probes:
    """Lay out an array: one to three probes per gene, some shared by two genes, some that measure no known gene."""
    per_gene = rng.choice([1, 2, 3], size=len(model.genes), p=[0.66, 0.26, 0.08])
    missing = rng.random(len(model.genes)) < 0.03
    targets: list[tuple[int, ...]] = [(g,) for g, n in enumerate(per_gene) for _ in range(n) if not missing[g]]
    shared = rng.choice(len(model.genes), size=(max(len(model.genes) // 60, 2), 2))
    targets += [(int(a), int(b)) for a, b in shared if a != b]
    targets += [()] * max(len(model.genes) // 40, 3)
    order = rng.permutation(len(targets))
    suffix = {0: "_at", 1: "_at", 2: "_x_at"}
    identifiers = [f"{200000 + i}{'_s' if len(targets[j]) == 1 and i % 4 == 0 else ''}" for i, j in enumerate(order)]
    identifiers = [name + suffix[len(targets[j])] for name, j in zip(identifiers, order, strict=True)]
    return Probes(identifiers, [targets[j] for j in order])


def intensities(values: np.ndarray, probes: Probes, rng: np.random.Generator) -> np.ndarray:
    """Array intensities on the linear scale.

    Each probe has its own affinity and slope, a background, noise, and saturates at 16 bits.

    Returns
    -------
    ndarray (patients, probes), > 0
    """
    patients, number = len(values), len(probes.targets)
    first = np.array([t[0] if t else 0 for t in probes.targets])
    second = np.array([t[-1] if t else 0 for t in probes.targets])
    blank = np.array([not t for t in probes.targets])
    signal = 0.5 * (values[:, first] + values[:, second])
    signal[:, blank] = -3.0
    slope = rng.normal(0.9, 0.08, number).clip(0.5, 1.1)
    affinity = rng.normal(2.2, 0.9, number)
    measured = np.exp2(affinity + slope * signal + 0.22 * rng.standard_normal((patients, number)))
    background = 30.0 * np.exp(0.25 * rng.standard_normal((patients, number)))
    gain = np.exp(rng.normal(0.0, 0.2, patients))[:, None]
    return np.minimum(gain * (measured + background), 65000.0)
