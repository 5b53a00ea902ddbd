"""What the learners and combinations of the grid share within one training part, made once."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from amlprognosis.errors import InputError
from amlprognosis.models.base import as_outcome, check_outcome, fit_columns
from amlprognosis.models.cox_kernels import univariate_cox
from amlprognosis.models.families import make_selector
from amlprognosis.models.gene_index import candidate_columns
from amlprognosis.models.preprocess import Preprocessor
from amlprognosis.study.names import Term

FEWEST = 2


@dataclass(frozen=True)
class Selection:
    """Columns that a selector kept, or why it cannot be used.

    Attributes
    ----------
    kept : ndarray of int
        Positions among the screened columns.
    notes : list of str
    refused : str
        Empty, or the reason.
    """

    kept: np.ndarray
    notes: list[str]
    refused: str = ""


class Workbench:
    """A training part prepared for the grid: cleaned, standardized, screened; selectors run on demand, each once.

    Parameters
    ----------
    features : DataFrame (n, p)
        Feature frame of the training part, index = patient.
    y : structured ndarray (n,)
    genes : sequence of str, optional
        Candidate symbols; None = all expression columns.
    screen_p, min_genes, max_genes
        Univariate Cox screen: genes with a p below it pass, at least ``min_genes``, at most ``max_genes``.
    parameters : mapping of family to mapping
        Settings of families.
    max_missing_share, impute
        See :class:`~amlprognosis.models.preprocess.Preprocessor`.
    seed : int
        Of the selectors; each mixes its own name in.
    n_jobs : int
        Threads; they do not change the result.

    Attributes
    ----------
    z : ndarray (n, k)
        Screened columns, standardized; rows by patient.
    names : list of str
    outcome : structured ndarray (n,)
    preprocessor : Preprocessor
        Of the screened columns.
    notes : list of str
    n_candidates : int
        Usable candidate columns before the screen.

    Raises
    ------
    InputError
        If the outcome or the columns cannot be learned from.
    """

    def __init__(
        self,
        features: pd.DataFrame,
        y: np.ndarray,
        genes: Sequence[str] | None = None,
        screen_p: float = 0.05,
        min_genes: int = 10,
        max_genes: int = 200,
        parameters: Mapping[str, Mapping[str, Any]] | None = None,
        max_missing_share: float = 0.2,
        impute: str = "median",
        seed: int = 0,
        n_jobs: int = 1,
    ):
        time, event = check_outcome(y, len(features))
        order = np.argsort(features.index.astype(str).to_numpy(), kind="stable")
        features, time, event = features.iloc[order], time[order], event[order]
        self.patients = features.index
        self.outcome = as_outcome(time, event)
        self.parameters = parameters or {}
        self.seed, self.n_jobs = int(seed), int(n_jobs)
        prepared = Preprocessor(candidate_columns(features.columns, genes), impute, max_missing_share)
        values = fit_columns(prepared, features, "grid")
        names = np.array(prepared.features_)
        p = univariate_cox(values, time, event, "efron", n_jobs).p_screen
        passed = int((p < screen_p).sum())
        count = min(max(passed, min_genes), max_genes, names.size)
        kept = np.sort(np.lexsort((names, p))[:count])
        self.notes: list[str] = []
        if passed < count:
            self.notes.append(f"{passed} genes with screening p < {screen_p:g}: took the best {count} instead")
        elif passed > count:
            self.notes.append(f"{passed} genes passed the screen: kept the best {count}")
        self.n_candidates = int(names.size)
        self.names = names[kept].tolist()
        self.preprocessor = prepared.subset(self.names)
        self.z = np.ascontiguousarray(values[:, kept])
        self._selections: dict[Term, Selection] = {}
        self._locks: dict[Term, threading.Lock] = {}
        self._lock = threading.Lock()

    def belongs_to(self, features: pd.DataFrame, y: np.ndarray) -> bool:
        """Whether patients and their outcome are those it was made from."""
        time, event = check_outcome(y, len(features))
        order = np.argsort(features.index.astype(str).to_numpy(), kind="stable")
        return self.patients.equals(features.index[order]) and bool(
            (self.outcome == as_outcome(time[order], event[order])).all()
        )

    def select(self, term: Term) -> Selection:
        """Run a selector, or give what it gave before."""
        with self._lock:
            lock = self._locks.setdefault(term, threading.Lock())
        with lock:
            if term not in self._selections:
                self._selections[term] = self._run(term)
            return self._selections[term]

    def _run(self, term: Term) -> Selection:
        seed = int(np.random.SeedSequence([self.seed, zlib.crc32(str(term).encode())]).generate_state(1)[0] >> 1)
        try:
            selector = make_selector(term, self.parameters, seed, self.n_jobs).fit(self.z, self.outcome)
        except InputError as error:
            return Selection(np.array([], dtype=int), [], f"selector {term}: {error}")
        kept = np.flatnonzero(selector.get_support())
        refused = ""
        if kept.size < FEWEST:
            refused = f"selector {term} keeps {kept.size} of {len(self.names)} genes, fewer than {FEWEST}"
        return Selection(kept, [f"{term}: {note}" for note in selector.notes_], refused)
