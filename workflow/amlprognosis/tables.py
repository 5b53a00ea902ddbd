"""Tables that two runs can compare with ``cmp``: tab-separated, fixed decimals, atomic."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

MISSING = "NA"


def write_table(table: pd.DataFrame, path: str | Path, decimals: int | Mapping[str, int] = 4) -> None:
    """Write a table with fixed decimals, so that equal results are equal bytes.

    Parameters
    ----------
    table : DataFrame
        Columns are written in their order; the index is not written.
    path : str or Path
        Tab-separated UTF-8 file. It appears whole or not at all.
    decimals : int or mapping of column name to int
        Digits after the decimal point of float columns (default 4 for columns not named).
    """
    shown = table.copy()
    for column in shown.columns:
        if pd.api.types.is_float_dtype(shown[column]):
            digits = decimals if isinstance(decimals, int) else decimals.get(column, 4)
            # Adding 0.0 turns a rounded -0.0000 into 0.0000.
            shown[column] = [MISSING if pd.isna(v) else f"{round(v, digits) + 0.0:.{digits}f}" for v in shown[column]]
        elif pd.api.types.is_bool_dtype(shown[column]):
            shown[column] = shown[column].map({True: "true", False: "false"})
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    shown.to_csv(temporary, sep="\t", index=False, na_rep=MISSING, lineterminator="\n")
    os.replace(temporary, path)


def read_table(path: str | Path) -> pd.DataFrame:
    """Read a table written by :func:`write_table`.

    Returns
    -------
    DataFrame
        ``true``/``false`` columns come back as booleans, ``NA`` as missing.
    """
    return pd.read_csv(
        path,
        sep="\t",
        na_values=[MISSING],
        keep_default_na=False,
        true_values=["true"],
        false_values=["false"],
    )
