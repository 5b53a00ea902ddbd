"""Overlaps: symmetric, between entries that exist; studies that fall for one are warned, others are not."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest
from pydantic import ValidationError

from amlprognosis.catalogue import load_catalogue, overlap_between, overlap_warnings, study_overlaps
from amlprognosis.catalogue.entries import Overlap
from amlprognosis.study import Study, load_study

CATALOG = load_catalogue()
OUTCOME = {"os_time": {"column": "t", "unit": "days"}, "os_event": {"column": "e"}}
TABLES = {"type": "tables", "expression": "e.tsv", "scale": "log2", "clinical": "c.tsv", "clinical_id": "id"}


def study(**cohorts: Any) -> Study:
    """A study of cohorts; the first is the training cohort; a text is an entry of the catalogue."""
    sections = {
        name: {"role": "validation" if k else "training", **({"catalogue": c} if isinstance(c, str) else c)}
        for k, (name, c) in enumerate(cohorts.items())
    }
    return load_study({"study": "x", "title": "t", "cohorts": sections})


def by_hand(accession: str, platform: str) -> dict[str, Any]:
    return {"source": {"type": "geo", "accession": accession, "platform": platform}, "clinical": OUTCOME}


def test_every_overlap_is_of_entries_says_why_and_is_symmetric() -> None:
    for overlap in CATALOG.overlaps:
        assert overlap.evidence.endswith(".")
        for first, second in overlap.pairs:
            assert {first, second} <= set(CATALOG.entries)
            assert first != second
    for first, second in combinations(CATALOG.entries, 2):
        assert overlap_between(first, second) == overlap_between(second, first)


@pytest.mark.parametrize(
    ("first", "second", "kind"),
    [
        ("GSE12417-GPL96", "GSE37642-GPL96", "partly"),
        ("GSE12417-GPL570", "GSE37642-GPL570", "partly"),
        ("GSE12417-GPL570", "GSE37642-GPL96", "possible"),
        ("GSE37642-GPL96", "GSE37642-GPL97", "known"),
        ("GSE37642-GPL96", "GSE37642-GPL570", None),
        ("GSE106291", "GSE37642-GPL96", "possible"),
        ("GSE106291", "GSE146173", "known"),
        ("GSE425", "AMLSG", "possible"),
        ("TCGA-LAML", "TCGA-LAML-Xena", "known"),
        ("TCGA-LAML", "TCGA-LAML-cBioPortal", "known"),
        ("BeatAML2", "BEATAML1-GDC", "known"),
        ("BeatAML2", "TCGA-LAML", None),
        ("GSE6891", "GSE1159", "partly"),
        ("GSE10358", "TCGA-LAML", "partly"),
        ("GSE122511", "GSE6891", "possible"),
        ("GSE71014", "TCGA-LAML", None),
    ],
)
def test_overlaps_that_the_field_knows(first: str, second: str, kind: str | None) -> None:
    found = overlap_between(first, second)
    assert (found.kind if found else None) == kind


@pytest.mark.parametrize(
    "faulty",
    [
        {"between": ["A"], "kind": "known", "evidence": "x"},
        {"between": ["A", "A"], "kind": "known", "evidence": "x"},
        {"between": ["A"], "and": ["A", "B"], "kind": "known", "evidence": "x"},
        {"between": ["A", "B"], "kind": "sure", "evidence": "x"},
    ],
)
def test_a_faulty_overlap_is_refused(faulty: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Overlap.model_validate(faulty)


def test_training_and_validation_on_the_same_patients_is_warned() -> None:
    found = study_overlaps(study(T="GSE37642-GPL570", V="GSE12417-GPL570"))
    assert [(pair.first, pair.second, pair.training, pair.kind) for pair in found] == [("T", "V", True, "partly")]
    assert found[0].text.startswith("T (training) and V (validation) share patients: patients that the models saw")


def test_two_validation_cohorts_of_the_same_patients_are_warned() -> None:
    found = study_overlaps(study(T="TCGA-LAML", A="GSE37642-GPL96", B="GSE71014", C="GSE37642-GPL97"))
    assert [(pair.first, pair.second, pair.kind, pair.shared) for pair in found] == [("A", "C", "known", 422)]
    assert "a pooled estimate counts these patients twice" in found[0].text
    assert "(422)" in found[0].text


def test_the_training_cohort_is_the_first_of_a_pair_wherever_it_stands() -> None:
    written = study(T="GSE10358", V="TCGA-LAML-cBioPortal")
    turned = Study.model_validate(
        {**written.model_dump(), "cohorts": dict(reversed(list(written.model_dump()["cohorts"].items())))}
    )
    assert overlap_warnings(written) == overlap_warnings(turned) != []


@pytest.mark.parametrize(
    ("training", "validation", "kind"),
    [
        (by_hand("GSE37642", "GPL96"), by_hand("GSE12417", "GPL96"), "partly"),
        (by_hand("GSE37642", "GPL96"), by_hand("GSE37642", "GPL97"), "known"),
        (by_hand("GSE37642", "GPL96"), by_hand("GSE37642", "GPL570"), None),
        (by_hand("GSE37642", "GPL96"), by_hand("GSE37642", "GPL96"), "known"),
        (by_hand("GSE999", "GPL96"), by_hand("GSE999", "GPL96"), "known"),
        (by_hand("GSE999", "GPL96"), by_hand("GSE999", "GPL97"), "possible"),
        (by_hand("GSE999", "GPL96"), by_hand("GSE998", "GPL96"), None),
        ({"source": {"type": "gdc"}}, {"source": {"type": "xena", "cohort": "TCGA-LAML"}}, "known"),
        (
            {"source": {"type": "gdc", "project": "BEATAML1.0-COHORT"}},
            {"source": {"type": "beataml"}},
            "known",
        ),
        (
            {"source": {"type": "cbioportal", "study": "laml_tcga_pub", "profile": "rna_seq_v2_mrna"}},
            by_hand("GSE10358", "GPL570"),
            "partly",
        ),
        # Own tables are known by the entry that they name, and by nothing else.
        ({"catalogue": "TCGA-LAML", "source": TABLES, "clinical": OUTCOME}, {"source": {"type": "gdc"}}, "known"),
        ({"source": TABLES, "clinical": OUTCOME}, {"source": {"type": "gdc"}}, None),
        ({"source": TABLES, "clinical": OUTCOME}, {"source": TABLES, "clinical": OUTCOME}, None),
    ],
)
def test_sources_written_by_hand_are_recognised(training: dict, validation: dict, kind: str | None) -> None:
    found = study_overlaps(study(T=training, V=validation))
    assert [pair.kind for pair in found] == ([kind] if kind else [])


def test_a_study_without_shared_patients_is_not_warned() -> None:
    assert overlap_warnings(study(T="TCGA-LAML", A="GSE37642-GPL96", B="GSE71014", C="BeatAML2")) == []
