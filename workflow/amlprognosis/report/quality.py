"""The quality page of a cohort: what came in, what was made of it, and whether it can be believed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

import amlprognosis
from amlprognosis.cohort import exclusions, preprocessing, provenance
from amlprognosis.evaluation.batch_effects import AS_BUILT, BIOLOGY, COHORT, assess_batches, groups_of
from amlprognosis.normalize import identity
from amlprognosis.normalize.identity import sample_identity
from amlprognosis.normalize.platform import PlatformReference
from amlprognosis.normalize.sample_quality import completeness, five_numbers, recorded_quality, sample_quality
from amlprognosis.report import quality_figures as draw
from amlprognosis.report.describe import cohort_tables
from amlprognosis.report.figures import VEGALITE_VERSION, stable_ids, write_text
from amlprognosis.report.flow_figures import figure_flow
from amlprognosis.report.html_cells import Cell, Column, PageTable, p_cell, page_table, text_cell
from amlprognosis.report.html_tables import generic
from amlprognosis.report.quality_words import METHODS, SCALES, cohort_words, findings, of_cohort
from amlprognosis.report.templating import template, template_text
from amlprognosis.report.theme import NothingToDraw, Panel, Tables, fixed, percent, specification, static_specification
from amlprognosis.study import Study

if TYPE_CHECKING:
    from anndata import AnnData

# Columns of groups that get a figure of their own; the table has them all.
MAX_GROUPS = 6
# Words of the steps that are about genes, probes and their names.
GENE_STEPS = ("gene names", "platform table", "symbols", "probes", "PAR_Y", "genes per", "duplicated genes")


def quality_tables(
    study: Study, cohorts: Mapping[str, AnnData], platform: PlatformReference
) -> dict[str, pd.DataFrame]:
    """Tables of the quality pages: batch_effects, completeness, components, sample_identity, sample_quality."""
    ordered = {name: cohorts[name] for name in study.cohorts}
    # Sums in one order, whatever the number of cores.
    with threadpool_limits(limits=1):
        batches = assess_batches(study, ordered, platform)
        samples = [sample_quality(name, adata) for name, adata in ordered.items()]
        identity_table = sample_identity(ordered, study.training)
    return {
        "batch_effects": batches.effects,
        "completeness": pd.concat([completeness(name, adata) for name, adata in ordered.items()], ignore_index=True),
        "components": batches.components,
        "sample_identity": identity_table,
        "sample_quality": pd.concat(samples, ignore_index=True),
    }


@dataclass(frozen=True)
class Drawing:
    """A figure of the page: SVG, or the reason why there is none."""

    title: str
    svg: str
    note: str
    alt: str
    width: int
    caption: str = ""
    missing: str = ""


def write_quality_pages(
    study: Study, cohorts: Mapping[str, AnnData], tables: Mapping[str, pd.DataFrame], folder: str | Path
) -> None:
    """Write the quality page of every cohort: one HTML file each, without any external resource.

    Parameters
    ----------
    study : Study
    cohorts : mapping of str to AnnData
        As built.
    tables : mapping of name to DataFrame
        As :func:`quality_tables` gives them.
    folder : path
        Receives ``<cohort>.html``.
    """
    from altair.utils.schemapi import debug_mode

    # Checking every figure against Vega-Lite's schema takes most of the time; the tests do it.
    with debug_mode(False):
        for name in study.cohorts:
            write_text(Path(folder) / f"{name}.html", render_quality_page(study, name, cohorts[name], tables))


def render_quality_page(study: Study, name: str, adata: AnnData, tables: Mapping[str, pd.DataFrame]) -> str:
    """HTML of the page."""
    record = recorded_quality(adata)
    files = provenance(adata)
    steps = preprocessing(adata)
    of_genes = np.array([any(word in str(text) for word in GENE_STEPS) for text in steps["step"]], dtype=bool)
    text = template("quality.html.j2").render(
        study=study,
        name=name,
        label=study.cohort_label(name),
        version=amlprognosis.__version__,
        style=template_text("report.css"),
        findings=findings(study, name, adata, record, tables),
        others=[(other, study.cohort_label(other)) for other in study.cohorts if other != name],
        source=study.cohorts[name].source.source_note,
        files=_files(files),
        file_count=len(files),
        file_bytes=_size(files),
        exclusions=_plain("exclusions", exclusions(adata)),
        steps=_plain("preprocessing", _step_table(steps[~of_genes])),
        gene_steps=_plain("preprocessing", _step_table(steps[of_genes])),
        scale=_scale(record),
        sections=_sections(study, name, adata, record, tables),
        effects=_effects(study, name, tables["batch_effects"]),
        identity=_identity(study, name, tables["sample_identity"]),
    )
    return text if text.endswith("\n") else text + "\n"


def _sections(
    study: Study, name: str, adata: AnnData, record: Mapping[str, Any], tables: Mapping[str, pd.DataFrame]
) -> dict[str, list[Drawing]]:
    """Figures by the section of the page that shows them."""
    samples = tables["sample_quality"]
    samples = samples[samples["cohort"] == name].reset_index(drop=True)
    described = Tables(cohort_tables(study, {name: adata}), study)
    found: dict[str, list[Drawing]] = {
        "flow": [],
        "values": [],
        "samples": [],
        "batches": [],
        "identity": [],
        "clinical": [],
    }

    def add(section: str, title: str, make: Callable[[], Panel], caption: str = "") -> None:
        found[section].append(_drawn(f"{section}{len(found[section])}", title, make, caption))

    add("flow", "Patient flow", lambda: figure_flow(described, study, name))
    limits = _limits(record, adata)
    add("values", "Values of each sample before normalisation", lambda: _before(record, limits))
    add("values", "Values of each sample as built", lambda: _after(record, adata, limits))
    add("values", "Sequencing depth", lambda: draw.figure_libraries(samples))
    if samples["factor"].notna().any():
        add("values", "Normalisation factors", lambda: draw.figure_histogram(samples["factor"], "Factor"))
    missing = samples["missing_share"].fillna(0.0)
    if missing.max() > 0:
        title = "Share of the values that are missing"
        add("values", "Missing values", lambda: draw.figure_histogram(missing, title, share=True))
    add(
        "samples", "Correlation to the other samples", lambda: draw.figure_correlation(samples),
        "Median Pearson correlation of each sample with all others, over the genes complete in all.",
    )  # fmt: skip
    _add_components(study, name, adata, tables, add)
    suspects = tables["sample_identity"]
    suspects = suspects[(suspects["cohort"] == name) & (suspects["check"] == identity.SEX)]
    named = suspects.loc[suspects["verdict"] == identity.SUSPECT, "patient"]
    add(
        "identity", "Sex by expression", lambda: draw.figure_sex(samples, list(named)),
        "XIST is expressed with two X; the other genes lie on Y. A man who lost Y, common in AML, is low on both.",
    )  # fmt: skip
    obs, known = adata.obs, tables["completeness"]
    add("clinical", "Completeness", lambda: draw.figure_completeness(known[known["cohort"] == name]))
    add("clinical", "Follow-up", lambda: draw.figure_histogram(obs["os_time"] / 365.25, "Years", obs["os_event"]))
    if "age" in obs:
        add("clinical", "Age", lambda: draw.figure_histogram(obs["age"], "Age at diagnosis, years"))
    return found


def _add_components(
    study: Study, name: str, adata: AnnData, tables: Mapping[str, pd.DataFrame], add: Callable[..., None]
) -> None:
    spaces = tables["components"]
    own = spaces[(spaces["space"] == name) & (spaces["matrix"] == AS_BUILT)]
    for group in groups_of(adata)[:MAX_GROUPS]:
        labels = pd.Series(["unknown" if value is None else str(value) for value in group.labels])
        title = f"Components by {group.column}"
        add("batches", title, lambda own=own, labels=labels, c=group.column: draw.figure_components(own, labels, c))
    corrected = spaces[(spaces["space"] == name) & (spaces["matrix"] != AS_BUILT)]
    if len(corrected) and study.features.batch in adata.obs:
        values = adata.obs[study.features.batch].astype(object)
        labels = pd.Series(["unknown" if pd.isna(value) else str(value) for value in values])
        title = f"After the correction by {study.features.batch}"
        add("batches", title, lambda: draw.figure_components(corrected, labels, str(study.features.batch)))
    if name != study.training:
        pair = spaces[spaces["space"] == f"{study.training} + {name}"]
        for matrix, part in pair.groupby("matrix", sort=False):
            how = "as built" if matrix == AS_BUILT else f"after {str(matrix).replace('_', ' ')}"
            labels = part["cohort"].map(study.cohort_label).reset_index(drop=True)
            part = part.reset_index(drop=True)
            add("batches", f"With the training cohort, {how}",
                lambda part=part, labels=labels: draw.figure_components(part, labels, "Cohort"))  # fmt: skip
    effects = tables["batch_effects"]
    add(
        "batches", "Variance of each component between groups",
        lambda: draw.figure_explained(effects[effects["cohort"] == name]),
    )  # fmt: skip


def _drawn(key: str, title: str, make: Callable[[], Panel], caption: str) -> Drawing:
    import vl_convert

    try:
        panel = make()
    except NothingToDraw as reason:
        return Drawing(title, "", "", "", 420, "", str(reason))
    static = static_specification(specification(panel), title, "", panel.width)
    del static["title"]
    svg = stable_ids(vl_convert.vegalite_to_svg(static, vl_version=VEGALITE_VERSION, allowed_base_urls=[]))
    # Ids of several drawings stand on one page.
    svg = re.sub(r'(id="|#)(part\d+)', rf"\1{key}-\2", svg)
    return Drawing(title, svg, panel.note, panel.alt_text, panel.width, caption)


def _limits(record: Mapping[str, Any], adata: AnnData) -> tuple[float, float]:
    """Axis that both figures of quantiles share: from the lowest to the highest but for single extremes."""
    values = [row for key in ("before", "after") for row in (record.get(key) or {}).get("values", [])]
    table = pd.DataFrame(values or five_numbers(adata), dtype=float).dropna()
    low, high = float(table[0].quantile(0.02)), float(table[4].quantile(0.98))
    return low, max(high, low + 1.0)


def _before(record: Mapping[str, Any], limits: tuple[float, float]) -> Panel:
    part = record.get("before")
    if not part:
        raise NothingToDraw("the cohort was built without a record of its normalisation; build it again to see it.")
    return draw.figure_quantiles(part["values"], str(part["what"]), limits)


def _after(record: Mapping[str, Any], adata: AnnData, limits: tuple[float, float]) -> Panel:
    part = record.get("after") or {"what": f"log2, {adata.n_vars:,} genes", "values": five_numbers(adata)}
    return draw.figure_quantiles(part["values"], str(part["what"]), limits)


def _scale(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Lines on the scale of the source and the method, from the record."""
    scale, counts = record.get("scale") or {}, record.get("counts") or {}
    lines = [
        ("Declared", str(scale.get("declared") or "")),
        ("Found", SCALES.get(str(scale.get("verdict")), "")),
        ("Evidence", str(scale.get("evidence") or "")),
        ("Processing", str(scale.get("processing") or "")),
        ("Evidence of the processing", str(scale.get("processing_evidence") or "")),
        ("Counts normalised by", METHODS.get(str(counts.get("method")), "")),
        (
            "Reference",
            {"own": "its own", "training": "frozen, of the training cohort"}.get(str(counts.get("reference")), ""),
        ),
    ]
    return [(title, text) for title, text in lines if text]


def _size(files: pd.DataFrame) -> str:
    total = pd.to_numeric(files["size"], errors="coerce").sum() if "size" in files else 0
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if total >= size:
            return f"{total / size:.1f} {unit}"
    return f"{int(total)} bytes"


def _files(files: pd.DataFrame) -> PageTable | None:
    if files.empty:
        return None
    files = files.reindex(columns=["path", "size", "sha256", "url", "licence"])
    return generic(Tables({"provenance": files}), "provenance")


def _plain(name: str, table: pd.DataFrame) -> PageTable | None:
    return generic(Tables({name: table.reset_index(drop=True)}), name) if len(table) else None


def _step_table(steps: pd.DataFrame) -> pd.DataFrame:
    return steps[["step", "detail", "before", "after", "dropped", "reason"]]


_GROUPS = {COHORT: "training or this cohort"}
_VERDICT_STYLE = {"clear": "flag", "strong": "bad", identity.SUSPECT: "bad", identity.SHARED: "flag"}


def _verdict(row: Any) -> Cell:
    """Verdict of a row; that biology shows in expression is no fault."""
    word = str(row["verdict"])
    return Cell(word, word, "" if row.get("kind") == BIOLOGY else _VERDICT_STYLE.get(word, ""))


def _effects(study: Study, name: str, effects: pd.DataFrame) -> PageTable | None:
    own = effects[(effects["cohort"] == name) | (effects["cohort"] == f"{study.training} + {name}")]
    if own.empty:
        return None
    noted = own["note"].map(lambda note: isinstance(note, str) and note != "").any()
    note: Column = ("Note", False, lambda row: text_cell(row["note"] if isinstance(row["note"], str) else ""))
    return page_table(
        "batch_effects",
        own,
        [
            ("Groups", False, lambda row: text_cell(_GROUPS.get(row["kind"], row["column"]))),
            ("Values", False, lambda row: text_cell(str(row["matrix"]).replace("_", " "))),
            ("Kind", False, lambda row: text_cell(row["kind"])),
            ("Levels", True, lambda row: text_cell(row["levels"])),
            ("Patients", True, lambda row: text_cell(row["patients"])),
            ("Silhouette", True, lambda row: Cell(fixed(row["silhouette"], 3), row["silhouette"])),
            ("p", True, lambda row: p_cell({"p": row["silhouette_p"]})),
            ("Variance between", True, lambda row: Cell(percent(row["explained"], 1), row["explained"])),
            ("Log-rank p", True, lambda row: p_cell({"p": row["logrank_p"]})),
            ("Verdict", False, _verdict),
            *([note] if noted else []),
        ],
    )


def _identity(study: Study, name: str, table: pd.DataFrame) -> PageTable | None:
    own = of_cohort(table, name)
    if own.empty:
        return None
    return page_table(
        "sample_identity",
        own,
        [
            ("Check", False, lambda row: text_cell(row["check"])),
            ("Patient", False, lambda row: text_cell(row["patient"])),
            ("Finding", False, lambda row: text_cell(row["finding"])),
            ("Verdict", False, _verdict),
            ("Evidence", False, lambda row: text_cell(row["evidence"])),
            ("Cohorts", False, lambda row: text_cell(cohort_words(study, row["cohort"]))),
        ],
    )
