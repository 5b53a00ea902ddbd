import json

import numpy as np
import pytest

from amlprognosis.errors import InputError
from amlprognosis.models.base import align_features
from amlprognosis.models.cox_kernels import harrell_concordance
from amlprognosis.models.persistence import CLASSES, _checksum, _class, load_model, save_model
from amlprognosis.models.registry import MODEL_NAMES, make_model, parameter_names
from amlprognosis.study import load_study
from amlprognosis.study.names import FIXED_LABELS, HORIZON_LABELS

YEAR = 365.25
FAST = {
    "random_survival_forest": {"n_estimators": 40},
    "random_forest_5y": {"n_estimators": 40},
    "xgboost_cox": {"n_estimators": 40},
    "xgboost_5y": {"n_estimators": 40},
    "RSF": {"parameters": {"RSF": {"n_estimators": 40}}},
    "CoxBoost + GBM": {"parameters": {"GBM": {"max_trees": 60, "n_folds": 3}, "CoxBoost": {"n_folds": 3}}},
    "Lasso + Ridge": {"parameters": {"Lasso": {"n_folds": 3}, "Ridge": {"n_folds": 3}}},
    "lsc17": {"weights": {"G0": 1.0, "G1": 0.8, "G2": -0.5}},
}
NAMES = [*MODEL_NAMES, "RSF", "CoxBoost + GBM", "Lasso + Ridge"]


def made(name, seed=3, **more):
    return make_model(name, {**FAST.get(name, {}), **more}, seed)


@pytest.fixture(scope="module")
def fitted(train):
    return {name: made(name).fit(*train) for name in NAMES}


def test_the_registry_holds_every_kind_of_model():
    assert sorted(MODEL_NAMES) == sorted([*FIXED_LABELS, "lsc17", *(f"{kind}_5y" for kind in HORIZON_LABELS)])


@pytest.mark.parametrize("name", NAMES)
def test_contract(name, fitted, test):
    model, (x, y) = fitted[name], test
    risk = model.predict(x)
    assert risk.shape == (len(x),)
    # The direction: higher risk dies earlier, on patients never seen.
    if name not in ("age_sex",):
        assert harrell_concordance(y["time"], y["event"], risk).index > 0.55
    survival = model.predict_survival(x, np.array([1, 3, 5]) * YEAR)
    assert survival.shape == (len(x), 3)
    if name.endswith("_5y"):
        assert np.isnan(survival[:, :2]).all()
        np.testing.assert_allclose(survival[:, 2], 1 - risk)
        with pytest.raises(InputError, match="at 5 years only"):
            model.predict_survival_function(x)
    else:
        assert (np.diff(survival, axis=1) <= 0).all()
        assert ((survival >= 0) & (survival <= 1)).all()
        curve = model.predict_survival_function(x)[0]
        assert curve(3 * YEAR) == pytest.approx(survival[0, 1])
    if name not in ("random_survival_forest", "RSF"):
        assert np.corrcoef(risk, survival[:, 2])[0, 1] <= 0
    assert set(model.predict_group(x)) <= {"high", "low"}
    weights = model.selected_features()
    assert list(weights.columns) == ["feature", "weight"]
    assert set(weights["feature"]) <= set(model.features_in_)
    np.testing.assert_array_equal(model.predict(x[model.features_in_]), risk)


@pytest.mark.parametrize("name", NAMES)
def test_row_order_and_other_columns_do_not_matter(name, fitted, train, test):
    x, y = train
    order = np.random.default_rng(0).permutation(len(x))
    again = made(name).fit(x.iloc[order].assign(**{"other:noise": 1.0}), y[order])
    np.testing.assert_array_equal(again.predict(test[0]), fitted[name].predict(test[0]))


@pytest.mark.parametrize("name", ["gene_index", "clinical", "clinical_mutations"])
def test_affine_rescaling_of_columns_does_not_matter(name, fitted, train, test):
    def rescaled(x):
        names = [c for c in x.columns if c.startswith("expression:") or c == "clinical:age"]
        return x.assign(**{c: x[c] * 7 + 100 for c in names})

    model = made(name).fit(rescaled(train[0]), train[1])
    np.testing.assert_allclose(model.predict(rescaled(test[0])), fitted[name].predict(test[0]), atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_frozen_predicts_as_live_and_threads_do_not_matter(name, fitted, train, test, tmp_path):
    model = fitted[name]
    save_model(model, tmp_path / "a", {"study": "test"})
    threads = {"n_jobs": 2} if "n_jobs" in parameter_names(name) else {}
    save_model(made(name, **threads).fit(*train), tmp_path / "b", {"study": "test"})
    for path in sorted((tmp_path / "a").iterdir()):
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
    frozen = load_model(tmp_path / "a")
    x = test[0].copy()
    x.iloc[::3, ::5] = np.nan
    np.testing.assert_array_equal(frozen.predict(x), model.predict(x))
    times = [100.0, 5 * YEAR]
    np.testing.assert_array_equal(frozen.predict_survival(x, times), model.predict_survival(x, times))
    np.testing.assert_array_equal(frozen.predict_group(x), model.predict_group(x))
    assert frozen.selected_features().equals(model.selected_features())
    assert frozen.metadata_ == {"study": "test"}
    # One patient at a time is as good as the cohort.
    np.testing.assert_allclose(frozen.predict(x.iloc[[5]]), model.predict(x)[[5]], rtol=1e-12)


def test_damaged_folders(fitted, tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        load_model(tmp_path)
    path = save_model(fitted["age"], tmp_path / "age")
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "format_version": 99}))
    with pytest.raises(InputError, match="format version 99"):
        load_model(tmp_path / "age")
    path.write_text(json.dumps({**content, "format_version": 1}))
    with pytest.raises(InputError, match="format version 1, this release reads 2; run the study again"):
        load_model(tmp_path / "age")
    path.write_text(json.dumps({**content, "class": "Evil"}))
    with pytest.raises(InputError, match="'Evil' is not known"):
        load_model(tmp_path / "age")
    path.write_text(json.dumps({**content, "cutpoint": content["cutpoint"] + 1e-12}))
    with pytest.raises(InputError, match="checksum differs: the file was changed"):
        load_model(tmp_path / "age")
    path.write_text(json.dumps({"refused": "too few deaths", "metadata": {}}))
    with pytest.raises(InputError, match="not fitted: too few deaths"):
        load_model(tmp_path / "age")
    content = {k: v for k, v in content.items() if k != "learned"}
    path.write_text(json.dumps({**content, "checksum": _checksum(content)}))
    with pytest.raises(InputError, match="damaged"):
        load_model(tmp_path / "age")
    path.write_text("{")
    with pytest.raises(InputError, match="damaged"):
        load_model(tmp_path / "age")
    for name, side in (("random_forest_5y", "forest.skops"), ("xgboost_cox", "booster.ubj")):
        save_model(fitted[name], tmp_path / name)
        (tmp_path / name / side).write_bytes(b"other")
        with pytest.raises(InputError, match="checksum differs"):
            load_model(tmp_path / name)
        (tmp_path / name / side).unlink()
        with pytest.raises(InputError, match="missing"):
            load_model(tmp_path / name)
    with pytest.raises(InputError, match="not fitted"):
        save_model(make_model("age"), tmp_path / "x")
    with pytest.raises(InputError, match="JSON"):
        save_model(fitted["age"], tmp_path / "x", {"odd": float("nan")})


def test_every_class_that_can_be_frozen_is_found(fitted):
    assert {type(model).__name__ for model in fitted.values()} <= set(CLASSES)
    assert [_class(kind).__name__ for kind in CLASSES] == list(CLASSES)
    assert _class("Evil") is None


def test_foreign_skops_file_is_refused(tmp_path):
    import skops.io
    from sklearn.linear_model import LogisticRegression

    from amlprognosis.models.sidefiles import read_arrays

    skops.io.dump({"x": [LogisticRegression, np.polyfit]}, tmp_path / "evil.skops")
    with pytest.raises(InputError, match=r"not trusted|other than named arrays"):
        read_arrays(tmp_path / "evil.skops")


def test_missing_columns(fitted, test):
    model = fitted["gene_index"]
    x = test[0].drop(columns=model.features_in_[0])
    with pytest.raises(InputError, match="1 are absent"):
        model.predict(x)
    aligned, missing = align_features(model, x)
    assert missing == [model.features_in_[0]]
    filled = test[0].assign(**{missing[0]: model.preprocessor_.fill_[0]})
    np.testing.assert_allclose(model.predict(aligned), model.predict(filled))
    with pytest.raises(InputError, match="columns it needs are absent"):
        align_features(model, x[["clinical:age"]])


def test_registry_refuses_unknown_names():
    with pytest.raises(InputError, match="did you mean gene_index"):
        make_model("gene_indx")
    with pytest.raises(InputError, match=r"unknown parameter trees; valid are .*n_estimators"):
        make_model("random_survival_forest", {"trees": 5})
    assert make_model("gene_index", {"screen_p": 0.1}, 7).get_params()["random_state"] == 7


@pytest.mark.parametrize("name", NAMES)
def test_clone(name):
    from sklearn.base import clone

    model = made(name)
    assert clone(model).get_params() == model.get_params()


def test_index_table_applies_by_hand(fitted, test):
    model = fitted["gene_index"]
    table = model.index_table()
    x = test[0][[f"expression:{gene}" for gene in table["gene"]]].to_numpy()
    by_hand = ((x - table["center"].to_numpy()) / table["scale"].to_numpy()) @ table["coefficient"].to_numpy()
    np.testing.assert_allclose(by_hand, model.predict(test[0]), atol=1e-10)


def test_gene_index_notes_and_candidates(train):
    x, y = train
    genes = [f"G{j}" for j in range(20, 60)]
    model = make_model("gene_index", {"genes": [*genes, "NOT_THERE"], "screen_p": 1e-9}, 1).fit(x, y)
    assert any("took the best" in note for note in model.notes_)
    assert {"step": "select", "item": "expression:NOT_THERE", "reason": "no such column"} in model.dropped_
    assert len(model.coef_) >= 1
    assert set(model.features_in_) <= {f"expression:{gene}" for gene in genes}
    rule = make_model("gene_index", {"lambda_rule": "1se"}, 1).fit(x, y)
    assert len(rule.coef_) <= len(make_model("gene_index", {}, 1).fit(x, y).coef_)
    with pytest.raises(InputError, match="none of the 1 candidate genes"):
        make_model("gene_index", {"genes": ["NOT_THERE"]}).fit(x, y)
    with pytest.raises(InputError, match="lambda_rule"):
        make_model("gene_index", {"lambda_rule": "best"}).fit(x, y)


def test_signature_keeps_its_published_sign(train):
    x, y = train
    weights = {"G0": 1.0, "G1": 0.8, "G2": -0.5}
    forward = make_model("lsc17", {"weights": weights}).fit(x, y)
    backward = make_model("lsc17", {"weights": {g: -w for g, w in weights.items()}}).fit(x, y)
    np.testing.assert_allclose(backward.predict(x), -forward.predict(x))
    assert forward.lp_slope_ > 0
    assert backward.lp_slope_ == 0
    assert any("against its published direction" in note for note in backward.notes_)
    with pytest.raises(InputError, match="1 of its 3 genes"):
        make_model("lsc17", {"weights": {"G0": 1, "X": 1, "Y": 1}}).fit(x, y)


def test_frozen_signature_does_not_say_where_its_table_lay(train, tmp_path):
    table = tmp_path / "weights.tsv"
    table.write_text("gene\tweight\nG0\t1\nG1\t0.5\n")
    model = make_model("lsc17", {"path": str(table)}).fit(*train)
    path = save_model(model, tmp_path / "frozen")
    assert str(tmp_path) not in path.read_text()
    np.testing.assert_array_equal(load_model(tmp_path / "frozen").predict(train[0]), model.predict(train[0]))


def test_collinear_and_absent_columns(train):
    x, y = train
    twice = x.assign(**{"clinical:copy": x["clinical:age"] * 2 + 1})
    model = make_model("clinical").fit(twice, y)
    assert any("collinear" in note for note in model.notes_)
    assert np.isfinite(model.predict(twice)).all()
    with pytest.raises(InputError, match=r"no column clinical:risk_\*"):
        make_model("eln").fit(x.drop(columns=["clinical:risk_intermediate", "clinical:risk_adverse"]), y)


def test_horizon_needs_both_classes(train):
    x, y = train
    with pytest.raises(InputError, match=r"controls with known status at 30 years"):
        made("random_forest_5y", horizon_years=30).fit(x, y)
    model = made("random_forest_5y").fit(x, y)
    assert sum(model.counts_.values()) == len(x)


def test_permutation_importance_finds_the_killers(train):
    model = made("random_survival_forest", importance="permutation", max_features_screened=8).fit(*train)
    assert model.selected_features()["feature"][0] in {
        "expression:G0",
        "expression:G1",
        "clinical:age",
        "expression:G2",
    }


@pytest.mark.parametrize("name", [*NAMES, "logistic_1y"])
def test_settings_of_the_study_are_parameters_of_the_model(name: str) -> None:
    cohort = {
        "role": "training",
        "source": {"type": "tables", "expression": "e", "clinical": "c", "clinical_id": "id", "scale": "log2"},
        "clinical": {"os_time": {"column": "t", "unit": "days"}, "os_event": {"column": "e"}},
    }
    settings = load_study({"study": "s", "title": "t", "cohorts": {"A": cohort}}).model_parameters(name)
    assert set(settings) <= set(parameter_names(name))
    model = make_model(name, settings, seed=1)
    assert {key: model.get_params()[key] for key in settings} == settings
