"""The quality page says what is there, says why something is not, and draws on nothing from outside."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from amlprognosis.cohort import step
from amlprognosis.normalize.platform import learn_platform
from amlprognosis.normalize.sample_quality import median_correlation, recorded_quality, robust_z, sample_quality
from amlprognosis.report.quality import quality_tables, render_quality_page, write_quality_pages
from amlprognosis.report.quality_words import findings
from amlprognosis.study import Study, load_study

SEXED = ["XIST", "RPS4Y1", "DDX3Y"]
GENES = [f"G{k}" for k in range(300)] + SEXED


def study_of() -> Study:
    clinical = {
        "os_time": {"column": "t", "unit": "days"},
        "os_event": {"column": "e"},
        "categories": {"plate": "p"},
    }
    source = {"type": "tables", "expression": "e.tsv", "scale": "log2", "clinical": "c.tsv", "clinical_id": "id"}
    cohorts = {
        "T": {"role": "training", "label": "Training <b>", "source": source, "clinical": clinical},
        "V": {"role": "validation", "source": source, "clinical": clinical, "adaptation": "cohort_rescaling"},
    }
    return load_study({"study": "s", "title": "S", "cohorts": cohorts})


def cohort(seed: int, n: int, full: bool) -> AnnData:
    rng = np.random.default_rng(seed)
    values = np.random.default_rng(0).normal(8, 2, len(GENES)) + 0.5 * rng.normal(size=(n, len(GENES)))
    values[:, :300] += 0.3 * rng.normal(size=(n, 5)) @ rng.normal(size=(5, 300))
    women = np.arange(n) % 2 == 0
    values[:, 300] = np.where(women, 10, 4) + rng.normal(0, 0.3, n)
    values[:, 301:] = (np.where(women, 4, 10) + rng.normal(0, 0.3, n))[:, None]
    sex = np.where(women, "female", "male")
    sex[6] = "male"
    values[9, :300] = rng.normal(8, 2, 300)  # unlike all others
    obs = pd.DataFrame(
        {"os_time": rng.exponential(800, n) + 1, "os_event": rng.random(n) < 0.7},
        index=[f"P{seed}-{k:02d}" for k in range(n)],
    )
    if full:
        obs["age"] = rng.uniform(20, 80, n)
        obs.loc[obs.index[: n // 2], "age"] = np.nan
        obs["sex"] = pd.Categorical(sex)
        obs["risk"] = pd.Categorical(rng.choice(["favourable", "intermediate", "adverse"], n))
        obs["plate"] = pd.Categorical(rng.choice(["p1", "p2"], n))
    adata = AnnData(X=values.astype(np.float32), obs=obs, var=pd.DataFrame({"ensembl": ""}, index=GENES))
    adata.uns["exclusions"] = pd.DataFrame({"patient": ["Z9"], "reason": ["overall survival time zero"]})
    steps = [step("scale", "log2 (as the study says)"), step("gene names", "retired name: 1 (A -> B)", 303, 303, "x")]
    adata.uns["preprocessing"] = json.dumps(steps)
    adata.uns["provenance"] = json.dumps(
        [{"url": "u", "path": "e.tsv", "size": 12, "sha256": "a" * 64, "date": "d", "licence": "l"}]
    )
    if full:
        adata.layers["counts"] = np.round(2.0**values).astype(np.float32)
        adata.uns["quality"] = json.dumps(record(adata))
    return adata


def record(adata: AnnData) -> dict:
    n = adata.n_obs
    return {
        "version": 1,
        "patients": list(adata.obs_names),
        "scale": {
            "declared": "auto",
            "verdict": "counts",
            "evidence": "whole numbers",
            "quantiles": None,
            "negative_share": 0.0,
            "processing": "estimated counts",
            "processing_evidence": "",
            "doubts": ["3 samples look like TPM"],
        },
        "before": {
            "what": "log2(count + 1), 303 genes",
            "n": 303,
            "values": [[0, 5, 7 + k / 9, 9, 15] for k in range(n)],
        },
        "after": {"what": "log2-CPM after TMM, 303 genes", "n": 303, "values": [[0, 6, 8, 10, 15]] * n},
        "missing_share": [0.3 if k == 2 else 0.0 for k in range(n)],
        "counts": {
            "method": "tmm",
            "reference": "own",
            "library_size": [1e6 * (1 + k) for k in range(n)],
            "detected_genes": [300 - k for k in range(n)],
            "factors": [1 + k / 100 for k in range(n)],
        },
    }


@pytest.fixture(scope="module")
def world():
    study = study_of()
    cohorts = {"T": cohort(1, 60, full=True), "V": cohort(2, 40, full=False)}
    training = cohorts["T"]
    names = [f"expression:{gene}" for gene in GENES]
    platform = learn_platform(pd.DataFrame(training.X.astype(float), index=training.obs_names, columns=names))
    tables = quality_tables(study, cohorts, platform)
    return study, cohorts, tables, {name: render_quality_page(study, name, cohorts[name], tables) for name in cohorts}


class Page(HTMLParser):
    """Open tags, ids and links of a page."""

    def __init__(self, text: str):
        super().__init__()
        self.ids, self.links, self.open = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        own = dict(attrs)
        self.ids += [own["id"]] if "id" in own else []
        self.links += [value for key, value in attrs if key in ("src", "href", "xlink:href") and value]
        if tag not in ("meta", "br", "link", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_pages_are_whole_and_self_contained(world):
    for text in world[3].values():
        page = Page(text)
        assert page.open == []
        assert len(page.ids) == len(set(page.ids))
        assert not [link for link in page.links if link.startswith(("http", "//", "file"))]
        assert "<script" not in text
        used = set(re.findall(r'url\(#([^)"]+)\)', text))
        assert used <= set(page.ids)
        assert len(text) < 1_500_000
    assert "Training &lt;b&gt;" in world[3]["T"]
    assert "Training <b>" not in world[3]["T"]
    assert '<a href="V.html">' in world[3]["T"]
    assert '<a href="../report.html">' in world[3]["V"]


def sentences(world, name: str) -> dict[str, str]:
    study, cohorts, tables, _ = world
    found = findings(study, name, cohorts[name], recorded_quality(cohorts[name]), tables)
    return {finding.text: finding.level for finding in found}


def level(told: dict[str, str], words: str) -> str:
    return next(how for text, how in told.items() if words in text)


def test_the_list_on_top_says_what_is_wrong(world):
    told = sentences(world, "T")
    assert level(told, "60 patients with") == "plain"
    assert level(told, "The source holds counts, recognised as estimated counts") == "caution"
    assert level(told, "3 samples look like TPM.") == "caution"
    assert level(told, "1 sample is unlike all others (P1-09)") == "caution"
    assert level(told, "more than 20% in P1-02") == "caution"
    assert level(told, "The deepest library has 60 times") == "caution"
    assert level(told, "1 of 60 patients with a clear sex are recorded otherwise: P1-06.") == "bad"
    assert level(told, "age is missing in 50%") == "caution"
    assert any("by plate" in text for text in told)
    other = sentences(world, "V")
    assert level(other, "Scale of the source: log2 (as the study says).") == "plain"
    assert level(other, "No column of batches is known") == "plain"
    assert level(other, "No age and no sex and no risk") == "caution"
    assert level(other, "no sex is recorded") == "plain"
    assert any("cohort rescaling" in text or "Values as built do not differ" in text for text in other)


def test_every_part_is_there_or_says_why_not(world):
    full, bare = world[3]["T"], world[3]["V"]
    for title in (
        "Values of each sample before normalisation", "Sequencing depth", "Normalisation factors", "Missing values",
        "Correlation to the other samples", "Components by plate", "Components by sex", "Sex by expression",
        "Completeness", "Follow-up", "Age", "Patient flow",
    ):  # fmt: skip
        assert f"<h4>{title}</h4>" in full, title
    assert "retired name: 1 (A -&gt; B)" in full
    assert "a" * 64 in full
    assert "Z9" in full
    assert "built without a record of its normalisation" in bare
    assert "Sequencing depth: the source has no counts." in bare
    assert "Completeness: the cohort has no clinical column." in bare
    assert "With the training cohort, after cohort rescaling" in bare
    assert "P1-06" in re.sub(r"(?s)<section id=.know.*?</section>", "", full)


def test_pages_are_the_same_bytes_again(world, tmp_path):
    study, cohorts, tables, pages = world
    write_quality_pages(study, cohorts, tables, tmp_path / "quality")
    assert {path.stem: path.read_text() for path in (tmp_path / "quality").glob("*.html")} == pages


def test_records_follow_the_patients_who_stayed(world):
    adata = world[1]["T"]
    some = adata[[5, 2, 7]].copy()
    found = recorded_quality(some)
    assert found["patients"] == ["P1-05", "P1-02", "P1-07"]
    assert found["missing_share"] == [0.0, 0.3, 0.0]
    assert found["counts"]["library_size"] == [6e6, 3e6, 8e6]
    assert found["before"]["values"][1][2] == 7 + 2 / 9
    assert found["scale"] == record(adata)["scale"]
    other = adata.copy()
    other.obs_names = [f"X{k}" for k in range(adata.n_obs)]
    assert recorded_quality(other) == {}
    table = sample_quality("T", some)
    assert table["missing_share"].tolist() == [0.0, 0.3, 0.0]
    assert table["median_correlation"].isna().all()


def test_correlations_and_robust_deviations():
    rng = np.random.default_rng(0)
    matrix = rng.normal(8, 2, 200) + rng.normal(size=(12, 200))
    found = median_correlation(matrix)
    r = np.corrcoef(matrix)
    np.fill_diagonal(r, np.nan)
    np.testing.assert_allclose(found, np.nanmedian(r, axis=1))
    assert np.isnan(median_correlation(matrix[:, :99])).all()
    np.testing.assert_allclose(robust_z(np.array([1.0, 2.0, 3.0, 14.0])), np.array([-1.5, -0.5, 0.5, 11.5]) / 1.4826)
    assert np.isnan(robust_z(np.ones(4))).all()
    assert np.isnan(robust_z(np.full(3, np.nan))).all()


def test_every_number_of_a_figure_is_in_a_table(world):
    _study, cohorts, tables, pages = world
    samples, training = tables["sample_quality"].set_index("patient"), cohorts["T"]
    own = samples.loc[training.obs_names]
    five = [f"before_{place}" for place in ("min", "q1", "median", "q3", "max")]
    np.testing.assert_allclose(own[five].to_numpy(float), record(training)["before"]["values"])
    built = own[[name.replace("before", "built") for name in five]].to_numpy(float)
    np.testing.assert_allclose(built, np.quantile(training.X, [0, 0.25, 0.5, 0.75, 1], axis=1).T, rtol=1e-6)
    np.testing.assert_array_equal(own["age"].to_numpy(float), training.obs["age"].to_numpy())
    np.testing.assert_array_equal(own["os_days"].to_numpy(float), training.obs["os_time"].to_numpy())
    np.testing.assert_array_equal(own["os_event"].to_numpy(bool), training.obs["os_event"].to_numpy())
    assert samples.loc[cohorts["V"].obs_names, [*five, "age"]].isna().all(axis=None)
    known = tables["completeness"].set_index(["cohort", "column"])
    assert known.loc[("T", "age"), ["patients", "known", "share"]].tolist() == [60, 30, 0.5]
    assert set(known.loc["T"].index) == {"age", "sex", "risk", "plate"}
    assert "V" not in known.index
    assert "Least complete: age, 50%" in pages["T"]
    assert "million reads, over all genes of the source." in pages["T"]
