"""``amlprognosis predict`` says of a patient what the workflow's validation says."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from amlprognosis.cli import main
from amlprognosis.errors import InputError
from amlprognosis.evaluation.predict import Tables, predict
from amlprognosis.models.persistence import load_model
from amlprognosis.retrieve.patients import read_patient_mutations
from amlprognosis.tables import read_table

WITH_GENES = [
    "gene_index", "clinical_gene_index", "random_survival_forest", "xgboost_cox", "logistic_3y", "Lasso + Ridge",
]  # fmt: skip
SINGLE_SAMPLE = ["none", "within_sample_ranks", "reference_quantiles"]
PATIENT = "V007"


def expression_file(world, folder, scale="log2", patients=(PATIENT,), name="new.tsv"):
    """Genes in rows, a column per patient: the cohort's log2 values, or the source's counts under its own names."""
    if scale == "counts":
        table = world.raw.expression.loc[list(patients)].T
    else:
        part = world.cohort[list(patients)]
        table = pd.DataFrame(part.X.T, index=part.var_names, columns=list(patients)).map(lambda value: f"{value:.9g}")
    table.to_csv(folder / name, sep="," if ".csv" in name else "\t", index_label="gene")
    return folder / name


def clinical_file(world, folder, patients=(PATIENT,), **changes):
    obs = world.cohort.obs.loc[list(patients), ["age", "sex", "risk"]].astype(object).assign(**changes)
    obs.to_csv(folder / "clinical.tsv", sep="\t", index_label="patient", na_rep="NA")
    return folder / "clinical.tsv"


def mutation_file(world, folder, patients=(PATIENT,)):
    world.cohort.obsm["mutations"].loc[list(patients)].to_csv(folder / "mutations.csv", index_label="patient")
    return folder / "mutations.csv"


def run(folder, *words):
    """Run the command; gives its predictions."""
    assert main(["predict", *map(str, words), "--out", str(folder / "out.tsv")]) == 0
    return read_table(folder / "out.tsv")


def assert_same(row, expected):
    """Risk and survival to 1e-9, group and counts exactly."""
    columns = ["risk", *(c for c in row.index if c.startswith("survival_"))]
    np.testing.assert_allclose(row[columns].astype(float), expected[columns].astype(float), rtol=0, atol=1e-9)
    for column in ("risk_group", "features_missing", "features_out_of_range"):
        assert row[column] == expected[column]


@pytest.mark.parametrize("adaptation", SINGLE_SAMPLE)
@pytest.mark.parametrize("scale", ["log2", "counts"])
def test_one_patient_is_that_patients_row_of_the_validation(world, tmp_path, adaptation, scale):
    table = run(
        tmp_path,
        *("--model", *(world.model(name) for name in WITH_GENES)),
        *("--expression", expression_file(world, tmp_path, scale), "--scale", scale, "--adaptation", adaptation),
        *("--clinical", clinical_file(world, tmp_path), "--mutations", mutation_file(world, tmp_path)),
    )
    assert table["model"].tolist() == WITH_GENES
    assert (table["patient"] == PATIENT).all()
    for _, row in table.iterrows():
        assert_same(row, world.row(row["model"], PATIENT, adaptation))


@pytest.mark.parametrize("adaptation", SINGLE_SAMPLE)
def test_counts_of_one_patient_by_every_method(counted, tmp_path, adaptation):
    path = expression_file(counted, tmp_path, "counts")
    words = ["--model", counted.model("gene_index"), "--expression", path, "--scale", "counts"]
    table = run(tmp_path, *words, "--adaptation", adaptation)
    assert_same(table.iloc[0], counted.row("gene_index", PATIENT, adaptation))


def test_models_without_expression_need_none(world, tmp_path):
    table = run(
        tmp_path,
        *("--model", world.model("age"), world.model("clinical_mutations")),
        *("--clinical", clinical_file(world, tmp_path), "--mutations", mutation_file(world, tmp_path)),
        *("--adaptation", "within_sample_ranks"),
    )
    assert (table["adaptation"] == "none").all()
    for _, row in table.iterrows():
        assert_same(row, world.row(row["model"], PATIENT, "none"))
    assert set(world.predictions.loc[world.predictions["model"] == "age", "adaptation"]) == {"none"}


def test_a_whole_cohort_can_be_rescaled(world, tmp_path):
    patients = list(world.cohort.obs_names)
    path = expression_file(world, tmp_path, "counts", patients, "new.csv.gz")
    words = ["--model", world.model("gene_index"), "--expression", path, "--scale", "counts"]
    table = run(tmp_path, *words, "--adaptation", "cohort_rescaling")
    assert table["patient"].tolist() == patients
    for _, row in table.iterrows():
        assert_same(row, world.row("gene_index", row["patient"], "cohort_rescaling"))
    assert table["warnings"].str.contains("re-scaled among these 24 patients").all()


@pytest.mark.parametrize("name", ["a.tsv", "a.csv", "a.tsv.gz", "a.parquet", "a.h5ad"])
@pytest.mark.parametrize("turned", [False, True])
def test_files_and_orientations(world, tmp_path, name, turned):
    table = pd.read_csv(expression_file(world, tmp_path), sep="\t", index_col=0)
    table = table.T if turned else table
    if name.endswith(".h5ad"):
        world.cohort[[PATIENT]].copy().write_h5ad(tmp_path / name)
    elif name.endswith(".parquet"):
        table.to_parquet(tmp_path / name)
    else:
        table.to_csv(tmp_path / name, sep="," if ".csv" in name else "\t")
    found = run(tmp_path, "--model", world.model("gene_index"), "--expression", tmp_path / name)
    assert_same(found.iloc[0], world.row("gene_index", PATIENT, "none"))


def test_linear_values(world, tmp_path):
    table = pd.read_csv(expression_file(world, tmp_path), sep="\t", index_col=0)
    (2.0**table - 1).to_csv(tmp_path / "linear.tsv", sep="\t")
    words = ["--model", world.model("gene_index"), "--expression", tmp_path / "linear.tsv", "--scale", "linear"]
    assert run(tmp_path, *words)["risk"][0] == pytest.approx(world.row("gene_index", PATIENT, "none")["risk"], abs=1e-5)


def test_curves_and_contributions(world, tmp_path):
    words = ["--model", *(world.model(name) for name in ("gene_index", "random_survival_forest", "logistic_3y"))]
    beside = ["--curves", tmp_path / "curves.tsv", "--contributions", tmp_path / "parts.tsv"]
    table = run(tmp_path, *words, "--expression", expression_file(world, tmp_path), *beside).set_index("model")
    curves, parts = read_table(tmp_path / "curves.tsv"), read_table(tmp_path / "parts.tsv")
    for name in ("gene_index", "random_survival_forest"):
        own = curves[curves["model"] == name]
        assert own["survival"].is_monotonic_decreasing
        assert own.iloc[0][["days", "survival"]].tolist() == [0, 1]
        at = own[own["days"] <= 365.25]["survival"].iloc[-1]
        assert at == pytest.approx(table.loc[name, "survival_1y"], abs=1e-9)
    assert curves.loc[curves["model"] == "logistic_3y", "days"].tolist() == [0, 3 * 365.25]
    for name in ("gene_index", "random_survival_forest"):
        own = parts[parts["model"] == name]
        assert set(own["feature"]) == set(load_model(world.model(name)).features_in_)
        total = own["contribution"].sum() + own["baseline"].iloc[0]
        assert total == pytest.approx(table.loc[name, "risk"], abs=1e-9)


def test_missing_genes_are_filled_as_in_training_and_told(world, tmp_path):
    model = load_model(world.model("Lasso + Ridge"))
    genes = [name.removeprefix("expression:") for name in model.features_in_]
    assert len(genes) >= 7
    table = pd.read_csv(expression_file(world, tmp_path), sep="\t", index_col=0)
    path = tmp_path / "part.tsv"
    table.drop(index=genes[0]).assign(**{PATIENT: lambda t: t[PATIENT].where(t.index != genes[1])}).to_csv(
        path, sep="\t"
    )
    found = run(tmp_path, "--model", world.model("Lasso + Ridge"), "--expression", path).iloc[0]
    assert found["features_missing"] == 2
    assert f"2 of {len(genes)} features missing, filled as in training: {genes[0]}, {genes[1]}" in found["warnings"]
    filled = table.copy()
    filled.loc[genes[:2], PATIENT] = model.preprocessor_.fill_[:2]
    filled.to_csv(path, sep="\t")
    again = run(tmp_path, "--model", world.model("Lasso + Ridge"), "--expression", path).iloc[0]
    assert again["risk"] == pytest.approx(found["risk"], abs=1e-5)
    assert "missing" not in again["warnings"]


def test_a_patient_who_lacks_too_much_is_not_scored(world, tmp_path):
    model = load_model(world.model("Lasso + Ridge"))
    genes = [name.removeprefix("expression:") for name in model.features_in_]
    table = pd.read_csv(expression_file(world, tmp_path, patients=(PATIENT, "V008")), sep="\t", index_col=0)
    table.loc[genes[: len(genes) // 2 + 1], "V008"] = np.nan
    table.to_csv(tmp_path / "two.tsv", sep="\t")
    found = run(tmp_path, "--model", world.model("Lasso + Ridge"), "--expression", tmp_path / "two.tsv")
    assert_same(found.iloc[0], world.row("Lasso + Ridge", PATIENT, "none"))
    assert found["risk"].isna().tolist() == [False, True]
    assert found["warnings"][1].startswith(f"not scored: {len(genes) // 2 + 1} of {len(genes)} features missing")


def test_values_beyond_training_are_told(world, tmp_path):
    model = load_model(world.model("gene_index"))
    gene = model.features_in_[0].removeprefix("expression:")
    table = pd.read_csv(expression_file(world, tmp_path), sep="\t", index_col=0)
    table.loc[gene] = 25.0
    table.to_csv(tmp_path / "high.tsv", sep="\t")
    found = run(tmp_path, "--model", world.model("gene_index"), "--expression", tmp_path / "high.tsv").iloc[0]
    assert found["features_out_of_range"] >= 1
    assert "outside the training range: " in found["warnings"]
    assert gene in found["warnings"]
    few = table.iloc[:45]
    few.to_csv(tmp_path / "few.tsv", sep="\t")
    words = ["--model", world.model("gene_index"), "--expression", tmp_path / "few.tsv"]
    ranked = run(tmp_path, *words, "--adaptation", "within_sample_ranks").iloc[0]
    assert "ranked among 45 of the 80 genes of the training matrix" in ranked["warnings"]


def test_maf_and_old_names(world, tmp_path):
    mutated = world.cohort.obsm["mutations"].loc[PATIENT]
    lines = [f"{gene}\tMissense_Mutation\t{PATIENT}-03A-01W" for gene in mutated.index[mutated == 1]]
    lines.append(f"OTHER\tSilent\t{PATIENT}-03A-01W")
    text = "#version 2.4\nHugo_Symbol\tVariant_Classification\tTumor_Sample_Barcode\n" + "\n".join(lines) + "\n"
    (tmp_path / "m.maf").write_text(text)
    words = ["--model", world.model("clinical_mutations"), "--clinical", clinical_file(world, tmp_path)]
    found = run(tmp_path, *words, "--mutations", tmp_path / "m.maf").iloc[0]
    assert_same(found, world.row("clinical_mutations", PATIENT, "none"))


def test_notes_about_tables(world, tmp_path, capsys):
    clinical = clinical_file(world, tmp_path, ["V001", "V002"], ward="4")
    path = expression_file(world, tmp_path, "counts", ["V001", "V009"])
    words = ["--model", world.model("clinical_gene_index"), "--expression", path, "--scale", "counts"]
    run(tmp_path, *words, "--clinical", clinical)
    told = capsys.readouterr().err
    assert "retired name: 2 (MLL -> KMT2A, SEPT6 -> SEPTIN6)" in told
    assert "columns that no model reads: ward" in told
    assert "no row for V009: their values count as missing" in told


def change(table, **places):
    """The table with cells (gene, value) changed."""
    for gene, value in places.items():
        table.loc[gene, PATIENT] = value
    return table


ERRORS = {
    "no model": ({"model": "none"}, "cannot be read"),
    "not a table": ({"text": "<!DOCTYPE html><html></html>"}, "web page"),
    "no file": ({"expression": "absent.tsv"}, "no such file"),
    "no gene in common": ({"edit": lambda t: t.set_axis([f"ENSG{i}" for i in range(len(t))])}, "no gene in common"),
    "orientation": ({"words": ["--orientation", "samples_in_rows"]}, "use --orientation genes_in_rows"),
    "counts taken for log2": ({"edit": lambda t: change(t, GENE00=5000.0)}, "largest value is 5000: these are counts"),
    "log2 taken for linear": ({"words": ["--scale", "linear"]}, "these are logarithms; use --scale log2"),
    "negative counts": (
        {"scale": "counts", "edit": lambda t: change(t, GENE03=-1)},
        f"negative count: sample {PATIENT}, gene GENE03",
    ),
    "part of the counts": ({"scale": "counts", "edit": lambda t: t.iloc[:30]}, "30 of the 80 genes of the reference"),
    "no value": ({"edit": lambda t: t * np.nan}, "not a single value"),
    "a gene twice": ({"edit": lambda t: pd.concat([t, t.iloc[:1]])}, "genes named more than once: GENE00"),
    "a patient twice": ({"edit": lambda t: pd.concat([t, t], axis=1)}, f"named more than once: {PATIENT}"),
    "too few patients": ({"words": ["--adaptation", "cohort_rescaling"]}, "at least 10 patients"),
    "too few genes to rank": (
        {"edit": lambda t: t.iloc[:20], "words": ["--adaptation", "reference_quantiles"]},
        "fewer than 30 of the 80 genes",
    ),
    "too many genes missing": ({"edit": lambda t: t.iloc[40:]}, "absent or without a value"),
    "no expression": ({"expression": None}, "gene_index: needs expression; give --expression"),
    "no clinical table": ({"model": "clinical_gene_index", "only_genes": True}, "--clinical not given"),
    "another patient": ({"clinical": "patient\tage\nX1\t60\n"}, "none of its patients .X1. is one of those to score"),
    "a patient in two rows": ({"clinical": f"patient\tage\n{PATIENT}\t60\n{PATIENT}\t61\n"}, "more than once"),
    "an age in words": ({"clinical": f"patient\tage\n{PATIENT}\told\n"}, "not a finite number in V007"),
    "an age in days": ({"clinical": f"patient\tage\n{PATIENT}\t21900\n"}, "not between 0 and 120 years"),
    "another spelling": ({"clinical": f"patient\trisk\n{PATIENT}\tpoor\n"}, "allowed are favourable, intermediate"),
    "an age with a unit": ({"clinical": f"patient\tage\n{PATIENT}\t60y\n"}, "no unit; missing values as NA"),
    "a header left out": ({"edit": lambda t: t.set_axis(["7.25"], axis=1)}, "values stand where the header should"),
    "one value for all": ({"edit": lambda t: t * 0 + 7}, f"all genes have the same value in {PATIENT}"),
    "ratios taken for linear": (
        {"edit": lambda t: (t - t.median()) * 100, "words": ["--scale", "linear"]},
        "of the values are negative",
    ),
    "an empty MAF": (
        {"mutations": "Hugo_Symbol\tVariant_Classification\tTumor_Sample_Barcode\n"},
        "it cannot be told who was tested",
    ),
    "a model twice": ({"words": ["--model", "MODEL"]}, "two models are called gene_index"),
    "mutated twice": ({"mutations": f"patient\tNPM1\n{PATIENT}\t2\n"}, r"only 0 \(no\), 1 \(mutated\)"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_faults_end_in_one_clear_message(world, tmp_path, capsys, case):
    how, message = ERRORS[case]
    folder = world.model(how.get("model", "gene_index"))
    words = [*how.get("words", []), "--scale", how["scale"]] if "scale" in how else how.get("words", [])
    table = pd.read_csv(expression_file(world, tmp_path, how.get("scale", "log2")), sep="\t", index_col=0)
    path = tmp_path / how["expression"] if how.get("expression") else tmp_path / "case.tsv"
    if "text" in how:
        path.write_text(how["text"])
    elif "expression" not in how:
        how.get("edit", lambda t: t)(table).to_csv(path, sep="\t", index_label="gene")
    if how.get("expression", "") is not None:
        words = [*words, "--expression", path]
    words = [folder if word == "MODEL" else word for word in words]
    models = [folder]
    for kind in ("clinical", "mutations"):
        if kind in how:
            (tmp_path / f"{kind}.tsv").write_text(how[kind])
            words = [*words, f"--{kind}", tmp_path / f"{kind}.tsv"]
            models.append(world.model("clinical_mutations"))
    if how.get("only_genes"):
        models = [world.model("eln")]
        words = ["--mutations", mutation_file(world, tmp_path)]
        message = r"every patient lacks|columns it needs are absent .*--clinical not given"
    assert main(["predict", "--model", *map(str, models), *map(str, words), "--out", str(tmp_path / "o.tsv")]) == 2
    said = capsys.readouterr().err
    assert said.startswith("amlprognosis: ")
    assert pd.Series([said]).str.contains(message).all(), said
    assert not (tmp_path / "o.tsv").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--out", "."], "--out .: a folder"),
        (["--out", "new.tsv"], "the same file as --expression"),
        (["--out", "o.tsv", "--curves", "o.tsv"], "--curves o.tsv: the same file as --out"),
        (["--out", "o.tsv", "--contributions", "new.tsv/c.tsv"], "nothing can be written in"),
        (["--out", "o.tsv.gz"], "give it a name that ends in .tsv"),
        (["--out", "model/o.tsv"], "inside the folder of a frozen model"),
    ],
)
def test_tables_that_cannot_be_written_are_refused_before_anything_is(
    world, tmp_path, capsys, monkeypatch, words, message
):
    path = expression_file(world, tmp_path)
    before = path.read_bytes()
    shutil.copytree(world.model("gene_index"), tmp_path / "model")
    monkeypatch.chdir(tmp_path)
    assert main(["predict", "--model", "model", "--expression", "new.tsv", *words]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert not (tmp_path / "o.tsv").exists()
    assert path.read_bytes() == before


def test_models_may_be_named_one_by_one(world, tmp_path):
    words = ["--model", world.model("age"), "--model", world.model("eln"), "--clinical", clinical_file(world, tmp_path)]
    assert run(tmp_path, *words)["model"].tolist() == ["age", "eln"]


def test_a_model_without_expression_says_which_table_it_needs(world, tmp_path, capsys):
    words = ["--model", world.model("age"), "--expression", expression_file(world, tmp_path)]
    assert main(["predict", *map(str, words), "--out", str(tmp_path / "o.tsv")]) == 2
    assert "age: there are no patients: give --clinical" in capsys.readouterr().err


def test_a_gene_under_two_names_in_a_table_of_mutations(tmp_path):
    (tmp_path / "m.tsv").write_text("patient\tSRSF2\tSFRS2\nP1\t0\t1\n")
    with pytest.raises(InputError, match="column 'SFRS2': another column is SRSF2, too"):
        read_patient_mutations(tmp_path / "m.tsv", ["SRSF2"], None)


def test_comments_above_a_clinical_table_and_an_age_beyond_training(world, tmp_path):
    path = clinical_file(world, tmp_path, age=3)
    path.write_text("# from the register\n" + path.read_text())
    words = ["--expression", expression_file(world, tmp_path), "--clinical", path]
    found = run(tmp_path, "--model", world.model("xgboost_cox"), *words).iloc[0]
    assert "outside the training range: age" in found["warnings"]


def test_folders_that_were_changed(world, tmp_path, capsys):
    path = expression_file(world, tmp_path)
    for name, damage, message in (
        ("platform.json.gz", lambda file: file.write_bytes(b"x"), "checksum differs"),
        (
            "platform.json.gz",
            lambda file: file.unlink(),
            "missing; restore the model's folder, or delete its model.json",
        ),
        ("model.json", lambda file: file.write_text(file.read_text().replace('"seed": 1', '"seed": 2')), "was changed"),
        ("model.json", lambda file: file.write_text('{"refused": "no risk label", "metadata": {}}'), "no risk label"),
        ("model.json", lambda file: file.write_text('{"format_version": 1}'), "run the study again"),
    ):
        copy = tmp_path / "copy"
        shutil.copytree(world.model("gene_index"), copy)
        assert main(["predict", "--model", str(copy), "--expression", str(path), "--out", str(tmp_path / "o.tsv")]) == 0
        damage(copy / name)
        assert main(["predict", "--model", str(copy), "--expression", str(path), "--out", str(tmp_path / "o.tsv")]) == 2
        assert message in capsys.readouterr().err
        shutil.rmtree(copy)


def test_a_linear_model_starts_without_heavy_packages(world, tmp_path):
    words = ["--model", world.model("gene_index"), "--expression", expression_file(world, tmp_path)]
    program = (
        "import sys; from amlprognosis.cli import main; status = main(sys.argv[1:]); "
        "heavy = {'xgboost', 'scanpy', 'sksurv', 'anndata', 'lifelines', 'skops', 'altair', 'snakemake'}; "
        "print(sorted(heavy & set(sys.modules))); sys.exit(status)"
    )
    command = [sys.executable, "-c", program, "predict", *map(str, words), "--out", str(tmp_path / "o.tsv")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=dict(os.environ))
    assert done.stdout.strip().endswith("[]")


def test_the_library_says_what_the_command_says(world, tmp_path):
    found = predict([world.model("gene_index")], Tables(expression_file(world, tmp_path)))
    assert found.table["adaptation"].tolist() == ["none"]
    assert found.curves.empty
    assert found.contributions.empty
    assert found.notes == []
    assert_same(found.table.iloc[0], world.row("gene_index", PATIENT, "none"))
