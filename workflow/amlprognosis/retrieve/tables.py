"""The user's own tables: delimited text (plain or gzipped), Excel workbooks, parquet and h5ad files."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from amlprognosis.cohort import require_column, shown
from amlprognosis.errors import InputError
from amlprognosis.retrieve.delimited import layout_of, unended
from amlprognosis.retrieve.files import read_parquet, read_text
from amlprognosis.retrieve.number_cells import MISSING, number_rows, read_numbers
from amlprognosis.retrieve.spreadsheets import read_sheet
from amlprognosis.retrieve.text_tables import WORKBOOKS, TextTable, read_text_table

# Workbooks are read cell by cell: a megabyte takes seconds and a hundred of them in memory.
LARGEST_WORKBOOK = 10 << 20
MOST_SAMPLES = 50_000
_FRACTION = re.compile(r"-?[0-9]+\.[0-9]+([eE][+-]?[0-9]+)?")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
# A spreadsheet's dates in the place of gene names: 2024-09-02 (ISO, workbooks) and 02.09.2024; of 9/2/2024 it cannot be
# told which number is the month.
_DATES = (
    re.compile(r"[0-9]{4}-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})([T ]00:00:00)?"),
    re.compile(r"(?P<day>[0-9]{1,2})\.(?P<month>[0-9]{1,2})\.([0-9]{2}|[0-9]{4})"),
)
_OTHER_DATE = re.compile(r"[0-9]{1,2}/[0-9]{1,2}/([0-9]{2}|[0-9]{4})")


@dataclass
class Matrix:
    """An expression matrix of the user's.

    Attributes
    ----------
    values : DataFrame of float64 of shape (n_samples, n_ids)
        NaN where a cell is empty or NA. A gene that is named twice stays twice; samples are unique.
    notes : list of str
        What was read in a way that the user should know of.
    """

    values: pd.DataFrame
    notes: list[str] = field(default_factory=list)


def read_expression(path: str | Path, orientation: str) -> pd.DataFrame:
    """The values of :func:`read_matrix`."""
    return read_matrix(path, orientation).values


def read_matrix(path: str | Path, orientation: str) -> Matrix:
    """Read an expression matrix.

    Parameters
    ----------
    path : path
        Text delimited by tabs, commas or semicolons (with tabs and semicolons also decimal commas, where they are
        beyond doubt), plain or gzipped; ``.xlsx`` (the first sheet), ``.parquet`` (names in the index or the first
        column) or ``.h5ad`` (``X``; observations are samples whatever the orientation says).
    orientation : {"samples_in_rows", "genes_in_rows"}
        What a row is.

    Returns
    -------
    Matrix

    Raises
    ------
    InputError
        With line and column where there are any: duplicated or unnamed samples, ragged rows, cells that are no
        numbers, infinite values, columns of texts, a file of another kind.
    """
    name = str(path).lower()
    if name.endswith(".h5ad"):
        matrix = _h5ad(path)
    else:
        if name.endswith(".parquet"):
            matrix = _parquet(path)
        else:
            matrix = _workbook(path) if name.endswith(WORKBOOKS) else _delimited(path)
        if orientation == "samples_in_rows":
            matrix.values = matrix.values.T
    values = matrix.values
    values.index, values.columns = values.index.map(str), values.columns.map(str)
    values.index.name = values.columns.name = None
    if values.empty:
        raise InputError(f"{path}: no samples or no genes in it")
    twice = sorted(set(values.index[values.index.duplicated()]))
    if twice:
        raise InputError(f"{path}: samples named more than once: {shown(twice)}; or is the orientation wrong?")
    for names, what, none in ((values.index, "sample", MISSING), (values.columns, "gene", {""})):
        nameless = [item for item in names if item.strip() in none]
        if nameless:
            raise InputError(f"{path}: a {what} without a name ({nameless[0]!r}); give it one or remove it")
        stray = [item for item in names if '"' in item]
        if stray:
            raise InputError(f"{path}: a quotation mark in the name of a {what}: {shown(stray, 3)}; remove it")
        if all(map(_FRACTION.fullmatch, names)):
            raise InputError(
                f"{path}: {what}s are called {shown(names, 3)}: values stand where the header should, or the names are "
                "lacking; add them"
            )
    values.columns = _without_dates(values.columns, matrix.notes)
    return matrix


def _delimited(path: str | Path) -> Matrix:
    text = read_text(path)
    layout = layout_of(text, str(path), comment="#")
    above = next((line for line in text[: layout.start].split("\n") if line.startswith("#")), "")
    if len(layout.header) > 1 and above.count(layout.delimiter) == len(layout.header) - 1:
        raise InputError(f"{path}: {above[:40]!r} has as many fields as the rows: if it is the header, remove its #")
    if any("\n" in name for name in layout.header):
        raise InputError(f"{path}: line {layout.line}: a line end within a column name; remove it")
    header, last = layout.header, len(layout.header)
    while last > 1 and not header[last - 1]:
        last -= 1
    found = read_numbers(text, layout, str(path))
    notes = [*found.notes, *filter(None, [unended(text)])]
    if last < len(header):
        if not np.isnan(found.values[last - 1 :]).all():
            raise InputError(f"{path}: line {layout.line}: column {last + 1} has no name; name it in the header")
        notes.append(f"{len(header) - last} empty columns without a name at the end")
    if any("\n" in name for name in found.ids):
        raise InputError(f"{path}: a line end within the name of a row; remove it")
    return Matrix(_frame(found.values[: last - 1], header[1:last], found.ids), notes)


def _frame(values: np.ndarray, columns: list[str], rows: list[str]) -> pd.DataFrame:
    """Columns of the file in rows."""
    return pd.DataFrame(values, index=pd.Index(columns, dtype=object), columns=pd.Index(rows, dtype=object))


def _workbook(path: str | Path) -> Matrix:
    if Path(path).is_file() and Path(path).stat().st_size > LARGEST_WORKBOOK:
        raise InputError(f"{path}: a large matrix in a workbook; save it as text with tabs (.tsv), gzipped if you like")
    sheet = read_sheet(path, ())
    rows = ((place, list(cells)) for place, *cells in sheet.itertuples(name=None) if any(cells))
    found = number_rows(rows, list(sheet.columns), str(path), unit="row")
    return Matrix(_frame(found.values, list(sheet.columns[1:]), found.ids))


def _parquet(path: str | Path) -> Matrix:
    frame = read_parquet(path)
    if isinstance(frame.index, pd.RangeIndex) and frame.shape[1]:
        if pd.api.types.is_float_dtype(frame.dtypes.iloc[0]):
            raise InputError(f"{path}: neither an index nor a first column of names; save the table with its index")
        frame = frame.set_index(frame.columns[0])
    if isinstance(frame.index, pd.MultiIndex) or isinstance(frame.columns, pd.MultiIndex):
        raise InputError(f"{path}: names of several levels; give each row and column one name")
    wrong = [
        column
        for column, kind in zip(frame.columns, frame.dtypes, strict=True)
        if not pd.api.types.is_numeric_dtype(kind) or pd.api.types.is_bool_dtype(kind)
    ]
    if wrong:
        raise InputError(f"{path}: columns that hold no numbers: {shown(wrong)}; remove them")
    values = frame.to_numpy(dtype=float, na_value=np.nan).T
    _refuse_infinite(values, frame.columns, frame.index, path)
    return Matrix(pd.DataFrame(values, index=frame.columns, columns=frame.index.map(str)))


def _refuse_infinite(values: np.ndarray, rows: pd.Index, columns: pd.Index, path: str | Path) -> None:
    if np.isinf(values).any():
        i, j = (int(places[0]) for places in np.nonzero(np.isinf(values)))
        raise InputError(f"{path}: {rows[i]}, {columns[j]}: infinite value; a log of zero? leave the cell empty")


def _h5ad(path: str | Path) -> Matrix:
    import anndata

    if not Path(path).exists():
        raise InputError(f"{path}: no such file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the user's file; its own format warnings are not ours to raise
            adata = anndata.read_h5ad(path)
    except Exception as error:  # another or a damaged HDF5 file fails in many ways
        detail = next(iter(str(error).splitlines()), type(error).__name__)
        raise InputError(f"{path}: not a readable h5ad file ({detail})") from None
    others = [f"layers[{name!r}]" for name in adata.layers] + (["raw"] if adata.raw is not None else [])
    if adata.X is None:
        hint = f"; it has {shown(others)}: copy the one that you mean to X" if others else ""
        raise InputError(f"{path}: X is empty{hint}")
    if adata.n_obs > MOST_SAMPLES:
        raise InputError(
            f"{path}: {adata.n_obs} observations: single cells? A cohort has one observation per patient; sum the "
            "counts of each patient's cells first"
        )
    matrix = adata.X.toarray() if hasattr(adata.X, "toarray") else adata.X
    try:
        values = np.asarray(matrix, dtype=float)
    except (TypeError, ValueError):
        raise InputError(f"{path}: X holds no numbers") from None
    _refuse_infinite(values, adata.obs_names, adata.var_names, path)
    notes = [f"X is read, not {shown(others)}"] if others else []
    return Matrix(pd.DataFrame(values, index=adata.obs_names, columns=adata.var_names), notes)


def _without_dates(names: pd.Index, notes: list[str]) -> pd.Index:
    """Dates that a spreadsheet made of gene names, written as it shows them (2-Sep), from which genes can be told."""
    new, changed, unclear = [], [], []
    for name in names:
        match = next(filter(None, (kind.fullmatch(name) for kind in _DATES)), None)
        if match and 1 <= int(match["month"]) <= 12:
            new.append(f"{int(match['day'])}-{_MONTHS[int(match['month']) - 1]}")
            changed.append(f"{name} -> {new[-1]}")
        else:
            new.append(name)
            unclear += [name] if _OTHER_DATE.fullmatch(name) else []
    if changed:
        notes.append(f"{len(changed)} gene names that a spreadsheet turned to dates ({shown(changed, 3)})")
    if unclear:
        notes.append(f"{len(unclear)} gene names are dates, of which no gene can be told ({shown(unclear, 3)})")
    return pd.Index(new, dtype=object) if changed else names


def read_clinical(path: str | Path, id_column: str) -> pd.DataFrame:
    """The rows of :func:`read_clinical_table`."""
    return read_clinical_table(path, id_column).frame


def read_clinical_table(path: str | Path, id_column: str) -> TextTable:
    """Read a clinical table as text.

    Parameters
    ----------
    path : path
        Text delimited by tabs, commas or semicolons (lines above the header that start with ``#`` are comments, as
        cBioPortal writes them), plain or gzipped; ``.xlsx`` (the sheet that has the column) or ``.parquet``.
    id_column : str
        Column that names the sample (or patient).

    Returns
    -------
    TextTable
        Index of its frame = that column.

    Raises
    ------
    InputError
        The column is missing, or a row is empty in it or repeats another, and as
        :func:`amlprognosis.retrieve.text_tables.read_text_table`.
    """
    found = read_text_table(path, comment="#", needed=[id_column])
    table = found.frame
    require_column(table.columns, id_column, f"{path}: clinical_id")
    names = table[id_column]
    empty = names.isin(MISSING)
    if empty.any():
        raise InputError(
            f"{path}: {int(empty.sum())} rows without {id_column} ({found.unit} {shown(table.index[empty], 4)}); fill "
            "or delete them"
        )
    stray = names[names.str.contains('"', regex=False)]
    if len(stray):
        raise InputError(f"{path}: {found.unit} {stray.index[0]}: a quotation mark in {id_column}: {stray.iloc[0]!r}")
    twice = sorted(set(names[names.duplicated()]))
    if twice:
        places = table.index[names == twice[0]]
        raise InputError(
            f"{path}: {id_column} repeated in several rows: {shown(twice)}; keep one row per patient ({twice[0]}: "
            f"{found.unit}s {shown(places, 4)})"
        )
    return TextTable(table.set_index(id_column, drop=False).rename_axis(None), found.unit, found.notes)


def read_gene_map(path: str | Path) -> pd.Series:
    """Symbol text by id: the first two columns of a table, or a GPL table.

    Raises
    ------
    InputError
        Fewer than two columns, an id without a name, or a table without a header.
    """
    if not str(path).lower().endswith((*WORKBOOKS, ".parquet")) and read_text(path).startswith(("^", "!", "#")):
        from amlprognosis.retrieve.geo import parse_platform

        return parse_platform(path)
    found = read_text_table(path)
    table = found.frame
    if table.shape[1] < 2:
        raise InputError(f"{path}: gene_map needs two columns, id and symbol")
    _refuse_headless(table, path)
    ids = table.iloc[:, 0]
    wrong = (ids == "") | ids.str.contains('"', regex=False)
    if wrong.any():
        place = ids.index[wrong][0]
        raise InputError(f"{path}: {found.unit} {place}: {ids[place]!r} is no id; correct or delete the row")
    pairs = table.iloc[:, :2].drop_duplicates()
    symbols = (
        pairs.iloc[:, 1]
        .groupby(pairs.iloc[:, 0].to_numpy(), sort=False)
        .agg(lambda texts: " /// ".join(text for text in dict.fromkeys(texts) if text not in {"", "NA", "---"}))
    )
    return symbols.rename("symbol")


def _refuse_headless(table: pd.DataFrame, path: str | Path) -> None:
    """The first row is taken for names of columns: the gene in it would be lost."""
    from amlprognosis.normalize.gene_table import gene_table

    known = gene_table()
    symbols = re.split(r"[\s/;,|]+", str(table.columns[1]))
    if any(symbol in known.symbols or symbol in known.retired for symbol in symbols):
        raise InputError(
            f"{path}: a gene ({shown(table.columns[:2])}) stands where the header should; add a first line such as "
            "id and symbol"
        )
