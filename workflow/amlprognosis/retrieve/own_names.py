"""Names in the user's own tables: whether they name what the study says, and the same in every table."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from amlprognosis.cohort import shown, step
from amlprognosis.errors import InputError
from amlprognosis.normalize.gene_table import gene_table

_KINDS = {
    "ensembl": (re.compile(r"ENS[A-Z]*G[0-9]{6,}(\.[0-9]+)?(_PAR_Y)?"), "Ensembl ids"),
    "entrez": (re.compile(r"[0-9]+(\.0)?"), "numbers, as NCBI Gene (Entrez) ids are"),
    "refseq": (re.compile(r"[NX][MR]_[0-9]+(\.[0-9]+)?"), "RefSeq ids"),
    "probe": (re.compile(r".+_at|ILMN_[0-9]+|A_[0-9]{2}_P[0-9]+"), "probes of an array"),
}
_TRANSCRIPT = re.compile(r"ENS[A-Z]*T[0-9]{6,}(\.[0-9]+)?")
_ENOUGH = 0.5


def _share(kind: str, names: Sequence[str]) -> float:
    """Share of names that look like gene ids of a kind."""
    if kind == "symbol":
        table = gene_table()
        hits = sum(name in table.symbols or name in table.retired or name in table.ambiguous for name in names)
    else:
        hits = sum(bool(_KINDS[kind][0].fullmatch(name)) for name in names)
    return hits / len(names) if names else 0.0


def check_axes(samples: Sequence[str], genes: Sequence[str], clinical: Collection[str], place: str, key: str) -> None:
    """Refuse a matrix whose samples stand where its genes should be.

    Parameters
    ----------
    samples, genes : sequence of str
        As the study's orientation says.
    clinical : collection of str
        Names in the clinical table.
    place, key : str
        The file, and the key of the source.

    Raises
    ------
    InputError
        The clinical table names the genes and no sample, or the names of samples are those of genes and the others are
        not.
    """
    remedy = "no transposed h5ad: observations are samples" if place.endswith(".h5ad") else f"turn {key}.orientation"
    known = set(clinical)
    if not known.isdisjoint(samples):
        return  # the clinical table knows them: short names of patients (P38) may well be aliases of genes
    if not known.isdisjoint(genes):
        hits = [name for name in genes if name in known]
        raise InputError(
            f"{place}: its genes are called {shown(hits, 3)}, as patients of the clinical table are, and its samples "
            f"{shown(samples, 3)}: {remedy}"
        )
    for kind in ("symbol", "ensembl", "refseq"):
        if _share(kind, samples) >= _ENOUGH > _share(kind, genes):
            raise InputError(
                f"{place}: {len(samples)} samples that are called like genes ({shown(samples, 3)}) and {len(genes)} "
                f"genes that are not ({shown(genes, 3)}): {remedy}"
            )


def check_gene_ids(genes: Sequence[str], declared: str, place: str, key: str) -> None:
    """Refuse ids of another kind than the study says.

    Parameters
    ----------
    genes : sequence of str
        Names of genes.
    declared : str
        ``gene_ids`` of the source; probes may have any name.

    Raises
    ------
    InputError
        Half of the names or more look like another kind, and fewer like this one.
    """
    if declared == "probe":
        return
    own = _share(declared, genes)
    for kind, (_, words) in _KINDS.items():
        share = _share(kind, genes) if kind != declared else 0.0
        if share >= _ENOUGH and share > own:
            raise InputError(
                f"{place}: {share:.0%} of the gene names ({shown(genes, 3)}) look like {words}; set {key}.gene_ids: "
                f"{kind}"
            )
    transcripts = sum(bool(_TRANSCRIPT.fullmatch(name)) for name in genes)
    if transcripts >= _ENOUGH * len(genes):
        raise InputError(f"{place}: its genes are transcripts ({shown(genes, 3)}); sum them up to genes (tximport)")


def alike(name: str) -> str:
    """A name without what programs change in it: R's make.names turns TCGA-AB-2803 into TCGA.AB.2803, 7A into X7A."""
    text = re.sub(r"[\s._-]+", "-", name.strip().casefold())
    return re.sub(r"^x(?=[0-9])", "", text)


def same_names(
    found: Iterable[str], known: Iterable[str], place: str, what: str
) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """Names that differ from known ones in case, blanks, ``.``, ``-``, ``_`` or R's leading X alone.

    Parameters
    ----------
    found : iterable of str
        Names of a table.
    known : iterable of str
        Names of the clinical table.
    place, what : str
        The table, and what it names, for messages.

    Returns
    -------
    names : dict
        Known name by the name found, for those that are not the same already.
    steps : list of dict
        A step of the preprocessing report that counts them and shows some.

    Raises
    ------
    InputError
        Such a name could be two known ones, or two names one known one.
    """
    found, known = set(found), set(known)
    owners: dict[str, list[str]] = defaultdict(list)
    for name in sorted(known):
        owners[alike(name)].append(name)
    rivals: dict[str, list[str]] = defaultdict(list)
    for name in sorted(found):
        rivals[alike(name)].append(name)
    names: dict[str, str] = {}
    for name in sorted(found - known):
        candidates = owners.get(alike(name), [])
        if not candidates:
            continue
        if len(candidates) > 1 or len(rivals[alike(name)]) > 1:
            raise InputError(
                f"{place}: {what} {shown(rivals[alike(name)])} and {shown(candidates)} of the clinical table differ "
                "only in case, blanks or separators; which is which cannot be told: write them alike in both tables"
            )
        names[name] = candidates[0]
    if not names:
        return {}, []
    examples = shown([f"{name} is {other}" for name, other in names.items()], 3)
    return names, [
        step("names of own tables", f"{len(names)} {what} differ only in case, blanks or separators: {examples}")
    ]
