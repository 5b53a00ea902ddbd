"""10x Genomics' matrices: the three files of the exchange format, and HDF5.

References
----------
Cell Ranger: https://www.10xgenomics.com/support/software/cell-ranger/latest/analysis/outputs/cr-outputs-mex-matrices
and cr-outputs-h5-matrices; before version 3 ``genes.tsv`` stood for ``features.tsv``, and the HDF5 group bore the
genome's name.
Matrix Market: https://math.nist.gov/MatrixMarket/formats.html
"""

from __future__ import annotations

import gzip
import io
import warnings
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
from scipy import sparse

from amlprognosis.cells.matrix import first_duplicate, line_blocks, odd_count, open_text_bytes, read_lines, unquoted
from amlprognosis.errors import InputError

EXPRESSION = "Gene Expression"
MANY_BARCODES = 100_000  # more than any run has cells: an unfiltered matrix
_MAX_DIGITS = 9


@dataclass(frozen=True)
class TenxTable:
    """A parsed 10x matrix.

    Attributes
    ----------
    genes, ids : list of str
        Symbol and id of each gene, as in the file; symbols may repeat, ids do not.
    cells : list of str
        Barcodes, unique.
    counts : csr_matrix of int32, shape (n_cells, n_genes)
    dropped : dict
        Number of features of other types (antibodies, ...), by type.
    """

    genes: list[str]
    ids: list[str]
    cells: list[str]
    counts: sparse.csr_matrix
    dropped: dict[str, int] = field(default_factory=dict)


def read_tenx(files: Mapping[str, Path]) -> TenxTable:
    """Read the 10x matrix of a sample.

    Parameters
    ----------
    files : mapping of str to Path
        ``h5``, or ``mtx``, ``barcodes`` and ``features``.

    Raises
    ------
    InputError
        A damaged file, dimensions that differ between the files, a value that is no count, repeated barcodes or ids.
    """
    if "h5" in files:
        return read_h5(files["h5"])
    cells = read_barcodes(files["barcodes"])
    ids, genes, types = read_features(files["features"])
    counts = read_mtx(files["mtx"], files["features"], len(ids), files["barcodes"], len(cells))
    return _expression_only(ids, genes, types, cells, counts, files["features"])


def read_barcodes(path: str | Path) -> list[str]:
    """Barcodes, one per line (further columns are left out)."""
    lines = enumerate(read_lines(Path(path)), start=1)
    cells = [unquoted(line.split("\t")[0], f"{path}, line {number}") for number, line in lines]
    if not cells or "" in cells:
        raise InputError(f"{path}, line {cells.index('') + 1 if cells else 1}: no barcode")
    twice = first_duplicate(cells)
    if twice is not None:
        raise InputError(f"{path}: barcode {twice!r} occurs more than once; names must be unique")
    return cells


def read_features(path: str | Path) -> tuple[list[str], list[str], list[str]]:
    """Ids, names and types of the features (``features.tsv``, ``genes.tsv``); the type is empty in old files.

    Raises
    ------
    InputError
        Rows of different lengths, an empty or repeated id.
    """
    lines = enumerate(read_lines(Path(path)), start=1)
    rows = [[unquoted(cell, f"{path}, line {number}") for cell in line.split("\t")] for number, line in lines]
    if not rows:
        raise InputError(f"{path}: no features in it; retrieve it again")
    for number, row in enumerate(rows, start=1):
        if len(row) != len(rows[0]):
            raise InputError(
                f"{path}, line {number}: {len(row)} fields, line 1 has {len(rows[0])}; cut short or edited?"
            )
        if not row[0]:
            raise InputError(f"{path}, line {number}: no feature id")
    ids = [row[0] for row in rows]
    names = [(row[1] if len(row) > 1 else "") or row[0] for row in rows]
    types = [row[2] if len(row) > 2 else "" for row in rows]
    twice = first_duplicate(ids)
    if twice is not None:
        raise InputError(f"{path}: feature {twice!r} occurs more than once; ids must be unique")
    return ids, names, types


def read_mtx(path: str | Path, features: Path, n_features: int, barcodes: Path, n_cells: int) -> sparse.csr_matrix:
    """Counts of a Matrix Market file (features x barcodes), as cells x features.

    Parameters
    ----------
    path : path
        ``matrix.mtx``, plain or gzip.
    features, barcodes : Path
        The files that name its rows and columns, for messages.
    n_features, n_cells : int
        How many they name.

    Raises
    ------
    InputError
        Another kind of file, other dimensions, fewer or more entries than it says, an entry out of range or named
        twice, a value that is no count; with its line.
    """
    path = Path(path)
    with open_text_bytes(path) as stream:
        rows, columns, entries, line = _read_size(stream, path)
        if (rows, columns) != (n_features, n_cells):
            swapped = (rows, columns) == (n_cells, n_features)
            hint = "; it is transposed (cells x genes): transpose it" if swapped else ""
            raise InputError(
                f"{path}: {rows} rows and {columns} columns, but {features} names {n_features} features and {barcodes} "
                f"{n_cells} barcodes{hint}; the three files do not belong together"
            )
        pieces: tuple[list[np.ndarray], ...] = ([], [], [])
        for block in line_blocks(stream):
            piece = _entries(block, path, line + 1)
            _in_range(piece, (rows, columns), path, line + 1, block)
            line += block.count(b"\n")
            for part, values in zip(pieces, piece.T, strict=True):
                part.append(values.astype(np.int32))
    return _assembled(pieces, (n_cells, n_features), entries, path)


def _assembled(
    pieces: tuple[list[np.ndarray], ...], shape: tuple[int, int], entries: int, path: Path
) -> sparse.csr_matrix:
    """Cells x features from pieces of rows, columns and values; each is let go of once it is joined."""
    joined = []
    for part in pieces:
        joined.append(np.concatenate([np.zeros(0, np.int32), *part]))
        part.clear()
    features, cells, values = joined
    joined.clear()
    if len(values) != entries:
        raise InputError(f"{path}: {len(values)} entries, its size line says {entries}; cut off, or edited")
    features -= 1
    cells -= 1
    if (cells[1:] >= cells[:-1]).all():  # as Cell Ranger writes them: cell after cell
        bounds = np.concatenate([[0], np.cumsum(np.bincount(cells, minlength=shape[0]))])
        counts = sparse.csr_matrix((values, features, bounds), shape=shape)
        counts.sort_indices()
        counts.sum_duplicates()
    else:
        counts = sparse.csr_matrix((values, (cells, features)), shape=shape)
    if counts.nnz != entries:
        raise InputError(f"{path}: {entries - counts.nnz} entries name a place a second time; retrieve it again")
    counts.eliminate_zeros()
    counts.sort_indices()
    return counts


def _read_size(stream: IO[bytes], path: Path) -> tuple[int, int, int, int]:
    """Rows, columns, entries, and the number of lines read."""
    first = stream.readline().removeprefix(b"\xef\xbb\xbf").decode("ascii", errors="replace").lower().split()
    if first[:1] != ["%%matrixmarket"]:
        raise InputError(f"{path}, line 1: no %%MatrixMarket line; not a matrix.mtx file")
    if first[1:3] != ["matrix", "coordinate"] or first[3:4] not in (["integer"], ["real"]) or first[4:] != ["general"]:
        raise InputError(
            f"{path}, line 1: {' '.join(first[1:])!r}; a matrix of counts is 'matrix coordinate integer general'"
        )
    number = 1
    while line := stream.readline():
        number += 1
        if line.startswith(b"%") or not line.strip():
            continue
        fields = line.split()
        if len(fields) != 3 or not all(text.isdigit() and len(text) < 12 for text in fields):
            raise InputError(f"{path}, line {number}: {line[:60]!r}; expected the numbers of rows, columns and entries")
        rows, columns, entries = map(int, fields)
        return rows, columns, entries, number
    raise InputError(f"{path}: no size line; the file is cut off")


def _entries(block: bytes, path: Path, first_line: int) -> np.ndarray:
    """Row, column and value of whole lines, shape (n, 3)."""
    data = np.frombuffer(block, dtype=np.uint8)
    blank = data <= 32
    begins = np.flatnonzero(~blank & np.concatenate([[True], blank[:-1]]))
    ends = np.flatnonzero(blank & np.concatenate([[False], ~blank[:-1]]))
    lines = np.flatnonzero(data == 10)
    regular = np.array_equal(np.searchsorted(begins, lines), 3 * np.arange(1, len(lines) + 1))
    odd = block.translate(None, b"0123456789 \t\n")
    if regular and not odd and (ends - begins).max() <= _MAX_DIGITS:
        return np.fromstring(block, dtype=np.int64, sep=" ").reshape(-1, 3)
    if regular and not odd.translate(None, b".eE+"):
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # numpy warns where a text stops being a number
            try:
                values = np.fromstring(block, dtype=np.float64, sep=" ")
            except (DeprecationWarning, ValueError):
                values = np.zeros(0)
        if len(values) == len(begins) and (values == np.floor(values)).all() and values.max() < 10**_MAX_DIGITS:
            return values.astype(np.int64).reshape(-1, 3)
    return _slowly(block, path, first_line)


def _slowly(block: bytes, path: Path, first_line: int) -> np.ndarray:
    """Line by line, to name the one that is wrong."""
    rows = []
    for number, line in enumerate(block.split(b"\n"), start=first_line):
        fields = line.split()
        if not fields:
            continue
        where = f"{path}, line {number}"
        if len(fields) != 3:
            raise InputError(f"{where}: {line[:60]!r}; an entry is row, column and count")
        rows.append([odd_count(text, where) for text in fields])
    return np.array(rows, dtype=np.int64).reshape(-1, 3)


def _in_range(entries: np.ndarray, shape: tuple[int, int], path: Path, first_line: int, block: bytes) -> None:
    wrong = (entries[:, :2] < 1).any(axis=1) | (entries[:, 0] > shape[0]) | (entries[:, 1] > shape[1])
    if wrong.any():
        at = int(np.argmax(wrong))
        lines = [i for i, line in enumerate(block.split(b"\n")) if line.strip()]
        row, column, _ = entries[at].tolist()
        raise InputError(
            f"{path}, line {first_line + lines[at]}: row {row}, column {column} of a matrix of {shape[0]} x {shape[1]}"
        )


def _expression_only(
    ids: Sequence[str],
    genes: Sequence[str],
    types: Sequence[str],
    cells: list[str],
    counts: sparse.csr_matrix,
    origin: Path,
) -> TenxTable:
    """Leave out features that are no genes, and count them."""
    keep = np.array([kind in ("", EXPRESSION) for kind in types], dtype=bool)
    others = [kind for kind in types if kind not in ("", EXPRESSION)]
    dropped = {kind: others.count(kind) for kind in sorted(set(others))}
    if not keep.any():
        raise InputError(f"{origin}: no feature of type {EXPRESSION!r}; it has {', '.join(dropped) or 'none at all'}")
    if dropped:
        counts = counts[:, np.flatnonzero(keep)]
    return TenxTable(
        [name for name, kept in zip(genes, keep, strict=True) if kept],
        [name for name, kept in zip(ids, keep, strict=True) if kept],
        cells,
        counts.astype(np.int32),
        dropped,
    )


def read_h5(path: str | Path) -> TenxTable:
    """Read a ``.h5`` matrix of Cell Ranger, of version 3 and later or of version 2, plain or gzip.

    Raises
    ------
    InputError
        Not such a file, several genomes, parts that do not fit each other, values that are no counts.
    """
    import h5py

    path = Path(path)
    try:
        with h5py.File(_h5_source(path), "r") as file:
            return _from_h5(file, path)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; check the folder of the atlas") from None
    except (OSError, KeyError, RuntimeError, ValueError, TypeError, AttributeError, OverflowError) as error:
        said = " ".join(str(error).split())[:160]
        raise InputError(f"{path}: not a readable 10x .h5 file ({said}); delete it and retrieve it again") from None


def _h5_source(path: Path) -> Path | IO[bytes]:
    with open(path, "rb") as raw:
        if raw.read(2) != b"\x1f\x8b":
            return path
    try:
        return io.BytesIO(gzip.decompress(path.read_bytes()))
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path}: truncated or damaged gzip ({error}); delete it and retrieve it again") from None


def _from_h5(file: Any, path: Path) -> TenxTable:
    groups = [name for name in file if hasattr(file[name], "keys") and "indptr" in file[name]]
    if len(groups) != 1:
        what = f"several genomes ({', '.join(groups)}): keep the human one" if groups else "no matrix in it"
        raise InputError(f"{path}: {what}; expected a matrix of Cell Ranger")
    group = file[groups[0]]
    if "features" in group:
        part = group["features"]
        ids, genes, types = (_texts(part[name], path) for name in ("id", "name", "feature_type"))
    else:
        ids, genes = _texts(group["genes"], path), _texts(group["gene_names"], path)
        types = [""] * len(ids)
    cells = _texts(group["barcodes"], path)
    data, indices, indptr = (group[name][()] for name in ("data", "indices", "indptr"))
    shape = tuple(int(n) for n in group["shape"][()])
    _check_h5(path, (ids, genes, types, cells), (data, indices, indptr), shape)
    counts = sparse.csr_matrix((data.astype(np.int32), indices, indptr), shape=(len(cells), len(ids)))
    if not counts.has_canonical_format:
        counts.sort_indices()
        if not counts.has_canonical_format:
            raise InputError(f"{path}: entries name a place a second time; retrieve it again")
    counts.eliminate_zeros()
    return _expression_only(ids, genes, types, cells, counts, path)


def _texts(dataset: Any, path: Path) -> list[str]:
    return [bytes(text).decode("utf-8") for text in dataset[()]]


def _check_h5(path: Path, names: tuple[list[str], ...], parts: tuple[np.ndarray, ...], shape: tuple[int, ...]) -> None:
    ids, genes, types, cells = names
    data, indices, indptr = parts
    if shape != (len(ids), len(cells)) or not len(ids) == len(genes) == len(types):
        raise InputError(f"{path}: shape {shape}, but {len(ids)} features and {len(cells)} barcodes are named")
    for what, items in (("barcode", cells), ("feature id", ids)):
        twice = first_duplicate(items)
        if twice is not None:
            raise InputError(f"{path}: {what} {twice!r} occurs more than once; names must be unique")
    fits = len(indptr) == len(cells) + 1 and len(data) == len(indices) and len(indptr) and int(indptr[0]) == 0
    if not fits or int(indptr[-1]) != len(data) or (np.diff(indptr.astype(np.int64)) < 0).any():
        raise InputError(f"{path}: indptr, indices and data do not fit each other; the file is damaged")
    if len(indices) and (int(indices.min()) < 0 or int(indices.max()) >= len(ids)):
        raise InputError(f"{path}: entries of features beyond the {len(ids)} that are named; the file is damaged")
    if len(data) and ((data != np.floor(data)).any() or data.min() < 0 or data.max() >= 10**_MAX_DIGITS):
        raise InputError(f"{path}: values that are not counts; raw integer counts >= 0 are needed")
