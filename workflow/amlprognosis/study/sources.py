"""Where the files of a cohort come from: one section per kind of source, and how files are retrieved."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from amlprognosis.study.base import Address, Pattern, Section

Service = Literal["geo", "gdc", "xena", "cbioportal", "beataml", "genenames"]
# The services themselves; retrieval.mirrors and base_url name other places.
SERVICES: dict[str, str] = {
    "geo": "https://ftp.ncbi.nlm.nih.gov/geo",
    "gdc": "https://api.gdc.cancer.gov",
    "xena": "https://gdc.xenahubs.net",
    "cbioportal": "https://www.cbioportal.org",
    "beataml": "https://github.com/biodev/beataml2.0_data/raw/6e403e142469dfb8ab20af0a4e6bf0fdaaf474e8",
    "genenames": "https://storage.googleapis.com/public-download-files/hgnc",
}
Accession = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
GeneIds = Literal["symbol", "ensembl", "entrez", "refseq", "probe"]


class Retrieval(Section):
    """How files are retrieved; nothing here changes what is computed."""

    offline: bool = Field(
        default=False,
        description="Use no network: only files that are there (results/retrieved, the cache, folders); what is "
        "missing is listed with its address and its place.",
    )
    mirrors: dict[Service, Address] = Field(
        default={}, description="Other places of whole services: a URL, file:// or a folder laid out as the service."
    )
    cache: str = Field(
        default="results/retrieved/cache",
        description="Folder of downloaded files, shared by studies and, if you like, by projects; files are linked "
        "from there.",
    )
    timeout_seconds: float = Field(
        default=60, gt=0, le=3600, description="Longest silence of a server before a new attempt."
    )
    attempts: int = Field(default=6, ge=1, le=50, description="Attempts per file; each goes on where the last ended.")
    connections: int = Field(default=4, ge=1, le=16, description="Files downloaded at a time.")


class TablesSource(Section):
    """The user's own tables: text (tabs, commas or semicolons, plain or gzipped), .xlsx, .parquet or .h5ad."""

    type: Literal["tables"] = Field(description="The user's own files.")
    expression: str = Field(description="Expression matrix; a path relative to data_root.")
    orientation: Literal["samples_in_rows", "genes_in_rows"] = Field(
        default="genes_in_rows", description="What a row of the expression matrix is."
    )
    scale: Literal["counts", "tpm", "log2", "linear", "log2_ratio"] = Field(
        description="What the numbers are: raw counts, transcripts per million (or FPKM), log2 values, linear "
        "intensities or log2 ratios."
    )
    gene_ids: GeneIds = Field(default="symbol", description="What names the genes.")
    gene_map: str | None = Field(
        default=None,
        description="Table id -> symbol (first two columns) for probes; for other ids the frozen table of the "
        "resources is used where there is none.",
    )
    clinical: str = Field(description="Clinical table, a row per sample or patient.")
    clinical_id: str = Field(description="Column of the clinical table that names the sample.")
    patient_pattern: Pattern | None = Field(
        default=None, description="Regular expression whose first group is the patient in a sample name."
    )
    mutations: str | None = Field(default=None, description="MAF file, plain or gzipped.")
    source_note: str = Field(default="", description="Origin, licence and citation, as shown in the report.")

    @model_validator(mode="after")
    def _probes_need_a_map(self) -> TablesSource:
        if self.gene_ids == "probe" and not self.gene_map:
            raise ValueError("gene_map is needed for gene_ids: probe; give a table id -> symbol")
        return self

    def paths(self) -> dict[str, str]:
        """Keys and paths of the files that this source reads in place."""
        pairs = {
            "expression": self.expression,
            "clinical": self.clinical,
            "gene_map": self.gene_map,
            "mutations": self.mutations,
        }
        return {key: path for key, path in pairs.items() if path}


class RemoteSource(Section):
    """What sources that are retrieved have in common."""

    service: ClassVar[str]
    named_by: ClassVar[str]  # the key that says under which name the files are kept
    base_url: Address | None = Field(
        default=None,
        description="The service or a mirror of it: a URL, file:// or a folder laid out as the service; by default the "
        "service, or retrieval.mirrors.",
    )
    source_note: str = Field(default="", description="Origin, licence and citation, as shown in the report.")

    @property
    def folder(self) -> str:
        """Accession, project or study under which the files are kept."""
        return str(getattr(self, self.named_by))

    def paths(self) -> dict[str, str]:
        """Keys and paths of the user's own files that this source reads in place, too."""
        return {}


class _Series(RemoteSource):
    """What both kinds of GEO source have in common."""

    service: ClassVar[str] = "geo"
    named_by: ClassVar[str] = "accession"
    accession: Annotated[str, StringConstraints(pattern=r"^GSE\d+$")] = Field(description="Series, GSE....")
    patient_column: str | None = Field(
        default=None,
        description="Characteristics key (or header field, such as title) that names the patient, where a patient may "
        "have several samples; by default each sample is a patient.",
    )
    patient_pattern: Pattern | None = Field(
        default=None, description="Regular expression whose first group is the patient in that column."
    )
    clinical_table: str | None = Field(
        default=None,
        description="Your own clinical table (a supplement of the paper, say) whose columns join those of the series; "
        "a path relative to data_root.",
    )
    clinical_id: str = Field(default="geo_accession", description="Column of clinical_table that names the sample.")
    clinical_matches: str = Field(
        default="geo_accession",
        description="Field of the series that clinical_id is compared with: geo_accession, title or a characteristics "
        "key.",
    )

    def paths(self) -> dict[str, str]:
        """Keys and paths of the user's own files."""
        return {"clinical_table": self.clinical_table} if self.clinical_table else {}


class GeoSource(_Series):
    """A GEO series matrix with its platform table."""

    type: Literal["geo"] = Field(description="A GEO series matrix.")
    platform: Annotated[str, StringConstraints(pattern=r"^GPL\d+$")] = Field(description="Platform, GPL....")
    several_platforms: bool | None = Field(
        default=None,
        description="Whether the series has one matrix file per platform (GSE...-GPL..._series_matrix); by default "
        "this is found out.",
    )
    scale: Literal["auto", "log2", "linear", "log2_ratio"] = Field(
        default="auto",
        description="Scale of the matrix; auto decides by its quantiles and reports the evidence.",
    )


class GeoSupplementSource(_Series):
    """A matrix among the supplementary files of a GEO series (RNA-seq), with the series matrix for the samples."""

    type: Literal["geo_supplement"] = Field(description="A supplementary matrix of a GEO series.")
    supplement: str = Field(
        description="Name of the file in suppl/ (* stands for any text), such as GSE106291_*counts*.txt.gz."
    )
    platform: Annotated[str, StringConstraints(pattern=r"^GPL\d+$")] | None = Field(
        default=None, description="Platform whose series matrix describes the samples, where a series has several."
    )
    scale: Literal["counts", "tpm", "log2", "linear"] = Field(default="counts", description="What the numbers are.")
    gene_ids: GeneIds = Field(default="symbol", description="What names the genes.")
    gene_column: str | None = Field(default=None, description="Column that names the genes; by default the first one.")
    annotation_columns: list[str] = Field(
        default=[], description="Columns of the matrix that are no samples, such as gene length; left out."
    )
    sample_field: str = Field(
        default="auto",
        description="Field of the series (title, geo_accession, description, a characteristics key) that names the "
        "columns of the matrix; auto takes the one that names them all.",
    )

    @field_validator("supplement")
    @classmethod
    def _is_a_name(cls, value: str) -> str:
        if not value or "/" in value:
            raise ValueError("the name of a file in suppl/, without folders")
        return value


class GdcSource(RemoteSource):
    """STAR-counts files, clinical data and MAF files of a GDC project."""

    service: ClassVar[str] = "gdc"
    named_by: ClassVar[str] = "project"
    type: Literal["gdc"] = Field(description="A GDC project.")
    project: Accession = Field(default="TCGA-LAML", description="GDC project id.")
    values: Literal["counts", "tpm", "fpkm", "fpkm_uq"] = Field(
        default="counts", description="Column of the STAR-counts files that is read (unstranded counts, TPM, FPKM)."
    )
    mutations: bool = Field(default=True, description="Retrieve the open-access MAF files, too.")


class XenaSource(RemoteSource):
    """Files of a UCSC Xena hub: expression, survival, phenotype, mutations."""

    service: ClassVar[str] = "xena"
    named_by: ClassVar[str] = "cohort"
    type: Literal["xena"] = Field(description="Files of a UCSC Xena hub.")
    cohort: Accession = Field(description="Stem of the hub's file names, such as TCGA-LAML.")
    expression: str = Field(
        default="{cohort}.star_counts.tsv.gz", description="File of the expression matrix (log2(x + 1) in GDC hubs)."
    )
    survival: str = Field(default="{cohort}.survival.tsv.gz", description="File of OS and OS.time.")
    phenotype: str | None = Field(
        default="{cohort}.clinical.tsv.gz", description="File of clinical columns; nothing: survival alone."
    )
    mutations: str | None = Field(
        default=None,
        description="File of somatic variants, such as {cohort}.somaticmutation_wxs.tsv.gz (older releases: "
        "{cohort}.mutect2_snv.tsv.gz); only calls that passed the caller's filters count.",
    )
    probe_map: str | None = Field(
        default="gencode.v36.annotation.gtf.gene.probemap", description="File id -> symbol of the expression matrix."
    )
    scale: Literal["log2_counts", "log2", "linear", "counts", "tpm"] = Field(
        default="log2_counts",
        description="What the numbers are; log2_counts: log2(count + 1), from which counts are recovered.",
    )

    @field_validator("expression", "survival", "phenotype", "mutations", "probe_map")
    @classmethod
    def _is_a_name(cls, value: str | None) -> str | None:
        left = (value or "").replace("{cohort}", "")
        if value is not None and (not value or set("{}") & set(left) or value.startswith("/") or ".." in value):
            raise ValueError("the name of a file of the hub; {cohort} stands for the key cohort")
        return value


class CbioportalSource(RemoteSource):
    """A cBioPortal study: its folder (data_*.txt with meta_*.txt), or the REST API."""

    service: ClassVar[str] = "cbioportal"
    named_by: ClassVar[str] = "study"
    type: Literal["cbioportal"] = Field(description="A cBioPortal study.")
    study: Accession = Field(description="Study id, such as laml_tcga_pub.")
    profile: Accession = Field(
        description="Stable id of the expression profile without the study, such as rna_seq_v2_mrna (of a meta file or "
        "the API)."
    )
    scale: Literal["auto", "log2", "linear", "counts", "tpm"] = Field(
        default="auto", description="What the numbers are; z-scores are refused."
    )
    mutations: bool = Field(default=True, description="Read the mutations of the study, too, if it has any.")


class BeatamlSource(RemoteSource):
    """BeatAML2 (doi:10.1016/j.ccell.2022.07.002): the published tables."""

    service: ClassVar[str] = "beataml"
    type: Literal["beataml"] = Field(description="The published tables of BeatAML2.")
    values: Literal["counts", "normalized"] = Field(
        default="counts", description="counts: raw counts; normalized: the published log2 values."
    )
    diagnosis_only: bool = Field(
        default=True, description="Only samples at initial diagnosis of AML; the others are counted as excluded."
    )
    clinical_json: str | None = Field(
        default=None,
        description="Your copy of the explorer's cohort.json in the place of the clinical table; a path relative to "
        "data_root.",
    )
    mutations: bool = Field(default=True, description="Retrieve the exome variants, too.")
    drug_response: bool = Field(default=False, description="Retrieve the ex vivo drug response, too, and keep it.")

    @property
    def folder(self) -> str:
        """Name under which the files are kept."""
        return "BeatAML2"

    def paths(self) -> dict[str, str]:
        """Keys and paths of the user's own files."""
        return {"clinical_json": self.clinical_json} if self.clinical_json else {}


# Sources whose reader makes clinical columns of known names, so that a study need not map them.
OWN_MAPPING = (GdcSource, XenaSource, CbioportalSource, BeatamlSource)
Source = Annotated[
    TablesSource | GeoSource | GeoSupplementSource | GdcSource | XenaSource | CbioportalSource | BeatamlSource,
    Field(discriminator="type"),
]
SOURCES: dict[str, type[Section]] = {
    "tables": TablesSource,
    "geo": GeoSource,
    "geo_supplement": GeoSupplementSource,
    "gdc": GdcSource,
    "xena": XenaSource,
    "cbioportal": CbioportalSource,
    "beataml": BeatamlSource,
}


def scale_of(source: Source) -> str:
    """What a source's numbers are: counts, tpm, log2, linear, log2_ratio or auto."""
    if isinstance(source, GdcSource):
        return "counts" if source.values == "counts" else "tpm"
    if isinstance(source, BeatamlSource):
        return "counts" if source.values == "counts" else "log2"
    return "counts" if source.scale == "log2_counts" else source.scale


def is_array(source: Source) -> bool:
    """Whether a source is a microarray, whose probes become genes."""
    return isinstance(source, GeoSource) or (isinstance(source, TablesSource) and source.gene_ids == "probe")


def source_text(source: Source) -> str:
    """Short name of a source for a table."""
    names = {"geo": "GEO", "gdc": "GDC", "xena": "UCSC Xena", "cbioportal": "cBioPortal"}
    if isinstance(source, TablesSource):
        return "own tables"
    return " ".join([*([names[source.service]] if source.service in names else []), source.folder])
