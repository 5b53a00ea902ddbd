"""What all sections of a study share: units of time, names of models, refusal of unknown keys."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints

DAYS_PER_YEAR = 365.25
DAYS_PER_MONTH = DAYS_PER_YEAR / 12

ModelName = Literal[
    "gene_index",
    "random_survival_forest",
    "xgboost_cox",
    "random_forest_5y",
    "xgboost_5y",
    "age",
    "age_sex",
    "eln",
    "clinical",
    "clinical_mutations",
    "lsc17",
]
GROUPS: dict[str, tuple[ModelName, ...]] = {
    "linear": ("gene_index", "age", "age_sex", "eln", "clinical", "clinical_mutations", "lsc17"),
    "forests": ("random_survival_forest", "random_forest_5y"),
    "boosting": ("xgboost_cox", "xgboost_5y"),
}
COMPARATORS = ("age", "age_sex", "eln", "clinical", "clinical_mutations", "lsc17")
MODEL_LABELS = {
    "gene_index": "Gene index (lasso Cox)",
    "random_survival_forest": "Random survival forest",
    "xgboost_cox": "XGBoost Cox",
    "random_forest_5y": "Random forest, 5 years",
    "xgboost_5y": "XGBoost, 5 years",
    "age": "Age",
    "age_sex": "Age + sex",
    "eln": "Risk group",
    "clinical": "Clinical Cox",
    "clinical_mutations": "Clinical + mutations Cox",
    "lsc17": "LSC17 (published weights)",
}

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]


def horizon_days(years: float) -> float:
    """Days in a horizon given in years of 365.25 days."""
    return float(years) * DAYS_PER_YEAR


def horizon_suffix(years: float) -> str:
    """Suffix of the columns of a horizon, ``5y`` for five years."""
    return f"{years:g}y"


class Section(BaseModel):
    """A section of the study; keys that it does not know are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)
