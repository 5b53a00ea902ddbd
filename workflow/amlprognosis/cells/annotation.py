"""The authors' annotation of a sample's cells (``.anno.txt.gz``)."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd

from amlprognosis.cells.matrix import first_duplicate, read_lines
from amlprognosis.errors import InputError

_MALIGNANT = {"malignant": True, "normal": False, "unclear": pd.NA}


def read_annotation(path: str | Path) -> pd.DataFrame:
    """Read the annotation of one sample.

    Parameters
    ----------
    path : str or Path
        Tab-separated, plain or gzip, with a column ``Cell``.

    Returns
    -------
    DataFrame
        Index: cell. ``cell_type`` (object, missing where not given), ``malignant`` (nullable boolean;
        ``unclear`` is missing) and every other column as ``source_<column>``.

    Raises
    ------
    InputError
        Unreadable file, ragged row, no column ``Cell``, a repeated cell, or an unknown word in
        ``PredictionRefined``.
    """
    path = Path(path)
    table = _table(path)
    if "Cell" not in table.columns:
        raise InputError(f"{path}, line 1: no column 'Cell'; found {', '.join(map(str, table.columns[:6]))} ...")
    if table["Cell"].isna().any():
        raise InputError(f"{path}: column 'Cell' is empty in row {int(np.argmax(table['Cell'].isna())) + 2}")
    twice = first_duplicate(table["Cell"].tolist())
    if twice is not None:
        raise InputError(f"{path}: cell {twice!r} is annotated more than once; keep one of its rows")
    table = table.set_index("Cell")
    result = pd.DataFrame(index=table.index)
    types = table["CellType"] if "CellType" in table else pd.Series(None, index=table.index, dtype=object)
    result["cell_type"] = types.astype(object).where(types.notna(), None)
    said = table["PredictionRefined"] if "PredictionRefined" in table else pd.Series(pd.NA, index=table.index)
    unknown = sorted(set(said.dropna().astype(str)) - set(_MALIGNANT))
    if unknown:
        raise InputError(
            f"{path}: column PredictionRefined holds {unknown[0]!r}; expected normal, malignant or unclear"
        )
    result["malignant"] = pd.array([_MALIGNANT.get(word, pd.NA) for word in said], dtype="boolean")
    for column in table.columns:
        if column not in {"CellType"}:
            result[f"source_{column}"] = table[column]
    return result


def _table(path: Path) -> pd.DataFrame:
    """Rows as long as the header; quotation marks are those around a whole field, as R writes them."""
    lines = read_lines(path)
    if not any(line.strip() for line in lines):
        raise InputError(f"{path}: the file is empty; retrieve it again")
    header = [_unquoted(cell) for cell in lines[0].split("\t")]
    if not any(header):
        raise InputError(f"{path}, line 1: no column has a name; is this an annotation table?")
    twice = first_duplicate(header)
    if twice is not None:
        raise InputError(f"{path}, line 1: column {twice!r} occurs more than once")
    body = []
    for number, line in enumerate(lines[1:], start=2):
        if not line.strip():
            continue
        row = [_unquoted(cell) for cell in line.split("\t")]
        if len(row) != len(header):
            raise InputError(
                f"{path}, line {number}: {len(row)} fields, the header {len(header)}; not a tab-separated annotation "
                "table, or cut short"
            )
        body.append("\t".join(row))
    text = "\n".join(["\t".join(header), *body]) + "\n"
    types: dict[str, type] = dict.fromkeys(
        [name for name in ("Cell", "CellType", "PredictionRefined") if name in header], str
    )
    return pd.read_csv(io.StringIO(text), sep="\t", dtype=types, quoting=3, low_memory=False, skip_blank_lines=False)


def _unquoted(cell: str) -> str:
    cell = cell.strip()
    return cell[1:-1] if len(cell) >= 2 and cell[0] == cell[-1] == '"' else cell
