from __future__ import annotations

import pytest

from amlprognosis.errors import InputError
from amlprognosis.study import load_study


def study(training: dict, validation: dict, scales: tuple[str, str] = ("counts", "counts")):
    def cohort(role, scale, rules):
        return {
            "role": role,
            "source": {"type": "tables", "expression": "e", "scale": scale, "clinical": "c", "clinical_id": "id"},
            "clinical": {"os_time": {"column": "t", "unit": "days"}, "os_event": {"column": "e"}},
            "normalization": rules,
        }

    cohorts = {"A": cohort("training", scales[0], training), "B": cohort("validation", scales[1], validation)}
    return load_study({"study": "s", "title": "t", "cohorts": cohorts})


def test_counts_of_every_cohort_are_normalised_as_those_of_training():
    found = study({"counts": "vst"}, {})
    assert [found.counts_method(name) for name in "AB"] == ["vst", "vst"]
    assert study({"counts": "vst"}, {"counts": "vst"}).counts_method("B") == "vst"
    with pytest.raises(InputError, match=r"cohorts.B.normalization.counts: tmm, but .* \(A: vst\); remove it, or set"):
        study({"counts": "vst"}, {"counts": "tmm"})
    with pytest.raises(InputError, match=r"cohorts.B.normalization.counts: upper_quartile"):
        study({}, {"counts": "upper_quartile"})


@pytest.mark.parametrize("scales", [("log2", "counts"), ("counts", "tpm")])
def test_a_cohort_without_a_reference_has_its_own_method(scales):
    found = study({"counts": "vst"}, {"counts": "upper_quartile"}, scales)
    assert found.counts_reference("B") is None
    assert found.counts_method("B") == "upper_quartile"
