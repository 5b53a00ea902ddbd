"""UCSC Xena hubs: expression, survival, phenotype and somatic variants as tab-separated files.

The files of the GDC hub are made by https://github.com/ucscXena/xena-GDC-ETL, whose conventions are read here:
expression is log2(x + 1), a sample with several aliquots holds their mean; survival has a row per sample.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from amlprognosis.cohort import RawCohort, shown, step
from amlprognosis.errors import InputError
from amlprognosis.genomics.consequences import variant_class
from amlprognosis.genomics.maf import mutation_matrix
from amlprognosis.retrieve.barcodes import one_per_patient, patient_of
from amlprognosis.retrieve.download import (
    FileRecord,
    Planned,
    Wanted,
    exists,
    fetch_all,
    is_remote,
    join,
    local_path,
    read_provenance,
    write_provenance,
)
from amlprognosis.retrieve.lines import check_names, column_numbers, read_plain_matrix, read_plain_table
from amlprognosis.study import (
    DAYS_PER_YEAR,
    AgeColumn,
    Clinical,
    EventColumn,
    Retrieval,
    RiskColumn,
    SexColumn,
    TimeColumn,
    XenaSource,
)

LICENCE = "Open-access data of a UCSC Xena hub (doi:10.1038/s41587-020-0546-8); cite the project's publication, too"
DEFAULT_CLINICAL = Clinical(
    os_time=TimeColumn(column="OS.time", unit="days"),
    os_event=EventColumn(column="OS", dead=["1"], alive=["0"]),
    age=AgeColumn(column="age_years"),
    sex=SexColumn(column="sex_at_diagnosis"),
    risk=RiskColumn(
        column="acute_myeloid_leukemia_calgb_cytogenetics_risk_category",
        system="CALGB cytogenetic risk",
        favourable=["Favorable"],
        intermediate=["Intermediate/Normal"],
        adverse=["Poor"],
    ),
)
# Columns of age by hub release, the most exact one first, with the days or years that they count.
AGES = {
    "age_at_earliest_diagnosis.diagnoses.xena_derived": DAYS_PER_YEAR,
    "age_at_diagnosis.diagnoses": DAYS_PER_YEAR,
    "age_at_earliest_diagnosis_in_years.diagnoses.xena_derived": 1.0,
    "age_at_index.demographic": 1.0,
    "age_at_initial_pathologic_diagnosis": 1.0,
}
SEXES = ("sex_at_birth.demographic", "gender.demographic", "gender")
SAMPLE_COLUMNS = ("sample", "submitter_id.samples", "sampleID", "Sample_ID")
# A rounding error above this share of a count (of one, for smaller counts) is no rounding.
LARGEST_ROUNDING = 0.01
# Means of aliquots are told by more exact numbers: a fourth of a count is no rare value by chance.
LARGEST_ROUNDING_OF_MEANS = 1e-4
MOST_ALIQUOTS = 4


def _files(request: XenaSource) -> dict[str, str]:
    """Names of the files by what they hold."""
    names = {
        "expression": request.expression,
        "survival": request.survival,
        "phenotype": request.phenotype,
        "mutations": request.mutations,
        "probe map": request.probe_map,
    }
    return {what: name.replace("{cohort}", request.cohort) for what, name in names.items() if name}


def _twin(name: str) -> str:
    """The same file gzipped, or not gzipped."""
    return name.removesuffix(".gz") if name.endswith(".gz") else f"{name}.gz"


def _address(base: str, name: str) -> str:
    """Where a file lies: ``<base>/download/<name>``; in folders also directly, gzipped or not."""
    if is_remote(base):
        return join(base, "download", name)
    places = [join(local_path(base), *parts) for parts in (("download", name), (name,))]
    found = [place for path in places for place in (path, join(str(Path(path).parent), _twin(name))) if exists(place)]
    return found[0] if found else places[0]


def retrieve(request: XenaSource, base: str, destination: Path, settings: Retrieval) -> list[FileRecord]:
    """Bring the files of a cohort to a folder (see :mod:`.sources`)."""
    urls = [_address(base, name) for name in _files(request).values()]
    wanted = [Wanted(url, Path(destination) / url.rpartition("/")[2]) for url in urls]
    records = [record for record in fetch_all(wanted, settings) if record]
    write_provenance(destination, records, LICENCE)
    return records


def plan(request: XenaSource, base: str, destination: Path) -> list[Planned]:
    """What :func:`retrieve` would fetch (see :mod:`.sources`)."""
    urls = {what: _address(base, name) for what, name in _files(request).items()}
    return [Planned(url, what, str(Path(destination) / url.rpartition("/")[2])) for what, url in urls.items()]


def _sample_column(path: Path, columns: pd.Index) -> str:
    for name in SAMPLE_COLUMNS:
        if name in columns:
            return name
    raise InputError(f"{path}: no column of samples ({', '.join(SAMPLE_COLUMNS)}); its header is {shown(columns)}")


def _refuse_twice(path: Path, samples: pd.Series) -> None:
    twice = samples[samples.duplicated()]
    if len(twice):
        raise InputError(f"{path}: line {twice.index[0]}: sample {twice.iloc[0]} stands in two rows; retrieve it again")


def read_survival(path: str | Path) -> tuple[pd.DataFrame, pd.Series]:
    """Read a survival file.

    Parameters
    ----------
    path : path
        Columns ``sample``, ``OS`` (1 = dead), ``OS.time`` (days) and, in most hubs, ``_PATIENT``; a row per sample.

    Returns
    -------
    outcome : DataFrame of str of shape (n_patients, 2)
        ``OS`` and ``OS.time``, index = patient; empty where missing.
    patients : Series of str
        Patient by sample.

    Raises
    ------
    InputError
        Another event than 0 and 1, a negative time, a sample in two rows, or samples of one patient that differ.
    """
    path = Path(path)
    table = read_plain_table(path, ("OS", "OS.time"))
    name = _sample_column(path, table.columns)
    check_names(path, table[name], name)
    _refuse_twice(path, table[name])
    event = column_numbers(path, table["OS"], "OS")
    time = column_numbers(path, table["OS.time"], "OS.time")
    for wrong, what in ((event.notna() & ~event.isin([0, 1]), "OS"), (time < 0, "OS.time")):
        if wrong.any():
            line = table.index[wrong][0]
            allowed = "1 (dead) or 0 (alive)" if what == "OS" else "days, not negative"
            raise InputError(f"{path}: line {line}: {what} is {table[what][line]!r}; it must be {allowed}")
    if "_PATIENT" in table:
        check_names(path, table["_PATIENT"], "_PATIENT")
        patients = table["_PATIENT"]
    else:
        patients = table[name].map(patient_of)
    outcome = pd.DataFrame({"OS": event.map("{:g}".format), "OS.time": time.map(repr)}).replace("nan", "")
    for patient, lines in patients.groupby(patients, sort=True).groups.items():
        if len(outcome.loc[lines].drop_duplicates()) > 1:
            raise InputError(
                f"{path}: lines {shown(lines)}: samples of patient {patient} with different OS or OS.time; one patient "
                "has one outcome: correct the file, or retrieve it again"
            )
    outcome = outcome.set_axis(pd.Index(patients, dtype=object)).groupby(level=0, sort=True).first()
    return outcome.rename_axis(None), pd.Series(patients.to_numpy(), index=table[name].to_numpy(), dtype=object)


def read_phenotype(path: str | Path) -> pd.DataFrame:
    """Read a phenotype (clinical) file.

    Returns
    -------
    DataFrame of str
        Index = sample; all columns as they are, and ``age_years`` and ``sex_at_diagnosis``, of the first of ``AGES``
        and ``SEXES`` that the file fills; empty where there is none.

    Raises
    ------
    InputError
        No column of samples, or a sample in two rows.
    """
    path = Path(path)
    table = read_plain_table(path)
    name = _sample_column(path, table.columns)
    check_names(path, table[name], name)
    _refuse_twice(path, table[name])
    table["age_years"] = ""
    for column, per_year in AGES.items():
        ages = pd.to_numeric(table[column], errors="coerce") / per_year if column in table else pd.Series(dtype=float)
        if ages.notna().any():
            table["age_years"] = ages.map(lambda age: "" if pd.isna(age) else repr(float(age)))
            break
    sexes = [column for column in SEXES if column in table and (table[column] != "").any()]
    table["sex_at_diagnosis"] = table[sexes[0]].str.lower() if sexes else ""
    return table.set_index(name, drop=False).rename_axis(None)


def read_variants(path: str | Path) -> pd.DataFrame:
    """Read a file of somatic variants.

    Parameters
    ----------
    path : path
        ``Sample_ID`` or ``sample``, ``gene``, ``effect`` (VEP terms) and, in older files, ``filter``. A sample without
        any variant may have one row with an empty gene.

    Returns
    -------
    DataFrame
        As :func:`amlprognosis.genomics.maf.read_maf`, with ``passed`` (bool): no filter, or ``PASS``.

    Raises
    ------
    InputError
        An effect that is no VEP term, with its line.
    """
    path = Path(path)
    table = read_plain_table(path, ("gene", "effect"))
    name = _sample_column(path, table.columns)
    check_names(path, table[name], name)
    effects = {effect: variant_class(effect) for effect in sorted(set(table["effect"]))}
    classes = table["effect"].map(effects).where(table["gene"] != "", "IGR")
    wrong = classes.isna() | ((table["gene"] != "") & (table["effect"] == ""))
    if wrong.any():
        line = table.index[wrong][0]
        raise InputError(
            f"{path}: line {line}: effect {table['effect'][line]!r} is no consequence of Ensembl VEP, such as "
            "missense_variant; retrieve the file again, or leave it out with mutations: null"
        )
    check_names(path, table["gene"].where(table["gene"] != "", "none"), "gene")
    change = next((column for column in ("Amino_Acid_Change", "HGVSp_Short") if column in table), None)
    return pd.DataFrame(
        {
            "gene": table["gene"],
            "variant_class": classes,
            "sample": table[name],
            "change": table[change] if change else "",
            "passed": table["filter"].isin(["PASS", ".", ""]) if "filter" in table else True,
        }
    )


def read_probe_map(path: str | Path) -> pd.Series:
    """Symbol by id, of a probeMap file (``id gene chrom chromStart chromEnd strand``).

    Raises
    ------
    InputError
        An id with two symbols.
    """
    path = Path(path)
    table = read_plain_table(path, names=("id",), needed=("gene",))
    pairs = table[["id", "gene"]].drop_duplicates()
    twice = pairs["id"][pairs["id"].duplicated()]
    if len(twice):
        raise InputError(f"{path}: line {twice.index[0]}: {twice.iloc[0]} has two genes; retrieve the file again")
    return pd.Series(pairs["gene"].to_numpy(), index=pairs["id"].to_numpy(), dtype=object, name="symbol")


def read_expression(path: str | Path) -> pd.DataFrame:
    """Read an expression matrix, genes in rows.

    Returns
    -------
    DataFrame of float64 of shape (n_samples, n_genes)

    Raises
    ------
    InputError
        A gene in two rows, or as :func:`amlprognosis.retrieve.lines.read_plain_matrix`.
    """
    path = Path(path)
    genes, values = read_plain_matrix(path)
    ids = genes.iloc[:, 0]
    wrong = (ids == "") | ids.duplicated() | ids.str.contains('"', regex=False)
    if wrong.any():
        raise InputError(
            f"{path}: gene {ids[wrong].iloc[0]!r} stands in two rows or has no proper name; retrieve it again"
        )
    return values.set_axis(ids.to_numpy(), axis=0).T


def recover_counts(matrix: pd.DataFrame, origin: str) -> tuple[pd.DataFrame, dict[str, object]]:
    """Counts from log2(count + 1).

    Parameters
    ----------
    matrix : DataFrame of shape (n_samples, n_genes)
        log2 values.
    origin : str
        How errors call the file.

    Returns
    -------
    counts : DataFrame
        Whole numbers: ``round(2**x - 1)``.
    step : dict
        Says the largest rounding error, and how many samples hold the mean of several aliquots (whose counts are
        multiples of a half, third or quarter).

    Raises
    ------
    InputError
        Missing or negative values, or values that are no counts: an error above 0.01 of the count.
    """
    values = matrix.to_numpy(dtype=float)
    if np.isnan(values).any() or (values < 0).any() or (values > 60).any():
        row, column = (int(places[0]) for places in np.nonzero(~((values >= 0) & (values <= 60))))
        raise InputError(
            f"{origin}: sample {matrix.index[row]}, gene {matrix.columns[column]}: {values[row, column]} is no "
            "log2(count + 1); set scale of the source to what the numbers are (log2, linear, counts, tpm)"
        )
    counts = np.empty_like(values)
    largest, averaged = 0.0, 0
    for row, sample in enumerate(values):
        linear = np.exp2(sample) - 1
        for aliquots in range(1, MOST_ALIQUOTS + 1):
            several = linear * aliquots
            errors = np.abs(several - np.rint(several)) / np.maximum(several, 1.0)
            if errors.max(initial=0.0) <= (LARGEST_ROUNDING if aliquots == 1 else LARGEST_ROUNDING_OF_MEANS):
                break
        else:
            worst = int(np.argmax(np.abs(linear - np.rint(linear)) / np.maximum(linear, 1.0)))
            raise InputError(
                f"{origin}: sample {matrix.index[row]}, gene {matrix.columns[worst]}: 2^{sample[worst]:g} - 1 is "
                f"{linear[worst]:.6g}, no whole count (nor the mean of a few): these are no log2(count + 1) values; "
                "set scale of the source to log2 (or tpm)"
            )
        averaged += aliquots > 1
        largest = max(largest, float(errors.max(initial=0.0)))
        counts[row] = np.rint(linear)
    several_text = f"; {averaged} samples are means of several aliquots, rounded to whole counts" if averaged else ""
    detail = f"round(2^x - 1); largest rounding error {largest:.1e} of a count{several_text}"
    return pd.DataFrame(counts, index=matrix.index, columns=matrix.columns), step("counts from log2", detail)


def merge_versions(matrix: pd.DataFrame, counts: bool, origin: str) -> tuple[pd.DataFrame, dict[str, object]]:
    """Cut version suffixes of Ensembl ids; the Y copies of pseudoautosomal genes join the X copy.

    Counts of both copies are added; of other values the Y copy is left out (it is masked, hence zero, in the GDC's
    alignment).

    Raises
    ------
    InputError
        A gene in two versions.
    """
    ids = pd.Index(matrix.columns)
    copies = ids.str.endswith("_PAR_Y")
    bare = ids.str.replace(r"_PAR_Y$", "", regex=True).str.replace(r"\.\d+$", "", regex=True)
    main = matrix.loc[:, ~copies].set_axis(bare[~copies], axis=1)
    twice = main.columns[main.columns.duplicated()]
    if len(twice):
        raise InputError(f"{origin}: genes in two versions: {shown(twice)}; retrieve the file again")
    lone = sorted(set(bare[copies]) - set(main.columns))
    if counts and copies.any():
        second = matrix.loc[:, copies].set_axis(bare[copies], axis=1).T.groupby(level=0).sum().T
        main = main.add(second.reindex(columns=main.columns, fill_value=0.0), fill_value=0.0)
    what = "added to the X copy of the gene" if counts else "left out"
    alone = f", {len(lone)} of them without an X copy" if lone else ""
    reason = f"{int(copies.sum())} Y copies of pseudoautosomal genes{alone}"
    return main, step("PAR_Y genes", what, len(ids), main.shape[1], reason)


def _found(folder: Path, name: str) -> Path:
    twin = folder / _twin(name)
    return twin if twin.is_file() and not (folder / name).is_file() else folder / name


def read(request: XenaSource, folder: Path, tables: Mapping[str, str]) -> RawCohort:
    """Read a retrieved cohort (see :mod:`.sources`).

    One sample per patient: primary before recurrent, then the first by name; normal tissue is left out.
    """
    folder = Path(folder)
    paths = {what: _found(folder, name) for what, name in _files(request).items()}
    outcome, patients = read_survival(paths["survival"])
    expression = read_expression(paths["expression"])
    of = {**{str(s): patient_of(str(s)) for s in expression.index}, **patients.to_dict()}
    chosen, left_out = one_per_patient(expression.index, of)
    if not chosen:
        raise InputError(f"{paths['expression']}: no tumour sample among {shown(expression.index)}")
    steps = [
        step(
            "one sample per patient",
            "primary before recurrent, then the first by name",
            len(expression),
            len(chosen),
            "a patient counts once; normal tissue is no tumour",
        )
    ]
    matrix = expression.loc[list(chosen.values())].set_axis(list(chosen), axis=0)
    ensembl = bool(matrix.columns.str.match(r"^ENSG\d+").mean() > 0.5)
    scale = "counts" if request.scale == "log2_counts" else request.scale
    if request.scale == "log2_counts":
        matrix, report = recover_counts(matrix, str(paths["expression"]))
        steps.append(report)
    if ensembl:
        matrix, report = merge_versions(matrix, scale == "counts", str(paths["expression"]))
        steps.append(report)
    raw = RawCohort(
        expression=matrix,
        scale=scale,
        gene_ids="ensembl" if ensembl else "symbol",
        clinical=_clinical(outcome, paths.get("phenotype"), of, chosen),
        patients=pd.Series({p: p for p in sorted({*chosen, *outcome.index})}, dtype=object),
        gene_map=read_probe_map(paths["probe map"]) if ensembl and "probe map" in paths else None,
        exclusions=left_out,
        provenance=read_provenance(folder),
        steps=steps,
        origin=f"Xena {request.cohort} ({paths['expression']})",
        clinical_origin=f"Xena {request.cohort} ({paths['survival']})",
    )
    if "mutations" in paths:
        _add_mutations(raw, paths["mutations"], of)
    return raw


def _clinical(outcome: pd.DataFrame, path: Path | None, of: dict[str, str], chosen: dict[str, str]) -> pd.DataFrame:
    """Outcome and phenotype by patient; of several phenotype rows that of the sample with expression."""
    wanted = [part.column for part in (DEFAULT_CLINICAL.age, DEFAULT_CLINICAL.sex, DEFAULT_CLINICAL.risk) if part]
    if path is None:
        return outcome.reindex(columns=[*outcome.columns, *wanted], fill_value="")
    rows = read_phenotype(path)
    all_rows, _ = one_per_patient(rows.index, of, {sample: 0 for sample in rows.index})
    first = {**all_rows, **{p: s for p, s in chosen.items() if s in rows.index}}
    others = rows.drop(columns=[name for name in rows.columns if name in outcome.columns])
    by_patient = others.loc[list(first.values())].set_axis(list(first), axis=0)
    table = outcome.join(by_patient, how="left").fillna("")
    return table.reindex(columns=[*table.columns, *(name for name in wanted if name not in table)], fill_value="")


def _add_mutations(raw: RawCohort, path: Path, of: dict[str, str]) -> None:
    variants = read_variants(path)
    samples = sorted(set(variants["sample"]))
    known = set(raw.patients)
    own = {sample: of.get(sample, patient_of(sample)) for sample in samples}
    chosen, further = one_per_patient([sample for sample in samples if own[sample] in known], own)
    if not chosen:
        raise InputError(f"{path}: none of its samples ({shown(samples, 3)}) is one of the patients {shown(known, 3)}")
    # A patient's further sample (a relapse) would add variants that were not there at diagnosis.
    kept = variants[variants["passed"] & ~variants["sample"].isin([item["patient"] for item in further])]
    patient = {sample: own[sample] for sample in chosen.values()}
    rule = "patients named in the file"
    raw.mutations, raw.tested, report = mutation_matrix(kept, patient, tested=frozenset(chosen), rule=rule)
    detail = "PASS, primary before recurrent sample"
    # In TCGA-LAML the filters take away most mutations of NPM1, DNMT3A and IDH2: skin, the normal tissue there, holds
    # leukaemic cells, and hot spots stand in the panel of normals.
    why = "filtered out by the caller, true mutations that the normal sample or the panel of normals has, too, included"
    filtered = step("variant filter", detail, len(variants), len(kept), why)
    raw.steps += [filtered, *report]
