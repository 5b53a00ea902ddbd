"""Stability of feature selection over folds and repeats."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from amlprognosis.errors import InputError

_Z = 1.959963984540054


@dataclass(frozen=True)
class Stability:
    """Nogueira's stability (1 = always the same features, about 0 = chance) with its 95% interval."""

    index: float
    low: float
    high: float
    fits: int


def selection_frequency(selected: pd.DataFrame, fits: int | None = None) -> pd.DataFrame:
    """How often each feature was selected.

    Parameters
    ----------
    selected : DataFrame
        model, repeat, fold, feature, weight.
    fits : int, optional
        Number of fits per model; default the folds that selected anything (of any model).

    Returns
    -------
    DataFrame
        model, feature, selected (fits), fits, frequency, weight_median, same_sign (share of the more frequent
        sign); by model, falling frequency, name.
    """
    if fits is None:
        fits = len(selected[["repeat", "fold"]].drop_duplicates())
    rows = []
    for (model, feature), part in selected.groupby(["model", "feature"], sort=True):
        weight = part["weight"].to_numpy(float)
        count = len(part[["repeat", "fold"]].drop_duplicates())
        rows.append(
            {
                "model": model,
                "feature": feature,
                "selected": count,
                "fits": fits,
                "frequency": count / fits,
                "weight_median": float(np.median(weight)),
                "same_sign": float(max((weight > 0).mean(), (weight < 0).mean())),
            }
        )
    columns = ["model", "feature", "selected", "fits", "frequency", "weight_median", "same_sign"]
    table = pd.DataFrame(rows, columns=columns)
    order = ["model", "frequency", "feature"]
    return table.sort_values(order, ascending=[True, False, True], kind="stable").reset_index(drop=True)


def nogueira_stability(chosen: np.ndarray) -> Stability:
    """Stability of M selections among d features, with its asymptotic interval.

    The interval treats the fits as independent; folds share training patients, so it is too narrow.

    Parameters
    ----------
    chosen : ndarray of bool, shape (M, d)

    Raises
    ------
    InputError
        Fewer than two selections.

    References
    ----------
    Nogueira, Sechidis and Brown, J Mach Learn Res 2018;18(174):1-54
    """
    z = np.asarray(chosen, dtype=float)
    if z.ndim != 2 or z.shape[0] < 2:
        raise InputError(f"stability needs at least 2 selections, got an array of shape {z.shape}")
    m, d = z.shape
    frequency, sizes = z.mean(0), z.sum(1)
    mean = sizes.mean()
    chance = mean / d * (1.0 - mean / d)
    if chance <= 0:  # nothing or everything selected, always
        return Stability(np.nan, np.nan, np.nan, m)
    phi = 1.0 - (m / (m - 1) * frequency * (1 - frequency)).mean() / chance
    each = (
        (z * frequency).mean(1)
        - sizes * mean / d**2
        + phi / 2.0 * (2.0 * mean * sizes / d**2 - sizes / d - mean / d + 1.0)
    ) / chance
    error = np.sqrt(4.0 / m**2 * ((each - each.mean()) ** 2).sum())
    return Stability(float(phi), float(phi - _Z * error), float(min(1.0, phi + _Z * error)), m)


def model_stability(selected: pd.DataFrame, candidates: dict[str, int]) -> pd.DataFrame:
    """Nogueira's index of each model.

    Parameters
    ----------
    selected : DataFrame
        model, repeat, fold, feature.
    candidates : dict of model to int
        Number of features the model could choose from; models that are not named are left out.

    Returns
    -------
    DataFrame
        model, fits, candidates, features (mean number), stability, stability_low, stability_high.
    """
    rows = []
    for model, part in selected.groupby("model", sort=True):
        if model not in candidates:
            continue
        matrix = pd.crosstab([part["repeat"], part["fold"]], part["feature"]).to_numpy() > 0
        if candidates[model] < matrix.shape[1]:
            raise InputError(
                f"{model} selected {matrix.shape[1]} different features out of {candidates[model]} candidates"
            )
        rest = np.zeros((len(matrix), candidates[model] - matrix.shape[1]), dtype=bool)
        if len(matrix) < 2:
            continue
        found = nogueira_stability(np.hstack([matrix, rest]))
        rows.append(
            {
                "model": model,
                "fits": found.fits,
                "candidates": candidates[model],
                "features": float(matrix.sum(1).mean()),
                "stability": found.index,
                "stability_low": found.low,
                "stability_high": found.high,
            }
        )
    columns = ["model", "fits", "candidates", "features", "stability", "stability_low", "stability_high"]
    return pd.DataFrame(rows, columns=columns)
