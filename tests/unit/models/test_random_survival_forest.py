import numpy as np
import pytest
from sksurv.ensemble import RandomSurvivalForest

from amlprognosis.errors import InputError
from amlprognosis.models.concordance import harrell_concordance
from amlprognosis.models.persistence import load_model, save_model
from amlprognosis.models.registry import make_model

YEAR = 365.25


@pytest.fixture(scope="module")
def model(train):
    return make_model("random_survival_forest", {"n_estimators": 300}, 3).fit(*train)


def test_as_scikit_survival(model, train, test):
    (x, y), (held, outcome) = train, test
    values, held_values = model.preprocessor_.transform(x), model.preprocessor_.transform(held)
    forest = RandomSurvivalForest(300, min_samples_leaf=10, min_samples_split=20, random_state=3).fit(values, y)
    risk, reference = model.predict(held), forest.predict(held_values)
    assert np.corrcoef(risk, reference)[0, 1] > 0.97
    assert risk.mean() == pytest.approx(reference.mean(), rel=0.02)
    ours, theirs = (harrell_concordance(outcome["time"], outcome["event"], r).index for r in (risk, reference))
    assert ours == pytest.approx(theirs, abs=0.02)
    at = np.searchsorted(forest.unique_times_, [YEAR, 3 * YEAR], side="right") - 1
    curves = forest.predict_survival_function(held_values, return_array=True)[:, at]
    survival = model.predict_survival(held, [YEAR, 3 * YEAR])
    np.testing.assert_allclose(survival.mean(axis=0), curves.mean(axis=0), atol=0.01)
    assert np.corrcoef(survival[:, 1], curves[:, 1])[0, 1] > 0.95


def test_curves_are_exact_at_any_time_and_small_when_frozen(model, test, tmp_path):
    times = model.forest_.times
    survival = model.predict_survival(test[0], times)
    assert (np.diff(survival, axis=1) < 0).any(axis=0).all()
    np.testing.assert_array_equal(model.baseline_times_, times)
    save_model(model, tmp_path / "frozen")
    assert (tmp_path / "frozen" / "forest.skops").stat().st_size < 400_000
    frozen = load_model(tmp_path / "frozen")
    np.testing.assert_array_equal(frozen.predict_survival(test[0], times), survival)
    assert frozen.oob_score_ == model.oob_score_


def test_unknown_importance(train):
    with pytest.raises(InputError, match="importance: 'gini' is not known"):
        make_model("random_survival_forest", {"importance": "gini"}).fit(*train)
