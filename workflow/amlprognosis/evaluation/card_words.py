"""What a model card says of each kind of model: what it is, what its risk and its weights are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from amlprognosis.study import Study
from amlprognosis.study.names import horizon_model, parse_grid_name

LOG_HAZARD = "the logarithm of the hazard of death, up to a constant"
SUMMED_HAZARD = "the cumulative hazard in the trees' leaves, summed over the times of death in training"


class Words(NamedTuple):
    """Of a kind of model: what it is, and what its risk is."""

    what: str
    risk: str


_FIXED = {
    "GeneIndex": Words(
        "A weighted sum of genes: univariate Cox screen of the candidate genes, then a Cox model with lasso penalty",
        LOG_HAZARD,
    ),
    "ClinicalGeneIndex": Words(
        "A Cox model on the clinical columns and the gene index, whose weight was found on an index that had not seen "
        "the patient; written out as one weighted sum",
        LOG_HAZARD,
    ),
    "CoxModel": Words("A Cox proportional hazards model on columns named beforehand; nothing is selected", LOG_HAZARD),
    "SignatureScore": Words(
        "A published signature with the weights and sign of its authors; nothing is selected, and nothing refitted but "
        "the scale of its survival curves",
        "the signature's score, centered on the training patients",
    ),
    "RandomSurvivalForest": Words("A random survival forest on screened columns", SUMMED_HAZARD),
    "XGBoostCox": Words("Boosted trees (XGBoost) with the Cox partial likelihood, on screened columns", LOG_HAZARD),
    "XGBoostAFT": Words(
        "Boosted trees (XGBoost) with an accelerated failure time loss, on screened columns",
        "minus the logarithm of the predicted days",
    ),
}
_AT_HORIZON = {
    "HorizonForest": "A random forest",
    "HorizonXGBoost": "Boosted trees (XGBoost)",
    "HorizonLogistic": "Logistic regression with the elastic net",
    "HorizonSVM": "A support vector machine",
    "HorizonMLP": "Small neural networks, whose log odds are averaged,",
    "HorizonKNN": "The vote of the nearest training patients",
}
_FAMILIES = {
    "RSF": Words("a random survival forest", SUMMED_HAZARD),
    "Enet": Words("a Cox model with elastic-net penalty", LOG_HAZARD),
    "Lasso": Words("a Cox model with lasso penalty", LOG_HAZARD),
    "Ridge": Words("a Cox model with ridge penalty", LOG_HAZARD),
    "StepCox": Words("a stepwise Cox model", LOG_HAZARD),
    "CoxBoost": Words("a Cox model by componentwise boosting", LOG_HAZARD),
    "PLS-Cox": Words("a Cox model on partial least squares components", LOG_HAZARD),
    "SuperPC": Words("a Cox model on supervised principal components", LOG_HAZARD),
    "GBM": Words("gradient-boosted trees with the Cox partial likelihood", LOG_HAZARD),
    "survival-SVM": Words("a ranking support vector machine for survival", "a score that ranks patients, without unit"),
    "Stability": Words("stability selection with the lasso", ""),
}


def words_of(name: str, kind: str) -> Words:
    """Words for a model.

    Parameters
    ----------
    name : str
        In the study.
    kind : str
        Its class.
    """
    horizon = horizon_model(name)
    if horizon:
        years = f"{horizon[1]:g} year{'' if horizon[1] == 1 else 's'}"
        return Words(f"{_AT_HORIZON[kind]} for death within {years}", f"the probability of death within {years}")
    if kind == "Combination":
        parsed = parse_grid_name(name)
        learner = _FAMILIES[parsed.learner.family]
        text = f"A member of a grid of models: {learner.what} on genes that pass a univariate Cox screen"
        if parsed.selector:
            text += f" and then a selector ({_FAMILIES[parsed.selector.family].what})"
        return learner._replace(what=text)
    return _FIXED[kind]


def unit_of(study: Study, feature: str, metadata: Mapping[str, Any]) -> str:
    """Unit of a feature, as the study's training cohort gives it."""
    block, name = feature.split(":", 1)
    if block == "expression":
        return "log2 ratio" if metadata.get("training_expression") == "log2_ratio" else "log2 expression"
    if block == "mutation":
        return "1 mutated, 0 not"
    clinical = study.cohorts[study.training].clinical
    if name == "age":
        return "years"
    if name == "sex_male":
        return "1 male, 0 female"
    if name.startswith("risk_"):
        system = f", {clinical.risk.system}" if clinical and clinical.risk else ""
        return f"1 {name.removeprefix('risk_')}, 0 other{system}"
    column = clinical.numeric.get(name) if clinical else None
    return "number" if column is None else f"log10(1 + {column.column})" if column.log10 else column.column


INTENDED = [
    "- Use: research on overall survival in acute myeloid leukaemia. To rank patients by risk, to be compared with "
    "other models on the same patients, and to be validated on other cohorts.",
    "- Users: researchers who know the cohort that they apply it to, with a statistician at hand.",
]
VALIDATION = [
    "Figures on cohorts that had no part in the fit are in `tables/validation.tsv` of the study and in its report, not "
    "in this card: it belongs to the frozen model, and nothing of a validation cohort may reach a frozen model. So it "
    "stays the same, byte for byte, when a validation cohort is replaced.",
]


def out_of_scope(name: str) -> list[str]:
    """What a model must not be used for."""
    curve = (
        "- Survival at any other time than its horizon."
        if horizon_model(name)
        else "- Survival beyond the follow-up of the training cohort; curves stay flat there."
    )
    return [
        "- Decisions on patients. It is no medical device, and nobody has shown that acting on it does any good.",
        "- Patients unlike those below: other diseases, other ages, samples taken in relapse or under treatment.",
        "- Response to a treatment, relapse, or which treatment to give: it knows deaths from any cause only.",
        curve,
    ]


def plain_name(feature: str) -> str:
    """Name of a feature; of a gene without its block."""
    return feature.removeprefix("expression:")


def count_of(number: int, what: str) -> str:
    """Write a number of things."""
    return f"{number} {what}{'' if number == 1 else 's'}"
