"""Model cards: complete, readable by hand, and true of the model beside them."""

from __future__ import annotations

import hashlib
import re
import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from card_world import evidence_of, files_below, make_cohort, study_of
from scipy.special import expit

from amlprognosis.cli import main
from amlprognosis.evaluation.cards import Evidence, write_cards
from amlprognosis.evaluation.design import make_design
from amlprognosis.evaluation.freeze import freeze
from amlprognosis.evaluation.inputs import OUTCOME, model_factory
from amlprognosis.models.persistence import load_model
from amlprognosis.normalize.platform import training_platform, write_platform
from amlprognosis.signatures.gene_sets import GeneSet
from amlprognosis.study import Study, model_slug

LINEAR = ["gene_index", "clinical_gene_index", "age", "age_eln", "Lasso", "logistic_3y"]
OTHER = ["xgboost_cox", "random_survival_forest", "RSF", "random_forest_3y", "knn_3y"]
RUN = [*LINEAR, *OTHER, "lsc17"]
SECTIONS = [
    "Intended use", "Out of scope", "Training data", "Predictors", "Outcome", "Performance in cross-validation",
    "Sample size", "Limits", "How to apply it", "Risk groups", "Weights", "Settings", "Software, seed, checksums",
    "Validation",
]  # fmt: skip


@pytest.fixture(scope="module")
def study() -> Study:
    return study_of(
        RUN,
        xgboost_cox={"n_estimators": 20},
        random_survival_forest={"n_estimators": 20},
        random_forest={"n_estimators": 20},
        parameters={"RSF": {"n_estimators": 20}},
        grid={"inner_folds": 0},
    )


@pytest.fixture(scope="module")
def frozen(study: Study, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pd.DataFrame, Evidence]:
    """Folder that holds ``results/small/models``, the training features, and what the cards are made of."""
    root = tmp_path_factory.mktemp("run")
    folder = root / "results" / "small" / "models"
    training = make_cohort(1)
    design = make_design(study, {"T": training, "V": make_cohort(2)}, {"set": GeneSet("set", "", tuple(GENES_OF_SET))})
    features, outcome = design.features.drop(columns=OUTCOME), design.features[OUTCOME]
    write_platform(training_platform(features, training), root / "platform.json.gz")
    factory = model_factory(study, design.candidates["genes"])
    for name in RUN:
        freeze(study, name, factory, features, outcome, folder / model_slug(name), platform=root / "platform.json.gz")
    evidence = evidence_of(study, training, features, board())
    write_cards(study, sorted(folder.iterdir()), evidence)
    return root, features, evidence


GENES_OF_SET = [f"GENE{number}" for number in range(30)]


def board() -> pd.DataFrame:
    """A leaderboard by hand: two models and age."""
    row = {"c_harrell": 0.7123, "c_harrell_low": 0.65, "c_harrell_high": 0.77, "auc_3y": np.nan, "brier_3y": 0.2}
    rest = {"calibration_horizon": 3.0, "calibration_slope": 0.9, "ibs_reference": 0.21, "note": ""}
    age = {**row, **rest, "model": "age", "c_harrell": 0.6}
    early = {**row, **rest, "model": "random_forest_3y", "calibration_horizon": 1.0, "calibration_slope": -0.001}
    poor = {"model": "xgboost_cox", "c_harrell": np.nan, "note": "15 fits failed: because"}
    return pd.DataFrame([{**row, **rest, "model": "gene_index"}, age, early, poor])


def card_of(frozen: tuple[Path, pd.DataFrame, Evidence], name: str) -> str:
    return (frozen[0] / "results" / "small" / "models" / model_slug(name) / "card.md").read_text(encoding="utf-8")


def section(card: str, title: str) -> str:
    return card.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]


def table(text: str) -> pd.DataFrame:
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    return pd.DataFrame(rows[2:], columns=rows[0])


@pytest.mark.parametrize("name", [*LINEAR, *OTHER])
def test_a_card_is_complete_and_of_no_machine(frozen, name: str) -> None:
    root, _, _ = frozen
    card = card_of(frozen, name)
    assert re.findall(r"^## (.+)$", card, re.MULTILINE) == SECTIONS
    assert card.startswith("# ")
    assert card.endswith("\n")
    assert "\n\n\n" not in card
    for word in ("nan", "None", "{", str(root), "2020-01-01"):
        assert word not in card.replace(section(card, "Settings"), "").replace(" {", ""), word
    training = section(card, "Training data")
    assert "Training place" in training
    assert "Journal 2020;1:1" in training
    assert "In the source: 72; left out: 2" in training
    assert "no clinical data: 1" in training
    assert "Other place" not in card
    # Digests are those of the files.
    folder = root / "results" / "small" / "models" / model_slug(name)
    listed = table(section(card, "Software, seed, checksums")).set_index("file")["SHA-256"]
    beside = {path.name for path in folder.iterdir()} - {"card.md"}
    assert set(listed.index) == beside
    for file, digest in listed.items():
        assert digest.strip("`") == hashlib.sha256((folder / file).read_bytes()).hexdigest()


@pytest.mark.parametrize("name", LINEAR)
def test_a_linear_model_can_be_applied_from_its_card_by_hand(frozen, name: str) -> None:
    root, features, _ = frozen
    model = load_model(root / "results" / "small" / "models" / model_slug(name))
    card = card_of(frozen, name)
    weights = table(section(card, "Weights"))
    total = np.zeros(len(features))
    for row in weights.itertuples():
        column = row.feature if ":" in row.feature else f"expression:{row.feature}"
        total += float(row.coefficient) * (features[column] - float(row.center)) / float(row.scale)
    how = section(card, "How to apply it")
    constant = re.search(r"(?:risk|log odds) = (\S+) \+ sum over features", how)
    total += float(constant[1]) if constant else 0.0
    risk = expit(total) if "log odds = " in how else total
    np.testing.assert_allclose(risk, model.predict(features), atol=1e-6)
    cut = float(re.search(r"risk of (\S+),", section(card, "Risk groups"))[1])
    np.testing.assert_array_equal(np.where(risk > cut + 1e-6, "high", "low"), model.predict_group(features))
    if name != "logistic_3y":
        slope = re.search(r"exp\((\S+) x risk\)", how)
        hazard = float(re.search(r"H\(3 y\) = ([\d.e-]+)", how)[1])
        survival = np.exp(-hazard * np.exp((float(slope[1]) if slope else 1.0) * risk))
        np.testing.assert_allclose(survival, model.predict_survival(features, [3 * 365.25])[:, 0], atol=1e-5)


@pytest.mark.parametrize("name", ["gene_index", "age_eln", "RSF", "knn_3y"])
def test_the_command_of_the_card_scores_patients(frozen, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    root, features, evidence = frozen
    model = load_model(root / "results" / "small" / "models" / model_slug(name))
    expression = features.filter(like="expression:").rename(columns=lambda column: column.split(":")[1]).T
    expression.to_csv(root / "expression.tsv", sep="\t")
    evidence.training.obs[["age", "risk", "wbc"]].to_csv(root / "clinical.tsv", sep="\t", index_label="patient")
    monkeypatch.chdir(root)
    command = section(card_of(frozen, name), "How to apply it").split("```")[1].strip()
    assert main(shlex.split(command)[1:]) == 0
    found = pd.read_csv(root / "predictions.tsv", sep="\t").set_index("patient")
    np.testing.assert_allclose(found["risk"].reindex(features.index), model.predict(features), atol=1e-9)


@pytest.mark.parametrize("name", OTHER)
def test_weights_of_other_models_are_mean_contributions(frozen, name: str) -> None:
    from amlprognosis.models.contributions import contributions

    root, features, _ = frozen
    model = load_model(root / "results" / "small" / "models" / model_slug(name))
    told = table(section(card_of(frozen, name), "Weights"))
    expected = contributions(model, features).table.assign(size=lambda t: t["contribution"].abs())
    expected = expected.groupby("feature")["size"].mean().rename(lambda f: f.removeprefix("expression:"))
    np.testing.assert_allclose(told["mean contribution"].astype(float), expected.reindex(told["feature"]), rtol=6e-3)
    assert told["feature"].iloc[0] == expected.idxmax()


def test_performance_is_beside_that_of_age(frozen) -> None:
    card = card_of(frozen, "gene_index")
    assert "its C-index is 0.712 (0.650 to 0.770); that of age is 0.600" in card
    told = table(section(card, "Performance in cross-validation")).set_index("")
    assert list(told.columns) == ["Gene index (lasso Cox)", "Age"]
    assert told.loc["Harrell's C"].tolist() == ["0.712 (0.650 to 0.770)", "0.600 (0.650 to 0.770)"]
    assert told.loc["Calibration slope at 3 y"].tolist() == ["0.90", "0.90"]
    assert "AUC, 3 y" not in told.index
    early = table(section(card_of(frozen, "random_forest_3y"), "Performance in cross-validation")).set_index("")
    assert early.loc["Calibration slope at 1 y"].tolist() == ["0.00", "-"]
    assert "**too small**" in section(card, "Sample size")
    assert "1234 patients" in section(card, "Sample size")
    weights = table(section(card, "Weights")).set_index("feature")["chosen in"]
    assert weights["GENE0"] == "75% of fits"
    assert list(table(section(card_of(frozen, "age"), "Performance in cross-validation")).columns) == ["", "Age"]
    assert "No figures: 15 fits failed: because." in card_of(frozen, "xgboost_cox")
    assert "Not computed" in section(card_of(frozen, "RSF"), "Sample size")


def test_units_limits_and_platform(frozen) -> None:
    card = card_of(frozen, "clinical_gene_index")
    predictors = section(card, "Predictors")
    for text in (
        "clinical:age (years)",
        "(1 adverse, 0 other, ELN 2017)",
        "(log10(1 + WBC (10^9/l)))",
        "log2 expression",
    ):
        assert text in predictors
    assert "within_sample_ranks" in section(card, "Limits")
    assert "Risk groups are those of ELN 2017" in section(card, "Limits")
    assert "reads no expression" in section(card_of(frozen, "age"), "Limits")
    assert "share it only as you would share patient data" in section(card_of(frozen, "knn_3y"), "Limits")
    assert "mean over trees" in section(card_of(frozen, "RSF"), "How to apply it")


def test_a_refused_model_has_a_card_with_the_reason(frozen) -> None:
    card = card_of(frozen, "lsc17")
    assert card.startswith("# LSC17")
    assert "**Not fitted.**" in card
    assert "0 of its 17 genes have an expression column" in card


def test_cards_are_the_same_bytes_again_and_touch_nothing_else(frozen, study: Study) -> None:
    root, features, evidence = frozen
    folder = root / "results" / "small" / "models"
    before = files_below(folder)
    shuffled = replace(evidence, features=features.sample(frac=1, random_state=1))
    write_cards(study, sorted(folder.iterdir(), reverse=True), shuffled)
    assert files_below(folder) == before
