"""Samples of a GEO series become patients: several samples of one patient, and the user's own clinical table."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from amlprognosis.cohort import require_column, shown, step
from amlprognosis.errors import InputError
from amlprognosis.retrieve.read import patients_of
from amlprognosis.retrieve.tables import read_clinical
from amlprognosis.study import GeoSource, GeoSupplementSource

FURTHER = "further sample of a patient"


@dataclass
class Described:
    """Clinical rows of a series, one per patient.

    Attributes
    ----------
    clinical : DataFrame of str, index GSM accession
        Columns of the series and of the user's table.
    patients : Series of str
        Patient by GSM accession.
    exclusions : list of dict
        ``{"patient", "reason"}``: further samples of a patient.
    steps : list of dict
        What was done, counted.
    """

    clinical: pd.DataFrame
    patients: pd.Series
    exclusions: list[dict[str, str]] = field(default_factory=list)
    steps: list[dict[str, Any]] = field(default_factory=list)


def describe(
    request: GeoSource | GeoSupplementSource,
    samples: pd.DataFrame,
    tables: Mapping[str, str],
    measured: Collection[str] | None = None,
) -> Described:
    """One clinical row per patient.

    Parameters
    ----------
    request : GeoSource or GeoSupplementSource
        Says which field names the patient, and how the user's table is joined.
    samples : DataFrame of str, index GSM accession
        As :class:`amlprognosis.retrieve.geo_samples.SeriesMatrix` has them.
    tables : mapping of str to str
        Path of ``clinical_table``, if there is one.
    measured : collection of str, optional
        Samples with expression; by default all.

    Returns
    -------
    Described
        Of several samples of a patient the first one stays, by accession number, among those with expression.

    Raises
    ------
    InputError
        A field that the series lacks, a pattern that matches no sample, a table of which no row matches.
    """
    clinical = samples
    steps: list[dict[str, Any]] = []
    if "clinical_table" in tables:
        clinical, steps = _joined(request, samples, tables["clinical_table"])
    if request.patient_column is None:
        return Described(clinical, pd.Series(clinical.index, index=clinical.index, dtype=object), [], steps)
    require_column(clinical.columns, request.patient_column, f"{request.accession}: patient_column")
    names = clinical[request.patient_column].where(clinical[request.patient_column] != "", clinical.index.to_series())
    of = patients_of(list(names), request.patient_pattern, f"{request.accession}: patient_pattern")
    patients = names.map(of)
    order = sorted(clinical.index, key=lambda name: (measured is not None and name not in measured, _number(name)))
    first = patients[order].drop_duplicates().index
    kept = [name for name in clinical.index if name in set(first)]
    further = [name for name in clinical.index if name not in set(first)]
    if further:
        detail = (
            f"patient: {request.patient_column}; of several samples the first by accession number stays, "
            f"{len(further)} further samples of {patients[further].nunique()} patients are left out"
        )
        steps.append(step("one sample per patient", detail, len(clinical), len(kept), FURTHER))
    left_out = [{"patient": str(name), "reason": f"{FURTHER} ({patients[name]})"} for name in further]
    return Described(clinical.loc[kept], patients[kept], left_out, steps)


def _number(accession: str) -> tuple[int, str]:
    digits = re.sub(r"\D", "", accession)
    return (int(digits) if digits else 0, accession)


def _joined(
    request: GeoSource | GeoSupplementSource, samples: pd.DataFrame, path: str
) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """Columns of the user's table beside those of the series; where both have one, the table's."""
    require_column(samples.columns, request.clinical_matches, f"{request.accession}: clinical_matches")
    table = read_clinical(path, request.clinical_id)
    keys = samples[request.clinical_matches].str.strip()
    hit = keys.isin(table.index)
    if not hit.any():
        raise InputError(
            f"{path}: no {request.clinical_id} ({shown(table.index, 3)}) is a {request.clinical_matches} of "
            f"{request.accession} ({shown(keys, 3)}); set clinical_id and clinical_matches so that both name the same"
        )
    columns = [name for name in table.columns if name != request.clinical_id]
    rows = table.reindex(keys)[columns].fillna("").set_axis(samples.index, axis=0)
    both = [name for name in columns if name in samples]
    differ = {
        name: int(((rows[name] != "") & (samples[name] != "") & (rows[name] != samples[name])).sum()) for name in both
    }
    joined = pd.concat([samples.drop(columns=both), rows], axis=1)
    for name in both:
        # An empty cell of the table takes nothing away from what the series says.
        joined[name] = rows[name].where(rows[name] != "", samples[name])
    unused = len(table) - table.index.isin(set(keys)).sum()
    detail = (
        f"{len(columns)} columns of {path}, {request.clinical_id} = {request.clinical_matches} of the series: "
        f"{int(hit.sum())} samples have a row, {int((~hit).sum())} have none, {int(unused)} rows name no sample"
    )
    if any(differ.values()):
        counted = ", ".join(f"{name} ({count})" for name, count in differ.items() if count)
        detail += f"; the table's values replace other ones of the series in {counted}"
    return joined, [step("clinical table", detail)]
