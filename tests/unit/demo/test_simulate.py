import gzip
import hashlib
import json
from collections import Counter

import numpy as np
import pandas as pd
import pytest

from amlprognosis.demo.facts import GROUPS, load_facts
from amlprognosis.demo.programmes import programmes
from amlprognosis.demo.settings import DemoSettings
from amlprognosis.demo.simulate import simulate
from amlprognosis.demo.world import baseline, draw_patients, draw_survival
from amlprognosis.errors import InputError

TINY = {
    "training_patients": 60,
    "array_patients": 40,
    "rnaseq_patients": 40,
    "genes": 400,
    "cells": 300,
    "cell_genes": 300,
    "leukaemias": 2,
    "normals": 1,
}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    return folder, simulate(folder, 7, TINY)


def digests(folder):
    return {
        p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


def text_of(path):
    return gzip.decompress(path.read_bytes()).decode()


def test_same_seed_same_bytes_other_seed_other_world(world, tmp_path):
    folder, truth = world
    assert simulate(tmp_path / "again", 7, DemoSettings(**TINY)) == truth
    assert digests(tmp_path / "again") == digests(folder)
    simulate(tmp_path / "other", 8, TINY)
    mine, other = digests(folder), digests(tmp_path / "other")
    assert mine["tables/expression.tsv.gz"] != other["tables/expression.tsv.gz"]
    assert json.loads((folder / "truth.json").read_text()) == truth


def test_one_cohorts_size_leaves_the_others_alone(world, tmp_path):
    folder, _ = world
    simulate(tmp_path, 7, {**TINY, "training_patients": 50})
    mine, other = digests(folder), digests(tmp_path)
    for name in ("tables/expression.tsv.gz", "geo/series/GSE999nnn/GSE999001/matrix/GSE999001_series_matrix.txt.gz"):
        assert mine[name] == other[name]


def test_gdc_files(world):
    folder, truth = world
    files = json.loads((folder / "gdc/files.json").read_text())["data"]
    assert files["pagination"]["total"] == len(files["hits"]) == 62
    kinds = Counter(hit["data_type"] for hit in files["hits"])
    assert kinds == {"Gene Expression Quantification": 61, "Masked Somatic Mutation": 1}
    samples = Counter()
    for hit in files["hits"]:
        path = folder / "gdc/data" / hit["file_id"] / hit["file_name"]
        data = path.read_bytes()
        assert len(data) == hit["file_size"]
        assert hashlib.md5(data, usedforsecurity=False).hexdigest() == hit["md5sum"]
        if hit["data_type"] == "Gene Expression Quantification":
            assert hit["analysis"]["workflow_type"] == "STAR - Counts"
            samples[hit["cases"][0]["submitter_id"]] += 1
    twins = [name for name, n in samples.items() if n == 2]
    assert twins == truth["cohorts"]["DEMO-AML"]["second_sample"]

    path = next((folder / "gdc/data").glob("*/*.rna_seq.augmented_star_gene_counts.tsv"))
    assert path.read_text().startswith("# gene-model: GENCODE v36\ngene_id\tgene_name\tgene_type\tunstranded\t")
    table = pd.read_csv(path, sep="\t", comment="#")
    assert list(table["gene_id"][:4]) == ["N_unmapped", "N_multimapping", "N_noFeature", "N_ambiguous"]
    assert table["gene_name"][:4].isna().all()
    body = table[4:]
    assert body["gene_id"].str.fullmatch(r"ENSG\d{11}\.\d+(_PAR_Y)?").all()
    twin = body["gene_id"].str.endswith("_PAR_Y")
    assert twin.any()
    assert (body.loc[twin, "unstranded"] == 0).all()
    assert (~twin).sum() == 400
    assert body["tpm_unstranded"].sum() == pytest.approx(1e6, rel=1e-4)
    assert (body["stranded_first"] + body["stranded_second"] == body["unstranded"]).all()


def test_gdc_cases(world):
    folder, truth = world
    cases = json.loads((folder / "gdc/cases.json").read_text())["data"]["hits"]
    assert len(cases) == 60
    traps = truth["cohorts"]["DEMO-AML"]
    for case in cases:
        status = case["demographic"]["vital_status"]
        death = case["demographic"]["days_to_death"]
        follow = case["diagnoses"][0]["days_to_last_follow_up"]
        if case["submitter_id"] in traps["missing_os"]:
            assert (status, death, follow) == ("Not Reported", None, None)
            continue
        assert (death is None) == (status == "Alive")
        assert (follow is None) == (status == "Dead")
        assert ((death if death is not None else follow) == 0) == (case["submitter_id"] in traps["zero_os"])
        assert 18 * 365 <= case["diagnoses"][0]["age_at_diagnosis"] <= 89 * 366
        assert case["diagnoses"][0]["eln_risk_classification"] in {
            "Favorable",
            "Intermediate",
            "Adverse",
            "Not Reported",
        }


def test_maf(world):
    folder, _ = world
    for path in (next((folder / "gdc/data").glob("*/*.maf.gz")), folder / "tables/mutations.tsv"):
        table = pd.read_csv(path, sep="\t", comment="#")
        assert {"Hugo_Symbol", "Variant_Classification", "Tumor_Sample_Barcode", "HGVSp_Short"} <= set(table.columns)
        assert (table["t_ref_count"] + table["t_alt_count"] == table["t_depth"]).all()
        assert {"NPM1", "FLT3", "DNMT3A"} <= set(table["Hugo_Symbol"])
        assert "Silent" in set(table["Variant_Classification"])


def test_series_matrix_and_platform(world):
    folder, truth = world
    geo = folder / "geo"
    text = text_of(geo / "series/GSE999nnn/GSE999001/matrix/GSE999001_series_matrix.txt.gz")
    head, body = text.split("!series_matrix_table_begin\n")
    rows = [
        [v.strip('"') for v in line.split("\t")[1:]]
        for line in head.splitlines()
        if line.startswith("!Sample_characteristics_ch1")
    ]
    assert {len(row) for row in rows} == {40}
    keys = [{v.split(": ")[0] for v in row if v} for row in rows]
    assert any(len(k) > 1 for k in keys), "some row must mix keys, as in GEO"
    everything = {k for row in keys for k in row}
    assert {"age", "Sex", "eln 2022 risk", "os_months", "os_status", "wbc (10^9/l)"} <= everything
    patients = [dict(v.split(": ", 1) for v in column if v) for column in zip(*rows, strict=True)]
    assert {p.get("os_status", "none") for p in patients} == {"dead", "alive", "none"}
    assert sum(p["os_months"] == "NA" for p in patients) == len(truth["cohorts"]["GSE999001"]["missing_os"]) == 2
    assert body.endswith("!series_matrix_table_end\n")
    table = [line.split("\t") for line in body.splitlines()[:-1]]
    assert {len(row) for row in table} == {41}
    values = np.array([row[1:] for row in table[1:]], dtype=float)
    assert values.min() > 0
    assert np.quantile(values, 0.99) > 1000, "linear intensities"
    annotation = text_of(geo / "platforms/GPLnnn/GPL999/annot/GPL999.annot.gz")
    lines = annotation.split("!platform_table_begin\n")[1].splitlines()[:-1]
    probes = pd.DataFrame([line.split("\t") for line in lines[1:]], columns=lines[0].split("\t"))
    assert sorted(probes["ID"]) == sorted(row[0].strip('"') for row in table[1:])
    assert probes["ID"].is_unique
    symbols = probes["Gene symbol"]
    assert symbols.str.contains("///").any()
    assert (symbols == "").any()
    assert symbols.value_counts().drop("").max() >= 2
    assert {"MLL", "GPR56", "KIAA0125", "NGFRAP1"} & set(symbols)


def test_own_tables(world):
    folder, truth = world
    expression = pd.read_csv(folder / "tables/expression.tsv.gz", sep="\t", index_col=0)
    clinical = pd.read_csv(folder / "tables/clinical.csv")
    assert expression.shape == (400, 40)
    assert expression.index.is_unique
    assert list(expression.columns) == list(clinical["patient_id"])
    assert set(clinical["vital_status"]) == {"deceased", "living", "unknown"}
    assert sorted(clinical.loc[clinical["os_years"].isna(), "patient_id"]) == truth["cohorts"]["tables"]["missing_os"]
    assert sorted(clinical.loc[clinical["os_years"] == 0, "patient_id"]) == truth["cohorts"]["tables"]["zero_os"]
    female = (clinical["sex"] == "female").to_numpy()
    assert expression.loc["XIST"].to_numpy()[female].mean() > 20 * expression.loc["XIST"].to_numpy()[~female].mean()


def test_atlas(world):
    folder, truth = world
    found = sorted((folder / "geo/samples").rglob("*.dem.txt.gz"))
    assert [p.name.split("_", 1)[1].split(".")[0] for p in found] == truth["atlas"]["samples"]
    total = 0
    levels = {"hsc": [], "normal": []}
    hazard = {g["gene"]: g["sign"] for g in truth["programmes"]["hazard"]["genes"]}
    for path in found:
        matrix = pd.read_csv(path, sep="\t", index_col=0)
        number = int(path.name.split("_")[0][3:]) + 1
        name = path.name.split("_", 1)[1].replace(".dem.", ".anno.")
        annotation = pd.read_csv(folder / f"geo/samples/GSM9995nnn/GSM{number}/suppl/GSM{number}_{name}", sep="\t")
        assert list(matrix.columns) == list(annotation["Cell"])
        assert (matrix.sum().to_numpy() == annotation["TranscriptomeUMIs"].to_numpy()).all()
        assert set(annotation["PredictionRefined"]) <= {"malignant", "normal", "unclear"}
        like = annotation["CellType"].str.endswith("-like")
        assert (like == (annotation["PredictionRefined"] == "malignant")).all()
        share = np.log2(1e4 * matrix / matrix.sum() + 1).loc[list(hazard)]
        score = (share.to_numpy() * np.array(list(hazard.values()))[:, None]).mean(axis=0)
        levels["hsc"] += score[annotation["CellType"].isin(["HSC-like", "Prog-like"])].tolist()
        levels["normal"] += score[annotation["PredictionRefined"] == "normal"].tolist()
        total += matrix.shape[1]
    assert total == 300
    assert np.mean(levels["hsc"]) > np.mean(levels["normal"]) + 0.3


def test_planted_programmes_are_real_and_apart():
    facts = load_facts()
    death = {g for s in facts.death_sets.values() for g in s}
    known = set(facts.genes["symbol"])
    planted = programmes()
    for programme in planted:
        assert 20 <= len(programme.genes) <= 25
        assert set(programme.genes) <= known
        if programme.name != "stemness":
            assert set(programme.genes) <= death
    every = [g for p in planted for g in p.genes]
    assert len(every) == len(set(every))
    assert [p.name for p in planted if p.hazard] == ["hazard", "stemness"]
    assert {1.0, -1.0} == set(planted[0].signs)


def test_survival_medians_and_deaths_follow_the_facts():
    """Without censoring, the median of each group is the published one (4,000 patients: within 15%)."""
    facts = load_facts()
    settings = DemoSettings(followup_years=(500.0, 501.0), lost_per_year=1e-9)
    rng = np.random.default_rng(3)
    clinical, mutations, latent = draw_patients(facts, settings, 4000, [], rng)
    score = rng.standard_normal(4000)
    cohort = draw_survival(facts, settings, clinical, mutations, latent, score, baseline(facts, settings), rng)
    medians = cohort.clinical.groupby("risk")["os_days"].median() / 30.4375
    shares = cohort.clinical["risk"].value_counts(normalize=True)
    for group in GROUPS:
        assert medians[group] == pytest.approx(facts.aml["survival"]["median_months"][group], rel=0.15)
        assert shares[group] == pytest.approx(facts.aml["risk_groups"]["proportions"][group], abs=0.03)
    m = mutations
    odds = [
        ((m["NPM1"] & m[b]).sum() * (~m["NPM1"] & ~m[b]).sum())
        / ((m["NPM1"] & ~m[b]).sum() * (~m["NPM1"] & m[b]).sum())
        for b in ("DNMT3A", "FLT3-ITD")
    ]
    assert min(odds) > 2
    usual = draw_survival(
        facts, DemoSettings(), clinical, mutations, latent, score, baseline(facts, DemoSettings()), rng
    )
    assert 0.55 <= usual.clinical["os_event"].mean() <= 0.66


def test_true_concordance_is_ordered(world):
    _, truth = world
    for cohort in truth["cohorts"].values():
        c = cohort["true_concordance"]
        assert c["full"] > max(c["age"], c["risk"], 0.65)


@pytest.mark.parametrize("settings", [{"patients": 3}, {"genes": 10}, {"cells": 1}])
def test_bad_settings_are_refused(settings, tmp_path):
    with pytest.raises(InputError, match=next(iter(settings))):
        simulate(tmp_path, 1, settings)
