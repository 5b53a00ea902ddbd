"""Mutation annotation files (MAF) and the patients x genes matrix made of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from amlprognosis.cohort import shown, step
from amlprognosis.errors import InputError
from amlprognosis.retrieve.files import read_text

# Classes of the MAF specification that change the protein, or by all likelihood do: the coding change itself, the
# canonical splice sites, and loss of the start. Silent, intronic, UTR, flanking, IGR and RNA variants do not count, nor
# does Splice_Region (beyond the canonical two bases).
NON_SILENT = frozenset(
    {
        "Missense_Mutation",
        "Nonsense_Mutation",
        "Nonstop_Mutation",
        "Splice_Site",
        "Frame_Shift_Del",
        "Frame_Shift_Ins",
        "In_Frame_Del",
        "In_Frame_Ins",
        "Translation_Start_Site",
        "Start_Codon_SNP",
        "Start_Codon_Del",
        "Start_Codon_Ins",
        "Stop_Codon_Del",
        "Stop_Codon_Ins",
        "De_novo_Start_OutOfFrame",
        # Fusion and tandem duplication calls that several AML MAFs carry (FLT3-ITD).
        "ITD",
        "Internal_Tandem_Duplication",
    }
)
SILENT = frozenset(
    {
        "Silent",
        "Intron",
        "3'UTR",
        "5'UTR",
        "3'Flank",
        "5'Flank",
        "IGR",
        "RNA",
        "lincRNA",
        "Splice_Region",
        "Targeted_Region",
        "De_novo_Start_InFrame",
    }
)
CHANGES = ("HGVSp_Short", "Protein_Change", "amino_acid_change")
NEEDED = ("Hugo_Symbol", "Variant_Classification", "Tumor_Sample_Barcode")


def read_maf(path: str | Path) -> pd.DataFrame:
    """Read a MAF file.

    Parameters
    ----------
    path : path
        Plain or gzipped; comment lines above the header start with ``#``; old (TCGA) and new (GDC) columns.

    Returns
    -------
    DataFrame
        Columns ``gene``, ``variant_class``, ``sample``, ``change`` (protein change or empty), a row per variant; none
        where the file is a header alone, as the GDC's is for a tumour without variants.

    Raises
    ------
    InputError
        A needed column or value is missing, ragged rows, or a variant class that is neither silent nor not; with the
        line.
    """
    lines = read_text(path).split("\n")
    # Comments stand above the header alone: further down a # may be a damaged row.
    start = next((place for place, line in enumerate(lines) if line and not line.startswith("#")), None)
    if start is None:
        raise InputError(f"{path}: no header row; not a MAF file")
    header = [name.strip() for name in lines[start].split("\t")]
    absent = [name for name in NEEDED if name not in header]
    if absent:
        raise InputError(f"{path}: no column {', '.join(absent)}; a MAF has {', '.join(NEEDED)}; found {shown(header)}")
    change = next((name for name in CHANGES if name in header), None)
    wanted = [*NEEDED, *([change] if change else [])]
    twice = [name for name in wanted if header.count(name) > 1]
    if twice:
        raise InputError(f"{path}: line {start + 1}: columns named more than once: {shown(twice)}; keep one of each")
    places = [header.index(name) for name in wanted]
    rows = []
    for number, line in enumerate(lines[start + 1 :], start=start + 2):
        if not line:
            continue
        fields = line.split("\t")
        if len(fields) != len(header):
            raise InputError(f"{path}: line {number} has {len(fields)} fields, the header {len(header)}")
        gene, kind, sample, *rest = (fields[place].strip() for place in places)
        if not kind or not sample:
            raise InputError(f"{path}: line {number} has no Variant_Classification or Tumor_Sample_Barcode")
        if kind not in NON_SILENT and kind not in SILENT:
            raise InputError(
                f"{path}: line {number}: {kind!r} is no variant class of the MAF specification; rename it, e.g. to "
                "Missense_Mutation or Silent"
            )
        rows.append((gene, kind, sample, rest[0] if rest else ""))
    return pd.DataFrame(rows, columns=["gene", "variant_class", "sample", "change"], dtype=object)


def match_barcode(barcode: str, patient_of: Mapping[str, str]) -> str | None:
    """Patient of a tumour barcode: the name itself, or the known name that begins the barcode at a dash."""
    if barcode in patient_of:
        return patient_of[barcode]
    parts = barcode.split("-")
    for end in range(len(parts) - 1, 0, -1):
        start = "-".join(parts[:end])
        if start in patient_of:
            return patient_of[start]
    return None


def mutation_matrix(
    variants: pd.DataFrame,
    patient_of: Mapping[str, str],
    *,
    tested: frozenset[str] | None = None,
    rule: str = "patients with a MAF file",
) -> tuple[pd.DataFrame, frozenset[str], list[dict[str, Any]]]:
    """Patients x genes, 1 where a patient has a non-silent variant.

    Parameters
    ----------
    variants : DataFrame
        As :func:`read_maf`.
    patient_of : mapping
        Patient by sample name (or by the beginning of a tumour barcode).
    tested : frozenset of str, optional
        Patients known to be sequenced. Without it, the tested patients are those with any variant in the file, silent
        ones included: a sequenced patient without a single variant cannot be told from one who was not sequenced.
    rule : str
        Where ``tested`` comes from, for the report.

    Returns
    -------
    matrix : DataFrame of float64
        Rows = tested patients, columns = genes (approved symbols), sorted.
    tested : frozenset of str
        Patients for whom a missing variant means 0.
    report : list of dict
        Preprocessing steps.
    """
    from amlprognosis.normalize.genes import rename_genes

    of = {barcode: match_barcode(barcode, patient_of) for barcode in sorted(set(variants["sample"]))}
    patients = variants["sample"].map(of)
    foreign = sorted(barcode for barcode, patient in of.items() if patient is None)
    known = variants.assign(patient=patients)[patients.notna()]
    rule = rule if tested is not None else "patients with at least one variant of any class"
    tested = (tested or frozenset()) | frozenset(known["patient"])
    kept = known[known["variant_class"].isin(NON_SILENT) & ~known["gene"].isin(["", "Unknown"])]
    names = sorted(set(kept["gene"]))
    renamed = dict(zip(names, rename_genes(names)[0], strict=True))
    pairs = pd.DataFrame({"patient": kept["patient"], "gene": kept["gene"].map(renamed)}).drop_duplicates()
    rows, columns = sorted(tested), sorted(set(pairs["gene"]))
    matrix = pd.DataFrame(0.0, index=pd.Index(rows, dtype=object), columns=pd.Index(columns, dtype=object))
    if len(pairs):
        matrix.values[matrix.index.get_indexer(pairs["patient"]), matrix.columns.get_indexer(pairs["gene"])] = 1.0
    report = [
        step(
            "mutations",
            f"{len(tested)} tested ({rule}), {len(columns)} genes",
            len(variants),
            len(kept),
            "silent and non-coding variants, and samples that are no patient of the cohort"
            + (f" ({shown(foreign, 3)})" if foreign else ""),
        )
    ]
    return matrix, tested, report
