"""Neural network with one hidden layer for death by a horizon."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from amlprognosis.errors import InputError
from amlprognosis.models.contributions import Additive, sampled_terms
from amlprognosis.models.horizon.base import ArraysMixin, Cases, HorizonModel, Part, pooled
from amlprognosis.models.horizon.calibration import log_loss
from amlprognosis.models.horizon.networks import Networks, draw_networks, train
from amlprognosis.models.learners.base import run_threads
from amlprognosis.models.screened import BLOCKS


class HorizonMLP(ArraysMixin, HorizonModel):
    """Mean log odds of several small neural networks.

    Weight decay and the number of epochs (early stopping) are those of the least held-out weighted log loss in inner
    folds. With pseudo-observations the loss is the quasi-binomial one.

    Parameters
    ----------
    horizon_years, weighting, min_class
        As in :class:`~amlprognosis.models.horizon.trees.HorizonForest`.
    blocks, selection, n_selected, max_features_screened, n_folds, max_missing_share, impute, n_jobs, random_state
        As in :class:`~amlprognosis.models.horizon.logistic.HorizonLogistic`.
    hidden : int
        Hidden units.
    n_networks : int
        Networks, which differ in their first weights.
    decays : sequence of float
        Weight decays to try.
    max_epochs : int
        Steps at most.
    learning_rate : float
        Of Adam.
    calibrate : bool
        Platt scaling of the held-out log odds.

    Attributes
    ----------
    counts_, calibration_
        As in :class:`~amlprognosis.models.horizon.trees.HorizonForest`.
    decay_ : float
    epochs_ : int
        Chosen.
    w1_, b1_, w2_, b2_ : ndarray
        Trained weights, see :class:`~amlprognosis.models.horizon.networks.Networks`.
    """

    _standardized = True
    _arrays = ("w1_", "b1_", "w2_", "b2_")
    _side_file = "networks.skops"
    _frozen = (*HorizonModel._frozen, "decay_", "epochs_")

    def __init__(
        self,
        horizon_years: float = 5.0,
        weighting: str = "ipcw",
        blocks: Sequence[str] = BLOCKS,
        selection: str = "mrmr",
        n_selected: int = 30,
        max_features_screened: int = 30,
        hidden: int = 8,
        n_networks: int = 10,
        decays: Sequence[float] = (0.1, 0.3),
        max_epochs: int = 150,
        learning_rate: float = 0.01,
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
        self.hidden = hidden
        self.n_networks = n_networks
        self.decays = decays
        self.max_epochs = max_epochs
        self.learning_rate = learning_rate
        self.calibrate = calibrate
        self.n_folds = n_folds
        self.min_class = min_class
        self.max_missing_share = max_missing_share
        self.impute = impute
        self.n_jobs = n_jobs
        self.random_state = random_state

    def _check(self) -> None:
        super()._check()
        if min(self.hidden, self.n_networks, self.max_epochs) < 1 or self.learning_rate <= 0:
            raise InputError("HorizonMLP: hidden, n_networks, max_epochs and learning_rate must be above 0")
        if not len(self.decays) or min(self.decays) < 0:
            raise InputError(f"HorizonMLP: decays must be numbers of at least 0, got {list(self.decays)}")
        if self.weighting == "pseudo" and min(self.decays) == 0:
            raise InputError("HorizonMLP: pseudo-observations need a weight decay above 0, their loss has no minimum")

    def _drawn(self, cases: Cases) -> Networks:
        mean = float(np.clip(cases.weight @ cases.target / cases.weight.sum(), 0.01, 0.99))
        seeds = [(self.random_state, number) for number in range(self.n_networks)]
        return draw_networks(cases.x.shape[1], self.hidden, mean, seeds)

    def _tune(self, parts: list[Part]) -> np.ndarray:
        def held_out(part: Part) -> np.ndarray:
            return np.hstack(
                [
                    train(self._drawn(part.train), *part.train, decay, self.learning_rate, self.max_epochs, part.test.x)
                    for decay in self.decays
                ]
            )

        margins = pooled(parts, run_threads(held_out, parts, self.n_jobs))
        target, weight = pooled(parts, [np.column_stack([part.test.target, part.test.weight]) for part in parts]).T
        best = int(np.argmin([log_loss(margin, target, weight) for margin in margins.T]))
        self.decay_, self.epochs_ = float(self.decays[best // self.max_epochs]), best % self.max_epochs + 1
        return margins[:, best]

    def _learn(self, cases: Cases) -> None:
        networks = self._drawn(cases)
        train(networks, *cases, self.decay_, self.learning_rate, self.epochs_)
        self.w1_, self.b1_, self.w2_, self.b2_ = networks.w1, networks.b1, networks.w2, networks.b2

    def _score(self, values: np.ndarray) -> np.ndarray:
        return Networks(self.w1_, self.b1_, self.w2_, self.b2_).margins(values).mean(axis=1)

    def _additive(self, values: np.ndarray) -> Additive:
        return sampled_terms(self._score, values, self.preprocessor_.reference, self.random_state)
