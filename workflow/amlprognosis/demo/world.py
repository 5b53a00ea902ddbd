"""Patients of the demo world: risk group, mutations, age, blood counts, latent biology and survival."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from amlprognosis.demo.facts import GROUPS, Facts
from amlprognosis.demo.settings import DemoSettings
from amlprognosis.study import DAYS_PER_YEAR

DAYS_PER_MONTH = 30.4375
# Stemness is higher where the risk is higher (Ng 2016, doi:10.1038/nature20598).
STEMNESS_MEAN = {"favourable": -0.45, "intermediate": 0.05, "adverse": 0.40}


@dataclass(frozen=True)
class Cohort:
    """Patients of one cohort.

    Attributes
    ----------
    clinical : DataFrame
        Index patient number; risk, genomic_class, age, sex, wbc, platelets, ldh, hemoglobin, blasts,
        os_days, os_event (both as they happened, before any record is spoilt).
    mutations : DataFrame
        Patients x mutation names, bool.
    latent : DataFrame
        Patients x {hazard, decoys, stemness, proliferation}, standard normal within the population.
    log_hazard : DataFrame
        Patients x {age, risk, mutations, hazard, stemness}: the parts of the true linear predictor.
    """

    clinical: pd.DataFrame
    mutations: pd.DataFrame
    latent: pd.DataFrame
    log_hazard: pd.DataFrame


def _patients(facts: Facts, number: int, rng: np.random.Generator) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Draw risk group, genomic class, age, sex, counts and mutations."""
    aml = facts.aml
    shares = np.array([aml["risk_groups"]["proportions"][g] for g in GROUPS])
    groups = np.array(GROUPS)[rng.choice(3, size=number, p=shares / shares.sum())]
    names = list(aml["variants"])
    classes = np.empty(number, dtype=object)
    mutated = np.zeros((number, len(names)), dtype=bool)
    center_age, center_wbc = np.zeros(number), np.zeros(number)
    draws = rng.random(number)
    chances = rng.random((number, len(names)))
    for group in GROUPS:
        table = aml["classes"][group]
        keys = list(table)
        edges = np.cumsum([table[k]["patients"] for k in keys]) / sum(table[k]["patients"] for k in keys)
        for row in np.flatnonzero(groups == group):
            fact = table[keys[min(int(np.searchsorted(edges, draws[row], side="right")), len(keys) - 1)]]
            classes[row] = next(k for k in keys if table[k] is fact)
            frequency = np.array([fact["mutations"].get(name, 0.0) for name in names])
            mutated[row] = chances[row] < frequency
            center_age[row], center_wbc[row] = fact["age"], np.log10(fact["wbc"])
    age_fact, blood = aml["age"], aml["blood"]
    # The classes' ages come from trials of younger patients: keep their differences, shift their mean.
    spread = np.sqrt(max(age_fact["standard_deviation"] ** 2 - center_age.var(), 1.0))
    age = age_fact["mean"] + center_age - 50.0 + spread * rng.standard_normal(number)
    age = np.clip(age, age_fact["minimum"], age_fact["maximum"])
    sex = np.where(rng.random(number) < aml["sex"]["male"], "male", "female")

    def lognormal(key: str, mean: np.ndarray | float) -> np.ndarray:
        return 10 ** (mean + blood[key]["standard_deviation"] * rng.standard_normal(number))

    def normal(key: str) -> np.ndarray:
        return rng.normal(blood[key]["mean"], blood[key]["standard_deviation"], number)

    clinical = pd.DataFrame(
        {
            "risk": groups,
            "genomic_class": classes,
            "age": np.round(age, 1),
            "sex": sex,
            "wbc": np.clip(np.round(lognormal("wbc_log10", center_wbc), 1), 0.2, 400),
            "platelets": np.clip(np.round(lognormal("platelets_log10", blood["platelets_log10"]["mean"])), 2, 900),
            "ldh": np.clip(np.round(lognormal("ldh_log10", blood["ldh_log10"]["mean"])), 80, 7500),
            "hemoglobin": np.clip(np.round(normal("hemoglobin"), 1), 3.0, 16.0),
            # Mean 70%, standard deviation 19%: narrower than published (67, 25), since AML starts at 20%.
            "blasts": np.round(100 * rng.beta(3.2, 1.4, number)).clip(20, 99),
        }
    )
    return clinical, pd.DataFrame(mutated, columns=names)


def _latent(facts: Facts, clinical: pd.DataFrame, factors: list[str], rng: np.random.Generator) -> pd.DataFrame:
    latent = {name: rng.standard_normal(len(clinical)) for name in [*factors, "proliferation"]}
    latent["stemness"] = rng.standard_normal(len(clinical)) * 0.92 + clinical["risk"].map(STEMNESS_MEAN).to_numpy()
    # The decoy follows proliferation, which follows the leucocyte count a little: correlated, without hazard.
    wbc, count = np.log10(clinical["wbc"].to_numpy()), facts.aml["blood"]["wbc_log10"]
    latent["proliferation"] = (
        0.3 * (wbc - count["mean"]) / count["standard_deviation"] + np.sqrt(1 - 0.09) * latent["proliferation"]
    )
    if "decoy_proliferation" in latent:
        latent["decoy_proliferation"] = 0.7 * latent["proliferation"] + np.sqrt(0.51) * latent["decoy_proliferation"]
    return pd.DataFrame(latent)


def _log_hazard(
    facts: Facts,
    settings: DemoSettings,
    clinical: pd.DataFrame,
    mutations: pd.DataFrame,
    score: np.ndarray,
    stem: np.ndarray,
) -> pd.DataFrame:
    """Parts of the true log hazard except the risk group's baseline."""
    per_decade = np.log(facts.aml["age"]["hazard_ratio_per_decade"])
    effects = facts.aml["mutation_log_hazard"]["values"]
    return pd.DataFrame(
        {
            "age": per_decade * (clinical["age"].to_numpy() - 57.0) / 10.0,
            "mutations": mutations[list(effects)].to_numpy(dtype=float) @ np.array(list(effects.values())),
            "hazard": settings.programme_log_hazard * score,
            "stemness": settings.stemness_log_hazard * stem,
        }
    )


def baseline(facts: Facts, settings: DemoSettings) -> dict[str, float]:
    """Weibull scale (days) per risk group that gives the published median survival.

    The median over a group's patients, with their ages, mutations and programmes, is what is published; the scale
    that yields it is found on a large population of its own.

    Returns
    -------
    dict of str to float
        Risk group to scale, such that S(t | x) = exp(-(t / scale)**shape * exp(log hazard)).
    """
    rng = np.random.default_rng(20160609)
    clinical, mutations = _patients(facts, 12000, rng)
    latent = _latent(facts, clinical, [], rng)
    parts = _log_hazard(facts, settings, clinical, mutations, rng.standard_normal(12000), latent["stemness"].to_numpy())
    relative = np.exp(parts.sum(axis=1).to_numpy())
    scales = {}
    for group in GROUPS:
        own = relative[(clinical["risk"] == group).to_numpy()]
        low, high = 1e-6, 1e3
        for _ in range(80):
            middle = np.sqrt(low * high)
            low, high = (middle, high) if np.exp(-middle * own).mean() > 0.5 else (low, middle)
        median = facts.aml["survival"]["median_months"][group] * DAYS_PER_MONTH
        scales[group] = float(median / low ** (1.0 / settings.weibull_shape))
    return scales


def draw_patients(
    facts: Facts, settings: DemoSettings, number: int, factors: list[str], rng: np.random.Generator
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Clinical facts, mutations and latent factors of `number` patients (no survival yet)."""
    clinical, mutations = _patients(facts, number, rng)
    return clinical, mutations, _latent(facts, clinical, factors, rng)


def draw_survival(
    facts: Facts,
    settings: DemoSettings,
    clinical: pd.DataFrame,
    mutations: pd.DataFrame,
    latent: pd.DataFrame,
    score: np.ndarray,
    scales: dict[str, float],
    rng: np.random.Generator,
) -> Cohort:
    """Give patients their survival.

    Parameters
    ----------
    score : ndarray
        Standardized score of the hazard programme, from the genes themselves.
    scales : dict
        See :func:`baseline`.
    """
    number = len(clinical)
    parts = _log_hazard(facts, settings, clinical, mutations, score, latent["stemness"].to_numpy())
    scale = clinical["risk"].map(scales).to_numpy()
    parts.insert(1, "risk", -settings.weibull_shape * np.log(scale / scales["intermediate"]))
    others = parts.drop(columns="risk").sum(axis=1).to_numpy()
    luck = _balanced_luck(np.column_stack([parts[c] for c in parts.columns]), rng)
    death = scale * (luck * np.exp(-others)) ** (1.0 / settings.weibull_shape)
    planned = rng.uniform(*settings.followup_years, size=number)
    lost = rng.exponential(1.0 / settings.lost_per_year, size=number)
    followup = DAYS_PER_YEAR * np.minimum(planned, lost)
    clinical = clinical.copy()
    clinical["os_days"] = np.maximum(np.ceil(np.minimum(death, followup)), 1.0)
    clinical["os_event"] = death <= followup
    return Cohort(clinical, mutations, latent, parts)


def _balanced_luck(parts: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Standard exponential draws, stratified and nearly uncorrelated with every part of the true hazard.

    A cohort of 150 would otherwise show, by luck, an effect far stronger or weaker than the one planted; a demo
    should show about what a large cohort would.
    """
    number = len(parts)
    spread = parts.std(axis=0)
    standard = (parts - parts.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    best, least = np.empty(0), np.inf
    for _ in range(400):
        uniform = (rng.permutation(number) + rng.random(number)) / number
        draw = -np.log1p(-uniform)
        rank = np.log(np.maximum(draw, 1e-12)).clip(-4.0)
        imbalance = float((((rank - rank.mean()) @ standard) ** 2).sum())
        if imbalance < least:
            best, least = draw, imbalance
    return best


def concordance(time: np.ndarray, event: np.ndarray, risk: np.ndarray) -> float:
    """Harrell's C: share of comparable pairs in which the earlier death had the higher risk; ties count half."""
    comparable = (time[:, None] < time[None, :]) & event[:, None]
    higher = (risk[:, None] > risk[None, :]) + 0.5 * (risk[:, None] == risk[None, :])
    return float((higher * comparable).sum() / comparable.sum())
