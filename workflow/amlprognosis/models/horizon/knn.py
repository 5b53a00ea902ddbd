"""Nearest neighbours for death by a horizon."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.spatial.distance import cdist

from amlprognosis.errors import InputError
from amlprognosis.models.contributions import Additive, sampled_terms
from amlprognosis.models.horizon.base import ArraysMixin, Cases, HorizonModel, Part, pooled
from amlprognosis.models.horizon.calibration import log_loss, logit_of
from amlprognosis.models.screened import BLOCKS


def neighbour_shares(cases: Cases, x: np.ndarray, neighbours: Sequence[int]) -> np.ndarray:
    """Weighted mean target of the nearest patients, with the mean of all as one more vote.

    The extra vote keeps a share off 0 and 1 when all neighbours agree. Patients at equal distance come in the order of
    the training rows.

    Parameters
    ----------
    cases : Cases
        Training patients.
    x : ndarray (m, p)
        Patients to predict.
    neighbours : sequence of int (k,)
        Numbers of neighbours, at most the number of training patients.

    Returns
    -------
    ndarray (m, k)
    """
    last = max(neighbours)
    order = np.argsort(cdist(x, cases.x, "sqeuclidean"), axis=1, kind="stable")[:, :last]
    at = np.asarray(neighbours) - 1
    votes = np.cumsum((cases.weight * cases.target)[order], axis=1)[:, at]
    total = np.cumsum(cases.weight[order], axis=1)[:, at]
    mean = float(cases.weight @ cases.target / cases.weight.sum())
    return (votes + mean) / (total + 1.0)


class HorizonKNN(ArraysMixin, HorizonModel):
    """Nearest neighbours on standardized columns; votes carry IPCW weights, or are pseudo-observations.

    The number of neighbours is that of the least held-out weighted log loss in inner folds.

    Parameters
    ----------
    horizon_years, weighting, min_class
        As in :class:`~amlprognosis.models.horizon.trees.HorizonForest`.
    blocks, selection, n_selected, max_features_screened, n_folds, max_missing_share, impute, n_jobs, random_state
        As in :class:`~amlprognosis.models.horizon.logistic.HorizonLogistic`.
    neighbours : sequence of int
        Numbers of neighbours to try.
    calibrate : bool
        Platt scaling of the held-out shares.

    Attributes
    ----------
    counts_, calibration_
        As in :class:`~amlprognosis.models.horizon.trees.HorizonForest`.
    n_neighbours_ : int
        Chosen number.
    patients_ : ndarray (n, p)
        Prepared features of the training patients; a frozen model holds them.
    target_, weight_ : ndarray (n,)
    """

    _standardized = True
    _arrays = ("patients_", "target_", "weight_")
    _side_file = "patients.skops"
    _frozen = (*HorizonModel._frozen, "n_neighbours_")

    def __init__(
        self,
        horizon_years: float = 5.0,
        weighting: str = "ipcw",
        blocks: Sequence[str] = BLOCKS,
        selection: str = "mrmr",
        n_selected: int = 30,
        max_features_screened: int = 30,
        neighbours: Sequence[int] = (5, 7, 10, 15, 20, 30, 40, 60),
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
        self.neighbours = neighbours
        self.calibrate = calibrate
        self.n_folds = n_folds
        self.min_class = min_class
        self.max_missing_share = max_missing_share
        self.impute = impute
        self.n_jobs = n_jobs
        self.random_state = random_state

    @property
    def _has_margin(self) -> bool:
        return False

    def _check(self) -> None:
        super()._check()
        if not len(self.neighbours) or min(self.neighbours) < 1:
            raise InputError(f"HorizonKNN: neighbours must be numbers of at least 1, got {list(self.neighbours)}")

    def _tune(self, parts: list[Part]) -> np.ndarray:
        most = min(len(part.train.target) for part in parts)
        numbers = sorted({min(int(number), most) for number in self.neighbours})
        shares = pooled(parts, [neighbour_shares(part.train, part.test.x, numbers) for part in parts])
        target, weight = pooled(parts, [np.column_stack([part.test.target, part.test.weight]) for part in parts]).T
        losses = [log_loss(logit_of(share), target, weight) for share in shares.T]
        best = int(np.argmin(losses))
        self.n_neighbours_ = numbers[best]
        return shares[:, best]

    def _learn(self, cases: Cases) -> None:
        self.patients_, self.target_, self.weight_ = cases
        self.notes_.append(
            f"the frozen model holds the prepared features and the outcome of its {len(self.target_)} training "
            "patients (nearest neighbours have no other memory): share it only as you would share patient data"
        )

    def _score(self, values: np.ndarray) -> np.ndarray:
        cases = Cases(self.patients_, self.target_, self.weight_)
        return neighbour_shares(cases, values, [int(self.n_neighbours_)])[:, 0]

    def _contributions(self, values: np.ndarray) -> Additive:
        return sampled_terms(self._risk, values, self.preprocessor_.reference, self.random_state)
