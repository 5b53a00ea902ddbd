"""GEO single-cell supplements in the form of GSE116256 (van Galen 2019, doi:10.1016/j.cell.2019.01.031).

Per sample a count table ``GSM3587923_AML1012-D0.dem.txt.gz`` (genes x cells) and the authors' annotation
``GSM3587924_AML1012-D0.anno.txt.gz`` (one line per cell), usually under another GSM number: the sample's name
after the GSM prefix joins the two.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import sparse

from amlprognosis.cells.matrix import first_duplicate, open_text_bytes, read_count_table
from amlprognosis.errors import InputError

if TYPE_CHECKING:
    from anndata import AnnData

REPORT_COLUMNS = ["sample", "step", "item", "removed", "kept", "reason"]
Rename = Callable[[Sequence[str]], tuple[Sequence[str | None], Sequence[Any]]] | Mapping[str, str]

_NAME = re.compile(r"^(?:(?P<gsm>GSM\d+)_)?(?P<sample>.+?)\.(?P<kind>dem|anno)\.txt(?:\.gz)?$")
_TIMEPOINT = re.compile(r"^(?P<patient>.+?)-(?P<timepoint>D\d+)$")
_SORTED = re.compile(r"^(?P<patient>.+?)-(?:34p(?:38n)?)$")  # CD34+ (CD38-) sorted part of the same donor
_MALIGNANT = {"malignant": True, "normal": False, "unclear": pd.NA}


@dataclass(frozen=True)
class SampleFiles:
    """The files of one sample.

    Attributes
    ----------
    sample : str
        Name after the GSM prefix, for example ``AML328-D0``.
    gsm : str
        GEO accession of the count table (of the annotation where there is no table); ``""`` if unnamed.
    dem, anno : Path or None
        Count table and annotation; None where the folder has none.
    folder : Path
        The folder that was searched (named in messages).
    """

    sample: str
    gsm: str
    dem: Path | None
    anno: Path | None
    folder: Path = Path()

    def missing_matrix(self, relative: bool = False) -> str:
        """Say which file was expected where; relative to the searched folder if asked (for reports)."""
        pattern, anno = Path(f"**/GSM*_{self.sample}.dem.txt.gz"), self.anno
        if relative:
            anno = anno.relative_to(self.folder) if anno and anno.is_relative_to(self.folder) else anno
        else:
            pattern = self.folder / pattern
        return f"no count table {pattern}" + (f" (its annotation is {anno})" if anno else "")


def report_row(sample: str, step: str, item: str, removed: int, kept: int, reason: str) -> dict[str, Any]:
    """Return one row of the atlas report: how many of what a step removed and kept, and why."""
    values = (sample, step, item, int(removed), int(kept), reason)
    return dict(zip(REPORT_COLUMNS, values, strict=True))


def report_table(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Return report rows as a table with the columns sample, step, item, removed, kept, reason."""
    return pd.DataFrame(list(rows), columns=REPORT_COLUMNS).astype({"removed": int, "kept": int})


def patient_and_timepoint(sample: str) -> tuple[str, str | None]:
    """Split a sample's name: ``AML328-D0`` is patient ``AML328`` on day ``D0``; ``BM5-34p`` is donor ``BM5``."""
    if match := _TIMEPOINT.match(sample):
        return match["patient"], match["timepoint"]
    if match := _SORTED.match(sample):
        return match["patient"], None
    return sample, None


def discover_samples(folder: str | Path) -> list[SampleFiles]:
    """Find the samples of an atlas below a folder, in GEO's layout or flat.

    Parameters
    ----------
    folder : str or Path
        Searched recursively for ``[GSM..._]<sample>.dem.txt[.gz]`` and ``.anno.txt[.gz]``.

    Returns
    -------
    list of SampleFiles
        Sorted by sample. A sample known by its annotation alone has ``dem=None``.

    Raises
    ------
    InputError
        No such folder, no such files, or two files of one kind for the same sample.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; it should hold the .dem.txt.gz and .anno.txt.gz files")
    found: dict[str, dict[str, tuple[str, Path]]] = {}
    for path in sorted(folder.rglob("*.txt*")):
        match = _NAME.match(path.name)
        if match is None or not path.is_file():
            continue
        kinds = found.setdefault(match["sample"], {})
        if match["kind"] in kinds:
            other = kinds[match["kind"]][1]
            raise InputError(
                f"sample {match['sample']!r} has two .{match['kind']} files: {other} and {path}; remove one"
            )
        kinds[match["kind"]] = (match["gsm"] or "", path)
    if not found:
        raise InputError(f"{folder}: no *.dem.txt.gz or *.anno.txt.gz file in it or below it")
    samples = []
    for sample in sorted(found):
        kinds = found[sample]
        gsm = kinds["dem"][0] if "dem" in kinds else kinds["anno"][0]
        dem, anno = (kinds[k][1] if k in kinds else None for k in ("dem", "anno"))
        samples.append(SampleFiles(sample, gsm, dem, anno, folder))
    return samples


def read_annotation(path: str | Path) -> pd.DataFrame:
    """Read the annotation of one sample.

    Parameters
    ----------
    path : str or Path
        Tab-separated, plain or gzip, with a column ``Cell``.

    Returns
    -------
    DataFrame
        Index: cell. ``cell_type`` (object, missing where not given), ``malignant`` (nullable boolean;
        ``unclear`` is missing) and every other column as ``source_<column>``.

    Raises
    ------
    InputError
        Unreadable file, no column ``Cell``, a repeated cell, or an unknown word in ``PredictionRefined``.
    """
    path = Path(path)
    with open_text_bytes(path) as stream:
        try:
            table = pd.read_csv(stream, sep="\t", dtype={"Cell": str}, low_memory=False)
        except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: not a tab-separated annotation table ({error})") from error
    if "Cell" not in table.columns:
        raise InputError(f"{path}, line 1: no column 'Cell'; found {', '.join(map(str, table.columns[:6]))} ...")
    if table["Cell"].isna().any():
        raise InputError(f"{path}: column 'Cell' is empty in row {int(np.argmax(table['Cell'].isna())) + 2}")
    twice = first_duplicate(table["Cell"].tolist())
    if twice is not None:
        raise InputError(f"{path}: cell {twice!r} is annotated more than once; keep one of its rows")
    table = table.set_index("Cell")
    result = pd.DataFrame(index=table.index)
    types = table["CellType"] if "CellType" in table else pd.Series(None, index=table.index, dtype=object)
    result["cell_type"] = types.astype(object).where(types.notna(), None)
    said = table["PredictionRefined"] if "PredictionRefined" in table else pd.Series(pd.NA, index=table.index)
    unknown = sorted(set(said.dropna().astype(str)) - set(_MALIGNANT))
    if unknown:
        raise InputError(
            f"{path}: column PredictionRefined holds {unknown[0]!r}; expected normal, malignant or unclear"
        )
    result["malignant"] = pd.array([_MALIGNANT.get(word, pd.NA) for word in said], dtype="boolean")
    for column in table.columns:
        if column not in {"CellType"}:
            result[f"source_{column}"] = table[column]
    return result


def load_sample(files: SampleFiles) -> tuple[AnnData, list[dict[str, Any]]]:
    """Load one sample: counts and annotation, joined by cell.

    Parameters
    ----------
    files : SampleFiles
        From :func:`discover_samples`. Without annotation the cells stay unannotated.

    Returns
    -------
    AnnData
        Cells x genes, ``X`` CSR int32 counts; ``obs``: sample, patient, timepoint, cell_type, malignant and
        ``source_*`` columns.
    list of dict
        Report rows (see :func:`report_row`): cells read, annotated cells without counts (removed), cells
        without annotation (kept).

    Raises
    ------
    InputError
        No count table, an unreadable file, or an annotation that shares no cell with the table.
    """
    from anndata import AnnData

    if files.dem is None:
        raise InputError(f"sample {files.sample!r}: {files.missing_matrix()}; retrieve it, or leave the sample out")
    table = read_count_table(files.dem)
    n, sample = len(table.cells), files.sample
    rows = [report_row(sample, "load", "cells", 0, n, f"counts read for {len(table.genes)} genes")]
    patient, timepoint = patient_and_timepoint(sample)
    obs = pd.DataFrame(index=pd.Index(table.cells, dtype=object))
    obs["sample"], obs["patient"], obs["timepoint"] = sample, patient, timepoint
    if files.anno is None:
        obs["cell_type"] = None
        obs["malignant"] = pd.array([pd.NA] * n, dtype="boolean")
        rows.append(report_row(sample, "annotate", "cells", 0, n, "no annotation file: cells stay unannotated"))
    else:
        anno = read_annotation(files.anno)
        both = obs.index.intersection(anno.index)
        if not len(both):
            raise InputError(
                f"{files.anno}: none of its cells (such as {anno.index[0] if len(anno) else '-'!r}) is in "
                f"{files.dem} (such as {table.cells[0]!r}); the two files do not belong together"
            )
        without_counts, without_type = len(anno) - len(both), n - len(both)
        if without_counts:
            reason = "annotated, but not in the count table"
            rows.append(report_row(sample, "annotate", "cells", without_counts, len(both), reason))
        if without_type:
            rows.append(report_row(sample, "annotate", "cells", 0, without_type, "kept without annotation"))
        obs = obs.join(anno.reindex(obs.index))
    return AnnData(X=table.counts, obs=obs, var=pd.DataFrame(index=pd.Index(table.genes, dtype=object))), rows


def rename_genes(
    counts: sparse.csr_matrix, genes: Sequence[str], rename: Rename
) -> tuple[sparse.csr_matrix, list[str], dict[str, Any]]:
    """Bring genes to other names and sum the columns that come to share one.

    Parameters
    ----------
    counts : csr_matrix, shape (n_cells, n_genes)
    genes : sequence of str
    rename : callable or mapping
        A callable gets all names and returns (new names in the same order, report rows with a ``step``, which
        are counted by it); None, NaN or ``""`` drops the gene. A mapping renames what it holds and leaves the
        rest. ``amlprognosis.normalize.genes.rename_genes`` is such a callable.

    Returns
    -------
    csr_matrix, shape (n_cells, n_new)
    list of str
        New names, sorted.
    dict
        Report row.
    """
    if callable(rename):
        given, told = rename(list(genes))
        if len(given) != len(genes):
            raise InputError(f"gene renaming returned {len(given)} names for {len(genes)} genes")
    else:
        given, told = [rename.get(gene, gene) for gene in genes], []
    names = ["" if pd.isna(name) else str(name) for name in given]
    changed = sum(bool(new) and new != old for old, new in zip(genes, names, strict=True))
    dropped = names.count("")
    kept = sorted(set(names) - {""})
    place = {name: i for i, name in enumerate(kept)}
    pairs = np.array([(i, place[name]) for i, name in enumerate(names) if name], dtype=np.int64).reshape(-1, 2)
    ones = np.ones(len(pairs), dtype=counts.dtype)
    sums = sparse.csr_matrix((ones, (pairs[:, 0], pairs[:, 1])), shape=(len(names), len(kept)))
    result = (counts @ sums).tocsr()
    result.sort_indices()
    merged = len(genes) - dropped - len(kept)
    reason = f"{changed} renamed, {merged} summed into another of the same name, {dropped} without a name"
    kinds = Counter(str(row["step"]) for row in told if isinstance(row, Mapping) and "step" in row)
    reason += "".join(f"; {kind}: {count}" for kind, count in sorted(kinds.items()))
    return result, kept, report_row("all", "gene names", "genes", len(genes) - len(kept), len(kept), reason)


def _choose(samples: Sequence[SampleFiles], wanted: Sequence[str] | None) -> list[SampleFiles]:
    by_name = {files.sample: files for files in samples}
    if wanted is None:
        chosen = list(by_name)
    else:
        unknown = [name for name in wanted if name not in by_name]
        if unknown:
            raise InputError(f"sample {unknown[0]!r} is not in the atlas; it holds: {', '.join(sorted(by_name))}")
        twice = first_duplicate(list(wanted))
        if twice is not None:
            raise InputError(f"sample {twice!r} is asked for twice; remove one mention")
        chosen = list(wanted)
    if not chosen:
        raise InputError("no sample of the atlas was asked for; name at least one")
    lacking = [by_name[name] for name in chosen if by_name[name].dem is None]
    if lacking:
        lines = "\n".join(f"  {files.sample}: {files.missing_matrix()}" for files in lacking)
        raise InputError(
            f"{len(lacking)} sample(s) of the atlas have no counts; retrieve the files, or name the samples "
            f"to use without them:\n{lines}"
        )
    return [by_name[name] for name in sorted(chosen)]


def load_atlas(
    samples: Sequence[SampleFiles], wanted: Sequence[str] | None = None, *, rename: Rename | None = None
) -> tuple[AnnData, pd.DataFrame]:
    """Load the samples of an atlas into one object over the union of their genes.

    Parameters
    ----------
    samples : sequence of SampleFiles
        From :func:`discover_samples`.
    wanted : sequence of str, optional
        Sample names to load; None asks for every one. What is not asked for is reported as skipped.
    rename : callable or mapping, optional
        Gene names to approved ones, see :func:`rename_genes`.

    Returns
    -------
    AnnData
        Cells x genes (sorted by name), samples in sorted order. ``X`` CSR int32 counts; a gene absent from a
        sample's table counts 0 there (and is reported). ``obs`` as in :func:`load_sample`, text as
        categories.
    DataFrame
        Report: sample, step, item, removed, kept, reason.

    Raises
    ------
    InputError
        An unknown sample, a sample asked for without count table, cells of the same name in two samples, or
        any fault of a file.
    """
    from anndata import AnnData

    chosen = _choose(samples, wanted)
    names = {files.sample for files in chosen}
    rows: list[dict[str, Any]] = []
    for files in sorted(samples, key=lambda f: f.sample):
        if files.sample not in names:
            why = "not asked for" + ("" if files.dem else f"; {files.missing_matrix(relative=True)}")
            rows.append(report_row(files.sample, "skip", "samples", 1, 0, why))
    parts = []
    for files in chosen:
        part, said = load_sample(files)
        parts.append(part)
        rows.extend(said)
    genes = sorted(set().union(*(part.var_names for part in parts)))
    place = {gene: i for i, gene in enumerate(genes)}
    blocks, frames = [], []
    for part in parts:
        absent = len(genes) - part.n_vars
        if absent:
            reason = f"{absent} genes of the other samples are not in this table and count 0"
            rows.append(report_row(str(part.obs["sample"].iloc[0]), "gene union", "genes", 0, len(genes), reason))
        columns = np.array([place[gene] for gene in part.var_names], dtype=np.int32)
        block = sparse.csr_matrix((part.X.data, columns[part.X.indices], part.X.indptr), shape=(part.n_obs, len(genes)))
        block.sort_indices()
        blocks.append(block)
        frames.append(part.obs)
    parts.clear()
    counts = sparse.vstack(blocks, format="csr", dtype=np.int32)
    blocks.clear()
    obs = _join_obs(frames)
    if rename is not None:
        counts, genes, row = rename_genes(counts, genes, rename)
        rows.append(row)
    atlas = AnnData(X=counts, obs=obs, var=pd.DataFrame(index=pd.Index(genes, dtype=object)))
    return atlas, report_table(rows)


def _join_obs(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Stack the cells' annotation; text becomes categories, numbers float64, malignant nullable boolean."""
    index = pd.Index(np.concatenate([frame.index.to_numpy(object) for frame in frames]), dtype=object)
    twice = first_duplicate(index.tolist())
    if twice is not None:
        raise InputError(f"cell {twice!r} occurs in two samples; cell names must be unique in an atlas")
    columns = list(dict.fromkeys(column for frame in frames for column in frame.columns))
    obs = pd.DataFrame(index=index)
    for column in columns:
        values = np.concatenate(
            [
                frame[column].to_numpy(object) if column in frame else np.full(len(frame), None, dtype=object)
                for frame in frames
            ]
        )
        series = pd.Series(values, index=index, dtype=object)
        if column == "malignant":
            obs[column] = pd.array([pd.NA if pd.isna(v) else bool(v) for v in values], dtype="boolean")
            continue
        present = series.dropna()
        if len(present) and all(isinstance(v, int | float | np.number) for v in present):
            obs[column] = series.astype(float)
        else:
            text = series.where(series.notna(), None).map(str, na_action="ignore")
            obs[column] = pd.Categorical(text, categories=sorted(set(text.dropna())))
    return obs
