"""From a raw cohort to a cohort under the contract."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from amlprognosis.cohort import EXCLUSION_COLUMNS, RawCohort, check_outcome, shown, step, validate_cohort
from amlprognosis.errors import InputError
from amlprognosis.normalize.arrays import quantile_normalize
from amlprognosis.normalize.clinical import join_patients, map_clinical
from amlprognosis.normalize.counts import normalize_counts, reference_content, reference_from
from amlprognosis.normalize.duplicates import COPIED, COPIES_RECORD, copied_profiles, copies_record
from amlprognosis.normalize.gene_table import ID_KINDS, bare_id, gene_table, symbols_of
from amlprognosis.normalize.genes import drop_missing, merge_duplicates, rename_genes, rename_steps
from amlprognosis.normalize.probes import probe_symbols, probes_to_genes
from amlprognosis.normalize.record import Quantiles, Record, missing_share
from amlprognosis.normalize.reference import CountsReference
from amlprognosis.normalize.scale import ScaleEvidence, recognise_processing, sample_quantiles, to_log2
from amlprognosis.normalize.tpm import check_tpm, normalize_tpm, tpm_or_fpkm
from amlprognosis.study import Clinical, Cohort, Study, TablesSource

if TYPE_CHECKING:
    from anndata import AnnData


_ID_NAMES = {"ensembl": "Ensembl", "entrez": "NCBI Gene", "refseq": "RefSeq"}


def assemble_cohort(
    study: Study, cohort_name: str, raw: RawCohort, *, reference: CountsReference | None = None
) -> AnnData:
    """Map, join, normalise, name and check a cohort.

    Parameters
    ----------
    study : Study
        The study.
    cohort_name : str
        One of its cohorts.
    raw : RawCohort
        As :func:`amlprognosis.retrieve.read.read_source` gives it.
    reference : CountsReference, optional
        Frozen reference (see :func:`frozen_reference`) of the training cohort, for counts of another cohort or of one
        new patient, whatever method their own settings name. Without it a cohort has its own.

    Returns
    -------
    AnnData of shape (n_patients, n_genes)
        Under the contract of :mod:`amlprognosis.cohort`; patients and genes sorted.

    Raises
    ------
    InputError
        Every fault of the input that is named in the functions called.

    Notes
    -----
    Filters by value (low expression, missing values) act on the training cohort only. A validation cohort keeps every
    measured
    gene, so that its values can never decide which genes the models see.
    """
    settings = study.cohorts[cohort_name]
    training = settings.role == "training"
    origin = f"cohorts.{cohort_name}: {raw.origin}"
    table = f"cohorts.{cohort_name}: {raw.clinical_origin or raw.origin}"
    clinical, sample_of, left_out = join_patients(raw.clinical, raw.patients, list(raw.expression.index))
    if clinical.empty:
        raise InputError(
            f"{origin}: no patient has both expression ({shown(raw.expression.index, 3)}) and clinical data "
            f"({shown(raw.clinical.index, 3)}); check clinical_id, orientation and patient_pattern"
        )
    obs, excluded, outcome_steps = map_clinical(clinical, _mapping(settings), table)
    if obs.empty:
        raise InputError(f"{table}: no patient is left: {outcome_steps[0]['detail']}")
    obs.index = obs.index.astype(object)
    matrix = raw.expression.loc[[sample_of[patient] for patient in obs.index]].set_axis(obs.index, axis=0)
    joined = step(
        "patients",
        "expression and clinical data",
        len(set(sample_of) | _patients(raw)),
        len(clinical),
        "one is lacking",
    )
    result = _Normalized(settings, raw, origin, training, reference, study).run(matrix)
    copies = copied_profiles(result.matrix)
    record = copies_record(copies, obs) if copies else ""
    if copies:
        # A patient under two names would stand on both sides of a fold, and shape what others are normalised by.
        matrix, obs = matrix.drop(index=list(copies)), obs.drop(index=list(copies))
        outcome_steps.append(_copies_step(copies, len(obs)))
        excluded = [*excluded, *({"patient": patient, "reason": COPIED} for patient in copies)]
        result = _Normalized(settings, raw, origin, training, reference, study).run(matrix)
    adata = _anndata(obs, result, raw, study)
    exclusions = pd.DataFrame([*raw.exclusions, *left_out, *excluded], columns=list(EXCLUSION_COLUMNS), dtype=object)
    adata.uns["exclusions"] = exclusions.sort_values(list(EXCLUSION_COLUMNS), kind="stable").reset_index(drop=True)
    if record:
        adata.uns[COPIES_RECORD] = record
    adata.uns["provenance"] = json.dumps(raw.provenance, sort_keys=True)
    adata.uns["preprocessing"] = json.dumps([*raw.steps, joined, *outcome_steps, *result.steps], sort_keys=True)
    if training:
        check_outcome(adata, name=origin)
    validate_cohort(adata, name=origin)
    return adata


def _copies_step(copies: dict[str, str], left: int) -> dict[str, Any]:
    named = shown([f"{patient} is {first}" for patient, first in sorted(copies.items())])
    return step("duplicated patients", named, left + len(copies), left, COPIED)


def frozen_reference(adata: AnnData) -> CountsReference | None:
    """Frozen reference of a cohort of counts, or None for other cohorts.

    Raises
    ------
    InputError
        A cohort of counts that an older release made.
    """
    if "counts" not in adata.layers:
        return None
    if "counts_reference" not in adata.uns:
        raise InputError(
            "a cohort of counts without its frozen reference: an older release made it; delete its file and run again"
        )
    return reference_from(json.loads(adata.uns["counts_reference"]))


def _mapping(settings: Cohort) -> Clinical:
    if settings.clinical is not None:
        return settings.clinical
    from amlprognosis.retrieve.sources import default_clinical

    return default_clinical(settings.source)


def _patients(raw: RawCohort) -> set[str]:
    return {str(raw.patients.get(name, name)) for name in raw.clinical.index}


class _Normalized:
    """The steps from a raw matrix to log2 expression per approved gene, with what each of them dropped."""

    def __init__(
        self,
        settings: Cohort,
        raw: RawCohort,
        origin: str,
        training: bool,
        reference: CountsReference | None,
        study: Study,
    ) -> None:
        self.rules = settings.normalization
        self.raw, self.origin, self.training, self.reference, self.study = raw, origin, training, reference, study
        self.own_map = isinstance(settings.source, TablesSource)
        self.steps: list[dict[str, Any]] = []
        self.counts: pd.DataFrame | None = None
        self.ensembl = pd.Series(dtype=object)
        self.matrix = pd.DataFrame()
        self.record = Record()

    def run(self, matrix: pd.DataFrame) -> _Normalized:
        """Normalise a matrix of patients x ids."""
        self.record.missing_share = missing_share(matrix)
        if self.raw.scale == "counts":
            matrix, unit = self._counts(self._genes(matrix))
        elif self.raw.scale == "tpm":
            matrix, unit = self._tpm(matrix), "log2(x + 1)"
        else:
            matrix, unit = self._intensities(matrix)
        if self.training:
            matrix, steps = drop_missing(matrix, self.rules.max_missing_share)
            self.steps += steps
        self.matrix = matrix
        self.record.after = Quantiles.of(matrix, unit)
        return self

    def _counts(self, counts: pd.DataFrame) -> tuple[pd.DataFrame, str]:
        given = self.reference
        found = normalize_counts(
            counts,
            method=self.rules.counts,
            min_count=self.rules.min_count,
            min_samples_share=self.rules.min_samples_share,
            filter_genes=self.training,
            reference=given,
            origin=self.origin,
        )
        self.reference = found.reference
        self.steps += found.steps
        self.counts = counts[found.matrix.columns]
        self.record.scale = ScaleEvidence(
            "counts",
            "counts",
            "as the study says",
            processing="estimated counts" if found.estimated else "",
            processing_evidence=found.estimated,
        )
        # Of the genes that stay, as afterwards: most genes of an annotation have no count at all.
        self.record.before = Quantiles.of(np.log2(self.counts + 1), "log2(count + 1)")
        self.record.counts = {
            "method": found.reference.method,
            "reference": "training" if given else "own",
            "library_size": found.library,
            "detected_genes": (counts.to_numpy() > 0).sum(axis=1),
            "factors": found.factors,
        }
        return found.matrix, found.reference.unit

    def _tpm(self, matrix: pd.DataFrame) -> pd.DataFrame:
        check_tpm(matrix, self.origin)
        kind, evidence = tpm_or_fpkm(matrix)
        self.steps.append(step("scale", f"tpm (as the study says): {evidence}"))
        self.record.scale = ScaleEvidence(
            "tpm", "tpm", "as the study says", processing=kind, processing_evidence=evidence
        )
        matrix = self._genes(matrix)
        self.record.before = Quantiles.of(np.log2(matrix + 1), "log2(x + 1)")
        matrix, steps = normalize_tpm(
            matrix,
            min_count=self.rules.min_count,
            min_samples_share=self.rules.min_samples_share,
            filter_genes=self.training,
            origin=self.origin,
        )
        self.steps += steps
        return matrix

    def _intensities(self, matrix: pd.DataFrame) -> tuple[pd.DataFrame, str]:
        """Arrays, and tables on a log2 or linear scale."""
        matrix, scale, steps = to_log2(matrix, self.raw.scale, self.origin, array=self.raw.array)
        self.steps += steps
        quantiles = sample_quantiles(matrix.to_numpy(dtype=float))
        if self.raw.array:
            kind, evidence = recognise_processing(matrix.to_numpy(dtype=float), quantiles, scale.verdict)
            scale = replace(scale, processing=kind, processing_evidence=evidence)
            self.steps += [step("earlier processing", f"{kind}: {evidence}")] if kind else []
        self.record.scale = scale
        unit = "log2 ratios" if scale.verdict == "log2_ratio" else "log2 values"
        things = "probes" if self.raw.gene_ids == "probe" else "genes"
        self.record.before = Quantiles.known(quantiles, matrix.shape[1], unit, things)
        matrix = self._quantile(matrix, scale, quantiles)
        return self._probes(matrix) if self.raw.gene_ids == "probe" else self._genes(matrix), unit

    def _quantile(self, matrix: pd.DataFrame, scale: ScaleEvidence, quantiles: np.ndarray) -> pd.DataFrame:
        why = ""
        if scale.verdict == "log2_ratio":
            low, high = np.nanmin(quantiles[:, 50]), np.nanmax(quantiles[:, 50])
            why = f"log2 ratios to a common reference; medians of the samples {low:.2g} to {high:.2g}, left as they are"
        elif not self.raw.array:
            why = "values per gene, not per probe"
        elif not self.rules.quantile:
            why = "switched off in the study"
        elif scale.processing == "quantile-normalised":
            why = f"{scale.processing_evidence}, so that it would change nothing"
        if why:
            self.steps.append(step("quantile normalisation", f"not applied: {why}"))
            return matrix
        matrix, target = quantile_normalize(matrix)
        detail = f"mean quantiles of {len(matrix)} samples, median {np.median(target):.3g}, maximum {target[-1]:.3g}"
        self.steps.append(step("quantile normalisation", detail))
        return matrix

    def _probes(self, matrix: pd.DataFrame) -> pd.DataFrame:
        if self.raw.gene_map is None:
            raise InputError(f"{self.origin}: probes need a gene_map")
        symbols, counted = probe_symbols(self.raw.gene_map)
        named = sorted(set(symbols) - {""})
        new, report = rename_genes(named)
        symbols = symbols.map(dict(zip(named, new, strict=True))).fillna("")
        self.steps.append(
            step(
                "platform table",
                f"{len(symbols)} probes: {counted['without']} without a gene, {counted['several']} with several",
            )
        )
        self.steps += rename_steps(len(named), len(set(new)), report)
        matrix, _, steps = probes_to_genes(matrix, symbols, self.rules.probe_rule, self.origin, self.raw.gene_map)
        self.steps += steps
        return matrix

    def _genes(self, matrix: pd.DataFrame) -> pd.DataFrame:
        ids = matrix.columns
        if self.raw.gene_ids in ID_KINDS:
            matrix, ids = self._symbols_of_ids(matrix)
        elif self.rules.duplicates == "error":
            twice = sorted(set(ids[ids.duplicated()]))
            if twice:
                raise InputError(
                    f"{self.origin}: genes named more than once: {shown(twice)}; keep one row per gene, or set "
                    "normalization.duplicates: max_mean"
                )
        renamed, report = rename_genes([str(name) for name in matrix.columns])
        positions = pd.Series(np.arange(len(ids)), index=range(len(ids)))
        before = matrix.shape[1]
        # Columns carry their position, so that the id of the one that stays is known.
        merged, chosen, gave_way = merge_duplicates(matrix, renamed)
        self.steps += rename_steps(before, merged.shape[1], report + gave_way)
        if self.raw.gene_ids == "ensembl":
            self.ensembl = self._ensembl_of(matrix, ids, renamed, merged, chosen, positions)
        return merged

    def _symbols_of_ids(self, matrix: pd.DataFrame) -> tuple[pd.DataFrame, pd.Index]:
        """Columns of ids with a gene, named by its symbol.

        By the frozen table, then by the source's own: annotations of another year call other genes by a name. A map
        that the user gives (own tables) comes first.
        """
        kind = self.raw.gene_ids
        symbols = symbols_of(matrix.columns, kind).to_numpy(dtype=object)
        bare = pd.Index([bare_id(name, kind) for name in matrix.columns], dtype=object)
        by_table = symbols != ""
        if self.raw.gene_map is not None:
            own = self.raw.gene_map[~self.raw.gene_map.index.duplicated()].fillna("")
            plain = own.set_axis([bare_id(name, kind) for name in own.index], axis=0)
            plain = plain[~plain.index.duplicated()].reindex(bare).fillna("").to_numpy(dtype=object)
            exact = own.reindex(matrix.columns).fillna("").to_numpy(dtype=object)
            given = np.where(exact != "", exact, plain)
            if self.own_map:
                by_table &= given == ""
            symbols = np.where(by_table, symbols, given)
        named = symbols != ""
        if not named.any():
            raise InputError(
                f"{self.origin}: none of the {kind} ids ({shown(matrix.columns, 3)}) is known; is gene_ids right? A "
                "gene_map can name them"
            )
        how = f"{int(by_table.sum())} by the HGNC table of {gene_table().date}"
        if self.raw.gene_map is not None:
            how = f"{int((named & ~by_table).sum())} by the source's own table, {how}"
        self.steps.append(
            step(f"{_ID_NAMES[kind]} ids to symbols", how, matrix.shape[1], int(named.sum()), "no symbol")
        )
        return matrix.loc[:, named].set_axis(symbols[named], axis=1), bare[named]

    @staticmethod
    def _ensembl_of(
        matrix: pd.DataFrame,
        ids: pd.Index,
        renamed: list[str],
        merged: pd.DataFrame,
        chosen: pd.Index,
        positions: pd.Series,
    ) -> pd.Series:
        """Ensembl id of each gene that stayed: of the column with its values."""
        table = pd.DataFrame({"symbol": renamed, "old": matrix.columns, "id": ids, "position": positions.to_numpy()})
        sums = np.nansum(matrix.to_numpy(dtype=float), axis=0)
        table["sum"] = sums
        table = table.sort_values(["symbol", "sum", "position"], ascending=[True, False, True], kind="stable")
        kept = pd.Series(chosen, index=merged.columns)
        table = table[table["old"].to_numpy() == kept.reindex(table["symbol"]).to_numpy()]
        return table.drop_duplicates("symbol").set_index("symbol")["id"]


def _anndata(obs: pd.DataFrame, result: _Normalized, raw: RawCohort, study: Study) -> AnnData:
    from anndata import AnnData

    genes = pd.Index([str(name) for name in result.matrix.columns], dtype=object)
    var = pd.DataFrame(
        {"ensembl": result.ensembl.reindex(genes).fillna("").astype(str).to_numpy(dtype=object)}, index=genes
    )
    adata = AnnData(X=result.matrix.to_numpy(dtype=np.float32), obs=obs, var=var)
    if result.counts is not None:
        adata.layers["counts"] = result.counts.to_numpy(dtype=np.float32)
        assert result.reference is not None
        adata.uns["counts_reference"] = json.dumps(reference_content(result.reference), sort_keys=True)
    adata.uns["quality"] = result.record.text(obs.index)
    if raw.mutations is not None:
        adata.obsm["mutations"], report = _mutations(raw, obs.index, list(study.features.mutations))
        result.steps += report
    return adata


def _mutations(raw: RawCohort, patients: pd.Index, wanted: list[str]) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """Mutations of the cohort's patients: the study's genes and those mutated in two patients or more."""
    assert raw.mutations is not None
    tested = [patient for patient in patients if patient in raw.tested]
    # A gap in the source's own matrix is a gene that was not looked at in this patient (panels), and stays one.
    found = raw.mutations.reindex(index=tested, fill_value=0.0)
    recurrent = set(found.columns[found.sum(axis=0) >= 2])
    columns = sorted(recurrent | set(wanted))
    frame = found.reindex(columns=columns, fill_value=0.0).reindex(index=patients).astype(np.float32)
    detail = f"{len(tested)} of {len(patients)} patients tested; the others are missing, not wild type"
    before = int((found.sum(axis=0) > 0).sum())
    kept = int((frame.sum(axis=0) > 0).sum())
    return frame, [
        step("mutated genes", detail, before, kept, "mutated in a single patient and no feature of the study")
    ]
