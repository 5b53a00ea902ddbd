"""Plain Cox models on named columns, and published signatures with fixed weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from amlprognosis.errors import InputError
from amlprognosis.models.base import RiskModel, fit_columns
from amlprognosis.models.contributions import Additive, linear_terms
from amlprognosis.models.cox_kernels import fit_cox
from amlprognosis.models.gene_index import PREFIX
from amlprognosis.models.preprocess import Preprocessor, select_columns, shorten


class CoxModel(RiskModel):
    """Multivariable Cox model (Efron ties) on standardized columns.

    Parameters
    ----------
    columns : sequence of str
        Names, or prefixes that end in ``*``. Every name needs a column, every prefix at least one.
    ridge : float
        Penalty on standardized coefficients, on glmnet's scale: -(1/n) loglik + ridge / 2 * sum(beta^2). With 0 a tiny
        one is used only when the information matrix is singular, and a note says so.
    min_minority : int
        Binary columns with fewer training patients in the rarer class are dropped.
    max_missing_share, impute
        See :class:`~amlprognosis.models.preprocess.Preprocessor`.
    random_state : int
        Not used (nothing is random); there so that all models are made alike.

    Attributes
    ----------
    coef_ : ndarray (p,)
        Log hazard ratio per training standard deviation.
    covariance_ : ndarray (p, p)
        Of ``coef_`` (inverse penalized information).
    loglik_, loglik_null_ : float
        Log partial likelihood.
    """

    _frozen = ("coef_", "covariance_", "loglik_", "loglik_null_")

    def __init__(
        self,
        columns: Sequence[str] = ("clinical:age",),
        ridge: float = 0.0,
        min_minority: int = 1,
        max_missing_share: float = 0.2,
        impute: str = "median",
        random_state: int = 0,
    ):
        self.columns = columns
        self.ridge = ridge
        self.min_minority = min_minority
        self.max_missing_share = max_missing_share
        self.impute = impute
        self.random_state = random_state

    def _fit(self, x: pd.DataFrame, time: np.ndarray, event: np.ndarray) -> None:
        if self.ridge < 0:
            raise InputError(f"ridge must not be negative, got {self.ridge}")
        _, absent = select_columns(x.columns, self.columns)
        if absent:
            raise InputError(f"Cox model on {shorten(self.columns)}: no column {shorten(absent)} in the features")
        prepared = Preprocessor(self.columns, self.impute, self.max_missing_share, min_minority=self.min_minority)
        z = fit_columns(prepared, x, "Cox model")
        fit = fit_cox(z, time, event, "efron", self.ridge * len(z))
        if fit.singular:
            self.notes_.append("collinear columns: the information matrix was singular, a tiny ridge was added")
        if fit.status != "converged":
            self.notes_.append(f"the fit is {fit.status}: coefficients are not to be interpreted")
        self.preprocessor_ = prepared
        self.coef_, self.covariance_ = fit.beta, fit.covariance
        self.loglik_, self.loglik_null_ = fit.loglik, fit.loglik_null

    def _risk(self, values: np.ndarray) -> np.ndarray:
        return values @ self.coef_

    def _additive(self, values: np.ndarray) -> Additive:
        return linear_terms(values, self.coef_)

    def _weights(self) -> tuple[list[str], np.ndarray]:
        return self.features_in_, self.coef_


class SignatureScore(RiskModel):
    """A published linear signature: weights and sign as published, nothing selected or refitted.

    From the training part come only the genes' centers (in sum a constant), the fill of missing values, and a
    one-parameter Cox calibration that gives survival curves. The risk is the centered score itself.

    Parameters
    ----------
    weights : mapping of str to float, optional
        Weight per gene symbol.
    path : str or Path, optional
        Coefficient table instead (columns gene, weight).
    min_gene_share : float
        Smallest share of the signature's genes that must have an expression column.
    max_missing_share, impute
        See :class:`~amlprognosis.models.preprocess.Preprocessor`.
    random_state : int
        Not used; there so that all models are made alike.

    Attributes
    ----------
    coef_ : ndarray (p,)
        Published weights of the genes used.
    lp_slope_ : float
        Log hazard ratio per unit of score, for survival curves alone; never below 0.
    genes_missing_ : list of str
        Genes of the signature that could not be used.
    """

    _frozen = ("coef_", "lp_slope_", "genes_missing_")

    def __init__(
        self,
        weights: Mapping[str, float] | None = None,
        path: str | Path | None = None,
        min_gene_share: float = 0.5,
        max_missing_share: float = 0.2,
        impute: str = "median",
        random_state: int = 0,
    ):
        self.weights = weights
        self.path = path
        self.min_gene_share = min_gene_share
        self.max_missing_share = max_missing_share
        self.impute = impute
        self.random_state = random_state

    def _fit(self, x: pd.DataFrame, time: np.ndarray, event: np.ndarray) -> None:
        if self.weights is not None and self.path is None:
            weights = {str(gene): float(weight) for gene, weight in self.weights.items()}
        elif self.path is not None and self.weights is None:
            from amlprognosis.signatures.scores import read_signature

            weights = read_signature(self.path)
        else:
            raise InputError("signature: give either weights or the path of a coefficient table")
        known = set(x.columns)
        present = [gene for gene in weights if f"{PREFIX}{gene}" in known]
        if not present or len(present) < self.min_gene_share * len(weights):
            absent = sorted(set(weights) - set(present))
            raise InputError(
                f"signature: {len(present)} of its {len(weights)} genes have an expression column, at least "
                f"{self.min_gene_share:.0%} are needed; absent: {shorten(absent, 20)}"
            )
        prepared = Preprocessor(
            [f"{PREFIX}{gene}" for gene in present], self.impute, self.max_missing_share, standardize=False
        )
        values = fit_columns(prepared, x, "signature")
        used = [name.removeprefix(PREFIX) for name in prepared.features_]
        self.genes_missing_ = sorted(set(weights) - set(used))
        if self.genes_missing_:
            self.notes_.append(
                f"{len(self.genes_missing_)} of {len(weights)} signature genes not usable: "
                f"{shorten(self.genes_missing_, 20)}"
            )
        self.preprocessor_ = prepared
        self.coef_ = np.array([weights[gene] for gene in used])
        prepared.center_ = values.mean(axis=0)
        score = (values - prepared.center_) @ self.coef_
        if np.ptp(score) == 0:
            raise InputError("signature: every patient has the same score")
        slope = float(fit_cox(score[:, None], time, event).beta[0])
        if slope < 0:
            self.notes_.append(
                "in the training part the score runs against its published direction: the sign is kept, survival "
                "curves are the same for everyone"
            )
        self.lp_slope_ = max(slope, 0.0)

    def _risk(self, values: np.ndarray) -> np.ndarray:
        return values @ self.coef_

    def _additive(self, values: np.ndarray) -> Additive:
        return linear_terms(values, self.coef_)

    def _weights(self) -> tuple[list[str], np.ndarray]:
        return self.features_in_, self.coef_
