"""Final models: fitted on all training patients and frozen."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from threadpoolctl import threadpool_limits

from amlprognosis import __version__
from amlprognosis.errors import InputError
from amlprognosis.evaluation.crossvalidate import derive_seed, structured_outcome
from amlprognosis.evaluation.inner_runs import InnerRun, run_inner_folds
from amlprognosis.models.concordance import harrell_concordance
from amlprognosis.models.learners.base import run_threads
from amlprognosis.models.workbench import Workbench
from amlprognosis.normalize.batch import Batches
from amlprognosis.normalize.platform import ADAPTATIONS, EXPRESSION, read_platform
from amlprognosis.study import Study, model_slug
from amlprognosis.study.names import is_grid, may_be_refused


def freeze(
    study: Study,
    name: str,
    make: Callable[[str, int], Any],
    features: pd.DataFrame,
    outcome: pd.DataFrame,
    directory: str | Path,
    bench: Workbench | None = None,
    platform: str | Path | None = None,
    inner: InnerRun | None = None,
) -> None:
    """Fit a model on all training patients and freeze it.

    A comparator that the training cohort cannot support (no risk label, too few LSC17 genes), a member of the grid or a
    classifier at a horizon that cannot be fitted is not an error: its ``model.json`` holds the reason under
    ``refused``.

    Parameters
    ----------
    study : Study
    name : str
        Name of the model.
    make : callable (name, seed) -> RiskModel
    features : DataFrame, shape (n, p), index = patient
    outcome : DataFrame, shape (n, 2)
        os_time (days), os_event.
    directory : path
        Receives model.json and what trees need.
    bench : Workbench, optional
        Shared by members of the grid.
    platform : path, optional
        Reference of the training platform, put beside models with expression; without it they can be applied to
        log2 values of the same platform only.
    inner : InnerRun, optional
        Calibrates the survival curves of a member of the grid.

    Raises
    ------
    InputError
        Any other model cannot be fitted.
    """
    from amlprognosis.models.persistence import save_model, software_of

    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    metadata: dict[str, Any] = {
        "model": name,
        "study": study.study,
        "training_cohort": study.training,
        "seed": study.seed,
        "software": {"amlprognosis": __version__},
        "horizons_years": sorted(float(years) for years in study.evaluation.horizons_years),
        "max_missing_share": study.features.max_missing_share,
    }
    if study.features.batch is not None:
        metadata["batches_corrected"] = study.features.batch
    shared = {} if bench is None else {"bench": bench}
    try:
        model = make(name, derive_seed(study.seed, name, 0, 0)).fit(features, structured_outcome(outcome), **shared)
    except InputError as error:
        if not may_be_refused(name):
            raise
        (directory / "model.json").write_text(
            json.dumps({"refused": str(error), "metadata": metadata}, indent=1, sort_keys=True) + "\n", encoding="utf-8"
        )
        return
    if inner is not None:
        inner.calibrate({name: model})
    time, event = outcome["os_time"].to_numpy(dtype=float), outcome["os_event"].to_numpy(dtype=bool)
    # On the patients it was fitted on: no figure of merit, but what shows how much of one is optimism.
    metadata["c_own_training"] = harrell_concordance(time, event, model.predict(features)).index
    if bench is not None:
        metadata["selector_seed"] = bench.seed
    genes = sum(column.startswith(EXPRESSION) for column in model.features_in_)
    beside = platform if genes else None
    metadata |= {
        "software": software_of(model),
        "adaptation": "none",
        "adaptations": list(ADAPTATIONS) if beside is not None else ["none"],
        "training_expression": read_platform(beside).kind if beside is not None else None,
    }
    save_model(model, directory, metadata, beside)


def freeze_all(
    study: Study,
    names: Sequence[str],
    make: Callable[[str, int], Any],
    features: pd.DataFrame,
    outcome: pd.DataFrame,
    directory: str | Path,
    n_jobs: int = 1,
    platform: str | Path | None = None,
    batches: Batches | None = None,
) -> None:
    """Freeze the models of a group below ``directory``, a folder each; members of the grid share a workbench.

    Parameters
    ----------
    names : sequence of str
        Models of one group.
    n_jobs : int
        Threads over members of the grid; they do not change the result.
    study, make, features, outcome, platform
        As for :func:`freeze`.
    batches : Batches, optional
        The models are fitted on the training matrix corrected for them, on all patients; inner folds correct anew.
    """
    bench, inner, raw = None, None, features
    if batches is not None:
        (features,) = batches.corrected(features)
    if is_grid(names[0]):
        seed = derive_seed(study.seed, "grid", 0, 0)
        bench = make(names[0], seed).workbench(features, structured_outcome(outcome), seed)

    def one(name: str) -> None:
        freeze(study, name, make, features, outcome, Path(directory) / model_slug(name), bench, platform, inner)

    with threadpool_limits(limits=1):
        if bench is not None and study.models.grid.inner_folds:
            inner = run_inner_folds(
                raw, structured_outcome(outcome), names, make, (study.seed, 0, 0), study.models.grid.inner_folds,
                lambda function, items: run_threads(function, items, n_jobs), batches=batches,
            )  # fmt: skip
        run_threads(one, names, n_jobs if bench is not None else 1)
