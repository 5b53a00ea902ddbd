"""Tables of new patients, as ``amlprognosis predict`` takes them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from amlprognosis.cohort import RISKS, SEXES, shown
from amlprognosis.errors import InputError
from amlprognosis.normalize.counts import check_counts
from amlprognosis.normalize.genes import merge_duplicates, rename_genes, rename_steps
from amlprognosis.normalize.platform import EXPRESSION, PlatformReference
from amlprognosis.retrieve.files import read_text
from amlprognosis.retrieve.tables import read_expression
from amlprognosis.retrieve.text_tables import read_string_table

SCALES = ("log2", "linear", "counts")
ORIENTATIONS = ("auto", "genes_in_rows", "samples_in_rows")
LARGEST_LOG2 = 50.0
SMALLEST_LINEAR_MAXIMUM = 30.0
MOST_NEGATIVE_LINEAR = 0.2
LEAST_SHARE_FOR_COUNTS = 0.5
_MISSING = frozenset({"", "na", "n/a", "nan", "<na>", "none", "null"})
_TEXTS = {"sex": SEXES, "risk": RISKS}


def read_patient_expression(
    path: str | Path, known: Collection[str], orientation: str = "auto"
) -> tuple[pd.DataFrame, list[str]]:
    """Read the expression of one or many patients.

    Parameters
    ----------
    path : path
        As :func:`amlprognosis.retrieve.tables.read_expression`; gene symbols.
    known : collection of str
        Genes that the models know, by which the orientation is told.
    orientation : {"auto", "genes_in_rows", "samples_in_rows"}
        An h5ad file always has its samples in rows.

    Returns
    -------
    matrix : DataFrame of float64 (n_patients, n_genes)
        Approved symbols; a retired name gives way to the approved one, as in cohorts.
    notes : list of str
        Names that were changed.

    Raises
    ------
    InputError
        The other orientation, no gene in common, a gene or patient named twice, and as ``read_expression``.
    """
    matrix = read_expression(path, "genes_in_rows")
    known = set(known)
    turned = not str(path).endswith(".h5ad") and (
        orientation == "samples_in_rows"
        or (orientation == "auto" and _in_common(matrix.index, known) > _in_common(matrix.columns, known))
    )
    matrix = matrix.T if turned else matrix
    if not _in_common(matrix.columns, known):
        if _in_common(matrix.index, known):
            right = "genes_in_rows" if turned else "samples_in_rows"
            raise InputError(f"{path}: its genes stand where patients should be; use --orientation {right}")
        raise InputError(
            f"{path}: no gene in common with the model: the file has {shown(matrix.columns, 4)}, the model knows "
            f"{shown(sorted(known), 4)}; gene symbols are needed"
        )
    for names, what in ((matrix.index, "patients"), (matrix.columns, "genes")):
        twice = sorted(set(names[names.duplicated()]))
        if twice:
            raise InputError(f"{path}: {what} named more than once: {shown(twice)}; keep one of each")
    if all(_is_fraction(name) for name in matrix.index):
        raise InputError(
            f"{path}: patients are called {shown(matrix.index, 3)}: values stand where the header should; add a line "
            "that names the patients"
        )
    renamed, report = rename_genes(list(matrix.columns))
    merged, _, gave_way = merge_duplicates(matrix, renamed)
    report += gave_way
    notes = [f"{path}: gene names: {rename_steps(0, 0, report)[0]['detail']}"] if report else []
    return merged, notes


def _is_fraction(name: str) -> bool:
    """Whether a name is a number with a decimal point, as a value and no patient is called."""
    whole, point, rest = name.removeprefix("-").partition(".")
    return bool(point) and whole.isdigit() and rest.isdigit()


def _in_common(names: Sequence[str], known: set[str]) -> int:
    return len(known.intersection(rename_genes(list(names))[0]))


def training_units(matrix: pd.DataFrame, scale: str, platform: PlatformReference, origin: str) -> pd.DataFrame:
    """Bring patients' expression to log2 values as cohorts hold them.

    Parameters
    ----------
    matrix : DataFrame (n_patients, n_genes)
        Values of the file.
    scale : {"log2", "linear", "counts"}
        log2: as they are. linear: log2(1 + value), as for TPM. counts: normalised by the training cohort's method and
        frozen reference, each patient by itself.
    platform : PlatformReference
        Of the model.
    origin : str
        How errors call the file.

    Returns
    -------
    DataFrame of float64 (n_patients, n_shared_genes)
        ``expression:<gene>`` for the genes of the training matrix, rounded to float32 as in a cohort.

    Raises
    ------
    InputError
        Values that cannot be of this scale, or counts for a model that was not trained on counts.
    """
    values = matrix.to_numpy(dtype=float)
    if np.isnan(values).all():
        raise InputError(f"{origin}: not a single value in it")
    top = float(np.nanmax(values))
    absent = np.isnan(values)
    most, least = np.where(absent, -np.inf, values).max(axis=1), np.where(absent, np.inf, values).min(axis=1)
    flat = ((~absent).sum(axis=1) > 1) & (most == least)
    if flat.any():
        raise InputError(
            f"{origin}: all genes have the same value in {shown(matrix.index[flat])}; leave that patient out"
        )
    if scale == "log2" and top > LARGEST_LOG2:
        raise InputError(
            f"{origin}: the largest value is {top:.6g}: these are counts or linear values, not log2; use --scale "
            "counts or --scale linear"
        )
    if scale == "linear":
        if top < SMALLEST_LINEAR_MAXIMUM:
            raise InputError(f"{origin}: the largest value is {top:.3g}: these are logarithms; use --scale log2")
        share = float((values < 0).sum() / (~absent).sum())
        if share > MOST_NEGATIVE_LINEAR:
            raise InputError(f"{origin}: {share:.0%} of the values are negative: these are no linear intensities")
        matrix = np.log2(1 + matrix.clip(lower=0))
    if scale == "counts":
        matrix = _normalized_counts(matrix, platform, origin)
    known = set(matrix.columns)
    shared = [gene for gene in platform.genes if gene in known]
    part = matrix[shared].to_numpy(dtype=np.float32).astype(float)
    return pd.DataFrame(part, index=matrix.index, columns=[f"{EXPRESSION}{gene}" for gene in shared])


def _normalized_counts(matrix: pd.DataFrame, platform: PlatformReference, origin: str) -> pd.DataFrame:
    if platform.counts is None:
        raise InputError(
            f"{origin}: the model was trained on {platform.kind} values, not on counts: counts of a new patient cannot "
            f"be brought to its scale; give {'TPM with --scale linear' if platform.kind == 'tpm' else 'log2 values'}"
        )
    check_counts(matrix, origin)
    needed = platform.counts.profile.index
    shared = len(needed.intersection(matrix.columns))
    if shared < LEAST_SHARE_FOR_COUNTS * len(needed):
        raise InputError(
            f"{origin}: {shared} of the {len(needed)} genes of the reference profile are in the file: library sizes "
            "need the counts of all genes; give the whole table"
        )
    try:
        return platform.counts.normalize(matrix)
    except InputError as error:
        raise InputError(f"{origin}: {error}") from None


def read_patient_clinical(path: str | Path, wanted: Collection[str]) -> tuple[pd.DataFrame, list[str]]:
    """Read the clinical table of one or many patients.

    Parameters
    ----------
    path : path
        TSV, CSV (plain or gzipped) or parquet; the first column names the patient.
    wanted : collection of str
        Columns that the models read: age (years), sex (female, male), risk (favourable, intermediate, adverse), and
        numeric columns as the study calls them. Others are passed over, with a note.

    Returns
    -------
    obs : DataFrame, index = patient
        The wanted columns that are there; missing values as NaN.
    notes : list of str

    Raises
    ------
    InputError
        A patient twice, a text that is no number or no known group, an age outside 0 to 120.
    """
    table = _by_patient(path)
    used = [name for name in table.columns if name in wanted]
    unused = [name for name in table.columns if name not in wanted]
    obs = pd.DataFrame(index=table.index)
    for name in used:
        missing = table[name].str.lower().isin(_MISSING)
        if name in _TEXTS:
            obs[name] = _groups(table[name], missing, _TEXTS[name], f"{path}: column {name!r}")
        else:
            obs[name] = _numbers(table[name], missing, f"{path}: column {name!r}")
    if "age" in obs and ((obs["age"] < 0) | (obs["age"] > 120)).any():
        wrong = obs.index[(obs["age"] < 0) | (obs["age"] > 120)]
        raise InputError(f"{path}: column 'age': not between 0 and 120 years in {shown(wrong)}; give years")
    return obs, [f"{path}: columns that no model reads: {shown(unused)}"] if unused else []


def _by_patient(path: str | Path) -> pd.DataFrame:
    """A table of texts by the patient in its first column."""
    table = read_string_table(path, comment="#")
    first = table.columns[0]
    twice = sorted(set(table.loc[table[first].duplicated(), first]))
    if twice:
        raise InputError(f"{path}: patients named more than once: {shown(twice)}; keep one row of each")
    if (table[first] == "").any():
        raise InputError(f"{path}: a row without a patient in its first column {first!r}")
    return table.set_index(first).rename_axis("patient")


def _groups(texts: pd.Series, missing: pd.Series, allowed: Sequence[str], place: str) -> pd.Series:
    other = sorted(set(texts[~missing].str.lower()) - set(allowed))
    if other:
        raise InputError(f"{place}: {shown(other)}; allowed are {', '.join(allowed)}, or NA")
    return texts.str.lower().astype(object).where(~missing, np.nan)


def _numbers(texts: pd.Series, missing: pd.Series, place: str) -> pd.Series:
    numbers = pd.to_numeric(texts.where(~missing), errors="coerce").astype(float)
    wrong = ~missing & ~np.isfinite(numbers)
    if wrong.any():
        raise InputError(
            f"{place}: not a finite number in {shown(f'{row}: {texts[row]!r}' for row in texts.index[wrong])} "
            "(decimal point, no unit; missing values as NA or empty)"
        )
    return numbers


def read_patient_mutations(path: str | Path, genes: Sequence[str], patients: Sequence[str] | None) -> pd.DataFrame:
    """Read the mutations of one or many patients.

    Parameters
    ----------
    path : path
        A table of 0 and 1 (first column the patient, a column per gene), or a MAF file. A gene without a column in a
        table was not tested; in a MAF every gene was tested, in the patients that have a variant in it.
    genes : sequence of str
        Genes that the models read.
    patients : sequence of str, optional
        Patients to look for; those of the file when left out.

    Returns
    -------
    DataFrame of float64, index = patient
        ``mutation:<gene>``; NaN where not tested.

    Raises
    ------
    InputError
        A patient twice, values other than 0 and 1, a MAF without any of the patients.
    """
    if _is_maf(path):
        found = _maf_table(path, genes, patients)
    else:
        table = _by_patient(path)
        renamed, _ = rename_genes(list(table.columns))
        place = f"{path}: column "
        columns, wanted = {}, set(genes)
        for old, gene in zip(table.columns, renamed, strict=True):
            if gene in columns:
                raise InputError(f"{place}{old!r}: another column is {gene}, too; keep one of them")
            if gene in wanted:
                missing = table[old].str.lower().isin(_MISSING)
                columns[gene] = _numbers(table[old], missing, f"{place}{old!r}")
                if not columns[gene].dropna().isin([0, 1]).all():
                    raise InputError(f"{place}{old!r}: only 0 (no), 1 (mutated) and NA (not tested) may stand there")
        found = pd.DataFrame(columns, index=table.index, dtype=float)
    found = found.reindex(columns=list(genes))
    return found.set_axis([f"mutation:{gene}" for gene in found.columns], axis=1)


def _is_maf(path: str | Path) -> bool:
    if str(path).endswith(".parquet"):
        return False
    header = next((line for line in read_text(path).split("\n") if line and not line.startswith("#")), "")
    return "Hugo_Symbol" in header.split("\t")


def _maf_table(path: str | Path, genes: Sequence[str], patients: Sequence[str] | None) -> pd.DataFrame:
    from amlprognosis.genomics.maf import mutation_matrix, read_maf

    variants = read_maf(path)
    if variants.empty:
        raise InputError(
            f"{path}: no variant in it, so that it cannot be told who was tested; give a table of 0 and 1 instead"
        )
    wanted = sorted(set(variants["sample"])) if patients is None else list(patients)
    matrix, tested, _ = mutation_matrix(variants, {name: name for name in wanted})
    if not tested:
        raise InputError(
            f"{path}: none of its samples ({shown(sorted(set(variants['sample'])), 3)}) is one of the patients "
            f"({shown(wanted, 3)})"
        )
    return matrix.reindex(columns=list(genes), fill_value=0.0).reindex(index=wanted)
