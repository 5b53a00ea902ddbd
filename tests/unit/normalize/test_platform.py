from __future__ import annotations

import gzip
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm, rankdata

from amlprognosis.errors import InputError
from amlprognosis.normalize.platform import (
    ADAPTATIONS,
    adapt,
    learn_platform,
    read_platform,
    write_platform,
)
from amlprognosis.normalize.tmm import TmmReference
from amlprognosis.normalize.upper_quartile import UpperQuartileReference
from amlprognosis.normalize.vst import VstReference

SINGLE_SAMPLE = ("none", "within_sample_ranks", "reference_quantiles")
GENES = 200


def cohort(n: int, seed: int, genes: int = GENES) -> pd.DataFrame:
    """Genes of different mean and spread; the means are those of every cohort."""
    mean = np.random.default_rng(0).normal(7, 2.5, genes)
    rng = np.random.default_rng(seed)
    values = mean + rng.normal(size=(n, genes)) * np.linspace(0.2, 0.8, genes)
    columns = [f"expression:G{j:03d}" for j in range(genes)]
    frame = pd.DataFrame(values, columns=columns, index=[f"P{i}" for i in range(n)])
    return frame.assign(**{"clinical:age": rng.normal(60, 10, n)})


TRAINING = cohort(60, 1)
REFERENCE = learn_platform(TRAINING)
PROFILE = pd.Series([3.0, 0.1, 1e7], index=pd.Index(["A", "B", "C"], dtype=object))


def test_ranks_as_told_by_the_formula():
    new = cohort(5, 2)
    x = new.iloc[[3]][REFERENCE.columns].to_numpy()

    def scores(row):
        return norm.ppf((rankdata(row) - 0.5) / row.size)

    known = np.array([scores(row) for row in TRAINING[REFERENCE.columns].to_numpy()])
    centre, scale = TRAINING[REFERENCE.columns].mean().to_numpy(), TRAINING[REFERENCE.columns].std(ddof=1).to_numpy()
    expected = centre + scale * (scores(x[0]) - known.mean(axis=0)) / known.std(axis=0, ddof=1)
    found = adapt(new, REFERENCE, "within_sample_ranks").iloc[3][REFERENCE.columns].to_numpy(dtype=float)
    np.testing.assert_allclose(found, expected, atol=2e-4)  # the reference keeps six digits


def test_quantiles_are_those_of_training():
    new = cohort(5, 2) * 3 + 1
    found = adapt(new, REFERENCE, "reference_quantiles")[REFERENCE.columns].to_numpy()
    expected = np.sort(TRAINING[REFERENCE.columns].to_numpy(), axis=1).mean(axis=0)
    np.testing.assert_allclose(np.sort(found[0]), expected, rtol=1e-3)
    order = np.argsort(new[REFERENCE.columns].to_numpy(), axis=1)
    assert (np.diff(np.take_along_axis(found, order, axis=1), axis=1) >= 0).all()


@pytest.mark.parametrize("method", SINGLE_SAMPLE)
def test_training_patients_stay_close_to_themselves(method):
    adapted = adapt(TRAINING, REFERENCE, method)
    before, after = (frame[REFERENCE.columns].to_numpy() for frame in (TRAINING, adapted))
    assert np.median([np.corrcoef(a, b)[0, 1] for a, b in zip(before.T, after.T, strict=True)]) > 0.95
    np.testing.assert_allclose(after.mean(axis=0), before.mean(axis=0), atol=0.25)


def random_sample(seed: int, missing: float) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    sample = cohort(1, seed + 5).assign(**{"clinical:age": 50.0})
    return sample.mask(rng.random(sample.shape) < missing)


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.floats(0, 0.6), st.floats(0.1, 5), st.floats(-20, 20))
def test_ranks_do_not_change_with_a_monotone_transform(seed, missing, slope, shift):
    sample = random_sample(seed, missing)
    columns = REFERENCE.columns
    reference = adapt(sample, REFERENCE, "within_sample_ranks")
    for other in (sample[columns] * slope + shift, np.exp(sample[columns] / 4), np.arctan(sample[columns] / 9)):
        found = adapt(sample.assign(**other), REFERENCE, "within_sample_ranks")
        np.testing.assert_array_equal(found.to_numpy(), reference.to_numpy())


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.floats(0, 0.6), st.sampled_from(SINGLE_SAMPLE))
def test_a_patient_alone_is_what_he_is_among_others(seed, missing, method):
    rng = np.random.default_rng(seed)
    patients = cohort(4, seed + 5)
    patients = patients.mask(rng.random(patients.shape) < missing)
    together = adapt(patients, REFERENCE, method)
    for name in patients.index:
        alone = adapt(patients.loc[[name]], REFERENCE, method)
        np.testing.assert_array_equal(alone.to_numpy(), together.loc[[name]].to_numpy())
    assert (together.isna() == patients.isna()).all(axis=None)


@pytest.mark.parametrize("half", ["upper", "lower"])
@pytest.mark.parametrize("method", SINGLE_SAMPLE[1:])
def test_genes_that_are_missing_do_not_shift_the_others(half, method):
    """A panel of well expressed genes: ranks within it are brought to places among all genes."""
    new = cohort(40, 3)
    order = np.argsort(REFERENCE.centre)
    kept = [REFERENCE.columns[j] for j in (order[GENES // 2 :] if half == "upper" else order[: GENES // 2])]
    part = adapt(new[kept], REFERENCE, method)
    whole = adapt(new, REFERENCE, method)[kept]
    shift = (part - whole).mean() / new[kept].std()
    assert shift.abs().median() < 0.25
    # As if these were all genes.
    naive = norm.ppf((rankdata(new[kept].to_numpy(), axis=1) - 0.5) / len(kept)).mean(axis=0)
    at = [REFERENCE.columns.index(name) for name in kept]
    assert np.median(np.abs(naive - REFERENCE.score_centre[at]) / REFERENCE.score_scale[at]) > 1


def test_a_gene_in_one_place_becomes_its_centre():
    training = TRAINING.assign(**{"expression:G000": 0.0, "expression:G001": -1.0})
    reference = learn_platform(training)
    found = adapt(cohort(3, 4), reference, "within_sample_ranks")
    np.testing.assert_allclose(found["expression:G001"], -1.0)


def test_cohort_rescaling():
    other = cohort(30, 5) * 2 - 3
    other["expression:G007"] = 4.0
    other.iloc[2:5, 1] = np.nan
    found = adapt(other, REFERENCE, "cohort_rescaling")
    for gene in ("G000", "G001", "G150"):
        np.testing.assert_allclose(found[f"expression:{gene}"].mean(), TRAINING[f"expression:{gene}"].mean(), rtol=1e-5)
        np.testing.assert_allclose(found[f"expression:{gene}"].std(), TRAINING[f"expression:{gene}"].std(), rtol=1e-5)
    np.testing.assert_allclose(found["expression:G007"], TRAINING["expression:G007"].mean(), rtol=1e-5)
    assert found["expression:G001"].isna().sum() == 3
    pd.testing.assert_series_equal(found["clinical:age"], other["clinical:age"])
    with pytest.raises(InputError, match="at least 10 patients"):
        adapt(other.iloc[:9], REFERENCE, "cohort_rescaling")


def test_what_cannot_be_adapted():
    pd.testing.assert_frame_equal(adapt(TRAINING, REFERENCE, "none"), TRAINING)
    with pytest.raises(InputError, match="must be one of none, within_sample_ranks"):
        adapt(TRAINING, REFERENCE, "quantiles")
    poor = TRAINING.iloc[:3].copy()
    poor.loc["P1", REFERENCE.columns[20:]] = np.nan
    adapted = adapt(poor, REFERENCE, "reference_quantiles")
    assert adapted.loc["P1", REFERENCE.columns].isna().all()
    alone = adapt(poor.drop(index="P1"), REFERENCE, "reference_quantiles")
    pd.testing.assert_frame_equal(adapted.drop(index="P1"), alone)
    with pytest.raises(InputError, match=r"fewer than 30 of the 200 genes .* in P1; .* use none"):
        adapt(poor.loc[["P1"]], REFERENCE, "reference_quantiles")
    with pytest.raises(InputError, match="no expression column"):
        learn_platform(TRAINING[["clinical:age"]])


def test_genes_that_training_does_not_have_play_no_part():
    new = cohort(2, 6)
    more = new.assign(**{f"expression:X{j}": float(j) for j in range(50)})
    for method in SINGLE_SAMPLE:
        found = adapt(more, REFERENCE, method)
        assert list(found.columns) == list(more.columns)
        pd.testing.assert_frame_equal(found[new.columns], adapt(new, REFERENCE, method))


@pytest.mark.parametrize(
    "counts",
    [
        TmmReference(profile=PROFILE, library_size=1e7 + 3, log_mean_factor=0.1 / 3, mean_library=2e7 / 3),
        UpperQuartileReference(profile=PROFILE, log_mean_factor=0.1 / 3, mean_library=2e7 / 3),
        VstReference(profile=PROFILE, asymptote=0.1 / 3, extra=1 / 7),
    ],
    ids=lambda counts: counts.method,
)
def test_a_reference_is_written_and_read_exactly(tmp_path, counts):
    reference = learn_platform(TRAINING, "counts", counts)
    for name in ("a.json.gz", "b.json.gz"):
        write_platform(reference, tmp_path / name)
    assert (tmp_path / "a.json.gz").read_bytes() == (tmp_path / "b.json.gz").read_bytes()
    again = read_platform(tmp_path / "a.json.gz")
    assert (again.genes, again.kind) == (reference.genes, "counts")
    for name in ("centre", "scale", "score_centre", "score_scale", "quantiles"):
        np.testing.assert_array_equal(getattr(again, name), getattr(reference, name))
    assert type(again.counts) is type(counts)
    pd.testing.assert_series_equal(again.counts.profile, PROFILE)
    assert again.counts.numbers() == counts.numbers()
    for method in ADAPTATIONS:
        pd.testing.assert_frame_equal(adapt(TRAINING, again, method), adapt(TRAINING, reference, method))


def test_a_file_that_is_no_reference(tmp_path):
    path = tmp_path / "p.json.gz"
    with pytest.raises(InputError, match="cannot be read"):
        read_platform(path)
    path.write_bytes(b"no gzip")
    with pytest.raises(InputError, match=r"cannot be read|damaged"):
        read_platform(path)
    write_platform(REFERENCE, path)
    content = json.loads(gzip.decompress(path.read_bytes()))
    for version in (1, 9):
        path.write_bytes(gzip.compress(json.dumps({**content, "format_version": version}).encode()))
        with pytest.raises(InputError, match=rf"format version {version} is not known .*freeze the model anew"):
            read_platform(path)
    path.write_bytes(gzip.compress(json.dumps({**content, "counts": {"method": "rle", "genes": []}}).encode()))
    with pytest.raises(InputError, match=r"damaged .*rle"):
        read_platform(path)
    del content["centre"]
    path.write_bytes(gzip.compress(json.dumps(content).encode()))
    with pytest.raises(InputError, match=r"damaged .*centre"):
        read_platform(path)
