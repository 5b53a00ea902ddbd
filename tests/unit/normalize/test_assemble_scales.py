"""Cohorts of every scale: steps, quality record, and how counts, TPM and arrays meet."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from amlprognosis.cohort import RawCohort, preprocessing, read_cohort, write_cohort
from amlprognosis.errors import InputError
from amlprognosis.normalize.arrays import quantile_normalize
from amlprognosis.normalize.assemble import assemble_cohort, frozen_reference
from amlprognosis.normalize.platform import training_platform
from amlprognosis.normalize.record import quality_record
from amlprognosis.study import load_study

N, GENES = 24, 120


def study(training: str = "counts", validation: str = "counts", **rules):
    def cohort(role, scale):
        return {
            "role": role,
            "source": {"type": "tables", "expression": "e", "scale": scale, "clinical": "c", "clinical_id": "id"},
            "clinical": {"os_time": {"column": "time", "unit": "days"}, "os_event": {"column": "event"}},
            "normalization": rules if role == "training" else {},
        }

    cohorts = {"T": cohort("training", training), "V": cohort("validation", validation)}
    return load_study({"study": "t", "title": "t", "cohorts": cohorts})


def raw(values: np.ndarray, scale: str, names=None, **options) -> RawCohort:
    patients = [f"P{i:02d}" for i in range(len(values))]
    clinical = pd.DataFrame({"time": [str(i + 1) for i in range(len(values))]}, index=patients)
    clinical["event"] = ["1", "0"] * (len(values) // 2)
    names = [f"GENE{j}" for j in range(values.shape[1])] if names is None else names
    expression = pd.DataFrame(values, index=patients, columns=names)
    return RawCohort(
        expression, scale, options.pop("gene_ids", "symbol"), clinical, pd.Series(patients, patients), **options
    )


def counts(seed: int, n: int = N) -> np.ndarray:
    rng = np.random.default_rng(seed)
    level = np.exp(np.random.default_rng(0).normal(5, 1.5, GENES))
    size = 1 / (0.1 + 2 / level)
    return rng.poisson(level * rng.gamma(size, 1 / size, (n, GENES)) * rng.uniform(0.5, 2, (n, 1))).astype(float)


def steps_of(adata) -> dict[str, str]:
    return preprocessing(adata).set_index("step")["detail"].to_dict()


@pytest.mark.parametrize("method", ["tmm", "upper_quartile", "vst"])
def test_counts_by_the_method_of_training(tmp_path, method):
    s = study(counts=method)
    training = assemble_cohort(s, "T", raw(counts(1), "counts"))
    write_cohort(training, tmp_path / "T.h5ad")
    reference = frozen_reference(read_cohort(tmp_path / "T.h5ad"))
    assert reference.method == method
    others = raw(counts(2), "counts")
    whole = assemble_cohort(s, "V", others, reference=reference)
    others.expression = others.expression.iloc[[5, 2]]
    two = assemble_cohort(s, "V", others, reference=reference)
    np.testing.assert_array_equal(two.X, whole[two.obs_names].X)
    record = quality_record(whole)
    assert record["counts"]["method"] == method
    assert record["counts"]["reference"] == "training"
    np.testing.assert_allclose(record["counts"]["library_size"], counts(2).sum(axis=1))
    np.testing.assert_array_equal(record["counts"]["detected_genes"], (counts(2) > 0).sum(axis=1))
    np.testing.assert_allclose(
        record["after"]["values"][0], np.quantile(whole.X[0], [0, 0.25, 0.5, 0.75, 1]), rtol=1e-5
    )
    logged = np.log2(counts(2)[0] + 1)
    np.testing.assert_allclose(record["before"]["values"][0], np.quantile(logged, [0, 0.25, 0.5, 0.75, 1]), rtol=1e-5)
    assert record["before"]["what"] == "log2(count + 1), 120 genes"
    assert record["patients"] == list(whole.obs_names)
    own = quality_record(training)
    assert own["counts"]["reference"] == "own"
    # Both figures of a cohort are of the same genes.
    assert own["before"]["n"] == own["after"]["n"] == training.n_vars


def test_a_cohort_of_counts_of_an_older_release():
    training = assemble_cohort(study(), "T", raw(counts(1), "counts"))
    del training.uns["counts_reference"]
    with pytest.raises(InputError, match="an older release made it; delete its file and run again"):
        frozen_reference(training)
    del training.uns["quality"]
    assert quality_record(training) == {}


def test_estimated_counts(tmp_path):
    adata = assemble_cohort(study(), "T", raw(counts(1) + 0.5, "counts"))
    assert "no whole numbers" in steps_of(adata)["estimated counts"]
    assert quality_record(adata)["scale"]["processing"] == "estimated counts"


def test_tpm_beside_counts():
    values = counts(1) / np.arange(1, GENES + 1)
    tpm = values / values.sum(axis=1, keepdims=True) * 1e6
    s = study("counts", "tpm")
    cohort = assemble_cohort(s, "V", raw(tpm, "tpm"))
    np.testing.assert_allclose(cohort[:, "GENE7"].X[:, 0], np.log2(tpm[:, 7] + 1), rtol=1e-6)
    assert steps_of(cohort)["scale"] == "tpm (as the study says): sums of the samples 1 to 1 million: TPM"
    record = quality_record(cohort)
    assert (record["scale"]["verdict"], record["scale"]["processing"], record["counts"]) == ("tpm", "TPM", None)
    assert frozen_reference(cohort) is None
    # TPM in training: the filter, and the platform says so to whoever predicts.
    training = assemble_cohort(study("tpm", "counts"), "T", raw(np.c_[tpm, tpm[:, :1] * 0], "tpm"))
    assert training.n_vars == GENES
    features = pd.DataFrame(training.X, columns=[f"expression:{gene}" for gene in training.var_names])
    assert training_platform(features, training).kind == "tpm"


def test_values_that_are_no_tpm():
    with pytest.raises(InputError, match=r"cohorts.T: the cohort: negative value: sample P00, gene GENE0"):
        assemble_cohort(study("tpm"), "T", raw(counts(1) - 1e5, "tpm"))


def array(seed=1):
    rng = np.random.default_rng(seed)
    return rng.gamma(4, 1.2, GENES) + 4 + rng.normal(0, 0.7, (N, GENES)) + rng.normal(0, 0.4, (N, 1))


def probes(values: np.ndarray, rule: str = "max_mean", **options):
    names = [f"{j}_{'sx'[j % 2] + '_' if j % 3 else ''}at" for j in range(GENES)]
    table = pd.Series([f"GENE{j // 3}" for j in range(GENES)], index=names)
    cohort = raw(values, options.pop("scale", "auto"), names, gene_ids="probe", gene_map=table, array=True)
    return assemble_cohort(study("log2", probe_rule=rule), "T", cohort)


def test_quantiles_are_not_normalised_twice():
    once = probes(array())
    assert steps_of(once)["quantile normalisation"].startswith("mean quantiles of 24 samples")
    normal = quantile_normalize(pd.DataFrame(array()))[0].to_numpy().round(3)
    twice = probes(normal)
    assert "every sample has the same quantiles" in steps_of(twice)["quantile normalisation"]
    np.testing.assert_allclose(twice.X, once.X, atol=1e-3)
    record = quality_record(twice)
    assert record["scale"]["processing"] == "quantile-normalised"
    assert record["counts"] is None
    assert record["before"]["what"] == "log2 values, 120 probes"
    assert set(record["scale"]["quantiles"]) == {"min", "q1", "median", "q3", "q99", "max"}


def test_log_ratios_are_left_as_they_are():
    values = array() - array().mean() + np.linspace(-0.2, 0.2, GENES)
    adata = probes(values, scale="log2_ratio")
    assert "medians of the samples" in steps_of(adata)["quantile normalisation"]
    assert np.isin(adata.X, values.astype(np.float32)).all()


def test_the_best_annotated_probe_is_that_of_every_cohort():
    for seed in (1, 2):
        values = array(seed)
        adata = probes(quantile_normalize(pd.DataFrame(values))[0].to_numpy(), "best_annotated")
        normal = quantile_normalize(pd.DataFrame(values))[0].to_numpy(dtype=np.float32)
        np.testing.assert_array_equal(adata[:, "GENE4"].X[:, 0], normal[:, 12])


def test_missing_values_are_in_the_record():
    values = array()
    values[3, :30] = np.nan
    record = quality_record(probes(values))
    assert record["missing_share"][3] == 0.25
    assert json.dumps(record, allow_nan=False)
