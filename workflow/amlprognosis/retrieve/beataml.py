"""BeatAML2 (doi:10.1016/j.ccell.2022.07.002): the published tables, and how they become a cohort.

The tables lie in https://github.com/biodev/beataml2.0_data (CC-BY-4.0). A specimen has a RNA sample (BA....R), a DNA
sample (BA....D) or both; a patient may have several specimens.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from amlprognosis.cohort import RawCohort, shown, step
from amlprognosis.errors import InputError
from amlprognosis.genomics.maf import mutation_matrix
from amlprognosis.retrieve.beataml_tables import (
    INITIAL,
    NUMBERS,
    read_clinical,
    read_clinical_json,
    read_expression,
    read_sample_mapping,
    read_variants,
)
from amlprognosis.retrieve.download import (
    FileRecord,
    Planned,
    Wanted,
    fetch_all,
    join,
    local_record,
    read_provenance,
    write_provenance,
)
from amlprognosis.study import (
    AgeColumn,
    BeatamlSource,
    Clinical,
    EventColumn,
    Retrieval,
    RiskColumn,
    SexColumn,
    TimeColumn,
)
from amlprognosis.study.cohorts import NumericColumn
from amlprognosis.study.sources import SERVICES

LICENCE = "BeatAML2, CC-BY-4.0; cite Bottomly et al., Cancer Cell 2022;40:850, doi:10.1016/j.ccell.2022.07.002"
CLINICAL = "beataml_wv1to4_clinical.xlsx"
MAPPING = "beataml_waves1to4_sample_mapping.xlsx"
COUNTS = "beataml_waves1to4_counts_dbgap.txt"
NORMALIZED = "beataml_waves1to4_norm_exp_dbgap.txt"
VARIANTS = "beataml_wes_wv1to4_mutations_dbgap.txt"
DRUGS = "beataml_probit_curve_fits_v4_dbgap.txt"
# Size and sha256 of each table, as the repository's Git LFS pointers state them at the commit that SERVICES names.
PUBLISHED: dict[str, tuple[int, str]] = {
    CLINICAL: (488_278, "bc692f647f93945e1cf883271af5501bf75c8af3e681676241093c198ed167ad"),
    MAPPING: (72_038, "5581140cedd3348ec78bed878c27aa12c9538a5fab115324b91ca56aa138f0fc"),
    COUNTS: (122_488_199, "26302116e26138e980a7816303a0886a89a3c951f3ba673051a46c96a658680d"),
    NORMALIZED: (281_337_180, "d5745b9dbf46dba866a3c7370bb0ba73b363ecdd21e01cc1d916b4e3021e6f87"),
    VARIANTS: (3_668_996, "5a5a5eb8f492b1385aebe85c490b9333f65590f09391a7c1951b04dd1dba1680"),
    DRUGS: (19_047_078, "d4bc5f0d91f66314107411e0f2511adc987e29df5b83d9b03df56d3d12928314"),
}
WHAT = {
    CLINICAL: "clinical table",
    MAPPING: "samples and patients",
    COUNTS: "raw counts",
    NORMALIZED: "normalised expression",
    VARIANTS: "exome variants",
    DRUGS: "drug response",
}
# Risk groups that are no ELN 2017 group: specimens not taken at diagnosis, another diagnosis, or data missing for it.
NO_RISK = (
    "NonInitial",
    "NonAML",
    "FavorableOrIntermediate",
    "IntermediateOrAdverse",
    "MissingKaryo",
    "MissingMutations",
)
DEFAULT_CLINICAL = Clinical(
    os_time=TimeColumn(column="os_days", unit="days"),
    os_event=EventColumn(column="vital_status", dead=["Dead"], alive=["Alive"]),
    age=AgeColumn(column="age_years"),
    sex=SexColumn(column="sex"),
    risk=RiskColumn(column="eln2017", system="ELN 2017"),
    numeric={"wbc": NumericColumn(column="wbc", log10=True)},
    categories={"wave": "wave", "prior_mds": "prior_mds"},
    missing_values=[*Clinical.model_fields["missing_values"].default, *NO_RISK],
)
NOT_INITIAL = "no RNA sample at initial diagnosis"
NOT_AML = "another diagnosis than AML"
HEALTHY = "healthy control"
UNKNOWN_SAMPLE = "sample that the clinical table does not name"
NEGATIVE = "overall survival time negative"


def _names(request: BeatamlSource) -> list[str]:
    """Tables that a study asks for."""
    names = [MAPPING, COUNTS if request.values == "counts" else NORMALIZED]
    names += [] if request.clinical_json else [CLINICAL]
    names += [VARIANTS] if request.mutations else []
    return names + ([DRUGS] if request.drug_response else [])


def retrieve(request: BeatamlSource, base: str, destination: Path, settings: Retrieval) -> list[FileRecord]:
    """Bring the tables to a folder (see :mod:`.sources`); those of the repository are checked by their sha256."""
    own = base == SERVICES["beataml"]
    wanted = []
    for name in _names(request):
        size, sha256 = PUBLISHED[name] if own else (None, None)
        wanted.append(Wanted(join(base, name), Path(destination) / name, sha256=sha256, size=size))
    records = [record for record in fetch_all(wanted, settings) if record]
    write_provenance(destination, records, LICENCE)
    return records


def plan(request: BeatamlSource, base: str, destination: Path) -> list[Planned]:
    """What :func:`retrieve` would fetch (see :mod:`.sources`), with sizes as published."""
    return [
        Planned(join(base, name), f"{WHAT[name]} ({PUBLISHED[name][0] / 1e6:.1f} MB)", str(Path(destination) / name))
        for name in _names(request)
    ]


def read(request: BeatamlSource, folder: Path, tables: Mapping[str, str]) -> RawCohort:
    """Read the retrieved tables (see :mod:`.sources`).

    One specimen per patient: initial diagnosis before other stages, then the first collected, then the first by name.
    Healthy controls and other diagnoses are left out; so are patients without a specimen at initial diagnosis, if
    ``diagnosis_only``.
    """
    folder = Path(folder)
    counts = request.values == "counts"
    path = folder / (COUNTS if counts else NORMALIZED)
    provenance = read_provenance(folder)
    controls, mapping = read_sample_mapping(folder / MAPPING)
    if "clinical_json" in tables:
        source = Path(tables["clinical_json"])
        specimens = _with_samples(read_clinical_json(source), mapping)
        provenance = [*provenance, {**local_record(source).__dict__, "licence": LICENCE}]
    else:
        source = folder / CLINICAL
        specimens = read_clinical(source)
    expression, gene_map = read_expression(path)
    chosen, left_out = choose_specimens(specimens, list(expression.index), controls, request.diagnosis_only)
    if chosen.empty:
        raise InputError(f"{source}: none of its specimens has a RNA sample in {path} ({shown(expression.index, 3)})")
    clinical, negative, steps = _clinical(specimens, chosen, left_out, str(source))
    chosen = chosen[~chosen["patient"].isin(negative)]
    matrix = expression.loc[chosen["rna_sample"]].set_axis(chosen["patient"].to_numpy(), axis=0)
    rule = "initial diagnosis before other stages, then the first collected, then the first by name"
    why = "healthy controls, other diagnoses, other stages, further samples of a patient, negative times"
    raw = RawCohort(
        expression=matrix,
        scale="counts" if counts else "log2",
        gene_ids="ensembl",
        clinical=clinical.drop(index=negative),
        patients=pd.Series({p: p for p in sorted({*matrix.index, *clinical.index})}, dtype=object),
        gene_map=gene_map,
        exclusions=[*left_out, *({"patient": patient, "reason": NEGATIVE} for patient in negative)],
        provenance=provenance,
        steps=[step("one sample per patient", rule, len(expression), len(matrix), why), *steps],
        origin=f"BeatAML2 ({path})",
        clinical_origin=f"BeatAML2 ({source})",
    )
    if request.mutations:
        _add_mutations(raw, folder / VARIANTS, chosen, specimens)
    return raw


def _with_samples(patients: pd.DataFrame, mapping: pd.DataFrame) -> pd.DataFrame:
    """A row per specimen of the sample mapping, with what the explorer's table says of its patient."""
    pairs = mapping[["patient", "rna_sample", "dna_sample"]]
    return patients.drop(columns=["rna_sample", "dna_sample"]).merge(pairs, on="patient", how="left").fillna("")


def choose_specimens(
    specimens: pd.DataFrame, samples: list[str], controls: frozenset[str], diagnosis_only: bool
) -> tuple[pd.DataFrame, list[dict[str, str]]]:
    """One specimen with expression per patient.

    Parameters
    ----------
    specimens : DataFrame
        As :func:`.beataml_tables.read_clinical`.
    samples : list of str
        RNA samples with expression.
    controls : frozenset of str
        RNA samples of healthy people.
    diagnosis_only : bool
        Whether only specimens at initial diagnosis count.

    Returns
    -------
    chosen : DataFrame
        Rows of ``specimens``, one per patient, sorted by patient.
    exclusions : list of dict
        Samples that are passed over, and patients of whom no sample is left (``patient`` is the patient then).
    """
    left_out = [{"patient": name, "reason": HEALTHY} for name in samples if name in controls]
    patients_samples = [name for name in samples if name not in controls]
    known = set(specimens["rna_sample"])
    left_out += [{"patient": name, "reason": UNKNOWN_SAMPLE} for name in patients_samples if name not in known]
    rows = specimens[specimens["rna_sample"].isin(patients_samples)].copy()
    rows["initial"] = rows["stage"] != INITIAL  # False sorts first
    rows = rows.sort_values(["patient", "initial", "collected", "rna_sample"], kind="stable", na_position="last")
    reasons = pd.Series("", index=rows.index, dtype=object)
    reasons[rows["initial"] & diagnosis_only] = NOT_INITIAL
    reasons[~rows["aml"]] = NOT_AML
    usable = rows[reasons == ""]
    chosen = usable.drop_duplicates("patient")
    further = usable.index.difference(chosen.index)
    left_out += [{"patient": name, "reason": "further sample of a patient"} for name in rows.loc[further, "rna_sample"]]
    for patient, part in rows[reasons != ""].groupby("patient", sort=True):
        if patient in set(chosen["patient"]):
            left_out += [{"patient": name, "reason": reasons[row]} for row, name in part["rna_sample"].items()]
        else:
            left_out.append({"patient": str(patient), "reason": reasons[part.index[0]]})
    return chosen.drop(columns="initial"), left_out


def _clinical(
    specimens: pd.DataFrame, chosen: pd.DataFrame, left_out: list[dict[str, str]], origin: str
) -> tuple[pd.DataFrame, list[str], list[dict[str, object]]]:
    """Clinical rows by patient; patients with a negative time; steps."""
    rest = specimens[~specimens["patient"].isin({*chosen["patient"], *(item["patient"] for item in left_out)})]
    rest = rest.assign(initial=rest["stage"] != INITIAL).sort_values(["patient", "initial", "collected", "rna_sample"])
    rows = pd.concat([chosen, rest.drop(columns="initial").drop_duplicates("patient")])
    table = rows.set_index("patient").rename_axis(None).drop(columns=["aml", "collected"]).sort_index()
    times = pd.to_numeric(table["os_days"], errors="coerce")
    negative = sorted(table.index[times < 0])
    steps = []
    outcome = specimens[["patient", "os_days", "vital_status"]].drop_duplicates()
    several = sorted(set(outcome["patient"][outcome["patient"].duplicated()]) & set(chosen["patient"]))
    if several:
        detail = f"{shown(several)}: specimens of one patient differ; the row of the chosen specimen counts"
        steps.append(step("overall survival", detail))
    for column in NUMBERS:
        texts = table[column]
        plain = pd.to_numeric(texts, errors="coerce").notna() & np.isfinite(pd.to_numeric(texts, errors="coerce"))
        odd = (texts != "") & ~plain
        if odd.any():
            kinds = shown(sorted(set(texts[odd])), 4)
            steps.append(step(f"numbers of {column}", f"{int(odd.sum())} texts taken as missing: {kinds}"))
            table[column] = texts.where(~odd, "")
    return table, negative, steps


def _add_mutations(raw: RawCohort, path: Path, chosen: pd.DataFrame, specimens: pd.DataFrame) -> None:
    """Exome variants of the chosen specimen; FLT3-ITD and NPM1 also by the clinical consensus.

    Exome sequencing misses most internal tandem duplications, so that the publication, too, takes FLT3-ITD and NPM1
    from the consensus of its assays.
    """
    variants = read_variants(path)
    dna = chosen.set_index("patient")["dna_sample"]
    lacking = [patient for patient in dna.index if dna[patient] == ""]
    stages = chosen.set_index("patient")["stage"]
    others = specimens[specimens["patient"].isin(lacking) & (specimens["dna_sample"] != "")]
    others = others[others["stage"].to_numpy() == stages.reindex(others["patient"]).to_numpy()]
    others = others.sort_values(["patient", "collected", "dna_sample"], kind="stable").drop_duplicates("patient")
    dna.update(others.set_index("patient")["dna_sample"])
    patient_of = {sample: str(patient) for patient, sample in dna.items() if sample}
    if not set(patient_of) & set(variants["sample"]):
        raise InputError(f"{path}: none of its samples ({shown(variants['sample'], 3)}) belongs to a patient")
    kept = variants[variants["sample"].isin(list(patient_of))]
    rule = "patients with an exome sample of the same stage"
    matrix, tested, report = mutation_matrix(kept, patient_of, tested=frozenset(patient_of.values()), rule=rule)
    itd, npm1 = (chosen.set_index("patient")[name].reindex(matrix.index) for name in ("flt3_itd", "npm1"))
    before = {gene: int(matrix[gene].sum()) if gene in matrix else 0 for gene in ("FLT3", "NPM1")}
    for gene, calls in (("FLT3", itd), ("NPM1", npm1)):
        found = matrix[gene] if gene in matrix else pd.Series(0.0, index=matrix.index)
        matrix[gene] = found.where(calls != "positive", 1.0)
    matrix["FLT3-ITD"] = itd.map({"positive": 1.0, "negative": 0.0}).astype(float)
    raw.mutations, raw.tested = matrix[sorted(matrix.columns)], tested
    detail = ", ".join(f"{gene}: {before[gene]} by exome, {int(matrix[gene].sum())} with it" for gene in before)
    foreign = step("variants", "of the patients' own exome samples", len(variants), len(kept), "of other specimens")
    raw.steps += [foreign, *report, step("clinical consensus of FLT3-ITD and NPM1", detail)]
