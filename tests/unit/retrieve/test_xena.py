from __future__ import annotations

import gzip
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from amlprognosis.errors import InputError
from amlprognosis.normalize.assemble import assemble_cohort
from amlprognosis.retrieve.read import read_source
from amlprognosis.retrieve.xena import (
    DEFAULT_CLINICAL,
    merge_versions,
    plan,
    read,
    read_phenotype,
    read_probe_map,
    read_survival,
    read_variants,
    recover_counts,
    retrieve,
)
from amlprognosis.study import Retrieval, XenaSource, load_study

SHARED = Path(os.environ.get("AMLPROGNOSIS_SHARED", Path(__file__).resolve().parents[3].parent / "shared"))
MIRROR = SHARED / "mirror" / "xena"
realdata = [pytest.mark.realdata, pytest.mark.skipif(not SHARED.is_dir(), reason=f"{SHARED} does not exist")]

SURVIVAL = """sample	OS.time	OS	_PATIENT
TCGA-AB-0001-03A	100.0	1	TCGA-AB-0001
TCGA-AB-0001-11A	100.0	1	TCGA-AB-0001
TCGA-AB-0002-04A	50.0	0	TCGA-AB-0002
TCGA-AB-0003-03B	7.0	1	TCGA-AB-0003
TCGA-AB-0003-03A	7.0	1	TCGA-AB-0003
"""
CLINICAL = """sample	submitter_id	gender.demographic	age_at_diagnosis.diagnoses	OS
TCGA-AB-0001-03A	TCGA-AB-0001	female	14610	no
TCGA-AB-0002-04A	TCGA-AB-0002	male		no
TCGA-AB-0003-03A	TCGA-AB-0003	male	36525	no
"""
COUNTS = {
    "TCGA-AB-0001-03A": [0, 10, 3, 4],
    "TCGA-AB-0001-04A": [9, 9, 9, 9],
    "TCGA-AB-0001-11A": [1, 1, 1, 1],
    "TCGA-AB-0002-04A": [2, 2.5, 7, 0],
    "TCGA-AB-0003-03B": [1, 0, 0, 1],
    "TCGA-AB-0003-03A": [5, 6, 100_000, 0],
    "TCGA-AB-0009-03A": [5, 6, 7, 0],
}
GENES = ("ENSG00000000003.15", "ENSG00000000005.6", "ENSG00000002586.20", "ENSG00000002586.20_PAR_Y")
PROBES = "id\tgene\tchrom\tchromStart\tchromEnd\tstrand\n" + "".join(
    f"{gene}\t{symbol}\tchrX\t1\t2\t+\n" for gene, symbol in zip(GENES, ("TSPAN6", "TNMD", "CD99", "CD99"), strict=True)
)
VARIANTS = """sample	gene	chrom	start	end	ref	alt	Amino_Acid_Change	effect	dna_vaf
TCGA-AB-0001-03A	NPM1	chr5	1	1	A	T	p.W288Cfs*12	frameshift_variant;splice_region_variant	0.4
TCGA-AB-0001-04A	TP53	chr5	1	1	A	T	p.R175H	missense_variant	0.4
TCGA-AB-0002-04A		nan	-1	-1
"""


def world(folder: Path) -> Path:
    """A small hub."""
    place = folder / "download"
    place.mkdir(parents=True)
    values = np.log2(pd.DataFrame(COUNTS, index=list(GENES)) + 1)
    matrix = values.to_csv(sep="\t", index_label="Ensembl_ID")
    variants = VARIANTS.replace("nan\t-1\t-1\n", "\t-1\t-1\t\t\t\t\t\n")
    for name, text in (("star_counts", matrix), ("survival", SURVIVAL), ("clinical", CLINICAL), ("wxs", variants)):
        (place / f"TCGA-LAML.{name}.tsv.gz").write_bytes(gzip.compress(text.encode(), mtime=0))
    (place / "gencode.v36.annotation.gtf.gene.probemap").write_text(PROBES)
    return folder


def source(**keys: object) -> XenaSource:
    return XenaSource(type="xena", cohort="TCGA-LAML", **{"mutations": "{cohort}.wxs.tsv.gz", **keys})


def brought(tmp_path: Path, request: XenaSource, base: Path | None = None) -> Path:
    folder = tmp_path / "out"
    retrieve(request, str(base or world(tmp_path / "hub")), folder, Retrieval(cache=str(tmp_path / "cache")))
    return folder


def test_one_primary_sample_per_patient_with_its_counts(tmp_path):
    request = source()
    raw = read(request, brought(tmp_path, request), {})
    assert (raw.scale, raw.gene_ids) == ("counts", "ensembl")
    assert raw.expression.to_dict("index") == {
        "TCGA-AB-0001": {"ENSG00000000003": 0, "ENSG00000000005": 10, "ENSG00000002586": 7},
        "TCGA-AB-0002": {"ENSG00000000003": 2, "ENSG00000000005": 2, "ENSG00000002586": 7},  # 2.5: of two aliquots
        "TCGA-AB-0003": {"ENSG00000000003": 5, "ENSG00000000005": 6, "ENSG00000002586": 100_000},
        "TCGA-AB-0009": {"ENSG00000000003": 5, "ENSG00000000005": 6, "ENSG00000002586": 7},
    }
    assert {item["patient"]: item["reason"] for item in raw.exclusions} == {
        "TCGA-AB-0001-04A": "further sample of a patient",
        "TCGA-AB-0001-11A": "normal tissue",
        "TCGA-AB-0003-03B": "further sample of a patient",
    }
    assert raw.clinical.loc["TCGA-AB-0001", ["OS", "OS.time", "age_years", "sex_at_diagnosis"]].tolist() == [
        "1",
        "100.0",
        "40.0",
        "female",
    ]
    assert raw.clinical.loc["TCGA-AB-0002", ["OS", "OS.time", "age_years"]].tolist() == ["0", "50.0", ""]
    assert raw.gene_map["ENSG00000000003.15"] == "TSPAN6"
    counts = next(item for item in raw.steps if item["step"] == "counts from log2")
    assert "1 samples are means of several aliquots" in counts["detail"]
    assert next(item for item in raw.steps if item["step"] == "PAR_Y genes")["dropped"] == 1
    assert [row["path"] for row in raw.provenance] == sorted(row["path"] for row in raw.provenance)
    assert len(raw.provenance) == 5


def test_mutations_of_the_sample_at_diagnosis(tmp_path):
    request = source()
    raw = read(request, brought(tmp_path, request), {})
    assert raw.tested == {"TCGA-AB-0001", "TCGA-AB-0002"}  # an empty row says: sequenced, nothing found
    assert raw.mutations.to_dict("index") == {"TCGA-AB-0001": {"NPM1": 1.0}, "TCGA-AB-0002": {"NPM1": 0.0}}


def test_values_that_are_no_counts(tmp_path):
    request = source(scale="log2", mutations=None, phenotype=None)
    raw = read(request, brought(tmp_path, request), {})
    assert raw.scale == "log2"
    assert raw.expression.loc["TCGA-AB-0002", "ENSG00000000005"] == np.log2(3.5)
    assert raw.clinical["sex_at_diagnosis"].tolist() == ["", "", ""]
    assert raw.mutations is None
    tpm = pd.DataFrame([[0.1234, 5.4321]], index=["s"], columns=["a", "b"])
    with pytest.raises(InputError, match=r"file: sample s, gene b: 2\^1\.6667 - 1 is 2\.17488, no whole count"):
        recover_counts(pd.DataFrame([[2.0, 1.6667]], index=["s"], columns=["a", "b"]), "file")
    with pytest.raises(InputError, match="set scale of the source to log2"):
        recover_counts(tpm, "file")
    with pytest.raises(InputError, match=r"sample s, gene a: -1\.0 is no log2"):
        recover_counts(pd.DataFrame([[-1.0, 5]], index=["s"], columns=["a", "b"]), "file")


def test_the_whole_range_of_counts_comes_back(tmp_path):
    """As pandas writes 17 digits, and as a file with four decimals would have it."""
    rng = np.random.default_rng(1)
    counts = pd.DataFrame(np.floor(10 ** rng.uniform(0, 6, (4, 500))))
    found, report = recover_counts(np.log2(counts + 1), "file")
    assert found.equals(counts)
    assert "largest rounding error" in report["detail"]
    rounded, _ = recover_counts(np.log2(counts + 1).round(6), "file")
    assert ((rounded - counts).abs() <= np.maximum(1, counts * 1e-5)).all(axis=None)


def test_versions_and_copies():
    matrix = pd.DataFrame([[1.0, 2.0]], columns=["ENSG1.2", "ENSG1.2_PAR_Y"])
    assert merge_versions(matrix, True, "f")[0].to_dict("list") == {"ENSG1": [3.0]}
    assert merge_versions(matrix, False, "f")[0].to_dict("list") == {"ENSG1": [1.0]}
    with pytest.raises(InputError, match="two versions: ENSG1"):
        merge_versions(matrix.set_axis(["ENSG1.2", "ENSG1.3"], axis=1), True, "f")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("0003-03A\t7.0", "0003-03A\t8.0", "lines 5, 6: samples of patient TCGA-AB-0003 with different OS"),
        ("\t1\tTCGA-AB-0001", "\t2\tTCGA-AB-0001", r"line 2: OS is '2'; it must be 1 \(dead\) or 0"),
        ("50.0", "-50.0", "line 4: OS.time is '-50.0'; it must be days, not negative"),
        ("50.0", "fifty", "line 4: OS.time is 'fifty', not a finite number"),
        ("TCGA-AB-0003-03B", "TCGA-AB-0003-03A", "line 6: sample TCGA-AB-0003-03A stands in two rows"),
        ("\tOS\t", "\tDSS\t", "no column 'OS'"),
        ("50.0\t0", "50.0", "line 4 has 3 fields, the header 4"),
        ("sample\t", "name\t", "no column of samples"),
        ("TCGA-AB-0002-04A", "", "line 4: sample is empty"),
    ],
)
def test_faults_of_survival_name_the_line(tmp_path, old, new, words):
    path = tmp_path / "s.tsv"
    path.write_text(SURVIVAL.replace(old, new, 1))
    with pytest.raises(InputError, match=rf"s\.tsv: {words}"):
        read_survival(path)


def test_missing_outcomes_stay_missing(tmp_path):
    path = tmp_path / "s.tsv"
    path.write_text(SURVIVAL.replace("50.0\t0", "\t").replace("\t_PATIENT", "\tcomment"))
    outcome, patients = read_survival(path)
    assert outcome.loc["TCGA-AB-0002"].tolist() == ["", ""]
    assert patients["TCGA-AB-0003-03B"] == "TCGA-AB-0003"  # by the barcode, where the file does not say


def test_faults_of_other_files(tmp_path):
    path = tmp_path / "x.tsv"
    path.write_text(VARIANTS.partition("\nTCGA-AB-0002")[0].replace("missense_variant", "missense") + "\n")
    with pytest.raises(InputError, match=r"line 3: effect 'missense' is no consequence of Ensembl VEP"):
        read_variants(path)
    path.write_text(PROBES + "ENSG00000000003.15\tOTHER\tchr1\t1\t2\t+\n")
    with pytest.raises(InputError, match=r"line 6: ENSG00000000003.15 has two genes"):
        read_probe_map(path)
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n")
    with pytest.raises(InputError, match=r"pointer of Git LFS.*git lfs pull"):
        read_phenotype(path)


def test_plan_needs_no_network(tmp_path):
    request = source(phenotype=None, mutations=None)
    planned = plan(request, "https://gdc.xenahubs.net", tmp_path)
    assert [item.url.removeprefix("https://gdc.xenahubs.net/download/") for item in planned] == [
        "TCGA-LAML.star_counts.tsv.gz",
        "TCGA-LAML.survival.tsv.gz",
        "gencode.v36.annotation.gtf.gene.probemap",
    ]
    hub = world(tmp_path / "hub")
    (hub / "download" / "TCGA-LAML.survival.tsv.gz").unlink()
    (hub / "TCGA-LAML.survival.tsv").write_text(SURVIVAL)
    assert plan(request, str(hub), tmp_path)[1].url == str(hub / "TCGA-LAML.survival.tsv")
    assert read(request, brought(tmp_path, request, hub), {}).clinical.shape[0] == 3


def test_served_over_http_and_offline(tmp_path, waits):
    import sys

    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    from server import FixtureServer

    request, settings = source(), Retrieval(cache=str(tmp_path / "cache"))
    offline = settings.model_copy(update={"offline": True})
    with FixtureServer(world(tmp_path / "hub")) as server:
        with pytest.raises(InputError, match=r"download/TCGA-LAML\.survival\.tsv\.gz"):
            retrieve(request, server.url, tmp_path / "out", offline)
        server.faults.add("*survival*", "cut", at=20)
        records = retrieve(request, server.url, tmp_path / "out", settings)
        url = server.url
    assert [record.url for record in records][1] == f"{url}/download/TCGA-LAML.survival.tsv.gz"
    assert len(retrieve(request, url, tmp_path / "out", offline)) == 5
    assert read(request, tmp_path / "out", {}).expression.shape == (4, 3)


class TestGenuineFiles:
    pytestmark = realdata

    def test_survival(self):
        outcome, patients = read_survival(MIRROR / "TCGA-LAML.survival.tsv")
        assert (len(outcome), len(patients)) == (175, 626)
        assert outcome["OS"].value_counts().to_dict() == {"1": 110, "0": 65}
        assert (outcome["OS.time"].astype(float) > 0).all()

    def test_phenotype(self):
        table = read_phenotype(MIRROR / "TCGA-LAML.GDC_phenotype.tsv.gz")
        assert table.shape == (697, 100)
        assert table["sex_at_diagnosis"].value_counts().to_dict() == {"male": 385, "female": 312}
        age = table.loc["TCGA-AB-2812-03A", "age_years"]
        assert float(age) == pytest.approx(9253 / 365.25)

    def test_variants(self):
        variants = read_variants(MIRROR / "TCGA-LAML.mutect2_snv.tsv.gz")
        assert (len(variants), variants["sample"].nunique(), int(variants["passed"].sum())) == (9905, 143, 9035)
        assert variants["variant_class"].value_counts()["Missense_Mutation"] == 5284 + 175 + 9 + 4

    def test_a_cohort_of_simulated_expression_and_genuine_files(self, tmp_path):
        """Repeated aliquots and normal tissue among the samples; patients and deaths are those of the hub."""
        probes = read_probe_map(MIRROR / "gencode.v22.annotation.gene.probeMap")
        _, patients = read_survival(MIRROR / "TCGA-LAML.survival.tsv")
        samples = [s for s in patients.index if s.endswith(("03A", "03B", "11A"))]
        genes = list(probes.index[:4000:4])
        rng = np.random.default_rng(3)
        counts = rng.negative_binomial(2, 0.01, (len(genes), len(samples)))
        hub = tmp_path / "hub"
        hub.mkdir()
        for name in ("TCGA-LAML.survival.tsv", "TCGA-LAML.GDC_phenotype.tsv.gz", "TCGA-LAML.mutect2_snv.tsv.gz"):
            (hub / name).symlink_to(MIRROR / name)
        (hub / "probes").symlink_to(MIRROR / "gencode.v22.annotation.gene.probeMap")
        frame = pd.DataFrame(np.log2(counts + 1.0), index=genes, columns=samples)
        frame.to_csv(hub / "TCGA-LAML.star_counts.tsv", sep="\t", index_label="Ensembl_ID")
        keys = {
            "type": "xena",
            "cohort": "TCGA-LAML",
            "phenotype": "{cohort}.GDC_phenotype.tsv.gz",
            "mutations": "{cohort}.mutect2_snv.tsv.gz",
            "probe_map": "probes",
        }
        content = {"role": "training", "source": keys}
        study = load_study({"study": "t", "title": "t", "data_root": "/", "cohorts": {"TCGA": content}})
        request = study.cohorts["TCGA"].source
        folder = brought(tmp_path, request, hub)
        adata = assemble_cohort(study, "TCGA", read_source(study, "TCGA", folder))
        assert adata.n_obs == 175
        assert int(adata.obs["os_event"].sum()) == 110
        assert adata.obs["age"].between(18, 90).all()
        assert adata.obs["risk"].value_counts().to_dict() == {"intermediate": 102, "favourable": 36, "adverse": 34}
        assert DEFAULT_CLINICAL.risk is not None
        mutations = adata.obsm["mutations"]
        assert 100 < mutations["NPM1"].notna().sum() < 175
        table = pd.read_csv(MIRROR / "TCGA-LAML.mutect2_snv.tsv.gz", sep="\t")
        table = table[
            (table["filter"] == "PASS")
            & table["effect"].str.contains("missense|frameshift|stop_g|inframe|splice_acc|splice_don")
        ]
        for gene in ("NPM1", "FLT3", "TP53", "RUNX1", "NRAS"):  # the caller's filters leave few of the true ones
            found = set(table["Sample_ID"][table["gene"] == gene].str[:12])
            assert set(mutations.index[mutations[gene] == 1]) == found & set(adata.obs_names), gene
        first = adata.obs_names[0]
        column = samples.index(f"{first}-03A")
        gene = next(g for g in adata.var_names if (probes == g).sum() == 1 and probes.index[probes == g][0] in genes)
        row = genes.index(probes.index[probes == gene][0])
        assert adata[first, gene].layers["counts"].item() == counts[row, column]
