"""Names of models: one spelling each, the recipe's 101, near misses."""

from __future__ import annotations

import pytest

from amlprognosis.errors import InputError
from amlprognosis.study import Study, load_study, model_label, model_slug
from amlprognosis.study.names import (
    COMPARATORS,
    LEARNERS,
    SETS,
    canonical_name,
    horizon_model,
    is_grid,
    parse_grid_name,
    resolve_names,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("RSF", "RSF"),
        ("Enet[a=0.3]", "Enet[alpha=0.3]"),
        (" Enet[ alpha = 0.30 ] ", "Enet[alpha=0.3]"),
        ("Enet", "Enet[alpha=0.5]"),
        ("plsRcox", "PLS-Cox"),
        ("Lasso+StepCox[both]", "Lasso + StepCox[both]"),
        ("StepCox", "StepCox[both]"),
        ("StepCox[backward, bic]", "StepCox[bic, backward]"),
        ("CoxBoost[penalty=auto]", "CoxBoost[penalty=auto]"),
        ("RSF[max_features=sqrt]", "RSF[max_features=sqrt]"),
        ("RSF[n_estimators=500]", "RSF[n_estimators=500]"),
        ("Stability[threshold=0.7] + Ridge", "Stability[threshold=0.7] + Ridge"),
        ("random_forest_5.0y", "random_forest_5y"),
        ("logistic_0.5y", "logistic_0.5y"),
        ("gene_index", "gene_index"),
        ("Ridge[penalty=1e16]", "Ridge[penalty=1e+16]"),
        ("Ridge[penalty=1.0]", "Ridge[penalty=1]"),
    ],
)
def test_a_name_has_one_spelling(text: str, expected: str) -> None:
    assert canonical_name(text) == expected
    assert canonical_name(expected) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rsf", r"'rsf' is not known; did you mean RSF\?"),
        ("Lasso + StepCx", r"'StepCx' is not known; did you mean StepCox"),
        ("Ridge + Lasso", r"'Ridge' stands alone or behind a selector; known here are RSF, Enet, Lasso"),
        ("Enet[alfa=1]", r"'alfa=1' is no setting of Enet; valid are alpha"),
        ("Enet[alpha=0]", r"alpha must lie above 0 and at most 1, got 0; for alpha 0 use Ridge"),
        ("Enet[alpha=x]", r"alpha must be a number, got 'x'"),
        ("RSF[n_estimators=many]", r"n_estimators must be a number, got 'many'"),
        ("RSF[n_estimators=2.5]", r"n_estimators must be a whole number of at least 1, got 2.5"),
        ("RSF[max_features=log]", r"max_features must be a number or sqrt, got 'log'"),
        ("Lasso[n_folds=1]", r"n_folds must be a whole number of at least 2, got 1"),
        ("CoxBoost[penalty=0]", r"penalty must lie above 0 or auto, got 0"),
        ("GBM[max_depth=9]", r"max_depth must be a whole number of at least 1 and at most 8, got 9"),
        ("GBM[subsample=1.5]", r"subsample must lie above 0 and at most 1, got 1.5"),
        ("SuperPC[n_components=4]", r"at least 1 and at most 3 or cv, got 4"),
        ("survival-SVM[alpha=0]", r"alpha must lie above 0 or cv, got 0"),
        ("Stability[threshold=0.5] + Ridge", r"threshold must lie above 0.5 and at most 1, got 0.5"),
        ("StepCox[ties=exact]", r"ties must be one of efron, breslow, got 'exact'"),
        ("StepCox[bth]", r"'bth' is no setting of StepCox"),
        ("StepCox[both, forward]", r"direction is given twice"),
        ("StepCox[direction=sideways]", r"direction must be one of both, backward, forward"),
        ("Lasso + Lasso + Lasso", r"one selector \+ one learner"),
        ("svm_0y", r"'svm_0y' is not known"),
        ("Lasso + Stability", r"'Stability' is a selector: write Stability \+ Ridge"),
        ("RSF[max_features=1.5]", r"max_features must be a share of at most 1, a whole number of columns or sqrt"),
        ("Ridge[penalty=inf]", r"penalty must lie above 0, got inf"),
        ("survival-SVM[alpha=1e-100]", r"alpha must lie above 0 or cv"),
        ("CoxBoost[max_steps=2]", r"max_steps must be a whole number of at least 4, got 2"),
        ("Lasso[", r"'Lasso\[' is not known"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        canonical_name(text)


def test_the_recipe_has_101_members_with_folders_of_their_own() -> None:
    members = SETS["all101"]
    assert len(set(members)) == 101
    assert resolve_names(members) == list(members)
    assert len({model_slug(name).lower() for name in members}) == 101
    assert all(is_grid(name) and model_label(name) == name for name in members)
    # Counts of the published recipe: 20 alone, then behind each of five selectors.
    selectors = [str(parse_grid_name(name).selector) for name in members]
    assert {name: selectors.count(name) for name in set(selectors)} == {
        "None": 20, "RSF": 19, "StepCox[both]": 17, "StepCox[backward]": 17, "CoxBoost": 19, "Lasso": 9,
    }  # fmt: skip
    # A selector is never followed by itself.
    assert not [name for name in members if name.split(" + ")[0] == name.split(" + ")[-1] and " + " in name]


def test_the_ten_are_one_of_each_family() -> None:
    assert sorted(parse_grid_name(name).learner.family for name in SETS["ten"]) == sorted(LEARNERS)


def test_sets_expand_and_what_stands_twice_is_refused() -> None:
    assert resolve_names(["quick", "ten"])[: len(SETS["quick"])] == list(SETS["quick"])
    assert len(resolve_names(["all101", "ten"])) == 101
    with pytest.raises(ValueError, match="stands twice"):
        resolve_names(["RSF", "RSF"])


def test_horizons() -> None:
    assert horizon_model("knn_3y") == ("knn", 3.0)
    assert horizon_model("age") is None
    assert model_label("logistic_1y") == "Elastic-net logistic, 1 year"
    assert model_label("mlp_5y") == "Neural network, 5 years"


def minimal(models: object) -> Study:
    cohort = {
        "role": "training",
        "source": {"type": "tables", "expression": "e.tsv", "clinical": "c.tsv", "clinical_id": "id", "scale": "log2"},
        "clinical": {"os_time": {"column": "t", "unit": "days"}, "os_event": {"column": "e"}},
    }
    return load_study({"study": "s", "title": "t", "cohorts": {"A": cohort}, "models": models})


def test_the_short_form_brings_the_index_and_every_comparator() -> None:
    study = minimal("all101")
    assert len(study.models.grid_run) == 101
    assert study.nests_grid
    others = [name for name in study.models.run if name not in study.models.grid_run]
    always = ["gene_index", "clinical_gene_index", "age", "age_sex", "eln", "age_eln", "clinical", "clinical_mutations"]
    assert others[:9] == [*always, "lsc17"]
    assert others == ["gene_index", "clinical_gene_index", *COMPARATORS]
    assert minimal(["RSF", "gene_index"]).models.run[:2] == ["RSF", "gene_index"]
    with pytest.raises(InputError, match="gene_index is needed"):
        minimal({"run": "all101"})
    # One member leaves nothing to choose.
    assert not minimal(["RSF"]).nests_grid


def test_settings_of_families() -> None:
    study = minimal({"run": ["gene_index", "RSF"], "parameters": {"RSF": {"n_estimators": 50}}})
    assert study.model_parameters("RSF")["parameters"] == {"RSF": {"n_estimators": 50}}
    for bad, message in (
        ({"Rsf": {}}, r"'Rsf' is no family; did you mean RSF"),
        ({"RSF": {"trees": 5}}, r"RSF: 'trees' is no setting; valid are n_estimators"),
        ({"Enet": {"alpha": 0.1}}, r"Enet: alpha belongs to the name, as in Enet\[alpha=0\.1\]"),
        ({"StepCox": {"criterion": "cic"}}, r"StepCox: criterion must be one of aic, bic"),
    ):
        with pytest.raises(InputError, match=message):
            minimal({"run": ["gene_index", "RSF"], "parameters": bad})
    with pytest.raises(InputError, match="one fold leaves nothing to train on"):
        minimal({"run": ["gene_index", "RSF"], "grid": {"inner_folds": 1}})
