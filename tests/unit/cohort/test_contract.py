from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest

from amlprognosis.cohort import check_outcome, exclusions, read_cohort, validate_cohort, write_cohort
from amlprognosis.errors import InputError


def test_a_sample_without_measurement_is_refused():
    small, rng = make(), np.random.default_rng(1)
    var = pd.DataFrame({"ensembl": ""}, index=pd.Index([f"G{i}" for i in range(12)], dtype=object))
    cohort = anndata.AnnData(X=rng.normal(size=(30, 12)).astype(np.float32), obs=small.obs, var=var)
    cohort.uns = dict(small.uns)
    validate_cohort(cohort)
    cohort.X[3] = 7
    with pytest.raises(InputError, match="the same value in every gene of P03: no measurement"):
        validate_cohort(cohort)


def make(n: int = 30, genes: int = 4) -> anndata.AnnData:
    names = pd.Index([f"P{i:02d}" for i in range(n)], dtype=object)
    obs = pd.DataFrame(
        {
            "os_time": np.arange(1.0, n + 1),
            "os_event": np.arange(n) % 2 == 0,
            "sex": pd.Categorical(["female", None, "male"] * (n // 3), categories=["female", "male"]),
        },
        index=names,
    )
    var = pd.DataFrame({"ensembl": ["ENSG1", "", "", ""][:genes]}, index=pd.Index(list("ABCD")[:genes], dtype=object))
    adata = anndata.AnnData(X=np.arange(n * genes, dtype=np.float32).reshape(n, genes), obs=obs, var=var)
    adata.X[0, 0] = np.nan
    adata.obsm["mutations"] = pd.DataFrame({"NPM1": [0.0, 1.0, np.nan] * (n // 3)}, index=names)
    adata.uns["exclusions"] = pd.DataFrame({"patient": ["X"], "reason": ["time zero"]})
    adata.uns["provenance"] = adata.uns["preprocessing"] = "[]"
    return adata


def test_round_trip_keeps_everything_and_is_byte_identical(tmp_path):
    adata = make()
    for name in ("one", "two"):
        write_cohort(adata, tmp_path / f"{name}.h5ad")
    assert (tmp_path / "one.h5ad").read_bytes() == (tmp_path / "two.h5ad").read_bytes()
    back = read_cohort(tmp_path / "one.h5ad")
    assert back.obs["os_event"].dtype == bool
    assert back.obs["sex"].isna().sum() == 10
    pd.testing.assert_frame_equal(back.obsm["mutations"], adata.obsm["mutations"], check_index_type=False)
    assert exclusions(back).to_dict("list") == {"patient": ["X"], "reason": ["time zero"]}
    np.testing.assert_array_equal(back.X, adata.X)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda a: a.obs.__setitem__("os_time", -1.0), "> 0 days"),
        (lambda a: a.obs.__setitem__("os_time", np.inf), "finite"),
        (lambda a: a.obs.__setitem__("os_event", True), "constant"),
        (lambda a: a.obs.__setitem__("os_event", 1), "must be bool"),
        (lambda a: a.obs.__delitem__("os_time"), "is missing"),
        (lambda a: setattr(a, "obs_names", ["P"] * a.n_obs), "more than once: P"),
        (lambda a: setattr(a, "var_names", ["A", "A", "C", "D"]), "gene symbols named more than once: A"),
        (lambda a: a.X.__setitem__((1, 1), np.inf), "P01/B"),
        (lambda a: setattr(a, "X", a.X.astype(float)), "float32"),
        (lambda a: a.uns.__setitem__("provenance", "nonsense"), "JSON"),
        (lambda a: a.uns.__delitem__("exclusions"), "exclusions"),
        (lambda a: a.obsm["mutations"].__setitem__("NPM1", 2.0), "0, 1 and missing"),
        (lambda a: a.obs.__setitem__("age", 20000.0), "age"),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_each_violation_is_named(spoil, words):
    adata = make()
    spoil(adata)
    with pytest.raises(InputError, match=words):
        validate_cohort(adata)


def test_too_few_events_and_a_constant_outcome_are_refused():
    adata = make()
    adata.obs["os_event"] = np.arange(30) < 9
    with pytest.raises(InputError, match="only 9 deaths"):
        check_outcome(adata)
    adata.obs["os_event"] = np.zeros(30, dtype=bool)
    with pytest.raises(InputError, match="constant"):
        check_outcome(adata)


def test_a_file_that_is_no_cohort_is_named(tmp_path):
    (tmp_path / "a.h5ad").write_text("nonsense")
    with pytest.raises(InputError, match="not a readable h5ad"):
        read_cohort(tmp_path / "a.h5ad")
    with pytest.raises(InputError, match="no such cohort file"):
        read_cohort(tmp_path / "b.h5ad")
