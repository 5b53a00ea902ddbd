"""The report: one self-contained HTML page, in the order in which a reader asks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

import amlprognosis
from amlprognosis.errors import InputError
from amlprognosis.report import html_evidence as evidence
from amlprognosis.report import html_reporting as reporting
from amlprognosis.report import html_tables as tabular
from amlprognosis.report.answers import columns, questions
from amlprognosis.report.chosen import reported_models
from amlprognosis.report.citations import CITATIONS
from amlprognosis.report.context import default_context
from amlprognosis.report.figures import (
    VEGALITE_VERSION,
    FigureSpec,
    figures_of,
    page_specification,
    write_text,
)
from amlprognosis.report.methods import limits, methods
from amlprognosis.report.rulegraph import rule_graph_svg
from amlprognosis.report.templating import template, template_text
from amlprognosis.report.theme import Tables, number
from amlprognosis.report.wording import verdict
from amlprognosis.study import BEST_OF_GRID, Study, model_label

MAX_BYTES = 12 * 1024 * 1024


@dataclass(frozen=True)
class PageFigure:
    """A figure as the template needs it."""

    name: str
    kind: str
    title: str
    note: str
    alt: str
    caption: str
    max_width: int
    narrow_below: int
    renderer: str
    missing: bool
    spec: str = field(repr=False)


def write_report(
    study: Study, results_dir: str | Path, out: str | Path, context: Mapping[str, Any] | None = None
) -> None:
    """Write the report of a study.

    Parameters
    ----------
    study : Study
        The study.
    results_dir : path
        Folder ``results/<study>``; ``tables/*.tsv`` are read, ``figures/*.vl.json`` when they are there (drawn from
        the tables otherwise), and ``benchmarks/**/*.tsv``.
    out : path
        HTML file, at most 12 MB, without any external resource.
    context : mapping, optional
        What the results do not say; each key has a default (:func:`amlprognosis.report.context.default_context`):
        ``command`` (str), ``software`` (name to version), ``edges`` (pairs of rules: from, to), ``study_yaml`` (str),
        ``gene_sets`` (list of dict: set, genes, source), and, empty by default, ``provenance`` (cohort or atlas to
        list of dict of a file's url, sha256, size, date, licence; the provenance table otherwise) and ``generated``.

    Raises
    ------
    InputError
        The folder has no tables, or the page would exceed 12 MB.
    """
    folder = Path(results_dir)
    if not (folder / "tables").is_dir():
        raise InputError(f"{folder / 'tables'}: no such folder; run the study before its report")
    page = render_report(study, folder, {**default_context(study), **(context or {})})
    size = len(page.encode("utf-8"))
    if size > MAX_BYTES:
        raise InputError(f"{out}: the report would be {size / 1e6:.1f} MB, more than 12 MB; name fewer report_models")
    write_text(out, page)


def render_report(study: Study, folder: Path, context: Mapping[str, Any]) -> str:
    """HTML of the report."""
    import vl_convert

    tables = Tables(folder / "tables", study)
    figures = {name: _figure(figure, folder, tables) for name, figure in figures_of(study).items()}
    software = {str(k): str(v) for k, v in dict(context.get("software", {})).items()}
    models = reported_models(study)
    library = vl_convert.javascript_bundle(vl_version=VEGALITE_VERSION)  # type: ignore[call-arg] # stub: no default
    # Wrapped, so that the library's many top-level names stay out of the page.
    bundle = "(function(){" + library + "\n})();"
    text = template("report.html.j2").render(
        study=study,
        version=amlprognosis.__version__,
        verdict=verdict(study, tables),
        questions=questions(study, tables),
        places=columns(study, tables),
        methods=methods(study, tables, software),
        limits=limits(study, tables),
        figures=figures,
        models=models,
        model_labels={name: model_label(name) for name in (*study.models.run, BEST_OF_GRID)},
        tables=_page_tables(study, tables),
        checklist=reporting.checklist_counts(tables),
        software=sorted(software.items(), key=lambda item: item[0].lower()),
        command=str(context.get("command", "")),
        generated=str(context.get("generated", "")),
        study_yaml=str(context.get("study_yaml", "")),
        inputs=_inputs(study, tables, context),
        gene_sets=_gene_sets(context),
        sources=_sources(study),
        citations=CITATIONS,
        checksums=_checksums(folder / "tables"),
        benchmarks=_benchmarks(folder / "benchmarks"),
        rule_graph=rule_graph_svg([(str(a), str(b)) for a, b in context.get("edges", [])]),
        style=template_text("report.css"),
        script=template_text("report.js"),
        bundle=bundle.replace("</script", "<\\/script"),
    )
    return text if text.endswith("\n") else text + "\n"


def _figure(figure: FigureSpec, folder: Path, tables: Tables) -> PageFigure:
    path = folder / "figures" / f"{figure.name}.vl.json"
    if path.is_file():
        try:
            spec = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise InputError(f"{path}: not a Vega-Lite specification ({error}); delete it and run again") from None
    else:
        spec = page_specification(figure, figure.build(tables))
    meta = spec.pop("usermeta", {})
    text = json.dumps(spec, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return PageFigure(
        name=figure.name,
        kind=figure.kind,
        title=figure.title,
        note=str(meta.get("note", "")),
        alt=str(meta.get("alt", "")),
        caption=figure.caption,
        max_width=int(meta.get("max_width", 760)),
        narrow_below=int(meta.get("narrow_below", 440)),
        renderer=str(meta.get("renderer", "svg")),
        missing=bool(meta.get("missing", False)),
        # Inside a script element only "<" could end it early.
        spec=text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029"),
    )


def _page_tables(study: Study, tables: Tables) -> dict[str, tabular.PageTable | None]:
    found = {
        "cohorts": tabular.cohorts(tables, study),
        "flow": tabular.flow(tables, study),
        "exclusions": tabular.generic(tables, "exclusions", study),
        "preprocessing": tabular.generic(tables, "preprocessing", study),
        "leaderboard": tabular.performance(tables, study, "leaderboard"),
        "validation": tabular.performance(tables, study, "validation"),
        "validation_whole": tabular.performance(tables, study, "validation", whole=True),
        "grid": tabular.grid(tables, study),
        "grid_summary": tabular.picking(tables, "grid_summary"),
        "selection": tabular.picking(tables, "selection"),
        "leaderboard_risks": tabular.predicted_risks(tables, study, "leaderboard"),
        "validation_risks": tabular.predicted_risks(tables, study, "validation"),
        "comparisons": evidence.comparisons(tables, study),
        "added_value": evidence.added_value(tables, study),
        "meta_analysis": evidence.meta_analysis(tables, study),
        "decision_curve": evidence.decision_curve(tables, study),
        "d_calibration": evidence.d_calibration(tables, study),
        "controls_summary": evidence.controls(tables, study),
        "leakage_checks": evidence.leakage_checks(tables, study),
        "seed_stability": evidence.seeds(tables),
        "index": tabular.index(tables),
        "stability": tabular.generic(tables, "stability", study),
        "stability_summary": evidence.stability(tables),
        "hazard_ratios": tabular.hazards(tables, study),
        "risk_groups": tabular.generic(tables, "risk_groups", study),
        "notes": tabular.notes(tables, study),
        "sample_size": tabular.sample_size(tables),
        "risk_domains": reporting.risk_domains(tables),
        "risk_signals": reporting.risk_signals(tables),
        "subgroups": reporting.subgroups(tables, study),
        "planted_summary": tabular.generic(tables, "planted_summary", study),
        "planted": tabular.generic(tables, "planted", study),
    }
    for atlas in study.atlases:
        for kind in ("cell_scores", "cells_test", "cell_quality"):
            found[f"{kind}_{atlas}"] = tabular.generic(tables, f"{kind}_{atlas}")
    return found


def _inputs(study: Study, tables: Tables, context: Mapping[str, Any]) -> tabular.PageTable | None:
    """Input files with their checksums: from the context, else from the provenance table."""
    provenance = context.get("provenance")
    if not provenance:
        return tabular.generic(tables, "provenance", study)
    records = []
    for name, items in provenance.items():
        for item in items:
            plain = {str(k): v for k, v in item.items() if isinstance(v, str | int | float | bool) or v is None}
            records.append({"cohort": study.cohort_label(str(name)), **plain})
    return tabular.generic(Tables({"provenance": pd.DataFrame(records)}), "provenance")


def _gene_sets(context: Mapping[str, Any]) -> tabular.PageTable | None:
    items: Sequence[Mapping[str, Any]] = context.get("gene_sets") or []
    return tabular.generic(Tables({"gene_sets": pd.DataFrame([dict(item) for item in items])}), "gene_sets")


def _sources(study: Study) -> list[tuple[str, str]]:
    """Cohorts and atlases with the origin, licence and citation that the study states."""
    notes = [(study.cohort_label(name), cohort.source.source_note) for name, cohort in study.cohorts.items()]
    notes += [(study.cohort_label(name), atlas.source_note) for name, atlas in study.atlases.items()]
    return [(label, note or "no source note in the study file") for label, note in notes]


def _checksums(folder: Path) -> tabular.PageTable | None:
    rows = []
    for path in sorted(folder.glob("*.tsv")):
        content = path.read_bytes()
        rows.append([path.name, len(content), hashlib.sha256(content).hexdigest()])
    return tabular.plain("", [("Table", False), ("Bytes", True), ("SHA-256", False)], rows)


def _benchmarks(folder: Path) -> tabular.PageTable | None:
    """Run time and peak memory of each job, from Snakemake's benchmark files."""
    rows: list[list[Any]] = []
    for path in sorted(folder.glob("**/*.tsv")) if folder.is_dir() else []:
        table = pd.read_csv(path, sep="\t", na_values=["-", "NA"])
        if table.empty or "s" not in table:
            continue
        name = str(path.relative_to(folder).with_suffix(""))
        memory = number(table["max_rss"].max()) if "max_rss" in table else None
        rows.append([name, round(float(table["s"].mean()), 1), "–" if memory is None else round(memory)])
    headings = [("Job", False), ("Seconds", True), ("Peak memory, MB", True)]
    rows.sort(key=lambda row: (-row[1], row[0]))
    return tabular.plain("", headings, rows)
