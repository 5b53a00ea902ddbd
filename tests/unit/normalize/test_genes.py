from __future__ import annotations

import numpy as np
import pandas as pd

from amlprognosis.normalize.gene_table import SEVERAL, gene_table
from amlprognosis.normalize.genes import drop_missing, merge_duplicates, rename_genes


def test_the_table_is_consistent():
    table = gene_table()
    approved, ambiguous = table.retired, table.ambiguous
    assert len(approved) > 1000
    assert not set(approved) & set(ambiguous)
    # No chain: what a name becomes is itself current.
    assert not set(approved.values()) & set(approved)
    assert all(name == name.strip() and SEVERAL not in name for name in approved.values())


def test_families_and_dates():
    names = [
        "MARCH5",
        "SEPT9",
        "MLL",
        "HIST1H4C",
        "GPR56",
        "FAM5C",
        "EVI1",
        "WHSC1",
        "TP53",
        "3-Mar",
        "Sep-02",
        "1-Dec",
    ]
    new, _ = rename_genes(names)
    assert new == [
        "MARCHF5",
        "SEPTIN9",
        "KMT2A",
        "H4C3",
        "ADGRG1",
        "BRINP3",
        "MECOM",
        "NSD2",
        "TP53",
        "MARCHF3",
        "SEPTIN2",
        "DELEC1",
    ]


def test_what_is_unsure_is_kept_and_reported():
    new, report = rename_genes(["1-Mar", "MLL4", "5-Apr"])
    assert new == ["1-Mar", "MLL4", "5-Apr"]
    assert [row["reason"] for row in report] == [
        "MARCHF1 or MTARC1",
        "KMT2B or KMT2D",
        "no gene is known to look like this",
    ]


def test_the_approved_name_wins_then_the_highest_mean():
    matrix = pd.DataFrame([[9.0, 1, 5, 7, np.nan]], columns=["MLL", "KMT2A", "EVI1", "MDS1", "X"])
    merged, chosen, report = merge_duplicates(matrix, ["KMT2A", "KMT2A", "MECOM", "MECOM", "X"])
    assert merged.columns.tolist() == ["KMT2A", "MECOM", "X"]
    assert chosen.tolist() == ["KMT2A", "MDS1", "X"]
    assert [row["item"] for row in report] == ["MLL", "EVI1"]


def test_missing_genes_are_dropped_and_reported():
    matrix = pd.DataFrame({"A": [1.0, np.nan, 3, 4, 5], "B": [np.nan, np.nan, 3, 4, 5]})
    kept, steps = drop_missing(matrix, 0.2)
    assert kept.columns.tolist() == ["A"]
    assert steps[0]["dropped"] == 1
