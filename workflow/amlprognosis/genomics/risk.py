"""Risk groups at diagnosis, as the cohort labels them."""

from __future__ import annotations

import pandas as pd

from amlprognosis.cohort import RISKS, shown
from amlprognosis.errors import InputError
from amlprognosis.study import RiskColumn


def map_risk(values: pd.Series, column: RiskColumn, missing: pd.Series, origin: str) -> pd.Series:
    """Map a cohort's labels to favourable, intermediate, adverse.

    Parameters
    ----------
    values : Series of str
        Labels by patient.
    column : RiskColumn
        Which labels mean what.
    missing : Series of bool
        Where the label is missing.
    origin : str
        How errors call the table.

    Returns
    -------
    Series, categorical
        NaN where missing.

    Raises
    ------
    InputError
        A label that is mapped nowhere, or twice.
    """
    groups = {"favourable": column.favourable, "intermediate": column.intermediate, "adverse": column.adverse}
    labels: dict[str, str] = {}
    for group, texts in groups.items():
        for text in texts:
            if labels.setdefault(text.strip(), group) != group:
                raise InputError(f"{origin}: clinical.risk: label {text!r} is given to two groups")
    other = sorted(set(values[~missing].str.strip()) - set(labels))
    if other:
        raise InputError(
            f"{origin}: column {column.column!r}: labels without a group: {shown(other)}; list them under "
            "clinical.risk.favourable, intermediate or adverse, or under clinical.missing_values"
        )
    mapped = values.str.strip().map(labels).where(~missing)
    return pd.Series(pd.Categorical(mapped, categories=list(RISKS)), index=values.index, name="risk")
