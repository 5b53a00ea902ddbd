"""How a frozen model meets another platform: what it must know of its training matrix, and the adaptations."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri
from scipy.stats import rankdata

from amlprognosis.cohort import preprocessing, shown
from amlprognosis.errors import InputError
from amlprognosis.normalize.assemble import frozen_reference
from amlprognosis.normalize.counts import reference_content, reference_from
from amlprognosis.normalize.reference import CountsReference
from amlprognosis.study.cohorts import Adaptation

if TYPE_CHECKING:
    from anndata import AnnData

EXPRESSION = "expression:"
PLATFORM_FILE = "platform.json.gz"
PLATFORM_VERSION = 2
ADAPTATIONS: tuple[str, ...] = get_args(Adaptation)
SMALLEST_COHORT = 10
FEWEST_RANKED = 30
N_QUANTILES = 1001


@dataclass(frozen=True)
class PlatformReference:
    """What the adaptations need of the training matrix, learned from features alone.

    Summaries over patients; it holds no patient's values.

    Attributes
    ----------
    genes : tuple of str
        Genes of the training matrix.
    centre, scale : ndarray (n_genes,)
        Mean and standard deviation (ddof 1) of each gene in training, log2 units.
    score_centre, score_scale : ndarray (n_genes,)
        Mean and standard deviation of its normal scores within the training patients (:meth:`scores`).
    quantiles : ndarray (N_QUANTILES,)
        Mean over the training patients of their quantile functions, at ``places_of_quantiles``.
    kind : str
        Scale of the training cohort's source: counts, log2, linear or log2_ratio.
    counts : CountsReference or None
        Of a training cohort of counts: normalises the counts of one new sample.

    Notes
    -----
    All numbers but those of ``counts`` are rounded to six significant digits when they are learned, so that the file
    says what the workflow used.
    """

    genes: tuple[str, ...]
    centre: np.ndarray
    scale: np.ndarray
    score_centre: np.ndarray
    score_scale: np.ndarray
    quantiles: np.ndarray
    kind: str
    counts: CountsReference | None = None

    @cached_property
    def columns(self) -> list[str]:
        """Feature columns of the genes."""
        return [f"{EXPRESSION}{gene}" for gene in self.genes]

    @cached_property
    def places_of_quantiles(self) -> np.ndarray:
        """Places between 0 and 1, even in normal scores: dense in the tails."""
        return _quantile_places(len(self.genes))

    @cached_property
    def _place_in_mean(self) -> np.ndarray:
        return _places(self.centre)

    def places(self, row: np.ndarray) -> np.ndarray:
        """Place between 0 and 1 of each gene of a sample among all genes of training.

        Parameters
        ----------
        row : ndarray (n_genes,)
            Values of one sample; NaN where it lacks a gene.

        Returns
        -------
        ndarray (n_genes,)
            With all genes there, (rank - 1/2) / n_genes; ties share their mean rank. With genes missing, ranks among
            the genes that are there are brought to those among all by the mean profile of training: the gene of rank
            r takes the place that the r-th of these genes has in that profile. So a sample of well expressed genes
            only is not taken for one whose genes are low. NaN where the sample lacks the gene.
        """
        there = ~np.isnan(row)
        known = np.sort(self._place_in_mean[there])
        out = np.full(row.size, np.nan)
        out[there] = np.interp(rankdata(row[there]), np.arange(1, known.size + 1), known)
        return out

    def scores(self, values: np.ndarray) -> np.ndarray:
        """Normal scores (n, n_genes) of the places within each sample."""
        return ndtri(self._all_places(values))

    def _all_places(self, values: np.ndarray) -> np.ndarray:
        return np.array([self.places(row) for row in values]).reshape(values.shape)

    def ranked(self, values: np.ndarray) -> np.ndarray:
        """Within-sample ranks in training units (n, n_genes).

        A gene's value is centre + scale x (score - score_centre) / score_scale: its normal score, standardized by mean
        and deviation of its normal scores in training, on the scale of its training values. A gene that has one place
        in every training patient becomes its centre.
        """
        flat = self.score_scale <= 1e-9
        factor = np.where(flat, 0.0, self.scale / np.where(flat, 1.0, self.score_scale))
        return self.centre + (self.scores(values) - self.score_centre) * factor

    def quantiled(self, values: np.ndarray) -> np.ndarray:
        """Values (n, n_genes) of samples whose quantiles are those of training.

        Bolstad 2003 (doi:10.1093/bioinformatics/19.2.185) with a frozen reference, as for single arrays by McCall 2010
        (doi:10.1093/biostatistics/kxp059).
        """
        return np.interp(self._all_places(values), self.places_of_quantiles, self.quantiles)

    def rescaled(self, values: np.ndarray) -> np.ndarray:
        """Each gene of a cohort (n, n_genes) brought to mean and deviation of training.

        A gene without spread in the cohort becomes its centre.

        Raises
        ------
        InputError
            Fewer than ten samples.
        """
        if len(values) < SMALLEST_COHORT:
            raise InputError(
                f"adaptation: cohort_rescaling needs a whole cohort (at least {SMALLEST_COHORT} patients), there are "
                f"{len(values)}; use none, within_sample_ranks or reference_quantiles"
            )
        mean, spread, top = _moments(values)
        # A constant column may have a spread of rounding errors only.
        flat = ~(spread > 1e-8 * (1 + top))
        factor = np.where(flat, 0.0, self.scale / np.where(flat, 1.0, spread))
        return self.centre + (values - mean) * factor


def _moments(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, standard deviation (ddof 1) and largest absolute value of each column, of the values present."""
    frame = pd.DataFrame(values)
    return frame.mean().to_numpy(), frame.std(ddof=1).to_numpy(), frame.abs().max().to_numpy()


def _places(profile: np.ndarray) -> np.ndarray:
    """(rank - 1/2) / n of each value; equal ones in their order."""
    places = np.empty(profile.size)
    places[np.argsort(profile, kind="stable")] = (np.arange(profile.size) + 0.5) / profile.size
    return places


def _quantile_places(n_genes: int) -> np.ndarray:
    far = float(-ndtri(0.5 / n_genes))
    return ndtr(np.linspace(-far, far, N_QUANTILES))


def _rounded(values: np.ndarray) -> np.ndarray:
    return np.array([float(f"{value:.6g}") for value in values])


def learn_platform(
    features: pd.DataFrame, kind: str = "log2", counts: CountsReference | None = None
) -> PlatformReference:
    """Learn the reference of a training matrix.

    Parameters
    ----------
    features : DataFrame (n_patients, n_features)
        The training matrix; its ``expression:`` columns are used.
    kind : str
        Scale of the cohort's source.
    counts : CountsReference, optional
        Of a cohort of counts.

    Raises
    ------
    InputError
        No expression column.
    """
    columns = [column for column in features.columns if column.startswith(EXPRESSION)]
    if not columns:
        raise InputError("the training matrix has no expression column: there is no platform to adapt to")
    values = features[columns].to_numpy(dtype=float)
    genes = tuple(column.removeprefix(EXPRESSION) for column in columns)
    centre, scale, _ = _moments(values)
    zero, one = np.zeros(len(genes)), np.ones(len(genes))
    first = PlatformReference(genes, _rounded(centre), _rounded(scale), zero, one, np.zeros(N_QUANTILES), kind, counts)
    score_centre, score_scale, _ = _moments(first.scores(values))
    grid = first.places_of_quantiles
    total = np.zeros(N_QUANTILES)
    for row in values:
        places = first.places(row)
        there = ~np.isnan(row)
        total += np.interp(grid, np.sort(places[there]), np.sort(row[there]))
    return replace(
        first,
        score_centre=_rounded(score_centre),
        score_scale=_rounded(score_scale),
        quantiles=_rounded(total / len(values)),
    )


def training_platform(features: pd.DataFrame, training: AnnData) -> PlatformReference:
    """Reference of a study: its training matrix, and the training cohort's own normalisation."""
    counts = frozen_reference(training)
    return learn_platform(features, "counts" if counts else _source_scale(training), counts)


def _source_scale(training: AnnData) -> str:
    steps = preprocessing(training)
    found = steps.loc[steps["step"] == "scale", "detail"]
    return str(found.iloc[0]).split()[0] if len(found) else "log2"


def write_platform(reference: PlatformReference, path: str | Path) -> None:
    """Write a reference as gzipped JSON; equal references are equal bytes, and the file appears whole or not at all."""
    content: dict[str, Any] = {
        "format_version": PLATFORM_VERSION,
        "genes": list(reference.genes),
        "kind": reference.kind,
        **{name: _numbers(getattr(reference, name)) for name in _ARRAYS},
    }
    if reference.counts is not None:
        content["counts"] = reference_content(reference.counts)
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_bytes(gzip.compress(text.encode(), mtime=0))
    os.replace(temporary, path)


_ARRAYS = ("centre", "scale", "score_centre", "score_scale", "quantiles")


def _numbers(values: np.ndarray) -> list[float | int]:
    return [int(value) if value.is_integer() else value for value in values.tolist()]


def read_platform(path: str | Path) -> PlatformReference:
    """Read what :func:`write_platform` wrote.

    Raises
    ------
    InputError
        The file is missing, damaged or of another version.
    """
    try:
        content = json.loads(gzip.decompress(Path(path).read_bytes()))
        version = content["format_version"]
        if version != PLATFORM_VERSION:
            raise InputError(
                f"{path}: format version {version!r} is not known (this release reads {PLATFORM_VERSION}); freeze the "
                "model anew with this release, or use the release that wrote it"
            )
        arrays = {name: np.array(content[name], dtype=float) for name in _ARRAYS}
        counts = reference_from(content["counts"]) if "counts" in content else None
        return PlatformReference(genes=tuple(content["genes"]), kind=str(content["kind"]), counts=counts, **arrays)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error}); restore the model's folder") from None
    except (ValueError, EOFError, KeyError, TypeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: damaged ({type(error).__name__}: {error}); restore the model's folder") from None


def adapt(features: pd.DataFrame, reference: PlatformReference, method: str) -> pd.DataFrame:
    """Bring the expression of patients to the training platform.

    Parameters
    ----------
    features : DataFrame (n, n_features)
        log2 expression in ``expression:`` columns; other columns pass through.
    reference : PlatformReference
        Of the training matrix. Genes that it lacks are left out of ranks and quantiles, and stay as they are.
    method : {"none", "within_sample_ranks", "reference_quantiles", "cohort_rescaling"}
        All but the last look at one sample at a time; see :class:`PlatformReference`.

    Returns
    -------
    DataFrame (n, n_features)
        NaN stays NaN: the model fills it as trained. A patient with too few genes to rank has NaN in all of them.

    Raises
    ------
    InputError
        An unknown method, too few genes to rank in every patient, or fewer than ten patients to rescale.
    """
    methods: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "within_sample_ranks": reference.ranked,
        "reference_quantiles": reference.quantiled,
        "cohort_rescaling": reference.rescaled,
    }
    if method == "none":
        return features.copy()
    if method not in methods:
        raise InputError(f"adaptation {method!r}: must be one of {', '.join(ADAPTATIONS)}")
    block = features.reindex(columns=reference.columns).to_numpy(dtype=float)
    if method != "cohort_rescaling":
        fewest = min(FEWEST_RANKED, len(reference.genes))
        poor = (~np.isnan(block)).sum(axis=1) < fewest
        if poor.all():
            raise InputError(
                f"adaptation: {method}: fewer than {fewest} of the {len(reference.genes)} genes of the training matrix "
                f"have a value in {shown(features.index[poor])}; ranks among so few say nothing; use none"
            )
        # Ranks among so few say nothing: to the model they are missing, as values that are not there.
        values = np.full(block.shape, np.nan)
        values[~poor] = methods[method](block[~poor])
    else:
        values = methods[method](block)
    adapted = pd.DataFrame(values, index=features.index, columns=reference.columns)
    others = features.columns.difference(reference.columns, sort=False)
    return pd.concat([features[others], adapted], axis=1).reindex(columns=features.columns)
