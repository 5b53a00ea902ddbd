"""A study of counts, its frozen models, and a validation cohort that the workflow scored."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from anndata import AnnData

from amlprognosis.cohort import RawCohort
from amlprognosis.evaluation.apply import apply_models
from amlprognosis.evaluation.freeze import freeze
from amlprognosis.evaluation.inputs import OUTCOME, model_factory
from amlprognosis.normalize.assemble import assemble_cohort, frozen_reference
from amlprognosis.normalize.harmonize import design_matrix, validation_features
from amlprognosis.normalize.platform import training_platform, write_platform
from amlprognosis.study import Study, load_study, model_slug

GENES = [*(f"GENE{j:02d}" for j in range(78)), "KMT2A", "SEPTIN6"]
# As an older table names the last two.
SOURCE_NAMES = [*GENES[:-2], "MLL", "SEPT6"]
MODELS = [
    "gene_index", "clinical_gene_index", "random_survival_forest", "xgboost_cox", "logistic_3y", "Lasso + Ridge", "age",
    "clinical_mutations", "eln",
]  # fmt: skip
MUTATED = ["NPM1", "TP53", "FLT3"]
ADAPTATIONS = ["none", "within_sample_ranks", "reference_quantiles", "cohort_rescaling"]


def raw_cohort(n: int, seed: int) -> RawCohort:
    """Counts of patients whose first genes, age and risk group carry hazard."""
    rng = np.random.default_rng(seed)
    level = np.random.default_rng(0).uniform(5, 10, len(GENES))
    signal = rng.normal(size=(n, len(GENES)))
    depth = rng.uniform(0.5, 2, (n, 1))
    counts = rng.poisson(depth * 2.0 ** (level + 0.7 * signal)).astype(float)
    age = rng.uniform(30, 80, n)
    hazard = signal[:, :4] @ [0.8, -0.8, 0.7, 0.6] + 0.03 * (age - 55)
    group = np.digitize(hazard + rng.normal(size=n), [-0.8, 0.8])
    names = [f"{'TV'[seed > 1]}{i:03d}" for i in range(n)]
    time = rng.exponential(1500 * np.exp(-hazard)) + 1
    clinical = pd.DataFrame(
        {
            "id": names,
            "time": np.round(np.minimum(time, 2500), 1).astype(str),
            "event": (time < 2500).astype(int).astype(str),
            "age": np.round(age, 1).astype(str),
            "sex": rng.choice(["F", "M"], n),
            "risk": np.array(["favourable", "intermediate", "adverse"])[group],
        },
        index=names,
    )
    clinical.loc[names[3], "risk"] = "NA"
    mutations = pd.DataFrame((rng.random((n, 3)) < 0.3).astype(float), index=names, columns=MUTATED)
    return RawCohort(
        expression=pd.DataFrame(counts, index=names, columns=SOURCE_NAMES),
        scale="counts",
        gene_ids="symbol",
        clinical=clinical,
        patients=pd.Series(names, index=names),
        mutations=mutations,
        tested=frozenset(names),
        provenance=[],
    )


def make_study(run: list[str], counts: str = "tmm") -> Study:
    columns = {
        "os_time": {"column": "time", "unit": "days"},
        "os_event": {"column": "event"},
        "age": {"column": "age"},
        "sex": {"column": "sex"},
        "risk": {
            "column": "risk",
            "favourable": ["favourable"],
            "intermediate": ["intermediate"],
            "adverse": ["adverse"],
        },
    }
    source = {"type": "tables", "expression": "e", "scale": "counts", "clinical": "c", "clinical_id": "id"}
    cohort = {"source": source, "clinical": columns}
    return load_study(
        {
            "study": "new_patients",
            "title": "t",
            "cohorts": {
                "T": {"role": "training", "normalization": {"counts": counts}, **cohort},
                "V": {"role": "validation", "adaptation": ADAPTATIONS, **cohort},
            },
            "features": {"mutations": MUTATED},
            "models": {
                "run": run,
                "random_survival_forest": {"n_estimators": 30},
                "xgboost_cox": {"n_estimators": 30},
                "parameters": {"Lasso": {"n_folds": 3}, "Ridge": {"n_folds": 3}},
                "grid": {"inner_folds": 2},
            },
            "evaluation": {"horizons_years": [1, 3], "main_horizon_years": 3},
        }
    )


@dataclass(frozen=True, repr=False)
class World:
    """What the workflow has and says: raw and assembled validation cohort, frozen models, predictions."""

    study: Study
    raw: RawCohort
    training: AnnData
    cohort: AnnData
    folder: Path
    features: pd.DataFrame
    predictions: pd.DataFrame
    notes: pd.DataFrame

    def model(self, name: str) -> Path:
        return self.folder / "models" / model_slug(name)

    def row(self, name: str, patient: str, adaptation: str) -> pd.Series:
        table = self.predictions
        found = table[(table["model"] == name) & (table["patient"] == patient) & (table["adaptation"] == adaptation)]
        return found.squeeze()


def make_world(folder: Path, models: list[str] = MODELS, counts: str = "tmm") -> World:
    """Freeze the models of the study below ``folder``, and score its validation cohort as the workflow does."""
    study = make_study(models, counts)
    training = assemble_cohort(study, "T", raw_cohort(150, 1))
    raw = raw_cohort(24, 2)
    cohort = assemble_cohort(study, "V", raw, reference=frozen_reference(training))
    design, _ = design_matrix(study, {"T": training, "V": cohort})
    write_platform(training_platform(design, training), folder / "platform.json.gz")
    features, outcome = design.drop(columns=OUTCOME), design[OUTCOME]
    make = model_factory(study, GENES[:40])
    for name in models:
        target = folder / "models" / model_slug(name)
        freeze(study, name, make, features, outcome, target, platform=folder / "platform.json.gz")
    own, _ = validation_features(study, "V", cohort, list(features.columns))
    own = own.drop(columns=OUTCOME)
    folders = [folder / "models" / model_slug(name) for name in models]
    predictions, notes = apply_models(study, "V", own, folders)
    return World(study, raw, training, cohort, folder, own, predictions, notes)
