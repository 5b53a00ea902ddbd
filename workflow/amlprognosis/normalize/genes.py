"""Gene names: one approved nomenclature, and one column per gene."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from amlprognosis.cohort import shown, step
from amlprognosis.normalize.gene_table import gene_table

# cBioPortal and some array tables write C10ORF54 for C10orf54.
_SHOUTED = re.compile(r"^C([0-9XY]{1,2})ORF(\d+)$")
# A spreadsheet turns MARCH3 into 3-Mar or Mar-03, SEPT2 into 2-Sep, DEC1 into 1-Dec.
_DATE = re.compile(
    r"^(?:(\d{1,2})-(Mar|Sep|Sept|Dec|Oct|Nov|Apr|Feb|Jan|Jun|Jul|Aug|May)|(Mar|Sep|Sept|Dec|Oct|Nov|Apr|Feb|Jan|Jun|Jul|Aug|May)-(\d{1,2}))$",
    re.IGNORECASE,
)


def _from_date(name: str) -> tuple[str | None, tuple[str, ...]] | None:
    """Gene behind a spreadsheet's date: (symbol, ()) when sure, (None, candidates) when not; None if it is no date."""
    match = _DATE.match(name)
    if not match:
        return None
    day, month = int(match[1] or match[4]), (match[2] or match[3]).capitalize()[:3]
    if month == "Sep" and 1 <= day <= 14 and day != 13:
        return f"SEPTIN{day}", ()
    if month == "Sep" and day == 15:
        return "SELENOF", ()
    if month == "Mar" and day in (1, 2):
        return None, (f"MARCHF{day}", f"MTARC{day}")
    if month == "Mar" and 3 <= day <= 11:
        return f"MARCHF{day}", ()
    if month == "Dec" and day == 1:
        return "DELEC1", ()
    return None, ()


def rename_genes(names: Sequence[str]) -> tuple[list[str], list[dict[str, str]]]:
    """Bring gene names to the approved symbols.

    Parameters
    ----------
    names : sequence of str
        Symbols as a source writes them.

    Returns
    -------
    new_names : list of str
        One per name, in order. A name that is not in the table stays as it is.
    report : list of dict
        ``{"step", "item", "reason"}`` for each name that was changed, or that could not be told for sure.

    Notes
    -----
    Ambiguous names (an alias of several genes, ``1-Mar``) are kept as they are and reported, never guessed. Several
    names may
    end as one symbol: :func:`merge_duplicates` decides which column stays.
    """
    table = gene_table()
    approved, ambiguous = table.retired, table.ambiguous
    new_names, report = [], []
    for raw in names:
        name = _SHOUTED.sub(r"C\1orf\2", str(raw).strip())
        dated = _from_date(name)
        if dated is not None:
            symbol, candidates = dated
            if symbol:
                new_names.append(symbol)
                report.append({"step": "spreadsheet date repaired", "item": name, "reason": symbol})
            else:
                new_names.append(name)
                reason = " or ".join(candidates) if candidates else "no gene is known to look like this"
                report.append({"step": "spreadsheet date not repaired", "item": name, "reason": reason})
        elif name in ambiguous:
            new_names.append(name)
            report.append({"step": "ambiguous name kept", "item": name, "reason": " or ".join(ambiguous[name])})
        else:
            new = approved.get(name, name)
            new_names.append(new)
            if new != str(raw).strip():
                report.append({"step": "retired name", "item": str(raw).strip(), "reason": new})
    return new_names, report


def merge_duplicates(
    matrix: pd.DataFrame, new_names: Sequence[str]
) -> tuple[pd.DataFrame, pd.Index, list[dict[str, str]]]:
    """One column per gene.

    Parameters
    ----------
    matrix : DataFrame of shape (n_samples, n_columns)
        Columns named as the source names them.
    new_names : sequence of str
        Approved symbol per column.

    Returns
    -------
    matrix : DataFrame
        Columns = approved symbols, sorted.
    chosen : Index
        Name in the source of each column that stays.
    report : list of dict
        ``{"step", "item", "reason"}`` for each column that gave way.

    Notes
    -----
    A column that bears the approved name itself wins over retired names of it; otherwise the column with the highest
    mean,
    and among equals the first. The set of resulting symbols depends on names only.
    """
    names = np.asarray([str(n) for n in new_names], dtype=object)
    old = np.asarray([str(c) for c in matrix.columns], dtype=object)
    values = matrix.to_numpy(dtype=float)
    means = _column_means(values)
    order = np.lexsort((np.arange(len(names)), -means, old != names, _codes(names)))
    first = np.ones(len(order), dtype=bool)
    first[1:] = names[order][1:] != names[order][:-1]
    keep = order[first]
    winner = dict(zip(names[keep], old[keep], strict=True))
    report = [
        {"step": "several columns of a gene", "item": str(old[i]), "reason": f"{names[i]}: {winner[names[i]]} is used"}
        for i in sorted(order[~first])
    ]
    keep = keep[np.argsort(names[keep], kind="stable")]
    return (
        pd.DataFrame(values[:, keep], index=matrix.index, columns=pd.Index(names[keep], dtype=object)),
        pd.Index(old[keep], dtype=object),
        report,
    )


def _codes(names: np.ndarray) -> np.ndarray:
    return pd.factorize(names, sort=True)[0]


def _column_means(values: np.ndarray) -> np.ndarray:
    """Mean of the values present; -inf for a column without any."""
    present = np.isfinite(values)
    count = present.sum(axis=0)
    total = np.where(present, values, 0.0).sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), -np.inf)


def rename_steps(before: int, after: int, report: list[dict[str, str]]) -> list[dict[str, Any]]:
    """Preprocessing step of a renaming, with examples of each kind."""
    kinds: dict[str, list[str]] = {}
    for row in report:
        kinds.setdefault(row["step"], []).append(f"{row['item']} -> {row['reason']}")
    detail = "; ".join(f"{kind}: {len(items)} ({shown(items, 3)})" for kind, items in sorted(kinds.items()))
    return [
        step(
            "gene names", detail or "all names are current", before, after, "retired names joined with the approved one"
        )
    ]


def drop_missing(matrix: pd.DataFrame, max_share: float) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """Drop genes that are missing in too many patients (training cohorts only).

    Parameters
    ----------
    matrix : DataFrame of shape (n_samples, n_genes)
        NaN = missing.
    max_share : float
        Genes with a larger share of missing values are dropped; the rest stays missing and is imputed inside the folds.
    """
    share = matrix.isna().mean(axis=0)
    keep = (share <= max_share) & (share < 1)
    gone = list(matrix.columns[~keep])
    return matrix.loc[:, keep], [
        step(
            "missing values",
            f"genes missing in more than {max_share:.0%} of the patients: {shown(gone, 5) or 'none'}",
            matrix.shape[1],
            int(keep.sum()),
            "too many missing values",
        )
    ]
