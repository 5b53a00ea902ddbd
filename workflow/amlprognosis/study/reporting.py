"""What only the authors can say in the TRIPOD+AI checklist."""

from __future__ import annotations

import re
from typing import Any

from pydantic import Field, field_validator

from amlprognosis.study.base import Section

# The 52 items of TRIPOD+AI (doi 10.1136/bmj-2023-078378); resources/reporting/tripod_ai.tsv says what they ask.
_PARTS = {3: "abc", 5: "ab", 6: "abc", 8: "abc", 9: "abc", 12: "abcdefg", 18: "abcdef", 20: "abc", 23: "ab", 27: "abc"}
TRIPOD_ITEMS = tuple(f"{number}{part}" for number in range(1, 28) for part in _PARTS.get(number, [""]))


def _near(item: str) -> str:
    """Which items may have been meant."""
    number = re.match(r"\d*", item.strip())
    parts = [known for known in TRIPOD_ITEMS if number and known.rstrip("abcdefg") == number[0]]
    return f"did you mean {', '.join(parts)}?" if parts else f"they go from {TRIPOD_ITEMS[0]} to {TRIPOD_ITEMS[-1]}"


class Reporting(Section):
    """Answers of the authors to items of the TRIPOD+AI checklist that the run cannot know."""

    answers: dict[str, str] = Field(
        default={},
        description="Text by item of TRIPOD+AI, such as `18a: Funded by ...`. An item that is answered here counts as "
        "reported; what the run knows of it is shown besides. Items: 1, 2, 3a to 3c, ..., 27c.",
    )

    @field_validator("answers", mode="before")
    @classmethod
    def _texts(cls, value: Any) -> Any:
        # YAML reads the item 4 as a number.
        return {str(item): text for item, text in value.items()} if isinstance(value, dict) else value

    @field_validator("answers")
    @classmethod
    def _known(cls, value: dict[str, str]) -> dict[str, str]:
        for item, text in value.items():
            if item not in TRIPOD_ITEMS:
                raise ValueError(f"{item!r} is no item of TRIPOD+AI; {_near(item)}")
            if not text:
                raise ValueError(f"item {item}: the text is empty; write the answer, or leave the item out")
        return value
