"""How a model card says to apply the model: the command, the formula, the weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from amlprognosis.evaluation.card_words import count_of, plain_name, unit_of
from amlprognosis.models.base import RiskModel, _step_values
from amlprognosis.models.contributions import SCALES, Additive
from amlprognosis.study import DAYS_PER_YEAR, Study, model_slug
from amlprognosis.study.names import horizon_model

MOST_ROWS = 40
MOST_SAMPLED = 100
TINY = 1e-12
OF = {
    "risk": "the risk",
    "log_odds": "the log odds of death",
    "probability": "the probability of death",
    "uncalibrated_probability": "the probability of death before calibration",
}
OPTIONS = {
    "expression": "--expression expression.tsv",
    "clinical": "--clinical clinical.tsv",
    "mutation": "--mutations mutations.tsv",
}


def application(study: Study, name: str, model: RiskModel) -> list[str]:
    """Command, formula of a linear model, survival curve."""
    blocks = {feature.split(":", 1)[0] for feature in model.features_in_}
    options = " ".join(text for block, text in OPTIONS.items() if block in blocks)
    lines = [
        "```",
        f"amlprognosis predict --model results/{study.study}/models/{model_slug(name)} {options} --out predictions.tsv",
        "```",
        "",
        "gives risk, risk group and survival of each patient, and warns of missing features and of values outside the "
        f"training range; a patient who lacks more than {study.features.max_missing_share:.0%} of the features is not "
        "scored. With `--contributions why.tsv` it says what each feature adds to the risk.",
        "",
    ]
    own = _at_one(model)
    if own.method == "linear":
        total = "risk" if own.scale == "risk" else "log odds"
        baseline = f"{own.baseline:.8g} + " if abs(own.baseline) > TINY else ""
        lines += [
            "By hand, with the table of weights:",
            "",
            f"    {total} = {baseline}sum over features of coefficient x (value - center) / scale",
            *(["    risk = 1 / (1 + exp(-log odds))"] if own.scale == "log_odds" else []),
        ]
    else:
        kind = {"tree_shap": "exact Shapley values along its trees", "sampled": "sampled Shapley values"}[own.method]
        lines += [
            f"It has no formula to write down. Contributions are {kind}; with their baseline, {SCALES[own.scale]}."
        ]
    return lines if horizon_model(name) else [*lines, "", *_curve(study, model)]


def _at_one(model: RiskModel) -> Additive:
    """Contributions one scale unit above the center in every feature: the coefficients, where there are any."""
    return model._contributions(np.ones((1, len(model.features_in_))))


def _curve(study: Study, model: RiskModel) -> list[str]:
    if not hasattr(model, "baseline_hazard_"):
        return ["Survival curves are the mean over trees of the leaves' Kaplan-Meier curves."]
    years = np.array(sorted(study.evaluation.horizons_years))
    hazards = _step_values(model.baseline_times_, model.baseline_hazard_, years * DAYS_PER_YEAR)
    told = ", ".join(f"H({year:g} y) = {hazard:.6g}" for year, hazard in zip(years, hazards, strict=True))
    slope = "" if model.lp_slope_ == 1 else f"{model.lp_slope_:.8g} x "
    return [f"Survival at t is exp(-H(t) x exp({slope}risk)) with {told}; all steps of H are in model.json."]


def risk_groups(model: RiskModel) -> list[str]:
    """Cut-point between the risk groups."""
    return [f"High above a risk of {model.cutpoint_:.8g}, the median of the training patients; low otherwise."]


def weights(
    study: Study, model: RiskModel, content: Mapping[str, Any], features: pd.DataFrame, stability: pd.DataFrame
) -> list[str]:
    """Table of coefficients, or of mean contributions to the risks of the training patients in ``features``."""
    own, prepared = _at_one(model), model.preprocessor_
    is_linear = own.method == "linear"
    weight = own.terms[0] if is_linear else _mean_contribution(model, features, own.method)
    cells = {"feature": [plain_name(feature) for feature in model.features_in_]}
    cells["unit"] = [unit_of(study, feature, content["metadata"]) for feature in model.features_in_]
    if is_linear:
        for title, values in (("coefficient", weight), ("center", prepared.center_), ("scale", prepared.scale_)):
            cells[title] = [f"{value:.8g}" for value in values]
    else:
        cells["mean contribution"] = [f"{value:.3g}" for value in weight]
    cells["filled with"] = [f"{value:.5g}" for value in prepared.fill_]
    ranges = zip(prepared.minimum_, prepared.maximum_, strict=True)
    cells["training range"] = [f"{low:.4g} to {high:.4g}" for low, high in ranges]
    often = stability[stability["model"] == content["metadata"]["model"]].set_index("feature")["frequency"]
    if len(often):
        cells["chosen in"] = [f"{often.get(feature, 0.0):.0%} of fits" for feature in model.features_in_]
    order = np.lexsort((np.array(model.features_in_), -np.abs(weight)))
    used = order[weight[order] != 0]
    shown = used if is_linear else used[:MOST_ROWS]
    lines = ["", f"| {' | '.join(cells)} |", f"|{'---|' * len(cells)}"]
    lines += [f"| {' | '.join(column[k] for column in cells.values())} |" for k in shown]
    if len(shown) < len(order):
        lines += ["", f"{count_of(len(order) - len(shown), 'more column')} with less weight or none."]
    if is_linear:
        return ["The largest first; the scale is the training standard deviation where it is not 1.", *lines]
    return [
        f"Mean absolute contribution to {OF[own.scale]} in training patients, the largest first: what the model uses, "
        "not what causes death.",
        *lines,
    ]


def _mean_contribution(model: RiskModel, features: pd.DataFrame, method: str) -> np.ndarray:
    """Mean absolute contribution of each feature; sampled ones in some patients only, evenly spread."""
    step = max(len(features) // MOST_SAMPLED, 1) if method == "sampled" else 1
    return np.abs(model._contributions(model._design(features.sort_index().iloc[::step])).terms).mean(axis=0)
