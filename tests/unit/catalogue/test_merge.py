"""A cohort takes an entry of the catalogue; what the study says wins; faults are told before anything runs."""

from __future__ import annotations

from typing import Any

import pytest

from amlprognosis.catalogue import load_catalogue, with_catalogue
from amlprognosis.errors import InputError
from amlprognosis.study import Study, load_study

TABLES = {"type": "tables", "expression": "e.tsv", "scale": "log2", "clinical": "c.tsv", "clinical_id": "id"}
OUTCOME = {"os_time": {"column": "t", "unit": "days"}, "os_event": {"column": "e"}}


def study(**cohort: Any) -> Study:
    return load_study({"study": "x", "title": "t", "cohorts": {"A": {"role": "training", **cohort}}}, name="s.yaml")


def test_source_mapping_label_and_note_come_from_the_entry() -> None:
    found = study(catalogue="gse37642-gpl96").cohorts["A"]
    assert found.catalogue == "GSE37642-GPL96"
    assert (found.source.accession, found.source.platform) == ("GSE37642", "GPL96")
    assert found.clinical.os_time.column == "overall survival (days)"
    assert found.label == "GSE37642 (AMLCG 1999, U133A)"
    assert "J Clin Oncol 2013" in found.source.source_note
    assert "public GEO data" in found.source.source_note


def test_keys_of_the_study_win_at_every_depth() -> None:
    found = study(
        catalogue="GSE37642-GPL96",
        label="Ours",
        source={"scale": "log2", "source_note": "note"},
        clinical={"os_time": {"column": "os"}, "age": None, "exclude": [], "categories": {"trial": "protocol"}},
    ).cohorts["A"]
    assert found.label == "Ours"
    assert (found.source.accession, found.source.scale, found.source.source_note) == ("GSE37642", "log2", "note")
    # The unit is the entry's, the column the study's.
    assert (found.clinical.os_time.column, found.clinical.os_time.unit) == ("os", "days")
    assert found.clinical.age is None
    assert found.clinical.exclude == []
    assert found.clinical.categories == {"trial": "protocol"}
    assert found.clinical.os_event.column == "life status"


def test_own_tables_of_the_same_patients_take_the_citation_alone() -> None:
    found = study(catalogue="TCGA-LAML", source=TABLES, clinical=OUTCOME).cohorts["A"]
    assert found.source.type == "tables"
    assert "N Engl J Med 2013" in found.source.source_note
    assert found.clinical.exclude == []
    assert found.label == ""


def test_an_entry_that_no_program_reads_may_be_named_by_own_tables() -> None:
    assert study(catalogue="GSE425", source=TABLES, clinical=OUTCOME).cohorts["A"].catalogue == "GSE425"


@pytest.mark.parametrize(
    ("cohort", "expected"),
    [
        ({"catalogue": "GSE3764"}, r"s.yaml: cohorts.A.catalogue: 'GSE3764': no such entry; did you mean GSE37642"),
        (
            {"catalogue": "GSE425"},
            r"cohorts.A.catalogue: GSE425 cannot be a cohort: GEO's files .* See https://www.ncbi",
        ),
        (
            {"catalogue": "BloodSpot"},
            r"BloodSpot cannot be a cohort: A page for one gene .* See https://www.bloodspot.eu",
        ),
        ({"catalogue": "GSE116256"}, r"GSE116256 cannot be a cohort: it is an atlas; paste its section under .*\. See"),
        ({"catalogue": "GSE71014", "source": {"platfrm": 1}}, r"cohorts.A.source.platfrm: unknown key; did you mean"),
        ({"catalogue": 7}, r"cohorts.A.catalogue: .*string"),
        ({"catalogue": "", "source": TABLES}, r"clinical is needed for this source"),
        ({}, r"cohorts.A.source: this key is needed"),
    ],
)
def test_faults_name_file_key_and_remedy(cohort: dict, expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        study(**cohort)


@pytest.mark.parametrize("cohorts", [None, [], {"A": None}, {"A": 3}, {"A": {"catalogue": []}}])
def test_what_is_no_study_is_left_to_its_validation(cohorts: Any) -> None:
    assert with_catalogue({"cohorts": cohorts}) == {"cohorts": cohorts}
    with pytest.raises(InputError, match="cohorts"):
        load_study({"study": "x", "title": "t", "cohorts": cohorts})


def test_the_catalogue_itself_is_not_changed_by_a_merge() -> None:
    before = load_catalogue().model_dump()
    study(catalogue="GSE37642-GPL96", clinical={"age": None, "exclude": []})
    assert load_catalogue().model_dump() == before


def test_what_is_merged_counts_for_the_fingerprint() -> None:
    written = study(catalogue="GSE71014")
    other = study(catalogue="GSE71014", source={"scale": "log2"})
    assert written.fingerprint("cohorts.A") != other.fingerprint("cohorts.A")
    assert written.retrieval_fingerprint("geo", "GSE71014") != other.retrieval_fingerprint("geo", "GSE71014")
    plain = load_catalogue().entries["GSE71014"].cohort
    by_hand = study(catalogue="GSE71014", **plain)
    assert by_hand.fingerprint("cohorts.A") == written.fingerprint("cohorts.A")
