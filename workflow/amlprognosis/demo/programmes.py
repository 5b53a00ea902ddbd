"""Planted programmes: which genes move together, and which of them carry hazard.

The names are real genes of the programmed-cell-death sets and of published stemness signatures.
Their signs and weights are planted: they say nothing about the real genes' effect in patients.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from amlprognosis.demo.facts import Facts

# + harmful, - protective; from ferroptosis, cuproptosis, necroptosis, pyroptosis, disulfidptosis and others.
_HAZARD = {
    "+": "SLC7A11 AIFM2 CISD1 CHAC1 SQLE PGD SLC31A1 ATP7B MLKL TNFRSF1B GSDMD LGALS1 NCKAP1",
    "-": "FDX1 LIAS DLAT ZBP1 CASP8 GSDME KEAP1 DAPK1 ACSL4",
}
_DECOYS = {
    "decoy_inflammation": {
        "+": "NLRP3 CASP1 TNF IL6 IL1A IL18 PYCARD NLRC4 AIM2 GBP1 GBP2 GBP5 IRF1 TLR2 TLR4 CXCL8 NOD2 PTAFR "
        "CXCR2 FPR1",
        "-": "PLCG1 DPP9",
    },
    "decoy_proliferation": {
        "+": "AURKA_ UHRF1 CDK4 E2F1 SKP2 HMGB1 FH MDH2 IDI1 FDFT1 HMGCR RPN1 NDUFS1 GYS1 PDHA1 PARP1 XRCC1 TIMELESS "
        "RRAGC DHFR LSS SREBF2",
        "-": "SESN1 FOXO3 TXNIP",
    },
    "decoy_autophagy": {
        "+": "ULK1 ATG13 ATG2A ATG9A ATG14 WIPI1 WIPI2 SQSTM1 NBR1 OPTN TFEB TFE3 MCOLN1 PLEKHM1 VPS39 SESN2 "
        "TP53INP1 LAMTOR1 RRAGD",
        "-": "MTOR RPTOR AKT1S1",
    },
}
_STEMNESS = {
    "+": "CD34 DNMT3B NYNRIN LAPTM4B MMRN1 DPYSL3 FAM30A SOCS2 EMP1 BEX3 ADGRG1 MECOM MEIS1 HLF MSI2 ERG SPINK2 "
    "PBX3 BAALC",
    "-": "ZBTB46 ARHGAP22 CPXM1 CD38",
}


@dataclass(frozen=True)
class Programme:
    """A group of genes driven by one latent factor.

    Attributes
    ----------
    name : str
    genes : tuple of str
    signs : ndarray of {-1, 1}
        Direction in which each gene follows the factor.
    weights : ndarray, > 0
        Share of each gene in the programme's score.
    hazard : bool
        Whether survival depends on the programme.
    """

    name: str
    genes: tuple[str, ...]
    signs: np.ndarray
    weights: np.ndarray
    hazard: bool


def _programme(name: str, text: dict[str, str], hazard: bool) -> Programme:
    pairs = [
        (gene, 1.0 if sign == "+" else -1.0) for sign in "+-" for gene in text[sign].split() if not gene.endswith("_")
    ]
    genes, signs = zip(*sorted(pairs), strict=True)
    # Unequal weights, the same in every world, so that the truth does not depend on the seed.
    weights = 0.6 + 0.8 * ((np.arange(len(genes)) * 7) % len(genes)) / (len(genes) - 1)
    return Programme(name, genes, np.array(signs), weights, hazard)


def programmes() -> list[Programme]:
    """Return the planted programmes; the first one carries hazard, the last is the stemness axis."""
    return [
        _programme("hazard", _HAZARD, True),
        *(_programme(name, text, False) for name, text in _DECOYS.items()),
        _programme("stemness", _STEMNESS, True),
    ]


SEX_GENES = {"female": ("XIST",), "male": ("RPS4Y1", "DDX3Y", "KDM5D", "UTY", "EIF1AY", "USP9Y", "ZFY")}
CYCLE_GENES = tuple(
    [
        "MKI67",
        "TOP2A",
        "CDK1",
        "CCNB1",
        "CCNB2",
        "CCNA2",
        "PCNA",
        "MCM2",
        "MCM3",
        "MCM4",
        "MCM5",
        "MCM6",
        "MCM7",
        "TYMS",
        "RRM2",
        "BIRC5",
        "AURKA",
        "AURKB",
        "BUB1",
        "BUB1B",
        "PLK1",
        "CENPA",
        "CENPE",
        "CENPF",
        "TPX2",
        "UBE2C",
        "KIF11",
        "KIF23",
        "NUSAP1",
        "HMGB2",
        "CDC20",
        "FEN1",
        "GINS2",
        "UNG",
        "SLBP",
        "E2F8",
        "BLM",
        "RRM1",
        "GMNN",
    ]
)


def choose_genes(facts: Facts, number: int, rng: np.random.Generator) -> list[str]:
    """Choose the genes of a world, the most needed first, and return them sorted.

    Parameters
    ----------
    facts : Facts
    number : int
        How many; all that are known if fewer are known.
    rng : Generator
        Chooses among the genes that no resource names.
    """
    from_markers = sorted({g for genes in facts.cell_types.values() for g in genes})
    from_death = sorted({g for genes in facts.death_sets.values() for g in genes})
    drivers = sorted({name.split("-")[0] for name in facts.aml["variants"]})
    known = list(facts.genes["symbol"])
    others = rng.permutation(known).tolist()
    wanted = [g for p in programmes() for g in p.genes]
    wanted += [g for genes in SEX_GENES.values() for g in genes] + sorted(facts.lsc17) + drivers
    wanted += from_markers + list(CYCLE_GENES) + from_death + others
    present = set(known)
    chosen = list(dict.fromkeys(g for g in wanted if g in present))[:number]
    return sorted(chosen)
