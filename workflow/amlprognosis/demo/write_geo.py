"""The array cohort as GEO sends it: a series matrix and the platform's annotation table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from amlprognosis.demo.expression import GeneModel, Probes
from amlprognosis.demo.files import fill, write_gzip
from amlprognosis.demo.world import DAYS_PER_MONTH, Cohort

SERIES, PLATFORM = "GSE999001", "GPL999"
FIRST_SAMPLE = 9990001
# Names that the platform table of the time used; a study has to bring them to the approved ones.
RETIRED = {
    "KMT2A": "MLL",
    "ADGRG1": "GPR56",
    "FAM30A": "KIAA0125",
    "BEX3": "NGFRAP1",
    "H2AX": "H2AFX",
    "GSDME": "DFNA5",
}
_RISK = {"favourable": "favorable", "intermediate": "intermediate", "adverse": "adverse"}
_MUTATIONS = {"npm1": "NPM1", "flt3-itd": "FLT3-ITD", "tp53": "TP53", "dnmt3a": "DNMT3A", "runx1": "RUNX1"}


def folder(accession: str) -> str:
    """GEO's folder of an accession: the last three digits become nnn."""
    head, digits = accession[:3], accession[3:]
    return f"{head}{digits[:-3]}nnn/{accession}"


def _quoted(key: str, values: list[str]) -> str:
    return key + "\t" + "\t".join(f'"{v}"' for v in values)


def _characteristics(cohort: Cohort, row: int, missing: bool, zero: bool, rng: np.random.Generator) -> list[str]:
    fact = cohort.clinical.iloc[row]
    months = 0.0 if zero else float(fact["os_days"]) / DAYS_PER_MONTH
    entries = [f"tissue: {'bone marrow' if rng.random() < 0.7 else 'peripheral blood'}"]
    entries += [f"age: {round(float(fact['age']))}", f"Sex: {'M' if fact['sex'] == 'male' else 'F'}"]
    # A patient without the risk group lacks the whole entry, so later keys move up one row, as they do in GEO.
    if rng.random() >= 0.05:
        entries.append(f"eln 2022 risk: {_RISK[str(fact['risk'])]}")
    if rng.random() >= 0.04:
        entries.append(f"wbc (10^9/l): {float(fact['wbc']):.1f}")
    for label, name in _MUTATIONS.items():
        mutated = bool(cohort.mutations.iloc[row][name])
        entries.append(f"{label} mutation: {'yes' if mutated else 'no'}")
    if not missing:
        entries.append(f"os_months: {months:.2f}")
        entries.append(f"os_status: {'dead' if fact['os_event'] else 'alive'}")
    else:
        entries.append("os_months: NA")
    return entries


def write_series(
    directory: Path, model: GeneModel, probes: Probes, cohort: Cohort, values: np.ndarray, rng: np.random.Generator
) -> dict[str, Any]:
    """Write the series matrix and the platform table.

    Parameters
    ----------
    directory : Path
        Root of a GEO mirror.
    values : ndarray (patients, probes)
        Linear intensities.

    Returns
    -------
    dict
        Patients without OS and with OS 0.
    """
    patients = len(cohort.clinical)
    names = [f"GSM{FIRST_SAMPLE + i}" for i in range(patients)]
    odd = rng.permutation(patients)
    missing, zero = set(odd[:2].tolist()), set(odd[2:3].tolist())
    entries = [_characteristics(cohort, i, i in missing, i in zero, rng) for i in range(patients)]
    depth = max(len(e) for e in entries)
    series = {
        "title": "Demo AML cohort on an array (simulated)",
        "geo_accession": SERIES,
        "status": "Public on Jan 01 2020",
        "summary": "Simulated by amlprognosis; not measured in any patient.",
        "type": "Expression profiling by array",
        "sample_id": " ".join(names) + " ",
        "platform_id": PLATFORM,
        "platform_taxid": "9606",
    }
    lines = [f'!Series_{key}\t"{value}"' for key, value in series.items()]
    lines.append("")
    lines.append(_quoted("!Sample_title", [f"AML patient {i + 1}" for i in range(patients)]))
    lines.append(_quoted("!Sample_geo_accession", names))
    lines.append(_quoted("!Sample_type", ["RNA"] * patients))
    lines.append(_quoted("!Sample_source_name_ch1", ["AML at diagnosis"] * patients))
    lines.append(_quoted("!Sample_organism_ch1", ["Homo sapiens"] * patients))
    for k in range(depth):
        lines.append(_quoted("!Sample_characteristics_ch1", [e[k] if k < len(e) else "" for e in entries]))
    lines.append(_quoted("!Sample_data_processing", ["Scaled intensities, not log-transformed"] * patients))
    lines.append(_quoted("!Sample_platform_id", [PLATFORM] * patients))
    lines.append(_quoted("!Sample_data_row_count", [str(len(probes.identifiers))] * patients))
    lines.append("!series_matrix_table_begin")
    lines.append("\t".join(['"ID_REF"', *(f'"{n}"' for n in names)]))
    order = sorted(range(len(probes.identifiers)), key=lambda j: probes.identifiers[j])
    row = "\t%.1f" * patients
    template = "\n".join(f'"{probes.identifiers[j]}"' + row for j in order)
    body = fill(template, np.ascontiguousarray(values.T[order]))
    text = "\n".join(lines) + "\n" + body + "\n!series_matrix_table_end\n"
    write_gzip(directory / "series" / folder(SERIES) / "matrix" / f"{SERIES}_series_matrix.txt.gz", text)
    _write_platform(directory / "platforms" / "GPLnnn" / PLATFORM / "annot" / f"{PLATFORM}.annot.gz", model, probes)
    return {
        "patients": names,
        "missing_os": sorted(names[i] for i in missing),
        "zero_os": sorted(names[i] for i in zero),
    }


def _write_platform(path: Path, model: GeneModel, probes: Probes) -> None:
    columns = ["ID", "Gene title", "Gene symbol", "Gene ID", "Platform_SPOTID"]
    lines = [
        "^Annotation",
        "!Annotation_date = Jan 01 2010",
        f"!Annotation_platform = {PLATFORM}",
        "!Annotation_platform_title = Demo array (simulated)",
        "!Annotation_platform_organism = Homo sapiens",
        "#ID = ID from Platform data table",
        "#Gene title = Entrez Gene name",
        "#Gene symbol = Entrez Gene symbol",
        "#Gene ID = Entrez Gene identifier",
        "#Platform_SPOTID = SPOT_ID from Platform data table",
        "!platform_table_begin",
        "\t".join(columns),
    ]
    rows = sorted(zip(probes.identifiers, probes.targets, strict=True))
    for name, targets in rows:
        symbols = [RETIRED.get(model.genes[t], model.genes[t]) for t in targets]
        numbers = [str(100000 + t) for t in targets]
        control = "" if targets or name[-5:] != "99_at" else "--Control"
        lines.append("\t".join([name, "///".join(symbols), "///".join(symbols), "///".join(numbers), control]))
    lines.append("!platform_table_end")
    write_gzip(path, "\n".join(lines) + "\n")
