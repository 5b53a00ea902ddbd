"""Mutations of a cohort as a MAF table."""

from __future__ import annotations

import numpy as np
import pandas as pd

from amlprognosis.demo.facts import Facts

COLUMNS = [
    "Hugo_Symbol",
    "Entrez_Gene_Id",
    "Center",
    "NCBI_Build",
    "Chromosome",
    "Start_Position",
    "End_Position",
    "Strand",
    "Variant_Classification",
    "Variant_Type",
    "Reference_Allele",
    "Tumor_Seq_Allele1",
    "Tumor_Seq_Allele2",
    "Tumor_Sample_Barcode",
    "HGVSp_Short",
    "t_depth",
    "t_ref_count",
    "t_alt_count",
]
# Genes that are often hit by chance because they are long; they drive nothing.
_PASSENGERS = ("TTN", "MUC16", "OBSCN", "RYR2", "CSMD1", "DNAH9", "PCLO", "USH2A")
_TYPES = {"Frame_Shift_Ins": "INS", "In_Frame_Ins": "INS"}


def maf_text(facts: Facts, mutations: pd.DataFrame, barcodes: list[str], rng: np.random.Generator) -> str:
    """MAF with drivers, passengers and some silent variants.

    Parameters
    ----------
    mutations : DataFrame (patients, mutation names), bool
        ``FLT3-ITD`` becomes an in-frame insertion in FLT3, ``FLT3-TKD`` a missense variant at D835.
    barcodes : list of str
        Tumour sample barcode per patient.
    """
    lines = ["#version gdc-1.0.0", "\t".join(COLUMNS)]
    variants = facts.aml["variants"]
    for row, barcode in enumerate(barcodes):
        found = [
            (n.split("-")[0], variants[n])
            for n in mutations.columns
            if mutations.iat[row, mutations.columns.get_loc(n)]
        ]
        entries = [(gene, v["chromosome"], v["effect"], v["change"], rng.normal(0.40, 0.08)) for gene, v in found]
        for gene in rng.choice(_PASSENGERS, size=rng.integers(0, 3), replace=False):
            entries.append(
                (str(gene), "chr1", "Missense_Mutation", f"p.A{rng.integers(50, 3000)}T", rng.normal(0.3, 0.1))
            )
        if rng.random() < 0.25:
            gene = ("TET2", "ASXL1", "RUNX1", "TP53")[rng.integers(4)]
            entries.append((gene, variants[gene]["chromosome"], "Silent", f"p.P{rng.integers(20, 300)}=", 0.48))
        for gene, chromosome, effect, change, fraction in entries:
            depth = int(rng.integers(60, 400))
            alternate = round(depth * min(max(fraction, 0.05), 0.95))
            kind = _TYPES.get(effect, "SNP")
            start = int(rng.integers(1_000_000, 50_000_000))
            alleles = ("-", "-", "ACGT") if kind == "INS" else ("C", "C", "T")
            end = start + 1 if kind == "INS" else start
            lines.append(
                f"{gene}\t0\tdemo\tGRCh38\t{chromosome}\t{start}\t{end}\t+\t{effect}\t{kind}\t{alleles[0]}\t{alleles[1]}"
                f"\t{alleles[2]}\t{barcode}\t{change}\t{depth}\t{depth - alternate}\t{alternate}"
            )
    return "\n".join(lines) + "\n"
