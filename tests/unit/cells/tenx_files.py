"""Small 10x files for the tests of this folder."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np

HEAD = "%%MatrixMarket matrix coordinate integer general\n%made by a test\n"
COUNTS = np.array([[5, 0, 0], [1, 7, 0]])  # features x cells
FEATURES = "ENSG1\tA\tGene Expression\nENSG2\tB\tGene Expression\n"
BARCODES = "AAAC-1\nAAAG-1\nAAAT-1\n"


def mtx_text(counts: np.ndarray) -> str:
    rows, columns = np.nonzero(counts.T)[::-1]
    lines = [f"{r + 1} {c + 1} {counts[r, c]}" for r, c in zip(rows, columns, strict=True)]
    return HEAD + "\n".join([f"{counts.shape[0]} {counts.shape[1]} {len(lines)}", *lines]) + "\n"


def write_triple(
    folder: Path, prefix: str = "GSM1_s_", mtx: str | None = None, features: str = FEATURES, barcodes: str = BARCODES
) -> dict[str, Path]:
    folder.mkdir(parents=True, exist_ok=True)
    texts = {"matrix.mtx": mtx_text(COUNTS) if mtx is None else mtx, "features.tsv": features, "barcodes.tsv": barcodes}
    for name, text in texts.items():
        (folder / f"{prefix}{name}.gz").write_bytes(gzip.compress(text.encode(), mtime=0))
    kinds = {"mtx": "matrix.mtx", "features": "features.tsv", "barcodes": "barcodes.tsv"}
    return {kind: folder / f"{prefix}{name}.gz" for kind, name in kinds.items()}
