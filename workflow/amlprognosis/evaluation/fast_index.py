"""The gene index of many candidate sets on the same training parts: the univariate screens are shared.

What comes out is, to the bit, what fitting each :class:`~amlprognosis.models.gene_index.GeneIndex` by itself gives.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from amlprognosis.errors import InputError
from amlprognosis.models.base import check_outcome, fit_columns
from amlprognosis.models.concordance import harrell_concordance
from amlprognosis.models.gene_index import GeneIndex, LearnedIndex, candidate_columns
from amlprognosis.models.preprocess import Preprocessor, frame_values


class SharedIndex:
    """A training part, prepared and screened once for any candidates among its genes.

    Parameters
    ----------
    model : GeneIndex
        Its settings and its seed; its ``genes`` are all that will ever be candidates (None = all expression columns).
    train : DataFrame (n, p), index = patient
    y : structured ndarray (n,)
        Fields event, time.

    Attributes
    ----------
    features : list of str
        The usable columns.

    Raises
    ------
    InputError
        As :meth:`GeneIndex.fit`.
    """

    def __init__(self, model: GeneIndex, train: pd.DataFrame, y: np.ndarray):
        time, event = check_outcome(y, len(train))
        order = np.argsort(train.index.astype(str).to_numpy(), kind="stable")
        train, time, event = train.iloc[order], time[order], event[order]
        self._model = model
        self._prepared = Preprocessor(
            candidate_columns(train.columns, model.genes), model.impute, model.max_missing_share
        )
        z = fit_columns(self._prepared, train, "gene_index")
        self.features = self._prepared.features_
        self._places = pd.Index(self.features)
        self._screens = model.screens(z, np.array(self.features), time, event)

    def learn(self, columns: pd.Index | None = None) -> LearnedIndex:
        """Learn the index of some candidate columns (None = all); positions are those in ``features``.

        Raises
        ------
        InputError
            None of the columns is usable here, or no penalty keeps one.
        """
        if columns is None:
            return self._model.learn(self._screens, np.arange(len(self.features)))
        at = self._places.get_indexer(columns)
        at = np.unique(at[at >= 0])
        if not at.size:
            raise InputError(f"gene_index: none of the {len(columns)} candidate genes is usable in this training part")
        return self._model.learn(self._screens, at)

    def values(self, frame: pd.DataFrame) -> np.ndarray:
        """Raw values (n, len(features)) of patients, for :meth:`risk`."""
        return frame_values(frame, self.features)

    def risk(self, learned: LearnedIndex, values: np.ndarray) -> np.ndarray:
        """Risk (n,) of patients whose raw ``values`` are given."""
        at, prepared = learned.chosen, self._prepared
        own = values[:, at]
        filled = np.where(np.isnan(own), prepared.fill_[at], own)
        return (filled - prepared.center_[at]) / prepared.scale_[at] @ learned.coefficients


@dataclass
class PairCount:
    """Concordance over pairs held out together, added up fold by fold; as ``blocked_concordance`` counts."""

    concordant: float = 0.0
    comparable: int = 0

    def add(self, y: np.ndarray, risk: np.ndarray) -> None:
        """Add the patients of one fold."""
        found = harrell_concordance(y["time"], y["event"], risk)
        self.concordant += found.concordant + 0.5 * found.tied_risk
        self.comparable += found.concordant + found.discordant + found.tied_risk

    @property
    def index(self) -> float:
        """Harrell's C; NaN without a comparable pair."""
        return self.concordant / self.comparable if self.comparable else float("nan")
