"""The clinical model with the gene index: a Cox model on clinical columns and the prevalidated index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from amlprognosis.errors import InputError
from amlprognosis.models.base import RiskModel, as_outcome, fit_columns
from amlprognosis.models.contributions import Additive, linear_terms
from amlprognosis.models.cox_kernels import baseline_hazard, fit_cox
from amlprognosis.models.cox_lasso import stratified_folds
from amlprognosis.models.gene_index import GeneIndex
from amlprognosis.models.preprocess import Preprocessor, select_columns, shorten


class ClinicalGeneIndex(RiskModel):
    """Clinical columns and the gene index in one Cox model, weighed on an index that never saw the patient.

    The index of a training patient fits his own outcome and would take all weight from the clinical columns. So the
    training part is split into folds, an index is made without each fold and applied to it, and the Cox model is fitted
    on the clinical columns and this prevalidated index, in units of the training standard deviation of the index it
    comes from. Predictions use the index of the whole training part with the coefficient so found. A negative
    coefficient would turn the index around: the index is then left out, and a note says so.

    Parameters
    ----------
    genes : sequence of str, optional
        Candidate genes of the index.
    columns : sequence of str
        Clinical columns: names, or prefixes that end in ``*``.
    index : mapping, optional
        Parameters of :class:`~amlprognosis.models.gene_index.GeneIndex`.
    n_folds : int
        Folds of the prevalidation, stratified by death (fewer when deaths are fewer).
    max_missing_share, impute
        Of the clinical columns, see :class:`~amlprognosis.models.preprocess.Preprocessor`.
    random_state : int
        Seed of the folds and of the indices.

    Attributes
    ----------
    coef_ : ndarray (p,)
        Log hazard ratio per training standard deviation of each column, clinical ones first.
    index_weight_ : float
        Log hazard ratio per standard deviation of the index, given the clinical columns; at least 0.
    n_clinical_ : int
        How many of the columns are clinical.

    References
    ----------
    Tibshirani and Efron, Stat Appl Genet Mol Biol 2002, doi:10.2202/1544-6115.1000; Hoefling and Tibshirani, Ann Appl
    Stat 2008, doi:10.1214/07-AOAS152; weights that are not negative: Breiman, Mach Learn 1996, doi:10.1007/BF00117832
    """

    _frozen = ("coef_", "index_weight_", "n_clinical_")

    def __init__(
        self,
        genes: Sequence[str] | None = None,
        columns: Sequence[str] = ("clinical:*",),
        index: Mapping[str, Any] | None = None,
        n_folds: int = 10,
        max_missing_share: float = 0.2,
        impute: str = "median",
        random_state: int = 0,
    ):
        self.genes = genes
        self.columns = columns
        self.index = index
        self.n_folds = n_folds
        self.max_missing_share = max_missing_share
        self.impute = impute
        self.random_state = random_state

    def _fit(self, x: pd.DataFrame, time: np.ndarray, event: np.ndarray) -> None:
        _, absent = select_columns(x.columns, self.columns)
        if absent:
            raise InputError(f"clinical_gene_index: no column {shorten(absent)} in the features")
        clinical = Preprocessor(self.columns, self.impute, self.max_missing_share)
        z = np.ascontiguousarray(fit_columns(clinical, x, "clinical_gene_index"))
        index = self._index(x, time, event, self.random_state)
        self.notes_ += [f"index: {note}" for note in index.notes_]
        out_of_fold = self._prevalidated(x, time, event)
        weights, risk = self._weigh(z, out_of_fold, time, event)
        self.index_weight_ = float(weights[-1])
        self.n_clinical_ = len(clinical.features_)
        genes = index.preprocessor_ if self.index_weight_ > 0 else index.preprocessor_.subset([])
        spread = float(_scores(index, x).std())
        if self.index_weight_ > 0 and spread == 0:
            raise InputError("clinical_gene_index: every patient has the same index")
        per_gene = index.coef_ * (self.index_weight_ / spread) if self.index_weight_ > 0 else np.zeros(0)
        self.coef_ = np.concatenate([weights[:-1], per_gene])
        self.preprocessor_ = _joined(clinical, genes)
        # On out-of-fold risks: those of the patients' own fit are too far apart, and curves would be too extreme.
        self.baseline_times_, self.baseline_hazard_ = baseline_hazard(risk, time, event)

    def _index(self, x: pd.DataFrame, time: np.ndarray, event: np.ndarray, seed: int) -> GeneIndex:
        index = GeneIndex(genes=self.genes, random_state=seed, **dict(self.index or {}))
        index.fit(x, as_outcome(time, event))
        return index

    def _prevalidated(self, x: pd.DataFrame, time: np.ndarray, event: np.ndarray) -> np.ndarray:
        """Index of each patient (n,) from a fit without him, in standard deviations of that fit's patients."""
        folds = stratified_folds(event, self.n_folds, np.random.default_rng([self.random_state, 1]))
        found = np.zeros(len(x))
        failed = 0
        for label in np.unique(folds):
            held = folds == label
            try:
                fit = self._index(x[~held], time[~held], event[~held], self.random_state + 1 + int(label))
            except InputError:
                failed += 1
                continue
            own = _scores(fit, x[~held])
            if own.std() > 0:
                found[held] = (_scores(fit, x[held]) - own.mean()) / own.std()
        if failed:
            self.notes_.append(f"{failed} inner folds without an index: their patients count as average")
        return found

    def _weigh(
        self, z: np.ndarray, index: np.ndarray, time: np.ndarray, event: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Coefficients of the clinical columns and the index, and the risks that they give."""
        if np.ptp(index) > 0:
            both = np.column_stack([z, index])
            fit = fit_cox(both, time, event)
            if fit.beta[-1] > 0:
                self._note_fit(fit.singular, fit.status)
                return fit.beta, both @ fit.beta
            hazard = f"given the clinical columns the prevalidated index has a log hazard ratio of {fit.beta[-1]:.3f}"
            self.notes_.append(f"{hazard}: it is left out")
        fit = fit_cox(z, time, event)
        self._note_fit(fit.singular, fit.status)
        return np.append(fit.beta, 0.0), z @ fit.beta

    def _note_fit(self, singular: bool, status: str) -> None:
        if singular:
            self.notes_.append("collinear columns: the information matrix was singular, a tiny ridge was added")
        if status != "converged":
            self.notes_.append(f"the fit is {status}: coefficients are not to be interpreted")

    def _risk(self, values: np.ndarray) -> np.ndarray:
        return values @ self.coef_

    def _additive(self, values: np.ndarray) -> Additive:
        return linear_terms(values, self.coef_)

    def _weights(self) -> tuple[list[str], np.ndarray]:
        return self.features_in_, self.coef_


def _scores(index: GeneIndex, x: pd.DataFrame) -> np.ndarray:
    """Index of each patient, to the last bit the same however the frame lies in memory."""
    return np.ascontiguousarray(index.preprocessor_.transform(x)) @ index.coef_


def _joined(first: Preprocessor, second: Preprocessor) -> Preprocessor:
    """Both sets of columns, each prepared as it was learned."""
    content = first.to_dict()
    out = Preprocessor.from_dict({**content, "features": content["features"] + second.to_dict()["features"]})
    out.dropped_ = [*first.dropped_, *second.dropped_]
    return out
