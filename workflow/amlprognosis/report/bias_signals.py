"""A signal of bias, its judgement, and what the signals of all domains share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from amlprognosis.report.theme import Tables, number
from amlprognosis.study import Study

JUDGEMENTS = ("low", "unclear", "high")


@dataclass(frozen=True)
class Signal:
    """One thing that may bias the result, and what this run shows of it.

    Attributes
    ----------
    domain : {"participants", "predictors", "outcome", "analysis"}
    signal : str
        What was looked at.
    judgement : {"low", "unclear", "high"}
        Risk of bias.
    finding : str
        What was found.
    remedy : str
        What would help; empty where the risk is low.
    """

    domain: str
    signal: str
    judgement: str
    finding: str
    remedy: str = ""


def worst(judgements: Iterable[str]) -> str:
    """The gravest judgement; unclear without any."""
    return max(judgements, key=JUDGEMENTS.index, default="unclear")


def grade(value: float, some: float, many: float) -> str:
    """Low up to ``some``, unclear up to ``many``, high above."""
    return "low" if value <= some else "unclear" if value <= many else "high"


def labels(study: Study, names: Iterable[str]) -> str:
    """Cohorts as the report calls them."""
    return ", ".join(study.cohort_label(name) for name in names)


def cohort_values(tables: Tables, column: str) -> dict[str, float]:
    """A numeric column of the cohort table by cohort."""
    table = tables.get("cohorts")
    if table is None or column not in table:
        return {}
    pairs = zip(table["cohort"].astype(str), table[column], strict=True)
    return {name: found for name, value in pairs if (found := number(value)) is not None}
