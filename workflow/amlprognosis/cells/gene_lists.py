"""Genes of the cell cycle, as facts."""

from __future__ import annotations

# Tirosh 2016, doi:10.1126/science.aad0501 (table S5): genes of S and of G2/M phase, as used throughout the
# field. Each group of synonyms is one gene: the list's own symbol first, then the approved symbol of today.
_S = """MCM5 PCNA TYMS FEN1 MCM2 MCM4 RRM1 UNG GINS2 MCM6 CDCA7 DTL PRIM1 UHRF1 MLF1IP/CENPU HELLS RFC2
RPA2 NASP RAD51AP1 GMNN WDR76 SLBP CCNE2 UBR7 POLD3 MSH2 ATAD2 RAD51 RRM2 CDC45 CDC6 EXO1 TIPIN DSCC1 BLM
CASP8AP2 USP1 CLSPN POLA1 CHAF1B BRIP1 E2F8"""
_G2M = """HMGB2 CDK1 NUSAP1 UBE2C BIRC5 TPX2 TOP2A NDC80 CKS2 NUF2 CKS1B MKI67 TMPO CENPF TACC3
FAM64A/PIMREG SMC4 CCNB2 CKAP2L CKAP2 AURKB BUB1 KIF11 ANP32E TUBB4B GTSE1 KIF20B HJURP CDCA3 HN1/JPT1
CDC20 TTK CDC25C KIF2C RANGAP1 NCAPD2 DLGAP5 CDCA2 CDCA8 ECT2 KIF23 HMMR AURKA PSRC1 ANLN LBR CKAP5 CENPE
CTCF NEK2 G2E3 GAS2L3 CBX5 CENPA"""

S_PHASE: tuple[tuple[str, ...], ...] = tuple(tuple(gene.split("/")) for gene in _S.split())
G2M_PHASE: tuple[tuple[str, ...], ...] = tuple(tuple(gene.split("/")) for gene in _G2M.split())


def present(genes: tuple[tuple[str, ...], ...], names: set[str]) -> list[str]:
    """Return the genes that ``names`` holds, each under the first of its symbols found there."""
    found = (next((symbol for symbol in gene if symbol in names), None) for gene in genes)
    return [symbol for symbol in found if symbol is not None]
