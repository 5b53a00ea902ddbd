"""Cohorts and atlases: where the files come from, what their columns mean, how they are normalised."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field, StringConstraints, field_validator, model_validator

from amlprognosis.study.base import Address, Name, PatternOfOne, Section, canonical
from amlprognosis.study.sources import OWN_MAPPING, Source


class TimeColumn(Section):
    """Where a duration is found."""

    column: str = Field(description="Column (or GEO characteristics key) that holds the time.")
    unit: Literal["days", "months", "years"] = Field(description="Unit of the column.")


def _apart(**labels: list[str]) -> None:
    """Refuse a label of two meanings, compared as the values of the table are."""
    meant: dict[str, str] = {}
    for meaning, texts in labels.items():
        for text in texts:
            if meant.setdefault(canonical(text), meaning) != meaning:
                raise ValueError(f"{text!r} cannot mean both {meant[canonical(text)]} and {meaning}")


class EventColumn(Section):
    """Where death is found."""

    column: str = Field(description="Column that holds the event.")
    dead: list[str] = Field(
        default=["1"], min_length=1, description="Values that mean death; compared as text, 1.0 equals 1."
    )
    alive: list[str] = Field(default=["0"], description="Values that mean alive at last follow-up.")

    @model_validator(mode="after")
    def _disjoint(self) -> EventColumn:
        _apart(dead=self.dead, alive=self.alive)
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

    @model_validator(mode="after")
    def _disjoint(self) -> SexColumn:
        _apart(female=self.female, male=self.male)
        return self


class RiskColumn(Section):
    """Where the risk group at diagnosis is found."""

    column: str = Field(description="Column that holds the risk group.")
    system: str = Field(default="ELN", description="What the labels are, as shown in the report (ELN 2017, ...).")
    favourable: list[str] = Field(default=["Favorable", "favorable"], description="Labels of favourable risk.")
    intermediate: list[str] = Field(default=["Intermediate", "intermediate"], description="Labels between.")
    adverse: list[str] = Field(default=["Adverse", "adverse"], description="Labels of adverse risk.")

    @model_validator(mode="after")
    def _disjoint(self) -> RiskColumn:
        _apart(favourable=self.favourable, intermediate=self.intermediate, adverse=self.adverse)
        return self


class NumericColumn(Section):
    """A further measured quantity."""

    column: str = Field(description="Column that holds the value.")
    log10: bool = Field(default=False, description="Use log10(1 + value), for counts such as WBC.")


class Exclusion(Section):
    """Patients to leave out, by the value of a column; each is counted and listed."""

    column: str = Field(
        description="Column looked at; patient: the patient's own id, where the table has no column of that name."
    )
    values: list[str] = Field(min_length=1, description="Values that exclude a patient.")
    reason: str = Field(description="Reason shown in the flow diagram.")


class ExtractedColumn(Section):
    """A column cut out of the text of another."""

    column: str = Field(description="Column (or GEO characteristics key) that holds the text.")
    pattern: PatternOfOne = Field(
        description="Regular expression with one group: the part of the text that becomes the value; no match is a "
        "missing value."
    )


class Clinical(Section):
    """How the clinical columns of a cohort are called."""

    extract: dict[str, ExtractedColumn] = Field(
        default={},
        description="Columns cut out of texts before anything else is read, by their new name; GEO series often keep "
        "age, time and status in one sentence.",
    )

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


class Normalization(Section):
    """How a matrix becomes log2 expression per gene."""

    counts: Literal["tmm", "upper_quartile", "vst"] = Field(
        default="tmm",
        description="Counts: trimmed mean of M-values and log2-CPM, upper quartile and log2-CPM, or the variance-"
        "stabilising transformation of DESeq2. Cohorts of counts share the training cohort's method and reference.",
    )
    min_count: float = Field(
        default=10,
        ge=0,
        description="Counts: smallest count that tells a gene is expressed; of TPM or FPKM a twentieth of it, as of "
        "20 million reads.",
    )
    min_samples_share: float = Field(
        default=0.2,
        ge=0,
        le=1,
        description="Counts and TPM: share of training samples in which a gene must be expressed.",
    )
    quantile: bool = Field(default=True, description="Arrays: quantile-normalise the samples of the cohort.")
    probe_rule: Literal["max_mean", "median", "best_annotated"] = Field(
        default="max_mean",
        description="Arrays: probe kept for a gene (highest mean; best annotated: the most specific probe set, by its "
        "name and the platform table alone), or the median of its probes.",
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


def _source_or_catalogue(schema: dict[str, Any]) -> None:
    """In the JSON schema, a cohort that names an entry of the catalogue needs no source of its own."""
    schema["required"] = [key for key in schema["required"] if key != "source"]
    schema["anyOf"] = [{"required": ["source"]}, {"required": ["catalogue"]}]


class Cohort(Section):
    """A cohort of patients."""

    model_config = ConfigDict(json_schema_extra=_source_or_catalogue)

    role: Literal["training", "validation"] = Field(
        description="training: models are fitted and chosen here; validation: locked, looked at once at the end."
    )
    label: str = Field(default="", description="Name shown in the report; the key by default.")
    catalogue: str = Field(
        default="",
        description="Entry of resources/cohorts.yaml (`amlprognosis catalogue`) whose source, clinical mapping and "
        "label this cohort takes; keys given here win.",
    )
    source: Source = Field(description="Where the files come from.")
    clinical: Clinical | None = Field(
        default=None,
        description="Mapping of the clinical columns; needed unless the source has one of its own (gdc, xena, "
        "cbioportal, beataml).",
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
        if self.clinical is None and not isinstance(self.source, OWN_MAPPING):
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
    """A single-cell atlas in GEO supplements.

    Per sample a count table (.dem) with an annotation (.anno), 10x files (matrix.mtx, barcodes, features; or .h5), or
    another table of genes x cells; single or in GSE..._RAW.tar.
    """

    service: ClassVar[str] = "geo"

    label: str = Field(default="", description="Name shown in the report; the key by default.")
    accession: Annotated[str, StringConstraints(pattern=r"^GSE\d+$")] = Field(description="Series, GSE....")
    base_url: Address | None = Field(
        default=None,
        description="GEO or a mirror: a URL, file:// or a folder; by default GEO, or retrieval.mirrors.geo.",
    )
    format: Literal["auto", "dem", "10x", "table"] = Field(
        default="auto",
        description="Form of the counts: dem (with .anno), 10x, or table (GSM..._name.csv.gz or .txt.gz, genes in "
        "rows); auto takes dem and 10x files, and tables where there is neither.",
    )
    samples: list[str] = Field(
        default=[],
        description="Names of the samples (the file names after GSM..._), such as AML328-D0 and BM1; none named: all.",
    )
    quality: Quality = Field(default=Quality(), description="Quality thresholds.")
    embedding: Embedding = Field(default=Embedding(), description="Embedding.")
    cell_type_sets: str = Field(
        default="resources/genesets/cell_types.gmt", description="GMT file of cell-type markers."
    )
    source_note: str = Field(default="", description="Origin, licence and citation, as shown in the report.")
