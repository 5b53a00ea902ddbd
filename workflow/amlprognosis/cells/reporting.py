"""Rows of an atlas's report: how many of what each step removed and kept, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

REPORT_COLUMNS = ["sample", "step", "item", "removed", "kept", "reason"]


def report_row(sample: str, step: str, item: str, removed: int, kept: int, reason: str) -> dict[str, Any]:
    """Return one row of the atlas report: how many of what a step removed and kept, and why."""
    values = (sample, step, item, int(removed), int(kept), reason)
    return dict(zip(REPORT_COLUMNS, values, strict=True))


def report_table(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Return report rows as a table with the columns sample, step, item, removed, kept, reason."""
    return pd.DataFrame(list(rows), columns=REPORT_COLUMNS).astype({"removed": int, "kept": int})
