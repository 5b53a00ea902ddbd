"""A synthetic study and its tables: everything that the report reads, from a seeded generator."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from amlprognosis.report.checklist import checklist_table
from amlprognosis.report.risk_of_bias import risk_of_bias_table
from amlprognosis.report.theme import Tables
from amlprognosis.study import COMPARATORS, Study, load_study
from amlprognosis.tables import write_table

GENES = [
    "TP53",
    "BCL2",
    "CASP8",
    "MLKL",
    "RIPK3",
    "GPX4",
    "SLC7A11",
    "FDX1",
    "DLAT",
    "GSDMD",
    "NLRP3",
    "CASP1",
    "PARP1",
    "AIFM1",
    "ATG5",
    "BECN1",
    "SQSTM1",
    "LAMP1",
    "CTSB",
    "ACSL4",
    "FTH1",
    "TFRC",
    "HMOX1",
    "BAX",
    "BAK1",
    "MCL1",
    "BID",
    "FAS",
    "TNFRSF10B",
    "CYLD",
]
TYPES = ("HSC", "Prog", "GMP", "ProMono", "Mono", "cDC", "T", "NK", "B", "earlyEry")
HORIZONS = (1, 3, 5)


def make_study(**changes: Any) -> Study:
    clinical = {
        "os_time": {"column": "os_months", "unit": "months"},
        "os_event": {"column": "dead"},
    }
    content: dict[str, Any] = {
        "study": "demo",
        "title": "Demo: programmed cell death and survival in AML",
        "description": "Does a gene index of programmed cell death predict survival beyond age and risk group?",
        "simulate": {},
        "cohorts": {
            "train": {"role": "training", "label": "Simulated GDC", "source": {"type": "gdc", "project": "DEMO"}},
            "array": {
                "role": "validation",
                "label": "Simulated array",
                "adaptation": ["cohort_rescaling", "within_sample_ranks", "none"],
                "source": {"type": "geo", "accession": "GSE1", "platform": "GPL1"},
                "clinical": clinical,
            },
            "rnaseq": {
                "role": "validation",
                "label": "Simulated RNA-seq",
                "source": {"type": "tables", "expression": "e.tsv", "clinical": "c.tsv", "clinical_id": "id",
                           "scale": "counts"},
                "clinical": clinical,
            },
        },
        # Two of them: every further model draws three figures per cohort.
        "evaluation": {"report_models": ["gene_index", "clinical"]},
        "atlases": {"marrow": {"label": "Simulated marrow", "accession": "GSE2", "samples": ["AML1-D0", "BM1"]}},
    }  # fmt: skip
    return load_study({**content, **changes})


def _metrics(rng: np.random.Generator, center: float, horizons: bool = True) -> dict[str, float]:
    cells: dict[str, float] = {}

    def put(name: str, value: float, half: float) -> None:
        cells[name], cells[f"{name}_low"], cells[f"{name}_high"] = value, value - half, value + half

    put("c_harrell", center, 0.045)
    put("c_uno", center - 0.01, 0.05)
    for years in HORIZONS:
        put(f"auc_{years}y", center + 0.03 + 0.01 * years if horizons else np.nan, 0.06)
        put(f"brier_{years}y", 0.2 + rng.normal(0, 0.01), 0.02)
        put(f"ipa_{years}y", (center - 0.5) * 0.6, 0.04)
    put("ibs", 0.19 - 0.1 * (center - 0.6), 0.01)
    put("calibration_slope", 0.9 + rng.normal(0, 0.05), 0.3)
    put("calibration_intercept", rng.normal(0, 0.05), 0.2)
    put("oe", 1.0 + rng.normal(0, 0.03), 0.12)
    put("ici", 0.04 + abs(rng.normal(0, 0.01)), 0.02)
    put("e50", 0.03, 0.02)
    put("e90", 0.08, 0.03)
    put("net_benefit", 0.22 + 0.5 * (center - 0.6), 0.05)
    put("rmst_difference_months", 40 * (center - 0.5), 3.0)
    cells["d_calibration_p"] = 0.31
    return cells


# Published signatures, whichever there are, get the default.
CENTERS: defaultdict[str, float] = defaultdict(lambda: 0.57)
CENTERS |= {
    "gene_index": 0.665, "clinical_gene_index": 0.685, "random_survival_forest": 0.69, "xgboost_cox": 0.68,
    "random_forest_5y": 0.66, "xgboost_5y": 0.65, "age": 0.6, "age_sex": 0.6, "eln": 0.61, "age_eln": 0.65,
    "clinical": 0.66, "clinical_mutations": 0.68,
}  # fmt: skip


def make_tables(study: Study, seed: int = 3) -> dict[str, pd.DataFrame]:
    rng = np.random.default_rng(seed)
    tables: dict[str, pd.DataFrame] = {}
    sizes = {"train": (238, 152), "array": (148, 97), "rnaseq": (159, 104)}
    tables["cohorts"] = pd.DataFrame(
        [
            {
                "cohort": c, "label": study.cohort_label(c), "role": study.cohorts[c].role,
                "source": study.cohorts[c].source.type, "platform": "RNA-seq" if c != "array" else "GPL1",
                "scale": "log2", "patients": sizes[c][0], "events": sizes[c][1], "median_followup_days": 1620.0,
                "median_os_days": 520.5, "genes": 11234 if c != "array" else 9800, "age_median": 58.3,
                "female_share": 0.47, "risk_favourable": 50, "risk_intermediate": 90, "risk_adverse": 80,
                "risk_unknown": sizes[c][0] - 220 if c == "train" else 3, "adaptation": study.cohorts[c].adaptation[0],
            }
            for c in study.cohorts
        ]
    )  # fmt: skip
    flow = []
    for c in study.cohorts:
        n = sizes[c][0]
        flow += [
            {"cohort": c, "step": "samples read", "reason": "", "patients": n + 9, "remaining": n + 9},
            {"cohort": c, "step": "one sample per patient", "reason": "repeated sample of a patient", "patients": 4,
             "remaining": n + 5},
            {"cohort": c, "step": "survival", "reason": "no overall survival time, or time zero", "patients": 5,
             "remaining": n},
            {"cohort": c, "step": "analysed", "reason": "", "patients": n, "remaining": n},
        ]  # fmt: skip
    tables["flow"] = pd.DataFrame(flow)
    board = []
    for model in study.models.run:
        refused = model == "lsc17"
        board.append(
            {
                "model": model, "kind": "comparator" if model in COMPARATORS else "model", "patients": 238,
                "events": 152, "features": 24.0 if model == "gene_index" else 3.0,
                **{k: (np.nan if refused else v) for k, v in _metrics(rng, CENTERS[model]).items()},
                "note": "2 of 17 genes are measured: refused" if refused else "",
            }
        )  # fmt: skip
    tables["leaderboard"] = pd.DataFrame(board)
    validation, comparisons = [], []
    for c in study.validation:
        for adaptation in study.cohorts[c].adaptation:
            for model in study.models.run:
                plain = model in COMPARATORS
                if model == "lsc17" or (plain and adaptation != study.cohorts[c].adaptation[0]):
                    continue
                metrics = _metrics(rng, CENTERS[model] - 0.03 + rng.normal(0, 0.01))
                validation.append(
                    {"cohort": c, "adaptation": "none" if plain else adaptation, "model": model,
                     "patients": sizes[c][0], "events": sizes[c][1], "features_missing": 2, **metrics, "note": ""}
                )  # fmt: skip
    for c in [f"{study.training} (cross-validated)", *study.validation]:
        for model in ("gene_index", "clinical_gene_index", "random_survival_forest", "xgboost_cox"):
            for other in ("age", "age_sex", "eln", "age_eln", "clinical", "clinical_mutations", "lsc17"):
                d = CENTERS[model] - CENTERS[other] if other != "lsc17" else np.nan
                note = "not compared: 2 of 17 genes are measured" if other == "lsc17" else ""
                for metric, sign in (("c_harrell", 1), ("brier_3y", -0.2), ("ibs", -0.2), ("net_benefit", 0.4)):
                    comparisons.append(
                        {"cohort": c, "model": model, "comparator": other, "metric": metric, "difference": sign * d,
                         "low": sign * d - 0.05, "high": sign * d + 0.05, "p": 0.2, "note": note}
                    )  # fmt: skip
    tables["validation"], tables["comparisons"] = pd.DataFrame(validation), pd.DataFrame(comparisons)
    weights = rng.normal(0, 0.25, len(GENES))
    tables["index"] = pd.DataFrame(
        {"gene": GENES, "coefficient": weights, "centre": rng.normal(7, 1, len(GENES)), "scale": 1.1,
         "selection_frequency": np.clip(np.abs(weights) * 3, 0.1, 1), "gene_sets": "apoptosis;ferroptosis"}
    )  # fmt: skip
    _curves(tables, study, rng, sizes)
    _evidence(tables, study, rng)
    _chance(tables, study, rng)
    _genes_and_cells(tables, study, rng, weights)
    tables["notes"] = pd.DataFrame(
        [
            {"source": "leaderboard", "item": "lsc17", "note": "2 of 17 genes are measured: comparison refused"},
            {"source": "validation", "item": "array", "note": "cohort re-scaling: needs a whole cohort"},
        ]
    )
    tables["sample_size"] = pd.DataFrame(
        [
            {"model": "gene_index", "events": 152, "candidate_parameters": 612, "events_per_parameter": 0.25,
             "riley_minimum_n": 5210, "verdict": "too small"},
            {"model": "clinical", "events": 152, "candidate_parameters": 4, "events_per_parameter": 38.0,
             "riley_minimum_n": 190, "verdict": "sufficient"},
        ]
    )  # fmt: skip
    tables["stability"] = pd.DataFrame({"feature": GENES, "frequency": 0.5, "selected_in_final": True})
    tables["stability_summary"] = pd.DataFrame(
        [
            {"model": "gene_index", "over": over, "fits": fits, "candidates": 612, "features": 23.4,
             "nogueira": value, "low": value - 0.04, "high": value + 0.04}
            for over, fits, value in (("folds", 50, 0.41), ("seeds", 10, 0.46))
        ]
    )  # fmt: skip
    if study.simulate:
        tables["planted"] = pd.DataFrame(
            [
                {"gene": f"{p[:3]}{i}", "programme": p, "planted": w, "selected": bool(i % 3 == 0 if w else i > 18),
                 "coefficient": 0.1}
                for p, w in (("ferroptosis", 0.4), ("pyroptosis", -0.3), ("autophagy", 0.0), ("anoikis", 0.0))
                for i in range(20)
            ]
        )  # fmt: skip
        tables["planted_summary"] = pd.DataFrame(
            [{"measure": "enrichment odds ratio", "value": 9.4}, {"measure": "Fisher p", "value": 0.00002}]
        )
    _reporting(tables, study)
    return tables


def _reporting(tables: dict[str, pd.DataFrame], study: Study) -> None:
    rows = [
        {"cohort": c, "adaptation": "", "model": model, "subgroup": subgroup, "level": level, "patients": 80,
         "events": 40, "c_harrell": CENTERS[model], "c_harrell_low": CENTERS[model] - 0.08,
         "c_harrell_high": CENTERS[model] + 0.08, "oe": 1.02, "oe_low": 0.8, "oe_high": 1.3, "note": ""}
        for c in study.cohorts
        for model in study.evaluation.report_models
        for subgroup, level in (("all", "all"), ("age", "below 60"), ("age", "60 and above"), ("sex", "female"))
    ]  # fmt: skip
    tables["subgroups"] = pd.DataFrame(rows)
    tables["risk_of_bias"] = risk_of_bias_table(study, Tables(tables, study))
    tables["tripod_ai"] = checklist_table(study, Tables(tables, study))


def _evidence(tables: dict[str, pd.DataFrame], study: Study, rng: np.random.Generator) -> None:
    """Decision curves, D-calibration, likelihood-ratio tests and the meta-analysis."""
    curves, tenths, added = [], [], []
    thresholds = np.round(np.arange(0.01, 1, 0.02), 2)
    models = [*study.evaluation.report_models, *COMPARATORS[:5], "clinical_gene_index"]
    for c in study.cohorts:
        adaptation = "" if c == study.training else study.cohorts[c].adaptation[0]
        deaths = 0.62
        everybody = deaths - (1 - deaths) * thresholds / (1 - thresholds)
        for model in dict.fromkeys(m for m in models if m in study.models.run):
            gain = (CENTERS[model] - 0.5) * thresholds * 0.6
            value = np.maximum(everybody, 0) + gain * (1 - thresholds) + rng.normal(0, 0.002, len(thresholds))
            curves += [
                {"cohort": c, "adaptation": adaptation, "model": model, "horizon_years": 3.0, "threshold": t,
                 "net_benefit": v, "low": v - 0.05, "high": v + 0.05, "treat_all": a}
                for t, v, a in zip(thresholds, value, everybody, strict=True)
            ]  # fmt: skip
            shares = 0.1 + rng.normal(0, 0.015, 10)
            tenths += [
                {"cohort": c, "adaptation": adaptation, "model": model, "bin": b + 1, "lower": b / 10,
                 "upper": (b + 1) / 10, "share": shares[b], "expected": 0.1, "chi2": 9.2, "p": 0.42}
                for b in range(10)
            ]  # fmt: skip
        added += [
            {"cohort": c, "adaptation": adaptation, "model": model, "comparator": other, "patients": 238,
             "events": 152, "chi2": 8.1, "df": 1, "p": 0.0044, "hazard_ratio": 1.3, "hazard_ratio_low": 1.08,
             "hazard_ratio_high": 1.56, "chi2_reverse": 21.0, "p_reverse": 4.6e-6, "note": ""}
            for model in ("gene_index", "random_survival_forest")
            for other in ("age_eln", "clinical")
        ]  # fmt: skip
    tables["decision_curve"], tables["d_calibration"] = pd.DataFrame(curves), pd.DataFrame(tenths)
    tables["added_value"] = pd.DataFrame(added)
    if not study.validation:
        return
    one = len(study.validation) == 1
    pooled = []
    for model in ("gene_index", "clinical_gene_index", "clinical"):
        names = ["age_eln", "clinical"] if model != "clinical" else []
        figures = {"c_harrell": CENTERS[model] - 0.03, "calibration_slope": 0.9, "oe": 1.0}
        figures |= {f"c_harrell - {name}": CENTERS[model] - CENTERS[name] for name in names}
        pooled += [
            {"model": model, "metric": metric, "cohorts": len(study.validation), "estimate": v, "low": v - 0.04,
             "high": v + 0.04, "prediction_low": np.nan if one else v - 0.07,
             "prediction_high": np.nan if one else v + 0.07, "tau2": 0.0004, "i2": 0.34, "q": 1.5, "q_p": 0.22,
             "method": "REML", "note": "one validation cohort: no heterogeneity can be estimated" if one else ""}
            for metric, v in figures.items()
        ]  # fmt: skip
    tables["meta_analysis"] = pd.DataFrame(pooled)


def _chance(tables: dict[str, pd.DataFrame], study: Study, rng: np.random.Generator) -> None:
    """Negative controls in every cohort, other seeds, and traces of leakage."""
    controls, summary = [], []

    def draw(control: str, cohort: str, values: np.ndarray) -> None:
        controls.extend(
            {"control": control, "cohort": cohort, "draw": i, "c_harrell": v, "note": ""} for i, v in enumerate(values)
        )

    for c in study.cohorts:
        center = 0.665 if c == study.training else 0.63
        draw("random_gene_set", c, rng.normal(center - 0.08, 0.02, 50))
        draw("index", c, np.array([center]))
        summary.append({"control": "random_gene_set", "cohort": c, "draws": 50, "mean": center - 0.08, "sd": 0.02,
                        "low": center - 0.12, "high": center - 0.04, "observed": center, "p": 0.0196})  # fmt: skip
    for control, mean, spread, count in (
        ("permuted_outcome", 0.5, 0.02, 20), ("leaky_recipe", 0.79, 0.0, 1), ("honest_recipe", 0.62, 0.0, 1),
        ("leaky_recipe_permuted", 0.74, 0.02, 10), ("honest_recipe_permuted", 0.5, 0.02, 10),
    ):  # fmt: skip
        draw(control, study.training, rng.normal(mean, spread, count))
        summary.append({"control": control, "cohort": study.training, "draws": count, "mean": mean, "sd": spread,
                        "low": mean - 2 * spread, "high": mean + 2 * spread, "observed": 0.665,
                        "p": 0.0476})  # fmt: skip
    tables["controls"], tables["controls_summary"] = pd.DataFrame(controls), pd.DataFrame(summary)
    tables["seed_stability"] = pd.DataFrame(
        [
            {"seed": 100 + i, "c_harrell": 0.66 + rng.normal(0, 0.008), "genes": 22 + i, "shared": 14,
             "jaccard": 0.42 + rng.normal(0, 0.06), "risk_correlation": 0.9 + rng.normal(0, 0.02)}
            for i in range(10)
        ]
    )  # fmt: skip
    tables["leakage_checks"] = pd.DataFrame(
        [
            {"check": "repeated_patients", "cohort": c, "item": "expression profiles", "value": 0.91,
             "verdict": "clean", "note": "largest correlation between two patients"}
            for c in study.cohorts
        ]
        + [{"check": "outcome_proxy", "cohort": study.training, "item": "clinical:age", "value": 0.61,
            "verdict": "clean", "note": "largest C-index of a single feature"}]
    )  # fmt: skip


def _curves(
    tables: dict[str, pd.DataFrame], study: Study, rng: np.random.Generator, sizes: dict[str, tuple[int, int]]
) -> None:
    km, risk, groups, roc, calibration, hazards, predictions = [], [], [], [], [], [], []
    for c in study.cohorts:
        n = sizes[c][0] // 2
        for model in study.evaluation.report_models:
            for group, rate in (("high", 0.55), ("low", 0.2)):
                times = np.sort(rng.uniform(0, 2900, 70))
                survival = np.exp(-rate * times / 365.25)
                half = 0.03 + 0.08 * times / 2900
                km.append({"cohort": c, "model": model, "group": group, "time_days": 0.0, "survival": 1.0,
                           "low": 1.0, "high": 1.0})  # fmt: skip
                km += [
                    {"cohort": c, "model": model, "group": group, "time_days": t, "survival": s,
                     "low": max(s - h, 0), "high": min(s + h, 1)}
                    for t, s, h in zip(times, survival, half, strict=True)
                ]  # fmt: skip
                risk += [
                    {"cohort": c, "model": model, "group": group, "time_days": y * 365.25,
                     "at_risk": int(n * np.exp(-(rate + 0.1) * y))}
                    for y in range(9)
                ]  # fmt: skip
            groups.append({"cohort": c, "model": model, "high": n, "low": sizes[c][0] - n, "logrank_p": 1e-6,
                           "hr": 2.31, "hr_low": 1.66, "hr_high": 3.22,
                           "rmst_high_months": 21.0, "rmst_low_months": 29.2, "rmst_difference_months": 8.2,
                           "rmst_difference_months_low": 4.1, "rmst_difference_months_high": 12.3,
                           "rmst_horizon_years": 5.0})  # fmt: skip
            for years in HORIZONS if c != "array" else HORIZONS[:2]:
                grid = np.linspace(0, 1, 60)
                roc += [
                    {"cohort": c, "model": model, "horizon_years": float(years), "fpr": x,
                     "tpr": x ** (0.45 - 0.02 * years)}
                    for x in grid
                ]  # fmt: skip
            calibration += [
                {"cohort": c, "model": model, "horizon_years": 3.0, "bin": b, "patients": sizes[c][0] // 5,
                 "predicted": 0.2 + 0.14 * b, "observed": (o := 0.22 + 0.13 * b + rng.normal(0, 0.03)),
                 "low": max(0, o - 0.1), "high": min(1, o + 0.1)}
                for b in range(5)
            ]  # fmt: skip
            predictions += [
                {"cohort": c, "model": model, "repeat": 0, "fold": i % 5, "patient": f"P{i}", "os_time": 300.0,
                 "os_event": True, "risk": rng.normal(), "risk_group": "high"}
                for i in range(5)
            ]  # fmt: skip
        for term, hr in (("gene_index", 1.8), ("age", 1.03), ("sex_male", 1.1), ("risk_adverse", 2.4)):
            for analysis, shrink in (("univariable", 1.0), ("multivariable", 0.8)):
                value = hr**shrink
                hazards.append({"cohort": c, "analysis": analysis, "term": term, "hr": value, "low": value * 0.75,
                                "high": value * 1.3, "p": 0.002, "patients": sizes[c][0],
                                "events": sizes[c][1]})  # fmt: skip
    for gene in GENES:
        hr = float(np.exp(rng.normal(0, 0.25)))
        hazards.append({"cohort": study.training, "analysis": "univariable_gene", "term": gene, "hr": hr,
                        "low": hr * 0.8, "high": hr * 1.25, "p": 0.03, "patients": 238, "events": 152})  # fmt: skip
    for name, items in (
        ("kaplan_meier", km), ("risk_table", risk), ("risk_groups", groups), ("roc", roc),
        ("calibration", calibration), ("hazard_ratios", hazards), ("predictions", predictions),
    ):  # fmt: skip
        tables[name] = pd.DataFrame(items)


def _genes_and_cells(
    tables: dict[str, pd.DataFrame], study: Study, rng: np.random.Generator, weights: np.ndarray
) -> None:
    z = rng.normal(0, 1, (238, len(GENES)))
    index = z @ weights
    order = np.argsort(np.argsort(index, kind="stable"), kind="stable")
    risks = rng.choice(["favourable", "intermediate", "adverse"], 238)
    tables["heatmap"] = pd.DataFrame(
        [
            {"gene": gene, "patient": f"P{p:03d}", "z": z[p, g] + 0.6 * np.sign(weights[g]) * index[p],
             "order": int(order[p]), "index": index[p], "risk_group": "high" if index[p] > 0 else "low",
             "os_event": bool(rng.random() < 0.6) if g == 0 else True, "risk": risks[p]}
            for g, gene in enumerate(GENES)
            for p in range(238)
        ]
    )  # fmt: skip
    for atlas in study.atlases:
        kind = rng.integers(0, len(TYPES), 1500)
        angle = kind / len(TYPES) * 2 * np.pi
        tables[f"umap_{atlas}"] = pd.DataFrame(
            {
                "cell": [f"c{i}" for i in range(1500)],
                "umap1": 8 * np.cos(angle) + rng.normal(0, 1, 1500),
                "umap2": 8 * np.sin(angle) + rng.normal(0, 1, 1500),
                "cell_type": [TYPES[k] for k in kind],
                "malignant": rng.random(1500) < 0.4,
                "patient": "AML1",
                "index_score": rng.normal(0, 0.3, 1500) - kind * 0.1,
            }
        )
        tables[f"cell_scores_{atlas}"] = pd.DataFrame(
            [
                {"cell_type": t, "malignant": m, "cells": int(rng.integers(40, 700)), "patients": 5,
                 "mean": -0.1 * k + 0.2 * m, "median": -0.1 * k + 0.2 * m}
                for k, t in enumerate(TYPES)
                for m in ((True, False) if k < 6 else (False,))
            ]
        )  # fmt: skip
        tables[f"cell_quality_{atlas}"] = pd.DataFrame(
            [{"sample": "AML1-D0", "step": "quality", "removed": 31, "kept": 970, "reason": "fewer than 200 genes"}]
        )
        tables[f"cells_test_{atlas}"] = pd.DataFrame(
            [{"contrast": "malignant_vs_normal", "p": 0.03, "n": 8, "difference": 0.21}]
        )


def write_results(study: Study, folder: Path, tables: dict[str, pd.DataFrame] | None = None) -> Path:
    """A results folder as the workflow leaves it; returns the folder."""
    for name, table in (make_tables(study) if tables is None else tables).items():
        write_table(table, folder / "tables" / f"{name}.tsv")
    benchmarks = folder / "benchmarks"
    benchmarks.mkdir(parents=True, exist_ok=True)
    header = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"
    for rule, seconds, memory in (("cohort_train", 4.2, 310.5), ("crossvalidate_linear_0", 22.9, 612.0)):
        row = f"{seconds}\t0:00:{seconds:.0f}\t{memory}\t0\t0\t0\t0\t0\t90\t1\n"
        (benchmarks / f"{rule}.tsv").write_text(header + row)
    return folder


CONTEXT: dict[str, Any] = {
    "command": "snakemake --cores 2 --configfile config/config.yaml",
    "software": {"python": "3.11.9", "scikit-survival": "0.28.0", "lifelines": "0.30.0", "xgboost": "3.2.0"},
    "edges": [
        ("simulate", "retrieve"), ("retrieve", "cohort"), ("cohort", "design"), ("design", "crossvalidate"),
        ("design", "train"), ("train", "validate"), ("cohort", "validate"), ("crossvalidate", "leaderboard"),
        ("validate", "validation_tables"), ("design", "controls"), ("retrieve", "cells"), ("cells", "cell_tables"),
        ("train", "cell_tables"), ("leaderboard", "figures"), ("validation_tables", "figures"),
        ("controls", "figures"), ("cell_tables", "figures"), ("figures", "report"),
    ],
    "study_yaml": "study: demo\ntitle: Demo\n",
    "provenance": {
        "train": [{"file": "counts.tsv.gz", "url": "file://demo", "sha256": "ab" * 32, "size": 1234,
                   "date": "2026-01-01",
                   "licence": "simulated"}],
    },
}  # fmt: skip

__all__ = ["CONTEXT", "make_study", "make_tables", "write_results"]
