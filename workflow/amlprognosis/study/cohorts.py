"""Cohorts and atlases: where the files come from, what their columns mean, how they are normalised."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from amlprognosis.study.base import Name, Section


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
    categories: dict[Name, str] = Field(
        default={},
        description="Further columns of groups, such as trial or centre, by their new name; never features, but "
        "crossvalidation.stratify may name them.",
    )
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
        mapped |= {f"categories.{name}": column for name, column in self.categories.items()}
        for outcome, column in (("os_time", self.os_time.column), ("os_event", self.os_event.column)):
            twice = [key for key in mapped if mapped[key] == column and key != outcome]
            if twice:
                raise ValueError(f"column {column!r} is {outcome} and {', '.join(twice)}; it can be one of them only")
        taken = {"os_time", "os_event", "age", "sex", "risk"}
        for place, name in [*(("numeric", n) for n in self.numeric), *(("categories", n) for n in self.categories)]:
            if name in taken:
                raise ValueError(f"{place}.{name}: this name is taken; choose another")
            taken.add(name)
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


Adaptation = Literal["none", "within_sample_ranks", "reference_quantiles", "cohort_rescaling"]


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
    adaptation: list[Adaptation] = Field(
        default=["none"],
        min_length=1,
        description="How a frozen model meets this platform; of several the first is the one that figures show, the "
        "validation table has all. none: values as they are. within_sample_ranks: each gene by its rank within the "
        "sample. reference_quantiles: the sample's values take the quantiles of training. cohort_rescaling: each gene "
        "brought to the training mean and deviation (needs a whole cohort and is flagged in every table).",
    )

    @model_validator(mode="after")
    def _mapping(self) -> Cohort:
        if self.clinical is None and self.source.type != "gdc":
            raise ValueError("clinical is needed for this source: map os_time and os_event to its columns")
        if self.role == "training" and self.adaptation != ["none"]:
            raise ValueError("adaptation belongs to validation cohorts; remove it from the training cohort")
        if len(set(self.adaptation)) < len(self.adaptation):
            raise ValueError(f"adaptation: a value stands twice (given: {self.adaptation})")
        return self

    @field_validator("adaptation", mode="before")
    @classmethod
    def _one_adaptation(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value


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
