from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from amlprognosis.errors import InputError
from amlprognosis.normalize.probes import probe_symbols, probes_to_genes, specificity


def test_probes_to_genes():
    gene_map = pd.Series(
        {"a": "TP53", "b": "TP53", "c": "DDR1 /// MIR4640", "d": "A1 /// B2", "e": "", "f": "TP53///TP53"}
    )
    symbols, counted = probe_symbols(gene_map)
    assert symbols.tolist() == ["TP53", "TP53", "DDR1", "", "", "TP53"]
    assert counted == {"without": 1, "several": 1}
    matrix = pd.DataFrame([[1.0, 5, 2, 3, 4], [3, 5, 2, 3, 4]], columns=list("abcde"))
    genes, probes, steps = probes_to_genes(matrix, symbols, "max_mean", "x")
    assert probes.to_dict() == {"DDR1": "c", "TP53": "b"}
    assert [s["dropped"] for s in steps] == [2, 1]
    assert probes_to_genes(matrix, symbols, "median", "x")[0]["TP53"].tolist() == [3.0, 4.0]
    assert genes.columns.tolist() == ["DDR1", "TP53"]
    with pytest.raises(InputError, match="is the platform right"):
        probes_to_genes(matrix.add_prefix("z"), symbols, "max_mean", "x")


def test_medians_bear_missing_values():
    symbols = pd.Series(dict.fromkeys("abcd", "TP53") | {"e": "KIT"})
    matrix = pd.DataFrame([[1.0, np.nan, 5, 2, 7], [np.nan, np.nan, np.nan, 3, np.nan], [1, 2, 3, 9, 8]])
    found, probes, _ = probes_to_genes(matrix.set_axis(list("abcde"), axis=1), symbols, "median", "x")
    np.testing.assert_array_equal(found["TP53"], [2.0, 3.0, 2.5])
    np.testing.assert_array_equal(found["KIT"], [7.0, np.nan, 8.0])
    assert probes["TP53"] == "a /// b /// c /// d"


def test_the_most_specific_probe_by_its_name():
    names = ["AFFX-TP53_at", "3_x_at", "1_at", "9_s_at", "0_f_at", "2_a_at", "5_at"]
    order = sorted(names, key=lambda name: specificity(name, "TP53"))
    assert order == ["1_at", "5_at", "2_a_at", "9_s_at", "3_x_at", "0_f_at", "AFFX-TP53_at"]
    assert specificity("1_at", "TP53 /// MIR1") > specificity("5_at", "TP53")
    assert specificity("ILMN_1", "TP53") < specificity("ILMN_2", "TP53")


def test_the_best_annotated_probe_is_the_same_whatever_is_expressed():
    table = pd.Series({"7_s_at": "TP53", "8_at": "TP53 /// MIR1", "9_at": "TP53", "1_x_at": "KIT", "2_at": "KIT /// X"})
    symbols, _ = probe_symbols(table)
    rng = np.random.default_rng(1)
    for _ in range(3):
        matrix = pd.DataFrame(rng.normal(size=(4, 5)), columns=table.index)
        genes, probes, steps = probes_to_genes(matrix, symbols, "best_annotated", "x", table)
        assert probes.to_dict() == {"KIT": "1_x_at", "TP53": "9_at"}
        np.testing.assert_array_equal(genes["TP53"], matrix["9_at"])
        assert "whatever its values" in steps[1]["detail"]
    # A probe that was not measured at all stands for nothing.
    probes = probes_to_genes(matrix.assign(**{"9_at": np.nan}), symbols, "best_annotated", "x", table)[1]
    assert probes["TP53"] == "8_at"
