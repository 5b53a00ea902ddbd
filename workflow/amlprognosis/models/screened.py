"""Base of the tree learners: blocks of columns, filtered and screened inside the training part."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from amlprognosis.errors import InputError
from amlprognosis.models.base import RiskModel, fit_columns
from amlprognosis.models.contributions import Additive
from amlprognosis.models.cox_kernels import univariate_cox
from amlprognosis.models.preprocess import Preprocessor
from amlprognosis.models.tree_shap import forest_shapley
from amlprognosis.models.trees import FlatForest

BLOCKS = ("expression", "clinical", "mutation")


class ScreenedModel(RiskModel):
    """A learner on the most promising columns of some blocks (smallest univariate Cox p in the training part)."""

    blocks: Sequence[str]
    max_features_screened: int
    max_missing_share: float
    impute: str
    n_jobs: int

    def _screened(self, x: pd.DataFrame, time: np.ndarray, event: np.ndarray) -> np.ndarray:
        """Set ``preprocessor_`` and ``screen_z_`` for the columns kept, and return their matrix (n, p)."""
        if not self.blocks:
            raise InputError(f"{type(self).__name__}: blocks is empty; name some of {', '.join(BLOCKS)}")
        prepared = Preprocessor([f"{b}:*" for b in self.blocks], self.impute, self.max_missing_share, False)
        values = fit_columns(prepared, x, type(self).__name__)
        names = np.array(prepared.features_)
        screen = univariate_cox(values, time, event, "efron", self.n_jobs)
        kept = np.sort(np.lexsort((names, screen.p_screen))[: self.max_features_screened])
        self.screen_z_ = np.nan_to_num(screen.z[kept])
        self.n_candidates_ = int(names.size)
        self.preprocessor_ = prepared.subset(names[kept].tolist())
        return np.ascontiguousarray(values[:, kept])

    def _weights(self) -> tuple[list[str], np.ndarray]:
        weights = self.importances_
        order = np.lexsort((np.array(self.features_in_), -np.abs(weights)))
        order = order[weights[order] != 0]
        return [self.features_in_[j] for j in order], weights[order]


class ForestMixin:
    """Contributions to a forest's mean, and its freezing as plain arrays in a .skops file."""

    forest_: FlatForest

    def _additive(self, values: np.ndarray) -> Additive:
        return Additive(*forest_shapley(self.forest_, values), "tree_shap")

    def _write_side(self, directory: Path) -> list[str]:
        from amlprognosis.models.sidefiles import write_arrays

        write_arrays(self.forest_.arrays(), directory / "forest.skops")
        return ["forest.skops"]

    def _read_side(self, directory: Path) -> None:
        from amlprognosis.models.sidefiles import read_arrays

        path = directory / "forest.skops"
        arrays = read_arrays(path)
        if set(arrays) != set(FlatForest.NAMES):
            raise InputError(f"{path}: holds {sorted(arrays)}, not a forest; restore the file or fit the model anew")
        self.forest_ = FlatForest(**arrays)
