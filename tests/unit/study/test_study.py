"""The configuration: one description, refused typos, errors that name key and remedy."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from amlprognosis.errors import InputError
from amlprognosis.study import Study, check_files, horizon_days, load_study, model_label, model_slug
from amlprognosis.study.docs import models_in, readme_text, schema_text
from amlprognosis.study.names import COMPARATORS, FIXED_LABELS, HORIZON_LABELS

ROOT = Path(__file__).parents[3]


def minimal() -> dict:
    return {
        "study": "x",
        "title": "t",
        "cohorts": {
            "A": {
                "role": "training",
                "source": {
                    "type": "tables",
                    "expression": "e.tsv",
                    "scale": "log2",
                    "clinical": "c.tsv",
                    "clinical_id": "id",
                },
                "clinical": {"os_time": {"column": "t", "unit": "days"}, "os_event": {"column": "e"}},
            }
        },
    }


def changed(path: str, value: object) -> dict:
    study = copy.deepcopy(minimal())
    place = study
    *parents, last = path.split(".")
    for part in parents:
        place = place.setdefault(part, {})
    place[last] = value
    return study


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("titel", "x", r"study.yaml: titel: unknown key; did you mean 'title'\?"),
        ("cohorts.A.source.expresion", "x", r"cohorts.A.source.expresion: unknown key; did you mean 'expression'\?"),
        ("cohorts.A.clinical.os_time.unit", "weeks", r"os_time.unit: .*'days', 'months' or 'years' \(given: 'weeks'\)"),
        ("cohorts.A.source.type", "ftp", r"cohorts.A.source.type: must be one of tables, geo, geo_supplement, gdc"),
        ("models.gene_index.scren_p", 1, r"models.gene_index.scren_p: unknown key; did you mean 'screen_p'\?"),
        ("models.run", ["rsf"], r"models.run: .*'rsf' is not known; did you mean RSF\?"),
        ("evaluation.horizons_years", [3, float("nan")], r"every horizon must be above 0 and at most 50 years"),
        ("evaluation.horizons_years", [3, 1e9], r"every horizon must be above 0 and at most 50 years"),
        ("crossvalidation.stratify", ["risk"], r"stratify: 'risk' is no column of groups of A. Known are none; map it"),
        ("cohorts.A.role", "validation", r"exactly one cohort must have role: training \(found none\)"),
        ("cohorts.A.clinical", None, r"cohorts.A: clinical is needed for this source"),
        ("cohorts.A.clinical.os_event.dead", ["0"], r"'0' cannot mean both dead and alive"),
        ("cohorts.A.clinical.os_event.dead", ["0.0"], r"os_event: '0' cannot mean both dead and alive"),
        ("cohorts.A.clinical.os_event.dead", [], r"os_event.dead: .*at least 1 item"),
        ("cohorts.A.clinical.sex", {"column": "s", "male": ["F"]}, r"sex: 'F' cannot mean both female and male"),
        (
            "cohorts.A.clinical.risk",
            {"column": "r", "adverse": ["Favorable"]},
            r"risk: 'Favorable' cannot mean both favourable and adverse",
        ),
        ("cohorts.A.titel", "x", r"cohorts.A.titel: unknown key.* Valid keys here: role"),
        ("cohorts.A.source.gene_ids", "probe", r"cohorts.A.source: gene_map is needed for gene_ids: probe"),
        ("cohorts.A.source.patient_pattern", "(", r"source.patient_pattern: not a regular expression: missing \)"),
        ("cohorts.A.source.patient_pattern", "X", r"source.patient_pattern: has no group"),
        ("cohorts.A.clinical.extract", {"d": {"column": "c", "pattern": "("}}, r"extract.d.pattern: not a regular"),
        ("cohorts.A.clinical.extract", {"d": {"column": "c", "pattern": "d"}}, r"pattern: has no group"),
        ("cohorts.A.clinical.extract", {"d": {"column": "c", "pattern": "(a)(b)"}}, r"pattern: has 2 groups; put"),
        ("cohorts.A.source", {"type": "gdc", "project": ".."}, r"source.project: String should match"),
        ("cohorts.A.source", {"type": "gdc", "base_url": "https://"}, r"source.base_url: no address: http:// or"),
        ("cohorts.A.source", {"type": "gdc", "base_url": "http//x"}, r"source.base_url: no address: http:// or"),
        ("cohorts.A.source", {"type": "gdc", "base_url": "http://x:99999"}, r"source.base_url: no address: http:// or"),
        ("cohorts.A.source", {"type": "xena", "cohort": "T", "survival": "{cohrt}.x"}, r"survival: the name of a file"),
        (
            "cohorts.A.source",
            {"type": "geo_supplement", "accession": "GSE1", "supplement": "../x"},
            r"supplement: the name of a file in suppl/, without folders",
        ),
        ("retrieval.mirrors", {"geo": "ftp://x"}, r"retrieval.mirrors.geo: ftp:// is not spoken"),
        ("retrieval.mirrors", {"geos": "x"}, r"retrieval.mirrors.geos: Input should be 'geo', 'gdc'"),
        ("retrieval.timeout_seconds", float("inf"), r"retrieval.timeout_seconds: .*3600"),
        ("crossvalidation.folds", 1, r"crossvalidation.folds: .*greater than or equal to 2 \(given: 1\)"),
        ("evaluation.main_horizon_years", 4, r"main_horizon_years must be one of"),
        ("cohorts.A.source.clinical_id", None, r"cohorts.A.source.clinical_id: "),
    ],
)
def test_faults_name_file_key_and_remedy(path: str, value: object, expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        load_study(changed(path, value), name="study.yaml")


def test_missing_key_is_named() -> None:
    study = minimal()
    del study["cohorts"]["A"]["source"]["clinical"]
    with pytest.raises(InputError, match=r"cohorts.A.source.clinical: this key is needed"):
        load_study(study)


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such study file"):
        load_study(tmp_path / "none.yaml")
    (tmp_path / "bad.yaml").write_text("a: [1")
    with pytest.raises(InputError, match=r"bad.yaml: not a YAML file"):
        load_study(tmp_path / "bad.yaml")
    (tmp_path / "list.yaml").write_text("- 1")
    with pytest.raises(InputError, match="a study is a mapping"):
        load_study(tmp_path / "list.yaml")


def test_missing_data_files_are_all_named(tmp_path: Path) -> None:
    study = load_study(changed("data_root", str(tmp_path)))
    with pytest.raises(InputError) as caught:
        check_files(study, name="study.yaml")
    assert "cohorts.A.source.expression: no such file or folder" in str(caught.value)
    assert "cohorts.A.source.clinical: no such file or folder" in str(caught.value)
    (tmp_path / "e.tsv").touch()
    (tmp_path / "c.tsv").mkdir()
    with pytest.raises(InputError, match=r"cohorts.A.source.clinical: a folder, where a file is meant: "):
        check_files(study)
    (tmp_path / "c.tsv").rmdir()
    (tmp_path / "c.tsv").touch()
    check_files(study)


def test_a_mirror_that_is_no_folder_is_named_by_its_own_key(tmp_path: Path) -> None:
    content = changed("retrieval.mirrors", {"gdc": f"file://{tmp_path}/my%20gdc"})
    content["cohorts"]["A"]["source"] = {"type": "gdc"}
    study = load_study(content)
    assert study.base(study.cohorts["A"].source) == f"{tmp_path}/my gdc"  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"retrieval.mirrors.gdc: no such file or folder: .*/my gdc"):
        check_files(study)
    (tmp_path / "my gdc").touch()
    with pytest.raises(InputError, match=r"retrieval.mirrors.gdc: a file, where a folder is meant"):
        check_files(study)


def test_every_model_belongs_to_one_group_and_has_a_label() -> None:
    study = load_study(changed("models", [*FIXED_LABELS, *(f"{kind}_3y" for kind in HORIZON_LABELS), "all101"]))
    names = [name for group in study.groups().values() for name in group]
    assert sorted(names) == sorted(study.models.run)
    assert len(set(names)) == len(names) == len({*FIXED_LABELS, *COMPARATORS}) + len(HORIZON_LABELS) + 101
    assert all(model_label(name) for name in names)
    assert len({model_slug(name) for name in names}) == len(names)
    assert len(study.grid_groups()) == 6


def test_fingerprint_changes_with_its_section_only() -> None:
    one, other = load_study(minimal()), load_study(changed("seed", 9))
    assert one.fingerprint("seed") != other.fingerprint("seed")
    assert one.fingerprint("models") == other.fingerprint("models")
    assert "{" not in one.fingerprint("cohorts")


def test_locations() -> None:
    study = load_study(changed("data_root", "data"))
    assert study.location("https://host/geo/") == "https://host/geo"
    assert study.location("file://mirror/geo") == "data/mirror/geo"
    assert study.location("/abs/geo") == "/abs/geo"
    assert horizon_days(2) == 730.5


def test_every_key_is_described() -> None:
    def described(model: type[BaseModel]) -> None:
        for key, field in model.model_fields.items():
            assert field.description, f"{model.__name__}.{key}"
            for inner in models_in(field.annotation):
                described(inner)

    described(Study)


def test_generated_documents_have_not_drifted() -> None:
    readme = (ROOT / "config" / "README.md").read_text(encoding="utf-8")
    assert readme_text(readme) == readme, "run `make docs`"
    assert (ROOT / "config" / "schema.json").read_text(encoding="utf-8") == schema_text(), "run `make docs`"


@pytest.mark.parametrize(
    "path",
    sorted([*(ROOT / "config").rglob("*.yaml"), *(ROOT / "tests" / "workflow").glob("*.yaml")]),
    ids=lambda p: p.name,
)
def test_shipped_studies_are_valid(path: Path) -> None:
    assert load_study(path).study
    assert yaml.safe_load(path.read_text(encoding="utf-8"))["title"]


def test_stratify_names_columns_that_the_training_cohort_maps() -> None:
    study = changed("crossvalidation.stratify", ["trial", "risk"])
    study["cohorts"]["A"]["clinical"] |= {"categories": {"trial": "protocol"}, "risk": {"column": "eln"}}
    assert load_study(study).crossvalidation.stratify == ["trial", "risk"]
    study["crossvalidation"]["stratify"] = ["trail"]
    with pytest.raises(InputError, match=r"'trail' is no column of groups of A; did you mean 'trial'\?"):
        load_study(study)
