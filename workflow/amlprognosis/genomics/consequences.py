"""Effects of variants as services name them: Sequence Ontology terms of VEP, or classes of the MAF specification."""

from __future__ import annotations

import re

from amlprognosis.genomics.maf import NON_SILENT, SILENT

# Consequence terms of Ensembl VEP (https://www.ensembl.org/info/genome/variation/prediction/predicted_data.html) and
# the class of the MAF specification that vcf2maf gives them; the rank of a term among several is its place here.
TERMS: dict[str, str] = {
    "transcript_ablation": "Splice_Site",
    "exon_loss_variant": "Splice_Site",
    "splice_acceptor_variant": "Splice_Site",
    "splice_donor_variant": "Splice_Site",
    "stop_gained": "Nonsense_Mutation",
    "frameshift_variant": "Frame_Shift_Del",
    "stop_lost": "Nonstop_Mutation",
    "start_lost": "Translation_Start_Site",
    "initiator_codon_variant": "Translation_Start_Site",
    "disruptive_inframe_insertion": "In_Frame_Ins",
    "conservative_inframe_insertion": "In_Frame_Ins",
    "inframe_insertion": "In_Frame_Ins",
    "disruptive_inframe_deletion": "In_Frame_Del",
    "conservative_inframe_deletion": "In_Frame_Del",
    "inframe_deletion": "In_Frame_Del",
    "protein_altering_variant": "Missense_Mutation",
    "missense_variant": "Missense_Mutation",
    "conservative_missense_variant": "Missense_Mutation",
    "rare_amino_acid_variant": "Missense_Mutation",
    "coding_sequence_variant": "Missense_Mutation",
    "splice_donor_5th_base_variant": "Splice_Region",
    "splice_donor_region_variant": "Splice_Region",
    "splice_polypyrimidine_tract_variant": "Splice_Region",
    "splice_region_variant": "Splice_Region",
    "incomplete_terminal_codon_variant": "Silent",
    "start_retained_variant": "Silent",
    "stop_retained_variant": "Silent",
    "synonymous_variant": "Silent",
    "coding_transcript_variant": "Silent",
    "mature_mirna_variant": "RNA",
    "5_prime_utr_variant": "5'UTR",
    "5_prime_utr_premature_start_codon_gain_variant": "5'UTR",
    "3_prime_utr_variant": "3'UTR",
    "non_coding_transcript_exon_variant": "RNA",
    "non_coding_exon_variant": "RNA",
    "nc_transcript_variant": "RNA",
    "intron_variant": "Intron",
    "intragenic_variant": "Intron",
    "nmd_transcript_variant": "Silent",
    "non_coding_transcript_variant": "RNA",
    "transcript_amplification": "Intron",
    "upstream_gene_variant": "5'Flank",
    "downstream_gene_variant": "3'Flank",
    "tfbs_ablation": "IGR",
    "tfbs_amplification": "IGR",
    "tf_binding_site_variant": "IGR",
    "regulatory_region_ablation": "IGR",
    "regulatory_region_amplification": "IGR",
    "regulatory_region_variant": "IGR",
    "feature_elongation": "IGR",
    "feature_truncation": "IGR",
    "sequence_variant": "IGR",
    "intergenic_variant": "IGR",
    "intergenic_region": "IGR",
}
_RANK = {term: rank for rank, term in enumerate(TERMS)}
_CLASSES = {name.lower(): name for name in NON_SILENT | SILENT}


def variant_class(effect: str) -> str | None:
    """Class of the MAF specification for an effect.

    Parameters
    ----------
    effect : str
        One or several VEP terms (joined by ``;``, ``&`` or ``,``), of which the most severe counts, or a class of the
        MAF specification, in upper or lower case.

    Returns
    -------
    str or None
        None for a text that is neither. Small insertions and deletions that shift the frame share one class here:
        which of the two it is does not change whether a gene is mutated.
    """
    text = effect.strip()
    if text.lower() in _CLASSES:
        return _CLASSES[text.lower()]
    terms = [term.strip().lower() for term in re.split(r"[;&,]", text)]
    if not all(term in TERMS for term in terms):
        return None
    return TERMS[min(terms, key=_RANK.__getitem__)]
