"""Sample names of TCGA and TARGET: whose sample it is, and of which kind."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

# Patient, sample type and vial (https://gdc.cancer.gov/resources-tcga-users/tcga-code-tables/sample-type-codes); what
# follows after a further dash names portions and aliquots.
_BARCODE = re.compile(r"^((?:TCGA|TARGET)-[^-\s]+-[^-\s]+)-(\d\d)[A-Z]?(?:-\S*)?$")
# Primary solid tumour, blood, marrow; recurrent solid tumour, blood, marrow. 10 to 19 are normal tissue.
PRIMARY = ("01", "03", "09")
RECURRENT = ("02", "04", "40")
FURTHER = "further sample of a patient"
NORMAL = "normal tissue"


def patient_of(sample: str) -> str:
    """Patient in a TCGA or TARGET barcode; other names stand for themselves."""
    match = _BARCODE.match(sample)
    return match[1] if match else sample


def rank_of(sample: str) -> int | None:
    """0 for a primary tumour (and any name that is no barcode), 1 recurrent, 2 other tumour; None for normal tissue."""
    match = _BARCODE.match(sample)
    code = match[2] if match else PRIMARY[0]
    if "10" <= code <= "19":
        return None
    return 0 if code in PRIMARY else 1 if code in RECURRENT else 2


def one_per_patient(
    samples: Iterable[str], patients: Mapping[str, str], ranks: Mapping[str, int | None] | None = None
) -> tuple[dict[str, str], list[dict[str, str]]]:
    """One sample per patient: primary before recurrent before other tumours, then the first by name.

    Parameters
    ----------
    samples : iterable of str
        Samples to choose from.
    patients : mapping
        Patient by sample; a sample that is not named there is taken for its barcode's patient.
    ranks : mapping, optional
        Rank by sample, where the source knows it (as :func:`rank_of`, which is the default).

    Returns
    -------
    chosen : dict
        Sample by patient, sorted by patient.
    exclusions : list of dict
        ``{"patient", "reason"}`` for each sample that was passed over; ``patient`` is the sample's name, because the
        patient may well be in the cohort by another one.
    """
    found: dict[str, list[tuple[int, str]]] = {}
    left_out = []
    for sample in samples:
        rank = (ranks or {}).get(sample, rank_of(sample))
        if rank is None:
            left_out.append({"patient": sample, "reason": NORMAL})
        else:
            found.setdefault(patients.get(sample, patient_of(sample)), []).append((rank, sample))
    chosen = {}
    for patient in sorted(found):
        first, *others = sorted(found[patient])
        chosen[patient] = first[1]
        left_out += [{"patient": sample, "reason": FURTHER} for _, sample in others]
    return chosen, left_out
