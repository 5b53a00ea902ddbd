"""Which models the report speaks of; known from the study alone, without drawing anything."""

from __future__ import annotations

from amlprognosis.study import BEST_OF_GRID, Study
from amlprognosis.study.names import comparators_among

# Comparators that are no published signature.
CLINICAL = ("age", "age_sex", "eln", "age_eln", "clinical", "clinical_mutations")
COMBINED = "clinical_gene_index"


def main_model(study: Study) -> str:
    """The model that the report speaks about first: the gene index when it runs."""
    return "gene_index" if "gene_index" in study.models.run else study.models.run[0]


def reported_models(study: Study) -> list[str]:
    """Models whose curves are drawn: the report's models that run, in the order of the report."""
    chosen: list[str] = [model for model in study.evaluation.report_models if model in study.models.run]
    return [*(chosen or [study.models.run[0]]), *([BEST_OF_GRID] if study.nests_grid else [])]


def decision_models(study: Study) -> list[str]:
    """Models whose decision curves are drawn: the reported ones and the clinical ones they must beat."""
    wanted = [main_model(study), *study.evaluation.report_models, COMBINED, "clinical", "age_eln"]
    ran = [model for model in dict.fromkeys(wanted) if model in study.models.run]
    return [*ran, *([BEST_OF_GRID] if study.nests_grid else [])]


def clinical_rivals(study: Study) -> list[str]:
    """The clinical comparators to beat: age + risk group and the clinical model, or what the study runs instead."""
    ran: list[str] = [name for name in ("age_eln", "clinical") if name in study.models.run]
    others = ("clinical_mutations", "eln", "age_sex", "age")
    return ran or [name for name in others if name in study.models.run][:2]


def published(study: Study) -> list[str]:
    """Published signatures among the comparators of the study."""
    return [name for name in comparators_among(study.models.run) if name not in CLINICAL]
