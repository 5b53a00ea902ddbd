"""Counts and annotation of the samples of an atlas, joined to one object.

Forms: count table and annotation as in GSE116256 (van Galen 2019, doi:10.1016/j.cell.2019.01.031), often under two GSM
numbers, joined by the sample's name; 10x matrices; other tables of genes x cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import sparse

from amlprognosis.cells.annotation import read_annotation
from amlprognosis.cells.discover import SampleFiles, patient_and_timepoint
from amlprognosis.cells.matrix import first_duplicate, read_count_table
from amlprognosis.cells.renaming import Rename, joined_ids, new_names, rename_columns
from amlprognosis.cells.reporting import report_row, report_table
from amlprognosis.cells.tenx import MANY_BARCODES, read_tenx
from amlprognosis.errors import InputError

if TYPE_CHECKING:
    from anndata import AnnData

GENE_ID = "gene_id"  # column of var: the source's own ids, where it has them


@dataclass(frozen=True)
class _Counts:
    """Counts of a sample in any form: unique names of genes and cells, and what was left out."""

    genes: list[str]
    cells: list[str]
    counts: sparse.csr_matrix
    ids: list[str] | None = None
    rows: list[dict[str, Any]] = field(default_factory=list)


def _read_counts(files: SampleFiles, min_counts: int) -> _Counts:
    if files.form != "10x":
        table = read_count_table(files.files[files.form], files.form)
        return _Counts(table.genes, table.cells, table.counts)
    tenx = read_tenx(files.files)
    rows = [
        report_row(files.sample, "load", "features", removed, len(tenx.genes), f"{kind}: no gene")
        for kind, removed in tenx.dropped.items()
    ]
    genes, repeated = unique_genes(tenx.genes, tenx.ids)
    if repeated:
        reason = f"{repeated} genes share their symbol with another; all but one bear their id in their name"
        rows.append(report_row(files.sample, "load", "genes", 0, len(genes), reason))
    counts, cells = tenx.counts, tenx.cells
    if files.raw or len(cells) > MANY_BARCODES:
        keep = np.asarray(counts.sum(axis=1)).ravel() >= min_counts
        counts = counts[np.flatnonzero(keep)]
        cells = [cell for cell, kept in zip(cells, keep, strict=True) if kept]
        reason = f"unfiltered matrix: barcodes with fewer than {min_counts} counts are empty droplets"
        rows.append(report_row(files.sample, "load", "cells", int((~keep).sum()), len(cells), reason))
        if not cells:
            raise InputError(
                f"sample {files.sample!r}: no barcode of its unfiltered matrix has {min_counts} counts; lower "
                "quality.min_counts, or use the filtered matrix"
            )
    return _Counts(genes, cells, counts, tenx.ids, rows)


def unique_genes(genes: Sequence[str], ids: Sequence[str]) -> tuple[list[str], int]:
    """Names of genes that are unique: of those with one symbol the first by id keeps it, the others get their id.

    Returns
    -------
    list of str
    int
        Number of genes that share their symbol.
    """
    owners: dict[str, list[str]] = {}
    for gene, gene_id in zip(genes, ids, strict=True):
        owners.setdefault(gene, []).append(gene_id)
    first = {gene: min(shared) for gene, shared in owners.items()}
    names = [g if first[g] == i else f"{g} ({i})" for g, i in zip(genes, ids, strict=True)]
    return names, sum(len(shared) for shared in owners.values() if len(shared) > 1)


def load_sample(files: SampleFiles, min_counts: int = 1) -> tuple[AnnData, list[dict[str, Any]]]:
    """Load one sample: counts and annotation, joined by cell.

    Parameters
    ----------
    files : SampleFiles
        From :func:`~amlprognosis.cells.discover.discover_samples`. Without annotation the cells stay unannotated.
    min_counts : int
        Fewest counts of a cell in an unfiltered 10x matrix; the barcodes below are left out while reading.

    Returns
    -------
    AnnData
        Cells x genes, ``X`` CSR int32 counts; ``obs``: sample, patient, timepoint, cell_type, malignant and
        ``source_*`` columns; ``var["gene_id"]`` where the source has ids. Cells of 10x matrices and tables bear the
        sample's name before their own.
    list of dict
        Report rows (see :func:`report_row`): cells read, annotated cells without counts (removed), cells
        without annotation (kept).

    Raises
    ------
    InputError
        No counts, an unreadable file, or an annotation that shares no cell with the table.
    """
    from anndata import AnnData

    if files.lacking:
        raise InputError(f"sample {files.sample!r}: {files.missing_matrix()}; retrieve it, or leave the sample out")
    table = _read_counts(files, min_counts)
    n, sample = len(table.cells), files.sample
    rows = [*table.rows, report_row(sample, "load", "cells", 0, n, f"counts read for {len(table.genes)} genes")]
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
                f"{files.files.get(files.form) or files.folder} (such as {table.cells[0]!r}); the two files do not "
                "belong together"
            )
        without_counts, without_type = len(anno) - len(both), n - len(both)
        if without_counts:
            reason = "annotated, but not in the count table"
            rows.append(report_row(sample, "annotate", "cells", without_counts, len(both), reason))
        if without_type:
            rows.append(report_row(sample, "annotate", "cells", 0, without_type, "kept without annotation"))
        obs = obs.join(anno.reindex(obs.index))
    if files.form != "dem":
        obs.index = pd.Index([f"{sample}_{cell}" for cell in table.cells], dtype=object)
    var = pd.DataFrame(index=pd.Index(table.genes, dtype=object))
    if table.ids is not None:
        var[GENE_ID] = pd.Series(table.ids, index=var.index, dtype=object)
    return AnnData(X=table.counts, obs=obs, var=var), rows


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
    lacking = [by_name[name] for name in chosen if by_name[name].lacking]
    if lacking:
        lines = "\n".join(f"  {files.sample}: {files.missing_matrix()}" for files in lacking)
        raise InputError(
            f"{len(lacking)} sample(s) of the atlas have no counts; retrieve the files, or name the samples "
            f"to use without them:\n{lines}"
        )
    return [by_name[name] for name in sorted(chosen)]


def load_atlas(
    samples: Sequence[SampleFiles],
    wanted: Sequence[str] | None = None,
    *,
    rename: Rename | None = None,
    min_counts: int = 1,
) -> tuple[AnnData, pd.DataFrame]:
    """Load the samples of an atlas into one object over the union of their genes.

    Parameters
    ----------
    samples : sequence of SampleFiles
        From :func:`~amlprognosis.cells.discover.discover_samples`.
    wanted : sequence of str, optional
        Sample names to load; None asks for every one. What is not asked for is reported as skipped.
    rename : callable or mapping, optional
        Gene names to approved ones, see :func:`~amlprognosis.cells.renaming.new_names`.
    min_counts : int
        See :func:`load_sample`.

    Returns
    -------
    AnnData
        Cells x genes (sorted by name), samples in sorted order. ``X`` CSR int32 counts; a gene absent from a
        sample's table counts 0 there (and is reported). ``obs`` as in :func:`load_sample`, text as
        categories. ``var["gene_id"]`` where a source has ids; several are joined by ``;``.
    DataFrame
        Report: sample, step, item, removed, kept, reason.

    Raises
    ------
    InputError
        An unknown sample, a sample asked for without counts, cells of the same name in two samples, or
        any fault of a file.
    """
    from anndata import AnnData

    chosen = _choose(samples, wanted)
    names = {files.sample for files in chosen}
    rows: list[dict[str, Any]] = []
    for files in sorted(samples, key=lambda f: f.sample):
        if files.sample not in names:
            why = "not asked for" + (f"; {files.missing_matrix(relative=True)}" if files.lacking else "")
            rows.append(report_row(files.sample, "skip", "samples", 1, 0, why))
    parts = []
    for files in chosen:
        part, said = load_sample(files, min_counts)
        parts.append(part)
        rows.extend(said)
    genes = sorted(set().union(*(part.var_names for part in parts)))
    ids = _ids_of(parts)
    place = {gene: i for i, gene in enumerate(genes)}
    blocks, frames = [], []
    while parts:
        part = parts.pop(0)  # let go of each sample once it is in the union
        absent = len(genes) - part.n_vars
        if absent:
            reason = f"{absent} genes of the other samples are not in this table and count 0"
            rows.append(report_row(str(part.obs["sample"].iloc[0]), "gene union", "genes", 0, len(genes), reason))
        columns = np.array([place[gene] for gene in part.var_names], dtype=np.int32)
        block = sparse.csr_matrix((part.X.data, columns[part.X.indices], part.X.indptr), shape=(part.n_obs, len(genes)))
        block.sort_indices()
        blocks.append(block)
        frames.append(part.obs)
    counts = sparse.vstack(blocks, format="csr", dtype=np.int32)
    blocks.clear()
    obs = _join_obs(frames)
    if rename is not None:
        renamed, told = new_names(genes, rename)
        ids = joined_ids(genes, renamed, ids)
        counts, genes, row = rename_columns(counts, genes, renamed, told)
        rows.append(row)
    var = pd.DataFrame(index=pd.Index(genes, dtype=object))
    if ids:
        var[GENE_ID] = [ids.get(gene, "") for gene in genes]
    return AnnData(X=counts, obs=obs, var=var), report_table(rows)


def _ids_of(parts: Sequence[AnnData]) -> dict[str, str]:
    """Ids of each gene over the samples; empty where no sample has ids."""
    found: dict[str, set[str]] = {}
    for part in parts:
        if GENE_ID in part.var:
            for gene, gene_id in part.var[GENE_ID].items():
                found.setdefault(str(gene), set()).add(str(gene_id))
    return {gene: ";".join(sorted(ids)) for gene, ids in found.items()}


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
