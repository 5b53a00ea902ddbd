from __future__ import annotations

import datetime
import json
import os
import re
import zipfile
from pathlib import Path

import beataml_world as world
import numpy as np
import openpyxl
import pandas as pd
import pytest

from amlprognosis.errors import InputError
from amlprognosis.normalize.clinical import map_clinical
from amlprognosis.retrieve.beataml import DEFAULT_CLINICAL, PUBLISHED, plan, read, retrieve
from amlprognosis.retrieve.beataml_tables import (
    INITIAL,
    read_clinical,
    read_clinical_json,
    read_drug_response,
    read_expression,
    read_sample_mapping,
    read_variants,
)
from amlprognosis.retrieve.spreadsheets import read_sheet
from amlprognosis.study import BeatamlSource, Retrieval
from amlprognosis.study.sources import SERVICES

SHARED = Path(os.environ.get("AMLPROGNOSIS_SHARED", Path(__file__).resolve().parents[3].parent / "shared"))
REAL = SHARED / "data" / "beataml2"
realdata = [pytest.mark.realdata, pytest.mark.skipif(not SHARED.is_dir(), reason=f"{SHARED} does not exist")]
JSON = {
    "patients": [
        {
            "id": row[0],
            "sex": row[4],
            "age": row[5],
            "eln": row[14],
            "dx": "AML" if row[9] == world.AML else "ALL",
            "stage": row[10],
            "vital": row[12],
            "os": row[13],
            "flt3itd": row[15] == "positive",
            "npm1c": row[16] == "positive",
            "wbc": row[17] if isinstance(row[17], float | int) else None,
            "priorMDS": False,
        }
        for row in (world.CLINICAL[i] for i in (1, 4, 5, 6, 7, 8, 9))
    ]
}


def source(**keys: object) -> BeatamlSource:
    return BeatamlSource(type="beataml", **keys)


def brought(tmp_path: Path, request: BeatamlSource) -> Path:
    folder = tmp_path / "out"
    base = tmp_path / "base"
    retrieve(request, str(base if base.is_dir() else world.write(base)), folder, Retrieval(cache=str(tmp_path / "c")))
    return folder


def reasons(raw) -> dict[str, str]:
    return {item["patient"]: item["reason"] for item in raw.exclusions}


def test_one_specimen_at_diagnosis_per_patient(tmp_path):
    request = source()
    raw = read(request, brought(tmp_path, request), {})
    assert raw.expression.index.tolist() == ["2001", "2002", "2005"]
    assert raw.expression.loc["2001"].tolist() == [1, 11, 21]  # BA2R: collected first
    assert raw.expression.loc["2002"].tolist() == [3, 13, 23]
    assert (raw.scale, raw.gene_ids, raw.gene_map["ENSG00000141510"]) == ("counts", "ensembl", "TP53")
    assert reasons(raw) == {
        "BA1R": "further sample of a patient",
        "BA3R": "no RNA sample at initial diagnosis",
        "2003": "no RNA sample at initial diagnosis",
        "2004": "another diagnosis than AML",
        "2006": "overall survival time negative",
        "BA90R": "healthy control",
        "BA91R": "healthy control",
        "BA99R": "sample that the clinical table does not name",
    }
    assert raw.clinical.index.tolist() == ["2001", "2002", "2005", "2007"]
    assert raw.clinical.loc["2002", ["os_days", "age_years", "sex", "eln2017", "prior_mds", "wbc"]].tolist() == [
        "900",
        "40.5",
        "Female",
        "Favorable",
        "no",
        "",
    ]
    texts = {item["step"]: item["detail"] for item in raw.steps}
    assert texts["numbers of blasts_marrow"] == "1 texts taken as missing: >90"
    obs, excluded, _ = map_clinical(raw.clinical, DEFAULT_CLINICAL, "x")
    assert obs.index.tolist() == ["2001", "2002", "2007"]
    assert excluded == [{"patient": "2005", "reason": "overall survival status missing"}]
    assert obs["risk"].tolist() == ["adverse", "favourable", "adverse"]
    assert obs.loc["2002", "os_time"] == 900


def test_all_stages_if_asked(tmp_path):
    request = source(diagnosis_only=False, mutations=False)
    raw = read(request, brought(tmp_path, request), {})
    assert raw.expression.index.tolist() == ["2001", "2002", "2003", "2005"]
    assert raw.expression.loc["2002"].tolist() == [3, 13, 23]
    assert raw.mutations is None


def test_exome_samples_and_the_clinical_consensus(tmp_path):
    request = source()
    raw = read(request, brought(tmp_path, request), {})
    found = raw.mutations
    assert raw.tested == {"2001", "2002", "2005"}
    # 2001: the specimen with expression has no exome sample; the other one at diagnosis has.
    assert found.loc["2001"].to_dict() == {"FLT3": 1, "FLT3-ITD": 1, "IDH2": 0, "NPM1": 0, "TP53": 1}
    # 2002: RUNX1 was found at relapse only, and FLT3-ITD is not known.
    assert found.loc["2002"].fillna(-1).to_dict() == {"FLT3": 0, "FLT3-ITD": -1, "IDH2": 1, "NPM1": 1, "TP53": 0}


def test_normalised_values(tmp_path):
    request = source(values="normalized", mutations=False)
    raw = read(request, brought(tmp_path, request), {})
    assert raw.scale == "log2"
    assert raw.expression.loc["2002"].tolist() == [-1.0, -2 / 3, -1 / 3]


def test_explorers_json_in_the_place_of_the_workbook(tmp_path):
    path = tmp_path / "cohort.json"
    path.write_text(json.dumps(JSON))
    request = source(clinical_json="cohort.json")
    folder = brought(tmp_path, request)
    assert not (folder / "beataml_wv1to4_clinical.xlsx").exists()
    raw = read(request, folder, {"clinical_json": str(path)})
    assert raw.expression.index.tolist() == ["2001", "2002", "2005"]
    assert raw.clinical.loc["2002", ["os_days", "vital_status", "flt3_itd"]].tolist() == ["900", "Alive", "negative"]
    assert reasons(raw)["2004"] == "another diagnosis than AML"
    assert str(path) in {row["path"] for row in raw.provenance}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"id": None}, "row 1 names no patient"),
        ({"os": "long"}, "row 1: os_days is 'long', not a number"),
        ({"age": [1]}, "patient 1: age: a list where a text or number is expected"),
        ({"id": 2002}, "patient 2002 is listed twice"),
    ],
)
def test_faults_of_the_json(tmp_path, change, words):
    path = tmp_path / "cohort.json"
    path.write_text(json.dumps({"patients": [{**JSON["patients"][0], **change}, *JSON["patients"][1:]]}))
    with pytest.raises(InputError, match=words):
        read_clinical_json(path)


def test_more_faults_of_the_json(tmp_path):
    path = tmp_path / "cohort.json"
    for text, words in (
        ("[]", "no list `patients`"),
        ('{"patients": [{"id": 1}]}', "patient 1 has no stage, dx"),
        ('{"patients": [\n{"id": NaN}]}', "NaN is no value of JSON"),
        ('{"patients": [\n{"id": 1,}]}', "line 2: not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=rf"cohort\.json.*{words}"):
            read_clinical_json(path)


def test_drug_response(tmp_path):
    path = tmp_path / "d.txt"
    path.write_text(world.DRUGS)
    table = read_drug_response(path)
    assert table.fillna(-1).to_numpy().tolist() == [
        ["2001", "BA1", "Venetoclax", 101.5, 0.05],
        ["2001", "BA2", "Venetoclax", -1, -1],
        ["2002", "BA4", "Sorafenib", 286.1, 10],
    ]
    path.write_text(world.DRUGS.replace("NA\tBA2R", "BA1D\tBA2R"))
    with pytest.raises(InputError, match="line 3: a second fit of Venetoclax for BA1"):
        read_drug_response(path)
    parts = {"patients": [7, 8], "drugs": [{"name": "A"}, {"name": "B"}], "auc": [[1.5, None], [2, 3]]}
    path.write_text(json.dumps({**parts, "ic50": [[1, None], [None, 4]]}))
    assert read_drug_response(path).fillna(-1).to_numpy().tolist() == [
        ["7", "", "A", 1.5, 1],
        ["8", "", "A", 2, -1],
        ["8", "", "B", 3, 4],
    ]
    path.write_text(json.dumps({**parts, "ic50": [[1, None]]}))
    with pytest.raises(InputError, match="ic50 is not 2 rows of 2 values"):
        read_drug_response(path)


def test_plan_and_published_checksums(tmp_path):
    planned = plan(source(drug_response=True), SERVICES["beataml"], tmp_path)
    assert {item.url for item in planned} == {
        f"{SERVICES['beataml']}/{name}" for name in PUBLISHED if "norm_exp" not in name
    }
    assert "raw counts (122.5 MB)" in {item.what for item in planned}
    assert all(len(sha256) == 64 for _, sha256 in PUBLISHED.values())


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("missense_variant", "missense", "line 2: variant_classification 'missense' is neither"),
        ("0.4", "1.4", "line 2: t_vaf is '1.4', not between 0 and 1"),
        ("BA1D", "BA1", "line 2: id is empty"),
        ("TP53", "", "line 2: symbol is empty"),
        ("\tt_vaf", "\tvaf", "no column 't_vaf'"),
    ],
)
def test_faults_of_variants(tmp_path, old, new, words):
    path = tmp_path / "v.txt"
    path.write_text(world.VARIANTS.replace(old, new, 1))
    with pytest.raises(InputError, match=rf"v\.txt: .*{words}"):
        read_variants(path)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("\t21\t", "\tx\t", "line 4, column BA2R: 'x' is not a finite number"),
        ("\t21\t", "\t\t", "gene ENSG00000141510, sample BA2R: no value"),
        ("BA2R", "BA2D", r"no RNA samples \(BA....R\): BA2D"),
        ("BA2R", "BA1R", "line 1: columns named more than once: BA1R"),
        ("ENSG00000000005", "ENSG00000000003", "gene 'ENSG00000000003' stands in two rows"),
        ("stable_id", "id", "line 2, column id: 'ENSG00000000003' is not a finite number"),
    ],
)
def test_faults_of_expression(tmp_path, old, new, words):
    path = tmp_path / "e.txt"
    path.write_text(world.matrix(True).replace(old, new))
    with pytest.raises(InputError, match=words):
        read_expression(path)


class TestWorkbooks:
    def table(self, tmp_path: Path, *rows: list[object], merge: str = "") -> Path:
        book = openpyxl.Workbook()
        for row in (["a", "b", None], *rows):
            book.active.append(row)
        if merge:
            book.active.merge_cells(merge)
        book.save(tmp_path / "w.xlsx")
        return tmp_path / "w.xlsx"

    def test_cells_as_text(self, tmp_path):
        when = datetime.datetime(2020, 3, 1)
        path = self.table(tmp_path, [1, 2.5], [True, None], [], [" x ", when], [3.0, "#N/A"], [1e300, 2**40])
        table = read_sheet(path, ["b", "a"])
        assert table.index.tolist() == [2, 3, 5, 6, 7]
        assert table.to_numpy().tolist() == [
            ["1", "2.5"],
            ["TRUE", ""],
            ["x", "2020-03-01T00:00:00"],
            ["3", ""],
            ["1e+300", str(2**40)],
        ]

    @pytest.mark.parametrize(
        ("rows", "merge", "words"),
        [
            ([["=1+1", 2]], "", "cell A2: a formula without a stored value"),
            ([["#REF!", 2]], "", "cell A2: #REF!: an error of Excel"),
            ([[1, 2], [3, 4]], "A2:A3", "merged cells A2:A3"),
            ([[1, 2, 3]], "", "cell C2 has a value but its column no name"),
            ([], "", "a header but no rows"),
        ],
    )
    def test_what_is_refused(self, tmp_path, rows, merge, words):
        with pytest.raises(InputError, match=words):
            read_sheet(self.table(tmp_path, *rows, merge=merge), ["a"])

    def test_other_files(self, tmp_path):
        path = self.table(tmp_path, [1, 2])
        with pytest.raises(InputError, match="no sheet has the columns c; there are 'Sheet' with a, b"):
            read_sheet(path, ["c"])
        path.write_bytes(path.read_bytes()[:-200])
        with pytest.raises(InputError, match="not a readable Excel workbook"):
            read_sheet(path, ["a"])
        path.write_text("a\tb\n1\t2\n")
        with pytest.raises(InputError, match="no Excel workbook"):
            read_sheet(path, ["a"])
        path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n")
        with pytest.raises(InputError, match="pointer of Git LFS"):
            read_sheet(path, ["a"])

    def test_a_stored_value_of_a_formula(self, tmp_path):
        """Excel keeps the value beside the formula; openpyxl writes none, so it is put in here."""
        path = self.table(tmp_path, ["=1+1", 2])
        with zipfile.ZipFile(path) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
        sheet = "xl/worksheets/sheet1.xml"
        parts[sheet], found = re.subn(rb"</f><v\s*/>|</f><v></v>", b"</f><v>2</v>", parts[sheet])
        assert found == 1
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in parts.items():
                archive.writestr(name, content)
        assert read_sheet(path, ["a"]).to_numpy().tolist() == [["2", "2"]]


def test_tables_one_by_one(tmp_path):
    base = world.write(tmp_path / "base")
    table = read_clinical(base / "beataml_wv1to4_clinical.xlsx")
    assert len(table) == 9
    assert table.loc[2, ["patient", "rna_sample", "stage", "collected"]].tolist() == ["2001", "BA1R", INITIAL, 9.0]
    assert table["aml"].sum() == 8
    controls, mapping = read_sample_mapping(base / "beataml_waves1to4_sample_mapping.xlsx")
    assert controls == {"BA90R", "BA91R"}
    assert len(mapping) == 9
    rows = [list(row) for row in world.CLINICAL]
    rows[2][2] = "BA1R"
    world.workbook(base / "twice.xlsx", rows)
    with pytest.raises(InputError, match="row 3: rna_sample BA1R stands in two rows"):
        read_clinical(base / "twice.xlsx")
    rows[2][2] = datetime.date(2020, 1, 1)
    world.workbook(base / "date.xlsx", rows)
    with pytest.raises(InputError, match=r"row 3: rna_sample is '2020-01-01.*not like BA2000R"):
        read_clinical(base / "date.xlsx")


class TestGenuineFiles:
    pytestmark = realdata

    def test_patients(self):
        table = read_clinical_json(REAL / "explorer_cohort.json")
        assert len(table) == 805
        assert (int(table["aml"].sum()), int((table["stage"] == INITIAL).sum())) == (766, 562)
        assert int((table["flt3_itd"] == "positive").sum()) == 178
        times = pd.to_numeric(table["os_days"])
        assert (int((times <= 0).sum()), int(times.isna().sum())) == (31, 1)

    def test_stated_outcome_of_zero_times(self):
        """All 31 patients at time 0 are of unknown status, which is the reason that is counted."""
        table = read_clinical_json(REAL / "explorer_cohort.json").set_index("patient")
        obs, excluded, steps = map_clinical(table, DEFAULT_CLINICAL, "explorer_cohort.json")
        assert len(obs) == 805 - 32 == 773
        assert int(obs["os_event"].sum()) == 468
        assert {item["reason"] for item in excluded} == {"overall survival status missing"}
        assert steps[0]["detail"] == "overall survival status missing: 32"
        assert (obs["os_time"] > 0).all()
        assert obs["risk"].notna().sum() > 500

    def test_variants(self):
        table = read_variants(REAL / "explorer_mutations.json")
        assert (len(table), table["sample"].nunique()) == (11_721, 756)
        assert table["variant_class"].value_counts()["Missense_Mutation"] == 8965
        assert int((table["gene"] == "FLT3").sum()) == 166
        assert table["vaf"].between(0.08, 1).all()

    def test_drugs(self):
        table = read_drug_response(REAL / "explorer_drugs.json")
        assert (table["patient"].nunique(), table["drug"].nunique(), len(table)) == (569, 166, 58_227)
        assert (table["auc"].min(), table["auc"].max()) == (0.0, 286.3)
        row = table[(table["patient"] == "2003") & (table["drug"] == "17-AAG (Tanespimycin)")].iloc[0]
        assert (row["auc"], row["ic50"]) == (185.6, 6.32)

    def test_a_cohort_of_simulated_expression_and_genuine_patients(self, tmp_path):
        """Every one of the 805 patients is in the cohort, or left out for a stated reason."""
        ids = read_clinical_json(REAL / "explorer_cohort.json")["patient"].tolist()
        base = tmp_path / "base"
        base.mkdir()
        rows = [[int(name), f"BA{name}D", f"BA{name}R", None] for name in ids]
        header = ["dbgap_subject_id", "dbgap_dnaseq_sample", "dbgap_rnaseq_sample", "rna_control"]
        world.workbook(base / "beataml_waves1to4_sample_mapping.xlsx", [header, *rows])
        columns = ["stable_id", "display_label", "description", "biotype", *(row[2] for row in rows)]
        counts = np.random.default_rng(1).negative_binomial(2, 0.01, (4, len(ids)))
        symbols = zip(("TSPAN6", "TNMD", "DPM1", "SCYL3"), ("003", "005", "419", "457"), counts, strict=True)
        lines = ["\t".join((f"ENSG00000000{code}", name, "", "x", *map(str, row))) for name, code, row in symbols]
        text = "\n".join(["\t".join(columns), *lines, ""])
        (base / "beataml_waves1to4_counts_dbgap.txt").write_text(text)
        variants = read_variants(REAL / "explorer_mutations.json")
        variants["sample"] = "BA" + variants["sample"] + "D"
        names = {
            "sample": "dbgap_sample_id",
            "gene": "symbol",
            "variant_class": "variant_classification",
            "vaf": "t_vaf",
        }
        table = variants.rename(columns=names)
        table.to_csv(base / "beataml_wes_wv1to4_mutations_dbgap.txt", sep="\t", index=False)
        request = source(clinical_json="x")
        raw = read(request, brought(tmp_path, request), {"clinical_json": str(REAL / "explorer_cohort.json")})
        assert raw.expression.shape == (553, 4)
        obs, excluded, _ = map_clinical(raw.clinical, DEFAULT_CLINICAL, "x")
        assert (len(obs), int(obs["os_event"].sum())) == (545, 307)
        assert len(raw.exclusions) + len(excluded) + len(obs) == 805
        counted = pd.Series([item["reason"] for item in (*raw.exclusions, *excluded)]).value_counts().to_dict()
        assert counted == {
            "no RNA sample at initial diagnosis": 213,
            "another diagnosis than AML": 39,
            "overall survival status missing": 8,
        }
        assert raw.mutations["FLT3-ITD"].sum() == 126
        assert raw.mutations.loc[obs.index, ["FLT3-ITD", "NPM1", "DNMT3A"]].sum().tolist() == [125, 152, 108]
