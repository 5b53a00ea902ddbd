"""The atlas as GEO's GSE116256 is laid out: a .dem and an .anno file per sample."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from amlprognosis.demo.cells import Sample
from amlprognosis.demo.files import write_gzip
from amlprognosis.demo.write_geo import folder

SERIES = "GSE999002"


def _matrix(genes: list[str], sample: Sample) -> bytes:
    """Tab-separated counts as bytes; almost all are one digit, which numpy turns into text at once."""
    cells = sample.counts.shape[1]
    parts = ["\t".join(["Gene", *sample.annotation["Cell"]]).encode()]
    line = np.full(2 * cells, ord("\t"), dtype=np.uint8)
    highest = sample.counts.max(axis=1)
    for gene, row, top in zip(genes, sample.counts, highest, strict=True):
        if top < 10:
            line[1::2] = row + ord("0")
            parts.append(gene.encode() + line.tobytes())
        else:
            parts.append((gene + "\t" + "\t".join(map(str, row.tolist()))).encode())
    return b"\n".join(parts) + b"\n"


def write_atlas(directory: Path, genes: list[str], samples: list[Sample]) -> dict[str, Any]:
    """Write both files of each sample, and the series matrix that lists them (without a data table).

    Parameters
    ----------
    directory : Path
        Root of a GEO mirror.
    genes : list of str
        Row names of every sample's counts.
    """
    titles, accessions = [], []
    links: dict[str, list[str]] = {"dem": [], "anno": []}
    for sample in samples:
        others = f"GSM{int(sample.accession[3:]) + 1}"
        for kind, accession in (("dem", sample.accession), ("anno", others)):
            base = directory / "samples" / folder(accession) / "suppl" / f"{accession}_{sample.name}.{kind}.txt.gz"
            if kind == "dem":
                write_gzip(base, _matrix(genes, sample), level=4)
            else:
                write_gzip(base, sample.annotation.to_csv(sep="\t", index=False, lineterminator="\n"))
            titles.append(f"{sample.name} {'counts' if kind == 'dem' else 'annotation'}")
            accessions.append(accession)
            links[kind].append(base.name)
    every = [
        f"ftp://ftp.ncbi.nlm.nih.gov/geo/samples/{folder(a)}/suppl/{a}_{t.split()[0]}."
        f"{'dem' if t.endswith('counts') else 'anno'}.txt.gz"
        for a, t in zip(accessions, titles, strict=True)
    ]
    lines = [
        '!Series_title\t"Demo single-cell atlas of AML and normal marrow (simulated)"',
        f'!Series_geo_accession\t"{SERIES}"',
        '!Series_summary\t"Simulated by amlprognosis; not measured in any patient."',
        '!Series_type\t"Expression profiling by high throughput sequencing"',
        f'!Series_sample_id\t"{" ".join(accessions)} "',
        "",
    ]
    for key, values in (
        ("!Sample_title", titles),
        ("!Sample_geo_accession", accessions),
        ("!Sample_data_row_count", ["0"] * len(accessions)),
        ("!Sample_supplementary_file_1", every),
    ):
        lines.append(key + "\t" + "\t".join(f'"{v}"' for v in values))
    header = "\t".join(['"ID_REF"', *(f'"{a}"' for a in accessions)])
    lines += ["!series_matrix_table_begin", header, "!series_matrix_table_end"]
    path = directory / "series" / folder(SERIES) / "matrix" / f"{SERIES}_series_matrix.txt.gz"
    write_gzip(path, "\n".join(lines) + "\n")
    return {
        "samples": [s.name for s in samples],
        "cells": int(sum(s.counts.shape[1] for s in samples)),
        "genes": len(genes),
        "doublets": int(sum(s.doublets.sum() for s in samples)),
        "poor_cells": int(sum(s.poor.sum() for s in samples)),
    }
