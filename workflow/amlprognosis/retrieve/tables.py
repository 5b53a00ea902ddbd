"""The user's own tables: TSV, CSV, parquet or h5ad, plain or gzipped."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from amlprognosis.cohort import require_column, shown
from amlprognosis.errors import InputError
from amlprognosis.retrieve.files import delimiter_of, read_parquet, read_string_table, read_text, to_numbers


def read_expression(path: str | Path, orientation: str) -> pd.DataFrame:
    """Read an expression matrix.

    Parameters
    ----------
    path : path
        ``.tsv .txt .csv`` (gzipped or not; the delimiter by the extension), ``.parquet`` or ``.h5ad`` (``X``;
        observations
        are samples whatever the orientation says).
    orientation : {"samples_in_rows", "genes_in_rows"}
        What a row is.

    Returns
    -------
    DataFrame of float64 of shape (n_samples, n_ids)
        NaN where a cell is empty or NA. A gene that is named twice stays twice; samples are unique.

    Raises
    ------
    InputError
        Duplicated samples, ragged rows, cells that are no numbers, infinite values.
    """
    name = str(path)
    if name.endswith(".h5ad"):
        matrix = _h5ad(path)
    else:
        matrix = _parquet(path) if name.endswith(".parquet") else _delimited(path)
        if orientation == "genes_in_rows":
            matrix = matrix.T
    matrix.index, matrix.columns = matrix.index.map(str), matrix.columns.map(str)
    matrix.index.name = matrix.columns.name = None
    if matrix.empty:
        raise InputError(f"{path}: no samples or no genes in it")
    twice = sorted(set(matrix.index[matrix.index.duplicated()]))
    if twice:
        raise InputError(f"{path}: samples named more than once: {shown(twice)}; or is the orientation wrong?")
    if any(not item.strip() for item in [*matrix.index, *matrix.columns]):
        raise InputError(f"{path}: a sample or gene without a name")
    return matrix


def _delimited(path: str | Path) -> pd.DataFrame:
    text = read_text(path)
    separator = delimiter_of(path)
    first, _, rest = text.lstrip("\n").partition("\n")
    names = [cell.strip().strip('"') for cell in first.split(separator)]
    if len(names) < 2:
        other = next((mark for mark in ("\t", ",", ";") if mark != separator and mark in first), None)
        hint = f"; its header holds {other!r}: .csv means commas, .tsv and .txt tabs; save it so" if other else ""
        raise InputError(f"{path}: one column only{hint}")
    lines = [line for line in rest.split("\n") if line.strip()]
    if not lines:
        raise InputError(f"{path}: a header but no rows")
    width = len(lines[0].split(separator))
    if width == len(names) + 1:
        names = ["", *names]  # as R's write.table does: no name above the row names
    for number, line in enumerate(lines, start=2):
        if line.count(separator) != len(names) - 1:
            raise InputError(f"{path}: row {number} has {line.count(separator) + 1} fields, the header {len(names)}")
    source = io.StringIO("\n".join(lines))
    columns = pd.Index(names[1:])
    try:
        frame = pd.read_csv(
            source,
            sep=separator,
            header=None,
            index_col=0,
            dtype={0: str, **dict.fromkeys(range(1, len(names)), np.float64)},
            na_values=["", "NA", "NaN", "nan", "null", "NULL"],
            keep_default_na=False,
            float_precision="round_trip",  # exactly the number that is written
            low_memory=False,
        )
        if np.isinf(frame.to_numpy()).any():
            raise ValueError("infinite")
    except (ValueError, pd.errors.ParserError):
        cells = [[cell.strip().strip('"') for cell in line.split(separator)] for line in lines]
        texts = pd.DataFrame([row[1:] for row in cells], index=[row[0] for row in cells], columns=columns, dtype=object)
        return to_numbers(texts, str(path))
    frame.columns = columns
    frame.index = frame.index.map(lambda item: "" if pd.isna(item) else str(item).strip())
    return frame


def _parquet(path: str | Path) -> pd.DataFrame:
    frame = read_parquet(path)
    if isinstance(frame.index, pd.RangeIndex):
        frame = frame.set_index(frame.columns[0])
    wrong = [column for column in frame.columns if not pd.api.types.is_numeric_dtype(frame[column])]
    if wrong:
        raise InputError(f"{path}: columns that hold no numbers: {shown(wrong)}")
    values = frame.astype(float)
    if np.isinf(values.to_numpy()).any():
        raise InputError(f"{path}: infinite values; a log of zero?")
    return values


def _h5ad(path: str | Path) -> pd.DataFrame:
    import anndata

    if not Path(path).exists():
        raise InputError(f"{path}: no such file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the user's file; its own format warnings are not ours to raise
            adata = anndata.read_h5ad(path)
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:  # another HDF5 file fails in many ways
        raise InputError(f"{path}: not a readable h5ad file ({str(error).splitlines()[0]})") from None
    matrix = adata.X.toarray() if hasattr(adata.X, "toarray") else adata.X
    if matrix is None:
        raise InputError(f"{path}: X is empty")
    values = np.asarray(matrix, dtype=float)
    if np.isinf(values).any():
        raise InputError(f"{path}: infinite values in X; a log of zero?")
    return pd.DataFrame(values, index=adata.obs_names, columns=adata.var_names)


def read_clinical(path: str | Path, id_column: str) -> pd.DataFrame:
    """Read a clinical table as text.

    Parameters
    ----------
    path : path
        Delimited (lines that start with ``#`` are comments, as cBioPortal writes them), parquet, plain or gzipped.
    id_column : str
        Column that names the sample (or patient).

    Returns
    -------
    DataFrame of str
        Index = that column.

    Raises
    ------
    InputError
        The column is missing, or a row is empty in it or repeats another.
    """
    table = read_string_table(path, comment="#")
    require_column(table.columns, id_column, f"{path}: clinical_id")
    empty = table[id_column] == ""
    if empty.any():
        raise InputError(f"{path}: {int(empty.sum())} rows without {id_column}; fill or delete them")
    twice = sorted(set(table.loc[table[id_column].duplicated(), id_column]))
    if twice:
        raise InputError(f"{path}: {id_column} repeated in several rows: {shown(twice)}; keep one row per patient")
    return table.set_index(id_column, drop=False).rename_axis(None)


def read_gene_map(path: str | Path) -> pd.Series:
    """Symbol text by id: the first two columns of a table, or a GPL table.

    Raises
    ------
    InputError
        Fewer than two columns, or an id with two different symbols.
    """
    text = read_text(path)
    if text.startswith(("^", "!", "#")):
        from amlprognosis.retrieve.geo import parse_platform

        return parse_platform(path)
    table = read_string_table(path)
    if table.shape[1] < 2:
        raise InputError(f"{path}: gene_map needs two columns, id and symbol")
    pairs = table.iloc[:, :2].drop_duplicates()
    ids = pairs.iloc[:, 0]
    symbols = (
        pairs.iloc[:, 1]
        .groupby(ids.to_numpy(), sort=False)
        .agg(lambda texts: " /// ".join(text for text in dict.fromkeys(texts) if text not in {"", "NA", "---"}))
    )
    return symbols.rename("symbol")
