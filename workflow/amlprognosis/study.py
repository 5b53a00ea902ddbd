"""The study: one YAML file, every key declared here once.

The models below are the only description of the configuration: ``config/schema.json`` and the key table of
``config/README.md`` are generated from them (``amlprognosis.study_docs``), and a test fails when they drift.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from amlprognosis import __version__
from amlprognosis.errors import InputError

DAYS_PER_YEAR = 365.25
DAYS_PER_MONTH = DAYS_PER_YEAR / 12

ModelName = Literal[
    "gene_index",
    "random_survival_forest",
    "xgboost_cox",
    "random_forest_5y",
    "xgboost_5y",
    "age",
    "age_sex",
    "eln",
    "clinical",
    "clinical_mutations",
    "lsc17",
]
GROUPS: dict[str, tuple[ModelName, ...]] = {
    "linear": ("gene_index", "age", "age_sex", "eln", "clinical", "clinical_mutations", "lsc17"),
    "forests": ("random_survival_forest", "random_forest_5y"),
    "boosting": ("xgboost_cox", "xgboost_5y"),
}
COMPARATORS = ("age", "age_sex", "eln", "clinical", "clinical_mutations", "lsc17")
MODEL_LABELS = {
    "gene_index": "Gene index (lasso Cox)",
    "random_survival_forest": "Random survival forest",
    "xgboost_cox": "XGBoost Cox",
    "random_forest_5y": "Random forest, 5 years",
    "xgboost_5y": "XGBoost, 5 years",
    "age": "Age",
    "age_sex": "Age + sex",
    "eln": "Risk group",
    "clinical": "Clinical Cox",
    "clinical_mutations": "Clinical + mutations Cox",
    "lsc17": "LSC17 (published weights)",
}

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]


def horizon_days(years: float) -> float:
    """Days in a horizon given in years of 365.25 days."""
    return float(years) * DAYS_PER_YEAR


def horizon_suffix(years: float) -> str:
    """Suffix of the columns of a horizon, ``5y`` for five years."""
    return f"{years:g}y"


class Section(BaseModel):
    """A section of the study; keys that it does not know are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


class TimeColumn(Section):
    """Where a duration is found."""

    column: str = Field(description="Column (or GEO characteristics key) that holds the time.")
    unit: Literal["days", "months", "years"] = Field(description="Unit of the column.")


class EventColumn(Section):
    """Where death is found."""

    column: str = Field(description="Column that holds the event.")
    dead: list[str] = Field(default=["1"], description="Values that mean death; compared as text, 1.0 equals 1.")
    alive: list[str] = Field(default=["0"], description="Values that mean alive at last follow-up.")

    @model_validator(mode="after")
    def _disjoint(self) -> EventColumn:
        both = sorted(set(self.dead) & set(self.alive))
        if both:
            raise ValueError(f"{both} cannot mean both dead and alive")
        return self


class AgeColumn(Section):
    """Where age at diagnosis is found."""

    column: str = Field(description="Column that holds age at diagnosis.")
    unit: Literal["years", "days"] = Field(default="years", description="Unit of the column.")


class SexColumn(Section):
    """Where sex is found."""

    column: str = Field(description="Column that holds sex.")
    female: list[str] = Field(default=["female", "Female", "F", "f"], description="Values that mean female.")
    male: list[str] = Field(default=["male", "Male", "M", "m"], description="Values that mean male.")


class RiskColumn(Section):
    """Where the risk group at diagnosis is found."""

    column: str = Field(description="Column that holds the risk group.")
    system: str = Field(default="ELN", description="What the labels are, as shown in the report (ELN 2017, ...).")
    favourable: list[str] = Field(default=["Favorable", "favorable"], description="Labels of favourable risk.")
    intermediate: list[str] = Field(default=["Intermediate", "intermediate"], description="Labels between.")
    adverse: list[str] = Field(default=["Adverse", "adverse"], description="Labels of adverse risk.")


class NumericColumn(Section):
    """A further measured quantity."""

    column: str = Field(description="Column that holds the value.")
    log10: bool = Field(default=False, description="Use log10(1 + value), for counts such as WBC.")


class Exclusion(Section):
    """Patients to leave out, by the value of a column; each is counted and listed."""

    column: str = Field(description="Column looked at.")
    values: list[str] = Field(description="Values that exclude a patient.")
    reason: str = Field(description="Reason shown in the flow diagram.")


class Clinical(Section):
    """How the clinical columns of a cohort are called."""

    os_time: TimeColumn = Field(description="Overall survival or follow-up time.")
    os_event: EventColumn = Field(description="Death or censoring.")
    age: AgeColumn | None = Field(default=None, description="Age at diagnosis.")
    sex: SexColumn | None = Field(default=None, description="Sex.")
    risk: RiskColumn | None = Field(default=None, description="ELN or cytogenetic risk group.")
    numeric: dict[Name, NumericColumn] = Field(default={}, description="Further numeric columns by their new name.")
    exclude: list[Exclusion] = Field(default=[], description="Patients to leave out, with the reason.")
    missing_values: list[str] = Field(
        default=[
            "",
            "NA",
            "N.A.",
            "N.D.",
            "n.d.",
            "--",
            "'--",
            "not reported",
            "Not Reported",
            "unknown",
            "Unknown",
        ],
        description="Texts that mean a missing value in any column.",
    )

    @model_validator(mode="after")
    def _outcome_is_no_feature(self) -> Clinical:
        mapped = {"os_event": self.os_event.column}
        mapped |= {key: part.column for key in ("age", "sex", "risk") if (part := getattr(self, key)) is not None}
        mapped |= {f"numeric.{name}": part.column for name, part in self.numeric.items()}
        for outcome, column in (("os_time", self.os_time.column), ("os_event", self.os_event.column)):
            twice = [key for key in mapped if mapped[key] == column and key != outcome]
            if twice:
                raise ValueError(f"column {column!r} is {outcome} and {', '.join(twice)}; it can be one of them only")
        for name in self.numeric:
            if name in {"os_time", "os_event", "age", "sex", "risk"}:
                raise ValueError(f"numeric.{name}: this name is taken; choose another")
        return self


class TablesSource(Section):
    """The user's own tables: TSV, CSV, parquet or h5ad, plain or gzipped."""

    type: Literal["tables"] = Field(description="The user's own files.")
    expression: str = Field(description="Expression matrix; a path relative to data_root.")
    orientation: Literal["samples_in_rows", "genes_in_rows"] = Field(
        default="genes_in_rows", description="What a row of the expression matrix is."
    )
    scale: Literal["counts", "log2", "linear", "log2_ratio"] = Field(
        description="What the numbers are: raw counts, log2 values, linear intensities or log2 ratios."
    )
    gene_ids: Literal["symbol", "ensembl", "probe"] = Field(default="symbol", description="What names the genes.")
    gene_map: str | None = Field(
        default=None, description="Table id -> symbol (first two columns) for ensembl ids or probes."
    )
    clinical: str = Field(description="Clinical table, a row per sample or patient.")
    clinical_id: str = Field(description="Column of the clinical table that names the sample.")
    patient_pattern: str | None = Field(
        default=None, description="Regular expression whose first group is the patient in a sample name."
    )
    mutations: str | None = Field(default=None, description="MAF file, plain or gzipped.")
    source_note: str = Field(default="", description="Origin, licence and citation, as shown in the report.")

    def paths(self) -> dict[str, str]:
        """Keys and paths of the files that this source reads in place."""
        pairs = {
            "expression": self.expression,
            "clinical": self.clinical,
            "gene_map": self.gene_map,
            "mutations": self.mutations,
        }
        return {key: path for key, path in pairs.items() if path}


class GeoSource(Section):
    """A GEO series matrix with its platform table."""

    type: Literal["geo"] = Field(description="A GEO series.")
    accession: Annotated[str, StringConstraints(pattern=r"^GSE\d+$")] = Field(description="Series, GSE....")
    platform: Annotated[str, StringConstraints(pattern=r"^GPL\d+$")] = Field(description="Platform, GPL....")
    several_platforms: bool = Field(
        default=False,
        description="The series has one matrix file per platform (GSE...-GPL..._series_matrix).",
    )
    base_url: str = Field(
        default="https://ftp.ncbi.nlm.nih.gov/geo", description="GEO or a mirror: a URL, file:// or a folder."
    )
    scale: Literal["auto", "log2", "linear", "log2_ratio"] = Field(
        default="auto",
        description="Scale of the matrix; auto decides by its quantiles and reports the evidence.",
    )
    source_note: str = Field(default="", description="Origin, licence and citation, as shown in the report.")


class GdcSource(Section):
    """STAR-counts files, clinical data and MAF files of a GDC project."""

    type: Literal["gdc"] = Field(description="A GDC project.")
    project: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]+$")] = Field(description="GDC project id.")
    base_url: str = Field(
        default="https://api.gdc.cancer.gov", description="GDC or a mirror: a URL, file:// or a folder."
    )
    source_note: str = Field(default="", description="Origin, licence and citation, as shown in the report.")


Source = Annotated[TablesSource | GeoSource | GdcSource, Field(discriminator="type")]


class Normalization(Section):
    """How a matrix becomes log2 expression per gene."""

    min_count: float = Field(default=10, ge=0, description="Counts: smallest count that tells a gene is expressed.")
    min_samples_share: float = Field(
        default=0.2,
        ge=0,
        le=1,
        description="Counts: share of training samples in which a gene must be expressed.",
    )
    quantile: bool = Field(default=True, description="Arrays: quantile-normalise the samples of the cohort.")
    probe_rule: Literal["max_mean", "median"] = Field(
        default="max_mean",
        description="Arrays: probe kept for a gene (highest mean), or the median of its probes.",
    )
    duplicates: Literal["error", "max_mean"] = Field(
        default="error", description="Own tables: what a gene named in several rows leads to."
    )
    max_missing_share: float = Field(
        default=0.2,
        ge=0,
        lt=1,
        description="Genes with a larger share of missing values are dropped, and reported.",
    )


class Cohort(Section):
    """A cohort of patients."""

    role: Literal["training", "validation"] = Field(
        description="training: models are fitted and chosen here; validation: locked, looked at once at the end."
    )
    label: str = Field(default="", description="Name shown in the report; the key by default.")
    source: Source = Field(description="Where the files come from.")
    clinical: Clinical | None = Field(
        default=None, description="Mapping of the clinical columns; needed unless the source is gdc."
    )
    normalization: Normalization = Field(default=Normalization(), description="Normalisation of the matrix.")
    adaptation: Literal["none", "cohort_rescaling"] = Field(
        default="none",
        description="How a frozen model meets this platform: none, or each gene brought to the training mean and "
        "deviation (needs a whole cohort and is flagged in every table).",
    )

    @model_validator(mode="after")
    def _mapping(self) -> Cohort:
        if self.clinical is None and self.source.type != "gdc":
            raise ValueError("clinical is needed for this source: map os_time and os_event to its columns")
        if self.role == "training" and self.adaptation != "none":
            raise ValueError("adaptation belongs to validation cohorts; remove it from the training cohort")
        return self


class Quality(Section):
    """Which cells are kept."""

    min_counts: int = Field(default=500, ge=1, description="Fewest molecules in a cell.")
    min_genes: int = Field(default=200, ge=1, description="Fewest genes detected in a cell.")
    max_mitochondrial: float = Field(default=0.25, gt=0, le=1, description="Largest share of mitochondrial counts.")
    mad_k: float = Field(
        default=5.0, ge=0, description="Scaled median absolute deviations that make a cell an outlier; 0: no such step."
    )
    min_cells: int = Field(default=10, ge=1, description="Fewest cells in which a gene is detected.")
    max_cells_per_sample: int = Field(default=0, ge=0, description="Seeded random subset per sample; 0: all cells.")


class Embedding(Section):
    """Normalisation, components, neighbours, clusters, UMAP."""

    target_sum: float = Field(default=10_000.0, gt=0, description="Counts that each cell is scaled to before log1p.")
    n_variable_genes: int = Field(default=2_000, ge=50, description="Number of highly variable genes.")
    n_components: int = Field(default=30, ge=2, description="Number of principal components.")
    n_neighbors: int = Field(default=15, ge=2, description="Neighbours in the graph.")
    resolution: float = Field(default=1.0, gt=0, description="Leiden resolution.")
    min_dist: float = Field(default=0.4, gt=0, description="UMAP: smaller packs groups more tightly.")
    epochs: int = Field(default=200, ge=10, description="UMAP: rounds of optimisation.")


class Atlas(Section):
    """A single-cell atlas: GEO supplements with a matrix (.dem) and an annotation (.anno) per sample."""

    label: str = Field(default="", description="Name shown in the report; the key by default.")
    accession: Annotated[str, StringConstraints(pattern=r"^GSE\d+$")] = Field(description="Series, GSE....")
    base_url: str = Field(
        default="https://ftp.ncbi.nlm.nih.gov/geo", description="GEO or a mirror: a URL, file:// or a folder."
    )
    samples: list[str] = Field(min_length=1, description="Names of the samples, such as AML328-D0 and BM1.")
    quality: Quality = Field(default=Quality(), description="Quality thresholds.")
    embedding: Embedding = Field(default=Embedding(), description="Embedding.")
    cell_type_sets: str = Field(
        default="resources/genesets/cell_types.gmt", description="GMT file of cell-type markers."
    )
    source_note: str = Field(default="", description="Origin, licence and citation, as shown in the report.")


class GeneSets(Section):
    """Candidate genes of the gene index."""

    file: str = Field(
        default="resources/genesets/programmed_cell_death.gmt",
        description="GMT file, relative to the working folder; any GMT file of yours works.",
    )
    sets: list[str] | None = Field(default=None, description="Names of the sets used; all when left out.")


class Features(Section):
    """The training matrix."""

    genes: Literal["shared", "training"] = Field(
        default="shared",
        description="shared: genes measured in every bulk cohort (names only, never values); training: all genes of "
        "the training cohort, those missing elsewhere are filled with the training mean and counted.",
    )
    clinical: list[str] = Field(
        default=["age", "sex", "risk"], description="Columns of the cohort used as clinical features."
    )
    mutations: list[str] = Field(
        default=[
            "ASXL1", "BCOR", "CEBPA", "DNMT3A", "EZH2", "FLT3", "IDH1", "IDH2", "KIT", "KRAS", "NPM1", "NRAS", "PHF6",
            "PTPN11", "RAD21", "RUNX1", "SF3B1", "SMC1A", "SMC3", "SRSF2", "STAG2", "TET2", "TP53", "U2AF1", "WT1",
            "ZRSR2",
        ],
        description="Genes whose mutation is a feature: by default those recurrent in AML (NEJM 2013;368:2059, "
        "NEJM 2016;374:2209). A fixed list, so that no frequency is learned from held-out patients.",
    )  # fmt: skip
    max_missing_share: float = Field(
        default=0.3,
        ge=0,
        lt=1,
        description="A validation cohort that lacks a larger share of a model's features is refused for that model.",
    )


class CrossValidation(Section):
    """Repeated stratified folds by patient."""

    folds: int = Field(default=5, ge=2, le=20, description="Folds.")
    repeats: int = Field(default=10, ge=1, le=100, description="Repeats, each a job per group of models.")


class GeneIndexSettings(Section):
    """PPCDI-style gene index: screen, lasso Cox, linear index."""

    screen_p: float = Field(default=0.05, gt=0, le=1, description="Univariate Cox p-value that admits a gene.")
    min_genes: int = Field(default=10, ge=2, description="Genes kept by the screen if fewer pass.")
    max_genes: int = Field(default=200, ge=2, description="Most genes that the screen hands to the lasso.")
    lambda_rule: Literal["min", "1se"] = Field(default="min", description="Penalty rule of the inner folds.")
    n_folds: int = Field(default=10, ge=3, le=20, description="Inner folds that choose the penalty.")
    alpha: float = Field(default=1.0, gt=0, le=1, description="1: lasso; below it the elastic net.")


class TreeSettings(Section):
    """Tree ensembles."""

    max_features_screened: int = Field(
        default=300, ge=2, description="Expression features kept by the univariate screen inside each fold."
    )
    blocks: list[Literal["expression", "clinical", "mutation"]] = Field(
        default=["expression", "clinical", "mutation"], description="Blocks of features that the model sees."
    )


class ForestSettings(TreeSettings):
    """Random forests."""

    n_estimators: int = Field(default=300, ge=10, description="Number of trees.")
    min_samples_leaf: int = Field(default=10, ge=1, description="Fewest patients in a leaf.")


class BoostingSettings(TreeSettings):
    """Gradient boosting."""

    n_estimators: int = Field(default=300, ge=10, description="Most boosting rounds; inner folds choose fewer.")
    early_stopping_rounds: int = Field(default=20, ge=1, description="Rounds without progress that stop the search.")
    learning_rate: float = Field(default=0.05, gt=0, le=1, description="Shrinkage.")
    max_depth: int = Field(default=2, ge=1, le=10, description="Depth of a tree.")


class Models(Section):
    """Which models run, and their settings."""

    run: list[ModelName] = Field(
        default=[name for group in GROUPS.values() for name in group],
        min_length=1,
        description="Models and comparators to run, gene_index among them: the report is written around it. A "
        "comparator that a cohort cannot support is refused with its reason in the leaderboard.",
    )
    gene_index: GeneIndexSettings = Field(default=GeneIndexSettings(), description="Gene index.")
    random_survival_forest: ForestSettings = Field(default=ForestSettings(), description="Random survival forest.")
    random_forest_5y: ForestSettings = Field(
        default=ForestSettings(min_samples_leaf=5), description="Random forest at five years."
    )
    xgboost_cox: BoostingSettings = Field(default=BoostingSettings(), description="XGBoost Cox.")
    xgboost_5y: BoostingSettings = Field(default=BoostingSettings(), description="XGBoost at five years.")


class Evaluation(Section):
    """How models are judged."""

    horizons_years: list[float] = Field(default=[1, 3, 5], min_length=1, description="Horizons of AUC and Brier.")
    main_horizon_years: float = Field(default=3, gt=0, description="Horizon of calibration figures.")
    bootstrap: int = Field(default=1000, ge=100, description="Bootstrap replicates over patients.")
    permutations: int = Field(default=20, ge=0, description="Permuted outcomes through the whole index procedure.")
    random_sets: int = Field(default=50, ge=0, description="Random gene sets through the whole index procedure.")
    report_models: list[ModelName] = Field(
        default=["gene_index", "random_survival_forest", "xgboost_cox", "clinical"],
        description="Models whose curves the report draws.",
    )


class Simulation(Section):
    """The demo world; only for the embedded demo study and for tests."""

    training_patients: int = Field(default=240, ge=30, description="Training patients (RNA-seq, GDC form).")
    array_patients: int = Field(default=150, ge=30, description="Validation patients on an array (GEO form).")
    rnaseq_patients: int = Field(default=160, ge=30, description="Validation patients (RNA-seq, own tables).")
    genes: int = Field(default=12000, ge=1500, description="Genes.")
    cells: int = Field(default=6000, ge=200, description="Single cells.")


class Study(Section):
    """A study: cohorts, atlases, models and how they are judged."""

    study: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]*$")] = Field(
        description="Short name; everything is written under results/<study>/."
    )
    title: str = Field(description="Title of the report.")
    description: str = Field(default="", description="What the study asks, in a sentence or two.")
    seed: int = Field(default=1, ge=0, description="Seed of everything random.")
    data_root: str = Field(
        default=".", description="Folder that paths of sources and file:// base URLs are relative to."
    )
    simulate: Simulation | None = Field(default=None, description="Simulate the demo world before retrieving.")
    cohorts: dict[Name, Cohort] = Field(description="Cohorts: exactly one for training, any number to validate.")
    atlases: dict[Name, Atlas] = Field(default={}, description="Single-cell atlases.")
    gene_sets: GeneSets = Field(default=GeneSets(), description="Candidate genes of the index.")
    features: Features = Field(default=Features(), description="The training matrix.")
    crossvalidation: CrossValidation = Field(default=CrossValidation(), description="Cross-validation.")
    models: Models = Field(default=Models(), description="Models.")
    evaluation: Evaluation = Field(default=Evaluation(), description="Evaluation.")

    @model_validator(mode="after")
    def _consistent(self) -> Study:
        training = [name for name, cohort in self.cohorts.items() if cohort.role == "training"]
        if len(training) != 1:
            found = ", ".join(training) or "none"
            raise ValueError(f"cohorts: exactly one cohort must have role: training (found {found})")
        if self.evaluation.main_horizon_years not in self.evaluation.horizons_years:
            raise ValueError("evaluation.main_horizon_years must be one of evaluation.horizons_years")
        for fault in self._list_faults():
            raise ValueError(fault)
        return self

    def _list_faults(self) -> Iterator[str]:
        """Lists whose values cannot stand together."""
        judged, run = self.evaluation, self.models.run
        if "gene_index" not in run:
            yield "models.run: gene_index is needed: genes, controls and cells of the report are those of the index"
        if min(judged.horizons_years) <= 0:
            yield f"evaluation.horizons_years: every horizon must be above 0 (given: {judged.horizons_years})"
        lists: dict[str, Sequence[object]] = {
            "models.run": run,
            "evaluation.horizons_years": judged.horizons_years,
            "features.clinical": self.features.clinical,
        }
        for key, values in lists.items():
            if len(set(values)) < len(values):
                yield f"{key}: a value stands twice (given: {list(values)})"
        leaks = sorted({"os_time", "os_event"} & set(self.features.clinical))
        if leaks:
            yield f"features.clinical: {', '.join(leaks)} is the outcome and cannot be a feature; remove it"
        absent = [name for name in judged.report_models if name not in run]
        # The default list names more than a short models.run has; only what the user wrote can be a mistake.
        if absent and "report_models" in judged.model_fields_set:
            yield f"evaluation.report_models: {', '.join(absent)} not in models.run; add to models.run or remove"
        if self.gene_sets.sets is not None and not self.gene_sets.sets:
            yield "gene_sets.sets: the list is empty; name sets of the file, or leave the key out to use all"

    # What the workflow asks of a study -------------------------------------------------------------------

    @property
    def training(self) -> str:
        """Name of the training cohort."""
        return next(name for name, cohort in self.cohorts.items() if cohort.role == "training")

    @property
    def validation(self) -> list[str]:
        """Names of the validation cohorts, in the order of the study."""
        return [name for name, cohort in self.cohorts.items() if cohort.role == "validation"]

    def cohort_label(self, name: str) -> str:
        """Label of a cohort or atlas in the report."""
        item = self.cohorts.get(name) or self.atlases.get(name)
        return (item.label if item else "") or name

    def groups(self) -> dict[str, list[str]]:
        """Models to run by group; one job is a group and a repeat."""
        chosen: dict[str, list[str]] = {
            group: [m for m in names if m in self.models.run] for group, names in GROUPS.items()
        }
        return {group: names for group, names in chosen.items() if names}

    def model_parameters(self, name: str) -> dict[str, Any]:
        """Settings of a model as plain values."""
        section = getattr(self.models, name, None)
        return section.model_dump() if isinstance(section, Section) else {}

    def fingerprint(self, *sections: str) -> str:
        """Digest of the settings that a rule depends on, so that a change of theirs reruns the rule.

        Parameters
        ----------
        *sections : str
            Dotted paths into the study, such as ``cohorts.TCGA`` or ``seed``.
        """
        content = self.model_dump(mode="json")
        chosen = {}
        for section in sections:
            value: Any = content
            for part in section.split("."):
                value = value[part]
            chosen[section] = value
        return _digest({"version": __version__, **chosen})

    def models_fingerprint(self, names: Sequence[str]) -> str:
        """Settings that the fit of some models depends on (see :meth:`fingerprint`)."""
        own = [f"models.{name}" for name in names if self.model_parameters(name)]
        return self.fingerprint("seed", "crossvalidation", "evaluation.horizons_years", "models.run", *own)

    def retrieval_of(self, cohort: str) -> tuple[str, str] | None:
        """Source and accession whose files a cohort needs; None for own tables, read in place."""
        source = self.cohorts[cohort].source
        if isinstance(source, GeoSource):
            return "geo", source.accession
        if isinstance(source, GdcSource):
            return "gdc", source.project
        return None

    def counts_reference(self, cohort: str) -> str | None:
        """Cohort whose frozen reference profile normalises this one: the training cohort, if both are counts.

        So a sample of a validation cohort is normalised without looking at the other samples of its cohort.
        """
        both = all(_are_counts(self.cohorts[name].source) for name in (cohort, self.training))
        return self.training if both and cohort != self.training else None

    def retrieval_requests(self, source: str, accession: str) -> list[GeoSource | GdcSource | Atlas]:
        """Sections of the study that ask for the files of a source and accession."""
        if source == "cells":
            return [atlas for atlas in self.atlases.values() if atlas.accession == accession]
        return [
            cohort.source
            for name, cohort in self.cohorts.items()
            if self.retrieval_of(name) == (source, accession) and not isinstance(cohort.source, TablesSource)
        ]

    def retrieval_fingerprint(self, source: str, accession: str) -> str:
        """Settings that a retrieval depends on (see :meth:`fingerprint`)."""
        asked = [request.model_dump(mode="json") for request in self.retrieval_requests(source, accession)]
        return _digest({"data_root": self.data_root, "requests": asked})

    def path(self, relative: str) -> str:
        """Path of a source's file, seen from the working folder."""
        return os.path.normpath(os.path.join(self.data_root, relative))

    def location(self, base_url: str) -> str:
        """Base of a source: a http(s) URL as it is, anything else a folder seen from the working folder."""
        if base_url.startswith(("http://", "https://")):
            return base_url.rstrip("/")
        return self.path(base_url.removeprefix("file://"))

    def source_paths(self, name: str) -> dict[str, str]:
        """Keys and resolved paths of the files that a ``tables`` cohort reads in place."""
        source = self.cohorts[name].source
        if not isinstance(source, TablesSource):
            return {}
        return {key: self.path(path) for key, path in source.paths().items()}


def _are_counts(source: TablesSource | GeoSource | GdcSource) -> bool:
    return isinstance(source, GdcSource) or source.scale == "counts"


def _digest(content: Mapping[str, Any]) -> str:
    # Not the JSON itself: Snakemake takes braces in a parameter for wildcards.
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def load_study(source: str | Path | Mapping[str, Any], *, name: str = "the configuration") -> Study:
    """Validate a study.

    Parameters
    ----------
    source : path or mapping
        A YAML file, or its content (as Snakemake's ``config``).
    name : str
        How errors call the file when a mapping is given.

    Raises
    ------
    InputError
        One line per fault: file, key, what is wrong, and the remedy.
    """
    if isinstance(source, Mapping):
        content: Any = dict(source)
    else:
        name = str(source)
        try:
            content = yaml.safe_load(Path(source).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise InputError(f"{name}: no such study file; give the path of a YAML file") from None
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise InputError(f"{name}: not a YAML file: {' '.join(str(error).split())}") from None
    if not isinstance(content, Mapping):
        raise InputError(f"{name}: a study is a mapping of keys; see config/README.md")
    try:
        return Study.model_validate(content)
    except ValidationError as error:
        lines = [f"{name}: {line}" for line in _explain(error)]
        raise InputError("\n".join(lines)) from None


def check_files(study: Study, *, name: str = "the study", produced: frozenset[str] = frozenset()) -> None:
    """Check that every file which the study names exists, before any job runs.

    Parameters
    ----------
    study : Study
        The study.
    name : str
        How errors call the study's file.
    produced : frozenset of str
        Paths that a rule of the workflow writes (the simulator's), which need not exist yet.

    Raises
    ------
    InputError
        Every missing file with its key.
    """
    missing = [
        f"{name}: {key}: no such file or folder: {path}; {remedy}"
        for key, path, remedy in _named_files(study)
        if path not in produced and not os.path.exists(path)
    ]
    if missing:
        raise InputError("\n".join(missing))


def _named_files(study: Study) -> Iterator[tuple[str, str, str]]:
    remedy = f"paths are relative to data_root ({study.data_root})"
    yield (
        "gene_sets.file",
        study.gene_sets.file,
        "give the path of a GMT file, relative to the working folder",
    )
    for cohort, settings in study.cohorts.items():
        for key, path in study.source_paths(cohort).items():
            yield f"cohorts.{cohort}.source.{key}", path, remedy
        if study.simulate is None and not isinstance(settings.source, TablesSource):
            base = study.location(settings.source.base_url)
            if not base.startswith("http"):
                yield f"cohorts.{cohort}.source.base_url", base, remedy
    for atlas, chosen in study.atlases.items():
        yield f"atlases.{atlas}.cell_type_sets", chosen.cell_type_sets, "give the path of a GMT file"
        base = study.location(chosen.base_url)
        if study.simulate is None and not base.startswith("http"):
            yield f"atlases.{atlas}.base_url", base, remedy


def _explain(error: ValidationError) -> Iterator[str]:
    for item in error.errors():
        places = [str(part) for part in item["loc"] if part not in {"tables", "geo", "gdc"}]
        key = ".".join(places) or "(top level)"
        if item["type"] == "extra_forbidden":
            yield f"{key}: unknown key{_suggestion(item['loc'])}"
        elif item["type"] == "missing":
            yield f"{key}: this key is needed; see config/README.md"
        elif item["type"].startswith("union_tag"):
            yield f"{key}.type: must be one of tables, geo, gdc"
        else:
            message = item["msg"].removeprefix("Value error, ")
            given = item.get("input")
            shown = f" (given: {given!r})" if isinstance(given, str | int | float | bool) or given is None else ""
            yield f"{key}: {message}{shown}" if places else message


def _suggestion(location: tuple[int | str, ...]) -> str:
    """Nearest valid key, and the valid keys of that section."""
    model: Any = Study
    for part in location[:-1]:
        model = _step(model, part)
        if model is None:
            return "; see config/README.md"
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        return "; see config/README.md"
    valid = list(model.model_fields)
    near = difflib.get_close_matches(str(location[-1]), valid, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"{hint} Valid keys here: {', '.join(valid)}"


def _step(model: Any, part: int | str) -> Any:
    """Model behind a key: follows fields, values of mappings, members of a union."""
    tags = {"tables": TablesSource, "geo": GeoSource, "gdc": GdcSource}
    if part in tags:
        return tags[str(part)]
    if isinstance(model, type) and issubclass(model, BaseModel):
        field = model.model_fields.get(str(part))
        return _plain(field.annotation) if field else None
    arguments = getattr(model, "__args__", ())
    return _plain(arguments[-1]) if arguments else model


def _plain(annotation: Any) -> Any:
    """An optional section without its None."""
    arguments = [a for a in getattr(annotation, "__args__", ()) if a is not type(None)]
    is_union = "Union" in type(annotation).__name__ or "Union" in str(getattr(annotation, "__origin__", ""))
    return arguments[0] if is_union and len(arguments) == 1 else annotation
