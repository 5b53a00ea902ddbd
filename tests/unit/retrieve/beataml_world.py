"""A small BeatAML2 in the published tables: names of files and columns, odd values, several specimens of a patient."""

from __future__ import annotations

from pathlib import Path

import openpyxl

CLINICAL = [
    [
        "dbgap_subject_id",
        "dbgap_dnaseq_sample",
        "dbgap_rnaseq_sample",
        "cohort",
        "consensus_sex",
        "ageAtDiagnosis",
        "priorMDS",
        "isDenovo",
        "specimenType",
        "dxAtSpecimenAcquisition",
        "diseaseStageAtSpecimenCollection",
        "timeOfSampleCollectionRelativeToInclusion",
        "vitalStatus",
        "overallSurvival",
        "ELN2017",
        "FLT3-ITD",
        "NPM1",
        "wbcCount",
        "%.Blasts.in.BM",
    ]
]
AML = "ACUTE MYELOID LEUKAEMIA (AML) AND RELATED PRECURSOR NEOPLASMS"
ALL = "PRECURSOR LYMPHOID NEOPLASMS"
FIRST = "Initial Diagnosis"


def _row(patient, dna, rna, sex, age, dx, stage, when, vital, os, eln, itd, npm1, wbc, blasts):
    known = [patient, dna, rna, "Waves1+2", sex, age, "n", True, "Peripheral Blood", dx, stage, when, vital, os, eln]
    return [*known, itd, npm1, wbc, blasts]


CLINICAL += [
    # Two specimens at diagnosis: the first collected counts, its exome sample is that of the other one.
    _row(2001, "BA1D", "BA1R", "Male", 61, AML, FIRST, 9, "Dead", 100, "Adverse", "negative", "negative", 12.5, 40),
    _row(2001, None, "BA2R", "Male", 61, AML, FIRST, 0, "Dead", 100, "Adverse", "positive", "negative", 12.5, ">90"),
    # Diagnosis before relapse, whatever the time.
    _row(2002, "BA3D", "BA3R", "Female", 40.5, AML, "Relapse", -5, "Alive", 900, "NonInitial", None, None, None, None),
    _row(2002, "BA4D", "BA4R", "Female", 40.5, AML, FIRST, 3, "Alive", 900, "Favorable", None, "positive", "n/a", 80),
    # Relapse alone, another diagnosis, time 0 with unknown status, a negative time, no RNA.
    _row(2003, "BA5D", "BA5R", "Male", 70, AML, "Relapse", 0, "Dead", 30, "NonInitial", "negative", "negative", 5, 20),
    _row(2004, "BA6D", "BA6R", "Male", 30, ALL, FIRST, 0, "Dead", 30, "NonAML", "negative", "negative", 5, 20),
    _row(2005, "BA7D", "BA7R", None, 55, AML, FIRST, 0, "Unknown", 0, "MissingKaryo", "negative", "negative", 5, 20),
    _row(2006, "BA8D", "BA8R", "Male", 55, AML, FIRST, 0, "Dead", -3, "Adverse", "negative", "negative", 5, 20),
    _row(2007, "BA9D", None, "Male", 55, AML, FIRST, 0, "Dead", 44, "Adverse", "negative", "negative", 5, 20),
]
MAPPING = [
    ["dbgap_subject_id", "dbgap_dnaseq_sample", "dbgap_rnaseq_sample", "labId", "patientId", "rna_control"],
    *([row[0], row[1], row[2], f"lab{number}", row[0], None] for number, row in enumerate(CLINICAL[1:])),
    [None, None, "BA90R", "x", None, "Healthy Individual BM MNC"],
    [None, None, "BA91R", "y", None, "Healthy pooled CD34+"],
]
RNA = ("BA1R", "BA2R", "BA3R", "BA4R", "BA5R", "BA6R", "BA7R", "BA8R", "BA90R", "BA91R", "BA99R")
GENES = (
    ("ENSG00000000003", "TSPAN6"),
    ("ENSG00000000005", "TNMD"),
    ("ENSG00000141510", "TP53"),
)
VARIANTS = """dbgap_sample_id	chr	pos	symbol	hgvsp_short	variant_classification	t_vaf	capture_type
BA1D	17	7	TP53	p.R175H	missense_variant	0.4	Nextera
BA1D	17	9	TET2		synonymous_variant	0.4	Nextera
BA4D	5	8	IDH2	p.R140Q	missense_variant	0.31	Nextera
BA3D	5	8	RUNX1	p.R1*	stop_gained	0.31	Nextera
"""
DRUGS = """dbgap_subject_id	dbgap_dnaseq_sample	dbgap_rnaseq_sample	inhibitor	type	converged	ic50	auc
2001	BA1D	BA1R	Venetoclax	single-agent	TRUE	0.05	101.5
2001	NA	BA2R	Venetoclax	single-agent	TRUE	NA	NA
2002	BA4D	BA4R	Sorafenib	single-agent	FALSE	10	286.1
"""


def matrix(counts: bool) -> str:
    """Counts, or normalised values with negative ones."""
    rows = ["\t".join(("stable_id", "display_label", "description", "biotype", *RNA))]
    for number, (gene, symbol) in enumerate(GENES):
        cells = [10 * number + column if counts else (number - column) / 3 for column in range(len(RNA))]
        rows.append("\t".join((gene, symbol, "a gene [Source:HGNC]", "protein_coding", *map(repr, cells))))
    return "\n".join(rows) + "\n"


def workbook(path: Path, rows: list[list[object]], sheet: str = "summary") -> None:
    """Write a table as a workbook behind a sheet of notes."""
    book = openpyxl.Workbook()
    notes = book.active
    notes.title = "notes"
    notes.append(["What this is", None])
    page = book.create_sheet(sheet)
    for row in rows:
        page.append(row)
    book.save(path)


def write(folder: Path) -> Path:
    """Write all tables."""
    folder.mkdir(parents=True)
    workbook(folder / "beataml_wv1to4_clinical.xlsx", CLINICAL)
    workbook(folder / "beataml_waves1to4_sample_mapping.xlsx", MAPPING, "map")
    (folder / "beataml_waves1to4_counts_dbgap.txt").write_text(matrix(True))
    (folder / "beataml_waves1to4_norm_exp_dbgap.txt").write_text(matrix(False))
    (folder / "beataml_wes_wv1to4_mutations_dbgap.txt").write_text(VARIANTS)
    (folder / "beataml_probit_curve_fits_v4_dbgap.txt").write_text(DRUGS)
    return folder
