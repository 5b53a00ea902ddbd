from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from report_factory import make_study, make_tables

from amlprognosis.report.captions import FIGURE_CAPTIONS, FIGURE_CATEGORIES, rst_texts
from amlprognosis.report.figures import figure_texts, figures_of, page_specification, write_figures
from amlprognosis.report.theme import Tables, fixed, interval, p_text

CAPTIONS = Path(__file__).parents[3] / "workflow" / "report"
ONE_MODEL = {"report_models": ["gene_index"]}


@pytest.fixture(scope="module")
def tables(study):
    return Tables(make_tables(study), study)


def test_names_follow_from_the_study_alone(study):
    figures = figures_of(study)
    assert {"leaderboard", "kaplan_meier_train_gene_index", "roc_rnaseq_clinical", "umap_index_marrow"} <= set(figures)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]+", name) for name in figures)
    bare = figures_of(make_study(atlases={}, simulate=None))
    assert not [name for name in bare if name.startswith(("umap", "cell", "planted"))]


def test_every_figure_has_caption_category_and_labels(study):
    for figure in figures_of(study).values():
        assert figure.caption == FIGURE_CAPTIONS[figure.kind]
        assert figure.category == FIGURE_CATEGORIES[figure.kind]
        assert (CAPTIONS / figure.caption_rst).is_file()
        assert figure.labels["figure"]


def test_caption_files_equal_the_captions():
    for name, text in rst_texts().items():
        assert (CAPTIONS / name).read_text(encoding="utf-8") == text, f"{name} drifted from report/captions.py"


def test_every_figure_is_a_valid_specification(study, tables):
    for name, figure in figures_of(study).items():
        panel = figure.build(tables)
        assert not panel.missing, (name, panel.alt_text)
        spec = page_specification(figure, panel)
        assert spec["width"] == "container"
        assert spec["$schema"].startswith("https://vega.github.io/schema/vega-lite/v6")
        assert '"url"' not in json.dumps(spec)
        assert panel.alt_text.endswith("."), name


def test_files_are_the_same_twice(tmp_path):
    small = make_study(
        atlases={}, evaluation=ONE_MODEL, cohorts={"train": make_study().cohorts["train"].model_dump()}, simulate=None
    )
    from report_factory import write_results

    write_results(small, tmp_path)
    first = write_figures(small, tmp_path / "tables", tmp_path / "a")
    second = write_figures(small, tmp_path / "tables", tmp_path / "b")
    for one, two in zip(first, second, strict=True):
        assert [p.read_bytes() for p in one] == [p.read_bytes() for p in two]
    for svg, spec in first:
        assert svg.read_text(encoding="utf-8").startswith("<svg")
        assert json.loads(spec.read_text(encoding="utf-8"))["usermeta"]["title"]


@pytest.mark.parametrize("name", ["umap_index_marrow", "gene_heatmap", "kaplan_meier_train_gene_index", "flow_array"])
def test_static_drawing_has_its_title_and_text_of_readable_size(study, tables, name):
    svg, _ = figure_texts(figures_of(study)[name], tables)
    assert figures_of(study)[name].title.split(":")[0] in svg
    sizes = {float(size) for size in re.findall(r'font-size="([\d.]+)px"', svg)}
    assert sizes
    assert min(sizes) >= 11


def test_lacking_tables_give_panels_that_say_why(study):
    empty = Tables({})
    for name, figure in figures_of(study).items():
        panel = figure.build(empty)
        assert panel.missing, name
        assert "Not drawn" in panel.alt_text


def test_lacking_rows_and_horizons_are_explained(study):
    tables = make_tables(study)
    tables["calibration"] = tables["calibration"][tables["calibration"]["horizon_years"] == 5]
    tables["roc"] = tables["roc"].assign(tpr=float("nan"))
    tables["index"] = tables["index"].assign(coefficient=0.0)
    figures, given = figures_of(study), Tables(tables)
    for name, words in (
        ("roc_train_gene_index", "No horizon lies within the follow-up"),
        ("gene_coefficients", "kept no gene"),
    ):
        panel = figures[name].build(given)
        assert panel.missing
        assert words in panel.alt_text
    tables["calibration"] = make_tables(study)["calibration"].assign(horizon_years=5.0)
    assert "3 years" in figures["calibration_train_gene_index"].build(Tables(tables)).alt_text


def test_no_validation_cohort_is_said():
    alone = make_study(cohorts={"train": make_study().cohorts["train"].model_dump()})
    panel = figures_of(alone)["validation"].build(Tables(make_tables(alone)))
    assert panel.missing
    assert "names no validation cohort" in panel.alt_text


def test_missing_columns_are_named(study):
    tables = make_tables(study)
    tables["index"] = tables["index"].drop(columns="coefficient")
    panel = figures_of(study)["gene_coefficients"].build(Tables(tables))
    assert "lacks the column coefficient" in panel.alt_text


def test_numbers_as_text():
    assert interval(0.664, 0.61, 0.7099) == "0.66 (0.61–0.71)"
    assert interval(0.01, -0.02, 0.04, 2) == "0.01 (−0.02 to 0.04)"
    assert interval(None, 0, 1) == "–"
    assert fixed(-0.001, 2) == "0.00"
    assert (p_text(0.0004), p_text(0.0312), p_text(0.5), p_text(float("nan"))) == (
        "p < 0.001", "p = 0.031", "p = 0.50", "p not available",
    )  # fmt: skip
