"""Tables that two runs can compare byte by byte."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from amlprognosis.tables import read_table, write_table


def test_fixed_decimals_and_round_trip(tmp_path: Path) -> None:
    table = pd.DataFrame({"name": ["a", "NA b"], "value": [-0.00001, np.nan], "n": [1, 2], "flag": [True, False]})
    write_table(table, tmp_path / "sub" / "t.tsv", decimals={"value": 3})
    assert (tmp_path / "sub" / "t.tsv").read_text() == "name\tvalue\tn\tflag\na\t0.000\t1\ttrue\nNA b\tNA\t2\tfalse\n"
    back = read_table(tmp_path / "sub" / "t.tsv")
    assert back["flag"].tolist() == [True, False]
    assert back["value"].isna().tolist() == [False, True]
    assert [path.name for path in (tmp_path / "sub").iterdir()] == ["t.tsv"]
