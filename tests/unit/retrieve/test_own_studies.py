"""Own tables from the file to the cohort: ids without a map, names that programs changed, axes the wrong way round."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from amlprognosis.cohort import preprocessing
from amlprognosis.errors import InputError
from amlprognosis.normalize.assemble import assemble_cohort
from amlprognosis.normalize.gene_table import gene_table
from amlprognosis.retrieve.own_names import alike
from amlprognosis.retrieve.read import read_source
from amlprognosis.study import load_study

GENES = sorted(["CD34", "DNMT3B", "FLT3", "HOXA9", "KIT", "MEIS1", "NPM1", "RUNX1", "TP53", "WT1", "ACTB", "GAPDH"])
PATIENTS = [f"TCGA-AB-{2800 + i}" for i in range(24)]


def values(scale: str = "log2") -> pd.DataFrame:
    """Genes x samples."""
    draw = np.random.default_rng(5).gamma(2, 400, (len(GENES), len(PATIENTS)))
    made = {"counts": draw.round(), "tpm": draw / draw.sum(axis=0) * 1e6, "log2": np.log2(1 + draw)}[scale]
    return pd.DataFrame(made, index=GENES, columns=PATIENTS)


def clinical() -> pd.DataFrame:
    days = np.arange(24) * 31 + 40
    return pd.DataFrame({"id": PATIENTS, "os": days, "dead": np.arange(24) % 2})


def cohort(
    folder: Path, expression: pd.DataFrame, table: pd.DataFrame | None = None, name: str = "e.tsv", **source: Any
) -> AnnData:
    """A cohort from a matrix of genes x samples and a clinical table."""
    if name.endswith(".h5ad"):
        turned = expression.T
        AnnData(turned.to_numpy(), pd.DataFrame(index=turned.index), pd.DataFrame(index=turned.columns)).write_h5ad(
            folder / name
        )
    elif name.endswith(".xlsx"):
        expression.to_excel(folder / name, index_label="gene")
    else:
        expression.to_csv(folder / name, sep="\t", index_label="gene")
    (clinical() if table is None else table).to_csv(folder / "c.csv", index=False)
    (folder / "sets.gmt").write_text("SET\tx\t" + "\t".join(GENES[:6]) + "\n")
    own = {"type": "tables", "expression": name, "scale": "log2", "clinical": "c.csv", "clinical_id": "id", **source}
    study = load_study(
        {
            "study": "own",
            "title": "Own",
            "data_root": str(folder),
            "cohorts": {
                "A": {
                    "role": "training",
                    "source": own,
                    "clinical": {"os_time": {"column": "os", "unit": "days"}, "os_event": {"column": "dead"}},
                }
            },
            "gene_sets": {"file": str(folder / "sets.gmt")},
            "models": {"run": ["gene_index"]},
        }
    )
    return assemble_cohort(study, "A", read_source(study, "A"))


def details(adata: AnnData) -> str:
    return "\n".join(preprocessing(adata)["detail"])


@pytest.mark.parametrize("name", ["e.tsv", "e.xlsx", "e.h5ad"])
@pytest.mark.parametrize("scale", ["log2", "counts", "tpm"])
def test_every_scale_of_every_file(tmp_path, name, scale):
    adata = cohort(tmp_path, values(scale), name=name, scale=scale)
    assert list(adata.obs_names) == PATIENTS
    assert list(adata.var_names) == GENES
    if scale == "log2":
        np.testing.assert_array_equal(adata.X, values().T.to_numpy(dtype=np.float32))
    if scale == "tpm":
        np.testing.assert_allclose(adata.X, np.log2(1 + values("tpm").T), rtol=1e-6)
    if scale == "counts":
        np.testing.assert_array_equal(adata.layers["counts"], values("counts").T)


def ids_of(kind: str) -> list[str]:
    known = {symbol: name for name, symbol in sorted(gene_table().ids[kind].items(), reverse=True)}
    suffix = {"ensembl": ".12", "refseq": ".3", "entrez": ""}[kind]
    return [known[gene] + suffix for gene in GENES]


@pytest.mark.parametrize("kind", ["ensembl", "entrez", "refseq"])
def test_ids_without_a_map_become_symbols(tmp_path, kind):
    adata = cohort(tmp_path, values().set_axis(ids_of(kind), axis=0), gene_ids=kind)
    assert list(adata.var_names) == GENES
    np.testing.assert_array_equal(adata.X, values().T.to_numpy(dtype=np.float32))


@pytest.mark.parametrize("kind", ["ensembl", "entrez", "refseq"])
def test_ids_that_are_called_symbols_are_refused(tmp_path, kind):
    with pytest.raises(InputError, match=rf"e\.tsv: 100% of the gene names .*; set cohorts.A.source.gene_ids: {kind}"):
        cohort(tmp_path, values().set_axis(ids_of(kind), axis=0))


def test_transcripts_are_refused(tmp_path):
    names = [f"ENST00000{300000 + i}.2" for i in range(len(GENES))]
    with pytest.raises(InputError, match="are transcripts"):
        cohort(tmp_path, values().set_axis(names, axis=0), gene_ids="ensembl")


def test_dates_of_a_spreadsheet_become_genes(tmp_path):
    names = ["2024-09-02", "03.03.2024", *GENES[2:]]
    adata = cohort(tmp_path, values().set_axis(names, axis=0))
    assert {"SEPTIN2", "MARCHF3"} < set(adata.var_names)
    assert "2 gene names that a spreadsheet turned to dates" in details(adata)


@pytest.mark.parametrize(
    "change",
    [
        lambda name: name.replace("-", "."),
        lambda name: name.lower(),
        lambda name: name.replace("-", "_"),
        lambda name: name.replace("-", " "),
    ],
    ids=["make.names", "case", "underscores", "blanks"],
)
def test_names_that_differ_in_separators_are_matched_and_counted(tmp_path, change):
    adata = cohort(tmp_path, values().rename(columns=change))
    assert list(adata.obs_names) == PATIENTS
    assert f"24 samples differ only in case, blanks or separators: {change(PATIENTS[0])} is {PATIENTS[0]}" in details(
        adata
    )
    np.testing.assert_array_equal(adata.X, values().T.to_numpy(dtype=np.float32))


def test_names_that_are_the_same_are_not_noted(tmp_path):
    assert "separators" not in details(cohort(tmp_path, values()))


def test_names_alike_of_two_patients_are_refused(tmp_path):
    table = clinical()
    table.loc[23, "id"] = "TCGA_AB_2800"
    with pytest.raises(InputError, match=r"TCGA\.AB\.2800 and TCGA-AB-2800, TCGA_AB_2800 of the clinical table differ"):
        cohort(tmp_path, values().rename(columns=lambda name: name.replace("-", ".")), table)


def test_different_names_stay_different():
    assert alike("X7A") == alike("7a") != alike("7-A")
    assert len({alike(name) for name in ("P-11", "P-1.1", "P-1", "XA")}) == 4


def test_patterns_and_mutations_meet_alike_names(tmp_path):
    rows = ["Hugo_Symbol\tVariant_Classification\tTumor_Sample_Barcode"]
    rows += [f"NPM1\tFrame_Shift_Ins\t{name}-03A" for name in PATIENTS[:5]]
    (tmp_path / "m.maf").write_text("\n".join(rows) + "\n")
    adata = cohort(
        tmp_path,
        values().rename(columns=lambda name: name.replace("-", ".") + ".03A"),
        patient_pattern=r"^(TCGA.AB.\d{4})",
        mutations="m.maf",
    )
    assert list(adata.obs_names) == PATIENTS
    assert adata.obsm["mutations"]["NPM1"].sum() == 5


@pytest.mark.parametrize("name", ["e.tsv", "e.h5ad"])
def test_a_matrix_the_wrong_way_round(tmp_path, name):
    how = "no transposed h5ad" if name == "e.h5ad" else r"turn cohorts\.A\.source\.orientation"
    with pytest.raises(InputError, match=rf"its genes are called TCGA-AB-2800.*and its samples ACTB.*{how}"):
        cohort(tmp_path, values().T, name=name)
    others = clinical().assign(id=[f"P{i}" for i in range(24)])
    with pytest.raises(InputError, match=r"12 samples that are called like genes .*and 24 genes that are not"):
        cohort(tmp_path, values().T, others)
