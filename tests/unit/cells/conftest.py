from __future__ import annotations

import gzip
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse


def _table_text(genes: Sequence[str], cells: Sequence[str], counts: np.ndarray) -> str:
    """Write counts (cells x genes) as the wide text table of a GEO supplement."""
    lines = ["\t".join(["Gene", *cells])]
    lines += ["\t".join([gene, *map(str, column)]) for gene, column in zip(genes, counts.T, strict=True)]
    return "\n".join(lines) + "\n"


@pytest.fixture
def table_text() -> Callable[..., str]:
    return _table_text


@pytest.fixture
def write_gz() -> Callable[[Path, str], Path]:
    def write(path: Path, text: str) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(text.encode()))
        return path

    return write


@pytest.fixture
def folder(tmp_path: Path, write_gz: Callable[[Path, str], Path]) -> Path:
    """Two samples with counts in GEO's layout, and one that has an annotation only."""
    root = tmp_path / "samples" / "GSM1nnn"
    write_gz(
        root / "GSM1001/suppl/GSM1001_P1-D0.dem.txt.gz",
        _table_text(["B", "A", "MT-X"], ["P1_a", "P1_b", "P1_c"], np.array([[1, 0, 2], [0, 3, 0], [10, 0, 0]])),
    )
    write_gz(
        root / "GSM1002/suppl/GSM1002_P1-D0.anno.txt.gz",
        "Cell\tPredictionRefined\tCellType\tScore_T\tNote\n"
        "P1_b\tmalignant\tHSC-like\t0.5\t\nP1_a\tnormal\tT\t0.1\tx\nP1_gone\tnormal\tT\t0.2\t\n",
    )
    write_gz(
        root / "GSM1003/suppl/GSM1003_BM1.dem.txt.gz",
        _table_text(["A", "C"], ["BM1_a"], np.array([[4, 5]])),
    )
    write_gz(
        root / "GSM1003/suppl/GSM1003_BM1.anno.txt.gz",
        "Cell\tPredictionRefined\tCellType\nBM1_a\tunclear\t\n",
    )
    write_gz(root / "GSM1005/suppl/GSM1005_BM4.anno.txt.gz", "Cell\tCellType\nBM4_a\tT\n")
    return tmp_path


@pytest.fixture(scope="session")
def synthetic() -> AnnData:
    """300 cells of three types in four samples; each type has 20 genes of its own."""
    rng = np.random.default_rng(7)
    n, n_genes = 300, 240
    kind = rng.integers(0, 3, n)
    rate = np.full((3, n_genes), 1.0)
    for k in range(3):
        rate[k, k * 20 : (k + 1) * 20] = 12.0
    counts = rng.poisson(rate[kind] * rng.lognormal(0.7, 0.2, n)[:, None])
    obs = pd.DataFrame(
        {
            "sample": np.array(["S1", "S2", "S3", "S4"])[rng.integers(0, 4, n)],
            "kind": np.array(["k0", "k1", "k2"])[kind],
        },
        index=[f"cell{i}" for i in range(n)],
    )
    var = pd.DataFrame(index=[f"G{i:03d}" for i in range(n_genes)])
    return AnnData(X=sparse.csr_matrix(counts.astype(np.int32)), obs=obs, var=var)


@pytest.fixture(scope="session")
def marker_sets() -> dict[str, list[str]]:
    return {f"k{k}": [f"G{i:03d}" for i in range(k * 20, (k + 1) * 20)] for k in range(3)}
