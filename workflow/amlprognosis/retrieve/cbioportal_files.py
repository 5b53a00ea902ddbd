"""Files of a cBioPortal study folder, one by one (https://docs.cbioportal.org/file-formats/)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from amlprognosis.cohort import shown
from amlprognosis.errors import InputError
from amlprognosis.genomics.consequences import variant_class
from amlprognosis.retrieve.lines import check_names, read_plain_matrix, read_plain_table, service_text

GENE_COLUMNS = ("Hugo_Symbol", "Entrez_Gene_Id", "Cytoband")
NO_GENE = frozenset({"", "NA", "---", "Unknown"})
# Panels that stand for all genes: the whole exome or genome, or no panel at all.
WHOLE = frozenset({"", "NA", "WES", "WXS", "WGS"})
# Classes that do not say what changes in the protein, and calls that are no small variants.
_NOT_TOLD = frozenset({"", "na", "unknown", "other", "undefined", "fusion"})
# Calls of these kinds are no somatic mutation of the tumour; cBioPortal itself does not load the first three.
_NO_CALL = frozenset({"none", "loh", "wildtype", "germline"})
_PLAIN_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.+ -]*$")
_META_KEY = re.compile(r"^[A-Za-z][A-Za-z0-9_]*$")


@dataclass
class StudyParts:
    """What a study says, whichever way it came (folder or API).

    Attributes
    ----------
    patients, samples : DataFrame of str
        Clinical attributes by patient and by sample; ``samples`` has ``PATIENT_ID``.
    expression : DataFrame of shape (n_samples, n_genes)
    gene_ids : str
        "symbol" or "entrez".
    profile : str
        What the expression profile says of itself.
    variants : DataFrame or None
        As :func:`read_mutation_file`.
    sequenced : frozenset of str or None
        Samples profiled for mutations; None where nothing says so.
    panels : dict
        Gene panel by sample, of samples that were not looked at as a whole.
    panel_genes : dict
        Genes by panel, of panels that are described.
    steps : list of dict
        Steps already taken.
    """

    patients: pd.DataFrame
    samples: pd.DataFrame
    expression: pd.DataFrame
    gene_ids: str
    profile: str
    variants: pd.DataFrame | None = None
    sequenced: frozenset[str] | None = None
    panels: dict[str, str] = field(default_factory=dict)
    panel_genes: dict[str, frozenset[str]] = field(default_factory=dict)
    steps: list[dict[str, Any]] = field(default_factory=list)


def read_meta(path: str | Path) -> dict[str, str]:
    """Read a meta file, a case list or a gene panel: lines of ``key: value``.

    Raises
    ------
    InputError
        A line without a key, or a key with two values (with the line).
    """
    found: dict[str, str] = {}
    for number, line in enumerate(service_text(path).split("\n"), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        key, colon, value = line.partition(":")
        key = key.strip()
        if not colon or not _META_KEY.match(key):
            raise InputError(f"{path}: line {number}: {line[:80]!r} is not `key: value`; retrieve the file again")
        if found.setdefault(key, value.strip()) != value.strip():
            raise InputError(f"{path}: line {number}: {key} has two values; retrieve the file again")
    if not found:
        raise InputError(f"{path}: no `key: value` in it; retrieve the file again")
    return found


def data_name(path: str | Path, meta: dict[str, str]) -> str:
    """Name of the data file that a meta file describes.

    Raises
    ------
    InputError
        No ``data_filename``, or one that is a path.
    """
    name = meta.get("data_filename", "")
    if not _PLAIN_NAME.match(name):
        raise InputError(f"{path}: data_filename is {name!r}, not the name of a file beside it")
    return name


def read_clinical_file(path: str | Path, name: str) -> pd.DataFrame:
    """Read a clinical file.

    Parameters
    ----------
    path : path
        Any number of ``#`` lines (names, descriptions, types, priorities), then the columns, then the rows.
    name : {"PATIENT_ID", "SAMPLE_ID"}
        The column that names the row.

    Returns
    -------
    DataFrame of str
        Index = that column; sample files have ``PATIENT_ID``, too.

    Raises
    ------
    InputError
        A damaged line, a missing column, an empty or repeated name.
    """
    names = ("PATIENT_ID",) if name == "PATIENT_ID" else ("PATIENT_ID", "SAMPLE_ID")
    table = read_plain_table(path, names=names, comment="#", ended=False)
    twice = table[name][table[name].duplicated()]
    if len(twice):
        raise InputError(f"{path}: line {twice.index[0]}: {name} {twice.iloc[0]} stands in two rows; keep one of them")
    return table.set_index(name).rename_axis(None)


def read_case_list(path: str | Path) -> tuple[str, frozenset[str]]:
    """Stable id and samples of a case list.

    Raises
    ------
    InputError
        No ``stable_id`` or no ``case_list_ids``.
    """
    meta = read_meta(path)
    samples = frozenset(name.strip() for name in meta.get("case_list_ids", "").split("\t")) - {""}
    if "stable_id" not in meta or not samples:
        raise InputError(f"{path}: no stable_id or no case_list_ids; retrieve the file again")
    broken = sorted(name for name in samples if '"' in name or " " in name)
    if broken:
        raise InputError(f"{path}: case_list_ids must be separated by tabs; {broken[0]!r} is no sample name")
    return meta["stable_id"], samples


def read_expression_file(path: str | Path) -> tuple[pd.DataFrame, str, str]:
    """Read an expression file.

    Parameters
    ----------
    path : path
        ``Hugo_Symbol`` or ``Entrez_Gene_Id`` or both, then a column per sample.

    Returns
    -------
    expression : DataFrame of float64 of shape (n_samples, n_genes)
        Of a gene in several rows the first one, as cBioPortal loads it; NaN where missing.
    gene_ids : str
        "symbol", or "entrez" where there is no ``Hugo_Symbol``.
    report : str
        How many rows have no gene, and how many repeat one.

    Raises
    ------
    InputError
        A damaged line, a cell that is no number, no column of genes.
    """
    genes, values = read_plain_matrix(path, GENE_COLUMNS, comment="#", ended=False)
    kind = "symbol" if "Hugo_Symbol" in genes else "entrez"
    column = "Hugo_Symbol" if kind == "symbol" else "Entrez_Gene_Id"
    if column not in genes:
        raise InputError(f"{path}: neither Hugo_Symbol nor Entrez_Gene_Id among its columns; another kind of file")
    names = genes[column]
    if names.str.contains('"', regex=False).any():
        raise InputError(f"{path}: a stray quote in {names[names.str.contains(chr(34), regex=False)].iloc[0]!r}")
    lacking = names.isin(NO_GENE)
    repeated = ~lacking & names.where(~lacking).duplicated()
    kept = ~(lacking | repeated)
    if not kept.any():
        raise InputError(f"{path}: no row has a gene in {column}")
    report = f"{int(lacking.sum())} rows without a gene, {int(repeated.sum())} rows of a gene that has one already"
    return values[kept].set_axis(names[kept].to_numpy(), axis=0).T, kind, report


def variant_table(origin: str, table: pd.DataFrame) -> pd.DataFrame:
    """Bring variants of a MAF file or of the API to one form.

    Parameters
    ----------
    origin : str
        How errors call the file.
    table : DataFrame of str
        ``gene``, ``effect``, ``sample``, ``change``, ``status``; index = line (or number) of the variant.

    Returns
    -------
    DataFrame
        As :func:`amlprognosis.genomics.maf.read_maf`; germline and uncalled variants have a silent class.

    Raises
    ------
    InputError
        An effect that is neither a class of the MAF specification nor a consequence of VEP.
    """
    effects = {text: variant_class(text) for text in sorted(set(table["effect"]))}
    effects |= {text: "Targeted_Region" for text in effects if text.lower() in _NOT_TOLD}
    classes = table["effect"].map(effects).astype(object)
    if classes.isna().any():
        line = table.index[classes.isna()][0]
        raise InputError(
            f"{origin}: line {line}: Variant_Classification {table['effect'][line]!r} is not of the MAF specification; "
            "leave the mutations out with mutations: false of the source"
        )
    uncalled = table["status"].str.lower().isin(list(_NO_CALL))
    return pd.DataFrame(
        {
            "gene": table["gene"],
            "variant_class": classes.where(~uncalled, "Targeted_Region"),
            "sample": table["sample"],
            "change": table["change"],
        }
    )


def read_mutation_file(path: str | Path) -> pd.DataFrame:
    """Read a mutation file (MAF).

    Raises
    ------
    InputError
        A damaged line, a missing column, an empty name, a class that is not known.
    """
    needed = ("Hugo_Symbol", "Variant_Classification")
    raw = read_plain_table(path, needed, names=("Tumor_Sample_Barcode",), comment="#", ended=False)
    check_names(path, raw["Hugo_Symbol"].where(raw["Hugo_Symbol"] != "", "Unknown"), "Hugo_Symbol")
    empty = pd.Series("", index=raw.index)
    table = pd.DataFrame(
        {
            "gene": raw["Hugo_Symbol"],
            "effect": raw["Variant_Classification"],
            "sample": raw["Tumor_Sample_Barcode"],
            "change": raw.get("HGVSp_Short", empty),
            "status": raw.get("Mutation_Status", empty),
        }
    )
    return variant_table(str(path), table).reset_index(drop=True)


def read_panel_matrix(path: str | Path, profile: str) -> dict[str, str]:
    """Gene panel by sample, of a column of the gene panel matrix; empty where the profile has no column.

    Raises
    ------
    InputError
        A damaged line, or a sample in two rows.
    """
    table = read_plain_table(path, names=("SAMPLE_ID",), comment="#", ended=False)
    twice = table["SAMPLE_ID"][table["SAMPLE_ID"].duplicated()]
    if len(twice):
        raise InputError(f"{path}: line {twice.index[0]}: sample {twice.iloc[0]} stands in two rows")
    if profile not in table:
        return {}
    pairs = zip(table["SAMPLE_ID"], table[profile], strict=True)
    return {sample: panel for sample, panel in pairs if panel.upper() not in WHOLE}


def read_panel(path: str | Path) -> tuple[str, frozenset[str]]:
    """Stable id and genes of a gene panel.

    Raises
    ------
    InputError
        No ``stable_id`` or no ``gene_list``.
    """
    meta = read_meta(path)
    genes = frozenset(name.strip() for name in meta.get("gene_list", "").split("\t")) - {""}
    if "stable_id" not in meta or not genes:
        raise InputError(f"{path}: no stable_id or no gene_list ({shown(meta)}); retrieve the file again")
    return meta["stable_id"], genes
