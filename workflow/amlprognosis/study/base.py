"""What all sections of a study share: units of time, refusal of unknown keys."""

from __future__ import annotations

import math
import re
import urllib.parse
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints

DAYS_PER_YEAR = 365.25
DAYS_PER_MONTH = DAYS_PER_YEAR / 12

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]


def horizon_days(years: float) -> float:
    """Days in a horizon given in years of 365.25 days."""
    return float(years) * DAYS_PER_YEAR


def horizon_suffix(years: float) -> str:
    """Suffix of the columns of a horizon, ``5y`` for five years."""
    return f"{years:g}y"


def canonical(text: str) -> str:
    """Text for comparison: trimmed, and whole numbers without decimals, so that 1.0 equals 1."""
    text = text.strip()
    try:
        number = float(text)
    except ValueError:
        return text
    return str(int(number)) if math.isfinite(number) and number == int(number) else text


def _address(text: str) -> str:
    """Refuse what can be neither the address of a service nor a folder."""
    scheme, mark, _ = text.partition("://")
    if not mark:
        if re.match(r"(?i)https?:|(https?|file)/", text):
            raise ValueError("no address: http:// or https:// and a host, file:// and a folder, or a folder")
        return text
    if scheme.lower() not in ("http", "https", "file"):
        raise ValueError(f"{scheme}:// is not spoken; give http://, https://, file:// or a folder")
    if scheme.lower() != "file":
        try:
            found = urllib.parse.urlsplit(text)
            known = bool(found.hostname) and (found.port is None or found.port > 0)
        except ValueError:
            known = False
        if not known or re.search(r"\s", text):
            raise ValueError("no address: http:// or https:// and a host, without blanks")
    return scheme.lower() + mark + text.removeprefix(scheme + mark)


def _one_group(text: str) -> str:
    _groups(text)
    if (count := re.compile(text).groups) != 1:
        raise ValueError(f"has {count} groups; put the value in one pair of parentheses, and write others as (?:...)")
    return text


def _groups(text: str) -> str:
    try:
        count = re.compile(text).groups
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from None
    if not count:
        raise ValueError("has no group; put the part that is meant in parentheses")
    return text


# Text that is refused before anything is downloaded, where it cannot be right.
Address = Annotated[str, AfterValidator(_address)]
Pattern = Annotated[str, AfterValidator(_groups)]
PatternOfOne = Annotated[str, AfterValidator(_one_group)]


class Section(BaseModel):
    """A section of the study; keys that it does not know are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)
