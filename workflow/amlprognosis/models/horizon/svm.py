"""Support vector machine for death by a horizon."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist

from amlprognosis.errors import InputError
from amlprognosis.models.contributions import Additive, linear_terms, sampled_terms
from amlprognosis.models.horizon.base import ArraysMixin, Cases, HorizonModel, Part, pooled
from amlprognosis.models.horizon.calibration import fit_platt, log_loss
from amlprognosis.models.learners.base import run_threads
from amlprognosis.models.screened import BLOCKS


class HorizonSVM(ArraysMixin, HorizonModel):
    """Support vector classifier (libsvm) with IPCW weights; Platt scaling makes its decision values probabilities.

    Cost and kernel width are those of the least weighted log loss of the Platt-scaled held-out decision values in
    inner folds. Pseudo-observations are no labels, so that a classifier with hinge loss cannot learn from them.

    Parameters
    ----------
    horizon_years, weighting, min_class
        As in :class:`~amlprognosis.models.horizon.trees.HorizonForest`; ``weighting`` can only be "ipcw".
    blocks, selection, n_selected, max_features_screened, n_folds, max_missing_share, impute, n_jobs, random_state
        As in :class:`~amlprognosis.models.horizon.logistic.HorizonLogistic`.
    kernel : {"rbf", "linear"}
        Kernel. A frozen "rbf" model holds the prepared features of training patients.
    costs : sequence of float
        Values of C to try; a patient's cost is C times the weight. Few, because the best of many looks better in the
        inner folds than it is, and the calibrated risks get too extreme.
    widths : sequence of float
        Values to try for gamma times the number of columns ("rbf" only).
    calibrate : bool
        Without it the risk is only the logistic function of the decision value, not a probability to rely on.

    Attributes
    ----------
    counts_, calibration_
        As in :class:`~amlprognosis.models.horizon.trees.HorizonForest`.
    cost_, gamma_ : float
        Chosen C and gamma (0 with the linear kernel).
    support_ : ndarray (m, p)
        Support vectors; with the linear kernel one row, the coefficients.
    dual_ : ndarray (m,)
        Their weights.
    intercept_ : float
    """

    _standardized = True
    _weightings = ("ipcw",)
    _arrays = ("support_", "dual_")
    _side_file = "support.skops"
    _frozen = (*HorizonModel._frozen, "cost_", "gamma_", "intercept_")

    def __init__(
        self,
        horizon_years: float = 5.0,
        weighting: str = "ipcw",
        blocks: Sequence[str] = BLOCKS,
        selection: str = "mrmr",
        n_selected: int = 30,
        max_features_screened: int = 30,
        kernel: str = "rbf",
        costs: Sequence[float] = (0.1, 0.3, 1.0),
        widths: Sequence[float] = (0.1, 0.3),
        calibrate: bool = True,
        n_folds: int = 5,
        min_class: int = 10,
        max_missing_share: float = 0.2,
        impute: str = "median",
        n_jobs: int = 1,
        random_state: int = 0,
    ):
        self.horizon_years = horizon_years
        self.weighting = weighting
        self.blocks = blocks
        self.selection = selection
        self.n_selected = n_selected
        self.max_features_screened = max_features_screened
        self.kernel = kernel
        self.costs = costs
        self.widths = widths
        self.calibrate = calibrate
        self.n_folds = n_folds
        self.min_class = min_class
        self.max_missing_share = max_missing_share
        self.impute = impute
        self.n_jobs = n_jobs
        self.random_state = random_state

    def _check(self) -> None:
        if self.weighting == "pseudo":
            raise InputError(
                "HorizonSVM: pseudo-observations are numbers, not labels; use weighting ipcw, or another learner"
            )
        super()._check()
        if self.kernel not in ("rbf", "linear"):
            raise InputError(f"HorizonSVM: kernel {self.kernel!r} is not known; use rbf or linear")
        for name, numbers in (("costs", self.costs), ("widths", self.widths)):
            if not len(numbers) or not all(number > 0 for number in numbers):
                raise InputError(f"HorizonSVM: {name} must be numbers above 0, got {list(numbers)}")

    def _machine(self, cases: Cases, cost: float, gamma: float) -> Any:
        from sklearn.svm import SVC

        machine = SVC(C=cost, kernel=self.kernel, gamma=gamma if gamma else "auto", tol=1e-4)
        return machine.fit(cases.x, cases.target > 0.5, sample_weight=cases.weight)

    def _tune(self, parts: list[Part]) -> np.ndarray:
        widths = [width / parts[0].train.x.shape[1] for width in self.widths] if self.kernel == "rbf" else [0.0]
        settings = [(float(cost), float(gamma)) for gamma in widths for cost in self.costs]

        def held_out(part: Part) -> np.ndarray:
            return np.column_stack(
                [self._machine(part.train, *setting).decision_function(part.test.x) for setting in settings]
            )

        scores = pooled(parts, run_threads(held_out, parts, self.n_jobs))
        target, weight = pooled(parts, [np.column_stack([part.test.target, part.test.weight]) for part in parts]).T
        losses = []
        for score in scores.T:
            slope, intercept = fit_platt(score, target, weight, self.counts_["deaths"], self.counts_["controls"])
            losses.append(log_loss(slope * score + intercept, target, weight))
        best = int(np.argmin(losses))
        self.cost_, self.gamma_ = settings[best]
        return scores[:, best]

    def _learn(self, cases: Cases) -> None:
        machine = self._machine(cases, self.cost_, self.gamma_)
        self.intercept_ = float(machine.intercept_[0])
        if self.kernel == "linear":
            self.support_, self.dual_ = machine.coef_.copy(), np.ones(1)
            self.importances_ = self.support_[0]
            return
        self.support_, self.dual_ = machine.support_vectors_.copy(), machine.dual_coef_[0].copy()
        self.notes_.append(
            f"the frozen model holds the prepared features of {len(self.support_)} training patients (its support "
            "vectors): share it only as you would share patient data"
        )

    def _score(self, values: np.ndarray) -> np.ndarray:
        if self.kernel == "linear":
            return values @ self.support_[0] + self.intercept_
        return np.exp(-self.gamma_ * cdist(values, self.support_, "sqeuclidean")) @ self.dual_ + self.intercept_

    def _additive(self, values: np.ndarray) -> Additive:
        if self.kernel == "linear":
            return linear_terms(values, self.support_[0], self.intercept_)
        return sampled_terms(self._score, values, self.preprocessor_.reference, self.random_state)
