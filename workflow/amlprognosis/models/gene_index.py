"""The gene index: univariate Cox screen, lasso Cox, index = sum of coefficient x (expression - center) / scale."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from amlprognosis.errors import InputError
from amlprognosis.models.base import RiskModel, fit_columns
from amlprognosis.models.contributions import Additive, linear_terms
from amlprognosis.models.cox_kernels import univariate_cox
from amlprognosis.models.cox_lasso import lambda_sequence, lasso_cv, stratified_folds
from amlprognosis.models.preprocess import Preprocessor, shorten

PREFIX = "expression:"


def candidate_columns(columns: pd.Index, genes: Sequence[str] | None) -> list[str]:
    """Columns of candidate genes; all expression columns without a list.

    Raises
    ------
    InputError
        If none of the genes has a column.
    """
    if genes is None:
        return [f"{PREFIX}*"]
    known = set(columns)
    wanted = list(dict.fromkeys(f"{PREFIX}{gene}" for gene in genes))
    if not any(name in known for name in wanted):
        raise InputError(
            f"none of the {len(wanted)} candidate genes has an expression column "
            f"({shorten([name.removeprefix(PREFIX) for name in wanted], 5)}); check the gene sets' symbols"
        )
    return wanted


class GeneIndex(RiskModel):
    """Sparse linear index of genes, everything learned in the training part.

    Parameters
    ----------
    genes : sequence of str, optional
        Candidate symbols (for example the union of gene sets). None = all expression columns.
    screen_p : float
        Genes with a univariate Cox p (Wald) below it pass the screen.
    max_genes : int
        At most this many pass, the smallest p first.
    min_genes : int
        If fewer pass, the best this many are taken, and a note says so.
    alpha : float
        1 = lasso; below it the elastic net.
    lambda_rule : {"min", "1se"}
        Penalty of the least cross-validated deviance, or the largest within one standard error of it.
    n_folds : int
        Inner folds, seeded and stratified by death (fewer when deaths are fewer).
    screen_in_folds : bool
        Repeat the screen inside the inner folds. Without it genes are judged on patients that helped to choose them,
        and the penalty comes out too small: dense indices even when the outcome is permuted.
    n_lambda, lambda_min_ratio : int, float
        Path of penalties.
    max_missing_share, impute
        See :class:`~amlprognosis.models.preprocess.Preprocessor`.
    n_jobs : int
        Threads of the screen; they do not change the result.
    random_state : int
        Seed of the inner folds.

    Attributes
    ----------
    coef_ : ndarray (n_selected,)
        Per training standard deviation.
    screen_ : DataFrame
        feature, beta, se, z, p, status, screened of every candidate, by p.
    path_ : DataFrame
        penalty, deviance, se, n_genes along the path.
    penalty_ : float
        The penalty chosen.
    """

    _frozen = ("coef_", "penalty_", "n_candidates_", "n_screened_")

    def __init__(
        self,
        genes: Sequence[str] | None = None,
        screen_p: float = 0.05,
        max_genes: int = 200,
        min_genes: int = 10,
        alpha: float = 1.0,
        lambda_rule: str = "min",
        n_folds: int = 10,
        screen_in_folds: bool = True,
        n_lambda: int = 60,
        lambda_min_ratio: float = 0.02,
        max_missing_share: float = 0.2,
        impute: str = "median",
        n_jobs: int = 1,
        random_state: int = 0,
    ):
        self.genes = genes
        self.screen_p = screen_p
        self.max_genes = max_genes
        self.min_genes = min_genes
        self.alpha = alpha
        self.lambda_rule = lambda_rule
        self.n_folds = n_folds
        self.screen_in_folds = screen_in_folds
        self.n_lambda = n_lambda
        self.lambda_min_ratio = lambda_min_ratio
        self.max_missing_share = max_missing_share
        self.impute = impute
        self.n_jobs = n_jobs
        self.random_state = random_state

    def _fit(self, x: pd.DataFrame, time: np.ndarray, event: np.ndarray) -> None:
        if self.lambda_rule not in ("min", "1se"):
            raise InputError(f"gene_index: lambda_rule {self.lambda_rule!r} is not known; use min or 1se")
        prepared = Preprocessor(candidate_columns(x.columns, self.genes), self.impute, self.max_missing_share)
        z = fit_columns(prepared, x, "gene_index")
        names = np.array(prepared.features_)
        screen = univariate_cox(z, time, event, "efron", self.n_jobs)
        p = screen.p_screen
        by_p = np.lexsort((names, p))
        n_passed = int((p < self.screen_p).sum())
        kept = self._pass(p, names)
        n_kept = kept.size
        if n_passed < n_kept:
            self.notes_.append(f"{n_passed} genes with screening p < {self.screen_p:g}: took the best {n_kept} instead")
        elif n_passed > n_kept:
            self.notes_.append(f"{n_passed} genes passed the screen: kept the best {n_kept}")
        screened = np.zeros(names.size, dtype=bool)
        screened[kept] = True
        self.screen_ = pd.DataFrame(
            {
                "feature": names,
                "beta": screen.beta,
                "se": screen.se,
                "z": screen.z,
                "p": p,
                "status": screen.status_names,
                "screened": screened,
            }
        ).iloc[by_p]
        self.screen_ = self.screen_.reset_index(drop=True)
        self.n_candidates_, self.n_screened_ = int(names.size), int(n_kept)
        kept = np.sort(kept)
        coefficients = self._lasso(z, kept, names, time, event)
        chosen = np.flatnonzero(coefficients)
        self.coef_ = coefficients[chosen]
        self.preprocessor_ = prepared.subset(names[kept[chosen]].tolist())

    def _pass(self, p: np.ndarray, names: np.ndarray) -> np.ndarray:
        """Positions of the genes that pass a screen, the smallest p first."""
        count = min(max(int((p < self.screen_p).sum()), self.min_genes), self.max_genes, names.size)
        return np.lexsort((names, p))[:count]

    def _lasso(
        self, z: np.ndarray, kept: np.ndarray, names: np.ndarray, time: np.ndarray, event: np.ndarray
    ) -> np.ndarray:
        folds = stratified_folds(event, self.n_folds, np.random.default_rng(self.random_state))
        lambdas = lambda_sequence(z[:, kept], time, event, self.alpha, self.n_lambda, self.lambda_min_ratio)
        fold_columns = None
        if self.screen_in_folds:
            fold_columns = {}
            for label in np.unique(folds):
                rows = folds != label
                p = univariate_cox(z[rows], time[rows], event[rows], "efron", self.n_jobs).p_screen
                fold_columns[int(label)] = np.sort(self._pass(p, names))
        # Denser models than this are hopeless with so few deaths, and take nearly all of the time.
        limit = max(20, int(event.sum()) // 2)
        found = lasso_cv(
            z,
            time,
            event,
            lambdas,
            folds,
            self.alpha,
            max_active=limit,
            patience=10,
            columns=kept,
            fold_columns=fold_columns,
        )
        at = found.at_min if self.lambda_rule == "min" else found.at_1se
        counts = found.path.n_nonzero
        if counts[at] == 0:
            nonzero = np.flatnonzero(counts > 0)
            if nonzero.size == 0:
                raise InputError("gene_index: no penalty keeps a gene; the candidates carry no signal at all")
            later = nonzero[nonzero > at]
            at = int(later[0]) if later.size else int(nonzero[0])
            self.notes_.append(
                f"cross-validation preferred the empty model: took the sparsest one with {int(counts[at])} gene(s)"
            )
        self.path_ = pd.DataFrame(
            {"penalty": found.path.lambdas, "deviance": found.mean, "se": found.se, "n_genes": counts}
        )
        self.penalty_ = float(found.path.lambdas[at])
        return found.path.coefficients[at]

    def _risk(self, values: np.ndarray) -> np.ndarray:
        return values @ self.coef_

    def _additive(self, values: np.ndarray) -> Additive:
        return linear_terms(values, self.coef_)

    def _weights(self) -> tuple[list[str], np.ndarray]:
        order = np.lexsort((np.array(self.features_in_), -np.abs(self.coef_)))
        return [self.features_in_[j] for j in order], self.coef_[order]

    def index_table(self) -> pd.DataFrame:
        """Gene, coefficient, center, scale of the index, by gene: all that is needed to apply it by hand."""
        self._check_fitted()
        table = pd.DataFrame(
            {
                "gene": [name.removeprefix(PREFIX) for name in self.features_in_],
                "coefficient": self.coef_,
                "center": self.preprocessor_.center_,
                "scale": self.preprocessor_.scale_,
            }
        )
        return table.sort_values("gene", ignore_index=True)
