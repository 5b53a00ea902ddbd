"""The clinical mappings of the catalogue on texts as the series are said to hold them, through the real parsers."""

from __future__ import annotations

import gzip
from pathlib import Path

import pandas as pd
import pytest

from amlprognosis.normalize.clinical import map_clinical
from amlprognosis.retrieve.series_matrix import parse_series_matrix
from amlprognosis.retrieve.sources import default_clinical
from amlprognosis.study import DAYS_PER_MONTH, load_study


def mapped(tmp_path: Path, entry: str, texts: list[list[str]]) -> tuple[pd.DataFrame, dict[str, str]]:
    """Outcome and clinical columns of samples with these characteristics, and why samples are left out."""
    names = [f"GSM{k}" for k in range(1, len(texts) + 1)]
    rows = [[f'"{sample[row]}"' for sample in texts] for row in range(len(texts[0]))]
    lines = [
        '!Series_title\t"x"',
        "",
        "\t".join(["!Sample_title", *(f'"{name}"' for name in names)]),
        "\t".join(["!Sample_geo_accession", *(f'"{name}"' for name in names)]),
        "\t".join(["!Sample_platform_id", *['"GPL96"' for _ in names]]),
        *("\t".join(["!Sample_characteristics_ch1", *row]) for row in rows),
        "!series_matrix_table_begin",
        "\t".join(['"ID_REF"', *(f'"{name}"' for name in names)]),
        "\t".join(['"1007_s_at"', *["7.5" for _ in names]]),
        "!series_matrix_table_end",
    ]
    path = tmp_path / "x_series_matrix.txt.gz"
    path.write_bytes(gzip.compress(("\n".join(lines) + "\n").encode()))
    cohort = {"role": "training", "catalogue": entry}
    clinical = load_study({"study": "x", "title": "t", "cohorts": {"A": cohort}}).cohorts["A"].clinical
    obs, left_out, _ = map_clinical(parse_series_matrix(path).samples, clinical, "x")
    return obs, {item["patient"]: item["reason"] for item in left_out}


@pytest.mark.parametrize("entry", ["GSE37642-GPL96", "GSE37642-GPL570"])
def test_amlcg(tmp_path: Path, entry: str) -> None:
    def sample(age: str, fab: str, days: str, status: str) -> list[str]:
        return [
            f"age: {age}", f"fab: {fab}", "runx1-runx1t1_fusion: no", "runx1_mutation: NA",
            f"overall survival (days): {days}", f"life status: {status}",
        ]  # fmt: skip

    texts = [
        sample("61", "4", "250", "dead"),
        sample("44", "3v", "900", "alive"),
        sample("70", "NA", "NA", "dead"),
        sample("33", "2", "0", "dead"),
        sample("50", "3", "10", "dead"),
        sample("55", "1", "2000", "alive"),
    ]
    obs, left_out = mapped(tmp_path, entry, texts)
    assert obs["os_time"].to_dict() == {"GSM1": 250, "GSM6": 2000}
    assert obs["os_event"].tolist() == [True, False]
    assert obs["age"].tolist() == [61, 55]
    assert left_out == {
        "GSM2": "acute promyelocytic leukaemia (FAB M3)",
        "GSM3": "overall survival time missing",
        "GSM4": "overall survival time zero",
        "GSM5": "acute promyelocytic leukaemia (FAB M3)",
    }


@pytest.mark.parametrize("entry", ["GSE12417-GPL96", "GSE12417-GPL97", "GSE12417-GPL570"])
def test_normal_karyotype_in_a_sentence(tmp_path: Path, entry: str) -> None:
    def sample(first: str, age: str, days: int, status: int) -> list[str]:
        return [f"{first}; age = {age} years; OS = {days} days; status (0=alive/1=dead): {status}"]

    texts = [
        sample("normal karyotype (test set) AML FAB M4", "62", 4, 1),
        sample("MDS normal karyotype (test set) MDS RAEB", "70", 300, 1),
        sample("normal karyotype (test set) AML FAB M1", "41.5", 1176, 0),
    ]
    obs, left_out = mapped(tmp_path, entry, texts)
    assert obs["os_time"].to_dict() == {"GSM1": 4, "GSM3": 1176}
    assert obs["os_event"].tolist() == [True, False]
    assert obs["age"].tolist() == [62, 41.5]
    assert left_out == {"GSM2": "myelodysplastic syndrome (RAEB)"}


def test_a_series_without_mds_is_read_all_the_same(tmp_path: Path) -> None:
    text = "normal karyotype AML FAB M4; age = 62 years; OS = 4 days; status (0=alive/1=dead): 1"
    assert len(mapped(tmp_path, "GSE12417-GPL96", [[text], [text]])[0]) == 2


def test_event_whose_key_holds_a_colon(tmp_path: Path) -> None:
    texts = [
        ["disease: AML", "karyotype: normal", "overall survival (months): 12.5", "event (1: dead, 0:alive): 1"],
        ["disease: AML", "karyotype: normal", "overall survival (months): 60", "event (1: dead, 0:alive): 0"],
    ]
    obs, left_out = mapped(tmp_path, "GSE71014", texts)
    assert obs["os_time"].tolist() == pytest.approx([12.5 * DAYS_PER_MONTH, 60 * DAYS_PER_MONTH])
    assert obs["os_event"].tolist() == [True, False]
    assert left_out == {}


def test_washington_university(tmp_path: Path) -> None:
    texts = [
        ["os months (3.31.10): 10.5", "vital status: Dead"],
        ["os months (3.31.10): NULL", "vital status: NULL"],
        ["os months (3.31.10): 80", "vital status: Alive"],
    ]
    obs, left_out = mapped(tmp_path, "GSE10358", texts)
    assert obs["os_event"].tolist() == [True, False]
    assert left_out == {"GSM2": "overall survival status missing"}


def clinical_of(entry: str):
    cohort = {"role": "training", "catalogue": entry}
    return load_study({"study": "x", "title": "t", "cohorts": {"A": cohort}}).cohorts["A"].clinical


def test_tcga_leaves_out_promyelocytic_leukaemia_by_patient() -> None:
    table = pd.DataFrame(
        {"os_days": ["10", "20"], "vital_status": ["Dead", "Alive"], "age_at_diagnosis": ["20000", ""], "sex": "male"},
        index=["TCGA-AB-2803", "TCGA-AB-2805"],
    )
    obs, left_out, _ = map_clinical(table, clinical_of("TCGA-LAML"), "x")
    assert list(obs.index) == ["TCGA-AB-2805"]
    assert left_out == [{"patient": "TCGA-AB-2803", "reason": "acute promyelocytic leukaemia (FAB M3)"}]


SHARED = Path(__file__).resolve().parents[3] / ".." / "shared"


@pytest.mark.realdata
@pytest.mark.skipif(not SHARED.is_dir(), reason="no ../shared here")
def test_the_patients_named_are_those_of_fab_m3() -> None:
    named = {value for rule in clinical_of("TCGA-LAML").exclude for value in rule.values}
    clinical = pd.read_csv(SHARED / "data" / "tcga_laml" / "clinical_maftools.tsv", sep="\t")
    assert named == set(clinical.loc[clinical["FAB_classification"] == "M3", "Tumor_Sample_Barcode"])
    assert len(named) == 21


@pytest.mark.realdata
@pytest.mark.skipif(not SHARED.is_dir(), reason="no ../shared here")
def test_the_cbioportal_mapping_reads_the_table_of_the_study() -> None:
    clinical = pd.read_csv(SHARED / "data" / "tcga_laml" / "clinical.tsv", sep="\t", dtype=str, keep_default_na=False)
    clinical = clinical.rename(columns={"AGE": "age_years", "SEX": "sex_at_diagnosis"}).set_index("sample")
    obs, left_out, _ = map_clinical(clinical, clinical_of("TCGA-LAML-cBioPortal"), "x")
    reasons = pd.Series([item["reason"] for item in left_out]).value_counts()
    assert reasons["acute promyelocytic leukaemia (FAB M3)"] == 16
    assert len(obs) + len(left_out) == 170
    assert obs["risk"].notna().mean() > 0.9
    assert 90 < obs["os_event"].sum() < 111


def test_beataml_leaves_out_promyelocytic_leukaemia_by_fab_and_karyotype() -> None:
    columns = {"os_days": "100", "vital_status": "Dead", "age_years": "60", "sex": "Male", "eln2017": "Adverse"}
    columns |= {"wbc": "10", "wave": "1", "prior_mds": "no"}
    karyotypes = ["46,XY,t(15;17)(q22;q21)[20]", "46,XY,der(17)t(15;17)(q22;q23)", "46,XY", "46,XY"]
    table = pd.DataFrame([columns] * 4, index=list("ABCD")).assign(karyotype=karyotypes, fab=["", "", "M3", "M4"])
    obs, left_out, _ = map_clinical(table, clinical_of("BeatAML2"), "x")
    assert list(obs.index) == ["B", "D"]
    assert [item["patient"] for item in left_out] == ["A", "C"]


@pytest.mark.parametrize(
    ("entry", "more"),
    [
        ("TCGA-LAML", {"exclude", "risk"}),
        ("TARGET-AML", {"risk"}),
        ("TCGA-LAML-Xena", {"exclude"}),
        ("BeatAML2", {"exclude", "extract"}),
        ("TCGA-LAML-cBioPortal", {"exclude", "risk"}),
    ],
)
def test_mappings_are_those_of_the_readers_and_more(entry: str, more: set[str]) -> None:
    """What a reader calls its columns must not change beside the catalogue."""
    section = load_study({"study": "x", "title": "t", "cohorts": {"A": {"role": "training", "catalogue": entry}}})
    own = default_clinical(section.cohorts["A"].source)
    found = section.cohorts["A"].clinical
    left = {*more, "missing_values", "os_event"}
    assert found.model_dump(exclude=left) == own.model_dump(exclude=left)
    assert found.os_event.column == own.os_event.column
    assert set(found.os_event.dead) <= set(own.os_event.dead)
    assert set(own.missing_values) <= set(found.missing_values)
