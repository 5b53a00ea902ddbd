"""Every figure of a study: its name, caption and builder are known from the study alone, before anything has run."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from amlprognosis.report.captions import FIGURE_CAPTIONS, FIGURE_CATEGORIES
from amlprognosis.report.chosen import COMBINED, main_model, reported_models
from amlprognosis.study import Study, model_label, model_slug

if TYPE_CHECKING:
    from amlprognosis.report.theme import Panel, Tables

VEGALITE_VERSION = "6.1"


@dataclass(frozen=True)
class FigureSpec:
    """A figure of a study.

    Attributes
    ----------
    name : str
        Name of its files, ``figures/<name>.svg`` and ``figures/<name>.vl.json``.
    title : str
        Title for readers.
    category : str
        Category in Snakemake's report.
    kind : str
        Kind of figure, the key of its caption.
    caption_rst : str
        File name of the caption in ``workflow/report``.
    labels : dict of str to str
        Labels in Snakemake's report.
    builder : callable
        Draws the figure from the tables; imports altair only when called.
    """

    name: str
    title: str
    category: str
    kind: str
    caption_rst: str
    labels: dict[str, str]
    builder: Callable[[Tables], Panel] = field(repr=False, compare=False)

    @property
    def caption(self) -> str:
        """Caption as plain text."""
        return FIGURE_CAPTIONS[self.kind]

    def build(self, tables: Tables) -> Panel:
        """Draw the figure; a panel that says why when its data are lacking."""
        from amlprognosis.report.theme import NothingToDraw, empty_panel

        try:
            panel = self.builder(tables)
        except NothingToDraw as reason:
            return empty_panel(str(reason))
        return replace(panel, alt_text=panel.alt_text.rstrip(" .") + ".")


def _lazy(module: str, function: str, *args: Any, pass_study: Study | None = None) -> Callable[[Tables], Panel]:
    return partial(_call, module, function, pass_study, args)


def _call(module: str, function: str, study: Study | None, args: tuple[Any, ...], tables: Tables) -> Panel:
    from importlib import import_module

    draw = getattr(import_module(f"amlprognosis.report.{module}"), function)
    return draw(tables, *([study] if study is not None else []), *args)


def figures_of(study: Study) -> dict[str, FigureSpec]:
    """Figures of a study by name, in the order of the report.

    The names follow from cohorts, atlases, reported models and whether the study is simulated, never from results:
    a workflow can list its outputs before it has run.
    """
    found: dict[str, FigureSpec] = {}

    def add(kind: str, name: str, title: str, labels: dict[str, str], builder: Callable[[Tables], Panel]) -> None:
        found[name] = FigureSpec(name, title, FIGURE_CATEGORIES[kind], kind, f"{kind}.rst", labels, builder)

    for cohort in study.cohorts:
        label = study.cohort_label(cohort)
        add("flow", f"flow_{cohort}", f"Patient flow: {label}", {"figure": "Patient flow", "cohort": label},
            _lazy("flow_figures", "figure_flow", cohort, pass_study=study))  # fmt: skip
    for kind, title, module, function in _single_figures(study):
        add(kind, kind, title, {"figure": title}, _lazy(module, function, pass_study=study))
    for name, (title, model, short) in _difference_figures(study).items():
        add("comparisons", name, title, {"figure": title},
            _lazy("evidence_figures", "figure_comparisons", model, short, pass_study=study))  # fmt: skip
    if len(study.validation) > 1:
        for name, title, differences in (
            ("meta_analysis", "Validation cohorts and their pooled C-index", False),
            ("meta_analysis_differences", "Pooled differences from comparators", True),
        ):
            add("meta_analysis", name, title, {"figure": title},
                _lazy("evidence_figures", "figure_meta_analysis", differences, pass_study=study))  # fmt: skip
    for cohort in study.cohorts:
        label = study.cohort_label(cohort)
        for kind, title, module, function in (
            ("null_distribution", "Gene index against chance", "control_figures", "figure_null"),
            ("decision_curve", "Decision curves", "decision_figures", "figure_decision_curve"),
            ("d_calibration", "D-calibration", "decision_figures", "figure_d_calibration"),
        ):
            add(kind, f"{kind}_{cohort}", f"{title}: {label}", {"figure": title, "cohort": label},
                _lazy(module, function, cohort, pass_study=study))  # fmt: skip
    for cohort in study.cohorts:
        label = study.cohort_label(cohort)
        add("hazard_ratios", f"hazard_ratios_{cohort}", f"Hazard ratios: {label}",
            {"figure": "Hazard ratios", "cohort": label},
            _lazy("ranking_figures", "figure_hazard_ratios", cohort, pass_study=study))  # fmt: skip
        add("auc_over_horizons", f"auc_over_horizons_{cohort}", f"AUC over horizons: {label}",
            {"figure": "AUC over horizons", "cohort": label},
            _lazy("survival_figures", "figure_auc", cohort, pass_study=study))  # fmt: skip
    for model in reported_models(study):
        for cohort in study.cohorts:
            label = study.cohort_label(cohort)
            for kind, title, function, needs in (
                ("kaplan_meier", "Survival by risk group", "figure_kaplan_meier", False),
                ("roc", "Time-dependent ROC", "figure_roc", True),
                ("calibration", "Calibration", "figure_calibration", True),
            ):
                add(kind, f"{kind}_{cohort}_{model_slug(model)}", f"{title}: {model_label(model)}, {label}",
                    {"figure": title, "cohort": label, "model": model_label(model)},
                    _lazy("survival_figures", function, cohort, model, pass_study=study if needs else None),
                    )  # fmt: skip
    for atlas in study.atlases:
        label = study.cohort_label(atlas)
        for kind, title, function in (
            ("umap_cell_types", "Cell types", "figure_umap_types"),
            ("umap_index", "Gene index in single cells", "figure_umap_index"),
            ("cell_scores", "Gene index by cell type", "figure_cell_scores"),
        ):
            add(kind, f"{kind}_{atlas}", f"{title}: {label}", {"figure": title, "atlas": label},
                _lazy("cell_figures", function, atlas))  # fmt: skip
    if study.simulate:
        add("planted_truth", "planted_truth", "Planted truth and what was found", {"figure": "Planted truth"},
            _lazy("gene_figures", "figure_planted", pass_study=study))  # fmt: skip
    return found


def _single_figures(study: Study) -> list[tuple[str, str, str, str]]:
    """Figures that a study has once: kind, title, module, function."""
    found = [
        ("leaderboard", "Cross-validated C-index", "ranking_figures", "figure_leaderboard"),
        ("validation", "C-index in validation cohorts", "ranking_figures", "figure_validation"),
        ("gene_coefficients", "Coefficients of the gene index", "gene_figures", "figure_coefficients"),
        ("gene_heatmap", "Index genes by risk", "gene_figures", "figure_heatmap"),
        ("gene_hazard_ratios", "Hazard ratios of the index genes", "ranking_figures", "figure_gene_hazard_ratios"),
        ("leakage", "What the leaky recipe would have claimed on your data", "control_figures", "figure_leakage"),
    ]
    if study.evaluation.seeds and "gene_index" in study.models.run:
        found.append(("seeds", "The index with other seeds", "control_figures", "figure_seeds"))
    if any(len(study.cohorts[cohort].adaptation) > 1 for cohort in study.validation):
        found.append(("adaptations", "Validation under each adaptation", "evidence_figures", "figure_adaptations"))
    if study.models.grid_run:
        found.append(("grid", "Every member of the grid", "grid_figures", "figure_grid"))
    return found


def _difference_figures(study: Study) -> dict[str, tuple[str, str, str]]:
    """Figures of differences from comparators by name: title, model, metric."""
    main = main_model(study)
    threshold = f"{100 * study.evaluation.decision_threshold:g}%"
    years = f"{study.evaluation.main_horizon_years:g} y"
    words = {"c": "", "brier": f": Brier score, {years}", "net_benefit": f": net benefit at {threshold}"}
    models = [("comparisons", main)]
    if COMBINED in study.models.run:
        models.append(("added_value", COMBINED))
    return {
        name if short == "c" else f"{name}_{short}": (f"{model_label(model)} against comparators{word}", model, short)
        for name, model in models
        for short, word in words.items()
    }


def page_specification(figure: FigureSpec, panel: Panel) -> dict[str, Any]:
    """Vega-Lite specification as the report embeds it; what the page needs beside it is under ``usermeta``."""
    from amlprognosis.report.theme import specification

    spec = specification(panel)
    spec["usermeta"] = {
        "name": figure.name,
        "title": figure.title,
        "note": panel.note,
        "alt": panel.alt_text,
        "renderer": panel.renderer,
        "max_width": panel.max_width,
        "narrow_below": panel.narrow_below,
        "missing": panel.missing,
    }
    return spec


def figure_texts(figure: FigureSpec, tables: Tables) -> tuple[str, str]:
    """Static SVG and Vega-Lite specification (JSON) of a figure, as text."""
    import vl_convert

    from amlprognosis.report.theme import static_specification

    panel = figure.build(tables)
    spec = page_specification(figure, panel)
    static = static_specification(spec, figure.title, panel.note, panel.width)
    svg = vl_convert.vegalite_to_svg(static, vl_version=VEGALITE_VERSION, allowed_base_urls=[])
    return stable_ids(svg), json.dumps(spec, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def stable_ids(svg: str) -> str:
    """Number the ids of gradients and clips by their order: Vega counts them over the life of the process."""
    found = dict.fromkeys(re.findall(r'\bid="((?:gradient|clip|r)_?\d+(?:_\d+)?)"', svg))
    names = {old: f"part{place}" for place, old in enumerate(found)}
    if not names:
        return svg
    pattern = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    return re.sub(rf'(id="|#)({pattern})(?=["\)])', lambda match: match.group(1) + names[match.group(2)], svg)


def write_figures(
    study: Study, tables_dir: str | Path, out_dir: str | Path, n_jobs: int = 1
) -> list[tuple[Path, Path]]:
    """Write every figure of a study.

    Parameters
    ----------
    study : Study
        The study.
    tables_dir : path
        Folder of the study's tables.
    out_dir : path
        Folder that receives ``<name>.svg`` and ``<name>.vl.json``.
    n_jobs : int
        Threads; one draws while another figure is made.

    Returns
    -------
    list of (Path, Path)
        Static SVG and Vega-Lite specification of each figure.
    """
    from altair.utils.schemapi import debug_mode

    from amlprognosis.report.theme import Tables

    tables, out = Tables(tables_dir, study), Path(out_dir)
    out.mkdir(parents=True, exist_ok=True)

    def write(figure: FigureSpec) -> tuple[Path, Path]:
        paths = out / f"{figure.name}.svg", out / f"{figure.name}.vl.json"
        for path, text in zip(paths, figure_texts(figure, tables), strict=True):
            write_text(path, text + "\n")
        return paths

    # Checking every figure against Vega-Lite's schema takes half of the time; the tests do it.
    with debug_mode(False), ThreadPoolExecutor(n_jobs) as pool:
        return list(pool.map(write, figures_of(study).values()))


def write_text(path: str | Path, text: str) -> None:
    """Write a text file whole or not at all."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text, encoding="utf-8", newline="\n")
    os.replace(temporary, path)
