from __future__ import annotations

import json
from typing import Any

from as_read import decoded, harmless
from hypothesis import given
from hypothesis import strategies as st
from mangle import outcome, spoiled

from amlprognosis.retrieve.gdc_clinical import flatten_cases
from amlprognosis.retrieve.gdc_files import list_files

STAR = ".rna_seq.augmented_star_gene_counts.tsv"
UNKNOWN = {"", "--", "'--", "not reported", "unknown", "not available", "not applicable", "unspecified"}


def answer(hits: list[dict[str, Any]]) -> str:
    return json.dumps({"data": {"hits": hits, "pagination": {"total": len(hits)}}}, indent=1) + "\n"


FILES = answer(
    [
        {
            "file_id": f"0a{i}",
            "file_name": f"f{i}{STAR}" if i < 4 else f"f{i}.maf.gz",
            "md5sum": f"{i}" * 32,
            "file_size": 1000 + i,
            "access": "open" if i else "controlled",
            "data_type": "Gene Expression Quantification" if i < 4 else "Masked Somatic Mutation",
            "analysis": {
                "workflow_type": "STAR - Counts" if i < 4 else "Aliquot Ensemble Somatic Variant Merging and Masking"
            },
            "cases": [
                {
                    "submitter_id": f"TCGA-AB-280{i}",
                    "project": {"project_id": "TCGA-LAML"},
                    "samples": [{"submitter_id": f"TCGA-AB-280{i}-03A", "sample_type": "Primary Blood Derived Cancer"}],
                }
            ],
        }
        for i in range(6)
    ]
)
CASES = answer(
    [
        {
            "submitter_id": f"TCGA-AB-280{i}",
            "project": {"project_id": "TCGA-LAML"},
            "demographic": {
                "gender": "male" if i % 2 else "female",
                "vital_status": "Dead" if i % 3 else "Alive",
                "days_to_death": 100 + i if i % 3 else None,
            },
            "diagnoses": [{"age_at_diagnosis": 20000 + i, "days_to_last_follow_up": 30 * i}],
            "follow_ups": [{"days_to_follow_up": 300 + i}, {"days_to_follow_up": None}],
        }
        for i in range(5)
    ]
)


def known(value: Any) -> Any:
    return None if isinstance(value, str) and value.strip().lower() in UNKNOWN else value


def project_of(case: dict[str, Any]) -> str:
    return known((case.get("project") or {}).get("project_id")) or "TCGA-LAML"


@given(data=st.data())
def test_lists_of_files(tmp_path_factory, data):
    file = data.draw(spoiled(FILES))
    path = tmp_path_factory.mktemp("json") / "files.json"
    found = outcome(lambda place: list_files(place, "TCGA-LAML"), path, file.content)
    if found is None:
        assert not harmless(file)
        return
    expected = {}
    for hit in json.loads(decoded(file.content))["data"]["hits"]:
        name = (hit.get("file_name") or "").strip()
        case = hit.get("cases", [{}])[0]
        if not name.endswith((".augmented_star_gene_counts.tsv", ".maf.gz", ".maf")) or project_of(case) != "TCGA-LAML":
            continue
        expected[hit["file_id"].strip()] = (
            name,
            (known(hit.get("md5sum")) or "").strip(),
            known(hit.get("file_size")),
            (known(hit.get("access")) or "").strip() != "controlled",
            (case["submitter_id"].strip(),),
        )
    read = {item.file_id: (item.name, item.md5, item.size, item.open, item.cases) for item in found}
    assert read == expected
    if harmless(file):
        assert [item.rank for item in found] == [0] * 6


@given(data=st.data())
def test_clinical_data(tmp_path_factory, data):
    file = data.draw(spoiled(CASES))
    path = tmp_path_factory.mktemp("json") / "cases.json"
    found = outcome(lambda place: flatten_cases(place, "TCGA-LAML"), path, file.content)
    if found is None:
        assert not harmless(file)
        return
    table, _ = found
    cases = {
        hit["submitter_id"].strip(): hit
        for hit in json.loads(decoded(file.content))["data"]["hits"]
        if project_of(hit) == "TCGA-LAML"
    }
    assert list(table.index) == sorted(cases)
    for name, case in cases.items():
        demographic = case.get("demographic") or {}
        diagnoses = case.get("diagnoses") or []
        status = (known(demographic.get("vital_status")) or "").strip().lower()
        death = known(demographic.get("days_to_death"))
        times = [item.get("days_to_last_follow_up") for item in diagnoses]
        times += [item.get("days_to_follow_up") for item in case.get("follow_ups") or []]
        last = max((time for time in map(known, times) if time is not None), default=None)
        days = death if status == "dead" else None if status == "alive" and death is not None else last
        days = None if days is None or days < 0 else days
        assert table.loc[name, "os_days"] == ("" if days is None else f"{days}")
        sex = (known(demographic.get("gender")) or "").strip().lower()
        assert table.loc[name, "sex"] == (sex if sex in ("male", "female") else "")
        age = known(diagnoses[0].get("age_at_diagnosis")) if diagnoses else None
        assert table.loc[name, "age_at_diagnosis"] == ("" if age is None else f"{age}")
        assert table.loc[name, "vital_status"].strip() == (demographic.get("vital_status") or "").strip()
