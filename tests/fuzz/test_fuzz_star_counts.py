from __future__ import annotations

import re
from pathlib import Path

import pytest
from as_read import decoded, harmless
from hypothesis import given
from hypothesis import strategies as st
from mangle import outcome, spoiled

from amlprognosis.errors import InputError
from amlprognosis.retrieve.star_counts import merge_par, read_matrix, read_star_counts

HEADER = (
    "gene_id gene_name gene_type unstranded stranded_first stranded_second "
    "tpm_unstranded fpkm_unstranded fpkm_uq_unstranded"
).replace(" ", "\t")
GENES = [f"ENSG000000{i:05d}.{1 + i % 9}" for i in range(3, 90, 7)]
GENES += [f"{GENES[2]}_PAR_Y", f"{GENES[5]}_PAR_Y"]
SUMMARY = ("N_unmapped", "N_multimapping", "N_noFeature", "N_ambiguous")


def star(shift: int = 0) -> str:
    lines = ["# gene-model: GENCODE v36", HEADER]
    lines += [f"{name}\t\t\t{100 + i}\t0\t0\t\t\t" for i, name in enumerate(SUMMARY)]
    for i, gene in enumerate(GENES):
        count = (i * 37 + shift) % 1009
        lines.append(f"{gene}\tG{i}\tprotein_coding\t{count}\t1\t2\t{count / 7:.4f}\t{i}.5\t{i}.25")
    return "\n".join(lines) + "\n"


def rows_of(text: str, column: str) -> dict[str, tuple[str, float]]:
    """Name and value per gene, read as plainly as can be."""
    lines = [line for line in text.split("\n") if not line.startswith("#")]
    header = lines[0].split("\t")
    found = {}
    for line in lines[1:-1]:
        cells = dict(zip(header, line.split("\t"), strict=True))
        if not cells["gene_id"].startswith("N_"):
            assert cells["gene_id"] not in found
            found[cells["gene_id"]] = (cells["gene_name"], float(cells[column]))
    return found


TRUTH = {column: rows_of(star(), column) for column in ("unstranded", "tpm_unstranded")}


@given(data=st.data(), column=st.sampled_from(sorted(TRUTH)), zipped=st.booleans())
def test_a_damaged_file_is_refused_or_read_as_it_stands(tmp_path_factory, data, column, zipped):
    file = data.draw(spoiled(star(), zipped=False))
    path = tmp_path_factory.mktemp("star") / "a.rna_seq.augmented_star_gene_counts.tsv"
    found = outcome(lambda place: read_star_counts(place, column), path, file.content)
    if found is None:
        assert not harmless(file)
        return
    read = {
        gene: (name, value)
        for gene, name, value in zip(found.genes.to_pylist(), found.names.to_pylist(), found.values, strict=True)
    }
    assert read == rows_of(decoded(file.content), column)
    if harmless(file):
        assert read == TRUTH[column]
        assert found.model == "GENCODE v36"


@given(data=st.data())
def test_a_damaged_file_beside_a_good_one_keeps_every_gene(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("stars")
    good = folder / "good.tsv"
    good.write_text(star())
    file = data.draw(spoiled(star(5)))
    path = folder / "b.tsv"
    found = outcome(lambda place: read_matrix([good, place], ["A", "B"], "unstranded"), path, file.content)
    if found is None:
        return
    matrix = found[0]
    rows = rows_of(decoded(file.content), "unstranded")
    assert sorted(rows) == sorted(GENES)
    for row, text in (("A", TRUTH["unstranded"]), ("B", rows)):
        sums: dict[str, float] = {}
        for gene, (_, value) in text.items():
            sums[gene.partition(".")[0]] = sums.get(gene.partition(".")[0], 0) + value
        assert matrix.loc[row].to_dict() == sums
    assert found[1].to_dict() == {gene.partition(".")[0]: f"G{i}" for i, gene in enumerate(GENES[:-2])}


@given(
    row=st.integers(2, len(GENES) + 5), cell=st.integers(0, 8), word=st.sampled_from(["", "abc", "-1", "0x1", "1\t2"])
)
def test_the_line_of_a_fault_is_named(tmp_path_factory, row, cell, word):
    lines = star().split("\n")
    cells = lines[row].split("\t")
    cells[cell] = word
    lines[row] = "\t".join(cells)
    path = tmp_path_factory.mktemp("star") / "a.tsv"
    path.write_text("\n".join(lines))
    fault, found = "", None
    try:
        found = read_star_counts(path)
    except InputError as error:
        fault = str(error)
    if found is None:
        # The summary rows are judged together.
        line = 3 if row < 6 and "\t" not in word and cell != 3 else row + 1
        assert re.search(rf"a\.tsv: line {line}\b", fault), fault
        return
    assert dict(zip(found.genes.to_pylist(), found.values, strict=True)) == {
        gene: value for gene, (_, value) in rows_of(path.read_text(), "unstranded").items()
    }


@given(order=st.permutations(range(len(GENES))))
def test_the_order_of_genes_does_not_matter(order):
    import numpy as np
    import pandas as pd

    names = np.array([f"G{i}" for i in range(len(GENES))], dtype=object)
    values = np.arange(len(GENES), dtype=float)[None, :]
    first = merge_par(pd.Index(GENES), names, values, ["A"])
    again = merge_par(pd.Index([GENES[i] for i in order]), names[order], values[:, order], ["A"])
    assert again[0][first[0].columns].equals(first[0])
    assert again[1].reindex(first[1].index)[: len(GENES) - 2].tolist() == first[1].tolist()


def test_the_file_itself_is_read(tmp_path: Path):
    path = tmp_path / "a.tsv"
    path.write_text(star())
    assert read_star_counts(path).values.tolist() == [value for _, value in TRUTH["unstranded"].values()]
    with pytest.raises(InputError, match="no column of STAR-counts files"):
        read_star_counts(path, "counts")
