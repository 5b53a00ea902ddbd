from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from amlprognosis.errors import InputError
from amlprognosis.normalize.assemble import assemble_cohort
from amlprognosis.normalize.clinical import join_patients, map_clinical
from amlprognosis.retrieve import cbioportal_api
from amlprognosis.retrieve.cbioportal import DEFAULT_CLINICAL, plan, read, retrieve
from amlprognosis.retrieve.cbioportal_files import (
    read_case_list,
    read_clinical_file,
    read_expression_file,
    read_meta,
    read_mutation_file,
    read_panel,
    read_panel_matrix,
)
from amlprognosis.retrieve.read import read_source
from amlprognosis.study import CbioportalSource, Retrieval, load_study
from amlprognosis.study.sources import SERVICES

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from server import FixtureServer
from server.cbioportal import CbioportalApi

SHARED = Path(os.environ.get("AMLPROGNOSIS_SHARED", Path(__file__).resolve().parents[3].parent / "shared"))
MIRROR = SHARED / "mirror" / "cbioportal"
realdata = [pytest.mark.realdata, pytest.mark.skipif(not SHARED.is_dir(), reason=f"{SHARED} does not exist")]

PATIENTS = """#Patient Identifier\tOverall Survival Status\tOverall Survival (Months)\tDiagnosis Age\tSex
#Patient identifier\tStatus\tMonths "of" follow-up\tAge\tSex
#STRING\tSTRING\tNUMBER\tNUMBER\tSTRING
#1\t1\t1\t1\t1
PATIENT_ID\tOS_STATUS\tOS_MONTHS\tAGE\tSEX
P1\t1:DECEASED\t10\t61\tMale
P2\tLIVING\t20.5\t44\tFemale
P3\t0:LIVING\t0\t\tFemale
P4\t[Not Available]\t\t30\tMale
P5\tDECEASED\t3\t70\tMale
"""
SAMPLES = """#Patient Identifier\tSample Identifier\tSample Type\tBlasts
PATIENT_ID\tSAMPLE_ID\tSAMPLE_TYPE\tBLASTS
P1\tP1-b\tRelapse\t10
P1\tP1-c\tPrimary\t20
P2\tP2-a\tRelapse\t30
P3\tP3-a\tPrimary\t40
P4\tP4-a\tPrimary\t50
P5\tP5-n\tNormal marrow\t0
P6\tP6-a\tPrimary\t60
"""
EXPRESSION = """Hugo_Symbol\tEntrez_Gene_Id\tP1-b\tP1-c\tP2-a\tP3-a\tP4-a\tP5-n
TP53\t7157\t1\t2\t3\t4\t5\t6
FLT3\t2322\t1.5\t2.5\tNA\t4.5\t5.5\t6.5
\t5\t1\t1\t1\t1\t1\t1
FLT3\t99999\t9\t9\t9\t9\t9\t9
NPM1\t4869\t0\t0\t0\t0\t0\t0
"""
MAF = """#version 2.4
Hugo_Symbol\tEntrez_Gene_Id\tVariant_Classification\tTumor_Sample_Barcode\tHGVSp_Short\tMutation_Status
TP53\t7157\tMissense_Mutation\tP1-c\tp.R175H\tSomatic
FLT3\t2322\tIn_Frame_Ins\tP1-b\tp.X\tSomatic
NPM1\t4869\tFrame_Shift_Ins\tP2-a\tp.W288Cfs*12\tSomatic
DDX41\t51428\tMissense_Mutation\tP2-a\tp.R1H\tGERMLINE
TP53\t7157\tSilent\tP3-a\tp.R175R\tSomatic
"""
META = {
    "study": "type_of_cancer: aml\ncancer_study_identifier: toy\nname: Toy\ndescription: a: b",
    "clinical_patient": "genetic_alteration_type: CLINICAL\ndatatype: PATIENT_ATTRIBUTES\ndata_filename: people.txt\n",
    "clinical_sample": "genetic_alteration_type: CLINICAL\ndatatype: SAMPLE_ATTRIBUTES\ndata_filename: samples.txt\n",
    "mrna_seq_tpm": "genetic_alteration_type: MRNA_EXPRESSION\ndatatype: CONTINUOUS\nstable_id: rna_seq_mrna\n"
    "profile_name: TPM\ndata_filename: tpm.txt\n",
    "mrna_seq_tpm_zscores": "genetic_alteration_type: MRNA_EXPRESSION\ndatatype: Z-SCORE\nstable_id: rna_zscores\n"
    "profile_name: z\ndata_filename: z.txt\n",
    "mutations": "genetic_alteration_type: MUTATION_EXTENDED\ndatatype: MAF\nstable_id: mutations\n"
    "profile_name: Mutations\ndata_filename: maf.txt\n",
    "gene_panel_matrix": "genetic_alteration_type: GENE_PANEL_MATRIX\ndatatype: GENE_PANEL_MATRIX\n"
    "data_filename: panels.txt\n",
    "seg": "genetic_alteration_type: COPY_NUMBER_ALTERATION\ndatatype: SEG\ndata_filename: cna.seg\n",
}
SEQUENCED = "cancer_study_identifier: toy\nstable_id: toy_sequenced\ncase_list_ids: P1-b\tP1-c\tP2-a\tP3-a"


def world(folder: Path, **changes: str) -> Path:
    """A study folder ``toy`` below a folder."""
    study = folder / "toy"
    (study / "case_lists").mkdir(parents=True)
    files = {f"meta_{name}.txt": text for name, text in META.items()}
    files |= {
        "people.txt": PATIENTS,
        "samples.txt": SAMPLES,
        "tpm.txt": EXPRESSION,
        "maf.txt": MAF,
        "z.txt": EXPRESSION,
    }
    files |= {
        "panels.txt": "SAMPLE_ID\tmutations\nP1-c\tWES\nP2-a\tAML40\nP4-a\tLOST\n",
        "data_gene_panel_aml40.txt": "stable_id: AML40\ngene_list: NPM1\tDDX41\n",
        "case_lists/cases_sequenced.txt": SEQUENCED,
    }
    for name, text in {**files, **changes}.items():
        (study / name).write_text(text)
    return folder


def source(**keys: object) -> CbioportalSource:
    return CbioportalSource(type="cbioportal", **{"study": "toy", "profile": "rna_seq_mrna", **keys})


def brought(tmp_path: Path, request: CbioportalSource, **changes: str) -> Path:
    folder = tmp_path / "out"
    base = world(tmp_path / "base", **changes)
    retrieve(request, str(base), folder, Retrieval(cache=str(tmp_path / "cache")))
    return folder


def test_one_sample_per_patient(tmp_path):
    request = source()
    raw = read(request, brought(tmp_path, request), {})
    assert raw.expression.fillna(-1).to_dict("index") == {
        "P1": {"TP53": 2, "FLT3": 2.5, "NPM1": 0},  # the primary sample; FLT3 by its first row
        "P2": {"TP53": 3, "FLT3": -1, "NPM1": 0},
        "P3": {"TP53": 4, "FLT3": 4.5, "NPM1": 0},
        "P4": {"TP53": 5, "FLT3": 5.5, "NPM1": 0},
    }
    assert {item["patient"]: item["reason"] for item in raw.exclusions} == {
        "P1-b": "further sample of a patient",
        "P5-n": "normal tissue",
    }
    assert raw.clinical.loc["P1", ["BLASTS", "age_years", "sex_at_diagnosis"]].tolist() == ["20", "61", "Male"]
    assert raw.clinical.loc["P6", ["OS_MONTHS", "BLASTS"]].tolist() == ["", "60"]
    details = {item["step"]: item["detail"] for item in raw.steps}
    assert details["files passed over"] == "meta_mrna_seq_tpm_zscores.txt, meta_seg.txt"
    assert details["genes of the profile"] == "1 rows without a gene, 1 rows of a gene that has one already"
    assert "1 patients by a sample at relapse" in details["one sample per patient"]
    clinical, _, _ = join_patients(raw.clinical, raw.patients, list(raw.expression.index))
    obs, excluded, _ = map_clinical(clinical, DEFAULT_CLINICAL, "x")
    assert obs["os_event"].to_dict() == {"P1": True, "P2": False}
    assert obs["os_time"].round(2).to_dict() == {"P1": 304.38, "P2": 623.97}
    assert {item["patient"]: item["reason"] for item in excluded} == {
        "P3": "overall survival time zero",
        "P4": "overall survival status missing",
    }


def test_who_was_sequenced_for_which_genes(tmp_path):
    request = source()
    raw = read(request, brought(tmp_path, request), {})
    # P4 was looked at on a panel whose genes nobody knows: not tested. FLT3 was found at relapse of P1 only.
    assert raw.tested == {"P1", "P2", "P3"}
    assert raw.mutations.fillna(-1).to_dict("index") == {
        "P1": {"NPM1": 0, "TP53": 1},
        "P2": {"NPM1": 1, "TP53": -1},
        "P3": {"NPM1": 0, "TP53": 0},
    }
    detail = raw.steps[-1]["detail"]
    assert detail == "1 patients on a gene panel: its other genes are missing; 1 on panels without genes"


def test_without_a_case_list_those_with_variants(tmp_path):
    request = source()
    folder = brought(tmp_path, request)
    shutil.rmtree(folder / "case_lists")
    (folder / "meta_gene_panel_matrix.txt").unlink()
    rows = [row for row in json.loads((folder / "PROVENANCE.json").read_text()) if (folder / row["path"]).is_file()]
    (folder / "PROVENANCE.json").write_text(json.dumps(rows))
    raw = read(request, folder, {})
    assert raw.tested == {"P1", "P2", "P3"}
    assert any("samples with any variant" in item["detail"] for item in raw.steps)


def test_gaps_of_a_panel_stay_gaps_in_the_cohort(tmp_path):
    people = PATIENTS + "".join(f"Q{i}\t1:DECEASED\t{i + 1}\t50\tMale\n" for i in range(12))
    samples = SAMPLES + "".join(f"Q{i}\tQ{i}-a\tPrimary\t1\n" for i in range(12))
    rows = EXPRESSION.rstrip("\n").split("\n")
    rng = np.random.default_rng(1)
    wide = rows[0] + "".join(f"\tQ{i}-a" for i in range(12)) + "\n"
    for row in rows[1:]:
        wide += row + "".join(f"\t{value:.3f}" for value in rng.gamma(2, 30, 12)) + "\n"
    base = world(tmp_path / "base", **{"people.txt": people, "samples.txt": samples, "tpm.txt": wide})
    cohort = {"role": "training", "source": {"type": "cbioportal", "study": "toy", "profile": "rna_seq_mrna"}}
    cohort["source"] |= {"scale": "linear", "base_url": str(base)}
    content = {"study": "t", "title": "t", "data_root": "/", "cohorts": {"one": cohort}}
    study = load_study({**content, "features": {"mutations": ["TP53", "NPM1"]}})
    request = study.cohorts["one"].source
    folder = tmp_path / "out"
    retrieve(request, str(base), folder, Retrieval(cache=str(tmp_path / "cache")))
    adata = assemble_cohort(study, "one", read_source(study, "one", folder))
    assert adata.obsm["mutations"].loc[["P1", "P2", "Q0"]].fillna(-1).to_numpy().tolist() == [[0, 1], [1, -1], [-1, -1]]


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"profile": "rna_zscores"}, "holds z-scores: .* the study has rna_seq_mrna"),
        ({"profile": "nothing"}, "no expression profile 'nothing'; .* the study has rna_seq_mrna"),
        ({"study": "other"}, r"other/meta_study.txt: no such file"),
    ],
)
def test_what_is_not_there(tmp_path, keys, words):
    with pytest.raises(InputError, match=words):
        brought(tmp_path, source(**keys))


def test_another_study_in_the_folder(tmp_path):
    base = world(tmp_path / "base")
    (base / "toy").rename(base / "other")
    request = source(study="other")
    retrieve(request, str(base), tmp_path / "out", Retrieval(cache=str(tmp_path / "c")))
    with pytest.raises(InputError, match="the study is 'toy', not 'other'"):
        read(request, tmp_path / "out", {})


@pytest.mark.parametrize(
    ("name", "old", "new", "words"),
    [
        ("people.txt", "P2\tLIVING\t20.5", "P2\tLIVING", r"people\.txt: line 7 has 4 fields, the header 5"),
        ("people.txt", "P2", "P1", r"people\.txt: line 7: PATIENT_ID P1 stands in two rows"),
        ("people.txt", "PATIENT_ID", "ID", r"people\.txt: no column 'PATIENT_ID'"),
        ("samples.txt", "P2-a", "", r"samples\.txt: line 5: SAMPLE_ID is empty"),
        ("tpm.txt", "\t2.5\t", "\t2,5\t", r"tpm\.txt: line 3, column P1-c: '2,5' is not a finite number"),
        ("tpm.txt", "P1-c", "P1-b", r"tpm\.txt: line 1: columns named more than once: P1-b"),
        ("maf.txt", "In_Frame_Ins", "Insertion", r"maf\.txt: line 4: Variant_Classification 'Insertion' is not of the"),
        ("maf.txt", "\tP1-b", "\t", r"maf\.txt: line 4: Tumor_Sample_Barcode is empty"),
        ("panels.txt", "P2-a", "P1-c", r"panels\.txt: line 3: sample P1-c stands in two rows"),
        ("meta_seg.txt", "datatype: SEG", "datatype", r"meta_seg\.txt: line 2: 'datatype' is not `key: value`"),
        ("meta_mutations.txt", "maf.txt", "../maf.txt", r"data_filename is '\.\./maf\.txt', not the name of a file"),
        ("case_lists/cases_sequenced.txt", "case_list_ids", "ids", r"cases_sequenced\.txt: no stable_id or no case"),
        (
            "data_gene_panel_aml40.txt",
            "gene_list",
            "genes",
            r"data_gene_panel_aml40\.txt: no stable_id or no gene_list",
        ),
    ],
)
def test_faults_name_file_and_line(tmp_path, name, old, new, words):
    good = (world(tmp_path / "good") / "toy" / name).read_text()
    request = source()
    with pytest.raises(InputError, match=words):
        read(request, brought(tmp_path, request, **{name: good.replace(old, new, 1)}), {})


def test_genes_by_entrez_alone(tmp_path):
    lines = [line.partition("\t")[2] for line in EXPRESSION.split("\n")]
    path = tmp_path / "e.txt"
    path.write_text("\n".join(lines))
    expression, kind, report = read_expression_file(path)
    assert (kind, expression.columns.tolist()) == ("entrez", ["7157", "2322", "5", "99999", "4869"])
    assert report == "0 rows without a gene, 0 rows of a gene that has one already"


class TestApi:
    """The same study by both ways is the same cohort."""

    @pytest.fixture(autouse=True)
    def _small_answers(self, monkeypatch):
        monkeypatch.setattr(cbioportal_api, "PAGE", 4)
        monkeypatch.setattr(cbioportal_api, "VALUES", 10)

    def test_as_the_folder(self, tmp_path, waits):
        request, settings = source(), Retrieval(cache=str(tmp_path / "cache"))
        by_folder = read(request, brought(tmp_path, request), {})
        api = CbioportalApi(tmp_path / "base")
        api.extra_genes = {1: "A1BG", -7: "FLT3_PHOSPHO"}
        empty = tmp_path / "empty"
        empty.mkdir()
        with FixtureServer(empty, [api]) as server:
            server.faults.add("*/api/genes*", "503", times=1)
            server.faults.add("*/toy/meta_study.txt", "html", times=None)  # a portal's page for whatever is not there
            retrieve(request, server.url, tmp_path / "api", settings)
            asked = [item for item in server.log if "molecular-data" in item.path]
            assert len(asked) == 5  # one gene at a time: more would be above 10 values
            count = len(server.log)
            retrieve(request, server.url, tmp_path / "api", settings.model_copy(update={"offline": True}))
            assert len(server.log) == count
        raw = read(request, tmp_path / "api", {})
        order = list(by_folder.expression.columns)
        pd.testing.assert_frame_equal(raw.expression[order], by_folder.expression)
        pd.testing.assert_frame_equal(raw.clinical[sorted(raw.clinical)], by_folder.clinical[sorted(raw.clinical)])
        pd.testing.assert_frame_equal(raw.mutations, by_folder.mutations)
        assert (raw.tested, raw.exclusions) == (by_folder.tested, by_folder.exclusions)
        detail = next(item["detail"] for item in raw.steps if item["step"] == "genes of the profile")
        assert detail == "5 protein-coding genes asked for, 3 in the profile, 1 repeat a symbol"

    def test_z_scores_and_unknown_studies(self, tmp_path, waits):
        settings = Retrieval(cache=str(tmp_path / "cache"), attempts=1)
        empty = tmp_path / "empty"
        empty.mkdir()
        with FixtureServer(empty, [CbioportalApi(world(tmp_path / "base"))]) as server:
            with pytest.raises(InputError, match=r"holds z-scores: .* the study has rna_seq_mrna"):
                retrieve(source(profile="rna_zscores"), server.url, tmp_path / "a", settings)
            with pytest.raises(InputError, match=r"api/studies/none.*404"):
                retrieve(source(study="none"), server.url, tmp_path / "b", settings)

    def test_a_folder_on_a_server_that_lists_nothing(self, tmp_path, waits):
        """GitHub, say: known names are tried; the one of the profile must be among them."""
        base = world(tmp_path / "base")
        request, settings = source(), Retrieval(cache=str(tmp_path / "cache"))
        by_folder = read(request, brought(tmp_path / "x", request), {})
        for listed, name in ((True, "a"), (False, "b")):
            with FixtureServer(base) as server:
                for _ in range(0 if listed else 2):
                    server.faults.add("*/", "html", times=100)
                retrieve(
                    request, server.url, tmp_path / name, settings.model_copy(update={"cache": str(tmp_path / name)})
                )
            raw = read(request, tmp_path / name, {})
            pd.testing.assert_frame_equal(raw.expression, by_folder.expression)
            # The genes of the panel stand in a file that no meta file names: without a list it cannot be found.
            assert raw.tested == (by_folder.tested if listed else {"P1", "P3"})

    @pytest.mark.parametrize(
        ("name", "change", "words"),
        [
            ("study.json", lambda text: text.replace("toy", "other"), "not the study 'toy'"),
            ("samples.0000.json", lambda text: text[:-2], "line 1: not valid JSON"),
            ("samples.0000.json", lambda text: text.replace('"patientId"', '"patient"', 1), "item 1 has no patientId"),
            ("clinical_patient.0000.json", lambda text: '{"message": "gone"}', "the API answered: gone"),
            (
                "expression/rna_seq_mrna/genes.0002.json",
                lambda text: text.replace("4.0", '"4"'),
                "is not a finite number",
            ),
            ("expression/rna_seq_mrna/genes.0002.json", lambda text: text.replace("P3-a", "P9"), "was not asked for"),
            ("mutations.0000.json", lambda text: text.replace("hugoGeneSymbol", "x"), "item 1: no gene.hugoGeneSymbol"),
            ("panel_data.json", lambda text: text.replace("true", "1", 1), "profiled 1 or genePanelId"),
        ],
    )
    def test_faults_of_saved_answers(self, tmp_path, name, change, words):
        request, settings = source(), Retrieval(cache=str(tmp_path / "cache"))
        empty = tmp_path / "empty"
        empty.mkdir()
        with FixtureServer(empty, [CbioportalApi(world(tmp_path / "base"))]) as server:
            retrieve(request, server.url, tmp_path / "api", settings)
        path = tmp_path / "api" / name
        text = path.read_text()
        path.unlink()
        path.write_text(change(text))
        (tmp_path / "api" / "PROVENANCE.json").write_text("[]")
        with pytest.raises(InputError, match=rf"{path.name}.*{words}"):
            read(request, tmp_path / "api", {})
        path.unlink()
        with pytest.raises(InputError, match=path.name):
            read(request, tmp_path / "api", {})


def test_plan_needs_no_network(tmp_path):
    urls = [item.url for item in plan(source(), SERVICES["cbioportal"], tmp_path)]
    assert "https://www.cbioportal.org/api/studies/toy" in urls
    assert "https://www.cbioportal.org/api/molecular-profiles/toy_rna_seq_mrna/molecular-data/fetch" in urls
    base = world(tmp_path / "base")
    assert plan(source(mutations=False), str(base), tmp_path)[0].url == str(base / "toy" / "meta_study.txt")
    assert plan(source(), str(base / "toy"), tmp_path)[0].url == str(base / "toy" / "meta_study.txt")
    remote = plan(source(), "https://example.org/public", tmp_path)
    assert remote[0].url == "https://example.org/public/toy/meta_study.txt"
    assert "the API of the same address" in remote[0].what


class TestGenuineStudy:
    pytestmark = realdata

    def test_every_file_that_matters_parses(self):
        study = MIRROR / "study_es_0"
        metas = {path.name: read_meta(path) for path in sorted(study.glob("meta_*.txt"))}
        assert len(metas) == 26
        assert all((study / meta["data_filename"]).is_file() for n, meta in metas.items() if n != "meta_study.txt")
        patients = read_clinical_file(study / "data_clinical_patients.txt", "PATIENT_ID")
        samples = read_clinical_file(study / "data_clinical_samples.txt", "SAMPLE_ID")
        assert (len(patients), len(samples), samples["PATIENT_ID"].nunique()) == (841, 845, 841)
        assert patients["OS_STATUS"].value_counts().to_dict() == {
            "0:LIVING": 721,
            "1:DECEASED": 87,
            "[Not Available]": 32,
            "": 1,
        }
        expression, kind, _ = read_expression_file(study / "data_expression_median.txt")
        assert (expression.shape, kind) == ((526, 6), "symbol")
        assert expression.loc["TCGA-A1-A0SD-01", "CREB3L1"] == 1.4345
        variants = read_mutation_file(study / "data_mutations_extended.maf")
        assert (len(variants), variants["sample"].nunique()) == (36, 21)
        panels = read_panel_matrix(study / "data_gene_panel_matrix.txt", "mutations")
        assert (len(panels), panels["TCGA-A1-A0SB-02"]) == (12, "TESTPANEL2")
        lists = dict(read_case_list(path) for path in sorted((study / "case_lists").glob("*.txt")))
        assert len(lists) == 5
        panel, genes = read_panel(study / "data_gene_panel_testpanel1.txt")
        assert (panel, "BRCA2" in genes) == ("TESTPANEL1", True)

    def test_as_a_cohort_by_folder_and_api(self, tmp_path, monkeypatch):
        monkeypatch.setattr(cbioportal_api, "PAGE", 500)
        monkeypatch.setattr(cbioportal_api, "VALUES", 1500)
        request = source(study="study_es_0", profile="mrna")
        settings = Retrieval(cache=str(tmp_path / "cache"))
        retrieve(request, str(MIRROR), tmp_path / "folder", settings)
        raw = read(request, tmp_path / "folder", {})
        assert (raw.expression.shape, len(raw.clinical)) == ((526, 6), 841)
        passed = next(item["detail"] for item in raw.steps if item["step"] == "files passed over")
        assert len(passed.split(", ")) == 20
        clinical, _, left_out = join_patients(raw.clinical, raw.patients, list(raw.expression.index))
        obs, excluded, steps = map_clinical(clinical, DEFAULT_CLINICAL, "x")
        assert (len(obs), int(obs["os_event"].sum()), len(left_out)) == (492, 63, 315)
        assert steps[0]["detail"] == "overall survival status missing: 2; overall survival time zero: 32"
        assert len(excluded) == 34
        empty = tmp_path / "empty"
        empty.mkdir()
        with FixtureServer(empty, [CbioportalApi(MIRROR)]) as server:
            retrieve(request, server.url, tmp_path / "api", settings)
        by_api = read(request, tmp_path / "api", {})
        order = list(raw.expression.columns)
        pd.testing.assert_frame_equal(by_api.expression[order], raw.expression)
        pd.testing.assert_frame_equal(by_api.clinical[sorted(raw.clinical)], raw.clinical[sorted(raw.clinical)])
        pd.testing.assert_frame_equal(by_api.mutations, raw.mutations)
        assert by_api.tested == raw.tested

    def test_z_scores_of_the_genuine_study(self, tmp_path):
        request = source(study="study_es_0", profile="mrna_median_Zscores")
        with pytest.raises(InputError, match=r"z-scores: .* the study has mrna"):
            retrieve(request, str(MIRROR), tmp_path / "out", Retrieval(cache=str(tmp_path / "cache")))
