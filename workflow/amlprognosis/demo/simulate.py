"""Simulate the demo world and write it in the sources' wire formats."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from amlprognosis.demo import write_cells, write_gdc, write_geo
from amlprognosis.demo.cells import HAZARD_LEVEL, cell_genes, simulate_cells
from amlprognosis.demo.expression import biology, counts, intensities, make_gene_model, make_probes
from amlprognosis.demo.facts import load_facts
from amlprognosis.demo.files import write_json
from amlprognosis.demo.programmes import choose_genes, programmes
from amlprognosis.demo.settings import DemoSettings
from amlprognosis.demo.world import Cohort, baseline, concordance, draw_patients, draw_survival
from amlprognosis.demo.write_tables import write_tables


def simulate(
    directory: str | Path, seed: int, settings: DemoSettings | Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Write the demo world.

    Parameters
    ----------
    directory : str or Path
        Gets ``gdc/`` (training cohort DEMO-AML), ``geo/`` (array cohort GSE999001 with GPL999, atlas GSE999002),
        ``tables/`` (RNA-seq validation cohort) and ``truth.json``.
    seed : int
        The same seed and settings give the same bytes.
    settings : DemoSettings or mapping, optional
        Sizes and planted effects.

    Returns
    -------
    dict
        The planted truth, as in ``truth.json``: ``programmes`` (genes with sign and weight, hazard per standard
        deviation), ``cohorts`` (true C of the parts of the linear predictor, traps), ``atlas``, ``settings``, ``seed``.

    Raises
    ------
    InputError
        Unknown or too small settings.
    """
    settings = DemoSettings.of(settings)
    directory = Path(directory)
    facts = load_facts()
    # A stream of its own for each part: changing the size of one cohort leaves the others as they were.
    streams = iter(np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(16))
    planted = programmes()
    genes = choose_genes(facts, settings.genes, next(streams))
    model = make_gene_model(facts, genes, planted, next(streams))
    scales = baseline(facts, settings)
    factors = [p.name for p in planted if p.name != "stemness"]
    truth_cohorts: dict[str, Any] = {}

    def make(number: int, rng: np.random.Generator) -> tuple[Cohort, np.ndarray]:
        clinical, mutations, latent = draw_patients(facts, settings, number, factors, rng)
        values, scores = biology(facts, model, planted, settings.programme_coherence, clinical, latent, rng)
        return draw_survival(facts, settings, clinical, mutations, latent, scores["hazard"], scales, rng), values

    rng, writer = next(streams), next(streams)
    cohort, values = make(settings.training_patients, rng)
    twin = int(rng.integers(settings.training_patients))
    relapse = values[twin] + 0.5 * rng.standard_normal(len(genes))
    reads = counts(np.vstack([values, relapse]), model, rng, depth=30e6)
    traps = write_gdc.write_gdc(directory / "gdc", facts, model, cohort, reads[:-1], (twin, reads[-1]), writer)
    truth_cohorts[write_gdc.PROJECT] = _cohort_truth(cohort, traps)
    del values, reads

    rng, writer = next(streams), next(streams)
    cohort, values = make(settings.array_patients, rng)
    probes = make_probes(model, rng)
    traps = write_geo.write_series(directory / "geo", model, probes, cohort, intensities(values, probes, rng), writer)
    truth_cohorts[write_geo.SERIES] = _cohort_truth(cohort, traps)
    del values

    rng, writer = next(streams), next(streams)
    cohort, values = make(settings.rnaseq_patients, rng)
    reads = counts(values, model, rng, depth=18e6, platform_shift=0.4, batches=2)
    traps = write_tables(directory / "tables", facts, model, cohort, reads, writer)
    truth_cohorts["tables"] = _cohort_truth(cohort, traps)
    del values, reads

    rng = next(streams)
    rows = cell_genes(facts, planted, genes, settings.cell_genes)
    atlas = write_cells.write_atlas(directory / "geo", rows, simulate_cells(facts, settings, planted, rows, rng))

    present = set(genes)
    strength = {"hazard": settings.programme_log_hazard, "stemness": settings.stemness_log_hazard}
    truth = {
        "seed": int(seed),
        "settings": {**dataclasses.asdict(settings), "followup_years": list(settings.followup_years)},
        "note": "Signs and weights are planted; they say nothing about the real genes. Survival draws are balanced "
        "against the true hazard, so that a small cohort shows about what a large one would.",
        "programmes": {
            p.name: {
                "hazard": p.hazard,
                "log_hazard_per_sd": strength.get(p.name, 0.0),
                "genes": [
                    {"gene": g, "sign": int(s), "weight": round(float(w), 4)}
                    for g, s, w in zip(p.genes, p.signs, p.weights, strict=True)
                    if g in present
                ],
            }
            for p in planted
        },
        "baseline": {
            "weibull_shape": settings.weibull_shape,
            "scale_days": {k: round(v, 3) for k, v in scales.items()},
        },
        "cohorts": truth_cohorts,
        "atlas": {
            **atlas,
            "accession": write_cells.SERIES,
            "hazard_programme_level": {f"{k}-like": v for k, v in HAZARD_LEVEL.items()},
        },
    }
    write_json(directory / "truth.json", truth)
    return truth


def _cohort_truth(cohort: Cohort, traps: dict[str, Any]) -> dict[str, Any]:
    """Size, deaths, traps and the true C of each part of the linear predictor."""
    time = cohort.clinical["os_days"].to_numpy()
    event = cohort.clinical["os_event"].to_numpy()
    parts = cohort.log_hazard
    measured = {name: concordance(time, event, parts[name].to_numpy()) for name in parts.columns}
    measured["programme_and_stemness"] = concordance(time, event, (parts["hazard"] + parts["stemness"]).to_numpy())
    measured["full"] = concordance(time, event, parts.sum(axis=1).to_numpy())
    return {
        "number": len(time),
        "deaths": int(event.sum()),
        "true_concordance": {name: round(value, 4) for name, value in measured.items()},
        **{key: value for key, value in traps.items() if key != "patients"},
    }
