"""Sex of a patient by expression: XIST against genes of the Y chromosome.

XIST is transcribed from the inactive X, so by cells with two X; the genes taken of Y lie outside the pseudoautosomal
regions and are expressed in blood. Loss of Y is common in the blood and marrow of older men and in AML: a man without
Y transcripts has no XIST either, and is no woman.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from anndata import AnnData

XIST = "XIST"
Y_GENES = ("RPS4Y1", "KDM5D", "DDX3Y", "UTY", "EIF1AY", "USP9Y")
# Two groups: medians at least this many robust deviations apart, and hardly a patient between them.
APART, MOST_BETWEEN = 5.0, 0.1
FEWEST, SMALLEST = 20, 3
# Of the way from one group to the other: below the first is off, above the second on.
OFF, ON = 1 / 3, 2 / 3
# XIST and Y genes are opposites in nearly everybody; where they are not, they do not measure sex.
OPPOSITE = 0.75
FEMALE, MALE, BOTH, NEITHER, UNDECIDED = "female", "male", "both", "neither", "undecided"
NO_Y, NO_XIST = "no Y", "no XIST"


@dataclass(frozen=True)
class SexByExpression:
    """What the genes say.

    Attributes
    ----------
    table : DataFrame, index = patient
        xist and y (0 = as those without, 1 = as those with; NaN where not measured), call: "female", "male",
        "both", "neither", "no Y" (XIST not measurable), "no XIST" (Y genes not measurable), "undecided".
    genes : list of str
        Genes that separate two groups.
    reason : str
        Why no call was made, or "".
    """

    table: pd.DataFrame = field(repr=False)
    genes: list[str]
    reason: str = ""


def two_groups(values: np.ndarray) -> tuple[float, float] | None:
    """Medians of the two groups that values fall into; None if they do not.

    Parameters
    ----------
    values : ndarray (n,)
        NaN = missing.

    Notes
    -----
    The split with the least variance within; then both medians at least five pooled robust deviations (1.4826 MAD)
    apart, at least three values on each side and at most a tenth of all in the middle third of the way.
    """
    known = np.sort(values[np.isfinite(values)])
    n = known.size
    if n < FEWEST or np.ptp(known) <= 0:
        return None
    sums, squares = np.cumsum(known), np.cumsum(known**2)
    left = np.arange(SMALLEST, n - SMALLEST + 1)
    within = squares[-1] - sums[left - 1] ** 2 / left - (sums[-1] - sums[left - 1]) ** 2 / (n - left)
    at = int(left[np.argmin(within)])
    low, high = known[:at], known[at:]
    centres = float(np.median(low)), float(np.median(high))
    distance = centres[1] - centres[0]
    deviations = [
        1.4826 * float(np.median(np.abs(part - centre))) for part, centre in ((low, centres[0]), (high, centres[1]))
    ]
    spread = np.sqrt((at * deviations[0] ** 2 + (n - at) * deviations[1] ** 2) / n)
    way = (known - centres[0]) / distance if distance > 0 else np.full(n, 0.5)
    between = float(((way > OFF) & (way < ON)).mean())
    return centres if distance > 0 and distance >= APART * spread and between <= MOST_BETWEEN else None


def sex_by_expression(adata: AnnData) -> SexByExpression:
    """Call the sex of every patient of a cohort, without a look at what is recorded."""
    index = pd.Index([str(name) for name in adata.obs_names], name="patient", dtype=object)
    empty = pd.DataFrame({"xist": np.nan, "y": np.nan, "call": UNDECIDED}, index=index)
    measured = [gene for gene in (XIST, *Y_GENES) if gene in adata.var_names]
    if not measured:
        return SexByExpression(empty, [], f"neither {XIST} nor a gene of Y ({', '.join(Y_GENES)}) is measured")
    places = {}
    for gene in measured:
        values = np.asarray(adata.X)[:, adata.var_names.get_loc(gene)].astype(float)
        centres = two_groups(values)
        if centres is not None:
            places[gene] = (values - centres[0]) / (centres[1] - centres[0])
    if not places:
        return SexByExpression(empty, [], f"{', '.join(measured)}: no two clear groups of patients")
    ways = [places[gene] for gene in Y_GENES if gene in places]
    y = pd.DataFrame(ways).median(axis=0).to_numpy() if ways else np.full(len(index), np.nan)
    xist = places.get(XIST, np.full(len(index), np.nan))
    table = pd.DataFrame({"xist": xist, "y": y, "call": _calls(xist, y, XIST in places, bool(ways))}, index=index)
    genes = [gene for gene in measured if gene in places]
    if XIST in places and ways:
        clear = table["call"].isin([FEMALE, MALE, BOTH, NEITHER])
        opposite = table["call"].isin([FEMALE, MALE])
        if not clear.any() or opposite.sum() < OPPOSITE * clear.sum():
            return SexByExpression(empty, genes, f"{XIST} and the genes of Y are not opposites here")
    return SexByExpression(table, genes)


def _calls(xist: np.ndarray, y: np.ndarray, has_xist: bool, has_y: bool) -> list[str]:
    states = {(True, False): FEMALE, (False, True): MALE, (True, True): BOTH, (False, False): NEITHER}
    found = []
    for a, b in zip(xist, y, strict=True):
        own, other = _state(a), _state(b)
        if has_xist and has_y:
            found.append(UNDECIDED if own is None or other is None else states[own, other])
        elif has_y:
            found.append(UNDECIDED if other is None else MALE if other else NO_Y)
        else:
            found.append(UNDECIDED if own is None else FEMALE if own else NO_XIST)
    return found


def _state(way: float) -> bool | None:
    return None if not np.isfinite(way) or OFF < way < ON else bool(way >= ON)
