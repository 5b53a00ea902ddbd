"""Published signatures: found by their files, named by a study, refused before any job runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_names import minimal

from amlprognosis.errors import InputError
from amlprognosis.signatures.tables import FOLDER, published_signatures, signature_label, signature_path
from amlprognosis.study import Study, check_files, load, model_label
from amlprognosis.study.modelling import Evaluation
from amlprognosis.study.names import (
    COMPARATORS,
    canonical_name,
    comparators_among,
    is_comparator,
    may_be_refused,
    signature_fault,
)

TABLE = "# A score.\n# label: My score (2020)\ngene\tweight\nCD34\t1\nGPR56\t-0.5\n"


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "weights.tsv"
    path.write_text(TABLE, encoding="utf-8")
    return path


def with_own(path: Path, name: str = "my_score", **models: object) -> Study:
    return minimal({"signatures": {name: str(path)}, **models})


def test_every_table_of_the_folder_is_a_comparator_lsc17_first() -> None:
    stems = {path.stem for path in FOLDER.glob("*.tsv")}
    found = [name for name in COMPARATORS if name in stems]
    assert set(found) == stems == set(published_signatures())
    assert found[0] == "lsc17"
    assert model_label("lsc17") == "LSC17 (published weights)"
    assert canonical_name("plsc6") == "plsc6"
    assert set(COMPARATORS) <= set(minimal({}).models.run)
    assert set(COMPARATORS) <= set(minimal({"run": ["gene_index", "comparators"]}).models.run)


def test_every_comparator_is_a_set_of_names() -> None:
    with pytest.raises(InputError, match="'comparator' is not known; did you mean comparators"):
        minimal({"run": ["gene_index", "comparator"]})
    study = minimal({"run": ["gene_index", "age", "comparators"]})
    assert study.models.run == ["gene_index", "age", *(name for name in COMPARATORS if name != "age")]
    with pytest.raises(ValueError, match="'comparators' is a set; name single models"):
        Evaluation(report_models=["comparators"])


def test_tables_dropped_into_a_folder(tmp_path: Path) -> None:
    (tmp_path / "zeta.tsv").write_text(TABLE, encoding="utf-8")
    (tmp_path / "lsc17.tsv").write_text("gene\tweight\n", encoding="utf-8")
    (tmp_path / "alpha.tsv").write_bytes(b"\xff\xfe")
    (tmp_path / "notes.txt").write_text("no table")
    assert published_signatures(tmp_path) == {"lsc17": "lsc17", "alpha": "alpha", "zeta": "My score (2020)"}
    assert list(published_signatures(tmp_path)) == ["lsc17", "alpha", "zeta"]
    assert signature_label(tmp_path / "absent.tsv") == "absent"


def test_a_signature_of_the_study_runs_as_a_comparator(own: Path) -> None:
    study = with_own(own)
    assert study.models.run[-1] == "my_score"
    assert study.groups()["linear"][-1] == "my_score"
    assert study.model_parameters("my_score") == {"path": str(own)}
    assert is_comparator("my_score")
    assert may_be_refused("my_score")
    assert model_label("my_score") == "My score (2020)"
    assert comparators_among(["my_score", "gene_index", "lsc17", "age"]) == ["age", "lsc17", "my_score"]
    # Where it stands in the list is the study's choice; in models.evaluation it may be reported.
    assert with_own(own, run=["my_score", "gene_index"]).models.run == ["my_score", "gene_index"]


def test_another_table_reruns_the_fits_that_read_it(own: Path) -> None:
    study = with_own(own)
    before, others = study.models_fingerprint(["my_score"]), study.models_fingerprint(["gene_index"])
    own.write_text(TABLE + "TP53\t1\n", encoding="utf-8")
    assert study.models_fingerprint(["my_score"]) != before
    assert study.models_fingerprint(["gene_index"]) == others
    assert study.signature_table("lsc17") == signature_path("lsc17")


@pytest.mark.parametrize("name", ["LSC18", "2genes", "a-b", "age", "svm", "svm_5y", "ten", "grid", "comparators"])
def test_names_that_a_signature_cannot_have(own: Path, name: str) -> None:
    assert signature_fault(name)
    with pytest.raises(InputError, match=rf"models.signatures: '{name}' is "):
        with_own(own, name)


def test_names_that_are_taken(own: Path) -> None:
    with pytest.raises(InputError, match="'lsc17' is a table of resources/signatures already"):
        with_own(own, "lsc17")
    with pytest.raises(InputError, match="'run' is a key of models"):
        with_own(own, "run")


def test_a_bad_table_ends_the_run_at_its_start(own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("e.tsv", "c.tsv"):
        (tmp_path / name).write_text("x\n")
    study = minimal({"signatures": {"my_score": "weights.tsv"}})
    study = study.model_copy(update={"gene_sets": study.gene_sets.model_copy(update={"file": "e.tsv"})})
    check_files(study)
    own.write_text(TABLE + "TP53\tone\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"weights.tsv, line 6: weight of 'TP53' is 'one', not a number"):
        check_files(study)
    own.unlink()
    with pytest.raises(InputError, match=r"models.signatures.my_score: no such file or folder: weights.tsv"):
        check_files(study)
    own.write_text(TABLE, encoding="utf-8")
    monkeypatch.setattr(load, "published_signatures", lambda: {"LSC-18": "LSC-18"})
    with pytest.raises(InputError, match=r"LSC-18.tsv: 'LSC-18' is no name of a signature"):
        check_files(study)
