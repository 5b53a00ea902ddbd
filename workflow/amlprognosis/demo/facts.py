"""Read the frozen facts (resources/) that the simulator uses."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from amlprognosis.errors import InputError

GROUPS = ("favourable", "intermediate", "adverse")


def resources_directory() -> Path:
    """Folder ``resources/`` of the repository that holds this library.

    Raises
    ------
    InputError
        The library was installed without its repository.
    """
    folder = Path(__file__).resolve().parents[3] / "resources"
    if not (folder / "demo" / "aml_facts.yaml").is_file():
        raise InputError(f"{folder}: no resources/demo/aml_facts.yaml; run the demo from a clone of the repository")
    return folder


def read_sets(path: Path) -> dict[str, list[str]]:
    """Gene sets of a GMT file, in file order."""
    sets = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        name, _source, *genes = line.split("\t")
        sets[name] = genes
    return sets


@dataclass(frozen=True)
class Facts:
    """Everything the simulator takes from resources/.

    Attributes
    ----------
    aml : dict
        Parsed ``demo/aml_facts.yaml``.
    genes : DataFrame
        symbol, ensembl, chromosome; a row per gene, sorted by symbol.
    death_sets, cell_types : dict of str to list of str
        Programmed-cell-death sets and cell-type markers.
    lsc17 : dict of str to float
        Weights of the 17-gene stemness score (Ng 2016, doi:10.1038/nature20598).
    """

    aml: dict[str, Any]
    genes: pd.DataFrame
    death_sets: dict[str, list[str]]
    cell_types: dict[str, list[str]]
    lsc17: dict[str, float]


@lru_cache(maxsize=1)
def load_facts() -> Facts:
    """Read all facts once."""
    folder = resources_directory()
    genes = pd.read_csv(folder / "demo" / "genes.tsv.gz", sep="\t", keep_default_na=False)
    lsc17 = pd.read_csv(folder / "signatures" / "lsc17.tsv", sep="\t", comment="#")
    return Facts(
        aml=yaml.safe_load((folder / "demo" / "aml_facts.yaml").read_text(encoding="utf-8")),
        genes=genes,
        death_sets=read_sets(folder / "genesets" / "programmed_cell_death.gmt"),
        cell_types=read_sets(folder / "genesets" / "cell_types.gmt"),
        lsc17=dict(zip(lsc17["gene"], lsc17["weight"], strict=True)),
    )
