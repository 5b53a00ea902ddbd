"""A world of simulated cohorts in the wire formats of the real services, for the study tcga_geo.

Everything is made by the demo's simulator (published facts of AML, planted programmes) and written as GDC and GEO
send it: TCGA-LAML with its sample types, an aliquot MAF per case and clinical data without a risk label; GSE37642 with
one matrix per platform, GSE12417 with its clinical data in one sentence, GSE71014 on an Illumina array. The names of
fields follow public code that reads the genuine files.

``python tests/remote_world.py FOLDER [--full]`` writes it, ``--full`` in the sizes of the real cohorts.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow"))

from amlprognosis.demo.expression import Probes, biology, counts, intensities, make_gene_model, make_probes
from amlprognosis.demo.facts import load_facts
from amlprognosis.demo.files import fill, identifier, md5, write_gzip, write_json, write_text
from amlprognosis.demo.maf import maf_text
from amlprognosis.demo.programmes import choose_genes, programmes
from amlprognosis.demo.settings import DemoSettings
from amlprognosis.demo.world import DAYS_PER_MONTH, Cohort, baseline, draw_patients, draw_survival
from amlprognosis.demo.write_gdc import COLUMNS
from amlprognosis.normalize.arrays import quantile_normalize

GENES_OF_GENCODE_36 = 60_660
PRIMARY = "Primary Blood Derived Cancer - Peripheral Blood"


@dataclass(frozen=True)
class Size:
    """How large the world is."""

    genes: int
    rows: int  # of a STAR-counts file
    tcga: int  # patients with expression
    tcga_cases: int
    gpl96: int  # GSE37642
    gpl570: int
    cn_gpl96: int  # GSE12417
    cn_gpl570: int
    illumina: int  # GSE71014


SMALL = Size(1500, 1500, 110, 120, 70, 30, 30, 60, 60)
FULL = Size(12_000, GENES_OF_GENCODE_36, 151, 200, 422, 140, 163, 79, 104)


def write_world(root: Path, size: Size = SMALL, seed: int = 7, *, only_gdc: bool = False) -> dict[str, Any]:
    """Write ``gdc/`` and ``geo/`` (unless ``only_gdc``) below a folder.

    Returns
    -------
    dict
        What stands in it: patients and deaths per cohort, as a study should find them.
    """
    facts, planted = load_facts(), programmes()
    streams = iter(np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(16))
    settings = DemoSettings(genes=size.genes)
    genes = choose_genes(facts, size.genes, next(streams))
    model = make_gene_model(facts, genes, planted, next(streams))
    scales = baseline(facts, settings)
    factors = [p.name for p in planted if p.name != "stemness"]

    def make(number: int) -> tuple[Cohort, np.ndarray, np.random.Generator]:
        rng = next(streams)
        clinical, mutations, latent = draw_patients(facts, settings, number, factors, rng)
        values, scores = biology(facts, model, planted, settings.programme_coherence, clinical, latent, rng)
        return draw_survival(facts, settings, clinical, mutations, latent, scores["hazard"], scales, rng), values, rng

    found = {"TCGA-LAML": _write_tcga(root / "gdc", facts, model, *make(size.tcga_cases), size)}
    if only_gdc:
        return found
    affymetrix, rng = make_probes(model, next(streams)), next(streams)
    illumina = make_probes(model, next(streams))
    illumina = Probes([f"ILMN_{1650000 + k}" for k in range(len(illumina.identifiers))], illumina.targets)
    # The chips of one manufacturer hold other parts of one design.
    third = rng.permutation(len(affymetrix.identifiers))
    n = len(third)
    chips = {
        "GPL96": _part(affymetrix, np.sort(third[: 2 * n // 3])),
        "GPL97": _part(affymetrix, np.sort(third[n // 3 :])),
        "GPL570": affymetrix,
        "GPL10558": illumina,
    }
    for name, probes in chips.items():
        folder = root / "geo" / "platforms" / f"{name[:-3] if len(name) > 6 else 'GPL'}nnn"
        _write_platform(folder, name, model, probes)
    series = root / "geo" / "series"
    first, values, rng = make(size.gpl96)
    found["GSE37642"] = _write_series(series, "GSE37642", "GPL96", chips, first, values, rng, 924001, _amlcg)
    _write_series(series, "GSE37642", "GPL97", chips, first, values, rng, 925001, _amlcg_without_outcome)
    cohort, values, rng = make(size.gpl570)
    _write_series(series, "GSE37642", "GPL570", chips, cohort, values, rng, 926001, _amlcg)
    cohort, values, rng = make(size.cn_gpl96)
    _write_series(series, "GSE12417", "GPL96", chips, cohort, values, rng, 311598, _sentence)
    _write_series(series, "GSE12417", "GPL97", chips, cohort, values, rng, 311898, _sentence)
    cohort, values, rng = make(size.cn_gpl570)
    found["GSE12417"] = _write_series(series, "GSE12417", "GPL570", chips, cohort, values, rng, 312098, _sentence)
    cohort, values, rng = make(size.illumina)
    found["GSE71014"] = _write_series(series, "GSE71014", "GPL10558", chips, cohort, values, rng, 1825001, _months, "")
    return found


def _part(probes: Probes, at: np.ndarray) -> Probes:
    return Probes([probes.identifiers[k] for k in at], [probes.targets[k] for k in at])


# GDC ------------------------------------------------------------------------------------------------------


def _write_tcga(
    root: Path, facts: Any, model: Any, cohort: Cohort, values: np.ndarray, rng: np.random.Generator, size: Size
) -> dict[str, Any]:
    names = [f"TCGA-AB-{2800 + k}" for k in range(size.tcga_cases)]
    reads = counts(values, model, rng, depth=40e6)
    filler = size.rows - len(model.genes)
    ids = [f"{ensembl}.{1 + int(ensembl[-2:]) % 17}" for ensembl in model.ensembl]
    ids += [f"ENSG90{k:09d}.1" for k in range(filler)]
    symbols = [*model.genes, *(f"AC{900000 + k}.1" for k in range(filler))]
    kinds = ["protein_coding"] * len(model.genes) + ["lncRNA"] * filler
    row = "\t%d\t%d\t%d\t%.4f\t%.4f\t%.4f"
    template = "\n".join(f"{i}\t{s}\t{k}{row}" for i, s, k in zip(ids, symbols, kinds, strict=True)) + "\n"
    length = np.concatenate([model.length, np.full(filler, 800.0)])
    header = "# gene-model: GENCODE v36\n" + "\t".join(COLUMNS) + "\n"
    hits: list[dict[str, Any]] = []
    for k in range(size.tcga):
        silent = rng.poisson(0.3, filler)
        count = np.concatenate([reads[k], silent])
        rate = count / length
        table = np.empty((len(count), 6), dtype=object)
        half = rng.binomial(count, 0.5)
        table[:, 0], table[:, 1], table[:, 2] = count, half, count - half
        table[:, 3], table[:, 4] = rate / rate.sum() * 1e6, rate * 1e9 / count.sum()
        table[:, 5] = table[:, 4] * 1.1
        counters = zip(("N_unmapped", "N_multimapping", "N_noFeature", "N_ambiguous"), (9, 8, 7, 6), strict=True)
        text = header + "".join(f"{n}\t\t\t{c}\t{c}\t{c}\t\t\t\n" for n, c in counters) + fill(template, table)
        name = f"{identifier(rng)}.rna_seq.augmented_star_gene_counts.tsv"
        hits.append(_file(root, name, text, names[k], rng, "Gene Expression Quantification", "STAR - Counts"))
    for k in range(size.tcga_cases - 15):  # the others were not sequenced
        barcode = f"{names[k]}-03A-01D-0739-09"
        text = maf_text(facts, cohort.mutations.iloc[[k]], [barcode], rng)
        name = f"{identifier(rng)}.wxs.aliquot_ensemble_masked.maf.gz"
        workflow = "Aliquot Ensemble Somatic Variant Merging and Masking"
        hits.append(_file(root, name, text, names[k], rng, "Masked Somatic Mutation", workflow))
    hits.sort(key=lambda hit: str(hit["file_id"]))
    write_json(root / "files.json", _answer(hits))
    write_json(root / "cases.json", _answer([_case(names[k], cohort, k) for k in range(size.tcga_cases)]))
    with_expression = cohort.clinical.iloc[: size.tcga]
    return {"patients": size.tcga, "deaths": int(with_expression["os_event"].sum())}


def _file(
    root: Path, name: str, text: str, case: str, rng: np.random.Generator, kind: str, workflow: str
) -> dict[str, Any]:
    file_id = identifier(rng)
    path = root / "data" / file_id / name
    data = write_gzip(path, text, level=1) if name.endswith(".gz") else write_text(path, text)
    expression = kind == "Gene Expression Quantification"
    return {
        "id": file_id,
        "file_id": file_id,
        "file_name": name,
        "file_size": len(data),
        "md5sum": md5(data),
        "access": "open",
        "state": "released",
        "data_format": "TSV" if expression else "MAF",
        "data_type": kind,
        "data_category": "Transcriptome Profiling" if expression else "Simple Nucleotide Variation",
        "experimental_strategy": "RNA-Seq" if expression else "WXS",
        "analysis": {"workflow_type": workflow},
        "associated_entities": [{"entity_submitter_id": f"{case}-03A-01{'T' if expression else 'D'}-0734-13"}],
        "cases": [
            {
                "submitter_id": case,
                "project": {"project_id": "TCGA-LAML"},
                "samples": [{"submitter_id": f"{case}-03A", "sample_type": PRIMARY}],
            }
        ],
    }


def _answer(hits: list[dict[str, Any]]) -> dict[str, Any]:
    page = {"count": len(hits), "total": len(hits), "size": len(hits), "from": 0, "sort": "", "page": 1, "pages": 1}
    return {"data": {"hits": hits, "pagination": page}, "warnings": {}}


def _case(name: str, cohort: Cohort, row: int) -> dict[str, Any]:
    fact = cohort.clinical.iloc[row]
    dead, days = bool(fact["os_event"]), int(fact["os_days"])
    return {
        "case_id": md5(name.encode()),
        "submitter_id": name,
        "project": {"project_id": "TCGA-LAML"},
        "demographic": {
            "gender": str(fact["sex"]),
            "vital_status": "Dead" if dead else "Alive",
            "days_to_death": days if dead else None,
            "race": "white",
        },
        "diagnoses": [
            {
                "primary_diagnosis": "Acute myeloid leukemia, NOS",
                "age_at_diagnosis": round(float(fact["age"]) * 365.25),
                "days_to_last_follow_up": None if dead else days,
            }
        ],
        "follow_ups": [{"days_to_follow_up": None if dead else days, "molecular_tests": []}],
    }


# GEO ------------------------------------------------------------------------------------------------------


def _amlcg(cohort: Cohort, k: int) -> list[str]:
    fact = cohort.clinical.iloc[k]
    fab = ("0", "1", "2", "4", "5", "6", "NA", "3" if k == 3 else "4")[k % 8]
    runx1 = "yes" if bool(cohort.mutations.iloc[k]["RUNX1"]) else "no"
    return [
        f"age: {round(float(fact['age']))}",
        f"fab: {fab}",
        "runx1-runx1t1_fusion: no",
        f"runx1_mutation: {runx1}",
        f"overall survival (days): {'NA' if k == 5 else int(fact['os_days'])}",
        f"life status: {'dead' if fact['os_event'] else 'alive'}",
    ]


def _amlcg_without_outcome(cohort: Cohort, k: int) -> list[str]:
    return _amlcg(cohort, k)[:4]


def _sentence(cohort: Cohort, k: int) -> list[str]:
    fact = cohort.clinical.iloc[k]
    kind = "MDS RAEB" if k == 2 else f"AML FAB M{k % 6}"
    return [
        f"normal karyotype (test set) {kind}; age = {round(float(fact['age']))} years; "
        f"OS = {int(fact['os_days'])} days; status (0=alive/1=dead): {int(fact['os_event'])}"
    ]


def _months(cohort: Cohort, k: int) -> list[str]:
    fact = cohort.clinical.iloc[k]
    return [
        "tissue: bone marrow",
        "disease: AML with normal karyotype",
        f"overall survival (months): {float(fact['os_days']) / DAYS_PER_MONTH:.2f}",
        f"event (1: dead, 0:alive): {int(fact['os_event'])}",
    ]


def _write_series(
    root: Path,
    accession: str,
    platform: str,
    chips: dict[str, Probes],
    cohort: Cohort,
    values: np.ndarray,
    rng: np.random.Generator,
    first: int,
    entries: Any,
    suffix: str | None = None,
) -> dict[str, Any]:
    probes, patients = chips[platform], len(cohort.clinical)
    samples = [f"GSM{first + k}" for k in range(patients)]
    texts = [entries(cohort, k) for k in range(patients)]
    lines = [
        f'!Series_title\t"Simulated in the form of {accession}"',
        f'!Series_geo_accession\t"{accession}"',
        f'!Series_platform_id\t"{platform}"',
        "",
        _quoted("!Sample_title", [f"AML {k + 1} ({platform})" for k in range(patients)]),
        _quoted("!Sample_geo_accession", samples),
        _quoted("!Sample_channel_count", ["1"] * patients),
        _quoted("!Sample_source_name_ch1", ["AML bone marrow at diagnosis"] * patients),
        *(
            _quoted("!Sample_characteristics_ch1", [text[row] if row < len(text) else "" for text in texts])
            for row in range(max(len(text) for text in texts))
        ),
        _quoted("!Sample_platform_id", [platform] * patients),
        _quoted("!Sample_data_row_count", [str(len(probes.identifiers))] * patients),
        "!series_matrix_table_begin",
        "\t".join(['"ID_REF"', *(f'"{name}"' for name in samples)]),
    ]
    measured = np.log2(intensities(values, probes, rng))
    normalized, _ = quantile_normalize(pd.DataFrame(measured))
    order = sorted(range(len(probes.identifiers)), key=lambda j: probes.identifiers[j])
    template = "\n".join(f'"{probes.identifiers[j]}"' + "\t%.4f" * patients for j in order)
    body = fill(template, np.ascontiguousarray(normalized.to_numpy().T[order]))
    name = f"{accession}{f'-{platform}' if suffix is None else suffix}_series_matrix.txt.gz"
    folder = root / f"{accession[:-3]}nnn" / accession / "matrix"
    write_gzip(folder / name, "\n".join(lines) + "\n" + body + "\n!series_matrix_table_end\n", level=1)
    return {"patients": patients, "deaths": int(cohort.clinical["os_event"].sum())}


def _quoted(key: str, values: list[str]) -> str:
    return key + "\t" + "\t".join(f'"{value}"' for value in values)


def _write_platform(root: Path, name: str, model: Any, probes: Probes) -> None:
    lines = [
        "^Annotation",
        f"!Annotation_platform = {name}",
        "#ID = ID from Platform data table",
        "#Gene title = Entrez Gene name",
        "#Gene symbol = Entrez Gene symbol",
        "#Gene ID = Entrez Gene identifier",
        "!platform_table_begin",
        "ID\tGene title\tGene symbol\tGene ID\tPlatform_SPOTID",
    ]
    for probe, targets in sorted(zip(probes.identifiers, probes.targets, strict=True)):
        symbols = "///".join(model.genes[t] for t in targets)
        lines.append(f"{probe}\t{symbols.lower()}\t{symbols}\t\t{'' if targets else '--Control'}")
    lines.append("!platform_table_end")
    write_gzip(root / name / "annot" / f"{name}.annot.gz", "\n".join(lines) + "\n")


if __name__ == "__main__":
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("folder", type=Path)
    words.add_argument("--full", action="store_true", help="in the sizes of the real cohorts (about 1.5 GB)")
    words.add_argument("--only-gdc", action="store_true", help="TCGA-LAML alone")
    chosen = words.parse_args()
    print(write_world(chosen.folder, FULL if chosen.full else SMALL, only_gdc=chosen.only_gdc))
