"""The frozen table of gene names, and how it is made anew."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from server import FixtureServer

from amlprognosis import cli
from amlprognosis.cohort import RawCohort, preprocessing
from amlprognosis.errors import InputError
from amlprognosis.normalize import gene_table as module
from amlprognosis.normalize.assemble import assemble_cohort
from amlprognosis.normalize.gene_table import (
    bare_id,
    gene_table,
    look_up,
    read_hgnc,
    refresh_table,
    symbols_of,
    write_gene_table,
)
from amlprognosis.study import Retrieval, load_study

HEADER = "hgnc_id\tsymbol\tname\tstatus\talias_symbol\tprev_symbol\tentrez_id\tensembl_gene_id\trefseq_accession"


def complete_set(path, number=30_001, extra=()):
    """A file in the form of hgnc_complete_set.txt."""
    rows = [f"HGNC:{k}\tGENE{k}\tgene {k}\tApproved\t\t\t{k}\tENSG{k:011d}\tNM_{k:06d}" for k in range(1, number + 1)]
    path.write_text("\n".join([HEADER, *rows, *extra]) + "\n")
    return path


@pytest.fixture
def other_table(tmp_path):
    """Path of a table that stands in the place of the frozen one."""
    path = tmp_path / "hgnc.tsv.gz"
    path.write_bytes(module.TABLE.read_bytes())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "TABLE", path)
        gene_table.cache_clear()
        yield path
    gene_table.cache_clear()


def test_the_frozen_table_knows_what_aml_is_about():
    table = gene_table()
    assert table.date == "2024-07-23"
    assert len(table.symbols) > 43_000
    assert {"FLT3", "NPM1", "KMT2A", "MECOM", "RUNX1T1", "CEBPA"} <= table.symbols
    assert {name: table.retired[name] for name in ("MLL", "AML1", "EVI1", "ETO", "CD33L")} == {
        "MLL": "KMT2A",
        "AML1": "RUNX1",
        "EVI1": "MECOM",
        "ETO": "RUNX1T1",
        "CD33L": "SIGLEC6",
    }
    assert not set(table.retired) & table.symbols
    assert set(table.retired.values()) <= table.symbols
    assert {gene for genes in table.ambiguous.values() for gene in genes} <= table.symbols
    assert not set(table.retired) & set(table.ambiguous)


@pytest.mark.parametrize(
    ("name", "kind", "symbol"),
    [
        ("ENSG00000141510", "ensembl", "TP53"),
        ("ENSG00000141510.16", "ensembl", "TP53"),
        ("7157", "entrez", "TP53"),
        ("7157.0", "entrez", "TP53"),
        ("GeneID:7157", "entrez", "TP53"),
        ("NM_000546.6", "refseq", "TP53"),
        ("NM_004119", "refseq", "FLT3"),
        ("ENSG99999999999", "ensembl", ""),
        ("0", "entrez", ""),
        ("nonsense", "refseq", ""),
    ],
)
def test_ids(name, kind, symbol):
    assert symbols_of([name], kind).tolist() == [symbol]


def test_the_pseudoautosomal_copy_is_the_same_gene():
    assert bare_id("ENSG00000002586.20_PAR_Y", "ensembl") == "ENSG00000002586"


def test_a_previous_symbol_wins_over_an_alias(tmp_path, other_table):
    extra = [
        "HGNC:90001\tNEWONE\tx\tApproved\t\tOLD\t90001\t\t",
        "HGNC:90002\tOTHER\tx\tApproved\tOLD|SHARED\t\t90002\t\t",
        'HGNC:90003\tTHIRD\tx\tApproved\t"SHARED|ONLY3"\t\t90003\t\t',
        "HGNC:90004\tGONE\tx\tEntry Withdrawn\tGONEALIAS\t\t\t\t",
    ]
    rows = read_hgnc(complete_set(tmp_path / "hgnc_complete_set.txt", extra=extra))
    write_gene_table(rows, other_table, "2025-01-02", "test")
    gene_table.cache_clear()
    table = gene_table()
    assert (table.date, table.retired["OLD"], table.retired["ONLY3"]) == ("2025-01-02", "NEWONE", "THIRD")
    assert table.ambiguous["SHARED"] == ("OTHER", "THIRD")
    assert "GONE" not in table.symbols
    assert "GONEALIAS" not in table.retired
    assert table.ids["refseq"]["NM_000007"] == "GENE7"
    assert look_up("SHARED") == "SHARED: ambiguous: OTHER or THIRD; kept as it is"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda text: text[:-20], "the last line is not ended"),
        (lambda text: text.replace("prev_symbol", "previous"), "no column prev_symbol"),
        (lambda text: text.replace("\tGENE5\t", "\tGENE4\t"), "line 6: symbol 'GENE4' is empty or stands twice"),
        (lambda text: text.replace("gene 9\t", "gene 9"), "line 10 has 8 fields, the header 9"),
        (lambda text: "\n".join([*text.split("\n")[:100], ""]), "99 approved genes only"),
    ],
)
def test_a_damaged_download_is_refused(tmp_path, spoil, message):
    path = complete_set(tmp_path / "hgnc_complete_set.txt")
    path.write_text(spoil(path.read_text()))
    with pytest.raises(InputError, match=message) as error:
        read_hgnc(path)
    assert "hgnc_complete_set.txt" in str(error.value)


def test_the_command_makes_the_table_anew(tmp_path, other_table, capsys):
    file = complete_set(tmp_path / "hgnc_complete_set.txt")
    assert cli.main(["gene-names", "--from", str(file)]) == 2
    assert "give the date of this copy" in capsys.readouterr().err
    assert cli.main(["gene-names", "--from", str(file), "--date", "2026-01-01"]) == 0
    assert "30001 symbols are new, 43837 are gone" in capsys.readouterr().out
    first = other_table.read_bytes()
    assert cli.main(["gene-names", "--from", str(file), "--date", "2026-01-01"]) == 0
    assert other_table.read_bytes() == first


def test_the_nomenclature_is_downloaded(tmp_path, other_table):
    folder = tmp_path / "hgnc" / "tsv" / "tsv"
    folder.mkdir(parents=True)
    complete_set(folder / "hgnc_complete_set.txt")
    with FixtureServer(tmp_path) as server:
        settings = Retrieval(mirrors={"genenames": f"{server.url}/hgnc"}, cache=str(tmp_path / "cache"))
        lines = refresh_table(None, "2026-11-21", settings)
        assert [request.path for request in server.log] == ["/hgnc/tsv/tsv/hgnc_complete_set.txt"]
    assert "the nomenclature of 2026-11-21 in the place of 2024-07-23" in lines[0]
    assert gene_table().ids["entrez"]["17"] == "GENE17"


def test_the_command_looks_names_up(capsys):
    assert cli.main(["gene-names", "--look-up", "MLL", "7157"]) == 0
    assert capsys.readouterr().out.splitlines() == ["MLL: KMT2A (previous symbol or alias)", "7157: TP53 (entrez id)"]


@pytest.mark.parametrize("kind", ["ensembl", "entrez", "refseq"])
def test_a_cohort_of_ids(kind):
    table = gene_table()
    by_symbol = {symbol: name for name, symbol in table.ids[kind].items()}
    genes = ["CEBPA", "FLT3", "IDH2", "KIT", "NPM1", "NRAS", "RUNX1", "TET2", "TP53", "WT1"]
    ids = [by_symbol[g] + (".3" if kind != "entrez" else "") for g in genes] + ["unknown"]
    rng = np.random.default_rng(1)
    patients = [f"P{k}" for k in range(40)]
    study = load_study(
        {
            "study": "ids",
            "title": "ids",
            "cohorts": {
                "A": {
                    "role": "training",
                    "source": {
                        "type": "tables",
                        "expression": "e.tsv",
                        "scale": "log2",
                        "gene_ids": kind,
                        "clinical": "c.tsv",
                        "clinical_id": "id",
                    },
                    "clinical": {"os_time": {"column": "t", "unit": "days"}, "os_event": {"column": "e"}},
                }
            },
        }
    )
    raw = RawCohort(
        expression=pd.DataFrame(rng.normal(8, 2, (40, 11)), index=patients, columns=ids),
        scale="log2",
        gene_ids=kind,
        clinical=pd.DataFrame(
            {"t": [str(100 + k) for k in range(40)], "e": [str(k % 2) for k in range(40)]}, index=patients
        ),
        patients=pd.Series(patients, index=patients),
    )
    cohort = assemble_cohort(study, "A", raw)
    assert list(cohort.var_names) == sorted(genes)
    steps = preprocessing(cohort).set_index("step")
    name = {"ensembl": "Ensembl", "entrez": "NCBI Gene", "refseq": "RefSeq"}[kind]
    assert steps.loc[f"{name} ids to symbols", "dropped"] == 1
    assert "10 by the HGNC table of 2024-07-23" in steps.loc[f"{name} ids to symbols", "detail"]
    if kind == "ensembl":
        assert cohort.var.loc["TP53", "ensembl"] == "ENSG00000141510"


# As GENCODE 22 calls them: the read-through gene bears the name of its second half, and the other way round.
OLD_NAMES = {"ENSG00000011052.20": "NME2", "ENSG00000243678.10": "NME1-NME2", "ENSG00000999999.1": "AC000001.1"}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"type": "gdc", "project": "TCGA-LAML"}, {"NME1-NME2": 10, "NME2": 1000, "AC000001.1": 100}),
        (
            {
                "type": "tables",
                "expression": "e.tsv",
                "scale": "counts",
                "gene_ids": "ensembl",
                "gene_map": "m.tsv",
                "clinical": "c.tsv",
                "clinical_id": "id",
            },
            {"NME2": 10, "NME1-NME2": 1000, "AC000001.1": 100},
        ),
    ],
    ids=["service", "own tables"],
)
def test_ids_rule_over_the_names_of_a_source_but_not_over_the_users(source, expected):
    patients = [f"P{k}" for k in range(40)]
    counts = np.array([10.0, 1000.0, 100.0]) * np.linspace(1, 2, 40)[:, None]
    mapping = {"os_time": {"column": "t", "unit": "days"}, "os_event": {"column": "e"}}
    cohort = {"role": "training", "source": source, "clinical": mapping}
    study = load_study({"study": "ids", "title": "ids", "cohorts": {"A": cohort}})
    raw = RawCohort(
        expression=pd.DataFrame(np.round(counts), index=patients, columns=list(OLD_NAMES)),
        scale="counts",
        gene_ids="ensembl",
        clinical=pd.DataFrame(
            {"t": [str(100 + k) for k in range(40)], "e": [str(k % 2) for k in range(40)]}, index=patients
        ),
        patients=pd.Series(patients, index=patients),
        gene_map=pd.Series(OLD_NAMES),
    )
    found = assemble_cohort(study, "A", raw)
    first = pd.Series(found.layers["counts"][0], index=found.var_names)
    assert first.to_dict() == expected
    assert found.var.loc["AC000001.1", "ensembl"] == "ENSG00000999999"
