"""The gene index: univariate Cox screen, lasso Cox, index = sum of coefficient x (expression - center) / scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from amlprognosis.errors import InputError
from amlprognosis.models.base import RiskModel, fit_columns
from amlprognosis.models.contributions import Additive, linear_terms
from amlprognosis.models.cox_kernels import univariate_cox
from amlprognosis.models.cox_lasso import lambda_sequence, lasso_cv, stratified_folds
from amlprognosis.models.penalized_cv import LassoCV
from amlprognosis.models.preprocess import Preprocessor, shorten
from amlprognosis.models.sure_screen import SureScreen

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


@dataclass(frozen=True)
class IndexScreens:
    """A training part with its univariate screens, from which the index of any of its columns can be learned.

    Attributes
    ----------
    z : ndarray (n, p)
        Prepared columns, patients by id.
    rank : ndarray of int (p,)
        Alphabetic place of each column, which decides between equal p-values.
    time, event, folds : ndarray (n,)
        Days; True = death; inner fold of each patient.
    whole : SureScreen
        On all patients of the part.
    inner : dict of fold to SureScreen
        On the training part of each inner fold; empty without a screen inside the folds.
    """

    z: np.ndarray
    rank: np.ndarray
    time: np.ndarray
    event: np.ndarray
    folds: np.ndarray
    whole: SureScreen
    inner: dict[int, SureScreen]


@dataclass(frozen=True)
class LearnedIndex:
    """What was learned of some candidates.

    Attributes
    ----------
    kept, chosen : ndarray of int
        Positions of the columns that passed the screen, and of those with a coefficient, ascending.
    coefficients : ndarray
        Of the chosen columns, per training standard deviation.
    penalty : float
    path : DataFrame
        penalty, deviance, se, n_genes along the path.
    notes : list of str
    """

    kept: np.ndarray
    chosen: np.ndarray
    coefficients: np.ndarray
    penalty: float
    path: pd.DataFrame
    notes: list[str]


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
        prepared = Preprocessor(candidate_columns(x.columns, self.genes), self.impute, self.max_missing_share)
        z = fit_columns(prepared, x, "gene_index")
        names = np.array(prepared.features_)
        screen = univariate_cox(z, time, event, "efron", self.n_jobs)
        p = screen.p_screen
        screens = self.screens(z, names, time, event, SureScreen.known(p))
        found = self.learn(screens, np.arange(names.size))
        self.notes_ += found.notes
        screened = np.zeros(names.size, dtype=bool)
        screened[found.kept] = True
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
        ).iloc[np.lexsort((names, p))]
        self.screen_ = self.screen_.reset_index(drop=True)
        self.n_candidates_, self.n_screened_ = int(names.size), int(found.kept.size)
        self.path_, self.penalty_ = found.path, found.penalty
        self.coef_ = found.coefficients
        self.preprocessor_ = prepared.subset(names[found.chosen].tolist())

    def screens(
        self, z: np.ndarray, names: np.ndarray, time: np.ndarray, event: np.ndarray, whole: SureScreen | None = None
    ) -> IndexScreens:
        """Screen a training part and the training parts of its inner folds, once for any choice of candidates.

        Parameters
        ----------
        z : ndarray (n, p)
            Prepared columns, patients by id.
        names : ndarray of str (p,)
        time, event : ndarray (n,)
            Days; True = death.
        whole : SureScreen, optional
            The screen of the whole part, where it is at hand.

        Raises
        ------
        InputError
            An unknown ``lambda_rule``, or fewer than 2 deaths.
        """
        if self.lambda_rule not in ("min", "1se"):
            raise InputError(f"gene_index: lambda_rule {self.lambda_rule!r} is not known; use min or 1se")
        folds = stratified_folds(event, self.n_folds, np.random.default_rng(self.random_state))
        inner = {}
        if self.screen_in_folds:
            for label in np.unique(folds):
                rows = folds != label
                inner[int(label)] = SureScreen(z[rows], time[rows], event[rows], self.screen_p, self.n_jobs)
        if whole is None:
            whole = SureScreen(z, time, event, self.screen_p, self.n_jobs)
        rank = np.empty(names.size, dtype=np.int64)
        rank[np.argsort(names)] = np.arange(names.size)
        return IndexScreens(z, rank, time, event, folds, whole, inner)

    def learn(self, screens: IndexScreens, members: np.ndarray) -> LearnedIndex:
        """Learn the index of some candidates from the shared screens.

        Parameters
        ----------
        screens : IndexScreens
        members : ndarray of int (m,)
            Positions of the candidates among the columns, ascending.

        Raises
        ------
        InputError
            No penalty keeps a gene.
        """
        notes = []
        kept = self._pass(screens.whole, screens.rank, members)
        n_passed = int((screens.whole.p[members] < self.screen_p).sum())
        if n_passed < kept.size:
            notes.append(f"{n_passed} genes with screening p < {self.screen_p:g}: took the best {kept.size} instead")
        elif n_passed > kept.size:
            notes.append(f"{n_passed} genes passed the screen: kept the best {kept.size}")
        inner = {label: self._pass(screen, screens.rank, members) for label, screen in screens.inner.items()}
        found, at = self._lasso(screens, kept, inner if self.screen_in_folds else None, notes)
        chosen = np.flatnonzero(found.path.coefficients[at])
        path = pd.DataFrame(
            {"penalty": found.path.lambdas, "deviance": found.mean, "se": found.se, "n_genes": found.path.n_nonzero}
        )
        return LearnedIndex(
            kept, kept[chosen], found.path.coefficients[at][chosen], float(found.path.lambdas[at]), path, notes
        )

    def _pass(self, screen: SureScreen, rank: np.ndarray, members: np.ndarray) -> np.ndarray:
        """Positions of the candidates that pass a screen, ascending."""
        p = screen.p[members]
        n_passed = int((p < self.screen_p).sum())
        if n_passed < min(self.min_genes, self.max_genes, members.size):
            p = screen.complete()[members]
        count = min(max(n_passed, self.min_genes), self.max_genes, members.size)
        return np.sort(members[np.lexsort((rank[members], p))[:count]])

    def _lasso(
        self,
        screens: IndexScreens,
        kept: np.ndarray,
        fold_columns: dict[int, np.ndarray] | None,
        notes: list[str],
    ) -> tuple[LassoCV, int]:
        """Cross-validated path of the genes that passed, and the place on it."""
        z, time, event = screens.z, screens.time, screens.event
        lambdas = lambda_sequence(z[:, kept], time, event, self.alpha, self.n_lambda, self.lambda_min_ratio)
        # Denser models than this are hopeless with so few deaths, and take nearly all of the time.
        limit = max(20, int(event.sum()) // 2)
        found = lasso_cv(
            z,
            time,
            event,
            lambdas,
            screens.folds,
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
            notes.append(
                f"cross-validation preferred the empty model: took the sparsest one with {int(counts[at])} gene(s)"
            )
        return found, at

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
