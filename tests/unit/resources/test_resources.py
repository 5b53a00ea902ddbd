import gzip
import re
from pathlib import Path

import pandas as pd
import pytest
import yaml

from amlprognosis.normalize.gene_table import gene_table

RESOURCES = Path(__file__).resolve().parents[3] / "resources"
SYMBOL = re.compile(r"[A-Z][A-Z0-9]*(orf[0-9]+)?[A-Z0-9]*(-[A-Z0-9]+)*")
MODES = {
    "apoptosis",
    "autophagy",
    "necroptosis",
    "pyroptosis",
    "ferroptosis",
    "cuproptosis",
    "disulfidptosis",
    "parthanatos",
    "entosis",
    "netosis",
    "anoikis",
    "alkaliptosis",
    "oxeiptosis",
    "lysosome_dependent_cell_death",
}


def sets_of(name):
    rows = [line.split("\t") for line in (RESOURCES / "genesets" / name).read_text().splitlines()]
    return {row[0]: (row[1], row[2:]) for row in rows}


@pytest.fixture(scope="module")
def genes():
    return pd.read_csv(RESOURCES / "demo" / "genes.tsv.gz", sep="\t", keep_default_na=False)


@pytest.mark.parametrize("name", ["programmed_cell_death.gmt", "cell_types.gmt"])
def test_sets_are_well_formed(name, genes):
    known = set(genes["symbol"])
    for label, (source, members) in sets_of(name).items():
        assert source, label
        assert len(members) == len(set(members)), label
        assert [g for g in members if not SYMBOL.fullmatch(g)] == [], label
        assert sorted(set(members) - known) == [], label


def test_description_of_the_cell_death_sets_agrees_with_them():
    described = yaml.safe_load((RESOURCES / "genesets" / "programmed_cell_death.yaml").read_text())["sets"]
    found = sets_of("programmed_cell_death.gmt")
    assert set(found) == MODES == set(described)
    for label, (source, members) in found.items():
        fact = described[label]
        assert fact["genes"] == len(members), label
        assert fact["source"] == source, label
        assert re.fullmatch(r"20\d\d-\d\d-\d\d", str(fact["date"])), label
        assert fact["references"], label
        for reference in fact["references"]:
            assert re.match(r"(doi:10\.\d{4,}/|https://)", reference["id"]), label
            assert reference["paper"], label
            # A reference that nobody could confirm says why.
            assert reference["verified"] is True or reference["reason"], label
        assert any(reference["verified"] for reference in fact["references"]), label
        assert fact["compared"], label
        assert all(0 < c["shared"] <= min(c["size"], len(members)) for c in fact["compared"]), label
        assert fact["note"], label
    union = {g for _, members in found.values() for g in members}
    assert 600 <= len(union) <= 1200


def test_names_newer_than_gencode_v22_are_reached_from_their_old_name():
    approved = gene_table().retired
    pairs = "ADPRHL2 ADPRS AES TLE5 C4orf27 HPF1 DFNA5 GSDME FDX1L FDX2 GATSL3 CASTOR1 GBA GBA1 H2AFX H2AX PARK2 PRKN"
    names = f"{pairs} TMEM173 STING1 TMEM189 PEDS1".split()
    assert [approved[old] for old in names[::2]] == names[1::2]
    members = {
        g for name in ("programmed_cell_death.gmt", "cell_types.gmt") for _, m in sets_of(name).values() for g in m
    }
    assert sorted(members & set(approved)) == []
    assert sorted(members - gene_table().symbols) == []


def test_genes_that_name_a_mode():
    found = {label: set(members) for label, (_, members) in sets_of("programmed_cell_death.gmt").items()}
    assert {"FDX1", "LIAS", "LIPT1", "DLD", "DLAT", "PDHA1", "PDHB", "MTF1", "GLS", "CDKN2A"} <= found["cuproptosis"]
    assert {"SLC7A11", "SLC3A2", "RPN1", "NCKAP1"} <= found["disulfidptosis"]
    assert {"GPX4", "ACSL4", "AIFM2", "SLC7A11"} <= found["ferroptosis"]
    assert {"RIPK1", "RIPK3", "MLKL"} <= found["necroptosis"]
    assert {"GSDMD", "GSDME", "NLRP3", "CASP1"} <= found["pyroptosis"]
    assert {"IKBKB", "NFKB1", "RELA", "CA9", "ACSS2", "ATP6V0D1"} <= found["alkaliptosis"]
    assert {"PARP1", "AIFM1", "MIF", "PARG"} <= found["parthanatos"]
    assert {"RHOA", "ROCK1", "ROCK2", "CDH1", "CTNNA1"} <= found["entosis"]
    assert {"PADI4", "MPO", "ELANE"} <= found["netosis"]
    assert {"KEAP1", "PGAM5", "AIFM1"} <= found["oxeiptosis"]


def test_lsc17():
    table = pd.read_csv(RESOURCES / "signatures" / "lsc17.tsv", sep="\t", comment="#").set_index("gene")
    assert len(table) == 17
    assert table.loc["DNMT3B", "weight"] == 0.0874
    assert table.loc["ADGRG1", "published_name"] == "GPR56"
    assert (table["weight"] < 0).sum() == 6


def test_gene_table(genes):
    path = RESOURCES / "demo" / "genes.tsv.gz"
    assert path.stat().st_size <= 300_000
    assert len(genes) == 12_000
    assert genes["symbol"].is_unique
    assert genes["ensembl"].is_unique
    assert genes["ensembl"].str.fullmatch(r"ENSG\d{11}").all()
    with gzip.open(path) as handle:
        assert handle.readline() == b"symbol\tensembl\tchromosome\n"


def test_facts_are_consistent_and_cited():
    facts = yaml.safe_load((RESOURCES / "demo" / "aml_facts.yaml").read_text())
    assert sum(facts["risk_groups"]["proportions"].values()) == pytest.approx(1.0)
    for block in ("risk_groups", "survival", "age", "sex", "blood", "classes", "mutation_log_hazard"):
        assert "doi:10." in facts[block]["source"], block
    known = set(facts["variants"])
    for group in ("favourable", "intermediate", "adverse"):
        for name, fact in facts["classes"][group].items():
            assert set(fact["mutations"]) <= known, name
            assert all(0 < f <= 1 for f in fact["mutations"].values()), name
    assert set(facts["mutation_log_hazard"]["values"]) <= known


def test_every_doi_of_the_facts_was_looked_up():
    path = RESOURCES / "demo" / "aml_facts.yaml"
    cited = set(re.findall(r"doi:10\.\d{4,}/[A-Za-z0-9./-]+", path.read_text(encoding="utf-8")))
    checks = yaml.safe_load(path.read_text(encoding="utf-8"))["verification"]
    assert cited <= {check["id"] for check in checks}
    assert all(check["verified"] is True or check["reason"] for check in checks)


@pytest.mark.parametrize("folder", ["demo", "gene_names", "genesets", "reporting", "signatures"])
def test_readme_names_every_file(folder):
    text = (RESOURCES / "README.md").read_text()
    for path in (RESOURCES / folder).rglob("*"):
        assert path.relative_to(RESOURCES).as_posix() in text, path
