"""What all sections of a study share: units of time, refusal of unknown keys."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

DAYS_PER_YEAR = 365.25
DAYS_PER_MONTH = DAYS_PER_YEAR / 12

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
