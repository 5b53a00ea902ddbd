"""The catalogue: complete against what was asked for, valid, honest about what it does not know."""

from __future__ import annotations

import copy
import re
from pathlib import Path

import pytest
import yaml

from amlprognosis.catalogue import find_entry, load_catalogue
from amlprognosis.catalogue.entries import Catalogue, entries_of, read_catalogue
from amlprognosis.errors import InputError
from amlprognosis.study import Clinical, load_study
from amlprognosis.study.cohorts import Atlas, Cohort
from amlprognosis.study.sources import OWN_MAPPING

# What the catalogue must name, by the start of an id.
ASKED = [
    "TCGA-LAML", "TARGET-AML", "BeatAML2", "GSE37642-GPL96", "GSE37642-GPL97", "GSE37642-GPL570",
    "GSE12417-GPL96", "GSE12417-GPL97", "GSE12417-GPL570", "GSE6891", "GSE10358", "GSE71014", "GSE106291",
    "GSE146173", "GSE425", "Leucegene", "AMLSG", "GSE116256", "GSE122505", "GSE122511", "GSE122515",
    "GSE162950", "GSE135202", "BloodSpot", "Hemap", "Haemosphere", "ABC-portal", "StemDriver", "LeukemiaDB",
    "REDH", "BloodChIP", "Blood-Proteoform-Atlas", "MyCancerGenome", "HemOnc", "ELN",
]  # fmt: skip
CATALOG = load_catalogue()
READABLE = [key for key, entry in CATALOG.entries.items() if entry.readable]
COHORTS = [key for key in READABLE if CATALOG.entries[key].cohort is not None]


def test_everything_that_was_asked_for_has_an_entry() -> None:
    assert sorted(set(ASKED) - set(CATALOG.entries)) == []


@pytest.mark.parametrize("key", list(CATALOG.entries))
def test_an_entry_is_whole(key: str) -> None:
    entry = CATALOG.entries[key]
    assert entry.holds.endswith(".")
    assert entry.address.startswith(("http://", "https://"))
    assert entry.licence
    assert all(trap.endswith(".") for trap in entry.traps)
    assert entry.readable or entry.reason.endswith(".")
    for citation in entry.citations:
        # Articles have a DOI, or it is said that none was found.
        assert citation.doi or "doi" in entry.not_verified or len(entry.citations) > 1 or key == "MyCancerGenome"
        assert citation.doi is None or re.fullmatch(r"10\.\d{4,9}/\S+", citation.doi)
    # A number of patients that is not known is not made up, and what a number counts is said.
    assert entry.patients.number is None or entry.patients.number > 0
    assert entry.patients.note
    assert entry.endpoint.deaths is None or entry.endpoint.note


@pytest.mark.parametrize("key", COHORTS)
def test_a_cohort_that_is_read_says_how_and_how_large(key: str) -> None:
    entry = CATALOG.entries[key]
    cohort = Cohort.model_validate({"role": "validation", **entry.cohort})
    assert cohort.label
    assert cohort.clinical is not None or isinstance(cohort.source, OWN_MAPPING)
    assert entry.downloads
    assert entry.traps
    assert entries_of(cohort)[0] == key
    assert "OS" in entry.endpoint.what or entry.verified.by == "unverified"
    for download in entry.downloads:
        assert download.megabytes is None or download.megabytes > 0
    # A mapping that no file, no code and no documentation confirms says what to do.
    if entry.verified.by != "genuine file":
        assert entry.verified.note


def test_atlases_are_sections_of_a_study() -> None:
    atlases = {key: entry.atlas for key, entry in CATALOG.entries.items() if entry.atlas is not None}
    assert sorted(atlases) == ["GSE116256", "GSE135202", "GSE162950"]
    for key, atlas in atlases.items():
        assert Atlas.model_validate(atlas).accession == key


def test_no_series_is_called_checked_by_a_file_that_was_not_there() -> None:
    """Files at hand were TCGA by Xena, GSE116256, and copies of GSE425 and AMLSG by others."""
    genuine = {key for key, entry in CATALOG.entries.items() if entry.verified.by == "genuine file"}
    assert genuine == {"TCGA-LAML-Xena", "GSE116256", "GSE425", "AMLSG"}


def test_an_unknown_entry_names_the_nearest() -> None:
    assert find_entry(" tcga-laml ")[0] == "TCGA-LAML"
    for name, expected in (
        ("GSE37624", "GSE37642-GPL96"),
        ("tcga", "did you mean TCGA-LAML or"),
        ("beat-aml2", "BeatAML2"),
        ("xyzzy", r"no such entry\. `amlprognosis catalogue` lists"),
        ("", r"no such entry\. "),
    ):
        with pytest.raises(InputError, match=expected):
            find_entry(name)


def content() -> dict:
    """A small catalogue: an entry that is read and one that is not."""
    entries = {key: CATALOG.entries[key].model_dump(mode="json") for key in ("GSE71014", "GSE425")}
    return {"date": CATALOG.date, "entries": entries, "overlaps": []}


def write(folder: Path, changed: dict) -> Path:
    path = folder / "cohorts.yaml"
    path.write_text(yaml.safe_dump(changed), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("place", "value", "expected"),
    [
        (("GSE71014", "citations", 0, "doi"), "doi:10.1/x", r"entries.GSE71014.citations.0.doi: String should match"),
        (
            ("GSE71014", "cohort", "source", "platform"),
            "570",
            r"entries.GSE71014.source.geo.platform: String should match",
        ),
        (("GSE71014", "cohort", "sauce"), 1, r"entries.GSE71014.sauce: Extra inputs"),
        (("GSE71014", "readable"), False, r"entries.GSE71014: Value error, reason is for entries that cannot be read"),
        (("GSE425", "reason"), "", r"entries.GSE425: Value error, reason is for entries that cannot be read"),
        (("GSE425", "access"), "free", r"entries.GSE425.access: Input should be 'open'"),
        (("GSE71014", "colour"), "red", r"entries.GSE71014.colour: Extra inputs are not permitted"),
        (("gse71014",), copy.deepcopy(content()["entries"]["GSE425"]), r"two ids differ by their case alone"),
    ],
)
def test_a_faulty_catalogue_names_its_key(tmp_path: Path, place: tuple, value: object, expected: str) -> None:
    changed = content()
    spot = changed["entries"]
    for part in place[:-1]:
        spot = spot[part]
    spot[place[-1]] = value
    with pytest.raises(InputError, match=expected):
        read_catalogue(write(tmp_path, changed))


def test_a_catalogue_in_parts_has_no_entry_twice(tmp_path: Path) -> None:
    whole = content()
    path = write(tmp_path, whole)
    (tmp_path / "catalogue").mkdir()
    more = tmp_path / "catalogue" / "more.yaml"
    more.write_text(yaml.safe_dump({"entries": {"NEW": whole["entries"]["GSE425"]}}), encoding="utf-8")
    assert "NEW" in read_catalogue(path).entries
    more.write_text(yaml.safe_dump({"entries": {"GSE425": whole["entries"]["GSE425"]}}), encoding="utf-8")
    with pytest.raises(InputError, match=r"more.yaml: entries.GSE425: stands twice"):
        read_catalogue(path)
    more.write_text("- a list", encoding="utf-8")
    with pytest.raises(InputError, match=r"more.yaml: a catalogue is a mapping"):
        read_catalogue(path)
    more.write_text("a: [", encoding="utf-8")
    with pytest.raises(InputError, match=r"more.yaml: not a YAML file"):
        read_catalogue(path)
    with pytest.raises(InputError, match=r"nowhere.yaml: the catalogue is missing"):
        read_catalogue(tmp_path / "nowhere.yaml")


def test_the_catalogue_validates_itself_again() -> None:
    assert Catalogue.model_validate(CATALOG.model_dump(by_alias=True)) == CATALOG


@pytest.mark.parametrize("key", COHORTS)
def test_a_study_of_each_entry_loads(key: str) -> None:
    study = load_study({"study": "x", "title": "t", "cohorts": {"A": {"role": "training", "catalogue": key}}})
    entry = CATALOG.entries[key]
    assert study.cohorts["A"].label == entry.cohort["label"]
    assert study.cohorts["A"].source.source_note == entry.source_note
    mapping = study.cohorts["A"].clinical
    assert mapping is None or isinstance(mapping, Clinical)
