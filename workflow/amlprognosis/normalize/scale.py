"""What the numbers of a matrix are: scale and earlier processing told by quantiles, with the evidence."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from amlprognosis.cohort import step
from amlprognosis.errors import InputError
from amlprognosis.normalize.arrays import quantiles_at

SMALLEST_LINEAR_MAXIMUM = 30.0
# Brightest value of a 16-bit scanner: log10 4.8, natural logarithm 11.1, log2 16.
LARGEST_LOG10, LARGEST_LN = 5.2, 11.2
WHOLE_ARRAY = 5000
# Differences of log2 values that rounding to two digits and ties can leave.
SAME_QUANTILES, ALIKE_QUARTILES = 0.02, 0.1
MAS5_TAIL, MAS5_SPREAD = 0.02, 0.02
FEWEST_SAMPLES, PROBES_LOOKED_AT = 10, 2000
_PLACES = np.linspace(0, 1, 101)
FIVE = (0, 25, 50, 75, 100)


@dataclass(frozen=True)
class ScaleEvidence:
    """What the numbers of a source are, and what says so.

    Attributes
    ----------
    declared, verdict : str
        What the study says, and what was assumed.
    evidence : str
        The quantiles and the rule that decided, in a line.
    quantiles : dict or None
        min, q1, median, q3, q99, max of the whole matrix, as the source gave it; six significant digits.
    negative_share : float or None
        Share of values below zero.
    processing, processing_evidence : str
        Earlier processing that was recognised ("quantile-normalised", "RMA-like", "MAS5-like", "TPM", "FPKM-like",
        "estimated counts"), or "".
    doubts : list of str
        What speaks against the verdict.
    """

    declared: str
    verdict: str
    evidence: str
    quantiles: dict[str, float] | None = None
    negative_share: float | None = None
    processing: str = ""
    processing_evidence: str = ""
    doubts: list[str] = field(default_factory=list)

    def content(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def detect_scale(values: np.ndarray) -> tuple[str, str]:
    """Tell the scale of a matrix by its quantiles.

    Parameters
    ----------
    values : ndarray
        The matrix; NaN is passed over.

    Returns
    -------
    scale : {"log2", "linear", "log2_ratio"}
    evidence : str
        The quantiles and the rule that decided.

    Notes
    -----
    Linear when the 99th percentile exceeds 100, or the range exceeds 50 with a positive lower quartile (the rule of
    GEO2R); log2 ratios when at least a fifth of the values is negative and the median lies within 1 of zero; log2
    otherwise.
    """
    found = scale_evidence(values)
    return found.verdict, found.evidence


def scale_evidence(values: np.ndarray, declared: str = "auto") -> ScaleEvidence:
    """Scale of a matrix by its quantiles (see :func:`detect_scale`).

    Raises
    ------
    InputError
        The matrix is empty.
    """
    present = values[np.isfinite(values)]
    if present.size == 0:
        raise InputError("the matrix holds no value")
    negative = float(np.count_nonzero(present < 0) / present.size)
    places = [0, 0.25, 0.5, 0.75, 0.99, 1]
    low, lower, median, upper, high, top = np.quantile(present, places, overwrite_input=True)
    shape = (
        f"minimum {low:.3g}, quartiles {lower:.3g}/{median:.3g}/{upper:.3g}, 99% {high:.3g}, "
        f"maximum {top:.3g}, {negative:.1%} negative"
    )
    if high > 100 or (top - low > 50 and lower > 0):
        verdict, why = "linear", "too wide for logarithms"
    elif negative >= 0.2 and abs(median) <= 1:
        verdict, why = "log2_ratio", "around zero"
    else:
        verdict, why = "log2", "range of log2 values"
    names = ("min", "q1", "median", "q3", "q99", "max")
    numbers = [float(f"{value:.6g}") for value in (low, lower, median, upper, high, top)]
    quantiles = dict(zip(names, numbers, strict=True))
    return ScaleEvidence(declared, verdict, f"{shape}: {why}", quantiles, float(f"{negative:.6g}"))


def to_log2(
    matrix: pd.DataFrame, scale: str, origin: str, *, array: bool = False
) -> tuple[pd.DataFrame, ScaleEvidence, list[dict[str, Any]]]:
    """Bring a matrix to log2.

    Parameters
    ----------
    matrix : DataFrame of shape (n_samples, n_columns)
        NaN = missing.
    scale : {"auto", "log2", "linear", "log2_ratio"}
        What the study says.
    array : bool
        Whether these are the probes of an array.

    Returns
    -------
    matrix : DataFrame
        log2 values; linear values become log2(1 + value), values below zero (background) count as zero.
    evidence : ScaleEvidence
        The scale that was assumed, and what speaks against it.
    steps : list of dict

    Raises
    ------
    InputError
        The study's scale cannot be that of these numbers.
    """
    values = matrix.to_numpy(dtype=float)
    found = scale_evidence(values, scale)
    evidence = found.evidence
    if scale == "log2" and found.verdict == "linear":
        raise InputError(f"{origin}: scale: log2, but {evidence}; set scale: linear")
    if scale == "linear" and found.verdict == "log2_ratio":
        raise InputError(f"{origin}: scale: linear, but {evidence}; set scale: log2_ratio")
    if scale == "linear" and found.quantiles is not None and found.quantiles["max"] < SMALLEST_LINEAR_MAXIMUM:
        raise InputError(f"{origin}: scale: linear, but {evidence}; set scale: log2")
    used = found.verdict if scale == "auto" else scale
    found = replace(found, verdict=used, doubts=_doubts(found, used, values, array))
    steps = [step("scale", f"{used} ({'detected' if scale == 'auto' else 'as the study says'}): {evidence}")]
    steps += [step("scale in doubt", doubt) for doubt in found.doubts]
    if used == "linear":
        below = int(np.count_nonzero(values < 0))
        logged = np.maximum(values, 0)
        logged += 1
        matrix = pd.DataFrame(np.log2(logged, out=logged), index=matrix.index, columns=matrix.columns)
        steps.append(step("log2", f"log2(1 + value); {below} values below zero count as zero"))
    return matrix, found, steps


def _doubts(found: ScaleEvidence, used: str, values: np.ndarray, array: bool) -> list[str]:
    """What speaks against values being ordinary log2 intensities or log2 ratios."""
    assert found.quantiles is not None
    top, doubts = found.quantiles["max"], []
    if used == "log2" and array and found.negative_share == 0 and values.shape[1] >= WHOLE_ARRAY:
        kind = "log10" if top <= LARGEST_LOG10 else "natural" if top <= LARGEST_LN else ""
        if kind:
            factor = {"log10": "3.32", "natural": "1.44"}[kind]
            doubts.append(
                f"a maximum of {top:.3g} is that of {kind} logarithms, not of log2 intensities (16 at most, 13 or more "
                f"in a whole array); used as they are: if they are {kind} logarithms, multiply them by {factor}, or "
                "use an adaptation that does not depend on the scale"
            )
    if used in ("log2", "log2_ratio") and len(values) >= FEWEST_SAMPLES:
        doubts += _centred(values[:, :: max(1, values.shape[1] // PROBES_LOOKED_AT)])
    return doubts


def _centred(values: np.ndarray) -> list[str]:
    """Whether the columns of a matrix were centred or standardized over its samples."""
    values = values[:, np.isfinite(values).all(axis=0)]
    if values.size == 0:
        return []
    spread, mean, median = values.std(axis=0, ddof=1), values.mean(axis=0), np.median(values, axis=0)
    varies = spread > 0
    if not varies.any():
        return []
    near = 0.02 * spread[varies]
    if max((np.abs(centre[varies]) <= near).mean() for centre in (mean, median)) < 0.95:
        return []
    if (np.abs(spread[varies] - 1) <= 0.02).mean() >= 0.95:
        return ["every gene has mean 0 and deviation 1 over the samples: z-scores, whose levels are lost"]
    return ["every gene is centred at 0 over the samples: values relative to this cohort, whose levels are lost"]


def sample_quantiles(values: np.ndarray) -> np.ndarray:
    """Quantiles of each sample at 0, 1%, ..., 100% of its values present.

    Parameters
    ----------
    values : ndarray of shape (n_samples, n_columns)
        NaN = missing.

    Returns
    -------
    ndarray of shape (n_samples, 101)
        NaN for a sample without values; :data:`FIVE` are the places of the minimum, the quartiles and the maximum.
    """
    found = np.full((len(values), _PLACES.size), np.nan)
    for position, row in enumerate(values):
        present = np.sort(row[np.isfinite(row)])
        if present.size:
            found[position] = quantiles_at(present, _PLACES)
    return found


def recognise_processing(values: np.ndarray, quantiles: np.ndarray, scale: str) -> tuple[str, str]:
    """Tell what was done to the log2 values of an array before.

    Parameters
    ----------
    values : ndarray of shape (n_samples, n_columns)
        log2 values.
    quantiles : ndarray of shape (n_samples, 101)
        As :func:`sample_quantiles`.
    scale : str
        Scale that the source had.

    Returns
    -------
    processing : {"", "quantile-normalised", "RMA-like", "MAS5-like"}
    evidence : str

    Notes
    -----
    Quantile-normalised: between 1% and 99%, no quantile of a sample is farther than 0.02 from their mean. RMA
    (doi:10.1093/biostatistics/4.2.249) normalises the quantiles of single probes and then summarises probe sets, which
    leaves them alike: quartiles within 0.1 of their mean. MAS 5.0 scales the mean of each array without its 2% tails
    to one target, such as 500.
    """
    whole = quantiles[np.isfinite(quantiles).all(axis=1)]
    if len(whole) < 2 or scale == "log2_ratio":
        return "", ""
    apart = np.abs(whole - whole.mean(axis=0))
    if apart[:, 1:-1].max() <= SAME_QUANTILES:
        return "quantile-normalised", (
            f"every sample has the same quantiles (largest difference from their mean {apart[:, 1:-1].max():.2g})"
        )
    quartiles = apart[:, FIVE[1:-1]].max()
    if quartiles <= ALIKE_QUARTILES:
        return "RMA-like", f"the samples' quartiles differ by at most {quartiles:.2g} from their mean"
    if scale == "linear":
        means = np.array([_trimmed_mean(row) for row in values])
        means = means[np.isfinite(means)]
        if np.ptp(means) <= MAS5_SPREAD * means.mean():
            return "MAS5-like", (
                f"every sample has the same mean without its 2% tails ({means.min():.4g} to {means.max():.4g})"
            )
    return "", ""


def _trimmed_mean(row: np.ndarray) -> float:
    """Mean of the linear values without the lowest and highest 2%."""
    present = np.sort(row[np.isfinite(row)])
    cut = int(MAS5_TAIL * present.size)
    inner = present[cut : present.size - cut]
    return float((2.0**inner - 1).mean()) if inner.size else np.nan
