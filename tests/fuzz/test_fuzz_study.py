"""Study files in bad condition: what is accepted stands so in the file, or the file is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from mangle import harmless, outcome, spoiled

from amlprognosis.study import load_study

TEXT = """\
# own cohort
study: own
title: A study of one cohort
seed: 7
data_root: data
cohorts:
  A:
    role: training
    source:
      type: tables
      expression: e.tsv
      scale: log2
      clinical: c.csv
      clinical_id: id
    clinical:
      os_time: {column: os, unit: months}
      os_event: {column: dead, dead: ["1"], alive: ["0"]}
      age: {column: age}
      exclude:
        - {column: dx, values: [APL], reason: acute promyelocytic leukaemia}
gene_sets:
  file: sets.gmt
crossvalidation:
  folds: 5
  repeats: 2
models:
  run: [gene_index, age]
"""


def stands(found: Any, written: Any) -> bool:
    """Whether what is written is what was understood; the defaults of what is not written are passed over."""
    if isinstance(written, Mapping):
        return isinstance(found, Mapping) and all(key in found and stands(found[key], written[key]) for key in written)
    if isinstance(written, list):
        if not isinstance(found, list | tuple):
            return stands(found, written[0]) if len(written) == 1 else False
        return len(found) == len(written) and all(map(stands, found, written))
    if isinstance(found, list) and len(found) == 1:
        return stands(found[0], written)
    return found == written or str(found) == str(written)


@given(data=st.data())
def test_a_damaged_study_is_refused_or_read_as_it_stands(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    file = data.draw(spoiled(TEXT, mark=" "))
    study = outcome(load_study, tmp_path_factory.getbasetemp() / "study.yaml", file.content)
    if study is None:
        assert not harmless(file)
        return
    written = yaml.safe_load(file.content.decode())
    assert stands(study.model_dump(mode="json"), written), written
    if harmless(file):
        assert study.model_dump() == load_study(yaml.safe_load(TEXT)).model_dump()
